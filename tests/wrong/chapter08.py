"""Typical wrong answers to the exercises of notebook 08, and a piece of the hint each must get."""

WRONG = {
    "energy_inside": [
        ("def energy_inside(heat, truth):\n    return heat[truth].mean()", "the mean inside"),
        ("def energy_inside(heat, truth):\n    return heat[truth].sum() / heat.sum()", "empty map"),
    ],
    "freeze": [
        (
            "def freeze(frames, first, last):\n"
            "    frames[first : last + 1] = frames[first]\n    return frames",
            "work on a copy",
        ),
        (
            "def freeze(frames, first, last):\n"
            "    out = frames.copy()\n    out[first:last] = frames[first]\n    return out",
            "ends before its end",
        ),
    ],
    "half_way": [
        (
            "def half_way(shares, logits):\n"
            "    return shares[np.argmax(logits <= (logits[0] + logits[-1]) / 2)]",
            "go between the two",
        ),
        (
            "def half_way(shares, logits):\n"
            "    i = np.argmax(logits <= logits[0] / 2)\n"
            "    part = (logits[i - 1] - logits[0] / 2) / (logits[i - 1] - logits[i])\n"
            "    return shares[i - 1] + part * (shares[i] - shares[i - 1])",
            "half of what is lost",
        ),
    ],
}
