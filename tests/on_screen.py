"""A player in a browser: what it shows, what Python would show, and how long a change takes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
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

TWO_FRAMES = 33.3  # ms: two frames of a display of 60 Hz, from the key or the mouse to the picture
OUR_PART = 8.0  # ms of it that player.js may take

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

# From the event's own time stamp to the first task after the frame in which the canvas was painted.
# requestAnimationFrame runs just before that frame is drawn; a message posted in it comes just
# after. (A second requestAnimationFrame would add the whole of the next frame.) A key is followed
# by a "change" of its own: the first event counts.
WATCH = """canvas => {
  const seen = canvas.seen = { asked: null, took: [], ours: [] };
  for (const kind of ["keydown", "pointerdown", "pointermove", "change"]) {
    document.addEventListener(kind, (event) => { seen.asked ??= event.timeStamp; }, true);
  }
  new MutationObserver(() => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      seen.took.push(performance.now() - seen.asked);
      seen.ours.push(Number(canvas.dataset.ms));
    };
    port2.postMessage(0);
  })).observe(canvas, { attributeFilter: ["data-painted"] });
}"""

# The next picture is asked for at a random moment of the display's frame.
READY = """canvas => new Promise((done) => setTimeout(() => {
  canvas.seen.asked = null;
  done();
}, 10 + 17 * Math.random()))"""

PAINTED = """(canvas, samples) => new Promise((done, failed) => {
  const since = performance.now();
  const look = () => {
    if (canvas.seen.took.length >= samples) return done();
    if (performance.now() - since > 10000) return failed(new Error("nothing was painted for 10 s"));
    setTimeout(look, 2);
  };
  look();
})"""


@dataclass(frozen=True)
class Times:
    """Milliseconds per change: from the event to the painted canvas, and player.js's own part."""

    took: np.ndarray
    ours: np.ndarray

    def quick(self) -> bool:
        """Whether 95 of 100 changes are as quick as is promised."""
        took, ours = (np.percentile(x, 95) for x in (self.took, self.ours))
        return took <= TWO_FRAMES and ours <= OUR_PART

    def __str__(self) -> str:
        words = [
            f"{name} p50 {np.percentile(x, 50):.1f}, p95 {np.percentile(x, 95):.1f} ms"
            for name, x in (("event to paint", self.took), ("own script", self.ours))
        ]
        return f"{'; '.join(words)} (n {len(self.took)})"


class OnScreen:
    """One player on a page (or in a frame of one), and the explanation that it shows.

    Args:
        place: where to look, a Playwright page, frame or locator.
        e: what is shown.
        width: as the player was made with.
    """

    def __init__(self, place: Any, e: Explanation, width: int = 640) -> None:
        self.e = e
        self.root = place.locator(".gcv").first
        self.canvas = place.locator("canvas.gcv-picture").first
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
        assert f"“{chosen['name']}” ({chosen['percent']})" in title
        return pixels

    def times(self, change: Callable[[int], None], samples: int) -> Times:
        """How long changes take; `change(i)` must ask for another picture, by one event."""
        if not self.canvas.evaluate("c => 'seen' in c"):
            self.canvas.evaluate(WATCH)
        self.canvas.evaluate("c => { c.seen.took = []; c.seen.ours = []; }")
        for i in range(samples):
            self.canvas.evaluate(READY)
            change(i)
            self.canvas.evaluate(PAINTED, i + 1)
        seen = self.canvas.evaluate("c => c.seen")
        return Times(np.array(seen["took"]), np.array(seen["ours"]))


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
        self.step = {"frame": 1, "class": 1}

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

    def next_frame(self, _: int = 0) -> None:
        """Drag by one frame, from end to end and back."""
        now, last = self.shown.frame(), len(self.shown.meta["frames"]["times"]) - 1
        self.drag(now + self._turned("frame", now, last))

    def next_class(self, _: int = 0) -> None:
        """A key on the list of classes: down to the end and back."""
        step = self._turned("class", self.shown.choice(), len(self.shown.rows) - 1)
        self.keyboard.press("ArrowDown" if step > 0 else "ArrowUp")

    def _turned(self, what: str, now: int, last: int) -> int:
        if not 0 <= now + self.step[what] <= last:
            self.step[what] *= -1
        return self.step[what]


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


def must_be_quick(shown: OnScreen, place: Any, where: str, samples: int = 64) -> None:
    """Measure frames and classes. Other people's work may fall into one: the better of two counts.

    Prints every measurement (pytest -rP shows them).
    """
    hand = Hand(shown, place)
    for what, begin, change, end in (
        ("frame", hand.grab, hand.next_frame, hand.let_go),
        ("class", hand.classes.focus, hand.next_class, lambda: None),
    ):
        for _ in range(2):
            begin()
            times = shown.times(change, samples)
            end()
            print(f"{where}, {what}: {times}")
            if times.quick():
                break
        assert times.quick(), f"{where}, {what}: {times}"


def explained_on(place: Any) -> Explanation:
    """The explanation behind a player of a made clip, made again from what it says of itself."""
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
