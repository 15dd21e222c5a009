"""The core: equal to three other libraries, to the algebra, and leaving the network as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution import gradcam as core
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.attribution.long_video import JpegFrames, join
from gradcam_video.data.clip import Clip
from gradcam_video.geometry import SCOPES
from gradcam_video.models.video_model import VideoModel


def clip_of(frames: np.ndarray, start: float = 0.0, repeated: int = 0) -> Clip:
    n = len(frames)
    times = start + np.minimum(np.arange(n), n - 1 - repeated) / 4
    return Clip(frames, times, np.arange(n) >= n - repeated, "made")


def model_of(net: nn.Module, classes: int, size: int | tuple[int, int] = 32) -> VideoModel:
    return VideoModel(net, [f"class {k}" for k in range(classes)], size=size, quiet=True)


@pytest.fixture(scope="module")
def inflated_resnet18() -> VideoModel:
    torch.manual_seed(0)
    net = gv.inflate(torchvision.models.resnet18(num_classes=40)).eval()
    return model_of(net, 40, (48, 64))


@pytest.fixture(scope="module")
def inflated_resnet50() -> VideoModel:
    torch.manual_seed(0)
    net = gv.inflate(torchvision.models.resnet50(num_classes=40)).eval()
    return model_of(net, 40, 64)


@pytest.fixture(scope="module")
def r3d() -> VideoModel:
    torch.manual_seed(0)
    return model_of(torchvision.models.video.r3d_18(num_classes=40).eval(), 40, 64)


class Headed(nn.Module):
    """A trunk with in-place ReLUs and a head of one's choice."""

    def __init__(self, head: nn.Module, channels: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, channels, 3, padding=1)
        self.norm = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.norm(self.conv(x))))


class Recurrent(nn.Module):
    """Mean over space, a GRU over time: a head for which moments differ."""

    def __init__(self, channels: int = 6, classes: int = 4) -> None:
        super().__init__()
        self.gru = nn.GRU(channels, 8, batch_first=True)
        self.fc = nn.Linear(8, classes)

    def forward(self, a: Tensor) -> Tensor:
        return self.fc(self.gru(a.mean(dim=(3, 4)).transpose(1, 2))[0][:, -1])


def pooled(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), *layers)


HEADS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: pooled(nn.Linear(6, 4)),
    "no bias": lambda: pooled(nn.Dropout(), nn.Linear(6, 4, bias=False)),
    "two layers": lambda: pooled(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 4)),
    "in-place, then mean": lambda: nn.Sequential(nn.Hardtanh(0, 0.5, True), *HEADS["linear"]()),
    "class scores": lambda: nn.Sequential(nn.Conv3d(6, 4, 1), nn.ReLU(True), *pooled()),
    "1x1x1 convolution": lambda: nn.Sequential(nn.Conv3d(6, 4, 1), *pooled()),
    "max": lambda: nn.Sequential(nn.AdaptiveMaxPool3d(1), nn.Flatten(), nn.Linear(6, 4)),
    "recurrent": Recurrent,
    "logits twice": lambda: pooled(nn.Linear(6, 4), nn.Linear(4, 4)),
}  # fmt: skip


