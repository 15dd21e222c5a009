"""Folders of pictures, pictures that move, names that are no text: found, right, or named."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_clip import film, folder, numbered, seen

import gradcam_video as gv
from gradcam_video.data import animated_picture
from gradcam_video.data.clip import open_source, read_clip
from gradcam_video.data.image_folder import find_clips
from gradcam_video.errors import one_line

# --- folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("00001.MTS", "mpegts"),
        ("a.m2ts", "mpegts"),
        ("VTS_01_1.VOB", "vob"),
        ("MOV001.MOD", "vob"),
        ("a.asf", "asf"),
        ("a.3g2", "3g2"),
        ("a.f4v", "f4v"),
        ("a.nut", "nut"),
        ("a.h264", "h264"),
        ("a.y4m", "yuv4mpegpipe"),
    ],
)
def test_films_of_cameras_and_phones_are_found(tmp_path: Path, name: str, form: str) -> None:
    codec = {"vob": "mpeg2video", "asf": "mpeg4", "3g2": "mpeg4", "yuv4mpegpipe": "wrapped_avframe"}
    film(tmp_path / name, 46, form=form, codec=codec.get(form, "libx264"), rate=25)
    film(tmp_path / "b.mp4", 46)
    assert [path.name for path in find_clips(tmp_path)] == sorted([name, "b.mp4"], key=str.casefold)
    assert seen(read_clip(tmp_path / name, frames=4, fps=None)) == [5, 17, 28, 40]


@pytest.mark.parametrize("ending", ["tif", "tiff", "jp2", "png", "webp", "bmp"])
def test_sequences_of_pictures(tmp_path: Path, ending: str) -> None:
    path = folder(tmp_path / "v", range(1, 47), "{:05d}." + ending)
    assert find_clips(tmp_path) == [path]
    assert seen(read_clip(path)) == list(range(1, 47, 3))


def test_what_is_passed_over_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film(tmp_path / "a.mp4", 4)
    for name in ("b.braw", "c.heic", "notes.txt", ".d.r3d"):
        (tmp_path / name).write_bytes(b"x")
    with caplog.at_level(logging.WARNING, "gradcam_video"):
        assert [path.name for path in find_clips(tmp_path)] == ["a.mp4"]
    (line,) = caplog.messages
    assert "passed over" in line and "and 1 more" in line and "notes" not in line


def test_a_folder_of_what_nothing_reads_says_so(tmp_path: Path) -> None:
    """Of a phone's photos it was said that there are no numbered images."""
    (tmp_path / "IMG_0001.HEIC").write_bytes(b"x")
    with pytest.raises(gv.BadInput, match=r"holds .*IMG_0001\.HEIC, of a kind that is not read"):
        find_clips(tmp_path)


# --- 16 bits -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(("low", "high"), [(0, 65535), (500, 4500), (30000, 30100)])
def test_deep_grey_is_stretched_and_said(tmp_path: Path, ending: str, low: int, high: int) -> None:
    """Depth in millimetres, heat in hundredths of a degree: all over 255 was white."""
    values = np.tile(np.linspace(low, high, 64), (48, 1)).astype(np.uint16)
    path = tmp_path / "v"
    path.mkdir()
    for k in range(4):
        Image.fromarray(values).save(path / f"{k}.{ending}")
    wanted = np.round((values[24].astype(float) - low) / (high - low) * 255)
    for source in (path, path / f"0.{ending}"):
        clip = read_clip(source, frames=1)
        assert np.abs(clip.frames[0, 24] - wanted[:, None]).max() <= 1, source
        assert f"grey from {low} to {high} stretched to 0 to 255" in clip.note


def test_one_scale_for_a_whole_folder(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.mkdir()
    for k in range(8):  # one that grows brighter: it must not be stretched picture by picture
        Image.fromarray(np.full((48, 64), 1000 + 100 * k, np.uint16)).save(path / f"{k}.png")
    levels = read_clip(path, frames=8, fps=None).frames[:, 0, 0, 0]
    assert levels.tolist() == np.round(np.arange(8) / 7 * 255).tolist()


def test_deep_colour_is_not_cut_off(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64), (48, 1)).astype(np.uint16)
    film_ = np.stack([ramp] * 3, axis=-1)
    (tmp_path / "a.raw").write_bytes(film_.tobytes())
    from test_clip import ffmpeg

    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "64x48", "-i", tmp_path / "a.raw"]
    ffmpeg([*raw, tmp_path / "a.png"])
    row = read_clip(tmp_path / "a.png", frames=1).frames[0, 24, :, 0]
    assert np.abs(row - ramp[24] / 257).max() <= 1


