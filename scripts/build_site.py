"""The notebooks, the pages of docs/ and the API reference as a static site, without a kernel.

    python scripts/build_site.py [--out site]

One page per notebook, players alive in it; one per Markdown page, the README as the index; and
`api/`, the reference of every public name, made by pdoc from the docstrings. Pictures lie in the
pages. All of it opens from the disk: links stay inside the folder, and nothing is fetched but what
a notebook's mathematics needs.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import mimetypes
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import pdoc
import pdoc.doc_ast
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin
from nbconvert import HTMLExporter

from gradcam_video.cli.figures import PAGE as INDEX
from gradcam_video.errors import BadInput
from gradcam_video.files import atomic_folder

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ("*.md", "docs/*.md", "data/README.md", "benchmarks/README.md")
# The public face, and what it leads to; everything else may change from one version to the next.
REFERENCE = (
    "gradcam_video",
    "gradcam_video.tabletop",
    "gradcam_video.show",
    "gradcam_video.attribution.methods",
    "gradcam_video.attribution.methods.base",
    "gradcam_video.attribution.methods.gradient",
    "gradcam_video.attribution.methods.activation",
    "gradcam_video.attribution.methods.perturbation",
    "gradcam_video.attribution.methods.input_gradient",
    "gradcam_video.attribution.methods.priors",
    "gradcam_video.attribution.baselines",
    "gradcam_video.lessons.check",
    "gradcam_video.lessons.facts",
)
API = PurePosixPath("api/gradcam_video.html")
SEARCH = "api/search.js"
MADE_BY = '<meta name="generator" content="gradcam_video, scripts/build_site.py">'
ADDRESS = re.compile(r'(<(a|img)\b[^>]*?\s(?:href|src)=")([^"]*)"')
# A stamped notebook (stamp.py) fetches its pictures, so that it can be opened alone.
FETCHED = re.compile(r"https://raw\.githubusercontent\.com/(?:[\w.-]+/){3}(docs/images/[\w.]+)")
# pdoc links a private base class, which has no place on the page.
PRIVATE = re.compile(r'<a [^>]*href="[^"]*#_[^"]*"[^>]*>(.*?)</a>')
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{made_by}
<title>{title}</title>
<style>
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 54em; margin: 0 auto 4em; padding: 0 1em;
  color: #1f2328; }}
nav {{ padding: 0.8em 0; border-bottom: 1px solid #d1d9e0; }}
nav a {{ margin-right: 1.2em; }}
img {{ max-width: 100%; }}
h1, h2, h3 {{ line-height: 1.25; }}
h2 {{ margin-top: 1.8em; padding-bottom: 0.2em; border-bottom: 1px solid #d1d9e0; }}
a {{ color: #0757b5; }}
code {{ font: 0.87em ui-monospace, monospace; background: #f0f2f4; padding: 0.1em 0.3em;
  border-radius: 4px; overflow-wrap: anywhere; }}
pre {{ background: #f0f2f4; padding: 0.9em; overflow-x: auto; border-radius: 6px; }}
pre code {{ padding: 0; overflow-wrap: normal; }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.93em; }}
th, td {{ border: 1px solid #d1d9e0; padding: 0.35em 0.7em; text-align: left;
  vertical-align: top; }}
</style>
</head>
<body>
<nav><a href="{start}">Start</a><a href="{api}">API reference</a></nav>
{body}
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


def build(notebooks: Sequence[Path], out: Path) -> None:
    """Write the whole site or nothing of it; an older one is replaced.

    Raises:
        BadInput: the folder holds something else.
    """
    pages = [path for pattern in TEXTS for path in sorted(ROOT.glob(pattern))]
    places = {path.resolve(): PurePosixPath(f"{path.stem}.html") for path in notebooks}
    places |= {path: PurePosixPath(path.relative_to(ROOT)).with_suffix(".html") for path in pages}
    places[ROOT / "README.md"] = PurePosixPath(INDEX)
    exporter, markdown = HTMLExporter(), markdown_parser()
    with atomic_folder(out, ours) as folder:
        for source, place in places.items():
            put = inside(source, place, places)
            if source.suffix == ".ipynb":
                notebook = nbformat.read(source, as_version=4)
                resources = {"metadata": {"name": source.stem}}
                page = ADDRESS.sub(put, exporter.from_notebook_node(notebook, resources)[0])
            else:
                body = markdown.render(source.read_text(encoding="utf-8"))
                page = text_page(ADDRESS.sub(put, body), place)
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(page, encoding="utf-8")
        write_reference(folder)


def ours(out: Path) -> bool:
    """Whether a folder is a site that this script wrote, and nothing else lies in it."""
    index = out / INDEX
    if not index.is_file() or MADE_BY not in index.read_text(encoding="utf-8", errors="replace"):
        return False
    files = [path for path in out.rglob("*") if not path.is_dir()]
    return all(path.suffix == ".html" or path == out / SEARCH for path in files)


# --- pages of text ------------------------------------------------------------------------------


def markdown_parser() -> MarkdownIt:
    """Markdown as GitHub reads it: tables, and headings that a link finds."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return parser.use(anchors_plugin, max_level=4)


