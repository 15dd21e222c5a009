"""How soon the player repaints, in frames of a display, and what a score costs beside its maps.

    python -m benchmarks.latency

- *player*: from a key (next frame, next class) to the painted picture, in frames of 1/60 s, and
  the part of it that player.js takes. In a saved player.html, in JupyterLab, and in JupyterLab
  while the kernel is busy; all in a Chromium without a window. Needs Playwright, JupyterLab and
  Chromium; without them these rows are left out.
- *score*: processor time of scoring one map ÷ processor time of explaining the clip.

All rows are interleaved. Writes latency.json and latency.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import torch

import gradcam_video as gv
from gradcam_video.metrics.scoring import score_clip

from .common import (
    HERE,
    command_line,
    interleaved,
    load,
    machine,
    machine_line,
    quartiles,
    write_whole,
)

FRAME = 1000 / 60  # ms of one picture of a display of 60 Hz
AT_MOST = 2.0  # frames from the event to the picture, 95 of 100 times
OURS_AT_MOST = 0.5  # frames of it that player.js may take, 95 of 100 times
SCORE_AT_MOST = 1.0  # × the time of explaining
SCORE = "score"
LABEL, SEED = "Moving [something] from left to right", 2017031
KEYS = 15  # one way, then as many back: the clip has 16 frames

# The controls of player.html, and those of ipywidgets 8 or 7
CONTROLS = {
    "frame": ".gcv-frame :is(input[type=range], .noUi-handle, .ui-slider-handle)",
    "class": "select",
}

# From the event's own time stamp to the first task after the frame in which the canvas was painted.
# requestAnimationFrame runs just before that frame is drawn; a message posted in it comes just
# after. (A second requestAnimationFrame would add the whole of the next frame.) A key is followed
# by a "change" of its own: the first event counts.
WATCH = """canvas => {
  const seen = canvas.seen = { asked: null, took: [], ours: [] };
  for (const kind of ["keydown", "change"]) {
    document.addEventListener(kind, (event) => { seen.asked ??= event.timeStamp; }, true);
  }
  new MutationObserver(() => requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      seen.took.push(performance.now() - seen.asked);
      seen.ours.push(Number(canvas.dataset.ms));
    };
    port2.postMessage(0);
  })).observe(canvas, { attributeFilter: ["data-painted"] });
}"""
# The next picture is asked for at a random moment of the display's frame.
READY = """canvas => new Promise((done) => setTimeout(() => {
  canvas.seen.asked = null;
  done();
}, 10 + 17 * Math.random()))"""
PAINTED = """async (canvas, count) => {
  for (let i = 0; i < 5000 && canvas.seen.took.length < count; i++) {
    await new Promise((done) => setTimeout(done, 2));
  }
  if (canvas.seen.took.length < count) throw new Error("nothing was painted for 10 s");
}"""

CELLS = (
    f"""\
