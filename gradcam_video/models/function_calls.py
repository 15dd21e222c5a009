"""The torch functions that a forward calls, by name: `layer4.0:add`, `:relu#2`.

A point of a network need not be a module: a residual sum written as `x + y`, or `F.relu(...)`, has
no module of its own. It is named after the module in whose `forward` it stands and the function;
`#2` is the second of that name in one call of the module. Torch tells of every function through a
`TorchFunctionMode`, which, unlike a hook on a module, sees the calls of its own thread alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode


class FunctionCalls(TorchFunctionMode):
    """Within, every torch function of this thread goes through `called`.

    Args:
        names: of the network's modules, by id.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names = names
        self.inside: list[tuple[str, Counter[str]]] = [("", Counter())]

    def __enter__(self) -> FunctionCalls:
        thread = threading.get_ident()  # torch calls these hooks in every thread

        def enter(module: nn.Module, inputs: Any) -> None:
            if id(module) in self.names and threading.get_ident() == thread:
                self.inside.append((self.names[id(module)], Counter()))

        def leave(module: nn.Module, inputs: Any, output: Any) -> None:
            if id(module) in self.names and threading.get_ident() == thread:
                self.inside.pop()

        self.hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
        return super().__enter__()

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        super().__exit__(exc_type, exc_val, exc_tb)
        for hook in self.hooks:
            hook.remove()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        short = getattr(func, "__name__", "function").strip("_")
        module, count = self.inside[-1]
        count[short] += 1
        again = f"#{count[short]}" if count[short] > 1 else ""
        return self.called(f"{module}:{short}{again}", func, args, kwargs or {})

    def called(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        """What becomes of a call. The mode is off within: what the function calls is not seen."""
        return func(*args, **kwargs)


class LeftOut(FunctionCalls):
    """Within, one function gives back what it is given: a softmax with which a network ends."""

    def __init__(self, names: Mapping[int, str], function: str) -> None:
        super().__init__(names)
        self.function = function

    def called(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        if name == self.function:
            return args[0] if args else kwargs["input"]
        return func(*args, **kwargs)


def module_names(net: nn.Module) -> dict[int, str]:
    """The names of a network's modules, by id."""
    return {id(module): name for name, module in net.named_modules()}
