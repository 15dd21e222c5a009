"""The command line: what it writes, and one line for every kind of bad input."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from PIL import Image

from gradcam_video.cli import main
from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.models.checkpoints import save_model
from gradcam_video.models.tabletop_net import network
from gradcam_video.models.video_model import VideoModel

SIX = {
    "overlay.mp4",
    "overlay.gif",
    "sheet.png",
    "player.html",
    "explanation.npz",
    "summary.json",
}

TINY = (8, 8, 8, 16)  # channels of the small network


def write_video(path: Path, frames: int = 48, size: tuple[int, int] = (64, 48), rate: int = 12):
    """A grey square that moves; (width, height)."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("gif" if path.suffix == ".gif" else "mpeg4", rate)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb8" if path.suffix == ".gif" else "yuv420p"
        for k in range(frames):
            picture = np.full((size[1], size[0], 3), 40, np.uint8)
            picture[8:24, k % 32 : k % 32 + 16] = 200
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good files that the tests copy and spoil, and a small checkpoint."""
    folder = tmp_path_factory.mktemp("made")
    write_video(folder / "good.mp4")
    torch.manual_seed(0)
    model = VideoModel(network(40, TINY), FORTY_NAMES, size=64, quiet=True)
    save_model(model, folder / "tiny.safetensors", {"name": "tabletop", "widths": TINY})
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the good files in it."""
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


BASE = ["--out", "out", "--model", "tiny.safetensors", "--device", "cpu"]

# --- what it writes -----------------------------------------------------------------------------


