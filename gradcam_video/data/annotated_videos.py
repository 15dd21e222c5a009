"""Real videos with what people annotated in them, as a data set that can be scored."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import BadInput
from .annotation_files import read_annotations
from .clip import Clip, open_source, read_clip
from .ground_truth import Truth
from .image_folder import clip_name, find_clips
from .labels import group_of, normalise_label

CAMERA = ("with your camera", "turning the camera")
"""What the names of classes hold whose action is the camera's own, see `Truth.whole`."""
Paths = Sequence[str | os.PathLike[str]] | str | os.PathLike[str]


class AnnotatedVideos:
    """Videos, their annotations, and their classes where these are known.

    Args:
        videos: files or folders of frames, or folders with such in them.
        truth: files of annotations, or a folder of masks, see `annotation_files.py`.
        labels: the classes of the model that is to be scored.
        classes: id -> true class or template; a video that is not among them has none that is
            known. Or one class, of all videos.
        frames, fps, source_fps: see `read_clip`.

    Attributes:
        ids: the videos' names without ending, which the annotations call them by.
        targets: index into `labels`, or None.
        missing: the videos without annotation; they are left out.
        notes: a line for each thing that was left out, or does not fit. `truth` adds to them.

    Raises:
        BadInput: no videos, two of one name, or no annotation for any of them.

    Example:
        >>> data = AnnotatedVideos("videos", "annotations.json", model.labels)  # doctest: +SKIP
        >>> data.truth(0).strict().shape  # doctest: +SKIP
        (16, 240, 427)
    """

    def __init__(
        self,
        videos: Paths,
        truth: Paths,
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
        for path in (clip for video in _listed(videos) for clip in find_clips(video)):
            id_ = clip_name(path) if path.is_dir() else path.stem
            if self.paths.setdefault(id_, path).absolute() != path.absolute():
                raise BadInput(f"{path}: its name is that of {self.paths[id_]}; rename one of them")
        files = [Path(file) for file in _listed(truth)]
        annotations = read_annotations(files, self.paths)
        self.annotated = annotations.found
        self.notes = list(annotations.notes)
        self.missing = [id_ for id_ in self.paths if id_ not in self.annotated]
        if annotations.others:
            # Where all is found, the rest of a file is not read.
            count = f"{annotations.others} other" if self.missing else "other"
            self.notes.append(f"annotations of {count} videos are not used")
        if not self.annotated:
            more = f" and {len(self.missing) - 1} more" if len(self.missing) > 1 else ""
            first = f"; {self.notes[0]}" if self.notes else ""
            raise BadInput(
                f"{', '.join(map(str, files))}: nothing about {self.missing[0]}{more}: videos are "
                f"called by their names without ending{first}"
            )
        self.notes += [f"{self.paths[id_]}: no annotation; it is left out" for id_ in self.missing]
        self.ids = [id_ for id_ in self.paths if id_ in self.annotated]
        if isinstance(classes, str):
            classes = dict.fromkeys(self.ids, classes)
        elif classes and not classes.keys() & set(self.ids):
            self.notes.append(
                f"none of the {len(classes)} labels is of these videos, the first is of "
                f"{next(iter(classes))!r}: labels are found by the videos' names without ending"
            )
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

    def truth(self, i: int, clip: Clip | None = None) -> Truth:
        """What is known about the frames of clip i, see `Annotated.truth`."""
        id_, target = self.ids[i], self.targets[i]
        clip = self.clip(i) if clip is None else clip
        video = open_source(self.paths[id_], self.source_fps)
        name = "" if target is None else normalise_label(self.labels[target])
        camera = any(words in name for words in CAMERA)
        found: list[str] = []
        truth = self.annotated[id_].truth(clip, video, found, camera)
        if camera and truth.action is None:
            found.append(f"{id_}: the camera acts, so only *when* could be scored: nobody said it")
        self.notes += [note for note in found if note not in self.notes]
        return truth


def _listed(paths: Paths) -> Sequence[str | os.PathLike[str]]:
    """One path, or several."""
    return [paths] if isinstance(paths, str | os.PathLike) else paths
