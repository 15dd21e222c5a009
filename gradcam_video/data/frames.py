"""What frames of a file and of a folder share: endings, sizes, transparent pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

IMAGES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".j2k", ".avif"}
)
# What FFmpeg opens and a camera, a phone, a recorder or a browser writes.
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".divx", ".gif", ".apng", ".nut"}
    | {".mpg", ".mpeg", ".m1v", ".m2v", ".mpv", ".vob", ".mod", ".tod", ".mxf", ".gxf"}
    | {".ts", ".mts", ".m2ts", ".m2t", ".trp", ".tp", ".wtv", ".dv", ".dif", ".insv", ".lrv"}
    | {".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm", ".rm", ".rmvb", ".amv"}
    | {".h264", ".264", ".avc", ".h265", ".265", ".hevc", ".obu", ".ivf", ".y4m", ".mjpeg", ".mjpg"}
)
# Films and pictures that neither FFmpeg nor Pillow reads: named where a folder is searched.
UNREAD = frozenset(
    {".heic", ".heif", ".braw", ".r3d", ".ari", ".crm", ".cine", ".mlv", ".dng", ".cr2", ".cr3"}
    | {".nef", ".arw", ".raf", ".psd", ".exr", ".hdr", ".swf"}
)
SMALLEST_SIDE = 8
# Containers round timestamps to a millisecond: a frame half a millisecond "late" is on time.
TOLERANCE = 1e-3
# Every browser gives 100 ms to an animation's picture that asks for less than 15.
SHORTEST_DELAY, BROWSER_DELAY = 0.015, 0.1  # seconds


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
