"""Long videos explained in windows: each keeps its own answer, and nothing grows out of hand."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch
from explanations import synthetic
from PIL import Image
from torch import nn

import gradcam_video as gv
from gradcam_video.attribution import long_video
from gradcam_video.attribution.long_video import explain_video
from gradcam_video.cli import main
from gradcam_video.data import clip as clip_module
from gradcam_video.data.clip import MOST_WINDOWS, VideoWindows
from gradcam_video.show import player_page, save, sheet, side_by_side
from gradcam_video.show.contact_sheet import chosen_frames
from gradcam_video.show.course import draw_course, important_classes
from gradcam_video.show.export import FILES, VIDEO_FILES
from gradcam_video.show.frame_layout import FrameLayout
from gradcam_video.show.look import Look
from gradcam_video.show.player_page import payload
from gradcam_video.windows import Windows, to_half

LABELS = ("red", "blue", "grey")


def film(path: Path, colours: list[tuple[int, int, int]], rate: int = 4) -> Path:
    """A film of one colour a frame, with a white square so that maps are not flat."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for colour in colours:
            picture = np.full((32, 48, 3), colour, np.uint8)
            picture[4:12, 4:12] = 255
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())
    return path


RED, BLUE = (220, 20, 20), (20, 20, 220)


def model() -> gv.VideoModel:
    """The more red a clip is, the higher the logit of "red"; the same for blue; grey is flat."""
    mix = nn.Conv3d(3, 2, 1, bias=False)
    head = nn.Linear(2, 3, bias=False)
    with torch.no_grad():
        mix.weight[:] = torch.tensor([[1.0, 0, -0.5], [-0.5, 0, 1]]).reshape(2, 3, 1, 1, 1)
        head.weight[:] = torch.tensor([[6.0, 0], [0, 6], [0, 0]])

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.relu, self.head = mix, nn.ReLU(), head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.relu(self.mix(x)).mean((2, 3, 4)))

    net = Net().eval()
    return gv.VideoModel(
        net, LABELS, size=16, mean=[0] * 3, std=[1] * 3, cam_layer="relu", quiet=True
    )


@pytest.fixture(scope="module")
def two_halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, gv.Explanation]:
    """Ten seconds of red and ten of blue: the mean over all says neither."""
    path = film(tmp_path_factory.mktemp("films") / "halves.mp4", [RED] * 40 + [BLUE] * 40)
    return path, explain_video(model(), path)


# --- each window keeps its own answer -------------------------------------------------------------


def test_each_window_has_its_own_answer(two_halves: tuple[Path, gv.Explanation]) -> None:
    """A film of 155 s had one title for all of it, that of the mean logits."""
    path, e = two_halves
    assert e.windows is not None and len(e.windows) == 9
    assert e.windows.starts == pytest.approx(np.arange(9) * 2)
    assert e.windows.ends == pytest.approx(np.arange(9) * 2 + 4)
    assert [e.top(1, k)[0][0] for k in (0, 3, 5, 8)] == ["red", "red", "blue", "blue"]
    for k, clip in enumerate(gv.read_windows(path)):
        alone = gv.explain(model(), clip)
        assert e.windows.logits[k] == pytest.approx(alone.logits, abs=1e-5)
        assert e.window_probabilities[k] == pytest.approx(alone.probabilities, abs=1e-6)
    assert e.logits == pytest.approx(e.windows.logits.mean(axis=0), abs=1e-6)
    # A frame is spoken for by the window in whose middle it lies best: middles are 2, 4, …, 18 s
    assert [e.window_of(frame) for frame in (0, 11, 13, 79)] == [0, 0, 1, 8]


def test_python_gets_the_joined_and_every_window(two_halves: tuple[Path, gv.Explanation]) -> None:
    path, e = two_halves
    joined, windows = gv.explain_windows(model(), path)
    assert len(windows) == 9 and windows[4].clip.start == 8
    np.testing.assert_array_equal(joined.signed, e.signed)
    exact = long_video.join(windows, e.clip)
    np.testing.assert_allclose(joined.signed, exact.signed, rtol=2**-10, atol=1e-6)


