"""Things that change: what opens, folds, tears or covers; their state goes from 0 to 1."""

from __future__ import annotations

import numpy as np

from .renderer import cut
from .shapes import (
    Body,
    Drape,
    Flat,
    Lathe,
    Rng,
    Rod,
    Slab,
    Sphere,
    Thing,
    colour,
    cutout,
    mean,
    pattern,
)
from .shapes import band as _band
from .shapes import sheet as _sheet
from .shapes import tags as _tags

X, Y, Z = np.eye(3)


def chest(rng: Rng) -> Thing:
    """A box whose lid is hinged at the back."""
    w, h, d = rng.uniform(0.12, 0.19), rng.uniform(0.05, 0.09), rng.uniform(0.09, 0.13)
    skin, lid = pattern(rng, colour(rng)), pattern(rng, colour(rng))
    inside = colour(rng, 0.15, 0.5)
    far = rng.uniform(1.6, 2.1)

    def build(s: float) -> list[Body]:
        hinge = (np.array([0, h, d / 2]), X, far * s)  # about +x: the front edge goes up
        return [
            Slab((w, h, d), skin, inside=inside) if s > 0.02 else Slab((w, h, d), skin),
            Slab((1.02 * w, 0.014, 1.02 * d), lid, at=(0, h, 0), hinge=hinge),
        ]

    def grip(s: float) -> np.ndarray:
        a = far * s
        return np.array([0, h + d * np.sin(a), d / 2 - d * np.cos(a)])

    return Thing("box with a lid", build, w, h, d, _tags("opens"), grip=grip)


def big_book(rng: Rng) -> Thing:
    """A book on the table: the cover turns over to the left."""
    w, h, d = rng.uniform(0.11, 0.15), rng.uniform(0.02, 0.035), rng.uniform(0.14, 0.19)
    cover, inner = pattern(rng, colour(rng), 64, 48), pattern(rng, np.array([235.0, 230, 215]))
    pages = np.array([225.0, 220, 205])

    def build(s: float) -> list[Body]:
        hinge = (np.array([-w / 2, h, 0]), Z, 2.9 * s)  # about +z: the right edge goes up
        flap = Slab((w, 0.005, d), cover, at=(0, h, 0), faces={5: inner}, hinge=hinge)
        base = Slab((w, h, d), pages, faces={4: inner})
        return [base, flap] if s < 0.55 else [flap, base]

    def grip(s: float) -> np.ndarray:
        return np.array([-w / 2 + w * np.cos(2.9 * s), h + w * np.sin(2.9 * s), -0.2 * d])

    return Thing("book", build, w, h, d, _tags("opens"), grip=grip)


def laptop(rng: Rng) -> Thing:
    w, d = rng.uniform(0.17, 0.22), rng.uniform(0.12, 0.15)
    c, screen = colour(rng, 0.2, 0.8, 0.3), pattern(rng, colour(rng, 0.3, 0.9))
    keys = pattern(rng, c * 0.5)

    def build(s: float) -> list[Body]:
        hinge = (np.array([0, 0.012, d / 2]), X, 1.9 * s)
        lid = Slab((w, 0.007, d), c, at=(0, 0.012, 0), faces={5: screen}, hinge=hinge)
        return [Slab((w, 0.012, d), c, faces={4: keys}), lid]

    def grip(s: float) -> np.ndarray:
        return np.array([0, 0.012 + d * np.sin(1.9 * s), d / 2 - d * np.cos(1.9 * s)])

    return Thing("laptop", build, w, 0.02, d, _tags("opens socket"), grip=grip)


def _capped(name: str, body: Lathe, cap: Lathe, neck: float, lift: float, side: float) -> Thing:
    """A body of revolution whose cap is lifted off and taken to one side."""
    top = neck + cap.profile[-1][0]
    radius = max(r for _, r in body.profile)

    def moved(s: float) -> np.ndarray:
        up = lift * min(1.0, 2 * s)
        over = max(0.0, 2 * s - 1)
        return np.array([side * over * (radius + 0.05), up - 0.3 * lift * over, -0.02 * over])

    def build(s: float) -> list[Body]:
        x, y, z = moved(s)
        lid = Lathe(cap.profile, cap.colours, at=(x, neck + y, z))
        return [body, lid]

    def grip(s: float) -> np.ndarray:
        return moved(s) + (0, top, 0)

    return Thing(name, build, 2 * radius, top, 2 * radius, _tags("opens"), grip=grip)


