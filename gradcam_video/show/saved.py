"""What `save` wrote, read again: the parts of an explanation."""

from __future__ import annotations

import base64
import json
import re
import zipfile
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..data.clip import Clip
from ..errors import BadInput
from ..geometry import Axis, Grid, View
from ..windows import Windows, from_half, join_maps, one_cell_per_frame

ARRAYS, WORDS, PAGE = "explanation.npz", "summary.json", "player.html"
NO_FRAMES = "its frames were not saved: they are drawn black"


def read_saved(path: str | Path) -> dict[str, Any]:
    """The fields of an `Explanation`, from the files of `save`.

    The maps are those of explanation.npz, as float32. Those of a long video are joined again from
    its windows. The frames come from player.html, where it
    lies beside and holds all of them: as JPEGs at most 640 pixels wide, brought to the clip's size.
    Else they are black, and the clip's note says so.

    Args:
        path: the folder, or explanation.npz itself.

    Raises:
        BadInput: no such file, it is damaged, it lacks something that is needed.
    """
    path = Path(path)
    file = path / ARRAYS if path.is_dir() else path
    held = {**_older(file.with_name(WORDS)), **_arrays(file)}
    lacking = [name for name in _NEEDED if name not in held]
    if lacking:
        raise BadInput(
            f"{file}: {', '.join(lacking)} is not in it: it was written by an older version, and "
            f"{WORDS} does not lie beside; explain the clip again"
        )
    signed = held["signed"]
    if signed.ndim != 4 and not {"window_end", "frame_times", "stays"} <= held.keys():
        raise BadInput(
            f"{file}: signed is {signed.shape}, the windows of a long video without their times, "
            "not (k, T', h, w): use gv.explain_windows again"
        )
    try:
        return _fields(file, held)
    except (ValueError, IndexError, TypeError) as error:
        raise BadInput(
            f"{file}: its arrays do not fit together ({error}); explain the clip again"
        ) from error


_NEEDED = ("signed", "classes", "logits", "labels", "times", "repeated", "axes", "input_size")
_NEEDED += ("crop", "size")


def _arrays(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except FileNotFoundError as error:
        raise BadInput(f"{file}: no such file; give a folder of save, or its {ARRAYS}") from error
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(f"{file}: not an {ARRAYS} of save, or damaged ({error})") from error


def _older(file: Path) -> dict[str, Any]:
    """What older versions wrote into summary.json alone."""
    try:
        words = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    told = ("size", "align", "model", "untrained", "true_label", "remark", "source", "note")
    return {name: words[name] for name in (*told, "seconds") if words.get(name) is not None}


def _fields(file: Path, held: dict[str, Any]) -> dict[str, Any]:
    def word(name: str, otherwise: str = "") -> str:
        return str(held.get(name, otherwise))

    half = held["signed"]  # (k, T', h, w), of a long video (n, k, T', h, w)
    unit = held.get("signed_unit", np.ones(half.shape[: half.ndim - 3]))
    times, repeated = held["times"].astype(np.float64), held["repeated"].astype(bool)
    height, width = map(int, held["size"])
    rows, columns = map(int, held["input_size"])
    sizes = (times.shape[-1], rows, columns)
    time, down, across = (
        Axis(cells, size, float(offset), float(stride), None if seen == size else int(seen))
        for cells, size, (offset, stride), seen in zip(
            half.shape[-3:], sizes, held["axes"].tolist(), held.get("seen", sizes), strict=True
        )
    )
    view = View(height, width, rows, columns, *map(float, held["crop"]))
    grid = Grid(time, down, across, view, word("align", "receptive-field"))
    logits, windows = held["logits"].astype(np.float32), None
    if half.ndim == 5:
        starts, ends = held["window_start"], held["window_end"]
        windows = Windows(starts, ends, logits, times, repeated, half, unit, grid)
        logits, times = logits.mean(axis=0), held["frame_times"].astype(np.float64)
        signed, repeated = join_maps(windows.maps(), times), np.zeros(len(times), bool)
        grid = one_cell_per_frame(grid, len(times))
    else:
        signed = from_half(half, unit)
    frames = _frames(file.with_name(PAGE), len(times), (height, width))
    note = word("note")
    if frames is None:
        frames = np.broadcast_to(np.zeros(3, np.uint8), (len(times), height, width, 3))
        note = "; ".join(part for part in (note, NO_FRAMES) if part)
    clip = Clip(
        frames=frames,
        times=times,
        repeated=repeated,
        source=word("source", file.parent.name),
        note=note,
        start=float(held.get("start", times[0])),
        fps=float(held.get("clip_fps", 0)),
        stays=held.get("stays"),
    )
    return {
        "clip": clip,
        "labels": tuple(map(str, held["labels"])),
        "logits": logits,
        "classes": held["classes"].astype(np.int64),
        "signed": signed,
        "grid": grid,
        "model": word("model"),
        "method": word("method", "gradcam"),
        "untrained": bool(held.get("untrained", False)),
        "true_label": word("true_label") or None,
        "remark": word("remark"),
        "seconds": float(held.get("seconds", 0)),
        "output": word("output", "softmax"),
        "windows": windows,
    }


def _frames(page: Path, count: int, size: tuple[int, int]) -> np.ndarray | None:
    """All frames out of a player's page, uint8 (T, H, W, 3); None: it does not hold them."""
    try:
        text = page.read_text("utf-8")
    except (OSError, ValueError):
        return None
    found = [
        re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL) for name in ("meta", "data")
    ]
    if not found[0] or not found[1]:
        return None
    try:
        meta, data = json.loads(found[0][1]), base64.b64decode(found[1][1])
        starts = meta["parts"]["jpegs"]  # one more than there are frames
        if len(starts) != count + 1:
            return None
        jpegs = [data[a:b] for a, b in pairwise(starts)]
        pictures = [
            Image.open(BytesIO(jpeg), formats=["JPEG"]).resize(size[::-1]) for jpeg in jpegs
        ]
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return np.stack([np.asarray(picture) for picture in pictures])
