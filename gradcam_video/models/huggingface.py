"""Video transformers from the Hugging Face hub: VideoMAE, TimeSformer, V-JEPA 2, VideoPrism.

Three names stand for networks that were trained on Something-Something V2: the labels are its 174
templates, so a clip is explained without any training. A folder laid out as on the hub
(config.json, preprocessor_config.json, model.safetensors) is read the same way, whatever it holds:
all five video classifiers of `transformers` (ViViT is the fifth) and what was trained from them.

`transformers` builds the networks and is needed for these names alone: the extra `hf`. Its
processors, which say what a network's pixels are, stand on `torchvision`. The hub's client,
`huggingface_hub`, comes with `accelerate`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..data.labels import TEMPLATES, normalise_label
from ..errors import BadInput, require
from .construction import building
from .i3d_c3d import UCF101
from .preprocessing import Preprocessing

CONFIG = "config.json"
ADAPTER = "adapter_config.json"  # of PEFT: LoRA and the like
# Image processors were before video processors, and each has a file of its own; the third holds
# both.
PREPROCESSING = (
    "video_preprocessor_config.json",
    "preprocessor_config.json",
    "processor_config.json",
)
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the second only where there is no first
# The class of a network's preprocessing where no file names one, by the network's `model_type`.
# VideoPrism's own was dropped before it was released, files of that time still name it.
PROCESSORS = {
    "timesformer": "VideoMAEImageProcessor",
    "videomae": "VideoMAEImageProcessor",
    "videoprism_vision_model": "LlavaOnevisionVideoProcessor",
    "vivit": "VivitImageProcessor",
    "vjepa2": "VJEPA2VideoProcessor",
}
FILTERS = ("nearest-exact", "lanczos", "bilinear", "bicubic", "box", "hamming")  # PIL's numbers
OUTPUTS = {"multi_label_classification": "sigmoid", "regression": "value"}


@dataclass(frozen=True)
class Checkpoint:
    """One network on the hub.

    Attributes:
        repository: its name there.
        fps: at which frames are taken from a clip; None: spread over the whole clip.
        architecture: name of the network in `transformers`.
        options: what differs from the architecture's defaults.
        pixels: what its preprocessor's file says there, but for the sizes.
        labels: of the data it was trained on, for random weights; its own come with its weights.
    """

    repository: str
    fps: float | None
    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, Any] = field(default_factory=lambda: dict(_IMAGENET))
    labels: tuple[str, ...] = TEMPLATES


_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


HUB = {
    # Frames spread over the whole clip, after TSN: Tong et al. 2022 (arXiv:2203.12602).
    "videomae-ssv2": Checkpoint("MCG-NJU/videomae-base-finetuned-ssv2", None, "videomae"),
    # The same: Bertasius et al. 2021 (arXiv:2102.05095) and its loader for Something-Something.
    "timesformer-ssv2": Checkpoint(
        "facebook/timesformer-base-finetuned-ssv2",
        None,
        "timesformer",
        pixels={"image_mean": [0.45] * 3, "image_std": [0.225] * 3},
    ),
    # Every 4th frame of 12 a second: frame_step in facebookresearch/vjepa2, configs/eval.
    "vjepa2-ssv2": Checkpoint(
        "facebook/vjepa2-vitl-fpc16-256-ssv2", 3.0, "vjepa2", {"frames_per_clip": 16}
    ),
    # The classifier of transformers' own test of VideoPrism; Google's are encoders without one.
    # Frames spread over the whole clip: Zhao et al. 2024 (arXiv:2402.13217).
    "videoprism-ucf101": Checkpoint(
        "MHRDYN7/videoprism-base-f16r288-finetuned-ucf101",
        None,
        "videoprism_vision_model",
        pixels={"do_normalize": False},
        labels=UCF101,
    ),
}


class Logits(nn.Module):
    """A network of `transformers` that takes (N, 3, T, H, W) and gives logits (N, K)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x.transpose(1, 2)).logits  # it wants (N, T, 3, H, W)
        return logits if logits.ndim == 2 else logits.flatten(1)  # VideoPrism gives (N, 1, K)


@dataclass(frozen=True)
class Loaded:
    """A network from a folder: what `VideoModel` needs to know."""

    net: Logits
    labels: tuple[str, ...]
    options: dict[str, Any]


def is_folder(path: Path) -> bool:
    """Whether a folder is laid out as on the hub."""
    return (path / CONFIG).is_file() or (path / ADAPTER).is_file()


