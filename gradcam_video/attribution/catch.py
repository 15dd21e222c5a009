"""The CAM layer's output: read, or replaced, in the middle of one forward.

A network is a chain of layers, and Grad-CAM needs what is inside: the activations A of one layer,
the *CAM layer*. They are caught as they pass. There are two ways to do so:

- `LayerCatch` reads A. The forward runs without a graph: no gradient can be taken, none is needed.
- `HeadGraphCatch` cuts the chain at A. What comes before it runs without a graph; A itself becomes
  a leaf; and from it on, through the *head*, torch records a graph. The gradient of a logit with
  respect to A then costs a backward through the head alone.

A layer may give its cells as tokens or with the channels last. `TokenGrid` turns them into a grid
(N, C, T', h, w) here, and back into the layer's own shape, so that nobody else has to know. It may
run several times; then there are several A, and `Reading` lays their maps on one grid.

Other threads may run the same network meanwhile: they notice nothing, and are not noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ..errors import BadInput
from ..models.function_calls import FunctionCalls, module_names
from ..models.modes import hooked, in_this_thread, precision
from ..models.reading import Reading
from ..models.token_layout import TokenGrid
from ..models.video_model import VideoModel

_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


def needs_help(model: VideoModel, x: Tensor) -> bool:
    """Whether a gradient through a network wants `WithGraph`: torch would refuse it."""
    recurrent = x.is_cuda and any(isinstance(m, nn.RNNBase) for m in model.net.modules())
    return recurrent or any(p.is_inference() for p in model.net.parameters())


class OneByOne(BadInput):
    """Several clips do not pass the layer as one batch: they must go one by one."""


@dataclass(frozen=True)
class Caught:
    """What one forward gave.

    Attributes:
        logits: (N, K).
        cells: the activations (N, C, T', h, w), one tensor per call of the layer that is read.
        reading: how the maps of these become one.
    """

    logits: Tensor
    cells: list[Tensor]
    reading: Reading

    @property
    def activations(self) -> Tensor:
        """The activations of all calls on one grid: (N, C, T', h, w)."""
        return self.reading.merged(self.cells)


class LayerCatch:
    """Runs a network without a graph and keeps the output of its CAM layer, as a grid of cells.

    A subclass says in `caught` what else happens to the cells.

    Args:
        model: the network with its CAM layer.
        shape: of the input, (3, T, H, W).
    """

    with_graph = False

    def __init__(self, model: VideoModel, shape: Sequence[int]) -> None:
        self.model = model
        self.reading = model.reading(shape)
        self.cells: list[Tensor] = []

    def run(self, x: Tensor, autocast: bool | torch.dtype) -> Caught:
        """One forward. The hook and all modes are taken back, also when something raises.

        Args:
            x: (N, 3, T, H, W).
            autocast: the precision that the network runs in (True: bfloat16).

        Raises:
            BadInput: the network took another way than in its trial forward.
        """
        self.cells, self.call = [], 0
        self.head_dtype = torch.float32 if autocast else None
        grids = dict(zip(self.reading.read, self.reading.token_grids, strict=True))

        def passed(output: Any) -> Any:
            """The layer's output, as it is or with other cells in it."""
            tokens = grids.get(self.call)
            self.call += 1
            return output if tokens is None else self.replaced(output, tokens)

        is_function = ":" in self.reading.layer
        layer = self.model.net if is_function else self.model.net.get_submodule(self.reading.layer)
        with ExitStack() as contexts:
            # The graph begins at the layer: gradients are switched on there, for what comes after.
            contexts.enter_context(torch.no_grad())
            contexts.enter_context(precision(x.device, autocast))
            if not is_function:
                hook = in_this_thread(lambda module, inputs, output: passed(output))
                contexts.enter_context(hooked(layer.register_forward_hook(hook)))
            if is_function or (self.with_graph and self._needs_help(x, autocast)):
                contexts.enter_context(
                    _Head(self, passed if is_function else None, x.device.type, autocast)
                )
            logits = self.model.forward(x, as_it_is=True)
        kind = OneByOne if len(x) > 1 else BadInput
        if any(len(cells) != len(logits) for cells in self.cells):
            raise kind(
                f"{self.reading.layer!r} has {len(self.cells[0])} maps for {len(logits)} clips: "
                "parts of a clip lie in the batch's dimension, in a way that could not be followed"
            )
        if len(self.cells) != len(grids) or self.call != self.reading.calls:
            raise kind(
                f"{self.reading.layer!r} ran {self.call} times, and {self.reading.calls} times in "
                "the trial forward: a network whose way depends on the values cannot be followed"
            )
        return Caught(logits, self.cells, self.reading)

    def _needs_help(self, x: Tensor, autocast: bool | torch.dtype) -> bool:
        """Whether a graph of the head is not recorded by itself."""
        return self.reading.hidden or bool(autocast) or needs_help(self.model, x)

    def replaced(self, output: Any, token_grid: TokenGrid) -> Any:
        """The layer's output with other cells in it."""
        several = isinstance(output, tuple | list)  # attention may give its weights, too
        tokens = self.tokens(output[0] if several else output, token_grid)
        if tokens is None:
            return output
        return type(output)((tokens, *output[1:])) if several else tokens

    def tokens(self, tokens: Tensor, token_grid: TokenGrid) -> Tensor | None:
        """What takes the place of the layer's tokens; None: nothing does."""
        cells = self.caught(token_grid.to_grid(tokens))
        return None if cells is None else token_grid.from_grid(cells, tokens)

    def caught(self, cells: Tensor) -> Tensor | None:
        """What to do with the layer's cells (N, C, T', h, w); a tensor returned replaces them."""
        self.cells.append(cells)
        return None


class HeadGraphCatch(LayerCatch):
    """The same, but from the layer on a graph is recorded: that of the head alone.

    The cells that `run` returns are its leaves: torch.autograd.grad(logits, cells, …). Where a
    layer runs several times, each path through the network counts where it passes the layer last.
    """

    with_graph = True

    def caught(self, cells: Tensor) -> Tensor:
        """Make the cells a leaf, and turn gradients on for what is still to run."""
        torch.set_grad_enabled(True)  # until the forward ends: `run` is within a no_grad
        leaf = cells.detach().to(self.head_dtype or cells.dtype)
        leaf = (leaf.clone() if leaf.is_inference() else leaf).requires_grad_()
        self.cells.append(leaf)
        # A copy goes on: an in-place ReLU in the head may overwrite it.
        return leaf.clone()


class WithGraph(FunctionCalls):
    """Within, the network's functions record a graph, whatever its own forward does about it.

    A network may switch gradients off, or run in another precision. Where the precision is a lower
    one of ours, its functions run in float32.

    Args:
        model: the network.
        device: "cpu", "cuda" ….
        full_precision: run in float32.
    """

    def __init__(self, model: VideoModel, device: str, full_precision: bool = False) -> None:
        super().__init__(module_names(model.net))
        self.device, self.full_precision = device, full_precision

    def called(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        short = getattr(func, "__name__", "")
        if short == "_set_grad_enabled":  # the network's own no_grad
            return func(*args, **kwargs)
        with ExitStack() as contexts:
            contexts.enter_context(torch.inference_mode(False))
            contexts.enter_context(torch.enable_grad())
            if short in _RECURRENT and self.device == "cuda":
                # cuDNN has no backward of a recurrent layer in evaluation mode.
                contexts.enter_context(torch.backends.cudnn.flags(enabled=False))
            if self.full_precision:
                contexts.enter_context(torch.autocast(self.device, enabled=False))
            args, kwargs = tree_map_only(Tensor, self._usable, (args, kwargs))
            return func(*args, **kwargs)

    def _usable(self, tensor: Tensor) -> Tensor:
        """A tensor that a graph can hold, in full precision where that is wanted."""
        if tensor.is_inference():
            tensor = tensor.clone()
        low = tensor.dtype in (torch.bfloat16, torch.float16)
        return tensor.float() if self.full_precision and low else tensor


class _Head(WithGraph):
    """Catches what a function gives, and sees to it that the head records a graph."""

    def __init__(
        self,
        catch: LayerCatch,
        passed: Callable[[Any], Any] | None,
        device: str,
        autocast: bool | torch.dtype,
    ) -> None:
        super().__init__(catch.model, device, bool(autocast))
        self.catch, self.passed = catch, passed

    def called(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        if self.catch.cells and self.catch.with_graph:
            result = super().called(name, func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        if self.passed is not None and name == self.catch.reading.layer:
            return self.passed(result)
        return result
