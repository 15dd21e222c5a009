#!/usr/bin/env bash
# Guess:  TimesformerForVideoClassification gives one row of logits for each clip, (B, K), whatever
#         its attention_type is.
# Seen:   transformers 5.24.0, torch 2.15.0. With attention_type="space_only" it gives one row for
#         each FRAME, (B * T, K), where T is the number of frames. Row b * T + t is what the same
#         network gives for frame t of clip b alone. Nothing averages the frames. The network that
#         was first published does: it takes the mean over the frames before its last
#         normalisation (forward_features in timesformer/models/vit.py of
#         facebookresearch/TimeSformer). So `logits[0]`, read as "the first clip", is frame 0 only.
#         A loss with one label for each clip raises ValueError. With one clip and num_labels=1
#         (regression) it only warns: the one target is compared with every frame.
#         "divided_space_time" and "joint_space_time" give (B, K).
# Output: the shape of the logits for each attention_type; how far the rows are from the frames
#         taken one by one; what the loss does.
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
import warnings

import torch
import transformers
from transformers import TimesformerConfig, TimesformerForVideoClassification

print("transformers", transformers.__version__, "torch", torch.__version__)
clips, frames, classes = 2, 4, 5
torch.manual_seed(0)


def make(attention_type, num_labels=classes):
    config = TimesformerConfig(
        image_size=32,
        patch_size=16,
        num_frames=frames,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=num_labels,
        attention_type=attention_type,
        # Larger weights than usual, so that the frames differ visibly.
        initializer_range=0.5,
    )
    return TimesformerForVideoClassification(config).eval()


def check(holds, what):
    if not holds:
        sys.exit(f"{what}: not as stated")


video = torch.randn(clips, frames, 3, 32, 32)
labels = torch.arange(clips)
for attention_type in ("divided_space_time", "joint_space_time"):
    with torch.no_grad():
        output = make(attention_type)(video, labels=labels)
    print(f"{attention_type}: logits {tuple(output.logits.shape)}, loss {output.loss:.3f}")
    check(output.logits.shape == (clips, classes), attention_type)

network = make("space_only")
with torch.no_grad():
    logits = network(video).logits
    alone = torch.cat([network(frame[None, None]).logits for clip in video for frame in clip])
print(f"space_only: logits {tuple(logits.shape)}")
check(logits.shape == (clips * frames, classes), "space_only")
apart = (logits - alone).abs().max().item()
spread = (logits[:frames] - logits[0]).abs().max().item()
print(f"  rows against frames one by one: at most {apart:.0e} apart")
print(f"  rows of one clip against its first row: up to {spread:.2f} apart")
check(apart < 1e-4 and spread > 0.01, "one row for each frame")

try:
    network(video, labels=labels)
except ValueError as error:
    print(f"  loss with {clips} labels: ValueError: {error}")
    check("batch_size (8)" in str(error), "the loss raises")
else:
    sys.exit("the loss raises: not as stated")

network = make("space_only", num_labels=1)
with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    output = network(video[:1], labels=torch.tensor([1.0]))
every = (output.logits - 1).square().mean()
warned = any("target size" in str(warning.message) for warning in caught)
print(
    f"  regression, one clip, one target: loss {output.loss:.4f}, mean over the {frames} rows "
    f"{every:.4f}, warned: {warned}"
)
check(warned and torch.allclose(output.loss, every), "regression")
PY
"$folder/venv/bin/python" "$folder/once.py"
