"""Whose fault an error is (notebook 07): the script's truth, the rule, and what is stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text

import gradcam_video as gv
from gradcam_video.data.labels import FORTY_NAMES, OPPOSITE_FORTY
from gradcam_video.lessons import culprits
from gradcam_video.lessons.culprits import Finding, Trial
from gradcam_video.lessons.scene_truth import true_by_motion, true_sentences
from gradcam_video.lessons.sheets import TEXT, bet_sheet, case_sheet
from gradcam_video.tabletop import Plan
from gradcam_video.tabletop.export import scene_of

NAMED_BY_MOTION = [FORTY_NAMES[k] for pair in OPPOSITE_FORTY for k in pair if k not in (15, 25)]
NAMED_BY_MOTION += ["Moving [something] down", "Pushing [something] so that it slightly moves"]


@pytest.mark.parametrize("label", NAMED_BY_MOTION)
def test_the_motion_alone_says_the_sentence_of_its_own_class(label: str) -> None:
    for seed in range(5):
        assert label in true_by_motion(Plan(label, seed))


@pytest.mark.parametrize("pair", OPPOSITE_FORTY)
def test_the_opposite_is_not_true_of_the_same_object(pair: tuple[int, int]) -> None:
    one, other = (FORTY_NAMES[k] for k in pair)
    if one.startswith("Moving [something] away from [something]"):
        return  # away from one object, closer to another: both may be true
    for seed in range(5):
        assert other not in true_sentences(Plan(one, seed))
        assert one not in true_sentences(Plan(other, seed))


def test_most_of_the_other_sentences_are_false() -> None:
    others = [len(true_sentences(Plan(name, 3))) - 1 for name in FORTY_NAMES]
    assert 0 < sum(others) < 2 * len(FORTY_NAMES)


def test_what_is_put_into_a_box_is_put_and_what_is_plugged_is_not() -> None:
    assert "Putting [something]" in true_sentences(Plan("Putting [something] into [something]", 1))
    for seed in range(5):
        plugged = Plan("Plugging [something] into [something]", seed)
        assert "Putting [something]" not in true_sentences(plugged)


# --- the rule -------------------------------------------------------------------------------------


def finding(right: str = "." * 12, dense: bool = False, edits: str = "..", grain: bool = False):
    def trial(is_right: bool) -> Trial:
        return Trial("", "", 0.0, is_right)

    shifted = tuple(trial(mark == "x") for mark in right)
    tried = tuple(trial(mark == "x") for mark in edits)
    return Finding("a", 0, "b", (), shifted, trial(dense), tried, trial(grain))


@pytest.mark.parametrize(
    ("case", "culprit"),
    [
        (finding(), "network"),
        (finding("x..x..x....."), "network"),
        (finding("x..x..x..x.."), "sampling"),
        (finding(dense=True), "sampling"),
        (finding(edits=".x"), "world"),
        (finding(edits=".x", grain=True), "network"),
        (finding(edits="", grain=True), "network"),
        (finding("x..x..x..x..", edits=".x"), "sampling"),
        (replace(finding("x..x..x..x.."), also_true=("b",)), "label"),
        (replace(finding(), also_true=("c",)), "network"),
    ],
)
def test_the_first_test_that_convicts_decides(case: Finding, culprit: str) -> None:
    assert case.culprit == culprit


def test_the_sampling_that_is_not_shifted_is_that_of_a_clip() -> None:
    label, seed = "Opening [something]", 7
    plan = Plan(label, seed)
    taken = culprits.samplings(plan)[culprits.SHIFTS.index(0)]
    frames = gv.tabletop.sample(label, seed).clip.frames
    assert np.array_equal(culprits.film(plan)[taken], frames)
    dense = culprits.around_the_action(plan)
    assert len(dense) == 16 and set(np.diff(dense)) <= {0, 1}
    assert dense[0] <= plan.action[0] or plan.action[1] - plan.action[0] >= 16


def test_new_grain_is_another_film_of_the_same_scene() -> None:
    label, seed = "Opening [something]", 7
    at = np.array([0, 20])
    one, other = Plan(label, seed).shot(at, (64, 96)), culprits.with_new_grain(label, seed)
    again = other.shot(at, (64, 96))
    assert not np.array_equal(one.clip.frames, again.clip.frames)
    assert all(np.array_equal(one.masks[role], again.masks[role]) for role in one.masks)


def test_an_edit_that_is_not_seen_is_none() -> None:
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    outside, inside = frames.copy(), frames.copy()
    outside[0, 0, 3], inside[0, 0, 4] = 1, 1
    assert culprits.seen_alike(frames, outside) and not culprits.seen_alike(frames, inside)


def test_only_what_the_sentence_does_not_need_is_left_out() -> None:
    held = dict(culprits.edited_plans("Holding [something]", 145818142203483))
    assert "without the second object" in held and "without the roll of tape" in held
    beside = dict(culprits.edited_plans("Holding [something] next to [something]", 5_000_005))
    assert "without the second object" not in beside
    assert len(held["without the roll of tape"].others) == len(held["no shake"].others) - 1


# --- what is stored -------------------------------------------------------------------------------


def test_what_is_stored_is_of_the_first_clips_of_the_test_split() -> None:
    n = gv.facts.measured("culprits")["n"]
    scenes = [scene_of(i, "test", seed=1) for i in range(n)]
    errors = culprits.stored()
    assert len(errors) > 30
    assert [s for s in scenes if s in {(e.label, e.seed) for e in errors}] == [
        (e.label, e.seed) for e in errors
    ]


def test_what_is_stored_agrees_with_the_script_and_with_itself() -> None:
    for e in culprits.stored():
        assert set(e.also_true) == true_sentences(Plan(e.label, e.seed)) - {e.label}
        as_it_was = e.samplings[culprits.SHIFTS.index(0)]
        assert as_it_was.said == e.said != e.label and not as_it_was.right
        names = [name for name, _ in culprits.edited_plans(e.label, e.seed)]
        assert {t.what for t in e.edits} <= set(names) and len(e.edits) <= len(names)


def test_packed_and_unpacked_is_the_same() -> None:
    for e in culprits.stored():
        assert culprits._unpacked(culprits.packed(e)) == e


@pytest.mark.slow
def test_an_error_is_found_again() -> None:
    model = gv.load_model("tabletop")
    stored = culprits.stored()[0]
    again = culprits.examine(model, stored.label, stored.seed)
    assert again is not None and again.said == stored.said
    trials = (*stored.samplings, *stored.edits)
    for now, then in zip((*again.samplings, *again.edits), trials, strict=True):
        assert now.what == then.what and now.p == pytest.approx(then.p, abs=0.02)
    assert culprits.examine(model, "Opening [something]", 7) is None  # it names this one rightly


# --- the pages ------------------------------------------------------------------------------------


def test_pages_are_legible_when_a_notebook_shows_them() -> None:
    model = gv.load_model("tabletop")
    clip = gv.tabletop.sample("Opening [something]", 7).clip
    e = gv.explain(model, clip)
    (one, _), (other, _) = e.top(2)
    pages = [
        bet_sheet([clip, clip], ["a", "b"]),
        bet_sheet([clip], ["a"], frames=[3, 4]),
        case_sheet(e, one, other, [3, 4, 5, 6], action=(3, 5)),
        case_sheet(e, one, other, [3, 4, 5, 6], difference=True),
    ]
    for page in pages:
        assert page.get_size_inches()[0] * page.dpi == 1000  # shown at 700: 0.7 of it
        sizes = [t.get_size() for t in page.findobj(match=Text) if t.get_text()]  # ty: ignore
        assert min(sizes) >= TEXT and TEXT / 72 * 100 * 0.7 >= 10
    assert len(pages[3].axes) == len(pages[2].axes) + 2  # a row, and its colour bar
    numbers = {t.get_text() for axis in pages[1].axes for t in axis.texts}
    assert numbers == {"3", "4"}


def test_both_maps_of_a_page_have_one_scale() -> None:
    model = gv.load_model("tabletop")
    e = gv.explain(model, gv.tabletop.sample("Opening [something]", 7).clip)
    (one, _), (other, _) = e.top(2)
    page = case_sheet(e, one, other, [3, 4, 5, 6])
    (bar,) = [axis for axis in page.axes if axis.get_ylabel() == "logits, one cell"]
    most = max(e.signed[e.row(name)].max() for name in (one, other))
    assert bar.get_ylim()[1] == pytest.approx(most)
    signed = sum(np.abs(e.signed[e.row(name)].sum((1, 2))).sum() for name in (one, other))
    bars = [p for axis in page.axes if axis.get_ylabel() == "logits" for p in axis.patches]
    heights = sum(abs(p.get_height()) for p in bars if isinstance(p, Rectangle))
    assert heights == pytest.approx(signed, rel=1e-4)
