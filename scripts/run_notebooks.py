"""Run notebooks from top to bottom and store their outputs, as tests/test_notebooks.py wants them.

python scripts/run_notebooks.py                # all
python scripts/run_notebooks.py notebooks/00_start_here.ipynb
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="default: all of notebooks/")
    for path in parser.parse_args().paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        started = time.monotonic()
        run(path)
        print(f"{path.name}: {time.monotonic() - started:.0f} s, {path.stat().st_size} bytes")


def run(path: Path) -> None:
    """Execute one notebook in its own folder; written whole or not at all."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    notebook.metadata.pop("widgets", None)  # GitHub refuses notebooks that have it
    notebook.metadata.language_info = {"name": "python"}  # the exact version is noise in a diff
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            # A stored view has no model behind it and would hide the page that works without.
            output.get("data", {}).pop(WIDGET, None)
    nbformat.validate(notebook)
    part = path.with_suffix(".part")
    try:
        nbformat.write(notebook, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
