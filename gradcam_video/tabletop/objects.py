"""The objects of the made world: some fifty families, each drawn anew in size, colour, pattern."""

from __future__ import annotations

import numpy as np

from .shapes import Body, Flat, Lathe, Rng, Rod, Slab, Sphere, Thing, colour, cutout, mean, pattern
from .shapes import band as _band
from .shapes import sheet as _sheet
from .shapes import still as _still
from .shapes import tags as _tags


def mug(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.032, 0.045), rng.uniform(0.07, 0.1), colour(rng)
    angle = np.linspace(-1.3, 1.3, 7)
    side = 1 if rng.random() < 0.5 else -1
    ear = np.stack(
        [side * (r + 0.024 * np.cos(angle)), h * (0.5 + 0.3 * np.sin(angle)), 0 * angle], 1
    )
    body = Lathe(((0, 0.9 * r), (0.6 * h, r), (h, r)), (c, _band(rng, c)), c * 0.45)
    bodies: list[Body] = [Rod(ear, 0.011, c), body]
    return Thing(
        "mug",
        _still(bodies),
        2 * r,
        h,
        2 * r,
        _tags("any tall container support holds"),
        floor=0.01,
    )


def glass(rng: Rng) -> Thing:
    r, h = rng.uniform(0.03, 0.042), rng.uniform(0.09, 0.13)
    c = 0.4 * colour(rng, 0.7, 1.0, 0.5) + 130
    profile = ((0, 0.75 * r), (0.35 * h, 0.85 * r), (0.7 * h, 0.93 * r), (h, r))
    content = colour(rng, 0.4, 0.95)

    def build(fill: float) -> list[Body]:
        return [Lathe(profile, (c, c, c), c * 0.75, content=content, fill=0.9 * fill, alpha=0.75)]

    return Thing(
        "glass", build, 2 * r, h, 2 * r, _tags("any tall container vessel"), floor=0.01,
        liquid=content,
    )  # fmt: skip


def bowl(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.05, 0.075), rng.uniform(0.04, 0.06), colour(rng)
    content = colour(rng)
    profile = ((0, 0.45 * r), (0.5 * h, 0.85 * r), (h, r))

    def build(fill: float) -> list[Body]:
        return [Lathe(profile, (c, _fade(c)), c * 0.55, content=content, fill=0.8 * fill)]

    return Thing(
        "bowl", build, 2 * r, h, 2 * r, _tags("any container vessel"), floor=0.01, liquid=content
    )


def _fade(c: np.ndarray) -> np.ndarray:
    return np.minimum(c * 1.1, 255)


def pot(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.05, 0.07), rng.uniform(0.07, 0.11), colour(rng, 0.3, 0.8, 0.7)
    bodies: list[Body] = [
        Lathe(((0, 0.8 * r), (0.8 * h, r), (h, 1.08 * r)), (c, _band(rng, c)), c * 0.4)
    ]
    return Thing("pot", _still(bodies), 2 * r, h, 2 * r, _tags("any container"), floor=0.01)


def crate(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.1, 0.16), rng.uniform(0.05, 0.09), rng.uniform(0.09, 0.13)
    skin = pattern(rng, colour(rng))
    bodies: list[Body] = [Slab((w, h, d), skin, inside=mean(skin) * 0.6)]
    return Thing("crate", _still(bodies), w, h, d, _tags("any container"), floor=0.005)


def bottle(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.026, 0.036), rng.uniform(0.15, 0.21), colour(rng)
    label = colour(rng)
    profile = (
        (0, r),
        (0.2 * h, r),
        (0.5 * h, r),
        (0.68 * h, r),
        (0.82 * h, 0.38 * r),
        (h, 0.36 * r),
    )
    bodies: list[Body] = [Lathe(profile, (c, label, c, c * 0.95, c * 0.6))]
    return Thing(
        "bottle", _still(bodies), 2 * r, h, 2 * r, _tags("any tall pours"), liquid=colour(rng, 0.4)
    )


