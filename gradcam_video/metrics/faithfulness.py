"""Does the network agree with a map? Perturbation tests: the network is run again, without truth.

- *Deletion and insertion*: remove the cells of the clip in the map's order and see how fast the
  class goes; or begin with a clip of which all is removed, and give the cells back.
- *Parameter randomisation*: a map that stays while the weights are shuffled does not explain them.
- *Reversal and shift*: does the map of a changed clip change as the clip did?
- *Splicing*: of two clips joined in the middle, each class must lie in its own half.

What is removed are **cells**: one frame long and 1/14 of the network's view wide and high, for
every method and network, so that two methods are tested on the same pieces. What a removed cell
shows is one of `attribution.baselines`. A cell's value is the mean of the map there, as it is
drawn. No number means anything alone: `random_cells` is the order that knows nothing, and
`motion_cells` a cheap rival that has seen the clip but never the network.

    x, view = model.preprocess(clip)
    order = ranks_of(cells_of(e.maps[row], e.grid))  # (T, 14, 14)
    logits, probabilities = curves(model, x, order[None], [k])  # (1, len(SHARES)) each
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..attribution.api import clips_at_once, explain
from ..attribution.baselines import check_baseline, remove
from ..data.clip import Clip
from ..errors import BadInput
from ..explanation import Explanation
from ..geometry import Grid, View
from ..models.modes import evaluating, precision
from ..models.video_model import VideoModel, memory_format
from . import localisation

CELL = 8
"""Side of a cell on the raster of `localisation`, in its pixels: 14 × 14 cells on a square view."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the cells that are removed: close together where good maps differ."""
WAYS = ("space-time", "space", "time")
"""What is put in order: cells, places, or frames."""


# --- cells ------------------------------------------------------------------------------------


def cell_shape(view: View) -> tuple[int, int]:
    """Rows and columns of cells on the network's view: 14 along its short side."""
    rows, columns = localisation.raster_size(view)
    return round(rows / CELL), round(columns / CELL)


def cells_of(values: np.ndarray, grid: Grid) -> np.ndarray:
    """A map at the cells that are removed: (T', h, w), of `Explanation.maps`, -> (T, g, g').

    It is drawn on the raster as it is drawn on the clip, and averaged over each cell. Frames that
    repeat the one before count as all others: they are part of what the network is given.
    """
    return _pooled(localisation.draw(values, grid), cell_shape(grid.view))


