"""Tabletop with real pictures in it: domain randomisation for training (Tobin et al. 2017,
arXiv:1703.06907).

The scenes, their actions and their timing are Tabletop's own. What surrounds them varies far more:
photographs are table tops, walls, whole backgrounds and the surfaces of things; the camera is
nearer, shakier, and cuts off what happens; hands are larger; people sit behind the table; light,
colours, sharpness and compression are those of bad cameras. `photographs` takes any folder of
pictures; docs/tabletop.md lists those that the shipped network was trained with, and their
licences. None of them is shipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hands import REACH, SIDE, HandLook, HandMesh, painted

from gradcam_video.tabletop.actors import Actor, Group, Hand, Prop
from gradcam_video.tabletop.renderer import Camera, Canvas, Eye, Hull, Picture, Round, Spot
from gradcam_video.tabletop.room import TEXTURE
from gradcam_video.tabletop.scene import Plan
from gradcam_video.tabletop.shapes import Part, Rng, colour
from gradcam_video.tabletop.stage import Stage

LONGEST = 900  # pixels of a photograph's short side, at most
SWATCH = 128  # pixels of a surface's side


@cache
def photographs(folder: Path) -> tuple[np.ndarray, ...]:
    """The pictures of a folder, uint8 (h, w, 3) RGB, in the order of their names."""
    found = []
    for path in sorted(folder.glob("*.jpg")):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            found.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
    if not found:
        raise SystemExit(f"{folder}: no .jpg pictures here; see docs/tabletop.md")
    return tuple(found)


def piece(rng: Rng, photos: Sequence[np.ndarray], rows: int, columns: int) -> np.ndarray:
    """A random piece of a photograph, uint8 (rows, columns, 3), its colours perhaps moved."""
    photo = photos[int(rng.integers(len(photos)))]
    height, width = photo.shape[:2]
    ratio = rows / columns
    most = min(height, width * ratio)  # rows of the largest piece of that shape
    tall = max(16, int(most * np.exp(rng.uniform(np.log(0.15), 0))))
    wide = max(16, int(tall / ratio))
    top = int(rng.integers(max(1, height - tall + 1)))
    left = int(rng.integers(max(1, width - wide + 1)))
    cut = photo[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        cut = cut[:, ::-1]
    cut = cv2.resize(np.ascontiguousarray(cut), (columns, rows), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.4:
        hsv = cv2.cvtColor(cut, cv2.COLOR_RGB2HSV).astype(np.int32)
        hsv[..., 0] = (hsv[..., 0] + int(rng.integers(180))) % 180
        hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.2, 1.1), 0, 255)
        cut = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)
    return cut


def tile(picture: np.ndarray) -> np.ndarray:
    """Four mirrored copies: a picture of twice the side that repeats without a seam."""
    upper = np.hstack([picture, picture[:, ::-1]])
    return np.vstack([upper, upper[::-1]])


# ---- surfaces ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coat:
    """A paint with a photograph's surface on it, that moves and grows with its thing."""

    paint: np.ndarray | Picture | Round | Spot
    swatch: np.ndarray  # float32 (h, w, 3), 0..255, repeats
    to_pixels: np.ndarray  # (2, 3)
    share: float  # how much of the colour is the photograph's

    def at(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        plain = self.paint
        if isinstance(plain, np.ndarray):
            base = plain.astype(np.float32)
        else:
            base = plain.at(left, top, width, height)
        m = self.to_pixels - [[0, 0, left], [0, 0, top]]
        surface = cv2.warpAffine(
            self.swatch, m, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        # The paint's light and shadow stay: only its colour becomes the photograph's.
        light = base.mean(-1, keepdims=True) / 110 if base.ndim == 3 else base.mean() / 110
        grain = surface / max(float(self.swatch.mean()), 1.0)
        return (1 - self.share) * base * (0.4 + 0.6 * grain) + self.share * surface * light


class CoatedCanvas(Canvas):
    """The same pixels; whatever is painted gets a coat."""

    def __init__(self, canvas: Canvas, swatch: np.ndarray, m: np.ndarray, share: float) -> None:
        self.rgb, self.roles = canvas.rgb, canvas.roles
        self.coat = (swatch, m, share)

    def _blend(self, box: Any, cover: np.ndarray, paint: Any, role: int, alpha: float) -> None:
        super()._blend(box, cover, Coat(paint, *self.coat), role, alpha)  # ty: ignore


@dataclass(frozen=True)
class CoatedPart:
    part: Part
    swatch: np.ndarray
    m: np.ndarray
    share: float

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        self.part.paint(CoatedCanvas(canvas, self.swatch, self.m, self.share), eye, role, blur)


class MeshHand:
    """A hand of Tabletop, painted from a rigged mesh (hands.py)."""

    def __init__(self, hand: Hand, mesh: HandMesh, rng: Rng) -> None:
        self.hand, self.mesh, self.role = hand, mesh, hand.role
        self.seen = HandLook.draw(rng)
        self.pictures: dict[tuple[str, str, int], Any] = {}

    def anchor(self, t: float) -> np.ndarray:
        return self.hand.anchor(t)

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        return self.hand.shadows(t)

    def groups(self, t: float, eye: Eye) -> list[Group]:
        hand = self.hand
        name, other, share = hand.between(t)
        key = name, other, round(3 * share)
        if key not in self.pictures:
            self.pictures[key] = painted(
                self.mesh, self.seen, hand.look.skin, name, other, key[2] / 3
            )
        rgb, cover, (u, v) = self.pictures[key]
        grip, a, size = hand.grip(t), hand.angle + float(hand.turn(t)), hand.look.size
        along = (np.cos(a) * hand.right + np.sin(a) * hand.up) * size
        across = (-np.sin(a) * hand.right + np.cos(a) * hand.up) * size
        if hand.left:
            across = -across

        def world(plane: Sequence[tuple[float, float]]) -> np.ndarray:
            points = np.asarray(plane, float)
            return grip + points[:, :1] * along + points[:, 1:] * across

        cuff = min(-hand.look.cuff, u + 0.01)
        arm = world([(u + 0.006, v + 0.027), (u + 0.006, v - 0.027), (-1.3, -0.05), (-1.3, 0.05)])
        sleeve = world([(cuff, v + 0.042), (cuff, v - 0.042), (-1.3, -0.08), (-1.3, 0.08)])
        axis = world([(-1.3, 0.0), (u, v)])
        light = 0.9 * (self.seen.ambient + 0.6)
        parts: list[Any] = [
            Hull(arm, hand.look.skin * light, axis, 0.2, 0.35),
            HandPicture(rgb, cover, grip, along, across),
            Hull(sleeve, hand.look.sleeve, axis, 0.2, 0.4),
        ]
        depth = eye.depth(grip) - 0.02 * grip[1]
        return [(depth + (0.06 if hand.under else -0.07), parts)]


@dataclass(frozen=True)
class HandPicture:
    """A painted hand in the plane that faces the camera."""

    rgb: np.ndarray
    cover: np.ndarray
    grip: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        k = REACH / SIDE
        origin = self.grip - 0.5 * SIDE * k * (self.along - self.across)
        corners = np.array([(0, 0), (SIDE, 0), (SIDE, SIDE), (0, SIDE)])
        flat = origin + corners[:, :1] * k * self.along - corners[:, 1:] * k * self.across
        box = canvas._box(eye.project(flat), 2.0, blur)
        if box is None:
            return
        left, top, width, height = box
        shift = np.array([[1, 0, -left - 0.5], [0, 1, -top - 0.5], [0, 0, 1]])
        m = shift @ eye.plane(origin, self.along * k, -self.across * k)
        solid = np.dstack([self.rgb * self.cover[..., None], self.cover])
        patch = cv2.warpPerspective(solid, m, (width, height), flags=cv2.INTER_AREA)
        length = float(np.abs(blur).max())
        if length >= 1.5:
            steps = int(length) + 1
            kernel = np.zeros((2 * steps + 1, 2 * steps + 1), np.float32)
            ends = [np.rint(steps + sign * 0.5 * blur).astype(int).tolist() for sign in (-1, 1)]
            cv2.line(kernel, ends[0], ends[1], 1.0)
            patch = cv2.filter2D(patch, -1, kernel / kernel.sum())
        cover = patch[..., 3]
        colours = patch[..., :3] / np.maximum(cover, 1e-3)[..., None]
        mask = np.clip(cover * 255, 0, 255).astype(np.uint8)
        canvas._blend(box, mask, Surface(colours), role, 1.0)  # ty: ignore


@dataclass(frozen=True)
class Surface:
    """A paint that is a patch of pixels already."""

    colours: np.ndarray

    def at(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        return self.colours


class CoatedActor:
    """An actor whose parts wear a coat."""

    def __init__(self, actor: Actor, swatch: np.ndarray, share: float, side: float) -> None:
        self.actor, self.role = actor, actor.role
        self.swatch, self.share, self.side = swatch, share, side  # metres that it covers

    def anchor(self, t: float) -> np.ndarray:
        return self.actor.anchor(t)

    def shadows(self, t: float) -> list[tuple[np.ndarray, float, float, float]]:
        return self.actor.shadows(t)

    def groups(self, t: float, eye: Eye) -> list[Group]:
        middle = self.anchor(t)
        x, y = eye.project(middle[None])[0]
        scale = self.side * eye.camera.unit / max(eye.depth(middle), 0.1) / len(self.swatch)
        angle = float(self.actor.angles(t)[2]) if isinstance(self.actor, Prop) else 0.0
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        m = np.array([[c, s, x], [-s, c, y]])
        return [
            (depth, [CoatedPart(p, self.swatch, m, self.share) for p in parts])
            for depth, parts in self.actor.groups(t, eye)
        ]  # ty: ignore


# ---- the scene -----------------------------------------------------------------------------------


class TiltedStage(Stage):
    """A stage that is filmed from the table's edge, or from above."""

    tilts = (0.12, 1.3)


class RandomisedPlan(Plan):
    """A scene of Tabletop, filmed by somebody, somewhere. `Plan`'s attributes hold."""

    stage = TiltedStage

    def __init__(
        self, label: str, seed: int, photos: Sequence[np.ndarray], mesh: HandMesh | None = None
    ) -> None:
        super().__init__(label, seed)
        self.mesh = mesh
        rng = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, 1703])
        self.photos, self.rng = photos, rng
        half = TEXTURE // 2
        for name in ("table", "wall"):
            if rng.random() < 0.75:
                self.room.__dict__[name] = tile(piece(rng, photos, half, half))
        for i, (where, _) in enumerate(self.room.pictures):
            if rng.random() < 0.7:
                self.room.pictures[i] = where, piece(rng, photos, 64, 64)
        moving = "metres" in self.moves
        turning = "yaw" in self.moves or "pitch" in self.moves
        self.backdrop = rng.random() < (0.5 if turning else 0.3) and not moving
        self.seat = None if moving or rng.random() > 0.3 else _Sitter.draw(rng, photos)
        self.others = [self._coated(prop) for prop in self.others]
        for actor in self.actors:
            if isinstance(actor, Hand):
                actor.look.size *= rng.uniform(1.0, 1.25)
        self.actors = [self._coated(actor) for actor in self.actors]
        zoom = np.exp(rng.uniform(np.log(0.9), np.log(1.2 if turning or moving else 1.9)))
        film = self.film
        drift = rng.normal(0, rng.choice([0.0, 0.12]), 4)  # auto exposure
        ticks = np.linspace(0, 3, len(film.flicker))
        self.film = replace(
            film,
            shake=film.shake * rng.choice([0.5, 1.5, 2.5]),
            flicker=film.flicker * np.exp(np.interp(ticks, np.arange(4), drift)),
            defocus=rng.choice([0.0, rng.uniform(0.002, 0.012)]),
            grain=rng.uniform(0, 9),
            quality=int(rng.integers(12, 95)),
        )
        self.camera = self.camera.moved(focal=self.camera.focal * zoom)
        self.tone = Tone.draw(rng)

    def _coated(self, actor: Actor) -> Actor:
        rng = self.rng
        if isinstance(actor, Hand) and self.mesh is not None and rng.random() < 0.85:
            return MeshHand(actor, self.mesh, rng)  # ty: ignore
        if isinstance(actor, Hand):
            swatch = tile(piece(rng, self.photos, SWATCH // 2, SWATCH // 2)).astype(np.float32)
            grey = swatch.mean(-1, keepdims=True)
            skin = 110 + rng.uniform(0.1, 0.5) * (grey - grey.mean())
            swatch = np.repeat(skin, 3, -1).astype(np.float32)
            return CoatedActor(actor, swatch, 0.0, rng.uniform(0.05, 0.3))  # ty: ignore
        if rng.random() < 0.3:
            return actor
        swatch = tile(piece(rng, self.photos, SWATCH // 2, SWATCH // 2)).astype(np.float32)
        share = float(rng.choice([0.0, 0.5, 0.95]))
        return CoatedActor(actor, swatch, share, rng.uniform(0.08, 0.5))  # ty: ignore

    def _still(self, camera: Camera) -> np.ndarray:
        rgb = super()._still(camera)
        if self.backdrop:
            rng = np.random.default_rng([self.seed & 0xFFFFFFFF, 17])
            photo = piece(rng, self.photos, camera.height, camera.width)
            rgb = photo.astype(np.float32)
        if self.seat is not None:
            canvas, eye = Canvas(rgb), Eye(camera)
            self.seat.paint(canvas, eye, self.room.edge + 0.08)
            rgb = canvas.rgb
        return rgb

    def paint(self, frame: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        picture, roles = super().paint(frame, size)
        return self.tone(picture), roles


@dataclass(frozen=True)
class _Sitter:
    """Somebody who sits behind the table: a trunk in a shirt, and a neck."""

    x: float
    width: float
    height: float
    swatch: np.ndarray
    share: float
    shirt: np.ndarray
    skin: np.ndarray

    @classmethod
    def draw(cls, rng: Rng, photos: Sequence[np.ndarray]) -> _Sitter:
        swatch = tile(piece(rng, photos, SWATCH // 2, SWATCH // 2)).astype(np.float32)
        return cls(
            rng.uniform(-0.25, 0.25),
            rng.uniform(0.32, 0.5),
            rng.uniform(0.3, 0.55),
            swatch,
            float(rng.choice([0.0, 0.9])),
            colour(rng, 0.1, 0.9),
            np.array([rng.uniform(90, 235), rng.uniform(60, 180), rng.uniform(40, 150)]),
        )

    def paint(self, canvas: Canvas, eye: Eye, z: float) -> None:
        w, h = self.width / 2, self.height
        outline = [(-w, -0.2), (-1.05 * w, 0.5 * h), (-w, 0.85 * h), (-0.5 * w, h), (0.5 * w, h),
                   (w, 0.85 * h), (1.05 * w, 0.5 * h), (w, -0.2)]  # fmt: skip
        body = np.array([(self.x + x, y, z) for x, y in outline])
        neck = np.array([(self.x + x, y, z) for x in (-0.06, 0.06) for y in (h - 0.03, h + 0.3)])
        axis = np.array([[self.x, 0, z], [self.x, h, z]])
        x, y = eye.project(body.mean(0)[None])[0]
        scale = 0.3 * eye.camera.unit / max(eye.depth(body.mean(0)), 0.1) / len(self.swatch)
        m = np.array([[scale, 0, x], [0, scale, y]])
        still = np.zeros(2)
        Hull(neck, self.skin, axis, 0.2, 0.4).paint(canvas, eye, 0, still)
        coated = CoatedCanvas(canvas, self.swatch, m, self.share)
        Hull(body, self.shirt, axis, 0.2, 0.4).paint(coated, eye, 0, still)


@dataclass(frozen=True)
class Tone:
    """How a camera renders light: gamma, contrast, saturation, white balance. One for a clip."""

    gamma: float
    steep: float
    vivid: float
    balance: np.ndarray
    offset: float

    @classmethod
    def draw(cls, rng: Rng) -> Tone:
        return cls(
            float(np.exp(rng.uniform(-0.45, 0.45))),
            rng.uniform(0.7, 1.6),
            rng.uniform(0.4, 1.5),
            np.exp(rng.normal(0, 0.12, 3)),
            rng.uniform(-30, 30),
        )

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        levels = np.linspace(0, 1, 256) ** self.gamma * 255
        levels = (levels - 120) * self.steep + 120 + self.offset
        table = np.clip(levels[:, None] * self.balance, 0, 255).astype(np.uint8)  # (256, 3)
        toned = cv2.LUT(frame, table[None])
        grey = cv2.cvtColor(cv2.cvtColor(toned, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.addWeighted(toned, self.vivid, grey, 1 - self.vivid, 0)
