"""What people have annotated in real videos: boxes, masks, and when the action lasts.

Five kinds of files are read, each as its makers write it:

- Something-Else (Materzynska et al. 2020, arXiv:1912.09930): one json of all videos, boxes of the
  hand and the things in every frame, 12 a second. Frame `NNNN.jpg` is of second (NNNN - 1) / 12.
- COCO (Lin et al. 2014, arXiv:1405.0312): `images`, `annotations` with `bbox` x, y, width, height,
  and `categories`.
- a folder of masks: one png per frame of the video, what is not black is true.
- phases: a csv `video_id, action_id, approach, action, leave` of frames from 1, 12 a second.
- a csv of actions: `video, first, last` (frames, from 1) or `video, start, end` (seconds).

Whatever cannot be used is left out and named, a line each, in `Annotations.notes`.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from .clip import Clip
from .ground_truth import ROLES, Truth, action_among

RATE = 12.0
"""Frames a second of Something-Something's frames, which Something-Else and phases count."""
WINDOW = 1 << 20
"""Characters of a large file that are read at once."""
BEYOND = 2.0
"""Pixels by which a box may reach out of the frame: annotators draw over the edge."""
COCO = frozenset(("images", "annotations", "categories", "videos", "info", "licenses"))
Box = tuple[str, float, float, float, float]
"""Role ("hand", "object" or "second"), and x1, y1, x2, y2 in pixels of the annotated frames."""


