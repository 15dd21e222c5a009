"""Filmstrip: a case study on one page: frames, the maps under them, the evidence under those."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np
from matplotlib.axes import Axes

from ..errors import BadInput
from .blend import at_size, lay_on, resize
from .captions import UNTRAINED, class_name, rows_of, scope_words, short_answer, wrap
from .inline_figure import InlineFigure
from .look import Look, LookOptions

if TYPE_CHECKING:
    from .drawable import Drawable

ACROSS = 1180  # pixels for the frames of one row
_LEFT, _RIGHT = 54, 14  # beside them: words of the rows, and the last number of the axis
_INK, _SOFT, _ACTION, _ALARM = "#1c1c22", "#6a6a75", "#d97706", "#b01820"
_BAR, _MARKED = "#9a9aa6", "#3f3f46"


def draw_filmstrip(
    e: Drawable,
    label: str | int | Sequence[str | int | None] | None = None,
    *,
    every: int = 2,
    action: tuple[int, int] | None = None,
    marked: tuple[int, int] | None = None,
    **look: Unpack[LookOptions],
) -> InlineFigure:
    """Lay a case out as the 2017 post did, still: frames, under them the map of each class.

    The curve of evidence below (of the first class named) shares its axis with the frames: a bar
    stands under the picture that it belongs to, and every frame has one, those that are not drawn,
    too.

    Args:
        e: what to show; its true label, if known, and its model stand in the title.
        label: one class or several (a row each), by name or index; None is the top class.
        every: draw every so many frames, the one with the most evidence among them.
        action: first and last frame of the true action, shaded.
        marked: first and last frame whose bars are dark.
        look: scope, cmap, opacity and blend, see `Look`. The colours are jet, the post's, unless
            others are named.

    Returns:
        A matplotlib Figure that shows itself in a notebook; pyplot does not know it.

    Raises:
        BadInput: `every` is below one, an unknown class, or a look that does not fit.
    """
    if every < 1:
        raise BadInput(f"every={every}: give 1 to draw each frame, 2 for every second, …")
    look.setdefault("cmap", "jet")
    rows, drawn = rows_of(e, label), Look(**look)
    frames = len(e.clip.times)
    shown = range(int(e.row_evidence(rows[0]).argmax()) % every, frames, every)
    # The picture of frame t spans t to t + every on the axis that it shares with the bars.
    span = (-0.5, max(frames, shown[-1] + every) - 0.5)
    height, width = e.clip.frames.shape[1:3]
    wide = int(ACROSS * every / (span[1] - span[0]))
    size = max(2, round(wide * height / width)), wide
    small = at_size(e, *size)
    pictures = [resize(e.clip.picture(t), *size) for t in shown]
    panels = [np.hstack(pictures)]  # (h, n · w, 3)
    for row in rows:
        scale = e.row_scale(row, drawn.scope)
        heats = [small.row_frame(row, t, scale[t]) for t in shown]
        overlays = [
            lay_on(picture, heat, drawn, small.grid.seen(t))
            for picture, heat, t in zip(pictures, heats, shown, strict=True)
        ]
        panels.append(np.hstack(overlays))

    title = _title(e, rows, drawn.scope)
    line, bars, foot = 17, 92, 40  # pixels
    above = len(title) * line + 8
    page = above + len(panels) * (size[0] + 2) + bars + foot
    width = _LEFT + ACROSS + _RIGHT
    figure = InlineFigure(figsize=(width / 100, page / 100), dpi=100, facecolor="white")
    for i, (text, colour, weight) in enumerate(title):
        at = _LEFT / width, 1 - (4 + i * line) / page
        figure.text(*at, text, va="top", size=9, color=colour, weight=weight, parse_math=False)

    def axes(top: float, high: float) -> Axes:
        box = (_LEFT / width, 1 - (top + high) / page, ACROSS / width, high / page)
        return figure.add_axes(box)

    top = float(above)
    for i, panel in enumerate(panels):
        axis = axes(top, size[0])
        extent = (shown[0] - 0.5, shown[-1] + every - 0.5, 1, 0)
        axis.imshow(panel, aspect="auto", interpolation="none", extent=extent)
        if i == 0:
            for t in shown:
                box = {"facecolor": "black", "alpha": 0.5, "pad": 1.5, "linewidth": 0}
                axis.text(t - 0.4, 0.04, str(t), color="w", fontsize=8, va="top", bbox=box)
        axis.set_xlim(span)
        axis.set_xticks([])
        axis.set_yticks([0.5], ["clip" if i == 0 else _letter(rows, i - 1)], fontsize=9)
        axis.tick_params(length=0)
        for spine in axis.spines.values():
            spine.set_visible(False)
        top += size[0] + 2
    bar = axes(top + 4, bars - 4)
    _bars(bar, e, rows[0], action, marked)
    bar.set_xlim(span)
    return figure


def _letter(rows: list[int], i: int) -> str:
    return "map" if len(rows) == 1 else f"map {'ABCDEFGHIJ'[i % 10]}"


def _title(e: Drawable, rows: list[int], scope: str) -> list[tuple[str, str, str]]:
    """(text, colour, weight) of every line."""
    lines: list[tuple[str, str, str]] = []
    if e.untrained:
        lines.append((UNTRAINED, _ALARM, "bold"))
    if e.true_label:
        lines.append((f"true: {e.true_label}", _INK, "bold"))
    kind = "" if e.output in ("softmax", "probability") else f" ({e.output})"
    two = "  ·  ".join(f"{name} {short_answer(e, value)}" for name, value in e.top(2))
    lines.append((f"top-{len(e.top(2))}{kind}: {two}", _INK, "bold"))
    wide = ACROSS * 0.92  # a pixel of the measuring font is a little less than one of the figure
    lines = [
        (part, colour, weight)
        for text, colour, weight in lines
        for part in wrap(text, wide, 12, True)
    ]
    for i, row in enumerate(rows):
        empty = " (no positive evidence)" if e.empty[row] else ""
        words = f"{_letter(rows, i)}: evidence for “{class_name(e, row)}”{empty}"
        if i == 0:
            words += f"      weights: {e.model}      {scope_words(scope)}"
        lines.append((words, _SOFT, "normal"))
    return lines


def _bars(
    axis: Axes,
    e: Drawable,
    row: int,
    action: tuple[int, int] | None,
    marked: tuple[int, int] | None,
) -> None:
    """Evidence per frame, each bar under its picture."""
    curve = e.row_evidence(row)  # (T,)
    at = np.arange(len(curve))
    dark = np.zeros(len(curve), bool)
    if marked is not None:
        dark[marked[0] : marked[1] + 1] = True
    if action is not None:
        first, last = action
        axis.axvspan(first - 0.5, last + 0.5, color=_ACTION, alpha=0.2, label="the action (truth)")
    axis.bar(at[~dark], curve[~dark], color=_BAR, width=0.8, label="evidence in a frame")
    if dark.any():
        axis.bar(at[dark], curve[dark], color=_MARKED, width=0.8, label="decisive: half of it")
    again = e.clip.repeated
    if again.any():
        axis.plot(at[again], np.zeros(again.sum()), "x", color=_ALARM, label="a repeated frame")
    axis.set_ylim(0, max(float(curve.max()) * 1.08, 1e-9))
    axis.set_xticks(at if len(at) <= 32 else at[:: len(at) // 16])
    axis.tick_params(labelsize=8, colors=_SOFT, length=2)
    axis.set_xlabel("frame", fontsize=8, color=_SOFT, labelpad=1)
    axis.set_ylabel("logits", fontsize=8, color=_SOFT, labelpad=1)
    axis.legend(fontsize=7, loc="upper right", framealpha=0.8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
