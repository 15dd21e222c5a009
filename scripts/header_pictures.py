"""Cut the pictures at the head of notebooks 05 to 07 and 09 from what these notebooks have stored.

    python scripts/header_pictures.py

writes `docs/images/05.png` to `07.png`, the first filmstrip (a case on one page) of each, and
`09.png`, a film seen by three networks; all of them smaller.
"""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image

from gradcam_video.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
WIDE = 950  # pixels


def main() -> None:
    for path in sorted((ROOT / "notebooks").glob("0[5-79]_*.ipynb")):
        picture = first_filmstrip(path) if path.name[:2] != "09" else figure_of(path, "three-drawn")
        small = picture.resize((WIDE, round(WIDE * picture.height / picture.width)))
        out = ROOT / "docs" / "images" / f"{path.name[:2]}.png"
        with atomic_write(out) as temporary:
            small.quantize(128).save(temporary, "png")
        print(out.relative_to(ROOT), small.size)


def first_filmstrip(path: Path) -> Image.Image:
    """The first JPEG that shows a map: pictures to bet on have none."""
    for cell in nbformat.read(path, as_version=4).cells:
        if "frame_grid(" in cell.source:
            continue
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/jpeg"):
                return Image.open(BytesIO(base64.b64decode(picture)))
    raise ValueError(f"{path.name} holds no filmstrip: run it first, with scripts/run_notebooks.py")


def figure_of(path: Path, cell_id: str) -> Image.Image:
    """The figure that the cell of this id has stored."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []) if cell.id == cell_id else []:
            if picture := output.get("data", {}).get("image/png"):
                return Image.open(BytesIO(base64.b64decode(picture))).convert("RGB")
    raise ValueError(f"{path.name} holds no figure in {cell_id}: run it first")


if __name__ == "__main__":
    main()