def test_explain_writes_all_six(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = "moving something from LEFT to right"
    assert main(["explain", "good.mp4", *BASE, "--label", label, "--classes", "top2", "true"]) == 0
    folder = here / "out" / "good.mp4"
    assert files_below(folder) == SIX
    arrays = np.load(folder / "explanation.npz")
    assert set(arrays.files) >= {
        *("signed", "signed_unit", "classes", "logits", "labels"),
        *("times", "repeated", "scales", "method"),
    }
    k = len(FORTY_NAMES)
    assert arrays["signed"].shape == (k, 16, 8, 8) and arrays["signed"].dtype == np.float16
    assert arrays["labels"].tolist() == list(FORTY_NAMES)
    np.testing.assert_allclose(np.diff(arrays["times"]), 0.25, atol=1e-3)
    summary = json.loads((folder / "summary.json").read_text())
    assert {"top", "model", "method", "seconds", "empty_classes"} <= set(summary)
    assert summary["true_label"] == "Moving [something] from left to right"
    with av.open(str(folder / "overlay.mp4")) as film:
        stream = film.streams.video[0]
        assert stream.width % 2 == 0 and stream.height % 2 == 0
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert sum(1 for _ in film.decode(stream)) == 16
    assert Image.open(folder / "overlay.gif").n_frames > 1  # ty: ignore
    page = (folder / "player.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    out, err = capsys.readouterr()
    assert out.startswith("good.mp4: ") and out.count("\n") == 1
    assert "reading layer" in err


@pytest.mark.slow
def test_windows_all_covers_the_whole_video(here: Path) -> None:
    write_video(here / "long.mp4", frames=12 * 13)  # 13 s: 4 s windows
    assert main(["explain", "long.mp4", *BASE, "--windows", "all"]) == 0
    folder = here / "out" / "long.mp4"
    assert files_below(folder) == SIX | {"course.png", "windows.csv"}
    arrays = np.load(folder / "explanation.npz")
    n = len(arrays["window_start"])
    assert n >= 4 and arrays["signed"].shape[:3] == (n, len(FORTY_NAMES), 16)
    assert arrays["times"].shape == arrays["repeated"].shape == (n, 16)
    assert arrays["logits"].shape == (n, len(FORTY_NAMES))
    assert arrays["times"].max() > 12.5 and np.all(np.diff(arrays["window_start"]) > 0)
    with av.open(str(folder / "overlay.mp4")) as film:
        assert sum(1 for _ in film.decode(film.streams.video[0])) >= 50


def test_one_frame_is_explained_and_fifteen_repeats_are_flagged(here: Path) -> None:
    write_video(here / "still.mp4", frames=1)
    assert main(["explain", "still.mp4", *BASE]) == 0
    arrays = np.load(here / "out" / "still.mp4" / "explanation.npz")
    assert arrays["repeated"].tolist() == [False] + [True] * 15
    assert "repeat" in json.loads((here / "out" / "still.mp4" / "summary.json").read_text())["note"]


@pytest.mark.slow
def test_folders_are_clips_or_are_searched(here: Path) -> None:
    for name in ("many/a/00001.mp4", "many/b/00001.mp4"):
        (here / name).parent.mkdir(parents=True)
        shutil.copy(here / "good.mp4", here / name)
    jpgs = here / "many" / "100218"
    jpgs.mkdir()
    for k in range(1, 21):
        Image.new("RGB", (40, 32), (k * 10, 0, 0)).save(jpgs / f"{k:05d}.jpg")
    assert main(["explain", "many", *BASE, "--source-fps", "12"]) == 0
    found = {str(Path(name).parent) for name in files_below(here / "out")}
    assert found == {"a/00001.mp4", "b/00001.mp4", "100218"}


@pytest.mark.slow
def test_untrained_says_so_everywhere(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--out", "out", "--model", "squeezenet1_1", "--weights", "none", "--device", "cpu"]
    assert main(["explain", "good.mp4", *arguments]) == 0
    assert "UNTRAINED" in capsys.readouterr().out
    folder = here / "out" / "good.mp4"
    assert json.loads((folder / "summary.json").read_text())["untrained"] is True
    assert "UNTRAINED" in (folder / "player.html").read_text()


@pytest.mark.slow
def test_good_ones_are_explained_though_one_is_bad(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.mp4").write_text("not a video")
    shutil.copy(here / "good.mp4", here / "z.mp4")
    assert main(["explain", "good.mp4", "bad.mp4", "missing.mp4", "z.mp4", *BASE]) == 2
    err = [x for x in capsys.readouterr().err.splitlines() if x.startswith("gradcam-video: ")]
    assert len(err) == 2 and any("bad.mp4" in x for x in err) and any("missing" in x for x in err)
    for name in ("good.mp4", "z.mp4"):
        assert files_below(here / "out" / name) == SIX
    assert not (here / "out" / "bad.mp4").exists()


def test_models_lists_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    for name in ("tabletop", "resnet50", "mobilenet_v2", "r3d_18", "s3d"):
        assert f"\n{name} " in f"\n{out}"


@pytest.mark.slow
def test_it_is_installed_as_a_program() -> None:
    program = Path(sys.executable).parent / "gradcam-video"
    done = subprocess.run([program, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "explain" in done.stdout and not done.stderr


# --- bad input ----------------------------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("owned"),))


def spoil(name: str, content: bytes) -> list[str]:
    Path(name).write_bytes(content)
    return [name]


def audio_only() -> list[str]:
    with av.open("song.mp4", "w") as file:
        stream = file.add_stream("aac", 44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return ["song.mp4"]


def no_frames() -> list[str]:
    with av.open("none.avi", "w") as file:
        stream = file.add_stream("mpeg4", 12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.start_encoding()
    return ["none.avi"]


def folder_of(*pictures: tuple[int, int]) -> list[str]:
    Path("jpgs").mkdir()
    for k, size in enumerate(pictures):
        Image.new("RGB", size).save(f"jpgs/{k + 1:05d}.jpg")
    return ["jpgs"]


def spoilt_picture() -> list[str]:
    folder_of(*[(40, 32)] * 16)
    Path("jpgs/00007.jpg").write_bytes(b"\xff\xd8 not a picture")
    return ["jpgs", "--source-fps", "4"]


def weights(content: object, name: str = "w.pth") -> list[str]:
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    else:
        torch.save(content, name)
    return ["good.mp4", "--model", "squeezenet1_1", "--weights", name]


def other_weights() -> list[str]:
    return weights(torchvision.models.resnet18().state_dict())


def foreign_checkpoint() -> list[str]:
    safetensors.torch.save_file({"a": torch.zeros(1)}, "foreign.safetensors")
    return ["good.mp4", "--model", "foreign.safetensors"]


def out_is_a_file() -> list[str]:
    Path("taken").write_text("precious")
    return ["good.mp4", "--out", "taken"]


GOOD = Path("good.mp4")
CASES: dict[str, tuple[Callable[[], list[str]], str]] = {
    "missing file": (lambda: ["missing.mp4"], "missing.mp4"),
    "empty file": (lambda: spoil("empty.mp4", b""), "empty.mp4"),
    "not a video": (lambda: spoil("notes.txt", b"dear diary\n" * 50), "notes.txt"),
    "random bytes": (lambda: spoil("noise.mp4", os.urandom(5000)), "noise.mp4"),
    "truncated": (lambda: spoil("cut.mp4", GOOD.read_bytes()[:900]), "cut.mp4"),
    "a page that was downloaded instead": (lambda: spoil("x.webm", b"<html>404</html>"), "x.webm"),
    "audio only": (audio_only, "song.mp4"),
    "zero frames": (no_frames, "none.avi"),
    "side under 8 pixels": (lambda: [str(write_video(Path("tiny.avi"), 4, (6, 48)))], "tiny.avi"),
    "an empty folder": (lambda: [Path("hollow").mkdir() or "hollow"], "hollow"),
    "a folder without clips": (lambda: ["."] if GOOD.unlink() is None else [], "."),
    "a spoilt picture in a folder": (spoilt_picture, "00007.jpg"),
    "pictures of several sizes": (lambda: folder_of((40, 32), (32, 40)), "jpgs"),
    "an empty path": (lambda: [""], ""),
    "unknown label": (lambda: ["good.mp4", "--label", "Juggling chainsaws"], "Juggling"),
    "ambiguous label": (lambda: ["good.mp4", "--label", "moving"], "moving"),
    "unknown class": (lambda: ["good.mp4", "--classes", "Jugling"], "Jugling"),
    "class true without label": (lambda: ["good.mp4", "--classes", "true"], "--label"),
    "unknown model": (lambda: ["good.mp4", "--model", "resnet5O"], "resnet50"),
    "missing checkpoint": (lambda: ["good.mp4", "--model", "a/b.safetensors"], "b.safetensors"),
    "a checkpoint of something else": (foreign_checkpoint, "foreign.safetensors"),
    "missing weights": (lambda: [*weights(b"")[:-1], "gone.pth"], "gone.pth"),
    "empty weights": (lambda: weights(b""), "w.pth"),
    "weights that are text": (lambda: weights(b"hello" * 100), "w.pth"),
    "safetensors that are text": (lambda: weights(b"hello" * 9, "w.safetensors"), "w.safetensors"),
    "weights of another network": (other_weights, "another network"),
    "a pickle that would run code": (lambda: weights(pickle.dumps(Evil())), "refused"),
    "a torch file that would run code": (lambda: weights({"x": Evil()}), "refused"),
    "a list instead of weights": (lambda: weights([1, 2]), "state_dict"),
    "weights that are a folder": (lambda: [*weights(b"")[:-1], "."], "folder"),
    "output is a file": (out_is_a_file, "taken"),
    "output cannot be made": (lambda: ["good.mp4", "--out", "/proc/nowhere"], "/proc/nowhere"),
    "fps of zero": (lambda: ["good.mp4", "--fps", "0"], "fps"),
    "fps in words": (lambda: ["good.mp4", "--fps", "fast"], "fast"),
    "fps not a number": (lambda: ["good.mp4", "--fps", "nan"], "fps"),
    "source fps below zero": (lambda: ["good.mp4", "--source-fps", "-3"], "source_fps"),
    "source fps in words": (lambda: ["good.mp4", "--source-fps", "slow"], "slow"),
    "start behind the end": (lambda: ["good.mp4", "--start", "99"], "99"),
    "start not a number": (lambda: ["good.mp4", "--start", "nan"], "start"),
    "unknown method": (lambda: ["good.mp4", "--method", "gradcamm"], "gradcam-per-step"),
    "unknown scope": (lambda: ["good.mp4", "--scope", "world"], "classes"),
    "unknown colour map": (lambda: ["good.mp4", "--cmap", "rainbough"], "rainbough"),
    "unknown device": (lambda: ["good.mp4", "--device", "abacus"], "abacus"),
    "unknown layer": (lambda: ["good.mp4", "--cam-layer", "layer9"], "layer9"),
    "unknown option": (lambda: ["good.mp4", "--colour", "red"], "--colour"),
    "unknown windows": (lambda: ["good.mp4", "--windows", "some"], "some"),
    "batch of zero": (lambda: ["good.mp4", "--batch", "0"], "batch"),
}


def assert_one_line_and_nothing_written(
    here: Path, code: int, words: str, before: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert code == 2, err
    assert len(lines) == 1 and lines[0].startswith("gradcam-video: "), err
    assert words in lines[0], err
    assert out == ""
    assert files_below(here) == before, "something was left behind"


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line_and_leaves_nothing(
    case: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, words = CASES[case]
    given = make()
    arguments = list(BASE)
    for k in range(0, len(arguments), 2):  # what the case says itself comes instead
        if arguments[k] not in given:
            given += arguments[k : k + 2]
    before = files_below(here)
    capsys.readouterr()
    code = main(["explain", *given])
    assert_one_line_and_nothing_written(here, code, words, before, capsys)
    assert not (here / "owned").exists()


def test_there_are_at_least_thirty() -> None:
    assert len(CASES) >= 30


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "out"),
        (PermissionError(errno.EACCES, "Permission denied"), "out"),
        (KeyboardInterrupt(), "interrupted"),
    ],
    ids=["disk full", "no write permission", "Ctrl-C mid-write"],
)
@pytest.mark.parametrize("target", ["numpy.savez_compressed", "PIL.Image.Image.save"])
def test_a_write_that_fails_leaves_what_was_there(
    target: str,
    error: BaseException,
    words: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", "good.mp4", *BASE]) == 0
    old = {name: (here / name).read_bytes() for name in files_below(here)}
    capsys.readouterr()

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(target, fail)
    code = main(["explain", "good.mp4", *BASE])
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert_one_line_and_nothing_written(here, code, words, set(old), capsys)
    assert {name: (here / name).read_bytes() for name in old} == old


def test_no_read_permission(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Root may read everything, so the refusal is simulated where the file is opened."""

    really_open = Path.open

    def refuse(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "good.mp4":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really_open(path, *args, **kwargs)

    before = files_below(here)
    monkeypatch.setattr(Path, "open", refuse)
    code = main(["explain", "good.mp4", *BASE])
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert_one_line_and_nothing_written(here, code, "good.mp4", before, capsys)


def test_two_inputs_of_one_name_are_not_written_over_each_other(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "other").mkdir()
    shutil.copy(here / "good.mp4", here / "other" / "good.mp4")
    assert main(["explain", "good.mp4", "other/good.mp4", "./good.mp4", *BASE]) == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and "other/good.mp4" in err and "rename" in err
