"""Where a network is read: which calls of which layer, and where their cells lie.

A layer may run several times in one forward: on two halves of the picture, on the clip and on its
mirror image, once per frame. Each call has cells of its own. `Reading.merged` lays the maps of all
calls on one grid, each where it belongs, and adds what falls together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..geometry import Axis
from .token_layout import TokenGrid

NEAR = 1e-6  # input cells: closer than this is the same place


@dataclass(frozen=True)
class Reading:
    """What is read of a network.

    Attributes:
        layer: name of the module, or of a function (`function_calls.py`).
        calls: how often it runs in one forward.
        read: which of these calls are read, counted from 0. A call whose output reaches the values
            only through a later one is left out: what it carries is seen there.
        token_grids: how the output of each call read becomes (N, C, T', h, w).
        axes: time, rows and columns of the merged grid.
        align: how they are known, "receptive-field" or "half-pixel".
        placements: of each call read, matrices (cells of the merged grid, cells of the call) for
            time, rows and columns; empty where there is one call and nothing to move.
        hidden: the graph is not recorded by itself after the layer, because gradients are switched
            off in the network's own forward.
    """

    layer: str
    calls: int
    read: tuple[int, ...]
    token_grids: tuple[TokenGrid, ...]
    axes: tuple[Axis, Axis, Axis]
    align: str
    placements: tuple[tuple[np.ndarray, ...], ...] = ()
    hidden: bool = False

    def merged(self, maps: Sequence[Tensor]) -> Tensor:
        """The maps of all calls on one grid: (…, T'_i, h_i, w_i) each -> (…, T', h, w)."""
        if not self.placements:
            return maps[0]
        total: Tensor | None = None
        for one, (time, rows, columns) in zip(maps, self.placements, strict=True):
            t, r, c = (torch.from_numpy(m).to(one) for m in (time, rows, columns))
            placed = torch.einsum("Tt,Rr,Cc,...trc->...TRC", t, r, c, one)
            total = placed if total is None else total + placed
        assert total is not None
        return total


def merged_axes(
    calls: Sequence[tuple[Axis, Axis, Axis]],
) -> tuple[tuple[Axis, Axis, Axis], tuple[tuple[np.ndarray, ...], ...]]:
    """One grid for the cells of several calls, and the matrices that bring each there.

    Its axes run forwards, also where a call saw the clip mirrored or reversed.
    """
    axes, matrices = [], []
    for each in zip(*calls, strict=True):  # time, then rows, then columns
        axis = _common(each)
        axes.append(axis)
        matrices.append([_onto(axis, one) for one in each])
    placements = tuple(zip(*matrices, strict=True))
    if len(calls) == 1 and all(np.array_equal(m, np.eye(len(m))) for m in placements[0]):
        placements = ()
    return (axes[0], axes[1], axes[2]), placements


def _common(each: Sequence[Axis]) -> Axis:
    """The axis with a cell wherever one of several axes has one, evenly spaced."""
    size = each[0].size
    if len(each) == 1 and each[0].stride > 0:
        return each[0]
    ends = [axis.size if axis.seen is None else axis.seen for axis in each]
    seen = None if max(ends) == size else max(ends)
    places = np.sort(np.concatenate([axis.centres() for axis in each]))
    places = places[np.concatenate([[True], np.diff(places) > NEAR])]
    if len(places) == 1:
        return Axis(1, size, float(places[0]), abs(each[0].stride), seen)
    gaps = np.diff(places)
    if np.ptp(gaps) > NEAR:  # uneven: as fine as the finest, and shared between two cells
        stride = min(abs(axis.stride) for axis in each)
        cells = math.ceil((places[-1] - places[0]) / stride - NEAR) + 1
        return Axis(cells, size, float(places[0]), stride, seen)
    return Axis(len(places), size, float(places[0]), float(gaps[0]), seen)


def _onto(axis: Axis, own: Axis) -> np.ndarray:
    """Where the cells of one axis come to lie on another: (cells, own cells), columns sum to 1."""
    at = (own.centres() - axis.offset) / axis.stride
    at = np.where(np.abs(at - np.round(at)) < NEAR, np.round(at), at).clip(0, axis.cells - 1)
    below = np.floor(at).astype(int)
    above = np.minimum(below + 1, axis.cells - 1)
    matrix = np.zeros((axis.cells, own.cells), np.float32)
    np.add.at(matrix, (below, np.arange(own.cells)), 1 - (at - below))
    np.add.at(matrix, (above, np.arange(own.cells)), at - below)
    return matrix
