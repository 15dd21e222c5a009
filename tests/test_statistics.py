"""The package's own statistics beside scipy's, which it does not need to run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradcam_video.metrics.localisation import following, ranks, spearman
from gradcam_video.metrics.per_clip import DRAWS, ClipScore, summary
from gradcam_video.training.accuracy import wilson

RNG = np.random.default_rng


@pytest.mark.parametrize(
    ("hits", "n"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 7), (85, 100), (912, 1000), (1, 20_000)]
)
@pytest.mark.parametrize("level", [0.95, 0.8])
def test_wilson(hits: int, n: int, level: float) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    ours = wilson(hits, n, z=float(stats.norm.ppf((1 + level) / 2)))
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    if level == 0.95:  # its own z is given to six places
        assert wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


@pytest.mark.parametrize("values", ["normal", "ties", "constant", "one"])
def test_ranks(values: str) -> None:
    drawn = {
        "normal": RNG(0).normal(size=(4, 7, 7)),
        "ties": RNG(1).integers(0, 5, size=(16, 7, 7)).astype(float),
        "constant": np.ones((2, 3)),
        "one": np.array([[3.0]]),
    }[values]
    assert np.array_equal(ranks(drawn), stats.rankdata(drawn.ravel()) - 1)  # theirs begin at 1


@pytest.mark.parametrize("levels", [None, 2, 5, 30])
@pytest.mark.parametrize("seed", range(4))
def test_spearman(levels: int | None, seed: int) -> None:
    """Maps that have to do with each other, some with many equal values, as after a ReLU."""
    one = RNG(seed).normal(size=(8, 7, 7))
    other = one + RNG(seed + 100).normal(size=one.shape)
    if levels:
        one, other = (np.floor(levels * stats.norm.cdf(m)) for m in (one, other))
    theirs = stats.spearmanr(one, other, axis=None).statistic
    assert 0.2 < theirs < 0.9
    assert spearman(one, other) == pytest.approx(theirs, abs=1e-12)
    assert spearman(one, -other) == pytest.approx(-theirs, abs=1e-12)


def test_following_along_one_axis_is_pearsons_correlation() -> None:
    track = RNG(2).normal(size=(16, 1)).cumsum(axis=0)
    target = track + RNG(3).normal(size=track.shape)
    theirs = stats.pearsonr(track[:, 0], target[:, 0]).statistic
    assert following(track, target, least=0.1) == pytest.approx(theirs, abs=1e-12)


# --- intervals --------------------------------------------------------------------------------


def score_of(values: dict[tuple[str, str, str], float]) -> ClipScore:
    return ClipScore("clip", "a", True, False, False, 0.0, 0.0, 0.0, values)


def interval(result: Any) -> np.ndarray:
    return np.array([result.confidence_interval.low, result.confidence_interval.high])


def close(ours: dict[str, Any], theirs: np.ndarray) -> None:
    """Both ends within a tenth of the interval's length: ours are of 1,000 draws."""
    assert DRAWS == 1000
    found = np.array([ours["low"], ours["high"]])
    assert np.abs(found - theirs).max() < 0.1 * np.diff(theirs)[0], (found, theirs)


@pytest.mark.parametrize("n", [20, 300])
def test_the_interval_of_a_mean_is_the_percentile_bootstraps(n: int) -> None:
    for seed, draw in enumerate((RNG(4).random, RNG(5).exponential, RNG(6).normal)):
        values = draw(size=n)
        row = summary([score_of({("pointing", "strict", "map"): v}) for v in values])["right"]
        ours = row["pointing"]["strict"]["map"]
        theirs = stats.bootstrap(
            (values,), np.mean, n_resamples=20_000, method="percentile", rng=RNG(seed)
        )
        assert ours["mean"] == pytest.approx(values.mean(), abs=5e-5)
        close(ours, interval(theirs))


def test_the_interval_of_a_ratio_of_means_draws_the_clips_together() -> None:
    """The gain of deletion: (own - chance) / (end - chance), each term a mean over clips."""
    n = 120
    end = RNG(7).random(n) * 0.1
    chance = 0.5 + 0.3 * RNG(8).random(n)
    own = chance - 0.25 + 0.1 * RNG(9).normal(size=n)  # goes with chance, clip by clip
    keys = [("deletion", "probability", who) for who in ("map", "random", "end")]
    scores = [
        score_of(dict(zip(keys, row, strict=True))) for row in zip(own, chance, end, strict=True)
    ]
    ours = summary(scores)["right"]["deletion_gain"]["probability"]["map"]

    def gain(own: np.ndarray, chance: np.ndarray, end: np.ndarray, axis: int = -1) -> np.ndarray:
        o, c, e = (values.mean(axis=axis) for values in (own, chance, end))
        return (o - c) / (e - c)

    options: dict[str, Any] = {"n_resamples": 20_000, "method": "percentile", "rng": RNG(0)}
    together = interval(stats.bootstrap((own, chance, end), gain, paired=True, **options))
    assert ours["mean"] == pytest.approx(float(gain(own, chance, end)), abs=5e-5)
    close(ours, together)
    apart = interval(stats.bootstrap((own, chance, end), gain, **options))
    assert np.diff(apart)[0] > 1.2 * np.diff(together)[0]  # drawn one by one it would be wider
