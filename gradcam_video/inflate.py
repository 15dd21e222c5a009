"""A 2D network that knows pictures becomes a 3D network that knows short videos.

Every 2D filter is stretched over time (I3D, Carreira & Zisserman 2017, arXiv 1705.07750,
section 2), and so is everything else in the network that counts on two spatial axes: pooling,
normalisation, and the operations written into `forward` itself, such as `x.mean([2, 3])`. The
names of the modules and of the weights stay those of the 2D network.

How it works, in the order of this file:

1. `inflate` copies the network and replaces each 2D module (`Conv2d`, `BatchNorm2d`, ...) by its
   3D sister. A network whose 2D operations are all modules is then finished.
2. `_Walk` follows the data through every `forward` with `torch.fx`, with the *names* of the axes
   in place of numbers: `("N", "C", "H", "W")`. From the names it knows where time has to go:
   just before the first spatial axis. It refuses every operation that it does not know.
3. Only the modules whose own `forward` had to change get a new one. A ResNet keeps all of its
   classes; a MobileNetV2 becomes an `InflatedMobileNetV2`, a subclass of `MobileNetV2`.
"""

from __future__ import annotations

import builtins
import copy
import inspect
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, fx, nn

from gradcam_video.errors import BadInput

__all__ = [
    "INFLATABLE",
    "CannotInflate",
    "StillVideoError",
    "TimePaddedConv3d",
    "can_inflate",
    "inflate",
    "still_video_error",
]

