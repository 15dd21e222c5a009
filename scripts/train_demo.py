"""Train the demonstration network on made moving shapes: under three minutes on two CPU cores.

    python scripts/train_demo.py

draws the clips, trains, measures accuracy and localisation on clips never trained on, and writes
`gradcam_video/weights/demo.safetensors`. Progress goes to stderr, the table of scores to stdout.

Two things make the maps sit on the object, beside a world in which the place of everything is
drawn widely: each clip is mirrored, turned and played backwards at random (the label follows),
and the last activations are kept sparse, so that a place where nothing happens says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from gradcam_video import demo

OUT = Path(__file__).parents[1] / "gradcam_video" / "weights" / "demo.safetensors"
TEST_SEEDS = range(1_000_000, 1_000_040)  # no training seed reaches these
STRIDE = 8  # input pixels per cell of the last map


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=2400, help="clips to draw")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--sparse", type=float, default=0.1, help="weight of the L1 term")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    started = time.monotonic()
    torch.set_num_threads(args.threads)

    clips, labels = draw(args.clips, args.seed, args.threads)
    say(f"{args.clips} clips drawn", started)
    net = train(clips, labels, args, started)
    seconds = time.monotonic() - started
    say("trained", started)

    save(net, args.out, args.seed)
    say(f"wrote {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)", started)
    print(table(score(net, TEST_SEEDS)))
    print(f"drawing and training took {seconds:.0f} s on {args.threads} threads")


# ---- clips ------------------------------------------------------------------------------------


def draw(count: int, seed: int, workers: int) -> tuple[Tensor, Tensor]:
    """uint8 `(n, 3, T, H, W)` and labels `(n,)`; every scene is drawn once, classes in turn."""
    jobs = [(i % len(demo.NAMES), 100_000 * seed + i) for i in range(count)]
    with ProcessPoolExecutor(workers) as pool:
        films = list(pool.map(_film, jobs, chunksize=50))
    return torch.stack(films), torch.tensor([label for label, _ in jobs])


def _film(job: tuple[int, int]) -> Tensor:
    label, seed = job
    return as_film(demo.render(demo.NAMES[label], seed))


def as_film(scene: demo.Scene) -> Tensor:
    return torch.from_numpy(scene.clip.frames).permute(3, 0, 1, 2).contiguous()  # (3, T, H, W)


def preprocess(films: Tensor) -> Tensor:
    """uint8 `(N, 3, T, H, W)` -> the network's input, float."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (demo.MEAN, demo.STD))
    return (films / 255 - mean) / std


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


def augment(film: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """One clip `(3, T, H, W)` mirrored, turned, played backwards at random; its new label."""
    backwards, mirrored, upside_down, transposed = (torch.rand(4) < 0.5).tolist()
    if backwards:
        film, label = film.flip(1), BACKWARDS[label]
    if mirrored:
        film, label = film.flip(3), MIRRORED[label]
    if upside_down:
        film, label = film.flip(2), UPSIDE_DOWN[label]
    if transposed:
        film, label = film.transpose(2, 3), TRANSPOSED[label]
    return film[torch.randperm(3)], label  # colours mean nothing


# ---- training ---------------------------------------------------------------------------------


def train(clips: Tensor, labels: Tensor, args: argparse.Namespace, started: float) -> nn.Module:
    torch.manual_seed(args.seed)
    net = demo.network().train()
    # Inflation repeats a picture filter over time, which is blind to the order of frames. There
    # is no trained picture network to keep here, so the filters are drawn anew.
    for module in net.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    net = net.to(memory_format=torch.channels_last_3d)
    head = net.get_submodule("head")
    seen: dict[str, Tensor] = {}
    handle = net.get_submodule("stage3").register_forward_hook(
        lambda module, inputs, output: seen.update(maps=output)
    )

    decay = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=args.rate)
    steps = args.epochs * (len(clips) // args.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, args.rate, total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    right, step = 0.0, 0
    for _ in range(args.epochs):
        for rows in torch.randperm(len(clips)).split(args.batch):
            if len(rows) < args.batch:
                continue
            pairs = [augment(clips[row], labels[row]) for row in rows.tolist()]
            x = preprocess(torch.stack([film for film, _ in pairs]))  # (N, 3, T, H, W)
            y = torch.stack([label for _, label in pairs])  # (N,)
            logits = net(x.contiguous(memory_format=torch.channels_last_3d))  # (N, K)
            sparse = seen["maps"].mean() * min(1, 3 * step / steps)
            loss = F.cross_entropy(logits, y) + args.sparse * sparse
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            right += 0.05 * ((logits.argmax(1) == y).float().mean().item() - right)
            if step % 50 == 0 or step == steps:
                say(f"step {step}/{steps}: loss {loss.item():.3f}, running accuracy {right:.2f}, activation {seen['maps'].mean().item():.3f}", started)
    handle.remove()
    return net.eval().to(memory_format=torch.contiguous_format)


def save(net: nn.Module, out: Path, seed: int) -> None:
    """Write the checkpoint whole or not at all."""
    preprocessing = {
        "size": [demo.SIZE, demo.SIZE],
        "resize": [demo.SIZE],
        "mean": list(demo.MEAN),
        "std": list(demo.STD),
        "frames": demo.FRAMES,
        "fps": demo.FPS,
    }
    metadata = {
        "format": "gradcam_video-1",
        "architecture": "demo",
        "labels": json.dumps(demo.NAMES),
        "preprocessing": json.dumps(preprocessing),
        "trained_on": f"made moving shapes (gradcam_video.demo), seed {seed}",
        "note": "demonstration network: knows only made moving shapes",
    }
    # The count of batches seen is an integer that no one needs; everything else is float32.
    tensors = {k: v.contiguous() for k, v in net.state_dict().items() if v.is_floating_point()}
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    try:
        save_file(tensors, part, metadata)
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


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


def score(net: nn.Module, seeds: range | list[int]) -> dict[str, dict[str, float]]:
    """Accuracy and localisation per class on fresh scenes, the map of the true class.

    Localisation counts the frames of the action only. `energy` is the share of the map inside the
    object's mask; `pointing` the share of frames whose peak lies in the mask grown by 1/14 of
    the side (an empty map is a miss); `when` the share of clips whose strongest frame lies in
    the action (± 1). `uniform` and `gaussian` are the energies of a map that is the same
    everywhere, and of a bump in the middle (standard deviation 0.2 of the side).
    """
    side = demo.SIZE
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    gaussian = np.exp(-(x**2 + y**2) / (2 * (0.2 * side) ** 2))
    scores = {}
    for index, name in enumerate(demo.NAMES):
        rows = []
        for seed in seeds:
            scene = demo.render(name, seed)
            logits, signed = class_maps(net, preprocess(as_film(scene)[None]))
            cam = upsample(signed[0, index].clamp(min=0), side)  # (T, H, W)
            first, last = scene.action
            truth = scene.masks["object"][first : last + 1]  # (t, H, W)
            grown = F.max_pool2d(torch.from_numpy(truth).float(), 17, 1, 8).numpy() > 0
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
