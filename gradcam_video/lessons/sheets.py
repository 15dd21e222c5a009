"""Pages of a case for notebooks 06 and 07: the bare clips, maps on one scale, and their difference.

A page is 1,000 pixels wide. In a notebook it is shown at about 700, so no letter is smaller than 15
pixels here. Only the middle square of a frame is drawn: the network sees no more of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ..data.clip import Clip
from ..explanation import Explanation
from ..show.blend import lay_on, resize
from ..show.inline_figure import InlineFigure
from ..show.look import Look

WIDE, LEFT, RIGHT, TEXT = 1000, 62, 82, 11  # pixels; TEXT in points: 15 pixels
ONE, OTHER = "#d97706", "#6d28d9"  # the colours of the two classes
GREY = 0.75
DIVERGING = "PuOr_r"  # orange for the one class, violet for the other


def bet_sheet(
    clips: Sequence[Clip],
    names: Sequence[str],
    across: int = 8,
    frames: Sequence[int] | None = None,
) -> InlineFigure:
    """Bare clips, every frame with its number, large enough to bet on.

    Args:
        clips: each on as many rows as its frames need.
        names: a line above each.
        across: frames in a row.
        frames: which frames; None: all.

    Returns:
        A figure that shows itself in a notebook.
    """
    side = (WIDE - 2) // across
    shown = [range(len(clip)) if frames is None else frames for clip in clips]
    blocks = [_tiles(clip, some, across, side) for clip, some in zip(clips, shown, strict=True)]
    line, gap = 26, 10
    page = sum(len(block) + line + gap for block in blocks)
    figure = InlineFigure(figsize=(WIDE / 100, page / 100), dpi=100, facecolor="white")
    top = 0
    for some, name, block in zip(shown, names, blocks, strict=True):
        figure.text(0.002, 1 - (top + 3) / page, name, va="top", size=12, weight="bold")
        axis = _axis(figure, 0, top + line, block.shape[1], len(block))
        axis.imshow(block, aspect="auto", interpolation="none")
        axis.axis("off")
        for i, t in enumerate(some):
            _number(axis, i % across * side, i // across * side, t)
        top += line + len(block) + gap
    return figure


@dataclass(frozen=True)
class _Row:
    """A row of maps: cells (T, h, w) in -1..1 of `most` logits, and how they are drawn."""

    name: str
    cells: np.ndarray
    cmap: str
    lowest: float  # of the scale: 0, or -1 where it has two sides


def case_sheet(
    e: Explanation,
    one: str,
    other: str,
    frames: Sequence[int],
    *,
    action: tuple[int, int] | None = None,
    difference: bool = False,
) -> InlineFigure:
    """The maps of two classes on one scale, and the evidence of both in every frame.

    Args:
        e: a clip with its maps, one cell in time for each frame.
        one, other: the classes, map A and map B.
        frames: which frames are drawn.
        action: first and last frame of the true action, shaded.
        difference: a third row, the signed map of A minus that of B, on a scale with two sides.

    Returns:
        A figure that shows itself in a notebook.
    """
    signed = [e.signed[e.row(name)] for name in (one, other)]
    most = max(float(max(s.max() for s in signed)), 1e-9)
    rows = [
        _Row("map A", np.maximum(signed[0], 0) / most, "inferno", 0),
        _Row("map B", np.maximum(signed[1], 0) / most, "inferno", 0),
    ]
    if difference:
        gap = signed[0] - signed[1]
        widest = float(np.abs(gap).max())
        rows.append(_Row("A - B", gap / widest, DIVERGING, -1))
    side = (WIDE - LEFT - RIGHT) // len(frames)
    across = side * len(frames)
    said = [e.probabilities[e.row(name)] for name in (one, other)]
    head = [f"A  {one}  (probability {said[0]:.2f})", f"B  {other}  (probability {said[1]:.2f})"]
    line, bars, foot = 24, 130, 50
    above = line * len(head) + 8
    page = above + (side + 4) * (1 + len(rows)) + bars + foot
    figure = InlineFigure(figsize=(WIDE / 100, page / 100), dpi=100, facecolor="white")
    for i, (words, colour) in enumerate(zip(head, (ONE, OTHER), strict=True)):
        at = LEFT / WIDE, 1 - (4 + i * line) / page
        figure.text(*at, words, va="top", size=12, color=colour, weight="bold")

    clip = _axis(figure, LEFT, above, across, side)
    clip.imshow(_tiles(e.clip, frames, len(frames), side), aspect="auto", interpolation="none")
    _bare(clip, "clip", side)
    for i, t in enumerate(frames):
        _number(clip, i * side, 0, t)
    for k, row in enumerate(rows):
        top = above + (k + 1) * (side + 4)
        axis = _axis(figure, LEFT, top, across, side)
        heats = [_drawn(e, row.cells[t]) for t in frames]
        pictures = [_painted(e, t, heat, row) for t, heat in zip(frames, heats, strict=True)]
        tiles = np.hstack([resize(picture, side, side) for picture in pictures])
        axis.imshow(tiles, aspect="auto", interpolation="none")
        _bare(axis, row.name, side)
        if k != 1:  # maps A and B share theirs
            high = side if row.lowest else 2 * side + 4
            scale = most if row.lowest == 0 else widest
            _colour_bar(figure, top, high, row, scale, LEFT + across + 10)

    axis = _axis(figure, LEFT, above + (side + 4) * (1 + len(rows)) + 8, across, bars - 8)
    _bars(axis, signed, action, frames)
    return figure


def _bars(
    axis: Axes,
    signed: Sequence[np.ndarray],
    action: tuple[int, int] | None,
    frames: Sequence[int],
) -> None:
    """Both classes in every frame, side by side."""
    count = len(signed[0])
    if action is not None:
        axis.axvspan(action[0] - 0.5, action[1] + 0.5, color="0.9", zorder=0)
        axis.text(
            action[0] - 0.4, 0.98, "action", size=TEXT, va="top", color="0.4",
            transform=axis.get_xaxis_transform(),
        )  # fmt: skip
    for k, (maps, colour) in enumerate(zip(signed, (ONE, OTHER), strict=True)):
        axis.bar(np.arange(count) + 0.4 * k - 0.2, maps.sum((1, 2)), 0.4, color=colour)
    axis.axhline(0, color="0.3", linewidth=0.8)
    axis.set_xlim(-0.6, count - 0.4)
    axis.set_xticks(range(count))
    for tick, t in zip(axis.get_xticklabels(), range(count), strict=True):
        tick.set_fontweight("bold" if t in frames else "normal")
    axis.tick_params(labelsize=TEXT)
    axis.set_xlabel("frame (bold: drawn above)", size=TEXT)
    axis.set_ylabel("logits", size=TEXT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _colour_bar(
    figure: InlineFigure, top: int, high: int, row: _Row, scale: float, left: int
) -> None:
    axis = _axis(figure, left, top + 8, 14, high - 16)
    shades = ScalarMappable(Normalize(row.lowest * scale, scale), row.cmap)
    bar = figure.colorbar(shades, cax=axis)
    bar.set_ticks([row.lowest * scale, 0, scale] if row.lowest else [0, scale])
    bar.ax.set_yticklabels([f"{t:.2g}" for t in bar.get_ticks()], size=TEXT)
    if row.lowest == 0:
        bar.set_label("logits, one cell", size=TEXT, labelpad=-8)


def _painted(e: Explanation, t: int, heat: np.ndarray, row: _Row) -> np.ndarray:
    """The middle square of frame t with its map, uint8 (side, side, 3)."""
    frame = e.clip.picture(t)
    if row.lowest == 0:
        return _square(lay_on(frame, np.clip(heat, 0, 1), Look(cmap=row.cmap)))
    grey = frame.mean(2, keepdims=True).repeat(3, 2)
    grey = GREY * grey + (1 - GREY) * frame
    colours = mpl.colormaps[row.cmap](0.5 + 0.5 * heat)[..., :3] * 255  # (H, W, 3)
    share = 0.8 * (1 - (1 - np.abs(heat[..., None])) ** 2)
    return _square((grey + share * (colours - grey)).astype(np.uint8))


def _drawn(e: Explanation, cells: np.ndarray) -> np.ndarray:
    """A map (h, w), signed, on the clip's pixels: (H, W)."""
    return e.grid.row_weights() @ cells @ e.grid.column_weights().T


def _square(frame: np.ndarray) -> np.ndarray:
    """The middle square of a picture (H, W, 3)."""
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def _tiles(clip: Clip, frames: Sequence[int], across: int, side: int) -> np.ndarray:
    """Middle squares in rows of `across`: uint8 (rows · side, across · side, 3)."""
    tiles = [resize(_square(clip.picture(t)), side, side) for t in frames]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    return np.vstack([np.hstack(tiles[i : i + across]) for i in range(0, len(tiles), across)])


def _axis(figure: Any, left: int, top: int, width: int, height: int) -> Axes:
    """An axis at a place given in pixels from the page's upper left corner."""
    wide, page = figure.get_size_inches() * 100
    return figure.add_axes((left / wide, 1 - (top + height) / page, width / wide, height / page))


def _bare(axis: Axes, name: str, side: int) -> None:
    axis.set_xticks([])
    axis.set_yticks([side / 2], [name], size=TEXT)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _number(axis: Axes, x: float, y: float, t: int) -> None:
    """The number of a frame in the corner of its picture."""
    box = {"facecolor": "black", "alpha": 0.6, "pad": 2, "linewidth": 0}
    axis.text(x + 4, y + 4, str(t), color="w", size=TEXT, va="top", bbox=box)