def by_hand(net: nn.Module, layer: str, x: Tensor, per_step: bool = False) -> tuple[Tensor, Tensor]:
    """Grad-CAM as in the paper, a class and a clip at a time: logits, signed (N, K, T', h, w)."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept.append(output.clone())  # what follows may overwrite its own copy only
        return kept[-1].clone()

    handle = net.get_submodule(layer).register_forward_hook(keep)
    logits, maps = [], []
    for one in x:
        kept.clear()
        y = net(one[None])
        logits.append(y.detach())
        rows = []
        for k in range(y.shape[1]):
            (g,) = torch.autograd.grad(y[0, k], kept[-1], retain_graph=True)
            alpha = g.mean(dim=(3, 4) if per_step else (2, 3, 4), keepdim=True)  # (1, C, …)
            rows.append((alpha * kept[-1]).sum(dim=1)[0].detach())
        maps.append(torch.stack(rows))
    handle.remove()
    return torch.cat(logits), torch.stack(maps)


# --- equal to the algebra -----------------------------------------------------------------------


@pytest.mark.parametrize("per_step", [False, True])
@pytest.mark.parametrize("name", HEADS)
def test_every_head_equals_the_paper_by_hand_in_float64(name: str, per_step: bool) -> None:
    torch.manual_seed(1)
    net = Headed(HEADS[name]()).double().eval()
    model = model_of(net, 4, (10, 14))
    x = torch.randn(3, 3, 5, 10, 14, dtype=torch.float64)
    logits, signed = maps_of(model, x, per_step=per_step)
    y, expected = by_hand(net, model.cam_layer, x, per_step)
    torch.testing.assert_close(logits, y)
    torch.testing.assert_close(signed, expected, atol=1e-12, rtol=1e-9)


def test_weights_per_step_differ_where_the_head_weighs_moments() -> None:
    torch.manual_seed(0)
    model = model_of(Headed(Recurrent()).double().eval(), 4, 8)
    x = torch.randn(1, 3, 6, 8, 8, dtype=torch.float64)
    whole, step = maps_of(model, x)[1], maps_of(model, x, per_step=True)[1]
    assert (whole - step).abs().max() > 0.1 * whole.abs().max()
    # Averaged over the steps, alpha is the same: with activations constant in time so are the maps.
    still = x[:, :, :1].expand_as(x)
    net = nn.Sequential(nn.Conv3d(3, 6, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), Recurrent())
    model = model_of(net.double().eval(), 4, 8)
    whole, step = maps_of(model, still)[1], maps_of(model, still, per_step=True)[1]
    torch.testing.assert_close(whole.mean(dim=2), step.mean(dim=2))


@pytest.mark.parametrize(
    "build",
    [
        "inflated_resnet18",
        pytest.param("inflated_resnet50", marks=pytest.mark.slow),
        pytest.param("r3d", marks=pytest.mark.slow),
    ],
)
def test_alpha_is_w_over_z_and_the_map_sums_to_the_logit(
    build: str, request: pytest.FixtureRequest
) -> None:
    import copy

    net = copy.deepcopy(request.getfixturevalue(build).net).double()
    model = model_of(net, 40, (32, 48))
    x = torch.randn(1, 3, 16, 32, 48, dtype=torch.float64)
    logits, signed = maps_of(model, x)
    fc = net.get_submodule("fc")
    torch.testing.assert_close(signed.sum(dim=(2, 3, 4)), logits - fc.bias)

    kept: list[Tensor] = []
    handle = net.get_submodule("layer4").register_forward_hook(lambda m, i, o: kept.append(o))
    y = net(x)
    handle.remove()
    cells = kept[0][0, 0].numel()
    for k in (0, 17):
        (g,) = torch.autograd.grad(y[0, k], kept[0], retain_graph=True)
        torch.testing.assert_close(g.mean(dim=(0, 2, 3, 4)), fc.weight[k] / cells)
    # Both ways of the core agree.
    torch.testing.assert_close(maps_of(model, x, by_gradient=True)[1], signed)


# --- equal to other libraries -------------------------------------------------------------------


def captum_map(net: nn.Module, layer: nn.Module, x: Tensor, k: int) -> Tensor:
    from captum.attr import LayerGradCam

    return LayerGradCam(net, layer).attribute(x, target=k)[:, 0].detach()


def torchcam_map(net: nn.Module, layer: nn.Module, x: Tensor, k: int) -> Tensor:
    from torchcam.methods import GradCAM

    extractor = GradCAM(net, target_layer=layer)
    extractor._relu = False
    try:
        return extractor(k, net(x), normalized=False)[0].detach()
    finally:
        extractor.remove_hooks()


def pytorch_grad_cam_map(net: nn.Module, layer: nn.Module, x: Tensor, k: int) -> Tensor:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class Raw(GradCAM):
        """Keeps the map before ReLU, resizing and scaling."""

        def get_cam_image(self, *args, **kwargs):
            self.raw = super().get_cam_image(*args, **kwargs)
            return self.raw

    with Raw(net, [layer]) as cam:
        cam(x, [ClassifierOutputTarget(k)] * len(x))
        net.zero_grad()
        return torch.from_numpy(cam.raw)


@pytest.mark.parametrize("peer", [captum_map, torchcam_map, pytorch_grad_cam_map])
@pytest.mark.parametrize(
    ("build", "shape"),
    [
        ("inflated_resnet18", (8, 48, 64)),
        pytest.param("inflated_resnet50", (16, 64, 64), marks=pytest.mark.slow),
        pytest.param("r3d", (16, 64, 64), marks=pytest.mark.slow),
    ],
)
def test_maps_equal_those_of(
    peer: Callable[..., Tensor],
    build: str,
    shape: tuple[int, int, int],
    request: pytest.FixtureRequest,
) -> None:
    model: VideoModel = request.getfixturevalue(build)
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(5))
    _, signed = maps_of(model, x)
    layer = model.net.get_submodule(model.cam_layer)
    for k in (0, 7, 39):
        theirs = peer(model.net, layer, x, k)
        difference = (signed[:, k] - theirs).abs().max() / theirs.abs().max()
        assert difference <= 1e-5, f"class {k}: {difference:.1e}"


# --- the network is left as it was --------------------------------------------------------------


def state_of(net: nn.Module) -> tuple:
    return (
        [m.training for m in net.modules()],
        [(p.requires_grad, p.grad is None) for p in net.parameters()],
        [len(m._forward_hooks) + len(m._backward_hooks) for m in net.modules()],
        {k: v.clone() for k, v in net.state_dict().items()},
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


def assert_same_state(before: tuple, after: tuple) -> None:
    assert before[:3] == after[:3] and before[4:] == after[4:]
    assert all(torch.equal(v, after[3][k]) for k, v in before[3].items())


@pytest.mark.parametrize("name", HEADS)
def test_mode_gradients_flags_and_hooks_stay(name: str) -> None:
    net = Headed(HEADS[name]()).train()
    net.norm.eval()
    next(net.parameters()).requires_grad_(False)
    calls: list[int] = []
    net.relu.register_forward_hook(lambda m, i, o: calls.append(1))
    model = model_of(net, 4, 8)
    model.trace((3, 4, 8, 8))  # the trial forward, once per shape, runs the user's hooks as well
    before = state_of(net)
    calls.clear()
    first = maps_of(model, torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert_same_state(before, state_of(net))
    assert len(calls) == 1  # one forward, and the user's own hook still fires
    # In training mode dropout would draw at random: it was off.
    again = maps_of(model, torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(first[1], again[1])


@pytest.mark.parametrize("name", ["linear", "two layers"])
def test_state_stays_also_after_an_exception(name: str) -> None:
    class Fails(nn.Module):
        armed = False

        def forward(self, x: Tensor) -> Tensor:
            if self.armed:
                raise RuntimeError("in the head")
            return x

    fails = Fails()
    net = Headed(nn.Sequential(*HEADS[name](), fails)).train()
    model = model_of(net, 4, 8)
    before = state_of(net)
    fails.armed = True
    with pytest.raises(RuntimeError, match="in the head"):
        maps_of(model, torch.randn(1, 3, 16, 8, 8))
    fails.armed = False
    assert_same_state(before, state_of(net))


@pytest.mark.parametrize("name", HEADS)
def test_a_batch_equals_one_by_one(name: str) -> None:
    torch.manual_seed(3)
    model = model_of(Headed(HEADS[name]()).eval(), 4, 8)
    x = torch.randn(3, 3, 4, 8, 8)
    logits, signed = maps_of(model, x)
    for n in range(3):
        y, s = maps_of(model, x[n : n + 1])
        torch.testing.assert_close(logits[n : n + 1], y)
        torch.testing.assert_close(signed[n : n + 1], s)


def test_some_classes_are_rows_of_all_and_chunks_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_of(Headed(HEADS["two layers"]()).eval(), 4, 8)
    x = torch.randn(2, 3, 4, 8, 8)
    _, every = maps_of(model, x)
    _, some = maps_of(model, x, torch.tensor([3, 1]))
    torch.testing.assert_close(some, every[:, [3, 1]])
    monkeypatch.setattr(core, "GRADIENT_BYTES", 1)  # one class at a time
    torch.testing.assert_close(maps_of(model, x)[1], every)


def test_a_layer_that_runs_twice_is_read_at_its_last_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv3d(3, 6, 3, padding=1)
            self.b = nn.Conv3d(6, 6, 3, padding=1)
            self.head = HEADS["two layers"]()

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.b(self.b(self.a(x)).relu()))

    net = Twice().double().eval()
    model = model_of(net, 4, 8)
    assert model.cam_layer == "b"
    x = torch.randn(1, 3, 4, 8, 8, dtype=torch.float64)
    kept: list[Tensor] = []
    handle = net.b.register_forward_hook(lambda m, i, o: kept.append(o))
    y = net(x)
    handle.remove()
    (g,) = torch.autograd.grad(y[0, 2], kept[-1])
    expected = (g.mean(dim=(2, 3, 4), keepdim=True) * kept[-1]).sum(dim=1)
    torch.testing.assert_close(maps_of(model, x)[1][:, 2], expected.detach())


@pytest.mark.slow
def test_autocast_gives_float32_maps_close_to_the_exact_ones(r3d: VideoModel) -> None:
    x = torch.randn(1, 3, 8, 32, 32)
    exact, low = maps_of(r3d, x)[1], maps_of(r3d, x, autocast=True)[1]
    assert low.dtype == torch.float32
    assert (exact - low).abs().max() < 0.05 * exact.abs().max()
    lower = maps_of(r3d, x, by_gradient=True, autocast=True)[1]
    torch.testing.assert_close(low, lower, atol=1e-4 * float(exact.abs().max()), rtol=1e-3)


def test_logits_that_do_not_depend_on_the_layer() -> None:
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Conv3d(3, 4, 1)
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.unused(x)
            return self.fc(x.mean(dim=(2, 3, 4)))

    model = VideoModel(Aside(), "ab", size=8, cam_layer="unused", quiet=True)
    with pytest.raises(gv.BadInput, match="do not depend"):
        maps_of(model, torch.randn(1, 3, 4, 8, 8))


# --- the impulse: drawn where it lies -----------------------------------------------------------


class Blur(nn.Module):
    """An untrained network that answers at the place of what it sees: positive filters only."""

    def __init__(self, stages: int = 3, time_stride: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for stage in range(stages):
            stride = (time_stride if stage else 1, 2, 2)
            conv = nn.Conv3d(3 if not stage else 1, 1, 3, stride, padding=1, bias=False)
            nn.init.ones_(conv.weight)
            layers.append(conv)
        self.trunk = nn.Sequential(*layers)
        self.fc = nn.Linear(1, 2)
        nn.init.ones_(self.fc.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.trunk(x).mean(dim=(2, 3, 4)))


@pytest.mark.parametrize("time_stride", [1, 2])
@pytest.mark.parametrize("size", [(64, 64), (120, 64), (64, 200), (90, 160)])
def test_an_impulse_is_found_again(size: tuple[int, int], time_stride: int) -> None:
    """One pixel of one frame: the map's centroid lies on it to a quarter of a cell."""
    model = VideoModel(
        Blur(time_stride=time_stride), "ab", size=64, mean=(0, 0, 0), std=(1, 1, 1), quiet=True
    )
    height, width = size
    scale = min(size) / 64  # original pixels per input pixel
    cell = 8 * scale
    axes, _ = model.trace((3, 16, 64, 64)).grid_axes(model.cam_layer)
    for t, row, column in ((6, 0.5, 0.5), (5, 0.4, 0.42), (7, 0.57, 0.56)):
        row, column = int(row * height), int(width / 2 + (column - 0.5) * min(size))
        frames = np.zeros((16, height, width, 3), np.uint8)
        frames[t, row, column] = 255
        drawn = gv.explain(model, clip_of(frames)).upsampled("a").astype(np.float64)
        total = drawn.sum()
        found = [
            float((drawn.sum(axis=tuple(a for a in range(3) if a != axis)) @ np.arange(n)) / total)
            for axis, n in enumerate(drawn.shape)
        ]
        assert abs(found[1] - row) <= cell / 4, f"row {row}, found {found[1]:.1f}"
        assert abs(found[2] - column) <= cell / 4, f"column {column}, found {found[2]:.1f}"
        assert abs(found[0] - t) <= max(0.25, axes[0].stride / 4), f"frame {t}, {found[0]:.2f}"


