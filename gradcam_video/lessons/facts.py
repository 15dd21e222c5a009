"""Numbers that are quoted: published ones with their source, measured ones with their command.

The notebooks show three kinds of number: computed in the cell above (checked by nbval), published
by others, and measured by us beforehand. The last two come from here and say where they are from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..data.labels import FORTY_NAMES
from ..errors import BadInput


@dataclass(frozen=True)
class Fact:
    """A number that somebody published.

    Attributes:
        value: the number, in `unit`.
        what: what it is a number of.
        source: who, when, where in it.
        unit: "%", "clips", "s", … or nothing.
    """

    value: float
    what: str
    source: str
    unit: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"published: {self.value:g}{unit}, {self.what} ({self.source})"


def published(name: str) -> Fact:
    """A published number, by its name in `PUBLISHED`.

    Raises:
        BadInput: there is none of that name.
    """
    if name not in PUBLISHED:
        raise BadInput(f"no published number {name!r}: use one of {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


def training_clips() -> dict[str, int]:
    """Training clips of Something-Something V2 in each of the 40 classes, by their name.

    Counted in the published `something-something-v2-train.json` (94,114 clips in all); a class that
    covers several of V2's templates has the clips of all of them.
    """
    return dict(zip(FORTY_NAMES, _TRAINING_CLIPS, strict=True))


def measured(name: str) -> dict[str, Any]:
    """What we measured beforehand and ship: the content of `measured/NAME.json`.

    Every one has "command", which makes it again, "date" and "device".

    Raises:
        BadInput: there is none of that name.
    """
    folder = resources.files("gradcam_video.lessons").joinpath("measured")
    file = folder.joinpath(f"{name}.json")
    if not file.is_file():
        known = sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json"))
        raise BadInput(f"nothing measured is called {name!r}: use one of {', '.join(known)}")
    return json.loads(file.read_text(encoding="utf-8"))


_POST = "R. Goyal, Visual explanation for video recognition, blog post, 2017"
_V1 = "Goyal et al., The something something video database, ICCV 2017"
_V2 = (
    "frames at 12 a second, counted by us in the list of V2's training clips that comes with "
    "github.com/fubel/stmodeling, something/train_videofolder.txt"
)

PUBLISHED = {
    "post top-1": Fact(
        51.1, "top-1 of the post's inflated ResNet-50 on its 40 classes", _POST, "%"
    ),
    "paper top-1": Fact(36.2, "top-1 of the paper's best network on the same 40 classes", _V1, "%"),
    "long enough": Fact(47.6, "clips of V2 with 46 frames or more", _V2, "%"),
    "median length": Fact(45, "median length of a clip of V2", _V2, "frames"),
}

# In the order of FORTY_NAMES
_TRAINING_CLIPS = (
    1162, 1068, 6393, 972, 3240, 1403, 910, 881, 907, 2741, 4504, 4311, 853, 1076, 1253, 12330,
    1195, 3262, 1883, 1547, 1204, 1391, 1204, 1874, 1452, 12735, 2188, 3432, 709, 1638, 1032,
    3021, 1254, 2058, 867, 1029, 1018, 851, 2426, 840,
)  # fmt: skip
