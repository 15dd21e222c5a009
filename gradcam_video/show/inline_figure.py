"""A matplotlib figure that a notebook shows, and that pyplot does not know."""

from __future__ import annotations

import base64
from io import BytesIO

from matplotlib.figure import Figure


class InlineFigure(Figure):
    """A figure that shows itself in a notebook whether or not pyplot was ever imported."""

    def _ipython_display_(self) -> None:
        # As a JPEG: frames of a video are a quarter of a PNG's size. Not `_repr_jpeg_`: where
        # pyplot is in use IPython makes a PNG of every figure as well, and a notebook would store
        # both.
        from IPython.display import display

        buffer = BytesIO()
        self.savefig(buffer, format="jpeg", pil_kwargs={"quality": 85})
        picture = base64.b64encode(buffer.getvalue()).decode()
        display({"image/jpeg": picture, "text/plain": repr(self)}, raw=True)