def carafe(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.04, 0.05), rng.uniform(0.11, 0.15), colour(rng)
    bodies: list[Body] = [
        Lathe(
            ((0, 0.8 * r), (0.4 * h, r), (0.8 * h, 0.62 * r), (h, 0.75 * r)),
            (c, c, _band(rng, c)),
            c * 0.5,
        )
    ]
    return Thing(
        "carafe", _still(bodies), 2 * r, h, 2 * r, _tags("any tall pours"), liquid=colour(rng, 0.4)
    )


def can(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.028, 0.036), rng.uniform(0.09, 0.13), colour(rng)
    grey = np.full(3, rng.uniform(140, 210))
    profile = (
        (0, 0.9 * r),
        (0.06 * h, r),
        (0.35 * h, r),
        (0.65 * h, r),
        (0.94 * h, r),
        (h, 0.85 * r),
    )
    bodies: list[Body] = [Lathe(profile, (grey, c, _band(rng, c), c, grey))]
    return Thing(
        "can", _still(bodies), 2 * r, h, 2 * r, _tags("any tall stack pours support"),
        liquid=colour(rng, 0.4),
    )  # fmt: skip


def jar_closed(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.032, 0.045), rng.uniform(0.08, 0.12), colour(rng), colour(rng)
    profile = ((0, r), (0.5 * h, r), (0.8 * h, r), (0.82 * h, 0.85 * r), (h, 0.85 * r))
    bodies: list[Body] = [Lathe(profile, (c, _band(rng, c), c, lid))]
    return Thing("jar", _still(bodies), 2 * r, h, 2 * r, _tags("any tall stack support"))


def candle(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.018, 0.03), rng.uniform(0.09, 0.16), colour(rng, 0.6)
    wick = np.array([[0, h, 0], [0, h + 0.015, 0]])
    bodies: list[Body] = [Lathe(((0, r), (h, r)), (c,)), Rod(wick, 0.003, np.full(3, 40.0))]
    return Thing("candle", _still(bodies), 2 * r, h, 2 * r, _tags("any tall"))


def tape(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.035, 0.055), rng.uniform(0.02, 0.035), colour(rng)
    hole = Lathe(((h, 0.0), (h + 0.001, 0.55 * r)), (c * 0.35,))
    bodies: list[Body] = [Lathe(((0, r), (h, r)), (c,)), hole]
    return Thing(
        "roll of tape", _still(bodies), 2 * r, h, 2 * r, _tags("any small stack flat support")
    )


def plate(rng: Rng) -> Thing:
    r, c = rng.uniform(0.06, 0.085), colour(rng, 0.5)
    profile = ((0, 0.6 * r), (0.012, r))
    bodies: list[Body] = [
        Lathe(profile, (c * 0.9,)),
        Lathe(((0.0122, 0.7 * r), (0.0124, 0.68 * r)), (_band(rng, c * 0.85),)),
    ]
    return Thing("plate", _still(bodies), 2 * r, 0.013, 2 * r, _tags("flat support tray"))


def box(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.07, 0.12), rng.uniform(0.05, 0.1), rng.uniform(0.05, 0.09)
    skin, top = pattern(rng, colour(rng)), pattern(rng, colour(rng))
    bodies: list[Body] = [Slab((w, h, d), skin, faces={4: top})]
    return Thing("box", _still(bodies), w, h, d, _tags("any stack support"))


def carton(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.05, 0.075), rng.uniform(0.12, 0.18), rng.uniform(0.03, 0.06)
    skin = pattern(rng, colour(rng), 72, 36)
    bodies: list[Body] = [Slab((w, h, d), skin, faces={4: mean(skin)})]
    return Thing("carton", _still(bodies), w, h, d, _tags("any tall"))


def block(rng: Rng) -> Thing:
    s, c = rng.uniform(0.035, 0.055), colour(rng)
    h = s * rng.uniform(0.7, 1.2)
    bodies: list[Body] = [Slab((s, h, s), c)]
    return Thing("block", _still(bodies), s, h, s, _tags("any small stack support"))


def book(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.1, 0.14), rng.uniform(0.015, 0.035), rng.uniform(0.13, 0.18)
    cover = pattern(rng, colour(rng), 64, 48)
    pages = np.array([225.0, 220, 205]) * rng.uniform(0.85, 1)
    bodies: list[Body] = [Slab((w, h, d), pages, faces={4: cover, 2: mean(cover), 5: mean(cover)})]
    return Thing("book", _still(bodies), w, h, d, _tags("any stack flat support tray"))


def phone(rng: Rng) -> Thing:
    w, d = rng.uniform(0.065, 0.08), rng.uniform(0.13, 0.155)
    case = colour(rng, 0.1, 0.9)
    screen = pattern(rng, colour(rng, 0.1, 0.5), 64, 32)
    bodies: list[Body] = [
        Slab((w, 0.01, d), case),
        Slab((0.9 * w, 0.001, 0.86 * d), screen, at=(0, 0.01, 0)),
    ]
    return Thing("phone", _still(bodies), w, 0.011, d, _tags("any flat support socket"))


def remote(rng: Rng) -> Thing:
    w, d, c = rng.uniform(0.035, 0.05), rng.uniform(0.13, 0.18), colour(rng, 0.1, 0.6)
    keys = [
        Slab((0.2 * w, 0.003, 0.05 * d), colour(rng), at=(x * w, 0.018, z * d))
        for x in (-0.25, 0.05, 0.3)
        for z in (0.3, 0.15, 0.0)
    ]
    bodies: list[Body] = [Slab((w, 0.018, d), c), *keys]
    return Thing("remote control", _still(bodies), w, 0.02, d, _tags("any small flat tool"))


def eraser(rng: Rng) -> Thing:
    w, h, d, c = rng.uniform(0.045, 0.06), 0.018, rng.uniform(0.022, 0.03), colour(rng)
    bodies: list[Body] = [
        Slab((0.6 * w, h, d), c, at=(-0.2 * w, 0, 0)),
        Slab((0.4 * w, 0.9 * h, 0.9 * d), np.full(3, 225.0), at=(0.3 * w, 0, 0)),
    ]
    return Thing("eraser", _still(bodies), w, h, d, _tags("any small flat"))


def ball(rng: Rng) -> Thing:
    r, c = rng.uniform(0.025, 0.045), colour(rng)
    patch = Lathe(((r * 0.9, 0.5 * r), (r * 1.1, 0.52 * r)), (_band(rng, c),))
    bodies: list[Body] = [Sphere(r, c, (0, r, 0))]
    if rng.random() < 0.5:
        bodies.append(Sphere(0.45 * r, patch.colours[0], (0.3 * r, 1.4 * r, -0.6 * r)))
    return Thing("ball", _still(bodies), 2 * r, 2 * r, 2 * r, _tags("any small rolls round"))


def fruit(rng: Rng) -> Thing:
    r = rng.uniform(0.03, 0.042)
    name, c = [
        ("orange", np.array([240.0, 140, 30])), ("apple", np.array([190.0, 35, 40])),
        ("lime", np.array([110.0, 175, 50])), ("peach", np.array([240.0, 170, 120])),
    ][rng.integers(4)]  # fmt: skip
    stem = np.array([[0, 1.9 * r, 0], [0.1 * r, 2.3 * r, 0]])
    bodies: list[Body] = [Sphere(r, c * rng.uniform(0.8, 1.05), (0, r, 0))]
    bodies.append(Rod(stem, 0.006, np.array([90.0, 60, 30])))
    return Thing(name, _still(bodies), 2 * r, 2 * r, 2 * r, _tags("any small rolls round"))


def teddy(rng: Rng) -> Thing:
    s, c = rng.uniform(0.9, 1.2), colour(rng, 0.4, 0.85, 0.7)
    belly, dark = c + 0.4 * (255 - c), c * 0.3
    balls = [
        (0.03, c, (0, 0.035, 0.01)), (0.014, c, (-0.026, 0.015, -0.005)),
        (0.014, c, (0.026, 0.015, -0.005)), (0.012, c, (-0.032, 0.05, 0)),
        (0.012, c, (0.032, 0.05, 0)), (0.019, belly, (0, 0.036, -0.014)),
        (0.011, c, (-0.018, 0.103, 0.008)), (0.011, c, (0.018, 0.103, 0.008)),
        (0.025, c, (0, 0.082, 0)), (0.009, belly, (0, 0.076, -0.022)),
        (0.004, dark, (-0.009, 0.088, -0.024)), (0.004, dark, (0.009, 0.088, -0.024)),
        (0.004, dark, (0, 0.079, -0.031)),
    ]  # fmt: skip
    bodies: list[Body] = [Sphere(r * s, k, (x * s, y * s, z * s)) for r, k, (x, y, z) in balls]
    return Thing("teddy", _still(bodies), 0.08 * s, 0.112 * s, 0.05 * s, _tags("any tall"))


