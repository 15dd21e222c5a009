"""Right values where a fault could go unseen: each test here killed a mutant (scripts/mutants.py).

Where cells lie is checked by their values: the clip holds each pixel's own place (its frame, row
and column as three channels), so after any operation that moves or averages pixels the values of a
cell *are* where it is centred.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcam_video.attribution import gradcam
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.errors import BadInput
from gradcam_video.geometry import View
from gradcam_video.metrics.localisation import following, temporal_iou, tolerant_truth
from gradcam_video.models.token_layout import TokenGrid
from gradcam_video.models.trace import LinearHead, Trace, trace_forward
from gradcam_video.models.video_model import VideoModel

SHAPE = (3, 6, 8, 10)
Steps = Callable[[Tensor], Tensor]


def places() -> Tensor:
    """A clip whose pixels say where they are: float64 (1, 3, 6, 8, 10)."""
    return torch.stack(torch.meshgrid(*(torch.arange(n) for n in SHAPE[1:]), indexing="ij"))[
        None
    ].double()


class Layer(nn.Module):
    """Some operations, their result as the layer "out", and logits that depend on it."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps, self.out = steps, nn.Identity()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.steps(x)).reshape(1, -1)[:, :2] * self.scale


def nothing(x: Tensor, **sizes: int) -> Tensor:
    """What lies nowhere: a block of NaN, as the clip but for some sizes."""
    shape = dict(zip("nCthw", x.shape, strict=True)) | sizes
    return x.new_full(tuple(shape.values()), math.nan)


def mean_filter(x: Tensor, *kernel: int) -> Tensor:
    return x.new_full((3, 1, *kernel), 1 / math.prod(kernel))


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def with_class_tokens(x: Tensor, n: int = 1) -> Tensor:
    return torch.cat([x.new_full((1, n, 3), math.nan), tokens(x)], dim=1)


def middle_of_max_and_min(x: Tensor, *window: object) -> Tensor:
    return (F.max_pool3d(x, *window) - F.max_pool3d(-x, *window)) / 2


def frame_by_frame(x: Tensor, steps: Steps) -> Tensor:
    """A network of pictures: the frames as a batch, and apart again."""
    y = steps(x.transpose(1, 2).reshape(6, 3, 8, 10))
    return y.reshape(1, 6, 3, *y.shape[-2:]).transpose(1, 2)


