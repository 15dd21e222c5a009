"""Training and evaluation: one loop, on one CPU or many GPUs, that can be killed and go on.

`fit` reads from top to bottom: a stream of clips, a network, an optimiser, a step, a checkpoint.
Hugging Face Accelerate does what differs between machines (devices, half precision, several
processes); the loop does the rest. Nothing depends on hidden state: order, augmentation and
dropout are drawn from (seed, epoch, clip) or (seed, step), so a run that is killed and resumed
ends, on the same CPU, with the same bits.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import signal
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..data.augment import mirror
from ..data.datasets import Clips, targets_in, why_not
from ..errors import BadInput
from ..models.checkpoints import save_model
from ..models.video_model import VideoModel
from .accuracy import evaluate_share
from .recipe import Network, Recipe, last_linear, to_toml
from .run_dir import Run

ORDER, CLIP, STEP = 1, 2, 3  # what a random number is drawn for
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
IGNORED = -100  # cross_entropy's own word for a target that does not count


# --- the clips, in an order that only the seed decides ----------------------------------------


class Stream(Dataset):
    """All training clips one after the other, epoch after epoch, each changed at random.

    Position p is clip number p mod N of epoch p div N. What comes there depends on the seed and
    the position alone, so any process can fetch any part of the stream, and a resumed run begins
    in its middle.
    """

    def __init__(
        self,
        data: Clips,
        size: tuple[int, int],
        recipe: Recipe,
        targets: Sequence[int],
        mirrored: Sequence[int] | None,
    ) -> None:
        self.data, self.size, self.recipe = data, size, recipe
        self.targets, self.mirrored = targets, mirrored

    def place(self, position: int) -> tuple[int, int]:
        """Epoch and index into the data set."""
        epoch, place = divmod(position, len(self.data))
        return epoch, int(_order(self.recipe.seed, epoch, len(self.data))[place])

    def __getitem__(self, index: int) -> tuple[Tensor, int, int] | tuple[str, int, int]:
        """(frames uint8 `(T, h, w, 3)`, target, index into the data set) at a position.

        A reason instead of frames where the clip cannot be read.
        """
        epoch, index = self.place(index)
        film = self.data[index]
        if film is None:
            return why_not(self.data, index), -1, index
        rng = np.random.default_rng((self.recipe.seed, CLIP, epoch, index))
        frames = _tensor(film.frames)
        frames, flipped = self.recipe.augment(frames, self.size, rng)
        if self.recipe.shuffle_frames:
            frames = frames[torch.from_numpy(rng.permutation(len(frames)))]
        target = self.targets[index]
        if flipped and self.mirrored is not None:
            target = self.mirrored[target]
        return frames, target, index


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, ORDER, epoch)).permutation(count)


def _tensor(frames: np.ndarray) -> Tensor:
    # A memory-mapped film is read-only, which torch does not know: copy it.
    return torch.from_numpy(np.array(frames))


def parts(
    recipe: Recipe, start: int, total: int, rank: int = 0, processes: int = 1
) -> Iterator[list[int]]:
    """The stream positions of each part of each step that one process works off."""
    count = part_count(recipe, processes)
    size = recipe.batch // count
    for step in range(start, total):
        for part in range(rank, count, processes):
            first = step * recipe.batch + part * size
            yield list(range(first, first + size))


def part_count(recipe: Recipe, processes: int) -> int:
    """Parts of a batch over all processes: each gets equally many."""
    count = math.lcm(recipe.accumulate, processes)
    if recipe.batch % count:
        raise BadInput(
            f"a batch of {recipe.batch} in {recipe.accumulate} parts cannot be shared by "
            f"{processes} processes; make batch a multiple of {count}"
        )
    return count


def _collate(rows: list[Any]) -> tuple[Tensor | None, Tensor, dict[int, str]]:
    """Frames `(n, T, h, w, 3)` and targets `(n,)` of the clips that could be read; the others."""
    failed = {index: frames for frames, _, index in rows if isinstance(frames, str)}
    films = [frames for frames, _, _ in rows if not isinstance(frames, str)]
    lengths = sorted({len(film) for film in films})
    if len(lengths) > 1:
        raise BadInput(f"clips of {lengths[0]} and of {lengths[-1]} frames; give one length")
    targets = torch.tensor([y for frames, y, _ in rows if not isinstance(frames, str)])
    return (torch.stack(films) if films else None), targets, failed


# --- training ---------------------------------------------------------------------------------


def fit(
    model: VideoModel,
    data: Clips,
    out: str | Path,
    recipe: Recipe,
    *,
    architecture: dict[str, Any] | None = None,
    network: Network | None = None,
    valid: Clips | None = None,
    mirrored: Sequence[int] | None = None,
    resume: bool = False,
    workers: int = 0,
    save_steps: int = 0,
    save_seconds: float = 300.0,
    log_steps: int = 10,
    valid_steps: int = 0,
    keep_steps: int = 0,
    tensorboard: bool = False,
    cpu: bool = False,
) -> list[dict[str, Any]]:
    """Train a model; it holds the trained weights afterwards, in evaluation mode.

    Written into `out`: `checkpoint.pt` (all that resuming needs), `model.safetensors`, `log.jsonl`
    and `recipe.toml`. A clip that cannot be read is left out of its batch, never replaced; its
    name and the reason end up in `data.failures`.

    Args:
        model: not fused (`load_model(…, fast=False)`). All its weights are trained, unless some
            ask for gradients and others do not.
        data: clips, all of one length; their labels are among the model's.
        out: a folder.
        recipe: how.
        architecture: what `save_model` needs to build the network again; None: the model's name.
        network: where the model comes from, for `recipe.toml`.
        valid: clips to evaluate on, every `valid_steps` steps and at the end.
        mirrored: for each label of the model the index of its mirror image; None: told from the
            words left and right in the labels.
        resume: go on where the run in `out` stopped, or begin if there is none.
        workers: processes that read and change clips, per training process; 0: this one.
        save_steps, save_seconds: a checkpoint every so many steps, or seconds.
        log_steps: a line in the log every so many steps.
        valid_steps: see `valid`; 0: at the end only.
        keep_steps: every so many steps the model as it is then is kept as `step-….safetensors`,
            to look at how it learned; 0: only the last.
        tensorboard: write a TensorBoard log into `out`, too.
        cpu: train on the CPU though there is a GPU.

    Returns:
        The log, a dictionary per line: step, epoch, loss, error (cross-entropy), level (mean
        activation), accuracy (of the changed training clips), rate, seconds.

    Raises:
        BadInput: labels or sizes do not fit, `out` holds another run, or cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the step was finished and saved before.
    """
    if not len(data):
        raise BadInput("no clips to train on: the data set is empty")
    targets = targets_in(data, model.labels)
    if recipe.augment.flip and mirrored is None:
        mirrored = mirror(model.labels)
    accelerator = _accelerator(recipe, cpu)
    rank, processes, device = (
        accelerator.process_index,
        accelerator.num_processes,
        accelerator.device,
    )
    total, count = recipe.total(len(data)), part_count(recipe, processes)
    size = recipe.batch // count  # clips in a part
    accelerator.gradient_accumulation_steps = count // processes
    run = Run(
        Path(out),
        _identity(model, data, to_toml(recipe, network)),
        main=accelerator.is_main_process,
    )
    state = run.begin(resume, tensorboard)

    net = model.net
    if not any(p.requires_grad for p in net.parameters()):
        net.requires_grad_(True)  # load_model switches all gradients off
    net.to(device).to(memory_format=torch.channels_last_3d)
    mean_net = copy.deepcopy(net).eval().requires_grad_(False) if recipe.ema else None
    wrapped, optimiser = accelerator.prepare(net, _optimiser(net, recipe))
    start = 0
    if state:
        start = state["step"]
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        if mean_net is not None:
            mean_net.load_state_dict(state["mean"])
        if accelerator.scaler is not None and state["scaler"]:
            accelerator.scaler.load_state_dict(state["scaler"])

    sums = torch.zeros(6, device=device)  # since the last line of the log
    if state and run.main:
        sums += state["sums"].to(device)

    loader = DataLoader(
        Stream(data, model.size, recipe, targets, mirrored),
        batch_sampler=parts(recipe, start, total, rank, processes),
        collate_fn=_collate,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else it draws from the caller's
    )
    batches = iter(loader)
    scale, shift = _pixel_scale(model, device)
    clock = time.monotonic()

    def save(step: int) -> None:
        state = {"step": step, "sums": sums, "net": net.state_dict()}
        state["optimiser"] = optimiser.state_dict()
        state["mean"] = mean_net.state_dict() if mean_net is not None else None
        state["scaler"] = accelerator.scaler.state_dict() if accelerator.scaler else None
        run.save(state)

    def judged() -> VideoModel:
        judge = copy.copy(model)
        judge.net = net if mean_net is None else mean_net
        return judge

    def validate(step: int) -> None:
        if valid is not None:
            judge = judged()
            share = (rank, processes)
            result = evaluate_share(judge, valid, size, recipe.shuffle_frames, workers, share, True)
            run.note({"step": step} | {f"valid_{k}": result[k] for k in ("top1", "top5", "n")})

    bar = tqdm(total=total, initial=start, unit="step", disable=None if run.main else True)
    with (
        _watch(net, model.cam_layer) as seen,
        _dropout(net, recipe),
        _own_chance(device),
        _stop_politely() as stop,
        bar,
    ):
        for step in range(start, total):
            rate = recipe.rate_at(step, total)
            for group in optimiser.param_groups:
                group["lr"] = rate
            sparse = recipe.sparse * min(1.0, 3 * (step + 1) / total)
            _training(net, recipe.freeze_norms)
            for part in range(rank, count, processes):
                films, y, failed = next(batches)
                data.failures.update({data.ids[index]: reason for index, reason in failed.items()})
                if films is None:  # not one could be read: a black clip that counts nothing
                    films = torch.zeros((1, model.frames, *model.size, 3), dtype=torch.uint8)
                    y = torch.tensor([IGNORED])
                films, y = films.to(device, non_blocking=True), y.to(device, non_blocking=True)
                x = films.permute(0, 4, 1, 2, 3).float() * scale - shift  # (n, 3, T, h, w)
                torch.manual_seed(_seed(recipe.seed, step, part))  # dropout draws from here
                with accelerator.accumulate(wrapped):
                    logits = wrapped(x).float()  # (n, K)
                    # Divided by the full size: a clip weighs the same in whichever part it is.
                    error = recipe.error(logits, y) / size
                    counted = (y != IGNORED).sum()
                    level = seen[-1].float().abs().mean() * counted / size
                    loss = error + sparse * level
                    accelerator.backward(loss)
                    if accelerator.sync_gradients and recipe.clip_grad:
                        accelerator.clip_grad_norm_(wrapped.parameters(), recipe.clip_grad)
                    optimiser.step()
                    optimiser.zero_grad()
                right = (logits.argmax(1) == y).sum()
                one = torch.ones_like(loss)
                sums += torch.stack([loss, error, level, one, right, counted]).detach()
            if mean_net is not None:
                _follow(mean_net, net, min(recipe.ema, (step + 1) / (step + 10)))

            done = step + 1
            bar.update()
            if done % log_steps == 0 or done == total:
                row = _row(accelerator.reduce(sums).tolist())
                row["epoch"] = round(done * recipe.batch / len(data), 3)
                row |= {"rate": rate, "seconds": round(time.monotonic() - clock, 1)}
                sums.zero_()
                run.note({"step": done, **row})
                bar.set_postfix_str(f"loss {row['loss']:.3f}, accuracy {row['accuracy']:.2f}")
                if not math.isfinite(row["loss"]):
                    raise BadInput(
                        f"{out}: the loss is no number any more after step {done}; lower the rate, "
                        "or give clip_grad"
                    )
            if valid_steps and done % valid_steps == 0 and done < total:
                validate(done)
            if keep_steps and done % keep_steps == 0 and run.main:
                path = run.out / f"step-{done:06}.safetensors"
                save_model(judged(), path, architecture or {"name": model.name})
            if done == total or run.due(done, save_steps, save_seconds) or stop.is_set():
                save(done)
            if stop.is_set():
                raise KeyboardInterrupt(f"stopped and saved after step {done} of {total}")

    accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)  # gives `net` its own forward back
    accelerator.free_memory()
    if mean_net is not None:
        net.load_state_dict(mean_net.state_dict())
    net.eval().requires_grad_(False)
    if processes > 1:
        for failures in gather_object([dict(data.failures)]):
            data.failures.update(failures)
    if not run.finished:
        validate(total)
    run.finish(model, architecture or {"name": model.name})
    return run.log


def _row(sums: list[float]) -> dict[str, float]:
    """Means since the last line of the log, from sums over parts and clips."""
    loss, error, level, parts, right, clips = sums
    means = {"loss": loss / parts, "error": error / parts, "level": level / parts}
    return {**means, "accuracy": right / max(clips, 1)}


def _seed(*numbers: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence((STEP, *numbers)).generate_state(1, np.uint64)[0] >> 1)


def _accelerator(recipe: Recipe, cpu: bool) -> Accelerator:
    """Accelerate's handle on this machine: devices, precision, other processes."""
    precision = recipe.precision
    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and not cpu else "no"
    # Accelerate remembers the first call of a process; a second run may want another precision.
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    AcceleratorState._reset_state(reset_partial_state=not distributed)
    try:
        return Accelerator(cpu=cpu, mixed_precision=precision)
    except ValueError as error:
        raise BadInput(f"precision = {precision!r} cannot be used here: {error}") from error


