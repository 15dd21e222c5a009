"""The project's own files agree with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def required() -> set[str]:
    """Everything pyproject.toml asks for, all extras together."""
    extras = PROJECT["optional-dependencies"].values()
    every = {*PROJECT["dependencies"], *(d for extra in extras for d in extra)}
    return {d.replace(" ", "") for d in every if not d.startswith("gradcam-video[")}


def test_environment_yml_asks_for_the_same() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    from_pip = next(d["pip"] for d in listed if isinstance(d, dict))
    conda = {d for d in listed if isinstance(d, str)}
    assert f"python{PROJECT['requires-python']}" in conda
    # All else by pip, with the versions that are tested: pip would replace conda's torch.
    # But for moviepy, because pip would refuse the current Pillow beside it.
    assert {d for d in conda if not d.startswith("python>")} == {"pip", "moviepy>=1.0.3"}
    asked = {d for d in from_pip if not d.startswith("--")}
    assert asked | {"moviepy>=1.0.3"} == required()
    assert {"--constraint constraints.txt", "--editable ."} < set(from_pip)


def test_constraints_pin_what_is_required_and_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text and " @ " not in text
    pinned = {line.split("==")[0].lower() for line in text.splitlines() if "==" in line}
    every = required().union(*PYPROJECT["dependency-groups"].values())
    assert {re.split(r"[<>=]", d)[0].lower() for d in every} <= pinned


def test_moviepy_works_with_a_current_pillow(tmp_path: Path) -> None:
    """It asks for one below 12, which pyproject.toml overrides; by its public calls."""
    from moviepy import ImageSequenceClip, VideoFileClip

    assert int(version("pillow").split(".")[0]) >= 12
    frames = [np.full((48, 64, 3), 10 * k, np.uint8) for k in range(12)]
    clip = ImageSequenceClip(frames, fps=12)
    clip.write_videofile(str(tmp_path / "a.mp4"), logger=None)
    clip.write_gif(str(tmp_path / "a.gif"), fps=6, logger=None)
    with VideoFileClip(str(tmp_path / "a.mp4")) as film:
        assert (film.fps, film.duration, list(film.size)) == (12, 1, [64, 48])
        assert np.abs(film.get_frame(0.51)[20, 20].astype(int) - 60).max() <= 4
        small = film.subclipped(0.25, 0.75).resized(height=24)
        assert list(small.size) == [32, 24] and small.duration == 0.5
    assert (tmp_path / "a.gif").stat().st_size > 100


def test_no_file_names_a_machine_or_a_registry_host() -> None:
    # Written in pieces, so that this file does not name them.
    hosts = "|".join(["python" + r"hosted\.org", "py" + r"pi\.org/simple", "registry." + "npmjs"])
    bad = re.compile(hosts + "|" + "/ro" + r"ot/\w|" + "/wo" + r"rk/\w")
    for path in tracked():
        if path.suffix in {".gif", ".png", ".safetensors"} or not path.is_file():
            continue
        found = bad.search(path.read_text(errors="ignore"))
        assert not found, f"{path.relative_to(ROOT)} names {found[0]!r}"


# --- make ----------------------------------------------------------------------------------------

HAS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
NOTES_AND_FAILS = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
case "$*" in {fails}) exit 1 ;; esac
"""


def made(target: str, folder: Path, fails: str = "nothing") -> tuple[int, list[str]]:
    """Run a target with programs that only note how they were called: exit code, calls.

    Args:
        target: of the Makefile.
        folder: where these programs are put.
        fails: a shell pattern of the arguments with which they fail.
    """
    for name in ("python", "ruff", "ty", "lint-imports"):
        program = folder / name
        program.write_text(NOTES_AND_FAILS.format(fails=fails))
        program.chmod(0o755)
    there = [word for stamp in ("test", "tutorial") for word in ("-o", f".venv/.{stamp}")]
    command = ["make", *there, target, "VENV=.venv", f"BIN={folder}"]
    code = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60).returncode
    return code, (folder / "calls").read_text().splitlines()


@HAS_MAKE
@pytest.mark.parametrize("fails", ["nothing", "*loadfile*", "*--nbval-lax*"])
def test_red_tests_do_not_keep_the_notebooks_from_running(tmp_path: Path, fails: str) -> None:
    code, calls = made("test", tmp_path, fails)
    assert calls[:-2] == ["check .", "format --check .", "check", "--no-logo --no-cache"]
    assert calls[-2] == "-m pytest -q -n logical --maxprocesses 4 --dist loadfile"
    assert "--nbval-lax" in calls[-1] and calls[-1].endswith(" notebooks")
    assert (code == 0) == (fails == "nothing")


@HAS_MAKE
def test_nothing_is_run_where_lint_is_red(tmp_path: Path) -> None:
    code, calls = made("check", tmp_path, "'check .'")
    assert code != 0 and calls == ["check ."]


@HAS_MAKE
def test_check_leaves_out_every_mark(tmp_path: Path) -> None:
    code, calls = made("check", tmp_path)
    marks = [m.split(":")[0] for m in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]]
    assert code == 0
    assert f"-m {' and '.join(f'not {mark}' for mark in marks)}" in calls[-1]


def test_ci_runs_make_test_and_make_knows_its_targets() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("tutorial", "check", "test", "figures", "bench"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "--compile-bytecode" in makefile


# --- files ---------------------------------------------------------------------------------------


def test_packages_and_data_files_are_all_listed() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "gradcam_video"
    folders = {p.parent for p in package.rglob("*.py")}
    assert {str(f.relative_to(ROOT)).replace("/", ".") for f in folders} == set(setup["packages"])
    listed = {
        p
        for name, patterns in setup["package-data"].items()
        for pattern in patterns
        for p in ROOT.joinpath(*name.split(".")).glob(pattern)
    }
    data = {
        p
        for p in package.rglob("*")
        if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts
    }
    assert data == listed