def car(rng: Rng) -> Thing:
    s, c = rng.uniform(0.9, 1.3), colour(rng)
    glass_, tyre = np.array([170.0, 200, 215]), np.full(3, 30.0)
    wheels: list[Body] = [
        Sphere(0.011 * s, tyre, (x * s, 0.011 * s, z * s))
        for x in (-0.027, 0.027)
        for z in (0.018, -0.02)
    ]
    bodies = [
        *wheels[::2],
        Slab((0.09 * s, 0.02 * s, 0.04 * s), c, at=(0, 0.01 * s, 0)),
        Slab((0.045 * s, 0.017 * s, 0.034 * s), glass_, at=(-0.005 * s, 0.03 * s, 0), faces={4: c}),
        *wheels[1::2],
    ]
    return Thing("toy car", _still(bodies), 0.09 * s, 0.047 * s, 0.04 * s, _tags("any small rolls"))


def shoe(rng: Rng) -> Thing:
    s, c = rng.uniform(0.9, 1.2), colour(rng)
    outline = s * np.array(
        [[-0.075, 0.008], [0.075, 0.008], [0.085, 0.025], [0.06, 0.042], [0.01, 0.055],
         [-0.015, 0.085], [-0.07, 0.08]]
    )  # fmt: skip
    sole = s * np.array([[-0.078, 0], [0.08, 0], [0.085, 0.012], [-0.078, 0.012]])
    lace = s * np.array([[-0.008, 0.065], [0.02, 0.05]])
    side = -1 if rng.random() < 0.5 else 1
    bodies: list[Body] = [
        Flat(cutout(outline, side), c),
        Flat(cutout(sole, side), np.full(3, 235.0)),
        Rod(cutout(lace, side), 0.008, np.full(3, 240.0)),
    ]
    return Thing("shoe", _still(bodies), 0.16 * s, 0.085 * s, 0.05, _tags("any"), upright=True)


def duck(rng: Rng) -> Thing:
    s, c = rng.uniform(0.9, 1.3), colour(rng, 0.7)
    k = 1 if rng.random() < 0.5 else -1
    beak = s * np.array([[k * 0.042, 0.066, -0.003], [k * 0.056, 0.063, -0.003]])
    bodies: list[Body] = [
        Sphere(0.032 * s, c, (0, 0.03 * s, 0)), Sphere(0.018 * s, c, (-k * 0.03 * s, 0.042 * s, 0)),
        Sphere(0.022 * s, c, (k * 0.022 * s, 0.068 * s, 0)),
        Rod(beak, 0.009 * s, np.array([235.0, 130, 30])),
        Sphere(0.004 * s, np.full(3, 20.0), (k * 0.028 * s, 0.076 * s, -0.02 * s)),
    ]  # fmt: skip
    return Thing("rubber duck", _still(bodies), 0.09 * s, 0.09 * s, 0.06 * s, _tags("any small"))


def pen(rng: Rng) -> Thing:
    length, w, c = rng.uniform(0.12, 0.16), rng.uniform(0.009, 0.014), colour(rng)
    x = length / 2
    bodies: list[Body] = [
        Rod(np.array([[-x, w / 2, 0], [0.7 * x, w / 2, 0]]), w, c),
        Rod(np.array([[-x, w / 2, 0], [-0.3 * x, w / 2, 0]]), 1.15 * w, _band(rng, c)),
        Rod(np.array([[0.75 * x, w / 2, 0], [x, w / 2, 0]]), 0.45 * w, c * 0.4),
    ]
    return Thing("pen", _still(bodies), length, w, w, _tags("any small flat tool thin"))


