"""Colab: the stamp, the cell that installs, the player; `make colab` runs the notebooks."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import types
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import stamp
from colab_imitation import PINS, changed, compared, settled
from explanations import synthetic
from PIL import Image
from test_player import CANVAS

from gradcam_video.errors import BadInput
from gradcam_video.show import overlay, player
from gradcam_video.show.player_page import FramedPlayer, payload

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
REMOTE = "git@github.com:someone/a-video.git"
ADDRESS = "https://github.com/someone/a-video"
TAG = stamp.place((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]


def run_stamp(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "stamp.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The parts that the stamp knows, in a repository without a remote, without an address."""
    root = tmp_path_factory.mktemp("copy")
    parts = ("pyproject.toml", "gradcam_video/__init__.py", "scripts/stamp.py")
    for name in (*parts, *(f"notebooks/{p.name}" for p in NOTEBOOKS)):
        (root / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    assert run_stamp(root, "--address", "none").returncode == 0
    return root


def sources(root: Path, name: str) -> list[str]:
    return [c.source for c in nbformat.read(root / "notebooks" / name, as_version=4).cells]


def everything(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in [root / "pyproject.toml", *root.glob("notebooks/*")]}


# --- stamp --------------------------------------------------------------------------------------


@pytest.mark.notebook
def test_notebooks_are_in_step_with_the_address() -> None:
    done = run_stamp(ROOT, "--check")
    assert done.returncode == 0, f"run scripts/stamp.py:\n{done.stdout}{done.stderr}"


@pytest.mark.notebook
def test_without_a_remote_nothing_is_broken(copy: Path) -> None:
    for path in NOTEBOOKS:
        text = "\n".join(sources(copy, path.name))
        assert not re.search(r"(github|githubusercontent|colab\.research\.google)\.com/", text)
        assert "%pip" not in text
        assert "](../docs/" in text


@pytest.mark.notebook
def test_a_remote_is_stamped_and_leaves_no_trace(copy: Path) -> None:
    before = everything(copy)
    subprocess.run(["git", "-C", str(copy), "remote", "add", "origin", REMOTE], check=True)
    try:
        assert run_stamp(copy, "--check").returncode == 0  # the remote alone changes nothing
        assert run_stamp(copy).returncode == 0
        assert run_stamp(copy, "--check").returncode == 0
        for path in NOTEBOOKS:
            check_stamped(copy, path)
        after = everything(copy)
        assert run_stamp(copy).returncode == 0
        assert everything(copy) == after
        (copy / "pyproject.toml").write_text(
            after["pyproject.toml"].decode().replace("a-video", "other"), encoding="utf-8"
        )
        out_of_step = run_stamp(copy, "--check")
        assert out_of_step.returncode == 1
        assert out_of_step.stdout.count("is out of step") == len(NOTEBOOKS)
    finally:
        subprocess.run(["git", "-C", str(copy), "remote", "remove", "origin"], check=True)
        assert run_stamp(copy, "--address", "none").returncode == 0
    assert everything(copy) == before


def check_stamped(root: Path, path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    stamped = nbformat.read(root / "notebooks" / path.name, as_version=4)
    nbformat.validate(stamped)
    badge = f"https://colab.research.google.com/github/someone/a-video/blob/{TAG}/notebooks/"
    assert stamped.cells[0].source.count(f"]({badge}{path.name})") == 1
    picture = rf"!\[[^]]+\]\(https://raw\.githubusercontent\.com/someone/a-video/{TAG}/(\S+)\)"
    shown = re.search(picture, stamped.cells[0].source)
    assert shown and (ROOT / shown[1]).is_file()
    text = "\n".join(cell.source for cell in stamped.cells)
    assert "](../" not in text
    installing = [c for c in stamped.cells if f'"git+{ADDRESS}@{TAG}"' in c.source]
    assert len(installing) == 1 and len(installing[0].source.splitlines()) <= 10
    for old, new in zip(stored.cells, stamped.cells, strict=True):
        assert (old.id, old.cell_type) == (new.id, new.cell_type)
        if new.cell_type == "code":
            assert (old.outputs, old.execution_count) == (new.outputs, new.execution_count)
            assert max(map(len, new.source.splitlines())) <= 100


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        (REMOTE, ADDRESS),
        (ADDRESS, ADDRESS),
        (f"{ADDRESS}/", ADDRESS),
        ("ssh://git@github.com/someone/a-video", ADDRESS),
        ("https://me:secret@github.com/someone/a-video.git", ADDRESS),
        ("https://example.org/someone/a-video.git", None),
        ("/somewhere/a-video", None),
        ("", None),
    ],
)
def test_only_an_address_on_github_is_public(remote: str, address: str | None) -> None:
    assert stamp.github(remote) == address


