"""The README as an entry: short, and each of its commands and lines is true."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest

import gradcam_video as gv
from gradcam_video.cli import main
from gradcam_video.show import write_mp4

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's own video, in the folder where the reader is."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my_clip.mp4"
    write_mp4(gv.tabletop.render("Opening [something]", seed=7).clip.frames, path, fps=12)
    return path


def test_one_screen_comes_first() -> None:
    first, rest = PAGE.split("\n## ", 1)
    words = re.sub(r"<[^>]+>", "", first).split()
    assert len(words) < 250 and len(PAGE.split()) < 1100
    for part in ("overlay.gif", "make tutorial", "gradcam-video explain", "sheet.png", "VS Code"):
        assert part in first
    assert "](https://medium.com/twentybn/visual-explanation-for-video-recognition" in rest


def test_the_first_command_opens_the_first_notebook() -> None:
    assert "\nmake tutorial " in PAGE
    command = ["make", "--dry-run", "--always-make", "tutorial"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "jupyter" in done.stdout and "00_start_here.ipynb" in done.stdout
    count = len(NOTEBOOKS)
    assert {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen"}[count] + " notebooks" in PAGE


@pytest.mark.slow
def test_the_second_command_writes_what_is_said(clip: Path, capsys: Any) -> None:
    found = re.search(r"^\.venv/bin/gradcam-video (.+?)\s*#", PAGE, re.MULTILINE)
    assert found and str(clip.name) in found[1]
    assert main(found[1].split()) == 0
    capsys.readouterr()
    written = {path.name for path in (Path("explained") / clip.name).iterdir()}
    page = (ROOT / "docs" / "command_line.md").read_text(encoding="utf-8")
    section = page.split("## What `explain` writes")[1].split("\n## ")[0]
    firsts = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    assert written == set(re.findall(r"`(\w+\.\w+)`", "".join(firsts)))


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_python_lines_run(page: str, clip: Path) -> None:
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert len(found[0].splitlines()) <= 10 and clip.name in found[0]
    # The later lines speak of a folder of videos with annotations: the same clip, and a box in it.
    Path("videos").mkdir()
    shutil.copy(clip, "videos")
    frame = {"box2d": {"x1": 40, "y1": 40, "x2": 200, "y2": 200}, "standard_category": "hand"}
    frames = [{"name": f"{k + 1:04}.jpg", "labels": [frame]} for k in range(60)]
    Path("annotations.json").write_text(json.dumps({clip.stem: frames}))
    names: dict[str, Any] = {}
    for block in found:
        exec(block, names)
    assert len(found) == 1 or names["data"].truth(0).strict().any()
    e = names["e"]
    assert e.upsampled("Picking [something] up").shape == names["clip"].frames.shape[:3]
    assert len(e.top(2)) == 2 and (Path("explained") / "sheet.png").is_file()
    plt.close("all")


def test_the_sheet_is_read_rightly() -> None:
    scene = gv.tabletop.sample("Moving [something] from left to right", 2_017_031)
    e = gv.explain(gv.load_model("tabletop"), scene.clip)
    strongest = int(e.evidence(scene.label).argmax())
    assert f"the\nstrongest frame is at {e.clip.times[strongest]:.2f} s" in PAGE
    assert scene.action[0] <= strongest <= scene.action[1]  # "while the hand moves the box"


def test_every_notebook_has_its_row_and_its_own_title() -> None:
    rows = re.findall(r"^\| \[([^|]+)\]\(notebooks/([\w.]+)\)", PAGE, re.MULTILINE)
    assert [name for _, name in rows] == [path.name for path in NOTEBOOKS]
    for title, name in rows:
        notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)
        assert f"# {title}" in notebook.cells[0].source.splitlines()
