"""An explanation of a small synthetic clip, for tests that need no network."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcam_video.data.clip import Clip
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View

LONG = "Pretending to put [something] into [something] but failing so [something] falls"


def synthetic(
    height: int = 60,
    width: int = 80,
    frames: int = 4,
    steps: int = 4,
    cells: tuple[int, int] = (3, 4),
    seed: int = 0,
    **more: Any,
) -> Explanation:
    """Six classes, the last without positive evidence; the last frame is a repeat."""
    rng = np.random.default_rng(seed)
    labels = ("opening", "closing", LONG, "a <b>'\"</script>", "other", "empty")
    signed = rng.normal(size=(6, steps, *cells)).astype(np.float32)
    signed *= np.array([1, 3, 0.5, 2, 1, 1], np.float32)[:, None, None, None]
    signed[5] = -np.abs(signed[5])
    ramp = np.linspace(0, 200, width)[None, None, :, None]
    noise = rng.integers(0, 56, size=(frames, height, width, 3))
    clip = Clip(
        frames=(ramp + noise).astype(np.uint8),
        times=np.arange(frames) / 4,
        repeated=np.arange(frames) == frames - 1 if frames > 1 else np.zeros(1, bool),
        source="clips/a <b>.mp4",
    )
    side = min(height, width)
    top, left = (height - side) / 2, (width - side) / 2
    view = View(height, width, 32, 32, top, left, top + side, left + side)
    grid = Grid(
        Axis(steps, frames, 0.0, frames / steps),
        Axis(cells[0], 32, 0.0, 32 / cells[0]),
        Axis(cells[1], 32, 1.5, 32 / cells[1]),
        view,
    )
    logits = np.array([2, 1, 0, -1, -2, -3], np.float32)
    return Explanation(
        clip, labels, logits, np.arange(6), signed, grid, model="toy", seconds=0.1, **more
    )
