"""List the numbers in the notebooks' sentences that nothing on the page accounts for.

    python scripts/prose_numbers.py [NOTEBOOK …]

A number is accounted for where

- an output of the notebook prints it (a share and its per cent are the same number, and a number in
  a sentence may have fewer digits than what is printed),
- the notebook's own code has it (16 frames, 320 steps, a threshold of 0.5),
- `gradcam_video.lessons.facts` has published it,
- or the cell names it in a comment that the reader does not see, with where it is from:
  `<!-- numbers: 53,267 the post; 60 an example -->`.

Not asked about: numbers up to 12 without decimals or a per cent sign (they count what stands in the
sentence), years, the numbers of notebooks, what stands in code, formulas, links and references.

The exit code is the number of lines printed, at most 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import nbformat

from gradcam_video.lessons.facts import PUBLISHED

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SMALL = 12
NUMBER = re.compile(r"(?<![\w.,])[-−]?(\d[\d,]*(?:\.\d+)?)(\s?%)?(?![\w])")
MARK = re.compile(r"<!--\s*numbers:(.*?)-->", re.DOTALL)
LEFT_OUT = re.compile(
    r"""```.*?```            # code
      | `[^`]*`
      | \$\$.*?\$\$ | \$[^$]*\$   # formulas
      | <!--.*?-->
      | <[^>]+>             # html
      | \]\([^)]*\)         # where a link goes
      | ^\#\ \d\d.*?$       # the title
      | [Nn]otebooks?\ \d\d(?:(?:,\ |\ and\ |\ to\ )\d\d)*
      | \b(?:1[89]|20)\d\d\b     # years
      | arXiv:[\d.]+
      | ^\s*\d+\.\s         # a numbered list
      | \*\*Time\*\*:.*?$ | ★\ [\w\ ]*minutes
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="NOTEBOOK")
    found = 0
    for path in parser.parse_args().paths or sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell, number, sentence in unaccounted(nbformat.read(path, as_version=4)):
            print(f"{path.name} {cell}: {number} in “{sentence}”")
            found += 1
    return min(found, 1)


def unaccounted(notebook: Any) -> Iterator[tuple[str, str, str]]:
    """Cell id, number and its surroundings, for each number that nothing accounts for."""
    known = list(_known(notebook))
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        marked = [value for text in MARK.findall(cell.source) for value in _values(text)]
        text = LEFT_OUT.sub(" ", _without_references(cell.source))
        for match in NUMBER.finditer(text):
            digits, percent = match[1].replace(",", ""), bool(match[2])
            value, decimals = float(digits), len(digits.partition(".")[2])
            if not (percent or decimals) and value <= SMALL:
                continue
            if not any(_same(value, decimals, percent, other) for other in [*known, *marked]):
                around = text[max(0, match.start() - 30) : match.end() + 30]
                yield cell.id, match[0].strip(), " ".join(around.split())


def _known(notebook: Any) -> Iterator[float]:
    """Every number that the notebook's code, its outputs or the published facts hold."""
    yield from (fact.value for fact in PUBLISHED.values())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield from _values(cell.source)
            for output in cell.outputs:
                data = output.get("data", {})
                yield from _values(output.get("text", "") + data.get("text/plain", ""))
                table = data.get("text/html", "")
                if "<table" in table:
                    yield from _values(unescape(re.sub(r"<[^>]+>", " ", table)))


def _values(text: str) -> Iterator[float]:
    for digits in re.findall(r"\d[\d,_]*(?:\.\d+)?|\.\d+", text):
        yield float(digits.replace(",", "").replace("_", ""))


def _same(value: float, decimals: int, percent: bool, other: float) -> bool:
    """Is `other`, written with as many digits, the number of the sentence?"""
    half = 0.5 * 10**-decimals + 1e-9
    candidates = [other, 100 * other] if percent else [other]
    return any(abs(value - candidate) <= half for candidate in candidates)


def _without_references(source: str) -> str:
    head, _, tail = source.partition("## References")
    return head + "## Next" + tail.partition("## Next")[2]


if __name__ == "__main__":
    sys.exit(main())
