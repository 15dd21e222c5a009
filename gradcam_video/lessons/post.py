"""The fourteen predictions that the post of 2017 prints beside its figures.

R. Goyal, *Visual explanation for video recognition*, blog post, 2017: three groups, in its order.
Of each clip it prints the true class and the two likeliest answers of its network.
"""

from __future__ import annotations

from typing import NamedTuple

ADDRESS = "https://medium.com/twentybn/visual-explanation-for-video-recognition-87e9ba2a675b"


class Printed(NamedTuple):
    """One clip of the post: its group there, its true class, the two likeliest answers."""

    group: str
    true: str
    first: str
    p_first: float
    second: str
    p_second: float


PRINTED = tuple(
    Printed(group, true, first, p_first, second, p_second)
    for group, rows in {
        "positive": (
            ("Putting …", "Putting …", 0.84, "Dropping …", 0.10),
            ("Tearing …", "Tearing …", 0.99, "Stacking [number of] …", 0.00),
            ("Uncovering …", "Uncovering …", 0.99, "Opening …", 0.00),
            ("Closing …", "Closing …", 0.96, "Opening …", 0.02),
            ("Pushing … so that it slightly moves", "Pushing … so that it slightly moves", 0.43,
             "Pretending to take … from [somewhere]", 0.20),
            ("Approaching … with your camera", "Approaching … with your camera", 0.26,
             "Dropping …", 0.15),
            ("Picking … up", "Picking … up", 0.99, "Putting …", 0.00),
        ),
        "medium": (
            ("Picking … up", "Turning the camera downwards while filming …", 0.67,
             "Picking … up", 0.10),
            ("Holding …", "Turning the camera left while filming …", 0.21,
             "Turning the camera right while filming …", 0.21),
            ("Throwing … against …", "Dropping …", 0.97, "Throwing … against …", 0.01),
            ("Picking … up", "Pushing … with …", 0.34, "Picking … up", 0.25),
        ),
        "negative": (
            ("Holding …", "Turning … upside down", 0.67,
             "Turning the camera left while filming …", 0.07),
            ("Pushing … so that it slightly moves", "Dropping …", 0.50, "Picking … up", 0.11),
            ("Picking … up", "Pushing … with …", 0.19, "Picking … up", 0.15),
        ),
    }.items()
    for true, first, p_first, second, p_second in rows
)  # fmt: skip
