"""What several tests share: real clips and weights, and a browser, where they are present."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

# A test that asks for one of these fixtures carries the mark.
MARK_OF = {"browser": "browser", "camera": "browser", "shared_data": "data"}


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for fixture in MARK_OF.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARK_OF[fixture])


@pytest.fixture(scope="session", autouse=True)
def few_threads() -> None:
    """The tests are small: more threads only cost. Beside other workers one is enough."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    torch.set_num_threads(min(2 if alone else 1, os.cpu_count() or 1))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips, photos and ImageNet weights; they are not ours to ship, so they may be absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GRADCAM_VIDEO_SHARED", beside))
    if not folder.is_dir():
        pytest.skip("real clips and weights are not shipped; set GRADCAM_VIDEO_SHARED to a folder")
    return folder


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Any]]:
    """Starts Chromium, driven by Playwright. Nothing is downloaded: it is the system's own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as play:
        yield lambda *more: play.chromium.launch(executable_path=chromium, args=[*flags, *more])


@pytest.fixture(scope="session")
def browser(launch: Callable[..., Any]) -> Iterator[Any]:
    """A browser without a camera."""
    shown = launch()
    yield shown
    shown.close()


@pytest.fixture(scope="session")
def camera(launch: Callable[..., Any]) -> Iterator[Any]:
    """A browser with a camera that films Chromium's test picture, and is allowed to."""
    shown = launch("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    yield shown
    shown.close()
