"""Weights on disk: checkpoints of this package, written and read, and state dicts of others.

Only safetensors and `torch.load(weights_only=True)` are ever read: a file that would run code is
refused.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..errors import BadInput
from ..files import atomic_write
from .video_model import VideoModel

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"  # the checkpoints that ship
FORMAT = "gradcam_video-1"


# --- files ------------------------------------------------------------------------------------


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or a .pth/.pt/.th file; nothing in it is run.

    Raises:
        BadInput: missing, unreadable, not tensors, or a pickle that would run code.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such weights file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder, not a weights file") from None
    except PermissionError:
        raise BadInput(f"{path}: no permission to read it") from None
    except pickle.UnpicklingError:
        raise BadInput(
            f"{path}: refused: it is not a plain file of tensors, loading it could run code; save "
            "it again as .safetensors, or as a state_dict"
        ) from None
    except Exception as error:  # what a parser raises on a file of another kind is not listed
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path}: not a readable weights file ({reason})") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise BadInput(f"{path}: holds no state_dict (names to tensors)")
    # nn.DataParallel prefixes every name.
    return {key.removeprefix("module."): tensor for key, tensor in content.items()}


def classes_of(
    state: dict[str, Tensor], expected: dict[str, Tensor], name: str, path: Path
) -> int | None:
    """The number of classes of a file: where it differs from the network in the first size only."""
    sizes = {
        len(tensor)
        for key, tensor in state.items()
        if key in expected
        and tensor.ndim
        and len(tensor) != len(expected[key])
        and tensor.shape[1:] == expected[key].shape[1:]
    }
    if len(sizes) > 1:
        raise BadInput(f"{path}: weights of another network, not of {name}")
    return sizes.pop() if sizes else None


def load_state(net: nn.Module, state: dict[str, Tensor], name: str, path: Path) -> None:
    """Put tensors into a network; every name and shape must fit."""
    expected = net.state_dict()
    # Files converted from other frameworks lack this counter; it does nothing at inference.
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [k for k in state if k not in expected]
    wrong = [k for k in state if k in expected and state[k].shape != expected[k].shape]
    for what, keys in (("lacks", missing), ("has the unknown", unknown)):
        if keys:
            raise BadInput(
                f"{path}: weights of another network, not of {name}: it {what} {keys[0]!r} "
                f"({len(keys)} such)"
            )
    if wrong:
        key = wrong[0]
        raise BadInput(
            f"{path}: weights of another network, not of {name}: {key!r} is "
            f"{tuple(state[key].shape)}, not {tuple(expected[key].shape)}"
        )
    net.load_state_dict(state, strict=False)


def save_model(
    model: VideoModel, path: str | Path, architecture: dict[str, Any], **facts: str
) -> None:
    """Write a checkpoint: tensors, labels, preprocessing and how to build the network.

    Args:
        model: its network must not be fused (`faster`).
        path: a .safetensors; written whole or not at all.
        architecture: {"name": …} of `tabletop`, a video network or an inflatable one, with the
            `inflate` options of the latter.
        facts: further metadata, such as trained_on="…".
    """
    preprocessing = {
        "size": model.size,
        "resize": model.preprocessing.resize,
        "mean": model.mean,
        "std": model.std,
        "frames": model.frames,
        "fps": model.fps,
        **model.preprocessing.differences(),
    }
    metadata = {
        "format": FORMAT,
        "architecture": json.dumps(architecture),
        "labels": json.dumps(model.labels),
        "preprocessing": json.dumps(preprocessing),
        "remark": model.remark,
        **facts,
    }
    tensors = {k: t.detach().cpu().contiguous() for k, t in model.net.state_dict().items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata))
