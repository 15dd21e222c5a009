"""VideoModel: a network with its labels, its preprocessing and its CAM layer; names and files.

Names are the inflatable torchvision image networks (`resnet50` is the post's), torchvision's
Kinetics-400 video networks, I3D and C3D (`zoo.py`), three transformers that know
Something-Something V2 (`hub.py`), and what ships: `tabletop` and the two of notebook 08. Weights
come from their publishers when online, from `--weights FILE` otherwise. Only safetensors and
`torch.load(weights_only=True)` are ever read: a file that would run code is refused.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import get_model, get_model_weights

from . import hub
from .clip import Clip
from .errors import BadInput
from .grid import Axis, View
from .inflate import INFLATABLE, inflate
from .labels import FORTY_NAMES, TEMPLATES
from .layout import Fold
from .tabletop.network import network as tabletop_network
from .trace import Trace, evaluating, half_pixel_axes, trace
from .zoo import ZOO

FORMAT = "gradcam_video-1"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# torchvision's, each with the frames and the rate of its recipe (`weights.meta["_docs"]`), but for
# r3d_18 … s3d, which are given the 16 frames of this package (s3d's recipe has 128).
KINETICS = {
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18", "s3d"), (16, 15.0)),
    **dict.fromkeys(("mvit_v1_b", "mvit_v2_s"), (16, 7.5)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (32, 15.0)),
}
SHIPPED = ("tabletop", "shortcut", "no-shortcut")  # their weights lie in the package


class VideoModel:
    """A network and what is needed to ask it about a clip.

    Args:
        net: any module that maps (N, 3, T, H, W) to logits (N, K), before softmax.
        labels: the K names.
        size: input side in pixels, or (height, width).
        mean, std: per channel, of pixels in 0..1.
        cam_layer: name of the layer (as in `net.named_modules()`) whose activations are read;
            None: found by a trial forward, and said aloud.
        fold: how that layer's output becomes (N, C, T', h, w); None: the trial forward says so.
        resize: what the frame is scaled to before the centre crop of `size`: its short side, or
            (height, width). None: the short side becomes the crop's, so that little is lost.
        frames, fps: what the network was trained on, used where a clip is read for it; fps=None:
            the frames are spread over the whole video.
        name: for titles and files.
        untrained: its weights are random; every output says so.
        remark: one line that every output carries.

    Raises:
        BadInput: labels and logits do not match, or the layer does not exist.
    """

    def __init__(
        self,
        net: nn.Module,
        labels: Sequence[str],
        size: int | tuple[int, int] = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        cam_layer: str | None = None,
        *,
        resize: int | tuple[int, int] | None = None,
        fold: Fold | None = None,
        frames: int = 16,
        fps: float | None = 4.0,
        name: str | None = None,
        untrained: bool = False,
        remark: str = "",
        quiet: bool = False,
    ) -> None:
        self.net = net
        self.labels = tuple(labels)
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.mean, self.std = tuple(mean), tuple(std)
        self.resize = min(self.size) if resize is None else resize
        self.frames, self.fps = frames, fps
        self.name = name or type(net).__name__
        self.untrained, self.remark = untrained, remark
        self._traces: dict[tuple[int, ...], Trace] = {}
        record = self.trace((3, frames, *self.size))
        if record.classes != len(self.labels):
            raise BadInput(
                f"{self.name} gives {record.classes} logits but {len(self.labels)} labels were "
                "given: they must match one to one"
            )
        self.cam_layer = cam_layer or record.cam_layer()
        self._own_fold = fold
        output, found = record.last_call(self.cam_layer).output, fold or record.fold(self.cam_layer)
        try:
            shape = tuple(found.to_grid(output).shape)[1:]
        except (RuntimeError, IndexError, ValueError) as error:
            raise BadInput(
                f"layer {self.cam_layer!r} gives {tuple(output.shape)}, which {fold} does not fit"
            ) from error
        if cam_layer is None and not quiet:
            tokens = "" if found.plain else f", folded from {found}"
            print(
                f"{self.name}: reading layer {self.cam_layer!r}, "
                f"activations (C, T', h, w) {shape}{tokens}"
            )

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
        key = tuple(shape)
        if key not in self._traces:
            self._traces[key] = trace(self.net, key)
        return self._traces[key]

    def fold(self, shape: Sequence[int]) -> Fold:
        """How the CAM layer's output becomes (N, C, T', h, w), for input (3, T, H, W)."""
        return self._own_fold or self.trace(shape).fold(self.cam_layer)

    def grid_axes(self, shape: Sequence[int]) -> tuple[tuple[Axis, Axis, Axis], str]:
        """Where the cells of the CAM layer's map lie on an input (3, T, H, W): `Trace.grid_axes`.

        Of a fold that was given nothing more is known: its cells share the input evenly.
        """
        if self._own_fold is None:
            return self.trace(shape).grid_axes(self.cam_layer)
        return half_pixel_axes(self._own_fold.grid, shape[1:]), "half-pixel"

    def preprocess(self, clip: Clip) -> tuple[Tensor, View]:
        """A clip's frames as the network wants them, and which part of the picture they show.

        Returns:
            x, float (1, 3, T, h, w) on the model's device, and the `View`.
        """
        frames = torch.from_numpy(np.ascontiguousarray(clip.frames)).permute(0, 3, 1, 2)  # T,3,H,W
        height, width = frames.shape[-2:]
        rows, columns = self._resized(height, width)
        if (rows, columns) != (height, width):
            frames = nn.functional.interpolate(
                frames, (rows, columns), mode="bilinear", antialias=True
            )
        top, left = (rows - self.size[0]) // 2, (columns - self.size[1]) // 2
        frames = frames[..., top : top + self.size[0], left : left + self.size[1]]
        scale = 1 / (255 * torch.tensor(self.std))
        shift = torch.tensor(self.mean) / torch.tensor(self.std)
        x = frames.to(self.device).float()
        x = x * scale.to(x.device).view(3, 1, 1) - shift.to(x.device).view(3, 1, 1)
        x = x.permute(1, 0, 2, 3).unsqueeze(0).to(self.dtype)  # (1, 3, T, h, w)
        # In original pixels: the resize is undone by the ratio of the sides.
        down, right = height / rows, width / columns
        view = View(
            height,
            width,
            *self.size,
            top=top * down,
            left=left * right,
            bottom=(top + self.size[0]) * down,
            right=(left + self.size[1]) * right,
        )
        return x.contiguous(memory_format=memory_format(self.net)), view

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Size of the frame before the crop: never smaller than the crop."""
        if not isinstance(self.resize, int):
            return max(self.resize[0], self.size[0]), max(self.resize[1], self.size[1])
        ratio = self.resize / min(height, width)
        rows, columns = round(height * ratio), round(width * ratio)
        return max(rows, self.size[0]), max(columns, self.size[1])

    def faster(self) -> VideoModel:
        """Fold every batch norm into the convolution before it and store channels last.

        The logits stay the same to rounding, a CPU forward takes about three quarters of the time.
        The network is *changed*: for a network that is still to be trained, do not.
        """
        fold_batch_norms(self.net, self.trace((3, self.frames, *self.size)))
        for tensor in (*self.net.parameters(), *self.net.buffers()):
            if tensor.ndim == 5:  # a network may have 2D filters as well, which have no such format
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last_3d)
        self._traces.clear()  # the operations are others now
        return self


