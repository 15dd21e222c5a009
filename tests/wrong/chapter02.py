"""Typical wrong answers to the exercises of notebook 02, and a piece of the hint each must get."""

WRONG = {
    "lopsided": [
        (
            "def lopsided(weight):\n"
            "    odd = weight - weight.flip(2)\n"
            "    return odd.square().sum() / weight.square().sum()",
            "half of the difference",
        ),
        (
            "def lopsided(weight):\n"
            "    odd = (weight - weight.flip(-1)) / 2\n"
            "    return odd.square().sum() / weight.square().sum()",
            "time is the third axis",
        ),
    ],
    "exact_frames": [
        ("def exact_frames(frames, layers):\n    return frames - 2 * layers", "fewer than none"),
        ("def exact_frames(frames, layers):\n    return max(0, frames - layers)", "both ends"),
    ],
    "inflate_with_arrow": [
        (
            "def inflate_with_arrow(weight, frames):\n"
            "    return weight[:, :, None].repeat(1, 1, frames, 1, 1) / frames",
            "no arrow",
        ),
        (
            "def inflate_with_arrow(weight, frames):\n"
            "    film = weight[:, :, None].repeat(1, 1, frames, 1, 1)\n"
            "    return film * torch.arange(frames)[:, None, None]",
            "summed over time",
        ),
    ],
}