def test_the_words_on_every_picture_change_with_the_window(
    two_halves: tuple[Path, gv.Explanation],
) -> None:
    _, e = two_halves
    layout = FrameLayout(e, [e.row("red")], Look())
    pictures = list(side_by_side(e, "red"))
    assert len({p.shape for p in pictures}) == 1
    for place in (
        slice(layout.head, layout.head + layout.titles_height),
        slice(layout.bottom + layout.moment_height, None),
    ):
        words = [p[place] for p in pictures]
        assert (words[0] == words[1]).all()  # of one window
        assert (words[0] != words[-1]).any()  # red first, then blue
    meta, _ = payload(e)
    of, best = meta["windows"]["of"], meta["windows"]["best"]
    assert best[of[0]][0].startswith("1. ") and best[of[0]][0].endswith("red")
    assert best[of[-1]][0].endswith("blue")
    red = [c["name"] for c in meta["classes"]].index("red")
    first, last = (meta["windows"]["answers"][of[t]][red] for t in (0, -1))
    assert first != last
    assert meta["frames"]["words"][0] == "frame 1 of 80 · 0.00 s · window 1 of 9: 0.0–4.0 s"


def test_the_page_changes_its_words(
    browser: Any, two_halves: tuple[Path, gv.Explanation], tmp_path: Path
) -> None:
    _, e = two_halves
    save(e, tmp_path, "red", only="html")
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto((tmp_path / "player.html").as_uri())
    page.wait_for_function("document.querySelector('canvas')?.dataset.painted")
    first = page.locator(".gcv-title").inner_text(), page.locator(".gcv-best").first.inner_text()
    assert first[1].endswith("red")
    page.get_by_role("slider", name="frame").fill("79")
    page.wait_for_function("document.querySelector('canvas').dataset.painted.startsWith('79 ')")
    assert page.locator(".gcv-best").first.inner_text().endswith("blue")
    assert page.locator(".gcv-title").inner_text() != first[0]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


# --- files ----------------------------------------------------------------------------------------


def test_files_of_a_long_film(two_halves: tuple[Path, gv.Explanation], tmp_path: Path) -> None:
    _, e = two_halves
    written = save(e, tmp_path, "red")
    assert [p.name for p in written] == list(FILES + VIDEO_FILES)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert len(summary["windows"]) == 9 and summary["plays"] == 20
    last = summary["windows"][-1]
    assert (last["start"], last["end"]) == (16, 20)
    assert last["top"][0][0] == "blue"
    rows = list(csv.DictReader((tmp_path / "windows.csv").open(encoding="utf-8")))
    assert [row["label_1"] for row in rows] == [w["top"][0][0] for w in summary["windows"]]
    assert float(rows[0]["value_1"]) == pytest.approx(float(e.top(1, 0)[0][1]), abs=1e-6)
    with Image.open(tmp_path / "course.png") as course:
        assert course.width == 1180
    with av.open(str(tmp_path / "overlay.mp4")) as video:
        assert video.duration == pytest.approx(20e6, abs=2e3)
    with np.load(tmp_path / "explanation.npz") as held:
        assert held["signed"].shape == (9, 3, 16, 16, 16) and held["signed"].dtype == np.float16
        assert "maps" not in held.files


@pytest.mark.parametrize("only", [None, ["npz"]])
def test_a_long_film_is_read_again(
    only: list[str] | None, two_halves: tuple[Path, gv.Explanation], tmp_path: Path
) -> None:
    """It was refused: the windows one by one, not the maps of a clip."""
    _, e = two_halves
    save(e, tmp_path, "red", only=only)
    back = gv.Explanation.load(tmp_path)
    np.testing.assert_array_equal(back.signed, e.signed)
    np.testing.assert_array_equal(back.logits, e.logits)
    np.testing.assert_array_equal(back.window_probabilities, e.window_probabilities)
    np.testing.assert_array_equal(back.clip.durations, e.clip.durations)
    assert back.grid == e.grid and back.top(1, 8) == e.top(1, 8)
    again = save(back, tmp_path / "again", "red", only=["csv", "json"])
    assert again[1].read_bytes().startswith(b"start,end,label_1")


def test_files_of_a_film_are_not_of_a_clip(tmp_path: Path) -> None:
    with pytest.raises(gv.BadInput, match="windows"):
        save(synthetic(), tmp_path / "out", only="csv")
    with pytest.raises(gv.BadInput, match="windows"):
        draw_course(synthetic())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rate", [4, 10, 24])
def test_a_film_explained_whole_lasts_as_long_as_the_film(rate: int, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [RED] * (7 * rate + 1), rate)
    end = gv.data.clip.open_source(path).end
    e = explain_video(model(), path)
    assert e.clip.seconds == pytest.approx(end) == pytest.approx(7 + 1 / rate, abs=1e-3)
    save(e, tmp_path / "out", only=["mp4", "gif"])
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as video:
        assert video.duration / 1e6 == pytest.approx(end, abs=2e-3)
    with Image.open(tmp_path / "out" / "overlay.gif") as video:
        shown = []
        for k in range(getattr(video, "n_frames", 1)):
            video.seek(k)
            shown.append(video.info["duration"])
    assert sum(shown) / 1000 == pytest.approx(end, abs=0.006)


