"""Typical wrong answers to the exercises of notebook 09, and a piece of the hint each must get."""

WRONG = {
    "upright": [
        (
            "def upright(frames, quarter_turns):\n"
            "    return np.rot90(frames, quarter_turns, axes=(1, 2))",
            "anticlockwise",
        ),
        (
            "def upright(frames, quarter_turns):\n    return np.rot90(frames, -quarter_turns)",
            "time into rows",
        ),
    ],
    "window_starts": [
        (
            "def window_starts(length, size, step):\n"
            "    return list(range(0, max(length - size, 0) + 1, step))",
            "in no window",
        ),
        (
            "def window_starts(length, size, step):\n    return list(range(0, length, step))",
            "ends behind the film",
        ),
    ],
}
