"""Typical wrong answers to the exercises of notebook 00, and a piece of the hint each must get."""

WRONG = {
    "share_inside": [
        (
            "def share_inside(curve, first, last):\n"
            "    return curve[first:last].sum() / curve.sum()",
            "ends before its end",
        ),
        (
            "def share_inside(curve, first, last):\n    return curve[first : last + 1].sum()",
            "a share is the sum divided",
        ),
    ],
    "frames_seen": [
        (
            "def frames_seen(t, layers, frames):\n    return t - layers, t + layers",
            "no frame before frame 0",
        ),
        (
            "def frames_seen(t, layers, frames):\n"
            "    return max(0, t - layers), min(frames, t + layers)",
            "ends with frame 15",
        ),
        (
            "def frames_seen(t, layers, frames):\n    return max(0, t - 1), min(frames - 1, t + 1)",
            "one layer",
        ),
    ],
    "deciding_frame": [
        (
            "def deciding_frame(signed, a, b):\n    return signed[a].sum((1, 2)).argmax()",
            "nearly as loudly",
        ),
        (
            "def deciding_frame(signed, a, b):\n"
            "    return (signed[a] - signed[b]).max((1, 2)).argmax()",
            "not the strongest cell",
        ),
        (
            "def deciding_frame(signed, a, b):\n"
            "    return abs((signed[a] - signed[b]).sum((1, 2))).argmax()",
            "the other way round",
        ),
    ],
}
