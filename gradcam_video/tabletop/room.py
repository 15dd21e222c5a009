"""Where it happens and how it is filmed: rooms, tables, the camera's shake, the film's faults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from .renderer import Canvas, Eye, Face
from .shapes import LIGHT, Rng, colour, pattern

TEXTURE = 384  # pixels of a table's picture
COVERS = 1.1  # metres that it covers before it repeats


def _noise(rng: Rng, rows: int, columns: int, size: int = TEXTURE) -> np.ndarray:
    """Smooth noise in 0..1 that repeats at the borders, (size, size)."""
    small = rng.random((rows, columns), dtype=np.float32)
    small = np.pad(small, 2, mode="wrap")
    big = cv2.resize(small, None, fx=size / columns, fy=size / rows, interpolation=cv2.INTER_CUBIC)
    top, left = 2 * size // rows, 2 * size // columns
    return big[top : top + size, left : left + size]


def surface(rng: Rng, base: np.ndarray) -> np.ndarray:
    """A picture (TEXTURE, TEXTURE, 3) uint8 of wood, cloth, stone, tiles, print or plain paint."""
    other = base + rng.uniform(0.2, 0.7) * (colour(rng, 0.15, 0.95, 0.7) - base)
    v, u = np.mgrid[0:TEXTURE, 0:TEXTURE] / TEXTURE
    kind = rng.integers(8)
    if kind <= 1:  # wood: long fibres, perhaps planks
        mix = 0.6 * _noise(rng, 4, 48) + 0.4 * _noise(rng, 8, 128)
        if rng.random() < 0.6:
            planks = rng.integers(3, 8)
            mix = mix + 0.5 * np.floor(u * planks) % 2 * 0.4 - 0.9 * ((u * planks) % 1 < 0.03)
    elif kind == 2:  # a chequered cloth
        n = rng.integers(6, 16)
        mix = 0.5 * (np.sin(2 * np.pi * n * u) > 0) + 0.5 * (np.sin(2 * np.pi * n * v) > 0)
    elif kind == 3:  # stone
        mix = sum(0.5**i * _noise(rng, 4 * 2**i, 4 * 2**i) for i in range(5)) / 1.6
        mix = np.abs(2 * mix - 1)
    elif kind == 4:  # tiles
        n = rng.integers(3, 8)
        mix = 0.35 * _noise(rng, 6, 6) + 0.9 * (((u * n) % 1 < 0.04) | ((v * n) % 1 < 0.04))
    elif kind == 5:  # a printed cloth
        n = rng.integers(4, 12)
        r = rng.uniform(0.2, 0.4)
        mix = (
            np.hypot((u * n + 0.5 * (np.floor(v * n) % 2)) % 1 - 0.5, (v * n) % 1 - 0.5) < r
        ) * 0.9
    elif kind == 6:  # stripes
        n = rng.integers(3, 14)
        mix = 0.5 + 0.5 * np.sin(2 * np.pi * n * u + rng.uniform(0, 3) * np.sin(2 * np.pi * v))
    else:
        mix = 0.4 * _noise(rng, 5, 5)
    mix = np.asarray(mix, np.float32)[..., None]
    grain = rng.normal(0, rng.uniform(1, 5), (TEXTURE, TEXTURE, 1)).astype(np.float32)
    picture = base.astype(np.float32) + np.clip(mix, 0, 1) * (other - base).astype(np.float32)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Room:
    """A table, a wall behind it, and what hangs there."""

    seeds: tuple[int, int]  # of the table's and the wall's picture: made when they are painted
    angle: float  # of the table's pattern
    edge: float  # z of the table's far edge, metres
    slant: float  # of that edge
    gap: float  # from there to the wall
    pictures: list[tuple[np.ndarray, np.ndarray]]  # centre x, y, width, height; and the picture
    shade: float

    @classmethod
    def draw(cls, rng: Rng) -> Room:
        pictures = []
        for _ in range(rng.integers(2, 9)):
            where = np.array(
                [rng.uniform(-1.2, 1.2), rng.uniform(0.0, 1.0), *rng.uniform(0.12, 0.6, 2)]
            )
            pictures.append((where, pattern(rng, colour(rng, 0.2, 1.0, 0.7))))
        return cls(
            seeds=(int(rng.integers(2**62)), int(rng.integers(2**62))),
            angle=rng.uniform(-0.6, 0.6),
            edge=rng.uniform(0.2, 0.9),
            slant=rng.uniform(-0.12, 0.12),
            gap=rng.choice([0.02, rng.uniform(0.1, 1.2)]),
            pictures=pictures,
            shade=rng.uniform(0.6, 0.95),
        )

    @cached_property
    def table(self) -> np.ndarray:
        rng = np.random.default_rng(self.seeds[0])
        return surface(rng, colour(rng, 0.2, 0.95, 0.55))

    @cached_property
    def wall(self) -> np.ndarray:
        rng = np.random.default_rng(self.seeds[1])
        return surface(rng, colour(rng, 0.3, 1.0, 0.4))

    def reaching(self, edge: float) -> Room:
        """The same room, its table at least so deep."""
        return replace(self, edge=max(self.edge, edge))

    def paint(self, canvas: Canvas, eye: Eye) -> None:
        still = np.zeros(2)
        fine = eye.camera.unit / 0.9 / (TEXTURE / COVERS)  # how much finer the film is than paint
        back = self.edge + self.gap
        wall = np.array([[-6.0, -2, back], [6, -2, back], [6, 4, back], [-6, 4, back]])
        frame = (np.array([0.0, 0, back]), np.array([1.6, 0, 0]), np.array([0, -1.6, 0]))
        picture = _as_seen(self.wall, 0.7 * fine)
        Face(wall, self.wall[0, 0], picture, frame, self.shade, wrap=True).paint(
            canvas, eye, 0, still
        )
        for (x, y, w, h), what in self.pictures:
            o = np.array([x - w / 2, y + h, back - 0.005])
            a, b = np.array([w, 0, 0]), np.array([0, -h, 0])
            face = Face(
                np.stack([o, o + a, o + a + b, o + b]), what[0, 0], what, (o, a, b), self.shade
            )
            if all(eye.depth(p) > 0.1 for p in face.points):
                face.paint(canvas, eye, 0, still)
        far = np.array([[-4.0, 0, self.edge - 4 * self.slant], [4, 0, self.edge + 4 * self.slant]])
        table = np.concatenate([far, [[4, 0, -3], [-4, 0, -3]]])
        lip = np.concatenate([far + (0, -0.04, 0), far[::-1]])
        Face(lip, np.full(3, 40.0), wrap=True).paint(canvas, eye, 0, still)
        c, s = np.cos(self.angle), np.sin(self.angle)
        frame = (np.zeros(3), COVERS * np.array([c, 0, s]), COVERS * np.array([s, 0, -c]))
        picture = _as_seen(self.table, fine)
        Face(table, self.table[0, 0], picture, frame, 1.0, wrap=True).paint(canvas, eye, 0, still)


def _as_seen(picture: np.ndarray, fine: float) -> np.ndarray:
    """The picture at about the film's resolution: no shimmer from skipped pixels."""
    if fine >= 0.8:
        return picture
    side = max(24, int(TEXTURE * fine * 1.2))
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def smooth(rng: Rng, n: int, columns: int, every: int) -> np.ndarray:
    """A slow random walk about zero, (n, columns)."""
    knots = rng.normal(0, 1, (n // every + 3, columns))
    at = np.arange(n) / every
    return np.stack([np.interp(at, np.arange(len(knots)), k) for k in knots.T], 1)


@dataclass(frozen=True)
class Film:
    """What the camera does to the picture. Every number is drawn from the scene's seed."""

    shake: np.ndarray  # (ticks, 3): yaw, pitch, roll in radians, at 12 ticks a second
    light: np.ndarray  # (5, 5): an uneven light over the frame, about 1
    exposure: float
    flicker: np.ndarray  # (ticks,)
    balance: np.ndarray  # (3,)
    defocus: float  # in short sides
    shutter: float  # seconds: how long each frame is exposed
    grain: float  # standard deviation, of 255
    quality: int  # of the jpeg that the camera wrote; above 95: none

    @classmethod
    def draw(cls, rng: Rng, ticks: int) -> Film:
        held = rng.random() < 0.7  # by hand, or on a stand
        size = rng.uniform(0.002, 0.01) if held else 0.0
        shake = size * (smooth(rng, ticks, 3, 10) + 0.25 * smooth(rng, ticks, 3, 3)) * (1, 1, 0.7)
        light = 1 + rng.uniform(0.05, 0.3) * _gradient(rng)
        return cls(
            shake=shake,
            light=light.astype(np.float32),
            exposure=rng.uniform(0.75, 1.12),
            flicker=1 + 0.012 * smooth(rng, ticks, 1, 2)[:, 0],
            balance=np.clip(rng.normal(1, 0.05, 3), 0.88, 1.12),
            defocus=rng.choice([0.0, rng.uniform(0.002, 0.006)]),
            shutter=rng.uniform(0.01, 0.05),
            grain=rng.uniform(1, 7),
            quality=int(rng.integers(45, 100)),
        )

    def develop(
        self, rgb: np.ndarray, tick: float, noise: np.ndarray, without: tuple[str, ...]
    ) -> np.ndarray:
        """float32 (H, W, 3) as painted -> uint8 as filmed."""
        height, width = rgb.shape[:2]
        sigma = self.defocus * min(height, width)
        if sigma > 0.3 and "defocus" not in without:
            rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
        light = cv2.resize(self.light, (width, height), interpolation=cv2.INTER_CUBIC)
        gain = self.exposure * float(np.interp(tick, np.arange(len(self.flicker)), self.flicker))
        rgb = rgb * (light[..., None] * (gain * self.balance).astype(np.float32))
        if "noise" not in without:
            rgb += noise[..., None] * np.float32(self.grain)
        out = np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
        if self.quality <= 95 and "jpeg" not in without:
            options = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
            out = cv2.imdecode(cv2.imencode(".jpg", out, options)[1], cv2.IMREAD_COLOR)
        return np.asarray(out)


def _gradient(rng: Rng) -> np.ndarray:
    a, k = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.6)
    v, u = np.mgrid[-1:1:5j, -1:1:5j]
    return np.cos(a) * u + np.sin(a) * v + k * rng.normal(0, 0.5, (5, 5))


def cast(
    canvas: Canvas,
    eye: Eye,
    centre: np.ndarray,
    half: tuple[float, float],
    height: float,
    dark: float,
) -> None:
    """The shadow on the table of something of that half width and depth, that high above it."""
    away = -LIGHT[[0, 2]] / LIGHT[1] * height
    a = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    grow = 1.08 + 0.6 * height
    x = centre[0] + away[0] + half[0] * grow * np.cos(a) + 0.012
    z = centre[2] + away[1] + half[1] * grow * np.sin(a) + 0.008
    ground = np.stack([x, 0 * a, z], 1)
    if min(eye.depth(p) for p in ground[::7]) < 0.15:
        return
    unit = eye.camera.unit / max(eye.depth(np.array([x.mean(), 0, z.mean()])), 0.2)
    canvas.shadow(eye.project(ground), dark / (1 + 5 * height), (0.006 + 0.08 * height) * unit)
