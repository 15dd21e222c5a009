"""Does a peak of Grad-CAM at frame t prove that frame t was used? Notebook 08's experiment.

    python scripts/peak_frames.py                # 100 clips of tabletop, about 20 minutes

The clips are `gv.tabletop.sample(label, seed)`: every class, then the next seed, of those that
`tabletop` names rightly; camera classes are left out. Of each the frames are replaced one at a time
(`gradcam_video/lessons/peak.py`), and the fall of the true class's logit is held against the map's
evidence in that frame. A file for each clip goes into --work; run again, it goes on where it was.
At the end comes gradcam_video/lessons/measured/peak.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

import gradcam_video as gv
from gradcam_video.files import atomic_write
from gradcam_video.lessons.peak import answers
from gradcam_video.metrics.faithfulness import cell_shape, motion_cells
from gradcam_video.metrics.localisation import spearman

OUT = Path(gv.__file__).parent / "lessons" / "measured" / "peak.json"
EDITS = {"hold": ("hold", 1), "between": ("between", 1), "hold, three frames": ("hold", 3)}
FIRST_SEED = 5_000_000  # no clip of the training or test set, nor of a notebook

Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("peak-work"))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    model, stop = gv.load_model("tabletop"), time.monotonic() + args.seconds
    records: list[Record] = []
    number = 0
    while len(records) < args.clips:
        path = args.work / f"{number}.json"
        if not path.exists():
            if time.monotonic() > stop:
                print(f"{len(records)} of {args.clips} clips; run again to go on")
                return
            name = gv.FORTY_NAMES[number % 40]
            record = examined(model, name, FIRST_SEED + number // 40)
            with atomic_write(path) as file:
                file.write_text(json.dumps(record), "utf-8")
        if record := json.loads(path.read_text("utf-8")):
            records.append(record)
        number += 1
    write(records)


def examined(model: gv.VideoModel, name: str, seed: int) -> Record | None:
    """Evidence, motion and falls of one clip; None: its class is not named, or is the camera's."""
    scene = gv.tabletop.sample(name, seed)
    e = gv.explain(model, scene.clip)
    k = gv.find_label(name, model.labels)
    if scene.truth.whole or int(e.logits.argmax()) != k:
        return None
    x, view = model.preprocess(scene.clip)
    found: Record = {
        "label": name,
        "seed": seed,
        "action": [int(t) for t in scene.action],
        "seen": (~scene.clip.repeated).tolist(),
        "evidence": e.evidence(k).tolist(),
        "motion": motion_cells(x, cell_shape(view))[0].sum((1, 2)).tolist(),
    }
    for what, (way, width) in EDITS.items():
        logits = answers(model, x, way, width).numpy()  # (T, K)
        found[what] = {
            "falls": (e.logits[k] - logits[:, k]).tolist(),
            "kept": (logits.argmax(1) == k).tolist(),
        }
    return found


def of_clip(record: Record, what: str) -> dict[str, float]:
    """The numbers of one clip and one edit. Frames that repeat the one before are left out."""
    seen = np.array(record["seen"])
    falls, kept = (np.array(record[what][name])[seen] for name in ("falls", "kept"))
    evidence, motion = (np.array(record[name])[seen] for name in ("evidence", "motion"))
    at = np.arange(len(falls))
    peak, moves, worst = (int(v.argmax()) for v in (evidence, motion, falls))
    first, last = record["action"]
    action = (at >= first) & (at <= last) & (at != peak)
    others = falls[at != peak]
    nan = float("nan")
    return {
        "peak": falls[peak],
        "other frames": float(others.mean()),
        "other frames of the action": float(falls[action].mean()) if action.any() else nan,
        "peak of motion": falls[moves],
        "minus other frames": falls[peak] - float(others.mean()),
        "minus other frames of the action": falls[peak] - float(falls[action].mean())
        if action.any()
        else nan,
        "minus peak of motion": falls[peak] - falls[moves],
        "no fall at the peak": float(falls[peak] <= 0),
        "answer changes at the peak": float(not kept[peak]),
        "peak is the worst frame": float(peak == worst),
        "worst frame is one frame away at most": float(abs(peak - worst) <= 1),
        "worst frame is two frames away at most": float(abs(peak - worst) <= 2),
        "a frame of chance is the worst": 1 / len(falls),
        "a frame of chance is two frames away at most": float((abs(at - worst) <= 2).mean()),
        "peak of motion is the worst frame": float(moves == worst),
        "evidence and falls, spearman": spearman(evidence, falls),
        "motion and falls, spearman": spearman(motion, falls),
    }


def interval(values: Sequence[float]) -> dict[str, Any]:
    """A mean over clips and its 95 % interval, clips drawn again."""
    known = np.array(values, float)
    known = known[~np.isnan(known)]
    n = len(known)
    rng = np.random.default_rng(0)
    drawn = known[rng.integers(0, n, (1000, n))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    mean, low, high = (round(float(v), 4) for v in (known.mean(), low, high))
    return {"mean": mean, "low": low, "high": high, "n": n}


def write(records: Sequence[Record]) -> None:
    edits = {}
    for what in EDITS:
        rows = [of_clip(record, what) for record in records]
        edits[what] = {name: interval([row[name] for row in rows]) for name in rows[0]}
    found = {
        "command": f"python scripts/peak_frames.py --clips {len(records)}",
        "date": date.today().isoformat(),
        "device": f"{os.cpu_count()} CPU cores",
        "model": "tabletop",
        "seeds": f"from {FIRST_SEED} on",
        "clips": len(records),
        "edits": edits,
    }
    with atomic_write(OUT) as file:
        file.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", "utf-8")
    print(json.dumps(edits, indent=1))


if __name__ == "__main__":
    main()
