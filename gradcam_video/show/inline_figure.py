"""Matplotlib figures that a notebook shows, and that pyplot does not know."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from .drawing import Drawing


class InlineFigure(Figure):
    """A figure that shows itself in a notebook whether or not pyplot was ever imported.

    Attributes:
        quality: of the JPEG, 0 to 95.
    """

    quality = 85

    def _ipython_display_(self) -> None:
        # As a JPEG: frames of a video are a quarter of a PNG's size. Not `_repr_jpeg_`: where
        # pyplot is in use IPython makes a PNG of every figure as well, and a notebook would store
        # both.
        from IPython.display import display

        buffer = BytesIO()
        self.savefig(buffer, format="jpeg", pil_kwargs={"quality": self.quality})
        picture = base64.b64encode(buffer.getvalue()).decode()
        display({"image/jpeg": picture, "text/plain": repr(self)}, raw=True)


class Sheet(InlineFigure):
    """A drawn page as a figure, which can also write itself pixel for pixel.

    Args:
        drawing: the page.
    """

    def __init__(self, drawing: Drawing) -> None:
        super().__init__(facecolor="white")
        self.drawing = drawing
        drawing.draw_on(self)

    def write_png(self, path: str | Path) -> None:
        """Write the page at its own size; `savefig` takes longer and adds an alpha channel."""
        self.drawing.write_png(path)
