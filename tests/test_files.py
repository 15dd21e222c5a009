"""files.py: whatever stops a writer, and wherever, there is all of the new or all of the old."""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_video.errors import BadInput
from gradcam_video.files import atomic_files, atomic_folder, atomic_write, cannot_write

# The same examples in every run: a test that guesses fails for somebody else.
quick = settings(deadline=None, derandomize=True, max_examples=12)

STEPS = [(io, "open"), (os, "mkdir"), (os, "fsync"), (os, "replace")]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Saboteur:
    """Lets the process fail at its n-th step to the disk, before it is done or just after."""

    def __init__(self, fails_at: int, error: BaseException, after: bool) -> None:
        self.fails_at, self.error, self.after = fails_at, error, after
        self.done = 0  # steps so far

    def step(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self.done += 1
        if self.done != self.fails_at:
            return original(*args, **kwargs)
        if self.after:
            with suppress(OSError):  # a folder whose parent is missing
                result = original(*args, **kwargs)
                if isinstance(result, io.IOBase):
                    result.close()
        raise self.error

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda number: None)  # the real one only takes its time
            for module, name in STEPS:
                patch.setattr(module, name, partial(self.step, getattr(module, name)))
            yield


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones and all; a folder without files counts as one."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
        elif not any(path.iterdir()):
            found[path.relative_to(folder).as_posix() + "/"] = b""
    return found


def write_one(place: Path, new: dict[str, bytes]) -> None:
    for name, data in new.items():
        with atomic_write(place / name) as path:
            path.write_bytes(data)


def write_files(place: Path, new: dict[str, bytes]) -> None:
    with atomic_files(place, new) as folder:
        for name, data in new.items():
            (folder / name).write_bytes(data)


def write_folder(place: Path, new: dict[str, bytes]) -> None:
    with atomic_folder(place, ours=lambda _: True) as folder:
        for name, data in new.items():
            (folder / name).write_bytes(data)


NAMES = st.sampled_from(["a.npz", "b.json", "c", "ä.png"])
SOME = st.dictionaries(NAMES, st.binary(max_size=9), min_size=1, max_size=3)
# A full disk before the step; Ctrl-C before it or just after it.
FAILURES = [(FULL, False), (KeyboardInterrupt(), False), (KeyboardInterrupt(), True)]


def outcome(write: Any, old: Any, new: Any, saboteur: Saboteur) -> tuple[Any, Any, Any]:
    """What a folder held before and holds after a write; the error."""
    with tempfile.TemporaryDirectory() as root:
        place, raised = Path(root) / "place", None
        if old is not None:
            place.mkdir()
            for name, data in old.items():
                (place / name).write_bytes(data)
        before = content(Path(root))
        try:
            with saboteur.at_work():
                write(place, new)
        except (OSError, BadInput, KeyboardInterrupt) as error:
            raised = error
        return before, content(Path(root)), raised


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_one, write_files, write_folder])
def test_stopped_at_any_step_there_is_all_of_the_new_or_all_of_the_old(write: Any) -> None:
    @quick
    @given(old=st.none() | SOME, new=SOME)
    def for_any_files(old: dict[str, bytes] | None, new: dict[str, bytes]) -> None:
        if write is write_one:
            old, new = old or {}, dict(list(new.items())[:1])
        kept = {} if write is write_folder else old or {}
        never = Saboteur(0, FULL, False)
        before, after, raised = outcome(write, old, new, never)
        assert raised is None
        assert after == {f"place/{name}": data for name, data in {**kept, **new}.items()}
        assert never.done >= 4
        for step in range(1, never.done + 1):
            for error, late in FAILURES:
                _, failed, raised = outcome(write, old, new, Saboteur(step, error, late))
                assert failed in (before, after), (step, error, late)
                one_line = error is FULL and write is not write_one
                assert isinstance(raised, BadInput if one_line else type(error))
                if error is FULL:
                    assert failed == before

    for_any_files()


@pytest.mark.parametrize("write", [write_one, write_files, write_folder])
@pytest.mark.parametrize("error", [KeyboardInterrupt, BadInput, ValueError, OSError])
def test_an_error_of_the_writer_itself_leaves_what_was_there(
    write: Any, error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    write(place if write is not write_one else tmp_path, {"a": b"old"})
    before = content(tmp_path)

    def stopped(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:2])
        raise error("stopped")

    monkeypatch.setattr(Path, "write_bytes", stopped)
    expected = BadInput if error is OSError and write is not write_one else error
    with pytest.raises(expected, match="stopped"):
        write(place if write is not write_one else tmp_path, {"a": b"new"})
    assert content(tmp_path) == before


