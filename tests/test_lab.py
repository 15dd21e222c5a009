"""JupyterLab as `make tutorial` starts it: every picture and link, and the players in Chromium."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

import nbformat
import pytest
from nbconvert.filters.markdown import markdown2html
from on_screen import HANDLE, Hand, OnScreen, explained_on, must_be_legible, must_work
from stamp import stamp

pytestmark = pytest.mark.notebook
ROOT = Path(__file__).resolve().parents[1]
# The python of another environment may be tried: with ipywidgets 7.7, jupyterlab < 4 and
# jupyterlab-widgets 1.x, for example.
LAB = os.environ.get("GRADCAM_VIDEO_LAB", sys.executable)
NAMES = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
FIRST, SECOND = ("Moving [something] from left to right", 2017031), ("Opening [something]", 7)
TWO_PLAYERS = f"""\
import gradcam_video as gv
model = gv.load_model("tabletop")
first = gv.explain(model, gv.tabletop.sample{FIRST}.clip)
second = gv.explain(model, gv.tabletop.sample{SECOND}.clip)
first.player()
"""
PICKER = """\
from gradcam_video.show.film_picker import FilmPicker
picker = FilmPicker()
picker
"""
THEME = "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })"


class Lab(NamedTuple):
    """A running JupyterLab: its address, its folder, and all that it printed."""

    address: str
    folder: Path
    log: Path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """What `make tutorial` starts, in a copy of the repository, with settings of its own."""
    if shutil.which("make") is None:
        pytest.skip("no make on this machine")
    home = tmp_path_factory.mktemp("home")
    folder = home / "copy"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "explained", "figures", "site")
    shutil.copytree(ROOT, folder, ignore=ignored)
    for path in (folder / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        stamp(notebook, path.name, None, "")  # its pictures are those of the copy
        nbformat.write(notebook, path)
    kernelspec = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    for name, sources in {
        "two_players": (TWO_PLAYERS, "second.player()"),
        "picker": (PICKER, "print(picker.name, len(picker.film), sum(picker.film[::99]))"),
    }.items():
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
        nbformat.write(made, folder / "notebooks" / f"{name}.ipynb")

    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    folders += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    own = {name: str(home / name.lower()) for name in folders}
    asks = home / "jupyterlab_settings_dir" / "@jupyterlab/apputils-extension"
    asks.mkdir(parents=True)  # it would ask whether it may fetch news, and look for updates
    (asks / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--no-browser", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    # The environment is there (-o): it is this one.
    command = ["make", "-o", ".venv/.tutorial", "tutorial", "VENV=.venv"]
    command += [f"BIN={Path(LAB).parent}", f"LAB_OPTIONS={' '.join(options)}"]
    log = home / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/api", server, log)
        yield Lab(address, folder, log)
    finally:
        end(server)


def end(server: subprocess.Popen) -> None:
    """Ends make and JupyterLab, which ends its kernels."""
    until = time.monotonic() + 30
    try:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        while time.monotonic() < until:  # make is gone, JupyterLab still ends its kernels
            os.killpg(server.pid, 0)
            time.sleep(0.1)
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # all gone


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()}")


# --- pictures and links -------------------------------------------------------------------------


class Links(HTMLParser):
    """What a piece of HTML, and the pages in its frames, show and lead to: (tag, address)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value:
                self.found.append((tag, value))
            elif name == "srcdoc" and value:
                self.found += Links(value).found


def links_of(path: Path) -> list[tuple[str, str]]:
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            found += Links(markdown2html(cell.source)).found
        for output in cell.get("outputs", []):
            found += Links(output.get("data", {}).get("text/html", "")).found
    return [(tag, link) for tag, link in found if not link.startswith(("#", "data:"))]


def kind_of(lab: Lab, place: str) -> str:
    """The media type of a file as JupyterLab's pages get it; they say where they come from."""
    asked = Request(
        f"{lab.address}/files/{quote(place)}", headers={"Referer": f"{lab.address}/lab"}
    )
    with urlopen(asked, timeout=30) as answer:
        return answer.headers["Content-Type"]


def test_links_are_found_in_text_and_in_frames() -> None:
    page = "<p><a href='a.md'>a</a><iframe srcdoc=\"<img src='b.png'>\"></iframe></p>"
    assert Links(page).found == [("a", "a.md"), ("img", "b.png")]


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_and_link_is_served(lab: Lab, name: str) -> None:
    shown = []
    for tag, link in links_of(lab.folder / "notebooks" / f"{name}.ipynb"):
        parts = urlsplit(link)
        if parts.scheme:  # elsewhere: only its form can be checked
            assert parts.scheme in ("http", "https") and "." in parts.netloc, link
            assert not re.search(r"\s", link), link
            continue
        place = posixpath.normpath(posixpath.join("notebooks", unquote(parts.path)))
        try:
            kind = kind_of(lab, place)
        except HTTPError as error:
            raise AssertionError(f"{name} leads to {link}: {error}") from error
        assert tag != "img" or kind.startswith("image/"), (link, kind)
        shown.append(tag)
    assert {"img", "a"} <= set(shown)  # the picture of the result, the glossary


