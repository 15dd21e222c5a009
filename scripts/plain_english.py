"""Passages of the notebooks, the README and docs/ that a reader has to read twice.

    python scripts/plain_english.py [--count] [FILE …]

Two rules: words and turns that are a translation, not English, or that the field calls otherwise
(`WORDS`), and sentences of more than 40 words. Code, formulas, links and tables are left out. Vale
would do the same, but it is a program that must be fetched from a host of its own.

The exit code is 1 where a passage is found.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/*.md", "notebooks/*.ipynb")
LONGEST = 40  # words
# What is found (whole words, any case) and what to write.
WORDS = {
    r"made (?:clip|world|scene|film|frame|picture)s?": "synthetic",
    r"drawn (?:clip|world)s?": "synthetic",
    r"behind (?:it|the (?:layer|head|map|mean)|a (?:mean|layer)|other)": "after, downstream of",
    r"(?:is|are|was) to be (?:seen|had|found|trusted)": "can be seen, …",
    r"for (?:it|its|they|the \w+|there|nobody|one|we|he|she) (?:is|are|has|have|was|cannot|can)":
        "because",
    r"of theirs": "say whose",
    r"the one with which": "the one that",
    r"lies? (?:in|on|at|about|there|here|beside|under|below|above)": "is (in)",
    r"stands? (?:in|on|at|about|there|here|beside|under|below|above) (?:the|it|a)": "is (in)",
    r"less the": "minus the",
    r"a thing|the things?|two things|which thing|several things|things and": "object",
    r"whoever|whatsoever|thereby|hereby|wherein|whereby|thereof|therein|hither|thus": "plainer",
    r"sure as can be|as it must be|say in": "plainer",
    r"told (?:apart|beforehand) from|all the sooner|besides\b(?=[.,])": "plainer",
    r"let us": "we",
    r"need not": "does not have to",
    r"without any say": "plainer",
    r"nothing but|all but": "only, almost",
    r"that is why|it is (?:this|that) \w+ (?:that|which)": "so",
}  # fmt: skip
LEFT_OUT = re.compile(
    r"```.*?```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|<[^>]+>|\]\([^)]*\)|^\s*\|.*?$|^#.*?$|[*_>\[]",
    re.DOTALL | re.MULTILINE,
)
PATTERN = re.compile(
    "|".join(rf"(?P<w{i}>\b(?:{words})\b)" for i, words in enumerate(WORDS)), re.IGNORECASE
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--count", action="store_true", help="print the number of passages only")
    options = parser.parse_args()
    found = 0
    for path in options.paths or [p for page in PAGES for p in sorted(ROOT.glob(page))]:
        for where, text in texts(path):
            for passage, why in passages(text):
                found += 1
                if not options.count:
                    print(f"{path.name} {where}: {why}: “{passage}”")
    if options.count:
        print(found)
    return min(found, 1)


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """The page's paragraphs, with where they are."""
    if path.suffix == ".ipynb":
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield cell.id, cell.source.partition("## References")[0]
    else:
        line = 1
        for paragraph in path.read_text(encoding="utf-8").split("\n\n"):
            yield f"line {line}", paragraph
            line += paragraph.count("\n") + 2


def passages(text: str) -> Iterator[tuple[str, str]]:
    """What is to be mended in a text, and why."""
    plain = LEFT_OUT.sub(" ", text)
    for match in PATTERN.finditer(plain):
        around = plain[max(0, match.start() - 30) : match.end() + 30]
        better = list(WORDS.values())[int(match.lastgroup[1:])]  # ty: ignore[not-subscriptable]
        yield " ".join(around.split()), f"{match[0].strip()!r}, better {better!r}"
    for paragraph in re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.)\s", plain):
        for sentence in re.split(r"(?<=[.!?:;])\s+", paragraph):
            if (count := len(re.findall(r"[^\W\d][\w’'-]*", sentence))) > LONGEST:
                yield " ".join(sentence.split())[:90], f"{count} words"


if __name__ == "__main__":
    sys.exit(main())
