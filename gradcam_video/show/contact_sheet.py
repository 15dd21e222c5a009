"""Contact sheet: every frame above its heat map, on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np
from PIL import Image, ImageDraw

from ..errors import BadInput
from .blend import at_size, lay_on, resize
from .captions import (
    UNTRAINED,
    best_words,
    class_answer,
    class_name,
    font,
    rows_of,
    scope_words,
    wrap,
)
from .drawing import Drawing, Words
from .look import Look, LookOptions, palette

if TYPE_CHECKING:
    from .drawable import Drawable
    from .inline_figure import Sheet

_INK, _SOFT, _MARK, _ALARM = "#1c1c22", "#6a6a75", "#b45309", "#b01820"
_BAR, _AXIS = "#3f3f46", "#c8c8d0"
_LINES = ("#c2410c", "#1d4ed8", "#047857", "#7e22ce")  # one per class in the curve of evidence
_MARGIN = 18  # pixels, like every length below
_GAP = 4
_WORDS = 17  # height of the line with the time
_RISE = 0.76  # how far letters rise over their baseline, as a part of the font's size
_PLOT = 42  # height of the curve of evidence


def sheet(
    e: Drawable,
    label: str | int | Sequence[str | int | None] | None = None,
    *,
    columns: int | None = None,
    max_frames: int = 16,
    **look: Unpack[LookOptions],
) -> Sheet:
    """Lay all frames out on one page: the original above its heat map, the time between rows.

    Args:
        e: what to show.
        label: one class or several (a row each), by name or index; None is the top class.
        columns: frames in a row; None fits them to their shape.
        max_frames: a longer clip shows so many of its frames, evenly chosen; a long video that was
            explained in windows those of the strongest evidence.
        look: scope, cmap, opacity and blend, see `Look`.

    Returns:
        A matplotlib Figure that belongs to the caller: pyplot does not know it.

    Raises:
        BadInput: fewer than one column or frame, an unknown class, or a look that does not fit.
    """
    if max_frames < 1 or (columns is not None and columns < 1):
        raise BadInput("a sheet needs at least one column and one frame: check columns, max_frames")
    rows, drawn = rows_of(e, label), Look(**look)
    shown = chosen_frames(e, rows, max_frames)
    height, width = thumbnail(*e.clip.frames.shape[1:3])
    small = at_size(e, height, width)
    scales = {row: e.row_scale(row, drawn.scope) for row in rows}

    def paint(t: int) -> list[np.ndarray]:
        frame = resize(e.clip.picture(t), height, width)
        heats = [small.row_frame(row, t, scales[row][t]) for row in rows]
        return [frame, *(lay_on(frame, heat, drawn, small.grid.seen(t)) for heat in heats)]

    from .inline_figure import Sheet

    return Sheet(lay_out(e, rows, drawn, shown, (height, width), paint, columns))


def lay_out(
    e: Drawable,
    rows: list[int],
    look: Look,
    shown: np.ndarray,
    size: tuple[int, int],
    paint: Callable[[int], list[np.ndarray]],
    columns: int | None = None,
) -> Drawing:
    """The page itself.

    Args:
        e: what to show.
        rows: of its maps, one per class shown.
        look: how the maps were drawn, for the words and the bar of colours.
        shown: int (n,), the frames.
        size: height and width of each, in pixels.
        paint: gives frame t and its overlays, uint8 (height, width, 3) each.
        columns: frames in a row; None fits them to their shape.
    """
    height, width = size
    columns = columns or min(len(shown), max(4, min(8, 1340 // (width + _GAP))))
    columns = min(columns, len(shown))
    lines = -(-len(shown) // columns)  # of frames, each with its overlays under it
    several = len(rows) > 1
    margin = _MARGIN + (14 if several else 0)  # room for the letters A, B, …
    step = (1 + len(rows)) * (height + 2) + _WORDS + 4
    across = columns * (width + _GAP) - _GAP
    page = max(across + margin + _MARGIN, 560)
    across = page - margin - _MARGIN

    # One picture for all frames: 32 axes would cost more than everything else together
    mosaic = Image.new("RGB", (across, lines * step), "white")
    draw = ImageDraw.Draw(mosaic)
    for i, t in enumerate(shown.tolist()):
        line, column = divmod(i, columns)
        left, top = column * (width + _GAP), line * step
        for panel in paint(int(t)):
            mosaic.paste(Image.fromarray(panel), (left, top))
            top += height + 2
        repeat = bool(e.clip.repeated[t])
        words = f"{e.clip.times[t]:.2f} s" + (" repeat" if repeat else "")
        size_ = 11 if font(11).getlength(words) <= width + _GAP else 8
        place = (left + width / 2, top + 1)
        draw.text(place, words, _MARK if repeat else _SOFT, font(size_), anchor="ma")

    title = _title(e, rows, page - 2 * _MARGIN)
    if e.windows is not None and len(shown) < len(e.clip.times):
        words = (
            f"The {len(shown)} strongest moments of {len(e.clip.times)} frames, in order of time"
        )
        title += [
            (line, _INK, False, 13)
            for line in wrap(f"{words}: peaks of the evidence below", page - 2 * _MARGIN, 13)
        ]
    above = round(_MARGIN + sum(size * 1.5 for *_, size in title) + 6)
    foot = 96
    drawing = Drawing(page, round(above + mosaic.height + foot + _MARGIN))
    drawing.picture.paste(mosaic, (margin, above))

    def write(
        x: float, top: float, text: str, size: float, colour: str, bold: bool = False
    ) -> None:
        drawing.words.append(Words(x, top + _RISE * size, text, size, colour, bold))

    y = float(_MARGIN)
    for text, colour, bold, size_ in title:
        write(_MARGIN, y, text, size_, colour, bold)
        y += size_ * 1.5
    if several:
        for line in range(lines):
            for j in range(len(rows)):
                middle = above + line * step + (j + 1) * (height + 2) + height / 2
                write(_MARGIN - 2, middle - _RISE * 13, "ABCDEFGHIJ"[j % 10], 13, _colour(j), True)

    under = above + mosaic.height
    write(margin, under + 6, "evidence in each frame (map summed over space)", 11, _SOFT)
    split = round(across * 0.62)
    _evidence(drawing, (margin + 34, under + 24, split - 34), e, rows, look.scope)
    left = margin + split + 30
    _bar_of_colours(drawing, (left, under + 30, page - _MARGIN - left - 4), look.cmap)
    for i, words in enumerate(wrap(scope_words(look.scope), page - _MARGIN - left, 11)):
        write(left, under + 60 + i * 14, words, 11, _SOFT)
    return drawing


def _title(e: Drawable, rows: list[int], width: float) -> list[tuple[str, str, bool, float]]:
    """(text, colour, bold, size in pixels) of every line, wrapped to the width."""
    lines: list[tuple[str, str, bool, float]] = []
    if e.untrained:
        lines.append((UNTRAINED, _ALARM, True, 15))
    for i, row in enumerate(rows):
        letter = f"{'ABCDEFGHIJ'[i % 10]}  " if len(rows) > 1 else ""
        words = "No positive evidence for" if e.empty[row] else "Evidence for"
        name = f"{letter}{words} “{class_name(e, row)}” ({class_answer(e, row)})"
        lines.append((name, _colour(i) if letter else _INK, True, 17))
    if e.true_label:
        lines.append((f"true label: {e.true_label}", _INK, False, 13))
    if best := best_words(e):
        lines.append((best, _INK, False, 13))
    about = " · ".join(s for s in (e.model, e.method, e.clip.note, e.remark) if s)
    if about:
        lines.append((about, _SOFT, False, 12))
    return [
        (line, colour, bold, size)
        for text, colour, bold, size in lines
        for line in wrap(text, width, round(size), bold)
    ]


def _colour(i: int) -> str:
    return _LINES[i % len(_LINES)]


def _evidence(
    drawing: Drawing, box: tuple[int, int, int], e: Drawable, rows: list[int], scope: str
) -> None:
    """The evidence of each class over the frames, as bars for one class and lines for several.

    Args:
        drawing: the page.
        box: left, top and width of the plot on it.
        e, rows, scope: see `lay_out`.
    """
    left, top, width = box
    frames = len(e.clip.times)
    curves = np.array([e.row_evidence(row) for row in rows])  # (rows, T)
    most = float(curves.max())
    if scope == "classes":
        most = max(float(e.row_evidence(row).max()) for row in range(len(e.maps)))
    across = (np.arange(frames) + 0.7) / (frames + 0.4) * width  # of each frame, from the left
    high = curves / (most * 1.08 if most > 0 else 1) * _PLOT
    draw = ImageDraw.Draw(drawing.picture)
    if len(rows) == 1:
        wide = min(19.0, 417 / frames) if frames <= 64 else width / (frames + 0.4)
        for t in range(frames):
            colour = _MARK if e.clip.repeated[t] else _BAR
            first, last = (round(left + across[t] + half) for half in (-wide / 2, wide / 2))
            upper = round(top + _PLOT - high[0, t])
            if upper < top + _PLOT:
                draw.rectangle((first, upper, max(first, last - 1), top + _PLOT - 1), colour)
    for i in range(len(rows) if len(rows) > 1 else 0):
        fine = 4  # drawn so many times as large, because Pillow's lines have hard edges
        mask = Image.new("L", (fine * width, fine * (_PLOT + 2)))
        points = np.stack([across, _PLOT + 1 - high[i]], axis=1) * fine
        pen = ImageDraw.Draw(mask)
        pen.line([tuple(p) for p in points.tolist()], fill=255, width=fine * 2, joint="curve")
        drawing.picture.paste(_colour(i), (left, top - 1), mask.reduce(fine))
    draw.line((left, top, left, top + _PLOT), _AXIS)
    draw.line((left, top + _PLOT, left + width, top + _PLOT), _AXIS)
    marks = np.unique(np.linspace(0, frames - 1, min(frames, 4)).round().astype(int))
    _ticks(
        drawing,
        [left + across[t] for t in marks],
        top + _PLOT,
        [f"{e.clip.times[t]:.2f} s" for t in marks],
    )
    for value, text in ((0.0, "0"), (most, f"{most:.3g}"))[: 2 if most > 0 else 1]:
        at = round(top + _PLOT - (value / (most * 1.08) * _PLOT if most > 0 else 0))
        draw.line((left - 3, at, left - 1, at), _SOFT)
        drawing.words.append(Words(left - 6, at + 3.5, text, 10, _SOFT, align="right"))


def _bar_of_colours(drawing: Drawing, box: tuple[int, int, int], cmap: str) -> None:
    """What the colours mean, from 0 to 1, below `box`'s top."""
    left, top, width = box
    bar = Image.fromarray(palette(cmap)[None]).resize((width, 12), Image.Resampling.NEAREST)
    drawing.picture.paste(bar, (left, top))
    at = [left + width * value for value in (0, 0.5, 1)]
    _ticks(drawing, at, top + 12, ["0.0", "0.5", "1.0"])


