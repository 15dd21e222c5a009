"""The CAM layer's output: read, or replaced, in the middle of one forward.

A network is a chain of layers, and Grad-CAM needs what is inside: the activations A of one layer,
the *CAM layer*. A forward hook catches them as they pass. There are two ways to do so:

- `LayerCatch` reads A. The forward runs without a graph: no gradient can be taken, none is needed.
- `HeadGraphCatch` cuts the chain at A. What comes before it runs without a graph; A itself becomes
  a leaf; and from it on, through the *head*, torch records a graph. The gradient of a logit with
  respect to A then costs a backward through the head alone.

A layer may give its cells as tokens or with the channels last. `TokenGrid` turns them into a grid
(N, C, T', h, w) here, and back into the layer's own shape, so that nobody else has to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from ..models.modes import precision
from ..models.video_model import VideoModel


class LayerCatch:
    """Runs a network without a graph and keeps the output of its CAM layer, as a grid of cells.

    A subclass says in `caught` what else happens to the cells.

    Args:
        model: the network with its CAM layer.
        shape: of the input, (3, T, H, W).
    """

    def __init__(self, model: VideoModel, shape: Sequence[int]) -> None:
        self.model = model
        self.layer = model.net.get_submodule(model.cam_layer)
        self.calls = model.trace(shape).count(model.cam_layer)
        self.token_grid = model.token_grid(shape)
        self.activations: Tensor | None = None

    def run(self, x: Tensor, autocast: bool | torch.dtype) -> tuple[Tensor, Tensor]:
        """One forward. The hook and all modes are taken back, also when something raises.

        Args:
            x: (N, 3, T, H, W).
            autocast: the precision that the network runs in (True: bfloat16).

        Returns:
            logits (N, K) and activations (N, C, T', h, w).
        """
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
            logits = self.model.forward(x)
        assert self.activations is not None
        return logits, self.activations

    def _replaced(self, output: Any) -> Any:
        """The layer's output with other cells in it; None: it stays."""
        several = isinstance(output, tuple | list)  # attention may give its weights, too
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


class HeadGraphCatch(LayerCatch):
    """The same, but from the layer on a graph is recorded: that of the head alone.

    The activations that `run` returns are its leaf: torch.autograd.grad(logits, activations, …).
    """

    def caught(self, cells: Tensor) -> Tensor:
        """Make the cells a leaf, and turn gradients on for what is still to run."""
        # These contexts close with the run, innermost first. The head runs in full precision.
        self.contexts.enter_context(torch.autocast(cells.device.type, enabled=False))
        self.contexts.enter_context(torch.enable_grad())
        self.activations = cells.detach().to(self.head_dtype or cells.dtype).requires_grad_()
        # A copy goes on: an in-place ReLU in the head may overwrite it.
        return self.activations.clone()
