#!/usr/bin/env bash
# Guess:  Pillow seeks in an animated png, webp, avif and gif alike: forwards and backwards; after
#         seek(k) the time of frame k stands in info["duration"].
# Seen:   Pillow 13.0.0, its own files of eight frames. Once a frame has been loaded, an animated png
#         cannot go back: seek raises SyntaxError, "APNG contains frame sequence errors", which
#         speaks of a damaged file. Without load it can, and webp, avif and gif can in any case.
#         After seek(k) gif and png have the time of frame k, webp and avif have none: it is known
#         only once the frame is loaded.
#         A way out: load before the time is read, and open the file anew to go back.
# Output: for each format, the frames reached by seek to 6, 2, 5, 0, loaded and not; the times after
#         seek and after load.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    numpy==2.4.6 pillow==13.0.0
cd "$folder"
cat > once.py <<'PY'
import numpy as np
import PIL
from PIL import Image

print("Pillow", PIL.__version__)
pictures = [Image.fromarray(np.full((16, 16, 3), 20 * k, np.uint8)) for k in range(8)]
lasts = [100 * (k + 1) for k in range(8)]


def reached(name, loads):
    with Image.open(name) as image:
        for k in (6, 2, 5, 0):
            try:
                image.seek(k)
            except SyntaxError as error:
                yield str(error)
                return
            if loads:
                image.load()
            yield image.tell()


def times(name):
    with Image.open(name) as image:
        for k in range(3):
            image.seek(k)
            before = image.info.get("duration")
            image.load()
            yield before, image.info.get("duration")


for name in ("a.png", "a.webp", "a.avif", "a.gif"):
    pictures[0].save(name, save_all=True, append_images=pictures[1:], duration=lasts)
    loaded, plain, shown = [*reached(name, True)], [*reached(name, False)], [*times(name)]
    print(f"{name}: loaded {loaded}, not loaded {plain}, times after seek and load {shown}")
    assert plain == [6, 2, 5, 0], "not as stated above"
    stuck = [6, "APNG contains frame sequence errors"]
    assert loaded == (stuck if name == "a.png" else plain), "not as stated above"
    late = [(None, 100), (None, 200), (None, 300)]
    at_once = [(100, 100), (200, 200), (300, 300)]
    assert shown == (late if name in ("a.webp", "a.avif") else at_once), "not as stated above"
PY
"$folder/venv/bin/python" once.py
