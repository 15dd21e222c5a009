"""Deletion under a slider: the page shows what Python computed, cell for cell."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from gradcam_video.errors import BadInput
from gradcam_video.lessons.deletion import WIDTH, Deletion

CELLS = (4, 14, 14)
SHARES = (0, 0.1, 0.5)


def made(**changes: Any) -> Deletion:
    count = int(np.prod(CELLS))
    grey = np.full((4, 28, 28, 3), 120, np.uint8)
    settings: dict[str, Any] = {
        "frames": grey,
        "instead": {"white": np.full_like(grey, 255), "black": np.zeros_like(grey)},
        "orders": {"forwards": np.arange(count), "backwards": np.arange(count)[::-1]},
        "cells": CELLS,
        "shares": SHARES,
        "curves": {
            (what, who): [9.0, 5.0 + i, -1.0 - j]
            for i, what in enumerate(("white", "black"))
            for j, who in enumerate(("forwards", "backwards"))
        },
    }
    return Deletion(**(settings | changes))


def test_the_first_cells_are_replaced() -> None:
    shown = made()
    frames = shown.replaced("white", "forwards", 0.5)
    assert (frames[:2] == 255).all() and (frames[2:] == 120).all()
    frames = shown.replaced("black", "backwards", 1 / 4 / 14)  # one row of the last frame
    assert (frames[3, 26:] == 0).all() and (frames[3, :26] == 120).all()
    assert (frames[:3] == 120).all()


def test_no_order_and_no_curve_are_one_line() -> None:
    with pytest.raises(BadInput, match="each of the"):
        made(orders={"twice": np.zeros(int(np.prod(CELLS)), int)})
    with pytest.raises(BadInput, match="no 3 logits"):
        made(curves={})


def test_page_is_self_contained() -> None:
    assert not re.findall(r"(?:src|href)=\"http|https?://(?!www\.w3\.org/2000/svg)", made().page())


def test_the_slider_shows_the_logit_and_the_cells(browser: Any) -> None:
    page = browser.new_page(viewport={"width": 400, "height": 820})
    page.set_content(made()._repr_html_())
    place = page.frame_locator("iframe")
    place.locator("canvas[data-state='white forwards 0 2']").wait_for()
    words = place.locator(".gcv-answer")
    assert "0 % replaced forwards: logit 9.0" in words.inner_text()

    def shade() -> int:  # of the middle of the upper left cell
        return place.locator("canvas.gcv-picture").evaluate(
            "c => c.getContext('2d').getImageData(12, 12, 1, 1).data[0]"
        )

    assert abs(shade() - 120) < 4
    place.get_by_role("slider", name="share").fill("2")
    place.get_by_role("slider", name="frame").fill("1")
    place.locator("canvas[data-state='white forwards 2 1']").wait_for()
    assert "50 % replaced forwards: logit -1.0 (whole clip 9.0)" in words.inner_text()
    assert shade() > 250
    place.get_by_role("combobox", name="instead").select_option("black")
    place.get_by_role("combobox", name="first").select_option("backwards")
    place.locator("canvas[data-state='black backwards 2 1']").wait_for()
    assert "logit -2.0" in words.inner_text()
    assert abs(shade() - 120) < 4  # frame 1 is in the half that is kept
    place.get_by_role("slider", name="frame").fill("3")
    assert shade() < 6
    assert place.locator("canvas.gcv-picture").evaluate("c => c.width") == 2 * WIDTH
    inner = place.locator("html")
    assert inner.evaluate("h => [h.scrollWidth <= innerWidth, h.scrollHeight <= innerHeight]") == [
        True,
        True,
    ]
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [400, 400]
    page.close()
