"""Which explanation can be trusted? Every method against the truth, and against the network.

    gradcam-video generate TEST --split test --count 2000 --seed 1
    python scripts/compare_methods.py --data TEST

The clips are the first of the set whose true class `tabletop` names first, camera classes left out:
`--clips` of them for methods that cost little, `--costly` for the others (`COSTLY`). For `--curves`
of them cells are removed and given back in each method's order; `--again` (and `--again-costly`)
are explained anew by a network whose weights are shuffled. What each number means is in
`metrics/localisation.py` and `metrics/faithfulness.py`.

A file for each clip is written into --work, whole or not at all; run again, it goes on where it
was. At the end come gradcam_video/lessons/measured/methods.json and the tables of
docs/methods_compared.md. `--table` writes these from the results that are there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import gradcam_video as gv
from gradcam_video.attribution.methods import METHODS
from gradcam_video.data.clip import Clip
from gradcam_video.data.datasets import SomethingSomething
from gradcam_video.data.ground_truth import Truth
from gradcam_video.data.labels import find_label
from gradcam_video.explanation import Explanation
from gradcam_video.files import atomic_write
from gradcam_video.metrics import faithfulness
from gradcam_video.metrics.localisation import spearman
from gradcam_video.metrics.per_clip import ClipScore, score_clip, summary

MODEL = "tabletop"
TEST = "gradcam-video generate TEST --split test --count 2000 --seed 1"
FOLDER = Path(gv.__file__).parent / "lessons" / "measured"
PAGE = Path(__file__).parents[1] / "docs" / "methods_compared.md"
START, END = "<!-- methods -->", "<!-- /methods -->"
# A processor without AVX-512 emulates bfloat16, at ten times the time and more.
BFLOAT16 = "AVX512" in torch.backends.cpu.get_cpu_capability()
KEPT = 20  # clips whose single values are kept, so that anybody can make a row again

COSTLY: Mapping[str, dict[str, Any]] = {
    "scorecam": {},
    "occlusion": {"step": (4, 21, 21)},
    "rise": {"masks": 200},
    "integrated-gradients": {},
    "temporal-mask": {"steps": 30},
}
"""Methods of more than a second a clip, with the options that keep the run under an hour.

They run in bfloat16, which takes half the time and leaves the cells' order (Spearman 0.99)."""
SHARES = (0.0, 0.05, 0.15, 0.4, 1.0)
BASELINE = "median-frame"
PLAIN = ("pointing", "rank_accuracy", "following", "temporal_pointing", "temporal_iou")

WHERE = {
    "energy": ("energy_times_uniform", "tolerant"),
    "pointing": ("pointing", "tolerant"),
    "rank accuracy": ("rank_accuracy", "tolerant"),
    "following": ("following", "plane"),
    "temporal pointing": ("temporal_pointing", "strict"),
    "temporal IoU": ("temporal_iou", "strict"),
    "spliced": ("splicing", "halves"),
}
"""Columns of the first table: against the truth."""
NETWORK = {
    "deletion": ("deletion_gain", "probability"),
    "del. space": ("deletion-space_gain", "probability"),
    "del. time": ("deletion-time_gain", "probability"),
    "insertion": ("insertion_gain", "probability"),
    "ins. space": ("insertion-space_gain", "probability"),
    "ins. time": ("insertion-time_gain", "probability"),
    "head shuffled": ("randomisation", "head"),
    "all shuffled": ("randomisation", "all"),
}
"""Columns of the second table: against the network."""


@dataclass(frozen=True)
class Settings:
    """How many clips for what."""

    clips: int = 1000
    costly: int = 200
    curves: int = 100
    spliced: int = 200
    again: int = 60
    again_costly: int = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("TEST"), help=f"by `{TEST}`")
    parser.add_argument("--work", type=Path, default=Path("compare-work"))
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    for name, count in vars(Settings()).items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=count, metavar="N", help=f"{count} clips")
    parser.add_argument("--out", type=Path, default=FOLDER / "methods.json")
    parser.add_argument("--table", action="store_true", help="only the page's tables")
    args = parser.parse_args()
    if not args.table:
        settings = Settings(**{name: getattr(args, name) for name in vars(Settings())})
        measure(args, settings)
    found = json.loads(args.out.read_text(encoding="utf-8"))
    if args.out == FOLDER / "methods.json":
        into_page(PAGE, tables(found))
    print(tables(found))


# --- the run ----------------------------------------------------------------------------------