def _side(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def jar(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.038, 0.05), rng.uniform(0.08, 0.12), colour(rng), colour(rng)
    body = Lathe(
        ((0, r), (0.5 * h, r), (0.9 * h, r), (h, 0.85 * r)), (c, _band(rng, c), c), c * 0.35
    )
    cap = Lathe(((0, 0.95 * r), (0.022, 0.95 * r)), (lid,))
    return _capped("jar", body, cap, h, rng.uniform(0.05, 0.08), _side(rng))


def capped_bottle(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.03, 0.04), rng.uniform(0.14, 0.18), colour(rng), colour(rng)
    profile = ((0, r), (0.3 * h, r), (0.66 * h, r), (0.85 * h, 0.45 * r), (h, 0.42 * r))
    body = Lathe(profile, (c, _band(rng, c), c, c), c * 0.35)
    cap = Lathe(((0, 0.55 * r), (0.028, 0.55 * r)), (lid,))
    return _capped("bottle", body, cap, h, rng.uniform(0.05, 0.08), _side(rng))


def tin(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.05, 0.07), rng.uniform(0.04, 0.06), colour(rng), colour(rng)
    body = Lathe(((0, r), (h, r)), (c,), c * 0.35)
    cap = Lathe(((0, 1.03 * r), (0.016, 1.03 * r)), (lid,))
    return _capped("tin", body, cap, h, rng.uniform(0.05, 0.08), _side(rng))


def pot_with_lid(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.055, 0.075), rng.uniform(0.06, 0.09), colour(rng), colour(rng)
    body = Lathe(((0, 0.85 * r), (h, r)), (c,), c * 0.35)
    cap = Lathe(
        ((0, r), (0.015, 0.7 * r), (0.016, 0.15 * r), (0.035, 0.15 * r)), (lid, lid, lid * 0.6)
    )
    return _capped("pot", body, cap, h, rng.uniform(0.06, 0.09), _side(rng))


def drawer(rng: Rng) -> Thing:
    """A small chest whose drawer comes out towards the camera."""
    w, h, d = rng.uniform(0.13, 0.19), rng.uniform(0.07, 0.11), rng.uniform(0.1, 0.13)
    skin, face = pattern(rng, colour(rng, 0.3, 0.8, 0.6)), pattern(rng, colour(rng))
    inside, knob = colour(rng, 0.15, 0.5), colour(rng)

    def build(s: float) -> list[Body]:
        out = -0.75 * d * s
        return [
            Slab((w, h, d), skin),
            Slab((0.88 * w, 0.7 * h, d), face, at=(0, 0.1 * h, out - 0.004), inside=inside),
            Sphere(0.011, knob, (0, 0.45 * h, out - d / 2 - 0.012)),
        ]

    def grip(s: float) -> np.ndarray:
        return np.array([0, 0.45 * h, -0.75 * d * s - d / 2 - 0.015])

    return Thing("drawer", build, w, h, d, _tags("opens"), grip=grip)


def matchbox(rng: Rng) -> Thing:
    """A sleeve with a tray that slides out to the side."""
    w, h, d, c = (
        rng.uniform(0.1, 0.14),
        rng.uniform(0.03, 0.045),
        rng.uniform(0.07, 0.09),
        colour(rng),
    )
    skin, inside, k = pattern(rng, colour(rng)), colour(rng, 0.2, 0.6), _side(rng)

    def build(s: float) -> list[Body]:
        tray = Slab(
            (0.96 * w, 0.85 * h, 0.92 * d), c, at=(k * 0.7 * w * s, 0.05 * h, 0), inside=inside
        )
        return [tray, Slab((w, h, d), skin)]

    def grip(s: float) -> np.ndarray:
        return np.array([k * (0.48 * w + 0.7 * w * s), 0.5 * h, 0])

    return Thing("matchbox", build, w, h, d, _tags("opens"), grip=grip)


def cabinet(rng: Rng) -> Thing:
    """A standing box with a door at the front."""
    w, h, d = rng.uniform(0.11, 0.15), rng.uniform(0.13, 0.18), rng.uniform(0.08, 0.11)
    skin, door = pattern(rng, colour(rng, 0.3, 0.8, 0.6)), pattern(rng, colour(rng))
    inside, k, far = colour(rng, 0.1, 0.35), _side(rng), rng.uniform(1.7, 2.2)

    def build(s: float) -> list[Body]:
        hinge = (np.array([k * w / 2, 0, -d / 2]), Y, -k * far * s)
        leaf_ = Slab((w, h, 0.008), door, at=(0, 0, -d / 2 - 0.004), hinge=hinge)
        front = Slab((0.9 * w, 0.9 * h, 0.001), inside, at=(0, 0.05 * h, -d / 2))
        return [Slab((w, h, d), skin), front, leaf_]

    def grip(s: float) -> np.ndarray:
        a = far * s
        return np.array(
            [k * w / 2 - k * 0.9 * w * np.cos(a), 0.5 * h, -d / 2 - 0.9 * w * np.sin(a)]
        )

    return Thing("cabinet", build, w, h, d, _tags("opens"), grip=grip)


def wallet(rng: Rng) -> Thing:
    w, d, c = rng.uniform(0.1, 0.13), rng.uniform(0.08, 0.1), colour(rng, 0.15, 0.6, 0.7)
    skin, inside = pattern(rng, c), pattern(rng, c * 0.7)

    def build(s: float) -> list[Body]:
        hinge = (np.array([0, 0.01, d / 2]), X, 2.8 * s)
        flap = Slab((w, 0.01, d), skin, at=(0, 0.01, 0), faces={5: inside}, hinge=hinge)
        base = Slab((w, 0.01, d), skin, faces={4: inside})
        return [base, flap] if s < 0.55 else [flap, base]

    def grip(s: float) -> np.ndarray:
        return np.array([0, 0.015 + d * np.sin(2.8 * s), d / 2 - d * np.cos(2.8 * s)])

    return Thing("wallet", build, w, 0.02, d, _tags("opens"), grip=grip)


def capped_pen(rng: Rng) -> Thing:
    """A thick marker that lies on the table; its cap is drawn off along its axis."""
    length, w, c, cap = rng.uniform(0.13, 0.16), rng.uniform(0.018, 0.026), colour(rng), colour(rng)
    x, k = length / 2, _side(rng)

    def build(s: float) -> list[Body]:
        out = 0.07 * s
        body = np.array([[-k * x, w / 2, 0], [k * 0.4 * x, w / 2, 0]])
        tip = np.array([[k * 0.4 * x, w / 2, 0], [k * 0.75 * x, w / 2, 0]])
        hood = np.array([[k * (0.45 * x + out), w / 2, 0], [k * (x + out), w / 2, 0]])
        return [Rod(tip, 0.4 * w, c * 0.4), Rod(body, w, c), Rod(hood, 1.15 * w, cap)]

    def grip(s: float) -> np.ndarray:
        return np.array([k * (0.75 * x + 0.07 * s), w, 0])

    return Thing("marker", build, length, w, w, _tags("opens"), grip=grip)


def envelope(rng: Rng) -> Thing:
    w, d = rng.uniform(0.13, 0.17), rng.uniform(0.09, 0.11)
    c = colour(rng, 0.7, 1.0, 0.5)
    inside = c * 0.55

    def build(s: float) -> list[Body]:
        a = 2.9 * s
        y0, z0 = 0.004, d / 2
        tip = np.array([0, y0 + 0.6 * d * np.sin(a), z0 - 0.6 * d * np.cos(a)])
        flap = np.array([[-w / 2, y0, z0], [w / 2, y0, z0], tip])
        return [_sheet(w, d, c), Flat(flap, c * 0.92, reverse=inside)]

    def grip(s: float) -> np.ndarray:
        a = 2.9 * s
        return np.array([0, 0.004 + 0.55 * d * np.sin(a), d / 2 - 0.55 * d * np.cos(a)])

    return Thing("envelope", build, w, 0.005, d, _tags("opens"), grip=grip)


OPENING = (
    chest, big_book, laptop, jar, capped_bottle, tin, pot_with_lid, drawer, matchbox, cabinet,
    wallet, capped_pen, envelope,
)  # fmt: skip

FOLDING = (
    "napkin", "towel", "letter", "map", "shirt", "scarf", "sheet of foil", "newspaper", "felt",
    "doily",
)  # fmt: skip


def foldable(rng: Rng, how: str) -> Thing:
    """A sheet on the table that is folded: "half", "near", "corner" or "twice"."""
    name = str(rng.choice(FOLDING))
    w, d = rng.uniform(0.17, 0.24), rng.uniform(0.15, 0.21)
    base = colour(rng, 0.5, 1.0, 0.6 if name in ("letter", "map", "newspaper", "doily") else 1.0)
    if name == "sheet of foil":
        base = np.full(3, rng.uniform(170, 215))
    skin, back = pattern(rng, base), _band(rng, base) * 0.8
    outline = _outline(name, w, d)
    k = _side(rng)
    lines = {  # a point on the crease, the direction of what turns over
        "half": [(np.zeros(2), np.array([k, 0.0]))],
        "near": [(np.zeros(2), np.array([0.0, -1.0]))],
        "corner": [(np.zeros(2), np.array([k, -0.9]))],
        "twice": [(np.zeros(2), np.array([k, 0.0])), (np.zeros(2), np.array([0.0, -1.0]))],
    }[how]
    frame = (np.array([-w / 2, 0, d / 2]), np.array([w, 0, 0]), np.array([0, 0, -d]))

    def build(s: float) -> list[Body]:
        return _folded(outline, lines, s, skin, back, frame)

    def grip(s: float) -> np.ndarray:
        done, part = _progress(s, len(lines))
        point, direction = lines[done]
        direction = direction / np.linalg.norm(direction)
        reach = float(np.max(outline @ direction)) * 0.92
        if done == 1:
            point = point + np.array([-k * w / 4, 0])
        a = np.pi * part
        along = point + direction * reach * np.cos(a)
        return np.array([along[0], 0.01 + reach * np.sin(a), along[1]])

    return Thing(name, build, w, 0.005, d, _tags("folds"), grip=grip)


def _progress(s: float, folds: int) -> tuple[int, float]:
    done = min(int(s * folds), folds - 1)
    return done, s * folds - done


def _outline(name: str, w: float, d: float) -> np.ndarray:
    """The outline of a sheet on the table, (n, 2) in x and z."""
    if name == "doily":
        a = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        return np.stack([w / 2 * np.cos(a), d / 2 * np.sin(a)], 1)
    if name == "shirt":
        x = np.array([-0.3, -0.5, -0.5, -0.3, -0.3, 0.3, 0.3, 0.5, 0.5, 0.3])
        z = np.array([0.5, 0.42, 0.2, 0.22, -0.5, -0.5, 0.22, 0.2, 0.42, 0.5])
        return np.stack([x * w, z * d], 1)
    if name == "scarf":
        return np.array([[-w / 2, d / 5], [w / 2, d / 5], [w / 2, -d / 5], [-w / 2, -d / 5]])
    return np.array([[-w / 2, d / 2], [w / 2, d / 2], [w / 2, -d / 2], [-w / 2, -d / 2]])


def _cut(polygon: np.ndarray, point: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The part of a polygon (n, 2) on the side that `direction` points to."""
    return cut(polygon, (polygon - point) @ direction)


def _folded(
    outline: np.ndarray,
    lines: list[tuple[np.ndarray, np.ndarray]],
    s: float,
    skin: np.ndarray,
    back: np.ndarray,
    frame: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> list[Body]:
    done, part = _progress(s, len(lines))
    layers = [(outline, False)]  # each layer lies flat, face up or turned over
    for point, direction in lines[:done]:
        direction = direction / np.linalg.norm(direction)
        turned = [_cut(p, point, direction) for p, _ in layers]
        layers = [(_cut(p, point, -direction), over) for p, over in layers]
        layers += [(p - 2 * ((p - point) @ direction)[:, None] * direction, True) for p in turned]
    point, direction = lines[done]
    direction = direction / np.linalg.norm(direction)
    lying, flying = [], []
    for height, (p, over) in enumerate(layers):
        y = 0.002 + 0.002 * height
        rest, flap = _cut(p, point, -direction), _cut(p, point, direction)
        if len(rest) > 2:
            lying.append(
                _layer(
                    np.column_stack([rest[:, 0], np.full(len(rest), y), rest[:, 1]]),
                    over,
                    skin,
                    back,
                    frame,
                )
            )
        if len(flap) > 2:
            out = (flap - point) @ direction  # distance from the crease
            a = np.pi * part
            turned = flap + (out * (np.cos(a) - 1))[:, None] * direction
            up = y + 0.003 + out * np.sin(a)
            flying.append(
                _layer(
                    np.column_stack([turned[:, 0], up, turned[:, 1]]),
                    over != (part > 0.5),
                    skin,
                    back,
                    frame if part == 0 else None,
                )
            )
    return lying + flying


def _layer(
    points: np.ndarray,
    over: bool,
    skin: np.ndarray,
    back: np.ndarray,
    frame: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> Flat:
    if over:
        return Flat(points, back)
    return Flat(points, skin if frame is not None else mean(skin), frame)


TEARING = (
    "sheet of paper", "leaf of a notebook", "napkin", "envelope", "cardboard", "newspaper", "foil",
    "ticket", "tissue", "wrapper",
)  # fmt: skip


def tearable(rng: Rng, how: str) -> Thing:
    """A sheet held upright that tears from the top, in "two" pieces or a "bit"."""
    name = str(rng.choice(TEARING))
    w, h = rng.uniform(0.12, 0.18), rng.uniform(0.1, 0.16)
    skin = pattern(rng, colour(rng, 0.6, 1.0, 0.5))
    cut = rng.uniform(-0.12, 0.12) * w
    y = np.linspace(h, 0, 9)
    jag = cut + np.concatenate([[0], rng.uniform(-0.06, 0.06, 7) * w, [0]])
    far = 1.0 if how == "two" else rng.uniform(0.35, 0.6)
    apart = rng.uniform(0.05, 0.09)

    def halves(s: float) -> list[np.ndarray]:
        torn = min(1.0, s / 0.65) * far
        gone = max(0.0, s - 0.65) / 0.35 if how == "two" else 0.0
        out = []
        for k in (-1, 1):
            edge = np.stack([jag, y], 1)
            sheet = np.concatenate([[[k * w / 2, h]], edge, [[k * w / 2, 0.0]]])
            # Above the end of the tear the half leans outwards; whole halves part at the end.
            end = h * (1 - torn)
            lean = k * 0.35 * np.clip((sheet[:, 1] - end) / h, 0, 1) * torn * w
            sheet = sheet + np.stack([lean, 0 * lean], 1) + (k * gone * apart, -0.2 * gone * apart)
            out.append(sheet)
        return out

    def build(s: float) -> list[Body]:
        frame = (np.array([-w / 2, h, 0]), np.array([w, 0, 0]), np.array([0, -h, 0]))
        return [Flat(cutout(p), skin, frame) for p in halves(s)]

    def grip(s: float) -> np.ndarray:
        return np.array([[*halves(s)[i][0], 0.0] for i in (0, 1)])

    return Thing(name, build, w, h, 0.01, _tags("tears"), upright=True, grip=grip)


def cover(rng: Rng) -> Thing:
    """A cloth that hangs over something: a soft heap that is lifted."""
    w, h = rng.uniform(0.16, 0.2), rng.uniform(0.09, 0.12)
    skin, c = colour(rng), 0.0
    a = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wave = 1 + 0.1 * np.sin(5 * a + rng.uniform(0, 6)) + 0.05 * np.sin(9 * a)

    def build(s: float) -> list[Body]:
        # From a dome over the table to a hanging, narrower cloth.
        r, tall = 0.5 * w * (1 - 0.35 * s), h * (1 + 0.5 * s)
        hem = np.stack([r * wave * np.cos(a), 0 * a + c, 0.8 * r * wave * np.sin(a)], 1)
        top = np.stack([0.35 * r * np.cos(a), tall + 0 * a, 0.3 * r * np.sin(a)], 1)
        folds: list[Body] = [Drape(np.concatenate([hem, top]), skin)]
        for i in range(0, 24, 4):
            folds.append(Rod(np.stack([0.95 * hem[i] + (0, 0.004, 0), top[i]]), 0.006, skin * 0.8))
        return folds

    return Thing(
        str(rng.choice(["cloth", "towel", "napkin", "scarf", "handkerchief"])), build, w, h, w,
        _tags("covers"), grip=lambda s: np.array([0, h * (1 + 0.5 * s), 0]),
    )  # fmt: skip
