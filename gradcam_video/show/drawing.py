"""A page with pictures and words, as pixels or as a matplotlib figure that looks the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageDraw

from .captions import font

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100  # of the figure: a hundredth of an inch is a pixel


@dataclass(frozen=True)
class Words:
    """One line of text on a page.

    Attributes:
        x, baseline: where it stands, in pixels from the page's upper left.
        size: of the font, in pixels.
        align: which of its points lies at x.
    """

    x: float
    baseline: float
    text: str
    size: float
    colour: str
    bold: bool = False
    align: Literal["left", "center", "right"] = "left"


class Drawing:
    """A page: everything but its words is painted on `picture`, and the words are kept as text.

    Pillow draws the pixels, because what `save` writes must not wait for an import of matplotlib:
    it takes a fifth of the time of `import torch`.

    Args:
        width, height: in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.picture = Image.new("RGB", (width, height), "white")
        self.words: list[Words] = []

    def pixels(self) -> np.ndarray:
        """The page, uint8 (height, width, 3)."""
        page = self.picture.copy()
        draw = ImageDraw.Draw(page)
        for line in self.words:
            letters = font(line.size, line.bold)
            anchor = {"left": "ls", "center": "ms", "right": "rs"}[line.align]
            draw.text((line.x, line.baseline), line.text, line.colour, letters, anchor=anchor)
        return np.asarray(page)

    def write_png(self, path: str | Path) -> None:
        """Write the pixels. Level 1: a third of the default's time for a tenth more bytes."""
        Image.fromarray(self.pixels()).save(path, "PNG", compress_level=1)

    def draw_on(self, figure: Figure) -> None:
        """Put the page on an empty figure, whose size becomes the page's; words stay text."""
        width, height = self.picture.size
        figure.set_dpi(DPI)
        figure.set_size_inches(width / DPI, height / DPI)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(np.asarray(self.picture), interpolation="none", aspect="auto")
        axes.set_axis_off()
        for line in self.words:
            figure.text(
                line.x / width,
                1 - line.baseline / height,
                line.text,
                fontsize=line.size * 72 / DPI,
                color=line.colour,
                family="DejaVu Sans",
                weight="bold" if line.bold else "normal",
                horizontalalignment=line.align,
                parse_math=False,
            )
