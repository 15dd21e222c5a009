"""The pages of docs/, CONTRIBUTING and CHANGELOG: links, names, commands and examples are true."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

import gradcam_video as gv
from gradcam_video.attribution.methods import METHODS, gradient
from gradcam_video.cli import main
from gradcam_video.lessons.check import chapter09
from gradcam_video.models import huggingface

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[bd]*/README.md")])
MARKDOWN = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=4)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, heading: str) -> list[str]:
    """The Python blocks of a section, without the indentation of the list that they stand in."""
    section = text(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tokens = MARKDOWN.parse(section)
    return [t.content for t in tokens if t.type == "fence" and t.info == "python"]


# --- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    shown = MARKDOWN.render(page.read_text(encoding="utf-8"))
    for link in re.findall(r'(?:href|src)="([^"]+)"', shown):
        if re.match(r"https?:", link):
            continue
        path, _, place = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if place:
            assert f'id="{place}"' in MARKDOWN.render(target.read_text(encoding="utf-8")), link


def test_every_page_is_found_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8"))
        waiting += [p for link in links if (p := (page.parent / link).resolve()) not in seen]
    assert set(PAGES) <= seen


def test_every_public_name_is_told() -> None:
    told = "\n".join(
        page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"
    )
    assert [name for name in gv.__all__ if f"gv.{name}" not in told] == []


def test_what_make_knows() -> None:
    makefile = text("Makefile")
    for page in PAGES:
        spans = re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
        for target in {a or b for a, b in spans}:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"


def test_the_command_lines_are_those_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    def help_of(*command: str) -> str:
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        return capsys.readouterr().out

    rows = re.findall(
        r"^\| `gradcam-video (\w+)[^|]*\|[^|]*\|$", text("docs/command_line.md"), re.M
    )
    known = re.findall(r"^    (\w+)  ", help_of(), re.MULTILINE)
    assert sorted(rows) == sorted(known)
    for page in PAGES:
        for line in re.findall(r"gradcam-video (\w+ [^`\n#;]*)", page.read_text(encoding="utf-8")):
            command = line.split()[0]
            if command in known and (options := re.findall(r"--[a-z][\w-]*", line)):
                shown = help_of(command)
                assert [o for o in options if o not in shown] == [], f"{page.name}: {line}"


def test_the_table_of_extras_is_that_of_pyproject() -> None:
    section = text("docs/install.md").split("## Only a part of it")[1].split("\n## ")[0]
    extras = tomllib.loads(text("pyproject.toml"))["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == set(extras)


# --- compared with other libraries ----------------------------------------------------------------


def compared() -> list[list[str]]:
    """The table's rows that say something, cell by cell."""
    lines = [
        r.strip("| ").split(" | ") for r in text("docs/comparison.md").split("\n") if r[:1] == "|"
    ]
    return [row for row in lines[2:] if not row[0].startswith("**")]


@pytest.mark.parametrize("row", compared(), ids=lambda row: row[0])
def test_what_is_said_of_us_is_tested(row: list[str]) -> None:
    said = re.fullmatch(r'\[[^]]+\]\(\.\./(tests/test_\w+\.py) "(test_\w+)"\)', row[1])
    assert said, f"no test is named: {row[1]}"
    tests = ast.parse(text(said[1]))
    assert said[2] in {f.name for f in tests.body if isinstance(f, ast.FunctionDef)}


def test_the_table_is_not_empty() -> None:
    assert len(compared()) > 20


# --- changes, and how to change -------------------------------------------------------------------


def test_the_version_stands_once() -> None:
    project = tomllib.loads(text("pyproject.toml"))
    assert "version" in project["project"]["dynamic"] and "version" not in project["project"]
    source = project["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    assert source == "gradcam_video.__version__"
    assert yaml.safe_load(text("CITATION.cff"))["version"] == gv.__version__
    assert re.search(rf"^## .*\b{re.escape(gv.__version__)}$", text("CHANGELOG.md"), re.MULTILINE)


def test_moved_modules_are_where_the_changelog_says() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)` \| (`gradcam_video.*) \|$", text("CHANGELOG.md"), re.MULTILINE
    )
    assert len(rows) > 40
    for before, now in rows:
        for name in re.findall(r"`(gradcam_video[\w.]*)`", now):
            assert importlib.util.find_spec(name), name
            assert name != before
        if before not in ("gradcam_video.models", "gradcam_video.metrics", "gradcam_video.cases"):
            # Those three are rooms now, others are names of functions; no file is left behind.
            assert not (ROOT / (before.replace(".", "/") + ".py")).exists(), before


