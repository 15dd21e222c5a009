"""How often is a model right? Top-1 and top-5, per class, and between opposite actions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..data.clip import Clip
from ..data.datasets import Clips, targets_in, why_not
from ..data.labels import (
    FORTY_NAMES,
    OPPOSITE_FORTY,
    OPPOSITE_TEMPLATES,
    TEMPLATES,
    normalise_label,
)
from ..errors import BadInput
from ..models.modes import evaluating
from ..models.video_model import VideoModel
from ..progress_bar import progress

SHUFFLE = 4  # what a random number is drawn for; 1 to 3 are those of batches.py and step.py


def evaluate(
    model: VideoModel,
    data: Clips,
    *,
    batch: int = 8,
    shuffle_frames: bool = False,
    workers: int = 0,
    quiet: bool = False,
) -> dict[str, Any]:
    """How often a model is right.

    Args:
        model: any; it is left as it was.
        data: its labels are among the model's.
        batch: clips at once.
        shuffle_frames: the control: each clip's frames in a random order, always the same.
        workers: processes that read clips.
        quiet: no progress bar.

    Returns:
        top1, top5: shares of the clips that could be read; `interval`: 95 % of top1 (Wilson).
        n: their number. per_class: label -> n, top1. confusion: rows true, columns predicted.
        opposite: for each pair of opposite classes how often the true one's logit is the higher
        of the two, and `mean` over all their clips (None without such clips).
        failures: id -> why a clip could not be read; such clips count nowhere.

    Raises:
        BadInput: labels do not fit, or not one clip can be read.
    """
    return evaluate_share(model, data, batch, shuffle_frames, workers, (0, 1), quiet)


def evaluate_share(
    model: VideoModel,
    data: Clips,
    batch: int,
    shuffle_frames: bool,
    workers: int,
    share: tuple[int, int],
    quiet: bool,
) -> dict[str, Any]:
    """`evaluate`, shared by several processes: (rank, number of processes)."""
    if not len(data):
        raise BadInput("no clips to evaluate on: the data set is empty")
    targets = targets_in(data, model.labels)
    rank, processes = share
    loader = DataLoader(
        _Unchanged(data, range(rank, len(data), processes), shuffle_frames),
        batch_size=batch,
        num_workers=workers,
        collate_fn=list,
        generator=torch.Generator(),  # else it draws from the caller's
    )
    rows: list[tuple[int, np.ndarray]] = []  # index, logits (K,)
    failed: list[tuple[int, str]] = []
    for clips in progress(loader, "evaluating", unit="batch", show=False if quiet else None):
        failed += [(index, reason) for index, reason in clips if isinstance(reason, str)]
        read = [(index, frames) for index, frames in clips if not isinstance(frames, str)]
        if read:
            logits = _logits(model, [frames for _, frames in read])  # (n, K)
            rows += zip((index for index, _ in read), logits, strict=True)
    if processes > 1:
        from accelerate.utils import gather_object  # slow to import, and seldom needed

        rows, failed = gather_object(rows), gather_object(failed)
    failures = {data.ids[index]: reason for index, reason in sorted(failed)}
    data.failures.update(failures)
    if not rows:
        raise BadInput(f"no clip could be read: {next(iter(failures.values()))}")
    rows.sort(key=lambda row: row[0])
    logits = np.stack([row for _, row in rows])
    result = scores(logits, np.array([targets[index] for index, _ in rows]), model.labels)
    return {**result, "failures": failures}


class _Unchanged(Dataset):
    """The clips of a data set as they are: (index, frames), or the reason why not."""

    def __init__(self, data: Clips, indices: Sequence[int], shuffle_frames: bool) -> None:
        self.data, self.indices, self.shuffle_frames = data, indices, shuffle_frames

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[int, np.ndarray | str]:
        index = self.indices[index]
        item = self.data[index]
        if item is None:
            return index, why_not(self.data, index)
        frames = np.array(item.frames)  # (T, H, W, 3)
        if self.shuffle_frames:
            frames = np.random.default_rng((SHUFFLE, index)).permutation(frames)
        return index, frames


@torch.inference_mode()
def _logits(model: VideoModel, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Logits `(n, K)` of n clips, frames `(T, H, W, 3)` each."""
    inputs = []
    for frames in clips:
        count = len(frames)
        times = np.arange(count) / (model.fps or 1.0)  # no rate: the frames are spread evenly
        clip = Clip(frames, times, np.zeros(count, dtype=bool), "clip")
        inputs.append(model.preprocess(clip)[0])  # (1, 3, T, h, w)
    x = torch.cat(inputs)
    with evaluating(model.net):
        return model.forward(x).float().cpu().numpy()


def scores(logits: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> dict[str, Any]:
    """The figures of `evaluate` from logits `(n, K)` and targets `(n,)`."""
    classes = len(labels)
    ranked = np.argsort(-logits, axis=1, kind="stable")  # (n, K), best first
    right = ranked[:, 0] == targets
    confusion = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(confusion, (targets, ranked[:, 0]), 1)
    per_class = {}
    for index, label in enumerate(labels):
        n = int(confusion[index].sum())
        top1 = confusion[index, index] / n if n else None
        per_class[label] = {"n": n, "top1": None if top1 is None else float(top1)}
    pairs: list[dict[str, Any]] = []
    for a, b in opposite_pairs(labels):
        of = np.isin(targets, (a, b))
        if of.any():
            higher = np.where(logits[of, a] > logits[of, b], a, b)
            hits = int((higher == targets[of]).sum())
            pairs.append({"labels": [labels[a], labels[b]], "n": int(of.sum()), "right": hits})
    clips = sum(pair["n"] for pair in pairs)
    return {
        "top1": float(right.mean()),
        "top5": float((ranked[:, :5] == targets[:, None]).any(1).mean()),
        "n": len(targets),
        "interval": list(wilson(int(right.sum()), len(targets))),
        "per_class": per_class,
        "confusion": confusion.tolist(),
        "opposite": {
            "mean": sum(pair["right"] for pair in pairs) / clips if clips else None,
            "n": clips,
            "pairs": [{**pair, "accuracy": pair["right"] / pair["n"]} for pair in pairs],
        },
    }


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): right also near 0 and 1, and for small n."""
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def opposite_pairs(labels: Sequence[str]) -> list[tuple[int, int]]:
    """Indices of the pairs that playing a clip backwards exchanges, among these labels."""
    index = {normalise_label(label): k for k, label in enumerate(labels)}
    found: dict[tuple[int, int], None] = {}
    for names, pairs in ((FORTY_NAMES, OPPOSITE_FORTY), (TEMPLATES, OPPOSITE_TEMPLATES)):
        for a, b in pairs:
            first, second = (
                index.get(normalise_label(names[a])),
                index.get(normalise_label(names[b])),
            )
            if first is not None and second is not None:
                found[min(first, second), max(first, second)] = None
    return list(found)
