"""Tabletop clips on disk, in the layout of the real data set, with the truth beside them.

    DIR/tabletop.json                            what was made here: the set's layout, size, seeds
    DIR/20bn-something-something-v2/1.webm       or, as V1, …-v1/1/00001.jpg
    DIR/truth/1.npz                              masks, action, label: one file per clip
    DIR/something-something-v2-labels.json
    DIR/something-something-v2-test.json         the annotation of a split, written last

So `SomethingSomething` reads made and real clips by the same code. Two things differ: the test
annotation has labels, and `tabletop.json` says that the set has three splits of its own, so that
nothing is halved.

Every file is written under another name and moved to its own when it is whole, and the annotation
comes last. Whoever is interrupted runs the same command again: whole clips are kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from PIL import Image

from ..data.ground_truth import MARKER, ROLES, TRUTH, Truth, load_arrays
from ..data.labels import FORTY_NAMES, TEMPLATES
from ..errors import BadInput
from ..files import atomic_folder, atomic_write
from ..progress_bar import progress

DiskLayout = Literal["v1", "v2"]
FPS = 12
SIZES: dict[DiskLayout, tuple[int, int]] = {"v1": (100, 178), "v2": (240, 427)}  # the real ones
# Ids are numbers, as in the real thing; each split has its own, however many clips it gets.
FIRST_IDS = {"train": 1, "validation": 1_000_001, "test": 2_000_001}
MOST = 1_000_000
JPEG_QUALITY = 90
# As fast as VP9 goes. The real clips take 40 kB a second; these, at this quality, some 20 to 40.
VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"}


def write_split(
    out: str | os.PathLike[str],
    split: str,
    count: int,
    seed: int = 0,
    layout: str = "v2",
    *,
    size: tuple[int, int] | None = None,
    workers: int | None = None,
    render: Callable[..., Any] | None = None,
) -> Path:
    """Makes one split of a Tabletop set, or goes on where an earlier run was interrupted.

    Clip i shows class i % 40. Its scene is drawn from (seed, split, i), so no two splits share a
    scene, and a larger `count` only adds clips. Ids and scenes are the same in both layouts.

    Args:
        out: the set's folder, made if missing. One set has one layout, but any of the splits.
        split: "train", "validation" or "test".
        count: how many clips.
        layout: "v2" (a webm per clip) or "v1" (a folder of jpgs per clip).
        size: height and width in pixels; None for those of the real clips.
        workers: processes; None for one per core.
        render: makes a scene, as `tabletop.render` (the default) does.

    Returns:
        The annotation file.

    Raises:
        BadInput: an unknown split or layout, a count below 1, a folder that holds another set or
            cannot be written, a full disk.
    """
    job = _Job.checked(Path(out), split, count, seed, layout, size)
    if render is None:
        from .scene import render
    try:
        job.prepare()
        entries = list(_all(partial(_make, job, render), count, workers))
        job.annotate(entries)
    except OSError as error:
        raise BadInput(
            f"{error.filename or out}: cannot be written ({error.strerror or error}); make room or "
            "name another folder, then run the same command again: whole clips are kept"
        ) from error
    return job.annotation


def scene_of(i: int, split: str, seed: int = 0) -> tuple[str, int]:
    """The class and the scene's seed of clip i of a split, as `write_split` makes it.

    The seed has 48 bits: whatever the counts, two scenes of the same seed do not happen.
    """
    drawn = hashlib.sha256(f"{seed} {split} {i}".encode()).digest()
    return FORTY_NAMES[i % len(FORTY_NAMES)], int.from_bytes(drawn[:6], "big")


# --- one split --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Job:
    """What is to be made, and where."""

    out: Path
    split: str
    count: int
    seed: int
    layout: DiskLayout
    size: tuple[int, int]
    painted: tuple[int, int]  # V1's small pictures were shrunk from larger ones: so are ours

    @classmethod
    def checked(
        cls,
        out: Path,
        split: str,
        count: int,
        seed: int,
        layout: str,
        size: tuple[int, int] | None,
    ) -> _Job:
        if split not in FIRST_IDS:
            raise BadInput(f"unknown split {split!r}: use one of {', '.join(FIRST_IDS)}")
        if not 1 <= count <= MOST:
            raise BadInput(f"count={count}: give a number of clips from 1 to {MOST}")
        if seed < 0:
            raise BadInput(f"seed={seed}: give 0 or more")
        if layout not in ("v1", "v2"):
            raise BadInput(f"unknown layout {layout!r}: use v1 (jpgs) or v2 (webm)")
        known: DiskLayout = "v1" if layout == "v1" else "v2"
        height, width = size or SIZES[known]
        wanted = int(height), int(width)
        painted = wanted if size else SIZES["v2"]
        return cls(out, split, count, seed, known, wanted, painted)

    @property
    def clips(self) -> Path:
        return self.out / f"20bn-something-something-{self.layout}"

    @property
    def annotation(self) -> Path:
        suffix = "csv" if self.layout == "v1" else "json"
        return self.out / f"something-something-{self.layout}-{self.split}.{suffix}"

    def id(self, i: int) -> str:
        return str(FIRST_IDS[self.split] + i)

    def clip(self, i: int) -> Path:
        return self.clips / (self.id(i) + (".webm" if self.layout == "v2" else ""))

    def truth(self, i: int) -> Path:
        return self.out / TRUTH / f"{self.id(i)}.npz"

    def scene_seed(self, i: int) -> int:
        return scene_of(i, self.split, self.seed)[1]

    def prepare(self) -> None:
        """Checks the folder, and says in it what is being made before anything is."""
        marker = self.out / MARKER
        marked = _read_marker(marker)
        if marked is None and self.out.is_dir() and any(self.out.iterdir()):
            raise BadInput(f"{self.out}: holds other files; name a new or an empty folder")
        world = {"world": "tabletop", "layout": self.layout, "size": list(self.size), "fps": FPS}
        if marked is not None:
            for key, value in world.items():
                if marked.get(key) != value:
                    raise BadInput(
                        f"{self.out}: holds a set whose {key} is {marked.get(key)}, not {value}; "
                        "name another folder"
                    )
        splits = marked["splits"] if marked else {}
        seed = splits.get(self.split, {}).get("seed", self.seed)
        if seed != self.seed:
            raise BadInput(
                f"{self.out}: its {self.split} split was made with seed {seed}, not {self.seed}; "
                "name another folder, or give that seed"
            )
        for folder in (self.clips, self.out / TRUTH):
            folder.mkdir(parents=True, exist_ok=True)
        splits = {**splits, self.split: {"seed": self.seed, "count": self.count}}
        _write(marker, json.dumps({**world, "splits": splits}, indent=2).encode())

    def annotate(self, entries: list[dict[str, Any]]) -> None:
        """Writes the list of labels and, last of all, the annotation, as each version has it."""
        names = [_bare(template) for template in TEMPLATES]
        if self.layout == "v1":
            _write(self.out / "something-something-v1-labels.csv", _lines(names))
            lines = [f"{entry['id']};{_bare(entry['template'])}" for entry in entries]
            _write(self.annotation, _lines(lines))
        else:
            numbered = {name: str(index) for index, name in enumerate(names)}
            _write(self.out / "something-something-v2-labels.json", _json(numbered))
            _write(self.annotation, _json(entries))


def _all(
    make: Callable[[int], dict[str, Any]], count: int, workers: int | None
) -> Iterator[dict[str, Any]]:
    """Makes all clips, in several processes where there is enough to do; yields them in order."""
    # To start a process takes seconds: it imports torch.
    workers = min(workers or os.cpu_count() or 1, max(1, count // 8))
    if workers == 1:
        yield from progress(map(make, range(count)), total=count)
        return
    pool = ProcessPoolExecutor(workers, _fresh_processes(), initializer=_worker)
    try:
        yield from progress(pool.map(make, range(count), chunksize=4), total=count)
    except BrokenProcessPool as error:
        raise BadInput(
            "a process that makes clips was killed, for want of memory perhaps; run the same "
            "command again with fewer --workers: whole clips are kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _fresh_processes() -> BaseContext:
    """Processes that are no forks of this one: with threads in it (torch's, a notebook's) those
    may hang. They are forked from a clean one that has imported everything once, where there is
    such a thing."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _worker() -> None:
    """Prepares a process. Ctrl-C is for the parent, which lets the clips at hand be finished."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # there is a process for each core already
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Else a process whose parent was killed would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(job: _Job, render: Callable[..., Any], i: int) -> dict[str, Any]:
    """Makes clip i unless it is there; returns its entry in the annotation."""
    entry = _made_before(job, i)
    if entry is not None:
        return entry
    label, scene_seed = scene_of(i, job.split, job.seed)
    scene = render(label, scene_seed, size=job.painted, fps=float(FPS))
    if job.painted != job.size:
        scene = _shrunk(scene, job.size)
    if job.layout == "v2":
        _write(job.clip(i), webm(scene.clip.frames))
    else:
        _write_jpgs(job.clip(i), scene.clip.frames)
    entry = {
        "id": job.id(i),
        "label": sentence(scene.template, scene.placeholders),
        "template": scene.template,
        "placeholders": list(scene.placeholders),
    }
    # After the clip: where there is a truth, there is a whole clip.
    _write(job.truth(i), _packed(scene, entry, job.scene_seed(i)))
    return entry


def _shrunk(scene: Any, size: tuple[int, int]) -> Any:
    """The same scene with smaller pictures; a pixel is in a mask where half of its area was."""

    def small(pictures: np.ndarray) -> np.ndarray:
        shape = size[::-1]
        return np.stack([cv2.resize(p, shape, interpolation=cv2.INTER_AREA) for p in pictures])

    masks = {role: small(m.astype(np.float32)) >= 0.5 for role, m in scene.truth.masks.items()}
    clip = replace(scene.clip, frames=small(scene.clip.frames))
    return replace(scene, clip=clip, truth=replace(scene.truth, masks=masks))


def _made_before(job: _Job, i: int) -> dict[str, Any] | None:
    """The entry of a clip that an earlier run has finished."""
    if not (job.truth(i).is_file() and job.clip(i).exists()):
        return None
    try:
        held = load_arrays(job.truth(i), "entry", "scene_seed")
    except BadInput:
        return None
    return json.loads(str(held["entry"])) if int(held["scene_seed"]) == job.scene_seed(i) else None


# --- files ------------------------------------------------------------------------------------


def webm(frames: np.ndarray) -> bytes:
    """Encodes pictures, uint8 `(T, H, W, 3)`, as the real clips are: VP9, 12 frames a second.

    The same pictures give the same bytes.
    """
    file = io.BytesIO()
    # bitexact: else the muxer writes a random number into the file.
    with av.open(file, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libvpx-vp9", rate=FPS, options=VP9)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the other cores make other clips
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _write_jpgs(folder: Path, frames: np.ndarray) -> None:
    """Writes `00001.jpg`, … into a folder that appears when all of them are there."""
    with atomic_folder(folder, ours=lambda old: True) as temporary:
        for number, picture in enumerate(frames, start=1):
            Image.fromarray(picture).save(temporary / f"{number:05d}.jpg", quality=JPEG_QUALITY)


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def _packed(scene: Any, entry: dict[str, Any], scene_seed: int) -> bytes:
    """The truth as an npz file: masks at one bit a pixel, rows padded to whole bytes."""
    truth: Truth = scene.truth
    held: dict[str, Any] = {
        "shape": truth.masks["hand"].shape,  # (T, H, W)
        "action": truth.action,
        "whole": truth.whole,
        "fps": float(FPS),
        "label": scene.label,
        "template": scene.template,
        "entry": json.dumps(entry),
        "scene_seed": scene_seed,
    }
    masks: dict[str, Any] = {r: np.packbits(truth.masks[r], axis=-1) for r in ROLES}
    file = io.BytesIO()
    np.savez_compressed(file, **held, **masks)
    return file.getvalue()


def _read_marker(path: Path) -> dict[str, Any] | None:
    """What an earlier run wrote; None where there was none."""
    try:
        marked = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, NotADirectoryError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); name another folder") from error
    if not isinstance(marked, dict) or not isinstance(marked.get("splits"), dict):
        raise BadInput(f"{path}: not written by gradcam-video; name another folder")
    return marked


# --- words ------------------------------------------------------------------------------------


def sentence(template: str, placeholders: list[str]) -> str:
    """Fills the brackets of a template, as V2's labels do.

    Example:
        >>> sentence("Pouring [something] into [something]", ["water", "a cup"])
        'pouring water into a cup'
    """
    words = iter(placeholders)
    filled = re.sub(r"\[(.*?)\]", lambda bracket: next(words, bracket[1]), template)
    return filled[:1].lower() + filled[1:]


def _bare(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _lines(texts: list[str]) -> bytes:
    return ("\n".join(texts) + "\n").encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()
