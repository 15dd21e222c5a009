"""What happens: one short script per template of Something-Something.

A script is written in one direction; its opposite is the same script played backwards, so that the
two differ in nothing but the order of time. `PLAYS` lists, for each of the 40 classes, which
templates it is played from, how often, and whether backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..data.labels import FORTY
from . import articulated as changing
from . import objects as things
from . import shapes as bodies
from .actors import Keys, Path, Prop, Puddle, Stream
from .stage import ENTER, Stage, ease

Script = Callable[[Stage], None]
GRAVITY = 9.8  # m/s²
UP = np.array([0.0, 1.0, 0.0])


def _toward(s: Stage) -> float:
    return 1.0 if s.rng.random() < 0.5 else -1.0


# ---- the camera's own actions --------------------------------------------------------------------


def still_life(s: Stage) -> None:
    """Something to film, that stays."""
    thing = s.pick("any")
    s.prop(thing, s.ground(0.05), turn=3.0 * (not thing.upright))
    s.whole = True


def approach(s: Stage) -> None:
    still_life(s)
    near, far = s.rng.uniform(-0.3, -0.1), s.rng.uniform(0.3, 0.6)
    drift = s.rng.uniform(-0.12, 0.12, 2)
    s.distance = max(s.distance, 0.8)

    def move(t: float) -> np.ndarray:
        p = ease(t)
        return np.array([drift[0] * (1 - p), drift[1] * (1 - p), far + p * (near - far)])

    s.moves["metres"] = move
    s.seconds = s.rng.uniform(1.3, 2.6)


def turn_camera(s: Stage, axis: str) -> None:
    """The camera turns to the left, or downwards."""
    still_life(s)
    angle = s.rng.uniform(0.3, 0.6) if axis == "yaw" else s.rng.uniform(0.28, 0.5)
    start = s.rng.uniform(0.3, 0.7) * angle
    bow = s.rng.uniform(-0.06, 0.06)
    sign = -1.0 if axis == "yaw" else 1.0
    other = "pitch" if axis == "yaw" else "yaw"
    s.moves[axis] = lambda t: np.array(sign * (angle * ease(t) - start))
    s.moves[other] = lambda t: np.array(bow * (ease(t) - 0.5))
    s.seconds = s.rng.uniform(1.2, 2.4)


def turn_left(s: Stage) -> None:
    turn_camera(s, "yaw")


def turn_down(s: Stage) -> None:
    turn_camera(s, "pitch")


# ---- opening, folding, tearing, uncovering -------------------------------------------------------


def open_(s: Stage) -> None:
    family = changing.OPENING[s.rng.integers(len(changing.OPENING))]
    end = s.rng.uniform(0.8, 1.0)
    prop = s.prop(family(s.rng), s.ground(), turn=0.35, state=Keys((0, 0.0), (1, end)))
    s.follow(s.hand(), lambda t: prop.grip(t)[0])
    if s.rng.random() < 0.4:  # the other hand holds it
        k = _toward(s)
        holding = s.hand(np.pi / 2 + k * s.rng.uniform(0.6, 1.2))
        spot = prop.place(0) + s.contact(prop.thing, holding.angle, 0.95)
        s.follow(holding, lambda t: spot, -0.1, 1.1)


def fold_(s: Stage) -> None:
    how = str(s.rng.choice(["half", "near", "corner", "twice"]))
    thing = changing.foldable(s.rng, how)
    if how == "twice":
        s.seconds = s.rng.uniform(1.7, 2.6)
        state = Keys((0, 0.0), (0.42, 0.499), (0.58, 0.501), (1, 1.0))
    else:
        state = Keys((0, 0.0), (1, 1.0))
    prop = s.prop(thing, s.ground(0.05), turn=0.4, state=state, shade=False)

    def where(t: float) -> np.ndarray:
        if how == "twice" and 0.42 < t < 0.58:
            p = ease((t - 0.42) / 0.16)
            return (
                (1 - p) * prop.grip(0.42)[0]
                + p * prop.grip(0.58)[0]
                + 0.05 * np.sin(np.pi * p) * UP
            )
        return prop.grip(t)[0]

    s.follow(s.hand(), where)
    if s.rng.random() < 0.4:
        holding = s.hand(pose="flat")
        spot = prop.place(0) + s.contact(thing, holding.angle, 0.6)
        s.follow(holding, lambda t: spot, -0.1, 1.1, pose="flat")


def tear(s: Stage, how: str) -> None:
    thing = changing.tearable(s.rng, how)
    height = s.rng.uniform(0.03, 0.14)
    place = s.ground(0.05) + height * UP
    prop = s.prop(thing, place, turn=0.15, state=Keys((0, 0.0), (1, 1.0)))
    s.seconds = s.rng.uniform(0.8, 1.5)
    for i, base in enumerate((0.0, np.pi)):
        k = 1 if i == 0 else -1
        hand = s.hand(base + k * s.rng.uniform(0.2, 1.0))
        s.follow(hand, lambda t, i=i: prop.grip(t)[i] - (0, 0.02, 0), enters=False, leaves=False)


def tear_in_two(s: Stage) -> None:
    tear(s, "two")


def tear_a_bit(s: Stage) -> None:
    tear(s, "bit")


def uncover(s: Stage) -> None:
    place = s.ground(0.06)
    hidden = s.second(s.pick("any", "thin"), place)
    tall = hidden.thing.height
    how = s.rng.integers(3)
    hand = s.hand()
    aside = s.direction() * s.rng.uniform(0.24, 0.34)
    if how == 0:  # a cloth is lifted off
        thing = changing.cover(s.rng)
        grow = max(1.0, 1.1 * tall / thing.height, 1.25 * hidden.thing.width / thing.width)
        path = s.carried(
            hand.angle, (0, place), (0.5, place + (0, tall + 0.05, 0)),
            (1, place + aside + 0.1 * UP), goes=bool(s.rng.random() < 0.6),
        )  # fmt: skip
        cloth = s.prop(thing, path, state=Keys((0, 0.0), (0.6, 1.0)), size=grow, bias=0.09)
        top = np.array([0, thing.height * grow * 0.95, 0])
    else:  # a box or a pot, bottom up, or a book that lies over it
        if how == 1:
            thing = things.crate(s.rng) if s.rng.random() < 0.5 else things.pot(s.rng)
            grow = max(1.0, 1.15 * tall / thing.height, 1.3 * hidden.thing.width / thing.width,
                       1.3 * hidden.thing.depth / thing.depth)  # fmt: skip
            flipped = Keys((0, (0.0, 0.0, np.pi)))
            base = place + (0, grow * thing.height, 0)
        else:
            thing, grow, flipped = (
                things.book(s.rng),
                1.2,
                Keys((0, (0.0, s.rng.uniform(-0.3, 0.3), 0.0))),
            )
            base = place + (0, tall, 0)
        path = s.carried(
            hand.angle, (0, base), (0.5, base + (0, tall + 0.04, 0)), (1, base + aside),
            goes=bool(s.rng.random() < 0.6),
        )  # fmt: skip
        cloth = s.prop(thing, path, angles=flipped, size=grow, bias=0.09)
        top = (
            np.zeros(3)
            if how == 1
            else np.array([0, thing.height, 0]) + 0.3 * s.contact(thing, hand.angle)
        )
    s.follow(hand, lambda t: cloth.place(t) + top, leaves=False, end=1 + ENTER)
    s.both = True


# ---- moving things about -------------------------------------------------------------------------


def towards_camera(s: Stage) -> None:
    x, dx = s.rng.uniform(-0.08, 0.08), s.rng.uniform(-0.05, 0.05)
    far, near = s.rng.uniform(0.2, 0.32), s.rng.uniform(-0.26, -0.14)
    lift = s.rng.choice([0.0, s.rng.uniform(0.04, 0.12)])
    s.room = s.room.reaching(far + 0.12)
    path = Keys(
        (0, (x - dx, 0, far)),
        (0.2, (x - dx, lift, far - 0.05)),
        (0.8, (x + dx, lift, near + 0.05)),
        (1, (x + dx, 0, near)),
    )
    if lift == 0:
        path = Keys((0, (x - dx, 0, far)), (1, (x + dx, 0, near)))
    s.grabs(s.prop(s.pick("any", "thin"), path))


def nearer(s: Stage) -> None:
    """One thing is moved up to another."""
    other = s.second(s.pick("any", "thin"), s.ground(0.05))
    thing = s.pick("any", "thin")
    way = s.direction()
    touch = 0.5 * (thing.width + other.thing.width) + s.rng.uniform(0.0, 0.02)
    start, end = touch + s.rng.uniform(0.16, 0.24), touch
    place = other.place(0)
    lift = s.rng.choice([0.0, s.rng.uniform(0.03, 0.09)])
    middle = place + way * (start + end) / 2 + lift * UP
    keys = Keys((0, place + way * start), (1, place + way * end))
    if lift:
        keys = Keys((0, place + way * start), (0.5, middle), (1, place + way * end))
    s.grabs(s.prop(thing, keys))


def sideways(s: Stage) -> None:
    """From left to right: pushed from behind, or pulled."""
    length = s.rng.uniform(0.2, 0.32)
    z, dz = s.rng.uniform(-0.08, 0.08), s.rng.uniform(-0.04, 0.04)
    thing = s.pick("any")
    keys = Keys((0, (-length / 2, 0, z - dz)), (1, (length / 2, 0, z + dz)))
    prop = s.prop(thing, keys)
    s.seconds = s.rng.uniform(0.9, 1.8)
    s.grabs(prop, pose=str(s.rng.choice(["grasp", "flat", "point"])))


def lift_held(s: Stage) -> None:
    """Something in a hand is moved up; the hand never lets go."""
    place = s.ground(0.08)
    low, high = s.rng.uniform(0.0, 0.06), s.rng.uniform(0.2, 0.3)
    keys = Keys((0, place + low * UP), (1, place + high * UP))
    prop = s.prop(s.pick("any"), keys)
    s.holds(prop, s.side())


# ---- picking up; played backwards: putting -------------------------------------------------------


def _take(s: Stage, prop_place: np.ndarray, prop: Prop, with_: Prop | None = None) -> None:
    """A hand comes, lifts the prop, and holds it in the air or takes it away."""
    hand = s.hand(under=s.hidden())
    # Most of what is taken leaves the picture with the hand, played backwards: is brought.
    high = prop_place + (s.rng.uniform(-0.05, 0.05), s.rng.uniform(0.12, 0.22), -0.02)
    prop.place = s.carried(hand.angle, (0, prop_place), (1, high), goes=bool(s.rng.random() < 0.75))
    offset = s.contact(prop.thing, hand.angle)
    s.follow(hand, lambda t: prop.place(t) + offset, leaves=False, end=1 + ENTER)
    if with_ is not None:
        on_top = np.array([0, prop.thing.height, 0])
        with_.place = prop.place.plus(on_top)


def take(s: Stage) -> None:
    place = s.ground(0.1)
    _take(s, place, s.prop(s.pick("any"), place))


def take_round(s: Stage) -> None:
    place = s.ground(0.1)
    _take(s, place, s.prop(s.pick("any"), place))
    s.seconds = s.rng.uniform(1.3, 2.1)


def take_from_behind(s: Stage) -> None:
    front = s.second(s.pick("tall"), s.ground(0.06))
    thing = s.pick("any", "flat", "thin")
    gap = 0.5 * (thing.depth + front.thing.depth) + s.rng.uniform(0.02, 0.05)
    place = front.place(0) + (s.rng.uniform(-0.03, 0.03), 0, gap)
    _take(s, place, s.prop(thing, place))


def take_from_beside(s: Stage) -> None:
    other = s.second(s.pick("any", "thin"), s.ground(0.05))
    thing = s.pick("any", "thin")
    gap = 0.5 * (thing.width + other.thing.width) + s.rng.uniform(0.005, 0.03)
    place = other.place(0) + _toward(s) * np.array([gap, 0, s.rng.uniform(-0.02, 0.02)])
    _take(s, place, s.prop(thing, place))


def take_from_top(s: Stage) -> None:
    base = s.second(s.pick("support"), s.ground(0.06))
    place = base.place(0) + base.thing.height * UP
    _take(s, place, s.prop(s.pick("small", "rolls"), place, bias=0.01))


def take_one_of_many(s: Stage) -> None:
    make = s.alike("small")
    n = int(s.rng.integers(3, 6))
    step = make().width + s.rng.uniform(0.015, 0.03)
    way = np.array([np.cos(a := s.rng.uniform(-0.5, 0.5)), 0, np.sin(a)])
    spots = [(i - (n - 1) / 2) * step * way for i in range(n)]
    mine = int(s.rng.integers(n))
    for i, spot in enumerate(spots):
        if i != mine:
            s.second(make(), spot)
    _take(s, spots[mine], s.prop(make(), spots[mine]))


def take_loaded(s: Stage) -> None:
    """A plate, a book … with something on it."""
    place = s.ground(0.06)
    tray = s.prop(s.pick("tray"), place, turn=0.2)
    load = s.second(s.pick("small", "rolls"), place, bias=0.01)
    _take(s, place, tray, load)
    s.both = True


def take_two(s: Stage) -> None:
    """Two or three things are taken, one after the other."""
    n = int(s.rng.choice([2, 3]))
    hand = s.hand()
    s.seconds = s.rng.uniform(1.0, 1.4) * n
    spots = [np.array([(i - (n - 1) / 2) * 0.13, 0, s.rng.uniform(-0.05, 0.05)]) for i in range(n)]
    order = s.rng.permutation(n)
    away = FAR_AWAY * s.along(hand.angle)
    props = []
    for turn, i in enumerate(order):
        a, b = turn / n, (turn + 0.72) / n
        middle = a + 0.45 * (b - a)
        keys = Keys((a, spots[i]), (middle, spots[i] + 0.07 * UP), (b, spots[i] - away))
        props.append(s.prop(s.pick("small"), keys))
    grips = [s.contact(p.thing, hand.angle) for p in props]
    s.follow(hand, _shuttle(props, grips, n), leaves=False)
    hand.pose = [(-9, "open")] + [
        k for i in range(n) for k in ((i / n, "grasp"), ((i + 0.86) / n, "open"))
    ]


FAR_AWAY = 0.95  # metres: out of sight


def _shuttle(props: list[Prop], grips: list[np.ndarray], n: int) -> Callable[[float], np.ndarray]:
    """The hand's way when it takes several things away, one after the other."""

    def at(t: float) -> np.ndarray:
        i = min(int(max(t, 0.0) * n), n - 1)
        here = max(t, 0.0) * n - i
        if here <= 0.72 or i == n - 1:
            return props[i].place(t) + grips[i]
        p = ease((here - 0.72) / 0.28)
        last, next_ = props[i].place(1.0) + grips[i], props[i + 1].place(0.0) + grips[i + 1]
        return (1 - p) * last + p * next_

    return at


