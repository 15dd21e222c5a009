"""The windows of a long video: each keeps its own answer, and their maps are joined along time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from .geometry import Axis, Grid

# A float16 keeps 11 bits of numbers from 2⁻¹⁴ to 65504. Maps whose maximum lies here lose nothing
# that can be seen; others are divided by a power of two first, which is exact.
_FITS = 2.0**-6, 2.0**15


@dataclass(frozen=True, eq=False)
class Windows:
    """What a network says of each window of a long video, n windows in order of time.

    Attributes:
        starts, ends: float64 (n,), seconds.
        logits: float32 (n, K).
        times: float64 (n, T), seconds at which each frame of a window is shown.
        repeated: bool (n, T), as in `Clip`.
        signed: float16 (n, k, T', h, w), the maps of each window, divided by `unit`.
        unit: float64 (n, k), powers of two, mostly 1, see `to_half`.
        grid: where the cells of one window lie.
    """

    starts: np.ndarray
    ends: np.ndarray
    logits: np.ndarray
    times: np.ndarray
    repeated: np.ndarray
    signed: np.ndarray
    unit: np.ndarray
    grid: Grid

    def __len__(self) -> int:
        return len(self.starts)

    def nearest(self, times: np.ndarray) -> np.ndarray:
        """The window in whose middle each of some moments lies best, int64 of their shape."""
        middles = (self.starts + self.ends) / 2
        return np.searchsorted((middles[:-1] + middles[1:]) / 2, times)

    def of_rows(self, rows: np.ndarray) -> Windows:
        """The same windows with the maps of some classes."""
        return replace(self, signed=self.signed[:, rows], unit=self.unit[:, rows])

    def maps(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Grid]]:
        """What `join_maps` takes, window by window."""
        for k in range(len(self)):
            signed = from_half(self.signed[k], self.unit[k])
            yield signed, self.times[k], self.repeated[k], self.grid


def to_half(signed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps as float16, within 1/2048 of each value (of the smallest: of 2⁻¹⁸ of the map's maximum).

    Args:
        signed: float32 (k, …), finite.

    Returns:
        (half float16 (k, …), unit float64 (k,)): signed ≈ half · unit. The unit is 1 where a map
        fits as it is, else a power of two: a float16 ends at 65504, and loses what is tiny.
    """
    most = np.abs(signed.reshape(len(signed), -1)).max(axis=1).astype(np.float64)
    fits = (most == 0) | ((most >= _FITS[0]) & (most <= _FITS[1]))
    unit = np.where(fits, 1.0, 2.0 ** np.floor(np.log2(np.where(most > 0, most, 1))))
    shape = (-1, *[1] * (signed.ndim - 1))
    return (signed / unit.reshape(shape)).astype(np.float16), unit


def from_half(half: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """What `to_half` kept, as float32. `unit` has the first axes of `half`."""
    shape = (*unit.shape, *[1] * (half.ndim - unit.ndim))
    return (half.astype(np.float64) * unit.reshape(shape)).astype(np.float32)


def join_maps(
    windows: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray, Grid]], times: np.ndarray
) -> np.ndarray:
    """The maps of overlapping windows of one video, joined into one along time.

    Each window's map is brought to its frames. Where windows overlap, the joined map is their mean,
    weighted by the distance to the window's ends, so that no seam shows.

    Args:
        windows: (signed float32 (k, T', h, w), times (T,), repeated (T,), grid) of each window.
        times: float64 (F,), seconds of every distinct frame of the windows, ascending.

    Returns:
        float32 (k, F, h, w).
    """
    total = np.zeros(0, np.float32)
    weight = np.zeros(len(times), np.float32)
    for signed, shown, repeated, grid in windows:
        if not total.size:
            total = np.zeros((len(signed), len(times), *signed.shape[2:]), np.float32)
        steps = np.flatnonzero(~repeated)  # repeats stand for no moment of their own
        at = np.searchsorted(times, shown[steps] - 1e-6)
        ramp = np.minimum(np.arange(len(steps)) + 1, len(steps) - np.arange(len(steps)))
        over_time = np.einsum("ft,kthw->kfhw", grid.frame_weights()[steps], signed)
        total[:, at] += over_time * ramp[None, :, None, None]
        weight[at] += ramp
    total /= np.maximum(weight, 1)[None, :, None, None]
    return total


def one_cell_per_frame(grid: Grid, frames: int) -> Grid:
    """The grid of joined maps: in time, cell i lies on frame i."""
    return replace(grid, time=Axis(frames, frames, 0.0, 1.0))
