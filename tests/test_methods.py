"""Every method on every kind of head: equal to others, to the paper by hand, nothing left behind.

The networks are small and random. `HEADS` are the ends that a network can have: one for which the
algebra is closed (mean and linear), and three that weigh cells and moments differently.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution import baselines
from gradcam_video.attribution import gradcam as core
from gradcam_video.attribution.long_video import join
from gradcam_video.attribution.methods import METHODS
from gradcam_video.attribution.methods.base import Maps, pixel_axes, pooled
from gradcam_video.attribution.methods.perturbation import frozen, reversed_in
from gradcam_video.data.clip import Clip
from gradcam_video.models.video_model import VideoModel

K = 4
FAST: dict[str, dict[str, Any]] = {
    "rise": {"masks": 12},
    "temporal-mask": {"steps": 4},
    "integrated-gradients": {"steps": 4},
    "occlusion": {"window": (2, 5, 5), "step": (2, 5, 5)},
}
UNSEEING = ("random", "centre")
COSTLY = ("guided-gradient", "deconvolution", "integrated-gradients", "temporal-mask")
OWN_GRID = ("occlusion", "rise", *COSTLY)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(nn.Module):
    """A trunk that halves height and width, with ReLUs in place, and a head of one's choice."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(3, 5, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.conv2 = nn.Conv3d(5, 6, 3, padding=1)
        self.norm = nn.BatchNorm3d(6)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu(self.norm(self.conv2(self.pool(self.relu(self.conv1(x)))))))


class Recurrent(nn.Module):
    """Mean over space, an LSTM over time."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, batch_first=True)
        self.fc = nn.Linear(8, K)

    def forward(self, a: Tensor) -> Tensor:
        return self.fc(self.lstm(a.mean(dim=(3, 4)).transpose(1, 2))[0][:, -1])


class SoftMaximum(nn.Module):
    """Class scores at every moment, and their soft maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, K)

    def forward(self, a: Tensor) -> Tensor:
        return torch.logsumexp(3 * self.fc(a.mean(dim=(3, 4)).transpose(1, 2)), dim=1) / 3


def convolved() -> nn.Module:
    """A convolution, a ReLU and a square before the mean: every cell has its own gradient."""

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    layers = [nn.Conv3d(6, 6, 3, padding=1), Square(), nn.AdaptiveAvgPool3d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6, K))


def mean_linear() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(6, K))


HEADS: dict[str, Callable[[], nn.Module]] = {
    "mean, linear": mean_linear,
    "recurrent": Recurrent,
    "soft maximum": SoftMaximum,
    "convolved": convolved,
}
SIZE = (10, 14)


def labels(n: int = K) -> list[str]:
    return [f"class {k}" for k in range(n)]


def model_of(net: nn.Module, size: tuple[int, int] = SIZE, layer: str | None = None) -> VideoModel:
    return VideoModel(net, labels(), size=size, frames=4, cam_layer=layer, quiet=True)


def with_head(head: str, seed: int = 0, double: bool = True) -> VideoModel:
    torch.manual_seed(seed)
    net = Net(HEADS[head]()).eval()
    # Weights as small as at birth would leave the soft maximum a mean.
    nn.init.normal_(net.conv2.weight, std=0.5)
    layer = "relu"  # runs twice: read at its last call
    return model_of(net.double() if double else net, layer=layer)


def clips_of(n: int, frames: int = 4, seed: int = 0, size: tuple[int, int] = SIZE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, frames, *size, generator=generator, dtype=torch.float64)


def applies(method: str, head: str) -> bool:
    return method != "cam" or head == "mean, linear"


def run(method: str, model: VideoModel, x: Tensor, classes: Any = None, **options: Any) -> Maps:
    wanted = None if classes is None else torch.tensor(classes)
    return METHODS[method](**(FAST.get(method, {}) | options))(model, x, wanted, at_once=3)


PAIRS = [(m, h) for m in METHODS for h in HEADS if applies(m, h)]


# --- every method on every head -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("method", "head"), PAIRS)
def test_a_batch_equals_one_by_one_and_classes_are_rows_of_all(method: str, head: str) -> None:
    model, x = with_head(head), clips_of(3)
    with torch.no_grad():
        expected = model.net(x)
    every = run(method, model, x, range(K))
    torch.testing.assert_close(every.logits, expected)
    shape = [axis.cells for axis in every.axes or model.trace(x.shape[1:]).grid_axes("relu")[0]]
    assert list(every.signed.shape) == [3, K, *shape]
    assert every.signed.isfinite().all()
    assert (every.axes is not None) == (method in OWN_GRID)

    for n in range(3):
        alone = run(method, model, x[n : n + 1], range(K))
        torch.testing.assert_close(alone.signed, every.signed[n : n + 1], atol=1e-9, rtol=1e-6)
    some = run(method, model, x, [2, 1])
    torch.testing.assert_close(some.signed, every.signed[:, [2, 1]], atol=1e-9, rtol=1e-6)

    default = run(method, model, x)
    if method in COSTLY:  # the top class of each clip
        best = expected.argmax(dim=1)
        assert default.classes is not None and default.classes.tolist() == best[:, None].tolist()
        torch.testing.assert_close(
            default.signed[:, 0], every.signed[torch.arange(3), best], atol=1e-9, rtol=1e-6
        )
    else:
        assert METHODS[method].every_class and default.classes is None
        torch.testing.assert_close(default.signed, every.signed, atol=1e-9, rtol=1e-6)


