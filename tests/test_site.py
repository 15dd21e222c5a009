"""The static site: every notebook a page, its pictures and players in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from on_screen import OnScreen, explained_on, must_work

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_pages_hold_their_pictures_and_players(tmp_path: Path) -> None:
    names = ["00_start_here", "02_inflating_2d_to_3d"]
    paths = [str(ROOT / "notebooks" / f"{name}.ipynb") for name in names]
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), "--out"]
    for _ in range(2):  # the second replaces the first
        subprocess.run([*command, str(tmp_path / "site"), *paths], check=True, timeout=300)
    site = tmp_path / "site"
    assert sorted(p.name for p in site.iterdir()) == [*(f"{n}.html" for n in names), "index.html"]
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="00_start_here.html">00 · Start here</a>' in index
    page = (site / "00_start_here.html").read_text(encoding="utf-8")
    assert "<iframe" in page and "gcv-picture" in page  # the player
    assert 'src="../docs' not in page  # the picture of the result lies in the page
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


@pytest.mark.slow
def test_a_folder_that_holds_other_things_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("kept")
    path = ROOT / "notebooks" / "02_inflating_2d_to_3d.ipynb"
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), "--out", str(tmp_path)]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1 and str(tmp_path) in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"] and mine.read_text() == "kept"


@pytest.mark.slow
def test_player_on_the_site_lives_without_a_kernel(browser: Any, tmp_path: Path) -> None:
    path = ROOT / "notebooks" / "00_start_here.ipynb"
    command = [sys.executable, str(ROOT / "scripts" / "build_site.py"), "--out", tmp_path / "site"]
    subprocess.run([*command, str(path)], check=True, timeout=300)
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.route("**/*", lambda r: r.continue_() if r.request.url[:5] == "file:" else r.abort())
    page.goto((tmp_path / "site" / "00_start_here.html").as_uri())
    place = page.frame_locator("iframe[title='Grad-CAM player']")
    place.locator("canvas.gcv-picture").scroll_into_view_if_needed()
    shown = OnScreen(place, explained_on(place))
    must_work(shown, place)
    page.close()
