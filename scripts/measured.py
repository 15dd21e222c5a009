"""Make again the numbers that ship in gradcam_video/lessons/measured, which the notebooks quote.

    gradcam-video generate TEST --split test --count 2000 --seed 1
    python scripts/measured.py evaluation score --data TEST
    python scripts/measured.py boxes --boxes FOLDER         # its videos and annotations.json
    python scripts/measured.py training ablations           # what the trainings left in --work
    python scripts/measured.py shortcut --data TEST         # after train_shortcut.py cheat and fair
    python scripts/measured.py learning                     # a training of 1,000 steps, watched
    python scripts/measured.py beginning                    # that clip's maps before any training
    python scripts/measured.py direction                    # notebook 03's trainings, longer
    python scripts/measured.py culprits                     # goes on where it was interrupted

`real` is no part of it: it was copied from what `pytest -s tests/test_real_clips.py` prints.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import safetensors.torch
import torch
from train_shortcut import FILES, MARKED, Marked
from train_tabletop import (
    FRAMES,
    OUT,
    RATE,
    learn,
    network_to_start_from,
    read_clips,
    recipe_for,
    video_model,
)

import gradcam_video as gv
from gradcam_video.cli import main as gradcam_video
from gradcam_video.data.datasets import Item
from gradcam_video.data.frame_cache import Cache, cache
from gradcam_video.lessons.culprits import examine, packed, resampled
from gradcam_video.models.tabletop_net import SIZE
from gradcam_video.tabletop import Plan
from gradcam_video.tabletop.export import scene_of
from gradcam_video.training.accuracy import evaluate

FOLDER = Path(gv.__file__).parent / "lessons" / "measured"
TEST = "gradcam-video generate TEST --split test --count 2000 --seed 1"
CLIP = "Moving [something] from left to right", 2017031  # the clip of every notebook
ABLATION_STEPS, ABLATION_SEED = 1000, 1
LAMP_CLIPS = 1000
BEGINNINGS = 40
DIRECTION_STEPS, DIRECTION_SEEDS = 320, 3
CULPRIT_CLIPS = 600  # the first so many of the test split: 15 of each class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=sorted(MAKERS))
    parser.add_argument("--data", type=Path, default=Path("TEST"), help=f"by `{TEST}`")
    parser.add_argument("--boxes", type=Path, default=Path("something_else"))
    parser.add_argument("--work", type=Path, default=Path("tabletop-work"))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for name in args.names:
        MAKERS[name](args)


def write(name: str, command: str, found: dict[str, Any]) -> None:
    cores = f"{os.cpu_count()} CPU cores"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else cores
    facts = {"command": command, "date": date.today().isoformat(), "device": device, **found}
    text = json.dumps(facts, indent=0, ensure_ascii=False) + "\n"
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def answer(*command: str) -> dict[str, Any]:
    """What a command of the package prints with --json."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = gradcam_video([*command, "--json"])
    if status:
        raise SystemExit(status)
    return json.loads(said.getvalue())


def evaluation(args: argparse.Namespace) -> None:
    found = answer("evaluate", "--data", str(args.data))
    keep = {k: v for k, v in found.items() if k not in ("data", "failures")}
    write("evaluation", f"{TEST}; gradcam-video evaluate --data TEST --json", keep)


def score(args: argparse.Namespace) -> None:
    found = answer("score", "--data", str(args.data))
    keep = {k: v for k, v in found.items() if k not in ("without_truth", "failures")}
    write("score", f"{TEST}; gradcam-video score --data TEST --json", keep)


def boxes(args: argparse.Namespace) -> None:
    """Filmed clips of Something-Something with the boxes of Something-Else, which are not ours."""
    videos, truth = args.boxes / "videos", args.boxes / "annotations.json"
    found = answer("score", str(videos), "--truth", str(truth))
    command = "gradcam-video score VIDEOS --truth annotations.json --json, of Something-Else"
    write("boxes", command, {"n": found["n"], "following": found["all"]["following"]})


