"""This package beside pytorch-grad-cam, captum, torch-cam and a bare forward, in one run.

    python -m benchmarks.compare                          # for docs/speed.md: half an hour or more
    python -m benchmarks.compare --full                   # all 40 classes of every library: hours
    python -m benchmarks.compare --net tabletop --sizes 32 --rounds 1 --out DIR      # a quick look

Writes results.json (every single measurement) and table.md. See README.md for what is measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradcam_video import VideoModel

from . import memory
from .common import (
    FRAMES,
    HERE,
    NETS,
    build,
    command_line,
    interleaved,
    machine,
    machine_line,
    quartiles,
    random_clip,
    write_whole,
)
from .rows import BARE, BARE_FASTER, ROWS, Row, bare_forward, gradcam_video

MIB = 2**20
START, END = "<!-- benchmark -->", "<!-- /benchmark -->"
STANDARD = {"net": "resnet50", "sizes": [224, 112]}
# How far the answers may be apart, as a share of the largest value.
MAPS_AGREE, LOGITS_AGREE = 1e-5, 1e-4


class Disagreement(Exception):
    """Two rows that should give the same answer do not: their times mean nothing."""


class Bench:
    """Both forms of the network and their input, at one size on one device."""

    def __init__(self, net: str, size: int, device: str, sample: int) -> None:
        self.models = [build(net, size, faster=f).to(device) for f in (False, True)]
        self.inputs = [random_clip(size, faster=f).to(device) for f in (False, True)]
        self.device, self.sample = device, sample

    def arguments(self, row: Row) -> tuple[VideoModel, Tensor, list[int]]:
        """What a row is called with."""
        model = self.models[row.faster]
        return model, self.inputs[row.faster], row.indices(len(model.labels), self.sample)

    def run(self, row: Row) -> tuple[float, float]:
        """One row, once: wall-clock seconds, and seconds of all cores together."""
        arguments = self.arguments(row)
        try:
            self._synchronize()
            wall, cpu = time.perf_counter(), time.process_time()
            row.way(*arguments)
            self._synchronize()
            return time.perf_counter() - wall, time.process_time() - cpu
        finally:
            self.tidy()

    def run_on_gpu(self, row: Row) -> tuple[float, float]:
        """One row, once, timed by the GPU itself: seconds, and MiB beyond what it held before."""
        arguments = self.arguments(row)
        try:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            begin.record()
            row.way(*arguments)
            end.record()
            torch.cuda.synchronize()
            peak = (torch.cuda.max_memory_allocated() - before) / MIB
            return begin.elapsed_time(end) / 1000, peak
        finally:
            self.tidy()

    def tidy(self) -> None:
        """What a row leaves behind must not burden the next: gradients, graphs in cycles."""
        for model in self.models:
            model.net.zero_grad(set_to_none=True)
        gc.collect()

    def _synchronize(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def check(bench: Bench, rows: Sequence[Row]) -> dict[str, float]:
    """Do all rows give the same answer?

    Returns:
        per comparison, the largest difference as a share of the largest value.

    Raises:
        Disagreement: one is too large.
    """
    slow, fast = bench.models
    with torch.inference_mode():
        logits, logits_fast = slow.net(bench.inputs[0]), fast.net(bench.inputs[1])
    found = {"logits, faster() and as loaded": _apart(logits_fast, logits)}
    allowed = {"logits, faster() and as loaded": LOGITS_AGREE}
    some = [len(slow.labels) // 2, 0]
    ours = gradcam_video(slow, bench.inputs[0], some)
    for row in rows:
        if row.classes != "one" or row.bf16 or row.title == "**gradcam_video**":
            continue
        title = row.title.replace("*", "")
        model, x, _ = bench.arguments(row)
        maps = row.way(model, x, some)
        assert maps is not None
        bench.tidy()
        found[f"maps, {title}"] = _apart(maps, ours)
        allowed[f"maps, {title}"] = LOGITS_AGREE if row.faster else MAPS_AGREE
    wrong = [f"{k}: {v:.1e}, not {allowed[k]:.0e}" for k, v in found.items() if not v <= allowed[k]]
    if wrong:
        raise Disagreement("; ".join(wrong))
    return found


def _apart(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


def measure(options: argparse.Namespace, size: int, say: Callable[[str], None]) -> dict[str, Any]:
    """All rows at one size on one device."""
    on_gpu = options.device == "cuda"
    rows = [row for row in ROWS if on_gpu or not row.bf16]
    if options.rows:
        rows = [row for row in rows if row.key in (BARE, BARE_FASTER, *options.rows)]
    bench = Bench(options.net, size, options.device, options.sample)
    model = bench.models[0]
    shape = tuple(model.trace((3, FRAMES, size, size)).last_call(model.cam_layer).output.shape)
    result: dict[str, Any] = {
        "size": size,
        "device": options.device,
        "feature_map": shape[1:],
        "feature_map_mib": torch.Size(shape).numel() * 4 / MIB,
        "classes": len(model.labels),
        "agreement": "not checked",
    }
    if options.check:
        say("do all give the same answer?")
        result["agreement"] = check(bench, rows)
    for m, x in zip(bench.models, bench.inputs, strict=True):  # whatever the first run sets up
        bare_forward(m, x, [])
    keys, run = {row.key: row for row in rows}, bench.run_on_gpu if on_gpu else bench.run
    found = interleaved([*keys], options.rounds, lambda key: run(keys[key]), say)
    held: dict[str, list[Any]] = {row.key: [] for row in rows}
    if not on_gpu and options.memory_rounds and memory.can_measure():
        del bench  # its gigabyte is needed
        gc.collect()

        def peak(key: str) -> dict[str, float]:
            return memory.measure(key, options.net, size, options.threads, options.sample)

        held = interleaved([*keys], options.memory_rounds, peak, lambda t: say(f"memory, {t}"))
    result["rows"] = {}
    for row in rows:
        numbers: dict[str, Any] = {
            "classes": row.classes,
            "classes_run": len(row.indices(result["classes"], options.sample)),
            "seconds": [round(first, 6) for first, _ in found[row.key]],
        }
        if on_gpu:
            numbers["peak_mib"] = [round(second, 3) for _, second in found[row.key]]
        else:
            numbers["cpu_seconds"] = [round(second, 6) for _, second in found[row.key]]
            numbers["memory_mib"] = held[row.key]
            numbers["peak_mib"] = [round(m["peak"] - m["idle"], 3) for m in held[row.key]]
        result["rows"][row.key] = numbers
    return result


# --- from measurements to a table --------------------------------------------------------------


def ratio(
    result: dict[str, Any], key: str, base: str = BARE, clock: str = "seconds"
) -> tuple[float, float, float] | None:
    """A row's time as a multiple of the bare forward of the same round, for all its classes.

    Args:
        result: of `measure`, at one size.
        key: the row.
        base: the row that it is compared with.
        clock: "seconds" on the wall, or "cpu_seconds" of all cores together.

    Returns:
        first quartile, median, third quartile over the rounds; None if the row was not run.
    """
    row = result["rows"].get(key)
    if row is None or clock not in row:
        return None
    times = row[clock]
    scale = _scale(result, row)
    bare = result["rows"][base][clock]
    return quartiles([t * scale / b for t, b in zip(times, bare, strict=True)])


def _scale(result: dict[str, Any], row: dict[str, Any]) -> float:
    """By what the time is multiplied where only some of the classes were run."""
    return result["classes"] / row["classes_run"] if row["classes"] == "all" else 1.0


def extra(result: dict[str, Any], key: str, base: str) -> float | None:
    """MiB that a row's peak lies above that of a bare forward of the same network, medians."""
    row = result["rows"].get(key)
    if row is None or not row["peak_mib"]:
        return None
    return quartiles(row["peak_mib"])[1] - quartiles(result["rows"][base]["peak_mib"])[1]


def bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The promises of the package: what was found, what was promised, and whether it holds."""
    found = []
    time_same = ratio(result, "gradcam_video/all")
    if time_same:
        found.append(("All maps, × one forward of the same network", time_same[1], 1.05))
    time_faster = ratio(result, "gradcam_video faster/all")
    if time_faster:
        words = "All maps with `faster()`, × one forward of the network as loaded"
        found.append((words, time_faster[1], 0.85))
    mib = extra(result, "gradcam_video/all", BARE)
    if mib is not None:
        limit = 1.1 * result["feature_map_mib"]
        found.append(("All maps, MiB beyond one forward of the same network", mib, limit))
    return [{"what": w, "found": f, "at_most": limit, "met": f <= limit} for w, f, limit in found]


def render(results: dict[str, Any]) -> str:
    """The table in Markdown, from what results.json holds."""
    facts, parts = results["machine"], []
    for result in results["sizes"]:
        parts.append(_table(results["net"], result))
    parts.append(_notes(results))
    parts.append(f"*Measured {machine_line(facts)}, by `{results['command']}`.*")
    return "\n\n".join(parts) + "\n"


def _table(net: str, result: dict[str, Any]) -> str:
    size, count = result["size"], result["classes"]
    bare = quartiles(result["rows"][BARE]["seconds"])[1]
    where = "GPU" if result["device"] == "cuda" else "CPU"
    lines = [
        f"**{net}, inflated, {FRAMES}×{size}×{size}, {where}** (1 × = {_seconds(bare)}, one "
        "forward in inference mode of the network as it is loaded)",
        "",
        f"| | 1 class: time | extra memory | {count} classes: time | extra memory |",
        "|---|---|---|---|---|",
    ]
    done: set[str] = set()
    for row in ROWS:
        name = row.key.split("/")[0]
        if name in done or not any(key.split("/")[0] == name for key in result["rows"]):
            continue
        done.add(name)
        # Beyond the forward of the network that it runs, not of another.
        base = BARE_FASTER if row.faster else "bare bf16" if row.bf16 else BARE
        if row.classes == "none":
            cells = [_times(result, row.key), _peak(result, row.key)] * 2
        else:
            cells = []
            for key in (f"{name}/one", f"{name}/all"):
                cells += [_times(result, key), _mib(extra(result, key, base))]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"


def _times(result: dict[str, Any], key: str) -> str:
    found = ratio(result, key)
    if found is None:
        return "–"
    low, middle, high = found
    row = result["rows"][key]
    if key == BARE:
        return "1 ×"
    digits = 2 if middle < 10 else 0
    about = "≈ " if _scale(result, row) != 1 else ""
    spread = f" ({low:.{digits}f}–{high:.{digits}f})" if len(row["seconds"]) > 1 else ""
    return f"{about}{middle:.{digits}f} ×{spread}"


def _mib(mib: float | None) -> str:
    return "–" if mib is None else f"{mib:+.1f} MiB"


def _peak(result: dict[str, Any], key: str) -> str:
    peaks = result["rows"][key]["peak_mib"]
    return f"(peak {quartiles(peaks)[1]:.0f} MiB)" if peaks else "–"


def _notes(results: dict[str, Any]) -> str:
    first = results["sizes"][0]
    rounds = len(first["rows"][BARE]["seconds"])
    run = [row["classes_run"] for row in first["rows"].values() if row["classes"] == "all"]
    memory_rounds = len(first["rows"][BARE]["peak_mib"])
    lines = [
        f"- Time: median (quartiles) of {rounds} rounds, each row once per round in changing "
        "order, as a multiple of the bare forward of the same round.",
    ]
    if min(run, default=first["classes"]) < first["classes"]:
        lines.append(
            f"- ≈: a forward or more per class; {min(run)} of {first['classes']} classes were run "
            "and the time multiplied (`--full` runs all)."
        )
    if memory_rounds and any(result["device"] == "cpu" for result in results["sizes"]):
        lines.append(
            "- Extra memory: peak beyond that of a bare forward of the same network, the kernel's "
            f"high-water mark read from outside a fresh process, median of {memory_rounds}. "
            "`load_model` folds the network in place, so `faster()` is no second network."
        )
    for result in results["sizes"]:
        maps = "×".join(str(n) for n in result["feature_map"])
        lines.append(
            f"- At {result['size']} ({result['device']}) the feature map ({maps}) has "
            f"{result['feature_map_mib']:.2f} MiB. "
            + " ".join(
                f"{bar['what']}: {bar['found']:.2f} (at most {bar['at_most']:.2f}: "
                f"{'met' if bar['met'] else '**not met**'})."
                for bar in result["bars"]
            )
        )
        cpu = {
            row.key: found[1]
            for row in ROWS
            if row.key != BARE and (found := ratio(result, row.key, clock="cpu_seconds"))
        }
        if cpu:
            lines.append(
                f"- At {result['size']} in processor time, which other work on the machine "
                "disturbs less: " + ", ".join(f"{k} {v:.2f} ×" for k, v in cpu.items()) + "."
            )
    worst = [result["agreement"] for result in results["sizes"]]
    if all(isinstance(w, dict) for w in worst):
        maps = max(v for w in worst for k, v in w.items() if k.startswith("maps"))
        logits = max(v for w in worst for k, v in w.items() if k.startswith("logits"))
        lines.append(
            f"- Before timing, all maps agreed to {maps:.0e} of the largest value, and the logits "
            f"of the folded network to {logits:.0e}."
        )
    return "\n".join(lines)


def into_page(page: Path, table: str) -> bool:
    """Put the table between the markers of a page; without markers, nothing happens."""
    if not page.is_file():
        return False
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        return False
    write_whole(page, f"{before}{START}\n{table}{END}{after}")
    return True


# --- the command -------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--net", default=STANDARD["net"], choices=NETS, metavar="NAME")
    p.add_argument("--sizes", type=int, nargs="+", default=STANDARD["sizes"], metavar="SIDE")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--memory-rounds", type=int, default=3, help="0: time only")
    p.add_argument("--sample", type=int, default=2, help="classes run where each is a forward")
    p.add_argument("--full", action="store_true", help="run every class of every library")
    p.add_argument("--rows", nargs="+", metavar="KEY", help="only these, such as torch-cam/all")
    p.add_argument("--no-check", dest="check", action="store_false", help="time different answers")
    p.add_argument("--threads", type=int, default=torch.get_num_threads())
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--out", type=Path, default=HERE, help="where results.json and table.md go")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    p = parser()
    options = p.parse_args(arguments)
    if min(options.rounds, options.sample, options.threads, *options.sizes) < 1:
        p.error("--rounds, --sample, --threads and --sizes must be 1 or more")
    unknown = set(options.rows or ()) - {row.key for row in ROWS}
    if unknown:
        p.error(f"no row {unknown.pop()!r}; there are {', '.join(row.key for row in ROWS)}")
    standard = options.net == STANDARD["net"] and options.sizes == STANDARD["sizes"]
    if options.out.resolve() == HERE and not (standard and options.check and not options.rows):
        p.error("only the whole comparison belongs beside this file: name another folder, --out")
    if options.full:
        options.sample = sys.maxsize
    torch.set_num_threads(options.threads)

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    has_gpu = torch.cuda.is_available()
    if options.device == "cuda" and not has_gpu:
        p.error("no GPU here")
    if not has_gpu:
        say("no GPU here: the CPU only")
    # Differences between the forms of the network should be their own, not TF32's.
    torch.backends.cudnn.allow_tf32 = False
    devices = ["cpu", "cuda"] if options.device == "auto" and has_gpu else [options.device]
    results: dict[str, Any] = {
        "command": command_line("benchmarks.compare", arguments),
        "net": options.net,
        "machine": machine(options.threads),
        "sizes": [],
    }
    for device in devices:
        options.device = "cpu" if device == "auto" else device
        for size in options.sizes:

            def say_where(text: str, where: str = f"{options.device} {size}") -> None:
                say(f"{where}: {text}")

            try:
                result = measure(options, size, say_where)
            except Disagreement as wrong:
                say(f"{size}: the answers differ ({wrong}); --no-check times them all the same")
                return 1
            result["bars"] = bars(result)
            results["sizes"].append(result)
    options.out.mkdir(parents=True, exist_ok=True)
    table = render(results)
    write_whole(options.out / "results.json", json.dumps(results, indent=1) + "\n")
    write_whole(options.out / "table.md", table)
    if options.out.resolve() == HERE and into_page(HERE.parent / "docs" / "speed.md", table):
        say("docs/speed.md has the new table")
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
