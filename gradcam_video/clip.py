"""From a file to a `Clip`: 16 frames at 4 frames a second, whatever the file is.

A video (mp4, webm, mkv, avi, mov, …), a gif, or a folder of numbered images. Three steps, each a
small function: the *timeline* of the file (when is each of its frames shown?) is read without
decoding a picture; *which* frames to take is decided on the timeline alone; only then are those
frames decoded, from the nearest key frame on. So a long file costs no more memory than a short
one, and frame rates that vary, or lie, are seen before they do harm.
"""

from __future__ import annotations

import bisect
import contextlib
import logging
import math
import os
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
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
from PIL import Image, ImageOps

from gradcam_video.errors import BadInput

log = logging.getLogger(__name__)

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".gif", ".mpg", ".mpeg", ".wmv", ".flv"}
    | {".3gp", ".ts", ".ogv"}
)
FOLDER_FPS = 12.0  # Something-Something V1: jpgs cut at 12 frames a second
SMALLEST_SIDE = 8
# Titles in another alphabet are no reason to refuse a film; PyAV 19 takes them without being told.
TITLES: Any = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
# Containers round timestamps to a millisecond: a frame half a millisecond "late" is on time.
TOLERANCE = 1e-3
UNNAMED = 2  # "unspecified" among FFmpeg's colour matrices
DRAWN_TEXT = ("ansi", "bintext", "idf", "xbin")  # FFmpeg would type out any .txt as a film
HDR = (16, 18)  # the transfer curves PQ and HLG
# In these (matroska is mkv and webm) FFmpeg takes a sudden end for the end of the film and jumps
# over garbage, both without a word; how long the film should be stands in the container alone.
# Each with the bytes that may lie between two packets; asf pads its own to full size.
SILENT = {"matroska": 1024, "flv": 1024, "asf": 65536}
ROUNDING = 0.25  # seconds: a stream and its container disagree by less


@dataclass(frozen=True, eq=False)
class Clip:
    """A few frames of a video, and when they were shown.

    Attributes:
        frames: uint8 `(T, H, W, 3)`, RGB, upright, square pixels.
        times: float64 `(T,)`, seconds from the first frame of the file to the frame shown.
        repeated: bool `(T,)`, true where the picture is only the one before it again, because the
            file ended too early (or is damaged there).
        source: file name, for messages and titles.
        note: one line for people: what was left out, lost, repeated or scaled.
        start: where the window begins, seconds; `times[0]` may be a little earlier, because the
            frame on screen at that moment appeared before it.
        fps: frames a second at which the clip plays in real time; 0 has it told from `times`.
    """

    frames: np.ndarray
    times: np.ndarray
    repeated: np.ndarray
    source: str
    note: str = ""
    start: float = 0.0
    fps: float = 0.0

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if len(shape) != 4 or shape[0] < 1 or shape[3] != 3 or self.frames.dtype != np.uint8:
            raise BadInput(
                f"{self.source}: frames are {self.frames.dtype} {shape}; "
                "give uint8 of shape (T, H, W, 3)"
            )
        if self.times.shape != shape[:1] or self.repeated.shape != shape[:1]:
            raise BadInput(
                f"{self.source}: {shape[0]} frames, but times {self.times.shape} and repeated "
                f"{self.repeated.shape}; give one of each per frame"
            )
        if not self.fps > 0:
            times = self.times[~self.repeated]
            span = float(times[-1] - times[0]) if len(times) > 1 else 0.0
            rate = (len(times) - 1) / span if span > 0 else 4.0  # a single picture has no rate
            object.__setattr__(self, "fps", rate)  # the class is frozen for everyone else

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def seconds(self) -> float:
        """How long the clip plays, its repeated frames included."""
        return len(self) / self.fps


# --- 1. which frames: decided on the timeline alone --------------------------------------------


def _shown_at(times: np.ndarray, moments: np.ndarray | float) -> np.ndarray:
    """Index of the frame on screen at each moment: the last that appeared at or before it."""
    return np.maximum(np.searchsorted(times, np.asarray(moments) + TOLERANCE, side="right") - 1, 0)


