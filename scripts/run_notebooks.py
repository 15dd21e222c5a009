"""Run notebooks from top to bottom and store them as they should lie in the repository.

    python scripts/run_notebooks.py [NOTEBOOK …]        # all of notebooks/ without arguments

Outputs are stored, execution counts begin at 1, the kernel is python3, nothing of the author's
editor and no widget state is kept. How long it took is written into the notebook's box: let nothing
else run beside. A notebook in which a cell raises, or warns, is left as it was.

    python scripts/run_notebooks.py --check [NOTEBOOK …]    # is what the boxes say still true?

stores nothing, and fails where a notebook takes another time than its box says, by more than half.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from gradcam_video.files import atomic_write

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TIME = re.compile(r"All cells together ran in (\d+) seconds on \d+ CPU cores")
WIDGET = "application/vnd.jupyter.widget-view+json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--check", action="store_true", help="store nothing, compare the times")
    options = parser.parse_args()
    failed = 0
    for path in options.paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        try:
            notebook, seconds = run(path)
            stated = stated_seconds(notebook)
            if not options.check:
                write(path, notebook, seconds)
        except (CellExecutionError, RuntimeError) as error:
            failed += 1
            print(f"{path.name}: left as it was\n{error}", file=sys.stderr)
            continue
        wrong = options.check and not stated / 1.5 <= seconds <= stated * 1.5
        failed += wrong
        print(
            f"{path.name}: {seconds:.0f} s, its box said {stated}{': WRONG' if wrong else ''}",
            flush=True,
        )
    return min(failed, 1)


def run(path: Path) -> tuple[Any, float]:
    """Execute a notebook in its own folder: the notebook, and the seconds it took.

    Raises:
        CellExecutionError: a cell raised.
        RuntimeError: a cell wrote to stderr.
    """
    notebook = nbformat.read(path, as_version=4)
    started = time.monotonic()
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    return notebook, time.monotonic() - started


def stated_seconds(notebook: Any) -> int:
    """What the box says."""
    found = [m for cell in notebook.cells if (m := TIME.search(cell.source))]
    if len(found) != 1:
        raise RuntimeError(
            "its box does not say: All cells together ran in N seconds on N CPU cores"
        )
    return int(found[0][1])


def write(path: Path, notebook: Any, seconds: float) -> None:
    """Store a notebook that was run; written whole or not at all.

    Raises:
        RuntimeError: a cell wrote to stderr.
    """
    rounded = max(5, 5 * round(seconds / 5))
    words = f"All cells together ran in {rounded} seconds on {os.cpu_count()} CPU cores"
    for cell in notebook.cells:
        cell.source = TIME.sub(words, cell.source)
        if cell.cell_type == "code":
            tidy(cell)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
    nbformat.validate(notebook)
    with atomic_write(path) as file:
        nbformat.write(notebook, file)


def tidy(cell: Any) -> None:
    for output in cell.outputs:
        if output.get("name") == "stderr":
            raise RuntimeError(f"a cell writes to stderr: {output.text[:300]}\n{cell.source}")
        # A stored view has no model behind it and would hide the page that works without.
        output.get("data", {}).pop(WIDGET, None)
        for kind, text in output.get("data", {}).items():
            if kind == "text/plain":  # addresses differ from run to run
                output.data[kind] = re.sub(r" at 0x[0-9a-f]+", "", text)


if __name__ == "__main__":
    sys.exit(main())
