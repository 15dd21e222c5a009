"""What things are made of: colours and patterns, and a few simple bodies.

A `Thing` lies in its own coordinates (metres; its base is centred on the origin, y is up) and is
made of bodies. What opens, folds or tears has a state from 0 to 1.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from .renderer import Ball, Eye, Face, Hull, Strip, Stroke

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
                dim = 0.7 if self.inside is None else 0.6
                parts.append(Hull(rings[0], self.colours[0] * dim))
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
            front.append(Strip(strip, paint, line, light, 0.35, self.alpha))
        return back, front

    @staticmethod
    def _near(ring: np.ndarray, to_eye: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """The half of a ring that faces the eye, from one side to the other."""
        flat = to_eye - axis * float(axis @ to_eye)
        start = int(np.argmax((ring - ring.mean(0)) @ flat))
        quarter = len(ring) // 4
        return ring[np.arange(start - quarter, start + quarter + 1) % len(ring)]


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
    """A box of size (w, h, d) standing on its bottom; `hinge` turns it first."""

    size: tuple[float, float, float]
    paint: np.ndarray  # a colour (3,) or a picture (h, w, 3) for every face
    at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    faces: dict[int, np.ndarray] = field(default_factory=dict)  # other paints for some faces
    inside: np.ndarray | None = None  # open at the top when given
    hinge: tuple[np.ndarray, np.ndarray, float] | None = None  # point, axis, angle

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        size = np.array(self.size)
        back: list[Part] = []
        front: list[Part] = []
        for index, (normal, origin, along, across) in enumerate(_FACES):
            if self.inside is not None and index == 4:
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
        lit = Stroke(
            line + (-0.1 * self.width, 0.15 * self.width, 0), 0.6 * self.width, self.colour
        )
        return [], [dark, lit]


@dataclass(frozen=True)
class Drape:
    """A cloth that hangs: the outline of its hem and its top, points (2 n, 3)."""

    points: np.ndarray
    colour: np.ndarray

    def parts(self, pose: Pose, eye: Eye) -> tuple[list[Part], list[Part]]:
        points = pose(self.points)
        hem, top = np.split(points, 2)
        return [], [Hull(points, self.colour, np.stack([hem.mean(0), top.mean(0)]), 0.3, 0.45)]


Body = Lathe | Slab | Sphere | Flat | Rod | Drape
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


def still(bodies: list[Body]) -> Build:
    return lambda state: bodies


def tags(text: str) -> frozenset[str]:
    return frozenset(text.split())


def band(rng: Rng, c: np.ndarray) -> np.ndarray:
    """A colour for a stripe: often the thing's own, else another."""
    return c if rng.random() < 0.5 else c + rng.uniform(0.4, 0.9) * (colour(rng) - c)


def sheet(w: float, d: float, paint: np.ndarray, y: float = 0.002) -> Flat:
    """A rectangle that lies on the table."""
    o = np.array([-w / 2, y, d / 2])
    a, b = np.array([w, 0, 0]), np.array([0, 0, -d])
    return Flat(
        np.stack([o, o + a, o + a + b, o + b]),
        paint,
        (o, a, b),
        mean(paint) * 0.9 if paint.ndim == 3 else None,
    )


def cutout(outline: np.ndarray, side: int = 1) -> np.ndarray:
    """A flat outline (n, 2) as points in the thing's own x-y plane."""
    return np.column_stack([side * outline[:, 0], outline[:, 1], np.zeros(len(outline))])
