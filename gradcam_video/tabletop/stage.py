"""The stage on which a script plays: a camera, a room, actors, and the helpers that move them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from . import objects as things
from .actors import OBJECT, SECOND, Actor, Hand, Keys, Look, Path, Prop, Stream
from .renderer import Camera
from .room import Room
from .shapes import Rng, Thing, colour

Where = Callable[[float], np.ndarray]
ENTER = 0.5  # of the action's length: how long a hand takes to come or to go
FAR = 0.95  # metres from the grip to where no hand is seen any more


@cache
def _tags_of(family: Callable[[Rng], Thing]) -> frozenset[str]:
    return family(np.random.default_rng(0)).tags


def ease(p: float) -> float:
    p = min(1.0, max(0.0, p))
    return p * p * (3 - 2 * p)


class Stage:
    """Everything of one scene that is drawn before the first picture is painted.

    A script adds actors and may set `seconds` (the action's length), `still` (the action lasts the
    whole clip), `camera` (moves: pitch, yaw and metres as functions of time) and `both` (the action
    is done to the second object, too). `t` runs from 0 to 1 over the action.
    """

    wander = 0.26
    """How far from the middle of the picture the action may be, in short sides."""
    tilts = (0.22, 0.95)
    """How far down the camera looks, at least and at most, in radians."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.actors: list[Actor] = []
        self.seconds = rng.uniform(0.8, 1.5)
        self.still = False
        self.whole = False
        self.both = False
        self.moves: dict[str, Where] = {}
        self.pitch = rng.uniform(*self.tilts)
        self.distance = rng.uniform(0.62, 0.95)
        self.focal = rng.uniform(1.4, 1.75)
        self.right = np.array([1.0, 0, 0])
        self.up = np.array([0.0, np.cos(self.pitch), np.sin(self.pitch)])
        self.room = Room.draw(rng)
        self.look = Look.draw(rng, colour(rng, 0.1, 0.9))
        # Seconds before the hand comes, and after it left. The action may be anywhere in the clip:
        # else "in the middle" would be as good an explanation as any.
        rest = rng.uniform(0.4, 2.8)
        self.before = rest * rng.random()
        self.after = rest - self.before

    # ---- things ----------------------------------------------------------------------------

    def pick(self, tag: str, *not_: str) -> Thing:
        """A new thing of a random family that carries the tag."""
        return self.alike(tag, *not_)()

    def alike(self, tag: str, *not_: str) -> Callable[[], Thing]:
        """A maker of things of one family that carries the tag: each a little different."""
        rng = self.rng
        for _ in range(200):
            family = things.EVERYDAY[rng.integers(len(things.EVERYDAY))]
            tags = _tags_of(family)
            if tag in tags and not tags & set(not_):
                return lambda: family(rng)
        raise AssertionError(tag)

    def ground(self, reach: float = 0.08) -> np.ndarray:
        """A place on the table near the middle of the action."""
        x, z = self.rng.uniform(-reach, reach, 2)
        return np.array([x, 0.0, z])

    def prop(
        self,
        thing: Thing,
        place: Keys | np.ndarray,
        role: int = OBJECT,
        turn: float = 0.5,
        **more: object,
    ) -> Prop:
        """Put a thing on the stage, turned at random by up to `turn` about the vertical."""
        keys = place if isinstance(place, Keys) else Keys((0, place))
        angles = more.pop("angles", None) or Keys((0, (0.0, self.rng.uniform(-turn, turn), 0.0)))
        prop = Prop(thing, keys, angles=angles, role=role, **more)  # ty: ignore[invalid-argument-type]
        prop.tilt = 0.6 * self.pitch
        self.actors.append(prop)
        return prop

    @property
    def words(self) -> list[str]:
        """What the [something]s of the template are: first what is acted on, then the rest."""
        props = [a for a in self.actors if isinstance(a, Prop)]
        return [p.thing.family for p in sorted(props, key=lambda p: p.role)]

    def second(self, thing: Thing, place: Keys | np.ndarray, **more: object) -> Prop:
        return self.prop(thing, place, SECOND, **more)  # ty: ignore[invalid-argument-type]

    def direction(self) -> np.ndarray:
        """A direction on the table, mostly sideways."""
        a = self.rng.uniform(-0.7, 0.7) + (np.pi if self.rng.random() < 0.5 else 0)
        return np.array([np.cos(a), 0.0, np.sin(a)])

    # ---- hands -----------------------------------------------------------------------------

    def side(self) -> float:
        """From where a hand comes: its direction in the picture, radians (pi/2: upwards)."""
        rng = self.rng
        middle, spread = [(np.pi / 2, 0.95), (0.0, 0.6), (np.pi, 0.6), (-np.pi / 2, 0.4)][
            int(rng.choice(4, p=[0.52, 0.2, 0.2, 0.08]))
        ]
        return middle + rng.uniform(-spread, spread)

    def hand(self, angle: float | None = None, pose: str = "open", **more: object) -> Hand:
        """A hand that does nothing yet."""
        angle = self.side() if angle is None else angle
        hand = Hand(
            self.look, Keys((0, np.zeros(3))), angle, [(-9, pose)], self.right, self.up,
            left=bool(self.rng.random() < 0.5), **more,  # ty: ignore[invalid-argument-type]
        )  # fmt: skip
        self.actors.append(hand)
        return hand

    def hidden(self) -> bool:
        """Whether a hand takes hold from behind: then the thing hides it, else it the thing."""
        return bool(self.rng.random() < 0.4)

    def along(self, angle: float) -> np.ndarray:
        """A direction in the picture as one in the world."""
        return np.cos(angle) * self.right + np.sin(angle) * self.up

    def out(self, point: np.ndarray, angle: float) -> np.ndarray:
        """Where a hand that reaches `point` from that side is out of sight."""
        return point - FAR * self.along(angle)

    def contact(self, thing: Thing, angle: float, deep: float = 0.75) -> np.ndarray:
        """From a thing's place to the point of its outline that a hand from that side meets."""
        half_w = 0.5 * thing.width
        half_h = 0.5 * (thing.height * np.cos(self.pitch) + thing.depth * np.sin(self.pitch))
        middle = np.array([0, 0.5 * thing.height, 0])
        edge = half_w * np.cos(angle) * self.right + half_h * np.sin(angle) * self.up
        return middle - deep * edge

    def follow(
        self,
        hand: Hand,
        where: Where,
        start: float = 0.0,
        end: float = 1.0,
        enters: bool = True,
        leaves: bool = True,
        pose: str = "grasp",
        free: str = "open",
    ) -> Hand:
        """The hand comes, follows `where` from start to end, and goes."""
        first, last = where(start), where(end)

        def at(t: float) -> np.ndarray:
            if t < start:
                p = ease(1 - (start - t) / ENTER) if enters else 1.0
                return first - (1 - p) * FAR * self.along(hand.angle)
            if t > end:
                p = ease((t - end) / ENTER) if leaves else 0.0
                return last - p * FAR * self.along(hand.angle)
            return where(t)

        hand.grip = Path(at, [where(start + k * (end - start) / 4) for k in range(5)])
        hand.pose = [(-9, free if enters else pose), (start, pose)]
        if leaves:
            hand.pose += [(end, pose), (end + 0.18, free)]
        return hand

    def grabs(self, prop: Prop, angle: float | None = None, **options: object) -> Hand:
        """A hand that comes, takes hold of the prop, goes where it goes from 0 to 1, and leaves."""
        hand = self.hand(angle, under=self.hidden())
        offset = self.contact(prop.thing, hand.angle)
        return self.follow(hand, lambda t: prop.place(t) + offset, **options)  # ty: ignore

    def carried(
        self,
        hand_angle: float,
        *pairs: tuple[float, np.ndarray],
        comes: bool = False,
        goes: bool = False,
    ) -> Keys:
        """A path for a thing in a hand: from out of sight, and back there, where asked."""
        keys = list(pairs)
        away = FAR * self.along(hand_angle)
        if comes:
            keys.insert(0, (keys[0][0] - ENTER, keys[0][1] - away))
        if goes:
            keys.append((keys[-1][0] + ENTER, keys[-1][1] - away))
        return Keys(*keys)

    def holds(self, prop: Prop, angle: float) -> Hand:
        """A hand that never lets go of the prop."""
        hand = self.hand(angle, "grasp", under=self.hidden())
        offset = self.contact(prop.thing, angle)
        inside = [v + offset for v in prop.place.values if np.abs(v).max() < 0.4]
        hand.grip = Path(lambda t: prop.place(t) + offset, inside or [offset])
        return hand

    # ---- what the camera sees ----------------------------------------------------------------

    def interesting(self) -> np.ndarray:
        """Points (n, 3) that should be in the picture."""
        points = [np.zeros((1, 3))]
        for actor in self.actors:
            if isinstance(actor, Stream):
                continue
            if isinstance(actor, Prop):
                half = 0.5 * np.array([actor.thing.width, actor.thing.height, 0]) * actor.size
                middle = (0, 0.5 * actor.thing.height, 0)
                values = actor.place.values
                near = values[np.abs(values).max(1) < 0.32] + middle
                points += [near - half, near + half]
            elif isinstance(actor, Hand):
                values = np.atleast_2d(actor.grip.values)
                points.append(values[np.abs(values).max(1) < 0.3])
        return np.concatenate(points)

    def film_from(self, height: int, width: int) -> Camera:
        """The camera: the action anywhere in the middle square, as long as it fits."""
        axes = np.stack([self.right, self.up, np.cross(self.up, self.right)])
        axes[2] = (0, -np.sin(self.pitch), np.cos(self.pitch))
        points = self.interesting() @ axes.T  # (n, 3): right, up, forward
        flat = points[:, :2] / (self.distance + points[:, 2:]) * self.focal
        low, high = np.percentile(flat, 2, axis=0), np.percentile(flat, 98, axis=0)
        span = float((high - low).max())
        distance = self.distance
        if span > 0.8:
            distance *= span / 0.8
            flat = points[:, :2] / (distance + points[:, 2:]) * self.focal
            low, high = np.percentile(flat, 2, axis=0), np.percentile(flat, 98, axis=0)
        room = np.maximum(0.44 - (high - low) / 2, 0.0)
        room = np.minimum(room, self.wander)
        shift = self.rng.uniform(-1, 1, 2) * room - (low + high) / 2  # in short sides
        aim = -(shift[0] * self.right + shift[1] * self.up) * distance / self.focal
        return Camera(aim - distance * axes[2], self.pitch, 0.0, 0.0, self.focal, height, width)

    def fill_in(self, most: int) -> list[Prop]:
        """Other things that lie about, clear of the action."""
        rng = self.rng
        busy: list[tuple[float, float, float]] = []
        for actor in self.actors:
            if isinstance(actor, Prop):
                r = 0.5 * max(actor.thing.width, actor.thing.depth)
                values = actor.place.values
                busy += [(v[0], v[2], r) for v in values if np.abs(v).max() < 0.5]
        extra = []
        for _ in range(most):
            thing = things.EVERYDAY[rng.integers(len(things.EVERYDAY))](rng)
            r = 0.5 * max(thing.width, thing.depth)
            for _ in range(12):
                x, z = rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.55)
                z = min(z, self.room.edge + self.room.slant * x - r)
                ahead = [z < bz and abs(x - bx) < r + br + 0.03 for bx, bz, br in busy]
                if all(np.hypot(x - bx, z - bz) > r + br + 0.08 for bx, bz, br in busy) and not any(
                    ahead
                ):
                    busy.append((x, z, r))
                    prop = Prop(thing, Keys((0, (x, 0.0, z))), tilt=0.6 * self.pitch)
                    prop.angles = Keys((0, (0.0, rng.uniform(-3, 3) * (not thing.upright), 0.0)))
                    extra.append(prop)
                    break
        return extra
