"""Is a map right? Measures of a map against the truth about its clip, each a small function.

All are taken inside the network's view (its crop), on a raster whose short side is `RASTER` = 112
pixels whatever the network's input: so a raster pixel is the same share of the view for every
network, the scores of two networks can be compared, and 2,000 clips are scored in two minutes. The
map is drawn on the raster through the grid's own weights, as `Explanation.upsampled` draws it
on the clip. The truth is averaged over the area of each raster pixel and counts from one half on.

Every function takes plain arrays, so that any method's map can be scored:

    truth = strict_truth(scene.truth, e.grid.view)      # bool (T, R, C)
    drawn = draw(e.maps[row], e.grid)                   # float (T, R, C)
    energy(drawn, truth), pointing(drawn, truth)

A score means nothing alone. `uniform_map`, `gaussian_map` and the oracle (`draw(oracle_map(…))`)
go through the same functions as the map does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.ground_truth import Truth
from ..errors import BadInput
from ..geometry import SIGMA, Axis, Grid, View
from ..geometry import energy as energy  # one of the measures; an Explanation needs it, too

RASTER = 112
"""Short side of the raster on which maps and truth meet, in pixels: 14 × 8."""
GROWTH = 1 / 14
"""How far tolerant truth reaches, of the short side: half a cell of a map of 7 × 7."""
ALIGNS = ("receptive-field", "half-pixel")
"""The two ways of drawing a map, see `aligned`."""
TIE = 1e-6
"""Values so close to the largest, relative to it, count as equal to it: float32 rounds."""


# --- the raster: where maps and truth meet ----------------------------------------------------


def raster_size(view: View) -> tuple[int, int]:
    """Rows and columns of the raster: the network's input, scaled to a short side of `RASTER`."""
    short = min(view.rows, view.columns)
    return round(RASTER * view.rows / short), round(RASTER * view.columns / short)


def to_raster(values: np.ndarray, view: View) -> np.ndarray:
    """Mean of `values` over the area of each raster pixel, inside the network's view.

    Args:
        values: (T, H, W) of the whole picture, masks or a map. H and W may be fewer than the
            clip's, as long as they show all of the picture.
        view: which part of the picture the network saw.

    Returns:
        float32 (T, R, C).
    """
    top, left, bottom, right = view.box
    rows, columns = raster_size(view)
    down, across = values.shape[1] / view.height, values.shape[2] / view.width
    values = _averaged(values, np.linspace(top * down, bottom * down, rows + 1))  # (T, R, W)
    edges = np.linspace(left * across, right * across, columns + 1)
    return _averaged(values.swapaxes(1, 2), edges).swapaxes(1, 2)  # (T, R, C)


