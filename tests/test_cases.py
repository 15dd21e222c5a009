"""Case studies: the rule, the choice, the command that draws them, and their page."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradcam_video.cases import clips
from gradcam_video.cases.clips import data_for
from gradcam_video.cases.page import figures_page
from gradcam_video.cases.rule import Case, choose, kind_of, margin, rank
from gradcam_video.cli import figures
from gradcam_video.cli.parser import run
from gradcam_video.data.clip import Clip
from gradcam_video.data.datasets import half_of
from gradcam_video.data.labels import FORTY, FORTY_NAMES
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.models.tabletop_net import SIZE, network
from gradcam_video.models.video_model import VideoModel
from gradcam_video.tabletop.scene import sample

LABELS = ("ant", "bee", "cat", "dog")

HOLDING, UP = "Holding [something]", "Picking [something] up"
SEVEN = (HOLDING, UP, *[name for name in FORTY_NAMES if name.startswith("Moving")][:5])


def explained(
    probabilities: list[float],
    true: str | None = None,
    source: str = "a.mp4",
    note: str = "",
    **more: object,
) -> Explanation:
    """An explanation of a tiny clip with these probabilities."""
    clip = Clip(np.zeros((2, 8, 8, 3), np.uint8), np.arange(2) / 4, np.zeros(2, bool), source, note)
    grid = Grid(Axis(2, 2, 0, 1), Axis(2, 8, 0, 4), Axis(2, 8, 0, 4), View(8, 8, 8, 8))
    e = Explanation(
        clip=clip,
        labels=LABELS,
        logits=np.log(np.array(probabilities) / sum(probabilities)).astype(np.float32),
        classes=np.arange(4),
        signed=np.ones((4, 2, 2, 2), np.float32),
        grid=grid,
        model="toy",
        **more,  # ty: ignore
    )
    return e.with_label(true)


# --- the rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "true", "place", "gap", "kind"),
    [
        ([0.9, 0.05, 0.03, 0.02], "ant", 1, 0.85, "positive"),
        ([0.6, 0.29, 0.06, 0.05], "ant", 1, 0.31, "positive"),
        ([0.5, 0.3, 0.1, 0.1], "ant", 1, 0.2, "medium"),
        ([0.34, 0.25, 0.21, 0.2], "bee", 2, -0.09, "medium"),  # as the post's sample 1432
        ([0.65, 0.3, 0.03, 0.02], "bee", 2, -0.35, "negative"),  # second, but the first is sure
        ([0.3, 0.28, 0.27, 0.15], "cat", 3, -0.03, "negative"),  # near, but two others are before
        ([0.97, 0.01, 0.01, 0.01], "dog", 4, -0.96, "negative"),
    ],
)
def test_rule(probabilities: list[float], true: str, place: int, gap: float, kind: str) -> None:
    e = explained(probabilities)
    assert margin(e, true) == pytest.approx(gap, abs=1e-6)
    assert kind_of(e, true) == kind
    if place < 4:
        assert rank(e, true) == place


def test_the_post_itself_is_not_separable_by_numbers() -> None:
    """Its negative sample 1632 has a smaller gap than its medium sample 1432."""
    medium = explained([0.34, 0.25, 0.21, 0.2])
    negative = explained([0.19, 0.15, 0.14, 0.1])
    assert abs(margin(negative, "bee")) < abs(margin(medium, "bee"))
    assert kind_of(medium, "bee") == kind_of(negative, "bee") == "medium"


def test_margin_of_a_single_class() -> None:
    e = explained([1, 1, 1, 1])
    one = Explanation(e.clip, ("ant",), np.zeros(1, np.float32), np.arange(1), e.signed[:1], e.grid)
    assert margin(one, "ant") == 1.0
    assert kind_of(one, "ant") == "positive"


def test_equal_logits_count_against_the_true_class() -> None:
    assert rank(explained([1, 1, 1, 1]), "ant") == 4


# --- the choice -------------------------------------------------------------------------------


def sure(true: str, p: float, **more: str) -> Explanation:
    """The true class has p, the others share the rest evenly."""
    rest = (1 - p) / 3
    return explained([p if name == true else rest for name in LABELS], true, **more)


def test_fourteen_as_in_the_post() -> None:
    many = [sure(name, p) for p in (0.9, 0.8, 0.7) for name in LABELS]
    many += [sure(name, p) for p in (0.4, 0.45) for name in LABELS]
    many += [sure(name, p) for p in (0.01, 0.02) for name in LABELS]
    cases = choose(many)
    assert [c.section for c in cases] == ["positive"] * 7 + ["medium"] * 4 + ["negative"] * 3
    assert all(c.kind == c.section and not c.stands_in for c in cases)
    assert all(c.kind == kind_of(c.explanation, c.true_label) for c in cases)


def test_every_class_before_any_comes_twice() -> None:
    many = [sure("ant", p) for p in (0.99, 0.98, 0.97)] + [sure("bee", 0.7), sure("cat", 0.8)]
    cases = choose(many, positive=4, medium=0, negative=0)
    assert [c.true_label for c in cases] == ["ant", "cat", "bee", "ant"]
    assert [round(float(c.explanation.probabilities.max()), 2) for c in cases] == [
        0.99,
        0.8,
        0.7,
        0.98,
    ]


def test_clips_of_another_sort_before_more_of_the_same() -> None:
    many = [sure("ant", 0.99, note="noise"), sure("bee", 0.98, note="noise")]
    many += [sure("bee", 0.9, note="dark"), sure("ant", 0.8, note="dark")]
    cases = choose(many, positive=3, medium=0, negative=0)
    shown = [(c.true_label, c.explanation.clip.note) for c in cases]
    assert shown == [("ant", "noise"), ("bee", "dark"), ("bee", "noise")]


def test_clearest_example_of_each_kind_first() -> None:
    medium = [
        explained([0.45, 0.25, 0.2, 0.1], "ant", source="wide"),
        explained([0.31, 0.3, 0.2, 0.19], "ant", source="close"),
    ]
    negative = [
        explained([0.1, 0.6, 0.2, 0.1], "dog", source="unsure"),
        explained([0.0001, 0.99, 0.005, 0.0049], "dog", source="sure"),
    ]
    cases = choose(medium + negative, positive=0, medium=2, negative=2)
    assert [c.explanation.clip.source for c in cases] == ["close", "wide", "sure", "unsure"]


def test_the_same_in_the_same_order() -> None:
    many = [sure(LABELS[i % 4], 0.9, source=str(i)) for i in range(20)]
    first, again = choose(many), choose(many)
    assert [c.explanation.clip.source for c in first] == [c.explanation.clip.source for c in again]
    assert [c.explanation.clip.source for c in first[:4]] == ["0", "1", "2", "3"]  # ties: as given


def test_a_network_that_is_never_wrong_stands_in_and_says_so() -> None:
    many = [sure(name, p) for p in (0.99, 0.95, 0.9, 0.6) for name in LABELS]
    cases = choose(many)
    assert len(cases) == 14
    assert {c.kind for c in cases} == {"positive"}  # nothing is called what it is not
    assert [c.section for c in cases if c.stands_in] == ["medium"] * 4 + ["negative"] * 3
    kept = [c.margin for c in cases if not c.stands_in]
    assert max(c.margin for c in cases if c.section == "medium") < min(kept)
    page = figures_page([(f"f{i}", c) for i, c in enumerate(cases)], origin="", command="make")
    assert page.count("Stands in: this one is positive") == 7
    assert "Only 0 of these 3 are negative" in page


def test_a_network_that_is_always_wrong() -> None:
    cases = choose([sure(name, 0.01) for name in LABELS * 4])
    assert {c.kind for c in cases} == {"negative"}
    assert sum(c.stands_in for c in cases) == 11


def test_no_clip_comes_twice_and_few_clips_give_few_cases() -> None:
    many = [sure("ant", 0.9), sure("bee", 0.9), sure("cat", 0.01)]
    cases = choose(many)
    assert len(cases) == 3
    assert len({id(c.explanation) for c in cases}) == 3


def test_choose_needs_true_labels_and_counts() -> None:
    with pytest.raises(BadInput, match=r"a\.mp4: its true label is not known"):
        choose([explained([1, 1, 1, 1])])
    with pytest.raises(BadInput, match="medium=-1"):
        choose([], medium=-1)
    with pytest.raises(BadInput, match="zebra"):
        choose([explained([1, 1, 1, 1], "zebra")])


@pytest.mark.parametrize("count", range(1, 30))
def test_split_adds_up(count: int) -> None:
    parts = figures.split(count)
    assert sum(parts.values()) == count
    assert min(parts.values()) >= 0


def test_split_of_fourteen() -> None:
    assert figures.split(14) == {"positive": 7, "medium": 4, "negative": 3}


# --- the page ---------------------------------------------------------------------------------


class _Addresses(HTMLParser):
    """Everything a page points to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def addresses(page: str) -> list[str]:
    parser = _Addresses()
    parser.feed(page)
    return parser.found