def test_half_pixel_drawing_would_miss_the_impulse() -> None:
    """The bar of the test above is one that the usual drawing fails."""
    from dataclasses import replace

    from gradcam_video.geometry import Axis

    model = VideoModel(Blur(), "ab", size=64, mean=(0, 0, 0), std=(1, 1, 1), quiet=True)
    frames = np.zeros((16, 64, 64, 3), np.uint8)
    frames[8, 32, 32] = 255
    e = gv.explain(model, clip_of(frames))
    half = replace(
        e, grid=replace(e.grid, rows=Axis.half_pixel(8, 64), columns=Axis.half_pixel(8, 64))
    )
    for drawn, is_right in ((e.upsampled("a"), True), (half.upsampled("a"), False)):
        found = drawn.sum(axis=(0, 2)) @ np.arange(64) / drawn.sum()
        assert (abs(found - 32) <= 8 / 4) == is_right


# --- Explanation --------------------------------------------------------------------------------


@pytest.fixture
def explanation() -> gv.Explanation:
    torch.manual_seed(0)
    model = model_of(Headed(HEADS["linear"]()).eval(), 4, 16)
    frames = np.random.default_rng(0).integers(0, 255, (6, 20, 30, 3), dtype=np.uint8)
    e = gv.explain(model, clip_of(frames))
    e.signed[1] = -np.abs(e.signed[1]) - 0.01  # a class without positive evidence
    e.signed[2] *= 0.1
    return e


