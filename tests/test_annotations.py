"""Truth that people have annotated in real videos: read, placed in time and space, and scored."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

import gradcam_video as gv
from gradcam_video.cli import main
from gradcam_video.data.annotated_videos import AnnotatedVideos
from gradcam_video.data.annotation_files import read_annotations
from gradcam_video.data.ground_truth import Truth
from gradcam_video.data.json_entries import entries
from gradcam_video.errors import BadInput
from gradcam_video.metrics.per_clip import score_clip

FRAMES, SIDE = 24, 112
HAND, THING = (10.0, 20.0, 40.0, 60.0), (50.0, 30.0, 90.0, 100.0)


def film(
    folder: Path,
    frames: int = FRAMES,
    side: int = SIDE,
    *,
    size: tuple[int, int] | None = None,
    first: int = 1,
) -> Path:
    """A clip of numbered jpgs in which a square moves to the right, 12 a second.

    Args:
        size: width and height, if it is not a square.
        first: the number of the first jpg.
    """
    folder.mkdir(parents=True)
    width, height = size or (side, side)
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
    for k in range(frames):
        picture = ground.copy()
        picture[40:70, 2 * k : 2 * k + 30] = (220, 40, 30)
        Image.fromarray(picture).save(folder / f"{k + first:04}.jpg", quality=95)
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


def rows_of(edges: np.ndarray, pixels: int) -> np.ndarray:
    """What share of each raster pixel every pixel covers, (raster, pixels), from the overlaps."""
    at = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], at + 1) - np.maximum(edges[:-1, None], at)
    return np.maximum(overlap, 0) / np.diff(edges)[:, None]


def scored_by_hand(
    clip: gv.Clip, e: gv.Explanation, boxes: list[list[tuple[float, ...]]]
) -> dict[tuple[str, str], float]:
    """Energy and pointing of the first class's map and of what it is compared with, in float64.

    Args:
        boxes: of each frame, x1, y1, x2, y2 in its pixels.
    """
    height, width = clip.size
    # The frame is brought to 112 pixels on the short side, and its middle 112 × 112 are seen.
    scaled = round(height * 112 / min(height, width)), round(width * 112 / min(height, width))
    top, left = ((side - 112) // 2 for side in scaled)
    down = rows_of((top + np.arange(113.0)) * height / scaled[0], height)
    across = rows_of((left + np.arange(113.0)) * width / scaled[1], width)
    truth = np.zeros((len(clip), 112, 112), dtype=bool)
    y, x = np.arange(height) + 0.5, np.arange(width) + 0.5
    for t, here in enumerate(boxes):
        mask = np.zeros((height, width))
        for x1, y1, x2, y2 in here:
            mask[np.ix_((y >= y1) & (y < y2), (x >= x1) & (x < x2))] = 1
        truth[t] = down @ mask @ across.T >= 0.5 - 1e-6
    cells = e.maps[int(e.logits.argmax())].astype(np.float64)
    axes = (e.grid.time, 16), (e.grid.rows, 112), (e.grid.columns, 112)
    for place, (axis, size) in enumerate(axes):  # linear between the cells' centres
        centres = axis.offset + axis.stride * np.arange(axis.cells)
        lines = np.moveaxis(cells, place, -1)
        drawn = [
            np.interp(np.arange(size), centres, line) for line in lines.reshape(-1, axis.cells)
        ]
        cells = np.moveaxis(np.reshape(drawn, (*lines.shape[:-1], size)), -1, place)
    small = down @ clip.frames.astype(np.float64).transpose(0, 3, 1, 2) @ across.T
    maps = {
        "map": cells,
        "motion": np.abs(np.gradient(small, axis=0)).mean(1),
        "uniform": np.ones_like(cells),
        "gaussian": np.tile(
            np.exp(-((np.indices((112, 112)) - 55.5) ** 2).sum(0) / 2 / (0.2 * 112) ** 2),
            (16, 1, 1),
        ),
    }
    found: dict[tuple[str, str], float] = {}
    seen = ~clip.repeated
    for who, one in maps.items():
        found["energy", who] = one[seen][truth[seen]].sum() / one[seen].sum()
        found["energy_ratio", who] = found["energy", who] / truth[seen].mean()
        there = [t for t in np.flatnonzero(seen) if truth[t].any() and one[t].max() > 0]
        peaks = [one[t] >= one[t].max() * (1 - 1e-6) for t in there]  # float32 has ties here
        found["pointing", who] = float(
            np.mean([truth[t][p].mean() for t, p in zip(there, peaks, strict=True)])
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("size", [(112, 112), (150, 120)])
def test_scores_are_those_computed_by_hand(tmp_path: Path, size: tuple[int, int]) -> None:
    model = gv.load_model("tabletop")
    video = film(tmp_path / "7", size=size)
    (tmp_path / "boxes.json").write_text(json.dumps({"7": something_else("7", FRAMES - 1)}))
    data = gv.AnnotatedVideos(video, tmp_path / "boxes.json", model.labels)
    clip = data.clip(0)
    e = gv.explain(model, clip)
    score = score_clip(e, data.truth(0, clip), None)
    assert score.unknown and score.label == e.top(1)[0][0]
    boxes = []
    for moment in clip.times:
        k = min(round(moment * 12), FRAMES - 2)  # the last jpg is not annotated
        boxes.append([(HAND[0] + k, HAND[1], HAND[2] + k, HAND[3]), THING])
    for (measure, who), value in scored_by_hand(clip, e, boxes).items():
        assert score.values[measure, "strict", who] == pytest.approx(value, rel=1e-4), measure
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
    elif what == "a corner that is no pixel":
        frames[4]["labels"][0]["box2d"]["x2"] = 10**400
    elif what == "labels of another shape":
        frames[4]["labels"] = ["hand"]
    elif what == "a frame twice":
        frames.append({"name": "7/0005.jpg", "labels": []})
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
        (
            "a box that is none",
            "1 frame cannot be used and is left out, the first 7/0005.jpg: box (50, 0) to (20, 9)",
            4,
        ),
        ("a box without a corner", "the first 7/0005.jpg: 'x1' is missing", 4),
        ("a corner that is no pixel", "the first 7/0005.jpg: int too large", 4),
        ("labels of another shape", "the first 7/0005.jpg: it is not written as it should be", 4),
        ("a nameless frame", "the first no number.jpg: 'no number.jpg' has no number", 4),
        ("a frame twice", "1 frame is annotated twice, the first 7/0005.jpg", None),
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


def first_columns(truth: Truth, role: str) -> list[int]:
    """Where the boxes of a role begin, in each frame that is known; -1 where there is none."""
    here = [truth.masks[role][t].any(axis=0) for t in np.flatnonzero(truth.known)]
    return [int(columns.argmax()) if columns.any() else -1 for columns in here]


def test_a_jpg_that_is_missing_moves_no_box(video: Path, boxes: Path) -> None:
    (video / "0005.jpg").unlink()
    truth = annotated(video, boxes, frames=FRAMES - 1, fps=None).truth(0)
    numbers = [k for k in range(FRAMES) if k != 4]
    assert first_columns(truth, "hand") == [10 + min(k, FRAMES - 2) for k in numbers]


def test_jpgs_of_another_rate_show_what_was_on_screen(tmp_path: Path, boxes: Path) -> None:
    """Some cut Something-Something at 30 frames a second: each comes two or three times."""
    video = film(tmp_path / "30" / "7", 40)
    data = annotated(video, boxes, frames=40, fps=None, source_fps=30)
    assert first_columns(data.truth(0), "hand") == [10 + k * 12 // 30 for k in range(40)]


@pytest.mark.parametrize(("ending", "codec"), [("mp4", "mpeg4"), ("webm", "libvpx-vp9")])
@pytest.mark.parametrize("rate", [12, 30])
def test_a_film_shows_what_was_on_screen(
    tmp_path: Path, boxes: Path, ending: str, codec: str, rate: int
) -> None:
    """A webm's times are whole milliseconds: 0.083 s is the second frame."""
    path = tmp_path / f"7.{ending}"
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for k in range(rate):
            picture = np.full((SIDE, SIDE, 3), 5 * k, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    data = annotated(path, boxes, frames=rate, fps=None)
    assert first_columns(data.truth(0), "hand") == [10 + k * 12 // rate for k in range(rate)]


def test_boxes_are_scaled_to_frames_that_are_larger_than_the_originals(
    tmp_path: Path, boxes: Path
) -> None:
    """Common scripts cut Something-Something with 256 rows; its boxes count in 240."""
    video = film(tmp_path / "256" / "7", size=(320, 256))
    data = annotated(video, boxes, frames=FRAMES, fps=None)
    truth = data.truth(0)
    things = np.argwhere(truth.masks["object"][0])
    x1, y1, x2, y2 = (corner * 256 / 240 for corner in THING)
    assert things.min(axis=0).tolist() == [round(y1), round(x1)]
    assert (things.max(axis=0) + 1).tolist() == [round(y2), round(x2)]
    assert data.notes == [
        "frames 256 high: Something-Else's boxes count in frames 240 high, and are scaled"
    ]


def test_frames_after_the_end_and_frames_without_annotation_are_named(
    video: Path, tmp_path: Path
) -> None:
    long, short = tmp_path / "long.json", tmp_path / "short.json"
    long.write_text(json.dumps({"7": something_else("7", FRAMES + 6)}))
    short.write_text(json.dumps({"7": something_else("7", 12)}))
    data = annotated(video, long)
    data.truth(0)
    assert data.notes == [
        "7: 6 of 30 annotated frames lie after its last frame; are they of this video?"
    ]
    data = annotated(video, short, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert np.flatnonzero(~truth.known).tolist() == list(range(13, FRAMES))
    assert data.notes == ["7: 11 of its 24 sampled frames are not annotated; they are left out"]


@pytest.mark.parametrize("damage", ['[{"name": oops', '"\\q"', "[1,, 2]"])
def test_a_damaged_entry_is_not_read_on_to_the_end(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.json"
    with path.open("w") as file:
        file.write(f'{{"0": [], "1": {damage}, "2": "')
        for _ in range(20):
            file.write("x" * 1_000_000)
        file.write('", "7": []}')
    tracemalloc.start()
    with pytest.raises(BadInput, match="damaged after the entry '0'"):
        read_annotations([path], {"7"})
    assert tracemalloc.get_traced_memory()[1] < 8e6
    tracemalloc.stop()


def test_a_camera_that_acts_is_scored_apart(video: Path, boxes: Path, tmp_path: Path) -> None:
    """As in the synthetic world, the whole frame is then the truth, and *when* is asked."""
    turning = next(label for label in gv.FORTY_NAMES if label.startswith("Turning the camera l"))
    data = annotated(video, boxes, classes=turning)
    assert data.truth(0).whole
    assert data.notes == ["7: the camera acts, so only *when* could be scored: nobody said it"]
    csv = tmp_path / "actions.csv"
    csv.write_text("video,first,last\n7,7,15\n")
    data = annotated(video, boxes, csv, classes=turning)
    result = gv.score(gv.load_model("tabletop"), data)
    assert result["all"]["n"] == 0 and result["camera_all"]["n"] == 1
    assert "temporal_pointing" in result["camera_all"] and "energy" not in result["camera_all"]
    towards = "Moving [something] towards the camera"  # here the camera only looks on
    assert not annotated(video, boxes, classes=towards).truth(0).whole


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
    assert "annotation 24 is left out (image 999 is not among the images)" in " ".join(data.notes)
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


@pytest.mark.parametrize("first", [0, 1, 10])
def test_masks_named_like_the_jpgs_belong_to_them(tmp_path: Path, first: int) -> None:
    """Where every mask is called like a jpg, they are counted alike, whatever the first number."""
    video = film(tmp_path / "numbered" / "7", first=first)
    masks = write_masks(tmp_path / "masks", range(first + 2, first + FRAMES, 5))
    truth = annotated(video, masks, frames=FRAMES, fps=None).truth(0)
    assert np.flatnonzero(truth.known).tolist() == list(range(2, FRAMES, 5))
    assert first_columns(truth, "object") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_masks_of_every_mode(video: Path, tmp_path: Path, mode: str) -> None:
    """What is not black is true: also a 1 among 65,535, and the second colour of a palette."""
    folder = tmp_path / "masks"
    folder.mkdir()
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[10:20, 30:50] = 1
    if mode == "I;16":
        picture = Image.fromarray(values.astype(np.uint16))
    elif mode == "P":
        picture = Image.fromarray(values, mode="P")
        picture.putpalette([0, 0, 0, 0, 0, 90])
    elif mode in ("1", "L"):
        picture = Image.fromarray(values * (255 if mode == "1" else 1)).convert(mode)
    else:
        picture = Image.fromarray(values).convert(mode)
    for k in range(FRAMES):
        picture.save(folder / f"{k:04}.png")
    truth = annotated(video, folder).truth(0)
    assert truth.strict()[3].sum() == 200 and truth.strict()[3, 10:20, 30:50].all()


def test_masks_of_several_things_in_a_frame_are_joined(video: Path, tmp_path: Path) -> None:
    masks = write_masks(tmp_path / "masks", range(1, FRAMES + 1))
    for file in masks.glob("*.png"):
        file.rename(masks / f"{file.stem.split('_')[1]}_cup.png")
    hand = np.zeros((SIDE, SIDE), np.uint8)
    hand[50:60, 50] = 255
    Image.fromarray(hand).save(masks / "3_hand.png")
    (masks / "legend.png").write_bytes(b"")
    data = annotated(video, masks, frames=FRAMES, fps=None)
    truth = data.truth(0)
    assert [int(mask.sum()) for mask in truth.strict()[:4]] == [10, 10, 20, 10]
    assert "legend.png: no number in its name" in data.notes[0] and len(data.notes) == 1


def test_truth_of_a_film_that_is_scaled_while_it_is_read(tmp_path: Path) -> None:
    """Frames of over 1,280 pixels are scaled down: masks and boxes are those of the film."""
    video = film(tmp_path / "large" / "7", 2, size=(1600, 200))
    folder = tmp_path / "masks"
    folder.mkdir()
    mask = np.zeros((200, 1600), np.uint8)
    mask[50:100, 1500:1600] = 255
    for k in range(2):
        Image.fromarray(mask).save(folder / f"{k}.png")
    coco = tmp_path / "coco.json"
    images = [{"id": k, "file_name": f"{k + 1}.jpg"} for k in range(2)]
    found = [{"image_id": k, "bbox": [1500, 50, 100, 50]} for k in range(2)]
    coco.write_text(json.dumps({"images": images, "annotations": found}))
    for truth in (folder, coco):
        data = annotated(video, truth, frames=2, fps=None)
        clip = data.clip(0)
        assert clip.size == (160, 1280)
        where = np.argwhere(data.truth(0, clip).strict()[1])
        assert where.min(axis=0).tolist() == [40, 1200]
        assert where.max(axis=0).tolist() == [79, 1279]


@pytest.mark.parametrize(
    "name", ["{k:04}.jpg", "images/frame_{k:06}.PNG", "7_{k:04}.jpg", "data/7/{k}.jpg", "of {k}/x"]
)
def test_coco_files_are_called_in_many_ways(video: Path, tmp_path: Path, name: str) -> None:
    images = [{"id": k, "file_name": name.format(k=k)} for k in range(FRAMES)]
    if name == "of {k}/x":  # no number of the frame: then it must be said
        images = [{"id": k, "file_name": "7/x", "frame_id": k} for k in range(FRAMES)]
    found = [{"image_id": k, "bbox": [k, 20, 40, 60]} for k in range(FRAMES)]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": found}))
    data = annotated(video, path, frames=FRAMES, fps=None)
    assert first_columns(data.truth(0), "object") == list(range(FRAMES))


@pytest.mark.parametrize(
    ("image", "note"),
    [
        ({"id": 99, "file_name": "7/x.jpg"}, "image 99 is left out ('x.jpg' has no number"),
        ({"id": 99}, "image 99 is left out ('file_name' is missing)"),
        ({"id": 99, "file_name": "7/1.jpg", "width": "wide", "height": 2}, "image 99 is left out"),
        ({"id": 99, "file_name": "7/1.jpg", "width": 1e400, "height": 2}, "image 99 is left out"),
        (
            {"id": 99, "file_name": "7/1.jpg", "width": -5, "height": 2},
            "left out (-5×2 is no size)",
        ),
    ],
)
def test_damaged_coco_images_are_named(
    video: Path, tmp_path: Path, image: dict[str, Any], note: str
) -> None:
    good = {"id": 1, "file_name": "7/0004.jpg"}
    path = tmp_path / "coco.json"
    path.write_text(
        json.dumps(
            {"images": [image, good], "annotations": [{"image_id": 1, "bbox": [9, 9, 9, 9]}]}
        )
    )
    data = annotated(video, path, frames=FRAMES, fps=None)
    assert note in data.notes[0].replace("7/x", "x")
    assert np.flatnonzero(data.truth(0).known).tolist() == [3]


def test_an_action_of_the_only_video_needs_no_name(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("first,last\n7,15\n")
    assert annotated(video, path, frames=FRAMES, fps=None).truth(0).action == (6, 14)


def test_an_action_after_the_end_is_named(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    for text in ("video,first,last\n7,25,30\n", "video,start,end\n7,2,3\n"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"7: its action, .*, lies after its end"):
            annotated(video, path).truth(0)
    for text in ("video,first,last\n7,20,30\n", "video,start,end\n7,1.6,3\n"):
        path.write_text(text)
        data = annotated(video, path, frames=FRAMES, fps=None)
        assert data.truth(0).action in ((19, 23), (20, 23))
        assert "goes on after its end" in data.notes[0]


def test_phases_in_a_film_of_another_rate(tmp_path: Path) -> None:
    """A frame of phases lasts a twelfth of a second, and so may be several of the film's."""
    video = film(tmp_path / "30" / "7", 60)
    path = tmp_path / "phases.csv"
    path.write_text("video_id,action_id,approach,action,leave\n7,1,1-6,7-15,16-24\n")
    truth = annotated(video, path, frames=60, fps=None, source_fps=30).truth(0)
    assert truth.action == (15, 37)  # 6 / 12 s and up to 15 / 12 s


# --- the command, and the real clips ----------------------------------------------------------


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_cannot_be_scored_is_named(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(tmp_path / "videos" / "8", side=56)
    film(tmp_path / "videos" / "9", 8)
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({name: something_else(name, FRAMES) for name in "78"}))
    assert main(["score", str(tmp_path / "videos"), "--truth", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["n"], result["without_truth"], list(result["failures"])) == (1, 1, ["8"])
    assert result["notes"] == [f"{tmp_path / 'videos' / '9'}: no annotation; it is left out"]
    assert "videos/9: no annotation; it is left out" in err
    assert "\n  8: a box reaches to (40, 60), but its frames are 56×56" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--split", "test"], "--split is for a data set, with --data"),
        (["--label", "0", "--labels", "labels.json"], "give --label for all videos, or --labels"),
    ],
)
def test_options_that_do_not_go_together(
    video: Path, boxes: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["score", str(video), "--truth", str(boxes), *more]) == 2
    assert message in capsys.readouterr().err
    assert main(["score", "--data", "there", "--fps", "native"]) == 2
    assert "--fps is for videos, with --truth" in capsys.readouterr().err


def test_labels_of_other_videos_are_said(video: Path, boxes: Path) -> None:
    data = annotated(video, boxes, classes={"5": "Dropping [something]"})
    assert data.targets == [None]
    assert data.notes == [
        "none of the 1 labels is of these videos, the first is of '5': labels are found by the "
        "videos' names without ending"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradcam", "deconvolution"])
def test_clips_of_known_and_of_unknown_class(tmp_path: Path, video: Path, method: str) -> None:
    """Only the classes that are known count as right or wrong, and stand in the table of classes.

    Deconvolution gives the map of one class at a time: here of the first, where none is known.
    """
    film(tmp_path / "videos" / "8")
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({name: something_else(name, FRAMES) for name in "78"}))
    model = gv.load_model("tabletop")
    first = gv.explain(model, gv.read_clip(video)).top(1)[0][0]
    wrong = next(label for label in gv.FORTY_NAMES if label != first and "camera" not in label)
    data = gv.AnnotatedVideos(tmp_path / "videos", path, model.labels, {"7": wrong})
    result = gv.score(model, data, method)
    assert (result["n"], result["first"]["n"], result["right"]["n"]) == (2, 1, 0)
    assert result["top1"] == 0 and list(result["classes"]) == [wrong]


def test_the_folder_one_stands_in_has_a_name(
    video: Path, boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(video)
    assert annotated(Path(), boxes).ids == ["7"]


def test_a_template_counts_as_its_class(video: Path, boxes: Path) -> None:
    data = annotated(video, boxes, classes={"7": "Throwing something onto a surface"})
    assert gv.FORTY_NAMES[data.targets[0]] == "Dropping [something]"
    data = annotated(video, boxes, classes={"7": "Burying something in something"})
    assert data.targets == [None]
    assert "none that the model knows" in data.notes[-1]


def test_a_truth_of_no_frame_of_the_clip_is_said(video: Path) -> None:
    e = gv.explain(gv.load_model("tabletop"), gv.read_clip(video))
    nowhere = Truth({}, (0, 1), known=np.zeros(16, dtype=bool))
    with pytest.raises(BadInput, match="none of its frames is annotated"):
        score_clip(e, nowhere, None)


def test_seven_real_clips(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each clip's scores are those computed by hand, and the command gives their mean."""
    folder = shared_data / "something_else"
    truth = folder / "annotations.json"
    annotations = json.loads(truth.read_text())
    model = gv.load_model("tabletop")
    data = gv.AnnotatedVideos(folder / "videos", truth, model.labels)
    assert sorted(data.ids) == sorted(annotations) and not data.notes
    by_hand: list[dict[tuple[str, str], float]] = []
    for i, id_ in enumerate(data.ids):
        clip = data.clip(i)
        frames = {int(frame["name"][-8:-4]): frame["labels"] for frame in annotations[id_]}
        shown = [min(round(moment * 12) + 1, max(frames)) for moment in clip.times]
        boxes = [
            [tuple(label["box2d"][side] for side in ("x1", "y1", "x2", "y2")) for label in labels]
            for labels in (frames[number] for number in shown)
        ]
        e = gv.explain(model, clip)
        score = score_clip(e, data.truth(i, clip), None)
        by_hand.append(scored_by_hand(clip, e, boxes))
        for (measure, who), value in by_hand[-1].items():
            assert score.values[measure, "strict", who] == pytest.approx(value, rel=1e-4), id_
    assert main(["score", str(folder / "videos"), "--truth", str(truth), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["n"] == 7 and not result["failures"]
    for measure, who in by_hand[0]:
        mean = np.mean([one[measure, who] for one in by_hand])
        assert result["first"][measure]["strict"][who]["mean"] == pytest.approx(mean, rel=1e-3)
    # The boxes lie on what is filmed: a perfect map and mere motion score above a uniform one.
    strict = result["first"]["energy_ratio"]["strict"]
    assert strict["oracle"]["mean"] > 2.5 and strict["motion"]["mean"] > 1.15
