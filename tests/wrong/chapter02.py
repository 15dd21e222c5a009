"""Typical wrong answers to the exercises of notebook 02, and a piece of the hint each must get."""

WRONG = {
    "inflated": [
        (
            "def inflated(weight, frames):\n"
            "    return weight[:, :, None].repeat(1, 1, frames, 1, 1)",
            "divide by the length",
        ),
        (
            "def inflated(weight, frames):\n"
            "    return weight[:, None].repeat(1, frames, 1, 1, 1) / frames",
            "time comes third",
        ),
    ],
    "exact_frames": [
        ("def exact_frames(frames, layers):\n    return frames - 2 * layers", "fewer than none"),
        ("def exact_frames(frames, layers):\n    return max(0, frames - layers)", "both ends"),
    ],
}
