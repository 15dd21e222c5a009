"""From a file to a `Clip`: 16 frames at 4 frames a second, whatever the file is.

A video (mp4, webm, mkv, avi, mov, …), a gif, or a folder of numbered images. Three steps, each a
small function: the *timeline* of the file (when is each of its frames shown?) is read without
decoding a picture; *which* frames to take is decided on the timeline alone; only then are those
frames decoded, from the nearest key frame on. So a long file costs no more memory than a short
one, and frame rates that vary, or lie, are seen before they do harm.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadInput, printable
from .animated_picture import AnimatedPicture, is_picture
from .colours import Untagged, check_untagged, on_screen
from .frames import SMALLEST_SIDE, TOLERANCE
from .image_folder import ImageFolder, is_folder

if TYPE_CHECKING:
    from .video_file import VideoFile

    Source = VideoFile | ImageFolder | AnimatedPicture


@dataclass(frozen=True, eq=False)
class Clip:
    """A few frames of a video, and when they were shown.

    Attributes:
        frames: uint8 `(T, H, W, 3)`, RGB, upright, square pixels.
        times: float64 `(T,)`, seconds from the first frame of the file to the frame shown.
        repeated: bool `(T,)`, true where the picture is only the one before it again, because the
            file ended too early (or is damaged there).
        source: file name, for messages and titles.
        note: one line for people: what was left out, lost, repeated or scaled.
        start: where the window begins, seconds; `times[0]` may be a little earlier, because the
            frame on screen at that moment appeared before it.
        fps: frames a second at which the clip plays in real time; 0 has it told from `times`.
        to_screen: float64 `(3, 3)`, brings the frames' RGB to what players show, see `picture`;
            None where that is the same.
        stays: float64 `(T,)`, seconds each frame stays on screen, where they differ (a film of
            varying rate, taken as it is); None: 1 / fps each.
    """

    frames: np.ndarray
    times: np.ndarray
    repeated: np.ndarray
    source: str
    note: str = ""
    start: float = 0.0
    fps: float = 0.0
    to_screen: np.ndarray | None = None
    stays: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", printable(str(self.source)))  # frozen for everyone else
        shape = self.frames.shape
        if len(shape) != 4 or shape[0] < 1 or shape[3] != 3 or self.frames.dtype != np.uint8:
            raise BadInput(
                f"{self.source}: frames are {self.frames.dtype} {shape}; "
                "give uint8 of shape (T, H, W, 3)"
            )
        if self.times.shape != shape[:1] or self.repeated.shape != shape[:1]:
            raise BadInput(
                f"{self.source}: {shape[0]} frames, but times {self.times.shape} and repeated "
                f"{self.repeated.shape}; give one of each per frame"
            )
        if self.stays is not None:
            if self.stays.shape != shape[:1] or not (self.stays >= 0).all() or not self.seconds > 0:
                raise BadInput(
                    f"{self.source}: stays: give the seconds of each of {shape[0]} frames"
                )
            if not self.fps > 0:
                object.__setattr__(self, "fps", shape[0] / self.seconds)
        if not self.fps > 0:
            times = self.times[~self.repeated]
            span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
            rate = (len(times) - 1) / span if span > 0 else 4.0  # a single picture has no rate
            object.__setattr__(self, "fps", rate)  # the class is frozen for everyone else

    @classmethod
    def of(
        cls, frames: Any, fps: float = 4.0, *, source: str = "array", start: float = 0.0
    ) -> Clip:
        """A clip of frames that lie in memory already.

        Args:
            frames: an array or tensor (T, H, W, 3), (T, 3, H, W) or, grey, (T, H, W), uint8 or
                floats in 0..1; or a list of pictures, PIL's or arrays.
            fps: how many of them a second; the times follow from it.
            source: a name for messages and titles.
            start: the second of the first frame.

        Raises:
            BadInput: it has another shape, one that may mean two things, or other values.

        Example:
            >>> Clip.of(np.zeros((16, 112, 112), np.uint8), fps=8).times[1]
            np.float64(0.125)
        """
        from .arrays import frames_from

        if not (_finite(fps) and fps > 0 and _finite(start)):
            raise BadInput(f"{source}: fps={fps}, start={start}: give numbers, fps above 0")
        pictures = frames_from(frames, source)
        times = start + np.arange(len(pictures)) / fps
        shown_once = np.zeros(len(pictures), dtype=bool)
        return cls(pictures, times, shown_once, source, start=float(start), fps=float(fps))

    def __repr__(self) -> str:
        height, width = self.size
        spans = f"{self.times[0]:.2f}–{self.times[-1]:.2f} s"
        repeats = f", {self.repeated.sum()} of them repeats" if self.repeated.any() else ""
        frames = f"{len(self)} frames of {height}×{width}{repeats}"
        return f"Clip({str(self.source)!r}: {frames}, {self.fps:.4g} a second, {spans})"

    def _repr_html_(self) -> str:
        from .notebook_strip import shown, strip

        return strip([[self.picture(t) for t in shown(len(self))]], repr(self), self.note)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    def picture(self, t: int) -> np.ndarray:
        """Frame t as players show it, uint8 (H, W, 3).

        The same as `frames[t]`, but for a film of 720 rows and more that names no colour matrix:
        players take BT.709 for it, and `frames` hold what networks are trained with, BT.601.
        """
        if self.to_screen is None:
            return self.frames[t]
        return on_screen(self.frames[t], self.to_screen)

    @property
    def seconds(self) -> float:
        """How long the clip plays, its repeated frames included."""
        return len(self) / self.fps if self.stays is None else float(self.stays.sum())

    @property
    def durations(self) -> np.ndarray:
        """How long each frame stays on screen, seconds, float64 `(T,)`; they sum to `seconds`."""
        return np.full(len(self), 1 / self.fps) if self.stays is None else self.stays


# --- 1. which frames: decided on the timeline alone --------------------------------------------


def _shown_at(times: np.ndarray, moments: np.ndarray | float) -> np.ndarray:
    """Index of the frame on screen at each moment: the last that appeared at or before it."""
    return np.maximum(np.searchsorted(times, np.asarray(moments) + TOLERANCE, side="right") - 1, 0)


def choose_frames(
    times: np.ndarray, end: float, frames: int, fps: float | None, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the frames of one clip.

    With `fps`, frame k is the one on screen at `start + k / fps`: the last that appeared at or
    before that moment. Without, the frames from `start` on are taken as they are: all when they
    are as many as asked for, spread evenly (the middle of T equal parts) when there are more.

    Args:
        times: `(n,)` seconds at which each frame of the file appears, ascending.
        end: seconds at which the last frame goes.

    Returns:
        indices: int64 `(T,)` into `times`.
        repeated: bool `(T,)`, where the file had ended and its last frame stands in.
    """
    step = np.arange(frames)
    if fps is None:
        first = int(_shown_at(times, start))
        left = len(times) - first
        if left >= frames:
            return first + ((step + 0.5) * left / frames).astype(np.int64), step < 0
        return first + np.minimum(step, left - 1), step >= left
    moments = start + step / fps
    indices = _shown_at(times, moments)
    # A still has no second moment, however long it is shown.
    repeated = (moments >= end - TOLERANCE) | (len(times) == 1)
    repeated[0] = False
    return indices, repeated


