"""Pictures, sheets, films and the folder on disk, from made explanations: no network is run."""

from __future__ import annotations

import base64
import errno
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import matplotlib.pyplot
import numpy as np
import pytest
from PIL import Image

from gradcam_video.data.clip import Clip
from gradcam_video.errors import BadInput
from gradcam_video.explanation import Explanation
from gradcam_video.geometry import Axis, Grid, View
from gradcam_video.show import (
    draw_filmstrip,
    overlay,
    save,
    sheet,
    side_by_side,
    write_gif,
    write_mp4,
)
from gradcam_video.show import video as movie_module
from gradcam_video.show.blend import at_size, fit, palette
from gradcam_video.show.captions import block, font, percent, wrap
from gradcam_video.show.export import FILES
from gradcam_video.show.page_layout import Page

LONG = "Pretending to put [something] into [something] but failing so [something] falls"


def made(
    height: int = 60,
    width: int = 80,
    frames: int = 4,
    steps: int = 4,
    cells: tuple[int, int] = (3, 4),
    seed: int = 0,
    **more: Any,
) -> Explanation:
    """Six classes, the last without positive evidence; the last frame is a repeat."""
    rng = np.random.default_rng(seed)
    labels = ("opening", "closing", LONG, "a <b>'\"</script>", "other", "empty")
    signed = rng.normal(size=(6, steps, *cells)).astype(np.float32)
    signed *= np.array([1, 3, 0.5, 2, 1, 1], np.float32)[:, None, None, None]
    signed[5] = -np.abs(signed[5])
    ramp = np.linspace(0, 200, width)[None, None, :, None]
    noise = rng.integers(0, 56, size=(frames, height, width, 3))
    clip = Clip(
        frames=(ramp + noise).astype(np.uint8),
        times=np.arange(frames) / 4,
        repeated=np.arange(frames) == frames - 1 if frames > 1 else np.zeros(1, bool),
        source="clips/a <b>.mp4",
    )
    side = min(height, width)
    top, left = (height - side) / 2, (width - side) / 2
    view = View(height, width, 32, 32, top, left, top + side, left + side)
    grid = Grid(
        Axis(steps, frames, 0.0, frames / steps),
        Axis(cells[0], 32, 0.0, 32 / cells[0]),
        Axis(cells[1], 32, 1.5, 32 / cells[1]),
        view,
    )
    logits = np.array([2, 1, 0, -1, -2, -3], np.float32)
    return Explanation(
        clip, labels, logits, np.arange(6), signed, grid, model="toy", seconds=0.1, **more
    )


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# --- overlay ------------------------------------------------------------------------------------


def test_a_zero_map_leaves_brightness_and_the_post_look_turns_blue() -> None:
    frame = np.full((4, 5, 3), 200, np.uint8)
    zero = np.zeros((4, 5), np.float32)
    assert (overlay(frame, zero) == 200).all()  # a grey frame stays itself
    blue = overlay(frame, zero, cmap="jet", opacity=0.5)
    assert np.abs(blue - (0.5 * 200 + 0.5 * palette("jet")[0])).max() <= 1


def test_evidence_blend_follows_its_formula() -> None:
    rng = np.random.default_rng(1)
    frame = rng.integers(0, 256, size=(16, 16, 3)).astype(np.uint8)
    heat = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    grey = 0.4 * frame + 0.6 * (frame @ [0.299, 0.587, 0.114])[..., None]
    a = (0.7 * (1 - (1 - heat) ** 2))[..., None]
    expected = (1 - a) * grey + a * palette("inferno").reshape(16, 16, 3)
    assert np.abs(overlay(frame, heat, opacity=0.7) - expected).max() <= 2


def test_opacity_zero_and_one_and_jet_is_not_inverted() -> None:
    frame = np.random.default_rng(2).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    peak = np.ones((6, 6), np.float32)
    assert (overlay(frame, peak, cmap="jet", opacity=0) == frame).all()
    full = overlay(frame, peak, cmap="jet", opacity=1)
    assert (full == palette("jet")[255]).all()
    assert full[0, 0, 0] > full[0, 0, 2]  # the most is red


