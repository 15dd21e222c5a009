"""nbval must turn red when what a notebook says is no longer so."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.notebook
ROOT = Path(__file__).resolve().parents[1]
CHECKED = "nbval-check-output"


@pytest.fixture(scope="module")
def start() -> Any:
    """Notebook 00 up to the checked answer of the network that it explains."""
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checked = [CHECKED in cell.metadata.get("tags", []) for cell in cells]
    last = next(i for i, cell in enumerate(cells) if checked[i] and "e.top(2)" in cell.source)
    real = ("street_film()", "cuts", "shots")  # the real film of the first section takes long
    kept = [cell for cell in cells[: last + 1] if not any(r in cell.source for r in real)]
    notebook.cells = kept
    return notebook


def run(notebook: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "cut.ipynb"
    nbformat.write(notebook, path)
    command = ["-m", "pytest", "-q", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, *command, "--rootdir", str(folder), str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )


def test_green_as_it_is(start: Any, tmp_path: Path) -> None:
    done = run(start, tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_quoted_number_that_is_no_longer_so_is_red(start: Any, tmp_path: Path) -> None:
    wrong = copy.deepcopy(start)
    output = wrong.cells[-1].outputs[0]
    assert "1.0" in output.text
    output.text = output.text.replace("1.0", "0.9")
    done = run(wrong, tmp_path)
    assert done.returncode == 1
    assert "Notebook cell execution failed" in done.stdout


def test_a_package_function_that_breaks_is_red(start: Any, tmp_path: Path) -> None:
    broken = copy.deepcopy(start)
    cell = next(cell for cell in broken.cells if "gv.explain(" in cell.source)
    cell.source = "from gradcam_video.geometry import Grid\ndel Grid.row_weights\n" + cell.source
    broken.cells[-1].source += "\n_ = e.upsampled()"
    assert run(broken, tmp_path).returncode == 1


def test_a_widget_callback_that_breaks_is_red(start: Any, tmp_path: Path) -> None:
    broken = copy.deepcopy(start)
    cell = broken.cells[-1]
    cell.source = (
        "player = e.player()\n"
        "player.frame_slider.observe(lambda change: 1 / 0, 'value')\n"
        "player.frame = 3"
    )
    assert run(broken, tmp_path).returncode == 1
