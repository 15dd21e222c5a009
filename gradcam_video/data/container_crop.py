"""Cropping that a container asks for: `clap` in mp4 and mov, `PixelCrop` in mkv and webm.

FFmpeg's program obeys it since 7.1, its libraries hand it on to the caller, and PyAV 18 has no way
to ask them. So the few bytes are read here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

NOTHING = (0, 0, 0, 0)
_MATROSKA = 0x18538067, 0x1654AE6B, 0xAE, 0xE0  # segment, tracks, track entry, video
_CLUSTER = 0x1F43B675
_CROPS = {0x54CC: 0, 0x54BB: 1, 0x54DD: 2, 0x54AA: 3}  # left, top, right, bottom
_DEEPEST = 1 << 16  # bytes of a sample entry, which holds a few hundred


def crop_asked_for(path: Path, name: str, stream: int) -> tuple[int, int, int, int]:
    """What a container wants cut away from a stream's frames.

    Args:
        path: the file.
        name: FFmpeg's name of the container.
        stream: the stream's index.

    Returns:
        (left, top, right, bottom) in pixels of the coded frame; zeros where it asks for nothing.

    Source: ISO/IEC 14496-12, 12.1.4 (clean aperture); RFC 9559, 5.1.4.1.28 (PixelCrop).
    """
    try:
        with path.open("rb") as file:
            if name.startswith("mov"):
                return _clean_aperture(file, stream)
            if name.startswith("matroska"):
                return _pixel_crop(file, stream)
    except (OSError, ValueError, struct.error, ZeroDivisionError):  # damaged: nothing is asked for
        pass
    return NOTHING


# --- mp4 and mov: boxes of a length, a name and what is in them --------------------------------


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte inside, first byte behind) of the boxes between two places."""
    while begin + 8 <= end:
        file.seek(begin)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        size = size or end - begin  # 0: to the end of the file
        if size < head:
            return
        yield name, begin + head, min(begin + size, end)
        begin += size


def _inside(
    file: BinaryIO, places: list[tuple[int, int]], path: tuple[bytes, ...]
) -> list[tuple[int, int]]:
    """Where the boxes of a path of names lie."""
    for wanted in path:
        places = [(a, b) for at in places for name, a, b in _boxes(file, *at) if name == wanted]
    return places


def _clean_aperture(file: BinaryIO, stream: int) -> tuple[int, int, int, int]:
    end = file.seek(0, 2)
    places = [(0, end)]
    for wanted in (b"moov", b"trak"):
        places = [
            (a, b) for place in places for name, a, b in _boxes(file, *place) if name == wanted
        ]
    places = places[stream : stream + 1]
    for wanted in (b"mdia", b"minf", b"stbl", b"stsd"):
        places = [
            (a, b) for place in places for name, a, b in _boxes(file, *place) if name == wanted
        ]
    for begin, past in places:
        for _, first, last in _boxes(file, begin + 8, min(past, begin + _DEEPEST)):
            file.seek(first)
            width, height = struct.unpack(">24x2H", file.read(28))
            for name, a, b in _boxes(file, first + 78, last):
                if name == b"clap" and b - a >= 32:
                    file.seek(a)
                    v = struct.unpack(">2I2IiIiI", file.read(32))
                    wide, high, right, down = (v[i] / v[i + 1] for i in (0, 2, 4, 6))
                    left, top = (width - wide) / 2 + right, (height - high) / 2 + down
                    sides = (left, top, width - wide - left, height - high - top)
                    if min(sides) < 0:
                        return NOTHING
                    return round(sides[0]), round(sides[1]), round(sides[2]), round(sides[3])
    return NOTHING


# --- mkv and webm: elements of a number, a length and what is in them --------------------------


def _number(file: BinaryIO, marked: bool) -> tuple[int, int]:
    """A number whose first byte says how long it is, and that length; unknown is -1."""
    first = file.read(1)
    if not first or not first[0]:
        raise ValueError("the file ends, or holds no number here")
    length = 9 - first[0].bit_length()
    value = first[0] if marked else first[0] & (0xFF >> length)
    rest = file.read(length - 1)
    number = int.from_bytes(bytes([value]) + rest, "big")
    unknown = not marked and number == (1 << (7 * length)) - 1
    return -1 if unknown else number, length


def _elements(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte inside, first byte behind) of the elements, up to the first cluster."""
    while begin < end:
        file.seek(begin)
        name, head = _number(file, marked=True)
        size, more = _number(file, marked=False)
        inside = begin + head + more
        if name == _CLUSTER:
            return
        past = end if size < 0 else min(inside + size, end)
        yield name, inside, past
        begin = past


def _pixel_crop(file: BinaryIO, stream: int) -> tuple[int, int, int, int]:
    end = file.seek(0, 2)
    places = [(0, end)]
    for wanted in _MATROSKA[:3]:
        places = [(a, b) for at in places for name, a, b in _elements(file, *at) if name == wanted]
    crop = [0, 0, 0, 0]
    for begin, past in places[stream : stream + 1]:
        for name, a, b in _elements(file, begin, past):
            if name != _MATROSKA[3]:
                continue
            for inner, first, last in _elements(file, a, b):
                if inner in _CROPS:
                    file.seek(first)
                    crop[_CROPS[inner]] = int.from_bytes(file.read(last - first), "big")
    left, top, right, bottom = crop
    return left, top, right, bottom
