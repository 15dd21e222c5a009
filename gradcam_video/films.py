"""Films for training: clips kept as one array, and the changes that make more of them.

Decoding a video costs far more than a small network's step, so `cache` decodes every clip once
and keeps the frames, already small, as uint8 in one memory-mapped file. `Augment` then changes a
clip at random without making it another action: one crop, one mirror and one tint for all its
frames. What is drawn depends on (seed, epoch, clip) alone, never on the process or the batch.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .datasets import Item
from .errors import BadInput
from .labels import fold

FILMS, FACTS = "films.npy", "films.json"


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


# --- clips in one array -----------------------------------------------------------------------


@dataclass
class Cache:
    """Clips as one array; answers as a data set does.

    Attributes:
        films: uint8 `(N, T, H, W, 3)`, in memory or memory-mapped.
        targets: label index per clip.
        labels: the names of the classes.
        ids: per clip; numbers when not given.
        failures: id -> reason, of clips that could not be read: their rows are empty.
        path: the folder that a memory-mapped cache lies in.
    """

    films: np.ndarray
    targets: Sequence[int] | np.ndarray
    labels: Sequence[str]
    ids: Sequence[str] = ()
    failures: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        shape = self.films.shape
        if len(shape) != 5 or shape[-1] != 3 or self.films.dtype != np.uint8:
            raise BadInput(
                f"films are {self.films.dtype} {shape}; give uint8 of shape (N, T, H, W, 3)"
            )
        self.targets = targets = [int(target) for target in self.targets]
        self.ids = [str(name) for name in self.ids or range(len(self.films))]
        if not len(self.films) == len(targets) == len(self.ids):
            raise BadInput(
                f"{len(self.films)} films, {len(targets)} targets and {len(self.ids)} ids; "
                "give one of each per clip"
            )
        if targets and not 0 <= min(targets) <= max(targets) < len(self.labels):
            raise BadInput(f"targets must lie in 0..{len(self.labels) - 1}, one per label")

    def __len__(self) -> int:
        return len(self.films)

    def __getitem__(self, index: int) -> Item | None:
        if self.ids[index] in self.failures:
            return None
        return Item(self.films[index], int(self.targets[index]), self.ids[index])

    def __reduce__(self) -> Any:
        # To another process goes the place of the file, not its content.
        return super().__reduce__() if self.path is None else (Cache.open, (self.path,))

    @classmethod
    def open(cls, path: str | Path) -> Cache:
        """A cache that `cache` wrote, memory-mapped: nothing is read before it is asked for.

        Raises:
            BadInput: there is none, or it is damaged.
        """
        path = Path(path)
        try:
            facts = json.loads((path / FACTS).read_text(encoding="utf-8"))
            films = np.load(path / FILMS, mmap_mode="r")
            return cls(
                films, facts["targets"], facts["labels"], facts["ids"], facts["failures"], path
            )
        except FileNotFoundError:
            raise BadInput(f"{path}: no cache of clips in it ({FILMS} and {FACTS})") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"{path}: a damaged cache of clips ({error}); remove the folder and make it again"
            ) from error


def cache(
    data: Clips, path: str | Path, side: int, *, width: int | None = None, workers: int = 0
) -> Cache:
    """Decode every clip once and keep it, small, as uint8 in one memory-mapped file.

    Each frame is scaled so that it just covers `side` × `width` and its centre is kept. As wide
    as high (the default), this is the part that a network sees of a test clip; random crops then
    stay inside it. A `width` of 4/3 `side` keeps the sides of the picture for them.

    Args:
        data: any data set of clips of one length.
        path: a folder, written whole or not at all. One that holds the cache of the same clips
            in the same size is opened as it is.
        side, width: of the frames, in pixels. To be cropped at random, a film should be larger
            than the network's input: 128 for 112.
        workers: processes that decode.

    Raises:
        BadInput: the folder holds something else, no clip can be read, or the disk is full.
    """
    path, shape = Path(path), (side, width or side)
    if path.exists():
        old = Cache.open(path)
        same = list(old.ids) == list(data.ids) and list(old.targets) == list(data.targets)
        if not same or old.films.shape[2:4] != shape:
            raise BadInput(f"{path}: holds other clips, or of another size; remove it to go on")
        return old
    films = _cut(data, shape, workers)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            failures = _write(films, temporary / FILMS, len(data), shape)
            facts = {
                "labels": list(data.labels),
                "targets": list(map(int, data.targets)),
                "ids": list(data.ids),
                "failures": {data.ids[i]: reason for i, reason in failures.items()},
            }
            (temporary / FACTS).write_text(json.dumps(facts), encoding="utf-8")
            temporary.chmod(0o755)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(f"{path}: cannot write the clips ({reason}); choose another place") from None
    return Cache.open(path)


def _write(
    films: Iterator[np.ndarray | str], path: Path, count: int, shape: tuple[int, int]
) -> dict[int, str]:
    """Films to a .npy file, one after the other; returns what could not be read, and why.

    Written as a file, not through a memory map: a full disk is then an error, not a crash.
    """
    failures: dict[int, str] = {}
    frames = 0
    with path.open("wb") as file:
        for index, film in enumerate(tqdm(films, "clips", count, unit="clip", disable=None)):
            if isinstance(film, str):
                failures[index] = film
            elif not frames:
                frames = len(film)
                row = (frames, *shape, 3)
                facts = {"descr": "|u1", "fortran_order": False, "shape": (count, *row)}
                np.lib.format.write_array_header_1_0(file, facts)
                file.write(bytes(index * int(np.prod(row))))  # those before could not be read
            elif len(film) != frames:
                raise BadInput(f"clip {index} has {len(film)} frames, the first has {frames}")
            if frames:
                file.write(bytes(int(np.prod(row))) if isinstance(film, str) else film.tobytes())
    if not frames:
        first = next(iter(failures.values()), "the data set is empty")
        raise BadInput(f"no clip could be read: {first}")
    return failures


def _cut(data: Clips, shape: tuple[int, int], workers: int) -> Iterator[np.ndarray | str]:
    loader = DataLoader(_Cut(data, shape), batch_size=None, num_workers=workers)
    yield from (film if isinstance(film, str) else film.numpy() for film in loader)


class _Cut(Dataset):
    """The clips of a data set, scaled and cut; the reason, where one cannot be read."""

    def __init__(self, data: Clips, shape: tuple[int, int]) -> None:
        self.data, self.shape = data, shape

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor | str:
        film = self.data[index]
        if film is None:
            return why_not(self.data, index)
        return cover(torch.from_numpy(np.ascontiguousarray(film.frames)), self.shape)


def why_not(data: Clips, index: int) -> str:
    """Why a clip could not be read."""
    return data.failures.get(data.ids[index], "cannot be read")


def cover(frames: Tensor, shape: tuple[int, int]) -> Tensor:
    """Frames uint8 `(T, H, W, 3)` scaled so that they just cover `shape`; their centre."""
    height, width = frames.shape[1:3]
    ratio = max(shape[0] / height, shape[1] / width)
    rows, columns = max(round(height * ratio), shape[0]), max(round(width * ratio), shape[1])
    frames = scaled(frames, (rows, columns))
    top, left = (rows - shape[0]) // 2, (columns - shape[1]) // 2
    return frames[:, top : top + shape[0], left : left + shape[1]].contiguous()


def scaled(frames: Tensor, shape: tuple[int, int]) -> Tensor:
    """Frames uint8 `(T, H, W, 3)` in another size, as `VideoModel.preprocess` scales them."""
    if tuple(frames.shape[1:3]) == tuple(shape):
        return frames
    picture = frames.permute(0, 3, 1, 2)  # (T, 3, H, W)
    picture = nn.functional.interpolate(picture, shape, mode="bilinear", antialias=True)
    return picture.permute(0, 2, 3, 1)  # (T, h, w, 3)


# --- random changes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Augment:
    """What may change at random in a training clip; the same for all its frames.

    Attributes:
        flip: mirror every second clip, left and right; the label follows (`mirror`).
        crop: smallest and largest side of the cut, of the frame's short side. It may lie
            anywhere, so with (0.7, 1) things move by up to 30 % of the side.
        brightness, contrast, saturation: largest change, as a share.
        tempo: largest change of speed, as a share; frames are repeated or left out.
        time_shift: largest shift in frames; the first or last frame fills the gap.
    """

    flip: bool = True
    crop: tuple[float, float] = (0.7, 1.0)
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    tempo: float = 0.0
    time_shift: int = 0

    def __post_init__(self) -> None:
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise BadInput(f"crop = {list(self.crop)}: give two shares of the side, as [0.7, 1.0]")
        for name in ("brightness", "contrast", "saturation", "tempo"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} = {getattr(self, name)}: give a share, 0 or more, below 1")
        if self.time_shift < 0:
            raise BadInput(f"time_shift = {self.time_shift}: give a number of frames, 0 or more")

    def __call__(
        self, frames: Tensor, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Tensor, bool]:
        """Change one clip.

        Args:
            frames: uint8 `(T, H, W, 3)`.
            size: (h, w) of the result.
            rng: draws; the same generator gives the same result.

        Returns:
            uint8 `(T, h, w, 3)`, and whether it was mirrored.
        """
        # All draws are made whatever is switched on: a switch does not change the others.
        zoom, down, along, mirrored = rng.random(4)
        bright, contrast, colour, speed, shift = rng.uniform(-1, 1, 5)
        frames = self._retimed(frames, float(speed), float(shift))
        frames = self._cut(frames, size, (float(zoom), float(down), float(along)))
        flipped = self.flip and mirrored < 0.5
        if flipped:
            frames = frames.flip(2)
        if self.brightness or self.contrast or self.saturation:
            gain = 1 + self.brightness * float(bright)
            steep = 1 + self.contrast * float(contrast)
            vivid = 1 + self.saturation * float(colour)
            frames = tinted(frames, gain, steep, vivid)
        return frames, flipped

    def _retimed(self, frames: Tensor, speed: float, shift: float) -> Tensor:
        if not self.tempo and not self.time_shift:
            return frames
        count = len(frames)
        middle = (count - 1) / 2
        moments = (np.arange(count) - middle) * (1 + self.tempo * speed) + middle
        moments += np.round(self.time_shift * shift)
        return frames[torch.from_numpy(moments.round().clip(0, count - 1).astype(np.int64))]

    def _cut(
        self, frames: Tensor, size: tuple[int, int], draws: tuple[float, float, float]
    ) -> Tensor:
        height, width = frames.shape[1:3]
        zoom, down, along = draws
        # The largest window of the output's shape that fits, times a random share.
        share = self.crop[0] + (self.crop[1] - self.crop[0]) * zoom
        unit = min(height / size[0], width / size[1]) * share
        rows = min(height, max(1, round(unit * size[0])))
        columns = min(width, max(1, round(unit * size[1])))
        top, left = round(down * (height - rows)), round(along * (width - columns))
        return scaled(frames[:, top : top + rows, left : left + columns], size)


def tinted(frames: Tensor, gain: float, steep: float, vivid: float) -> Tensor:
    """Frames `(T, h, w, 3)`, brighter, steeper about the clip's mean, more colourful.

    The three are linear in the pixel, so they are one 3×3 matrix and one offset.
    """
    grey = torch.tensor([0.299, 0.587, 0.114])  # luma, ITU-R BT.601
    matrix = vivid * torch.eye(3) + (1 - vivid) * grey.repeat(3, 1)  # rows: output channels
    pixels = frames.reshape(-1, 3).float()  # (T·h·w, 3)
    mean = pixels.mean(0) @ grey
    offset = (1 - steep) * mean * gain + 0.5  # the half rounds
    pixels = torch.addmm(offset.expand(3), pixels, matrix.T * (steep * gain))
    return pixels.clamp_(0, 255).to(torch.uint8).reshape(frames.shape)


_SIDES = {"left": "right", "right": "left"}


def mirror(labels: Sequence[str]) -> list[int]:
    """For each label the index of what a left-right mirror makes of it; most stay themselves.

    Raises:
        BadInput: a label speaks of left or right and its counterpart is not among the labels.
    """
    folded = [fold(label) for label in labels]
    names = {name: index for index, name in enumerate(folded)}
    partners = []
    for index, (name, label) in enumerate(zip(folded, labels, strict=True)):
        swapped = re.sub(r"\b(left|right)\b(?! out\b)", lambda match: _SIDES[match[0]], name)
        if swapped not in names:
            raise BadInput(
                f"mirrored, {label!r} would be another action that is no class here; switch "
                "flips off (flip = false)"
            )
        partners.append(index if swapped == name else names[swapped])
    return partners


def targets_in(data: Clips, labels: Sequence[str]) -> list[int]:
    """Each clip's target as an index into the model's labels, which may be in another order."""
    index = {fold(label): k for k, label in enumerate(labels)}
    unknown = [label for label in data.labels if fold(label) not in index]
    if unknown:
        raise BadInput(
            f"the data has the class {unknown[0]!r}, which the model does not know "
            f"({len(unknown)} such); use a model of the same classes"
        )
    return [index[fold(data.labels[target])] for target in data.targets]
