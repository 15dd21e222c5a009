"""One kind of error for bad input: one line that says what is wrong, where, and what to do."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""A text that every file and terminal takes: bytes that are not UTF-8 are shown as `\udcff`.

    So are file names of other systems, and lone surrogates in labels.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class BadInput(ValueError):
    """The input cannot be used. The message is one line: what, where, what to do.

    The command line prints it and leaves with exit code 2; in Python it is an ordinary
    `ValueError`.
    """

    def __init__(self, message: str) -> None:
        # One line, whatever a decoder or a file name put into it.
        super().__init__(printable(" ".join(message.split())))


def one_line(error: Exception, what: object) -> str:
    """What went wrong with one file among many, as a line that names it.

    Args:
        error: `BadInput` has such a line; of any other, which is a fault of ours or of a library,
            the kind is said as well.
        what: the file or clip.
    """
    words = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    words, name = printable(" ".join(words.split())), printable(str(what))
    return words if name in words else f"{name}: {words}"


class MissingExtra(BadInput, ImportError):
    """A package is missing that only a part of this one needs; the line names the extra."""


def is_installed(distribution: str) -> bool:
    """Whether a package is installed, by its name on PyPI; it is not imported."""
    from importlib import metadata

    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def require(package: str, extra: str, what: str) -> None:
    """See that a package is installed, without importing it.

    Args:
        package: as it is imported.
        extra: the extra of this package that brings it.
        what: which needs it, for the message.

    Raises:
        MissingExtra: it is not there.
    """
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise MissingExtra(
            f"{what} needs the package {package}: pip install 'gradcam-video[{extra}]'"
        )
