"""What a training run leaves on disk: checkpoint, log, recipe, model; each whole or not at all."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch

from ..errors import BadInput
from ..files import atomic_write
from ..models.checkpoints import save_model
from ..models.video_model import VideoModel

CHECKPOINT, MODEL, LOG, RECIPE = "checkpoint.pt", "model.safetensors", "log.jsonl", "recipe.toml"


class Run:
    """The files of one run. Each is written whole or not at all; only one process writes."""

    def __init__(self, out: Path, identity: dict[str, str], main: bool) -> None:
        self.out, self.identity, self.main = out, identity, main
        self.log: list[dict[str, Any]] = []
        self.finished = False
        self._board: Any = None
        self._saved = time.monotonic()

    def begin(self, resume: bool, tensorboard: bool) -> dict[str, Any] | None:
        """The state to go on from; None for a new run."""
        state = self._load(resume)
        start = state["step"] if state else 0
        if self.main:
            try:
                self.out.mkdir(parents=True, exist_ok=True)
                self.log = [row for row in self._read_log() if row["step"] <= start]
                lines = "".join(json.dumps(row) + "\n" for row in self.log)
                for name, text in ((LOG, lines), (RECIPE, self.identity["recipe"])):
                    with atomic_write(self.out / name) as file:
                        file.write_text(text, "utf-8")
            except OSError as error:
                raise self._cannot_write(error) from error
            self._board = _tensorboard(self.out, start) if tensorboard else None
        self.finished = bool(self.log) and "valid_top1" in self.log[-1]
        return state

    def _load(self, resume: bool) -> dict[str, Any] | None:
        path = self.out / CHECKPOINT
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            step, identity = state["step"], state["identity"]
        except Exception as error:  # what torch raises on a damaged file is not listed
            raise BadInput(
                f"{path}: not a checkpoint of a training run, or damaged "
                f"({type(error).__name__}); remove it to begin anew"
            ) from error
        if not resume:
            raise BadInput(
                f"{self.out}: holds a run that has reached step {step}; go on with --resume "
                "(resume=True), or name another folder"
            )
        for what, value in self.identity.items():
            if identity.get(what) != value:
                raise BadInput(
                    f"{self.out}: the run in it was begun with another {what}"
                    f"{_difference(identity.get(what), value)}; give the same, or another folder"
                )
        return state

    def _read_log(self) -> list[dict[str, Any]]:
        path = self.out / LOG
        rows = []
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            try:
                rows.append(json.loads(line))
            except ValueError:  # the line that a kill cut off
                break
        return rows

    def note(self, row: dict[str, Any]) -> None:
        """One line for the log."""
        self.log.append(row)
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

    def due(self, step: int, steps: int, seconds: float) -> bool:
        """Whether it is time for a checkpoint."""
        return bool(steps and step % steps == 0) or time.monotonic() - self._saved > seconds

    def save(self, state: dict[str, Any]) -> None:
        """The checkpoint: until the new one is whole, the old one stays."""
        self._saved = time.monotonic()
        if not self.main:
            return
        try:
            with atomic_write(self.out / CHECKPOINT) as file:
                torch.save({**state, "identity": self.identity}, file)
        except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError to torch.save
            raise self._cannot_write(error) from error

    def finish(self, model: VideoModel, architecture: dict[str, Any]) -> None:
        """The trained model."""
        if not self.main:
            return
        if self._board is not None:
            self._board.close()
        try:
            save_model(model, self.out / MODEL, architecture)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: Exception) -> BadInput:
        reason = getattr(error, "strerror", None) or error
        return BadInput(f"{self.out}: cannot write the run ({reason}); choose another folder")


def _difference(old: str | None, new: str) -> str:
    """The first line that two recipes differ in; nothing for hashes."""
    if old is None or "\n" not in new:
        return ""
    for before, after in zip(old.splitlines(), new.splitlines(), strict=False):
        if before != after:
            return f" ({before}, now {after})"
    return ""


def _tensorboard(out: Path, start: int) -> Any:
    """A TensorBoard writer that forgets what came after the step resumed from."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise BadInput(
            "TensorBoard is not installed: pip install tensorboard, or train without it "
            "(log.jsonl holds the same numbers)"
        ) from None
    return SummaryWriter(os.fspath(out / "tensorboard"), purge_step=start + 1 if start else None)
