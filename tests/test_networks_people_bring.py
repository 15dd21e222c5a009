"""What networks do in their own forward, what wraps them, what they end with, and copies of them.

Each case names the public report it comes from, and the value that is right: autograd by hand, or
one line that is true.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.models.trace import trace_forward

T, S, K = 8, 32, 4
SHAPE = (3, T, S, S)


def features() -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(3, 8, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(8, 16, 3, 2, 1))


class Net(nn.Module):
    """Features, a ReLU, two layers: a head that needs a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.relu = features(), nn.ReLU()
        self.fc = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, K))
        self.w = torch.rand(1, 16, 1, 1, 1)

    def body(self, x: Tensor) -> Tensor:
        return self.relu(self.f(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3, 4)))


def clip_of(seed: int = 0) -> gv.Clip:
    pixels = np.random.default_rng(seed).integers(0, 256, (T, S, S, 3), dtype=np.uint8)
    return gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), f"clip {seed}")


def model_of(net: nn.Module, labels: int = K, **options) -> gv.VideoModel:
    names = [f"class {k}" for k in range(labels)]
    return gv.VideoModel(net.eval(), names, size=S, frames=T, quiet=True, **options)


def by_hand(net: nn.Module, layer: str, x: Tensor) -> Tensor:
    """Grad-CAM with a hook and autograd: signed (1, K, T', h, w)."""
    kept: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    with torch.enable_grad():
        y = net(x.clone().requires_grad_())
    handle.remove()
    signed = []
    for k in range(y.shape[1]):
        (g,) = torch.autograd.grad(y[0, k].float(), kept[0], retain_graph=True)
        signed.append((g.float().mean((2, 3, 4), keepdim=True) * kept[0].float()).sum(1).detach())
    return torch.stack(signed, 1)


# --- the trial forward --------------------------------------------------------------------------


class PlainTensor(Net):
    """A constant kept as an attribute, not as a buffer."""

    def forward(self, x: Tensor) -> Tensor:
        return self.fc((self.body(x) * self.w).mean((2, 3, 4)))


class Linspace(Net):
    """Weights over time made in the forward."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return self.fc((y * torch.linspace(0, 1, y.shape[2]).view(1, 1, -1, 1, 1)).mean((2, 3, 4)))


class OwnMean(Net):
    """It normalises its input itself."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - torch.tensor([0.45, 0.4, 0.45]).view(1, 3, 1, 1, 1))


class Item(Net):
    """It looks at a value."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return self.fc((y / max(1.0, y.abs().max().item())).mean((2, 3, 4)))


class Check(Net):
    """It asserts something of its values."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        assert not torch.isnan(y).any() and y.sum() > 0
        return self.fc(y.mean((2, 3, 4)))


class OwnAutocast(Net):
    """It asks for its own device's autocast, which there is not for a tensor without values."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return super().forward(x)


class BlueFirst(Net):
    """OpenCV's order of colours."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x[:, [2, 1, 0]])


