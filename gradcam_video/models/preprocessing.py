"""What is done to frames before a network sees them: scaled, cropped, normalised.

The steps are the same everywhere, but each library rounds in its own way, and a network sees
best what it was trained on. A frame of 240 × 427 pixels, of which the short side becomes 224:

| library        | long side     | smoothed before it shrinks   | first column of a crop       |
|----------------|---------------|------------------------------|------------------------------|
| `own`          | round: 399    | yes, in whole numbers        | (399 - 224) // 2             |
| `torchvision`  | cut off: 398  | image presets yes, video no  | half, rounded to an even one |
| `transformers` | cut off: 398  | yes, in whole numbers        | (398 - 224) // 2             |
| `pillow`       | cut off: 398  | yes, by PIL                  | (398 - 224) // 2             |
| `opencv`       | round: 399    | no                           | (399 - 224) // 2             |

`own` is this package's, for its own checkpoints and for networks of users; its crop is never larger
than the picture. In the others a crop that is larger gets a black margin. The sources:
torchvision.transforms.functional, transformers.image_processing_backends (the processors on
torchvision), transformers.image_transforms (those on PIL), and mmaction2's `Resize` and
`CenterCrop`, which use OpenCV.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput
from ..geometry import View

LIBRARIES = ("own", "torchvision", "transformers", "pillow", "opencv")
FILTERS = ("bilinear", "bicubic", "nearest", "nearest-exact", "lanczos", "box", "hamming")
FRAMES_AT_ONCE = 16  # of those that are scaled in floating numbers, which take four times the room


@dataclass(frozen=True)
class Preprocessing:
    """How a clip's frames become what a network takes.

    Attributes:
        size: (height, width) of what the network sees.
        resize: what a frame is scaled to before the crop: its short side, or (height, width).
            None: it is not scaled.
        mean, std: per channel, of pixels in 0..1: three for colour, one for grey frames.
        library: whose way of rounding it is, see above.
        filter: of the scaling.
        antialias: whether a frame is smoothed before it shrinks.
        crop: whether the middle of `size` is cut out. False: the whole scaled frame is seen.
    """

    size: tuple[int, int]
    resize: int | tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    library: str = "own"
    filter: str = "bilinear"
    antialias: bool = True
    crop: bool = True

    @classmethod
    def of(
        cls,
        size: int | Sequence[int],
        resize: int | Sequence[int] | None,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        **more: Any,
    ) -> Preprocessing:
        """The same from values as people write them: one number for a square, one for grey.

        Args:
            more: the other attributes.

        Raises:
            BadInput: `mean` and `std` do not fit one another or frames, or a name is unknown.
        """
        means, stds = _per_channel("mean", mean), _per_channel("std", std)
        if len(means) != len(stds) or len(means) not in (1, 3):
            raise BadInput(
                f"mean= has {len(means)} and std= has {len(stds)} values: give three of each for "
                "colour frames, or one of each for grey ones"
            )
        if not np.isfinite((*means, *stds)).all() or 0 in stds:
            raise BadInput(f"mean={means}, std={stds}: give finite numbers, and no std of 0")
        scaled = resize if resize is None or isinstance(resize, int) else _pair(resize)
        made = cls(_pair(size), scaled, means, stds, **more)
        for what, value, known in (
            ("library", made.library, LIBRARIES),
            ("filter", made.filter, FILTERS),
        ):
            if value not in known:
                raise BadInput(f"preprocessing: {what}={value!r} is none of {', '.join(known)}")
        return made

    @property
    def channels(self) -> int:
        """How many channels the network gets: 3 for colour, 1 for grey."""
        return len(self.mean)

    def differences(self) -> dict[str, Any]:
        """What is not as in this package's own way, by name: for a checkpoint's metadata."""
        optional = ("library", "filter", "antialias", "crop")
        usual = {field.name: field.default for field in fields(self) if field.name in optional}
        return {k: getattr(self, k) for k, default in usual.items() if getattr(self, k) != default}

    # --- where ------------------------------------------------------------------------------

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of a scaled frame of height × width pixels."""
        if self.resize is None:
            return height, width
        if not isinstance(self.resize, int):
            rows, columns = self.resize
        elif self.library in ("own", "opencv"):
            ratio = self.resize / min(height, width)
            rows, columns = round(height * ratio), round(width * ratio)
        else:
            long = int(self.resize * max(height, width) / min(height, width))
            rows, columns = (self.resize, long) if height < width else (long, self.resize)
        if self.library == "own":
            return max(rows, self.size[0]), max(columns, self.size[1])
        return rows, columns

    def view(self, height: int, width: int) -> View:
        """Which part of a picture of height × width pixels the network sees, in its pixels."""
        rows, columns = self.resized(height, width)
        seen = self.size if self.crop else (rows, columns)
        top, left = self._first(rows, seen[0]), self._first(columns, seen[1])
        # In original pixels: the resize is undone by the ratio of the sides.
        down, right = height / rows, width / columns
        return View(
            height,
            width,
            *seen,
            top=top * down,
            left=left * right,
            bottom=(top + seen[0]) * down,
            right=(left + seen[1]) * right,
        )

    def _first(self, length: int, crop: int) -> int:
        """Where a crop begins; below 0 where it is longer than the frame, by its black margin."""
        if crop > length and self.library != "pillow":
            return -((crop - length) // 2)
        if self.library == "torchvision":
            return round((length - crop) / 2)
        return (length - crop) // 2

    # --- what -------------------------------------------------------------------------------

    def cut(self, frames: Tensor) -> Tensor:
        """Frames, uint8 (T, 3, H, W) on the CPU, scaled and cropped: uint8 (T, C, h, w)."""
        if self.channels == 1:
            frames = grey(frames)
        height, width = frames.shape[-2:]
        rows, columns = self.resized(height, width)
        if (rows, columns) != (height, width):
            frames = self._scaled(frames, (rows, columns))
        if not self.crop:
            return frames
        top, left = self._first(rows, self.size[0]), self._first(columns, self.size[1])
        bottom, right = top + self.size[0] - rows, left + self.size[1] - columns
        # A negative margin is cut off, a positive one is black.
        margins = (-left, right, -top, bottom)
        if any(margin > 0 for margin in margins):
            return F.pad(frames, margins)
        return frames[..., top : top + self.size[0], left : left + self.size[1]]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Pixels (T, C, h, w) of 0..255 as the network takes them, float32."""
        shape = (self.channels, 1, 1)
        x = pixels.float()
        if self.library == "own":
            # In this order the checkpoints of this package were trained, and it stays so to the
            # bit. Where std is 1/255 it is wrong by 1e-5.
            scale = 1 / (255 * torch.tensor(self.std))
            shift = torch.tensor(self.mean) / torch.tensor(self.std)
            return x * scale.to(x.device).view(shape) - shift.to(x.device).view(shape)
        mean = torch.tensor([255 * value for value in self.mean], device=x.device)
        std = torch.tensor([255 * value for value in self.std], device=x.device)
        return (x - mean.view(shape)) / std.view(shape)

    def _scaled(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Frames (T, C, H, W) at another size; all libraries give whole numbers again."""
        if self.library == "pillow":
            return _by_pillow(frames, size, self.filter)
        smooth = self.filter in ("bilinear", "bicubic", "lanczos")
        options: dict[str, Any] = {"size": size, "mode": self.filter}
        if smooth:
            options |= {"antialias": self.antialias, "align_corners": False}
        if self._in_whole_numbers():
            return F.interpolate(frames, **options)
        scaled = []
        for part in frames.split(FRAMES_AT_ONCE):
            values = F.interpolate(part.float(), **options)
            values = values.clamp(0, 255) if self.filter != "bilinear" else values
            scaled.append(values.round().to(torch.uint8))
        return torch.cat(scaled)

    def _in_whole_numbers(self) -> bool:
        """Whether the library scales uint8 as it is, which rounds between rows and columns."""
        if self.library == "own" or "nearest" in self.filter:
            return True
        if self.library != "transformers":
            return False
        # As torchvision.transforms.v2 decides, on which the processors of transformers stand.
        quick = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        return quick or self.filter != "bilinear" or platform.machine() in ("aarch64", "arm64")


def grey(frames: Tensor) -> Tensor:
    """Colour frames, uint8 (T, 3, H, W), as one channel, uint8 (T, 1, H, W).

    ITU-R 601 luma in whole numbers, to the bit as PIL's "L": (19595 R + 38470 G + 7471 B) / 65536.
    """
    red, green, blue = frames.to(torch.int32).unbind(dim=1)
    luma = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
    return luma.to(torch.uint8).unsqueeze(1)


def _by_pillow(frames: Tensor, size: tuple[int, int], filter: str) -> Tensor:
    """Frames (T, C, H, W), scaled one by one with PIL."""
    from PIL import Image

    how = Image.Resampling[filter.removesuffix("-exact").upper()]
    scaled = []
    for frame in frames.permute(0, 2, 3, 1).numpy():  # (H, W, C)
        pixels = frame[..., 0] if frame.shape[-1] == 1 else frame
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        small = np.array(picture.resize((size[1], size[0]), how))
        scaled.append(torch.from_numpy(small.reshape(*size, -1)))
    return torch.stack(scaled).permute(0, 3, 1, 2)


def _per_channel(name: str, values: Any) -> tuple[float, ...]:
    """One number or some, as a tuple."""
    try:
        found = tuple(float(v) for v in np.atleast_1d(np.asarray(values, float)))
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}={values!r}: give one number, or one for each channel") from error
    return found


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) from a number or a pair."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
