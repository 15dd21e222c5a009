"""Boxes that people have drawn around hands and things: the json of Something-Else, and COCO's."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from ..errors import BadInput
from .annotations import RATE, Annotated, Annotations, Box
from .json_entries import entries

SPOILT = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a damaged entry may raise."""
LARGEST = 100_000
"""Pixels of a side; a picture of more is none."""
COCO = frozenset(("images", "annotations", "categories", "videos", "info", "licenses"))


def read_boxes(path: Path, wanted: Collection[str], result: Annotations) -> None:
    """Reads a json of either kind, told by its entries' names.

    Args:
        wanted: ids of the videos; what else the file holds is passed over.
        result: what is found is added to it.

    Raises:
        BadInput: the file is damaged before anything that is wanted, or of another kind.
    """
    try:
        for key, value in entries(path, wanted):
            if key in COCO and isinstance(value, list | dict) and key not in wanted:
                _read_coco(path, wanted, result)
                return
            if key not in wanted:
                result.others += 1
                continue
            annotated = _something_else(path, key, value, result.notes)
            if annotated is not None:
                result.add(key, annotated)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); check it") from error
    except BadInput as error:
        if not result.found:
            raise
        result.notes.append(f"{error}; what stands before is used")


# --- Something-Else ---------------------------------------------------------------------------


def _something_else(path: Path, id_: str, frames: Any, notes: list[str]) -> Annotated | None:
    """One entry of Something-Else; None where no frame of it can be used."""
    boxes: dict[int, list[Box]] = {}
    bad: list[str] = []
    twice: list[str] = []
    for frame in frames if isinstance(frames, list) else ():
        try:
            number = _number(frame["name"])
            found = [_labelled(label) for label in frame.get("labels") or ()]
        except SPOILT as error:
            where = frame.get("name", "?") if isinstance(frame, dict) else "?"
            bad.append(f"{shorten(str(where), 100, placeholder=' …')}: {_reason(error)}")
            continue
        if number in boxes:
            twice.append(str(frame["name"]))
        else:
            boxes[number] = found
    if bad:
        notes.append(
            f"{path}: {id_}: {_counted(bad)} cannot be used and {_is(bad)} left out, the first "
            f"{bad[0]}"
        )
    if twice:
        notes.append(
            f"{path}: {id_}: {_counted(twice)} {_is(twice)} annotated twice, the first {twice[0]}; "
            "what stands first is used"
        )
    if not any(boxes.values()):
        notes.append(f"{path}: {id_} has no boxes; it is left out")
        return None
    numbers = sorted(boxes)
    gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
    if gaps and not bad:
        notes.append(f"{path}: {id_}: {gaps} frames among the others are not annotated")
    return Annotated(np.array(numbers), [boxes[n] for n in numbers], rate=RATE)


def _counted(names: list[str]) -> str:
    return "1 frame" if len(names) == 1 else f"{len(names)} frames"


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _number(name: Any) -> int:
    """The number of the frame in a file's name."""
    found = re.findall(r"\d+", Path(str(name)).stem)
    if not found:
        raise ValueError(f"{str(name)!r} has no number")
    return int(found[-1])


def _reason(error: Exception) -> str:
    """What is wrong with an entry, in words."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    if isinstance(error, AttributeError | TypeError):
        return "it is not written as it should be"
    return shorten(str(error), 100, placeholder=" …")


def _labelled(label: Mapping[str, Any]) -> Box:
    """One box of Something-Else: "hand", "0000" the first thing, "0001" and on the others."""
    corners = label["box2d"]
    category = str(label["standard_category"])
    role = {"hand": "hand", "0000": "object"}.get(category, "second")
    return _checked(role, *(float(corners[side]) for side in ("x1", "y1", "x2", "y2")))


def _checked(role: str, x1: float, y1: float, x2: float, y2: float) -> Box:
    if not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 <= x2 and y1 <= y2):
        raise ValueError(f"box ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) is none")
    return role, x1, y1, x2, y2


# --- COCO -------------------------------------------------------------------------------------


def _read_coco(path: Path, wanted: Collection[str], result: Annotations) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        images = {image["id"]: image for image in content["images"]}
        names = {c["id"]: str(c["name"]).lower() for c in content.get("categories", ())}
        annotations = list(content["annotations"])
    except (OSError, RecursionError, *SPOILT) as error:
        raise BadInput(
            f"{path}: not a json of boxes as COCO's ({type(error).__name__} {error}); it needs "
            "images, annotations and categories"
        ) from error
    places = _placed(path, images, wanted, result)
    boxes: dict[str, dict[int, list[Box]]] = defaultdict(dict)
    for id_, frame in places.values():
        boxes[id_].setdefault(frame, [])
    sizes = {id_: size for key, (id_, _) in places.items() if (size := _size(images[key]))}
    for number, one in enumerate(annotations):
        try:
            if one["image_id"] not in images:
                raise ValueError(f"image {one['image_id']} is not among the images")
            if one["image_id"] not in places:
                continue
            id_, frame = places[one["image_id"]]
            x, y, width, height = (float(v) for v in one["bbox"])
            role = "hand" if names.get(one.get("category_id")) == "hand" else "object"
            boxes[id_][frame].append(_checked(role, x, y, x + width, y + height))
        except SPOILT as error:
            result.notes.append(f"{path}: annotation {number} is left out ({_reason(error)})")
    counted = {id_ for key, (id_, _) in places.items() if "frame_id" in images[key]}
    for id_, frames in boxes.items():
        if not any(frames.values()):
            result.notes.append(f"{path}: {id_} has no boxes; it is left out")
            continue
        numbers = np.array(sorted(frames))
        listed = [frames[n] for n in sorted(frames)]
        result.add(id_, Annotated(numbers, listed, named=id_ not in counted, size=sizes.get(id_)))


def _placed(
    path: Path, images: Mapping[Any, Any], wanted: Collection[str], result: Annotations
) -> dict[Any, tuple[str, int]]:
    """Of which video each image is, and which frame of it: image -> (id, number)."""
    places: dict[Any, tuple[str, int]] = {}
    others: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for key, image in images.items():
        try:
            file = Path(str(image["file_name"]).replace("\\", "/"))
            number = int(image["frame_id"]) if "frame_id" in image else _number(file)
            _size(image)
        except SPOILT as error:
            result.notes.append(f"{path}: image {key} is left out ({_reason(error)})")
            continue
        # ID/0001.jpg, or ID_0001.jpg
        names = (*reversed(file.parts[:-1]), re.sub(r"[ _.-]*\d+$", "", file.stem))
        id_ = next((name for name in names if name in wanted), None)
        if id_ is None:
            others[file.parent.name].append((key, number))
        else:
            places[key] = id_, number
    if not places and len(wanted) == 1 and len(others) == 1:  # one video, whatever it is called
        ((_, frames),) = others.items()
        return {key: (next(iter(wanted)), number) for key, number in frames}
    result.others += len(others)
    return places


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width, where they are written."""
    if not (image.get("height") and image.get("width")):
        return None
    height, width = int(image["height"]), int(image["width"])
    if not (0 < height <= LARGEST and 0 < width <= LARGEST):
        raise ValueError(f"{width}×{height} is no size")
    return height, width