def centre_start(end: float, frames: int, fps: float) -> float:
    """Where a window of `frames` at `fps` begins so that it lies in the middle, seconds."""
    return max(0.0, (end - frames / fps) / 2)


# Windows of 4 s that overlap by half: 27 hours.
MOST_WINDOWS = 50_000

# --- what others call --------------------------------------------------------------------------


def read_clip(
    path: str | os.PathLike[str],
    frames: int = 16,
    fps: float | None = 4.0,
    start: float | None = None,
    source_fps: float | None = None,
    max_side: int | None = 1280,
    untagged: Untagged = "auto",
) -> Clip:
    """Reads one clip from a video file, a gif or a folder of numbered images.

    Cost: the timeline is read from the whole file (about 10 µs a frame, and the disk's time),
    then pictures are decoded only around the frames that are taken. Memory: the clip itself,
    `frames × H × W × 3` bytes, at most 79 MB for 16 frames with `max_side` at its default, and the
    pictures the decoder holds, however long the file is. An 8K film (7680×4320, H.264) took
    0.6 GB in all with two decoder threads, 0.8 GB with four; at full size 1.6 GB more.

    Args:
        path: the file or folder. What it is, is told by its content, not its name.
        frames: T, how many frames to take.
        fps: how many of them a second, by timestamp; None takes the frames as they are: all when
            the file has T, spread evenly when it has more.
        start: seconds at which the window begins; None puts it in the middle of the file (with
            `fps=None`, the whole file).
        source_fps: the true rate of the file where its own is wrong or, for a folder, missing
            (12 then, as in Something-Something V1).
        max_side: the longer side is scaled down to this while reading; None for full size.
        untagged: the colour matrix of a film that names none: "bt601", "bt709", or "auto", which is
            BT.601 for the network, as in its training, and for people what players show (BT.709
            from 720 rows on).

    Returns:
        The clip. A file too short for T frames repeats its last one, flagged in `repeated`.

    Raises:
        BadInput: there is no such clip to be had; the message names the file and what to do.

    Example:
        >>> clip = read_clip("ssv2_166766.mp4")  # doctest: +SKIP
        >>> clip.frames.shape, clip.times[1]  # doctest: +SKIP
        ((16, 240, 427, 3), 0.25)
    """
    _check(frames, fps, start, source_fps, max_side)
    video = open_source(path, source_fps, max_side, untagged)
    if start is not None and start >= video.end - TOLERANCE:
        raise BadInput(
            f"{path}: start={start:g} s lies beyond its end ({video.end:.2f} s); "
            "give an earlier one"
        )
    notes = []
    if fps is None:
        begin = start or 0.0
        count = len(video.times) - int(_shown_at(video.times, begin))
        if count > frames:
            notes = [f"{frames} of {count} frames, spread evenly"]
    else:
        length = frames / fps
        begin = centre_start(video.end, frames, fps) if start is None else start
        if video.end - length > 1 / fps:
            notes = [
                f"{video.end:.1f} s video: explained {begin:.1f}–"
                f"{min(begin + length, video.end):.1f} s; --windows all covers it whole"
            ]
    indices, repeated = choose_frames(video.times, video.end, frames, fps, begin)
    return _clip(video, indices, repeated, begin, fps, notes)


