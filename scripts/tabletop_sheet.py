"""Draw docs/images/tabletop.jpg: one clip of each of the 40 classes, eight frames, with its truth.

    python scripts/tabletop_sheet.py [--seed 3] [--out FILE]

Outlines: hand red, thing that is acted on green, second thing blue. A yellow bar above a frame: the
action is going on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.files import atomic_write
from gradcam_video.tabletop.scene import Plan

OUT = Path(__file__).parents[1] / "docs" / "images" / "tabletop.jpg"
SIZE = (96, 128)  # of a frame in the sheet
PAINTED = (240, 320)
COLOURS = {1: (235, 40, 40), 2: (40, 210, 60), 3: (70, 120, 255)}
BAR, LINE, FRAMES, COLUMNS = 5, 16, 8, 2


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw one clip of each class with its truth.")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    rows = [row(i, name, args.seed) for i, name in enumerate(FORTY_NAMES)]
    half = len(rows) // COLUMNS
    sheet = np.concatenate([np.concatenate(rows[:half]), np.concatenate(rows[half:])], axis=1)
    with atomic_write(args.out) as file:
        Image.fromarray(sheet).save(file, quality=82)


def row(index: int, label: str, seed: int) -> np.ndarray:
    """One class: its name above eight frames, uint8 (h, w, 3)."""
    plan = Plan(label, 1000 * seed + index)
    tiles = []
    for frame in np.linspace(0, plan.frames - 1, FRAMES).round().astype(int):
        picture, roles = plan.paint(int(frame), PAINTED)
        picture = np.ascontiguousarray(picture)
        for number, colour in COLOURS.items():
            mask = (roles == number).astype(np.uint8)
            outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, outlines, -1, colour, 3, cv2.LINE_AA)
        tile = cv2.resize(picture, SIZE[::-1], interpolation=cv2.INTER_AREA)
        acting = plan.action[0] <= frame <= plan.action[1]
        bar = np.full((BAR, SIZE[1], 3), (255, 205, 0) if acting else 255, np.uint8)
        tiles.append(np.concatenate([bar, tile]))
    strip = np.concatenate(tiles, axis=1)
    title = Image.new("RGB", (strip.shape[1], LINE), "white")
    font = ImageFont.load_default(12)
    text = f"{index}  {label}" + (f"   ({plan.template})" if plan.template != label else "")
    ImageDraw.Draw(title).text((4, 1), text, fill="black", font=font)
    gap = np.full((title.height + strip.shape[0], 10, 3), 255, np.uint8)
    return np.concatenate([np.concatenate([np.asarray(title), strip]), gap], axis=1)


if __name__ == "__main__":
    main()
