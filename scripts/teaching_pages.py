"""What a teacher shows and hands out, made from the notebooks as they are stored.

    python scripts/teaching_pages.py [--out teaching]

writes a page of slides per notebook (`00.html` …: its bets, every figure with the words before it,
its takeaways and its quiz) and `bug_gallery.html`, the gallery of notebook 04 to print. A slide is
as large as the window, and a page when printed. Nothing is fetched; the pages need no kernel.
"""

from __future__ import annotations

import argparse
import base64
import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from markdown_it import MarkdownIt

from gradcam_video.files import atomic_folder

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
FIGURES = ("image/png", "image/jpeg")
GALLERY = "04_grad_cam_derivation.ipynb", "gallery"
STYLE = """
body { margin: 0; font: 22px/1.45 system-ui, sans-serif; color: #1c1c22; background: #fff; }
section { box-sizing: border-box; min-height: 100vh; padding: 3vh 5vw; scroll-snap-align: start;
  display: flex; flex-direction: column; justify-content: center; }
html { scroll-snap-type: y proximity; }
h1, h2, h3 { margin: 0 0 0.6em; line-height: 1.2; }
img { max-width: 100%; max-height: 62vh; object-fit: contain; align-self: center; }
p, li { max-width: 60em; } small { color: #63636e; }
pre { font-size: 17px; overflow-x: auto; background: #f4f4f6; padding: 0.6em; }
table { border-collapse: collapse; } td, th { padding: 0.2em 0.8em; text-align: left; }
@media print { @page { size: A4 landscape; margin: 12mm; }
  section { min-height: 0; height: auto; break-after: page; padding: 0; }
  img { max-height: 120mm; } }
@media (max-width: 700px) { body { font-size: 17px; }
  section { min-height: 0; padding: 24px 16px; } }
"""
markdown = MarkdownIt("commonmark").enable("table")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("teaching"))
    options = parser.parse_args()
    pages = {f"{path.name[:2]}.html": slides(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    pages["bug_gallery.html"] = gallery(NOTEBOOKS / GALLERY[0])
    with atomic_folder(options.out, ours=_ours) as folder:
        for name, page in pages.items():
            (folder / name).write_text(page, encoding="utf-8")
    print(f"{options.out}: {len(pages)} pages")
    return 0


def _ours(folder: Path) -> bool:
    """Only pages lie there, and the gallery is among them."""
    found = {path.name for path in folder.iterdir()}
    return "bug_gallery.html" in found and all(name.endswith(".html") for name in found)


def slides(path: Path) -> str:
    """The page of a notebook: title, bets, figures, takeaways, quiz."""
    notebook = nbformat.read(path, as_version=4)
    title, made = path.stem, []
    heading = before = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for part in re.split(r"(?m)^(?=#{1,3} )", _readable(cell.source)):
                if not part.strip():
                    continue
                first, _, rest = part.partition("\n")
                if first.startswith("# "):
                    title = first[2:]
                    made.append(_slide(part, path.parent))
                elif first.startswith("#"):
                    heading, before = first.lstrip("# "), rest
                    if heading.lower() in ("your bet", "takeaways", "quiz"):
                        made.append(_slide(part, path.parent))
                else:
                    before = part
        for picture in _figures(cell):
            words = before.strip().split("\n\n")[-1]
            made.append(_slide(f"## {heading}\n\n{words}", path.parent, picture))
    return _page(title, made)


def gallery(path: Path) -> str:
    """The section of a notebook whose heading names the gallery, code, figures and all."""
    made, inside = [], False
    for cell in nbformat.read(path, as_version=4).cells:
        heading = re.search(r"(?m)^## (.*)$", cell.source) if cell.cell_type == "markdown" else None
        if heading:
            inside = GALLERY[1] in heading[1].lower()
        if not inside:
            continue
        text = _readable(cell.source)
        if cell.cell_type == "code":
            text = f"```python\n{cell.source}\n```\n" + "".join(
                f"\n```\n{output.text}\n```\n" for output in cell.outputs if "text" in output
            )
        made.append(_slide(text, path.parent, "".join(_figures(cell))))
    if not made:
        raise ValueError(f"{path.name} has no section with {GALLERY[1]!r} in its heading")
    return _page("The gallery of bugs", made)


def _figures(cell: Any) -> Iterator[str]:
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        for kind in FIGURES:
            if kind in data:
                yield f'<img alt="" src="data:{kind};base64,{data[kind].strip()}">'
                break


def _readable(text: str) -> str:
    """Without comments, and with the answers open: a printed page has nothing to click."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<details>\s*<summary>(.*?)</summary>", r"\n**\1**\n", text)
    return text.replace("</details>", "")


def _slide(text: str, folder: Path, picture: str = "") -> str:
    """A slide; pictures that lie beside the notebook come into the page, links lose their goal."""

    def inside(match: re.Match[str]) -> str:
        path = (folder / match[2]).resolve()
        kind = "jpeg" if path.suffix == ".jpg" else path.suffix[1:]
        data = base64.b64encode(path.read_bytes()).decode()
        return f"![{match[1]}](data:image/{kind};base64,{data})"

    text = re.sub(r"!\[([^\]]*)\]\((?!data:)([^)\s]+)\)", inside, text)
    text = re.sub(r"(?<!!)\[([^\]]+)\]\([^)]*\)", r"\1", text)
    return f"<section>{markdown.render(text)}{picture}</section>"


def _page(title: str, made: list[str]) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{STYLE}</style></head><body>\n'
        + "\n".join(made)
        + "\n</body></html>\n"
    )


if __name__ == "__main__":
    sys.exit(main())