FOLLOWED: dict[str, Steps] = {
    "all": lambda x: x,
    "later": lambda x: x[:, :, 2:],
    "earlier": lambda x: x[:, :, :-2],
    "from the end": lambda x: x[:, :, :, -5:],
    "every second": lambda x: x[..., ::2],
    "every third from 1": lambda x: x[..., 1::3],
    "twice": lambda x: x[..., 1::2][..., 1:],
    "of other channels": lambda x: torch.cat([x, x * 0], 1)[:, :3],
    "split channels": lambda x: torch.cat([x, x * 0], 1).split(3, 1)[0],
    "chunks of channels": lambda x: torch.cat([x, x * 0], 1).chunk(2, 1)[0],
    "one frame": lambda x: x[:, :, 3],
    "one frame, kept": lambda x: x[:, :, 3:4],
    "one row": lambda x: x[:, :, :, 3:4],
    "one frame, unbound": lambda x: x.unbind(2)[1],
    "rows put before": lambda x: torch.cat([nothing(x, h=3), x], 3),
    "rows put after": lambda x: torch.cat([x, nothing(x, h=3)], 3),
    "columns around": lambda x: torch.cat([nothing(x, w=2), x, nothing(x, w=1)], 4),
    "frames around, from behind": lambda x: torch.cat([nothing(x, t=1), x, nothing(x, t=2)], -3),
    "the first frame again": lambda x: torch.cat([x[:, :, :1] + math.nan, x], 2),
    "the last row again": lambda x: torch.cat([x, x[:, :, :, -1:] + math.nan], 3),
    "rows put before every second": lambda x: torch.cat([nothing(x, h=3), x], 3)[:, :, :, 1::2],
    "rows before channels": lambda x: torch.cat([nothing(x, h=3, w=5), x[..., ::2]], 3),
    "padded": lambda x: F.pad(x, (2, 1, 0, 3, 1, 0), value=math.nan),
    "padded in the plane": lambda x: F.pad(x, (2, 1, 3, 0), value=math.nan),
    "padded, then every second": lambda x: F.pad(x, (3, 0), value=math.nan)[..., 1::2],
    "replicated": lambda x: F.pad(x, (2, 1, 0, 3, 1, 0), mode="replicate"),
    "reflected": lambda x: F.pad(x, (2, 1, 0, 3, 1, 0), mode="reflect"),
    "convolved": lambda x: F.conv3d(x, mean_filter(x, 2, 3, 4), groups=3),
    "convolved in strides": lambda x: F.conv3d(
        x, mean_filter(x, 1, 3, 2), stride=(2, 2, 3), padding=(0, 1, 1), groups=3
    ),
    "convolved, dilated": lambda x: F.conv3d(
        x, mean_filter(x, 2, 2, 3), dilation=(3, 2, 2), padding=(1, 1, 2), groups=3
    ),
    "two convolutions": lambda x: F.conv3d(
        F.conv3d(x, mean_filter(x, 1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1), groups=3),
        mean_filter(x, 2, 2, 2),
        groups=3,
    ),
    "average pool": lambda x: F.avg_pool3d(x, (1, 2, 3)),
    "average pool of one number": lambda x: F.avg_pool3d(x, 2),
    "average pool, moved": lambda x: F.avg_pool3d(x, (2, 3, 4), (1, 2, 2), (1, 1, 2)),
    "maximum pool": lambda x: middle_of_max_and_min(x, (1, 2, 3)),
    "maximum pool of numbers": lambda x: middle_of_max_and_min(x, 3, 1),
    "maximum pool, moved": lambda x: middle_of_max_and_min(x, (2, 3, 2), (1, 2, 3)),
    "maximum pool, dilated": lambda x: middle_of_max_and_min(x, 2, 1, 0, (2, 3, 1)),
    "pool of pictures": lambda x: frame_by_frame(x, lambda y: F.avg_pool2d(y, (2, 3), (1, 2))),
    "pool of pictures by one number": lambda x: frame_by_frame(x, lambda y: F.avg_pool2d(y, 2)),
    "one frame, padded": lambda x: F.pad(x[:, :, 3:4], (0, 0, 0, 0, 1, 1), value=math.nan),
    "pool of a row of pictures": lambda x: (
        F.avg_pool2d(x[:, :, :, 3:4].transpose(1, 2).reshape(6, 3, 1, 10), (1, 2))
        .reshape(1, 6, 3, 1, 5)
        .transpose(1, 2)
    ),
    "convolved pictures": lambda x: frame_by_frame(
        x, lambda y: F.conv2d(y, mean_filter(y, 3, 2), stride=(2, 1), padding=(1, 0), groups=3)
    ),
    "two branches meet": lambda x: (F.avg_pool3d(x, (1, 1, 2), 1) + x[..., :-1]) / 2,
    "a branch that is short in channels": lambda x: torch.cat([x, x * 0], 1)[:, :3] + 0 * x[:, :1],
    "channels last": lambda x: x.permute(0, 2, 3, 4, 1),
    "channels last, by negative numbers": lambda x: x.permute(0, -3, -2, -1, 1),
    "rows and frames exchanged": lambda x: x.transpose(2, -2),
    "tokens": tokens,
    "tokens by rows, columns, frames": lambda x: x.permute(0, 3, 4, 2, 1).flatten(1, 3),
    "tokens of each frame": lambda x: x.permute(0, 2, 3, 4, 1).flatten(2, 3),
    "tokens behind a class token": with_class_tokens,
    "tokens behind two": lambda x: with_class_tokens(x, 2),
    "tokens of one frame behind two": lambda x: with_class_tokens(x[:, :, :1], 2),
    "a row of tokens behind one": lambda x: with_class_tokens(x[:, :, :1, :1]),
    "the class token left out": lambda x: with_class_tokens(x, 2)[:, 2:],
    "tokens and back": lambda x: (
        with_class_tokens(x)[:, 1:].reshape(1, 6, 8, 10, 3).permute(0, 4, 1, 2, 3)
    ),
    "linear": lambda x: F.linear(x.permute(0, 2, 3, 4, 1), torch.eye(3).to(x)),
    "linear, with a bias": lambda x: F.linear(tokens(x), torch.eye(3).to(x), x.new_zeros(3)),
    "channels in groups": lambda x: (
        torch.cat([x, x * 0], 1).view(1, 2, 3, 6, 8, 10).flatten(1, 2)[:, :3]
    ),
    "channels in groups, and in others": lambda x: (
        torch.cat([x, x * 0], 1)
        .view(1, 2, 3, 6, 8, 10)
        .flatten(1, 2)
        .view(1, 3, 2, 6, 8, 10)
        .flatten(1, 2)[:, :3]
    ),
    "residual": lambda x: x + x * x.new_zeros(1, 3, 1, 1, 1),
    "turned": lambda x: x.flip(3),
    "reversed and mirrored": lambda x: x.flip((2, 4)),
    "split rows": lambda x: x.split(4, 3)[1],
    "split unevenly": lambda x: x.split([1, 5, 2], 3)[1],
    "colours there and back": lambda x: x[:, [2, 1, 0]][:, [2, 1, 0]],
    "every second frame": lambda x: x.index_select(2, torch.arange(0, 6, 2)),
    "frames by a list": lambda x: x[:, :, [1, 3, 5]],
    "frames one by one": lambda x: torch.stack([x[:, :, t] for t in range(6)], 2),
    "the batch holds the frames": lambda x: x.transpose(1, 2).flatten(0, 1),
}


