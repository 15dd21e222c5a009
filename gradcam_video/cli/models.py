"""`gradcam-video models`: the names that --model takes."""

from __future__ import annotations

import argparse

from ..models.model_names import AUTO, KNOW_SOMETHING
from ..models.registry import known_models
from .options import OK


def add_options(parser: argparse.ArgumentParser) -> None:
    """None: the command lists all there is."""


def run(options: argparse.Namespace) -> int:
    """Print a line per name: kind, whether it is here already, what it needs."""
    print(f"{'name':<22}{'kind':<10}{'here':<6}needs")
    for known in known_models():
        print(f"{known.name:<22}{known.kind:<10}{'yes' if known.here else 'no':<6}{known.needs}")
    print("\nor the path of a .safetensors checkpoint of this package")
    print(f"or {AUTO}: the first that can be had of {', '.join((*KNOW_SOMETHING, 'tabletop'))}")
    return OK