@dataclass(frozen=True)
class Annotated:
    """What is known about one video.

    Attributes:
        numbers: of the annotated frames, from 0, rising: int64 (n,).
        boxes: of each of them.
        masks: a picture for each of them, instead of boxes.
        rate: how many of these frames are a second; None: they are the video's own.
        size: height and width that the boxes count in; None: the video's own.
        action: first and last moment of the action: frames from 0, as `numbers` counts; or
            seconds, where `in_seconds`. None: not known.
        in_seconds: see `action`.
    """

    numbers: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    boxes: Sequence[Sequence[Box]] = ()
    masks: Sequence[Path] = ()
    rate: float | None = None
    size: tuple[int, int] | None = None
    action: tuple[float, float] | None = None
    in_seconds: bool = False

    def truth(self, clip: Clip, times: np.ndarray) -> Truth:
        """The truth about the frames of a clip.

        Args:
            clip: frames of that video.
            times: when each frame of the video is shown, seconds.

        Returns:
            Its masks are empty where only the action is annotated. Frames without annotation are
            not `known`.

        Raises:
            BadInput: boxes or masks do not fit the frames.
        """
        own = np.abs(times[None] - clip.times[:, None]).argmin(1)  # the video's frame, (T,)
        shown = own if self.rate is None else np.rint(clip.times * self.rate + 1e-6).astype(int)
        masks: dict[str, np.ndarray] = {}
        known = np.ones(len(clip), dtype=bool)
        if len(self.numbers):
            at = np.searchsorted(self.numbers, shown).clip(0, len(self.numbers) - 1)
            known = self.numbers[at] == shown
            # The video may have a frame more than were annotated.
            late = (shown == self.numbers[-1] + 1) & ~known
            known |= late
            masks = self._masks(clip, at, known)
        action = None
        if self.action is not None:
            where = clip.times if self.in_seconds else shown
            action = action_among(where, self.action)
        return Truth(masks, action, frames=len(clip), known=known)

    def _masks(self, clip: Clip, at: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
        """Masks per role, bool (T, H, W), of the annotated frames `at`, where they are known."""
        masks = {role: np.zeros((len(clip), *clip.size), dtype=bool) for role in ROLES}
        for t in np.flatnonzero(known):
            if self.masks:
                masks["object"][t] = _mask(self.masks[at[t]], clip)
            else:
                for role, *corners in self.boxes[at[t]]:
                    _fill(masks[role][t], corners, self.size or clip.size, clip)
        masks["target"] = masks["object"] | masks["second"]
        return masks


def _fill(mask: np.ndarray, corners: Sequence[float], size: tuple[int, int], clip: Clip) -> None:
    """Sets the pixels whose centre lies in a box."""
    (height, width), (rows, columns) = size, mask.shape
    x1, y1, x2, y2 = corners
    if x2 > width + BEYOND or y2 > height + BEYOND:
        raise BadInput(
            f"{clip.source}: a box reaches to ({x2:.0f}, {y2:.0f}), but its frames are {width}×"
            f"{height}: give the frames in the size that was annotated"
        )
    down, across = rows / height, columns / width
    y = (np.arange(rows) + 0.5) / down
    x = (np.arange(columns) + 0.5) / across
    mask[np.ix_((y >= y1) & (y < y2), (x >= x1) & (x < x2))] = True


def _mask(path: Path, clip: Clip) -> np.ndarray:
    """A mask, bool (H, W) of the clip's frames."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.size != clip.size[::-1]:
                raise BadInput(
                    f"{path}: a mask of {picture.size[0]}×{picture.size[1]} for frames of "
                    f"{clip.size[1]}×{clip.size[0]}: give masks in the size of the frames"
                )
            bands = np.asarray(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not a readable png ({error}); write it anew") from error
    return bands[..., :3].any(-1) & (bands[..., 3] > 0)


@dataclass
class Annotations:
    """What was found for the videos that were asked for.

    Attributes:
        found: id -> what is known.
        notes: a line for whatever was left out.
        others: how many more videos the files speak of.
    """

    found: dict[str, Annotated] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    others: int = 0

    def add(self, id_: str, more: Annotated) -> None:
        """Join what two files say of one video: where of one, when of the other."""
        old = self.found.get(id_)
        if old is None:
            self.found[id_] = more
        elif more.action is not None and old.action is None and not len(more.numbers):
            in_own = more.rate == old.rate or more.in_seconds or not len(old.numbers)
            if in_own:
                self.found[id_] = replace(old, action=more.action, in_seconds=more.in_seconds)
            else:
                rate = more.rate or old.rate or RATE
                seconds = (more.action[0] / rate, more.action[1] / rate)
                self.found[id_] = replace(old, action=seconds, in_seconds=True)
        elif old.action is not None and more.action is None and not len(old.numbers):
            self.found[id_] = more
            self.add(id_, old)
        else:
            self.notes.append(f"{id_}: annotated in two files; the first is used")


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
            _read_json(path, wanted, result)
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
        if len(wanted) > 1:
            raise BadInput(
                f"{path}: masks of one video, but {len(wanted)} videos are given: put them into "
                "folders named like the videos"
            )
        for id_ in wanted:
            result.add(id_, _masked(pictures))
        return
    folders = [folder for folder in sorted(path.iterdir()) if folder.is_dir()]
    for folder in folders:
        pictures = _pngs(folder)
        if folder.name not in wanted:
            result.others += 1
        elif pictures:
            result.add(folder.name, _masked(pictures))
        else:
            result.notes.append(f"{folder}: no png in this folder; the clip is left out")
    if not folders:
        raise BadInput(f"{path}: no png masks in this folder; write one for each frame")


def _pngs(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() == ".png"]
    return sorted(files, key=lambda file: [int(n) for n in re.findall(r"\d+", file.stem)])


def _masked(pictures: Sequence[Path]) -> Annotated:
    """By the numbers in their names, where all have one; the first is the first frame."""
    found = [re.findall(r"\d+", file.stem) for file in pictures]
    if all(found):
        numbers = np.array([int(parts[-1]) for parts in found], np.int64)
        if len(set(numbers.tolist())) == len(numbers):
            order = np.argsort(numbers)
            numbers = numbers[order] - min(1, int(numbers.min()))
            return Annotated(numbers, masks=[pictures[i] for i in order])
    return Annotated(np.arange(len(pictures)), masks=pictures)


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
    if not name or not (phases or (first and last) or (start and end)):
        raise BadInput(
            f"{path}: needs the columns video, first, last (frames from 1), or video, start, end "
            "(seconds), or video_id, approach, action, leave (phases)"
        )
    for number, row in enumerate(rows, start=2):
        id_ = Path((row[name] or "").strip()).stem
        if id_ not in wanted:
            result.others += 1
            continue
        try:
            if phases:
                parts = [int(part) for part in row[phases].strip().split("-")]
                begin, finish = float(parts[0] - 1), float(parts[-1] - 1)
            elif start and end:
                begin, finish = float(row[start]), float(row[end])
            else:
                begin, finish = float(int(row[first]) - 1), float(int(row[last]) - 1)
            if not (0 <= begin <= finish and math.isfinite(finish)):
                raise ValueError("its end lies before its beginning")
        except (TypeError, ValueError, AttributeError) as error:
            result.notes.append(f"{path}, line {number} ({id_}): no action here ({error})")
            continue
        rate = RATE if phases else None
        in_seconds = not phases and bool(start and end)
        result.add(id_, Annotated(rate=rate, action=(begin, finish), in_seconds=in_seconds))


# --- json -------------------------------------------------------------------------------------


def entries(path: Path, wanted: Collection[str] | None = None) -> Iterator[tuple[str, Any]]:
    """The entries of a json object one after the other, in little memory, whatever its size.

    Args:
        wanted: when all of these have come, the rest is not read; None: all are.

    Yields:
        Key and value, also of entries that are not wanted.

    Raises:
        BadInput: the file is damaged; what came before is right.
    """
    left = None if wanted is None else set(wanted)
    decoder = json.JSONDecoder()
    text, at, ended, last = "", 0, False, ""
    with path.open("rb") as file:
        read = codecs.getincrementaldecoder("utf-8-sig")()

        def more(size: int = WINDOW) -> None:
            nonlocal text, at, ended
            raw = file.read(size)
            text, at = text[at:] + read.decode(raw, final=not raw), 0
            ended = not raw

        def token() -> str:
            """The next character that is no white space; "" at the end."""
            nonlocal at
            while True:
                found = _GRAPHIC.search(text, at)
                if found:
                    at = found.start()
                    return text[at]
                if ended:
                    return ""
                at = len(text)
                more()

        def value() -> Any:
            nonlocal at
            token()
            size = WINDOW
            while True:
                try:
                    # A number or word at the window's end may go on after it.
                    found, end = decoder.raw_decode(text, at)
                    if end < len(text) or ended:
                        at = end
                        return found
                except ValueError:
                    if ended:
                        raise
                more(size)
                size *= 2

        try:
            if token() != "{":
                raise ValueError("it is no object of entries by name")
            at += 1
            while token() != "}":
                key = value()
                if not isinstance(key, str) or token() != ":":
                    raise ValueError("an entry without a name")
                at += 1
                yield key, value()
                last = key
                if left is not None:
                    left.discard(key)
                    if not left:
                        return
                if token() == ",":
                    at += 1
                elif token() != "}":
                    raise ValueError("it ends before its last entry" if not token() else "a comma")
        except ValueError as error:
            reason = str(error).split(":")[0].lower()
            after = f" after the entry {last!r}" if last else ""
            raise BadInput(f"{path}: damaged{after} ({reason}); copy it again") from None


_GRAPHIC = re.compile(r"\S")


def _read_json(path: Path, wanted: Collection[str], result: Annotations) -> None:
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
    except BadInput as error:
        if not result.found:
            raise
        result.notes.append(f"{error}; what stands before is used")


def _something_else(path: Path, id_: str, frames: Any, notes: list[str]) -> Annotated | None:
    """One entry of Something-Else; None where no frame of it can be used."""
    boxes: dict[int, list[Box]] = {}
    bad: list[str] = []
    for frame in frames if isinstance(frames, list) else ():
        try:
            number = int(re.findall(r"\d+", Path(frame["name"]).stem)[-1]) - 1
            found = [_labelled(label) for label in frame.get("labels") or ()]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            where = frame.get("name", "?") if isinstance(frame, dict) else "?"
            bad.append(f"{where}: {type(error).__name__} {error}")
            continue
        boxes[number] = found
    if bad:
        notes.append(f"{path}: {id_}: {len(bad)} frames cannot be used, the first {bad[0]}")
    if not any(boxes.values()):
        notes.append(f"{path}: {id_} has no boxes; it is left out")
        return None
    numbers = sorted(boxes)
    gaps = numbers[-1] - numbers[0] + 1 - len(numbers)
    if gaps and not bad:
        notes.append(f"{path}: {id_}: {gaps} frames among the others are not annotated")
    return Annotated(np.array(numbers), [boxes[n] for n in numbers], rate=RATE)


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


def _read_coco(path: Path, wanted: Collection[str], result: Annotations) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        images = {image["id"]: image for image in content["images"]}
        names = {c["id"]: str(c["name"]).lower() for c in content.get("categories", ())}
        annotations = content["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path}: not a json of boxes as COCO's ({type(error).__name__} {error}); it needs "
            "images, annotations and categories"
        ) from error
    boxes: dict[str, dict[int, list[Box]]] = defaultdict(dict)
    sizes: dict[str, tuple[int, int]] = {}
    others: set[str] = set()
    place: dict[Any, tuple[str, int]] = {}
    for key, image in images.items():
        try:
            file = Path(str(image["file_name"]))
            id_ = file.parent.name or (next(iter(wanted)) if len(wanted) == 1 else file.stem)
            number = int(image.get("frame_id", re.findall(r"\d+", file.stem)[-1]))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            result.notes.append(f"{path}: image {key}: {type(error).__name__} {error}")
            continue
        if id_ not in wanted:
            others.add(id_)
            continue
        place[key] = id_, number
        boxes[id_][number] = []
        if image.get("width") and image.get("height"):
            sizes[id_] = int(image["height"]), int(image["width"])
    result.others += len(others)
    for number, one in enumerate(annotations):
        try:
            if one["image_id"] not in images:
                raise ValueError(f"image {one['image_id']} is not among the images")
            if one["image_id"] not in place:
                continue
            id_, frame = place[one["image_id"]]
            x, y, width, height = (float(v) for v in one["bbox"])
            role = "hand" if names.get(one.get("category_id")) == "hand" else "object"
            boxes[id_][frame].append(_checked(role, x, y, x + width, y + height))
        except (KeyError, TypeError, ValueError) as error:
            result.notes.append(
                f"{path}: annotation {number} is left out ({type(error).__name__} {error})"
            )
    from_zero = any("frame_id" in image for image in images.values())
    for id_, frames in boxes.items():
        numbers = np.array(sorted(frames))
        listed = [frames[n] for n in numbers]
        shift = 0 if from_zero or numbers[0] == 0 else 1  # file names count from 1, but for some
        result.add(id_, Annotated(numbers - shift, listed, size=sizes.get(id_)))
