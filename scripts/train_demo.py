"""Train the demonstration network on made moving shapes: under three minutes on two CPU cores.

    python scripts/train_demo.py

draws the clips, trains, measures accuracy and localisation on clips never trained on, and writes
`gradcam_video/weights/demo.safetensors`. Progress goes to stderr, the table of scores to stdout.

What makes it learn in so short a time, and look at the object:

- the first filters see only change: their sum over time starts at zero;
- every unit starts shy (batch norm shifted down), so that a place where nothing happens says
  nothing, and the activations are kept sparse (a small L1 term);
- the head starts as the best linear reading of the untrained features, found by logistic
  regression, because what tells left from right is a small part of their variance;
- each clip is mirrored, turned and played backwards at random, and the label follows.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcam_video import demo
from gradcam_video.models import DEMO_REMARK, VideoModel, save_model

OUT = Path(__file__).parents[1] / "gradcam_video" / "weights" / "demo.safetensors"
TEST_SEEDS = range(1_000_000, 1_000_040)
TRAIN_SEEDS = 3_000_000  # training clips are drawn from here on: no test uses them
STRIDE = 8  # input pixels per cell of the last map


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demonstration network.")
    parser.add_argument("--out", type=Path, default=OUT, help="the checkpoint to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=2000, help="clips to draw")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--sparse", type=float, default=2.0, help="weight of the L1 term")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(args.threads)

    films, labels = draw(args.clips, args.seed, args.threads)
    say(f"{args.clips} clips drawn", started)
    net = train(films, labels, args, started)
    seconds = time.monotonic() - started
    save(net, args.out, args.seed)
    say(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.2f} MB); scoring", started)
    print(table(score(net, TEST_SEEDS)))
    print(f"drawing and training took {seconds:.0f} s on {args.threads} threads")


# ---- clips ------------------------------------------------------------------------------------


def draw(count: int, seed: int, workers: int) -> tuple[Tensor, Tensor]:
    """uint8 films `(n, T, H, W, 3)` and labels `(n,)`, classes in turn, each scene drawn once."""
    jobs = [(i % len(demo.NAMES), TRAIN_SEEDS + 100_000 * seed + i) for i in range(count)]
    with ProcessPoolExecutor(workers) as pool:
        films = list(pool.map(_film, jobs, chunksize=50))
    return torch.from_numpy(np.stack(films)), torch.tensor([label for label, _ in jobs])


def _film(job: tuple[int, int]) -> np.ndarray:
    label, seed = job
    return demo.render(demo.NAMES[label], seed).clip.frames


def preprocess(films: Tensor) -> Tensor:
    """uint8 `(N, T, H, W, 3)` -> the network's input `(N, 3, T, H, W)`, channels last in memory."""
    x = (films / 255 - torch.tensor(demo.MEAN)) / torch.tensor(demo.STD)
    return x.permute(0, 4, 1, 2, 3)


# What a change of the clip makes of the label. Turning by a quarter (swapping height and width)
# makes left-to-right into top-to-bottom.
INDEX = {name: i for i, name in enumerate(demo.NAMES)}
BACKWARDS = torch.tensor([INDEX[demo.OPPOSITE[name]] for name in demo.NAMES])


def _exchange(*pairs: tuple[str, str]) -> Tensor:
    new = torch.arange(len(demo.NAMES))
    for a, b in pairs:
        new[INDEX[a]], new[INDEX[b]] = INDEX[b], INDEX[a]
    return new


MIRRORED = _exchange((demo.LEFT_TO_RIGHT, demo.RIGHT_TO_LEFT))
UPSIDE_DOWN = _exchange((demo.DOWN, demo.UP))
TRANSPOSED = _exchange((demo.LEFT_TO_RIGHT, demo.DOWN), (demo.RIGHT_TO_LEFT, demo.UP))


