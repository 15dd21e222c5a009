"""A slider more: films of cells on one clip, and the reader turns from one film to the next.

The pictures are drawn by the player's own code in the browser; what each position of the slider
shows was computed here.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import BadInput
from ..explanation import Explanation
from ..show.html import asset, in_frame, standalone
from ..show.look import Look
from ..show.player_page import payload

TITLE = "Turn the dial"
SHOWN = 360  # pixels of the page


class Dial:
    """A clip under one of several films of cells, as a page that needs no kernel.

    Args:
        e: whose clip and grid; its own maps are not shown.
        films: (n, T', h, w), one film for each position of the slider; what is below zero is dark.
        positions: a line for each position.
        what: the slider's name.
        scope: "classes" draws all films on one scale, "clip" each on its own.
        at, frame: where the two sliders stand first.
        width: of the stored picture, in pixels; a small one is shown larger.

    Raises:
        BadInput: not as many lines as films, or a film of another shape than the maps of `e`.
    """

    def __init__(
        self,
        e: Explanation,
        films: np.ndarray,
        positions: Sequence[str],
        *,
        what: str,
        scope: str = "classes",
        at: int = 0,
        frame: int = 0,
        width: int = 200,
    ) -> None:
        films = np.asarray(films, np.float32)
        count = len(films)
        if count != len(positions) or not count:
            raise BadInput(f"{count} films and {len(positions)} positions: give a line for each")
        if films.shape[1:] != e.maps.shape[1:]:
            raise BadInput(f"films of {films.shape[1:]} cells, the grid has {e.maps.shape[1:]}")
        for name, place, most in (("at", at, count), ("frame", frame, len(e.clip.frames))):
            if not 0 <= place < most:
                raise BadInput(f"{name}={place}: give 0 to {most - 1}")
        self.positions, self.what, self.films = tuple(positions), what, films
        # The player sorts by the logits: descending ones keep the order.
        turned = replace(
            e,
            signed=films,
            labels=tuple(f"position {i}" for i in range(count)),
            logits=-np.arange(count, dtype=np.float32),
            classes=np.arange(count),
            output="value",
            remark="",
            method="",
            true_label=None,
        )
        self._meta, self._data = payload(turned, 0, Look(scope=scope), width=width)
        self._meta["start"] |= {"frame": frame, "choice": at}
        self._meta["dial"] = {"name": what, "positions": list(positions)}
        self._meta["width"] = max(self._meta["width"], SHOWN)
        self._meta["words"]["about"] = [f"weights: {e.model}"]

    def __repr__(self) -> str:
        return f"Dial({self.what!r}, {len(self.positions)} positions)"

    def _repr_html_(self) -> str:
        frames = self._meta["frames"]
        high = self._meta["width"] * frames["height"] / frames["width"]
        return in_frame(self.page(), TITLE, self._meta["width"] + 30, high + 330)

    def page(self) -> str:
        """The dial as one page that needs neither a kernel nor a network."""
        script = asset("player.js") + asset("dial.js", "gradcam_video.lessons")
        call = 'dial(root, JSON.parse(text("meta")), text("data"));'
        encoded = base64.b64encode(self._data).decode()
        return standalone(TITLE, script, call, self._meta, encoded, self._meta["width"])
