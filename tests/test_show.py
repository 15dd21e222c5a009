"""Pictures, sheets, videos and the folder on disk, from synthetic explanations: no network runs."""

from __future__ import annotations

import base64
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import matplotlib.pyplot
import numpy as np
import pytest
from explanations import LONG, synthetic
from PIL import Image

from gradcam_video.errors import BadInput
from gradcam_video.show import (
    draw_filmstrip,
    overlay,
    player_html,
    save,
    sheet,
    side_by_side,
    write_gif,
    write_mp4,
)
from gradcam_video.show.blend import at_size, fit, resize
from gradcam_video.show.captions import block, font, percent, rows_of, wrap
from gradcam_video.show.export import FILES
from gradcam_video.show.frame_layout import MARK, FrameLayout
from gradcam_video.show.look import SHIPPED, Look, palette
from gradcam_video.show.video_writer import exact_rate


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- overlay ------------------------------------------------------------------------------------


def test_a_zero_map_leaves_brightness_and_the_post_look_turns_blue() -> None:
    frame = np.full((4, 5, 3), 200, np.uint8)
    zero = np.zeros((4, 5), np.float32)
    assert (overlay(frame, zero) == 200).all()  # a grey frame stays itself
    blue = overlay(frame, zero, cmap="jet", opacity=0.5)
    assert np.abs(blue - (0.5 * 200 + 0.5 * palette("jet")[0])).max() <= 1


def test_evidence_blend_follows_its_formula() -> None:
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 256, size=(16, 16, 3)).astype(np.uint8)
    heat = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    grey = 0.4 * frame + 0.6 * (frame @ [0.299, 0.587, 0.114])[..., None]
    a = (0.7 * (1 - (1 - heat) ** 2))[..., None]
    expected = (1 - a) * grey + a * palette("inferno").reshape(16, 16, 3)
    assert np.abs(overlay(frame, heat, opacity=0.7) - expected).max() <= 2


def test_opacity_zero_and_one_and_jet_is_not_inverted() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    peak = np.ones((6, 6), np.float32)
    assert (overlay(frame, peak, cmap="jet", opacity=0) == frame).all()
    full = overlay(frame, peak, cmap="jet", opacity=1)
    assert (full == palette("jet")[255]).all()
    assert full[0, 0, 0] > full[0, 0, 2]  # the most is red


def test_what_the_network_did_not_see_is_dark_and_unpainted() -> None:
    frame = np.full((4, 4, 3), 100, np.uint8)
    seen = np.zeros((4, 4), bool)
    seen[:, 2:] = True
    out = overlay(frame, np.ones((4, 4), np.float32), seen=seen)
    assert (out[:, :2] == 40).all()
    assert (out[:, 2:] != 40).any()


@pytest.mark.parametrize(
    "bad",
    [
        {"heat": np.zeros((3, 3))},
        {"opacity": 1.5},
        {"cmap": "infernoo"},
        {"blend": "multiply"},
    ],
)
def test_overlay_refuses_in_one_line(bad: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"heat": np.zeros((4, 4)), **bad}
    with pytest.raises(BadInput) as caught:
        overlay(np.zeros((4, 4, 3), np.uint8), **arguments)
    assert "\n" not in str(caught.value)


def test_a_look_blends_jet_as_the_post_did_unless_told_otherwise() -> None:
    frame = np.full((4, 5, 3), 200, np.uint8)
    zero = np.zeros((4, 5), np.float32)
    assert (overlay(frame, zero, cmap="jet", blend="evidence") == 200).all()
    assert (overlay(frame, zero, cmap="viridis", blend="post") != 200).any()
    assert Look(cmap="jet").blend_of("inferno") == "evidence"  # another colour map of a player
    assert Look(blend="post").blend_of("inferno") == "post"


