"""One picture of a video: panels side by side, words above, the evidence in bars below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .blend import at_size, fit, lay_on, resize
from .captions import (
    UNTRAINED,
    block,
    class_name,
    font,
    frame_words,
    window_answer,
    window_best,
)
from .look import Look

if TYPE_CHECKING:
    from .drawable import Drawable

BACK = (20, 20, 24)
TEXT = (236, 236, 240)
SOFT = (160, 160, 170)
MARK = (255, 176, 32)
GOOD = (120, 220, 140)
ALARM = (176, 24, 32)
_BARS = 36  # height of the bars of evidence
_BARS_WORDS = "evidence, frame by frame →"
_GAP = 4


class FrameLayout:
    """The layout of `side_by_side`: what stays the same is drawn once, here.

    Args:
        e: what is shown.
        rows: of its maps, a panel for each.
        look: how they are drawn.
    """

    def __init__(self, e: Drawable, rows: list[int], look: Look) -> None:
        height, width = e.clip.frames.shape[1:3]
        widest = min(640, max(160, (1920 - _GAP * len(rows)) // (1 + len(rows))))
        self.height, self.width = fit(height, width, wide=widest)  # of one panel
        self.column = max(self.width, 240)  # narrower, and words would be broken
        self.rows, self.look = rows, look
        self.scales = [e.row_scale(row, look.scope) for row in rows]  # (T,) each
        self.e = at_size(e, self.height, self.width)
        total = (self.column + _GAP) * (1 + len(rows)) - _GAP
        total += total % 2
        self.size = int(np.clip(total / 50, 13, 20))

        head = block(
            [(UNTRAINED, (255, 255, 255), True)] if e.untrained else [], total, self.size, ALARM, 4
        )
        # Of a long video these words change with the window: room for the highest is kept.
        windows = _windows_of_all_words(e, rows)
        self.titles_height = max(len(self._titles(k, total)) for k in windows)
        self.caption_height = max(len(self._caption(k, total)) for k in windows)
        self.moment_height = (
            block([(_longest(e), TEXT, False)], total, self.size, BACK).shape[0] - 6
        )

        self.head = head.shape[0] if e.untrained else 0
        top = self.head + self.titles_height
        below = top + self.height + 2
        bottom = below + _BARS + 2
        high = bottom + self.moment_height + self.caption_height
        self.base = np.full((high + high % 2, total, 3), BACK, np.uint8)
        if e.untrained:
            self.base[: head.shape[0]] = head
        self.top, self.below, self.bottom = top, below, bottom
        inset = (self.column - self.width) // 2
        self.lefts = [inset + i * (self.column + _GAP) for i in range(1 + len(rows))]

        self.window = -1  # whose words stand on the base
        self._write_words(0)

        # Which frame every column of pixels belongs to, and how high each frame's bar is
        frames = len(e.clip.times)
        self.frame_of = np.minimum(np.arange(self.width) * frames // self.width, frames - 1)
        curves = np.array([e.row_evidence(row) for row in rows])  # (rows, T)
        most = curves.max(axis=1, keepdims=True)
        if look.scope == "classes":
            every = [e.row_evidence(row).max() for row in range(len(e.maps))]
            most = np.full_like(most, max(every))
        self.bars = np.round(curves / np.where(most > 0, most, 1) * (_BARS - 2)).astype(int)
        for bars, left in zip(self.bars, self.lefts[1:], strict=True):
            lit = _BARS - np.arange(_BARS)[:, None] <= bars[self.frame_of] + 1  # a floor of 1 px
            if self.width >= 4 * frames:  # a gap between bars, where there is room
                lit &= np.r_[np.diff(self.frame_of), 1] == 0
            place = self.base[below : below + _BARS, left : left + self.width]
            place[lit] = (110, 110, 122)
        if font(self.size).getlength(_BARS_WORDS) < self.column - 12:
            words = block([(_BARS_WORDS, SOFT, False)], self.column, self.size, BACK)[: _BARS + 2]
            self.base[below : below + len(words), : self.column] = words

    def original(self, t: int) -> np.ndarray:
        """A frame at the size of a panel, uint8 (height, width, 3)."""
        return resize(self.e.clip.picture(t), self.height, self.width)

    def overlays(self, t: int, frame: np.ndarray) -> list[np.ndarray]:
        """The heat map of each class on a frame at the size of a panel."""
        return [
            lay_on(frame, self.e.row_frame(row, t, scale[t]), self.look, self.e.grid.seen(t))
            for row, scale in zip(self.rows, self.scales, strict=True)
        ]

    def draw(self, t: int, panels: list[np.ndarray]) -> np.ndarray:
        """The whole picture of frame t from its panels: the original, then each class's overlay."""
        self._write_words(self.e.window_of(t))
        picture = self.base.copy()
        for panel, left in zip(panels, self.lefts, strict=True):
            picture[self.top : self.top + self.height, left : left + self.width] = panel
        for bars, left in zip(self.bars, self.lefts[1:], strict=True):
            now = left + np.flatnonzero(self.frame_of == t)
            if not len(now):  # more frames than pixels
                now = left + np.array([t * self.width // len(bars)])
            high = max(int(bars[t]), 1)
            picture[self.below + _BARS - high : self.below + _BARS, now] = MARK
            picture[self.below + _BARS : self.below + _BARS + 2, now] = MARK
        colour = MARK if self.e.clip.repeated[t] else TEXT
        words = block([(frame_words(self.e, t), colour, False)], picture.shape[1], self.size, BACK)
        picture[self.bottom : self.bottom + len(words)] = words
        return picture

    def _write_words(self, window: int) -> None:
        """What is said of a window, onto the base; of a clip there is but one."""
        if window == self.window:
            return
        self.window = window
        width = self.base.shape[1]
        for top, high, words in (
            (self.head, self.titles_height, self._titles(window, width)),
            (self.bottom + self.moment_height, self.caption_height, self._caption(window, width)),
        ):
            self.base[top : top + high] = BACK
            self.base[top : top + len(words)] = words

    def _titles(self, window: int, width: int) -> np.ndarray:
        """The heading of each panel, side by side."""
        headings = [self._heading("original", "")]
        for row in self.rows:
            words = "no positive evidence for" if self.e.empty[row] else "evidence for"
            words = f"{words} ({window_answer(self.e, row, window)})"
            headings.append(self._heading(words, class_name(self.e, row)))
        titles = np.full((max(h.shape[0] for h in headings), width, 3), BACK, np.uint8)
        for i, heading in enumerate(headings):
            left = i * (self.column + _GAP)
            titles[: heading.shape[0], left : left + self.column] = heading
        return titles

    def _heading(self, small: str, name: str) -> np.ndarray:
        lines = [(small, SOFT, False)]
        if name:
            lines.append((name, TEXT, True))
        return block(lines, self.column, self.size, BACK)

    def _caption(self, window: int, width: int) -> np.ndarray:
        e = self.e
        lines = []
        if e.true_label:
            right = e.true_label == e.top(1, window)[0][0]
            lines.append((f"true label: {e.true_label}", GOOD if right else MARK, False))
        lines += [(line, TEXT, False) for line in window_best(e, window)]
        for remark in (e.remark, e.clip.note):
            if remark:
                lines.append((remark, SOFT, False))
        return block(lines, width, self.size, BACK, 6)


def _windows_of_all_words(e: Drawable, rows: list[int]) -> list[int]:
    """Windows whose words differ in more than their numbers; every kind of number is in them."""
    first: dict[tuple[str, ...], int] = {}
    for k in range(len(e.window_probabilities)):
        names = tuple(name for name, _ in e.top(2, k))
        # "9.99 %" is wider than "9 %": by the length of the answers as well
        lengths = tuple(str(len(window_answer(e, row, k))) for row in rows)
        lengths += tuple(str(len(line)) for line in window_best(e, k))
        first.setdefault(names + lengths, k)
    return list(first.values())


def _longest(e: Drawable) -> str:
    """The longest line about a moment, to leave room for it on every frame."""
    last = len(e.clip.times) - 1
    return max((frame_words(e, t) for t in {0, last, int(np.argmax(e.clip.repeated))}), key=len)
