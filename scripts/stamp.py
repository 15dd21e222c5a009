"""Write the address of the repository into every notebook: badge, installing cell, pictures.

    python scripts/stamp.py             # from the git remote `origin`, where it is on GitHub
    python scripts/stamp.py --check     # changes nothing; exit code 1 where one is out of step

The address has one place, `[project.urls]` in pyproject.toml, and so has the tag: `v` and the
version in gradcam_video/__init__.py. With a GitHub remote the address is taken from it; without one
what pyproject.toml says stays (`--address none` takes it away). While there is no address a
notebook has no badge, installs nothing, and its pictures are those that lie beside it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).resolve().parents[1]
GITHUB = re.compile(
    r"(?:https://(?:[^@/]*@)?github\.com/|(?:ssh://)?git@github\.com[:/])"
    r"([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)
URLS = re.compile(r'\n\[project\.urls\]\nRepository = "[^"]*"\n')
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n\n")
# A notebook that is opened alone has nothing beside it: what it shows must be fetched.
PICTURE = re.compile(
    r"(!\[[^\]]*\]\()(?:\.\./|https://raw\.githubusercontent\.com/[\w.-]+/[\w.-]+/v[\w.]+/)(?=docs/)"
)
LINK = re.compile(
    r"(?<!!)(\[[^\]]*\]\()(?:\.\./|https://github\.com/[\w.-]+/[\w.-]+/blob/v[\w.]+/)(?=docs/)"
)

MISSING = """\
if importlib.util.find_spec("gradcam_video") is None:
    raise SystemExit("gradcam_video is not installed here: see the README, Set up by hand")"""
PLAIN_CELL = f"import importlib.util\n\n{MISSING}"
# The extra `notebooks` would replace Colab's own ipykernel: `colab` has only what is missing there.
INSTALLING_CELL = f"""\
import importlib.util
import sys

if "google.colab" in sys.modules and importlib.util.find_spec("gradcam_video") is None:
    # A running kernel breaks when pip replaces its torch or numpy: they stay as they are.
    !pip list --format=freeze | grep -E "^(torch|torchvision|numpy)=" > kept.txt
    where = "git+ADDRESS@TAG"
    %pip install -q -c kept.txt "gradcam-video[colab] @ {{where}}"
{MISSING}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, name what would be")
    parser.add_argument("--address", help="https://github.com/OWNER/NAME, or none")
    args = parser.parse_args()
    pyproject = ROOT / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    if not args.check:
        found = args.address or remote(ROOT)
        if found not in (None, "none") and github(found) is None:
            parser.error(f"no address on GitHub: {found}")
        if found is not None:
            text = with_address(text, github(found))
    address, tag = place(text)
    if not args.check:
        pyproject.write_text(text, encoding="utf-8")
    changed = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        if stamp(notebook, path.name, address, tag):
            changed.append(path)
            if not args.check:
                nbformat.write(notebook, path)
    for path in changed:
        print(path.relative_to(ROOT), "is out of step" if args.check else "stamped")
    print(f"{address or 'no address'}, {tag}")
    return 1 if args.check and changed else 0


def remote(root: Path) -> str | None:
    """The address of `origin` where it is on GitHub; a folder or another host is none."""
    command = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return github(done.stdout.strip())


def github(address: str) -> str | None:
    """The public form of an address on GitHub, without a name or password in it."""
    found = GITHUB.fullmatch(address)
    return f"https://github.com/{found[1]}/{found[2]}" if found else None


def with_address(text: str, address: str | None) -> str:
    """The text of pyproject.toml with this address in it, or with none."""
    text = URLS.sub("", text)
    if address is None:
        return text
    urls = f'\n[project.urls]\nRepository = "{address}"\n'
    return text.replace("\n[tool.setuptools]\n", f"{urls}\n[tool.setuptools]\n", 1)


def place(text: str) -> tuple[str | None, str]:
    """(address or None, tag): from the text of pyproject.toml, and from the package's version."""
    urls = tomllib.loads(text)["project"].get("urls", {})
    package = (ROOT / "gradcam_video" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    assert version, "gradcam_video/__init__.py has no __version__"
    return urls.get("Repository"), f"v{version[1]}"


def stamp(notebook: Any, name: str, address: str | None, tag: str) -> bool:
    """Bring one notebook in step; whether that changed anything.

    Args:
        notebook: changed in place; outputs, counts and ids stay.
        name: its file's name.
        address: where git finds the repository; None for nowhere.
        tag: what is installed, and what badge and pictures lead to.

    Raises:
        ValueError: it has no cell that looks for the package.
    """
    before = [cell.source for cell in notebook.cells]
    public = address is not None and github(address) == address
    raw, blob, badge = "../", "../", ""
    if public:
        raw = f"{address}/{tag}/".replace("github.com", "raw.githubusercontent.com")
        blob = f"{address}/blob/{tag}/"
        badge = badge_of(f"{blob}notebooks/{name}")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(rf"\g<1>{blob}", PICTURE.sub(rf"\g<1>{raw}", cell.source))
    notebook.cells[0].source = badge + BADGE.sub("", notebook.cells[0].source)
    cells = [cell for cell in notebook.cells if 'find_spec("gradcam_video")' in cell.source]
    if not cells:
        raise ValueError(f"{name} has no cell that looks for gradcam_video")
    cells[0].source = installing(address, tag)
    return before != [cell.source for cell in notebook.cells]


def badge_of(page: str) -> str:
    on_colab = page.replace("https://github.com/", "https://colab.research.google.com/github/")
    picture = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({picture})]({on_colab})\n\n"


def installing(address: str | None, tag: str) -> str:
    """The source of the cell that finds the package, and on Colab installs it."""
    if address is None:
        return PLAIN_CELL
    return INSTALLING_CELL.replace("ADDRESS", address).replace("TAG", tag)


if __name__ == "__main__":
    sys.exit(main())
