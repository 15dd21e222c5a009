"""Truth that people have annotated in real videos: read, placed in time and space, and scored."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import gradcam_video as gv
from gradcam_video.cli import main
from gradcam_video.data.annotated_videos import AnnotatedVideos
from gradcam_video.data.annotation_files import read_annotations
from gradcam_video.data.json_entries import entries
from gradcam_video.data.ground_truth import Truth
from gradcam_video.errors import BadInput
from gradcam_video.metrics.per_clip import score_clip

FRAMES, SIDE = 24, 112
HAND, THING = (10.0, 20.0, 40.0, 60.0), (50.0, 30.0, 90.0, 100.0)


def film(folder: Path, frames: int = FRAMES, side: int = SIDE) -> Path:
    """A clip of numbered jpgs in which a square moves to the right, 12 a second."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 160, (side, side, 3)).astype(np.uint8)
    for k in range(frames):
        picture = ground.copy()
        picture[40:70, 2 * k : 2 * k + 30] = (220, 40, 30)
        Image.fromarray(picture).save(folder / f"{k + 1:04}.jpg", quality=95)
    return folder


def something_else(video: str, frames: int, **more: Any) -> list[dict[str, Any]]:
    """An entry as Something-Else has it: a hand that moves by a pixel a frame, and a thing."""

    def label(name: str, box: tuple[float, ...], shift: float) -> dict[str, Any]:
        x1, y1, x2, y2 = box
        corners = {"x1": x1 + shift, "y1": y1, "x2": x2 + shift, "y2": y2}
        return {"box2d": corners, "standard_category": name, "category": name}

    return [
        {
            "name": f"{video}/{k + 1:04}.jpg",
            "labels": [label("hand", HAND, k), label("0000", THING, 0)],
            **more,
        }
        for k in range(frames)
    ]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return film(tmp_path / "videos" / "7")


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"7": something_else("7", FRAMES - 1)}))
    return path


def annotated(video: Path, *truth: Path, **more: Any) -> AnnotatedVideos:
    return AnnotatedVideos([video], truth, gv.FORTY_NAMES, **more)


# --- Something-Else ---------------------------------------------------------------------------


def test_scores_are_those_computed_by_hand(video: Path, boxes: Path) -> None:
    model = gv.load_model("tabletop")
    data = annotated(video, boxes, frames=model.frames, fps=model.fps)
    clip = data.clip(0)
    e = gv.explain(model, clip)
    score = score_clip(e, data.truth(0, clip), None)
    assert score.unknown and score.label == e.top(1)[0][0]

    # By hand, in float64: the map at every pixel, the boxes at every pixel. The network sees the
    # whole frame, and a frame is as large as the raster.
    cells = e.maps[int(e.logits.argmax())].astype(np.float64)
    in_time = e.grid.time.weights(np.arange(16)).astype(np.float64)
    down = e.grid.rows.weights(np.arange(SIDE)).astype(np.float64)
    across = e.grid.columns.weights(np.arange(SIDE)).astype(np.float64)
    drawn = np.einsum("ft,rh,cw,thw->frc", in_time, down, across, cells)
    truth = np.zeros((16, SIDE, SIDE), dtype=bool)
    middle = np.arange(SIDE) + 0.5
    for t, moment in enumerate(clip.times):
        k = min(round(moment * 12), FRAMES - 2)  # the last jpg is not annotated
        for (x1, y1, x2, y2), shift in ((HAND, k), (THING, 0)):
            rows = (middle >= y1) & (middle < y2)
            columns = (middle >= x1 + shift) & (middle < x2 + shift)
            truth[t] |= rows[:, None] & columns
    seen = ~clip.repeated
    drawn, truth = drawn[seen], truth[seen]
    peaks = [truth[t].flat[drawn[t].argmax()] for t in range(len(truth)) if drawn[t].max() > 0]
    energy = drawn[truth].sum() / drawn.sum()

    assert score.values["energy", "strict", "map"] == pytest.approx(energy, rel=1e-5)
    assert score.values["energy", "strict", "uniform"] == pytest.approx(truth.mean(), abs=1e-9)
    assert score.values["energy_ratio", "strict", "map"] == pytest.approx(
        energy / truth.mean(), rel=1e-5
    )
    assert score.values["pointing", "strict", "map"] == pytest.approx(np.mean(peaks), abs=1e-9)
    change = np.abs(np.gradient(clip.frames.astype(np.float64), axis=0)).mean(-1)[seen]
    assert score.values["energy", "strict", "motion"] == pytest.approx(
        change[truth].sum() / change.sum(), rel=1e-5
    )
    assert score.values["energy", "strict", "oracle"] > 0.8
    assert not any(key[0].startswith("temporal") for key in score.values)  # nobody said when


