"""A film from the reader's own computer or camera, handed to the kernel by the browser.

ipywidgets' own upload sends a file as one message, and Jupyter ends the connection where a message
has more than 10 MB; a film comes in pieces here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..data.clip import Clip, read_clip
from ..errors import BadInput
from ..files import atomic_write
from .html import asset

MOST_BYTES = 500_000_000
"""Larger films are better read from a path."""


class FilmPicker(anywidget.AnyWidget):
    """Two buttons in a notebook: choose a film, or record a few seconds with the camera.

    The browser sends the film to the kernel; `clip` reads it then. A page that was not loaded from
    the same computer or by https gets no camera: browsers forbid it.

    Args:
        seconds: how long the camera records.

    Attributes:
        film: the bytes of the file that came last; none yet: b"".
        name: how it is called there. A recording is `camera.webm` or `camera.mp4`.
    """

    _esm = asset("film_picker.js")
    _css = asset("film_picker.css")
    seconds = traitlets.Float(3.0).tag(sync=True)
    most = traitlets.Int(MOST_BYTES).tag(sync=True)

    def __init__(self, seconds: float = 3.0) -> None:
        if not 0 < seconds <= 60:
            raise BadInput(f"seconds={seconds}: record more than 0 and at most 60")
        super().__init__(seconds=seconds)
        self.film, self.name = b"", ""
        self._pieces: list[bytes] = []
        self.on_msg(self._receive)

    def clip(self, folder: str | Path, **options: Any) -> Clip:
        """Write the film into a folder and read it.

        Args:
            folder: where the file is kept; it is made.
            options: as `read_clip` takes them.

        Raises:
            BadInput: no film has come yet, or as `read_clip`.
        """
        if not self.film:
            raise BadInput(
                "no film has come yet: choose or record one above, wait until it says so, and run "
                "this cell again"
            )
        path = Path(folder) / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_bytes(self.film)
        return read_clip(path, **options)

    # ipywidgets 7 shows itself through this, and then the bundle below would not be asked for
    _ipython_display_ = None

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and words in its place for readers without a kernel."""
        words = "Two buttons, where a kernel runs: choose a film, or record one with the camera."
        shown = {
            "text/plain": f"FilmPicker({self.name or 'no film yet'})",
            "text/html": f"<p><em>{words}</em></p>",
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
        }
        return shown, {}

    def _receive(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """A piece of a film; the first has number 0, and the last says so."""
        if content["piece"] == 0:
            self._pieces = []
        if content["piece"] != len(self._pieces):  # one was lost: what comes now is of no use
            return
        self._pieces.append(bytes(buffers[0]))
        if content["last"]:
            # The name only: what stands before it is of another computer
            name = content["name"].replace("\\", "/").rsplit("/", 1)[-1]
            self.name = name if name.strip(". ") else "film"
            self.film, self._pieces = b"".join(self._pieces), []
        self.send({"got": content["piece"]})
