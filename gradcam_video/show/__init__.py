"""Looking at an explanation: overlay, contact sheet, filmstrip, video, player, and all on disk.

Nothing here knows a network: it draws whatever has the attributes of an `Explanation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_face

if TYPE_CHECKING:
    from .blend import overlay
    from .contact_sheet import sheet
    from .export import save
    from .filmstrip import draw_filmstrip
    from .notebook import player
    from .player_page import player_html
    from .video_writer import side_by_side, write_gif, write_mp4

__all__ = [
    "draw_filmstrip",
    "overlay",
    "player",
    "player_html",
    "save",
    "sheet",
    "side_by_side",
    "write_gif",
    "write_mp4",
]

__getattr__, __dir__ = lazy_face(
    __name__,
    {
        "draw_filmstrip": "filmstrip",
        "overlay": "blend",
        "player": "notebook",
        "player_html": "player_page",
        "save": "export",
        "sheet": "contact_sheet",
        "side_by_side": "video_writer",
        "write_gif": "video_writer",
        "write_mp4": "video_writer",
    },
)
