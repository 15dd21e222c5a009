"""Every film at its own pace: overlay, gif and player last as long as the clip, frame by frame."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from explanations import synthetic
from PIL import Image

import gradcam_video as gv
from gradcam_video.show import player_html, save, write_gif, write_mp4
from gradcam_video.show.export import mp4_pace
from gradcam_video.show.player_page import payload

SIZE = 64, 48  # width, height


def picture(k: int) -> np.ndarray:
    """One that differs from its neighbours after it was compressed."""
    frame = np.full((SIZE[1], SIZE[0], 3), 30, np.uint8)
    frame[:, (k * 5) % 48 : (k * 5) % 48 + 16] = 60 + 97 * k % 190
    return frame


def film(path: Path, times: np.ndarray) -> Path:
    """A film whose frames appear at these seconds, to a millisecond."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", 1000, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for k, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(k))
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def regular(path: Path, rate: int, seconds: float) -> Path:
    return film(path, np.arange(round(rate * seconds)) / rate)


def explained(clip: gv.Clip) -> gv.Explanation:
    """A synthetic explanation of a clip: how long it lasts needs no network."""
    height, width = clip.size
    return replace(synthetic(height, width, frames=len(clip), steps=4), clip=clip)


def mp4_times(path: Path) -> tuple[list[float], float]:
    """When each frame is shown, and how long all last, seconds."""
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert stream.duration and stream.time_base
        last = float(stream.duration * stream.time_base)
        return [float(f.pts * f.time_base) for f in video.decode(stream)], last


def gif_delays(path: Path) -> list[int]:
    """Milliseconds of each frame."""
    with Image.open(path) as video:
        delays = []
        for k in range(getattr(video, "n_frames", 1)):
            video.seek(k)
            delays.append(video.info["duration"])
    return delays


