"""What the benchmarks share: the network, the machine in words, statistics, whole files."""

from __future__ import annotations

import os
import platform
import random
import shlex
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from gradcam_video import VideoModel, inflate
from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.files import atomic_write
from gradcam_video.models.model_names import INFLATABLE
from gradcam_video.models.tabletop_net import SmallResNet

HERE = Path(__file__).resolve().parent
FRAMES = 16
NETS = ("tabletop", *INFLATABLE)  # "tabletop": the small network, for a quick look
T = TypeVar("T")
PACKAGES = ("torch", "torchvision", "grad-cam", "captum", "torchcam", "gradcam-video")


def build(name: str, size: int, *, faster: bool = False) -> VideoModel:
    """An inflated network of 40 classes with random weights, as a user of PyTorch loads it.

    In evaluation mode, contiguous, batch norms not folded, parameters that want gradients (the
    peers need them to). The batch norms get random statistics: at their start values, folding them
    would hardly change anything and could go wrong unnoticed.

    Args:
        name: "tabletop", or one of `INFLATABLE`.
        size: side of the input in pixels.
        faster: fold the batch norms and store channels last, `VideoModel.faster`.
    """
    torch.manual_seed(0)
    classes = len(FORTY_NAMES)
    net2d = SmallResNet(classes) if name == "tabletop" else get_model(name, num_classes=classes)
    net = inflate(net2d)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.get_buffer("running_mean").normal_(0, 0.1)
                module.get_buffer("running_var").uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(0, 0.1)
    net.eval()
    model = VideoModel(net, FORTY_NAMES, size, frames=FRAMES, name=name, untrained=True, quiet=True)
    if faster:
        model.faster()
        model.trace((3, FRAMES, size, size))  # the trial forward belongs to start-up, not to a row
    return model


def random_clip(size: int, *, faster: bool = False) -> Tensor:
    """The input (1, 3, 16, size, size), laid out as `VideoModel.preprocess` would for that net."""
    x = torch.randn(1, 3, FRAMES, size, size, generator=torch.Generator().manual_seed(1))
    return x.to(memory_format=torch.channels_last_3d) if faster else x


def interleaved(
    keys: Sequence[str], rounds: int, run: Callable[[str], T], say: Callable[[str], None]
) -> dict[str, list[T]]:
    """Every row once per round, in an order that changes, so that no row has the quiet minutes."""
    order, chance = list(keys), random.Random(0)
    results: dict[str, list[T]] = {key: [] for key in keys}
    for number in range(rounds):
        chance.shuffle(order)
        for key in order:
            say(f"round {number + 1} of {rounds}: {key}")
            results[key].append(run(key))
    return results


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median, third quartile; of a single value, three times that."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def machine(threads: int) -> dict[str, Any]:
    """What the numbers were measured on."""
    versions: dict[str, str] = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU here",
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        # Other work on the machine before the benchmark's own began.
        "load_at_start": load(),
    }


def load() -> float | None:
    """How many programs wanted a core, mean over the last minute; None where it is not known."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine_line(facts: dict[str, Any]) -> str:
    """The same in one line, for under a table."""
    began, busy = facts["load_at_start"], ""
    if began is not None and began > 0.5 * facts["cores"]:
        busy = f" (busy with other work when it began, load {began:.1f}: expect noise)"
    packages = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"{facts['date'][:10]}, {facts['cpu']}, {facts['threads']} threads on {facts['cores']} "
        f"cores{busy}, {facts['gpu']}, Python {facts['python']}, {packages}"
    )


def command_line(module: str, arguments: Sequence[str]) -> str:
    """The command as typed, without the folders of this machine."""
    short = [Path(a).name if Path(a).is_absolute() or ".." in a else a for a in arguments]
    return shlex.join(["python", "-m", module, *short])


def write_whole(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")
