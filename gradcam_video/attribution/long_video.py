"""A long video explained whole: overlapping windows whose maps are joined along time."""

from __future__ import annotations

import ctypes
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.clip import Clip, read_windows
from ..data.colours import Untagged
from ..errors import BadInput
from ..explanation import Explanation
from ..models.video_model import VideoModel
from ..progress_bar import progress
from ..windows import Windows, join_maps, one_cell_per_frame, to_half
from .api import explain

# Of the maps of a long video, as float16. A film within either bound keeps those of all classes.
MOST_MAP_BYTES = 16_000_000
MOST_MAP_BYTES_A_MINUTE = 4_000_000
FEWEST_CLASSES = 6  # are kept however large their maps are


class JpegFrames:
    """Frames (T, H, W, 3) kept as JPEGs, some 30 KB each; indexing decodes one.

    Stands in for `Clip.frames` where a video is too long to lie in memory. All lie in one block:
    thousands of small ones that stay, between large ones that come and go, keep the C library from
    giving memory back.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self) -> None:
        self._block = bytearray()
        self._ends = [0]
        self.size = (0, 0)

    def append(self, frame: np.ndarray) -> None:
        """Add a uint8 (H, W, 3) frame."""
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "JPEG", quality=92)
        self._block += data.getbuffer()
        self._ends.append(len(self._block))
        self.size = (frame.shape[0], frame.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes that they take."""
        return len(self._block)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3)."""
        return len(self), *self.size, 3

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]
        jpeg = bytes(self._block[self._ends[index] : self._ends[index + 1]])
        return np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]))


def explain_windows(
    model: VideoModel,
    path: str | Path,
    *,
    frames: int = 16,
    fps: float | None = 4.0,
    source_fps: float | None = None,
    untagged: Untagged = "auto",
    **options: Any,
) -> tuple[Explanation, list[Explanation]]:
    """Explain a long video whole, one window in memory at a time.

    Args:
        model, options: as in `explain`.
        path: the video.
        frames, fps, source_fps, untagged: of each window, as in `read_clip`.

    Returns:
        the joined explanation, with one cell per sampled frame of the video and the answer of each
        window in `windows`, and one explanation per window (their frames are left out: only times
        and maps are kept).

    Raises:
        BadInput: as `read_windows`, `explain` and `join`.
    """
    windows: list[Explanation] = []
    clips = read_windows(path, frames, fps, source_fps=source_fps, untagged=untagged)
    explained = (explain(model, clip, **options) for clip in clips)
    return _join_video(explained, len(clips), clips.end, windows.append), windows


def explain_video(
    model: VideoModel,
    path: str | Path,
    *,
    frames: int = 16,
    fps: float | None = 4.0,
    source_fps: float | None = None,
    untagged: Untagged = "auto",
    shown: Sequence[str | int] = (),
    show_progress: bool | None = None,
    **options: Any,
) -> Explanation:
    """The joined explanation of `explain_windows` alone, in a third of its memory.

    Where the maps of all classes would take more than `MOST_MAP_BYTES` and more than
    `MOST_MAP_BYTES_A_MINUTE`, those of the classes that are most probable in any window are kept,
    and `remark` says so.

    Args:
        model, path, frames, fps, source_fps, untagged, options: as in `explain_windows`.
        shown: classes whose maps are kept in any case.
        show_progress: a bar on stderr; None: on a screen only.

    Raises:
        BadInput: as `explain_windows`.
    """
    clips = read_windows(path, frames, fps, source_fps=source_fps, untagged=untagged)
    counted = progress(clips, Path(path).name, len(clips), unit="window", show=show_progress)
    explained = (explain(model, clip, **options) for clip in counted)
    return _join_video(explained, len(clips), clips.end, shown=shown)


def _join_video(
    explained: Iterable[Explanation],
    count: int,
    end: float,
    keep: Callable[[Explanation], object] | None = None,
    shown: Sequence[str | int] = (),
) -> Explanation:
    """Explanations of the windows of one video, taken as they come and joined into one.

    Args:
        explained: one per window, in order of time, with their frames.
        count: how many windows there are.
        end: when the video ends, seconds: so long its last frame is shown.
        keep: is given each explanation without its frames.
        shown: classes whose maps are kept in any case.

    Raises:
        BadInput: the windows were explained for different classes.
    """
    pictures, times = JpegFrames(), []
    first: Explanation | None = None
    halves = units = np.zeros(0)  # at their full size from the first window on: never held twice
    logits, starts, ends, shown_at, repeated, seconds = [], [], [], [], [], 0.0
    for k, e in enumerate(explained):
        clip = e.clip
        for t in np.flatnonzero(~clip.repeated):
            if not times or clip.times[t] > times[-1] + 1e-6:
                times.append(float(clip.times[t]))
                pictures.append(clip.picture(t))
        nothing = np.broadcast_to(np.zeros(3, np.uint8), clip.frames.shape)  # takes no memory
        bare = replace(e, clip=replace(clip, frames=nothing))
        if first is None:
            first = bare
            halves = np.zeros((count, *e.signed.shape), np.float16)
            units = np.ones((count, len(e.signed)))
        _need_same_classes(first, e)
        halves[k], units[k] = to_half(e.signed)
        logits.append(e.logits)
        starts.append(clip.start)
        ends.append(clip.start + clip.seconds)
        shown_at.append(clip.times)
        repeated.append(clip.repeated)
        seconds += e.seconds
        if k % 8 == 7:
            _give_memory_back()
        if keep is not None:
            keep(bare)
    assert first is not None  # a video has at least one window
    windows = Windows(
        starts=np.array(starts),
        ends=np.minimum(ends, end),
        logits=np.stack(logits),
        times=np.stack(shown_at),
        repeated=np.stack(repeated),
        signed=halves,
        unit=units,
        grid=first.grid,
    )
    moments = np.array(times)
    whole = Clip(
        frames=pictures,  # ty: ignore[invalid-argument-type]
        times=moments,
        repeated=np.zeros(len(moments), bool),
        source=first.clip.source,
        note=f"{len(windows)} windows, {moments[0]:.1f} to {moments[-1]:.1f} s",
        # Each frame until the next, the first from the beginning, the last until the end
        stays=np.diff(np.r_[0.0, moments[1:], end]),
    )
    return _joined(first, whole, windows, seconds, shown)


def _give_memory_back() -> None:
    """Have the C library return what it keeps of memory that was freed.

    glibc kept 12 MB a window, 4 GB after ten minutes of a film of 320 × 240. Others do not need it.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # musl and macOS have no such call
        return


