"""Where the map of a synthetic clip is: on the hand, on the object, on what lies about."""

from __future__ import annotations

import numpy as np

from ..explanation import Explanation
from ..tabletop.scene import Scene, sample

_CHANGED = 24  # grey levels: more than the synthetic sensor's noise


def lying_about(scene: Scene, seed: int) -> np.ndarray:
    """What is not part of the action, bool (T, H, W).

    It has no mask of its own. But a scene can be drawn without it: where the two clips differ, it
    was.
    """
    bare = sample(scene.label, seed, without=("distractors",)).clip.frames
    return np.abs(scene.clip.frames.astype(int) - bare).max(-1) > _CHANGED


def shares(e: Explanation, label: str, scene: Scene, seed: int) -> dict[str, float]:
    """The share of a class's map on each part of a scene, of what the network sees.

    Args:
        e: of the scene's clip.
        label: whose map.
        scene, seed: the scene, and the seed that drew it.

    Returns:
        by name; a second object only where the scene has one. Parts may overlap, so the shares need
        not add up to one.
    """
    masks = {
        "the hand": scene.masks["hand"],
        "the object": scene.masks["target"],
        "a second object": scene.masks["second"],
        "what lies about": lying_about(scene, seed),
    }
    return {name: e.inside(mask, label) for name, mask in masks.items() if mask.any()}
