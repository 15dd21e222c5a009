"""Several threads with one network: each gets its own maps, the same as one after another.

The kind: a hook on a shared module fires in another thread's forward (18 of 20 maps were another
clip's); evaluation mode is put back while another thread still runs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gradcam_video as gv

T, S, K = 4, 16, 3
FEW = {
    "rise": {"masks": 4},
    "temporal-mask": {"steps": 2},
    "integrated-gradients": {"steps": 2},
}


def clip_of(seed: int) -> gv.Clip:
    pixels = np.random.default_rng(seed).integers(0, 256, (T, S, S, 3), dtype=np.uint8)
    return gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), f"clip {seed}")


def mean_linear() -> nn.Module:
    layers = [nn.Conv3d(3, 6, 3, 2, 1), nn.BatchNorm3d(6), nn.ReLU(), nn.AdaptiveAvgPool3d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6, K))


def two_layers() -> nn.Module:
    return nn.Sequential(*mean_linear()[:5], nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, K))


class Functional(nn.Module):
    """Its sum is no module, it ends in a softmax, and it switches gradients off."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv3d(3, 6, 3, 2, 1), nn.Conv3d(6, 6, 3, 1, 1)
        self.fc = nn.Linear(6, K)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            x = F.relu(self.a(x))
            x = x + self.b(x)
        return self.fc(x.mean((2, 3, 4)).tanh()).softmax(1)


NETS: dict[str, Callable[[], nn.Module]] = {
    "mean, linear": mean_linear,
    "two layers": two_layers,
    "functions": Functional,
}
CALLS = int(os.environ.get("THREAD_CALLS", "100"))  # of each method; 1000 for Grad-CAM anyway
CLIPS = [clip_of(seed) for seed in range(6)]


def model_of(build: Callable[[], nn.Module], seed: int = 0) -> gv.VideoModel:
    torch.manual_seed(seed)
    # In training mode: every call switches to evaluation and back.
    return gv.VideoModel(build().train(), list("abc"), size=S, frames=T, quiet=True)


def differing(
    models: list[gv.VideoModel], threads: int, calls: int, method: str = "gradcam"
) -> list[str]:
    """Calls from several threads whose maps are not those of the same calls one after another."""
    options = FEW.get(method, {})
    pairs = [(m, c) for m in range(len(models)) for c in range(len(CLIPS))]
    alone = {(m, c): gv.explain(models[m], CLIPS[c], method=method, **options) for m, c in pairs}
    together = threading.Barrier(threads)

    def work(thread: int) -> list[str]:
        together.wait()
        wrong = []
        for k in range(calls // threads):
            m, c = pairs[(thread * 5 + k) % len(pairs)]
            e = gv.explain(models[m], CLIPS[c], method=method, **options)
            same = np.allclose(e.signed, alone[m, c].signed, atol=1e-6)
            if not (same and np.allclose(e.logits, alone[m, c].logits, atol=1e-6)):
                wrong.append(f"thread {thread}, call {k}")
        return wrong

    with ThreadPoolExecutor(threads) as pool:
        return [said for found in pool.map(work, range(threads)) for said in found]


@pytest.mark.parametrize("threads", [2, 4, 8])
@pytest.mark.parametrize("name", NETS)
def test_threads_see_their_own_forward(name: str, threads: int) -> None:
    model = model_of(NETS[name])
    assert not differing([model], threads, 8 * threads)
    assert all(module.training for module in model.net.modules())


@pytest.mark.parametrize("method", gv.METHODS)
def test_every_method_in_four_threads(method: str) -> None:
    assert not differing([model_of(mean_linear)], 4, 24, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", gv.METHODS)
@pytest.mark.parametrize("several", [False, True], ids=["one model", "two models"])
def test_a_thousand_calls(several: bool, method: str) -> None:
    models = [model_of(mean_linear)] + several * [model_of(mean_linear, seed=1)]
    assert not differing(models, 4, 1000 if method == "gradcam" else CALLS, method)
    if method not in ("cam", "guided-gradient", "deconvolution"):  # they want another network
        assert not differing([model_of(Functional)], 4, 40, method)


def test_a_first_call_in_several_threads_at_once() -> None:
    """The trial forward of one thread leaves the network to the others as it is."""
    for attempt in range(5):
        model = model_of(two_layers, seed=attempt)
        expected = [gv.explain(model_of(two_layers, seed=attempt), c).signed for c in CLIPS]
        model._traces.clear()
        together = threading.Barrier(len(CLIPS))

        def first(i: int, model: gv.VideoModel = model, wait=together.wait) -> np.ndarray:
            wait()
            return gv.explain(model, CLIPS[i]).signed

        with ThreadPoolExecutor(len(CLIPS)) as pool:
            for found, right in zip(pool.map(first, range(len(CLIPS))), expected, strict=True):
                np.testing.assert_allclose(found, right, atol=1e-6)


def test_another_threads_own_use_of_the_network_is_not_disturbed() -> None:
    model = model_of(two_layers)
    net = model.net.eval()
    x = torch.rand(1, 3, T, S, S)
    with torch.no_grad():
        expected = net(x)
    stop, wrong = threading.Event(), []

    def use() -> None:
        while not stop.is_set():
            y = net(x)
            if not torch.allclose(y, expected, atol=1e-6) or not y.requires_grad:
                wrong.append(y)

    thread = threading.Thread(target=use)
    thread.start()
    for method in ("gradcam", "scorecam", "ablationcam", "guided-gradient"):
        for clip in CLIPS[:3]:
            gv.explain(model, clip, method=method)
    stop.set()
    thread.join()
    assert not wrong