def _ticks(drawing: Drawing, places: Sequence[float], top: int, words: Sequence[str]) -> None:
    """Short marks below an axis, with a word under each."""
    draw = ImageDraw.Draw(drawing.picture)
    for x, text in zip(places, words, strict=True):
        draw.line((round(x), top + 1, round(x), top + 3), _SOFT)
        drawing.words.append(Words(x, top + 14, text, 10, _SOFT, align="center"))


def chosen_frames(e: Drawable, rows: list[int], most: int) -> np.ndarray:
    """Which frames a sheet shows, int64 (n,), ascending: all, or at most so many.

    Evenly chosen of a clip. Of a long video explained in windows those of the strongest evidence
    for each class in turn, none close to another: what happens is rare in it.
    """
    frames = len(e.clip.times)
    if e.windows is None or frames <= most:
        return np.unique(np.linspace(0, frames - 1, min(frames, most)).round().astype(int))
    apart = max(1, frames // (4 * most))
    left = [e.row_evidence(row) for row in rows]
    chosen: list[int] = []
    while len(chosen) < most:
        curve = left[len(chosen) % len(rows)]
        peak = int(curve.argmax())
        chosen.append(peak)
        for each in left:
            each[max(0, peak - apart + 1) : peak + apart] = -1
    return np.unique(chosen)


def thumbnail(height: int, width: int) -> tuple[int, int]:
    """Eight landscape frames in a row fill a README's page; portrait ones are a little higher."""
    scale = min(160 / width, 170 / height)
    return max(2, round(height * scale)), max(2, round(width * scale))
