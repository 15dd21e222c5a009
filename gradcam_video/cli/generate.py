"""`gradcam-video generate`: Tabletop clips on disk, in the layout of the real data set."""

from __future__ import annotations

import argparse

from ..errors import BadInput
from ..tabletop.export import FIRST_IDS, write_split


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video generate`."""
    parser.add_argument("folder", metavar="DIR", help="of the set; several splits may share it")
    parser.add_argument("--split", required=True, metavar="S", help=", ".join(FIRST_IDS))
    parser.add_argument("--count", required=True, type=int, metavar="N", help="how many clips")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="default: 0")
    parser.add_argument(
        "--layout", default="v2", metavar="v1|v2", help="v2: a webm per clip; v1: a folder of jpgs"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: all cores)")


def run(options: argparse.Namespace) -> int:
    """Make one split.

    Raises:
        BadInput: see `write_split`.
    """
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers {options.workers}: give 1 or more")
    annotation = write_split(
        options.folder,
        options.split,
        options.count,
        options.seed,
        options.layout,
        workers=options.workers,
    )
    print(f"{annotation}: {options.count} clips")
    return 0