def measure(args: argparse.Namespace, settings: Settings) -> None:
    """All clips, a record for each; then the results."""
    args.work.mkdir(parents=True, exist_ok=True)
    options = {"costly_options": COSTLY, "baseline": BASELINE, "bfloat16": BFLOAT16}
    same_settings(args.work / "settings.json", vars(settings) | options)
    clock = Clock(args.work / "seconds.json")
    # A process for each core and one thread in each, which NumPy is told before it is loaded.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    context = multiprocessing.get_context("spawn")
    # A worker that dies ends the run with an error: multiprocessing's own pool would wait for ever.
    with ProcessPoolExecutor(
        args.processes, context, begin, (args.data, args.work, settings)
    ) as pool:
        used = clips_to_use(args, settings, pool)
        todo = [job for job in enumerate(used) if not record_file(args.work, job[1]).exists()]
        say(f"{len(used)} clips, {len(used) - len(todo)} done before")
        started, done, whole = time.monotonic(), 0.0, sum(weight(at, settings) for at, _ in todo)
        for n, ready in enumerate(as_completed([pool.submit(one_clip, job) for job in todo]), 1):
            done += weight(ready.result(), settings)
            if n % 10 == 0 or n == len(todo):
                left = (time.monotonic() - started) / done * (whole - done) / 60
                spent = clock.keep() / 60
                say(f"{n} of {len(todo)} clips, {spent:.1f} min, about {left:.0f} min left")
    write(args, settings, used, clock.keep())


class Clock:
    """Seconds that the run has taken, those before an interruption included."""

    def __init__(self, path: Path) -> None:
        self.path, self.started = path, time.monotonic()
        self.before = json.loads(path.read_text()) if path.exists() else 0.0

    def keep(self) -> float:
        seconds = self.before + time.monotonic() - self.started
        with atomic_write(self.path) as file:
            file.write_text(json.dumps(seconds), "utf-8")
        return seconds


def weight(position: int, settings: Settings) -> float:
    """About how many seconds a clip takes, for the time that is left."""
    costs = {"clips": 1.7, "costly": 15, "curves": 8, "spliced": 0.7, "again": 2.3}
    costs["again_costly"] = 30
    return sum(cost for name, cost in costs.items() if position < getattr(settings, name))


def same_settings(path: Path, settings: dict[str, Any]) -> None:
    """Refuse to mix records of two runs."""
    text = json.dumps(settings)
    if path.exists() and path.read_text() != text:
        raise SystemExit(f"{path.parent}: holds a run with other settings; name another --work")
    with atomic_write(path) as file:
        file.write_text(text, "utf-8")


def clips_to_use(args: argparse.Namespace, settings: Settings, pool: Executor) -> list[int]:
    """The first clips whose class the network names, camera classes left out, in the set's order.

    Clip i of the set is of class i % 40: so all classes come equally often.
    """
    path = args.work / "used.json"
    if not path.exists():
        used: list[int] = []
        total = len(SomethingSomething(args.data, "test"))
        for begin in range(0, total, 80):
            some = [*pool.map(counts_for, range(begin, min(begin + 80, total)), chunksize=4)]
            used += [i for i, counts in enumerate(some, begin) if counts]
            say(f"{len(used)} of the first {begin + len(some)} clips count")
            if len(used) >= settings.clips:
                break
        else:
            raise SystemExit(f"{args.data}: only {len(used)} clips count; generate more")
        used = used[: settings.clips]
        with atomic_write(path) as file:
            file.write_text(json.dumps(used), "utf-8")
    return json.loads(path.read_text())


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --- in a process -----------------------------------------------------------------------------


@dataclass
class Process:
    """What a process keeps for all of its clips."""

    data: SomethingSomething
    work: Path
    settings: Settings
    model: gv.VideoModel

    def sample(self, i: int) -> tuple[Clip, Truth, int]:
        """Clip, truth, and class in the model's numbers."""
        clip = self.data.clip(i)
        truth = self.data.truth(i, clip)
        if truth is None:
            raise SystemExit(f"{self.data.ids[i]}: no truth lies beside the clips; `{TEST}`")
        return clip, truth, find_label(self.data.labels[self.data.targets[i]], self.model.labels)


OWN: Process  # of each process, by `begin`


def begin(data: Path, work: Path, settings: Settings) -> None:
    global OWN
    torch.set_num_threads(1)
    OWN = Process(SomethingSomething(data, "test"), work, settings, gv.load_model(MODEL))


def counts_for(i: int) -> bool:
    """Whether clip i counts: its class is named first, and is not the camera's."""
    clip, truth, k = OWN.sample(i)
    if truth.whole:
        return False
    return int(gv.explain(OWN.model, clip).logits.argmax()) == k