def take_from_slope(s: Stage) -> None:
    place, slope = s.ground(0.05), s.rng.uniform(0.2, 0.35) * _toward(s)
    board = things.ruler(s.rng) if s.rng.random() < 0.3 else things.book(s.rng)
    s.second(board, place + 0.04 * UP, angles=Keys((0, (0.0, 0.0, slope))), size=1.4)
    thing = s.pick("small", "rolls")
    spot = place + (0, 0.045 + board.height * 1.4, 0)
    _take(
        s,
        spot,
        s.prop(thing, spot, angles=Keys((0, (0.0, 0.0, slope)), (0.7, (0.0, 0.0, 0.0))), bias=0.02),
    )


def take_out(s: Stage) -> None:
    """Out of a container; played backwards: into it."""
    box = s.second(s.pick("container"), s.ground(0.06), turn=0.3)
    thing = s.pick("small", "thin") if box.thing.width > 0.09 else s.pick("thin", "tray", "socket")
    size = min(1.0, 0.8 * box.thing.width / max(thing.width, thing.depth))
    if "thin" in thing.tags:  # stands in it
        size, angles = 1.0, Keys((0, (0.0, 0.0, s.rng.uniform(1.2, 1.9))))
        start = box.place(0) + (0, 0.45 * thing.width, 0)
    else:
        angles = Keys((0, (0.0, s.rng.uniform(-0.5, 0.5), 0.0)))
        start = box.place(0) + (0, box.thing.floor, 0)
    hand = s.hand()
    high = box.place(0) + (0, box.thing.height + s.rng.uniform(0.06, 0.12), -0.01)
    side = high + s.direction() * s.rng.uniform(0.1, 0.16)
    path = s.carried(
        hand.angle, (0, start), (0.45, high), (1, side), goes=bool(s.rng.random() < 0.75)
    )
    prop = s.prop(thing, path, angles=angles, size=size)
    offset = np.array([0, (0.5 * thing.width if "thin" in thing.tags else thing.height) * size, 0])
    s.follow(hand, lambda t: prop.place(t) + offset, leaves=False, end=1 + ENTER)


