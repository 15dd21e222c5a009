"""`explain`: a model and a clip in, an Explanation out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from ..data.clip import Clip
from ..data.labels import find_label
from ..errors import BadInput
from ..explanation import Explanation
from ..geometry import Grid
from ..models.finite import need_finite_answers, need_finite_weights
from ..models.video_model import VideoModel
from .inputs import clips_of
from .methods import METHODS
from .methods.base import Method
from .targets import Difference, Target, with_target

COPIES = 4
"""So many changed copies of a clip go through a CPU together: half the time of one by one, and
without a graph still small."""


@overload
def explain(model: VideoModel, clip: Clip | str | Path | np.ndarray, **options) -> Explanation: ...
@overload
def explain(model: VideoModel, clip: Sequence[Clip], **options) -> list[Explanation]: ...
@overload
def explain(model: VideoModel, clip: Any, **options) -> Any: ...
def explain(
    model: VideoModel,
    clip: Any,
    *,
    method: str = "gradcam",
    classes: Sequence[str | int] | None = None,
    target: str | int | tuple[str | int, str | int] | Difference | Target | None = None,
    cam_layer: str | Sequence[str] | None = None,
    batch: int | None = None,
    autocast: bool | torch.dtype = False,
    **options: Any,
) -> Any:
    """Explain a clip, or several: the maps of every class from one forward.

    A few methods pay for each class anew (`METHODS[name].every_class` is false: those that go back
    to the pixels, and the temporal mask). They explain the top class of each clip alone, unless
    `classes` says otherwise.

    Args:
        model: from `load_model`, or a `VideoModel` of your own network.
        clip: from `read_clip`; or a path, which is read with the model's frames and fps; or an
            array, a tensor or a list of pictures, as `Clip.of` takes them. A list of clips gives a
            list of explanations.
        method: one of `METHODS`.
        classes: names or indices; None: all K, or the top class where each costs anew.
        target: what is explained instead of the classes. A class: the same as `classes=[…]`. A pair
            ("a", "b"), or `difference("a", "b")`: y[a] - y[b], what speaks for one and against the
            other. Or a function that makes (N,) numbers of what the network itself gives for N
            clips, such as `lambda y: y[:, 0]` or `similarity(model, other_clip)`.
        cam_layer: the layer that is read, instead of the model's own; several: a list of what
            `explain` gives for each.
        batch: how many clips go through at once; None: one on a CPU, eight on a GPU. Clips are
            batched only while their frame counts agree. Changed copies of one clip go by the same
            number; None: four on a CPU.
        autocast: run the network in lower precision (True: bfloat16), as one would on a GPU.
        options: of the method, such as masks=2000 of "rise": the fields of its class.

    Returns:
        Explanation with float32 arrays on the CPU, whatever the device; a list for a list.

    Raises:
        BadInput: unknown method, option, class or layer, a clip that the network cannot take, a
            method that does not apply to the network, a target that gives something else, or
            weights or logits that are not finite.
    """
    how = method_named(method, options)
    _need_model(model)
    if isinstance(autocast, str):
        autocast = _precision_named(autocast)
    clips, single = clips_of(clip, model)
    if cam_layer is not None and not isinstance(cam_layer, str | list | tuple):
        raise BadInput(f"cam_layer={cam_layer!r}: give the name of a layer, or a list of names")
    if cam_layer is not None and not isinstance(cam_layer, str):
        settings = {"method": method, "classes": classes, "target": target, **options}
        settings |= {"batch": batch, "autocast": autocast}
        return [
            explain(model, clips[0] if single else clips, cam_layer=one, **settings)
            for one in cam_layer
        ]
    if target is not None:
        if classes is not None:
            raise BadInput("both target= and classes= are given: leave one of them out")
        model, one = with_target(model, target)
        classes = None if one is None else [one]
    if cam_layer is not None:
        model = model.at(cam_layer)
    wanted = _wanted(model, classes)
    need_finite_weights(model.net, model.name)
    explanations: list[Explanation] = []
    untrained = model.untrained
    for group in _batches(clips, batch or clips_at_once(model)):
        started = time.perf_counter()
        # First the clips as the network takes them, and where its cells lie on them.
        inputs = [model.preprocess(c) for c in group]
        x = torch.cat([x for x, _ in inputs])  # (N, 3, T, H, W)
        axes, align = model.grid_axes(x.shape[1:])
        # Then the method: logits and signed maps of all of them.
        classes_ = None if wanted is None else torch.from_numpy(wanted)
        at_once = batch or max(COPIES, clips_at_once(model))
        found = how(model, x, classes_, autocast=autocast, at_once=at_once)
        if found.axes is not None:  # the cells are the method's own, and lie where it says
            axes, align = found.axes, "receptive-field"
        logits, signed = found.logits.float().cpu(), found.signed.float().cpu()
        need_finite_answers(logits, signed, model.name, [str(c.source) for c in group])
        rows = np.arange(len(model.labels)) if wanted is None else wanted
        own = None if found.classes is None else found.classes.cpu().numpy()  # (N, k)
        seconds = (time.perf_counter() - started) / len(group)
        # Last an Explanation of each clip, which knows no network any more.
        for n, (one, (_, view)) in enumerate(zip(group, inputs, strict=True)):
            remarks = [model.remark, *found.remarks[n : n + 1]]
            if align == "half-pixel" and not how.same_for_all:
                remarks.append(
                    "where the cells lie could not be followed: they share the clip evenly"
                )
            if (seen := axes[0].seen) is not None:
                last = axes[0].size - seen
                frames = "frame never reaches" if last == 1 else f"{last} frames never reach"
                remarks.append(f"the last {frames} the network")
            if cam_layer is not None:
                remarks.append(f"layer {cam_layer}")
            if options:
                remarks.append(f"{method}: {', '.join(f'{k}={v}' for k, v in options.items())}")
            if how.same_for_all:
                remarks.append(f"{method} knows no class: every class has the same map")
            explanations.append(
                Explanation(
                    clip=one,
                    labels=model.labels,
                    logits=logits[n].numpy(),
                    classes=rows if own is None else own[n],
                    signed=signed[n].numpy(),
                    grid=Grid(*axes, view, align),
                    model=model.name,
                    method=method,
                    untrained=untrained,
                    remark="; ".join(r for r in remarks if r),
                    seconds=seconds,
                    output=model.output or "softmax",
                )
            )
    return explanations[0] if single else explanations


def _need_model(model: Any) -> None:
    """Refuse a bare network, in one line that says what to write."""
    if isinstance(model, VideoModel):
        return
    if isinstance(model, torch.nn.Module):
        raise BadInput(
            f"a {type(model).__name__} says nothing about its labels and its pixels: write "
            f"gv.explain(gv.VideoModel(net, labels=[…], size=…), clip)"
        )
    if isinstance(model, str):
        raise BadInput(f'{model!r} is a name: write gv.explain(gv.load_model("{model}"), clip)')
    raise BadInput(
        f"explain needs a model first, not a {type(model).__name__}: give gv.load_model(name), or "
        "gv.VideoModel(net, labels=[…])"
    )


def clips_at_once(model: VideoModel) -> int:
    """How many clips go through a network together unless told: eight on a GPU, one on a CPU."""
    return 1 if model.device.type == "cpu" else 8


def method_named(name: str, options: Mapping[str, Any] | None = None) -> Method:
    """A method by name, with its options. No network is needed: call it before one is loaded.

    Raises:
        BadInput: unknown method or option, or a value that the option cannot have.
    """
    options = options or {}
    if name not in METHODS:
        raise BadInput(f"unknown method {name!r}: use one of {', '.join(METHODS)}")
    known = [field.name for field in fields(METHODS[name])]
    for option in options:
        if option not in known:
            takes = ", ".join(known) or "none"
            raise BadInput(f"{name} has no option {option!r}; the options it takes: {takes}")
    return METHODS[name](**options)


def _precision_named(name: str) -> torch.dtype:
    """A type by its name, such as "bfloat16"."""
    found = getattr(torch, name, None)
    if found not in (torch.bfloat16, torch.float16):
        raise BadInput(f"autocast={name!r}: use True, torch.bfloat16 or torch.float16")
    return found


def _wanted(model: VideoModel, classes: Sequence[str | int] | None) -> np.ndarray | None:
    """The model's indices of classes by name or index, sorted, each once: int64 (k,)."""
    if classes is None:
        return None
    named = [classes] if isinstance(classes, str | int | np.integer) else list(classes)
    known = len(model.labels)
    whole = all(isinstance(c, str | int | np.integer) for c in named)
    if not whole:
        raise BadInput(f"classes={classes!r}: give names or whole numbers")
    rows = [find_label(c, model.labels) if isinstance(c, str) else int(c) for c in named]
    for row in rows:
        if not 0 <= row < known:
            raise BadInput(f"no class {row}: {model.name} has {known}, numbered from 0")
    if not rows:
        raise BadInput("no classes are named: leave classes out to get all")
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
