"""What a method is, and what it works on: everything that the methods share.

A method is one short class. Its options are its fields, and `maps` says how it turns a
`ForwardContext` (a network, a batch of clips, the classes that are wanted) into signed maps. The
context knows how to get logits and activations. The network is left as it was, also when something
raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ...errors import BadInput
from ...geometry import Axis
from ...models.modes import at_least_float32, evaluating, precision
from ...models.token_layout import TokenGrid
from ...models.video_model import VideoModel
from ..catch import Caught, HeadGraphCatch, LayerCatch, OneByOne, WithGraph, needs_help
from ..gradcam import class_indices

GridAxes = tuple[Axis, Axis, Axis]
"""Time, rows and columns of a grid of cells."""


@dataclass(frozen=True)
class Maps:
    """What a method found for a batch of N clips.

    Attributes:
        logits: (N, K), of the clips as they are.
        signed: (N, k, T', h, w), before ReLU.
        classes: int64 (N, k), the class of each map where the clips differ in it; None: those that
            are wanted, or all K.
        axes: (time, rows, columns) of the maps where they are not those of the CAM layer.
        remarks: one line per clip that every output carries, or none at all.
    """

    logits: Tensor
    signed: Tensor
    classes: Tensor | None = None
    axes: GridAxes | None = None
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Method:
    """One way to explain a network. The fields of a class are the options that it takes.

    Attributes:
        every_class: the maps of all K classes cost no more than that of one. Where they do, only
            each clip's top class is explained unless others are named.
        same_for_all: the map knows no class; every class gets the same.
    """

    every_class: ClassVar[bool] = True
    same_for_all: ClassVar[bool] = False

    def __call__(
        self,
        model: VideoModel,
        x: Tensor,
        classes: Tensor | None = None,
        *,
        autocast: bool | torch.dtype = False,
        at_once: int = 1,
    ) -> Maps:
        """Explain a batch of clips.

        Args:
            model: the network with its CAM layer.
            x: (N, 3, T, H, W), preprocessed, on the model's device.
            classes: int64 (k,), whose maps are wanted; None: all K, or the top class of each clip
                where every class costs as much again.
            autocast: run the network in this lower precision (True: bfloat16).
            at_once: how many changed copies of a clip go through the network together.

        Raises:
            BadInput: the method does not apply to this network.
        """
        # What surrounds the call, such as an autocast, is not to change what is computed of it.
        with torch.inference_mode(False), precision(x.device, False), evaluating(model.net):
            if x.is_inference():
                x = x.clone()
            singly = model.one_at_a_time(x.shape[1:]) or (len(x) > 1 and model.clips_mix(x))
            whole = ForwardContext(model, x, classes, autocast, 1 if singly else at_once)
            try:
                found = self._singly(whole) if singly else self.maps(whole)
            except OneByOne:  # as in a loop over the clips of a batch
                whole = replace(whole, at_once=1)
                found = self._singly(whole)
            paths = model.trace(x.shape[1:]).paths_beside(model.cam_layer)
            if paths > 1 and found.axes is None and not self.same_for_all:
                pairs = zip(
                    found.remarks or [""] * len(x), _beside(whole, found, paths), strict=True
                )
                found = replace(found, remarks=["; ".join(filter(None, pair)) for pair in pairs])
            return found

    def _singly(self, whole: ForwardContext) -> Maps:
        """What is found when the clips go one by one."""
        return _joined([self.maps(replace(whole, x=one)) for one in whole.x.split(1)])

    def maps(self, context: ForwardContext) -> Maps:
        """The maps of these clips. This is all that a method has to define."""
        raise NotImplementedError


def _joined(found: Sequence[Maps]) -> Maps:
    """What was found clip by clip, as for a batch."""
    first = found[0]
    classes = [one.classes for one in found if one.classes is not None]
    return Maps(
        logits=torch.cat([one.logits for one in found]),
        signed=torch.cat([one.signed for one in found]),
        classes=torch.cat(classes) if classes else None,
        axes=first.axes,
        remarks=[remark for one in found for remark in one.remarks],
    )


class Silence(LayerCatch):
    """Runs a network whose layer gives nothing but zeros, class tokens among them."""

    def tokens(self, tokens: Tensor, token_grid: TokenGrid) -> Tensor:
        """Zeros of the same shape."""
        self.caught(token_grid.to_grid(tokens))
        return torch.zeros_like(tokens)


def _beside(context: ForwardContext, found: Maps, paths: int) -> list[str]:
    """What is said of maps of a layer that evidence can go round, for each clip."""
    without = torch.cat(
        [context.caught_by(Silence, x).logits for x in context.x.split(context.at_once)]
    )
    said = []
    for y, y0 in zip(at_least_float32(found.logits), at_least_float32(without), strict=True):
        k = int(y.argmax())
        share = float((y[k] - y0[k]) / y[k]) if y[k] else -1.0
        carries = f", {100 * share:.0f} % of it" if 0 <= share <= 1 else ""
        said.append(
            f"{context.model.cam_layer} sees one of {paths} paths: without it the logit of "
            f"{context.model.labels[k]!r} is {y0[k]:.3g} instead of {y[k]:.3g}{carries}"
        )
    return said


@dataclass(frozen=True)
class ForwardContext:
    """What a method works on: a network, a batch of clips, and the classes that are wanted.

    Attributes:
        model: the network with its CAM layer.
        x: (N, 3, T, H, W), preprocessed, on the model's device.
        classes: int64 (k,); None: all, or the top class of each clip.
        autocast: the precision that the network runs in (True: bfloat16).
        at_once: how many changed copies of a clip go through the network together.
    """

    model: VideoModel
    x: Tensor
    classes: Tensor | None = None
    autocast: bool | torch.dtype = False
    at_once: int = 1

    @property
    def axes(self) -> GridAxes:
        """Where the cells of the CAM layer lie on the input."""
        return self.model.grid_axes(self.x.shape[1:])[0]

    def activations(self) -> tuple[Tensor, Tensor]:
        """One forward without a graph: logits (N, K), activations (N, C, T', h, w)."""
        caught = self.caught_by(LayerCatch, self.x)
        return caught.logits, caught.activations

    def head_graph(self) -> Caught:
        """The same with a graph of the head alone, whose leaves the activations are."""
        return self.caught_by(HeadGraphCatch, self.x)

    def caught_by(self, catch: type[LayerCatch], x: Tensor, **more: Any) -> Caught:
        """One forward of x, with a catch on the CAM layer."""
        return catch(self.model, self.x.shape[1:], **more).run(x, self.autocast)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, K) of any clips of this size; differentiable where gradients are on."""
        with ExitStack() as contexts:
            contexts.enter_context(precision(x.device, self.autocast))
            # Methods that only watch the answer run hundreds of these, and want no graph.
            if torch.is_grad_enabled() and (
                self.model.trace(self.x.shape[1:]).hides_graph or needs_help(self.model, x)
            ):
                contexts.enter_context(WithGraph(self.model, x.device.type))
            return at_least_float32(self.model.forward(x))

    @torch.no_grad()
    def logits(self, pieces: Iterable[Tensor]) -> Tensor:
        """Logits of many clips that come a few at a time: (b, 3, T, H, W) each -> (n, K)."""
        return torch.cat([self.forward(piece) for piece in pieces])

    def wanted(self, logits: Tensor) -> Tensor:
        """The classes that are wanted, or all: int64 (k,)."""
        return class_indices(self.classes, logits)

    def wanted_of_each(self, logits: Tensor) -> Tensor:
        """The classes that are wanted, or the top class of each clip: int64 (N, k)."""
        if self.classes is None:
            return logits.argmax(dim=1, keepdim=True)
        return self.wanted(logits).expand(len(logits), -1)


# --- pieces of clips, and their places ---------------------------------------------------------


def need(condition: bool, message: str) -> None:
    """Refuse an option in one line where its condition does not hold.

    Raises:
        BadInput: the message.
    """
    if not condition:
        raise BadInput(message)


def need_whole(method: str, least: int = 1, **values: int) -> None:
    """Refuse options that are not whole numbers of at least so much."""
    for name, value in values.items():
        whole = isinstance(value, int | np.integer) and value >= least
        need(whole, f"{method}: {name}={value!r}: give a whole number, {least} or more")


def pixel_axes(x: Tensor, cells: int) -> GridAxes:
    """A grid of T × cells × cells over the input (…, T, H, W), for maps that live on pixels."""
    frames, *sides = x.shape[-3:]
    rows, columns = (Axis.half_pixel(min(cells, side), side) for side in sides)
    return Axis(frames, frames, 0.0, 1.0), rows, columns


def pooled(values: Tensor, axes: GridAxes, mean: bool) -> Tensor:
    """Sums (or means) over the pixels of each cell of `pixel_axes`: (…, T, H, W) -> (…, T, h, w).

    Every pixel counts once, so sums stay what they are over the whole clip.
    """
    for dim, axis in ((-2, axes[1]), (-1, axes[2])):
        cell = ((torch.arange(axis.size) + 0.5) * axis.cells / axis.size).long()  # (H)
        bins = torch.nn.functional.one_hot(cell, axis.cells).to(values)  # (H, h)
        if mean:
            bins = bins / bins.sum(dim=0)
        values = torch.tensordot(values.movedim(dim, -1), bins, dims=1).movedim(-1, dim)
    return values


def spread(cells: Tensor, axes: GridAxes, positions: Sequence[np.ndarray] | None = None) -> Tensor:
    """Cells drawn at their places, linear in between: (…, T', h, w) -> (…, T, H, W).

    Args:
        cells: a stack of maps.
        axes: where their cells lie.
        positions: input indices at which values are wanted, per axis; None: all.
    """
    at = positions or [np.arange(axis.size) for axis in axes]
    for dim, axis, where in zip((-3, -2, -1), axes, at, strict=True):
        weights = torch.from_numpy(axis.weights(where)).to(cells)  # (T, T')
        cells = torch.tensordot(cells.movedim(dim, -1), weights.T, dims=1).movedim(-1, dim)
    return cells


def on_every_class(one: Tensor, context: ForwardContext, logits: Tensor) -> Tensor:
    """One map for all classes: (N, T', h, w) -> (N, k, T', h, w)."""
    return one[:, None].expand(-1, len(context.wanted(logits)), -1, -1, -1)
