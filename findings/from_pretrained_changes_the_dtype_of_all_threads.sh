#!/usr/bin/env bash
# Guess:  from_pretrained of a folder with bfloat16 weights gives a bfloat16 network and touches
#         nothing else.
# Seen:   transformers 5.24.0, torch 2.15.0. While it builds the network, torch's default dtype is
#         bfloat16. That default belongs to the process, not to the thread. So another thread that
#         makes tensors at that time (one that reads clips ahead, say) gets bfloat16 from
#         torch.zeros(1), and from uint8 pixels divided by 255 (up to half a level off). The usual
#         torch.linspace(0, 999, 8).long(), which picks 8 of 1000 frames, then picks other frames,
#         and the last, 1000, lies past the end of the video: bfloat16 keeps 8 bits.
#         Worse: if two threads each load a network and the two overlap, the default may stay
#         bfloat16 for good. The second load notes bfloat16 as "what it was before", and puts that
#         back after the first has put back float32.
#         A way out: one lock around every from_pretrained, and an explicit dtype elsewhere.
#         The threads here wait for each other at a fixed point, the constructor of the network,
#         so that the outcome does not depend on chance.
# Known:  to a user of it, vectorize-io/hindsight #2167 (two loads that overlap).
# Output: what another thread gets before, during and after one load; the default after two
#         loads that overlap.
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
import tempfile
import threading

import torch
import transformers
from transformers import VideoMAEConfig, VideoMAEForVideoClassification

print("transformers", transformers.__version__, "torch", torch.__version__)
transformers.logging.disable_progress_bar()
config = VideoMAEConfig(
    image_size=32,
    patch_size=16,
    num_frames=4,
    tubelet_size=2,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    num_labels=3,
)
built = {}
may_go_on = {}


class Waiting(VideoMAEForVideoClassification):
    """VideoMAE whose constructor waits, as that of a large network takes its time."""

    def __init__(self, config):
        super().__init__(config)
        name = threading.current_thread().name
        built[name].set()
        may_go_on[name].wait(60)


def start_load(name):
    """Start a load in a thread of this name, and return when its network is being built."""
    built[name], may_go_on[name] = threading.Event(), threading.Event()
    loader = threading.Thread(
        target=lambda: loaded.append(Waiting.from_pretrained(folder)), name=name, daemon=True
    )
    loader.start()
    if not built[name].wait(60):
        sys.exit(f"load {name} comes to the constructor: not as stated")
    return loader


def finish_load(loader):
    may_go_on[loader.name].set()
    loader.join(60)
    if loader.is_alive():
        sys.exit(f"load {loader.name} ends: not as stated")


def report(when, expected):
    """Print what this thread, which loads nothing, gets now."""
    levels = torch.arange(256, dtype=torch.uint8)
    pixels = levels / 255
    off = (pixels.double() * 255 - levels).abs().max().item()
    picked = torch.linspace(0, 999, 8).long().tolist()
    seen = (torch.zeros(1).dtype, pixels.dtype)
    print(f"{when}: zeros(1) {seen[0]}, uint8 / 255 {seen[1]}, up to {off:.2f} levels off")
    print(f"  8 of 1000 frames: {picked}")
    changed = expected == torch.bfloat16
    if seen != (expected, expected) or (off > 0.4) is not changed:
        sys.exit(f"{when}: not as stated")
    if picked[-1] != (1000 if changed else 999):
        sys.exit(f"{when}, 8 of 1000 frames: not as stated")


loaded = []
with tempfile.TemporaryDirectory() as folder:
    VideoMAEForVideoClassification(config).to(torch.bfloat16).save_pretrained(folder)
    report("before", torch.float32)
    first = start_load("first")
    report("during one load", torch.bfloat16)
    finish_load(first)
    report("after one load", torch.float32)

    second, third = start_load("second"), start_load("third")
    finish_load(second)
    finish_load(third)
    report("after two that overlap", torch.bfloat16)
if [network.dtype for network in loaded] != [torch.bfloat16] * 3:
    sys.exit("three bfloat16 networks: not as stated")
PY
"$folder/venv/bin/python" "$folder/once.py"
