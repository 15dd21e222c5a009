"""Training: it learns, it can be killed, and what is drawn depends on the seed alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from gradcam_video.cli.parser import run as run_command
from gradcam_video.data import frame_cache
from gradcam_video.data.augment import Augment, cover, mirror, tinted
from gradcam_video.data.datasets import Item
from gradcam_video.data.frame_cache import Cache, cache
from gradcam_video.data.labels import (
    FORTY_NAMES,
    MIRRORED_FORTY,
    MIRRORED_TEMPLATES,
    OPPOSITE_FORTY,
    OPPOSITE_TEMPLATES,
    TEMPLATES,
)
from gradcam_video.errors import BadInput
from gradcam_video.models.checkpoints import SHIPPED_WEIGHTS, read_weights
from gradcam_video.models.registry import load_model
from gradcam_video.models.video_model import VideoModel
from gradcam_video.training import loop, run_dir
from gradcam_video.training.accuracy import evaluate, opposite_pairs, scores, wilson
from gradcam_video.training.batches import Parts, Stream
from gradcam_video.training.loop import fit
from gradcam_video.training.recipe import (
    Network,
    Recipe,
    build,
    cost,
    read_recipe,
    recipe_names,
    to_toml,
)
from gradcam_video.training.run_dir import Intervals, RunDirectory
from gradcam_video.training.step import averaged_model, make_optimiser

RIGHT, LEFT, HOLD = (
    "Moving [something] from left to right",
    "Moving [something] from right to left",
    "Holding [something]",
)
LABELS = (RIGHT, LEFT, HOLD)
PLAIN = Augment(flip=False, crop=(1, 1), brightness=0, contrast=0, saturation=0)
SIDE, FRAMES = 16, 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The networks are tiny: a second thread is mostly waited for."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Tiny(nn.Module):
    """Two convolutions: (N, 3, T, H, W) -> (N, 3)."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Conv3d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(8)
        self.second = nn.Conv3d(8, 16, 3, (1, 2, 2), padding=1)
        self.last = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.first(x)))  # (N, 8, T, H, W)
        x = self.last(self.second(x))  # (N, 16, T, H/2, W/2)
        return self.head(self.dropout(x.mean((2, 3, 4))))


def tiny(seed: int = 0, dropout: float = 0.0) -> VideoModel:
    torch.manual_seed(seed)
    net = Tiny(dropout)
    return VideoModel(net, LABELS, size=SIDE, frames=FRAMES, cam_layer="last", quiet=True)


def moving(count: int = 48, seed: int = 0, side: int = SIDE + 2) -> Cache:
    """Bright squares that go right, left or nowhere, from anywhere."""
    rng = np.random.default_rng(seed)
    made = rng.integers(60, 90, (count, FRAMES, side, side, 3), dtype=np.uint8)
    targets = np.arange(count) % 3
    for frames, target in zip(made, targets, strict=True):
        y, x = rng.integers(3, side - 4, 2)
        for t in range(FRAMES):
            at = int(np.clip(x + (t - 4, 4 - t, 0)[target], 0, side - 4))
            frames[t, y - 2 : y + 2, at : at + 4] = 230
    return Cache(made, targets, LABELS)


RUN = Recipe(steps=60, batch=12, accumulate=2, rate=5e-3, ema=0.9, sparse=0.1)


def weights(folder: Path) -> dict[str, Tensor]:
    return read_weights(folder / "model.safetensors")


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# --- it learns --------------------------------------------------------------------------------


