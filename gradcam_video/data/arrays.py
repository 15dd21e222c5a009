"""Frames that lie in memory already: arrays, tensors and pictures become uint8 (T, H, W, 3).

Only what has one plain meaning is taken; all else is refused in one line that says what to write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BadInput

GIVE = "give (T, H, W, 3) or (T, 3, H, W), as uint8 or as floats in 0..1"


def is_picture(given: Any) -> bool:
    """Whether something is a single picture: PIL's, or an array of two or three dimensions."""
    return hasattr(given, "convert") or getattr(given, "ndim", 0) in (2, 3)


def frames_from(given: Any, source: str = "array") -> np.ndarray:
    """Frames as a `Clip` holds them.

    Args:
        given: an array or tensor (T, H, W, 3), (T, 3, H, W) or, grey, (T, H, W), uint8 or floats
            in 0..1; or a sequence of pictures, PIL's or arrays.
        source: for the messages.

    Returns:
        uint8 (T, H, W, 3).

    Raises:
        BadInput: it has another shape, or one that may mean two things; or other values.
    """
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = _stacked(given, source)
    return _bytes(_channels_last(_array(given, source), source), source)


def _stacked(pictures: Sequence[Any], source: str) -> np.ndarray:
    """Pictures of one size in a row."""
    if not pictures or not all(is_picture(p) for p in pictures):
        kinds = ", ".join(sorted({type(p).__name__ for p in pictures})) or "nothing"
        raise BadInput(f"{source}: a list of {kinds} is no clip: give pictures, or {GIVE}")
    arrays = [_array(p, source) for p in pictures]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        some = " and ".join(map(str, sorted(shapes)[:2]))
        raise BadInput(f"{source}: the pictures differ in size, {some}: bring them to one")
    return np.stack(arrays)


def _array(given: Any, source: str) -> np.ndarray:
    if hasattr(given, "convert"):  # a picture of PIL
        return np.asarray(given.convert("RGB"))
    if hasattr(given, "detach"):  # a tensor; numpy knows no bfloat16
        given = given.detach().cpu()
        given = (given.float() if given.is_floating_point() else given).numpy()
    if not isinstance(given, np.ndarray):
        raise BadInput(f"{source}: {type(given).__name__} is no array of frames: {GIVE}")
    return given


def _channels_last(frames: np.ndarray, source: str) -> np.ndarray:
    """(T, H, W, 3) of any of the shapes that are taken."""
    shape = frames.shape
    may_be = ""
    if frames.ndim == 3:
        if 3 not in (shape[0], shape[2]):
            return np.repeat(frames[..., None], 3, axis=3)
        may_be = "may be one picture in colour, or grey frames"
    elif frames.ndim == 4:
        last, second = shape[3], shape[1]
        if last == second and last in (1, 3):
            may_be = "may have its channels in the second or in the last place"
        elif 3 in (last, second):
            return frames if last == 3 else frames.transpose(0, 2, 3, 1)
        elif 1 in (last, second):
            grey = frames if last == 1 else frames.transpose(0, 2, 3, 1)
            return np.repeat(grey, 3, axis=3)
        elif last == 4:
            may_be = "has four channels: drop the last with [..., :3]"
        elif shape[0] == 3:
            may_be = "has its channels first: turn it with np.moveaxis(frames, 0, -1)"
    raise BadInput(f"{source}: an array {shape} {may_be or 'is no clip'}; {GIVE}")


def _bytes(frames: np.ndarray, source: str) -> np.ndarray:
    if 0 in frames.shape:
        raise BadInput(f"{source}: an array {frames.shape} holds no picture; {GIVE}")
    if frames.dtype == np.uint8:
        return np.ascontiguousarray(frames)
    if not np.issubdtype(frames.dtype, np.floating):
        raise BadInput(f"{source}: frames are {frames.dtype}; {GIVE}")
    low, high = float(frames.min()), float(frames.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # a resize goes a little beyond; NaN is refused
        raise BadInput(f"{source}: floats go from {low:.4g} to {high:.4g}; {GIVE}")
    return np.ascontiguousarray(np.round(frames.clip(0, 1) * 255).astype(np.uint8))
