"""A method scored over a data set: `gradcam-video score`.

Clips are explained by a network and their maps scored against the truth (`per_clip.py`). Some clips
can be tested further: parts of them, or the network's weights, are perturbed, and the network is
run again (`faithfulness`). That needs no truth, and costs some hundred forwards a clip.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..attribution.api import clips_at_once, explain, method_named
from ..attribution.methods import METHODS
from ..data.clip import Clip
from ..data.ground_truth import Truth
from ..data.labels import normalise_label
from ..errors import BadInput, one_line
from ..explanation import Explanation
from ..models.video_model import VideoModel
from ..progress_bar import progress as counted
from . import faithfulness
from .localisation import ALIGNS
from .per_clip import ClipScore, score_clip, summary


class Labelled(Protocol):
    """What `score` needs of a data set; `SomethingSomething` and `AnnotatedVideos` have it.

    A target of None: nobody said which class is true.
    """

    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def targets(self) -> Sequence[int | None]: ...
    @property
    def ids(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...
    def clip(self, i: int, /) -> Clip: ...
    def truth(self, i: int, clip: Clip, /) -> Truth | None: ...


class Sample(NamedTuple):
    """A clip that could be read: its id, its truth if there is one, the model's class if known."""

    id: str
    clip: Clip
    truth: Truth | None
    target: int | None


