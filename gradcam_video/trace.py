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
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from .errors import BadInput
from .grid import Axis

# Per axis (time, rows, columns): (offset, stride) of a tensor's last three dimensions on the input.
Geometry = tuple[tuple[float, float], ...]

_VIEWS = {"view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "flatten", "alias", "detach"}
_WEIGHTED = {"convolution", "addmm", "mm", "bmm", "baddbmm", "linear"}


@dataclass
class Call:
    """One call of a module during the trial forward."""

    name: str
    output: Tensor
    version: int  # of the output tensor: in-place operations count it up
    changed: bool  # false for Identity, and for Dropout at inference: the output is the input
    step: int  # how many operations had run when the module returned


@dataclass
class Operation:
    """One operation of the trial forward."""

    name: str
    inputs: list[Tensor]
    output: Tensor
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class LinearHead:
    """Mean over all cells, then a linear layer; without a weight the means are the logits."""

    weight: str | None
    bias: str | None


@dataclass
class Trace:
    """The record of a trial forward. Shapes include the batch of one."""

    input_shape: tuple[int, ...]
    calls: list[Call] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    logits: Tensor | None = None
    parameters: dict[int, str] = field(default_factory=dict)  # id of the meta tensor -> name
    geometry: dict[int, Geometry] = field(default_factory=dict)  # id of a tensor -> its geometry

    @property
    def classes(self) -> int:
        """K, the number of logits."""
        assert self.logits is not None
        return self.logits.shape[1]

    def last_call(self, layer: str) -> Call:
        """The last call of a layer in one forward.

        Raises:
            BadInput: no such layer, or it was not called.
        """
        calls = [call for call in self.calls if call.name == layer]
        if not calls:
            some = ", ".join(dict.fromkeys(call.name for call in self.calls[-6:] if call.name))
            raise BadInput(f"no layer {layer!r} runs in this network: the last that do are {some}")
        return calls[-1]

    def count(self, layer: str) -> int:
        """How often a layer runs in one forward."""
        return sum(call.name == layer for call in self.calls)

    def cam_layer(self) -> str:
        """The last feature map with room to point (h·w > 1) that the logits are made from.

        That is the last one with weights behind it; or, where the logits are the plain mean of a
        map of class scores, that map. One that has lost time (T' = 1, as behind VGG's adaptive
        pool) is passed over where there is another. Among the modules that return the very map,
        the outermost: `layer4` rather than `layer4.2.relu`.

        Raises:
            BadInput: nothing in the network gives a (N, C, T', h, w) map.
        """
        last_weight = max(
            (i for i, op in enumerate(self.operations) if op.name in _WEIGHTED), default=-1
        )
        best: Call | None = None
        for call in self.calls:
            shape = call.output.shape
            roomy = len(shape) == 5 and shape[-1] * shape[-2] > 1
            if not (roomy and call.changed and call.name):
                continue
            if best is not None and best.output.shape[2] > 1 and shape[2] == 1:
                continue
            if call.step <= last_weight or self.linear_head(call.name) is not None:
                best = call  # a later call that returns the same map is further out
        if best is None:
            raise BadInput(
                "no layer of this network gives (N, C, T', h, w) activations before its last "
                "weights: name one with cam_layer="
            )
        return best.name

    def grid_axes(self, layer: str) -> tuple[tuple[Axis, Axis, Axis], str]:
        """Where the cells of a layer's map lie on the input, and how that is known.

        Returns:
            the axes (time, rows, columns), and "receptive-field", or "half-pixel" where an
            operation on the way could not be followed.
        """
        output = self.last_call(layer).output
        cells, sizes = output.shape[-3:], self.input_shape[-3:]
        geometry = self.geometry.get(id(output))
        if geometry is None:
            axes = [Axis.half_pixel(c, s) for c, s in zip(cells, sizes, strict=True)]
            return (axes[0], axes[1], axes[2]), "half-pixel"
        axes = [Axis(c, s, *g) for c, s, g in zip(cells, sizes, geometry, strict=True)]
        return (axes[0], axes[1], axes[2]), "receptive-field"

    def changed_in_place_after(self, layer: str) -> bool:
        """Whether the layer's output is overwritten later, as by an in-place ReLU behind it."""
        call = self.last_call(layer)
        return call.output._version != call.version

    def linear_head(self, layer: str) -> LinearHead | None:
        """What lies behind a layer when it is the mean over T', h, w and at most a linear layer.

        Returns:
            The names of weight and bias, or None for any other head.
        """
        call = self.last_call(layer)
        if self.changed_in_place_after(layer):
            return None
        pooled: set[int] = set()
        transposed: dict[int, str] = {}
        found: dict[int, LinearHead] = {}
        for op in self.operations[call.step :]:
            sources = {id(t) for t in op.inputs}
            if op.name in ("t", "transpose") and id(op.inputs[0]) in self.parameters:
                transposed[id(op.output)] = self.parameters[id(op.inputs[0])]
            elif id(call.output) in sources:
                if not _pools_all(op, call.output):
                    return None
                pooled.add(id(op.output))
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
        if id(self.logits) in pooled:
            return LinearHead(None, None)
        return found.get(id(self.logits))


def _pools_all(op: Operation, source: Tensor) -> bool:
    """Whether an operation averages a (N, C, T', h, w) tensor over all of T', h, w."""
    if tuple(op.output.shape[:2]) != tuple(source.shape[:2]):
        return False
    if op.output.numel() != source.shape[0] * source.shape[1]:
        return False
    if op.name in ("mean", "_adaptive_avg_pool3d"):
        return True
    # A pool with the whole map under one kernel; with padding it would divide by more.
    kernel = list(op.arguments[1]) if op.name == "avg_pool3d" else []
    padding = op.arguments[3] if len(op.arguments) > 3 else [0]
    return kernel == list(source.shape[-3:]) and not any(padding)


def trace(net: nn.Module, shape: Sequence[int]) -> Trace:
    """Run the trial forward of a network in evaluation mode.

    Args:
        net: any module that maps (N, 3, T, H, W) to logits (N, K). It is left as it was; forward
            hooks of yours see the trial as they see any forward, only without values.
        shape: of the input, (3, T, H, W).

    Returns:
        The record.

    Raises:
        BadInput: the network cannot take such an input, or does not give (N, K) logits.
    """
    tensors = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    dtype = next((t.dtype for t in net.parameters() if t.is_floating_point()), torch.float32)
    record = Trace((1, *shape))
    with evaluating(net), torch.no_grad():
        try:
            meta = {name: torch.empty_like(t, device="meta") for name, t in tensors.items()}
            x = torch.empty(record.input_shape, dtype=dtype, device="meta")
            record.parameters = {id(t): name for name, t in meta.items()}
            with _watch(net, record, x):
                logits = functional_call(net, meta, (x,))
        except (NotImplementedError, AttributeError, TypeError):
            # Something in it needs values: run it for real, on zeros.
            device = next(net.parameters()).device
            x = torch.zeros(record.input_shape, dtype=dtype, device=device)
            record = Trace((1, *shape), parameters={id(t): name for name, t in tensors.items()})
            with _watch(net, record, x):
                logits = net(x)
        except (RuntimeError, ValueError) as error:
            frames, height, width = shape[1:]
            raise BadInput(
                f"the network cannot take {frames} frames of {height}×{width}: "
                f"{str(error).splitlines()[0]}"
            ) from error
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise BadInput(f"the network must give logits (N, K), not {got}: wrap it so that it does")
    record.logits = logits
    return record


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


@contextmanager
def _watch(net: nn.Module, record: Trace, x: Tensor) -> Generator[None]:
    """Record module calls and operations into `record`, without touching the network."""
    names = {id(module): name for name, module in net.named_modules()}
    entered: list[set[tuple[int, int]]] = []
    keep: list[Any] = []  # ids stay unique only while the tensors live

    def enter(module: nn.Module, inputs: Any) -> None:
        if id(module) in names:
            tensors = [t for t in tree_iter(inputs) if isinstance(t, Tensor)]
            entered.append({(id(t), t._version) for t in tensors})

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        if id(module) not in names:
            return
        before = entered.pop()
        if isinstance(output, Tensor):
            keep.append(output)
            version = output._version
            changed = (id(output), version) not in before
            record.calls.append(
                Call(names[id(module)], output, version, changed, len(record.operations))
            )

    record.geometry[id(x)] = ((0.0, 1.0),) * 3
    keep.append(x)
    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        with _Recorder(record, keep):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _Recorder(TorchDispatchMode):
    """Sees every operation; notes it and works out the geometry of its output."""

    def __init__(self, record: Trace, keep: list[Any]) -> None:
        super().__init__()
        self.record, self.keep = record, keep

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__.removesuffix("_")
        inputs = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_iter(result) if isinstance(t, Tensor)]
        for output in outputs if name in ("split", "chunk", "unbind") else outputs[:1]:
            self.keep.append((inputs, output))
            self.record.operations.append(Operation(name, inputs, output, args))
            known = self.record.geometry
            geometry = _geometry(name, args, inputs, output, known)
            if geometry is not None:
                known[id(output)] = geometry
            elif any(output is t for t in inputs):  # overwritten by something not understood
                known.pop(id(output), None)
        return result


