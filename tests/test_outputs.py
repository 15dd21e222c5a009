"""What a network's numbers mean, and how they are shown, saved and read again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from explanations import synthetic
from PIL import Image
from torch import nn

import gradcam_video as gv
from gradcam_video.attribution.methods import METHODS
from gradcam_video.cases import choose
from gradcam_video.cli import main
from gradcam_video.files import json_text
from gradcam_video.metrics.faithfulness import curves, ranks_of
from gradcam_video.show import draw_filmstrip, player_html, sheet, side_by_side
from gradcam_video.show.captions import answer, best_words, class_answer
from gradcam_video.show.export import FILES, VIDEO_FILES, chosen_files

SIDE, FRAMES = 16, 4


def clip(seed: int = 0) -> gv.Clip:
    rng = np.random.default_rng(seed)
    return gv.Clip.of(rng.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8))


def model_of(classes: int, output: str | None = None, bias: float = 0.0) -> gv.VideoModel:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv3d(3, 6, 3, (1, 2, 2), 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(6, classes),
    ).eval()
    nn.init.normal_(net[4].weight, std=3)  # ty: ignore[invalid-argument-type]
    nn.init.constant_(net[4].bias, bias)  # ty: ignore[invalid-argument-type]
    labels = [f"c{k}" for k in range(classes)]
    return gv.VideoModel(net, labels, SIDE, frames=FRAMES, quiet=True, output=output)


def shown(values: torch.Tensor, kind: str) -> np.ndarray:
    """By hand, in plain torch."""
    by_kind = {"softmax": values.softmax(-1), "sigmoid": values.sigmoid()}
    return by_kind.get(kind, values).numpy()


# --- what the numbers are -------------------------------------------------------------------------

KINDS = [(1, None, "sigmoid"), (1, "value", "value"), (4, None, "softmax")]
KINDS += [(4, "sigmoid", "sigmoid"), (4, "value", "value")]


@pytest.mark.parametrize("classes, given, kind", KINDS)
def test_probabilities_follow_the_kind_of_output(
    classes: int, given: str | None, kind: str
) -> None:
    """One logit: pytorch-grad-cam #325, #428; several labels: MONAI #5530."""
    model = model_of(classes, given, bias=-1.0)
    e = gv.explain(model, clip())
    with torch.no_grad():
        values = model.net(model.preprocess(clip())[0])[0]
    assert e.output == kind
    np.testing.assert_allclose(e.logits, values, atol=1e-5)
    np.testing.assert_allclose(e.probabilities, shown(values, kind), atol=1e-6)
    assert e.top(1)[0][1] == pytest.approx(float(shown(values, kind).max()), abs=1e-6)
    assert ("%" in class_answer(e, e.row())) == (kind != "value")


def test_a_large_logit_does_not_overflow() -> None:
    e = replace(synthetic(), logits=np.array([900, -900, 0, 1, 2, 3], "f4"), output="sigmoid")
    with np.errstate(all="raise"):
        assert e.probabilities.tolist()[:3] == [1, 0, 0.5]


@pytest.mark.parametrize("classes, given, kind", KINDS)
def test_rise_asks_for_what_is_shown(classes: int, given: str | None, kind: str) -> None:
    """captum #887, tf-explain #73: softmax of one logit is 1 whatever is hidden."""
    model = model_of(classes, given)
    e = gv.explain(model, clip(), method="rise", masks=40)
    x, _ = model.preprocess(clip())
    rise = METHODS["rise"](masks=40)
    axes = (e.grid.time, e.grid.rows, e.grid.columns)
    scores, masks = [], []
    with torch.no_grad():
        for pixels, cells in rise._masks(x[0], axes, 8):  # ty: ignore[unresolved-attribute]
            scores.append(torch.from_numpy(shown(model.net(pixels * x), kind)))
            masks.append(cells)
    score, mask = torch.cat(scores), torch.cat(masks)
    score = score - score.mean(0)
    right = torch.einsum("nk,nthw->kthw", score, mask) / (40 * 0.5)
    np.testing.assert_allclose(e.signed, right, atol=1e-5)
    assert np.abs(e.signed).max() > 1e-4


