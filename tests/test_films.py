"""Every kind of film that people have: the right frames, at the right time, in the right colours.

Each kind stands for a public report, which it names. The films are made here, their frames carry
their numbers.
"""

from __future__ import annotations

import io
import logging
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from test_clip import ffmpeg, film, number, numbered, seen

import gradcam_video as gv
from gradcam_video.data.clip import open_source, read_clip
from gradcam_video.data.colours import BT601_TO_BT709
from gradcam_video.data.video_file import VideoFile

B_FRAMES = {"bf": "2"}
SIZE = (48, 64)
QUICK = {"bf": "2", "preset": "ultrafast"}


# --- seeking -----------------------------------------------------------------------------------

# (ending, codec, format): VideoIO.jl #427, in containers without an index a seek lands behind.
SEEKING = [
    ("mp4", "libx264", None),
    ("mp4", "mpeg4", None),
    ("mkv", "libx264", None),
    ("ts", "libx264", None),
    ("ts", "mpeg4", None),
    ("ts", "mpeg2video", None),
    ("ts", "libx265", None),
    ("mpg", "mpeg2video", None),
    ("mpg", "mpeg4", None),
    ("vob", "mpeg2video", None),
    ("m2ts", "libx264", "mpegts"),
    ("flv", "libx264", None),
    ("mov", "mpeg4", None),
    ("asf", "mpeg4", None),
    ("webm", "libvpx-vp9", None),
    ("mxf", "mpeg2video", None),
    ("ogv", "libtheora", None),
    ("nut", "mpeg4", None),
    ("avi", "mpeg4", None),
    ("avi", "mpeg2video", None),
    ("avi", "libx264", None),
    ("h264", "libx264", None),
    ("m2v", "mpeg2video", "mpeg2video"),
    ("m4v", "mpeg4", "m4v"),
]


def decoded_for(log: pytest.LogCaptureFixture) -> int:
    """How many frames were decoded since `log` was cleared."""
    found = [re.search(r"(\d+) frames decoded", line) for line in log.messages]
    return sum(int(match[1]) for match in found if match)


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "codec", "form"), SEEKING)
def test_a_window_in_the_middle_is_right_and_costs_a_key_frame_interval(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str, codec: str, form: str | None
) -> None:
    options = {"bf": "2"} if codec in ("libx264", "mpeg4", "mpeg2video") else {}
    if codec == "libvpx-vp9":
        options = {"deadline": "realtime", "cpu-used": "8"}
    if codec in ("libx265", "libtheora") and codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    if codec == "libx265":
        options = {"x265-params": "log-level=none"}
    if ending == "mxf":
        options |= {"b": "4M"}
    size = (720, 1280) if ending == "mxf" and codec != "mpeg2video" else (96, 128)
    count, gop = 255, 30
    path = film(
        tmp_path / f"a.{ending}",
        count,
        rate=25,
        size=size,
        codec=codec,
        gop=gop,
        options=options,
        form=form,
        pixels="yuv422p" if codec == "mjpeg" else "yuv420p",
    )
    caplog.set_level(logging.DEBUG, logger="gradcam_video")
    for start in (3.3, 6.1, 8.2):
        caplog.clear()
        clip = read_clip(path, frames=4, fps=5, start=start)
        at = np.round((start + np.arange(4) / 5) * 25 - 0.499).astype(int)
        assert np.abs(np.array(seen(clip)) - at).max() <= 1, (start, seen(clip), at)
        assert np.diff(seen(clip)).tolist() == pytest.approx([5, 5, 5], abs=1)
        assert not clip.repeated.any() and "damaged" not in clip.note
        # The window's own 16 frames, a key frame interval before, and the decoder's threads.
        assert decoded_for(caplog) <= 16 + gop + 12


