"""What FFmpeg's filters do to a film's frames before they are pictures.

Interlaced frames are made whole, what the container asks to be cut away is cut away, HDR and wide
gamut are brought to BT.709.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

PQ, HLG = 16, 18  # FFmpeg's numbers of the transfer curves of HDR
WIDE = (9, 11, 12)  # and of the primaries of BT.2020, DCI-P3 and Display P3
HDR_NOTE = "HDR colours brought to BT.709"
WIDE_NOTE = "wide-gamut colours brought to BT.709"
INTERLACED_NOTE = "interlaced: deinterlaced by FFmpeg's bwdif"

# Its colour mapping is a table in three dimensions, made from the frame's own tags. HDR is mapped
# perceptually, so that what is brighter than white is darkened and not cut off; the wide gamut of
# SDR exactly, and what lies out of BT.709 is cut off.
_TO_BT709 = "out_primaries=bt709:out_transfer=bt709:out_color_matrix=bt709:out_range=pc:intent="
Filters = tuple[tuple[str, str], ...]


class FilmFilters:
    """Filters frames one after the other.

    Args:
        crop: (left, top, right, bottom), pixels that the container asks to be cut away.
        say: is told what is done to the film, for people.
    """

    def __init__(self, crop: tuple[int, int, int, int], say: Callable[[str], object]) -> None:
        self._crop, self._say = crop, say
        self._interlaced = False
        self._graph: Graph | None = None
        self._base: Fraction | None = None  # the film's unit of time
        self._made_for: tuple[object, ...] = ()

    def run(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The same frames, filtered; one that needs no filter is handed on as it is."""
        for frame in frames:
            filters = self._wanted(frame)
            made_for = (filters, frame.width, frame.height, frame.format.name)
            if made_for != self._made_for:
                yield from self._rest()
                self._made_for = made_for
                self._graph = _graph(filters, frame) if filters else None
            if self._graph is None:
                yield frame
                continue
            self._base = frame.time_base
            self._graph.vpush(frame)
            yield from self._ready()
        yield from self._rest()

    def _wanted(self, frame: VideoFrame) -> Filters:
        filters: list[tuple[str, str]] = []
        # One such frame, and the rest of the film is looked at, too: a film may mix both kinds.
        self._interlaced |= frame.interlaced_frame
        if self._interlaced:
            filters.append(("bwdif", "mode=send_frame:deint=interlaced"))
            self._say(INTERLACED_NOTE)
        left, top, right, bottom = self._crop
        across, down = frame.width - left - right, frame.height - top - bottom
        if any(self._crop) and across > 0 and down > 0:
            filters.append(("crop", f"{across}:{down}:{left}:{top}:exact=1"))
        hdr = frame.color_trc in (PQ, HLG)
        if hdr or (frame.color_primaries in WIDE and not frame.format.is_rgb):
            intent = "perceptual" if hdr else "relative_colorimetric"
            filters += [("scale", _TO_BT709 + intent), ("format", "rgb24")]
            self._say(HDR_NOTE if hdr else WIDE_NOTE)
        return tuple(filters)

    def _ready(self) -> Iterator[VideoFrame]:
        """What the graph gives by now, in the film's own unit of time."""
        assert self._graph is not None
        base = self._base
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            unit = frame.time_base
            if frame.pts is not None and unit and base and unit != base:  # bwdif counts in halves
                frame.pts = round(frame.pts * unit / base)
                frame.time_base = base
            yield frame

    def _rest(self) -> Iterator[VideoFrame]:
        """What a filter has kept back: bwdif waits for the frame behind."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._graph = None


def _graph(filters: Filters, frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    nodes = [graph.add(name, options) for name, options in filters]
    graph.link_nodes(source, *nodes, graph.add("buffersink")).configure()
    return graph
