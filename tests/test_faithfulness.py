"""Perturbation tests: known values on synthetic cases, chance for chance."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.data.clip import Clip
from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.metrics import faithfulness as f
from gradcam_video.metrics import localisation
from gradcam_video.metrics.per_clip import ClipScore
from gradcam_video.metrics.scoring import PerturbationTests
from gradcam_video.models.video_model import VideoModel
from gradcam_video.tabletop.scene import sample

FRAMES, SIDE = 8, 28
SQUARE = View(SIDE, SIDE, SIDE, SIDE)
LABELS = ("left", "right")


class Bright(nn.Module):
    """Logit of class 0: the mean brightness of the left half; of class 1: of the right half."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 2, 1)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(1 / 3)
            self.conv.bias.zero_()
            self.head.weight.copy_(torch.eye(2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)  # (N, 2, T, H, W)
        half = x.shape[-1] // 2
        left, right = y[:, 0, ..., :half].mean((1, 2, 3)), y[:, 1, ..., half:].mean((1, 2, 3))
        return self.head(torch.stack([left, right], dim=1))


@pytest.fixture(scope="module")
def bright() -> VideoModel:
    return VideoModel(
        Bright().eval(),
        LABELS,
        SIDE,
        mean=(0, 0, 0),
        std=(1, 1, 1),
        cam_layer="conv",
        frames=FRAMES,
        quiet=True,
    )


@pytest.fixture(scope="module")
def tabletop() -> VideoModel:
    return gv.load_model("tabletop")


def square_at(cells: list[tuple[int, int, int]]) -> Tensor:
    """A black clip, white in these cells (frame, row, column) of 8 × 14 × 14: (1, 3, T, H, W)."""
    x = torch.zeros(1, 3, FRAMES, SIDE, SIDE)
    for t, r, c in cells:
        x[:, :, t, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2] = 1
    return x


def map_at(cells: list[tuple[int, int, int]]) -> np.ndarray:
    values = np.zeros((FRAMES, 14, 14), np.float32)
    for cell in cells:
        values[cell] = 1
    return values


LIT = [(t, 3 + t // 4, 2 + i) for t in range(2, 6) for i in range(4)]  # 16 cells, left half


# --- cells ------------------------------------------------------------------------------------


def test_a_map_of_14_by_14_is_its_own_cells() -> None:
    rng = np.random.default_rng(0)
    time = Axis(FRAMES, FRAMES, 0.0, 1.0)
    half = Axis.half_pixel(14, SIDE)
    values = rng.random((FRAMES, 14, 14)).astype(np.float32)
    cells = f.cells_of(values, Grid(time, half, half, SQUARE))
    # Linear between the centres: in each cell the mean is 3/4 its own, 1/8 of either neighbour's.
    inner = values[:, 1:-1, 1:-1] * 0.75 + (values[:, :-2, 1:-1] + values[:, 2:, 1:-1]) / 8
    side = [
        values[:, 1:-1, c : c + 12] * 0.75
        + (values[:, :-2, c : c + 12] + values[:, 2:, c : c + 12]) / 8
        for c in (0, 2)
    ]
    assert np.allclose(cells[:, 1:-1, 1:-1], inner * 0.75 + (side[0] + side[1]) / 8, atol=1e-5)
    assert f.cell_shape(View(240, 427, 128, 171)) == (14, 19)


def test_motion_is_change_over_time() -> None:
    x = torch.zeros(1, 3, FRAMES, SIDE, SIDE)
    x[:, :, 4:, 0:2, 2:4] = 1  # appears in frame 4, in cell (0, 1), and stays
    cells = f.motion_cells(x, (14, 14))[0]
    assert [tuple(at) for at in np.argwhere(cells > 0)] == [(3, 0, 1), (4, 0, 1)]
    assert np.allclose(cells[cells > 0], 0.5)


def test_ranks_put_the_largest_first_and_draw_equals() -> None:
    cells = map_at(LIT)
    ranks = f.ranks_of(cells)
    assert (ranks < 16 / cells.size).sum() == 16
    assert np.array_equal(ranks < 16 / cells.size, cells > 0)
    assert sorted(np.rint(ranks.ravel() * cells.size - 0.5)) == list(range(cells.size))
    flat = [f.ranks_of(np.ones_like(cells), seed=s) for s in (0, 0, 1)]
    assert np.array_equal(flat[0], flat[1]) and not np.array_equal(flat[0], flat[2])
    first = flat[0] < 0.5  # nothing is said: half of the cells, spread evenly
    assert first[:4].mean() == pytest.approx(0.5, abs=0.06)


def test_space_is_the_same_in_all_frames_and_time_takes_whole_frames() -> None:
    cells = map_at(LIT)
    space = f.ranks_of(cells, "space")
    assert np.array_equal(space, np.broadcast_to(space[0], space.shape))
    assert np.array_equal(space[0] < 8 / 196, cells.sum(0) > 0)
    time = f.ranks_of(cells, "time")
    assert (time == time[:, :1, :1]).all()
    assert sorted(np.flatnonzero(time[:, 0, 0] < 4 / FRAMES)) == [2, 3, 4, 5]
    with pytest.raises(BadInput, match="unknown way"):
        f.ranks_of(cells, "sideways")


# --- cells removed ----------------------------------------------------------------------------


def test_deletion_and_insertion_are_complements() -> None:
    x = torch.rand(1, 3, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) + 1
    ranks = f.ranks_of(f.random_cells((FRAMES, 14, 14)))
    removed, kept = (
        f.perturbed(x, ranks, [0.0, 0.3, 1.0], "mean-colour", insert) for insert in (False, True)
    )
    assert torch.equal(removed + kept, x.expand(3, -1, -1, -1, -1))
    assert torch.equal(removed[0], x[0]) and not removed[2].any()
    assert (removed[1] == 0).float().mean() == pytest.approx(0.3, abs=1e-3)
    with pytest.raises(BadInput, match="unknown baseline"):
        f.perturbed(x, ranks, [0.5], "grey")


# --- curves -----------------------------------------------------------------------------------


def test_curves_of_a_map_that_is_the_truth_and_of_its_inverse(bright: VideoModel) -> None:
    """Sixteen lit cells of 1568: every share of them that goes takes its part of the logit."""
    x, cells = square_at(LIT), map_at(LIT)
    whole = 16 / (FRAMES * 14 * 7)  # mean brightness of the left half
    shares = [0, 4 / cells.size, 16 / cells.size, 0.5, 1]
    right, probability = f.curves(
        bright, x, [f.ranks_of(cells)], [0], baseline="mean-colour", shares=shares
    )
    assert right[0] == pytest.approx([whole, whole * 0.75, 0, 0, 0], abs=1e-6)
    assert probability[0, 0] == pytest.approx(1 / (1 + np.exp(-whole)), abs=1e-6)
    inserted, _ = f.curves(
        bright, x, [f.ranks_of(cells)], [0], baseline="mean-colour", shares=shares, insertion=True
    )
    assert inserted[0] == pytest.approx([0, whole / 4, whole, whole, whole], abs=1e-6)
    inverse, _ = f.curves(
        bright, x, [f.ranks_of(-cells)], [0], baseline="mean-colour", shares=[0, 0.9, 1]
    )
    assert inverse[0] == pytest.approx([whole, whole, 0], abs=1e-6)


def test_gain_of_truth_uniform_inverse_and_random(bright: VideoModel) -> None:
    x, cells = square_at(LIT), map_at(LIT)
    orders = {"map": cells, "inverse": -cells, "uniform": np.ones_like(cells)}
    several = {f"random-{s}": f.random_cells(cells.shape, s) for s in range(8)}
    values = f.areas(
        bright, orders | several, x, 0, ["deletion", "insertion"], baseline="mean-colour"
    )
    for measure in ("deletion", "insertion"):
        areas = {who: values[measure, "logit", who] for who in (*orders, *several, "end")}
        chance = float(np.mean([areas[who] for who in several]))
        own = {who: f.gain(areas[who], chance, areas["end"]) for who in orders}
        # The first step, to 2 % of the cells, holds all 16 of them: the curve falls along it.
        assert own["map"] == pytest.approx(0.98, abs=0.02)
        assert own["inverse"] == pytest.approx(-0.8, abs=0.1)
        assert own["uniform"] == pytest.approx(0, abs=0.25)  # one draw of an order
        spread = [f.gain(areas[who], 0.5 * 16 / 784, areas["end"]) for who in several]
        assert np.mean(spread) == pytest.approx(0, abs=0.1)  # chance: half of the logit


def test_late_maps_lose(bright: VideoModel) -> None:
    """The lit frames are 2 to 5: a map late by k frames names k wrong ones first."""
    lit = [(t, 3, c) for t in range(2, 6) for c in range(7)]
    x = square_at(lit)
    found = []
    for k in range(5):
        late = np.zeros((FRAMES, 14, 14), np.float32)
        for t, r, c in lit:
            if t + k < FRAMES:
                late[t + k, r, c] = 6 - t  # the first frame first
        orders = {"map": late}
        values = f.areas(
            bright, orders, x, 0, ["deletion-time"], baseline="mean-colour", shares=QUARTERS
        )
        found.append(values["deletion-time", "logit", "map"])
    assert found[0] < found[1] < found[2] < found[3]
    whole = 28 / (FRAMES * 14 * 7)
    assert found[0] == pytest.approx(whole * np.trapezoid([1, 0.5, 0, 0, 0], QUARTERS), abs=1e-6)


QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def test_area() -> None:
    assert f.area(np.array([1.0, 1.0]), [0, 1]) == 1
    assert f.area(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]), [0, 0.5, 1]).tolist() == [
        0.25,
        0.75,
    ]
    assert np.isnan(f.gain(0.5, 0.2, 0.2))


def test_batches_of_copies_change_nothing_and_the_model_stays(bright: VideoModel) -> None:
    x = torch.cat([square_at(LIT), square_at(LIT[:5])])
    ranks = [f.ranks_of(f.random_cells((FRAMES, 14, 14), s)) for s in (0, 1)]
    bright.net.train()
    before = {name: w.clone() for name, w in bright.net.state_dict().items()}
    both = f.curves(bright, x, ranks, [0, 1], at_once=7)
    assert bright.net.training and all(
        torch.equal(before[name], w) for name, w in bright.net.state_dict().items()
    )
    bright.net.eval()
    for n in range(2):
        alone = f.curves(bright, x[n : n + 1], [ranks[n]], [n], at_once=1)
        for one, two in zip(both, alone, strict=True):
            assert np.allclose(one[n], two[0], atol=1e-6)


# --- randomisation ----------------------------------------------------------------------------


def test_the_cascade_begins_at_the_head(tabletop: VideoModel) -> None:
    layers = f.cascade(tabletop)
    assert layers[0] == "head" and layers[-1] == "stem.0"
    shuffled = f.randomised(tabletop, layers[:1], seed=3)
    same, other = tabletop.net.state_dict(), shuffled.net.state_dict()
    changed = {name for name in same if not torch.equal(same[name], other[name])}
    assert changed == {"head.weight", "head.bias"}
    both = (same["head.weight"], other["head.weight"])
    assert torch.equal(*(w.flatten().sort().values for w in both))


CLASSES = (3, 11, 27, 35)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return [sample(FORTY_NAMES[k], 3, size=(112, 112)).clip for k in CLASSES]


@pytest.mark.slow
def test_randomising_from_the_head_down_takes_the_map(
    tabletop: VideoModel, clips: list[Clip]
) -> None:
    found = f.randomisation(tabletop, clips, CLASSES, seeds=(0,))
    assert found.shape == (1, len(f.cascade(tabletop)) + 1, len(clips))
    assert np.allclose(found[:, 0], 1)
    assert np.abs(found[:, 1:].mean(axis=(0, 2))).max() < 0.3
    blind = f.randomisation(tabletop, clips[:1], CLASSES[:1], "centre", depths=(1,), seeds=(0,))
    assert blind[0, 0, 0] == pytest.approx(1)  # a map that does not know the network stays


# --- all of it --------------------------------------------------------------------------------


def test_orders_that_agree_are_run_once(
    bright: VideoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, cells = square_at(LIT), f.random_cells((FRAMES, 14, 14))
    seen = []
    monkeypatch.setattr(f, "_forward", lambda model, group, autocast: seen.extend(group) or
                        torch.zeros(len(group), 2))  # fmt: skip
    f.areas(bright, {"map": cells, "scaled": 7 * cells}, x, 0, ["deletion"], shares=QUARTERS)
    assert len(seen) == 2 + 3  # the clip whole and all of it removed, and three shares of one order
    f.areas(bright, {"map": cells, "other": -cells}, x, 0, ["deletion"], shares=QUARTERS)
    assert len(seen) == 5 + 2 + 6


def test_all_perturbation_tests_of_one_clip(bright: VideoModel) -> None:
    e = gv.explain(bright, noise_clip(), method="hirescam")
    found = f.perturbation_tests(bright, e, 0, seed=1)
    assert {measure for measure, _, _ in found} == {*f.CURVES, "randomisation", "reversal", "shift"}
    assert {who for m, _, who in found if m in f.CURVES} == {"map", "random", "motion", "end"}
    assert found["reversal", "alike", "map"] == pytest.approx(1)
    assert found["shift", "moved", "map"] == 1
    alone = f.randomisation(bright, [e.clip], [0], "hirescam", depths=(1, 2), seeds=(1,))[0, :, 0]
    kept = [found["randomisation", part, "map"] for part in ("head", "all")]
    assert kept == pytest.approx(alone.tolist(), nan_ok=True)


@pytest.mark.slow
def test_a_clips_tests_do_not_depend_on_how_many_others_are_tested(bright: VideoModel) -> None:
    """Nor on which were tested before: all draws are the clip's own, told by its id."""
    rows = []
    for n in range(4):
        e = gv.explain(bright, noise_clip(n), method="hirescam")
        right = n != 1  # the network does not name the class of clip 1
        score = ClipScore(f"clip {n}", "left", right, False, False, 0.0, 0.0, 0.0, {})
        rows.append((score, e, n % 2, f"id {n}"))

    def tests(count: int, *chosen: int) -> list[Mapping[tuple[str, str, str], float]]:
        tested = PerturbationTests(bright, count)
        return [tested(*rows[n]).perturbation_tests for n in chosen]

    few, many = tests(2, 0, 1, 2, 3), tests(100, 0, 1, 2, 3)
    assert [len(found) > 20 for found in few] == [True, False, True, False]
    assert [len(found) > 20 for found in many] == [True, False, True, True]
    assert few[:3] == many[:3]
    alone = tests(1, 3)[0]
    assert ("splicing", "halves", "map") in many[3].keys() - alone.keys()  # joined with clip 0
    assert alone.items() <= many[3].items()
    e = rows[0][1]
    assert few[0].items() == f.perturbation_tests(bright, e, 0, seed=crc32(b"id 0")).items()
    random = ("deletion", "logit", "random")
    assert few[0][random] != f.perturbation_tests(bright, e, 0, seed=crc32(b"id 1"))[random]


# --- reversal, shift --------------------------------------------------------------------------


def explanation_of(cells: np.ndarray, targets: int = 1) -> Explanation:
    axis = Axis.half_pixel(cells.shape[-1], SIDE)
    time = Axis(FRAMES, FRAMES, 0.0, 1.0)
    clip = Clip(
        np.zeros((FRAMES, SIDE, SIDE, 3), np.uint8),
        np.arange(FRAMES) / 4,
        np.zeros(FRAMES, bool),
        "synthetic",
    )
    grid = Grid(time, axis, axis, SQUARE)
    signed = np.broadcast_to(cells.astype("f4"), (targets, *cells.shape))
    return Explanation(clip, LABELS, np.array([1, 0], "f4"), np.arange(targets), signed, grid)


def noise_clip(seed: int = 0) -> Clip:
    frames = np.random.default_rng(seed).integers(0, 255, (FRAMES, SIDE, SIDE, 3), np.uint8)
    return Clip(frames, np.arange(FRAMES) / 4, np.zeros(FRAMES, bool), "synthetic")


def test_a_network_without_memory_is_equivariant(bright: VideoModel) -> None:
    e = gv.explain(bright, noise_clip(), method="hirescam")
    assert f.reversal(bright, e, 0) == pytest.approx(1)
    for by in (1, 3):
        like, moved = f.shift(bright, e, 0, by)
        assert like == pytest.approx(1) and moved == 1
    for by in (0, 6):
        with pytest.raises(BadInput, match="give 1 to 5"):
            f.shift(bright, e, 0, by)


def test_a_map_that_does_not_look_does_not_move(bright: VideoModel) -> None:
    e = gv.explain(bright, noise_clip(), method="centre")
    assert f.shift(bright, e, 0)[1] == 0
    chance = gv.explain(bright, noise_clip(), method="random")
    assert abs(f.reversal(bright, chance, 0)) < 0.15


# --- splicing ---------------------------------------------------------------------------------


def test_splicing_takes_the_middle_of_both() -> None:
    a, b = noise_clip(1), noise_clip(2)
    b = replace(b, frames=b.frames[:, :, :20])
    joined = f.splice(a, b)
    assert joined.frames.shape == (FRAMES, SIDE, 20, 3)
    assert np.array_equal(joined.frames[:4], a.frames[2:6, :, 4:24])
    assert np.array_equal(joined.frames[4:], b.frames[2:6])
    short = replace(a, repeated=np.arange(FRAMES) >= 6)  # six frames of its own: their middle
    assert np.array_equal(f.splice(short, a).frames[:4], a.frames[1:5])
    with pytest.raises(BadInput, match="cannot splice"):
        f.splice(a, replace(a, frames=a.frames[:4], times=a.times[:4], repeated=a.repeated[:4]))


def test_each_class_lies_in_its_half() -> None:
    cells = np.zeros((FRAMES, 14, 14), np.float32)
    cells[1] = 1
    assert f.spliced_pointing(explanation_of(cells, 2), (0, 1)) == (1, 0)
    cells[1], cells[6] = 0, 1
    assert f.spliced_pointing(explanation_of(cells, 2), (0, 1)) == (0, 1)
    assert f.spliced_pointing(explanation_of(np.ones_like(cells), 2), (0, 1)) == (0.5, 0.5)


# --- beside quantus ---------------------------------------------------------------------------

quantus_missing = pytest.mark.skipif(
    importlib.util.find_spec("quantus") is None,
    reason="quantus is not installed (pip install quantus): nothing to check against",
)


@pytest.mark.slow
@quantus_missing
def test_energy_and_rank_accuracy_are_those_of_quantus() -> None:
    import quantus

    rng = np.random.default_rng(0)
    drawn, truth = rng.random((2, 4, 8, 8)).astype("f4"), rng.random((2, 4, 8, 8)) < 0.3
    batch = {
        "model": None,
        "x_batch": np.zeros((2, 3, 4, 8, 8), "f4"),
        "y_batch": np.zeros(2, int),
        "a_batch": drawn[:, None],
        "s_batch": truth[:, None],
        "channel_first": True,  # of five dimensions it cannot tell by itself
    }
    options = {"abs": False, "normalise": False, "disable_warnings": True}
    mass = quantus.RelevanceMassAccuracy(**options)(**batch)
    order = quantus.RelevanceRankAccuracy(**options)(**batch)
    for n in range(2):
        assert localisation.energy(drawn[n], truth[n]) == pytest.approx(mass[n], abs=1e-5)
        assert localisation.rank_accuracy(drawn[n], truth[n]) == pytest.approx(order[n], abs=1e-5)


@pytest.mark.slow
@quantus_missing
def test_deletion_is_pixel_flipping_of_quantus(bright: VideoModel) -> None:
    """Of single pixels, black in place of what is taken, in steps of an eighth of the clip."""
    import quantus

    x = torch.rand(1, 3, FRAMES, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    cells = f.random_cells((FRAMES, 14, 14), 5)
    pixels = cells.repeat(2, axis=1).repeat(2, axis=2)  # (T, H, W)
    pixels = np.argsort(np.argsort(pixels, axis=None, kind="stable")).reshape(pixels.shape)
    flipping = quantus.PixelFlipping(
        features_in_step=pixels.size // 8,  # of pixels in one colour: three steps are one of ours
        perturb_baseline="black",
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    theirs = flipping(
        model=nn.Sequential(bright.net, nn.Softmax(1)).eval(),
        x_batch=x.numpy(),
        y_batch=np.array([1]),
        a_batch=pixels[None, None].astype("f4"),
        channel_first=True,
        device="cpu",
    )
    _, ours = f.curves(
        bright,
        x,
        [f.ranks_of(cells)],
        [1],
        baseline="mean-colour",
        shares=np.arange(1, 9) / 8,
    )
    assert np.allclose(ours[0], np.array(theirs)[0][2::3], atol=1e-4)