def test_a_missing_file_is_missed(lab: Lab) -> None:
    with pytest.raises(HTTPError, match="404"):
        kind_of(lab, "docs/images/none.png")


def test_the_printed_address_opens_the_first_notebook(browser: Any, lab: Lab) -> None:
    printed = re.findall(r"http://127\.0\.0\.1\S+", lab.log.read_text())
    page = browser.new_page()
    page.goto(printed[0])
    page.locator(".jp-NotebookPanel", has_text="00 · Start here").wait_for(timeout=60_000)
    page.locator(".jp-mod-current", has_text="00_start_here.ipynb").first.wait_for()
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_pictures_and_links_on_screen(browser: Any, lab: Lab, name: str) -> None:
    """JupyterLab itself finds where they lie: nothing that it asks for is missing."""
    page = browser.new_page()
    missing = []
    page.on("response", lambda r: missing.append(r.url) if r.status >= 400 else None)
    page.goto(opened(lab, name))
    head = page.locator(".jp-RenderedMarkdown img").first
    head.wait_for(timeout=60_000, state="attached")
    page.wait_for_function("i => i.complete", arg=head.element_handle())
    assert head.evaluate("i => i.naturalWidth") > 100
    page.get_by_role("link", name="glossary").first.click()
    page.locator(".jp-mod-current", has_text="glossary.md").first.wait_for()
    assert [url for url in missing if re.search("/files/|/contents/", url)] == []
    page.close()


# --- players ------------------------------------------------------------------------------------


def opened(lab: Lab, name: str) -> str:
    """Where a notebook opens with nothing beside it."""
    return f"{lab.address}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb?reset"


@contextmanager
def notebook(browser: Any, lab: Lab, name: str, ready: str = ".gcv", **look: Any) -> Iterator[Any]:
    """A notebook in JupyterLab, all of its cells run, and this to be seen."""
    look.setdefault("viewport", {"width": 1280, "height": 1000})
    context = browser.new_context(**look)
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(opened(lab, name))
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(ready).first.wait_for(timeout=120_000, state="attached")
        kernel(page, "idle")
        yield page
    finally:
        context.close()


def kernel(page: Any, status: str) -> None:
    """Until the kernel is idle or busy."""
    page.locator(f'.jp-Notebook-ExecutionIndicator[data-status="{status}"]').first.wait_for(
        timeout=120_000
    )


@contextmanager
def blocked(page: Any, lab: Lab) -> Iterator[None]:
    """While a new last cell waits for a pipe that nobody writes to."""
    pipe = lab.folder / "notebooks" / "pipe"
    os.mkfifo(pipe)
    book = page.locator(".jp-Notebook")
    book.press("Escape")
    book.press("b")  # a cell below; after Run All Cells the last one is chosen
    book.press("Enter")
    page.keyboard.insert_text('open("pipe").read()')
    page.keyboard.press("Shift+Enter")
    kernel(page, "busy")
    try:
        yield
    finally:
        # It raises where nobody reads, which is where the kernel was free.
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        pipe.unlink()
    kernel(page, "idle")


@pytest.mark.parametrize("name", ["00_start_here", "04_grad_cam_derivation", "05_positive_cases"])
def test_player_in_jupyterlab(browser: Any, lab: Lab, name: str) -> None:
    with notebook(browser, lab, name) as page:
        box = page.locator(".gcv-player").first
        box.scroll_into_view_if_needed()
        shown = OnScreen(box, explained_on(box), width=None)
        must_work(shown, box)
        with blocked(page, lab):  # a drawing never waits for the kernel
            box.scroll_into_view_if_needed()
            must_work(shown, box)


def test_a_film_larger_than_a_message_reaches_the_kernel(
    browser: Any, lab: Lab, tmp_path: Path
) -> None:
    """Jupyter's server ends the connection at a message of 10 MB, so 12 MB come in pieces."""
    film = bytes(range(256)) * 47_000
    (tmp_path / "mine.mp4").write_bytes(film)
    with notebook(browser, lab, "picker", ready=".gcv-picker") as page:
        page.locator(".gcv-picker input").set_input_files(tmp_path / "mine.mp4")
        page.get_by_role("status").filter(has_text="mine.mp4 is here (12.0 MB)").wait_for()
        page.locator(".jp-CodeCell").last.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        page.get_by_text(f"mine.mp4 {len(film)} {sum(film[::99])}").wait_for()


def test_players_side_by_side_in_jupyterlab(browser: Any, lab: Lab) -> None:
    """Each on its own; nothing plays unasked; keys; words for the ear; dark; narrow."""
    with notebook(browser, lab, "two_players", reduced_motion="reduce") as page:
        boxes = page.locator(".gcv-player")
        assert boxes.count() == 2
        one, other = (OnScreen(box, explained_on(box)) for box in boxes.all())
        page.wait_for_timeout(4 * max(one.meta["frames"]["durations"]))
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