def test_top_and_probabilities(explanation: gv.Explanation) -> None:
    assert abs(explanation.probabilities.sum() - 1) < 1e-6
    (best, p), (_, q) = explanation.top(2)
    assert best == explanation.labels[int(explanation.logits.argmax())] and p >= q
    assert explanation.classes.dtype == np.int64 and explanation.maps.dtype == np.float32


def test_scopes_divide_by_the_raw_maximum(explanation: gv.Explanation) -> None:
    e = explanation
    assert e.scale("class 0", "clip").max() == e.maps[0].max()
    assert e.scale("class 0", "classes")[0] == e.maps.max()
    for frame, scale in enumerate(e.scale("class 0", "frame")):
        assert scale == pytest.approx(e.maps[0, frame].max(), rel=1e-6)
    assert e.upsampled("class 2", "classes").max() < 0.5 < e.upsampled("class 2").max()
    with pytest.raises(gv.BadInput, match="unknown scope"):
        e.upsampled("class 0", "video")


def test_an_empty_map_is_zeros_flagged_never_nan(explanation: gv.Explanation) -> None:
    assert explanation.empty.tolist() == [False, True, False, False]
    assert explanation.empty_classes == ["class 1"]
    for scope in SCOPES:
        drawn = explanation.upsampled("class 1", scope)
        assert drawn.shape == (6, 20, 30) and not drawn.any()


