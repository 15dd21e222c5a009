"""Frames out of a video file, by PyAV: each at its own time, upright, damage said."""

from __future__ import annotations

import bisect
import contextlib
import logging
import math
import os
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from ..errors import BadInput
from .frames import SMALLEST_SIDE, on_white, shrink, too_small

log = logging.getLogger(__name__)
# Titles in another alphabet are no reason to refuse a film; PyAV 19 takes them without being told.
TITLES: Any = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
UNNAMED = 2  # "unspecified" among FFmpeg's colour matrices
DRAWN_TEXT = ("ansi", "bintext", "idf", "xbin")  # FFmpeg would type out any .txt as a film
HDR = (16, 18)  # the transfer curves PQ and HLG
# In these (matroska is mkv and webm) FFmpeg takes a sudden end for the end of the film and jumps
# over garbage, both without a word; how long the film should be stands in the container alone.
# Each with the bytes that may lie between two packets; asf pads its own to full size.
SILENT = {"matroska": 1024, "flv": 1024, "asf": 65536}
ROUNDING = 0.25  # seconds: a stream and its container disagree by less


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


def _video_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams, without the cover of a piece of music or a text drawn as a picture."""
    pictures = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    # A stream of an unknown codec has no context, whatever the type says.
    contexts = [(stream, stream.codec_context) for stream in streams]
    return [s for s, context in contexts if context and context.name not in DRAWN_TEXT]


class VideoFile:
    """A video file or gif.

    Attributes:
        times: float64 `(n,)`, when each frame appears, in seconds from the first.
        end: when the last one goes.
        holes: int64 `(m,)`, indices into `times` of the frames after which some are lost.
        note: what is odd about the file.
    """

    def __init__(self, path: Path, source_fps: float | None, max_side: int | None) -> None:
        self.path = path
        self.name = path.name
        self.note = ""
        self.holes = np.zeros(0, np.int64)
        self._max_side = max_side
        self._size: tuple[int, int] | None = None  # width and height of the pictures, once known
        self._reformatter = VideoReformatter()
        with _open(path) as container:
            streams = _video_streams(container)
            if not streams:
                raise BadInput(
                    f"{path}: no video in it that FFmpeg can decode, only sound, text or an "
                    "unknown codec; give a video"
                )
            self._stream = streams[0].index
            aspect = float(streams[0].sample_aspect_ratio or 1)  # width of a pixel / its height
            self._stretch = aspect if 0.1 < aspect < 10 else 1.0
            if len(streams) > 1:
                self.note = f"the first of {len(streams)} video streams"
            if streams[0].codec_context.color_trc in HDR:
                self._add_note("HDR colours are shown without tone mapping, so paler than they are")
            self._scan(container, streams[0], source_fps)

    def _scan(
        self, container: InputContainer, stream: VideoStream, source_fps: float | None
    ) -> None:
        """Reads the timeline from the packets: nothing is decoded, and nothing kept but numbers."""
        shown: list[int | None] = []
        keys: list[int] = []
        last, last_duration = -math.inf, 0
        reordered = broken = False
        overhead = SILENT.get(container.format.name.split(",")[0])
        witness = _PacketAudit(stream, overhead) if overhead else None
        try:
            for packet in container.demux() if witness else container.demux(stream):
                if not packet.size:  # the empty packet ends the file
                    continue
                if witness:
                    witness.see(packet, last)
                # A discarded one is cut away by an edit list.
                if packet.stream_index != stream.index or packet.is_discard:
                    continue
                pts = packet.pts
                shown.append(pts)
                if pts is None:
                    continue
                reordered |= pts != packet.dts
                if packet.is_keyframe:
                    keys.append(pts)
                if pts > last:
                    last, last_duration = pts, packet.duration or 0
        except av.error.FFmpegError:
            broken = True
        if not shown:
            raise BadInput(f"{self.path}: no frames in it; the file is cut off or was never filled")

        base = stream.time_base or Fraction(1, 1)
        pts_known = [pts for pts in shown if pts is not None]
        # avi stores no timestamps: those of a stream with B-frames are guesses, and wrong ones.
        guessed = reordered and container.format.name == "avi"
        self._counted = guessed or len(pts_known) < len(shown)
        if not self._counted:
            # Sorted: packets come in decoding order. Unique: two at one moment show only the last.
            self._at = np.unique(np.asarray(pts_known, dtype=np.int64))
            self._keys = sorted(keys)
            self.times = (self._at - self._at[0]) * float(base)
            tail = last_duration * float(base) or float(np.median(np.diff(self.times, prepend=0)))
        else:  # no timestamps: count frames, and decode from the beginning to do so
            self._at = np.arange(len(shown))
            self._keys = []
            rate = source_fps or float(stream.average_rate or stream.guessed_rate or 25)
            self.times = self._at / rate
            tail = 1 / rate
        if source_fps:
            self.times = np.arange(len(self._at)) / source_fps
            tail = 1 / source_fps
        self.end = float(self.times[-1]) + (tail or 0.04)

        if witness:
            there, promised = witness.end(container), (container.duration or 0) / av.time_base
            self._find_holes(witness.gaps, float(base))
        else:
            there = self.end
            promised = float(stream.duration * base) if stream.duration and not source_fps else 0.0
        if broken or promised - there > max(ROUNDING, promised / 100):
            of = f" of {promised:.1f} s" if promised > there else ""
            self._add_note(f"the file is cut off or damaged: only {there:.1f} s{of} are there")

    def _find_holes(self, gaps: list[float], base: float) -> None:
        """Finds where bytes were jumped over and time is missing too: one alone may be as meant.

        Args:
            gaps: timestamps of the frames that unread bytes follow.
            base: seconds of one unit of the timestamps.
        """
        if self._counted or not gaps:
            return
        lasts = np.diff(self._at, append=self._at[-1]) * base  # seconds, of all but the last frame
        before = np.unique(np.searchsorted(self._at, gaps))
        self.holes = before[lasts[before] > ROUNDING]
        if len(self.holes):
            lost, first = lasts[self.holes].sum(), (self._at[self.holes[0]] - self._at[0]) * base
            self._add_note(f"the file is damaged: {lost:.1f} s are lost after {first:.1f} s")

    def _add_note(self, text: str) -> None:
        self.note = "; ".join(part for part in (self.note, text) if part)

    def _key_before(self, place: int) -> int | None:
        """The key frame to seek to for a place in `_at`; None when it is the file's first."""
        before = bisect.bisect_right(self._keys, place)
        return self._keys[before - 1] if before > 1 else None

    def _decode(self, seek: int | None) -> Generator[tuple[int, VideoFrame]]:
        """Decodes from `seek` on, or from the beginning; yields each frame and its place in `_at`.

        What cannot be decoded is left out.
        """
        with _open(self.path) as container:
            stream = container.streams[self._stream]
            assert isinstance(stream, VideoStream)
            # Each decoder thread holds frames of its own, 50 MB apiece at 8K: so only a few.
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(4, os.cpu_count() or 1)
            if seek is not None:
                container.seek(seek, stream=stream)
            for count, frame in enumerate(_frames(container, stream)):
                place = count if self._counted else frame.dts if frame.pts is None else frame.pts
                if place is not None:
                    yield place, frame

    def _on_screen(self, targets: np.ndarray, seek: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Yields for each target, a place in `_at`, the frame on screen then, and its own place.

        Raises:
            _NoFrame: nothing was decoded, or seeking led past the first target.
        """
        before: tuple[int, VideoFrame] | None = None
        done = decoded = 0
        with contextlib.closing(self._decode(seek)) as frames:
            for place, frame in frames:
                decoded += 1
                while done < len(targets) and targets[done] <= place:
                    if targets[done] == place:
                        yield place, frame
                    elif before is not None:
                        yield before  # its own frame is damaged: the one before stays on screen
                    elif seek is None:
                        yield place, frame  # damaged from the first frame on: the next has to do
                    else:
                        raise _NoFrame
                    done += 1
                if done == len(targets):
                    break
                before = (place, frame)
        log.debug("%s: %d frames decoded for %d wanted", self.name, decoded, len(targets))
        for _ in targets[done:]:
            if before is None:
                raise _NoFrame
            yield before

    def _runs(self, targets: np.ndarray) -> list[np.ndarray]:
        """Splits the targets where seeking spares at least one whole stretch between key frames."""
        stretch = np.searchsorted(self._keys, targets, side="right")
        return np.split(targets, np.flatnonzero(np.diff(stretch) > 1) + 1)

    def _pictures(self, targets: np.ndarray) -> Iterator[tuple[int, VideoFrame]]:
        """`_on_screen` for all targets, seeking where it pays and works."""
        for run in self._runs(targets):
            given = 0
            # Some containers only find the neighbourhood of a key frame: then from the beginning.
            for seek in dict.fromkeys((self._key_before(int(run[0])), None)):
                try:
                    for placed in self._on_screen(run[given:], seek):
                        yield placed
                        given += 1
                except (_NoFrame, av.error.FFmpegError) as error:
                    log.debug("%s: seeking to %s failed: %r", self.name, seek, error)
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
        pictures: np.ndarray | None = None
        shown = np.zeros(len(wanted), np.int64)
        damaged = 0
        for k, (place, frame) in enumerate(self._pictures(self._at[wanted])):
            shown[k] = max(0, int(np.searchsorted(self._at, place, side="right")) - 1)
            damaged += bool(shown[k] != wanted[k] or frame.is_corrupt)
            if pictures is not None and shown[k] == shown[k - 1]:
                pictures[k] = pictures[k - 1]
                continue
            picture = self._picture(frame)
            if pictures is None:  # one block for all: a list to stack would need the memory twice
                pictures = np.empty((len(wanted), *picture.shape), np.uint8)
            pictures[k] = picture
        assert pictures is not None
        note = f"{damaged} of {len(wanted)} frames are damaged in the file" if damaged else ""
        return pictures, shown, note

    def _picture(self, frame: VideoFrame) -> np.ndarray:
        """Turns a decoded frame into upright RGB with square pixels: uint8 (H, W, 3)."""
        if self._size is None:
            self._size = self._fit(frame)
        alpha = any(component.is_alpha for component in frame.format.components)
        # A stream that does not name its matrix: HD is BT.709, all else BT.601, as players take it.
        named = frame.colorspace != UNNAMED
        unnamed = Colorspace.ITU709 if min(frame.width, frame.height) >= 720 else Colorspace.ITU601
        picture = self._reformatter.reformat(
            frame,
            *self._size,
            "rgba" if alpha else "rgb24",
            src_colorspace=None if named else unnamed,
            interpolation=Interpolation.AREA,
        ).to_ndarray()  # (H, W, 3 or 4)
        return _upright(on_white(picture) if alpha else picture, frame)

    def _fit(self, frame: VideoFrame) -> tuple[int, int]:
        """Gives the width and height to which all frames are brought, before they are turned."""
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            raise BadInput(too_small(self.path, frame.width, frame.height))
        # Pixels that are not square are stretched, never squeezed: nothing is lost.
        width = round(frame.width * max(1.0, self._stretch))
        height = round(frame.height * max(1.0, 1 / self._stretch))
        size = shrink(width, height, self._max_side)
        if size != (width, height):
            self._add_note(f"{width}×{height} scaled to {size[0]}×{size[1]}")
        return size


class _PacketAudit:
    """Sees what FFmpeg keeps to itself: where the packets end, and bytes that it jumps over.

    It has to see the packets of all streams: sound may be longer than the film, and lies between.

    Attributes:
        gaps: latest timestamp of the film before each stretch of unread bytes.
    """

    def __init__(self, film: VideoStream, overhead: int) -> None:
        self.gaps: list[float] = []
        self._film = film.index
        self._overhead = overhead  # bytes between two packets that are nothing to wonder at
        self._ends: dict[int, int] = {}  # stream -> timestamp at which the last packet ends
        self._read = 0  # bytes: where the packet before ends
        self._unread = 0  # bytes: the longest stretch since the film's last packet

    def see(self, packet: Packet, last: float) -> None:
        """Takes the next packet; `last` is the film's latest timestamp so far."""
        stream = packet.stream_index
        if packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            self._ends[stream] = max(self._ends.get(stream, end), end)
        if packet.pos is not None:
            self._unread = max(self._unread, packet.pos - self._read)
            self._read = max(self._read, packet.pos) + packet.size  # some share a position
        if stream == self._film:
            if self._unread > self._overhead and last > -math.inf:
                self.gaps.append(last)
            self._unread = 0

    def end(self, container: InputContainer) -> float:
        """Seconds at which the last packet of all ends."""
        bases = [float(stream.time_base or 0) for stream in container.streams]
        return max((end * bases[stream] for stream, end in self._ends.items()), default=0.0)


class _NoFrame(Exception):
    """Decoding gave no frame at or before the first one wanted."""


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decodes packet by packet; one that cannot be decoded does not end the film."""
    try:
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.FFmpegError):
                yield from packet.decode()
    except av.error.FFmpegError:  # the container itself is damaged here: what was decoded is good
        with contextlib.suppress(av.error.FFmpegError):
            yield from stream.decode(None)


def _upright(picture: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Turns and flips a picture (H, W, 3) as the file asks: a phone held upright films lying down.

    The file carries a matrix `[a b; c d]`: the pixel at (x, y) belongs at (a·x + c·y, b·x + d·y).
    """
    side_data = frame.side_data.get("DISPLAYMATRIX")
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
