"""Check of notebook 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["rank_accuracy"]


@exercise
def rank_accuracy(answer: Callable[..., Any]) -> None:
    """Of the n largest values of a map (T, H, W), the share in the truth, which has n cells."""
    heat = np.array([[12, 11, 10, 1, 2, 3], [9, 8, 7, 6, 5, 4]], float).reshape(2, 2, 3)
    truth = np.array([[1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0]], bool).reshape(2, 2, 3)
    given = float(answer(heat.copy(), truth.copy()))
    if np.isclose(given, heat[truth].sum() / heat.sum()):
        raise Hint("that is energy; here a value counts by its rank alone")
    if np.isclose(given, 1 / 5):
        raise Hint("those are the 5 smallest values: argsort puts the smallest first")
    if np.isclose(given, 3):
        raise Hint("that counts them; asked is the share, of n")
    if np.isclose(given, (2 / 3 + 1 / 2) / 2):
        raise Hint("that takes each frame by itself; the n largest are those of the whole clip")
    if not np.isclose(given, 3 / 5):
        raise Hint(
            "the 5 largest are 12, 11, 10, 9 and 8, of which 12, 11 and 9 lie in the truth: 0.6, "
            f"not {given:.2f}"
        )
    if not np.isclose(float(answer(heat**3, truth)), 3 / 5):
        raise Hint("heat ** 3 has the same order: its rank accuracy must be the same")
