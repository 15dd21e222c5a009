"""The table of methods: what ships is what the page says, and a row can be made again."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcam_video as gv
from gradcam_video.attribution.methods import METHODS
from gradcam_video.metrics import score_clip
from gradcam_video.tabletop.export import FIRST_IDS, write_split

ROOT = Path(__file__).resolve().parents[1]
LIKE_GRADCAM = ("gradcam-per-step", "cam", "hirescam", "xgradcam")


sys.path.insert(0, str(ROOT / "scripts"))  # there its own processes find it, too
compare = importlib.import_module("compare_methods")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return gv.facts.measured("methods")


def row(found: dict[str, Any], method: str, measure: str, kind: str) -> dict[str, Any]:
    return found["methods"][method]["measures"][measure][kind]


# --- what ships -------------------------------------------------------------------------------


def test_the_page_has_the_tables_of_the_results(found: dict[str, Any]) -> None:
    text = compare.PAGE.read_text(encoding="utf-8")
    shown = text.split(compare.START)[1].split(compare.END)[0]
    assert shown == f"\n{compare.tables(found)}\n"


def test_every_method_is_there_on_as_many_clips_as_it_says(found: dict[str, Any]) -> None:
    assert set(found["methods"]) == set(METHODS)
    for method, one in found["methods"].items():
        assert one["n"] == found["clips"]["costly" if method in found["options"] else "clips"]
    assert found["clips"]["clips"] >= 1000 and found["clips"]["costly"] >= 200
    assert found["processor_minutes"] / 2 < 60  # of two cores, with nothing else to do
    assert "--data TEST" in found["command"] and found["versions"]["torch"]


def test_every_number_has_its_interval(found: dict[str, Any]) -> None:
    for one in found["methods"].values():
        for measure, kind in (compare.WHERE | compare.NETWORK).values():
            if number := one["measures"].get(measure, {}).get(kind):
                assert number["low"] <= number["mean"] <= number["high"] and number["n"] > 0


def test_a_map_drawn_at_random_scores_at_chance(found: dict[str, Any]) -> None:
    """Every measure of it; its order is no better than another random one."""
    uniform = found["beside"]["uniform"]
    for measure, kind in compare.WHERE.values():
        chance = {"following": 0.0, "splicing": 0.5}.get(measure)
        if chance is None:
            chance = uniform[measure][kind]["mean"]
        own = row(found, "random", measure, kind)
        spread = (own["high"] - own["low"]) / 2
        # Random cells are as noisy as they are many: half a frame's share is the measure of time.
        assert own["mean"] == pytest.approx(chance, abs=max(1.5 * spread, 0.05)), measure
    for what in ("deletion", "insertion"):
        for way in ("", "-space", "-time"):
            own = row(found, "random", f"{what}{way}_gain", "probability")
            assert own["low"] - 0.1 <= 0 <= own["high"] + 0.1, (what, way)
    for part in ("head", "all"):  # and it does not care which network it explains
        assert row(found, "random", "randomisation", part)["mean"] == 1


def test_shuffling_the_weights_takes_the_map_of_gradcam(found: dict[str, Any]) -> None:
    for part in ("head", "all"):
        assert abs(row(found, "gradcam", "randomisation", part)["mean"]) < 0.3


def test_behind_a_mean_five_methods_are_one(found: dict[str, Any]) -> None:
    for method in LIKE_GRADCAM:
        for measure, kind in compare.WHERE.values():
            own, its = (row(found, m, measure, kind)["mean"] for m in (method, "gradcam"))
            assert own == pytest.approx(its, abs=0.003), (method, measure)


def test_a_difference_on_the_same_clips_is_that_of_the_means(found: dict[str, Any]) -> None:
    for method, less in found["minus_gradcam"].items():
        for title, one in less.items():
            measure, kind = compare.WHERE[title]
            if title != "energy" and one["n"] == row(found, method, measure, kind)["n"]:
                its = found["gradcam_on_the_costly_clips"] if method in found["options"] else None
                its = (its or found["methods"]["gradcam"]["measures"])[measure][kind]["mean"]
                own = row(found, method, measure, kind)["mean"]
                assert one["mean"] == pytest.approx(own - its, abs=2e-4), (method, title)
    for method, less in found["minus_motion"].items():
        for measure, one in less.items():
            own = row(found, method, f"{measure}_gain", "probability")["mean"]
            its = found["beside"]["motion"][f"{measure}_gain"]["probability"]["mean"]
            assert one["mean"] == pytest.approx(own - its, abs=2e-4), (method, measure)


# --- made again -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(found: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> gv.SomethingSomething:
    """The first clips of the set, as `generate` makes them."""
    out = tmp_path_factory.mktemp("test-set")
    last = int(found["first"]["ids"][-1]) - FIRST_IDS["test"]
    write_split(out, "test", last + 1, seed=1)
    return gv.SomethingSomething(out, "test")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradcam", "eigencam"])
def test_a_row_made_again_is_the_same(
    found: dict[str, Any], data: gv.SomethingSomething, method: str
) -> None:
    model, kept = gv.load_model(found["model"]), found["first"]
    again: dict[str, list[float]] = {key: [] for key in kept["values"][method]}
    for name, label in zip(kept["ids"], kept["labels"], strict=True):
        i = data.ids.index(name)
        clip = data.clip(i)
        e = gv.explain(model, clip, method=method, classes=[label])
        truth = data.truth(i, clip)
        assert truth is not None
        values = score_clip(e, truth, label).values
        for key, column in again.items():
            measure, kind, who = key.split("/")
            column.append(values.get((measure, kind, who), math.nan))
    for key, column in again.items():
        before = [math.nan if v is None else v for v in kept["values"][method][key]]
        assert len(column) == compare.KEPT
        # Another decoder or processor may move a peak; the mean over 20 clips hardly moves.
        assert np.nanmean(column) == pytest.approx(np.nanmean(before), abs=0.02), key


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(
    data: gv.SomethingSomething, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = ["--clips", "2", "--costly", "0", "--curves", "1", "--spliced", "2", "--again", "1"]
    options = ["--data", str(data.root), "--work", str(tmp_path / "work"), "--processes", "1"]
    out = tmp_path / "methods.json"

    def run(*more: str) -> None:
        arguments = ["compare", *options, *counts, "--again-costly", "0", *more]
        monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(out)])
        compare.main()

    for method in compare.COSTLY:  # none of their clips, none of their rows
        monkeypatch.delitem(METHODS, method)
    run()
    first = json.loads(out.read_text())
    assert first["clips"]["clips"] == 2 and first["methods"]["gradcam"]["n"] == 2
    assert row(first, "gradcam", "deletion_gain", "probability")["n"] == 1
    assert row(first, "gradcam", "splicing", "halves")["n"] == 1
    records = sorted((tmp_path / "work").glob("clip-*.json"))
    kept = records[0].stat().st_mtime_ns
    records[1].unlink()
    run()
    assert records[0].stat().st_mtime_ns == kept and records[1].exists()
    assert (
        json.loads(out.read_text())["methods"]["gradcam"]["measures"]
        == (first["methods"]["gradcam"]["measures"])
    )
    with pytest.raises(SystemExit, match="other settings"):
        run("--curves", "2")