def state_of(net: nn.Module) -> tuple:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        [m.training for m in net.modules()],
        [(p.requires_grad, p.grad is None) for p in net.parameters()],
        [sum(len(getattr(m, h)) for h in hooks) for m in net.modules()],
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.random.get_rng_state().tolist(),
        {k: v.tolist() for k, v in net.state_dict().items()},
    )


class Fails(nn.Module):
    """Raises at its n-th call from now."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0

    def forward(self, x: Tensor) -> Tensor:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("in the head")
        return x


@pytest.mark.parametrize(("method", "head"), PAIRS)
def test_the_network_is_left_as_it_was(method: str, head: str) -> None:
    model, x = with_head(head), clips_of(2)
    net = model.net.train()
    net.norm.eval()
    next(net.parameters()).requires_grad_(False)
    model.trace(x.shape[1:])
    before, given = state_of(net), x.clone()
    first = run(method, model, x)
    assert state_of(net) == before and torch.equal(x, given) and not x.requires_grad
    # Nothing is drawn from the global generator, and nothing else changes from run to run.
    assert torch.equal(run(method, model, x).signed, first.signed)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_as_it_was_also_when_something_raises(method: str) -> None:
    torch.manual_seed(0)
    fails = Fails()
    net = Net(nn.Sequential(*mean_linear(), fails)).double().train()
    model, x = model_of(net, layer="relu"), clips_of(1)
    model.trace(x.shape[1:])
    before = state_of(net)
    for call in (1, 2, 5):  # the clip itself; then, for some methods, changed copies of it
        fails.left = call
        try:
            run(method, model, x)
        except RuntimeError as error:
            assert "in the head" in str(error)
        else:
            assert call > 1
        fails.left = 0
        assert state_of(net) == before


@pytest.mark.slow
@pytest.mark.parametrize(("method", "head"), PAIRS)
def test_without_evidence_the_maps_are_zero_and_flagged(method: str, head: str) -> None:
    """A layer that never answers, and logits that do not depend on it: empty, never NaN."""
    model = with_head(head, double=False)
    nn.init.zeros_(model.net.norm.weight)
    nn.init.constant_(model.net.norm.bias, -1)
    last = model.net.head[-1] if isinstance(model.net.head, nn.Sequential) else model.net.head.fc
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    steps = {"steps": 40} if method == "temporal-mask" else {}
    e = explained(model, method, classes=range(K), **steps)
    assert np.isfinite(e.signed).all()
    assert e.empty.all() == (method not in UNSEEING), e.signed.max()
    assert np.isfinite(e.upsampled("class 1")).all()


def picture(frames: int = 4, seed: int = 0, size: tuple[int, int] = (20, 31)) -> Clip:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (frames, *size, 3), dtype=np.uint8)
    return Clip(pixels, np.arange(frames) / 4, np.zeros(frames, bool), "synthetic")


def explained(model: VideoModel, method: str, **options: Any) -> gv.Explanation:
    return gv.explain(model, picture(), method=method, **(FAST.get(method, {}) | options))


@pytest.mark.parametrize("method", METHODS)
def test_explain_takes_every_method(method: str) -> None:
    model = with_head("mean, linear", double=False)
    e = explained(model, method)
    top = int(e.logits.argmax())
    assert e.classes.tolist() == ([top] if method in COSTLY else [0, 1, 2, 3])
    assert e.signed.shape[1:] == e.grid.shape and e.maps.dtype == np.float32
    drawn = e.upsampled()
    assert drawn.shape == (4, 20, 31) and drawn.min() >= 0 and drawn.max() <= 1
    assert ("knows no class" in e.remark) == METHODS[method].same_for_all
    if METHODS[method].same_for_all:
        assert (e.signed == e.signed[:1]).all()
    two = gv.explain(
        model, [picture(), picture(seed=1)], method=method, batch=2, **FAST.get(method, {})
    )
    np.testing.assert_allclose(two[0].signed, e.signed, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_lower_precision_gives_float32_maps(method: str) -> None:
    model = with_head("mean, linear", double=False)
    e = explained(model, method, autocast=True)
    assert e.signed.dtype == np.float32 and np.isfinite(e.signed).all()


def test_options_that_were_given_are_said() -> None:
    e = explained(with_head("mean, linear", double=False), "rise", seed=7)
    assert "rise: masks=12, seed=7" in e.remark


# --- what does not apply, and what is wrongly given, says so in one line --------------------------


@pytest.mark.parametrize("head", ["recurrent", "soft maximum", "convolved"])
def test_cam_refuses_a_head_that_is_not_mean_and_linear(head: str) -> None:
    with pytest.raises(gv.BadInput, match=r"cam needs global average pooling.*use gradcam"):
        run("cam", with_head(head), clips_of(1))


@pytest.mark.parametrize("method", ["guided-gradient", "deconvolution"])
def test_rules_about_relus_refuse_networks_whose_relus_they_cannot_reach(method: str) -> None:
    class Functional(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.conv2(self.relu(self.conv1(x))).relu())

    with pytest.raises(gv.BadInput, match="1 of 2 ReLUs of Functional are functions"):
        run(method, model_of(Functional(mean_linear()).double()), clips_of(1))
    smooth = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.GELU(), mean_linear()).double()
    with pytest.raises(gv.BadInput, match=r"runs no nn\.ReLU module"):
        run(method, model_of(smooth), clips_of(1))


def test_integrated_gradients_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(gv.BadInput, match="needs captum: pip install"):
        run("integrated-gradients", with_head("mean, linear"), clips_of(1))


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("gradcam", {"masks": 5}, "gradcam has no option 'masks'; the options it takes: none"),
        ("rise", {"mask": 5}, "rise has no option 'mask'.*masks, seed, coarse"),
        ("rise", {"masks": 0}, "masks=0: give a whole number, 1 or more"),
        ("rise", {"share": 1}, "share=1"),
        ("rise", {"coarse": (2, 2)}, "moments, rows, columns"),
        (
            "occlusion",
            {"baseline": "noise"},
            "unknown baseline 'noise': use one of mean-colour, blur",
        ),
        ("occlusion", {"baseline": "frozen"}, "has another name now: first-frame"),
        ("rise", {"baseline": "mean"}, "has another name now: mean-colour"),
        ("rise", {"baseline": "hold-frame"}, "removed by degrees: use one of mean-colour, blur"),
        ("integrated-gradients", {"baseline": "hold-frame"}, "removed by degrees"),
        ("occlusion", {"window": (2, 2)}, "frames, rows, columns"),
        ("occlusion", {"step": (1, 0, 1)}, "step=0"),
        ("integrated-gradients", {"steps": 2.5}, "steps=2.5"),
        ("guided-gradient", {"cells": 0}, "cells=0"),
        ("temporal-mask", {"change": "shuffle"}, "use freeze or reverse"),
        ("temporal-mask", {"sparse": -1}, "sparse=-1"),
        ("centre", {"sigma": 0}, "sigma=0"),
        ("random", {"seed": -1}, "seed=-1"),
    ],
)
def test_options_are_checked(method: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(gv.BadInput, match=says) as caught:
        gv.explain(with_head("mean, linear", double=False), picture(), method=method, **options)
    assert "\n" not in str(caught.value)


def test_a_temporal_mask_needs_moments() -> None:
    with pytest.raises(gv.BadInput, match="more than one frame"):
        run("temporal-mask", with_head("mean, linear"), clips_of(1, frames=1))


@pytest.mark.parametrize("method", ["random", "rise"])
def test_a_seed_decides_what_is_drawn(method: str) -> None:
    model, x = with_head("convolved"), clips_of(2)
    first, again = (run(method, model, x, seed=1).signed for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, run(method, model, x, seed=2).signed)
    assert not torch.allclose(first[0], first[1])  # another clip, another map


def test_windows_explained_for_different_classes_are_not_joined() -> None:
    model = with_head("mean, linear", double=False)
    clip = picture()
    windows = [explained(model, "guided-gradient", classes=[k]) for k in (0, 1)]
    with pytest.raises(gv.BadInput, match="name the classes"):
        join(windows, clip)


# --- equal to the paper by hand, in float64 -------------------------------------------------------


def head_by_hand(model: VideoModel, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Activations and gradients of one clip and class, both (C, T', h, w), by a backward."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        kept.append(output.clone())
        return kept[-1].clone()

    handle = model.net.get_submodule(model.cam_layer).register_forward_hook(keep)
    y = model.net(x[None])
    handle.remove()
    (g,) = torch.autograd.grad(y[0, k], kept[-1])
    return kept[-1][0].detach(), g[0]


def gradcam_plus_plus(a: Tensor, g: Tensor) -> Tensor:
    total = a.sum(dim=(1, 2, 3), keepdim=True)
    share = torch.where(g != 0, g**2 / (2 * g**2 + total * g**3), 0)
    return torch.einsum("c,cthw->thw", (share * g.clamp(min=0)).sum(dim=(1, 2, 3)), a)


def xgradcam(a: Tensor, g: Tensor) -> Tensor:
    total = torch.zeros_like(a[0])
    for one, slope in zip(a, g, strict=True):
        if one.any():  # a channel that is silent has no share to give
            total += (one / one.sum() * slope).sum() * one
    return total


BY_HAND: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gradcam": lambda a, g: (g.mean(dim=(1, 2, 3), keepdim=True) * a).sum(dim=0),
    "gradcam-per-step": lambda a, g: (g.mean(dim=(2, 3), keepdim=True) * a).sum(dim=0),
    "gradcam++": gradcam_plus_plus,
    "hirescam": lambda a, g: (g * a).sum(dim=0),
    "xgradcam": xgradcam,
    "layercam": lambda a, g: (g.clamp(min=0) * a).sum(dim=0),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("method", BY_HAND)
def test_methods_of_the_heads_gradient_equal_the_paper_by_hand(
    method: str, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = with_head(head), clips_of(2)
    monkeypatch.setattr(core, "GRADIENT_BYTES", 2 * 6 * 4 * 5 * 7 * 8 * 3)  # three classes at once
    signed = run(method, model, x).signed
    for n in range(2):
        for k in range(K):
            a, g = head_by_hand(model, x[n], k)
            torch.testing.assert_close(signed[n, k], BY_HAND[method](a, g), atol=1e-12, rtol=1e-9)


def test_behind_mean_and_linear_four_methods_are_one() -> None:
    model, x = with_head("mean, linear"), clips_of(2)
    gradcam = run("gradcam", model, x).signed
    for method in ("gradcam-per-step", "hirescam", "xgradcam"):
        torch.testing.assert_close(run(method, model, x).signed, gradcam)
    cells = gradcam[0, 0].numel()
    torch.testing.assert_close(run("cam", model, x).signed, gradcam * cells)
    # Elsewhere they part.
    model = with_head("convolved")
    gradcam = run("gradcam", model, x).signed
    for method in ("gradcam-per-step", "hirescam", "xgradcam", "layercam", "gradcam++"):
        other = run(method, model, x).signed
        assert (other - gradcam).abs().max() > 0.05 * gradcam.abs().max()


def test_cam_is_the_linear_layers_weights_and_its_mean_the_logit() -> None:
    model, x = with_head("mean, linear"), clips_of(2)
    found, fc = run("cam", model, x), model.net.head[-1]
    a, _ = head_by_hand(model, x[0], 0)
    torch.testing.assert_close(found.signed[0, 3], torch.einsum("c,cthw->thw", fc.weight[3], a))
    torch.testing.assert_close(found.signed.mean(dim=(2, 3, 4)), found.logits - fc.bias)


@pytest.mark.parametrize("head", HEADS)
def test_ablationcam_equals_zeroing_one_channel_after_another(head: str) -> None:
    model, x = with_head(head), clips_of(2)
    signed = run("ablationcam", model, x).signed
    with torch.no_grad():
        for n in range(2):
            a, _ = _activations(model, x[n])
            y = model.net.head(a[None])[0]
            expected = torch.zeros(K, *a.shape[1:], dtype=a.dtype)
            for c in range(len(a)):
                without = a.clone()
                without[c] = 0
                lost = (y - model.net.head(without[None])[0]) / y.abs()
                expected += lost[:, None, None, None] * a[c]
            torch.testing.assert_close(signed[n], expected)


def _activations(model: VideoModel, x: Tensor) -> tuple[Tensor, Tensor]:
    """Activations (C, T', h, w) and logits (K) of one clip."""
    kept: list[Tensor] = []
    handle = model.net.get_submodule(model.cam_layer).register_forward_hook(
        lambda m, i, o: kept.append(o.clone())
    )
    with torch.no_grad():
        y = model.net(x[None])[0]
    handle.remove()
    return kept[-1][0], y


@pytest.mark.parametrize("head", HEADS)
def test_scorecam_equals_the_paper_by_hand(head: str) -> None:
    model, x = with_head(head), clips_of(1)
    signed = run("scorecam", model, x).signed[0]
    a, _ = _activations(model, x[0])
    scores = []
    for channel in a:
        # This network pools 2 × 2 pixels: its cells lie where a resize draws them.
        drawn = nn.functional.interpolate(channel[None, None], x.shape[2:], mode="trilinear")[0, 0]
        low, high = drawn.min(), drawn.max()
        mask = (drawn - low) / (high - low) if high > low else torch.zeros_like(drawn)
        with torch.no_grad():
            scores.append(model.net(x * mask)[0])
    alpha = torch.stack(scores).softmax(dim=0)  # (C, K)
    # The weights of interpolation are kept in single precision.
    torch.testing.assert_close(
        signed, torch.einsum("ck,cthw->kthw", alpha, a), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("centred", [False, True])
def test_eigencam_is_the_first_singular_vector_with_a_settled_sign(centred: bool) -> None:
    model, x = with_head("recurrent"), clips_of(2)
    signed = run("eigencam", model, x, centred=centred).signed
    for n in range(2):
        flat = _activations(model, x[n])[0].flatten(1).T.numpy()  # (Z, C)
        flat = flat - centred * flat.mean(axis=0)
        _, vectors = np.linalg.eigh(flat.T @ flat)
        expected = flat @ vectors[:, -1]
        expected *= np.sign(expected @ flat.mean(axis=1))
        np.testing.assert_allclose(signed[n, 1].numpy().ravel(), expected, atol=1e-9)
    if not centred:
        assert (signed >= 0).all()  # activations are not negative, so neither is their axis


def hidden_by_hand(x: Tensor, box: tuple[slice, ...], baseline: str) -> Tensor:
    """Clips (N, 3, T, H, W) in which a box shows something else."""
    before = box[0].start - 1
    shown = {
        "mean-colour": torch.zeros_like(x),
        "blur": baselines.blur(x, x > 0),  # held to torchvision in test_baselines.py
        "mean-frame": x.mean(dim=2, keepdim=True).expand_as(x),
        "median-frame": x.sort(dim=2).values[:, :, 1:2].expand_as(x),  # of four frames
        "first-frame": x[:, :, :1].expand_as(x),
        # The frame before the box; where it begins with the clip, the frame after it.
        "hold-frame": x[:, :, before if before >= 0 else box[0].stop][:, :, None].expand_as(x),
    }
    hidden = x.clone()
    hidden[(..., *box)] = shown[baseline][(..., *box)]
    return hidden


@pytest.mark.slow
@pytest.mark.parametrize("baseline", baselines.BASELINES)
@pytest.mark.parametrize("head", HEADS)
def test_occlusion_equals_hiding_by_hand(head: str, baseline: str) -> None:
    model, x = with_head(head), clips_of(2)
    options = {"window": (2, 4, 6), "step": (1, 3, 4), "baseline": baseline}
    found = run("occlusion", model, x, **options)
    assert [a.cells for a in found.axes] == [3, 3, 3]
    assert [a.centres().tolist() for a in found.axes] == [[0.5, 1.5, 2.5], [1.5, 4.5, 7.5],
                                                          [2.5, 6.5, 10.5]]  # fmt: skip
    with torch.no_grad():
        for t, r, c in np.ndindex(3, 3, 3):
            box = (slice(t, t + 2), slice(3 * r, 3 * r + 4), slice(4 * c, 4 * c + 6))
            lost = model.net(x) - model.net(hidden_by_hand(x, box, baseline))
            torch.testing.assert_close(found.signed[:, :, t, r, c], lost)


def test_occlusion_covers_a_clip_that_its_step_does_not_divide() -> None:
    axes, window = METHODS["occlusion"]()._axes(clips_of(1, frames=35, size=(113, 150)))
    assert window == (8, 28, 37)
    for axis, w in zip(axes, window, strict=True):
        assert axis.centres()[0] == (w - 1) / 2
        assert axis.centres()[-1] == pytest.approx(axis.size - 1 - (w - 1) / 2)


def test_rise_equals_the_paper_by_hand_and_knows_zero() -> None:
    model, x = with_head("recurrent"), clips_of(1)
    method = METHODS["rise"](masks=20, seed=3, cells=SIZE[1])  # its cells are the pixels
    found = method(model, x, at_once=7)
    pixels, cells = [], []
    for p, c in method._masks(x[0], found.axes, 1):
        pixels.append(p[0, 0])
        cells.append(c[0])
    assert len(pixels) == 20 and all(p.min() >= 0 and p.max() < 1 + 1e-6 for p in pixels)
    with torch.no_grad():
        scores = torch.stack([model.net(x * p)[0].softmax(dim=0) for p in pixels])  # (n, K)
    paper = sum(s[:, None, None, None] * c for s, c in zip(scores, cells, strict=True)) / 10
    offset = scores.mean(dim=0)[:, None, None, None] * torch.stack(cells).sum(dim=0) / 10
    torch.testing.assert_close(found.signed[0], paper - offset)
    torch.testing.assert_close(torch.stack(cells), torch.stack(pixels))
    # What the paper leaves in lies far above zero everywhere.
    assert paper.min() > 0 > found.signed.min()


@pytest.mark.slow
def test_rises_masks_let_through_their_share_everywhere() -> None:
    x = clips_of(1, frames=8, size=(20, 30))[0]
    method = METHODS["rise"](masks=1500, share=0.3, coarse=(2, 3, 3))
    seen = torch.cat([p for p, _ in method._masks(x, pixel_axes(x, 14), 100)])
    assert seen.mean(dim=0).sub(0.3).abs().max() < 0.05  # corners, edges and ends as the middle


def test_a_mask_freezes_and_reverses_as_in_the_paper() -> None:
    x, m = clips_of(1, frames=6), torch.tensor([0.0, 0.5, 1.0, 0.05, 0.2, 1.0]).double()
    still = [x[:, :, 0]]
    for t in range(1, 6):
        still.append((1 - m[t]) * x[:, :, t] + m[t] * still[-1])
    torch.testing.assert_close(frozen(x, m), torch.stack(still, dim=2))
    partner = [0, 2, 1, 3, 5, 4]  # the runs above 0.1 are 1–2 and 4–5; 3 stays its own
    expected = [(1 - m[t]) * x[:, :, t] + m[t] * x[:, :, p] for t, p in enumerate(partner)]
    torch.testing.assert_close(reversed_in(x, m), torch.stack(expected, dim=2))
    one = torch.ones(6).double()
    assert torch.equal(reversed_in(x, one), x.flip(2))
    assert torch.equal(frozen(x, one), x[:, :, :1].expand_as(x))


# --- equal to other libraries, and where they are not right on video ------------------------------


@pytest.fixture(scope="module")
def r3d() -> VideoModel:
    """An r3d_18 read in the middle: what follows is convolution, so every cell has its gradient."""
    torch.manual_seed(0)
    net = torchvision.models.video.r3d_18(num_classes=K).eval()
    return VideoModel(net, labels(), size=48, frames=8, cam_layer="layer3", quiet=True)


def clip48() -> Tensor:
    return torch.randn(1, 3, 8, 48, 48, generator=torch.Generator().manual_seed(1))


def pytorch_grad_cam_map(name: str, model: VideoModel, x: Tensor, k: int) -> Tensor:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class Raw(getattr(pytorch_grad_cam, name)):
        """Keeps the map before ReLU, resizing and scaling."""

        def get_cam_image(self, *args, **kwargs):
            self.raw = super().get_cam_image(*args, **kwargs)
            return self.raw

    with Raw(model.net, [model.net.get_submodule(model.cam_layer)]) as cam:
        cam(x, [ClassifierOutputTarget(k)] * len(x))
        model.net.zero_grad()
        return torch.from_numpy(cam.raw)


def torchcam_map(name: str, model: VideoModel, x: Tensor, k: int, **options: Any) -> Tensor:
    from torchcam import methods

    extractor = getattr(methods, name)(model.net, target_layer=model.cam_layer, **options)
    extractor._relu = False
    try:
        return extractor(k, model.net(x), normalized=False)[0].detach()
    finally:
        extractor.remove_hooks()


def furthest(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "name"),
    [("gradcam", "GradCAM"), ("hirescam", "HiResCAM"), ("layercam", "LayerCAM"),
     ("xgradcam", "XGradCAM")],
)  # fmt: skip
def test_maps_equal_those_of_pytorch_grad_cam(method: str, name: str, r3d: VideoModel) -> None:
    signed = run(method, r3d, clip48()).signed
    for k in (0, 3):
        theirs = pytorch_grad_cam_map(name, r3d, clip48(), k)
        assert furthest(signed[:, k], theirs) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "name"), [("gradcam", "GradCAM"), ("layercam", "LayerCAM"), ("xgradcam", "XGradCAM")]
)
def test_maps_equal_those_of_torchcam(method: str, name: str, r3d: VideoModel) -> None:
    signed = run(method, r3d, clip48()).signed
    for k in (0, 3):
        assert furthest(signed[:, k], torchcam_map(name, r3d, clip48(), k)) <= 1e-4