def joined(tmp_path: Path, ending: str, codec: str) -> tuple[Path, int]:
    parts = []
    for k, first in enumerate((0, 100)):
        pictures = [numbered(first + n) for n in range(60)]
        parts.append(
            film(
                tmp_path / f"{k}.{ending}",
                60,
                rate=30,
                codec=codec,
                options=B_FRAMES,
                pictures=pictures,
            ).read_bytes()
        )
    path = tmp_path / f"both.{ending}"
    path.write_bytes(b"".join(parts))
    return path, 60


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("ts", "libx264"), ("ts", "mpeg2video"), ("vob", "mpeg2video"), ("mpg", "mpeg4")],
)
def test_two_recordings_end_to_end_are_one_film(tmp_path: Path, ending: str, codec: str) -> None:
    """ffms2 #258: the second one's timestamps begin anew, and its frames came between the first's.

    So are the files of dash cams put together, and the pieces of a stream that was downloaded.
    """
    path, count = joined(tmp_path, ending, codec)
    video = open_source(path)
    assert len(video.times) == 2 * count
    assert video.end == pytest.approx(4, abs=1 / 30)
    wanted = [0, 15, 30, 45, 100, 115, 130, 145]
    clip = read_clip(path, frames=8, fps=2, start=0.001)
    assert seen(clip) == wanted
    assert "2 recordings" in clip.note and "damaged" not in clip.note
    # And a window in the second alone, to which one has to seek.
    assert seen(read_clip(path, frames=3, fps=2, start=2.501)) == wanted[5:]


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("mp4", "libx264"), ("avi", "mpeg4"), ("h264", "libx264"), ("vob", "mpeg2video")],
)
def test_windows_decode_every_frame_once(tmp_path: Path, ending: str, codec: str) -> None:
    """Else the time for a film that cannot be sought in grows with the square of its length."""
    path = film(tmp_path / f"a.{ending}", 240, codec=codec, options=B_FRAMES)
    video = open_source(path)
    for start in range(0, 17, 2):  # windows of 4 s, each half of the one before
        at = np.arange(start * 12, min(start * 12 + 48, 240), 3)
        pictures, shown, note = video.read(at)
        assert [number(p) for p in pictures] == at.tolist() == shown.tolist() and note == ""
    assert isinstance(video, VideoFile)
    assert video.decoded <= 240


def test_reading_backwards_and_twice(tmp_path: Path) -> None:
    video = open_source(film(tmp_path / "a.mp4", 60))
    for at in ([40, 44], [10, 41], [41, 41, 59], [0, 59], [59]):
        pictures, shown, _ = video.read(np.array(at))
        assert [number(p) for p in pictures] == at == shown.tolist()


# --- which pictures ----------------------------------------------------------------------------


def test_the_default_stream_is_the_film(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 46)
    film(tmp_path / "b.mp4", 46, size=(64, 96), rate=6)
    inputs = [x for name in ("b.mp4", "a.mp4") for x in ("-i", tmp_path / name)]
    marks = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
    ffmpeg([*inputs, "-map", "0", "-map", "1", "-c", "copy", *marks, tmp_path / "d.mkv"])
    clip = read_clip(tmp_path / "d.mkv")
    assert clip.size == SIZE and seen(clip) == list(range(0, 46, 3))
    assert clip.note == "video stream 2 of 2"


@pytest.mark.parametrize("ending", ["mkv", "mp4", "ts"])
def test_a_preview_of_one_picture_is_not_the_film(tmp_path: Path, ending: str) -> None:
    """pytorch/vision #3788 and others take the first stream, whatever it is."""
    film(tmp_path / "one.mp4", 1, size=(96, 128))
    film(tmp_path / "a.mp4", 46)
    inputs = ["-i", tmp_path / "one.mp4", "-i", tmp_path / "a.mp4", "-map", "0", "-map", "1"]
    ffmpeg([*inputs, "-c", "copy", tmp_path / f"b.{ending}"])
    clip = read_clip(tmp_path / f"b.{ending}")
    assert seen(clip) == list(range(0, 46, 3)) and "stream 2 of 2" in clip.note