@pytest.mark.parametrize(
    "bad", [{"scope": "all"}, {"opacity": -0.1}, {"cmap": "infernoo"}, {"blend": "multiply"}]
)
def test_every_picture_refuses_a_look_that_does_not_fit(bad: dict, tmp_path: Path) -> None:
    (word,) = map(str, bad.values())
    for draw in (sheet, draw_filmstrip, player_html):
        with pytest.raises(BadInput, match=word):
            draw(synthetic(), **bad)
    with pytest.raises(BadInput, match=word):
        next(side_by_side(synthetic(), **bad))
    with pytest.raises(BadInput, match=word):
        save(synthetic(), tmp_path / "new", **bad)
    assert names(tmp_path) == []


def test_a_class_is_named_by_word_or_by_number_alone_or_with_others() -> None:
    e = replace(synthetic(), classes=np.array([5, 0, 2, 1, 3, 4]))  # rows are not class numbers
    assert rows_of(e, None) == rows_of(e, []) == rows_of(e, "opening") == [1]
    assert rows_of(e, 5) == rows_of(e, np.int64(5)) == rows_of(e, ("empty",)) == [0]
    assert rows_of(e, ["closing", 0, None]) == [3, 1, 1]
    assert rows_of(e, np.array([2, 4])) == [2, 5]
    with pytest.raises(BadInput, match="no map for class 6"):
        rows_of(e, [0, 6])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((120, 160), (224, 299)), ((240, 427), (240, 427)), ((720, 1280), (360, 640)),
     ((1280, 720), (480, 270)), ((100, 2000), (32, 640))],
)  # fmt: skip
def test_panels_are_large_enough_to_read_and_no_larger(size: tuple, expected: tuple) -> None:
    assert fit(*size) == expected


