"""Has a network been trained? Weights that are still as PyTorch or torchvision draw them say no.

A network that was built and never trained explains nothing, and does so with confident colours. Its
weights give it away. PyTorch draws those of a convolution or a linear layer evenly between
±1 / sqrt(fan_in) (`kaiming_uniform_` with a = sqrt(5)): any training carries some of them over that
edge, because they are drawn right up to it. torchvision draws many from a normal distribution of a
known width, which has no edge; there it is the batch norms that tell, for they count the batches
that they have seen.

The verdict is careful: a trained network is never called untrained. One of few weights, or with
other layers that were drawn in another way, is not judged.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

FEWEST = 1000
"""So many weights of convolutions and linear layers are needed for a verdict."""
_SAMPLE = 20_000  # of a tensor: sorting all of a large one would take seconds
_ALIKE = 2.2  # Kolmogorov-Smirnov: sqrt(n) D is above this once in 8,000 tensors drawn so
_EDGE = 1 + 1e-5  # for the rounding of half precision's neighbours


@torch.no_grad()
def looks_untrained(net: nn.Module) -> bool:
    """Whether all weights of a network are as they were drawn.

    Args:
        net: any; one whose weights have no values (on the meta device) is not judged.

    Returns:
        True where every convolution and linear layer has PyTorch's or torchvision's initialisation
        and every norm is untouched; False where one is not, or where there is too little to judge.
    """
    judged, total, normal, counted = 0, 0, False, False
    for module in net.modules():
        own = [p for p in module.parameters(recurse=False) if not isinstance(p, _Uninitialised)]
        if any(p.is_meta for p in own) or len(own) != len(module._parameters) - _nones(module):
            return False
        total += sum(p.numel() for p in own)
        if isinstance(module, _NORMS):
            if not _untouched(module):
                return False
            counted |= _has_counted_nothing(module)
            judged += sum(p.numel() for p in own)
        elif isinstance(module, _WEIGHTED):
            kind = _drawn_as(module)
            if kind is None:
                return False
            normal |= kind == "normal"
            judged += sum(p.numel() for p in own)
    weights = sum(m.weight.numel() for m in net.modules() if isinstance(m, _WEIGHTED))
    if weights < FEWEST or 2 * judged < total:
        return False
    return counted or not normal


_Uninitialised = nn.parameter.UninitializedParameter
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_WEIGHTED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_NORMS = (*_BATCH_NORMS, nn.LayerNorm, nn.GroupNorm)


def _nones(module: nn.Module) -> int:
    return sum(p is None for p in module._parameters.values())


def _untouched(norm: nn.Module) -> bool:
    """Whether a norm's weight is one, its bias zero, and its statistics those of no batch."""
    tensors = dict(norm.named_parameters(recurse=False))
    if not all((tensors[name] == at).all() for name, at in _START if name in tensors):
        return False
    seen = getattr(norm, "running_mean", None)
    return seen is None or _has_counted_nothing(norm)


_START = (("weight", 1), ("bias", 0))


def _has_counted_nothing(norm: nn.Module) -> bool:
    """Whether a batch norm keeps statistics, and has seen no batch yet."""
    buffers = dict(norm.named_buffers(recurse=False))
    if not {"running_mean", "running_var", "num_batches_tracked"} <= buffers.keys():
        return False
    start = (buffers["running_mean"] == 0).all() and (buffers["running_var"] == 1).all()
    return bool(start) and int(buffers["num_batches_tracked"]) == 0


def _drawn_as(layer: nn.Module) -> str | None:
    """ "uniform" or "normal", as the weights of a layer were drawn; None: neither."""
    weight = layer._parameters.get("weight")
    if weight is None or not weight.is_floating_point():
        return None  # made of others, as by a weight norm
    fan_in, cells = weight[0].numel(), weight[0, 0].numel()
    values = weight.detach().float().flatten()
    most = float(values.abs().max())
    sample = _sampled(values)
    at = sample.double() * math.sqrt(fan_in)  # -1 to 1, where it was drawn by PyTorch
    if most <= _EDGE / math.sqrt(fan_in) and _alike(0.5 + 0.5 * at):
        return "uniform"
    fan_out = weight.shape[0] * cells
    widths = [math.sqrt(2 / fan_out), math.sqrt(2 / fan_in)]
    if isinstance(layer, nn.Linear):
        widths += [0.01, 0.02]
    normal = any(_alike(torch.special.ndtr(sample.double() / width)) for width in widths)
    return "normal" if normal else None


def _sampled(values: Tensor) -> Tensor:
    step = max(1, len(values) // _SAMPLE)
    return values[::step].cpu()


def _alike(ranks: Tensor) -> bool:
    """Whether numbers in 0..1 lie evenly there: the test of Kolmogorov and Smirnov."""
    ordered = np.sort(ranks.double().numpy())
    count = len(ordered)
    steps = np.arange(count + 1) / count
    distance = max(np.abs(steps[1:] - ordered).max(), np.abs(ordered - steps[:-1]).max())
    return math.sqrt(count) * distance < _ALIKE
