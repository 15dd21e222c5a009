"""Checks of notebook 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .exercise import Hint, exercise

__all__ = ["exact_frames", "inflated"]


@exercise
def inflated(answer: Callable[..., Any]) -> None:
    """Filters (out, in, h, w) as little films (out, in, frames, h, w), as I3D does it."""
    weight = torch.arange(12.0).reshape(2, 1, 2, 3)
    for frames in (3, 5):
        given = torch.as_tensor(answer(weight, frames))
        shape = (2, 1, frames, 2, 3)
        if tuple(given.shape) != shape:
            raise Hint(f"time comes third: {shape}, not {tuple(given.shape)}")
        if torch.allclose(given, weight[:, :, None].expand(shape)):
            raise Hint("divide by the length, or a still video answers so many times too strongly")
        if not torch.allclose(given.sum(2), weight):
            raise Hint("summed over time the film must give the picture filter again")
        if not torch.allclose(given, given[:, :, :1].expand(shape)):
            raise Hint("I3D shows the same picture in every frame")


@exercise
def exact_frames(answer: Callable[..., Any]) -> None:
    """How many frames of a still video are exact after so many zero-padded layers of kernel 3."""
    for frames, layers in ((16, 0), (16, 1), (16, 7), (16, 8), (16, 20), (5, 2)):
        given, right = int(answer(frames, layers)), max(0, frames - 2 * layers)
        if given < 0:
            raise Hint("there are never fewer than none")
        if given == frames - layers and layers:
            raise Hint("the error comes from both ends")
        if given != right:
            raise Hint(f"of {frames} frames {right} are exact after {layers} layers, not {given}")
