"""What a start costs: processor time as a multiple of `import torch`, and peak memory.

    python -m benchmarks.start                # every module compiled before, as after an install
    python -m benchmarks.start --uncompiled   # no module compiled: an install that compiles nothing

Each row is a fresh process. Its time is the user and system time of that process and of all that
it started and waited for, on all cores, not the time on the wall. It is divided by the time of
`python -c "import torch"` of the same round; both include the start of Python itself. Threads are
as the user has them. Writes start.json and start.md, or start_uncompiled.json and .md. Needs a
system that counts what a process used (Linux, macOS).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradcam_video.show.export import FILES

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
from .explain_speed import write_synthetic_clip

ROOT = HERE.parent
BASE = "import torch"  # what every other row is divided by
# Linux counts, as part of a new process's peak, what the process held that started it. So a small
# one starts it, and not this one, which holds torch. What the row prints is thrown away.
LAUNCHER = """
import json, os, sys
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, used = os.wait4(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


@dataclass(frozen=True)
class Row:
    """One way to start.

    Attributes:
        key: names the row, in the table too.
        command: the program and its arguments; it runs in an empty folder.
        writes: files that must lie in that folder afterwards.
        times: at most so many times `import torch` is promised.
        mb: at most so many megabytes (10⁶ bytes) are promised.
    """

    key: str
    command: tuple[str, ...]
    writes: tuple[str, ...] = ()
    times: float | None = None
    mb: float | None = None


class StartFailed(Exception):
    """The program ended with an error, or did not write what it should.

    Attributes:
        reason: in few words, without what the program said (it may hold folders of this machine).
    """

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(f"{reason}: {said}" if said else reason)
        self.reason = reason


def rows_for(clip: Path) -> list[Row]:
    """What is measured; `clip` is what `explain` explains."""
    python = sys.executable
    script = Path(sysconfig.get_path("scripts")) / "gradcam-video"
    module = (python, "-m", "gradcam_video")
    program = (str(script),) if script.is_file() else module
    load_model = 'import gradcam_video as gv; gv.load_model("tabletop")'
    return [
        Row("python -c pass", (python, "-c", "pass")),
        Row(BASE, (python, "-c", "import torch")),
        Row("gradcam-video --help", (*program, "--help"), times=0.06, mb=60),
        Row("gradcam-video --version", (*program, "--version"), times=0.06, mb=60),
        Row("import gradcam_video", (python, "-c", "import gradcam_video"), times=0.03),
        Row(load_model, (python, "-c", load_model), times=1.25),
        Row(
            "gradcam-video explain CLIP --out DIR",
            (*program, "explain", str(clip), "--out", "out"),
            writes=tuple(f"out/{clip.name}/{name}" for name in FILES),
            times=1.5,
        ),
        Row("python -m gradcam_video --help", (*module, "--help"), times=0.06, mb=60),
    ]


def environment(cache: Path, *, write: bool) -> dict[str, str]:
    """As the user has it; the package is the one beside this folder, bytecode lies in `cache`."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env if write else {**env, "PYTHONDONTWRITEBYTECODE": "1"}


def cost(row: Row, env: Mapping[str, str]) -> tuple[float, float]:
    """Run a row once in an empty folder.

    Returns:
        seconds of processor time, peak memory in MB (10⁶ bytes) of its largest process.

    Raises:
        StartFailed: with the last line that the program wrote to stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, *row.command]
        done = subprocess.run(launch, cwd=folder, env=env, capture_output=True, text=True)
        last = (done.stderr.strip().splitlines() or [""])[-1]
        if done.returncode:
            raise StartFailed("it could not be started", last)
        code, seconds, peak = json.loads(done.stdout)
        if code:
            raise StartFailed(f"exit code {code}", last)
        missing = [name for name in row.writes if not (Path(folder) / name).is_file()]
        if missing:
            raise StartFailed(f"{', '.join(Path(name).name for name in missing)} not written")
    return seconds, peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure(
    rows: Sequence[Row],
    rounds: int,
    run: Callable[[Row], tuple[float, float]],
    say: Callable[[str], None],
) -> dict[str, dict[str, Any]]:
    """Interleaved rounds, after one that is not counted: it fills the disk cache and the bytecode.

    Rows that fail in that first round are left out; their entry has "failed", the reason.

    Raises:
        StartFailed: `import torch` itself failed.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        found[row.key] = {"at_most_times": row.times, "at_most_mb": row.mb}
        say(f"round 0, not counted: {row.key}")
        try:
            run(row)
        except StartFailed as error:
            if row.key == BASE:
                raise
            found[row.key]["failed"] = error.reason
            say(f"{row.key}: {error}")
    works = {row.key: row for row in rows if "failed" not in found[row.key]}
    for key, costs in interleaved([*works], rounds, lambda key: run(works[key]), say).items():
        found[key]["seconds"] = [round(seconds, 4) for seconds, _ in costs]
        found[key]["peak_mb"] = [round(mb, 1) for _, mb in costs]
    return found


def multiples(rows: Mapping[str, Mapping[str, Any]], key: str) -> tuple[float, float, float]:
    """Total time of a row ÷ total time of `import torch` in the same round: its quartiles."""
    pairs = zip(rows[key]["seconds"], rows[BASE]["seconds"], strict=True)
    return quartiles([seconds / base for seconds, base in pairs])


def render(results: Mapping[str, Any]) -> str:
    """The table in Markdown, from what start.json holds."""
    rows = results["rows"]
    lines = [
        "| | processor time | × `import torch` | at most | peak memory | at most |",
        "|---|---|---|---|---|---|",
    ]
    for key, row in rows.items():
        if "failed" in row:
            lines.append(f"| `{key}` | failed: {row['failed']} | | | | |")
            continue
        low, middle, high = multiples(rows, key)
        mb = quartiles(row["peak_mb"])[1]
        cells = [
            f"{quartiles(row['seconds'])[1]:.3f} s",
            f"{middle:.3f} ({low:.3f}–{high:.3f})",
            _bar(middle, row["at_most_times"]),
            f"{mb:.0f} MB",
            _bar(mb, row["at_most_mb"]),
        ]
        lines.append(f"| `{key}` | {' | '.join(cells)} |")
    compiled = (
        "No module was compiled, not even Python's own: every process compiles what it imports, "
        "and throws it away. So did `import torch`."
        if results["uncompiled"]
        else "Every module was compiled before."
    )
    before, after = results["load"]
    lines += [
        "",
        f"Medians (quartiles) of {len(rows[BASE]['seconds'])} interleaved rounds, after one that "
        "is not counted. Processor time: user and system time of the whole process tree, on all "
        'cores. The multiple is a row\'s total time ÷ the total time of `python -c "import torch"` '
        "in the same round; both include the start of Python. Peak memory: of the largest "
        f"process. {compiled} Load average before: {before}, after: {after} (the benchmark itself "
        "adds 1 or more).",
        "",
        f"*Measured {machine_line(results['machine'])}, by `{results['command']}`.*",
    ]
    return "\n".join(lines) + "\n"


def _bar(found: float, at_most: float | None) -> str:
    if at_most is None:
        return "–"
    return f"{at_most:g}: {'met' if found <= at_most else '**not met**'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    p = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--uncompiled", action="store_true", help="with no bytecode at all")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--out", type=Path, default=HERE, help="where the two files go")
    options = p.parse_args(arguments)
    if options.rounds < 1:
        p.error("--rounds must be 1 or more")
    if not hasattr(os, "wait4"):
        p.error("this system does not say what a process used: Linux or macOS is needed")

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    before = load()
    say(f"load average before: {before}")
    results: dict[str, Any] = {
        "command": command_line("benchmarks.start", arguments),
        "uncompiled": options.uncompiled,
        "machine": machine(torch.get_num_threads()),
    }
    with tempfile.TemporaryDirectory() as temporary:
        clip, cache = Path(temporary) / "synthetic.mp4", Path(temporary) / "bytecode"
        write_synthetic_clip(clip)
        env = environment(cache, write=not options.uncompiled)
        rows = rows_for(clip)
        results["rows"] = measure(rows, options.rounds, lambda row: cost(row, env), say)
    results["load"] = [before, load()]
    say(f"load average after: {results['load'][1]}")
    options.out.mkdir(parents=True, exist_ok=True)
    name = "start_uncompiled" if options.uncompiled else "start"
    table = render(results)
    write_whole(options.out / f"{name}.json", json.dumps(results, indent=1) + "\n")
    write_whole(options.out / f"{name}.md", table)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
