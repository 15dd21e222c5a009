"""The demonstration world: made clips of one moving shape, and the small network that knows it.

It is here so that everything can be tried at once, with nothing to download, and so that an
explanation can be *checked*: the truth (where the shape is, when it moves) is known. Each clip
shows a textured background, a few still shapes and one more shape which is held, moved or
picked up. Only the motion tells the class: the scene is drawn from the seed alone, so
`render("Moving [something] down", 7)` and `render("Picking [something] up", 7)` show the same
things in the same place, and differ in the order of time.

The network in `weights/demo.safetensors` was trained by `scripts/train_demo.py`. It knows made
moving shapes and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from gradcam_video.clip import Clip
from gradcam_video.errors import BadInput
from gradcam_video.inflate import inflate

# ---------------------------------------------------------------------------------------------
# Words and numbers
# ---------------------------------------------------------------------------------------------

HOLDING = "Holding [something]"
LEFT_TO_RIGHT = "Moving [something] from left to right"
RIGHT_TO_LEFT = "Moving [something] from right to left"
DOWN = "Moving [something] down"
UP = "Picking [something] up"
TOWARDS = "Moving [something] towards the camera"
AWAY = "Moving [something] away from the camera"

NAMES: tuple[str, ...] = (HOLDING, LEFT_TO_RIGHT, RIGHT_TO_LEFT, DOWN, UP, TOWARDS, AWAY)
"""The seven classes, in the order of the network's outputs; all are among the post's forty."""

OPPOSITE: dict[str, str] = {
    HOLDING: HOLDING,
    LEFT_TO_RIGHT: RIGHT_TO_LEFT,
    RIGHT_TO_LEFT: LEFT_TO_RIGHT,
    DOWN: UP,
    UP: DOWN,
    TOWARDS: AWAY,
    AWAY: TOWARDS,
}
"""The class of the same clip played backwards."""

SIZE = 112
"""Side of the network's input in pixels."""
FRAMES = 16
FPS = 4.0
MEAN: tuple[float, float, float] = (0.5, 0.5, 0.5)
STD: tuple[float, float, float] = (0.25, 0.25, 0.25)
"""Preprocessing: pixels in 0..1, minus `MEAN`, divided by `STD`, per colour channel."""


# ---------------------------------------------------------------------------------------------
# The world
# ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scene:
    """A made clip and the truth about it.

    Attributes:
        clip: the pictures, as if read from a file.
        label: one of `NAMES`.
        masks: bool `(T, H, W)` per role; the only role here is `"object"`.
        action: first and last moving frame, both included. A frame moves when the object is
            elsewhere than in the frame before. Holding lasts the whole clip.
    """

    clip: Clip
    label: str
    masks: dict[str, np.ndarray]
    action: tuple[int, int]


