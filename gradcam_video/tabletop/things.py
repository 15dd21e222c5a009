"""The objects of the made world: some forty families, each drawn anew with sizes, colours, patterns.

A `Thing` lies in its own coordinates (metres; its base is centred on the origin, y is up) and is
made of a few simple bodies. What opens, folds or tears has a state from 0 to 1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from .paint import Ball, Eye, Face, Hull, Stroke

Rng = np.random.Generator
Part = Face | Hull | Stroke | Ball
LIGHT = np.array([-0.35, 0.8, -0.5]) / np.linalg.norm([-0.35, 0.8, -0.5])
RING = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 16, endpoint=False)), 0 * a, np.sin(a)], 1)


# ---- colours and patterns -----------------------------------------------------------------------


def colour(rng: Rng, low: float = 0.25, high: float = 0.95, vivid: float = 1.0) -> np.ndarray:
    """A random colour, float (3,) 0..255: mostly coloured, sometimes grey, white or black."""
    grey = rng.random() < 0.22
    saturation = rng.uniform(0, 0.1) if grey else rng.uniform(0.35, 0.9) * vivid
    return 255 * np.array(colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(low, high)))


def pattern(rng: Rng, base: np.ndarray, rows: int = 48, columns: int = 48) -> np.ndarray:
    """A picture (rows, columns, 3) uint8 in two colours: stripes, checks, dots, print, stains."""
    other = base + rng.uniform(0.35, 0.8) * (colour(rng) - base)
    v, u = np.mgrid[0:rows, 0:columns] / 48.0
    kind = rng.integers(8)
    n = rng.integers(2, 6)
    if kind == 0:
        mix = (np.sin(2 * np.pi * n * u) > 0).astype(float)
    elif kind == 1:
        mix = (np.sin(2 * np.pi * n * v) > 0).astype(float)
    elif kind == 2:
        mix = (np.sin(np.pi * n * u) * np.sin(np.pi * n * v) > 0).astype(float)
    elif kind == 3:
        mix = (np.hypot((u * n) % 1 - 0.5, (v * n) % 1 - 0.5) < 0.28).astype(float)
    elif kind == 4:  # print: lines of grey words
        words = cv2.resize(
            rng.random((rows // 4 + 1, columns // 6 + 1)), (columns, rows), interpolation=0
        )
        mix = ((v * 48 % 8 < 3) & (words > 0.3) & (abs(u - 0.5) < 0.42)).astype(float)
    elif kind == 5:  # a label in the middle
        mix = ((abs(u - 0.5) < 0.32) & (abs(v - 0.5) < 0.2)).astype(float)
        mix += 0.8 * ((abs(u - 0.5) < 0.2) & (abs(v - 0.5) < 0.04))
    elif kind == 6:
        mix = cv2.resize(rng.random((5, 5)), (columns, rows), interpolation=cv2.INTER_CUBIC)
    else:
        mix = np.zeros((rows, columns))
    picture = base + np.clip(mix, 0, 1)[..., None] * (other - base)
    return np.clip(picture + rng.normal(0, 3, (rows, columns, 1)), 0, 255).astype(np.uint8)


def mean(picture: np.ndarray) -> np.ndarray:
    return picture.reshape(-1, 3).mean(0)


# ---- bodies in a thing's own coordinates ---------------------------------------------------------


class Pose:
    """Where a thing is: position (3,), turned by `tilt` (towards the camera), `turn`, `roll`."""

    def __init__(self, position: np.ndarray, angles: np.ndarray, size: float = 1.0) -> None:
        self.position = position
        ct, st = np.cos(angles[0]), np.sin(angles[0])
        cy, sy = np.cos(angles[1]), np.sin(angles[1])
        cr, sr = np.cos(angles[2]), np.sin(angles[2])
        tilt = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        self.rotation = tilt @ roll @ turn
        self.size = size

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return points @ (self.size * self.rotation.T) + self.position

    def normal(self, vector: np.ndarray) -> np.ndarray:
        return self.rotation @ vector


@dataclass(frozen=True)
class Lathe:
    """A body of revolution: rings of radius r at height y, a colour per band between them.

    An open one shows its inside at the top; `fill` (0..1) is how full it is, of `content`.
    """

    profile: tuple[tuple[float, float], ...]  # (y, r), from the bottom up
    colours: tuple[np.ndarray, ...]
    inside: np.ndarray | None = None  # open at the top when given
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    content: np.ndarray | None = None
    fill: float = 0.0
    alpha: float = 1.0

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        rings = [pose(RING * r + (self.at[0], self.at[1] + y, self.at[2])) for y, r in self.profile]
        middles = [ring.mean(0) for ring in rings]
        to_eye = eye.camera.position - middles[-1]
        axis = pose.normal(np.array([0.0, 1.0, 0.0]))
        from_above = float(axis @ to_eye) > 0
        line = np.stack([middles[0], middles[-1]])
        light = 0.3 * float(np.sign(line[1, 1] - line[0, 1]) or 1)
        if self.inside is None or not from_above:
            bands = range(len(rings) - 1) if from_above else range(len(rings) - 2, -1, -1)
            parts: list[Part] = [
                Hull(np.concatenate([rings[i], rings[i + 1]]), self.colours[i], line, light)
                for i in bands
            ]
            if from_above:
                parts.append(Hull(rings[-1], np.minimum(self.colours[-1] * 1.12, 255)))
            else:
                parts.append(Hull(rings[0], self.colours[0] * 0.6))
                if self.inside is None:
                    parts[-1] = Hull(rings[0], self.colours[0] * 0.7)
            return parts, []
        back: list[Part] = [Hull(rings[-1], self.inside, line, -light, 0.5)]
        if self.content is not None and self.fill > 0.02:
            y = self.profile[0][0] + self.fill * (self.profile[-1][0] - self.profile[0][0])
            r = float(np.interp(y, [p[0] for p in self.profile], [p[1] for p in self.profile]))
            level = pose(RING * r * 0.96 + (self.at[0], self.at[1] + y, self.at[2]))
            back.append(Hull(level, self.content))
        front: list[Part] = []
        for i in range(len(rings) - 1):
            near = self._near(rings[i + 1], to_eye, axis)
            strip = np.concatenate([near, self._near(rings[i], to_eye, axis)[::-1]])
            paint = self.colours[i]
            if self.alpha < 1 and self.content is not None and self.fill > (i + 0.5) / len(rings):
                paint = 0.35 * paint + 0.65 * self.content
            front.append(_Strip(strip, paint, line, light, 0.35, self.alpha))
        return back, front

    @staticmethod
    def _near(ring: np.ndarray, to_eye: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """The half of a ring that faces the eye, from one side to the other."""
        flat = to_eye - axis * float(axis @ to_eye)
        start = int(np.argmax((ring - ring.mean(0)) @ flat))
        quarter = len(ring) // 4
        return ring[np.arange(start - quarter, start + quarter + 1) % len(ring)]


class _Strip(Hull):
    """A band seen from outside: not convex, so its points are its outline."""

    def paint(self, canvas, eye: Eye, role: int, blur: np.ndarray) -> None:  # noqa: ANN001
        from .paint import Round

        outline = eye.project(self.points)
        a, b = eye.project(self.axis) if self.axis is not None else outline[:2]
        along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
        across = np.array([-along[1], along[0]])
        reach = float(np.abs((outline - a) @ across).max()) + 1e-3
        paint = Round(self.colour, a, across / reach, self.light, self.roundness)
        canvas.fill([outline], paint, role, blur, self.alpha)


# The faces of a box: outward normal, and origin, along, across in units of (w, h, d).
_FACES = (
    ((0, 0, -1), (-0.5, 1, -0.5), (1, 0, 0), (0, -1, 0)),  # front
    ((0, 0, 1), (0.5, 1, 0.5), (-1, 0, 0), (0, -1, 0)),  # back
    ((-1, 0, 0), (-0.5, 1, 0.5), (0, 0, -1), (0, -1, 0)),  # left
    ((1, 0, 0), (0.5, 1, -0.5), (0, 0, 1), (0, -1, 0)),  # right
    ((0, 1, 0), (-0.5, 1, 0.5), (1, 0, 0), (0, 0, -1)),  # top
    ((0, -1, 0), (-0.5, 0, -0.5), (1, 0, 0), (0, 0, 1)),  # bottom
)


@dataclass(frozen=True)
class Slab:
    """A box of size (w, h, d) standing on its bottom; `local` turns it about a hinge first."""

    size: tuple[float, float, float]
    paint: np.ndarray  # a colour (3,) or a picture (h, w, 3) for every face
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    faces: dict[int, np.ndarray] = field(default_factory=dict)  # other paints for some faces
    inside: np.ndarray | None = None  # open at the top when given
    hinge: tuple[np.ndarray, np.ndarray, float] | None = None  # point, axis, angle
    missing: tuple[int, ...] = ()

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        size = np.array(self.size)
        back: list[Part] = []
        front: list[Part] = []
        for index, (normal, origin, along, across) in enumerate(_FACES):
            if index in self.missing or (self.inside is not None and index == 4):
                continue
            o = np.array(origin) * size + self.at
            a, b = np.array(along) * size, np.array(across) * size
            n = np.array(normal, float)
            if self.hinge is not None:
                point, axis, angle = self.hinge
                turn = cv2.Rodrigues(np.asarray(axis, float) * angle)[0]
                o = turn @ (o - point) + point
                a, b, n = turn @ a, turn @ b, turn @ n
            o, a, b = pose(o[None])[0], pose.normal(a) * pose.size, pose.normal(b) * pose.size
            n = pose.normal(n)
            seen = float(n @ (eye.camera.position - o)) > 0
            if not seen and self.inside is None:
                continue
            shade = 0.62 + 0.45 * max(0.0, float(n @ LIGHT))
            corners = np.stack([o, o + a, o + a + b, o + b])
            if seen:
                paint = self.faces.get(index, self.paint)
                flat = paint.ndim == 1
                picture = None if flat else paint
                front.append(
                    Face(corners, paint if flat else mean(paint), picture, (o, a, b), shade)
                )
            elif self.inside is not None:
                shade = 0.5 + 0.3 * max(0.0, float(-n @ LIGHT))
                back.append(Face(corners, self.inside, None, None, shade))
        return back, front


@dataclass(frozen=True)
class Sphere:
    radius: float
    colour: np.ndarray
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        centre = pose(np.array([self.at]))[0]
        return [], [Ball(centre, self.radius * pose.size, self.colour, np.array([-0.35, 0.45]))]


@dataclass(frozen=True)
class Flat:
    """A polygon (n, 3) with a picture on the parallelogram `frame`, seen from both sides."""

    points: np.ndarray
    paint: np.ndarray
    frame: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    reverse: np.ndarray | None = None  # the colour of the other side

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        points = pose(self.points)
        n = np.cross(points[1] - points[0], points[2] - points[0])
        n /= np.linalg.norm(n) + 1e-12
        toward = float(n @ (eye.camera.position - points[0]))
        shade = 0.62 + 0.42 * abs(float(n @ LIGHT))
        if toward < 0 and self.reverse is not None:
            return [], [Face(points, self.reverse, None, None, shade)]
        flat = self.paint.ndim == 1
        frame = None
        if self.frame is not None:
            o, a, b = self.frame
            frame = (pose(o[None])[0], pose.normal(a) * pose.size, pose.normal(b) * pose.size)
        picture = None if flat else self.paint
        return [], [Face(points, self.paint if flat else mean(self.paint), picture, frame, shade)]


@dataclass(frozen=True)
class Rod:
    """A thick line through points (n, 3)."""

    points: np.ndarray
    width: float
    colour: np.ndarray

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        line = pose(self.points)
        dark = Stroke(line, self.width * pose.size, self.colour * 0.7)
        lit = Stroke(line + (-0.1 * self.width, 0.15 * self.width, 0), 0.6 * self.width, self.colour)
        return [], [dark, lit]


Body = Lathe | Slab | Sphere | Flat | Rod
Build = Callable[[float], list[Body]]


@dataclass(frozen=True)
class Thing:
    """An object: how it is built in each state, its extents, and what can be done to it."""

    family: str
    build: Build
    width: float
    height: float
    depth: float
    tags: frozenset[str] = frozenset()
    upright: bool = False  # a cut-out that turns its face to the camera
    grip: Callable[[float], np.ndarray] | None = None  # where a hand takes hold, per state
    floor: float = 0.0  # how high something put inside comes to lie
    liquid: np.ndarray | None = None

    def parts(self, pose: Pose, eye: Eye, state: float = 0.0) -> tuple[list[Part], list[Part]]:
        """What lies behind its contents, and what lies before them."""
        back: list[Part] = []
        front: list[Part] = []
        for body in self.build(state):
            b, f = body.parts(pose, eye)
            back += b
            front += f
        return back, front


def _still(bodies: list[Body]) -> Build:
    return lambda state: bodies


def _tags(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ---- families: everyday things -------------------------------------------------------------------


def mug(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.032, 0.045), rng.uniform(0.07, 0.1), colour(rng)
    angle = np.linspace(-1.3, 1.3, 7)
    side = 1 if rng.random() < 0.5 else -1
    ear = np.stack([side * (r + 0.024 * np.cos(angle)), h * (0.5 + 0.3 * np.sin(angle)), 0 * angle], 1)
    body = Lathe(((0, 0.9 * r), (0.6 * h, r), (h, r)), (c, _band(rng, c)), c * 0.45)
    bodies: list[Body] = [Rod(ear, 0.011, c), body]
    return Thing(
        "mug", _still(bodies), 2 * r, h, 2 * r, _tags("any tall container support holds"), floor=0.01
    )


def _band(rng: Rng, c: np.ndarray) -> np.ndarray:
    return c if rng.random() < 0.5 else c + rng.uniform(0.4, 0.9) * (colour(rng) - c)


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
    bodies: list[Body] = [Lathe(((0, 0.8 * r), (0.8 * h, r), (h, 1.08 * r)), (c, _band(rng, c)), c * 0.4)]
    return Thing("pot", _still(bodies), 2 * r, h, 2 * r, _tags("any container"), floor=0.01)


def crate(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.1, 0.16), rng.uniform(0.05, 0.09), rng.uniform(0.09, 0.13)
    skin = pattern(rng, colour(rng))
    bodies: list[Body] = [Slab((w, h, d), skin, inside=mean(skin) * 0.6)]
    return Thing("crate", _still(bodies), w, h, d, _tags("any container"), floor=0.005)


def bottle(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.026, 0.036), rng.uniform(0.15, 0.21), colour(rng)
    label = colour(rng)
    profile = ((0, r), (0.2 * h, r), (0.5 * h, r), (0.68 * h, r), (0.82 * h, 0.38 * r), (h, 0.36 * r))
    bodies: list[Body] = [Lathe(profile, (c, label, c, c * 0.95, c * 0.6))]
    return Thing(
        "bottle", _still(bodies), 2 * r, h, 2 * r, _tags("any tall pours"), liquid=colour(rng, 0.4)
    )


def carafe(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.04, 0.05), rng.uniform(0.11, 0.15), colour(rng)
    bodies: list[Body] = [
        Lathe(((0, 0.8 * r), (0.4 * h, r), (0.8 * h, 0.62 * r), (h, 0.75 * r)), (c, c, _band(rng, c)), c * 0.5)
    ]
    return Thing(
        "carafe", _still(bodies), 2 * r, h, 2 * r, _tags("any tall pours"), liquid=colour(rng, 0.4)
    )


def can(rng: Rng) -> Thing:
    r, h, c = rng.uniform(0.028, 0.036), rng.uniform(0.09, 0.13), colour(rng)
    grey = np.full(3, rng.uniform(140, 210))
    profile = ((0, 0.9 * r), (0.06 * h, r), (0.35 * h, r), (0.65 * h, r), (0.94 * h, r), (h, 0.85 * r))
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
    return Thing("roll of tape", _still(bodies), 2 * r, h, 2 * r, _tags("any small stack flat support"))


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
    bodies: list[Body] = [Slab((s, s * rng.uniform(0.7, 1.2), s), c)]
    return Thing("block", _still(bodies), s, bodies[0].size[1], s, _tags("any small stack support"))


def book(rng: Rng) -> Thing:
    w, h, d = rng.uniform(0.1, 0.14), rng.uniform(0.015, 0.035), rng.uniform(0.13, 0.18)
    cover = pattern(rng, colour(rng), 64, 48)
    pages = np.array([225.0, 220, 205]) * rng.uniform(0.85, 1)
    bodies: list[Body] = [
        Slab((w, h, d), pages, faces={4: cover, 2: mean(cover), 5: mean(cover)})
    ]
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
        Sphere(0.011 * s, tyre, (x * s, 0.011 * s, z * s)) for x in (-0.027, 0.027) for z in (0.018, -0.02)
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
        Flat(_cutout(outline, side), c),
        Flat(_cutout(sole, side), np.full(3, 235.0)),
        Rod(_cutout(lace, side), 0.008, np.full(3, 240.0)),
    ]
    return Thing("shoe", _still(bodies), 0.16 * s, 0.085 * s, 0.05, _tags("any"), upright=True)


def _cutout(outline: np.ndarray, side: int = 1) -> np.ndarray:
    """A flat outline (n, 2) as points in the thing's own x-y plane."""
    return np.column_stack([side * outline[:, 0], outline[:, 1], np.zeros(len(outline))])