def spoon(rng: Rng) -> Thing:
    length, c = rng.uniform(0.13, 0.17), np.full(3, rng.uniform(130, 220))
    if rng.random() < 0.4:
        c = colour(rng, 0.4)
    a = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    x = length / 2
    head = np.stack([x - 0.025 + 0.026 * np.cos(a), 0.006 + 0 * a, 0.016 * np.sin(a)], 1)
    bodies: list[Body] = [
        Rod(np.array([[-x, 0.005, 0], [x - 0.04, 0.005, 0]]), 0.008, c),
        Flat(head, np.minimum(c * 1.1, 255)),
    ]
    return Thing("spoon", _still(bodies), length, 0.01, 0.032, _tags("any small flat tool thin"))


def ruler(rng: Rng) -> Thing:
    length, w = rng.uniform(0.16, 0.22), rng.uniform(0.022, 0.032)
    skin = pattern(rng, colour(rng, 0.5), 16, 96)
    bodies: list[Body] = [Slab((length, 0.004, w), skin)]
    return Thing("ruler", _still(bodies), length, 0.005, w, _tags("flat tool thin"))


def key(rng: Rng) -> Thing:
    c = np.array([200.0, 170, 90]) * rng.uniform(0.6, 1.1)
    a = np.linspace(0, 2 * np.pi, 10)
    ring = np.stack([-0.03 + 0.013 * np.cos(a), 0.003 + 0 * a, 0.013 * np.sin(a)], 1)
    bits = [Rod(np.array([[x, 0.003, 0], [x, 0.003, -0.011]]), 0.006, c) for x in (0.018, 0.028)]
    bodies: list[Body] = [
        Rod(ring, 0.006, c), Rod(np.array([[-0.017, 0.003, 0], [0.032, 0.003, 0]]), 0.006, c),
        *bits,
        Sphere(0.012, colour(rng), (-0.052, 0.012, 0)),
    ]  # fmt: skip
    return Thing("key", _still(bodies), 0.09, 0.015, 0.03, _tags("any small flat thin"))


def banana(rng: Rng) -> Thing:
    a = np.linspace(0.2, 2.2, 7)
    line = np.stack([0.075 * np.cos(a + 0.4), 0.018 + 0 * a, 0.06 * np.sin(a + 0.4) - 0.04], 1)
    c = np.array([235.0, 205, 60]) * rng.uniform(0.85, 1.05)
    bodies: list[Body] = [Rod(line, 0.032, c), Rod(line[-2:], 0.012, np.array([110.0, 90, 40]))]
    return Thing("banana", _still(bodies), 0.13, 0.035, 0.06, _tags("any small flat"))


def leaf(rng: Rng) -> Thing:
    c = [np.array([80.0, 140, 50]), np.array([190.0, 120, 40]), np.array([150.0, 50, 40])][
        rng.integers(3)
    ]
    s = rng.uniform(0.05, 0.07)
    u = np.linspace(-1, 1, 9)
    edge = 0.5 * (1 - u * u) ** 0.8
    outline = np.concatenate([np.stack([u, edge], 1), np.stack([u[::-1], -edge[::-1]], 1)]) * s
    flat = np.column_stack([outline[:, 0], np.full(len(outline), 0.003), outline[:, 1]])
    bodies: list[Body] = [
        Flat(flat, c), Rod(np.array([[-1.3 * s, 0.004, 0], [0.9 * s, 0.004, 0]]), 0.003, c * 0.6)
    ]  # fmt: skip
    return Thing("leaf", _still(bodies), 2 * s, 0.004, s, _tags("light flat"))


def paper(rng: Rng) -> Thing:
    w, d = rng.uniform(0.09, 0.15), rng.uniform(0.07, 0.13)
    skin = pattern(rng, colour(rng, 0.75, 1.0, 0.4))
    return Thing("sheet of paper", _still([_sheet(w, d, skin)]), w, 0.003, d, _tags("light flat"))


def tissue(rng: Rng) -> Thing:
    w = rng.uniform(0.09, 0.13)
    skin = pattern(rng, np.full(3, rng.uniform(200, 245)))
    return Thing("tissue", _still([_sheet(w, w, skin)]), w, 0.003, w, _tags("light flat"))