def test_what_the_network_did_not_see_is_dark_and_unpainted() -> None:
    frame = np.full((4, 4, 3), 100, np.uint8)
    seen = np.zeros((4, 4), bool)
    seen[:, 2:] = True
    out = overlay(frame, np.ones((4, 4), np.float32), seen=seen)
    assert (out[:, :2] == 40).all()
    assert (out[:, 2:] != 40).any()


@pytest.mark.parametrize(
    "bad",
    [
        {"heat": np.zeros((3, 3))},
        {"opacity": 1.5},
        {"cmap": "infernoo"},
        {"blend": "multiply"},
    ],
)
def test_overlay_refuses_in_one_line(bad: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"heat": np.zeros((4, 4)), **bad}
    with pytest.raises(BadInput) as caught:
        overlay(np.zeros((4, 4, 3), np.uint8), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((120, 160), (224, 299)), ((240, 427), (240, 427)), ((720, 1280), (360, 640)),
     ((1280, 720), (480, 270)), ((100, 2000), (32, 640))],
)  # fmt: skip
def test_panels_are_large_enough_to_read_and_no_larger(size: tuple, expected: tuple) -> None:
    assert fit(*size) == expected


def test_the_map_at_another_size_is_the_map_in_the_same_place() -> None:
    e = made()
    big = at_size(e, 180, 240).upsampled_frame(1, "closing")
    # Every third pixel, from the middle of the first three, is where an original pixel is
    assert np.allclose(big[1::3, 1::3], e.upsampled_frame(1, "closing"), atol=1e-5)


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 120, 300])
def test_wrapped_words_fit_and_none_is_lost(width: int) -> None:
    lines = wrap(LONG, width, 13)
    assert all(font(13).getlength(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(LONG.split())


def test_no_ink_touches_the_edge_of_a_text_block() -> None:
    picture = block([(LONG, (255, 255, 255), True)], 150, 14, (0, 0, 0))
    edge = np.concatenate([picture[:2].ravel(), picture[-2:].ravel(), picture[:, -2:].ravel()])
    assert picture.max() == 255
    assert edge.max() == 0


def test_percent_never_says_nothing_or_everything() -> None:
    assert [percent(p) for p in (0.5, 0.004, 0.9964)] == ["50 %", "0.4 %", "99.6 %"]


# --- film ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(120, 160), (31, 53), (90, 40)])
def test_side_by_side_holds_the_original_and_the_overlay(size: tuple[int, int]) -> None:
    e = made(*size)
    pictures = list(side_by_side(e))
    assert len(pictures) == 4
    assert len({p.shape for p in pictures}) == 1
    assert all(side % 2 == 0 for side in pictures[0].shape[:2])
    page = Page(e, [None], "clip")
    original = page.original(2)
    rows = slice(page.top, page.top + page.height)
    left, right = page.lefts
    assert (pictures[2][rows, left : left + page.width] == original).all()
    heat = page.e.upsampled_frame(2, None)
    drawn = overlay(original, heat, seen=page.e.grid.view.seen())
    assert (pictures[2][rows, right : right + page.width] == drawn).all()


def test_every_warning_changes_the_picture() -> None:
    plain = next(side_by_side(made()))
    untrained = next(side_by_side(made(untrained=True)))
    remark = next(side_by_side(made(remark="knows only made clips")))
    assert untrained.shape[0] > plain.shape[0]
    assert (untrained[2:20, :, 0] > 150).mean() > 0.8  # a red banner on top
    assert remark.shape[0] > plain.shape[0]
    *_, before, last = side_by_side(made())
    assert (before != last).any()


def test_the_strip_marks_the_present_frame() -> None:
    e = made()
    page = Page(e, [None], "clip")
    amber = [
        np.flatnonzero((p[page.bottom - 3] == movie_module.MARK).all(axis=1)).mean()
        for p in side_by_side(e)
    ]
    assert amber == sorted(amber)
    assert len(set(amber)) == 4


def test_several_classes_stand_side_by_side() -> None:
    one, two = (next(side_by_side(made(), label)) for label in (0, [0, "closing"]))
    assert two.shape[1] > 1.4 * one.shape[1]


def test_more_frames_than_pixels_of_the_strip() -> None:
    e = made(8, 8, frames=700, steps=2)
    page = Page(e, [None], "clip")
    frame = page.original(699)
    assert page.draw(699, [frame, frame]).shape == page.base.shape


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    frames = [np.full((33, 51, 3), 60 * i, np.uint8) for i in range(5)]
    path = write_mp4(iter(frames), tmp_path / "film.mp4", 4)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.width, stream.height) == (52, 34)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 4
        levels = [f.to_ndarray(format="rgb24").mean() for f in film.decode(stream)]
    assert np.allclose(levels, [0, 60, 120, 180, 240], atol=4)
    assert names(tmp_path) == ["film.mp4"]


def test_gif_has_one_palette_and_the_right_colours(tmp_path: Path) -> None:
    frames = list(side_by_side(made(frames=20)))
    write_gif(iter(frames), tmp_path / "film.gif", 5)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 20
        assert film.info["duration"] == 200
        assert film.info["loop"] == 0
        for t in (0, 7, 19):
            film.seek(t)
            shown = np.asarray(film.convert("RGB").resize(frames[t].shape[1::-1]))
            assert np.abs(shown.astype(int) - frames[t]).mean() < 8


@pytest.mark.parametrize("write", [write_mp4, write_gif])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_film_is_whole_or_not_there(write, error: BaseException, tmp_path: Path) -> None:
    target = tmp_path / f"film.{write.__name__[-3:]}"
    target.write_bytes(b"the film of before")

    def frames():
        yield np.zeros((32, 32, 3), np.uint8)
        raise error

    with pytest.raises((KeyboardInterrupt, BadInput, OSError)):
        write(frames(), target, 4)
    assert names(tmp_path) == [target.name]
    assert target.read_bytes() == b"the film of before"


@pytest.mark.parametrize("write", [write_mp4, write_gif])
def test_films_refuse_what_cannot_be_written(write, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no frames"):
        write([], tmp_path / "a.mp4", 4)
    with pytest.raises(BadInput, match="nowhere"):
        write([np.zeros((32, 32, 3), np.uint8)], tmp_path / "nowhere" / "a.mp4", 4)
    assert names(tmp_path) == []


def test_a_failing_ffmpeg_is_one_line(tmp_path: Path) -> None:
    frames = [np.zeros((32, 32, 3), np.uint8)] * 3
    with pytest.raises(BadInput) as caught:
        write_mp4(frames, tmp_path / "film.unknown", 4)  # ffmpeg knows no such format
    assert "\n" not in str(caught.value)
    assert "film.unknown" in str(caught.value)
    assert names(tmp_path) == []


# --- sheet --------------------------------------------------------------------------------------


def words_of(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_sheet_shows_all_and_says_what_it_shows() -> None:
    e = made(true_label="closing", untrained=True, remark="toy remark")
    figure = sheet(e)
    words = words_of(figure)
    for part in ("UNTRAINED", "“opening”", "true label: closing", "top 2: opening", "toy remark",
                 "strongest cell of this class's map"):  # fmt: skip
        assert part in words
    small = at_size(e, 120, 160)
    mosaic = figure.mosaic
    frame = movie_module.resize(e.clip.frames[1], 120, 160)
    drawn = overlay(frame, small.upsampled_frame(1), seen=small.grid.view.seen())
    assert (mosaic[:120, 164:324] == frame).all()
    assert (mosaic[122:242, 164:324] == drawn).all()


def test_a_page_shows_itself_once_and_as_a_jpeg(monkeypatch) -> None:
    from IPython.core.formatters import DisplayFormatter

    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    for page in (sheet(made()), draw_filmstrip(made())):
        assert DisplayFormatter().format(page) == ({}, {})  # it has shown itself: nothing is left
        (bundle,) = shown
        shown.clear()
        picture = Image.open(BytesIO(base64.b64decode(bundle["image/jpeg"])))
        wide, high = page.get_size_inches() * page.dpi
        assert picture.format == "JPEG"
        assert abs(picture.width - wide) <= 1 and abs(picture.height - high) <= 1


def test_sheet_of_an_empty_map_says_so() -> None:
    assert "No positive evidence for “empty”" in words_of(sheet(made(), "empty"))


def test_sheet_leaves_pyplot_alone() -> None:
    before = matplotlib.pyplot.get_fignums()
    sheet(made(), ["opening", "closing"], scope="classes", cmap="jet")
    assert matplotlib.pyplot.get_fignums() == before


def test_sheet_of_a_long_clip_shows_sixteen_frames() -> None:
    figure = sheet(made(20, 30, frames=90))
    assert figure.mosaic.shape[0] > sheet(made(20, 30, frames=3)).mosaic.shape[0]
    assert len(sheet(made(20, 30, frames=1)).axes) == 3
    with pytest.raises(BadInput, match="columns"):
        sheet(made(), columns=0)


# --- strip --------------------------------------------------------------------------------------


def test_a_bar_of_a_strip_stands_under_its_picture() -> None:
    e = made(frames=8, steps=4)
    peak = int(e.evidence("closing").argmax())
    figure = draw_filmstrip(e, "closing", every=2, action=(2, 5), marked=(peak, peak))
    clip, heat, bars = figure.axes
    shown = [int(text.get_text()) for text in clip.texts]
    assert peak in shown and shown == list(range(peak % 2, 8, 2))
    assert clip.get_xlim() == heat.get_xlim() == bars.get_xlim()
    heights = {round(b.get_x() + b.get_width() / 2): b.get_height() for b in bars.patches[1:]}
    assert [heights[t] for t in range(8)] == pytest.approx(e.evidence("closing"))
    first = bars.patches[0].get_x()
    assert (first, bars.patches[0].get_width()) == (1.5, 4)  # the action, from edge to edge
    # The pictures, in their order, as the overlay draws them
    (frames,), (maps,) = clip.images, heat.images
    size = frames.get_array().shape[0], frames.get_array().shape[1] // 4
    small = at_size(e, *size)
    for i, t in enumerate(shown):
        part = slice(i * size[1], (i + 1) * size[1])
        picture = movie_module.resize(e.clip.frames[t], *size)
        heat_there = small.upsampled_frame(t, "closing")
        drawn = overlay(picture, heat_there, cmap="jet", seen=small.grid.view.seen())
        assert (frames.get_array()[:, part] == picture).all()
        assert (maps.get_array()[:, part] == drawn).all()


def test_a_strip_says_what_it_shows() -> None:
    e = made(true_label="closing", untrained=True)
    words = words_of(draw_filmstrip(e, ["opening", "empty"], scope="classes"))
    for part in ("UNTRAINED", "true: closing", "top-2: opening", "map A: evidence for “opening”",
                 "weights: toy", "map B: evidence for “empty” (no positive evidence)"):  # fmt: skip
        assert part in words
    before = matplotlib.pyplot.get_fignums()
    with pytest.raises(BadInput, match="every"):
        draw_filmstrip(e, every=0)
    assert matplotlib.pyplot.get_fignums() == before


def test_written_sheet_equals_the_figure(tmp_path: Path) -> None:
    figure = sheet(made())
    figure.write_png(tmp_path / "quick.png")
    figure.savefig(tmp_path / "slow.png")
    quick, slow = (
        np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int)
        for name in ("quick.png", "slow.png")
    )
    assert quick.shape == slow.shape
    assert np.abs(quick - slow).mean() < 3


def test_no_words_leave_the_page() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = sheet(made(40, 20, frames=2, true_label=LONG, remark=LONG), [LONG, "closing"])
    renderer = FigureCanvasAgg(figure).get_renderer()
    for text in figure.texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.width + 1, text.get_text()


# --- folder -------------------------------------------------------------------------------------


def test_save_writes_six_files_that_open(tmp_path: Path) -> None:
    e = made(true_label="closing")
    paths = save(e, tmp_path / "a" / "clip", arrays={"window_start": np.arange(2)})
    assert [p.name for p in paths] == list(FILES)
    assert sorted(names(tmp_path / "a" / "clip")) == sorted(FILES)
    with np.load(paths[4], allow_pickle=False) as held:
        assert np.array_equal(held["signed"], e.signed)
        assert np.array_equal(held["maps"], np.maximum(e.signed, 0))
        assert held["labels"].tolist() == list(e.labels)
        assert (held["maps"] / held["scales"][:, None, None, None]).max() == 1
        assert held["window_start"].tolist() == [0, 1]
        assert str(held["method"]) == "gradcam"
        assert {"classes", "logits", "times", "repeated"} <= set(held.files)
    summary = json.loads(paths[5].read_text("utf-8"))
    assert summary["top"][0] == ["opening", round(e.top(1)[0][1], 6)]
    assert summary["empty_classes"] == ["empty"]
    assert summary["true_label"] == "closing"
    assert summary["shown"] == ["opening"]
    with av.open(str(paths[0])) as film:
        assert sum(1 for _ in film.decode(video=0)) == 4
        assert film.streams.video[0].average_rate == 4  # the clip's own
    assert getattr(Image.open(paths[1]), "n_frames", 0) == 4
    assert Image.open(paths[2]).width >= 560


def test_save_shows_several_classes_and_takes_fps(tmp_path: Path) -> None:
    one = save(made(), tmp_path / "one", "opening")
    two = save(made(), tmp_path / "two", ["opening", LONG], fps=7.5)
    widths = [Image.open(paths[1]).width for paths in (one, two)]
    assert widths[1] > widths[0]
    with av.open(str(two[0])) as film:
        assert film.streams.video[0].average_rate == 7.5
    assert json.loads(two[5].read_text())["shown"] == ["opening", LONG]


@pytest.mark.parametrize("broken", ["write_gif", "player_html", "write_mp4", "lay_out"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_failed_save_leaves_what_was_there(
    broken: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradcam_video.show import export as module

    folder = tmp_path / "clip"
    before = {p.name: p.read_bytes() for p in save(made(), folder)}

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, broken, fail)
    expected = BadInput if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        save(made(seed=5), folder)
    if expected is BadInput:
        assert "No space left" in str(caught.value)
        assert str(folder) in str(caught.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    with pytest.raises(expected):
        save(made(), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_move_that_fails_takes_the_others_back(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    before = {p.name: p.read_bytes() for p in save(made(), folder)}
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == folder / "player.html" and "old" not in self.parts:
            raise OSError(errno.EIO, "Input/output error")
        return real(self, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(BadInput, match="Input/output error"):
            save(made(seed=5), folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_save_refuses_bad_places_and_labels(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file"):
        save(made(), tmp_path / "file")
    with pytest.raises(BadInput):
        save(made(), tmp_path / "new", "no such class at all")
    with pytest.raises(BadInput, match="fps"):
        save(made(), tmp_path / "new", fps=1e6)
    assert names(tmp_path) == ["file"]


def test_frames_are_read_one_by_one(tmp_path: Path) -> None:
    """A joined long video hands out frames lazily: nothing may ask for all at once."""
    e = made(frames=6)
    frames = e.clip.frames

    class Lazy:
        shape = frames.shape

        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, t: int) -> np.ndarray:
            assert isinstance(t, int)
            return frames[t]

    object.__setattr__(e.clip, "frames", Lazy())
    assert len(save(e, tmp_path / "clip")) == 6
    assert sheet(e).mosaic.any()
