"""Checks of notebook 06."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["decision", "from_biases", "rival"]


@exercise
def rival(answer: Callable[..., Any]) -> None:
    """The index of the most probable class other than the true one."""
    p = np.array([0.1, 0.5, 0.1, 0.3])
    before = p.copy()
    for true, right in ((1, 3), (3, 1), (0, 1)):
        given = int(answer(p, true))
        if not np.array_equal(p, before):
            raise Hint("the probabilities that came in were changed: work on a copy")
        if given == true:
            raise Hint("the true class is not its own rival")
        if given != right:
            raise Hint(f"the rival of class {true} is {right}, not {given}")


@exercise
def decision(answer: Callable[..., Any]) -> None:
    """Signed map of the true class less that of another, summed over space: (T,)."""
    signed = np.arange(36.0).reshape(3, 3, 2, 2) - 15
    right = (signed[0] - signed[2]).sum((1, 2))
    given = np.asarray(answer(signed, 0, 2))
    if given.shape != (3,):
        raise Hint(f"one number per frame: (3,), not {given.shape}")
    if np.allclose(given, -right):
        raise Hint("the sign: above zero speaks for the true class")
    cut = np.maximum(signed, 0)
    if np.allclose(given, (cut[0] - cut[2]).sum((1, 2))):
        raise Hint("what speaks against a class counts, too: no ReLU")
    if not np.allclose(given, right):
        raise Hint(f"{right.tolist()}, not {given.tolist()}")


@exercise
def from_biases(answer: Callable[..., Any]) -> None:
    """How much of the lead of one logit over another comes from no cell, from (K,) and maps."""
    signed = np.arange(36.0).reshape(3, 3, 2, 2) / 9 - 2  # each map adds up to its logit less b
    biases = np.array([0.5, -1.0, 2.0])
    logits = signed.sum((1, 2, 3)) + biases
    given = float(answer(logits, signed, 0, 1))
    if np.isclose(given, logits[0] - logits[1]):
        raise Hint("that is the whole lead: take off what the cells give")
    if np.isclose(given, (signed[0] - signed[1]).sum()):
        raise Hint("that is what the cells give; asked is the rest")
    cut = np.maximum(signed, 0)
    if np.isclose(given, logits[0] - logits[1] - (cut[0] - cut[1]).sum()):
        raise Hint("what speaks against a class counts, too: no ReLU")
    if not np.isclose(given, 1.5):
        raise Hint(f"biases of 0.5 and -1 make a lead of 1.5, not {given:.2f}")
