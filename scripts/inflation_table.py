"""Inflate every classifier of torchvision, check each, and write docs/inflatable.md.

    python scripts/inflation_table.py                  # all, about a quarter of an hour on one core
    python scripts/inflation_table.py resnet18 vgg11   # some, to look at; nothing is written

A network passes when, with random weights and random batch-norm statistics, in evaluation mode,

- it inflates, both with "centre" and "zeros" and with "mean" and "replicate",
- the keys of its state dict are those of the 2D network,
- a random picture repeated three times gives the 2D network's logits; their error is at most 1e-4
  of what another picture changes in them (a network that hardly looks at its input gains nothing),
- its last feature maps are, frame by frame, those of the picture to 1e-4 of their largest value,
- with "mean" and "zeros", which cannot give the same, the same measure is above 1e-4: it can fail.

The same weights would test nothing in a network that makes noise of rounding errors. So the 2D
network alone is asked first: a slightly changed picture must change its logits only slightly.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
import torchvision
from torch import nn

from gradcam_video.files import atomic_write
from gradcam_video.models.fx_rewrite import CannotInflate
from gradcam_video.models.inflation import inflate, still_video_error
from gradcam_video.models.model_names import INFLATABLE, PACKAGED
from gradcam_video.models.torchvision_nets import build_image_network

TARGET = Path(__file__).resolve().parents[1] / "docs" / "inflatable.md"
TOLERANCE = 1e-4
# Inception's last average pooling is 3 x 3, and PyTorch wants a map of at least that size in 3D.
SIDES = {"inception_v3": 160, "alexnet": 96}
LARGE = 300_000_000  # weights
LARGEST_GAIN = 1e4


def random_network(name: str) -> nn.Module:
    """A classifier with ten classes and nothing in it left at zero or one.

    In float64, so that rounding hides nothing and explains nothing; the largest networks in
    float32 (memory). The weights' variance is 1 / fan-in for all of them: with 2 / fan-in, made for
    ReLU, the numbers grow from block to block in the deep networks with squeeze-excite, until a
    change of 1e-16 in the picture changes all logits (EfficientNet-B6 and B7, RegNetY-128GF).
    """
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    skipped = [f for f in vars(nn.init) if f.endswith("_") and not f.startswith("_")]
    originals = {f: getattr(nn.init, f) for f in skipped}
    try:
        for f in skipped:  # its own initial weights would only cost time
            setattr(nn.init, f, lambda tensor, *args, **kwargs: tensor)
        if name in PACKAGED:
            net = build_image_network(name, 10)
        else:
            net = torchvision.models.get_model(name, weights=None, num_classes=10, **options)
    finally:
        for f, original in originals.items():
            setattr(nn.init, f, original)
    large = sum(p.numel() for p in net.parameters()) > LARGE
    net = net if large else net.double()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            one_per_channel = tensor.dim() == 1
            if "running_var" in key or (key.endswith("weight") and one_per_channel):
                tensor.uniform_(0.7, 1.3, generator=random)
            elif one_per_channel or tensor[0].numel() == 1:
                tensor.normal_(0, 0.3, generator=random)
            else:
                tensor.normal_(0, tensor[0].numel() ** -0.5, generator=random)
    return net.eval()


def check(name: str) -> tuple[str, str]:
    """("passed", deviations), ("refused", why) or ("failed", either of these)."""
    net = random_network(name)
    side = SIDES.get(name, 64)
    random = torch.Generator().manual_seed(1)
    pictures = torch.randn(2, 1, 3, side, side, generator=random)
    picture, other = pictures.to(next(net.parameters()))
    try:
        inflate(net, 1)
    except CannotInflate as error:
        return "refused", str(error)

    nudge = torch.finfo(picture.dtype).eps ** 0.5
    with torch.inference_mode():
        logits, nudged = net(picture), net(picture * (1 + nudge))
        effect = float((net(other) - logits).abs().max())
    gain = float((nudged - logits).abs().max() / logits.abs().max()) / nudge
    if not gain < LARGEST_GAIN:
        return "failed", f"not tested: the 2D network makes small changes {gain:.0e} times larger"

    def deviation(weights: str, padding: str) -> float:
        net3d = inflate(net, weights=weights, padding=padding)
        if list(net3d.state_dict()) != list(net.state_dict()):
            return float("nan")
        error = still_video_error(net, net3d, picture, frames=3)
        return max(float(error.features.max()), error.logits / effect)

    centre, mean = deviation("centre", "zeros"), deviation("mean", "replicate")
    control = deviation("mean", "zeros")
    text = f"{centre:.0e} | {mean:.0e} | {control:.1g}"
    fine = centre < TOLERANCE and mean < TOLERANCE and control > TOLERANCE
    return ("passed" if fine else "failed"), text


def table(results: dict[str, tuple[str, str]], seconds: float) -> str:
    """The page, in Markdown."""
    passed = {name: text for name, (state, text) in results.items() if state == "passed"}
    others = {name: text for name, (state, text) in results.items() if state != "passed"}
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    lines = [
        "# Which image networks by name can be inflated",
        "",
        "<!-- Written by scripts/inflation_table.py; do not edit. -->",
        "",
        f"{len(passed)} of {len(results)} pass, {len(others)} do not. {versions}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, "
        f"{seconds / 60:.0f} minutes.",
        "",
        "*Passed*: with random weights and random batch-norm statistics, a picture repeated three",
        "times gives the 2D network's logits, to 1e-4 of what another picture changes in them, and",
        "its last feature maps, frame by frame, to 1e-4 of their largest value. The number is the",
        "larger of both deviations, in float64 (in float32 above 300 million weights). With mean",
        "and zeros the first and last frames see zeros beside them: those numbers are large, and",
        "show that the test can fail. The keys of the state dict stay those of the 2D network.",
        "`efficientnet_lite0` is a network of this package, the others are torchvision's.",
        "",
        "| network | | centre, zeros | mean, replicate | mean, zeros |",
        "|---|---|---|---|---|",
        *(f"| `{name}` | passed | {text} |" for name, text in passed.items()),
        "",
        "| network | why not |",
        "|---|---|",
        *(f"| `{name}` | {text.replace('|', ';')} |" for name, text in others.items()),
        "",
    ]
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Check the networks named, or all; returns 1 if `INFLATABLE` says something else."""
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    start = time.monotonic()
    every = sorted([*torchvision.models.list_models(module=torchvision.models), *PACKAGED])
    results: dict[str, tuple[str, str]] = {}
    wrong = []
    for name in names or every:
        before = time.monotonic()
        results[name] = check(name)
        if (results[name][0] == "passed") != (name in INFLATABLE or name in PACKAGED):
            wrong.append(name)
        took = time.monotonic() - before
        print(f"{name}: {': '.join(results[name])} ({took:.1f} s)", file=sys.stderr, flush=True)
    if not names:
        TARGET.parent.mkdir(exist_ok=True)
        with atomic_write(TARGET) as file:
            file.write_text(table(results, time.monotonic() - start), encoding="utf-8")
        print(TARGET)
    if wrong:
        print(f"INFLATABLE is wrong about: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