def test_upsampled_frames_are_those_of_the_whole(explanation: gv.Explanation) -> None:
    whole = explanation.upsampled("class 0")
    assert whole.min() >= 0 and whole.max() <= 1 and whole.dtype == np.float32
    for t in range(6):
        np.testing.assert_allclose(explanation.upsampled_frame(t, "class 0"), whole[t], atol=1e-6)
    assert not whole[:, :, :5].any() and not whole[:, :, 25:].any()  # the crop: columns 5 … 25


def test_asking_for_what_is_not_there(explanation: gv.Explanation) -> None:
    with pytest.raises(gv.BadInput, match="class 7"):
        explanation.upsampled("class 7")
    model = model_of(Headed(HEADS["linear"]()).eval(), 4, 16)
    some = gv.explain(model, explanation.clip, classes=["class 2", 0])
    assert some.classes.tolist() == [0, 2] and some.maps.shape[0] == 2
    with pytest.raises(gv.BadInput, match="2 of 4 classes were explained"):
        some.upsampled("class 3")
    for classes in ([9], [], ["klass 2x"]):
        with pytest.raises(gv.BadInput):
            gv.explain(model, explanation.clip, classes=classes)
    with pytest.raises(gv.BadInput, match="gradcam-per-step"):
        gv.explain(model, explanation.clip, method="gradkam")


