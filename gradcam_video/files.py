"""A file, or a folder of files, that is there whole or not at all.

Everything the package writes goes through here: it is written under another name beside its place,
brought to the disk, and only then moved to its place, which on one file system is a single step.
Whatever stops the writer, an exception, Ctrl-C or a loss of power, what was there before stays.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import BadInput


def cannot_write(path: str | Path, error: OSError) -> BadInput:
    """The one line for a file or folder that cannot be written."""
    reason = error.strerror or str(error)
    return BadInput(f"cannot write {path}: {reason}; choose another folder or make room")


def json_text(value: Any, what: str, **options: Any) -> str:
    """A result as JSON.

    Args:
        value: dicts, lists, texts and numbers.
        what: whose result it is, for the message.
        options: of `json.dumps`.

    Raises:
        BadInput: a number is not finite: JSON has no nan.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError as error:
        raise BadInput(f"{what}: a result is not finite (nan or inf), and JSON has none") from error


@contextmanager
def atomic_write(path: str | Path) -> Generator[Path]:
    """Give a temporary name beside `path`, of the same ending; move it there if all went well.

    Raises:
        OSError: the folder cannot be written or the disk is full. Nothing is left behind, and a
            file that was at `path` is as it was.
    """
    path = Path(path)
    temporary = path.with_name(_unused_name(path.suffix))
    try:
        # Created as any file is, by the process's own umask, which threads must not touch.
        temporary.open("xb").close()
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: str | Path, names: Iterable[str]) -> Generator[Path]:
    """A temporary folder whose files of these names are moved into `folder` if all went well.

    Other files in `folder` stay. If one cannot be moved, those before it are taken back.

    Raises:
        BadInput: the folder cannot be written.
    """
    folder, names = Path(folder), list(names)
    fresh = not folder.exists()
    temporary = folder / _unused_name()
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for name in names:
            _to_disk(temporary / name)
        _exchange(temporary, folder, names)
    except OSError as error:
        raise cannot_write(folder, error) from error
    except BadInput as error:  # the reader never heard of the temporary folder
        raise BadInput(str(error).replace(str(temporary), str(folder))) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if fresh and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


@contextmanager
def atomic_folder(
    folder: str | Path, ours: Callable[[Path], bool] = lambda folder: False
) -> Generator[Path]:
    """A temporary folder beside `folder` that takes its place if all went well.

    Args:
        folder: its parents are made where they are missing.
        ours: whether a folder holds nothing but what an earlier run wrote. Such a one is replaced;
            one that holds anything else is left alone.

    Raises:
        BadInput: `folder` holds other files, or cannot be written.
    """
    folder = Path(folder).resolve()
    temporary = folder.with_name(_unused_name())
    fresh, old = temporary / "new", temporary / "old"
    try:
        if folder.exists() and any(folder.iterdir()) and not ours(folder):
            raise BadInput(f"{folder}: holds other files; name a new or an empty folder")
        fresh.mkdir(parents=True)
        yield fresh
        for path in fresh.rglob("*"):
            if path.is_file():
                _to_disk(path)
        try:
            if folder.exists():
                folder.replace(old)
            fresh.replace(folder)
        except BaseException:  # Ctrl-C may come when a step is done already: look, do not count
            if old.exists() and not folder.exists():
                old.replace(folder)
            raise
    except OSError as error:
        raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _exchange(new: Path, folder: Path, names: list[str]) -> None:
    """Move files into a folder; if one fails, put back what was there."""
    old = new / "old"
    old.mkdir()
    there = {name for name in names if (folder / name).exists()}
    try:
        for name in names:
            if name in there:
                (folder / name).replace(old / name)
            (new / name).replace(folder / name)
    except BaseException:  # Ctrl-C may come when a step is done already: look, do not count
        for name in names:
            if (old / name).exists():
                (old / name).replace(folder / name)
            elif name not in there:
                (folder / name).unlink(missing_ok=True)
        raise


def _unused_name(suffix: str = "") -> str:
    """Hidden, short whatever the file is called, and different in every thread and process."""
    return f".part-{secrets.token_hex(6)}{suffix}"


def _to_disk(path: Path) -> None:
    """Wait until the file's bytes are on the disk: else its name may outlive them."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