def test_cam_equals_torchcams() -> None:
    model, x = with_head("mean, linear"), clips_of(2)
    signed = run("cam", model, x).signed
    assert (
        furthest(signed[:, 2], torchcam_map("CAM", model, x, 2, input_shape=(3, 4, *SIZE))) < 1e-9
    )


def test_eigencam_centred_equals_pytorch_grad_cams_but_for_its_sign() -> None:
    torch.manual_seed(0)
    model, x = model_of(Apart(Recurrent()).eval(), layer="relu2"), clips_of(1).float()
    ours = run("eigencam", model, x, centred=True).signed[:, 0]
    theirs = pytorch_grad_cam_map("EigenCAM", model, x, 0)
    assert min(furthest(ours, theirs), furthest(ours, -theirs)) <= 1e-4


def test_scorecam_equals_torchcams_where_cells_are_pixels() -> None:
    """Its masks are scaled before they are resized, ours after: the same without a resize."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), SoftMaximum()).eval()
    model, x = model_of(net.double(), layer="1"), clips_of(1)
    signed = run("scorecam", model, x).signed
    theirs = torchcam_map("ScoreCAM", model, x, 1, input_shape=(3, 4, *SIZE))
    assert furthest(signed[:, 1], theirs) <= 1e-4


def captum_of(name: str, model: VideoModel) -> Any:
    import captum.attr

    return getattr(captum.attr, name)(model.net)


@pytest.mark.parametrize("head", HEADS)
def test_occlusion_equals_captums(head: str) -> None:
    model, x = with_head(head), clips_of(2)
    window = (2, 5, 7)
    found = run("occlusion", model, x, window=window, step=window)
    for k in (0, 2):
        theirs = captum_of("Occlusion", model).attribute(
            x, sliding_window_shapes=(3, *window), strides=(3, *window), target=k
        )
        # Captum gives every pixel the loss of its box.
        assert furthest(found.signed[:, k], theirs[:, 0, ::2, ::5, ::7]) <= 1e-4


class Apart(Net):
    """The same trunk whose ReLUs do not work in place and run once each, as captum wants it."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__(head)
        self.relu, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.relu2(self.norm(self.conv2(self.pool(self.relu(self.conv1(x)))))))


