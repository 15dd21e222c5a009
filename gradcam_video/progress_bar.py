"""A progress bar on stderr where tqdm is installed; where it is not, the work goes on without."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def progress(
    items: Iterable[Item],
    what: str = "",
    total: int | None = None,
    *,
    unit: str = "clip",
    show: bool | None = None,
) -> Iterable[Item]:
    """The items, counted on a screen as they are taken.

    Args:
        items: anything that can be iterated over.
        what: stands before the bar.
        total: how many there are; None: `len(items)`, where that is known.
        unit: what one item is called.
        show: None: on a screen only.
    """
    if show is False or (show is None and not sys.stderr.isatty()):
        return items
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    return tqdm(items, what or None, total, unit=unit)