def _geometry(
    name: str,
    args: tuple[Any, ...],
    inputs: list[Tensor],
    output: Tensor,
    known: dict[int, Geometry],
) -> Geometry | None:
    """Where the cells of an operation's output lie, given where those of its inputs do."""
    sources = [t for t in inputs if id(t) in known]
    if not sources or output.ndim < 3:
        return None
    source = sources[0]
    before = known[id(source)]
    if name == "convolution":
        _, weight, _, stride, padding, dilation, is_transposed = args[:7]
        if is_transposed or output.ndim != 5:
            return None
        return _slide(before, weight.shape[-3:], stride, padding, dilation)
    if name in ("max_pool3d_with_indices", "avg_pool3d"):
        kernel = args[1]
        stride = args[2] if len(args) > 2 and args[2] else kernel
        padding = args[3] if len(args) > 3 else [0]
        dilation = args[4] if name.startswith("max") and len(args) > 4 else [1]
        return _slide(before, kernel, stride, padding, dilation)
    if name in ("constant_pad_nd", "replication_pad3d", "reflection_pad3d"):
        starts = list(args[1][0::2][:3])  # last dimension first
        starts = [0] * (3 - len(starts)) + starts[::-1]
        return tuple((o - s * p, s) for (o, s), p in zip(before, starts, strict=True))
    if name == "slice":
        given: list[Any] = [*args[1:], *(0, 0, None, 1)[len(args) - 1 :]]
        dim, start, step = given[0], given[1] or 0, given[3]
        axis = dim % source.ndim - (source.ndim - 3)
        if axis < 0:
            return before
        if start < 0:
            start += source.shape[dim]
        moved = list(before)
        moved[axis] = (before[axis][0] + before[axis][1] * start, before[axis][1] * step)
        return tuple(moved)
    if name == "cat":
        dim = (args[1] if len(args) > 1 else 0) % output.ndim
        axis = dim - (output.ndim - 3)
        if axis < 0:
            return before
        # Padding by concatenation: the longest piece says where the others lie.
        longest = max(sources, key=lambda t: t.shape[dim])
        start = sum(t.shape[dim] for t in inputs[: [id(t) for t in inputs].index(id(longest))])
        moved = list(known[id(longest)])
        moved[axis] = (moved[axis][0] - moved[axis][1] * start, moved[axis][1])
        return tuple(moved)
    # Anything that keeps (T', h, w) keeps the places: ReLU, batch norm, a residual sum, a channel
    # shuffle. Branches that meet with different offsets (even kernels) are averaged.
    same = [known[id(t)] for t in sources if t.shape[-3:] == output.shape[-3:]]
    same = [g for g in same if [s for _, s in g] == [s for _, s in same[0]]]
    if not same:
        return None
    return tuple((sum(g[a][0] for g in same) / len(same), same[0][a][1]) for a in range(3))


def _slide(
    before: Geometry,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Geometry:
    """A sliding window: output 0 is centred (k-1)·d/2 - p input cells from input 0."""

    def three(value: Sequence[int]) -> Sequence[int]:
        return list(value) * 3 if len(value) == 1 else value

    return tuple(
        (o + s * ((k - 1) * d / 2 - p), s * step)
        for (o, s), k, step, p, d in zip(
            before, three(kernel), three(stride), three(padding), three(dilation), strict=True
        )
    )
