"""Is the point that is read one that no evidence goes round? Evidence is planted, and looked for.

Each network takes its evidence for "right" from a bright square on the right alone, by a way on
which a map of one branch, or of one call, would miss it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.attribution.methods.base import Silence
from gradcam_video.models.trace import trace_forward

T, S = 8, 32
LEFT, RIGHT, MIDDLE = slice(2, 10), slice(22, 30), slice(12, 20)


def bright(columns: slice, frames: slice = slice(None)) -> gv.Clip:
    """A clip that is black but for a square."""
    pixels = np.zeros((T, S, S, 3), np.uint8)
    pixels[frames, MIDDLE, columns] = 255
    return gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), "planted")


def model_of(net: nn.Module, **options) -> gv.VideoModel:
    options = {"mean": (0,) * 3, "std": (1,) * 3, "quiet": True, **options}
    return gv.VideoModel(net.eval(), ["left", "right"], size=S, frames=T, **options)


def brightness(channels: int = 1, stride: int = 2) -> nn.Conv3d:
    """A convolution that gives a pixel's red, at every second row and column."""
    conv = nn.Conv3d(3, channels, 3, (1, stride, stride), 1, bias=False)
    nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 1, 1, 1] = 1
    return conv


def one_stream() -> nn.Sequential:
    return nn.Sequential(brightness(), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())


class Residual(nn.Module):
    """y = relu(x + conv2(relu(conv1(x)))) in one forward, with functions, as many write it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv1, self.conv2 = brightness(4), nn.Conv3d(4, 4, 3, 1, 1), None
        self.conv2 = nn.Conv3d(4, 4, 3, 1, 1)
        for conv in (self.conv1, self.conv2):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
        self.fc = nn.Linear(4, 2, bias=False)
        self.fc.weight.data[:] = torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0]])

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        return self.fc(F.relu(x + self.conv2(F.relu(self.conv1(x)))).mean((2, 3, 4)))


class InPlace(Residual):
    """The same sum, written into the shortcut's own memory."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        y = self.conv2(F.relu(self.conv1(x)))
        y += x
        return self.fc(y.relu_().mean((2, 3, 4)))


