"""What holds for every axis, crop, fold and timeline, tried on many that hypothesis draws."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradcam_video.data.clip import VideoWindows, centre_start, choose_frames
from gradcam_video.data.frames import TOLERANCE
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.models.token_layout import TokenGrid

# The same examples in every run: a test that guesses fails for somebody else.
steady = settings(deadline=None, derandomize=True, max_examples=60)

# --- geometry -----------------------------------------------------------------------------------

numbers = st.floats(-50, 50).map(lambda x: round(x, 3))
strides = st.floats(0.25, 40).map(lambda x: round(x, 3))


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    return Axis(draw(st.integers(1, 12)), draw(st.integers(1, 64)), draw(numbers), draw(strides))


@st.composite
def views(draw: st.DrawFn) -> View:
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    edges = []
    for size in (height, width):
        first = draw(st.floats(0, size * 0.6))
        edges.append((first, draw(st.floats(first + size * 0.1, size))))
    (top, bottom), (left, right) = edges
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return View(height, width, rows, columns, top, left, bottom, right)


@pytest.mark.slow
@steady
@given(axis=axes(), positions=st.lists(st.floats(-200, 900), min_size=1, max_size=20))
def test_weights_are_shares_of_the_two_cells_beside(axis: Axis, positions: list[float]) -> None:
    weights = axis.weights(np.array(positions))
    assert weights.shape == (len(positions), axis.cells) and weights.dtype == np.float32
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    for row in weights:
        held = np.flatnonzero(row)
        assert len(held) <= 2 and held[-1] - held[0] <= 1


@steady
@given(axis=axes(), positions=st.lists(st.floats(-200, 900), min_size=1, max_size=20))
def test_a_ramp_over_the_cells_is_a_ramp_over_the_input(axis: Axis, positions: list[float]) -> None:
    """Linear: cells that hold their own centre's index give the index, up to the last centres."""
    centres = axis.centres()
    drawn = axis.weights(np.array(positions)) @ centres
    expected = np.clip(positions, centres[0], centres[-1])
    np.testing.assert_allclose(drawn, expected, atol=1e-4 * (1 + np.abs(centres).max()))


@steady
@given(axis=axes(), data=st.data())
def test_resampled_at_the_cells_centres_the_cells_come_back(
    axis: Axis, data: st.DataObject
) -> None:
    cells = np.array(data.draw(st.lists(numbers, min_size=axis.cells, max_size=axis.cells)))
    at_centres = axis.weights(axis.centres())
    np.testing.assert_allclose(at_centres @ cells, cells, atol=1e-3)
    # And a resample of the resample is the first one.
    fine = np.linspace(axis.centres()[0], axis.centres()[-1], 4 * axis.cells - 3)
    again = Axis(len(fine), axis.size, float(fine[0]), max(1e-6, axis.stride / 4))
    np.testing.assert_allclose(
        again.weights(axis.centres()) @ (axis.weights(fine) @ cells), cells, atol=1e-2
    )


@steady
@given(cells=st.integers(1, 40), size=st.integers(1, 300))
def test_half_pixel_cells_share_the_axis_evenly(cells: int, size: int) -> None:
    axis = Axis.half_pixel(cells, size)
    assert (axis.cells, axis.size) == (cells, size)
    borders = np.append(axis.centres() - axis.stride / 2, axis.centres()[-1] + axis.stride / 2)
    np.testing.assert_allclose(borders, np.linspace(0, size, cells + 1) - 0.5, atol=1e-9)


@steady
@given(view=views())
def test_a_crop_is_inverted(view: View) -> None:
    """Pixel i of the picture covers [i, i + 1); pixel j of the input [j, j + 1) of the crop."""
    top, left, bottom, right = view.box
    for at, first, last, size, count in (
        (view.input_rows(), top, bottom, view.rows, view.height),
        (view.input_columns(), left, right, view.columns, view.width),
    ):
        assert at.shape == (count,) and (np.diff(at) > 0).all()
        back = first + (at + 0.5) / size * (last - first) - 0.5
        np.testing.assert_allclose(back, np.arange(count), atol=1e-6)


