#!/usr/bin/env bash
# Guess:  FFmpeg's gif demuxer shows a picture that asks for less than 2/100 s for 10/100 s, as
#         browsers do: its help says min_delay 2 and default_delay 10, in hundredths of a second,
#         and both can be set.
# Seen:   PyAV 18.1.0 (libavformat 62.12.102). A gif whose pictures ask for 1/100 s has packets of
#         1/100 s. With min_delay=5 and default_delay=10 those of 1/100 s and 2/100 s stay as they
#         are, too. Only a gif that names no delay at all gets 10/100 s, whatever is set. Nothing
#         warns. So a gif of 1/100 s plays ten times faster than in Chrome, Firefox and Safari, and
#         frames taken 4 a second from it are others than people see.
#         The same with PyAV 14.2.0, 15.1.0, 16.0.1 and 17.0.0. A way out: stretch the times oneself.
# Output: for each delay and setting, the duration of the packets in 1/100 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    av==18.1.0 numpy==2.4.6 pillow==13.0.0
cd "$folder"
cat > once.py <<'PY'
import av
import numpy as np
from PIL import Image

print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
pictures = [Image.fromarray(np.full((16, 16), 20 * k, np.uint8)) for k in range(6)]
for asked, seen in ((0, 10), (1, 1), (2, 2), (5, 5)):
    pictures[0].save("a.gif", save_all=True, append_images=pictures[1:], duration=10 * asked)
    for options in ({}, {"min_delay": "5", "default_delay": "10"}):
        with av.open("a.gif", options=options) as container:
            lasts = {packet.duration for packet in container.demux() if packet.size}
        print(f"asks for {asked}/100 s, {options or 'as it is'}: {sorted(lasts)}")
        assert lasts == {seen}, "not as stated above"
PY
"$folder/venv/bin/python" once.py
