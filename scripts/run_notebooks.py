"""Run notebooks from top to bottom and store them as they should lie in the repository.

    python scripts/run_notebooks.py [NOTEBOOK …]        # all of notebooks/ without arguments

Outputs are stored, execution counts begin at 1, the kernel is python3, nothing of the author's
editor and no widget state is kept. A notebook in which a cell raises, or warns, is left as it was.
Prints how long each took, and its size.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="NOTEBOOK")
    paths = parser.parse_args().paths or sorted(NOTEBOOKS.glob("*.ipynb"))
    failed = 0
    for path in paths:
        started = time.monotonic()
        try:
            run(path)
            seconds = time.monotonic() - started
            print(f"{path.name}: {seconds:.0f} s, {path.stat().st_size} bytes")
        except (CellExecutionError, RuntimeError) as error:
            failed += 1
            print(f"{path.name}: left as it was\n{error}", file=sys.stderr)
    return min(failed, 1)


def run(path: Path) -> None:
    """Execute a notebook in its own folder; written whole or not at all.

    Raises:
        CellExecutionError: a cell raised.
        RuntimeError: a cell wrote to stderr.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell in notebook.cells:
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
    part = path.with_suffix(".part")
    try:
        nbformat.write(notebook, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


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