def _averaged(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean over [edges[i], edges[i + 1]) along axis 1, parts of pixels included: (T, n, …)."""
    edges = np.clip(edges, 0, values.shape[1])
    first, last = int(edges[0]), int(np.ceil(edges[-1]))  # the rest is not looked at
    at = np.arange(first, last)
    below = np.clip(edges[:, None] - at, 0, 1)  # (n + 1, h): what of each pixel is before an edge
    matrix = np.diff(below, axis=0) / np.diff(edges)[:, None]  # (n, h)
    return matrix.astype(np.float32) @ values[:, first:last].astype(np.float32)


def draw(cells: np.ndarray, grid: Grid, frames: np.ndarray | None = None) -> np.ndarray:
    """A map on the raster, linear between its cells' centres.

    Args:
        cells: (T', h, w), one row of `Explanation.maps`.
        grid: where the cells lie.
        frames: which frames of the clip, int (n,); None: all.

    Returns:
        float32 (n, R, C), on the map's own scale.
    """
    in_time, down, across = (axis.weights(at) for axis, at in _positions(grid, frames))
    return np.einsum("ft,rh,cw,thw->frc", in_time, down, across, cells, optimize=True)


def oracle_map(truth: np.ndarray, grid: Grid, frames: np.ndarray | None = None) -> np.ndarray:
    """The truth as the network's own map could at best say it.

    Every pixel and frame of the truth goes to the cell whose centre is nearest; a cell holds the
    share of its pixels that are true. Drawn by `draw` it shows what so coarse a map can say; it is
    no upper bound: a map narrower than the truth has more of its energy inside.

    Args:
        truth: bool (n, R, C), of the same frames.

    Returns:
        float32 (T', h, w) in 0..1.
    """
    in_time, down, across = (_nearest(axis, at) for axis, at in _positions(grid, frames))
    truth = truth.astype(np.float32)
    return np.einsum("tf,hr,wc,frc->thw", in_time, down, across, truth, optimize=True)


def _positions(grid: Grid, frames: np.ndarray | None) -> list[tuple[Axis, np.ndarray]]:
    """The three axes, each with the input indices under the raster's frames, rows, columns."""
    rows, columns = raster_size(grid.view)
    frames = np.arange(grid.time.size) if frames is None else frames
    down = (np.arange(rows) + 0.5) * grid.view.rows / rows - 0.5
    across = (np.arange(columns) + 0.5) * grid.view.columns / columns - 0.5
    return [(grid.time, frames), (grid.rows, down), (grid.columns, across)]


def _nearest(axis: Axis, positions: np.ndarray) -> np.ndarray:
    """Mean over the positions nearest to each cell's centre, as a matrix: float32 (cells, n)."""
    at = np.clip((positions - axis.offset) / axis.stride, 0, axis.cells - 1)
    mine = np.ceil(at - 0.5).astype(int) == np.arange(axis.cells)[:, None]  # (cells, n)
    return (mine / np.maximum(mine.sum(axis=1, keepdims=True), 1)).astype(np.float32)


def aligned(grid: Grid, align: str | None) -> Grid:
    """The same grid with its cells drawn elsewhere, to compare the two ways of drawing.

    Args:
        grid: of an Explanation.
        align: "receptive-field", "half-pixel", or None: as the grid has it.

    Raises:
        BadInput: another word, or receptive fields that could not be followed through the layers.
    """
    if align in (None, grid.align):
        return grid
    if align == "half-pixel":
        axes = {
            name: Axis.half_pixel(axis.cells, axis.size)
            for name, axis in (("time", grid.time), ("rows", grid.rows), ("columns", grid.columns))
        }
        return replace(grid, align=align, **axes)
    if align == "receptive-field":
        raise BadInput(
            "the receptive fields of this layer could not be followed: score with "
            "align='half-pixel', or name another layer with cam_layer="
        )
    raise BadInput(f"unknown align {align!r}: use {' or '.join(ALIGNS)}")


# --- truth and baselines ----------------------------------------------------------------------


def strict_truth(truth: Truth, view: View) -> np.ndarray:
    """Hand and target in the frame itself, inside the network's crop: bool (T, R, C)."""
    return _half_covered(truth.strict(), view)


def tolerant_truth(strict: np.ndarray) -> np.ndarray:
    """Strict truth, swept over one frame to either side and grown by 1/14 of the short side.

    Motion lies between frames, and a map of 7 × 7 cells cannot point finer. It grows as a square,
    not as a disc: 1/14 is half such a cell, and cells are squares, so a peak lies in the tolerant
    truth exactly when a cell centred on it touches the truth. What lies outside the crop was left
    out before, and does not grow into it.

    Args:
        strict: bool (T, R, C), from `strict_truth`.

    Returns:
        bool (T, R, C).
    """
    swept = strict.copy()
    swept[1:] |= strict[:-1]
    swept[:-1] |= strict[1:]
    reach = round(GROWTH * min(strict.shape[1:]))
    down = _reached(swept, reach)  # (T, R, C)
    return _reached(down.swapaxes(1, 2), reach).swapaxes(1, 2)


def _half_covered(mask: np.ndarray, view: View) -> np.ndarray:
    return to_raster(mask, view) >= 0.5 - TIE


def _reached(mask: np.ndarray, reach: int) -> np.ndarray:
    """Which entries have a True at most `reach` away along axis 1: bool (T, R, C)."""
    size = mask.shape[1]
    count = np.zeros(
        (mask.shape[0], size + 1, mask.shape[2]), np.int32
    )  # how many are True before row i
    np.cumsum(mask, axis=1, out=count[:, 1:])
    at = np.arange(size)
    return count[:, np.minimum(at + reach + 1, size)] > count[:, np.maximum(at - reach, 0)]


def outside(truth: Truth, view: View) -> float:
    """Share of the strict truth's pixels that lie outside the network's crop; NaN without truth."""
    mask = truth.strict()
    rows, columns = mask.shape[1:]
    # The view is in the clip's pixels, the mask may have fewer.
    down = (np.arange(rows) + 0.5) * view.height / rows
    across = (np.arange(columns) + 0.5) * view.width / columns
    top, left, bottom, right = view.box
    seen = mask[:, (down > top) & (down < bottom)][:, :, (across > left) & (across < right)]
    total = int(mask.sum())
    return 1 - int(seen.sum()) / total if total else float("nan")


def uniform_map(shape: tuple[int, int, int]) -> np.ndarray:
    """A map that says nothing, float32 (T, R, C): its energy and pointing are the truth's area."""
    return np.broadcast_to(np.float32(1), shape)


def gaussian_map(shape: tuple[int, int, int]) -> np.ndarray:
    """The centre prior: a Gaussian in the middle of the crop in every frame, float32 (T, R, C).

    Objects are filmed in the middle, so it scores well without having looked: a map that does not
    clearly beat it explains nothing. Its standard deviation is `SIGMA` of the short side.
    """
    sigma = SIGMA * min(shape[1:])
    down, across = (np.exp(-((np.arange(n) - (n - 1) / 2) ** 2) / 2 / sigma**2) for n in shape[1:])
    return np.broadcast_to(np.outer(down, across).astype(np.float32), shape)


def motion_map(frames: np.ndarray, view: View) -> np.ndarray:
    """Mere motion: how much each place changes over time, float32 (T, R, C).

    Mean absolute change of the pixels from the frame before to the frame after. No network was
    run: a map that does not beat it may say no more than "look where it moves".

    Args:
        frames: uint8 (T, H, W, 3), the clip's.
        view: which part of them the network saw.
    """
    if len(frames) < 2:
        return np.zeros((len(frames), *raster_size(view)), np.float32)
    small = np.stack([to_raster(frames[..., c], view) for c in range(3)], -1)  # (T, R, C, 3)
    return np.abs(np.gradient(small, axis=0)).mean(-1)


# --- measures ---------------------------------------------------------------------------------


def normalised(score: float, uniform: float, oracle: float) -> float:
    """(score - uniform) / (oracle - uniform): 0 says nothing, 1 is as good as the oracle.

    Each term is a *mean over clips*, so that one clip whose truth fills the frame (and whose
    oracle is hardly better than uniform) does not blow up. NaN where oracle and uniform agree.
    """
    return (score - uniform) / (oracle - uniform) if oracle != uniform else float("nan")


def pointing(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Share of frames in which the map's peak lies in the truth.

    The pointing game (Zhang et al. 2016, Excitation Backprop, sec. 4.1), in each frame whose map
    and truth are not empty. Where several pixels share the peak, the share of them that lies in
    the truth counts: a uniform map scores the truth's area, which is chance. Frames in which the
    map says nothing do not count; how large a share they are is told beside the score.

    Args:
        drawn: (T, R, C), not negative.
        truth: bool (T, R, C).

    Returns:
        0..1; 0 where no frame has both, though there is truth: an empty map is a miss. NaN where
        there is no truth.
    """
    has_truth = truth.any(axis=(1, 2))
    if not has_truth.any():
        return float("nan")
    highest = drawn.max(axis=(1, 2))  # (T,)
    hits = [
        truth[t][drawn[t] >= highest[t] * (1 - TIE)].mean()
        for t in np.flatnonzero(has_truth & (highest > 0))
    ]
    return float(np.mean(hits)) if hits else 0.0


def temporal_pointing(evidence: np.ndarray, action: tuple[int, int], slack: int = 0) -> float:
    """Whether the frame with the most evidence lies in the action: 0 or 1.

    As STEP does it (Li et al. 2021, its temporal grounding), where the action is one half of two
    joined clips; here it is the action's true interval. Frames that share the maximum count by the
    share of them in the action, so evidence that does not change in time scores chance.

    Args:
        evidence: (T,), the map summed over space in each frame; all zeros is a miss.
        action: first and last frame, both included.
        slack: so many frames before and after count too (tolerant: 1).
    """
    most = evidence.max()
    if not most > 0:
        return 0.0
    at = np.flatnonzero(evidence >= most * (1 - TIE))
    return float(np.mean((at >= action[0] - slack) & (at <= action[1] + slack)))


def rank_accuracy(drawn: np.ndarray, truth: np.ndarray) -> float:
    """Of the n largest values of the map, the share in the truth, which has n pixels.

    The relevance rank accuracy of CLEVR-XAI (Arras et al. 2022, arXiv:2003.07258, sec. 4), over the
    whole clip. It asks for the order alone: a map that is right but blurred scores higher than in
    energy. Where the n-th value is shared by several pixels, their mean share counts: a uniform map
    scores the truth's area, which is chance, and an empty map as well.

    Args:
        drawn: (T, R, C).
        truth: bool (T, R, C).

    Returns:
        0..1; NaN where there is no truth.
    """
    n = int(truth.sum())
    if not n:
        return float("nan")
    # Sorted whole: numpy's partition takes ten times as long on maps that rise and fall evenly.
    nth = float(np.sort(drawn, axis=None)[-n])  # the n-th largest
    margin = TIE * abs(nth)
    above = drawn > nth + margin
    level = (drawn >= nth - margin) & ~above  # with the n-th: not all of them have a place
    places = n - int(above.sum())
    return (int(truth[above].sum()) + places * float(truth[level].mean())) / n


def temporal_iou(evidence: np.ndarray, action: tuple[int, int], slack: int = 0) -> float:
    """Frames with half of the strongest frame's evidence or more, against those of the action.

    Intersection / union of the two sets of frames: the temporal overlap by which action detectors
    are judged (Heilbron et al. 2015, ActivityNet, sec. 5), here of a map cut at half of its peak.
    A uniform map marks every frame and scores the action's share of the clip.

    Args:
        evidence: (T,), the map summed over space in each frame; all zeros is a miss.
        action: first and last frame, both included.
        slack: so many frames before and after may be marked or not (tolerant: 1).

    Returns:
        0..1.
    """
    most = evidence.max()
    if not most > 0:
        return 0.0
    marked = evidence >= most * (0.5 - TIE)
    at = np.arange(len(evidence))
    inside = (at >= action[0]) & (at <= action[1])
    counts = inside | (at < action[0] - slack) | (at > action[1] + slack)
    both, either = marked & inside, (marked | inside) & counts
    return float(both.sum() / either.sum())


def centroids(drawn: np.ndarray) -> np.ndarray:
    """Centre of mass of each frame as (y, x) in raster pixels, float64 (T, 2); NaN where empty."""
    mass = drawn.sum(axis=(1, 2), dtype=np.float64)
    y = drawn.sum(axis=2, dtype=np.float64) @ np.arange(drawn.shape[1])
    x = drawn.sum(axis=1, dtype=np.float64) @ np.arange(drawn.shape[2])
    mass[mass <= 0] = np.nan
    return np.stack([y, x], axis=1) / mass[:, None]


def following(track: np.ndarray, target: np.ndarray, least: float) -> float:
    """Correlation of the map's track with the object's: does the map follow it over time?

    Both tracks are centred on their own means, over the frames where both exist; then

        r = sum of map · object / sqrt(sum of |map|² × sum of |object|²)

    with y and x summed together: Pearson's correlation for points in the plane. An axis counts by
    how much happens on it, so one on which the object rests cannot drown the number in noise.
    (The post's conclusion, that the network follows the object over time, as a number; the measure
    is our own.) For one axis alone, give tracks of one column.

    Args:
        track: (T, 2) from `centroids` of the map, NaN where it is empty.
        target: (T, 2) of the object's mask, NaN where it is out of sight.
        least: an object whose track is shorter than this on every axis has nothing to follow.

    Returns:
        -1..1; 0 for a map that stays put, or is seen together with the object in fewer than three
        frames. NaN for an object that rests or is hardly seen: leave it out.
    """
    there = np.isfinite(target).all(axis=1)
    if there.sum() < 3 or np.ptp(target[there], axis=0).max() < least:
        return float("nan")
    both = there & np.isfinite(track).all(axis=1)
    if both.sum() < 3:
        return 0.0
    a, b = (track[both] - track[both].mean(axis=0)), (target[both] - target[both].mean(axis=0))
    length = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / length) if length > 1e-9 else 0.0


def object_track(truth: Truth, view: View) -> np.ndarray:
    """Track of what the action is done to, inside the crop: float64 (T, 2), as `centroids`."""
    return centroids(_half_covered(truth.masks["target"], view).astype(np.float32))


# --- two maps beside each other ---------------------------------------------------------------


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank of every value, the smallest 0; equal values share their mean rank: float64, flat."""
    _, group, count = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    last = np.cumsum(count) - 1  # highest rank in each group of equals
    return (last - (count - 1) / 2)[group]


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the ranks of two maps, -1..1: do they put the cells in the same order?

    The measure of Adebayo et al. 2018 (arXiv:1810.03292, sec. 3). Give signed maps: after a ReLU
    many cells are equally zero. NaN where a map is constant, for it has no order.
    """
    a, b = ranks(one), ranks(other)
    a, b = a - a.mean(), b - b.mean()
    length = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / length) if length > 0 else float("nan")


def lag(before: np.ndarray, after: np.ndarray, most: int) -> int:
    """By how many frames `after` comes later than `before`: where their correlation is highest.

    Args:
        before, after: (T,), evidence per frame.
        most: the largest shift that is tried, either way; at least three frames must overlap.

    Returns:
        -most..most; the smallest shift where several fit equally well, 0 where none fits at all.
    """
    frames, best, found = len(before), 0.0, 0
    for k in sorted(range(-most, most + 1), key=abs):
        early = before[max(0, -k) : frames - max(0, k)]
        late = after[max(0, k) : frames - max(0, -k)]
        early, late = early - early.mean(), late - late.mean()
        length = np.sqrt((early @ early) * (late @ late))
        fit = float(early @ late / length) if length > 1e-12 else 0.0
        if fit > best + TIE:
            best, found = fit, k
    return found
