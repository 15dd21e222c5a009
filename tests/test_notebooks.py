"""What must hold for every notebook, without running it; nbval runs them (`make test`)."""

from __future__ import annotations

import ast
import base64
import html
import json
import re
import statistics
from pathlib import Path
from typing import Any

import nbformat
import pytest
from run_notebooks import TIME
from stamp import stamp

import gradcam_video
from gradcam_video.show.html import asset

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 2_000_000
MOST_SECONDS = 100
CURVES = r"\b(?:plt|axis|axes\S*|left|right)\.(?:plot|bar|hist)\(|histplot|barplot"

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def unstamped(path: Path) -> Any:
    """As while the repository has no address: a plain first cell, and all pictures beside it."""
    notebook = read(path)
    stamp(notebook, path.name, None, "")
    return notebook


def code_cells(path: Path) -> list[Any]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list[Any]:
    return [output for cell in code_cells(path) for output in cell.outputs]


def without_magics(source: str) -> str:
    return re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def prose(path: Path) -> str:
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def anchors(text: str) -> list[str]:
    return re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text)


def test_valid_and_for_any_python_3(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata  # GitHub refuses to show notebooks that have it
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


def test_run_from_top_to_bottom(path: Path) -> None:
    """Without outputs nbval would compare nothing and be green."""
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_error_no_warning(path: Path) -> None:
    for output in outputs(path):
        assert output.output_type != "error", output.evalue
        assert output.get("name") != "stderr", output.text


def test_checked_cells_have_something_to_check(path: Path) -> None:
    cells = code_cells(path)
    checked = [cell for cell in cells if "nbval-check-output" in cell.metadata.get("tags", [])]
    assert checked
    for cell in checked:
        assert any(output.get("text") for output in cell.outputs), cell.source


def test_players_are_of_today(path: Path) -> None:
    """They are stored as pages, the script in them; the site and GitHub's readers get these."""
    pages = [output.get("data", {}).get("text/html", "") for output in outputs(path)]
    for page in pages:
        for title, script, package in (
            ("Grad-CAM player", "player.js", "gradcam_video.show"),
            ("Beat the network", "game.js", "gradcam_video.lessons"),
            ("Turn the dial", "player.js", "gradcam_video.show"),
            ("Turn the dial", "dial.js", "gradcam_video.lessons"),
            ("Switches", "switches.js", "gradcam_video.lessons"),
        ):
            if f'<iframe title="{title}"' in page:
                today = html.escape(asset(script, package)) in page
                assert today, f"{script} has changed since: python scripts/run_notebooks.py {path}"


def test_size(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES


def test_no_path_of_the_author(path: Path) -> None:
    # Base64 has slashes of its own: long runs of it are taken out first.
    words = re.sub(r"[A-Za-z0-9+/=]{200,}", "", json.dumps(read(path), ensure_ascii=False))
    folders = "|".join(("home", "root", "Users", "work", "tmp"))
    pattern = rf"(?:/(?:{folders})/|site-packages|\bC:\\)\S{{0,40}}"
    assert re.findall(pattern, words) == []


def test_title_has_the_number(path: Path) -> None:
    number = path.name[:2]
    assert re.search(rf"^# {number} · \S", prose(path), re.MULTILINE)


def test_anatomy(path: Path) -> None:
    """Title with a picture, the box, a bet, and the closing sections in their order."""
    text = prose(path)
    for part in ("You will", "You need", "**Time**", "minutes to read", "bet"):
        assert part in text, part
    ran = re.search(TIME, text)  # measured: scripts/run_notebooks.py; --check runs it again
    assert ran and int(ran[1]) <= MOST_SECONDS
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[-6:] == ["Takeaways", "Limits", "Exercises", "Quiz", "References", "Next"]
    assert "<details>" in text  # the solutions


def test_cells_are_short(path: Path) -> None:
    cells = [cell for cell in unstamped(path).cells if cell.cell_type == "code"]
    lengths = [len(cell.source.splitlines()) for cell in cells]
    assert statistics.median(lengths) <= 6
    assert sorted(lengths)[int(0.9 * (len(lengths) - 1))] <= 25


def test_lines_fit_a_screen(path: Path) -> None:
    for cell in code_cells(path):
        for line in cell.source.splitlines():
            assert len(line) <= 100, line


def test_names_of_the_package_exist(path: Path) -> None:
    """Every `gv.name`, and every name imported from the package."""
    solutions = re.findall(r"```python\n(.*?)```", prose(path), re.DOTALL)
    sources = [cell.source for cell in code_cells(path)]
    sources += [re.sub(r"^ {3}", "", text, flags=re.MULTILINE) for text in solutions]
    for source in sources:
        for node in ast.walk(ast.parse(without_magics(source))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id == "gv":
                    assert hasattr(gradcam_video, node.attr), node.attr
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gradcam_"):
                module = __import__(node.module, fromlist=["_"])  # ty: ignore
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{node.module}.{alias.name}"
    for name in re.findall(r"`gv\.(\w+)", prose(path)):
        assert hasattr(gradcam_video, name), name


def test_links_to_files_lead_somewhere(path: Path) -> None:
    cells = [cell for cell in unstamped(path).cells if cell.cell_type == "markdown"]
    text = "\n".join(cell.source for cell in cells)
    links = [link for link in anchors(text) if "://" not in link]
    assert any(link.endswith((".gif", ".png")) for link in links)  # the picture of the result
    for link in links:
        assert (path.parent / link.split("#")[0]).exists(), link


def test_pictures_say_what_they_show(path: Path) -> None:
    for words in re.findall(r"!\[([^\]]*)\]", prose(path)):
        assert len(words) > 8, words


def test_figures_are_told_and_their_axes_named(path: Path) -> None:
    """Words follow a figure, at most the numbers it shows stand between; curves have a scale."""
    cells = read(path).cells
    for i, cell in enumerate(cells):
        kinds = [kind for o in cell.get("outputs", []) for kind in o.get("data", {})]
        if not {"image/png", "image/jpeg"} & set(kinds):
            continue
        following = [later.cell_type for later in cells[i + 1 : i + 4]]
        assert "markdown" in following, cell.source
        if re.search(CURVES, cell.source):
            assert "ylabel" in cell.source or "yticks" in cell.source, cell.source


def test_after_every_widget_a_still_picture(path: Path) -> None:
    """A reader without a kernel, on GitHub for example, loses nothing."""
    cells = code_cells(path)
    for i, cell in enumerate(cells):
        if re.search(r"(\.player|(?:^|\n)Dial)\(.*\)$", cell.source.rstrip()):
            kinds = [kind for o in cells[i + 1].outputs for kind in o.get("data", {})]
            assert {"image/png", "image/jpeg"} & set(kinds)


def test_players_live_without_a_kernel(path: Path) -> None:
    """Stored widget views have no model behind them; the page beside them needs none."""
    for output in outputs(path):
        data = output.get("data", {})
        assert "application/vnd.jupyter.widget-view+json" not in data
        if "Player(" in data.get("text/plain", ""):
            assert "<iframe" in data["text/html"]


def test_pictures_are_pictures(path: Path) -> None:
    starts = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}
    for output in outputs(path):
        for kind, start in starts.items():
            if picture := output.get("data", {}).get(kind):
                assert base64.b64decode(picture).startswith(start)