def duck(rng: Rng) -> Thing:
    s, c = rng.uniform(0.9, 1.3), colour(rng, 0.7)
    k = 1 if rng.random() < 0.5 else -1
    bodies: list[Body] = [
        Sphere(0.032 * s, c, (0, 0.03 * s, 0)), Sphere(0.018 * s, c, (-k * 0.03 * s, 0.042 * s, 0)),
        Sphere(0.022 * s, c, (k * 0.022 * s, 0.068 * s, 0)),
        Rod(s * np.array([[k * 0.042, 0.066, -0.003], [k * 0.056, 0.063, -0.003]]), 0.009 * s, np.array([235.0, 130, 30])),
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
    bits = [
        Rod(np.array([[x, 0.003, 0], [x, 0.003, -0.011]]), 0.006, c) for x in (0.018, 0.028)
    ]
    bodies: list[Body] = [
        Rod(ring, 0.006, c), Rod(np.array([[-0.017, 0.003, 0], [0.032, 0.003, 0]]), 0.006, c), *bits,
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
    c = [np.array([80.0, 140, 50]), np.array([190.0, 120, 40]), np.array([150.0, 50, 40])][rng.integers(3)]
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
        Flat(flat, c), Rod(np.array([[-1.4 * s, 0.004, 0], [0.9 * s, 0.004, 0]]), 0.003, np.full(3, 230.0))
    ]  # fmt: skip
    return Thing("feather", _still(bodies), 2 * s, 0.004, 0.4 * s, _tags("light flat"))


def _sheet(w: float, d: float, paint: np.ndarray, y: float = 0.002) -> Flat:
    o = np.array([-w / 2, y, d / 2])
    a, b = np.array([w, 0, 0]), np.array([0, 0, -d])
    return Flat(np.stack([o, o + a, o + a + b, o + b]), paint, (o, a, b), mean(paint) * 0.9 if paint.ndim == 3 else None)


def wallet_closed(rng: Rng) -> Thing:
    w, d, c = rng.uniform(0.08, 0.11), rng.uniform(0.06, 0.085), colour(rng, 0.15, 0.6, 0.7)
    bodies: list[Body] = [Slab((w, 0.018, d), pattern(rng, c))]
    return Thing("wallet", _still(bodies), w, 0.018, d, _tags("any small flat stack support"))


EVERYDAY = (
    mug, glass, bowl, pot, crate, bottle, carafe, can, jar_closed, candle, tape, plate, box, carton,
    block, book, phone, remote, eraser, ball, fruit, teddy, car, shoe, duck, pen, spoon, ruler, key,
    banana, leaf, paper, tissue, feather, wallet_closed,
)  # fmt: skip


# ---- families that change: opening, folding, tearing ---------------------------------------------

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
        return [body, lid] if s > 0 else [body, lid]

    def grip(s: float) -> np.ndarray:
        return moved(s) + (0, top, 0)

    return Thing(name, build, 2 * radius, top, 2 * radius, _tags("opens"), grip=grip)


def _side(rng: Rng) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def jar(rng: Rng) -> Thing:
    r, h, c, lid = rng.uniform(0.038, 0.05), rng.uniform(0.08, 0.12), colour(rng), colour(rng)
    body = Lathe(((0, r), (0.5 * h, r), (0.9 * h, r), (h, 0.85 * r)), (c, _band(rng, c), c), c * 0.35)
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
    cap = Lathe(((0, r), (0.015, 0.7 * r), (0.016, 0.15 * r), (0.035, 0.15 * r)), (lid, lid, lid * 0.6))
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
    w, h, d, c = rng.uniform(0.1, 0.14), rng.uniform(0.03, 0.045), rng.uniform(0.07, 0.09), colour(rng)
    skin, inside, k = pattern(rng, colour(rng)), colour(rng, 0.2, 0.6), _side(rng)

    def build(s: float) -> list[Body]:
        tray = Slab((0.96 * w, 0.85 * h, 0.92 * d), c, at=(k * 0.7 * w * s, 0.05 * h, 0), inside=inside)
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
        return np.array([k * w / 2 - k * 0.9 * w * np.cos(a), 0.5 * h, -d / 2 - 0.9 * w * np.sin(a)])

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
    side = (polygon - point) @ direction
    out = []
    for i in range(len(polygon)):
        a, b, da, db = polygon[i - 1], polygon[i], side[i - 1], side[i]
        if (da > 0) != (db > 0):
            out.append(a + (b - a) * da / (da - db))
        if db > 0:
            out.append(b)
    return np.array(out).reshape(-1, 2)


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
            lying.append(_layer(np.column_stack([rest[:, 0], np.full(len(rest), y), rest[:, 1]]), over, skin, back, frame))
        if len(flap) > 2:
            out = (flap - point) @ direction  # distance from the crease
            a = np.pi * part
            turned = flap + (out * (np.cos(a) - 1))[:, None] * direction
            up = y + 0.003 + out * np.sin(a)
            flying.append(_layer(np.column_stack([turned[:, 0], up, turned[:, 1]]), over != (part > 0.5), skin, back, frame if part == 0 else None))
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
    """A sheet held upright that tears from the top: "two" pieces, a "bit", or "across" (sideways)."""
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
        return [Flat(_cutout(p), skin, frame) for p in halves(s)]

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
        folds: list[Body] = [_Drape(np.concatenate([hem, top]), skin)]
        for i in range(0, 24, 4):
            folds.append(Rod(np.stack([0.95 * hem[i] + (0, 0.004, 0), top[i]]), 0.006, skin * 0.8))
        return folds

    return Thing(
        str(rng.choice(["cloth", "towel", "napkin", "scarf", "handkerchief"])), build, w, h, w,
        _tags("covers"), grip=lambda s: np.array([0, h * (1 + 0.5 * s), 0]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Drape:
    points: np.ndarray
    colour: np.ndarray

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        points = pose(self.points)
        line = np.stack([points[:24].mean(0), points[24:].mean(0)])
        return [], [Hull(points, self.colour, line, 0.3, 0.45)]
