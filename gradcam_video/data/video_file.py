"""Frames out of a video file, by PyAV: each at its own time, upright, damage said."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Generator, Iterator
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import av.error
import numpy as np
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from PIL import ExifTags, Image

from ..errors import BadInput, printable
from .colours import BT601_TO_BT709, is_hd, names_no_matrix, to_rgb
from .container_crop import crop_asked_for
from .filters import FilmFilters
from .frames import BROWSER_DELAY, SHORTEST_DELAY, SMALLEST_SIDE, on_white, shrink, too_small
from .timeline import AVI, BARE, PROGRAM, STREAMS, TRANSPORT, KeyFrame, Timeline, begins

log = logging.getLogger(__name__)
# Titles in another alphabet are no reason to refuse a film; PyAV 19 takes them without being told.
TITLES: Any = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
DRAWN_TEXT = ("ansi", "bintext", "idf", "xbin")  # FFmpeg would type out any .txt as a film
# FFmpeg's own decoders of these leave the alpha out; libvpx's have it.
WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
ORIENTATION = ExifTags.Base.Orientation
EXIF_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# --- 2. a video file: its timeline, and single frames of it ------------------------------------


def _open(path: Path) -> InputContainer:
    """Opens a file for demuxing, or says in one line why not."""
    try:
        # A pipe or a device would be waited for, or read for ever.
        readable = path.is_file() or not path.exists()
        begins = b""
        if readable:
            with path.open("rb") as file:
                begins = file.read(1)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file or folder; check the path") from error
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path}: cannot be read ({_reason(error)}); check its name and permissions"
        ) from error
    if not readable:
        raise BadInput(f"{path}: not a file; give a video, a gif or a folder of images")
    if not begins:
        raise BadInput(f"{path}: the file is empty (0 bytes); copy or download it again")
    try:
        # "file:" because a name may hold a colon; the whitelist because a playlist may hold a URL.
        return av.open(f"file:{path}", options={"protocol_whitelist": "file"}, **TITLES)
    except (av.error.FFmpegError, UnicodeError) as error:
        raise BadInput(
            f"{path}: not a video that FFmpeg can read, or cut off ({_reason(error)}); "
            "check that it plays, or copy it again"
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _film(container: InputContainer) -> list[VideoStream]:
    """The video streams, the film first: without covers, without text drawn as pictures.

    The first one that the file marks as its default; where none is marked, that of the largest
    pictures. A single picture, as a preview is, comes last.
    """
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    # A stream of an unknown codec has no context, whatever the type says.
    contexts = [(stream, stream.codec_context) for stream in streams]
    streams = [s for s, context in contexts if context and context.name not in DRAWN_TEXT]

    def rank(stream: VideoStream) -> tuple[bool, bool, int]:
        size = stream.codec_context.width * stream.codec_context.height
        default = bool(stream.disposition & Disposition.default)
        return stream.frames == 1, not default, 0 if default else -size

    return sorted(streams, key=rank)


class _Shown(NamedTuple):
    """A decoded frame, and what of it PyAV's frame does not know.

    Attributes:
        place: where it is in `Timeline.at`.
        frame: the frame.
        aspect: width of its pixels over their height.
    """

    place: int
    frame: VideoFrame
    aspect: float


class _Read(NamedTuple):
    """What a read gave, see `VideoFile.read`; `bad` says which frames are damaged."""

    wanted: np.ndarray
    pictures: np.ndarray
    shown: np.ndarray
    bad: np.ndarray


class VideoFile:
    """A video file or gif.

    Attributes:
        times: float64 `(n,)`, when each frame appears, in seconds from the first.
        end: when the last one goes.
        holes: int64 `(m,)`, indices into `times` of the frames after which some are lost.
        note: what is odd about the file, as far as it is known.
        decoded: how many frames were decoded so far, those that nobody wanted included.
        to_screen: float64 `(3, 3)`, brings the pictures' RGB to what players show; None: it is the
            same. Known once frames were read.
    """

    def __init__(
        self,
        path: Path,
        source_fps: float | None,
        max_side: int | None,
        untagged: str = "auto",
    ) -> None:
        self.path = path
        self.name = printable(path.name)
        self.note = ""
        self.to_screen: np.ndarray | None = None
        self._max_side, self._untagged = max_side, untagged
        self._size: tuple[int, int] | None = None  # width and height of the pictures, once known
        self._first: tuple[int, int] | None = None  # the same before they were scaled down
        self._reformatter = VideoReformatter()
        self.decoded = 0
        # Where the last read ended, to go on from there, and what it gave.
        self._live: tuple[Generator[_Shown], _Shown] | None = None
        self._last: _Read | None = None
        with _open(path) as container:
            streams = _film(container)
            if not streams:
                raise BadInput(
                    f"{path}: no video in it that FFmpeg can decode, only sound, text or an "
                    "unknown codec; give a video"
                )
            stream, timeline = streams[0], Timeline(container, streams[0], source_fps)
            for other in streams[1:]:
                if timeline.packets > 1:
                    break
                with _open(path) as again:  # a preview, of which only its packets tell
                    like = again.streams[other.index]
                    assert isinstance(like, VideoStream)
                    film = Timeline(again, like, source_fps)
                if film.packets > timeline.packets:
                    stream, timeline = other, film
            self._timeline, self._stream = timeline, stream.index
            if not timeline.packets:
                raise BadInput(f"{path}: no frames in it; the file is cut off or was never filled")
            if len(streams) > 1:
                which = list(container.streams.video).index(stream) + 1
                self._add_note(f"video stream {which} of {len(container.streams.video)}")
            self._aspect = float(stream.sample_aspect_ratio or 1)
            self._codec_aspect = float(stream.codec_context.sample_aspect_ratio or 0)
            self._range = int(stream.codec_context.color_range)
            name, codec = container.format.name, stream.codec_context.name
            decoder = WITH_ALPHA.get(codec) if "alpha_mode" in stream.metadata else None
            self._decoder = decoder if decoder in av.codecs_available else None
        self._crop = crop_asked_for(path, name, self._stream)
        for note in timeline.notes:
            self._add_note(note)
        self.times, self.end, self.holes = timeline.times, timeline.end, timeline.holes
        self._at = timeline.at
        if name == "gif" and not source_fps:
            self._slow_down()

    def _slow_down(self) -> None:
        """Gives the pictures of a gif the time that browsers give them."""
        lasts = np.diff(self.times, append=self.end)
        lasts[lasts < SHORTEST_DELAY] = BROWSER_DELAY
        ends = np.cumsum(lasts)
        self.times, self.end = np.r_[0.0, ends[:-1]], float(ends[-1])

    def _add_note(self, text: str) -> None:
        if text not in self.note:
            self.note = "; ".join(part for part in (self.note, text) if part)

    def _decode(self, key: KeyFrame | None) -> Generator[_Shown]:
        """Decodes from a key frame on, or from the beginning; what cannot be decoded is left out.

        Raises:
            _NoFrame: the key frame was not found where it should be.
        """
        counted = self._timeline.counted
        with _open(self.path) as container:
            stream = container.streams[self._stream]
            assert isinstance(stream, VideoStream)
            codec = stream.codec_context
            if self._decoder:
                codec = CodecContext.create(self._decoder, "r")
                assert isinstance(codec, VideoCodecContext)
            # Each decoder thread holds frames of its own, 50 MB apiece at 8K: so only a few.
            codec.thread_type = "AUTO"
            codec.thread_count = min(4, os.cpu_count() or 1)
            filters = FilmFilters(self._crop, self._add_note)
            frames = filters.run(_frames(self._packets(container, stream, key), codec))
            aspect = self._codec_aspect
            begin = self._timeline.first if key is None else key.index
            for count, frame in enumerate(frames, begin):
                place = count if counted else frame.dts if frame.pts is None else frame.pts
                # The decoder's threads know of a new shape some frames early: it begins at a key.
                if frame.key_frame:
                    aspect = float(codec.sample_aspect_ratio or 0)
                changed = bool(aspect) and aspect != self._codec_aspect
                self.decoded += 1
                if place is not None:
                    yield _Shown(place, frame, aspect if changed else self._aspect)

    def _packets(
        self, container: InputContainer, stream: VideoStream, key: KeyFrame | None
    ) -> Iterator[Packet]:
        """The packets of the film from a key frame on, each with its own timestamp."""
        places, first = self._timeline.places, self._timeline.first
        index, position = 0, 0
        if key is not None:
            if self._timeline.format in (*STREAMS, *BARE):
                container.seek(key.position, unsupported_byte_offset=True)
            else:
                container.seek(key.pts, stream=stream)
        waiting = key is not None
        for packet in container.demux(stream):
            if waiting and key is not None:
                position = packet.pos if packet.pos is not None else position
                if not self._is(key, packet, position):
                    continue  # the neighbourhood of a key frame is all that some containers find
                waiting, index = False, key.index
            if packet.size and not packet.is_discard:
                index += 1
                if key is None and index <= first:
                    continue  # garbage: what it builds on lies before the file's beginning
                if places is not None and index <= len(places):
                    packet.pts = packet.dts = int(places[index - 1])
            yield packet
        if waiting:
            raise _NoFrame

    def _is(self, key: KeyFrame, packet: Packet, position: int) -> bool:
        """Whether a packet is this key frame.

        Raises:
            _NoFrame: seeking led past it.
        """
        if not packet.size or not packet.is_keyframe:
            return False
        if self._timeline.format == PROGRAM:  # neither time nor place is as when read from afar
            return begins(packet) == key.begins
        if self._timeline.format in (TRANSPORT, AVI, *BARE):
            return position == key.position
        if packet.pts is not None and packet.pts > key.pts:
            raise _NoFrame
        return packet.pts == key.pts

    def _decoder_at(
        self, target: int, key: KeyFrame | None
    ) -> tuple[Generator[_Shown], list[_Shown]]:
        """A decoder from a key frame on, or the last read's, where that goes on from there.

        So windows that follow each other decode each frame once, in files that cannot be sought in,
        too.

        Returns:
            what it gives next, and the frame that it gave last, if it has been used before.
        """
        if self._live is not None:
            (frames, last), self._live = self._live, None
            if last.place <= target and (key is None or key.place <= last.place):
                return frames, [last]
            frames.close()
        return self._decode(key), []

    def _on_screen(self, targets: np.ndarray, key: KeyFrame | None) -> Iterator[_Shown]:
        """Yields for each target, a place in `_at`, the frame on screen then.

        Raises:
            _NoFrame: nothing was decoded, or seeking led past the first target.
        """
        before: _Shown | None = None
        done = 0
        frames, first = self._decoder_at(int(targets[0]), key)
        with contextlib.ExitStack() as stack:
            stack.callback(frames.close)
            for shown in chain(first, frames):
                while done < len(targets) and targets[done] <= shown.place:
                    if targets[done] == shown.place:
                        yield shown
                    elif before is not None:
                        yield before  # its own frame is damaged: the one before stays on screen
                    elif key is None:
                        yield shown  # damaged from the first frame on: the next has to do
                    else:
                        raise _NoFrame
                    done += 1
                if done == len(targets):
                    stack.pop_all()
                    self._live = frames, shown
                    return
                before = shown
        for _ in targets[done:]:
            if before is None:
                raise _NoFrame
            yield before

    def _runs(self, targets: np.ndarray) -> list[np.ndarray]:
        """Splits the targets where seeking spares at least one whole stretch between key frames."""
        stretch = self._timeline.stretches(targets)
        return np.split(targets, np.flatnonzero(np.diff(stretch) > 1) + 1)

    def _pictures(self, targets: np.ndarray) -> Iterator[_Shown]:
        """`_on_screen` for all targets, seeking where it pays and works."""
        for run in self._runs(targets) if len(targets) else ():
            given = 0
            for key in dict.fromkeys((self._timeline.key_before(int(run[0])), None)):
                try:
                    for shown in self._on_screen(run[given:], key):
                        yield shown
                        given += 1
                except (_NoFrame, av.error.FFmpegError) as error:
                    log.debug("%s: seeking to %s failed: %r", self.name, key, error)
                if given == len(run):
                    break
            else:
                raise BadInput(
                    f"{self.path}: not one frame could be decoded; the file is damaged, cut off, "
                    "or of a codec that this FFmpeg lacks"
                )

    def read(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Decodes some frames.

        Args:
            wanted: int64 `(T,)`, indices into `times`, ascending; one may come several times.

        Returns:
            pictures: uint8 `(T, H, W, 3)`.
            shown: int64 `(T,)`, the frame each picture really is: a neighbour of the wanted one
                where the file is damaged.
            note: one line about damage, or "".
        """
        last, self._last = self._last, None
        kept: dict[int, int] = {}
        block: np.ndarray | None = None  # for all: a list to stack would need the memory twice
        shown, bad = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
        if last is not None:  # windows overlap: what the one before had is not decoded again
            kept = {int(index): row for row, index in enumerate(last.wanted)}
            block = np.empty((len(wanted), *last.pictures.shape[1:]), np.uint8)
            for k, row in enumerate(kept.get(int(index)) for index in wanted):
                if row is not None:
                    block[k], shown[k] = last.pictures[row], last.shown[row]
                    bad[k] = last.bad[row]
        fresh = np.array([i for i in np.unique(wanted) if int(i) not in kept], np.int64)
        place, picture = -1, None
        for index, one in zip(fresh, self._pictures(self._at[fresh]), strict=True):
            before, place = place, max(0, int(np.searchsorted(self._at, one.place, "right")) - 1)
            if picture is None or place != before:
                picture = self._picture(one)
            if block is None:
                block = np.empty((len(wanted), *picture.shape), np.uint8)
            rows = wanted == index
            block[rows] = _letterboxed(picture, block.shape[1:])
            shown[rows], bad[rows] = place, place != index or one.frame.is_corrupt
        assert block is not None
        self._last = _Read(wanted, block, shown, bad)
        log.debug("%s: %d frames decoded for %d wanted", self.name, self.decoded, len(wanted))
        damaged = int(bad.sum())
        note = f"{damaged} of {len(wanted)} frames are damaged in the file" if damaged else ""
        return block, shown, note

    def _picture(self, shown: _Shown) -> np.ndarray:
        """Turns a decoded frame into upright RGB with square pixels: uint8 (H, W, 3)."""
        frame = shown.frame
        range_ = frame.color_range or self._range  # some decoders leave it to the container
        picture = to_rgb(self._reformatter, frame, self._fit(shown), self._untagged, range_)
        if self._untagged == "auto" and names_no_matrix(frame) and is_hd(frame):
            self.to_screen = BT601_TO_BT709
        return self._upright(on_white(picture) if picture.shape[-1] == 4 else picture, frame)

    def _fit(self, shown: _Shown) -> tuple[int, int]:
        """Gives the width and height to which a frame is brought, before it is turned."""
        frame, aspect = shown.frame, shown.aspect
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            raise BadInput(too_small(self.path, frame.width, frame.height))
        aspect = aspect if 0.1 < aspect < 10 else 1.0
        # Pixels that are not square are stretched, never squeezed: nothing is lost.
        width = round(frame.width * max(1.0, aspect))
        height = round(frame.height * max(1.0, 1 / aspect))
        if self._first is None:
            self._first = (width, height)
            self._size = shrink(width, height, self._max_side)
            if self._size != self._first:
                self._add_note(f"{width}×{height} scaled to {self._size[0]}×{self._size[1]}")
        assert self._size is not None
        if (width, height) == self._first:
            return self._size
        first = f"{self._first[0]}×{self._first[1]}"
        self._add_note(f"the size changes on the way: {width}×{height} letterboxed into {first}")
        scale = min(self._size[0] / width, self._size[1] / height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def _upright(self, picture: np.ndarray, frame: VideoFrame) -> np.ndarray:
        """Turns and flips a picture (H, W, 3) as the file asks: a phone held up films lying down.

        The file carries a matrix `[a b; c d]`: the pixel at (x, y) belongs at
        (a·x + c·y, b·x + d·y).
        """
        try:
            side_data = frame.side_data.get("DISPLAYMATRIX")
        except ValueError:  # PyAV 18 knows no EXIF, which a motion JPEG's pictures may carry
            return self._upright_by_exif(picture)
        if side_data is None:
            return picture
        a, b, _, c, d = np.frombuffer(bytes(side_data), dtype=np.int32)[:5]
        if abs(b) > abs(a):  # a quarter turn: x and y change places
            picture = picture.swapaxes(0, 1)  # (W, H, 3)
            a, d = c, b
        if a < 0:
            picture = picture[:, ::-1]
        if d < 0:
            picture = picture[::-1]
        return picture

    def _upright_by_exif(self, picture: np.ndarray) -> np.ndarray:
        turn = EXIF_TURNS.get(self._exif_orientation)
        return picture if turn is None else np.asarray(Image.fromarray(picture).transpose(turn))

    @cached_property
    def _exif_orientation(self) -> int:
        """How the pictures of a motion JPEG lie, as the first of them says: EXIF's 1 to 8."""
        with _open(self.path) as container:
            packet = next(iter(container.demux(container.streams[self._stream])))
        try:
            with Image.open(io.BytesIO(bytes(packet)), formats=["JPEG"]) as image:
                return int(image.getexif().get(ORIENTATION, 1))
        except (OSError, ValueError, SyntaxError):
            return 1


def _letterboxed(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A picture in the middle of black, where the film's frames change their size."""
    if picture.shape == shape:
        return picture
    scale = min(shape[0] / picture.shape[0], shape[1] / picture.shape[1], 1.0)
    if scale < 1:  # turned as well as changed
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))
    canvas = np.zeros(shape, np.uint8)
    top, left = (shape[0] - picture.shape[0]) // 2, (shape[1] - picture.shape[1]) // 2
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas


class _NoFrame(Exception):
    """Decoding gave no frame at or before the first one wanted."""


def _frames(packets: Iterator[Packet], codec: VideoCodecContext) -> Iterator[VideoFrame]:
    """Decodes packet by packet; one that cannot be decoded does not end the film."""
    try:
        for packet in packets:
            with contextlib.suppress(av.error.FFmpegError):
                yield from codec.decode(packet)
    except av.error.FFmpegError:  # the container itself is damaged here: what was decoded is good
        with contextlib.suppress(av.error.FFmpegError):
            yield from codec.decode(None)