# ---- pretending ----------------------------------------------------------------------------------


def pretend_take(s: Stage) -> None:
    place = s.ground(0.1)
    prop = s.prop(s.pick("any"), place)
    hand = s.hand()
    touch = place + s.contact(prop.thing, hand.angle, 0.95)
    high = touch + (s.rng.uniform(-0.04, 0.04), s.rng.uniform(0.12, 0.2), -0.02)
    s.follow(hand, Keys((0, touch), (0.25, touch), (1, high)))
    hand.pose = [(-9, "open"), (0.15, "grasp")]


def pretend_take_from(s: Stage) -> None:
    """From a container, from behind or from on top of something; the hand comes back empty."""
    how = s.rng.integers(3)
    place = s.ground(0.06)
    if how == 0:
        box = s.second(s.pick("container"), place, turn=0.3)
        thing = s.pick("small", "thin")
        spot = place + (0, box.thing.floor, 0)
        prop = s.prop(
            thing, spot, size=min(1.0, 0.75 * box.thing.width / max(thing.width, thing.depth))
        )
        touch = place + (0, 0.9 * box.thing.height, 0)
    elif how == 1:
        base = s.second(s.pick("support"), place)
        spot = place + base.thing.height * UP
        prop = s.prop(s.pick("small", "rolls"), spot, bias=0.01)
        touch = spot
    else:
        front = s.second(s.pick("tall"), place)
        thing = s.pick("any", "flat", "thin")
        spot = place + (0.04 * _toward(s), 0, 0.5 * (thing.depth + front.thing.depth) + 0.03)
        prop = s.prop(thing, spot)
        touch = spot
    hand = s.hand()
    touch = touch + (0, 0.6 * prop.thing.height, 0)
    back = touch + (s.rng.uniform(-0.05, 0.05), s.rng.uniform(0.12, 0.18), -0.03)
    s.follow(hand, Keys((0, touch), (0.25, touch), (1, back)))
    hand.pose = [(-9, "open"), (0.15, "grasp")]


def pretend_put(s: Stage, beside: bool) -> None:
    """Brought, held just above its place, and taken away again."""
    thing = s.pick("any", "thin") if beside else s.pick("any")
    place = s.ground(0.08)
    if beside:
        other = s.second(s.pick("any", "thin"), place)
        gap = 0.5 * (thing.width + other.thing.width) + s.rng.uniform(0.005, 0.03)
        place = place + _toward(s) * np.array([gap, 0, 0.0])
    hand = s.hand(pose="grasp", under=s.hidden())
    high = place + (s.rng.uniform(-0.04, 0.04), s.rng.uniform(0.1, 0.16), 0)
    low = place + s.rng.uniform(0.0, 0.015) * UP
    path = s.carried(
        hand.angle, (0, high), (0.4, low), (0.6, low), (1, high), comes=True, goes=True
    )
    prop = s.prop(thing, path)
    offset = s.contact(thing, hand.angle)
    s.follow(hand, lambda t: prop.place(t) + offset, -ENTER, 1 + ENTER, enters=False, leaves=False)


def pretend_put_beside(s: Stage) -> None:
    pretend_put(s, True)


def pretend_put_down(s: Stage) -> None:
    pretend_put(s, False)


# ---- pushing and poking --------------------------------------------------------------------------


def push_slightly(s: Stage) -> None:
    way = s.direction()
    place, step = s.ground(0.08), s.rng.uniform(0.03, 0.055)
    prop = s.prop(s.pick("any"), Keys((0.3, place), (1, place + way * step)))
    s.seconds = s.rng.uniform(0.6, 1.1)
    # The hand pushes from behind: its side of the thing is the one it moves away from.
    angle = float(np.arctan2(s.up @ way, s.right @ way)) + s.rng.uniform(-0.4, 0.4)
    hand = s.hand(angle, "flat")
    offset = s.contact(prop.thing, angle, 1.0)
    s.follow(hand, lambda t: prop.place(t) + offset, pose="flat", free="flat")


def push_with(s: Stage) -> None:
    way = s.direction()
    place, step = s.ground(0.05), s.rng.uniform(0.12, 0.2)
    prop = s.prop(
        s.pick("any", "thin"), Keys((0.15, place - way * step / 2), (1, place + way * step / 2))
    )
    angle = float(np.arctan2(s.up @ way, s.right @ way)) + s.rng.uniform(-0.25, 0.25)
    hand = s.hand(angle, "grasp")
    tool = s.pick("tool")
    edge = s.contact(prop.thing, angle, 1.0)
    half = 0.5 * tool.width
    slope = float(np.arctan2(np.sin(angle), np.cos(angle)))

    def where(t: float) -> np.ndarray:  # of the tool's middle
        return prop.place(t) + edge - half * s.along(angle)

    held = s.follow(
        hand, lambda t: where(t) - 0.8 * half * s.along(angle), pose="grasp", free="grasp"
    )
    grip = held.grip
    path = Path(lambda t: grip(t) + 0.8 * half * s.along(angle), [where(0), where(1)])
    s.second(tool, path, angles=Keys((0, (0.0, 0.0, slope))), bias=0.04)


