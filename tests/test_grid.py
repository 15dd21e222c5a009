"""Where cells lie: interpolation, the crop, and its inverse."""

from __future__ import annotations

import numpy as np

from gradcam_video.geometry import Axis, Grid, View


def test_cells_are_drawn_at_their_centres_and_linear_between() -> None:
    axis = Axis(cells=3, size=9, offset=0.0, stride=4.0)
    drawn = axis.weights(np.arange(9)) @ np.array([0.0, 4.0, 0.0])
    np.testing.assert_allclose(drawn, [0, 1, 2, 3, 4, 3, 2, 1, 0])


def test_beyond_the_outermost_centres_the_nearest_cell_holds() -> None:
    axis = Axis(cells=2, size=16, offset=0.0, stride=8.0)  # an r3d_18 in time
    drawn = axis.weights(np.arange(16)) @ np.array([0.0, 1.0])
    np.testing.assert_allclose(drawn[:9], np.arange(9) / 8)
    np.testing.assert_allclose(drawn[8:], 1)


def test_half_pixel_is_what_a_resize_draws() -> None:
    import torch
    from torch.nn.functional import interpolate

    cells = torch.rand(7)
    ours = Axis.half_pixel(7, 224).weights(np.arange(224)) @ cells.numpy()
    theirs = interpolate(cells[None, None], 224, mode="linear", align_corners=False)[0, 0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)


def test_every_row_sums_to_one_and_one_cell_fills_all() -> None:
    for cells in (1, 2, 7):
        weights = Axis(cells, 30, -2.5, 4.0).weights(np.linspace(-5, 40, 91))
        assert (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_a_centre_crop_is_inverted_and_the_rest_is_zero() -> None:
    # 240×427, short side to 224, centre crop 224×224: columns 93.5 … 333.5 of the original.
    left = 427 * 87 / 399
    right = 427 * 311 / 399
    view = View(240, 427, 224, 224, left=left, right=right)
    assert view.seen_rows().all()
    seen = np.flatnonzero(view.seen_columns())
    assert abs(seen[0] - left) <= 1 and abs(seen[-1] - right) <= 1
    grid = Grid(Axis(1, 1, 0, 1), Axis(7, 224, 0, 32), Axis(7, 224, 0, 32), view)
    drawn = grid.column_weights() @ np.ones(7)
    np.testing.assert_allclose(drawn, view.seen_columns(), atol=1e-6)
    # The cell centred on input column 96 lies at original column (96.5 / 224) of the crop.
    at = grid.column_weights()[:, 3].argmax()
    assert abs(at + 0.5 - (left + 96.5 / 224 * (right - left))) < 1
