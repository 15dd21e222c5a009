"""The small picture network that is inflated into the shipped `tabletop`.

A residual network as in He et al. 2016 (arXiv:1512.03385, basic blocks), with the technique of the
2017 post done to it afterwards: trained on single frames first, then every filter of several pixels
is repeated over 3 frames (`inflate`). Two things are not as in a ResNet-18, both for the sake of
maps that can be believed (docs/ablations.md says what each does): the last map is fine, one cell
per 8 pixels, and a cell sees 63 of the 112 pixels and 11 of the 16 frames, not everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .inflation import inflate

SIZE = 112
"""Side of the input in pixels."""
WIDTHS = (32, 64, 96, 160)
"""Channels after the stem and the three stages."""


class Block(nn.Module):
    """Two 3 × 3 convolutions and a shortcut: (N, C, h, w) -> (N, C', h / stride, w / stride)."""

    def __init__(self, channels: int, out: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, dilation, dilation, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, dilation, dilation, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.relu(y + self.shortcut(x))


def _conv(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


class SmallResNet(nn.Module):
    """Pictures (N, 3, 112, 112) -> activations (N, C, 14, 14) -> logits (N, K).

    While it is trained (`norm=True`) the pooled features are brought to mean 0 and deviation 1
    before the head: what tells left from right is a small part of them, and would be learnt
    slowly. It is no part of the shipped network: `without_norm` puts it into the head. `stride` and
    `dilation` are those of the second stage: at 2 and 3 they undo what the module says above, the
    one with a map of 7 × 7, the other with cells that see the whole frame.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = WIDTHS,
        norm: bool = False,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        stem, one, two, three = widths
        self.stem = _conv(3, stem, kernel=7, stride=4)  # (N, 32, 28, 28)
        self.stage1 = Block(stem, one, stride=2)  # (N, 64, 14, 14)
        self.stage2 = Block(one, two, stride, dilation)  # (N, 96, 14, 14)
        self.stage3 = _conv(two, three, kernel=1, stride=1)  # (N, 160, 14, 14)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm = nn.BatchNorm1d(three, affine=False) if norm else nn.Identity()
        self.head = nn.Linear(three, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.stem(x))))
        return self.head(self.norm(torch.flatten(self.pool(x), 1)))


def network(
    classes: int = 40,
    widths: Sequence[int] = WIDTHS,
    temporal_kernel: int = 3,
    norm: bool = False,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "replicate",
) -> nn.Module:
    """`SmallResNet` inflated over time, untrained.

    Input (N, 3, T, 112, 112), last map (N, 160, T, 14, 14), logits (N, K). Time is padded by
    repeating the first and the last frame: zeros would look like a flash at both ends. With a
    temporal kernel of 1 it sees every frame by itself: the control that knows no order.
    """
    net2d = SmallResNet(classes, widths, norm, stride, dilation)
    return inflate(net2d, temporal_kernel, padding=padding, which="spatial")


@torch.no_grad()
def without_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a network with `norm`, as those of the same network without it."""
    deviation = (state["norm.running_var"] + 1e-5).sqrt()  # BatchNorm1d's own epsilon
    weight = state["head.weight"] / deviation  # (K, C)
    bias = state["head.bias"] - weight @ state["norm.running_mean"]
    kept = {name: t for name, t in state.items() if not name.startswith("norm.")}
    return {**kept, "head.weight": weight, "head.bias": bias}
