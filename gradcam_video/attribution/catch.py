"""Where the network is caught: its CAM layer's output read, or replaced, during one forward."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ..models.modes import precision
from ..models.video_model import VideoModel


class _Catch:
    """Runs a network without a graph and keeps the output of its CAM layer, as a grid of cells.

    Args:
        model: the network with its CAM layer.
        shape: of the input, (3, T, H, W).
    """

    def __init__(self, model: VideoModel, shape: Sequence[int]) -> None:
        self.net, self.layer = model.net, model.net.get_submodule(model.cam_layer)
        self.calls, self.token_grid = (
            model.trace(shape).count(model.cam_layer),
            model.token_grid(shape),
        )
        self.activations: Tensor | None = None

    def run(self, x: Tensor, autocast: bool | torch.dtype) -> tuple[Tensor, Tensor]:
        """Returns logits (N, K) and activations (N, C, T', h, w)."""
        remaining = self.calls
        with ExitStack() as self.contexts:
            self.head_dtype = torch.float32 if autocast else None
            self.contexts.enter_context(torch.no_grad())
            self.contexts.enter_context(precision(x.device, autocast))

            def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
                nonlocal remaining
                remaining -= 1  # a layer that runs several times is caught at its last call
                return self._replaced(output) if remaining == 0 else None

            handle = self.layer.register_forward_hook(hook)
            self.contexts.callback(handle.remove)
            logits = self.net(x)
        assert self.activations is not None
        return logits, self.activations

    def _replaced(self, output: Any) -> Any:
        """The layer's output with other cells in it; None: it stays."""
        several = isinstance(output, tuple | list)
        tokens: Tensor = output[0] if several else output
        cells = self.caught(self.token_grid.to_grid(tokens))
        if cells is None:
            return None
        tokens = self.token_grid.from_grid(cells, tokens)
        return type(output)((tokens, *output[1:])) if several else tokens

    def caught(self, cells: Tensor) -> Tensor | None:
        """What to do with the layer's cells (N, C, T', h, w); a tensor returned replaces them."""
        self.activations = cells
        return None


class _Cut(_Catch):
    """The same, but from the layer on a graph is recorded: that of the head alone."""

    def caught(self, cells: Tensor) -> Tensor:
        # The contexts opened here close with the run, innermost first.
        self.contexts.enter_context(torch.autocast(cells.device.type, enabled=False))
        self.contexts.enter_context(torch.enable_grad())
        self.activations = cells.detach().to(self.head_dtype or cells.dtype).requires_grad_()
        # A copy goes on: an in-place ReLU in the head may overwrite it.
        return self.activations.clone()
