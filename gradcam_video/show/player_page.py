"""The player: slide through frames, change the class, all drawn in the browser."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..errors import BadInput
from ..geometry import SCOPES, Axis
from .blend import GREY, UNSEEN, at_size, fit, resize
from .captions import (
    UNTRAINED,
    best_words,
    class_answer,
    class_name,
    frame_spoken,
    frame_words,
    window_answer,
    window_best,
)
from .html import asset, in_frame, jpeg, standalone
from .look import Look, LookOptions, palette

if TYPE_CHECKING:
    from .drawable import Drawable

MAX_FRAMES = 240  # a minute at 4 frames per second
MAX_MAP_BYTES = 12_000_000  # beyond, the least probable classes are left out
SCOPE_TITLES = {
    "clip": "this class, whole clip",
    "frame": "each frame by itself (hides when)",
    "classes": "all classes together",
}


def payload(
    e: Drawable, row: int | None = None, look: Look | None = None, *, width: int = 640
) -> tuple[dict[str, Any], bytes]:
    """Everything the browser needs, once: JPEG frames, the maps of all classes as bytes, words.

    Each time step of each class's map is stored as bytes of its own maximum, and the maxima as
    float32: what the browser draws is within 1/255 of `Explanation.upsampled` in every scope.

    Args:
        e: what to show.
        row: of the class shown first; None is the top class.
        look: as it is shown first; None is a plain `Look`.
        width: of the picture, at most, in pixels.

    Returns:
        (meta, data): a dict of plain JSON values, and the bytes it points into.
    """
    first = e.row() if row is None else row
    look = look or Look()
    if width < 32:
        raise BadInput(f"width {width} is too small for a player: use at least 32 pixels")
    height, across = fit(*e.clip.frames.shape[1:3], low=1, wide=width)
    small = at_size(e, height, across)
    frames = len(e.clip.times)
    highest = e.window_probabilities.max(axis=0)[e.classes]  # of a clip: its own
    rows = np.argsort(-highest, kind="stable")  # most probable first
    shown = _kept_frames(e, first, rows)
    # Joined maps have a cell for every frame of the video: those of the frames that are here go.
    thinned = e.windows is not None and len(shown) < frames
    maps_of = e.maps[:, shown] if thinned else e.maps
    steps, cells = maps_of.shape[1], maps_of[0, 0].size
    room = max(1, MAX_MAP_BYTES // (steps * cells))
    if len(rows) > room:
        rows = np.r_[rows[:room][rows[:room] != first], first][-room:]
        rows = rows[np.argsort(-highest[rows], kind="stable")]
    maxima, maps = quantised(maps_of[rows])

    cmaps = list(dict.fromkeys([look.cmap, "inferno", "viridis", "jet"]))
    jpegs = [jpeg(resize(e.clip.picture(int(t)), height, across)) for t in shown]
    parts = [maxima.tobytes(), maps.tobytes(), *(palette(name).tobytes() for name in cmaps), *jpegs]
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    grid, view = small.grid, small.grid.view
    time = Axis(steps, steps, 0.0, 1.0) if thinned else grid.time
    # Each stays until the next one that is here, the first from the beginning.
    stays = np.add.reduceat(e.clip.durations, np.r_[0, shown[1:]])
    marks = " small marks: the network's own time steps;" if e.windows is None else ""
    meta: dict[str, Any] = {
        "classes": [{"name": class_name(e, r), "answer": class_answer(e, r)} for r in rows],
        "frames": {
            "width": across,
            "height": height,
            "all": steps if thinned else frames,
            "numbers": list(range(steps)) if thinned else shown.tolist(),
            "durations": [round(1000 * float(stay), 3) for stay in stays],  # milliseconds
            "times": [float(t) for t in e.clip.times[shown]],
            "repeated": [bool(r) for r in e.clip.repeated[shown]],
            "words": [frame_words(e, int(t)) for t in shown],
            "spoken": [frame_spoken(e, int(t)) for t in shown],
        },
        "grid": {
            "cells": list(maps_of.shape[1:]),
            "inputs": [view.rows, view.columns],
            "box": list(map(float, view.box)),
            **{
                name: {
                    "cells": axis.cells,
                    "offset": axis.offset,
                    "stride": axis.stride,
                    "seen": axis.seen,
                }
                for name, axis in (
                    ("time", time),
                    ("rows", grid.rows),
                    ("columns", grid.columns),
                )
            },
        },
        "parts": {"maxima": 0, "maps": starts[1], "jpegs": starts[2 + len(cmaps) :]},
        "cmaps": [
            {
                "name": name,
                "title": "jet, as in the post" if name == "jet" else name,
                "blend": look.blend_of(name),
                "start": starts[2 + i],
            }
            for i, name in enumerate(cmaps)
        ],
        "scopes": [{"name": name, "title": SCOPE_TITLES[name]} for name in SCOPES],
        "look": {"grey": GREY, "unseen": UNSEEN},
        "untrained": UNTRAINED if e.untrained else "",
        "words": {
            "strip": f"evidence in each frame (dashed: a repeated one);{marks} outline on the "
            "picture: half of the scale",
            "about": _about(e, len(shown), len(rows)),
        },
        "start": {
            "frame": 0,
            "choice": int(np.flatnonzero(rows == first)[0]),
            "opacity": float(look.opacity),
            "scope": SCOPES.index(look.scope),
            "cmap": 0,
        },
        "width": max(across, min(width, 480)),  # a tiny clip is drawn larger
        "interval": round(1000 * float(stays.mean()), 3),  # the mean of all durations
    }
    if e.windows is not None:
        of = [e.window_of(int(t)) for t in shown]
        here = sorted(set(of))
        meta["windows"] = {
            "of": [here.index(k) for k in of],  # the window that speaks for each frame
            "answers": [[window_answer(e, int(row), k) for row in rows] for k in here],
            "best": [window_best(e, k) for k in here],
        }
    return meta, b"".join(parts)


def _kept_frames(e: Drawable, first: int, rows: np.ndarray) -> np.ndarray:
    """Which frames are in the player, int64 (n,), ascending: all, or at most `MAX_FRAMES`.

    Evenly chosen. No peak may be lost: for the class shown first and the most probable ones, the
    frame of the strongest evidence and that of the strongest cell take the place of their nearest.
    """
    frames = len(e.clip.times)
    if frames <= MAX_FRAMES:
        return np.arange(frames)
    peaks: set[int] = set()
    for row in dict.fromkeys([first, *rows.tolist()]):
        strongest = float(e.maps[row].max(axis=(1, 2)).argmax())
        cell = round(e.grid.time.offset + e.grid.time.stride * strongest)
        more = {int(e.row_evidence(row).argmax()), min(max(cell, 0), frames - 1)}
        if len(peaks | more) > MAX_FRAMES // 2:
            break
        peaks |= more
    shown = np.linspace(0, frames - 1, MAX_FRAMES).round().astype(int)
    for peak in sorted(peaks - set(shown.tolist())):
        free = np.flatnonzero(~np.isin(shown, list(peaks)))
        shown[free[np.abs(shown[free] - peak).argmin()]] = peak
    return np.sort(shown)


def quantised(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps as bytes of each time step's own maximum.

    Args:
        maps: float32 (k, T', h, w), not negative.

    Returns:
        (maxima float32 (k, T'), bytes uint8 (k, T', h, w)): maps ≈ bytes / 255 · maxima.
    """
    maxima = maps.max(axis=(2, 3)).astype("<f4")
    divide = np.where(maxima > 0, maxima, 1)[:, :, None, None]
    return maxima, np.round(maps / divide * 255).astype(np.uint8)


