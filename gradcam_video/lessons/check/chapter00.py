"""Checks of notebook 00."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["deciding_frame", "frames_seen", "share_inside"]


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
def frames_seen(answer: Callable[..., Any]) -> None:
    """First and last frame of a clip that can change a cell in frame t, after so many layers."""
    for t, layers, frames, right in (
        (8, 5, 16, (3, 13)), (0, 5, 16, (0, 5)), (15, 5, 16, (10, 15)), (8, 1, 16, (7, 9)),
        (8, 49, 16, (0, 15)), (2, 0, 16, (2, 2)),
    ):  # fmt: skip
        first, last = (int(value) for value in answer(t, layers, frames))
        if first < 0:
            raise Hint("a clip has no frame before frame 0")
        if last >= frames:
            raise Hint(f"a clip of {frames} frames ends with frame {frames - 1}")
        if layers > 1 and (first, last) == (max(0, t - 1), min(frames - 1, t + 1)):
            raise Hint("that is one layer: each further one reaches a frame further on both sides")
        if (first, last) != right:
            raise Hint(
                f"after {layers} layers a cell in frame {t} of {frames} sees the frames "
                f"{right[0]} to {right[1]}, not {first} to {last}"
            )


@exercise
def deciding_frame(answer: Callable[..., Any]) -> None:
    """The frame in which class a gains most over class b, of signed maps (K, T, h, w)."""
    signed = np.zeros((3, 4, 2, 2))
    signed[0, :, 0, 0] = [1, 5, 4, 0]  # frame 1: 5 for a, and 4 for b; frame 2: 4, and -3
    signed[1, :, 0, 0] = [0, 4, -3, 0]
    signed[2] = 9
    given = int(answer(signed.copy(), 0, 1))
    if given == 1:
        raise Hint("frame 1 speaks loudest for a; but nearly as loudly for b")
    if given != 2:
        raise Hint(f"of 1 5 4 0 for a and 0 4 -3 0 for b frame 2 gains most, not frame {given}")
    if int(answer(signed.copy(), 1, 0)) == 2:
        raise Hint("asked the other way round, a and b change places")
    signed[0, 3, 0], signed[1, 3, 0] = 6, -6  # two cells
    signed[0, 3, 1] = -20
    if int(answer(signed.copy(), 0, 1)) == 3:
        raise Hint("sum over the cells of a frame, with their signs; not the strongest cell")
