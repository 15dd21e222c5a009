"""Building a network changes nothing for others: torch.nn, its generators, other threads.

Public reports: pytorch/pytorch #112775, argonne-lcf/ChemGraph #110 ("module is not installed as a
submodule"): while `torch.fx` traces, `nn.Module.__call__` of the whole process is another one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.models import huggingface as hub
from gradcam_video.models import torchvision_nets
from gradcam_video.models.construction import building, global_draws
from gradcam_video.models.fx_rewrite import _Tracer
from gradcam_video.models.registry import load_model


class Own(nn.Module):
    """A network of somebody else, in another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu()) * self.second.weight.sum()


def at_once(jobs: list[Callable[[], None]]) -> None:
    """Run all jobs in threads of their own; the first error is raised."""
    errors: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


BUILT: dict[str, str | None] = {"tabletop": "default", "resnet18": None, "r3d_18": None}


@pytest.mark.slow
def test_eight_threads_build_and_two_others_work_on() -> None:
    call, get = nn.Module.__call__, nn.Module.__getattr__
    own, x, clip = Own(), torch.randn(5, 4), torch.randn(1, 3, 4, 64, 64)
    with torch.no_grad():
        right = own(x)
    alone = {name: load_model(name, weights) for name, weights in BUILT.items()}
    answers: dict[tuple[str, int], Tensor] = {}
    done = threading.Event()

    def build(name: str, k: int) -> None:
        model = load_model(name, BUILT[name])
        with torch.no_grad():
            answers[name, k] = model.forward(clip)

    def work() -> None:
        while not done.wait(0.001):
            with torch.no_grad():
                assert torch.equal(own(x), right)

    failed: list[BaseException] = []

    def watched() -> None:
        try:
            at_once([work, work])
        except BaseException as error:
            failed.append(error)

    workers = threading.Thread(target=watched)
    workers.start()
    names = [*BUILT] * 3
    try:
        at_once([lambda n=n, k=k: build(n, k) for k, n in enumerate(names[:8])])
    finally:
        done.set()
        workers.join()
    assert not failed
    assert nn.Module.__call__ is call and nn.Module.__getattr__ is get
    assert len(answers) == 8
    for (name, _), answer in answers.items():  # the random ones are drawn from the same state
        with torch.no_grad():
            expected = alone[name].forward(clip)
        torch.testing.assert_close(answer, expected)


def test_another_threads_calls_pass_through_a_tracer() -> None:
    """A tracer that stands still in the middle of its work; the other thread's network runs."""
    call, own, x = nn.Module.__call__, Own(), torch.randn(5, 4)
    with torch.no_grad():
        right = own(x)
    inside, go_on = threading.Event(), threading.Event()

    class Waits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.part(x)
            inside.set()
            assert go_on.wait(20)
            return self.part(x) + self.part.weight

    graphs = []
    tracing = threading.Thread(target=lambda: graphs.append(_Tracer().trace(Waits())))
    tracing.start()
    assert inside.wait(20)
    try:
        assert nn.Module.__call__ is not call  # of the whole process
        with torch.no_grad():
            assert torch.equal(own(x), right)
    finally:
        go_on.set()
        tracing.join()
    ops = [node.op for node in graphs[0].nodes]
    assert ops == [
        "placeholder",
        "call_module",
        "call_module",
        "get_attr",
        "call_function",
        "output",
    ]


STATES: dict[str, Callable[[Path], object]] = {
    "shipped": lambda _: load_model("tabletop"),
    "shipped, random": lambda _: load_model("tabletop", None),
    "inflated": lambda _: load_model("squeezenet1_1", None),
    "inflated, truncated normal": lambda _: load_model("mnasnet0_5", None),
    "video": lambda _: load_model("r3d_18", None),
    "video, tokens": lambda _: torchvision_nets.build_video("swin3d_t", 5),
    "c3d": lambda _: torchvision_nets.build_video("i3d", 5),
    "a file": lambda folder: load_model("squeezenet1_1", saved(folder)),
    "hub": lambda _: hub.untrained_network("videomae-ssv2", 3, **TINY),
}
TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 32,
    "patch_size": 8,
    "num_frames": 8,
}


def saved(folder: Path) -> Path:
    """A file of weights for squeezenet1_1, drawn from a generator of its own."""
    with building():
        net = torchvision_nets.build_image_network("squeezenet1_1", 7)
    torch.save(net.state_dict(), folder / "w.pth")
    return folder / "w.pth"


