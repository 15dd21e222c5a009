"""The frames of all clips in one array, decoded once.

Decoding a video costs far more than a small network's step, so `cache` decodes every clip once
and keeps the frames, already small, as uint8 in one memory-mapped file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..errors import BadInput
from ..files import atomic_folder
from ..progress_bar import progress
from .augment import cover
from .datasets import Clips, Item, why_not

FRAMES, FACTS = "frames.npy", "clips.json"


@dataclass
class Cache:
    """Clips as one array; answers as a data set does.

    Attributes:
        frames: uint8 `(N, T, H, W, 3)`, in memory or memory-mapped.
        targets: label index per clip.
        labels: the names of the classes.
        ids: per clip; numbers when not given.
        failures: id -> reason, of clips that could not be read: their rows are empty.
        path: the folder that a memory-mapped cache lies in.
    """

    frames: np.ndarray
    targets: Sequence[int] | np.ndarray
    labels: Sequence[str]
    ids: Sequence[str] = ()
    failures: dict[str, str] = field(default_factory=dict)
    path: Path | None = None

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if len(shape) != 5 or shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise BadInput(
                f"frames are {self.frames.dtype} {shape}; give uint8 of shape (N, T, H, W, 3)"
            )
        self.targets = targets = [int(target) for target in self.targets]
        self.ids = [str(name) for name in self.ids or range(len(self.frames))]
        if not len(self.frames) == len(targets) == len(self.ids):
            raise BadInput(
                f"{len(self.frames)} clips, {len(targets)} targets and {len(self.ids)} ids; "
                "give one of each per clip"
            )
        if targets and not 0 <= min(targets) <= max(targets) < len(self.labels):
            raise BadInput(f"targets must lie in 0..{len(self.labels) - 1}, one per label")

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Item | None:
        if self.ids[index] in self.failures:
            return None
        return Item(self.frames[index], int(self.targets[index]), self.ids[index])

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
            frames = np.load(path / FRAMES, mmap_mode="r")
            return cls(
                frames, facts["targets"], facts["labels"], facts["ids"], facts["failures"], path
            )
        except FileNotFoundError:
            raise BadInput(f"{path}: no cache of clips in it ({FRAMES} and {FACTS})") from None
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
        side, width: of the frames, in pixels. To be cropped at random, a clip should be larger
            than the network's input: 128 for 112.
        workers: processes that decode.

    Raises:
        BadInput: the folder holds something else, no clip can be read, or the disk is full.
    """
    path, shape = Path(path), (side, width or side)
    if path.exists():
        old = Cache.open(path)
        same = list(old.ids) == list(data.ids) and list(old.targets) == list(data.targets)
        if not same or old.frames.shape[2:4] != shape:
            raise BadInput(f"{path}: holds other clips, or of another size; remove it to go on")
        return old
    with atomic_folder(path) as temporary:
        failures = _write(_cut(data, shape, workers), temporary / FRAMES, len(data), shape)
        facts = {
            "labels": list(data.labels),
            "targets": list(map(int, data.targets)),
            "ids": list(data.ids),
            "failures": {data.ids[i]: reason for i, reason in failures.items()},
        }
        (temporary / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return Cache.open(path)


def _write(
    clips: Iterator[np.ndarray | str], path: Path, count: int, shape: tuple[int, int]
) -> dict[int, str]:
    """Clips to a .npy file, one after the other; returns what could not be read, and why.

    Written as a file, not through a memory map: a full disk is then an error, not a crash.
    """
    failures: dict[int, str] = {}
    length = 0  # frames of a clip
    with path.open("wb") as file:
        for index, clip in enumerate(progress(clips, "clips", count)):
            if isinstance(clip, str):
                failures[index] = clip
            elif not length:
                length = len(clip)
                row = (length, *shape, 3)
                facts = {"descr": "|u1", "fortran_order": False, "shape": (count, *row)}
                np.lib.format.write_array_header_1_0(file, facts)
                file.write(bytes(index * int(np.prod(row))))  # those before could not be read
            elif len(clip) != length:
                raise BadInput(f"clip {index} has {len(clip)} frames, the first has {length}")
            if length:
                file.write(bytes(int(np.prod(row))) if isinstance(clip, str) else clip.tobytes())
    if not length:
        first = next(iter(failures.values()), "the data set is empty")
        raise BadInput(f"no clip could be read: {first}")
    return failures


def _cut(data: Clips, shape: tuple[int, int], workers: int) -> Iterator[np.ndarray | str]:
    loader = DataLoader(_Cut(data, shape), batch_size=None, num_workers=workers)
    yield from (clip if isinstance(clip, str) else clip.numpy() for clip in loader)


class _Cut(Dataset):
    """The clips of a data set, scaled and cut; the reason, where one cannot be read."""

    def __init__(self, data: Clips, shape: tuple[int, int]) -> None:
        self.data, self.shape = data, shape

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor | str:
        item = self.data[index]
        if item is None:
            return why_not(self.data, index)
        return cover(torch.from_numpy(np.ascontiguousarray(item.frames)), self.shape)