def page_durations(path: Path) -> list[float]:
    found = re.search(r'id="meta">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])["frames"]["durations"]


def lengths(folder: Path) -> tuple[float, float, float]:
    """Seconds of overlay.mp4, overlay.gif and the player."""
    _, mp4 = mp4_times(folder / "overlay.mp4")
    gif = sum(gif_delays(folder / "overlay.gif")) / 1000
    return mp4, gif, sum(page_durations(folder / "player.html")) / 1000


# A source of 5 frames a second, sampled at 4, played in 3.2 s; of 1 a second in 0.64 s (player).
@pytest.mark.parametrize("rate", [1, 2, 5, 10, 24, 25, 30])
def test_outputs_last_as_long_as_the_clip_whatever_the_rate(rate: int, tmp_path: Path) -> None:
    clip = gv.read_clip(regular(tmp_path / "a.mp4", rate, 6))
    assert clip.seconds == 4
    save(explained(clip), tmp_path / "out", only=["mp4", "gif", "html"])
    assert lengths(tmp_path / "out") == pytest.approx((4, 4, 4), abs=1e-3)
    starts, _ = mp4_times(tmp_path / "out" / "overlay.mp4")
    assert starts == pytest.approx(np.arange(16) / 4, abs=1e-3)


# Screen recordings: bursts with pauses between. Their own frames keep their own times.
PAUSES = np.array([0, 0.1, 0.2, 2.2, 2.3, 2.4, 5.0, 5.1, 5.2, 5.3])


def test_frames_of_a_film_with_pauses_stay_for_their_own_times(tmp_path: Path) -> None:
    clip = gv.read_clip(film(tmp_path / "a.mp4", PAUSES), frames=10, fps=None)
    assert clip.times == pytest.approx(PAUSES)
    steps = [0.1, 0.1, 2, 0.1, 0.1, 2.6, 0.1, 0.1, 0.1]
    assert clip.durations[:9] == pytest.approx(steps)
    save(explained(clip), tmp_path / "out", only=["mp4", "gif", "html"])
    assert lengths(tmp_path / "out") == pytest.approx((clip.seconds,) * 3, abs=0.006)
    starts, _ = mp4_times(tmp_path / "out" / "overlay.mp4")
    assert starts == pytest.approx(PAUSES, abs=1e-3)
    assert gif_delays(tmp_path / "out" / "overlay.gif")[:9] == [round(1000 * s) for s in steps]
    stays = page_durations(tmp_path / "out" / "player.html")
    assert stays[:9] == pytest.approx([1000 * s for s in steps])


def test_a_film_with_pauses_sampled_at_a_rate_plays_at_it(tmp_path: Path) -> None:
    clip = gv.read_clip(film(tmp_path / "a.mp4", PAUSES), start=0)
    save(explained(clip), tmp_path / "out", only=["mp4", "gif", "html"])
    assert lengths(tmp_path / "out") == pytest.approx((4, 4, 4), abs=1e-3)


@pytest.mark.parametrize(
    ("times", "frames", "stays"),
    [
        (np.arange(8) / 8, 8, np.full(8, 0.125)),  # all of them: the last one's own, too
        (np.arange(8) / 8, 4, np.full(4, 0.25)),  # every second
        (np.arange(4) / 8, 8, np.full(8, 0.125)),  # repeats stay as long as the mean
        (np.array([0, 1, 1.5, 4]), 2, np.array([3, 3.0])),  # the second and the last: 1 and 4 s
        (np.zeros(1), 4, np.full(4, 0.25)),  # a picture has no pace
    ],
)
def test_how_long_frames_that_are_taken_as_they_are_stay(
    times: np.ndarray, frames: int, stays: np.ndarray, tmp_path: Path
) -> None:
    clip = gv.read_clip(film(tmp_path / "a.mp4", times), frames=frames, fps=None)
    assert clip.durations == pytest.approx(stays, abs=2e-3)
    assert clip.seconds == pytest.approx(len(clip) / clip.fps)


def test_repeats_of_a_short_film_count(tmp_path: Path) -> None:
    clip = gv.read_clip(regular(tmp_path / "a.mp4", 10, 1))
    assert clip.repeated.sum() > 10 and clip.seconds == 4
    save(explained(clip), tmp_path / "out", only=["mp4", "gif", "html"])
    assert lengths(tmp_path / "out") == pytest.approx((4, 4, 4), abs=1e-3)


def test_a_rate_that_was_asked_for_holds_for_all_frames(tmp_path: Path) -> None:
    clip = gv.read_clip(film(tmp_path / "a.mp4", PAUSES), frames=10, fps=None)
    save(explained(clip), tmp_path / "out", only=["mp4", "gif"], fps=5)
    starts, last = mp4_times(tmp_path / "out" / "overlay.mp4")
    assert starts == pytest.approx(np.arange(10) / 5) and last == pytest.approx(2)
    assert gif_delays(tmp_path / "out" / "overlay.gif") == [200] * 10


@pytest.mark.parametrize("fps", [0.005, 500])
def test_clips_too_slow_or_too_fast_for_a_rate_are_written(fps: float, tmp_path: Path) -> None:
    """A high-speed camera: 500 frames a second are no rate of a video, but it lasts as long."""
    e = explained(gv.Clip.of(np.stack([picture(k) for k in range(8)]), fps=fps))
    save(e, tmp_path, only=["mp4"])
    assert mp4_times(tmp_path / "overlay.mp4")[1] == pytest.approx(8 / fps)


def test_a_matroska_of_ms_has_one_rate() -> None:
    """30 frames a second in milliseconds: 33, 33, 34, …, and not a rate for each frame."""
    stays = np.diff(np.round(np.arange(31) / 30, 3))
    assert mp4_pace(stays) == {"fps": pytest.approx(30)}
    assert "durations" in mp4_pace(np.array([0.25, 0.5]))


# --- gif ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [7, 12, 15, 23.976, 30, 50, 60, 240])
def test_gif_plays_at_the_right_pace(fps: float, tmp_path: Path) -> None:
    """A gif counts in 0.01 s, and browsers play less than 0.02 s as 0.1 s."""
    path = write_gif((picture(k) for k in range(60)), tmp_path / "a.gif", fps)
    delays = gif_delays(path)
    assert sum(delays) == pytest.approx(60_000 / fps, abs=5.1)
    assert min(delays) >= 20 and max(delays) <= max(40, 1000 / fps + 10)
    if fps <= 30:
        assert len(delays) == 60  # and no frame is left out


def test_a_frame_that_stays_longer_than_a_gif_can_say_is_repeated(tmp_path: Path) -> None:
    path = write_gif([picture(0), picture(1)], tmp_path / "a.gif", durations=[2000, 1])
    delays = gif_delays(path)
    assert sum(delays) == 2_001_000 and max(delays) <= 655_350


def test_equal_frames_longer_than_a_gif_can_say(tmp_path: Path) -> None:
    path = write_gif([picture(0)] * 500, tmp_path / "a.gif", 0.5)
    delays = gif_delays(path)
    assert sum(delays) == 1_000_000 and max(delays) <= 655_350


def test_a_gif_of_very_many_frames_is_bounded_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = np.random.default_rng(0)
    frames = (rng.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(10_000))
    path = write_gif(frames, tmp_path / "a.gif", 25)
    delays = gif_delays(path)
    assert 250 <= len(delays) <= 600
    assert sum(delays) == 400_000
    assert "a gif of 10000 frames" in caplog.text and "1 in 32 is kept" in caplog.text


def test_a_gif_needs_a_rate(tmp_path: Path) -> None:
    for fps in (None, 0, -1, float("nan")):
        with pytest.raises(gv.BadInput, match="frames per second"):
            write_gif([picture(0)], tmp_path / "a.gif", fps)


# --- mp4 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "words"),
    [([1, 1], "more frames"), ([1] * 4, "fewer frames"), ([1, -1, 1], "durations"),
     ([0, 0, 0], "not all zero"), ([1, float("nan"), 1], "durations")],
)  # fmt: skip
def test_durations_that_do_not_fit(bad: list[float], words: str, tmp_path: Path) -> None:
    with pytest.raises(gv.BadInput, match=words):
        write_mp4([picture(k) for k in range(3)], tmp_path / "a.mp4", durations=bad)
    assert not list(tmp_path.iterdir())


