"""Checks of notebook 04."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .verdict import Hint, exercise

__all__ = ["class_map", "misled_head", "softmax_weights", "unit_scale"]


@exercise
def class_map(answer: Callable[..., Any]) -> None:
    """Grad-CAM's map (T, h, w) from weights (C,) and activations (C, T, h, w): equation 2."""
    weights = torch.tensor([2.0, -1.0])
    activations = torch.stack([torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[1.0, 3.0]]])])
    given = torch.as_tensor(answer(weights, activations))
    if given.shape != (1, 1, 2):
        raise Hint(f"the channels are summed, the rest stays: (1, 1, 2), not {tuple(given.shape)}")
    if torch.allclose(given, torch.tensor([[[1.0, -3.0]]])):
        raise Hint("what speaks against the class is cut off: ReLU")
    if torch.allclose(given, torch.tensor([[[2.0, 0.0]]])):
        raise Hint("first the sum over all channels, then ReLU; not each channel by itself")
    if not torch.allclose(given, torch.tensor([[[1.0, 0.0]]])):
        raise Hint(f"2·(1, 0) − 1·(1, 3), cut at zero, is (1, 0), not {given.flatten().tolist()}")


@exercise
def unit_scale(answer: Callable[..., Any]) -> None:
    """A signed map (T, h, w), cut at zero and divided by its maximum; an empty one stays zero."""
    cells = np.array([[[-1.0, 1.0]], [[2.0, 4.0]]])
    given = np.asarray(answer(cells.copy()))
    if given.shape != cells.shape:
        raise Hint(f"the shape stays: {cells.shape}, not {given.shape}")
    if np.allclose(given, (cells + 1) / 5):
        raise Hint("that stretches from the minimum: cut at zero first, and subtract nothing")
    if np.allclose(given, cells / 4):
        raise Hint("what speaks against the class is still there, below zero")
    if np.allclose(given, [[[0, 1]], [[0.5, 1]]]):
        raise Hint("each frame is scaled by itself: that hides when")
    if not np.allclose(given, [[[0, 0.25]], [[0.5, 1]]]):
        raise Hint(f"(-1, 1), (2, 4) becomes (0, 0.25), (0.5, 1), not {given.flatten().tolist()}")
    positive = np.asarray(answer(cells + 2))
    if not np.allclose(positive, (cells + 2) / 6):
        raise Hint("a map that is positive everywhere loses its floor: subtract nothing")
    with np.errstate(all="ignore"):
        empty = np.asarray(answer(-(cells[:1] ** 2)))
    if not np.isfinite(empty).all():
        raise Hint("an empty map is divided by zero: it must stay all zeros")
    if empty.any():
        raise Hint("an empty map must stay all zeros, and not glow")


@exercise
def softmax_weights(answer: Callable[..., Any]) -> None:
    """Weights (C,) of the probability p[k], from those of all logits (K, C) and p (K,).

    The chain rule through softmax: alpha' = p[k] · (alpha[k] - sum over j of p[j] · alpha[j]).
    """
    alpha = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0], [-1.0, 4.0, 2.0]])
    p = np.array([0.7, 0.2, 0.1])
    mean = p @ alpha  # (C,)
    for k in (0, 2):
        given = np.asarray(answer(alpha.copy(), p.copy(), k))
        if given.shape != (3,):
            raise Hint(f"one weight per channel: (3,), not {given.shape}")
        if np.allclose(given, p[k] * alpha[k]) or np.allclose(given, p[k] * (1 - p[k]) * alpha[k]):
            raise Hint("softmax ties the classes: other logits pull p[k] down, each by its share")
        if np.allclose(given, alpha[k] - mean):
            raise Hint("one factor is missing: a class that is not likely has hardly any slope")
        if not np.allclose(given, p[k] * (alpha[k] - mean)):
            right = (p[k] * (alpha[k] - mean)).round(3).tolist()
            raise Hint(f"for class {k}: {right}, not {given.round(3).tolist()}")


@exercise
def misled_head(answer: Callable[..., Any]) -> None:
    """A head (C, T, h, w) -> number that does not use the cell which Grad-CAM calls the brightest.

    The largest activations are those of column 0.
    """
    cells = 1 + torch.arange(96.0).reshape(2, 3, 4, 4).sin()  # (C, T, h, w), nothing below zero
    cells[..., 0] += 3
    given = cells.clone().requires_grad_()
    y = answer(given)
    if not isinstance(y, torch.Tensor) or y.numel() != 1:
        raise Hint("a head gives one number, as a tensor: cells.mean() would be one")
    if not y.requires_grad:
        raise Hint("the number must come from the cells by torch's own functions")
    gradient = torch.autograd.grad(y.sum(), given)[0]  # (C, T, h, w)
    if not gradient.any():
        raise Hint("this head does not read the cells at all: its gradient is zero everywhere")
    alpha = gradient.mean((1, 2, 3))  # (C,)
    film = torch.einsum("c,cthw->thw", alpha, cells).relu()
    if not film.any():
        raise Hint("Grad-CAM's map of this head is empty: let the cells push the number up")
    at = [int(i) for i in np.unravel_index(int(film.argmax()), film.shape)]
    without = cells.clone()
    without[:, at[0], at[1], at[2]] = 0
    before, after = y.item(), answer(without).item()
    if not np.isclose(before, after):
        raise Hint(
            f"Grad-CAM is brightest in cell {tuple(at)}. Without it the number goes from "
            f"{before:.3f} to {after:.3f}: the head uses it"
        )
