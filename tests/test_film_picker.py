"""A film from the browser: what the kernel puts together, and what Chromium sends."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcam_video.errors import BadInput
from gradcam_video.show.film_picker import MOST_BYTES, FilmPicker
from gradcam_video.show.html import asset

# In place of Jupyter's model: it keeps what is sent, and answers as the kernel does.
PAGE = """<!DOCTYPE html><html><body><div id="root"></div><script type="module">
const source = new Blob([document.getElementById("code").textContent], {{type: "text/javascript"}});
const widget = (await import(URL.createObjectURL(source))).default;
const heard = new Set();
window.sent = [];
const model = {{
  get: (name) => ({{seconds: {seconds}, most: {most}}})[name],
  on: (name, listen) => heard.add(listen),
  off: (name, listen) => heard.delete(listen),
  send: (content, callbacks, [part]) => {{
    let letters = "";
    for (let i = 0; i < part.byteLength; i += 1) letters += String.fromCharCode(part.getUint8(i));
    window.sent.push([content, btoa(letters)]);
    setTimeout(() => heard.forEach((listen) => listen({{got: content.piece}})), 1);
  }},
}};
widget.render({{model, el: document.getElementById("root")}});
window.ready = true;
</script><script type="text/plain" id="code">{code}</script></body></html>"""


def gif(path: Path, count: int = 8) -> Path:
    from PIL import Image

    frames = [Image.fromarray(np.full((40, 60, 3), 30 * k, np.uint8)) for k in range(count)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=250)
    return path


def hand_over(picker: FilmPicker, name: str, film: bytes, piece: int = 1000) -> None:
    parts = [film[i : i + piece] for i in range(0, len(film), piece)]
    for k, part in enumerate(parts):
        content = {"piece": k, "last": k == len(parts) - 1, "name": name}
        picker._receive(picker, content, [memoryview(part)])


def test_pieces_become_a_clip(tmp_path: Path) -> None:
    picker = FilmPicker()
    film = gif(tmp_path / "mine.gif").read_bytes()
    hand_over(picker, "mine.gif", film, piece=97)
    clip = picker.clip(tmp_path / "kept", fps=None, frames=8)
    assert (tmp_path / "kept" / "mine.gif").read_bytes() == film
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [30 * k for k in range(8)]


def test_no_film_yet_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no film has come yet"):
        FilmPicker().clip(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seconds", [0, -1, 61])
def test_seconds_to_record(seconds: float) -> None:
    with pytest.raises(BadInput, match="record more than 0"):
        FilmPicker(seconds)


@pytest.mark.parametrize("name", ["../../up.gif", "C:\\films\\up.gif", "/etc/up.gif"])
def test_only_the_last_part_of_a_name_counts(name: str, tmp_path: Path) -> None:
    picker = FilmPicker()
    hand_over(picker, name, gif(tmp_path / "x.gif").read_bytes())
    picker.clip(tmp_path / "kept")
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["up.gif"]


@pytest.mark.parametrize("name", ["..", "", "films/"])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    picker = FilmPicker()
    hand_over(picker, name, gif(tmp_path / "x.gif").read_bytes())
    assert picker.clip(tmp_path / "kept").frames.shape[0] == 16
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["film"]


def test_a_lost_piece_leaves_the_film_before(tmp_path: Path) -> None:
    picker = FilmPicker()
    film = gif(tmp_path / "x.gif").read_bytes()
    hand_over(picker, "first.gif", film)
    picker._receive(picker, {"piece": 0, "last": False, "name": "b.gif"}, [b"abc"])
    picker._receive(picker, {"piece": 2, "last": True, "name": "b.gif"}, [b"def"])
    assert (picker.name, picker.film) == ("first.gif", film)


def opened(browser: Any, seconds: float = 1.0, most: int = MOST_BYTES) -> Any:
    page = browser.new_page()
    text = PAGE.format(seconds=seconds, most=most, code=asset("film_picker.js"))
    page.route(
        "http://localhost/picker", lambda route: route.fulfill(content_type="text/html", body=text)
    )
    page.goto("http://localhost/picker")
    page.wait_for_function("window.ready")
    return page


def arrived(page: Any) -> FilmPicker:
    """What the kernel makes of what the page has sent."""
    page.get_by_role("status").filter(has_text="run the next cell").wait_for()
    picker = FilmPicker()
    for content, letters in page.evaluate("window.sent"):
        picker._receive(picker, content, [base64.b64decode(letters)])
    return picker


def test_a_large_file_arrives_whole(browser: Any, tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(0, 256, 2_500_000, dtype=np.uint8).tobytes()
    (tmp_path / "big.mp4").write_bytes(film)
    page = opened(browser)
    page.get_by_label("Choose a film").set_input_files(tmp_path / "big.mp4")
    picker = arrived(page)
    assert len(page.evaluate("window.sent")) == 3  # pieces of a MiB
    assert (picker.name, picker.film) == ("big.mp4", film)


def test_too_large_is_one_line(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "big.mp4").write_bytes(bytes(2_000_001))
    page = opened(browser, most=2_000_000)
    page.get_by_label("Choose a film").set_input_files(tmp_path / "big.mp4")
    page.get_by_role("status").filter(has_text="more than 2 MB: read it from its path").wait_for()
    assert page.evaluate("window.sent") == []


def test_the_camera_makes_a_film(camera: Any, tmp_path: Path) -> None:
    page = opened(camera)
    page.get_by_role("button", name="Record 1 s").click()
    picker = arrived(page)
    clip = picker.clip(tmp_path, fps=None, frames=8)
    assert clip.frames.shape == (8, 480, 640, 3)
    moving = np.ptp(clip.frames.astype(int), axis=0).max()
    assert moving > 50, "Chromium's test picture moves"


def test_no_camera_is_one_line(browser: Any) -> None:
    page = opened(browser)
    page.get_by_role("button", name="Record 1 s").click()
    page.get_by_role("status").filter(has_text="camera").wait_for()
    assert page.evaluate("window.sent") == []
    assert page.get_by_role("button", name="Record 1 s").is_enabled()
