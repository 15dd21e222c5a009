"""A player in a browser: what it shows, and what Python would show."""

from __future__ import annotations

import base64
import re
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image

import gradcam_video as gv
from gradcam_video.explanation import Explanation
from gradcam_video.show import overlay
from gradcam_video.show.blend import at_size
from gradcam_video.show.player_page import payload

# The frame slider of ipywidgets 8 or 7: what is grabbed, and what it moves along
HANDLE = ".gcv-frame .noUi-handle, .gcv-frame .ui-slider-handle"
TRACK = ".gcv-frame .noUi-base, .gcv-frame .ui-slider"

PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let letters = "";
  for (let i = 0; i < data.length; i += 8192) {
    letters += String.fromCharCode(...data.subarray(i, i + 8192));
  }
  return btoa(letters);
}"""


class OnScreen:
    """One player on a page (or in a frame of one), and the explanation that it shows.

    Args:
        place: where to look, a Playwright page, frame or locator.
        e: what is shown.
        width: as the player was made with; None: as wide as the picture on screen.
    """

    def __init__(self, place: Any, e: Explanation, width: int | None = 640) -> None:
        self.e = e
        self.root = place.locator(".gcv").first
        self.canvas = place.locator("canvas.gcv-picture").first
        width = width or self.canvas.evaluate("canvas => canvas.width")
        self.meta, self.data = payload(e, width=width)
        frames = self.meta["frames"]
        self.drawn = at_size(e, frames["height"], frames["width"])
        self.rows = np.argsort(-e.probabilities[e.classes], kind="stable")

    def state(self) -> str:
        """What is painted: frame, class, opacity, scope, colours."""
        return self.canvas.get_attribute("data-painted")

    def frame(self) -> int:
        return int(self.state().split()[0])

    def choice(self) -> int:
        """The class shown, as its place in the list."""
        return int(self.state().split()[1])

    def wait(self, start: str) -> None:
        """Until the state painted begins with these words."""
        self.canvas.and_(self.canvas.page.locator(f'[data-painted^="{start}"]')).wait_for()

    def pixels(self) -> np.ndarray:
        """What the canvas holds, uint8 (H, W, 3)."""
        frames = self.meta["frames"]
        flat = np.frombuffer(base64.b64decode(self.canvas.evaluate(PIXELS)), np.uint8)
        return flat.reshape(frames["height"], frames["width"], 4)[..., :3]

    def expected(
        self, frame: int, choice: int, scope: str, cmap: str, opacity: float
    ) -> np.ndarray:
        """The overlay as Python draws it, on the same decoded JPEG."""
        start, end = self.meta["parts"]["jpegs"][frame : frame + 2]
        picture = np.asarray(Image.open(BytesIO(self.data[start:end])))
        heat = self.drawn.upsampled_frame(frame, int(self.e.classes[self.rows[choice]]), scope)
        seen = self.drawn.grid.view.seen()
        return overlay(picture, heat, cmap=cmap, opacity=opacity, seen=seen)

    def check(
        self,
        frame: int,
        choice: int,
        scope: str = "clip",
        cmap: str = "inferno",
        opacity: float = 0.65,
    ) -> np.ndarray:
        """Wait for a state; its pixels and its title must be right. Returns the pixels."""
        self.wait(f"{frame} {choice} {opacity} {scope} {cmap}")
        pixels = self.pixels()
        off = np.abs(pixels.astype(int) - self.expected(frame, choice, scope, cmap, opacity))
        # A map value one 255th off may fall on the next colour: a few levels, never more
        assert off.max() <= 8, (frame, choice, scope, cmap, off.max())
        assert off.mean() < 0.7, (frame, choice, scope, cmap, off.mean())
        chosen = self.meta["classes"][choice]
        title = self.root.locator(".gcv-title").text_content()
        assert f"“{chosen['name']}” ({chosen['answer']})" in title
        return pixels


class Hand:
    """A reader's hand: it drags the frame slider with the mouse, and takes the next class by key.

    Args:
        shown: the player.
        place: where its controls are, a Playwright locator, page or frame.
    """

    def __init__(self, shown: OnScreen, place: Any) -> None:
        self.shown = shown
        self.mouse, self.keyboard = shown.canvas.page.mouse, shown.canvas.page.keyboard
        if place.locator(HANDLE).count():  # ipywidgets
            self.handle = place.locator(HANDLE)
            self.track, self.inset = place.locator(TRACK), 0.0
            self.classes = place.locator("select").first
        else:
            self.handle = self.track = place.get_by_role("slider", name="frame")
            self.inset = 8.0  # Chromium's own slider: half of what is grabbed
            self.classes = place.get_by_role("combobox", name="class")

    def grab(self) -> None:
        """Press the button on the slider's handle."""
        self.handle.scroll_into_view_if_needed()
        self.mouse.move(*self.spot(self.shown.frame()))
        self.mouse.down()

    def drag(self, frame: int) -> None:
        """One movement to where a frame lies."""
        self.mouse.move(*self.spot(frame))

    def let_go(self) -> None:
        self.mouse.up()

    def spot(self, frame: int) -> tuple[float, float]:
        """Where on the page the handle is at a frame, (x, y)."""
        box, last = self.track.bounding_box(), len(self.shown.meta["frames"]["times"]) - 1
        wide = box["width"] - 2 * self.inset
        return box["x"] + self.inset + frame / last * wide, box["y"] + box["height"] / 2

    def next_class(self) -> None:
        """A key on the list of classes: one down."""
        self.keyboard.press("ArrowDown")


