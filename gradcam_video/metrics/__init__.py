"""Scores of a map: against the truth, and against the network.

The names below are those of `localisation.py`, which knows no network; `faithfulness.py` asks the
network again, and `scoring.py` scores a data set.
"""

from .localisation import (
    centroids,
    draw,
    energy,
    following,
    gaussian_map,
    lag,
    normalised,
    object_track,
    oracle_map,
    outside,
    pointing,
    rank_accuracy,
    spearman,
    strict_truth,
    temporal_iou,
    temporal_pointing,
    to_raster,
    tolerant_truth,
    uniform_map,
)

__all__ = [
    "centroids",
    "draw",
    "energy",
    "following",
    "gaussian_map",
    "lag",
    "normalised",
    "object_track",
    "oracle_map",
    "outside",
    "pointing",
    "rank_accuracy",
    "spearman",
    "strict_truth",
    "temporal_iou",
    "temporal_pointing",
    "to_raster",
    "tolerant_truth",
    "uniform_map",
]
