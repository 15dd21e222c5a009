"""A recipe: which network, and how it is trained; two dataclasses and one TOML file.

network, recipe = read_recipe("something_forty_resnet50")
model, architecture = build(network, data.labels, recipe.seed)
fit(model, data, "out", recipe, architecture=architecture)
"""

from __future__ import annotations

import copy
import difflib
import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import safetensors
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.augment import Augment
from ..data.labels import normalise_label
from ..errors import BadInput
from ..models.checkpoints import SHIPPED_WEIGHTS
from ..models.construction import global_draws
from ..models.huggingface import HUB
from ..models.i3d_c3d import ZOO
from ..models.model_names import CUT_FINDERS, INFLATABLE, KINETICS, PACKAGED
from ..models.registry import BUILDERS, load_model
from ..models.video_model import VideoModel

FOLDER = Path(__file__).parent / "recipes"
CHANGES = Augment()


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: times that every clip is seen.
        steps: updates of the weights, instead of `epochs`.
        batch: clips per update, over all parts and processes.
        accumulate: parts in which a batch is worked off, to save memory. Several processes share
            the parts: the result is the same but for batch norm.
        optimiser: "adamw" or "sgd" (Nesterov momentum 0.9).
        rate: the highest learning rate.
        warmup: share of the run in which the rate rises to it; then it falls along a cosine.
        final_rate: where it ends, as a share of `rate`.
        weight_decay: of filters and matrices; never of norms and biases.
        clip_grad: largest norm of the gradient; 0: any.
        label_smoothing: share of the target that is spread over all classes.
        sparse: weight of the mean activation of the CAM layer (L1), which rises over the first
            third of the run: places where nothing happens should say nothing.
        ema: decay of a running mean of the weights, which is what is saved; 0: none.
        dropout: share of the features before the last layer that is left out.
        freeze_norms: batch norms keep the statistics they came with.
        shuffle_frames: a control: the frames of each clip are shuffled, also in evaluation.
        augment: random changes of the training clips.
        precision: "no" (float32), "bf16", "fp16", or "auto": bf16 on a GPU, float32 on a CPU.
        seed: of everything that is drawn.
    """

    epochs: float = 0
    steps: int = 0
    batch: int = 16
    accumulate: int = 1
    optimiser: str = "adamw"
    rate: float = 1e-3
    warmup: float = 0.1
    final_rate: float = 0.0
    weight_decay: float = 0.02
    clip_grad: float = 1.0
    label_smoothing: float = 0.0
    sparse: float = 0.0
    ema: float = 0.0
    dropout: float = 0.0
    freeze_norms: bool = False
    shuffle_frames: bool = False
    augment: Augment = CHANGES
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "accumulate"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} = {getattr(self, name)}: give 1 or more")
        for name in ("epochs", "steps", "weight_decay", "clip_grad", "sparse", "seed"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} = {getattr(self, name)}: give 0 or more")
        for name in ("warmup", "final_rate", "label_smoothing", "ema", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise BadInput(f"{name} = {getattr(self, name)}: give a share, 0 or more, below 1")
        if not self.rate > 0:
            raise BadInput(f"rate = {self.rate}: give a number above 0")
        if bool(self.epochs) == bool(self.steps):
            raise BadInput("how long to train? give either epochs or steps")
        if self.batch % self.accumulate:
            raise BadInput(
                f"a batch of {self.batch} cannot be cut into {self.accumulate} equal parts; change "
                "batch or accumulate"
            )
        for name, choices in (
            ("optimiser", ("adamw", "sgd")),
            ("precision", ("auto", "no", "bf16", "fp16")),
        ):
            if getattr(self, name) not in choices:
                raise BadInput(f"{name} = {getattr(self, name)!r}: use {', '.join(choices)}")

    def total(self, clips: int) -> int:
        """Steps of the run on so many clips."""
        return self.steps or math.ceil(self.epochs * clips / self.batch)

    def rate_at(self, step: int, total: int) -> float:
        """The learning rate of step `step` (from 0): up in a line, down along a cosine."""
        rising = round(self.warmup * total)
        if step < rising:
            return self.rate * (step + 1) / rising
        done = (step - rising) / max(1, total - rising)
        low = self.rate * self.final_rate
        return low + (self.rate - low) * (1 + math.cos(math.pi * done)) / 2

    def sparse_at(self, step: int, total: int) -> float:
        """The weight of the mean activation in step `step` (from 0)."""
        return self.sparse * min(1.0, 3 * (step + 1) / total)

    def error(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of logits `(n, K)`, summed over the clips."""
        return F.cross_entropy(
            logits, targets, reduction="sum", label_smoothing=self.label_smoothing
        )


