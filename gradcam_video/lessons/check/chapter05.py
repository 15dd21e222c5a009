"""Checks of notebook 05."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["known_by", "peak_frame", "printed_kind"]


@exercise
def known_by(answer: Callable[..., Any]) -> None:
    """The frame by which a share of all evidence of a curve (T,) has been seen."""
    curve = np.array([1.0, 0, 2, 3, 0, 4, 0])
    for share, right in ((0.5, 3), (0.1, 0), (0.9, 5), (1.0, 5)):
        given = int(answer(curve, share))
        if given == right + 1:
            raise Hint("frames are counted from 0")
        if given == int(curve.argmax()) and given != right:
            raise Hint("that is the strongest frame; asked is when enough of the sum has come")
        seen = curve[: given + 1].sum() / curve.sum()
        if given != right:
            raise Hint(f"by frame {given} there is {seen:.0%} of the evidence; asked: {share:.0%}")


@exercise
def peak_frame(answer: Callable[..., Any]) -> None:
    """The frame with the most evidence among those that are no repeats."""
    curve = np.array([0.0, 2, 1, 5, 5, 5])
    repeated = np.array([False, False, False, True, True, True])
    given = int(answer(curve, repeated))
    if given >= 3:
        raise Hint("a repeated frame is a picture that stands still: it does not count")
    if given != 1:
        raise Hint(f"the strongest that is no repeat is frame 1, not {given}")
    if int(answer(np.array([-3.0, -1, -2, -5, -5, -5]), repeated)) != 1:
        raise Hint("a repeated frame must not win when all others are below zero")


@exercise
def printed_kind(answer: Callable[..., Any]) -> None:
    """The kind of a case of which only the two likeliest answers are known."""
    cases = (
        ("a", "a", 0.80, "b", 0.10, "positive", "first, and clearly: that is positive"),
        ("a", "a", 0.43, "b", 0.20, "medium", "first, but by less than 0.3: that is medium"),
        ("a", "b", 0.34, "a", 0.25, "medium", "second by less than 0.3 is medium, too"),
        ("a", "b", 0.97, "a", 0.01, "negative", "second, but far behind: that is negative"),
        ("a", "b", 0.21, "c", 0.21, "negative", "a true class that is not among the first two "
         "is negative, however close these two are"),
    )  # fmt: skip
    for true, first, p_first, second, p_second, right, words in cases:
        given = answer(true, first, p_first, second, p_second)
        if given not in ("positive", "medium", "negative"):
            raise Hint(f"give 'positive', 'medium' or 'negative', not {given!r}")
        if given != right:
            raise Hint(f"true {true}; {first} {p_first}, {second} {p_second}: {words}")
