"""Typical wrong answers to the exercise of notebook 10, and a piece of the hint each must get."""

WRONG = {
    "rank_accuracy": [
        (
            "def rank_accuracy(heat, truth):\n    return heat[truth].sum() / heat.sum()",
            "that is energy",
        ),
        (
            "def rank_accuracy(heat, truth):\n"
            "    first = np.argsort(heat, axis=None)[: truth.sum()]\n"
            "    return truth.flat[first].mean()",
            "smallest values",
        ),
        (
            "def rank_accuracy(heat, truth):\n"
            "    first = np.argsort(-heat, axis=None)[: truth.sum()]\n"
            "    return truth.flat[first].sum()",
            "asked is the share",
        ),
        (
            "def rank_accuracy(heat, truth):\n    shares = []\n"
            "    for h, t in zip(heat, truth):\n"
            "        first = np.argsort(-h, axis=None)[: t.sum()]\n"
            "        shares.append(t.flat[first].mean())\n"
            "    return np.mean(shares)",
            "each frame by itself",
        ),
    ],
}