@pytest.mark.notebook
def test_an_address_elsewhere_is_one_line_and_changes_nothing(copy: Path) -> None:
    before = everything(copy)
    done = run_stamp(copy, "--address", "https://example.org/me/it")
    assert done.returncode == 2 and "no address on GitHub" in done.stderr
    assert everything(copy) == before


# --- the cell -----------------------------------------------------------------------------------

LISTED = """\
numpy==2.1.3
numpydoc==1.8.0
torch==2.11.0+cu128
torchao==0.10.0
torchvision==0.26.0+cu128
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch) -> Any:
    """A shell in an empty folder, whose pip lists Colab's packages and installs nothing."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    (tmp_path / "listed.txt").write_text(LISTED)
    pip.write_text(f'#!/bin/sh\ntest "$1" = list && cat "{tmp_path}/listed.txt"\n')
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{pip.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.installed = []
    find = importlib.util.find_spec

    def found(name: str) -> Any:
        return find(name) if shell.installed or name != "gradcam_video" else None

    monkeypatch.setattr(importlib.util, "find_spec", found)
    shell.register_magic_function(shell.installed.append, magic_name="pip")
    return shell


def test_on_colab_the_cell_installs_the_tag_and_keeps_torch(shell: Any, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    cell = stamp.installing(ADDRESS, "v1.2.3")
    assert shell.run_cell(cell).success
    expected = f'install -q -c kept.txt "gradcam-video[colab] @ git+{ADDRESS}@v1.2.3"'
    assert shell.installed == [expected]
    kept = Path("kept.txt").read_text().split()
    assert kept == ["numpy==2.1.3", "torch==2.11.0+cu128", "torchvision==0.26.0+cu128"]
    assert shell.run_cell(cell).success
    assert shell.installed == [expected]  # it is there now


def test_elsewhere_the_cell_installs_nothing_and_says_what_is_missing(shell: Any, capsys) -> None:
    for address in (ADDRESS, None):
        result = shell.run_cell(stamp.installing(address, "v1.2.3"))
        assert isinstance(result.error_in_exec, SystemExit)
        assert "gradcam_video is not installed here" in str(result.error_in_exec)
    assert shell.installed == [] and list(Path().iterdir()) == []
    shell.installed.append("by hand")
    for address in (ADDRESS, None):
        assert shell.run_cell(stamp.installing(address, "v1.2.3")).success


# --- the player ---------------------------------------------------------------------------------


@pytest.fixture
def on_colab(monkeypatch) -> None:
    """Colab, where nothing may ask for a widget."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setitem(sys.modules, "gradcam_video.show.widget", None)


def start_of(shown: FramedPlayer) -> dict[str, Any]:
    page = re.search(r'srcdoc="([^"]*)"', shown._repr_html_())
    assert page
    meta = re.search(r'id="meta">(.*?)</script>', html.unescape(page[1]), re.DOTALL)
    assert meta
    return json.loads(meta[1])["start"]


def test_player_on_colab_is_a_page_and_no_widget(on_colab: None) -> None:
    from IPython.core.formatters import DisplayFormatter

    shown = player(synthetic(), "closing", scope="frame", cmap="magma", opacity=0.5)
    formatter = DisplayFormatter()
    formatter.active_types = formatter.format_types
    bundle, _ = formatter.format(shown)
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == "Player('closing', frame 0)"
    assert bundle["text/html"].startswith("<iframe")
    assert start_of(shown) == {"frame": 0, "choice": 1, "opacity": 0.5, "scope": 1, "cmap": 0}


def test_player_on_colab_begins_with_what_was_set(on_colab: None) -> None:
    shown = player(synthetic())
    assert (shown.frame, shown.label, shown.scope, shown.cmap) == (0, "opening", "clip", "inferno")
    shown.frame, shown.label, shown.opacity = 2, "closing", 0.25
    shown.scope, shown.cmap = "classes", "viridis"
    assert start_of(shown) == {"frame": 2, "choice": 1, "opacity": 0.25, "scope": 2, "cmap": 1}
    shown.frame, shown.label = 99, 0
    last = len(synthetic().clip.times) - 1
    assert (start_of(shown)["frame"], start_of(shown)["choice"]) == (last, 0)
    for name in ("label", "scope", "cmap"):
        broken = player(synthetic())
        setattr(broken, name, "nonsense")
        with pytest.raises(BadInput, match="nonsense"):
            broken._repr_html_()


def test_player_works_in_the_sandbox_of_an_output_frame(on_colab: None, browser: Any) -> None:
    """Colab shows each output in a frame that may run scripts and has no origin."""
    e = synthetic(frames=5)
    shown = player(e, scope="frame")
    meta, data = payload(e, width=480)
    starts = meta["parts"]["jpegs"]
    page = browser.new_page()
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    output = html.escape(shown._repr_html_(), quote=True)
    page.set_content(f'<iframe sandbox="allow-scripts" srcdoc="{output}"></iframe>')
    inside = page.frame_locator("iframe").frame_locator("iframe")
    slider = inside.get_by_role("slider", name="frame")
    for t in (0, 1, 2):
        inside.locator(f"canvas.gcv-picture[data-painted^='{t} ']").wait_for()
        frame = next(f for f in page.frames if f.parent_frame and f.parent_frame.parent_frame)
        assert frame.evaluate("origin") == "null"
        height, width = meta["frames"]["height"], meta["frames"]["width"]
        drawn = np.array(frame.evaluate(CANVAS)).reshape(height, width, 4)[..., :3]
        jpeg = np.asarray(Image.open(BytesIO(data[starts[t] : starts[t + 1]])))
        heat = e.upsampled_frame(t, e.row(), "frame")
        off = np.abs(drawn - overlay(jpeg, heat, seen=e.grid.view.seen()).astype(int))
        assert off.max() <= 8 and off.mean() < 0.7
        slider.press("ArrowRight")
    assert trouble == []
    page.close()


# --- the imitation ------------------------------------------------------------------------------


def test_a_pin_that_cannot_be_had_falls_back_to_the_nearest() -> None:
    pins = {"torch": "2.11.0", "numpy": "2.1.3", "moviepy": "1.0.3"}
    gone = {"torch==2.11.0", "moviepy==1.0.3", "moviepy<=1.0.3"}
    asked = settled(pins, lambda asked: not gone & set(asked))
    assert asked == ["torch<=2.11.0", "numpy==2.1.3", "moviepy"]
    assert settled(pins, lambda _: True) == [f"{name}=={pins[name]}" for name in pins]


def test_what_the_installing_must_not_do_is_named() -> None:
    before = {"versions": dict(PINS), "origin": None}
    origin = {"url": "file:///x", "vcs_info": {"requested_revision": "v1", "commit_id": "abc"}}
    after = {"versions": {**PINS, "gradcam-video": "1"}, "origin": origin}
    assert changed(before, after, "v1") == changed(before, after, "abc") == ""
    assert "not from v2" in changed(before, after, "v2")
    assert "not from v1" in changed(before, {**after, "origin": None}, "v1")
    moved = {**after, "versions": {**after["versions"], "numpy": "2.4.0"}}
    assert changed(before, moved, "v1") == f"versions changed: numpy {PINS['numpy']} -> 2.4.0"


def test_checked_outputs_are_counted() -> None:
    def notebook(*texts: str) -> Any:
        v4 = nbformat.v4
        outputs = [[v4.new_output("stream", text=text)] for text in texts]
        tags = ["nbval-check-output"], ["nbval-check-output"], []
        pairs = zip(tags, outputs, strict=True)
        return v4.new_notebook(
            cells=[v4.new_code_cell("", metadata={"tags": t}, outputs=o) for t, o in pairs]
        )

    stored, ran = notebook("1", "2", "3"), notebook("1", "5", "6")
    assert compared(stored, ran) == "1 of 2 checked outputs as stored"
