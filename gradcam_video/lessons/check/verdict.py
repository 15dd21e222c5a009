"""What an exercise says about an answer: not written yet, a hint, or right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Hint(Exception):
    """What to tell a reader whose answer is not right yet: the mistake, not the solution."""


@dataclass(frozen=True)
class Verdict:
    """Shown as one line under the cell.

    Attributes:
        right: whether the answer passed every test.
        words: what the reader sees.
    """

    right: bool
    words: str

    def __repr__(self) -> str:
        return self.words


def exercise(
    examine: Callable[[Callable[..., Any]], None],
) -> Callable[[Callable[..., Any]], Verdict]:
    """Makes a check of a function that calls the reader's answer and raises `Hint`.

    An answer that returns nothing (`...` as its body) is not written yet; one that raises is told
    what it raised.
    """

    @functools.wraps(examine)
    def check(answer: Callable[..., Any]) -> Verdict:
        def asked(*args: Any, **options: Any) -> Any:
            given = answer(*args, **options)
            if given is None:
                raise NotImplementedError
            return given

        try:
            examine(asked)
        except NotImplementedError:
            return Verdict(False, "not written yet")
        except Hint as hint:
            return Verdict(False, f"not yet: {hint}")
        except Exception as error:  # the reader's own code may raise anything
            return Verdict(False, f"not yet: it raises {type(error).__name__}: {error}")
        return Verdict(True, "right")

    return check
