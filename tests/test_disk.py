"""tabletop/export.py: what is written is read back, and interrupting harms nothing.

The scenes here are made by a stand-in for `tabletop.render`: a square that moves, and its masks.
"""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gradcam_video.cli.parser import run
from gradcam_video.data.clip import Clip, read_clip
from gradcam_video.data.datasets import SomethingSomething
from gradcam_video.data.ground_truth import MARKER, ROLES, TRUTH, Truth, read_truth
from gradcam_video.data.integrity import scan
from gradcam_video.data.labels import FORTY, FORTY_NAMES
from gradcam_video.errors import BadInput
from gradcam_video.tabletop import export as disk
from gradcam_video.tabletop.export import sentence, webm, write_split

SMALL = (48, 66)  # 66 pixels: rows of the packed masks end inside a byte


@dataclass(frozen=True)
class FakeScene:
    """The shape of `tabletop.Scene`."""

    clip: Clip
    label: str
    template: str
    placeholders: list[str]
    truth: Truth


def fake_render(
    label: str, seed: int, *, size: tuple[int, int] = SMALL, fps: float = 12.0
) -> FakeScene:
    """A bright square moves right for 24 to 66 frames; the same arguments, the same bytes."""
    rng = np.random.default_rng(seed)
    height, width = size
    count = int(rng.integers(24, 67))
    frames = np.full((count, *size, 3), rng.integers(20, 90, 3), np.uint8)
    masks = {role: np.zeros((count, *size), bool) for role in ROLES}
    side, top = height // 4, int(rng.integers(0, height // 2))
    for t in range(count):
        left = t * (width - side) // count
        frames[t, top : top + side, left : left + side] = 220
        masks["object"][t, top : top + side, left : left + side] = True
        masks["hand"][t, top + side :, left : left + 2] = True
        masks["second"][t, :2, :3] = True
    masks["target"] = masks["object"].copy()
    first = int(rng.integers(0, count // 2))
    truth = Truth(masks, (first, first + 9), whole=label.startswith("Turning the camera"))
    clip = Clip(frames, np.arange(count) / fps, np.zeros(count, bool), "fake", fps=fps)
    template = FORTY[FORTY_NAMES.index(label)].members[-1]
    return FakeScene(clip, label, template, ["a cup"] * template.count("["), truth)


def broken_render(label: str, seed: int, **_: object) -> FakeScene:
    raise AssertionError("this clip was to be kept, not made again")


def small(
    out: Path, split: str = "test", count: int = 3, seed: int = 0, layout: str = "v2", **more: Any
) -> Path:
    more = {"size": SMALL, "workers": 1, "render": fake_render, **more}
    return write_split(out, split, count, seed, layout, **more)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- the files --------------------------------------------------------------------------------


@pytest.mark.slow
def test_v2_is_written_as_published(tmp_path: Path) -> None:
    annotation = small(tmp_path, "train", 42)
    assert annotation.name == "something-something-v2-train.json"
    entries = json.loads(annotation.read_text())
    assert [entry["id"] for entry in entries] == [str(i) for i in range(1, 43)]
    assert set(entries[0]) == {"id", "label", "template", "placeholders"}
    assert entries[0] == entries[40] | {"id": "1"}, "classes come in turn"
    assert entries[18]["template"] == FORTY[18].members[-1]
    assert entries[18]["label"].startswith("trying to pour a cup into a cup, but missing")
    labels = json.loads((tmp_path / "something-something-v2-labels.json").read_text())
    assert len(labels) == 174 and labels["Approaching something with your camera"] == "0"
    with av.open(str(tmp_path / "20bn-something-something-v2" / "1.webm")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("vp9", "libvpx-vp9")
        assert (stream.height, stream.width, stream.average_rate) == (*SMALL, 12)


@pytest.mark.slow
def test_v1_is_written_as_published(tmp_path: Path) -> None:
    annotation = small(tmp_path, "validation", 20, layout="v1")
    lines = annotation.read_text().splitlines()
    assert annotation.name == "something-something-v1-validation.csv"
    assert lines[18].startswith("1000019;Trying to pour something into something, but missing")
    assert not any("[" in line for line in lines)
    labels = (tmp_path / "something-something-v1-labels.csv").read_text().splitlines()
    assert len(labels) == 174 and labels[0] == "Approaching something with your camera"
    jpgs = sorted((tmp_path / "20bn-something-something-v1" / "1000001").iterdir())
    made = fake_render(FORTY_NAMES[0], scene_seed("validation", 0))
    assert [path.name for path in jpgs] == [f"{n:05d}.jpg" for n in range(1, len(made.clip) + 1)]


def scene_seed(split: str, i: int, seed: int = 0) -> int:
    return disk._Job(Path(), split, 1, seed, "v2", SMALL, SMALL).scene_seed(i)


def test_splits_never_share_a_scene() -> None:
    drawn = [scene_seed(s, i, seed) for s in disk.FIRST_IDS for i in range(999) for seed in (0, 1)]
    assert len(set(drawn)) == len(drawn)


def test_both_layouts_have_the_same_ids_labels_and_truth(tmp_path: Path) -> None:
    for layout in ("v1", "v2"):
        small(tmp_path / layout, count=5, seed=4, layout=layout)
    v1, v2 = (SomethingSomething(tmp_path / layout, "test") for layout in ("v1", "v2"))
    assert v1.ids == v2.ids and v1.targets == v2.targets and v1.templates == v2.templates
    for i in range(5):
        one, two = v1.truth(i), v2.truth(i)
        assert one is not None and two is not None and one.action == two.action
        assert all(np.array_equal(one.masks[role], two.masks[role]) for role in ROLES)


# --- round trip -------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "off"), [("v1", 3.0), ("v2", 4.0)])
def test_frames_come_back_nearly_and_truth_exactly(tmp_path: Path, layout: str, off: float) -> None:
    small(tmp_path, count=8, layout=layout)
    data = SomethingSomething(tmp_path, "test")
    lengths = set()
    for i in range(8):
        scene = fake_render(FORTY_NAMES[i], scene_seed("test", i))
        lengths.add(len(scene.clip))
        whole = read_clip(data.path(i), len(scene.clip), None)
        assert len(whole) == len(scene.clip) and not whole.repeated.any()
        assert np.abs(whole.frames.astype(int) - scene.clip.frames).mean() < off
        truth = read_truth(tmp_path / TRUTH / f"{data.ids[i]}.npz")
        assert truth.action == scene.truth.action and truth.whole == scene.truth.whole
        for role in ROLES:
            assert truth.masks[role].dtype == bool
            assert np.array_equal(truth.masks[role], scene.truth.masks[role])
    assert min(lengths) < 46 < max(lengths), "clips that repeat frames, and clips that do not"


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_truth_lies_where_the_sampled_frame_shows_it(tmp_path: Path, layout: str) -> None:
    """Whatever frames are taken: what is bright in them is the object's mask."""
    small(tmp_path, count=12, layout=layout)
    for frames, fps in ((16, 4.0), (8, 12.0), (5, None)):
        data = SomethingSomething(tmp_path, "test", frames=frames, fps=fps)
        for i in range(len(data)):
            clip = data.clip(i)
            truth = data.truth(i, clip)
            assert truth is not None and len(truth) == len(clip) == frames
            bright = clip.frames.min(axis=3) > 150  # (T, H, W)
            object_ = truth.masks["object"]
            assert (bright & object_).sum() > 0.9 * (bright | object_).sum()
            again = data.truth(i)
            assert again is not None and np.array_equal(again.masks["object"], object_)


@pytest.mark.parametrize("count", [9, 45, 46, 47, 50, 66])
def test_both_layouts_sample_the_same_frames(tmp_path: Path, count: int) -> None:
    """A webm rounds its times to a millisecond; that must not move a frame."""
    frames = np.zeros((count, 16, 16, 3), np.uint8)
    (tmp_path / "clip.webm").write_bytes(webm(frames))
    disk._write_jpgs(tmp_path / "clip", frames)
    one, two = read_clip(tmp_path / "clip.webm"), read_clip(tmp_path / "clip")
    assert np.rint(one.times * 12).tolist() == np.rint(two.times * 12).tolist()
    assert one.repeated.tolist() == two.repeated.tolist()


def test_the_action_is_told_in_sampled_frames(tmp_path: Path) -> None:
    small(tmp_path, count=6)
    data = SomethingSomething(tmp_path, "test")
    for i in range(6):
        scene = fake_render(FORTY_NAMES[i], scene_seed("test", i))
        clip, truth = data.clip(i), data.truth(i)
        assert truth is not None
        shown = np.rint(clip.times * 12).astype(int)
        inside = (shown >= scene.truth.action[0]) & (shown <= scene.truth.action[1])
        assert truth.action == (int(np.argmax(inside)), int(np.flatnonzero(inside)[-1]))


def test_the_same_pictures_give_the_same_bytes() -> None:
    frames = fake_render(FORTY_NAMES[0], 3).clip.frames
    assert webm(frames) == webm(frames)


def test_truth_of_another_clip_is_refused(tmp_path: Path) -> None:
    small(tmp_path, count=2)
    data = SomethingSomething(tmp_path, "test")
    wrong = read_clip(data.path(0), max_side=40)
    with pytest.raises(BadInput, match=r"2000001\.npz: truth of .*generate the set anew"):
        data.truth(0, wrong)
    (tmp_path / TRUTH / "2000002.npz").write_bytes(b"PK half a file")
    with pytest.raises(BadInput, match=r"2000002\.npz: damaged"):
        data.truth(1)
    (tmp_path / TRUTH / "2000002.npz").unlink()
    with pytest.raises(BadInput, match=r"2000002\.npz: the truth is missing"):
        data.truth(1)


# --- splits, and going on ---------------------------------------------------------------------


def test_three_splits_share_a_folder_and_nothing_is_halved(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("validation", 4), ("test", 3)):
        small(tmp_path, split, count, seed=count)  # each may have its own seed
    sets = {split: SomethingSomething(tmp_path, split) for split in disk.FIRST_IDS}
    assert {split: len(data) for split, data in sets.items()} == {
        "train": 5,
        "validation": 4,
        "test": 3,
    }
    assert len({id_ for data in sets.values() for id_ in data.ids}) == 12
    assert SomethingSomething(tmp_path, "official-validation").ids == sets["validation"].ids
    assert all(data.made and data.targets == list(range(len(data))) for data in sets.values())


def test_interrupted_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    small(tmp_path / "whole", count=6)
    calls = []

    def stops(label: str, seed: int, **more: Any) -> FakeScene:
        calls.append(seed)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return fake_render(label, seed, **more)

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        small(out, count=6, render=stops)
    assert not list(out.glob("something-something-*")), "the annotation comes last"
    with pytest.raises(BadInput, match="generate"):
        SomethingSomething(out, "test")

    remade = []

    def counts(label: str, seed: int, **more: Any) -> FakeScene:
        remade.append(seed)
        return fake_render(label, seed, **more)

    small(out, count=6, render=counts)
    assert len(remade) == 3, "three clips were whole"
    assert files(out) == files(tmp_path / "whole")
    small(out, count=6, render=broken_render)  # nothing left to do


@pytest.mark.parametrize("layout", ["v1", "v2"])
def test_killed_while_writing_leaves_no_half_clip(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` after a clip's content is written and before it has its name."""
    with monkeypatch.context() as patch:

        def dies(self: Path, target: Path) -> None:
            if target.name.startswith("2000002"):
                raise SystemExit("killed")
            self.rename(target)

        patch.setattr(Path, "replace", dies)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # nobody tidies up
        with pytest.raises(SystemExit):
            small(tmp_path / "out", layout=layout)
    small(tmp_path / "out", layout=layout)
    small(tmp_path / "whole", layout=layout)
    left = {name: held for name, held in files(tmp_path / "out").items() if ".part" not in name}
    assert left == files(tmp_path / "whole")
    report = scan(tmp_path / "out", "test", deep=True)
    assert (report.good, report.problems) == (3, {})


def test_a_larger_count_only_adds(tmp_path: Path) -> None:
    small(tmp_path, count=2)
    before = (tmp_path / "20bn-something-something-v2" / "2000001.webm").read_bytes()
    small(tmp_path, count=4)
    assert (tmp_path / "20bn-something-something-v2" / "2000001.webm").read_bytes() == before
    assert len(SomethingSomething(tmp_path, "test")) == 4


@pytest.mark.slow
def test_several_processes_write_the_same_files(tmp_path: Path) -> None:
    small(tmp_path / "one", count=16)
    small(tmp_path / "two", count=16, workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "tset"}, "unknown split 'tset': use one of train, validation, test"),
        ({"count": 0}, "count=0: give a number"),
        ({"seed": -1}, "seed=-1"),
        ({"layout": "v3"}, "unknown layout 'v3'"),
    ],
)
def test_bad_arguments(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        small(tmp_path / "out", **change)
    assert not (tmp_path / "out").exists()


def test_another_set_is_left_alone(tmp_path: Path) -> None:
    small(tmp_path / "set", count=2)
    before = files(tmp_path / "set")
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"layout": "v1"}, "whose layout is v2, not v1"),
        ({"seed": 1}, "its test split was made with seed 0, not 1"),
        ({"size": (40, 60)}, r"whose size is \[48, 66\], not \[40, 60\]"),
    )
    for change, message in changes:
        with pytest.raises(BadInput, match=message):
            small(tmp_path / "set", **change)
    assert files(tmp_path / "set") == before

    real = tmp_path / "real"
    real.mkdir()
    (real / "train.json").write_text("[]")
    with pytest.raises(BadInput, match="holds other files"):
        small(real)
    (real / MARKER).write_text("[]")
    with pytest.raises(BadInput, match="not written by gradcam-video"):
        small(real)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "set"):
        with pytest.raises(BadInput, match="file"):
            small(out)


def test_a_full_disk_is_one_line_and_can_be_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def full(self: Path, content: bytes) -> int:
        written.append(self)
        if len(written) == 6:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        with self.open("wb") as file:
            return file.write(content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(BadInput, match=r"No space left on device.*make room"):
            small(tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    small(tmp_path)
    assert scan(tmp_path, "test").good == 3


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["generate", str(tmp_path / "s"), "--count", "2", "--split"]
    with pytest.raises(BadInput, match="unknown split"):
        run([*words, "nope"])
    with pytest.raises(BadInput, match="--workers 0"):
        run([*words, "test", "--workers", "0"])
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_the_command_makes_real_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the world itself, at the real size."""
    words = ["--split", "test", "--count", "1", "--seed", "5"]
    assert run(["generate", str(tmp_path), *words]) == 0
    assert capsys.readouterr().out.endswith("something-something-v2-test.json: 1 clips\n")
    data = SomethingSomething(tmp_path, "test")
    clip, truth = data.clip(0), data.truth(0)
    assert clip.size == (240, 427) and truth is not None and len(truth) == 16


def test_sentences() -> None:
    assert sentence("[Something] falling like a rock", ["A key"]) == "a key falling like a rock"
    assert sentence("Stacking [number of] [something]", ["three", "cups"]) == "stacking three cups"
    assert sentence("Taking [one of many similar things on the table]", []) == (
        "taking one of many similar things on the table"
    )
