#!/usr/bin/env bash
# Guess:  VivitVideoProcessor(offset=False) scales the pixels without subtracting 1, as
#         VivitImageProcessor(offset=False) does. Both are for the same network, and both keep the
#         setting: `processor.offset` is False.
# Seen:   transformers 5.24.0. VivitVideoProcessor subtracts 1 in both cases: its method
#         rescale_and_normalize never looks at `offset`. Nothing warns. With do_normalize=True,
#         mean 0.5 and standard deviation 0.5, and the default rescale_factor 1 / 127.5, a black
#         and a white frame become
#                                           offset=True      offset=False
#             VivitImageProcessor           -3 and 1         -1 and 3
#             VivitVideoProcessor           -3 and 1         -3 and 1
#         With offset=False and rescale_factor=1 / 255, the usual way to get -1 to 1, the image
#         processor gives -1 and 1, and the video processor gives -3 and -1: white is as dark as
#         black should be.
# Output: one line for each processor and setting: what black and white become.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 transformers==5.24.0
export HF_HUB_OFFLINE=1
cat > "$folder/once.py" <<'PY'
import sys

import numpy as np
import torch
import torchvision
import transformers
from transformers import VivitImageProcessor, VivitVideoProcessor

print("transformers", transformers.__version__, "torchvision", torchvision.__version__)
print("torch", torch.__version__)
black = [np.zeros((32, 32, 3), np.uint8)] * 4
white = [np.full((32, 32, 3), 255, np.uint8)] * 4
stated = {
    (VivitImageProcessor, True, 127.5): (-3.0, 1.0),
    (VivitVideoProcessor, True, 127.5): (-3.0, 1.0),
    (VivitImageProcessor, False, 127.5): (-1.0, 3.0),
    (VivitVideoProcessor, False, 127.5): (-3.0, 1.0),
    (VivitImageProcessor, False, 255): (-1.0, 1.0),
    (VivitVideoProcessor, False, 255): (-3.0, -1.0),
}
for (kind, offset, divisor), expected in stated.items():
    processor = kind(
        offset=offset,
        rescale_factor=1 / divisor,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        do_resize=False,
        do_center_crop=False,
    )
    seen = []
    for frames in (black, white):
        pixels = processor(frames, return_tensors="pt")["pixel_values"]
        if pixels.shape != (1, 4, 3, 32, 32) or pixels.min() != pixels.max():
            sys.exit(f"{kind.__name__}: one value everywhere: not as stated")
        seen.append(round(pixels.max().item(), 4))
    print(
        f"{kind.__name__}(offset={offset}, rescale_factor=1 / {divisor}): "
        f"black {seen[0]}, white {seen[1]}"
    )
    if tuple(seen) != expected or processor.offset is not offset:
        sys.exit(f"{kind.__name__}, offset={offset}: not as stated")
PY
"$folder/venv/bin/python" "$folder/once.py"
