"""The timeline of a video file, read from its packets alone: when is each frame shown?

A packet is what the file holds of one frame, compressed. Nothing is decoded here, and nothing kept
but numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# In these (matroska is mkv and webm) FFmpeg takes a sudden end for the end of the film and jumps
# over garbage, both without a word; how long the film should be stands in the container alone.
# Each with the bytes that may lie between two packets; asf pads its own to full size.
SILENT = {"matroska": 1024, "flv": 1024, "asf": 65536}
ROUNDING = 0.25  # seconds: a stream and its container disagree by less
# MPEG's transport and program streams. Their length is a guess of FFmpeg, their times may begin
# anew on the way, and there is no index: one seeks by the place in the file.
TRANSPORT, PROGRAM = "mpegts", "mpeg"
STREAMS = (TRANSPORT, PROGRAM)
AVI = "avi"
# Codecs whose packets tell FFmpeg whether they are B-frames, which are shown as they are decoded.
# Not where two frames lie in one packet, as DivX packs them: a few bytes then fill the next one.
MPEG, FILLER = ("mpeg1video", "mpeg2video", "mpeg4"), 16
# As FFmpeg's own program: times that go back by more, or forward by more, begin a new recording.
BACK, AHEAD = 0.1, 10.0  # seconds
# Pictures alone, one behind the other, without a container; what the rate is, only some say.
BARE = ("h264", "hevc", "vvc", "evc", "m4v", "mpegvideo", "mjpeg", "obu", "cavsvideo", "dirac")
REORDERED = 5  # frames: so far from its place in time a packet lies at most, about
# Of these the type of a unit that begins anew: the bits of its first byte, and their values.
IDR = {"h264": (0, 0x1F, (5,)), "hevc": (1, 0x3F, (19, 20))}
UNITS_WITHIN = 8192  # bytes: headers and an encoder's settings lie before
BARE_FPS = 25.0  # what FFmpeg takes where nothing says it


@dataclass(frozen=True)
class KeyFrame:
    """Where decoding can begin.

    Attributes:
        place: when it is shown, in `Timeline.at`'s unit.
        index: which packet of the film it is.
        pts: its timestamp in the file; in avi, that of its decoding.
        position: the byte at which it begins, or, where only some packets have one, one before.
        begins: its size and its first bytes, by which it is known again.
    """

    place: int
    index: int
    pts: int
    position: int
    begins: tuple[int, bytes]


class Timeline:
    """When each frame of a film is shown.

    Attributes:
        at: int64 `(n,)`, the frames' timestamps, ascending, each once; or, where `counted`, 0 to n.
        times: float64 `(n,)`, the same in seconds from the first frame.
        end: seconds at which the last frame goes.
        holes: int64 `(m,)`, indices into `times` of the frames after which some are lost.
        keys: the key frames, in order of time.
        places: int64, of every packet in the file's order, its place in time; None: as the file
            says.
        first: the first packet that can be decoded by itself; the file may begin in between.
        counted: the file has no timestamps, or none to be trusted: frames are counted from the
            first.
        notes: what is odd.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, source_fps: float | None
    ) -> None:
        self.notes: list[str] = []
        self.holes = np.zeros(0, np.int64)
        self.places: np.ndarray | None = None
        self.format = container.format.name.split(",")[0]
        self.base = float(stream.time_base or Fraction(1, 1))
        scan = _Scan(container, stream, self.format)
        self.packets = len(scan.pts)
        self.first = 0 if scan.whole else scan.first or 0
        self.keys: list[KeyFrame] = []
        self._key_places = np.zeros(0, np.int64)
        self.counted = True
        if self.packets:
            self._place(scan, stream, source_fps)
            self._find_damage(scan, container, stream, source_fps)

    def _place(self, scan: _Scan, stream: VideoStream, source_fps: float | None) -> None:
        """Works out when each frame is shown."""
        known = [pts for pts in scan.pts if pts is not None]
        bare = self.format in BARE
        # avi stores no timestamps: those of a stream with B-frames are guesses, and mostly wrong.
        guessed = bare or (self.format == AVI and scan.reordered)
        plain = guessed and scan.is_plain_mpeg()
        self.counted = (guessed and not plain) or len(known) < len(scan.pts)
        if self.counted or bare:
            self.at = np.arange(len(scan.pts))
            rate = source_fps or (self._bare_rate(stream) if bare else _rate(stream))
            self.times, tail = self.at / rate, 1 / rate
            places = self.at
            if not self.counted:
                self.places = places = np.argsort(np.argsort(np.asarray(known, np.int64)))
            if not self.counted or scan.looks_for_idr:
                self._set_keys(scan, places)
        else:
            places = np.asarray(known, np.int64)
            if self.format == PROGRAM:
                places = scan.in_display_order(places)
            if len(scan.joins) > 1:
                places = scan.joined(places)
                self.notes.append(f"{len(scan.joins)} recordings, one behind the other")
            if self.format in STREAMS or (self.format == AVI and scan.reordered):
                self.places = places
            self._set_keys(scan, places)
            # Sorted: packets come in decoding order. Unique: two at one moment show only the last.
            self.at = np.unique(places)
            self.times = (self.at - self.at[0]) * self.base
            last = scan.durations[int(places.argmax())] * self.base
            tail = last or float(np.median(np.diff(self.times, prepend=0)))
        if source_fps:
            self.times, tail = np.arange(len(self.at)) / source_fps, 1 / source_fps
        self.end = float(self.times[-1]) + (tail or 0.04)

    def _set_keys(self, scan: _Scan, places: np.ndarray) -> None:
        """Where one can begin: at key frames; where frames are counted, at those of `IDR`."""
        times = scan.dts if self.format == AVI else scan.pts
        self.keys = sorted(
            (
                KeyFrame(int(places[index]), index, times[index] or 0, position, begins)
                for index, position, begins in scan.keys
            ),
            key=lambda key: key.place,
        )
        self._key_places = np.array([key.place for key in self.keys], np.int64)

    def _bare_rate(self, stream: VideoStream) -> float:
        """Frames a second of pictures without a container."""
        rate = stream.codec_context.framerate
        if rate:
            return float(rate)
        self.notes.append(
            f"how many frames a second it has does not stand in the file: {BARE_FPS:g} taken; "
            "source_fps= says another"
        )
        return BARE_FPS

    def _find_damage(
        self,
        scan: _Scan,
        container: InputContainer,
        stream: VideoStream,
        source_fps: float | None,
    ) -> None:
        """Finds what is missing: the end, or something on the way."""
        if scan.audit:
            there = scan.audit.end(container)
            promised = (container.duration or 0) / av.time_base
            self._find_holes(scan.audit.gaps)
        else:
            if len(scan.joins) == 1:  # with one recording, places are timestamps
                self._find_holes(scan.corrupt, near=REORDERED)
            there, promised = self.end, 0.0
            if stream.duration and not source_fps and self.format not in STREAMS:
                promised = stream.duration * self.base
        if scan.broken or promised - there > max(ROUNDING, promised / 100):
            of = f" of {promised:.1f} s" if promised > there else ""
            self.notes.append(f"the file is cut off or damaged: only {there:.1f} s{of} are there")

    def _find_holes(self, gaps: list[float], near: int = 0) -> None:
        """Finds where bytes were jumped over and time is missing too: one alone may be as meant.

        Args:
            gaps: timestamps of the frames that unread bytes follow.
            near: by how many frames they may be off.
        """
        if self.counted or not gaps:
            return
        lasts = np.diff(self.at, append=self.at[-1]) * self.base  # seconds, of all but the last
        about = np.searchsorted(self.at, gaps)[:, None] + np.arange(-near, near + 1)
        before = np.unique(about.clip(0, len(lasts) - 1))
        self.holes = before[lasts[before] > ROUNDING]
        if len(self.holes):
            lost, first = lasts[self.holes].sum(), (self.at[self.holes[0]] - self.at[0]) * self.base
            self.notes.append(f"the file is damaged: {lost:.1f} s are lost after {first:.1f} s")

    def key_before(self, place: int) -> KeyFrame | None:
        """The key frame to begin at for a place in `at`; None when it is the file's first."""
        before = int(self.stretches(np.array(place)))
        return self.keys[before - 1] if before > 1 else None

    def stretches(self, targets: np.ndarray) -> np.ndarray:
        """How many key frames lie at or before each target."""
        return np.searchsorted(self._key_places, targets, side="right")


