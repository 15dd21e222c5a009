"""Typical wrong answers to the exercises of notebook 01, and a piece of the hint each must get."""

WRONG = {
    "sampled": [
        (
            "def sampled(frames, rate):\n    return (np.arange(16) / 4 * rate).astype(int)",
            "the last stands in",
        ),
        (
            "def sampled(frames, rate):\n    return np.linspace(0, frames - 1, 16).astype(int)",
            "play slower",
        ),
    ],
    "frames_needed": [
        (
            "def frames_needed(count, per_second, rate):\n    return count * rate // per_second",
            "one fewer steps",
        ),
        (
            "def frames_needed(count, per_second, rate):\n"
            "    return (count - 1) * rate // per_second",
            "one more",
        ),
    ],
}
