"""Tabletop: a synthetic Something-Something whose truth is known.

`render(label, seed)` gives a clip of one of the 40 classes, with masks of the hand and of what the
action is done to, and the frames in which it happens. The scene can be edited: the action delayed
or played backwards, the hand or a thing left out, everything else as it was.
"""

from ..errors import require

require("cv2", "tabletop", "the synthetic world")

from .scene import FPS, PARTS, Plan, Scene, render, sample  # noqa: E402

__all__ = ["FPS", "PARTS", "Plan", "Scene", "render", "sample"]
