"""Who moves: keys in time, hands, and things on their way.

Time here is the action's own: 0 where it starts, 1 where it ends, below and above while the hand
comes and goes. The scene turns a frame's seconds into it, and that is all there is to delaying an
action, or playing it backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .renderer import Eye, Face, Hull, Stroke
from .shapes import Part, Pose, Rng, Thing

HAND, OBJECT, SECOND = 1, 2, 3  # numbers of the roles on the canvas


class Keys:
    """A value over time: `(time, value)` pairs, eased in between, held before and after."""

    def __init__(self, *pairs: tuple[float, object], linear: bool = False) -> None:
        self.times = np.array([t for t, _ in pairs], float)
        self.values = np.array([np.asarray(v, float) for _, v in pairs])
        self.linear = linear

    def __call__(self, t: float) -> np.ndarray:
        times, values = self.times, self.values
        if t <= times[0]:
            return values[0]
        if t >= times[-1]:
            return values[-1]
        i = int(np.searchsorted(times, t, side="right")) - 1
        p = (t - times[i]) / (times[i + 1] - times[i])
        if not self.linear:
            p = p * p * (3 - 2 * p)
        return values[i] + p * (values[i + 1] - values[i])

    def plus(self, offset: np.ndarray) -> Keys:
        return Keys(*zip(self.times, self.values + offset, strict=True), linear=self.linear)


class Path(Keys):
    """A value given by a function of time."""

    def __init__(self, function, points: Sequence[np.ndarray]) -> None:
        self.function = function
        self.values = np.array(points, float)  # where it passes, for what keeps clear of it

    def __call__(self, t: float) -> np.ndarray:
        return self.function(t)


Group = tuple[float, list[Part]]  # distance from the camera, and what is painted there


@dataclass
class Prop:
    """A thing on its way."""

    thing: Thing
    place: Keys
    angles: Keys = field(default_factory=lambda: Keys((0, np.zeros(3))))
    state: Keys = field(default_factory=lambda: Keys((0, 0.0)))
    role: int = OBJECT
    size: float = 1.0
    tilt: float = 0.0  # a cut-out's lean towards the camera
    bias: float = 0.0  # metres nearer to the camera than it stands, for the order of painting
    shade: bool = True

    def pose(self, t: float) -> Pose:
        angles = self.angles(t)
        if self.thing.upright:
            angles = angles + (self.tilt, 0.0, 0.0)
        return Pose(self.place(t), angles, self.size)

    def anchor(self, t: float) -> np.ndarray:
        return self.place(t) + (0, 0.5 * self.thing.height * self.size, 0)

    def grip(self, t: float) -> np.ndarray:
        assert self.thing.grip is not None
        return self.pose(t)(np.atleast_2d(self.thing.grip(float(self.state(t)))))

    def groups(self, t: float, eye: Eye) -> list[Group]:
        back, front = self.thing.parts(self.pose(t), eye, float(self.state(t)))
        place = self.place(t)
        depth = eye.depth(place) - 0.02 * place[1] - self.bias
        if not back:
            return [(depth, front)]
        reach = 0.25 * self.thing.depth * self.size
        return [(depth + reach, back), (depth - reach, front)]

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        """Centre, half width, half depth, height above the ground."""
        if not self.shade:
            return []
        half = np.array([self.thing.width, self.thing.depth]) * 0.5 * self.size
        roll = abs(np.sin(float(self.angles(t)[2])))
        half[0] = half[0] * (1 - roll) + 0.5 * self.thing.height * roll
        place = self.place(t)
        if not -0.02 < place[1] < 0.6:  # below the table: it is coming, or gone
            return []
        return [(place, float(half[0]), float(half[1]), float(place[1]))]


@dataclass
class Stream:
    """What is poured: a jet from a moving spout to where it lands, and drops beside it."""

    spout: Prop
    mouth: np.ndarray  # in the thing's own coordinates
    colour: np.ndarray
    when: tuple[float, float]
    land: float  # height at which it lands
    width: float
    grains: np.ndarray | None = None  # (n, 3): solid stuff falls as grains
    role: int = OBJECT

    def anchor(self, t: float) -> np.ndarray:
        return self.spout.place(t)

    def groups(self, t: float, eye: Eye) -> list[Group]:
        if not self.when[0] < t < self.when[1]:
            return []
        top = self.spout.pose(t)(self.mouth[None])[0]
        fall = max(top[1] - self.land, 0.01)
        p = np.linspace(0, 1, 6)
        line = top - np.outer(p**2, (0, fall, 0)) + np.outer(p, (0, 0, -0.005))
        parts: list[Part]
        if self.grains is None:
            parts = [
                Stroke(line, self.width, self.colour),
                Stroke(line[:4], 0.45 * self.width, self.colour + 0.5 * (255 - self.colour)),
            ]
        else:
            step = int(60 * t) % 7
            parts = [
                Stroke(line[i : i + 1].repeat(2, 0) + g * 0.008, 0.8 * self.width, self.colour)
                for i in range(6)
                for g in np.roll(self.grains, step, 0)[:3]
            ]
        return [(eye.depth(top) - 0.02, parts)]

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        return []


@dataclass
class Puddle:
    """Spilt stuff that spreads on the table."""

    centre: np.ndarray
    radius: Keys
    colour: np.ndarray
    wave: np.ndarray
    role: int = OBJECT

    def anchor(self, t: float) -> np.ndarray:
        return self.centre

    def groups(self, t: float, eye: Eye) -> list[Group]:
        r = float(self.radius(t))
        if r < 0.004:
            return []
        a = np.linspace(0, 2 * np.pi, len(self.wave), endpoint=False)
        edge = self.centre + r * self.wave[:, None] * np.stack([np.cos(a), 0 * a, np.sin(a)], 1)
        return [(eye.depth(self.centre) + 0.2, [Face(edge, self.colour, alpha=0.85)])]

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        return []


# ---- the hand ------------------------------------------------------------------------------------

# Joints of thumb and four fingers in the hand's own plane, metres: u from the elbow to the tips,
# v across; the place where the hand takes hold is the origin.
_KNUCKLES = np.array([[-0.052, 0.033], [-0.047, 0.012], [-0.05, -0.01], [-0.058, -0.03]])
_POSES = {
    "open": ([[-0.03, 0.04], [0.02, 0.05]], [[-0.018, 0.016], [0.03, 0.02]],
             [[-0.018, -0.012], [0.025, -0.014]], [[-0.035, -0.038], [-0.002, -0.048]]),
    "grasp": ([[-0.014, 0.034], [0.01, 0.016]], [[-0.006, 0.014], [0.014, 0.006]],
              [[-0.01, -0.01], [0.01, -0.004]], [[-0.022, -0.026], [0.0, -0.014]]),
    "point": ([[-0.02, 0.018], [0.006, 0.004]], [[-0.028, 0.008], [-0.05, 0.006]],
              [[-0.032, -0.012], [-0.052, -0.01]], [[-0.042, -0.028], [-0.058, -0.022]]),
    "flat": ([[-0.02, 0.03], [0.016, 0.027]], [[-0.012, 0.011], [0.022, 0.01]],
             [[-0.015, -0.009], [0.018, -0.008]], [[-0.03, -0.027], [0.0, -0.025]]),
}  # fmt: skip
_THUMB = {
    "open": [[-0.105, 0.04], [-0.07, 0.07], [-0.035, 0.078]],
    "grasp": [[-0.105, 0.04], [-0.055, 0.055], [0.0, 0.028]],
    "point": [[-0.105, 0.04], [-0.07, 0.045], [-0.045, 0.025]],
    "flat": [[-0.105, 0.04], [-0.065, 0.05], [-0.03, 0.042]],
}
_PALM = np.array(
    [[-0.046, 0.036], [-0.04, 0.012], [-0.043, -0.012], [-0.056, -0.036], [-0.1, -0.036],
     [-0.13, -0.028], [-0.15, -0.024], [-0.15, 0.024], [-0.13, 0.03], [-0.105, 0.042],
     [-0.075, 0.042]]
)  # fmt: skip
_SKIN = np.array(
    [[246, 214, 190], [236, 196, 164], [224, 176, 140], [205, 152, 115], [178, 124, 88],
     [146, 98, 66], [112, 74, 50], [84, 56, 40]], float
)  # fmt: skip


@dataclass
class Look:
    """What one person's hands look like."""

    skin: np.ndarray
    sleeve: np.ndarray
    cuff: float  # metres from the fingertips to the sleeve
    size: float

    @classmethod
    def draw(cls, rng: Rng, sleeve: np.ndarray) -> Look:
        tone = rng.uniform(0, 7)
        low = int(tone)
        skin = _SKIN[low] + (tone - low) * (_SKIN[min(low + 1, 7)] - _SKIN[low])
        skin = np.clip(skin * rng.uniform(0.9, 1.05) + rng.normal(0, 5, 3), 20, 250)
        return cls(skin, sleeve, rng.choice([0.17, 0.2, 0.24, 0.34]), rng.uniform(0.85, 1.1))


