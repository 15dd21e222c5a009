#!/usr/bin/env bash
# Guess:  a grey frame in limited range (black 16, white 235) becomes 0 and 255 in RGB, as the same
#         brightness does in yuv420p; at the latest when the range is named:
#         reformat(src_color_range="MPEG"), or FFmpeg's filter scale=in_range=tv.
# Seen:   PyAV 18.1.0 (libswscale 9.5.102). yuv420p: 16, 128, 235 become 0, 130, 255. gray, with the
#         same tag on the frame: 16, 128, 235, the range named or not, by reformat and by the filter.
#         Nothing warns. The scaler takes every grey format for full range. HEVC and AV1 encode
#         monochrome in limited range, so films of thermal and surveillance cameras come out pale.
#         The filter also with PyAV 14.2.0, 15.1.0, 16.0.1 and 17.0.0.
#         A way out: stretch after the conversion, (v - 16) · 255 / 219.
# Known:  LAVFilters #623 (its own decoder; the report says FFmpeg's player is right).
# Output: what 16, 128 and 235 become, for each way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    av==18.1.0 numpy==2.4.6 pillow==13.0.0
cd "$folder"
cat > once.py <<'PY'
from fractions import Fraction

import av
import av.filter
import numpy as np

print("PyAV", av.__version__, "libswscale", av.library_versions["libswscale"])
LIMITED = 1
ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 16, 0)
colour = np.full((24, 256), 128, np.uint8)
colour[:16] = ramp


def frame(pixels, name):
    made = av.VideoFrame.from_ndarray(pixels, format=name)
    made.color_range, made.pts = LIMITED, 0
    return made


def filtered(one, options):
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=one.width, height=one.height, format=one.format, time_base=Fraction(1, 25)
    )
    scale, rgb = graph.add("scale", options), graph.add("format", "rgb24")
    graph.link_nodes(source, scale, rgb, graph.add("buffersink")).configure()
    graph.vpush(one)
    return graph.vpull()


named = {"src_color_range": "MPEG", "dst_color_range": "JPEG"}
ways = {
    "yuv420p": (frame(colour, "yuv420p").reformat(format="rgb24"), [0, 130, 255]),
    "gray": (frame(ramp, "gray").reformat(format="rgb24"), [16, 128, 235]),
    "gray, range named": (frame(ramp, "gray").reformat(format="rgb24", **named), [16, 128, 235]),
    "gray, filter": (filtered(frame(ramp, "gray"), "in_range=tv:out_range=pc"), [16, 128, 235]),
}
for way, (shown, stated) in ways.items():
    levels = shown.to_ndarray()[0, [16, 128, 235], 0].tolist()
    print(f"{way}: {levels}")
    assert levels == stated, "not as stated above"
PY
"$folder/venv/bin/python" once.py
