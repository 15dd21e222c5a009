"""Checks of notebook 08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["energy_inside", "freeze", "half_way"]


@exercise
def energy_inside(answer: Callable[..., Any]) -> None:
    """Which share of a map (T, H, W) lies in the truth, bool (T, H, W); an empty map has none."""
    heat = np.zeros((2, 3, 3))
    heat[0, 0, 0], heat[1, 2, 2], heat[1, 0, 1] = 3, 1, 4
    truth = np.zeros((2, 3, 3), bool)
    truth[0], truth[1, 2] = True, True
    given = float(answer(heat, truth))
    if np.isclose(given, heat[truth].mean()):
        raise Hint("that is the mean inside the truth; asked is the share of the whole map")
    if np.isclose(given, 4):
        raise Hint("that is the sum inside the truth; divide it by the sum of the map")
    if np.isclose(given, truth[heat > 0].mean()):
        raise Hint("that counts cells; how much evidence they hold counts, too")
    if not np.isclose(given, 0.5):
        raise Hint(f"4 of 8 lie inside: 0.5, not {given:.2f}")
    with np.errstate(all="ignore"):
        if float(answer(np.zeros_like(heat), truth)) != 0:
            raise Hint("an empty map has no evidence anywhere: its share is 0, not a division by 0")


@exercise
def freeze(answer: Callable[..., Any]) -> None:
    """A copy of frames (T, H, W, 3) in which frames first to last all show frame first."""
    frames = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    before = frames.copy()
    given = np.asarray(answer(frames, 2, 4))
    if not np.array_equal(frames, before):
        raise Hint("the clip that came in was changed: work on a copy")
    if given.shape != frames.shape:
        raise Hint(f"the clip keeps its length: {given.shape} is not {frames.shape}")
    numbers = given[:, 0, 0, 0].tolist()
    if numbers == [0, 1, 2, 2, 4, 5]:
        raise Hint("the last frame is frozen, too: a slice ends before its end")
    if numbers != [0, 1, 2, 2, 2, 5]:
        raise Hint(f"frames 0 to 5, frozen from 2 to 4, should be 0 1 2 2 2 5, not {numbers}")


@exercise
def half_way(answer: Callable[..., Any]) -> None:
    """Share of the cells at which half of the logit is gone, linear between those measured.

    Half of what can be lost: from the first value down to the last. A curve that turns back counts
    where it first comes there.
    """
    shares, logits = np.array([0, 0.1, 0.2, 0.4]), np.array([10.0, 8.0, 4.0, 2.0])
    given = float(answer(shares, logits))
    if np.isclose(given, 0.2):
        raise Hint("that is the first measured share below half-way; go between the two")
    if np.isclose(given, 0.175):
        raise Hint("half of the first value is 5; half of what is lost, from 10 to 2, is at 6")
    if np.isclose(given, np.interp(6.0, logits, shares)):
        raise Hint("np.interp wants values that rise: turn both round")
    if not np.isclose(given, 0.15):
        raise Hint(f"10, 8, 4, 2 at 0, 0.1, 0.2, 0.4 is at 6 half-way down: 0.15, not {given:.3f}")
    back = float(answer(np.array([0, 0.1, 0.2, 0.3]), np.array([4.0, -2.0, 3.0, 0.0])))
    if not np.isclose(back, 1 / 30):
        raise Hint(f"a curve that comes back counts where it first is half-way, not at {back:.3f}")
