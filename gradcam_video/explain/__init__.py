"""One forward in, the maps of every class out."""

from .api import METHODS, clips_at_once, explain
from .core import maps_of
from .explanation import SCOPES, Explanation
from .windows import explain_windows, join

__all__ = [
    "METHODS",
    "SCOPES",
    "Explanation",
    "clips_at_once",
    "explain",
    "explain_windows",
    "join",
    "maps_of",
]
