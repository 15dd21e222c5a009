#!/usr/bin/env bash
# Guess:  each frame of an MPEG program stream (.mpg, .vob) has a time of its own, as in .ts and
#         .mp4; and after a seek to the byte at which a key frame's packet begins, packet.pos, the
#         first packet is that key frame, with the same time as before.
# Seen:   PyAV 18.1.0 (libavformat 62.12.102), MPEG-2 with two B-frames, 255 small frames at 25 a
#         second. A program stream names a time about every twentieth frame, because many small
#         ones share a packet of the file; FFmpeg guesses those between. Of the 255 frames two have
#         a time that another has already, and two times have no frame: whoever looks for the frame
#         on screen at a moment gets another one, and sorts some in the wrong order. Nothing warns;
#         packet.pts is never None. The same film as .ts: 255 times.
#         Of seven seeks to the last place that is named at or before a key frame, four tell other
#         times of key frames (or none) than the file read from its beginning: the guess begins
#         anew. One does not find the key frame whole: its first bytes lie in the packet of the file
#         before, and what comes is marked as a key frame all the same.
#         A way out: count the frames in the order in which they are shown; begin one packet of the
#         file earlier, and know a key frame again by its bytes.
# Output: how many frames and times; for each seek, whether the key frame is found whole, and the
#         times of key frames that the file read from its beginning does not have.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv==0.13.9
"$folder/venv/bin/uv" pip install --quiet --python "$folder/venv/bin/python" \
    av==18.1.0 numpy==2.4.6
cd "$folder"
cat > once.py <<'PY'
import av
import numpy as np

print("PyAV", av.__version__, "libavformat", av.library_versions["libavformat"])
COUNT, RATE = 255, 25


def written(name):
    with av.open(name, "w") as out:
        stream = out.add_stream("mpeg2video", rate=RATE, options={"bf": "2"})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 128, 96, "yuv420p", 30
        for k in range(COUNT):
            picture = np.zeros((96, 128, 3), np.uint8)
            picture[:, k % 112 : k % 112 + 16] = 255
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    with av.open(name) as container:
        return [p for p in container.demux(container.streams.video[0]) if p.size]


for name, stated in (("a.ts", COUNT), ("a.mpg", 253)):
    packets = written(name)
    times = {packet.pts for packet in packets}
    print(f"{name}: {len(packets)} frames, {len(times)} times")
    assert len(packets) == COUNT and len(times) == stated, "not as stated above"
    assert None not in times, "not as stated above"

places, position = [], 0
for packet in packets:
    position = packet.pos if packet.pos is not None else position
    if packet.is_keyframe:
        places.append((packet, position))
before = {packet.pts for packet, _ in places}
short = moved = 0
for key, position in places[2:]:
    with av.open("a.mpg") as container:
        container.seek(position, unsupported_byte_offset=True)
        again = [p for p in container.demux(container.streams.video[0]) if p.size]
    found = [packet for packet in again if packet.is_keyframe]
    whole = any(bytes(packet) == bytes(key) for packet in found)
    others = [packet.pts for packet in found if packet.pts not in before]
    print(f"key frame at {key.pts}: found whole {whole}, key frames at other times {others}")
    short, moved = short + (not whole), moved + bool(others)
print(f"of {len(places) - 2} seeks: {short} do not find it whole, {moved} tell other times")
assert (short, moved) == (1, 4), "not as stated above"
PY
"$folder/venv/bin/python" once.py