def traced(steps: Steps, shape: tuple[int, ...] = SHAPE) -> Trace:
    return trace_forward(Layer(steps), shape)


@pytest.mark.parametrize("name", FOLLOWED)
def test_cells_lie_where_their_values_say(name: str) -> None:
    steps = FOLLOWED[name]
    record = traced(steps)
    axes, align = record.grid_axes("out")
    assert align == "receptive-field"
    fold = record.token_grid("out")
    x = places()
    reading = record.reading("out")
    grids = (reading.merged([fold.to_grid(steps(clip))]) for clip in (x, x + 1000))
    cells, moved = (grid[0, :3] for grid in grids)  # (3, T', h, w)
    assert cells.shape[1:] == tuple(axis.cells for axis in axes)
    centres = torch.meshgrid(*(torch.from_numpy(a.centres()) for a in axes), indexing="ij")
    # Where padding is part of a cell, its values are none: it does not follow the clip.
    whole = torch.isclose(moved - cells, torch.tensor(1000.0).double()).all(dim=0)
    for axis, centre in zip(axes, centres, strict=True):
        if axis.cells > 1:
            whole &= (centre >= 0) & (centre <= axis.size - 1)
    for number, (axis, centre) in enumerate(zip(axes, centres, strict=True)):
        if axis.cells > 1:  # the place of a single cell makes no difference
            assert len(centre[whole].unique()) > (axis.cells > 3)
            torch.testing.assert_close(cells[number][whole], centre[whole])
        assert axis.size == SHAPE[1 + number]


NOT_FOLLOWED: dict[str, Steps] = {
    "rolled": lambda x: x.roll(1, 3),
    "transposed convolution": lambda x: F.conv_transpose3d(
        x, mean_filter(x, 1, 2, 2), stride=(1, 2, 2), groups=3
    ),
    "the mean of rows": lambda x: x.mean(3, keepdim=True).expand(-1, -1, -1, 8, -1),
    "cells in other rows": lambda x: x.reshape(1, 3, 6, 10, 8),
    "two clips": lambda x: torch.cat([x, x.flip(2)]),
    "one row for eight": lambda x: x[:, :, :, 3:4] + x.new_zeros(()).expand(1, 3, 6, 8, 10),
    "padded with frames, channels last": lambda x: F.pad(
        x[:, :, 3:4].permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, 1, 2)
    ),
    "a pool that takes frames for channels": lambda x: F.avg_pool3d(
        x[:, :, :, 3:4].permute(0, 2, 3, 4, 1), (1, 2, 1)
    ),
    "weights over columns": lambda x: F.linear(x, x.new_ones(10, 10)),
}


NOT_MAPS = {
    "the mean of rows",
    "cells in other rows",
    "two clips",
    "padded with frames, channels last",
    "a pool that takes frames for channels",
    "weights over columns",
}


