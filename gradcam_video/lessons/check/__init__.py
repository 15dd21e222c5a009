"""Checks of the exercises: `gv.check.<name>(your_function)` answers, one module per notebook."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from .verdict import Hint, Verdict, exercise

__all__ = ["Hint", "Verdict", "exercise", "names"]

_CHAPTERS = sorted(
    name for _, name, _ in pkgutil.iter_modules(__path__) if name.startswith("chapter")
)


def names() -> list[str]:
    """The names of all checks."""
    return [name for chapter in _CHAPTERS for name in _chapter(chapter).__all__]


def _chapter(name: str) -> Any:
    return importlib.import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> Any:
    if not name.startswith("_"):
        for chapter in map(_chapter, _CHAPTERS):
            if name in chapter.__all__:
                return getattr(chapter, name)
    raise AttributeError(f"there is no check {name!r}; the checks are: {', '.join(names())}")
