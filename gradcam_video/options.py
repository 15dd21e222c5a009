"""The options of the command line that choose a model, shared by its commands."""

from __future__ import annotations

import argparse

from .models import VideoModel, load_model


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--model, --weights, --inflation, --padding, --cam-layer, --device."""
    parser.add_argument(
        "--model", default="tabletop", metavar="M", help="default: tabletop; see `models`"
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
    return load_model(
        options.model,
        {None: "default", "none": None}.get(options.weights, options.weights),
        device=options.device,
        inflation=options.inflation,
        padding=options.padding,
        cam_layer=options.cam_layer,
    )