def test_a_size_that_changes_on_the_way_is_letterboxed_and_said(tmp_path: Path) -> None:
    """torchcodec #312, LAVFilters #606: frames of another size were stretched, silently."""
    white = [np.full((64, 64, 3), 255, np.uint8)] * 24
    wide, square = tmp_path / "wide.ts", tmp_path / "square.ts"
    film(wide, 24, size=(48, 96), pictures=[np.full((48, 96, 3), 255, np.uint8)] * 24)
    film(square, 24, size=(64, 64), pictures=white)
    path = tmp_path / "both.ts"
    path.write_bytes(wide.read_bytes() + square.read_bytes())
    clip = read_clip(path, frames=16, fps=4, start=0)
    assert clip.size == (48, 96)
    assert clip.frames[0].min() > 250
    last = clip.frames[-1].mean((0, 2))
    assert last[:22].max() < 5 and last[-22:].max() < 5 and last[26:-26].min() > 250
    assert "64×64 letterboxed into 96×48" in clip.note


def test_pixels_whose_shape_changes_on_the_way(tmp_path: Path) -> None:
    """The same frame size, but from the second recording on its pixels are twice as wide."""
    film(tmp_path / "a.ts", 24, size=(48, 96))
    film(tmp_path / "b.mp4", 24, size=(48, 96))
    ffmpeg(["-i", tmp_path / "b.mp4", "-vf", "setsar=2/1", "-c:v", "libx264", tmp_path / "b.ts"])
    path = tmp_path / "both.ts"
    path.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    clip = read_clip(path, frames=16, fps=4, start=0)
    assert clip.size == (48, 96) and "letterboxed" in clip.note
    rows = [frame.mean((1, 2)) for frame in clip.frames]
    assert rows[7][:6].mean() > 20  # the last of the first recording fills the frame
    assert rows[-1][:10].max() < 5 and rows[-1][-10:].max() < 5  # 192×48 in 96×48: 24 rows


def with_clap(path: Path, box: tuple[int, ...]) -> None:
    """Puts a clean aperture into the one track of an mp4 whose index comes last."""
    data = bytearray(path.read_bytes())
    trail: list[int] = []

    def find(begin: int, end: int, names: list[bytes]) -> int:
        while begin < end:
            size, name = struct.unpack(">I4s", data[begin : begin + 8])
            if name == names[0]:
                trail.append(begin)
                inside = begin + 8 + (8 if name == b"stsd" else 0)
                return find(inside, begin + size, names[1:]) if len(names) > 1 else begin + size
            begin += size
        raise AssertionError(names)

    end = find(0, len(data), [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"])
    clap = struct.pack(">I4s2I2IiIiI", 40, b"clap", *box)
    data[end:end] = clap
    for at in trail:
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + len(clap))
    path.write_bytes(data)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_what_the_container_cuts_away_is_cut_away(tmp_path: Path, ending: str) -> None:
    """mpv #16278, FFmpeg's ticket 7437: `clap` and `PixelCrop`, that FFmpeg's program obeys."""
    picture = np.full((96, 128, 3), 0, np.uint8)
    picture[16:80] = 255
    path = film(tmp_path / "a.mp4", 4, size=(96, 128), pictures=[picture] * 4)
    with_clap(path, (128, 1, 64, 1, 0, 1, 0, 1))
    if ending == "mkv":
        ffmpeg(["-i", path, "-c", "copy", tmp_path / "a.mkv"])
        path = tmp_path / "a.mkv"
        assert b"\x54\xbb" in path.read_bytes()  # PixelCropTop
    clip = read_clip(path, frames=1)
    assert clip.size == (64, 128)
    assert clip.frames.min() > 250


def test_a_clean_aperture_out_of_the_picture_is_not_obeyed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 4)
    with_clap(path, (64, 1, 48, 1, 9, 1, 0, 1))
    assert read_clip(path, frames=1).size == SIZE


