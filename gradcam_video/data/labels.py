"""The words: 174 templates of Something-Something, the 40 classes of the post, and their pairs.

Sources. The 174 templates are those of Something-Something V2 (Mahdisoltani et al. 2018,
arXiv:1804.09235) with the square brackets of its annotation files; V1 (Goyal et al. 2017,
arXiv:1706.04261) has the same 174 without brackets. The 40 classes are those of the post "Visual
explanation for video recognition" (2017): ten groups of templates and thirty single templates.
The list itself was never published. 33 names are confirmed by the post and the result files
beside it; the others are reconstructed, and `ClassLabel.status` says how sure each one is.

The index trap. V2 numbers its labels alphabetically, and so does most code for V1 (TRN, TSM). The
V1 label *file* is in another order, and some code (mmaction2) numbers by that file. A checkpoint
trained with the one read with the other gives wrong names without any error. All indices here are
V2's; look labels up by name (`find_label`), which folds the differences of writing.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import BadInput

TEMPLATES: tuple[str, ...] = (
    "Approaching [something] with your camera",
    "Attaching [something] to [something]",
    "Bending [something] so that it deforms",
    "Bending [something] until it breaks",
    "Burying [something] in [something]",
    "Closing [something]",
    "Covering [something] with [something]",
    "Digging [something] out of [something]",
    "Dropping [something] behind [something]",
    "Dropping [something] in front of [something]",
    "Dropping [something] into [something]",
    "Dropping [something] next to [something]",
    "Dropping [something] onto [something]",
    "Failing to put [something] into [something] because [something] does not fit",
    "Folding [something]",
    "Hitting [something] with [something]",
    "Holding [something]",
    "Holding [something] behind [something]",
    "Holding [something] in front of [something]",
    "Holding [something] next to [something]",
    "Holding [something] over [something]",
    "Laying [something] on the table on its side, not upright",
    "Letting [something] roll along a flat surface",
    "Letting [something] roll down a slanted surface",
    "Letting [something] roll up a slanted surface, so it rolls back down",
    "Lifting a surface with [something] on it but not enough for it to slide down",
    "Lifting a surface with [something] on it until it starts sliding down",
    "Lifting [something] up completely without letting it drop down",
    "Lifting [something] up completely, then letting it drop down",
    "Lifting [something] with [something] on it",
    "Lifting up one end of [something] without letting it drop down",
    "Lifting up one end of [something], then letting it drop down",
    "Moving away from [something] with your camera",
    "Moving [part] of [something]",
    "Moving [something] across a surface until it falls down",
    "Moving [something] across a surface without it falling down",
    "Moving [something] and [something] away from each other",
    "Moving [something] and [something] closer to each other",
    "Moving [something] and [something] so they collide with each other",
    "Moving [something] and [something] so they pass each other",
    "Moving [something] away from [something]",
    "Moving [something] away from the camera",
    "Moving [something] closer to [something]",
    "Moving [something] down",
    "Moving [something] towards the camera",
    "Moving [something] up",
    "Opening [something]",
    "Picking [something] up",
    "Piling [something] up",
    "Plugging [something] into [something]",
    "Plugging [something] into [something] but pulling it right out as you remove your hand",
    "Poking a hole into [some substance]",
    "Poking a hole into [something soft]",
    "Poking a stack of [something] so the stack collapses",
    "Poking a stack of [something] without the stack collapsing",
    "Poking [something] so it slightly moves",
    "Poking [something] so lightly that it doesn't or almost doesn't move",
    "Poking [something] so that it falls over",
    "Poking [something] so that it spins around",
    "Pouring [something] into [something]",
    "Pouring [something] into [something] until it overflows",
    "Pouring [something] onto [something]",
    "Pouring [something] out of [something]",
    "Pretending or failing to wipe [something] off of [something]",
    "Pretending or trying and failing to twist [something]",
    "Pretending to be tearing [something that is not tearable]",
    "Pretending to close [something] without actually closing it",
    "Pretending to open [something] without actually opening it",
    "Pretending to pick [something] up",
    "Pretending to poke [something]",
    "Pretending to pour [something] out of [something], but [something] is empty",
    "Pretending to put [something] behind [something]",
    "Pretending to put [something] into [something]",
    "Pretending to put [something] next to [something]",
    "Pretending to put [something] on a surface",
    "Pretending to put [something] onto [something]",
    "Pretending to put [something] underneath [something]",
    "Pretending to scoop [something] up with [something]",
    "Pretending to spread air onto [something]",
    "Pretending to sprinkle air onto [something]",
    "Pretending to squeeze [something]",
    "Pretending to take [something] from [somewhere]",
    "Pretending to take [something] out of [something]",
    "Pretending to throw [something]",
    "Pretending to turn [something] upside down",
    "Pulling [something] from behind of [something]",
    "Pulling [something] from left to right",
    "Pulling [something] from right to left",
    "Pulling [something] onto [something]",
    "Pulling [something] out of [something]",
    "Pulling two ends of [something] but nothing happens",
    "Pulling two ends of [something] so that it gets stretched",
    "Pulling two ends of [something] so that it separates into two pieces",
    "Pushing [something] from left to right",
    "Pushing [something] from right to left",
    "Pushing [something] off of [something]",
    "Pushing [something] onto [something]",
    "Pushing [something] so it spins",
    "Pushing [something] so that it almost falls off but doesn't",
    "Pushing [something] so that it falls off the table",
    "Pushing [something] so that it slightly moves",
    "Pushing [something] with [something]",
    "Putting [number of] [something] onto [something]",
    "Putting [something] and [something] on the table",
    "Putting [something] behind [something]",
    "Putting [something] in front of [something]",
    "Putting [something] into [something]",
    "Putting [something] next to [something]",
    "Putting [something] on a flat surface without letting it roll",
    "Putting [something] on a surface",
    "Putting [something] on the edge of [something] so it is not supported and falls down",
    "Putting [something] onto a slanted surface but it doesn't glide down",
    "Putting [something] onto [something]",
    "Putting [something] onto [something else that cannot support it] so it falls down",
    "Putting [something similar to other things that are already on the table]",
    "Putting [something] that can't roll onto a slanted surface, so it slides down",
    "Putting [something] that can't roll onto a slanted surface, so it stays where it is",
    "Putting [something that cannot actually stand upright] upright on the table, "
    "so it falls on its side",
    "Putting [something] underneath [something]",
    "Putting [something] upright on the table",
    "Putting [something], [something] and [something] on the table",
    "Removing [something], revealing [something] behind",
    "Rolling [something] on a flat surface",
    "Scooping [something] up with [something]",
    "Showing a photo of [something] to the camera",
    "Showing [something] behind [something]",
    "Showing [something] next to [something]",
    "Showing [something] on top of [something]",
    "Showing [something] to the camera",
    "Showing that [something] is empty",
    "Showing that [something] is inside [something]",
    "[Something] being deflected from [something]",
    "[Something] colliding with [something] and both are being deflected",
    "[Something] colliding with [something] and both come to a halt",
    "[Something] falling like a feather or paper",
    "[Something] falling like a rock",
    "Spilling [something] behind [something]",
    "Spilling [something] next to [something]",
    "Spilling [something] onto [something]",
    "Spinning [something] so it continues spinning",
    "Spinning [something] that quickly stops spinning",
    "Spreading [something] onto [something]",
    "Sprinkling [something] onto [something]",
    "Squeezing [something]",
    "Stacking [number of] [something]",
    "Stuffing [something] into [something]",
    "Taking [one of many similar things on the table]",
    "Taking [something] from [somewhere]",
    "Taking [something] out of [something]",
    "Tearing [something] into two pieces",
    "Tearing [something] just a little bit",
    "Throwing [something]",
    "Throwing [something] against [something]",
    "Throwing [something] in the air and catching it",
    "Throwing [something] in the air and letting it fall",
    "Throwing [something] onto a surface",
    "Tilting [something] with [something] on it slightly so it doesn't fall down",
    "Tilting [something] with [something] on it until it falls off",
    "Tipping [something] over",
    "Tipping [something] with [something in it] over, so [something in it] falls out",
    "Touching (without moving) [part] of [something]",
    "Trying but failing to attach [something] to [something] because it doesn't stick",
    "Trying to bend [something unbendable] so nothing happens",
    "Trying to pour [something] into [something], but missing so it spills next to it",
    "Turning [something] upside down",
    "Turning the camera downwards while filming [something]",
    "Turning the camera left while filming [something]",
    "Turning the camera right while filming [something]",
    "Turning the camera upwards while filming [something]",
    "Twisting (wringing) [something] wet until water comes out",
    "Twisting [something]",
    "Uncovering [something]",
    "Unfolding [something]",
    "Wiping [something] off of [something]",
)
"""The 174 templates: index i is label i of Something-Something V2."""

Status = Literal["confirmed", "inferred", "ambiguous"]


@dataclass(frozen=True)
class ClassLabel:
    """One of the 40 classes.

    Attributes:
        index: 0 to 39, the post's own numbering (alphabetical by bracketed name).
        name: the name as the post prints it, with brackets.
        members: the templates it is made of, written as in `TEMPLATES`; one, or several for a
            group.
        status: "confirmed" where the post or its result files print index and name; "inferred"
            where only neighbours and frequencies point to it; "ambiguous" where two fit.
        note: why, when not confirmed.
    """

    index: int
    name: str
    members: tuple[str, ...]
    status: Status = "confirmed"
    note: str = ""


# The ten groups: the name the post prints, and the 41 templates that were merged into them.
_GROUPS: dict[str, tuple[str, ...]] = {
    "Dropping [something]": (
        "[Something] falling like a feather or paper",
        "[Something] falling like a rock",
        "Throwing [something]",
        "Throwing [something] in the air and letting it fall",
        "Throwing [something] onto a surface",
    ),
    "Holding [something]": (
        "Holding [something]",
        "Holding [something] in front of [something]",
    ),
    "Moving [something] from left to right": (
        "Pulling [something] from left to right",
        "Pushing [something] from left to right",
    ),
    "Moving [something] from right to left": (
        "Pulling [something] from right to left",
        "Pushing [something] from right to left",
    ),
    "Picking [something] up": (
        "Lifting [something] up completely without letting it drop down",
        "Lifting [something] with [something] on it",
        "Moving [something] up",
        "Picking [something] up",
        "Taking [one of many similar things on the table]",
        "Taking [something] from [somewhere]",
        "Taking [something] out of [something]",
    ),
    "Poking [something]": (
        "Poking a stack of [something] so the stack collapses",
        "Poking a stack of [something] without the stack collapsing",
        "Poking [something] so lightly that it doesn't or almost doesn't move",
        "Poking [something] so that it falls over",
    ),
    "Pouring [something]": (
        "Pouring [something] into [something]",
        "Pouring [something] into [something] until it overflows",
        "Pouring [something] onto [something]",
        "Pouring [something] out of [something]",
        "Trying to pour [something] into [something], but missing so it spills next to it",
    ),
    "Putting [something]": (
        "Putting [something] and [something] on the table",
        "Putting [something] behind [something]",
        "Putting [something] next to [something]",
        "Putting [something] on a flat surface without letting it roll",
        "Putting [something] on a surface",
        "Putting [something] onto [something]",
        "Putting [something similar to other things that are already on the table]",
        "Putting [something] that can't roll onto a slanted surface, so it stays where it is",
        "Putting [something], [something] and [something] on the table",
    ),
    "Showing [something] (almost no hand)": (
        "Showing [something] behind [something]",
        "Showing [something] next to [something]",
        "Showing [something] on top of [something]",
    ),
    "Tearing [something]": (
        "Tearing [something] into two pieces",
        "Tearing [something] just a little bit",
    ),
}

FORTY_NAMES: tuple[str, ...] = (
    "Approaching [something] with your camera",
    "Closing [something]",
    "Dropping [something]",
    "Folding [something]",
    "Holding [something]",
    "Holding [something] next to [something]",
    "Moving [something] away from [something]",
    "Moving [something] away from the camera",
    "Moving [something] closer to [something]",
    "Moving [something] down",
    "Moving [something] from left to right",
    "Moving [something] from right to left",
    "Moving [something] towards the camera",
    "Moving away from [something] with your camera",
    "Opening [something]",
    "Picking [something] up",
    "Plugging [something] into [something]",
    "Poking [something]",
    "Pouring [something]",
    "Pretending to pick [something] up",
    "Pretending to put [something] next to [something]",
    "Pretending to put [something] on a surface",
    "Pretending to take [something] from [somewhere]",
    "Pushing [something] so that it slightly moves",
    "Pushing [something] with [something]",
    "Putting [something]",
    "Putting [something] into [something]",
    "Showing [something] (almost no hand)",
    "Showing [something] to the camera",
    "Showing that [something] is empty",
    "Stacking [number of] [something]",
    "Tearing [something]",
    "Throwing [something] against [something]",
    "Turning [something] upside down",
    "Turning the camera downwards while filming [something]",
    "Turning the camera left while filming [something]",
    "Turning the camera right while filming [something]",
    "Turning the camera upwards while filming [something]",
    "Uncovering [something]",
    "Unfolding [something]",
)
"""The names of the 40 classes: index i is class i of the post."""

# The seven indices that no published result prints, and what speaks for the name given here.
_UNCONFIRMED: dict[int, tuple[Status, str]] = {
    5: ("inferred", "the only one of V1's 52 most frequent templates that sorts into this place"),
    10: ("inferred", "forced: the two left/right group names are all that can fill 10 and 11"),
    11: ("inferred", "forced: the two left/right group names are all that can fill 10 and 11"),
    20: (
        "inferred",
        "frequent in V1 and sorts here; rarer 'Pretending to …' templates would fit too",
    ),
    21: (
        "inferred",
        "frequent in V1 and sorts here; rarer 'Pretending to …' templates would fit too",
    ),
    28: (
        "ambiguous",
        "one place, two frequent templates: this or 'Showing a photo of [something] to the camera'",
    ),
    37: ("inferred", "forced in practice: only rare 'Twisting …' templates sort here besides it"),
}

FORTY: tuple[ClassLabel, ...] = tuple(
    ClassLabel(index, name, _GROUPS.get(name, (name,)), *_UNCONFIRMED.get(index, ("confirmed", "")))
    for index, name in enumerate(FORTY_NAMES)
)
"""The 40 classes of the post, each with the templates that it is made of."""

# Pairs that a left-right mirror exchanges: whoever flips a clip of one has to change its label.
MIRRORED_FORTY: tuple[tuple[int, int], ...] = (
    (10, 11),  # moving from left to right, from right to left
    (35, 36),  # turning the camera left, right
)
MIRRORED_TEMPLATES: tuple[tuple[int, int], ...] = (
    (86, 87),  # pulling from left to right, from right to left
    (93, 94),  # pushing from left to right, from right to left
    (166, 167),  # turning the camera left, right
)

# Pairs that playing a clip backwards exchanges, roughly. "Roughly": a hand leaves where it came
# in, and nobody tears paper together. Left out therefore is whatever gravity or breaking makes
# one-way (dropping, pouring, tearing, poking), and "Pretending to …": pretending to take comes
# with an empty hand, pretending to put with a full one, forwards and backwards.
OPPOSITE_FORTY: tuple[tuple[int, int], ...] = (
    (0, 13),  # approaching, moving away with the camera
    (1, 14),  # closing, opening
    (3, 39),  # folding, unfolding
    (6, 8),  # moving away from, closer to something
    (7, 12),  # moving away from, towards the camera
    (10, 11),  # moving from left to right, from right to left
    (15, 25),  # picking up, putting ("Moving [something] up" sits in 15, so 9 has no partner)
    (34, 37),  # turning the camera downwards, upwards
    (35, 36),  # turning the camera left, right
)
OPPOSITE_TEMPLATES: tuple[tuple[int, int], ...] = (
    (0, 32),  # approaching, moving away with the camera
    (4, 7),  # burying in, digging out of
    (5, 46),  # closing, opening
    (6, 171),  # covering, uncovering
    (14, 172),  # folding, unfolding
    (36, 37),  # two things away from, closer to each other
    (40, 42),  # moving away from, closer to something
    (41, 44),  # moving away from, towards the camera
    (43, 45),  # moving down, up
    (47, 109),  # picking up, putting on a surface
    (86, 94),  # pulled to the right, backwards: the hand follows to the left, pushing
    (87, 93),  # pulled to the left, backwards: pushed to the right
    (105, 121),  # putting in front of, removing and revealing behind
    (106, 148),  # putting into, taking out of
    (114, 146),  # putting to, taking from many similar things on the table
    (165, 168),  # turning the camera downwards, upwards
    (166, 167),  # turning the camera left, right
)

# Only what changes from file to file; commas and "(almost no hand)" are part of the names.
_NORMALISED = str.maketrans(
    {"[": None, "]": None, "\u2018": "'", "\u2019": "'", "\u00b4": "'", "`": "'"}
)


def normalise_label(text: str) -> str:
    """Folds the ways in which files write the same label.

    Brackets go, upper case becomes lower case, curly apostrophes become straight ones, and runs
    of blanks (non-breaking ones too) become one blank.

    Example:
        >>> normalise_label("Putting [something] that can\u2019t  roll")
        "putting something that can't roll"
    """
    return " ".join(text.translate(_NORMALISED).casefold().split())


def _listed(names: Sequence[str], indices: Sequence[int], most: int = 5) -> str:
    """Writes `15 "Picking [something] up", …` for an error message."""
    listed = ", ".join(f'{i} "{names[i]}"' for i in indices[:most])
    return listed + (f" and {len(indices) - most} more" if len(indices) > most else "")


def find_label(text: str, names: Sequence[str]) -> int:
    """Finds a label by what a person types.

    Tried in this order, all normalised (`normalise_label`): the whole name, its index ("15"), the
    beginning of exactly one name, a part of exactly one name.

    Args:
        text: a name, a part of one, or an index.
        names: the labels of the model.

    Returns:
        The index into `names`.

    Raises:
        BadInput: nothing fits (the nearest names are offered), several fit (they are named), or
            the index is out of range.
    """
    wanted = normalise_label(text)
    if not wanted:
        raise BadInput("the label is empty; give a class name or its index")
    normalised = [normalise_label(name) for name in names]

    exact = [i for i, name in enumerate(normalised) if name == wanted]
    if len(exact) == 1:
        return exact[0]
    if exact:  # ImageNet has two "crane"
        raise BadInput(f'label "{text}" is ambiguous: {_listed(names, exact)}; give the index')

    if wanted.removeprefix("-").isdecimal():
        if 0 <= int(wanted) < len(names):
            return int(wanted)
        raise BadInput(f"label index {text} is out of range; the model has 0 to {len(names) - 1}")

    begins = [i for i, name in enumerate(normalised) if name.startswith(wanted)]
    fits = begins or [i for i, name in enumerate(normalised) if wanted in name]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise BadInput(f'label "{text}" is ambiguous: {_listed(names, fits)}; give more of it')

    near = difflib.get_close_matches(wanted, normalised, n=3, cutoff=0.5)
    offer = _listed(names, [normalised.index(name) for name in near])
    advice = f"nearest: {offer}" if near else f"the model has {len(names)} labels"
    raise BadInput(f'unknown label "{text}"; {advice}')


_GROUP_OF = {normalise_label(member): label for label in FORTY for member in label.members}


def group_of(template: str) -> ClassLabel | None:
    """Gives the class of the forty that a template belongs to, or None (103 belong to none).

    Args:
        template: one of the 174, in any way of writing (V1 without brackets, V2 with them).
    """
    return _GROUP_OF.get(normalise_label(template))
