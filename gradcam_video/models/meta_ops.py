"""The commonest operations on tensors without data, worked out here.

torch (2.15) has the meta kernels of these in Python, and at the first call of any of them it
imports its compiler or its symbolic shapes: as much processor time as `import torch` itself, and
up to 200 MB. A trial forward of a plain convolutional network needs no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten


def run_on_meta(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operation, by a rule below where there is one, else by torch."""
    rule = _RULES.get(func)
    if rule is not None and all(t.is_meta for t in args if isinstance(t, Tensor)):
        result = rule(*args, **kwargs)
        if result is not None:
            return result
    try:
        return func(*args, **kwargs)
    except Exception:
        # A constant that the network made in its forward, or keeps beside its buffers, has values.
        leaves = tree_leaves((args, kwargs))
        mixed = {t.device.type for t in leaves if isinstance(t, Tensor)}
        if "meta" not in mixed or len(mixed) == 1:
            raise
        args, kwargs = tree_map_only(Tensor, lambda t: t.to("meta"), (args, kwargs))
        return func(*args, **kwargs)


def _same(x: Tensor, *_: Any, **__: Any) -> Tensor | None:
    # Not `empty_like`: that is one of those written in Python.
    return x.new_empty(x.shape) if x.is_contiguous() else None


def _binary(x: Any, y: Any, **_: Any) -> Tensor | None:
    """Of two tensors alike, or of a tensor and a number of its kind; anything else is torch's."""
    if isinstance(y, Tensor):
        alike = isinstance(x, Tensor) and x.shape == y.shape and x.dtype == y.dtype
        return _same(x) if alike and y.is_contiguous() else None
    floats = isinstance(x, Tensor) and x.is_floating_point() and isinstance(y, (int, float))
    return _same(x) if floats else None


def _mean(x: Tensor, dim: Sequence[int] | None, keepdim: bool = False, **kw: Any) -> Tensor | None:
    if not dim or kw.get("dtype") is not None or not x.is_contiguous():
        return None
    over = {d % x.ndim for d in dim}
    sizes = [1 if d in over else n for d, n in enumerate(x.shape) if keepdim or d not in over]
    return x.new_empty(sizes)


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **_: Any) -> Tensor | None:
    return a.new_empty((a.shape[0], b.shape[1])) if a.shape[1] == b.shape[0] else None


def _batch_norm(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor] | None:
    out = None if rest[4] else _same(x)  # in training mode it gives more
    return None if out is None else (out, x.new_empty(0), x.new_empty(0))


def _cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    plain = all(
        t.is_meta and t.dtype == first.dtype and t.ndim == first.ndim and t.is_contiguous()
        for t in tensors
    )
    if not plain:
        return None
    sizes = list(first.shape)
    sizes[dim] = sum(t.shape[dim] for t in tensors)
    return first.new_empty(sizes)


def _replication_pad(x: Tensor, padding: Sequence[int]) -> Tensor:
    sizes = list(x.shape)
    for i in range(0, len(padding), 2):  # last dimension first
        sizes[-1 - i // 2] += padding[i] + padding[i + 1]
    return x.new_empty(sizes)


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    kernel = weight.shape[2:]
    fits = x.ndim == weight.ndim and x.shape[1] == weight.shape[1] * groups
    if transposed or not fits or x.dtype != weight.dtype or not x.is_contiguous():
        return None
    each = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    sizes = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in each]
    return x.new_empty((x.shape[0], weight.shape[0], *sizes)) if min(sizes) > 0 else None


_RULES: dict[Any, Callable[..., Any]] = {
    aten.relu.default: _same,
    aten.gelu.default: _same,
    aten.add.Tensor: _binary,
    aten.sub.Tensor: _binary,
    aten.mul.Tensor: _binary,
    aten.div.Tensor: _binary,
    aten.mean.dim: _mean,
    aten.addmm.default: _addmm,
    aten.native_batch_norm.default: _batch_norm,
    aten.cat.default: _cat,
    aten.convolution.default: _convolution,
    aten.replication_pad3d.default: _replication_pad,
}
