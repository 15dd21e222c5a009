"""Typical wrong answers to the exercises of notebook 06, and a piece of the hint each must get."""

WRONG = {
    "from_biases": [
        (
            "def from_biases(logits, signed, true, other):\n"
            "    return logits[true] - logits[other]",
            "whole lead",
        ),
        (
            "def from_biases(logits, signed, true, other):\n"
            "    sums = np.maximum(signed, 0).sum((1, 2, 3))\n"
            "    return logits[true] - logits[other] - (sums[true] - sums[other])",
            "no ReLU",
        ),
    ],
    "held_still": [
        (
            "def held_still(frames, t, rows, columns):\n"
            "    frames[:, rows, columns] = frames[t, rows, columns]\n    return frames",
            "work on a copy",
        ),
        (
            "def held_still(frames, t, rows, columns):\n"
            "    return np.repeat(frames[t : t + 1], len(frames), axis=0)",
            "outside the window",
        ),
        (
            "def held_still(frames, t, rows, columns):\n    return frames[t, rows, columns]",
            "all frames",
        ),
    ],
    "against_all": [
        (
            "def against_all(signed, logits, true):\n"
            "    return signed[true] - np.delete(signed, true, axis=0).mean(0)",
            "do not count alike",
        ),
        (
            "def against_all(signed, logits, true):\n"
            "    p = np.exp(logits) / np.exp(logits).sum()\n"
            "    return signed[true] - np.tensordot(p, signed, axes=1)",
            "leave it out",
        ),
    ],
}
