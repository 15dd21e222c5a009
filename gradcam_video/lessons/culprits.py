"""Whose fault is a wrong answer? Four suspects, and a rule that was written before any was tried.

    label      the sentence of the answer is true of the scene, by its script (`scene_truth`)
    sampling   the answer is right in at least a third of twelve samplings at 4 frames a second (a
               film of 12 has three phases), or at 12 frames a second around the action
    world      it is right when one object or one effect is left out, and it is not when nothing is
               left out but the film's grain is drawn anew
    network    none of these

The first that holds is the culprit. An edit that changes no pixel that the network sees is no edit:
it is not tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.clip import Clip
from ..models.video_model import VideoModel
from ..tabletop.actors import SECOND
from ..tabletop.scene import Plan
from .facts import measured
from .scene_truth import true_sentences

SUSPECTS = ("label", "sampling", "world", "network")
SHIFTS = tuple(range(-6, 6))  # frames of the film, 12 a second: where the sampling starts
A_THIRD = len(SHIFTS) // 3
GRAIN = "the grain drawn anew"
EFFECTS = ("shake", "shadows", "noise", "defocus", "motion blur", "jpeg")
SIZE = (240, 320)
FRAMES, RATE = 16, 4.0


@dataclass(frozen=True)
class Trial:
    """One clip that was shown to the network.

    Attributes:
        what: what was changed.
        said: its answer.
        p: the probability of the true class.
        right: whether the answer is the true class.
    """

    what: str
    said: str
    p: float
    right: bool


@dataclass(frozen=True)
class Finding:
    """A wrong answer and what was found out about it.

    Attributes:
        label, seed: the scene.
        said: the wrong answer.
        also_true: the other classes whose sentence is true of the scene.
        samplings: as many as `SHIFTS`; the unshifted one is the clip as it was.
        dense: 12 frames a second, around the action.
        edits: one object or effect left out; only those that change a pixel that is seen.
        grain: nothing is left out, the grain is another.
    """

    label: str
    seed: int
    said: str
    also_true: tuple[str, ...]
    samplings: tuple[Trial, ...]
    dense: Trial
    edits: tuple[Trial, ...]
    grain: Trial

    @property
    def holds(self) -> dict[str, bool]:
        """Suspect -> whether its own test convicts it, whatever the others say."""
        sampling = sum(t.right for t in self.samplings) >= A_THIRD or self.dense.right
        world = any(t.right for t in self.edits) and not self.grain.right
        return {"label": self.said in self.also_true, "sampling": sampling, "world": world}

    @property
    def culprit(self) -> str:
        """The first of `SUSPECTS` whose test convicts it."""
        return next((suspect for suspect, guilty in self.holds.items() if guilty), "network")


def film(plan: Plan) -> np.ndarray:
    """Every frame of the scene, 12 a second: uint8 (n, H, W, 3)."""
    return plan.shot(np.arange(plan.frames), SIZE).clip.frames


def samplings(plan: Plan) -> list[np.ndarray]:
    """Which frames of the film each shifted sampling takes; its first or last, beyond the ends."""
    indices, _, _ = plan.sampled(FRAMES, RATE)
    return [np.clip(indices + shift, 0, plan.frames - 1) for shift in SHIFTS]


def resampled(model: VideoModel, plan: Plan) -> list[Trial]:
    """What the network says of the scene at each of the `SHIFTS`."""
    whole = film(plan)
    clips = [whole[indices] for indices in samplings(plan)]
    return answers(model, clips, [f"{shift:+d} frames" for shift in SHIFTS], plan.label)


def around_the_action(plan: Plan) -> np.ndarray:
    """Sixteen frames in a row, 12 a second, the action in their middle."""
    first = round((plan.action[0] + plan.action[1] + 1 - FRAMES) / 2)
    return np.clip(first, 0, max(plan.frames - FRAMES, 0)) + np.minimum(
        np.arange(FRAMES), plan.frames - 1
    )


def edited_plans(label: str, seed: int) -> Iterator[tuple[str, Plan]]:
    """The scene with one object or one effect left out, each by its name.

    Left out is what the sentence of the class does not need: objects that only stand about, one by
    one and together, the second object where neither the action nor the sentence has it, and what
    the camera does to the picture. Some of these change nothing: see `seen_alike`.
    """
    plan = Plan(label, seed)
    for effect in EFFECTS:
        yield f"no {effect}", Plan(label, seed, without=(effect,))
    for i, other in enumerate(plan.others):
        left = Plan(label, seed)
        del left.others[i]
        yield f"without the {other.thing.family}", left
    if len(plan.others) > 1:
        yield "without all that stands about", Plan(label, seed, without=("distractors",))
    second = any(a.role == SECOND for a in plan.actors)
    if second and not plan.both and label.count("[") == 1:
        yield "without the second object", Plan(label, seed, without=("second",))


def with_new_grain(label: str, seed: int) -> Plan:
    """The same scene on another piece of film."""
    plan = Plan(label, seed)
    plan.seed += 1  # from here on it draws the grain alone
    return plan


def seen_alike(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two clips are equal in the middle square, which is all that the network sees."""
    left = (one.shape[2] - one.shape[1]) // 2
    middle = slice(left, left + one.shape[1])
    return np.array_equal(one[:, :, middle], two[:, :, middle])