def _optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
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


def _training(net: nn.Module, freeze_norms: bool) -> None:
    """Training mode; norms may keep the statistics they have."""
    net.train()
    for module in net.modules():
        if freeze_norms and isinstance(module, NORMS):
            module.eval()


@torch.no_grad()
def _follow(mean_net: nn.Module, net: nn.Module, decay: float) -> None:
    """Move a running mean of the weights, batch norm's statistics included, towards the net."""
    for mean, now in zip(mean_net.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - decay)
        else:
            mean.copy_(now)  # a counter


def _pixel_scale(model: VideoModel, device: torch.device) -> tuple[Tensor, Tensor]:
    """x = pixel × scale - shift, as in `VideoModel.preprocess`; both (3, 1, 1, 1)."""
    scale = 1 / (255 * torch.tensor(model.std))
    shift = torch.tensor(model.mean) / torch.tensor(model.std)
    return scale.to(device).view(3, 1, 1, 1), shift.to(device).view(3, 1, 1, 1)


@contextmanager
def _watch(net: nn.Module, layer: str) -> Generator[list[Tensor]]:
    """A list that always holds the layer's last output, `(N, C, T', h, w)` or tokens."""
    last: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        last[:] = [output[0] if isinstance(output, tuple) else output]

    hook = net.get_submodule(layer).register_forward_hook(keep)
    try:
        yield last
    finally:
        hook.remove()