def _finger(s: Stage, touch: np.ndarray, angle: float, times: tuple[float, ...] = (0.0,)) -> None:
    """A pointing finger that touches, draws back a little, and perhaps touches again."""
    back = touch - 0.05 * s.along(angle)
    keys: list[tuple[float, object]] = []
    for t in times:
        keys += [(t - 0.15, back), (t, touch), (t + 0.15, back)]
    hand = s.hand(angle, "point")
    s.follow(hand, Keys(*keys), times[0] - 0.15, times[-1] + 0.15, pose="point", free="point")


def _poke_angle(s: Stage) -> float:
    return float(s.rng.choice([s.rng.uniform(-0.5, 0.9), np.pi + s.rng.uniform(-0.9, 0.5)]))


def poke_over(s: Stage) -> None:
    thing = s.pick("tall")
    angle = _poke_angle(s)
    k = 1.0 if np.cos(angle) > 0 else -1.0
    place = s.ground(0.06)
    r = 0.5 * thing.width
    fall = Keys(
        (0.05, 0.0),
        (0.35, 0.35),
        (0.7, np.pi / 2),
        (0.8, 0.95 * np.pi / 2),
        (0.9, np.pi / 2),
        linear=True,
    )

    # It tips about the edge of its foot.
    def at(t: float) -> np.ndarray:
        a = float(fall(t))
        return place + (k * r * (1 - np.cos(a)), r * np.sin(a), 0)

    prop = s.prop(
        thing,
        Path(at, [place, at(1.0)]),
        angles=Path(lambda t: np.array([0, 0, -k * float(fall(t))]), [np.zeros(3)]),
    )
    _finger(s, place + (-k * 0.9 * r, 0.8 * thing.height, -0.01), angle)
    s.seconds = s.rng.uniform(0.8, 1.2)
    prop.tilt = 0.0


def poke_lightly(s: Stage) -> None:
    thing = s.pick("any", "thin")
    angle = s.side()
    place = s.ground(0.08)
    n = int(s.rng.integers(1, 4))
    times = tuple((0.15 + 0.7 * i / max(n - 1, 1)) if n > 1 else 0.4 for i in range(n))
    nudge = s.rng.uniform(0, 0.006) * s.along(angle) * (1, 0, 1)
    keys: list[tuple[float, object]] = [(0, place)]
    for i, t in enumerate(times):
        keys += [(t, place + i * nudge), (t + 0.1, place + (i + 1) * nudge)]
    prop = s.prop(thing, Keys(*keys))
    s.seconds = s.rng.uniform(0.7, 1.0) * (0.6 + 0.4 * n)
    _finger(s, place + s.contact(prop.thing, angle, 0.95), angle, times)


def poke_stack(s: Stage, falls: bool) -> None:
    make = s.alike("stack", "tray")
    n, angle = int(s.rng.integers(3, 5)), _poke_angle(s)
    k = 1.0 if np.cos(angle) > 0 else -1.0
    base, y = s.ground(0.05), 0.0
    for i in range(n):
        thing = make()
        spot = base + (s.rng.uniform(-0.006, 0.006), y, 0)
        if falls and i > 0:
            land = base + (
                k * (0.06 + 0.055 * i + s.rng.uniform(0, 0.03)),
                0.0,
                s.rng.uniform(-0.05, 0.05),
            )
            land[1] = 0.5 * thing.width
            start = 0.05 + 0.04 * (n - i)
            keys = Keys(
                (start, spot),
                (start + 0.2, 0.55 * spot + 0.45 * land + 0.2 * (spot - land) * UP),
                (start + 0.42, land),
            )
            spin = Keys(
                (start, np.zeros(3)),
                (
                    start + 0.42,
                    (0, s.rng.uniform(-0.5, 0.5), -k * s.rng.choice([1, 2]) * np.pi / 2),
                ),
            )
            s.prop(thing, keys, angles=spin, bias=0.002 * i)
        else:
            sway = 0.0 if falls else 0.01 * i / n * k
            keys = Keys((0.05, spot), (0.2, spot + (sway, 0, 0)), (0.4, spot + (0.4 * sway, 0, 0)))
            s.prop(thing, keys, turn=0.1, bias=0.002 * i)
        y += thing.height
    _finger(s, base + (-k * 0.5 * thing.width, 0.75 * y, -0.01), angle)
    s.seconds = s.rng.uniform(0.8, 1.3)


def poke_stack_down(s: Stage) -> None:
    poke_stack(s, True)


def poke_stack_still(s: Stage) -> None:
    poke_stack(s, False)


# ---- pouring -------------------------------------------------------------------------------------


def pour(s: Stage, how: str) -> None:
    source = s.pick("pours") if s.rng.random() < 0.8 else s.pick("vessel")
    k = _toward(s)
    liquid = source.liquid if source.liquid is not None else np.array([90.0, 60, 40])
    s.seconds = s.rng.uniform(1.4, 2.4)
    place = s.ground(0.05)
    land = 0.0
    if how in ("into", "overflow", "miss"):
        vessel = s.pick("vessel")
        fill = {
            "into": (0.0, s.rng.uniform(0.5, 0.9)),
            "overflow": (0.5, 1.05),
            "miss": (0.1, 0.1),
        }[how]
        # The vessel shows what is poured into it, whatever its own colour of content was.
        s.second(
            _refilled(vessel, liquid),
            place,
            state=Keys((0.25, fill[0]), (0.85, fill[1]), linear=True),
        )
        rim = vessel.height
        land = 0.3 * rim if how != "miss" else 0.0
        s.both = True
    elif how == "onto":
        rim = land = s.second(s.pick("tray"), place).thing.height
        s.both = True
    else:  # out of, onto the table or beyond
        rim = 0.0
    miss = (0.06 + 0.5 * vessel.width) * k if how == "miss" else 0.0
    # The spout ends up above the place; the body is to the side and tipped over.
    tip = s.rng.uniform(1.75, 2.1)
    mouth_height = rim + s.rng.uniform(0.04, 0.08)
    reach = source.height
    mouth = np.array([miss, mouth_height, 0])
    body = place + mouth + np.array([-k * np.sin(tip) * reach, -np.cos(tip) * reach, 0])
    upright = body + (-k * 0.05, 0.03, 0)
    hand = s.hand()
    hand.angle = (
        float(s.rng.uniform(-0.4, 0.8)) if k > 0 else float(np.pi - s.rng.uniform(-0.4, 0.8))
    )
    path = s.carried(
        hand.angle,
        (0, upright),
        (0.25, body),
        (0.8, body),
        (1, upright),
        comes=True,
        goes=bool(s.rng.random() < 0.6),
    )
    angles = Keys(
        (0, np.zeros(3)),
        (0.28, (0, 0, -k * tip)),
        (0.78, (0, 0, -k * tip * 1.05)),
        (1, np.zeros(3)),
    )
    prop = s.prop(source, path, angles=angles, bias=0.03)
    grains = s.rng.uniform(-1, 1, (7, 3)) if s.rng.random() < 0.35 else None
    width = s.rng.uniform(0.01, 0.016)
    s.actors.append(Stream(prop, np.array([0, reach, 0]), liquid, (0.26, 0.8), land, width, grains))
    if how in ("onto", "miss", "overflow", "out"):
        wave = 1 + 0.25 * np.sin(
            np.linspace(0, 2 * np.pi, 40, endpoint=False) * 3 + s.rng.uniform(0, 6)
        ) * s.rng.uniform(0.3, 1)
        radius = s.rng.uniform(0.04, 0.065)
        start = 0.6 if how == "overflow" else 0.35
        if how == "overflow":
            radius += 0.5 * vessel.width
        puddle = Puddle(
            place + (miss, land + 0.001, -0.01),
            Keys((start, 0.0), (0.85, radius)),
            liquid * 0.92,
            wave,
        )
        s.actors.append(puddle)

    def grip(t: float) -> np.ndarray:
        return prop.pose(t)(np.array([[0, 0.45 * reach, 0]]))[0] - 0.5 * source.width * s.along(
            hand.angle
        )

    s.follow(hand, grip, -ENTER, 1 + ENTER, enters=False, leaves=False)


