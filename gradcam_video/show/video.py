"""Moving pictures: original beside overlay, as frames, as mp4 and as gif."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..explanation import Explanation
from ..files import atomic_write, cannot_write
from .blend import OPACITY
from .captions import Label, as_labels
from .page_layout import Page


def side_by_side(
    e: Explanation,
    label: Label | Sequence[Label] = None,
    *,
    scope: str = "clip",
    cmap: str = "inferno",
    opacity: float = OPACITY,
    blend: str | None = None,
) -> Iterator[np.ndarray]:
    """The post's picture, frame by frame: the original left, its heat map right, words below.

    Under each heat map runs its evidence over time, with the present frame marked. Small clips are
    drawn larger and large ones smaller, so that the words can be read; long names are wrapped.

    Args:
        e: what to show.
        label: one class or several, each by name or index; None is the top class.
        scope: what a map is divided by, see `Explanation.scale`.
        cmap, opacity, blend: see `overlay`.

    Yields:
        uint8 (height, width, 3), both sides even, the same for every frame.
    """
    page = Page(e, as_labels(label), scope)
    look = {"cmap": cmap, "opacity": opacity, "blend": blend}
    for t in range(len(e.clip.times)):
        frame = page.original(t)
        yield page.draw(t, [frame, *page.overlays(t, frame, look)])


def write_mp4(frames: Iterable[np.ndarray], path: str | Path, fps: float) -> Path:
    """Write frames as an H.264 film that every browser plays, through moviepy (1.0.3 or 2).

    Frames are encoded as they come; none is kept. An odd side gets one more row or column.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to; written whole or not at all.
        fps: frames per second.

    Raises:
        BadInput: no frames, the folder cannot be written, the disk is full, or ffmpeg failed.
    """
    from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter

    path = Path(path)
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise BadInput(f"no frames to write into {path}: give at least one")
    height, width = (side + side % 2 for side in first.shape[:2])
    with atomic_write(path) as temporary:
        writer = FFMPEG_VideoWriter(
            str(temporary),
            (width, height),
            fps,
            codec="libx264",
            preset="veryfast",
            # moviepy 2 asks for yuva420p, which x264 has not; -vf is obeyed before that
            ffmpeg_params=["-crf", "20", "-vf", "format=yuv420p", "-movflags", "+faststart"],
        )
        process: Any = writer.proc
        try:
            for frame in chain([first], frames):
                writer.write_frame(_even(frame, height, width))
            process.stdin.close()
            words = process.stderr.read().decode(errors="replace")
            if process.wait() != 0:
                raise OSError(f"ffmpeg failed: {words}")
        except OSError as error:  # moviepy puts ffmpeg's own words into a long message
            full = os.strerror(errno.ENOSPC)
            reason = full if full in str(error) else " ".join(str(error).split())[:200]
            advice = "choose another folder or make room"
            raise BadInput(f"cannot write {path}: {reason}; {advice}") from error
        finally:
            if process.poll() is None:
                process.kill()
            writer.close()
    return path


def _even(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    down, across = height - frame.shape[0], width - frame.shape[1]
    if down or across:
        frame = np.pad(frame, ((0, down), (0, across), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)


def write_gif(
    frames: Iterable[np.ndarray],
    path: str | Path,
    fps: float,
    *,
    max_width: int = 640,
) -> Path:
    """Write frames as an endless gif with one palette for all of them, so that nothing flickers.

    Frames are reduced to palette indices as they come: one byte a pixel is kept until the end.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to; written whole or not at all.
        fps: frames per second.
        max_width: wider frames are drawn smaller, as a gif is large.

    Raises:
        BadInput: no frames, the folder cannot be written or the disk is full.
    """
    path = Path(path)
    shown: list[Image.Image] = []
    waiting: list[Image.Image] = []
    colours: Image.Image | None = None
    for frame in frames:
        waiting.append(_at_most(frame, max_width))
        if colours is None and len(waiting) == 16:  # enough to know the clip's colours
            colours = _one_palette(waiting)
        if colours is not None:
            shown += [_indexed(picture, colours) for picture in waiting]
            waiting.clear()
    if waiting:
        colours = _one_palette(waiting)
        shown += [_indexed(picture, colours) for picture in waiting]
    if not shown:
        raise BadInput(f"no frames to write into {path}: give at least one")
    try:
        with atomic_write(path) as temporary:
            shown[0].save(
                temporary,
                "GIF",
                save_all=True,
                append_images=shown[1:],
                duration=max(20, round(1000 / fps)),
                loop=0,
                optimize=False,
            )
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _at_most(frame: np.ndarray, width: int) -> Image.Image:
    picture = Image.fromarray(frame)
    if picture.width <= width:
        return picture
    height = round(picture.height * width / picture.width)
    return picture.resize((width, height), Image.Resampling.BOX)


def _one_palette(pictures: list[Image.Image]) -> Image.Image:
    """256 colours that serve all pictures: the octree's, which keeps rare bright ones."""
    few = [np.asarray(picture)[::3, ::3] for picture in pictures[:: max(1, len(pictures) // 8)]]
    return Image.fromarray(np.concatenate(few)).quantize(255, method=Image.Quantize.FASTOCTREE)


def _indexed(picture: Image.Image, colours: Image.Image) -> Image.Image:
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)