@steady
@given(view=views(), data=st.data())
def test_weights_are_zero_exactly_where_the_network_did_not_look(
    view: View, data: st.DataObject
) -> None:
    rows, columns = data.draw(axes()), data.draw(axes())
    grid = Grid(Axis(1, 1, 0, 1), rows, columns, view)
    top, left, bottom, right = view.box
    for weights, seen, first, last in (
        (grid.row_weights(), view.seen_rows(), top, bottom),
        (grid.column_weights(), view.seen_columns(), left, right),
    ):
        middle = np.arange(len(seen)) + 0.5
        clear = (np.abs(middle - first) > 1e-6) & (np.abs(middle - last) > 1e-6)
        inside = (middle > first) & (middle < last)
        assert (seen == inside)[clear].all()
        np.testing.assert_allclose(weights.sum(axis=1), seen, rtol=1e-6)
    assert (view.seen() == np.outer(view.seen_rows(), view.seen_columns())).all()


# --- tokens -------------------------------------------------------------------------------------


@st.composite
def folds(draw: st.DrawFn) -> tuple[TokenGrid, torch.Tensor, torch.Tensor]:
    """A fold, a grid, and the output that holds it, put together entry by entry."""
    roles = draw(st.permutations("thw"))
    grouped = draw(st.integers(1, 3))  # so many of them share one dimension
    groups: list[tuple[str, ...]] = [
        tuple(roles[:grouped]),
        *((r,) for r in roles[grouped:]),
        ("c",),
    ]
    groups = draw(st.permutations(groups))
    extra = draw(st.integers(0, 2)) if grouped > 1 else 0
    sizes = {role: draw(st.integers(1, 3)) for role in "thwc"}
    batch = draw(st.integers(1, 2))
    grid = torch.arange(float(batch * math.prod(sizes.values())))
    grid = grid.reshape(batch, *(sizes[r] for r in "cthw")) + 1
    shape = [math.prod(sizes[r] for r in group) + extra * (len(group) > 1) for group in groups]
    output = -torch.rand(batch, *shape) - 1  # what is not set stays negative: class tokens
    for n, c, t, h, w in np.ndindex(*grid.shape):
        at = {"c": c, "t": t, "h": h, "w": w}
        place = [n]
        for group in groups:
            index = 0
            for role in group:
                index = index * sizes[role] + at[role]
            place.append(index + extra * (len(group) > 1))
        output[tuple(place)] = grid[n, c, t, h, w]
    words = [f"({' '.join(group)})" if len(group) > 1 else group[0] for group in groups]
    pattern = " ".join(["n", *words])
    return TokenGrid(pattern, (sizes["t"], sizes["h"], sizes["w"]), extra), grid, output


@steady
@given(drawn=folds())
def test_tokens_become_the_grid_and_the_grid_the_tokens(
    drawn: tuple[TokenGrid, torch.Tensor, torch.Tensor],
) -> None:
    fold, grid, output = drawn
    assert torch.equal(fold.to_grid(output), grid)
    assert torch.equal(fold.from_grid(grid, output), output)
    doubled = fold.from_grid(2 * grid, output)
    assert torch.equal(fold.to_grid(doubled), 2 * grid)
    assert torch.equal(doubled[output < 0], output[output < 0])  # class tokens stay
    assert (output < 0).sum() == output.numel() - grid.numel()


# --- which frames of a file ---------------------------------------------------------------------


