"""The notebooks as a static site, players alive in it, without a kernel.

    python scripts/build_site.py [--out site]

One page per notebook and an index of them; pictures lie in the pages, nothing is fetched but what
the page's own mathematics needs.
"""

from __future__ import annotations

import argparse
import base64
import html
import mimetypes
import re
import sys
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from gradcam_video.cli.figures import PAGE as INDEX
from gradcam_video.errors import BadInput
from gradcam_video.files import atomic_folder

ROOT = Path(__file__).parents[1]
# Beside the notebook, or where stamp.py says that a notebook alone finds it.
PICTURE = re.compile(
    r'src="(?:\.\./|https://raw\.githubusercontent\.com/(?:[\w.-]+/){3})(docs/images/[\w.]+)"'
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>What does a video network look at?</title>
<style>
body { font: 17px/1.5 system-ui, sans-serif; max-width: 44em; margin: 2em auto; padding: 0 1em; }
li { margin: 0.8em 0; list-style: none; }
a { font-weight: 650; }
</style>
</head>
<body>
<h1>What does a video network look at?</h1>
<p>A detective story in notebooks: Grad-CAM on inflated 3D networks, per frame and per class.</p>
<ul>
{rows}
</ul>
</body>
</html>
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    parser.add_argument("paths", nargs="*", type=Path, help="default: all of notebooks/")
    args = parser.parse_args()
    try:
        build(args.paths or sorted((ROOT / "notebooks").glob("*.ipynb")), args.out)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(args.out / INDEX)
    return 0


def build(paths: list[Path], out: Path) -> None:
    """Write the whole site or nothing of it; an older one is replaced."""
    exporter = HTMLExporter()
    rows = []
    with atomic_folder(out, ours) as folder:
        for path in paths:
            notebook = nbformat.read(path, as_version=4)
            page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
            page = PICTURE.sub(held, page)
            page = page.replace('.ipynb"', '.html"')  # links from notebook to notebook
            (folder / f"{path.stem}.html").write_text(page, encoding="utf-8")
            rows.append(row(notebook, path.stem))
        index = PAGE.replace("{rows}", "\n".join(rows))
        (folder / INDEX).write_text(index, encoding="utf-8")


def ours(out: Path) -> bool:
    """Whether a folder holds nothing but pages, an index among them."""
    return (out / INDEX).is_file() and all(path.suffix == ".html" for path in out.iterdir())


def held(found: re.Match[str]) -> str:
    """A picture of the repository, put into the page."""
    path = ROOT / found[1]
    kind = mimetypes.guess_type(path.name)[0]
    return f'src="data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"'


def row(notebook: nbformat.NotebookNode, stem: str) -> str:
    """One line of the index: the title, and what the reader will do."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    will = re.search(r"\*\*You will\*\* (.+)$", text, re.MULTILINE)
    assert title and will, stem
    words = html.escape(re.sub(r"[*`]", "", will[1]))
    return f'<li><a href="{stem}.html">{html.escape(title[1])}</a><br>You will {words}</li>'


if __name__ == "__main__":
    sys.exit(main())