class FramedPlayer:
    """The player as a page in a frame, without a widget.

    `frame`, `label`, `opacity`, `scope` and `cmap` can be read and set; the next time it is
    displayed it begins with them. A page that is shown already hears nothing from the kernel.

    Args:
        e: what is shown.
        meta, data: its `payload`.

    Raises:
        BadInput: at display, when what was set does not fit.
    """

    def __init__(self, e: Drawable, meta: dict[str, Any], data: bytes) -> None:
        self._explanation, self._meta, self._data = e, meta, data
        start = meta["start"]
        self.frame: int = start["frame"]
        self.label: str | int | None = meta["classes"][start["choice"]]["name"]
        self.opacity: float = start["opacity"]
        self.scope: str = SCOPES[start["scope"]]
        self.cmap: str = meta["cmaps"][start["cmap"]]["name"]

    def __repr__(self) -> str:
        return f"Player({self.label!r}, frame {self.frame})"

    def _repr_html_(self) -> str:
        return framed({**self._meta, "start": self._start()}, self._data)

    def _start(self) -> dict[str, Any]:
        """What was set, as the page wants it; kept in range as a slider would."""
        e, meta = self._explanation, self._meta
        name = class_name(e, e.row(self.label))
        return {
            "frame": min(max(self.frame, 0), len(meta["frames"]["times"]) - 1),
            "choice": place(name, [c["name"] for c in meta["classes"]], "class"),
            "opacity": min(max(float(self.opacity), 0.0), 1.0),
            "scope": place(self.scope, list(SCOPES), "scope"),
            "cmap": place(self.cmap, [c["name"] for c in meta["cmaps"]], "colour map"),
        }


def framed(meta: dict[str, Any], data: bytes) -> str:
    """The page around a payload, in an iframe that is high enough for it."""
    picture = meta["width"] * meta["frames"]["height"] / meta["frames"]["width"]
    return in_frame(page_of(meta, data), "Grad-CAM player", meta["width"] + 30, picture + 540)


def place(name: str, names: list[str], what: str) -> int:
    """Where a name is among those that may be chosen.

    Raises:
        BadInput: it is none of them.
    """
    if name not in names:
        raise BadInput(f"unknown {what} {name!r}: use one of {', '.join(names)}")
    return names.index(name)


def player_html(
    e: Drawable, label: str | int | None = None, *, width: int = 640, **look: Unpack[LookOptions]
) -> str:
    """The player as one HTML page that needs neither a kernel nor a network.

    Args:
        e, label, width, look: see `player`.

    Returns:
        The page, self-contained: no address in it leads anywhere.

    Raises:
        BadInput: an argument does not fit.
    """
    return page_of(*payload(e, e.row(label), Look(**look), width=width))


def page_of(meta: dict[str, Any], data: bytes) -> str:
    """The page around a payload."""
    best = meta["classes"][meta["start"]["choice"]]["name"]
    call = 'page(root, JSON.parse(text("meta")), text("data"));'
    encoded = base64.b64encode(data).decode()
    return standalone(f"Grad-CAM: {best}", asset("player.js"), call, meta, encoded, meta["width"])


def _about(e: Drawable, frames: int, classes: int) -> list[str]:
    """The small lines under the picture."""
    lines = [f"true label: {e.true_label}"] if e.true_label else []
    lines += [line for line in [best_words(e)] if line]
    about = " · ".join(s for s in (e.model, e.method, Path(str(e.clip.source)).name) if s)
    lines += [s for s in (about, e.clip.note, e.remark) if s]
    if frames < len(e.clip.times):
        some = f"{frames} of {len(e.clip.times)} frames are in this player"
        lines.append(f"{some}: evenly chosen, and the strongest")
    if classes < len(e.classes):
        lines.append(f"the {classes} most probable of {len(e.classes)} classes are in this player")
    return lines
