"""Is the data set whole? What is missing or damaged is better known before hours of training.

The quick look opens every clip, reads when each of its frames is shown and decodes nothing. The
deep one decodes every frame.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ..errors import one_line
from ..progress_bar import progress
from .clip import open_source
from .datasets import SomethingSomething, missing_images
from .frames import IMAGES, TOLERANCE
from .ground_truth import TRUTH
from .pictures import open_picture

PROBLEMS = ("missing", "empty", "corrupt", "unlabelled", "without truth")
"""What can be wrong: not there; nothing in it; holed, cut off or not to be decoded; no label, or
none of the 174; synthetic, but its truth is not there."""


@dataclass(frozen=True)
class Report:
    """What a scan found in one split.

    Attributes:
        split: its name.
        total: annotated clips that were looked for.
        good: those with nothing wrong.
        problems: kind (one of `PROBLEMS`) -> id -> one line that names the file.
        short: ids of good clips that are shorter than what is sampled of them, so that their last
            frame is repeated. That is normal: every second real clip is.
        deep: whether every frame was decoded.
    """

    split: str
    total: int
    good: int
    problems: dict[str, dict[str, str]] = field(default_factory=dict)
    short: list[str] = field(default_factory=list)
    deep: bool = False

    def __str__(self) -> str:
        """A table for people: counts first, then every problem by name."""
        how = "every frame decoded" if self.deep else "quick look, nothing decoded"
        lines = [f"{self.split}: {self.good} of {self.total} clips are good ({how})"]
        lines += [f"  {kind}: {len(found)}" for kind, found in self.problems.items()]
        if self.short:
            lines += [f"  short: {len(self.short)} of the good ones repeat their last frame"]
        lines += [
            f"  {kind}: {id_}: {why}"
            for kind, found in self.problems.items()
            for id_, why in found.items()
        ]
        return "\n".join(lines)


def scan(
    data: SomethingSomething | str | os.PathLike[str],
    split: str = "validation",
    classes: str = "all",
    *,
    deep: bool = False,
    threads: int | None = None,
) -> Report:
    """Looks at every clip of one split.

    Args:
        data: a data set, or the folder of one.
        split, classes: see `SomethingSomething`; a data set that was given has its own.
        deep: decode every frame of every clip.
        threads: clips looked at at the same time; None for one per core.

    Raises:
        BadInput: no such data set or split. A broken clip raises nothing, it is in the report.
    """
    if not isinstance(data, SomethingSomething):
        data = SomethingSomething(data, split, classes)
    look = partial(_look, data, deep=deep)
    problems: dict[str, dict[str, str]] = {kind: {} for kind in PROBLEMS}
    short = []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        found = pool.map(look, range(len(data)))
        counted = progress(found, data.split, len(data))
        for id_, (kind, why) in zip(data.ids, counted, strict=True):
            if kind == "short":
                short.append(id_)
            elif kind:
                problems[kind][id_] = why
    good = len(data) - sum(map(len, problems.values()))
    problems["unlabelled"] = data.unlabelled
    return Report(
        data.split,
        total=len(data) + len(data.unlabelled),
        good=good,
        problems={kind: found for kind, found in problems.items() if found},
        short=short,
        deep=deep,
    )


def _look(data: SomethingSomething, i: int, deep: bool) -> tuple[str, str]:
    """What is wrong with clip i: (one of `PROBLEMS`, why), ("short", "") or ("", "")."""
    path = data.path(i)
    if not path.exists():
        return "missing", f"{path}: not there"
    try:
        if _empty(path):
            return "empty", f"{path}: nothing in it"
        video = open_source(path)
        damage = video.note if "damaged" in video.note else missing_images(path)
        if path.is_dir() and not damage:
            damage = _no_image(path)
        if deep and not damage:
            _, _, damage = video.read(np.arange(len(video.times)))
    except Exception as error:  # whatever it is, the other clips are looked at
        return "corrupt", one_line(error, path)
    if damage:
        return "corrupt", f"{path}: {damage}"
    truth = data.root / TRUTH / f"{data.ids[i]}.npz"
    if data.made and not truth.exists():
        return "without truth", f"{truth}: not there"
    # The last of T frames is wanted (T - 1) / fps seconds after the first.
    short = data.fps is not None and (data.frames - 1) / data.fps >= video.end - TOLERANCE
    return ("short", "") if short else ("", "")


def _empty(path: Path) -> bool:
    return not any(path.iterdir()) if path.is_dir() else not path.stat().st_size


def _no_image(folder: Path) -> str:
    """Whether images are empty files, or the first of them none at all."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
    hollow = [path.name for path in files if not path.stat().st_size]
    if hollow:
        return f"{len(hollow)} images are files of 0 bytes, the first is {hollow[0]}"
    with open_picture(files[0]):  # reads the header alone
        return ""
