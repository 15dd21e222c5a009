"""What a network gives: its values before softmax, whatever they are wrapped in, and their meaning.

A network may give a tensor (N, K), a tuple or a dict that holds one, or a `ModelOutput` of
`transformers`. `as_values` finds the (N, K) in it. What the numbers mean is the network's *kind of
output*:

- "softmax": K logits that compete; probabilities are their softmax;
- "sigmoid": logits that do not (several labels may be true, or there is one logit alone);
- "probability": probabilities already, where there are no logits to be had: an average of several
  softmaxes;
- "value": numbers that are no logits: a regression, a difference of two classes, a similarity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..errors import BadInput

KINDS = ("softmax", "sigmoid", "probability", "value")


def activated(values: Tensor, kind: str) -> Tensor:
    """Values (N, K) as what is shown of them: probabilities, or themselves."""
    if kind == "softmax":
        return values.softmax(dim=1)
    return values.sigmoid() if kind == "sigmoid" else values


def as_values(given: Any) -> Tensor:
    """The (N, K) in what a network gave.

    Raises:
        BadInput: there is none.
    """
    found = given
    if isinstance(found, Mapping):
        key = "logits" if "logits" in found else next(iter(found), None)
        found = found.get(key)
    elif isinstance(getattr(found, "logits", None), Tensor):
        found = found.logits
    while isinstance(found, tuple | list) and found:
        found = found[0]
    if isinstance(found, Tensor):
        if found.ndim == 1:
            return found[:, None]
        if found.ndim == 2:
            return found
        if sum(n > 1 for n in found.shape[1:]) <= 1:
            return found.flatten(1)  # (N, 1, K), (N, K, 1, 1, 1)
    got = tuple(found.shape) if isinstance(found, Tensor) else type(given).__name__
    raise BadInput(
        f"the network must give logits (N, K), not {got}: say with outputs= how to make them, for "
        "example outputs=lambda y: y[:, -1]"
    )
