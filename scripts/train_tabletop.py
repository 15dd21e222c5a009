"""Train the network that ships as `tabletop`, and the controls it is compared with.

    python scripts/train_tabletop.py draw       # clips and single frames of the synthetic world
    python scripts/train_tabletop.py frames     # a 2D network learns from single frames
    python scripts/train_tabletop.py clips      # it is inflated and learns from clips
    python scripts/train_tabletop.py clips --start scratch | flat | shuffled
    python scripts/train_tabletop.py draw --photos DIR --hand GLB    # and randomised clips
    python scripts/train_tabletop.py adapt     # the network goes on with these

Everything is kept in --work. `clips` can be interrupted: the same command goes on; what `draw` has
finished is not drawn again. What the single frames teach is only what a frame can tell: which
family of things the action is done to (one word a frame), and, per cell of the last map, how much
of it is hand, thing or second thing.

The starts, same clips, same steps:
- inflated: from the 2D network, every filter repeated over 3 frames;
- scratch: the same network, random filters;
- flat: from the 2D network, not inflated: scores are averaged over frames, whose order it ignores;
- shuffled: as inflated, but trained and tested on clips whose frames are shuffled.

`adapt` is what makes the network useful for real videos: three in four of its clips are randomised
(domain_randomisation.py), and each is cut, tinted and retimed at random. It begins with what
`clips` has made.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from domain_randomisation import RandomisedPlan, photographs
from hands import HandMesh
from torch import Tensor, nn

from gradcam_video.data.augment import Augment
from gradcam_video.data.frame_cache import Cache
from gradcam_video.data.labels import FORTY_NAMES
from gradcam_video.models.checkpoints import save_model
from gradcam_video.models.inflation import inflate
from gradcam_video.models.registry import load_model
from gradcam_video.models.tabletop_net import SIZE, SmallResNet, network, without_norm
from gradcam_video.models.video_model import VideoModel
from gradcam_video.tabletop.scene import Plan, sample
from gradcam_video.tabletop.stage import Stage
from gradcam_video.training.loop import fit
from gradcam_video.training.recipe import Recipe
from gradcam_video.training.run_dir import Intervals

OUT = Path(__file__).parents[1] / "gradcam_video" / "models" / "weights" / "tabletop.safetensors"
PICTURES = OUT.with_stem("frames2d")
TRAIN_SEEDS, VALID_SEEDS, FRAME_SEEDS = 1_000_000_000, 500_000_000, 2_000_000_000
MIXED_SEEDS = 4_000_000_000
DRAWN = 240  # a scene is painted at this side and scaled down, as a real clip is read
SIDE = 120  # side of the stored clips: the network sees a window of 112 somewhere in it
MIXED_SIDE = 128  # of those for `adapt`, which are cut to 0.6 of it and more
FRAMES, RATE = 16, 4.0
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
REMARK = "knows only synthetic clips (Tabletop)"
STARTS = ("inflated", "scratch", "flat", "shuffled")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the network that ships as `tabletop`.")
    parser.add_argument("what", choices=["draw", "frames", "clips", "adapt"])
    parser.add_argument("--work", type=Path, default=Path("tabletop-work"))
    parser.add_argument("--clips", type=int, default=16_000, help="training clips to draw")
    parser.add_argument("--valid", type=int, default=400, help="clips to watch the training by")
    parser.add_argument("--scenes", type=int, default=6_000, help="two single frames of each")
    parser.add_argument(
        "--photos", type=Path, help="a folder of jpg pictures, see docs/tabletop.md"
    )
    parser.add_argument("--hand", type=Path, help="the glb of hands.py, with --photos")
    parser.add_argument("--mixed", type=int, default=8_000, help="clips for `adapt`")
    parser.add_argument("--plain", type=int, default=4_000, help="plain ones besides")
    parser.add_argument("--steps", type=int, default=2_000, help="of `adapt`")
    parser.add_argument("--start", choices=STARTS, default="inflated")
    parser.add_argument("--epochs", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--sparse", type=float, default=1.0, help="weight of the L1 term")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="bf16", help="no, bf16, fp16")
    parser.add_argument("--out", type=Path, help="default: the package's own file, if inflated")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.what == "draw":
        draw_clips(args.work / "train", args.clips, TRAIN_SEEDS, args.threads)
        draw_clips(args.work / "valid", args.valid, VALID_SEEDS, args.threads)
        draw_frames(args.work / "frames.npz", args.scenes, args.threads)
        if args.photos and args.hand:
            draw_mixed(
                args.work / "mixed", args.mixed, args.plain, args.photos, args.hand, args.threads
            )
    elif args.what == "frames":
        learn_frames(args.work, args.seed)
    elif args.what == "adapt":
        adapt(args)
    else:
        learn_clips(args)


# ---- drawing ------------------------------------------------------------------------------------


def _clip(job: tuple[int, int, bool]) -> np.ndarray:
    """One clip as the network will see it, uint8 (16, SIDE, SIDE, 3)."""
    cv2.setNumThreads(1)
    i, seed, tame = job
    if tame:
        Stage.wander = 0.0
    label = FORTY_NAMES[i % len(FORTY_NAMES)]
    without = ("distractors", "shake") if tame else ()
    size = (DRAWN, DRAWN)
    scene = sample(label, seed, frames=FRAMES, fps=RATE, size=size, without=without)
    small = (SIDE, SIDE)
    return np.stack([cv2.resize(p, small, interpolation=cv2.INTER_AREA) for p in scene.clip.frames])


def draw_clips(folder: Path, count: int, seed: int, workers: int, tame: bool = False) -> None:
    """`count` clips, classes in turn, into folder/frames.npy.

    tame: the action in the middle, nothing else on the table, the camera still.
    """
    jobs = [(i, seed + i, tame) for i in range(count)]
    draw(folder, _clip, jobs, SIDE, workers)


def draw(
    folder: Path, clip: Callable[[Any], np.ndarray], jobs: Sequence[Any], side: int, workers: int
) -> None:
    """What `clip` makes of each job, uint8 (16, side, side, 3), into folder/frames.npy."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "frames.npy").exists():
        return
    part = folder / "frames.part.npy"
    shape = (len(jobs), FRAMES, side, side, 3)
    frames = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
    started = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        for i, drawn in enumerate(pool.map(clip, jobs, chunksize=20)):
            frames[i] = drawn
            if i % 500 == 499:
                say(f"{i + 1} of {len(jobs)} clips drawn", started)
    frames.flush()
    part.rename(folder / "frames.npy")


