"""The second half of inflation: 2D operations written into a network's own `forward`.

`inflate` replaces the modules; here the data is followed through every `forward` with `torch.fx`,
with the *names* of the axes in place of numbers: `("N", "C", "H", "W")`. From the names it is known
where time has to go: just before the first spatial axis. `x.mean([2, 3])` becomes
`x.mean([2, 3, 4])`, a channel shuffle gets one axis more, and an operation that is not known here
is refused by name.
"""

from __future__ import annotations

import builtins
import inspect
import operator
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..errors import BadInput
from .construction import LOCK


class CannotInflate(BadInput):
    """The network has a part that has no 3D form here; the message names it and says why.

    Args:
        name: Qualified name of the module inside the network, "" for the network itself.
        module: The module.
        why: The reason, as half a sentence.
    """

    def __init__(self, name: str, module: nn.Module, why: str) -> None:
        place = f"module {name!r}" if name else "the network"
        super().__init__(f"cannot inflate {place} ({type(module).__name__}): {why}")


class TimePaddedConv3d(nn.Conv3d):
    """A 3D convolution that pads time in one way and space in another.

    `padding` is `(t, h, w)` as in `nn.Conv3d`; `padding_mode` is about space only.

    Args:
        time_padding: "zeros" or "replicate".
        space: Padding in space as `F.pad` wants it: left, right, top, bottom.
    """

    def __init__(
        self, *args: Any, time_padding: str, space: tuple[int, ...], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.time_padding = time_padding
        self.space = space

    def forward(self, input: Tensor) -> Tensor:
        t = int(self.padding[0])
        x = _pad(input, (0, 0, 0, 0, t, t), self.time_padding)  # (N, C, t + T + t, H, W)
        x = _pad(x, (*self.space, 0, 0), self.padding_mode)
        return F.conv3d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, time_padding={self.time_padding}"


def _pad(x: Tensor, amounts: tuple[int, ...], mode: str) -> Tensor:
    return F.pad(x, amounts, mode="constant" if mode == "zeros" else mode) if any(amounts) else x


def time_first(value: Any, fill: int | None) -> tuple[Any, Any, Any]:
    """`3` or `(3, 3)`, as 2D modules take it, with an entry for time before it."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (fill, *pair) if len(pair) == 2 else (fill, *pair, *pair)


def pool_size(size: Any) -> tuple[Any, Any, Any]:
    """Output size of an adaptive pool: one frame, unless height or width is left alone (None)."""
    height_width = time_first(size, None)[1:]
    return (None if None in height_width else 1, *height_width)


def plain_class(module: nn.Module) -> Any:
    """The PyTorch class whose `forward` this module runs; None when it has one of its own."""
    kind: Any = type(module)
    cls: Any = next(c for c in kind.__mro__ if c.__module__.startswith("torch.nn."))
    if cls is nn.Module or kind.forward is not cls.forward:
        return None
    hook = "_conv_forward"  # the second place where a convolution may be changed
    return cls if getattr(kind, hook, None) is getattr(cls, hook, None) else None


_SPATIAL = ("H", "W")


@dataclass(frozen=True)
class NamedDims:
    """A tensor of the 2D network, known by the names of its axes only.

    In the 3D network it has one axis more, "T", just before its first spatial axis. A tensor
    without spatial axes (after the global pooling, or a weight) is the same in both.

    Args:
        names: One per axis of the 2D tensor, all different.
        pooled: Time is there, with length 1.
    """

    names: tuple[str, ...]
    pooled: bool = False

    @property
    def time(self) -> int | None:
        """Where the time axis lies in the 3D tensor; None if it has none."""
        return next((i for i, name in enumerate(self.names) if name in _SPATIAL), None)

    @property
    def names3d(self) -> tuple[str, ...]:
        if self.time is None:
            return self.names
        return (*self.names[: self.time], "T", *self.names[self.time :])

    @property
    def tail(self) -> int:
        """Number of axes after time: 2 for (N, C, T, H, W)."""
        return 0 if self.time is None else len(self.names) - self.time

    def axis(self, number: int) -> int:
        """The number of an axis in the 3D tensor; counted from the end if `number` is."""
        place = self.names3d.index(self.names[number])
        return place if number >= 0 else place - len(self.names3d)


@dataclass(frozen=True)
class Sizes:
    """`x.shape`, or a slice of it."""

    names: tuple[str, ...]
    x: fx.Node
    axes: NamedDims


@dataclass(frozen=True)
class Size:
    """One entry of `x.shape`."""

    name: str
    x: fx.Node
    axes: NamedDims


@dataclass(frozen=True)
class Pieces:
    """What `chunk` and `split` give: some tensors with the same axes."""

    axes: NamedDims


class _Tracer(fx.Tracer):
    """Traces a module's own `forward` only: each module called in it is one node.

    While it traces, `torch.fx` has `nn.Module.__call__` and `__getattr__` of the whole process
    replaced by calls of the two methods below. What another thread does meanwhile, with networks of
    its own, passes through them untouched. `construction.LOCK` keeps two tracers apart.
    """

    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


_PICTURE = NamedDims(("N", "C", "H", "W"))
_HAVE_AN_AXIS = (nn.MultiheadAttention, nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.Softmax2d, nn.GLU)
_ACTIVATIONS = {
    cls
    for cls in vars(nn).values()
    if getattr(cls, "__module__", "") == "torch.nn.modules.activation"
} - {*_HAVE_AN_AXIS, nn.PReLU}
_ANY_SHAPE = {*_ACTIVATIONS, nn.Identity, nn.Dropout, nn.AlphaDropout}
_CHANNELS_SECOND = {  # any shape with the channels on axis 1
    *(nn.PReLU, nn.GroupNorm, nn.SyncBatchNorm, nn.LocalResponseNorm, nn.BatchNorm1d)
}
_LAST_AXIS = (nn.Linear, nn.LayerNorm, nn.RMSNorm)
THREE_D = (  # the 3D sisters
    *(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.InstanceNorm3d, nn.Dropout3d),
    *(nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
)


class ShapePropagator:
    """Follows the data through the copied network and rewrites each `forward` that must change.

    Args:
        net: The network, its modules replaced already, its filters still those of the 2D network.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        convs = [m for m in net.modules() if isinstance(m, (nn.Conv3d, nn.ConvTranspose3d))]
        self.filters = {id(conv.weight) for conv in convs}  # no forward may use one by itself
        self.frames: dict[nn.Conv3d, set[str]] = {}  # what a convolution was seen to get
        self.names = {id(module): name for name, module in net.named_modules()}
        self.graphs: dict[nn.Module, dict[bool, fx.Graph]] = {}  # module -> training? -> forward
        self.changed: set[nn.Module] = set()

    def rewrite(self) -> None:
        modes = {module: module.training for module in self.net.modules()}
        with LOCK:
            for training in (True, False):  # a forward may branch on it
                self.net.train(training)
                self.call(self.net, (_PICTURE,), {})
        for module, mode in modes.items():
            module.training = mode
        for module in self.changed:
            _give_forward(module, self.graphs[module])

    def fail(self, module: nn.Module, why: str) -> CannotInflate:
        return CannotInflate(self.names.get(id(module), "?"), module, why)

    def call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The axes of what a module returns, from the axes of what it is given."""
        cls = nn.Conv3d if isinstance(module, TimePaddedConv3d) else plain_class(module)
        x = args[0] if args else next(iter(kwargs.values()), None)
        if cls in _ANY_SHAPE:
            return x
        if cls in _CHANNELS_SECOND:
            if isinstance(x, NamedDims) and x.time is not None and x.time < 2:
                raise self.fail(module, "axis 1 of its input is not that of the channels")
            return x
        if cls in _LAST_AXIS:
            shape = getattr(module, "normalized_shape", (1,))
            if not isinstance(x, NamedDims) or x.names[-1] in _SPATIAL or len(shape) != 1:
                raise self.fail(module, "it works along height or width, which has no 3D form")
            return x
        if cls is nn.Sequential:  # would be traced to the same; this is quicker
            for child in module.children():
                x = self.call(child, (x,), {})
            return x
        if cls is nn.Conv1d and isinstance(x, NamedDims) and x.time is None:
            return x
        if cls in THREE_D:
            if not isinstance(x, NamedDims) or x.names[2:] != _SPATIAL:
                raise self.fail(module, "its input is not (N, channels, height, width)")
            if isinstance(module, nn.Conv3d):
                self.frames.setdefault(module, set()).add("one" if x.pooled else "many")
            if isinstance(module, (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d)):
                pooled = x.pooled or _first(module.output_size) == 1
                return NamedDims(x.names, pooled)
            return x
        return self.follow(module, args, kwargs)

    def see_one_frame(self) -> list[nn.Conv3d]:
        """The convolutions that never get more than one frame."""
        many = {id(conv.weight) for conv, seen in self.frames.items() if "many" in seen}
        return [conv for conv in self.frames if id(conv.weight) not in many]

    def follow(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Trace a module's own forward, rewrite it where needed, return the axes it returns."""
        try:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            tensors = dict(bound.arguments)
            bound.apply_defaults()
            fixed = {k: v for k, v in bound.arguments.items() if k not in tensors or _is_plain(v)}
            graph = _Tracer().trace(module, fixed or None)
        except CannotInflate:
            raise
        except Exception as error:  # whatever a forward raises when it is given no real tensor
            why = f"its forward cannot be followed ({type(error).__name__}: {error})"
            raise self.fail(module, why[:300]) from error
        before = str(graph)
        result = _Forward(self, module, graph).run(list(bound.arguments.values()))
        after = str(graph)
        known = self.graphs.setdefault(module, {})
        if module.training in known and str(known[module.training]) != after:
            raise self.fail(module, "it is called twice, on tensors of different kinds")
        known[module.training] = graph
        if after != before:
            self.changed.add(module)
        return result


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (tuple, list)) else value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _give_forward(module: Any, graphs: dict[bool, fx.Graph]) -> None:
    """Make the module an instance of a subclass of its class, with the rewritten forward."""
    forwards = {mode: type(fx.GraphModule(module, g)).forward for mode, g in graphs.items()}
    sources = {graph.python_code("self").src for graph in graphs.values()}
    if len(sources) == 1:
        forward = next(iter(forwards.values()))
    else:

        def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
            return forwards[self.training](self, *args, **kwargs)

    cls = type(module)
    note = f"{cls.__name__} whose forward takes (N, C, T, H, W); made by `inflate`."
    inside = {"forward": forward, "__doc__": note, "__module__": cls.__module__}
    module.__class__ = type(f"Inflated{cls.__name__}", (cls,), inside)