def score(
    model: VideoModel,
    data: Labelled,
    method: str = "gradcam",
    limit: int | None = None,
    *,
    perturbation_tests: int = 0,
    align: str | None = None,
    batch: int | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Explain the clips of a data set, each for its true class, and score the maps.

    Where the true class of a clip is not known, the map of the class that the network names first
    is scored.

    Args:
        model: whose classes include the data's.
        data: a `SomethingSomething` with truth beside it, or `AnnotatedVideos`.
        method: one of `METHODS`.
        limit: so many clips, drawn at random but always the same; None: all.
        perturbation_tests: so many of them (the first whose true class is named first, camera
            classes apart) are tested further: deletion, insertion, randomisation and the rest. A
            clip's numbers do not depend on how many others are tested.
        align: "receptive-field" or "half-pixel"; None: what the model gives, as in all pictures.
        batch: clips at once; None: one on a CPU, eight on a GPU.
        progress: a bar on stderr, where that is a screen.

    Returns:
        `summary`'s dictionary, and "model", "method", "align", "failures" (id -> reason, of clips
        that could not be read) and "without_truth".

    Raises:
        BadInput: no truth, a class that the model does not know, or nothing that can be scored.
    """
    method_named(method)
    if align is not None and align not in ALIGNS:
        raise BadInput(f"unknown align {align!r}: use {' or '.join(ALIGNS)}")
    chosen = _chosen(len(data), limit)
    classes = _classes_of(data, chosen, model)
    failures: dict[str, str] = {}
    scores: list[ClipScore] = []
    used, bare = align or "", 0
    tested = PerturbationTests(model, perturbation_tests)
    shown = counted(chosen, show=None if progress else False)
    samples = _read(data, shown, classes, failures)
    for group in _batches(samples, batch or clips_at_once(model)):
        known = [(sample, sample.truth) for sample in group if sample.truth is not None]
        bare += len(group) - len(known)
        for e, (sample, truth) in zip(_explained(model, known, method), known, strict=True):
            try:
                one = score_clip(e, truth, sample.target, align)
            except BadInput as error:
                failures[sample.id] = one_line(error, sample.id)
                continue
            scores.append(tested(one, e, sample.target, sample.id))
            used = align or e.grid.align
    if not scores:
        raise BadInput(_nothing(len(data), failures, bare))
    facts = {"model": model.name, "method": method, "align": used}
    return facts | summary(scores) | {"without_truth": bare, "failures": failures}


def _explained(
    model: VideoModel, known: Sequence[tuple[Sample, Truth]], method: str
) -> Sequence[Explanation]:
    """The clips explained for their true classes, or the first ones where these are not known."""
    clips = [sample.clip for sample, _ in known]
    wanted = {sample.target for sample, _ in known if sample.target is not None}
    if all(sample.target is not None for sample, _ in known):
        return explain(model, clips, method=method, classes=sorted(wanted)) if known else []
    if METHODS[method].every_class:
        return explain(model, clips, method=method)
    done = []
    for sample, _ in known:
        target = sample.target
        if target is None:  # one forward says which class is first
            target = int(explain(model, sample.clip, method="centre").logits.argmax())
        done.append(explain(model, sample.clip, method=method, classes=[target]))
    return done


class PerturbationTests:
    """Tests the first clips whose class the network names first, and splices pairs of them.

    Args:
        model: the network that is run again.
        count: how many clips are tested at most.
    """

    def __init__(self, model: VideoModel, count: int) -> None:
        self.model, self.left = model, count
        self.waiting: tuple[Clip, int] | None = None  # to be spliced with the next

    def __call__(
        self, one: ClipScore, e: Explanation, target: int | None, clip_id: str
    ) -> ClipScore:
        """The score of a clip with its tests in it, or as it was where the clip is not tested.

        Args:
            one: the score of the map.
            e: the explanation; the map of `target` must be in it.
            target: the true class, as the model numbers it; a clip without one is not tested.
            clip_id: names the clip. All draws are its own, so that they are the same whichever
                other clips are tested, and other ones for another clip.
        """
        if target is None or not self.left or one.camera or not one.right:
            return one
        self.left -= 1
        seed = zlib.crc32(clip_id.encode())
        found = faithfulness.perturbation_tests(self.model, e, target, seed)
        if self.waiting is None:
            self.waiting = e.clip, target
        elif self.waiting[1] != target:
            (first, before), self.waiting = self.waiting, None
            joined = faithfulness.splice(first, e.clip)
            both = explain(self.model, joined, method=e.method, classes=[before, target])
            halves = faithfulness.spliced_pointing(both, (before, target))
            found["splicing", "halves", "map"] = sum(halves) / 2
        return replace(one, perturbation_tests=found)


def _nothing(count: int, failures: Mapping[str, str], bare: int) -> str:
    """Why no clip could be scored."""
    if not count:
        return "this split has no clips: choose another with --split"
    if bare:
        return (
            "no truth lies beside these clips, and a score needs it: `gradcam-video generate DIR` "
            "writes clips that have it"
        )
    name, reason = next(iter(failures.items()))
    return f"none of {len(failures)} clips could be read; the first, {name}: {reason}"


def _chosen(count: int, limit: int | None) -> list[int]:
    """Which clips are scored: all, or `limit` of them by a draw that is always the same."""
    if limit is not None and limit < 1:
        raise BadInput(f"limit {limit}: give 1 or more clips")
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(np.random.default_rng(0).permutation(count)[:limit].tolist())


def _classes_of(data: Labelled, chosen: Iterable[int], model: VideoModel) -> dict[int, int]:
    """The data's classes that the chosen clips show -> the model's, by the whole name."""
    known = {normalise_label(label): k for k, label in enumerate(model.labels)}
    classes = {}
    for target in {target for i in chosen if (target := data.targets[i]) is not None}:
        label = data.labels[target]
        if normalise_label(label) not in known:
            raise BadInput(
                f"{model.name} has no class {label!r}, and clips of this set show it: choose a "
                "model of the set's classes with --model"
            )
        classes[target] = known[normalise_label(label)]
    return classes


def _read(
    data: Labelled, chosen: Iterable[int], classes: Mapping[int, int], failures: dict[str, str]
) -> Iterator[Sample]:
    """The chosen clips; one that cannot be read is noted, and nothing put in its place."""
    for i in chosen:
        try:
            clip = data.clip(i)
            truth = data.truth(i, clip)
        except Exception as error:  # whatever it is, the other clips are scored
            failures[data.ids[i]] = one_line(error, data.ids[i])
            continue
        target = data.targets[i]
        yield Sample(data.ids[i], clip, truth, None if target is None else classes[target])


def _batches(items: Iterable[Sample], size: int) -> Iterator[list[Sample]]:
    """Samples, `size` at a time; the last ones may be fewer."""
    group: list[Sample] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
