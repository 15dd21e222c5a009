"""One forward in, the maps of every class out."""

from .api import METHODS, explain
from .core import maps_of
from .explanation import SCOPES, Explanation
from .windows import explain_windows, join

__all__ = [
    "METHODS",
    "SCOPES",
    "Explanation",
    "explain",
    "explain_windows",
    "join",
    "maps_of",
]