def one_clip(job: tuple[int, int]) -> int:
    """Everything about clip i, which is number `position` of those used, into its record."""
    position, i = job
    started = time.process_time()
    clip, truth, k = OWN.sample(i)
    settings, model = OWN.settings, OWN.model
    scores: dict[str, ClipScore] = {}
    maps: dict[str, Explanation] = {}
    for method in METHODS:
        if method in COSTLY and position >= settings.costly:
            continue
        e = maps[method] = explained(clip, method, k)
        alike = next((m for m in scores if same_map(maps[m], e)), None)
        scores[method] = scores[alike] if alike else score_clip(e, truth, k)
        # The clip counts because the network names its class; in bfloat16 a near tie may fall to
        # another one, and the map is still that of the true class.
        scores[method] = replace(scores[method], right=True)
    tests: dict[str, dict[tuple[str, str, str], float]] = {method: {} for method in maps}
    if position < settings.curves:
        for method, areas in curves(clip, maps, k, position).items():
            tests[method] |= areas
    for method, e in maps.items():
        if position < (settings.again_costly if method in COSTLY else settings.again):
            tests[method] |= shuffled(e, k, position)
    if position % 2 and position < settings.spliced:
        for method, found in spliced(position, clip, k, [m for m in maps if m not in COSTLY]):
            tests[method] |= found
    record = {
        "id": OWN.data.ids[i],
        "label": model.labels[k],
        "processor_seconds": time.process_time() - started,
        "seconds": {method: e.seconds for method, e in maps.items()},
        "scores": {
            method: {**vars(score), "values": flat({**score.values, **tests[method]})}
            for method, score in scores.items()
        },
    }
    with atomic_write(record_file(OWN.work, i)) as file:
        file.write_text(json.dumps(record), "utf-8")
    return position


def record_file(work: Path, i: int) -> Path:
    return work / f"clip-{i}.json"


def explained(clip: Clip, method: str, k: int, model: gv.VideoModel | None = None) -> Explanation:
    options = COSTLY.get(method, {})
    return gv.explain(
        model or OWN.model,
        clip,
        method=method,
        classes=[k],
        autocast=BFLOAT16 and method in COSTLY,
        **options,
    )


def same_map(one: Explanation, other: Explanation) -> bool:
    """The same but for scale: then no measure tells them apart."""
    if one.grid != other.grid or not one.maps.any():
        return False
    a, b = (e.maps / max(e.maps.max(), 1e-30) for e in (one, other))
    return np.allclose(a, b, atol=1e-5)


def curves(
    clip: Clip, maps: Mapping[str, Explanation], k: int, seed: int
) -> dict[str, dict[tuple[str, str, str], float]]:
    """Deletion and insertion in each method's order, beside a random one and that of motion."""
    x, view = OWN.model.preprocess(clip)
    others = faithfulness.rival_cells(x, view, seed)
    orders = {f"of {m}": faithfulness.cells_of(e.maps[e.row(k)], e.grid) for m, e in maps.items()}
    areas = faithfulness.areas(
        OWN.model,
        orders | others,
        x,
        k,
        baseline=BASELINE,
        shares=SHARES,
        seed=seed,
        autocast=BFLOAT16,
    )
    found: dict[str, dict[tuple[str, str, str], float]] = {method: {} for method in maps}
    for (measure, unit, who), area in areas.items():
        if who.startswith("of "):
            found[who.removeprefix("of ")][measure, unit, "map"] = area
        else:  # a rival, or the end: the same for all methods
            for method in maps:
                found[method][measure, unit, who] = area
    return found


@lru_cache(maxsize=1)
def shuffled_networks(seed: int) -> dict[str, gv.VideoModel]:
    layers = faithfulness.cascade(OWN.model)
    parts = {"head": layers[:1], "all": layers}
    return {name: faithfulness.randomised(OWN.model, part, seed) for name, part in parts.items()}


def shuffled(e: Explanation, k: int, seed: int) -> dict[tuple[str, str, str], float]:
    """Spearman's correlation with the signed map of a network whose weights are shuffled."""
    found = {}
    for name, model in shuffled_networks(seed).items():
        after = explained(e.clip, e.method, k, model)
        before, now = e.signed[e.row(k)], after.signed[after.row(k)]
        found["randomisation", name, "map"] = spearman(before, now)
    return found


def spliced(
    position: int, clip: Clip, k: int, methods: Sequence[str]
) -> Iterator[tuple[str, dict[tuple[str, str, str], float]]]:
    """Of the clip before and this one joined: is each class strongest in its own half?"""
    used = json.loads((OWN.work / "used.json").read_text())
    before, _, first = OWN.sample(used[position - 1])  # of another class: they go in turn
    both = faithfulness.splice(before, clip)
    for method in methods:
        e = gv.explain(OWN.model, both, method=method, classes=[first, k])
        halves = faithfulness.spliced_pointing(e, (first, k))
        yield method, {("splicing", "halves", "map"): sum(halves) / 2}


