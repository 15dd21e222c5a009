"""The entries of a json object one after the other, in little memory.

The standard library reads a json whole or not at all. Something-Else's file has 180,049 entries and
some gigabytes. So a window of it is held, and `raw_decode` takes one entry after the other.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ..errors import BadInput

WINDOW = 1 << 20
"""Bytes of a file that are read at once; more, where an entry is larger."""
LONGEST_WORD = len("-Infinity")
_GRAPHIC = re.compile(r"\S")


def entries(path: Path, wanted: Collection[str] | None = None) -> Iterator[tuple[str, Any]]:
    """The entries of a json object one after the other, in little memory, whatever its size.

    Args:
        wanted: when all of these have come, the rest is not read; None: all are.

    Yields:
        Key and value, also of entries that are not wanted.

    Raises:
        BadInput: the file is damaged; what came before is right.
    """
    left = None if wanted is None else set(wanted)
    decoder = json.JSONDecoder()
    text, at, ended, last = "", 0, False, ""
    with path.open("rb") as file:
        read = codecs.getincrementaldecoder("utf-8-sig")()

        def more(size: int = WINDOW) -> None:
            nonlocal text, at, ended
            raw = file.read(size)
            text, at = text[at:] + read.decode(raw, final=not raw), 0
            ended = not raw

        def token() -> str:
            """The next character that is no white space; "" at the end."""
            nonlocal at
            while True:
                found = _GRAPHIC.search(text, at)
                if found:
                    at = found.start()
                    return text[at]
                if ended:
                    return ""
                at = len(text)
                more()

        def value() -> Any:
            nonlocal at
            token()
            size = WINDOW
            while True:
                try:
                    # A number or word at the window's end may go on after it.
                    found, end = decoder.raw_decode(text, at)
                    if end < len(text) or ended:
                        at = end
                        return found
                except json.JSONDecodeError as error:
                    if ended or not _may_go_on(error, text):
                        raise
                more(size)
                size *= 2

        try:
            if token() != "{":
                raise ValueError("it is no object of entries by name")
            at += 1
            while token() != "}":
                key = value()
                if not isinstance(key, str) or token() != ":":
                    raise ValueError("an entry without a name")
                at += 1
                yield key, value()
                last = key
                if left is not None:
                    left.discard(key)
                    if not left:
                        return
                if token() == ",":
                    at += 1
                elif token() != "}":
                    raise ValueError("it ends before its last entry" if not token() else "a comma")
        except (ValueError, RecursionError) as error:
            reason = str(error).split(":")[0].lower()
            after = f" after the entry {last!r}" if last else ""
            raise BadInput(f"{path}: damaged{after} ({reason}); copy it again") from None


def _may_go_on(error: json.JSONDecodeError, text: str) -> bool:
    """Whether a value was cut by the window, not damaged: a damaged file is not read to its end."""
    return error.msg.startswith("Unterminated") or error.pos >= len(text) - LONGEST_WORD
