"""Cut the pictures at the head of notebooks 02, 05 to 07 and 09 from what these have stored.

    python scripts/header_pictures.py

writes `docs/images/02.png`, its first drawing, `05.png` to `07.png`, the first filmstrip (a case on
one page) of each, and `09.png`, a film seen by three networks; all of them smaller.
"""

from __future__ import annotations

import base64
import re
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image

from gradcam_video.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
WIDE = 950  # pixels
BET = r"(?:bet_sheet|frame_grid)\("  # draws pictures to bet on, without maps


def main() -> None:
    for path in sorted((ROOT / "notebooks").glob("0[25-79]_*.ipynb")):
        picture = first_filmstrip(path, "overlay(" if path.name.startswith("09") else "")
        small = picture.resize((WIDE, round(WIDE * picture.height / picture.width)))
        out = ROOT / "docs" / "images" / f"{path.name[:2]}.png"
        with atomic_write(out) as temporary:
            small.quantize(128).save(temporary, "png")
        print(out.relative_to(ROOT), small.size)


def first_filmstrip(path: Path, call: str = "") -> Image.Image:
    """The first JPEG (curves are PNGs) that is no sheet of bare clips to bet on.

    Args:
        call: what its cell's code holds; any: "".
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if call not in cell.source or re.search(BET, cell.source):
            continue
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/jpeg"):
                return Image.open(BytesIO(base64.b64decode(picture)))
    raise ValueError(f"{path.name} holds no filmstrip: run it first, with scripts/run_notebooks.py")


if __name__ == "__main__":
    main()
