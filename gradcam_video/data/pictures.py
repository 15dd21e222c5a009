"""Single pictures, by Pillow: only the formats that are meant, upright, on white, 16 bits told."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from ..errors import BadInput
from .frames import SMALLEST_SIDE, on_white, shrink, too_small

# Pillow would try all of its readers, whatever the file is called; one of them starts a program.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "JPEG2000", "AVIF")
DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # Pillow's modes of grey with over 8 bits
LEVELS_FROM = 16  # pictures of a folder that say how far its grey reaches
MOST_PIXELS = 200_000_000  # a phone's largest photo: 16320×12240
UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)
_opening = threading.Lock()


def open_picture(file: Path) -> Image.Image:
    """Opens a picture; reads its header alone. Its size is bounded here, before decoding.

    Raises:
        BadInput: it is none of the formats, damaged, too small, or has over `MOST_PIXELS`.
    """
    try:
        with _opening:  # Pillow's own bound is the same for all threads, and 179 megapixels
            theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(file, formats=FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = theirs
    except UNREADABLE as error:
        raise unreadable(file, error) from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        image.close()
        most = f"{MOST_PIXELS / 1e6:g} megapixels"
        raise BadInput(f"{file}: {width}×{height} pixels, but at most {most} are read; shrink it")
    if min(image.size) < SMALLEST_SIDE:
        image.close()
        raise BadInput(too_small(file, width, height))
    return image


def unreadable(file: Path, error: Exception) -> BadInput:
    return BadInput(
        f"{file}: cannot be read as an image ({error}); give jpeg, png, bmp, webp, tiff, jpeg 2000 "
        "or avif, or take it out"
    )


def pixels(image: Image.Image, file: Path) -> np.ndarray:
    """A picture's values, upright: uint8 (H, W, 3); grey with over 8 bits as it is, (H, W).

    Raises:
        BadInput: it is damaged, or cut off.
    """
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode in DEEP:
            return np.asarray(image)
        if "A" in image.getbands() or "transparency" in image.info:
            return on_white(np.asarray(image.convert("RGBA")))
        return np.asarray(image.convert("RGB"))
    except UNREADABLE as error:
        raise unreadable(file, error) from error


def read_picture(
    image: Image.Image, file: Path, max_side: int | None
) -> tuple[np.ndarray, tuple[int, int]]:
    """The values of an opened picture, and its upright width and height.

    A large jpeg is decoded at a half, a quarter or an eighth, where that is still twice as large
    as what is asked for: one of 200 megapixels takes 0.25 GB so, 3.5 GB at full size.

    Raises:
        BadInput: it is damaged, or cut off.
    """
    width, height = image.size
    if isinstance(image, JpegImageFile):
        wide, high = shrink(width, height, max_side)
        image.draft(None, (2 * wide, 2 * high))
    drafted = image.size != (width, height)
    values = pixels(image, file)
    if not drafted:
        return values, (values.shape[1], values.shape[0])
    on_its_side = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
    return values, (height, width) if on_its_side else (width, height)


def levels_of(files: list[Path]) -> tuple[float, float]:
    """The lowest and the highest value of deep grey in some pictures, evenly chosen from all."""
    chosen = np.unique(np.linspace(0, len(files) - 1, min(len(files), LEVELS_FROM)).astype(int))
    low, high = np.inf, -np.inf
    for index in chosen:
        with open_picture(files[index]) as image:
            values = pixels(image, files[index])
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low < high else (min(low, 0.0), max(high, 1.0))


def stretched(values: np.ndarray, levels: tuple[float, float]) -> np.ndarray:
    """Deep grey (H, W) brought to 8 bits, uint8 (H, W, 3): `levels` become 0 and 255."""
    low, high = levels
    share = (values.astype(np.float32) - low) / (high - low)
    grey = np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def stretched_note(levels: tuple[float, float]) -> str:
    return f"grey from {levels[0]:g} to {levels[1]:g} stretched to 0 to 255"