def _mixed(job: tuple[int, Path | None, Path]) -> np.ndarray:
    """One clip for `adapt`, uint8 (16, MIXED_SIDE, MIXED_SIDE, 3)."""
    cv2.setNumThreads(1)
    i, photos, hand = job
    seed, label, rate = MIXED_SEEDS + i, FORTY_NAMES[i % len(FORTY_NAMES)], RATE
    plan: Plan
    if photos is not None:
        rng = np.random.default_rng(seed)
        plan = RandomisedPlan(label, seed, photographs(photos), HandMesh.read(hand))
        rate = float(rng.choice([RATE, rng.uniform(2.5, 7)]))
    else:
        plan = Plan(label, seed)
    indices, _, _ = plan.sampled(FRAMES, rate)
    small = (MIXED_SIDE, MIXED_SIDE)
    shown = {
        int(k): cv2.resize(
            plan.paint(int(k), (DRAWN, DRAWN))[0], small, interpolation=cv2.INTER_AREA
        )
        for k in np.unique(indices)
    }
    return np.stack([shown[int(k)] for k in indices])


def is_randomised(i: int, count: int) -> bool:
    """Whether a clip of `draw_mixed` has photographs in it: three in four of the first `count`."""
    return i < count and i // len(FORTY_NAMES) % 4 != 3


