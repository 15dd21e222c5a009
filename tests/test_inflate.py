"""inflate: the 3D network is the 2D network on a video that stands still, or it is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from gradcam_video.errors import BadInput
from gradcam_video.models.fx_rewrite import CannotInflate, TimePaddedConv3d
from gradcam_video.models.inflation import (
    inflate,
    inflate_filter,
    still_video_error,
)
from gradcam_video.models.model_names import INFLATABLE, can_inflate


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small networks: with two threads on a busy machine most of the time goes into waiting."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


EXACT = [{"weights": "centre", "padding": "zeros"}, {"weights": "mean", "padding": "replicate"}]


def randomised(net: nn.Module, seed: int = 0) -> nn.Module:
    """Every weight and running statistic random, so that nothing is hidden by a zero or a one."""
    random = torch.Generator().manual_seed(seed)
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=random).to(tensor)
        if "running_var" in name or (name.endswith("weight") and tensor.dim() == 1):
            tensor.data = 1 + 0.3 * noise.tanh()
        elif tensor.dim() >= 2 and tensor[0].numel() > 1:
            tensor.data = noise * (2 / tensor[0].numel()) ** 0.5
        else:
            tensor.data = 0.3 * noise
    return net.eval()


def still_difference(net: nn.Module, x: Tensor, frames: int = 4, **options: object) -> float:
    """Largest difference of outputs, relative to the largest output, in float64."""
    net, x = net.double().eval(), x.double()
    with torch.no_grad():
        y2d = net(x)
        y3d = inflate(net, **options)(x.unsqueeze(2).repeat(1, 1, frames, 1, 1))
    if y2d.dim() == 4:  # a map: every frame must be the picture's
        y2d = y2d.unsqueeze(2).expand_as(y3d)
    assert y3d.shape == y2d.shape
    assert y2d.std() > 0
    return float((y3d - y2d).abs().max() / y2d.abs().max())


# --- filters and sizes ---


def test_filters_sum_to_the_2d_filter() -> None:
    w = torch.arange(24.0).reshape(2, 3, 2, 2)
    mean, centre = (inflate_filter(w, 5, how) for how in ("mean", "centre"))
    assert mean.shape == centre.shape == (2, 3, 5, 2, 2)
    torch.testing.assert_close(mean.sum(2), w)
    torch.testing.assert_close(mean[:, :, 0], w / 5)
    assert torch.equal(centre[:, :, 2], w)
    assert centre[:, :, [0, 1, 3, 4]].abs().max() == 0


def test_resnet50_has_the_sizes_of_the_post() -> None:
    with torch.device("meta"):
        net = torchvision.models.resnet50(num_classes=40)
        x = torch.zeros(1, 3, 16, 224, 224)
    net3d = inflate(net).eval()
    assert sum(p.numel() for p in net3d.parameters()) == 70_499_816
    shapes = []
    net3d.layer4.register_forward_hook(lambda module, args, output: shapes.append(output.shape))
    assert net3d(x).shape == (1, 40)
    assert shapes == [(1, 2048, 16, 7, 7)]
    assert type(net3d) is torchvision.models.ResNet  # plain classes where no forward changed


@pytest.mark.slow
def test_resnet50_spatial_only_costs_what_the_literature_says() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        net = torchvision.models.resnet50(num_classes=87)
        x = torch.zeros(1, 3, 16, 224, 224)
    net3d = inflate(net, which="spatial").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net3d(x)
    # IBM's action-recognition-pytorch: I3D-ResNet-50 without temporal pooling, 87 classes:
    # 128.36 GMAC and 46.34 M parameters. A multiply-add is two operations.
    assert counter.get_total_flops() / 2e9 == pytest.approx(128.36, abs=0.05)
    assert sum(p.numel() for p in net3d.parameters()) / 1e6 == pytest.approx(46.34, abs=0.02)


# --- the still video, in many kinds of network ---

# The families of `INFLATABLE`, each as small as its class can be; the script checks every name.
M = torchvision.models
NEXT = [M.convnext.CNBlockConfig(8, 16, 2), M.convnext.CNBlockConfig(16, None, 1)]
FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "alexnet": lambda: M.alexnet(num_classes=5),
    "convnext": lambda: M.ConvNeXt(NEXT, num_classes=5),
    "densenet": lambda: M.DenseNet(8, (2, 2), 16, num_classes=5),
    "densenet, dropout": lambda: M.DenseNet(8, (2, 2), 16, drop_rate=0.5, num_classes=5),
    "efficientnet": lambda: M.efficientnet_b0(num_classes=5),
    "efficientnet_v2": lambda: M.EfficientNet(
        [
            M.efficientnet.FusedMBConvConfig(2, 3, 2, 16, 16, 2),
            M.efficientnet.MBConvConfig(2, 3, 1, 16, 24, 1),
        ],
        dropout=0.1,
        num_classes=5,
    ),
    "googlenet": lambda: M.googlenet(num_classes=5, init_weights=False, transform_input=True),
    "mnasnet": lambda: M.MNASNet(0.25, num_classes=5),
    "mobilenet_v2": lambda: M.MobileNetV2(num_classes=5, width_mult=0.25),
    "mobilenet_v3": lambda: M.mobilenet_v3_small(num_classes=5, width_mult=0.5),
    "regnet_x": lambda: M.regnet_x_400mf(num_classes=5),
    "regnet_y": lambda: M.regnet_y_400mf(num_classes=5),
    "resnet": lambda: M.ResNet(M.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5),
    "resnext": lambda: M.ResNet(
        M.resnet.Bottleneck, [1, 1, 1, 1], num_classes=5, groups=8, width_per_group=4
    ),
    "shufflenet": lambda: M.shufflenet_v2_x0_5(num_classes=5),
    "squeezenet": lambda: M.squeezenet1_1(num_classes=5),
    "vgg": lambda: M.VGG(M.vgg.make_layers([8, "M", 512, "M"], batch_norm=True), num_classes=5),
}


LARGE = {"alexnet", "efficientnet", "googlenet", "regnet_y", "vgg"}


@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=[pytest.mark.slow] if f in LARGE else []) for f in FAMILIES]
)
def test_a_still_video_gives_the_pictures_logits(family: str) -> None:
    net = randomised(FAMILIES[family]())
    side = 96 if family == "alexnet" else 64
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    for exact in EXACT:
        net3d = inflate(net, **exact)
        assert list(net3d.state_dict()) == list(net.state_dict())
        error = still_video_error(net, net3d, x, frames=3)
        assert error.features.shape == (3,)
        assert error.features.max() < 1e-4
        assert error.logits < 1e-4 * error.largest_logit


@pytest.mark.slow
def test_mean_with_zero_padding_deviates_most_at_the_ends() -> None:
    net = randomised(M.ResNet(M.resnet.BasicBlock, [2, 1, 1, 1], num_classes=5))
    x = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))
    error = still_video_error(net, inflate(net), x, frames=16, layer="layer1")
    assert error.layer == "layer1"
    assert error.features.shape == (16,)
    assert error.features[0] > 0.05 < error.features[-1]
    # layer1 lies behind five convolutions in time: frames 5 to 10 do not see the ends.
    assert error.features[5:11].max() < 1e-5
    assert error.features[4] > 1e-4
    assert error.logits > 1e-3


def conv(cin: int, cout: int, kernel: int, **options: object) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, **options)  # ty: ignore[invalid-argument-type]


LEAVES: dict[str, Callable[[], nn.Module]] = {
    "stride, dilation": lambda: conv(4, 6, 3, stride=2, dilation=2, padding=2),
    "groups, no bias": lambda: conv(4, 8, 3, groups=2, bias=False),
    "depthwise": lambda: conv(4, 4, 5, groups=4, padding=2),
    "not square": lambda: nn.Conv2d(4, 4, (1, 7), stride=(2, 1), padding=(0, 3)),
    "reflect": lambda: conv(4, 4, 3, padding=1, padding_mode="reflect"),
    "circular": lambda: nn.Conv2d(4, 4, 3, padding=(1, 2), padding_mode="circular"),
    "replicate": lambda: conv(4, 4, 5, padding=2, padding_mode="replicate"),
    "same": lambda: conv(4, 4, 5, padding="same", dilation=2),
    "same, even kernel": lambda: nn.Conv2d(4, 4, (4, 3), padding="same"),
    "same, even kernel, reflect": lambda: conv(4, 4, 4, padding="same", padding_mode="reflect"),
    "valid": lambda: conv(4, 4, 3, padding="valid"),
    "transposed": lambda: nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "batch norm, no affine": lambda: nn.BatchNorm2d(4, affine=False),
    "instance norm": lambda: nn.InstanceNorm2d(4, affine=True),
    "group norm": lambda: nn.GroupNorm(2, 4),
    "local response norm": lambda: nn.LocalResponseNorm(3),
    "max pool": lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "max pool, dilated": lambda: nn.MaxPool2d((3, 2), stride=(2, 1), dilation=2),
    "average pool": lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average pool, divisor": lambda: nn.AvgPool2d(2, divisor_override=3),
    "zero pad": lambda: nn.ZeroPad2d((1, 2, 0, 3)),
    "reflection pad": lambda: nn.ReflectionPad2d((1, 2, 0, 3)),
    "nearest": lambda: nn.Upsample(scale_factor=2),
    "bilinear": lambda: nn.Upsample(scale_factor=(2, 1.5), mode="bilinear", align_corners=False),
    "bilinear, size": lambda: nn.UpsamplingBilinear2d(size=(20, 7)),
    "dropout": lambda: nn.Dropout2d(),
    "softmax over channels": lambda: nn.Softmax(dim=1),
    "softmax over channels, -3": lambda: nn.Softmax(dim=-3),
    "gated": lambda: nn.GLU(dim=-3),
    "prelu": lambda: nn.PReLU(4),
    "torchvision's frozen norm": lambda: torchvision.ops.FrozenBatchNorm2d(4),
    "squeeze-excite": lambda: torchvision.ops.SqueezeExcitation(4, 2),
}


@pytest.mark.parametrize("kind", LEAVES)
@pytest.mark.parametrize("exact", EXACT, ids=lambda e: e["weights"])
def test_single_modules(kind: str, exact: dict[str, str]) -> None:
    net = randomised(nn.Sequential(LEAVES[kind]()))
    assert still_difference(net, torch.randn(2, 4, 11, 9), **exact) < 1e-12


class Written(nn.Module):
    """A small network whose forward is given as a function of (self, features)."""

    def __init__(self, rest: Callable[[nn.Module, Tensor], Tensor], flat: int = 6) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU())
        self.scale = nn.Parameter(torch.randn(6, 1, 1))
        self.position = nn.Parameter(torch.randn(1, 6, 12, 8))
        self.flatten = nn.Flatten()
        self.norm = nn.LayerNorm(6)
        self.linear = nn.Linear(6, 6)
        self.head = nn.Linear(flat, 3)
        self.conv1d = nn.Conv1d(1, 1, 3, padding=1)
        self.stats = torch.zeros(12), torch.ones(12)
        self.rest = rest

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self, self.features(x))


def shuffle(net: nn.Module, x: Tensor) -> Tensor:
    n, c, h, w = x.size()
    x = x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
    return x


def attention_to_channels(net: nn.Module, x: Tensor) -> Tensor:  # the classical squeeze-excite
    b, c, _, _ = x.size()
    y = F.adaptive_avg_pool2d(x, 1).view(b, c)
    y = net.linear(y).sigmoid().view(b, c, 1, 1)
    return x * y.expand_as(x)


def efficient_attention(net: nn.Module, x: Tensor) -> Tensor:
    y = F.adaptive_avg_pool2d(x, 1)
    y = net.conv1d(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
    return x * y.sigmoid().expand_as(x)


def channels_last(net: nn.Module, x: Tensor) -> Tensor:
    y = net.linear(net.norm(x.permute(0, 2, 3, 1)))
    return x + net.scale * y.permute(0, 3, 1, 2)


def coordinates(net: nn.Module, x: Tensor) -> Tensor:  # coordinate attention: rows and columns
    rows, columns = x.mean(3, keepdim=True), x.mean(dim=2, keepdim=True)
    return x * rows.sigmoid() * columns.sigmoid()


def pyramid(net: nn.Module, x: Tensor) -> Tensor:
    coarse = F.max_pool2d(x, 2)
    up = F.interpolate(coarse, size=x.shape[2:], mode="bilinear", align_corners=False)
    whole = F.interpolate(F.adaptive_avg_pool2d(x, 1), size=(x.shape[-2], x.shape[-1]))
    return torch.cat([x, up, whole], dim=1)


FORWARDS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "mean [2, 3]": lambda net, x: net.head(x.mean([2, 3])),
    "mean (-2, -1)": lambda net, x: net.head(torch.mean(x, dim=(-2, -1))),
    "mean, one by one": lambda net, x: net.head(x.mean(3).mean(2)),
    "mean, kept, flat": lambda net, x: net.head(x.mean((2, 3), keepdim=True).flatten(1)),
    "max": lambda net, x: net.head(torch.amax(x, (2, 3))),
    "functional pool, view": lambda net, x: net.head(
        F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
    ),
    "pool, reshape": lambda net, x: net.head(
        F.adaptive_max_pool2d(x, (1, 1)).reshape(x.shape[0], x.shape[1])
    ),
    "pool, squeeze twice": lambda net, x: net.head(
        F.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2)
    ),
    "pool, squeeze -1 twice": lambda net, x: net.head(
        F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)
    ),
    "pool, index": lambda net, x: net.head(F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0]),
    "pool, index ...": lambda net, x: net.head(F.adaptive_avg_pool2d(x, 1)[..., 0, 0]),
    "pool of the whole map": lambda net, x: net.head(F.avg_pool2d(x, x.size()[2:]).flatten(1)),
    "pool by sizes": lambda net, x: net.head(
        F.avg_pool2d(x.clamp(min=1e-6).pow(3), (x.size(-2), x.size(-1))).pow(1 / 3).flatten(1)
    ),
    "pool by one size": lambda net, x: net.head(F.avg_pool2d(x, x.size()[3]).flatten(1)),
    "channels padded": lambda net, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 1), "constant", 0),
    "channel shuffle": shuffle,
    "squeeze-excite": attention_to_channels,
    "efficient channel attention": efficient_attention,
    "channels last": channels_last,
    "coordinate attention": coordinates,
    "pyramid": pyramid,
    "chunks": lambda net, x: (
        torch.cat([part.relu() for part in x.chunk(2, dim=1)][::-1], 1)
        if not isinstance(x, torch.fx.Proxy)
        else torch.cat([x.chunk(2, dim=1)[1].relu(), x.chunk(2, dim=1)[0].relu()], 1)
    ),
    "slices": lambda net, x: x[:, ::2, 1:-1, 2:] + x[:, 1::2][:, :, 1:-1, 2:],
    "crop": lambda net, x: x[..., 1:, 1:],
    "one channel": lambda net, x: torch.cat((x[:, 0].unsqueeze(1), x[:, 1:2]), 1),
    "position": lambda net, x: x + net.position,
    "pad": lambda net, x: F.pad(F.pad(x, (1, 1, 2, 2)), (1, 0, 0, 1), mode="reflect"),
    "softmax": lambda net, x: x * F.softmax(x, dim=-3) + F.normalize(x),
    "functional dropout": lambda net, x: F.dropout2d(x, 0.5, net.training),
    "average pool": lambda net, x: F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False),
    "asserts": lambda net, x: (torch._assert(x.ndim == 4, "a picture"), x.relu())[1],
}


@pytest.mark.parametrize("kind", FORWARDS)
@pytest.mark.parametrize("exact", EXACT, ids=lambda e: e["weights"])
def test_operations_in_forward(kind: str, exact: dict[str, str]) -> None:
    net = randomised(Written(FORWARDS[kind]))
    assert still_difference(net, torch.randn(2, 4, 12, 8), **exact) < 1e-12


@pytest.mark.parametrize(
    "rest",
    [
        lambda net, x: net.head(x.flatten(1)),
        lambda net, x: net.head(x.view(-1, 6 * 12 * 8)),
        lambda net, x: net.head(net.flatten(x)),
        lambda net, x: net.head(F.adaptive_avg_pool2d(x, (12, 8)).flatten(1)),
    ],
    ids=["flatten", "view", "nn.Flatten", "adaptive pool to (12, 8)"],
)
def test_a_flatten_that_still_finds_frames_averages_them(rest: Callable) -> None:
    net = randomised(Written(rest, flat=6 * 12 * 8)).double()
    for exact in EXACT:
        assert still_difference(net, torch.randn(2, 4, 12, 8), **exact) < 1e-12
    net3d = inflate(net, 1)  # with one frame per filter the average can be done by hand
    video = torch.randn(2, 4, 5, 12, 8, dtype=torch.float64)
    maps = torch.stack([net.features(video[:, :, t]) for t in range(5)]).mean(0)
    torch.testing.assert_close(net3d(video), net.head(maps.flatten(1)))


def test_pooling_joins_the_frames_by_their_mean() -> None:
    net = randomised(M.ResNet(M.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5)).double()
    video = torch.randn(2, 3, 4, 32, 32, dtype=torch.float64)
    one_by_one = torch.stack([net(video[:, :, t]) for t in range(4)]).mean(0)
    torch.testing.assert_close(inflate(net, 1)(video), one_by_one)  # linear after the pooling


def test_time_is_padded_apart_from_space() -> None:
    net = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False).double()
    video = torch.randn(1, 1, 5, 6, 7, dtype=torch.float64)
    for padding, mode in (("zeros", "constant"), ("replicate", "replicate")):
        net3d = inflate(net, padding=padding)
        assert isinstance(net3d, TimePaddedConv3d)
        assert net3d.padding == (1, 1, 1)
        wide = F.pad(
            F.pad(video, (1, 1, 1, 1, 0, 0), mode="circular"), (0, 0, 0, 0, 1, 1), mode=mode
        )
        torch.testing.assert_close(net3d(video), F.conv3d(wide, net3d.weight))
    plain = inflate(nn.Conv2d(1, 1, 3, padding=1))
    assert type(plain) is nn.Conv3d  # fast, and can be folded with its batch norm


# --- what stays as it was ---


def test_the_2d_network_is_untouched() -> None:
    net = M.MobileNetV2(num_classes=5, width_mult=0.25)
    net.features[3].eval()
    net.classifier[1].weight.requires_grad_(False)
    seen: list[str] = []
    net.features.register_forward_hook(lambda *_: seen.append("hook"))
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    net.kept = net.features[0](torch.randn(1, 3, 8, 8))  # part of a graph: deepcopy refuses such
    seen.clear()

    def state() -> list[object]:
        return [
            [
                (n, id(m), type(m), m.training, len(m._forward_hooks))
                for n, m in net.named_modules()
            ],
            [(n, id(p), p.requires_grad, id(p.grad)) for n, p in net.named_parameters()],
            [(n, t.sum().item()) for n, t in net.state_dict().items()],
        ]

    before = state()
    net3d = inflate(net)
    with torch.no_grad():
        for tensor in [*net3d.parameters(), *net3d.buffers()]:
            tensor.zero_()
    net3d.train()(torch.randn(2, 3, 2, 32, 32))
    assert state() == before
    assert seen == []  # a hook on the 2D network does not hear the 3D one


def test_mode_flags_types_and_sharing_come_along() -> None:
    norm = nn.BatchNorm2d(4)
    shared = nn.Conv2d(4, 4, 3, padding=1).bfloat16()
    net = nn.Sequential(
        nn.Conv2d(4, 4, 1).half(), shared, norm, shared, nn.Conv2d(4, 4, 3).double()
    )
    net[1].weight.requires_grad_(False)
    net.tied = nn.Conv2d(4, 4, 1)
    net.tied.weight = net[0].weight
    net.train()
    norm.eval()
    norm(torch.randn(2, 4, 3, 3))
    net3d = inflate(net)
    assert [m.training for m in net3d.children()] == [m.training for m in net.children()]
    assert net3d[1] is net3d[3]
    assert net3d.tied.weight is net3d[0].weight
    assert net3d[0].weight.shape == (4, 4, 3, 1, 1)
    for p2d, p3d in zip(net.parameters(), net3d.parameters(), strict=True):
        assert (p2d.dtype, p2d.requires_grad) == (p3d.dtype, p3d.requires_grad)
        assert p2d is not p3d and p2d.data_ptr() != p3d.data_ptr()
        assert p3d.grad is None
    assert isinstance(net3d[2], nn.BatchNorm3d)
    assert torch.equal(net3d[2].running_var, norm.running_var)


def test_only_the_spatial_convolutions() -> None:
    net3d = inflate(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, (1, 3))), which="spatial")
    assert [m.kernel_size for m in net3d] == [(1, 1, 1), (3, 1, 3)]
    assert [m.padding[0] for m in net3d] == [0, 1]


def test_squeeze_excite_sees_one_frame_and_keeps_its_filters() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3), torchvision.ops.SqueezeExcitation(4, 2)).double().eval()
    net3d = inflate(net)  # mean and zeros: a longer filter would see two frames of zeros
    assert net3d[0].kernel_size == (3, 3, 3)
    assert net3d[1].fc1.kernel_size == net3d[1].fc2.kernel_size == (1, 1, 1)
    maps = torch.randn(2, 4, 5, 8, 8, dtype=torch.float64)
    y = net3d[1].scale_activation(
        net3d[1].fc2(net3d[1].activation(net3d[1].fc1(net3d[1].avgpool(maps))))
    )
    torch.testing.assert_close(y[:, :, 0], net[1]._scale(maps.mean(2)))


def test_a_rewritten_network_keeps_its_class_its_hooks_and_copies() -> None:
    net = randomised(M.MobileNetV2(num_classes=5, width_mult=0.25))
    net3d = inflate(net)
    assert isinstance(net3d, torchvision.models.MobileNetV2)
    heard: list[str] = []
    net3d.features.register_forward_hook(lambda *_: heard.append("features"))
    net3d.features[18].register_forward_hook(lambda *_: heard.append("features.18"))
    video = torch.randn(1, 3, 2, 32, 32)
    y = net3d(video)
    assert heard == ["features.18", "features"]
    twin = copy.deepcopy(net3d)
    torch.testing.assert_close(twin(video), y)
    twin.classifier = nn.Linear(1280, 2)  # a new head for the twin only
    assert twin(video).shape == (1, 2)
    assert net3d(video).shape == (1, 5)


def test_forward_may_branch_on_the_mode() -> None:
    def rest(net: nn.Module, x: Tensor) -> Tensor:
        x = F.dropout(x.mean([2, 3]), 0.999, training=net.training)
        return net.head(x) if net.training else -net.head(x)

    net = Written(rest).eval()
    video = torch.randn(1, 4, 1, 12, 8)
    still = inflate(net, 1)
    torch.testing.assert_close(still(video), net(video[:, :, 0]))
    still.train()
    with torch.no_grad():
        still.head.bias.fill_(7)
        still.head.weight.zero_()
    assert torch.equal(still(video), torch.full((1, 3), 7.0))
    assert torch.equal(still.eval()(video), torch.full((1, 3), -7.0))


@pytest.mark.slow
def test_auxiliary_heads_work_while_training() -> None:
    net = torchvision.models.googlenet(num_classes=5, init_weights=False, aux_logits=True)
    y = inflate(net).train()(torch.randn(2, 3, 2, 64, 64))
    assert [tuple(part.shape) for part in y] == [(2, 5)] * 3


def test_it_learns() -> None:
    net3d = inflate(torchvision.models.shufflenet_v2_x0_5(num_classes=5)).train()
    net3d(torch.randn(2, 3, 3, 32, 32)).square().sum().backward()
    for name, p in net3d.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name


# --- what cannot be ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("vit_b_16", "the network"),
        ("swin_t", "attn"),
        ("swin_v2_t", "attn"),
        ("maxvit_t", "partition"),
    ],
)
def test_transformers_are_refused_by_name(name: str, module: str) -> None:
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None)
    with pytest.raises(CannotInflate, match=module):
        inflate(net)
    assert not can_inflate(name)


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (lambda net, x: net.head(x.flatten(2).mean(2)), "flatten"),
        (lambda net, x: x.view(x.size(0), x.size(1), -1), "view"),
        (lambda net, x: x.sum((2, 3)), "sum"),
        (lambda net, x: F.pixel_shuffle(x.repeat(1, 2, 1, 1), 2), "repeat"),
        (lambda net, x: torch.matmul(x, x.transpose(2, 3)), "matmul"),
        (lambda net, x: F.conv2d(x, net.features[0].weight), "filter"),
        (lambda net, x: F.softmax(x, dim=-1), "softmax"),
        (
            lambda net, x: F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False),
            "bicubic",
        ),
        (lambda net, x: x if x.sum() > 0 else -x, "cannot be followed"),
        (lambda net, x: x.transpose(1, 3) + x, "different orders"),
        (lambda net, x: net.norm(x), "norm"),
        (lambda net, x: F.batch_norm(x.permute(0, 2, 3, 1), *net.stats), "axis 1"),
    ],
)
def test_what_has_no_3d_form_is_refused(rest: Callable, said: str) -> None:
    with pytest.raises(CannotInflate, match=said) as error:
        inflate(Written(rest))
    assert "\n" not in str(error.value)


def test_what_is_3d_already_is_refused() -> None:
    with pytest.raises(CannotInflate, match=r"stem.0.*3D already"), torch.device("meta"):
        inflate(torchvision.models.video.r3d_18(weights=None))


def test_the_message_names_the_module() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ModuleDict({"up": nn.PixelShuffle(2)})["up"])
    with pytest.raises(CannotInflate, match=r"module '1' \(PixelShuffle\).*pixel_shuffle"):
        inflate(net)


class OwnConv(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


def test_modules_with_a_forward_of_their_own_are_not_taken_for_plain_ones() -> None:
    with pytest.raises(CannotInflate, match="OwnConv"):
        inflate(nn.Sequential(OwnConv(3, 4, 3)))


def test_computed_weights_are_refused() -> None:
    for wrap in (nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm):
        with pytest.raises(CannotInflate, match="remove that first"):
            inflate(nn.Sequential(wrap(nn.Conv2d(3, 4, 3))))


@pytest.mark.parametrize(
    "options",
    [
        {"temporal_kernel": 2},
        {"temporal_kernel": 0},
        {"temporal_kernel": 3.0},
        {"weights": "center"},
        {"padding": "same"},
        {"which": "some"},
    ],
)
def test_bad_arguments(options: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(options))):
        inflate(nn.Conv2d(3, 4, 3), **options)
    with pytest.raises(BadInput, match="torch"):
        inflate("resnet50")


# --- the list, and real weights ---


def test_the_list_is_made_of_torchvisions_names() -> None:
    names = torchvision.models.list_models(module=torchvision.models)
    assert len(set(INFLATABLE)) == len(INFLATABLE)
    assert set(INFLATABLE) <= set(names)
    left = set(names) - set(INFLATABLE)
    assert {name.split("_")[0] for name in left} == {"vit", "swin", "maxvit"}


REAL = {
    "squeezenet1_0": "squeezenet1_0_deepcomp_folded.pth",
    "mobilenet_v2": "mobilenet_v2_from_tflite.pth",
}


@pytest.mark.parametrize("name", REAL)
def test_a_real_photograph_held_still(name: str, shared_data: Path) -> None:
    from PIL import Image

    net = torchvision.models.get_model(name, weights=None)
    net.load_state_dict(torch.load(shared_data / "weights" / REAL[name], weights_only=True))
    transform = torchvision.transforms._presets.ImageClassification(crop_size=224)
    picture = transform(Image.open(shared_data / "photos" / "zebra.jpg").convert("RGB"))
    assert net.eval()(picture[None]).argmax() == 340  # zebra
    for exact in EXACT:
        error = still_video_error(net, inflate(net, **exact), picture, frames=4)
        assert error.logits < 1e-4
        assert error.features.max() < 1e-4
    assert still_video_error(net, inflate(net), picture, frames=4).logits > 1e-2
