"""Typical wrong answers to the exercises of notebook 04, and a piece of the hint each must get."""

WRONG = {
    "class_map": [
        (
            "def class_map(weights, activations):\n"
            "    return torch.einsum('c,cthw->thw', weights, activations)",
            "ReLU",
        ),
        (
            "def class_map(weights, activations):\n"
            "    return (weights[:, None, None, None] * activations).relu().sum(0)",
            "first the sum",
        ),
    ],
    "unit_scale": [
        (
            "def unit_scale(cells):\n"
            "    return (cells - cells.min()) / (cells.max() - cells.min())",
            "stretches from the minimum",
        ),
        (
            "def unit_scale(cells):\n"
            "    positive = np.maximum(cells, 0)\n    return positive / positive.max()",
            "divided by zero",
        ),
    ],
    "softmax_weights": [
        (
            "def softmax_weights(alpha, p, k):\n    return p[k] * (1 - p[k]) * alpha[k]",
            "ties the classes",
        ),
        (
            "def softmax_weights(alpha, p, k):\n    return alpha[k] - p @ alpha",
            "one factor is missing",
        ),
    ],
    "misled_head": [
        ("def misled_head(cells):\n    return cells.mean()", "the head uses it"),
        ("def misled_head(cells):\n    return 0 * cells.sum()", "does not read the cells"),
        ("def misled_head(cells):\n    return -cells.mean()", "is empty"),
    ],
}
