"""The measures on synthetic cases with known values, and the scores of a network that is right."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gradcam_video as gv
from gradcam_video.cli import parser
from gradcam_video.cli.score import score_table
from gradcam_video.data.clip import Clip
from gradcam_video.data.ground_truth import Truth
from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.metrics.faithfulness import gain
from gradcam_video.metrics.localisation import (
    RASTER,
    aligned,
    centroids,
    draw,
    energy,
    following,
    gaussian_map,
    lag,
    normalised,
    oracle_map,
    outside,
    pointing,
    rank_accuracy,
    ranks,
    spearman,
    strict_truth,
    temporal_iou,
    temporal_pointing,
    to_raster,
    tolerant_truth,
    uniform_map,
)
from gradcam_video.metrics.per_clip import ClipScore, score_clip, score_clips, summary
from gradcam_video.metrics.scoring import score
from gradcam_video.models.video_model import VideoModel
from gradcam_video.tabletop.scene import Scene, sample

DOWN = "Moving [something] down"
SEVEN = (
    "Holding [something]",
    "Moving [something] from left to right",
    "Moving [something] from right to left",
    DOWN,
    "Picking [something] up",
    "Moving [something] towards the camera",
    "Moving [something] away from the camera",
)

SQUARE = View(RASTER, RASTER, RASTER, RASTER)  # the raster is the picture
REACH = 8  # pixels: 1/14 of 112


def masks_at(places: list[tuple[int, int]], side: int = 16) -> np.ndarray:
    """A square of `side` pixels whose top left corner is at (y, x) in each frame."""
    mask = np.zeros((len(places), RASTER, RASTER), dtype=bool)
    for t, (y, x) in enumerate(places):
        mask[t, y : y + side, x : x + side] = True
    return mask


def truth_of(mask: np.ndarray, action: tuple[int, int] = (1, 2), whole: bool = False) -> Truth:
    none = np.zeros_like(mask)
    return Truth({"hand": none, "object": mask, "second": none, "target": mask}, action, whole)


def grid_of(
    frames: int = 4, cells: int = 7, align: str = "half-pixel", view: View = SQUARE
) -> Grid:
    time_ = Axis(frames, frames, 0.0, 1.0)
    if align == "half-pixel":
        rows, columns = Axis.half_pixel(cells, view.rows), Axis.half_pixel(cells, view.columns)
    else:
        rows, columns = (Axis(cells, n, 0.0, n / cells) for n in (view.rows, view.columns))
    return Grid(time_, rows, columns, view, align)


def explanation_of(
    cells: np.ndarray, grid: Grid | None = None, *, best: int = 0, repeated: int = 0
) -> Explanation:
    """An explanation of class 0 of two whose map these cells are."""
    grid = grid or grid_of(len(cells), cells.shape[1])
    n = grid.time.size
    frames = np.zeros((n, grid.view.height, grid.view.width, 3), np.uint8)
    clip = Clip(frames, np.arange(n) / 4, np.arange(n) >= n - repeated, "synthetic")
    logits = np.eye(2, dtype=np.float32)[best]
    return Explanation(clip, ("a", "b"), logits, np.array([0]), cells[None].astype("f4"), grid)


MOVING = [(16, 8), (16, 24), (16, 40), (16, 56)]  # sixteen pixels a frame to the right


# --- the raster ---------------------------------------------------------------------------------


def test_the_raster_is_an_area_average_of_the_crop() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((2, 224, 448)).astype(np.float32)
    view = View(224, 448, 80, 80, 0, 112, 224, 336)  # the middle square, at 80 x 80
    expected = picture[:, :, 112:336].reshape(2, 112, 2, 112, 2).mean((2, 4))
    assert np.allclose(to_raster(picture, view), expected, atol=1e-6)


def test_parts_of_pixels_count_by_their_area() -> None:
    picture = np.zeros((1, 100, 100), np.float32)
    picture[0, 10:20, 30:50] = 1
    view = View(100, 100, 64, 64, 3.3, 7.7, 91.1, 95.5)
    area = (91.1 - 3.3) * (95.5 - 7.7) / RASTER**2  # of a raster pixel, in the picture's
    assert to_raster(picture, view).sum() * area == pytest.approx(200, rel=1e-5)


def test_a_wide_view_has_a_wide_raster_and_smaller_masks_fit() -> None:
    view = View(240, 320, 128, 171)
    assert to_raster(np.ones((1, 240, 320)), view).shape == (1, 112, 150)
    small = np.zeros((1, 60, 80), dtype=bool)
    small[0, :30, :40] = True
    large = small.repeat(4, axis=1).repeat(4, axis=2)
    assert np.allclose(to_raster(small, view), to_raster(large, view), atol=1e-5)


def test_a_map_is_drawn_as_the_pictures_show_it() -> None:
    rng = np.random.default_rng(1)
    for align in ("half-pixel", "receptive-field"):
        e = explanation_of(rng.random((4, 7, 7)), grid_of(align=align))
        shown = e.upsampled(0) * e.maps.max()
        assert np.allclose(draw(e.maps[0], e.grid), shown, atol=1e-6)


@pytest.mark.parametrize("align", ["half-pixel", "receptive-field"])
def test_a_map_is_drawn_where_the_pictures_show_it_in_a_crop(align: str) -> None:
    view = View(240, 427, 80, 80, 12.3, 93.5, 228.3, 309.5)
    e = explanation_of(np.random.default_rng(7).random((4, 7, 7)), grid_of(align=align, view=view))
    shown = to_raster(e.upsampled(0) * e.maps.max(), view)  # averaged: a little lower at the peaks
    drawn = draw(e.maps[0], e.grid)
    assert np.abs(drawn - shown)[:, 1:-1, 1:-1].max() < 0.05  # pixels cut by the crop's edge apart
    assert np.abs(drawn - np.roll(shown, 1, axis=2)).max() > 0.1


def test_alignment_can_be_chosen_but_not_invented() -> None:
    real = Grid(Axis(2, 16, 0, 8), Axis(7, 112, 0, 16), Axis(7, 112, 0, 16), SQUARE)
    half = aligned(real, "half-pixel")
    assert half.time.centres().tolist() == [3.5, 11.5]
    assert half.rows.centres()[0] == half.columns.centres()[0] == 7.5
    assert aligned(real, None) is real and aligned(real, "receptive-field") is real
    with pytest.raises(BadInput, match="could not be followed"):
        aligned(grid_of(), "receptive-field")
    with pytest.raises(BadInput, match="unknown align"):
        aligned(real, "corner")


# --- truth --------------------------------------------------------------------------------------


def test_strict_truth_is_hand_and_target_in_the_crop() -> None:
    truth = truth_of(masks_at([(0, 0)]))
    truth.masks["hand"] = masks_at([(0, 32)])
    truth.masks["object"] = masks_at([(64, 64)])  # not what the action is done to
    crop = View(RASTER, RASTER, 56, 56, 8, 8, 104, 104)  # 8 pixels lost on every side
    seen = strict_truth(truth, crop)
    expected = to_raster(masks_at([(0, 0)]) | masks_at([(0, 32)]), crop) >= 0.5
    assert np.array_equal(seen, expected) and seen.any()
    assert not seen[0, 70:, 50:].any()
    assert outside(truth, crop) == pytest.approx(1 - (8 * 8 + 8 * 16) / 512)
    assert math.isnan(outside(truth_of(np.zeros((1, 8, 8), dtype=bool)), crop))


def test_tolerant_truth_reaches_one_frame_and_half_a_cell() -> None:
    strict = np.zeros((5, RASTER, RASTER), dtype=bool)
    strict[2, 50, 60] = True
    tolerant = tolerant_truth(strict)
    assert tolerant.any(axis=(1, 2)).tolist() == [False, True, True, True, False]
    y, x = np.nonzero(tolerant[1])
    assert (y.min(), y.max(), x.min(), x.max()) == (42, 58, 52, 68)
    assert tolerant[1].sum() == (2 * REACH + 1) ** 2
    corner = np.zeros((1, RASTER, RASTER), dtype=bool)
    corner[0, 0, RASTER - 1] = True
    assert tolerant_truth(corner).sum() == (REACH + 1) ** 2


def test_truth_outside_the_crop_does_not_grow_into_it() -> None:
    mask = np.zeros((1, RASTER, 2 * RASTER), dtype=bool)
    mask[:, :, 50:56] = True
    view = View(RASTER, 2 * RASTER, RASTER, RASTER, 0, 56, RASTER, 168)
    assert not tolerant_truth(strict_truth(truth_of(mask), view)).any()
    assert outside(truth_of(mask), view) == 1


# --- energy, pointing ---------------------------------------------------------------------------


def test_energy_of_the_truth_its_inverse_a_uniform_and_an_empty_map() -> None:
    truth = masks_at(MOVING)
    assert energy(truth.astype("f4"), truth) == 1
    assert energy((~truth).astype("f4"), truth) == 0
    assert energy(uniform_map(truth.shape), truth) == pytest.approx(truth.mean())
    assert energy(np.zeros(truth.shape), truth) == 0


def test_energy_and_pointing_of_a_map_that_is_late() -> None:
    truth = masks_at(MOVING, side=16)
    late = np.zeros(truth.shape, np.float32)
    late[1:] = truth[:-1]  # by one frame: the square is just beside itself
    assert energy(late, truth) == 0 and pointing(late, truth) == 0
    tolerant = tolerant_truth(truth)
    assert energy(late, tolerant) == 1 and pointing(late, tolerant) == 1
    later = np.zeros(truth.shape, np.float32)
    later[2:] = truth[:-2]  # by two frames and 32 pixels
    assert energy(later, tolerant) == pytest.approx(0.5)  # 8 of 16 columns are within reach


@pytest.mark.parametrize("away, hit", [(0, 1), (REACH, 1), (REACH + 1, 0)])
def test_a_peak_just_inside_and_just_outside_the_tolerance(away: int, hit: int) -> None:
    strict = masks_at([(40, 40)], side=10)
    for y, x in ((40 - away, 45), (49 + away, 45), (45, 40 - away), (49 + away, 49 + away)):
        drawn = np.zeros(strict.shape, np.float32)
        drawn[0, y, x] = 1
        assert pointing(drawn, tolerant_truth(strict)) == hit
        assert pointing(drawn, strict) == (away == 0)


def test_which_frames_count_in_pointing() -> None:
    truth = masks_at(MOVING)
    drawn = truth.astype(np.float32)
    drawn[0] = 0  # the map is empty there: not counted
    truth[1] = False  # nothing to point at: not counted
    drawn[2] = (~truth[2]).astype(np.float32)  # beside it: a miss
    assert pointing(drawn, truth) == 0.5
    assert pointing(np.zeros(truth.shape), truth) == 0  # an empty map is a miss
    only_there = np.zeros(truth.shape)
    only_there[1] = 1
    assert pointing(only_there, truth) == 0
    assert math.isnan(pointing(drawn, np.zeros_like(truth)))


def test_equal_peaks_count_by_their_share() -> None:
    truth = masks_at(MOVING)
    assert pointing(uniform_map(truth.shape), truth) == pytest.approx(truth.mean())
    left_half = np.zeros(truth.shape)
    left_half[:, :, :56] = 1
    assert pointing(left_half, truth) == pytest.approx(np.mean([256, 256, 256, 0]) / 56 / 112)


def test_random_maps_score_chance() -> None:
    rng = np.random.default_rng(2)
    truth = np.zeros((500, 28, 28), dtype=bool)
    truth[:, 3:17, 5:19] = True  # a quarter
    drawn = rng.random(truth.shape)
    assert pointing(drawn, truth) == pytest.approx(0.25, abs=0.06)  # 3 standard deviations
    assert energy(drawn, truth) == pytest.approx(0.25, abs=0.01)
    hits = [temporal_pointing(rng.random(16), (4, 7)) for _ in range(1000)]
    assert np.mean(hits) == pytest.approx(0.25, abs=0.05)


def test_rank_accuracy_of_the_truth_its_inverse_a_uniform_and_a_late_map() -> None:
    truth = masks_at(MOVING)
    drawn = truth.astype("f4")
    assert rank_accuracy(drawn, truth) == 1
    assert rank_accuracy(1 + 0.01 * drawn, truth) == 1  # the order alone
    assert energy(1 + 0.01 * drawn, truth) == pytest.approx(truth.mean(), rel=0.02)
    assert rank_accuracy(1 - drawn, truth) == 0
    for same in (uniform_map(truth.shape), np.zeros(truth.shape)):
        assert rank_accuracy(same, truth) == pytest.approx(truth.mean())
    late = np.zeros(truth.shape, np.float32)
    late[1:] = truth[:-1]  # 768 pixels beside the truth; 256 more places among 49408 zeros
    assert rank_accuracy(late, truth) == pytest.approx(256 * 1024 / (truth.size - 768) / 1024)
    half = np.zeros(truth.shape, np.float32)
    half[:2] = truth[:2]  # two of four frames; the rest of the places by chance
    assert rank_accuracy(half, truth) == pytest.approx(0.5 + 0.5 * 512 / (truth.size - 512))
    assert math.isnan(rank_accuracy(drawn, np.zeros_like(truth)))
    assert rank_accuracy(drawn, np.ones_like(truth)) == 1
    rng = np.random.default_rng(8)
    assert rank_accuracy(rng.random(truth.shape), truth) == pytest.approx(truth.mean(), abs=0.02)


def test_the_gaussian_is_a_fifth_of_the_side_wide_and_in_the_middle() -> None:
    drawn = gaussian_map((2, 112, 150))
    assert np.allclose(centroids(drawn), [[55.5, 74.5]] * 2, atol=1e-3)
    across = drawn[0, 56] / drawn[0, 56].max()
    inside = across >= math.exp(-0.5)
    assert inside.sum() == pytest.approx(2 * 0.2 * 112, abs=1)
    assert pointing(drawn, np.ones(drawn.shape, dtype=bool)) == 1


# --- time ---------------------------------------------------------------------------------------


def test_temporal_pointing() -> None:
    peak = np.array([0, 1, 5, 1, 0, 0.0])
    assert temporal_pointing(peak, (2, 3)) == 1
    assert temporal_pointing(peak, (3, 4)) == 0
    assert temporal_pointing(peak, (3, 4), slack=1) == 1
    assert temporal_pointing(peak, (4, 5), slack=1) == 0
    assert temporal_pointing(np.zeros(6), (0, 5)) == 0  # an empty map is a miss
    assert temporal_pointing(np.ones(6), (2, 3)) == pytest.approx(1 / 3)  # knows no time: chance


def test_temporal_iou_of_a_map_that_is_right_late_and_says_nothing() -> None:
    action = (4, 7)
    right = np.zeros(16)
    right[4:8] = (0.5, 1, 1, 0.6)
    assert temporal_iou(right, action) == 1
    found = [temporal_iou(np.roll(right, k), action) for k in range(5)]
    assert found == pytest.approx([1, 3 / 5, 2 / 6, 1 / 7, 0])
    tolerant = [temporal_iou(np.roll(right, k), action, slack=1) for k in range(5)]
    assert tolerant == pytest.approx([1, 3 / 4, 2 / 5, 1 / 6, 0])
    assert temporal_iou(np.ones(16), action) == 4 / 16
    assert temporal_iou(1 - (right > 0), action) == 0
    assert temporal_iou(np.zeros(16), action) == 0
    faint = np.where(right > 0, 1, 0.49)  # less than half of the peak is not marked
    assert temporal_iou(faint, action) == 1


def test_spearman_is_the_correlation_of_ranks_with_ties_shared() -> None:
    rng = np.random.default_rng(9)
    assert ranks(np.array([[3, 1], [1, 7]])).tolist() == [2, 0.5, 0.5, 3]
    one = rng.normal(size=(4, 5, 6))
    assert spearman(one, np.exp(3 * one)) == pytest.approx(1)
    assert spearman(one, -one) == pytest.approx(-1)
    assert math.isnan(spearman(one, np.zeros_like(one)))
    two = rng.normal(size=one.shape)
    place = [np.argsort(np.argsort(x, axis=None)) for x in (one, two)]
    assert spearman(one, two) == pytest.approx(np.corrcoef(*place)[0, 1])
    many = [spearman(rng.normal(size=3136), rng.normal(size=3136)) for _ in range(100)]
    assert abs(np.mean(many)) < 0.01  # chance is zero


def test_lag_of_a_curve_shifted_by_k_frames() -> None:
    curve = np.array([0, 0, 1, 5, 9, 4, 1, 0, 0, 0, 0, 0], float)
    for k in (-2, 0, 1, 3):
        assert lag(curve, np.roll(curve, k), 4) == k
    assert lag(curve, np.ones(12), 4) == 0
    assert lag(curve, 3 * np.roll(curve, 2) + 7, 4) == 2  # scale and floor do not matter


def track_of(places: list[tuple[float, float]]) -> np.ndarray:
    return np.array(places, dtype=np.float64)


def test_following_is_the_correlation_of_two_tracks() -> None:
    right = track_of([(50, x) for x in (10, 30, 50, 70)])
    assert following(right, right, 8) == pytest.approx(1)
    assert following(0.2 * right + 40, right, 8) == pytest.approx(1)  # how far does not matter
    assert following(right[::-1], right, 8) == pytest.approx(-1)
    assert following(np.full_like(right, 5), right, 8) == 0  # stays put
    assert following(right[:, ::-1], right, 8) == pytest.approx(0)  # moves down instead
    diagonal = track_of([(x, x) for x in (10, 30, 50, 70)])
    assert following(diagonal, right, 8) == pytest.approx(math.sqrt(0.5))
    one = np.random.default_rng(3).normal(size=(9, 1)) * 9
    two = one + np.random.default_rng(4).normal(size=(9, 1)) * 9
    assert following(one, two, 8) == pytest.approx(np.corrcoef(one[:, 0], two[:, 0])[0, 1])


def test_what_following_leaves_out() -> None:
    right = track_of([(50, x) for x in (10, 30, 50, 70, 90)])
    rests = track_of([(50, x) for x in (10, 12, 14, 16, 17.9)])
    assert math.isnan(following(right, rests, 8))
    hidden = right.copy()
    hidden[2:] = np.nan  # seen twice
    assert math.isnan(following(right, hidden, 8))
    gap = right.copy()
    gap[3] = np.nan
    assert following(gap, right, 8) == pytest.approx(1)  # only where both are
    assert following(hidden, right, 8) == 0  # the map is empty nearly everywhere: a miss


def test_the_track_is_the_centre_of_mass() -> None:
    drawn = masks_at(MOVING, side=16).astype(np.float32)
    drawn[3] = 0
    track = centroids(drawn)
    assert np.allclose(track[:3], [(23.5, 15.5), (23.5, 31.5), (23.5, 47.5)])
    assert np.isnan(track[3]).all()


# --- the oracle ---------------------------------------------------------------------------------


def test_the_oracle_is_the_truth_pooled_to_the_grid() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random((4, RASTER, RASTER)) < 0.3
    pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(truth).float(), 16).numpy()
    assert np.allclose(oracle_map(truth, grid_of()), pooled, atol=1e-6)
    # Cells centred on pixels 0, 16, …: the first holds half a cell, the last all that is left.
    shifted = oracle_map(truth, grid_of(align="receptive-field"))
    assert np.allclose(shifted[:, 0, 0], truth[:, :9, :9].mean((1, 2)), atol=1e-6)
    assert np.allclose(shifted[:, 1, 6], truth[:, 9:25, 89:].mean((1, 2)), atol=1e-6)


def test_the_oracle_in_time() -> None:
    """Two cells, centred on frames 0 and 4: frames 0 to 2 go to the first, the rest to the other"""
    across = Axis.half_pixel(7, RASTER)
    grid = Grid(Axis(2, 8, 0, 4), across, across, SQUARE)
    truth = np.zeros((8, RASTER, RASTER), dtype=bool)
    truth[[0, 4, 5, 6, 7]] = True
    cells = oracle_map(truth, grid)
    assert np.allclose(cells[0], 1 / 3) and np.allclose(cells[1], 4 / 5)
    assert np.allclose(oracle_map(truth[4:], grid, np.arange(4, 8))[1], 1)  # of these frames alone


VIEWS: dict[str, View] = {
    "square": SQUARE,
    "crop": View(240, 427, 112, 112, 0, 93.5, 240, 333.5),
    "wide": View(240, 320, 128, 171),
}


@pytest.mark.slow
@pytest.mark.parametrize("align", ["half-pixel", "receptive-field"])
@pytest.mark.parametrize("view", VIEWS.values(), ids=list(VIEWS))
def test_the_oracle_scores_one_when_normalised(view: View, align: str) -> None:
    grid = grid_of(align=align, view=view)
    mask = np.zeros((4, view.height, view.width), dtype=bool)
    for t in range(4):
        y, x = view.height // 3, view.width // 3 + t * view.width // 14
        mask[t, y : y + view.height // 6, x : x + view.width // 8] = True
    truth = truth_of(mask)
    strict = strict_truth(truth, view)
    for kind, one in {"strict": strict, "tolerant": tolerant_truth(strict)}.items():
        scores = score_clips([(explanation_of(oracle_map(one, grid), grid), truth, 0)])["right"]
        assert scores["energy_normalised"][kind]["map"]["mean"] == 1
        assert scores["energy_normalised"][kind]["oracle"]["mean"] == 1
        assert scores["energy_normalised"][kind]["uniform"]["mean"] == 0
        assert scores["energy"][kind]["oracle"] == scores["energy"][kind]["map"]
        assert scores["energy_times_uniform"][kind]["oracle"]["mean"] > 2
    assert scores["following"]["x"]["map"]["mean"] > 0.98


def test_normalised() -> None:
    assert normalised(0.5, 0.2, 0.8) == pytest.approx(0.5)
    assert normalised(0.2, 0.2, 0.8) == 0 and normalised(0.8, 0.2, 0.8) == 1
    assert math.isnan(normalised(0.2, 0.2, 0.2))


# --- clips --------------------------------------------------------------------------------------


def cells_of(mask: np.ndarray) -> np.ndarray:
    return oracle_map(mask, grid_of(len(mask)))


def test_repeated_frames_are_left_out() -> None:
    mask = masks_at([*MOVING, MOVING[-1], MOVING[-1], MOVING[-1], MOVING[-1]])
    cells = cells_of(mask)
    cells[4:] = 99  # whatever is there does not count
    long = score_clip(explanation_of(cells, repeated=4), truth_of(mask, (1, 2)), 0)
    short = score_clip(explanation_of(cells[:4]), truth_of(mask[:4], (1, 2)), 0)
    assert long.values == pytest.approx(short.values, nan_ok=True)
    assert long.repeated == 0.5 and short.repeated == 0


def test_an_empty_map_is_a_miss_and_counted() -> None:
    one = score_clip(explanation_of(np.zeros((4, 7, 7))), truth_of(masks_at(MOVING)), 0)
    assert one.empty and one.empty_frames == 1
    for measure in ("energy", "pointing", "temporal_pointing"):
        for kind in ("strict", "tolerant"):
            assert one.values[measure, kind, "map"] == 0
    assert one.values["following", "plane", "map"] == 0


def test_an_action_that_fills_the_clip_is_apart() -> None:
    mask = masks_at(MOVING)
    for action, filled in (((0, 1), False), ((0, 2), True), ((0, 3), True)):
        values = score_clip(explanation_of(cells_of(mask)), truth_of(mask, action), 0).values
        assert (("temporal_pointing_filled", "strict", "map") in values) == filled
        assert (("temporal_pointing", "strict", "map") in values) != filled


def test_the_baselines_in_time() -> None:
    mask = masks_at([(48, 48)] * 8)
    cells = cells_of(mask)
    cells[5] *= 2
    values = score_clip(explanation_of(cells), truth_of(mask, (4, 6)), 0).values
    of = {who: values["temporal_pointing", "strict", who] for who in ("map", "middle", "uniform")}
    assert of == {"map": 1, "middle": 0.5, "uniform": 3 / 8}  # frames 3 and 4 are the middle
    assert values["temporal_pointing", "tolerant", "uniform"] == 5 / 8
    assert values["temporal_pointing", "tolerant", "middle"] == 1


def test_camera_classes_are_apart_and_say_only_when() -> None:
    mask = np.zeros((8, RASTER, RASTER), dtype=bool)
    cells = np.zeros((8, 7, 7))
    cells[3] = 1
    one = score_clip(explanation_of(cells), truth_of(mask, (2, 4), whole=True), 0)
    assert {measure for measure, _, _ in one.values} == {"temporal_pointing", "temporal_iou"}
    result = summary([one])
    assert result["right"] == {"n": 0} and result["camera_right"]["n"] == 1
    assert result["camera_right"]["temporal_pointing"]["strict"]["map"]["mean"] == 1
    assert "energy" not in result["camera_right"]


def test_the_main_rows_are_those_that_the_network_names() -> None:
    mask = masks_at(MOVING)
    good = explanation_of(cells_of(mask))
    bad = explanation_of(np.zeros((4, 7, 7)), best=1)
    result = score_clips([(good, truth_of(mask), 0), (bad, truth_of(mask), "a")])
    assert result["n"] == 2 and result["top1"] == 0.5
    assert result["right"]["n"] == 1 and result["all"]["n"] == 2
    assert result["right"]["pointing"]["tolerant"]["map"]["mean"] == 1
    assert result["all"]["pointing"]["tolerant"]["map"]["mean"] == 0.5
    assert result["all"]["empty_maps"] == 0.5
    assert result["classes"]["a"]["n"] == 2 and result["classes"]["a"]["pointing"] == 1


def test_a_clip_without_truth_in_the_crop_is_left_out() -> None:
    mask = masks_at(MOVING)
    nothing = truth_of(np.zeros_like(mask))
    maps = [explanation_of(cells_of(mask))] * 2
    group = score_clips([(maps[0], truth_of(mask), 0), (maps[1], nothing, 0)])["right"]
    assert group["truth_never_in_crop"] == 1 and group["n"] == 2
    assert group["energy"]["strict"]["map"]["n"] == group["pointing"]["strict"]["map"]["n"] == 1


def score_of(value: float) -> ClipScore:
    keys = [(m, "strict", w) for m in ("energy", "pointing") for w in ("map", "uniform", "oracle")]
    values = dict.fromkeys(keys, value) | {("energy", "strict", "uniform"): 0.1}
    values["energy", "strict", "oracle"] = 0.9
    return ClipScore("clip", "a", True, False, False, 0.0, 0.0, 0.0, values)


@pytest.mark.slow
def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(40):
        group = summary([score_of(v) for v in rng.random(100)])["right"]
        row = group["pointing"]["strict"]["map"]
        covered += row["low"] <= 0.5 <= row["high"]
        assert row["low"] < row["mean"] < row["high"]
        # 1.96 / sqrt(12 * 100) to either side
        assert row["high"] - row["low"] == pytest.approx(0.113, rel=0.25)
        ratio = group["energy_normalised"]["strict"]["map"]
        assert ratio["mean"] == pytest.approx((row["mean"] - 0.1) / 0.8, abs=2e-4)
        assert ratio["low"] < ratio["mean"] < ratio["high"]
    assert covered >= 33  # 38 expected


def test_bad_samples_are_one_line() -> None:
    mask = masks_at(MOVING)
    with pytest.raises(BadInput, match="truth of 3 frames for a clip of 4"):
        score_clip(explanation_of(np.zeros((4, 7, 7))), truth_of(mask[:3]), 0)
    with pytest.raises(BadInput, match="NaN"):
        score_clip(explanation_of(np.full((4, 7, 7), np.nan)), truth_of(mask), 0)
    with pytest.raises(BadInput, match="no map for class"):
        score_clip(explanation_of(np.zeros((4, 7, 7))), truth_of(mask), 1)


WITHOUT_TORCH = """
import sys

