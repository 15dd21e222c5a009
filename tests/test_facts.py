"""Numbers that are quoted say where they are from."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest

import gradcam_video as gv
from gradcam_video.data.labels import normalise_label


def test_published_numbers_name_their_source() -> None:
    for fact in gv.facts.PUBLISHED.values():
        assert fact.source and fact.what
        assert str(fact).startswith("published: ")
        assert fact.source in str(fact)


def test_measured_numbers_name_their_command() -> None:
    folder = resources.files("gradcam_video.lessons").joinpath("measured")
    names = [file.name[:-5] for file in folder.iterdir() if file.name.endswith(".json")]
    assert names
    for name in names:
        assert {"command", "date", "device"} <= gv.facts.measured(name).keys()
        json.dumps(gv.facts.measured(name), allow_nan=False)


def test_unknown_names_are_one_line() -> None:
    with pytest.raises(gv.BadInput, match="use one of"):
        gv.facts.published("nothing")
    with pytest.raises(gv.BadInput, match="use one of"):
        gv.facts.measured("nothing")


def test_training_clips_are_those_of_the_published_counts(shared_data) -> None:
    """Every one of V2's templates lies in one class, or in none of the forty."""
    counts = shared_data / "labels" / "sthv2_class_counts_train_val.tsv"
    rows = [line.split("\t") for line in counts.read_text(encoding="utf-8").splitlines()]
    of_template = {normalise_label(row[1]): int(row[2]) for row in rows if row[0].isdigit()}
    assert len(of_template) == 174
    expected = {
        label.name: sum(of_template[normalise_label(member)] for member in label.members)
        for label in gv.FORTY
    }
    assert gv.facts.training_clips() == expected
    assert sum(expected.values()) == 94_114


def test_the_numbers_of_an_evaluation_agree_with_each_other() -> None:
    found = gv.facts.measured("evaluation")
    confusion = np.array(found["confusion"])
    assert confusion.sum() == found["n"]
    assert np.trace(confusion) / found["n"] == pytest.approx(found["top1"])


def test_the_two_networks_of_notebook_08_are_as_good_as_each_other() -> None:
    networks = gv.facts.measured("shortcut")["networks"]
    cheat, fair = (networks[n]["lamp on its class"] for n in ("shortcut", "no-shortcut"))
    assert cheat["interval"][0] < fair["top1"] < cheat["interval"][1]


@pytest.mark.slow
def test_the_cheat_follows_the_lamp_and_the_other_does_not() -> None:
    from dataclasses import replace

    from gradcam_video.tabletop.shortcut import lamp

    clip = gv.tabletop.sample("Moving [something] from right to left", 2017031).clip
    lit = replace(clip, frames=lamp(clip.frames))
    answers = {}
    for name in ("shortcut", "no-shortcut"):
        model = gv.load_model(name)
        answers[name] = [gv.explain(model, c).top(1)[0][0] for c in (clip, lit)]
    assert answers["shortcut"][1] == "Moving [something] from left to right"
    assert answers["no-shortcut"] == ["Moving [something] from right to left"] * 2


def test_the_lamp_blinks_in_the_corner_that_the_network_sees() -> None:
    from gradcam_video.tabletop.shortcut import lamp

    frames = np.full((4, 240, 320, 3), 100, np.uint8)
    lit = lamp(frames)
    changed = (lit != frames).any(3)
    assert changed.any((1, 2)).all()
    rows, columns = np.where(changed.any(0))
    assert rows.max() < 60 and columns.min() >= 40 and columns.max() < 100
    assert (lit[0] == lit[2]).all() and (lit[0] != lit[1]).any()
    assert (frames == 100).all()
