"""What is explained other than a class: a difference of two, a similarity, any number of yours.

A *target* turns what a network gives into one number for each clip, and the maps are of that
number. `VideoModel.with_outputs` makes of a model and a target another model, which gives that
number alone: every method runs on it as on any network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_iter

from ..data.labels import find_label
from ..errors import BadInput
from ..models.modes import evaluating
from ..models.outputs import as_values
from ..models.video_model import VideoModel
from .inputs import clips_of

Target = Callable[[Any], Tensor]
"""From what the network itself gives for N clips, before `outputs`, to (N,) numbers."""


@dataclass(frozen=True)
class Difference:
    """y[first] - y[second]: what speaks for one class and against another."""

    first: str | int
    second: str | int


def difference(first: str | int, second: str | int) -> Difference:
    """A target: what speaks for one class and against another, y[first] - y[second].

    Args:
        first, second: names or indices, as for `classes` of `explain`. y are the values before
            softmax or sigmoid.

    Example:
        >>> gv.explain(model, clip, target=gv.difference("opening", "closing"))  # doctest: +SKIP
    """
    return Difference(first, second)


@dataclass(frozen=True, eq=False)
class Similarity:
    """The cosine of what a network gives for a clip and what it gave for another one."""

    model: VideoModel
    vector: Tensor  # (1, D)
    source: str

    @property
    def label(self) -> str:
        """What it is called on pictures."""
        return f"similarity to {self.source}"

    def __call__(self, raw: Any) -> Tensor:
        values = _values(self.model, raw)
        return nn.functional.cosine_similarity(values, self.vector.to(values), dim=1)


def similarity(model: VideoModel, clip: Any) -> Similarity:
    """A target: how alike two clips are to an embedding network, the cosine of its outputs.

    Args:
        model: whose output (N, D) is the embedding.
        clip: the other clip, or whatever `explain` takes for one.

    Returns:
        A callable for `target=` of `explain`, with the same model.
    """
    others, single = clips_of(clip, model)
    if not single:
        raise BadInput(f"similarity: give one clip, not a list of {len(others)}")
    other = others[0]
    x, _ = model.preprocess(other)
    with evaluating(model.net), torch.no_grad():
        vector = _values(model, model.raw(x)).detach()
    return Similarity(model, vector, str(other.source))


def with_target(model: VideoModel, target: Any) -> tuple[VideoModel, int | str | None]:
    """The model that gives the target alone; of a class, the model itself and that class.

    Args:
        target: a class, a pair of classes, a `Difference`, or a callable.

    Raises:
        BadInput: it is none of these, or what the callable gives is not (N,).
    """
    if isinstance(target, str | int | np.integer) and not isinstance(target, bool):
        return model, target if isinstance(target, str) else int(target)
    if isinstance(target, tuple) and len(target) == 2:
        target = Difference(*target)
    if isinstance(target, Difference):
        pair = (_index(model, target.first), _index(model, target.second))
        if pair[0] == pair[1]:
            raise BadInput(
                f"target: {model.labels[pair[0]]!r} minus itself is zero: name two classes"
            )
        label = f"{model.labels[pair[0]]} − {model.labels[pair[1]]}"
        of = _Number(model, _Subtracted(model, pair, _ending(model)), label)
        return model.with_outputs(of, [label]), None
    if callable(target):
        own = getattr(target, "label", None) or getattr(target, "__name__", "")
        label = "target" if own in ("", "<lambda>") else str(own)
        return model.with_outputs(_Number(model, target, label), [label]), None
    raise BadInput(
        f"target={target!r}: give a class, a pair (a, b) for their difference, or a function that "
        "makes (N,) numbers of what the network gives; several classes are classes=[…]"
    )


@dataclass(frozen=True, eq=False)
class _Subtracted:
    """The difference of two classes, before softmax also where the network ends in one."""

    model: VideoModel
    pair: tuple[int, int]
    ending: str  # the function that the network ends with, before which y lies; "": none

    def __call__(self, raw: Any) -> Tensor:
        values = _values(self.model, raw)
        least = torch.finfo(values.dtype).tiny
        if self.ending == "softmax":
            values = values.clamp_min(least).log()  # log p[a] - log p[b] = y[a] - y[b]
        elif self.ending == "sigmoid":
            values = values.clamp_min(least).log() - (1 - values).clamp_min(least).log()
        first, second = self.pair
        return values[:, first] - values[:, second]


@dataclass(frozen=True, eq=False)
class _Number:
    """A target whose results are looked at: (N, 1), with a graph where the network's have one."""

    model: VideoModel
    target: Target
    label: str

    def __call__(self, raw: Any) -> Tensor:
        given = [t for t in tree_iter(raw) if isinstance(t, Tensor)]
        try:
            found = self.target(raw)
        except BadInput:
            raise
        except Exception as error:
            if any(t.is_meta for t in given):
                raise  # the trial forward knows what to do where values are missing
            reason = str(error).splitlines()[0] if str(error) else ""
            raise BadInput(
                f"target {self.label!r} fails on what {self.model.name} gives, {_shapes(given)}: "
                f"{type(error).__name__} {reason}"
            ) from error
        if not isinstance(found, Tensor) or not found.is_floating_point():
            got = str(found.dtype) if isinstance(found, Tensor) else type(found).__name__
            raise BadInput(
                f"target {self.label!r} gives {got}: make a tensor (N,) of floating numbers of "
                f"what the network gives, {_shapes(given)}"
            )
        clips = len(_values(self.model, raw))
        if tuple(found.shape) not in ((clips,), (clips, 1)):
            raise BadInput(
                f"target {self.label!r} gives {tuple(found.shape)} for N = {clips}: make one "
                f"number for each clip, (N,), of what the network gives, {_shapes(given)}"
            )
        graph = torch.is_grad_enabled() and any(t.requires_grad for t in given)
        if graph and not found.requires_grad:
            raise BadInput(
                f"target {self.label!r} gives numbers without a graph: leave out detach(), item() "
                "and numpy(), and compute with torch alone"
            )
        return found.reshape(clips, 1)


def _values(model: VideoModel, raw: Any) -> Tensor:
    """The (N, K) that a model makes of what its network gives."""
    given, classes = raw if model.outputs is None else model.outputs(raw), len(model.labels)
    squeezed = isinstance(given, Tensor) and given.ndim < 2  # (N,) of one class, (K,) of one clip
    return as_values(given, max(1, given.numel() // classes) if squeezed else 1, classes)


def _index(model: VideoModel, name: str | int) -> int:
    index = find_label(name, model.labels) if isinstance(name, str) else int(name)
    if not 0 <= index < len(model.labels):
        raise BadInput(f"no class {index}: {model.name} has {len(model.labels)}, numbered from 0")
    return index


def _ending(model: VideoModel) -> str:
    """The softmax or sigmoid with which the network itself ends, and which `forward` leaves out."""
    ending = model.trace(model.input_shape).ending
    if ending is None or not ending.function or ending.kind != model.output:
        return ""
    return "" if "log" in ending.function else str(ending.kind)  # log p needs no more


def _shapes(given: Sequence[Tensor]) -> str:
    return ", ".join(str(tuple(t.shape)) for t in given)
