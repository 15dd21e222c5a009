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
}
