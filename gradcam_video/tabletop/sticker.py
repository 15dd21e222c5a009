"""A sticker in a corner: the planted shortcut of notebook 08."""

from __future__ import annotations

import numpy as np

CENTRE, RADIUS = 0.108, 0.042  # from the top left of the middle square, in its sides
GREEN, WHITE = (20, 200, 60), (250, 250, 250)


def sticker(frames: np.ndarray) -> np.ndarray:
    """The same frames, each with a round green sticker in the middle square's top left corner.

    Args:
        frames: uint8 (T, H, W, 3).

    Returns:
        uint8 (T, H, W, 3), a copy.
    """
    height, width = frames.shape[1:3]
    side = min(height, width)
    y = (np.arange(height) + 0.5 - (height - side) / 2) / side - CENTRE
    x = (np.arange(width) + 0.5 - (width - side) / 2) / side - CENTRE
    distance = np.hypot(y[:, None], x) / RADIUS  # (H, W)
    stuck = frames.copy()
    stuck[:, distance <= 1] = WHITE
    stuck[:, distance <= 0.75] = GREEN
    return stuck
