"""What a training run leaves on disk: checkpoint, log, recipe, model; each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.datasets import Clips
from ..errors import BadInput
from ..files import atomic_write
from ..models.checkpoints import save_model
from ..models.video_model import VideoModel

CHECKPOINT, MODEL, LOG, RECIPE = "checkpoint.pt", "model.safetensors", "log.jsonl", "recipe.toml"


@dataclass(frozen=True)
class Intervals:
    """How often something is done, in steps; 0: never on the way, only at the end.

    Attributes:
        log: a line in the log.
        evaluate: top-1 and top-5 on the validation clips.
        save: a checkpoint.
        save_seconds: a checkpoint when the last one is older than this, too.
        keep: the model as it is then, as `step-….safetensors`: to look at how it learned.
    """

    log: int = 10
    evaluate: int = 0
    save: int = 0
    save_seconds: float = 300.0
    keep: int = 0


class RunDirectory:
    """The files of one run: started or resumed, logged into, saved into, closed.

    All processes of a run have one; only the main process writes.

    Args:
        out: the folder.
        identity: what must be the same for a run to go on; see `run_identity`.
        main: whether this is the main process.
        tensorboard: write a TensorBoard log, too.

    Attributes:
        rows: the lines of the log.
    """

    def __init__(
        self, out: str | Path, identity: dict[str, str], main: bool, tensorboard: bool = False
    ) -> None:
        self.out, self.identity, self.main = Path(out), identity, main
        self.rows: list[dict[str, Any]] = []
        self._tensorboard, self._board = tensorboard, None
        self._saved = time.monotonic()

    def start(self) -> None:
        """Begin a run.

        Raises:
            BadInput: the folder holds one already, or cannot be written.
        """
        state = self._read_checkpoint()
        if state is not None:
            raise BadInput(
                f"{self.out}: holds a run that has reached step {state['step']}; go on with "
                "--resume (resume=True), or name another folder"
            )
        self._open(0)

    def resume(self) -> dict[str, Any] | None:
        """Go on with the run in the folder: its checkpoint; None: there is none, so begin one.

        Raises:
            BadInput: it was another run, its checkpoint is damaged, or the folder cannot be
                written.
        """
        state = self._read_checkpoint()
        if state is None:
            self._open(0)
            return None
        for what, value in self.identity.items():
            old = state["identity"].get(what)
            if old != value:
                raise BadInput(
                    f"{self.out}: the run in it was begun with another {what}"
                    f"{_difference(old, value)}; give the same, or another folder"
                )
        self._open(state["step"])
        return state

    def _open(self, step: int) -> None:
        """Forget what the log says of later steps than the one that the run goes on from."""
        self.rows = [row for row in self._read_log() if row["step"] <= step]
        if not self.main:
            return
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            for name, text in ((LOG, lines), (RECIPE, self.identity["recipe"])):
                with atomic_write(self.out / name) as file:
                    file.write_text(text, "utf-8")
        except OSError as error:
            raise self._cannot_write(error) from error
        if self._tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            purged = step + 1 if step else None
            folder = os.fspath(self.out / "tensorboard")
            self._board = SummaryWriter(folder, purge_step=purged)

    def _read_checkpoint(self) -> dict[str, Any] | None:
        path = self.out / CHECKPOINT
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            return {**state, "step": int(state["step"]), "identity": dict(state["identity"])}
        except Exception as error:  # what torch raises on a damaged file is not listed
            raise BadInput(
                f"{path}: not a checkpoint of a training run, or damaged "
                f"({type(error).__name__}); remove it to begin anew"
            ) from error

    def _read_log(self) -> list[dict[str, Any]]:
        path = self.out / LOG
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:  # the line that a kill cut off
                break
        return rows

    def log(self, row: dict[str, Any]) -> None:
        """One line for the log: step, and numbers by their names."""
        self.rows.append(row)
        if not self.main:
            return
        try:
            with (self.out / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise self._cannot_write(error) from error
        if self._board is not None:
            for name, value in row.items():
                self._board.add_scalar(name, value, row["step"])
            self._board.flush()

    def evaluated(self, step: int) -> bool:
        """Whether the log has the evaluation after this step."""
        return any(row["step"] == step and "valid_top1" in row for row in self.rows)

    def save_due(self, step: int, intervals: Intervals) -> bool:
        """Whether it is time for a checkpoint."""
        every, age = intervals.save, time.monotonic() - self._saved
        return bool(every and step % every == 0) or age > intervals.save_seconds

    def save(self, step: int, state: dict[str, Any]) -> None:
        """The checkpoint: until the new one is whole, the old one stays.

        Raises:
            BadInput: the disk is full, or the folder cannot be written.
        """
        self._saved = time.monotonic()
        if not self.main:
            return
        try:
            with atomic_write(self.out / CHECKPOINT) as file:
                torch.save({"step": step, **state, "identity": self.identity}, file)
        except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError to torch.save
            raise self._cannot_write(error) from error

    def keep(self, step: int, model: VideoModel, architecture: dict[str, Any]) -> None:
        """The model as it is after a step."""
        self._save_model(f"step-{step:06}.safetensors", model, architecture)

    def close(self, model: VideoModel, architecture: dict[str, Any]) -> None:
        """The trained model; the run is over."""
        if self._board is not None:
            self._board.close()
        self._save_model(MODEL, model, architecture)

    def _save_model(self, name: str, model: VideoModel, architecture: dict[str, Any]) -> None:
        if not self.main:
            return
        try:
            save_model(model, self.out / name, architecture)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: Exception) -> BadInput:
        reason = getattr(error, "strerror", None) or error
        return BadInput(f"{self.out}: cannot write the run ({reason}); choose another folder")


def run_identity(model: VideoModel, data: Clips, recipe: str) -> dict[str, str]:
    """What must be the same for a run to go on: the recipe (TOML), the clips, the network."""
    clips = json.dumps([list(data.labels), list(data.ids), list(map(int, data.targets))])
    tensors = [(name, tuple(t.shape)) for name, t in model.net.state_dict().items()]
    network = repr((tensors, model.size, model.mean, model.std, model.labels, model.cam_layer))
    return {
        "recipe": recipe,
        "data set": hashlib.sha256(clips.encode()).hexdigest(),
        "network": hashlib.sha256(network.encode()).hexdigest(),
    }


def _difference(old: str | None, new: str) -> str:
    """The first line that two recipes differ in; nothing for hashes."""
    if old is None or "\n" not in new:
        return ""
    for before, after in zip(old.splitlines(), new.splitlines(), strict=False):
        if before != after:
            return f" ({before}, now {after})"
    return ""
