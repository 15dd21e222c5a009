"""Explanation: the logits and the maps of every class for one clip, and how to look at them.

It is data and knows no network: maps of any method are scaled, drawn on the clip's own frames and
saved in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .data.labels import find_label
from .errors import BadInput
from .geometry import SCOPES, Grid, energy
from .windows import Windows

if TYPE_CHECKING:  # only its attributes are used here, and its module reads videos
    from .data.clip import Clip


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one forward of a network on one clip says, for every class.

    Attributes:
        clip: the frames that went in.
        labels: names of all K classes.
        logits: float32 (K,), before softmax or sigmoid; of a network without them, its values.
        classes: int64 (k,), indices into `labels`, one per row of `maps`. All K unless a method is
            costly and fewer were asked for.
        signed: float32 (k, T', h, w), the maps before ReLU, not normalised. Those of Grad-CAM for a
            network that ends in global average pooling and a linear layer sum to logit - bias.
        grid: where the cells lie on the frames.
        model, method: names, for titles and files.
        untrained: the network has random weights; every picture says so.
        true_label: the clip's own label where it is known.
        remark: one line about the network or the method that every output carries.
        output: what the numbers mean: "softmax", "sigmoid", "probability" (they are probabilities
            already) or "value" (a regression, a difference: never shown as a probability).
        windows: of a long video that was explained in windows: the answer of each, see `Windows`.
            `logits` are then their mean. None of a clip.
    """

    clip: Clip
    labels: tuple[str, ...]
    logits: np.ndarray
    classes: np.ndarray
    signed: np.ndarray
    grid: Grid
    model: str = ""
    method: str = "gradcam"
    untrained: bool = False
    true_label: str | None = None
    remark: str = ""
    seconds: float = field(default=0.0, compare=False)
    output: str = "softmax"
    windows: Windows | None = None

    @cached_property
    def maps(self) -> np.ndarray:
        """float32 (k, T', h, w): the positive evidence, ReLU(signed), not normalised."""
        return np.maximum(self.signed, 0)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Softmax or sigmoid of the logits, or themselves where `output` says so, float32 (K,)."""
        return _probabilities(self.logits, self.output)

    @cached_property
    def window_probabilities(self) -> np.ndarray:
        """The same of each window of a long video, float32 (n, K); of a clip, of itself: (1, K)."""
        logits = self.logits[None] if self.windows is None else self.windows.logits
        return _probabilities(logits, self.output)

    @cached_property
    def _window_of(self) -> np.ndarray:
        """For each frame, the window in whose middle it lies best, int64 (T,)."""
        if self.windows is None:
            return np.zeros(len(self.clip.times), np.int64)
        return self.windows.nearest(self.clip.times)

    def window_of(self, frame: int) -> int:
        """The row of `window_probabilities` that speaks for a frame. Of a clip: 0."""
        return int(self._window_of[frame])

    @property
    def empty(self) -> np.ndarray:
        """Which rows of `maps` hold no positive evidence at all, bool (k,)."""
        return self.maps.reshape(len(self.maps), -1).max(axis=1) <= 0

    @property
    def empty_classes(self) -> list[str]:
        """Names of the classes without any positive evidence."""
        return [self.labels[k] for k in self.classes[self.empty]]

    def top(self, n: int = 2, window: int | None = None) -> list[tuple[str, float]]:
        """The n most probable classes, [(label, probability), …], best first.

        Where `output` is "value": the largest values, [(label, value), …].

        Args:
            n: how many.
            window: of a long video: those of one window, counted from 0. None: of the mean logits.
        """
        logits, shown = self.logits, self.probabilities
        if window is not None and self.windows is not None:
            logits, shown = self.windows.logits[window], self.window_probabilities[window]
        best = np.argsort(-logits, kind="stable")[:n]
        return [(self.labels[k], float(shown[k])) for k in best]

    def row(self, label: str | int | None = None) -> int:
        """The row of `maps` of a class, given its name or index; None: the top class.

        Raises:
            BadInput: the label is unknown or ambiguous, or its map was not asked for.
        """
        if label is None:
            label = int(np.argmax(self.logits))
        elif isinstance(label, str):
            label = find_label(label, self.labels)
        rows = np.flatnonzero(self.classes == label)
        if not len(rows):
            known = "it is not a class of this model"
            if 0 <= int(label) < len(self.labels):
                known = f"only {len(self.classes)} of {len(self.labels)} classes were explained"
            raise BadInput(f"no map for class {label}: {known}; name it in classes=[…]")
        return int(rows[0])

    # From the raw map to a picture: divided by its scale, then brought to frames and pixels.
    def scale(self, label: str | int | None = None, scope: str = "clip") -> np.ndarray:
        """What the map is divided by, per frame, float32 (T,): the raw maximum in the scope.

        "clip": the maximum of this class's map, so that its strongest moment is 1. "frame": each
        frame by its own maximum, which hides *when*. "classes": one number for all classes, so
        that a class with little evidence stays dark. A maximum of zero gives 1: empty stays empty.
        """
        return self.row_scale(self.row(label), scope)

    def row_scale(self, row: int, scope: str = "clip") -> np.ndarray:
        """`scale` of a row of `maps`."""
        if scope not in SCOPES:
            raise BadInput(f"unknown scope {scope!r}: use one of {', '.join(SCOPES)}")
        frames = self.grid.time.size
        if scope == "frame":
            over_time = self._in_time(row)  # (T, h, w)
            scale = over_time.reshape(frames, -1).max(axis=1)
        else:
            raw = self.maps if scope == "classes" else self.maps[row]
            scale = np.full(frames, raw.max(), np.float32)
        return np.where(scale > 0, scale, 1).astype(np.float32)

    def upsampled(self, label: str | int | None = None, scope: str = "clip") -> np.ndarray:
        """The map of a class on the clip's own frames and pixels, float32 (T, H, W) in 0..1.

        Each cell is drawn at the centre of its receptive field, linear in between; what the network
        did not see (its crop) is zero. An empty map stays all zeros.
        """
        row, scale = self.row(label), self.scale(label, scope)
        drawn = np.empty((self.grid.time.size, *self.clip.frames.shape[1:3]), np.float32)
        for frame in range(len(drawn)):
            drawn[frame] = self.row_frame(row, frame, scale[frame])
        return drawn

    def upsampled_frame(
        self, frame: int, label: str | int | None = None, scope: str = "clip"
    ) -> np.ndarray:
        """One frame of `upsampled`, float32 (H, W): for long or large clips."""
        row = self.row(label)
        return self.row_frame(row, frame, self.row_scale(row, scope)[frame])

    def row_frame(self, row: int, frame: int, scale: float) -> np.ndarray:
        """One frame of a row of `maps`, divided by `scale`, on the clip's pixels.

        (T', h, w) -> (h, w) -> (H, w) -> (H, W), float32 in 0..1.
        """
        weights = self.grid.time.weights(np.array([frame]))[0]  # (T')
        cells = np.tensordot(weights, self.maps[row], axes=1) / scale
        rows = self._row_weights @ cells
        # einsum, not @: for so thin a product BLAS spends its time waking its threads.
        drawn = np.einsum("yw,wx->yx", rows, self._column_weights)
        return np.clip(drawn, 0, 1, out=drawn)

    @cached_property
    def _row_weights(self) -> np.ndarray:
        return self.grid.row_weights()  # (H, h)

    @cached_property
    def _column_weights(self) -> np.ndarray:
        return np.ascontiguousarray(self.grid.column_weights().T)  # (w, W)

    def evidence(self, label: str | int | None = None) -> np.ndarray:
        """How much evidence each frame holds: the map's sum over space, float32 (T,), raw scale."""
        return self.row_evidence(self.row(label))

    def row_evidence(self, row: int) -> np.ndarray:
        """`evidence` of a row of `maps`."""
        return self._in_time(row).sum(axis=(1, 2))

    def _in_time(self, row: int) -> np.ndarray:
        """One class's raw map, brought to the frames: (T', h, w) -> (T, h, w)."""
        return np.tensordot(self.grid.frame_weights(), self.maps[row], axes=1)

    def inside(self, mask: np.ndarray, label: str | int | None = None) -> float:
        """The share of a class's positive evidence that lies inside a mask, 0..1.

        The energy-based pointing game of Score-CAM (Wang et al. 2020, sec. 4.2), of the map as
        `upsampled` draws it. A map without evidence has none inside: 0.

        Args:
            mask: bool (H, W), the same in every frame, or (T, H, W), in the clip's own pixels.
            label: the class; None: the top class.

        Raises:
            BadInput: the mask has another shape, or is not bool.
        """
        mask = np.asarray(mask)
        whole = (len(self.clip.times), *self.clip.frames.shape[1:3])
        if mask.dtype != bool or mask.shape not in (whole, whole[1:]):
            raise BadInput(
                f"inside: the mask is {mask.dtype} {mask.shape}: give bool {whole[1:]} or {whole}"
            )
        return energy(self.upsampled(label), np.broadcast_to(mask, whole))

    def with_label(self, true_label: str | None) -> Explanation:
        """The same explanation, the clip's true label noted."""
        return replace(self, true_label=true_label)

    @classmethod
    def load(cls, path: str | Path) -> Explanation:
        """The explanation that `save` wrote: the maps within 1/2048, the frames as JPEGs.

        Args:
            path: the folder, or its explanation.npz.

        Returns:
            It draws and measures as the first one did. The frames come from player.html; where that
            is missing, or the clip has more than 240 frames, they are black, and `clip.note` says
            so.

        Raises:
            BadInput: no such file, or not one of `save`.
        """
        from .show.saved import read_saved

        return cls(**read_saved(path))

    def __repr__(self) -> str:
        from .show.captions import short_answer

        mark = ", UNTRAINED" if self.untrained else ""
        steps, rows, columns = self.signed.shape[1:]
        some = "1 map" if len(self.signed) == 1 else f"{len(self.signed)} maps"
        maps = f"{some} of {steps}×{rows}×{columns}"
        best = ", ".join(f"{name} {short_answer(self, value)}" for name, value in self.top(2))
        about = f"{self.method} of {self.model or 'a network'}{mark}"
        return f"Explanation({str(self.clip.source)!r}, {about}: {best} ({self.output}); {maps})"

    # Looking at it. Imported late: show/ knows this module, not the other way round.
    def sheet(self, label: str | int | None = None, **options: Any) -> Any:
        """Contact sheet of all frames, a matplotlib figure. See `gradcam_video.show.sheet`."""
        from .show.contact_sheet import sheet

        return sheet(self, label, **options)

    def player(self, label: str | int | None = None, **options: Any) -> Any:
        """Interactive player, a widget (on Colab a page). See `gradcam_video.show.player`."""
        from .show.notebook import player

        return player(self, label, **options)

    def _repr_html_(self) -> str:
        from .show.notebook_card import card

        return card(self)

    def save(self, folder: str | Path, **options: Any) -> list[Path]:
        """Write all outputs into a folder, or `only` some. See `gradcam_video.show.save`."""
        from .show.export import save

        return save(self, folder, **options)


def _probabilities(logits: np.ndarray, output: str) -> np.ndarray:
    """What logits (…, K) stand for, float32 (…, K)."""
    logits = logits.astype(np.float64)
    if output == "sigmoid":
        shown = 0.5 + 0.5 * np.tanh(logits / 2)  # 1 / (1 + exp(-logit)), and never overflows
    elif output == "softmax":
        exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shown = exps / exps.sum(axis=-1, keepdims=True)
    else:
        shown = logits
    return shown.astype(np.float32)
