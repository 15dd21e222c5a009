"""The trial forward: CAM layers, heads, and the places of cells, checked against real gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.video import mc3_18, r2plus1d_18, r3d_18, s3d

from gradcam_video.errors import BadInput
from gradcam_video.models.trace import LinearHead, trace_forward

CLIP = (3, 16, 64, 96)


@pytest.mark.parametrize(
    ("build", "layer", "time", "stride"),
    [(r3d_18, "layer4", (2, 8.0), 16.0), (mc3_18, "layer4", (16, 1.0), 16.0)],
)
def test_video_networks(build, layer: str, time: tuple[int, float], stride: float) -> None:
    record = trace_forward(build(), CLIP)
    assert record.cam_layer() == layer
    (frames, rows, columns), align = record.grid_axes(layer)
    assert align == "receptive-field"
    assert (frames.cells, frames.offset, frames.stride) == (time[0], 0.0, time[1])
    assert (rows.cells, rows.offset, rows.stride) == (4, 0.0, stride)
    assert (columns.cells, columns.offset, columns.stride) == (6, 0.0, stride)
    assert record.linear_head(layer) == LinearHead("fc.weight", "fc.bias")


def test_a_head_that_is_not_mean_and_linear_is_told() -> None:
    record = trace_forward(s3d(), (3, 16, 224, 224))
    assert record.cam_layer() == "features"
    assert record.linear_head("features") is None


def centre_of_gradient(net: nn.Module, layer: str, shape: tuple[int, ...], cell: tuple[int, ...]):
    """Where on the input one cell looks, measured: centroid of |d A[cell] / d x|."""
    kept: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    net(x)
    handle.remove()
    kept[0][(0, slice(None), *cell)].sum().backward()
    assert x.grad is not None
    mass = x.grad.abs().sum(dim=(0, 1)).double()  # (T, H, W)
    return [
        float((mass.sum(dim=[d for d in range(3) if d != a]) * torch.arange(n)).sum() / mass.sum())
        for a, n in enumerate(mass.shape)
    ]


class Odd(nn.Module):
    """Padding by hand, dilation, even kernels, slices and two branches, all in `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv3d(3, 4, (3, 5, 5), stride=(1, 2, 2))
        self.b = nn.Conv3d(4, 4, (2, 3, 4), stride=(2, 1, 2), dilation=(1, 2, 1), padding=(0, 2, 1))
        self.c = nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1))
        self.d = nn.Conv3d(4, 4, 1)
        self.out = nn.Identity()
        self.mix = nn.Conv3d(8, 4, 1)
        self.fc = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.pad(x, (2, 2, 1, 3, 0, 2), mode="replicate")
        x = self.b(self.a(x)[:, :, 1:])
        x = nn.functional.avg_pool3d(x, (1, 2, 2))
        x = self.mix(torch.cat([self.c(x), self.d(x)], dim=1))
        return self.fc(self.out(x).mean(dim=(2, 3, 4)))


def test_places_are_those_that_the_gradient_finds() -> None:
    torch.manual_seed(0)
    net = Odd().double()
    for p in net.parameters():  # positive filters: the centroid is the middle of the field
        p.data.fill_(1.0)
    shape = (3, 13, 48, 52)
    record = trace_forward(net, shape)
    layer = record.cam_layer()
    assert layer == "mix"
    axes, align = record.grid_axes(layer)
    assert align == "receptive-field"
    # A cell whose whole field lies inside the clip.
    cell = tuple(axis.cells // 2 for axis in axes)
    net = net.requires_grad_(False)
    measured = centre_of_gradient(net, layer, shape, cell)
    for axis, index, place in zip(axes, cell, measured, strict=True):
        assert abs(axis.centres()[index] - place) < 1e-6


def test_an_unknown_operation_falls_back_to_half_pixel() -> None:
    class Rolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(3, 4, 3, padding=1)
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.interpolate(x, scale_factor=(1, 0.5, 0.5))
            return self.fc(self.conv(x).mean(dim=(2, 3, 4)))

    axes, align = trace_forward(Rolled(), (3, 4, 8, 8)).grid_axes("conv")
    assert align == "half-pixel"
    assert axes[1].centres()[0] == 0.5


def test_the_network_is_left_as_it_was() -> None:
    net = r3d_18(num_classes=5)
    net.layer1.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    hooks = [len(m._forward_hooks) for m in net.modules()]
    trace_forward(net, CLIP)
    assert [m.training for m in net.modules()] == modes
    assert [len(m._forward_hooks) for m in net.modules()] == hooks
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 8 * 8, 2)), "cam_layer="),
        (nn.Conv3d(3, 4, 3), "logits (N, K)"),
        (nn.Conv2d(3, 4, 3), "cannot take 4 frames of 8×8"),
    ],
)
def test_what_cannot_be_followed_says_so_in_one_line(net: nn.Module, words: str) -> None:
    with pytest.raises(BadInput) as error:
        trace_forward(net, (3, 4, 8, 8)).cam_layer()
    assert words in str(error.value) and "\n" not in str(error.value)


def test_the_value_behind_an_in_place_relu_is_the_one_that_counts() -> None:
    net = nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1),
        nn.BatchNorm3d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    record = trace_forward(net, (3, 4, 8, 8))
    assert record.cam_layer() == "2"  # neither the batch norm, overwritten, nor the idle dropout
    assert record.linear_head("2") == LinearHead("6.weight", "6.bias")
    assert record.changed_in_place_after("1") and record.linear_head("1") is None


def test_r2plus1d_is_followed_too() -> None:
    record = trace_forward(r2plus1d_18(), CLIP)
    axes, align = record.grid_axes(record.cam_layer())
    assert align == "receptive-field" and axes[0].stride == 8.0


def test_class_scores_that_are_averaged_are_read_themselves() -> None:
    """As in SqueezeNet: dropout, 1x1x1 convolution to K channels, ReLU, mean."""
    net = nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Conv3d(6, 5, 1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
    )
    record = trace_forward(net, (3, 4, 8, 8))
    assert record.cam_layer() == "4"
    assert record.linear_head("4") == LinearHead(None, None)
    assert record.linear_head("1") is None


def test_a_map_that_has_lost_time_is_passed_over() -> None:
    """As in VGG and AlexNet, whose adaptive pool leaves one step."""
    net = nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1),
        nn.AdaptiveAvgPool3d((1, 3, 3)),
        nn.Flatten(),
        nn.Linear(36, 5),
    )
    assert trace_forward(net, (3, 4, 8, 8)).cam_layer() == "0"
    assert trace_forward(net, (3, 1, 8, 8)).cam_layer() == "1"  # one frame: nothing to lose
