"""Inflate every classifier of torchvision, check each, and write docs/inflatable.md.

    python scripts/inflation_table.py                  # all, about a quarter of an hour on one core
    python scripts/inflation_table.py resnet18 vgg11   # some, to look at; nothing is written

A network passes when, with random weights and random batch-norm statistics, in evaluation mode,

- it inflates, both with "centre" and "zeros" and with "mean" and "replicate",
- the keys of its state dict are those of the 2D network,
- a random picture repeated three times gives the 2D network's logits to 1e-4 of the largest, and
  its last feature maps frame by frame to 1e-4,
- another picture gives logits that differ by more than a hundred times that (the test can fail).
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
import torchvision
from torch import nn

from gradcam_video.inflate import INFLATABLE, CannotInflate, inflate, still_video_error

TARGET = Path(__file__).resolve().parents[1] / "docs" / "inflatable.md"
TOLERANCE = 1e-4
# Inception's last average pooling is 3 x 3, and PyTorch wants a map of at least that size in 3D.
SIDES = {"inception_v3": 160, "alexnet": 96}
LARGE = 300_000_000
EXACT = (("centre", "zeros"), ("mean", "replicate"))


def random_network(name: str) -> nn.Module:
    """A torchvision classifier with ten classes and nothing in it left at zero or one.

    In float64, so that rounding hides nothing and explains nothing; the largest networks in
    float32 (memory), with weights that do not let the numbers grow from block to block.
    """
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    skipped = [f for f in vars(nn.init) if f.endswith("_") and not f.startswith("_")]
    originals = {f: getattr(nn.init, f) for f in skipped}
    try:
        for f in skipped:  # its own initial weights would only cost time
            setattr(nn.init, f, lambda tensor, *args, **kwargs: tensor)
        net = torchvision.models.get_model(name, weights=None, num_classes=10, **options)
    finally:
        for f, original in originals.items():
            setattr(nn.init, f, original)
    large = sum(p.numel() for p in net.parameters()) > LARGE
    net = net if large else net.double()
    variance = 1 if large else 2
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
                tensor.normal_(0, (variance / tensor[0].numel()) ** 0.5, generator=random)
    return net.eval()


def check(name: str) -> tuple[str, str]:
    """("passed", largest relative deviation) or (what went wrong, in words), for one network."""
    net = random_network(name)
    side = SIDES.get(name, 64)
    random = torch.Generator().manual_seed(1)
    pictures = torch.randn(2, 1, 3, side, side, generator=random)
    picture, other = pictures.to(next(net.parameters()))
    worst = 0.0
    for weights, padding in EXACT:
        try:
            net3d = inflate(net, weights=weights, padding=padding)
        except CannotInflate as error:
            return "refused", str(error)
        if list(net3d.state_dict()) != list(net.state_dict()):
            return "failed", "the keys of the state dict changed"
        error = still_video_error(net, net3d, picture, frames=3)
        largest = max(float(error.features.max()), error.logits / error.largest_logit)
        with torch.inference_mode():
            change = float((net(picture) - net(other)).abs().max()) / error.largest_logit
        if not largest < TOLERANCE:
            return "failed", f"{weights}, {padding}: a still video is off by {largest:.1e}"
        if not change > 100 * TOLERANCE:
            return "failed", f"two pictures differ by {change:.1e} only: nothing was tested"
        worst = max(worst, largest)
        del net3d
        gc.collect()
    return "passed", f"{worst:.0e}"


def table(results: dict[str, tuple[str, str]], seconds: float) -> str:
    """The page, in Markdown."""
    passed = {name: text for name, (state, text) in results.items() if state == "passed"}
    others = {name: text for name, (state, text) in results.items() if state != "passed"}
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}"
    lines = [
        "# Which of torchvision's classifiers can be inflated",
        "",
        "<!-- Written by scripts/inflation_table.py; do not edit. -->",
        "",
        f"{len(passed)} of {len(results)} pass, {len(others)} do not. {versions}, "
        f"Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, "
        f"{seconds / 60:.0f} minutes.",
        "",
        "*Passed*: with random weights and random batch-norm statistics, a picture repeated three",
        "times gives the 2D network's logits and last feature maps to 1e-4 of their largest value,",
        'with `weights="centre", padding="zeros"` and with `weights="mean", padding="replicate"`;',
        "the keys of the state dict stay the same. The number is the largest deviation (float64;",
        "float32 for a network of more than 300 million weights).",
        "",
        "| network | | deviation of a still video, or the reason |",
        "|---|---|---|",
        *(f"| `{name}` | passed | {text} |" for name, text in passed.items()),
        *(f"| `{name}` | no | {text} |" for name, text in others.items()),
        "",
    ]
    return "\n".join(lines)


def main(names: list[str]) -> int:
    """Check the networks named, or all; returns 1 if `INFLATABLE` says something else."""
    torch.set_num_threads(int(os.environ.get("THREADS", "1")))
    start = time.monotonic()
    every = torchvision.models.list_models(module=torchvision.models)
    results: dict[str, tuple[str, str]] = {}
    wrong = []
    for name in names or every:
        before = time.monotonic()
        results[name] = check(name)
        if (results[name][0] == "passed") != (name in INFLATABLE):
            wrong.append(name)
        took = time.monotonic() - before
        print(f"{name}: {': '.join(results[name])} ({took:.1f} s)", file=sys.stderr, flush=True)
    if not names:
        TARGET.parent.mkdir(exist_ok=True)
        unfinished = TARGET.with_suffix(".part")
        unfinished.write_text(table(results, time.monotonic() - start), encoding="utf-8")
        unfinished.replace(TARGET)
        print(TARGET)
    if wrong:
        print(f"INFLATABLE is wrong about: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
