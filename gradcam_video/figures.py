"""The post's figures without a browser: clips in, fourteen case studies and a page out.

`gradcam-video figures` explains many clips whose true label is known, has `cases.choose` pick the
positive, medium and negative ones, writes each as the post did (original beside heat map, moving)
and a page to look at them. The clips are made ones, or those of a data set.
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import product, zip_longest
from pathlib import Path
from typing import Any

from .cases import KINDS, choose
from .clip import Clip
from .datasets import SomethingSomething
from .errors import BadInput
from .evaluation import data_for
from .explain import explain
from .labels import FORTY_NAMES, fold
from .models import VideoModel
from .options import add_model_options, model_from
from .show.page import figures_page
from .tabletop import sample

PAGE = "index.html"
FIRST_SEED = 5_000_000  # scripts/train_tabletop.py trains on seeds from 500,000,000 on
MADE_SCENES = 3  # per class
CLEAR_OUTPUTS = "jupyter nbconvert --clear-output --inplace notebooks/0[567]*.ipynb"
MOST_CLIPS = 8  # of a data set, for each figure asked for: all are held at once, 5 MB each on V2


def add_figures_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video figures`."""
    parser.set_defaults(run=run_figures)
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


def run_figures(options: argparse.Namespace) -> int:
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
    with whole_folder(out, _ours) as folder:
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


# --- clips ------------------------------------------------------------------------------------


_MADE = (
    "The clips are made ones (gradcam_video.tabletop), of scenes that were never trained on: "
    f"{MADE_SCENES} of each class."
)


def made_clips(labels: Iterable[str], seed: int) -> Iterator[tuple[Clip, str]]:
    """Made clips with their true labels: every class that the model knows, several scenes.

    Raises:
        BadInput: the model knows none of the made world.
    """
    known = {fold(label) for label in labels}
    names = [label for label in FORTY_NAMES if fold(label) in known]
    if not names:
        raise BadInput(
            "this model has none of the 40 classes, so the made clips mean nothing to it: give "
            "clips of its own with --data, or leave --model out"
        )

    def draw() -> Iterator[tuple[Clip, str]]:
        for number, (_, label) in enumerate(product(range(MADE_SCENES), names)):
            yield sample(label, FIRST_SEED + 1000 * seed + number).clip, label

    return draw()


def case_clips(
    model: VideoModel, data: str | Path | None = None, *, seed: int = 0, most: int = 120
) -> Iterator[tuple[Clip, str]]:
    """Clips with their true labels: made ones, or those of a data set on disk.

    A line says what pictures of a real data set mean for a notebook that stores them.

    Args:
        data: a folder as `SomethingSomething` reads it; None: made clips.
        seed: draws the clips.
        most: of a data set, so many at most.

    Raises:
        BadInput: the model knows none of their classes, or the folder holds no data set.
    """
    if data is None:
        return made_clips(model.labels, seed)
    print(
        f"From here on the outputs hold frames of {Path(data).name}, which may not be passed on. "
        f"Clear them with: {CLEAR_OUTPUTS}"
    )
    return data_clips(data_for(model, str(data), None), model, most, seed)


def data_clips(
    data: SomethingSomething, model: VideoModel, most: int, seed: int
) -> Iterator[tuple[Clip, str]]:
    """Clips of a data set with their true labels, as the model calls them.

    One that cannot be read is left out; `data.failures` then says why.

    Args:
        most: of more clips so many are drawn, evenly over the classes that the model knows.
        seed: draws them.

    Raises:
        BadInput: no clip of a class that the model knows.
    """
    known = {fold(name): name for name in model.labels}
    order = list(range(len(data)))
    random.Random(seed).shuffle(order)
    per_class: dict[str, list[tuple[int, str]]] = {}
    for i in order:
        name = known.get(fold(data.labels[data.targets[i]]))
        if name is not None:
            per_class.setdefault(name, []).append((i, name))
    # One of each class, then a second of each, …
    rounds = zip_longest(*per_class.values())
    drawn = [pair for some in rounds for pair in some if pair is not None][:most]
    if not drawn:
        raise BadInput(
            f"{data.root}: no clip in its {data.split} split is of a class that {model.name} "
            "knows; choose another --model or --split"
        )

    def read() -> Iterator[tuple[Clip, str]]:
        for i, name in drawn:
            try:
                clip = data.clip(i)
            except BadInput as error:
                data.failures[data.ids[i]] = str(error)
                continue
            yield clip, name

    return read()


# --- the output folder ------------------------------------------------------------------------


@contextmanager
def whole_folder(out: Path, ours: Callable[[Path], bool]) -> Generator[Path]:
    """A temporary folder beside `out` that takes its place if all went well.

    An `out` of an earlier run is replaced; one that holds anything else is left alone.

    Args:
        ours: whether a folder holds nothing but what an earlier run wrote.

    Raises:
        BadInput: `out` holds other files, or cannot be written.
    """
    out = out.resolve()
    try:
        if out.exists() and any(out.iterdir()) and not ours(out):
            raise BadInput(f"{out}: holds other files; name a new or an empty folder with --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise _cannot_write(out, error) from error
    fresh, old = temporary / "new", temporary / "old"
    try:
        fresh.mkdir()
        yield fresh
        if out.exists():
            out.replace(old)
        try:
            fresh.replace(out)
        except BaseException:
            if old.exists():
                old.replace(out)
            raise
    except OSError as error:
        raise _cannot_write(out, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _ours(out: Path) -> bool:
    """Whether a folder holds nothing but what this command wrote."""
    names = {path.name for path in out.iterdir()} - {PAGE}
    return (out / PAGE).is_file() and all(name.split("-")[0] in KINDS for name in names)


def _cannot_write(out: Path, error: OSError) -> BadInput:
    reason = error.strerror or error
    return BadInput(f"cannot write {out}: {reason}; choose another folder with --out or make room")


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
