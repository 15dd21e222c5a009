#!/usr/bin/env bash
# Guess:  a TorchDispatchMode sees the same operations whether a network runs under torch.no_grad
#         or under torch.inference_mode: both only switch gradients off.
# Seen:   torch 2.15.0. Under no_grad it is handed what conv3d and linear are made of (`convolution`;
#         `t` and `addmm`). Under inference_mode it is handed `conv3d` and `linear` whole, and
#         `batch_norm` and `adaptive_avg_pool3d` too: composite operations are taken apart by the
#         layer of autograd, which inference mode leaves out. A tracer that knows the parts by name
#         (where a network's weights are, what comes after them) finds none.
#         `func.decompose(*args)` gives the parts.
# Output: the names that are seen, for each mode.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --compile-bytecode \
    torch==2.15.0 numpy==2.4.6
cat > "$folder/names.py" <<'PY'
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Names(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


print("torch", torch.__version__)
net = nn.Sequential(
    nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
).eval()
x, seen = torch.rand(1, 3, 4, 8, 8), {}
for mode in (torch.no_grad, torch.inference_mode):
    with mode(), Names() as names:
        net(x)
    seen[mode.__name__] = names.seen
    print(f"{mode.__name__}:", " ".join(names.seen))
parts, whole = seen["no_grad"], seen["inference_mode"]
assert {"convolution", "addmm"} <= set(parts) and not {"conv3d", "linear"} & set(parts), "changed"
assert {"conv3d", "linear"} <= set(whole) and not {"convolution", "addmm"} & set(whole), "changed"
PY
"$folder/venv/bin/python" "$folder/names.py"
