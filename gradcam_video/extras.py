"""Packages that only some rooms need: a missing one is named, with the line that installs it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from .errors import BadInput


@contextmanager
def needs_extra(extra: str) -> Generator[None]:
    """What is imported within comes with an extra of this package.

    Args:
        extra: "training", "tabletop", "notebooks" or "hf", as in `pyproject.toml`.

    Raises:
        BadInput: a package is missing; the line says how to install it.
    """
    try:
        yield
    except ImportError as error:
        missing = error.name or error
        raise BadInput(
            f"{missing} is not installed: pip install 'gradcam-video[{extra}]'"
        ) from error