def test_damage_among_deep_pictures_is_one_line(tmp_path: Path) -> None:
    """It was an error of Pillow's where the scale of the folder is looked for."""
    for k in range(4):
        Image.fromarray(np.full((48, 64), 1000 + k, np.uint16)).save(tmp_path / f"{k}.png")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) - 30])
    for source in (tmp_path, tmp_path / "3.png"):
        with pytest.raises(gv.BadInput, match=r"3\.png: cannot be read as an image") as error:
            read_clip(source, frames=1)
        assert str(error.value).count("cannot be read") == 1


# --- pictures that move ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "more"), [("webp", {"lossless": True}), ("avif", {"quality": 95}), ("png", {})]
)
def test_animated_pictures_are_films(tmp_path: Path, ending: str, more: dict[str, object]) -> None:
    """FFmpeg finds damage in an animated webp, and one still in an avif."""
    pictures = [Image.fromarray(numbered(k)) for k in range(1, 9)]
    lasts = [100, 200, 300, 400, 5, 50, 50, 700]  # ms; 5 is shown for 100
    path = tmp_path / f"a.{ending}"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasts, **more)
    video = open_source(path)
    shown = np.array([100, 200, 300, 400, 100, 50, 50, 700]) / 1000
    assert video.times == pytest.approx(np.cumsum(shown) - shown)
    assert video.end == pytest.approx(shown.sum()) and video.note == ""
    assert seen(read_clip(path, frames=8, fps=None)) == list(range(1, 9))
    assert seen(read_clip(path, frames=4, fps=4, start=0.35)) == [3, 4, 4, 6]


@pytest.mark.parametrize("brand", [b"avis", b"msf1", b"mif1"])
def test_an_avif_may_name_its_brand_among_others(tmp_path: Path, brand: bytes) -> None:
    """A file's first brand may be the general one of all such containers."""
    pictures = [Image.fromarray(numbered(k)) for k in range(1, 5)]
    path = tmp_path / "a.avif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=250, quality=95)
    data = bytearray(path.read_bytes())
    assert b"avis" in (data[8:12], *(data[k : k + 4] for k in range(16, data[3], 4)))
    data[8:12] = brand
    data[16:20] = b"avis"  # what it is compatible with
    path.write_bytes(data)
    video = open_source(path)
    assert video.times.tolist() == [0, 0.25, 0.5, 0.75] and video.note == ""
    assert seen(read_clip(path, frames=4, fps=None)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("1.jpg", "RGB", {}),  # colour at half the size: FFmpeg repeats it, libjpeg smooths it
        ("1.jpeg", "RGB", {"quality": 95, "progressive": True}),
        ("1.jpg", "L", {}),
        ("1.jpg", "CMYK", {"quality": 95}),
        ("1.jpg", "RGB", {"turned": 6}),
        ("1.jpg", "RGB", {"turned": 7}),
        ("1.bmp", "RGB", {}),
        ("1.bmp", "RGBA", {}),  # its fourth byte means nothing
    ],
)
def test_a_picture_alone_is_what_it_is_in_a_folder(
    tmp_path: Path, name: str, mode: str, options: dict[str, int]
) -> None:
    """A jpeg alone was read by FFmpeg: up to 40 levels apart where colours change quickly."""
    colours = np.random.default_rng(0).integers(0, 256, (12, 16, 4), dtype=np.uint8)
    large = Image.fromarray(colours).resize((194, 98)).convert("RGBA")
    picture = large if mode == "RGBA" else large.convert("RGB").convert(mode)
    (tmp_path / "v").mkdir()
    how: dict[str, object] = dict(options)
    if turned := how.pop("turned", 0):
        how["exif"] = Image.Exif()
        how["exif"][0x0112] = turned
    picture.save(tmp_path / "v" / name, **how)
    alone, inside = (
        read_clip(source, frames=1) for source in (tmp_path / "v" / name, tmp_path / "v")
    )
    assert alone.frames.shape[1:3] == ((194, 98) if turned else (98, 194))
    assert np.array_equal(alone.frames, inside.frames) and alone.note == inside.note == ""