@contextmanager
def _dropout(net: nn.Module, recipe: Recipe) -> Generator[None]:
    """Dropout before the last layer, without a new module: the file stays what it was."""
    if not recipe.dropout:
        yield
        return

    def drop(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        return (F.dropout(inputs[0], recipe.dropout, module.training),)

    hook = last_linear(net)[1].register_forward_pre_hook(drop)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def _own_chance(device: torch.device) -> Generator[None]:
    """Random numbers drawn within leave the caller's generator as it was."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


@contextmanager
def _stop_politely() -> Generator[threading.Event]:
    """Ctrl-C and SIGTERM finish the step first; a second one does not wait."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may catch signals
        return
    numbers: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
    old: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}

    def caught(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(number, old[number])

    for number in old:
        signal.signal(number, caught)
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _identity(model: VideoModel, data: Clips, recipe: str) -> dict[str, str]:
    """What must be the same for a run to go on."""
    clips = json.dumps([list(data.labels), list(data.ids), list(map(int, data.targets))])
    tensors = [(name, tuple(t.shape)) for name, t in model.net.state_dict().items()]
    network = repr((tensors, model.size, model.mean, model.std, model.labels, model.cam_layer))
    return {
        "recipe": recipe,
        "data set": hashlib.sha256(clips.encode()).hexdigest(),
        "network": hashlib.sha256(network.encode()).hexdigest(),
    }
