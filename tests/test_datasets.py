"""datasets.py and integrity.py: V1 and V2 as published, and each way they come damaged."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gradcam_video.cli.parser import run
from gradcam_video.data.datasets import SomethingSomething, annotated_splits, default_split, half_of
from gradcam_video.data.integrity import Report, scan
from gradcam_video.data.labels import FORTY_NAMES, TEMPLATES
from gradcam_video.errors import BadInput
from gradcam_video.tabletop.export import webm

# (id, template as V2 writes it, class of the forty or None). Two of the annotation's traps are in
# it: a comma, and a template that is no class.
CLIPS = (
    ("100218", "[Something] falling like a feather or paper", 2),
    (
        "24413",
        "Putting [something] that can't roll onto a slanted surface, so it stays where it is",
        25,
    ),
    ("7", "Attaching [something] to [something]", None),
    ("31", "Turning the camera left while filming [something]", 35),
    ("32", "Opening [something]", 14),
)


def pictures(count: int = 50, seed: int = 0, size: tuple[int, int] = (40, 56)) -> np.ndarray:
    """(T, H, W, 3): a grey that grows by 4 a frame, so that a frame tells its number."""
    ramp = np.arange(count, dtype=np.uint8)[:, None, None, None] * 4 + seed
    return np.broadcast_to(ramp, (count, *size, 3)).copy()


def write_jpgs(folder: Path, frames: np.ndarray, name: str = "{:05d}.jpg") -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(frames, start=1):
        Image.fromarray(picture).save(folder / name.format(number), quality=95)


def bare(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def v1(root: Path, split: str = "train", count: int = 50) -> Path:
    """V1 as it is published: `id;label` without brackets or header, jpgs from 00001."""
    for id_, _, _ in CLIPS:
        write_jpgs(root / "20bn-something-something-v1" / id_, pictures(count))
    rows = "".join(f"{id_};{bare(template)}\n" for id_, template, _ in CLIPS)
    (root / f"something-something-v1-{split}.csv").write_text(rows)
    # The real list is not sorted: whoever counts its lines gets other numbers.
    labels = "".join(f"{bare(template)}\n" for template in reversed(TEMPLATES))
    (root / "something-something-v1-labels.csv").write_text(labels)
    (root / "something-something-v1-test.csv").write_text("5\n6\n")
    return root


def v2(root: Path, split: str = "train", count: int = 50, style: str = "something-something-v2-{}"):
    """V2 as it is published: json with brackets, one webm per clip."""
    clips = root / "20bn-something-something-v2"
    clips.mkdir(parents=True)
    for id_, _, _ in CLIPS:
        (clips / f"{id_}.webm").write_bytes(webm(pictures(count)))
    write_v2_annotation(root / f"{style.format(split)}.json")
    labels = {bare(template): str(index) for index, template in enumerate(TEMPLATES)}
    (root / f"{style.format('labels')}.json").write_text(json.dumps(labels))
    (root / f"{style.format('test')}.json").write_text('[{"id": "5"}, {"id": "6"}]')
    return root


def write_v2_annotation(path: Path, clips: tuple = CLIPS) -> None:
    entries = [
        {"id": id_, "label": "doing it", "template": template, "placeholders": ["it"]}
        for id_, template, _ in clips
    ]
    path.write_text(json.dumps(entries))


# --- the two versions -------------------------------------------------------------------------


@pytest.mark.parametrize("make", [v1, v2])
def test_forty_and_all(tmp_path: Path, make: Callable[..., Path]) -> None:
    data = SomethingSomething(make(tmp_path), "train")
    assert data.version == ("v1" if make is v1 else "v2") and not data.made
    assert data.labels == FORTY_NAMES
    assert data.ids == ["100218", "24413", "31", "32"] and data.targets == [2, 25, 35, 14]
    assert (len(data), data.others, data.unlabelled, data.failures) == (4, 1, {}, {})
    assert data.templates[1].startswith("Putting [something] that can't roll")
    assert "4 clips in 40 classes; 1 of other classes left out" in str(data)

    data = SomethingSomething(tmp_path, "train", "all")
    assert data.labels == TEMPLATES and data.ids == [id_ for id_, _, _ in CLIPS]
    assert [TEMPLATES[k] for k in data.targets] == [template for _, template, _ in CLIPS]


@pytest.mark.parametrize("make", [v1, v2])
def test_items_are_sampled_by_the_rule_of_read_clip(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    """50 frames at 12 a second: 16 at 4 a second are every third from the second or third on."""
    data = SomethingSomething(make(tmp_path), "train")
    item, clip = data[2], data.clip(2)
    assert item is not None and (item.target, item.id) == (35, "31")
    assert item.frames.dtype == np.uint8 and item.frames.shape == (16, 40, 56, 3)
    assert np.array_equal(item.frames, clip.frames) and clip.start == pytest.approx(
        1 / 12, abs=1e-3
    )
    shown = np.rint(clip.frames[:, 20, 28, 0] / 4).astype(int)
    assert shown.tolist() == list(range(1, 49, 3))
    assert len(SomethingSomething(tmp_path, "train", frames=8, fps=12.0).clip(0)) == 8
    assert data.truth(2) is None


def test_a_short_clip_repeats_its_last_frame(tmp_path: Path) -> None:
    data = SomethingSomething(v1(tmp_path, count=30), "train")
    clip = data.clip(0)
    assert clip.repeated.tolist() == [False] * 10 + [True] * 6
    assert np.ptp(clip.frames[10:], axis=0).max() == 0, "one picture, the file's last"


@pytest.mark.parametrize("style", ["something-something-v2-{}", "{}"])
@pytest.mark.parametrize("folder", ["", "labels", "annotations"])
def test_both_styles_of_naming_in_any_folder(tmp_path: Path, style: str, folder: str) -> None:
    v2(tmp_path, style=style)
    (tmp_path / folder).mkdir(exist_ok=True)
    for file in tmp_path.glob("*.json"):
        file.rename(tmp_path / folder / file.name)
    data = SomethingSomething(tmp_path, "train")
    assert len(data) == 4 and data[0] is not None


def test_v2_cut_into_jpgs(tmp_path: Path) -> None:
    for place in ("20bn-something-something-v2", "20bn-something-something-v2-frames"):
        root = tmp_path / place[-6:]
        for id_, _, _ in CLIPS:
            write_jpgs(root / place / id_, pictures(), "{:06d}.jpg")
        write_v2_annotation(root / "train.json")
        data = SomethingSomething(root, "train")
        assert data.version == "v2" and data.path(0) == root / place / "100218"
        assert data[0] is not None


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    v1(tmp_path)
    write_v2_annotation(tmp_path / "train.json")
    assert SomethingSomething(tmp_path, "train").version == "v1", "the one that has clips"
    (tmp_path / "20bn-something-something-v2").mkdir()
    with pytest.raises(BadInput, match="both V1 and V2"):
        SomethingSomething(tmp_path, "train")


# --- labels -----------------------------------------------------------------------------------


def test_labels_are_found_however_they_are_written(tmp_path: Path) -> None:
    v2(tmp_path)
    odd = (
        (
            "31",
            "putting [something] that can’t roll onto a slanted surface, so it stays where it is",
            25,
        ),
        ("32", "OPENING  something ", 14),
    )
    write_v2_annotation(tmp_path / "something-something-v2-train.json", odd)
    assert SomethingSomething(tmp_path, "train").targets == [25, 14]

    v1(tmp_path / "v1")
    file = tmp_path / "v1" / "something-something-v1-train.csv"
    file.write_bytes("\ufeff31;Turning the camera left while filming something\r\n\r\n".encode())
    data = SomethingSomething(tmp_path / "v1", "train")
    assert (data.ids, data.targets) == (["31"], [35])


def test_rows_without_a_known_label_are_named_and_left_out(tmp_path: Path) -> None:
    v1(tmp_path)
    with (tmp_path / "something-something-v1-train.csv").open("a") as file:
        file.write("501;Juggling something\n502\n503;\n")
    data = SomethingSomething(tmp_path, "train")
    assert len(data) == 4
    assert data.unlabelled == {"501": "Juggling something", "502": "no label", "503": "no label"}
    assert "3 without a known label left out" in str(data)
    report = scan(data)
    assert (report.total, report.good) == (7, 4)
    assert report.problems == {"unlabelled": data.unlabelled}


def test_the_real_annotation(tmp_path: Path, shared_data: Path) -> None:
    """500 entries of V2's own validation file, without the clips."""
    shutil.copy(shared_data / "labels" / "ssv2_val_500.json", tmp_path / "validation.json")
    whole = SomethingSomething(tmp_path, "official-validation", "all")
    assert len(whole) == 500 and not whole.unlabelled and len(set(whole.ids)) == 500
    entries = json.loads((tmp_path / "validation.json").read_text())
    assert whole.templates == [entry["template"] for entry in entries]

    forty = SomethingSomething(tmp_path, "official-validation")
    table = json.loads(
        (shared_data / "labels" / "goyal2017_40_classes_reconstructed.json").read_text()
    )
    rows = table if isinstance(table, list) else table["classes"]
    group = {bare(m).replace("’", "'"): row["index"] for row in rows for m in row["members"]}
    wanted = [
        (e["id"], group[bare(e["template"])]) for e in entries if bare(e["template"]) in group
    ]
    assert list(zip(forty.ids, forty.targets, strict=True)) == wanted
    assert len(forty) + forty.others == 500

    assert whole[3] is None and len(whole.failures) == 1
    report = scan(whole)
    assert (report.total, report.good, len(report.problems["missing"])) == (500, 0, 500)