@pytest.mark.parametrize(
    ("method", "name"), [("guided-gradient", "GuidedBackprop"), ("deconvolution", "Deconvolution")]
)
def test_rules_of_relus_equal_captums(method: str, name: str) -> None:
    for head in HEADS:
        torch.manual_seed(0)
        model, x = model_of(Apart(HEADS[head]()).double().eval(), layer="relu2"), clips_of(2)
        found = run(method, model, x, range(K))
        for k in range(K):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gradient = captum_of(name, model).attribute(x.clone(), target=k)
            theirs = pooled(gradient.abs().amax(dim=1), found.axes, mean=True)
            assert furthest(found.signed[:, k], theirs) <= 1e-4


@pytest.mark.slow
def test_integrated_gradients_equal_a_sum_by_hand_and_are_complete() -> None:
    model, x = with_head("convolved"), clips_of(1)
    for baseline, base in (
        ("mean-colour", 0 * x),
        ("first-frame", x[:, :, :1].expand_as(x)),
        ("mean-frame", x.mean(dim=2, keepdim=True).expand_as(x)),
    ):
        found = run("integrated-gradients", model, x, range(K), steps=60, baseline=baseline)
        points, weights = np.polynomial.legendre.leggauss(60)  # on -1..1
        for k in range(K):
            total = torch.zeros_like(x)
            for point, weight in zip(points, weights, strict=True):
                at = (base + (point + 1) / 2 * (x - base)).requires_grad_()
                (g,) = torch.autograd.grad(model.net(at)[0, k], at)
                total += weight / 2 * g
            expected = pooled(((x - base) * total).sum(dim=1), found.axes, mean=False)
            torch.testing.assert_close(found.signed[:, k], expected, atol=1e-9, rtol=1e-6)
        with torch.no_grad():
            change = (model.net(x) - model.net(base))[0]  # (K)
        assert furthest(found.signed.sum(dim=(0, 2, 3, 4)), change) < 0.05


