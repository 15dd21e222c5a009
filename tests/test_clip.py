"""clip.py: the right frames, in the right colours, the right way up; and one clear line if not.

Every film made here carries the number of each frame in its picture, as eight black or white
columns: so the frames chosen are asserted by what is seen, not by what the code says it chose.
"""

from __future__ import annotations

import csv
import logging
import os
import re
import subprocess
import tracemalloc
import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from gradcam_video.data.clip import Clip, open_source, read_clip, read_windows
from gradcam_video.data.image_folder import clip_name, find_clips
from gradcam_video.data.timeline import Timeline
from gradcam_video.errors import BadInput

BITS = 8


def numbered(index: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A picture (H, W, 3) that shows its number in binary, most significant bit left."""
    height, width = size
    bits = [(index >> (BITS - 1 - b)) & 1 for b in range(BITS)]
    columns = np.repeat(np.array(bits, np.uint8) * 255, -(-width // BITS))[:width]
    return np.broadcast_to(columns[None, :, None], (height, width, 3)).copy()


def number(picture: np.ndarray) -> int:
    """Reads the number back; lossy codecs blur it, so the middle of each column is asked."""
    height, width = picture.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    bits = picture[height // 4 : -height // 4, centres].mean(axis=(0, 2)) > 127
    return int("".join("1" if bit else "0" for bit in bits), 2)


def seen(clip: Clip) -> list[int]:
    return [number(picture) for picture in clip.frames]


def film(
    path: Path,
    count: int = 0,
    *,
    rate: int = 12,
    pts: Sequence[int] | None = None,
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    gop: int = 12,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    form: str | None = None,
    prepare: Callable[[av.VideoStream], None] | None = None,
) -> Path:
    """Writes a film of numbered pictures; `pts` in units of 1 / 1000 s makes its rate vary."""
    with av.open(str(path), "w", format=form, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.gop_size = gop
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if prepare:
            prepare(stream)
        for k in range(count):
            picture = numbered(k, size) if pictures is None else pictures[k]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = k if pts is None else pts[k]
            frame.time_base = Fraction(1, rate) if pts is None else Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def ffmpeg(arguments: Sequence[str | Path]) -> None:
    """For what PyAV cannot write; the program comes with moviepy."""
    program = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-y", *map(str, arguments)], check=True)


def folder(path: Path, numbers: Sequence[int], name: str = "{:05d}.jpg") -> Path:
    path.mkdir()
    for k in numbers:
        Image.fromarray(numbered(k)).save(path / name.format(k), quality=95)
    return path


# --- which frames ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"bf": "2"}),
        ("mov", "libx264", {"bf": "0"}),
        ("mkv", "libx264", {"bf": "2"}),
        ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("avi", "mpeg4", {"bf": "0"}),
        ("avi", "mpeg4", {"bf": "2"}),
        ("ts", "libx264", {"bf": "2"}),
    ],
)
def test_every_third_of_twelve_a_second(
    tmp_path: Path, suffix: str, codec: str, options: dict[str, str]
) -> None:
    clip = read_clip(film(tmp_path / f"a.{suffix}", 46, codec=codec, options=options))
    assert seen(clip) == list(range(0, 46, 3))
    assert clip.times == pytest.approx(np.arange(16) / 4, abs=1e-3)  # mkv counts milliseconds
    assert not clip.repeated.any()
    assert clip.frames.dtype == np.uint8
    assert clip.size == (48, 64)
    assert clip.source == f"a.{suffix}"
    assert clip.note == ""
    assert clip.fps == 4
    assert clip.seconds == 4


def test_thirty_a_second_takes_the_frame_on_screen(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", 120, rate=30))
    # 0.25 s lies half-way between frame 7 (0.233 s) and 8 (0.267 s): frame 7 is on screen.
    assert seen(clip) == [int(7.5 * k) for k in range(16)]


def test_rate_that_varies(tmp_path: Path) -> None:
    # Quick for a second, one frame held for two seconds, quick again.
    pts = [*range(0, 1000, 100), *range(3000, 4000, 100)]
    path = film(tmp_path / "a.mkv", len(pts), pts=pts)
    clip = read_clip(path)
    expected = [max(k for k, at in enumerate(pts) if at <= t) for t in range(0, 4000, 250)]
    assert seen(clip) == expected == [0, 2, 5, 7, *[9] * 8, 10, 12, 15, 17]
    assert not clip.repeated.any()  # held in the file, not repeated by us
    assert "damaged" not in clip.note  # nor is it a hole: nothing lies between the packets


def test_gif_durations(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered(k)) for k in range(4)]
    path = tmp_path / "a.gif"
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=[1000, 250, 250, 500]
    )
    clip = read_clip(path, frames=8)
    assert seen(clip) == [0, 0, 0, 0, 1, 2, 3, 3]
    assert clip.times.tolist() == [0, 0, 0, 0, 1, 1.25, 1.5, 1.5]
    assert not clip.repeated.any()
    assert seen(read_clip(path, frames=10))[8:] == [3, 3]
    assert read_clip(path, frames=10).repeated.tolist() == [False] * 8 + [True] * 2


def test_centre_is_the_default_window(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 120)  # 10 s
    clip = read_clip(path)
    assert clip.start == 3
    assert seen(clip) == list(range(36, 84, 3))
    assert clip.note == "10.0 s video: explained 3.0–7.0 s; --windows all covers it whole"
    assert seen(read_clip(path, start=1)) == list(range(12, 60, 3))
    late = read_clip(path, start=8)
    assert seen(late)[:8] == list(range(96, 120, 3))
    assert seen(late)[8:] == [119] * 8
    assert late.repeated.tolist() == [False] * 8 + [True] * 8


def test_too_short_repeats_the_last_and_says_so(tmp_path: Path) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", 31))
    # 31 frames at 12 a second hold 11 moments a quarter of a second apart (30 / 12 = 2.5 s).
    assert seen(clip) == [*range(0, 31, 3), *[30] * 5]
    assert clip.repeated.tolist() == [False] * 11 + [True] * 5
    assert clip.times[11:].tolist() == pytest.approx([2.5] * 5)
    assert "5 of 16 frames are repeats" in clip.note


@pytest.mark.parametrize("fps", [4.0, None])
def test_one_frame(tmp_path: Path, fps: float | None) -> None:
    clip = read_clip(film(tmp_path / "a.mp4", 1, rate=1), fps=fps)
    assert seen(clip) == [0] * 16
    assert clip.repeated.tolist() == [False] + [True] * 15
    assert clip.fps == 4


def test_frames_as_they_are(tmp_path: Path) -> None:
    assert seen(read_clip(film(tmp_path / "a.mp4", 16, rate=5), fps=None)) == list(range(16))
    more = read_clip(film(tmp_path / "b.mp4", 48), fps=None)
    assert seen(more) == list(range(1, 48, 3))  # the middle one of each three
    assert more.note == "16 of 48 frames, spread evenly"
    assert more.fps == pytest.approx(4)
    fewer = read_clip(film(tmp_path / "c.mp4", 5), fps=None)
    assert seen(fewer) == [0, 1, 2, 3, *[4] * 12]
    assert fewer.repeated.sum() == 11
    assert seen(read_clip(tmp_path / "b.mp4", fps=None, start=2.0, frames=24)) == list(
        range(24, 48)
    )


def test_source_fps_overrides_the_file(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 46, rate=2)  # 12 a second, but the file says 2
    clip = read_clip(path, source_fps=12)
    assert seen(clip) == list(range(0, 46, 3))
    assert clip.times == pytest.approx(np.arange(16) / 4)
    told = read_clip(path)
    assert told.start == pytest.approx(9.5)
    assert "only 2 frames a second" in told.note
    assert told.fps == 4


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    pts = [5000 + 83 * k for k in range(46)]
    clip = read_clip(film(tmp_path / "a.mkv", 46, pts=pts))
    assert clip.times[0] == 0
    assert seen(clip)[:4] == [0, 3, 6, 9]


def test_bare_stream_without_timestamps(tmp_path: Path) -> None:
    path = film(tmp_path / "a.h264", 46, options={"bf": "2"}, form="h264")
    assert seen(read_clip(path, source_fps=12)) == list(range(0, 46, 3))


def test_stream_whose_key_frames_are_not_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Timeline._place

    def unmarked(timeline: Timeline, *arguments: Any) -> None:
        place(timeline, *arguments)
        timeline.keys = []  # as after a cut that lost the first of them

    monkeypatch.setattr(Timeline, "_place", unmarked)
    assert seen(read_clip(film(tmp_path / "a.mp4", 46))) == list(range(0, 46, 3))


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"}
    film(tmp_path / "a.webm", 20, codec="libvpx-vp9", options=options).rename(tmp_path / "a.mp4")
    assert seen(read_clip(tmp_path / "a.mp4", frames=4)) == [4, 7, 10, 13]
    odd = film(tmp_path / "b.mp4", 20).rename(tmp_path / "50%d: é?.txt")
    assert seen(read_clip(odd, frames=4)) == [4, 7, 10, 13]


def test_cut_by_an_edit_list(tmp_path: Path) -> None:
    """A phone's "trim" leaves the frames in the file and a list that says what to leave out."""
    film(tmp_path / "a.mp4", 60, gop=60)
    ffmpeg(["-ss", "0.5", "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4"])
    clip = read_clip(tmp_path / "b.mp4")
    assert seen(clip)[:4] == [9, 12, 15, 18]  # 4.5 s are left, from frame 6 on
    assert clip.start == pytest.approx(0.25)
    assert seen(read_clip(tmp_path / "b.mp4", start=0))[:3] == [6, 9, 12]


def test_first_of_several_streams(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 46)
    film(tmp_path / "b.mp4", 46, size=(64, 96), rate=6)
    write_sound(tmp_path / "c.wav")
    inputs = [x for name in ("a.mp4", "b.mp4", "c.wav") for x in ("-i", tmp_path / name)]
    ffmpeg([*inputs, "-map", "2", "-map", "0", "-map", "1", "-c:v", "copy", tmp_path / "d.mkv"])
    clip = read_clip(tmp_path / "d.mkv")
    assert clip.size == (48, 64)
    assert seen(clip) == list(range(0, 46, 3))
    assert clip.note == "video stream 1 of 2"


# --- folders of images -------------------------------------------------------------------------


def test_folder_of_numbered_images(tmp_path: Path) -> None:
    path = folder(tmp_path / "v1", range(1, 47))
    clip = read_clip(path)
    assert seen(clip) == list(range(1, 47, 3))
    assert clip.times == pytest.approx(np.arange(16) / 4)
    assert clip.source == "v1"
    assert seen(read_clip(path, source_fps=4)) == [*range(16, 32)]  # 46 images: 11.5 s, the middle
    assert seen(read_clip(path, fps=None, frames=46)) == list(range(1, 47))


def test_folder_order_is_natural_and_gaps_do_not_matter(tmp_path: Path) -> None:
    path = folder(tmp_path / "v", [1, 2, 9, 10, 11, 100], "img_{}.png")
    (path / "notes.txt").write_text("not an image")
    assert seen(read_clip(path, frames=6, fps=None)) == [1, 2, 9, 10, 11, 100]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: Image.new("RGB", (32, 32)).save(d / "00003.jpg"), ("00003.jpg", "32×32")),
        (lambda d: (d / "00003.jpg").write_bytes(b"\xff\xd8 no"), ("00003.jpg", "image")),
        (lambda d: Image.new("RGB", (64, 48)).save(d / "cover.jpg"), ("cover.jpg", "number")),
        (lambda d: Image.new("RGB", (64, 48)).save(d / "3.jpg"), ("3.jpg", "twice")),
        (lambda d: Image.new("RGB", (64, 48)).save(d / "other7.jpg"), ("other7.jpg", "series")),
        (lambda d: film(d / "a.mp4", 2), ("a.mp4", "video")),
        (lambda d: [file.unlink() for file in d.iterdir()], ("no numbered images",)),
        (
            lambda d: [Image.new("RGB", (64, 7)).save(file) for file in d.iterdir()],
            ("64×7", "00001.jpg"),
        ),
    ],
)
def test_folder_that_is_no_clip(
    tmp_path: Path, spoil: Callable[[Path], object], words: tuple[str, ...]
) -> None:
    path = folder(tmp_path / "v", range(1, 5))
    spoil(path)
    with pytest.raises(BadInput) as caught:
        read_clip(path, frames=4, fps=12)
    for word in (path.name, *words):
        assert word in str(caught.value)


