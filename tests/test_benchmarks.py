"""The benchmarks: a smoke run on a tiny network, and the arithmetic of the table by hand."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import __main__ as runner
from benchmarks import common, compare, explain_speed, films, latency, memory, rows, start
from gradcam_video import VideoModel

# Looked for, not imported: the quick tests run none of the peers.
PEERS = ("pytorch_grad_cam", "captum", "torchcam")
pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(peer) is None for peer in PEERS),
    reason="the peers are not installed: the extra test",
)

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
    page = common.HERE.parent / "docs" / "speed.md"
    before = page.read_bytes()
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
    assert page.read_bytes() == before


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


def test_all_benchmarks_run_even_after_one_that_fails(monkeypatch, capsys) -> None:
    commands = []

    def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        commands.append(command[2:])
        return subprocess.CompletedProcess(command, "benchmarks.latency" in command)

    monkeypatch.setattr(runner.subprocess, "run", run)
    assert runner.main([]) == 1
    assert "failed: latency\n" in capsys.readouterr().err
    assert [module for module, *_ in commands] == [
        "benchmarks.start",
        "benchmarks.start",
        "benchmarks.latency",
        "benchmarks.explain_speed",
        "benchmarks.films",
        "benchmarks.compare",
    ]
    commands.clear()
    assert runner.main(["--only", "start"]) == 0
    assert commands == [["benchmarks.start"], ["benchmarks.start", "--uncompiled"]]
    with pytest.raises(SystemExit):
        runner.main(["--only", "nothing"])


@pytest.mark.parametrize("names", runner.BENCHMARKS.values())
def test_the_runner_names_what_there_is(names: tuple[tuple[str, ...], ...]) -> None:
    for module, *options in names:
        program = {"start": start, "latency": latency, "explain_speed": explain_speed}
        with pytest.raises(SystemExit) as stop:
            program.get(module, compare).main([*options, "--help"])
        assert stop.value.code == 0


# --- the start -----------------------------------------------------------------------------------

PYTHON = (sys.executable, "-I", "-S", "-c")
COUNTS = pytest.mark.skipif(not hasattr(os, "wait4"), reason="no os.wait4 here")


@COUNTS
def test_a_row_is_charged_for_what_it_starts_and_not_for_what_starts_it() -> None:
    _, least = start.cost(start.Row("small", (*PYTHON, "pass")), os.environ)
    assert 1 < least < 60  # this process, which holds torch, is far larger
    holds = "held = bytearray(100_000_000); held[::1000] = bytes(100_000)"
    works = "import time\nwhile time.process_time() < 0.2: pass"
    inner = f"{holds}\n{works}"
    outer = f"import subprocess; subprocess.run([*{PYTHON!r}, {inner!r}], check=True)"
    seconds, mb = start.cost(start.Row("large", (*PYTHON, outer)), os.environ)
    assert seconds >= 0.2  # the inner process alone used as much
    assert mb >= 100


@COUNTS
def test_a_row_that_fails_says_why() -> None:
    with pytest.raises(start.StartFailed, match="exit code 3: no good") as failed:
        code = "import sys; print('no good', file=sys.stderr); sys.exit(3)"
        start.cost(start.Row("x", (*PYTHON, code)), os.environ)
    assert failed.value.reason == "exit code 3"
    with pytest.raises(start.StartFailed, match="could not be started"):
        start.cost(start.Row("x", ("/no/such/program",)), os.environ)
    writes = start.Row("x", (*PYTHON, "open('a', 'w')"), writes=("a", "out/b"))
    with pytest.raises(start.StartFailed, match=r"^b not written$"):
        start.cost(writes, os.environ)


@COUNTS
@pytest.mark.parametrize("write", [True, False])
def test_bytecode_goes_into_its_own_folder_or_nowhere(tmp_path: Path, monkeypatch, write) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    env = start.environment(tmp_path, write=write)
    start.cost(start.Row("x", (sys.executable, "-c", "import this")), env)
    assert bool(list(tmp_path.rglob("this.*.pyc"))) == write


@COUNTS
def test_the_package_measured_is_the_one_beside(tmp_path: Path) -> None:
    code = (
        "import importlib.util, pathlib\n"
        "spec = importlib.util.find_spec('gradcam_video')\n"
        f"assert pathlib.Path(spec.origin).parents[1] == pathlib.Path({str(start.ROOT)!r})"
    )
    start.cost(
        start.Row("x", (sys.executable, "-c", code)), start.environment(tmp_path, write=True)
    )


def fake_start(costs: dict[str, list[float]], rounds: int) -> dict:
    """What `measure` gives when rows cost what is said, and one always fails."""
    asked: dict[str, int] = {}

    def run(row: start.Row) -> tuple[float, float]:
        if row.key == "broken":
            raise start.StartFailed("exit code 2", "in /home/someone")
        asked[row.key] = asked.get(row.key, -1) + 1
        number = asked[row.key]
        return (99, 99) if number == 0 else (costs[row.key][number - 1], 50.0 + number)

    bars = {"quick": (0.5, 60.0), "slow": (1.25, 51.0), "broken": (0.06, None)}
    listed = [
        start.Row(key, (), times=bars.get(key, (None, None))[0], mb=bars.get(key, (0, None))[1])
        for key in (start.BASE, *bars)
    ]
    return start.measure(listed, rounds, run, str)


def test_start_by_hand() -> None:
    # The machine is three times as slow in the second round: the multiples must not see it.
    costs = {start.BASE: [2.0, 6.0, 2.0], "quick": [0.5, 1.5, 0.5], "slow": [3.0, 9.0, 3.2]}
    found = fake_start(costs, 3)
    assert found["quick"]["seconds"] == [0.5, 1.5, 0.5]  # round 0 is not counted
    assert found["quick"]["peak_mb"] == [51.0, 52.0, 53.0]
    assert found["broken"] == {"at_most_times": 0.06, "at_most_mb": None, "failed": "exit code 2"}
    assert start.multiples(found, "quick") == (0.25, 0.25, 0.25)
    assert start.multiples(found, "slow") == (1.5, 1.5, pytest.approx(1.55))
    results = {
        "command": "c",
        "uncompiled": False,
        "machine": {**common.machine(2), "load_at_start": 0.0},
        "load": [0.25, 1.5],
        "rows": found,
    }
    table = start.render(results)
    lines = table.splitlines()
    assert (
        "| `quick` | 0.500 s | 0.250 (0.250–0.250) | 0.5: met | 52 MB | 60: met |" in lines
        and "| `slow` | 3.200 s | 1.500 (1.500–1.550) | 1.25: **not met** | 52 MB | "
        "51: **not met** |"
        in lines
        and "| `import torch` | 2.000 s | 1.000 (1.000–1.000) | – | 52 MB | – |" in lines
        and "| `broken` | failed: exit code 2 | | | | |" in lines
    )
    assert "/home" not in table and "of 3 interleaved rounds" in table
    assert "Load average before: 0.25, after: 1.5" in table
    assert "Every module was compiled before." in table
    assert "No module was compiled" in start.render({**results, "uncompiled": True})


def test_start_needs_something_to_divide_by() -> None:
    def fails(row: start.Row) -> tuple[float, float]:
        raise start.StartFailed("exit code 1")

    with pytest.raises(start.StartFailed):
        start.measure([start.Row(start.BASE, ())], 1, fails, str)


def test_start_rows_are_those_that_are_promised(tmp_path: Path) -> None:
    rows_ = {row.key: row for row in start.rows_for(tmp_path / "clip.mp4")}
    assert len(rows_) == 8 and start.BASE in rows_
    for command in ("gradcam-video --help", "gradcam-video --version"):
        assert (rows_[command].times, rows_[command].mb) == (0.06, 60)
    explain = rows_["gradcam-video explain CLIP --out DIR"]
    assert explain.times == 1.5
    assert explain.command[-4:] == ("explain", str(tmp_path / "clip.mp4"), "--out", "out")
    assert len(explain.writes) == 6 and "out/clip.mp4/overlay.gif" in explain.writes
    bars = {key: row.times for key, row in rows_.items() if key.startswith("import ")}
    assert sorted(bars.values(), key=str) == [0.03, 1.25, None]


# --- the player and the score --------------------------------------------------------------------


def test_latency_by_hand() -> None:
    frame = 1000 / 60
    keys = [(0.5 * frame, 0.1 * frame)] * 97 + [(9 * frame, 3 * frame)] * 3
    late = [(1.0 * frame, 0.1 * frame)] * 90 + [(2.5 * frame, 0.6 * frame)] * 10
    results = {
        "command": "c",
        "machine": {**common.machine(2), "load_at_start": 0.0},
        "load": [0.25, 1.5],
        "rows": {"here: frame": keys, "there: class": late, "score": [(2.0, 1.0), (4.0, 2.0)]},
    }
    table = latency.render(results)
    assert "| here: frame | 0.50 | 0.50 | 2: met | 0.10 | 0.10 | 0.5: met |" in table
    late_row = "| there: class | 1.00 | 2.50 | 2: **not met** | 0.10 | 0.60 | 0.5: **not met** |"
    assert late_row in table
    assert "100 keys each" in table
    assert "processor time: 0.50 (0.50–0.50), at most 1: met." in table
    assert "Load average before: 0.25, after: 1.5" in table
    alone = {**results, "rows": {"score": [(1.0, 1.5)]}}
    assert "1.50 (1.50–1.50), at most 1: **not met**" in latency.render(alone)
    assert "player" not in latency.render(alone)


def test_latency_without_a_browser(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(latency.shutil, "which", lambda name: None)
    monkeypatch.setattr(latency, "scoring", lambda: lambda: (2.0, 1.0))
    assert latency.main(["--rounds", "2", "--out", str(tmp_path)]) == 0
    assert "not here: chromium" in capsys.readouterr().err
    rows_ = json.loads((tmp_path / "latency.json").read_text())["rows"]
    assert rows_ == {"score": [[2.0, 1.0], [2.0, 1.0]]}
    assert "0.50 (0.50–0.50)" in (tmp_path / "latency.md").read_text()


def test_every_key_is_seen_once(browser: Any, tmp_path: Path) -> None:
    page = latency.saved_page(browser, tmp_path)
    for what in latency.CONTROLS:
        before = page.locator("canvas.gcv-picture").get_attribute("data-painted")
        pairs = latency.repaints(page, what, keys=2)
        assert len(pairs) == 4
        assert all(0 <= ours < took for took, ours in pairs)  # a part of the whole
        assert page.locator("canvas.gcv-picture").get_attribute("data-painted") == before
    page.close()


@pytest.mark.slow
def test_the_score_is_taken_apart_from_the_explaining() -> None:
    explaining, scoring = latency.scoring()()
    assert explaining > 0 and scoring > 0


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
    every = {row.key for row in ON_CPU}
    results = common.interleaved(
        [row.key for row in ON_CPU], 4, lambda key: order.append(key) or len(order), str
    )
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


def test_a_page_is_changed_between_the_markers_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert not compare.into_page(page, "table\n")
    page.write_text("# Title\n\nno markers\n")
    assert not compare.into_page(page, "table\n")
    assert page.read_text() == "# Title\n\nno markers\n"
    page.write_text(f"above\n{compare.START}\nold\n{compare.END}\nbelow\n")
    assert compare.into_page(page, "new ü\n")
    assert compare.into_page(page, "newer ü\n")
    expected = f"above\n{compare.START}\nnewer ü\n{compare.END}\nbelow\n"
    assert page.read_text(encoding="utf-8") == expected


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


# --- films --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_films_writes_counts_and_multiples(tmp_path: Path, capsys) -> None:
    options = ["--minutes", "0.1", "0.3", "--rounds", "1", "--out", str(tmp_path)]
    assert films.main(options) == 0
    results = json.loads((tmp_path / "films.json").read_text())
    assert set(results["decoded"]) == {f"{ending} {codec}" for ending, codec, _ in films.FILMS}
    few = results["decoded"]["mp4 libx264"]
    for name, count in results["decoded"].items():
        assert 16 <= count <= few + films.GOP, name
    assert set(results["seconds"]["avi libx264"]) == {"0.1", "0.3"}
    table = (tmp_path / "films.md").read_text()
    assert "| 0.1 min | 0.3 min |" in table and "| ts libx264 | " in table
    assert "1.00 (1.00–1.00)" in table and table in capsys.readouterr().out
