"""The player in a notebook: a widget, or a page in a frame where widgets do not live."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Unpack

from ..errors import BadInput
from .look import Look, LookOptions
from .player_page import FramedPlayer, payload

if TYPE_CHECKING:
    from .drawable import Drawable


def player(
    e: Drawable, label: str | int | None = None, *, width: int = 480, **look: Unpack[LookOptions]
) -> Any:
    """An ipywidgets player: play, frame slider, class, opacity, scale and colours.

    All drawing is done in the browser; moving a control asks the kernel for nothing. From Python,
    `frame`, `label`, `opacity`, `scope` and `cmap` can be read and set. On Colab, which shows such
    widgets only through a manager of its own, it is the same player as a page in a frame.

    Args:
        e: what to show.
        label: the class shown first; None is the top class.
        width: of the picture, at most, in pixels.
        look: scope, cmap, opacity and blend, see `Look`, as they are shown first.

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
    return kind(e, *payload(e, e.row(label), Look(**look), width=width))