# torchvision's classifiers that pass; `scripts/inflation_table.py` checks each and says why the
# others do not. Kept as names, so that asking costs nothing.
INFLATABLE: tuple[str, ...] = (
    *("alexnet", "googlenet", "inception_v3", "mobilenet_v2"),
    *("mobilenet_v3_large", "mobilenet_v3_small", "squeezenet1_0", "squeezenet1_1"),
    *("convnext_base", "convnext_large", "convnext_small", "convnext_tiny"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *(f"efficientnet_b{i}" for i in range(8)),
    *("efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf"),
    *("regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf"),
    *("regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf"),
    *("regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf"),
    *("resnet101", "resnet152", "resnet18", "resnet34", "resnet50"),
    *("resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("wide_resnet101_2", "wide_resnet50_2"),
)


def can_inflate(name: str) -> bool:
    """Whether torchvision's classifier of this name can be inflated (nothing is built)."""
    return name in INFLATABLE


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


# ------------------------------------------------------------------------------------------------
# 1. The network is copied, its 2D modules are replaced


def inflate(
    net: nn.Module,
    temporal_kernel: int = 3,
    *,
    weights: str = "mean",
    padding: str = "zeros",
    which: str = "all",
) -> nn.Module:
    """Return a new 3D network, made from a 2D one. `net` is left as it was.

    The new network takes `(N, 3, T, H, W)` and gives the same kind of output as `net`. The number
    of frames stays T up to the network's own global pooling: temporal stride 1, as in the post.
    What pools over the whole picture pools over the whole clip, also inside squeeze-excite blocks.
    An adaptive pool to another size, as in VGG (7 x 7) and AlexNet (6 x 6), averages time to one
    frame; so does a `flatten` that still finds frames.

    A picture repeated T times ("still video") gives the 2D network's logits with
    `weights="centre"`, and with `weights="mean", padding="replicate"`. With `"mean"` and
    `"zeros"`, as in I3D, it does not: the first and last frames see zeros beside them, in every
    layer anew. `still_video_error` measures by how much.

    Forward and backward hooks are not copied. Mode, `requires_grad`, data types, devices and
    shared modules are. Two kinds of convolution get a temporal kernel of 1: those that only ever
    see one frame, because they come after a global pool (squeeze-excite), and transposed ones.

    Args:
        net: A 2D network of ordinary modules, for instance any name in `INFLATABLE`.
        temporal_kernel: Length of each filter in time; odd. With 1 the frames meet only in
            the pooling.
        weights: "mean": each filter repeated over time and divided by `temporal_kernel` (I3D).
            "centre": the filter in the middle, zeros around it (Detect-and-Track,
            arXiv 1712.09184).
        padding: What lies before the first frame and after the last: "zeros" or "replicate".
            Padding in space stays what it was.
        which: "all" convolutions, or only the "spatial" ones: a 1x1 stays 1x1x1.

    Raises:
        CannotInflate: A module has no 3D form; it is named.
        BadInput: An argument is none of those above.
    """
    if not isinstance(net, nn.Module):
        raise BadInput(f"inflate takes a torch.nn.Module, not {type(net).__name__}")
    if not isinstance(temporal_kernel, int) or temporal_kernel < 1 or temporal_kernel % 2 == 0:
        raise BadInput(f"temporal_kernel={temporal_kernel!r}: give an odd number, 1, 3, 5, ...")
    for name, value, choices in (
        ("weights", weights, ("mean", "centre")),
        ("padding", padding, ("zeros", "replicate")),
        ("which", which, ("all", "spatial")),
    ):
        if value not in choices:
            raise BadInput(f"{name}={value!r}: choose one of {', '.join(choices)}")
    _refuse_at_first_sight(net)

    def replace(module: nn.Module) -> nn.Module:
        if isinstance(module, nn.Conv2d) and _plain(module) is nn.Conv2d:
            pointwise = which == "spatial" and module.kernel_size == (1, 1)
            return _conv3d(module, 1 if pointwise else temporal_kernel, padding)
        convert = _SISTERS.get(_plain(module))
        return module if convert is None else _adopt(convert(module), module)

    net3d = _replace_leaves(_copy_without_weights(net), replace)
    walk = _Walk(net3d)
    walk.rewrite()
    for conv in walk.see_one_frame():
        conv.kernel_size = (1, conv.kernel_size[1], conv.kernel_size[2])
        conv.padding = (0, int(conv.padding[1]), int(conv.padding[2]))
    _fill_weights(net3d, weights)
    return net3d


def inflate_filter(weight: Tensor, temporal_kernel: int, weights: str) -> Tensor:
    """Stretch 2D filters `(out, in, h, w)` to `(out, in, temporal_kernel, h, w)`.

    "mean" divides by the length, so that the sum over time is the 2D filter; "centre" puts it
    in the middle frame. Either way a video that stands still gets the 2D response.
    """
    if weights == "mean":
        share = weight / temporal_kernel
        return share.unsqueeze(2).repeat(1, 1, temporal_kernel, 1, 1)  # (out, in, k, h, w)
    stretched = weight.new_zeros(*weight.shape[:2], temporal_kernel, *weight.shape[2:])
    stretched[:, :, temporal_kernel // 2] = weight
    return stretched


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


def _conv3d(conv: nn.Conv2d, k: int, time_padding: str) -> nn.Conv3d:
    """The 3D sister of a 2D convolution; its filters are filled in later."""
    space = _space_padding(conv)  # left, right, top, bottom
    options: dict[str, Any] = {
        "kernel_size": (k, *conv.kernel_size),
        "stride": (1, *conv.stride),
        "padding": (k // 2, space[2], space[0]),
        "dilation": (1, *conv.dilation),
        "groups": conv.groups,
        "bias": conv.bias is not None,
        "padding_mode": conv.padding_mode,
        "device": "meta",
    }
    channels = conv.in_channels, conv.out_channels
    # nn.Conv3d has one way of padding for all axes, and the same amount on both sides.
    symmetric = space[0] == space[1] and space[2] == space[3]
    one_way = k == 1 or time_padding == conv.padding_mode == "zeros"
    if symmetric and one_way:
        return _adopt(nn.Conv3d(*channels, **options), conv)
    made = TimePaddedConv3d(*channels, time_padding=time_padding, space=space, **options)
    return _adopt(made, conv)


def _space_padding(conv: nn.Conv2d) -> tuple[int, int, int, int]:
    """The padding of a 2D convolution as numbers: left, right, top, bottom."""
    if conv.padding == "valid":
        return 0, 0, 0, 0
    if conv.padding == "same":  # an odd pixel goes to the right and to the bottom, as in PyTorch
        down, across = (d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True))
        return across // 2, across - across // 2, down // 2, down - down // 2
    down, across = (int(p) for p in conv.padding)
    return across, across, down, down


def _adopt(new: Any, old: nn.Module) -> Any:
    """Give the new module the weights, the running statistics and the mode of the old one."""
    new._parameters, new._buffers, new.training = old._parameters, old._buffers, old.training
    new._non_persistent_buffers_set = old._non_persistent_buffers_set
    return new


def _time_first(value: Any, fill: int | None) -> tuple[Any, Any, Any]:
    """`3` or `(3, 3)`, as 2D modules take it, with an entry for time before it."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return (fill, *pair) if len(pair) == 2 else (fill, *pair, *pair)


def _pool_size(size: Any) -> tuple[Any, Any, Any]:
    """Output size of an adaptive pool: one frame, unless height or width is left alone (None)."""
    height_width = _time_first(size, None)[1:]
    return (None if None in height_width else 1, *height_width)


def _norm(cls: Callable[..., nn.Module]) -> Callable[[Any], nn.Module]:
    def convert(m: Any) -> nn.Module:
        return cls(
            m.num_features, m.eps, m.momentum, m.affine, m.track_running_stats, device="meta"
        )

    return convert


def _conv_transpose3d(m: Any) -> nn.Module:
    return nn.ConvTranspose3d(
        m.in_channels,
        m.out_channels,
        kernel_size=(1, *m.kernel_size),
        stride=(1, *m.stride),
        padding=(0, *m.padding),
        output_padding=(0, *m.output_padding),
        groups=m.groups,
        bias=m.bias is not None,
        dilation=(1, *m.dilation),
        device="meta",
    )


def _max_pool3d(m: Any) -> nn.Module:
    sizes = (_time_first(m.kernel_size, 1), _time_first(m.stride, 1), _time_first(m.padding, 0))
    return nn.MaxPool3d(*sizes, _time_first(m.dilation, 1), m.return_indices, m.ceil_mode)


def _avg_pool3d(m: Any) -> nn.Module:
    sizes = (_time_first(m.kernel_size, 1), _time_first(m.stride, 1), _time_first(m.padding, 0))
    return nn.AvgPool3d(*sizes, m.ceil_mode, m.count_include_pad, m.divisor_override)


_SISTERS: dict[Any, Callable[[Any], nn.Module]] = {
    nn.ConvTranspose2d: _conv_transpose3d,
    nn.BatchNorm2d: _norm(nn.BatchNorm3d),
    nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
    nn.MaxPool2d: _max_pool3d,
    nn.AvgPool2d: _avg_pool3d,
    nn.AdaptiveAvgPool2d: lambda m: nn.AdaptiveAvgPool3d(_pool_size(m.output_size)),
    nn.AdaptiveMaxPool2d: lambda m: nn.AdaptiveMaxPool3d(
        _pool_size(m.output_size), m.return_indices
    ),
    nn.Dropout2d: lambda m: nn.Dropout3d(m.p, m.inplace),
}


def _plain(module: nn.Module) -> Any:
    """The PyTorch class whose `forward` this module runs; None when it has one of its own."""
    kind: Any = type(module)
    cls: Any = next(c for c in kind.__mro__ if c.__module__.startswith("torch.nn."))
    if cls is nn.Module or kind.forward is not cls.forward:
        return None
    hook = "_conv_forward"  # the second place where a convolution may be changed
    return cls if getattr(kind, hook, None) is getattr(cls, hook, None) else None


def _refuse_at_first_sight(net: nn.Module) -> None:
    for name, module in net.named_modules():
        weight = getattr(module, "weight", None)
        own = module._parameters.keys() | module._buffers.keys()
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotInflate(name, module, "it is compiled; give the Python network")
        if isinstance(module, _PICTURE_ONLY):
            raise CannotInflate(name, module, "it is 3D already")
        if isinstance(weight, nn.UninitializedParameter):
            raise CannotInflate(name, module, "its shape is not known yet; run the network once")
        if isinstance(weight, Tensor) and "weight" not in own:
            why = "its weight is computed (weight norm, parametrization); remove that first"
            raise CannotInflate(name, module, why)


def _copy_without_weights(net: nn.Module) -> nn.Module:
    """Copy the modules, with the original's tensors in them and without its hooks."""
    memo: dict[int, Any] = {}
    for module in net.modules():
        for name, value in vars(module).items():
            if "hooks" in name and ("forward" in name or "backward" in name):
                memo[id(value)] = type(value)()
            if isinstance(value, Tensor):  # perhaps part of a graph, which deepcopy refuses
                memo[id(value)] = value.detach().clone()
    memo |= {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())}
    return copy.deepcopy(net, memo)


def _replace_leaves(net: nn.Module, replace: Callable[[nn.Module], nn.Module]) -> nn.Module:
    done: dict[int, nn.Module] = {}  # a module that is used twice stays one module
    kept = list(net.modules())  # keeps the old ones alive, so that no id is given out twice
    for module in kept:
        done[id(module)] = replace(module)
    for module in kept:
        for name, child in module._modules.items():
            if child is not None:
                module._modules[name] = done[id(child)]
    return done[id(net)]


def _fill_weights(net3d: nn.Module, weights: str) -> None:
    """Give the new network tensors of its own, the filters stretched."""
    fresh: dict[int, Any] = {}  # tied weights stay tied
    old = [*net3d.parameters(), *net3d.buffers()]  # alive, so that no id is given out twice
    for module in net3d.modules():
        filters = isinstance(module, (nn.Conv3d, nn.ConvTranspose3d))
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None:
                    continue
                if id(tensor) not in fresh:
                    value = tensor.detach().clone()
                    if filters and name == "weight":
                        value = inflate_filter(tensor.detach(), module.kernel_size[0], weights)
                    if isinstance(tensor, nn.Parameter):
                        value = nn.Parameter(value, tensor.requires_grad)
                    fresh[id(tensor)] = value
                tensors[name] = fresh[id(tensor)]
    del old


# ------------------------------------------------------------------------------------------------
# 2. The data is followed through every forward, by the names of its axes

_SPATIAL = ("H", "W")


@dataclass(frozen=True)
class Axes:
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
    axes: Axes


@dataclass(frozen=True)
class Size:
    """One entry of `x.shape`."""

    name: str
    x: fx.Node
    axes: Axes


@dataclass(frozen=True)
class Pieces:
    """What `chunk` and `split` give: some tensors with the same axes."""

    axes: Axes


class _Tracer(fx.Tracer):
    """Traces a module's own `forward` only: each module called in it is one node."""

    proxy_buffer_attributes = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


_PICTURE = Axes(("N", "C", "H", "W"))
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
_PICTURE_ONLY = (  # the 3D sisters
    *(nn.Conv3d, nn.ConvTranspose3d, nn.BatchNorm3d, nn.InstanceNorm3d, nn.Dropout3d),
    *(nn.MaxPool3d, nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
)


class _Walk:
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
        cls = nn.Conv3d if isinstance(module, TimePaddedConv3d) else _plain(module)
        x = args[0] if args else next(iter(kwargs.values()), None)
        if cls in _ANY_SHAPE:
            return x
        if cls in _CHANNELS_SECOND:
            if isinstance(x, Axes) and x.time is not None and x.time < 2:
                raise self.fail(module, "axis 1 of its input is not that of the channels")
            return x
        if cls in _LAST_AXIS:
            shape = getattr(module, "normalized_shape", (1,))
            if not isinstance(x, Axes) or x.names[-1] in _SPATIAL or len(shape) != 1:
                raise self.fail(module, "it works along height or width, which has no 3D form")
            return x
        if cls is nn.Sequential:  # would be traced to the same; this is quicker
            for child in module.children():
                x = self.call(child, (x,), {})
            return x
        if cls is nn.Conv1d and isinstance(x, Axes) and x.time is None:
            return x
        if cls in _PICTURE_ONLY:
            if not isinstance(x, Axes) or x.names[2:] != _SPATIAL:
                raise self.fail(module, "its input is not (N, channels, height, width)")
            if isinstance(module, nn.Conv3d):
                self.frames.setdefault(module, set()).add("one" if x.pooled else "many")
            if isinstance(module, (nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d)):
                pooled = x.pooled or _first(module.output_size) == 1
                return Axes(x.names, pooled)
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

    def __init__(self, walk: _Walk, module: nn.Module, graph: fx.Graph) -> None:
        self.walk = walk
        self.module = module
        self.graph = graph
        self.values: dict[fx.Node, Any] = {}  # Axes, Sizes, Size, Pieces, a list of these, or None

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
                self.values[node] = self.walk.call(child, args, kwargs)
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
        return self.walk.fail(self.module, f"its forward calls {_op_name(node)}, {why}")

    def weight(self, node: fx.Node) -> Axes:
        tensor = operator.attrgetter(str(node.target))(self.module)
        if id(tensor) in self.walk.filters:
            why = f"its forward uses the filter {node.target} by itself"
            raise self.walk.fail(self.module, why)
        return Axes(tuple(f"{node.name}.{i}" for i in range(tensor.dim())))

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
        tensors = list(_all_axes(self.value((node.args, node.kwargs))))
        if not tensors and name in _SCALAR:
            return None
        method = getattr(self, f"op_{name}", None)
        if method is None:
            raise self.fail(node, "which has no 3D form here")
        first = x if isinstance(x, Axes) else next(iter(tensors), None)
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

    def collapse(self, node: fx.Node, x: Axes) -> Axes:
        """Average time to one frame before `node`, where that has not happened yet."""
        if x.time is None or x.pooled:
            return x
        old = node.args[0]
        node.update_arg(0, self.insert(node, "mean", old, (x.time,), keepdim=True))
        return Axes(x.names, pooled=True)

    def function(self, node: fx.Node, function: Callable[..., Any]) -> None:
        node.op, node.target = "call_function", function

    # --- element by element ---

    def elementwise(self, node: fx.Node) -> Axes | None:
        """Operands are aligned from the right; one without time gets an axis for it."""
        operands = [n for n in node.all_input_nodes if isinstance(self.values.get(n), Axes)]
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
        return Axes(largest.names, pooled=all(a.pooled for a in timed))

    # --- one axis or several, by number ---

    def numbered(self, node: fx.Node, x: Axes, place: int, key: str = "dim") -> Axes:
        number = self.get(node, place, key)
        if number is not None:
            self.set(node, place, key, x.axis(number))
        return x

    def op_softmax(self, node: fx.Node, x: Axes) -> Axes:
        number = self.get(node, 1, "dim")
        if x.time is not None and (number is None or x.names[number] in _SPATIAL):
            raise self.fail(node, "over height or width")
        return self.numbered(node, x, 1)

    op_log_softmax = op_softmin = op_softmax

    def op_glu(self, node: fx.Node, x: Axes) -> Axes:
        return self.numbered(node, x, 1)

    def op_normalize(self, node: fx.Node, x: Axes) -> Axes:
        return self.numbered(node, x, 2)

    def op_cat(self, node: fx.Node, x: Axes) -> Axes:
        parts = list(_all_axes(self.value(node.args[0])))
        if any(p.names3d.index("T") != x.time if p.time is not None else x.time for p in parts):
            raise self.fail(node, "on tensors whose axes are in different orders")
        self.numbered(node, x, 1)
        return Axes(x.names, pooled=all(p.pooled for p in parts))

    op_concat = op_cat

    def op_chunk(self, node: fx.Node, x: Axes) -> Pieces:
        return Pieces(self.numbered(node, x, 2))

    op_split = op_chunk

    def op_mean(self, node: fx.Node, x: Axes) -> Axes:
        numbers = self.get(node, 1, "dim")
        if numbers is None:
            return Axes(())
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
        return Axes(x.names, x.pooled or over_time) if keep else Axes(left, x.pooled)

    op_amax = op_amin = op_mean

    def op_squeeze(self, node: fx.Node, x: Axes) -> Axes:
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
        return Axes(left, x.pooled)

    def op_unsqueeze(self, node: fx.Node, x: Axes) -> Axes:
        number = self.get(node, 1, "dim")
        place = number % (len(x.names) + 1)
        y = Axes((*x.names[:place], node.name, *x.names[place:]), x.pooled)
        self.set(node, 1, "dim", y.axis(number))
        return y

    def op_permute(self, node: fx.Node, x: Axes) -> Axes:
        order = self.several(node, "dims")
        y = Axes(tuple(x.names[i] for i in order), x.pooled)
        if x.time is not None:
            order = tuple(x.names3d.index(name) for name in y.names3d)
            node.args, node.kwargs = (node.args[0], order), {}
        return y

    def op_transpose(self, node: fx.Node, x: Axes) -> Axes:
        a, b = self.get(node, 1, "dim0"), self.get(node, 2, "dim1")
        names = list(x.names)
        names[a], names[b] = names[b], names[a]
        y = Axes(tuple(names), x.pooled)
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

    def op_getitem(self, node: fx.Node, x: Axes) -> Axes:
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
        y = Axes(tuple(name for name in names if name != "T"), x.pooled)
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

    def op_size(self, node: fx.Node, x: Axes) -> Sizes | Size:
        number = self.get(node, 1, "dim")
        if number is None:
            return Sizes(x.names, self.source(node), x)
        self.set(node, 1, "dim", x.axis(number))
        return Size(x.names[number], self.source(node), x)

    def op_getattr(self, node: fx.Node, x: Axes) -> Sizes | None:
        if node.args[1] in ("T", "mT", "H", "data"):
            raise self.fail(node, f"for .{node.args[1]}, which has no 3D form here")
        return Sizes(x.names, self.source(node), x) if node.args[1] == "shape" else None

    def op_dim(self, node: fx.Node, x: Axes) -> None:
        return None

    def piece(self, node: fx.Node, x: Sizes | Pieces) -> Any:
        """`x.shape[2]`, `x.shape[2:]`, or one of the tensors that `chunk` made."""
        item: Any = node.args[1]
        if isinstance(x, Pieces):
            return x.axes if isinstance(item, int) else x
        whole = Axes(x.names)
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

    def op_flatten(self, node: fx.Node, x: Axes) -> Axes:
        start = self.get(node, 1, "start_dim", 0) % len(x.names)
        stop = self.get(node, 2, "end_dim", -1) % len(x.names) + 1
        y = Axes((*x.names[:start], node.name, *x.names[stop:]), x.pooled)
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

    def op_view(self, node: fx.Node, x: Axes) -> Axes:
        sizes = self.several(node, "shape")
        if len(sizes) == 1 and isinstance(self.value(sizes[0]), Sizes):  # x.view(y.shape)
            return Axes(self.value(sizes[0]).names, x.pooled)
        names: list[str] = []
        for i, size in enumerate(sizes):
            known = self.value(size)
            fits = isinstance(known, Size) and known.name not in names
            names.append(known.name if fits else f"{node.name}.{i}")
        y = Axes(tuple(names), x.pooled)
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

    def op_layer_norm(self, node: fx.Node, x: Axes) -> Axes:
        shape = self.get(node, 1, "normalized_shape", (1,))
        if x.names[-1] in _SPATIAL or (isinstance(shape, (tuple, list)) and len(shape) != 1):
            raise self.fail(node, "over height or width")
        return x

    op_rms_norm = op_layer_norm

    def op_linear(self, node: fx.Node, x: Axes) -> Axes:
        if x.names[-1] in _SPATIAL:
            raise self.fail(node, "along the width")
        return x

    # --- pooling, padding, scaling ---

    def picture(self, node: fx.Node, x: Axes) -> None:
        if x.names[2:] != _SPATIAL:
            raise self.fail(node, "on something that is not (N, channels, height, width)")

    def op_adaptive_avg_pool2d(self, node: fx.Node, x: Axes) -> Axes:
        self.picture(node, x)
        size = self.get(node, 1, "output_size")
        if any(isinstance(item, fx.Node) for item in (size, *_time_first(size, 1))):
            raise self.fail(node, "with a size that depends on the input")
        self.set(node, 1, "output_size", _pool_size(size))
        self.function(node, getattr(F, _op_name(node).replace("2d", "3d")))
        return Axes(x.names, x.pooled or _pool_size(size)[0] == 1)

    op_adaptive_max_pool2d = op_adaptive_avg_pool2d

    def op_avg_pool2d(self, node: fx.Node, x: Axes) -> Axes:
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
            entries: Any = _time_first(size, fill)
            if any(isinstance(item, Size) for item in _time_first(known, 0)):  # the whole picture
                entries = (self.insert(node, "size", node.args[0], x.time), *entries[1:])
                pooled = True
            self.set(node, place, key, entries)
        self.function(node, F.max_pool3d if is_max else F.avg_pool3d)
        return Axes(x.names, pooled)

    op_max_pool2d = op_avg_pool2d

    def op_interpolate(self, node: fx.Node, x: Axes) -> Axes:
        self.picture(node, x)
        modes = {"bilinear": "trilinear"} | {m: m for m in ("nearest", "nearest-exact", "area")}
        mode = self.get(node, 3, "mode", "nearest")
        if mode not in modes or self.get(node, 6, "antialias", False):
            raise self.fail(node, f"with mode {mode!r}, which has no 3D form")
        if mode == "bilinear":
            self.set(node, 3, "mode", "trilinear")
        size, scale = self.get(node, 1, "size"), self.get(node, 2, "scale_factor")
        if scale is not None:
            self.set(node, 2, "scale_factor", _time_first(scale, 1))
            return x
        known = self.value(size)
        if isinstance(known, Sizes):  # like.shape[2:], rewritten already
            return Axes(x.names, known.axes.pooled)
        like = next((item for item in _time_first(known, 0) if isinstance(item, Size)), None)
        source, axes = (node.args[0], x) if like is None else (like.x, like.axes)
        if axes.time is None:
            raise self.fail(node, "with a size taken from something that is no picture")
        frames = self.insert(node, "size", source, axes.time)
        self.set(node, 1, "size", (frames, *_time_first(size, 1)[1:]))
        return Axes(x.names, axes.pooled)

    def op_pad(self, node: fx.Node, x: Axes) -> Axes:
        amounts = self.get(node, 1, "pad")
        if x.time is None:
            return x
        self.picture(node, x)
        if not isinstance(amounts, (tuple, list)):
            raise self.fail(node, "with amounts that depend on the input")
        if len(amounts) > 4 or self.get(node, 2, "mode", "constant") != "constant":
            self.set(node, 1, "pad", (*amounts[:4], 0, 0, *amounts[4:]))
        return x

    def op_dropout2d(self, node: fx.Node, x: Axes) -> Axes:
        self.function(node, F.dropout3d)
        return x

    def op_channel_shuffle(self, node: fx.Node, x: Axes) -> Axes:
        self.picture(node, x)
        return x


def _all_axes(value: Any) -> Iterator[Axes]:
    """Every `Axes` in a nested argument."""
    if isinstance(value, Pieces):
        yield value.axes
    elif isinstance(value, Axes):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _all_axes(item)
    elif isinstance(value, dict):
        yield from _all_axes(tuple(value.values()))


def _op_name(node: fx.Node) -> str:
    """`flatten` for torch.flatten as for x.flatten; a function from elsewhere keeps its module."""
    if isinstance(node.target, str):
        return node.target
    name = getattr(node.target, "__name__", repr(node.target))
    known = (torch, F, operator, builtins, torch.Tensor, torchvision.ops)
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


# ------------------------------------------------------------------------------------------------
# 3. Does a video that stands still give what the picture gives?


@dataclass(frozen=True)
class StillVideoError:
    """How far a still video is from its picture, in the same weights.

    Args:
        layer: Name of the layer whose feature maps were compared.
        features: `(T',)` per frame: largest |3D - 2D| in the feature maps, divided by the
            largest |2D| there.
        logits: Largest |3D - 2D| of the logits.
        largest_logit: Largest |2D| of the logits, to compare with.
    """

    layer: str
    features: Tensor
    logits: float
    largest_logit: float

    def __str__(self) -> str:
        frames = " ".join(f"{100 * value:.3g}" for value in self.features.tolist())
        return (
            f"{self.layer}, per frame, % of the largest activation: {frames}; "
            f"logits: {self.logits:.3g} (the largest is {self.largest_logit:.3g})"
        )


@torch.inference_mode()
def still_video_error(
    net2d: nn.Module,
    net3d: nn.Module,
    image: Tensor,
    frames: int = 16,
    layer: str | None = None,
) -> StillVideoError:
    """Show a picture to the 2D network, and the picture `frames` times to the 3D one; compare.

    Both networks are run in evaluation mode; their modes are put back.

    Args:
        image: `(3, H, W)` or `(1, 3, H, W)`, normalised as the 2D network wants it.
        frames: Length T of the still video.
        layer: Name of the layer to compare. None: the last one that gives more than one frame
            and more than one cell, which is where Grad-CAM looks.

    Raises:
        BadInput: There is no such layer, or it gives no maps.
    """
    picture = image.reshape(1, *image.shape[-3:])
    video = picture.unsqueeze(2).repeat(1, 1, frames, 1, 1)  # (1, 3, T, H, W)
    maps2d, logits2d = _outputs(net2d, picture)
    maps3d, logits3d = _outputs(net3d, video)
    if layer is None:
        many = (name for name, maps in reversed(maps3d.items()) if _has_frames_and_cells(maps))
        layer = next(many, "")
    if layer not in maps2d or maps2d[layer].dim() != 4 or maps3d[layer].dim() != 5:
        raise BadInput(f"layer {layer!r} gives no feature maps: name another one")
    a2d, a3d = maps2d[layer], maps3d[layer]  # (1, C, h, w), (1, C, T', h, w)
    difference = (a3d - a2d.unsqueeze(2)).abs().amax(dim=(0, 1, 3, 4))  # (T',)
    scale = a2d.abs().max().clamp_min(torch.finfo(a2d.dtype).tiny)
    error = float((logits3d - logits2d).abs().max())
    return StillVideoError(layer, difference / scale, error, float(logits2d.abs().max()))


def _has_frames_and_cells(maps: Tensor) -> bool:
    return maps.dim() == 5 and maps.shape[2] > 1 and maps[0, 0, 0].numel() > 1


def _outputs(net: nn.Module, x: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What each module gave, in the order in which they finished, and the logits."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs.pop(name, None)  # a module used twice counts when it was used last
                outputs[name] = output.clone()  # the next layer may work in place

        return hook

    modes = {module: module.training for module in net.modules()}
    hooks = [m.register_forward_hook(keep(name)) for name, m in net.named_modules() if name]
    try:
        net.eval()
        logits = net(x)
    finally:
        for handle in hooks:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return outputs, logits
