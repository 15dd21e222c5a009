"""Checks of notebook 06."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .verdict import Hint, exercise

__all__ = ["against_all", "from_biases", "held_still"]


@exercise
def from_biases(answer: Callable[..., Any]) -> None:
    """How much of the lead of one logit over another comes from no cell, from (K,) and maps."""
    signed = np.arange(36.0).reshape(3, 3, 2, 2) / 9 - 2  # each map adds up to its logit minus b
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


@exercise
def held_still(answer: Callable[..., Any]) -> None:
    """The frames, with one window that shows the same frame all the time."""
    frames = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
    before = frames.copy()
    rows, columns = slice(1, 3), slice(4, 8)
    given = np.asarray(answer(frames, 2, rows, columns))
    if not np.array_equal(frames, before):
        raise Hint("the frames that came in were changed: work on a copy")
    if given.shape != frames.shape:
        raise Hint(f"all frames, {frames.shape}, not {given.shape}")
    inside = np.zeros(frames.shape, bool)
    inside[:, rows, columns] = True
    if not np.array_equal(given[~inside], frames[~inside]):
        raise Hint("outside the window everything stays as it was")
    if not (given[:, rows, columns] == frames[2, rows, columns]).all():
        raise Hint("inside the window every frame shows what frame t shows there")


@exercise
def against_all(answer: Callable[..., Any]) -> None:
    """The signed map of log(p / (1 - p)): the class against all others, (T, h, w)."""
    signed = np.random.default_rng(0).normal(size=(4, 3, 2, 2))
    logits = np.array([2.0, 1.0, 0.5, -1.0])
    before = logits.copy()
    others = np.exp(logits[[0, 2, 3]])
    right = signed[1] - np.tensordot(others / others.sum(), signed[[0, 2, 3]], axes=1)
    given = np.asarray(answer(signed, logits, 1))
    if not np.array_equal(logits, before):
        raise Hint("the logits that came in were changed: work on a copy")
    if given.shape != (3, 2, 2):
        raise Hint(f"one map: (3, 2, 2), not {given.shape}")
    if np.allclose(given, signed[1] - signed[[0, 2, 3]].mean(0)):
        raise Hint("the others do not count alike: weight them by their softmax")
    p = np.exp(logits) / np.exp(logits).sum()
    if np.allclose(given, signed[1] - np.tensordot(p, signed, axes=1)):
        raise Hint("the class itself is none of the others: leave it out of the softmax")
    if np.allclose(given, signed[1] - signed[0]):
        raise Hint("that is the map against one rival; asked is the one against all")
    if not np.allclose(given, right):
        raise Hint("its own map minus the mean of the others, weighted by their softmax")
