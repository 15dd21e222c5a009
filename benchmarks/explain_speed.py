"""How long a user waits: from a video file to all six outputs, as a multiple of the bare forward.

    python -m benchmarks.explain_speed [CLIP]

Start-up is left out (imports, making the network, the first run of everything). What is measured
is `read_clip`, `explain` and `save`, on an inflated ResNet-50 of 40 classes with random weights,
folded and channels last as `load_model` gives it. The bare forwards, of that network and of the
same one as PyTorch loads it, run in between. Without CLIP, a synthetic one of 240×426 is written
first. Writes explain_speed.json and explain_speed.md. What the start costs: `benchmarks.start`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch

import gradcam_video as gv
from gradcam_video import tabletop

from .common import (
    FRAMES,
    HERE,
    NETS,
    build,
    command_line,
    machine,
    machine_line,
    quartiles,
    random_clip,
    write_whole,
)
from .rows import bare_forward

PARTS = ("decode", "preprocess", "forward and maps", "saving")
AT_MOST = 1.25  # × the bare forward


def write_synthetic_clip(path: Path) -> None:
    """An H.264 file as large as one of Something-Something and about as long: 12 fps, 240×426."""
    # The encoder wants even sides; the data set's own files are of 426 or 427.
    label = "Moving [something] from left to right"
    scene = tabletop.render(label, seed=7, size=(240, 426))
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(12))
        stream.height, stream.width, stream.pix_fmt = 240, 426, "yuv420p"
        for picture in scene.clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


class Explaining:
    """From a file to all six outputs, with the time of each part."""

    def __init__(self, model: gv.VideoModel, path: Path) -> None:
        self.model, self.path = model, path
        self.preprocess = model.preprocess
        self.preprocessing = 0.0
        model.preprocess = self._timed_preprocess

    def _timed_preprocess(self, clip: gv.Clip) -> Any:
        begin = time.perf_counter()
        try:
            return self.preprocess(clip)
        finally:
            self.preprocessing += time.perf_counter() - begin

    def run(self, folder: Path) -> dict[str, float]:
        """Seconds of each part, and of all together."""
        self.preprocessing = 0.0
        begin = time.perf_counter()
        clip = gv.read_clip(self.path, frames=self.model.frames, fps=self.model.fps)
        read = time.perf_counter()
        e = gv.explain(self.model, clip)
        explained = time.perf_counter()
        e.save(folder)
        saved = time.perf_counter()
        explaining = explained - read - self.preprocessing
        parts = (read - begin, self.preprocessing, explaining, saved - explained)
        return {**dict(zip(PARTS, parts, strict=True)), "all": saved - begin}


def measure(path: Path, net: str, size: int, rounds: int) -> dict[str, Any]:
    """Interleaved rounds of the two bare forwards and the whole way, after one that is thrown away.

    Returns:
        seconds: the bare forwards "as loaded" and "faster()", the parts, and "all".
    """
    loaded, fast = build(net, size), build(net, size, faster=True)
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        explaining = Explaining(fast, path)
        for number in range(rounds + 1):
            ways = [
                lambda: {"as loaded": _forward(loaded, size, faster=False)},
                lambda: {"faster()": _forward(fast, size, faster=True)},
                lambda n=number: explaining.run(Path(temporary) / str(n)),
            ]
            first = number % len(ways)  # each is first in turn
            found: dict[str, float] = {}
            for way in ways[first:] + ways[:first]:
                found.update(way())
            print(f"round {number} of {rounds}: {found['all']:.2f} s", file=sys.stderr, flush=True)
            if number:
                for key, value in found.items():
                    seconds.setdefault(key, []).append(round(value, 6))
    return seconds


def _forward(model: gv.VideoModel, size: int, *, faster: bool) -> float:
    x = random_clip(size, faster=faster)
    begin = time.perf_counter()
    bare_forward(model, x, [])
    return time.perf_counter() - begin


def render(results: dict[str, Any]) -> str:
    """The table in Markdown, from what explain_speed.json holds."""
    seconds, size = results["seconds"], results["size"]

    def times(key: str, base: str) -> str:
        pairs = zip(seconds[key], seconds[base], strict=True)
        low, middle, high = quartiles([a / b for a, b in pairs])
        return f"{middle:.2f} × ({low:.2f}–{high:.2f})"

    lines = [
        f"**From file to all six outputs, {results['net']}, {FRAMES}×{size}×{size}, "
        f"{results['clip']}**",
        "",
        "| | seconds | × bare forward, as loaded | × bare forward, `faster()` |",
        "|---|---|---|---|",
    ]
    names = {"all": "**all, as `explain` runs it**"}
    names |= {key: f"bare forward, {key}" for key in ("as loaded", "faster()")}
    for key in ("as loaded", "faster()", *PARTS, "all"):
        middle = quartiles(seconds[key])[1]
        cells = [f"{middle:.3f}", times(key, "as loaded"), times(key, "faster()")]
        lines.append(f"| {names.get(key, key)} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Medians (quartiles) of {len(seconds['all'])} interleaved rounds. Imports, making the "
        f"network and a first run are not included. Promised: at most {AT_MOST} ×.",
        "",
        f"*Measured {machine_line(results['machine'])}, by `{results['command']}`.*",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    p = argparse.ArgumentParser(prog="python -m benchmarks.explain_speed", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("clip", type=Path, nargs="?", help="a video file; none: a synthetic one")
    p.add_argument("--net", default="resnet50", metavar="NAME", choices=NETS)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--out", type=Path, default=HERE, help="where the two files go")
    options = p.parse_args(arguments)
    if min(options.rounds, options.size, options.threads) < 1:
        p.error("--rounds, --size and --threads must be 1 or more")
    if options.out.resolve() == HERE and (options.net, options.size) != ("resnet50", 224):
        p.error("only resnet50 at 224 belongs beside this file: name another folder, --out")
    torch.set_num_threads(options.threads)
    facts = machine(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        path = options.clip
        if path is None:
            path = Path(temporary) / "synthetic.mp4"
            write_synthetic_clip(path)
        try:
            seconds = measure(path, options.net, options.size, options.rounds)
        except gv.BadInput as error:
            print(error, file=sys.stderr)
            return 2
    results = {
        "command": command_line("benchmarks.explain_speed", arguments),
        "net": options.net,
        "size": options.size,
        "clip": path.name,
        "machine": facts,
        "seconds": seconds,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / "explain_speed.json", json.dumps(results, indent=1) + "\n")
    write_whole(options.out / "explain_speed.md", render(results))
    print(render(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
