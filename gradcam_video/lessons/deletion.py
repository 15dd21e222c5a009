"""Deletion under a slider: cells of a clip are replaced, and the logit falls, or does not.

One page in a frame, drawn by `deletion.js`. The pictures are put together in the browser, from the
clip, what replaces it, and the order of the cells; every logit was computed here beforehand.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..show.html import in_frame, jpeg, standalone
from .pages import lesson_script

WIDTH = 168
"""Pixels of a stored frame, a multiple of 14 cells; it is shown twice as wide."""

Curves = Mapping[tuple[str, str], Sequence[float]]
"""(what is shown instead, whose order) -> the logit at each share."""


class Deletion:
    """A slider over the share of the cells that are replaced; it needs no kernel once it is shown.

    Args:
        frames: uint8 (T, S, S, 3), the square that the network sees.
        instead: name -> uint8 (T, S, S, 3), what a replaced cell shows.
        orders: name -> int (T·g·g,), numbers of the cells, in the order in which they go.
        cells: (T, g, g).
        shares: of the cells that are replaced, in 0..1.
        curves: the logits, for every pair of `instead` and `orders`.

    Raises:
        BadInput: an order that is none, or curves that are missing or of other lengths.
    """

    def __init__(
        self,
        frames: np.ndarray,
        instead: Mapping[str, np.ndarray],
        orders: Mapping[str, np.ndarray],
        cells: tuple[int, int, int],
        shares: Sequence[float],
        curves: Curves,
    ) -> None:
        for who, order in orders.items():
            if sorted(np.asarray(order).tolist()) != list(range(int(np.prod(cells)))):
                raise BadInput(f"order {who!r} does not name each of the {cells} cells once")
        for pair in ((what, who) for what in instead for who in orders):
            if len(curves.get(pair, ())) != len(shares):
                raise BadInput(f"no {len(shares)} logits for {pair}")
        self.frames, self.instead, self.orders = frames, dict(instead), dict(orders)
        self.cells, self.shares, self.curves = cells, list(shares), curves

    def __repr__(self) -> str:
        ways = f"{len(self.instead)} ways, {len(self.orders)} orders"
        return f"Deletion({ways}, {len(self.shares)} shares)"

    def replaced(self, what: str, who: str, share: float) -> np.ndarray:
        """The frames with this share of the cells replaced, uint8 (T, S, S, 3)."""
        _, rows, columns = self.cells
        mask = np.zeros(self.cells, bool)
        mask.flat[self.orders[who][: int(share * mask.size)]] = True
        side = self.frames.shape[1]
        down, across = ((np.arange(side) * n // side) for n in (rows, columns))
        wide = mask[:, down][:, :, across]  # (T, S, S)
        return np.where(wide[..., None], self.instead[what], self.frames)

    def _repr_html_(self) -> str:
        return in_frame(self.page(), "Deletion", 2 * WIDTH + 40, 2 * WIDTH + 570)

    def page(self) -> str:
        """The slider as one page that needs neither a kernel nor a network."""
        meta = {
            "width": WIDTH,
            "cells": list(self.cells),
            "shares": self.shares,
            "frames": [_picture(frame) for frame in self.frames],
            "instead": {name: _pictures(frames) for name, frames in self.instead.items()},
            "orders": {
                name: _text(np.asarray(order, "<u2").tobytes())
                for name, order in self.orders.items()
            },
            "curves": {
                f"{what}/{who}": [round(float(y), 2) for y in self.curves[what, who]]
                for what in self.instead
                for who in self.orders
            },
        }
        script = lesson_script("deletion.js")
        call = 'deletion(root, JSON.parse(text("meta")));'
        return standalone("Deletion", script, call, meta, "", 2 * WIDTH)


def _pictures(frames: np.ndarray) -> list[str]:
    """One picture for each frame, or a single one where all are the same."""
    same = (frames == frames[:1]).all()
    return [_picture(frame) for frame in (frames[:1] if same else frames)]


def _picture(frame: np.ndarray) -> str:
    small = Image.fromarray(np.ascontiguousarray(frame)).resize((WIDTH, WIDTH))
    return _text(jpeg(np.asarray(small), quality=70))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