def test_a_film_of_jpegs_is_a_film_still(tmp_path: Path) -> None:
    """It begins as one jpeg does; its name tells."""
    for k in range(5):
        Image.fromarray(numbered(k)).save(tmp_path / f"{k}.jpg", quality=95)
    data = b"".join((tmp_path / f"{k}.jpg").read_bytes() for k in range(5))
    (tmp_path / "a.mjpeg").write_bytes(data)
    assert seen(read_clip(tmp_path / "a.mjpeg", frames=5, fps=None)) == list(range(5))


def test_a_jpeg_cut_off_is_refused_alone_too(tmp_path: Path) -> None:
    """Read by FFmpeg, its missing half was grey, and nothing was said."""
    (tmp_path / "v").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "v" / "1.jpg")
    whole = (tmp_path / "v" / "1.jpg").read_bytes()
    (tmp_path / "v" / "1.jpg").write_bytes(whole[: len(whole) // 2])
    for source in (tmp_path / "v", tmp_path / "v" / "1.jpg"):
        with pytest.raises(gv.BadInput, match=r"1\.jpg: cannot be read as an image .*truncated"):
            read_clip(source, frames=1)


def test_a_still_is_one_frame(tmp_path: Path) -> None:
    for name in ("a.webp", "a.avif", "a.png", "a.tif", "a.jp2", "a.jpg", "a.bmp"):
        Image.fromarray(numbered(5)).save(tmp_path / name)
        clip = read_clip(tmp_path / name, frames=4)
        assert seen(clip) == [5] * 4 and clip.repeated.tolist() == [False, True, True, True], name


def test_an_apng_may_have_a_picture_for_those_who_cannot_show_it(tmp_path: Path) -> None:
    pictures = [Image.fromarray(numbered(k)) for k in range(4)]
    path = tmp_path / "a.png"
    options = {"save_all": True, "default_image": True, "duration": 250}
    pictures[0].save(path, append_images=pictures[1:], **options)
    assert seen(read_clip(path, frames=3, fps=None)) == [1, 2, 3]


def test_so_many_pictures_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animated_picture, "MOST_FRAMES", 5)
    pictures = [Image.fromarray(numbered(k)) for k in range(8)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], duration=100)
    video = open_source(tmp_path / "a.webp")
    assert len(video.times) == 5 and video.note == "only the first 5 of 8 frames are read"


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_what_is_transparent_is_white_alone_and_in_a_folder(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    picture.paste((200, 200, 200, 255), (32, 0, 64, 48))
    made = picture.convert(mode)
    if mode == "P":
        made = Image.new("P", (64, 48), 0)
        made.putpalette([0, 0, 0, 200, 200, 200] + [0] * 762)
        made.paste(1, (32, 0, 64, 48))
        made.info["transparency"] = 0
    (tmp_path / "v").mkdir()
    made.save(tmp_path / "v" / "1.png")
    for source in (tmp_path / "v", tmp_path / "v" / "1.png"):
        clip = read_clip(source, frames=1)
        assert clip.frames[0, 24, [10, 54]].tolist() == [[255] * 3, [200] * 3]


# --- only what it may be -----------------------------------------------------------------------


def test_another_format_behind_a_pictures_name_is_not_opened(tmp_path: Path) -> None:
    """Pillow would try all its readers; one of them starts another program."""
    path = tmp_path / "v"
    path.mkdir()
    Image.fromarray(numbered(1)).save(path / "1.ppm", "PPM")
    (path / "1.ppm").rename(path / "1.jpg")
    with pytest.raises(gv.BadInput, match=r"1\.jpg: cannot be read as an image .*; give jpeg, png"):
        read_clip(path)


def test_a_picture_that_claims_to_be_vast_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.mkdir()
    Image.new("1", (20_000, 20_000)).save(path / "1.png")
    for source in (path, path / "1.png"):
        with pytest.raises(gv.BadInput) as error:
            read_clip(source)
        assert str(error.value) == (
            f"{path / '1.png'}: 20000×20000 pixels, but at most 200 megapixels are read; shrink it"
        )


@pytest.mark.slow
def test_a_phones_largest_photo_is_read(tmp_path: Path) -> None:
    """Pillow's own bound is 179 megapixels; phones make photos of 200."""
    photo = Image.new("L", (16320, 12240), 40)
    photo.paste(200, (0, 0, 8160, 12240))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right: what was left is then on top
    photo.save(tmp_path / "1.jpg", exif=exif)
    bound = Image.MAX_IMAGE_PIXELS
    for source in (tmp_path, tmp_path / "1.jpg"):
        clip = read_clip(source, frames=1, max_side=1024)
        assert clip.frames.shape == (1, 1024, 768, 3)
        assert clip.frames[0, [10, 1013], 384, 0].tolist() == [200, 40]
        assert clip.note == "12240×16320 scaled to 768×1024"
    assert bound == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("max_side", [60, 61])
def test_a_jpeg_decoded_small_looks_as_one_scaled_down(tmp_path: Path, max_side: int) -> None:
    steps = np.kron(np.arange(0, 240, 40, dtype=np.uint8), np.ones((400, 100), np.uint8))
    Image.fromarray(steps).save(tmp_path / "1.jpg", quality=95)
    clip = read_clip(tmp_path / "1.jpg", frames=1, max_side=max_side)
    assert clip.frames.shape == (1, 40 if max_side == 60 else 41, max_side, 3)
    middles = ((np.arange(6) + 0.5) * max_side / 6).astype(int)
    assert np.abs(clip.frames[0, 20, middles, 0] - np.arange(0.0, 240, 40)).max() <= 1


def test_a_picture_too_small_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    Image.new("RGB", (64, 4)).save(tmp_path / "1.png")
    for source in (tmp_path, tmp_path / "1.png"):
        with pytest.raises(gv.BadInput) as error:
            read_clip(source)
        assert str(error.value) == (
            f"{tmp_path / '1.png'}: 64×4 pixels; each side must have at least 8"
        )


# --- names -------------------------------------------------------------------------------------


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.mp4")  # of a disk written by another system
    try:
        film(tmp_path / "a.mp4", 46).rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    clip = read_clip(tmp_path / name)
    assert clip.source == r"caf\udce9 \udcff.mp4" and str(clip.source).encode()
    with pytest.raises(gv.BadInput) as error:
        read_clip(tmp_path / os.fsdecode(b"gone\xff.mp4"))
    assert r"gone\udcff.mp4" in str(error.value)
    with pytest.raises(gv.BadInput):
        find_clips(tmp_path / os.fsdecode(b"gone\xff"))


def test_a_name_that_is_no_text_is_said_once() -> None:
    """The name as it is was sought in a line that has it escaped, and put before it again."""
    path = Path(os.fsdecode(b"in\xff/bad\xfe.mp4"))
    assert one_line(gv.BadInput(f"{path}: no video"), path) == r"in\udcff/bad\udcfe.mp4: no video"
    assert one_line(OSError("gone"), path) == r"in\udcff/bad\udcfe.mp4: OSError: gone"


@pytest.mark.slow
def test_the_command_line_writes_all_six_of_it(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9 \xff.mp4")
    try:
        film(tmp_path / "a.mp4", 46).rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    command = [sys.executable, "-m", "gradcam_video", "explain", tmp_path / name]
    done = subprocess.run(
        [*command, "--out", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert r"caf\udce9 \udcff.mp4: " in done.stdout
    summary = json.loads((tmp_path / "out" / name / "summary.json").read_text("utf-8"))
    assert summary["source"] == r"caf\udce9 \udcff.mp4"
    page = (tmp_path / "out" / name / "player.html").read_text("utf-8")
    assert r"caf\\udce9 \\udcff.mp4" in page  # in JSON


def test_a_label_that_is_no_text(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv3d(3, 4, 1), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.conv(x).mean((2, 3, 4)))

    labels = json.loads(r'["left \ud800", "right"]')  # as a file of labels may hold it
    model = gv.VideoModel(Net(), labels, 16, frames=4, quiet=True)
    assert model.labels == (r"left \ud800", "right")
    e = gv.explain(model, np.zeros((4, 16, 16, 3), np.uint8))
    for file in e.save(tmp_path, label=r"left \ud800"):
        assert file.stat().st_size