def memory_format(net: nn.Module) -> torch.memory_format:
    """The format in which the network's first 3D filters lie."""
    for p in net.parameters():
        # Filters of one cell lie in both formats at once: they tell nothing.
        if p.ndim == 5 and p.shape[1] > 1 and max(p.shape[2:]) > 1:
            last = p.is_contiguous(memory_format=torch.channels_last_3d) and not p.is_contiguous()
            return torch.channels_last_3d if last else torch.contiguous_format
    return torch.contiguous_format


def fold_batch_norms(net: nn.Module, record: Trace) -> int:
    """Fold BatchNorm3d into the Conv3d whose output it alone reads, in place.

    Module names stay: the batch norm becomes an Identity, so that hooks and layer names still fit.

    Args:
        net: the network, in the state it was traced in.
        record: its trial forward.

    Returns:
        How many were folded.
    """
    users: dict[int, int] = {}
    for op in record.operations:
        for tensor in op.inputs:
            users[id(tensor)] = users.get(id(tensor), 0) + 1
    by_output = {id(call.output): call for call in record.calls if record.count(call.name) == 1}
    norms = {id(op.output): op.inputs[0] for op in record.operations if "batch_norm" in op.name}
    modules = dict(net.named_modules())
    folded = 0
    for call in record.calls:
        norm = modules[call.name]
        if not isinstance(norm, nn.BatchNorm3d) or norm.running_mean is None:
            continue
        source = norms.get(id(call.output))
        before = by_output.get(id(source))
        if source is None or before is None or users[id(source)] != 1:
            continue
        if record.count(call.name) != 1 or not isinstance(modules[before.name], nn.Conv3d):
            continue
        with evaluating(net):
            fused = fuse_conv_bn_eval(modules[before.name], norm)
        net.set_submodule(before.name, fused)
        net.set_submodule(call.name, nn.Identity())
        folded += 1
    return folded


