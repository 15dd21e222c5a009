"""A small painter: a pinhole camera, flat shapes in space, and a canvas that remembers whose pixel
is whose.

Lengths are metres: x to the right, y up, z away from the camera, the table at y = 0. Pictures are
measured in short sides of the frame, so a scene looks the same at every size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

SUB = 4  # bits of a pixel's fraction that OpenCV's drawing takes
NEAR = 0.06  # metres: nothing nearer to the camera is drawn
Colour = np.ndarray  # float (3,), RGB 0..255


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Angles are radians; `focal` is in short sides of the frame.

    `pitch` > 0 looks down, `yaw` > 0 looks to the right, `roll` turns the picture.
    """

    position: np.ndarray
    pitch: float
    yaw: float
    roll: float
    focal: float
    height: int
    width: int

    @property
    def unit(self) -> float:
        """Pixels per metre at a distance of one metre."""
        return self.focal * min(self.height, self.width)

    @property
    def axes(self) -> np.ndarray:
        """Rows: the camera's right, up and forward in the world, (3, 3)."""
        cp, sp = np.cos(self.pitch), np.sin(self.pitch)
        cy, sy = np.cos(self.yaw), np.sin(self.yaw)
        forward = np.array([sy * cp, -sp, cy * cp])
        right = np.array([cy, 0.0, -sy])
        up = np.cross(forward, right)
        c, s = np.cos(self.roll), np.sin(self.roll)
        return np.stack([c * right + s * up, c * up - s * right, forward])

    def matrix(self) -> np.ndarray:
        """(3, 4): homogeneous world point -> homogeneous pixel; pixel i covers i to i + 1."""
        unit = self.unit
        k = np.array([[unit, 0, self.width / 2], [0, -unit, self.height / 2], [0, 0, 1]])
        axes = self.axes
        return k @ np.hstack([axes, -(axes @ self.position)[:, None]])

    def moved(self, **changes: Any) -> Camera:
        return replace(self, **changes)


class Eye:
    """A camera made ready for many points."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.m = camera.matrix()

    def depth(self, point: np.ndarray) -> float:
        return float(self.m[2, :3] @ point + self.m[2, 3])

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (n, 3) -> pixels (n, 2); what is too near comes out on the near plane."""
        h = points @ self.m[:, :3].T + self.m[:, 3]  # (n, 3)
        return h[:, :2] / np.maximum(h[:, 2:], NEAR)

    def clipped(self, polygon: np.ndarray) -> np.ndarray:
        """The part of a polygon (n, 3) that lies beyond the near plane."""
        return cut(polygon, polygon @ self.m[2, :3] + self.m[2, 3] - 2 * NEAR)

    def plane(self, origin: np.ndarray, along: np.ndarray, across: np.ndarray) -> np.ndarray:
        """(3, 3): plane coordinates (u, v, 1) -> homogeneous pixels."""
        base = self.m[:, :3] @ origin + self.m[:, 3]
        return np.stack([self.m[:, :3] @ along, self.m[:, :3] @ across, base], 1)


