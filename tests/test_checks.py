"""Every exercise: its folded solution is right, typical mistakes get their hints."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch

import gradcam_video as gv

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def folded_solutions() -> dict[str, str]:
    """name -> source of every function that a folded block defines."""
    found = {}
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type != "markdown":
                continue
            for block in re.findall(r"<details>.*?</details>", cell.source, re.DOTALL):
                for source in re.findall(r"```python\n(.*?)```", block, re.DOTALL):
                    for name in re.findall(r"^\s*def (\w+)\(", source, re.MULTILINE):
                        found[name] = textwrap.dedent(source)
    return found


def wrong_answers() -> list[tuple[str, str, str]]:
    rows = []
    for path in sorted((ROOT / "tests" / "wrong").glob("chapter*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        rows += [(name, *row) for name, answers in module.WRONG.items() for row in answers]
    return rows


def function(name: str, source: str) -> Any:
    scope: dict[str, Any] = {"np": np, "torch": torch, "gv": gv}
    exec(source, scope)
    return scope[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", gv.check.names())
def test_the_solution_is_right(name: str) -> None:
    verdict = getattr(gv.check, name)(function(name, folded_solutions()[name]))
    assert verdict.right, verdict.words
    assert repr(verdict) == "right"


@pytest.mark.parametrize("name", gv.check.names())
def test_nothing_written_is_no_mistake(name: str) -> None:
    assert repr(getattr(gv.check, name)(lambda *args: None)) == "not written yet"


@pytest.mark.parametrize(("name", "source", "hint"), wrong_answers())
def test_a_typical_mistake_gets_its_hint(name: str, source: str, hint: str) -> None:
    verdict = getattr(gv.check, name)(function(name, source))
    assert not verdict.right
    assert hint in verdict.words


@pytest.mark.parametrize("name", gv.check.names())
def test_two_mistakes_are_known(name: str) -> None:
    assert sum(row[0] == name for row in wrong_answers()) >= 2


def test_an_answer_that_raises_is_told_so() -> None:
    verdict = gv.check.share_inside(lambda *args: 1 / 0)
    assert "ZeroDivisionError" in verdict.words


def test_an_unknown_check_names_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="share_inside"):
        _ = gv.check.nothing_of_the_kind


def test_every_check_is_asked_in_a_notebook() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)
    for name in gv.check.names():
        assert f"gv.check.{name}({name})" in text