@dataclass(frozen=True)
class Network:
    """What a network is made of before it is trained.

    Attributes:
        name: as `load_model` takes it: a name, or a checkpoint of this package to go on from.
        weights: "default" (torchvision's, or the checkpoint's own), "none" (random), or a file.
        temporal_kernel, inflation, padding, which: see `inflate`; of image networks only.
        size: side of the input in pixels; 0: the network's own.
        frames, fps: of the clips.
        classes: "forty" or "all", the 174 templates.
    """

    name: str = "resnet18"
    weights: str = "default"
    temporal_kernel: int = 3
    inflation: str = "mean"
    padding: str = "zeros"
    which: str = "all"
    size: int = 0
    frames: int = 16
    fps: float = 4.0
    classes: str = "forty"


def recipe_names() -> list[str]:
    """The recipes that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(source: str | Path) -> tuple[Network, Recipe]:
    """A recipe by name or from a file: tables `[network]`, `[training]` and `[augment]`.

    Raises:
        BadInput: no such recipe, not TOML, or a key or value that no recipe has.
    """
    path = Path(source)
    if path.suffix != ".toml":
        path = FOLDER / f"{source}.toml"
        if not path.is_file():
            names = ", ".join(recipe_names())
            raise BadInput(f"no recipe {str(source)!r}: give a .toml file, or one of {names}")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; give a recipe's .toml file") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise BadInput(f"{path}: not a readable recipe ({error})") from error
    known = {"network", "training", "augment"}
    for name, table in tables.items():
        if name not in known or not isinstance(table, dict):
            raise BadInput(f"{path}: no recipe has {name!r}; its tables are {', '.join(known)}")
    try:
        network = Network(**_checked(Network, tables.get("network", {})))
        augment = Augment(**_checked(Augment, tables.get("augment", {})))
        training = _checked(Recipe, tables.get("training", {}))
        return network, Recipe(augment=augment, **training)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def _checked(cls: Any, table: dict[str, Any]) -> dict[str, Any]:
    """A table's values, if they are such that the dataclass takes them."""
    kinds = {field.name: field.type for field in fields(cls) if field.name != "augment"}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; use {', '.join(kinds)}"
            raise BadInput(f"unknown key {key!r}{hint}")
        kind = str(kinds[key])
        fits = {
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
            "int": _number(value) and isinstance(value, int),
            "float": _number(value),
            "tuple[float, float]": isinstance(value, list)
            and len(value) == 2
            and all(map(_number, value)),
        }[kind]
        if not fits:
            raise BadInput(f"{key} = {json.dumps(value, default=str)}: must be {_KINDS[kind]}")
        values[key] = tuple(value) if isinstance(value, list) else value
    return values


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS = {
    "bool": "true or false",
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "tuple[float, float]": "two numbers, as [0.7, 1.0]",
}


def to_toml(recipe: Recipe, network: Network | None = None) -> str:
    """A recipe as TOML, every value spelled out; `read_recipe` reads it back."""
    values = asdict(recipe)
    changes = values.pop("augment")
    lines = ["[training]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    lines += ["", "[augment]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in changes.items()]
    if network is not None:
        values = asdict(network)
        before = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines = ["[network]", *before, "", *lines]
    return "\n".join(lines) + "\n"


# --- the network to begin with ----------------------------------------------------------------


def build(
    network: Network, labels: Sequence[str], seed: int = 0
) -> tuple[VideoModel, dict[str, Any]]:
    """The untrained, or pretrained, network of a recipe, with a fresh last layer for `labels`.

    Args:
        network: of a recipe.
        labels: the classes to be learnt. A network that has them already keeps its last layer.
        seed: of whatever is drawn: random weights, the last layer.

    Returns:
        The model, and what `save_model` needs to build it again.

    Raises:
        BadInput: as `load_model`; or the last layer cannot be replaced.
    """
    weights = {"none": None}.get(network.weights, network.weights)
    with torch.random.fork_rng([]), global_draws():  # the last layer's are drawn after the others
        torch.manual_seed(seed)
        model = load_model(
            network.name,
            weights,
            temporal_kernel=network.temporal_kernel,
            inflation=network.inflation,
            padding=network.padding,
            which=network.which,
            fast=False,
        )
        architecture = _architecture(network)
        if list(map(normalise_label, model.labels)) != list(map(normalise_label, labels)):
            _replace_head(model, len(labels))
            _check_that_it_rebuilds(model.net, architecture, len(labels))
    trained = VideoModel(
        model.net.requires_grad_(True),
        labels,
        size=network.size or model.size,
        mean=model.mean,
        std=model.std,
        resize=network.size or model.resize,
        frames=network.frames,
        fps=network.fps,
        name=Path(network.name).stem,
        quiet=True,
    )
    return trained, architecture


