"""Typical wrong answers to the exercises of notebook 07, and a piece of the hint each must get."""

WRONG = {
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
    "is_edit": [
        (
            "def is_edit(before, after):\n    return not np.array_equal(before, after)",
            "outside the middle square",
        ),
        (
            "def is_edit(before, after):\n    return bool((before[0] != after[0]).any())",
            "columns 2 to 7",
        ),
        (
            "def is_edit(before, after):\n    return True",
            "two equal clips",
        ),
    ],
    "culprit": [
        (
            "def culprit(said, also_true, samplings, dense, edits, grain):\n"
            "    if sum(samplings) >= 4 or dense:\n        return 'sampling'\n"
            "    if said in also_true:\n        return 'label'\n"
            "    return 'world' if any(edits) and not grain else 'network'",
            "the label comes first",
        ),
        (
            "def culprit(said, also_true, samplings, dense, edits, grain):\n"
            "    if said in also_true:\n        return 'label'\n"
            "    if sum(samplings) >= 4 or dense:\n        return 'sampling'\n"
            "    return 'world' if any(edits) else 'network'",
            "new grain does the same",
        ),
    ],
}