# --- what is chosen -------------------------------------------------------------------------------


def long_one(frames: int, spikes: dict[int, list[int]]) -> gv.Explanation:
    """A long video whose classes are weak but at some frames: {row: frames}."""
    e = synthetic(frames=frames, steps=frames)
    signed = np.full_like(e.signed, 0.01)
    for row, at in spikes.items():
        signed[row, at] = np.linspace(1, 2, len(at))[:, None, None]
    half, unit = to_half(e.signed)
    starts = np.arange(4) * frames / 16
    windows = Windows(
        starts=starts,
        ends=starts + frames / 16,
        logits=np.array([[2, 1, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0], [0, 0, 0, 5, 0, 0],
                         [1, 0, 0, 0, 0, 0]], np.float32),
        times=np.tile(e.clip.times, (4, 1)),
        repeated=np.zeros((4, frames), bool),
        signed=np.stack([half] * 4),
        unit=np.stack([unit] * 4),
        grid=e.grid,
    )  # fmt: skip
    return replace(e, signed=signed, windows=windows)


def test_a_sheet_shows_the_strongest_moments_and_says_so() -> None:
    at = {0: [31, 500, 777], 1: [204, 640]}
    e = long_one(1000, at)
    shown = chosen_frames(e, [0, 1], 16)
    assert set(at[0] + at[1]) <= set(shown.tolist())
    assert len(shown) == 16 and (np.diff(shown) >= 8).all()  # not one peak over and over
    words = " ".join(line.text for line in sheet(e, [0, 1]).drawing.words)
    assert "The 16 strongest moments of 1000 frames" in words
    assert "strongest moments" not in " ".join(w.text for w in sheet(synthetic()).drawing.words)


def test_a_page_of_a_long_film_keeps_the_peaks_and_is_bounded() -> None:
    """A film of 155 s made a page of 13.7 MB: maps of frames that it does not show went along."""
    e = long_one(2000, {0: [31], 3: [1203], 5: [777]})
    meta, data = payload(e, 0)
    shown = np.round(np.array(meta["frames"]["times"]) * 4).astype(int)
    assert len(shown) == player_page.MAX_FRAMES
    assert {31, 1203, 777} <= set(shown.tolist())
    assert sum(meta["frames"]["durations"]) == pytest.approx(1000 * e.clip.seconds)
    assert meta["grid"]["cells"] == [len(shown), 3, 4]
    jpegs = meta["parts"]["jpegs"]
    assert len(data) - (jpegs[-1] - jpegs[0]) < 40_000  # 6 classes × 240 frames × 12 cells
    # The map of the peak is where the page looks for it
    place = shown.tolist().index(1203)
    name = [c["name"] for c in meta["classes"]].index(e.labels[3])
    maxima = np.frombuffer(data, "<f4", 6 * len(shown)).reshape(6, -1)
    assert maxima[name, place] == pytest.approx(1) and maxima[name].argmax() == place


def test_a_course_shows_the_classes_that_matter() -> None:
    e = long_one(64, {})
    assert important_classes(e, 3) == [3, 1, 0]  # each comes first somewhere; 3 is the highest
    figure = draw_course(replace(e, model="toy", untrained=True))
    assert len(figure.axes) == 6
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), e.window_probabilities[:, 3])
    assert figure.axes[0].texts[0].get_text().startswith(e.labels[3])
    assert "seconds" in figure.axes[-1].get_xlabel()
    words = " ".join(text.get_text() for text in figure.texts)
    assert "a <b>.mp4" in words and "weights: toy" in words and "UNTRAINED" in words
    assert "probability (softmax)" in words  # the vertical axes


