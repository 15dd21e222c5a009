"""`gradcam-video train`: a network trained on a data set, or what that would cost."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.datasets import SomethingSomething, annotated_splits
from ..data.frame_cache import cache
from ..data.labels import FORTY_NAMES, TEMPLATES
from ..errors import BadInput, require
from ..training.loop import fit
from ..training.recipe import Network, Recipe, build, cost, read_recipe
from ..training.run_dir import Intervals
from .options import report_failures, say

DEFAULT_RECIPE = "small"
POST_CLIPS = 42_614  # eight tenths of the post's 53,267: an epoch where no data is given


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video train`."""
    parser.add_argument("--data", metavar="DIR", help="Something-Something, or a Tabletop set")
    parser.add_argument("--out", metavar="DIR", help="gets the checkpoint, the model and the log")
    parser.add_argument(
        "--recipe",
        default=DEFAULT_RECIPE,
        metavar="NAME|FILE",
        help=f"network and training, a .toml (default: {DEFAULT_RECIPE})",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where the run in --out stopped"
    )
    parser.add_argument("--init", metavar="M", help="network or checkpoint to begin with")
    parser.add_argument("--weights", metavar="FILE", help="its weights; none: random")
    parser.add_argument("--epochs", type=float, metavar="N", help="instead of the recipe's")
    parser.add_argument("--steps", type=int, metavar="N", help="instead of epochs")
    parser.add_argument("--batch", type=int, metavar="N", help="clips per step")
    parser.add_argument("--accumulate", type=int, metavar="N", help="parts of a batch")
    parser.add_argument("--seed", type=int, metavar="N", help="of all that is drawn")
    parser.add_argument(
        "--shuffle-frames", action="store_true", help="a control: without the order of the frames"
    )
    parser.add_argument(
        "--cache", metavar="DIR", help="decode every clip once and keep it here, small"
    )
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that read")
    parser.add_argument("--save-seconds", type=float, default=300, metavar="S", help="default: 300")
    parser.add_argument("--tensorboard", action="store_true", help="a TensorBoard log in --out")
    parser.add_argument("--cpu", action="store_true", help="do not use a GPU")
    parser.add_argument(
        "--estimate", action="store_true", help="print what it would cost, and stop"
    )
    parser.add_argument(
        "--tflops", type=float, default=100, metavar="N", help="for --estimate (default: 100)"
    )


def run(options: argparse.Namespace) -> int:
    """Train, or only estimate.

    Raises:
        BadInput: recipe, data set, network or output folder cannot be used; or interrupted.
    """
    network, recipe = _recipe_from(options)
    if options.estimate:
        return _estimate(options, network, recipe)
    for name in ("data", "out"):
        if getattr(options, name) is None:
            raise BadInput(f"--{name} is missing; see gradcam-video train --help")
    if options.workers < 0:
        raise BadInput(f"--workers {options.workers}: give 0 or more")

    require("accelerate", "training", "gradcam-video train")
    from accelerate import PartialState  # late: --estimate does not wait for it

    data, valid = _data_sets(options, network)
    say(f"{data}" + (f"; to choose by: {len(valid)} clips" if valid is not None else ""))
    model, architecture = build(network, data.labels, recipe.seed)
    if options.cache is not None:
        side = model.resize if isinstance(model.resize, int) else min(model.resize)
        # A margin for random crops, and the sides of the picture: most clips are 4:3 or wider.
        margin = math.ceil(side * 8 / 7)
        # One process decodes, the others wait and then find it done.
        with PartialState(cpu=options.cpu).main_process_first():
            folder, workers = Path(options.cache), options.workers
            data = cache(data, folder / "train", margin, width=margin * 4 // 3, workers=workers)
            if valid is not None:
                valid = cache(valid, folder / "validation", side, workers=workers)
    try:
        log = fit(
            model,
            data,
            options.out,
            recipe,
            valid=valid,
            architecture=architecture,
            network=network,
            intervals=Intervals(
                evaluate=math.ceil(len(data) / recipe.batch), save_seconds=options.save_seconds
            ),
            resume=options.resume,
            workers=options.workers,
            tensorboard=options.tensorboard,
            cpu=options.cpu,
        )
    except KeyboardInterrupt as stopped:
        what = str(stopped) or "before the first step"
        raise BadInput(f"interrupted, {what}; the same command with --resume goes on") from None
    if PartialState().is_main_process:
        report_failures(data.failures)
        last = next((row for row in reversed(log) if "valid_top1" in row), {})
        found = f", validation top-1 {last['valid_top1']:.1%} of {last['valid_n']}" if last else ""
        print(f"{Path(options.out) / 'model.safetensors'}{found}")
    PartialState().destroy_process_group()
    return 0


def _recipe_from(options: argparse.Namespace) -> tuple[Network, Recipe]:
    """The recipe that was named, and what the other options change in it."""
    network, recipe = read_recipe(options.recipe)
    given = ("batch", "accumulate", "seed")
    changes = {name: getattr(options, name) for name in given if getattr(options, name) is not None}
    if options.epochs is not None and options.steps is not None:
        raise BadInput("--epochs and --steps: give one of them")
    if options.epochs is not None or options.steps is not None:
        changes |= {"epochs": options.epochs or 0, "steps": options.steps or 0}
    if options.shuffle_frames:
        changes["shuffle_frames"] = True
    if options.init is not None:
        network = replace(network, name=options.init, weights="default")
    if options.weights is not None:
        network = replace(network, weights=options.weights)
    return network, replace(recipe, **changes)


def _data_sets(options: argparse.Namespace, network: Network) -> tuple[Any, Any]:
    """The clips to train on and, where they are annotated, those to choose by."""
    kind = {"frames": network.frames, "fps": network.fps}
    data = SomethingSomething(options.data, "train", network.classes, **kind)
    if not len(data):
        raise BadInput(f"{options.data}: no clip of these classes in its train split")
    known = {name.removeprefix("official-") for name in annotated_splits(options.data)}
    if "validation" not in known:
        return data, None
    valid = SomethingSomething(options.data, "validation", network.classes, **kind)
    return data, (valid if len(valid) else None)


def _estimate(options: argparse.Namespace, network: Network, recipe: Recipe) -> int:
    """What training would cost, in operations and minutes."""
    if not options.tflops > 0:
        raise BadInput(f"--tflops {options.tflops}: give a number above 0")
    if Path(network.name).suffix != ".safetensors":
        network = replace(network, weights="none")  # the operations are the same
    model, _ = build(network, TEMPLATES if network.classes == "all" else FORTY_NAMES)
    clips = POST_CLIPS if options.data is None else len(_data_sets(options, network)[0])
    bill = cost(model, clips, options.tflops)
    steps = recipe.total(clips)
    epochs = steps * recipe.batch / clips
    height, width = model.size
    print(f"{network.name}, {bill['parameters'] / 1e6:.1f} million parameters")
    print(f"a clip ({model.frames}×{height}×{width}): {bill['gmac']:.1f} GMAC forward,", end=" ")
    print(f"{bill['tflop']:.3f} TFLOP forward and back,", end=" ")
    print(f"{bill['gib']:.2f} GiB kept between (float32)")
    print(f"an epoch ({clips:,} clips): {bill['pflop']:.1f} PFLOP,", end=" ")
    print(f"{bill['minutes']:.1f} minutes at {options.tflops:g} TFLOP/s sustained")
    print(f"the run ({epochs:.1f} epochs, {steps:,} steps of {recipe.batch} clips):", end=" ")
    print(f"{bill['minutes'] * epochs / 60:.1f} hours; estimated from operations, not measured")
    return 0