# --- splits -----------------------------------------------------------------------------------


def test_validation_is_halved_by_a_fixed_rule(tmp_path: Path) -> None:
    rows = tuple((str(id_), "Opening [something]", 14) for id_ in range(1, 2001))
    write_v2_annotation(tmp_path / "validation.json", rows)
    names = ("validation", "test", "official-validation")
    splits = {name: SomethingSomething(tmp_path, name).ids for name in names}
    assert sorted(splits["validation"] + splits["test"]) == sorted(splits["official-validation"])
    assert not set(splits["validation"]) & set(splits["test"])
    assert abs(len(splits["test"]) - 1000) < 100
    # Literal: whoever changes the rule makes every number measured before meaningless.
    assert [half_of(id_) for id_ in ("1", "2", "3", "139242", "208136", "77933")] == [
        1,
        1,
        0,
        1,
        1,
        0,
    ]

    # Neither the order of the file nor what else is in it matters.
    write_v2_annotation(tmp_path / "validation.json", rows[::-2])
    fewer = SomethingSomething(tmp_path, "test").ids
    assert set(fewer) == set(splits["test"]) & {id_ for id_, _, _ in rows[::-2]}


def test_official_test(tmp_path: Path) -> None:
    v1(tmp_path / "v1")
    with pytest.raises(BadInput, match="have no labels"):
        SomethingSomething(tmp_path / "v1", "official-test")
    v2(tmp_path / "v2")
    with pytest.raises(BadInput, match=r"only with test-answers\.csv; add it"):
        SomethingSomething(tmp_path / "v2", "official-test")
    answers = "5;Opening something\n6;Attaching something to something\n"
    (tmp_path / "v2" / "test-answers.csv").write_text(answers)
    data = SomethingSomething(tmp_path / "v2", "official-test")
    assert (data.ids, data.targets, data.others) == (["5"], [14], 1)
    assert annotated_splits(tmp_path / "v1") == ["train"]
    assert default_split(tmp_path / "v1") == "test"  # refused, then; train only where asked for
    assert default_split(tmp_path / "v1", "train") == "train"
    assert annotated_splits(tmp_path / "v2") == ["train", "official-test"]


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: shutil.rmtree(root), "No such file or directory; give the data set's folder"),
        (lambda root: [f.unlink() for f in root.glob("*")], "no Something-Something here"),
        (lambda root: (root / "train.json").unlink(), r"no something-something-v2-train\.json or"),
        (
            lambda root: (root / "train.json").write_text('[{"id": "7", "te'),
            "not a whole annotation",
        ),
        (
            lambda root: (root / "train.json").write_bytes(b"\xff\xfe\x00["),
            "not a whole annotation",
        ),
        (lambda root: (root / "train.json").write_text("{}"), "not a list of clips"),
        (lambda root: (root / "train.json").write_text("[7]"), "entry 0 has no id"),
        (
            lambda root: (root / "train.json").write_text('[{"id": 7, "template": "Juggling"}]'),
            r"none of its 1 labels is one of Something-Something's \(clip 7: Juggling\)",
        ),
    ],
)
def test_one_line_for_what_is_no_data_set(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    write_v2_annotation(root / "train.json")
    write_v2_annotation(root / "validation.json")
    assert len(SomethingSomething(root, "train")) == 4
    spoil(root)
    with pytest.raises(BadInput, match=message) as caught:
        SomethingSomething(root, "train")
    assert "\n" not in str(caught.value) and str(root) in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    write_v2_annotation(tmp_path / "train.json")
    with pytest.raises(BadInput, match="unknown split 'tset': use one of train, validation"):
        SomethingSomething(tmp_path, "tset")
    with pytest.raises(BadInput, match="classes='41'"):
        SomethingSomething(tmp_path, "train", "41")


# --- damage -----------------------------------------------------------------------------------


def damaged(root: Path) -> dict[str, str]:
    """A V2 set of 80 clips, 5 % of them broken in four ways; returns id -> kind of damage."""
    clips = root / "20bn-something-something-v2"
    clips.mkdir(parents=True)
    good = webm(pictures())
    rows = tuple((str(id_), TEMPLATES[id_], None) for id_ in range(80))
    for id_, _, _ in rows:
        (clips / f"{id_}.webm").write_bytes(good)
    (clips / "11.webm").unlink()
    (clips / "22.webm").write_bytes(b"")
    (clips / "33.webm").write_bytes(bytes(len(good)))
    (clips / "44.webm").write_bytes(good[:300])
    write_v2_annotation(root / "train.json", rows)
    return {"11": "missing", "22": "empty", "33": "corrupt", "44": "corrupt"}


@pytest.mark.slow
def test_five_percent_damaged_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    wrong = damaged(tmp_path)
    data = SomethingSomething(tmp_path, "train", "all")
    items = [data[i] for i in range(len(data))]
    assert len(data) == 80 and sum(item is not None for item in items) == 76
    for i, item in enumerate(items):
        assert (item is None) == (data.ids[i] in wrong)
        if item is not None:
            assert (item.id, item.target) == (data.ids[i], data.targets[i]), "never another's"
    assert set(data.failures) == set(wrong)
    for id_, why in data.failures.items():
        assert f"{id_}.webm" in why and "\n" not in why

    for deep in (False, True):
        report = scan(data, deep=deep)
        found = {id_: kind for kind, ids in report.problems.items() for id_ in ids}
        assert found == wrong and (report.total, report.good) == (80, 76)
        assert all(f"{id_}.webm" in why for k in report.problems.values() for id_, why in k.items())


@pytest.mark.parametrize("fill", ["nothing", "zeros", "noise"])
def test_a_file_that_ends_too_early_is_no_clip(tmp_path: Path, fill: str) -> None:
    """A download that stopped, or a hole in it: the file opens, and reads as a shorter one."""
    v2(tmp_path)
    rng = np.random.default_rng(0)
    whole = webm(rng.integers(0, 255, (50, 40, 56, 3), dtype=np.uint8))
    half, tenth = len(whole) // 2, len(whole) // 10
    middle = {"nothing": b"", "zeros": bytes(tenth), "noise": rng.bytes(tenth)}[fill]
    rest = whole[half + tenth :] if middle else b""
    (tmp_path / "20bn-something-something-v2" / "31.webm").write_bytes(whole[:half] + middle + rest)
    data = SomethingSomething(tmp_path, "train")
    assert [data[i] is None for i in range(4)] == [False, False, True, False]
    assert list(data.failures) == list(scan(data).problems["corrupt"]) == ["31"]
    assert (
        "31.webm" in data.failures["31"]
        and "of 4.2 s are there" in scan(data).problems["corrupt"]["31"]
    )


def test_a_picture_that_stands_in_for_another_is_no_clip(tmp_path: Path) -> None:
    """Packets that are there and do not decode: `read_clip` shows the picture before instead."""
    v2(tmp_path)
    file = tmp_path / "20bn-something-something-v2" / "31.webm"
    rng = np.random.default_rng(0)
    whole = bytearray(webm(rng.integers(0, 255, (50, 40, 56, 3), dtype=np.uint8)))
    with av.open(io.BytesIO(whole), "r") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    place = whole.index(packets[22])  # one of those sampled: 1, 4, 7, …
    whole[place : place + 40] = bytes(40)  # the frame's header: the container stays whole
    file.write_bytes(whole)
    data = SomethingSomething(tmp_path, "train")
    assert data[2] is None and "damaged" in data.failures["31"]
    assert not scan(data).problems, "nothing is decoded"
    assert list(scan(data, deep=True).problems["corrupt"]) == ["31"]


def test_scan_of_jpgs(tmp_path: Path) -> None:
    v1(tmp_path)
    clips = tmp_path / "20bn-something-something-v1"
    shutil.rmtree(clips / "100218")
    for file in (clips / "24413").iterdir():
        file.unlink()
    (clips / "31" / "00007.jpg").unlink()
    (clips / "7" / "00050.jpg").write_bytes(b"")
    middle = clips / "32" / "00029.jpg"
    middle.write_bytes(middle.read_bytes()[:300])
    quick, deep = scan(tmp_path, "train"), scan(tmp_path, "train", deep=True)
    assert (quick.total, quick.good, deep.good) == (5, 1, 0)
    assert list(quick.problems["missing"]) == ["100218"]
    assert list(quick.problems["empty"]) == ["24413"]
    assert "1 images are missing, the first is number 7" in quick.problems["corrupt"]["31"]
    assert "1 images are files of 0 bytes, the first is 00050.jpg" in quick.problems["corrupt"]["7"]
    assert "00029.jpg" in deep.problems["corrupt"]["32"]
    data = SomethingSomething(tmp_path, "train", "all")
    assert [data.ids[i] for i in range(5) if data[i] is not None] == ["7"], "00050 is not sampled"
    assert "the first is number 7" in data.failures["31"]


def test_scan_counts_short_clips_and_calls_them_good(tmp_path: Path) -> None:
    root = v1(tmp_path, count=45)
    write_jpgs(root / "20bn-something-something-v1" / "46", pictures(46))
    with (root / "something-something-v1-train.csv").open("a") as file:
        file.write("46;Opening something\n")
    report = scan(root, "train")
    assert report.good == 6 and not report.problems
    assert report.short == [id_ for id_, _, _ in CLIPS], "46 frames are enough, 45 are not"
    assert Counter(SomethingSomething(root, "train").clip(0).repeated) == {False: 15, True: 1}


def test_the_scan_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = damaged(tmp_path)
    assert run(["scan", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "train: 76 of 80 clips are good (quick look, nothing decoded)" in out
    assert all(f"{id_}: " in out and f"{id_}.webm" in out for id_ in wrong)

    only = ["--split", "train", "--json", "--classes", "forty"]
    assert run(["scan", "--data", str(tmp_path), *only]) == 0
    report = json.loads(capsys.readouterr().out)["train"]
    assert set(report) == {f for f in Report.__dataclass_fields__ if f != "split"}
    assert report["total"] < 80 and report["deep"] is False


def test_nothing_good_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_v2_annotation(tmp_path / "train.json")
    with pytest.raises(BadInput, match=r"not one good clip \(5 missing\)"):
        run(["scan", "--data", str(tmp_path), "--split", "train"])
    assert "train: 0 of 5" in capsys.readouterr().out