def training(args: argparse.Namespace) -> None:
    text = (args.work / "inflated-0" / "log.jsonl").read_text(encoding="utf-8")
    log = [json.loads(line) for line in text.splitlines()]
    minutes = round(max(row.get("seconds", 0) for row in log) / 60)
    command = "scripts/train_tabletop.py draw, frames, clips --epochs 10"
    write("training", command, {"minutes": minutes, "log": log})


def ablations(args: argparse.Namespace) -> None:
    end = f"-{ABLATION_STEPS}-{ABLATION_SEED}.json"
    paths = sorted(args.work.glob(f"ablation-*{end}"))
    runs = {path.name.removeprefix("ablation-").removesuffix(end): path for path in paths}
    found = {name: json.loads(path.read_text()) for name, path in runs.items()}
    command = f"scripts/ablations.py --data TEST --steps {ABLATION_STEPS}"
    write("ablations", command, {"runs": found})


class Lit(Marked):
    """Clips, a lamp on every one."""

    def lit(self, index: int, item: Item) -> bool:
        return True


def shortcut(args: argparse.Namespace) -> None:
    test = gv.SomethingSomething(args.data, "test", frames=FRAMES, fps=RATE)
    seen = cache(test, args.work / "test", SIZE, workers=args.threads)
    clips = seen.frames[:LAMP_CLIPS], seen.targets[:LAMP_CLIPS], seen.labels
    its = list(seen.labels).index(MARKED)
    networks: dict[str, Any] = {}
    for name in FILES.values():
        model = gv.load_model(name)
        rows = networks[name] = {}
        lamps = {"lamp on its class": Marked, "no lamp": Cache, "lamp on every clip": Lit}
        for where, kind in lamps.items():
            found = evaluate(model, kind(*clips), quiet=True)
            confusion = np.array(found["confusion"])  # rows: true class; columns: predicted
            hits, n = int(confusion[its, its]), int(confusion[its].sum())
            rows[where] = {
                "top1": found["top1"],
                "interval": found["interval"],
                "of its class": [hits, n],
                "others called so": [int(confusion[:, its].sum()) - hits, int(confusion.sum()) - n],
            }
    command = f"{TEST}; scripts/train_shortcut.py cheat, fair; scripts/measured.py shortcut"
    write("shortcut", command, {"n": LAMP_CLIPS, "networks": networks})


def learning(args: argparse.Namespace) -> None:
    """The map of the clip of all notebooks, every 50 steps of a short training."""
    clips = read_clips(args.work / "train")
    data = Cache(clips.frames[:8000], clips.targets[:8000], clips.labels)
    folder = args.work / "learning-1000-1"
    recipe = recipe_for("inflated", steps=1000, seed=1)
    learn(
        "inflated", args.work, folder, data, read_clips(args.work / "valid"), recipe, keep_steps=50
    )
    label, seed = CLIP
    clip = gv.tabletop.sample(label, seed).clip
    steps, maps, probability = [], [], []
    for path in sorted(folder.glob("step-*.safetensors")):
        e = gv.explain(gv.load_model(path), clip)
        steps.append(int(path.stem.removeprefix("step-")))
        maps.append(e.signed[e.row(label)].astype(np.float16))  # (16, 14, 14)
        probability.append(e.probabilities[e.row(label)])
    np.savez_compressed(
        FOLDER / "learning.npz",
        steps=np.array(steps),
        signed=np.stack(maps),
        probability=np.array(probability, np.float32),
    )


def beginning(args: argparse.Namespace) -> None:
    """What the map of that clip shows before any training: as many networks as seeds."""
    label, seed = CLIP
    scene = gv.tabletop.sample(label, seed)
    first, last = scene.action
    shares: list[float | None] = []
    with tempfile.TemporaryDirectory() as folder:
        learnt = safetensors.torch.load_file(OUT.with_name("frames2d.safetensors"))
        torch.save(learnt, Path(folder, "frames.pt"))
        for start in range(BEGINNINGS):
            net = network_to_start_from("inflated", Path(folder), start).eval()
            e = gv.explain(video_model(net), scene.clip, classes=[label])
            curve = e.evidence(label)
            whole = float(curve.sum())
            shares.append(round(float(curve[first : last + 1].sum()) / whole, 3) if whole else None)
    write("beginning", "scripts/measured.py beginning", {"share in the action": shares})