@pytest.mark.parametrize("name", NOT_FOLLOWED)
def test_what_moves_or_mixes_cells_is_not_followed(name: str) -> None:
    record = traced(NOT_FOLLOWED[name])
    if name in NOT_MAPS:  # the dimensions mean something else now: which is not known
        with pytest.raises(BadInput, match="say how it folds with fold="):
            record.grid_axes("out")
    else:
        assert record.grid_axes("out")[1] == "half-pixel"


TOKENS_LOST: dict[str, Steps] = {
    "a token put after": lambda x: torch.cat([tokens(x), x.new_zeros(1, 1, 3)], 1),
    "one token too many left out": lambda x: with_class_tokens(x)[:, 2:],
    "one class token of two": lambda x: with_class_tokens(x, 2)[:, 1:],
    "every second token": lambda x: with_class_tokens(x)[:, 1::2],
    "the last not taken": lambda x: with_class_tokens(x)[:, 1:-1],
    "half of the tokens": lambda x: tokens(x)[:, ::2],
    "two clips of tokens": lambda x: torch.cat([tokens(x), tokens(x)], 1),
    "tokens without channels": lambda x: tokens(x).sum(2, keepdim=True).expand(-1, -1, 3).cumsum(1),
}


@pytest.mark.parametrize("name", TOKENS_LOST)
def test_tokens_that_are_no_clip_any_more_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match="nor tokens that could be followed"):
        traced(TOKENS_LOST[name]).token_grid("out")


@pytest.mark.parametrize(
    ("name", "pattern", "grid", "extra"),
    [
        ("all", "n c t h w", (6, 8, 10), 0),
        ("one frame", "n c h w", (1, 8, 10), 0),
        ("channels last", "n t h w c", (6, 8, 10), 0),
        ("tokens", "n (t h w) c", (6, 8, 10), 0),
        ("tokens by rows, columns, frames", "n (h w t) c", (6, 8, 10), 0),
        ("tokens of each frame", "n t (h w) c", (6, 8, 10), 0),
        ("tokens behind two", "n (t h w) c", (6, 8, 10), 2),
        ("tokens of one frame behind two", "n (h w) c", (1, 8, 10), 2),
        ("a row of tokens behind one", "n w c", (1, 1, 10), 1),
        ("the class token left out", "n (t h w) c", (6, 8, 10), 0),
    ],
)
def test_the_fold_that_is_found(
    name: str, pattern: str, grid: tuple[int, int, int], extra: int
) -> None:
    fold = traced(FOLLOWED[name]).token_grid("out")
    assert fold == TokenGrid(pattern, grid, extra)
    assert fold.plain == (name == "all")


def test_one_channel_may_become_several_by_addition() -> None:
    record = traced(lambda x: x[:, :1] + x.new_zeros(()).expand(1, 3, 6, 8, 10))
    assert record.grid_axes("out")[1] == "receptive-field"
    assert record.token_grid("out") == TokenGrid("n c t h w", (6, 8, 10))
    picture = traced(lambda x: x[:, :1, 0] + x.new_zeros(()).expand(1, 3, 8, 10))
    with pytest.raises(BadInput, match="4-dimensional output"):  # which one is it? not known
        picture.token_grid("out")


def test_a_layer_that_does_not_run_is_one_line() -> None:
    record = traced(lambda x: x)
    with pytest.raises(BadInput, match=r"^no layer 'inner' runs in this network: .* are out$"):
        record.token_grid("inner")
    assert record.count("out") == 1 and record.count("inner") == 0


def test_a_fold_as_words() -> None:
    assert (
        str(TokenGrid("n (t h w) c", (2, 3, 4), 1))
        == "'n (t h w) c' of 2×3×4, after 1 that are no cells"
    )
    assert str(TokenGrid("n c t h w", (2, 3, 4))) == "'n c t h w' of 2×3×4"


# --- heads --------------------------------------------------------------------------------------