def test_bytes_are_on_the_disk_before_a_file_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loss of power leaves a file of the right name with nothing in it."""
    on_disk: set[int] = set()
    named: list[tuple[str, bool]] = []
    fsync, replace = os.fsync, os.replace

    def note_sync(number: int) -> None:
        fsync(number)
        on_disk.add(os.fstat(number).st_ino)

    def note_name(source: Path, target: Path) -> None:
        inside = [p for p in [Path(source), *Path(source).rglob("*")] if p.is_file()]
        named.append((Path(target).name, all(p.stat().st_ino in on_disk for p in inside)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_name)
    write_one(tmp_path, {"a": b"1"})
    write_files(tmp_path / "files", {"b": b"2", "c": b"3"})
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "d").write_bytes(b"4")
    assert named == [("a", True), ("b", True), ("c", True), ("folder", True)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        (tmp_path / "plain").write_bytes(b"")
        write_one(tmp_path, {"one": b""})
        write_files(tmp_path / "files", {"two": b""})
        write_folder(tmp_path / "folder", {"three": b""})
    finally:
        left = os.umask(before)
    assert left == mask
    modes = {
        stat.S_IMODE((tmp_path / name).stat().st_mode)
        for name in ("plain", "one", "files/two", "folder/three")
    }
    assert modes == {0o666 & ~mask}


def test_nothing_touches_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the process: a second thread would write with it."""

    def touched(mask: int) -> int:
        raise AssertionError("umask")

    monkeypatch.setattr(os, "umask", touched)
    write_one(tmp_path, {"a": b""})
    write_files(tmp_path / "files", {"b": b""})
    write_folder(tmp_path / "folder", {"c": b""})


@pytest.mark.parametrize("write", [write_one, write_folder])
def test_threads_that_write_the_same_leave_one_whole_version(write: Any, tmp_path: Path) -> None:
    """All have begun before the first ends; whoever cannot write says so."""
    place = tmp_path / "place"
    if write is write_one:
        place.mkdir()
    together = threading.Barrier(4)
    versions = [{"a": bytes([65 + k]) * 70_000} for k in range(4)]
    refused: list[BaseException] = []

    def one(version: dict[str, bytes]) -> None:
        together.wait()
        try:
            write(place, version)
        except BadInput as error:
            refused.append(error)

    threads = [threading.Thread(target=one, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content(tmp_path) in [{f"place/{n}": d for n, d in v.items()} for v in versions]
    assert len(refused) < 4 and not (refused and write is write_one)


def test_a_temporary_file_lies_beside_its_place_hidden_with_its_ending(tmp_path: Path) -> None:
    """Writers such as matplotlib and PyAV go by the ending; only one file system can rename."""
    with atomic_write(tmp_path / "film.mp4") as first, atomic_write(tmp_path / "film.mp4") as other:
        assert first.parent == tmp_path and first.suffix == ".mp4"
        assert first.name.startswith(".") and first != other
        assert first.stat().st_size == 0


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    name = "n" * 251 + ".png"
    write_one(tmp_path, {name: b"x"})
    assert content(tmp_path) == {name: b"x"}


def test_a_file_that_was_promised_and_not_written_is_an_error(tmp_path: Path) -> None:
    write_files(tmp_path / "place", {"a": b"old", "b": b"old"})
    with (
        pytest.raises(BadInput, match=r"cannot write .*place"),
        atomic_files(tmp_path / "place", ["a", "b"]) as folder,
    ):
        (folder / "a").write_bytes(b"new")
    assert content(tmp_path) == {"place/a": b"old", "place/b": b"old"}


def test_a_message_names_the_folder_and_not_the_temporary_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error, atomic_files(tmp_path / "place", ["a"]) as folder:
        raise BadInput(f"{folder / 'a'}: no picture")
    assert str(error.value) == f"{tmp_path / 'place' / 'a'}: no picture"
    assert content(tmp_path) == {}


def test_a_folder_of_others_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with atomic_folder(place) as folder:  # an empty one is free to take
        (folder / "mine").write_bytes(b"1")
    asked: list[Path] = []

    def nobody(folder: Path) -> bool:
        asked.append(folder)
        return False

    with pytest.raises(BadInput, match="holds other files"), atomic_folder(place, nobody):
        pytest.fail("it must not come to writing")
    assert asked == [place]
    with pytest.raises(BadInput, match="holds other files"), atomic_folder(place):
        pytest.fail("it must not come to writing")
    assert content(tmp_path) == {"place/mine": b"1"}


def test_parents_that_are_missing_are_made(tmp_path: Path) -> None:
    write_files(tmp_path / "x" / "y", {"a": b"1"})
    write_folder(tmp_path / "p" / "q", {"b": b"2"})
    assert content(tmp_path) == {"x/y/a": b"1", "p/q/b": b"2"}


@pytest.mark.parametrize("write", [write_files, write_folder])
def test_a_file_where_a_folder_should_be_is_one_line(write: Any, tmp_path: Path) -> None:
    (tmp_path / "place").write_bytes(b"x")
    with pytest.raises(BadInput, match=r"^cannot write .*place: Not a directory; choose another"):
        write(tmp_path / "place", {"a": b"1"})
    assert content(tmp_path) == {"place": b"x"}


def test_the_line_for_what_cannot_be_written() -> None:
    reason = os.strerror(errno.ENOSPC)
    line = "cannot write out/a.png: {}; choose another folder or make room"
    assert str(cannot_write("out/a.png", FULL)) == line.format(reason)
    assert str(cannot_write("out/a.png", OSError("av says no"))) == line.format("av says no")
