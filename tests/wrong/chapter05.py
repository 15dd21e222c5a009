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
}
