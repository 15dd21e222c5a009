"""A heat map on a frame: colours, blending, and the size at which things are drawn."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..geometry import View
from .look import OPACITY, Look, palette

if TYPE_CHECKING:
    from .drawable import Drawable

GREY = 0.6  # how much of its own colour a frame loses, so that colour means evidence
UNSEEN = 0.4  # brightness left outside the network's crop


def overlay(
    frame: np.ndarray,
    heat: np.ndarray,
    *,
    cmap: str = "inferno",
    opacity: float = OPACITY,
    seen: np.ndarray | None = None,
    blend: str | None = None,
) -> np.ndarray:
    """Draw a heat map over a frame.

    Two ways to blend, both linear in the picture and neither rescaled from frame to frame, so
    that a video does not flicker and a frame without evidence looks like one:

    * `"evidence"`: the frame loses some of its own colour, g = 0.4 frame + 0.6 luma, and the map's
      colour is laid on in proportion to its value v: out = (1 - a) g + a colour(v) with
      a = opacity · (1 - (1 - v)²), which is v at both ends and rises quicker at first, so that half
      the evidence is still seen. Where the map is zero the frame shows through undimmed.
    * `"post"`: the same opacity everywhere, as in the 2017 post and OpenCV's `addWeighted`:
      out = (1 - opacity) frame + opacity colour(v). Where the map is zero the frame turns blue.

    Args:
        frame: uint8 (H, W, 3).
        heat: float (H, W), 0 to 1.
        cmap: any name matplotlib knows. The perceptual inferno is the default; jet is the post's.
        opacity: 0 to 1.
        seen: bool (H, W), False where the network did not look: drawn dark, without any map.
        blend: None takes "post" for jet, "evidence" for every other colour map.

    Returns:
        uint8 (H, W, 3).

    Raises:
        BadInput: shapes that do not fit, an opacity outside 0..1, an unknown colour map or blend.
    """
    return lay_on(frame, heat, Look(cmap=cmap, opacity=opacity, blend=blend), seen)


def lay_on(
    frame: np.ndarray, heat: np.ndarray, look: Look, seen: np.ndarray | None = None
) -> np.ndarray:
    """`overlay` in a look that was checked before: uint8 (H, W, 3)."""
    if frame.ndim != 3 or frame.shape[2] != 3 or heat.shape != frame.shape[:2]:
        raise BadInput(
            f"frame {frame.shape} and map {heat.shape} do not fit: give (H, W, 3) and (H, W)"
        )
    # Pillow's C loops on 8 bits: ten times as quick as arrays of floats
    picture = Image.fromarray(np.ascontiguousarray(frame))
    value = Image.fromarray((np.clip(heat, 0, 1) * 255 + 0.5).astype(np.uint8))  # (H, W)
    if look.blend_of(look.cmap) == "post":
        share = Image.new("L", value.size, round(255 * look.opacity))
        base = picture
    else:
        share = value.point(_shares(look.opacity))
        base = Image.blend(picture, picture.convert("L").convert("RGB"), GREY)
    value.putpalette(palette(look.cmap).tobytes())
    out = Image.composite(value.convert("RGB"), base, share)
    if seen is not None and not seen.all():
        dark = picture.point(_DARK)
        out = Image.composite(out, dark, Image.fromarray(np.asarray(seen, np.uint8) * 255))
    return np.asarray(out)


_DARK = tuple(round(UNSEEN * level) for level in range(256)) * 3


@lru_cache(maxsize=16)
def _shares(opacity: float) -> tuple[int, ...]:
    """How much of the map's colour each of its 256 values gets, in 255ths."""
    return tuple(round(255 * opacity * (1 - (1 - v / 255) ** 2)) for v in range(256))


def fit(
    height: int, width: int, low: int = 224, high: int = 480, wide: int = 640
) -> tuple[int, int]:
    """Size at which a picture is shown: at least `low` and at most `high` high, or `wide` wide."""
    scale = min(max(1.0, low / height), high / height, wide / width)
    return max(2, round(height * scale)), max(2, round(width * scale))


def resize(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """One frame at another size, uint8 (height, width, 3)."""
    frame = np.ascontiguousarray(frame)
    if frame.shape[:2] == (height, width):
        return frame
    picture = Image.fromarray(frame)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0))


def at_size(e: Drawable, height: int, width: int) -> Drawable:
    """The same explanation with its maps drawn on a picture of another size.

    Only the view is scaled: the maps of an 8K clip are never drawn at 8K to be shown at 480 lines.
    """
    view = e.grid.view
    down, across = height / view.height, width / view.width
    top, left, bottom, right = view.box
    scaled = View(
        height,
        width,
        view.rows,
        view.columns,
        top * down,
        left * across,
        bottom * down,
        right * across,
    )
    explanation: Any = e  # a dataclass
    return replace(explanation, grid=replace(e.grid, view=scaled))