def _refilled(thing: bodies.Thing, liquid: np.ndarray) -> bodies.Thing:
    def build(fill: float) -> list[bodies.Body]:
        return [
            replace(b, content=liquid) if isinstance(b, bodies.Lathe) else b
            for b in thing.build(fill)
        ]

    return replace(thing, build=build)


# ---- dropping and throwing -----------------------------------------------------------------------


def _bounces(
    start: np.ndarray, speed: np.ndarray, seconds: float, floor: float, spring: float, stop: float
) -> Callable[[float], np.ndarray]:
    """Free fall from `start` at `speed` (m/s), bouncing on the table; time in actions."""
    states = [(0.0, start.astype(float), speed.astype(float))]
    p, v, t = start.astype(float), speed.astype(float), 0.0
    for _ in range(6):
        # When it meets the table next.
        root = v[1] ** 2 + 2 * GRAVITY * max(p[1] - floor, 0)
        dt = (v[1] + np.sqrt(root)) / GRAVITY
        p = p + v * dt + np.array([0, -0.5 * GRAVITY * dt * dt, 0])
        p[1] = floor
        v = np.array([v[0] * stop, -(v[1] - GRAVITY * dt) * spring, v[2] * stop])
        t += dt
        if v[1] < 0.25:
            v[1] = 0.0
            states.append((t, p.copy(), v.copy()))
            break
        states.append((t, p.copy(), v.copy()))
    rest_from, rest, rest_speed = states[-1]

    def at(time: float) -> np.ndarray:
        now = max(time, 0.0) * seconds
        if now >= rest_from:  # slides to a halt
            left = 1 - np.exp(-(now - rest_from) * 4)
            return np.array(
                [rest[0] + rest_speed[0] * left / 4, floor, rest[2] + rest_speed[2] * left / 4]
            )
        i = max(j for j, (begin, _, _) in enumerate(states) if begin <= now)
        begin, p0, v0 = states[i]
        dt = now - begin
        return p0 + v0 * dt + np.array([0, -0.5 * GRAVITY * dt * dt, 0])

    return at


def _tumble(s: Stage, turns: float, seconds: float) -> Keys:
    end = np.array([0, s.rng.uniform(-1, 1), 0])
    spin = s.rng.uniform(-1, 1) * turns
    return Keys(
        (0, np.zeros(3)), (min(0.3 / seconds, 0.6), (0, 0, spin)), (min(0.45 / seconds, 0.9), end)
    )


def drop(s: Stage) -> None:
    """Falls like a rock: let go by a hand, or from above the picture."""
    thing = s.pick("any", "light")
    s.seconds = s.rng.uniform(0.7, 1.1)
    place = s.ground(0.1)
    by_hand = s.rng.random() < 0.65
    # From above the picture it is falling already.
    height, speed = (s.rng.uniform(0.2, 0.3), 0.0) if by_hand else (0.42, -1.6)
    start = place + height * UP
    fall = _bounces(
        start,
        np.array([s.rng.uniform(-0.15, 0.15), speed, 0]),
        s.seconds,
        0.0,
        s.rng.uniform(0.15, 0.45),
        0.6,
    )
    lean = _tumble(s, 0.6, s.seconds)
    if not by_hand:
        s.prop(thing, Path(fall, [place]), angles=lean)
        return
    hand = s.hand(
        float(
            s.rng.choice(
                [
                    s.rng.uniform(-0.6, 0.5),
                    np.pi + s.rng.uniform(-0.5, 0.6),
                    -np.pi / 2 + s.rng.uniform(-0.5, 0.5),
                ]
            )
        )
    )
    held = s.carried(hand.angle, (-0.3, start), (0, start), comes=True)
    path = Path(lambda t: held(t) if t < 0 else fall(t), [start, place])
    s.prop(thing, path, angles=lean)
    offset = s.contact(thing, hand.angle)
    s.follow(hand, lambda t: held(t) + offset, -0.3 - ENTER, 0.0, enters=False)
    hand.pose = [(-9, "grasp"), (0.1, "open")]


def flutter(s: Stage) -> None:
    """Falls like a feather: sways down slowly."""
    thing = s.pick("light")
    s.seconds = s.rng.uniform(1.3, 2.3)
    place, height = s.ground(0.08), s.rng.uniform(0.32, 0.5)
    swing, n, phase = s.rng.uniform(0.04, 0.09), s.rng.uniform(1.5, 3), s.rng.uniform(0, 6)

    def at(t: float) -> np.ndarray:
        p = min(1.0, max(0.0, t))
        sway = swing * np.sin(2 * np.pi * n * p + phase) * (1 - p) ** 0.5
        return place + (sway, height * (1 - p), 0.3 * sway)

    def lean(t: float) -> np.ndarray:
        p = min(1.0, max(0.0, t))
        a = 0.8 * np.cos(2 * np.pi * n * p + phase) * (1 - p) ** 0.5
        return np.array([0.4 * a, 0.5 * p, a])

    s.prop(thing, Path(at, [at(0.35), place]), angles=Path(lean, [np.zeros(3)]))
    if s.rng.random() < 0.5:
        angle = float(
            s.rng.choice([s.rng.uniform(-0.6, 0.4), np.pi + s.rng.uniform(-0.4, 0.6), -np.pi / 2])
        )
        hand = s.hand(angle, "grasp")
        spot = at(0.0)
        s.follow(hand, lambda t: spot, -0.3, 0.0)


def throw_down(s: Stage) -> None:
    """Thrown onto the table from one side; it slides on."""
    thing = s.pick("small", "light")
    k = _toward(s)
    s.seconds = s.rng.uniform(0.7, 1.0)
    start = np.array(
        [-k * s.rng.uniform(0.18, 0.28), s.rng.uniform(0.18, 0.28), s.rng.uniform(-0.06, 0.06)]
    )
    speed = np.array([k * s.rng.uniform(0.9, 1.4), s.rng.uniform(-0.8, 0.2), 0])
    fly = _bounces(start, speed, s.seconds, 0.0, 0.25, 0.5)
    _thrown(s, thing, start, fly, k)


def throw_up(s: Stage) -> None:
    """Thrown in the air, and it falls to the table."""
    thing = s.pick("small", "light")
    k = _toward(s)
    s.seconds = s.rng.uniform(0.9, 1.3)
    start = np.array(
        [s.rng.uniform(-0.08, 0.08), s.rng.uniform(0.05, 0.12), s.rng.uniform(-0.04, 0.04)]
    )
    fly = _bounces(
        start,
        np.array([k * s.rng.uniform(0.05, 0.3), s.rng.uniform(1.7, 2.3), 0]),
        s.seconds,
        0.0,
        0.3,
        0.5,
    )
    _thrown(s, thing, start, fly, k)


