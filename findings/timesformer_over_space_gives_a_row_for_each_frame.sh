#!/usr/bin/env bash
# Guess:  a video classifier of transformers gives one row of logits for each clip, whatever its
#         attention: TimesformerForVideoClassification with attention_type="space_only" averages its
#         frames, as the paper's own code does (Bertasius et al. 2021, arXiv:2102.05095).
# Seen:   transformers 5.24.0. It gives one row for each FRAME: (T, K) for one clip, (N·T, K) for N,
#         the frames of a clip one after another. Who reads `logits[0]` reads the first frame alone.
#         With one label for each clip the loss cannot be computed: torch refuses the batch sizes.
#         The other two kinds of attention give one row for each clip.
# Output: the shape of the logits for each kind of attention; what the loss says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" --compile-bytecode \
    torch==2.15.0 torchvision==0.29.2 numpy==2.4.6 transformers==5.24.0
cat > "$folder/rows.py" <<'PY'
import torch
import transformers

print("transformers", transformers.__version__, "torch", torch.__version__)
clips, frames, classes = 2, 4, 3
rows = {}
for kind in ("divided_space_time", "joint_space_time", "space_only"):
    config = transformers.TimesformerConfig(
        image_size=16,
        patch_size=8,
        num_frames=frames,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        attention_type=kind,
        num_labels=classes,
    )
    torch.manual_seed(0)
    net = transformers.TimesformerForVideoClassification(config).eval()
    x = torch.rand(clips, frames, 3, 16, 16)
    logits = net(x).logits
    rows[kind] = tuple(logits.shape)
    print(kind, rows[kind])
    if kind == "space_only":
        # Row by row it is the frames of the first clip, then those of the second.
        still = x.clone()
        still[0, 0] = 0
        changed = (net(still).logits - logits).abs().amax(1) > 1e-6
        print("rows that change with the first frame of the first clip:", changed.nonzero().tolist())
        assert changed.nonzero().tolist() == [[0]], "not as stated"
        try:
            net(x, labels=torch.tensor([0, 1]))
            raise SystemExit("a loss was computed: not as stated")
        except ValueError as error:
            print("the loss:", error)
assert rows["divided_space_time"] == rows["joint_space_time"] == (clips, classes), "not as stated"
assert rows["space_only"] == (clips * frames, classes), "not as stated"
PY
"$folder/venv/bin/python" "$folder/rows.py"
