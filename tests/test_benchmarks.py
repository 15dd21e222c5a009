"""The benchmarks: a smoke run on a tiny network, and the arithmetic of the table by hand."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import common, compare, explain_speed, memory, rows
from gradcam_video import VideoModel

pytest.importorskip("pytorch_grad_cam")
pytest.importorskip("captum")
pytest.importorskip("torchcam")

ON_CPU = [row for row in rows.ROWS if not row.bf16]
SMALL = ["--net", "tabletop", "--sizes", "32", "--device", "cpu", "--rounds", "1", "--threads", "1"]


@pytest.fixture(autouse=True)
def as_before():
    """The commands set what holds for the whole process."""
    threads, tf32 = torch.get_num_threads(), torch.backends.cudnn.allow_tf32
    yield
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = tf32


# --- the whole command ---------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_writes_every_row_and_a_table(tmp_path: Path, capsys) -> None:
    readme = common.HERE.parent / "README.md"
    before = readme.read_bytes() if readme.exists() else None
    code = compare.main([*SMALL, "--memory-rounds", "0", "--out", str(tmp_path / "new")])
    assert code == 0
    text = (tmp_path / "new" / "results.json").read_text()
    results = json.loads(text)
    (size,) = results["sizes"]
    assert set(size["rows"]) == {row.key for row in ON_CPU}
    assert all(len(r["seconds"]) == 1 and r["seconds"][0] > 0 for r in size["rows"].values())
    assert size["rows"]["torch-cam/all"]["classes_run"] == 40
    assert size["rows"]["captum/all"]["classes_run"] == 2  # the rest is multiplied, and said
    assert size["feature_map"][1:] == [16, 4, 4]
    assert size["feature_map_mib"] == size["feature_map"][0] * 16 * 4 * 4 * 4 / 2**20
    agreement = size["agreement"]
    assert set(agreement) == {
        "logits, faster() and as loaded",
        "maps, gradcam_video, `faster()`",
        "maps, pytorch-grad-cam",
        "maps, captum",
        "maps, torch-cam",
    }
    assert 0 < max(agreement.values()) < 1e-4
    assert results["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert str(tmp_path) not in text and "--out new" in results["command"]
    table = (tmp_path / "new" / "table.md").read_text()
    assert all(f"| {row.title} |" in table for row in ON_CPU)
    assert results["machine"]["date"][:10] in table
    assert table in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["results.json", "table.md"]
    assert (readme.read_bytes() if readme.exists() else None) == before


@pytest.mark.slow
def test_different_answers_are_not_timed(tmp_path: Path, monkeypatch, capsys) -> None:
    def wrong(model, x, classes):
        return rows.gradcam_video(model, x, classes) * 1.001

    wrong_row = rows.Row("wrong/one", "wrong", wrong, classes="one")
    monkeypatch.setattr(compare, "ROWS", (*rows.ROWS[:4], wrong_row))
    options = [*SMALL, "--memory-rounds", "0", "--out", str(tmp_path)]
    assert compare.main(options) == 1
    assert "maps, wrong: 1.0e-03, not 1e-05" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert compare.main([*options, "--no-check"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--net", "tabletop"], "name another folder"),
        (["--sizes", "64"], "name another folder"),
        (["--no-check"], "name another folder"),
        (["--rounds", "0"], "1 or more"),
        (["--rows", "nothing", "--out", "x"], "no row 'nothing'"),
        (["--net", "resnet51"], "invalid choice"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], words: str, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def recorded_bytes(model: VideoModel, x: torch.Tensor) -> int:
    """What a forward that records its graph keeps, the parameters and the input left out."""
    held: dict[int, int] = {}
    mine = {t.data_ptr() for t in (*model.net.parameters(), *model.net.buffers(), x)}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in mine:
            held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.net(x)
    return sum(held.values())


OUTSIDE = pytest.mark.skipif(not memory.can_measure(), reason="no /proc/PID/clear_refs here")


@pytest.mark.slow
@OUTSIDE
def test_memory_is_seen_from_outside() -> None:
    found = memory.measure("torch-cam/all", "tabletop", 128, 1, 2)
    assert found["idle"] > 50 and found["peak"] >= found["after"]
    graph = recorded_bytes(common.build("tabletop", 128), common.random_clip(128)) / 2**20
    assert graph > 2  # MiB, else the next line says nothing
    # On top of the graph comes what the layer at work needs.
    assert 0.95 * graph < found["peak"] - found["idle"] < 4 * graph


@OUTSIDE
def test_memory_says_that_it_failed(monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match=r"measures memory failed \(1\)"):
        memory.measure("bare", "tabletop", 32, 1, 1)


@pytest.mark.slow
def test_explain_speed(tmp_path: Path, capsys) -> None:
    options = ["--net", "tabletop", "--size", "64", "--rounds", "1", "--out", str(tmp_path)]
    assert explain_speed.main(options) == 0
    results = json.loads((tmp_path / "explain_speed.json").read_text())
    seconds = {key: values[0] for key, values in results["seconds"].items()}
    assert set(seconds) == {"as loaded", "faster()", "all", *explain_speed.PARTS}
    assert seconds["all"] == pytest.approx(sum(seconds[p] for p in explain_speed.PARTS), abs=1e-4)
    assert all(value > 0 for value in seconds.values())
    assert "| saving |" in (tmp_path / "explain_speed.md").read_text()
    assert "| saving |" in capsys.readouterr().out


def test_explain_speed_of_no_video(tmp_path: Path, capsys) -> None:
    path = tmp_path / "words.mp4"
    path.write_text("no video")
    out = tmp_path / "out"
    options = [str(path), "--net", "tabletop", "--size", "32", "--rounds", "1", "--out", str(out)]
    assert explain_speed.main(options) == 2
    assert "words.mp4" in capsys.readouterr().err
    assert not out.exists()


# --- its parts -----------------------------------------------------------------------------------


def result_by_hand() -> dict:
    """Two rounds, the second on a machine twice as slow: the ratios must not see it."""

    def row(classes: str, run: int, seconds: list[float], peaks: list[float]) -> dict:
        row = {"classes": classes, "classes_run": run, "seconds": seconds, "peak_mib": peaks}
        return {**row, "cpu_seconds": [1.9 * s for s in seconds]}

    return {
        "size": 112,
        "device": "cpu",
        "classes": 40,
        "feature_map": [48, 16, 4, 4],
        "feature_map_mib": 2.0,
        "agreement": {"maps, captum": 2e-7, "logits, faster() and as loaded": 3e-6},
        "rows": {
            "bare": row("none", 0, [1.0, 2.0], [100.0, 102.0]),
            "bare faster": row("none", 0, [0.5, 1.0], [90.0, 90.0]),
            "gradcam_video/one": row("one", 1, [1.0, 2.0], [101.0, 101.0]),
            "gradcam_video/all": row("all", 40, [1.02, 2.04], [103.0, 105.0]),
            "gradcam_video faster/one": row("one", 1, [0.6, 1.2], [90.5, 90.5]),
            "gradcam_video faster/all": row("all", 40, [0.9, 1.8], [91.0, 91.0]),
            "captum/one": row("one", 1, [1.5, 3.0], [400.0, 400.0]),
            "captum/all": row("all", 2, [3.0, 6.0], [400.0, 400.0]),
        },
    }


def test_ratio_is_to_the_bare_forward_of_the_same_round() -> None:
    result = result_by_hand()
    assert compare.ratio(result, "captum/one") == (1.5, 1.5, 1.5)
    assert compare.ratio(result, "captum/all") == (60, 60, 60)  # 2 of 40 classes were run
    assert compare.ratio(result, "gradcam_video faster/all", "bare faster") == (1.8, 1.8, 1.8)
    assert compare.ratio(result, "torch-cam/all") is None


def test_extra_memory_is_beyond_the_bare_forward() -> None:
    result = result_by_hand()
    assert compare.extra(result, "gradcam_video/all", "bare") == 3.0
    assert compare.extra(result, "gradcam_video faster/all", "bare faster") == 1.0
    assert compare.extra(result, "torch-cam/all", "bare") is None
    result["rows"]["captum/all"]["peak_mib"] = []
    assert compare.extra(result, "captum/all", "bare") is None


def test_bars_say_what_is_not_met() -> None:
    time_same, time_faster, held = compare.bars(result_by_hand())
    assert (time_same["found"], time_same["met"]) == (1.02, True)
    assert (time_faster["found"], time_faster["met"]) == (0.9, False)  # above 0.85
    assert (held["found"], held["at_most"], held["met"]) == (3.0, pytest.approx(2.2), False)


def test_table_by_hand() -> None:
    result = result_by_hand()
    result["bars"] = compare.bars(result)
    facts = {**common.machine(2), "load_at_start": 0.0, "cores": 2}
    results = {"command": "c", "net": "tabletop", "machine": facts, "sizes": [result]}
    table = compare.render(results)
    assert (
        "| captum | 1.50 × (1.50–1.50) | +299.0 MiB | ≈ 60 × (60–60) | +299.0 MiB |"
    ) in table.splitlines()
    assert "at most 0.85: **not met**" in table and "at most 1.05: met" in table
    assert "(1 × = 1.50 s," in table
    assert "bfloat16" not in table and "torch-cam |" not in table  # were not run
    assert "disturbs less: bare faster 0.50 ×, gradcam_video/one 1.00 ×," in table
    assert "busy" not in table
    facts["load_at_start"] = 5.0
    assert "busy with other work when it began, load 5.0" in compare.render(results)


def test_interleaved_runs_every_row_once_a_round() -> None:
    order: list[str] = []
    results = compare.interleaved(
        ON_CPU, 4, lambda row: order.append(row.key) or len(order), lambda text: None
    )
    every = {row.key for row in ON_CPU}
    rounds = [order[i : i + len(ON_CPU)] for i in range(0, len(order), len(ON_CPU))]
    assert len(rounds) == 4 and all(set(r) == every for r in rounds)
    assert len({tuple(r) for r in rounds}) == 4
    assert all(results[key][1] == len(ON_CPU) + rounds[1].index(key) + 1 for key in every)


def test_which_classes_are_run() -> None:
    captum = rows.row_named("captum/all")
    assert captum.indices(40, 3) == [0, 13, 26]
    assert captum.indices(40, sys.maxsize) == list(range(40))  # --full
    assert rows.row_named("torch-cam/all").indices(40, 3) == list(range(40))
    assert rows.row_named("captum/one").indices(40, 3) == [20]
    assert rows.row_named("bare").indices(40, 3) == []


def test_readme_is_changed_between_the_markers_only(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert not compare.into_readme(readme, "table\n")
    readme.write_text("# Title\n\nno markers\n")
    assert not compare.into_readme(readme, "table\n")
    assert readme.read_text() == "# Title\n\nno markers\n"
    readme.write_text(f"above\n{compare.START}\nold\n{compare.END}\nbelow\n")
    assert compare.into_readme(readme, "new ü\n")
    assert compare.into_readme(readme, "newer ü\n")
    expected = f"above\n{compare.START}\nnewer ü\n{compare.END}\nbelow\n"
    assert readme.read_text(encoding="utf-8") == expected


def test_network_as_loaded_and_folded() -> None:
    loaded, fast = common.build("tabletop", 32), common.build("tabletop", 32, faster=True)
    norms = [m for m in loaded.net.modules() if isinstance(m, torch.nn.BatchNorm3d)]
    assert len(norms) == 8 and norms[0].running_mean.abs().max() > 0
    assert not any(isinstance(m, torch.nn.BatchNorm3d) for m in fast.net.modules())
    assert all(p.requires_grad for p in loaded.net.parameters())
    assert not any(m.training for m in loaded.net.modules())


def test_rows_leave_no_hooks() -> None:
    model, x = common.build("tabletop", 32), common.random_clip(32)
    for row in ON_CPU:
        row.way(model, x, [1])
    assert not any(m._forward_hooks or m._backward_hooks for m in model.net.modules())


def test_small_things() -> None:
    assert common.quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert common.quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)
    line = common.command_line(
        "benchmarks.x", ["--out", "/home/someone/secret/new", "--rows", "a/b"]
    )
    assert line == "python -m benchmarks.x --out new --rows a/b"
