"""Words on pictures: a font that is always there, lines that are never cut."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..explanation import Explanation

Label = str | int | None

UNTRAINED = "UNTRAINED network: random weights, so these maps mean nothing"


@lru_cache(maxsize=16)
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, at a size in pixels."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


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


def class_name(e: Explanation, label: str | int | None) -> str:
    """The name of a class as the explanation writes it."""
    return e.labels[e.classes[e.row(label)]]


def probability(e: Explanation, label: str | int | None) -> float:
    """The probability of a class, given its name or index; None: the top class."""
    return float(e.probabilities[e.classes[e.row(label)]])


def scope_words(scope: str) -> str:
    """What the value 1 of a map means in a scope."""
    return {
        "clip": "1 = the strongest cell of this class's map in this clip",
        "frame": "1 = the strongest cell of each frame by itself",
        "classes": "1 = the strongest cell of all classes' maps in this clip",
    }[scope]


def frame_words(e: Explanation, frame: int) -> str:
    """When a frame was taken and whether it only repeats the last one."""
    words = f"frame {frame + 1} of {len(e.clip.times)} · {e.clip.times[frame]:.2f} s"
    return words + (" · repeat of the last frame" if e.clip.repeated[frame] else "")


def frame_spoken(e: Explanation, frame: int) -> str:
    """The same for who hears it: no signs to read out, no zeros at the end."""
    words = f"frame {frame + 1} of {len(e.clip.times)}, {round(e.clip.times[frame], 2):g} s"
    return words + (", repeat of the last frame" if e.clip.repeated[frame] else "")


def as_labels(label: Label | Sequence[Label]) -> list[Label]:
    """One label or several, always as a list; an empty one means the top class."""
    if label is None or isinstance(label, (str, int)):
        return [label]
    if isinstance(label, np.integer):  # a row of e.classes
        return [int(label)]
    return list(label) or [None]
