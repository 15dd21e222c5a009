"""Which of the 40 sentences are true of a synthetic scene, told by its script alone.

Notebook 07 asks of a wrong answer whether it is wrong at all. A person would look at the clip. Here
the script is asked: where each object and each hand is at every moment, what it is made of, and
which template it plays. No picture is painted and no network is run.

A sentence is true of a scene of its own class. Beyond that, sentences that name a motion are tested
on the motion, and a few follow from the template (`FOLLOWS`): what is put into a box is put. The
tests are strict: what they do not know is false.
"""

from __future__ import annotations

import numpy as np

from ..data.labels import FORTY_NAMES
from ..tabletop.actors import OBJECT, SECOND, Hand, Prop
from ..tabletop.scene import Plan

MOMENTS = 41  # of the action, its first and its last among them
NEIGHBOURS = 0.15  # metres between two objects that are "next to" each other, at most
MOVED = 0.1  # metres that "closer" or "away" must change
OUT_OF_SIGHT = -0.05  # metres: lower than this an object has left the picture
CAMERA_METRES, CAMERA_ANGLE = 0.2, 0.2  # of a camera that moves, or turns (radians)

FOLLOWS: dict[str, tuple[str, ...]] = {
    "Holding [something]": (
        "Holding [something] next to [something]",
        "Showing [something] to the camera",
    ),
    "Pretending to pick [something] up": ("Pretending to take [something] from [somewhere]",),
    "Pretending to take [something] from [somewhere]": ("Pretending to pick [something] up",),
    "Pretending to put [something] on a surface": (
        "Pretending to put [something] next to [something]",
    ),
    "Dropping [something]": ("Throwing [something] against [something]",),
    "Putting [something]": (
        "Putting [something] into [something]",
        "Stacking [number of] [something]",
    ),
}
"""Class -> templates of other classes of which its sentence is true as well."""
EXCEPT = {"Putting [something]": ("Plugging [something] into [something]",)}
"""Class -> templates whose motion fits, and of which nobody would say it."""


def true_sentences(plan: Plan) -> set[str]:
    """The classes whose sentence is true of the scene, its own among them.

    Args:
        plan: the scene, not painted yet.

    Returns:
        Names of `FORTY_NAMES`.

    Example:
        >>> plan = gv.tabletop.Plan("Moving [something] closer to [something]", 7)
        >>> sorted(true_sentences(plan))  # doctest: +SKIP
        ['Moving [something] closer to [something]', 'Moving [something] from right to left']
    """
    found = {name for name in true_by_motion(plan) if plan.template not in EXCEPT.get(name, ())}
    found |= {name for name, templates in FOLLOWS.items() if plan.template in templates}
    return found | {plan.label}


def true_by_motion(plan: Plan) -> set[str]:
    """The classes whose sentence the motion makes true: label and template are not looked at."""
    found = _camera(plan)
    for prop in _props(plan, OBJECT):
        found |= _changes(plan, prop)
        if _held(plan, prop):
            found |= _moves(plan, prop) | _neighbours(plan, prop) | _lifted(plan, prop)
    assert found <= set(FORTY_NAMES), found - set(FORTY_NAMES)
    return found


def _times(plan: Plan, before: float = 0.0, after: float = 0.0) -> np.ndarray:
    """Moments in the action's own time, in the order of the film: (MOMENTS,)."""
    if plan.backwards:
        return np.linspace(1 + before, -after, MOMENTS)
    return np.linspace(-before, 1 + after, MOMENTS)


def _props(plan: Plan, role: int) -> list[Prop]:
    return [a for a in plan.actors if isinstance(a, Prop) and a.role == role]


def _path(actor: Prop | Hand, times: np.ndarray) -> np.ndarray:
    """Where an actor is: (MOMENTS, 3), metres; x to the right, y up, z away from the camera."""
    where = actor.grip if isinstance(actor, Hand) else actor.place
    return np.stack([where(float(t)) for t in times])


def _held(plan: Plan, prop: Prop) -> Hand | None:
    """The hand that goes with the object whenever it moves during the action, if there is one."""
    times = _times(plan)
    path = _path(prop, times)
    moving = np.abs(np.diff(path, axis=0)).max(1) > 1e-4  # (MOMENTS - 1,)
    if not moving.any():
        return None
    for hand in (a for a in plan.actors if isinstance(a, Hand)):
        offset = (_path(hand, times) - path)[1:][moving]
        if np.abs(offset - np.median(offset, axis=0)).max() < 0.02:
            return hand
    return None