class EverySecond(Net):
    """Every second frame, picked by an index."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.index_select(2, torch.arange(0, T, 2, device=x.device)))


TRIAL: dict[str, type[Net]] = {
    "pytorch #119665, a tensor as an attribute": PlainTensor,
    "nnsight 79, a tensor made in forward": Linspace,
    "a mean made in forward": OwnMean,
    "a value is looked at": Item,
    "an assert on values": Check,
    "captum #1199, autocast in forward": OwnAutocast,
    "colours flipped": BlueFirst,
    "frames picked": EverySecond,
}


@pytest.mark.parametrize("name", TRIAL)
def test_what_runs_is_explained_and_equals_autograd_by_hand(name: str) -> None:
    torch.manual_seed(0)
    net = TRIAL[name]().eval()
    model = model_of(net)
    assert model.cam_layer == "relu"
    x, _ = model.preprocess(clip_of())
    rough = 0.02 if name.startswith("captum") else 1e-5
    expected = by_hand(net, "relu", x)
    found = maps_of(model, x)[1]
    assert (found - expected).abs().max() <= rough * expected.abs().max()
    assert model.grid_axes(SHAPE)[1] == "receptive-field"


def test_frames_that_are_picked_lie_where_they_were() -> None:
    model = model_of(EverySecond())
    assert model.grid_axes(SHAPE)[0][0].centres().tolist() == [0.0, 4.0]


def test_what_does_not_run_says_so_in_one_line_and_names_the_way_out() -> None:
    class Two(Net):
        def forward(self, x: Tensor, flow: Tensor) -> Tensor:  # ty: ignore
            return super().forward(x + flow)

    with pytest.raises(
        gv.BadInput, match=r"required positional argument: 'flow'.*inputs="
    ) as error:
        model_of(Two())
    assert "\n" not in str(error.value)
    model = model_of(Two(), inputs=lambda x: (x, x * 0))
    assert gv.explain(model, clip_of()).signed.shape[0] == K


def test_the_trial_forward_leaves_nothing_in_the_network() -> None:
    class Caching(Net):
        def __init__(self) -> None:
            super().__init__()
            self.cache: dict[int, Tensor] = {}
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            y = self.body(x)
            self.cache.setdefault(y.shape[2], y.new_ones(y.shape[2]))
            self.seen.append(y)
            self.last = y
            return self.fc((y * self.cache[y.shape[2]].view(1, 1, -1, 1, 1)).mean((2, 3, 4)))

    net = Caching().eval()
    trace_forward(net, SHAPE)
    assert not net.cache and not net.seen and not hasattr(net, "last")
    assert np.ptp(gv.explain(model_of(net), clip_of()).signed) > 0


# --- gradients that are switched off on the way ---------------------------------------------------


class NoGradBackbone(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.body(x)
        return self.fc(y.mean((2, 3, 4)))


class NoGradAtAll(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class InferenceInside(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            y = self.body(x)
        return self.fc(y.clone().mean((2, 3, 4)))


@pytest.mark.parametrize("net", [NoGradBackbone, NoGradAtAll, InferenceInside])
def test_gradients_switched_off_in_the_forward_make_no_difference(net: type[Net]) -> None:
    torch.manual_seed(0)
    plain = Net().eval()
    same = net().eval()
    same.load_state_dict(plain.state_dict())
    x, _ = model_of(plain).preprocess(clip_of())
    torch.testing.assert_close(maps_of(model_of(same), x)[1], by_hand(plain, "relu", x))
    # Back to the pixels as well.
    pixels = {"method": "integrated-gradients", "steps": 2}
    expected = gv.explain(model_of(plain), clip_of(), **pixels).signed
    np.testing.assert_allclose(gv.explain(model_of(same), clip_of(), **pixels).signed, expected)


def test_inference_mode_around_the_call_or_at_construction() -> None:
    torch.manual_seed(0)
    plain = Net().eval()
    expected = gv.explain(model_of(plain), clip_of()).signed
    model = model_of(plain)
    with torch.inference_mode():
        np.testing.assert_allclose(gv.explain(model, clip_of()).signed, expected, atol=1e-7)
        inside = Net().eval()
        for own, other in zip(inside.parameters(), plain.parameters(), strict=True):
            own.copy_(other)
        built = model_of(inside)
    np.testing.assert_allclose(gv.explain(built, clip_of()).signed, expected, atol=1e-7)


def test_autocast_in_the_network_leaves_autocast_as_it_was() -> None:
    model = model_of(OwnAutocast())
    gv.explain(model, clip_of())
    gv.explain(model, clip_of(), autocast=True)
    assert not torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()


def test_a_reentrant_checkpoint_is_told_in_one_line() -> None:
    """Before the layer it does no harm; after it torch gives no gradient (Video-Swin's default)."""

    class Checkpointed(Net):
        def __init__(self, reentrant: bool, early: bool) -> None:
            super().__init__()
            self.reentrant, self.early = reentrant, early

        def forward(self, x: Tensor) -> Tensor:
            options = {"use_reentrant": self.reentrant}
            if self.early:
                return self.fc(self.relu(checkpoint(self.f, x, **options)).mean((2, 3, 4)))
            return checkpoint(self.fc, self.body(x).mean((2, 3, 4)), **options)

    torch.manual_seed(0)
    plain = Net().eval()
    x, _ = model_of(plain).preprocess(clip_of())
    expected = by_hand(plain, "relu", x)
    for reentrant, early in ((True, True), (False, True), (False, False)):
        net = Checkpointed(reentrant, early).eval()
        net.load_state_dict(plain.state_dict())
        torch.testing.assert_close(maps_of(model_of(net), x)[1], expected)
    with pytest.raises(gv.BadInput, match="use_reentrant"):
        maps_of(model_of(Checkpointed(True, False)), x)


# --- batches ------------------------------------------------------------------------------------


def test_statistics_of_the_batch_never_mix_clips() -> None:
    """BatchNorm without running statistics: four copies together would norm each other."""
    torch.manual_seed(0)
    norm = nn.BatchNorm3d(8, track_running_stats=False)
    layers = [nn.Conv3d(3, 8, 3, 2, 1), norm, nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    model = model_of(nn.Sequential(*layers, nn.Linear(8, K)))
    one = gv.explain(model, clip_of(), method="occlusion", batch=1)
    four = gv.explain(model, clip_of(), method="occlusion")
    np.testing.assert_array_equal(one.signed, four.signed)
    both = gv.explain(model, [clip_of(), clip_of(1)], batch=2)
    np.testing.assert_array_equal(both[1].signed, gv.explain(model, clip_of(1)).signed)


# --- what a network ends with -------------------------------------------------------------------


class Ending(Net):
    """A network whose last step is a function of its logits."""

    def __init__(self, end: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(super().forward(x))


ENDINGS: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "nn.Softmax, pytorch-grad-cam #325": (nn.Softmax(1), "softmax"),
    "softmax": (lambda y: torch.softmax(y, -1), "softmax"),
    "log_softmax, captum #887": (lambda y: nn.functional.log_softmax(y, 1), "softmax"),
    "softmax, then a pool over one cell, as in pytorchvideo": (
        lambda y: nn.functional.adaptive_avg_pool3d(y.softmax(1)[..., None, None, None], 1).flatten(
            1
        ),
        "softmax",
    ),
    "sigmoid, MONAI #5530": (lambda y: y.sigmoid(), "sigmoid"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_logits_before_the_ending_are_explained(name: str) -> None:
    end, kind = ENDINGS[name]
    torch.manual_seed(0)
    plain = Net().eval()
    net = Ending(end).eval()
    net.load_state_dict(plain.state_dict())
    model, usual = model_of(net), gv.explain(model_of(plain), clip_of())
    e = gv.explain(model, clip_of())
    assert model.output == kind
    np.testing.assert_allclose(e.logits, usual.logits, rtol=1e-5)
    np.testing.assert_allclose(e.signed, usual.signed, atol=1e-6)
    logits = torch.from_numpy(usual.logits)
    right = logits.sigmoid() if kind == "sigmoid" else logits.softmax(0)
    np.testing.assert_allclose(model.activated(torch.from_numpy(e.logits)[None])[0], right)


def test_a_mean_of_two_softmaxes_is_explained_as_the_probability_it_is() -> None:
    class Two(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(self.body(x).mean((2, 3, 4)))
            return (y.softmax(1) + (2 * y).softmax(1)) / 2

    torch.manual_seed(0)
    net = Two().eval()
    model = model_of(net)
    x, _ = model.preprocess(clip_of())
    assert model.output == "probability"
    torch.testing.assert_close(maps_of(model, x)[1], by_hand(net, "relu", x))


def test_a_gate_near_the_end_is_no_ending() -> None:
    class Gated(Net):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            return y * y.sigmoid()

    model = model_of(Gated())
    assert model.output == "softmax" and model.trace(SHAPE).ending is None


# --- wrappers, shapes of what is given and taken --------------------------------------------------


class Wrapped(nn.Module):
    """Gives its logits inside something else."""

    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.net, self.wrap = Net(), wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.net(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: (y, None),
        lambda y: [y],
        lambda y: {"features": y * 0, "logits": y},
        lambda y: y[:, None],
        lambda y: y[:, :, None, None, None],
        lambda y: type("ModelOutput", (), {"logits": y})(),
    ],
    ids=["tuple", "list", "dict", "(N, 1, K)", "(N, K, 1, 1, 1)", "ModelOutput"],
)
def test_logits_are_found_in_what_a_network_gives(wrap: Callable[[Tensor], object]) -> None:
    torch.manual_seed(0)
    net = Wrapped(wrap).eval()
    expected = gv.explain(model_of(net.net), clip_of()).signed
    np.testing.assert_allclose(gv.explain(model_of(net), clip_of()).signed, expected, atol=1e-7)


def test_a_network_that_takes_frames_first_is_asked_so() -> None:
    class FramesFirst(Net):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1:3] == (T, 3)
            return super().forward(x.transpose(1, 2))

    torch.manual_seed(0)
    net, plain = FramesFirst().eval(), Net().eval()
    plain.load_state_dict(net.state_dict())
    expected = gv.explain(model_of(plain), clip_of()).signed
    np.testing.assert_allclose(gv.explain(model_of(net), clip_of()).signed, expected, atol=1e-7)


def test_labels_as_a_dict_or_none() -> None:
    by_index = {1: "walk", 0: "run", 3: "sit", 2: "jump"}
    model = gv.VideoModel(Net().eval(), by_index, size=S, frames=T, quiet=True)
    assert model.labels == ("run", "walk", "jump", "sit")
    numbered = gv.VideoModel(Net().eval(), size=S, frames=T, quiet=True)
    assert numbered.labels == ("class 0", "class 1", "class 2", "class 3")
    with pytest.raises(gv.BadInput, match="keys of a dict must be 0 to 1"):
        gv.VideoModel(Net(), {1: "a", 2: "b"}, size=S, frames=T)


def test_data_parallel_is_unwrapped() -> None:
    """kazuto1011/grad-cam #13: names of layers must not depend on the wrapper."""
    net = Net().eval()
    model = model_of(nn.DataParallel(net))
    assert model.net is net and model.cam_layer == "relu"


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False], ids=["after a run", "before a run"])
@pytest.mark.parametrize("part", ["whole", "features", "in place"])
def test_compiled_networks_are_run_as_written(before: bool, part: str) -> None:
    """pytorch #117758: a hook that is set after compiling is not called."""
    torch.manual_seed(0)
    net = Net().eval()
    expected = gv.explain(model_of(copy.deepcopy(net)), clip_of()).signed
    given: nn.Module = net
    if part == "whole":
        given = torch.compile(net, backend="eager")
    elif part == "features":
        net.f = torch.compile(net.f, backend="eager")
    else:
        net.compile(backend="eager")
    if before:
        with torch.no_grad():
            given(torch.rand(1, *SHAPE))
    np.testing.assert_allclose(gv.explain(model_of(given), clip_of()).signed, expected, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.jit.script(features()), "is TorchScript.*nn.Module that it was made from"),
        (lambda: torch.jit.trace(Net(), torch.rand(1, *SHAPE)), "Net is TorchScript"),
    ],
    ids=["pytorch-grad-cam #258, script", "pytorch-grad-cam #531, trace"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_compiled_for_good_is_refused(make: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(gv.BadInput, match=words):
        gv.VideoModel(make(), size=S, frames=T)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_quantised_layers_are_refused() -> None:
    """torchattacks #150: no gradient passes them."""
    quantised = torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear}, torch.qint8)
    with pytest.raises(gv.BadInput, match=r"layer 'fc\.0' is quantised"):
        model_of(quantised)