def with_more(module: ModuleType, code: str) -> dict[str, Any]:
    """The names of a module to which a contributor has added some lines."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8") + "\n\n" + code
    names = {**vars(module), "__name__": module.__name__}
    exec(compile(source, str(module.__file__), "exec"), names)
    return names


def test_the_example_of_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks("CONTRIBUTING.md", "Add a method")
    name = re.findall(r"class (\w+)\(", code)[0]
    monkeypatch.setitem(METHODS, "trial", with_more(gradient, code)[name])
    model, clip = gv.load_model("tabletop"), gv.tabletop.sample("Opening [something]", 7).clip
    e = gv.explain(model, clip, method="trial", classes=[2])
    # Behind a mean and a linear layer the gradient of a cell is the weight, over the cells.
    parts = gv.explain(model, clip, method="hirescam", classes=[2])
    assert e.signed.shape == parts.signed.shape and e.signed.min() >= 0
    assert (e.signed >= parts.signed - 1e-6).all() and (e.signed > parts.signed + 1e-6).any()


@pytest.mark.slow
def test_the_example_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    (code,) = blocks("CONTRIBUTING.md", "Add a network by name")
    ((name, entry),) = eval("{" + code + "}", vars(huggingface)).items()
    monkeypatch.setitem(huggingface.HUB, name, entry)
    assert name in {known.name for known in gv.known_models()}
    with torch.device("meta"):  # its full size, and no memory
        loaded = huggingface.untrained(name, 5)
        assert loaded.net(torch.empty(1, 3, 16, 224, 224)).shape == (1, 5)


def test_the_example_of_a_check() -> None:
    (code,) = blocks("CONTRIBUTING.md", "Add a notebook")
    check = with_more(chapter09, code)["middle_frame"]
    assert check(lambda frames: frames[len(frames) // 2]).right
    assert "one frame is" in check(lambda frames: frames[2:3]).words
    assert "index 2" in check(lambda frames: frames[0]).words


def test_the_number_of_methods_is_right() -> None:
    numbers = r"(?i)\b(seventeen|eighteen|nineteen|twenty|twenty-one)\b"
    told = {n.lower() for page in PAGES for n in re.findall(numbers, page.read_text("utf-8"))}
    assert told == {{18: "eighteen", 19: "nineteen", 20: "twenty"}[len(METHODS)]}


@pytest.mark.slow
def test_the_example_of_the_synthetic_clips() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text("docs/tabletop.md"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    scene, later, bare = names["scene"], names["later"], names["bare"]
    assert later.action[0] == scene.action[0] + 4
    assert scene.masks["hand"].any() and not bare.masks["hand"].any()
    there = scene.masks["hand"].any(axis=(1, 2))  # the frames in which the hand is
    assert np.array_equal(scene.clip.frames[~there], bare.clip.frames[~there]) and there.any()


# --- what runs elsewhere --------------------------------------------------------------------------


def test_workflows_say_what_pyproject_says() -> None:
    jobs = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    matrix = jobs["systems"]["strategy"]["matrix"]
    assert len(matrix["os"]) == 3
    project = tomllib.loads(text("pyproject.toml"))["project"]
    named = {c.split(" :: ")[-1] for c in project["classifiers"] if re.search(r":: 3\.\d", c)}
    assert set(matrix["python"]) == named
    assert project["requires-python"] == f">={min(named)},<3.{int(max(named)[2:]) + 1}"
    wanted = [*project["dependencies"], *project["optional-dependencies"]["networks"]]
    oldest = {d.split(">=")[0]: d.split(">=")[1] for d in wanted}
    assert oldest["torch"] in matrix["torch"][0].split("==")[1]
    assert oldest["torchvision"] in matrix["torch"][0].split("==")[2]
    commands = [s.get("run", "") for job in jobs.values() for s in job["steps"]]
    assert "bash .ci/run" in commands
    for job in jobs.values():
        assert job["timeout-minutes"] and all("uses" in s or "run" in s for s in job["steps"])
    wheel = "\n".join(s.get("run", "") for s in jobs["wheel"]["steps"])
    assert all(f"gradcam-video {c}" in wheel for c in ("--version", "generate", "explain"))


def test_pre_commit_has_the_ruff_that_is_pinned() -> None:
    repos = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", repo["rev"]) and repo["hooks"] for repo in repos)
    ruff = next(repo["rev"] for repo in repos if "ruff" in repo["repo"])
    assert f"\nruff=={ruff[1:]}\n" in text("constraints.txt")


def test_the_container_makes_the_environment() -> None:
    container = yaml.safe_load(text(".devcontainer/devcontainer.json"))  # JSON is YAML
    make, *targets = container["postCreateCommand"].split()
    assert make == "make" and targets
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", *targets], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "--editable" in done.stdout, done.stderr
