"""Words on pictures: a font that is always there, lines that are never cut."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from .drawable import Drawable

UNTRAINED = "UNTRAINED network: random weights, so these maps mean nothing"


@lru_cache(maxsize=16)
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, at a size in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = _font_folder() / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1)
def _font_folder() -> Path:
    """Where matplotlib keeps its fonts. Found without an import: that would take longer."""
    spec = find_spec("matplotlib")
    homes = spec.submodule_search_locations if spec else None
    for home in homes or []:
        folder = Path(home) / "mpl-data" / "fonts" / "ttf"
        if folder.is_dir():
            return folder
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def wrap(text: str, width: float, size: int, bold: bool = False) -> list[str]:
    """Break a text into lines that fit `width` pixels; a word too long for a line is broken too."""
    length = font(size, bold).getlength
    if length(text) <= width:
        return [text]
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if length(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and length(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def block(
    lines: list[tuple[str, tuple[int, int, int], bool]],
    width: int,
    size: int,
    background: tuple[int, int, int],
    pad: int = 6,
) -> np.ndarray:
    """Draw paragraphs under each other, each wrapped to the width.

    Args:
        lines: (text, colour, bold) per paragraph.
        width: of the picture, in pixels; its height follows from the text.
        size: of the font, in pixels.
        background: colour behind the text.
        pad: free pixels on every side.

    Returns:
        uint8 (height, width, 3).
    """
    wrapped = [
        (line, colour, bold)
        for text, colour, bold in lines
        for line in wrap(text, width - 2 * pad, size, bold)
    ]
    step = round(size * 1.35)
    picture = Image.new("RGB", (width, step * len(wrapped) + 2 * pad), background)
    draw = ImageDraw.Draw(picture)
    for i, (line, colour, bold) in enumerate(wrapped):
        draw.text((pad, pad + i * step), line, fill=colour, font=font(size, bold))
    return np.asarray(picture)


def percent(probability: float) -> str:
    """A probability in words: 62 %, and one decimal where whole numbers would say 0 or 100."""
    value = 100 * probability
    return f"{value:.0f} %" if 1 <= value <= 99 else f"{value:.1f} %"


def answer(e: Drawable, value: float) -> str:
    """What the network gives a class, in words: "62 %", "sigmoid 62 %", or "value 3.2".

    Args:
        e: whose `output` says which of them it is.
        value: one of `e.probabilities`.
    """
    if e.output == "value":
        return f"value {value:.4g}"
    return f"sigmoid {percent(value)}" if e.output == "sigmoid" else percent(value)


def short_answer(e: Drawable, value: float) -> str:
    """The same where there is no room for a word: "0.62", or "3.2" of a value."""
    return f"{value:.4g}" if e.output == "value" else f"{value:.2f}"


def best_words(e: Drawable) -> str:
    """The line about the classes that come first; empty where there is but one.

    Of a long video: by the mean of its windows, which says that it is.
    """
    best = e.top(2)
    if len(best) < 2:
        return ""
    mean = "" if e.windows is None else f", mean of {len(e.windows)} windows"
    return f"top 2{mean}: " + " · ".join(f"{name} {answer(e, value)}" for name, value in best)


def class_name(e: Drawable, row: int) -> str:
    """The name of the class of a row of maps."""
    return e.labels[e.classes[row]]


def class_answer(e: Drawable, row: int) -> str:
    """What the network gives the class of a row of maps, in words; of a video: at most."""
    shown = answer(e, float(e.window_probabilities[:, e.classes[row]].max()))
    return shown if e.windows is None else f"up to {shown}"


def window_answer(e: Drawable, row: int, window: int) -> str:
    """What the network gives the class of a row of maps in one window of a long video."""
    return answer(e, float(e.window_probabilities[window, e.classes[row]]))


def window_best(e: Drawable, window: int) -> list[str]:
    """A line for each of the two classes that come first in a window, best first."""
    best = e.top(2, window)
    return [f"{place}. {answer(e, value)}  {name}" for place, (name, value) in enumerate(best, 1)]


def scope_words(scope: str) -> str:
    """What the value 1 of a map means in a scope."""
    return {
        "clip": "1 = the strongest cell of this class's map in this clip",
        "frame": "1 = the strongest cell of each frame by itself",
        "classes": "1 = the strongest cell of all classes' maps in this clip",
    }[scope]


def frame_words(e: Drawable, frame: int) -> str:
    """When a frame was taken and whether it only repeats the last one."""
    words = f"frame {frame + 1} of {len(e.clip.times)} · {e.clip.times[frame]:.2f} s"
    if e.windows is not None:
        k = e.window_of(frame)
        first, last = e.windows.starts[k], e.windows.ends[k]
        words += f" · window {k + 1} of {len(e.windows)}: {first:.1f}–{last:.1f} s"
    return words + (" · repeat of the last frame" if e.clip.repeated[frame] else "")


def frame_spoken(e: Drawable, frame: int) -> str:
    """The same for who hears it: no signs to read out, no zeros at the end."""
    words = f"frame {frame + 1} of {len(e.clip.times)}, {round(e.clip.times[frame], 2):g} s"
    return words + (", repeat of the last frame" if e.clip.repeated[frame] else "")


def rows_of(e: Drawable, label: str | int | Sequence[str | int | None] | None) -> list[int]:
    """The rows of maps of one class or several; None or nothing named: the top class.

    Raises:
        BadInput: a label is unknown or ambiguous, or its map was not asked for.
    """
    if isinstance(label, np.integer):
        label = int(label)
    if label is None or isinstance(label, (str, int)):
        return [e.row(label)]
    return [e.row(one) for one in list(label) or [None]]