def bare(frames: int, side: int) -> VideoModel:
    """One convolution, mean and linear: the gradient is w / Z in every one of the Z cells."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), mean_linear()).eval()
    size = (side, side)
    return VideoModel(net, labels(), size=size, frames=frames, cam_layer="1", quiet=True)


@pytest.mark.parametrize(("frames", "side", "is_right"), [(1, 2, True), (16, 28, False)])
def test_gradcam_plus_plus_of_pytorch_grad_cam_drowns_in_an_epsilon_on_video(
    frames: int, side: int, is_right: bool
) -> None:
    """It adds 1e-6 to 2·g² + …: little on a picture's few cells, on a clip's far more than g²."""
    model = bare(frames, side)
    x = torch.randn(1, 3, frames, side, side, generator=torch.Generator().manual_seed(0))
    a, g = head_by_hand(model, x[0], 1)
    assert (g.abs().max() > 1e-2) == is_right
    exact = gradcam_plus_plus(a.double(), g.double())[None]
    theirs = pytorch_grad_cam_map("GradCAMPlusPlus", model, x, 1)
    assert furthest(run("gradcam++", model, x).signed[:, 1], exact) <= 1e-5
    if is_right:
        assert furthest(theirs, exact) <= 1e-3
    else:  # not only too small, which a picture would not show: of another shape
        assert theirs.max() < 0.01 * exact.max()
        assert furthest(theirs / theirs.max() * exact.max(), exact) > 0.1


def test_gradcam_plus_plus_of_torchcam_forgets_its_denominator() -> None:
    """It divides a copy (`alpha[mask].div_(…)`): alpha stays g², on pictures as on video."""
    model = bare(4, 8)
    x = torch.randn(1, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    a, g = head_by_hand(model, x[0], 1)
    theirs = torchcam_map("GradCAMpp", model, x, 1, input_shape=(3, 4, 8, 8))
    cubed = torch.einsum("c,cthw->thw", g.relu().pow(3).sum(dim=(1, 2, 3)), a)[None]
    assert furthest(theirs, cubed) <= 1e-4
    exact = gradcam_plus_plus(a.double(), g.double())[None]
    assert furthest(theirs / theirs.max() * exact.max(), exact) > 0.1


def test_score_cam_and_ablation_cam_of_pytorch_grad_cam_stop_at_a_clip() -> None:
    """They take pictures only; the second leaves its own layer in the network when it raises."""
    model, x = with_head("convolved", double=False), clips_of(1).float()
    with pytest.raises(ValueError, match="same number of spatial dimensions"):
        pytorch_grad_cam_map("ScoreCAM", model, x, 0)
    with pytest.raises(RuntimeError, match="repeat dims"):
        pytorch_grad_cam_map("AblationCAM", model, x, 0)
    assert "AblationLayer" in [type(module).__name__ for module in model.net.modules()]
    model = with_head("convolved", double=False)
    for method in ("scorecam", "ablationcam"):
        assert run(method, model, x).signed.isfinite().all()


# --- drawn where it lies --------------------------------------------------------------------------


class OnePlace(nn.Module):
    """Answers class 1 to brightness at one place of one moment, and to nothing else."""

    def __init__(self, at: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 1, 1, bias=False)
        nn.init.ones_(self.conv.weight)
        self.relu = nn.ReLU(inplace=True)
        place = torch.zeros(shape)
        t, r, c = at
        place[t, r - 1 : r + 2, c - 1 : c + 2] = 1
        self.register_buffer("place", place)

    def forward(self, x: Tensor) -> Tensor:
        a = self.relu(self.conv(x))  # (N, 1, T, H, W)
        seen = (a * self.place).sum(dim=(2, 3, 4)) / 9
        return torch.cat([-seen, seen], dim=1)


@pytest.mark.slow
@pytest.mark.parametrize("at", [(2, 5, 30), (6, 20, 9)])
@pytest.mark.parametrize("method", [m for m in METHODS if m not in (*UNSEEING, "cam", "eigencam",
                                    "scorecam")])  # fmt: skip
def test_the_one_place_that_counts_is_found(method: str, at: tuple[int, int, int]) -> None:
    """Orientation and place, in time as in space, on an input that is not square."""
    net = OnePlace(at, (8, 24, 40))
    model = VideoModel(net, "ab", size=(24, 40), mean=(0, 0, 0), std=(0.5,) * 3, frames=8,
                       cam_layer="relu", quiet=True)  # fmt: skip
    t, r, c = at
    frames = np.full((8, 48, 80, 3), 90, np.uint8)
    frames[t, 2 * r - 8 : 2 * r + 10, 2 * c - 8 : 2 * c + 10] = 250
    clip = Clip(frames, np.arange(8) / 4, np.zeros(8, bool), "synthetic")
    options = {
        "rise": {"masks": 600, "coarse": (4, 5, 5)},
        "temporal-mask": {"steps": 30},
        "occlusion": {"window": (1, 6, 6), "step": (1, 3, 3)},
    }.get(method, {})
    e = gv.explain(model, clip, method=method, classes=["b"], **options)
    assert e.evidence("b").argmax() == t
    if method in ("gradcam", "gradcam-per-step", "gradcam++", "ablationcam", "xgradcam"):
        return  # weights of whole channels: the map is the brightness, not what is looked at
    if method != "temporal-mask":
        drawn = e.upsampled("b")[t]
        found = np.array(np.unravel_index(drawn.argmax(), drawn.shape))
        assert np.abs(found - (2 * r + 0.5, 2 * c + 0.5)).max() <= 6


@pytest.mark.slow
def test_freezing_marks_the_moment_of_the_change_for_the_class_that_needs_it() -> None:
    e_of = {}
    net = OnePlace((4, 12, 20), (8, 24, 40))
    model = VideoModel(net, "ab", size=(24, 40), mean=(0,) * 3, std=(0.3,) * 3, frames=8,
                       cam_layer="relu", quiet=True)  # fmt: skip
    frames = np.zeros((8, 24, 40, 3), np.uint8)
    frames[4] = 255
    clip = Clip(frames, np.arange(8) / 4, np.zeros(8, bool), "synthetic")
    for label in "ab":
        e_of[label] = gv.explain(
            model, clip, method="temporal-mask", classes=[label], steps=120, sparse=0.05
        )
    assert e_of["b"].maps[0, :, 0, 0].argmax() == 4
    assert "frozen" in e_of["b"].remark
    assert e_of["a"].empty.all()  # nothing that is taken away costs it anything


# --- the command line -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_line_explains_the_classes_that_it_draws(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_video.cli import main

    folder = tmp_path / "clip"
    folder.mkdir()
    from PIL import Image

    for t, frame in enumerate(picture(8, size=(40, 60)).frames):
        Image.fromarray(frame).save(folder / f"{t:03}.png")
    out = tmp_path / "out"
    arguments = ["explain", str(folder), "--out", str(out), "--device", "cpu"]
    assert main([*arguments, "--method", "guided-gradient", "--classes", "top2"]) == 0
    with np.load(out / "clip" / "explanation.npz") as file:
        best = np.argsort(-file["logits"])[:2]
        assert sorted(file["classes"].tolist()) == sorted(best.tolist())
        assert file["signed"].shape[:1] == (2,)
    assert main([*arguments, "--method", "guided-gradient", "--windows", "all"]) == 2
    assert "name the classes" in capsys.readouterr().err
