#!/usr/bin/env bash
# Guess:  a TorchDispatchMode sees the same operations under torch.no_grad() and under
#         torch.inference_mode(): the two differ in how they keep gradients away, not in what
#         runs.
# Seen:   torch 2.15.0. Under no_grad() (and with gradients) the mode is handed what a composite
#         operation is made of: aten.convolution for conv3d, aten.t and aten.addmm for linear.
#         Under inference_mode() it is handed the composite operation whole: aten.conv3d,
#         aten.linear. The composite ones are taken apart in the layer of autograd, which
#         inference_mode() skips. Whoever records a network by the names of its operations (to
#         find its convolutions, to count what they cost, to note the place of a max pooling)
#         misses them there, without an error. dropout in evaluation mode is seen only there.
#         relu is not composite and is the same in all three.
#         A way out: func.decompose(*args, **kwargs) under the mode, while it is not
#         NotImplemented, as torch.utils.flop_counter does (but not for prim.device, which fails).
# Known:  pytorch issues #81669 and #141446.
# Output: for each operation, the names seen with gradients, under no_grad() and under
#         inference_mode(), and those under inference_mode() with the way out.
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
from torch.utils._python_dispatch import TorchDispatchMode

print("torch", torch.__version__)


class Recorder(TorchDispatchMode):
    """Keeps the name of every operation; takes composite ones apart where asked to."""

    def __init__(self, decompose=False):
        super().__init__()
        self.decompose = decompose
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if self.decompose:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **kwargs)


video = torch.randn(1, 2, 4, 8, 8)
kernel = torch.nn.Parameter(torch.randn(3, 2, 3, 3, 3))
rows = torch.randn(2, 8)
weight = torch.nn.Parameter(torch.randn(3, 8))
bias = torch.nn.Parameter(torch.zeros(3))
tokens = torch.randn(1, 2, 4, 8)
attend = F.scaled_dot_product_attention
# operation: (the call, the names under no_grad(), the names under inference_mode())
stated = {
    "conv3d": (lambda: F.conv3d(video, kernel), ["convolution"], ["conv3d"]),
    "linear": (lambda: F.linear(rows, weight, bias), ["t", "addmm"], ["linear"]),
    "max_pool3d": (
        lambda: F.max_pool3d(video, 2),
        ["max_pool3d_with_indices"],
        ["max_pool3d"],
    ),
    "adaptive_avg_pool3d": (
        lambda: F.adaptive_avg_pool3d(video, 1),
        ["mean"],
        ["adaptive_avg_pool3d"],
    ),
    "layer_norm": (lambda: F.layer_norm(rows, (8,)), ["native_layer_norm"], ["layer_norm"]),
    "attention": (
        lambda: attend(tokens, tokens, tokens),
        ["_scaled_dot_product_flash_attention_for_cpu"],
        ["scaled_dot_product_attention"],
    ),
    "dropout": (lambda: F.dropout(rows, 0.5, training=False), [], ["dropout"]),
    "relu": (lambda: F.relu(rows), ["relu"], ["relu"]),
}
for operation, (call, taken_apart, whole) in stated.items():
    seen = []
    for context in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with context(), Recorder() as recorder:
            call()
        seen.append(recorder.names)
    with torch.inference_mode(), Recorder(decompose=True) as recorder:
        call()
    seen.append(recorder.names)
    print(f"{operation}:", " | ".join(", ".join(names) or "nothing" for names in seen))
    if seen != [taken_apart, taken_apart, whole, taken_apart]:
        sys.exit(f"{operation}: not as stated")
PY
"$folder/venv/bin/python" "$folder/once.py"