# --- names ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """One name that `load_model` takes."""

    name: str
    kind: str  # "shipped", "inflated" (2D, ImageNet), "video" (Kinetics-400, UCF-101) or "hub"
    needs: str
    here: bool


def known_models() -> list[Known]:
    """The names `load_model` takes, what each needs, and whether its weights are here already."""
    rows = [Known(name, "shipped", "nothing: ships with the package", True) for name in SHIPPED]
    data = dict.fromkeys(sorted(INFLATABLE), "ImageNet") | dict.fromkeys(
        sorted(KINETICS), "Kinetics-400"
    )
    data |= {name: published.data for name, published in ZOO.items()}
    for name, what in data.items():
        kind = "inflated" if name in INFLATABLE else "video"
        source = "torchvision" if name not in ZOO else "its publisher"
        needs = f"{what} weights from {source} (online, once), or --weights FILE"
        rows.append(Known(name, kind, needs, _cached(name)))
    for name, checkpoint in hub.HUB.items():
        needs = (
            f"transformers, and the weights of {checkpoint.repository} (online, once), or a folder "
            "of them with --weights"
        )
        rows.append(Known(name, "hub", needs, hub.is_cached(name)))
    return rows


def _cached(name: str) -> bool:
    """Whether the default weights already lie in torch's download cache."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    if name in ZOO:
        return (folder / ZOO[name].file).is_file()
    weights = get_model_weights(name).DEFAULT  # ty: ignore[missing-attribute]
    return (folder / Path(weights.url).name).is_file()


def load_model(
    name: str | Path = "tabletop",
    weights: str | Path | None = "default",
    *,
    labels: Sequence[str] | None = None,
    device: str | torch.device = "cpu",
    temporal_kernel: int = 3,
    inflation: str | None = None,
    padding: str | None = None,
    which: str = "all",
    cam_layer: str | None = None,
    fast: bool = True,
) -> VideoModel:
    """A model by name or from a checkpoint of this package.

    Args:
        name: one of `known_models()`; the path of a .safetensors written by `save_model`; or a
            folder as on the Hugging Face hub.
        weights: "default": a checkpoint's own, or those of its publisher, downloaded once; a file:
            .safetensors, or .pth/.pt/.th of tensors only, of the network itself or of the image
            network that is inflated (of a network of the hub: its folder); None: random weights,
            and every output says UNTRAINED.
        labels: names of the classes; None: those of the weights.
        device: "cpu", "cuda", "auto" (the GPU if there is one) …
        temporal_kernel, inflation, padding, which: see `inflate`. Image weights that have never
            seen a video are inflated by "centre": until it is trained, the network then sees each
            frame as the image network does. Random weights and those of a trained 3D network by
            "mean", as in the post. Padding is "zeros" unless said otherwise.
        cam_layer: see `VideoModel`.
        fast: fold batch norms and store channels last, for inference (`VideoModel.faster`).

    Raises:
        BadInput: unknown name, weights that cannot be read, would run code, or are another
            network's, no connection to download them, or a package that is not installed.
    """
    name = os.fspath(name)
    if name in SHIPPED:
        name = os.fspath(Path(__file__).parent / "weights" / f"{name}.safetensors")
    if name in hub.HUB or hub.is_folder(Path(name)):
        model = _from_hub(name, weights, labels, cam_layer)
    elif Path(name).suffix == ".safetensors" or os.sep in name:
        model = _from_checkpoint(Path(name), weights, labels, cam_layer)
    elif name in KINETICS or name in ZOO:
        model = _video(name, weights, labels, cam_layer)
    elif name in INFLATABLE:
        options = {"temporal_kernel": temporal_kernel, "which": which}
        model = _inflated(name, weights, labels, cam_layer, options, inflation, padding)
    else:
        import difflib

        near = difflib.get_close_matches(name, [k.name for k in known_models()], 3, 0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadInput(f"unknown model {name!r}: {hint}`gradcam-video models` lists the names")
    if fast:
        model.faster()
    model.net.eval().requires_grad_(False)
    return model.to(resolve_device(device))


def resolve_device(device: str | torch.device) -> str | torch.device:
    """ "auto" becomes the GPU if there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _video(
    name: str, weights: str | Path | None, labels: Sequence[str] | None, cam_layer: str | None
) -> VideoModel:
    """One of the video networks of torchvision or of `zoo.py`."""
    names, options = _published(name)
    classes = len(names)
    state, source = None, Path(name if weights in ("default", None) else str(weights))
    if weights is not None:
        state = _download_state(name) if weights == "default" else read_weights(source)
        state = {ZOO[name].names(key): t for key, t in state.items()} if name in ZOO else state
        with torch.device("meta"):
            expected = _build_video(name, classes).state_dict()
        classes = _classes_of(state, expected, name, source) or classes
    elif labels:
        classes = len(labels)
    net = _build_video(name, classes)
    if state is not None:
        _load(net, state, name, source)
    return VideoModel(
        net,
        labels or _names_for(classes, names),
        cam_layer=cam_layer,
        name=name,
        untrained=weights is None,
        quiet=True,
        **options,
    )