def choose_frames(
    times: np.ndarray, end: float, frames: int, fps: float | None, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the frames of one clip.

    With `fps`, frame k is the one on screen at `start + k / fps`: the last that appeared at or
    before that moment. Without, the frames from `start` on are taken as they are: all when they
    are as many as asked for, spread evenly (the middle of T equal parts) when there are more.

    Args:
        times: `(n,)` seconds at which each frame of the file appears, ascending.
        end: seconds at which the last frame goes.

    Returns:
        indices: int64 `(T,)` into `times`.
        repeated: bool `(T,)`, where the file had ended and its last frame stands in.
    """
    step = np.arange(frames)
    if fps is None:
        first = int(_shown_at(times, start))
        left = len(times) - first
        if left >= frames:
            return first + ((step + 0.5) * left / frames).astype(np.int64), step < 0
        return first + np.minimum(step, left - 1), step >= left
    moments = start + step / fps
    indices = _shown_at(times, moments)
    # A still has no second moment, however long it is shown.
    repeated = (moments >= end - TOLERANCE) | (len(times) == 1)
    repeated[0] = False
    return indices, repeated


def centre_start(end: float, frames: int, fps: float) -> float:
    """Where a window of `frames` at `fps` begins so that it lies in the middle, seconds."""
    return max(0.0, (end - frames / fps) / 2)


def _window_starts(end: float, length: float, overlap: float) -> list[float]:
    """Where windows of `length` begin so that they cover 0 to `end`; the last ends at `end`."""
    last = max(0.0, end - length)
    step = length * (1 - overlap)
    count = math.ceil((last - TOLERANCE) / step) if last > TOLERANCE else 0
    return [k * step for k in range(count)] + [last]


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


class _Video:
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
        witness = _Witness(stream, overhead) if overhead else None
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
        return _upright(_on_white(picture) if alpha else picture, frame)

    def _fit(self, frame: VideoFrame) -> tuple[int, int]:
        """Gives the width and height to which all frames are brought, before they are turned."""
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            raise BadInput(_too_small(self.path, frame.width, frame.height))
        # Pixels that are not square are stretched, never squeezed: nothing is lost.
        width = round(frame.width * max(1.0, self._stretch))
        height = round(frame.height * max(1.0, 1 / self._stretch))
        size = _shrunk(width, height, self._max_side)
        if size != (width, height):
            self._add_note(f"{width}×{height} scaled to {size[0]}×{size[1]}")
        return size


class _Witness:
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


def _shrunk(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Width and height with the longer side at most `max_side`."""
    scale = min(1.0, (max_side or math.inf) / max(width, height))
    return max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale))


def _on_white(picture: np.ndarray) -> np.ndarray:
    """Lays a picture with transparency on white: uint8 (H, W, 4) to (H, W, 3)."""
    alpha = picture[..., 3:].astype(np.uint16)  # (H, W, 1)
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


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


def _too_small(path: Path, width: int, height: int) -> str:
    return f"{path}: {width}×{height} pixels; each side must have at least {SMALLEST_SIDE}"


# --- 3. a folder of numbered images ------------------------------------------------------------


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorting key under which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _numbered(names: Sequence[str]) -> tuple[list[str], str]:
    """Orders the images of a folder by number.

    Args:
        names: the file names in a folder; what is neither image nor video is passed over.

    Returns:
        The images in order, and "" ; or no images, and why the folder is not one clip.
    """
    numbers: dict[int, str] = {}
    prefixes: set[str] = set()
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 (100,000 folders: no Path for each)
        if suffix.lower() in VIDEOS:
            return [], f"holds a video ({name})"
        if suffix.lower() not in IMAGES or name.startswith("."):
            continue
        match = re.fullmatch(r"(.*?)(\d+)", stem)
        if match is None:
            return [], f"holds an image without a number ({name})"
        prefixes.add(match[1])
        if len(prefixes) > 1:
            return [], f"holds images of several series ({name} and others)"
        if int(match[2]) in numbers:
            return [], f"holds number {int(match[2])} twice ({numbers[int(match[2])]} and {name})"
        numbers[int(match[2])] = name
    if not numbers:
        return [], "holds no numbered images"
    return [numbers[number] for number in sorted(numbers)], ""


