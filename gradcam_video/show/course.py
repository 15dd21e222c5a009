"""The course of a long video's classes over time, a strip for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import BadInput
from .captions import UNTRAINED, answer, wrap
from .inline_figure import InlineFigure

if TYPE_CHECKING:
    from .drawable import Drawable

MOST_CLASSES = 6
_INK, _SOFT, _ALARM = "#1c1c22", "#6a6a75", "#b01820"
_CURVE = "#0072b2"
_WIDTH, _STRIP, _GAP, _LINE = 1180, 62, 26, 18  # pixels
_KINDS = {
    "softmax": "probability (softmax)",
    "probability": "probability",
    "sigmoid": "sigmoid",
    "value": "value",
}


def important_classes(e: Drawable, most: int = MOST_CLASSES) -> list[int]:
    """The classes that come first in most windows, then those that reach the highest value.

    Returns:
        indices into `e.labels`, the one that reaches the highest value first.
    """
    values = e.window_probabilities  # (n, K)
    highest = values.max(axis=0)
    first = np.bincount(values.argmax(axis=1), minlength=values.shape[1])
    order = np.lexsort((-highest, -first))[:most]
    return order[np.argsort(-highest[order], kind="stable")].tolist()


def draw_course(e: Drawable) -> InlineFigure:
    """Draw what the network gives the most important classes, window by window.

    Args:
        e: of a long video that was explained in windows.

    Returns:
        A matplotlib Figure that shows itself in a notebook; pyplot does not know it.

    Raises:
        BadInput: it was not explained in windows.
    """
    windows = e.windows
    if windows is None:
        raise BadInput(f"{e.clip.source}: a course is of a video in windows: use explain_windows")
    middles = (windows.starts + windows.ends) / 2
    minutes = windows.ends[-1] >= 180
    at = middles / 60 if minutes else middles
    length = float(np.median(windows.ends - windows.starts))
    values, classes = e.window_probabilities, important_classes(e)

    title = [(UNTRAINED, _ALARM, True)] if e.untrained else []
    title.append((f"{e.clip.source} · weights: {e.model or 'a network'}", _INK, True))
    some = f"the {len(classes)} most important of {len(e.labels)} classes"
    title.append((f"{some}, in {len(windows)} windows of {length:.3g} s", _SOFT, False))
    if e.remark:
        title.append((e.remark, _SOFT, False))
    title = [
        (line, colour, bold)
        for text, colour, bold in title
        for line in wrap(text, _WIDTH - 90, 13, bold)
    ]
    above, below = len(title) * _LINE + 14, 46
    page = above + len(classes) * (_STRIP + _GAP) + below
    figure = InlineFigure(figsize=(_WIDTH / 100, page / 100), dpi=100, facecolor="white")
    for i, (text, colour, bold) in enumerate(title):
        place = 66 / _WIDTH, 1 - (10 + i * _LINE) / page
        weight = "bold" if bold else "normal"
        figure.text(*place, text, va="top", size=9, color=colour, weight=weight, parse_math=False)
    low, high = (0.0, 1.0) if e.output != "value" else (values[:, classes].min(), values.max())
    unit = 60 if minutes else 1
    # One strip a class: in one picture, lines that change with every window would hide each other
    for i, k in enumerate(classes):
        top = above + i * (_STRIP + _GAP) + _GAP
        box = (66 / _WIDTH, 1 - (top + _STRIP) / page, (_WIDTH - 86) / _WIDTH, _STRIP / page)
        axes = figure.add_axes(box)
        mark = "o" if len(windows) <= 40 else None  # a single window would be no line
        axes.plot(at, values[:, k], color=_CURVE, marker=mark, markersize=3, lw=1.2)
        axes.fill_between(at, min(low, 0), values[:, k], color=_CURVE, alpha=0.18, lw=0)
        name = f"{e.labels[k]}: up to {answer(e, float(values[:, k].max()))}"
        axes.text(0, 1.06, name, size=9, color=_INK, transform=axes.transAxes, parse_math=False)
        axes.set_xlim(windows.starts[0] / unit, windows.ends[-1] / unit)
        axes.set_ylim(low, high + 0.04 * (high - low) + 1e-9)
        axes.tick_params(labelsize=8, labelbottom=k == classes[-1])
        axes.grid(color="#e4e4ea", lw=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    axes.set_xlabel(f"time, {'minutes' if minutes else 'seconds'} (middle of the window)", size=9)
    middle = (below + (page - above)) / 2 / page
    figure.text(16 / _WIDTH, middle, _KINDS[e.output], rotation=90, va="center", size=9)
    return figure