def test_interlaced_frames_are_made_whole_and_it_is_said(tmp_path: Path) -> None:
    """VideoIO.jl #194, vllm #47853: a thing that moves was combed."""

    def bar(k: int) -> np.ndarray:
        picture = np.full((96, 256, 3), 30, np.uint8)
        picture[:, 4 + 4 * k : 44 + 4 * k] = 220
        return picture

    fields = film(
        tmp_path / "f.mkv",
        48,
        rate=50,
        size=(96, 256),
        codec="ffv1",
        pixels="yuv420p",
        pictures=[bar(k) for k in range(48)],
    )
    path = tmp_path / "a.mpg"
    interlace = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ilme+ildct"]
    ffmpeg(["-i", fields, *interlace, "-c:v", "mpeg2video", "-q:v", "2", path])
    clip = read_clip(path, frames=6, fps=5, start=0.1)
    for frame, time in zip(clip.frames[:4], clip.times, strict=False):
        left = [int(np.flatnonzero(row > 127)[0]) for row in frame[40:60, :, 0]]
        assert max(left) - min(left) <= 1
        # The upper field is the earlier one: it is of field number 2 · time · 25.
        assert left[0] == pytest.approx(4 + 4 * round(time * 50), abs=4)
    assert "deinterlaced" in clip.note
    assert "interlaced" not in read_clip(film(tmp_path / "b.mpg", 24, codec="mpeg2video")).note


# --- colours -----------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparent_webm_lies_on_white(tmp_path: Path, codec: str) -> None:
    """mpv #10304: FFmpeg's own decoders of VP8 and VP9 leave the alpha out, and black remains."""
    picture = np.zeros((48, 64, 4), np.uint8)
    picture[:, 32:] = (200, 50, 20, 255)
    Image.fromarray(picture).save(tmp_path / "a.png")
    path = tmp_path / "a.webm"
    more = ["-auto-alt-ref", "0"] if codec == "libvpx" else []
    still = ["-loop", "1", "-r", "1", "-t", "4", "-i", tmp_path / "a.png"]
    ffmpeg([*still, "-c:v", codec, "-pix_fmt", "yuva420p", "-b:v", "2M", *more, path])
    clip = read_clip(path, frames=2)
    assert np.abs(clip.frames[0, 24, 10].astype(int) - 255).max() <= 3
    assert np.abs(clip.frames[0, 24, 54].astype(int) - (200, 50, 20)).max() <= 6
    assert "damaged" not in clip.note


def test_alpha_between_the_packets_is_no_damage(tmp_path: Path) -> None:
    """Where a frame lasts a second, and its alpha takes more bytes than a container's own ado."""
    rng = np.random.default_rng(0)
    for k in range(6):
        Image.fromarray(rng.integers(0, 256, (96, 128, 4), np.uint8)).save(tmp_path / f"{k}.png")
    path = tmp_path / "a.webm"
    pictures = ["-framerate", "1", "-i", tmp_path / "%d.png"]
    ffmpeg([*pictures, "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "4M", path])
    video = open_source(path)
    assert video.note == "" and len(video.holes) == 0 and len(video.times) == 6


def test_a_palette_with_a_transparent_colour_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("P", (64, 48), 0)
    picture.putpalette([0, 0, 0, 200, 50, 20] + [0] * 762)
    picture.paste(1, (32, 0, 64, 48))
    path = tmp_path / "p.gif"
    picture.save(path, save_all=True, append_images=[picture] * 3, transparency=0, duration=100)
    assert read_clip(path, frames=1).frames[0, 24, [10, 54]].tolist() == [[255] * 3, [200, 50, 20]]


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "gray12le"])
@pytest.mark.parametrize("span", ["limited", "full"])
def test_grey_in_limited_range(tmp_path: Path, pixels: str, span: str) -> None:
    """LAVFilters #623: black stayed 16 and white 235. FFmpeg's scaler takes all grey for full."""
    if "libx265" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libx265")
    black, white = (16, 235) if span == "limited" else (0, 255)
    picture = np.full((96, 128), black, np.uint8)
    picture[:, 64:] = white
    raw, path = tmp_path / "a.png", tmp_path / "a.mp4"
    Image.fromarray(picture).save(raw)
    lossless = f"lossless=1:range={span}:log-level=none"
    one = ["-loop", "1", "-t", "1", "-r", "4", "-i", raw, "-vf", "scale=in_range=pc:out_range=pc"]
    ffmpeg([*one, "-c:v", "libx265", "-x265-params", lossless, "-pix_fmt", pixels, path])
    frame = read_clip(path, frames=1).frames[0]
    assert frame[48, 20].tolist() == pytest.approx([0] * 3, abs=3)
    assert frame[48, 108].tolist() == pytest.approx([255] * 3, abs=3)


