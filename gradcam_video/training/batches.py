"""The training clips, in an order that only the seed decides, and cut into parts of a batch.

Nothing here remembers anything: what comes at a position of the stream depends on the seed and the
position alone. So any process can fetch any part, and a resumed run begins in the middle.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..data.datasets import Clips, why_not
from ..errors import BadInput
from .recipe import Recipe

ORDER, CLIP = 1, 2  # what a random number is drawn for; step.py and accuracy.py have 3 and 4
IGNORED = -100  # cross_entropy's own word for a target that does not count


class Stream(Dataset):
    """All training clips one after the other, epoch after epoch, each changed at random.

    Position p is clip number p mod N of epoch p div N.

    Args:
        data: N clips.
        recipe: its seed, its augmentation, and whether frames are shuffled.
        shape: (T, h, w) of what the network takes.
        targets: of each clip, as an index into the network's labels.
        mirrored: for each label the index of its mirror image; None: labels stay.
    """

    def __init__(
        self,
        data: Clips,
        recipe: Recipe,
        shape: tuple[int, int, int],
        targets: Sequence[int],
        mirrored: Sequence[int] | None,
    ) -> None:
        self.data, self.recipe, self.shape = data, recipe, shape
        self.targets, self.mirrored = targets, mirrored

    def place(self, position: int) -> tuple[int, int]:
        """Epoch and index into the data set."""
        epoch, place = divmod(position, len(self.data))
        return epoch, int(_order(self.recipe.seed, epoch, len(self.data))[place])

    def __getitem__(self, index: int) -> tuple[Tensor, int, int] | tuple[str, int, int]:
        """(frames uint8 `(T, h, w, 3)`, target, index into the data set) at a position.

        A reason instead of frames where the clip cannot be read.
        """
        epoch, index = self.place(index)
        item = self.data[index]
        if item is None:
            return why_not(self.data, index), IGNORED, index
        rng = np.random.default_rng((self.recipe.seed, CLIP, epoch, index))
        # A memory-mapped clip is read-only, which torch does not know: copy it.
        frames = torch.from_numpy(np.array(item.frames))
        frames, flipped = self.recipe.augment(frames, self.shape[1:], rng)
        if self.recipe.shuffle_frames:
            frames = frames[torch.from_numpy(rng.permutation(len(frames)))]
        target = self.targets[index]
        if flipped and self.mirrored is not None:
            target = self.mirrored[target]
        return frames, target, index


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, ORDER, epoch)).permutation(count)


@dataclass(frozen=True)
class Parts:
    """The parts of each batch that one process works off.

    Attributes:
        batch: clips in a batch, over all parts and processes.
        size: clips in a part.
        numbers: which of the batch's parts.
    """

    batch: int
    size: int
    numbers: range

    @classmethod
    def of(cls, recipe: Recipe, rank: int = 0, processes: int = 1) -> Parts:
        """Those of process number `rank`: each process gets equally many.

        Raises:
            BadInput: the batch cannot be shared so.
        """
        count = math.lcm(recipe.accumulate, processes)
        if recipe.batch % count:
            raise BadInput(
                f"a batch of {recipe.batch} in {recipe.accumulate} parts cannot be shared by "
                f"{processes} processes; make batch a multiple of {count}"
            )
        return cls(recipe.batch, recipe.batch // count, range(rank, count, processes))

    def positions(self, start: int, total: int) -> Iterator[list[int]]:
        """The positions in the stream of part after part, from step `start` to step `total`."""
        for step in range(start, total):
            for number in self.numbers:
                first = step * self.batch + number * self.size
                yield list(range(first, first + self.size))


def load_parts(
    stream: Stream, parts: Parts, start: int, total: int, workers: int = 0, pinned: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read part after part, from step `start` to step `total`.

    Args:
        workers: processes that read; 0: this one.
        pinned: into memory that a GPU copies from at once.

    Yields:
        Frames uint8 `(n, T, h, w, 3)` and targets `(n,)`. A clip that cannot be read is missing,
        and noted in the data set's `failures`. Where none can be read there is one black clip,
        whose target is `IGNORED`.

    Raises:
        BadInput: clips of two lengths.
    """
    loader = DataLoader(
        stream,
        batch_sampler=parts.positions(start, total),
        collate_fn=_collate,
        num_workers=workers,
        worker_init_fn=_ignore_interrupts,
        pin_memory=pinned,
        generator=torch.Generator(),  # else it draws from the caller's
    )
    data = stream.data
    for frames, targets, failed in loader:
        data.failures.update({data.ids[index]: reason for index, reason in failed.items()})
        if frames is None:
            frames = torch.zeros((1, *stream.shape, 3), dtype=torch.uint8)
            targets = torch.tensor([IGNORED])
        yield frames, targets


def _ignore_interrupts(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; when to stop is for the training one to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _collate(rows: list[Any]) -> tuple[Tensor | None, Tensor, dict[int, str]]:
    """Frames `(n, T, h, w, 3)` and targets `(n,)` of the clips that could be read; the others."""
    failed = {index: reason for reason, _, index in rows if isinstance(reason, str)}
    clips = [frames for frames, _, _ in rows if not isinstance(frames, str)]
    lengths = sorted({len(frames) for frames in clips})
    if len(lengths) > 1:
        raise BadInput(f"clips of {lengths[0]} and of {lengths[-1]} frames; give one length")
    targets = torch.tensor([y for frames, y, _ in rows if not isinstance(frames, str)])
    return (torch.stack(clips) if clips else None), targets, failed