def test_image_with_transparency_lies_on_white(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:, 8:] = (200, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "v" / "1.png")
    picture = read_clip(tmp_path / "v").frames[0]
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture[0, 15].tolist() == [200, 0, 0]


def test_image_turned_by_its_camera(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its left side: turn it clockwise
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :8] = 255  # white on the left, which is up once turned
    Image.fromarray(image).save(tmp_path / "v" / "1.jpg", exif=exif, quality=95)
    picture = read_clip(tmp_path / "v").frames[0]
    assert picture.shape == (32, 16, 3)
    assert picture[:6].mean() > 240
    assert picture[10:].mean() < 15


# --- the picture -------------------------------------------------------------------------------

# A display matrix, per turn of the picture: what the file says, and what has to come of it.
TURNS = [
    ("no turn", (1, 0, 0, 1), lambda p: p),
    ("90° counter-clockwise", (0, -1, 1, 0), lambda p: np.rot90(p)),
    ("90° clockwise", (0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    ("upside down", (-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    ("mirrored", (-1, 0, 0, 1), lambda p: p[:, ::-1]),
    ("mirrored and turned", (0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
]


@pytest.mark.parametrize(
    ("matrix", "turned"), [turn[1:] for turn in TURNS], ids=[t[0] for t in TURNS]
)
def test_upright(
    tmp_path: Path, matrix: tuple[int, ...], turned: Callable[[np.ndarray], np.ndarray]
) -> None:
    if not hasattr(av.VideoStream, "set_display_matrix"):
        pytest.skip("this PyAV cannot write a display matrix")
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:], picture[24:, :32] = (220, 30, 30), (30, 200, 30), 255
    a, b, c, d = (65536 * entry for entry in matrix)

    def prepare(stream: av.VideoStream) -> None:
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])

    path = film(tmp_path / "a.mp4", 4, pictures=[picture] * 4, prepare=prepare, pixels="yuv444p")
    got = read_clip(path, frames=1).frames[0]
    expected = turned(picture)
    assert got.shape == expected.shape
    # The edges between the colours blur a little; a wrong turn would differ everywhere.
    assert np.mean(np.abs(got.astype(int) - expected) > 12) < 0.05


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", None])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours(tmp_path: Path, matrix: str | None, full_range: bool, pixels: str) -> None:
    from av.video.reformatter import ColorRange, Colorspace

    wanted = np.array([200, 50, 20])
    size = (48, 64) if matrix else (720, 1280)  # HD that does not name its matrix is BT.709
    space = Colorspace.ITU601 if matrix == "bt601" else Colorspace.ITU709
    number_of = {"bt601": 6, "bt709": 1, None: 2}[matrix]
    span = ColorRange.JPEG if full_range else ColorRange.MPEG
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=12, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.codec_context.colorspace = number_of
        stream.codec_context.color_range = span
        rgb = av.VideoFrame.from_ndarray(np.full((*size, 3), wanted, np.uint8), format="rgb24")
        frame = rgb.reformat(format=pixels, dst_colorspace=space, dst_color_range=span)
        frame.pts, frame.time_base = 0, Fraction(1, 12)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    picture = read_clip(path, frames=1).picture(0)
    assert np.abs(picture.astype(int) - wanted).max() <= 4  # the wrong matrix is off by 12


def test_grey_and_odd_sizes(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 4, size=(47, 63), codec="ffv1", pixels="gray")
    clip = read_clip(path, fps=None, frames=4)
    assert clip.size == (47, 63)
    assert seen(clip) == [0, 1, 2, 3]
    assert np.ptp(clip.frames, axis=-1).max() == 0


def test_gif_with_transparency_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (16, 16), 0)
    image.putpalette([0, 0, 0, 200, 0, 0] + [0] * 762)
    image.paste(1, (8, 0, 16, 16))
    image.save(tmp_path / "a.gif", transparency=0)
    picture = read_clip(tmp_path / "a.gif", frames=1).frames[0]
    assert picture[8, 2].tolist() == [255, 255, 255]
    assert picture[8, 14].tolist() == [200, 0, 0]


def test_oblong_pixels_are_made_square(tmp_path: Path) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    clip = read_clip(film(tmp_path / "a.mp4", 16, prepare=prepare), fps=None)
    assert clip.size == (48, 85)
    assert seen(clip) == list(range(16))


def test_large_is_scaled_down_while_reading(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 16, size=(120, 320))
    clip = read_clip(path, fps=None, max_side=160)
    assert clip.size == (60, 160)
    assert clip.note == "320×120 scaled to 160×60"
    assert seen(clip) == list(range(16))
    assert read_clip(path, fps=None, max_side=None).size == (120, 320)


@pytest.mark.slow
def test_8k(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    film(path, 1, size=(4320, 7680), codec="mjpeg", pixels="yuvj420p")
    tracemalloc.start()
    clip = read_clip(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clip.size == (720, 1280)
    assert "7680×4320 scaled to 1280×720" in clip.note
    assert clip.repeated.sum() == 15
    assert seen(clip) == [0] * 16
    assert peak < 1.5 * clip.frames.nbytes


# --- long files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 s at 12 frames a second, a key frame every 2 s; it shows the second, 0 to 199."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    pictures = [numbered(k // 12) for k in range(2400)]
    options = {"preset": "ultrafast", "bf": "2"}
    return film(path, 2400, pictures=pictures, gop=24, options=options)


@pytest.mark.parametrize("start", [0, 1.5, 100, 190, 196])
def test_only_what_is_needed_is_decoded(
    long_film: Path, start: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="gradcam_video")
    tracemalloc.start()
    clip = read_clip(long_film, start=start)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen(clip) == [int(start + k / 4) for k in range(16)]
    decoded = sum(map(int, re.findall(r"(\d+) frames decoded", caplog.text)))
    assert decoded
    assert decoded <= 46 + 24  # the window, and at most the way there from the key frame before
    all_frames = 2400 * clip.frames[0].nbytes
    assert peak < all_frames / 10


def test_spread_over_a_long_file_seeks(long_film: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="gradcam_video")
    clip = read_clip(long_film, fps=None)
    assert seen(clip) == [int((k + 0.5) * 200 / 16) for k in range(16)]
    decoded = sum(map(int, re.findall(r"(\d+) frames decoded", caplog.text)))
    assert decoded
    assert decoded <= 16 * 25


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("count", [30, 48, 49, 121])
def test_windows_cover_everything(tmp_path: Path, count: int, overlap: float) -> None:
    path = film(tmp_path / "a.mp4", count)
    windows = list(read_windows(path, overlap=overlap))
    length, end = 4.0, count / 12
    starts = [clip.start for clip in windows]
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    assert all(b - a <= length * (1 - overlap) + 1e-9 for a, b in pairwise(starts))
    assert starts[-1] + length == pytest.approx(max(end, length))
    for clip in windows:
        assert (np.diff(clip.times) >= 0).all()
        assert clip.repeated.any() == (end < length - 0.25)
        assert seen(clip) == [
            min(int((clip.start + k / 4 + 1e-3) * 12), count - 1) for k in range(16)
        ]


@pytest.mark.parametrize("count", [10, 16, 40, 41])
def test_windows_of_frames_as_they_are(tmp_path: Path, count: int) -> None:
    path = film(tmp_path / "a.mp4", count)
    windows = [seen(clip) for clip in read_windows(path, fps=None)]
    assert set().union(*windows) == set(range(count))
    assert all(w == list(range(w[0], w[0] + 16)) for w in windows) or count < 16
    assert windows[-1][-1] == count - 1
    assert [w[0] for w in windows] == {
        10: [0],
        16: [0],
        40: [0, 8, 16, 24],
        41: [0, 8, 16, 24, 25],
    }[count]


def test_windows_of_a_folder(tmp_path: Path) -> None:
    windows = list(read_windows(folder(tmp_path / "v", range(1, 97))))  # 8 s
    assert [clip.start for clip in windows] == [0, 2, 4]
    assert seen(windows[-1])[-1] == 94
    assert windows[1].note == "window 2 of 3"


def test_windows_complain_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        read_windows(tmp_path / "none.mp4")
    with pytest.raises(BadInput, match="overlap"):
        read_windows(film(tmp_path / "a.mp4", 2), overlap=1)


# --- damage and bad input ----------------------------------------------------------------------


def pngs_with_damage(path: Path, damaged: Sequence[int]) -> Path:
    """A film of pngs, whose checksums tell damage for certain, with some of them broken."""
    film(path, 46, codec="png", pixels="rgb24")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for k in damaged:
        payload = bytes(packets[k])
        at = data.index(payload)
        data[at + 30 : at + len(payload)] = bytes(len(payload) - 30)
    path.write_bytes(data)
    return path


def test_damage_in_the_middle_is_bridged_and_said(tmp_path: Path) -> None:
    clip = read_clip(pngs_with_damage(tmp_path / "a.mov", [3, 6, 21]))
    expected = list(range(0, 46, 3))
    expected[1], expected[2], expected[7] = 2, 5, 20
    assert seen(clip) == expected
    assert "3 of 16 frames are damaged" in clip.note
    assert clip.times[7] == pytest.approx(20 / 12, abs=1e-3)
    assert not clip.repeated.any()


def test_damage_at_the_start_and_to_the_end(tmp_path: Path) -> None:
    clip = read_clip(pngs_with_damage(tmp_path / "a.mov", [0, 1, *range(37, 46)]))
    assert seen(clip) == [2, *range(3, 37, 3), 36, 36, 36]
    assert clip.repeated.tolist() == [False] * 13 + [True] * 3
    with pytest.raises(BadInput, match="not one frame"):
        read_clip(pngs_with_damage(tmp_path / "b.mov", range(46)))


def test_damaged_key_frame_shows_what_came_before(tmp_path: Path) -> None:
    """Seeking to a key frame that cannot be decoded must not end in a later picture."""
    path = film(tmp_path / "a.mov", 96, codec="mjpeg", pixels="yuvj420p")  # all are key frames
    with av.open(str(path)) as container:
        payloads = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at = data.index(payloads[48])
    data[at : at + len(payloads[48])] = bytes(len(payloads[48]))
    path.write_bytes(data)
    clip = read_clip(path, start=4.0, frames=4)
    assert seen(clip) == [47, 51, 54, 57]
    assert "1 of 4 frames are damaged" in clip.note


@pytest.mark.parametrize("share", [0.6, 0.95])
def test_cut_off(tmp_path: Path, share: float) -> None:
    path = film(tmp_path / "a.mp4", 120, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    clip = read_clip(path)
    assert "cut off" in clip.note
    assert "of 10.0 s" in clip.note
    assert seen(clip) == sorted(seen(clip))


SILENT = {  # suffix: codec and options
    "webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "mkv": ("libx264", {"bf": "2"}),
    "flv": ("libx264", {"bf": "0"}),
}


def heavy_film(path: Path) -> Path:
    """10 s that say how long they are in the container alone; a frame has some 400 bytes."""
    codec, options = SILENT[path.suffix[1:]]
    pictures = [numbered(k) for k in range(120)]
    rng = np.random.default_rng(0)
    for picture in pictures:
        picture[:8] = rng.integers(0, 255, (8, 64, 3))  # above where the number is read
    return film(path, 120, pictures=pictures, codec=codec, options=options)


@pytest.mark.parametrize("suffix", SILENT)
def test_cut_off_where_the_stream_has_no_length(tmp_path: Path, suffix: str) -> None:
    """FFmpeg calls the sudden end of such a file its end, as if the film were a shorter one."""
    path = heavy_film(tmp_path / f"a.{suffix}")
    assert open_source(path).note == ""
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    there = open_source(path)
    clip = read_clip(path, start=there.end - 2)
    assert re.search(r"cut off or damaged: only \d\.\d s of 10\.\d s are there", clip.note)
    assert clip.repeated.tolist() == [False] * 8 + [True] * 8
    assert len(set(seen(clip)[8:])) == 1
    assert seen(clip)[8] >= len(there.times) - 2  # of the very last, half may be there
    assert "cut off" in read_clip(path, source_fps=12).note
    path.write_bytes(data[: int(0.995 * len(data))])
    assert "cut off" not in read_clip(path).note  # a frame or two


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "fill"),  # noise ends an flv
    [("webm", "zeros"), ("webm", "noise"), ("mkv", "zeros"), ("mkv", "noise"), ("flv", "zeros")],
)
def test_hole_in_the_middle(tmp_path: Path, suffix: str, fill: str) -> None:
    """FFmpeg jumps over it, and the film would seem to stand still for a second."""
    path = heavy_film(tmp_path / f"a.{suffix}")
    with av.open(str(path)) as container:
        places = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(1).bytes(places[58] - places[50])
    data[places[50] : places[58]] = bytes(len(noise)) if fill == "zeros" else noise
    path.write_bytes(data)

    source = open_source(path)
    (hole,) = source.holes
    before, after = source.times[hole], source.times[hole + 1]
    assert abs(before - 49 / 12) < 0.2 < 0.5 < after - before
    assert f"damaged: {after - before:.1f} s are lost after {before:.1f} s" in source.note
    clip = read_clip(path)  # 3 to 7 s
    moments = 3 + np.arange(16) / 4
    assert clip.note.count(source.note) == 1
    standing = (moments >= before + 1 / 4) & (moments < after - 1e-3)
    assert standing.sum() >= 2
    assert clip.repeated.tolist() == standing.tolist()
    right = (moments < before - 1 / 12) | (moments >= after)
    assert np.array(seen(clip))[right].tolist() == [int(m * 12 + 1e-3) for m in moments[right]]
    # The frames as they are: nothing stands in, but the jump is said.
    assert not read_clip(path, fps=None).repeated.any()
    assert "damaged" in read_clip(path, fps=None).note


@pytest.mark.parametrize(
    "codecs", [["-c:v", "copy", "-c:a", "libopus", "a.mkv"], ["-b:v", "2M", "a.wmv"]]
)
def test_sound_that_is_longer_than_the_film_is_no_damage(
    tmp_path: Path, codecs: Sequence[str]
) -> None:
    *options, name = codecs
    write_sound(tmp_path / "a.wav", seconds=14)
    pictures = heavy_film(tmp_path / "film.mkv")
    inputs = ["-itsoffset", "3", "-i", pictures, "-i", tmp_path / "a.wav"]
    ffmpeg([*inputs, *options, tmp_path / name])
    source = open_source(tmp_path / name)
    assert source.note == ""
    assert source.end < 13.5


def write_sound(path: Path, seconds: int = 1) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000 * seconds))


def write_sound_with_cover(path: Path) -> None:
    write_sound(path.with_name("a.wav"))
    Image.new("RGB", (64, 48)).save(path.with_name("cover.png"))
    inputs = ["-i", path.with_name("a.wav"), "-i", path.with_name("cover.png")]
    ffmpeg(
        [*inputs, "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic", path]
    )


def cut_to(path: Path, share: float) -> None:
    data = film(path, 20).read_bytes()
    path.write_bytes(data[: int(share * len(data))])


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda p: None, "no such file"),
    "empty": (lambda p: p.write_bytes(b""), "0 bytes"),
    "noise": (lambda p: p.write_bytes(np.random.default_rng(1).bytes(5000)), "not a video"),
    "cut off before the index": (lambda p: cut_to(p, 0.3), "not a video"),
    "sound alone": (write_sound, "only sound"),
    "sound with a cover": (write_sound_with_cover, "only sound"),
    "text": (lambda p: p.write_text("not a film " * 99), "not a video"),
    "no frames": (lambda p: film(p, 0, codec="mpeg4"), ""),
    "low": (lambda p: film(p, 3, size=(6, 64)), "64×6 pixels"),
    "narrow": (lambda p: film(p, 3, size=(64, 6)), "6×64 pixels"),
    "folder without images": (lambda p: p.mkdir(), "no numbered images"),
    "dangling link": (lambda p: p.symlink_to("nowhere"), "no such file"),
    "not a file": (lambda p: os.mkfifo(p), "not a file"),
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file(tmp_path: Path, make: Callable[[Path], object], words: str) -> None:
    path = tmp_path / "film.mp4"
    make(path)
    with pytest.raises(BadInput) as caught:
        read_clip(path)
    message = str(caught.value)
    assert "film.mp4" in message
    assert words in message
    assert "; " in message  # what to do
    assert "\n" not in message