import gradcam_video as gv
scene = gv.tabletop.sample({LABEL!r}, {SEED})
gv.explain(gv.load_model("tabletop"), scene.clip).player()""",
    "import time; time.sleep(3600)",
)
# In braces: nothing is returned, so Playwright does not wait until the cell has run.
RUN_CELL = "() => { jupyterapp.commands.execute('notebook:run-cell-and-select-next'); }"


# --- the player -----------------------------------------------------------------------------------


def repaints(place: Any, what: str, keys: int = KEYS) -> list[tuple[float, float]]:
    """Press keys on the frame slider or the list of classes: `keys` one way, and as many back.

    Args:
        place: a Playwright page or locator with one player in it.
        what: "frame" or "class".

    Returns:
        for each key, milliseconds to the painted picture, and those that player.js itself took.
    """
    canvas = place.locator("canvas.gcv-picture").first
    if not canvas.evaluate("c => 'seen' in c"):
        canvas.evaluate(WATCH)
    canvas.evaluate("c => { c.seen.took = []; c.seen.ours = []; }")
    page = canvas.page
    page.bring_to_front()  # what is behind another page is not painted
    place.locator(CONTROLS[what]).first.focus()
    there, back = ("ArrowRight", "ArrowLeft") if what == "frame" else ("ArrowDown", "ArrowUp")
    for i, key in enumerate([there] * keys + [back] * keys):
        canvas.evaluate(READY)
        page.keyboard.press(key)
        canvas.evaluate(PAINTED, i + 1)
    seen = canvas.evaluate("c => c.seen")
    return list(zip(seen["took"], seen["ours"], strict=True))


def saved_page(browser: Any, folder: Path) -> Any:
    """A player.html as `save` writes it, open in a page."""
    scene = gv.tabletop.sample(LABEL, SEED)
    gv.explain(gv.load_model("tabletop"), scene.clip).save(folder)
    page = _new_page(browser)
    page.goto((folder / "player.html").as_uri())
    page.locator("canvas.gcv-picture[data-painted]").wait_for()
    return page


def _new_page(browser: Any) -> Any:
    # With reduced motion the player waits for its reader.
    look: dict[str, Any] = {"viewport": {"width": 1280, "height": 1000}, "reduced_motion": "reduce"}
    page = browser.new_page(**look)
    page.set_default_timeout(120_000)
    return page


@contextmanager
def jupyterlab(home: Path) -> Generator[str]:
    """A JupyterLab that knows nothing of its user; gives its address.

    Raises:
        RuntimeError: it did not start.
    """
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    names += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    env = {**os.environ, **{name: str(home / name.lower()) for name in names}}
    env["PYTHONPATH"] = str(HERE.parent)
    asks = home / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    asks.mkdir(parents=True)  # it would ask whether it may fetch news, and look for updates
    (asks / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += ["--IdentityProvider.token=", f"--ServerApp.root_dir={home}"]
    command += ["--LabApp.expose_app_in_browser=True"]
    address = f"http://127.0.0.1:{port}"
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        while True:
            try:
                urlopen(f"{address}/api", timeout=60).close()
                break
            except OSError:  # not yet
                if server.poll() is not None:
                    raise RuntimeError(f"no JupyterLab: {(home / 'log').read_text()}") from None
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()  # it ends its kernels too
        server.wait(30)


def notebook(browser: Any, address: str, home: Path, name: str, *, busy: bool) -> Any:
    """A notebook whose first cell shows a player; gives the player.

    Args:
        busy: then run a second cell, which sleeps, so that the kernel can answer nothing.
    """
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernelspec = {"display_name": "Python 3 (ipykernel)", "name": "python3"}
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    nbformat.write(book, home / f"{name}.ipynb")
    page = _new_page(browser)
    page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb?reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.evaluate(RUN_CELL)
    player = page.locator(".gcv-player").first
    player.locator("canvas.gcv-picture[data-painted]").wait_for()
    status = page.locator(".jp-Notebook-ExecutionIndicator").first
    status.and_(page.locator('[data-status="idle"]')).wait_for()
    if busy:
        page.evaluate(RUN_CELL)
        status.and_(page.locator('[data-status="busy"]')).wait_for()
    player.scroll_into_view_if_needed()
    return player


@contextmanager
def players() -> Generator[dict[str, Any]]:
    """Where players are, by name; none where this machine cannot show one, and stderr says why."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    needed = ("playwright", "jupyterlab", "nbformat")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing or chromium is None:
        _say(f"no player is measured, not here: {', '.join(missing) or 'chromium'}")
        yield {}
        return
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        play = stack.enter_context(sync_playwright())
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        stack.callback(browser.close)
        address = stack.enter_context(jupyterlab(home))
        yield {
            "player.html": saved_page(browser, home / "saved"),
            "JupyterLab": notebook(browser, address, home, "idle", busy=False),
            "JupyterLab, kernel busy": notebook(browser, address, home, "busy", busy=True),
        }


