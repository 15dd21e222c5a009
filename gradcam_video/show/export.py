"""Everything about one clip on disk: six files in a folder, all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..files import atomic_files, json_text
from .captions import class_name, rows_of
from .contact_sheet import lay_out, thumbnail
from .drawing import Drawing
from .frame_layout import FrameLayout
from .look import Look, LookOptions
from .player_page import page_of, payload
from .video_writer import write_gif, write_mp4

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

    They are written beside the folder first and moved into it at the end: after a failure, the
    folder holds what it held before.

    Args:
        e: what to write.
        folder: created if missing; files of these six names in it are replaced.
        label: the class shown, or several side by side; None is the top class.
        only: which of the six, by their names or their endings ("mp4", "sheet.png"); None is all.
        fps: of the video; None plays it in the clip's own time.
        arrays: more arrays for explanation.npz, or others in place of its own.
        summary: more entries for summary.json.
        look: scope, cmap, opacity and blend of the pictures, see `Look`.

    Returns:
        The paths of what was written, in the order above.

    Raises:
        BadInput: an unknown label or output, a look or fps that does not fit, numbers that are not
            finite; the folder cannot be written; disk full.
    """
    names = chosen_files(only)
    rows, drawn = rows_of(e, label), Look(**look)
    fps = _own_fps(e.clip.times) if fps is None else fps
    with atomic_files(folder, names) as temporary:
        mp4, gif, png, page, npz, text = (temporary / name for name in FILES)

        def write_rest() -> None:
            if page.name in names:
                page.write_text(page_of(*payload(e, rows[0], drawn)), encoding="utf-8")
            if npz.name in names:
                held: dict[str, Any] = {**_arrays(e), **(arrays or {})}
                np.savez(npz, **held)
            if text.name in names:
                words = {**_summary(e, rows, drawn, fps), **(summary or {})}
                words = json_text(words, str(folder), ensure_ascii=False, indent=2)
                text.write_text(words + "\n", "utf-8")

        if names & {mp4.name, gif.name, png.name}:
            _draw(_FrameDrawer(e, rows, drawn), names, (mp4, gif, png), fps, write_rest)
        else:
            write_rest()
    return [Path(folder) / name for name in FILES if name in names]


def chosen_files(only: str | Sequence[str] | None) -> set[str]:
    """Which of the six files are meant by names or endings.

    Raises:
        BadInput: one of them is none of these, or nothing is named.
    """
    if only is None:
        return set(FILES)
    asked = [only] if isinstance(only, str) else list(only)
    chosen: set[str] = set()
    for one in asked:
        found = {name for name in FILES if str(one).removeprefix(".") in (name, *name.split("."))}
        if not found:
            endings = ", ".join(name.split(".")[1] for name in FILES)
            raise BadInput(f"only: {one!r} is not written: choose from {endings}")
        chosen |= found
    if not chosen:
        raise BadInput("only: nothing is named; leave it out to write all")
    return chosen


def _draw(
    drawer: _FrameDrawer,
    names: set[str],
    paths: tuple[Path, Path, Path],
    fps: float,
    write_rest: Callable[[], None],
) -> None:
    """Write those of overlay.mp4, overlay.gif and sheet.png that are wanted, and all the rest."""
    mp4, gif, png = paths
    with ThreadPoolExecutor(2) as pool:
        # The encoder has threads of its own: while it works, this one writes all the rest
        encode = write_mp4 if mp4.name in names else _nowhere
        video = pool.submit(encode, drawer.frames(), mp4, fps)
        video.add_done_callback(lambda _: drawer.done.set())  # also if it never began
        try:
            write_rest()
            drawer.done.wait()
            if drawer.complete:  # else video.result() says what went wrong
                animation = None
                if gif.name in names:
                    animation = pool.submit(write_gif, drawer.for_gif, gif, fps / drawer.every)
                if png.name in names:
                    drawer.sheet().write_png(png)
                if animation is not None:
                    animation.result()
        except BaseException:
            drawer.stop.set()
            raise
        video.result()


def _nowhere(frames: Iterator[np.ndarray], path: Path, fps: float) -> None:
    """Have every frame drawn, for those who keep what they need of it."""
    for _ in frames:
        pass


class _FrameDrawer:
    """Draws every frame once and keeps what gif and sheet need of it."""

    def __init__(self, e: Drawable, rows: list[int], look: Look) -> None:
        self.e, self.rows, self.look = e, rows, look
        self.layout = FrameLayout(e, rows, look)
        self.count = len(e.clip.times)
        self.every = -(-self.count // GIF_FRAMES)
        self.for_gif: list[np.ndarray] = []
        shown = np.linspace(0, self.count - 1, min(self.count, SHEET_FRAMES)).round().astype(int)
        self.in_sheet = np.unique(shown)
        self.size = thumbnail(self.layout.height, self.layout.width)
        self.thumbnails: dict[int, list[np.ndarray]] = {}
        self.done, self.stop, self.complete = Event(), Event(), False

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
                    self.for_gif.append(picture)
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


def _own_fps(times: np.ndarray) -> float:
    """The clip's own frame rate, from its times; 4 where they say nothing."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    return float(np.clip(1 / np.median(steps), 0.5, 60)) if len(steps) else 4.0


def _arrays(e: Drawable) -> dict[str, np.ndarray]:
    """What explanation.npz holds: all of an explanation but its frames."""
    grid = e.grid
    most = e.maps.reshape(len(e.maps), -1).max(axis=1)
    return {
        "maps": e.maps,
        "signed": e.signed,
        "classes": e.classes,
        "logits": e.logits,
        "labels": np.array(e.labels, dtype=str),
        "times": np.asarray(e.clip.times),
        "repeated": np.asarray(e.clip.repeated),
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


def _summary(e: Drawable, rows: list[int], look: Look, fps: float) -> dict[str, Any]:
    height, width = e.clip.frames.shape[1:3]
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
        "fps": round(fps, 4),
    }
