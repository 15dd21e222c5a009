"""Pictures given alone, by Pillow, as in a folder: stills, and webp, avif and apng that move.

FFmpeg reads of those that move the first picture only, or none, and gives a jpeg other colours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import printable
from .frames import BROWSER_DELAY, IMAGES, SHORTEST_DELAY, shrink
from .pictures import (
    DEEP,
    UNREADABLE,
    levels_of,
    open_picture,
    read_picture,
    stretched,
    stretched_note,
    unreadable,
)

MOST_FRAMES = 20_000  # their times are only known once they were decoded
STILL = 0.04  # seconds: a picture alone, as FFmpeg has it
# How such files begin: png, tiff (two orders of bytes), jpeg 2000 (boxed and bare).
_BEGINS = (b"\x89PNG", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")


def is_picture(path: Path) -> bool:
    """Whether a file begins as one of these does.

    A film of jpegs begins as one jpeg does, and a film's first two bytes may be those of a bmp:
    these two must be named as a picture, too.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(64)
    except (OSError, ValueError):  # said by whoever reads it
        return False
    if head[4:8] == b"ftyp":  # its size, its brand, a version, and all that it is compatible with
        size = int.from_bytes(head[:4], "big")
        brands = {head[k : k + 4] for k in (8, *range(16, min(size, len(head)), 4))}
        return not brands.isdisjoint({b"avif", b"avis"})
    if head.startswith((b"\xff\xd8\xff", b"BM")):
        return path.suffix.lower() in IMAGES
    return head.startswith(_BEGINS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


class AnimatedPicture:
    """A picture, or several in one file; it offers what `VideoFile` does.

    A picture that asks for less than 15 ms is shown for 100 ms, as browsers do. A still is one
    frame.
    """

    to_screen = None  # pictures are RGB already

    def __init__(self, path: Path, source_fps: float | None, max_side: int | None) -> None:
        self.path = path
        self.name = printable(path.name)
        self.note = ""
        self.holes = np.zeros(0, np.int64)
        self._max_side = max_side
        self._levels: tuple[float, float] | None = None
        lasts: list[float] = []
        with open_picture(path) as image:
            count = getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP", "AVIF") else 1
            # An apng may hold a picture for those who cannot show it move.
            self._first = 1 if count > 1 and image.info.get("default_image") else 0
            if image.mode in DEEP:
                self._levels = levels_of([path])
                self.note = stretched_note(self._levels)
            try:
                for index in range(self._first, count if count > 1 else 0):
                    if len(lasts) == MOST_FRAMES:
                        self._add_note(f"only the first {MOST_FRAMES} of {count} frames are read")
                        break
                    image.seek(index)
                    image.load()  # before, the time of webp and avif is not known
                    lasts.append(float(image.info.get("duration") or 0) / 1000)
            except UNREADABLE as error:
                if not lasts:
                    raise unreadable(path, error) from error
                self._add_note(
                    f"the file is damaged: only {len(lasts)} of {count} frames are there"
                )
        times = np.array(lasts or [STILL])
        times[times < SHORTEST_DELAY] = BROWSER_DELAY
        if not lasts:
            times[:] = STILL
        if source_fps:
            times[:] = 1 / source_fps
        ends = np.cumsum(times)
        self.times, self.end = np.r_[0.0, ends[:-1]], float(ends[-1])

    def _add_note(self, text: str) -> None:
        self.note = "; ".join(part for part in (self.note, text) if part)

    def read(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Reads some frames; the same contract as `VideoFile.read`."""
        block: np.ndarray | None = None
        with open_picture(self.path) as image:  # opened anew: apng cannot go back
            for k, index in enumerate(wanted):
                if block is not None and index == wanted[k - 1]:
                    block[k] = block[k - 1]
                    continue
                if len(self.times) > 1:
                    self._seek(image, int(index) + self._first)
                picture = self._picture(image)
                if block is None:
                    block = np.empty((len(wanted), *picture.shape), np.uint8)
                block[k] = picture
        assert block is not None
        return block, wanted, ""

    def _seek(self, image: Image.Image, index: int) -> None:
        try:
            image.seek(index)
        except UNREADABLE as error:
            raise unreadable(self.path, error) from error

    def _picture(self, image: Image.Image) -> np.ndarray:
        values, (width, height) = read_picture(image, self.path, self._max_side)
        if values.ndim == 2:
            values = stretched(values, self._levels or (0.0, 65535.0))
        size = shrink(width, height, self._max_side)
        if size == (width, height):
            return values
        if "scaled to" not in self.note:
            self._add_note(f"{width}×{height} scaled to {size[0]}×{size[1]}")
        return np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BOX))