def read_windows(
    path: str | os.PathLike[str],
    frames: int = 16,
    fps: float | None = 4.0,
    overlap: float = 0.5,
    source_fps: float | None = None,
    max_side: int | None = 1280,
    untagged: Untagged = "auto",
) -> VideoWindows:
    """Covers a long video whole with overlapping clips, so that their maps can be joined.

    Each window is as `read_clip` would read it; there is no gap between them, and the last ends
    where the file ends. One window is in memory at a time. With `fps=None` a window is T frames
    in a row.

    Args:
        path, frames, fps, source_fps, max_side, untagged: as for `read_clip`.
        overlap: share of a window that the next one sees again, 0 (none) to below 1.

    Returns:
        The clips, read one after the other as they are asked for; `clip.start` says where each
        begins, `len` how many there are, `end` how long the video lasts, in seconds.

    Raises:
        BadInput: as `read_clip`; the video claims to last so long that it has more than
            `MOST_WINDOWS` windows. What concerns the file as a whole is raised before the first.
    """
    _check(frames, fps, None, source_fps, max_side)
    if not (isinstance(overlap, (int, float)) and 0 <= overlap < 1):
        raise BadInput(f"overlap={overlap}: give a share of the window, 0 to below 1")
    windows = VideoWindows(
        open_source(path, source_fps, max_side, untagged), frames, fps, float(overlap)
    )
    if len(windows) > MOST_WINDOWS:
        raise BadInput(
            f"{path}: it claims to last {windows.end:.6g} s, which is {len(windows):,} windows; "
            f"at most {MOST_WINDOWS:,} are explained: check its timestamps (source_fps sets its "
            "true rate), or cut it"
        )
    return windows


class VideoWindows:
    """The windows of a video, see `read_windows`. Nothing is listed: each is worked out when read.

    Attributes:
        end: when the last frame of the video goes, seconds.
    """

    def __init__(self, video: Source, frames: int, fps: float | None, overlap: float) -> None:
        self._video, self._frames, self._fps = video, frames, fps
        self.end = float(video.end)
        # Frames are counted where they are taken as they are, seconds otherwise.
        length = frames if fps is None else frames / fps
        self._last = max(0.0, (len(video.times) if fps is None else self.end) - length)
        self._step = length * (1 - overlap)
        if fps is None:
            self._step = max(1, round(self._step))
        slack = 0.0 if fps is None else TOLERANCE
        if self._last <= slack:
            self._last = 0.0
        self._count = max(0, math.ceil((self._last - slack) / self._step)) + 1

    def __len__(self) -> int:
        return self._count

    def starts(self) -> Iterator[float]:
        """Where each window begins: seconds, or frames where they are taken as they are."""
        yield from (k * self._step for k in range(self._count - 1))
        yield self._last

    def __iter__(self) -> Iterator[Clip]:
        video, frames = self._video, self._frames
        for k, begin in enumerate(self.starts()):
            if self._fps is None:
                first = int(begin)
                times = video.times[first : first + frames]
                chosen = choose_frames(times, video.end, frames, None, 0.0)
                indices, repeated, begin = chosen[0] + first, chosen[1], float(times[0])
            else:
                indices, repeated = choose_frames(video.times, self.end, frames, self._fps, begin)
            note = [f"window {k + 1} of {self._count}"] if self._count > 1 else []
            yield _clip(video, indices, repeated, begin, self._fps, note)