@pytest.mark.slow
def test_learns_left_from_right(tmp_path: Path) -> None:
    model = tiny()
    recipe = Recipe(steps=120, batch=12, rate=5e-3, augment=Augment(crop=(0.9, 1)))
    log = fit(
        model, moving(), tmp_path, recipe, valid=moving(30, seed=1), intervals=Intervals(log=40)
    )
    losses = [row["loss"] for row in log if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert log[-1]["valid_top1"] > 0.9 and log[-1]["valid_n"] == 30
    result = evaluate(model, moving(60, seed=2))
    assert result["top1"] > 0.9 and result["opposite"]["mean"] > 0.9
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").open()] == log
    names = {"checkpoint.pt", "model.safetensors", "log.jsonl", "recipe.toml"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert not model.net.training
    assert same(weights(tmp_path), model.net.state_dict())


@pytest.mark.slow
def test_shuffled_frames_hide_the_direction(tmp_path: Path) -> None:
    model = tiny()
    recipe = Recipe(steps=120, batch=12, rate=5e-3, shuffle_frames=True, augment=PLAIN)
    fit(model, moving(), tmp_path, recipe)
    result = evaluate(model, moving(60, seed=2), shuffle_frames=True)
    assert result["opposite"]["mean"] < 0.75
    assert evaluate(model, moving(60, seed=2), shuffle_frames=True) == result


@pytest.mark.slow
def test_sparse_lowers_the_activations(tmp_path: Path) -> None:
    levels = []
    for name, sparse in (("with", 5.0), ("without", 0.0)):
        recipe = replace(RUN, steps=30, sparse=sparse)
        levels.append(fit(tiny(), moving(), tmp_path / name, recipe)[-1]["level"])
    assert levels[0] < 0.7 * levels[1]


@pytest.mark.slow
def test_norms_can_stay_frozen(tmp_path: Path) -> None:
    model = tiny()
    before = {key: t.clone() for key, t in model.net.state_dict().items()}
    fit(model, moving(), tmp_path, replace(RUN, steps=3, freeze_norms=True))
    after = model.net.state_dict()
    assert torch.equal(after["norm.running_mean"], before["norm.running_mean"])
    assert not torch.equal(after["norm.weight"], before["norm.weight"])


@pytest.mark.slow
def test_the_mean_of_the_weights_is_saved(tmp_path: Path) -> None:
    plain, mean = tiny(), tiny()
    fit(plain, moving(), tmp_path / "plain", replace(RUN, steps=5, ema=0.0))
    fit(mean, moving(), tmp_path / "mean", replace(RUN, steps=5, ema=0.9))
    state = torch.load(tmp_path / "mean" / "checkpoint.pt", weights_only=True)
    assert same(state["net"], plain.net.state_dict())
    averaged = {key.removeprefix("module."): t for key, t in state["averaged"].items()}
    assert averaged.pop("n_averaged") == 6  # the weights at the start count as one
    assert same(averaged, mean.net.state_dict())
    assert not same(averaged, state["net"])


@pytest.mark.slow
def test_the_network_is_kept_as_it_was_on_its_way(tmp_path: Path) -> None:
    model = tiny()
    fit(model, moving(), tmp_path, replace(RUN, steps=4), intervals=Intervals(keep=2))
    kept = [read_weights(tmp_path / f"step-00000{step}.safetensors") for step in (2, 4)]
    assert same(kept[1], weights(tmp_path))
    assert not same(kept[0], kept[1])


def test_the_mean_follows_by_its_decay() -> None:
    net = nn.BatchNorm1d(1)
    averaged = averaged_model(net, decay=0.75)
    expected = net.weight.item()
    for step in range(40):
        for tensor in net.state_dict().values():  # they share the net's memory
            tensor.fill_(step)
        averaged.update_parameters(net)
        decay = min(0.75, (step + 1) / (step + 10))  # 0.1 at first, 0.75 from step 26 on
        expected = decay * expected + (1 - decay) * step
        mean = averaged.module.state_dict()
        assert mean["weight"].item() == pytest.approx(expected)
        assert mean["num_batches_tracked"] == step  # a counter has no mean
    assert mean["running_mean"].item() == pytest.approx(expected, rel=1e-3)
    assert not averaged.module.training and not any(p.requires_grad for p in averaged.parameters())


def test_weight_decay_leaves_norms_and_biases_alone() -> None:
    net = Tiny()
    decayed, spared = make_optimiser(net, RUN).param_groups
    assert {id(p) for p in decayed["params"]} == {
        id(net.first.weight),
        id(net.second.weight),
        id(net.head.weight),
    }
    assert len(spared["params"]) == 4 and spared["weight_decay"] == 0


def test_rate_rises_in_a_line_and_falls_along_a_cosine() -> None:
    recipe = Recipe(steps=110, rate=2.0, warmup=0.0909, final_rate=0.1)
    rates = [recipe.rate_at(step, 110) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * k for k in range(1, 11)])
    assert rates[10] == 2.0 and rates[60] == pytest.approx(1.1)
    assert rates[-1] == pytest.approx(0.2, abs=0.01)
    assert all(a > b for a, b in pairwise(rates[10:]))


@pytest.mark.slow
def test_the_optimiser_moves_at_the_rate_and_within_the_clipped_gradient(tmp_path: Path) -> None:
    recipe = Recipe(
        steps=4, batch=6, optimiser="sgd", rate=0.5, clip_grad=1e-3, weight_decay=0, augment=PLAIN
    )
    model = tiny()
    log = fit(model, moving(), tmp_path / "long", recipe, intervals=Intervals(log=1))
    assert [row["rate"] for row in log] == [recipe.rate_at(step, 4) for step in range(4)]
    state = torch.load(tmp_path / "long" / "checkpoint.pt", weights_only=True)
    assert {group["lr"] for group in state["optimiser"]["param_groups"]} == {log[-1]["rate"]}

    model, start = tiny(), tiny()
    fit(model, moving(), tmp_path / "one", replace(recipe, steps=1, warmup=0))
    pairs = zip(model.net.parameters(), start.net.parameters(), strict=True)
    moved = sum(((now - before).detach() ** 2).sum() for now, before in pairs) ** 0.5
    # Nesterov's first step is (1 + 0.9) times the gradient, whose norm is clipped.
    assert float(moved) == pytest.approx(0.5 * 1.9e-3, rel=1e-3)


@pytest.mark.slow
def test_the_price_on_activation_rises_in_the_first_third() -> None:
    recipe = Recipe(steps=9, sparse=0.3)
    assert [recipe.sparse_at(step, 9) for step in range(9)] == pytest.approx([0.1, 0.2, *[0.3] * 7])


@pytest.mark.slow
def test_the_log_tells_what_the_network_said(tmp_path: Path) -> None:
    data, model = moving(side=SIDE), tiny()
    x = torch.from_numpy(data.frames).permute(0, 4, 1, 2, 3) / 255  # (48, 3, T, h, w)
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (model.mean, model.std))
    seen: list[Tensor] = []
    hook = model.net.get_submodule("last").register_forward_hook(lambda m, i, o: seen.append(o))
    logits, y = model.net.train()((x - mean) / std), torch.tensor(data.targets)
    hook.remove()
    error, level = nn.functional.cross_entropy(logits, y).item(), seen[0].mean().item()
    right = (logits.argmax(1) == y).float().mean().item()
    recipe = Recipe(steps=1, batch=48, sparse=2.0, augment=PLAIN)
    row = fit(tiny(), data, tmp_path, recipe)[-1]
    found = [row[name] for name in ("error", "level", "loss", "accuracy", "epoch")]
    assert found == pytest.approx([error, level, error + 2 * level, right, 1], rel=1e-4)


@pytest.mark.slow
def test_a_line_of_the_log_is_the_mean_since_the_last(tmp_path: Path) -> None:
    recipe = replace(RUN, steps=4)
    ones, twos = (
        fit(tiny(), moving(), tmp_path / str(every), recipe, intervals=Intervals(log=every))
        for every in (1, 2)
    )
    for name in ("loss", "error", "level", "accuracy"):
        means = [(ones[k][name] + ones[k + 1][name]) / 2 for k in (0, 2)]
        assert [row[name] for row in twos] == pytest.approx(means, rel=1e-5)


