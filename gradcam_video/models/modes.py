"""The state that a network is run in: evaluation mode, and precision; put back afterwards."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def precision(device: torch.device, autocast: bool | torch.dtype) -> torch.autocast:
    """The context in which a network runs: its own precision, or a lower one (True: bfloat16)."""
    dtype = torch.bfloat16 if autocast is True else autocast or None
    return torch.autocast(device.type, dtype=dtype, enabled=bool(autocast))


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def evaluating(net: nn.Module) -> Generator[None]:
    """Evaluation mode within; afterwards every module's own mode is as it was."""
    training = [module for module in net.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
