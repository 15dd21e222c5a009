"""One training step: forward, loss, backward, clip, optimise, average.

`train_step` is the whole of it. `TrainState` holds what it changes, which is also what a checkpoint
must hold for a run to go on as if it had never stopped.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..models.video_model import VideoModel
from .batches import IGNORED, Parts
from .recipe import Recipe, last_linear

if TYPE_CHECKING:
    from accelerate import Accelerator

STEP = 3  # what a random number is drawn for; see batches.py
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)


def train_step(state: TrainState, parts: Iterator[tuple[Tensor, Tensor]], step: int) -> None:
    """Change the weights once, by one batch.

    The batch is worked off in parts, to save memory and by several processes; gradients add up
    until its last part. What the log tells of it is added to `state.sums`.

    Args:
        parts: frames uint8 `(n, T, h, w, 3)` and targets `(n,)` of part after part.
        step: number of the step, from 0.
    """
    recipe, accelerator, size = state.recipe, state.accelerator, state.parts.size
    training_mode(state.net, recipe.freeze_norms)
    for number in state.parts.numbers:
        x, y = state.to_input(*next(parts))  # (n, 3, T, h, w), (n,)
        torch.manual_seed(part_seed(recipe.seed, step, number))  # dropout draws from here
        with accelerator.accumulate(state.wrapped):
            logits = state.wrapped(x).float()  # (n, K)
            counted = (y != IGNORED).sum()
            # Divided by the full size: a clip weighs the same in whichever part it is.
            error = recipe.error(logits, y) / size
            level = state.activations.float().abs().mean() * counted / size
            loss = error + recipe.sparse_at(step, state.total) * level
            accelerator.backward(loss)
            if accelerator.sync_gradients and recipe.clip_grad:
                accelerator.clip_grad_norm_(state.wrapped.parameters(), recipe.clip_grad)
            state.optimiser.step()  # Accelerate lets it wait for the last part
            state.optimiser.zero_grad()
        right = (logits.argmax(1) == y).sum()
        one = torch.ones_like(loss)
        state.sums += torch.stack([loss, error, level, one, right, counted]).detach()
    if state.averaged is not None:
        state.averaged.update_parameters(state.net)


class TrainState:
    """The network on its way, and what moves it.

    As a context it hooks into the network's layers; at its end the network is as it was given,
    but for its weights.

    Args:
        model: its network is trained in place. All weights are, unless some ask for gradients and
            others do not.
        recipe: how.
        accelerator: devices, precision, other processes.
        parts: of each batch, those of this process.
        total: steps of the run.

    Attributes:
        net: the network.
        wrapped: the network as Accelerate runs it: in the recipe's precision, gradients shared.
        optimiser: of its weights.
        averaged: torch's running mean of the weights; None without `recipe.ema`.
        activations: the last output of the CAM layer, `(n, C, T', h, w)` or tokens.
        sums: `(6,)` since the last line of the log: loss, error, level, parts, right, clips.
    """

    def __init__(
        self, model: VideoModel, recipe: Recipe, accelerator: Accelerator, parts: Parts, total: int
    ) -> None:
        self.model, self.recipe, self.accelerator = model, recipe, accelerator
        self.parts, self.total = parts, total
        device = accelerator.device
        self.net = net = model.net
        if not any(p.requires_grad for p in net.parameters()):
            net.requires_grad_(True)  # load_model switches all gradients off
        net.to(device).to(memory_format=torch.channels_last_3d)
        self.averaged = averaged_model(net, recipe.ema) if recipe.ema else None
        accelerator.gradient_accumulation_steps = len(parts.numbers)
        self.wrapped, self.optimiser = accelerator.prepare(net, make_optimiser(net, recipe))
        self.activations = torch.empty(0)
        self.sums = torch.zeros(6, device=device)
        # x = pixel × scale - shift, as in `VideoModel.preprocess`; both (3, 1, 1, 1)
        mean, std = torch.tensor(model.mean), torch.tensor(model.std)
        self._scale = (1 / (255 * std)).to(device).view(3, 1, 1, 1)
        self._shift = (mean / std).to(device).view(3, 1, 1, 1)
        self._hooks: list[Any] = []

    def __enter__(self) -> TrainState:
        layer = self.net.get_submodule(self.model.cam_layer)
        self._hooks = [layer.register_forward_hook(self._keep)]
        if self.recipe.dropout:  # without a new module: the file stays what it was
            head = last_linear(self.net)[1]
            drop = partial(_drop, self.recipe.dropout)
            self._hooks.append(head.register_forward_pre_hook(drop))
        return self

    def __exit__(self, *stopped: object) -> None:
        for hook in self._hooks:
            hook.remove()
        # Accelerate put a forward of its own on the network.
        self.accelerator.unwrap_model(self.wrapped, keep_fp32_wrapper=False)
        self.accelerator.free_memory()

    def _keep(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.activations = output[0] if isinstance(output, tuple) else output

    def to_input(self, frames: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Frames uint8 `(n, T, h, w, 3)` as the network takes them, `(n, 3, T, h, w)`; targets."""
        device = self.accelerator.device
        frames, targets = (t.to(device, non_blocking=True) for t in (frames, targets))
        return frames.permute(0, 4, 1, 2, 3).float() * self._scale - self._shift, targets

    def eval_model(self) -> VideoModel:
        """The model with the weights that are evaluated and saved: their mean, if there is one."""
        model = copy.copy(self.model)
        model.net = self.net if self.averaged is None else self.averaged.module
        return model

    def means(self) -> dict[str, float]:
        """Means over all processes since the last call: loss, error, level, accuracy."""
        loss, error, level, parts, right, clips = self.accelerator.reduce(self.sums).tolist()
        self.sums.zero_()
        means = {"loss": loss / parts, "error": error / parts, "level": level / parts}
        return {**means, "accuracy": right / max(clips, 1)}

    def state_dict(self) -> dict[str, Any]:
        """All that going on needs."""
        scaler = self.accelerator.scaler
        return {
            "sums": self.sums,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.net.load_state_dict(saved["net"])
        self.optimiser.load_state_dict(saved["optimiser"])
        if self.averaged is not None:
            self.averaged.load_state_dict(saved["averaged"])
        if self.accelerator.scaler is not None and saved["scaler"]:
            self.accelerator.scaler.load_state_dict(saved["scaler"])
        if self.accelerator.is_main_process:  # whose sums they are
            self.sums += saved["sums"].to(self.sums.device)


# --- what a step is made of -------------------------------------------------------------------


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD; weight decay on filters and matrices only, not on norms and biases."""
    trained = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=recipe.rate)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give all weights one learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def training_mode(net: nn.Module, freeze_norms: bool) -> None:
    """Training mode; norms may keep the statistics they have."""
    net.train()
    for module in net.modules():
        if freeze_norms and isinstance(module, NORMS):
            module.eval()


def averaged_model(net: nn.Module, decay: float) -> AveragedModel:
    """An exponential mean of a network's weights, batch norm's statistics included (EMA).

    At first the decay is smaller, n/(n + 9) after n steps: else the random weights of the
    beginning would stay in the mean for long.
    """
    average = partial(_follow, decay)
    averaged = AveragedModel(net, multi_avg_fn=average, use_buffers=True)
    averaged.update_parameters(net)  # the first only copies: n = 1 at the first step's end
    return averaged.eval().requires_grad_(False)


def _follow(decay: float, mean: Any, now: Any, count: Tensor | int) -> None:
    """Move tensors of the mean towards those of the network."""
    if mean[0].is_floating_point():
        n = int(count)
        get_ema_multi_avg_fn(min(decay, n / (n + 9)))(mean, now, n)
    else:
        for counter, current in zip(mean, now, strict=True):
            counter.copy_(current)


def part_seed(*numbers: int) -> int:
    """One seed from the recipe's, the step and the part."""
    return int(np.random.SeedSequence((STEP, *numbers)).generate_state(1, np.uint64)[0] >> 1)


def _drop(share: float, module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor]:
    """Leave out a share of a layer's inputs while training."""
    return (F.dropout(inputs[0], share, module.training),)
