"""The checks of what notebooks say: numbers that nothing accounts for, English, slides."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from plain_english import passages
from prose_numbers import unaccounted
from teaching_pages import main as teaching_pages

ROOT = Path(__file__).resolve().parents[1]


def notebook(prose: str, code: str = "", printed: str = "") -> Any:
    said = [new_output("stream", text=printed)] if printed else []
    return new_notebook(cells=[new_markdown_cell(prose), new_code_cell(code, outputs=said)])


@pytest.mark.parametrize(
    ("prose", "code", "printed"),
    [
        ("It is right in 84 % of the clips.", "", "0.8437"),
        ("It is right in 84 % of the clips.", "", "84%"),
        ("A share of 0.84.", "", "0.8437"),
        ("After 320 steps.", "steps=320", ""),
        ("The 53,267 clips. <!-- numbers: 53,267 the post -->", "", ""),
        ("The post reached 51.1 %.", "", ""),  # a published fact
        ("In 2017, notebook 03 had `99` and $x_{88}$, see [it](p77.md).", "", ""),
        ("Two of 12 clips.", "", ""),
        ("**Time**: 40 minutes to read.", "", ""),
        ("**★ 15 minutes.** Write it.", "", ""),
        ("1,533 clips", "", "1533"),
    ],
)
def test_numbers_that_are_accounted_for(prose: str, code: str, printed: str) -> None:
    assert list(unaccounted(notebook(prose, code, printed))) == []


@pytest.mark.parametrize(
    ("prose", "printed", "number"),
    [
        ("It is right in 85 % of the clips.", "0.8437", "85 %"),
        ("It is right in 84.0 %.", "84.37%", "84.0 %"),
        ("A share of 0.9.", "0.84", "0.9"),
        ("All 400 clips.", "40", "400"),
        ("The best has 8 %.", "9", "8 %"),
    ],
)
def test_numbers_that_are_not(prose: str, printed: str, number: str) -> None:
    assert [found for _, found, _ in unaccounted(notebook(prose, "", printed))] == [number]


def test_every_number_of_the_notebooks_is_accounted_for() -> None:
    left = [
        f"{path.name} {cell}: {number} in {sentence}"
        for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
        for cell, number, sentence in unaccounted(nbformat.read(path, as_version=4))
    ]
    assert left == []


@pytest.mark.parametrize(
    "text",
    [
        "A made clip is shown.",
        "The part behind the layer.",
        "We wait, for it is late.",
        "It lies in the picture.",
        " ".join(["word"] * 41) + ".",
    ],
)
def test_english_that_must_be_read_twice(text: str) -> None:
    assert len(list(passages(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "A synthetic clip is shown, because it is late.",
        "`behind the layer` in code, and [a link](behind_the_layer.md).",
        " ".join(["word"] * 40) + ". " + " ".join(["word"] * 40) + ".",
        "| a table | lies in | cells |",
    ],
)
def test_english_that_is_plain(text: str) -> None:
    assert list(passages(text)) == []


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("pages") / "teaching"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["teaching_pages", "--out", str(out)])
        assert teaching_pages() == 0
        assert teaching_pages() == 0, "a second time it takes the first one's place"
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_slides_hold_every_figure_of_a_notebook(pages: dict[str, str]) -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = pages[f"{path.name[:2]}.html"]
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                for kind in ("image/png", "image/jpeg"):
                    assert data.get(kind, "").strip() in page, (path.name, cell.id)
        assert page.count("<section>") > 3
        assert "Takeaways</h2>" in page and "Quiz</h2>" in page, path.name


def test_slides_fetch_nothing(pages: dict[str, str]) -> None:
    for name, page in pages.items():
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert all(source.startswith("data:") for source in sources), name
        for data in re.findall(r'src="data:image/\w+;base64,([^"]*)"', page):
            assert base64.b64decode(data)


def test_the_gallery_prints_a_page_per_bug(pages: dict[str, str]) -> None:
    page = pages["bug_gallery.html"]
    assert "break-after: page" in page
    assert page.count("<img") >= 5
    assert page.count('class="language-python"') >= 5


def test_other_files_in_the_folder_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setattr("sys.argv", ["teaching_pages", "--out", str(tmp_path)])
    with pytest.raises(Exception, match="other files"):
        teaching_pages()
    assert (tmp_path / "notes.txt").read_text() == "mine"
