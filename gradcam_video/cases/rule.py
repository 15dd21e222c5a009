"""Case studies: which explanations to show, as positive, medium and negative examples.

The 2017 post sorted its figures by looking. Its own printed predictions do not separate the three:
one of its medium clips has the true class second by 0.09, a negative one second by 0.04, and
another medium one does not name the true class among five. So a rule of our own, from one number:

    margin = probability of the true class - the highest probability of any other class

    positive   margin >= 0.3: the true class is first, and clearly
    medium     the true class is first or second, by less than 0.3
    negative   all the rest: another class is clearly first, or two others are

Nothing is chosen by hand: the same explanations give the same cases in the same order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..data.labels import find_label
from ..errors import BadInput
from ..explanation import Explanation

KINDS = ("positive", "medium", "negative")
"""Kinds of case, in the order in which they are shown."""
CLEAR = 0.3
"""How far apart two probabilities must be for a clear answer."""

_BAND = {"positive": (CLEAR, 1.0), "medium": (-CLEAR, CLEAR), "negative": (-1.0, -CLEAR)}
"""Margins that a kind covers, to find what is nearest to it."""


@dataclass(frozen=True, eq=False)
class Case:
    """One explanation chosen to be shown.

    Attributes:
        kind: what the explanation is by the rule: "positive", "medium" or "negative".
        explanation: with its clip.
        true_label: the class that the clip really shows, as the model names it.
        section: the kind that was asked for. It differs from `kind` only where too few clips of
            that kind were found and the nearest one stands in; say so wherever it is shown.
    """

    kind: str
    explanation: Explanation
    true_label: str
    section: str

    @property
    def stands_in(self) -> bool:
        """Whether it fills a place for which no clip of the right kind was left."""
        return self.kind != self.section

    @cached_property
    def rank(self) -> int:
        """Place of the true class among the predictions, 1 is first."""
        return rank(self.explanation, self.true_label)

    @cached_property
    def margin(self) -> float:
        """Probability of the true class minus the highest of the others."""
        return margin(self.explanation, self.true_label)


def margin(e: Explanation, true_label: str) -> float:
    """Probability of the true class minus the highest probability of any other, -1 to 1."""
    true_index = find_label(true_label, e.labels)
    others = np.delete(e.probabilities, true_index)  # (K - 1,)
    return float(e.probabilities[true_index]) - float(others.max(initial=0))


def rank(e: Explanation, true_label: str) -> int:
    """Place of the true class among the predictions; 1 is first. Ties count against it."""
    true_index = find_label(true_label, e.labels)
    return int(np.sum(e.logits >= e.logits[true_index]))


def kind_of(e: Explanation, true_label: str) -> str:
    """Positive, medium or negative, by the rule at the top of this module."""
    gap = margin(e, true_label)
    if gap >= CLEAR:
        return "positive"
    return "medium" if gap > -CLEAR and rank(e, true_label) <= 2 else "negative"


def choose(
    explanations: Sequence[Explanation],
    *,
    positive: int = 7,
    medium: int = 4,
    negative: int = 3,
) -> list[Case]:
    """Choose the cases to show: fourteen, as in the post; the split 7 + 4 + 3 is ours.

    Within a kind, classes that were not shown yet go first, then clips of another sort (told by
    `Clip.note`); among equals the clearest example of the kind: the highest margin for positive,
    the one nearest to zero for medium, the lowest for negative; then the order given. Where a kind
    has too few clips, the nearest ones stand in (`Case.stands_in`); their `kind` stays what it is.

    Args:
        explanations: each with its `true_label`.
        positive, medium, negative: how many of each.

    Returns:
        Cases in the order positive, medium, negative by `section`; fewer than asked for when there
        are fewer explanations.

    Raises:
        BadInput: an explanation without a true label, or a negative count.
    """
    wanted = {"positive": positive, "medium": medium, "negative": negative}
    for kind, count in wanted.items():
        if count < 0:
            raise BadInput(f"choose: {kind}={count}: give 0 or more")
    rows = [_Row(i, e) for i, e in enumerate(explanations)]
    taken: dict[str, list[_Row]] = {}
    for kind, count in wanted.items():
        own = sorted((row for row in rows if row.kind == kind), key=_clearest_first)
        taken[kind] = _varied(own, count)
    used = {row.place for some in taken.values() for row in some}
    for kind, count in wanted.items():
        left = [row for row in rows if row.place not in used]
        left.sort(key=lambda row: (_distance(row.margin, kind), row.place))
        # The nearest, not the most varied: a stand-in far from its section would mislead.
        stand_ins = left[: count - len(taken[kind])]
        used |= {row.place for row in stand_ins}
        taken[kind] += stand_ins
    return [
        Case(row.kind, row.explanation, row.true_label, section)
        for section, some in taken.items()
        for row in some
    ]


class _Row:
    """An explanation with its margin and its kind."""

    def __init__(self, place: int, e: Explanation) -> None:
        if e.true_label is None:
            raise BadInput(
                f"{e.clip.source}: its true label is not known, so it cannot be a case; "
                "give it one with e.with_label(…)"
            )
        if e.output == "value":
            raise BadInput(
                f"{e.clip.source}: {e.model} gives a value, and cases are chosen by probability: "
                "take a network that tells classes apart"
            )
        self.place, self.explanation, self.note = place, e, e.clip.note
        self.true_label = e.labels[find_label(e.true_label, e.labels)]
        self.margin, self.kind = margin(e, self.true_label), kind_of(e, self.true_label)


def _clearest_first(row: _Row) -> tuple[float, int]:
    key = {"positive": -row.margin, "medium": abs(row.margin), "negative": row.margin}
    return key[row.kind], row.place


def _varied(rows: Sequence[_Row], count: int) -> list[_Row]:
    """The first `count` rows, but what was not shown yet goes first: class, then kind of clip."""
    left, picked = list(rows), []
    classes: Counter[str] = Counter()
    notes: Counter[str] = Counter()
    while left and len(picked) < count:
        # min takes the first among equals, so the order of `rows` decides
        row = min(left, key=lambda row: (classes[row.true_label], notes[row.note]))
        left.remove(row)
        picked.append(row)
        classes[row.true_label] += 1
        notes[row.note] += 1
    return picked


def _distance(gap: float, kind: str) -> float:
    """How far a margin lies outside what a kind covers."""
    low, high = _BAND[kind]
    return max(low - gap, gap - high, 0.0)
