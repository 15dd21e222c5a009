"""What people type: what `explain` takes for a clip and a model, and what they see of it."""

from __future__ import annotations

import re
import subprocess
import sys
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
from gradcam_video.models.initialisation import looks_untrained

SIDE, FRAMES = 16, 4
RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (FRAMES, SIDE, SIDE), dtype=np.uint8)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv3d(3, 8, 3, (1, 2, 2), 1),
        nn.ReLU(),
        nn.Conv3d(8, 16, 3, 1, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    ).eval()


def model_of(**more: Any) -> gv.VideoModel:
    options = {"size": SIDE, "frames": FRAMES, "quiet": True, "untrained": False, **more}
    return gv.VideoModel(network(), list("abc"), **options)


# --- arrays, tensors, pictures --------------------------------------------------------------------

ARRAYS = {
    "bytes": PICTURES,
    "channels second": PICTURES.transpose(0, 3, 1, 2),
    "floats": (PICTURES / 255).astype(np.float32),
    "doubles": PICTURES / 255,
    "tensor": torch.from_numpy(PICTURES),
    "tensor, channels second": torch.from_numpy(PICTURES).permute(0, 3, 1, 2),
    "tensor of floats with a graph": (torch.from_numpy(PICTURES) / 255).requires_grad_(),
    "list of arrays": list(PICTURES),
    "list of tensors": list(torch.from_numpy(PICTURES).permute(0, 3, 1, 2)),
    "list of pictures": [Image.fromarray(p) for p in PICTURES],
    "tuple of pictures": tuple(Image.fromarray(p) for p in PICTURES),
}


@pytest.mark.parametrize("given", ARRAYS.values(), ids=ARRAYS)
def test_frames_in_memory_are_a_clip(given: Any) -> None:
    clip = gv.Clip.of(given, fps=8)
    assert np.array_equal(clip.frames, PICTURES) and clip.frames.flags.c_contiguous
    assert clip.times.tolist() == [0, 0.125, 0.25, 0.375] and clip.fps == 8
    model = model_of(fps=8)
    e, right = gv.explain(model, given), gv.explain(model, clip)
    assert isinstance(e, gv.Explanation) and np.array_equal(e.signed, right.signed)
    assert e.clip.fps == 8


GREYS = {
    "bytes": GREY,
    "one channel last": GREY[..., None],
    "one channel second": GREY[:, None],
    "tensor": torch.from_numpy(GREY) / 255,
    "list": list(GREY),
    "pictures": [Image.fromarray(p) for p in GREY],
}


@pytest.mark.parametrize("given", GREYS.values(), ids=GREYS)
def test_grey_frames_are_a_clip(given: Any) -> None:
    """pytorch-grad-cam #83, utkuozbulak #17: pictures of one channel."""
    assert np.array_equal(gv.Clip.of(given).frames, np.repeat(GREY[..., None], 3, axis=3))


@pytest.mark.parametrize(
    "given, words",
    [
        (PICTURES[0], "may be one picture"),
        (PICTURES[0].transpose(2, 0, 1), "may be one picture"),
        (PICTURES[:, :3], "second or in the last"),
        (PICTURES.transpose(3, 0, 1, 2), "channels first"),
        (np.concatenate([PICTURES, PICTURES[..., :1]], 3), "four channels"),
        (PICTURES[None], "is no clip"),
        (PICTURES[0, 0, 0], "is no clip"),
        (np.zeros((0, 8, 8, 3), np.uint8), "holds no picture"),
        (PICTURES.astype(np.float32), "floats go from 0 to 255"),
        (PICTURES / 127.5 - 1, "floats go from -1 to 1"),
        (np.full(PICTURES.shape, np.nan), "floats go from nan"),
        (PICTURES.astype(np.int64), "int64"),
        ([PICTURES[0], PICTURES[0, :8]], "differ in size"),
        ([], "a list of nothing"),
        ([1, 2], "a list of int"),
        ("clip.mp4", "str is no array"),
        (7, "int is no array"),
    ],
)
def test_an_array_that_may_mean_two_things_is_one_line(given: Any, words: str) -> None:
    with pytest.raises(gv.BadInput, match=words) as error:
        gv.Clip.of(given)
    assert "\n" not in str(error.value)
    assert "(T, H, W, 3)" in str(error.value) or "size" in words


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": None}, {"fps": 4, "start": np.nan}])
def test_a_rate_is_a_number(wrong: dict[str, Any]) -> None:
    with pytest.raises(gv.BadInput, match="fps"):
        gv.Clip.of(PICTURES, **wrong)