def render(
    label: str,
    seed: int,
    *,
    size: tuple[int, int] = (SIZE, SIZE),
    frames: int = FRAMES,
    fps: float = FPS,
    delay: int = 0,
    without: tuple[str, ...] = (),
) -> Scene:
    """Make one clip. The same arguments give the same bytes.

    Args:
        label: one of `NAMES`.
        seed: draws everything but the class: shapes, colours, place, size, start and length of
            the action, camera shake, noise.
        size: height and width in pixels. The action stays in the middle square of the frame.
        frames: number of frames.
        fps: frames per second; only the times of the clip depend on it.
        delay: the action starts this many frames later (or earlier, when negative); all else
            stays as it was.
        without: what to leave out, all else staying as it was: `"object"`, `"distractors"`,
            `"shake"`, `"noise"`.

    Raises:
        BadInput: the label, a size or a part is not known, or the delay moves the action out of
            the clip.
    """
    _check(label, size, frames, fps, without)
    height, width = size
    unit = min(size)  # one unit of length is the short side
    rng = np.random.default_rng(seed)

    # Everything is drawn here, in a fixed order, before anyone looks at the label.
    background = _Background.draw(rng)
    distractors = [_Shape.draw(rng, background.colours) for _ in range(3)]
    n_distractors = int(rng.integers(0, 4))
    spots = rng.uniform((0.05, 0.05), (0.95, 0.95), (3, 2))  # (x, y), fractions of the frame
    thing = _Shape.draw(rng, background.colours)
    motion = _Motion.draw(rng, frames)
    zoom = rng.uniform(0.85, 1.2)
    exposure = rng.uniform(0.8, 1.1) * (1 + 0.01 * rng.standard_normal(frames))  # (T,)
    shake = _smooth(rng.standard_normal((frames, 2))) * rng.uniform(0, 0.006)  # (T, 2)
    grain = rng.uniform(0, 4)  # standard deviation of the noise, of 255
    noise = rng.standard_normal((frames, height, width, 1), dtype=np.float32)

    first, last = motion.first + delay, motion.first + motion.length - 1 + delay
    if label == HOLDING:
        first, last = 0, frames - 1
    if first < (label != HOLDING) or last > frames - 1:
        earliest, latest = 1 - motion.first, frames - motion.first - motion.length
        raise BadInput(
            f"render({label!r}, {seed}): a delay of {delay} frames moves the action out of the"
            f" clip; use {earliest} to {latest}"
        )
    if "shake" in without:
        shake = np.zeros_like(shake)
    if "noise" in without:
        noise = np.zeros_like(noise)

    # The still part of the scene, with a margin for the camera's shake.
    margin = 2 + int(0.03 * unit)
    canvas = background.paint(height, width, unit, margin)  # (H + 2m, W + 2m, 3)
    if "distractors" not in without:
        for shape, (x, y) in list(zip(distractors, spots, strict=True))[:n_distractors]:
            place = np.array([[x * width, y * height]]) + margin
            shape.paint(canvas[None], place, np.array([shape.radius * zoom * unit]))
    pixels = shake * unit  # (T, 2)
    film = np.stack([_shifted(canvas, margin, dx, dy) for dx, dy in pixels])  # (T, H, W, 3)

    # The thing: its track in the middle square, moved by the shake as everything else is.
    track, scale, turn = motion.track(label, first, frames)  # (T, 2), (T,), (T,)
    corner = np.array([(width - unit) / 2, (height - unit) / 2])
    place = corner + track * unit - pixels
    mask = np.zeros((frames, height, width), dtype=bool)
    if "object" not in without:
        mask = thing.paint(film, place, thing.radius * zoom * unit * scale, turn)

    film *= exposure[:, None, None, None].astype(np.float32)
    film += noise * np.float32(grain)
    clip = Clip(
        frames=np.clip(film + 0.5, 0, 255).astype(np.uint8),
        times=np.arange(frames) / fps,
        repeated=np.zeros(frames, dtype=bool),
        source=f"made clip, seed {seed}",
        fps=fps,
    )
    return Scene(clip, label, {"object": mask}, (first, last))


PARTS = ("object", "distractors", "shake", "noise")


def _check(
    label: str, size: tuple[int, int], frames: int, fps: float, without: tuple[str, ...]
) -> None:
    if label not in NAMES:
        raise BadInput(f"render: no class {label!r} in the demonstration world; use {NAMES}")
    if min(size) < 32:
        raise BadInput(f"render: size {size} is too small; use at least 32 pixels a side")
    if frames < 8:
        raise BadInput(f"render: {frames} frames are too few for an action; use at least 8")
    if not fps > 0:
        raise BadInput(f"render: fps={fps}; use a number above 0")
    for part in without:
        if part not in PARTS:
            raise BadInput(f"render: no part {part!r} to leave out; use {PARTS}")


