"""Typical wrong answers to the exercises of notebook 05, and a piece of the hint each must get."""

WRONG = {
    "known_by": [
        ("def known_by(curve, share):\n    return int(curve.argmax())", "strongest frame"),
        (
            "def known_by(curve, share):\n"
            "    return 1 + int(np.argmax(np.cumsum(curve) >= share * np.sum(curve)))",
            "counted from 0",
        ),
    ],
    "peak_frame": [
        ("def peak_frame(curve, repeated):\n    return int(curve.argmax())", "stands still"),
        (
            "def peak_frame(curve, repeated):\n    return int((curve * ~repeated).argmax())",
            "all others are below zero",
        ),
    ],
    "printed_kind": [
        (
            "def printed_kind(true, first, p_first, second, p_second):\n"
            "    return 'positive' if true == first else 'medium' if true == second"
            " else 'negative'",
            "by less than 0.3: that is medium",
        ),
        (
            "def printed_kind(true, first, p_first, second, p_second):\n"
            "    if p_first - p_second < 0.3:\n        return 'medium'\n"
            "    return 'positive' if true == first else 'negative'",
            "not among the first two",
        ),
    ],
}
