"""Weights that are no numbers: found by name before anything is said about a clip."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..errors import BadInput

_STATISTICS = ("running_mean", "running_var")
_known: WeakKeyDictionary[nn.Module, list[tuple[int, int]]] = WeakKeyDictionary()


class NotFinite(BadInput):
    """The answer to one clip is not finite; that to another may be."""


@torch.no_grad()
def need_finite_weights(net: nn.Module, name: str) -> None:
    """Refuse a network of which a weight is not finite.

    Every weight is read once; after that, only when one has changed.

    Raises:
        BadInput: the name of the first such parameter or buffer.
    """
    # Of buffers, statistics alone: that of an attention may hold -inf, and rightly.
    statistics = [(n, t) for n, t in net.named_buffers() if n.endswith(_STATISTICS)]
    tensors = [(n, t) for n, t in (*net.named_parameters(), *statistics) if _can_be_summed(t)]
    if any(t.is_inference() for _, t in tensors):  # they keep no account of their changes
        state = None
    else:
        state = [(t.data_ptr(), t._version) for _, t in tensors]
    if state is not None and _known.get(net) == state:
        return
    for own, tensor in tensors:
        # The sum is quick to make, and not finite where any of them is not; or where it is large.
        if not torch.isfinite(tensor.sum()) and not torch.isfinite(tensor).all():
            share = int((~torch.isfinite(tensor)).sum())
            raise BadInput(
                f"{name}: {share} of {tensor.numel()} numbers in its parameter {own!r} are not "
                "finite (nan or inf): load the weights again"
            )
    if state is not None:
        _known[net] = state


def _can_be_summed(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.itemsize > 1 and not tensor.is_meta


def need_finite_answers(logits: Tensor, signed: Tensor, name: str, sources: list[str]) -> None:
    """Refuse logits (N, K) or maps (N, k, T', h, w) that are not finite.

    Raises:
        NotFinite: the first clip of which they are not.
    """
    for what, values in (("logits", logits), ("maps", signed)):
        bad = ~torch.isfinite(values.flatten(1)).all(dim=1)
        if bad.any():
            raise NotFinite(
                f"{sources[int(bad.nonzero()[0])]}: {name} gives {what} that are not finite (nan "
                "or inf), though its weights are: give it another clip or another precision"
            )