@pytest.mark.slow
@pytest.mark.parametrize("kind", STATES)
def test_the_generator_stays_where_it_was(kind: str, tmp_path: Path) -> None:
    if kind == "hub":
        pytest.importorskip("transformers", reason="the extra hf is not installed")
    before = torch.get_rng_state()
    STATES[kind](tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
def test_a_folder_of_the_hub_leaves_the_generator(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    hub.untrained_network("videomae-ssv2", 3, **TINY).net.save_pretrained(tmp_path)
    transformers.VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(
        tmp_path
    )
    before = torch.get_rng_state()
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_folders_of_the_hub_in_four_threads(dtype: torch.dtype, tmp_path: Path) -> None:
    """`transformers` replaces torch.nn.init, torch.linspace and the default type meanwhile."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    net = hub.untrained_network("videomae-ssv2", 3, **TINY).net.to(dtype)
    net.save_pretrained(tmp_path)
    transformers.VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(
        tmp_path
    )
    whole = {**vars(nn.init), "linspace": torch.linspace, "tie": type(net).tie_weights}
    x = torch.randn(1, 3, 8, 32, 32)
    answers: list[Tensor] = []
    types: set[torch.dtype] = set()
    done = threading.Event()

    def load() -> None:
        with torch.no_grad():
            answers.append(load_model(tmp_path).forward(x))

    def watch() -> None:
        while not done.wait(0.0005):
            types.add(torch.ones(1).dtype)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        at_once([load] * 4)
    finally:
        done.set()
        watching.join()
    now = {**vars(nn.init), "linspace": torch.linspace, "tie": type(net).tie_weights}
    assert now == whole and types == {torch.float32} == {torch.get_default_dtype()}
    with torch.no_grad():
        right = net.float()(x.transpose(1, 2)).logits
    assert len(answers) == 4
    for answer in answers:
        torch.testing.assert_close(answer, right)


def weight_of(model: gv.VideoModel) -> Tensor:
    return next(iter(model.net.parameters())).detach()


def test_random_weights_are_those_of_the_seed() -> None:
    """The very ones that plain PyTorch draws after the same seed."""
    drawn = {}
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        again = weight_of(load_model("tabletop", None, fast=False))
        assert torch.equal(again, drawn.setdefault(seed, again))
    assert not torch.equal(drawn[0], drawn[1])
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with global_draws():
        plain = load_model("tabletop", None, fast=False)
    assert torch.equal(weight_of(plain), drawn[0])
    assert not torch.equal(torch.get_rng_state(), before)  # as plain PyTorch does


def test_every_kind_of_draw_is_a_copys() -> None:
    """And gives the numbers that the global generator would have given."""
    draws: list[Callable[[], Tensor]] = [
        lambda: torch.rand(3),
        lambda: torch.randn(3),
        lambda: torch.randint(9, (3,)),
        lambda: torch.randperm(5),
        lambda: torch.normal(0.0, 1.0, (3,)),
        lambda: torch.bernoulli(torch.full((9,), 0.5)),
        lambda: torch.multinomial(torch.ones(5), 2),
        lambda: torch.empty(3).uniform_(),
        lambda: torch.empty(3).normal_(),
        lambda: torch.empty(3).exponential_(),
        lambda: torch.empty(3).random_(9),
        lambda: nn.init.trunc_normal_(torch.empty(3)),
        lambda: nn.init.kaiming_uniform_(torch.empty(3, 3)),
        lambda: nn.init.orthogonal_(torch.empty(3, 3)),
        lambda: nn.init.xavier_normal_(torch.empty(3, 3)),
        lambda: nn.Linear(2, 3).weight,
        lambda: nn.LSTM(2, 3).weight_ih_l0,
        lambda: nn.MultiheadAttention(4, 2).in_proj_weight,
    ]
    for draw in draws:
        before = torch.get_rng_state()
        with building():
            made = draw()
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(made, draw())
        assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpus_generator_stays_as_well() -> None:
    before = torch.cuda.get_rng_state()
    with building(), torch.device("cuda"):
        made = nn.Linear(2, 3).weight
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with torch.device("cuda"):
        assert torch.equal(nn.Linear(2, 3).weight, made)