@pytest.mark.slow
def test_half_precision_ends_with_the_training(tmp_path: Path) -> None:
    model, fresh, x = tiny(), tiny(), torch.rand(2, 3, FRAMES, SIDE, SIDE)
    fit(model, moving(), tmp_path, replace(RUN, steps=2, precision="bf16"), cpu=True)
    fresh.net.load_state_dict(model.net.state_dict())
    fresh.net.to(memory_format=torch.channels_last_3d)
    assert torch.equal(model.net(x), fresh.net.eval()(x))


@pytest.mark.slow
def test_every_part_of_every_step_draws_its_own_dropout(tmp_path: Path) -> None:
    model, seeds = tiny(dropout=0.2), []
    model.net.register_forward_pre_hook(lambda m, i: seeds.append(torch.initial_seed()))
    fit(model, moving(), tmp_path, replace(RUN, steps=3, ema=0))
    assert len(seeds) == len(set(seeds)) == 6


@pytest.mark.slow
def test_dropout_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    a, b, c = tiny(), tiny(), tiny()
    for model, name, dropout in ((a, "a", 0.5), (b, "b", 0.5), (c, "c", 0.0)):
        fit(model, moving(), tmp_path / name, replace(RUN, steps=4, dropout=dropout))
    assert same(a.net.state_dict(), b.net.state_dict())
    assert not same(a.net.state_dict(), c.net.state_dict())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in a.net.modules())


@pytest.mark.slow
def test_the_callers_random_numbers_are_left_alone(tmp_path: Path) -> None:
    model = tiny()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(model, moving(), tmp_path, replace(RUN, steps=2))
    assert torch.equal(torch.rand(3), expected)


# --- it can be killed -------------------------------------------------------------------------


