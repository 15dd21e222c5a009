"""The post's figures without a browser: clips in, fourteen case studies and a page out.

`gradcam-video figures` explains many clips whose true label is known, has `cases.choose` pick the
positive, medium and negative ones, writes each as the post did (original beside heat map, moving)
and a page to look at them. The clips are made ones, or those of a data set.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from ..attribution.api import explain
from ..cases.clips import _MADE, data_clips, data_for, made_clips
from ..cases.page import figures_page
from ..cases.rule import KINDS, choose
from ..errors import BadInput
from ..files import atomic_folder
from .options import add_model_options, model_from

PAGE = "index.html"
MOST_CLIPS = 8  # of a data set, for each figure asked for: all are held at once, 5 MB each on V2


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video figures`."""
    parser.add_argument("--out", required=True, metavar="DIR", help=f"gets {PAGE} and the figures")
    add_model_options(parser)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="Something-Something, or a set of `generate` (default: made clips)",
    )
    parser.add_argument("--split", metavar="S", help="of --data (default: test, or validation)")
    parser.add_argument("--count", type=int, default=14, help="how many figures (default: 14)")
    parser.add_argument("--seed", type=int, default=0, help="draws the clips (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Explain, choose, write: all of `--out` or nothing of it.

    Raises:
        BadInput: unknown model, no data set, one without a clip that can be read and is of the
            model's classes, or an output folder that cannot be written or holds other things.
    """
    started = time.monotonic()
    if options.count < 1:
        raise BadInput(f"--count {options.count}: give 1 or more")
    if options.seed < 0:
        raise BadInput(f"--seed {options.seed}: give 0 or more")
    if options.split is not None and options.data is None:
        raise BadInput(f"--split {options.split}: of what? Give a data set with --data")
    out = Path(options.out)
    with atomic_folder(out, _ours) as folder:
        model = model_from(options)
        failures: dict[str, str] = {}
        if options.data is None:
            samples, origin = made_clips(model.labels, options.seed), _MADE
        else:
            data = data_for(model, options.data, options.split)
            most = max(MOST_CLIPS * options.count, len(model.labels))
            samples, origin = data_clips(data, model, most, options.seed), f"The clips: {data}."
            failures = data.failures
        explanations = []
        for clip, true in samples:
            explanations.append(explain(model, clip).with_label(true))
            _progress(f"{len(explanations)} clips explained", started)
        if failures:
            origin += f" {len(failures)} could not be read and were left out."
        if not explanations:
            raise BadInput(
                f"{options.data}: not one of the clips drawn can be read; the first: "
                f"{next(iter(failures.values()))}"
            )
        chosen = choose(explanations, **split(options.count))
        figures = []
        for number, case in enumerate(chosen, 1):
            # Named by what it is, not by the section it may stand in for.
            name = f"{case.kind}-{number:02}"
            write_figure(case, folder / name)
            figures.append((name, case))
            _progress(f"{number} of {len(chosen)} figures written", started)
        right = sum(e.top(1)[0][0] == e.true_label for e in explanations) / len(explanations)
        page = figures_page(
            figures,
            origin=f"{origin} {len(explanations)} clips were explained; the network named "
            f"{right:.0%} of them rightly.",
            command=_command(options),
        )
        (folder / PAGE).write_text(page, encoding="utf-8")
    _progress("done", started, last=True)
    for name, why in failures.items():
        print(f"left out, clip {name}: {why}", file=sys.stderr)
    if len(chosen) < options.count:
        print(f"only {len(chosen)} clips: as many figures, not {options.count}", file=sys.stderr)
    print(out / PAGE)
    return 0


def split(count: int) -> dict[str, int]:
    """So many figures of each kind; 14 are 7 + 4 + 3."""
    positive = (count + 1) // 2
    medium = min(round(count * 4 / 14), count - positive)
    return {"positive": positive, "medium": medium, "negative": count - positive - medium}


def write_figure(case: Any, folder: Path) -> None:
    """One case on disk: the six outputs of `save`, in the post's colours.

    As in the post the map of the predicted class is drawn; where that is wrong, the map of the
    true class is beside it.
    """
    e = case.explanation
    shown = list(dict.fromkeys([e.top(1)[0][0], case.true_label]))
    facts = {
        "kind": case.kind,
        "section": case.section,
        "rank": case.rank,
        "margin": round(case.margin, 6),
    }
    e.save(folder, label=shown, cmap="jet", summary=facts)


def _ours(out: Path) -> bool:
    """Whether a folder holds nothing but what this command wrote."""
    names = {path.name for path in out.iterdir()} - {PAGE}
    return (out / PAGE).is_file() and all(name.split("-")[0] in KINDS for name in names)


def _command(options: argparse.Namespace) -> str:
    """The command that makes the same page."""
    words = ["gradcam-video", "figures", "--out", str(options.out), "--model", str(options.model)]
    for name in ("weights", "data", "split"):
        if getattr(options, name) is not None:
            words += [f"--{name}", str(getattr(options, name))]
    words += ["--count", str(options.count), "--seed", str(options.seed)]
    return shlex.join(words)


def _progress(text: str, started: float, last: bool = False) -> None:
    """One line that is written over on a screen; in a log only the last."""
    screen = sys.stderr.isatty()
    if screen or last:
        line = f"{time.monotonic() - started:5.1f} s  {text}"
        end = "\n" if last or not screen else "\r"
        print(f"{line:60}", end=end, file=sys.stderr, flush=True)
