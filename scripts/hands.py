"""A human hand for domain randomisation: a rigged mesh, posed, lit and painted.

The mesh is the `generic-hand` of the npm package `@webxr-input-profiles/assets` 1.0.20 (MIT):
1,360 vertices, 25 joints as in the WebXR Hand Input specification (sec. 3.2: -z runs along a bone
to the fingertip, +y out of the back of the hand). It is not shipped; `HandMesh.read` takes the glb.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

FINGERS = ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
# Degrees that the joints of a finger are bent by: first, middle and last phalanx.
CURLS = {
    "open": (8, 14, 8),
    "flat": (2, 4, 3),
    "grasp": (46, 42, 22),
    "point": (72, 88, 50),
}
# Of the thumb: its base towards the palm (about the hand's length), and both phalanges.
THUMBS = {"open": (0, 4, 6), "flat": (4, 4, 4), "grasp": (34, 18, 22), "point": (30, 30, 40)}
SIDE = 224  # pixels of a painted hand
REACH = 0.4  # metres that these are
_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _turn(axis: int, degrees: float) -> np.ndarray:
    """A rotation about one axis, (4, 4)."""
    m = np.eye(4)
    vector = np.zeros(3)
    vector[axis] = np.deg2rad(degrees)
    m[:3, :3] = cv2.Rodrigues(vector)[0]
    return m


@dataclass(frozen=True)
class HandMesh:
    """A right hand as its makers modelled it, in metres.

    Attributes:
        points: (V, 3).
        triangles: (F, 3), indices of points.
        weights: (V, J), how much each joint moves each point.
        names: of the joints.
        bind: (J, 4, 4), each joint's place.
    """

    points: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    names: tuple[str, ...]
    bind: np.ndarray

    @classmethod
    @cache
    def read(cls, path: Path) -> HandMesh:
        """From a .glb (glTF 2.0, binary) of one skinned mesh."""
        raw = path.read_bytes()
        (length,) = struct.unpack_from("<I", raw, 12)
        head = json.loads(raw[20 : 20 + length])
        body = raw[20 + length + 8 :]

        def array(index: int) -> np.ndarray:
            accessor = head["accessors"][index]
            view = head["bufferViews"][accessor["bufferView"]]
            start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
            kind, size = _TYPES[accessor["componentType"]], _SIZES[accessor["type"]]
            flat = np.frombuffer(body, kind, accessor["count"] * size, start)
            return flat.reshape(accessor["count"], size)

        part = head["meshes"][0]["primitives"][0]
        given = {name: array(index) for name, index in part["attributes"].items()}
        joints = head["skins"][0]["joints"]
        weights = np.zeros((len(given["POSITION"]), len(joints)))
        for k in range(4):
            rows = np.arange(len(weights))
            weights[rows, given["JOINTS_0"][:, k]] += given["WEIGHTS_0"][:, k]
        bind = np.stack([np.eye(4)] * len(joints))
        for j, node in enumerate(head["nodes"][i] for i in joints):
            bind[j, :3, :3] = _rotation(np.array(node.get("rotation", (0, 0, 0, 1)), float))
            bind[j, :3, 3] = node.get("translation", (0, 0, 0))
        return cls(
            given["POSITION"].astype(float),
            array(part["indices"]).reshape(-1, 3).astype(int),
            weights / weights.sum(1, keepdims=True),
            tuple(head["nodes"][i]["name"] for i in joints),
            bind,
        )

    def posed(self, pose: str, other: str, share: float, jitter: np.ndarray) -> np.ndarray:
        """Points (V, 3) in a pose, or on the way to another.

        Args:
            pose, other: of `CURLS`.
            share: how much of the other, 0..1.
            jitter: (5, 3), degrees that this hand's joints are bent further.
        """
        moved = self.bind.copy()
        at = {name: j for j, name in enumerate(self.names)}

        def bend(finger: str, degrees: np.ndarray, first: int) -> None:
            chain = [name for name in self.names if name.startswith(finger)]
            for k, (parent, child) in enumerate(pairwise(chain)):
                p, c = at[parent], at[child]
                local = np.linalg.inv(self.bind[p]) @ self.bind[c]
                moved[c] = moved[p] @ local
                if first <= k < first + len(degrees):
                    moved[c] = moved[c] @ _turn(0, -degrees[k - first])

        for f, finger in enumerate(FINGERS):
            curl = np.array([CURLS[p] for p in (pose, other)], float)
            if "point" in (pose, other) and finger == "index-finger":
                curl[[p == "point" for p in (pose, other)]] = (4, 6, 4)
            bend(finger, (1 - share) * curl[0] + share * curl[1] + jitter[f], 0)
        base, *rest = (1 - share) * np.array(THUMBS[pose]) + share * np.array(THUMBS[other])
        thumb = at["thumb-metacarpal"]
        moved[thumb] = self.bind[thumb] @ _turn(1, base) @ _turn(0, -0.4 * base)
        bend("thumb", np.array(rest) + jitter[4, :2], 0)
        m = moved @ np.linalg.inv(self.bind)  # (J, 4, 4)
        solid = np.concatenate([self.points, np.ones((len(self.points), 1))], 1)
        blended = np.tensordot(self.weights, m[:, :3], 1)  # (V, 3, 4)
        return (blended @ solid[..., None])[..., 0]


@dataclass(frozen=True)
class HandLook:
    """How one person's hand is seen: its turn about the arm, its tilt, its light, its skin."""

    roll: float  # radians about the forearm: 0 shows the back of the hand
    tilt: float
    light: np.ndarray  # (3,)
    ambient: float
    jitter: np.ndarray
    grain: np.ndarray  # (SIDE, SIDE), about 1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> HandLook:
        light = np.array([rng.normal(0, 0.6), rng.normal(0.5, 0.5), 1.0])
        coarse = rng.normal(0, 1, (18, 18)).astype(np.float32)
        fine = rng.normal(0, 1, (70, 70)).astype(np.float32)
        grain = 0.05 * cv2.resize(coarse, (SIDE, SIDE)) + 0.03 * cv2.resize(fine, (SIDE, SIDE))
        return cls(
            roll=rng.choice([rng.normal(0, 0.45), rng.normal(np.pi, 0.45)], p=[0.75, 0.25]),
            tilt=rng.normal(0, 0.3),
            light=light / np.linalg.norm(light),
            ambient=rng.uniform(0.3, 0.6),
            jitter=rng.normal(0, 5, (5, 3)),
            grain=1 + grain,
        )


