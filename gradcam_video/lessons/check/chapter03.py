"""Checks of notebook 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["epoch_hours", "mirrored_label"]


@exercise
def mirrored_label(answer: Callable[..., Any]) -> None:
    """What a class is called when its clips are mirrored: left and right exchanged."""
    there, back = "Moving [something] from left to right", "Moving [something] from right to left"
    if answer(there) == "Moving [something] from left to left":
        raise Hint("the second replacement undoes the first: both must happen at once")
    if answer(there) == "Moving [something] from right to right":
        raise Hint("only one of the two words was exchanged")
    if answer(there) != back or answer(back) != there:
        raise Hint(f"{there!r} becomes {answer(there)!r}")
    if answer("Opening [something]") != "Opening [something]":
        raise Hint("a class without left and right stays what it is")


@exercise
def epoch_hours(answer: Callable[..., Any]) -> None:
    """Hours of an epoch, from the clips, GMAC per forward and sustained TFLOP/s."""
    hours = 40_000 * 100e9 * 6 / 10e12 / 3600
    given = float(answer(40_000, 100, 10))
    for factor, words in (
        (1 / 2, "a multiply-accumulate is two operations"),
        (1 / 3, "back costs about twice as much as forward: three forwards in all"),
        (1 / 6, "neither the way back nor the two operations of a MAC are counted"),
        (3600, "those are seconds"),
        (60, "those are minutes"),
    ):
        if np.isclose(given, hours * factor):
            raise Hint(words)
    if not np.isclose(given, hours):
        raise Hint(f"40,000 clips, 100 GMAC, 10 TFLOP/s: {hours:.2f} hours, not {given:.3g}")