def is_cached(name: str) -> bool:
    """Whether a named network was downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    files = (try_to_load_from_cache(HUB[name].repository, file) for file in WEIGHTS)
    return any(isinstance(file, str) for file in files)


def download(name: str) -> Path:
    """The folder of a named network in the hub's cache; what is not there yet is downloaded.

    Raises:
        BadInput: no connection, or the hub refuses.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository = HUB[name].repository
    try:
        wanted = [CONFIG, *PREPROCESSING, WEIGHTS[0]]
        folder = Path(snapshot_download(repository, allow_patterns=wanted))
        if not (folder / WEIGHTS[0]).is_file():
            folder = Path(snapshot_download(repository, allow_patterns=[*wanted, WEIGHTS[1]]))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{name} ({repository}) could not be downloaded ({reason}): connect once, or give a "
            "folder with its files with --weights (weights=)"
        ) from error
    return folder


def read_folder(folder: Path) -> Loaded:
    """A network, its labels and its preprocessing from a folder laid out as on the hub.

    Raises:
        BadInput: no `transformers`, a file is missing or damaged, the weights are another
            network's, or it is no classifier of videos.
    """
    auto = _transformers(folder.name)
    weights = any((folder / file).is_file() for file in WEIGHTS)
    if (folder / ADAPTER).is_file() and not weights:
        raise BadInput(
            f"{folder}: holds an adapter, not a whole network: with peft, merge it into its base "
            "network first, model.merge_and_unload().save_pretrained(OTHER), copy the base's "
            f"{PREPROCESSING[1]} there, and give OTHER"
        )
    for there, what in (
        ((folder / CONFIG).is_file(), CONFIG),
        (any((folder / file).is_file() for file in PREPROCESSING), PREPROCESSING[1]),
        (weights, WEIGHTS[0]),
    ):
        if not there:
            raise BadInput(f"{folder}: holds no {what}; a model's folder has it, as on the hub")
    try:
        # `.bin` files are read by torch.load(weights_only=True), code in the folder is not run.
        # Without dtype= the file's type, perhaps bfloat16, becomes torch's default meanwhile, for
        # all threads.
        with building():
            net, found = auto.AutoModelForVideoClassification.from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        options = options_of(_processor(folder, net.config), net.config)
    except BadInput:
        raise
    except Exception as error:  # what a parser raises on files of another kind is not listed
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{folder}: not a readable classifier of videos ({reason})") from error
    lost = sorted([*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])])
    if lost:
        raise BadInput(
            f"{folder}: its weights lack {lost[0]!r} ({len(lost)} such): not those of this "
            "network, or trained without a classifier"
        )
    by_index = sorted((int(k), name) for k, name in net.config.id2label.items())
    return Loaded(Logits(net.float()), our_labels([name for _, name in by_index]), options)


def untrained_network(name: str, classes: int, **options: Any) -> Logits:
    """A named network with random weights and the sizes it has on the hub.

    Args:
        classes: K.
        options: other sizes, as the configuration of `transformers` names them.
    """
    auto, known = _transformers(name), HUB[name]
    config = auto.AutoConfig.for_model(
        known.architecture, **{**known.options, **options, "num_labels": classes}
    )
    with building():
        return Logits(auto.AutoModelForVideoClassification.from_config(config))


def untrained(name: str, classes: int | None = None, **options: Any) -> Loaded:
    """The same, with labels and with the preprocessing that the name has on the hub."""
    labels = HUB[name].labels
    if classes is not None and classes != len(labels):
        labels = tuple(f"class {k}" for k in range(classes))
    made = untrained_network(name, len(labels), **options)
    config: Any = made.net.config
    return Loaded(made, labels, options_of(named_processor(name, config), config))


def _transformers(name: str) -> Any:
    require("transformers", "hf", name)
    import transformers

    return transformers


def named_processor(name: str, config: Any) -> Any:
    """The processor of `transformers` that a name has on the hub, for a network's own size."""
    sides = _input_size(config)
    kind, pixels = PROCESSORS[config.model_type], HUB[name].pixels
    size: dict[str, int] = {"height": sides[0], "width": sides[1]}
    require("torchvision", "hf", f"the preprocessing of {name}")
    make = getattr(_transformers(name), kind)
    if kind == "LlavaOnevisionVideoProcessor":  # it crops nothing
        return make(size=size, **pixels)
    return make(size={"shortest_edge": min(sides)}, crop_size=size, **pixels)


