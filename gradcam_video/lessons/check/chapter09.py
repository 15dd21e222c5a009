"""Checks of notebook 09."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["upright", "window_starts"]


@exercise
def upright(answer: Callable[..., Any]) -> None:
    """Frames (T, H, W, 3), turned clockwise by so many quarter turns."""
    frames = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    for turns in (1, 2, 3, 0):
        given = np.asarray(answer(frames, turns))
        right = np.rot90(frames, -turns, axes=(1, 2))
        if turns % 2 and given.shape == np.rot90(frames, turns, axes=(0, 1)).shape:
            raise Hint("that turns time into rows: the picture's axes are 1 and 2")
        if given.shape != right.shape:
            raise Hint(f"{frames.shape} becomes {right.shape}, not {given.shape}")
        if turns % 2 and np.array_equal(given, np.rot90(frames, turns, axes=(1, 2))):
            raise Hint("that is anticlockwise")
        if not np.array_equal(given, right):
            raise Hint(f"{turns} quarter turns clockwise give another picture")


@exercise
def window_starts(answer: Callable[..., Any]) -> None:
    """First frames of windows that cover a film whole; the last one ends with it."""
    for length, size, step, right in (
        (32, 16, 8, [0, 8, 16]),
        (30, 16, 8, [0, 8, 14]),
        (16, 16, 8, [0]),
        (10, 16, 8, [0]),
    ):
        given = [int(start) for start in answer(length, size, step)]
        if given and max(given) + size > length > size:
            raise Hint(f"a window that begins at {max(given)} ends behind the film of {length}")
        if length > size and (not given or max(given) + size < length):
            raise Hint(f"the last frames of a film of {length} are in no window")
        if length <= size and given != [0]:
            raise Hint("a film no longer than a window has one, from 0")
        if given != right:
            raise Hint(f"{length} frames, windows of {size} every {step}: {right}, not {given}")
