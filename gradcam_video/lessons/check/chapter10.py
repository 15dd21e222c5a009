"""Checks of notebook 10."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["rank_accuracy", "undominated"]


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


@exercise
def undominated(answer: Callable[..., Any]) -> None:
    """Which rows (n, m), higher is better, no other row beats: bool (n,).

    A row is beaten by one that is at least as good in every column and better in one.
    """
    scores = np.array([[3, 1], [2, 2], [1, 3], [2, 1], [0, 0], [2, 2]], float)
    before = scores.copy()
    given = np.asarray(answer(scores))
    if not np.array_equal(scores, before):
        raise Hint("the table that came in was changed: work on a copy")
    if given.shape != (6,):
        raise Hint(f"one answer for each of the 6 rows: {given.shape} is not (6,)")
    rows = [i for i in range(6) if given[i]]
    if rows == [0, 2]:
        raise Hint(
            "rows 1 and 5 are equal, and neither is better: a row is beaten only by one that is "
            "better somewhere"
        )
    if rows == [3, 4]:
        raise Hint("those are the rows that are beaten")
    if rows == [0, 1, 2, 3, 5]:
        raise Hint(
            "row 3 (2, 1) is beaten by row 1 (2, 2): equal in one column, better in the other"
        )
    if rows != [0, 1, 2, 5]:
        raise Hint(f"rows 0, 1, 2 and 5 are beaten by none; you have {rows}")