def _is_idr(packet: Packet, codec: str) -> bool:
    """Whether decoding begins anew with a packet: what comes later is shown later.

    Its units begin with 0 0 1 and a byte with their type (ITU-T H.264, 7.3.1; H.265, 7.3.1.2).
    """
    shift, mask, types = IDR[codec]
    data = bytes(memoryview(packet)[:UNITS_WITHIN])
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        if (data[at + 3] >> shift) & mask in types:
            return True
        at = data.find(b"\0\0\1", at + 3)
    return False


def begins(packet: Packet) -> tuple[int, bytes]:
    """By what a packet is known again: its size and its first bytes."""
    return packet.size, bytes(memoryview(packet)[:256])


def _rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or BARE_FPS)


class _Scan:
    """Reads all packets of a file once.

    Attributes:
        pts: timestamps of the film's packets, in the file's order.
        dts: when the same are decoded.
        durations: of the same, in the same unit.
        smallest: bytes of the smallest packet.
        keys: (index, position, `begins`) of the key frames.
        joins: indices of the packets at which a recording begins, 0 first.
        reordered: some packets are decoded earlier than shown.
        first: index of the first key frame.
        looks_for_idr: key frames are told from others by their units.
        whole: what its first frames build on is there, in front of an edit.
        broken: the container could not be read to its end.
        corrupt: timestamps of the packets that a transport stream knows to have lost something.
        audit: for the formats that hide damage.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, name: str) -> None:
        self.pts: list[int | None] = []
        self.dts: list[int | None] = []
        self.durations: list[int] = []
        self.keys: list[tuple[int, int, tuple[int, bytes]]] = []
        self.joins = [0]
        self.corrupt: list[float] = []
        self.first: int | None = None
        self.reordered = self.broken = self.whole = False
        overhead = SILENT.get(name)
        self.audit = _PacketAudit(stream, overhead) if overhead else None
        self._base = float(stream.time_base or 1)
        self._name = name
        self._codec = stream.codec_context.name
        self.looks_for_idr = (name == AVI or name in BARE) and self._codec in IDR
        self._decoded: int | None = None  # the dts before
        self._position = self._before = 0
        self.smallest = 1 << 62
        last = -math.inf
        try:
            for packet in container.demux() if self.audit else container.demux(stream):
                if not packet.size:  # the empty packet ends the file
                    continue
                if self.audit:
                    self.audit.see(packet, last)
                if packet.stream_index != stream.index:
                    continue
                if packet.is_discard:  # cut away by an edit list, and decoded all the same
                    self.whole |= packet.is_keyframe and not self.pts
                    continue
                self._take(packet)
                last = max(last, -math.inf if packet.pts is None else packet.pts)
        except av.error.FFmpegError:
            self.broken = True

    def _take(self, packet: Packet) -> None:
        index = len(self.pts)
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        self.smallest = min(self.smallest, packet.size)
        self.durations.append(packet.duration or 0)
        self.reordered |= packet.pts != packet.dts
        if packet.pos is not None and packet.pos != self._position:
            self._position, self._before = packet.pos, self._position
        if packet.is_keyframe and self.first is None:
            self.first = index
        if packet.is_keyframe and self._can_begin(packet):
            # In a program stream its first bytes may lie in the packet of the file before.
            position = self._before if self._name == PROGRAM else self._position
            self.keys.append((index, position, begins(packet)))
        if packet.is_corrupt and packet.pts is not None:  # a counter in the packets says so
            self.corrupt.append(packet.pts)
        if self._name in STREAMS and packet.dts is not None:
            if self._decoded is not None:
                step = (packet.dts - self._decoded) * self._base
                if step < -BACK or step > AHEAD:
                    self.joins.append(index)
            self._decoded = packet.dts

    def _can_begin(self, packet: Packet) -> bool:
        """Whether a key frame's place is known: by its timestamp, or because it begins anew."""
        if self.looks_for_idr:
            return _is_idr(packet, self._codec)
        return packet.pts is not None

    def is_plain_mpeg(self) -> bool:
        """Whether FFmpeg's guesses for avi are right: of MPEG-1, -2 and -4, nothing packed."""
        packed = self.smallest <= FILLER
        return self._codec in MPEG and not packed and len(set(self.pts)) == len(self.pts)

    def in_display_order(self, places: np.ndarray) -> np.ndarray:
        """Timestamps of a program stream, where FFmpeg's guesses contradict each other.

        A program stream names the times of some frames only, where they are small of few of them,
        and FFmpeg guesses those between; then two may get the same, and a time later has none. So a
        recording that has such is put into the order in which MPEG-1, -2 and -4 show frames:
        B-frames as they are decoded, the others one later, when the next of them is. (FFmpeg gives
        a frame that is shown as it is decoded the same time twice.) Then each comes a step after
        the one before, or at its own time.
        """
        placed = places.copy()
        for first, past in pairwise([*self.joins, len(places)]):
            part = places[first:past]
            if len(np.unique(part)) == len(part):
                continue
            order: list[int] = []
            waiting: list[int] = []
            for index in range(first, past):
                if self.pts[index] == self.dts[index]:
                    order.append(index)
                else:
                    order += waiting
                    waiting = [index]
            order += waiting
            times = np.sort(part)
            step = int(np.median(np.diff(times)))
            for k in range(1, len(times)):
                times[k] = max(times[k], times[k - 1] + step)
            placed[order] = times
        return placed

    def joined(self, places: np.ndarray) -> np.ndarray:
        """Timestamps of recordings one behind the other, as those of one film."""
        joined = places.copy()
        end = None
        for first, past in pairwise([*self.joins, len(places)]):
            part = places[first:past]
            if end is not None:
                joined[first:past] += end - part.min()
            last = int(part.argmax())
            steps = np.diff(np.sort(part), prepend=part.min())
            lasts = self.durations[first + last] or int(np.median(steps))
            end = joined[first + last] + lasts
        return joined


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
            # Some share a position. What lies beside a packet, such as the alpha of VP8 and VP9,
            # was read with it.
            beside = sum(side.data_size for side in packet.iter_sidedata())
            self._read = max(self._read, packet.pos) + packet.size + beside
        if stream == self._film:
            if self._unread > self._overhead and last > -math.inf:
                self.gaps.append(last)
            self._unread = 0

    def end(self, container: InputContainer) -> float:
        """Seconds at which the last packet of all ends."""
        bases = [float(stream.time_base or 0) for stream in container.streams]
        return max((end * bases[stream] for stream, end in self._ends.items()), default=0.0)