def open_source(
    path: str | os.PathLike[str],
    source_fps: float | None = None,
    max_side: int | None = None,
    untagged: Untagged = "auto",
) -> Source:
    """Opens a clip and reads when each of its frames is shown; decodes none.

    Args:
        path, source_fps, max_side, untagged: as for `read_clip`.

    Returns:
        What is known without decoding; its `note` says what is lost of a damaged file.

    Raises:
        BadInput: no clip there.

    Example:
        >>> open_source("ssv2_166766.mp4").end  # doctest: +SKIP
        4.083
    """
    check_untagged(untagged)
    path = Path(path)
    if is_folder(path):
        return ImageFolder(path, source_fps, max_side)
    if is_picture(path):
        return AnimatedPicture(path, source_fps, max_side)
    from .video_file import VideoFile  # here: a folder, or frames one already has, need no FFmpeg

    return VideoFile(path, source_fps, max_side, untagged)


def _clip(
    video: Source,
    indices: np.ndarray,
    repeated: np.ndarray,
    start: float,
    fps: float | None,
    notes: list[str],
) -> Clip:
    """Reads the chosen frames and says what there is to say about them."""
    pictures, shown, damage = video.read(indices)
    # Where a damaged frame is replaced by the one before it, that is a repeat too.
    again = np.zeros_like(repeated)
    # A frame that stays because those after it are lost, is one as well.
    stands_in = (indices[1:] != indices[:-1]) | np.isin(indices[1:], video.holes)
    again[1:] = (shown[1:] == shown[:-1]) & stands_in
    repeated = repeated | again
    if repeated.any():
        notes = [*notes, f"{repeated.sum()} of {len(indices)} frames are repeats"]
    slow = int(np.sum((np.diff(indices) == 0) & ~repeated[1:]))
    if slow:
        rate = len(video.times) / video.end
        notes = [*notes, f"the file has only {rate:.3g} frames a second, so some are shown longer"]
    note = "; ".join(part for part in (*notes, video.note, damage) if part)
    times = video.times[shown]
    rate = float(fps or 0)
    stays = None if fps else _own_pace(video.times, video.end, indices)
    to_screen = video.to_screen
    return Clip(pictures, times, repeated, video.name, note, float(start), rate, to_screen, stays)


def _own_pace(times: np.ndarray, end: float, indices: np.ndarray) -> np.ndarray | None:
    """How long frames that are taken as they are stay on screen, seconds `(T,)`.

    Each stays until the next one that is taken, and the last one until the file's next frame or its
    end. Where frames are left out, or the file says for its last frame less than half of any other
    (muxers often write a millisecond), it stays for the median of the others. A repeated frame
    stays for the mean. None: a picture has no pace.
    """
    taken = indices[: int(np.argmax(indices)) + 1]  # what follows only repeats the last
    steps = np.diff(times[taken])
    after = end if taken[-1] + 1 >= len(times) else times[taken[-1] + 1]
    last = float(after - times[taken[-1]])
    if len(steps) and ((np.diff(taken) > 1).any() or last < steps.min() / 2):
        last = float(np.median(steps))
    mean = (float(steps.sum()) + last) / len(taken)
    if not mean > 0 or len(times) == 1:
        return None
    return np.concatenate([steps, [last], np.full(len(indices) - len(taken), mean)])


def _check(
    frames: int,
    fps: float | None,
    start: float | None,
    source_fps: float | None,
    max_side: int | None,
) -> None:
    """Refuses settings that no file can satisfy."""
    if not isinstance(frames, (int, np.integer)) or frames < 1:
        raise BadInput(f"frames={frames}: give a whole number from 1")
    for name, value in (("fps", fps), ("source_fps", source_fps)):
        if value is not None and not (_finite(value) and value > 0):
            raise BadInput(f"{name}={value}: give a number of frames a second above 0")
    if start is not None and not (_finite(start) and start >= 0):
        raise BadInput(f"start={start}: give seconds from the beginning of the file, 0 or more")
    if max_side is not None and not (_finite(max_side) and max_side >= SMALLEST_SIDE):
        raise BadInput(f"max_side={max_side}: give at least {SMALLEST_SIDE} pixels, or None")


def _finite(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)