def test_a_text_is_not_typed_out_as_a_film(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("FFmpeg draws text files as pictures of a terminal.\n" * 9)
    with pytest.raises(BadInput, match=r"notes\.txt: no video"):
        read_clip(tmp_path / "notes.txt")


def test_no_read_permission(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 2)
    path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:  # root may read everything: be nobody for a moment
            os.seteuid(65534)
        with pytest.raises(BadInput, match="permission"):
            read_clip(path)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frames": 0}, "frames=0"),
        ({"frames": 2.5}, "frames=2.5"),
        ({"fps": 0}, "fps=0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"source_fps": -1}, "source_fps=-1"),
        ({"start": float("nan")}, "start=nan"),
        ({"start": -1}, "start=-1"),
        ({"start": 4.0}, "beyond its end (1.67 s)"),
        ({"start": 4.0, "fps": None}, "beyond its end (1.67 s)"),
        ({"max_side": 4}, "max_side=4"),
    ],
)
def test_bad_setting(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    path = film(tmp_path / "a.mp4", 20)
    with pytest.raises(BadInput) as caught:
        read_clip(path, **wrong)
    assert words in str(caught.value)


def test_clip_checks_its_arrays() -> None:
    frames, times, repeated = np.zeros((2, 8, 8, 3), np.uint8), np.zeros(2), np.zeros(2, bool)
    assert len(Clip(frames, times, repeated, "made")) == 2
    with pytest.raises(BadInput, match="made"):
        Clip(frames.astype(float), times, repeated, "made")
    with pytest.raises(BadInput, match="one of each per frame"):
        Clip(frames, times[:1], repeated, "made")


# --- finding and naming ------------------------------------------------------------------------


def test_find_clips(tmp_path: Path) -> None:
    film(tmp_path / "clip10.mp4", 2)
    film(tmp_path / "clip2.MKV", 2)
    (tmp_path / "._clip2.mp4").write_bytes(b"what a Mac leaves")
    (tmp_path / "labels.tsv").write_text("a\tb")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "cat.jpg")
    folder(tmp_path / "v1", [1, 2, 3])
    folder(tmp_path / "v1" / "deeper", [1, 2, 3])  # belongs to v1, which is one clip
    (tmp_path / "more" / ".hidden").mkdir(parents=True)
    film(tmp_path / "more" / ".hidden" / "a.mp4", 2)
    film(tmp_path / "more" / "a.mp4", 2)

    assert [p.relative_to(tmp_path).as_posix() for p in find_clips(tmp_path)] == [
        "clip2.MKV",
        "clip10.mp4",
        "more/a.mp4",
        "v1",
    ]
    assert find_clips(tmp_path / "v1") == [tmp_path / "v1"]
    assert find_clips(tmp_path / "labels.tsv") == [tmp_path / "labels.tsv"]
    with pytest.raises(BadInput, match=r"no clip .*cat\.jpg"):
        find_clips(tmp_path / "photos")
    with pytest.raises(BadInput, match="no such"):
        find_clips(tmp_path / "none")


