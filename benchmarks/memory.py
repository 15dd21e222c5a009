"""Peak memory of one row, read from outside the process that runs it (Linux).

A fresh process builds the network, runs the row once on a tiny clip (so that imports, threads and
other first-time costs are behind it) and a bare forward on the real one, gives back what it can,
and waits. The parent sets the kernel's high-water mark of that process back (`clear_refs`), notes
what it holds (VmRSS), lets it run the row once, and reads the mark (VmHWM). The kernel keeps the
mark at every page, so no peak is too short to be seen.
"""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from pathlib import Path

import torch

from .common import FRAMES, build, random_clip
from .rows import bare_forward, row_named

TINY = 32
# Every large tensor gets pages of its own and gives them back when it is freed; with glibc's
# habits, which depend on what was freed before, the same row differs by tens of MiB between runs.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "0",
}


def can_measure() -> bool:
    """Whether this system keeps a high-water mark that can be set back."""
    return Path("/proc/self/clear_refs").exists()


def measure(key: str, net: str, size: int, threads: int, sample: int) -> dict[str, float]:
    """Run one row in a process of its own.

    Returns:
        MiB: "idle" before the row, "peak" during it, "after" it.

    Raises:
        RuntimeError: the process failed; its last lines are in the message.
    """
    arguments = [key, net, str(size), str(threads), str(sample)]
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.memory", *arguments],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **MALLOC},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None and child.stdout is not None
    try:
        _expect(child, "ready")
        Path(f"/proc/{child.pid}/clear_refs").write_text("5")  # VmHWM := VmRSS
        idle = _status(child.pid, "VmRSS")
        print("go", file=child.stdin, flush=True)
        _expect(child, "done")
        numbers = {
            "idle": idle,
            "peak": _status(child.pid, "VmHWM"),
            "after": _status(child.pid, "VmRSS"),
        }
    finally:
        child.kill()
        child.communicate()
    return numbers


def _expect(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None and child.stderr is not None
    for line in child.stdout:
        if line.strip() == word:
            return
    lines = child.stderr.read().strip().splitlines()
    last = " | ".join(lines[-3:])
    raise RuntimeError(f"the process that measures memory failed ({child.wait()}): {last}")


def _status(pid: int, field: str) -> float:
    """A field of /proc/PID/status, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/{pid}/status has no {field}")


def _child(key: str, net: str, size: int, threads: int, sample: int) -> None:
    torch.set_num_threads(threads)
    row = row_named(key)
    model = build(net, size, faster=row.faster)
    classes = row.indices(len(model.labels), sample)
    model.trace((3, FRAMES, TINY, TINY))
    row.way(model, random_clip(TINY, faster=row.faster), classes)
    x = random_clip(size, faster=row.faster)
    bare_forward(model, x, [])
    model.net.zero_grad(set_to_none=True)
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    print("ready", flush=True)
    sys.stdin.readline()
    maps = row.way(model, x, classes)
    print("done", flush=True)
    sys.stdin.readline()  # the maps live until the parent has looked
    del maps


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], *(int(a) for a in sys.argv[3:6]))
