"""Is the layer that is found one that no evidence goes round? Every network by name, run for real.

    python scripts/check_bottlenecks.py            all of them: about an hour on two cores
    python scripts/check_bottlenecks.py resnet18 r3d_18 --frames 8 13

Each network has random weights, small pictures and 8, 13, 16 and 32 frames. Two things are tried:

- cut: with the layer's output replaced by zeros two different clips give the same logits;
- sum: where a mean and a linear layer come after it, every map sums to its logit less the bias.

What cannot run at some number of frames is listed with its reason. Exits with 1 where a layer can
be gone round, or a sum is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time

import torch

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.attribution.methods.base import Silence
from gradcam_video.models.model_names import INFLATABLE, KINETICS

SMALL = {"inception_v3": 139, "alexnet": 96, "vgg": 64, "densenet": 64, "squeezenet": 64}
FEW = 3  # classes: a random last layer is as good as a trained one here


def side_of(name: str, model: gv.VideoModel) -> int | tuple[int, int]:
    """The smallest picture that keeps several cells."""
    if name in KINETICS and name.startswith(("mvit", "swin")):
        return model.size if name.startswith("mvit") else 64
    if name == "c3d" or name.endswith("-ssv2"):
        return model.size
    return next((side for start, side in SMALL.items() if name.startswith(start)), 64)


def check(name: str, frames: int) -> str:
    """What was found, in a few words; it begins with "WRONG" where something is."""
    model = gv.load_model(name, weights=None, labels=[f"class {k}" for k in range(FEW)], fast=False)
    shape = (3, frames, *([side] * 2 if isinstance(side := side_of(name, model), int) else side))
    try:
        record = model.trace(shape)
        model.cam_layer = record.cam_layer()
    except gv.BadInput as error:
        return f"refused: {error}"
    generator = torch.Generator().manual_seed(0)
    x = torch.rand((1, *shape), generator=generator)
    with torch.no_grad():
        cut = [Silence(model, shape).run(one, False).logits for one in (x, 1 - x)]
    if not torch.equal(*cut):
        return f"WRONG: {model.cam_layer} can be gone round by {(cut[0] - cut[1]).abs().max():.2g}"
    found = f"{model.cam_layer} {model.reading(shape).token_grids[0].grid}"
    head = record.linear_head(model.cam_layer)
    if head is None:
        return found
    logits, signed = maps_of(model, x)
    bias = model.net.get_parameter(head.bias) if head.bias else 0
    off = (signed.sum(dim=(2, 3, 4)) - (logits - bias)).abs().max() / logits.abs().max()
    return f"{'WRONG: ' if off > 1e-4 else ''}{found}, sum off by {off:.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=None)
    parser.add_argument("--frames", nargs="*", type=int, default=[8, 13, 16, 32])
    options = parser.parse_args()
    wrong = 0
    video = [m.name for m in gv.known_models() if m.kind in ("video", "hub")]
    for name in options.names or (*video, *INFLATABLE):
        for frames in options.frames:
            started = time.perf_counter()
            try:
                said = check(name, frames)
            except gv.BadInput as error:
                said = f"refused: {error}"
            wrong += said.startswith("WRONG")
            print(
                f"{name:20} {frames:3}  {said}  ({time.perf_counter() - started:.1f} s)", flush=True
            )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
