"""The networks of torchvision by name: video networks, and image networks inflated.

`efficientnet_lite0` is here, too: it is inflated and named like torchvision's.

A file of its own, imported when such a name is asked for: torchvision takes as long to import as
torch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from ..data.labels import FORTY_NAMES, TEMPLATES
from ..errors import BadInput
from . import efficientnet_lite as lite
from .checkpoints import classes_of, load_state, read_weights
from .construction import building
from .i3d_c3d import ZOO
from .inflation import inflate
from .model_names import KINETICS
from .preprocessing import Preprocessing
from .video_model import VideoModel


def video_network(
    name: str, weights: str | Path | None, labels: Sequence[str] | None, cam_layer: str | None
) -> VideoModel:
    """One of the video networks of torchvision or of `i3d_c3d.py`."""
    names, options = published(name)
    classes = len(names)
    state, source = None, Path(name if weights in ("default", None) else str(weights))
    if weights is not None:
        state = _download_state(name) if weights == "default" else read_weights(source)
        state = {ZOO[name].names(key): t for key, t in state.items()} if name in ZOO else state
        with torch.device("meta"):
            expected = build_video(name, classes).state_dict()
        classes = classes_of(state, expected, name, source) or classes
    elif labels:
        classes = len(labels)
    net = build_video(name, classes)
    if state is not None:
        load_state(net, state, name, source)
    return VideoModel(
        net,
        labels or _names_for(classes, names),
        cam_layer=cam_layer,
        name=name,
        untrained=weights is None,
        quiet=True,
        **options,
    )


def weights_file(name: str) -> str:
    """The name of the default weights in torch's download cache."""
    return Path(get_model_weights(name).DEFAULT.url).name  # ty: ignore[missing-attribute]


def published(name: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The labels of a video network's own weights, and what they were trained on."""
    if name in ZOO:
        known = ZOO[name]
        pixels = Preprocessing.of(
            known.size, known.resize, known.mean, known.std, library="opencv", antialias=False
        )
        return known.labels(), {
            "preprocessing": pixels,
            "frames": known.frames,
            "fps": known.fps,
        }
    default = get_model_weights(name).DEFAULT  # ty: ignore[missing-attribute]
    frames, fps = KINETICS[name]
    return tuple(default.meta["categories"]), {
        "preprocessing": preset(default.transforms()),
        "frames": frames,
        "fps": fps,
    }


def preset(transforms: Any) -> Preprocessing:
    """The same as a preset of torchvision does to tensors, `VideoClassification` or
    `ImageClassification`."""
    rows, *columns = transforms.resize_size  # one number: the short side
    return Preprocessing.of(
        (transforms.crop_size[0], transforms.crop_size[-1]),
        (rows, *columns) if columns else rows,
        transforms.mean,
        transforms.std,
        library="torchvision",
        filter=transforms.interpolation.value,
        # The video preset has no such attribute, and scales without.
        antialias=bool(getattr(transforms, "antialias", False)),
    )


def build_video(name: str, classes: int) -> nn.Module:
    """A video network with random weights."""
    with building():
        if name in ZOO:
            return ZOO[name].build(classes)
        return get_model(name, weights=None, num_classes=classes)


def inflated_network(
    name: str,
    weights: str | Path | None,
    labels: Sequence[str] | None,
    cam_layer: str | None,
    options: dict[str, Any],
    inflation: str | None,
    padding: str | None,
) -> VideoModel:
    """An image network, inflated."""
    image = image_network(name)
    names = image.labels
    state: dict[str, Tensor] | None = None
    if weights == "default":
        net2d, seen_video = image.trained(), False
    else:
        classes = len(names)
        if weights is not None:
            state = {image.renamed(key): t for key, t in read_weights(Path(weights)).items()}
            with torch.device("meta"):
                expected = build_image_network(name, classes).state_dict()
            classes = classes_of(state, expected, name, Path(weights)) or classes
        elif labels:
            classes = len(labels)
        net2d = build_image_network(name, classes)
        names = _names_for(classes, names)
        seen_video = state is None or any(t.ndim == 5 for t in state.values())
        if state is not None and not seen_video:
            load_state(net2d, state, name, Path(str(weights)))
    net = inflate(
        net2d,
        weights=inflation or ("mean" if seen_video else "centre"),
        padding=padding or "zeros",
        **options,
    )
    if state is not None and seen_video:
        load_state(net, state, name, Path(str(weights)))
    return VideoModel(
        net,
        labels or names,
        cam_layer=cam_layer,
        preprocessing=image.preprocessing,
        name=name,
        untrained=weights is None,
        remark="" if seen_video else "image network, inflated: never trained on video",
        quiet=True,
    )


@dataclass(frozen=True)
class ImageNetwork:
    """What is known of an image network by name.

    Attributes:
        labels: of its ImageNet weights.
        preprocessing: what these were trained on.
        trained: the network with these weights, downloaded once or from a package.
        renamed: the name of a tensor in the network, from its name in a published file.
    """

    labels: tuple[str, ...]
    preprocessing: Preprocessing
    trained: Callable[[], nn.Module]
    renamed: Callable[[str], str] = str


def image_network(name: str) -> ImageNetwork:
    """What is known of one of `INFLATABLE` or `PACKAGED`."""
    if name != lite.NAME:
        default = get_model_weights(name).DEFAULT  # ty: ignore[missing-attribute]
        labels = tuple(default.meta["categories"])
        return ImageNetwork(labels, preset(default.transforms()), partial(_download, name))
    # The order of ImageNet's classes is the same everywhere; torchvision has their names.
    labels = tuple(get_model_weights("resnet50").DEFAULT.meta["categories"])  # ty: ignore[missing-attribute]
    pixels = Preprocessing.of(
        lite.SIZE, lite.RESIZE, lite.MEAN, lite.STD, library="torchvision", filter="bicubic"
    )
    return ImageNetwork(labels, pixels, _packaged, lite.renamed)


def _packaged() -> nn.Module:
    """EfficientNet-Lite0 with the weights of its package."""
    state = read_weights(lite.weights_path())
    net = build_image_network(lite.NAME, 1000)
    load_state(
        net, {lite.renamed(key): t for key, t in state.items()}, lite.NAME, lite.weights_path()
    )
    return net


def build_image_network(name: str, classes: int) -> nn.Module:
    """An image network with random weights."""
    if name == lite.NAME:
        with building():
            return lite.EfficientNetLite0(classes)
    # These two start with a slow truncated normal unless told that weights will follow.
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with building():
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
    with _downloading(name), building():
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