def text_page(body: str, place: PurePosixPath) -> str:
    """A whole page around the text; a wide table scrolls by itself."""
    title = re.sub(r"<[^>]+>", "", body[: body.index("</h1>")]).strip()
    body = body.replace("<table>", '<div class="table"><table>')
    body = body.replace("</table>", "</table></div>")
    start, api = up_to(place, PurePosixPath(INDEX)), up_to(place, API)
    return PAGE.format(made_by=MADE_BY, title=title, start=start, api=api, body=body)


def inside(
    source: Path, place: PurePosixPath, places: dict[Path, PurePosixPath]
) -> Callable[[re.Match[str]], str]:
    """What becomes of a link or picture: a page of the site, a picture in the page, or no link.

    Args:
        source: the file that the page is made of.
        place: the page's own place in the site.
        places: that of every page.
    """

    def put(found: re.Match[str]) -> str:
        before, tag, address = found[1], found[2], FETCHED.sub(rf"{ROOT.as_posix()}/\1", found[3])
        if re.match(r"[a-z]+:|#|$", address):
            return found[0]
        path, sharp, anchor = address.partition("#")
        target = Path(os.path.normpath(source.parent / path))
        if tag == "img":
            return f'{before}{embedded(target)}"'
        if target in places:
            return f'{before}{up_to(place, places[target])}{sharp}{anchor}"'
        return before[: before.rindex(" ")]  # a file that is no page: its name stays, the link goes

    return put


def up_to(here: PurePosixPath, there: PurePosixPath) -> str:
    """The address of one page as another one names it."""
    return "../" * (len(here.parts) - 1) + str(there)


def embedded(path: Path) -> str:
    """A picture of the repository as an address that holds it."""
    kind = mimetypes.guess_type(path.name)[0]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


# --- the reference ------------------------------------------------------------------------------


def write_reference(folder: Path) -> None:
    """The public names with their docstrings, and a search over them, in `api/`."""
    pdoc.render.configure(
        docformat="google",
        show_source=False,
        template_directory=Path(__file__).parent / "site_templates",
    )
    modules = {name: documented(name) for name in REFERENCE}
    for name, module in modules.items():
        page = folder / "api" / f"{name.replace('.', '/')}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        text = PRIVATE.sub(r"\1", pdoc.render.html_module(module, modules))
        page.write_text(text, encoding="utf-8")
    index = folder / "api" / INDEX
    index.write_text(pdoc.render.html_index(modules), encoding="utf-8")
    (folder / SEARCH).write_text(pdoc.render.search_index(modules), encoding="utf-8")


def documented(name: str) -> pdoc.doc.Module:
    """A module for pdoc, with what it imports only when asked for, and the modules below it."""
    module = importlib.import_module(name)
    for member in getattr(module, "__all__", ()):
        setattr(module, member, getattr(module, member))
    seen = pdoc.doc.Module(module)
    for constant in seen.variables:
        constant.docstring = constant.docstring or words_of(constant.name, vars(module))
    for below in REFERENCE:
        if max((above for above in REFERENCE if below.startswith(f"{above}.")), default="") == name:
            inner = pdoc.doc.Module(importlib.import_module(below))
            seen.members[inner.name] = inner
    formulas(seen)
    return seen


def formulas(seen: pdoc.doc.Namespace) -> None:
    """y[k](x) in a docstring is a formula, and to Markdown a link: told apart."""
    seen.docstring = seen.docstring.replace("](", "]\\(")
    for member in seen.members.values():
        if isinstance(member, pdoc.doc.Class):
            formulas(member)
        else:
            member.docstring = member.docstring.replace("](", "]\\(")


def words_of(constant: str, where: Mapping[str, Any]) -> str:
    """The docstring of a constant, which stands below it in the file that defines it."""
    for name, module in sorted(sys.modules.items()):
        if not name.startswith("gradcam_video.") or constant not in vars(module):
            continue
        words = pdoc.doc_ast.walk_tree(module).var_docstrings.get(constant)
        if words and vars(module)[constant] is where[constant]:
            return words
    return ""


if __name__ == "__main__":
    sys.exit(main())