def examine(model: VideoModel, label: str, seed: int) -> Finding | None:
    """Try every suspect on one scene; None where the network names the scene rightly.

    Args:
        model: knows the 40 classes.
        label, seed: the scene.
    """
    plan = Plan(label, seed)
    indices = samplings(plan)[SHIFTS.index(0)]
    as_it_was = plan.shot(indices, SIZE).clip.frames
    first = answers(model, [as_it_was], ["as it was"], label)[0]
    if first.right:
        return None
    return accuse(model, plan, first.said)


def accuse(model: VideoModel, plan: Plan, said: str) -> Finding:
    """Every suspect of one wrong answer, see `examine`."""
    label, seed = plan.label, plan.seed
    whole = film(plan)
    shifted = samplings(plan)
    as_it_was = whole[shifted[SHIFTS.index(0)]]
    clips = [whole[i] for i in shifted] + [whole[around_the_action(plan)]]
    names = [f"{shift:+d} frames" for shift in SHIFTS] + ["12 frames a second"]
    indices = shifted[SHIFTS.index(0)]
    for what, changed in edited_plans(label, seed):
        frames = changed.shot(indices, SIZE).clip.frames
        if not seen_alike(frames, as_it_was):
            clips.append(frames)
            names.append(what)
    clips.append(with_new_grain(label, seed).shot(indices, SIZE).clip.frames)
    trials = answers(model, clips, [*names, GRAIN], label)
    n = len(SHIFTS)
    also = tuple(sorted(true_sentences(plan) - {label}))
    edits = tuple(trials[n + 1 : -1])
    return Finding(label, seed, said, also, tuple(trials[:n]), trials[n], edits, trials[-1])


def stored() -> list[Finding]:
    """What `scripts/measured.py culprits` found of the first clips of the test split."""
    return [_unpacked(row) for row in measured("culprits")["findings"]]


def packed(f: Finding) -> dict[str, Any]:
    """A finding as it is stored: a trial as [what, answer, probability of the true class]."""

    def rows(trials: tuple[Trial, ...]) -> list[list[Any]]:
        return [[t.what, t.said, t.p] for t in trials]

    return {
        "label": f.label,
        "seed": f.seed,
        "said": f.said,
        "also_true": list(f.also_true),
        "samplings": rows(f.samplings),
        "others": rows((f.dense, f.grain)),
        "edits": rows(f.edits),
    }


def _unpacked(row: dict[str, Any]) -> Finding:
    def trials(name: str) -> tuple[Trial, ...]:
        return tuple(Trial(w, said, p, said == row["label"]) for w, said, p in row[name])

    dense, grain = trials("others")
    return Finding(
        row["label"], row["seed"], row["said"], tuple(row["also_true"]), trials("samplings"),
        dense, trials("edits"), grain,
    )  # fmt: skip


@torch.inference_mode()
def answers(
    model: VideoModel, clips: list[np.ndarray], names: list[str], label: str
) -> list[Trial]:
    """What the network says of each clip: uint8 (16, H, W, 3) each."""
    k = model.labels.index(label)
    found = []
    for frames, what in zip(clips, names, strict=True):
        x, _ = model.preprocess(Clip.of(frames, RATE))
        p = model.activated(model.forward(x))[0]
        best = int(p.argmax())
        found.append(Trial(what, model.labels[best], round(float(p[k]), 3), best == k))
    return found