def _processor(folder: Path, config: Any) -> Any:
    """The processor of `transformers` that a folder names, with what its files say.

    It is of the class that the file names: the classes have other defaults, and PIL or torchvision
    below them. Only where none is named, or one that `transformers` has no more, it is that of the
    network.
    """
    require("torchvision", "hf", f"the preprocessing of {folder.name}")
    auto = _transformers(folder.name)
    given = {
        file: json.loads((folder / file).read_text())
        for file in PREPROCESSING
        if (folder / file).is_file()
    }
    video, image, both = (given.get(file) for file in PREPROCESSING)
    video = (both or {}).get("video_processor", video)
    content = video or (both or {}).get("image_processor", image) or {}
    more: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    own = {}
    if "crop_size" not in content:  # older files; the classes know one size, networks have many
        own["crop_size"] = dict(zip(("height", "width"), _input_size(config), strict=True))
    find = auto.AutoImageProcessor if video is None else auto.AutoVideoProcessor
    try:
        return find.from_pretrained(folder, **more, **own)
    except (ValueError, OSError, ImportError, AttributeError):
        if not content or config.model_type not in PROCESSORS:
            raise
        named = ("video_processor_type", "image_processor_type", "feature_extractor_type")
        kept = {key: value for key, value in content.items() if key not in named}
        return getattr(auto, PROCESSORS[config.model_type])(**kept, **own)


def options_of(processor: Any, config: Any) -> dict[str, Any]:
    """What `VideoModel` needs to know, from a processor and the network's configuration."""
    problem = config.problem_type
    if problem is None and config.num_labels == 1:
        problem = "regression"  # as the loss functions of `transformers` take it
    return {
        "preprocessing": preprocessing(processor, _input_size(config)),
        "frames": getattr(config, "frames_per_clip", None) or config.num_frames,
        "output": OUTPUTS.get(problem),
    }


def preprocessing(processor: Any, sides: tuple[int, int]) -> Preprocessing:
    """The same as a processor of `transformers` does, from its attributes.

    Args:
        processor: of images or of videos; not changed, nor needed later.
        sides: (height, width) of the network's input, for a processor that crops nothing.

    Raises:
        BadInput: it does what is not known here.
    """
    kind = type(processor).__name__
    resize = _scaled_to(processor) if processor.do_resize else None
    crop = bool(processor.do_center_crop)
    size = _sides(processor.crop_size) if crop else resize if isinstance(resize, tuple) else sides
    # x = (pixel * factor - offset - mean) / std, written for pixels in 0..1
    factor = float(processor.rescale_factor) if processor.do_rescale else 1.0
    # VivitVideoProcessor has no `offset`, and subtracts it always.
    moved = getattr(processor, "offset", False) or kind == "VivitVideoProcessor"
    offset = 1.0 if processor.do_rescale and moved else 0.0
    unit = round(255 * factor, 12)  # 1/255 is no number of base two
    mean, std = ((0.0,) * 3, (1.0,) * 3)
    if processor.do_normalize:
        mean, std = _three(processor.image_mean), _three(processor.image_std)
    backend = getattr(processor, "backend", "pil")
    resample = processor.resample
    return Preprocessing.of(
        size,
        resize,
        [(offset + m) / unit for m in mean],
        [s / unit for s in std],
        library="transformers" if backend == "torchvision" else "pillow",
        filter=FILTERS[2 if resample is None else int(resample)],
        crop=crop,
    )


def _scaled_to(processor: Any) -> int | tuple[int, int]:
    """What a processor scales frames to: the short side, or (height, width)."""
    size = dict(processor.size)
    if set(size) == {"shortest_edge"}:
        return int(size["shortest_edge"])
    if set(size) == {"height", "width"}:
        return _sides(size)
    raise BadInput(
        f"{type(processor).__name__}: scales frames to {size}, which is not known here: give "
        "shortest_edge, or height and width"
    )


def _input_size(config: Any) -> tuple[int, int]:
    """(height, width) of a network's input, from its configuration."""
    return _sides(getattr(config, "crop_size", None) or config.image_size)


def _three(values: Any) -> tuple[float, ...]:
    """One number for all channels, or one for each."""
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(values)


def _sides(size: Any) -> tuple[int, int]:
    """(height, width) from a number, a pair, or {"height": …, "width": …}."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, list | tuple):
        return int(size[0]), int(size[1])
    return int(size["height"]), int(size["width"])


def our_labels(names: list[str]) -> tuple[str, ...]:
    """The same labels; those of Something-Something as this package writes them, with brackets."""
    ours = {normalise_label(template): template for template in TEMPLATES}
    if not all(normalise_label(name) in ours for name in names):
        return tuple(names)
    return tuple(ours[normalise_label(name)] for name in names)