def a_case(kind: str = "negative", **more: object) -> Case:
    e = explained([0.9, 0.05, 0.03, 0.02], "bee", **more)  # ty: ignore
    return Case(kind, e, "bee", kind)


def test_page_says_what_it_shows() -> None:
    page = figures_page([("negative-01", a_case())], origin="From a test.", command="run --me")
    for words in ("From a test.", "run --me", "90 %", "5 %", "place 2, margin -0.85", "✓ true"):
        assert words in page, words
    assert "<h2>Negative</h2>" in page
    assert "<h2>Positive</h2>" not in page
    assert "UNTRAINED" not in page


def test_page_of_an_untrained_network_says_so_at_the_top_and_on_each() -> None:
    case = a_case(untrained=True)
    page = figures_page([("negative-01", case), ("negative-02", case)], origin="", command="")
    assert page.count("UNTRAINED") == 3


def test_page_escapes_what_files_are_called() -> None:
    case = a_case(source="<script>alert(1)</script>.mp4", remark="<b>")
    page = figures_page([("negative-01", case)], origin="<i>", command="a & b")
    assert "<script>alert" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "a &amp; b" in page


# --- the command ------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven clips of the made world, and a network of their classes without weights."""
    monkeypatch.setattr(clips, "SCENES_PER_CLASS", 1)
    monkeypatch.setattr("gradcam_video.models.registry.load_model", untrained_model)


