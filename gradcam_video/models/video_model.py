"""VideoModel: a network with its labels, its preprocessing and its CAM layer."""

from __future__ import annotations

import copy
import logging
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from ..data.clip import Clip
from ..errors import BadInput, printable
from ..geometry import Axis, View
from .function_calls import LeftOut, module_names
from .initialisation import looks_untrained
from .modes import evaluating
from .outputs import KINDS, activated, as_values
from .preprocessing import Preprocessing
from .reading import Reading
from .token_layout import TokenGrid
from .trace import Trace, trace_forward
from .wrappers import as_written, unwrapped

log = logging.getLogger(__name__)

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VideoModel:
    """A network and what is needed to ask it about a clip.

    Args:
        net: any module that maps (N, 3, T, H, W) to logits (N, K), before softmax.
        labels: the K names, in a list or as {index: name}; None: they are numbered.
        size: input side in pixels, or (height, width).
        mean, std: per channel, of pixels in 0..1: three of each, or one of each for a network of
            grey frames, (N, 1, T, H, W).
        cam_layer: name of the layer (as in `net.named_modules()`) whose activations are read;
            None: found by a trial forward, and said aloud.
        fold: how that layer's output becomes (N, C, T', h, w), a `TokenGrid` or its pattern, as
            "(n t) c h w" for frames in the batch; None: the trial forward says so.
        resize: what the frame is scaled to before the centre crop of `size`: its short side, or
            (height, width). None: the short side becomes the crop's, so that little is lost.
        frames, fps: what the network was trained on, used where a clip is read for it; fps=None:
            the frames are spread over the whole video.
        name: for titles and files.
        untrained: its weights are random; every output says so. None: told from the weights, see
            `initialisation.py`.
        remark: one line that every output carries.
        inputs: for a network that does not take (N, 3, T, H, W): makes what it takes from that. A
            tuple is several arguments, a dict those with names, a list is one argument.
        outputs: for a network that does not give (N, K): makes that from what it gives.
        output: the kind of output, "softmax", "sigmoid" or "value" (see `outputs.py`); None:
            recognised.
        preprocessing: in place of `size`, `resize`, `mean` and `std`: pixels made as another
            library makes them.

    Raises:
        BadInput: labels and logits do not match, or the layer does not exist.
    """

    def __init__(
        self,
        net: nn.Module,
        labels: Sequence[str] | Mapping[int, str] | None = None,
        size: int | tuple[int, int] = 224,
        mean: float | Sequence[float] = IMAGENET_MEAN,
        std: float | Sequence[float] = IMAGENET_STD,
        cam_layer: str | None = None,
        *,
        resize: int | tuple[int, int] | None = None,
        fold: TokenGrid | str | None = None,
        frames: int = 16,
        fps: float | None = 4.0,
        name: str | None = None,
        untrained: bool | None = None,
        remark: str = "",
        quiet: bool = False,
        inputs: Callable[[Tensor], Any] | None = None,
        outputs: Callable[[Any], Tensor] | None = None,
        output: str | None = None,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if output is not None and output not in KINDS:
            raise BadInput(f"unknown kind of output {output!r}: use one of {', '.join(KINDS)}")
        self.net = net = unwrapped(net)
        self.inputs, self.outputs = inputs, outputs
        self.output: str | None = output
        if preprocessing is None:
            short = size if isinstance(size, int) else min(size)
            scaled = short if resize is None else resize
            preprocessing = Preprocessing.of(size, scaled, mean, std)
        self.preprocessing = preprocessing
        self.frames, self.fps = frames, fps
        self.name = name or type(net).__name__
        self._untrained, self.remark = untrained, remark
        self._traces: dict[tuple[int, ...], Trace] = {}
        self._traced: list[nn.Module] = []
        self._asked_labels = labels
        record = self._first_trace()
        self.labels = _names(labels, record.classes)
        if self.output is None:
            usual = "sigmoid" if record.classes == 1 else "softmax"
            self.output = record.ending.kind if record.ending else usual
        if record.classes != len(self.labels):
            raise BadInput(
                f"{self.name} gives {record.classes} logits but {len(self.labels)} labels were "
                "given: they must match one to one"
            )
        self.cam_layer = cam_layer or record.cam_layer()
        given = record.last_call(self.cam_layer).output
        if isinstance(fold, str):
            fold = TokenGrid.fitting(fold, given.shape)
        self._own_tokens = fold
        found = fold or record.token_grid(self.cam_layer)
        try:
            shape = tuple(found.to_grid(given).shape)[1:]
        except (RuntimeError, IndexError, ValueError) as error:
            raise BadInput(
                f"layer {self.cam_layer!r} gives {tuple(given.shape)}, which {fold} does not fit"
            ) from error
        if cam_layer is None and not quiet:
            tokens = "" if found.plain else f", folded from {found}"
            # A warning, so that it is seen without any setting: the map is of this layer.
            log.warning(
                "%s: reading layer %r, activations (C, T', h, w) %s%s",
                *(self.name, self.cam_layer, shape, tokens),
            )

    def __repr__(self) -> str:
        height, width = self.size
        rate = "spread evenly" if self.fps is None else f"{self.fps:g} a second"
        mark = ", UNTRAINED" if self.untrained else ""
        return (
            f"VideoModel({self.name}{mark}: {len(self.labels)} classes ({self.output}), "
            f"{self.frames} frames of {height}×{width}, {rate}, reading {self.cam_layer!r})"
        )

    @property
    def untrained(self) -> bool:
        """Whether the weights are random: as was said, or as they look now."""
        return looks_untrained(self.net) if self._untrained is None else self._untrained

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of what the network sees, in pixels."""
        return self.preprocessing.size

    @property
    def resize(self) -> int | tuple[int, int]:
        """What a frame is scaled to before the crop: its short side, or (height, width)."""
        return min(self.size) if self.preprocessing.resize is None else self.preprocessing.resize

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of pixels in 0..1."""
        return self.preprocessing.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of pixels in 0..1."""
        return self.preprocessing.std

    @property
    def channels(self) -> int:
        """Channels of the network's input: 3 for colour, 1 for grey frames."""
        return self.preprocessing.channels

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of a clip as the network was made for it."""
        return self.channels, self.frames, *self.size

    @property
    def device(self) -> torch.device:
        """Where the network's parameters lie."""
        return next(self.net.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the network's parameters."""
        return next(self.net.parameters()).dtype

    def to(self, device: str | torch.device) -> VideoModel:
        """Move the network to a device, for example "cuda"; returns the model."""
        try:
            self.net.to(device)
        except (RuntimeError, AssertionError) as error:
            raise BadInput(
                f"cannot use device {device!r}: {str(error).splitlines()[0]}; try device='cpu'"
            ) from error
        return self

    def trace(self, shape: Sequence[int]) -> Trace:
        """The record of a trial forward for input (3, T, H, W), made once per shape."""
        modules, key = list(self.net.modules()), tuple(shape)
        if len(modules) != len(self._traced) or any(map(operator.is_not, modules, self._traced)):
            self._traced, self._traces = modules, {}  # a part was exchanged
        record = self._traces.get(key)
        if record is None:
            with as_written(self.net):
                record = trace_forward(self.net, key, self._call)
            ending = record.ending
            if ending is not None and ending.function and self.output in (None, ending.kind):
                record.leave_out(ending)
            self._traces[key] = record
        labels = getattr(self, "labels", None)
        if labels is not None and record.classes != len(labels):
            raise BadInput(
                f"{self.name} gives {record.classes} logits now, and has {len(labels)} labels: "
                "set model.labels after exchanging its last layer"
            )
        return record

    def _first_trace(self) -> Trace:
        """The trial forward that finds out which order of dimensions the network takes."""
        try:
            return self.trace(self.input_shape)
        except BadInput:
            if self.inputs is not None:
                raise
            self.inputs = frames_first
            try:
                return self.trace(self.input_shape)
            except BadInput:
                self.inputs = None
            raise

    def raw(self, x: Tensor) -> Any:
        """What the network itself gives for (N, 3, T, H, W), before `outputs`."""
        return self._asked(self.net, x)

    def tensor(self, name: str) -> Tensor:
        """A parameter or a buffer of the network, by name; without a graph."""
        module, _, own = name.rpartition(".")
        return getattr(self.net.get_submodule(module), own).detach()

    def clips_mix(self, x: Tensor) -> bool:
        """Whether clips (N, 3, T, H, W) in one batch change each other's values.

        So it is in a network that norms over the batch, or folds frames and clips in an order that
        a single clip does not show. It is tried once for each shape.
        """
        record = self.trace(x.shape[1:])
        if record.mixes is None:
            with torch.no_grad(), evaluating(self.net), as_written(self.net):
                pair = torch.cat([x[:1], -x[:1].flip(2)])
                try:
                    together = self._call(self.net, pair)
                    alone = torch.cat([self._call(self.net, one) for one in pair.split(1)])
                    size = alone.abs().max()
                    exact = alone.dtype in (torch.float32, torch.float64)
                    off = (together - alone).abs().max()
                    record.mixes = not bool(off <= (1e-3 if exact else 5e-2) * size)
                except (RuntimeError, ValueError, IndexError, BadInput):
                    record.mixes = True  # it takes no more than one
        return record.mixes

    def forward(self, x: Tensor, *, as_it_is: bool = False) -> Tensor:
        """Its values (N, K) for (N, 3, T, H, W): logits, before softmax or sigmoid.

        Clips that would change each other go one by one, unless they are to go `as_it_is`.
        """
        record = self.trace(x.shape[1:])
        with ExitStack() as contexts:
            contexts.enter_context(as_written(self.net))
            if record.ending is not None and record.logits is record.ending.values:
                left_out = LeftOut(module_names(self.net), record.ending.function or "")
                contexts.enter_context(left_out)
            if not as_it_is and len(x) > 1 and (record.batch_statistics or self.clips_mix(x)):
                return torch.cat([self._call(self.net, one) for one in x.split(1)])
            return self._call(self.net, x)

    def activated(self, values: Tensor) -> Tensor:
        """Values (N, K) as what is shown of them: probabilities, or themselves."""
        return activated(values, self.output or "softmax")

    def _call(self, net: nn.Module, x: Tensor) -> Tensor:
        given = self._asked(net, x)
        labels = getattr(self, "labels", self._asked_labels)
        known = None if labels is None else len(labels)
        values = as_values(given if self.outputs is None else self.outputs(given), len(x), known)
        if len(values) not in (len(x), len(x) * x.shape[2]):
            raise BadInput(
                f"{self.name} gives {len(values)} rows for {len(x)} clips: say with outputs= how "
                "to make one row for each clip"
            )
        # A row for each frame (TimeSformer with attention over space alone): their mean.
        return values if len(values) == len(x) else values.unflatten(0, (len(x), -1)).mean(1)

    def _asked(self, net: nn.Module, x: Tensor) -> Any:
        given = x if self.inputs is None else self.inputs(x)
        if isinstance(given, tuple):
            return net(*given)
        return net(**given) if isinstance(given, dict) else net(given)

    def with_outputs(
        self, outputs: Callable[[Any], Tensor], labels: Sequence[str], output: str = "value"
    ) -> VideoModel:
        """The same network asked for something else: `outputs` makes (N, J) of what it gives.

        The layer that is read stays the same. Weights are shared, nothing is copied.
        """
        other = copy.copy(self)
        other.outputs, other.output = outputs, output
        del other.labels
        other.labels = _names(labels, other.trace(self.input_shape).classes)
        return other

    def at(self, cam_layer: str) -> VideoModel:
        """The same model reading another layer. Weights are shared, nothing is copied."""
        other = copy.copy(self)
        other._own_tokens = None
        other.trace(self.input_shape).token_grid(cam_layer)
        other.cam_layer = cam_layer
        return other

    def token_grid(self, shape: Sequence[int]) -> TokenGrid:
        """How the CAM layer's output becomes (N, C, T', h, w), for input (3, T, H, W)."""
        return self._own_tokens or self.trace(shape).token_grid(self.cam_layer)

    def reading(self, shape: Sequence[int]) -> Reading:
        """What is read of the network for input (3, T, H, W), and where its cells lie."""
        return self.trace(shape).reading(self.cam_layer, self._own_tokens)

    def one_at_a_time(self, shape: Sequence[int]) -> bool:
        """Whether clips (3, T, H, W) must go through the network one by one.

        So it is where its norms take the statistics of the batch, and for maps where the frames of
        the CAM layer lie in the batch's dimension.
        """
        record = self.trace(shape)
        return record.batch_statistics or self.reading(shape).token_grids[0].in_batch

    def grid_axes(self, shape: Sequence[int]) -> tuple[tuple[Axis, Axis, Axis], str]:
        """Where the cells of the CAM layer's map lie on an input (3, T, H, W): `Trace.grid_axes`.

        Of a fold that was given nothing more is known: its cells share the input evenly.
        """
        reading = self.reading(shape)
        return reading.axes, reading.align

    def preprocess(self, clip: Clip) -> tuple[Tensor, View]:
        """A clip's frames as the network wants them, and which part of the picture they show.

        Returns:
            x, float (1, C, T, h, w) on the model's device, and the `View`. C is `channels`.
        """
        frames = torch.from_numpy(np.ascontiguousarray(clip.frames)).permute(0, 3, 1, 2)  # T,3,H,W
        view = self.preprocessing.view(*frames.shape[-2:])
        x = self.preprocessing.normalised(self.preprocessing.cut(frames).to(self.device))
        x = x.permute(1, 0, 2, 3).unsqueeze(0).to(self.dtype)  # (1, C, T, h, w)
        return x.contiguous(memory_format=memory_format(self.net)), view

    def __getstate__(self) -> dict[str, Any]:
        # What a trial forward found is known by the identity of its tensors: a copy has others.
        return {**self.__dict__, "_traces": {}, "_traced": []}

    def faster(self) -> VideoModel:
        """Fuse every batch norm with the convolution before it and store channels last.

        The logits stay the same to rounding, a CPU forward takes about three quarters of the time.
        The network is *changed*: for a network that is still to be trained, do not.
        """
        self._untrained = self.untrained  # the norms that tell it are fused away
        fuse_conv_bn(self.net, self.trace(self.input_shape))
        for tensor in (*self.net.parameters(), *self.net.buffers()):
            if tensor.ndim == 5:  # a network may have 2D filters as well, which have no such format
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last_3d)
        self._traces.clear()  # the operations are others now
        return self


def frames_first(x: Tensor) -> Tensor:
    """(N, 3, T, H, W) -> (N, T, 3, H, W), as networks of transformers and others take it."""
    return x.transpose(1, 2)


def _names(labels: Sequence[str] | Mapping[int, str] | None, classes: int) -> tuple[str, ...]:
    """The names of the K classes, from a list, from {index: name}, or numbered."""
    if labels is None:
        return tuple(f"class {k}" for k in range(classes))
    if isinstance(labels, str):
        return tuple(labels)
    if isinstance(labels, Mapping):
        by_index = {int(k): str(name) for k, name in labels.items()}
        if sorted(by_index) != list(range(len(by_index))):
            raise BadInput(f"labels: the keys of a dict must be 0 to {len(by_index) - 1}")
        return tuple(printable(by_index[k]) for k in range(len(by_index)))
    return tuple(printable(name) for name in labels)


def memory_format(net: nn.Module) -> torch.memory_format:
    """The format in which the network's first 3D filters lie."""
    for p in net.parameters():
        # Filters of one cell lie in both formats at once: they tell nothing.
        if p.ndim == 5 and p.shape[1] > 1 and max(p.shape[2:]) > 1:
            last = p.is_contiguous(memory_format=torch.channels_last_3d) and not p.is_contiguous()
            return torch.channels_last_3d if last else torch.contiguous_format
    return torch.contiguous_format


def fuse_conv_bn(net: nn.Module, record: Trace) -> int:
    """Fold BatchNorm3d into the Conv3d whose output it alone reads, in place.

    Module names stay: the batch norm becomes an Identity, so that hooks and layer names still fit.

    Args:
        net: the network, in the state it was traced in.
        record: its trial forward.

    Returns:
        How many were fused.
    """
    users: dict[int, int] = {}
    for op in record.operations:
        for tensor in op.inputs:
            users[id(tensor)] = users.get(id(tensor), 0) + 1
    by_output = {id(call.output): call for call in record.calls if record.count(call.name) == 1}
    names = (record.parameters.get(id(t)) for op in record.operations for t in op.inputs)
    reads = Counter(names)  # of each parameter, by name
    norms = {id(op.output): op.inputs[0] for op in record.operations if "batch_norm" in op.name}
    modules = dict(net.named_modules())
    fused_norms = 0
    for call in record.calls:
        norm = modules[call.name]
        if not isinstance(norm, nn.BatchNorm3d) or norm.running_mean is None:
            continue
        source = norms.get(id(call.output))
        before = by_output.get(id(source))
        if source is None or before is None or users[id(source)] != 1:
            continue
        conv = modules[before.name]
        if reads[f"{before.name}.weight"] > 1 or {call.name, before.name} & record.past_the_tree:
            continue  # the same filters are used elsewhere, or by another way than their name
        if record.count(call.name) != 1 or not isinstance(conv, nn.Conv3d):
            continue
        if is_parametrized(conv) or conv._forward_pre_hooks:  # as a weight norm: no plain filters
            continue
        with evaluating(net):
            fused = fuse_conv_bn_eval(conv, norm)
        net.set_submodule(before.name, fused)
        net.set_submodule(call.name, nn.Identity())
        fused_norms += 1
    return fused_norms
