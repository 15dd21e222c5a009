"""Maps that have not looked: what a method has to beat."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...geometry import SIGMA
from .base import Maps, Method, Run, need, need_whole, on_every_class


@dataclass(frozen=True)
class Random(Method):
    """Chance: every cell of the CAM layer's grid drawn from 0..1, the same for every class.

    Another clip gets another map, else one lucky draw would decide a whole data set; a clip gets
    the same again (its pixels and the seed make the draw), whatever is explained beside it.

    Args:
        seed: another seed, another draw.
    """

    seed: int = 0

    same_for_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need_whole("random", 0, seed=self.seed)

    def maps(self, run: Run) -> Maps:
        logits = run.logits(run.x.split(run.at_once))
        shape = [axis.cells for axis in run.axes]
        draws = []
        for x in run.x:
            content = zlib.crc32(x.float().cpu().contiguous().numpy().tobytes())
            rng = np.random.default_rng([self.seed, content])
            draws.append(torch.from_numpy(rng.random(shape)))
        one = torch.stack(draws).to(logits)  # (N, T', h, w)
        return Maps(logits, on_every_class(one, run, logits))


@dataclass(frozen=True)
class Centre(Method):
    """A blob in the middle of every frame: things are filmed there, so it scores well unseen.

    map[t, y, x] = exp(-(distance from the input's centre)^2 / (2 * s^2)),  s = sigma * short side

    Args:
        sigma: of the input's short side.
    """

    sigma: float = SIGMA

    same_for_all: ClassVar[bool] = True

    def __post_init__(self) -> None:
        need(self.sigma > 0, f"centre: sigma={self.sigma!r}: give a number above 0")

    def maps(self, run: Run) -> Maps:
        logits = run.logits(run.x.split(run.at_once))
        time, rows, columns = run.axes
        s = self.sigma * min(rows.size, columns.size)
        down, across = (
            np.exp(-((axis.centres() - (axis.size - 1) / 2) ** 2) / (2 * s**2))
            for axis in (rows, columns)
        )
        blob: Tensor = torch.from_numpy(np.outer(down, across)).to(logits)  # (h, w)
        one = blob.expand(len(logits), time.cells, -1, -1)
        return Maps(logits, on_every_class(one, run, logits))
