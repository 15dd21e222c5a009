"""What people have annotated in a real video, and the truth about a clip that follows from it.

Annotations count in frames of their own: at another rate, in another size, some frames only. Here
they are placed on the frames of a `Clip`. `annotation_files.py` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..errors import BadInput
from .clip import Clip
from .frames import TOLERANCE
from .ground_truth import ROLES, Truth, action_among
from .image_folder import ImageFolder
from .pictures import UNREADABLE

if TYPE_CHECKING:
    from .clip import Source

RATE = 12.0
"""Frames a second of Something-Something's frames, which Something-Else and phases count."""
ROWS = 240
"""Height of Something-Something V2's videos, in whose pixels Something-Else's boxes count."""
BEYOND = 2.0
"""Pixels by which a box may reach out of the frame: annotators draw over the edge."""
LATE = 0.25
"""Seconds by which an action may end after its video: people write rounded seconds."""
Box = tuple[str, float, float, float, float]
"""Role ("hand", "object" or "second"), and x1, y1, x2, y2 in pixels of the annotated frames."""


@dataclass(frozen=True)
class Annotated:
    """What is known about one video.

    Attributes:
        numbers: of the annotated frames, rising: int64 (n,). The numbers in their files' names
            where `named`; places in the video, from 0, where not.
        boxes: of each of them.
        masks: pictures of each of them, instead of boxes: one, or one for each thing.
        named: see `numbers`.
        rate: how many of these frames are a second, the first named 1; None: they are the video's
            own.
        size: height and width that the boxes count in; None: the video's own.
        action: first and last moment of the action: frames of the video from 0; or seconds, where
            `in_seconds`. None: not known.
        in_seconds: see `action`.
    """

    numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    boxes: Sequence[Sequence[Box]] = ()
    masks: Sequence[Sequence[Path]] = ()
    named: bool = True
    rate: float | None = None
    size: tuple[int, int] | None = None
    action: tuple[float, float] | None = None
    in_seconds: bool = False

    def truth(self, clip: Clip, video: Source, notes: list[str], whole: bool = False) -> Truth:
        """The truth about the frames of a clip.

        Args:
            clip: frames of that video.
            video: the video, as `open_source` opens it.
            notes: a line is added for whatever does not fit.
            whole: the action is the camera's own, see `Truth`.

        Returns:
            Its masks are empty where only the action is annotated. Frames without annotation are
            not `known`.

        Raises:
            BadInput: boxes or masks do not fit the frames, or the action lies after the video.
        """
        own = np.abs(video.times[None] - clip.times[:, None]).argmin(1)  # the video's frame, (T,)
        masks: dict[str, np.ndarray] = {}
        known = np.ones(len(clip), dtype=bool)
        if len(self.numbers):
            shown = self._numbers_of(own, clip, video, notes)
            at = np.searchsorted(self.numbers, shown).clip(0, len(self.numbers) - 1)
            known = self.numbers[at] == shown
            if self.rate is not None:  # Something-Something has a frame more than is annotated
                known |= shown == self.numbers[-1] + 1
            missing = int((~known & ~clip.repeated).sum())
            if missing:
                notes.append(
                    f"{clip.source}: {missing} of its {len(clip)} sampled frames are not "
                    "annotated; they are left out"
                )
            masks = self._drawn(clip, video, at, known, notes)
        action = self._action(own, clip, video, notes)
        return Truth(masks, action, whole, known)

    def _numbers_of(
        self, own: np.ndarray, clip: Clip, video: Source, notes: list[str]
    ) -> np.ndarray:
        """As which annotated frame each frame of the clip is numbered: int64 (T,)."""
        files = video.numbers if isinstance(video, ImageFolder) else None
        every = np.arange(len(video.times))
        if self.rate is not None:
            if files is not None and isinstance(video, ImageFolder) and video.rate == self.rate:
                numbers = files + (files[0] == 0)  # by name: a picture may be missing
            else:  # the frame that was on screen
                numbers = np.floor((video.times + TOLERANCE) * self.rate).astype(np.int64) + 1
        elif not self.named:
            numbers = every
        elif files is not None and np.isin(self.numbers, files).all():
            numbers = files
        else:
            numbers = every + min(1, int(self.numbers[0]))
        surplus = int((self.numbers > numbers[-1]).sum())
        if surplus:
            notes.append(
                f"{clip.source}: {surplus} of {len(self.numbers)} annotated frames lie after its "
                "last frame; are they of this video?"
            )
        return numbers[own]

    def _action(
        self, own: np.ndarray, clip: Clip, video: Source, notes: list[str]
    ) -> tuple[int, int] | None:
        """First and last frame of the action among the clip's."""
        if self.action is None:
            return None
        first, last = self.action
        if self.in_seconds:
            begins, ends = video.end, video.end + LATE
            what = f"{first:g} to {last:g} s", f"{video.end:.2f} s"
        else:
            begins = ends = len(video.times)
            what = f"frames {first + 1:g} to {last + 1:g}", f"{len(video.times)} frames"
        if first >= begins:
            raise BadInput(
                f"{clip.source}: its action, {what[0]}, lies after its end: it has {what[1]}; "
                "correct the annotation"
            )
        if last >= ends:
            notes.append(f"{clip.source}: its action, {what[0]}, goes on after its end ({what[1]})")
        if self.in_seconds:
            return action_among(clip.times, (first - TOLERANCE, last + TOLERANCE))
        return action_among(own, self.action)

    def _drawn(
        self, clip: Clip, video: Source, at: np.ndarray, known: np.ndarray, notes: list[str]
    ) -> dict[str, np.ndarray]:
        """Masks per role, bool (T, H, W), of the annotated frames `at`, where they are known."""
        masks = {role: np.zeros((len(clip), *clip.size), dtype=bool) for role in ROLES}
        size = self.size if self.size and self.boxes else _full_size(clip, video)
        if self.rate is not None and size[0] > ROWS and self._fit_into(ROWS):
            notes.append(
                f"frames {size[0]} high: Something-Else's boxes count in frames {ROWS} high, and "
                "are scaled"
            )
            size = ROWS, round(size[1] * ROWS / size[0])
        for t in np.flatnonzero(known):
            if self.masks:
                for path in self.masks[at[t]]:
                    masks["object"][t] |= _mask(path, clip, size)
            else:
                for role, *corners in self.boxes[at[t]]:
                    _fill(masks[role][t], corners, size, clip)
        masks["target"] = masks["object"] | masks["second"]
        return masks

    def _fit_into(self, rows: int) -> bool:
        return all(box[4] <= rows + BEYOND for boxes in self.boxes for box in boxes)


