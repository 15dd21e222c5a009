#!/usr/bin/env bash
# Guess:  frame.rotation of a motion JPEG's picture tells how it is to be turned, for all of EXIF's
#         eight orientations; what else is to be known stands in frame.side_data.
# Seen:   PyAV 18.1.0 (libavcodec 62.28.102). The rotation is one of four numbers for eight
#         orientations: 1 and 4 (upside down in a mirror) both have 0, 2 (a mirror) and 3 (half a
#         turn) both -180, 5 and 6 both -90, 7 and 8 both 90. So a mirrored picture is turned by
#         half a turn by whoever obeys the rotation alone. The matrix that tells them apart cannot
#         be had: any JPEG with EXIF, also with no orientation in it, has a kind of side data (31)
#         that PyAV has no name for, and frame.side_data raises ValueError.
#         A way out: read EXIF's orientation from the packet's bytes, which are a whole JPEG.
# Known:  PyAV #2392 (the tables of names, for codecs and packets).
# Output: the orientation, the rotation, what frame.side_data says.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    av==18.1.0 numpy==2.4.6 pillow==13.0.0
cd "$folder"
cat > once.py <<'PY'
import io

import av
import numpy as np
from PIL import ExifTags, Image

print("PyAV", av.__version__, "libavcodec", av.library_versions["libavcodec"])
picture = np.zeros((48, 64, 3), np.uint8)
picture[:16, :16] = 255
stated = {0: 0, 1: 0, 2: -180, 3: -180, 4: 0, 5: -90, 6: -90, 7: 90, 8: 90}
for orientation, rotation in stated.items():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    jpeg = io.BytesIO()
    Image.fromarray(picture).save(jpeg, "JPEG", exif=exif)
    with av.open(io.BytesIO(2 * jpeg.getvalue()), format="mjpeg") as container:
        frame = next(container.decode(video=0))
    try:
        said = f"{len(frame.side_data)} entries"
    except ValueError as error:
        said = str(error)
    print(f"orientation {orientation or 'none'}: rotation {frame.rotation}, side data: {said}")
    assert frame.rotation == rotation and said == "31 is not a valid Type", "not as stated above"
PY
"$folder/venv/bin/python" once.py
