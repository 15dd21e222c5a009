"""What people have annotated in real videos: boxes, masks, and when the action lasts.

Five kinds of files are read, each as its makers write it:

- Something-Else (Materzynska et al. 2020, arXiv:1912.09930): one json of all videos, boxes of the
  hand and the things in every frame, 12 a second. Frame `NNNN.jpg` is of second (NNNN - 1) / 12.
- COCO (Lin et al. 2014, arXiv:1405.0312): `images`, `annotations` with `bbox` x, y, width, height,
  and `categories`.
- a folder of masks: one png per frame of the video, what is not black is true.
- phases: a csv `video_id, action_id, approach, action, leave` of frames from 1, 12 a second.
- a csv of actions: `video, first, last` (frames, from 1) or `video, start, end` (seconds).

The two kinds of json are read in `boxes.py`. Whatever cannot be used is left out and named, a line
each, in `Annotations.notes`.
"""

from __future__ import annotations

import csv
import math
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from ..errors import BadInput
from .annotations import RATE, Annotated, Annotations
from .boxes import read_boxes
from .frames import TOLERANCE


def read_annotations(paths: Sequence[Path], wanted: Collection[str]) -> Annotations:
    """Read what files say of videos.

    Args:
        paths: files or folders of the kinds above.
        wanted: ids of the videos: their names without ending. What else a file holds is passed
            over, so that a file of any size is read once and in little memory.

    Raises:
        BadInput: a file is missing, or of no known kind, or nothing in it can be used.
    """
    result = Annotations()
    for path in paths:
        if path.is_dir():
            _read_masks(path, wanted, result)
        elif not path.is_file():
            raise BadInput(f"{path}: no such file or folder of truth; check --truth")
        elif path.suffix.lower() == ".csv":
            _read_csv(path, wanted, result)
        elif path.suffix.lower() == ".json":
            read_boxes(path, wanted, result)
        else:
            raise BadInput(
                f"{path}: truth is a json (Something-Else, COCO), a csv (phases, actions) or a "
                "folder of png masks"
            )
    return result


# --- masks ------------------------------------------------------------------------------------


def _read_masks(path: Path, wanted: Collection[str], result: Annotations) -> None:
    """A folder of masks of the only video, or a folder of such folders, named like the videos."""
    pictures = _pngs(path)
    if pictures:
        id_ = next(iter(wanted)) if len(wanted) == 1 else _id_of(path.name, wanted)
        if id_ is None:
            raise BadInput(
                f"{path}: masks of one video, but {len(wanted)} videos are given: put them into "
                "folders named like the videos"
            )
        _add_masks(id_, pictures, path, result)
        return
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    for folder in folders:
        id_ = _id_of(folder.name, wanted)
        if id_ is None:
            result.others += 1
        else:
            _add_masks(id_, _pngs(folder), folder, result)
    if not folders:
        raise BadInput(f"{path}: no png masks in this folder; write one for each frame")


def _add_masks(id_: str, pictures: Sequence[Path], folder: Path, result: Annotations) -> None:
    masked = _masked(pictures, result.notes)
    if masked is None:
        result.notes.append(f"{folder}: no numbered png in this folder; the clip is left out")
    else:
        result.add(id_, masked)


def _pngs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".png")


def _masked(pictures: Sequence[Path], notes: list[str]) -> Annotated | None:
    """By the numbers in their names; None where none has a number.

    Of several numbers in a name the last that differs from file to file is the frame's. Masks of
    one number are of several things in one frame.
    """
    found = {file: re.findall(r"\d+", file.stem) for file in pictures}
    for file in [file for file, numbers in found.items() if not numbers]:
        notes.append(f"{file}: no number in its name says of which frame it is; it is left out")
        del found[file]
    if not found:
        return None
    place = -1
    if len({len(numbers) for numbers in found.values()}) == 1:
        columns = list(zip(*found.values(), strict=True))
        distinct = [k for k, column in enumerate(columns) if len(set(column)) == len(found)]
        place = distinct[-1] if distinct else -1
    masks: dict[int, list[Path]] = defaultdict(list)
    for file, numbers in found.items():
        masks[int(numbers[place])].append(file)
    rising = sorted(masks)
    return Annotated(np.array(rising), masks=[masks[n] for n in rising])


# --- csv --------------------------------------------------------------------------------------


def _read_csv(path: Path, wanted: Collection[str], result: Annotations) -> None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise BadInput(f"{path}: not a readable csv ({error}); write it anew") from error
    columns = {name.strip().lower(): name for name in (rows[0] if rows else {}) if name}
    name = columns.get("video_id") or columns.get("video") or columns.get("id")
    first, last = columns.get("first"), columns.get("last")
    start, end = columns.get("start"), columns.get("end")
    phases = columns.get("action") if "approach" in columns else None
    only = next(iter(wanted)) if len(wanted) == 1 else None
    if not (name or only) or not (phases or (first and last) or (start and end)):
        raise BadInput(
            f"{path}: needs the columns video, first, last (frames from 1), or video, start, end "
            "(seconds), or video_id, approach, action, leave (phases)"
        )
    for number, row in enumerate(rows, start=2):
        id_ = only if name is None else _id_of(row[name] or "", wanted)
        if id_ is None:
            result.others += 1
            continue
        try:
            if phases:
                begin, finish = _span(row[phases])
                # To the end of the last frame: films of other rates have moments in it.
                moments = (begin - 1) / RATE, finish / RATE - 2 * TOLERANCE
            elif start and end:
                moments = float(row[start]), float(row[end])
            else:
                moments = float(int(row[first]) - 1), float(int(row[last]) - 1)
            if not (moments[0] >= 0 and math.isfinite(moments[1])):
                raise ValueError("frames count from 1, seconds from 0")
            if moments[0] > moments[1]:
                raise ValueError("its end lies before its beginning")
        except (TypeError, ValueError, AttributeError) as error:
            result.notes.append(f"{path}, line {number} ({id_}): no action here ({error})")
            continue
        seconds = bool(phases or (start and end))
        result.add(id_, Annotated(action=moments, in_seconds=seconds))


def _id_of(written: str, wanted: Collection[str]) -> str | None:
    """The video that a line is of: its name, with or without ending and folder."""
    name = Path(written.strip())
    return next((id_ for id_ in (name.name, name.stem) if id_ in wanted), None)


def _span(written: str) -> tuple[int, int]:
    """First and last of "7-15"."""
    parts = [int(part) for part in written.strip().split("-") if part]
    if not parts:
        raise ValueError("nothing is written there")
    return parts[0], parts[-1]