def draw_mixed(
    folder: Path, count: int, plain: int, photos: Path, hand: Path, workers: int
) -> None:
    """Clips for `adapt`, classes in turn, into folder/frames.npy.

    Args:
        count: so many, of which three in four are randomised.
        plain: so many more, as Tabletop draws them.
        photos, hand: see domain_randomisation.py.
    """
    jobs = [(i, photos if is_randomised(i, count) else None, hand) for i in range(count + plain)]
    draw(folder, _mixed, jobs, MIXED_SIDE, workers)


def read_clips(folder: Path) -> Cache:
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    return Cache(frames, [i % len(FORTY_NAMES) for i in range(len(frames))], FORTY_NAMES)


def _frames(i: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Two frames of a scene, their shares of hand, thing, second thing per pixel, and a word."""
    cv2.setNumThreads(1)
    plan = Plan(FORTY_NAMES[i % len(FORTY_NAMES)], FRAME_SEEDS + i)
    rng = np.random.default_rng(FRAME_SEEDS + i)
    pictures, shares = [], []
    for index in rng.choice(plan.frames, 2, replace=False):
        picture, roles = plan.paint(int(index), (160, 160))
        pictures.append(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        layers = [(roles == role).astype(np.float32) for role in (1, 2, 3)]
        small = [cv2.resize(x, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for x in layers]
        shares.append((np.stack(small, -1) * 255).astype(np.uint8))
    return np.stack(pictures), np.stack(shares), plan.words[0]


def draw_frames(path: Path, scenes: int, workers: int) -> None:
    if path.exists():
        return
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(_frames, range(scenes), chunksize=20))
    pictures, shares = (np.concatenate([d[k] for d in drawn]) for k in (0, 1))
    part = path.with_suffix(".part.npz")
    np.savez(part, x=pictures, m=shares, w=np.array([d[2] for d in drawn]).repeat(2))
    part.rename(path)


# ---- the picture network learns from frames -----------------------------------------------------


def learn_frames(work: Path, seed: int, steps: int = 2500, batch: int = 64) -> None:
    """Trains `SmallResNet` on single frames; writes its weights but for the head."""
    torch.manual_seed(seed)
    started = time.monotonic()
    stored = np.load(work / "frames.npz")
    pictures, shares = torch.from_numpy(stored["x"]), torch.from_numpy(stored["m"])
    words, families = np.unique(stored["w"], return_inverse=True)
    family = torch.from_numpy(families)
    net = SmallResNet(len(words)).to(memory_format=torch.channels_last)
    cells = nn.Conv2d(net.head.in_features, 3, 1)  # what each cell of the last map shows
    maps: list[Tensor] = []
    handle = net.stage3.register_forward_hook(lambda m, i, o: maps.append(o))
    weights = [*net.parameters(), *cells.parameters()]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": 0.02},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3, total_steps=steps, pct_start=0.1
    )
    change = Augment()
    rng = np.random.default_rng(seed)
    for step in range(1, steps + 1):
        rows = rng.integers(len(pictures), size=batch)
        x, m = _changed(pictures, shares, rows, change, rng)
        with torch.autocast("cpu", torch.bfloat16):
            maps.clear()
            word = net(x)
            shown = cells(maps[0])
        by_word = F.cross_entropy(word.float(), family[rows])
        by_cell = F.binary_cross_entropy_with_logits(shown.float(), m)
        optimiser.zero_grad(set_to_none=True)
        (by_word + 5 * by_cell).backward()
        nn.utils.clip_grad_norm_(weights, 2.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            say(f"step {step}/{steps}: word {by_word:.2f}, cells {by_cell:.4f}", started)
    handle.remove()
    state = {k: v for k, v in net.state_dict().items() if not k.startswith("head.")}
    torch.save(state, work / "frames.pt")
    safetensors.torch.save_file(state, PICTURES)  # what notebooks 02 and 03 begin with


def _changed(
    pictures: Tensor, shares: Tensor, rows: np.ndarray, change: Augment, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures (n, 3, SIZE, SIZE), shares per cell (n, 3, 14, 14), cropped and mirrored alike."""
    xs, ms = [], []
    for row in rows:
        seed = int(rng.integers(2**62))
        plain = Augment(change.flip, change.crop, 0.0, 0.0, 0.0)
        x, _ = change(pictures[row : row + 1], (SIZE, SIZE), np.random.default_rng(seed))
        m, _ = plain(shares[row : row + 1], (SIZE, SIZE), np.random.default_rng(seed))
        xs.append(x)
        ms.append(m)
    x = torch.cat(xs).permute(0, 3, 1, 2).float() / 255  # (n, 3, SIZE, SIZE)
    m = torch.cat(ms).permute(0, 3, 1, 2).float() / 255
    # Cell i is centred on pixel 8 i: the mean over the 8 pixels around it.
    m = F.avg_pool2d(F.pad(m, (4, 4, 4, 4)), 8)[..., :14, :14]
    x = (x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last), m


# ---- the inflated network learns from clips -----------------------------------------------------


def network_to_start_from(
    start: str,
    work: Path,
    seed: int,
    temporal_kernel: int = 3,
    padding: str = "replicate",
    **shape: Any,
) -> nn.Module:
    """The network before it has seen a clip; `shape` as `SmallResNet` takes it."""
    torch.manual_seed(seed)
    net2d = SmallResNet(len(FORTY_NAMES), norm=True, **shape)
    if start != "scratch":
        learnt = torch.load(work / "frames.pt", weights_only=True)
        unknown = net2d.load_state_dict(learnt, strict=False).unexpected_keys
        assert not unknown, unknown
    nn.init.normal_(net2d.head.weight, std=0.05)
    net = inflate(net2d, temporal_kernel, padding=padding, which="spatial")
    if temporal_kernel > 1:
        see_change(net)
    return net


@torch.no_grad()
def see_change(net: nn.Module) -> None:
    """Makes an inflated network ready to learn motion.

    Repeated over time, a filter is blind to the order of frames, and takes long to lose that. So
    three in four of the first filters keep their pattern but see its change only (their sum over
    time is zero); the fourth still sees what stands still, as the second thing in "holding
    something next to something". All later filters get a random profile in time besides, and every
    unit starts a little shy: where nothing happens nothing is said.
    """
    filters = [
        m.weight for m in net.modules() if isinstance(m, nn.Conv3d) and m.weight.shape[2] > 1
    ]
    for i, weight in enumerate(filters):
        picture = weight.sum(2, keepdim=True)  # (out, in, 1, h, w): the 2D filter
        profile = torch.randn(len(weight), 1, 3, 1, 1)
        profile -= profile.mean(2, keepdim=True)
        if i == 0:
            changing = torch.arange(len(weight)) % 4 != 0
            change = picture * profile / profile.norm(dim=2, keepdim=True)
            weight[changing] = change[changing]
        else:
            weight.add_(0.7 * picture * profile)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.bias.sub_(0.5)


def learn_clips(args: argparse.Namespace) -> None:
    data, valid = read_clips(args.work / "train"), read_clips(args.work / "valid")
    target = args.out or (OUT if args.start == "inflated" else None)
    folder = args.work / f"{args.start}-{args.seed}"
    recipe = recipe_for(
        args.start,
        epochs=args.epochs,
        rate=args.rate,
        sparse=args.sparse,
        precision=args.precision,
        seed=args.seed,
    )
    learn(args.start, args.work, folder, data, valid, recipe, target)


def adapt(args: argparse.Namespace) -> None:
    """Train the network on with randomised clips; writes `--out`, or a file in the work folder."""
    mixed = read_clips(args.work / "mixed")
    held = 480  # the first twelve of each class are kept back, three in four of them randomised
    data = Cache(mixed.frames[held:], mixed.targets[held:], FORTY_NAMES)
    valid = Cache(mixed.frames[:held], mixed.targets[:held], FORTY_NAMES)
    begin = args.work / f"inflated-{args.seed}" / "tabletop.safetensors"
    model = load_model(begin if begin.exists() else "tabletop", fast=False)
    recipe = Recipe(
        steps=args.steps,
        batch=16,
        rate=5e-4,
        warmup=0.05,
        label_smoothing=0.1,
        dropout=0.2,
        sparse=args.sparse,
        ema=0.998,
        augment=Augment(
            crop=(0.55, 1.0),
            brightness=0.25,
            contrast=0.25,
            saturation=0.25,
            tempo=0.1,
            time_shift=1,
        ),
        precision=args.precision,
        seed=args.seed,
    )
    fit(
        model,
        data,
        args.work / f"adapted-{args.seed}",
        recipe,
        valid=valid,
        architecture={"name": "tabletop", "temporal_kernel": 3},
        intervals=Intervals(log=50, evaluate=500, save_seconds=120, keep=250),
        resume=True,
        workers=1,
        cpu=not torch.cuda.is_available(),
    )
    target = args.out or args.work / f"adapted-{args.seed}" / "tabletop.safetensors"
    save_model(
        model,
        target,
        {"name": "tabletop", "temporal_kernel": 3},
        trained_on=f"Tabletop, randomised with photographs, seed {args.seed}",
    )


def recipe_for(start: str, **changes: Any) -> Recipe:
    """How every start is trained; `changes` are fields of `Recipe`."""
    # Windows at full scale only: scale and light vary in the synthetic world itself.
    window = (SIZE / SIDE, SIZE / SIDE)
    usual: dict[str, Any] = {
        "batch": 16,
        "sparse": 1.0,
        "ema": 0.998,
        "shuffle_frames": start == "shuffled",
        "augment": Augment(crop=window, brightness=0, contrast=0, saturation=0, time_shift=1),
        "precision": "bf16",
    }
    return Recipe(**(usual | changes))


def video_model(net: nn.Module, remark: str = REMARK) -> VideoModel:
    """The network as the package knows it: its classes, its input, where its maps are read."""
    return VideoModel(
        net,
        FORTY_NAMES,
        size=SIZE,
        mean=MEAN,
        std=STD,
        cam_layer="stage3",
        frames=FRAMES,
        fps=RATE,
        name="tabletop",
        remark=remark,
    )


def learn(
    start: str,
    work: Path,
    folder: Path,
    data: Cache,
    valid: Cache,
    recipe: Recipe,
    target: Path | None = None,
    net: nn.Module | None = None,
    remark: str = REMARK,
    keep_steps: int = 0,
    **shape: Any,
) -> Path:
    """Train in `folder` and write the network, its norm folded; `shape` as `network` takes it.

    `net`: what to start from, in place of what `network_to_start_from` gives; `remark`: what its
    outputs say of it.
    """
    started = time.monotonic()
    shape = {"temporal_kernel": 1 if start == "flat" else 3, **shape}
    net = net or network_to_start_from(start, work, recipe.seed, **shape)
    model = video_model(net, remark)
    architecture = {"name": "tabletop", **shape}
    log = fit(
        model,
        data,
        folder,
        recipe,
        valid=valid,
        architecture={**architecture, "norm": True},
        intervals=Intervals(log=50, evaluate=1000, save_seconds=120, keep=keep_steps),
        resume=True,
        workers=1,
        cpu=not torch.cuda.is_available(),
    )
    say(f"trained: {json.dumps(log[-1])}", started)
    target = target or folder / "tabletop.safetensors"
    plain = network(len(FORTY_NAMES), **shape)
    plain.load_state_dict(without_norm(model.net.state_dict()))
    model.net = plain.eval()
    save_model(model, target, architecture, trained_on=f"Tabletop, seed {recipe.seed}")
    say(f"wrote {target} ({target.stat().st_size / 1e6:.2f} MB)", started)
    return target


def say(text: str, started: float) -> None:
    print(f"{time.monotonic() - started:7.1f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