def test_the_map_at_another_size_is_the_map_in_the_same_place() -> None:
    e = synthetic()
    big = at_size(e, 180, 240).upsampled_frame(1, "closing")
    # Every third pixel, from the middle of the first three, is where an original pixel is
    assert np.allclose(big[1::3, 1::3], e.upsampled_frame(1, "closing"), atol=1e-5)


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 120, 300])
def test_wrapped_words_fit_and_none_is_lost(width: int) -> None:
    lines = wrap(LONG, width, 13)
    assert all(font(13).getlength(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(LONG.split())


def test_no_ink_touches_the_edge_of_a_text_block() -> None:
    picture = block([(LONG, (255, 255, 255), True)], 150, 14, (0, 0, 0))
    edge = np.concatenate([picture[:2].ravel(), picture[-2:].ravel(), picture[:, -2:].ravel()])
    assert picture.max() == 255
    assert edge.max() == 0


def test_percent_never_says_nothing_or_everything() -> None:
    assert [percent(p) for p in (0.5, 0.004, 0.9964)] == ["50 %", "0.4 %", "99.6 %"]


# --- video --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(120, 160), (31, 53), (90, 40)])
def test_side_by_side_holds_the_original_and_the_overlay(size: tuple[int, int]) -> None:
    e = synthetic(*size)
    pictures = list(side_by_side(e))
    assert len(pictures) == 4
    assert len({p.shape for p in pictures}) == 1
    assert all(side % 2 == 0 for side in pictures[0].shape[:2])
    page = FrameLayout(e, [e.row()], Look())
    original = page.original(2)
    rows = slice(page.top, page.top + page.height)
    left, right = page.lefts
    assert (pictures[2][rows, left : left + page.width] == original).all()
    heat = page.e.upsampled_frame(2, None)
    drawn = overlay(original, heat, seen=page.e.grid.view.seen())
    assert (pictures[2][rows, right : right + page.width] == drawn).all()


def test_every_warning_changes_the_picture() -> None:
    plain = next(side_by_side(synthetic()))
    untrained = next(side_by_side(synthetic(untrained=True)))
    remark = next(side_by_side(synthetic(remark="knows only synthetic clips")))
    assert untrained.shape[0] > plain.shape[0]
    assert (untrained[2:20, :, 0] > 150).mean() > 0.8  # a red banner on top
    assert remark.shape[0] > plain.shape[0]
    *_, before, last = side_by_side(synthetic())
    assert (before != last).any()


def test_the_bars_mark_the_present_frame() -> None:
    e = synthetic()
    page = FrameLayout(e, [e.row()], Look())
    amber = [
        np.flatnonzero((p[page.bottom - 3] == MARK).all(axis=1)).mean() for p in side_by_side(e)
    ]
    assert amber == sorted(amber)
    assert len(set(amber)) == 4


def test_bars_are_as_high_as_the_scope_says() -> None:
    e = synthetic()
    curves = [e.evidence(k) for k in range(6)]
    alone, together = (FrameLayout(e, [0, 1], Look(scope=s)).bars for s in ("clip", "classes"))
    most = max(curve.max() for curve in curves)
    for row in (0, 1):
        assert alone[row].max() == 34  # pixels: all that there are
        assert np.abs(together[row] - curves[row] / most * 34).max() <= 0.5
    own = curves[0].max()
    assert own < 0.9 * most
    for scope, end in (("clip", own), ("classes", most)):
        drawing = sheet(e, 0, scope=scope).drawing
        (tick,) = (line for line in drawing.words if line.text == f"{end:.3g}")
        zero = next(line for line in drawing.words if line.text == "0")
        plot = np.asarray(drawing.picture)[round(zero.baseline) - 50 :]
        ink = (plot == (0x3F, 0x3F, 0x46)).all(axis=2).any(axis=1).sum()  # pixels high
        highest = curves[0][:-1].max()  # the last frame is a repeat, in another colour
        assert abs(ink - highest / end * (zero.baseline - tick.baseline)) <= 1.5


def test_several_classes_stand_side_by_side() -> None:
    one, two = (next(side_by_side(synthetic(), label)) for label in (0, [0, "closing"]))
    assert two.shape[1] > 1.4 * one.shape[1]


def test_more_frames_than_pixels_for_their_bars() -> None:
    e = synthetic(8, 8, frames=700, steps=2)
    page = FrameLayout(e, [e.row()], Look())
    frame = page.original(699)
    assert page.draw(699, [frame, frame]).shape == page.base.shape


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    frames = [np.full((33, 51, 3), 60 * i, np.uint8) for i in range(5)]
    path = write_mp4(iter(frames), tmp_path / "video.mp4", 4)
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (52, 34)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 4
        levels = [f.to_ndarray(format="rgb24").mean() for f in video.decode(stream)]
    assert np.allclose(levels, [0, 60, 120, 180, 240], atol=4)
    assert names(tmp_path) == ["video.mp4"]
    written = path.read_bytes()
    assert written.index(b"moov") < written.index(b"mdat")  # it plays before all of it is there


# What BT.709 gives in its limited range, by its own equations: Kr = 0.2126, Kb = 0.0722
COLOURS = {(255, 0, 0): (63, 102, 240), (0, 255, 0): (173, 42, 26), (0, 0, 255): (32, 240, 118)}
OTHERS = [(255, 255, 255), (0, 0, 0), (20, 20, 24), (255, 176, 32), (120, 220, 140), (90, 30, 200)]


def test_mp4_is_bt709_in_its_pixels_and_in_its_tags(tmp_path: Path) -> None:
    drawn = np.repeat(np.array([*COLOURS, *OTHERS], np.uint8), 32, axis=0)  # bars, 32 pixels wide
    frame = np.broadcast_to(drawn, (48, *drawn.shape))
    path = write_mp4([frame] * 6, tmp_path / "colours.mp4", 12)
    middle = slice(16, None, 32)
    with av.open(str(path)) as video:
        codec = video.streams.video[0].codec_context
        assert (codec.colorspace, codec.color_primaries, codec.color_trc) == (1, 1, 1)  # BT.709
        assert codec.color_range == 1  # limited
        for shown in video.decode(video=0):
            seen = shown.to_ndarray(format="rgb24")[24, middle].astype(int)
            assert np.abs(seen - drawn[middle]).max() <= 3
            stored = shown.to_ndarray(format="yuv444p")[:, 24, middle].T
            assert np.abs(stored[:3].astype(int) - list(COLOURS.values())).max() <= 2


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(12, 12), (1 / 0.25, 4), (7.5, Fraction(15, 2)), (0.5, Fraction(1, 2)), (240, 240),
     (0.01, Fraction(1, 100)), (1 / 0.3, Fraction(10, 3)), (23.976, Fraction(24000, 1001)),
     (29.97, Fraction(30000, 1001)), (Fraction(24000, 1001), Fraction(24000, 1001))],
)  # fmt: skip
def test_mp4_has_its_rate_and_its_length_exactly(
    fps: float | Fraction, rate: Fraction, tmp_path: Path
) -> None:
    frames = [np.full((32, 32, 3), 20 * i, np.uint8) for i in range(7)]
    assert exact_rate(fps) == rate
    with av.open(str(write_mp4(frames, tmp_path / "video.mp4", fps))) as video:
        stream = video.streams.video[0]
        assert stream.average_rate == rate
        assert stream.duration * stream.time_base == 7 / Fraction(rate)
        shown = [frame.pts * frame.time_base for frame in video.decode(stream)]
    assert shown == [t / Fraction(rate) for t in range(7)]


