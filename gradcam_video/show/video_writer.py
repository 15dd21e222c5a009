"""Moving pictures: original beside overlay, as frames, as mp4 and as gif."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import numpy as np
from PIL import Image

from ..errors import BadInput
from ..files import atomic_write, cannot_write
from .captions import rows_of
from .frame_layout import FrameLayout
from .look import Look, LookOptions

if TYPE_CHECKING:
    from .drawable import Drawable

ENDINGS = (".mp4", ".m4v", ".mov")
X264 = {"crf": "20", "preset": "veryfast"}  # lower is better: 23 is x264's default
BT709 = 1  # FFmpeg's number for the matrix, the primaries and the transfer of BT.709
LIMITED = 1  # FFmpeg's number for black at 16 and white at 235


def side_by_side(
    e: Drawable,
    label: str | int | Sequence[str | int | None] | None = None,
    **look: Unpack[LookOptions],
) -> Iterator[np.ndarray]:
    """The post's picture, frame by frame: the original left, its heat map right, words below.

    Under each heat map runs its evidence over time, with the present frame marked. Small clips are
    drawn larger and large ones smaller, so that the words can be read; long names are wrapped.

    Args:
        e: what to show.
        label: one class or several, each by name or index; None is the top class.
        look: scope, cmap, opacity and blend, see `Look`.

    Yields:
        uint8 (height, width, 3), both sides even, the same for every frame.
    """
    layout = FrameLayout(e, rows_of(e, label), Look(**look))
    for t in range(len(e.clip.times)):
        frame = layout.original(t)
        yield layout.draw(t, [frame, *layout.overlays(t, frame)])


def write_mp4(frames: Iterable[np.ndarray], path: str | Path, fps: float | Fraction) -> Path:
    """Write frames as an H.264 video that every browser plays.

    Frames are encoded as they come; none is kept. An odd side gets one more row or column. Colours
    are converted to BT.709 in its limited range, and the file says so: where it says nothing, a
    player guesses from the size of the picture, and players guess differently.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to, ending in .mp4, .m4v or .mov; written whole or not at all.
        fps: frames per second, see `exact_rate`. The video lasts frames / fps, exactly.

    Raises:
        BadInput: no frames or frames of two sizes, another ending, a rate that cannot be written,
            a folder that cannot be written, a full disk.
    """
    import av

    path, rate = Path(path), exact_rate(fps)
    if path.suffix.lower() not in ENDINGS:
        raise BadInput(f"cannot write {path}: end its name in one of {', '.join(ENDINGS)}")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise BadInput(f"no frames to write into {path}: give at least one")
    height, width = (side + side % 2 for side in first.shape[:2])
    try:
        with (
            atomic_write(path) as temporary,
            # Its index comes first, so that it plays while it is still being loaded
            av.open(temporary, "w", options={"movflags": "+faststart"}) as container,
        ):
            stream = container.add_stream("libx264", rate=rate, options=X264)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.thread_type = "FRAME"  # frames are encoded while the next ones are drawn
            codec = stream.codec_context
            codec.colorspace = codec.color_primaries = codec.color_trc = BT709
            codec.color_range = LIMITED
            for frame in chain([first], frames):
                if frame.shape != first.shape:
                    raise BadInput(
                        f"{path}: frames of {first.shape} and {frame.shape}: give one size"
                    )
                picture = av.VideoFrame.from_ndarray(_even(frame, height, width), format="rgb24")
                converted = picture.reformat(
                    format="yuv420p",
                    src_color_range="JPEG",  # all of 0 to 255
                    dst_color_range="MPEG",
                    dst_colorspace="ITU709",
                )
                container.mux(stream.encode(converted))
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        raise cannot_write(path, OSError(error.errno, error.strerror)) from error
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def exact_rate(fps: float | Fraction) -> Fraction:
    """The frame rate that a number stands for, as a fraction.

    7.5 is 15/2. 23.976, 29.97 and 59.94 are NTSC's: 24000/1001, 30000/1001 and 60000/1001.

    Raises:
        BadInput: it is not between 0.01 and 240.
    """
    if not 0.01 <= fps <= 240:
        raise BadInput(
            f"{fps} frames per second cannot be written: choose fps between 0.01 and 240"
        )
    if not isinstance(fps, Fraction):
        ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
        if fps > 10 and abs(fps - ntsc) < 1e-5 * fps:
            return ntsc
    return Fraction(fps).limit_denominator(100_000)  # 12.000000000000002 is 12


def _even(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    down, across = height - frame.shape[0], width - frame.shape[1]
    if down or across:
        frame = np.pad(frame, ((0, down), (0, across), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)


def write_gif(
    frames: Iterable[np.ndarray],
    path: str | Path,
    fps: float,
    *,
    max_width: int = 640,
) -> Path:
    """Write frames as an endless gif with one palette for all of them, so that nothing flickers.

    Frames are reduced to palette indices as they come: one byte a pixel is kept until the end.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to; written whole or not at all.
        fps: frames per second.
        max_width: wider frames are drawn smaller, as a gif is large.

    Raises:
        BadInput: no frames, the folder cannot be written or the disk is full.
    """
    path = Path(path)
    shown: list[Image.Image] = []
    waiting: list[Image.Image] = []
    colours: Image.Image | None = None
    for frame in frames:
        waiting.append(_at_most(frame, max_width))
        if colours is None and len(waiting) == 16:  # enough to know the clip's colours
            colours = _one_palette(waiting)
        if colours is not None:
            shown += [_indexed(picture, colours) for picture in waiting]
            waiting.clear()
    if waiting:
        colours = _one_palette(waiting)
        shown += [_indexed(picture, colours) for picture in waiting]
    if not shown:
        raise BadInput(f"no frames to write into {path}: give at least one")
    try:
        with atomic_write(path) as temporary:
            shown[0].save(
                temporary,
                "GIF",
                save_all=True,
                append_images=shown[1:],
                duration=min(max(20, round(1000 / fps)), 655_350),  # ms: what the format holds
                loop=0,
                optimize=False,
            )
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _at_most(frame: np.ndarray, width: int) -> Image.Image:
    picture = Image.fromarray(frame)
    if picture.width <= width:
        return picture
    height = round(picture.height * width / picture.width)
    return picture.resize((width, height), Image.Resampling.BOX)


def _one_palette(pictures: list[Image.Image]) -> Image.Image:
    """256 colours that serve all pictures: the octree's, which keeps rare bright ones."""
    few = [np.asarray(picture)[::3, ::3] for picture in pictures[:: max(1, len(pictures) // 8)]]
    return Image.fromarray(np.concatenate(few)).quantize(255, method=Image.Quantize.FASTOCTREE)


def _indexed(picture: Image.Image, colours: Image.Image) -> Image.Image:
    return picture.quantize(palette=colours, dither=Image.Dither.NONE)