def test_a_weight_norm_stays_when_batch_norms_are_fused() -> None:
    conv = weight_norm(nn.Conv3d(3, 8, 3, 2, 1))
    layers = [conv, nn.BatchNorm3d(8), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    model = model_of(nn.Sequential(*layers, nn.Linear(8, K)))
    before = gv.explain(model, clip_of())
    after = gv.explain(model.faster(), clip_of())
    np.testing.assert_allclose(after.signed, before.signed, atol=1e-6)


# --- copies, and what changes after the first call ----------------------------------------------


def test_a_copy_knows_its_own_head_and_layer() -> None:
    torch.manual_seed(0)
    model = model_of(Net())
    first = gv.explain(model, clip_of()).signed
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    copies = [
        copy.deepcopy(model),
        copy.copy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(stored, weights_only=False),
    ]
    for one in copies:
        np.testing.assert_array_equal(gv.explain(one, clip_of()).signed, first)
    nn.init.zeros_(copies[0].net.get_submodule("fc.2").weight)
    assert not gv.explain(copies[0], clip_of()).signed.any()
    np.testing.assert_array_equal(gv.explain(model, clip_of()).signed, first)


def test_nothing_remembered_is_stale() -> None:
    torch.manual_seed(0)
    layers = [features(), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, K)]
    model = model_of(nn.Sequential(*layers))
    x, _ = model.preprocess(clip_of())
    gv.explain(model, clip_of())
    assert model.trace(SHAPE).linear_head("1") is not None
    # Another head: two layers in the place of one.
    model.net[4] = nn.Sequential(nn.Linear(16, 5), nn.ReLU(), nn.Linear(5, K))
    torch.testing.assert_close(maps_of(model, x)[1], by_hand(model.net, "1", x))
    # Other weights, another type.
    state = {key: torch.randn_like(t) for key, t in model.net.state_dict().items()}
    model.net.load_state_dict(state)
    torch.testing.assert_close(maps_of(model, x)[1], by_hand(model.net, "1", x))
    model.net.double()
    assert maps_of(model, model.preprocess(clip_of())[0])[1].dtype == torch.float64
    # Another number of classes.
    model.net[4] = nn.Linear(16, 7).double()
    with pytest.raises(gv.BadInput, match="gives 7 logits now, and has 4 labels"):
        gv.explain(model, clip_of())
    model.labels = tuple("abcdefg")
    assert gv.explain(model, clip_of()).signed.shape[0] == 7