def test_a_clip_checks_how_long_its_frames_stay() -> None:
    clip = gv.Clip.of(np.zeros((3, 8, 8, 3), np.uint8))
    assert clip.durations.tolist() == [0.25] * 3
    for stays in ([1.0, 1], [1.0, -1, 1], [0.0, 0, 0]):
        with pytest.raises(gv.BadInput, match="stays"):
            replace(clip, stays=np.array(stays))


# --- player -------------------------------------------------------------------------------------


def uneven() -> gv.Explanation:
    e = synthetic(frames=4)
    return replace(e, clip=replace(e.clip, stays=np.array([0.2, 0.6, 0.2, 0.4]), fps=0))


def test_frames_left_out_of_a_player_leave_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcam_video.show import player_page as module

    monkeypatch.setattr(module, "MAX_FRAMES", 3)
    e = synthetic(frames=9)
    e = replace(e, clip=replace(e.clip, stays=np.arange(1, 10) / 10))
    meta, _ = payload(e, 5)
    assert meta["frames"]["numbers"] == [0, 4, 8]
    assert meta["frames"]["durations"] == pytest.approx([1000, 2600, 900])


@pytest.mark.slow
def test_the_page_shows_each_frame_for_its_time(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "player.html"
    path.write_text(player_html(uneven()), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelector('canvas')?.dataset.painted")
    page.evaluate("""() => {
      window.seen = [];
      const slider = document.querySelector('.gcv-frame input');
      let before = null;
      setInterval(() => {
        if (slider.value !== before) seen.push([Number(slider.value), performance.now()]);
        before = slider.value;
      }, 5);
    }""")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("window.seen.length >= 10", timeout=20_000)
    seen = page.evaluate("window.seen")
    assert [frame for frame, _ in seen[:10]] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    at = np.array([time for _, time in seen])
    assert at[9] - at[1] == pytest.approx(2 * 1400, abs=150)  # two times round, and no drift
    assert at[2] - at[1] == pytest.approx(600, abs=150)
    assert at[4] - at[3] == pytest.approx(400, abs=150)
    page.close()
