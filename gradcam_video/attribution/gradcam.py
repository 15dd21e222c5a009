"""The core: one forward of a network gives the logits and the maps of every class.

Grad-CAM (Selvaraju et al. 2017, eqs. 1 and 2), for activations A of C channels with Z = T'·h·w
cells, and the logit y of class k before softmax:

    alpha[k, c] = (1 / Z) * sum over cells i of  d y[k] / d A[c, i]
    signed[k]   = sum over c of  alpha[k, c] * A[c]             map[k] = ReLU(signed[k])

Nothing in front of A is needed for the gradient, so the forward runs without a graph up to the CAM
layer. Behind it there are two cases, which agree wherever both apply:

- mean over all cells + one linear layer: y[k] = b[k] + sum_c w[k, c] * mean_i A[c, i], therefore
  alpha = w / Z exactly, and all K maps are one matrix product (for a network that averages a map
  of class scores they are that map);
- any other head: only the head is recorded, and its vector-Jacobian product is taken for many
  classes at once.

A layer that gives tokens, or channels last, is folded into A and A back into its output, at the one
place where the network is caught (`_Catch`); class tokens stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..errors import BadInput
from ..models.modes import _at_least_float32, evaluating
from ..models.video_model import VideoModel
from .catch import _Catch, _Cut

# The gradients of so many classes are held at once, in bytes (they are as large as A for each).
GRADIENT_BYTES = 64 * 2**20


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
    layer, record = model.cam_layer, model.trace(x.shape[1:])
    head = None if per_step or by_gradient else record.linear_head(layer)
    with evaluating(model.net):
        if head is None:
            catch = _Cut(model, x.shape[1:])
            logits, activations = catch.run(x, autocast)
            wanted = _indices(classes, logits)
            signed = _by_gradient(logits, activations, wanted, per_step)
        else:
            catch = _Catch(model, x.shape[1:])
            logits, activations = catch.run(x, autocast)
            wanted = _indices(classes, logits)
            if head.weight is None:  # the activations are class scores already: alpha = 1 / Z
                signed = _at_least_float32(activations[:, wanted]) / activations[0, 0].numel()
            else:
                weight = model.net.get_parameter(head.weight).detach()  # (K, C)
                signed = _by_weights(weight[wanted], activations)
    return _at_least_float32(logits.detach()), signed


def _indices(classes: Tensor | None, logits: Tensor) -> Tensor:
    if classes is None:
        return torch.arange(logits.shape[1], device=logits.device)
    return classes.to(logits.device)


def _by_weights(weight: Tensor, activations: Tensor) -> Tensor:
    """CAM (Zhou et al. 2016) on Grad-CAM's scale, alpha = w / Z: (k, C), (N, C, …) -> (N, k, …)."""
    flat = activations.flatten(2)  # (N, C, Z)
    # Scaling the maps, not the weights: in half precision w / Z would vanish.
    signed = _at_least_float32(weight) @ _at_least_float32(flat) / flat.shape[2]  # (N, k, Z)
    return signed.unflatten(2, activations.shape[2:])


def _by_gradient(logits: Tensor, activations: Tensor, classes: Tensor, per_step: bool) -> Tensor:
    """Grad-CAM through any head: (N, K), (N, C, T', h, w) -> (N, k, T', h, w)."""
    over = (-2, -1) if per_step else (-3, -2, -1)
    signed = []
    for gradients in _head_gradients(logits, activations, classes):  # (j, N, C, T', h, w)
        alpha = gradients.mean(dim=over, keepdim=True)
        # Summed over the channels: (j, N, C, …) * (N, C, T', h, w) -> (N, j, T', h, w)
        weights = alpha.squeeze((-2, -1)) if per_step else alpha.squeeze((-3, -2, -1))
        rule = "jnct,ncthw->njthw" if per_step else "jnc,ncthw->njthw"
        signed.append(torch.einsum(rule, weights, activations.detach()))
    return _at_least_float32(torch.cat(signed, dim=1))


def _head_gradients(logits: Tensor, activations: Tensor, classes: Tensor) -> Iterator[Tensor]:
    """d y[k] / d A of every class, some at a time: (j, N, C, T', h, w) each."""
    several = max(1, GRADIENT_BYTES // (activations.numel() * activations.element_size()))
    for some in classes.split(several):
        # Row j asks every clip of the batch for its class some[j]: clips do not mix in a forward.
        ask = torch.zeros(len(some), *logits.shape, device=logits.device, dtype=logits.dtype)
        ask[torch.arange(len(some)), :, some] = 1  # (j, N, K)
        yield _vjp(logits, activations, ask)


def _vjp(logits: Tensor, activations: Tensor, ask: Tensor) -> Tensor:
    """Vector-Jacobian products for a stack of vectors, batched where autograd can."""
    options: dict[str, Any] = {"retain_graph": True, "allow_unused": True}
    gradients: Tensor | None = None
    if logits.requires_grad:
        try:
            (gradients,) = torch.autograd.grad(
                logits, activations, ask, is_grads_batched=True, **options
            )
        except RuntimeError:  # some backward formulas cannot be batched (vmap): one by one then
            rows = [torch.autograd.grad(logits, activations, v, **options)[0] for v in ask]
            gradients = torch.stack(rows)
    if gradients is None:
        raise BadInput("the logits do not depend on the CAM layer: name another with cam_layer=")
    return gradients
