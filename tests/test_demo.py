"""The made world keeps its promises, and the shipped network is right for the right reasons."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from gradcam_video import demo
from gradcam_video.errors import BadInput
from gradcam_video.labels import FORTY_NAMES

WEIGHTS = Path(demo.__file__).parent / "weights" / "demo.safetensors"
SCRIPT = Path(__file__).parents[1] / "scripts" / "train_demo.py"
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
def trained() -> nn.Module:
    net = demo.network()
    with safe_open(WEIGHTS, framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    missing = net.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    return net.eval()


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
    assert not (changed & ~grown(mask, 1)).any()  # nothing else changes, soft edges excepted
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
    # Outside the object's old and new place the picture stands still, up to the exposure.
    still = ~grown(mask.any(0)[None], 1)[0]
    film = scene.clip.frames[:, still].astype(float)  # (T, pixels, 3)
    assert np.abs(film / film.mean((1, 2), keepdims=True) * film.mean() - film[0]).max() < 12


@pytest.mark.parametrize("label", MOVING)
@pytest.mark.parametrize("delay", [-1, 1, 2])
def test_delay_moves_the_action_and_nothing_else(label: str, delay: int) -> None:
    seed = 11  # its action can be moved by these
    scene = demo.render(label, seed, without=("shake",))
    late = demo.render(label, seed, delay=delay, without=("shake",))
    assert late.action == (scene.action[0] + delay, scene.action[1] + delay)
    frames = range(max(0, delay), 16 + min(0, delay))
    for t in frames:
        assert np.array_equal(late.masks["object"][t], scene.masks["object"][t - delay])
    covered = grown(scene.masks["object"] | late.masks["object"], 1)
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
    everywhere = grown(there.masks["object"] | back.masks["object"], 1)
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
def test_bad_arguments(arguments: dict, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        demo.render(**{"label": demo.UP, "seed": 0, **arguments})


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


def test_shipped_checkpoint_says_what_it_is() -> None:
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
        dtypes = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert dtypes == {torch.float32}
    assert metadata["format"] == "gradcam_video-1"
    assert metadata["architecture"] == "demo"
    assert tuple(json.loads(metadata["labels"])) == demo.NAMES
    assert json.loads(metadata["preprocessing"])["mean"] == list(demo.MEAN)
    assert "made moving shapes" in metadata["note"]
    assert WEIGHTS.stat().st_size <= 1_000_000


def test_shipped_network_knows_the_classes_and_looks_at_the_object(
    script: ModuleType, trained: nn.Module
) -> None:
    scores = script.score(trained, range(2_000_000, 2_000_006))  # 42 fresh clips
    moving = scores["all that move"]
    accuracy = np.mean([scores[name]["accuracy"] for name in demo.NAMES])
    assert accuracy >= 0.9
    assert moving["pointing"] >= 0.7
    assert moving["energy"] >= 2 * moving["uniform"]
    assert moving["energy"] >= 1.5 * moving["gaussian"]


def test_without_the_object_its_evidence_is_gone(script: ModuleType, trained: nn.Module) -> None:
    # The counterfactual: the same scene with nothing moving must not look like a motion.
    films = [
        script.as_film(demo.render(name, 2_100_000 + i, without=("object",)))
        for i, name in enumerate(MOVING)
    ]
    with torch.inference_mode():
        logits = trained(script.preprocess(torch.stack(films)))
    assert (logits.argmax(1) == demo.NAMES.index(demo.HOLDING)).float().mean() >= 0.8
