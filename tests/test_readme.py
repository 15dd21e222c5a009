"""The README's table of libraries: every entry of ours leads to a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "README.md").read_text()


def rows() -> list[list[str]]:
    """The table's rows that say something, cell by cell."""
    section = PAGE.split("## Beside other libraries")[1].split("\n## ")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"]
    return [row for row in lines[2:] if not row[0].startswith("**")]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_what_is_said_of_us_is_tested(row: list[str]) -> None:
    said = re.fullmatch(r'\[[^]]+\]\((tests/test_\w+\.py) "(test_\w+)"\)', row[1])
    assert said, f"no test is named: {row[1]}"
    tests = ast.parse((ROOT / said[1]).read_text())
    assert said[2] in {f.name for f in tests.body if isinstance(f, ast.FunctionDef)}


def test_the_table_is_not_empty() -> None:
    assert len(rows()) > 20
