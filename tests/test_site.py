"""The static site: notebooks, texts and the reference, all inside one folder."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from on_screen import OnScreen, explained_on, must_work

import gradcam_video as gv

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["00_start_here", "02_inflating_2d_to_3d"]
BUILD = [sys.executable, str(ROOT / "scripts" / "build_site.py"), "--out"]


class Page(HTMLParser):
    """What a page links to and fetches, the places in it, and its words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.ids.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("img", "script", "link", "iframe"):
            self.fetched += [found[key] for key in ("src", "href") if key in found]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site but for most of its notebooks; built twice, the second replaces the first."""
    out = tmp_path_factory.mktemp("built") / "site"
    paths = [str(ROOT / "notebooks" / f"{name}.ipynb") for name in NAMES]
    subprocess.run([*BUILD, str(out), paths[0]], check=True, timeout=300)
    subprocess.run([*BUILD, str(out), *paths], check=True, timeout=300)
    assert [p.name for p in out.parent.iterdir()] == ["site"]
    return out


def test_pages_hold_their_pictures_and_players(site: Path) -> None:
    notebooks = sorted(p.stem for p in site.glob("[0-9]*.html"))
    assert notebooks == NAMES
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="00_start_here.html">00 · Start here</a>' in index
    page = (site / "00_start_here.html").read_text(encoding="utf-8")
    assert "<iframe" in page and "gcv-picture" in page  # the player
    assert all("docs/images" not in Page(p).fetched for p in site.rglob("*.html"))


def test_every_text_has_a_page(site: Path) -> None:
    texts = [p.name for p in (ROOT / "docs").glob("*.md")]
    assert len(texts) > 8
    for name in texts:
        assert (site / "docs" / name.replace(".md", ".html")).is_file()
    assert (site / "CONTRIBUTING.html").is_file() and (site / "data" / "README.html").is_file()


def test_no_link_leaves_the_folder_or_leads_nowhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    followed = 0
    for path, page in pages.items():
        for link in page.links:
            address, _, place = link.partition("#")
            if re.match(r"https?:|mailto:", address) or link == "#":
                continue
            target = (path.parent / address).resolve() if address else path
            assert target in pages, f"{path.relative_to(site)} links to {link}"
            # JupyterLab writes the places of a notebook, and its page hides some.
            if place and path.stem not in NAMES:
                assert place in pages[target].ids, f"{path.relative_to(site)} links to {link}"
            followed += 1
    assert followed > 300


def test_nothing_is_fetched_but_a_notebooks_mathematics(site: Path) -> None:
    for path in site.rglob("*.html"):
        if path.stem not in NAMES:
            assert all(a.startswith("data:") for a in Page(path).fetched), path.name


@pytest.mark.parametrize("name", gv.__all__)
def test_every_public_name_is_in_the_reference_with_its_docstring(name: str, site: Path) -> None:
    page = (site / "api" / "gradcam_video.html").read_text(encoding="utf-8")
    assert f'<section id="{name}">' in page
    section = page.split(f'<section id="{name}">')[1].split("</section>")[0]
    words = section.split('<div class="docstring">')[1].split("</div>")[0]
    found = set(re.findall(r"\w{4,}", words))
    value = getattr(gv, name)
    if not isinstance(value, tuple | dict):  # a constant has none of its own
        first = (value.__doc__ or "").strip().split("\n")[0]
        assert set(re.findall(r"\w{4,}", first)) <= found, first
    assert len(found) > 3


def test_the_reference_finds_a_name_without_a_server(browser: Any, site: Path) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="API reference").click()
    page.get_by_role("searchbox").fill("upsampled")
    page.locator("main h4, main .attr").filter(has_text="upsampled").first.wait_for()
    assert all(url.startswith(("file:", "data:")) for url in asked)
    page.close()


def test_a_folder_that_holds_other_things_is_left_alone(site: Path, tmp_path: Path) -> None:
    index = (site / "index.html").read_text(encoding="utf-8")
    for name, text in (("mine.txt", "kept"), ("index.html", "<p>another site's</p>")):
        out = tmp_path / name.partition(".")[0]
        out.mkdir()
        if name != "index.html":
            (out / "index.html").write_text(index, encoding="utf-8")  # ours, and one file more
        (out / name).write_text(text)
        before = {p.name: p.read_text() for p in out.iterdir()}
        path = ROOT / "notebooks" / f"{NAMES[1]}.ipynb"
        done = subprocess.run(
            [*BUILD, str(out), str(path)], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1 and str(out) in done.stderr
        assert {p.name: p.read_text() for p in out.iterdir()} == before


def test_player_on_the_site_lives_without_a_kernel(browser: Any, site: Path) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.route("**/*", lambda r: r.continue_() if r.request.url[:5] == "file:" else r.abort())
    page.goto((site / "00_start_here.html").as_uri())
    place = page.frame_locator("iframe[title='Grad-CAM player']")
    place.locator("canvas.gcv-picture").scroll_into_view_if_needed()
    shown = OnScreen(place, explained_on(place))
    must_work(shown, place)
    page.close()
