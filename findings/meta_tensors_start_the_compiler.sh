#!/usr/bin/env bash
# Guess:  an operation on a tensor without data (device "meta") costs nothing: it computes no more
#         than a shape, which is why a trial forward is run with it.
# Seen:   torch 2.15.0. The first `relu` (or +, mean, cat, linear, batch norm in evaluation mode)
#         imports torch._dynamo, and with it sympy; the first convolution or max pooling imports
#         torch.fx.experimental.symbolic_shapes. The kernels of these operations for such tensors
#         are written in Python: the former under a decorator that fetches the compiler in order to
#         switch it off, the latter with checks that may be symbolic. `relu_` and `permute`,
#         which have theirs in C++, import neither. The compiler takes about 0.8 × the processor
#         time of `import torch`, the symbolic shapes alone about 0.3 ×.
# Output: one line for each operation: what it imported, and processor time as a multiple of
#         `import torch`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --compile-bytecode \
    torch==2.15.0 numpy==2.4.6
unset PYTHONDONTWRITEBYTECODE
cat > "$folder/once.py" <<'PY'
import sys
import time

started = time.process_time()
import torch

loaded = time.process_time()
x = torch.empty(1, 2, 3, 4, 5, device="meta")
w = torch.empty(4, 2, 3, 3, 3, device="meta")
operations = {
    "relu": lambda: x.relu(),
    "x + x": lambda: x + x,
    "mean": lambda: x.mean((2, 3, 4)),
    "cat": lambda: torch.cat([x, x]),
    "conv3d": lambda: torch.nn.functional.conv3d(x, w),
    "relu_": lambda: x.relu_(),
    "permute": lambda: x.permute(0, 2, 1, 3, 4),
    "max_pool3d": lambda: torch.nn.functional.max_pool3d(x, 2),
}
operations[sys.argv[1]]()
extra = (time.process_time() - loaded) / (loaded - started)
watched = ("torch._dynamo", "torch.fx.experimental.symbolic_shapes", "sympy")
found = [name for name in watched if name in sys.modules]
print(f"{sys.argv[1]}: {extra:.2f} x import torch, imported: {', '.join(found) or 'nothing'}")
if sys.argv[1] in ("relu_", "permute"):
    ok = not found
elif sys.argv[1] in ("conv3d", "max_pool3d"):
    ok = "torch.fx.experimental.symbolic_shapes" in found and "torch._dynamo" not in found
else:
    ok = "torch._dynamo" in found
sys.exit(0 if ok else f"{sys.argv[1]}: not as stated")
PY
"$folder/venv/bin/python" -c 'import torch; print("torch", torch.__version__)'
for operation in relu "x + x" mean cat conv3d max_pool3d relu_ permute; do
    "$folder/venv/bin/python" "$folder/once.py" "$operation"
done
