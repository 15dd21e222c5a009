#!/usr/bin/env bash
# Guess:  to resize uint8 frames with F.interpolate(antialias=True) gives what the same frames give
#         as float32, rounded and clamped to 0..255: at most one level apart, by rounding.
# Seen:   torch 2.15.0, on the CPU. True for mode="bilinear": at most 1 level apart, but that in
#         16 to 23 % of the values of a noise image. Not for mode="bicubic": up to 24 levels apart
#         on noise (about 1 % of the values are more than 1 apart), and up to 16 on a chequered
#         image of black and white. The width is resized first and the height second, and for
#         uint8 what lies between the two passes is stored as uint8. Bicubic overshoots at
#         edges; the overshoot is cut off between the passes, while float32 keeps it for the
#         second. Rounding and clamping between two float32 passes gives the uint8 result to 2
#         levels. A bicubic torchvision.transforms.v2.functional.resize of uint8 gives exactly the
#         same. So a network is given other pixels depending on whether its frames were made
#         float before or after the resize.
# Known:  pytorch pull requests #90771 and #103252 (it follows Pillow on purpose), Pillow #7184.
# Output: for each image, mode and size: the largest difference, the share of values that differ,
#         the share that differ by more than 1, and the largest difference to float32 in two
#         passes with rounding and clamping between them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    torch==2.15.0 torchvision==0.29.2 numpy==2.4.6
cat > "$folder/once.py" <<'PY'
import sys

import torch
import torch.nn.functional as F
import torchvision
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import resize

print("torch", torch.__version__, "torchvision", torchvision.__version__)
side = 128
noise = torch.randint(
    0, 256, (8, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
place = torch.arange(side) // 7
chequers = ((place[:, None] + place) % 2 * 255).to(torch.uint8).expand(1, 3, side, side)


def scale(image, height, width, mode):
    return F.interpolate(image, (height, width), mode=mode, antialias=True)


def quantise(image):
    return image.clamp(0, 255).round()


def share(holds):
    return holds.float().mean().item()


def check(holds, what):
    if not holds:
        sys.exit(f"{what}: not as stated")


for name, image in (("noise", noise), ("chequers", chequers)):
    for mode in ("bilinear", "bicubic"):
        for size in (64, 112, 160, 224):
            as_bytes = scale(image, size, size, mode).float()
            as_floats = quantise(scale(image.float(), size, size, mode))
            between = quantise(scale(image.float(), side, size, mode))
            in_passes = quantise(scale(between, size, size, mode))
            apart = (as_bytes - as_floats).abs()
            explained = (as_bytes - in_passes).abs()
            label = f"{name}, {mode}, {side} to {size}"
            print(
                f"{label}: at most {int(apart.max())}, differ {share(apart > 0):.1%}, "
                f"by more than 1 {share(apart > 1):.1%}; to two passes at most "
                f"{int(explained.max())}"
            )
            check(explained.max() <= 2, f"{label}: two passes")
            if mode == "bilinear":
                check(apart.max() <= 1, label)
                check(name != "noise" or 0.1 < share(apart > 0) < 0.3, f"{label}: share")
            else:
                # Half the size or less smooths so much that little is left to cut off.
                check(apart.max() > (5 if size > 64 else 2), label)
                check(share(explained > 1) < 0.001, f"{label}: two passes explain it")
                by_torchvision = resize(image, [size, size], InterpolationMode.BICUBIC)
                check(torch.equal(by_torchvision.float(), as_bytes), f"{label}: torchvision")
PY
"$folder/venv/bin/python" "$folder/once.py"