def test_large_maps_of_a_long_film_are_kept_of_some_classes_and_it_is_said(
    two_halves: tuple[Path, gv.Explanation], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = two_halves
    for name in ("MOST_MAP_BYTES", "MOST_MAP_BYTES_A_MINUTE", "FEWEST_CLASSES"):
        monkeypatch.setattr(long_video, name, 1)
    e = explain_video(model(), path)
    assert [e.labels[k] for k in e.classes] == ["red", "blue"]  # grey is never first
    assert "maps of 2 of 3 classes are kept" in e.remark
    assert e.windows is not None and e.windows.logits.shape == (9, 3)  # the numbers of all
    e = explain_video(model(), path, shown=["grey"])
    assert "grey" in [e.labels[k] for k in e.classes]


# --- many windows ---------------------------------------------------------------------------------


def test_windows_of_a_film_that_claims_years_are_not_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two timestamps three years apart: 47 million windows, listed one by one."""
    video: Any = SimpleNamespace(end=1e8, times=np.array([0, 1e8 - 1]))
    assert len(VideoWindows(video, 16, 4.0, 0.5)) == 5e7 - 1
    monkeypatch.setattr(clip_module, "open_source", lambda *_: video)
    with pytest.raises(gv.BadInput, match=r"years\.mkv: it claims to last 1e\+08 s") as error:
        gv.read_windows("years.mkv")
    assert f"{MOST_WINDOWS:,}" in str(error.value) and "\n" not in str(error.value)
    video.end = 24 * 3600.0  # a day is explained
    assert len(gv.read_windows("day.mkv")) == 43_199


def test_windows_are_counted_while_they_are_explained(
    two_halves: tuple[Path, gv.Explanation], capsys: pytest.CaptureFixture[str]
) -> None:
    explain_video(model(), two_halves[0], show_progress=True)
    assert "9/9" in capsys.readouterr().err
    explain_video(model(), two_halves[0])
    assert not capsys.readouterr().err  # no screen


# --- one bad file among many ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["read_clip", "explain", "_save", "explain_video"])
@pytest.mark.parametrize("error", [ValueError("not enough\nvalues"), RuntimeError("x"), KeyError()])
def test_any_error_of_one_file_is_that_files(
    where: str,
    error: Exception,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An MJPEG film with EXIF raised a ValueError, and the batch ended with it."""
    from gradcam_video.cli import explain as command

    for name in ("bad.mp4", "good.mp4"):
        film(tmp_path / name, [RED] * 8)
    monkeypatch.setattr(command, "model_from", lambda _: model())
    real: Callable[..., Any] = getattr(command, where)

    def fail(*arguments: Any, **options: Any) -> Any:
        if "bad.mp4" in repr([a for a in arguments if not isinstance(a, argparse.Namespace)]):
            raise error
        return real(*arguments, **options)

    monkeypatch.setattr(command, where, fail)
    out = tmp_path / "out"
    more = ["--windows", "all"] if where == "explain_video" else []
    files = [str(tmp_path / name) for name in ("bad.mp4", "good.mp4")]
    code = main(["explain", *files, "--out", str(out), "--only", "json", "--batch", "2", *more])
    said = capsys.readouterr()
    assert code == 2
    assert (out / "good.mp4" / "summary.json").is_file() and not (out / "bad.mp4").exists()
    lines = [line for line in said.err.splitlines() if "bad.mp4" in line]
    assert len(lines) == 1 and type(error).__name__ in lines[0]
    assert said.out.count("\n") == 1


def test_ctrl_c_ends_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_video.cli import explain as command

    files = [str(film(tmp_path / name, [RED] * 8)) for name in ("a.mp4", "b.mp4")]
    monkeypatch.setattr(command, "model_from", lambda _: model())
    read: list[Path] = []

    def stop(_: Any, __: Any, path: Path) -> Any:
        read.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_read", stop)
    assert main(["explain", *files, "--out", str(tmp_path / "out")]) == 2
    assert "interrupted" in capsys.readouterr().err and len(read) == 1


@pytest.mark.slow
@pytest.mark.parametrize("what", ["evaluate", "score", "scan", "figures"])
def test_any_error_of_one_clip_of_a_data_set_is_that_clips(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradcam_video.cases.clips import data_clips
    from gradcam_video.data import datasets, integrity
    from gradcam_video.metrics import scoring

    root = tmp_path / "data"
    arguments = ["--split", "test", "--count", "2", "--seed", "1"]
    assert main(["generate", str(root), *arguments]) == 0
    data = datasets.SomethingSomething(root, split="test")
    bad, good = data.ids

    def fails(path: Any, *rest: Any, **options: Any) -> Any:
        if bad in Path(path).name:
            raise ValueError("axes do not match")
        return real(path, *rest, **options)

    module = integrity if what == "scan" else datasets
    name = "open_source" if what == "scan" else "read_clip"
    real = getattr(module, name)
    monkeypatch.setattr(module, name, fails)
    if what == "scan":
        report = integrity.scan(data)
        assert report.good == 1
        failures = report.problems["corrupt"]
    elif what == "evaluate":
        assert data[0] is None and data[1] is not None
        failures = data.failures
    elif what == "figures":
        labels = SimpleNamespace(labels=data.labels, name="toy")
        assert len(list(data_clips(data, labels, 8, 0))) == 1  # ty: ignore
        failures = data.failures
    else:
        failures: dict[str, str] = {}
        classes = {target: target for target in data.targets}
        (kept,) = scoring._read(data, range(2), classes, failures)
        assert kept.id == good
    assert list(failures) == [bad]
    assert failures[bad].endswith("ValueError: axes do not match") and bad in failures[bad]