class Head(nn.Module):
    """A convolution, and what makes logits of its map (N, 4, 4, 8, 8)."""

    def __init__(self, head: Callable[[Head, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(3, 4, 3, padding=1), nn.Linear(4, 2)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self, self.conv(x))


LINEAR = LinearHead("fc.weight", "fc.bias")
WHOLE = (4, 8, 8)
HEADS: dict[str, tuple[Callable[[Head, Tensor], Tensor], LinearHead | None]] = {
    "mean": (lambda n, a: n.fc(a.mean((2, 3, 4))), LINEAR),
    "mean, kept": (lambda n, a: n.fc(a.mean((-1, -2, -3), keepdim=True).flatten(1)), LINEAR),
    "adaptive pool": (lambda n, a: n.fc(F.adaptive_avg_pool3d(a, 1).flatten(1)), LINEAR),
    "one pool over all": (lambda n, a: n.fc(F.avg_pool3d(a, WHOLE).flatten(1)), LINEAR),
    "one pool over all, padding not counted": (
        lambda n, a: n.fc(F.avg_pool3d(a, WHOLE, count_include_pad=False).flatten(1)),
        LINEAR,
    ),
    "padded pool over all": (
        lambda n, a: n.fc(F.avg_pool3d(a, WHOLE, padding=(1, 2, 2)).flatten(1)),
        None,
    ),
    "pool over all, divided by another number": (
        lambda n, a: n.fc(F.avg_pool3d(a, WHOLE, divisor_override=7).flatten(1)),
        None,
    ),
    "pool over most": (
        lambda n, a: n.fc(F.avg_pool3d(a, (3, 7, 7), stride=8).flatten(1)),
        None,
    ),
    "maximum": (lambda n, a: n.fc(a.amax((2, 3, 4))), None),
    "maximum pool": (lambda n, a: n.fc(F.max_pool3d(a, WHOLE).flatten(1)), None),
    "mean of columns, maximum of the rest": (lambda n, a: n.fc(a.mean(4).amax((2, 3))), None),
    "mean of some channels too": (
        lambda n, a: n.fc(a.mean((1, 2, 3, 4), keepdim=True).expand(-1, 4, 1, 1, 1).flatten(1)),
        None,
    ),
    "mean of cells in another order": (
        lambda n, a: n.fc(a.permute(0, 2, 3, 4, 1).mean((1, 2, 3))),
        LINEAR,
    ),
    "no bias": (
        lambda n, a: F.linear(a.mean((2, 3, 4)), n.fc.weight),
        LinearHead("fc.weight", None),
    ),
    "no weights": (lambda n, a: a.mean((2, 3, 4)), LinearHead(None, None)),
    "scaled bias": (
        lambda n, a: torch.addmm(n.fc.bias, a.mean((2, 3, 4)), n.fc.weight.t(), beta=2),
        None,
    ),
    "a bias that is computed": (
        lambda n, a: F.linear(a.mean((2, 3, 4)), n.fc.weight, n.fc.bias * 2),
        None,
    ),
    "weights that are computed": (
        lambda n, a: F.linear(a.mean((2, 3, 4)), n.fc.weight * 2, n.fc.bias),
        None,
    ),
    "scaled weights": (
        lambda n, a: torch.addmm(n.fc.bias, a.mean((2, 3, 4)), n.fc.weight.t(), alpha=2),
        None,
    ),
    "less the mean of all": (lambda n, a: n.fc((a - a.mean()).mean((2, 3, 4))), None),
    "something behind": (lambda n, a: n.fc(a.mean((2, 3, 4))).relu(), None),
    "something between": (lambda n, a: n.fc(a.mean((2, 3, 4)).relu()), None),
    "read twice": (lambda n, a: n.fc(a.mean((2, 3, 4)) + a.amax((2, 3, 4))), None),
}


@pytest.mark.parametrize("name", HEADS)
def test_only_the_mean_and_one_linear_layer_are_a_linear_head(name: str) -> None:
    head, expected = HEADS[name]
    assert trace_forward(Head(head), (3, *WHOLE)).linear_head("conv") == expected


def test_a_map_that_has_lost_the_second_of_two_frames_is_passed_over() -> None:
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.AdaptiveAvgPool3d((1, 3, 3)), nn.Flatten())
    net.append(nn.Linear(36, 5))
    assert trace_forward(net, (3, 2, 8, 8)).cam_layer() == "0"


def test_a_head_is_known_also_where_the_places_of_cells_are_not() -> None:
    net = Head(lambda n, a: n.fc(a.mean((2, 3, 4))))
    net.conv = nn.Sequential(Turned(), net.conv)
    record = trace_forward(net, (3, *WHOLE))
    assert record.grid_axes("conv")[1] == "half-pixel"
    assert record.linear_head("conv") == LINEAR
    wrong = Head(lambda n, a: n.fc(a.mean((1, 3, 4))))
    wrong.conv = net.conv
    assert trace_forward(wrong, (3, *WHOLE)).linear_head("conv") is None


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.roll(1, 3)


class TokenHead(nn.Module):
    """The mean over all tokens, behind so many class tokens, and a linear layer."""

    def __init__(self, class_tokens: int) -> None:
        super().__init__()
        self.conv, self.out, self.fc = nn.Conv3d(3, 3, 1), nn.ReLU(), nn.Linear(3, 2)
        self.class_tokens = class_tokens

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x)
        a = with_class_tokens(a, self.class_tokens) if self.class_tokens else tokens(a)
        return self.fc(self.out(a).mean(1))