@dataclass(frozen=True)
class _Motion:
    """One motion, and what each class makes of it. Lengths are in short sides."""

    first: int  # first moving frame
    length: int  # number of moving frames
    middle: np.ndarray  # (2,): the middle of the path, x and y
    travel: float  # length of the path
    slant: float  # radians off the straight direction
    growth: float  # ratio of the sizes, for towards and away
    drift: np.ndarray  # (2,): how far a growing thing wanders
    turn: np.ndarray  # (2,): angle before and after
    tremble: np.ndarray  # (T, 2): a held thing is never quite still

    @classmethod
    def draw(cls, rng: np.random.Generator, frames: int) -> _Motion:
        length = round(rng.uniform(0.36, 0.7) * frames)
        first = int(rng.integers(1, frames - length + 1))
        travel = rng.uniform(0.25, 0.42)
        room = 0.5 - 0.03 - travel / 2  # the middle of the thing stays in the frame
        turn = rng.uniform(-np.pi, np.pi)
        return cls(
            first=first,
            length=length,
            middle=0.5 + rng.uniform(-room, room, 2),
            travel=travel,
            slant=rng.uniform(-0.3, 0.3),
            growth=rng.uniform(1.8, 2.8),
            drift=rng.uniform(-0.05, 0.05, 2),
            turn=np.array([turn, turn + rng.uniform(-0.8, 0.8)]),
            tremble=rng.standard_normal((frames, 2)) * rng.uniform(0.004, 0.012),
        )

    def track(
        self, label: str, first: int, frames: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Place `(T, 2)`, scale `(T,)` and angle `(T,)` of the thing in each frame."""
        if label == HOLDING:
            return self.middle + self.tremble, np.ones(frames), np.full(frames, self.turn[0])
        # 0 up to the frame before the first moving one, 1 from the last one on; smooth between.
        p = np.clip((np.arange(frames) - (first - 1)) / self.length, 0, 1)
        p = p * p * (3 - 2 * p)
        if label in (RIGHT_TO_LEFT, UP, AWAY):
            p = 1 - p  # the opposite class is the same path backwards
        turn = self.turn[0] + p * (self.turn[1] - self.turn[0])
        if label in (TOWARDS, AWAY):
            return self.middle + np.outer(p - 0.5, self.drift), self.growth ** (p - 0.5), turn
        along, across = self.travel * np.cos(self.slant), self.travel * np.sin(self.slant)
        step = (along, across) if label in (LEFT_TO_RIGHT, RIGHT_TO_LEFT) else (across, along)
        return self.middle + np.outer(p - 0.5, step), np.ones(frames), turn


# A shape is a function of local coordinates (the shape has radius 1) which is negative inside
# and grows by about 1 per unit of length: what anti-aliasing needs.
def _polygon(u: np.ndarray, v: np.ndarray, corners: int) -> np.ndarray:
    sector = 2 * np.pi / corners
    angle = (np.arctan2(v, u) + sector / 2) % sector - sector / 2
    return np.hypot(u, v) * np.cos(angle) - np.cos(sector / 2)


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    sector = 2 * np.pi / 5
    angle = np.abs((np.arctan2(v, u) + sector / 2) % sector - sector / 2)
    radius = np.hypot(u, v)
    # The edge runs from the tip (1, 0) to the notch at radius 0.5 and half a sector.
    edge = np.array([0.5 * np.cos(sector / 2) - 1, 0.5 * np.sin(sector / 2)])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return (radius * np.cos(angle) - 1) * normal[0] + radius * np.sin(angle) * normal[1]


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = np.abs(u), np.abs(v)
    return np.maximum(np.maximum(a, b) - 0.9, np.minimum(a, b) - 0.36)


_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disc": lambda u, v: np.hypot(u, v) - 0.9,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.68) - 0.28,
    "triangle": lambda u, v: _polygon(u, v, 3),
    "square": lambda u, v: _polygon(u, v, 4),
    "hexagon": lambda u, v: _polygon(u, v, 6),
    "star": _star,
    "cross": _cross,
}

_PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": lambda u, v: 0 * u,
    "shaded": lambda u, v: 0.5 + 0.5 * u,
    "stripes": lambda u, v: 0.5 + 0.5 * np.sin(9 * u),
    "checks": lambda u, v: 0.5 + 0.5 * np.sin(7 * u) * np.sin(7 * v),
    "rings": lambda u, v: 0.5 + 0.5 * np.cos(11 * np.hypot(u, v)),
}


@dataclass(frozen=True)
class _Shape:
    """A shape with a pattern in two colours and a darker rim."""

    family: str
    pattern: str
    colours: np.ndarray  # (2, 3), 0..255
    radius: float  # in short sides

    @classmethod
    def draw(cls, rng: np.random.Generator, against: np.ndarray) -> _Shape:
        # Of four colours the one that stands out most from the background.
        choice = _colour(rng, 4)
        away = np.abs(choice[:, None] - against).sum(-1).min(-1)
        body = choice[away.argmax()]
        other = body + rng.uniform(0.35, 0.6) * (_colour(rng, 1)[0] - body)
        return cls(
            family=str(rng.choice(list(_SHAPES))),
            pattern=str(rng.choice(list(_PATTERNS))),
            colours=np.stack([body, other]),
            radius=rng.uniform(0.12, 0.18),
        )

    def paint(
        self,
        film: np.ndarray,
        place: np.ndarray,
        radius: np.ndarray,
        turn: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw the shape into each frame of a film, in place.

        Args:
            film: float32 `(T, H, W, 3)`, 0..255.
            place: `(T, 2)` x and y in pixels; pixel i covers i to i + 1.
            radius: `(T,)` in pixels.
            turn: `(T,)` radians.

        Returns:
            bool `(T, H, W)`: the pixels that the shape covers by half or more.
        """
        count, height, width = film.shape[:3]
        mask = np.zeros((count, height, width), dtype=bool)
        turn = np.zeros(count) if turn is None else turn
        for t in range(count):
            (x, y), r = place[t], radius[t]
            left, right = _span(x, r + 1, width)
            top, bottom = _span(y, r + 1, height)
            if left >= right or top >= bottom:
                continue
            dx = (np.arange(left, right, dtype=np.float32) + 0.5 - x)[None, :] / r
            dy = (np.arange(top, bottom, dtype=np.float32) + 0.5 - y)[:, None] / r
            c, s = np.cos(turn[t]), np.sin(turn[t])
            u, v = c * dx + s * dy, c * dy - s * dx  # (h, w) each: the shape's own coordinates
            outside = _SHAPES[self.family](u, v) * r  # (h, w), pixels outside the edge
            cover = np.clip(0.5 - outside, 0, 1)[..., None]  # (h, w, 1)
            rim = np.clip(0.5 - (outside + 0.09 * r), 0, 1)[..., None]
            mix = _PATTERNS[self.pattern](u, v)[..., None]  # (h, w, 1)
            paint = self.colours[0] + mix * (self.colours[1] - self.colours[0])  # (h, w, 3)
            paint = paint * (0.55 + 0.45 * rim)
            patch = film[t, top:bottom, left:right]
            patch += (cover * (paint - patch)).astype(np.float32)
            mask[t, top:bottom, left:right] = cover[..., 0] >= 0.5
        return mask


@dataclass(frozen=True)
class _Background:
    """A soft gradient with blotches and a faint regular pattern."""

    colours: np.ndarray  # (2, 3), 0..255
    pattern: str
    angle: float
    pitch: float  # size of the pattern, in short sides
    strength: float
    waves: np.ndarray  # (5, 3): frequency x, frequency y, phase of the blotches

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Background:
        first, second = _colour(rng, 2)
        return cls(
            colours=np.stack([first, first + 0.6 * (second - first)]),
            pattern=str(rng.choice(list(_PATTERNS))),
            angle=rng.uniform(-np.pi, np.pi),
            pitch=rng.uniform(0.12, 0.5),
            strength=rng.uniform(0, 14),
            waves=rng.uniform((-14, -14, 0), (14, 14, 2 * np.pi), (5, 3)),
        )

    def paint(self, height: int, width: int, unit: int, margin: int) -> np.ndarray:
        """float32 `(H + 2 margin, W + 2 margin, 3)`, 0..255."""
        x = (np.arange(-margin, width + margin, dtype=np.float32) + 0.5 - width / 2) / unit
        y = (np.arange(-margin, height + margin, dtype=np.float32) + 0.5 - height / 2) / unit
        c, s = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        u, v = c * x + s * y[:, None], c * y[:, None] - s * x  # (h, w) each
        mix = np.clip(0.5 + 0.8 * u, 0, 1)[..., None]
        picture = self.colours[0] + mix * (self.colours[1] - self.colours[0])
        relief = self.strength * (_PATTERNS[self.pattern](u / self.pitch, v / self.pitch) - 0.5)
        for fx, fy, phase in self.waves.astype(np.float32):
            relief = relief + 4 * np.sin(fx * x + (fy * y + phase)[:, None])
        return (picture + relief[..., None]).astype(np.float32)


def _colour(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random colours `(count, 3)`, 0..255: any hue, from greyish to full."""
    hue, grey, value = rng.uniform((0, 0.1, 0.3), (1, 0.8, 0.95), (count, 3)).T
    wheel = np.abs((hue[:, None] * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1
    pure = np.clip(wheel, 0, 1)  # (count, 3)
    return 255 * value[:, None] * (pure + grey[:, None] * (1 - pure))


def _span(centre: float, reach: float, length: int) -> tuple[int, int]:
    return max(0, int(np.floor(centre - reach))), min(length, int(np.ceil(centre + reach)))


def _smooth(steps: np.ndarray) -> np.ndarray:
    """A wandering hand: a random walk that is pulled back to where it began."""
    place = np.zeros_like(steps)
    for t in range(1, len(steps)):
        place[t] = 0.7 * place[t - 1] + steps[t]
    return np.clip(place, -3, 3)


def _shifted(canvas: np.ndarray, margin: int, dx: float, dy: float) -> np.ndarray:
    """The canvas without its margin, seen by a camera moved by (dx, dy) pixels; bilinear."""
    height, width = canvas.shape[0] - 2 * margin, canvas.shape[1] - 2 * margin
    ix, iy = int(np.floor(dx)), int(np.floor(dy))
    fx, fy = np.float32(dx - ix), np.float32(dy - iy)
    rows = canvas[margin + iy : margin + iy + height + 1]
    rows = rows[:-1] + fy * (rows[1:] - rows[:-1])
    cols = rows[:, margin + ix : margin + ix + width + 1]
    return cols[:, :-1] + fx * (cols[:, 1:] - cols[:, :-1])


# ---------------------------------------------------------------------------------------------
# The network
# ---------------------------------------------------------------------------------------------


class DemoNet2d(nn.Module):
    """A small picture network: `(N, 3, H, W)` -> logits `(N, K)`, before softmax.

    The first two blocks take one cell for every 8 pixels (14×14 cells at 112). Kernels are odd
    and padded symmetrically, so cell i is centred at input pixel 8 i. A cell sees 29 pixels each
    way: little enough that what it says is about what is there. With a 3×3 kernel in the last
    block (45 pixels) the maps lay beside the object, in front of where it was going.
    """

    def __init__(self, classes: int = len(NAMES)) -> None:
        super().__init__()
        self.stem = _block(3, 16, kernel=5, stride=4)
        self.stage1 = _block(16, 32, kernel=3, stride=2)
        self.stage2 = _block(32, 32, kernel=3, stride=1)
        self.stage3 = _block(32, 64, kernel=1, stride=1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, 16, H/4, W/4)
        x = self.stage1(x)  # (N, 32, H/8, W/8)
        x = self.stage2(x)  # (N, 32, H/8, W/8)
        x = self.stage3(x)  # (N, 64, H/8, W/8): the maps of Grad-CAM are made of these
        return self.head(torch.flatten(self.pool(x), 1))


def _block(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def network() -> nn.Module:
    """The demonstration network, untrained: `DemoNet2d` inflated over time.

    Input `(N, 3, T, H, W)`; last map `(N, 64, T, H/8, W/8)`, each cell seeing 7 frames; logits
    `(N, 7)` in the order of `NAMES`. Time is padded by repeating the first and last frame: zeros
    there would look like a flash at both ends of the clip.
    """
    return inflate(DemoNet2d(), temporal_kernel=3, padding="replicate", which="spatial")
