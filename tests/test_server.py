"""The server of docs/server.md: two clients at once get what each would get alone."""

from __future__ import annotations

import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import gradcam_video as gv
from gradcam_video.show.video_writer import write_mp4

ROOT = Path(__file__).resolve().parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("fastapi", "python_multipart")),
        reason="fastapi and python-multipart are not installed: the extra test",
    ),
]


@pytest.fixture(scope="module")
def client() -> Any:
    from fastapi.testclient import TestClient

    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "server.md").read_text(), re.S)
    names: dict[str, Any] = {"__name__": "server"}
    exec(compile(code, "docs/server.md", "exec", dont_inherit=True), names)
    return TestClient(names["app"])


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    paths = []
    for seed, label in enumerate(("Opening [something]", "Picking [something] up")):
        scene = gv.tabletop.render(label, seed=seed, size=(96, 128), fps=12)
        paths.append(tmp_path_factory.mktemp("films") / f"film{seed}.mp4")
        write_mp4(scene.clip.frames, paths[-1], 12)
    return paths


def player_of(client: Any, film: Path) -> str:
    answer = client.post("/explain", files={"film": (film.name, film.read_bytes())})
    assert answer.status_code == 200, answer.text
    # The time that it took is written in the page.
    return re.sub(r'"seconds": ?[\d.e-]+', "", answer.text)


def test_two_clients_at_once_get_what_each_gets_alone(client: Any, films: list[Path]) -> None:
    alone = [player_of(client, film) for film in films]
    assert alone[0] != alone[1] and all("</script>" in page for page in alone)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(4):
            assert list(pool.map(lambda film: player_of(client, film), films)) == alone


def test_a_file_that_is_no_film_is_told_in_one_line(client: Any) -> None:
    answer = client.post("/explain", files={"film": ("words.mp4", b"no film")})
    assert answer.status_code == 422 and "words.mp4" in answer.json()["detail"]
