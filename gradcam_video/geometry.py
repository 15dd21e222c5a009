"""Where the cells of a feature map lie on the frames: the geometry of drawing a map.

A map has few cells, (T', h, w), and a clip has many pixels, (T, H, W). To draw the one on the other
takes two steps for each axis: where is the centre of a cell on the network's input (`Axis`), and
where does that input lie on the picture (`View`)? A `Grid` is the three axes and the view. Drawing
is then one matrix for each axis, whose rows say how much of each cell a frame, a row or a column
of the picture gets.

A convolution of odd kernel k, stride s and padding (k-1)/2 centres its output i on input s*i, not
on the middle of the s pixels that a resize would give it. For a ResNet-50 at 224 pixels the cells
of the last block are centred on pixels 0, 32, 64, ..., 192; a half-pixel resize draws them 15.5
pixels further down and right. In time the same: an r3d_18 at 16 frames has two cells, centred on
frames 0 and 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SCOPES = ("clip", "frame", "classes")
"""Over what a map's maximum is taken, which is drawn as 1: see `Explanation.scale`."""
SIGMA = 0.2
"""Standard deviation of the centre prior, the map that has not looked, of the short side."""


@dataclass(frozen=True)
class Axis:
    """One axis of a feature map: cell i is centred on input index `offset + stride * i`.

    Attributes:
        cells: how many there are.
        size: length of the network's input along this axis: frames, rows or columns.
        offset, stride: in input indices; index 0 is the centre of the first pixel or frame.
        seen: how many of the indices reach the network at all; None: all of them. A convolution
            of two frames at a time leaves the last of an odd number out.
    """

    cells: int
    size: int
    offset: float
    stride: float
    seen: int | None = None

    @classmethod
    def half_pixel(cls, cells: int, size: int) -> Axis:
        """Cells that share the axis evenly, as a resize with align_corners=False draws them."""
        stride = size / cells
        return cls(cells, size, (stride - 1) / 2, stride)

    def centres(self) -> np.ndarray:
        """Input index of every cell's centre, float64 (cells,)."""
        return self.offset + self.stride * np.arange(self.cells)

    def weights(self, positions: np.ndarray) -> np.ndarray:
        """Linear interpolation as a matrix: values at `positions` = weights @ cells.

        Before the first and after the last centre the nearest cell holds: nothing is known there.

        Args:
            positions: input indices (n,), not necessarily whole.

        Returns:
            float32 (n, cells); every row is non-negative and sums to one, or to zero at an index
            that the network does not see.
        """
        positions = np.asarray(positions, float)
        at = np.clip((positions - self.offset) / self.stride, 0, self.cells - 1)
        below = np.minimum(np.floor(at).astype(int), self.cells - 1)
        above = np.minimum(below + 1, self.cells - 1)
        rows = np.arange(len(at))
        matrix = np.zeros((len(at), self.cells), np.float32)
        matrix[rows, below] += 1 - (at - below)
        matrix[rows, above] += at - below
        if self.seen is not None:
            matrix[positions > self.seen - 0.5] = 0
        return matrix


@dataclass(frozen=True)
class View:
    """The part of the original picture that the network saw, in original pixels.

    `top, left` may be fractions of a pixel: the frame is resized first, then cropped. `rows` and
    `columns` are the network's input size, `height` and `width` the picture's.
    """

    height: int
    width: int
    rows: int
    columns: int
    top: float = 0.0
    left: float = 0.0
    bottom: float | None = None
    right: float | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of the seen part, in original pixels."""
        bottom = self.height if self.bottom is None else self.bottom
        right = self.width if self.right is None else self.right
        return self.top, self.left, bottom, right

    def input_rows(self) -> np.ndarray:
        """Input row index under the centre of every original row, float64 (height,)."""
        top, _, bottom, _ = self.box
        return (np.arange(self.height) + 0.5 - top) / (bottom - top) * self.rows - 0.5

    def input_columns(self) -> np.ndarray:
        """Input column index under the centre of every original column, float64 (width,)."""
        _, left, _, right = self.box
        return (np.arange(self.width) + 0.5 - left) / (right - left) * self.columns - 0.5

    def seen_rows(self) -> np.ndarray:
        """Which original rows lie in the crop, bool (height,)."""
        return _inside(self.input_rows(), self.rows)

    def seen_columns(self) -> np.ndarray:
        """Which original columns lie in the crop, bool (width,)."""
        return _inside(self.input_columns(), self.columns)

    def seen(self) -> np.ndarray:
        """Which original pixels the network saw, bool (height, width)."""
        return self.seen_rows()[:, None] & self.seen_columns()[None, :]


def _inside(indices: np.ndarray, size: int) -> np.ndarray:
    return (indices > -0.5 - 1e-9) & (indices < size - 0.5 + 1e-9)


@dataclass(frozen=True)
class Grid:
    """The three axes of a feature map (T', h, w), and the view of the picture that it covers."""

    time: Axis
    rows: Axis
    columns: Axis
    view: View
    align: str = "receptive-field"  # or "half-pixel", where the layers could not be followed

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T', h, w)."""
        return self.time.cells, self.rows.cells, self.columns.cells

    def seen(self, frame: int) -> np.ndarray:
        """Which original pixels of a frame the network saw, bool (height, width)."""
        if self.time.seen is not None and frame >= self.time.seen:
            return np.zeros((self.view.height, self.view.width), bool)
        return self._seen

    @cached_property
    def _seen(self) -> np.ndarray:
        """The same of every frame that it saw."""
        rows, columns = self.view.input_rows(), self.view.input_columns()
        down, across = self.view.seen_rows(), self.view.seen_columns()
        if self.rows.seen is not None:
            down &= rows <= self.rows.seen - 0.5
        if self.columns.seen is not None:
            across &= columns <= self.columns.seen - 0.5
        return down[:, None] & across[None, :]

    def frame_weights(self) -> np.ndarray:
        """Interpolation in time, float32 (T, T'); zero for a frame that the network did not see."""
        return self.time.weights(np.arange(self.time.size))

    def row_weights(self) -> np.ndarray:
        """Interpolation over original rows, float32 (H, h); zero where the network did not look."""
        return self.rows.weights(self.view.input_rows()) * self.view.seen_rows()[:, None]

    def column_weights(self) -> np.ndarray:
        """Interpolation over original columns, float32 (W, w); zero where it did not look."""
        return self.columns.weights(self.view.input_columns()) * self.view.seen_columns()[:, None]


def energy(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Sum of the map inside the truth / sum of the map, over the clip: 0..1.

    The energy-based pointing game of Score-CAM (Wang et al. 2020, sec. 4.2), there with boxes. An
    empty map has none in the truth: 0.

    Args:
        drawn: (T, R, C), not negative.
        truth: bool (T, R, C).
    """
    total = float(drawn.sum())
    return float(drawn.sum(where=truth)) / total if total > 0 else 0.0
