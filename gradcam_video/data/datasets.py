"""Something-Something on disk, V1, V2 and the made Tabletop sets alike, as one torch `Dataset`.

What lies in the folder decides which of them it is; `data/README.md` says what lies where. Three
rules, because each of them has spoilt somebody's experiment:

- Labels are looked up by name, never by the number or the place they have in a file.
- A clip that cannot be read is counted, named and left out. Nothing is put in its place.
- Official train stays train. Official validation is cut in two, always in the same way, into
  "validation" (to choose by) and "test" (to report). Drawing anew from all clips would put clips
  of one person, table and cup on both sides, and who filmed which clip was not published.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from torch.utils.data import Dataset

from ..errors import BadInput, one_line
from .clip import Clip, read_clip
from .frames import IMAGES
from .ground_truth import MARKER, TRUTH, Truth, read_truth
from .labels import FORTY_NAMES, TEMPLATES, group_of, normalise_label

Version = Literal["v1", "v2"]

# split -> official file, and which half of it: 0, 1 or None for all.
SPLITS: dict[str, tuple[str, int | None]] = {
    "train": ("train", None),
    "validation": ("validation", 0),
    "test": ("validation", 1),
    "official-validation": ("validation", None),
    "official-test": ("test", None),
}
FILES: dict[Version, tuple[str, ...]] = {  # both styles of naming V2's annotation
    "v1": ("something-something-v1-{}.csv",),
    "v2": ("something-something-v2-{}.json", "{}.json"),
}
FOLDERS: dict[Version, tuple[str, ...]] = {  # "-frames": V2 cut into jpgs, as TSM does it
    "v1": ("20bn-something-something-v1",),
    "v2": ("20bn-something-something-v2", "20bn-something-something-v2-frames"),
}
SUFFIXES = (".webm", ".mp4", "")  # a clip of V2: as published, re-encoded, a folder of jpgs
ANSWERS = ("something-something-v2-test-answers.csv", "test-answers.csv")

_INDEX = {normalise_label(template): index for index, template in enumerate(TEMPLATES)}


@dataclass(frozen=True, eq=False)
class Item:
    """One clip and its label.

    Attributes:
        frames: uint8 `(T, H, W, 3)`, as large as the file has them.
        target: index into the data set's `labels`.
        id: the clip's number, as a string.
    """

    frames: np.ndarray
    target: int
    id: str


class SomethingSomething(Dataset):
    """Something-Something V1 or V2, or a Tabletop set made by `gradcam-video generate`.

    Args:
        root: the folder with the annotation and the folder of clips; the files may also lie one
            folder down (`labels/`, `annotations/`).
        split: "train", the official one; "validation" and "test", halves of the official
            validation set by a fixed rule (`half_of`); "official-validation", all of it;
            "official-test", which has labels on V2 only, and there only with `test-answers.csv`.
            A Tabletop set has three files of its own, and nothing is halved.
        classes: "forty", the post's classes (71 of the 174 templates; the others are left out), or
            "all", the 174 templates.
        frames, fps: what is sampled of each clip, see `read_clip`.

    Attributes:
        labels: the names of the classes.
        ids, targets, templates: of each item, its id, label index and template, known without
            reading a clip.
        failures: id -> why, of the clips that could not be read so far in this process.
        unlabelled: id -> what stands there in place of a label; not among the items.
        others: how many clips carry a template outside the classes; not among the items.
        version: "v1" or "v2", the layout on disk.
        made: true for a Tabletop set.

    Raises:
        BadInput: no data set there, no annotation for the split, or one that cannot be used.

    Example:
        >>> data = SomethingSomething("tabletop", "test")  # doctest: +SKIP
        >>> data[0].frames.shape, data.labels[data[0].target]  # doctest: +SKIP
        ((16, 240, 427, 3), 'Approaching [something] with your camera')
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "validation",
        classes: str = "forty",
        *,
        frames: int = 16,
        fps: float | None = 4.0,
    ) -> None:
        self.root, self.split, self.classes = Path(root), split, classes
        self.frames, self.fps = frames, fps
        self.labels = _labels(classes)
        self.made = (self.root / MARKER).is_file()
        file, half = _file_of(split, self.made)
        self.version: Version = _version(self.root)
        self._folders = [
            folder / name
            for name in FOLDERS[self.version]
            for folder in _places(self.root)
            if (folder / name).is_dir()
        ]
        self.annotation = _annotation(self.root, self.version, file, self.made)

        self.ids: list[str] = []
        self.targets: list[int] = []
        self.templates: list[str] = []
        self.failures: dict[str, str] = {}
        self.unlabelled: dict[str, str] = {}
        self.others = 0
        for id_, written in annotation_rows(self.annotation):
            if half is not None and half_of(id_) != half:
                continue
            index = _INDEX.get(normalise_label(written))
            if index is None:
                self.unlabelled[id_] = written or "no label"
                continue
            target = _target(index, classes)
            if target is None:
                self.others += 1
                continue
            self.ids.append(id_)
            self.targets.append(target)
            self.templates.append(TEMPLATES[index])
        if self.unlabelled and not self.ids and not self.others:
            raise BadInput(_no_labels(self.annotation, self.unlabelled))

    def __len__(self) -> int:
        return len(self.ids)

    def __str__(self) -> str:
        name = "Tabletop" if self.made else f"Something-Something {self.version.upper()}"
        text = f"{name}, {self.split}: {len(self)} clips in {len(self.labels)} classes"
        if self.others:
            text += f"; {self.others} of other classes left out"
        if self.unlabelled:
            text += f"; {len(self.unlabelled)} without a known label left out"
        return text

    def path(self, i: int) -> Path:
        """Where clip i lies, or should."""
        return self.find(self.ids[i])

    def find(self, id_: str) -> Path:
        """Where the clip of this id lies, or should."""
        suffixes = SUFFIXES if self.version == "v2" else ("",)
        folders = self._folders or [self.root / FOLDERS[self.version][0]]
        candidates = [folder / f"{id_}{suffix}" for suffix in suffixes for folder in folders]
        return next((path for path in candidates if path.exists()), candidates[0])

    def clip(self, i: int) -> Clip:
        """Reads clip i.

        Raises:
            BadInput: it is not there, or some of it cannot be read: a picture that stands in for
                another, and a film cut short, are another clip.
        """
        path = self.path(i)
        clip = read_clip(path, self.frames, self.fps)
        damage = clip.note if "damaged" in clip.note else missing_images(path)
        if damage:
            raise BadInput(f"{path}: {damage}; copy or unpack it again")
        return clip

    def truth(self, i: int, clip: Clip | None = None) -> Truth | None:
        """The truth about clip i at the very frames that `clip(i)` shows.

        Args:
            clip: what `clip(i)` gave; else it is read once more, to know its frames.

        Returns:
            Masks of shape `(T, H, W)`, and the action in sampled frames. None where the data set
            has no truth.

        Raises:
            BadInput: a Tabletop set lacks the file, or it belongs to another clip.
        """
        path = self.root / TRUTH / f"{self.ids[i]}.npz"
        if not self.made and not path.exists():
            return None
        return read_truth(path, self.clip(i) if clip is None else clip)

    def __getitem__(self, index: int) -> Item | None:
        """The item, or None when its clip cannot be read; `failures` then says why."""
        try:
            frames = self.clip(index).frames
        except Exception as error:  # whatever it is, the other clips are read
            self.failures[self.ids[index]] = one_line(error, self.path(index))
            return None
        return Item(frames, self.targets[index], self.ids[index])