def motion_cells(x: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """The cheap rival: how much each cell changes over time, float32 (N, T, g, g').

    Mean absolute change of its pixels from the frame before to the frame after. No network was
    run: an explanation that does not beat it may say no more than "look where it moves".

    Args:
        x: clips as the network is given them, (N, 3, T, H, W); two frames or more.
        shape: (g, g'), of `cell_shape`.
    """
    (change,) = torch.gradient(x.float(), dim=2)  # (N, 3, T, H, W)
    return np.stack([_pooled(one, shape) for one in change.abs().mean(1).cpu().numpy()])


def random_cells(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """A map that knows nothing: every cell drawn by itself, float32."""
    return np.random.default_rng(seed).random(tuple(shape), dtype=np.float32)


def rival_cells(x: Tensor, view: View, seed: int = 0) -> dict[str, np.ndarray]:
    """What a map's order is held against: "random" and "motion", (T, g, g') each.

    Args:
        x: one clip as the network is given it, (1, 3, T, H, W).
        view: which part of the picture that is.
        seed: of the random one.
    """
    shape = cell_shape(view)
    return {
        "random": random_cells((x.shape[2], *shape), seed),
        "motion": motion_cells(x, shape)[0],
    }


def _pooled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mean over each cell: (T, R, C) -> (T, g, g')."""
    down, across = (_of_pixel(n, g) for n, g in zip(values.shape[1:], shape, strict=True))
    rows, columns = (
        (at == np.arange(g)[:, None]).astype(np.float32) / np.bincount(at, minlength=g)[:, None]
        for at, g in ((down, shape[0]), (across, shape[1]))
    )  # (g, R), (g', C)
    return np.einsum("gr,hc,trc->tgh", rows, columns, values, optimize=True).astype(np.float32)


def _of_pixel(pixels: int, cells: int) -> np.ndarray:
    """Which cell each pixel of an axis belongs to, int (pixels,)."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(int)


def ranks_of(cells: np.ndarray, way: str = "space-time", seed: int = 0) -> np.ndarray:
    """Place of every cell in the order of its values, in 0..1, the largest value first.

    Args:
        cells: (T, g, g').
        way: "space-time": every cell by itself. "space": places, by their sum over time, the same
            in all frames. "time": whole frames, by their sum over space.
        seed: equal values (a map is zero in many cells) are put in an order drawn at random, not
            in that of the array, which would be from the top left and the first frame on.

    Returns:
        float32 (T, g, g'); `ranks < share` is that share of the cells, places or frames.
    """
    if way not in WAYS:
        raise BadInput(f"unknown way {way!r}: use one of {', '.join(WAYS)}")
    over = {"space-time": (), "space": (0,), "time": (1, 2)}[way]
    values = cells.sum(axis=over, keepdims=True, dtype=np.float64)
    flat = values.ravel()
    flat = np.round(flat / max(np.abs(flat).max(), 1e-30), 6)  # float32 rounds: equal is equal
    drawn = np.random.default_rng(seed).permutation(len(flat))
    order = drawn[np.argsort(-flat[drawn], kind="stable")]  # cells, the largest first
    ranks = np.empty(len(flat), np.float32)
    ranks[order] = (np.arange(len(flat)) + 0.5) / len(flat)
    return np.broadcast_to(ranks.reshape(values.shape), cells.shape)


# --- deletion and insertion -------------------------------------------------------------------


def perturbed(
    x: Tensor, ranks: np.ndarray, shares: Sequence[float], baseline: str, insertion: bool = False
) -> Tensor:
    """A clip with more and more of its cells removed.

    Args:
        x: (1, 3, T, H, W).
        ranks: (T, g, g'), of `ranks_of`.
        shares: of the cells; deletion removes the first of them in the order, insertion all others.
        baseline: what a removed cell shows, one of `attribution.baselines.BASELINES`.

    Returns:
        (S, 3, T, H, W).
    """
    check_baseline(baseline)
    down, across = (_of_pixel(n, g) for n, g in zip(x.shape[-2:], ranks.shape[1:], strict=True))
    at = torch.from_numpy(ranks[:, down][:, :, across]).to(x.device)  # (T, H, W)
    first = at < torch.tensor(shares, dtype=at.dtype, device=x.device).view(-1, 1, 1, 1)
    return remove(x, (~first if insertion else first)[:, None], baseline)


@torch.no_grad()
def curves(
    model: VideoModel,
    x: Tensor,
    ranks: Sequence[np.ndarray],
    classes: Sequence[int],
    *,
    baseline: str = "median-frame",
    insertion: bool = False,
    shares: Sequence[float] = SHARES,
    at_once: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """How a class fares while a clip's cells are removed (deletion) or given back (insertion).

    Deletion and insertion of RISE (Petsiuk et al. 2018, arXiv:1806.07421, sec. 4.1), there of
    pixels of a picture; for clips as in STEP (Li et al. 2021, arXiv:2005.00375), here of cells.

    Args:
        model: it is left as it was.
        x: clips (N, 3, T, H, W) as the network is given them.
        ranks: N orders (T, g, g'), of `ranks_of`.
        classes: N classes.
        baseline: what a removed cell shows, one of `attribution.baselines.BASELINES`.
        insertion: begin with all removed, and give back the first cells first.
        shares: of the cells that are removed or given back.
        at_once: copies in one forward, of one clip or of several; None: four on a CPU.

    Returns:
        logits and probabilities of the classes, float64 (N, S) each.
    """
    copies = (
        one
        for n in range(len(x))
        for one in perturbed(x[n : n + 1], ranks[n], shares, baseline, insertion)
    )
    logits = torch.cat(list(_answers(model, copies, at_once)))  # (N · S, K)
    logits = logits.double()
    rows, own = torch.arange(len(x)), torch.as_tensor(classes)

    def of_classes(found: Tensor) -> np.ndarray:
        """(N · S, K) -> (N, S)."""
        return found.unflatten(0, (len(x), len(shares)))[rows, :, own].numpy()

    return of_classes(logits), of_classes(model.activated(logits))


def _answers(
    model: VideoModel, copies: Iterable[Tensor], at_once: int | None, autocast: bool = False
) -> Iterator[Tensor]:
    """Logits of inputs (3, T, H, W), a few in each forward: (b, K), on the CPU."""
    most = at_once or max(4, clips_at_once(model))
    group: list[Tensor] = []
    with evaluating(model.net):
        for one in copies:
            group.append(one)
            if len(group) == most:
                yield _forward(model, group, autocast)
                group = []
        if group:
            yield _forward(model, group, autocast)


def _forward(model: VideoModel, group: Sequence[Tensor], autocast: bool) -> Tensor:
    x = torch.stack(list(group)).contiguous(memory_format=memory_format(model.net))
    with precision(x.device, autocast):
        return model.forward(x).float().cpu()


def area(curve: np.ndarray, shares: Sequence[float] = SHARES) -> np.ndarray:
    """Area under curves over the shares, by trapezoids: (…, S) -> (…)."""
    return np.trapezoid(curve, shares, axis=-1)


def gain(own: float, chance: float, end: float) -> float:
    """(own - chance) / (end - chance): 0 as good as a random order, 1 the best there is.

    `own` and `chance` are the areas of the map's order and of a random one. For deletion `end` is
    the answer to the clip with all cells removed: at 1 the first cell takes everything. For
    insertion it is that to the whole clip: at 1 the first cell brings everything. Each term is a
    *mean over clips*, as in `localisation.normalised`. NaN where a random order is at the end.
    """
    return (own - chance) / (end - chance) if end != chance else float("nan")


# --- parameter randomisation ------------------------------------------------------------------


def cascade(model: VideoModel) -> list[str]:
    """The layers with weights of their own, from the head down to the input.

    In the reverse of the order in which they run, not of that in which they were declared.
    """
    own = {name for name, m in model.net.named_modules() if list(m.parameters(recurse=False))}
    calls = model.trace(model.input_shape).calls
    last = {call.name: i for i, call in enumerate(calls) if call.name in own}
    return sorted(last, key=lambda name: -last[name])


@torch.no_grad()
def randomised(model: VideoModel, layers: Iterable[str], seed: int = 0) -> VideoModel:
    """The same network with the weights of some layers shuffled; the model stays as it was.

    Shuffled within each weight and bias, so that their distribution stays: the "random"
    networks then answer on a similar scale.
    """
    other = copy.copy(model)
    other.net = copy.deepcopy(model.net)
    rng = torch.Generator().manual_seed(seed)
    for layer in layers:
        for weight in other.net.get_submodule(layer).parameters(recurse=False):
            shuffled = torch.randperm(weight.numel(), generator=rng).to(weight.device)
            weight.copy_(weight.flatten()[shuffled].view_as(weight))
    return other


def randomisation(
    model: VideoModel,
    clips: Sequence[Clip],
    classes: Sequence[int],
    method: str = "gradcam",
    *,
    depths: Sequence[int] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    maps: Sequence[Explanation] | None = None,
    **options: Any,
) -> np.ndarray:
    """How alike a method's maps stay while the network is randomised from the head down.

    The cascading parameter randomisation test of Adebayo et al. 2018 (arXiv:1810.03292, sec. 4.1):
    Spearman's correlation of the signed maps before and after.

    Args:
        model: it stays as it was.
        clips, classes: clips, and the class whose map is looked at in each.
        method: one of `METHODS`.
        depths: how many layers of `cascade(model)` are randomised; None: 0, 1, 2 … all.
        seeds: of the shuffling.
        maps: of the clips by the network as it is, if they are there already.
        options: of the method.

    Returns:
        float64 (seeds, depths, clips); NaN where a map is constant.
    """
    layers = cascade(model)
    depths = range(len(layers) + 1) if depths is None else depths
    if maps is None:
        maps = _explained(model, clips, classes, method, options)
    before = [e.signed[e.row(k)] for e, k in zip(maps, classes, strict=True)]
    found = np.empty((len(seeds), len(depths), len(clips)))
    for s, seed in enumerate(seeds):
        for d, depth in enumerate(depths):
            shuffled = randomised(model, layers[:depth], seed)
            after = _explained(shuffled, clips, classes, method, options)
            found[s, d] = [
                localisation.spearman(was, e.signed[e.row(k)])
                for was, e, k in zip(before, after, classes, strict=True)
            ]
    return found


def _explained(
    model: VideoModel,
    clips: Sequence[Clip],
    classes: Sequence[int],
    method: str,
    options: Mapping[str, Any],
) -> list[Explanation]:
    pairs = zip(clips, classes, strict=True)
    return [explain(model, clip, method=method, classes=[k], **options) for clip, k in pairs]


# --- reversal and shift -----------------------------------------------------------------------


def played(clip: Clip, frames: np.ndarray) -> Clip:
    """The clip with these of its frames in this order, at its own times."""
    return replace(clip, frames=clip.frames[frames])


def reversal(model: VideoModel, e: Explanation, target: int, **options: Any) -> float:
    """Is the map of the reversed clip the reversed map? Spearman's correlation, signed, -1..1.

    Of the same class, whose answer may well be another: a network that tells opening from closing
    has good reason for another map. A method that does not look at the clip's order scores 1; so
    this number describes, and is no mark.

    Args:
        e: of the clip as it is; the map of `target` must be in it.
        options: of the method, as they were for `e`.
    """
    backwards = np.arange(len(e.clip))[::-1]
    after = explain(
        model, played(e.clip, backwards), method=e.method, classes=[int(target)], **options
    )
    return localisation.spearman(_in_time(e, target)[::-1], _in_time(after, target))


def shift(
    model: VideoModel, e: Explanation, target: int, by: int = 2, **options: Any
) -> tuple[float, float]:
    """Does the map come later when the clip does? The first frame is held for `by` frames more.

    Args:
        e: of the clip as it is; the map of `target` must be in it.
        by: frames, at least 1; as many are lost at the end.
        options: of the method, as they were for `e`.

    Returns:
        Spearman's correlation of the signed maps, the second one moved back, over the frames that
        both hold; and by which part of `by` the evidence over time came later (`localisation.lag`):
        1 is right, 0 stayed where it was.
    """
    frames = len(e.clip)
    if not 0 < by < frames - 2:
        raise BadInput(f"shift by {by} frames: give 1 to {frames - 3}, the clip has {frames}")
    later = np.maximum(np.arange(frames) - by, 0)
    after = explain(model, played(e.clip, later), method=e.method, classes=[int(target)], **options)
    one, other = _in_time(e, target), _in_time(after, target)
    moved = localisation.lag(e.evidence(target), after.evidence(target), min(2 * by, frames - 3))
    return localisation.spearman(one[:-by], other[by:]), moved / by


def _in_time(e: Explanation, target: int) -> np.ndarray:
    """A signed map brought to the frames: (T, h, w)."""
    return np.tensordot(e.grid.frame_weights(), e.signed[e.row(int(target))], axes=1)


# --- splicing ---------------------------------------------------------------------------------


def splice(first: Clip, second: Clip) -> Clip:
    """Two clips joined in the middle: the middle half of the one, then that of the other.

    In STEP (Li et al. 2021, arXiv:2005.00375, sec. 4) two videos are joined and sampled as one,
    which doubles their speed; here the frames stay as far apart as they were, and the middle half
    of each is taken, where the action mostly is.

    Pictures of two sizes are cut to what both have, around the middle.

    Raises:
        BadInput: clips of different numbers of frames, or fewer than four.
    """
    frames = len(first)
    if frames != len(second) or frames < 4:
        raise BadInput(
            f"cannot splice clips of {frames} and {len(second)} frames: give as many of both, 4 or "
            "more"
        )
    half = frames // 2
    parts = [_middle(first, half), _middle(second, frames - half)]
    size = [min(part.shape[axis] for part in parts) for axis in (1, 2)]
    for i, part in enumerate(parts):
        top, left = ((n - s) // 2 for n, s in zip(part.shape[1:3], size, strict=True))
        parts[i] = part[:, top : top + size[0], left : left + size[1]]
    return replace(
        first,
        frames=np.concatenate(parts),
        repeated=np.zeros(frames, bool),
        source=f"{first.source} + {second.source}",
    )


def _middle(clip: Clip, count: int) -> np.ndarray:
    """So many frames from the middle of what is not repeated; the first ones of a short clip."""
    real = int((~clip.repeated).sum())
    start = max(0, (real - count) // 2)
    return clip.frames[start : start + count]


def spliced_pointing(e: Explanation, targets: tuple[int, int]) -> tuple[float, float]:
    """Of a spliced clip: does each of the two classes have its strongest frame in its own half?

    Temporal pointing (STEP, Li et al. 2021), once for each class. A uniform map scores one half.

    Args:
        e: of `splice(…)`, with the maps of both classes in it.
        targets: the class of the first half, and that of the second.

    Returns:
        0..1 each.
    """
    frames = len(e.clip)
    halves = ((0, frames // 2 - 1), (frames // 2, frames - 1))
    one, two = (
        localisation.temporal_pointing(e.evidence(int(k)), half)
        for k, half in zip(targets, halves, strict=True)
    )
    return one, two


# --- all tests of one clip --------------------------------------------------------------------

CURVES: Mapping[str, tuple[bool, str]] = {
    f"{what}{suffix}": (what == "insertion", way)
    for what in ("deletion", "insertion")
    for suffix, way in (("", "space-time"), ("-space", "space"), ("-time", "time"))
}
"""measure -> (is it insertion, one of `WAYS`)"""


@torch.no_grad()
def areas(
    model: VideoModel,
    orders: Mapping[str, np.ndarray],
    x: Tensor,
    target: int,
    measures: Iterable[str] = CURVES,
    *,
    baseline: str = "median-frame",
    shares: Sequence[float] = SHARES,
    seed: int = 0,
    autocast: bool = False,
) -> dict[tuple[str, str, str], float]:
    """Areas under the curves of one clip, for several orders of its cells.

    Args:
        orders: who -> cells (T, g, g'), the larger the earlier.
        x: (1, 3, T, H, W).
        target: the class.
        measures: of `CURVES`.
        seed: of the order of equal values. Give another for another clip: of a map that knows no
            time all frames are equal, and one lucky order would decide a whole data set.
        autocast: run the network in bfloat16.

    Returns:
        (measure, "probability" or "logit", who) -> area; beside the orders' names `who` is "end":
        the answer that `gain` is measured against.
    """
    inner = [share for share in shares if 0 < share < 1]
    places: dict[tuple[str, bytes], int] = {}  # orders that agree are run once
    ranks: list[tuple[str, np.ndarray]] = []
    place_of: dict[tuple[str, str], int] = {}
    for measure in measures:
        for who, cells in orders.items():
            order = ranks_of(cells, CURVES[measure][1], seed)
            place = places.setdefault((measure, order.tobytes()), len(ranks))
            if place == len(ranks):
                ranks.append((measure, order))
            place_of[measure, who] = place

    def copies() -> Iterator[Tensor]:
        yield from perturbed(x, ranks[0][1], [0.0, 1.0], baseline)  # the same in every order
        for measure, order in ranks:
            yield from perturbed(x, order, inner, baseline, CURVES[measure][0])

    logits = torch.cat(
        list(_answers(model, copies(), None, autocast))
    ).double()  # (2 + ranks · inner, K)
    values: dict[tuple[str, str, str], float] = {}
    for unit, found in (("logit", logits), ("probability", model.activated(logits))):
        (whole, bare), rest = found[:2, target].tolist(), found[2:, target].numpy()
        rows = rest.reshape(len(ranks), -1)  # (ranks, inner)
        for (measure, who), place in place_of.items():
            begin, end = (bare, whole) if CURVES[measure][0] else (whole, bare)
            full = np.concatenate([[begin], rows[place], [end]])
            values[measure, unit, who] = float(area(full, [0.0, *inner, 1.0]))
            values[measure, unit, "end"] = end
    return values


def sanity_checks(
    model: VideoModel, e: Explanation, target: int, seed: int = 0, **options: Any
) -> dict[tuple[str, str, str], float]:
    """How the map of one clip changes when the network or the clip does; five explanations.

    After the "sanity checks for saliency maps" of Adebayo et al. 2018 (arXiv:1810.03292).

    Args:
        e: of the clip as it is; the map of `target` must be in it.
        target: the class.
        seed: of the shuffling.
        options: of the method, as they were for `e`.

    Returns:
        (measure, kind, "map") -> number: "randomisation" of the "head" alone and of "all" layers,
        "reversal", and "shift" ("alike" and "moved", see `shift`).
    """
    depths = (1, len(cascade(model)))
    kept = randomisation(
        model, [e.clip], [target], e.method, depths=depths, seeds=[seed], maps=[e], **options
    )
    head, everything = kept[0, :, 0].tolist()
    alike, moved = shift(model, e, target, **options)
    return {
        ("randomisation", "head", "map"): head,
        ("randomisation", "all", "map"): everything,
        ("reversal", "alike", "map"): reversal(model, e, target, **options),
        ("shift", "alike", "map"): alike,
        ("shift", "moved", "map"): moved,
    }


def perturbation_tests(
    model: VideoModel, e: Explanation, target: int, seed: int = 0, **options: Any
) -> dict[tuple[str, str, str], float]:
    """All tests of the map of one clip: `areas` and `sanity_checks`.

    Args:
        e: of the clip as it is; the map of `target` must be in it.
        target: the class.
        seed: of the random order, of the order of equal values and of the shuffling.
        options: of the method, as they were for `e`.
    """
    x, view = model.preprocess(e.clip)
    orders = {"map": cells_of(e.maps[e.row(target)], e.grid), **rival_cells(x, view, seed)}
    return areas(model, orders, x, target, seed=seed) | sanity_checks(
        model, e, target, seed, **options
    )
