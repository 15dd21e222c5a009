"""Drawings of the mechanism: what they say is computed from what they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import gradcam_video as gv
from gradcam_video.lessons import drawings

FRAMES = np.random.default_rng(0).integers(0, 255, (16, 40, 40, 3), np.uint8)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for axis in figure.axes for text in axis.texts]


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (3, 1, 0), (5, 1, 2)]
)
def test_as_many_steps_as_pytorch_gives(kernel: int, stride: int, padding: int) -> None:
    conv = torch.nn.Conv1d(1, 1, kernel, stride, padding)
    steps = conv(torch.zeros(1, 1, 16)).shape[2]
    options = {"kernel": kernel, "stride": stride, "padding": padding}
    said = words(drawings.draw_sliding_filter(FRAMES, **options))
    assert any(text.endswith(f"= {steps} steps in time") for text in said)
    assert said.count("pad") == 2 * padding


def test_the_network_adds_up_to_the_logit() -> None:
    activations = np.random.default_rng(1).random((5, 16, 4, 4))
    weights = np.array([2.0, -1, 0.5, 3, -4])
    said = words(drawings.draw_network(FRAMES, activations, weights, 0.7, 7))
    logit = float(weights @ activations.mean((1, 2, 3)) + 0.7)
    assert any(f"= logit\n{logit:.1f}" in text for text in said)
    assert "… 5 channels in all" in said and any("Z = 256 cells" in text for text in said)
    assert f"= {3 * activations[3].mean():+.2f}" in said  # the channel that adds most


def test_the_box_is_what_can_change_the_cell() -> None:
    reach = np.zeros((16, 20, 20))
    reach[5:8, 4:9, 10:16] = 1
    figure = drawings.draw_cell_view(FRAMES, reach, (6, 0.3, 0.6))
    boxes = [p for axis in figure.axes for p in axis.patches if isinstance(p, Rectangle)]
    white = [box for box in boxes if box.get_edgecolor()[:3] == (1, 1, 1)]
    assert len(white) == 3
    assert white[0].get_width() == pytest.approx(6 / 20)
    assert white[0].get_height() == pytest.approx(5 / 20)


def test_an_inflated_filter_is_drawn_at_a_third() -> None:
    figure = drawings.draw_inflation(np.ones((1, 3, 2, 2)))
    drawn = [float(np.asarray(image.get_array()).max()) for image in figure.axes[0].images]
    assert drawn[0] == 1 and drawn.count(0.5) == 2  # the filter, and zeros around the middle one
    assert sum(value == pytest.approx(0.5 + 0.5 / 3) for value in drawn) == 3


def test_maps_side_by_side_have_one_bar_of_colours() -> None:
    figure = drawings.draw_maps([FRAMES[0]] * 6, [f"frame {t}" for t in range(6)], across=3)
    assert [axis.get_title() for axis in figure.axes[:6]] == [f"frame {t}" for t in range(6)]
    labels = [label.get_text() for label in figure.axes[6].get_yticklabels()]
    assert labels == ["none", "most"]
    with pytest.raises(ValueError):
        drawings.draw_maps([FRAMES[0]], [])


@pytest.mark.slow
def test_the_street_says_what_the_networks_say(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gv.load_model("tabletop")
    e = gv.explain(model, gv.tabletop.sample("Opening [something]", 7).clip)
    cuts = gv.load_model("transnetv2", weights=None)
    film = gv.Clip.of(np.zeros((100, 27, 48, 3), np.uint8), fps=25)
    found = gv.explain(cuts, film, classes=[0])
    found.logits[:] = -9
    found.logits[41] = 9
    figure = drawings.draw_street(found, [e, e])
    assert words(figure) == ["cut after 41"]
    assert figure.axes[1].get_title().startswith(f"“{e.top(1)[0][0]}”")
    monkeypatch.setattr(drawings, "packaged_files", lambda *args: [])
    assert drawings.street_film() is None