@pytest.mark.parametrize("given", [None, "value"])
def test_the_temporal_mask_asks_for_what_is_shown(given: str | None) -> None:
    model = model_of(1, given)
    e = gv.explain(model, clip(), method="temporal-mask", steps=5)
    with torch.no_grad():
        value = model.net(model.preprocess(clip())[0])[0]
    assert f"c0: {float(shown(value, 'sigmoid' if given is None else given)[0]):.3f}," in e.remark


def test_deletion_asks_for_what_is_shown() -> None:
    model = model_of(1)
    x, _ = model.preprocess(clip())
    order = ranks_of(np.arange(FRAMES * 4.0).reshape(FRAMES, 2, 2), "space-time")
    logits, probabilities = curves(model, x, [order], [0], shares=[0, 0.5])
    with torch.no_grad():
        whole = model.net(x)[0]
    assert logits[0, 0] == pytest.approx(float(whole), abs=1e-5)
    assert probabilities[0, 0] == pytest.approx(float(whole.sigmoid()), abs=1e-6)
    assert 0 < probabilities[0, 1] < 1 and probabilities[0, 1] != probabilities[0, 0]


# --- what the outputs say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, words", [("softmax", "66 %"), ("sigmoid", "sigmoid 88 %"), ("value", "value 2")]
)
def test_every_output_says_which_it_is(kind: str, words: str, tmp_path: Path) -> None:
    e = replace(synthetic(), output=kind)
    first = 0.66 if kind == "softmax" else e.probabilities[0]
    assert answer(e, first) == words
    figure = sheet(e)
    texts = [w.text for w in figure.drawing.words]
    percents = [t for t in texts if "%" in t]
    assert any("Evidence for “opening”" in t for t in texts)
    assert bool(percents) == (kind != "value")
    assert all((kind in t) == (kind == "sigmoid") for t in percents)
    strip = [t.get_text() for t in draw_filmstrip(e).texts]
    assert any(t.startswith("top-2" + ("" if kind == "softmax" else f" ({kind})")) for t in strip)
    meta = re.search(r'id="meta">(.*?)</script>', player_html(e), re.DOTALL)
    assert meta is not None
    answers = [c["answer"] for c in json.loads(meta[1])["classes"]]
    assert all(("%" in a) == (kind != "value") for a in answers)
    assert answers[0] == class_answer(e, 0)
    e.save(tmp_path, only=["npz", "json"])
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["output"] == kind
    assert summary["top"][0] == ["opening", pytest.approx(float(e.probabilities[0]), abs=1e-6)]
    assert str(np.load(tmp_path / "explanation.npz")["output"]) == kind


def test_one_number_needs_no_list_of_the_best() -> None:
    one = replace(
        synthetic(),
        labels=("speed",),
        logits=np.array([3.25], "f4"),
        classes=np.array([0]),
        signed=synthetic().signed[:1],
        output="value",
    )
    assert best_words(one) == "" and class_answer(one, 0) == "value 3.25"
    assert not any("top" in w.text or "%" in w.text for w in sheet(one).drawing.words)
    assert next(iter(side_by_side(one))).ndim == 3


def test_the_command_line_says_which_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_video.cli import explain as command

    (tmp_path / "clip").mkdir()
    for t, frame in enumerate(clip().frames, 1):
        Image.fromarray(frame).save(tmp_path / "clip" / f"{t:05}.jpg")
    told = {}
    for kind, model in (("value", model_of(1, "value")), ("sigmoid", model_of(1))):
        monkeypatch.setattr(command, "model_from", lambda options, model=model: model)
        out = tmp_path / kind
        words = ["explain", str(tmp_path / "clip"), "--out", str(out), "--only", "json", "npz"]
        assert main(words) == 0
        assert {p.name for p in (out / "clip").iterdir()} == {"summary.json", "explanation.npz"}
        told[kind] = capsys.readouterr().out
        assert json.loads((out / "clip" / "summary.json").read_text("utf-8"))["output"] == kind
    assert "(value) ->" in told["value"] and "(sigmoid) ->" in told["sigmoid"]
    assert main(["explain", "x", "--out", str(tmp_path), "--only", "avi"]) == 2
    assert "'avi' is not written" in capsys.readouterr().err


def test_a_value_is_no_case() -> None:
    e = replace(synthetic(), output="value", true_label="opening")
    with pytest.raises(gv.BadInput, match="by probability"):
        choose([e])
    assert len(choose([replace(e, output="sigmoid")])) == 1


