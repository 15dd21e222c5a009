"""The page of case studies: fourteen moving figures in three sections, to look at from disk."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime

from ..show.captions import UNTRAINED, percent
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

_CSS = """
:root { color-scheme: light dark; --soft: #6b6b76; --bar: #d97706; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 16px; max-width: 1180px;
  background: Canvas; color: CanvasText; }
h1 { line-height: 1.2; margin: 8px 0; }
h2 { margin: 40px 0 4px; }
p { max-width: 46em; margin: 6px 0; }
.soft, footer { color: var(--soft); font-size: 14px; }
.alarm { background: #b01820; color: #fff; font-weight: 650; padding: 6px 10px; max-width: none; }
.figures { display: grid; gap: 28px 24px; margin-top: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr)); }
figure { margin: 0; min-width: 0; border-top: 1px solid var(--line); padding-top: 10px; }
video { width: 100%; max-width: 740px; height: auto; display: block; border-radius: 4px;
  background: #141418; }
h3 { font-size: 16px; margin: 0 0 6px; }
table { border-collapse: collapse; width: 100%; max-width: 740px; font-size: 14px; margin: 6px 0; }
td { padding: 1px 8px 1px 0; vertical-align: top; }
td.p { text-align: right; white-space: nowrap; width: 4em; font-variant-numeric: tabular-nums; }
td.b { width: 30%; }
td.b i { display: block; height: 9px; margin-top: 6px; background: var(--bar); min-width: 1px;
  border-radius: 2px; }
tr.true td { font-weight: 650; }
.in { background: #d9770633; padding: 2px 8px; border-radius: 4px; font-size: 14px; }
code { overflow-wrap: anywhere; }
button { font: inherit; padding: 4px 14px; }
"""

# People who asked for less motion get still pictures until they press play.
_SCRIPT = """
const films = [...document.querySelectorAll("video")];
const button = document.getElementById("all");
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
function show() {
  films.forEach((film) => (playing ? film.play().catch(() => {}) : film.pause()));
  button.textContent = playing ? "Stop all films" : "Play all films";
}
button.hidden = false;
button.onclick = () => { playing = !playing; show(); };
show();
"""


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
        HTML that asks nothing of any server: styles and script are inside, films lie beside it.
    """
    date = date or datetime.now(UTC).strftime("%Y-%m-%d")
    explanations = [case.explanation for _, case in figures]
    models = sorted({e.model for e in explanations})
    remarks = sorted({e.remark for e in explanations if e.remark})
    alarm = (
        f'<p class="alarm">{_text(UNTRAINED)}</p>' if any(e.untrained for e in explanations) else ""
    )
    sections = []
    for kind in KINDS:
        here = [(folder, case) for folder, case in figures if case.section == kind]
        if not here:
            continue
        lacking = sum(case.stands_in for _, case in here)
        honest = ""
        if lacking:
            honest = (
                f'<p class="soft">Only {len(here) - lacking} of these {len(here)} are {kind}: no '
                "more were found among the clips. The nearest ones stand in, and say so.</p>"
            )
        body = "\n".join(_figure(folder, case) for folder, case in here)
        sections.append(
            f'<section id="{kind}">\n<h2>{kind.capitalize()}</h2>\n<p>{_text(LOOK_AT[kind])}</p>\n'
            f'{honest}<div class="figures">\n{body}\n</div>\n</section>'
        )
    about = f"Model: {', '.join([*models, *remarks])}."
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Where and when a video network looked: {len(figures)} figures</title>
<style>{_CSS}</style>
</head>
<body>
<h1>Where, and when, the network looked</h1>
{alarm}
<p>Left the clip, right the evidence for the class that the network named (Grad-CAM, in the colours
of the 2017 post “Visual explanation for video recognition”: blue is none, red the most). Under it,
how much evidence each frame holds.</p>
<p>{_text(about)} {_text(origin)}</p>
<p><button id="all" hidden>Stop all films</button></p>
{chr(10).join(sections)}
<footer>
<h2>How these were chosen</h2>
<p>By a rule, not by hand. Margin is the probability of the true class minus the highest other one.
Positive: {CLEAR:g} or more. Medium: less than {CLEAR:g} either way, and the true class first or
second. Negative: all the rest. Classes not shown yet go first, then clips of another sort, then the
clearest examples of their kind. The post shows fourteen figures, sorted by looking; the split of 7,
4 and 3 and the rule are ours.</p>
<p>Made on {_text(date)} by <code>{_text(command)}</code></p>
</footer>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _figure(folder: str, case: Case) -> str:
    e = case.explanation
    named = e.top(1)[0][0]
    rows = "\n".join(_row(name, p, name == case.true_label) for name, p in e.top(5))
    stands = ""
    if case.stands_in:
        stands = (
            f'<p><span class="in">Stands in: this one is {case.kind} ({_KIND_WORDS[case.kind]}), '
            f"the nearest to a {case.section} one that was left.</span></p>"
        )
    empty = " The map of the class named is empty." if e.empty[e.row()] else ""
    if case.true_label != named and e.empty[e.row(case.true_label)]:
        empty += " The map of the true class is empty: no positive evidence for it."
    untrained = " UNTRAINED." if e.untrained else ""
    links = " · ".join(
        f'<a href="{folder}/{file}">{words}</a>'
        for file, words in (
            ("player.html", "player: every class, frame by frame"),
            ("sheet.png", "contact sheet"),
            ("overlay.gif", "gif"),
            ("overlay.mp4", "mp4"),
        )
    )
    alt = (
        f"Film: the clip beside its heat map. True class {case.true_label}, named {e.top(1)[0][0]}."
    )
    return f"""<figure id="{folder}">
<h3>{folder} · true class: {_text(case.true_label)}</h3>
{stands}<video src="{folder}/overlay.mp4" autoplay loop muted playsinline controls
 aria-label="{_text(alt)}"></video>
<figcaption>
<table>
{rows}
</table>
<p class="soft">True class: place {case.rank}, margin {case.margin:+.2f}.{_text(empty)}{untrained}
{_text(_about(e.clip.source, e.clip.note))}</p>
<p class="soft">{links}</p>
</figcaption>
</figure>"""


def _row(name: str, p: float, true: bool) -> str:
    mark, kind = (" ✓ true", ' class="true"') if true else ("", "")
    return (
        f'<tr{kind}><td class="p">{percent(p)}</td><td class="b">'
        f'<i style="width:{100 * p:.1f}%"></i></td><td>{_text(name)}{mark}</td></tr>'
    )


def _about(source: str, note: str) -> str:
    return f"Clip: {source}" + (f" ({note})." if note else ".")


def _text(words: str) -> str:
    return html.escape(words, quote=True)
