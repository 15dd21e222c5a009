"""Everything about one clip on disk: six files in a folder, all of them or none.

A long video that was explained in windows has two more: how its classes come and go.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..files import atomic_files, json_text
from ..windows import to_half
from .captions import class_name, rows_of
from .contact_sheet import chosen_frames, lay_out, thumbnail
from .drawing import Drawing
from .frame_layout import FrameLayout
from .look import Look, LookOptions
from .player_page import page_of, payload
from .video_writer import at_most, exact_rate, write_gif, write_mp4

if TYPE_CHECKING:
    from .drawable import Drawable

FILES = (
    "overlay.mp4",
    "overlay.gif",
    "sheet.png",
    "player.html",
    "explanation.npz",
    "summary.json",
)
VIDEO_FILES = ("course.png", "windows.csv")  # of a long video, explained in windows
GIF_WIDTH = 640
GIF_FRAMES = 150  # of a long video: a gif of more would be too large to be sent to anybody
SHEET_FRAMES = 16


def save(
    e: Drawable,
    folder: str | Path,
    label: str | int | Sequence[str | int | None] | None = None,
    *,
    only: str | Sequence[str] | None = None,
    fps: float | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    summary: Mapping[str, Any] | None = None,
    **look: Unpack[LookOptions],
) -> list[Path]:
    """Write overlay.mp4, overlay.gif, sheet.png, player.html, explanation.npz and summary.json.

    Of a long video that was explained in windows also course.png and windows.csv. They are written
    beside the folder first and moved into it at the end: after a failure, the folder holds what it
    held before.

    Args:
        e: what to write.
        folder: created if missing; files of these names in it are replaced.
        label: the class shown, or several side by side; None is the top class.
        only: which of them, by their names or their endings ("mp4", "sheet.png"); None is all.
        fps: of the video and the gif; None plays them in the clip's own time, each frame for as
            long as it stays in the clip.
        arrays: more arrays for explanation.npz, or others in place of its own.
        summary: more entries for summary.json.
        look: scope, cmap, opacity and blend of the pictures, see `Look`.

    Returns:
        The paths of what was written, in the order above.

    Raises:
        BadInput: an unknown label or output, a look or fps that does not fit, numbers that are not
            finite; the folder cannot be written; disk full.
    """
    known = FILES if e.windows is None else FILES + VIDEO_FILES
    names = chosen_files(only) & set(known)
    if not names:
        raise BadInput(f"{e.clip.source}: {', '.join(VIDEO_FILES)} are of a video in windows alone")
    rows, drawn = rows_of(e, label), Look(**look)
    durations = e.clip.durations if fps is None else np.full(len(e.clip.times), 1 / _rate(fps))
    with atomic_files(folder, names) as temporary:
        mp4, gif, png, page, npz, text, course, table = (
            temporary / name for name in FILES + VIDEO_FILES
        )

        def write_rest() -> None:
            if page.name in names:
                page.write_text(page_of(*payload(e, rows[0], drawn)), encoding="utf-8")
            if npz.name in names:
                held: dict[str, Any] = {**_arrays(e), **(arrays or {})}
                np.savez_compressed(npz, **held)
            if text.name in names:
                words = {**_summary(e, rows, drawn, durations), **(summary or {})}
                words = json_text(words, str(folder), ensure_ascii=False, indent=2)
                text.write_text(words + "\n", "utf-8")
            if table.name in names:
                table.write_text(windows_table(e), encoding="utf-8")
            if course.name in names:
                from .course import draw_course

                draw_course(e).savefig(course)

        if names & {mp4.name, gif.name, png.name}:
            _draw(_FrameDrawer(e, rows, drawn, durations), names, (mp4, gif, png), write_rest)
        else:
            write_rest()
    return [Path(folder) / name for name in known if name in names]


def _rate(fps: float) -> float:
    """A rate that was asked for, checked as that of a video."""
    return float(exact_rate(fps))


def chosen_files(only: str | Sequence[str] | None) -> set[str]:
    """Which of the files are meant by names or endings.

    Raises:
        BadInput: one of them is none of these, or nothing is named.
    """
    every = FILES + VIDEO_FILES
    if only is None:
        return set(every)
    asked = [only] if isinstance(only, str) else list(only)
    chosen: set[str] = set()
    for one in asked:
        found = {name for name in every if str(one).removeprefix(".") in (name, *name.split("."))}
        if not found:
            endings = ", ".join(dict.fromkeys(name.split(".")[1] for name in every))
            raise BadInput(f"only: {one!r} is not written: choose from {endings}")
        chosen |= found
    if not chosen:
        raise BadInput("only: nothing is named; leave it out to write all")
    return chosen


def _draw(
    drawer: _FrameDrawer,
    names: set[str],
    paths: tuple[Path, Path, Path],
    write_rest: Callable[[], None],
) -> None:
    """Write those of overlay.mp4, overlay.gif and sheet.png that are wanted, and all the rest."""
    mp4, gif, png = paths
    with ThreadPoolExecutor(2) as pool:
        # The encoder has threads of its own: while it works, this one writes all the rest
        frames = drawer.frames()
        if mp4.name in names:
            video = pool.submit(write_mp4, frames, mp4, **mp4_pace(drawer.durations))
        else:  # drawn for those who keep what they need of it
            video = pool.submit(deque, frames, maxlen=0)
        video.add_done_callback(lambda _: drawer.done.set())  # also if it never began
        try:
            write_rest()
            drawer.done.wait()
            if drawer.complete:  # else video.result() says what went wrong
                animation = None
                if gif.name in names:
                    stays = drawer.gif_durations()
                    animation = pool.submit(write_gif, drawer.for_gif, gif, durations=stays)
                if png.name in names:
                    drawer.sheet().write_png(png)
                if animation is not None:
                    animation.result()
        except BaseException:
            drawer.stop.set()
            raise
        video.result()


def mp4_pace(durations: np.ndarray) -> dict[str, Any]:
    """How `write_mp4` is told what each frame's time is: by one rate, where they are alike.

    A container counts in ticks, often of a millisecond: 0.033 and 0.034 s are of one rate.
    """
    regular = np.ptp(durations) <= 0.002 and np.ptp(durations) < 0.2 * durations.mean()
    rate = len(durations) / durations.sum()
    return {"fps": rate} if regular and 0.01 <= rate <= 240 else {"durations": durations}


class _FrameDrawer:
    """Draws every frame once and keeps what gif and sheet need of it."""

    def __init__(self, e: Drawable, rows: list[int], look: Look, durations: np.ndarray) -> None:
        self.e, self.rows, self.look, self.durations = e, rows, look, durations
        self.layout = FrameLayout(e, rows, look)
        self.count = len(e.clip.times)
        self.every = -(-self.count // GIF_FRAMES)
        self.for_gif: list[np.ndarray] = []
        self.in_sheet = chosen_frames(e, rows, SHEET_FRAMES)
        self.size = thumbnail(self.layout.height, self.layout.width)
        self.thumbnails: dict[int, list[np.ndarray]] = {}
        self.done, self.stop, self.complete = Event(), Event(), False

    def gif_durations(self) -> np.ndarray:
        """How long each frame of the gif stays: until the next one of it."""
        return np.add.reduceat(self.durations, np.arange(0, self.count, self.every))

    def frames(self) -> Iterator[np.ndarray]:
        """The pictures of the video, one after the other."""
        try:
            for t in range(self.count):
                if self.stop.is_set():
                    raise BadInput("writing was stopped")
                frame = self.layout.original(t)
                panels = [frame, *self.layout.overlays(t, frame)]
                picture = self.layout.draw(t, panels)
                if t % self.every == 0:
                    self.for_gif.append(np.asarray(at_most(picture, GIF_WIDTH)))
                if t in self.in_sheet:
                    self.thumbnails[t] = [_small(panel, self.size) for panel in panels]
                yield picture
            self.complete = True
        finally:  # also when the encoder gives up before the last frame
            self.done.set()

    def sheet(self) -> Drawing:
        """The contact sheet, of the same panels as the video."""
        paint = self.thumbnails.__getitem__
        return lay_out(self.e, self.rows, self.look, self.in_sheet, self.size, paint)


def _small(panel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(panel).resize(size[::-1], Image.Resampling.BOX))


def _arrays(e: Drawable) -> dict[str, np.ndarray]:
    """What explanation.npz holds: all of an explanation but its frames.

    Of a long video the maps are those of its windows, with a leading axis n; joined, they would be
    the same numbers once more.
    """
    most = e.maps.reshape(len(e.maps), -1).max(axis=1)
    windows = e.windows
    if windows is None:
        grid = e.grid
        half, unit = to_half(e.signed)
        own = {
            "signed": half,
            "signed_unit": unit,
            "logits": e.logits,
            "times": np.asarray(e.clip.times),
            "repeated": np.asarray(e.clip.repeated),
        }
    else:
        grid = windows.grid
        own = {
            "signed": windows.signed,  # (n, k, T', h, w)
            "signed_unit": windows.unit,  # (n, k)
            "logits": windows.logits,  # (n, K)
            "times": windows.times,  # (n, T)
            "repeated": windows.repeated,
            "window_start": windows.starts,  # (n,)
            "window_end": windows.ends,
            "frame_times": np.asarray(e.clip.times),  # (F,), every distinct frame of the windows
        }
    if e.clip.stays is not None:
        own["stays"] = e.clip.stays
    return {
        **own,  # the maps before ReLU are signed · signed_unit; unit is 1 but for very large maps
        "classes": e.classes,
        "labels": np.array(e.labels, dtype=str),
        # maps / scales lie in 0..1; an empty map is divided by 1
        "scales": np.where(most > 0, most, 1).astype(np.float32),
        "method": np.array(e.method),
        "output": np.array(e.output),
        # where the cells lie: (offset, stride) in time, rows, columns of the input, and its crop
        "axes": np.array([(a.offset, a.stride) for a in (grid.time, grid.rows, grid.columns)]),
        # and how much of the input the network sees along each (all of it, mostly)
        "seen": np.array(
            [a.size if a.seen is None else a.seen for a in (grid.time, grid.rows, grid.columns)]
        ),
        "input_size": np.array([grid.view.rows, grid.view.columns]),
        "crop": np.array(grid.view.box),
        "size": np.array(e.clip.frames.shape[1:3]),
        "align": np.array(grid.align),
        # what is in summary.json, too
        "model": np.array(e.model),
        "untrained": np.array(e.untrained),
        "true_label": np.array(e.true_label or ""),
        "remark": np.array(e.remark),
        "source": np.array(str(e.clip.source)),
        "note": np.array(e.clip.note),
        "start": np.array(e.clip.start),
        "clip_fps": np.array(e.clip.fps),
        "seconds": np.array(float(e.seconds)),
    }


def _summary(e: Drawable, rows: list[int], look: Look, durations: np.ndarray) -> dict[str, Any]:
    height, width = e.clip.frames.shape[1:3]
    frames = len(e.clip.times)
    in_gif = -(-frames // -(-frames // GIF_FRAMES))
    more = {} if e.windows is None else {"windows": _window_answers(e)}
    return {
        "top": [[name, round(p, 6)] for name, p in e.top(5)],
        "model": e.model,
        "method": e.method,
        "output": e.output,
        "seconds": round(float(e.seconds), 4),
        "empty_classes": e.empty_classes,
        "shown": [class_name(e, row) for row in rows],
        "true_label": e.true_label,
        "untrained": e.untrained,
        "remark": e.remark,
        "source": str(e.clip.source),
        "note": e.clip.note,
        "frames": len(e.clip.times),
        "repeated_frames": int(np.sum(e.clip.repeated)),
        "times": [round(float(t), 4) for t in e.clip.times],
        "size": [int(height), int(width)],
        "align": e.grid.align,
        "scope": look.scope,
        "colours": look.cmap,
        "fps": round(frames / float(durations.sum()), 4),
        "plays": round(float(durations.sum()), 4),  # seconds
        "frames_in_gif": in_gif,
        **more,
    }


def _window_answers(e: Drawable) -> list[dict[str, Any]]:
    """The two best classes of each window, and when it begins and ends, seconds."""
    windows = e.windows
    assert windows is not None
    return [
        {
            "start": round(float(windows.starts[k]), 4),
            "end": round(float(windows.ends[k]), 4),
            "top": [[name, round(value, 6)] for name, value in e.top(2, k)],
        }
        for k in range(len(windows))
    ]


def windows_table(e: Drawable) -> str:
    """The same as CSV: start, end, then label and value of the two best classes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start", "end", "label_1", "value_1", "label_2", "value_2"])
    for window in _window_answers(e):
        best = [part for pair in window["top"] for part in pair]
        writer.writerow([window["start"], window["end"], *best])
    return text.getvalue()
