"""What is explained other than a class: differences, regressions, similarities, time steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution.methods import METHODS

FRAMES, SIDE = 4, 16
ROOT = Path(__file__).resolve().parents[1]


def clip(seed: int = 0, frames: int = FRAMES) -> gv.Clip:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (frames, SIDE, SIDE, 3), dtype=np.uint8)
    return gv.Clip.of(pictures, fps=4, source=f"clip {seed}")


class Features(nn.Module):
    """Two convolutions, (N, 3, T, H, W) -> (N, 8, T, h, w)."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv3d(3, 6, 3, (1, 2, 2), 1)
        self.two = nn.Conv3d(6, 8, 3, (1, 2, 2), 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).relu()).relu()


class MeanLinear(nn.Module):
    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.features, self.fc = Features(), nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x).mean((2, 3, 4)))


class Recurrent(nn.Module):
    """A head that weighs moments differently; gives every time step, (N, T, K)."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.features, self.gru = Features(), nn.GRU(8, 8, batch_first=True)
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.gru(self.features(x).mean((3, 4)).transpose(1, 2))
        return self.fc(steps)


def model_of(net: nn.Module, labels: Any = None, **more: Any) -> gv.VideoModel:
    torch.manual_seed(0)
    for p in net.parameters():
        nn.init.normal_(p, std=0.3)
    options: dict[str, Any] = {"size": SIDE, "frames": FRAMES, "quiet": True}
    return gv.VideoModel(net.eval(), labels, **{**options, "cam_layer": "features", **more})


def by_hand(model: gv.VideoModel, one: gv.Clip, of: Any) -> tuple[float, np.ndarray]:
    """A number of what the network gives, and its Grad-CAM by autograd: (T', h, w)."""
    seen: list[Tensor] = []
    handle = model.net.get_submodule("features").register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    x, _ = model.preprocess(one)
    value = of(model.raw(x)).squeeze()
    handle.remove()
    (gradient,) = torch.autograd.grad(value, seen[0])
    signed = (gradient.mean((2, 3, 4), keepdim=True) * seen[0]).sum(1)[0]
    return value.item(), signed.detach().numpy()


# --- a class, and the difference of two -----------------------------------------------------------


@pytest.mark.parametrize("target", ["b", 1, np.int64(1)])
def test_a_class_is_a_target(target: Any) -> None:
    model = model_of(MeanLinear(), list("abcd"))
    e, same = gv.explain(model, clip(), target=target), gv.explain(model, clip(), classes=["b"])
    assert np.array_equal(e.signed, same.signed) and e.classes.tolist() == [1]
    assert e.output == "softmax" and e.labels == tuple("abcd")


@pytest.mark.parametrize("target", [("a", "c"), gv.difference("a", "c"), gv.difference(0, 2)])
def test_a_difference_is_that_of_the_maps_for_a_linear_head(target: Any) -> None:
    """pytorch-grad-cam #325 asks for the difference of two categories."""
    model = model_of(MeanLinear(), list("abcd"))
    e, each = gv.explain(model, clip(), target=target), gv.explain(model, clip())
    np.testing.assert_allclose(e.signed[0], each.signed[0] - each.signed[2], atol=1e-6)
    np.testing.assert_allclose(e.logits, [each.logits[0] - each.logits[2]], atol=1e-5)
    assert e.output == "value" and e.labels == ("a − c",)
    assert e.top(1) == [("a − c", pytest.approx(float(e.logits[0])))]


def test_a_difference_is_autograd_by_hand_for_another_head() -> None:
    model = model_of(Recurrent(), list("abcd"), outputs=lambda y: y[:, -1])
    e = gv.explain(model, clip(), target=("d", "b"))
    value, signed = by_hand(model, clip(), lambda y: y[:, -1, 3] - y[:, -1, 1])
    np.testing.assert_allclose(e.signed[0], signed, atol=1e-6)
    assert e.logits[0] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_a_difference_is_of_the_values_before_the_ending(end: nn.Module) -> None:
    """Networks that end in softmax: Score-CAM #4, pytorch-grad-cam #293."""

    class Ending(MeanLinear):
        def __init__(self) -> None:
            super().__init__()
            self.end = end

        def forward(self, x: Tensor) -> Tensor:
            return self.end(super().forward(x))

    e = gv.explain(model_of(Ending(), list("abcd")), clip(), target=("a", "c"))
    right = gv.explain(model_of(MeanLinear(), list("abcd")), clip(), target=("a", "c"))
    np.testing.assert_allclose(e.logits, right.logits, atol=1e-5)
    np.testing.assert_allclose(e.signed, right.signed, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_explains_a_difference(method: str) -> None:
    class Net(MeanLinear):  # modules all the way, for those that change the rule of ReLUs
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(  # ty: ignore[invalid-assignment]
                nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU(), nn.Conv3d(6, 8, 3, 1, 1), nn.ReLU()
            )

    few = {"rise": {"masks": 12}, "temporal-mask": {"steps": 3}}.get(method, {})
    model = model_of(Net(), list("abcd"))
    if method == "cam":  # that is the weights of one linear layer, and nothing else
        with pytest.raises(gv.BadInput, match="use gradcam"):
            gv.explain(model, clip(), method=method, target=(0, 1))
        return
    e = gv.explain(model, clip(), method=method, target=(0, 1), **few)
    assert e.output == "value" and len(e.signed) == 1 and np.isfinite(e.signed).all()
    assert e.labels == ("a − b",)


# --- numbers of one's own -------------------------------------------------------------------------


def first_step(y: Tensor) -> Tensor:
    return y[:, 0, 2]


@pytest.mark.parametrize(
    "target, label",
    [
        (first_step, "first_step"),
        (lambda y: y[:, 2, 1], "target"),  # one of the network's own time steps
        (lambda y: y[:, 1:3, 0].mean(1, keepdim=True), "target"),
        (lambda y: torch.logsumexp(y[:, -1], 1), "target"),
    ],
)
def test_any_number_of_the_output(target: Any, label: str) -> None:
    model = model_of(Recurrent(), outputs=lambda y: y[:, -1])
    e = gv.explain(model, clip(), target=target)
    value, signed = by_hand(model, clip(), target)
    np.testing.assert_allclose(e.signed[0], signed, atol=1e-6)
    assert e.logits.tolist() == [pytest.approx(value, abs=1e-5)]
    assert e.labels == (label,) and e.output == "value"


def test_a_regression_is_asked_for_its_value() -> None:
    """pytorch-grad-cam #428, captum #887: one number that is no logit."""
    model = model_of(MeanLinear(1), ["speed"], output="value")
    e = gv.explain(model, clip())
    value, signed = by_hand(model, clip(), lambda y: y[:, 0])
    np.testing.assert_allclose(e.signed[0], signed, atol=1e-6)
    assert e.top(1) == [("speed", pytest.approx(value, abs=1e-5))]


def test_the_similarity_to_another_clip() -> None:
    """pytorch-grad-cam's tutorial on embeddings: the cosine of two outputs."""
    model = model_of(MeanLinear(5))
    other = clip(1)
    e = gv.explain(model, clip(), target=gv.similarity(model, other))
    with torch.no_grad():
        vector = model.raw(model.preprocess(other)[0])
    value, signed = by_hand(model, clip(), lambda y: nn.functional.cosine_similarity(y, vector))
    np.testing.assert_allclose(e.signed[0], signed, atol=1e-6)
    assert e.logits[0] == pytest.approx(value, abs=1e-5)
    assert e.labels == ("similarity to clip 1",) and e.output == "value"
    same = gv.explain(model, other, target=gv.similarity(model, other))
    assert same.logits[0] == pytest.approx(1, abs=1e-5)
    with pytest.raises(gv.BadInput, match="one clip"):
        gv.similarity(model, [clip(), other])


def test_several_clips_and_copies_each_have_their_number() -> None:
    model = model_of(Recurrent(), outputs=lambda y: y[:, -1])
    clips = [clip(0), clip(1)]
    both = gv.explain(model, clips, target=first_step, batch=2)
    alone = [gv.explain(model, c, target=first_step) for c in clips]
    for e, one in zip(both, alone, strict=True):
        np.testing.assert_allclose(e.signed, one.signed, atol=1e-6)
    e = gv.explain(model, clip(), target=first_step, method="occlusion")
    assert len(e.signed) == 1 and np.abs(e.signed).max() > 0


@pytest.mark.parametrize(
    "target, words",
    [
        (lambda y: y, "for N = 1"),
        (lambda y: y[0, 0, 0], "for N = 1"),
        (lambda y: 3.0, "gives float"),
        (lambda y: y[:, -1].argmax(1), "torch.int64"),
        (lambda y: y[:, 99, 0], "fails"),
        (lambda y: y[:, -1, 0].detach(), "without a graph"),
        (("a", "a"), "two classes"),
        (("a", "nobody"), "nobody"),
        (9, "no class 9"),
        (gv.difference(0, 9), "no class 9"),
        (("a", "b", "c"), "a pair"),
        (["a", "b"], "classes=[…]"),
        (1.5, "a pair"),
    ],
)
def test_a_target_that_cannot_be_used_is_one_line(target: Any, words: str) -> None:
    model = model_of(Recurrent(), list("abcd"), outputs=lambda y: y[:, -1])
    with pytest.raises(gv.BadInput, match=re.escape(words)) as error:
        gv.explain(model, clip(), target=target)
    assert "\n" not in str(error.value)


def test_a_target_beside_classes_is_refused() -> None:
    with pytest.raises(gv.BadInput, match="both"):
        gv.explain(model_of(MeanLinear()), clip(), target=0, classes=[1])


def test_the_model_is_left_as_it_was() -> None:
    model = model_of(MeanLinear(), list("abcd"))
    before = gv.explain(model, clip()).signed
    gv.explain(model, clip(), target=("a", "b"), cam_layer="features.one")
    assert model.labels == tuple("abcd") and model.cam_layer == "features"
    assert np.array_equal(gv.explain(model, clip()).signed, before)


# --- layers ---------------------------------------------------------------------------------------


def test_layers_are_named_at_the_call() -> None:
    model = model_of(MeanLinear(), list("abcd"))
    one = gv.explain(model, clip(), cam_layer="features.one")
    own = gv.explain(model.at("features.one"), clip())
    assert np.array_equal(one.signed, own.signed) and "layer features.one" in one.remark
    several = gv.explain(model, clip(), cam_layer=["features", "features.one"], target=(0, 1))
    assert [e.remark for e in several] == ["layer features", "layer features.one"]
    assert np.array_equal(several[0].signed, gv.explain(model, clip(), target=(0, 1)).signed)
    lists = gv.explain(model, [clip(0), clip(1)], cam_layer=["features"])
    assert [len(es) for es in lists] == [2]
    with pytest.raises(gv.BadInput, match="nowhere"):
        gv.explain(model, clip(), cam_layer="nowhere")


# --- many classes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", [True, False])
def test_the_cost_of_many_classes_is_said_once(
    slow: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from gradcam_video.attribution import cost, gradcam

    monkeypatch.setattr(cost, "LONG", 0.0 if slow else 60.0)
    counted: list[Any] = []

    def progress(items: Any, what: str, **more: Any) -> Any:
        counted.extend(items)
        return items

    monkeypatch.setattr(cost, "progress", progress)
    model = model_of(MeanLinear(10), cam_layer="features.one")
    right = gv.explain(model, clip())
    caplog.clear()
    monkeypatch.setattr(gradcam, "GRADIENT_BYTES", 1)  # one class at a time
    counted.clear()
    e = gv.explain(model, clip())
    np.testing.assert_allclose(e.signed, right.signed, atol=1e-6)
    lines = [r.getMessage() for r in caplog.records if "backward passes" in r.getMessage()]
    assert len(lines) == slow and len(counted) == (9 if slow else 0)
    if slow:
        top = np.argsort(-e.logits)[:3].tolist()
        assert "9 more classes" in lines[0] and f"classes={top}" in lines[0]


# --- the page -------------------------------------------------------------------------------------


class TwoInputs(MeanLinear):
    """Frames and their change, side by side in one map."""

    def __init__(self) -> None:
        super().__init__(2)
        self.change, self.join = nn.Conv3d(3, 8, 3, (1, 4, 4), 1), nn.Conv3d(16, 8, 1)

    def forward(self, x: Tensor, change: Tensor) -> Tensor:
        both = torch.cat([self.features(x), self.change(change)], 1)
        return self.fc(self.join(both).relu().mean((2, 3, 4)))


class Staged(nn.Module):
    """A network whose layers are called as ResNet's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer3, self.layer4 = nn.Conv3d(3, 6, 3, 2, 1), nn.Conv3d(6, 8, 3, 1, 1)
        self.fc = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layer4(self.layer3(x).relu()).relu().mean((2, 3, 4)))


def section(heading: str) -> str:
    page = (ROOT / "docs" / "targets.md").read_text("utf-8")
    (code,) = re.findall(
        r"```python\n(.*?)```", page.split(f"\n## {heading}\n")[1].split("\n## ")[0], re.DOTALL
    )
    return code


@pytest.mark.slow
@pytest.mark.parametrize(
    "heading, net, label",
    [
        ("A class, or the difference of two", Staged(), "opening − closing"),
        ("A regression", MeanLinear(1), "speed"),
        ("How alike two clips are", MeanLinear(5), "similarity to other_clip.mp4"),
        ("A network of two inputs", TwoInputs(), ""),
        ("Any other number", Recurrent(), "target"),
        ("Another layer, or several", Staged(), ""),
    ],
)
def test_the_lines_of_the_page_run(
    heading: str, net: nn.Module, label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("my_clip.mp4", 0), ("other_clip.mp4", 1)):
        pictures = np.random.default_rng(seed).integers(0, 256, (64, 48, 64, 3), dtype=np.uint8)
        gv.show.write_mp4(pictures, name, fps=16)
    code = section(heading)
    lines = [line for line in code.splitlines() if line and not line.startswith("import")]
    assert len(lines) <= 6
    names: dict[str, Any] = {"gv": gv, "net": net.eval(), "mask": np.ones((48, 64), bool)}
    if isinstance(net, Staged):
        names["model"] = gv.VideoModel(net, ["opening", "closing"], size=32, quiet=True)
    exec(code, names)
    if heading.startswith("Another layer"):
        cells = [names[name].grid.shape for name in ("coarse", "fine")]
        assert cells == [(8, 16, 16)] * 2
        return
    e = names["e"]
    assert np.abs(e.signed).max() > 0 and np.isfinite(e.signed).all()
    assert e.output == ("softmax" if heading == "A network of two inputs" else "value")
    assert e.labels == ((label,) if label else ("walks", "runs"))
    if heading == "A regression":
        summary = (tmp_path / "explained" / "summary.json").read_text("utf-8")
        assert '"output": "value"' in summary


def test_two_inputs_are_autograd_by_hand() -> None:
    """MONAI tutorials #1483, SlowFast #307: a network of several inputs."""
    model = model_of(
        TwoInputs(), cam_layer="join", inputs=lambda x: (x, x.diff(dim=2, append=x[:, :, -1:]))
    )
    e = gv.explain(model, clip())
    seen: list[Tensor] = []
    x, _ = model.preprocess(clip())
    handle = model.net.get_submodule("join").register_forward_hook(lambda *a: seen.append(a[2]))
    values = model.net(x, torch.cat([x[:, :, 1:] - x[:, :, :-1], 0 * x[:, :, -1:]], 2))[0]
    handle.remove()
    for k, value in enumerate(values):
        (gradient,) = torch.autograd.grad(value, seen[0], retain_graph=True)
        signed = (gradient.mean((2, 3, 4), keepdim=True) * seen[0]).sum(1)[0]
        np.testing.assert_allclose(e.signed[k], signed.detach(), atol=1e-5)