@st.composite
def timelines(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """When frames appear, and when the last goes. Whole hundredths, far from the tolerance."""
    gaps = draw(st.lists(st.integers(1, 80), min_size=1, max_size=25))
    return np.cumsum([0, *gaps[:-1]]) / 100, float(np.sum(gaps) / 100)


counts, rates = st.integers(1, 20), st.sampled_from([1.0, 2.0, 4.0, 5.0, 12.5, 25.0])


@steady
@given(timeline=timelines(), frames=counts, fps=rates, start=st.integers(0, 500))
def test_a_chosen_frame_is_the_one_on_screen(
    timeline: tuple[np.ndarray, float], frames: int, fps: float, start: int
) -> None:
    times, end = timeline
    begin = start % max(1, round(end * 100)) / 100
    indices, repeated = choose_frames(times, end, frames, fps, begin)
    assert indices.shape == repeated.shape == (frames,) and repeated.dtype == bool
    assert (np.diff(indices) >= 0).all()
    for k, (index, again) in enumerate(zip(indices, repeated, strict=True)):
        moment = begin + k / fps
        shown = [i for i, t in enumerate(times) if t <= moment + TOLERANCE]
        assert index == shown[-1]
        ended = moment >= end - TOLERANCE or len(times) == 1
        assert again == (k > 0 and ended)


def test_a_moment_at_the_end_or_within_its_rounding_is_after_the_last_frame() -> None:
    times = np.arange(4) / 4
    for end in (1.0, 1.0005):  # containers round to a millisecond
        indices, repeated = choose_frames(times, end, 6, 4.0, 0.0)
        assert list(indices) == [0, 1, 2, 3, 3, 3]
        assert list(repeated) == [False] * 4 + [True] * 2
    assert not choose_frames(times, 1.005, 5, 4.0, 0.0)[1].any()


@steady
@given(timeline=timelines(), frames=counts, start=st.integers(0, 500))
def test_frames_as_they_are_follow_one_another_or_are_spread(
    timeline: tuple[np.ndarray, float], frames: int, start: int
) -> None:
    times, end = timeline
    begin = start % max(1, round(end * 100)) / 100
    indices, repeated = choose_frames(times, end, frames, None, begin)
    assert indices.shape == repeated.shape == (frames,) and repeated.dtype == bool
    first = max(i for i, t in enumerate(times) if t <= begin + TOLERANCE)
    left = len(times) - first
    assert first <= indices[0] and indices[-1] < len(times)
    if left >= frames:  # each from its own of T equal parts: no frame twice, the middle of the part
        assert not repeated.any() and (np.diff(indices) > 0).all()
        middles = first + (np.arange(frames) + 0.5) * left / frames
        assert (indices <= middles).all() and (middles < indices + 1).all()
    else:
        assert list(indices[:left]) == list(range(first, len(times)))
        assert list(repeated) == [k >= left for k in range(frames)]
        assert set(indices[left:]) == {len(times) - 1}


@steady
@given(
    end=st.integers(1, 3000).map(lambda x: x / 100),
    length=st.integers(10, 800).map(lambda x: x / 100),
    overlap=st.sampled_from([0, 0.25, 0.5, 0.75, 0.9]),
)
def test_windows_cover_the_whole_and_the_last_ends_with_it(
    end: float, length: float, overlap: float
) -> None:
    video: Any = SimpleNamespace(end=end, times=np.zeros(1))
    windows = VideoWindows(video, 16, 16 / length, overlap)
    starts = list(windows.starts())
    assert len(starts) == len(windows)
    assert starts[0] == 0 and (np.diff(starts) > 0).all()
    assert starts[-1] == pytest.approx(max(0.0, end - length))
    steps, step = np.diff(starts), length * (1 - overlap)
    np.testing.assert_allclose(steps[:-1], step)
    assert (steps <= step + 1.001 * TOLERANCE).all()  # so no gap; and no window too many:
    assert len(starts) <= 1 + math.ceil(max(0.0, end - length) / step)


@steady
@given(end=st.floats(0.01, 100), frames=counts, fps=rates)
def test_the_default_window_lies_in_the_middle(end: float, frames: int, fps: float) -> None:
    start = centre_start(end, frames, fps)
    assert start >= 0
    before, behind = start, end - (start + frames / fps)
    assume(frames / fps < end)
    assert before == pytest.approx(behind, abs=1e-9)


def test_a_window_longer_than_the_file_begins_with_it() -> None:
    assert centre_start(2.0, 16, 4.0) == 0.0
    assert centre_start(10.0, 16, 4.0) == 3.0