def feather(rng: Rng) -> Thing:
    c, s = colour(rng, 0.5), rng.uniform(0.06, 0.08)
    u = np.linspace(-1, 1, 9)
    edge = 0.22 * (1 - u * u) ** 0.5 * (1 + 0.2 * (-1.0) ** np.arange(9))
    outline = s * np.concatenate([np.stack([u, edge], 1), np.stack([u[::-1], -edge[::-1]], 1)])
    flat = np.column_stack([outline[:, 0], np.full(len(outline), 0.003), outline[:, 1]])
    bodies: list[Body] = [
        Flat(flat, c),
        Rod(np.array([[-1.4 * s, 0.004, 0], [0.9 * s, 0.004, 0]]), 0.003, np.full(3, 230.0)),
    ]  # fmt: skip
    return Thing("feather", _still(bodies), 2 * s, 0.004, 0.4 * s, _tags("light flat"))


def paper_cup(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.032, 0.042), rng.uniform(0.08, 0.11), colour(rng, 0.5)
    profile = ((0, 0.7 * r), (0.4 * h, 0.82 * r), (h, r))
    bodies: list[Body] = [Lathe(profile, (_band(rng, c), c), c * 0.6)]
    tags = _tags("any tall stack container pours")
    return Thing(
        "paper cup", _still(bodies), 2 * r, h, 2 * r, tags, floor=0.01, liquid=colour(rng, 0.4)
    )


def bucket(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.05, 0.065), rng.uniform(0.08, 0.11), colour(rng)
    a = np.linspace(0.25, np.pi - 0.25, 9)
    handle = np.stack([r * np.cos(a), h + 0.9 * r * np.sin(a) * 0.6, 0 * a], 1)
    bodies: list[Body] = [
        Rod(handle, 0.005, np.full(3, 150.0)),
        Lathe(((0, 0.7 * r), (0.85 * h, 0.97 * r), (h, r)), (c, _fade(c)), c * 0.45),
    ]
    return Thing("bucket", _still(bodies), 2 * r, h, 2 * r, _tags("any container"), floor=0.01)


def flowerpot(rng: Rng) -> Thing:
    r, h = rng.uniform(0.045, 0.06), rng.uniform(0.07, 0.1)
    c = np.array([190.0, 105, 70]) * rng.uniform(0.7, 1.15) if rng.random() < 0.6 else colour(rng)
    profile = ((0, 0.65 * r), (0.72 * h, 0.9 * r), (0.74 * h, r), (h, r))
    bodies: list[Body] = [Lathe(profile, (c, c * 0.9, _fade(c)), c * 0.35)]
    return Thing("flowerpot", _still(bodies), 2 * r, h, 2 * r, _tags("any container"), floor=0.01)


def vase(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.04, 0.05), rng.uniform(0.13, 0.17), colour(rng)
    profile = ((0, 0.6 * r), (0.35 * h, r), (0.75 * h, 0.55 * r), (h, 0.85 * r))
    bodies: list[Body] = [Lathe(profile, (c, _band(rng, c), c), c * 0.3)]
    tags = _tags("any tall container pours")
    return Thing("vase", _still(bodies), 2 * r, h, 2 * r, tags, floor=0.02, liquid=colour(rng, 0.4))


