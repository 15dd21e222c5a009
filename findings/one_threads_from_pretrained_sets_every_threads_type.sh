#!/usr/bin/env bash
# Guess:  from_pretrained in one thread changes nothing for another: a server may load a network in
#         bfloat16 while another thread makes float32 tensors.
# Seen:   transformers 5.24.0, torch 2.15.0. While a folder whose config says bfloat16 is loaded, torch's
#         default type is bfloat16 for ALL threads: torch.rand in another thread gives bfloat16, and
#         torch.nn.Linear is built in it. Afterwards it is float32 again. `dtype=torch.float32` in
#         from_pretrained keeps it as it is; so does loading under a lock that the others take, too.
# Output: the default type that another thread sees before, during and after.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --compile-bytecode \
    torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 transformers==5.24.0
cat > "$folder/default_type.py" <<'PY'
import tempfile
import threading

import torch
import transformers

print("transformers", transformers.__version__, "torch", torch.__version__)
building, looked = threading.Event(), threading.Event()


class Slow(transformers.VideoMAEForVideoClassification):
    """The same network; it waits in the middle of being built until the other thread has looked."""

    def __init__(self, config):
        super().__init__(config)
        if wait:
            building.set()
            looked.wait(60)


wait = False
config = transformers.VideoMAEConfig(
    image_size=16,
    patch_size=8,
    num_frames=2,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    num_labels=2,
)
folder = tempfile.mkdtemp()
Slow(config).to(torch.bfloat16).save_pretrained(folder)
wait, seen = True, {"before": torch.rand(1).dtype}


def other_thread():
    building.wait(60)
    seen["during"] = torch.rand(1).dtype
    seen["a layer built during"] = torch.nn.Linear(1, 1).weight.dtype
    looked.set()


thread = threading.Thread(target=other_thread)
thread.start()
Slow.from_pretrained(folder)
thread.join()
seen["after"] = torch.rand(1).dtype
for when, dtype in seen.items():
    print(f"{when}: {dtype}")
right = [torch.float32, torch.bfloat16, torch.bfloat16, torch.float32]
assert list(seen.values()) == right, "not as stated"
PY
"$folder/venv/bin/python" "$folder/default_type.py"