@pytest.mark.slow
def test_moviepy_opens_what_is_written_here(tmp_path: Path) -> None:
    """It asks for a Pillow below 12 and is given a newer one: its calls must go on working."""
    pytest.importorskip("moviepy")
    from moviepy.video.io.ImageSequenceClip import ImageSequenceClip
    from moviepy.video.io.VideoFileClip import VideoFileClip

    drawn = [np.full((48, 64, 3), (40 * t, 120, 200), np.uint8) for t in range(6)]
    with VideoFileClip(str(write_mp4(drawn, tmp_path / "ours.mp4", 12))) as video:
        assert (video.size, video.fps, video.duration) == ([64, 48], 12, 0.5)
        frames = list(video.iter_frames())
        assert np.abs(np.array(frames, int) - drawn).max() <= 4
        smaller = getattr(video, "resized", None) or video.resize  # moviepy 2, or 1
        half = smaller(0.5)
        assert half.get_frame(0).shape == (24, 32, 3)  # drawn by Pillow
        half.write_gif(str(tmp_path / "theirs.gif"), fps=12, logger=None)
    assert getattr(Image.open(tmp_path / "theirs.gif"), "n_frames", 0) == 6
    clip = ImageSequenceClip(drawn, fps=4)  # at 12 it drops one frame of six
    clip.write_videofile(str(tmp_path / "theirs.mp4"), logger=None)
    with av.open(str(tmp_path / "theirs.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 6


@pytest.mark.parametrize("fps", [0, -1, 0.001, 1e6, float("nan"), float("inf")])
def test_a_rate_that_no_video_has(fps: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="choose fps between"):
        write_mp4([np.zeros((32, 32, 3), np.uint8)], tmp_path / "video.mp4", fps)
    assert names(tmp_path) == []


def test_gif_has_one_palette_and_the_right_colours(tmp_path: Path) -> None:
    frames = list(side_by_side(synthetic(frames=20)))
    write_gif(iter(frames), tmp_path / "video.gif", 5)
    with Image.open(tmp_path / "video.gif") as video:
        assert video.n_frames == 20
        assert video.info["duration"] == 200
        assert video.info["loop"] == 0
        for t in (0, 7, 19):
            video.seek(t)
            shown = np.asarray(video.convert("RGB").resize(frames[t].shape[1::-1]))
            assert np.abs(shown.astype(int) - frames[t]).mean() < 8


@pytest.mark.parametrize("write", [write_mp4, write_gif])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
@pytest.mark.parametrize("after", [0, 1, 60])
def test_a_video_is_whole_or_not_there(
    write: Any, error: BaseException, after: int, tmp_path: Path
) -> None:
    target = tmp_path / f"video.{write.__name__[-3:]}"
    target.write_bytes(b"the video of before")

    def frames() -> Iterator[np.ndarray]:
        for _ in range(after):
            yield np.zeros((32, 32, 3), np.uint8)
        raise error

    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else (BadInput, OSError)
    with pytest.raises(expected):
        write(frames(), target, 4)
    assert names(tmp_path) == [target.name]
    assert target.read_bytes() == b"the video of before"


@pytest.mark.parametrize("write", [write_mp4, write_gif])
def test_videos_refuse_what_cannot_be_written(write: Any, tmp_path: Path) -> None:
    ending = f"a.{write.__name__[-3:]}"
    with pytest.raises(BadInput, match="no frames"):
        write([], tmp_path / ending, 4)
    with pytest.raises(BadInput) as caught:
        write([np.zeros((32, 32, 3), np.uint8)], tmp_path / "nowhere" / ending, 4)
    place = tmp_path / "nowhere" / ending
    reason = "No such file or directory; choose another folder or make room"
    assert str(caught.value) == f"cannot write {place}: {reason}"
    assert names(tmp_path) == []


def test_mp4_refuses_other_endings_and_frames_of_two_sizes(tmp_path: Path) -> None:
    frames = [np.zeros((32, side, 3), np.uint8) for side in (32, 32, 48)]
    with pytest.raises(BadInput, match=r"video\.webm: end its name in one of \.mp4"):
        write_mp4(frames, tmp_path / "video.webm", 4)
    with pytest.raises(BadInput, match=r"\(32, 32, 3\) and \(32, 48, 3\)"):
        write_mp4(frames, tmp_path / "video.mp4", 4)
    assert names(tmp_path) == []


FULL = """
import resource, signal, sys
import numpy as np
from gradcam_video.show import write_gif, write_mp4
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
rng = np.random.default_rng(0)
frames = (rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(40))
try:
    (write_mp4 if sys.argv[1].endswith("4") else write_gif)(frames, sys.argv[1], 12)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
@pytest.mark.parametrize("room", [0, 1, 30_000])
@pytest.mark.parametrize("name", ["video.mp4", "video.gif"])
def test_a_disk_that_takes_no_more_is_one_line(name: str, room: int, tmp_path: Path) -> None:
    target = tmp_path / name
    command = [sys.executable, "-c", FULL, str(target), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"BadInput cannot write {target}: File too large; choose another folder or make room\n"
    )
    assert names(tmp_path) == []


# --- sheet --------------------------------------------------------------------------------------


def words_of(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_sheet_shows_all_and_says_what_it_shows() -> None:
    e = synthetic(true_label="closing", untrained=True, remark="toy remark")
    figure = sheet(e)
    words = words_of(figure)
    for part in ("UNTRAINED", "“opening”", "true label: closing", "top 2: opening", "toy remark",
                 "strongest cell of this class's map"):  # fmt: skip
        assert part in words
    small = at_size(e, 120, 160)
    second = np.asarray(figure.drawing.picture)[:, 18 + 164 : 18 + 324]  # column of frames
    frame = resize(e.clip.frames[1], 120, 160)
    drawn = overlay(frame, small.upsampled_frame(1), seen=small.grid.view.seen())
    tops = [top for top in range(len(second) - 120) if (second[top : top + 120] == frame).all()]
    assert len(tops) == 1
    assert (second[tops[0] + 122 : tops[0] + 242] == drawn).all()


def test_a_page_shows_itself_once_and_as_a_jpeg(monkeypatch) -> None:
    from IPython.core.formatters import DisplayFormatter

    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    for page in (sheet(synthetic()), draw_filmstrip(synthetic())):
        assert DisplayFormatter().format(page) == ({}, {})  # it has shown itself: nothing is left
        (bundle,) = shown
        shown.clear()
        picture = Image.open(BytesIO(base64.b64decode(bundle["image/jpeg"])))
        wide, high = page.get_size_inches() * page.dpi
        assert picture.format == "JPEG"
        assert abs(picture.width - wide) <= 1 and abs(picture.height - high) <= 1


def test_sheet_of_an_empty_map_says_so() -> None:
    assert "No positive evidence for “empty”" in words_of(sheet(synthetic(), "empty"))


def test_bars_and_lines_of_a_sheet_are_where_their_frames_are() -> None:
    e = synthetic(frames=8, steps=8)
    own = e.evidence("closing")
    drawing = sheet(e, "closing").drawing
    first, last = (line.x for line in drawing.words if line.text in ("0.00 s", "1.75 s"))
    zero = round(next(line.baseline for line in drawing.words if line.text == "0") - 3.5)
    page = np.asarray(drawing.picture).astype(int)
    at = np.linspace(first, last, 8).round().astype(int)
    high = [(page[zero - 42 : zero, x].max(axis=1) < 250).sum() for x in at]
    assert np.abs(high - own / own.max() * 42 / 1.08).max() <= 1
    assert (page[zero - 5, (at[0] + at[1]) // 2] == 255).all()  # white between two bars
    assert tuple(page[zero - 5, at[-1]]) == (0xB4, 0x53, 0x09)  # a repeated frame

    two = sheet(e, ["closing", "opening"]).drawing
    words = {line.text: line for line in two.words}
    first, zero = round(words["0.00 s"].x), round(words["0"].baseline - 3.5)
    column = np.asarray(two.picture)[zero - 44 : zero, first].astype(int)  # both lines at frame 0
    most = max(e.evidence(name).max() for name in ("closing", "opening"))
    for name, colour in (("closing", (0xC2, 0x41, 0x0C)), ("opening", (0x1D, 0x4E, 0xD8))):
        place = np.abs(column - colour).sum(axis=1).argmin()
        assert abs(44 - place - e.evidence(name)[0] / most * 42 / 1.08) <= 1.5


@pytest.mark.parametrize("name", SHIPPED)
def test_colours_are_those_of_matplotlib(name: str) -> None:
    theirs = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    assert (palette(name) == theirs).all()
    with pytest.raises(ValueError, match="read-only"):
        palette(name)[0] = 0


def test_sheet_leaves_pyplot_alone() -> None:
    before = matplotlib.pyplot.get_fignums()
    sheet(synthetic(), ["opening", "closing"], scope="classes", cmap="jet")
    assert matplotlib.pyplot.get_fignums() == before


def test_sheet_of_a_long_clip_shows_sixteen_frames() -> None:
    long, short, one = (sheet(synthetic(20, 30, frames=n)).drawing for n in (90, 3, 1))
    assert long.picture.height > short.picture.height == one.picture.height
    times = [f"{t / 4:.2f} s" for t in (0, 30, 59, 89)]  # of 90 frames
    assert [line.text for line in long.words if line.align == "center"][:4] == times
    with pytest.raises(BadInput, match="columns"):
        sheet(synthetic(), columns=0)


# --- filmstrip -----------------------------------------------------------------------------------


def test_a_bar_of_a_filmstrip_stands_under_its_picture() -> None:
    e = synthetic(frames=8, steps=4)
    peak = int(e.evidence("closing").argmax())
    figure = draw_filmstrip(e, "closing", every=2, action=(2, 5), marked=(peak, peak))
    clip, heat, bars = figure.axes
    shown = [int(text.get_text()) for text in clip.texts]
    assert peak in shown and shown == list(range(peak % 2, 8, 2))
    assert clip.get_xlim() == heat.get_xlim() == bars.get_xlim()
    heights = {round(b.get_x() + b.get_width() / 2): b.get_height() for b in bars.patches[1:]}
    assert [heights[t] for t in range(8)] == pytest.approx(e.evidence("closing"))
    first = bars.patches[0].get_x()
    assert (first, bars.patches[0].get_width()) == (1.5, 4)  # the action, from edge to edge
    # The pictures, in their order, as the overlay draws them
    (frames,), (maps,) = clip.images, heat.images
    size = frames.get_array().shape[0], frames.get_array().shape[1] // 4
    small = at_size(e, *size)
    for i, t in enumerate(shown):
        part = slice(i * size[1], (i + 1) * size[1])
        picture = resize(e.clip.frames[t], *size)
        heat_there = small.upsampled_frame(t, "closing")
        drawn = overlay(picture, heat_there, cmap="jet", seen=small.grid.view.seen())
        assert (frames.get_array()[:, part] == picture).all()
        assert (maps.get_array()[:, part] == drawn).all()


def test_a_filmstrip_says_what_it_shows() -> None:
    e = synthetic(true_label="closing", untrained=True)
    words = words_of(draw_filmstrip(e, ["opening", "empty"], scope="classes"))
    for part in ("UNTRAINED", "true: closing", "top-2: opening", "map A: evidence for “opening”",
                 "weights: toy", "map B: evidence for “empty” (no positive evidence)"):  # fmt: skip
        assert part in words
    before = matplotlib.pyplot.get_fignums()
    with pytest.raises(BadInput, match="every"):
        draw_filmstrip(e, every=0)
    assert matplotlib.pyplot.get_fignums() == before


def test_written_sheet_equals_the_figure(tmp_path: Path) -> None:
    figure = sheet(synthetic())
    figure.write_png(tmp_path / "quick.png")
    figure.savefig(tmp_path / "slow.png")
    quick, slow = (
        np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        for name in ("quick.png", "slow.png")
    )
    assert quick.shape == slow.shape
    assert np.abs(quick - slow).mean() < 1


def test_no_words_leave_the_page() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = sheet(synthetic(40, 20, frames=2, true_label=LONG, remark=LONG), [LONG, "closing"])
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width + 1, text.get_text()
    page = figure.drawing.pixels()
    assert (page[:, :6] == 255).all() and (page[:, -6:] == 255).all()


LATE = """
import sys
before = set(sys.modules)
import numpy as np
from explanations import synthetic
from gradcam_video.show import blend, captions, frame_layout, html, look, notebook, video_writer
from gradcam_video.show import player_html
def loaded(*names):
    new = {name.split(".")[0] for name in set(sys.modules) - before} | set(sys.modules)
    return sorted(name for name in names if name in new)
heavy = "torch", "torchvision", "cv2", "ipywidgets", "anywidget", "traitlets", "jinja2", "tqdm"
rooms = [f"gradcam_video.{room}" for room in ("models", "attribution", "tabletop", "metrics")]
print(loaded(*heavy, *rooms, "matplotlib"))
e = synthetic()
assert player_html(e).startswith("<!DOCTYPE")
print(loaded(*heavy, *rooms, "matplotlib"))
e.save(sys.argv[1])
print(loaded(*heavy, *rooms, "matplotlib", "moviepy"))
"""


@pytest.mark.slow
def test_nothing_is_imported_before_it_is_used(tmp_path: Path) -> None:
    home = Path(__file__).resolve().parent
    env = {**os.environ, "PYTHONPATH": f"{home.parent}{os.pathsep}{home}"}
    command = [sys.executable, "-c", LATE, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines() == ["[]", "[]", "[]"]
    assert sorted(names(tmp_path / "out")) == sorted(FILES)


# --- folder -------------------------------------------------------------------------------------


def test_save_writes_six_files_that_open(tmp_path: Path) -> None:
    e = synthetic(true_label="closing")
    paths = save(e, tmp_path / "a" / "clip", arrays={"window_start": np.arange(2)})
    assert [p.name for p in paths] == list(FILES)
    assert sorted(names(tmp_path / "a" / "clip")) == sorted(FILES)
    with np.load(paths[4], allow_pickle=False) as held:
        assert np.array_equal(held["signed"], e.signed.astype(np.float16))
        assert "maps" not in held.files  # the ReLU of signed, and nothing twice
        assert (held["signed_unit"] == 1).all()
        assert held["labels"].tolist() == list(e.labels)
        largest = np.maximum(held["signed"], 0).reshape(6, -1).max(axis=1)
        assert np.allclose(largest[:5] / held["scales"][:5], 1, atol=5e-4)
        assert held["window_start"].tolist() == [0, 1]
        assert str(held["method"]) == "gradcam"
        assert {"classes", "logits", "times", "repeated"} <= set(held.files)
    summary = json.loads(paths[5].read_text("utf-8"))
    assert summary["top"][0] == ["opening", round(e.top(1)[0][1], 6)]
    assert summary["empty_classes"] == ["empty"]
    assert summary["true_label"] == "closing"
    assert summary["shown"] == ["opening"]
    with av.open(str(paths[0])) as video:
        assert sum(1 for _ in video.decode(video=0)) == 4
        assert video.streams.video[0].average_rate == 4  # the clip's own
    assert getattr(Image.open(paths[1]), "n_frames", 0) == 4
    assert Image.open(paths[2]).width >= 560


def test_save_shows_several_classes_and_takes_fps(tmp_path: Path) -> None:
    one = save(synthetic(), tmp_path / "one", "opening")
    two = save(synthetic(), tmp_path / "two", ["opening", LONG], fps=7.5)
    widths = [Image.open(paths[1]).width for paths in (one, two)]
    assert widths[1] > widths[0]
    with av.open(str(two[0])) as video:
        assert video.streams.video[0].average_rate == 7.5
    assert json.loads(two[5].read_text())["shown"] == ["opening", LONG]
    (other,) = (p for p in save(synthetic(), tmp_path / "other", LONG) if p.name == "player.html")
    assert f"<title>Grad-CAM: {LONG}</title>" in other.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["write_gif", "page_of", "write_mp4", "lay_out"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_save_leaves_what_was_there(
    broken: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradcam_video.show import export as module

    folder = tmp_path / "clip"
    before = {p.name: p.read_bytes() for p in save(synthetic(), folder)}

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, broken, fail)
    expected = BadInput if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        save(synthetic(seed=5), folder)
    if expected is BadInput:
        assert "No space left" in str(caught.value)
        assert str(folder) in str(caught.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    with pytest.raises(expected):
        save(synthetic(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_move_that_fails_takes_the_others_back(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    before = {p.name: p.read_bytes() for p in save(synthetic(), folder)}
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == folder / "player.html" and "old" not in self.parts:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(BadInput, match="Input/output error"):
            save(synthetic(seed=5), folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_save_refuses_bad_places_and_labels(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file"):
        save(synthetic(), tmp_path / "file")
    with pytest.raises(BadInput):
        save(synthetic(), tmp_path / "new", "no such class at all")
    with pytest.raises(BadInput, match="fps"):
        save(synthetic(), tmp_path / "new", fps=1e6)
    assert names(tmp_path) == ["file"]


def test_frames_are_read_one_by_one(tmp_path: Path) -> None:
    """A joined long video hands out frames lazily: nothing may ask for all at once."""
    e = synthetic(frames=6)
    frames = e.clip.frames

    class Lazy:
        shape = frames.shape

        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, t: int) -> np.ndarray:
            assert isinstance(t, int)
            return frames[t]

    object.__setattr__(e.clip, "frames", Lazy())
    assert len(save(e, tmp_path / "clip")) == 6
    assert sheet(e).drawing.pixels().any()
