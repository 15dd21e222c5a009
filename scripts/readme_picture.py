"""Make the pictures of the README and of notebook 00 from the shipped network.

    python scripts/readme_picture.py

writes `docs/images/overlay.gif` (the clip beside its heat map, moving) and `docs/images/sheet.png`
(all sixteen frames). The clip is a synthetic one that the network was never trained on; notebook 00
explains the same one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gradcam_video as gv
from gradcam_video.files import atomic_write
from gradcam_video.show import side_by_side, write_gif

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
LABEL, SEED = "Moving [something] from left to right", 2_017_031  # the clip of notebook 00
MOST_BYTES = 1_000_000  # a README that loads at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tabletop", help="default: tabletop")
    parser.add_argument("--out", type=Path, default=IMAGES, help="default: docs/images")
    options = parser.parse_args()

    model = gv.load_model(options.model)
    scene = gv.tabletop.sample(LABEL, SEED)
    e = gv.explain(model, scene.clip).with_label(scene.label)
    options.out.mkdir(parents=True, exist_ok=True)
    gif, png = options.out / "overlay.gif", options.out / "sheet.png"
    write_gif(side_by_side(e), gif, scene.clip.fps)
    with atomic_write(png) as temporary:
        e.sheet().write_png(temporary)
    for path in (gif, png):
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(f"{path}: {size} bytes are more than {MOST_BYTES}")
        print(f"{path} ({size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
