"""Checks of notebook 05."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .exercise import Hint, exercise

__all__ = ["decisive_frames", "peak_frame"]


@exercise
def decisive_frames(answer: Callable[..., Any]) -> None:
    """First and last frame of the shortest run that holds a share of a curve (T,)."""
    curve = np.array([3.0, 0, 0, 4, 4, 1, 0, 0])
    for share, right in ((0.5, (3, 4)), (0.3, (3, 3)), (1.0, (0, 5))):
        given = tuple(int(t) for t in answer(curve, share))
        if given == (right[0], right[1] + 1):
            raise Hint("the last frame is meant, not the one behind it")
        held = curve[given[0] : given[1] + 1].sum() / curve.sum()
        if held < share - 1e-9:
            raise Hint(f"frames {given[0]} to {given[1]} hold {held:.0%}; asked were {share:.0%}")
        if given[1] - given[0] > right[1] - right[0]:
            raise Hint(f"{right[1] - right[0] + 1} frames are enough for {share:.0%}: the shortest")


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
