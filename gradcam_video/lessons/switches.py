"""Switches and sliders whose every position was computed beforehand: a page without a kernel.

What a number does is felt when it is turned. The notebook computes all positions, `switches.js`
draws the one that is chosen: a picture if there is one, bars with their numbers, and a line of
words.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from ..errors import BadInput
from ..show.html import in_frame, jpeg, standalone
from .pages import lesson_script

WIDTH = 480
"""Pixels of the page at most."""
HIGH = 150
"""Pixels of the bars."""


@dataclass(frozen=True)
class State:
    """What is shown at one position of all switches.

    Attributes:
        bars: (n,), one number for each bar, none is below zero; none: np.zeros(0).
        words: one line at the bottom.
        picture: uint8 (H, W, 3) or a figure above them, or none.
        marked: the bar that is drawn in another colour, or none.
    """

    bars: np.ndarray
    words: str
    picture: np.ndarray | Figure | None = None
    marked: int | None = None


class Switches:
    """A page with switches; it needs no kernel once it is shown.

    Args:
        switches: name of each, and the names of its positions; more than four become a slider.
        state: what is shown at a position: called once for each, with one index per switch.
        axis: what the bars are, and what they count.
        top: the number at which a bar is full; None takes the largest of all.
        width: of the page at most, in pixels.
        side: of a picture as it is stored, at most, in pixels; it is shown as wide as the page.
        start: the position shown first; the first of each where none is given.

    Raises:
        BadInput: a switch without positions, bars below zero, or not as many bars everywhere.
    """

    def __init__(
        self,
        switches: Mapping[str, Sequence[str]],
        state: Callable[..., State],
        *,
        axis: tuple[str, str] = ("", ""),
        top: float | None = None,
        width: int = WIDTH,
        side: int = 160,
        start: Sequence[int] | None = None,
    ) -> None:
        if not switches or not all(switches.values()):
            raise BadInput("a switch without positions: give each at least one")
        self.switches = {name: list(places) for name, places in switches.items()}
        self.axis, self.width, self.side = axis, width, side
        self.start = list(start or [0] * len(switches))
        sizes = [range(len(places)) for places in self.switches.values()]
        self.states = {at: state(*at) for at in product(*sizes)}
        bars = [np.asarray(s.bars, float) for s in self.states.values()]
        if len({b.shape for b in bars}) > 1 or any((b < 0).any() for b in bars):
            raise BadInput("bars: give as many in every state, none below zero")
        if tuple(self.start) not in self.states:
            raise BadInput(f"no position {self.start}: give one index per switch")
        self.top = float(top if top is not None else max(b.max(initial=0) for b in bars)) or 1.0

    def __repr__(self) -> str:
        return f"Switches({', '.join(self.switches)}: {len(self.states)} states)"

    def _repr_html_(self) -> str:
        shapes = [_shape(s.picture) for s in self.states.values() if s.picture is not None]
        high = max((self.width * height / width for height, width in shapes), default=0)
        rows = 62 * -(-len(self.switches) // 2) + 20
        bars = HIGH if self._bars() else 0
        return in_frame(self.page(), "Switches", self.width + 30, high + bars + rows + 120)

    def _bars(self) -> int:
        """How many bars each state has."""
        return len(next(iter(self.states.values())).bars)

    def page(self) -> str:
        """The page, self-contained."""
        known: dict[bytes, int] = {}  # a picture that several states share is stored once
        states = {}
        for at, one in self.states.items():
            row: dict[str, Any] = {
                "bars": [float(f"{value:.4g}") for value in one.bars],
                "words": one.words,
                "marked": one.marked,
            }
            if one.picture is not None:
                row["picture"] = known.setdefault(_jpeg(one.picture, self.side), len(known))
            states[" ".join(map(str, at))] = row
        meta = {
            "switches": [{"name": n, "places": p} for n, p in self.switches.items()],
            "states": states,
            "pictures": [base64.b64encode(data).decode() for data in known],
            "axis": self.axis,
            "top": self.top,
            "start": self.start,
            "high": HIGH if self._bars() else 0,
        }
        script = lesson_script("switches.js")
        call = 'turn(root, JSON.parse(text("meta")));'
        return standalone("Switches", script, call, meta, "", self.width)


def _shape(picture: np.ndarray | Figure) -> tuple[float, float]:
    """Height and width, in any unit."""
    if isinstance(picture, Figure):
        return picture.get_figheight(), picture.get_figwidth()
    return picture.shape[0], picture.shape[1]


def _jpeg(picture: np.ndarray | Figure, side: int) -> bytes:
    """A picture at most `side` pixels wide."""
    if isinstance(picture, Figure):
        buffer = BytesIO()
        dpi, quality = side / picture.get_figwidth(), {"quality": 80}
        picture.savefig(buffer, format="jpeg", dpi=dpi, pil_kwargs=quality)
        return buffer.getvalue()
    height, width = picture.shape[:2]
    if width > side:
        small = Image.fromarray(picture).resize((side, round(height * side / width)))
        picture = np.asarray(small)
    return jpeg(picture, quality=70)
