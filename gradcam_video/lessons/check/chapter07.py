"""Checks of notebook 07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["culprit", "is_edit", "kind"]


@exercise
def kind(answer: Callable[..., Any]) -> None:
    """Positive, medium or negative, by the rule of `cases`."""
    for p, true, right, hint in (
        ([0.6, 0.2, 0.2], 0, "positive", ""),
        ([0.45, 0.35, 0.2], 0, "medium", "first by less than 0.3 is medium"),
        ([0.35, 0.45, 0.2], 0, "medium", "second by less than 0.3 is medium, too"),
        ([0.3, 0.35, 0.35], 0, "negative", "two classes before it: negative, however close"),
        ([0.1, 0.7, 0.2], 0, "negative", "second, but by more than 0.3: negative"),
    ):
        given = answer(p, true)
        if given != right:
            raise Hint(hint or f"{p}, true class {true}: {right}, not {given!r}")


@exercise
def is_edit(answer: Callable[..., Any]) -> None:
    """Whether anything changed in the middle square, which is all that the network sees."""
    before = np.zeros((3, 6, 10, 3), np.uint8)
    if answer(before, before.copy()):
        raise Hint("two equal clips: nothing was edited")
    for column, right in ((0, False), (1, False), (2, True), (7, True), (8, False)):
        after = before.copy()
        after[1, 2, column] = 9
        given = bool(answer(before, after))
        if given and not right:
            raise Hint("a change outside the middle square is not seen by the network")
        if right and not given:
            raise Hint(f"of 10 columns and 6 rows the network sees columns 2 to 7, {column} too")
    after = before.copy()
    after[2, 5, 4] = 1
    if not answer(before, after):
        raise Hint("every frame and every row count, and so does a change by 1")


@exercise
def culprit(answer: Callable[..., Any]) -> None:
    """The first suspect that its own test convicts: label, sampling, world or network."""
    no, third = [False] * 12, [True, False, False] * 4
    for arguments, right, hint in (
        (("a", ("b",), no, False, [False], False), "network", "no test convicts anybody"),
        (("a", ("a",), no, False, [False], False), "label", "the answer is true: the label"),
        (("a", ("a",), third, True, [True], False), "label", "the order: the label comes first"),
        (("a", (), third, False, [False], False), "sampling", "4 of 12 are enough"),
        (("a", (), no[:-3] + [True] * 3, False, [False], False), "network", "3 of 12 are too few"),
        (("a", (), no, True, [False], False), "sampling", "12 frames a second count, too"),
        (("a", (), no, False, [False, True], False), "world", "one edit is enough"),
        (("a", (), no, False, [True], True), "network", "new grain does the same: no evidence"),
        (("a", (), third, False, [True], False), "sampling", "the sampling before the world"),
        (("a", (), no, False, [], True), "network", "new grain alone convicts nobody"),
    ):
        given = answer(*arguments)
        if given != right:
            raise Hint(f"{hint}: {right}, not {given!r}")
