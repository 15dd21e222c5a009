"""A long video explained whole: overlapping windows whose maps are joined along time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.clip import Clip, read_windows
from ..data.colours import Untagged
from ..errors import BadInput
from ..explanation import Explanation
from ..geometry import Axis
from ..models.video_model import VideoModel
from .api import explain


class JpegFrames:
    """Frames (T, H, W, 3) kept as JPEGs, some 30 KB each; indexing decodes one.

    Stands in for `Clip.frames` where a video is too long to lie in memory.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self) -> None:
        self.jpegs: list[bytes] = []
        self.size = (0, 0)

    def append(self, frame: np.ndarray) -> None:
        """Add a uint8 (H, W, 3) frame."""
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "JPEG", quality=92)
        self.jpegs.append(data.getvalue())
        self.size = (frame.shape[0], frame.shape[1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3)."""
        return len(self.jpegs), *self.size, 3

    def __len__(self) -> int:
        return len(self.jpegs)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.jpegs[index])))


def explain_windows(
    model: VideoModel,
    path: str | Path,
    *,
    frames: int = 16,
    fps: float | None = 4.0,
    source_fps: float | None = None,
    untagged: Untagged = "auto",
    **options: Any,
) -> tuple[Explanation, list[Explanation]]:
    """Explain a long video whole, one window in memory at a time.

    Args:
        model, options: as in `explain`.
        path: the video.
        frames, fps, source_fps, untagged: of each window, as in `read_clip`.

    Returns:
        the joined explanation, with one cell per sampled frame of the video, and one explanation
        per window (their frames are left out: only times and maps are kept).
    """
    windows: list[Explanation] = []
    pictures = JpegFrames()
    times: list[float] = []
    name = Path(path).name
    for clip in read_windows(path, frames, fps, source_fps=source_fps, untagged=untagged):
        e = explain(model, clip, **options)
        for t in np.flatnonzero(~clip.repeated):
            if not times or clip.times[t] > times[-1] + 1e-6:
                times.append(float(clip.times[t]))
                pictures.append(clip.picture(t))
        name = clip.source
        nothing = np.broadcast_to(np.zeros(3, np.uint8), clip.frames.shape)  # takes no memory
        windows.append(replace(e, clip=replace(clip, frames=nothing)))
    note = f"{len(windows)} windows, {times[0]:.1f} to {times[-1]:.1f} s"
    whole = Clip(
        frames=pictures,  # ty: ignore[invalid-argument-type]
        times=np.array(times),
        repeated=np.zeros(len(times), bool),
        source=name,
        note=note,
    )
    return join(windows, whole), windows


def join(explanations: Sequence[Explanation], clip: Clip) -> Explanation:
    """Explanations of overlapping windows of one video, joined into one along time.

    Each window's map is brought to its frames; where windows overlap, the joined map is their mean,
    weighted by the distance to the window's ends so that no seam shows. The joined logits are the
    mean over windows.

    Args:
        explanations: one per window, in order of time, all of one model and the same classes.
        clip: every distinct frame of the windows, in order of time; matched by `times`.

    Returns:
        An Explanation whose maps hold one cell per frame of `clip`.

    Raises:
        BadInput: the windows were explained for different classes.
    """
    first = explanations[0]
    if any(e.classes.tolist() != first.classes.tolist() for e in explanations):
        raise BadInput(
            f"{clip.source}: {first.method} explained each window for its own top class, which "
            "cannot be joined: name the classes with classes=[…]"
        )
    frames = len(clip.times)
    total = np.zeros((len(first.classes), frames, *first.grid.shape[1:]), np.float32)
    weight = np.zeros(frames, np.float32)
    for e in explanations:
        steps = np.flatnonzero(~e.clip.repeated)  # repeats stand for no moment of their own
        at = np.searchsorted(clip.times, e.clip.times[steps] - 1e-6)
        ramp = np.minimum(np.arange(len(steps)) + 1, len(steps) - np.arange(len(steps)))
        over_time = np.einsum("ft,kthw->kfhw", e.grid.frame_weights()[steps], e.signed)
        total[:, at] += over_time * ramp[None, :, None, None]
        weight[at] += ramp
    return replace(
        first,
        clip=clip,
        logits=np.mean([e.logits for e in explanations], axis=0, dtype=np.float32),
        signed=total / np.maximum(weight, 1)[None, :, None, None],
        grid=replace(first.grid, time=Axis(frames, frames, 0.0, 1.0)),
        seconds=sum(e.seconds for e in explanations),
    )
