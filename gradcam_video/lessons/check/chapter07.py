"""Checks of notebook 07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .verdict import Hint, exercise

__all__ = ["kind", "rank"]


@exercise
def rank(answer: Callable[..., Any]) -> None:
    """The place of the true class among the predictions; 1 is first."""
    p = [0.1, 0.5, 0.15, 0.25]
    for true, right in ((1, 1), (3, 2), (0, 4)):
        given = int(answer(p, true))
        if given == right - 1:
            raise Hint("the first place is 1, not 0")
        if given == len(p) + 1 - right:
            raise Hint("the most probable class comes first")
        if given != right:
            raise Hint(f"class {true} of {p} has place {right}, not {given}")


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
