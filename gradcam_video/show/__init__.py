"""Looking at an explanation: overlay, contact sheet, movie, player, and everything on disk."""

from __future__ import annotations

from .movie import side_by_side, write_gif, write_mp4
from .overlay import overlay
from .player import player, player_html
from .save import save
from .sheet import sheet
from .strip import strip

__all__ = [
    "overlay",
    "player",
    "player_html",
    "save",
    "sheet",
    "side_by_side",
    "strip",
    "write_gif",
    "write_mp4",
]
