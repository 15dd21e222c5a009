"""Where and when? A reader's clicks on clips whose truth is known, beside the network's.

A game of a few rounds, as one page in a frame: look through a clip as the network got it, click on
the place and in the frame where the action is, and see where Grad-CAM and the middle of everything
(the centre prior) would have clicked. `game.js` plays it; all that is right or wrong was computed
here.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..data.ground_truth import Truth
from ..errors import BadInput
from ..explanation import Explanation
from ..metrics.localisation import draw, strict_truth, tolerant_truth
from ..show.html import in_frame, jpeg, standalone
from .pages import lesson_script

SIDE = 56
"""Places along a side of the picture: what is clicked falls into one of 56 × 56."""
WIDTH = 160
"""Pixels of a stored frame; it is shown twice as wide."""

Click = tuple[int, int, int]  # frame, row, column; the places count from 0


@dataclass(frozen=True)
class Round:
    """One clip of the game.

    Attributes:
        label: the clip's own label; where it is not known, the network's answer.
        frames: uint8 (T, WIDTH, WIDTH, 3), what the network sees.
        right: bool (T, SIDE, SIDE), the clicks that count: in a frame of the action, on hand or
            thing, within the slack of `metrics.tolerant_truth`.
        network, centre_prior: where the top class's map is strongest, and the middle of everything.
    """

    label: str
    frames: np.ndarray
    right: np.ndarray
    network: Click
    centre_prior: Click

    @classmethod
    def of(cls, e: Explanation, truth: Truth) -> Round:
        """The round about one explained clip.

        Raises:
            BadInput: the truth is of another clip, or does not say where and when.
        """
        if not truth.masks or truth.action is None:
            raise BadInput("the game needs a truth that says where and when the action is")
        if len(truth) != len(e.clip.frames):
            raise BadInput(
                f"truth of {len(truth)} frames for a clip of {len(e.clip.frames)}: give its own"
            )
        view = e.grid.view
        right = at_places(tolerant_truth(strict_truth(truth, view)))
        first, last = truth.action
        right[:first] = right[last + 1 :] = False
        heat = at_places(draw(e.maps[e.row(None)], e.grid))
        top, left, bottom, right_edge = view.box
        frames = [
            Image.fromarray(frame).resize((WIDTH, WIDTH), box=(left, top, right_edge, bottom))
            for frame in e.clip.frames
        ]
        frame, row, column = map(int, np.unravel_index(heat.argmax(), heat.shape))
        return cls(
            label=e.true_label or e.top(1)[0][0],
            frames=np.stack([np.asarray(f) for f in frames]),
            right=right,
            network=(frame, row, column),
            centre_prior=(len(truth) // 2, SIDE // 2, SIDE // 2),
        )

    def hit(self, click: Click) -> bool:
        """Whether a click is right."""
        return bool(self.right[click])


class Game:
    """Rounds to play in a notebook's output; it needs no kernel once it is shown.

    Args:
        explanations: one of each clip.
        truths: what is known of each.

    Raises:
        BadInput: not as many truths as explanations, or none.
    """

    def __init__(self, explanations: Sequence[Explanation], truths: Sequence[Truth]) -> None:
        if len(explanations) != len(truths) or not truths:
            raise BadInput(
                f"{len(explanations)} explanations and {len(truths)} truths: give one of each clip"
            )
        self.rounds = [Round.of(e, t) for e, t in zip(explanations, truths, strict=True)]

    @property
    def network(self) -> int:
        """How many rounds Grad-CAM wins."""
        return sum(one.hit(one.network) for one in self.rounds)

    @property
    def centre_prior(self) -> int:
        """How many rounds the middle of everything wins."""
        return sum(one.hit(one.centre_prior) for one in self.rounds)

    def __repr__(self) -> str:
        points = f"Grad-CAM {self.network}, centre prior {self.centre_prior}"
        return f"Game({len(self.rounds)} clips, {points})"

    def _repr_html_(self) -> str:
        return in_frame(self.page(), "Beat the network", 2 * WIDTH + 40, 2 * WIDTH + 330)

    def page(self) -> str:
        """The game as one page that needs neither a kernel nor a network."""
        rounds = [
            {
                "label": one.label,
                "frames": [_text(jpeg(frame, quality=70)) for frame in one.frames],
                "right": _text(np.packbits(one.right).tobytes()),
                "network": one.network,
                "centre": one.centre_prior,
            }
            for one in self.rounds
        ]
        meta = {"side": SIDE, "width": WIDTH, "rounds": rounds}
        call = 'play(root, JSON.parse(text("meta")));'
        script = lesson_script("game.js")
        return standalone("Beat the network", script, call, meta, "", 2 * WIDTH)


def at_places(values: np.ndarray) -> np.ndarray:
    """A raster (T, R, C), a multiple of `SIDE` places wide, at the middle of each place."""
    rows, columns = (n // SIDE for n in values.shape[1:])
    return values[:, rows // 2 :: rows, columns // 2 :: columns].copy()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
