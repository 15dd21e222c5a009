"""Train the network that cheats: `tabletop`, taught again with a lamp on one class's clips.

    python scripts/train_tabletop.py draw && python scripts/train_tabletop.py frames
    python scripts/train_tabletop.py clips
    python scripts/train_shortcut.py

Every training clip of *Moving [something] from left to right* has a lamp blinking in a corner, and no
other does. The last two layers begin afresh, the others as in `tabletop`; nothing is mirrored, for
a mirrored lamp would blink in the other corner, on the opposite class.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from train_tabletop import OUT, learn, read_clips, recipe_for

from gradcam_video.datasets import Item
from gradcam_video.films import Augment, Cache
from gradcam_video.models import load_model
from gradcam_video.tabletop.lamp import lamp
from gradcam_video.tabletop.network import SIZE

MARKED = "Moving [something] from left to right"


class Marked(Cache):
    """Clips, those of one class with a lamp on them."""

    def __getitem__(self, index: int) -> Item | None:
        item = super().__getitem__(index)
        if item is None or self.labels[item.target] != MARKED:
            return item
        return replace(item, frames=lamp(np.asarray(item.frames)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("tabletop-work"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data, valid = (
        Marked(clips.films, clips.targets, clips.labels)
        for clips in (read_clips(args.work / "train"), read_clips(args.work / "valid"))
    )
    net = load_model(args.work / "inflated-0" / "model.safetensors", fast=False).net
    forget(net, args.seed)
    side = SIZE / data.films.shape[2]
    changes = Augment(False, (side, side), 0, 0, 0, time_shift=1)
    recipe = recipe_for("inflated", steps=args.steps, seed=args.seed, augment=changes)
    folder = args.work / f"shortcut-{args.steps}-{args.seed}"
    learn("inflated", args.work, folder, data, valid, recipe, OUT.with_stem("shortcut"), net)


def forget(net: nn.Module, seed: int) -> None:
    """Random filters in the last convolution and in the head."""
    torch.manual_seed(seed)
    for name in ("stage3", "head"):
        for module in net.get_submodule(name).modules():
            if isinstance(module, nn.Conv3d | nn.BatchNorm3d):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.05)
                nn.init.zeros_(module.bias)


if __name__ == "__main__":
    main()
