"""Typical wrong answers to the exercises of notebook 00, and a piece of the hint each must get."""

WRONG = {
    "share_inside": [
        (
            "def share_inside(curve, first, last):\n"
            "    return curve[first:last].sum() / curve.sum()",
            "ends before its end",
        ),
        (
            "def share_inside(curve, first, last):\n    return curve[first : last + 1].sum()",
            "a share is the sum divided",
        ),
    ],
    "shifted_by": [
        (
            "def shifted_by(before, after):\n"
            "    return np.correlate(before, after, mode='full').argmax() - len(before) + 1",
            "the sign",
        ),
        (
            "def shifted_by(before, after):\n"
            "    return np.correlate(after, before, mode='full').argmax()",
            "first entry",
        ),
    ],
}
