"""`explain`: a model and a clip in, an Explanation out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import overload

import numpy as np
import torch
from torch import Tensor

from ..clip import Clip
from ..errors import BadInput
from ..grid import Grid
from ..labels import find_label
from ..models import VideoModel
from .core import maps_of
from .explanation import Explanation

METHODS: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "gradcam": maps_of,
    "gradcam-per-step": lambda *args, **options: maps_of(*args, per_step=True, **options),
}


@overload
def explain(model: VideoModel, clip: Clip, **options) -> Explanation: ...  # ty: ignore
@overload
def explain(model: VideoModel, clip: Sequence[Clip], **options) -> list[Explanation]: ...  # ty: ignore
def explain(
    model: VideoModel,
    clip: Clip | Sequence[Clip],
    *,
    method: str = "gradcam",
    classes: Sequence[str | int] | None = None,
    batch: int | None = None,
    autocast: bool | torch.dtype = False,
) -> Explanation | list[Explanation]:
    """Explain a clip, or several: the maps of every class from one forward.

    Args:
        model: from `load_model`, or a `VideoModel` of your own network.
        clip: from `read_clip`; a list of clips gives a list of explanations.
        method: one of `METHODS`.
        classes: names or indices; None: all K.
        batch: how many clips go through at once; None: one on a CPU, eight on a GPU. Clips are
            batched only while their frame counts agree.
        autocast: run the network in lower precision (True: bfloat16), as one would on a GPU.

    Returns:
        Explanation with float32 arrays on the CPU, whatever the device.

    Raises:
        BadInput: unknown method or class, or a clip that the network cannot take.
    """
    if method not in METHODS:
        raise BadInput(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    wanted = _wanted(model, classes)
    clips = [clip] if isinstance(clip, Clip) else list(clip)
    explanations: list[Explanation] = []
    for group in _batches(clips, batch or clips_at_once(model)):
        started = time.perf_counter()
        inputs = [model.preprocess(c) for c in group]
        x = torch.cat([x for x, _ in inputs])  # (N, 3, T, H, W)
        axes, align = model.trace(x.shape[1:]).grid_axes(model.cam_layer)
        classes_ = None if wanted is None else torch.from_numpy(wanted)
        logits, signed = METHODS[method](model, x, classes_, autocast=autocast)
        logits, signed = logits.float().cpu(), signed.float().cpu()
        seconds = (time.perf_counter() - started) / len(group)
        for n, (one, (_, view)) in enumerate(zip(group, inputs, strict=True)):
            explanations.append(
                Explanation(
                    clip=one,
                    labels=model.labels,
                    logits=logits[n].numpy(),
                    classes=np.arange(len(model.labels)) if wanted is None else wanted,
                    signed=signed[n].numpy(),
                    grid=Grid(*axes, view, align),
                    model=model.name,
                    method=method,
                    untrained=model.untrained,
                    remark=model.remark,
                    seconds=seconds,
                )
            )
    return explanations[0] if isinstance(clip, Clip) else explanations


def clips_at_once(model: VideoModel) -> int:
    """How many clips go through a network together unless told: eight on a GPU, one on a CPU."""
    return 1 if model.device.type == "cpu" else 8


def _wanted(model: VideoModel, classes: Sequence[str | int] | None) -> np.ndarray | None:
    if classes is None:
        return None
    known = len(model.labels)
    rows = [find_label(c, model.labels) if isinstance(c, str) else int(c) for c in classes]
    for row in rows:
        if not 0 <= row < known:
            raise BadInput(f"no class {row}: {model.name} has {known}, numbered from 0")
    if not rows:
        raise BadInput("no classes asked for: leave classes out to get all")
    return np.unique(np.array(rows, dtype=np.int64))


def _batches(clips: list[Clip], most: int) -> list[list[Clip]]:
    """Runs of clips with equal frame counts, at most `most` each, in order."""
    groups: list[list[Clip]] = []
    for clip in clips:
        if groups and len(groups[-1]) < most and len(groups[-1][0].times) == len(clip.times):
            groups[-1].append(clip)
        else:
            groups.append([clip])
    return groups
