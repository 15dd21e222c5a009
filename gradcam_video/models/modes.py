"""The state that a network is run in: evaluation mode, and precision; put back afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def precision(device: torch.device, autocast: bool | torch.dtype) -> torch.autocast:
    """The context in which a network runs: its own precision, or a lower one (True: bfloat16)."""
    dtype = torch.bfloat16 if autocast is True else autocast or None
    return torch.autocast(device.type, dtype=dtype, enabled=bool(autocast))


def at_least_float32(values: Tensor) -> Tensor:
    """Values of any shape in float32; those in float64 stay so."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


_lock = threading.Lock()
_evaluated: dict[int, tuple[int, list[nn.Module]]] = {}  # network -> how many are in, what trained


@contextmanager
def evaluating(net: nn.Module) -> Generator[None]:
    """Evaluation mode within; afterwards every module's own mode is as it was.

    Of several threads that evaluate one network the last one to leave puts it back.
    """
    with _lock:
        within, training = _evaluated.get(id(net), (0, []))
        now = [module for module in net.modules() if module.training]
        for module in now:
            module.training = False
        _evaluated[id(net)] = (within + 1, [*training, *now])
    try:
        yield
    finally:
        with _lock:
            within, training = _evaluated.pop(id(net))
            if within > 1:
                _evaluated[id(net)] = (within - 1, training)
            else:
                for module in training:
                    module.training = True


@contextmanager
def hooked(*handles: RemovableHandle) -> Generator[None]:
    """Hooks that are removed again."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def in_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that acts in the thread that made it, not in another that runs the same module."""
    thread = threading.get_ident()
    return lambda *args: hook(*args) if threading.get_ident() == thread else None
