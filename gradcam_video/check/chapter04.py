"""Checks of notebook 04."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .exercise import Hint, exercise

__all__ = ["channel_weights", "class_map"]


@exercise
def channel_weights(answer: Callable[..., Any]) -> None:
    """Grad-CAM's weights (C,) from a gradient (C, T, h, w): equation 1."""
    gradient = torch.arange(48.0).reshape(2, 3, 2, 4) - 20
    right = gradient.flatten(1).mean(1)  # (C,)
    given = torch.as_tensor(answer(gradient))
    if given.shape == (2, 3):
        raise Hint("time is averaged, too: one weight per channel for the whole clip")
    if given.shape != (2,):
        raise Hint(f"one weight per channel: (2,), not {tuple(given.shape)}")
    if torch.allclose(given, right * 24):
        raise Hint("that is the sum; the weight is the mean, 1 / Z times the sum")
    if torch.allclose(given, gradient.relu().flatten(1).mean(1)):
        raise Hint("negative gradients count: cutting them is Grad-CAM++, not Grad-CAM")
    if not torch.allclose(given, right):
        raise Hint(f"the weights of a small gradient are {right.tolist()}, not {given.tolist()}")


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
