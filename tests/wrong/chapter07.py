"""Typical wrong answers to the exercises of notebook 07, and a piece of the hint each must get."""

WRONG = {
    "rank": [
        (
            "def rank(probabilities, true):\n"
            "    return sum(p > probabilities[true] for p in probabilities)",
            "not 0",
        ),
        (
            "def rank(probabilities, true):\n"
            "    return sorted(probabilities).index(probabilities[true]) + 1",
            "comes first",
        ),
    ],
    "kind": [
        (
            "def kind(probabilities, true):\n"
            "    return 'positive' if probabilities[true] == max(probabilities) else 'negative'",
            "first by less than 0.3",
        ),
        (
            "def kind(probabilities, true):\n"
            "    others = [p for k, p in enumerate(probabilities) if k != true]\n"
            "    m = probabilities[true] - max(others)\n"
            "    return 'positive' if m >= 0.3 else 'medium' if m > -0.3 else 'negative'",
            "two classes before it",
        ),
    ],
}
