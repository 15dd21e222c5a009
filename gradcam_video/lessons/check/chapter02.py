"""Checks of notebook 02."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .verdict import Hint, exercise

__all__ = ["exact_frames", "inflate_with_arrow", "lopsided"]


@exercise
def lopsided(answer: Callable[..., Any]) -> None:
    """Which share of a filter's square sum changes its sign when time is reversed."""
    weight = torch.tensor([1.0, 2, 4]).reshape(1, 1, 3, 1, 1) * torch.ones(2, 1, 1, 1, 2)
    weight[1] = weight[1].flip(-1) * torch.tensor([1.0, -1.0])  # lopsided across, too
    given, right = float(answer(weight)), 4.5 / 21
    if abs(given - 4 * right) < 1e-4:
        raise Hint("half of the difference: w = (w + r) / 2 + (w - r) / 2")
    if abs(given - (1 - right)) < 1e-4:
        raise Hint("that is the part that stays the same backwards; asked is the other")
    if abs(given - float(((weight - weight.flip(4)) / 2).square().sum() / 84)) < 1e-4:
        raise Hint("that turns left and right round; time is the third axis")
    if abs(given - right) > 1e-4:
        raise Hint(f"a filter of 1, 2, 4 in time is lopsided by {right:.2f}, not {given:.2f}")
    if abs(float(answer(torch.ones(1, 1, 3, 2, 2)))) > 1e-6:
        raise Hint("an inflated filter is its own mirror image in time: 0")


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


@exercise
def inflate_with_arrow(answer: Callable[..., Any]) -> None:
    """2D filters as films (out, in, frames, h, w): their sum stays, and time gets an arrow."""
    weight = torch.arange(1.0, 37).reshape(2, 2, 3, 3)
    for frames in (3, 5):
        given = torch.as_tensor(answer(weight.clone(), frames))
        if given.shape != (2, 2, frames, 3, 3):
            raise Hint(f"the shape is (out, in, {frames}, h, w), not {tuple(given.shape)}")
        if not torch.allclose(given.sum(2), weight, rtol=1e-4):
            raise Hint("summed over time it must be the 2D filter, or a still video is not kept")
        if torch.allclose(given, given.flip(2)):
            raise Hint("it is its own mirror image in time: no arrow")
