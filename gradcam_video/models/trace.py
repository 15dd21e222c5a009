"""A trial forward that costs nothing: what layers there are, where their cells lie, how it ends.

The network runs once on the meta device, where tensors have shapes but no values. Every operation
is seen on its way (`TorchDispatchMode`), so any network can be followed, whatever its `forward`
looks like. Three questions are answered from the record:

- which layer's activations should Grad-CAM read (`Trace.cam_layer`);
- where on the input is each of their cells centred (`Trace.grid_axes`), from the kernels, strides
  and padding on the way, in time too;
- is everything behind that layer global average pooling and one linear layer
  (`Trace.linear_head`)? Then the maps of all classes are one matrix product (Zhou et al. 2016).
  A network that averages a map of class scores, as SqueezeNet does, needs not even that.

A layer may give its cells as tokens or with the channels last; `Trace.token_grid` says how they
become (N, C, T', h, w). A network that reads a class token alone does not look at what its last
block leaves in the other tokens: their gradient is exactly zero, and the layer is what that block
reads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Container, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ..errors import BadInput
from ..geometry import Axis
from .data_flow import DataFlow
from .function_calls import FunctionCalls, module_names
from .meta_ops import run_on_meta
from .modes import evaluating
from .reading import Reading, merged_axes
from .shadow import shadow_of
from .token_layout import TokenGrid, TokenLayout, follow, of_input

log = logging.getLogger(__name__)

_VIEWS = {
    *("view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten", "alias", "detach"),
    "as_strided",  # what a mean over channels last leaves
}
_LEAVES_VALUES = {"mean", "permute", "transpose", "clone", "_to_copy", "dropout", "select", "slice"}
_LEAVES_VALUES |= {"_adaptive_avg_pool3d", "avg_pool3d", "_adaptive_avg_pool2d", "avg_pool2d"}
_AVERAGES = {"mean", "add", "div", "stack", "cat", "sum"}
_ENDINGS = {"_softmax": "softmax", "_log_softmax": "softmax", "sigmoid": "sigmoid"}
_WEIGHTED = {"convolution", "addmm", "mm", "bmm", "baddbmm", "linear"}


@dataclass
class Call:
    """One call of a module, or of a function, during the trial forward."""

    name: str
    output: Tensor  # the first one, where there are several
    version: int  # of the output tensor: in-place operations count it up
    changed: bool  # false for Identity, and for Dropout at inference: the output is the input
    step: int  # how many operations had run when the module returned
    node: int | None  # of the data flow: None where it does not depend on the clip


@dataclass
class Operation:
    """One operation of the trial forward."""

    name: str
    inputs: list[Tensor]
    output: Tensor
    arguments: tuple[Any, ...]  # those by keyword come last
    node: int | None = None  # of the data flow
    graph: bool = True  # whether the network's own forward leaves gradients on


@dataclass(frozen=True)
class LinearHead:
    """Mean over all cells, then a linear layer; without a weight the means are the logits."""

    weight: str | None
    bias: str | None


@dataclass(frozen=True)
class Ending:
    """A softmax or a sigmoid with which a network ends: the logits are what goes into it.

    Attributes:
        kind: of output, see `outputs.py`; "probability" where what comes after it mixes several.
        function: its name (`function_calls.py`) where it can be left out.
        values: what goes into it.
    """

    kind: str
    function: str | None = None
    values: Tensor | None = None


@dataclass
class Trace:
    """The record of a trial forward. Shapes include the batch of one."""

    input_shape: tuple[int, ...]
    calls: list[Call] = field(default_factory=list)
    functions: list[Call] = field(default_factory=list)  # those of torch, named after their module
    operations: list[Operation] = field(default_factory=list)
    logits: Tensor | None = None
    ending: Ending | None = None
    flow: DataFlow | None = None
    like_maps: set[int] = field(default_factory=set)  # ids of (1, C, T', h, w) of unknown places
    past_the_tree: set[str] = field(default_factory=set)  # modules reached by a list or a closure
    mixes: bool | None = None  # whether clips of one batch change each other; None: not tried
    batch_statistics: bool = False  # some norm takes its statistics from the batch
    parameters: dict[int, str] = field(default_factory=dict)  # id of the meta tensor -> name
    layouts: dict[int, TokenLayout] = field(
        default_factory=dict
    )  # id of a tensor -> where cells lie

    classes: int = 0  # K, the number of logits

    def leave_out(self, ending: Ending) -> None:
        """Take what goes into the ending for the logits."""
        self.logits = ending.values
        for known in ("_end", "_on_the_way", "_dominators"):
            self.__dict__.pop(known, None)

    def _find_ending(self) -> Ending | None:
        """The softmax or sigmoid that the network ends with, if it does."""
        assert self.logits is not None and self.flow is not None
        made_by = {id(op.output): op for op in self.operations}
        value = self.logits
        while (op := made_by.get(id(value))) is not None:
            if op.name in _ENDINGS:
                names = [c.name for c in self.functions if c.output is op.output]
                over = op.arguments[1] if op.name.endswith("softmax") else None
                if over is None or op.output.shape[over] == self.classes:
                    found = Ending(_ENDINGS[op.name], names[-1], op.inputs[0]) if names else None
                    return found or Ending("probability")
            # Views, and means over a single cell, leave the values as they are.
            same = bool(op.inputs) and op.inputs[0].numel() == op.output.numel()
            if not same or op.name not in _LEAVES_VALUES | _VIEWS or op.inputs[0] is value:
                break
            value = op.inputs[0]
        last = max((i for i, op in enumerate(self.operations) if op.name in _WEIGHTED), default=-1)
        mixed = [op.node for op in self.operations[last + 1 :] if op.name in _ENDINGS and op.node]
        reached, after = set(mixed), set()
        for op in self.operations[last + 1 :]:
            if op.node is not None and reached & set(self.flow.sources[op.node]):
                reached.add(op.node)
                after.add(op.name)
        if not after <= _AVERAGES | _LEAVES_VALUES | _VIEWS:
            return None
        return Ending("probability") if mixed and self.flow.cut_by(mixed, self._end) else None

    def calls_of(self, layer: str) -> list[Call]:
        """Every call of a layer in one forward, in order.

        Raises:
            BadInput: no such layer, or it was not called.
        """
        calls = self._by_name.get(layer)
        if not calls:
            some = ", ".join(dict.fromkeys(call.name for call in self.calls[-6:] if call.name))
            raise BadInput(f"no layer {layer!r} runs in this network: the last that do are {some}")
        return calls

    def last_call(self, layer: str) -> Call:
        """The last call of a layer in one forward.

        Raises:
            BadInput: no such layer, or it was not called.
        """
        return self.calls_of(layer)[-1]

    def count(self, layer: str) -> int:
        """How often a layer runs in one forward."""
        return len(self._by_name.get(layer, ()))

    @cached_property
    def _by_name(self) -> dict[str, list[Call]]:
        """The calls of each module and function. Asked only once the trial forward is over."""
        found: dict[str, list[Call]] = {}
        for call in (*self.calls, *self.functions):
            found.setdefault(call.name, []).append(call)
        return found

    @cached_property
    def hides_graph(self) -> bool:
        """Whether the network switches gradients off somewhere in its own forward."""
        return self._hidden_from(0)

    def _hidden_from(self, step: int) -> bool:
        """Whether gradients are off in one of the operations from a step on."""
        return any(not op.graph and op.node is not None for op in self.operations[step:])

    # --- which layer ----------------------------------------------------------------------------

    def cam_layer(self) -> str:
        """The last feature map with room to point (h·w > 1) that the logits are made from.

        It is one that every path from the clip to the logits passes (`data_flow.py`): evidence
        that went round it would be missing. A layer that runs several times counts where all of
        its calls together are passed. Where the paths meet in no module, as in a sum written as
        `x + y`, it is a function's output.

        That is the last one with weights behind it; or, where the logits are the plain mean of a
        map of class scores, that map. One that has lost time (T' = 1, as behind VGG's adaptive
        pool) is passed over where there is another. Among the modules that return the very map,
        the outermost: `layer4` rather than `layer4.2.relu`.

        Tokens count where a residual block ends, and where other tokens than the class token reach
        the logits from there. Where they are read through a layer norm alone, as by the attention
        of a class token, its output is the map: a norm does not feel its input grow, so the
        gradient there is orthogonal to the activations, and HiResCAM would be zero everywhere. (Not
        where a class token takes evidence past the norm, as in MViT.)

        Raises:
            BadInput: nothing in the network gives such a map.
        """
        best = self._last([call for call in self.calls if call.name and call.changed])
        function = self._last(self.functions)
        if function is not None and (best is None or self._more_behind(best, function)):
            best = function
        if best is None:
            raise BadInput(self._why_none())
        norm = None if self._plain(best) else self.norm_behind(best.name)
        return norm if norm and self.is_bottleneck(norm) else best.name

    def _last(self, calls: list[Call]) -> Call | None:
        """The last of some calls that can be the CAM layer."""
        weighted = [i for i, op in enumerate(self.operations) if op.name in _WEIGHTED]
        first_weight, last_weight = (weighted[0], weighted[-1]) if weighted else (-1, -1)
        sums = {id(op.output) for op in self.operations if op.name == "add"}
        blocks = [c.name for c in self.calls if c.name and id(c.output) in sums and self._tokens(c)]
        last = {call.name: call for call in calls}  # at the last call of a layer all are known
        best: Call | None = None
        for call in calls:
            tokens = self._token_grid(call.output)
            if tokens is None or tokens.grid[1] * tokens.grid[2] == 1:
                continue
            if call is not last[call.name] or call.step <= first_weight:
                continue
            if best is not None and self._moments(best) > 1 and self._moments(call) == 1:
                continue
            if tokens.plain and any(call.name.startswith(f"{block}.") for block in blocks):
                continue  # part of an attention, beside the tokens
            mean_behind = self.linear_head(call.name) is not None
            if not mean_behind and tokens.among_channels:
                ends_block = id(call.output) in sums
                if not (ends_block and self._reach_logits(call.output, call.step)):
                    continue
            if self.count(call.name) > 1 and not self._places_known(call.name):
                continue
            if (call.step <= last_weight or mean_behind) and self.is_bottleneck(call.name):
                best = call  # a later call that returns the same map is further out
        return best

    def _places_known(self, layer: str) -> bool:
        """Whether it is known where the cells of every call that is read lie."""
        calls, read = self.calls_of(layer), self._calls_read(layer)
        return len(read) == 1 or all(id(calls[i].output) in self.layouts for i in read)

    def _more_behind(self, before: Call, after: Call) -> bool:
        """Whether weights of the network lie between two of its points."""
        way = set(self._on_the_way)
        between = self.operations[before.step : after.step]
        return any(op.name in _WEIGHTED and op.node in way for op in between)

    def _why_none(self) -> str:
        """Why no layer is found, in one line, with the branches where there are several."""
        assert self.flow is not None and self.logits is not None
        cells = [c for c in self.calls if c.name and c.changed and self._has_room(c)]
        ends = [c for c in cells if c.node in set(self._on_the_way)]
        if not ends:
            return (
                "no layer of this network gives (N, C, T', h, w) activations, or tokens that could "
                "be followed, before its last weights: name one with cam_layer="
            )
        ways = self.flow.branches(ends[-1].node or 0, self._end)
        if not ways:
            return (
                f"the last maps of this network, such as that of {ends[-1].name!r}, are made from "
                "none of its weights, or no weights come after them: name a layer with cam_layer="
            )
        last_of = [[c.name for c in ends if c.node in set(way)] for way in ways]
        names = list(dict.fromkeys(names[-1] for names in last_of if names))
        return (
            f"no layer of this network is passed by every path from the clip to the logits: "
            f"{len(ways)} branches run beside each other, and a map of one would miss the evidence "
            f"in the others. Name one with cam_layer=, or several in a list: {', '.join(names)}"
        )

    def _has_room(self, call: Call) -> bool:
        tokens = self._token_grid(call.output)
        return tokens is not None and tokens.grid[1] * tokens.grid[2] > 1

    @cached_property
    def _end(self) -> int:
        """The node of the logits."""
        assert self.flow is not None and self.logits is not None
        return self.flow.node(self.logits) or 0

    @cached_property
    def _on_the_way(self) -> list[int]:
        assert self.flow is not None
        return self.flow.on_the_way(self._end)

    @cached_property
    def _dominators(self) -> set[int]:
        assert self.flow is not None
        return set(self.flow.dominators(self._end))

    def is_bottleneck(self, layer: str) -> bool:
        """Whether every path from the clip to the logits passes a layer, in one call or another."""
        assert self.flow is not None
        nodes = [call.node for call in self.calls_of(layer) if call.node is not None]
        if any(node in self._dominators for node in nodes):
            return True
        return len(nodes) > 1 and self.flow.cut_by(nodes, self._end)

    def paths_beside(self, layer: str) -> int:
        """How many paths run beside each other where a layer lies; 1 for a bottleneck."""
        assert self.flow is not None
        if self.is_bottleneck(layer):
            return 1
        node = self.last_call(layer).node
        if node is None or node not in set(self._on_the_way):
            return 1  # nothing of it reaches the logits: that is refused elsewhere
        return max(2, len(self.flow.branches(node, self._end)))

    def _calls_read(self, layer: str) -> list[int]:
        """Which calls of a layer are read: those that do not pass another one on every way."""
        assert self.flow is not None
        calls = self.calls_of(layer)
        if len(calls) == 1:
            return [0]
        way = set(self._on_the_way)
        left = [i for i, call in enumerate(calls) if call.node in way]
        for i in list(left):
            rest = [calls[j].node for j in left if j != i]
            own = calls[i].node
            assert own is not None
            if rest and own not in rest and self._only_through(own, {n for n in rest if n}):
                left.remove(i)
        return left or [len(calls) - 1]

    def _only_through(self, node: int, others: set[int]) -> bool:
        """Whether a node reaches the logits through other nodes alone."""
        assert self.flow is not None
        reached = {node}
        for one in self._on_the_way:
            if one > node and one not in others and reached & set(self.flow.sources[one]):
                reached.add(one)
        return self._end not in reached

    def reading(self, layer: str, fold: TokenGrid | None = None) -> Reading:
        """Which calls of a layer are read, and where their cells lie.

        Args:
            fold: how its output becomes a grid, where that was given.
        """
        calls, read = self.calls_of(layer), self._calls_read(layer)
        grids, axes, ways = [], [], set()
        for i in read:
            tokens = fold or self.token_grid(layer, i)
            one, way = self._axes(calls[i].output, tokens, given=fold is not None)
            grids.append(tokens)
            axes.append(one)
            ways.add(way)
        align = "half-pixel" if "half-pixel" in ways else "receptive-field"
        if align == "half-pixel" and len(read) > 1:
            raise BadInput(
                f"layer {layer!r} runs {len(read)} times in one forward, and where the cells of "
                "each call lie could not be followed: name another with cam_layer="
            )
        merged, placements = merged_axes(axes)
        hidden = self._hidden_from(max(0, calls[read[0]].step - 1))  # the layer's own last one, too
        return Reading(
            *(layer, len(calls), tuple(read), tuple(grids), merged, align, placements, hidden)
        )

    # --- where its cells lie --------------------------------------------------------------------

    def token_grid(self, layer: str, call: int = -1) -> TokenGrid:
        """How a layer's output becomes (N, C, T', h, w).

        Raises:
            BadInput: it cannot, or not as far as the trial forward could follow.
        """
        output = self.calls_of(layer)[call].output
        tokens = self._token_grid(output)
        if tokens is None:
            raise BadInput(
                f"layer {layer!r} gives {output.ndim}-dimensional output {tuple(output.shape)}, "
                "not (N, C, T', h, w) nor tokens that could be followed: name another with "
                "cam_layer=, or say how it folds with fold="
            )
        return tokens

    def _token_grid(self, output: Tensor) -> TokenGrid | None:
        layout = self.layouts.get(id(output))
        if layout is not None:
            return layout.token_grid
        # Something on the way could not be followed, but it was made of a map as maps are made.
        if id(output) not in self.like_maps:
            return None
        frames, rows, columns = output.shape[-3:]
        return TokenGrid("n c t h w", (frames, rows, columns))

    def _tokens(self, call: Call) -> bool:
        tokens = self._token_grid(call.output)
        return tokens is not None and not tokens.plain

    def _plain(self, call: Call) -> bool:
        tokens = self._token_grid(call.output)
        return tokens is not None and tokens.plain

    def norm_behind(self, layer: str) -> str | None:
        """The layer norm through which alone the cells of a layer reach the logits, if any."""
        call = self.last_call(layer)
        readers = [
            (step, op)
            for step, op in enumerate(self.operations[call.step :], start=call.step)
            if any(t is call.output for t in op.inputs)
            and not self._takes_class_token(op, call.output)
            and self._reach_logits(op.output, step + 1)
        ]
        if len(readers) != 1 or readers[0][1].name != "native_layer_norm":
            return None
        norms = [c.name for c in self.calls if c.output is readers[0][1].output]
        return norms[0] if norms and self.count(norms[0]) == 1 else None

    def _moments(self, call: Call) -> int:
        """T' of a call, or of all calls of its layer together."""
        tokens = self._token_grid(call.output)
        return (tokens.grid[0] if tokens else 1) * self.count(call.name)

    def _reach_logits(self, output: Tensor, step: int) -> bool:
        """Whether the cells of a tensor reach the logits by the operations from `step` on.

        They do not where nothing but the class token is read behind it, and no attention has
        carried them there.
        """
        reached = {id(output): id(output) not in self.layouts}  # have they left their own places?
        for op in self.operations[step:]:
            sources = [t for t in op.inputs if id(t) in reached]
            left = any(reached[id(t)] for t in sources)
            if sources and (left or not self._takes_class_token(op, sources[0])):
                reached[id(op.output)] = left or id(op.output) not in self.layouts
        return id(self.logits) in reached

    def _takes_class_token(self, op: Operation, source: Tensor) -> bool:
        """Whether an operation takes nothing but entries that come before the cells."""
        layout = self.layouts.get(id(source))
        if layout is None or op.name not in ("select", "slice"):
            return False
        given: list[Any] = [*op.arguments[1:], None, None]
        dim, first, last = given[:3]
        if op.name == "select":
            last = first + 1
        return last is not None and 0 < last <= layout.extra((dim or 0) % source.ndim)

    def grid_axes(self, layer: str) -> tuple[tuple[Axis, Axis, Axis], str]:
        """Where the cells of a layer's map lie on the input, and how that is known.

        Returns:
            the axes (time, rows, columns), and "receptive-field", or "half-pixel" where an
            operation on the way could not be followed.
        """
        reading = self.reading(layer)
        return reading.axes, reading.align

    def _axes(
        self, output: Tensor, tokens: TokenGrid, given: bool
    ) -> tuple[tuple[Axis, Axis, Axis], str]:
        """Where the cells of one output lie, whose grid was given or followed."""
        cells, sizes = tokens.grid, self.input_shape[-3:]
        layout = self.layouts.get(id(output))
        known = layout is not None and (not given or layout.token_grid == tokens)
        if layout is None or not known:
            return half_pixel_axes(cells, sizes), "half-pixel"
        each = zip(cells, sizes, layout.places, layout.seen, strict=True)
        axes = [Axis(c, s, *place, seen) for c, s, place, seen in each]
        return (axes[0], axes[1], axes[2]), "receptive-field"

    def changed_in_place_after(self, layer: str) -> bool:
        """Whether the layer's output is overwritten later, as by an in-place ReLU behind it."""
        call = self.last_call(layer)
        return _version(call.output) != call.version

    def linear_head(self, layer: str) -> LinearHead | None:
        """What lies behind a layer when it is the mean over T', h, w and at most a linear layer.

        Returns:
            The names of weight and bias, or None for any other head.
        """
        call = self.last_call(layer)
        if self.changed_in_place_after(layer) or len(self._calls_read(layer)) > 1:
            return None
        maps = {id(call.output)}  # the map, and the same with its dimensions in another order
        pooled: set[int] = set()
        transposed: dict[int, str] = {}
        found: dict[int, LinearHead] = {}
        for op in self.operations[call.step :]:
            sources = {id(t) for t in op.inputs}
            if op.name in ("t", "transpose") and id(op.inputs[0]) in self.parameters:
                transposed[id(op.output)] = self.parameters[id(op.inputs[0])]
            elif sources & maps:
                if op.name in ("permute", "transpose"):
                    maps.add(id(op.output))
                elif self._pools_all(op, op.inputs[0]):
                    pooled.add(id(op.output))
                else:
                    return None
            elif sources & pooled:
                if op.name in _VIEWS:
                    pooled.add(id(op.output))
                    continue
                weight = transposed.get(id(op.inputs[-1]))
                bias = self.parameters.get(id(op.inputs[0])) if op.name == "addmm" else None
                plain = op.name == "mm" or (
                    op.name == "addmm" and bias is not None and len(op.arguments) == 3
                )
                if weight is None or not plain:
                    return None
                found[id(op.output)] = LinearHead(weight, bias)
            elif sources & found.keys() and op.name in _VIEWS:
                found[id(op.output)] = found[next(iter(sources & found.keys()))]
        assert self.logits is not None
        if _version(self.logits):  # something was done to the logits in place
            return None
        if id(self.logits) in pooled:
            return LinearHead(None, None)
        return found.get(id(self.logits))

    def _pools_all(self, op: Operation, source: Tensor) -> bool:
        """Whether an operation averages a map over all of its cells, and over nothing else."""
        tokens, layout = self._token_grid(source), self.layouts.get(id(source))
        if tokens is None or tokens.extra or tokens.in_batch:
            return False
        if op.name == "mean":
            channels = 1 if layout is None else layout.dim_of("c")
            dims = op.arguments[1] if len(op.arguments) > 1 else None
            over = {d % source.ndim for d in dims or range(source.ndim)}
            rest = range(1, source.ndim)
            return channels not in over and all(
                d in over or source.shape[d] == 1 for d in rest if d != channels
            )
        if not tokens.plain or op.output.numel() != source.shape[0] * source.shape[1]:
            return False
        if op.name == "_adaptive_avg_pool3d":
            return True
        # A pool with the whole map under one kernel; with padding it would divide by more, and a
        # divisor can be given.
        kernel = list(op.arguments[1]) if op.name == "avg_pool3d" else []
        padding = op.arguments[3] if len(op.arguments) > 3 else [0]
        divisor = op.arguments[6] if len(op.arguments) > 6 else None
        return kernel == list(source.shape[-3:]) and not any(padding) and divisor is None


