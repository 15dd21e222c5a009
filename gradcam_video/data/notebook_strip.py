"""What a notebook shows of a clip or an explanation: a few small pictures, and words under them."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from io import BytesIO

import numpy as np

PICTURES = 8
WIDE = 1000  # pixels for all of them together


def shown(frames: int) -> list[int]:
    """Which of so many frames are shown, evenly chosen."""
    return np.unique(np.linspace(0, frames - 1, min(frames, PICTURES)).round().astype(int)).tolist()


def strip(rows: Sequence[Sequence[np.ndarray]], *lines: str) -> str:
    """HTML that stands alone: rows of pictures, uint8 (H, W, 3) of one size, and lines of text."""
    from PIL import Image  # here: who only reads clips need not wait for it

    height, width = rows[0][0].shape[:2]
    scale = min(1.0, WIDE / len(rows[0]) / width, 160 / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = [
        np.hstack([np.asarray(Image.fromarray(p).resize(size)) for p in pictures])
        for pictures in rows
    ]
    buffer = BytesIO()
    Image.fromarray(np.vstack(small)).save(buffer, "JPEG", quality=80)
    picture = base64.b64encode(buffer.getvalue()).decode()
    words = "<br>".join(html.escape(line) for line in lines if line)
    alt = html.escape(lines[0] if lines else "", quote=True)
    return (
        f'<div><img src="data:image/jpeg;base64,{picture}" alt="{alt}" style="max-width:100%">'
        f"<div>{words}</div></div>"
    )
