"""JupyterLab in Chromium: the notebooks' players right and quick, and while the kernel sleeps."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest
from on_screen import (
    HANDLE,
    Hand,
    OnScreen,
    explained_on,
    must_be_legible,
    must_be_quick,
    must_work,
)

ROOT = Path(__file__).resolve().parents[1]
# The python of another environment may be tried: with ipywidgets 7.7, jupyterlab < 4 and
# jupyterlab-widgets 1.x, for example.
LAB = os.environ.get("GRADCAM_VIDEO_LAB", sys.executable)
FIRST, SECOND = ("Moving [something] from left to right", 2017031), ("Opening [something]", 7)
TWO_PLAYERS = f"""\
import gradcam_video as gv
model = gv.load_model("tabletop")
first = gv.explain(model, gv.tabletop.sample{FIRST}.clip)
second = gv.explain(model, gv.tabletop.sample{SECOND}.clip)
first.player()
"""
THEME = "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[str]:
    """A JupyterLab of its own on copies of the notebooks; settings of this machine are not read."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    shutil.copytree(ROOT / "docs" / "images", home / "docs" / "images")
    cells = [nbformat.v4.new_code_cell(source) for source in (TWO_PLAYERS, "second.player()")]
    kernelspec = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    two = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(two, home / "notebooks" / "two_players.ipynb")
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    folders += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    own = {name: str(home / name.lower()) for name in folders}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [LAB, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={home}", "--LabApp.expose_app_in_browser=True"]
    asks = home / "jupyterlab_settings_dir" / "@jupyterlab/apputils-extension"
    asks.mkdir(parents=True)  # it would ask whether it may fetch news, and look for updates
    (asks / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, home / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()  # it ends its kernels too
        server.wait(30)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


@contextmanager
def notebook(browser: Any, address: str, name: str, **look: Any) -> Iterator[Any]:
    """A notebook in JupyterLab, all of its cells run."""
    look.setdefault("viewport", {"width": 1280, "height": 1000})
    context = browser.new_context(**look)
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"{address}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb?reset")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(".gcv").first.wait_for(timeout=120_000, state="attached")
        kernel(page, "idle")
        yield page
    finally:
        context.close()


def kernel(page: Any, status: str) -> None:
    """Until the kernel is idle or busy."""
    page.locator(f'.jp-Notebook-ExecutionIndicator[data-status="{status}"]').first.wait_for(
        timeout=120_000
    )


def put_to_sleep(page: Any) -> None:
    """Run a new last cell that sleeps for 30 seconds."""
    book = page.locator(".jp-Notebook")
    book.press("Escape")
    book.press("b")  # a cell below; after Run All Cells the last one is chosen
    book.press("Enter")
    page.keyboard.type("import time; time.sleep(30)")
    page.keyboard.press("Shift+Enter")
    kernel(page, "busy")


@pytest.mark.parametrize("name", ["00_start_here", "04_grad_cam_derivation", "05_positive_cases"])
def test_player_in_jupyterlab(browser: Any, address: str, name: str) -> None:
    with notebook(browser, address, name) as page:
        box = page.locator(".gcv-player").first
        box.scroll_into_view_if_needed()
        shown = OnScreen(box, explained_on(box))
        must_work(shown, box)
        must_be_quick(shown, box, name)
        put_to_sleep(page)
        box.scroll_into_view_if_needed()
        must_be_quick(shown, box, f"{name}, kernel asleep")
        shown.check(shown.frame(), shown.choice())
        kernel(page, "busy")  # it slept all the while


def test_players_side_by_side_in_jupyterlab(browser: Any, address: str) -> None:
    """Each on its own; nothing plays unasked; keys; words for the ear; dark; narrow."""
    with notebook(browser, address, "two_players", reduced_motion="reduce") as page:
        boxes = page.locator(".gcv-player")
        assert boxes.count() == 2
        one, other = (OnScreen(box, explained_on(box)) for box in boxes.all())
        page.wait_for_timeout(4 * one.meta["interval"])
        one.check(0, 0)
        other.check(0, 0)

        handle = boxes.first.locator(HANDLE)
        spoken = one.meta["frames"]["spoken"]
        assert re.fullmatch(r"frame 7 of 16, 1\.\d+ s", spoken[6])
        assert handle.get_attribute("aria-valuetext") == spoken[0]
        handle.press("ArrowRight")
        one.check(1, 0)
        assert handle.get_attribute("aria-valuetext") == spoken[1]
        cells = page.locator(".jp-CodeCell").count()
        handle.press("b")  # JupyterLab's key for a new cell, which is not wanted here
        boxes.first.locator("select").first.press("ArrowDown")
        one.check(1, 1)
        assert page.locator(".jp-CodeCell").count() == cells

        hand = Hand(other, boxes.last)
        hand.grab()
        hand.drag(11)
        hand.let_go()
        other.check(11, 0)
        assert (one.frame(), one.choice()) == (1, 1)
        boxes.first.get_by_role("button", name="play").click()  # asked for, so it plays
        one.wait("3 1 ")
        boxes.first.get_by_role("button", name="stop").click()
        one.wait("0 1 ")
        assert (other.frame(), other.choice()) == (11, 0)

        for theme in ("Light", "Dark"):
            page.evaluate(THEME, f"JupyterLab {theme}")
            page.locator(f'body[data-jp-theme-light="{str(theme == "Light").lower()}"]').wait_for(
                state="attached"
            )
            must_be_legible(boxes.first, "p, .widget-label, select")

        page.keyboard.press("Control+b")  # the file browser goes
        page.set_viewport_size({"width": 360, "height": 740})
        boxes.first.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
        inside = boxes.first.evaluate("e => [e.scrollWidth - e.clientWidth, e.clientWidth]")
        assert inside[0] <= 0 and inside[1] < 360
        for control in boxes.first.locator("canvas.gcv-picture, select").all():
            assert control.bounding_box()["width"] >= 100
        assert boxes.first.locator(".gcv-frame .noUi-base").bounding_box()["width"] >= 60
