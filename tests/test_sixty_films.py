"""Sixty films, one command: the right frame at every moment, the right length, the right colours.

Rates from 1 to 60 a second in the containers that people have, pauses, pictures that move, a
folder, bare pictures; and one among them that is no film.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from test_clip import number, numbered

from gradcam_video.cli.parser import main
from gradcam_video.data.clip import read_clip

SIZE = (96, 128)
SECONDS = 5
PATCH = (180, 60, 90)  # the lowest eighth of every picture
RATES = (1, 2, 5, 10, 12, 15, 24, 25, 30, 50, 60)
NTSC = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001))
FPS, FRAMES = 4, 16


def picture(k: int) -> np.ndarray:
    made = numbered(k % 256, SIZE)
    made[-SIZE[0] // 8 :] = PATCH
    return made


def write(path: Path, times: list[Fraction], codec: str = "libx264", rate: Fraction | None = None):
    """A film whose frame k appears at times[k], in seconds."""
    with av.open(str(path), "w") as out:
        exact = rate or Fraction(1000)
        options = (
            {"crf": "4", "preset": "ultrafast"}
            if codec == "libx264"
            else {"qmin": "1", "qmax": "1"}
        )
        stream = out.add_stream(codec, rate=exact, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.gop_size = "yuv420p", 24
        if codec != "libx264":
            stream.bit_rate = 8_000_000
        stream.codec_context.time_base = 1 / exact
        for k, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
            frame.pts, frame.time_base = round(time * exact), 1 / exact
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def at_rate(
    ending: str, rate: Fraction, codec: str = "libx264"
) -> Callable[[Path], list[Fraction]]:
    def make(path: Path) -> list[Fraction]:
        times = [Fraction(k) / rate for k in range(round(SECONDS * rate))]
        write(path, times, codec, rate)
        return times

    return make


def with_pauses(path: Path) -> list[Fraction]:
    """A screen that is recorded when it changes: one second of every two."""
    times = [Fraction(k, 30) for k in range(30 * SECONDS) if k % 60 < 30]
    write(path, times)
    return times


def moving_picture(path: Path) -> list[Fraction]:
    lasts = [40, 80, 120] * 21  # ms, 5.04 s
    pictures = [Image.fromarray(picture(k)) for k in range(len(lasts))]
    more = {"quality": 95} if path.suffix == ".avif" else {}
    if path.suffix == ".webp":
        more = {"lossless": True}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasts, **more)
    return [Fraction(sum(lasts[:k]), 1000) for k in range(len(lasts))]


def folder(path: Path) -> list[Fraction]:
    path.mkdir()
    for k in range(12 * SECONDS):
        Image.fromarray(picture(k)).save(path / f"{k:05d}.png")
    return [Fraction(k, 12) for k in range(12 * SECONDS)]


def films() -> dict[str, Callable[[Path], list[Fraction]]]:
    made: dict[str, Callable[[Path], list[Fraction]]] = {}
    for ending in ("mp4", "mkv", "mov", "ts"):
        for rate in RATES:
            made[f"{rate}.{ending}"] = at_rate(ending, Fraction(rate))
    for ending in ("mp4", "mkv"):
        for rate in NTSC:
            made[f"{float(rate):.0f}ntsc.{ending}"] = at_rate(ending, rate)
        made[f"pauses.{ending}"] = with_pauses
    for ending in ("gif", "webp", "avif", "apng.png"):
        made[f"moving.{ending}"] = moving_picture
    made["25.mpg"] = at_rate("mpg", Fraction(25), "mpeg2video")
    made["25.vob"] = at_rate("vob", Fraction(25), "mpeg2video")
    made["30.avi"] = at_rate("avi", Fraction(30))
    made["24.h264"] = at_rate("h264", Fraction(24))
    made["folder"] = folder
    return made


def lasts_mp4(path: Path) -> float:
    with av.open(str(path)) as container:
        return float(container.duration or 0) / av.time_base


def lasts_gif(path: Path) -> float:
    with Image.open(path) as image:
        total = 0.0
        for k in range(getattr(image, "n_frames", 1)):
            image.seek(k)
            total += image.info["duration"]
    return total / 1000


def lasts_page(path: Path) -> float:
    meta = re.search(r'id="meta">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert meta
    return sum(json.loads(meta[1])["frames"]["durations"]) / 1000


@pytest.mark.slow
def test_sixty_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "films", tmp_path / "out"
    source.mkdir()
    times: dict[str, list[Fraction]] = {}
    for name, make in films().items():
        times[name] = make(source / name)
    assert len(times) >= 60
    (source / "broken.mp4").write_bytes(b"no film" * 99)
    code = main(
        ["explain", str(source), *alone(source), "--out", str(out), "--only", "mp4", "gif", "html"]
    )
    said = capsys.readouterr()
    assert code == 2 and said.err.count("broken.mp4") == 1

    wrong: list[str] = []
    for name, appear in times.items():
        clip = read_clip(source / name, FRAMES, FPS)
        moments = clip.start + np.arange(FRAMES) / FPS
        starts = np.array([float(t) for t in appear])
        # A container may round a frame's time by a millisecond: then it may be there, or not yet.
        early, late = (
            np.searchsorted(starts, moments + at, side="right") - 1 for at in (-1e-3, 2e-3)
        )
        got = np.array([number(frame) for frame in clip.frames])
        patch = np.array([clip.picture(t)[-6, 60] for t in range(FRAMES)], int)
        off = np.abs(patch - PATCH).max()
        if not ((got == early % 256) | (got == late % 256)).all():
            wrong.append(f"{name}: frames {got.tolist()}, wanted {late.tolist()}")
        if off > 3:
            wrong.append(f"{name}: colours off by {off}")
        folder_out = out / name
        ways = {
            "overlay.mp4": lasts_mp4,
            "overlay.gif": lasts_gif,
            "player.html": lasts_page,
        }
        for file, lasts in ways.items():
            if abs(lasts(folder_out / file) - clip.seconds) > 1 / FPS:
                wrong.append(
                    f"{name}: {file} lasts {lasts(folder_out / file):.2f} s of {clip.seconds}"
                )
    assert not wrong, "\n".join(wrong)


def alone(source: Path) -> list[str]:
    """What a searched folder leaves out: pictures, which are clips only where they are named."""
    return [str(source / f"moving.{ending}") for ending in ("webp", "avif", "apng.png")]
