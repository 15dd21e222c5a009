"""What the commands share: the options that choose a model, and what goes to stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import BadInput

if TYPE_CHECKING:
    from ..models.video_model import VideoModel

OK, BAD = 0, 2


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --weights, --inflation, --padding, --cam-layer, --device."""
    parser.add_argument(
        "--model",
        default="tabletop",
        metavar="M",
        help="default: tabletop; auto: the best for real videos; see `models`",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="safetensors or a state_dict, or a folder as on the hub; none: random (UNTRAINED)",
    )
    parser.add_argument("--inflation", choices=["mean", "centre"], help="how 2D filters inflate")
    parser.add_argument("--padding", choices=["zeros", "replicate"], help="padding in time")
    parser.add_argument("--cam-layer", metavar="NAME", help="default: found by a trial forward")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")


def model_from(options: argparse.Namespace) -> VideoModel:
    """The model those options name."""
    # Late: `--help` and a misspelt option do not wait for torch.
    from ..models.registry import load_model

    return load_model(
        options.model,
        {None: "default", "none": None}.get(options.weights, options.weights),
        device=options.device,
        inflation=options.inflation,
        padding=options.padding,
        cam_layer=options.cam_layer,
    )


def sampled_fps(text: str | None, own: float | None) -> float | None:
    """Frames a second to sample, from --fps; None: the frames as they are.

    Args:
        text: what was typed; None: `own`, the model's.

    Raises:
        BadInput: neither a number nor "native".
    """
    if text is None:
        return own
    if text == "native":
        return None
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"--fps {text}: give a number, or native") from None


def complain(message: str) -> int:
    """Say what is wrong, on stderr; returns the exit code."""
    print(f"gradcam-video: {message}", file=sys.stderr)
    return BAD


def say(text: str) -> None:
    """A line of progress, on stderr."""
    print(text, file=sys.stderr)


def report_failures(failures: Mapping[str, str]) -> None:
    """Which clips could not be read, or scored."""
    if failures:
        say(f"{len(failures)} clips could not be used and were left out:")
    for name, reason in failures.items():
        say(f"  {reason if reason.startswith(f'{name}:') else f'{name}: {reason}'}")
