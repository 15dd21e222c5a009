"""Films of ten minutes: frames decoded for a window in the middle, and the time for all windows.

    python -m benchmarks.films

Two tables. *A window in the middle*: how many frames are decoded for 16 frames at 4 a second, per
container and codec, beside the same in mp4. These are counts, not times. *All windows*: seconds for
`read_windows` over films of 1, 2, 5 and 10 minutes, as multiples of the time of 1 minute; linear is
1, 2, 5, 10. Rounds are interleaved. The films are synthetic, 128×96 at 25 frames a second, with a
key frame every 60 frames. Writes films.json and films.md.
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
import numpy as np
import torch

from gradcam_video.data.clip import centre_start, choose_frames, read_windows
from gradcam_video.data.video_file import VideoFile

from .common import HERE, command_line, interleaved, machine, machine_line, quartiles, write_whole

RATE, GOP, FRAMES, FPS = 25, 60, 16, 4.0
SIZE = (96, 128)
B_FRAMES = {"bf": "2"}
# Ending, codec, and the encoder's options.
FILMS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("mp4", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
    ("mkv", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
    ("ts", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
    ("ts", "mpeg4", B_FRAMES),
    ("mpg", "mpeg2video", B_FRAMES),
    ("vob", "mpeg2video", B_FRAMES),
    ("mpg", "mpeg4", B_FRAMES),
    ("flv", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
    ("webm", "libvpx", {"deadline": "realtime", "cpu-used": "16"}),
    ("avi", "mpeg4", {"bf": "0"}),
    ("avi", "mpeg2video", B_FRAMES),
    ("avi", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
    ("h264", "libx264", {**B_FRAMES, "preset": "ultrafast"}),
)
LENGTHS = (("mp4", "libx264"), ("ts", "libx264"), ("mpg", "mpeg2video"), ("avi", "libx264"))
MINUTES = (1, 2, 5, 10)


def write_film(path: Path, codec: str, options: dict[str, str], seconds: float) -> None:
    """A synthetic film: a light square walks over a dark ground."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=RATE, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = SIZE
        stream.pix_fmt, stream.gop_size = "yuv420p", GOP
        for k in range(round(seconds * RATE)):
            picture = np.full((*SIZE, 3), 40, np.uint8)
            left = k % (SIZE[1] - 24)
            picture[36:60, left : left + 24] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def decoded_in_the_middle(path: Path) -> int:
    """How many frames are decoded for one window in the middle."""
    video = VideoFile(path, None, None)
    start = centre_start(video.end, FRAMES, FPS)
    indices, _ = choose_frames(video.times, video.end, FRAMES, FPS, start)
    video.read(indices)
    return video.decoded


def all_windows(path: Path) -> float:
    """Seconds to read a film in overlapping windows."""
    begin = time.perf_counter()
    for _ in read_windows(path, FRAMES, FPS):
        pass
    return time.perf_counter() - begin


def render(results: dict[str, Any]) -> str:
    """The tables in Markdown, from what films.json holds."""
    decoded = results["decoded"]
    few = decoded["mp4 libx264"]
    lines = [
        f"**A window of {FRAMES} frames in the middle of {results['minutes'][-1]} minutes**",
        "",
        "| container, codec | frames decoded | more than in mp4 |",
        "|---|---|---|",
        *(f"| {name} | {count} | {count - few} |" for name, count in decoded.items()),
        "",
        f"At most {GOP} more, a key frame interval, is promised.",
        "",
        "**All windows, × the time for 1 minute**",
        "",
        "| container, codec | " + " | ".join(f"{m} min" for m in results["minutes"]) + " |",
        "|---|" + "---|" * len(results["minutes"]),
    ]
    for name, seconds in results["seconds"].items():
        cells = []
        for minutes in results["minutes"]:
            pairs = zip(seconds[str(minutes)], seconds[str(results["minutes"][0])], strict=True)
            low, middle, high = quartiles([a / b for a, b in pairs])
            cells.append(f"{middle:.2f} ({low:.2f}–{high:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rounds = len(next(iter(results["seconds"].values()))[str(results["minutes"][0])])
    lines += [
        "",
        f"Medians (quartiles) of {rounds} interleaved rounds.",
        "",
        f"*Measured {machine_line(results['machine'])}, by `{results['command']}`.*",
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    p = argparse.ArgumentParser(prog="python -m benchmarks.films", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--minutes", type=float, nargs="+", default=[*MINUTES], metavar="M")
    p.add_argument("--out", type=Path, default=HERE, help="where the two files go")
    options = p.parse_args(arguments)
    if options.rounds < 1 or min(options.minutes) <= 0:
        p.error("--rounds must be 1 or more, --minutes above 0")
    facts = machine(torch.get_num_threads())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        decoded: dict[str, int] = {}
        for ending, codec, encoder in FILMS:
            print(f"{ending} {codec}", file=sys.stderr, flush=True)
            path = folder / f"{codec}.{ending}"
            write_film(path, codec, encoder, 60 * options.minutes[-1])
            decoded[f"{ending} {codec}"] = decoded_in_the_middle(path)
        films: dict[str, Path] = {}
        encoders = {(ending, codec): encoder for ending, codec, encoder in FILMS}
        for ending, codec in LENGTHS:
            for minutes in options.minutes:
                path = folder / f"{minutes:g}-{codec}.{ending}"
                write_film(path, codec, encoders[ending, codec], 60 * minutes)
                films[f"{ending} {codec}/{minutes:g}"] = path
        found = interleaved(
            [*films],
            options.rounds,
            lambda key: all_windows(films[key]),
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    seconds: dict[str, dict[str, list[float]]] = {}
    for key, values in found.items():
        name, minutes = key.split("/")
        seconds.setdefault(name, {})[minutes] = [round(value, 4) for value in values]
    results = {
        "command": command_line("benchmarks.films", arguments),
        "minutes": [f"{minutes:g}" for minutes in options.minutes],
        "machine": facts,
        "decoded": decoded,
        "seconds": seconds,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / "films.json", json.dumps(results, indent=1) + "\n")
    write_whole(options.out / "films.md", render(results))
    print(render(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
