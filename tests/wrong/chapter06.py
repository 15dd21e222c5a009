"""Typical wrong answers to the exercises of notebook 06, and a piece of the hint each must get."""

WRONG = {
    "rival": [
        (
            "def rival(probabilities, true):\n    return int(probabilities.argmax())",
            "its own rival",
        ),
        (
            "def rival(probabilities, true):\n"
            "    probabilities[true] = -1\n    return int(probabilities.argmax())",
            "work on a copy",
        ),
    ],
    "decision": [
        (
            "def decision(signed, true, other):\n    return signed[true] - signed[other]",
            "one number per frame",
        ),
        (
            "def decision(signed, true, other):\n"
            "    maps = np.maximum(signed, 0)\n"
            "    return (maps[true] - maps[other]).sum((1, 2))",
            "no ReLU",
        ),
    ],
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
}
