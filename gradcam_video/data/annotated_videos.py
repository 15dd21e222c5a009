"""Real videos with what people annotated in them, as a data set that can be scored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BadInput
from .annotations import read_annotations
from .clip import Clip, open_source, read_clip
from .ground_truth import Truth
from .image_folder import find_clips
from .labels import group_of, normalise_label


class AnnotatedVideos:
    """Videos, their annotations, and their classes where these are known.

    Args:
        videos: files or folders of frames, or folders with such in them.
        truth: files of annotations, see `annotations.py`.
        labels: the classes of the model that is to be scored.
        classes: id -> true class or template; a video that is not among them has none that is
            known. Or one class, of all videos.
        frames, fps, source_fps: see `read_clip`.

    Attributes:
        ids: the videos' names without ending, which the annotations call them by.
        targets: index into `labels`, or None.
        notes: a line for each thing that was left out.

    Raises:
        BadInput: no videos, two of one name, or no annotation for any of them.
    """

    def __init__(
        self,
        videos: Sequence[str | os.PathLike[str]],
        truth: Sequence[str | os.PathLike[str]],
        labels: Sequence[str],
        classes: Mapping[str, str] | str | None = None,
        *,
        frames: int = 16,
        fps: float | None = 4.0,
        source_fps: float | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.frames, self.fps, self.source_fps = frames, fps, source_fps
        self.paths: dict[str, Path] = {}
        for path in (clip for video in videos for clip in find_clips(video)):
            id_ = path.name if path.is_dir() else path.stem
            if self.paths.setdefault(id_, path) != path:
                raise BadInput(f"{path}: its name is that of {self.paths[id_]}; rename one of them")
        annotations = read_annotations([Path(file) for file in truth], self.paths)
        self.annotated = annotations.found
        self.notes = list(annotations.notes)
        if annotations.others:
            self.notes.append(f"annotations of {annotations.others} other videos are not used")
        missing = [id_ for id_ in self.paths if id_ not in self.annotated]
        if not self.annotated:
            first = f"; {self.notes[0]}" if self.notes else ""
            raise BadInput(
                f"{', '.join(map(str, truth))}: nothing about {missing[0]}"
                f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}: videos are "
                f"called by their names without ending{first}"
            )
        self.notes += [f"{self.paths[id_]}: no annotation; it is left out" for id_ in missing]
        self.ids = [id_ for id_ in self.paths if id_ in self.annotated]
        if isinstance(classes, str):
            classes = dict.fromkeys(self.ids, classes)
        self.targets = [self._target(id_, classes or {}) for id_ in self.ids]

    def _target(self, id_: str, classes: Mapping[str, str]) -> int | None:
        """The true class of a video; None where it is not known, or none of the model's."""
        if id_ not in classes:
            return None
        group = group_of(classes[id_])
        names = (classes[id_], group.name) if group else (classes[id_],)
        known = {normalise_label(label): k for k, label in enumerate(self.labels)}
        found = next((known[n] for n in map(normalise_label, names) if n in known), None)
        if found is None:
            self.notes.append(f"{id_}: its class {classes[id_]!r} is none that the model knows")
        return found

    def __len__(self) -> int:
        return len(self.ids)

    def clip(self, i: int) -> Clip:
        """Reads clip i."""
        return read_clip(self.paths[self.ids[i]], self.frames, self.fps, source_fps=self.source_fps)

    def truth(self, i: int, clip: Clip | None = None) -> Truth | None:
        """What is known about the frames of clip i, see `Annotated.truth`."""
        id_ = self.ids[i]
        times = open_source(self.paths[id_], self.source_fps).times
        return self.annotated[id_].truth(self.clip(i) if clip is None else clip, times)
