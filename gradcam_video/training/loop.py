"""The training loop: on one CPU or many GPUs, it can be killed and go on.

`fit` reads from top to bottom: clips, a network and its optimiser, and then step after step; now
and then a line in the log, an evaluation, a checkpoint. What a step does is in step.py. Hugging
Face Accelerate does what differs between machines (devices, half precision, several processes);
the loop does the rest. Nothing depends on hidden state: order, augmentation and dropout are drawn
from (seed, epoch, clip) or (seed, step), so a run that is killed and resumed ends, on the same CPU,
with the same bits.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..data.augment import mirror
from ..data.datasets import Clips, targets_in
from ..errors import BadInput, require
from ..models.video_model import VideoModel
from .accuracy import evaluate_share
from .batches import Parts, Stream, load_parts
from .recipe import Network, Recipe, to_toml
from .run_dir import Intervals, RunDirectory, run_identity
from .step import TrainState, set_rate, train_step

if TYPE_CHECKING:
    from accelerate import Accelerator

log = logging.getLogger(__name__)


def fit(
    model: VideoModel,
    data: Clips,
    out: str | Path,
    recipe: Recipe,
    *,
    valid: Clips | None = None,
    mirrored: Sequence[int] | None = None,
    intervals: Intervals = Intervals(),  # noqa: B008 (it is frozen)
    architecture: dict[str, Any] | None = None,
    network: Network | None = None,
    resume: bool = False,
    workers: int = 0,
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
        valid: clips to evaluate on, every `intervals.evaluate` steps and at the end.
        mirrored: for each label of the model the index of its mirror image; None: told from the
            words left and right in the labels.
        intervals: how often to log, evaluate and save.
        architecture: what `save_model` needs to build the network again; None: the model's name.
        network: where the model comes from, for `recipe.toml`.
        resume: go on where the run in `out` stopped, or begin if there is none.
        workers: processes that read and change clips, per training process; 0: this one.
        tensorboard: write a TensorBoard log into `out`, too.
        cpu: train on the CPU though there is a GPU.

    Returns:
        The log, a dictionary per line: step, epoch, loss, error (cross-entropy), level (mean
        activation), accuracy (of the changed training clips), rate, seconds; or step, valid_top1,
        valid_top5, valid_n.

    Raises:
        MissingExtra: Accelerate, tqdm or TensorBoard is not installed.
        BadInput: labels or sizes do not fit, `out` holds another run, or cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the step was finished and saved before.
    """
    needed = ("accelerate", "tqdm", "tensorboard") if tensorboard else ("accelerate", "tqdm")
    for package in needed:
        require(package, "training", "training")
    from tqdm import tqdm

    if not len(data):
        raise BadInput("no clips to train on: the data set is empty")
    targets = targets_in(data, model.labels)
    if recipe.augment.flip and mirrored is None:
        mirrored = mirror(model.labels)
    architecture = architecture or {"name": model.name}
    total = recipe.total(len(data))

    # The machine, and the folder.
    accelerator = start_accelerator(recipe.precision, cpu)
    parts = Parts.of(recipe, accelerator.process_index, accelerator.num_processes)
    main, device = accelerator.is_main_process, accelerator.device
    identity = run_identity(model, data, to_toml(recipe, network))
    run = RunDirectory(out, identity, main, tensorboard)
    saved = run.resume() if resume else run.start()

    # The network, its optimiser and the mean of its weights.
    state = TrainState(model, recipe, accelerator, parts, total)
    start = 0
    if saved is not None:
        state.load_state_dict(saved)
        start = saved["step"]
        log.info("%s: going on after step %d of %d", out, start, total)

    # The clips.
    shape = (model.frames, *model.size)
    stream = Stream(data, recipe, shape, targets, mirrored)
    batches = load_parts(stream, parts, start, total, workers, pinned=device.type == "cuda")

    clock = time.monotonic()
    progress = tqdm(total=total, initial=start, unit="step", disable=None if main else True)
    own_chance = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with state, own_chance, GracefulStop() as stop, progress:
        for step in range(start, total):
            rate = recipe.rate_at(step, total)
            set_rate(state.optimiser, rate)
            train_step(state, batches, step)

            done = step + 1
            progress.update()
            if is_due(done, intervals.log) or done == total:
                epoch, seconds = done * recipe.batch / len(data), time.monotonic() - clock
                row = {"step": done, **state.means(), "epoch": round(epoch, 3), "rate": rate}
                run.log({**row, "seconds": round(seconds, 1)})
                progress.set_postfix_str(f"loss {row['loss']:.3f}, accuracy {row['accuracy']:.2f}")
                if not math.isfinite(row["loss"]):
                    raise BadInput(
                        f"{out}: the loss is no number any more after step {done}; lower the rate, "
                        "or give clip_grad"
                    )
            if valid is not None and is_due(done, intervals.evaluate) and done < total:
                run.log(evaluate_at(done, state, valid, workers))
            if is_due(done, intervals.keep):
                run.keep(done, state.eval_model(), architecture)
            if done == total or stop.asked or run.save_due(done, intervals):
                run.save(done, state.state_dict())
            if stop.asked:
                raise KeyboardInterrupt(f"stopped and saved after step {done} of {total}")

    # The trained model.
    model.net.load_state_dict(state.eval_model().net.state_dict())
    model.net.eval().requires_grad_(False)
    share_failures(data, accelerator)
    if valid is not None and not run.evaluated(total):
        run.log(evaluate_at(total, state, valid, workers))
    run.close(model, architecture)
    return run.rows


def is_due(step: int, every: int) -> bool:
    """Whether something that is done every so many steps is to be done after this one."""
    return every > 0 and step % every == 0


def evaluate_at(step: int, state: TrainState, valid: Clips, workers: int) -> dict[str, Any]:
    """A row for the log: how often the weights as they are now are right."""
    accelerator = state.accelerator
    result = evaluate_share(
        state.eval_model(),
        valid,
        state.parts.size,
        state.recipe.shuffle_frames,
        workers,
        (accelerator.process_index, accelerator.num_processes),
        quiet=True,
    )
    return {"step": step} | {f"valid_{name}": result[name] for name in ("top1", "top5", "n")}


def start_accelerator(precision: str, cpu: bool) -> Accelerator:
    """Accelerate's handle on this machine: devices, precision, other processes.

    Raises:
        BadInput: this machine lacks the precision.
    """
    from accelerate import Accelerator  # here, not above: it is slow to import
    from accelerate.state import AcceleratorState

    if precision == "auto":
        precision = "bf16" if torch.cuda.is_available() and not cpu else "no"
    # Accelerate remembers the first call of a process; a second run may want another precision.
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    AcceleratorState._reset_state(reset_partial_state=not distributed)
    try:
        return Accelerator(cpu=cpu, mixed_precision=precision)
    except ValueError as error:
        raise BadInput(f"precision = {precision!r} cannot be used here: {error}") from error


def share_failures(data: Clips, accelerator: Accelerator) -> None:
    """Tell every process which clips the others could not read."""
    if accelerator.num_processes == 1:
        return
    from accelerate.utils import gather_object

    for failures in gather_object([dict(data.failures)]):
        data.failures.update(failures)


class GracefulStop:
    """A context in which Ctrl-C and SIGTERM only ask to stop; a second one does not wait.

    Attributes:
        asked: whether one of them came.
    """

    def __init__(self) -> None:
        self.asked = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> GracefulStop:
        if threading.current_thread() is threading.main_thread():  # no other may catch signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: Any) -> None:
        self.asked = True
        signal.signal(number, self._handlers[number])

    def __exit__(self, *stopped: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