def cut(polygon: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The part of a polygon (n, d) where `side` (n,), linear along its edges, is above zero."""
    out = []
    for i in range(len(polygon)):
        a, b, at_a, at_b = polygon[i - 1], polygon[i], side[i - 1], side[i]
        if (at_a > 0) != (at_b > 0):
            out.append(a + (b - a) * at_a / (at_a - at_b))
        if at_b > 0:
            out.append(b)
    return np.array(out).reshape(-1, polygon.shape[1])


# ---- what is painted: each knows how to put itself on a canvas ----------------------------------


@dataclass(frozen=True)
class Face:
    """A flat polygon (n, 3), plain or with a picture.

    `picture` is an image (h, w, 3) that covers the parallelogram `frame` = (origin, along, across).
    """

    points: np.ndarray
    colour: Colour
    picture: np.ndarray | None = None
    frame: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    shade: float = 1.0
    wrap: bool = False
    alpha: float = 1.0

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        points = eye.clipped(self.points) if self.wrap else self.points
        if len(points) < 3:
            return
        shape = [eye.project(points)]
        paint: np.ndarray | Picture = self.colour * self.shade
        if self.picture is not None and self.frame is not None:
            origin, along, across = self.frame
            rows, columns = self.picture.shape[:2]
            to_pixels = eye.plane(origin, along / columns, across / rows)
            paint = Picture(self.picture, to_pixels, self.shade, self.wrap)
        canvas.fill(shape, paint, role, blur, self.alpha)


@dataclass(frozen=True)
class Hull:
    """The convex outline of points (n, 3), shaded as a round body about `axis` (2, 3)."""

    points: np.ndarray
    colour: Colour
    axis: np.ndarray | None = None
    light: float = 0.3  # -1..1: from which side of the axis the light comes
    roundness: float = 0.35
    alpha: float = 1.0

    def outline(self, eye: Eye) -> np.ndarray:
        return cv2.convexHull(eye.project(self.points).astype(np.float32))[:, 0]

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        outline = self.outline(eye)
        paint: np.ndarray | Round = self.colour
        if self.axis is not None:
            a, b = eye.project(self.axis)
            along = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
            across = np.array([-along[1], along[0]])
            reach = float(np.abs((outline - a) @ across).max()) + 1e-3
            paint = Round(self.colour, a, across / reach, self.light, self.roundness)
        canvas.fill([outline], paint, role, blur, self.alpha)


class Strip(Hull):
    """A band seen from outside: not convex, its points (n, 3) are its outline."""

    def outline(self, eye: Eye) -> np.ndarray:
        return eye.project(self.points)


@dataclass(frozen=True)
class Stroke:
    """A thick line through points (n, 3) with round ends; `width` in metres."""

    points: np.ndarray
    width: float
    colour: Colour

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        scale = eye.camera.unit / max(eye.depth(self.points[0]), NEAR)
        canvas.line(eye.project(self.points), self.width * scale, self.colour, role, blur)


@dataclass(frozen=True)
class Ball:
    """A sphere."""

    centre: np.ndarray
    radius: float
    colour: Colour
    light: np.ndarray  # (2,): where the bright spot is, in radii, right and up

    def paint(self, canvas: Canvas, eye: Eye, role: int, blur: np.ndarray) -> None:
        (x, y), depth = eye.project(self.centre[None])[0], eye.depth(self.centre)
        r = self.radius * eye.camera.unit / max(depth, NEAR)
        angle = np.linspace(0, 2 * np.pi, max(12, min(40, int(2 * r))), endpoint=False)
        outline = np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], 1)
        spot = np.array([x + self.light[0] * r, y - self.light[1] * r])
        canvas.fill([outline], Spot(self.colour, spot, 1.7 * r), role, blur)


# ---- paints: a colour per pixel of a patch ------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """An image laid on a plane and seen by the camera."""

    image: np.ndarray
    to_pixels: np.ndarray  # (3, 3): image coordinates -> pixels
    shade: float
    wrap: bool

    def at(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        # Pixel centres: OpenCV counts them at whole numbers, we at halves.
        shift = np.array([[1, 0, -left - 0.5], [0, 1, -top - 0.5], [0, 0, 1]])
        m = shift @ self.to_pixels @ np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        border = cv2.BORDER_WRAP if self.wrap else cv2.BORDER_REPLICATE
        out = cv2.warpPerspective(
            self.image, m, (width, height), flags=cv2.INTER_LINEAR, borderMode=border
        )
        return out * np.float32(self.shade)


@dataclass(frozen=True)
class Round:
    """A colour that darkens towards both sides of an axis."""

    colour: Colour
    origin: np.ndarray
    across: np.ndarray  # pixels -> -1..1 from side to side
    light: float
    roundness: float

    def at(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        x = (np.arange(left, left + width, dtype=np.float32) + 0.5 - self.origin[0])[None, :]
        y = (np.arange(top, top + height, dtype=np.float32) + 0.5 - self.origin[1])[:, None]
        side = x * np.float32(self.across[0]) + y * np.float32(self.across[1])  # (h, w)
        shade = 1.05 - self.roundness * np.minimum((side - self.light) ** 2, 2.0)
        return shade[..., None] * self.colour.astype(np.float32)


@dataclass(frozen=True)
class Spot:
    """A colour that darkens away from a bright spot."""

    colour: Colour
    spot: np.ndarray
    radius: float

    def at(self, left: int, top: int, width: int, height: int) -> np.ndarray:
        x = (np.arange(left, left + width, dtype=np.float32) + 0.5 - self.spot[0])[None, :]
        y = (np.arange(top, top + height, dtype=np.float32) + 0.5 - self.spot[1])[:, None]
        shade = 1.12 - 0.5 * np.minimum((x * x + y * y) / max(self.radius, 0.5) ** 2, 1.2)
        return shade[..., None] * self.colour.astype(np.float32)


class Canvas:
    """A picture in the making.

    Attributes:
        rgb: float32 `(H, W, 3)`, 0..255.
        roles: uint8 `(H, W)`, the number of the role that is in front at each pixel.
    """

    def __init__(self, rgb: np.ndarray) -> None:
        self.rgb = rgb
        self.roles = np.zeros(rgb.shape[:2], np.uint8)

    def fill(
        self,
        outlines: list[np.ndarray],
        paint: np.ndarray | Picture | Round | Spot,
        role: int,
        blur: np.ndarray | None = None,
        alpha: float = 1.0,
    ) -> None:
        """Fill outlines, each (n, 2) in pixels, smeared along `blur` (2,) pixels."""
        every = outlines[0] if len(outlines) == 1 else np.concatenate(outlines)
        box = self._box(every, 1.5, blur)
        if box is None:
            return

        def draw(mask: np.ndarray, shift: np.ndarray) -> None:
            fixed = [np.rint((o - shift) * 2**SUB).astype(np.int32) for o in outlines]
            cv2.fillPoly(mask, fixed, 255, cv2.LINE_AA, SUB)

        self._blend(box, self._cover(box, draw, blur), paint, role, alpha)

    def line(
        self,
        points: np.ndarray,
        width: float,
        paint: np.ndarray,
        role: int,
        blur: np.ndarray | None = None,
        alpha: float = 1.0,
    ) -> None:
        """A thick line through points (n, 2) in pixels, with round ends."""
        box = self._box(points, width / 2 + 1.5, blur)
        if box is None:
            return
        thick = max(1, round(width))

        def draw(mask: np.ndarray, shift: np.ndarray) -> None:
            fixed = np.rint((points - shift) * 2**SUB).astype(np.int32)
            cv2.polylines(mask, [fixed], False, 255, thick, cv2.LINE_AA, SUB)

        thin = min(1.0, max(width, 0.3))  # thinner than a pixel: paler
        self._blend(box, self._cover(box, draw, blur), paint, role, alpha * thin)

    def shadow(self, outline: np.ndarray, strength: float, soft: float) -> None:
        """Darken inside an outline (n, 2); `soft` is the width of its edge in pixels."""
        box = self._box(outline, 2 * soft + 2, None)
        if box is None or strength <= 0.01:
            return
        left, top, width, height = box
        mask = np.zeros((height, width), np.uint8)
        fixed = np.rint((outline - (left + 0.5, top + 0.5)) * 2**SUB).astype(np.int32)
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, SUB)
        size = 2 * max(1, round(soft)) + 1
        mask = cv2.blur(cv2.blur(mask, (size, size)), (size, size))
        patch = self.rgb[top : top + height, left : left + width]
        patch *= 1 - (strength / 255) * mask[..., None].astype(np.float32)

    def _box(
        self, points: np.ndarray, margin: float, blur: np.ndarray | None
    ) -> tuple[int, int, int, int] | None:
        """The patch around points: left, top, width, height; None outside the frame."""
        if blur is not None:
            margin += float(np.abs(blur).max()) / 2
        rows, columns = self.rgb.shape[:2]
        low, high = points.min(0) - margin, points.max(0) + margin
        left, top = max(0, int(low[0])), max(0, int(low[1]))
        right, bottom = min(columns, int(high[0]) + 1), min(rows, int(high[1]) + 1)
        return None if left >= right or top >= bottom else (left, top, right - left, bottom - top)

    @staticmethod
    def _cover(box: tuple[int, int, int, int], draw, blur: np.ndarray | None) -> np.ndarray:
        """How much of each pixel is covered, uint8 (h, w); a moving thing covers a streak."""
        left, top, width, height = box
        corner = np.array([left + 0.5, top + 0.5])
        mask = np.zeros((height, width), np.uint8)
        length = 0.0 if blur is None else float(np.abs(blur).max())
        if blur is None or length < 1.5:
            draw(mask, corner)
            return mask
        steps = min(12, 2 + int(length / 2))
        total = np.zeros((height, width), np.uint16)
        for part in np.linspace(-0.5, 0.5, steps):
            mask[:] = 0
            draw(mask, corner + part * blur)
            total += mask
        return (total // steps).astype(np.uint8)

    def _blend(
        self,
        box: tuple[int, int, int, int],
        cover: np.ndarray,
        paint: np.ndarray | Picture | Round | Spot,
        role: int,
        alpha: float,
    ) -> None:
        left, top, width, height = box
        colour = paint.astype(np.float32) if isinstance(paint, np.ndarray) else paint.at(*box)
        patch = self.rgb[top : top + height, left : left + width]
        weight = cover[..., None].astype(np.float32) * np.float32(alpha / 255)
        patch += weight * (colour - patch)
        if alpha >= 0.5:
            self.roles[top : top + height, left : left + width][cover >= 128] = role