def test_clip_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert clip_name("films/a.mp4") == "a.mp4"
    assert clip_name("films/v1/") == "v1"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert clip_name(".") == "here"


# --- real files --------------------------------------------------------------------------------


def test_every_real_clip(shared_data: Path) -> None:
    with (shared_data / "clips" / "clips.tsv").open(newline="") as file:
        facts = list(csv.DictReader(file, delimiter="\t"))
    assert len(facts) == 28
    assert {p.name for p in find_clips(shared_data / "clips")} == {fact["file"] for fact in facts}
    for fact in facts:
        width, height = map(int, fact["codec_size"].split()[1].split("x"))
        count, rate = int(fact["frames"]), float(fact["container_fps"])
        path = shared_data / "clips" / fact["file"]
        whole = read_clip(path, frames=count, fps=None)
        assert len(whole) == count and not whole.repeated.any(), path
        assert whole.times[-1] == pytest.approx((count - 1) / rate, abs=0.04), path
        assert "damaged" not in whole.note, path
        # One has oblong pixels: 340×256 that are to be seen as 16:9.
        expected = (256, 455) if path.name.startswith("k400") else (height, width)
        assert whole.size == expected, path
        assert read_clip(path).frames.shape == (16, *expected, 3)
        # However it is reached, a frame is the same frame.
        some = read_clip(path, frames=4, fps=None)
        chosen = [int((k + 0.5) * count / 4) for k in range(4)]
        assert (some.frames == whole.frames[chosen]).all(), path


def test_original_of_something_something(shared_data: Path) -> None:
    clip = read_clip(shared_data / "clips" / "ssv2_166766.mp4")  # webm under an mp4 name
    assert clip.frames.shape == (16, 240, 427, 3)
    assert clip.times == pytest.approx(np.arange(16) / 4, abs=1e-3)
    assert not clip.repeated.any()
    assert clip.note == ""


def test_real_webm_cut_off_anywhere(tmp_path: Path, shared_data: Path) -> None:
    whole = (shared_data / "clips" / "ssv2_166766.mp4").read_bytes()
    length = open_source(shared_data / "clips" / "ssv2_166766.mp4").end
    path = tmp_path / "a.webm"
    for tenth in range(2, 10):
        path.write_bytes(whole[: tenth * len(whole) // 10])
        source = open_source(path)
        assert length - source.end > 0.25
        assert "cut off" in source.note
        assert f"of {length:.1f} s are there" in source.note