def must_work(shown: OnScreen, place: Any) -> None:
    """Drag the slider and change the class: each time another picture, and the right one."""
    hand = Hand(shown, place)
    choice = shown.choice()
    seen = [shown.check(shown.frame(), choice)]
    hand.grab()
    for frame in (9, 4, 6):
        hand.drag(frame)
        seen.append(shown.check(frame, choice))
    hand.let_go()
    hand.classes.focus()
    for _ in range(2):
        choice += 1
        hand.next_class()
        seen.append(shown.check(6, choice))
    for before, after in pairwise(seen):
        assert (before != after).any()


def explained_on(place: Any) -> Explanation:
    """The explanation of a player of a synthetic clip, made again from what it says of itself."""
    label = re.search("“(.+)”", place.locator(".gcv-title").first.text_content())
    seed = re.search(r"Tabletop (\d+)", place.locator(".gcv").first.text_content())
    assert label and seed
    scene = gv.tabletop.sample(label[1], int(seed[1]))
    return gv.explain(gv.load_model("tabletop"), scene.clip)


CONTRASTS = """(root, selector) => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const mixed = (under, colour) => { // a colour, perhaps half transparent, on another one
    pen.fillStyle = `rgb(${under.join(" ")})`;
    pen.fillRect(0, 0, 1, 1);
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    return Array.from(pen.getImageData(0, 0, 1, 1).data.slice(0, 3));
  };
  const behind = (element) => element === null
    ? mixed([0, 0, 0], "Canvas")
    : mixed(behind(element.parentElement), getComputedStyle(element).backgroundColor);
  const light = (colour) => colour
    .map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const elements = Array.from(root.querySelectorAll(selector));
  return elements.filter((e) => e.textContent.trim()).map((e) => {
    const ground = behind(e), ink = mixed(ground, getComputedStyle(e).color);
    const [low, high] = [light(ground), light(ink)].sort((a, b) => a - b);
    return [e.className || e.tagName, (high + 0.05) / (low + 0.05)];
  });
}"""


def must_be_legible(root: Any, selector: str, least: float = 4.5) -> None:
    """Texts stand out from what is behind them: WCAG's contrast ratio, 4.5 for its level AA."""
    ratios = root.evaluate(CONTRASTS, selector)
    assert len(ratios) >= 5
    assert min(ratio for _, ratio in ratios) >= least, ratios
