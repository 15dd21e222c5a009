"""Checks of notebook 00."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["share_inside", "shifted_by"]


@exercise
def share_inside(answer: Callable[..., Any]) -> None:
    """Which share of a curve of evidence (T,) lies in the frames first to last."""
    curve = np.array([1.0, 0, 2, 3, 4, 0, 0, 10])
    given = float(answer(curve, 2, 4))
    if np.isclose(given, 5 / 20):
        raise Hint("the last frame is part of the action: a slice ends before its end")
    if np.isclose(given, 9):
        raise Hint("that is the sum; a share is the sum divided by that of the whole clip")
    if not np.isclose(given, 9 / 20):
        raise Hint(f"of 1 0 2 3 4 0 0 10 the frames 2 to 4 hold 9 of 20, not {given:.2f}")
    if not np.isclose(float(answer(curve, 0, 7)), 1):
        raise Hint("the share of all frames is 1")


@exercise
def shifted_by(answer: Callable[..., Any]) -> None:
    """By how many frames one curve (T,) must be moved to fit another best."""
    curve = np.array([0, 0, 1.0, 3, 2, 0, 0, 0, 0, 0])
    for frames in (3, 0, -2):
        given = int(answer(curve, np.roll(curve, frames)))
        if frames and given == -frames:
            raise Hint("the sign: later is positive")
        if given == frames + len(curve) - 1:
            raise Hint("the first entry of a full correlation is a shift by -(T - 1), not by 0")
        if given != frames:
            raise Hint(f"a curve moved by {frames} frames was found to be moved by {given}")
