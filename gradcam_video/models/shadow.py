"""A network's shadow: the same modules, whose parameters have shapes but no values.

A trial forward runs on it. The network itself is not touched, so that other threads may use it
meanwhile, and no memory is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shadow:
    """The shadow of a network.

    Attributes:
        net: the modules, in evaluation mode, with parameters on the meta device.
        names: of every module, by id: those of the shadow, and those of the network itself, which
            may be reached past `named_modules()` (a list of blocks, a bound method).
        parameters: names of parameters and buffers, by the id of the tensor, in both.
    """

    net: nn.Module
    names: dict[int, str]
    parameters: dict[int, str]


def shadow_of(net: nn.Module) -> Shadow:
    """The shadow of a network; what is shared in it is shared in its shadow."""
    modules: dict[int, nn.Module] = {}
    tensors: dict[int, Tensor] = {}

    def without_values(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        if id(tensor) not in tensors:
            empty = torch.empty_like(tensor, device="meta")
            is_parameter = isinstance(tensor, nn.Parameter)
            tensors[id(tensor)] = nn.Parameter(empty, False) if is_parameter else empty.detach()
        return tensors[id(tensor)]

    def of(module: nn.Module) -> nn.Module:
        if isinstance(module, torch.jit.ScriptModule):  # compiled: it has no modules to copy
            return module
        if id(module) not in modules:
            other = object.__new__(type(module))
            modules[id(module)] = other
            own: dict[str, Any] = dict(module.__dict__)
            # What a network keeps in a list or a dict, as a cache, is not the shadow's to fill.
            own = {k: type(v)(v) if type(v) in (dict, list, set) else v for k, v in own.items()}
            own["training"] = False
            own["_compiled_call_impl"] = None
            for kind in ("_parameters", "_buffers"):
                own[kind] = {name: without_values(t) for name, t in own[kind].items()}
            own["_modules"] = {n: m if m is None else of(m) for n, m in own["_modules"].items()}
            if "_flat_weights" in own:  # a recurrent layer keeps its parameters here once more
                own["_flat_weights"] = [without_values(t) for t in own["_flat_weights"]]
            other.__dict__.update(own)
        return modules[id(module)]

    shadow = of(net)
    names, parameters = {}, {}
    for one in (net, shadow):
        names |= {id(module): name for name, module in one.named_modules()}
        named = (*one.named_parameters(), *one.named_buffers())
        parameters |= {id(tensor): name for name, tensor in named}
    return Shadow(shadow, names, parameters)
