"""Scores of a map: against the truth, and against the network.

The names below need no network and no torch: the measures of `localisation.py`, and those of
`per_clip.py`, which score one clip and many. `faithfulness.py` runs the network again on
perturbed clips, and `scoring.py` scores a method over a data set.
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
from .per_clip import ClipScore, score_clip, score_clips, summary

__all__ = [
    "ClipScore",
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
    "score_clip",
    "score_clips",
    "spearman",
    "strict_truth",
    "summary",
    "temporal_iou",
    "temporal_pointing",
    "to_raster",
    "tolerant_truth",
    "uniform_map",
]