# --- paths, lists, and what is none of these ------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "frames"
    path.mkdir()
    for t, picture in enumerate(RNG.integers(0, 256, (24, SIDE, SIDE, 3), dtype=np.uint8), 1):
        Image.fromarray(picture).save(path / f"{t:05}.png")
    return path


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_read_with_the_models_frames_and_fps(folder: Path, kind: type) -> None:
    model = model_of(fps=2)
    e, right = gv.explain(model, kind(folder)), gv.explain(model, gv.read_clip(folder, FRAMES, 2))
    assert np.array_equal(e.signed, right.signed) and len(e.clip) == FRAMES
    assert e.clip.times.tolist() == right.clip.times.tolist()
    with pytest.raises(gv.BadInput, match=r"nowhere\.mp4"):
        gv.explain(model, "nowhere.mp4")


def test_a_list_stays_a_list(folder: Path) -> None:
    model, clip = model_of(), gv.Clip.of(PICTURES)
    several = gv.explain(model, [clip, folder, PICTURES, list(PICTURES)])
    assert len(several) == 4
    assert all(np.array_equal(several[k].signed, several[0].signed) for k in (2, 3))
    assert len(gv.explain(model, (c for c in [clip, clip]))) == 2
    assert gv.explain(model, []) == []
    assert len(gv.explain(model, [clip])) == 1


@pytest.mark.parametrize("given", [7, None, {"a": 1}, [7], [gv.Clip.of(PICTURES), PICTURES[0]]])
def test_what_is_no_clip_is_one_line(given: Any) -> None:
    with pytest.raises(gv.BadInput, match=r"\(T, H, W, 3\)") as error:
        gv.explain(model_of(), given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given, words",
    [
        (network(), "gv.explain(gv.VideoModel(net, labels=[…], size=…), clip)"),
        ("tabletop", 'gv.load_model("tabletop")'),
        (None, "not a NoneType"),
    ],
)
def test_what_is_no_model_is_one_line(given: Any, words: str) -> None:
    with pytest.raises(gv.BadInput, match=re.escape(words)) as error:
        gv.explain(given, gv.Clip.of(PICTURES))
    assert "\n" not in str(error.value)


# --- what they see --------------------------------------------------------------------------------


def test_short_words() -> None:
    clip = gv.Clip.of(PICTURES, fps=8, source="waving.mp4")
    assert repr(clip) == "Clip('waving.mp4': 4 frames of 16×16, 8 a second, 0.00–0.38 s)"
    model = model_of(name="mine")
    assert repr(model) == (
        "VideoModel(mine: 3 classes (softmax), 4 frames of 16×16, 4 a second, reading '3')"
    )
    e = gv.explain(model, clip)
    (first, p), (second, q) = e.top(2)
    assert repr(e) == (
        f"Explanation('waving.mp4', gradcam of mine: {first} {p:.2f}, {second} {q:.2f} (softmax); "
        "3 maps of 4×8×8)"
    )
    assert "UNTRAINED" in repr(replace(e, untrained=True))
    assert "1 of them repeats" in repr(synthetic().clip)
    assert "value" in repr(replace(e, output="value"))


@pytest.mark.parametrize("what", ["clip", "explanation", "one class", "single frame"])
def test_a_notebook_shows_a_small_picture_and_words(what: str) -> None:
    e = synthetic(frames=1, steps=1) if what == "single frame" else synthetic(frames=20)
    if what == "one class":
        e = replace(e, classes=e.classes[3:4], signed=e.signed[3:4], untrained=True)
    shown: Any = e.clip if what == "clip" else e
    html = shown._repr_html_()
    assert html.count("<img") == 1 and "data:image/jpeg;base64," in html and len(html) < 200_000
    assert "clips/a &lt;b&gt;.mp4" in html and "<b>" not in html
    assert ("UNTRAINED" in html) == (what == "one class")
    if what == "explanation":
        assert "evidence for “opening”" in html and "8" in html


