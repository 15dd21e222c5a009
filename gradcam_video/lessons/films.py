"""Films on paper: frames side by side, a row for each film, for a page 700 pixels wide.

Every letter is at least ten pixels high there, each figure has one colour map and one scale with
its bar, and every frame has its number.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from ..errors import BadInput
from ..explanation import Explanation
from ..show.blend import overlay
from ..show.inline_figure import InlineFigure

WIDE = 7.0  # inches: 700 pixels of a page
_SMALL, _INK, _SOFT = 8.0, "#1c1c22", "#6a6a75"  # points: 11 pixels
_BAR, _MARKED, _ACTION = "#9a9aa6", "#3f3f46", "#d97706"
_DPI = 110
_LINE = 0.19  # inches of height for a row's words


class Page(InlineFigure):
    """A figure of many small pictures: a notebook must stay light."""

    quality = 75


def cell_rows(
    films: Sequence[np.ndarray],
    words: Sequence[str],
    frames: Sequence[int],
    *,
    most: float,
    signed: bool = False,
    unit: str = "",
) -> Page:
    """Rows of cells as they are, without the clip under them.

    Args:
        films: each (T, h, w), or pictures, uint8 (T, H, W, 3), which are drawn as they are.
        words: one line above each row.
        frames: which frames are drawn.
        most: the end of the colour bar; what is beyond it has its last colour.
        signed: two colours around zero, orange above and blue below; else inferno from zero.
        unit: what the colour bar counts.

    Raises:
        BadInput: not as many words as films.
    """
    cmap = "PuOr_r" if signed else "inferno"
    scale = Normalize(-most if signed else 0, most)
    mapped = ScalarMappable(scale, cmap)
    rows = [
        [film[t] if film.ndim == 4 else mapped.to_rgba(film[t])[..., :3] for t in frames]
        for film in map(np.asarray, films)
    ]
    return _page(rows, words, [frames] * len(rows), mapped, unit)


def overlay_rows(
    frames_of_clip: np.ndarray,
    heats: Sequence[np.ndarray | None],
    words: Sequence[str],
    frames: Sequence[int],
    unit: str = "",
    across: int | None = None,
) -> Page:
    """Rows of one clip under several maps.

    Args:
        frames_of_clip: uint8 (T, H, W, 3).
        heats: each (T, H, W) in 0..1; None is the bare clip.
        words: one line above each row.
        frames: which frames are drawn.
        unit: what the colour bar counts, from 0 to 1.
        across: room for so many frames in a row; None: for these.

    Raises:
        BadInput: not as many words as maps.
    """
    rows = [
        [frames_of_clip[t] if heat is None else overlay(frames_of_clip[t], heat[t]) for t in frames]
        for heat in heats
    ]
    colours = ScalarMappable(Normalize(0, 1), "inferno")
    return _page(rows, words, [frames] * len(rows), colours, unit, across=across)


def frame_grid(frames: np.ndarray, words: str, across: int = 6) -> Page:
    """All frames of a clip without any map, large enough to bet on.

    Args:
        frames: uint8 (T, H, W, 3).
        words: a line above them.
        across: frames in a row.
    """
    count = len(frames)
    numbers = [list(range(t, min(t + across, count))) for t in range(0, count, across)]
    rows = [[frames[t] for t in row] for row in numbers]
    return _page(rows, [words] + [""] * (len(rows) - 1), numbers, None, "", across=across)


def draw_case(
    e: Explanation,
    label: str | int | None = None,
    *,
    action: tuple[int, int] | None = None,
    marked: tuple[int, int] | None = None,
    every: int = 2,
) -> Page:
    """A case on one page: what the network sees, the map, and the evidence of every frame.

    Args:
        e: what is shown.
        label: whose map; None is the top class.
        action: first and last frame of the true action, shaded.
        marked: first and last of the decisive frames, whose bars are dark.
        every: draw every so many frames, the one with the most evidence among them.
    """
    row = e.row(label)
    curve = e.row_evidence(row)  # (T,)
    shown = list(range(int(curve.argmax()) % every, len(curve), every))
    clip = seen(e, e.clip.frames)
    heat = seen(e, e.upsampled(int(e.classes[row])))
    drawn = ScalarMappable(Normalize(0, 1), "inferno")
    rows = [[clip[t] for t in shown], [overlay(clip[t], heat[t]) for t in shown]]
    name = e.labels[int(e.classes[row])].replace("[something]", "…")
    words = [
        "what the network sees",
        f"evidence for “{name}” ({e.model}), one scale for the whole clip",
    ]
    unit = "share of the brightest cell"
    figure = _page(rows, words, [shown, shown], drawn, unit, below=1.4)
    high = figure.get_size_inches()[1]
    bars = figure.add_axes((0.09, 0.42 / high, 0.9, 0.98 / high))
    _bars(bars, curve, action, marked, shown)
    return figure


def seen(e: Explanation, frames: np.ndarray) -> np.ndarray:
    """Frames or maps (T, H, W, …) cut to what the network sees of them."""
    top, left, bottom, right = map(round, e.grid.view.box)
    return frames[:, max(top, 0) : bottom, max(left, 0) : right]


def _page(
    rows: Sequence[Sequence[np.ndarray]],
    words: Sequence[str],
    numbers: Sequence[Sequence[int]],
    colours: ScalarMappable | None,
    unit: str,
    below: float = 0.0,
    across: int | None = None,
) -> Page:
    """The rows under each other, the colour bar under them, and room below."""
    if len(rows) != len(words) or not rows:
        raise BadInput(f"{len(rows)} films and {len(words)} lines of words: give one for each")
    side, gap, count = 0.01, 0.004, across or len(numbers[0])
    wide = (1 - 2 * side - gap * (count - 1)) / count  # of a tile, as a share of the width
    height, width = rows[0][0].shape[:2]
    tall = WIDE * wide * height / width  # inches
    heads = [_LINE if line else 0.0 for line in words]
    bar = 0.62 if colours else 0.0
    page = len(rows) * (tall + 0.06) + sum(heads) + bar + below
    figure = Page(figsize=(WIDE, page), dpi=_DPI, facecolor="white")
    top = page
    for tiles, line, head, frames in zip(rows, words, heads, numbers, strict=True):
        figure.text(side, (top - 0.04) / page, line, va="top", size=_SMALL, color=_INK)
        top -= head + tall
        for i, (t, tile) in enumerate(zip(frames, tiles, strict=True)):
            box = (side + i * (wide + gap), top / page, wide, tall / page)
            axis = figure.add_axes(box)
            axis.imshow(tile, aspect="auto", interpolation="nearest")
            axis.axis("off")
            behind = {"facecolor": "black", "alpha": 0.55, "pad": 1.2, "linewidth": 0}
            axis.text(
                0.03, 0.97, str(t), color="w", size=_SMALL, va="top", transform=axis.transAxes,
                bbox=behind,
            )  # fmt: skip
        top -= 0.06
    if colours is None:
        return figure
    axis = figure.add_axes((0.3, (top - 0.2) / page, 0.4, 0.11 / page))
    ends = [colours.norm.vmin, 0, colours.norm.vmax] if colours.norm.vmin else None
    line = figure.colorbar(colours, cax=axis, orientation="horizontal", ticks=ends)
    line.set_label(unit, size=_SMALL, color=_SOFT, labelpad=1)
    line.ax.tick_params(labelsize=_SMALL, colors=_SOFT, length=2, pad=1)
    return figure


def _bars(
    axis: Axes,
    curve: np.ndarray,
    action: tuple[int, int] | None,
    marked: tuple[int, int] | None,
    shown: Sequence[int],
) -> None:
    """Evidence per frame."""
    at = np.arange(len(curve))
    dark = np.zeros(len(curve), bool)
    if marked is not None:
        dark[marked[0] : marked[1] + 1] = True
    if action is not None:
        axis.axvspan(
            action[0] - 0.5, action[1] + 0.5, color=_ACTION, alpha=0.2, label="the action (truth)"
        )
    axis.bar(at[~dark], curve[~dark], color=_BAR, width=0.8)
    if dark.any():
        axis.bar(at[dark], curve[dark], color=_MARKED, width=0.8, label="decisive: half of it")
    axis.set_ylim(0, max(float(curve.max()) * 1.1, 1e-9))
    axis.set_xlim(-0.6, len(curve) - 0.4)
    axis.set_xticks(at)
    axis.tick_params(labelsize=_SMALL, colors=_SOFT, length=2)
    for t in shown:
        axis.get_xticklabels()[t].set_color(_INK)
        axis.get_xticklabels()[t].set_fontweight("bold")
    axis.set_xlabel("frame (bold: drawn above)", size=_SMALL, color=_SOFT, labelpad=1)
    axis.set_ylabel("logits", size=_SMALL, color=_SOFT, labelpad=2)
    if action is not None or dark.any():
        axis.legend(fontsize=_SMALL, loc="best", framealpha=0.85)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
