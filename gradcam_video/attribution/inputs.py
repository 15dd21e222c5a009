"""What people give `explain` for a clip: clips, paths, arrays, pictures; one or several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..data.arrays import GIVE, is_picture
from ..data.clip import Clip, read_clip
from ..errors import BadInput
from ..models.video_model import VideoModel


def clips_of(given: Any, model: VideoModel) -> tuple[list[Clip], bool]:
    """The clips that are meant, and whether it is a single one.

    Args:
        given: a `Clip`; a path, which is read with the model's frames and fps; an array or tensor
            of frames, or a list of pictures, as `Clip.of` takes them; or a list of these.
        model: says how many frames of a file are read, and how many of them a second.

    Raises:
        BadInput: nothing of the kind, or an array that may mean two things.
    """
    if _is_one(given):
        return [_clip(given, model)], True
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise _not_a_clip(given)
    several = list(given)
    if several and all(is_picture(one) for one in several):
        return [_clip(several, model)], True
    return [_clip(one, model) for one in several], False


def _is_one(given: Any) -> bool:
    return isinstance(given, Clip | str | os.PathLike) or hasattr(given, "ndim")


def _clip(given: Any, model: VideoModel) -> Clip:
    if isinstance(given, Clip):
        return given
    if isinstance(given, str | os.PathLike):
        return read_clip(given, model.frames, model.fps)
    if hasattr(given, "ndim") or isinstance(given, list | tuple):
        return Clip.of(given, model.fps or 4.0)
    raise _not_a_clip(given)


def _not_a_clip(given: Any) -> BadInput:
    return BadInput(
        f"a {type(given).__name__} is no clip: give gv.read_clip(path), a path, a list of "
        f"pictures, or an array ({GIVE})"
    )