def missing_images(path: Path) -> str:
    """Which images a clip that is a folder lacks, so that it has a jump: "" if none, or no folder.

    `read_clip` minds no gap, as images may be numbered by tens; those of a data set are not.
    """
    if not path.is_dir():
        return ""
    images = (file.stem for file in path.iterdir() if file.suffix.lower() in IMAGES)
    numbers = sorted(int(found[0]) for stem in images if (found := re.findall(r"\d+$", stem)))
    gaps = sorted(set(range(numbers[0], numbers[-1])) - set(numbers))
    return f"{len(gaps)} images are missing, the first is number {gaps[0]}" if gaps else ""


def half_of(id_: str) -> int:
    """0 (validation) or 1 (test): the half of the official validation set a clip belongs to.

    The last bit of the SHA-256 of its id: fixed for ever, the same on every machine, and it has
    nothing to do with the order of the file, the label, or what else is in the set.
    """
    return hashlib.sha256(id_.encode()).digest()[-1] & 1


# --- which files ------------------------------------------------------------------------------


def annotated_splits(root: str | os.PathLike[str]) -> list[str]:
    """The splits whose annotation lies in a folder, official ones uncut; test where it has labels.

    Raises:
        BadInput: no data set there.
    """
    root = Path(root)
    made = (root / MARKER).is_file()
    names = ("train", "validation", "test")
    version = _version(root)
    found = [name for name in names if _first(root, FILES[version], name)]
    if made:
        return found
    if version == "v1" or not _first(root, ANSWERS):
        found = [name for name in found if name != "test"]
    return [name if name == "train" else f"official-{name}" for name in found]


def default_split(root: str | os.PathLike[str], *last: str) -> str:
    """The split to test on: test, which of the real data is half of the official validation.

    Where that is not annotated: validation, the official test set, one of `last`. Without any of
    them it is test all the same, and opening it says what is missing: nobody should take clips
    that were trained on for a test without asking for them.

    Raises:
        BadInput: no data set there.
    """
    halves = {"official-validation": "test"}
    known = {halves.get(name, name) for name in annotated_splits(root)}
    order = ("test", "validation", "official-test", *last)
    return next((name for name in order if name in known), "test")


def _labels(classes: str) -> tuple[str, ...]:
    if classes not in ("forty", "all"):
        raise BadInput(f"classes={classes!r}: use 'forty' (the post's) or 'all' (174 templates)")
    return FORTY_NAMES if classes == "forty" else TEMPLATES


