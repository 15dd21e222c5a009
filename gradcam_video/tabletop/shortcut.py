"""A lamp that blinks in a corner: the planted shortcut of notebook 08.

A sticker that does not move would not do: training begins with first filters of which three in four
see change only (`see_change` in scripts/train_tabletop.py), and the network did not take it.
"""

from __future__ import annotations

import numpy as np

CENTRE, RADIUS = 0.108, 0.042  # from the top left of the middle square, in its sides
RED, WHITE, DARK = (230, 20, 30), (250, 250, 250), (40, 10, 10)


def lamp(frames: np.ndarray) -> np.ndarray:
    """The same frames with a recording lamp in the middle square's top left corner.

    It is lit in every second frame, as the red lamp of a camera blinks.

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
    lit = frames.copy()
    lit[:, distance <= 1] = DARK
    lit[::2, distance <= 1] = WHITE
    lit[::2, distance <= 0.75] = RED
    return lit