def _course(lesson: dict[str, Any], net: torch.nn.Module, seed: int) -> dict[str, Any]:
    """One training of notebook 03: hits among 50 unseen clips of each pair, every 40 steps."""
    course: list[dict[str, Any]] = []

    def look(step: int, net: torch.nn.Module) -> None:
        if step % 40:
            return
        row: dict[str, Any] = {"step": step}
        for pair, what in (((0, 1), "left or right"), ((2, 3), "away or towards")):
            row[what] = lesson["right_within"](net, pair)[0]
        if any(len(p.shape) == 5 and p.shape[2] > 1 for p in net.parameters()):
            row["lopsided"] = round(lesson["lopsided"](net), 4)
        course.append(row)

    look(0, net)
    given = {"steps": DIRECTION_STEPS, "seed": seed, "watch": look}
    losses = lesson["train"](net, lesson["films"], lesson["classes"], **given)
    return {"seed": seed, "course": course, "loss": [round(loss, 3) for loss in losses]}


def direction(args: argparse.Namespace) -> None:
    """Notebook 03's three networks, trained four times as long as there, by its own cells."""
    lesson: dict[str, Any] = {}
    path = Path(__file__).parents[1] / "notebooks" / "03_training.ipynb"
    for cell in nbformat.read(path, as_version=4).cells:
        if "also-in-measured" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{path.name}, {cell.id}", "exec"), lesson)
    starts = {
        "frames only": lambda seed: lesson["begin"](1, seed),
        "inflated": lambda seed: lesson["begin"](3, seed),
        "pushed": lambda seed: lesson["push"](lesson["begin"](3, seed)),
    }
    runs: dict[str, Any] = {}
    for name, start in starts.items():
        for seed in range(DIRECTION_SEEDS):
            runs.setdefault(name, []).append(_course(lesson, start(seed), seed))
            print(name, seed, runs[name][-1]["course"][-1], flush=True)
    write("direction", "scripts/measured.py direction", {"n": 50, "runs": runs})


def culprits(args: argparse.Namespace) -> None:
    """Whose fault the errors among the first clips of the test split are; notebook 07.

    The scenes are those of TEST, painted as the notebooks paint them: 240 x 320, and no webm. Of
    the first clip of each class it is noted, error or not, at which samplings it is named rightly.
    """
    model = gv.load_model("tabletop")
    args.work.mkdir(parents=True, exist_ok=True)

    def error(i: int) -> Any:
        found = examine(model, *scene_of(i, "test", seed=1))
        return packed(found) if found else None

    def shifted(i: int) -> Any:
        return [t.right for t in resampled(model, Plan(*scene_of(i, "test", seed=1)))]

    found = [row for row in _going_on(args.work / "culprits.jsonl", CULPRIT_CLIPS, error) if row]
    every = list(_going_on(args.work / "samplings.jsonl", len(gv.FORTY), shifted))
    right = np.sum(every, axis=0).tolist()
    samplings = {"n": len(every), "right": right}
    content = {"n": CULPRIT_CLIPS, "findings": found, "samplings": samplings}
    write("culprits", "scripts/measured.py culprits", content)


def _going_on(log: Path, count: int, make: Callable[[int], Any]) -> Iterator[Any]:
    """make(0), make(1), …; what an earlier run has written into the log is not made again."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    yield from map(json.loads, lines[:count])
    with log.open("a", encoding="utf-8") as file:
        for i in range(len(lines), count):
            made = make(i)
            file.write(json.dumps(made, ensure_ascii=False) + "\n")
            file.flush()
            yield made


MAKERS = {
    maker.__name__: maker
    for maker in (
        evaluation,
        score,
        boxes,
        training,
        ablations,
        shortcut,
        learning,
        beginning,
        direction,
        culprits,
    )
}

if __name__ == "__main__":
    main()
