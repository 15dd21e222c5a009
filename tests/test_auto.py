"""`--model auto`: the best network for real videos that is here or can be had."""

from __future__ import annotations

import logging

import pytest

import gradcam_video as gv
from gradcam_video.cli import main
from gradcam_video.errors import BadInput, MissingExtra
from gradcam_video.models import registry
from gradcam_video.models.model_names import KNOW_SOMETHING


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub's networks that were asked for; none can be downloaded."""
    names: list[str] = []

    def refuse(name: str) -> None:
        names.append(name)
        raise BadInput(f"{name} could not be downloaded (no connection)")

    monkeypatch.setattr(registry.hub, "download", refuse)
    monkeypatch.setattr(registry.hub, "is_cached", lambda name: False)
    return names


def test_without_a_connection_it_is_tabletop_and_says_so(
    asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = gv.load_model("auto")
    assert model.name == "tabletop" and not model.untrained
    assert asked == ["vjepa2-ssv2"]  # one try is enough to know that there is no connection
    assert "could not be downloaded" in caplog.text and "taking tabletop" in caplog.text


def test_one_that_is_here_is_taken(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    untrained = gv.load_model("timesformer-ssv2", None)

    def cached(name: str) -> bool:
        return name == "timesformer-ssv2"

    real = registry._from_hub

    def read(name: str, *rest: object) -> gv.VideoModel:
        return untrained if cached(name) else real(name, *rest)  # ty: ignore

    monkeypatch.setattr(registry.hub, "is_cached", cached)
    monkeypatch.setattr(registry, "_from_hub", read)
    assert gv.load_model("auto").name == "timesformer-ssv2"
    assert asked == ["vjepa2-ssv2"]  # the better one was tried first; videomae waited for nothing


def test_without_transformers_it_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(package: str, extra: str, what: str) -> None:
        raise MissingExtra(f"{what} needs the package {package}: pip install '…[{extra}]'")

    monkeypatch.setattr(registry, "require", missing)
    with caplog.at_level(logging.WARNING):
        assert gv.load_model("auto").name == "tabletop"
    assert "transformers" in caplog.text and "[hf]" in caplog.text


def test_it_takes_no_other_weights() -> None:
    with pytest.raises(BadInput, match="auto chooses a network with its own weights"):
        gv.load_model("auto", None)


def test_the_best_comes_first() -> None:
    assert list(KNOW_SOMETHING.values()) == sorted(KNOW_SOMETHING.values(), reverse=True)


def test_a_real_video_is_told_of_a_better_network(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    made, out = tmp_path_factory.mktemp("made") / "set", tmp_path_factory.mktemp("out")
    assert main(["generate", str(made), "--split", "test", "--count", "1"]) == 0
    clip = next(made.rglob("*.webm"))
    real = out / "film.webm"
    real.write_bytes(clip.read_bytes())
    for path, told in ((real, True), (clip, False)):
        assert main(["explain", str(path), "--out", str(out / "x"), "--only", "json"]) == 0
        said = capsys.readouterr().err
        assert "model tabletop" in said
        assert ("of 14 real clips it names 5 rightly" in said) == told
        assert ("--model auto" in said) == told
