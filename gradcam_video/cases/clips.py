"""Clips with their true labels for case studies: synthetic ones, or those of a data set."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterable, Iterator
from itertools import product, zip_longest
from pathlib import Path

from ..data.clip import Clip
from ..data.datasets import SomethingSomething, default_split
from ..data.labels import FORTY_NAMES, TEMPLATES, normalise_label
from ..errors import BadInput, one_line
from ..models.video_model import VideoModel
from ..tabletop.scene import sample

log = logging.getLogger(__name__)

FIRST_SEED = 5_000_000
"""Of the synthetic scenes; scripts/train_tabletop.py trains on seeds from 500,000,000 on."""
SCENES_PER_CLASS = 3
CLEAR_OUTPUTS = "jupyter nbconvert --clear-output --inplace notebooks/0[567]*.ipynb"
SYNTHETIC_ORIGIN = (
    "The clips are synthetic (gradcam_video.tabletop), of scenes that were never trained on: "
    f"{SCENES_PER_CLASS} of each class."
)
"""What a page of such clips says of them."""


def data_for(
    model: VideoModel, root: str | os.PathLike[str], split: str | None = None
) -> SomethingSomething:
    """The data set in a folder: the classes and the frames that the model wants.

    Args:
        split: None: `default_split`.

    Raises:
        BadInput: no data set there, or not this split.
    """
    classes = "all" if len(model.labels) == len(TEMPLATES) else "forty"
    return SomethingSomething(
        root, split or default_split(root), classes, frames=model.frames, fps=model.fps
    )


def synthetic_clips(labels: Iterable[str], seed: int) -> Iterator[tuple[Clip, str]]:
    """Synthetic clips with their true labels: `SCENES_PER_CLASS` of every class that is known.

    Args:
        labels: the classes that the model knows.
        seed: draws the scenes.

    Raises:
        BadInput: none of them is a class of Tabletop.
    """
    known = {normalise_label(label) for label in labels}
    names = [label for label in FORTY_NAMES if normalise_label(label) in known]
    if not names:
        raise BadInput(
            "this model has none of the 40 classes, so the synthetic clips mean nothing to it: "
            "give clips of its own with --data, or leave --model out"
        )

    def draw() -> Iterator[tuple[Clip, str]]:
        for number, (_, label) in enumerate(product(range(SCENES_PER_CLASS), names)):
            yield sample(label, FIRST_SEED + 1000 * seed + number).clip, label

    return draw()


def case_clips(
    model: VideoModel, data: str | Path | None = None, *, seed: int = 0, most: int = 120
) -> Iterator[tuple[Clip, str]]:
    """Clips with their true labels: synthetic ones, or those of a data set on disk.

    A warning says what pictures of a real data set mean for a notebook that stores them.

    Args:
        data: a folder as `SomethingSomething` reads it; None: synthetic clips.
        seed: draws the clips.
        most: of a data set, so many at most.

    Raises:
        BadInput: the model knows none of their classes, or the folder holds no data set.
    """
    if data is None:
        return synthetic_clips(model.labels, seed)
    log.warning(
        "From here on the outputs hold frames of %s, which may not be passed on. "
        "Clear them with: %s",
        Path(data).name,
        CLEAR_OUTPUTS,
    )
    return data_clips(data_for(model, str(data), None), model, most, seed)


def data_clips(
    data: SomethingSomething, model: VideoModel, most: int, seed: int
) -> Iterator[tuple[Clip, str]]:
    """Clips of a data set with their true labels, as the model calls them.

    One that cannot be read is left out; `data.failures` then says why.

    Args:
        most: of more clips so many are drawn, evenly over the classes that the model knows.
        seed: draws them.

    Raises:
        BadInput: no clip of a class that the model knows.
    """
    known = {normalise_label(name): name for name in model.labels}
    order = list(range(len(data)))
    random.Random(seed).shuffle(order)
    per_class: dict[str, list[tuple[int, str]]] = {}
    for i in order:
        name = known.get(normalise_label(data.labels[data.targets[i]]))
        if name is not None:
            per_class.setdefault(name, []).append((i, name))
    # One of each class, then a second of each, …
    rounds = zip_longest(*per_class.values())
    drawn = [pair for some in rounds for pair in some if pair is not None][:most]
    if not drawn:
        raise BadInput(
            f"{data.root}: no clip in its {data.split} split is of a class that {model.name} "
            "knows; choose another --model or --split"
        )

    def read() -> Iterator[tuple[Clip, str]]:
        for i, name in drawn:
            try:
                clip = data.clip(i)
            except Exception as error:  # whatever it is, the other clips are read
                data.failures[data.ids[i]] = one_line(error, data.path(i))
                continue
            yield clip, name

    return read()