class _Folder:
    """A folder of numbered images; it offers what `_Video` does: times, end, holes, note, read."""

    def __init__(self, path: Path, source_fps: float | None, max_side: int | None) -> None:
        self.path = path
        self.name = clip_name(path)
        self.note = ""
        self.holes = np.zeros(0, np.int64)  # a number that is missing may never have been there
        self._max_side = max_side
        try:
            files, problem = _numbered([file.name for file in path.iterdir() if file.is_file()])
        except OSError as error:
            raise BadInput(f"{path}: cannot be listed ({error.strerror}); check it") from error
        if problem:
            raise BadInput(
                f"{path}: not a clip, it {problem}; give a video or a folder of images numbered "
                "like 00001.jpg"
            )
        self._files = [path / file for file in files]
        rate = source_fps or FOLDER_FPS
        self.times = np.arange(len(files)) / rate
        self.end = len(files) / rate

    def read(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
        """Reads some images; the same contract as `_Video.read`."""
        pictures: np.ndarray | None = None
        expected = (0, 0)
        for k, index in enumerate(wanted):
            if pictures is not None and index == wanted[k - 1]:
                pictures[k] = pictures[k - 1]
                continue
            picture, size = self._picture(self._files[index])
            if pictures is None:
                pictures = np.empty((len(wanted), *picture.shape), np.uint8)
                expected = size
            if size != expected:
                raise BadInput(
                    f"{self._files[index]}: {size[0]}×{size[1]} pixels, but "
                    f"{self._files[wanted[0]].name} has {expected[0]}×{expected[1]}; "
                    "bring all images of a clip to one size"
                )
            pictures[k] = picture
        assert pictures is not None
        return pictures, wanted, ""

    def _picture(self, file: Path) -> tuple[np.ndarray, tuple[int, int]]:
        """Reads one image: uint8 (H, W, 3), and its width and height before scaling."""
        try:
            with Image.open(file) as opened:
                image = ImageOps.exif_transpose(opened)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                picture = Image.fromarray(_on_white(np.asarray(image.convert("RGBA"))))
            else:
                picture = image.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise BadInput(
                f"{file}: cannot be read as an image ({error}); replace it or take it out"
            ) from error
        if min(picture.size) < SMALLEST_SIDE:
            raise BadInput(_too_small(file, *picture.size))
        size = _shrunk(*picture.size, self._max_side)
        if size != picture.size and not self.note:
            was, now = picture.size, size
            self.note = f"{was[0]}×{was[1]} scaled to {now[0]}×{now[1]}"
        scaled = picture if size == picture.size else picture.resize(size, Image.Resampling.BOX)
        return np.asarray(scaled), picture.size


Reel = _Video | _Folder
"""An opened clip: `times` and `end` (seconds), `holes`, `note`; `read` gives some of its frames."""


# --- what others call --------------------------------------------------------------------------


def read_clip(
    path: str | os.PathLike[str],
    frames: int = 16,
    fps: float | None = 4.0,
    start: float | None = None,
    source_fps: float | None = None,
    max_side: int | None = 1280,
) -> Clip:
    """Reads one clip from a video file, a gif or a folder of numbered images.

    Cost: the timeline is read from the whole file (about 10 µs a frame, and the disk's time),
    then pictures are decoded only around the frames that are taken. Memory: the clip itself,
    `frames × H × W × 3` bytes, at most 79 MB for 16 frames with `max_side` at its default, and the
    pictures the decoder holds, however long the file is. An 8K film (7680×4320, H.264) took
    0.6 GB in all with two decoder threads, 0.8 GB with four; at full size 1.6 GB more.

    Args:
        path: the file or folder. What it is, is told by its content, not its name.
        frames: T, how many frames to take.
        fps: how many of them a second, by timestamp; None takes the frames as they are: all when
            the file has T, spread evenly when it has more.
        start: seconds at which the window begins; None puts it in the middle of the file (with
            `fps=None`, the whole file).
        source_fps: the true rate of the file where its own is wrong or, for a folder, missing
            (12 then, as in Something-Something V1).
        max_side: the longer side is scaled down to this while reading; None for full size.

    Returns:
        The clip. A file too short for T frames repeats its last one, flagged in `repeated`.

    Raises:
        BadInput: there is no such clip to be had; the message names the file and what to do.

    Example:
        >>> clip = read_clip("ssv2_166766.mp4")  # doctest: +SKIP
        >>> clip.frames.shape, clip.times[1]  # doctest: +SKIP
        ((16, 240, 427, 3), 0.25)
    """
    _check(frames, fps, start, source_fps, max_side)
    reel = open_reel(path, source_fps, max_side)
    if start is not None and start >= reel.end - TOLERANCE:
        raise BadInput(
            f"{path}: start={start:g} s lies beyond its end ({reel.end:.2f} s); give an earlier one"
        )
    notes = []
    if fps is None:
        begin = start or 0.0
        count = len(reel.times) - int(_shown_at(reel.times, begin))
        if count > frames:
            notes = [f"{frames} of {count} frames, spread evenly"]
    else:
        length = frames / fps
        begin = centre_start(reel.end, frames, fps) if start is None else start
        if reel.end - length > 1 / fps:
            notes = [
                f"{reel.end:.1f} s video: explained {begin:.1f}–{min(begin + length, reel.end):.1f}"
                " s; --windows all covers it whole"
            ]
    indices, repeated = choose_frames(reel.times, reel.end, frames, fps, begin)
    return _clip(reel, indices, repeated, begin, fps, notes)


def read_windows(
    path: str | os.PathLike[str],
    frames: int = 16,
    fps: float | None = 4.0,
    overlap: float = 0.5,
    source_fps: float | None = None,
    max_side: int | None = 1280,
) -> Iterator[Clip]:
    """Covers a long video whole with overlapping clips, so that their maps can be joined.

    Each window is as `read_clip` would read it; there is no gap between them, and the last ends
    where the file ends. One window is in memory at a time. With `fps=None` a window is T frames
    in a row.

    Args:
        path, frames, fps, source_fps, max_side: as for `read_clip`.
        overlap: share of a window that the next one sees again, 0 (none) to below 1.

    Returns:
        An iterator over the clips; `clip.start` says where each begins.

    Raises:
        BadInput: as `read_clip`; what concerns the file as a whole is raised before the first.
    """
    _check(frames, fps, None, source_fps, max_side)
    if not (isinstance(overlap, (int, float)) and 0 <= overlap < 1):
        raise BadInput(f"overlap={overlap}: give a share of the window, 0 to below 1")
    reel = open_reel(path, source_fps, max_side)
    chosen: list[tuple[np.ndarray, np.ndarray, float]] = []
    if fps is None:
        last = max(0, len(reel.times) - frames)
        step = max(1, round(frames * (1 - overlap)))
        for first in [*range(0, last, step), last]:
            window = slice(first, first + frames)
            indices, repeated = choose_frames(reel.times[window], reel.end, frames, None, 0.0)
            chosen.append((indices + first, repeated, float(reel.times[first])))
    else:
        for begin in _window_starts(reel.end, frames / fps, overlap):
            chosen.append((*choose_frames(reel.times, reel.end, frames, fps, begin), begin))

    def clips() -> Iterator[Clip]:
        for k, (indices, repeated, begin) in enumerate(chosen, start=1):
            note = [f"window {k} of {len(chosen)}"] if len(chosen) > 1 else []
            yield _clip(reel, indices, repeated, begin, fps, note)

    return clips()


def open_reel(
    path: str | os.PathLike[str], source_fps: float | None = None, max_side: int | None = None
) -> Reel:
    """Opens a clip and reads when each of its frames is shown; decodes none.

    Args:
        path, source_fps, max_side: as for `read_clip`.

    Returns:
        What is known without decoding; its `note` says what is lost of a damaged file.

    Raises:
        BadInput: no clip there.

    Example:
        >>> open_reel("ssv2_166766.mp4").end  # doctest: +SKIP
        4.083
    """
    path = Path(path)
    return (_Folder if _is_dir(path) else _Video)(path, source_fps, max_side)


def find_clips(path: str | os.PathLike[str]) -> list[Path]:
    """Lists the clips that a path stands for.

    A file is itself, whatever its name. A folder whose images are numbered is one clip. Any other
    folder is searched, with all folders in it, for files named like videos and for folders of
    numbered images; hidden ones are passed over.

    Returns:
        The clips in natural order (2 before 10).

    Raises:
        BadInput: there is no such path, or no clip in it.
    """
    path = Path(path)
    if not _is_dir(path):
        if not os.path.lexists(path):
            raise BadInput(f"{path}: no such file or folder; check the path")
        return [path]
    found: list[Path] = []
    problem = ""
    for folder, subfolders, names in os.walk(path):
        images, why = _numbered(names)
        problem = problem or why
        if images:
            found.append(Path(folder))
            subfolders.clear()  # a clip is one clip, whatever lies in it
            continue
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        found += [
            Path(folder, name)
            for name in names
            if Path(name).suffix.lower() in VIDEOS and not name.startswith(".")
        ]
    if not found:
        raise BadInput(
            f"{path}: no clip in this folder (it {problem or 'cannot be listed'}); give a video, a "
            "folder with videos, or one of images numbered like 00001.jpg"
        )
    return sorted(found, key=lambda clip: [_natural(Path(part)) for part in clip.parts])


def clip_name(path: str | os.PathLike[str]) -> str:
    """Names the output folder of a clip: its file name with the extension.

    With the extension, because `a.mp4` and `a.gif` may lie side by side.
    """
    return Path(path).name or Path(path).resolve().name or "clip"


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be read ({error.strerror}); check its permissions"
        ) from error