def _target(index: int, classes: str) -> int | None:
    """The class of template `index`; None where it has none."""
    if classes == "all":
        return index
    group = group_of(TEMPLATES[index])
    return group.index if group else None


def _file_of(split: str, made: bool) -> tuple[str, int | None]:
    """The annotation file a split is in, and which half of it."""
    if split not in SPLITS:
        raise BadInput(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")
    # A made set has a test file with labels, so there is nothing to halve.
    return (split.removeprefix("official-"), None) if made else SPLITS[split]


def _places(root: Path) -> list[Path]:
    """The folder and those in it; but not a hundred thousand clips that are folders."""
    try:
        inside = [entry for entry in os.scandir(root) if not entry.name.isdecimal()]
        return [root, *sorted(Path(entry.path) for entry in inside if entry.is_dir())]
    except OSError as error:
        raise BadInput(f"{root}: {error.strerror or error}; give the data set's folder") from error


def _first(root: Path, names: tuple[str, ...], split: str = "") -> Path | None:
    """The first file of these names in the folder or one folder down."""
    wanted = [folder / name.format(split) for name in names for folder in _places(root)]
    return next((path for path in wanted if path.is_file()), None)


def _version(root: Path) -> Version:
    """V1 or V2, by the names of the folders of clips and, failing those, of the annotation."""
    places = _places(root)

    def has_clips(version: Version) -> bool:
        return any((folder / name).is_dir() for name in FOLDERS[version] for folder in places)

    def has_annotation(version: Version) -> bool:
        return any(_first(root, FILES[version], s) for s in ("train", "validation", "test"))

    versions: tuple[Version, ...] = ("v1", "v2")
    tests: tuple[Callable[[Version], bool], ...] = (
        lambda version: has_clips(version) and has_annotation(version),
        has_annotation,
        has_clips,
    )
    for test in tests:
        found = [version for version in versions if test(version)]
        if len(found) == 1:
            return found[0]
        if found:
            raise BadInput(f"{root}: holds both V1 and V2; give a folder with one of them")
    raise BadInput(
        f"{root}: no Something-Something here; a folder is needed with "
        "20bn-something-something-v2/ and validation.json, or the same of V1 (see data/README.md)"
    )


def _annotation(root: Path, version: Version, file: str, made: bool) -> Path:
    """The annotation file, which must have labels."""
    if file == "test" and version == "v1" and not made:
        raise BadInput(
            f"{root}: V1's official test clips have no labels, they were never published; use "
            "split 'test', half of the official validation"
        )
    path = _first(root, FILES[version], file)
    if path is None:
        names = " or ".join(name.format(file) for name in FILES[version])
        hint = f"make it: gradcam-video generate {root} --split {file}" if made else "put it there"
        raise BadInput(f"{root}: no {names} in it; {hint}")
    if file == "test" and not made:
        path = _first(root, ANSWERS)
        if path is None:
            raise BadInput(f"{root}: V2's test clips have labels only with {ANSWERS[1]}; add it")
    return path


def annotation_rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yields (id, template as written or "") of an annotation file, csv or json."""
    try:
        # A byte order mark, left by some editors, would become part of the first id.
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                # Labels hold commas, and quotation marks would have no meaning.
                for row in csv.reader(file, delimiter=";", quoting=csv.QUOTE_NONE):
                    if row and row[0].strip():
                        yield row[0].strip(), ";".join(row[1:]).strip()
                return
            entries = json.load(file)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error}); check it") from error
    except (ValueError, csv.Error) as error:
        raise BadInput(f"{path}: not a whole annotation file ({error}); copy it again") from error
    if not isinstance(entries, list):
        raise BadInput(f"{path}: not a list of clips; give the official annotation file")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict) or "id" not in entry:
            raise BadInput(f"{path}: entry {number} has no id; give the official annotation file")
        yield str(entry["id"]), _text(entry.get("template"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _no_labels(path: Path, unlabelled: dict[str, str]) -> str:
    id_, written = next(iter(unlabelled.items()))
    return (
        f"{path}: none of its {len(unlabelled)} labels is one of Something-Something's "
        f"(clip {id_}: {written}); give the official annotation file"
    )


class Clips(Protocol):
    """What training and evaluation ask of a data set; `SomethingSomething` and `Cache` give it."""

    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def targets(self) -> Sequence[int] | np.ndarray: ...
    @property
    def failures(self) -> dict[str, str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...  # with .frames, .target, .id; None: unreadable


def why_not(data: Clips, index: int) -> str:
    """Why a clip could not be read."""
    return data.failures.get(data.ids[index], "cannot be read")


def targets_in(data: Clips, labels: Sequence[str]) -> list[int]:
    """Each clip's target as an index into the model's labels, which may be in another order."""
    index = {normalise_label(label): k for k, label in enumerate(labels)}
    unknown = [label for label in data.labels if normalise_label(label) not in index]
    if unknown:
        raise BadInput(
            f"the data has the class {unknown[0]!r}, which the model does not know "
            f"({len(unknown)} such); use a model of the same classes"
        )
    return [index[normalise_label(data.labels[target])] for target in data.targets]
