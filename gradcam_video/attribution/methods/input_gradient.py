"""Methods that carry the gradient of a logit all the way back to the pixels.

Each class costs a backward through the whole network, so only the top class of a clip is explained
unless others are named. The pixels' values are gathered on a grid of T × 14 × 14 cells: a map
of its own, finer than that of most layers, and the same for every network.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...errors import BadInput
from ...models.modes import at_least_float32, hooked, in_this_thread
from ..baselines import FIXED, all_removed, check_baseline
from .base import ForwardContext, Maps, Method, need_whole, pixel_axes, pooled


@dataclass(frozen=True)
class _RuledGradient(Method):
    """The gradient at the pixels under another rule for going back through a ReLU.

    Its sign tells brighter from darker, not for from against, and cancels within a cell: the map is
    the mean over a cell's pixels of max over colours |gradient| (Simonyan et al. 2014,
    arXiv:1312.6034, sec. 3.1), never negative.

    Args:
        cells: of the grid, along height and width.
    """

    cells: int = 14

    every_class: ClassVar[bool] = False
    guided: ClassVar[bool]

    def __post_init__(self) -> None:
        need_whole("guided gradient", cells=self.cells)

    def maps(self, context: ForwardContext) -> Maps:
        _need_relu_modules(context)
        x = context.x.detach().clone().requires_grad_()
        axes, signed = pixel_axes(x, self.cells), []
        with torch.enable_grad(), _relu_rule(context.model.net, self.guided):
            logits = context.forward(x)  # (N, K)
        classes = context.wanted_of_each(logits)
        for column in classes.T:  # a class of each clip: (N)
            # Clips do not mix in a forward: the gradient of the sum is each clip's own.
            chosen = logits.gather(1, column[:, None]).sum()
            (gradient,) = torch.autograd.grad(chosen, x, retain_graph=True)  # (N, 3, T, H, W)
            signed.append(pooled(gradient.abs().amax(dim=1), axes, mean=True))
        return Maps(logits.detach(), at_least_float32(torch.stack(signed, dim=1)), classes, axes)


@dataclass(frozen=True)
class GuidedGradient(_RuledGradient):
    """Guided backpropagation, Springenberg et al. 2015 (arXiv:1412.6806), sec. 3.4.

    Back through a ReLU of input u:  gradient at u = gradient * [u > 0] * [gradient > 0]

    Adebayo et al. 2018 (arXiv:1810.03292) found that it hardly depends on the network's upper
    layers: it draws edges. Look at its score under randomised parameters before believing it.
    """

    guided: ClassVar[bool] = True


@dataclass(frozen=True)
class Deconvolution(_RuledGradient):
    """The deconvolutional network of Zeiler & Fergus 2014 (arXiv:1311.2901), sec. 2.1.

    Back through a ReLU of input u:  gradient at u = gradient * [gradient > 0], whatever u was

    Pooling goes back to where its maximum was, as in the paper and in any gradient.
    """

    guided: ClassVar[bool] = False


class _Rectified(torch.autograd.Function):
    """A ReLU that lets only positive gradients back; when guided, where its input was positive."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, guided: bool) -> Tensor:
        ctx.guided = guided
        ctx.save_for_backward(u)
        return u.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        back = gradients[0].clamp(min=0)
        return (back * (u > 0) if ctx.guided else back), None


@contextmanager
def _relu_rule(net: nn.Module, guided: bool) -> Generator[None]:
    """Within, every nn.ReLU of the network goes back by the rule; its values stay the same."""
    inputs: dict[nn.Module, Tensor] = {}

    def before(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        inputs[module] = args[0]
        return (args[0].clone(),)  # a ReLU that works in place overwrites this copy

    def after(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return _Rectified.apply(inputs.pop(module), guided)

    hooks = []
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            hooks.append(module.register_forward_pre_hook(in_this_thread(before)))
            hooks.append(module.register_forward_hook(in_this_thread(after)))
    with hooked(*hooks):
        yield


def _need_relu_modules(context: ForwardContext) -> None:
    """Refuse a network whose ReLUs cannot all be given the rule: half a rule is no method.

    Raises:
        BadInput: it has none, or some are functions (F.relu) that no hook sees.
    """
    record, modules = (
        context.model.trace(context.x.shape[1:]),
        dict(context.model.net.named_modules()),
    )
    seen = sum(isinstance(modules[call.name], nn.ReLU) for call in record.calls)
    there = sum(op.name == "relu" for op in record.operations)
    if not seen:
        raise BadInput(
            f"{context.model.name} runs no nn.ReLU module, and the rules of guided gradient and "
            "deconvolution are about ReLUs: use integrated-gradients"
        )
    if there > seen:
        raise BadInput(
            f"{there - seen} of {there} ReLUs of {context.model.name} are functions, which the "
            "rules of guided gradient and deconvolution cannot reach: make them nn.ReLU modules, "
            "or use integrated-gradients"
        )


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Integrated gradients, Sundararajan et al. 2017 (arXiv:1703.01365), eqs. 1 and 3; by captum.

    signed[k, j] = (x[j] - b[j]) * mean over a in 0..1 of  d y[k] / d x[j] at b + a * (x - b)

    Summed over colours and over the pixels of a cell, so that a map sums to y(x) - y(b), the more
    exactly the more steps there are.

    Args:
        steps: points of the integral; each is a forward and a backward.
        baseline: b, a clip of which nothing is kept; one of `baselines.FIXED`.
        cells: of the grid, along height and width.
    """

    steps: int = 32
    baseline: str = "mean-colour"
    cells: int = 14

    every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        need_whole("integrated-gradients", steps=self.steps, cells=self.cells)
        check_baseline(self.baseline, "integrated-gradients", FIXED)

    def maps(self, context: ForwardContext) -> Maps:
        try:
            from captum.attr import IntegratedGradients as Captum
        except ImportError:
            raise BadInput(
                "integrated-gradients needs captum: pip install 'gradcam-video"
                "[integrated-gradients]'"
            ) from None
        logits = context.logits(context.x.split(context.at_once))
        classes, axes = context.wanted_of_each(logits), pixel_axes(context.x, self.cells)
        base = all_removed(context.x, self.baseline)
        signed = []
        for x, b, own in zip(context.x.split(1), base.split(1), classes, strict=True):
            each = [
                Captum(context.forward).attribute(
                    x.detach().clone(),
                    b,
                    target=int(k),
                    n_steps=self.steps,
                    # A copy with its graph takes the memory of several without.
                    internal_batch_size=max(1, context.at_once // 4),
                )
                for k in own
            ]
            values = torch.cat(each).sum(dim=1).detach()  # (k, T, H, W)
            signed.append(pooled(values, axes, mean=False))
        return Maps(logits, at_least_float32(torch.stack(signed)), classes, axes)
