"""Video transformers from the Hugging Face hub: VideoMAE, TimeSformer, V-JEPA 2.

Three names stand for networks that were trained on Something-Something V2: the labels are its 174
templates, so a clip is explained without any training. A folder laid out as on the hub
(config.json, preprocessor_config.json, model.safetensors) is read the same way, whatever it holds.

`transformers` builds the networks and is needed for these names alone: the extra `hf`. The hub's
client, `huggingface_hub`, comes with `accelerate`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..data.labels import TEMPLATES, normalise_label
from ..errors import BadInput, require

CONFIG = "config.json"
# Image processors were before video processors, and each has a file of its own.
PREPROCESSING = ("video_preprocessor_config.json", "preprocessor_config.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the second only where there is no first


@dataclass(frozen=True)
class Checkpoint:
    """One network on the hub.

    Attributes:
        repository: its name there.
        fps: at which frames are taken from a clip; None: spread over the whole clip.
        architecture: name of the network in `transformers`, and what differs from its defaults.
    """

    repository: str
    fps: float | None
    architecture: str
    options: dict[str, Any] = field(default_factory=dict)


HUB = {
    # Frames spread over the whole clip, after TSN: Tong et al. 2022 (arXiv:2203.12602).
    "videomae-ssv2": Checkpoint("MCG-NJU/videomae-base-finetuned-ssv2", None, "videomae"),
    # The same: Bertasius et al. 2021 (arXiv:2102.05095) and its loader for Something-Something.
    "timesformer-ssv2": Checkpoint("facebook/timesformer-base-finetuned-ssv2", None, "timesformer"),
    # Every 4th frame of 12 a second: frame_step in facebookresearch/vjepa2, configs/eval.
    "vjepa2-ssv2": Checkpoint(
        "facebook/vjepa2-vitl-fpc16-256-ssv2", 3.0, "vjepa2", {"frames_per_clip": 16}
    ),
}


class Logits(nn.Module):
    """A network of `transformers` that takes (N, 3, T, H, W) and gives logits (N, K)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.transpose(1, 2)).logits  # it wants (N, T, 3, H, W)


@dataclass(frozen=True)
class Loaded:
    """A network from a folder: what `VideoModel` needs to know."""

    net: Logits
    labels: tuple[str, ...]
    options: dict[str, Any]


def is_folder(path: Path) -> bool:
    """Whether a folder is laid out as on the hub."""
    return (path / CONFIG).is_file()


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
    read = next((folder / file for file in PREPROCESSING if (folder / file).is_file()), None)
    for there, what in (
        (is_folder(folder), CONFIG),
        (read, PREPROCESSING[1]),
        (any((folder / file).is_file() for file in WEIGHTS), WEIGHTS[0]),
    ):
        if not there:
            raise BadInput(f"{folder}: holds no {what}; a model's folder has it, as on the hub")
    assert read is not None
    try:
        # `.bin` files are read by torch.load(weights_only=True), code in the folder is not run.
        net, found = auto.AutoModelForVideoClassification.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, output_loading_info=True
        )
        options = preprocessing(json.loads(read.read_text()), net.config)
    except Exception as error:  # what a parser raises on files of another kind is not listed
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{folder}: not a readable classifier of videos ({reason})") from error
    lost = sorted([*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])])
    if lost:
        raise BadInput(
            f"{folder}: its weights lack {lost[0]!r} ({len(lost)} such): not those of this "
            "network, or trained without a classifier"
        )
    labels = [name for _, name in sorted(net.config.id2label.items())]
    return Loaded(Logits(net.float()), our_labels(labels), options)


def untrained(name: str, classes: int = len(TEMPLATES), **options: Any) -> Loaded:
    """A named network with random weights and the sizes it has on the hub.

    Args:
        classes: K.
        options: other sizes, as the configuration of `transformers` names them.
    """
    auto, known = _transformers(name), HUB[name]
    config = auto.AutoConfig.for_model(
        known.architecture, **{**known.options, **options, "num_labels": classes}
    )
    net = auto.AutoModelForVideoClassification.from_config(config)
    labels = TEMPLATES if classes == len(TEMPLATES) else tuple(f"class {k}" for k in range(classes))
    return Loaded(Logits(net), labels, preprocessing({}, config))


def _transformers(name: str) -> Any:
    require("transformers", "hf", name)
    import transformers

    return transformers


def preprocessing(given: dict[str, Any], config: Any) -> dict[str, Any]:
    """size, resize, mean, std and frames for `VideoModel`, from a preprocessor's file.

    Args:
        given: its content; what it lacks is as in ImageNet's usual one.
        config: of the network, which knows its frames and its input size.
    """
    side = getattr(config, "crop_size", None) or config.image_size
    crop = _sides(given.get("crop_size", side))
    resize = given.get("size", min(crop))
    if isinstance(resize, dict):
        resize = resize.get("shortest_edge") or _sides(resize)
    return {
        "size": crop,
        "resize": resize,
        "mean": tuple(given.get("image_mean", (0.485, 0.456, 0.406))),
        "std": tuple(given.get("image_std", (0.229, 0.224, 0.225))),
        "frames": getattr(config, "frames_per_clip", None) or config.num_frames,
    }


def _sides(size: Any) -> tuple[int, int]:
    """(height, width) from a number, a pair, or {"height": …, "width": …}."""
    if isinstance(size, dict):
        return int(size["height"]), int(size["width"])
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def our_labels(names: list[str]) -> tuple[str, ...]:
    """The same labels; those of Something-Something as this package writes them, with brackets."""
    ours = {normalise_label(template): template for template in TEMPLATES}
    if not all(normalise_label(name) in ours for name in names):
        return tuple(names)
    return tuple(ours[normalise_label(name)] for name in names)
