"""What can be shown: whatever has these attributes. An `Explanation` has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from ..data.clip import Clip
    from ..geometry import Grid
    from ..windows import Windows


class Drawable(Protocol):
    """Logits and maps of a clip, for K classes of which k have maps.

    The words, shapes and scales are those of `gradcam_video.Explanation`: `signed` and `maps` are
    float32 (k, T', h, w), `logits` and `probabilities` float32 (K,), `classes` int64 (k,).
    """

    # Properties, because a drawing changes nothing: a frozen dataclass fits.
    @property
    def clip(self) -> Clip: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def logits(self) -> np.ndarray: ...
    @property
    def classes(self) -> np.ndarray: ...
    @property
    def signed(self) -> np.ndarray: ...
    @property
    def grid(self) -> Grid: ...
    @property
    def model(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def untrained(self) -> bool: ...
    @property
    def true_label(self) -> str | None: ...
    @property
    def remark(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def output(self) -> str: ...
    @property
    def windows(self) -> Windows | None: ...
    @property
    def maps(self) -> np.ndarray: ...
    @property
    def probabilities(self) -> np.ndarray: ...
    @property
    def window_probabilities(self) -> np.ndarray: ...
    @property
    def empty(self) -> np.ndarray: ...
    @property
    def empty_classes(self) -> list[str]: ...

    def top(self, n: int = 2, window: int | None = None) -> list[tuple[str, float]]:
        """The n most probable classes, best first; those of one window of a long video."""
        ...

    def window_of(self, frame: int) -> int:
        """The window that speaks for a frame."""
        ...

    def row(self, label: str | int | None = None) -> int:
        """The row of `maps` of a class; None: the top class."""
        ...

    def row_scale(self, row: int, scope: str = "clip") -> np.ndarray:
        """What a row's map is divided by, per frame, float32 (T,)."""
        ...

    def row_frame(self, row: int, frame: int, scale: float) -> np.ndarray:
        """One frame of a row's map on the clip's own pixels, float32 (H, W) in 0..1."""
        ...

    def row_evidence(self, row: int) -> np.ndarray:
        """A row's evidence in each frame, float32 (T,)."""
        ...
