"""The player: what goes over to the browser, the widget without one, and the page in Chromium."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from explanations import synthetic
from on_screen import OnScreen, must_be_legible, must_work
from PIL import Image

import gradcam_video as gv
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import SCOPES, Axis
from gradcam_video.show import overlay, player, player_html
from gradcam_video.show.html import asset
from gradcam_video.show.look import Look
from gradcam_video.show.player_page import framed, payload, quantised


def test_quantised_maps_are_right_to_a_255th_in_every_scope() -> None:
    e = synthetic(steps=3, frames=7)
    maxima, maps = quantised(e.maps)
    again = maps.astype(np.float32) / 255 * maxima[:, :, None, None]
    for row in range(len(e.maps)):
        in_time = np.tensordot(e.grid.frame_weights(), again[row], axes=1)
        for scope in SCOPES:
            cells = in_time / e.scale(row, scope)[:, None, None]
            drawn = e.grid.row_weights() @ cells @ e.grid.column_weights().T
            assert np.abs(drawn - e.upsampled(row, scope)).max() <= 1 / 255
    assert not maps[5].any()  # the class without evidence


def test_payload_points_at_what_it_holds() -> None:
    e = synthetic()
    meta, data = payload(e, e.row("closing"), Look(cmap="magma", scope="frame"))
    json.dumps(meta)
    parts = meta["parts"]
    for t, (start, end) in enumerate(pairwise(parts["jpegs"])):
        frame = np.asarray(Image.open(BytesIO(data[start:end])))
        assert frame.shape == e.clip.frames[t].shape
        assert np.abs(frame.astype(int) - e.clip.frames[t]).mean() < 12
    assert parts["jpegs"][-1] == len(data)
    maxima = np.frombuffer(data, "<f4", 6 * 4).reshape(6, 4)
    assert np.allclose(maxima.max(axis=1), e.maps.reshape(6, -1).max(axis=1))
    assert [c["name"] for c in meta["classes"]] == list(e.labels)  # logits fall in the fixture
    assert meta["start"] == {"frame": 0, "choice": 1, "opacity": 0.65, "scope": 1, "cmap": 0}
    assert [c["name"] for c in meta["cmaps"]] == ["magma", "inferno", "viridis", "jet"]
    assert [c["blend"] for c in meta["cmaps"]] == [*["evidence"] * 3, "post"]
    meta, _ = payload(e, look=Look(blend="post"))
    assert {c["blend"] for c in meta["cmaps"]} == {"post"}


def test_payload_of_a_long_clip_and_of_many_classes_is_bounded(monkeypatch) -> None:
    from gradcam_video.show import player_page as module

    monkeypatch.setattr(module, "MAX_MAP_BYTES", 4 * 4 * 12)  # room for four classes
    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    meta, _ = payload(synthetic(frames=9), 5)
    assert len(meta["frames"]["times"]) == 3
    assert meta["frames"]["numbers"] == [0, 4, 8]
    names = [c["name"] for c in meta["classes"]]
    assert len(names) == 4
    assert names[meta["start"]["choice"]] == "empty"
    assert any("most probable of 6 classes" in line for line in meta["words"]["about"])


@pytest.mark.parametrize("bad", [{"scope": "all"}, {"opacity": 2}, {"width": 3}, {"cmap": "x"}])
def test_player_refuses_in_one_line(bad: dict) -> None:
    with pytest.raises(BadInput):
        player(synthetic(), **bad)


# --- widget -------------------------------------------------------------------------------------


def test_widget_is_driven_from_python() -> None:
    shown = player(synthetic(), "closing")
    assert (shown.frame, shown.label, shown.scope, shown.cmap) == (0, "closing", "clip", "inferno")
    shown.frame, shown.label, shown.scope, shown.cmap = 3, "other", "classes", "jet"
    shown.opacity = 0.4
    assert (shown.frame_slider.value, shown.canvas.frame) == (3, 3)
    assert (shown.class_dropdown.value, shown.canvas.choice) == (4, 4)
    assert shown.class_dropdown.label.endswith("other")
    assert (shown.canvas.scope, shown.canvas.cmap, shown.canvas.opacity) == (2, 2, 0.4)
    shown.frame = 99
    assert shown.frame == shown.canvas.frame == 3  # the last frame
    for name, value in (("label", "nothing like it"), ("scope", "x"), ("cmap", "x")):
        with pytest.raises(BadInput):
            setattr(shown, name, value)


def test_controls_are_linked_in_the_browser() -> None:
    shown = player(synthetic())
    pairs = {
        (link.source[0], link.source[1], link.target[0], link.target[1]) for link in shown.links
    }
    assert (shown.play, "value", shown.frame_slider, "value") in pairs
    for control, trait, target in (
        (shown.frame_slider, "value", "frame"),
        (shown.class_dropdown, "index", "choice"),
        (shown.opacity_slider, "value", "opacity"),
        (shown.scope_dropdown, "index", "scope"),
        (shown.cmap_dropdown, "index", "cmap"),
    ):
        assert (control, trait, shown.canvas, target) in pairs
        assert trait in control.keys  # it is synchronised, so the browser knows it
    assert len(shown.canvas.data) < 200_000


def test_bundle_holds_the_widget_and_a_page_that_needs_none() -> None:
    from IPython.core.formatters import DisplayFormatter

    shown = player(synthetic())
    shown.frame = 2
    formatter = DisplayFormatter()
    formatter.active_types = formatter.format_types
    bundle, _ = formatter.format(shown)
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == shown.model_id

    class Frame(HTMLParser):
        page = ""

        def handle_starttag(self, tag: str, attrs: list) -> None:
            if tag == "iframe":
                self.page = dict(attrs)["srcdoc"]

    parser = Frame()
    parser.feed(bundle["text/html"])
    assert parser.page.startswith("<!DOCTYPE html>")
    assert json.loads(_script(parser.page, "meta"))["start"]["frame"] == 2


# --- page ---------------------------------------------------------------------------------------


def _script(page: str, name: str) -> str:
    found = re.search(rf'<script [^>]*id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return found.group(1)


def test_page_is_self_contained_and_escaped() -> None:
    page = player_html(synthetic(), "a <b>'\"</script>")
    without_svg_name = page.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert not re.search(r"(https?:)?//[\w-]+\.\w", without_svg_name.split('id="data"')[0])
    assert not re.search(r"https?:", without_svg_name)
    assert "<b>" not in page
    assert page.count("</script>") == 3
    assert json.loads(_script(page, "meta"))["classes"][3]["name"] == "a <b>'\"</script>"
    _, data = payload(synthetic(), 3)
    assert base64.b64decode(_script(page, "data")) == data


CANVAS = """() => {
  const c = document.querySelector('canvas.gcv-picture');
  return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data);
}"""


def _painted(page, state: str) -> np.ndarray:
    page.wait_for_function(
        "s => document.querySelector('canvas.gcv-picture')?.dataset.painted === s", arg=state
    )
    shape = page.eval_on_selector("canvas.gcv-picture", "c => [c.height, c.width]")
    return np.array(page.evaluate(CANVAS), np.uint8).reshape(*shape, 4)[..., :3]


def test_page_in_a_browser_draws_what_python_draws(browser, tmp_path: Path) -> None:
    import dataclasses

    e = synthetic(steps=2, frames=5, untrained=True)
    e = dataclasses.replace(e, grid=dataclasses.replace(e.grid, time=Axis(2, 5, 0.0, 2.0)))
    meta, data = payload(e)
    starts = meta["parts"]["jpegs"]
    path = tmp_path / "player.html"
    path.write_text(player_html(e), encoding="utf-8")
    page = browser.new_page(viewport={"width": 375, "height": 900})
    trouble, asked = [], []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else 0)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: asked.append(r.url) if r.url.startswith("http") else 0)
    page.goto(path.as_uri())

    def expected(t: int, row: int, scope: str, cmap: str, opacity: float) -> np.ndarray:
        frame = np.asarray(Image.open(BytesIO(data[starts[t] : starts[t + 1]])))
        heat = e.upsampled_frame(t, row, scope)
        return overlay(frame, heat, cmap=cmap, opacity=opacity, seen=e.grid.view.seen())

    def check(t: int, row: int, scope: str, cmap: str, opacity: float) -> np.ndarray:
        drawn = _painted(page, f"{t} {row} {opacity} {scope} {cmap}").astype(int)
        off = np.abs(drawn - expected(t, row, scope, cmap, opacity))
        # A map value one 255th off may fall on the next colour: a few levels, never more
        assert off.max() <= 8, (t, row, scope, cmap)
        assert off.mean() < 0.7, (t, row, scope, cmap)
        return drawn

    seen = [check(0, 0, "clip", "inferno", 0.65)]
    page.get_by_role("slider", name="frame").focus()
    page.keyboard.press("ArrowRight")
    seen.append(check(1, 0, "clip", "inferno", 0.65))
    page.get_by_role("combobox", name="class").select_option(index=1)
    seen.append(check(1, 1, "clip", "inferno", 0.65))
    page.get_by_role("combobox", name="scale").select_option(index=1)
    seen.append(check(1, 1, "frame", "inferno", 0.65))
    page.get_by_role("combobox", name="scale").select_option(index=2)
    page.get_by_role("combobox", name="colours").select_option(label="jet, as in the post")
    seen.append(check(1, 1, "classes", "jet", 0.65))
    page.get_by_role("slider", name="opacity").fill("0.3")
    seen.append(check(1, 1, "classes", "jet", 0.3))
    for before, after in pairwise(seen):
        assert np.abs(before - after).max() > 8

    page.locator("body").click(position={"x": 2, "y": 2})
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")
    check(0, 1, "classes", "jet", 0.3)
    page.keyboard.press("ArrowLeft")  # round to the last, which is a repeat
    check(4, 1, "classes", "jet", 0.3)
    assert "repeat" in page.locator(".gcv-moment").inner_text()
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('canvas').dataset.painted.startsWith('2 ')")
    page.get_by_role("button", name="Pause").click()

    page.get_by_role("combobox", name="class").select_option(index=5)
    assert "No positive evidence for “empty”" in page.locator(".gcv-title").inner_text()
    assert "UNTRAINED" in page.locator(".gcv-alarm").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")  # phone width
    assert trouble == []
    assert asked == []
    page.close()


def test_an_outline_lies_where_the_map_reaches_half_of_its_scale(browser, tmp_path: Path) -> None:
    e = synthetic(steps=5, frames=5)
    path = tmp_path / "player.html"
    path.write_text(player_html(e), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    lines = 0
    for t in range(5):
        page.get_by_role("slider", name="frame").fill(str(t))
        page.wait_for_function(
            "t => document.querySelector('canvas').dataset.painted.startsWith(`${t} `)", arg=t
        )
        pixels = page.evaluate(CANVAS.replace("gcv-picture", "gcv-outline"))
        heat = e.upsampled_frame(t, e.row())
        line = np.array(pixels, np.uint8).reshape(*heat.shape, 4)
        white, dark = line[..., 0] == 255, (line[..., 0] == 0) & (line[..., 3] > 0)
        assert (heat[white] >= 0.49).all()
        assert (heat[dark] <= 0.51).all()
        assert white.any() == (heat >= 0.51).any()
        lines += white.any()
    assert lines
    assert page.locator(".gcv-again").count() == int(e.clip.repeated.sum())
    page.close()


HEAT = """async ([source, meta, base64, choice, scope]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { Maps } = await import(url);
  const maps = new Maps(meta, Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  return meta.frames.times.map((_, frame) => Array.from(maps.onPixels(choice, frame, scope)));
}"""


@pytest.mark.parametrize("scope", SCOPES)
def test_heat_before_blending_is_that_of_the_explanation(browser, scope: str) -> None:
    e = synthetic(steps=3, frames=7)
    meta, data = payload(e)
    assert (meta["frames"]["height"], meta["frames"]["width"]) == e.clip.frames.shape[1:3]
    page = browser.new_page()
    payload_of_page = [asset("player.js"), meta, base64.b64encode(data).decode()]
    for row in range(6):  # the classes lie in the order of their probability here
        heat = np.array(page.evaluate(HEAT, [*payload_of_page, row, scope]), np.float32) / 255
        expected = e.upsampled(row, scope)
        assert np.abs(heat.reshape(expected.shape) - expected).max() <= 2 / 255
        assert heat.any() == (row != 5)  # the last class has no evidence
    page.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Explanation, Path]:
    """An explanation of a synthetic clip, and the player.html that it wrote."""
    scene = gv.tabletop.sample("Moving [something] from left to right", 2017031)
    e = gv.explain(gv.load_model("tabletop"), scene.clip)
    folder = tmp_path_factory.mktemp("saved")
    e.save(folder)
    return e, folder / "player.html"


def test_page_follows_mouse_and_keys(browser, saved: tuple[Explanation, Path]) -> None:
    e, path = saved
    page = browser.new_page(viewport={"width": 1000, "height": 1000})
    page.goto(path.as_uri())
    shown = OnScreen(page, e)
    must_work(shown, page)
    page.close()


def test_page_on_a_phone(browser, saved: tuple[Explanation, Path]) -> None:
    e, path = saved
    page = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.goto(path.as_uri())
    shown = OnScreen(page, e)
    shown.wait("0 0 ")
    assert page.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [360, 360]
    for control in page.locator("button, select, input, canvas.gcv-picture, .gcv-strip").all():
        box = control.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
        assert box["width"] >= 120 and box["height"] >= 36  # a finger finds it
    page.locator(".gcv-strip").tap()  # in its middle
    shown.check(8, 0)
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_legible(browser, saved: tuple[Explanation, Path], scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(saved[1].as_uri())
    OnScreen(page, saved[0]).wait("0 0 ")
    root = page.locator("body")
    must_be_legible(root, "p, label > span, button, select")
    ground = root.evaluate("e => getComputedStyle(e).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()


def test_pages_side_by_side_do_not_disturb_each_other(browser) -> None:
    one, other = synthetic(), synthetic(frames=5, seed=1)
    page = browser.new_page(reduced_motion="reduce")
    frames = [framed(*payload(e)) for e in (one, other)]
    page.set_content("".join(frames))
    places = [page.frame_locator("iframe").nth(i) for i in range(2)]
    left, right = (OnScreen(place, e) for place, e in zip(places, (one, other), strict=True))
    left.check(0, 0)
    right.check(0, 0)
    page.wait_for_timeout(4 * max(left.meta["frames"]["durations"]))
    assert (left.frame(), right.frame()) == (0, 0)  # nothing plays unasked
    slider = places[0].get_by_role("slider", name="frame")
    slider.press("ArrowRight")
    left.check(1, 0)
    assert slider.get_attribute("aria-valuetext") == "frame 2 of 4, 0.25 s"
    places[1].get_by_role("combobox", name="class").select_option(index=2)
    right.check(0, 2)
    places[0].get_by_role("button", name="Play").click()  # the reader's own wish
    left.wait("2 0")
    assert right.state().startswith("0 2 ")
    page.close()