def _published(name: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The labels of a video network's own weights, and what they were trained on."""
    if name in ZOO:
        known = ZOO[name]
        options = {key: getattr(known, key) for key in ("size", "resize", "mean", "std", "frames")}
        return known.labels(), {**options, "fps": known.fps}
    default = get_model_weights(name).DEFAULT  # ty: ignore[missing-attribute]
    crop, (frames, fps) = default.transforms(), KINETICS[name]
    rows, *columns = crop.resize_size  # one number: the short side
    return tuple(default.meta["categories"]), {
        "size": (crop.crop_size[0], crop.crop_size[-1]),
        "resize": (rows, *columns) if columns else rows,
        "mean": crop.mean,
        "std": crop.std,
        "frames": frames,
        "fps": fps,
    }


def _build_video(name: str, classes: int) -> nn.Module:
    """A video network with random weights."""
    if name in ZOO:
        return ZOO[name].build(classes)
    return get_model(name, weights=None, num_classes=classes)


def _from_hub(
    name: str, weights: str | Path | None, labels: Sequence[str] | None, cam_layer: str | None
) -> VideoModel:
    """A named network of the Hugging Face hub, or any in a folder laid out as there."""
    if weights is None:
        if name not in hub.HUB:
            raise BadInput(f"{name}: random weights are made for names alone, not for a folder")
        loaded = hub.untrained(name, len(labels) if labels else len(TEMPLATES))
    elif weights == "default":
        loaded = hub.read_folder(hub.download(name) if name in hub.HUB else Path(name))
    else:
        loaded = hub.read_folder(Path(weights))
    return VideoModel(
        loaded.net,
        labels or loaded.labels,
        cam_layer=cam_layer,
        fps=hub.HUB[name].fps if name in hub.HUB else None,
        name=name if name in hub.HUB else Path(name).name,
        untrained=weights is None,
        quiet=True,
        **loaded.options,
    )


def _inflated(
    name: str,
    weights: str | Path | None,
    labels: Sequence[str] | None,
    cam_layer: str | None,
    options: dict[str, Any],
    inflation: str | None,
    padding: str | None,
) -> VideoModel:
    """One of torchvision's image networks, inflated."""
    default = get_model_weights(name).DEFAULT  # ty: ignore[missing-attribute]
    names = tuple(default.meta["categories"])
    crop = default.transforms()
    state: dict[str, Tensor] | None = None
    if weights == "default":
        net2d, seen_video = _download(name), False
    else:
        classes = len(names)
        if weights is not None:
            state = read_weights(Path(weights))
            with torch.device("meta"):
                expected = _build2d(name, classes).state_dict()
            classes = _classes_of(state, expected, name, Path(weights)) or classes
        elif labels:
            classes = len(labels)
        net2d = _build2d(name, classes)
        names = _names_for(classes, names)
        seen_video = state is None or any(t.ndim == 5 for t in state.values())
        if state is not None and not seen_video:
            _load(net2d, state, name, Path(str(weights)))
    net = inflate(
        net2d,
        weights=inflation or ("mean" if seen_video else "centre"),
        padding=padding or "zeros",
        **options,
    )
    if state is not None and seen_video:
        _load(net, state, name, Path(str(weights)))
    return VideoModel(
        net,
        labels or names,
        size=crop.crop_size[0],
        mean=crop.mean,
        std=crop.std,
        cam_layer=cam_layer,
        resize=crop.resize_size[0],
        name=name,
        untrained=weights is None,
        remark="" if seen_video else "image network, inflated: never trained on video",
        quiet=True,
    )


def _build2d(name: str, classes: int) -> nn.Module:
    """A torchvision image network with random weights."""
    # These two start with a slow truncated normal unless told that weights will follow.
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return get_model(name, weights=None, num_classes=classes, **extra)


def _download_state(name: str) -> dict[str, Tensor]:
    """The tensors of a video network's own weights, from their server or torch's cache."""
    if name not in ZOO:
        return _download(name).state_dict()
    known = ZOO[name]
    with _downloading(name):
        torch.hub.load_state_dict_from_url(
            known.url, map_location="cpu", check_hash=True, file_name=known.file, weights_only=True
        )
    return read_weights(Path(torch.hub.get_dir()) / "checkpoints" / known.file)


def _download(name: str) -> nn.Module:
    """torchvision's own weights, from its server or torch's cache."""
    with _downloading(name):
        return get_model(name, weights="DEFAULT")


@contextmanager
def _downloading(name: str) -> Generator[None]:
    """What a download may raise, as one line that names the way out."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # URLError is an OSError; a broken hash a RuntimeError
        raise BadInput(
            f"the weights of {name} could not be downloaded ({error}): connect once, or give a "
            "file with --weights FILE (weights=)"
        ) from error


def _names_for(classes: int, own: tuple[str, ...]) -> tuple[str, ...]:
    """Names for K classes: the weights' own, the forty, the 174 templates, or numbers."""
    for names in (own, FORTY_NAMES, TEMPLATES):
        if len(names) == classes:
            return tuple(names)
    return tuple(f"class {k}" for k in range(classes))


# --- files ------------------------------------------------------------------------------------


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or a .pth/.pt/.th file; nothing in it is run.

    Raises:
        BadInput: missing, unreadable, not tensors, or a pickle that would run code.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such weights file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder, not a weights file") from None
    except PermissionError:
        raise BadInput(f"{path}: no permission to read it") from None
    except pickle.UnpicklingError:
        raise BadInput(
            f"{path}: refused: it is not a plain file of tensors, loading it could run code; save "
            "it again as .safetensors, or as a state_dict"
        ) from None
    except Exception as error:  # what a parser raises on a file of another kind is not listed
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a readable weights file ({reason})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise BadInput(f"{path}: holds no state_dict (names to tensors)")
    # nn.DataParallel prefixes every name.
    return {key.removeprefix("module."): tensor for key, tensor in content.items()}


def _classes_of(
    state: dict[str, Tensor], expected: dict[str, Tensor], name: str, path: Path
) -> int | None:
    """The number of classes of a file: where it differs from the network in the first size only."""
    sizes = {
        len(tensor)
        for key, tensor in state.items()
        if key in expected
        and tensor.ndim
        and len(tensor) != len(expected[key])
        and tensor.shape[1:] == expected[key].shape[1:]
    }
    if len(sizes) > 1:
        raise BadInput(f"{path}: weights of another network, not of {name}")
    return sizes.pop() if sizes else None


def _load(net: nn.Module, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Put tensors into a network; every name and shape must fit."""
    expected = net.state_dict()
    # Files converted from other frameworks lack this counter; it does nothing at inference.
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [k for k in state if k not in expected]
    wrong = [k for k in state if k in expected and state[k].shape != expected[k].shape]
    for what, keys in (("lacks", missing), ("has the unknown", unknown)):
        if keys:
            raise BadInput(
                f"{path}: weights of another network, not of {name}: it {what} {keys[0]!r} "
                f"({len(keys)} such)"
            )
    if wrong:
        key = wrong[0]
        raise BadInput(
            f"{path}: weights of another network, not of {name}: {key!r} is "
            f"{tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
        )
    net.load_state_dict(state, strict=False)


def save_model(
    model: VideoModel, path: str | Path, architecture: dict[str, Any], **facts: str
) -> None:
    """Write a checkpoint: tensors, labels, preprocessing and how to build the network.

    Args:
        model: its network must not be folded (`faster`).
        path: a .safetensors; written whole or not at all.
        architecture: {"name": …} of `tabletop`, a video network or an inflatable one, with the
            `inflate` options of the latter.
        facts: further metadata, such as trained_on="…".
    """
    path = Path(path)
    preprocessing = {
        "size": model.size,
        "resize": model.resize,
        "mean": model.mean,
        "std": model.std,
        "frames": model.frames,
        "fps": model.fps,
    }
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(architecture),
        "labels": json.dumps(model.labels),
        "preprocessing": json.dumps(preprocessing),
        "remark": model.remark,
        **facts,
    }
    tensors = {k: t.detach().cpu().contiguous() for k, t in model.net.state_dict().items()}
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_bytes(safetensors.torch.save(tensors, metadata))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _from_checkpoint(
    path: Path, weights: str | Path | None, labels: Sequence[str] | None, cam_layer: str | None
) -> VideoModel:
    """A model from a file of `save_model`; its weights, other weights, or (None) random ones."""
    state, source = read_weights(path), path
    if weights not in ("default", None):
        source = Path(str(weights))
        state = read_weights(source)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise BadInput(
            f"{path}: not a checkpoint of this package; for plain weights give --model NAME "
            "--weights FILE"
        )
    try:
        architecture = json.loads(metadata["architecture"])
        own = json.loads(metadata["labels"])
        options = json.loads(metadata["preprocessing"])
        net = _BUILDERS[architecture.pop("name")](architecture, len(own))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(
            f"{path}: its metadata cannot be understood ({type(error).__name__}: {error}); it was "
            "written by another version, or damaged"
        ) from error
    if weights is not None:
        _load(net, state, path.name, source)
    return VideoModel(
        net,
        labels or own,
        size=tuple(options["size"]),
        mean=options["mean"],
        std=options["std"],
        cam_layer=cam_layer,
        resize=options["resize"]
        if isinstance(options["resize"], int)
        else tuple(options["resize"]),
        frames=options["frames"],
        fps=options["fps"],
        name=path.stem,
        untrained=weights is None,
        remark="" if weights is None else metadata.get("remark", ""),
        quiet=True,
    )


def _builder(name: str) -> Callable[[dict[str, Any], int], nn.Module]:
    if name in SHIPPED:  # one network, taught three times
        return lambda options, classes: tabletop_network(classes, **options)
    if name in KINETICS or name in ZOO:
        return lambda options, classes: _build_video(name, classes)
    if name in hub.HUB:
        return lambda options, classes: hub.untrained(name, classes, **options).net
    return lambda options, classes: inflate(_build2d(name, classes), **options)


_BUILDERS = {name: _builder(name) for name in (*SHIPPED, *KINETICS, *ZOO, *hub.HUB, *INFLATABLE)}
