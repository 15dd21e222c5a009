"""The player in a notebook: a widget, or a page in a frame where widgets do not live."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import BadInput
from ..explanation import Explanation
from .blend import OPACITY
from .player_page import FramedPlayer, Label, payload


def player(
    e: Explanation,
    label: Label = None,
    *,
    scope: str = "clip",
    cmap: str = "inferno",
    opacity: float = OPACITY,
    width: int = 480,
) -> Any:
    """An ipywidgets player: play, frame slider, class, opacity, scale and colours.

    All drawing is done in the browser; moving a control asks the kernel for nothing. From Python,
    `frame`, `label`, `opacity`, `scope` and `cmap` can be read and set. On Colab, which shows such
    widgets only through a manager of its own, it is the same player as a page in a frame.

    Args:
        e: what to show.
        label: the class shown first; None is the top class.
        scope, cmap, opacity: as they are shown first.
        width: of the picture, at most, in pixels.

    Returns:
        A `gradcam_video.show.widget.Player`, an `ipywidgets.VBox`; on Colab a `FramedPlayer`.

    Raises:
        BadInput: ipywidgets or anywidget is not installed, or an argument does not fit.
    """
    kind: Any = FramedPlayer
    if "google.colab" not in sys.modules:
        try:
            from .widget import Player as kind
        except ImportError as error:
            raise BadInput(
                f"the player needs {error.name}: pip install ipywidgets anywidget, or use "
                "player_html"
            ) from error
    meta, data = payload(e, label, scope=scope, cmap=cmap, opacity=opacity, width=width)
    return kind(e, meta, data)
