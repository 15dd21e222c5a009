"""Random changes of training clips: crop, colour, speed, and mirroring with its labels.

They make more clips of few without making another action of one: all frames of a clip get the same
crop, mirror and tint. What is drawn depends on the generator alone, which training seeds by (seed,
epoch, clip): never on the process or the batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import BadInput
from .labels import normalise_label

_SIDES = {"left": "right", "right": "left"}


def cover(frames: Tensor, shape: tuple[int, int]) -> Tensor:
    """Frames uint8 `(T, H, W, 3)` scaled so that they just cover `shape`; their centre."""
    height, width = frames.shape[1:3]
    ratio = max(shape[0] / height, shape[1] / width)
    rows, columns = max(round(height * ratio), shape[0]), max(round(width * ratio), shape[1])
    frames = scaled(frames, (rows, columns))
    top, left = (rows - shape[0]) // 2, (columns - shape[1]) // 2
    return frames[:, top : top + shape[0], left : left + shape[1]].contiguous()


def scaled(frames: Tensor, shape: tuple[int, int]) -> Tensor:
    """Frames uint8 `(T, H, W, 3)` in another size, as `VideoModel.preprocess` scales them."""
    if tuple(frames.shape[1:3]) == tuple(shape):
        return frames
    picture = frames.permute(0, 3, 1, 2)  # (T, 3, H, W)
    picture = nn.functional.interpolate(picture, shape, mode="bilinear", antialias=True)
    return picture.permute(0, 2, 3, 1)  # (T, h, w, 3)


# --- random changes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Augment:
    """What may change at random in a training clip; the same for all its frames.

    Attributes:
        flip: mirror every second clip, left and right; the label follows (`mirror`).
        crop: smallest and largest side of the cut, of the frame's short side. It may lie
            anywhere, so with (0.7, 1) things move by up to 30 % of the side.
        brightness, contrast, saturation: largest change, as a share.
        tempo: largest change of speed, as a share; frames are repeated or left out.
        time_shift: largest shift in frames; the first or last frame fills the gap.
    """

    flip: bool = True
    crop: tuple[float, float] = (0.7, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    tempo: float = 0.0
    time_shift: int = 0

    def __post_init__(self) -> None:
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise BadInput(f"crop = {list(self.crop)}: give two shares of the side, as [0.7, 1.0]")
        for name in ("brightness", "contrast", "saturation", "tempo"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} = {getattr(self, name)}: give a share, 0 or more, below 1")
        if self.time_shift < 0:
            raise BadInput(f"time_shift = {self.time_shift}: give a number of frames, 0 or more")

    def __call__(
        self, frames: Tensor, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Tensor, bool]:
        """Change one clip.

        Args:
            frames: uint8 `(T, H, W, 3)`.
            size: (h, w) of the result.
            rng: draws; the same generator gives the same result.

        Returns:
            uint8 `(T, h, w, 3)`, and whether it was mirrored.
        """
        # All draws are made whatever is switched on: a switch does not change the others.
        zoom, down, along, mirrored = rng.random(4)
        bright, contrast, colour, speed, shift = rng.uniform(-1, 1, 5)
        frames = self._retimed(frames, float(speed), float(shift))
        frames = self._cut(frames, size, (float(zoom), float(down), float(along)))
        flipped = self.flip and mirrored < 0.5
        if flipped:
            frames = frames.flip(2)
        if self.brightness or self.contrast or self.saturation:
            gain = 1 + self.brightness * float(bright)
            steep = 1 + self.contrast * float(contrast)
            vivid = 1 + self.saturation * float(colour)
            frames = tinted(frames, gain, steep, vivid)
        return frames, flipped

    def _retimed(self, frames: Tensor, speed: float, shift: float) -> Tensor:
        if not self.tempo and not self.time_shift:
            return frames
        count = len(frames)
        middle = (count - 1) / 2
        moments = (np.arange(count) - middle) * (1 + self.tempo * speed) + middle
        moments += np.round(self.time_shift * shift)
        return frames[torch.from_numpy(moments.round().clip(0, count - 1).astype(np.int64))]

    def _cut(
        self, frames: Tensor, size: tuple[int, int], draws: tuple[float, float, float]
    ) -> Tensor:
        height, width = frames.shape[1:3]
        zoom, down, along = draws
        # The largest window of the output's shape that fits, times a random share.
        share = self.crop[0] + (self.crop[1] - self.crop[0]) * zoom
        unit = min(height / size[0], width / size[1]) * share
        rows = min(height, max(1, round(unit * size[0])))
        columns = min(width, max(1, round(unit * size[1])))
        top, left = round(down * (height - rows)), round(along * (width - columns))
        return scaled(frames[:, top : top + rows, left : left + columns], size)


def tinted(frames: Tensor, gain: float, steep: float, vivid: float) -> Tensor:
    """Frames `(T, h, w, 3)`, brighter, steeper about the clip's mean, more colourful.

    The three are linear in the pixel, so they are one 3×3 matrix and one offset.
    """
    grey = torch.tensor([0.299, 0.587, 0.114])  # luma, ITU-R BT.601
    matrix = vivid * torch.eye(3) + (1 - vivid) * grey.repeat(3, 1)  # rows: output channels
    pixels = frames.reshape(-1, 3).float()  # (T·h·w, 3)
    mean = pixels.mean(0) @ grey
    offset = (1 - steep) * mean * gain + 0.5  # the half rounds
    pixels = torch.addmm(offset.expand(3), pixels, matrix.T * (steep * gain))
    return pixels.clamp_(0, 255).to(torch.uint8).reshape(frames.shape)


def mirror(labels: Sequence[str]) -> list[int]:
    """For each label the index of what a left-right mirror makes of it; most stay themselves.

    Raises:
        BadInput: a label speaks of left or right and its counterpart is not among the labels.
    """
    normalised = [normalise_label(label) for label in labels]
    names = {name: index for index, name in enumerate(normalised)}
    partners = []
    for index, (name, label) in enumerate(zip(normalised, labels, strict=True)):
        swapped = re.sub(r"\b(left|right)\b(?! out\b)", lambda match: _SIDES[match[0]], name)
        if swapped not in names:
            raise BadInput(
                f"mirrored, {label!r} would be another action that is no class here; switch "
                "flips off (flip = false)"
            )
        partners.append(index if swapped == name else names[swapped])
    return partners
