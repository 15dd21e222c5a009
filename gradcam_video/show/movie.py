"""Moving pictures: original beside overlay, as frames, as mp4 and as gif."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..explain.explanation import Explanation
from .overlay import OPACITY, at_size, fit, overlay, resize
from .text import UNTRAINED, block, class_name, font, frame_words, percent, probability

Label = str | int | None

BACK = (20, 20, 24)
TEXT = (236, 236, 240)
SOFT = (160, 160, 170)
MARK = (255, 176, 32)
GOOD = (120, 220, 140)
ALARM = (176, 24, 32)
_STRIP = 36  # height of the evidence strip
_STRIP_WORDS = "evidence, frame by frame →"
_GAP = 4


def as_labels(label: Label | Sequence[Label]) -> list[Label]:
    """One label or several, always as a list; an empty one means the top class."""
    if label is None or isinstance(label, (str, int)):
        return [label]
    if isinstance(label, np.integer):  # a row of e.classes
        return [int(label)]
    return list(label) or [None]


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


class Page:
    """The layout of `side_by_side`: what stays the same is drawn once, here."""

    def __init__(self, e: Explanation, labels: list[Label], scope: str) -> None:
        height, width = e.clip.frames.shape[1:3]
        widest = min(640, max(160, (1920 - _GAP * len(labels)) // (1 + len(labels))))
        self.height, self.width = fit(height, width, wide=widest)  # of one panel
        self.column = max(self.width, 240)  # narrower, and words would be broken
        self.labels, self.scope = labels, scope
        self.e = at_size(e, self.height, self.width)
        self.seen = self.e.grid.view.seen()
        total = (self.column + _GAP) * (1 + len(labels)) - _GAP
        total += total % 2
        self.size = int(np.clip(total / 50, 13, 20))

        head = block(
            [(UNTRAINED, (255, 255, 255), True)] if e.untrained else [], total, self.size, ALARM, 4
        )
        headings = [self._heading("original", "")]
        for chosen in labels:
            empty = bool(e.empty[e.row(chosen)])
            words = "no positive evidence for" if empty else "evidence for"
            words = f"{words} ({percent(probability(e, chosen))})"
            headings.append(self._heading(words, class_name(e, chosen)))
        titles = np.full((max(h.shape[0] for h in headings), total, 3), BACK, np.uint8)
        caption = self._caption(total)
        self.moment_height = (
            block([(_longest(e), TEXT, False)], total, self.size, BACK).shape[0] - 6
        )

        top = (head.shape[0] if e.untrained else 0) + titles.shape[0]
        below = top + self.height + 2
        bottom = below + _STRIP + 2
        rows = bottom + self.moment_height + caption.shape[0]
        self.base = np.full((rows + rows % 2, total, 3), BACK, np.uint8)
        for i, heading in enumerate(headings):
            left = i * (self.column + _GAP)
            titles[: heading.shape[0], left : left + self.column] = heading
        if e.untrained:
            self.base[: head.shape[0]] = head
        self.base[top - titles.shape[0] : top] = titles
        self.base[bottom + self.moment_height : bottom + self.moment_height + len(caption)] = (
            caption
        )
        self.top, self.below, self.bottom = top, below, bottom
        inset = (self.column - self.width) // 2
        self.lefts = [inset + i * (self.column + _GAP) for i in range(1 + len(labels))]

        # Frame of every pixel column of the strip, and how high its bar is
        frames = len(e.clip.times)
        self.frame_of = np.minimum(np.arange(self.width) * frames // self.width, frames - 1)
        curves = np.array([e.evidence(chosen) for chosen in labels])  # (labels, T)
        most = curves.max(axis=1, keepdims=True)
        if scope == "classes":
            most = np.full_like(most, max(e.evidence(int(k)).max() for k in e.classes))
        self.bars = np.round(curves / np.where(most > 0, most, 1) * (_STRIP - 2)).astype(int)
        for bars, left in zip(self.bars, self.lefts[1:], strict=True):
            lit = _STRIP - np.arange(_STRIP)[:, None] <= bars[self.frame_of] + 1  # a floor of 1 px
            if self.width >= 4 * frames:  # a gap between bars, where there is room
                lit &= np.r_[np.diff(self.frame_of), 1] == 0
            strip = self.base[below : below + _STRIP, left : left + self.width]
            strip[lit] = (110, 110, 122)
        if font(self.size).getlength(_STRIP_WORDS) < self.column - 12:
            words = block([(_STRIP_WORDS, SOFT, False)], self.column, self.size, BACK)[: _STRIP + 2]
            self.base[below : below + len(words), : self.column] = words

    def original(self, t: int) -> np.ndarray:
        """A frame at the size of a panel, uint8 (height, width, 3)."""
        return resize(self.e.clip.frames[t], self.height, self.width)

    def overlays(self, t: int, frame: np.ndarray, look: dict) -> list[np.ndarray]:
        """The heat map of each class on a frame at the size of a panel."""
        return [
            overlay(frame, self.e.upsampled_frame(t, chosen, self.scope), seen=self.seen, **look)
            for chosen in self.labels
        ]

    def draw(self, t: int, panels: list[np.ndarray]) -> np.ndarray:
        """The whole picture of frame t from its panels: the original, then each class's overlay."""
        picture = self.base.copy()
        for panel, left in zip(panels, self.lefts, strict=True):
            picture[self.top : self.top + self.height, left : left + self.width] = panel
        for bars, left in zip(self.bars, self.lefts[1:], strict=True):
            now = left + np.flatnonzero(self.frame_of == t)
            if not len(now):  # more frames than pixels
                now = left + np.array([t * self.width // len(bars)])
            high = max(int(bars[t]), 1)
            picture[self.below + _STRIP - high : self.below + _STRIP, now] = MARK
            picture[self.below + _STRIP : self.below + _STRIP + 2, now] = MARK
        colour = MARK if self.e.clip.repeated[t] else TEXT
        words = block([(frame_words(self.e, t), colour, False)], picture.shape[1], self.size, BACK)
        picture[self.bottom : self.bottom + len(words)] = words
        return picture

    def _heading(self, small: str, name: str) -> np.ndarray:
        lines = [(small, SOFT, False)]
        if name:
            lines.append((name, TEXT, True))
        return block(lines, self.column, self.size, BACK)

    def _caption(self, width: int) -> np.ndarray:
        e = self.e
        best = e.top(2)
        lines = []
        if e.true_label:
            right = e.true_label == best[0][0]
            lines.append((f"true label: {e.true_label}", GOOD if right else MARK, False))
        for place, (name, p) in enumerate(best, 1):
            lines.append((f"{place}. {percent(p)}  {name}", TEXT, False))
        for remark in (e.remark, e.clip.note):
            if remark:
                lines.append((remark, SOFT, False))
        return block(lines, width, self.size, BACK, 6)


def _longest(e: Explanation) -> str:
    """The longest line about a moment, to leave room for it on every frame."""
    last = len(e.clip.times) - 1
    return max((frame_words(e, t) for t in {0, last, int(np.argmax(e.clip.repeated))}), key=len)


@contextmanager
def written_whole(path: str | Path) -> Generator[Path]:
    """Give a temporary name beside `path`; move it there if all went well, else leave nothing.

    Raises:
        BadInput: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp made it private
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> BadInput:
    """The one line for a file or folder that cannot be written."""
    reason = error.strerror or str(error)
    return BadInput(f"cannot write {path}: {reason}; choose another folder or make room")


def _umask() -> int:
    # There is no way to read it without setting it
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


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
    with written_whole(path) as temporary:
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
    with written_whole(path) as temporary:
        shown[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=shown[1:],
            duration=max(20, round(1000 / fps)),
            loop=0,
            optimize=False,
        )
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