def painted(
    mesh: HandMesh, look: HandLook, skin: np.ndarray, pose: str, other: str, share: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A hand as a picture: colours float32 (SIDE, SIDE, 3) and cover float32 (SIDE, SIDE).

    Its fingers point to the right, its thumb up; the place where it takes hold is the middle. One
    metre is SIDE / REACH pixels.

    Returns:
        Colours, cover, and where the wrist ends: metres to the right of the middle and above it.
    """
    points = mesh.posed(pose, other, share, look.jitter)
    at = {name: j for j, name in enumerate(mesh.names)}

    def place(name: str) -> np.ndarray:
        """Where the points that a joint moves most lie."""
        return points[mesh.weights[:, at[name]] > 0.5].mean(0)

    tips = [place(f"{f}-phalanx-distal") for f in FINGERS[:2]]
    if "point" not in (pose, other):
        tips.append(place("thumb-phalanx-distal"))
    grip = np.mean(tips, 0)
    # The mesh: fingers along -y, the thumb along -z, the back of the hand along +x.
    seen = (points - grip)[:, (1, 2, 0)] * (-1, -1, 1)  # u, v, towards the viewer
    c, s = np.cos(look.roll), np.sin(look.roll)
    seen = seen @ np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    c, s = np.cos(look.tilt), np.sin(look.tilt)
    seen = seen @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    corners = seen[mesh.triangles]  # (F, 3, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    smooth = np.zeros_like(points)
    for k in range(3):
        np.add.at(smooth, mesh.triangles[:, k], normals)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True) + 1e-12
    facing = smooth[mesh.triangles].mean(1)
    lit = look.ambient + (1 - look.ambient) * np.clip(facing @ look.light, 0, 1)
    rim = np.clip(facing[:, 2], 0, 1) ** 0.5
    shade = lit * (0.55 + 0.45 * rim) * 1.25
    double = 2  # painted twice as large: its edges are then smooth
    scale = double * SIDE / REACH
    flat = np.stack([corners[..., 0] * scale, -corners[..., 1] * scale], -1) + double * SIDE / 2
    picture = np.zeros((double * SIDE, double * SIDE, 3), np.float32)
    nails = np.zeros(len(points), dtype=bool)
    for finger in (*FINGERS, "thumb"):
        tip = mesh.points[mesh.weights[:, at[f"{finger}-phalanx-distal"]] > 0.5]
        end = mesh.bind[at[f"{finger}-tip"]]
        back = (mesh.points - end[:3, 3]) @ end[:3, 1]  # out of the back of the finger
        along = (mesh.points - end[:3, 3]) @ end[:3, 2]
        nails |= (np.abs(back - back[mesh.weights[:, at[f"{finger}-phalanx-distal"]] > 0.5].max())
                  < 0.003) & (along > -0.004) & (along < 0.012) & (len(tip) > 0)  # fmt: skip
    nail = nails[mesh.triangles].all(1)
    colours = skin * np.where(nail, 1.12, 1.0)[:, None] + np.where(nail, 10, 0)[:, None]
    colours = colours * shade[:, None] ** np.array([0.85, 1.0, 1.1])  # shadows on skin are red
    order = np.argsort(corners[..., 2].mean(1))
    order = order[normals[order, 2] > -0.05]
    shapes = np.rint(flat[order] * 16).astype(np.int32)
    for shape, colour in zip(shapes, colours[order].tolist(), strict=True):
        cv2.fillConvexPoly(picture, shape, colour, cv2.LINE_8, 4)
    cover = (picture[..., 0] > 0).astype(np.uint8) * 255
    picture = cv2.GaussianBlur(picture, (0, 0), 1.2)
    weight = cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), 1.2)
    picture = picture / np.maximum(weight, 1e-3)[..., None]
    small = (SIDE, SIDE)
    picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA) * look.grain[..., None]
    hull = cv2.resize(cover.astype(np.float32) / 255, small, interpolation=cv2.INTER_AREA)
    wrist = seen[mesh.points[:, 1] > mesh.points[:, 1].max() - 0.012].mean(0)
    return np.clip(picture, 0, 255).astype(np.float32), hull, wrist[:2]


def main() -> None:
    """A sheet of hands, to look at: `python scripts/hands.py right.glb sheet.png`."""
    import sys

    mesh = HandMesh.read(Path(sys.argv[1]))
    rng = np.random.default_rng(0)
    rows: list[Any] = []
    for pose in CURLS:
        row = []
        for _ in range(7):
            skin = np.array([rng.uniform(120, 240), rng.uniform(80, 190), rng.uniform(60, 160)])
            rgb, cover, _ = painted(mesh, HandLook.draw(rng), skin, pose, pose, 0.0)
            row.append(rgb * cover[..., None] + 90 * (1 - cover[..., None]))
        rows.append(np.hstack(row))
    cv2.imwrite(sys.argv[2], np.vstack(rows)[..., ::-1].astype(np.uint8))


if __name__ == "__main__":
    main()