# --- the score ------------------------------------------------------------------------------------


def scoring() -> Callable[[], tuple[float, float]]:
    """What explains a clip of the data set's size and scores its map; gives seconds of each."""
    scene, model = gv.tabletop.sample(LABEL, SEED, size=(240, 427)), gv.load_model("tabletop")

    def run() -> tuple[float, float]:
        begin = time.process_time()
        e = gv.explain(model, scene.clip, classes=[LABEL])
        explained = time.process_time()
        score_clip(e, scene.truth, LABEL)
        return explained - begin, time.process_time() - explained

    run()  # whatever the first run sets up
    return run


# --- from measurements to a table -----------------------------------------------------------------


def measure(
    places: Mapping[str, Any], rounds: int, score: Callable[[], tuple[float, float]]
) -> dict[str, list[Any]]:
    """Interleaved rounds of every place and of the score.

    Returns:
        "score": (seconds of explaining, seconds of scoring) per round; "PLACE: frame" and
        "PLACE: class": milliseconds per key, (to the picture, player.js itself), all rounds.
    """
    ways = {
        f"{name}: {what}": lambda place=place, what=what: repaints(place, what)
        for name, place in places.items()
        for what in CONTROLS
    }
    for way in ways.values():  # the first picture of every frame is decoded once
        way()
    found = interleaved([*ways, SCORE], rounds, lambda key: ways.get(key, score)(), _say)
    return {
        key: rows if key == SCORE else [pair for row in rows for pair in row]
        for key, rows in found.items()
    }


def render(results: Mapping[str, Any]) -> str:
    """The tables in Markdown, from what latency.json holds."""
    rows, lines = dict(results["rows"]), []
    ratios = [scored / explained for explained, scored in rows.pop(SCORE)]
    if rows:
        lines += [
            "| player: where, and what changes | event to picture | 95 of 100 within | at most "
            "| player.js's part | 95 of 100 within | at most |",
            "|---|---|---|---|---|---|---|",
        ]
    for key, pairs in rows.items():
        cells = [key]
        for values, at_most in zip(np.array(pairs).T / FRAME, (AT_MOST, OURS_AT_MOST), strict=True):
            middle, most = np.percentile(values, [50, 95])
            cells += [f"{middle:.2f}", f"{most:.2f}", _bar(float(most), at_most)]
        lines.append(f"| {' | '.join(cells)} |")
    if rows:
        count = min(len(pairs) for pairs in rows.values())
        lines += ["", f"In frames of 1/60 s, {count} keys each.", ""]
    low, middle, high = quartiles(ratios)
    before, after = results["load"]
    lines += [
        f"Scoring one map ÷ explaining the clip, processor time: {middle:.2f} ({low:.2f}–"
        f"{high:.2f}), at most {_bar(middle, SCORE_AT_MOST)}.",
        "",
        f"Medians (quartiles) of {len(ratios)} interleaved rounds. Load average before: {before}, "
        f"after: {after} (the benchmark itself adds 1 or more).",
        "",
        f"*Measured {machine_line(results['machine'])}, by `{results['command']}`.*",
    ]
    return "\n".join(lines) + "\n"


def _bar(found: float, at_most: float) -> str:
    return f"{at_most:g}: {'met' if found <= at_most else '**not met**'}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    p = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--out", type=Path, default=HERE, help="where the two files go")
    options = p.parse_args(arguments)
    if options.rounds < 1:
        p.error("--rounds must be 1 or more")
    before, facts = load(), machine(torch.get_num_threads())
    with players() as places:
        rows = measure(places, options.rounds, scoring())
    results = {
        "command": command_line("benchmarks.latency", arguments),
        "machine": facts,
        "load": [before, load()],
        "rows": rows,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    table = render(results)
    write_whole(options.out / "latency.json", json.dumps(results) + "\n")
    write_whole(options.out / "latency.md", table)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
