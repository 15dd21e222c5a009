"""Grad-CAM: one forward of a network gives the logits and the maps of every class.

Selvaraju et al. 2017 (arXiv:1610.02391), eqs. 1 and 2. The CAM layer gives activations A of C
channels in Z = T'·h·w cells, and y[k] is the logit of class k, before softmax:

    alpha[k, c] = (1 / Z) * sum over cells i of  d y[k] / d A[c, i]
    signed[k]   = sum over c of  alpha[k, c] * A[c]             map[k] = ReLU(signed[k])

No gradient is needed of anything before A, so the forward runs without a graph up to the CAM layer
(`catch.py`). What comes after it, the head, is of one of two kinds:

- The mean over all cells and one linear layer: y[k] = b[k] + sum_c w[k, c] * mean_i A[c, i]. Then
  d y[k] / d A[c, i] = w[k, c] / Z in every cell, so alpha = w / Z exactly. Nothing has to be
  differentiated, and all K maps are one matrix product. (In a network that averages a map of class
  scores, A holds them already: alpha = 1 / Z.)
- Any other head: only the head is recorded, and its vector-Jacobian product is taken for many
  classes at once.

Where both apply they agree, which the tests hold them to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..models.modes import at_least_float32, evaluating
from ..models.video_model import VideoModel
from .catch import Caught, HeadGraphCatch, LayerCatch
from .cost import counted

CHECKPOINTED = (
    "the network checkpoints its activations with use_reentrant=True, of which torch gives no "
    "gradient inside a forward: build it with use_reentrant=False, or without checkpointing"
)
GRADIENT_BYTES = 64 * 2**20
"""The gradients of one class are as large as A. So many bytes of them are held at once."""


def maps_of(
    model: VideoModel,
    x: Tensor,
    classes: Tensor | None = None,
    *,
    per_step: bool = False,
    by_gradient: bool = False,
    autocast: bool | torch.dtype = False,
) -> tuple[Tensor, Tensor]:
    """Logits and signed maps of a batch of clips, from one forward.

    The network is left as it was, also when something raises: mode, gradients, flags, hooks.

    Args:
        model: the network with its CAM layer.
        x: (N, 3, T, H, W), preprocessed, on the model's device.
        classes: int64 (k,), the classes whose maps are wanted; None: all K.
        per_step: average the gradient over (h, w) at each of the T' steps, instead of over
            (T', h, w). The same for a head of mean + linear; where the head weighs moments
            differently, as a recurrent one does, a channel may then count at one time and not at
            another.
        by_gradient: take the general way although the head is mean + linear (for comparison).
        autocast: run the network in this lower precision (True: bfloat16). The maps and the head
            are computed in float32 all the same.

    Returns:
        logits (N, K) and signed maps (N, k, T', h, w), on the model's device; float32, or float64
        for a float64 network.

    Raises:
        BadInput: the logits do not depend on the layer.
    """
    shape = x.shape[1:]
    head = None if per_step or by_gradient else model.trace(shape).linear_head(model.cam_layer)
    with evaluating(model.net):
        if head is None:
            caught = HeadGraphCatch(model, shape).run(x, autocast)
            logits = caught.logits
            signed = _by_gradient(caught, class_indices(classes, logits), per_step)
        else:
            caught = LayerCatch(model, shape).run(x, autocast)
            logits, activations = caught.logits, caught.activations
            wanted = class_indices(classes, logits)
            if head.weight is None:  # the activations are class scores already: alpha = 1 / Z
                signed = at_least_float32(activations[:, wanted]) / activations[0, 0].numel()
            else:
                weight = model.tensor(head.weight)  # (K, C)
                signed = _by_weights(weight[wanted], activations)
    return at_least_float32(logits.detach()), signed


def class_indices(classes: Tensor | None, logits: Tensor) -> Tensor:
    """The classes that are wanted, or all K of logits (N, K): int64 (k,), on their device."""
    if classes is None:
        return torch.arange(logits.shape[1], device=logits.device)
    return classes.to(logits.device)


# --- a head of mean + linear --------------------------------------------------------------------


def _by_weights(weight: Tensor, activations: Tensor) -> Tensor:
    """CAM (Zhou et al. 2016) on Grad-CAM's scale, alpha = w / Z: (k, C), (N, C, …) -> (N, k, …)."""
    flat = activations.flatten(2)  # (N, C, Z)
    # Scaling the maps, not the weights: in half precision w / Z would vanish.
    signed = at_least_float32(weight) @ at_least_float32(flat) / flat.shape[2]  # (N, k, Z)
    return signed.unflatten(2, activations.shape[2:])  # (N, k, T', h, w)


# --- any other head -----------------------------------------------------------------------------


def _by_gradient(caught: Caught, classes: Tensor, per_step: bool) -> Tensor:
    """Grad-CAM through any head: k classes -> (N, k, T', h, w)."""
    over = (-2, -1) if per_step else (-3, -2, -1)
    rule = "jnct,ncthw->njthw" if per_step else "jnc,ncthw->njthw"  # summed over c
    signed = []
    for gradients in head_gradients(caught.logits, caught.cells, classes):
        maps = [
            # alpha: (j, N, C), or (j, N, C, T') per step
            torch.einsum(rule, g.mean(dim=over), a.detach())
            for g, a in zip(gradients, caught.cells, strict=True)  # (j, N, C, T', h, w)
        ]
        signed.append(caught.reading.merged([at_least_float32(one) for one in maps]))
    return torch.cat(signed, dim=1)


def head_gradients(
    logits: Tensor, cells: Sequence[Tensor], classes: Tensor
) -> Iterator[list[Tensor]]:
    """d y[k] / d A of every class, j of them at a time.

    Args:
        logits: (N, K), of `HeadGraphCatch`.
        cells: (N, C, T', h, w) each, the leaves of their graph: one per call of the layer.
        classes: int64 (k,).

    Yields:
        (j, N, C, T', h, w) each, for as many classes as `GRADIENT_BYTES` hold.

    Raises:
        BadInput: the logits do not depend on the activations.
    """
    size = sum(a.numel() * a.element_size() for a in cells)
    for some in counted(classes.split(max(1, GRADIENT_BYTES // size)), logits):
        # Row j is one in the logit some[j] of every clip: clips do not mix in a forward, so that
        # the gradient of the sum over clips is each clip's own.
        rows = torch.zeros(len(some), *logits.shape, device=logits.device, dtype=logits.dtype)
        rows[torch.arange(len(some)), :, some] = 1  # (j, N, K)
        yield _vjp(logits, cells, rows)


def _vjp(logits: Tensor, cells: Sequence[Tensor], rows: Tensor) -> list[Tensor]:
    """Vector-Jacobian products for a stack of vectors (j, N, K), batched where autograd can."""
    options: dict[str, Any] = {"retain_graph": True, "allow_unused": True}
    gradients: Sequence[Tensor | None] = [None]
    if logits.requires_grad:
        try:
            gradients = torch.autograd.grad(logits, cells, rows, is_grads_batched=True, **options)
        except RuntimeError as error:
            if "Checkpointing" in str(error) or "use_reentrant" in str(error):
                raise BadInput(CHECKPOINTED) from error
            # Some backward formulas cannot be batched (vmap): one by one then.
            singly = [torch.autograd.grad(logits, cells, row, **options) for row in rows]
            gradients = [
                None if one[0] is None else torch.stack(one) for one in zip(*singly, strict=True)
            ]
    if all(one is None for one in gradients):
        raise BadInput(
            "the logits do not depend on the CAM layer, or the network cuts its graph there (by "
            "detach, a checkpoint with use_reentrant=True, or a quantised layer): name another "
            "with cam_layer="
        )
    return [
        a.new_zeros(len(rows), *a.shape) if one is None else one
        for one, a in zip(gradients, cells, strict=True)
    ]