def test_frame_nnnn_is_at_nnnn_minus_one_twelfths(video: Path, boxes: Path) -> None:
    data = annotated(video, boxes, fps=None)
    clip = data.clip(0)
    truth = data.truth(0, clip)
    for t, moment in enumerate(clip.times):
        columns = np.flatnonzero(truth.masks["hand"][t].any(axis=0))
        k = min(round(moment * 12), FRAMES - 2)
        assert (columns[0], columns[-1] + 1) == (HAND[0] + k, HAND[2] + k)


def test_a_box_has_no_role_but_its_own(video: Path, boxes: Path) -> None:
    data = annotated(video, boxes)
    truth = data.truth(0)
    assert truth.masks["hand"].any() and truth.masks["object"].any()
    assert not truth.masks["second"].any()
    assert np.array_equal(truth.masks["target"], truth.masks["object"])
    assert np.array_equal(truth.strict(), truth.masks["hand"] | truth.masks["object"])


def damaged(frames: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    if what == "a box that is none":
        frames[4]["labels"][0]["box2d"] = {"x1": 50, "x2": 20, "y1": 0, "y2": 9}
    elif what == "a box without a corner":
        del frames[4]["labels"][0]["box2d"]["x1"]
    elif what == "a nameless frame":
        frames[4]["name"] = "no number.jpg"
    elif what == "a missing frame":
        del frames[4]
    elif what == "no labels":
        frames[4].pop("labels")
    return frames


@pytest.mark.parametrize(
    ("what", "note", "unknown"),
    [
        ("a box that is none", "1 frames cannot be used, the first 7/0005.jpg: ValueError box", 4),
        ("a box without a corner", "the first 7/0005.jpg: KeyError 'x1'", 4),
        ("a nameless frame", "the first no number.jpg", 4),
        ("a missing frame", "1 frames among the others are not annotated", 4),
        ("no labels", None, None),  # nothing is in that frame: that is an annotation, too
    ],
)
def test_damaged_frames_are_named_and_left_out(
    video: Path, tmp_path: Path, what: str, note: str | None, unknown: int | None
) -> None:
    path = tmp_path / "damaged.json"
    path.write_text(json.dumps({"7": damaged(something_else("7", FRAMES), what)}))
    data = annotated(video, path, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert np.flatnonzero(~truth.known).tolist() == ([] if unknown is None else [unknown])
    assert (note in " ".join(data.notes)) if note else not data.notes


def test_missing_and_surplus_videos_are_named(tmp_path: Path, video: Path, boxes: Path) -> None:
    film(tmp_path / "videos" / "8", 8)
    content = json.loads(boxes.read_text())
    boxes.write_text(json.dumps({"5": [], **content, "6": []}))
    data = AnnotatedVideos([tmp_path / "videos"], [boxes], gv.FORTY_NAMES)
    assert data.ids == ["7"]
    assert any("8: no annotation; it is left out" in note for note in data.notes)
    assert "annotations of 2 other videos are not used" in data.notes
    with pytest.raises(BadInput, match="nothing about 8: videos are called by their names"):
        AnnotatedVideos([tmp_path / "videos" / "8"], [boxes], gv.FORTY_NAMES)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_file_cut_short_gives_what_stands_before(
    tmp_path: Path, video: Path, part: float
) -> None:
    text = json.dumps({"7": something_else("7", FRAMES), "8": something_else("8", FRAMES)})
    path = tmp_path / "cut.json"
    path.write_text(text[: int(len(text) * part)])
    if part < 0.5:
        with pytest.raises(BadInput, match=r"cut\.json: damaged"):
            read_annotations([path], {"7", "9"})
    else:
        found = read_annotations([path], {"7", "9"})
        assert list(found.found) == ["7"]
        assert "damaged after the entry '7'" in found.notes[0]


def test_boxes_of_another_size_are_refused(tmp_path: Path, boxes: Path) -> None:
    small = film(tmp_path / "small" / "7", side=56)
    data = annotated(small, boxes)
    with pytest.raises(BadInput, match=r"7: a box reaches to .* its frames are 56×56"):
        data.truth(0)


def test_entries_of_any_size_come_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gradcam_video.data.json_entries.WINDOW", 7)  # every token is cut somewhere
    content = {
        "a": [1.5, -2e-3, {"b": 'x"}{,'}],
        "ü ✋": 12345,
        "c": None,
        "": [],
        "d": {"e": True},
    }
    path = tmp_path / "small.json"
    for indent in (None, 2):
        path.write_text(json.dumps(content, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert dict(entries(path)) == content
    assert [key for key, _ in entries(path, {"a", "c"})] == ["a", "ü ✋", "c"]  # and no further


@pytest.mark.slow
def test_the_whole_data_set_is_read_in_flat_memory(tmp_path: Path) -> None:
    """As many entries as Something-Else has; the file is larger than what may be held."""
    path = tmp_path / "all.json"
    entry = json.dumps(something_else("1", 2))
    with path.open("w") as file:
        file.write("{")
        for k in range(180_049):
            file.write(f'{"," if k else ""}"{k}": {entry}')
        file.write("}")
    assert path.stat().st_size > 60e6
    tracemalloc.start()
    found = read_annotations([path], {"17", "180048"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(found.found) == ["17", "180048"]
    assert found.others == 180_047
    assert peak < 12e6


# --- masks, COCO, csv -------------------------------------------------------------------------


def write_masks(folder: Path, numbers: range, side: int = SIDE) -> Path:
    """A mask per frame: a column of pixels at the frame's number."""
    folder.mkdir(parents=True)
    for place, k in enumerate(numbers):
        mask = np.zeros((side, side), np.uint8)
        mask[10:20, place] = 255
        Image.fromarray(mask).save(folder / f"frame_{k}.png")
    return folder


@pytest.mark.parametrize("first", [0, 1])
def test_masks_belong_to_frames_by_their_numbers(video: Path, tmp_path: Path, first: int) -> None:
    masks = write_masks(tmp_path / "masks", range(first, first + FRAMES))
    data = annotated(video, masks, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert truth.known.all()
    for t in range(FRAMES):
        assert np.argwhere(truth.strict()[t])[:, 1].tolist() == [t] * 10


def test_masks_of_several_videos_lie_in_folders(tmp_path: Path, video: Path) -> None:
    film(tmp_path / "videos" / "8", FRAMES)
    masks = tmp_path / "masks"
    write_masks(masks / "7", range(1, FRAMES + 1))
    write_masks(masks / "9", range(1, 3))
    data = AnnotatedVideos([tmp_path / "videos"], [masks], gv.FORTY_NAMES)
    assert data.ids == ["7"]
    assert any("8: no annotation" in note for note in data.notes)
    assert "annotations of 1 other videos are not used" in data.notes


def test_a_mask_of_another_size_is_named(video: Path, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", range(1, FRAMES + 1), side=56)
    with pytest.raises(BadInput, match=r"frame_1\.png: a mask of 56×56 for frames of 112×112"):
        annotated(video, masks).truth(0)


def test_a_mask_that_is_no_png_is_named(video: Path, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", range(1, FRAMES + 1))
    (masks / "frame_1.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"frame_1\.png: not a readable png"):
        annotated(video, masks).truth(0)


@pytest.mark.parametrize("how", ["names from 1", "names from 0", "frame_id"])
def test_coco_boxes(video: Path, tmp_path: Path, how: str) -> None:
    first = 1 if how == "names from 1" else 0
    images = [
        {"id": 100 + k, "file_name": f"7/{k + first:06}.jpg", "width": 224, "height": 224}
        | ({"frame_id": k} if how == "frame_id" else {})
        for k in range(FRAMES)
    ]
    categories = [{"id": 1, "name": "Hand"}, {"id": 2, "name": "cup"}]
    annotations: list[dict[str, Any]] = [
        {"image_id": 100 + k, "category_id": 1 + k % 2, "bbox": [2 * k, 20, 40, 60]}
        for k in range(FRAMES)
    ]
    annotations += [{"image_id": 999, "category_id": 1, "bbox": [0, 0, 1, 1]}]
    path = tmp_path / "coco.json"
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    data = annotated(video, path, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert "annotation 24 is left out (ValueError image 999 is not among the images)" in " ".join(
        data.notes
    )
    for t in range(FRAMES):  # boxes count in 224 pixels, the frames have 112
        role = "object" if t % 2 else "hand"
        rows, columns = np.nonzero(truth.masks[role][t])
        assert (columns.min(), columns.max() + 1) == (t, t + 20)
        assert (rows.min(), rows.max() + 1) == (10, 40)


def test_sparse_boxes_score_the_frames_that_have_them(video: Path, tmp_path: Path) -> None:
    images = [{"id": k, "file_name": f"7/{k + 1:04}.jpg"} for k in range(0, FRAMES, 6)]
    annotations = [{"image_id": i["id"], "category_id": 1, "bbox": [5, 5, 20, 20]} for i in images]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    data = annotated(video, path)  # 4 of 12 frames a second: every third frame
    clip = data.clip(0)
    truth = data.truth(0, clip)
    assert [round(moment * 12) % 6 == 0 for moment in clip.times] == truth.known.tolist()


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("video_id,action_id,approach,action,leave\n7,107,1-6,7-15,16-24\n", (6, 14)),
        ("video_id,action_id,approach,action,leave\n7,107,-,7-15,-\n", (6, 14)),
        ("video,first,last\n7.mp4,7,15\n", (6, 14)),
        ("Video,Start,End\n7,0.5,1.17\n", (6, 14)),
    ],
)
def test_actions(video: Path, tmp_path: Path, text: str, action: tuple[int, int]) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(text)
    data = annotated(video, path, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert truth.action == action
    assert not truth.masks
    e = gv.explain(gv.load_model("tabletop"), annotated(video, path).clip(0))
    score = score_clip(e, annotated(video, path).truth(0), None)
    assert {key[0] for key in score.values} == {"temporal_pointing", "temporal_iou"}


def test_a_line_that_is_no_action_is_named(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("video,first,last\n7,15,7\n7,2,9\n9,1,2\n")
    data = annotated(video, path, frames=FRAMES, fps=None)
    assert data.truth(0).action == (1, 8)
    assert "line 2 (7): no action here (its end lies before its beginning)" in " ".join(data.notes)


def test_where_and_when_may_come_from_two_files(video: Path, boxes: Path, tmp_path: Path) -> None:
    phases = tmp_path / "phases.csv"
    phases.write_text("video_id,action_id,approach,action,leave\n7,1,1-6,7-15,16-23\n")
    for files in ((boxes, phases), (phases, boxes)):
        truth = annotated(video, *files, frames=FRAMES, fps=None).truth(0)
        assert truth.action == (6, 14) and truth.masks["hand"].any()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("truth.txt", "7", "truth is a json"),
        ("truth.csv", "a,b\n1,2\n", "needs the columns video, first, last"),
        ("truth.json", "[1, 2]", "no object of entries by name"),
        ("nothing.json", None, "no such file or folder of truth"),
    ],
)
def test_what_is_no_truth_is_refused(
    video: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=message):
        annotated(video, path)


# --- the command, and the real clips ----------------------------------------------------------


def test_the_command(video: Path, boxes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(video), "--truth", str(boxes), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == result["first"]["n"] == 1 and result["top1"] is None
    label = next(k for k in gv.FORTY_NAMES if k.startswith("Moving [something] away from ["))
    assert main(["score", str(video), "--truth", str(boxes), "--label", label]) == 0
    out = capsys.readouterr().out
    assert "top-1" in out and "motion" in out
    assert main(["score", "--truth", str(boxes)]) == 2
    assert "give a data set with --data, or videos with --truth" in capsys.readouterr().err


def test_a_template_counts_as_its_class(video: Path, boxes: Path) -> None:
    data = annotated(video, boxes, classes={"7": "Throwing something onto a surface"})
    assert gv.FORTY_NAMES[data.targets[0]] == "Dropping [something]"
    data = annotated(video, boxes, classes={"7": "Burying something in something"})
    assert data.targets == [None]
    assert "none that the model knows" in data.notes[-1]


def test_a_truth_of_no_frame_of_the_clip_is_said(video: Path) -> None:
    e = gv.explain(gv.load_model("tabletop"), gv.read_clip(video))
    nowhere = Truth({}, (0, 1), frames=16, known=np.zeros(16, dtype=bool))
    with pytest.raises(BadInput, match="none of its frames is annotated"):
        score_clip(e, nowhere, None)


def test_seven_real_clips(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Boxes lie on what is filmed: mere motion and a perfect map score far above a uniform one."""
    folder = shared_data / "something_else"
    truth = folder / "annotations.json"
    assert main(["score", str(folder / "videos"), "--truth", str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 7 and not result["failures"]
    strict = result["all"]["energy_ratio"]["strict"]
    assert strict["uniform"]["mean"] == pytest.approx(1)
    assert strict["oracle"]["mean"] > 2.5
    assert strict["motion"]["mean"] > 1.15