# --- not a number ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["0.weight", "4.bias"])
def test_weights_that_are_no_numbers_are_refused_by_name(value: float, where: str) -> None:
    model = model_of(3)
    assert gv.explain(model, clip()).top(1)  # seen before they were spoilt
    with torch.no_grad():
        model.net.get_parameter(where).view(-1)[0] = value
    with pytest.raises(gv.BadInput, match=f"1 of .* in its parameter '{where}' are not finite"):
        gv.explain(model, clip())


def test_logits_that_are_no_numbers_are_refused_by_clip() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 3, 2, 1), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(x).log().mean((2, 3, 4)))  # of negative numbers, too

    model = gv.VideoModel(Net().eval(), list("ab"), SIDE, frames=FRAMES, quiet=True)
    with pytest.raises(gv.BadInput, match="array: Net gives logits that are not finite"):
        gv.explain(model, clip())


def test_the_command_line_refuses_what_is_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_video.cli import explain as command

    class Root(nn.Module):
        """Gives nan for dark clips alone."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv3d(3, 4, 3, 2, 1), nn.Linear(4, 2)
            nn.init.constant_(self.conv.weight, 0.1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.conv(x).mean((2, 3, 4)).sqrt())

    for name, grey in (("dark", 20), ("light", 240)):
        (tmp_path / name).mkdir()
        for t in range(1, FRAMES + 1):
            Image.new("RGB", (SIDE, SIDE), (grey,) * 3).save(tmp_path / name / f"{t:05}.jpg")
    model = gv.VideoModel(Root().eval(), list("ab"), SIDE, frames=FRAMES, quiet=True)
    monkeypatch.setattr(command, "model_from", lambda options: model)
    paths = [str(tmp_path / name) for name in ("dark", "light")]
    out = tmp_path / "out"
    words = ["explain", *paths, "--out", str(out), "--only", "json", "--batch", "2"]
    assert main(words) == 2
    told = capsys.readouterr().err.splitlines()
    assert sum("dark: Root gives logits that are not finite" in line for line in told) == 1
    assert [p.name for p in out.iterdir()] == ["light"]
    with torch.no_grad():
        model.net.get_parameter("fc.weight")[0, 0] = np.nan
    assert main(["explain", paths[1], "--out", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "'fc.weight'" in line and not list((tmp_path / "none").iterdir())


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(gv.BadInput, match="not finite"):
        json_text({"top": [float("nan")]}, "x")
    with pytest.raises(gv.BadInput, match="not finite"):
        replace(synthetic(), seconds=float("nan")).save(tmp_path / "out", only="json")
    assert not (tmp_path / "out").exists()


# --- saved, and read again ------------------------------------------------------------------------


@pytest.mark.parametrize("only", [None, ["npz"], ["npz", "html"]])
def test_what_was_saved_is_read_again(only: list[str] | None, tmp_path: Path) -> None:
    e = replace(synthetic(true_label="closing", remark="a remark"), output="sigmoid")
    e = replace(e, clip=replace(e.clip, note="a note"), untrained=True)
    e.save(tmp_path, only=only)
    back = gv.Explanation.load(tmp_path)
    np.testing.assert_allclose(back.signed, e.signed, rtol=2**-11)  # float16
    assert np.array_equal(back.logits, e.logits)
    heat = back.upsampled("closing", "frame")
    np.testing.assert_allclose(heat, e.upsampled("closing", "frame"), atol=1e-3)
    for name in (
        "labels",
        "grid",
        "model",
        "method",
        "output",
        "untrained",
        "true_label",
        "remark",
    ):
        assert getattr(back, name) == getattr(e, name), name
    for name in ("source", "start", "fps"):
        assert getattr(back.clip, name) == getattr(e.clip, name), name
    assert np.array_equal(back.clip.times, e.clip.times)
    assert np.array_equal(back.clip.repeated, e.clip.repeated)
    if only == ["npz"]:
        assert not back.clip.frames.any() and "not saved" in back.clip.note
    else:
        error = np.abs(back.clip.frames.astype(int) - e.clip.frames)
        assert error.mean() < 12 and back.clip.note == "a note"  # a JPEG of noise
    assert back.save(tmp_path / "again", only="png")


@pytest.mark.parametrize("power", [-140, -60, 0, 20, 100])
def test_half_precision_is_read_as_float32_whatever_the_size(power: int, tmp_path: Path) -> None:
    """A float16 ends at 65504, and is 0 below 6e-8: maps of such sizes must come back, too."""
    e = synthetic()
    signed = e.signed.copy()
    signed[1] *= np.float32(2.0**power)  # the other classes stay as they are
    e = replace(e, signed=signed)
    e.save(tmp_path, only="npz")
    back = gv.Explanation.load(tmp_path / "explanation.npz")
    assert back.signed.dtype == np.float32 and np.isfinite(back.signed).all()
    most = np.abs(signed).reshape(6, -1).max(axis=1)[:, None, None, None]
    assert (np.abs(back.signed.astype(np.float64) - signed) <= most * 2.0**-11).all()


def test_explanations_of_float32_are_read(tmp_path: Path) -> None:
    """What earlier versions wrote: signed as float32, and no unit."""
    e = synthetic()
    e.save(tmp_path, only="npz")
    with np.load(tmp_path / "explanation.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "signed_unit"}
    np.savez(tmp_path / "explanation.npz", **{**kept, "signed": e.signed})
    back = gv.Explanation.load(tmp_path)
    assert np.array_equal(back.signed, e.signed)


def test_a_file_of_an_older_version_is_read_with_its_summary(tmp_path: Path) -> None:
    e = synthetic()
    e.save(tmp_path)
    old = ("signed", "classes", "logits", "labels", "times", "repeated", "scales", "method")
    old += ("axes", "input_size", "crop")
    with np.load(tmp_path / "explanation.npz") as arrays:
        kept = {name: arrays[name] for name in old}
    np.savez(tmp_path / "explanation.npz", **kept)
    back = gv.Explanation.load(tmp_path)
    np.testing.assert_allclose(back.upsampled(), e.upsampled(), atol=1e-3)
    assert back.model == "toy"
    (tmp_path / "summary.json").unlink()
    with pytest.raises(gv.BadInput, match="size is not in it"):
        gv.Explanation.load(tmp_path)


@pytest.mark.parametrize("what", ["nothing", "text", "windows", "misfit"])
def test_what_cannot_be_read_is_one_line(what: str, tmp_path: Path) -> None:
    e, path = synthetic(), tmp_path / "explanation.npz"
    if what == "text":
        path.write_text("no arrays")
    if what in ("windows", "misfit"):
        other = {"windows": {"signed": np.stack([e.signed] * 2)}, "misfit": {"crop": np.zeros(9)}}
        e.save(tmp_path, only="npz", arrays=other[what])
    with pytest.raises(gv.BadInput, match=r"explanation\.npz") as error:
        gv.Explanation.load(tmp_path)
    assert "\n" not in str(error.value)


# --- a part of the six ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_one_output_alone_is_the_one_of_all(name: str, tmp_path: Path) -> None:
    e = synthetic()
    e.save(tmp_path / "all")
    (path,) = e.save(tmp_path / "one", only=[name.split(".")[1]])
    assert path.name == name and [p.name for p in path.parent.iterdir()] == [name]
    if name != "explanation.npz":  # a zip holds the time of day
        assert path.read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_outputs_by_name() -> None:
    assert chosen_files("sheet.png") == {"sheet.png"} and chosen_files(None) == set(
        FILES + VIDEO_FILES
    )
    assert chosen_files([".mp4", "gif"]) == {"overlay.mp4", "overlay.gif"}
    for wrong in ("pdf", ["mp4", "pdf"], []):
        with pytest.raises(gv.BadInput, match="only: "):
            chosen_files(wrong)


# --- how much lies inside -------------------------------------------------------------------------


def test_the_share_inside_a_mask() -> None:
    e: Any = synthetic()
    drawn = e.upsampled("closing")
    mask = np.zeros(drawn.shape[1:], bool)
    mask[:30, :50] = True
    assert e.inside(mask, "closing") == pytest.approx(drawn[:, mask].sum() / drawn.sum())
    moving = np.zeros(drawn.shape, bool)
    moving[2] = True
    assert e.inside(moving, "closing") == pytest.approx(drawn[2].sum() / drawn.sum())
    assert e.inside(np.ones_like(mask)) == pytest.approx(1) and e.inside(mask, "empty") == 0
    for wrong in (mask[:-1], mask.astype(float), moving[:3]):
        with pytest.raises(gv.BadInput, match="inside: the mask"):
            e.inside(wrong)
