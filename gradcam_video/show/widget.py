"""The player in a notebook. A file of its own: only this needs ipywidgets and anywidget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets
import traitlets

from ..geometry import SCOPES
from .captions import class_name
from .html import asset
from .look import OPACITY
from .player_page import SCOPE_TITLES, framed, place

if TYPE_CHECKING:
    from .drawable import Drawable


class Canvas(anywidget.AnyWidget):
    """The picture. It is given everything once; the browser draws whatever its traits say."""

    _esm = asset("player.js")
    _css = asset("player.css")
    data = traitlets.Bytes().tag(sync=True)
    meta = traitlets.Dict().tag(sync=True)
    frame = traitlets.Int(0).tag(sync=True)
    choice = traitlets.Int(0).tag(sync=True)  # place among the classes, most probable first
    opacity = traitlets.Float(OPACITY).tag(sync=True)
    scope = traitlets.Int(0).tag(sync=True)
    cmap = traitlets.Int(0).tag(sync=True)
    play = traitlets.Unicode("").tag(sync=True)  # the model whose pace is set in the browser


class Player(ipywidgets.VBox):
    """Picture and controls, linked in the browser (`jslink`), so that no kernel is needed to move.

    `frame`, `label`, `opacity`, `scope` and `cmap` read and set what is shown.

    Args:
        e: what is shown.
        meta, data: its `payload`.
    """

    def __init__(self, e: Drawable, meta: dict[str, Any], data: bytes) -> None:
        start = meta["start"]
        last = len(meta["frames"]["times"]) - 1
        wide = ipywidgets.Layout(width="auto")
        style = {"description_width": "58px"}

        def pick(name: str, texts: list[str], chosen: int) -> Any:
            # By place, not by text: two classes may share their words
            options = [(text, i) for i, text in enumerate(texts)]
            return ipywidgets.Dropdown(
                options=options, value=chosen, description=name, layout=wide, style=style
            )

        self._explanation = e
        self._names = [c["name"] for c in meta["classes"]]
        self._cmaps = [c["name"] for c in meta["cmaps"]]
        # Where the browser cannot set the pace of each frame, the mean holds for all.
        mean = max(1, round(meta["interval"]))
        self.play = ipywidgets.Play(min=0, max=last, value=0, interval=mean, description="play")
        self.canvas = Canvas(data=data, meta=meta, play=self.play.model_id, **start)
        # No number beside it: the picture's own words count from 1. It is as long as the curve of
        # evidence under it, from the middle of the first bar to that of the last.
        ends = f"0 {50 / (last + 1):.3f}%"
        self.frame_slider = ipywidgets.IntSlider(
            min=0,
            max=last,
            value=0,
            readout=False,
            layout=ipywidgets.Layout(width="auto", margin=ends),
        )
        names = [f"{c['answer']}  {c['name']}" for c in meta["classes"]]
        self.class_dropdown = pick("class", names, start["choice"])
        self.opacity_slider = ipywidgets.FloatSlider(
            min=0,
            max=1,
            step=0.05,
            value=start["opacity"],
            description="opacity",
            layout=wide,
            style=style,
        )
        self.scope_dropdown = pick("scale", [SCOPE_TITLES[s] for s in SCOPES], start["scope"])
        self.cmap_dropdown = pick("colours", [c["title"] for c in meta["cmaps"]], 0)
        self.links = [
            ipywidgets.jslink((self.play, "value"), (self.frame_slider, "value")),
            ipywidgets.jslink((self.frame_slider, "value"), (self.canvas, "frame")),
            ipywidgets.jslink((self.class_dropdown, "index"), (self.canvas, "choice")),
            ipywidgets.jslink((self.opacity_slider, "value"), (self.canvas, "opacity")),
            ipywidgets.jslink((self.scope_dropdown, "index"), (self.canvas, "scope")),
            ipywidgets.jslink((self.cmap_dropdown, "index"), (self.canvas, "cmap")),
        ]
        super().__init__(
            [
                self.canvas,
                self.frame_slider,
                self.play,
                self.class_dropdown,
                self.opacity_slider,
                self.scope_dropdown,
                self.cmap_dropdown,
            ],
            layout=ipywidgets.Layout(width="100%", max_width=f"{meta['width'] + 4}px"),
        )
        self.add_class("gcv-player")  # player.css sets the order, player.js names the slider
        self.frame_slider.add_class("gcv-frame")

    @property
    def frame(self) -> int:
        """The frame shown, counted from 0."""
        return self.frame_slider.value

    @frame.setter
    def frame(self, frame: int) -> None:
        self.frame_slider.value = frame
        self.canvas.frame = self.frame_slider.value  # the slider keeps it in range

    @property
    def label(self) -> str:
        """The class shown, by name."""
        return self._names[self.class_dropdown.value]

    @label.setter
    def label(self, label: str | int | None) -> None:
        name = class_name(self._explanation, self._explanation.row(label))
        self.class_dropdown.value = self.canvas.choice = self._names.index(name)

    @property
    def opacity(self) -> float:
        """How strongly the map is laid on, 0 to 1."""
        return self.opacity_slider.value

    @opacity.setter
    def opacity(self, opacity: float) -> None:
        self.opacity_slider.value = opacity
        self.canvas.opacity = self.opacity_slider.value

    @property
    def scope(self) -> str:
        """What the map is divided by: "clip", "frame" or "classes"."""
        return SCOPES[self.scope_dropdown.value]

    @scope.setter
    def scope(self, scope: str) -> None:
        self.scope_dropdown.value = self.canvas.scope = place(scope, list(SCOPES), "scope")

    @property
    def cmap(self) -> str:
        """The colour map, one of those in the list of colours."""
        return self._cmaps[self.cmap_dropdown.value]

    @cmap.setter
    def cmap(self, cmap: str) -> None:
        self.cmap_dropdown.value = self.canvas.cmap = place(cmap, self._cmaps, "colour map")

    # ipywidgets 7 shows itself through this, and then the bundle below would not be asked for
    _ipython_display_ = None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None, **_: Any) -> dict:
        """The widget, and beside it a page for readers without kernel or widget state."""
        meta, data = self.canvas.meta, self.canvas.data
        return {
            "text/plain": f"Player({self.label!r}, frame {self.frame})",
            "text/html": framed(self._now(meta), data),
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": self.model_id,
            },
        }

    def _now(self, meta: dict[str, Any]) -> dict[str, Any]:
        shown = {
            "frame": self.frame,
            "choice": self.class_dropdown.value,
            "opacity": self.opacity,
            "scope": self.scope_dropdown.value,
            "cmap": self.cmap_dropdown.value,
        }
        return {**meta, "start": shown}
