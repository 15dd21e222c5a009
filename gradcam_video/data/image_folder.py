"""Frames out of a folder of numbered images, and the clips below a folder."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import BadInput, printable
from .frames import IMAGES, UNREAD, VIDEOS, shrink
from .pictures import (
    levels_of,
    open_picture,
    read_picture,
    stretched,
    stretched_note,
)

log = logging.getLogger(__name__)

FOLDER_FPS = 12.0  # Something-Something V1: jpgs cut at 12 frames a second


# --- 3. a folder of numbered images ------------------------------------------------------------


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorting key under which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _numbered(names: Sequence[str]) -> tuple[list[str], str]:
    """Orders the images of a folder by number.

    Args:
        names: the file names in a folder; what is neither image nor video is passed over.

    Returns:
        The images in order, and "" ; or no images, and why the folder is not one clip.
    """
    numbers: dict[int, str] = {}
    prefixes: set[str] = set()
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 (100,000 folders: no Path for each)
        if suffix.lower() in VIDEOS:
            return [], f"holds a video ({name})"
        if suffix.lower() not in IMAGES or name.startswith("."):
            continue
        match = re.fullmatch(r"(.*?)(\d+)", stem)
        if match is None:
            return [], f"holds an image without a number ({name})"
        prefixes.add(match[1])
        if len(prefixes) > 1:
            return [], f"holds images of several series ({name} and others)"
        if int(match[2]) in numbers:
            return [], f"holds number {int(match[2])} twice ({numbers[int(match[2])]} and {name})"
        numbers[int(match[2])] = name
    if not numbers:
        return [], "holds no numbered images"
    return [numbers[number] for number in sorted(numbers)], ""


class ImageFolder:
    """A folder of numbered images; it offers what `VideoFile` does.

    That is `times` and `end` (seconds), `holes`, `note`, `to_screen`, and `read`, which gives some
    frames. And `rate`, how many images are a second, and `numbers`.
    """

    to_screen = None  # pictures are RGB already

    def __init__(self, path: Path, source_fps: float | None, max_side: int | None) -> None:
        self.path = path
        self.name = printable(clip_name(path))
        self.note = ""
        self.holes = np.zeros(0, np.int64)  # a number that is missing may never have been there
        self._max_side = max_side
        try:
            files, problem = _numbered([file.name for file in path.iterdir() if file.is_file()])
        except OSError as error:
            raise BadInput(f"{path}: cannot be listed ({error.strerror}); check it") from error
        if problem:
            raise BadInput(
                f"{path}: not a clip, it {problem}; give a video or a folder of images numbered "
                "like 00001.jpg"
            )
        self._files = [path / file for file in files]
        self.rate = source_fps or FOLDER_FPS
        self.times = np.arange(len(files)) / self.rate
        self.end = len(files) / self.rate

    def read(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Reads some images; the same contract as `VideoFile.read`."""
        pictures: np.ndarray | None = None
        expected = (0, 0)
        for k, index in enumerate(wanted):
            if pictures is not None and index == wanted[k - 1]:
                pictures[k] = pictures[k - 1]
                continue
            picture, size = self._picture(self._files[index])
            if pictures is None:
                pictures = np.empty((len(wanted), *picture.shape), np.uint8)
                expected = size
            if size != expected:
                raise BadInput(
                    f"{self._files[index]}: {size[0]}×{size[1]} pixels, but "
                    f"{self._files[wanted[0]].name} has {expected[0]}×{expected[1]}; "
                    "bring all images of a clip to one size"
                )
            pictures[k] = picture
        assert pictures is not None
        return pictures, wanted, ""

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers in the files' names, rising: (n,); int64, or objects where one is longer."""
        return np.array([int(re.findall(r"\d+$", file.stem)[0]) for file in self._files])

    @cached_property
    def _levels(self) -> tuple[float, float]:
        """The range of grey with over 8 bits: one for all images, so that nothing flickers."""
        levels = levels_of(self._files)
        self._add_note(stretched_note(levels))
        return levels

    def _add_note(self, text: str) -> None:
        self.note = "; ".join(part for part in (self.note, text) if part)

    def _picture(self, file: Path) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads one image: uint8 (H, W, 3), and its width and height before scaling."""
        with open_picture(file) as image:
            values, (width, height) = read_picture(image, file, self._max_side)
        if values.ndim == 2:
            values = stretched(values, self._levels)
        size = shrink(width, height, self._max_side)
        if size == (width, height):
            return values, (width, height)
        if "scaled to" not in self.note:
            self._add_note(f"{width}×{height} scaled to {size[0]}×{size[1]}")
        scaled = Image.fromarray(values).resize(size, Image.Resampling.BOX)
        return np.asarray(scaled), (width, height)


def find_clips(path: str | os.PathLike[str]) -> list[Path]:
    """Lists the clips that a path stands for.

    A file is itself, whatever its name. A folder whose images are numbered is one clip. Any other
    folder is searched, with all folders in it, for files named like videos and for folders of
    numbered images; hidden ones are passed over. What looks like a film or a picture and is passed
    over is logged as a warning, in one line.

    Returns:
        The clips in natural order (2 before 10).

    Raises:
        BadInput: there is no such path, or no clip in it.
    """
    path = Path(path)
    if not is_folder(path):
        if not os.path.lexists(path):
            raise BadInput(f"{path}: no such file or folder; check the path")
        return [path]
    found: list[Path] = []
    unread: list[str] = []
    problem = ""
    for folder, subfolders, names in os.walk(path):
        images, why = _numbered(names)
        problem = problem or why
        if images:
            found.append(Path(folder))
            subfolders.clear()  # a clip is one clip, whatever lies in it
            continue
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            ending = Path(name).suffix.lower()
            if name.startswith("."):
                continue
            if ending in VIDEOS:
                found.append(Path(folder, name))
            elif ending in UNREAD or (ending in IMAGES):
                unread.append(str(Path(folder, name)))
    if found and unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        log.warning("%s", printable(f"passed over, neither films nor clips: {unread[0]}{more}"))
    if not found:
        of_a_kind = [name for name in unread if Path(name).suffix.lower() in UNREAD]
        if of_a_kind:
            problem = f"holds {of_a_kind[0]}, of a kind that is not read"
        raise BadInput(
            f"{path}: no clip in this folder (it {problem or 'cannot be listed'}); give a video, a "
            "folder with videos, or one of images numbered like 00001.jpg"
        )
    return sorted(found, key=lambda clip: [_natural(Path(part)) for part in clip.parts])


def clip_name(path: str | os.PathLike[str]) -> str:
    """Names the output folder of a clip: its file name with the extension.

    With the extension, because `a.mp4` and `a.gif` may lie side by side.
    """
    return Path(path).name or Path(path).resolve().name or "clip"


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