@dataclass
class Hand:
    """A hand with its forearm, in the plane that faces the camera."""

    look: Look
    grip: Keys  # where its fingers meet, world (3,)
    angle: float  # direction from the elbow to the fingertips: 0 right, pi/2 up
    pose: list[tuple[float, str]]
    right: np.ndarray  # the camera's right and up, world
    up: np.ndarray
    left: bool = False  # the thumb is on the other side
    turn: Keys = field(default_factory=lambda: Keys((0, 0.0)))  # turns of the wrist
    under: bool = False  # painted behind what it holds
    role: int = HAND

    def anchor(self, t: float) -> np.ndarray:
        return self.grip(t)

    def between(self, t: float) -> tuple[str, str, float]:
        """The pose at a moment, the one that comes, and how much of it is there already."""
        times = [k for k, _ in self.pose]
        i = int(np.searchsorted(times, t, side="right")) - 1
        i = max(0, min(i, len(times) - 1))
        name = other = self.pose[i][1]
        p = 0.0
        if i + 1 < len(times) and t > times[i]:
            other = self.pose[i + 1][1]
            p = min(1.0, max(0.0, 1 - (times[i + 1] - t) / 0.18))  # changes shortly before the key
        return name, other, p

    def _joints(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        name, other, p = self.between(t)
        fingers = (1 - p) * np.array(_POSES[name]) + p * np.array(_POSES[other])  # (4, 2, 2)
        thumb = (1 - p) * np.array(_THUMB[name]) + p * np.array(_THUMB[other])
        return fingers, thumb

    def groups(self, t: float, eye: Eye) -> list[Group]:
        grip = self.grip(t)
        a = self.angle + float(self.turn(t))
        scale = self.look.size
        along = (np.cos(a) * self.right + np.sin(a) * self.up) * scale
        across = (-np.sin(a) * self.right + np.cos(a) * self.up) * scale
        if self.left:
            across = -across

        def world(plane: object) -> np.ndarray:
            points = np.asarray(plane, float)
            return grip + points[..., :1] * along + points[..., 1:] * across

        fingers, thumb = self._joints(t)
        skin, dark = self.look.skin, self.look.skin * 0.68
        nail = np.minimum(skin * 1.05 + 18, 255)
        w = 0.017 * scale
        thumb_line = world(thumb)
        behind: list[Part] = [
            Stroke(thumb_line, w * 1.35, dark),
            Stroke(thumb_line, w * 1.05, skin * 0.93),
        ]
        cuff = self.look.cuff
        arm = world(np.array([[-0.14, 0.025], [-0.14, -0.025], [-1.3, -0.05], [-1.3, 0.05]]))
        sleeve = world(np.array([[-cuff, 0.04], [-cuff, -0.04], [-1.3, -0.075], [-1.3, 0.075]]))
        seam = -cuff + 0.012
        hem = world([[seam, 0.042], [seam, -0.042], [-cuff, -0.042], [-cuff, 0.042]])
        axis = world(np.array([[-1.3, 0], [0, 0]]))
        body: list[Part] = [
            Hull(arm, skin * 0.92, axis, 0.2, 0.3),
            Hull(sleeve, self.look.sleeve, axis, 0.2, 0.4),
            Hull(hem, self.look.sleeve * 0.75, axis, 0.2, 0.4),
            Hull(world(_PALM), skin, axis, 0.2, 0.22),
        ]
        for knuckle, finger in zip(_KNUCKLES, fingers, strict=True):
            line = world(np.concatenate([knuckle[None] - (0.012, 0), knuckle[None], finger]))
            body.append(Stroke(line, w * 1.22, dark))
            body.append(Stroke(line, w * 0.9, skin))
            body.append(Stroke(line[-1:].repeat(2, 0), w * 0.55, nail))
        depth = eye.depth(grip) - 0.02 * grip[1]
        if self.under:
            return [(depth + 0.06, behind + body)]
        return [(depth + 0.05, behind), (depth - 0.07, body)]

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        grip = self.grip(t)
        if not -0.02 < grip[1] < 0.6:  # below the table: it is coming, or gone
            return []
        a = self.angle + float(self.turn(t))
        back = grip - 0.09 * (np.cos(a) * self.right + np.sin(a) * self.up)
        return [(np.array([back[0], max(back[1], 0.02), back[2]]), 0.06, 0.05, max(grip[1], 0.03))]


Actor = Prop | Hand | Stream | Puddle