def untrained_model(name: str = "tabletop", *_: object, **__: object) -> VideoModel:
    import torch

    torch.manual_seed(0)
    labels = SEVEN if name == "tabletop" else [f"class {i}" for i in range(7)]
    return VideoModel(network(7), labels, size=SIZE, name=name, untrained=True, quiet=True)


def run_figures(*words: object) -> int:
    return run(["figures", *map(str, words)])


@pytest.mark.slow
def test_figures_end_to_end(
    tmp_path: Path,
    small: None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "figures"
    assert run_figures("--out", out, "--count", 2) == 0
    assert capsys.readouterr().out.strip() == str(out / "index.html")
    assert [p.name for p in tmp_path.iterdir()] == ["figures"]  # nothing beside it

    page = (out / "index.html").read_text(encoding="utf-8")
    links = [link for link in addresses(page) if not link.startswith("data:")]
    assert len(links) == 2 * 5
    for link in links:
        assert (out / link).is_file(), link
    assert not re.search(r"https?:|//[a-z]", page)
    assert "UNTRAINED" in page

    folders = sorted(p for p in out.iterdir() if p.is_dir())
    assert len(folders) == 2
    for folder in folders:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert folder.name.startswith(summary["kind"])
        assert summary["true_label"] in summary["shown"]
        assert summary["untrained"]
        gif = Image.open(folder / "overlay.gif")
        assert getattr(gif, "n_frames", 1) == 16

    # A second run replaces the first.
    monkeypatch.setattr(figures, "write_figure", lambda case, folder: folder.mkdir())
    assert run_figures("--out", out, "--count", 1) == 0
    assert len([p for p in out.iterdir() if p.is_dir()]) == 1


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, small: None) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match="holds other files"):
        run_figures("--out", tmp_path)
    (tmp_path / "index.html").write_text("a page of mine")
    with pytest.raises(BadInput, match="holds other files"):
        run_figures("--out", tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_whole_or_not_at_all(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    out = tmp_path / "figures"
    out.mkdir()

    def fails(case: Case, folder: Path) -> None:
        folder.mkdir()
        (folder / "overlay.mp4").write_text("half")
        raise error

    monkeypatch.setattr(figures, "write_figure", fails)
    with pytest.raises((KeyboardInterrupt, BadInput)):
        run_figures("--out", out)
    assert [p.name for p in tmp_path.iterdir()] == ["figures"]
    assert not any(out.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_out_not_writable(tmp_path: Path, small: None) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(BadInput, match="cannot write"):
        run_figures("--out", tmp_path / "figures")


def test_out_is_a_file(tmp_path: Path, small: None) -> None:
    (tmp_path / "figures").write_text("")
    with pytest.raises(BadInput, match=r"cannot write .*figures: Not a directory"):
        run_figures("--out", tmp_path / "figures")


@pytest.mark.parametrize("words", [("--count", 0), ("--seed", -1)])
def test_bad_numbers(tmp_path: Path, small: None, words: tuple[str, int]) -> None:
    with pytest.raises(BadInput, match=f"{words[0]} {words[1]}"):
        run_figures("--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_synthetic_clips_need_a_model_that_knows_them(tmp_path: Path, small: None) -> None:
    with pytest.raises(BadInput, match=r"none of the 40 classes.*--data"):
        run_figures("--out", tmp_path / "out", "--model", "other")
    assert not (tmp_path / "out").exists()


def write_set(root: Path, split: str = "validation", each: int = 1) -> Path:
    """A V1 data set of real ids: clips of two classes of the made world, and one of another."""
    videos = root / "20bn-something-something-v1"
    rows = []
    for label in (HOLDING, UP, "Opening [something]"):
        template = FORTY[FORTY_NAMES.index(label)].members[0]
        for _ in range(each):
            number = 1 + len(rows)
            id_ = next(str(n) for n in range(100 * number, 100 * number + 99) if half_of(str(n)))
            folder = videos / id_
            folder.mkdir(parents=True)
            pictures = sample(UP, number, size=(64, 80)).clip.frames
            for t, picture in enumerate(pictures, 1):
                Image.fromarray(picture).save(folder / f"{t:05}.jpg")
            rows.append(f"{id_};{template.replace('[', '').replace(']', '')}\n")
    (root / f"something-something-v1-{split}.csv").write_text("".join(rows))
    return root


@pytest.mark.slow
def test_clips_of_a_data_set(tmp_path: Path, small: None) -> None:
    data, out = write_set(tmp_path / "data"), tmp_path / "out"
    assert run_figures("--out", out, "--data", data, "--count", 2) == 0
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "The clips: Something-Something V1, test: 3 clips in 40 classes." in page
    assert "2 clips were explained" in page  # the network has no class for the third
    assert f"--data {data}" in page
    folders = [p for p in out.iterdir() if p.is_dir()]
    true = {json.loads((f / "summary.json").read_text())["true_label"] for f in folders}
    assert true == {HOLDING, UP}


@pytest.mark.slow
def test_clips_that_cannot_be_read_are_named(
    tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write_set(tmp_path / "data"), tmp_path / "out"
    first, second, _ = sorted(
        (data / "20bn-something-something-v1").iterdir(), key=lambda p: int(p.name)
    )
    (first / "00007.jpg").unlink()
    assert run_figures("--out", out, "--data", data, "--count", 1) == 0
    assert "1 could not be read and were left out" in (out / "index.html").read_text("utf-8")
    assert f"left out, clip {first.name}: " in capsys.readouterr().err
    (second / "00007.jpg").unlink()
    with pytest.raises(BadInput, match="not one of the clips drawn can be read") as caught:
        run_figures("--out", tmp_path / "none", "--data", data)
    assert str(data) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_clips_are_drawn_evenly_over_the_classes(tmp_path: Path) -> None:
    data = data_for(untrained_model(), str(write_set(tmp_path, each=3)))

    def drawn(most: int, seed: int) -> list[tuple[str, str]]:
        samples = clips.data_clips(data, untrained_model(), most, seed)
        return [(clip.source, label) for clip, label in samples]

    true = [label for _, label in drawn(4, 0)]
    assert set(true[:2]) == set(true[2:]) == {HOLDING, UP}
    assert drawn(4, 0) == drawn(4, 0)
    assert len({tuple(sorted(drawn(4, seed))) for seed in range(5)}) > 1
    assert len(drawn(99, 0)) == 6


@pytest.mark.slow
def test_a_notebook_is_warned_of_frames_that_may_not_be_passed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert clips.case_clips(untrained_model()) and not caplog.records
    _, label = next(clips.case_clips(untrained_model(), write_set(tmp_path / "real")))
    assert label in (HOLDING, UP)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "frames of real, which may not be passed on" in record.getMessage()
    assert clips.CLEAR_OUTPUTS in record.getMessage()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "annotated", "split"),
    [
        (False, ["validation"], "test"),  # half of the official validation
        (True, ["train", "validation"], "validation"),
        (True, ["validation", "test"], "test"),
    ],
)
def test_which_split(tmp_path: Path, made: bool, annotated: list[str], split: str) -> None:
    write_set(tmp_path)
    content = (tmp_path / "something-something-v1-validation.csv").read_text()
    (tmp_path / "something-something-v1-validation.csv").unlink()
    for name in annotated:
        (tmp_path / f"something-something-v1-{name}.csv").write_text(content)
    if made:
        (tmp_path / "tabletop.json").write_text("{}")
    assert data_for(untrained_model(), str(tmp_path)).split == split
    assert data_for(untrained_model(), str(tmp_path), annotated[0]).split == annotated[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "more", "message"),
    [
        (lambda data: None, (), "No such file or directory"),
        (lambda data: data.mkdir(), (), "no Something-Something here"),
        (lambda data: data.write_text(""), (), "Not a directory"),
        (lambda data: write_set(data, "train"), (), "no something-something-v1-validation.csv"),
        (write_set, ("--split", "tset"), "unknown split 'tset'"),
        (write_set, ("--model", "other"), "no clip in its test split is of a class that other"),
    ],
)
def test_bad_data(
    tmp_path: Path,
    small: None,
    make: Callable[[Path], object],
    more: tuple[str, ...],
    message: str,
) -> None:
    data = tmp_path / "data"
    make(data)
    with pytest.raises(BadInput, match=message) as caught:
        run_figures("--out", tmp_path / "out", "--data", data, *more)
    assert "\n" not in str(caught.value)
    assert str(data) in str(caught.value) or "split 'tset'" in message
    assert not (tmp_path / "out").exists()


def test_a_split_needs_a_data_set(tmp_path: Path, small: None) -> None:
    with pytest.raises(BadInput, match="--split test: of what"):
        run_figures("--out", tmp_path / "out", "--split", "test")


@pytest.mark.slow
def test_synthetic_clips_are_all_different_and_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SCENES_PER_CLASS", 2)
    first = list(clips.synthetic_clips(SEVEN, 0))
    again = list(clips.synthetic_clips(SEVEN, 0))
    other = list(clips.synthetic_clips(SEVEN, 1))
    assert len(first) == 7 * 2
    assert len({clip.source for clip, _ in first}) == len(first)
    assert all((a.frames == b.frames).all() for (a, _), (b, _) in zip(first, again, strict=True))
    assert {clip.source for clip, _ in first}.isdisjoint({clip.source for clip, _ in other})
