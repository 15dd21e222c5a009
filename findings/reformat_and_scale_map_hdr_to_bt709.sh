#!/usr/bin/env bash
# Guess:  reformat(dst_color_trc=…) of an HDR frame (PQ, BT.2020) puts a tag on and leaves the pixels
#         alone: PyAV says so. FFmpeg's scale filter likewise changes size, format, matrix and
#         range; to bring HDR to BT.709 one needs zscale or libplacebo, which PyAV's wheels lack.
# Seen:   PyAV 18.1.0 (libswscale 9.5.102). Both really convert light and tones, and differently.
#         Grey patches of 0, 1, 10, 50, 100, 203, 400 and 1000 nits become, within 2 levels:
#             reformat(format="rgb24")                0  37  75 111 127 146 165 190
#             the same with dst_color_trc=1 (BT.709)  0  28  73 142 189 253 255 255
#             scale (relative_colorimetric, default)  0  28  73 142 189 253 255 255
#             scale, intent=perceptual                0  21  54 102 129 156 180 208
#         So whoever only means to tag a frame of HDR changes its pixels: 203 nits become white
#         (ITU-R BT.2408's reference), and what is brighter is cut off: BT.1886's curve,
#         255 · (nits / 203)^(1 / 2.4). Only intent=perceptual keeps the steps of the highlights, and
#         the rest is darker for it.
# Output: what the patches become, for each way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    av==18.1.0 numpy==2.4.6
cd "$folder"
cat > once.py <<'PY'
from fractions import Fraction

import av
import av.filter
import numpy as np

print("PyAV", av.__version__, "libswscale", av.library_versions["libswscale"])
NITS = np.array([0, 1, 10, 50, 100, 203, 400, 1000])
BT2020, PQ, BT2020_MATRIX, LIMITED, BT709 = 9, 16, 9, 1, 1
light = (NITS / 10000) ** 0.1593017578125  # SMPTE ST 2084
signal = ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375
luma = np.repeat(np.round(64 + 876 * signal).astype(np.uint16)[None], 24, 1)  # 10 bits, limited


def frame():
    made = av.VideoFrame(luma.shape[1], 16, "yuv420p10le")
    for plane, level in zip(made.planes, (luma, 512, 512), strict=True):
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        rows[:, : plane.width] = level if isinstance(level, int) else level[0]
        plane.update(rows.tobytes())
    made.color_primaries, made.color_trc = BT2020, PQ
    made.colorspace, made.color_range, made.pts = BT2020_MATRIX, LIMITED, 0
    return made


def filtered(options):
    one = frame()
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=one.width, height=one.height, format=one.format, time_base=Fraction(1, 25)
    )
    scale, rgb = graph.add("scale", options), graph.add("format", "rgb24")
    graph.link_nodes(source, scale, rgb, graph.add("buffersink")).configure()
    graph.vpush(one)
    return graph.vpull()


to_709 = "out_primaries=bt709:out_transfer=bt709:out_color_matrix=bt709:out_range=pc"
plain = [0, 37, 75, 111, 127, 146, 165, 190]
cut_off = [0, 28, 73, 142, 189, 253, 255, 255]
perceptual = [0, 21, 54, 102, 129, 156, 180, 208]
ways = {
    "reformat": (frame().reformat(format="rgb24"), plain),
    "reformat, tagged": (frame().reformat(format="rgb24", dst_color_trc=BT709), cut_off),
    "relative": (filtered(f"{to_709}:intent=relative_colorimetric"), cut_off),
    "perceptual": (filtered(f"{to_709}:intent=perceptual"), perceptual),
    "default": (filtered(to_709), cut_off),
}
for way, (shown, stated) in ways.items():
    levels = shown.to_ndarray()[8, 12::24, 0].astype(int)
    print(f"{way}: {levels.tolist()}, transfer {int(shown.color_trc)}")
    assert np.abs(levels - stated).max() <= 2, "not as stated above"
PY
"$folder/venv/bin/python" once.py
