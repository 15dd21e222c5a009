"""Switches: every position shows what was computed for it, by mouse and by key."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from gradcam_video.errors import BadInput
from gradcam_video.lessons.switches import State, Switches


def state(kind: int, step: int) -> State:
    picture = np.full((20, 40, 3), 200 if kind else 20, np.uint8)
    bars = np.array([1.0, 2, 3, 4]) * (kind + 1) * step
    return State(bars, f"kind {kind}, step {step}", picture, step % 4)


@pytest.fixture(scope="module")
def switches() -> Switches:
    steps = [f"{step} steps" for step in range(6)]
    return Switches({"kind": ["one", "two"], "step": steps}, state, axis=("frame", "error, %"))


def test_the_page_holds_every_state_and_fetches_nothing(switches: Switches) -> None:
    page = switches.page()
    assert not re.findall(r"(?:src|href)=\"http|https?://(?!www\.w3\.org/2000/svg)", page)
    data = json.loads(re.search(r'id="meta">(.*?)</script>', page, re.DOTALL)[1])  # ty: ignore
    assert len(data["states"]) == 12 and data["top"] == 4 * 2 * 5
    assert data["states"]["1 3"]["bars"] == [6, 12, 18, 24]
    assert len(data["pictures"]) == 2  # what states share is stored once


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(BadInput, match="without positions"):
        Switches({"kind": []}, state, axis=("", ""))
    with pytest.raises(BadInput, match="as many in every state"):
        Switches({"n": ["1", "2"]}, lambda n: State(np.ones(n + 1), ""), axis=("", ""))
    with pytest.raises(BadInput, match="none below zero"):
        Switches({"n": ["1"]}, lambda n: State(-np.ones(3), ""), axis=("", ""))
    with pytest.raises(BadInput, match="no position"):
        Switches({"n": ["1"]}, lambda n: State(np.ones(3), ""), axis=("", ""), start=[1])


def test_turned_in_a_browser(browser: Any, switches: Switches) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 720})
    page.set_content(switches._repr_html_())
    place = page.frame_locator("iframe")
    place.locator("[data-state='0 0']").wait_for()

    def tall() -> list[float]:
        return [float(bar.get_attribute("height")) for bar in place.locator("rect").all()]

    assert tall() == [0, 0, 0, 0]
    place.get_by_role("slider", name="step").fill("5")
    place.locator("[data-state='0 5']").wait_for()
    half = tall()
    place.get_by_role("combobox").select_option("two")
    place.locator("[data-state='1 5']").wait_for()
    assert np.allclose(tall(), 2 * np.array(half)) and half[3] == pytest.approx(2 * half[1])
    assert place.locator(".gcv-words").inner_text() == "kind 1, step 5"
    assert "step: 5 steps" in place.locator(".gcv-controls").inner_text()
    place.get_by_role("slider", name="step").press("ArrowLeft")
    place.locator("[data-state='1 4']").wait_for()
    marked = [bar.get_attribute("style") for bar in place.locator("rect").all()]
    assert [bool(style) for style in marked] == [True, False, False, False]
    assert place.locator("img").evaluate("image => image.naturalWidth") == 40
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [400, 400]
    page.close()


def figures() -> Switches:
    """Figures of matplotlib, and no bars."""
    drawn = []
    for label in ("first", "<second>"):
        figure = Figure(figsize=(5, 2))
        figure.text(0.5, 0.5, label)
        drawn.append(figure)

    def shown(k: int) -> State:
        return State(np.zeros(0), ("first", "<second>")[k % 2], drawn[k % 2])

    return Switches({"page": ["1", "<2>", "3", "4", "5"]}, shown, start=[1], width=600, side=500)


def test_figures_in_place_of_bars() -> None:
    page = figures().page()
    assert page.count("/9j/") == 2  # a figure that several positions share is stored once
    assert '"high": 0' in page and "<2>" not in page


def test_figures_are_turned_by_key(browser: Any) -> None:
    page = browser.new_page()
    page.set_content(figures()._repr_html_())
    inside = page.frame_locator("iframe")
    source = inside.locator("img").get_attribute("src")
    assert inside.locator(".gcv-words").inner_text() == "<second>"
    assert not inside.locator("svg").is_visible()
    inside.locator("input").focus()
    page.keyboard.press("ArrowRight")
    assert inside.locator(".gcv-words").inner_text() == "first"
    assert inside.locator("img").get_attribute("src") != source
    assert inside.locator("img").evaluate("i => i.naturalWidth") == 500
    page.close()