def test_a_mean_that_counts_class_tokens_is_no_mean_over_cells() -> None:
    assert trace_forward(TokenHead(0), SHAPE).linear_head("out") == LINEAR
    assert trace_forward(TokenHead(1), SHAPE).linear_head("out") is None


@pytest.mark.parametrize(
    ("some", "left"),
    [
        (lambda a: a.mean(2), 8 * 8),
        (lambda a: a.mean((3, 4)), 4),
        (lambda a: F.adaptive_avg_pool3d(a, (1, 1, 2)), 2),
        (lambda a: F.avg_pool3d(a, (4, 8, 4)), 2),
    ],
)
def test_a_mean_over_some_of_the_cells_is_not_one_over_all(some: Steps, left: int) -> None:
    net = Head(lambda n, a: n.fc(some(a).flatten(1)))
    net.fc = nn.Linear(4 * left, 2)
    assert trace_forward(net, (3, *WHOLE)).linear_head("conv") is None


def test_a_network_that_needs_values_runs_on_noise() -> None:
    """On the meta device `tolist` has nothing to give."""
    net = Head(lambda n, a: n.fc(a.mean((2, 3, 4))) + len(a.mean((2, 3, 4)).tolist()))
    seen: list[Tensor] = []
    net.conv.register_forward_pre_hook(lambda m, inputs: seen.append(inputs[0]))
    record = trace_forward(net, (3, *WHOLE))
    assert [x.is_meta for x in seen] == [True, False]
    assert 0 <= seen[1].min() < 0.1 < 0.9 < seen[1].max() <= 1
    assert record.input_shape == tuple(seen[1].shape) == (1, 3, *WHOLE)
    axes, align = record.grid_axes("conv")
    assert align == "receptive-field"
    assert [(a.cells, a.offset, a.stride) for a in axes] == [(n, 0.0, 1.0) for n in WHOLE]


class Residual(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x.relu()


class Attended(nn.Module):
    """Tokens of a residual block, read by a query of their own through a layer norm alone."""

    def __init__(self, also_before: bool) -> None:
        super().__init__()
        self.patch, self.block = nn.Conv3d(3, 6, 2, 2), Residual()
        self.norm, self.query = nn.LayerNorm(6), nn.Parameter(torch.randn(1, 1, 6))
        self.read, self.head = nn.MultiheadAttention(6, 1, batch_first=True), nn.Linear(6, 4)
        self.also_before = also_before

    def forward(self, x: Tensor) -> Tensor:
        x = tokens(self.patch(x))
        x = self.norm(x) if self.also_before else x
        read = self.norm(self.block(x))
        return self.head(self.read(self.query, read, read)[0][:, 0])


def test_the_norm_behind_is_the_layer_where_it_runs_once() -> None:
    assert trace_forward(Attended(False), SHAPE).cam_layer() == "norm"
    assert trace_forward(Attended(True), SHAPE).cam_layer() == "block"


@pytest.mark.parametrize("name", [n for n, (_, found) in HEADS.items() if found is not None])
def test_a_linear_head_gives_the_maps_that_the_gradient_gives(name: str) -> None:
    torch.manual_seed(0)
    net = Head(HEADS[name][0]).double()
    found = HEADS[name][1]
    assert found is not None
    kept: list[Tensor] = []
    handle = net.conv.register_forward_hook(lambda m, i, o: kept.append(o))
    logits = net(torch.rand(1, 3, *WHOLE).double())
    handle.remove()
    for k in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[0, k], kept[0], retain_graph=True)
        weight = torch.eye(4).double() if found.weight is None else net.get_parameter(found.weight)
        expected = weight[k] / math.prod(WHOLE)
        torch.testing.assert_close(
            gradient[0], expected[:, None, None, None].expand(-1, *WHOLE).detach()
        )


