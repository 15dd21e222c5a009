"""Scores of maps against the truth: of one clip, and of many. No network is needed.

What each number means is defined in `localisation`. Here every measure is taken per clip, averaged
over clips, and given with a 95 % interval (bootstrap over clips). Beside it stands what a uniform
map, a centre prior, the middle frame, chance and the oracle score on the same clips.

The main rows are the clips whose true class the network names first: a map of a class that the
network does not see need not be anywhere. Classes whose action is the camera's own are apart: there
the whole frame is the truth, and only *when* can be said.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.ground_truth import Truth
from ..errors import BadInput
from ..explanation import Explanation
from . import localisation

FILLS = 0.75
"""An action that lasts this share of the clip is hit by nearly any frame: it is kept apart."""
DRAWS = 1000
"""Bootstrap samples that each interval is taken from."""
TRUTH_KINDS = {"strict": 0, "tolerant": 1}
"""Kinds of truth, and by how many frames each widens the action."""
Values = dict[tuple[str, str, str], float]
"""(measure, kind of truth, whose map) -> score; NaN where there is none."""


# --- one clip ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClipScore:
    """All measures of one map.

    Attributes:
        source: the clip's name.
        label: its true class, whose map is scored; where nobody said it, the network's first.
        right: the network names that class first.
        unknown: nobody said which class is true.
        camera: the action is the camera's own; `values` then holds only what asks *when*.
        empty: the map holds no positive evidence.
        empty_frames: share of the frames with truth in which the map is empty.
        outside: share of the truth's pixels outside the network's crop, NaN without truth.
        repeated: share of the frames that were left out because they repeat the one before.
        values: see `Values`.
        perturbation_tests: what the network said of perturbed clips, of
            `faithfulness.perturbation_tests`, by such keys; empty where it was not run again.
    """

    source: str
    label: str
    right: bool
    camera: bool
    empty: bool
    empty_frames: float
    outside: float
    repeated: float
    values: Mapping[tuple[str, str, str], float]
    unknown: bool = False
    perturbation_tests: Mapping[tuple[str, str, str], float] = field(default_factory=dict)


def score_clip(
    e: Explanation, truth: Truth, target: str | int | None, align: str | None = None
) -> ClipScore:
    """Score the map of a clip's true class.

    Args:
        e: by any method; the map of `target` must be in it.
        truth: of the same frames as `e.clip`. Frames that it does not speak of are left out.
        target: the true class, name or index into `e.labels`; None: not known, the class that the
            network names first.
        align: how the map is drawn, see `localisation.aligned`; None: as the explanation has it.

    Raises:
        BadInput: no map of that class, a map of NaN, or a truth of other frames.
    """
    row = e.row(int(np.argmax(e.logits)) if target is None else target)
    grid = localisation.aligned(e.grid, align)
    cells = e.maps[row]  # (T', h, w)
    _check(e, cells, truth)
    seen = ~e.clip.repeated
    frames = np.flatnonzero(seen if truth.known is None else seen & truth.known)
    if not len(frames):
        raise BadInput(f"{e.clip.source}: none of its frames is annotated; check the truth's times")
    truth = truth.take(frames)
    placed = bool(truth.masks) and not truth.whole
    drawn = localisation.draw(cells, grid, frames)  # (n, R, C)
    if not placed:
        strict = np.full(drawn.shape, truth.whole)
        values = _when(drawn, {}, truth.action)
    else:
        strict = localisation.strict_truth(truth, grid.view)
        truths = {"strict": strict, "tolerant": localisation.tolerant_truth(strict)}
        oracles = {  # (n, R, C) each
            kind: localisation.draw(localisation.oracle_map(mask, grid, frames), grid, frames)
            for kind, mask in truths.items()
        }
        motion = localisation.motion_map(e.clip.frames, grid.view)[frames]
        values = _where(drawn, oracles, truths, motion) | _when(drawn, oracles, truth.action)
        values |= _follows(drawn, oracles["strict"], localisation.object_track(truth, grid.view))
    has_truth = strict.any(axis=(1, 2))  # (n,)
    shows = drawn.max(axis=(1, 2)) > 0  # (n,)
    return ClipScore(
        source=e.clip.source,
        label=e.labels[int(e.classes[row])],
        right=int(np.argmax(e.logits)) == int(e.classes[row]),
        camera=truth.whole,
        empty=not shows.any(),
        empty_frames=float(1 - shows[has_truth].mean()) if has_truth.any() else math.nan,
        outside=localisation.outside(truth, grid.view) if placed else math.nan,
        repeated=float(e.clip.repeated.mean()),
        values=values,
        unknown=target is None,
    )


def _check(e: Explanation, cells: np.ndarray, truth: Truth) -> None:
    """Refuse a truth of other frames, and a map that is no number."""
    if len(truth) != len(e.clip):
        raise BadInput(
            f"{e.clip.source}: truth of {len(truth)} frames for a clip of {len(e.clip)}: take the "
            "clip's own frames with truth.take(indices)"
        )
    if not np.isfinite(cells).all():
        raise BadInput(
            f"{e.clip.source}: the map is not a number (NaN); look for NaN in the weights of "
            f"{e.model or 'the network'}, or run it without autocast"
        )


def _where(
    drawn: np.ndarray,
    oracles: Mapping[str, np.ndarray],
    truths: Mapping[str, np.ndarray],
    motion: np.ndarray,
) -> Values:
    """Energy, pointing and rank accuracy of the map and of what it is compared with."""
    values: Values = {}
    for kind, truth in truths.items():
        maps = {
            "map": drawn,
            "uniform": localisation.uniform_map(drawn.shape),
            "gaussian": localisation.gaussian_map(drawn.shape),
            "motion": motion,
            "oracle": oracles[kind],
        }
        there = bool(truth.any())  # in the crop, at some moment; if not, there is no score
        area = float(truth.mean()) if there else math.nan  # which is a uniform map's energy
        for who, one in maps.items():
            values["energy", kind, who] = localisation.energy(one, truth) if there else math.nan
            values["energy_ratio", kind, who] = values["energy", kind, who] / area
            values["pointing", kind, who] = localisation.pointing(one, truth)
            # Of a uniform map it is the same, its area: no need to sort for it.
            values["rank_accuracy", kind, who] = (
                values["energy", kind, who]
                if who == "uniform"
                else localisation.rank_accuracy(one, truth)
            )
    return values


def _when(
    drawn: np.ndarray, oracles: Mapping[str, np.ndarray], action: tuple[int, int] | None
) -> Values:
    """Temporal pointing and temporal IoU of the map and of what it is compared with.

    None where nobody said when.

    The oracle is the drawn truth: it knows where, not when, for the hand is often in sight before
    and after the action too.
    """
    if action is None:
        return {}
    frames = len(drawn)
    filled = action[1] - action[0] + 1 >= FILLS * frames
    measure = "temporal_pointing_filled" if filled else "temporal_pointing"
    # Of an even number of frames two are in the middle.
    middle = np.isin(np.arange(frames), [(frames - 1) // 2, frames // 2])
    values: Values = {}
    for kind, slack in TRUTH_KINDS.items():
        evidence = {
            "map": drawn.sum(axis=(1, 2)),
            "uniform": np.ones(frames),
            "middle": middle.astype(float),
        }
        if kind in oracles:
            evidence["oracle"] = oracles[kind].sum(axis=(1, 2))
        for who, one in evidence.items():
            values[measure, kind, who] = localisation.temporal_pointing(one, action, slack)
            values["temporal_iou", kind, who] = localisation.temporal_iou(one, action, slack)
    return values


def _follows(drawn: np.ndarray, oracle: np.ndarray, target: np.ndarray) -> Values:
    """Following of the map and the oracle: in the plane, and along each axis where it moves."""
    least = localisation.GROWTH * min(drawn.shape[1:])
    axes = {"plane": slice(0, 2), "y": slice(0, 1), "x": slice(1, 2)}
    tracks = {"map": localisation.centroids(drawn), "oracle": localisation.centroids(oracle)}
    return {
        ("following", axis, who): localisation.following(track[:, part], target[:, part], least)
        for axis, part in axes.items()
        for who, track in tracks.items()
    }


# --- many clips -------------------------------------------------------------------------------


def score_clips(
    samples: Iterable[tuple[Explanation, Truth, str | int]], align: str | None = None
) -> dict[str, Any]:
    """Score many maps: `summary` of `score_clip` of each (explanation, truth, true class)."""
    return summary([score_clip(e, truth, target, align) for e, truth, target in samples])


def summary(scores: Sequence[ClipScore]) -> dict[str, Any]:
    """Means over clips, as a dictionary that JSON takes.

    Returns:
        "n", "top1" (of the clips whose true class is known), and five groups of clips: "right" (the
        true class is first), "first" (it is not known, the map is of the network's first class)
        and "all", without camera classes, "camera_right" and "camera_all"; and "classes", the main
        numbers of the "right" clips per class. A group holds its shares left out, and
        measure -> kind of truth -> whose map -> {"mean", "low", "high", "n"}, the 95 % interval of
        the mean and the number of clips that it is taken over. Whose map: the network's ("map"),
        "uniform" (which is chance), "gaussian", "motion", "middle" (frame), "oracle". "right" has
        the perturbation tests as well, beside "random" and "motion".
    """
    plain = [s for s in scores if not s.camera]
    camera = [s for s in scores if s.camera]
    return {
        "n": len(scores),
        "top1": _mean([s.right for s in scores if not s.unknown]),
        "right": _group([_with_tests(s) for s in plain if s.right and not s.unknown]),
        "first": _group([s for s in plain if s.unknown]),
        "all": _group(plain),
        "camera_right": _group([s for s in camera if s.right]),
        "camera_all": _group(camera),
        "classes": _per_class([s for s in scores if not s.unknown]),
    }


def _with_tests(score: ClipScore) -> ClipScore:
    """The same score, its perturbation tests among its values."""
    return replace(score, values={**score.values, **score.perturbation_tests})


def _group(scores: Sequence[ClipScore]) -> dict[str, Any]:
    """One group of clips: what was left out, and every measure."""
    group: dict[str, Any] = {"n": len(scores)}
    if not scores:
        return group
    areas = [s.values.get(("energy", "tolerant", "uniform"), math.nan) for s in scores]
    known = [area for area in areas if not math.isnan(area)]
    group |= {
        "empty_maps": _mean([s.empty for s in scores]),
        "empty_frames": _mean([s.empty_frames for s in scores]),
        "outside_crop": _mean([s.outside for s in scores]),
        "repeated_frames": _mean([s.repeated for s in scores]),
        "tolerant_area_median": round(float(np.median(known)), 4) if known else None,
        "truth_never_in_crop": sum(map(math.isnan, areas)) if not scores[0].camera else 0,
        "object_rests": sum(
            math.isnan(s.values.get(("following", "plane", "map"), 0.0)) for s in scores
        ),
    }
    for (measure, kind, who), value in _intervals(scores).items():
        group.setdefault(measure, {}).setdefault(kind, {})[who] = value
    return group


def _intervals(scores: Sequence[ClipScore]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Mean, interval and count of every measure, and of the ratios that are made of means."""
    keys = list(dict.fromkeys(key for s in scores for key in s.values))
    values = np.array([[s.values.get(key, math.nan) for key in keys] for s in scores])  # (n, m)
    counts = np.sum(~np.isnan(values), axis=0)
    means = _ratios(keys, _means(values, np.ones((1, len(scores)))))
    spread = _ratios(keys, _resampled(values))
    rows = {}
    for key, (mean,) in means.items():
        own = key if key in keys else (key[0].partition("_")[0], *key[1:])  # a ratio: its terms
        n = int(counts[keys.index(own)])
        known = spread[key][np.isfinite(spread[key])]
        low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (math.nan, math.nan)
        rows[key] = {"mean": _plain(mean), "low": _plain(low), "high": _plain(high), "n": n}
    return rows


def _resampled(values: np.ndarray) -> np.ndarray:
    """Means over clips drawn with replacement, many times: (n, m) -> (DRAWS, m)."""
    rng, n = np.random.default_rng(0), len(values)
    even = np.full(n, 1 / n)
    # How often each clip was drawn, (100, n): a hundred at a time keep the memory small.
    times = (rng.multinomial(n, even, size=100) for _ in range(DRAWS // 100))
    return np.concatenate([_means(values, some) for some in times])


def _means(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Means over clips that each count so many times, NaN left out: (n, m), (b, n) -> (b, m)."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (times @ np.where(known, values, 0)) / (times @ known.astype(float))


def _ratios(
    keys: Sequence[tuple[str, str, str]], means: np.ndarray
) -> dict[tuple[str, str, str], np.ndarray]:
    """The means by key, and with them what is a ratio of means, of energy and of areas."""
    by_key = dict(zip(keys, means.T, strict=True))  # each (b,)
    ratios: dict[tuple[str, str, str], np.ndarray] = {}
    for measure, kind, who in keys:
        with np.errstate(invalid="ignore", divide="ignore"):
            if measure == "energy":
                x, uniform, oracle = (by_key["energy", kind, w] for w in (who, "uniform", "oracle"))
                ratios["energy_normalised", kind, who] = (x - uniform) / (oracle - uniform)
                ratios["energy_times_uniform", kind, who] = x / uniform
            elif (measure, kind, "end") in by_key and who != "end":  # `faithfulness.gain`
                x, chance, end = (by_key[measure, kind, w] for w in (who, "random", "end"))
                ratios[f"{measure}_gain", kind, who] = (x - chance) / (end - chance)
    return by_key | ratios


def _per_class(scores: Sequence[ClipScore]) -> dict[str, dict[str, Any]]:
    """The main numbers of each class: tolerant, of the clips whose class was named first."""
    by_class: dict[str, list[ClipScore]] = defaultdict(list)
    for s in scores:
        by_class[s.label].append(s)
    rows = {}
    for label, own in sorted(by_class.items()):
        right = [s.values for s in own if s.right]

        def mean(measure: str, kind: str = "tolerant", who: str = "map", of: Any = right) -> Any:
            return _mean([values.get((measure, kind, who), math.nan) for values in of])

        terms = [mean("energy", who=who) for who in ("map", "uniform", "oracle")]
        rows[label] = {
            "n": len(own),
            "top1": _mean([s.right for s in own]),
            "energy": terms[0],
            "energy_normalised": None if None in terms else _plain(localisation.normalised(*terms)),
            "pointing": mean("pointing"),
            "temporal_pointing": mean("temporal_pointing"),
            "temporal_pointing_filled": mean("temporal_pointing_filled"),
            "following": mean("following", "plane"),
        }
    return rows


def _mean(values: Sequence[float]) -> float | None:
    known = [float(v) for v in values if not math.isnan(v)]
    return _plain(sum(known) / len(known)) if known else None


def _plain(value: float) -> float | None:
    """A number that JSON takes: NaN has none."""
    return round(float(value), 4) if math.isfinite(value) else None
