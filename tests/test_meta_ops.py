"""models/meta_ops.py: each rule gives what torch's own meta kernel gives, or leaves it to torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gradcam_video.models.meta_ops import _RULES, run_on_meta

last = torch.channels_last_3d


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, device="meta", dtype=dtype)


x, wide, half = meta(2, 4, 5, 6, 7), meta(2, 4, 5, 6, 9), meta(2, 4, 5, 6, 7, dtype=torch.float16)
channels_last = x.contiguous(memory_format=last)
w, scale = meta(6, 4, 3, 3, 3), meta(4)
CASES: dict[str, Callable[[], Any]] = {
    "relu": lambda: x.relu(),
    "relu, channels last": lambda: channels_last.relu(),
    "relu of a view": lambda: x[:, :, ::2].relu(),
    "gelu": lambda: F.gelu(x, approximate="tanh"),
    "add": lambda: x + x,
    "add, one broadcast": lambda: x + meta(4, 1, 1, 1),
    "add, mixed types": lambda: x + half,
    "add, mixed formats": lambda: x + channels_last,
    "add a number": lambda: x + 2,
    "add to whole numbers": lambda: meta(3, dtype=torch.int64) + 0.5,
    "a number less": lambda: 1 - x,
    "divide": lambda: x / 3,
    "multiply": lambda: half * half,
    "mean over cells": lambda: x.mean((2, 3, 4)),
    "mean, kept": lambda: x.mean((-1, -2), keepdim=True),
    "mean of all": lambda: x.mean(),
    "mean, channels last": lambda: channels_last.mean((2, 3, 4)),
    "mean as another type": lambda: half.mean((2, 3), dtype=torch.float32),
    "pool to one": lambda: F.adaptive_avg_pool3d(x, 1),
    "linear": lambda: F.linear(meta(2, 4), meta(9, 4), meta(9)),
    "batch norm": lambda: F.batch_norm(x, scale, scale, scale, scale),
    "batch norm, channels last": lambda: F.batch_norm(channels_last, scale, scale),
    "batch norm in training": lambda: F.batch_norm(x, scale, scale, training=True),
    "concatenated": lambda: torch.cat([x, wide], 4),
    "concatenated from behind": lambda: torch.cat([x, x, x], -3),
    "concatenated, mixed formats": lambda: torch.cat([x, channels_last], 1),
    "convolution": lambda: F.conv3d(x, w, meta(6), stride=(1, 2, 2), padding=1),
    "convolution, dilated": lambda: F.conv3d(x, w, padding=(2, 1, 3), dilation=(2, 1, 2)),
    "convolution in groups": lambda: F.conv3d(x, meta(8, 1, 3, 3, 3), groups=4),
    "convolution, channels last": lambda: F.conv3d(channels_last, w, padding=1),
    "convolution of a picture": lambda: F.conv2d(meta(1, 3, 9, 9), meta(4, 3, 3, 3)),
    "transposed": lambda: F.conv_transpose3d(x, meta(4, 2, 3, 3, 3), stride=2),
    "replicated": lambda: F.pad(x, (1, 2, 0, 0, 3, 0), mode="replicate"),
}


class _ByRule(TorchDispatchMode):
    """Runs every operation as the trial forward does, and notes which rules gave a result."""

    def __init__(self) -> None:
        super().__init__()
        self.ruled: set[Any] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = run_on_meta(func, args, kwargs or {})
        rule = _RULES.get(func)
        if rule is not None and rule(*args, **(kwargs or {})) is not None:
            self.ruled.add(func)
        return result


@pytest.mark.parametrize("name", CASES)
def test_the_same_as_torch(name: str) -> None:
    expected = CASES[name]()
    with _ByRule():
        found = CASES[name]()
    pairs = list(zip(tree_leaves(found), tree_leaves(expected), strict=True))
    assert pairs
    for one, other in pairs:
        assert (one.shape, one.dtype, one.stride()) == (other.shape, other.dtype, other.stride())
        assert one.is_meta


def test_the_rules_are_used() -> None:
    mode = _ByRule()
    with mode:
        for case in CASES.values():
            case()
    assert mode.ruled >= set(_RULES) - {torch.ops.aten.div.Tensor, torch.ops.aten.sub.Tensor}


def test_what_does_not_fit_is_refused_by_torch_itself() -> None:
    with _ByRule(), pytest.raises(RuntimeError, match="channel"):
        F.conv3d(x, meta(6, 3, 3, 3, 3))


# --- which rule takes what ----------------------------------------------------------------------

aten = torch.ops.aten
CASES |= {
    "concatenated along the batch": lambda: torch.cat([x, x]),
    "concatenated, mixed types": lambda: torch.cat([half, x], 1),
    "convolution to a single cell": lambda: F.conv3d(x, meta(6, 4, 5, 6, 7)),
}
RULED: dict[str, set[Any]] = {
    "relu": {aten.relu.default},
    "relu, channels last": set(),
    "add": {aten.add.Tensor},
    "add, one broadcast": set(),
    "add, mixed types": set(),
    "add, mixed formats": set(),
    "add a number": {aten.add.Tensor},
    "add to whole numbers": set(),
    "mean over cells": {aten.mean.dim},
    "mean, channels last": set(),
    "batch norm": {aten.native_batch_norm.default},
    "batch norm, channels last": set(),
    "batch norm in training": set(),
    "concatenated": {aten.cat.default},
    "concatenated along the batch": {aten.cat.default},
    "concatenated, mixed formats": set(),
    "concatenated, mixed types": set(),
    "convolution": {aten.convolution.default},
    "convolution in groups": {aten.convolution.default},
    "convolution, channels last": set(),
    "convolution to a single cell": {aten.convolution.default},
    "transposed": set(),
}


@pytest.mark.parametrize("name", RULED)
def test_a_rule_takes_what_it_can_and_no_more(name: str) -> None:
    test_the_same_as_torch(name)
    with _ByRule() as mode:
        CASES[name]()
    assert mode.ruled == RULED[name]


def test_tensors_with_values_keep_them() -> None:
    found = run_on_meta(aten.relu.default, (torch.tensor([-1.0, 2.0]),), {})
    assert found.tolist() == [0.0, 2.0]


@pytest.mark.parametrize("kernel", [(6, 3, 3), (3, 3, 9), (5, 6, 8)])
def test_a_kernel_larger_than_the_map_is_refused_by_torch_itself(
    kernel: tuple[int, int, int],
) -> None:
    with _ByRule(), pytest.raises(RuntimeError, match=r"[Kk]ernel|too small"):
        F.conv3d(x, meta(6, 4, *kernel))
