"""The made world keeps its promises, and the shipped network is right for the right reasons."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from gradcam_video import demo
from gradcam_video.errors import BadInput
from gradcam_video.labels import FORTY_NAMES
from gradcam_video.models import VideoModel, load_model

WEIGHTS = Path(demo.__file__).parent / "weights" / "demo.safetensors"
SCRIPT = Path(__file__).parents[1] / "scripts" / "train_demo.py"
SOFT = 3  # pixels: how far the soft edge of a sharp tip reaches beyond the mask
LOOSE = 4  # a seed whose action can start a little earlier or later
MOVING = [name for name in demo.NAMES if name != demo.HOLDING]


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """`(T, H, W)`: the mask and every pixel within `by` pixels of it, in its own frame."""
    x = torch.from_numpy(mask).float()
    return torch.nn.functional.max_pool2d(x, 2 * by + 1, 1, by).numpy() > 0


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_demo", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model() -> VideoModel:
    return load_model("demo")


# ---- the world --------------------------------------------------------------------------------


def test_the_names_are_among_the_forty() -> None:
    assert set(demo.NAMES) <= set(FORTY_NAMES)
    assert len(set(demo.NAMES)) == 7
    assert all(demo.OPPOSITE[demo.OPPOSITE[name]] == name for name in demo.NAMES)


@pytest.mark.parametrize("size", [(112, 112), (90, 160), (161, 64)])
@pytest.mark.parametrize("label", demo.NAMES)
def test_shapes_and_the_same_bytes_twice(label: str, size: tuple[int, int]) -> None:
    scene = demo.render(label, 5, size=size)
    again = demo.render(label, 5, size=size)
    assert scene.clip.frames.shape == (16, *size, 3)
    assert scene.clip.frames.dtype == np.uint8
    assert scene.masks["object"].shape == (16, *size)
    assert scene.masks["object"].dtype == bool
    assert np.array_equal(scene.clip.frames, again.clip.frames)
    assert np.array_equal(scene.masks["object"], again.masks["object"])
    assert np.allclose(np.diff(scene.clip.times), 0.25)
    assert not scene.clip.repeated.any()
    other = demo.render(label, 6, size=size)
    assert not np.array_equal(scene.clip.frames, other.clip.frames)


@pytest.mark.parametrize("label", demo.NAMES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_mask_is_what_the_object_covers(label: str, seed: int) -> None:
    scene = demo.render(label, seed)
    mask = scene.masks["object"]
    empty = demo.render(label, seed, without=("object",))
    changed = (scene.clip.frames != empty.clip.frames).any(-1)  # (T, H, W)
    assert mask.any((1, 2)).all()
    assert not empty.masks["object"].any()
    assert not (changed & ~grown(mask, SOFT)).any()  # nothing else changes
    assert (changed & mask).sum() > 0.97 * mask.sum()  # and what the mask covers does


@pytest.mark.parametrize("label", MOVING)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_action_is_when_the_object_moves(label: str, seed: int) -> None:
    scene = demo.render(label, seed, without=("noise", "shake"))
    mask = scene.masks["object"]
    first, last = scene.action
    moves = np.array([(mask[t] != mask[t - 1]).any() for t in range(1, 16)])  # frame t = 1..15
    expected = np.array([first <= t <= last for t in range(1, 16)])
    assert np.array_equal(moves, expected)


@pytest.mark.parametrize("label", MOVING)
@pytest.mark.parametrize("delay", [-1, 1, 2])
def test_delay_moves_the_action_and_nothing_else(label: str, delay: int) -> None:
    scene = demo.render(label, LOOSE, without=("shake",))
    late = demo.render(label, LOOSE, delay=delay, without=("shake",))
    assert late.action == (scene.action[0] + delay, scene.action[1] + delay)
    frames = range(max(0, delay), 16 + min(0, delay))
    for t in frames:
        assert np.array_equal(late.masks["object"][t], scene.masks["object"][t - delay])
    covered = grown(scene.masks["object"] | late.masks["object"], SOFT)
    same = (scene.clip.frames == late.clip.frames).all(-1)
    assert same[~covered].all()


def test_a_delay_out_of_the_clip_is_refused() -> None:
    first, last = demo.render(demo.UP, 0).action
    demo.render(demo.UP, 0, delay=15 - last)
    demo.render(demo.UP, 0, delay=1 - first)
    for delay in (16 - last, -first):
        with pytest.raises(BadInput, match=f"use {1 - first} to {15 - last}"):
            demo.render(demo.UP, 0, delay=delay)


@pytest.mark.parametrize("label", [demo.LEFT_TO_RIGHT, demo.DOWN, demo.TOWARDS])
@pytest.mark.parametrize("seed", [4, 5])
def test_opposites_are_one_path_both_ways(label: str, seed: int) -> None:
    there = demo.render(label, seed, without=("shake", "noise"))
    back = demo.render(demo.OPPOSITE[label], seed, without=("shake", "noise"))
    assert there.action == back.action
    first, last = there.action
    a = there.masks["object"][first - 1 : last + 1]  # from rest to rest
    b = back.masks["object"][first - 1 : last + 1][::-1]
    assert (a != b).sum() <= 0.02 * a.sum()  # up to rounding at the edges
    everywhere = grown(there.masks["object"] | back.masks["object"], SOFT)
    assert (there.clip.frames == back.clip.frames).all(-1)[~everywhere].all()


@pytest.mark.parametrize("seed", range(4))
def test_each_class_does_what_it_says(seed: int) -> None:
    def change(label: str) -> tuple[float, float, float]:
        mask = demo.render(label, seed, without=("shake",)).masks["object"]
        ends = [np.argwhere(mask[t]).mean(0) for t in (0, -1)]
        down, right = ends[1] - ends[0]
        return right, down, mask[-1].sum() / mask[0].sum()

    right, down, _ = change(demo.LEFT_TO_RIGHT)
    assert right > 20 and abs(down) < right / 2
    right, down, _ = change(demo.DOWN)
    assert down > 20 and abs(right) < down / 2
    right, down, growth = change(demo.TOWARDS)
    assert growth > 1.8**2 * 0.8 and np.hypot(right, down) < 10
    right, down, growth = change(demo.HOLDING)
    assert np.hypot(right, down) < 8 and abs(growth - 1) < 0.1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"label": "Juggling [something]"}, "no class"),
        ({"size": (8, 112)}, "too small"),
        ({"frames": 3}, "too few"),
        ({"fps": 0.0}, "above 0"),
        ({"fps": float("nan")}, "above 0"),
        ({"without": ("hand",)}, "no part 'hand'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        demo.render(**{"label": demo.UP, "seed": 0} | arguments)


# ---- the network ------------------------------------------------------------------------------


def test_network_shapes() -> None:
    net = demo.network().eval()
    maps: list[torch.Tensor] = []
    net.get_submodule("stage3").register_forward_hook(lambda m, i, o: maps.append(o))
    with torch.inference_mode():
        logits = net(torch.zeros(1, 3, 16, 112, 112))
    assert logits.shape == (1, 7)
    assert maps[0].shape[2:] == (16, 14, 14)
    assert sum(p.numel() for p in net.parameters()) < 500_000


def test_augmentation_keeps_label_and_motion_together(script: ModuleType) -> None:
    # What the label says must be what the pixels do, whichever way the clip was turned.
    torch.manual_seed(0)
    kinds = {demo.LEFT_TO_RIGHT: (0, 1), demo.RIGHT_TO_LEFT: (0, -1), demo.DOWN: (1, 0)}
    kinds[demo.UP] = (-1, 0)
    seen = set()
    for trial in range(24):
        name = list(kinds)[trial % 4]
        mask = demo.render(name, trial).masks["object"]
        film = torch.from_numpy(mask)[None, ..., None].byte()  # (1, T, H, W, 1)
        turned, label = script.augment(film, torch.tensor([demo.NAMES.index(name)]))
        ends = [np.argwhere(turned[0, t, ..., 0].numpy()).mean(0) for t in (0, -1)]
        direction = kinds[demo.NAMES[int(label)]]
        assert np.dot(ends[1] - ends[0], direction) > 20
        seen.add((name, demo.NAMES[int(label)]))
    assert len(seen) > 8  # the augmentation does turn things


def test_shipped_checkpoint_says_what_it_is(model: VideoModel) -> None:
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    names = {key for key in demo.network().state_dict() if not key.endswith("batches_tracked")}
    assert set(tensors) == names
    assert "made moving shapes" in metadata["trained_on"]
    assert WEIGHTS.stat().st_size <= 1_000_000
    assert model.labels == demo.NAMES
    assert model.size == (demo.SIZE, demo.SIZE)
    assert model.mean == demo.MEAN and model.std == demo.STD
    assert model.cam_layer.startswith("stage3")
    assert "only made moving shapes" in model.remark


def test_shipped_network_knows_the_classes_and_looks_at_the_object(
    script: ModuleType, model: VideoModel
) -> None:
    scores = script.score(model.net, range(2_000_000, 2_000_003))  # 21 fresh clips
    moving = scores["all that move"]
    accuracy = np.mean([scores[name]["accuracy"] for name in demo.NAMES])
    assert accuracy >= 0.95
    assert moving["pointing"] >= 0.7
    assert moving["energy"] >= 2 * moving["uniform"]
    assert moving["energy"] >= 1.5 * moving["gaussian"]


def test_without_the_object_its_evidence_is_gone(script: ModuleType, model: VideoModel) -> None:
    # The counterfactual: where nothing moves, no class of motion finds evidence.
    for i, name in enumerate(MOVING):
        k = demo.NAMES.index(name)
        total = []
        for without in ((), ("object",)):
            frames = demo.render(name, 2_100_000 + i, without=without).clip.frames
            _, signed = script.class_maps(
                model.net, script.preprocess(torch.from_numpy(frames[None]))
            )
            total.append(signed[0, k].clamp(min=0).sum())
        assert total[1] < 0.1 * total[0]