# --- results ----------------------------------------------------------------------------------


def flat(values: Mapping[tuple[str, str, str], float]) -> dict[str, float | None]:
    """Keys and numbers that JSON takes: NaN has none."""
    return {"/".join(key): None if np.isnan(v) else v for key, v in values.items()}


def unflat(values: Mapping[str, float | None]) -> dict[tuple[str, str, str], float]:
    found = {}
    for key, value in values.items():
        measure, kind, who = key.split("/")
        found[measure, kind, who] = np.nan if value is None else value
    return found


def write(args: argparse.Namespace, settings: Settings, used: Sequence[int], wall: float) -> None:
    """Means and intervals of all records, into --out."""
    records = [json.loads(record_file(args.work, i).read_text()) for i in used]
    groups, seconds = {}, {}
    for method in METHODS:
        own = [record for record in records if method in record["scores"]]
        groups[method] = group_of([record["scores"][method] for record in own])
        seconds[method] = round(float(np.median([r["seconds"][method] for r in own])), 3)
    few = group_of([record["scores"]["gradcam"] for record in records[: settings.costly]])
    cores = f"{os.cpu_count()} CPU cores"
    names = ("gradcam-video", "torch", "numpy", "captum", "av")
    found = {
        "command": f"{TEST}; {command(settings)}",
        "date": date.today().isoformat(),
        "device": cores,
        "versions": {"python": platform.python_version()} | {n: version(n) for n in names},
        "model": MODEL,
        "clips": vars(settings),
        "seeds": "set: 1; random order and shuffled weights: a clip's number among those used",
        "options": COSTLY,
        "precision": "float32; bfloat16: the methods in options, deletion and insertion",
        "shares": SHARES,
        "baseline": BASELINE,
        "minutes": round(wall / 60, 1),
        "processor_minutes": round(sum(r["processor_seconds"] for r in records) / 60, 1),
        "methods": {
            method: {
                "n": group["n"],
                "seconds": seconds[method],
                "empty_maps": group["empty_maps"],
                "measures": measures_of(group, "map"),
            }
            for method, group in groups.items()
        },
        "beside": {
            who: measures_of(groups["gradcam"], who)
            for who in ("uniform", "gaussian", "middle", "oracle", "motion")
        },
        "gradcam_on_the_costly_clips": measures_of(few, "map"),
        "minus_gradcam": {m: minus_gradcam(records, m) for m in METHODS if m != "gradcam"},
        "minus_motion": {m: minus_motion(records, m) for m in METHODS},
        "first": first(records[:KEPT]),
    }
    with atomic_write(args.out) as file:
        file.write_text((json.dumps(found, indent=0, ensure_ascii=False) + "\n"), "utf-8")


def command(settings: Settings) -> str:
    changed = [
        f" --{name.replace('_', '-')} {count}"
        for name, count in vars(settings).items()
        if count != getattr(Settings(), name)
    ]
    return "python scripts/compare_methods.py --data TEST" + "".join(changed)


