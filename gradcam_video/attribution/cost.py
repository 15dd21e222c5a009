"""What the maps of many classes cost behind an early layer: said, and counted while it is paid.

Each class needs a backward pass of its own through the head. Behind the last layer that is nothing;
behind an early one of a large network, 400 classes take minutes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..progress_bar import progress

log = logging.getLogger(__name__)

LONG = 10.0
"""Seconds that nobody should have to wait without a word."""


def counted(groups: Sequence[Tensor], logits: Tensor) -> Iterator[Tensor]:
    """Groups of classes one after the other; after the first it is known what the rest costs.

    Args:
        groups: int64 (j,) each.
        logits: (N, K), for the top classes, which are named where it takes long.

    Yields:
        The groups. The time between two of them is what is measured.
    """
    started = time.perf_counter()
    yield groups[0]
    if len(groups) > 1 and logits.is_cuda:
        torch.cuda.synchronize(logits.device)  # a GPU works on after the call has returned
    seconds = (time.perf_counter() - started) * (len(groups) - 1)
    rest = groups[1:]
    if seconds > LONG:
        passes = sum(map(len, rest))
        top = logits.detach()[0].topk(min(3, logits.shape[1])).indices.tolist()
        log.warning(
            "the maps of %d more classes need as many backward passes through the head, about "
            "%.0f s; fewer are quicker, as the top ones: classes=%s",
            *(passes, seconds, top),
        )
        yield from progress(rest, "maps of classes", unit="batch")
    else:
        yield from rest