def throw_away(s: Stage) -> None:
    """Thrown across and out of the picture."""
    thing = s.pick("small", "light")
    k = _toward(s)
    s.seconds = s.rng.uniform(0.7, 1.0)
    start = np.array([-k * s.rng.uniform(0.08, 0.2), s.rng.uniform(0.08, 0.16), 0])
    speed = np.array([k * s.rng.uniform(0.9, 1.5), s.rng.uniform(1.0, 1.6), s.rng.uniform(0, 0.6)])
    _thrown(s, thing, start, _bounces(start, speed, s.seconds, 0.0, 0.3, 0.6), k)


def _thrown(
    s: Stage, thing: bodies.Thing, start: np.ndarray, fly: Callable[[float], np.ndarray], k: float
) -> Prop:
    """In a hand that swings, and then flying."""
    angle = float(s.rng.uniform(-0.5, 1.2)) if k > 0 else float(np.pi - s.rng.uniform(-0.5, 1.2))
    hand = s.hand(angle, "grasp")
    back = start + (-k * 0.07, -0.03, 0)
    held = s.carried(angle, (-0.45, start), (-0.18, back), (0, start), comes=True)
    prop = s.prop(
        thing,
        Path(lambda t: held(t) if t < 0 else fly(t), [start, fly(0.3), fly(1.0)]),
        angles=_tumble(s, 3.0, s.seconds),
    )
    offset = s.contact(thing, angle)
    s.follow(hand, lambda t: held(t) + offset, -0.45 - ENTER, 0.06, enters=False)
    hand.pose = [(-9, "grasp"), (0.08, "open")]
    return prop


def throw_against(s: Stage) -> None:
    """It hits an upright thing and comes back."""
    thing = s.pick("small", "light", "thin")
    k = _toward(s)
    s.seconds = s.rng.uniform(0.8, 1.2)
    wall = things.carton(s.rng) if s.rng.random() < 0.6 else things.book(s.rng)
    x = k * s.rng.uniform(0.12, 0.2)
    if wall.height < 0.1:  # a book is stood up
        s.second(
            wall,
            np.array([x + k * 0.02, 0.5 * wall.width * 1.4, 0.02]),
            angles=Keys((0, (0.0, 0.0, -k * np.pi / 2))),
            size=1.4,
        )
        face = x
    else:
        s.second(wall, np.array([x, 0, 0.02]), turn=0.3, size=1.3)
        face = x - k * 0.65 * wall.width
    start = np.array([-k * s.rng.uniform(0.14, 0.24), s.rng.uniform(0.08, 0.15), 0.0])
    hit_time = s.rng.uniform(0.14, 0.24)  # seconds
    hit = np.array([face - k * 0.5 * thing.width, s.rng.uniform(0.07, 0.13), 0.0])
    speed = (hit - start) / hit_time + (0, 0.5 * GRAVITY * hit_time, 0)
    rebound = _bounces(
        hit,
        np.array([-k * s.rng.uniform(0.4, 0.9), s.rng.uniform(0, 0.5), -0.1]),
        s.seconds,
        0.0,
        0.35,
        0.5,
    )

    def fly(t: float) -> np.ndarray:
        now = t * s.seconds
        if now < hit_time:
            return start + speed * now - np.array([0, 0.5 * GRAVITY * now * now, 0])
        return rebound(t - hit_time / s.seconds)

    _thrown(s, thing, start, fly, k)
    s.both = True


# ---- holding and showing -------------------------------------------------------------------------


def _tremble(s: Stage, place: np.ndarray, size: float = 0.004) -> Path:
    a, f = s.rng.uniform(0.3, 1, (2, 3)) * size, s.rng.uniform(3, 7, (2, 3))
    q = s.rng.uniform(0, 6, (2, 3))
    return Path(lambda t: place + (a * np.sin(f * t + q)).sum(0), [place])


def hold(s: Stage, other: str = "") -> None:
    place = s.ground(0.08) + s.rng.uniform(0.03, 0.14) * UP
    thing = s.pick("any")
    if other == "before":
        s.second(
            s.pick("any", "thin"),
            place * (1, 0, 1) + (s.rng.uniform(-0.05, 0.05), 0, s.rng.uniform(0.1, 0.16)),
        )
        place = place + (0, 0.02, 0)
    if other == "beside":
        thing = s.pick("any", "thin")
        near = s.pick("tall") if s.rng.random() < 0.6 else s.pick("any", "thin")
        gap = 0.5 * (thing.width + near.width) + s.rng.uniform(0.01, 0.04)
        spot = place * (1, 0, 1)
        s.second(near, spot - _toward(s) * np.array([gap, 0, 0]))
        place = spot + s.rng.uniform(0.01, 0.06) * UP
    prop = s.prop(thing, _tremble(s, place))
    s.holds(prop, s.side())
    s.still = True


def hold_before(s: Stage) -> None:
    hold(s, "before")


def hold_beside(s: Stage) -> None:
    hold(s, "beside")


def show_to_camera(s: Stage) -> None:
    """Brought close to the camera and turned a little, to be seen from its sides."""
    thing = s.pick("any")
    ahead = np.array([0, -np.sin(s.pitch), np.cos(s.pitch)])
    close = -ahead * s.rng.uniform(0.25, 0.38) * s.distance
    middle = close - 0.5 * thing.height * UP + s.rng.uniform(-0.04, 0.04, 3)
    hand = s.hand(float(np.pi / 2 + s.rng.uniform(-1.0, 1.0)), under=s.hidden())
    path = s.carried(
        hand.angle,
        (0, middle),
        (1, middle + s.rng.uniform(-0.02, 0.02, 3)),
        comes=True,
        goes=bool(s.rng.random() < 0.5),
    )
    n, a = s.rng.integers(1, 3), s.rng.uniform(0.4, 0.9, 3) * s.rng.choice([-1, 1], 3)
    axis = [(0.2, 1.0, 0.2), (0.1, 0.3, 1.0), (0.6, 0.6, 0.4)][s.rng.integers(3)]
    base = 0.5 * s.pitch if thing.height > 0.03 else s.pitch - np.pi / 2 + 0.3

    def lean(t: float) -> np.ndarray:
        p = min(1.0, max(0.0, t))
        return np.array([base, 0, 0]) + a * axis * np.sin(2 * np.pi * n * p)

    prop = s.prop(thing, path, angles=Path(lean, [np.zeros(3)]))
    s.seconds = s.rng.uniform(1.4, 2.4)
    offset = s.contact(thing, hand.angle)
    s.follow(hand, lambda t: prop.place(t) + offset, -ENTER, 1 + ENTER, enters=False, leaves=False)


