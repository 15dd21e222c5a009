"""`gradcam-video scan`: what of a data set is missing or damaged."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from ..data.datasets import annotated_splits
from ..data.integrity import Report, scan
from ..errors import BadInput
from ..files import json_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video scan`."""
    parser.add_argument("--data", required=True, metavar="DIR", help="the data set's folder")
    parser.add_argument("--split", metavar="S", help="default: all that have labels")
    parser.add_argument("--classes", default="all", help="forty or all 174 (default: all)")
    parser.add_argument("--deep", action="store_true", help="decode every frame: slow")
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Scan the splits and print what was found.

    Raises:
        BadInput: no such data set or split, or not one good clip in it.
    """
    splits: Sequence[str] = [options.split] if options.split else annotated_splits(options.data)
    reports = [scan(options.data, name, options.classes, deep=options.deep) for name in splits]
    if options.json:
        print(
            json_text({report.split: _plain(report) for report in reports}, "the report", indent=2)
        )
    else:
        print("\n".join(map(str, reports)))
    if not any(report.good for report in reports):
        kinds = Counter({k: len(ids) for report in reports for k, ids in report.problems.items()})
        what = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing annotated"
        raise BadInput(f"{options.data}: not one good clip ({what}); see data/README.md")
    return 0


def _plain(report: Report) -> dict[str, object]:
    return {key: value for key, value in asdict(report).items() if key != "split"}
