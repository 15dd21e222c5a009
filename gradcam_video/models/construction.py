"""Building a network changes nothing for others: one at a time, with draws of its own.

Two libraries change torch for the whole process while they build: `torch.fx` replaces
`Module.__call__` and `__getattr__` as long as it traces, `transformers` replaces the functions of
`torch.nn.init`, `torch.linspace` and the default type. Two threads that do so at once put back what
the other one had put there. So all building holds one lock.

Initial weights are drawn from torch's global generator, even those that a file then replaces. What
else draws from it, in this thread or in another one, would get other numbers: whether a model was
loaded would change an experiment. So the initial weights come from a copy of the generator.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

LOCK = threading.RLock()

_from_the_global_one: ContextVar[bool] = ContextVar("from_the_global_one", default=False)
_IN_PLACE = {
    *(Tensor.bernoulli_, Tensor.cauchy_, Tensor.exponential_, Tensor.geometric_),
    *(Tensor.log_normal_, Tensor.normal_, Tensor.random_, Tensor.uniform_),
}
_NEW = {torch.normal, torch.rand, torch.randn, torch.randint, torch.randperm}
_OF_ONE = {torch.bernoulli, torch.multinomial}


@contextmanager
def building() -> Generator[None]:
    """Within, this thread alone builds; its random numbers come from a copy of the generator.

    The copy begins where the global generator stands, which is not moved: two networks that are
    built one after the other have the same random weights, unless `torch.manual_seed` is called
    in between.
    """
    with LOCK:
        if _from_the_global_one.get():
            yield
        else:
            with _OwnDraws():
                yield


@contextmanager
def global_draws() -> Generator[None]:
    """Within, building draws from the global generator, and moves it, as plain PyTorch does."""
    token = _from_the_global_one.set(True)
    try:
        yield
    finally:
        _from_the_global_one.reset(token)


class _OwnDraws(TorchFunctionMode):
    """Gives every draw of this thread a copy of the generator it would have used."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: dict[torch.device, torch.Generator] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        options = dict(kwargs or {})
        if options.get("generator") is None:
            device = _drawn_on(func, args, options)
            if device is not None and device.type in ("cpu", "cuda"):
                options["generator"] = self._copy(device)
        return func(*args, **options)

    def _copy(self, device: torch.device) -> torch.Generator:
        if device not in self.copies:
            on_cpu = device.type == "cpu"
            state = torch.get_rng_state() if on_cpu else torch.cuda.get_rng_state(device)
            self.copies[device] = torch.Generator(device)
            self.copies[device].set_state(state)
        return self.copies[device]


def _drawn_on(func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> torch.device | None:
    """The device of what a function draws; None: it draws nothing."""
    if func in _NEW:
        device = options.get("device")
        return torch.get_default_device() if device is None else torch.device(device)
    # Those of torch.nn.init take a generator as well, and hand it on.
    if func in _IN_PLACE or func in _OF_ONE or "generator" in options:
        tensor = options.get("tensor", args[0] if args else None)
        return tensor.device if isinstance(tensor, Tensor) else None
    return None
