"""labels.py: the names against the published files, the pairs, and looking one up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gradcam_video.data.labels import (
    FORTY,
    FORTY_NAMES,
    MIRRORED_FORTY,
    MIRRORED_TEMPLATES,
    OPPOSITE_FORTY,
    OPPOSITE_TEMPLATES,
    TEMPLATES,
    find_label,
    group_of,
    normalise_label,
)
from gradcam_video.errors import BadInput


def plain(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def test_templates_are_numbered_alphabetically() -> None:
    assert len(TEMPLATES) == 174
    assert [plain(t) for t in TEMPLATES] == sorted(plain(t) for t in TEMPLATES)
    assert len({normalise_label(t) for t in TEMPLATES}) == 174
    # None has lost its brackets: every template has a place to fill, but those of the camera.
    assert all("[" in t for t in TEMPLATES)


def test_templates_against_the_annotation(shared_data: Path) -> None:
    numbers = json.loads((shared_data / "labels" / "ssv2_labels.json").read_text())
    assert {plain(t): str(i) for i, t in enumerate(TEMPLATES)} == numbers
    clips = json.loads((shared_data / "labels" / "ssv2_val_500.json").read_text())
    assert {clip["template"] for clip in clips} <= set(TEMPLATES)  # brackets too
    v1 = (shared_data / "labels" / "sthv1_label_map.txt").read_text().splitlines()
    assert {normalise_label(name) for name in v1} == {normalise_label(t) for t in TEMPLATES}
    assert [normalise_label(name) for name in v1] != [
        normalise_label(t) for t in TEMPLATES
    ]  # the index trap


def test_forty() -> None:
    assert len(FORTY) == len(FORTY_NAMES) == 40
    assert [label.index for label in FORTY] == list(range(40))
    assert tuple(label.name for label in FORTY) == FORTY_NAMES
    assert list(FORTY_NAMES) == sorted(FORTY_NAMES)
    members = [member for label in FORTY for member in label.members]
    assert len(members) == len(set(members)) == 71
    assert set(members) <= set(TEMPLATES)
    groups = [label for label in FORTY if len(label.members) > 1]
    assert (len(groups), sum(len(label.members) for label in groups)) == (10, 41)
    assert [label.index for label in FORTY if label.status == "ambiguous"] == [28]
    assert [label.index for label in FORTY if label.status == "inferred"] == [5, 10, 11, 20, 21, 37]
    assert all(bool(label.note) == (label.status != "confirmed") for label in FORTY)


def test_forty_against_the_reconstruction(shared_data: Path) -> None:
    file = shared_data / "labels" / "goyal2017_40_classes_reconstructed.json"
    for label, fact in zip(FORTY, json.loads(file.read_text()), strict=True):
        assert (label.index, label.name) == (fact["index"], fact["name"])
        assert {normalise_label(m) for m in label.members} == {
            normalise_label(m) for m in fact["members"]
        }
        assert label.status == {"forced": "inferred"}.get(fact["status"], fact["status"])


def test_forty_against_the_published_results(shared_data: Path) -> None:
    """The post's result files print lines like "33: Turning [something] upside down --> 1.00"."""
    found: dict[int, str] = {}
    for file in sorted((shared_data / "published").glob("*.txt")):
        for index, name in re.findall(r"^(\d+): (.+?) -->", file.read_text(), flags=re.MULTILINE):
            found[int(index)] = name
    assert len(found) > 15
    assert {index: FORTY_NAMES[index] for index in found} == found
    assert all(FORTY[index].status == "confirmed" for index in found)


def test_pairs() -> None:
    for names, pairs in ((FORTY_NAMES, MIRRORED_FORTY), (TEMPLATES, MIRRORED_TEMPLATES)):
        for a, b in pairs:
            swap = {"left": "right", "right": "left"}
            assert " ".join(swap.get(word, word) for word in names[a].split()) == names[b]
    # Complete: no other name speaks of left or right.
    assert {i for pair in MIRRORED_FORTY for i in pair} == _naming(FORTY_NAMES, "left", "right")
    sided = _naming(TEMPLATES, "left", "right") - {50}  # "… pulling it right out …"
    assert {i for pair in MIRRORED_TEMPLATES for i in pair} == sided

    for pairs in (MIRRORED_FORTY, MIRRORED_TEMPLATES, OPPOSITE_FORTY, OPPOSITE_TEMPLATES):
        indices = [i for pair in pairs for i in pair]
        assert len(indices) == len(set(indices))  # each has one partner
        assert all(a < b for a, b in pairs)
    # An opposite pair of templates, both in the forty, is one there too, unless a group mixes it.
    place = {member: label.index for label in FORTY for member in label.members}
    for a, b in OPPOSITE_TEMPLATES:
        pair = {place.get(TEMPLATES[a]), place.get(TEMPLATES[b])}
        if None not in pair and pair not in ({9, 15}, {15, 26}):
            assert pair in [set(p) for p in OPPOSITE_FORTY]


def _naming(names: tuple[str, ...], *words: str) -> set[int]:
    return {i for i, name in enumerate(names) if any(word in name.split() for word in words)}


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Putting [something] onto [Something]", "putting something onto something"),
        ("that can\u2019t roll", "that can't roll"),
        ("  Two\u00a0 blanks ", "two blanks"),
        ("STRASSE straße", "strasse strasse"),
    ],
)
def test_fold(text: str, folded: str) -> None:
    assert normalise_label(text) == folded


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("Picking [something] up", 15),
        ("picking SOMETHING up", 15),
        ("Putting something", 25),  # the whole name wins over "Putting something into …"
        ("Holding [something]", 4),
        ("Opening", 14),
        ("Pretending to pick", 19),
        ("camera left", 35),
        ("almost no hand", 27),
        ("15", 15),
        (" 0 ", 0),
    ],
)
def test_find_label(text: str, index: int) -> None:
    assert find_label(text, FORTY_NAMES) == index


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Turning the camera", ["ambiguous", "34 ", "35 ", "36 ", "37 "]),
        ("something", ["ambiguous", " more"]),
        ("Pikcing something up", ["unknown", '15 "Picking [something] up"']),
        ("quantum", ["unknown", "40 labels"]),
        ("40", ["out of range", "0 to 39"]),
        ("-1", ["out of range"]),
        (" [] ", ["empty"]),
    ],
)
def test_find_label_says_what_is_wrong(text: str, words: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        find_label(text, FORTY_NAMES)
    for word in words:
        assert word in str(caught.value)


def test_find_label_among_others() -> None:
    names = ["tench", "crane", "construction crane", "crane", "7"]
    with pytest.raises(BadInput, match=r'1 "crane", 3 "crane"; give the index'):
        find_label("crane", names)
    assert find_label("construction", names) == 2
    assert find_label("7", names) == 4  # a name before an index


def test_every_name_finds_itself() -> None:
    for names in (FORTY_NAMES, TEMPLATES):
        assert [find_label(plain(name).upper(), names) for name in names] == list(range(len(names)))


def test_group_of() -> None:
    def index(template: str) -> int | None:
        label = group_of(template)
        return None if label is None else label.index

    assert index("Pushing [something] from left to right") == 10
    assert index("pushing something from right to left") == 11
    assert (
        index(
            "Putting something that can\u2019t roll onto a slanted surface, so it stays where it is"
        )
        == 25
    )
    assert index("Moving [something] up") == 15
    assert index("Opening [something]") == 14
    assert index("Squeezing [something]") is None
    assert index("Picking") is None  # a template, not a search
    assert sum(group_of(template) is None for template in TEMPLATES) == 103
