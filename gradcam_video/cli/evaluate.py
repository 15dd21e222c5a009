"""`gradcam-video evaluate`: top-1, top-5 and per class, on a data set."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from ..cases.clips import data_for
from ..data.datasets import default_split
from ..errors import BadInput
from ..files import json_text
from ..models.finite import need_finite_weights
from ..training.accuracy import evaluate
from .options import add_model_options, model_from, report_failures


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video evaluate`."""
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set's folder")
    parser.add_argument("--split", metavar="S", help="default: test, or what there is")
    add_model_options(parser)
    parser.add_argument("--shuffle-frames", action="store_true", help="a control")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="clips at once")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that read")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(options: argparse.Namespace) -> int:
    """Evaluate, and print a table or JSON.

    Raises:
        BadInput: model or data set cannot be read, or they do not fit.
    """
    if options.batch < 1 or options.workers < 0:
        raise BadInput("--batch must be 1 or more, --workers 0 or more")
    model = model_from(options)
    need_finite_weights(model.net, model.name)
    split = options.split or default_split(options.data, "train")
    data = data_for(model, options.data, split)
    result = evaluate(
        model,
        data,
        batch=options.batch,
        shuffle_frames=options.shuffle_frames,
        workers=options.workers,
    )
    report_failures(result["failures"])
    result = {"model": model.name, "data": str(data), "split": split, **result}
    print(json_text(result, "the result", indent=2) if options.json else table(result))
    return 0


def table(result: Mapping[str, Any]) -> str:
    """The result of `evaluate` as text."""
    low, high = result["interval"]
    lines = [
        f"top-1 {result['top1']:.1%} ({low:.1%} to {high:.1%}), top-5 {result['top5']:.1%}, "
        f"{result['n']} clips"
    ]
    opposite = result["opposite"]
    if opposite["mean"] is not None:
        lines.append(f"opposite pairs {opposite['mean']:.1%}, {opposite['n']} clips")
        for pair in opposite["pairs"]:
            lines.append(f"  {pair['accuracy']:7.1%} {pair['n']:5}  {' / '.join(pair['labels'])}")
    lines += ["", "  top-1      n  class"]
    for label, row in result["per_class"].items():
        if row["n"]:
            lines.append(f"{row['top1']:7.1%} {row['n']:6}  {label}")
    return "\n".join(lines)
