"""From a decoded frame to RGB, and from the RGB that a network gets to what people see.

A film stores brightness and two differences of colour; a matrix brings them to RGB. Some films
name no matrix. The readers with which video networks are trained (PyAV, decord, OpenCV, torchcodec,
moviepy) then take BT.601, whatever the film's size; players and browsers take BT.709 from 720 rows
on. So the network gets what its training had, and people see what players show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ..errors import BadInput

if TYPE_CHECKING:  # frames one already has need no FFmpeg
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

UNNAMED = 2  # "unspecified" among FFmpeg's colour matrices
LIMITED = 1  # FFmpeg's number for black at 16 and white at 235
HD = 720  # the shorter side, in pixels, from which on players take BT.709

Untagged = Literal["auto", "bt601", "bt709"]
UNTAGGED: tuple[str, ...] = get_args(Untagged)

# How much of red and of blue is in the brightness: ITU-R BT.601 and BT.709.
_BRIGHTNESS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}


def _to_rgb_matrix(name: str) -> np.ndarray:
    """(Y, Cb, Cr), all of one range, to (R, G, B): float64 (3, 3)."""
    red, blue = _BRIGHTNESS[name]
    green = 1 - red - blue
    cr, cb = 2 * (1 - red), 2 * (1 - blue)
    return np.array([[1, 0, cr], [1, -cb * blue / green, -cr * red / green], [1, cb, 0]])


# Each level of limited range in full range.
_FULL_RANGE = np.clip((np.arange(256) - 16.0) * 255 / 219, 0, 255).round().astype(np.uint8)

# RGB that was made with BT.601's matrix, as BT.709's would have made it.
BT601_TO_BT709 = _to_rgb_matrix("bt709") @ np.linalg.inv(_to_rgb_matrix("bt601"))


def check_untagged(untagged: str) -> None:
    if untagged not in UNTAGGED:
        raise BadInput(f"untagged={untagged!r}: use one of {', '.join(UNTAGGED)}")


def names_no_matrix(frame: VideoFrame) -> bool:
    """Whether a frame leaves open how its colours are to be read, as only YUV can."""
    colours = not frame.format.is_rgb and len(frame.format.components) >= 3
    return colours and frame.colorspace == UNNAMED


def is_hd(frame: VideoFrame) -> bool:
    return min(frame.width, frame.height) >= HD


def to_rgb(
    reformatter: VideoReformatter,
    frame: VideoFrame,
    size: tuple[int, int],
    untagged: str,
    range_: int,
) -> np.ndarray:
    """A frame as uint8 (H, W, 3), or (H, W, 4) where it has alpha.

    Args:
        reformatter: FFmpeg's, which keeps its tables from frame to frame.
        frame: as it was decoded.
        size: width and height to which it is brought.
        untagged: how one is read that names no matrix; "auto" is BT.601, see above.
        range_: FFmpeg's number of the frame's range.
    """
    from av.video.reformatter import Colorspace, Interpolation

    alpha = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
    matrix = None
    if names_no_matrix(frame):
        matrix = Colorspace.ITU709 if untagged == "bt709" else Colorspace.ITU601
    picture = reformatter.reformat(
        frame,
        *size,
        "rgba" if alpha else "rgb24",
        src_colorspace=matrix,
        interpolation=Interpolation.AREA,
    ).to_ndarray()
    if len(frame.format.components) <= 2 and range_ == LIMITED:
        return stretch_grey(picture)
    return picture


def stretch_grey(picture: np.ndarray) -> np.ndarray:
    """Grey in limited range brought to 0 to 255: FFmpeg's scaler takes all grey for full range."""
    stretched = _FULL_RANGE[picture]
    if picture.shape[-1] == 4:
        stretched[..., 3] = picture[..., 3]
    return stretched


def on_screen(picture: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A picture, uint8 (…, 3), by another matrix."""
    rgb = picture.astype(np.float32) @ matrix.T.astype(np.float32)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