def _camera(plan: Plan) -> set[str]:
    times = _times(plan)
    found = set()
    if "metres" in plan.moves:
        back = float(plan.moves["metres"](times[-1])[2] - plan.moves["metres"](times[0])[2])
        if back < -CAMERA_METRES:
            found.add("Approaching [something] with your camera")
        if back > CAMERA_METRES:
            found.add("Moving away from [something] with your camera")
    for axis, less, more in (("yaw", "left", "right"), ("pitch", "upwards", "downwards")):
        if axis in plan.moves:
            turned = float(plan.moves[axis](times[-1]) - plan.moves[axis](times[0]))
            if abs(turned) > CAMERA_ANGLE:
                way = less if turned < 0 else more
                found.add(f"Turning the camera {way} while filming [something]")
    return found


def _changes(plan: Plan, prop: Prop) -> set[str]:
    """What opens or folds has a state from 0 to 1."""
    times = _times(plan)
    change = float(prop.state(float(times[-1])) - prop.state(float(times[0])))
    if abs(change) < 0.5:
        return set()
    if "opens" in prop.thing.tags:
        return {"Opening [something]" if change > 0 else "Closing [something]"}
    if "folds" in prop.thing.tags:
        return {"Folding [something]" if change > 0 else "Unfolding [something]"}
    return set()


def _moves(plan: Plan, prop: Prop) -> set[str]:
    path = _path(prop, _times(plan))
    x, y, z = path[-1] - path[0]
    flat = float(np.hypot(x, z))
    found = set()
    if abs(y) < 0.06:
        if abs(x) >= 0.12 and abs(x) >= abs(z):
            way = "left to right" if x > 0 else "right to left"
            found.add(f"Moving [something] from {way}")
        if abs(z) >= 0.25 and abs(z) > abs(x):
            found.add(f"Moving [something] {'away from' if z > 0 else 'towards'} the camera")
    if y <= -0.12 and path[-1, 1] > OUT_OF_SIGHT:
        found.add("Moving [something] down")
    if 0.02 <= flat <= 0.08 and np.ptp(path[:, 1]) < 0.02 and _comes_and_goes(plan, prop) == (1, 1):
        found.add("Pushing [something] so that it slightly moves")
    return found


def _neighbours(plan: Plan, prop: Prop) -> set[str]:
    """Closer to, or away from, what stands near: on the table, without regard to the height."""
    path = _path(prop, _times(plan))[:, [0, 2]]
    found = set()
    for other in _props(plan, SECOND) + list(plan.others):
        there = _path(other, _times(plan))[:, [0, 2]]
        if np.ptp(there, axis=0).max() > 0.01:
            continue  # it moves, too
        distance = np.linalg.norm(path - there, axis=1)
        touch = 0.5 * (prop.thing.width * prop.size + other.thing.width * other.size)
        change = float(distance[-1] - distance[0])
        if change <= -MOVED and distance[-1] - touch <= NEIGHBOURS:
            found.add("Moving [something] closer to [something]")
        if change >= MOVED and distance[0] - touch <= NEIGHBOURS:
            found.add("Moving [something] away from [something]")
    return found


def _comes_and_goes(plan: Plan, prop: Prop) -> tuple[bool, bool]:
    """Whether the hand is away from the object before the action, and after it."""
    hand = _held(plan, prop)
    assert hand is not None
    times = _times(plan, 0.45, 0.45)
    gap = np.linalg.norm(_path(hand, times) - _path(prop, times), axis=1)
    return bool(gap[0] > gap.min() + 0.1), bool(gap[-1] > gap.min() + 0.1)


def _lifted(plan: Plan, prop: Prop) -> set[str]:
    """Taken from where it stood by a hand that keeps it; or put there by a hand that goes."""
    height = _path(prop, _times(plan))[:, 1]
    comes, goes = _comes_and_goes(plan, prop)
    found = set()
    if comes and not goes and height.max() - height[0] >= 0.02:
        found.add("Picking [something] up")
    if goes and height.max() - height[-1] >= 0.02 and height[-1] > OUT_OF_SIGHT:
        found.add("Putting [something]")
    return found