def flat(path: Path, rgb: Sequence[int], size: tuple[int, int], matrix: str | None) -> Path:
    """A film of one colour, converted with a matrix that it does not name."""
    picture = np.full((*size, 3), rgb, np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=4, options={"qp": "0", "preset": "ultrafast"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv444p", dst_colorspace=matrix)
        for k in range(4):
            frame.pts = k
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


RGB = (180, 60, 90)


@pytest.mark.parametrize("size", [(480, 640), (720, 1280)])
@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
def test_a_film_that_names_no_matrix(tmp_path: Path, size: tuple[int, int], matrix: str) -> None:
    """torchcodec #1270, OpenCV #7811: networks are trained with BT.601, players show BT.709."""
    path = flat(tmp_path / "a.mp4", RGB, size, matrix)
    clip = read_clip(path, frames=1)
    network = RGB if matrix == "ITU601" else np.linalg.inv(BT601_TO_BT709) @ RGB
    assert np.abs(clip.frames[0, 9, 9] - np.array(network)).max() <= 3
    seen_by_people = {
        ("ITU601", 480): RGB,
        ("ITU709", 480): network,
        ("ITU601", 720): BT601_TO_BT709 @ RGB,
        ("ITU709", 720): RGB,
    }[matrix, size[0]]
    assert np.abs(clip.picture(0)[9, 9] - np.array(seen_by_people)).max() <= 3
    for untagged in ("bt601", "bt709"):
        clip = read_clip(path, frames=1, untagged=untagged)
        right = RGB if untagged.replace("bt", "ITU") == matrix else None
        assert clip.to_screen is None
        if right:
            assert np.abs(clip.frames[0, 9, 9] - np.array(right)).max() <= 3
    with pytest.raises(gv.BadInput, match=r"untagged='bt2020': use one of auto, bt601, bt709"):
        read_clip(path, untagged="bt2020")  # ty: ignore[invalid-argument-type]


def test_what_pyav_gives_is_what_the_network_gets(tmp_path: Path) -> None:
    """As networks' training reads it: `to_ndarray` without a word about colours."""
    path = flat(tmp_path / "a.mp4", RGB, (720, 1280), "ITU709")
    with av.open(str(path)) as container:
        plain = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(read_clip(path, frames=1).frames[0].astype(int) - plain).max() <= 1


def pq(nits: float) -> float:
    """Light to signal, 0..1: SMPTE ST 2084."""
    light = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375


@pytest.mark.slow
def test_hdr_is_brought_to_bt709_and_said(tmp_path: Path) -> None:
    """Shown as it is, paper white (203 nits, ITU-R BT.2408) is a middle grey, 147 of 255."""
    if "libx265" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libx265")
    nits = [0, 1, 10, 50, 100, 203, 400, 1000]
    picture = np.zeros((96, 192, 3), np.uint16)
    for k, light in enumerate(nits):
        picture[:, 24 * k : 24 * (k + 1)] = round(pq(light) * 65535)
    (tmp_path / "a.raw").write_bytes(picture.tobytes() * 3)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "192x96", "-r", "10"]
    colours = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited"
    convert = ["-vf", "scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv420p10le"]
    x265 = ["-c:v", "libx265", "-x265-params", f"lossless=1:log-level=none:{colours}"]
    tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    ffmpeg([*raw, "-i", tmp_path / "a.raw", *convert, *x265, *tags, tmp_path / "a.mp4"])
    clip = read_clip(tmp_path / "a.mp4", frames=1)
    patches = clip.frames[0, 48, 12::24].astype(int)
    assert np.ptp(patches, axis=1).max() <= 2  # grey stays grey
    levels = patches[:, 0]
    assert (np.diff(levels) > 10).all() and levels[0] <= 2  # nothing is cut off
    assert levels[nits.index(203)] > 150 and levels[-1] > 200
    assert "HDR colours brought to BT.709" in clip.note
    # As a phone held upright films: the filter keeps what turns the picture.
    ffmpeg(["-display_rotation", "90", "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4"])
    upright = read_clip(tmp_path / "b.mp4", frames=1)
    assert np.array_equal(upright.frames[0], np.rot90(clip.frames[0]))


@pytest.mark.slow
@pytest.mark.parametrize("rgb", [(128, 128, 128), (110, 130, 120), (150, 140, 100)])
def test_wide_gamut_is_brought_to_bt709_and_said(tmp_path: Path, rgb: tuple[int, ...]) -> None:
    """The numbers of BT.2020's colours shown as BT.709's are too pale: ITU-R BT.2087, 2.2."""
    if "libx265" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libx265")
    to_bt709 = np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
    )
    picture = np.broadcast_to(np.array(rgb, np.uint8), (96, 128, 3))
    (tmp_path / "a.raw").write_bytes(picture.tobytes() * 4)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "128x96", "-r", "4"]
    colours = "colorprim=bt2020:transfer=bt709:colormatrix=bt2020nc:range=limited"
    convert = ["-vf", "scale=out_color_matrix=bt2020nc:out_range=tv,format=yuv444p"]
    x265 = ["-c:v", "libx265", "-x265-params", f"lossless=1:log-level=none:{colours}"]
    tags = ["-color_primaries", "bt2020", "-color_trc", "bt709", "-colorspace", "bt2020nc"]
    ffmpeg([*raw, "-i", tmp_path / "a.raw", *convert, *x265, *tags, tmp_path / "a.mp4"])
    clip = read_clip(tmp_path / "a.mp4", frames=1)
    light = to_bt709 @ (np.array(rgb) / 255) ** 2.4
    # FFmpeg's table is coarse: to 5 levels. As they are, the last colour is off by 10.
    assert np.abs(clip.frames[0, 40, 40] - light ** (1 / 2.4) * 255).max() <= 5
    assert "wide-gamut colours brought to BT.709" in clip.note


