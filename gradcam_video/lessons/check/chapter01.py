"""Checks of notebook 01."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["frames_needed", "sampled"]


@exercise
def sampled(answer: Callable[..., Any]) -> None:
    """Which frames of a film are on screen at 0, 1/4, … 15/4 seconds; the last one stands in."""
    for frames, rate in ((60, 12), (30, 12), (200, 30)):
        given = np.asarray(answer(frames, rate))
        right = np.minimum((np.arange(16) / 4 * rate).astype(int), frames - 1)
        if given.shape != (16,):
            raise Hint(f"sixteen numbers, not {given.shape}")
        if given.max() >= frames:
            raise Hint(f"a film of {frames} frames has no frame {given.max()}: the last stands in")
        if np.array_equal(given, np.linspace(0, frames - 1, 16).astype(int)):
            raise Hint("spread evenly, a short film would play slower: four a second it must be")
        if not np.array_equal(given, right):
            raise Hint(f"of {frames} frames at {rate} a second: {right.tolist()}")


@exercise
def frames_needed(answer: Callable[..., Any]) -> None:
    """How many frames a film must have so that `count` can be taken without a repeat."""
    for count, per_second, rate, right in ((16, 4, 12, 46), (8, 4, 12, 22), (16, 4, 30, 113)):
        given = int(answer(count, per_second, rate))
        if given == count * rate // per_second:
            raise Hint("from the first frame to the last there are one fewer steps than frames")
        if given == right - 1:
            raise Hint("counted from 0 the last frame has that number; so there is one more")
        if given != right:
            raise Hint(f"{count} frames, {per_second} a second, at {rate}: {right}, not {given}")
