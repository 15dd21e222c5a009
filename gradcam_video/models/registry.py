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
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from ..data.labels import FORTY_NAMES, TEMPLATES
from ..errors import BadInput
from . import huggingface as hub
from .checkpoints import FORMAT, SHIPPED_WEIGHTS, _classes_of, _load, read_weights
from .i3d_c3d import ZOO
from .inflation import INFLATABLE, inflate
from .tabletop_net import network as tabletop_network
from .video_model import VideoModel

# torchvision's, each with the frames and the rate of its recipe (`weights.meta["_docs"]`), but for
# r3d_18 … s3d, which are given the 16 frames of this package (s3d's recipe has 128).
KINETICS = {
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18", "s3d"), (16, 15.0)),
    **dict.fromkeys(("mvit_v1_b", "mvit_v2_s"), (16, 7.5)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (32, 15.0)),
}
SHIPPED = ("tabletop", "shortcut", "no-shortcut")  # their weights lie in the package


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
        fast: fuse batch norms and store channels last, for inference (`VideoModel.faster`).

    Raises:
        BadInput: unknown name, weights that cannot be read, would run code, or are another
            network's, no connection to download them, or a package that is not installed.
    """
    name = os.fspath(name)
    if name in SHIPPED:
        name = os.fspath(SHIPPED_WEIGHTS / f"{name}.safetensors")
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
