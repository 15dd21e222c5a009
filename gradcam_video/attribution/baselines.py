"""Baselines: what a clip shows where something of it is removed. One name, one meaning.

The methods that perturb a clip (`methods/perturbation.py`, integrated gradients) and the measures
that do (deletion and insertion, `metrics/faithfulness.py`) choose from the same six:

- `mean-colour`: the mean colour of the training clips. Everything is lost.
- `blur`: the same frame, blurred. Detail is lost, coarse motion stays.
- `mean-frame`: the clip's mean over time. Motion is lost, a ghost of what has moved stays.
- `median-frame`: the clip's median over time. Motion is lost, and whatever only passes through.
- `first-frame`: the clip's first frame. Motion is lost, the objects stay.
- `hold-frame`: the last frame before it in which this place is kept. Time stands still there.

Each is one function of

    x         clips as the network is given them, after normalisation: (N, 3, T, H, W)
    removed   bool (S, 1, T, H, W), with S = N or N = 1

and returns what is shown, of a shape that spreads to (S, 3, T, H, W). Its values count only where
`removed` is true. Only `hold-frame` looks at `removed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import BadInput

BLUR = 0.1
"""Standard deviation of the blur, of the short side: no detail of a hand is left."""


# --- the six ------------------------------------------------------------------------------------


def mean_colour(x: Tensor, removed: Tensor) -> Tensor:
    """The mean colour of the network's training clips, which is zero in its input: (N, 3, T, H, W).

    The grey of Zeiler & Fergus 2014 (arXiv:1311.2901), sec. 4.2.
    """
    return torch.zeros_like(x)


def blur(x: Tensor, removed: Tensor) -> Tensor:
    """Every frame by itself, blurred; standard deviation `BLUR` of the short side: (N, 3, T, H, W).

    The numbers are those of `torchvision.transforms.functional.gaussian_blur`, which is not needed
    for it.
    """
    short = min(x.shape[-2:])
    sigma = BLUR * short
    reach = min(round(3 * sigma), short - 1)  # a border can be mirrored no further
    at = torch.linspace(-reach, reach, 2 * reach + 1, dtype=x.dtype, device=x.device)
    bell = torch.exp(-0.5 * (at / sigma).pow(2))
    bell = bell / bell.sum()
    frames = x.flatten(0, 1)  # (N · 3, T, H, W): torch calls the T frames of one colour channels
    count = frames.shape[1]
    kernel = torch.mm(bell[:, None], bell[None, :]).expand(count, 1, -1, -1)
    frames = functional.pad(frames, [reach] * 4, mode="reflect")
    return functional.conv2d(frames, kernel, groups=count).view_as(x)


def mean_frame(x: Tensor, removed: Tensor) -> Tensor:
    """The clip's mean over time: (N, 3, 1, H, W)."""
    return x.mean(dim=2, keepdim=True)


def median_frame(x: Tensor, removed: Tensor) -> Tensor:
    """The clip's median over time: (N, 3, 1, H, W). Of two in the middle it is the lower one."""
    return x.median(dim=2, keepdim=True).values


def first_frame(x: Tensor, removed: Tensor) -> Tensor:
    """The clip's first frame, whatever is removed: (N, 3, 1, H, W)."""
    return x[:, :, :1]


def hold_frame(x: Tensor, removed: Tensor) -> Tensor:
    """What was there in the last frame that is kept at this place: (S, 3, T, H, W).

    Before the first frame that is kept, what that one shows; where none is kept, the first frame.
    """
    frames = x.shape[2]
    at = torch.arange(frames, device=x.device).view(1, 1, -1, 1, 1)
    before = torch.where(removed, -1, at).cummax(dim=2).values  # (S, 1, T, H, W)
    after = torch.where(removed, frames, at).flip(2).cummin(dim=2).values.flip(2)
    source = torch.where(before >= 0, before, after)
    source = torch.where(source < frames, source, 0).expand(-1, x.shape[1], -1, -1, -1)
    return x.expand(len(removed), -1, -1, -1, -1).gather(2, source)


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean-colour": mean_colour,
    "blur": blur,
    "mean-frame": mean_frame,
    "median-frame": median_frame,
    "first-frame": first_frame,
    "hold-frame": hold_frame,
}
"""name -> the function above."""
FIXED = tuple(name for name in BASELINES if name != "hold-frame")
"""Those that do not look at `removed`: with them one may also remove by degrees."""

_FORMER = {
    "zeros": "mean-colour",
    "mean": "mean-colour (of the training clips) or mean-frame (of the clip, over time)",
    "median": "median-frame",
    "frozen": "first-frame (whatever is removed) or hold-frame (the last one that is kept)",
}
"""Former names. Two of them meant one thing to the methods and another to the measures."""


# --- how they are used --------------------------------------------------------------------------


def check_baseline(name: str, user: str = "", known: Collection[str] = tuple(BASELINES)) -> None:
    """Refuse a baseline that is not known.

    Args:
        name: what was given.
        user: whose option it is, for the message.
        known: what the user can do with, of `BASELINES`.

    Raises:
        BadInput: another name, or one that is called otherwise now.
    """
    if name in known:
        return
    before = f"{user}: " if user else ""
    if name in _FORMER:
        raise BadInput(f"{before}the baseline {name!r} has another name now: {_FORMER[name]}")
    if name in BASELINES:
        raise BadInput(
            f"{before}the baseline {name!r} needs pieces that are removed whole, and here they are "
            f"removed by degrees: use one of {', '.join(known)}"
        )
    raise BadInput(f"{before}unknown baseline {name!r}: use one of {', '.join(known)}")


def remove(x: Tensor, removed: Tensor, baseline: str) -> Tensor:
    """Clips with a part removed.

    Args:
        x: (N, 3, T, H, W).
        removed: bool (S, 1, T, H, W), with S = N or N = 1.
        baseline: one of `BASELINES`.

    Returns:
        (S, 3, T, H, W).
    """
    return torch.where(removed, BASELINES[baseline](x, removed), x)


def all_removed(x: Tensor, baseline: str) -> Tensor:
    """What clips show when nothing of them is kept: (N, 3, T, H, W) -> the same shape."""
    everything = torch.ones_like(x[:, :1], dtype=torch.bool)
    return BASELINES[baseline](x, everything).expand_as(x)
