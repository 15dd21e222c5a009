"""What frames of a file and of a folder share: endings, sizes, transparent pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif", ".mpg", ".mpeg", ".wmv", ".flv"}
    | {".3gp", ".ts", ".ogv"}
)
SMALLEST_SIDE = 8
# Containers round timestamps to a millisecond: a frame half a millisecond "late" is on time.
TOLERANCE = 1e-3


def shrink(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height with the longer side at most `max_side`."""
    scale = min(1.0, (max_side or math.inf) / max(width, height))
    return max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale))


def on_white(picture: np.ndarray) -> np.ndarray:
    """Lays a picture with transparency on white: uint8 (H, W, 4) to (H, W, 3)."""
    alpha = picture[..., 3:].astype(np.uint16)  # (H, W, 1)
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def too_small(path: Path, width: int, height: int) -> str:
    return f"{path}: {width}×{height} pixels; each side must have at least {SMALLEST_SIDE}"