def show_two(s: Stage, how: str) -> None:
    """Two things, filmed; at most a fingertip comes and goes."""
    first = s.pick("support") if how == "top" else s.pick("any", "thin")
    place = s.ground(0.06)
    s.second(first, place)
    if how == "top":
        prop = s.prop(s.pick("small"), place + first.height * UP, bias=0.01)
    else:
        thing = s.pick("tall") if how == "behind" else s.pick("any", "thin")
        if how == "behind":
            spot = place + (
                s.rng.uniform(-0.04, 0.04),
                0,
                0.5 * (thing.depth + first.depth) + s.rng.uniform(0.02, 0.06),
            )
        else:
            gap = 0.5 * (thing.width + first.width) + s.rng.uniform(0.01, 0.04)
            spot = place + _toward(s) * np.array([gap, 0, s.rng.uniform(-0.03, 0.03)])
        prop = s.prop(thing, spot)
    drift = s.rng.uniform(-0.03, 0.03, 3)
    s.moves["metres"] = lambda t: drift * (t - 0.5)
    if s.rng.random() < 0.45:  # a finger that points, from not too near
        hand = s.hand(pose="point")
        spot = prop.place(0) + s.contact(prop.thing, hand.angle, 1.0) - 0.05 * s.along(hand.angle)
        s.follow(hand, lambda t: spot, 0.3, 0.7, pose="point", free="point")
    s.both = s.still = True
    s.seconds = s.rng.uniform(2, 3)


def show_on_top(s: Stage) -> None:
    show_two(s, "top")


def show_behind(s: Stage) -> None:
    show_two(s, "behind")


def show_beside(s: Stage) -> None:
    show_two(s, "beside")


def show_empty(s: Stage) -> None:
    """An empty container is tipped towards the camera, turned over, or pointed into."""
    thing = s.pick("container")
    how = s.rng.integers(3)
    place = s.ground(0.06)
    s.seconds = s.rng.uniform(1.3, 2.2)
    if how == 2:  # it stands; a finger shows the inside
        s.prop(thing, place, turn=0.3, angles=Keys((0, (-s.rng.uniform(0.0, 0.25), 0.0, 0.0))))
        inside = place + (0, 0.9 * thing.height, 0)
        circle = s.rng.uniform(0.008, 0.018)
        hand = s.hand(pose="point")
        s.follow(
            hand,
            lambda t: (
                inside + circle * np.array([np.cos(9 * t), 0.3 * np.sin(6 * t), np.sin(9 * t)])
            ),
            pose="point",
            free="point",
        )
        return
    hand = s.hand()
    up = place + s.rng.uniform(0.06, 0.12) * UP
    prop = s.prop(thing, Keys((0, place), (0.25, up), (0.75, up), (1, place)))
    tip = -s.rng.uniform(1.0, 1.4) + 0.5 * s.pitch
    if how == 0:  # its mouth to the camera
        shape = Keys(
            (0.05, np.zeros(3)),
            (0.3, (tip, 0, 0)),
            (0.5, (tip, 0, 0.25)),
            (0.7, (tip, 0, -0.1)),
            (0.95, np.zeros(3)),
        )
    else:  # bottom up, shaken: nothing falls out
        k = _toward(s)
        shape = Keys(
            (0.05, np.zeros(3)),
            (0.35, (0, 0, k * 2.7)),
            (0.45, (0, 0, k * 3.1)),
            (0.55, (0, 0, k * 2.6)),
            (0.65, (0, 0, k * 3.1)),
            (0.95, np.zeros(3)),
        )
    prop.angles = shape

    def grip(t: float) -> np.ndarray:
        return prop.pose(t)(np.array([[0, 0.4 * thing.height, 0]]))[
            0
        ] - 0.42 * thing.width * s.along(hand.angle)

    s.follow(hand, grip)


def turn_over(s: Stage) -> None:
    """Turned upside down in the hand, and put down on its head or held."""
    thing = s.pick("tall") if s.rng.random() < 0.7 else s.pick("container")
    place, k = s.ground(0.06), _toward(s)
    up = place + s.rng.uniform(0.04, 0.1) * UP
    s.seconds = s.rng.uniform(0.9, 1.6)
    middle = 0.5 * thing.height
    turn = Keys((0.15, 0.0), (0.8, np.pi))
    down = bool(s.rng.random() < 0.6)
    base = Keys((0, place), (0.25, up), (0.75, up), (1, place if down else up))

    def at(t: float) -> np.ndarray:  # it turns about its middle
        a = float(turn(t))
        return base(t) + (k * middle * np.sin(a), middle * (1 - np.cos(a)), 0)

    prop = s.prop(
        thing,
        Path(at, [place, up, up + thing.height * UP]),
        angles=Path(lambda t: np.array([0, 0, k * float(turn(t))]), [np.zeros(3)]),
    )
    prop.tilt = 0.0
    hand = s.hand()
    edge = 0.45 * thing.width

    def grip(t: float) -> np.ndarray:
        return base(t) + middle * UP - edge * s.along(hand.angle)

    s.follow(hand, grip, leaves=down)
    hand.turn = Keys((0.15, 0.0), (0.8, k * 0.7), (1.3, 0.0))


# ---- plugging, stacking --------------------------------------------------------------------------

PLUGS = (
    "charger",
    "usb stick",
    "headphone jack",
    "cable",
    "memory card",
    "power plug",
    "adapter",
    "dongle",
)
SOCKETS = (
    "phone",
    "laptop",
    "power strip",
    "speaker",
    "power bank",
    "wall socket",
    "radio",
    "monitor",
)


def plug(s: Stage) -> None:
    name, where = str(s.rng.choice(PLUGS)), str(s.rng.choice(SOCKETS))
    k = _toward(s)
    w, h, d = s.rng.uniform(0.1, 0.18), s.rng.uniform(0.03, 0.09), s.rng.uniform(0.06, 0.1)
    skin, hole = bodies.pattern(s.rng, bodies.colour(s.rng, 0.2, 0.9, 0.6)), np.full(3, 25.0)
    level = 0.45 * h
    device = bodies.Thing(where, lambda t: [
        bodies.Slab((w, h, d), skin),
        bodies.Slab((0.002, 0.016, 0.03), hole, at=(-k * w / 2, level - 0.008, 0)),
    ], w, h, d)  # fmt: skip
    place = s.ground(0.04) + (k * 0.06, 0, 0)
    s.second(device, place, turn=0.1)
    long, thick = s.rng.uniform(0.035, 0.06), s.rng.uniform(0.014, 0.024)
    body, metal = bodies.colour(s.rng, 0.1, 0.95), np.full(3, s.rng.uniform(140, 220))
    has_cable = name not in ("usb stick", "memory card", "dongle")
    cable = np.array(
        [
            [-k * long, 0, 0],
            [-k * (long + 0.06), -0.01, -0.01],
            [-k * (long + 0.2), -0.03, -0.12],
            [-k * 0.6, -0.03, -0.3],
        ]
    )

    def build(t: float) -> list[bodies.Body]:
        plug_: list[bodies.Body] = [
            bodies.Slab((long, thick, thick), body, at=(-k * long / 2, -thick / 2, 0)),
            bodies.Slab((0.018, 0.4 * thick, 0.7 * thick), metal, at=(k * 0.009, -0.2 * thick, 0)),
        ]
        return [bodies.Rod(cable, 0.006, body * 0.8), *plug_] if has_cable else plug_

    jack = bodies.Thing(name, build, long, thick, thick)
    socket = place + (-k * 0.5 * w, level, 0)
    away = socket + (
        -k * s.rng.uniform(0.1, 0.16),
        s.rng.uniform(0.0, 0.06),
        s.rng.uniform(-0.04, 0.04),
    )
    near = socket + (-k * 0.03, 0, 0)
    inside = socket + (k * 0.016, 0, 0)
    hand = s.hand(
        float(s.rng.uniform(-0.3, 0.9)) if k > 0 else float(np.pi - s.rng.uniform(-0.3, 0.9))
    )
    path = s.carried(hand.angle, (0, away), (0.5, near), (1, inside), comes=True)
    prop = s.prop(jack, path, turn=0.0, bias=-0.01)
    grip = np.array([-k * 0.7 * long, 0, -0.01])
    s.follow(hand, lambda t: prop.place(t) + grip, -ENTER, 1.0, enters=False)
    s.both = True