def group_of(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means and intervals of `score`, of the clips whose true class comes first."""
    whole: list[dict[str, Any]] = [{**s, "values": unflat(s["values"])} for s in scores]
    return summary([ClipScore(**one) for one in whole])["right"]


def measures_of(group: Mapping[str, Any], who: str) -> dict[str, dict[str, Any]]:
    """measure -> kind -> mean, low, high, n of one order of maps."""
    found: dict[str, dict[str, Any]] = {}
    for measure, kinds in group.items():
        for kind, row in kinds.items() if isinstance(kinds, dict) else ():
            if who in row:
                found.setdefault(measure, {})[kind] = row[who]
    return found


def minus_gradcam(records: Sequence[dict[str, Any]], method: str) -> dict[str, Any]:
    """The method's score less Grad-CAM's, clip by clip: finer than two intervals that overlap."""
    found = {}
    for title, (measure, kind) in WHERE.items():
        key = f"{'energy' if title == 'energy' else measure}/{kind}/map"
        less = values_of(records, method, key) - values_of(records, "gradcam", key)
        if len(less := less[~np.isnan(less)]):
            found[title] = interval(less[:, None], lambda means: means[:, 0])
    return found


def minus_motion(records: Sequence[dict[str, Any]], method: str) -> dict[str, Any]:
    """The gain of the method's order less that of the order of motion, on the same clips."""
    found = {}
    for measure in faithfulness.CURVES:
        four = ("map", "motion", "end", "random")
        areas = [values_of(records, method, f"{measure}/probability/{who}") for who in four]
        known = np.stack(areas, axis=1)[~np.isnan(areas[0])]  # (n, 4)
        if len(known):
            found[measure] = interval(known, lambda m: (m[:, 0] - m[:, 1]) / (m[:, 2] - m[:, 3]))
    return found


def values_of(records: Sequence[dict[str, Any]], method: str, key: str) -> np.ndarray:
    """One value of each clip, float64 (n,); NaN where there is none."""
    found = [record["scores"].get(method, {}).get("values", {}).get(key) for record in records]
    return np.array([np.nan if value is None else value for value in found], float)


def interval(values: np.ndarray, of: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """A function of means over clips (…, m) and its 95 % interval, clips (n, m) drawn again."""
    n = len(values)
    times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=1000)  # (1000, n)
    low, high = np.quantile(of(times @ values / n), [0.025, 0.975])
    (mean,) = of(values.mean(axis=0, keepdims=True))
    return {"mean": rounded(mean), "low": rounded(low), "high": rounded(high), "n": n}


def first(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The single values of the first clips, to be compared with when a row is made again."""
    keys = ["energy/tolerant/map", "energy/tolerant/uniform"]
    keys += ["/".join((*column, "map")) for column in WHERE.values() if column[0] in PLAIN]
    known = [method for method in METHODS if all(method in r["scores"] for r in records)]
    return {
        "ids": [record["id"] for record in records],
        "labels": [record["label"] for record in records],
        "values": {
            method: {
                key: [rounded(record["scores"][method]["values"].get(key)) for record in records]
                for key in keys
            }
            for method in known
        },
    }


def rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


# --- tables -----------------------------------------------------------------------------------


def tables(found: Mapping[str, Any]) -> str:
    """Both tables as Markdown."""
    rows = {name: row["measures"] for name, row in found["methods"].items()}
    seconds = {name: row["seconds"] for name, row in found["methods"].items()}
    beside = {f"*{TITLES[who]}*": row for who, row in found["beside"].items()}
    lines = [
        *table(WHERE, "against the truth", rows | beside, seconds),
        "",
        *table(NETWORK, "against the network", rows | {"*motion*": found["beside"]["motion"]}),
        "",
        note(found),
    ]
    return "\n".join(lines)


TITLES = {
    "uniform": "uniform",
    "gaussian": "centre prior",
    "middle": "middle frame",
    "oracle": "oracle",
    "motion": "motion",
}


def table(
    columns: Mapping[str, tuple[str, str]],
    title: str,
    rows: Mapping[str, Mapping[str, Any]],
    seconds: Mapping[str, float] | None = None,
) -> list[str]:
    """A line for each row that has a number in some column."""
    titles = [title, *(["s"] if seconds else []), *columns]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for name, row in rows.items():
        cells = [cell(row.get(measure, {}).get(kind)) for measure, kind in columns.values()]
        if any(cells):
            cost = [f"{seconds[name]:.2g}" if name in seconds else ""] if seconds else []
            lines.append(f"| {' | '.join([name, *cost, *cells])} |")
    return lines


def cell(number: Mapping[str, Any] | None) -> str:
    """Mean and half the 95 % interval."""
    if number is None or number["mean"] is None:
        return ""
    half = (number["high"] - number["low"]) / 2
    return f"{number['mean']:.2f} ± {half:.2f}" if half >= 0.005 else f"{number['mean']:.2f}"


def note(found: Mapping[str, Any]) -> str:
    clips = found["clips"]
    options = "; ".join(
        f"{name} {', '.join(f'{k}={v}' for k, v in own.items())}"
        for name, own in found["options"].items()
        if own
    )
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"*Mean over clips ± half the 95 % interval (bootstrap over clips). {clips['clips']:,} "
        f"clips; {', '.join(found['options'])} {clips['costly']} ({options}). Spliced: "
        f"{clips['spliced'] // 2} pairs. Deletion and insertion: {clips['curves']} clips. "
        f"Shuffled: {clips['again']} ({clips['again_costly']}). Made by `{found['command']}` in "
        f"{found['processor_minutes']:.0f} processor minutes ({found['device']}, {versions}), "
        f"{found['date']}.*"
    )


def into_page(page: Path, text: str) -> None:
    """Put the tables between the markers."""
    old = page.read_text(encoding="utf-8")
    before, rest = old.split(START)
    _, after = rest.split(END)
    with atomic_write(page) as file:
        file.write_text(f"{before}{START}\n{text}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