def basket(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.11, 0.15), rng.uniform(0.05, 0.07), rng.uniform(0.09, 0.12)
    c = np.array([185.0, 140, 85]) * rng.uniform(0.6, 1.2)
    v, u = np.mgrid[0:40, 0:60]
    weave = ((u // 5 + v // 5) % 2)[..., None]
    skin = np.clip(c * (0.7 + 0.35 * weave), 0, 255).astype(np.uint8)
    bodies: list[Body] = [Slab((w, h, d), skin, inside=c * 0.5)]
    return Thing("basket", _still(bodies), w, h, d, _tags("any container"), floor=0.005)


def jug(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.04, 0.05), rng.uniform(0.11, 0.15), colour(rng)
    side = 1 if rng.random() < 0.5 else -1
    a = np.linspace(-1.2, 1.2, 7)
    ear = np.stack([side * (0.8 * r + 0.03 * np.cos(a)), h * (0.55 + 0.3 * np.sin(a)), 0 * a], 1)
    profile = ((0, 0.85 * r), (0.35 * h, r), (0.8 * h, 0.7 * r), (h, 0.8 * r))
    bodies: list[Body] = [Rod(ear, 0.011, c), Lathe(profile, (c, _band(rng, c), c), c * 0.4)]
    tags = _tags("any tall container pours")
    return Thing("jug", _still(bodies), 2 * r, h, 2 * r, tags, floor=0.01, liquid=colour(rng, 0.4))


def milk_carton(rng: Rng) -> Thing:
    w, h = rng.uniform(0.05, 0.065), rng.uniform(0.13, 0.17)
    skin = pattern(rng, colour(rng, 0.6), 72, 36)
    cap = Lathe(((h, 0.25 * w), (h + 0.014, 0.25 * w)), (colour(rng),))
    bodies: list[Body] = [Slab((w, h, w), skin, faces={4: mean(skin) * 0.9}), cap]
    white = np.array([240.0, 238, 230])
    return Thing("milk carton", _still(bodies), w, h, w, _tags("any tall pours"), liquid=white)


def thermos(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.03, 0.037), rng.uniform(0.16, 0.21), colour(rng, 0.2, 0.8)
    grey = np.full(3, rng.uniform(120, 200))
    profile = ((0, r), (0.05 * h, r), (0.75 * h, r), (0.78 * h, 0.85 * r), (h, 0.8 * r))
    bodies: list[Body] = [Lathe(profile, (grey, c, c * 0.8, grey))]
    brown = np.array([90.0, 55, 30])
    return Thing("thermos", _still(bodies), 2 * r, h, 2 * r, _tags("any tall pours"), liquid=brown)


def brick(rng: Rng) -> Thing:
    """A toy brick with studs."""
    w, h, d, c = rng.uniform(0.06, 0.08), 0.03, 0.036, colour(rng, 0.4)
    studs: list[Body] = [
        Lathe(((h, 0.008), (h + 0.006, 0.008)), (c,), at=(x * w, 0, z * d))
        for z in (0.25, -0.25)
        for x in (-0.34, -0.11, 0.11, 0.34)
    ]
    bodies: list[Body] = [Slab((w, h, d), c), *studs]
    return Thing("toy brick", _still(bodies), w, h, d, _tags("any small stack flat support"))


def sponge(rng: Rng) -> Thing:
    w, h, d, c = (
        rng.uniform(0.08, 0.1),
        rng.uniform(0.025, 0.04),
        rng.uniform(0.055, 0.07),
        colour(rng, 0.5),
    )
    green = np.array([60.0, 120, 60]) * rng.uniform(0.7, 1.3)
    bodies: list[Body] = [
        Slab((w, 0.7 * h, d), c),
        Slab((w, 0.3 * h, d), green, at=(0, 0.7 * h, 0)),
    ]
    return Thing("sponge", _still(bodies), w, h, d, _tags("any small stack flat support"))


def coin(rng: Rng) -> Thing:
    """A large coin, or a draughtsman."""
    r, h = rng.uniform(0.025, 0.035), rng.uniform(0.01, 0.016)
    c = (
        colour(rng, 0.3)
        if rng.random() < 0.5
        else np.array([205.0, 170, 80]) * rng.uniform(0.7, 1.1)
    )
    rim = Lathe(((h, 0.75 * r), (h + 0.0005, 0.7 * r)), (c * 0.8,))
    bodies: list[Body] = [Lathe(((0, r), (h, r)), (c,)), rim]
    return Thing("coin", _still(bodies), 2 * r, h, 2 * r, _tags("small stack flat support"))


def wallet_closed(rng: Rng) -> Thing:
    w, d, c = rng.uniform(0.08, 0.11), rng.uniform(0.06, 0.085), colour(rng, 0.15, 0.6, 0.7)
    bodies: list[Body] = [Slab((w, 0.018, d), pattern(rng, c))]
    return Thing("wallet", _still(bodies), w, 0.018, d, _tags("any small flat stack support"))


EVERYDAY = (
    mug, glass, bowl, pot, crate, bottle, carafe, can, jar_closed, candle, tape, plate, box, carton,
    block, book, phone, remote, eraser, ball, fruit, teddy, car, shoe, duck, pen, spoon, ruler, key,
    banana, leaf, paper, tissue, feather, wallet_closed, paper_cup, bucket, flowerpot, vase, basket,
    jug, milk_carton, thermos, brick, sponge, coin,
)  # fmt: skip
