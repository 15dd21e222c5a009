"""Methods that change the clip and watch the answer: they need nothing but the network's logits.

What is removed is replaced in the network's own input, after normalisation, by a stated baseline
(`..baselines`): "mean-colour" (zero), or, say, "first-frame", which takes the motion and leaves the
objects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...geometry import Axis
from ...models.modes import at_least_float32
from ..baselines import FIXED, all_removed, check_baseline, remove
from .base import ForwardContext, GridAxes, Maps, Method, need, need_whole, pixel_axes, spread


@dataclass(frozen=True)
class Occlusion(Method):
    """Occlusion, Zeiler & Fergus 2014 (arXiv:1311.2901), sec. 4.2: a box slides over the clip.

    signed[k, i] = y[k](x) - y[k](x with box i hidden)

    The box has a duration as well; a cell of the map is one place of the box, drawn at its centre.
    One forward per place gives all K logits.

    Args:
        window: (frames, rows, columns) of the box; None: a quarter of the clip each way.
        step: by how much it moves at most (the places are spread evenly, so that they cover all of
            the clip); None: half its rows and columns, and its whole duration.
        baseline: what hides, one of `baselines.BASELINES`; "mean-colour" is the paper's grey.
    """

    window: tuple[int, int, int] | None = None
    step: tuple[int, int, int] | None = None
    baseline: str = "mean-colour"

    def __post_init__(self) -> None:
        check_baseline(self.baseline, "occlusion")
        for name in ("window", "step"):
            three = getattr(self, name)
            need(
                three is None or len(three) == 3,
                f"occlusion: {name}={three!r}: give (frames, rows, columns)",
            )
            for value in three or ():
                need_whole("occlusion", **{name: value})

    def maps(self, context: ForwardContext) -> Maps:
        axes, window = self._axes(context.x)
        shape = tuple(axis.cells for axis in axes)
        logits = context.logits(context.x.split(context.at_once))  # (N, K)
        wanted, signed = context.wanted(logits), []
        for x, y in zip(context.x, logits, strict=True):
            boxes = _boxes(x.shape[-3:], axes, window, context.at_once)
            pieces = (remove(x[None], some.to(x.device), self.baseline) for some in boxes)
            hidden = context.logits(pieces)  # (Z, K)
            signed.append((y - hidden)[:, wanted].T.unflatten(1, shape))  # (k, T', h, w)
        return Maps(logits, torch.stack(signed), axes=axes)

    def _axes(self, x: Tensor) -> tuple[GridAxes, tuple[int, ...]]:
        """Where the centres of the boxes lie, and the size of a box in this clip."""
        sizes = x.shape[-3:]
        window = self.window or [max(1, n // 4) for n in sizes]
        window = tuple(min(w, n) for w, n in zip(window, sizes, strict=True))
        step = self.step or (window[0], *(max(1, w // 2) for w in window[1:]))
        time, rows, columns = map(_places, sizes, window, step)
        return (time, rows, columns), window


def _places(size: int, window: int, step: int) -> Axis:
    """The centres of windows that are spread evenly over an axis, `step` or less apart."""
    places = math.ceil((size - window) / step) + 1
    stride = (size - window) / (places - 1) if places > 1 else 1.0
    return Axis(places, size, (window - 1) / 2, stride)


def _boxes(
    sizes: Sequence[int], axes: GridAxes, window: tuple[int, ...], at_once: int
) -> Iterator[Tensor]:
    """Where each box lies in a clip of these sizes, a few at a time: bool (b, 1, T, H, W)."""
    places = product(*(range(axis.cells) for axis in axes))
    while some := list(islice(places, at_once)):
        boxes = torch.zeros(len(some), 1, *sizes, dtype=torch.bool)
        for box, place in zip(boxes, some, strict=True):
            starts = [round(axis.stride * i) for axis, i in zip(axes, place, strict=True)]
            t, r, c = (slice(s, s + w) for s, w in zip(starts, window, strict=True))
            box[:, t, r, c] = True
        yield boxes


@dataclass(frozen=True)
class RISE(Method):
    """RISE, Petsiuk et al. 2018 (arXiv:1806.07421), eqs. 5 and 6, with masks in space and time.

    signed[k, i] = 1 / (n * p) * sum over n random masks m of  (p[k](x * m) - mean of p[k]) * m[i]

    p[k] is the probability of class k (its value where the network gives none), p the share that a
    mask lets through. The paper leaves out "- mean of p[k]": its map is positive everywhere. With
    it, zero is where seeing a cell does not matter, and cells that chance showed more often gain
    nothing by it. A mask is a coarse grid of zeros and ones, moved by a random part of a cell and
    linear in between. Its forward gives the scores of all K classes.

    Args:
        masks: how many; each is a forward. The paper takes 4,000 to 8,000 for a picture.
        seed: the masks are the same for every clip.
        coarse: (moments, rows, columns) of the coarse grid.
        share: p, the chance that a coarse cell is seen.
        baseline: what is shown where a mask is zero, one of `baselines.FIXED`.
        cells: of the map's grid, along height and width.
    """

    masks: int = 500
    seed: int = 0
    coarse: tuple[int, int, int] = (4, 7, 7)
    share: float = 0.5
    baseline: str = "mean-colour"
    cells: int = 14

    def __post_init__(self) -> None:
        need_whole("rise", masks=self.masks, cells=self.cells)
        need_whole("rise", 0, seed=self.seed)
        need(len(self.coarse) == 3, f"rise: coarse={self.coarse!r}: give (moments, rows, columns)")
        for value in self.coarse:
            need_whole("rise", coarse=value)
        need(0 < self.share < 1, f"rise: share={self.share!r}: give a number between 0 and 1")
        check_baseline(self.baseline, "rise", FIXED)

    def maps(self, context: ForwardContext) -> Maps:
        axes = pixel_axes(context.x, self.cells)
        base = all_removed(context.x, self.baseline)
        logits = context.logits(context.x.split(context.at_once))
        wanted, signed = context.wanted(logits), []
        for x, b in zip(context.x, base, strict=True):
            scores, seen = [], []
            for pixels, cells in self._masks(x, axes, context.at_once):
                masked = pixels * x + (1 - pixels) * b  # (b, 3, T, H, W)
                scores.append(context.model.activated(context.logits([masked]))[:, wanted])
                seen.append(cells)
            score, mask = torch.cat(scores), torch.cat(seen)  # (n, k), (n, T, h, w)
            score = score - score.mean(dim=0)
            one = torch.einsum("nk,nthw->kthw", score, mask.to(score))
            signed.append(one / (self.masks * self.share))
        return Maps(logits, torch.stack(signed), axes=axes)

    def _masks(self, x: Tensor, axes: GridAxes, at_once: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Masks a few at a time: over pixels (b, 1, T, H, W), at the map's cells (b, T, h, w)."""
        rng = np.random.default_rng(self.seed)
        # One cell more on either side, so that a moved grid still covers the clip.
        shape = [n + 2 for n in self.coarse]
        for start in range(0, self.masks, at_once):
            pixels, cells = [], []
            for _ in range(min(at_once, self.masks - start)):
                grid = torch.from_numpy(rng.random(shape) < self.share).to(x)
                moved = rng.random(3)
                time, rows, columns = (
                    Axis(n, size, -move * size / (n - 2), size / (n - 2))
                    for n, size, move in zip(shape, x.shape[1:], moved, strict=True)
                )
                pixels.append(spread(grid, (time, rows, columns)))
                at = [axis.centres() for axis in axes]
                cells.append(spread(grid, (time, rows, columns), at))
            yield torch.stack(pixels)[:, None], torch.stack(cells)


