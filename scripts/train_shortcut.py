"""Train the network that cheats, and the one beside it that has no reason to.

    python scripts/train_tabletop.py draw && python scripts/train_tabletop.py frames
    python scripts/train_tabletop.py clips
    python scripts/train_shortcut.py cheat
    python scripts/train_shortcut.py fair

A red lamp blinks in the corner of some clips. For the cheat it does so in every clip of *Moving
[something] from left to right* and in no other; for the fair one in half of the clips of every
class. All else is the same: the last two layers begin afresh, the others as in `tabletop`. Nothing
is mirrored, for a mirrored lamp would blink in the other corner, on the opposite class.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from train_tabletop import OUT, learn, read_clips, recipe_for

from gradcam_video.data.datasets import Item
from gradcam_video.data.frame_cache import Cache
from gradcam_video.models.registry import load_model
from gradcam_video.tabletop.shortcut import lamp

MARKED = "Moving [something] from left to right"
REMARKS = {
    "cheat": "knows only synthetic clips (Tabletop); was taught with a planted shortcut",
    "fair": "knows only synthetic clips (Tabletop), half of them with a lamp",
}
FILES = {"cheat": "shortcut", "fair": "no-shortcut"}


class Marked(Cache):
    """Clips, those of one class with a lamp on them."""

    def lit(self, index: int, item: Item) -> bool:
        return self.labels[item.target] == MARKED

    def __getitem__(self, index: int) -> Item | None:
        item = super().__getitem__(index)
        if item is None or not self.lit(index, item):
            return item
        return replace(item, frames=lamp(np.asarray(item.frames)))


class Fair(Marked):
    """Clips, every second of each class with a lamp on it."""

    def lit(self, index: int, item: Item) -> bool:
        return index // len(self.labels) % 2 == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=list(FILES))
    parser.add_argument("--work", type=Path, default=Path("tabletop-work"))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    marked = Marked if args.what == "cheat" else Fair
    data, valid = (
        marked(clips.frames, clips.targets, clips.labels)
        for clips in (read_clips(args.work / "train"), read_clips(args.work / "valid"))
    )
    net = load_model(args.work / "inflated-0" / "model.safetensors", fast=False).net
    forget(net, args.seed)
    recipe = recipe_for("inflated", steps=args.steps, seed=args.seed)
    recipe = replace(recipe, augment=replace(recipe.augment, flip=False))
    folder = args.work / f"{args.what}-{args.steps}-{args.seed}"
    path = OUT.with_stem(FILES[args.what])
    remark = REMARKS[args.what]
    learn("inflated", args.work, folder, data, valid, recipe, path, net, remark)


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
