"""`gradcam-video explain`: clips in, six outputs per clip out, eight per long video."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..attribution.api import clips_at_once, explain
from ..attribution.long_video import explain_video
from ..attribution.methods import METHODS
from ..data.clip import Clip, read_clip
from ..data.colours import UNTAGGED
from ..data.ground_truth import is_synthetic
from ..data.image_folder import clip_name, find_clips
from ..data.labels import find_label
from ..errors import BadInput, one_line
from ..explanation import Explanation
from ..geometry import SCOPES
from ..models.model_names import AUTO, KNOW_SOMETHING, ON_REAL_CLIPS, SHIPPED
from ..models.video_model import VideoModel
from ..progress_bar import progress
from ..show.captions import short_answer
from ..show.export import GIF_FRAMES, chosen_files
from .options import BAD, OK, add_model_options, complain, model_from, sampled_fps


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video explain`."""
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a video, a folder of numbered images, or of clips"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="one folder per clip in here")
    add_model_options(parser)
    parser.add_argument("--label", metavar="TRUE", help="the clip's true label, for the captions")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=["top1"],
        metavar="CLASS",
        help="whose maps are drawn: top1 (default), top2, true, or names",
    )
    parser.add_argument(
        "--method", default="gradcam", help=f"default: gradcam; or {', '.join(list(METHODS)[1:])}"
    )
    parser.add_argument(
        "--fps",
        metavar="4|native",
        help="frames sampled a second; native: the frames as they are (default: the model's own)",
    )
    parser.add_argument(
        "--source-fps",
        type=float,
        metavar="12",
        help="the true rate of a file that lies, or of jpgs",
    )
    parser.add_argument(
        "--untagged",
        choices=UNTAGGED,
        default="auto",
        help="the colour matrix of a film that names none (auto: the network gets BT.601, as it is "
        "trained; pictures are as players show them)",
    )
    parser.add_argument("--start", type=float, metavar="SECONDS", help="default: the centre")
    parser.add_argument(
        "--windows",
        choices=["centre", "all"],
        default="centre",
        help="all: slide over a long video and cover it whole",
    )
    parser.add_argument("--scope", default="clip", help="scale of the maps: clip, frame or classes")
    parser.add_argument("--cmap", default="inferno", help="colour map; jet is the post's")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="ENDING",
        help="write these alone: mp4, gif, png, html, npz, json, csv (default: all)",
    )
    parser.add_argument("--batch", type=int, metavar="N", help="clips at once on a GPU (default 8)")
    parser.add_argument("--autocast", action="store_true", help="bfloat16, for a GPU")


def run(options: argparse.Namespace) -> int:
    """Explain every clip that can be read.

    Raises:
        BadInput: an option, the model or the output folder cannot be used. What is wrong with one
            clip is said, and the others are explained.
    """
    if options.method not in METHODS:
        raise BadInput(f"unknown method {options.method!r}: use one of {', '.join(METHODS)}")
    if options.scope not in SCOPES:
        raise BadInput(f"unknown scope {options.scope!r}: use one of {', '.join(SCOPES)}")
    if options.batch is not None and options.batch < 1:
        raise BadInput(f"--batch {options.batch}: give 1 or more")
    chosen_files(options.only)  # a misspelt one is known before a network is loaded
    out = Path(options.out)
    _make_folder(out)
    jobs, problems = _jobs(options.paths, out)
    for problem in problems:
        complain(problem)
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
        ready: list[tuple[Path, Path, Clip]] = []
        for path, folder in group:
            try:
                if options.windows == "all":
                    _explain_whole(options, model, path, folder, true)
                else:
                    ready.append((path, folder, _read(options, model, path)))
            except Exception as error:  # whatever it is, the other files are explained
                failed += 1
                complain(one_line(error, path))
        done = _explained_alone(options, model, [clip for *_, clip in ready], true)
        for (path, folder, clip), e in zip(ready, done, strict=True):
            try:
                if isinstance(e, Exception):
                    raise e
                _save(options, e.with_label(true), folder)
                if clip.note:
                    print(f"{clip.source}: {clip.note}", file=sys.stderr)
            except Exception as error:
                failed += 1
                complain(one_line(error, clip.source if isinstance(error, BadInput) else path))
    if failed < len(jobs) + len(problems):
        _say_model(model, [path for path, _ in jobs])
    return BAD if failed else OK


def _explained_alone(
    options: argparse.Namespace, model: VideoModel, clips: list[Clip], true: str | None
) -> list[Explanation] | list[Explanation | Exception]:
    """The clips explained; where one cannot be, its error, and the others all the same."""
    try:
        return _explained(options, model, clips, true)
    except Exception as error:
        if len(clips) == 1:
            return [error]
        alone = (_explained_alone(options, model, [clip], true) for clip in clips)
        return [e for (e,) in alone]


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
        path,
        model.frames,
        sampled_fps(options.fps, model.fps),
        start=options.start,
        source_fps=options.source_fps,
        untagged=options.untagged,
    )


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
    named = [name for name in options.classes if name not in ("top1", "top2", "true")]
    e = explain_video(
        model,
        path,
        classes=classes,
        frames=model.frames,
        fps=sampled_fps(options.fps, model.fps),
        source_fps=options.source_fps,
        untagged=options.untagged,
        shown=[*named, *([true] if true else [])],
        method=options.method,
        autocast=options.autocast,
    )
    _save(options, e.with_label(true), folder)
    print(f"{e.clip.source}: {e.clip.note}{_gif_words(e)}", file=sys.stderr)


def _gif_words(e: Explanation) -> str:
    """What is left out of a long video's gif, for people."""
    frames = len(e.clip.times)
    every = -(-frames // GIF_FRAMES)
    return f"; overlay.gif has 1 in {every} of {frames} frames" if every > 1 else ""


def _save(options: argparse.Namespace, e: Explanation, folder: Path) -> None:
    look = {"scope": options.scope, "cmap": options.cmap}
    e.save(folder, label=_drawn(options, e), only=options.only, **look)
    best = ", ".join(f"{label} {short_answer(e, value)}" for label, value in e.top(2))
    best += "" if e.output in ("softmax", "probability") else f" ({e.output})"
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
    for start in progress(starts, unit="batch", show=None if len(starts) > 1 else False):
        yield jobs[start : start + size]


def _say_model(model: VideoModel, paths: Sequence[Path]) -> None:
    """Which network answered, and for real videos which one knows more."""
    note = f" ({model.remark})" if model.remark else " (UNTRAINED)" if model.untrained else ""
    print(f"model {model.name}{note}, reading layer {model.cam_layer}", file=sys.stderr)
    if model.name in SHIPPED and not all(map(is_synthetic, paths)):
        best, accuracy = next(iter(KNOW_SOMETHING.items()))
        first, five, clips = ON_REAL_CLIPS
        known = f"of {clips} real clips it names {first} rightly ({five} among its first five); "
        print(
            known if model.name == "tabletop" else "",
            f"for a network trained on real videos add --model {AUTO}: {best}, {accuracy} % right ",
            "on Something-Something V2 by its authors, downloaded once",
            sep="",
            file=sys.stderr,
        )
