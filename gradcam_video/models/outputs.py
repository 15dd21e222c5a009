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

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ..errors import BadInput

KINDS = ("softmax", "sigmoid", "probability", "value")


def activated(values: Tensor, kind: str) -> Tensor:
    """Values (N, K) as what is shown of them: probabilities, or themselves."""
    if kind == "softmax":
        return values.softmax(dim=1)
    return values.sigmoid() if kind == "sigmoid" else values


def as_values(given: Any, clips: int = 1, classes: int | None = None) -> Tensor:
    """The (N, K) in what a network gave for N clips.

    Args:
        given: a tensor, or a tuple, list, dict or `ModelOutput` that holds it.
        clips: N.
        classes: K where it is known: it tells the logits from features beside them.

    Raises:
        BadInput: there is none, or it cannot be told which it is.
    """
    if isinstance(given, Mapping) and "logits" in given:
        given = given["logits"]
    elif isinstance(getattr(given, "logits", None), Tensor):
        given = given.logits
    held = given.values() if isinstance(given, Mapping) else given
    several = [held] if isinstance(held, Tensor) else _leaves(held)
    found = [v for t in several if (v := _as_rows(t, clips)) is not None]
    if classes is not None and any(v.shape[1] == classes for v in found):
        found = [v for v in found if v.shape[1] == classes]
    elif len({v.shape[1] for v in found}) > 1:
        shapes = ", ".join(str(tuple(t.shape)) for t in several)
        raise BadInput(
            f"the network gives several tensors ({shapes}), and which are the logits is not to be "
            "seen: say with outputs=, for example outputs=lambda y: y[-1]"
        )
    if found:
        return found[0]
    got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
    raise BadInput(
        f"the network must give logits (N, K), not {got}: say with outputs= how to make them, for "
        "example outputs=lambda y: y[:, -1]"
    )


def _leaves(held: Any) -> list[Tensor]:
    """The tensors in nested tuples and lists, in order."""
    if isinstance(held, Tensor):
        return [held]
    if isinstance(held, str | bytes) or not isinstance(held, Iterable):
        return []
    return [tensor for one in held for tensor in _leaves(one)]


def _as_rows(tensor: Tensor, clips: int) -> Tensor | None:
    """A tensor as (N, K): (N, 1, K), (N, K, 1, 1, 1), or squeezed to (N,), (K,) or ()."""
    if tensor.ndim < 2:  # squeezed: of several clips (N,), of one (K,)
        return tensor.reshape(clips, -1) if tensor.numel() % clips == 0 else None
    one = sum(n > 1 for n in tensor.shape[1:]) <= 1
    return tensor.flatten(1) if one else None
