"""The made world: every class can be played, edited, and told from its opposite only by time."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

import gradcam_video as gv
from gradcam_video.data.labels import FORTY, FORTY_NAMES, OPPOSITE_FORTY
from gradcam_video.tabletop.actions import PLAYS
from gradcam_video.tabletop.scene import Plan, render

SIZE = (72, 96)
PLAIN = ("jpeg", "defocus", "shadows", "motion blur")  # what spreads a change over its neighbours
CAMERA = {0, 13, 34, 35, 36, 37}


def grown(mask: np.ndarray, by: int = 3) -> np.ndarray:
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return np.stack([cv2.dilate(m.astype(np.uint8), kernel) for m in mask]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("index", range(40))
def test_every_class_is_played(index: int) -> None:
    scene = render(FORTY_NAMES[index], seed=index, size=SIZE)
    frames = scene.clip.frames
    assert frames.dtype == np.uint8 and frames.shape[1:] == (*SIZE, 3) and scene.clip.fps == 12
    assert scene.label == FORTY_NAMES[index] and scene.template in FORTY[index].members
    assert set(scene.masks) == {"hand", "object", "second", "target"}
    assert all(m.shape == frames.shape[:3] and m.dtype == bool for m in scene.masks.values())
    first, last = scene.action
    assert 0 <= first <= last < len(frames)
    assert scene.truth.whole == (index in CAMERA)
    strict = scene.truth.strict()
    assert strict[first : last + 1].any((1, 2)).mean() > 0.8  # the action can be seen
    assert frames.std() > 5
    assert len(scene.placeholders) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("index", range(40))
def test_a_class_is_not_one_thing_nor_one_way(index: int) -> None:
    plans = [Plan(FORTY_NAMES[index], 900 + k) for k in range(40)]
    families = {word for p in plans for word in p.words}
    assert len(families) >= 8
    if len(FORTY[index].members) > 1:
        assert len({p.template for p in plans}) >= 2
    lengths = np.array([p.frames for p in plans])
    assert lengths.min() >= 8 and lengths.max() - lengths.min() > 10
    starts = np.array([p.action[0] / p.frames for p in plans])
    if index not in (4, 5, 27):  # held, or shown: from the first frame to the last
        assert starts.std() > 0.04


def test_all_71_templates_but_the_rarest_are_played() -> None:
    members = {m for label in FORTY for m in label.members}
    played = {play.template for plays in PLAYS for play in plays}
    assert played <= members
    assert len(members) == 71 and len(members - played) == 0, sorted(members - played)


@pytest.mark.slow
def test_the_same_bytes_in_any_process() -> None:
    code = (
        "import hashlib; from gradcam_video.tabletop import render;"
        "s = render('Opening [something]', 5, size=(72, 96));"
        "print(hashlib.sha256(s.clip.frames.tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = render("Opening [something]", 5, size=(72, 96)).clip.frames
    assert other.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()
    assert not np.array_equal(
        here, render("Opening [something]", 6, size=(72, 96)).clip.frames[: len(here)]
    )


@pytest.mark.parametrize(("a", "b"), [p for p in OPPOSITE_FORTY if p != (15, 25)])
def test_opposites_are_one_scene_played_both_ways(a: int, b: int) -> None:
    for seed in range(3):
        one, two = Plan(FORTY_NAMES[a], seed), Plan(FORTY_NAMES[b], seed)
        assert one.frames == two.frames and one.words == two.words
        length = one.frames / one.fps
        for frame in np.linspace(0, one.frames, 7):
            mirrored = length * one.fps - frame
            assert one.time(frame) == pytest.approx(two.time(mirrored), abs=0.06)
        t = 0.4
        for x, y in zip(one.actors, two.actors, strict=True):
            np.testing.assert_allclose(x.anchor(t), y.anchor(t))


def test_picking_and_putting_come_from_the_same_scripts() -> None:
    picked = {play.script: play.weight for play in PLAYS[15]}
    put = {play.script: play.weight for play in PLAYS[25]}
    assert set(put) < set(picked)
    assert all(picked[script] == weight for script, weight in put.items())
    alone = sum(w for script, w in picked.items() if script not in put) / sum(picked.values())
    assert alone < 0.1  # what only picking up can be: moving up, taking out of


@pytest.mark.slow
def test_without_the_hand_everything_else_is_the_same() -> None:
    label = "Opening [something]"
    whole = render(label, 11, size=SIZE, without=PLAIN)
    bare = render(label, 11, size=SIZE, without=(*PLAIN, "hand"))
    assert whole.masks["hand"].any() and not bare.masks["hand"].any()
    changed = (whole.clip.frames != bare.clip.frames).any(-1)
    assert changed.any() and not changed[~grown(whole.masks["hand"])].any()


@pytest.mark.slow
def test_without_the_object_and_without_distractors() -> None:
    label = "Moving [something] from left to right"
    seed = next(s for s in range(50) if Plan(label, s).others)
    whole = render(label, seed, size=SIZE, without=PLAIN)
    bare = render(label, seed, size=SIZE, without=(*PLAIN, "object"))
    changed = (whole.clip.frames != bare.clip.frames).any(-1)
    assert changed.any() and not changed[~grown(whole.masks["object"] | whole.masks["hand"])].any()
    alone = render(label, seed, size=SIZE, without=(*PLAIN, "distractors"))
    assert (alone.clip.frames != whole.clip.frames).any()
    assert np.array_equal(alone.masks["hand"], whole.masks["hand"])


@pytest.mark.slow
@pytest.mark.parametrize("delay", [4, -2])
def test_a_delayed_action_is_the_same_action_later(delay: int) -> None:
    label = "Moving [something] from left to right"

    def fits(seed: int) -> bool:
        plan = Plan(label, seed)
        return plan.action[0] > 8 and plan.action[1] < plan.frames - 10

    seed = next(s for s in range(200) if fits(s))
    quiet = (*PLAIN, "shake")
    now = render(label, seed, size=SIZE, without=quiet)
    later = render(label, seed, size=SIZE, without=quiet, delay=delay)
    assert later.action == (now.action[0] + delay, now.action[1] + delay)
    assert len(later.clip) == len(now.clip)
    a, b = (now, later) if delay > 0 else (later, now)
    step = abs(delay)
    assert np.array_equal(a.masks["hand"][:-step], b.masks["hand"][step:])
    changed = (now.clip.frames != later.clip.frames).any(-1)
    # A stalk thinner than a pixel is painted, but no pixel of a mask: a wider margin.
    touched = [grown(s.masks["hand"] | s.masks["object"], 8) for s in (now, later)]
    assert changed.any() and not changed[~(touched[0] | touched[1])].any()


def test_reverse_plays_the_action_backwards() -> None:
    plan = Plan("Opening [something]", 3)
    back = Plan("Opening [something]", 3, reverse=True)
    frame = sum(plan.action) / 2 - 2
    mirrored = 2 * (plan.start + plan.seconds / 2) * plan.fps - frame
    assert plan.time(frame) == pytest.approx(back.time(mirrored))
    assert plan.action == back.action and plan.label == back.label


@pytest.mark.slow
def test_left_right_and_camera_turns_go_the_right_way() -> None:
    for seed in range(4):
        scene = render("Moving [something] from left to right", seed, size=SIZE, without=("shake",))
        first, last = scene.action
        x = [np.argwhere(scene.masks["object"][t])[:, 1].mean() for t in (first, last)]
        assert x[1] > x[0] + 8
    # The camera turns left: what is filmed goes to the right in the picture.
    scene = render("Turning the camera left while filming [something]", 1, size=SIZE)
    seen = [t for t in range(len(scene.clip)) if scene.masks["object"][t].any()]
    x = [np.argwhere(scene.masks["object"][t])[:, 1].mean() for t in (seen[0], seen[-1])]
    assert x[1] > x[0] + 8


def test_bad_requests_get_one_line() -> None:
    for arguments, words in (
        ({"label": "Juggling"}, "Juggling"),
        ({"without": ("sun",)}, "sun"),
        ({"size": (20, 20)}, "32"),
        ({"fps": 0}, "above 0"),
        ({"delay": 500}, "delay"),
        ({"template": "Holding [something]"}, "Holding"),
    ):
        options = {"label": "Opening [something]", "seed": 1, **arguments}
        with pytest.raises(gv.BadInput, match=words) as error:
            render(**options)
        assert "\n" not in str(error.value)
