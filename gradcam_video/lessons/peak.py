"""Does a peak at frame t prove that frame t was used? One frame is taken away at a time.

A frame cannot be left out: the clip would have another length. It is replaced instead, and what
replaces it is a choice that changes the answer: "hold" shows the frame before once more (a jolt
where something moves), "between" the mean of its two neighbours (no jolt, a little blur).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import BadInput
from ..models.modes import evaluating
from ..models.video_model import VideoModel

WAYS = ("hold", "between")
"""What is shown instead of the frames that are taken away."""


def without(x: Tensor, way: str = "hold", width: int = 1) -> Tensor:
    """A clip without each of its frames in turn, (1, 3, T, H, W) -> (T, 3, T, H, W).

    Copy t lacks frame t and (width - 1) / 2 frames to either side, as far as there are any.

    Args:
        x: one clip as the network is given it.
        way: "hold": they show the frame before the first of them (at the clip's start, the frame
            after the last). "between": they go evenly from the frame before to the frame after.
        width: how many neighbouring frames are taken away together; odd.

    Raises:
        BadInput: another way, a width that is not odd, or no frame left to show.
    """
    frames = x.shape[2]
    if way not in WAYS:
        raise BadInput(f"unknown way {way!r}: use one of {', '.join(WAYS)}")
    if width % 2 == 0 or not 0 < width < frames:
        raise BadInput(f"width={width}: give an odd number below the clip's {frames} frames")
    copies = x.expand(frames, *x.shape[1:]).clone()
    for t, copy in enumerate(copies):
        first, last = max(0, t - width // 2), min(frames - 1, t + width // 2)
        before = x[0, :, first - 1] if first > 0 else x[0, :, last + 1]
        after = x[0, :, last + 1] if last + 1 < frames and way == "between" else before
        for i in range(first, last + 1):
            share = (i - first + 1) / (last - first + 2)
            copy[:, i] = (1 - share) * before + share * after
    return copies


@torch.no_grad()
def answers(model: VideoModel, x: Tensor, way: str = "hold", width: int = 1) -> Tensor:
    """Logits (T, K) of a clip without each of its frames in turn; arguments as of `without`."""
    with evaluating(model.net):
        return torch.cat([model.forward(some).float() for some in without(x, way, width).split(4)])