class _Forward:
    """One `forward` as a graph: goes through it in order and rewrites it for 3D on the way.

    The method `op_mean` treats `torch.mean(x, ...)` and `x.mean(...)`, and so on. Each gets the
    node and the axes of its first argument, and returns the axes of the result.
    """

    def __init__(self, shapes: ShapePropagator, module: nn.Module, graph: fx.Graph) -> None:
        self.shapes = shapes
        self.module = module
        self.graph = graph
        self.values: dict[
            fx.Node, Any
        ] = {}  # NamedDims, Sizes, Size, Pieces, a list of these, or None

    def run(self, inputs: list[Any]) -> Any:
        left = iter(inputs)
        for node in list(self.graph.nodes):
            if node.op == "output":
                return self.value(node.args[0])
            if node.op == "placeholder":
                self.values[node] = next(left, None)
            elif node.op == "get_attr":
                self.values[node] = self.weight(node)
            elif node.op == "call_module":
                child = self.module.get_submodule(str(node.target))
                args, kwargs = self.value(node.args), self.value(node.kwargs)
                self.values[node] = self.shapes.call(child, args, kwargs)
            else:
                self.values[node] = self.operation(node)
        return None

    def value(self, nodes: Any) -> Any:
        """The nodes in an argument (perhaps nested) replaced by what is known of them."""
        if isinstance(nodes, fx.Node):
            return self.values.get(nodes)
        if isinstance(nodes, (tuple, list)):
            return tuple(self.value(item) for item in nodes)
        if isinstance(nodes, dict):
            return {key: self.value(item) for key, item in nodes.items()}
        return nodes

    def fail(self, node: fx.Node, why: str) -> CannotInflate:
        return self.shapes.fail(self.module, f"its forward calls {_op_name(node)}, {why}")

    def weight(self, node: fx.Node) -> NamedDims:
        tensor = operator.attrgetter(str(node.target))(self.module)
        if id(tensor) in self.shapes.filters:
            why = f"its forward uses the filter {node.target} by itself"
            raise self.shapes.fail(self.module, why)
        return NamedDims(tuple(f"{node.name}.{i}" for i in range(tensor.dim())))

    def operation(self, node: fx.Node) -> Any:
        if not node.args and "input" in node.kwargs:  # F.relu(input=x)
            node.args = (node.kwargs["input"],)
            node.kwargs = {k: v for k, v in node.kwargs.items() if k != "input"}
        name = _op_name(node)
        x = self.value(node.args[0]) if node.args else None
        if isinstance(node.target, type) and issubclass(node.target, tuple):  # a named tuple
            return self.value(node.args)
        if isinstance(x, (Sizes, Pieces)) and name == "getitem":
            return self.piece(node, x)
        if isinstance(x, tuple) and name == "getitem":
            return x[node.args[1]]
        if name in _ELEMENTWISE:
            return self.elementwise(node)
        if name in ("_assert", "_assert_is_none"):
            if "specialized" not in str(node.args[-1]):  # not the tracer's own
                self.graph.erase_node(node)  # such checks are about 2D shapes
            return None
        tensors = list(_all_named_dims(self.value((node.args, node.kwargs))))
        if not tensors and name in _SCALAR:
            return None
        method = getattr(self, f"op_{name}", None)
        if method is None:
            raise self.fail(node, "which has no 3D form here")
        first = x if isinstance(x, NamedDims) else next(iter(tensors), None)
        if first is None:
            raise self.fail(node, "and what it is given there is not known")
        return method(node, first)

    # --- small tools ---

    def get(self, node: fx.Node, place: int, key: str, default: Any = None) -> Any:
        return node.args[place] if len(node.args) > place else node.kwargs.get(key, default)

    def set(self, node: fx.Node, place: int, key: str, value: Any) -> None:
        if len(node.args) > place:
            node.update_arg(place, value)
        else:
            node.update_kwarg(key, value)

    def source(self, node: fx.Node) -> fx.Node:
        return cast(fx.Node, node.args[0])

    def several(self, node: fx.Node, key: str) -> tuple[Any, ...]:
        """The arguments of `x.view(a, b)` as of `x.view((a, b))` and `f(x, key=(a, b))`."""
        rest = node.args[1:] if len(node.args) > 1 else (node.kwargs[key],)
        return tuple(rest[0]) if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else rest

    def insert(self, node: fx.Node, method: str, *args: Any, **kwargs: Any) -> fx.Node:
        with self.graph.inserting_before(node):
            return self.graph.call_method(method, args, kwargs)

    def collapse(self, node: fx.Node, x: NamedDims) -> NamedDims:
        """Average time to one frame before `node`, where that has not happened yet."""
        if x.time is None or x.pooled:
            return x
        old = node.args[0]
        node.update_arg(0, self.insert(node, "mean", old, (x.time,), keepdim=True))
        return NamedDims(x.names, pooled=True)

    def function(self, node: fx.Node, function: Callable[..., Any]) -> None:
        node.op, node.target = "call_function", function

    # --- element by element ---

    def elementwise(self, node: fx.Node) -> NamedDims | None:
        """Operands are aligned from the right; one without time gets an axis for it."""
        operands = [n for n in node.all_input_nodes if isinstance(self.values.get(n), NamedDims)]
        if not operands:
            return None
        axes = {n: self.values[n] for n in operands}
        timed = [a for a in axes.values() if a.time is not None]
        if not timed:
            return max(axes.values(), key=lambda a: len(a.names))
        tail = timed[0].tail
        if any(a.tail != tail for a in timed):
            raise self.fail(node, "on tensors whose axes are in different orders")
        for operand, a in axes.items():
            if a.time is None and len(a.names) > tail:  # such as a scale of shape (C, 1, 1)
                wider = self.insert(node, "unsqueeze", operand, len(a.names) - tail)
                node.replace_input_with(operand, wider)
        largest = max(timed, key=lambda a: len(a.names))
        channels_second = _op_name(node) in ("batch_norm", "group_norm", "prelu")
        if channels_second and largest.time is not None and largest.time < 2:
            raise self.fail(node, "on something whose axis 1 is not that of the channels")
        return NamedDims(largest.names, pooled=all(a.pooled for a in timed))

    # --- one axis or several, by number ---

    def numbered(self, node: fx.Node, x: NamedDims, place: int, key: str = "dim") -> NamedDims:
        number = self.get(node, place, key)
        if number is not None:
            self.set(node, place, key, x.axis(number))
        return x

    def op_softmax(self, node: fx.Node, x: NamedDims) -> NamedDims:
        number = self.get(node, 1, "dim")
        if x.time is not None and (number is None or x.names[number] in _SPATIAL):
            raise self.fail(node, "over height or width")
        return self.numbered(node, x, 1)

    op_log_softmax = op_softmin = op_softmax

    def op_glu(self, node: fx.Node, x: NamedDims) -> NamedDims:
        return self.numbered(node, x, 1)

    def op_normalize(self, node: fx.Node, x: NamedDims) -> NamedDims:
        return self.numbered(node, x, 2)

    def op_cat(self, node: fx.Node, x: NamedDims) -> NamedDims:
        parts = list(_all_named_dims(self.value(node.args[0])))
        if any(p.names3d.index("T") != x.time if p.time is not None else x.time for p in parts):
            raise self.fail(node, "on tensors whose axes are in different orders")
        self.numbered(node, x, 1)
        return NamedDims(x.names, pooled=all(p.pooled for p in parts))

    op_concat = op_cat

    def op_chunk(self, node: fx.Node, x: NamedDims) -> Pieces:
        return Pieces(self.numbered(node, x, 2))

    op_split = op_chunk

    def op_mean(self, node: fx.Node, x: NamedDims) -> NamedDims:
        numbers = self.get(node, 1, "dim")
        if numbers is None:
            return NamedDims(())
        several = isinstance(numbers, (tuple, list))
        gone = {x.names[i] for i in (numbers if several else (numbers,))}
        keep = self.get(node, 2, "keepdim", False)
        left = tuple(name for name in x.names if name not in gone)
        over_time = x.time is not None and not set(left) & set(_SPATIAL)
        if over_time:  # no height, no width: no time either
            gone |= {"T"}
        if several or over_time:
            numbers3d = [i for i, name in enumerate(x.names3d) if name in gone]
            same_sign = any(i < 0 for i in (numbers if several else (numbers,)))
            shift = len(x.names3d) if same_sign else 0
            self.set(node, 1, "dim", [i - shift for i in numbers3d])
        else:
            self.set(node, 1, "dim", x.axis(numbers))
        return NamedDims(x.names, x.pooled or over_time) if keep else NamedDims(left, x.pooled)

    op_amax = op_amin = op_mean

    def op_squeeze(self, node: fx.Node, x: NamedDims) -> NamedDims:
        number = self.get(node, 1, "dim")
        numbers = number if isinstance(number, (tuple, list)) else (number,)
        gone = set(_SPATIAL) if number is None else {x.names[i] for i in numbers}
        left = tuple(name for name in x.names if name not in gone)
        if x.time is not None and gone & set(_SPATIAL):
            if not x.pooled and set(left) & set(_SPATIAL):
                raise self.fail(node, "on one of height and width before the pooling")
            # Time goes along; what is left of height and width has one cell and counts no more.
            x, gone = self.collapse(node, x), gone | {"T"}
            left = tuple(f"{node.name}.{n}" if n in _SPATIAL else n for n in left)
        if number is not None:
            numbers = tuple(i for i, name in enumerate(x.names3d) if name in gone)
            self.set(node, 1, "dim", numbers[0] if len(numbers) == 1 else numbers)
        return NamedDims(left, x.pooled)

    def op_unsqueeze(self, node: fx.Node, x: NamedDims) -> NamedDims:
        number = self.get(node, 1, "dim")
        place = number % (len(x.names) + 1)
        y = NamedDims((*x.names[:place], node.name, *x.names[place:]), x.pooled)
        self.set(node, 1, "dim", y.axis(number))
        return y

    def op_permute(self, node: fx.Node, x: NamedDims) -> NamedDims:
        order = self.several(node, "dims")
        y = NamedDims(tuple(x.names[i] for i in order), x.pooled)
        if x.time is not None:
            order = tuple(x.names3d.index(name) for name in y.names3d)
            node.args, node.kwargs = (node.args[0], order), {}
        return y

    def op_transpose(self, node: fx.Node, x: NamedDims) -> NamedDims:
        a, b = self.get(node, 1, "dim0"), self.get(node, 2, "dim1")
        names = list(x.names)
        names[a], names[b] = names[b], names[a]
        y = NamedDims(tuple(names), x.pooled)
        swapped = list(x.names3d)
        a3d, b3d = x.axis(a), x.axis(b)
        swapped[a3d], swapped[b3d] = swapped[b3d], swapped[a3d]
        if tuple(swapped) == y.names3d:
            node.args, node.kwargs = (node.args[0], a3d, b3d), {}
        else:  # time must move along
            order = tuple(x.names3d.index(name) for name in y.names3d)
            node.args, node.kwargs = (node.args[0], order), {}
            self.function(node, torch.permute)
        return y

    op_swapaxes = op_transpose

    def op_getitem(self, node: fx.Node, x: NamedDims) -> NamedDims:
        given = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        free = (slice(None),) * (len(x.names) - sum(i is not None and i is not ... for i in given))
        if any(item is ... for item in given):
            at = next(i for i, item in enumerate(given) if item is ...)
            index = (*given[:at], *free, *given[at + 1 :])
        else:
            index = (*given, *free)
        if not all(item is None or isinstance(item, (int, slice)) for item in index):
            raise self.fail(node, "with a tensor as index")
        index3d: list[Any] = []
        names: list[str] = []  # of the result
        at_time, left = None, iter(x.names)
        for i, item in enumerate(index):
            name = f"{node.name}.{i}" if item is None else next(left)
            if item is not None and x.time is not None and name == x.names[x.time]:
                at_time = len(index3d)
                index3d.append(slice(None))
                names.append("T")
            index3d.append(item)
            if not isinstance(item, int):
                names.append(name)
        y = NamedDims(tuple(name for name in names if name != "T"), x.pooled)
        if at_time is None:
            return y
        if y.time is None:  # x[:, :, 0, 0]
            self.collapse(node, x)
            index3d[at_time] = 0
        elif tuple(names) != y.names3d:
            raise self.fail(node, "with an index that parts time from height and width")
        if y.time is None or len(given) > (x.time or 0) or any(item is ... for item in given):
            node.update_arg(1, tuple(index3d))
        return y

    # --- shapes ---

    def op_size(self, node: fx.Node, x: NamedDims) -> Sizes | Size:
        number = self.get(node, 1, "dim")
        if number is None:
            return Sizes(x.names, self.source(node), x)
        self.set(node, 1, "dim", x.axis(number))
        return Size(x.names[number], self.source(node), x)

    def op_getattr(self, node: fx.Node, x: NamedDims) -> Sizes | None:
        if node.args[1] in ("T", "mT", "H", "data"):
            raise self.fail(node, f"for .{node.args[1]}, which has no 3D form here")
        return Sizes(x.names, self.source(node), x) if node.args[1] == "shape" else None

    def op_dim(self, node: fx.Node, x: NamedDims) -> None:
        return None

    def piece(self, node: fx.Node, x: Sizes | Pieces) -> Any:
        """`x.shape[2]`, `x.shape[2:]`, or one of the tensors that `chunk` made."""
        item: Any = node.args[1]
        if isinstance(x, Pieces):
            return x.axes if isinstance(item, int) else x
        whole = NamedDims(x.names)
        if isinstance(item, int):
            node.update_arg(1, whole.axis(item))
            return Size(x.names[item], x.x, x.axes)
        places = range(*item.indices(len(x.names)))
        names = tuple(x.names[i] for i in places)
        if whole.time in places:  # time comes along with the first spatial axis
            if places.step != 1:
                raise self.fail(node, "with a step over a shape")
            node.update_arg(1, slice(places.start, places.stop + 1))
        elif whole.time is not None and names and places.start > whole.time:
            node.update_arg(1, slice(places.start + 1, places.stop + 1, places.step))
        elif min(item.start or 0, item.stop or 0) < 0:
            node.update_arg(1, slice(places.start, places.stop, places.step))
        return Sizes(names, x.x, x.axes)

    def op_flatten(self, node: fx.Node, x: NamedDims) -> NamedDims:
        start = self.get(node, 1, "start_dim", 0) % len(x.names)
        stop = self.get(node, 2, "end_dim", -1) % len(x.names) + 1
        y = NamedDims((*x.names[:start], node.name, *x.names[stop:]), x.pooled)
        if x.time is None or stop <= x.time:
            return y
        if y.time is not None or (start >= x.time and not x.pooled):
            raise self.fail(node, "which makes a sequence of the positions in the picture")
        x = self.collapse(node, x)
        if start >= x.time:
            self.set(node, 1, "start_dim", x.time)
        if "end_dim" in node.kwargs or len(node.args) > 2:
            self.set(node, 2, "end_dim", stop)  # 2D: stop - 1
        return y

    def op_view(self, node: fx.Node, x: NamedDims) -> NamedDims:
        sizes = self.several(node, "shape")
        if len(sizes) == 1 and isinstance(self.value(sizes[0]), Sizes):  # x.view(y.shape)
            return NamedDims(self.value(sizes[0]).names, x.pooled)
        names: list[str] = []
        for i, size in enumerate(sizes):
            known = self.value(size)
            fits = isinstance(known, Size) and known.name not in names
            names.append(known.name if fits else f"{node.name}.{i}")
        y = NamedDims(tuple(names), x.pooled)
        spatial = tuple(name for name in names if name in _SPATIAL)
        if x.time is None:
            if spatial:
                raise self.fail(node, "which makes a picture of something that is none")
            return y
        if not spatial and (x.pooled or len(sizes) <= 2):
            self.collapse(node, x)
            return y
        if y.names[y.time or 0 :] != _SPATIAL or x.names[x.time :] != _SPATIAL:
            raise self.fail(node, "which takes height and width apart or rolls them into one axis")
        frames = self.insert(node, "size", node.args[0], x.time)
        sizes = (*sizes[: y.time], frames, *sizes[y.time :])
        node.args, node.kwargs = (node.args[0], sizes), {}
        return y

    op_reshape = op_view

    def op_layer_norm(self, node: fx.Node, x: NamedDims) -> NamedDims:
        shape = self.get(node, 1, "normalized_shape", (1,))
        if x.names[-1] in _SPATIAL or (isinstance(shape, (tuple, list)) and len(shape) != 1):
            raise self.fail(node, "over height or width")
        return x

    op_rms_norm = op_layer_norm

    def op_linear(self, node: fx.Node, x: NamedDims) -> NamedDims:
        if x.names[-1] in _SPATIAL:
            raise self.fail(node, "along the width")
        return x

    # --- pooling, padding, scaling ---

    def picture(self, node: fx.Node, x: NamedDims) -> None:
        if x.names[2:] != _SPATIAL:
            raise self.fail(node, "on something that is not (N, channels, height, width)")

    def op_adaptive_avg_pool2d(self, node: fx.Node, x: NamedDims) -> NamedDims:
        self.picture(node, x)
        size = self.get(node, 1, "output_size")
        if any(isinstance(item, fx.Node) for item in (size, *time_first(size, 1))):
            raise self.fail(node, "with a size that depends on the input")
        self.set(node, 1, "output_size", pool_size(size))
        self.function(node, getattr(F, _op_name(node).replace("2d", "3d")))
        return NamedDims(x.names, x.pooled or pool_size(size)[0] == 1)

    op_adaptive_max_pool2d = op_adaptive_avg_pool2d

    def op_avg_pool2d(self, node: fx.Node, x: NamedDims) -> NamedDims:
        self.picture(node, x)
        is_max = "max" in _op_name(node)
        pooled = x.pooled
        options = [("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)]
        for place, (key, fill) in enumerate(options[: 4 if is_max else 3], start=1):
            size = self.get(node, place, key)
            if size is None or size in ((), []):  # stride: as the kernel
                continue
            known = self.value(size)
            if isinstance(known, Sizes):  # x.shape[2:], rewritten already
                pooled = True
                continue
            entries: Any = time_first(size, fill)
            if any(isinstance(item, Size) for item in time_first(known, 0)):  # the whole picture
                entries = (self.insert(node, "size", node.args[0], x.time), *entries[1:])
                pooled = True
            self.set(node, place, key, entries)
        self.function(node, F.max_pool3d if is_max else F.avg_pool3d)
        return NamedDims(x.names, pooled)

    op_max_pool2d = op_avg_pool2d

    def op_interpolate(self, node: fx.Node, x: NamedDims) -> NamedDims:
        self.picture(node, x)
        modes = {"bilinear": "trilinear"} | {m: m for m in ("nearest", "nearest-exact", "area")}
        mode = self.get(node, 3, "mode", "nearest")
        if mode not in modes or self.get(node, 6, "antialias", False):
            raise self.fail(node, f"with mode {mode!r}, which has no 3D form")
        if mode == "bilinear":
            self.set(node, 3, "mode", "trilinear")
        size, scale = self.get(node, 1, "size"), self.get(node, 2, "scale_factor")
        if scale is not None:
            self.set(node, 2, "scale_factor", time_first(scale, 1))
            return x
        known = self.value(size)
        if isinstance(known, Sizes):  # like.shape[2:], rewritten already
            return NamedDims(x.names, known.axes.pooled)
        like = next((item for item in time_first(known, 0) if isinstance(item, Size)), None)
        source, axes = (node.args[0], x) if like is None else (like.x, like.axes)
        if axes.time is None:
            raise self.fail(node, "with a size taken from something that is no picture")
        frames = self.insert(node, "size", source, axes.time)
        self.set(node, 1, "size", (frames, *time_first(size, 1)[1:]))
        return NamedDims(x.names, axes.pooled)

    def op_pad(self, node: fx.Node, x: NamedDims) -> NamedDims:
        amounts = self.get(node, 1, "pad")
        if x.time is None:
            return x
        self.picture(node, x)
        if not isinstance(amounts, (tuple, list)):
            raise self.fail(node, "with amounts that depend on the input")
        if len(amounts) > 4 or self.get(node, 2, "mode", "constant") != "constant":
            self.set(node, 1, "pad", (*amounts[:4], 0, 0, *amounts[4:]))
        return x

    def op_dropout2d(self, node: fx.Node, x: NamedDims) -> NamedDims:
        self.function(node, F.dropout3d)
        return x

    def op_channel_shuffle(self, node: fx.Node, x: NamedDims) -> NamedDims:
        self.picture(node, x)
        return x


def _all_named_dims(value: Any) -> Iterator[NamedDims]:
    """Every `NamedDims` in a nested argument."""
    if isinstance(value, Pieces):
        yield value.axes
    elif isinstance(value, NamedDims):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _all_named_dims(item)
    elif isinstance(value, dict):
        yield from _all_named_dims(tuple(value.values()))


def _op_name(node: fx.Node) -> str:
    """`flatten` for torch.flatten as for x.flatten; a function from elsewhere keeps its module."""
    if isinstance(node.target, str):
        return node.target
    name = getattr(node.target, "__name__", repr(node.target))
    # A network that calls torchvision's operations has imported them.
    operations = sys.modules.get("torchvision.ops")
    known = (torch, F, operator, builtins, torch.Tensor, operations)
    if name.startswith("_assert") or any(
        getattr(space, name, None) is node.target for space in known
    ):
        return name
    return f"{getattr(node.target, '__module__', '?')}.{name}"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SCALAR = _words("""
    add sub mul floordiv truediv mod neg pow eq ne lt le gt ge and_ or_ not_ is_ is_not
    int float bool min max round getattr
""")
_ELEMENTWISE = _words("""
    add sub mul div truediv neg pos pow sqrt rsqrt reciprocal square exp log abs erf where lerp
    clamp clamp_min clamp_max clip maximum minimum eq ne lt le gt ge
    sigmoid logsigmoid tanh relu relu6 leaky_relu elu selu celu prelu gelu silu mish softplus
    softsign hardtanh hardswish hardsigmoid hardshrink threshold
    dropout alpha_dropout stochastic_depth batch_norm group_norm
    contiguous clone detach to type type_as float half double bfloat16 cpu cuda expand_as
    iadd isub imul itruediv add_ sub_ mul_ div_ clamp_ relu_ relu6_ sigmoid_ tanh_ copy_
""")
