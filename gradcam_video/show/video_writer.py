"""Moving pictures: original beside overlay, as frames, as mp4 and as gif."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, count, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

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
TICKS = 90_000  # a second, where frames stay for times of their own
LONGEST = 2.0e6  # seconds, of one frame: mp4 counts a frame's ticks in 31 bits
GIF_SHORTEST, GIF_LONGEST = 2, 65_535  # centiseconds; browsers play less than 2 as 10
GIF_MOST_FRAMES = 600  # kept in memory, a byte a pixel

log = logging.getLogger(__name__)


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


def write_mp4(
    frames: Iterable[np.ndarray],
    path: str | Path,
    fps: float | Fraction | None = None,
    *,
    durations: Sequence[float] | np.ndarray | None = None,
) -> Path:
    """Write frames as an H.264 video that every browser plays.

    Frames are encoded as they come; none is kept. An odd side gets one more row or column. Colours
    are converted to BT.709 in its limited range, and the file says so: where it says nothing, a
    player guesses from the size of the picture, and players guess differently.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to, ending in .mp4, .m4v or .mov; written whole or not at all.
        fps: frames per second, see `exact_rate`. The video lasts frames / fps, exactly.
        durations: in place of `fps`, the seconds that each frame stays. The video lasts their sum,
            to 1/90000 s.

    Raises:
        BadInput: no frames or frames of two sizes, another ending, a rate that cannot be written,
            neither fps nor durations, durations that do not fit the frames, a folder that cannot
            be written, a full disk.
    """
    import av

    path = Path(path)
    if durations is not None:
        moments, tick = _ticks(durations, path)
        rate, options = None, {**X264, "bf": "0"}  # B-frames come with times of their own
    else:
        rate = exact_rate(0 if fps is None else fps)
        moments, tick, options = count(), 1 / rate, X264
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
            stream = container.add_stream("libx264", rate=rate or TICKS, options=options)
            stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
            stream.thread_type = "FRAME"  # frames are encoded while the next ones are drawn
            codec = stream.codec_context
            codec.colorspace = codec.color_primaries = codec.color_trc = BT709
            codec.color_range = LIMITED
            codec.time_base = tick
            begins = iter(moments)
            lasts: dict[int, int] = {}  # ticks of each frame, by the tick at which it begins
            begin = next(begins)
            for frame in chain([first], frames):
                following = next(begins, None)
                if following is None:
                    raise BadInput(f"{path}: more frames than durations: give one for each frame")
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
                if following > begin:  # a frame of no duration is not seen
                    converted.pts, converted.time_base = begin, tick
                    lasts[begin], begin = following - begin, following
                    _mux(container, stream.encode(converted), lasts)
            if next(begins, None) is not None and durations is not None:
                raise BadInput(f"{path}: fewer frames than durations: give one for each frame")
            _mux(container, stream.encode(None), lasts)
    except av.FFmpegError as error:
        raise cannot_write(path, OSError(error.errno, error.strerror)) from error
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _ticks(durations: Sequence[float] | np.ndarray, path: Path) -> tuple[list[int], Fraction]:
    """Where each frame begins and the last one ends, in ticks; and the length of a tick, seconds.

    Raises:
        BadInput: a duration is negative, not finite or too long; all are zero.
    """
    stays = np.asarray(durations, np.float64)
    if stays.ndim != 1 or not ((stays >= 0) & (stays <= LONGEST)).all() or not stays.sum() > 0:
        raise BadInput(
            f"{path}: durations: give the seconds of each frame, 0 to {LONGEST:g}, not all zero"
        )
    a_second = TICKS if stays.max() < 2**31 / TICKS else 1000
    ends = np.round(np.cumsum(stays) * a_second).astype(np.int64)
    return [0, *ends.tolist()], Fraction(1, a_second)


def _mux(container: Any, packets: Iterable[Any], lasts: dict[int, int]) -> None:
    """Write packets, each with its frame's duration: the encoder does not know the last one's."""
    for packet in packets:
        packet.duration = lasts.pop(packet.pts)
        container.mux(packet)


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
    fps: float | None = None,
    *,
    durations: Iterable[float] | None = None,
    max_width: int = 640,
) -> Path:
    """Write frames as an endless gif with one palette for all of them, so that nothing flickers.

    Frames are reduced to palette indices as they come: one byte a pixel is kept until the end. Of
    more than `GIF_MOST_FRAMES`, every second, fourth, … is kept, for as long as those left out:
    the log says so.

    A gif counts in hundredths of a second. What rounding takes from one frame is given to the next,
    so that the whole lasts as long as it should. A frame that would stay less than 0.02 s is left
    out, because browsers play it for 0.1 s; one that stays more than 655.35 s is repeated.

    Args:
        frames: uint8 (H, W, 3), all of one size.
        path: where to; written whole or not at all.
        fps: frames per second.
        durations: in place of `fps`, the seconds that each frame stays.
        max_width: wider frames are drawn smaller, as a gif is large.

    Raises:
        BadInput: no frames, neither fps nor durations, the folder cannot be written or the disk is
            full.
    """
    path = Path(path)
    if durations is None and not (fps is not None and 0 < fps < np.inf):
        raise BadInput(f"{path}: {fps} frames per second: give fps above 0, or durations")
    stays = iter(durations) if durations is not None else None
    shown: list[Image.Image] = []
    seconds: list[float] = []  # of those shown, then of those waiting
    waiting: list[Image.Image] = []
    colours: Image.Image | None = None
    every, came = 1, 0
    for came, frame in enumerate(frames, 1):
        stay = 1 / fps if stays is None and fps else next(stays, 0.0) if stays else 0.0
        if (came - 1) % every:
            seconds[-1] += stay
            continue
        seconds.append(stay)
        waiting.append(at_most(frame, max_width))
        if colours is None and len(waiting) == 16:  # enough to know the clip's colours
            colours = _one_palette(waiting)
        if colours is not None:
            shown += [_indexed(picture, colours) for picture in waiting]
            waiting.clear()
        if len(shown) > GIF_MOST_FRAMES:
            every *= 2
            shown, odd = shown[::2], seconds[1::2]
            seconds = [s + more for s, more in zip_longest(seconds[::2], odd, fillvalue=0.0)]
    if waiting:
        colours = _one_palette(waiting)
        shown += [_indexed(picture, colours) for picture in waiting]
    if not shown:
        raise BadInput(f"no frames to write into {path}: give at least one")
    if every > 1:
        log.warning("%s: a gif of %d frames is too large: 1 in %d is kept", path, came, every)
    shown, delays = _delays(shown, seconds)
    try:
        with atomic_write(path) as temporary:
            shown[0].save(
                temporary,
                "GIF",
                save_all=True,
                append_images=shown[1:],
                duration=[10 * delay for delay in delays],  # Pillow takes milliseconds
                loop=0,
                optimize=False,
            )
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _delays(
    pictures: list[Image.Image], seconds: Sequence[float]
) -> tuple[list[Image.Image], list[int]]:
    """The pictures that a gif holds, and how many hundredths of a second each stays.

    Their sum is that of `seconds`, rounded. Equal pictures in a row become one: Pillow would join
    them too, and then write a number that is too large for the format.
    """
    kept: list[Image.Image] = []
    delays: list[int] = []
    begin, end = 0, 0.0
    for picture, stay in zip(pictures, seconds, strict=True):
        end += stay
        delay = round(100 * end) - begin
        if delay < GIF_SHORTEST:  # what comes next begins where this would have begun
            continue
        if kept and kept[-1].tobytes() == picture.tobytes():
            delays[-1] += delay
        else:
            kept.append(picture)
            delays.append(delay)
        begin += delay
    left = round(100 * end) - begin
    if not kept:
        return pictures[:1], [max(left, GIF_SHORTEST)]
    delays[-1] += left
    long = [k for k, delay in enumerate(delays) if delay > GIF_LONGEST]
    for k in reversed(long):
        times = -(-delays[k] // GIF_LONGEST)
        parts = [delays[k] // times + (i < delays[k] % times) for i in range(times)]
        kept[k : k + 1] = [kept[k] if i % 2 == 0 else _marked(kept[k]) for i in range(times)]
        delays[k : k + 1] = parts
    return kept, delays


def _marked(picture: Image.Image) -> Image.Image:
    """The same picture but for the colour of its last pixel, so that Pillow keeps it apart."""
    other = picture.copy()
    at = picture.width - 1, picture.height - 1
    value = picture.getpixel(at)
    assert isinstance(value, int)  # an index into the palette
    other.putpixel(at, value ^ 1)
    return other


def at_most(frame: np.ndarray, width: int) -> Image.Image:
    """A frame at most `width` pixels wide."""
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
