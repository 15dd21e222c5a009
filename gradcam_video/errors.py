"""One kind of error for bad input: one line that says what is wrong, where, and what to do."""

from __future__ import annotations


class BadInput(ValueError):
    """The input cannot be used. The message is one line: what, where, what to do.

    The command line prints it and leaves with exit code 2; in Python it is an ordinary
    `ValueError`.
    """

    def __init__(self, message: str) -> None:
        # One line, whatever a decoder or a file name put into it.
        super().__init__(" ".join(message.split()))
