"""Checks of notebook 08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["energy_inside", "half_way", "paired"]


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


@exercise
def paired(answer: Callable[..., Any]) -> None:
    """Mean of the differences of the same n clips, and its 95 % interval, by the normal."""
    one, other = np.array([5.0, 9.0, 2.0, 8.0]), np.array([3.0, 8.0, 1.0, 4.0])
    mean, low, high = (float(value) for value in answer(one.copy(), other.copy()))
    if np.isclose(mean, -2):
        raise Hint("that is the other minus the one")
    if not np.isclose(mean, 2):
        raise Hint(f"the differences are 2, 1, 1 and 4: their mean is 2, not {mean:.2f}")
    half = (high - low) / 2
    if np.isclose(half, 1.96 * np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 4)):
        raise Hint("that is the interval of two groups of clips; subtract first, clip by clip")
    if np.isclose(half, 1.96 * np.sqrt(1.5) / 2):
        raise Hint("divide by n - 1 within the standard deviation: ddof=1")
    if np.isclose(half, 1.96 * np.sqrt(2)):
        raise Hint("that is the spread of the clips; that of their mean is smaller by √n")
    if not (np.isclose(half, 1.96 * np.sqrt(2) / 2) and np.isclose((low + high) / 2, mean)):
        raise Hint(f"2 ± 1.96 · √2 / √4 is 0.61 to 3.39, not {low:.2f} to {high:.2f}")