class Halves(nn.Module):
    """A siamese network: one stream for either half of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stream, self.fc = one_stream(), nn.Linear(2, 2)
        nn.init.eye_(self.fc.weight)

    def forward(self, x: Tensor) -> Tensor:
        left, right = (self.stream(half) for half in x.split(S // 2, 4))
        return self.fc(torch.cat([left, right], 1))


class Flipped(nn.Module):
    """The mean over a clip and its mirror image, for which the last layer knows other classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.fc = one_stream()[:2], nn.Linear(S // 2, 2)
        nn.init.zeros_(self.fc.weight)
        self.fc.weight.data[1, S // 4 :] = 1  # of the map's columns: what lies right

    def forward(self, x: Tensor) -> Tensor:
        plain, mirrored = self.features(x), self.features(x.flip(4))
        return self.fc(plain.mean((1, 2, 3))) / 2 + self.fc(mirrored.mean((1, 2, 3)).flip(1)) / 2


class Backwards(nn.Module):
    """Time is reversed before the features."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.fc = one_stream()[:2], nn.Linear(1, 2)
        self.fc.weight.data[:] = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x.flip(2)).mean((2, 3, 4)))


class FrameByFrame(nn.Module):
    """A 2D network in a Python loop over the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn, self.fc = nn.Sequential(nn.Conv2d(3, 1, 3, 2, 1, bias=False), nn.ReLU()), None
        nn.init.zeros_(self.cnn[0].weight)
        self.cnn[0].weight.data[0, 0, 1, 1] = 1
        self.fc = nn.Linear(1, 2)
        self.fc.weight.data[:] = torch.tensor([[-1.0], [1.0]])

    def forward(self, x: Tensor) -> Tensor:
        each = [self.fc(self.cnn(x[:, :, t]).mean((2, 3))) for t in range(x.shape[2])]
        return torch.stack(each).mean(0)


FOUND: dict[str, Callable[[], nn.Module]] = {
    "residual sum in the parent, tf-keras-vis #96": Residual,
    "residual sum in place": InPlace,
    "siamese halves": Halves,
    "flip averaging": Flipped,
    "time reversed inside": Backwards,
    "frames in a loop, pytorch-grad-cam #67": FrameByFrame,
}


@pytest.mark.parametrize("name", FOUND)
def test_planted_evidence_is_found_in_its_cell(name: str) -> None:
    model = model_of(FOUND[name]())
    e = gv.explain(model, bright(RIGHT, slice(5, None)))
    moments, rows, columns = np.nonzero(e.maps[e.row("right")])
    assert len(moments) and not e.empty[e.row("right")]
    time, row, column = (
        axis.centres()[found]
        for axis, found in zip(
            (e.grid.time, e.grid.rows, e.grid.columns), (moments, rows, columns), strict=True
        )
    )
    cell = e.grid.columns.stride
    assert time.min() >= 5 - e.grid.time.stride and time.max() <= T
    assert row.min() >= 12 - cell and row.max() < 20 + cell
    assert column.min() >= 22 - cell and column.max() < 30 + cell


@pytest.mark.parametrize("name", FOUND)
def test_the_point_that_is_read_is_one_that_no_evidence_goes_round(name: str) -> None:
    model = model_of(FOUND[name]())
    torch.manual_seed(0)
    for p in model.net.parameters():
        nn.init.normal_(p, 0, 0.3)
    shape = (3, T, S, S)
    one, other = (Silence(model, shape).run(torch.rand(1, *shape), False).logits for _ in range(2))
    assert torch.equal(one, other)
    x = torch.rand(1, *shape)
    logits, signed = maps_of(model, x)
    if name != "flip averaging":  # whose head is no mean: places have weights of their own
        bias = model.net.fc.bias if model.net.fc.bias is not None else 0
        torch.testing.assert_close(signed.sum((2, 3, 4)), logits - bias)


class TwoStream(nn.Module):
    """A stream for colours and one for differences of frames, joined when they are pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.rgb, self.diff, self.fc = brightness(), brightness(), nn.Linear(2, 2, bias=False)
        self.fc.weight.data[:] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.rgb(x)).mean((2, 3, 4))
        b = F.relu(self.diff(x[:, :, 1:] - x[:, :, :-1])).mean((2, 3, 4))
        return self.fc(torch.cat([a, b], 1))


class Ensemble(nn.Module):
    """The mean of two networks' logits."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (nn.Sequential(*one_stream(), nn.Linear(1, 2)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.a(x) + self.b(x)) / 2


class SlowFast(nn.Module):
    """Two rates of frames that meet when they are pooled, with a lateral way from fast to slow."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = brightness(2), brightness(2)
        self.lateral, self.fc = nn.Conv3d(2, 2, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        fast = F.relu(self.fast(x))
        slow = F.relu(self.slow(x[:, :, ::4]) + self.lateral(fast[:, :, ::4]))
        return self.fc(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], 1))


@pytest.mark.parametrize(
    ("net", "names"),
    [
        (TwoStream, "2 branches.*: rgb, diff"),  # mmaction2 #2197
        (Ensemble, "2 branches.*: a.1, b.1"),  # EfficientNet-GradCam #3
        (SlowFast, "2 branches.*"),  # SlowFast #314, #454
    ],
)
def test_where_paths_meet_in_no_map_the_branches_are_named(net, names: str) -> None:
    with pytest.raises(gv.BadInput, match=names) as error:
        model_of(net())
    assert "\n" not in str(error.value)


def test_a_layer_that_evidence_can_go_round_says_so() -> None:
    model = model_of(TwoStream(), cam_layer="rgb")
    e = gv.explain(model, bright(RIGHT))
    assert "rgb sees one of 2 paths" in e.remark
    assert f"the logit of 'right' is 0 instead of {e.logits[1]:.3g}, 100 % of it" in e.remark
    assert "sees one" not in gv.explain(model, bright(RIGHT), method="occlusion").remark
    assert not gv.explain(model_of(Residual()), bright(RIGHT)).remark


class Again(nn.Module):
    """A block that is applied three times, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block = nn.Conv3d(3, 4, 3, 2, 1), nn.Conv3d(4, 4, 3, 1, 1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = torch.relu(self.block(x))
        return self.fc(x.mean((2, 3, 4)))


class OverTime(nn.Module):
    """A convolutional recurrence: every state goes on, and every state is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.Conv2d(3 + 4, 4, 3, 2, 1), nn.Linear(4, 2)
        self.relu, self.up = nn.ReLU(), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 4, *x.shape[3:])
        read = 0
        for t in range(x.shape[2]):
            small = self.relu(self.cell(torch.cat([x[:, :, t], state], 1)))
            state, read = self.up(small), read + self.fc(small.mean((2, 3)))
        return read


def test_each_path_counts_once_where_it_passes_a_repeated_layer_last() -> None:
    torch.manual_seed(0)
    net = Again().double()
    model, x = model_of(net, cam_layer="block"), torch.rand(1, 3, T, S, S, dtype=torch.float64)
    kept: list[Tensor] = []
    handle = net.block.register_forward_hook(lambda m, i, o: kept.append(o))
    y = net(x)
    handle.remove()
    logits, signed = maps_of(model, x)
    for k in range(2):
        (g,) = torch.autograd.grad(y[0, k], kept[-1], retain_graph=True)
        by_hand = (g.mean((2, 3, 4), keepdim=True) * kept[-1]).sum(1)
        torch.testing.assert_close(signed[:, k], by_hand.detach())
    # Read where each state is made and read: eight maps, one moment each, of what is new in it.
    net = OverTime().double()
    model = model_of(net, cam_layer="relu")
    assert model.reading((3, T, S, S)).axes[0].centres().tolist() == list(range(T))
    logits, signed = maps_of(model, x)
    assert signed.shape == (1, 2, T, S // 2, S // 2)
    torch.testing.assert_close(signed.sum((2, 3, 4)), logits - T * net.fc.bias)


@pytest.mark.parametrize("method", [m for m in gv.METHODS if m not in ("cam",)])
def test_every_method_reads_all_calls(method: str) -> None:
    """What lies in either half is in the map, of whatever method."""
    torch.manual_seed(0)
    net = Halves()
    few = {
        "rise": {"masks": 8},
        "temporal-mask": {"steps": 2},
        "integrated-gradients": {"steps": 2},
    }
    e = gv.explain(model_of(net), bright(slice(2, 30)), method=method, **few.get(method, {}))
    assert e.signed.shape[1:] == e.grid.shape
    columns = e.grid.columns.centres()
    if len(columns) > 1:
        assert columns.min() < S / 2 < columns.max()


def test_the_graph_of_data_follows_what_is_written_in_place() -> None:
    class Shifted(nn.Module):
        """As in a temporal shift (TSM): parts of a fresh tensor are written one by one."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.after = nn.Conv3d(3, 4, 3, 1, 1), nn.Conv3d(4, 4, 3, 1, 1)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            out = torch.zeros_like(x)
            out[:, :2, :-1] = x[:, :2, 1:]
            out[:, 2:] = x[:, 2:]
            return self.fc(self.after(out).mean((2, 3, 4)))

    record = trace_forward(Shifted(), (3, 4, 8, 8))
    assert record.cam_layer() == "after" and record.is_bottleneck("conv")