def _clip(
    reel: Reel,
    indices: np.ndarray,
    repeated: np.ndarray,
    start: float,
    fps: float | None,
    notes: list[str],
) -> Clip:
    """Reads the chosen frames and says what there is to say about them."""
    pictures, shown, damage = reel.read(indices)
    # Where a damaged frame is replaced by the one before it, that is a repeat too.
    again = np.zeros_like(repeated)
    # A frame that stays because those after it are lost, is one as well.
    stands_in = (indices[1:] != indices[:-1]) | np.isin(indices[1:], reel.holes)
    again[1:] = (shown[1:] == shown[:-1]) & stands_in
    repeated = repeated | again
    if repeated.any():
        notes = [*notes, f"{repeated.sum()} of {len(indices)} frames are repeats"]
    slow = int(np.sum((np.diff(indices) == 0) & ~repeated[1:]))
    if slow:
        rate = len(reel.times) / reel.end
        notes = [*notes, f"the file has only {rate:.3g} frames a second, so some are shown longer"]
    note = "; ".join(part for part in (*notes, reel.note, damage) if part)
    times = reel.times[shown]
    return Clip(pictures, times, repeated, reel.name, note, float(start), float(fps or 0))


def _check(
    frames: int,
    fps: float | None,
    start: float | None,
    source_fps: float | None,
    max_side: int | None,
) -> None:
    """Refuses settings that no file can satisfy."""
    if not isinstance(frames, (int, np.integer)) or frames < 1:
        raise BadInput(f"frames={frames}: give a whole number from 1")
    for name, value in (("fps", fps), ("source_fps", source_fps)):
        if value is not None and not (_finite(value) and value > 0):
            raise BadInput(f"{name}={value}: give a number of frames a second above 0")
    if start is not None and not (_finite(start) and start >= 0):
        raise BadInput(f"start={start}: give seconds from the beginning of the file, 0 or more")
    if max_side is not None and not (_finite(max_side) and max_side >= SMALLEST_SIDE):
        raise BadInput(f"max_side={max_side}: give at least {SMALLEST_SIDE} pixels, or None")


def _finite(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)
