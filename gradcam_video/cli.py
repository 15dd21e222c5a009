"""gradcam-video: the command line. Results go to stdout, progress and errors to stderr.

Exit code 0 when it worked; 2 and one line when the input is bad.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from tqdm import tqdm

from .clip import Clip, clip_name, find_clips, read_clip
from .errors import BadInput
from .explain import (
    METHODS,
    SCOPES,
    Explanation,
    clips_at_once,
    explain,
    explain_windows,
)
from .figures import add_figures_options
from .labels import find_label
from .models import VideoModel, known_models
from .options import add_model_options, model_from
from .scan import add_scan_options
from .score import add_score_options
from .tabletop.disk import add_generate_options
from .training_commands import add_evaluate_options, add_train_options

OK, BAD = 0, 2
COMMANDS = {  # name: what it does, and what adds its options and the function that runs it
    "generate": ("Tabletop clips on disk, truth beside", add_generate_options),
    "scan": ("what of a data set is missing or damaged", add_scan_options),
    "train": ("train a network on a data set", add_train_options),
    "evaluate": ("top-1, top-5, per class", add_evaluate_options),
    "score": ("is the explanation right? on clips with truth", add_score_options),
    "figures": ("the post's fourteen figures, and a page", add_figures_options),
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are one line, too."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        return options.run(options)
    except BadInput as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return _complain("interrupted: nothing half-written was left; run it again to go on")
    except BrokenPipeError:  # `gradcam-video models | head`
        sys.stderr.close()
        return OK


def _complain(message: str) -> int:
    print(f"gradcam-video: {message}", file=sys.stderr)
    return BAD


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gradcam-video", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    explaining = commands.add_parser(
        "explain", help="explain clips: pictures, movies, a player, maps"
    )
    explaining.set_defaults(run=_explain)
    explaining.add_argument(
        "paths", nargs="+", metavar="PATH", help="a video, a folder of numbered images, or of clips"
    )
    explaining.add_argument(
        "--out", required=True, metavar="DIR", help="one folder per clip in here"
    )
    add_model_options(explaining)
    explaining.add_argument(
        "--label", metavar="TRUE", help="the clip's true label, for the captions"
    )
    explaining.add_argument(
        "--classes",
        nargs="+",
        default=["top1"],
        metavar="CLASS",
        help="whose maps are drawn: top1 (default), top2, true, or names",
    )
    explaining.add_argument(
        "--method", default="gradcam", help=f"default: gradcam; or {', '.join(list(METHODS)[1:])}"
    )
    explaining.add_argument(
        "--fps",
        metavar="4|native",
        help="frames sampled a second; native: the frames as they are (default: the model's own)",
    )
    explaining.add_argument(
        "--source-fps",
        type=float,
        metavar="12",
        help="the true rate of a file that lies, or of jpgs",
    )
    explaining.add_argument("--start", type=float, metavar="SECONDS", help="default: the centre")
    explaining.add_argument(
        "--windows",
        choices=["centre", "all"],
        default="centre",
        help="all: slide over a long video and cover it whole",
    )
    explaining.add_argument(
        "--scope", default="clip", help="scale of the maps: clip, frame or classes"
    )
    explaining.add_argument("--cmap", default="inferno", help="colour map; jet is the post's")
    explaining.add_argument(
        "--batch", type=int, metavar="N", help="clips at once on a GPU (default 8)"
    )
    explaining.add_argument("--autocast", action="store_true", help="bfloat16, for a GPU")

    for name, (does, add_options) in COMMANDS.items():
        add_options(commands.add_parser(name, help=does))

    models = commands.add_parser("models", help="the names that --model takes")
    models.set_defaults(run=_models)
    return parser


def _say_model(model: VideoModel) -> None:
    note = f" ({model.remark})" if model.remark else " (UNTRAINED)" if model.untrained else ""
    print(f"model {model.name}{note}, reading layer {model.cam_layer}", file=sys.stderr)


# --- explain ----------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> int:
    if options.method not in METHODS:
        raise BadInput(f"unknown method {options.method!r}: use one of {', '.join(METHODS)}")
    if options.scope not in SCOPES:
        raise BadInput(f"unknown scope {options.scope!r}: use one of {', '.join(SCOPES)}")
    if options.batch is not None and options.batch < 1:
        raise BadInput(f"--batch {options.batch}: give 1 or more")
    out = Path(options.out)
    _make_folder(out)
    jobs, problems = _jobs(options.paths, out)
    for problem in problems:
        _complain(problem)
    if not jobs:
        return BAD
    model = model_from(options)
    true = options.label and model.labels[find_label(options.label, model.labels)]
    if true is None and "true" in options.classes:
        raise BadInput("--classes true needs the true label: give --label")
    for name in options.classes:  # a misspelt class is known before hours of work
        if name not in ("top1", "top2", "true"):
            find_label(name, model.labels)

    failed = len(problems)
    batch = 1 if options.windows == "all" else options.batch or clips_at_once(model)
    for group in _groups(jobs, batch):
        ready: list[tuple[Path, Clip]] = []
        for path, folder in group:
            try:
                if options.windows == "all":
                    _explain_whole(options, model, path, folder, true)
                else:
                    ready.append((folder, _read(options, model, path)))
            except BadInput as error:
                failed += 1
                _complain(str(error))
        done = _explained(options, model, [c for _, c in ready], true)
        for (folder, clip), e in zip(ready, done, strict=True):
            try:
                _save(options, e.with_label(true), folder)
                if clip.note:
                    print(f"{clip.source}: {clip.note}", file=sys.stderr)
            except BadInput as error:
                failed += 1
                _complain(str(error))
    if failed < len(jobs) + len(problems):
        _say_model(model)
    return BAD if failed else OK


def _explained(
    options: argparse.Namespace, model: VideoModel, clips: list[Clip], true: str | None
) -> list[Explanation]:
    """The clips explained for all classes; where each costs anew, for those that are drawn."""
    if METHODS[options.method].every_class:
        return explain(model, clips, method=options.method, autocast=options.autocast)
    done = []
    for clip in clips:
        first = explain(model, clip, method="centre")  # one forward says which classes are first
        classes = _drawn(options, first.with_label(true))
        done.append(
            explain(model, clip, method=options.method, classes=classes, autocast=options.autocast)
        )
    return done


def _read(options: argparse.Namespace, model: VideoModel, path: Path) -> Clip:
    return read_clip(
        path, model.frames, _fps(options, model), start=options.start, source_fps=options.source_fps
    )


def _fps(options: argparse.Namespace, model: VideoModel) -> float | None:
    """Frames a second to sample; None: the frames as they are."""
    if options.fps is None:
        return model.fps
    if options.fps == "native":
        return None
    try:
        return float(options.fps)
    except ValueError:
        raise BadInput(f"--fps {options.fps}: give a number, or native") from None


def _explain_whole(
    options: argparse.Namespace, model: VideoModel, path: Path, folder: Path, true: str | None
) -> None:
    classes = None
    if not METHODS[options.method].every_class:
        if {"top1", "top2"} & set(options.classes):
            raise BadInput(
                f"{options.method} pays for each class anew, and the top class may be another in "
                "each window: name the classes with --classes"
            )
        classes = [true if name == "true" else name for name in options.classes]
    e, windows = explain_windows(
        model,
        path,
        classes=classes,
        frames=model.frames,
        fps=_fps(options, model),
        source_fps=options.source_fps,
        method=options.method,
        autocast=options.autocast,
    )
    arrays = {
        "maps": np.stack([w.maps for w in windows]),  # (n, K, T', h, w)
        "signed": np.stack([w.signed for w in windows]),
        "logits": np.stack([w.logits for w in windows]),  # (n, K)
        "times": np.stack([w.clip.times for w in windows]),  # (n, T)
        "repeated": np.stack([w.clip.repeated for w in windows]),
        "window_start": np.array([w.clip.start for w in windows]),  # (n,)
    }
    _save(options, e.with_label(true), folder, arrays=arrays)


def _save(options: argparse.Namespace, e: Explanation, folder: Path, **extra: Any) -> None:
    e.save(folder, label=_drawn(options, e), scope=options.scope, cmap=options.cmap, **extra)
    best = ", ".join(f"{label} {probability:.2f}" for label, probability in e.top(2))
    mark = "UNTRAINED: " if e.untrained else ""
    print(f"{e.clip.source}: {mark}{best} -> {folder}", flush=True)


def _drawn(options: argparse.Namespace, e: Explanation) -> list[str]:
    """The classes whose maps are drawn, each once."""
    shown = {
        "top1": [e.top(1)[0][0]],
        "top2": [k for k, _ in e.top(2)],
        "true": [str(e.true_label)],
    }
    return list(dict.fromkeys(k for name in options.classes for k in shown.get(name, [name])))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise BadInput(
            f"{folder}: cannot make this output folder ({reason}); name another with --out"
        ) from error


def _jobs(paths: Sequence[str], out: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The clips under all paths, each with its output folder; and what was wrong with the rest."""
    jobs: dict[Path, Path] = {}
    problems = []
    for given in paths:
        try:
            if not given:
                raise BadInput("an empty path was given: name a video or a folder")
            for path in find_clips(given):
                # Below a searched folder the sub-folders stay, so that equal names do not meet.
                inside = path.relative_to(given).parent if path != Path(given) else Path()
                folder = out / inside / clip_name(path)
                if folder in jobs:
                    if jobs[folder].resolve() != path.resolve():
                        problems.append(
                            f"{path}: would be written to {folder}, as {jobs[folder]}; rename one"
                        )
                    continue
                jobs[folder] = path
        except BadInput as error:
            problems.append(str(error))
    return [(path, folder) for folder, path in jobs.items()], problems


def _groups(jobs: list[tuple[Path, Path]], size: int) -> Iterator[list[tuple[Path, Path]]]:
    starts = range(0, len(jobs), size)
    for start in tqdm(starts, unit="batch", disable=len(starts) < 2 or not sys.stderr.isatty()):
        yield jobs[start : start + size]


# --- models -----------------------------------------------------------------------------------


def _models(options: argparse.Namespace) -> int:
    print(f"{'name':<22}{'kind':<10}{'here':<6}needs")
    for known in known_models():
        print(f"{known.name:<22}{known.kind:<10}{'yes' if known.here else 'no':<6}{known.needs}")
    print("\nor the path of a .safetensors checkpoint of this package")
    return OK


if __name__ == "__main__":
    sys.exit(main())