def _architecture(network: Network) -> dict[str, Any]:
    """What `save_model` needs to build the network again."""
    name = network.name
    if name in (*KINETICS, *ZOO, *HUB, *CUT_FINDERS):
        return {"name": name}
    if name in INFLATABLE or name in PACKAGED:
        inflation = {"weights": network.inflation, "padding": network.padding}
        return {
            "name": name,
            "temporal_kernel": network.temporal_kernel,
            "which": network.which,
            **inflation,
        }
    shipped = SHIPPED_WEIGHTS / f"{name}.safetensors"
    with safetensors.safe_open(shipped if shipped.is_file() else Path(name), "pt") as file:
        return json.loads(file.metadata()["architecture"])


def last_linear(net: nn.Module) -> tuple[str, nn.Linear]:
    """Name and module of the last linear layer, the one that gives the logits."""
    found = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Linear)]
    if not found:
        raise BadInput(f"{type(net).__name__} has no linear layer that gives the logits")
    return found[-1]


def _replace_head(model: VideoModel, classes: int) -> None:
    """A fresh last layer for other classes."""
    name, head = last_linear(model.net)
    if head.out_features != len(model.labels):
        raise BadInput(
            f"{model.name}: its last linear layer {name!r} does not give the logits, so it cannot "
            "be replaced for other classes; begin with another network"
        )
    fresh = nn.Linear(head.in_features, classes)
    nn.init.normal_(fresh.weight, std=0.01)
    nn.init.zeros_(fresh.bias)
    model.net.set_submodule(name, fresh)


def _check_that_it_rebuilds(net: nn.Module, architecture: dict[str, Any], classes: int) -> None:
    """Whether the file of the trained network could be read again."""
    options = dict(architecture)
    with torch.device("meta"):
        rebuilt = BUILDERS[options.pop("name")](options, classes).state_dict()
    if any(t.shape != rebuilt[key].shape for key, t in net.state_dict().items()):
        raise BadInput(
            f"{architecture['name']} is made for its own classes only; begin with another network "
            "(--init)"
        )


# --- what it costs ----------------------------------------------------------------------------


def cost(model: VideoModel, clips: int, tflops: float = 100.0) -> dict[str, float]:
    """What training costs, counted from the operations; nothing is computed.

    Args:
        model: its network, and the size of its clips.
        clips: in an epoch.
        tflops: 10¹² operations a second that the machine sustains: a third to a half of what is
            printed on a GPU is good.

    Returns:
        gmac: 10⁹ multiplications (and additions) of a clip's way forward. tflop: 10¹² operations
        of its way forward and back. gib: 2³⁰ bytes that a clip keeps in memory between forward and
        back, in float32 (about half of it in half precision). parameters: number. pflop: 10¹⁵
        operations of an epoch. minutes: of an epoch.
    """
    from torch.utils.flop_counter import FlopCounterMode  # late: it loads torch's compiler

    net = copy.deepcopy(model.net).to("meta").train().requires_grad_(True)
    x = torch.empty((1, 3, model.frames, *model.size), device="meta")
    own = [*net.parameters(), *net.buffers()]
    weights = {tensor.untyped_storage()._cdata for tensor in own}
    kept: dict[int, torch.Tensor] = {}  # what autograd saves, each storage once

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()._cdata
        if storage not in weights:
            kept[storage] = saved
        return saved

    with (
        FlopCounterMode(display=False) as forward,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved),
    ):
        logits = net(x)
    with FlopCounterMode(display=False) as back:
        logits.sum().backward()
    both = forward.get_total_flops() + back.get_total_flops()
    return {
        "gmac": forward.get_total_flops() / 2e9,  # a multiplication and an addition count as two
        "tflop": both / 1e12,
        "gib": sum(saved.untyped_storage().nbytes() for saved in kept.values()) / 2**30,
        "parameters": sum(p.numel() for p in net.parameters()),
        "pflop": both * clips / 1e15,
        "minutes": both * clips / (tflops * 1e12) / 60,
    }