# --- motion JPEG with EXIF ---------------------------------------------------------------------


def jpeg(k: int, orientation: int | None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    if orientation:
        exif[0x0112] = orientation
    data = io.BytesIO()
    Image.fromarray(numbered(k)).save(data, "JPEG", quality=95, exif=exif)
    return data.getvalue()


TURNS: dict[int | None, Callable[[np.ndarray], np.ndarray]] = {
    None: lambda p: p,
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("orientation", list(TURNS))
def test_motion_jpeg_whose_pictures_carry_exif(tmp_path: Path, orientation: int | None) -> None:
    """PyAV #2392: a kind of side data that PyAV has no name for raised ValueError."""
    (tmp_path / "a.mjpeg").write_bytes(b"".join(jpeg(k, orientation) for k in range(24)))
    path = tmp_path / "a.avi"
    ffmpeg(["-f", "mjpeg", "-r", "12", "-i", tmp_path / "a.mjpeg", "-c", "copy", path])
    clip = read_clip(path, frames=4, fps=None)
    wanted = TURNS[orientation](numbered(3))
    assert clip.size == wanted.shape[:2]
    assert np.abs(clip.frames[0].astype(int) - wanted).max() <= 16  # numbers 3, 9, 15, 21


# --- pace --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [12, 24, 50, 60])
@pytest.mark.parametrize(("ending", "codec"), [("h264", "libx264"), ("hevc", "libx265")])
def test_bare_pictures_at_their_own_rate(
    tmp_path: Path, rate: int, ending: str, codec: str
) -> None:
    """FFmpeg gives all of them 25 frames a second; what they are is in the pictures' header."""
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else B_FRAMES
    path = film(
        tmp_path / f"a.{ending}", 48, rate=rate, size=(96, 128), codec=codec, options=options
    )
    video = open_source(path)
    assert video.end == pytest.approx(48 / rate) and video.note == ""
    assert seen(read_clip(path, frames=4, fps=None)) == [6, 18, 30, 42]


def test_bare_pictures_that_say_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(jpeg(k, None) for k in range(50)))
    assert open_source(path).end == pytest.approx(2)
    assert "25 taken; source_fps= says another" in open_source(path).note
    assert open_source(path, source_fps=10).end == pytest.approx(5)
    assert open_source(path, source_fps=10).note == ""


@pytest.mark.parametrize(("delay", "shown"), [(10, 0.1), (20, 0.02), (50, 0.05), (100, 0.1)])
def test_a_gif_in_a_hurry_is_as_slow_as_browsers_show_it(
    tmp_path: Path, delay: int, shown: float
) -> None:
    """Chrome, Firefox and Safari give 100 ms to a picture that asks for 10 or less."""
    pictures = [Image.fromarray(numbered(k)) for k in range(8)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delay)
    video = open_source(path)
    assert video.times == pytest.approx(np.arange(8) * shown)
    assert video.end == pytest.approx(8 * shown)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [("ts", "libx264"), ("ts", "mpeg2video"), ("vob", "mpeg4"), ("mpg", "mpeg2video")],
)
def test_what_is_there_of_a_torn_stream_is_at_its_time(
    tmp_path: Path, ending: str, codec: str
) -> None:
    """A recording that begins between key frames, and one that has lost a part."""
    pictures = [numbered(k) for k in range(200)]
    path = film(
        tmp_path / f"a.{ending}",
        200,
        rate=25,
        gop=30,
        codec=codec,
        options=B_FRAMES,
        pictures=pictures,
    )
    data = path.read_bytes()
    path.write_bytes(data[len(data) * 4 // 10 :])
    times = open_source(path).times
    clip = read_clip(path, frames=6, fps=5, start=1.3)
    assert np.diff(seen(clip)).tolist() == [5] * 5  # one frame is on screen for 0.04 s
    first = seen(read_clip(path, frames=1, start=0.0))[0]
    assert 60 < first < 130  # no garbage, which has any number
    assert seen(clip)[0] - first == pytest.approx(1.3 * 25, abs=40) and len(times) < 160

    path.write_bytes(data[: len(data) // 3] + data[len(data) // 2 :])
    video = open_source(path)
    assert video.end == pytest.approx(8, abs=0.05)
    behind = seen(read_clip(path, frames=4, fps=5, start=6.2))
    assert behind == pytest.approx([155, 160, 165, 170], abs=1)
    assert np.diff(behind).tolist() == [5, 5, 5]
    assert seen(read_clip(path, frames=4, fps=5, start=0.2)) == [5, 10, 15, 20]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "flv", "ts"])
def test_a_film_that_begins_late_is_not_damaged(tmp_path: Path, ending: str) -> None:
    """An empty edit, or sound that begins two seconds before the pictures."""
    film(tmp_path / "a.mp4", 36)
    sound = ["-f", "lavfi", "-i", "sine=d=5:r=44100", "-map", "0:v", "-map", "1:a"]
    path = tmp_path / f"b.{ending}"
    late = ["-itsoffset", "2", "-i", tmp_path / "a.mp4"]
    ffmpeg([*late, *sound, "-c:v", "copy", "-c:a", "aac", path])
    video = open_source(path)
    assert len(video.times) == 36 and video.end == pytest.approx(3, abs=0.05)
    assert video.note == "" and len(video.holes) == 0
