"""Contact sheet: every frame above its heat map, on one page, as a matplotlib figure."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from ..errors import BadInput
from ..explanation import Explanation
from .blend import OPACITY, at_size, overlay, palette, resize
from .captions import (
    UNTRAINED,
    Label,
    as_labels,
    class_name,
    font,
    percent,
    probability,
    scope_words,
    wrap,
)

_DPI = 100
_INK, _SOFT, _MARK, _ALARM = "#1c1c22", "#6a6a75", "#b45309", "#b01820"
_LINES = ("#c2410c", "#1d4ed8", "#047857", "#7e22ce")  # one per class in the evidence strip
_MARGIN = 18  # pixels, like every length below
_GAP = 4
_WORDS = 17  # height of the line with the time


class Page(Figure):
    """A figure that shows itself in a notebook whether or not pyplot was ever imported."""

    def _ipython_display_(self) -> None:
        # As a JPEG: film frames are a quarter of a PNG's size. Not `_repr_jpeg_`: where pyplot is
        # in use IPython makes a PNG of every figure as well, and a notebook would store both.
        from IPython.display import display

        buffer = BytesIO()
        self.savefig(buffer, format="jpeg", pil_kwargs={"quality": 85})
        picture = base64.b64encode(buffer.getvalue()).decode()
        display({"image/jpeg": picture, "text/plain": repr(self)}, raw=True)


class Sheet(Page):
    """The contact sheet, which can write itself pixel for pixel."""

    mosaic: np.ndarray  # uint8 (h, w, 3), all frames and maps
    corner: tuple[int, int]  # where its upper left lies on the page: (row, column) in pixels

    def write_png(self, path: str | Path) -> None:
        """Write the page at its own size, quicker than `savefig`.

        The mosaic is put in pixel for pixel instead of being resampled, without an alpha channel.
        """
        picture = self.axes[0]
        picture.set_visible(False)
        canvas = FigureCanvasAgg(self)
        canvas.draw()
        picture.set_visible(True)
        page = np.asarray(canvas.buffer_rgba())[..., :3].copy()  # (H, W, 3)
        (top, left), (height, width) = self.corner, self.mosaic.shape[:2]
        page[top : top + height, left : left + width] = self.mosaic
        # Level 1: a third of the default's time for a tenth more bytes
        Image.fromarray(page).save(path, "PNG", compress_level=1)


def sheet(
    e: Explanation,
    label: Label | Sequence[Label] = None,
    *,
    scope: str = "clip",
    cmap: str = "inferno",
    opacity: float = OPACITY,
    blend: str | None = None,
    columns: int | None = None,
    max_frames: int = 16,
) -> Sheet:
    """Lay all frames out on one page: the original above its heat map, the time between rows.

    Args:
        e: what to show.
        label: one class or several (a row each), by name or index; None is the top class.
        scope: what a map is divided by, see `Explanation.scale`.
        cmap, opacity, blend: see `overlay`.
        columns: frames in a row; None fits them to their shape.
        max_frames: a longer clip shows so many of its frames, evenly chosen.

    Returns:
        A matplotlib Figure that belongs to the caller: pyplot does not know it.
    """
    if max_frames < 1 or (columns is not None and columns < 1):
        raise BadInput("a sheet needs at least one column and one frame: check columns, max_frames")
    labels = as_labels(label)
    frames = len(e.clip.times)
    shown = np.unique(np.linspace(0, frames - 1, min(frames, max_frames)).round().astype(int))
    height, width = thumbnail(*e.clip.frames.shape[1:3])
    small = at_size(e, height, width)
    seen = small.grid.view.seen()

    def paint(t: int) -> list[np.ndarray]:
        frame = resize(e.clip.frames[t], height, width)
        return [frame] + [
            overlay(
                frame,
                small.upsampled_frame(t, chosen, scope),
                cmap=cmap,
                opacity=opacity,
                seen=seen,
                blend=blend,
            )
            for chosen in labels
        ]

    return lay_out(e, labels, scope, cmap, shown, (height, width), paint, columns)


def lay_out(
    e: Explanation,
    labels: list[Label],
    scope: str,
    cmap: str,
    shown: np.ndarray,
    size: tuple[int, int],
    paint: Callable[[int], list[np.ndarray]],
    columns: int | None = None,
) -> Sheet:
    """The page itself. `paint(t)` gives frame t and its overlays, uint8 (height, width, 3) each."""
    height, width = size
    columns = columns or min(len(shown), max(4, min(8, 1340 // (width + _GAP))))
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    several = len(labels) > 1
    margin = _MARGIN + (14 if several else 0)  # room for the letters A, B, …
    step = (1 + len(labels)) * (height + 2) + _WORDS + 4
    across = columns * (width + _GAP) - _GAP
    page = max(across + margin + _MARGIN, 560)
    across = page - margin - _MARGIN

    # One picture for all frames: 32 axes would cost more than everything else together
    mosaic = Image.new("RGB", (across, rows * step), "white")
    draw = ImageDraw.Draw(mosaic)
    for i, t in enumerate(shown):
        row, column = divmod(i, columns)
        left, top = column * (width + _GAP), row * step
        for panel in paint(int(t)):
            mosaic.paste(Image.fromarray(panel), (left, top))
            top += height + 2
        repeat = bool(e.clip.repeated[t])
        words = f"{e.clip.times[t]:.2f} s" + (" repeat" if repeat else "")
        size_ = 11 if font(11).getlength(words) <= width + _GAP else 8
        place = (left + width / 2, top + 1)
        draw.text(place, words, _MARK if repeat else _SOFT, font(size_), anchor="ma")

    title = _title(e, labels, page - 2 * _MARGIN)
    above = round(_MARGIN + sum(size * 1.5 for *_, size in title) + 6)
    foot = 96
    total = round(above + mosaic.height + foot + _MARGIN)
    figure = Sheet(figsize=(page / _DPI, total / _DPI), dpi=_DPI, facecolor="white")

    def axes(left: float, top: float, width: float, height: float) -> Axes:
        box = (left / page, 1 - (top + height) / total, width / page, height / total)
        return figure.add_axes(box)

    def write(x: float, y: float, text: str, size: float, colour: str, **more: Any) -> None:
        points = size * 72 / _DPI
        figure.text(x / page, 1 - y / total, text, fontsize=points, color=colour, **more)

    y = float(_MARGIN)
    for text, colour, weight, size_ in title:
        write(_MARGIN, y, text, size_, colour, weight=weight, va="top", parse_math=False)
        y += size_ * 1.5

    picture = axes(margin, above, across, mosaic.height)
    picture.imshow(np.asarray(mosaic), interpolation="none", aspect="auto")
    picture.set_axis_off()
    figure.mosaic, figure.corner = np.asarray(mosaic), (above, margin)
    if several:
        for row in range(rows):
            for j in range(len(labels)):
                middle = above + row * step + (j + 1) * (height + 2) + height / 2
                write(_MARGIN - 2, middle, "ABCDEFGHIJ"[j % 10], 13, _line(j), weight="bold")

    strip_top = above + mosaic.height + 24
    _evidence(axes(margin + 34, strip_top, across * 0.62 - 34, 42), e, labels, scope)
    heading = "evidence in each frame (map summed over space)"
    write(margin, above + mosaic.height + 6, heading, 11, _SOFT, va="top")
    left = margin + across * 0.62 + 30
    bar = axes(left, strip_top + 6, page - _MARGIN - left - 4, 12)
    bar.imshow(palette(cmap)[None], aspect="auto", extent=(0, 1, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([0, 0.5, 1])
    bar.tick_params(labelsize=7, colors=_SOFT, length=2, pad=2)
    for spine in bar.spines.values():
        spine.set_visible(False)
    for i, line in enumerate(wrap(scope_words(scope), page - _MARGIN - left, 11)):
        write(left, strip_top + 36 + i * 14, line, 11, _SOFT, va="top")
    return figure


def _title(e: Explanation, labels: list[Label], width: float) -> list[tuple[str, str, str, float]]:
    """(text, colour, weight, size in pixels) of every line, wrapped to the width."""
    lines: list[tuple[str, str, str, float]] = []
    if e.untrained:
        lines.append((UNTRAINED, _ALARM, "bold", 15))
    for i, chosen in enumerate(labels):
        empty = bool(e.empty[e.row(chosen)])
        letter = f"{'ABCDEFGHIJ'[i % 10]}  " if len(labels) > 1 else ""
        words = "No positive evidence for" if empty else "Evidence for"
        name = f"{letter}{words} “{class_name(e, chosen)}” ({percent(probability(e, chosen))})"
        lines.append((name, _line(i) if letter else _INK, "bold", 17))
    best = " · ".join(f"{name} {percent(p)}" for name, p in e.top(2))
    if e.true_label:
        lines.append((f"true label: {e.true_label}", _INK, "normal", 13))
    lines.append((f"top 2: {best}", _INK, "normal", 13))
    about = " · ".join(s for s in (e.model, e.method, e.clip.note, e.remark) if s)
    if about:
        lines.append((about, _SOFT, "normal", 12))
    return [
        (line, colour, weight, size)
        for text, colour, weight, size in lines
        for line in wrap(text, width, round(size), weight == "bold")
    ]


def _line(i: int) -> str:
    return _LINES[i % len(_LINES)]


def _evidence(ax: Axes, e: Explanation, labels: list[Label], scope: str) -> None:
    """The evidence of each class over the frames, as bars for one class and lines for several."""
    frames = np.arange(len(e.clip.times))
    curves = [e.evidence(chosen) for chosen in labels]
    if len(labels) == 1:
        colours = [_MARK if repeat else "#3f3f46" for repeat in e.clip.repeated]
        if len(frames) <= 64:
            ax.vlines(frames, 0, curves[0], colors=colours, linewidth=min(14, 300 / len(frames)))
        else:
            ax.fill_between(frames, curves[0], color="#3f3f46", linewidth=0)
    else:
        for i, curve in enumerate(curves):
            ax.plot(frames, curve, color=_line(i), linewidth=1.6)
    if scope == "classes":
        most = max(float(e.evidence(int(k)).max()) for k in e.classes)
    else:
        most = max(float(curve.max()) for curve in curves)
    ax.set_ylim(0, most * 1.08 if most > 0 else 1)
    ax.set_xlim(-0.7, len(frames) - 0.3)
    marks = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), 4)).round().astype(int))
    ax.set_xticks(marks, [f"{e.clip.times[t]:.2f} s" for t in marks])
    ax.set_yticks([0, most] if most > 0 else [0], ["0", f"{most:.3g}"] if most > 0 else ["0"])
    ax.tick_params(labelsize=7, colors=_SOFT, length=2, pad=2)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#c8c8d0")


def thumbnail(height: int, width: int) -> tuple[int, int]:
    """Eight landscape frames in a row fill a README's page; portrait ones are a little higher."""
    scale = min(160 / width, 170 / height)
    return max(2, round(height * scale)), max(2, round(width * scale))