@pytest.mark.slow
def test_nothing_heavy_is_imported_for_it() -> None:
    code = (
        "import sys, gradcam_video as gv; gv.Clip, gv.Explanation;"
        "print(sorted({'torch', 'matplotlib', 'torchvision', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- networks that were never trained -------------------------------------------------------------


class Normed(nn.Module):
    """As torchvision draws its networks: normal, by fan_out, and batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv3d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm3d(32)
        self.fc = nn.Linear(32, 5)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.fc.weight, 0, 0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x)).relu().mean((2, 3, 4)))


def trained(net: nn.Module, steps: int, rate: float = 1e-3) -> nn.Module:
    """A few steps of Adam towards random classes."""
    generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    net.train()
    for _ in range(steps):
        x = torch.randn(4, 3, FRAMES, SIDE, SIDE, generator=generator)
        y = torch.randint(0, 3, (4,), generator=generator)
        adam.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        adam.step()
    return net.eval()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["pytorch", "torchvision"])
def test_drawn_weights_are_seen(kind: str, seed: int) -> None:
    torch.manual_seed(seed)
    net = (
        Normed()
        if kind == "torchvision"
        else nn.Sequential(nn.Conv3d(3, 8, 3), nn.Conv3d(8, 16, 3), nn.Linear(16, 3))
    )
    assert looks_untrained(net)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("kind", ["pytorch", "torchvision"])
def test_a_trained_network_is_never_called_untrained(kind: str, steps: int) -> None:
    torch.manual_seed(1)
    net = Normed() if kind == "torchvision" else network()
    assert looks_untrained(net)
    assert not looks_untrained(trained(net, steps))


def test_what_is_not_judged() -> None:
    torch.manual_seed(0)
    assert not looks_untrained(nn.Sequential(nn.Conv3d(3, 4, 3), nn.Linear(4, 2)))  # too few
    assert not looks_untrained(
        nn.Sequential(nn.Linear(40, 40), nn.GRU(200, 200))
    )  # the smaller part
    normal = nn.Linear(100, 100)
    nn.init.kaiming_normal_(normal.weight)
    assert not looks_untrained(normal)  # nothing tells whether it is still so
    seen = Normed()
    seen.norm.running_mean.add_(1e-3)  # ty: ignore[unresolved-attribute]
    assert not looks_untrained(seen)
    frozen = nn.Sequential(nn.Conv3d(3, 32, 3), nn.LayerNorm(8))
    assert looks_untrained(frozen)
    nn.init.constant_(frozen[1].bias, 0.1)  # ty: ignore[invalid-argument-type]
    assert not looks_untrained(frozen)
    with torch.device("meta"):
        assert not looks_untrained(nn.Linear(100, 100))


def test_the_shipped_networks_are_trained() -> None:
    assert not looks_untrained(gv.load_model("tabletop", fast=False).net)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18", "r2plus1d_18"])
def test_torchvisions_own_start_is_seen(name: str) -> None:
    video = pytest.importorskip("torchvision.models.video")
    assert looks_untrained(getattr(video, name)())


def test_every_output_of_a_random_network_says_so() -> None:
    model = gv.VideoModel(network(), list("abc"), SIDE, frames=FRAMES, quiet=True)
    assert model.untrained and gv.explain(model, PICTURES).untrained
    assert "UNTRAINED" in repr(model)
    told = gv.VideoModel(network(), list("abc"), SIDE, frames=FRAMES, quiet=True, untrained=False)
    assert not told.untrained
    trained(model.net, 1)  # it is told from the weights as they are now
    assert not model.untrained and not gv.explain(model, PICTURES).untrained


def test_a_random_network_made_faster_is_still_random() -> None:
    net = Normed().eval()
    model = gv.VideoModel(net, list("abcde"), SIDE, frames=FRAMES, quiet=True, cam_layer="conv")
    assert model.faster().untrained and isinstance(net.norm, nn.Identity)
