"""What a notebook shows of an explanation that ends a cell: frames, maps and words, small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.notebook_strip import shown, strip
from .blend import at_size, fit, lay_on, resize
from .captions import UNTRAINED, class_answer, class_name
from .look import Look

if TYPE_CHECKING:
    from .drawable import Drawable


def card(e: Drawable) -> str:
    """HTML: a few frames, the top class's map under them, and what it is.

    Where the map of the top class was not asked for, it is that of the first class that was.
    """
    best = int(e.logits.argmax())
    row = e.row(best) if best in e.classes else 0
    times, look = shown(len(e.clip.times)), Look()
    size = fit(*e.clip.frames.shape[1:3], low=1, wide=240)
    small, scale = at_size(e, *size), e.row_scale(row)
    frames = [resize(e.clip.picture(t), *size) for t in times]
    maps = [
        lay_on(frame, small.row_frame(row, t, scale[t]), look, small.grid.seen(t))
        for frame, t in zip(frames, times, strict=True)
    ]
    words = "no positive evidence for" if e.empty[row] else "evidence for"
    return strip(
        [frames, maps],
        f"{words} “{class_name(e, row)}” ({class_answer(e, row)})",
        UNTRAINED if e.untrained else "",
        " · ".join(s for s in (e.model, e.method, str(e.clip.source), e.clip.note, e.remark) if s),
    )
