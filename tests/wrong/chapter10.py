"""Typical wrong answers to the exercises of notebook 10, and a piece of the hint each must get."""

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
    "undominated": [
        (
            "def undominated(scores):\n"
            "    n = len(scores)\n"
            "    beats = (scores[:, None] >= scores).all(2) & ~np.eye(n, dtype=bool)\n"
            "    return ~beats.any(0)",
            "neither is better",
        ),
        (
            "def undominated(scores):\n    return ~(scores[:, None] > scores).all(2).any(0)",
            "equal in one column",
        ),
        (
            "def undominated(scores):\n"
            "    as_good = (scores[:, None] >= scores).all(2)\n"
            "    better = (scores[:, None] > scores).any(2)\n"
            "    return (as_good & better).any(0)",
            "that are beaten",
        ),
    ],
}
