"""`render`: a label and a seed in, a clip and the truth about it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from ..data.clip import Clip, centre_start, choose_frames
from ..data.ground_truth import Truth, action_among
from ..data.labels import FORTY, FORTY_NAMES, find_label
from ..errors import BadInput
from .actions import PLAYS, TEMPLATE_PLAYS, Play
from .actors import HAND, OBJECT, SECOND, Actor
from .renderer import Camera, Canvas, Eye
from .room import Film, cast
from .shapes import Part
from .stage import ENTER, Stage

FPS = 12.0  # Something-Something's own rate
PARTS = (
    "hand", "object", "second", "distractors", "shake", "shadows", "noise", "defocus",
    "motion blur", "jpeg",
)  # fmt: skip
_ROLES = {"hand": HAND, "object": OBJECT, "second": SECOND}


@dataclass(frozen=True, eq=False)
class Scene:
    """A synthetic clip and the truth about it.

    Attributes:
        clip: the pictures, as if read from a file.
        label: one of the 40 classes.
        template: the template of the 174 that it was played from.
        placeholders: words for the template's [something]s.
        truth: masks per role, and the action's first and last frame.
    """

    clip: Clip
    label: str
    template: str
    placeholders: list[str]
    truth: Truth

    @property
    def masks(self) -> dict[str, np.ndarray]:
        """bool `(T, H, W)` per role: "hand", "object", "second", "target"."""
        return self.truth.masks

    @property
    def action(self) -> tuple[int, int]:
        """First and last frame of the action, both included."""
        assert self.truth.action is not None  # of a scene it is known
        return self.truth.action


class Plan:
    """A scene before any picture of it is painted: cheap to make, and to ask for single frames.

    Attributes:
        frames: how many frames the clip has at `fps`.
        action: its first and last frame of the action.
    """

    stage: type[Stage] = Stage

    def __init__(
        self,
        label: str,
        seed: int,
        *,
        fps: float = FPS,
        delay: int = 0,
        without: tuple[str, ...] = (),
        reverse: bool = False,
        template: str | None = None,
    ) -> None:
        index = find_label(label, FORTY_NAMES)
        self.label, self.seed, self.fps, self.without = FORTY_NAMES[index], seed, fps, without
        for part in without:
            if part not in PARTS:
                raise BadInput(f"render: no part {part!r} to leave out; use {', '.join(PARTS)}")
        if not fps > 0:
            raise BadInput(f"render: fps={fps}; use a number above 0")
        # The seed alone draws the scene: both classes of an opposite pair see the same numbers.
        rng = np.random.default_rng([seed & 0xFFFFFFFF, seed >> 32, 20171])
        play = _choose(index, template, rng)
        self.template = play.template
        stage = self.stage(rng)
        play.script(stage)
        self.whole, self.both = stage.whole, stage.both
        self.actors: list[Actor] = stage.actors
        self.moves = stage.moves
        self.room = stage.room
        self.words = stage.words

        self.seconds = stage.seconds
        lead = stage.before + ENTER * stage.seconds
        tail = stage.after + ENTER * stage.seconds
        if self.whole or stage.still:
            lead, tail = stage.before, stage.after
        self.frames = max(8, round((lead + stage.seconds + tail) * fps))
        if play.backwards:
            lead = tail
        self.start = lead + delay / fps  # seconds: where the action begins
        self.backwards = play.backwards != reverse
        first = int(np.ceil(self.start * fps - 1e-6))
        last = int(np.floor((self.start + self.seconds) * fps + 1e-6))
        if stage.still:
            first, last = 0, self.frames - 1
        if delay and not (first >= 0 and last <= self.frames - 1):
            low = -int(first - delay)
            raise BadInput(
                f"render({label!r}, {seed}): a delay of {delay} frames moves the action out of the "
                f"clip; use {low} to {self.frames - 1 - (last - delay)}"
            )
        self.action = (max(first, 0), min(max(last, first), self.frames - 1))

        ticks = int((lead + stage.seconds + tail) * 12) + 4
        self.film = Film.draw(rng, ticks)
        self.camera = stage.film_from(240, 320)
        self.others = stage.fill_in(int(rng.integers(0, 6)))
        self.dark = rng.uniform(0.25, 0.6)
        self._back: dict[tuple[int, int], tuple[np.ndarray, Camera]] = {}

    def sampled(self, frames: int, fps: float) -> tuple[np.ndarray, np.ndarray, float]:
        """The frames that `read_clip` would take: indices, which are repeats, and the start."""
        length = self.frames / self.fps
        start = centre_start(length, frames, fps)
        times = np.arange(self.frames) / self.fps
        return *choose_frames(times, length, frames, fps, start), start

    def time(self, frame: float) -> float:
        """The action's own time: 0 at its start, 1 at its end."""
        t = (frame / self.fps - self.start) / self.seconds
        return 1 - t if self.backwards else t

    def camera_at(self, frame: float, size: tuple[int, int]) -> Camera:
        base = self.camera.moved(height=size[0], width=size[1])
        t = self.time(frame)
        tick = frame / self.fps * 12
        ticks = np.arange(len(self.film.shake))
        yaw, pitch, roll = (float(np.interp(tick, ticks, c)) for c in self.film.shake.T)
        if "shake" in self.without:
            yaw = pitch = roll = 0.0
        position = base.position
        if "metres" in self.moves:
            right, up, forward = base.axes
            x, y, z = self.moves["metres"](t)
            position = position + x * right + y * up - z * forward
        if "yaw" in self.moves:
            yaw += float(self.moves["yaw"](t))
        if "pitch" in self.moves:
            pitch += float(self.moves["pitch"](t))
        return base.moved(position=position, pitch=base.pitch + pitch, yaw=yaw, roll=roll)

    def shot(self, indices: np.ndarray, size: tuple[int, int]) -> Scene:
        """The clip of these frames, and the truth about it."""
        painted = {int(i): self.paint(int(i), size) for i in np.unique(indices)}
        masks = self.masks(np.stack([painted[int(i)][1] for i in indices]))
        clip = Clip(
            frames=np.stack([painted[int(i)][0] for i in indices]),
            times=np.asarray(indices) / self.fps,
            repeated=np.zeros(len(indices), dtype=bool),
            source=f"Tabletop {self.seed}",
            fps=self.fps,
        )
        action = action_among(indices, self.action)
        return Scene(clip, self.label, self.template, self.words, Truth(masks, action, self.whole))

    # ---- painting ----------------------------------------------------------------------------

    def paint(self, frame: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """One frame: uint8 (H, W, 3), and the number of the role at each pixel, uint8 (H, W)."""
        camera = self.camera_at(frame, size)
        eye = Eye(camera)
        canvas = Canvas(self._backdrop(camera, size))
        t = self.time(frame)
        left_out = {_ROLES[part] for part in self.without if part in _ROLES}
        shown = [a for a in self.actors if a.role not in left_out]
        self._cast(canvas, eye, shown, t)
        sooner, later = (
            self._shutter(frame, size) if "motion blur" not in self.without else (eye, eye)
        )
        dt = 0.5 * self.film.shutter / self.seconds * (-1 if self.backwards else 1)
        groups = []
        for actor in shown:
            blur = np.zeros(2)
            if sooner is not eye:
                a, b = actor.anchor(t - dt), actor.anchor(t + dt)
                blur = later.project(b[None])[0] - sooner.project(a[None])[0]
            groups += [(depth, actor.role, parts, blur) for depth, parts in actor.groups(t, eye)]
        _paint(canvas, eye, groups)
        noise = self._noise(frame, size)
        return self.film.develop(
            canvas.rgb, frame / self.fps * 12, noise, self.without
        ), canvas.roles

    def _cast(self, canvas: Canvas, eye: Eye, actors: Sequence[Actor], t: float) -> None:
        if "shadows" in self.without:
            return
        for actor in actors:
            dark = self.dark * (0.6 if actor.role == HAND else 1.0)
            for centre, wide, deep, height in actor.shadows(t):
                cast(canvas, eye, centre, (wide, deep), height, dark)

    def _shutter(self, frame: int, size: tuple[int, int]) -> tuple[Eye, Eye]:
        half = 0.5 * self.film.shutter * self.fps
        return Eye(self.camera_at(frame - half, size)), Eye(self.camera_at(frame + half, size))

    def _backdrop(self, camera: Camera, size: tuple[int, int]) -> np.ndarray:
        """Room and still things, float32 (H, W, 3).

        A camera that only turns sees one wide picture, warped: exact, as there is no parallax.
        """
        if "metres" in self.moves:
            return self._still(camera)
        if size not in self._back:
            frames = np.linspace(0, self.frames, 24)
            cameras = [self.camera_at(f, size) for f in frames]
            yaw = np.array([c.yaw for c in cameras])
            pitch = np.array([c.pitch for c in cameras])
            middle = self.camera.moved(
                height=size[0], width=size[1], yaw=(yaw.max() + yaw.min()) / 2,
                pitch=(pitch.max() + pitch.min()) / 2,
            )  # fmt: skip
            short = min(size)
            reach = np.abs(np.stack([_corners(c, middle) for c in cameras])).reshape(-1, 2).max(0)
            height, width = (int(2 * reach[1] * short) + 8, int(2 * reach[0] * short) + 8)
            # Same focal length in pixels: `focal` is in short sides of the wide picture.
            focal = middle.focal * short / min(height, width)
            wide = middle.moved(height=height, width=width, focal=focal)
            self._back[size] = self._still(wide), wide
        picture, wide = self._back[size]
        shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        m = camera.matrix()[:, :3] @ np.linalg.inv(wide.matrix()[:, :3])
        return cv2.warpPerspective(
            picture, shift @ m @ np.linalg.inv(shift), size[::-1], borderMode=cv2.BORDER_REPLICATE
        )

    def _still(self, camera: Camera) -> np.ndarray:
        eye = Eye(camera)
        canvas = Canvas(np.full((camera.height, camera.width, 3), 60, np.float32))
        self.room.paint(canvas, eye)
        if "distractors" not in self.without:
            self._cast(canvas, eye, self.others, 0.0)
            groups = [g for prop in self.others for g in prop.groups(0.0, eye)]
            _paint(canvas, eye, [(depth, 0, parts, np.zeros(2)) for depth, parts in groups])
        return canvas.rgb

    def _noise(self, frame: int, size: tuple[int, int]) -> np.ndarray:
        """Grain of mean 0 and deviation 1, float32 (H, W): its own in every frame."""
        rng = np.random.default_rng([self.seed & 0xFFFFFFFF, self.seed >> 32, frame, 7])
        coarse = rng.standard_normal((size[0] // 2 + 1, size[1] // 2 + 1), dtype=np.float32)
        return cv2.resize(coarse, (2 * coarse.shape[1], 2 * coarse.shape[0]))[: size[0], : size[1]]

    def masks(self, roles: np.ndarray) -> dict[str, np.ndarray]:
        """Role numbers (T, H, W) -> bool masks per role."""
        masks = {name: roles == number for name, number in _ROLES.items()}
        masks["target"] = masks["object"] | masks["second"] if self.both else masks["object"].copy()
        return masks


def _paint(
    canvas: Canvas, eye: Eye, groups: Sequence[tuple[float, int, list[Part], np.ndarray]]
) -> None:
    """Paints (distance, role, parts, blur), the farthest first."""
    for _, role, parts, blur in sorted(groups, key=lambda g: -g[0]):
        for part in parts:
            part.paint(canvas, eye, role, blur)


def _corners(camera: Camera, middle: Camera) -> np.ndarray:
    """The frame's corners as directions in the middle camera, in short sides, (4, 2)."""
    h, w = camera.height, camera.width
    corners = np.array([[0, 0, 1], [w, 0, 1], [w, h, 1], [0, h, 1]], float)
    rays = np.linalg.inv(camera.matrix()[:, :3]) @ corners.T  # (3, 4)
    p = middle.matrix()[:, :3] @ rays
    pixels = (p[:2] / p[2]).T
    return (pixels - (middle.width / 2, middle.height / 2)) / min(h, w)


def _choose(index: int, template: str | None, rng: np.random.Generator) -> Play:
    plays = PLAYS[index]
    draw = rng.random()  # drawn even when a template is named: the rest of the scene stays
    if template is not None:
        members = FORTY[index].members
        name = members[find_label(template, members)]
        plays = tuple(TEMPLATE_PLAYS[name])
    weights = np.cumsum([play.weight for play in plays])
    return plays[int(np.searchsorted(weights, draw * weights[-1], side="right"))]


def render(
    label: str,
    seed: int,
    *,
    size: tuple[int, int] = (240, 320),
    fps: float = FPS,
    delay: int = 0,
    without: tuple[str, ...] = (),
    reverse: bool = False,
    template: str | None = None,
) -> Scene:
    """Make one clip of Tabletop. The same arguments give the same bytes, in any process.

    Args:
        label: one of the 40 classes, by name.
        seed: draws everything else: template, things, hands, place, light, camera, timing, noise.
        size: height and width in pixels. The action stays in the middle square.
        fps: frames a second; the clip lasts as long whatever it is.
        delay: the action starts that many frames later (earlier when negative).
        without: parts left out, see `PARTS`.
        reverse: the action is played backwards (the truth says so; `label` stays the one asked).
        template: one of the label's members; None: drawn.

    With `delay`, `without` and `reverse` the scene stays the same, and so does every pixel that the
    change does not touch (but for the jpeg's blocks and the blur around what changed).

    Raises:
        BadInput: an unknown label, template or part; a size below 32 pixels; a delay that moves
            the action out of the clip.
    """
    if min(size) < 32:
        raise BadInput(f"render: size {size} is too small; use at least 32 pixels a side")
    plan = Plan(
        label, seed, fps=fps, delay=delay, without=without, reverse=reverse, template=template
    )
    return plan.shot(np.arange(plan.frames), size)


def sample(
    label: str,
    seed: int,
    *,
    frames: int = 16,
    fps: float = 4.0,
    size: tuple[int, int] = (240, 320),
    **changes: Any,
) -> Scene:
    """The frames that `read_clip` would take of that clip, and no others: what a network is shown.

    Args:
        label, seed, size: as for `render`.
        frames, fps: as for `read_clip`: 16 at 4 a second, from the clip's middle; a short clip's
            last frame is repeated.
        changes: `without`, `reverse`, `template`, and `delay`, all as for `render`; the delay
            counts frames of the 12 a second that the scene is played at.
    """
    plan = Plan(label, seed, **changes)
    indices, repeated, start = plan.sampled(frames, fps)
    scene = plan.shot(indices, size)
    clip = replace(scene.clip, repeated=repeated, fps=fps, start=start)
    return replace(scene, clip=clip)
