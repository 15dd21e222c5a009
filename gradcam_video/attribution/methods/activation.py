"""Methods that weight the CAM layer's activations without a gradient.

A[c, i] is the activation of channel c in cell i of the T'·h·w = Z cells, y[k] the logit of class k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...errors import BadInput
from ...models.modes import at_least_float32
from ...models.video_model import VideoModel
from ..catch import LayerCatch
from ..gradcam import maps_of
from .base import ForwardContext, GridAxes, Maps, Method, on_every_class, spread


@dataclass(frozen=True)
class CAM(Method):
    """Class activation map, Zhou et al. 2016 (arXiv:1512.04150), eq. 2.

    signed[k, i] = sum_c w[k, c] * A[c, i]

    w is the linear layer after global average pooling; the mean of a map over its cells is
    logit - bias. It is Z times Grad-CAM, and applies to such networks alone.
    """

    def maps(self, context: ForwardContext) -> Maps:
        layer = context.model.cam_layer
        if context.model.trace(context.x.shape[1:]).linear_head(layer) is None:
            raise BadInput(
                f"cam needs global average pooling and one linear layer after {layer!r}, and "
                f"{context.model.name} ends otherwise: use gradcam"
            )
        logits, signed = maps_of(
            context.model, context.x, context.classes, autocast=context.autocast
        )
        return Maps(logits, signed * signed[0, 0].numel())


@dataclass(frozen=True)
class EigenCAM(Method):
    """Eigen-CAM, Muhammad & Yeasin 2020 (arXiv:2008.00299), eq. 5: knows no class.

    map[i] = sum_c A[c, i] * v[c],  v the first right singular vector of the Z × C matrix of A

    The sign, which a singular vector leaves open, is the one with which the map rises with the
    mean activation of a cell.

    Args:
        centred: subtract each channel's mean before, which makes v the first principal axis; the
            paper does not, some implementations do.
    """

    centred: bool = False

    same_for_all: ClassVar[bool] = True

    def maps(self, context: ForwardContext) -> Maps:
        logits, activations = context.activations()
        flat = at_least_float32(activations).flatten(2).transpose(1, 2)  # (N, Z, C)
        if self.centred:
            flat = flat - flat.mean(dim=1, keepdim=True)
        _, _, right = torch.linalg.svd(flat, full_matrices=False)  # (N, min(Z, C), C)
        one = torch.einsum("nzc,nc->nz", flat, right[:, 0])
        rises = (one * flat.mean(dim=2)).sum(dim=1, keepdim=True)  # (N, 1)
        one = torch.where(rises < 0, -one, one).unflatten(1, activations.shape[2:])
        return Maps(at_least_float32(logits), on_every_class(one, context, logits))


@dataclass(frozen=True)
class ScoreCAM(Method):
    """Score-CAM, Wang et al. 2020 (arXiv:1910.01279), eqs. 5 to 8 and algorithm 1.

    signed[k, i] = sum_c alpha[k, c] * A[c, i],
    alpha[k, c] = softmax over the channels of  y[k](x * H[c]),
    H[c] = A[c], drawn on the input and brought to 0..1 by its minimum and maximum

    The paper subtracts the logit of a baseline, which a softmax does not see. A channel is drawn
    where its cells lie, in time as well, not merely resized. It costs one forward per channel, and
    each gives all K logits: every class comes at that price.
    """

    def maps(self, context: ForwardContext) -> Maps:
        logits, activations = context.activations()
        activations = at_least_float32(activations)
        wanted, signed = context.wanted(logits), []
        for x, a in zip(context.x, activations, strict=True):  # (3, T, H, W), (C, T', h, w)
            pieces = (
                x * _as_masks(some, context.axes) for some in a.to(x.dtype).split(context.at_once)
            )
            alpha = context.logits(pieces)[:, wanted].softmax(dim=0)  # (C, k)
            signed.append(torch.einsum("ck,cthw->kthw", alpha, a))
        return Maps(at_least_float32(logits), torch.stack(signed))


def _as_masks(channels: Tensor, axes: GridAxes) -> Tensor:
    """Channels (b, T', h, w) as masks over the input, (b, 1, T, H, W) in 0..1."""
    drawn = spread(channels, axes)
    low, high = drawn.amin(dim=(1, 2, 3), keepdim=True), drawn.amax(dim=(1, 2, 3), keepdim=True)
    # A channel that is the same everywhere shows nothing: its mask is zero.
    return torch.where(high > low, (drawn - low) / (high - low), 0)[:, None]


@dataclass(frozen=True)
class AblationCAM(Method):
    """Ablation-CAM, Ramaswamy (Desai) & Ramaswamy 2020 (WACV), eqs. 3 and 4.

    signed[k, i] = sum_c alpha[k, c] * A[c, i],
    alpha[k, c] = (y[k] - y[k] with channel c set to zero) / |y[k]|

    The paper divides by y[k] itself. That turns the whole map over for a class of negative logit,
    and most of the K are; its size scales a map and no more.

    Where global average pooling and a linear layer follow, zeroing a channel takes
    w[k, c] * mean(A[c]) from the logit, and nothing has to be run again. Any other network runs
    once per channel, and each run gives all K logits.
    """

    def maps(self, context: ForwardContext) -> Maps:
        logits, activations = context.activations()
        a, y = at_least_float32(activations), at_least_float32(logits)
        wanted = context.wanted(logits)
        head = context.model.trace(context.x.shape[1:]).linear_head(context.model.cam_layer)
        if head is None:
            drop = torch.stack([self._drops(context, n, y[n], a.shape[1]) for n in range(len(y))])
        else:
            means = a.mean(dim=(2, 3, 4))  # (N, C)
            weight = torch.eye(y.shape[1]).to(a)  # (K, C): the activations are class scores
            if head.weight is not None:
                weight = at_least_float32(context.model.tensor(head.weight))
            drop = means[:, :, None] * weight.T  # (N, C, K)
        size = y.abs()[:, None]  # (N, 1, K)
        alpha = torch.where(size > 0, drop / size, drop)[..., wanted]  # (N, C, k)
        return Maps(y, torch.einsum("nck,ncthw->nkthw", alpha, a))

    @staticmethod
    def _drops(context: ForwardContext, n: int, y: Tensor, channels: int) -> Tensor:
        """How much every logit of clip n loses with each channel: (C, K)."""
        without = []
        at_once = (
            1 if context.at_once > 1 and context.model.clips_mix(context.x) else context.at_once
        )
        for some in torch.arange(channels, device=y.device).split(at_once):
            x = context.x[n].expand(len(some), -1, -1, -1, -1)  # (b, 3, T, H, W)
            without.append(context.caught_by(_Ablate, x, channels=some).logits)
        return y - at_least_float32(torch.cat(without))


class _Ablate(LayerCatch):
    """Runs a network whose layer lacks one channel, another in every clip of the batch."""

    def __init__(self, model: VideoModel, shape: Sequence[int], *, channels: Tensor) -> None:
        super().__init__(model, shape)
        self.channels = channels

    def caught(self, cells: Tensor) -> Tensor:
        without = cells.clone()
        without[torch.arange(len(cells), device=cells.device), self.channels] = 0
        self.cells.append(without)
        return without
