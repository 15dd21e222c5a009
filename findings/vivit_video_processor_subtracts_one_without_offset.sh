#!/usr/bin/env bash
# Guess:  the two processors of ViViT in transformers, for images and for videos, do the same with the
#         same settings: with offset=False nothing is subtracted after the values are scaled.
# Seen:   transformers 5.24.0. VivitImageProcessor(offset=False, rescale_factor=1/127.5) brings white to
#         2.0 and, normed by mean and std 0.5, to 3.0. VivitVideoProcessor with the same settings
#         still subtracts one: white becomes 1.0. Whoever moves a folder from the one to the other
#         shows the network other pixels, without a word.
# Output: the largest and smallest value of a white and a black frame, for each.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --compile-bytecode \
    torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 pillow==13.0.0 transformers==5.24.0
cat > "$folder/offset.py" <<'PY'
import numpy as np
import transformers

print("transformers", transformers.__version__)
frames = [np.full((224, 224, 3), value, np.uint8) for value in (0, 255)]
settings = {"offset": False, "rescale_factor": 1 / 127.5}
found = {}
for name in ("VivitImageProcessor", "VivitVideoProcessor"):
    processor = getattr(transformers, name)(**settings)
    pixels = processor(frames, return_tensors="pt")["pixel_values"]
    found[name] = round(float(pixels.min()), 3), round(float(pixels.max()), 3)
    print(name, "black and white:", *found[name])
assert found["VivitImageProcessor"][1] == 3.0, "not as stated"
assert found["VivitVideoProcessor"][1] == 1.0, "not as stated"
PY
"$folder/venv/bin/python" "$folder/offset.py"
