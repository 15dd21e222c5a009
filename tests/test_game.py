"""Beat the network: the page says what Python says, by mouse and by key."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest

import gradcam_video as gv
from gradcam_video.data.ground_truth import Truth
from gradcam_video.errors import BadInput
from gradcam_video.lessons.game import SIDE, Game, Round

LABELS = ("Moving [something] from left to right", "Opening [something]")


@pytest.fixture(scope="module")
def game() -> Game:
    model = gv.load_model("tabletop")
    scenes = [gv.tabletop.sample(label, 11) for label in LABELS]
    found = [gv.explain(model, s.clip).with_label(s.label) for s in scenes]
    return Game(found, [s.truth for s in scenes])


@pytest.mark.slow
def test_only_hand_and_thing_in_the_action_count(game: Game) -> None:
    scene = gv.tabletop.sample(LABELS[0], 11)
    first, last = scene.action
    right = game.rounds[0].right
    assert right.shape == (16, SIDE, SIDE)
    assert not right[:first].any() and not right[last + 1 :].any()
    assert all(0 < share < 0.7 for share in right[first : last + 1].mean((1, 2)))
    assert game.network == sum(r.hit(r.network) for r in game.rounds)


def test_a_synthetic_truth_is_hit_where_it_is() -> None:
    e = gv.explain(gv.load_model("tabletop"), gv.tabletop.sample(LABELS[0], 11).clip)
    height, width = e.clip.frames.shape[1:3]
    mask = np.zeros((16, height, width), bool)
    mask[5, height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8] = True
    nothing = np.zeros_like(mask)
    roles = dict.fromkeys(("hand", "target", "distractor"), nothing)
    one = Round.of(e, Truth({**roles, "target": mask}, (5, 5)))
    assert one.hit((5, SIDE // 2, SIDE // 2))
    assert not one.hit((6, SIDE // 2, SIDE // 2))  # the action is over
    assert not one.hit((5, 2, 2))


@pytest.mark.slow
def test_truth_of_another_clip() -> None:
    e = gv.explain(gv.load_model("tabletop"), gv.tabletop.sample(LABELS[0], 11).clip)
    truth = gv.tabletop.sample(LABELS[0], 11).truth
    with pytest.raises(BadInput, match="of 3 frames"):
        Game([e], [truth.take([0, 1, 2])])
    with pytest.raises(BadInput, match="give one of each"):
        Game([e], [])


def test_page_is_self_contained(game: Game) -> None:
    page = game.page()
    assert not re.findall(r"(?:src|href)=\"http|https?://(?!www\.w3\.org/2000/svg)", page)
    data = json.loads(re.search(r'id="meta">(.*?)</script>', page, re.DOTALL)[1])  # ty: ignore
    packed = np.frombuffer(base64.b64decode(data["rounds"][0]["right"]), np.uint8)
    assert (np.unpackbits(packed).reshape(16, SIDE, SIDE) == game.rounds[0].right).all()


def test_played_by_mouse_and_by_keys(browser: Any, game: Game) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 720})
    page.set_content(game._repr_html_())
    place = page.frame_locator("iframe")
    canvas, slider = place.locator("canvas"), place.get_by_role("slider", name="frame")
    button, words = place.locator(".gcv-next"), place.locator(".gcv-words")
    page.wait_for_function("() => true")

    # Right, by the mouse: a place that counts
    frame, row, column = map(int, np.argwhere(game.rounds[0].right)[40])
    place.locator("canvas[data-state='0 0 false']").wait_for()
    assert button.is_disabled()
    slider.fill(str(frame))
    box = canvas.bounding_box()
    at = {
        "x": (column + 0.5) / SIDE * box["width"],
        "y": (row + 0.5) / SIDE * box["height"],
    }
    canvas.click(position=at)
    assert f"frame {frame + 1}" in words.inner_text()
    button.click()
    assert f"you: frame {frame + 1}, right" in words.inner_text()
    one = game.rounds[0]
    verdict = "right" if one.hit(one.network) else "wrong"
    assert f"Grad-CAM: frame {one.network[0] + 1}, {verdict}" in words.inner_text()
    place.get_by_role("button", name="Grad-CAM").click()
    place.locator(f"canvas[data-state='0 {one.network[0]} true']").wait_for()

    # Wrong, by keys: before the action begins, in the middle
    button.click()
    place.locator("canvas[data-state='1 0 false']").wait_for()
    assert not game.rounds[1].right[0].any()
    canvas.press("ArrowUp")
    button.click()
    assert "you: frame 1, wrong" in words.inner_text()
    score = place.locator(".gcv-score").inner_text()
    network, centre = game.network, game.centre_prior
    assert f"you 1 · Grad-CAM {network} · the middle of everything {centre}" == score
    button.click()
    place.locator("canvas[data-state='0 0 false']").wait_for()
    assert place.locator(".gcv-score").inner_text().startswith("you 0 · Grad-CAM 0")
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [400, 400]
    page.close()