def test_a_list_of_clips_equals_one_by_one_whatever_the_batch() -> None:
    model = model_of(Headed(HEADS["two layers"]()).eval(), 4, 16)
    rng = np.random.default_rng(0)
    clips = [
        clip_of(rng.integers(0, 255, (n, h, 30, 3), dtype=np.uint8))
        for n, h in ((6, 20), (6, 40), (4, 20), (6, 20))
    ]
    for one, e in zip(clips, gv.explain(model, clips, batch=3), strict=True):
        alone = gv.explain(model, one)
        np.testing.assert_allclose(e.signed, alone.signed, atol=1e-6)
        assert e.clip is one


# --- long videos --------------------------------------------------------------------------------


def test_windows_join_without_a_seam() -> None:
    """A network that looks at single frames: however it is cut, the joined map is the same."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.ReLU(), pooled(nn.Linear(4, 2))
    )
    model = model_of(net.eval(), 2, 16)
    frames = np.random.default_rng(0).integers(0, 255, (22, 16, 16, 3), dtype=np.uint8)
    windows = [gv.explain(model, clip_of(frames[s : s + 8], start=s / 4)) for s in (0, 5, 10, 14)]
    joined = join(windows, clip_of(frames))
    assert joined.maps.shape == (2, 22, 16, 16)
    whole = gv.explain(model, clip_of(frames))
    # alpha is w / Z: a window of 8 frames has fewer cells than the whole of 22.
    np.testing.assert_allclose(joined.signed * 8, whole.signed * 22, rtol=1e-3, atol=1e-4)
    assert joined.upsampled().shape == (22, 16, 16)


def test_repeats_of_a_short_window_do_not_count() -> None:
    model = model_of(nn.Sequential(nn.Conv3d(3, 4, 1), pooled(nn.Linear(4, 2))).eval(), 2, 8)
    frames = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3), dtype=np.uint8)
    short = clip_of(np.concatenate([frames, frames[-1:], frames[-1:]]), repeated=2)
    joined = join([gv.explain(model, short)], clip_of(frames))
    assert joined.signed.shape[1] == 6
    np.testing.assert_allclose(joined.signed, gv.explain(model, short).signed[:, :6], atol=1e-6)


def test_frames_kept_as_jpegs_look_the_same_and_are_small() -> None:
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    frame = np.stack([np.tile(ramp, (48, 1))] * 3, axis=-1)
    kept = JpegFrames()
    kept.append(frame)
    kept.append(frame)
    assert kept.shape == (2, 48, 64, 3) and len(kept) == 2
    assert np.abs(kept[1].astype(int) - frame).max() < 8
    assert kept.nbytes < frame.nbytes
