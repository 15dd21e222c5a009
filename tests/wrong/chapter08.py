"""Typical wrong answers to the exercises of notebook 08, and a piece of the hint each must get."""

WRONG = {
    "energy_inside": [
        ("def energy_inside(heat, truth):\n    return heat[truth].mean()", "the mean inside"),
        ("def energy_inside(heat, truth):\n    return heat[truth].sum() / heat.sum()", "empty map"),
    ],
    "half_way": [
        (
            "def half_way(shares, logits):\n"
            "    return shares[np.argmax(logits <= (logits[0] + logits[-1]) / 2)]",
            "go between the two",
        ),
        (
            "def half_way(shares, logits):\n"
            "    i = np.argmax(logits <= logits[0] / 2)\n"
            "    part = (logits[i - 1] - logits[0] / 2) / (logits[i - 1] - logits[i])\n"
            "    return shares[i - 1] + part * (shares[i] - shares[i - 1])",
            "half of what is lost",
        ),
    ],
    "paired": [
        (
            "def paired(one, other):\n"
            "    half = 1.96 * np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / len(one))\n"
            "    mean = one.mean() - other.mean()\n    return mean, mean - half, mean + half",
            "subtract first",
        ),
        (
            "def paired(one, other):\n"
            "    d = one - other\n    half = 1.96 * d.std() / np.sqrt(len(d))\n"
            "    return d.mean(), d.mean() - half, d.mean() + half",
            "ddof=1",
        ),
        (
            "def paired(one, other):\n"
            "    d = one - other\n    half = 1.96 * d.std(ddof=1)\n"
            "    return d.mean(), d.mean() - half, d.mean() + half",
            "smaller by",
        ),
    ],
}
