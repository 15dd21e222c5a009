"""`gradcam-video score`: is the explanation right? Clips with truth in, a table out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..attribution.api import method_named
from ..attribution.methods import METHODS
from ..cases.clips import data_for
from ..data.annotated_videos import AnnotatedVideos
from ..data.datasets import annotation_rows
from ..data.labels import find_label
from ..errors import BadInput
from ..files import json_text
from ..metrics.localisation import ALIGNS
from ..metrics.scoring import score
from ..models.video_model import VideoModel
from .options import add_model_options, model_from, report_failures, sampled_fps, say

_LINES = (
    ("energy_normalised", "energy, oracle-normalised"),
    ("energy_times_uniform", "energy, × uniform"),
    ("energy_ratio", "energy, × uniform, clip by clip"),
    ("energy", "energy in the truth"),
    ("pointing", "pointing"),
    ("rank_accuracy", "rank accuracy"),
    ("temporal_pointing", "temporal pointing"),
    ("temporal_pointing_filled", "  where the action fills the clip"),
    ("temporal_iou", "temporal IoU"),
    ("following", "following"),
)
_TESTS = {
    **{
        f"{what}{suffix}_gain": f"{what} {way}, gain over a random order"
        for what in ("deletion", "insertion")
        for suffix, way in (("", "in space-time"), ("-space", "in space"), ("-time", "in time"))
    },
    "splicing": "splicing, strongest frame in own half (0.5)",
    "randomisation": "randomised, Spearman",
    "reversal": "reversed, Spearman",
    "shift": "shifted, Spearman and part followed",
}
_GROUPS = (
    ("right", "clips whose true class is first"),
    ("first", "clips of unknown class: the map of the class that the network names first"),
    ("all", "all clips"),
    ("camera_right", "camera classes, true class first (the whole frame is the truth)"),
    ("camera_all", "camera classes, all clips"),
)
_WHO = ("gaussian", "motion", "middle", "uniform", "oracle")
_OF_VIDEOS = ("label", "labels", "fps", "source_fps")


_COLUMNS = (
    ("top1", "top-1"),
    ("energy_normalised", "energy"),
    ("pointing", "pointing"),
    ("temporal_pointing", "temporal"),
    ("following", "following"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `gradcam-video score`."""
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="real videos, with --truth")
    parser.add_argument("--data", metavar="DIR", help="a data set with truth, of `generate`")
    parser.add_argument(
        "--truth",
        nargs="+",
        metavar="FILE",
        help="what is known of the videos: boxes (Something-Else, COCO), a folder of masks, "
        "phases or actions (csv)",
    )
    parser.add_argument("--label", metavar="TRUE", help="the videos' true class, if it is one")
    parser.add_argument(
        "--labels", metavar="FILE", help="their true classes: an annotation file of the data set"
    )
    parser.add_argument("--fps", metavar="4|native", help="frames sampled a second, see `explain`")
    parser.add_argument("--source-fps", type=float, metavar="12", help="see `explain`")
    parser.add_argument("--split", metavar="S", help="default: test, or validation")
    add_model_options(parser)
    parser.add_argument("--method", default="gradcam", help=f"{', '.join(METHODS)}")
    parser.add_argument("--limit", type=int, metavar="N", help="so many clips, drawn at random")
    parser.add_argument(
        "--perturbation-tests",
        "--ask",
        type=int,
        default=0,
        metavar="N",
        help="test N clips further: deletion, insertion, randomised weights, reversal, shift, …",
    )
    parser.add_argument("--align", choices=ALIGNS, help="how maps are drawn (default: the model's)")
    parser.add_argument("--batch", type=int, metavar="N", help="clips at once (GPU: 8)")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(options: argparse.Namespace) -> int:
    """Score, and print a table or JSON.

    Raises:
        BadInput: as `score`, or a model or data set that cannot be read.
    """
    for name in ("limit", "batch"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise BadInput(f"--{name} {value}: give 1 or more")
    if options.perturbation_tests < 0:
        raise BadInput(f"--perturbation-tests {options.perturbation_tests}: give 0 or more")
    if bool(options.data) == bool(options.truth) or bool(options.videos) != bool(options.truth):
        raise BadInput("give a data set with --data, or videos with --truth FILE, videos first")
    of_the_other = _OF_VIDEOS if options.data else ("split",)
    for name in of_the_other:
        if getattr(options, name) is not None:
            goes, with_ = ("videos", "--truth") if options.data else ("a data set", "--data")
            raise BadInput(f"--{name.replace('_', '-')} is for {goes}, with {with_}; leave it out")
    if options.label is not None and options.labels is not None:
        raise BadInput("give --label for all videos, or --labels FILE for each, not both")
    method_named(options.method)  # a misspelt one is known before the model is loaded
    model = model_from(options)
    data = _videos(model, options) if options.truth else None
    result = score(
        model,
        data or data_for(model, options.data, options.split),
        options.method,
        options.limit,
        perturbation_tests=options.perturbation_tests,
        align=options.align,
        batch=options.batch,
        progress=True,
    )
    if data:
        result["without_truth"] += len(data.missing)
        result["notes"] = data.notes
        for note in data.notes:
            say(note)
    report_failures(result["failures"])
    print(json_text(result, "the result", indent=2) if options.json else score_table(result))
    return 0


def _videos(model: VideoModel, options: argparse.Namespace) -> AnnotatedVideos:
    """The videos with their truth, and their classes as far as they are told."""
    classes: dict[str, str] | str | None = None
    if options.label is not None:
        classes = model.labels[find_label(options.label, model.labels)]
    elif options.labels is not None:
        classes = dict(annotation_rows(Path(options.labels)))
    return AnnotatedVideos(
        options.videos,
        options.truth,
        model.labels,
        classes,
        frames=model.frames,
        fps=sampled_fps(options.fps, model.fps),
        source_fps=options.source_fps,
    )


def score_table(result: Mapping[str, Any]) -> str:
    """The result of `score` as text: one line per measure, then one per class."""
    top1 = "" if result["top1"] is None else f"top-1 {result['top1']:.1%}; "
    lines = [
        f"{result['model']}, {result['method']}, drawn {result['align']}: {result['n']} clips, "
        f"{top1}mean over clips, 95 % interval, n"
    ]
    if result["failures"] or result["without_truth"]:
        lines.append(
            f"left out: {len(result['failures'])} that could not be scored, "
            f"{result['without_truth']} without truth"
        )
    for name, title in _GROUPS:
        group = result[name]
        if group["n"] and not (name == "all" and group["n"] == result["first"]["n"]):
            lines += ["", f"{title}: {group['n']}", *_group_lines(group), *_test_lines(group)]
    if result["top1"] is not None:
        lines += ["", *_class_lines(result["classes"])]
    return "\n".join(lines)


def _group_lines(group: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'':34}{'truth':10}{'map':>6}{'95 %':>15}{'n':>6}" + "".join(f"{w:>10}" for w in _WHO)
    for measure, title in _LINES:
        for kind, row in group.get(measure, {}).items():
            own = row["map"]
            span = f"{_number(own['low'])} – {_number(own['high'])}"
            others = "".join(f"{_number(row.get(who, {}).get('mean')):>10}" for who in _WHO)
            yield f"{title:34}{kind:10}{_number(own['mean']):>6}{span:>15}{own['n']:>6}{others}"
    if group["tolerant_area_median"] is not None:
        yield (
            f"tolerant truth covers {group['tolerant_area_median']:.0%} of the crop (median); "
            f"outside it lie {group['outside_crop'] or 0:.1%} of the truth"
        )
    yield (
        f"empty maps {group['empty_maps']:.1%}, frames whose map is empty "
        f"{group['empty_frames'] or 0:.1%}, repeated frames left out "
        f"{group['repeated_frames']:.1%}, objects that rest {group['object_rests']}"
    )


def _test_lines(group: Mapping[str, Any]) -> Iterator[str]:
    """The perturbation tests, if there were any."""
    if not group.keys() & _TESTS.keys():
        return
    yield ""
    yield f"{'perturbation tests':50}{'':12}{'map':>6}{'95 %':>15}{'n':>6}{'motion':>10}"
    for measure, title in _TESTS.items():
        for kind, row in group.get(measure, {}).items():
            own = row["map"]
            span = f"{_number(own['low'])} – {_number(own['high'])}"
            rival = f"{_number(row['motion']['mean']):>10}" if "motion" in row else ""
            yield f"{title:50}{kind:12}{_number(own['mean']):>6}{span:>15}{own['n']:>6}{rival}"


def _class_lines(classes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    width = max(map(len, classes)) + 2
    titles = "".join(f"{title:>11}" for _, title in _COLUMNS)
    yield f"{'per class, tolerant, true class first':{width}}{'n':>6}{titles}"
    for label, row in classes.items():
        numbers = "".join(f"{_number(row[key]):>11}" for key, _ in _COLUMNS)
        yield f"{label:{width}}{row['n']:>6}{numbers}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