sys.modules["torch"] = None  # importing it raises
import numpy as np

from gradcam_video import metrics
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.tabletop.scene import sample

scene = sample("Picking [something] up", 7, size=(56, 56))
frames = len(scene.clip)
view = View(56, 56, 56, 56)
grid = Grid(Axis(frames, frames, 0.0, 1.0), *[Axis.half_pixel(7, 56)] * 2, view)
cells = metrics.oracle_map(metrics.strict_truth(scene.truth, view), grid)
e = Explanation(scene.clip, ("a", "b"), np.eye(2)[0], np.array([0]), cells[None], grid)
one = metrics.score_clip(e, scene.truth, "a")
right = metrics.summary([one, one])["right"]
print(right["energy_normalised"]["strict"]["map"]["mean"], sys.modules["torch"])
"""


@pytest.mark.slow
def test_maps_are_scored_without_torch() -> None:
    root = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert done.stdout.split() == ["1.0", "None"], done.stderr


# --- a network, end to end ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return gv.load_model("tabletop")


class SyntheticData:
    """Synthetic clips, never on disk; clip 1 cannot be read, clip 2 has no truth."""

    labels = SEVEN

    def __init__(self, count: int, hurt: bool = True) -> None:
        self.targets = [i % 7 for i in range(count)]
        self.ids = [f"synthetic-{i}" for i in range(count)]
        self.hurt = hurt

    def __len__(self) -> int:
        return len(self.ids)

    def _scene(self, i: int) -> Scene:
        return sample(self.labels[self.targets[i]], 7_000_000 + i)

    def clip(self, i: int) -> Clip:
        if self.hurt and i == 1:
            raise BadInput("synthetic-1: damaged")
        return self._scene(i).clip

    def truth(self, i: int, clip: Clip) -> Truth | None:
        return None if self.hurt and i == 2 else self._scene(i).truth


@pytest.fixture(scope="module")
def result(model: VideoModel) -> dict[str, Any]:
    return score(model, SyntheticData(16))


@pytest.mark.slow
def test_the_shipped_network_is_right_for_the_right_reasons(result: dict[str, Any]) -> None:
    group = result["right"]
    assert result["n"] == 14 and result["top1"] > 0.8
    energy_ = group["energy_normalised"]["tolerant"]
    assert energy_["map"]["low"] > 0.7 and energy_["map"]["low"] > 3 * energy_["gaussian"]["mean"]
    pointing_ = group["pointing"]["tolerant"]
    assert pointing_["map"]["low"] > pointing_["gaussian"]["mean"] > pointing_["uniform"]["mean"]
    assert pointing_["oracle"]["mean"] > 0.99
    assert pointing_["uniform"]["mean"] == pytest.approx(group["tolerant_area_median"], abs=0.1)
    when = group["temporal_pointing"]["tolerant"]
    assert when["map"]["mean"] > 0.9 > when["uniform"]["mean"]
    assert group["following"]["plane"]["map"]["mean"] > 0.25


@pytest.mark.slow
def test_clips_that_the_network_names_rightly_are_tested_further(model: VideoModel) -> None:
    result = score(model, SyntheticData(3, hurt=False), perturbation_tests=2)
    group = result["right"]
    assert (
        "reversal" not in result["all"]
        and "reversal" not in score(model, SyntheticData(1, hurt=False))["right"]
    )
    tests = {"deletion", "insertion-time", "randomisation", "reversal", "shift"}
    for measure in tests:
        for row in group[measure].values():
            assert row["map"]["n"] == 2
    assert group["splicing"]["halves"]["map"]["n"] == 1
    gains = group["deletion_gain"]["probability"]
    area = {who: row["mean"] for who, row in group["deletion"]["probability"].items()}
    assert gains["map"]["mean"] == pytest.approx(
        gain(area["map"], area["random"], area["end"]), abs=0.01
    )
    assert gains["random"]["mean"] == 0 and gains["map"]["n"] == 2
    text = score_table(result)
    assert "perturbation tests" in text and "deletion in space-time" in text


@pytest.mark.slow
def test_what_was_left_out_is_said(result: dict[str, Any]) -> None:
    assert result["failures"] == {"synthetic-1": "synthetic-1: damaged"}
    assert result["without_truth"] == 1
    assert set(result["classes"]) == set(SEVEN)
    assert sum(row["n"] for row in result["classes"].values()) == 14
    assert result["align"] == "receptive-field" and result["method"] == "gradcam"


@pytest.mark.slow
def test_the_result_is_json_and_a_table(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    text = score_table(result)
    mean = result["right"]["pointing"]["tolerant"]["map"]["mean"]
    line = next(x for x in text.splitlines() if x.startswith("pointing") and "tolerant" in x)
    assert f"{mean:.2f}" in line.split()
    assert all(name in text for name in SEVEN)
    assert "nan" not in text and max(map(len, text.splitlines())) < 130


@pytest.mark.slow
def test_a_limit_draws_the_same_clips_and_half_pixel_differs(model: VideoModel) -> None:
    data = SyntheticData(40, hurt=False)
    few, again = (score(model, data, limit=2) for _ in range(2))
    assert few == again and few["n"] == 2
    half = score(model, data, limit=2, align="half-pixel")
    assert half["align"] == "half-pixel"
    assert half["right"]["energy"]["strict"]["map"] != few["right"]["energy"]["strict"]["map"]
    assert (
        half["right"]["energy"]["strict"]["uniform"] == few["right"]["energy"]["strict"]["uniform"]
    )


@pytest.mark.slow
def test_scoring_in_batches_is_the_same(model: VideoModel) -> None:
    data = SyntheticData(3, hurt=False)
    one, three = score(model, data), score(model, data, batch=2)
    assert three["n"] == one["n"] == 3
    means = [r["all"]["energy"]["strict"]["map"]["mean"] for r in (one, three)]
    assert means[0] == pytest.approx(means[1], abs=1e-3)


class Forgetful(SyntheticData):
    labels = (*SEVEN[:6], "Juggling [something]")


@pytest.mark.parametrize(
    "make, options, words",
    [
        (lambda: SyntheticData(4), {"method": "gradcam-plus"}, "unknown method"),
        (lambda: SyntheticData(4), {"align": "corner"}, "unknown align"),
        (lambda: SyntheticData(4), {"limit": 0}, "1 or more"),
        (lambda: SyntheticData(0), {}, "no clips"),
        (lambda: Forgetful(7), {}, "no class 'Juggling"),
    ],
)
def test_bad_input_is_one_line(
    model: VideoModel, make: Callable[[], SyntheticData], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        score(model, make(), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_set_without_truth_or_without_clips_that_open(model: VideoModel) -> None:
    class Bare(SyntheticData):
        def truth(self, i: int, clip: Clip) -> Truth | None:
            return None

    class Broken(SyntheticData):
        def clip(self, i: int) -> Clip:
            raise BadInput(f"{self.ids[i]}: not a video")

    with pytest.raises(BadInput, match="no truth lies beside"):
        score(model, Bare(3, hurt=False))
    with pytest.raises(BadInput, match="none of 3 clips could be read; the first, synthetic-0"):
        score(model, Broken(3))


# --- the command --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set in V1's layout, of five classes."""
    from gradcam_video.tabletop.export import write_split

    root = tmp_path_factory.mktemp("sets") / "tabletop"
    file = write_split(root, "test", 16, 0, "v1", size=(112, 112), workers=1)
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened, delimiter=";"))
    kept = [row for i, row in enumerate(rows) if FORTY_NAMES[i] in SEVEN[1:]]
    file.write_text("".join(";".join(row) + "\n" for row in kept))
    return root


def run(*arguments: str) -> int:
    return parser.run(["score", "--device", "cpu", *arguments])


@pytest.mark.slow
def test_the_command_prints_a_table_or_json(
    on_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", str(on_disk)) == 0
    text = capsys.readouterr().out
    assert "oracle-normalised" in text and DOWN in text
    assert run("--data", str(on_disk), "--json", "--limit", "3", "--align", "half-pixel") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 3 and result["align"] == "half-pixel" and result["failures"] == {}
    assert result["all"]["energy"]["tolerant"]["map"]["mean"] > 0


@pytest.mark.slow
def test_bad_options_are_one_line(on_disk: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--limit 0"):
        run("--data", str(on_disk), "--limit", "0")
    with pytest.raises(BadInput, match="--perturbation-tests -1: give 0 or more"):
        run("--data", str(on_disk), "--ask", "-1")
    with pytest.raises(BadInput, match="unknown method 'gradcan'"):  # before the model
        run("--data", str(on_disk), "--method", "gradcan", "--model", "no such model")
    with pytest.raises(BadInput, match=str(tmp_path)):
        run("--data", str(tmp_path))
