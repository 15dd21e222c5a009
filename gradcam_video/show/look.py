"""How a map is laid on a frame: its scale, its colours, how strongly, and in which way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from io import BytesIO
from typing import TypedDict

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..geometry import SCOPES

BLENDS = ("evidence", "post")
SHIPPED = ("inferno", "viridis", "jet")  # the rows of palettes.png, matplotlib's own colours
OPACITY = 0.65  # strong enough to read at the peak, weak enough to see the object under it


class LookOptions(TypedDict, total=False):
    """The fields of a `Look` as keyword arguments: whatever draws maps takes these four."""

    scope: str
    cmap: str
    opacity: float
    blend: str | None


@dataclass(frozen=True)
class Look:
    """How maps are drawn, checked once and the same for every picture of an explanation.

    Attributes:
        scope: what a map is divided by: "clip", "frame" or "classes", see `Explanation.scale`.
        cmap: any name matplotlib knows. The perceptual inferno is the default; jet is the post's.
        opacity: 0 to 1.
        blend: "evidence" or "post", see `overlay`. None takes "post" for jet and "evidence" for
            every other colour map.

    Raises:
        BadInput: an unknown scope, colour map or blend, or an opacity outside 0..1.
    """

    scope: str = "clip"
    cmap: str = "inferno"
    opacity: float = OPACITY
    blend: str | None = None

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise BadInput(f"unknown scope {self.scope!r}: use one of {', '.join(SCOPES)}")
        if not 0 <= self.opacity <= 1:
            raise BadInput(f"opacity {self.opacity} is outside 0..1: choose one between")
        if self.blend not in (None, *BLENDS):
            raise BadInput(f"unknown blend {self.blend!r}: use one of {', '.join(BLENDS)}")
        palette(self.cmap)

    def blend_of(self, cmap: str) -> str:
        """How a colour map is blended in this look: "evidence" or "post"."""
        return self.blend or default_blend(cmap)


def default_blend(cmap: str) -> str:
    """Jet is there for the post's look, so it blends as the post did."""
    return "post" if cmap.startswith("jet") else "evidence"


@lru_cache(maxsize=16)
def palette(cmap: str = "inferno") -> np.ndarray:
    """The 256 colours of a matplotlib colour map, uint8 (256, 3); 0 is no evidence, 255 the most.

    Raises:
        BadInput: matplotlib has no colour map of this name.
    """
    if cmap in SHIPPED:
        data = resources.files("gradcam_video.show").joinpath("palettes.png").read_bytes()
        colours = np.array(Image.open(BytesIO(data)))[SHIPPED.index(cmap)]  # no matplotlib needed
    else:
        import matplotlib

        try:
            chosen = matplotlib.colormaps[cmap]
        except KeyError:
            raise BadInput(
                f"unknown colour map {cmap!r}: use inferno, viridis, jet or another of matplotlib's"
            ) from None
        colours = chosen(np.arange(256), bytes=True)[:, :3]
    colours.setflags(write=False)  # it is cached: nobody may paint on it
    return colours
