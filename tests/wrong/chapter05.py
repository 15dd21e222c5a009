"""Typical wrong answers to the exercises of notebook 05, and a piece of the hint each must get."""

WRONG = {
    "decisive_frames": [
        (
            "def decisive_frames(curve, share):\n"
            "    runs = [(a, b) for a in range(8) for b in range(a + 1, 9)\n"
            "            if sum(curve[a:b]) >= share * sum(curve)]\n"
            "    return min(runs, key=lambda run: run[1] - run[0])",
            "not the one behind it",
        ),
        ("def decisive_frames(curve, share):\n    return 0, len(curve) - 1", "the shortest"),
    ],
    "peak_frame": [
        ("def peak_frame(curve, repeated):\n    return int(curve.argmax())", "stands still"),
        (
            "def peak_frame(curve, repeated):\n    return int((curve * ~repeated).argmax())",
            "all others are below zero",
        ),
    ],
}
