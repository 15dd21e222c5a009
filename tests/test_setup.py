"""The project's own files agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


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
    names = {d for d in conda | set(from_pip) if not d.startswith(("python>", "pip", "--editable"))}
    # conda's name for torch is pytorch.
    assert {re.sub(r"^pytorch\b", "torch", d) for d in names} == required()
    assert "--editable ." in from_pip


def test_constraints_pin_what_is_required_and_name_no_place() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text and " @ " not in text
    pinned = {line.split("==")[0].lower() for line in text.splitlines() if "==" in line}
    needed = {re.split(r"[<>=]", d)[0].lower() for d in required()}
    assert needed <= pinned


def test_no_file_names_a_machine_or_a_registry_host() -> None:
    # Written in pieces, so that this file does not name them.
    hosts = "|".join(["python" + r"hosted\.org", "py" + r"pi\.org/simple", "registry." + "npmjs"])
    bad = re.compile(hosts + "|" + "/ro" + r"ot/\w|" + "/wo" + r"rk/\w")
    for path in tracked():
        if path.suffix in {".gif", ".png", ".safetensors"} or not path.is_file():
            continue
        found = bad.search(path.read_text(errors="ignore"))
        assert not found, f"{path.relative_to(ROOT)} names {found[0]!r}"


def test_ci_runs_make_test_and_make_knows_its_targets() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("tutorial", "test", "figures"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_packages_and_data_files_are_all_listed() -> None:
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "gradcam_video"
    folders = {p.parent for p in package.rglob("*.py")}
    assert {str(f.relative_to(ROOT)).replace("/", ".") for f in folders} == set(setup["packages"])
    patterns = setup["package-data"]["gradcam_video"]
    listed = {p for pattern in patterns for p in package.glob(pattern)}
    data = {
        p
        for p in package.rglob("*")
        if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts
    }
    assert data == listed
