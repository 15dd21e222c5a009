"""Methods that weight the CAM layer's activations by the gradient of the logits.

Throughout, A[c, i] is the activation of channel c in cell i of the T'·h·w = Z cells, y[k] the logit
of class k before softmax, and g[k, c, i] = d y[k] / d A[c, i]. Time is one more axis of the cells:
wherever a paper sums over the pixels of a picture, the sum runs over time as well. Only the head
after the layer is differentiated, for many classes at once.

Where global average pooling and a linear layer with weights w follow, g[k, c, i] = w[k, c] / Z in
every cell. HiResCAM and XGrad-CAM are then Grad-CAM; LayerCAM is Grad-CAM of the positive weights
only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import BadInput
from ...models.modes import at_least_float32
from ..gradcam import head_gradients, maps_of
from .base import ForwardContext, Maps, Method

CELLS = (-3, -2, -1)


@dataclass(frozen=True)
class GradCAM(Method):
    """Grad-CAM, Selvaraju et al. 2017 (arXiv:1610.02391), eqs. 1 and 2.

    signed[k, i] = sum_c alpha[k, c] * A[c, i],  alpha[k, c] = (1 / Z) * sum_i g[k, c, i]
    """

    def maps(self, context: ForwardContext) -> Maps:
        return Maps(*maps_of(context.model, context.x, context.classes, autocast=context.autocast))


@dataclass(frozen=True)
class GradCAMPerStep(Method):
    """Grad-CAM whose weights are averaged over (h, w) at each of the T' steps by itself.

    signed[k, t, i] = sum_c alpha[k, c, t] * A[c, t, i],
    alpha[k, c, t] = (1 / (h·w)) * sum over the cells i of step t of  g[k, c, t, i]

    The Grad-CAM of some video toolboxes (Selvaraju et al. 2017, eqs. 1 and 2, a frame at a time).
    It differs from the other where the head weighs moments differently, as a recurrent one does.
    """

    def maps(self, context: ForwardContext) -> Maps:
        found = maps_of(
            context.model, context.x, context.classes, per_step=True, autocast=context.autocast
        )
        return Maps(*found)


@dataclass(frozen=True)
class _HeadGradient(Method):
    """A method that combines the head's gradient with the activations, cell by cell or channel."""

    def maps(self, context: ForwardContext) -> Maps:
        caught = context.head_graph()
        logits = caught.logits
        cells = [at_least_float32(a.detach()) for a in caught.cells]  # (N, C, T', h, w)
        signed = [
            caught.reading.merged(
                [self.combine(at_least_float32(g), a) for g, a in zip(each, cells, strict=True)]
            )
            for each in head_gradients(logits, caught.cells, context.wanted(logits))
        ]
        return Maps(at_least_float32(logits.detach()), torch.cat(signed, dim=1))

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        """(j, N, C, T', h, w) gradients, (N, C, T', h, w) activations -> maps (N, j, T', h, w)."""
        raise NotImplementedError


@dataclass(frozen=True)
class GradCAMPlusPlus(_HeadGradient):
    """Grad-CAM++, Chattopadhyay et al. 2018 (arXiv:1710.11063), eqs. 10 and 19.

    signed[k, i] = sum_c alpha[k, c] * A[c, i],
    alpha[k, c] = sum_i a[k, c, i] * ReLU(g[k, c, i]),
    a[k, c, i] = g^2 / (2 * g^2 + S[c] * g^3) = 1 / (2 + S[c] * g[k, c, i]),  S[c] = sum_j A[c, j]

    The paper takes y = exp(logit) for the score, whose factor exp(logit) scales a whole map and is
    left out. Dividing numerator and denominator by g^2 matters on video: a clip has so many cells
    that g^2 drops below any epsilon one would add to the denominator, and such an epsilon then
    decides the weights. All weights are positive: there is no evidence against a class.
    """

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        total = a.sum(dim=CELLS, keepdim=True)  # (N, C, 1, 1, 1)
        below = 2 + total * g  # (j, N, C, T', h, w)
        # Zero is met only where activations may be negative, which the paper does not foresee.
        share = torch.where(below != 0, 1 / below, 0)
        alpha = (share * g.relu()).sum(dim=CELLS)  # (j, N, C)
        return torch.einsum("jnc,ncthw->njthw", alpha, a)


@dataclass(frozen=True)
class HiResCAM(_HeadGradient):
    """HiResCAM, Draelos & Carin 2020 (arXiv:2011.08891), sec. 3: the gradient is not averaged.

    signed[k, i] = sum_c g[k, c, i] * A[c, i]

    What averaging does to Grad-CAM, to point where the network did not look, cannot happen here.
    Of a layer that is read through a layer norm alone it is zero: the norm does not feel its input
    grow, so the gradient is orthogonal to the activations in every cell.
    """

    def maps(self, context: ForwardContext) -> Maps:
        layer = context.model.cam_layer
        norm = context.model.trace(context.x.shape[1:]).norm_behind(layer)
        if norm is not None:
            raise BadInput(
                f"hirescam is zero everywhere at {layer!r}, whose cells are read through the layer "
                f"norm {norm!r} alone: use gradcam, or cam_layer= with that norm"
            )
        return super().maps(context)

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        return torch.einsum("jncthw,ncthw->njthw", g, a)


@dataclass(frozen=True)
class XGradCAM(_HeadGradient):
    """XGrad-CAM, Fu et al. 2020 (arXiv:2008.02312), eq. 8: cells weigh by their activation.

    signed[k, i] = sum_c alpha[k, c] * A[c, i],
    alpha[k, c] = sum_i (A[c, i] / sum_j A[c, j]) * g[k, c, i]

    A channel whose activations sum to zero says nothing: its alpha is zero.
    """

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        total = a.sum(dim=CELLS)  # (N, C)
        above = torch.einsum("jncthw,ncthw->jnc", g, a)
        alpha = torch.where(total != 0, above / total, 0)  # (j, N, C)
        return torch.einsum("jnc,ncthw->njthw", alpha, a)


@dataclass(frozen=True)
class LayerCAM(_HeadGradient):
    """LayerCAM, Jiang et al. 2021 (IEEE TIP 30), eqs. 5 and 6: every cell has its own weight.

    signed[k, i] = sum_c ReLU(g[k, c, i]) * A[c, i]
    """

    def combine(self, g: Tensor, a: Tensor) -> Tensor:
        return torch.einsum("jncthw,ncthw->njthw", g.relu(), a)