def half_pixel_axes(cells: Sequence[int], sizes: Sequence[int]) -> tuple[Axis, Axis, Axis]:
    """Axes (time, rows, columns) whose cells share them evenly."""
    time, rows, columns = (Axis.half_pixel(c, s) for c, s in zip(cells, sizes, strict=True))
    return time, rows, columns


def trace_forward(
    net: nn.Module,
    shape: Sequence[int],
    call: Callable[[nn.Module, Tensor], Any] = lambda net, x: net(x),
) -> Trace:
    """Run the trial forward of a network in evaluation mode.

    Args:
        net: any module that maps (N, 3, T, H, W) to logits (N, K). It is left as it was; forward
            hooks of yours see the trial as they see any forward, only without values.
        shape: of the input, (3, T, H, W).
        call: how the network is asked, (network, x) -> logits.

    Returns:
        The record.

    Raises:
        BadInput: the network cannot take such an input, or does not give (N, K) logits.
    """
    dtype = next((t.dtype for t in net.parameters() if t.is_floating_point()), torch.float32)
    frames, height, width = shape[1:]
    # Whether the network switches gradients off is noted.
    with torch.inference_mode(False), torch.enable_grad():
        try:
            shadow = shadow_of(net)
            record = Trace((1, *shape), parameters=shadow.parameters)
            x = torch.empty(record.input_shape, dtype=dtype, device="meta")
            # The network itself may be reached past its shadow: it must not train meanwhile.
            with evaluating(net), _watch(shadow.names, record, x, module_names(net)):
                logits = call(shadow.net, x)
        except Exception as refused:  # something in it needs values: run it for real
            log.debug("the trial forward needs values: %s", refused)
            device = next(net.parameters()).device
            record = Trace((1, *shape), parameters=_parameter_names(net))
            # Not zeros: a network may divide by what it is given.
            noise = torch.rand(record.input_shape, generator=torch.Generator().manual_seed(0))
            x = noise.to(device, dtype)
            try:
                with evaluating(net), _watch(module_names(net), record, x):
                    logits = call(net, x)
            except BadInput:
                raise
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise BadInput(
                    f"the network cannot take {frames} frames of {height}×{width}: {reason}; where "
                    "it wants something other than (N, 3, T, H, W), make that with inputs="
                ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BadInput(f"the network must give logits (N, K), not {got}: say how with outputs=")
    record.logits, record.classes = logits, logits.shape[1]
    record.ending = record._find_ending()
    return record


def _version(tensor: Tensor) -> int:
    """How often a tensor was written in place; one of inference mode does not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _parameter_names(net: nn.Module) -> dict[int, str]:
    """The names of parameters and buffers by the id of the tensor."""
    return {id(t): name for name, t in (*net.named_parameters(), *net.named_buffers())}


@contextmanager
def _watch(
    names: dict[int, str], record: Trace, x: Tensor, outside: Container[int] = ()
) -> Generator[None]:
    """Record operations, and the calls of the modules of these names (by id), into `record`."""
    thread = threading.get_ident()  # the hooks are torch's global ones, which every thread calls
    entered: list[set[tuple[int, int]]] = []
    keep: list[Any] = []  # ids stay unique only while the tensors live

    def enter(module: nn.Module, inputs: Any) -> None:
        if id(module) in names and threading.get_ident() == thread:
            if id(module) in outside:
                record.past_the_tree.add(names[id(module)])
            tensors = [t for t in tree_iter(inputs) if isinstance(t, Tensor)]
            entered.append({(id(t), _version(t)) for t in tensors})

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        if id(module) not in names or threading.get_ident() != thread:
            return
        before = entered.pop()
        if isinstance(module, torch.jit.ScriptModule):  # no hook can be set on it
            return
        if isinstance(output, tuple | list) and output:
            output = output[0]  # a block that says its grid, or its attention, beside its tokens
        if isinstance(output, Tensor):
            keep.append(output)
            version = _version(output)
            changed = (id(output), version) not in before
            assert record.flow is not None
            step, node = len(record.operations), record.flow.node(output)
            record.calls.append(Call(names[id(module)], output, version, changed, step, node))

    record.layouts[id(x)] = of_input(x.shape)
    record.flow = DataFlow(x)
    keep.append(x)
    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        with _Functions(names, record, keep), _Recorder(record, keep):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Functions(FunctionCalls):
    """Notes every function that gives a tensor, and which norms take the batch's statistics."""

    def __init__(self, names: dict[int, str], record: Trace, keep: list[Any]) -> None:
        super().__init__(names)
        self.record, self.keep = record, keep

    def called(
        self, name: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
        versions = {(id(t), _version(t)) for t in tree_iter(args) if isinstance(t, Tensor)}
        picks = _picks(args) if func is Tensor.__getitem__ else None
        if func in _VALUES and str(kwargs.get("device")).startswith("meta"):
            kwargs = {**kwargs, "device": "cpu"}  # which frames it picks is to be seen
        result = func(*args, **kwargs) if picks is None else args[0].index_select(*picks)
        if func is nn.functional.batch_norm and (kwargs.get("training") or args[5:6] == (True,)):
            self.record.batch_statistics = True
        flow = self.record.flow
        if isinstance(result, Tensor) and flow is not None:
            node = flow.node(result)
            changed = (id(result), _version(result)) not in versions
            if node is not None and changed:
                self.keep.append(result)
                step = len(self.record.operations)
                call = Call(name, result, _version(result), changed, step, node)
                self.record.functions.append(call)
        return result


_VALUES = {torch.arange, torch.linspace, torch.tensor, torch.as_tensor, torch.randperm}


# Operations that make a map of a map at places that are not followed, and such as move entries.
_SPATIAL = {"roll", "cat", "index", "index_select", "gather", "grid_sampler_3d", "flip"}
_MOVED = {*_VIEWS, "permute", "transpose", "bmm", "baddbmm", "mm", "addmm", "linear", "einsum"}
_MOVED |= {"_scaled_dot_product_flash_attention_for_cpu", "scaled_dot_product_attention", "expand"}


def _picks(args: Sequence[Any]) -> tuple[int, Tensor] | None:
    """x[:, [2, 1, 0]] without values, as (dimension, index): torch drops the values of an index."""
    x, index = args[0], args[1]
    each = index if isinstance(index, tuple) else (index,)
    chosen = [d for d, one in enumerate(each) if not isinstance(one, slice) or one != slice(None)]
    if not x.is_meta or len(chosen) != 1 or not isinstance(each[chosen[0]], list | Tensor):
        return None
    picked = torch.as_tensor(each[chosen[0]])
    if picked.ndim != 1 or picked.dtype in (torch.bool, torch.uint8) or picked.is_meta:
        return None
    return chosen[0], picked % x.shape[chosen[0]]


class _Recorder(TorchDispatchMode):
    """Sees every operation; notes it and works out the layout of its output."""

    def __init__(self, record: Trace, keep: list[Any]) -> None:
        super().__init__()
        self.record, self.keep = record, keep
        self.limited: set[int] = set()  # the nodes through which some frames are not seen

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else torch (2.15) guards `__torch_dispatch__` against its compiler, and to do so imports
        # it at the first operation: as much processor time as `import torch`, and 200 MB.
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if torch.is_inference_mode_enabled():
            # There torch (2.15) hands over `conv3d` or `linear` whole, not what they are made of.
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        result = run_on_meta(func, args, kwargs or {})
        given = (*args, *(kwargs or {}).values())
        name = func.overloadpacket.__name__.removesuffix("_")
        inputs = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_iter(result) if isinstance(t, Tensor)]
        record = self.record
        assert record.flow is not None
        self.keep.append((inputs, outputs))
        record.flow.ran(name, inputs, outputs)
        pieces = name in ("split", "split_with_sizes", "chunk", "unbind")
        for which, output in enumerate(outputs if pieces else outputs[:1]):
            node, graph = record.flow.node(output), torch.is_grad_enabled()
            record.operations.append(Operation(name, inputs, output, given, node, graph))
            known = record.layouts
            layout = follow(name, args, inputs, output, known, which)
            if layout is not None and layout.seen != (None, None, None):
                layout = self._with_all_ways(layout, inputs, node)
            spatial = name in _SPATIAL or (name not in _MOVED and output.ndim == 5)
            if layout is None and spatial and output.ndim == 5 and output.shape[0] == 1:
                maps = [t for t in inputs if t.ndim == 5 and t.shape[0] == 1]
                if any(id(t) in record.like_maps or self._plain(t) for t in maps):
                    record.like_maps.add(id(output))
            if layout is not None:
                known[id(output)] = layout
            elif any(output is t for t in inputs):  # overwritten by something not understood
                known.pop(id(output), None)
        return result

    def _plain(self, tensor: Tensor) -> bool:
        """Whether a tensor is known to be (1, C, T', h, w)."""
        layout = self.record.layouts.get(id(tensor))
        return layout is not None and layout.plain

    def _with_all_ways(
        self, layout: TokenLayout, inputs: list[Tensor], node: int | None
    ) -> TokenLayout:
        """A layout that leaves frames unseen; not where another way shows them."""
        flow = self.record.flow
        assert flow is not None
        if node is None:
            return layout
        self.limited.add(node)
        for tensor in inputs:
            own = flow.node(tensor)
            unknown = id(tensor) not in self.record.layouts and own is not None
            if unknown and not flow.cut_by(self.limited, own or 0):
                return replace(layout, seen=(None, None, None))
        return layout
