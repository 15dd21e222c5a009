"""The page of case studies: fourteen moving figures in three sections, to look at from disk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ..show.captions import UNTRAINED, percent
from ..show.html import asset
from .rule import CLEAR, KINDS, Case

LOOK_AT = {
    "positive": "The true class is first, and clearly. Does the heat sit on the thing that moves, "
    "and does it follow it from frame to frame?",
    "medium": f"The true class is first or second, by less than {CLEAR:g}. Which frames could be "
    "seen either way? Where two maps are shown, the second is that of the true class.",
    "negative": "Another class is clearly first, or two others are. What did the network look at "
    "instead, and is there evidence for the true class (the second map) that lost?",
}
_KIND_WORDS = {
    "positive": "clearly right",
    "medium": "nearly undecided",
    "negative": "wrong",
}


def figures_page(
    figures: Sequence[tuple[str, Case]], *, origin: str, command: str, date: str | None = None
) -> str:
    """The page around figures that lie in folders beside it.

    Args:
        figures: (folder, case) each; the folder holds what `show.save` writes.
        origin: where the clips are from, in sentences.
        command: what makes the page again.
        date: as it is shown; None is today.

    Returns:
        HTML that asks nothing of any server: styles and script are inside, videos lie beside it.
    """
    import jinja2

    explanations = [case.explanation for _, case in figures]
    sections = []
    for kind in KINDS:
        here = [(folder, case) for folder, case in figures if case.section == kind]
        lacking = sum(case.stands_in for _, case in here)
        if here:
            sections.append(
                {"kind": kind, "look_at": LOOK_AT[kind], "cases": here, "lacking": lacking}
            )
    # Autoescape: a label or the name of a file may hold anything
    pages = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters["percent"] = percent
    return pages.from_string(asset("figures.html", "gradcam_video.cases")).render(
        figures=figures,
        untrained=UNTRAINED if any(e.untrained for e in explanations) else "",
        models=[
            *sorted({e.model for e in explanations}),
            *sorted({e.remark for e in explanations if e.remark}),
        ],
        sections=sections,
        kind_words=_KIND_WORDS,
        clear=f"{CLEAR:g}",
        origin=origin,
        command=command,
        date=date or datetime.now(UTC).strftime("%Y-%m-%d"),
    )
