"""What made the maps good? The shipped network's training again, each time one thing left out.

    python scripts/train_tabletop.py draw && python scripts/train_tabletop.py frames
    gradcam-video generate TEST --split test --count 2000 --seed 1
    python scripts/ablations.py --data TEST [NAME …]

Every run sees the same number of clips in the same number of steps, far fewer than the shipped
network, and is tested on the same synthetic clips. What is finished is not done again. Writes a row
for each run into --work, and prints the table of all rows there are.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from train_tabletop import (
    FRAMES,
    RATE,
    TRAIN_SEEDS,
    draw_clips,
    learn,
    read_clips,
    recipe_for,
)

from gradcam_video.data.augment import Augment
from gradcam_video.data.datasets import SomethingSomething
from gradcam_video.data.frame_cache import Cache, cache
from gradcam_video.metrics.scoring import score
from gradcam_video.models.registry import load_model
from gradcam_video.models.tabletop_net import SIZE
from gradcam_video.training.accuracy import evaluate


@dataclass(frozen=True)
class Ablation:
    """One training: how it begins, and what is left out."""

    what: str
    start: str = "inflated"
    shape: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    world: str = "train"
    share: float = 1.0  # of the clips, each seen as much more often
    maps: bool = True  # whether they are scored, too


# The whole frame always, at the scale that the windows have.
STILL = Augment(crop=(1.0, 1.0), brightness=0, contrast=0, saturation=0, time_shift=0)
ABLATIONS = {
    "inflated": Ablation("complete: as the shipped network, a shorter run"),
    "scratch": Ablation("random filters, not inflated ones", start="scratch"),
    "flat": Ablation("2D network, its scores averaged over frames", start="flat"),
    "shuffled": Ablation("trained and tested on shuffled frames", start="shuffled", maps=False),
    "coarse": Ablation("map of 7 × 7, not 14 × 14", shape={"stride": 2}),
    "wide": Ablation("a cell sees 127 pixels, not 63 of 112", shape={"dilation": 3}),
    "zeros": Ablation(
        "zeros before and after the clip, not its end frames", shape={"padding": "zeros"}
    ),
    "dense": Ablation("no price on activation (L1)", recipe={"sparse": 0.0}),
    "fixed": Ablation("no random windows and shifts", recipe={"augment": STILL}),
    "few": Ablation("a tenth of the clips", share=0.1),
    "tame": Ablation("a tame world: no distractors, no shake, action in the middle", world="tame"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="NAME", help=f"of {', '.join(ABLATIONS)}; all")
    parser.add_argument("--data", type=Path, required=True, help="a test set of `generate`")
    parser.add_argument("--work", type=Path, default=Path("tabletop-work"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--clips", type=int, default=8000, help="to train on")
    parser.add_argument("--scored", type=int, default=400, help="clips whose maps are scored")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for name in args.runs:
        if name not in ABLATIONS:
            parser.error(f"no run {name!r}; use {', '.join(ABLATIONS)}")
    torch.set_num_threads(args.threads)
    test = SomethingSomething(args.data, "test", frames=FRAMES, fps=RATE)
    seen = cache(test, args.work / "test", SIZE, workers=args.threads)
    rows = {}
    for name, run in ABLATIONS.items():
        path = args.work / f"ablation-{name}-{args.steps}-{args.seed}.json"
        if not path.exists() and (not args.runs or name in args.runs):
            row = train_and_test(name, run, args, test, seen)
            path.write_text(json.dumps(row, indent=1))
        if path.exists():
            rows[name] = json.loads(path.read_text())
    print(table(rows))


def train_and_test(
    name: str, run: Ablation, args: argparse.Namespace, test: SomethingSomething, seen: Cache
) -> dict[str, Any]:
    """Train and test one run."""
    if run.world == "tame":
        draw_clips(args.work / "tame", args.clips, TRAIN_SEEDS, args.threads, tame=True)
    clips, valid = read_clips(args.work / run.world), read_clips(args.work / "valid")
    count = round(args.clips * run.share)
    data = Cache(clips.frames[:count], clips.targets[:count], clips.labels)
    recipe = recipe_for(run.start, steps=args.steps, seed=args.seed, **run.recipe)
    folder = args.work / f"{name}-{args.steps}-{args.seed}"
    model = load_model(learn(run.start, args.work, folder, data, valid, recipe, **run.shape))
    found = evaluate(model, seen, shuffle_frames=recipe.shuffle_frames, quiet=True)
    row = {
        "what": run.what,
        "n": found["n"],
        "top1": found["top1"],
        "top1_interval": found["interval"],
        "opposite": found["opposite"]["mean"],
    }
    if run.maps:
        right = score(model, test, limit=args.scored)["right"]
        row |= {"scored": right["n"]}
        for measure in ("energy_normalised", "pointing", "temporal_pointing", "following"):
            row[measure] = {
                kind: {who: cell["mean"] for who, cell in cells.items()}
                for kind, cells in right[measure].items()
            }
    print(f"{name}: {row}", file=sys.stderr, flush=True)
    return row


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The rows as Markdown; measures of maps are tolerant, of the true class where it is first."""
    lines = [
        "| run | | top-1 | opposite pairs | energy | pointing | temporal pointing | following |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [f"{row['top1']:.1%}", f"{row['opposite']:.1%}"]
        for measure in ("energy_normalised", "pointing", "temporal_pointing", "following"):
            found = row.get(measure, {})
            kind = found.get("tolerant", found.get("plane"))
            cells.append(f"{kind['map']:.2f}" if kind else "")
        lines.append(f"| {name} | {row['what']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