def join(explanations: Sequence[Explanation], clip: Clip) -> Explanation:
    """Explanations of overlapping windows of one video, joined into one along time.

    Each window's map is brought to its frames; where windows overlap, the joined map is their mean,
    weighted by the distance to the window's ends so that no seam shows. The joined logits are the
    mean over windows.

    Args:
        explanations: one per window, in order of time, all of one model and the same classes.
        clip: every distinct frame of the windows, in order of time; matched by `times`.

    Returns:
        An Explanation whose maps hold one cell per frame of `clip`.

    Raises:
        BadInput: the windows were explained for different classes.
    """
    first = explanations[0]
    for e in explanations:
        _need_same_classes(first, e)
    maps = ((e.signed, e.clip.times, e.clip.repeated, e.grid) for e in explanations)
    return replace(
        first,
        clip=clip,
        logits=np.mean([e.logits for e in explanations], axis=0, dtype=np.float32),
        signed=join_maps(maps, clip.times),
        grid=one_cell_per_frame(first.grid, len(clip.times)),
        seconds=sum(e.seconds for e in explanations),
    )


def _need_same_classes(first: Explanation, e: Explanation) -> None:
    if e.classes.tolist() != first.classes.tolist():
        raise BadInput(
            f"{e.clip.source}: {first.method} explained each window for its own top class, which "
            "cannot be joined: name the classes with classes=[…]"
        )


def _kept_rows(e: Explanation, windows: Windows, shown: Sequence[str | int]) -> np.ndarray:
    """The rows of maps that are kept of a long video, int64, ascending: all, or those that matter.

    Args:
        e: with the mean logits, and `windows`.
    """
    all_rows = np.arange(len(e.classes))
    minutes = (windows.ends[-1] - windows.starts[0]) / 60
    room = max(MOST_MAP_BYTES, MOST_MAP_BYTES_A_MINUTE * minutes)
    fit = int(room / (windows.signed.nbytes / len(all_rows)))
    if fit >= len(all_rows):
        return all_rows
    peaks = e.window_probabilities.max(axis=0)[e.classes]  # (k,)
    named = [e.row(label) for label in shown]
    best = [row for row in np.argsort(-e.logits[e.classes], kind="stable")[:2] if row not in named]
    order = dict.fromkeys([*named, *best, *np.argsort(-peaks, kind="stable").tolist()])
    fit = max(fit, FEWEST_CLASSES, len(named) + len(best))
    return np.sort(np.array(list(order)[:fit]))


def _joined(
    first: Explanation, clip: Clip, windows: Windows, seconds: float, shown: Sequence[str | int]
) -> Explanation:
    e = replace(
        first,
        clip=clip,
        logits=windows.logits.mean(axis=0, dtype=np.float32),
        windows=windows,
        seconds=seconds,
    )
    rows = _kept_rows(e, windows, shown)
    remark = e.remark
    if len(rows) < len(first.classes):
        windows = windows.of_rows(rows)
        left = f"maps of {len(rows)} of {len(first.classes)} classes are kept: those most probable "
        remark = "; ".join(part for part in (remark, left + "in any window") if part)
    return replace(
        e,
        classes=first.classes[rows],
        signed=join_maps(windows.maps(), clip.times),
        grid=one_cell_per_frame(first.grid, len(clip.times)),
        windows=windows,
        remark=remark,
    )
