"""What the notebooks draw: pages of films, the dial in a browser, the post's predictions."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

import gradcam_video as gv
from gradcam_video.cases.rule import CLEAR
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.lessons.dial import Dial
from gradcam_video.lessons.films import cell_rows, draw_case, frame_grid, overlay_rows, seen
from gradcam_video.lessons.post import PRINTED, Printed
from gradcam_video.lessons.scene_shares import lying_about, shares

LABEL, SEED = "Pretending to put [something] next to [something]", 5_000_020


@pytest.fixture(scope="module")
def e() -> Explanation:
    return gv.explain(gv.load_model("tabletop"), gv.tabletop.sample(LABEL, SEED).clip)


def kind(clip: Printed) -> str:
    """The rule of `cases.rule` for two printed answers."""
    gap = clip.p_first - clip.p_second
    if clip.true == clip.first:
        return "positive" if gap >= CLEAR else "medium"
    return "medium" if clip.true == clip.second and gap < CLEAR else "negative"


def test_six_of_the_posts_fourteen_change_place() -> None:
    """Notebook 05 says so in a solution."""
    moved = [(clip.group, kind(clip)) for clip in PRINTED if kind(clip) != clip.group]
    assert len(PRINTED) == 14
    assert sorted(moved) == [
        ("medium", "negative"), ("medium", "negative"), ("medium", "negative"),
        ("negative", "medium"), ("positive", "medium"), ("positive", "medium"),
    ]  # fmt: skip
    groups = [clip.group for clip in PRINTED]
    assert [groups.count(g) for g in ("positive", "medium", "negative")] == [7, 4, 3]


def test_the_numbers_of_notebook_05_are_the_measured_ones() -> None:
    score = gv.facts.measured("score")["right"]
    for kind_of_truth, found, middle in (("strict", 91.1, 73.8), ("tolerant", 99.6, 88.5)):
        rows = score["temporal_pointing"][kind_of_truth]
        assert (rows["map"]["n"], rows["middle"]["n"]) == (1399, 1399)
        assert round(100 * rows["map"]["mean"], 1) == found
        assert round(100 * rows["middle"]["mean"], 1) == middle


@pytest.mark.slow
def test_pages(e: Explanation) -> None:
    cut = seen(e, e.clip.frames)
    assert cut.shape[:3] == (16, 240, 240)
    heat = e.upsampled()
    films = [cut, e.maps[0], e.signed[0]]
    pages = [
        cell_rows(films, ["clip", "one", "two"], [1, 2], most=1, signed=True, unit="logits"),
        overlay_rows(e.clip.frames, [None, heat], ["clip", "map"], [1, 2]),
        frame_grid(cut, "all"),
        draw_case(e, LABEL, action=(4, 8), marked=(6, 8)),
    ]
    tiles = [len([a for a in page.axes if a.images]) for page in pages]
    assert tiles == [6, 4, 16, 16]
    for page in pages:
        sizes = [t.get_size() for t in page.findobj(lambda a: hasattr(a, "get_fontsize"))]  # ty: ignore
        assert min(sizes) * 100 / 72 >= 10  # pixels of a page 700 wide
    with pytest.raises(BadInput, match="one for each"):
        cell_rows(films, ["one"], [1], most=1)


@pytest.mark.slow
def test_shares_are_those_of_the_masks(e: Explanation) -> None:
    scene = gv.tabletop.sample(LABEL, SEED)
    found = shares(e, LABEL, scene, SEED)
    assert list(found) == ["the hand", "the object", "a second object", "what lies about"]
    heat = e.upsampled(LABEL)
    second = heat[scene.masks["second"]].sum() / heat.sum()
    assert found["a second object"] == pytest.approx(second, abs=1e-6)
    about = lying_about(scene, SEED)
    assert about.any() and not (about & scene.masks["target"]).mean() > 0.01


@pytest.fixture(scope="module")
def dial(e: Explanation) -> Dial:
    films = np.stack([0 * e.maps[0], e.maps[e.row(LABEL)], 2 * e.maps[e.row(LABEL)]])
    return Dial(e, films, ["nothing", "once", "<b>twice</b>"], what="how often", at=1, frame=7)


@pytest.mark.slow
def test_dial_refuses(e: Explanation) -> None:
    with pytest.raises(BadInput, match="a line for each"):
        Dial(e, e.maps[:2], ["one"], what="class")
    with pytest.raises(BadInput, match="the grid has"):
        Dial(e, e.maps[:1, :4], ["one"], what="class")
    with pytest.raises(BadInput, match="frame=16: give 0 to 15"):
        Dial(e, e.maps[:1], ["one"], what="class", frame=16)


@pytest.mark.slow
def test_dial_is_self_contained(dial: Dial) -> None:
    page = dial.page()
    assert not re.findall(r"(?:src|href)=\"http|https?://(?!www\.w3\.org)", page)
    meta = json.loads(re.search(r'id="meta">(.*?)</script>', page, re.DOTALL)[1])  # ty: ignore
    assert meta["dial"] == {"name": "how often", "positions": list(dial.positions)}
    assert repr(dial) == "Dial('how often', 3 positions)"


def test_dial_turned(browser: Any, dial: Dial) -> None:
    page = browser.new_page(viewport={"width": 420, "height": 720})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_content(dial._repr_html_())
    place = page.frame_locator("iframe")
    words, canvas = place.locator(".gcv-turned"), place.locator("canvas.gcv-picture")
    place.locator("canvas[data-painted^='7 1 ']").wait_for()
    assert words.inner_text() == "once"
    place.get_by_role("slider", name="how often").fill("2")
    place.locator("canvas[data-painted^='7 2 ']").wait_for()
    assert words.inner_text() == "<b>twice</b>"  # a text, never HTML
    place.get_by_role("slider", name="frame").fill("3")
    place.locator("canvas[data-painted^='3 2 ']").wait_for()
    assert "classes" in canvas.get_attribute("data-painted")  # one scale for all positions
    assert wrong == []
    page.close()
