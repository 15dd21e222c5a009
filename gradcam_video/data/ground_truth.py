"""Truth: where and when the action of a clip really is.

Known for synthetic clips to the pixel, for real ones as far as people have annotated it
(`annotations.py`).

Strict truth is the hand and whatever the action is done to, in the frame itself. Tolerant truth is
the same swept over one frame to either side and grown by 1/14 of the short side: motion lies
between frames, and a map of 7 × 7 cells cannot point finer.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .clip import Clip

MARKER = "tabletop.json"
TRUTH = "truth"

ROLES = ("hand", "object", "second", "target")
"""The masks of a clip. `target` is what the action is done to: the object, and the second object
where the action is done to both (stacking one on the other)."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known about a clip.

    Attributes:
        masks: role -> bool `(T, H, W)`, the pixels where it is visible; every role of `ROLES`.
            Empty where nobody said where.
        action: first and last frame of the action, both included; None where nobody said when.
        whole: the action is the camera's own (turning, approaching, moving away): the whole frame
            is the truth, and such clips are scored apart.
        known: bool `(T,)`, the frames that the truth speaks of; None: all. Needed without masks.
    """

    masks: dict[str, np.ndarray]
    action: tuple[int, int] | None
    whole: bool = False
    known: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.masks["hand"] if self.known is None else self.known)

    def strict(self) -> np.ndarray:
        """Hand and target in the frame itself, bool `(T, H, W)`; everything for camera classes."""
        if self.whole:
            return np.ones_like(self.masks["hand"])
        return self.masks["hand"] | self.masks["target"]

    def take(self, indices: Sequence[int] | np.ndarray) -> Truth:
        """The truth of a clip that takes these frames of this one, in this order."""
        chosen = np.asarray(indices, dtype=np.int64)
        masks = {role: mask[chosen] for role, mask in self.masks.items()}
        return replace(
            self,
            masks=masks,
            action=None if self.action is None else action_among(chosen, self.action),
            known=None if self.known is None else self.known[chosen],
        )


def is_synthetic(path: str | os.PathLike[str]) -> bool:
    """Whether a file lies in a folder that `gradcam-video generate` wrote."""
    return any((parent / MARKER).is_file() for parent in Path(path).absolute().parents)


def action_among(chosen: np.ndarray, action: tuple[float, float]) -> tuple[int, int]:
    """An action as positions among chosen frames: the first and the last of them inside it.

    Both count the same: frames of the video, or seconds.

    Where none is (the action falls between two of them), the one nearest to its middle.
    """
    first, last = action
    inside = np.flatnonzero((chosen >= first) & (chosen <= last))
    if not len(inside):
        inside = np.array([np.abs(chosen - (first + last) / 2).argmin()])
    return int(inside[0]), int(inside[-1])


def read_truth(path: str | os.PathLike[str], clip: Clip | None = None) -> Truth:
    """Reads the truth about a synthetic clip.

    Args:
        path: `truth/<id>.npz`.
        clip: frames sampled from that clip; then the truth is that of these frames.

    Returns:
        The truth: of every frame of the file, or of every frame of `clip`.

    Raises:
        BadInput: no such file, a damaged one, or one that does not belong to the clip.
    """
    held = load_arrays(Path(path))
    masks = {
        role: np.unpackbits(held[role], axis=-1, count=int(held["shape"][2])).view(bool)
        for role in ROLES
    }  # (T, H, W) each
    first, last = (int(frame) for frame in held["action"])
    truth = Truth(masks, (first, last), bool(held["whole"]))
    if clip is None:
        return truth
    # The frame on screen at a moment, as `read_clip` chose it, told by its time stamp.
    indices = np.rint(clip.times * float(held["fps"])).astype(np.int64)
    if clip.size != masks["hand"].shape[1:] or indices.max() >= len(truth):
        raise BadInput(
            f"{path}: truth of {masks['hand'].shape} (frames, height, width), but {clip.source} is "
            f"{clip.size} and shows frame {indices.max()}; generate the set anew"
        )
    return truth.take(indices)


def load_arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """Reads the arrays of these names of a truth file (npz), or all.

    Raises:
        BadInput: no such file, or a damaged one.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names or file.files}
    except FileNotFoundError as error:
        raise BadInput(f"{path}: the truth is missing; generate the set again") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: damaged ({error}); delete it and generate the set again") from None
