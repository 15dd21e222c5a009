"""What only the notebooks need: checks of the exercises, reported numbers, a game, culprits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_face

if TYPE_CHECKING:
    from . import check, culprits, facts, game

__all__ = ["check", "culprits", "facts", "game"]

__getattr__, __dir__ = lazy_face(__name__, {}, __all__)
