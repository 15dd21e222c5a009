"""A 2D network that knows pictures becomes a 3D network that knows short videos.

Every 2D filter is stretched over time (I3D, Carreira & Zisserman 2017, arXiv 1705.07750,
section 2), and so is everything else in the network that counts on two spatial axes: pooling,
normalisation, and the operations written into `forward` itself, such as `x.mean([2, 3])`. The
names of the modules and of the weights stay those of the 2D network.

How it works:

1. `inflate` copies the network and replaces each 2D module (`Conv2d`, `BatchNorm2d`, ...) by its
   3D sister. A network whose 2D operations are all modules is then finished.
2. `ShapePropagator`, in `fx_rewrite.py`, follows the data through every `forward` and finds the
   operations there that count on two spatial axes. It refuses every operation that it does not
   know.
3. Only the modules whose own `forward` had to change get a new one. A ResNet keeps all of its
   classes; a MobileNetV2 becomes an `InflatedMobileNetV2`, a subclass of `MobileNetV2`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import BadInput
from .fx_rewrite import (
    THREE_D,
    CannotInflate,
    ShapePropagator,
    TimePaddedConv3d,
    plain_class,
    pool_size,
    time_first,
)

__all__ = [
    "CannotInflate",
    "StillVideoError",
    "TimePaddedConv3d",
    "inflate",
    "still_video_error",
]

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
        if isinstance(module, nn.Conv2d) and plain_class(module) is nn.Conv2d:
            pointwise = which == "spatial" and module.kernel_size == (1, 1)
            return _conv3d(module, 1 if pointwise else temporal_kernel, padding)
        convert = _SISTERS.get(plain_class(module))
        return module if convert is None else _adopt(convert(module), module)

    net3d = _replace_leaves(_copy_without_weights(net), replace)
    shapes = ShapePropagator(net3d)
    shapes.rewrite()
    for conv in shapes.see_one_frame():
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
    sizes = (time_first(m.kernel_size, 1), time_first(m.stride, 1), time_first(m.padding, 0))
    return nn.MaxPool3d(*sizes, time_first(m.dilation, 1), m.return_indices, m.ceil_mode)


def _avg_pool3d(m: Any) -> nn.Module:
    sizes = (time_first(m.kernel_size, 1), time_first(m.stride, 1), time_first(m.padding, 0))
    return nn.AvgPool3d(*sizes, m.ceil_mode, m.count_include_pad, m.divisor_override)


_SISTERS: dict[Any, Callable[[Any], nn.Module]] = {
    nn.ConvTranspose2d: _conv_transpose3d,
    nn.BatchNorm2d: _norm(nn.BatchNorm3d),
    nn.InstanceNorm2d: _norm(nn.InstanceNorm3d),
    nn.MaxPool2d: _max_pool3d,
    nn.AvgPool2d: _avg_pool3d,
    nn.AdaptiveAvgPool2d: lambda m: nn.AdaptiveAvgPool3d(pool_size(m.output_size)),
    nn.AdaptiveMaxPool2d: lambda m: nn.AdaptiveMaxPool3d(
        pool_size(m.output_size), m.return_indices
    ),
    nn.Dropout2d: lambda m: nn.Dropout3d(m.p, m.inplace),
}


def _refuse_at_first_sight(net: nn.Module) -> None:
    for name, module in net.named_modules():
        weight = getattr(module, "weight", None)
        own = module._parameters.keys() | module._buffers.keys()
        if isinstance(module, torch.jit.ScriptModule):
            raise CannotInflate(name, module, "it is compiled; give the Python network")
        if isinstance(module, THREE_D):
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
# 2. Does a video that stands still give what the picture gives?


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