def augment(films: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Films `(N, T, H, W, C)`, all mirrored, turned, played backwards alike; their new labels."""
    backwards, mirrored, upside_down, transposed = (torch.rand(4) < 0.5).tolist()
    if backwards:
        films, labels = films.flip(1), BACKWARDS[labels]
    if mirrored:
        films, labels = films.flip(3), MIRRORED[labels]
    if upside_down:
        films, labels = films.flip(2), UPSIDE_DOWN[labels]
    if transposed:
        films, labels = films.transpose(2, 3), TRANSPOSED[labels]
    return films, labels


def batch(films: Tensor, labels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The network's input `(N, 3, T, H, W)` and labels `(N,)`, each clip augmented by itself."""
    pairs = [augment(films[row], labels[row]) for row in rows.split(1)]
    return preprocess(torch.cat([f for f, _ in pairs])), torch.cat([y for _, y in pairs])


# ---- training ---------------------------------------------------------------------------------


def train(films: Tensor, labels: Tensor, args: argparse.Namespace, started: float) -> nn.Module:
    torch.manual_seed(args.seed)
    net = start().to(memory_format=torch.channels_last_3d)
    maps: list[Tensor] = []  # the last activations, (N, C, T, h, w)
    handle = net.get_submodule("stage3").register_forward_hook(lambda m, i, o: maps.append(o))

    def features(x: Tensor) -> Tensor:
        maps.clear()
        net(x)
        return maps[0].mean((2, 3, 4))  # (N, C)

    # The head works on features of mean 0 and deviation 1 (of the untrained network), so that
    # its weights are of ordinary size; this is folded into it at the end.
    with torch.no_grad():
        pairs = [batch(films, labels, rows) for rows in torch.randperm(len(films))[:700].split(10)]
        untrained = torch.cat([features(x) for x, _ in pairs])  # (n, C)
    mean, deviation = untrained.mean(0), untrained.std(0) + 1e-6
    head = fit_head((untrained - mean) / deviation, torch.cat([y for _, y in pairs]))
    say("head fitted to the untrained features", started)

    body = [p for name, p in net.named_parameters() if not name.startswith("head.")]
    filters = [p for p in body if p.ndim > 1]
    others = [p for p in body if p.ndim == 1] + [*head.parameters()]
    groups = [{"params": filters, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=args.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.rate, total_steps=args.steps, pct_start=0.1, cycle_momentum=False
    )
    right = 0.5
    for step in range(1, args.steps + 1):
        x, y = batch(films, labels, torch.randint(len(films), (args.batch,)))
        pooled = features(x)
        logits = head((pooled - mean) / deviation)  # (N, K)
        sparse = min(1.0, 3 * step / args.steps) * pooled.mean()  # activations are not negative
        loss = F.cross_entropy(logits, y) + args.sparse * sparse
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(filters + others, 1.0)
        optimiser.step()
        schedule.step()
        right += 0.03 * ((logits.argmax(1) == y).float().mean().item() - right)
        if step % 25 == 0 or step == args.steps:
            progress = f"step {step}/{args.steps}: loss {loss.item():.2f}, accuracy {right:.2f}"
            say(progress, started)
    handle.remove()

    own = net.get_submodule("head")
    assert isinstance(own, nn.Linear)
    with torch.no_grad():
        own.weight.copy_(head.weight / deviation)
        own.bias.copy_(head.bias - own.weight @ mean)
    return net.eval().to(memory_format=torch.contiguous_format)


def start() -> nn.Module:
    """The untrained network, its numbers drawn so that it learns soon."""
    net = demo.network().train()
    for module in net.modules():
        # Inflation repeats a picture filter over time, which is blind to the order of frames.
        # There is no trained picture network to keep here, so the filters are drawn anew.
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm3d):
            nn.init.constant_(module.bias, -0.75)
    first = next(m for m in net.modules() if isinstance(m, nn.Conv3d))
    with torch.no_grad():
        first.weight -= first.weight.mean(2, keepdim=True)  # (out, in, t, h, w): sees change only
    return net


def fit_head(features: Tensor, labels: Tensor) -> nn.Linear:
    """Logistic regression: features `(n, C)` -> logits `(n, K)`."""
    head = nn.Linear(features.shape[1], len(demo.NAMES))
    solver = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(head(features), labels) + 1e-3 * head.weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return head


def save(net: nn.Module, out: Path, seed: int) -> None:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.num_batches_tracked = None  # a counter that no one needs
    model = VideoModel(
        net,
        demo.NAMES,
        size=demo.SIZE,
        mean=demo.MEAN,
        std=demo.STD,
        cam_layer="stage3",
        frames=demo.FRAMES,
        fps=demo.FPS,
        name="demo",
        remark=DEMO_REMARK,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    trained_on = f"made moving shapes (gradcam_video.demo), seed {seed}"
    save_model(model, out, {"name": "demo"}, trained_on=trained_on)


# ---- scores -----------------------------------------------------------------------------------


@torch.inference_mode()
def class_maps(net: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits `(N, K)` and Grad-CAM maps before ReLU `(N, K, T, h, w)`.

    With global average pooling and a linear head the weights of Grad-CAM (2017, eq. 1) are the
    head's own, up to one constant.
    """
    seen: list[Tensor] = []
    hook = net.get_submodule("stage3").register_forward_hook(lambda m, i, o: seen.append(o))
    logits = net(x)
    hook.remove()
    return logits, torch.einsum("kc,ncthw->nkthw", net.get_submodule("head").weight, seen[0])


def upsample(maps: Tensor, size: int) -> np.ndarray:
    """`(..., h, w)` -> `(..., size, size)`, linear, cell i at input pixel `STRIDE` × i."""
    cells = np.arange(maps.shape[-1])
    where = np.arange(size) / STRIDE
    weights = np.stack([np.interp(where, cells, row) for row in np.eye(len(cells))])  # (h, size)
    weights = weights.astype(np.float32)
    return np.einsum("...hw,hy,wx->...yx", maps.numpy(), weights, weights, optimize=True)


def grow(masks: np.ndarray, by: int) -> np.ndarray:
    """Masks `(T, H, W)` with every pixel within `by` pixels, along rows and columns."""
    x = torch.from_numpy(masks).float()
    x = F.max_pool2d(x, (2 * by + 1, 1), 1, (by, 0))
    return F.max_pool2d(x, (1, 2 * by + 1), 1, (0, by)).numpy() > 0


def score(net: nn.Module, seeds: range | list[int]) -> dict[str, dict[str, float]]:
    """Accuracy and localisation per class on fresh scenes, the map of the true class.

    Pointing and energy count the frames of the action only.

    - pointing: share of frames whose peak lies in the object's mask grown by 1/14 of the side (an
      empty map is a miss); middle: the same for the middle pixel of the frame.
    - energy: share of the map inside the mask; gaussian: the same for a bump in the middle
      (standard deviation 0.2 of the side); uniform: for a map that is the same everywhere.
    - when: share of clips whose strongest frame lies in the action (± 1); action: its chance.
    """
    side = demo.SIZE
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    gaussian = np.exp(-(x**2 + y**2) / (2 * (0.2 * side) ** 2))
    scores = {}
    for index, name in enumerate(demo.NAMES):
        rows = []
        for seed in seeds:
            scene = demo.render(name, seed)
            logits, signed = class_maps(net, preprocess(torch.from_numpy(scene.clip.frames)[None]))
            cam = upsample(signed[0, index].clamp(min=0), side)  # (T, H, W)
            first, last = scene.action
            truth = scene.masks["object"][first : last + 1]  # (t, H, W)
            grown = grow(truth, side // 14)
            part = cam[first : last + 1]
            frames = range(len(part))
            hits = [part[t].max() > 0 and grown[t].flat[part[t].argmax()] for t in frames]
            middle = [grown[t, side // 2, side // 2] for t in frames]
            when = cam.sum((1, 2)).argmax()
            rows.append(
                {
                    "accuracy": logits.argmax().item() == index,
                    "pointing": np.mean(hits),
                    "middle": np.mean(middle),
                    "energy": (part * truth).sum() / max(part.sum(), 1e-9),
                    "gaussian": (gaussian * truth).sum() / (gaussian.sum() * len(part)),
                    "uniform": truth.mean(),
                    "when": first - 1 <= when <= last + 1,
                    "action": min(1, (last - first + 3) / len(cam)),
                }
            )
        scores[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    moving = [scores[name] for name in demo.NAMES if name != demo.HOLDING]
    scores["all that move"] = {key: float(np.mean([s[key] for s in moving])) for key in moving[0]}
    return scores


def table(scores: dict[str, dict[str, float]]) -> str:
    keys = list(next(iter(scores.values())))
    lines = [f"{'class':42}" + "".join(f"{key:>10}" for key in keys)]
    for name, row in scores.items():
        lines.append(f"{name:42}" + "".join(f"{row[key]:10.3f}" for key in keys))
    return "\n".join(lines)


def say(text: str, started: float) -> None:
    print(f"{time.monotonic() - started:6.1f} s  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