def stack(s: Stage) -> None:
    """Two to four things of a kind, one on the other; the first may stand there already."""
    make = s.alike("stack", "tray")
    n = int(s.rng.integers(2, 4))
    hand = s.hand()
    base, y = s.ground(0.06), 0.0
    first = make()
    s.prop(first, base, turn=0.15)
    y = first.height
    s.seconds = s.rng.uniform(0.9, 1.2) * n
    away = FAR_AWAY * s.along(hand.angle)
    props: list[Prop] = []
    for i in range(n):
        thing = make()
        spot = base + (s.rng.uniform(-0.005, 0.005), y, 0)
        a, b = (i + 0.2) / n, (i + 0.75) / n
        keys = Keys((a, spot - away + 0.05 * UP), (a + 0.7 * (b - a), spot + 0.05 * UP), (b, spot))
        props.append(s.prop(thing, keys, turn=0.15, bias=0.003 * (i + 1)))
        y += thing.height
    grips = [s.contact(p.thing, hand.angle) for p in props]

    def at(t: float) -> np.ndarray:
        i = min(int(max(t, 0.0) * n), n - 1)
        here = max(t, 0.0) * n - i
        if here >= 0.2 or i == 0:
            if here <= 0.75:
                return props[i].place(t) + grips[i]
            p = ease((here - 0.75) / 0.3)
            return props[i].place(1.0) + grips[i] - p * away
        return props[i].place(0.0) + grips[i]

    s.follow(hand, at, 0.0, 1.0, enters=False)
    hand.pose = [(-9, "grasp")] + [
        k
        for i in range(n)
        for k in (((i + 0.8) / n, "grasp"), ((i + 0.9) / n, "open"), ((i + 1.05) / n, "grasp"))
    ]


# ---- which class is played from what -------------------------------------------------------------


@dataclass(frozen=True)
class Play:
    """One way to play a class: a template, its script, how often, and whether backwards."""

    template: str
    script: Script
    weight: float = 1.0
    backwards: bool = False


# Per template: script, weight, backwards. One script in two directions makes the opposites.
TEMPLATE_PLAYS: dict[str, list[Play]] = {}


def _add(*plays: Play) -> None:
    for play in plays:
        TEMPLATE_PLAYS.setdefault(play.template, []).append(play)


def _both(forward: str, backward: str, script: Script, weight: float = 1.0) -> None:
    _add(Play(forward, script, weight), Play(backward, script, weight, backwards=True))


_both(
    "Approaching [something] with your camera",
    "Moving away from [something] with your camera",
    approach,
)
_both(
    "Turning the camera left while filming [something]",
    "Turning the camera right while filming [something]",
    turn_left,
)
_both(
    "Turning the camera downwards while filming [something]",
    "Turning the camera upwards while filming [something]",
    turn_down,
)
_both("Opening [something]", "Closing [something]", open_)
_both("Folding [something]", "Unfolding [something]", fold_)
_both(
    "Moving [something] towards the camera",
    "Moving [something] away from the camera",
    towards_camera,
)
_both(
    "Moving [something] closer to [something]", "Moving [something] away from [something]", nearer
)
_both("Pushing [something] from left to right", "Pushing [something] from right to left", sideways)
_both("Pulling [something] from left to right", "Pulling [something] from right to left", sideways)
_both("Moving [something] up", "Moving [something] down", lift_held, 0.35)
# Picking up and putting: the same scripts in both directions.
_both("Picking [something] up", "Putting [something] on a surface", take, 1.6)
_both(
    "Lifting [something] up completely without letting it drop down",
    "Putting [something] on a flat surface without letting it roll",
    take_round,
    0.8,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something] behind [something]",
    take_from_behind,
    0.7,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something] next to [something]",
    take_from_beside,
    0.9,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something] onto [something]",
    take_from_top,
    0.9,
)
_both(
    "Taking [one of many similar things on the table]",
    "Putting [something similar to other things that are already on the table]",
    take_one_of_many,
)
_both(
    "Lifting [something] with [something] on it",
    "Putting [something] on a surface",
    take_loaded,
    0.7,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something] that can't roll onto a slanted surface, so it stays where it is",
    take_from_slope,
    0.6,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something] and [something] on the table",
    take_two,
    0.5,
)
_both(
    "Taking [something] from [somewhere]",
    "Putting [something], [something] and [something] on the table",
    take_two,
    0.3,
)
_add(
    Play("Taking [something] out of [something]", take_out, 0.35),
    Play("Putting [something] into [something]", take_out, backwards=True),
)
_add(
    Play("Pretending to pick [something] up", pretend_take),
    Play("Pretending to put [something] next to [something]", pretend_put_beside),
    Play("Pretending to put [something] on a surface", pretend_put_down),
    Play("Pretending to take [something] from [somewhere]", pretend_take_from),
    Play("Pushing [something] so that it slightly moves", push_slightly),
    Play("Pushing [something] with [something]", push_with),
    Play("Poking [something] so that it falls over", poke_over),
    Play("Poking [something] so lightly that it doesn't or almost doesn't move", poke_lightly),
    Play("Poking a stack of [something] so the stack collapses", poke_stack_down),
    Play("Poking a stack of [something] without the stack collapsing", poke_stack_still),
    Play("Pouring [something] into [something]", lambda s: pour(s, "into")),
    Play(
        "Pouring [something] into [something] until it overflows",
        lambda s: pour(s, "overflow"),
        0.7,
    ),
    Play("Pouring [something] onto [something]", lambda s: pour(s, "onto")),
    Play("Pouring [something] out of [something]", lambda s: pour(s, "out")),
    Play(
        "Trying to pour [something] into [something], but missing so it spills next to it",
        lambda s: pour(s, "miss"),
        0.7,
    ),
    Play("[Something] falling like a rock", drop, 1.2),
    Play("[Something] falling like a feather or paper", flutter),
    Play("Throwing [something]", throw_away, 0.8),
    Play("Throwing [something] in the air and letting it fall", throw_up),
    Play("Throwing [something] onto a surface", throw_down),
    Play("Throwing [something] against [something]", throw_against),
    Play("Holding [something]", hold),
    Play("Holding [something] in front of [something]", hold_before),
    Play("Holding [something] next to [something]", hold_beside),
    Play("Showing [something] behind [something]", show_behind),
    Play("Showing [something] next to [something]", show_beside),
    Play("Showing [something] on top of [something]", show_on_top),
    Play("Showing [something] to the camera", show_to_camera),
    Play("Showing that [something] is empty", show_empty),
    Play("Stacking [number of] [something]", stack),
    Play("Tearing [something] into two pieces", tear_in_two),
    Play("Tearing [something] just a little bit", tear_a_bit),
    Play("Turning [something] upside down", turn_over),
    Play("Plugging [something] into [something]", plug),
    Play("Uncovering [something]", uncover),
)

PLAYS: tuple[tuple[Play, ...], ...] = tuple(
    tuple(play for member in label.members for play in TEMPLATE_PLAYS.get(member, ()))
    for label in FORTY
)
"""For each of the 40 classes, the ways it is played."""
