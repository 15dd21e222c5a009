"""Networks inside something else: compiled, on several devices, or of a kind without layers.

`torch.compile`, `DataParallel` and `DistributedDataParallel` wrap a module that can be explained:
it is taken out. TorchScript has no Python modules any more, and quantised layers give no gradient:
they are refused, each in a line that says the way out.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import BadInput


def unwrapped(net: nn.Module) -> nn.Module:
    """The network itself, taken out of what wraps it.

    Raises:
        BadInput: it is TorchScript, or has quantised layers.
    """
    if not isinstance(net, nn.Module):
        raise BadInput(
            f"a network is wanted, not {type(net).__name__}: give a torch.nn.Module, or a name or "
            "path to load_model"
        )
    while True:
        if isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel):
            net = net.module
        elif isinstance(inner := getattr(net, "_orig_mod", None), nn.Module):  # torch.compile
            net = inner
        else:
            break
    if isinstance(net, torch.jit.ScriptModule):
        raise BadInput(
            f"{getattr(net, 'original_name', type(net).__name__)} is TorchScript, whose layers "
            "cannot be read: give the nn.Module that it was made from, with the same weights"
        )
    for name, module in net.named_modules():
        if type(module).__module__.startswith(("torch.ao.nn.quantized", "torchao.quantization")):
            raise BadInput(
                f"layer {name!r} is quantised, and no gradient passes it: explain the network in "
                "floating point, before it was quantised"
            )
    return net


@contextmanager
def as_written(net: nn.Module) -> Generator[None]:
    """Within, parts of the network that were compiled run as they are written."""
    compiled = any(
        m._compiled_call_impl is not None or hasattr(m, "_orig_mod") for m in net.modules()
    )
    if not compiled:
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield
