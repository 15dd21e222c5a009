"""Typical wrong answers to the exercises of notebook 03, and a piece of the hint each must get."""

WRONG = {
    "mirrored_label": [
        (
            "def mirrored_label(label):\n"
            "    return label.replace('left', 'right').replace('right', 'left')",
            "undoes the first",
        ),
        (
            "def mirrored_label(label):\n    return label.replace('left', 'right')",
            "only one of the two",
        ),
    ],
    "epoch_hours": [
        (
            "def epoch_hours(clips, gmac, tflops):\n"
            "    return clips * gmac * 1e9 * 3 / (tflops * 1e12) / 3600",
            "two operations",
        ),
        (
            "def epoch_hours(clips, gmac, tflops):\n"
            "    return clips * gmac * 1e9 * 6 / (tflops * 1e12)",
            "seconds",
        ),
    ],
}