def _spawn(target: Any, *arguments: Any) -> Any:
    """A fresh process that need not import everything anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gradcam_video.training.loop", "accelerate"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


# Where a training is counted and killed: in this package, and where torch writes a file.
COUNTED = (str(Path(__file__).parents[1] / "gradcam_video"), torch.serialization.__file__)


def _train_on(folder: Path, events: int = 0) -> None:
    """Train, kill -9 at a given call or return of a function; without one write how many are."""
    torch.set_num_threads(1)
    counted = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal counted
        if frame.f_code.co_filename.startswith(COUNTED):
            counted += 1
            if counted == events:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    fit(tiny(dropout=0.2), moving(), folder, RUN, resume=True, intervals=Intervals(save=1))
    sys.setprofile(None)
    (folder / "events").write_text(str(counted))


@pytest.mark.slow
def test_killed_and_resumed_ends_with_the_same_bits(tmp_path: Path) -> None:
    """kill -9 at random places, also while a checkpoint is being written."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = _spawn(_train_on, whole)
    process.join()
    assert process.exitcode == 0

    every = int((whole / "events").read_text())
    rng, reached = random.Random(0), []
    for _ in range(4):
        process = _spawn(_train_on, broken, rng.randint(every // 10, every // 5))
        process.join()
        assert process.exitcode == -signal.SIGKILL
        reached.append(torch.load(broken / "checkpoint.pt", weights_only=True)["step"])
    assert reached == sorted(set(reached)) and 0 < reached[0] < reached[-1] < RUN.steps
    process = _spawn(_train_on, broken)
    process.join()
    assert process.exitcode == 0
    assert same(weights(whole), weights(broken))
    curves = [[json.loads(line) for line in (f / "log.jsonl").open()] for f in (whole, broken)]
    assert [r["loss"] for r in curves[0]] == [r["loss"] for r in curves[1]]


def _share(folder: Path, rank: int, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ["ACCELERATE_USE_CPU"] = "true"
    recipe, often = replace(RUN, steps=8, accumulate=6, freeze_norms=True), Intervals(log=1)
    for resume in (False, True):  # once more: all processes must see that nothing is left to do
        model, valid = tiny(dropout=0.2), moving(7, 1)
        fit(model, moving(), folder, recipe, valid=valid, intervals=often, resume=resume)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [_spawn(_share, tmp_path / "two", rank, port) for rank in (0, 1)]
    recipe = replace(RUN, steps=8, accumulate=6, freeze_norms=True)
    alone = fit(
        tiny(dropout=0.2),
        moving(),
        tmp_path / "one",
        recipe,
        valid=moving(7, 1),
        intervals=Intervals(log=1),
    )
    for process in processes:
        process.join(timeout=300)
        process.kill()
        assert process.exitcode == 0
    both = [json.loads(line) for line in (tmp_path / "two" / "log.jsonl").open()]
    assert [row["step"] for row in both] == [row["step"] for row in alone]
    for a, b in zip(alone, both, strict=True):
        for key in set(a) - {"seconds"}:
            assert b[key] == pytest.approx(a[key], rel=1e-5), key


@pytest.mark.slow
def test_an_interrupted_write_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(tiny(), moving(), tmp_path, replace(RUN, steps=2))
    old = (tmp_path / "checkpoint.pt").read_bytes()

    def torn(state: Any, file: Any) -> None:
        file.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_dir.torch, "save", torn)
    run = RunDirectory(tmp_path, {}, main=True)
    with pytest.raises(BadInput, match="No space left on device"):
        run.save(3, {})
    assert (tmp_path / "checkpoint.pt").read_bytes() == old
    assert not list(tmp_path.glob(".part*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    recipe = replace(RUN, steps=12)
    whole = tiny(dropout=0.2)
    unbroken = fit(whole, moving(), tmp_path / "whole", recipe, intervals=Intervals(log=3))
    train_step = loop.train_step

    def interrupted(state: Any, batches: Any, step: int) -> None:
        train_step(state, batches, step)
        if step == 4:
            os.kill(os.getpid(), number)

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(loop, "train_step", interrupted)
    broken = tiny(dropout=0.2)
    with pytest.raises(KeyboardInterrupt, match="saved after step 5 of 12"):
        fit(broken, moving(), tmp_path / "broken", recipe, intervals=Intervals(log=3))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in broken.net.modules())
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "loss": 0.1}\n{"step": 9, "lo')  # after the checkpoint, and torn
    resumed = tiny(seed=9, dropout=0.2)  # whatever it holds is replaced
    log = fit(
        resumed, moving(), tmp_path / "broken", recipe, resume=True, intervals=Intervals(log=3)
    )
    assert same(resumed.net.state_dict(), whole.net.state_dict())
    losses = [[(row["step"], row["loss"]) for row in rows] for rows in (log, unbroken)]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == [3, 6, 9, 12]


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """A process that a shell put into the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_not_wait(usual_ctrl_c: None) -> None:
    with pytest.raises(KeyboardInterrupt), loop.GracefulStop() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)  # the handler runs before this ends
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _train_until_interrupted(folder: Path) -> None:
    os.setsid()  # a process group of its own, as a command in a terminal has
    recipe, often = replace(RUN, steps=10_000, accumulate=6), Intervals(save=1)
    try:
        fit(tiny(), moving(), folder, recipe, intervals=often, workers=2)
    except KeyboardInterrupt as stopped:
        (folder / "said.txt").write_text(str(stopped))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "setsid"), reason="process groups are of Unix")
def test_ctrl_c_leaves_the_workers_to_the_training(tmp_path: Path) -> None:
    """It reaches them, too, and the step is finished all the same."""
    process = _spawn(_train_until_interrupted, tmp_path)
    while process.is_alive() and not (tmp_path / "checkpoint.pt").exists():
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    process.join()
    step = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"]
    assert (tmp_path / "said.txt").read_text() == f"stopped and saved after step {step} of 10000"


@pytest.mark.slow
def test_a_resumed_run_is_evaluated_at_its_end_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the last line of the log before it stopped was an evaluation."""
    recipe, valid, often = replace(RUN, steps=6), moving(6, 1), Intervals(log=3, evaluate=2)
    train_step = loop.train_step

    def interrupted(state: Any, batches: Any, step: int) -> None:
        train_step(state, batches, step)
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "train_step", interrupted)
        fit(tiny(), moving(), tmp_path, recipe, valid=valid, intervals=often)
    for _ in range(2):
        log = fit(tiny(), moving(), tmp_path, recipe, valid=valid, intervals=often, resume=True)
        assert [row["step"] for row in log if "valid_top1" in row] == [2, 4, 6]
        assert [row["step"] for row in log if "loss" in row] == [3, 6]


@pytest.mark.slow
def test_a_run_is_neither_overwritten_nor_mixed(tmp_path: Path) -> None:
    recipe = replace(RUN, steps=2)
    fit(tiny(), moving(), tmp_path, recipe)
    with pytest.raises(BadInput, match="has reached step 2; go on with --resume"):
        fit(tiny(), moving(), tmp_path, recipe)
    with pytest.raises(BadInput, match=r"another recipe \(rate = 0.005, now rate = 0.01\)"):
        fit(tiny(), moving(), tmp_path, replace(recipe, rate=0.01), resume=True)
    with pytest.raises(BadInput, match="another data set"):
        fit(tiny(), moving(24), tmp_path, recipe, resume=True)
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(BadInput, match="damaged"):
        fit(tiny(), moving(), tmp_path, recipe, resume=True)


@pytest.mark.slow
def test_tensorboard_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    fit(tiny(), moving(), tmp_path, replace(RUN, steps=2), tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.*"))


@pytest.mark.slow
def test_what_only_a_training_needs_waits_for_it() -> None:
    code = "import sys, gradcam_video.training.loop, gradcam_video.cli.train; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    late = {"accelerate", "tensorboard", "torch.utils.flop_counter", "torch._dynamo"}
    assert "gradcam_video.training.step" in said.stdout.split()
    assert not late & set(said.stdout.split())


@pytest.mark.parametrize("package", ["accelerate", "tqdm", "tensorboard"])
def test_a_missing_package_is_one_line(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadInput) as caught:
        fit(tiny(), moving(), tmp_path, replace(RUN, steps=2), tensorboard=True)
    line = f"training needs the package {package}: pip install 'gradcam-video[training]'"
    assert str(caught.value) == line


# --- what is drawn ----------------------------------------------------------------------------


def stream(augment: Augment, seed: int = 0, **changes: Any) -> Stream:
    recipe = Recipe(steps=1, seed=seed, augment=augment, **changes)
    shape = (FRAMES, SIDE, SIDE)
    return Stream(moving(), recipe, shape, list(moving().targets), mirror(LABELS))


@pytest.mark.slow
def test_every_epoch_sees_every_clip_once_in_another_order() -> None:
    clips = stream(PLAIN)
    first, second = ([clips.place(48 * e + k) for k in range(48)] for e in (0, 1))
    assert sorted(index for _, index in first) == list(range(48))
    assert {epoch for epoch, _ in second} == {1}
    assert [i for _, i in first] != [i for _, i in second]
    assert [i for _, i in first] != [stream(PLAIN, seed=1).place(k)[1] for k in range(48)]


def test_parts_are_the_same_whoever_works_them_off() -> None:
    recipe = Recipe(steps=9, batch=12, accumulate=4)
    alone = list(Parts.of(recipe).positions(0, 3))
    shared = [list(Parts.of(recipe, rank, 2).positions(0, 3)) for rank in (0, 1)]
    assert [part for pair in zip(*shared, strict=True) for part in pair] == alone
    assert [p for part in alone for p in part] == list(range(36))
    assert list(Parts.of(recipe).positions(2, 3)) == alone[8:]
    assert Parts.of(replace(recipe, accumulate=1), 0, 3).size == 4
    with pytest.raises(BadInput, match="multiple of 20"):
        Parts.of(recipe, 0, 5)


def test_a_change_depends_on_seed_epoch_and_clip_alone() -> None:
    augment = Augment(tempo=0.2, time_shift=2)
    clips = stream(augment)
    once = [clips[k] for k in (5, 60)]
    others = stream(augment)
    [others[k] for k in range(10)]  # draws of other clips in between
    for (a, y, i), (b, z, j) in zip(once, [others[k] for k in (5, 60)], strict=True):
        assert isinstance(a, Tensor) and isinstance(b, Tensor)
        assert torch.equal(a, b) and (y, i) == (z, j)
    # The same clip in the next epoch, and under another seed, looks otherwise.
    frames, _, index = clips[5]
    again = next(clips[48 + k] for k in range(48) if clips.place(48 + k)[1] == index)
    seeded = stream(augment, seed=1)
    other = next(seeded[k] for k in range(48) if seeded.place(k)[1] == index)
    assert not torch.equal(frames, again[0]) and not torch.equal(frames, other[0])  # ty: ignore[invalid-argument-type]


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path) -> None:
    a, b = tiny(), tiny()
    fit(a, moving(), tmp_path / "a", replace(RUN, steps=3))
    fit(b, moving(), tmp_path / "b", replace(RUN, steps=3), workers=1)
    assert same(a.net.state_dict(), b.net.state_dict())


def test_a_flip_exchanges_the_label() -> None:
    clips, data = stream(replace(PLAIN, flip=True)), moving()
    flips = 0
    for position in range(48):
        frames, target, index = clips[position]
        assert isinstance(frames, Tensor)
        original = cover(torch.from_numpy(data.frames[index]), (SIDE, SIDE))
        flipped = torch.equal(frames, original.flip(2))
        assert flipped or torch.equal(frames, original)
        flips += flipped
        expected = {0: 1, 1: 0, 2: 2}[data.targets[index]] if flipped else data.targets[index]
        assert target == expected
    assert 12 < flips < 36


@pytest.mark.parametrize(
    ("labels", "pairs"), [(FORTY_NAMES, MIRRORED_FORTY), (TEMPLATES, MIRRORED_TEMPLATES)]
)
def test_mirror_finds_the_pairs(labels: tuple[str, ...], pairs: tuple[Any, ...]) -> None:
    partners = mirror(labels)
    assert [(a, b) for a, b in enumerate(partners) if a < b] == sorted(pairs)
    assert [partners[b] for b in partners] == list(range(len(labels)))


def test_mirror_refuses_what_has_no_counterpart() -> None:
    with pytest.raises(BadInput, match=r"Swiping left.*flip = false"):
        mirror(["Swiping left", "Swiping down"])


def test_all_frames_of_a_clip_change_alike() -> None:
    still = np.random.default_rng(0).integers(0, 256, (1, 20, 24, 3), dtype=np.uint8)
    clip = torch.from_numpy(still.repeat(6, 0))
    augment = Augment(tempo=0.3, time_shift=2)
    for seed in range(5):
        frames, _ = augment(clip, (16, 16), np.random.default_rng(seed))
        assert frames.shape == (6, 16, 16, 3) and frames.dtype == torch.uint8
        assert (frames == frames[:1]).all()


def test_crops_reach_every_side_of_a_wide_clip() -> None:
    across = torch.arange(40, dtype=torch.uint8).view(1, 1, 40, 1).expand(2, 20, 40, 3) * 6
    augment = replace(PLAIN, crop=(0.5, 0.5))
    cuts = [augment(across, (10, 10), np.random.default_rng(s))[0] for s in range(60)]
    assert all(
        torch.equal(cut[0, 0, :, 0], across[0, 0, k : k + 10, 0])
        for cut in cuts
        for k in [int(cut[0, 0, 0, 0]) // 6]
    )  # a crop of half the side is not scaled here
    starts = {int(cut[0, 0, 0, 0]) // 6 for cut in cuts}
    assert min(starts) < 3 and max(starts) > 27


def test_tint_is_what_it_says() -> None:
    frames = torch.randint(0, 256, (2, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(tinted(frames, 1, 1, 1), frames)
    darker = tinted(frames, 0.5, 1, 1).int()
    assert (darker - (frames.float() * 0.5 + 0.5).int()).abs().max() <= 1
    grey = tinted(frames, 1, 1, 0).int()
    assert (grey.amax(-1) - grey.amin(-1)).max() <= 1
    flat = tinted(frames, 1, 0, 1).float()
    assert flat.std() < 1 and abs(flat.mean() - grey.float().mean()) < 1


def test_tempo_and_time_shift_move_frames_without_mixing_them() -> None:
    clip = torch.arange(9, dtype=torch.uint8).view(9, 1, 1, 1).expand(9, 4, 4, 3)
    draws = [
        Augment.__call__(replace(PLAIN, time_shift=3), clip, (4, 4), np.random.default_rng(s))
        for s in range(30)
    ]
    orders = [frames[:, 0, 0, 0].tolist() for frames, _ in draws]
    shifts = {order[4] - 4 for order in orders}
    assert shifts == {-3, -2, -1, 0, 1, 2, 3}
    assert all(order == [min(max(k + order[4] - 4, 0), 8) for k in range(9)] for order in orders)
    steps = set()
    for seed in range(10):
        paced, _ = replace(PLAIN, tempo=0.5)(clip, (4, 4), np.random.default_rng(seed))
        order = paced[:, 0, 0, 0].tolist()
        assert order == sorted(order) and order[4] == 4  # the middle stays
        steps.add(order[6] - order[2])
    assert min(steps) < 4 < max(steps)  # slower and faster


def test_shuffled_training_clips_keep_their_frames() -> None:
    frames, _, index = stream(PLAIN, shuffle_frames=True)[0]
    assert isinstance(frames, Tensor)
    original = cover(torch.from_numpy(moving().frames[index]), (SIDE, SIDE))
    order = [next(t for t in range(FRAMES) if torch.equal(original[t], f)) for f in frames]
    assert sorted(order) == list(range(FRAMES)) and order != sorted(order)


# --- the cache --------------------------------------------------------------------------------


class Folder:
    """A data set as the one on disk: clips of any size, some of which cannot be read."""

    labels = LABELS

    def __init__(self, bad: tuple[int, ...] = (), size: tuple[int, int] = (24, 36)) -> None:
        rng = np.random.default_rng(3)
        self.frames = rng.integers(0, 256, (6, FRAMES, *size, 3), dtype=np.uint8)
        self.ids = [f"clip{k}" for k in range(6)]
        self.targets = [0, 1, 2, 0, 1, 2]
        self.bad, self.failures = bad, dict[str, str]()

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Item | None:
        if index in self.bad:
            self.failures[self.ids[index]] = f"{self.ids[index]}.webm: cut off"
            return None
        return Item(self.frames[index], self.targets[index], self.ids[index])


def test_cache_keeps_what_the_model_would_see(tmp_path: Path) -> None:
    model, data = tiny(), Folder()
    kept = cache(data, tmp_path / "kept", SIDE)
    assert kept.frames.shape == (6, FRAMES, SIDE, SIDE, 3) and isinstance(kept.frames, np.memmap)
    assert kept.ids == data.ids and kept.targets == data.targets
    a, b = evaluate(model, data), evaluate(model, kept)
    assert a == b
    wide = cache(data, tmp_path / "wide", SIDE, width=24)
    assert wide.frames.shape == (6, FRAMES, SIDE, 24, 3)
    assert np.array_equal(wide.frames[:, :, :, 4:20], kept.frames)


def test_cache_is_made_once_and_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache(Folder(), tmp_path / "kept", SIDE)
    monkeypatch.setattr(frame_cache, "_cut", None)  # it would be called to decode
    again = cache(Folder(), tmp_path / "kept", SIDE)
    assert len(again) == 6
    with pytest.raises(BadInput, match="another size"):
        cache(Folder(), tmp_path / "kept", SIDE + 1)


def test_cache_names_what_cannot_be_read(tmp_path: Path) -> None:
    kept = cache(Folder(bad=(0, 4)), tmp_path / "kept", SIDE)
    assert kept.failures == {k: f"{k}.webm: cut off" for k in ("clip0", "clip4")}
    assert kept[0] is None and kept[4] is None
    whole = cache(Folder(), tmp_path / "whole", SIDE)
    for index in (1, 2, 3, 5):
        assert np.array_equal(kept.frames[index], whole.frames[index])
    with pytest.raises(BadInput, match=r"read: clip0\.webm: cut off"):
        cache(Folder(bad=tuple(range(6))), tmp_path / "none", SIDE)
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "whole"}


def test_cache_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frame_cache, "_write", full)
    with pytest.raises(BadInput, match="No space left"):
        cache(Folder(), tmp_path / "kept", SIDE)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInput, match="no cache"):
        Cache.open(tmp_path)


# --- clips that cannot be read ----------------------------------------------------------------


@pytest.mark.slow
def test_unreadable_clips_are_named_and_left_out(tmp_path: Path) -> None:
    data = Folder(bad=(1, 2, 3, 4, 5))
    recipe = Recipe(steps=4, batch=6, accumulate=6, augment=PLAIN)
    log = fit(tiny(), data, tmp_path / "run", recipe, intervals=Intervals(log=1))
    assert sorted(data.failures) == [f"clip{k}" for k in range(1, 6)]
    assert all(np.isfinite(row["loss"]) for row in log)
    result = evaluate(tiny(), Folder(bad=(2,)))
    assert result["failures"] == {"clip2": "clip2.webm: cut off"} and result["n"] == 5
    with pytest.raises(BadInput, match="no clip could be read: clip0"):
        evaluate(tiny(), Folder(bad=tuple(range(6))))


@pytest.mark.slow
def test_an_unreadable_clip_counts_nothing(tmp_path: Path) -> None:
    """The batch of one readable clip and five others gives a sixth of that clip's gradient."""
    recipe = Recipe(
        steps=1, batch=6, optimiser="sgd", clip_grad=0, warmup=0, weight_decay=0, augment=PLAIN
    )
    recipe = replace(recipe, sparse=1.0, freeze_norms=True)
    names = ("head.bias", "second.bias")  # the second feels how active its layer is, too
    start = {name: tiny().net.state_dict()[name].clone() for name in names}
    moves = []
    for name, data, some in (
        ("holes", Folder(bad=(1, 2, 3, 4, 5)), recipe),
        ("alone", Cache(Folder().frames[:1], [0], LABELS), replace(recipe, batch=1)),
    ):
        model = tiny()
        fit(model, data, tmp_path / name, some)
        moves.append({name: model.net.state_dict()[name] - start[name] for name in names})
    for name in names:
        assert torch.allclose(6 * moves[0][name], moves[1][name], rtol=1e-3, atol=1e-7), name


# --- evaluation -------------------------------------------------------------------------------


def test_scores_of_known_logits() -> None:
    labels = (*LABELS, *(f"class {k}" for k in range(4)))
    logits = np.zeros((5, 7))
    logits[0, 0] = 2  # right
    logits[1, 1], logits[1, 2] = 1, 3  # wrong, but rightly left and not right
    logits[2, 0], logits[2, 1] = 3, 1  # wrong: right for left
    logits[3, 2] = 1  # right
    logits[4] = [7, 6, 0, 5, 4, 3, 2]  # the true class comes last
    result = scores(logits, np.array([0, 1, 1, 2, 2]), labels)
    assert result["top1"] == pytest.approx(0.4) and result["top5"] == pytest.approx(0.8)
    assert result["n"] == 5
    assert result["per_class"][LEFT] == {"n": 2, "top1": 0.0}
    assert result["per_class"][HOLD] == {"n": 2, "top1": 0.5}
    assert result["per_class"]["class 0"] == {"n": 0, "top1": None}
    confusion = np.array(result["confusion"])
    assert confusion[1].tolist() == [1, 0, 1, 0, 0, 0, 0] and confusion.sum() == 5
    pair = result["opposite"]["pairs"][0]
    assert (pair["labels"], pair["n"], pair["right"]) == ([RIGHT, LEFT], 3, 2)
    assert result["opposite"]["mean"] == pytest.approx(2 / 3)
    json.dumps(result)


def test_opposite_pairs_are_those_of_the_labels() -> None:
    assert sorted(opposite_pairs(FORTY_NAMES)) == sorted(OPPOSITE_FORTY)
    assert set(OPPOSITE_TEMPLATES) <= set(opposite_pairs(TEMPLATES))
    assert opposite_pairs(["a", "b"]) == []


def test_wilson() -> None:
    for hits, n in ((0, 10), (3, 7), (199, 200), (1026, 2000)):
        oracle = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits, n) == pytest.approx((oracle.low, oracle.high), abs=1e-6)
    assert wilson(85, 100) == pytest.approx((0.7672, 0.9069), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_labels_may_come_in_another_order() -> None:
    data = moving(9)
    turned = Cache(data.frames, [2 - t for t in data.targets], LABELS[::-1])
    assert evaluate(tiny(), turned) == evaluate(tiny(), data)
    with pytest.raises(BadInput, match="'Juggling', which the model does not know"):
        evaluate(tiny(), Cache(data.frames, data.targets, (*LABELS, "Juggling")))


# --- recipes ----------------------------------------------------------------------------------


def test_recipes_survive_the_file(tmp_path: Path) -> None:
    recipe = replace(RUN, augment=Augment(crop=(0.5, 0.75), tempo=0.1), rate=1e-5)
    network = Network(name="mobilenet_v3_small", weights="none")
    path = tmp_path / "mine.toml"
    path.write_text(to_toml(recipe, network))
    assert read_recipe(path) == (network, recipe)
    assert "something_forty_resnet50" in recipe_names()
    for name in recipe_names():
        read_recipe(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training]\nsteps = 1\nbacth = 3", "unknown key 'bacth'; did you mean 'batch'"),
        ("[training]\nsteps = 1.5", "steps = 1.5: must be a whole number"),
        ("[training]\nsteps = true", "steps = true: must be a whole number"),
        ("[training]\nbatch = 4", "epochs or steps"),
        ("[training]\nsteps = 1\nbatch = 5\naccumulate = 2", "cannot be cut into 2"),
        ("[training]\nsteps = 1\noptimiser = 'adam'", "use adamw, sgd"),
        ("[training]\nsteps = 1\nrate = nan", "rate = NaN: must be a number"),
        ("[augment]\ncrop = [0.5]", "two numbers"),
        ("[augment]\ncrop = [0.9, 0.5]", "two shares"),
        ("[trainning]\n", "'trainning'"),
        ("steps = ", "not a readable recipe"),
    ],
)
def test_a_bad_recipe_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_recipe(path)
    assert message in str(caught.value) and "bad.toml" in str(caught.value)


def test_build_from_a_checkpoint() -> None:
    file = str(SHIPPED_WEIGHTS / "tabletop.safetensors")
    kept, architecture = build(Network(name=file), FORTY_NAMES)
    assert architecture == {"name": "tabletop", "temporal_kernel": 3}
    state, written = kept.net.state_dict(), read_weights(Path(file))
    assert same({key: state[key] for key in written}, written)
    assert all(p.requires_grad for p in kept.net.parameters())
    fresh, _ = build(Network(name="tabletop", weights="none"), FORTY_NAMES)
    again, _ = build(Network(name="tabletop", weights="none"), FORTY_NAMES)
    assert same(fresh.net.state_dict(), again.net.state_dict())
    assert not same(fresh.net.state_dict(), kept.net.state_dict())
    seven, _ = build(Network(name="tabletop"), FORTY_NAMES[:7])
    assert seven.net.get_submodule("head").weight.shape[0] == 7  # the rest is kept
    stems = [model.net.get_submodule("stem").state_dict() for model in (seven, kept)]
    assert same(*stems)
    with pytest.raises(BadInput, match=r"other\.pth: no such weights file"):
        build(Network(name="tabletop", weights="other.pth"), FORTY_NAMES)


@pytest.mark.slow
def test_build_gives_an_image_network_a_fresh_last_layer() -> None:
    network = Network(name="mobilenet_v3_small", weights="none", size=32, frames=4)
    model, architecture = build(network, LABELS)
    assert model.labels == LABELS and model.size == (32, 32) and model.resize == 32
    assert architecture["name"] == "mobilenet_v3_small" and architecture["weights"] == "mean"
    assert model.net(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 3)


@pytest.mark.slow
def test_the_real_runs_cost() -> None:
    network, recipe = read_recipe("something_forty_resnet50")
    model, _ = build(replace(network, weights="none"), FORTY_NAMES)
    bill = cost(model, 42_614, 100)
    assert bill["gmac"] == pytest.approx(128.36, abs=0.01)  # IBM's table says 128.36
    assert bill["tflop"] == pytest.approx(3 * 2 * 128.36e-3, rel=0.02)
    assert bill["minutes"] == pytest.approx(bill["tflop"] * 42_614 / 100 / 60)
    assert bill["gib"] == pytest.approx(1.28, abs=0.02)
    assert recipe.total(42_614) == 33_293


def test_cost_of_a_known_network() -> None:
    bill = cost(tiny(), 10, 1)
    first = 3 * 8 * 27 * FRAMES * SIDE**2
    second = 8 * 16 * 27 * FRAMES * (SIDE // 2) ** 2
    head = 16 * 3
    assert bill["gmac"] * 1e9 == pytest.approx(first + second + head)
    # The gradient of the input is not needed, so the first layer goes twice, the others thrice.
    assert bill["tflop"] * 1e12 == pytest.approx(2 * (2 * first + 3 * (second + head)))
    # For the way back: the clip, the first layer's output and what ReLU makes of it, two numbers of
    # each of its channels for the norm, the second layer after ReLU, and its mean for the head.
    cells = FRAMES * SIDE**2
    kept = 3 * cells + 2 * 8 * cells + 2 * 8 + 16 * cells // 4 + 16
    assert bill["gib"] * 2**30 == 4 * kept


@pytest.mark.slow
def test_diverging_is_one_line(tmp_path: Path) -> None:
    recipe = replace(RUN, steps=20, rate=1e30, clip_grad=0, warmup=0, ema=0)
    with pytest.raises(BadInput, match="lower the rate"):
        fit(tiny(), moving(), tmp_path, recipe, intervals=Intervals(log=1))


@pytest.mark.slow
def test_clips_of_two_lengths_are_one_line(tmp_path: Path) -> None:
    data = Folder()
    data.__class__ = type(
        "Odd",
        (Folder,),
        {
            "__getitem__": lambda self, i: Item(
                self.frames[i][: FRAMES - i % 2], self.targets[i], self.ids[i]
            )
        },
    )
    with pytest.raises(BadInput, match="clips of 7 and of 8 frames"):
        fit(tiny(), data, tmp_path, Recipe(steps=1, batch=6, augment=PLAIN))


# --- the commands -----------------------------------------------------------------------------


def command(*words: str) -> int:
    return run_command(words)


@pytest.fixture
def something(tmp_path: Path) -> Path:
    """A V1 set of six clips, jpgs of 24×32."""
    root = tmp_path / "v1"
    rng = np.random.default_rng(0)
    names = [name.replace("[", "").replace("]", "") for name in TEMPLATES]
    root.mkdir()
    prefix = "something-something-v1"
    (root / f"{prefix}-labels.csv").write_text("\n".join(names))
    picked = ["Opening something", "Closing something", "Moving something down"]
    for split, first in (("train", 1), ("validation", 10)):
        ids = range(first, first + 9)
        rows = [f"{k};{picked[k % 3]}" for k in ids]
        (root / f"{prefix}-{split}.csv").write_text("\n".join(rows))
        for k in ids:
            folder = root / f"20bn-{prefix}" / str(k)
            folder.mkdir(parents=True)
            for t in range(1, 14):
                picture = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
                Image.fromarray(picture).save(folder / f"{t:05}.jpg")
    return root


@pytest.mark.slow
def test_train_and_evaluate_commands(
    something: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mini.toml"
    recipe.write_text(
        "[network]\nname = 'mobilenet_v3_small'\nweights = 'none'\nwhich = 'spatial'\nsize = 16\n"
        "frames = 4\n[training]\nepochs = 9\nbatch = 3\n"
    )
    out = tmp_path / "run"
    words = ["train", "--data", str(something), "--out", str(out), "--recipe", str(recipe)]
    words += ["--steps", "2", "--cpu", "--cache", str(tmp_path / "cache")]
    assert command(*words) == 0
    said = capsys.readouterr()
    assert said.out.startswith(str(out / "model.safetensors"))
    assert "9 clips" in said.err
    network, recipe_used = read_recipe(out / "recipe.toml")
    assert (network.name, recipe_used.steps) == ("mobilenet_v3_small", 2)
    with pytest.raises(BadInput, match="--resume"):
        command(*words)
    assert command(*words, "--resume") == 0

    model = load_model(out / "model.safetensors")
    assert model.labels == FORTY_NAMES and model.size == (16, 16) and model.frames == 4
    capsys.readouterr()
    words = ["evaluate", "--data", str(something), "--model", str(out / "model.safetensors")]
    assert command(*words, "--json") == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["split"] == "test" and 0 < result["n"] < 9
    assert 0 <= result["top1"] <= result["top5"] <= 1 and result["failures"] == {}
    assert command(*words, "--split", "train") == 0
    said = capsys.readouterr()
    assert "9 clips" in said.out and "Opening [something]" in said.out


def test_evaluate_reports_a_damaged_clip(
    something: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    (something / "20bn-something-something-v1" / "3" / "00001.jpg").write_bytes(b"no picture")
    from gradcam_video.data.datasets import SomethingSomething

    data = SomethingSomething(something, "train", frames=FRAMES)
    net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    net.append(nn.Linear(4, 40))
    model = VideoModel(net, FORTY_NAMES, size=SIDE, frames=FRAMES, cam_layer="1", quiet=True)
    result = evaluate(model, data, workers=1)
    assert list(result["failures"]) == ["3"] and "00001.jpg" in result["failures"]["3"]
    assert result["n"] == 8


@pytest.mark.slow
def test_estimate_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("train", "--recipe", "something_forty_resnet50", "--estimate") == 0
    out = capsys.readouterr().out
    assert "128.4 GMAC" in out and "5.4 minutes at 100 TFLOP/s" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--recipe", "nonsense"], "no recipe 'nonsense'"),
        (["--out", "x"], "--data is missing"),
        (["--steps", "1", "--epochs", "2"], "give one of them"),
        (["--batch", "0"], "batch = 0"),
        (["--estimate", "--tflops", "0"], "--tflops"),
        (["--data", "no/such/folder", "--out", "x"], "no/such/folder"),
    ],
)
def test_bad_words_are_one_line(words: list[str], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        command("train", *words)
    assert message in str(caught.value)