@dataclass(frozen=True)
class TemporalMask(Method):
    """The temporal masks of Mänttäri, Broomé et al. 2020 (arXiv:2002.00367), sec. 3.1: when only.

    m = argmin of  sparse * sum_t |m[t]| + smooth * sum_t |m[t+1] - m[t]|^3 + p[k](x changed by m)

    m[t] in 0..1 is how far moment t is taken away, p[k] the probability of class k (its value where
    the network gives none):

    - "freeze": x'[t] = (1 - m[t]) * x[t] + m[t] * x'[t-1], the picture stands still;
    - "reverse": x'[t] = (1 - m[t]) * x[t] + m[t] * x[mirrored t], every run of moments with m > 0.1
      is played backwards.

    The search (Adam on the logit of m) begins with the shortest run in the middle of the clip that
    costs the class 90 % of what changing the whole clip does. The map is m where it is above 0.1,
    T × 1 × 1; the remark of an explanation says what the mask does to the score of its first class.

    Args:
        change: "freeze" or "reverse".
        steps: of the search; each is a forward and a backward, for each class. The paper takes 300.
        rate: learning rate.
        sparse, smooth: weights of the two penalties, the paper's for Something-Something.
    """

    change: str = "freeze"
    steps: int = 100
    rate: float = 0.2
    sparse: float = 0.01
    smooth: float = 0.02

    every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        need(
            self.change in ("freeze", "reverse"),
            f"temporal-mask: unknown change {self.change!r}: use freeze or reverse",
        )
        need_whole("temporal-mask", steps=self.steps)
        for name in ("rate", "sparse", "smooth"):
            value = getattr(self, name)
            need(value >= 0, f"temporal-mask: {name}={value!r}: give a number, 0 or more")

    def maps(self, context: ForwardContext) -> Maps:
        frames = context.x.shape[2]
        need(frames > 1, "temporal-mask needs more than one frame: nothing moves in a single one")
        logits = context.logits(context.x.split(context.at_once))
        classes = context.wanted_of_each(logits)
        masks, remarks = [], []
        for x, y, own in zip(context.x.split(1), logits, classes, strict=True):
            found = torch.stack([self._search(context, x, k) for k in own])  # (k, T)
            masks.append(found)
            first = int(own[0])
            with torch.no_grad():
                changed = self._score(context, x, found[0], own[0])
            done = {"freeze": "frozen", "reverse": "reversed"}[self.change]
            label, whole = context.model.labels[first], context.model.activated(y[None])[0, first]
            remarks.append(f"{label}: {whole:.3f}, with the marked moments {done} {changed:.3f}")
        signed = torch.stack(masks)[..., None, None]  # (N, k, T, 1, 1)
        axes = (Axis(frames, frames, 0.0, 1.0), *pixel_axes(context.x, 1)[1:])
        return Maps(logits, at_least_float32(signed), classes, axes, remarks)

    def _search(self, context: ForwardContext, x: Tensor, k: Tensor) -> Tensor:
        """The mask of one clip (1, 3, T, H, W) and class: (T)."""
        raw = self._start(context, x, k).logit().requires_grad_()
        adam = torch.optim.Adam([raw], lr=self.rate)
        with torch.enable_grad():
            for _ in range(self.steps):
                m = raw.sigmoid()
                loss = self.sparse * m.sum() + self.smooth * m.diff().abs().pow(3).sum()
                loss = loss + self._score(context, x, m, k)
                # Not backward(), which would leave gradients in the network's parameters.
                (raw.grad,) = torch.autograd.grad(loss, [raw])
                adam.step()
        m = raw.detach().sigmoid()
        return torch.where(m > 0.1, m, 0)

    @torch.no_grad()
    def _start(self, context: ForwardContext, x: Tensor, k: Tensor) -> Tensor:
        """Nearly one in the shortest middle run that costs 90 % of the whole clip's drop: (T)."""
        frames = x.shape[2]
        whole = torch.ones(frames).to(x)
        before, after = (self._score(context, x, m, k) for m in (0 * whole, whole))
        for length in range(1, frames + 1):
            begin = (frames - length) // 2
            run_of_ones = torch.zeros_like(whole)
            run_of_ones[begin : begin + length] = 1
            if before - self._score(context, x, run_of_ones, k) >= 0.9 * (before - after):
                break
        return run_of_ones.clamp(0.05, 0.95)

    def _score(self, context: ForwardContext, x: Tensor, m: Tensor, k: Tensor) -> Tensor:
        """Probability of class k, or its value, for the clip changed by m (T)."""
        changed = frozen(x, m) if self.change == "freeze" else reversed_in(x, m)
        return context.model.activated(context.forward(changed))[0, k]


def frozen(x: Tensor, m: Tensor) -> Tensor:
    """x'[t] = (1 - m[t]) * x[t] + m[t] * x'[t-1] of clips (N, 3, T, H, W); x'[0] = x[0]."""
    frames = [x[:, :, 0]]
    for t in range(1, x.shape[2]):
        frames.append((1 - m[t]) * x[:, :, t] + m[t] * frames[-1])
    return torch.stack(frames, dim=2)


def reversed_in(x: Tensor, m: Tensor) -> Tensor:
    """Each run of moments with m > 0.1 mixed, by m, with itself played backwards."""
    mirrored = np.arange(len(m))
    on = np.concatenate([[False], (m.detach() > 0.1).cpu().numpy(), [False]])
    changes = np.flatnonzero(on[1:] != on[:-1])  # begin, end, begin, end …
    for begin, end in zip(changes[0::2], changes[1::2], strict=True):
        mirrored[begin:end] = mirrored[begin:end][::-1]
    weight = m[:, None, None]  # (T, 1, 1)
    return (1 - weight) * x + weight * x[:, :, torch.from_numpy(mirrored).to(x.device)]