# --- the maps -----------------------------------------------------------------------------------


class Pair(nn.Module):
    """A block that gives something beside its cells, as attention gives its weights."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self.conv, self.kind = nn.Conv3d(3, 4, 3, padding=1), kind

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.kind((self.conv(x), x.mean((2, 3, 4)), x.amax((2, 3, 4))))


class Beside(nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        self.block, self.fc = Pair(kind), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, mean, most = self.block(x)
        return self.fc(a.relu().mean((2, 3, 4))) * mean + most


@pytest.mark.parametrize("kind", [tuple, list])
def test_what_a_layer_gives_beside_its_cells_goes_on(kind: type) -> None:
    torch.manual_seed(0)
    net = Beside(kind).double().eval()
    model = VideoModel(net, list("abc"), size=8, cam_layer="block", quiet=True)
    x = torch.rand(2, 3, 4, 8, 8).double()
    logits, signed = maps_of(model, x)
    torch.testing.assert_close(logits, net(x).detach())
    a, mean, _ = net.block(x)
    for k in range(3):  # d y[k] / d a = w[k] · mean[k] / Z, where a > 0
        gradient = net.fc.weight[k][:, None, None, None] * (a > 0) / 256
        alpha = gradient.mean((2, 3, 4), keepdim=True) * mean[:, k, None, None, None, None]
        torch.testing.assert_close(signed[:, k], (alpha * a).sum(1).detach())


def test_gradients_of_so_many_classes_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Head(HEADS["something between"][0]).eval()
    net.fc = nn.Linear(4, 7)
    model = VideoModel(net, list("abcdefg"), size=8, quiet=True)
    x = torch.rand(3, 3, *WHOLE)
    held: list[int] = []
    grad = torch.autograd.grad

    def counted(logits: Tensor, cells: list[Tensor], rows: Tensor, **options: Any) -> Any:
        held.append(len(rows) * cells[0].numel() * cells[0].element_size())
        return grad(logits, cells, rows, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    one = 3 * 4 * math.prod(WHOLE) * 4  # bytes of the activations of the batch
    for budget, classes in ((64 * 2**20, [7]), (3 * one + 1, [3, 3, 1]), (1, [1] * 7)):
        monkeypatch.setattr(gradcam, "GRADIENT_BYTES", budget)
        held.clear()
        maps_of(model, x)
        assert held == [k * one for k in classes]
    held.clear()
    maps_of(VideoModel(Head(HEADS["mean"][0]).eval(), list("ab"), size=8, quiet=True), x)
    assert not held  # a mean and a linear layer need no gradient


class Twice(torch.autograd.Function):
    """Its backward takes one vector at a time: vmap does not know it."""

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> Tensor:
        return 2 * a

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient * float(gradient.abs().sum() >= 0)


def test_a_backward_that_takes_one_vector_at_a_time() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, *WHOLE).double()
    net = Head(lambda n, a: n.fc(Twice.apply(a).mean((2, 3, 4)))).double().eval()
    once = Head(lambda n, a: n.fc((2 * a).mean((2, 3, 4)))).double().eval()
    once.load_state_dict(net.state_dict())
    found, expected = (
        maps_of(VideoModel(n, list("ab"), size=8, cam_layer="conv", quiet=True), x)
        for n in (net, once)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("by_gradient", [False, True])
def test_no_graph_is_recorded_before_the_layer(by_gradient: bool) -> None:
    """It would hold every activation of the trunk in memory."""
    net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.Conv3d(4, 4, 1), nn.Conv3d(4, 2, 1), nn.Flatten(2))
    net.append(nn.AdaptiveAvgPool1d(1)).append(nn.Flatten())
    model = VideoModel(net.eval(), list("ab"), size=8, cam_layer="1", quiet=True)
    graph: dict[str, bool] = {}
    for name in ("0", "1", "2"):
        net.get_submodule(name).register_forward_hook(
            lambda m, i, o, name=name: graph.update({name: o.requires_grad})
        )
    maps_of(model, torch.rand(1, 3, *WHOLE), by_gradient=by_gradient)
    assert graph == {"0": False, "1": False, "2": True}


@pytest.mark.parametrize(
    ("asked", "used"),
    [(True, torch.bfloat16), (torch.bfloat16, torch.bfloat16), (False, torch.float32)],
)
@pytest.mark.parametrize("by_gradient", [False, True])
def test_the_trunk_runs_in_the_precision_asked_for_and_the_head_in_float32(
    asked: bool | torch.dtype, used: torch.dtype, by_gradient: bool
) -> None:
    net = Head(HEADS["mean"][0]).eval()
    model = VideoModel(net, list("ab"), size=8, quiet=True)
    seen: list[torch.dtype] = []
    net.conv.register_forward_hook(lambda m, i, o: None if o.is_meta else seen.append(o.dtype))
    x = torch.rand(1, 3, *WHOLE)
    logits, signed = maps_of(model, x, by_gradient=by_gradient, autocast=asked)
    assert set(seen) == {used}
    assert logits.dtype == signed.dtype == torch.float32
    if by_gradient:  # a head in bfloat16 would round its logits
        assert not torch.equal(logits, logits.bfloat16().float())


# --- against the truth --------------------------------------------------------------------------


def test_frames_beside_the_action_may_be_marked_or_not() -> None:
    for marked, slack, expected in (
        ([0, 1, 1, 1, 0, 0], 0, 2 / 3),
        ([0, 1, 1, 1, 0, 0], 1, 1.0),
        ([0, 0, 1, 1, 1, 0], 1, 1.0),
        ([1, 1, 1, 1, 1, 1], 1, 2 / 4),
        ([0, 1, 0, 0, 0, 0], 1, 0.0),
    ):
        found = temporal_iou(np.array(marked, float), (2, 3), slack)
        assert found == pytest.approx(expected), (marked, slack)


def test_an_object_seen_in_three_frames_that_moves_just_enough_is_followed() -> None:
    target = np.array([[5.0, 0.0], [5.0, 10.0], [5.0, 20.0], [np.nan, np.nan]])
    assert following(target, target, 20) == pytest.approx(1)
    assert math.isnan(following(target, target, 20.1))
    assert math.isnan(following(target[1:], target[1:], 1))


@pytest.mark.parametrize("shape", [(28, 56), (56, 28)])
def test_tolerance_is_a_share_of_the_short_side(shape: tuple[int, int]) -> None:
    strict = np.zeros((1, *shape), bool)
    strict[0, 14, 14] = True
    rows, columns = np.nonzero(tolerant_truth(strict)[0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 16, 12, 16)
    assert len(rows) == 25


def test_three_frames_seen_together_are_enough_to_follow() -> None:
    target = np.array([[5.0, 10 * t] for t in range(5)])
    track = target.copy()
    track[3:] = np.nan
    assert following(track, target, 8) == pytest.approx(1)
    track[2] = np.nan
    assert following(track, target, 8) == 0


# --- geometry -----------------------------------------------------------------------------------


def test_the_whole_picture_is_seen_where_nothing_else_is_said() -> None:
    view = View(8, 10, 4, 5)
    assert view.box == (0, 0, 8, 10)
    np.testing.assert_allclose(view.input_rows(), (np.arange(8) + 0.5) / 2 - 0.5)
    assert view.seen().all()


def test_a_pixel_whose_centre_is_on_the_edge_of_the_crop_is_seen() -> None:
    view = View(6, 9, 7, 11, top=1.5, left=2.5, bottom=4.5, right=7.5)
    assert list(np.flatnonzero(view.seen_rows())) == [1, 2, 3, 4]
    assert list(np.flatnonzero(view.seen_columns())) == [2, 3, 4, 5, 6, 7]
