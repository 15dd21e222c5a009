"""Frames taken away one at a time: which are replaced, and by what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradcam_video as gv
from gradcam_video.lessons.peak import answers, without


def shown(way: str, width: int, frames: int = 5) -> list[list[float]]:
    x = torch.arange(frames, dtype=torch.float32).view(1, 1, frames, 1, 1).expand(1, 3, -1, 2, 2)
    copies = without(x, way, width)
    assert x[0, 0, :, 0, 0].tolist() == list(range(frames))  # the clip stays as it was
    assert (copies == copies[:, :1, :, :1, :1]).all()
    return copies[:, 0, :, 0, 0].tolist()


def test_one_frame_is_held() -> None:
    assert shown("hold", 1) == [
        [1, 1, 2, 3, 4],
        [0, 0, 2, 3, 4],
        [0, 1, 1, 3, 4],
        [0, 1, 2, 2, 4],
        [0, 1, 2, 3, 3],
    ]


def test_what_lies_between_is_the_same_where_it_moves_evenly() -> None:
    assert shown("between", 1)[1:-1] == [[0, 1, 2, 3, 4]] * 3
    assert shown("between", 1)[0] == [1, 1, 2, 3, 4]
    assert np.allclose(shown("between", 3)[2], [0, 1, 2, 3, 4])


def test_three_frames() -> None:
    assert shown("hold", 3)[2] == [0, 0, 0, 0, 4]
    assert shown("hold", 3)[0] == [2, 2, 2, 3, 4]
    assert shown("hold", 3)[4] == [0, 1, 2, 2, 2]


def test_refused_in_one_line() -> None:
    x = torch.zeros(1, 3, 4, 2, 2)
    for way, width, words in (("blur", 1, "use one of"), ("hold", 2, "odd"), ("hold", 5, "odd")):
        with pytest.raises(gv.BadInput, match=words):
            without(x, way, width)


@pytest.mark.slow
def test_the_answers_are_the_networks_own() -> None:
    model = gv.load_model("tabletop")
    x, _ = model.preprocess(gv.tabletop.sample("Opening [something]", 7).clip)
    found = answers(model, x)
    with torch.no_grad():
        one = model.forward(without(x)[6:7]).float()
    assert found.shape == (16, 40)
    assert torch.allclose(found[6], one[0], atol=1e-3)