def _full_size(clip: Clip, video: Source) -> tuple[int, int]:
    """Height and width of a video's pictures: `read_clip` scales large ones down."""
    if "scaled to" not in clip.note:
        return clip.size
    pictures, _, _ = video.read(np.zeros(1, np.int64))
    return pictures.shape[1], pictures.shape[2]


def _fill(mask: np.ndarray, corners: Sequence[float], size: tuple[int, int], clip: Clip) -> None:
    """Sets the pixels whose centre lies in a box."""
    (height, width), (rows, columns) = size, mask.shape
    x1, y1, x2, y2 = corners
    if x2 > width + BEYOND or y2 > height + BEYOND:
        raise BadInput(
            f"{clip.source}: a box reaches to ({x2:.0f}, {y2:.0f}), but its frames are {width}×"
            f"{height}: give the frames in the size that was annotated"
        )
    y = (np.arange(rows) + 0.5) * height / rows
    x = (np.arange(columns) + 0.5) * width / columns
    down, across = (y >= y1) & (y < y2), (x >= x1) & (x < x2)
    mask |= down[:, None] & across


def _mask(path: Path, clip: Clip, size: tuple[int, int]) -> np.ndarray:
    """A mask, bool (H, W) of the clip's frames: what is not black, nor transparent.

    Args:
        size: height and width of the video's own pictures, if the clip's are scaled down.
    """
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            given = picture.size
            if given not in (clip.size[::-1], size[::-1]):
                raise BadInput(
                    f"{path}: a mask of {given[0]}×{given[1]} for frames of "
                    f"{size[1]}×{size[0]}: give masks in the size of the frames"
                )
            # Grey of 16 bits is compared as it is: converted, its small numbers become black.
            deep = picture.mode.startswith("I")
            values = np.asarray(picture if deep else picture.convert("RGBA"))
    except UNREADABLE as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not a readable png ({error}); write it anew") from error
    mask = values != 0 if deep else values[..., :3].any(-1) & (values[..., 3] > 0)
    if mask.shape == clip.size:
        return mask
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(grey.resize(clip.size[::-1], Image.Resampling.BOX)) >= 128


@dataclass
class Annotations:
    """What was found for the videos that were asked for.

    Attributes:
        found: id -> what is known.
        notes: a line for whatever was left out.
        others: how many more videos the files speak of, as far as they were read.
    """

    found: dict[str, Annotated] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    others: int = 0

    def add(self, id_: str, more: Annotated) -> None:
        """Join what two files say of one video: where of one, when of the other."""
        old = self.found.get(id_)
        if old is None:
            self.found[id_] = more
        elif old.action is None and not len(more.numbers):
            self.found[id_] = replace(old, action=more.action, in_seconds=more.in_seconds)
        elif more.action is None and not len(old.numbers):
            self.found[id_] = replace(more, action=old.action, in_seconds=old.in_seconds)
        else:
            self.notes.append(f"{id_}: annotated twice; the first is used")
