"""Names, weights files, labels, preprocessing and its inverse, folding."""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

import gradcam_video as gv
from gradcam_video.data.clip import Clip
from gradcam_video.errors import BadInput
from gradcam_video.models import registry as models
from gradcam_video.models import torchvision_nets
from gradcam_video.models.checkpoints import SHIPPED_WEIGHTS, save_model
from gradcam_video.models.registry import load_model
from gradcam_video.models.video_model import VideoModel


def clip_of(frames: np.ndarray) -> Clip:
    n = len(frames)
    return Clip(frames, np.arange(n) / 4, np.zeros(n, bool), "made")


class Small(nn.Module):
    """Conv, batch norm, ReLU, mean, linear."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 8, 3, stride=(1, 2, 2), padding=1)
        self.norm = nn.BatchNorm3d(8)
        self.fc = nn.Linear(8, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.conv(x)).relu().mean(dim=(2, 3, 4)))


def test_the_layer_is_found_and_said_aloud(caplog: pytest.LogCaptureFixture) -> None:
    model = VideoModel(Small(), ["a", "b", "c"], size=16, name="mine")
    assert model.cam_layer == "norm"
    assert "mine: reading layer 'norm'" in caplog.text
    caplog.clear()
    VideoModel(Small(), ["a", "b", "c"], size=16, cam_layer="conv")
    assert caplog.text == ""


def test_labels_and_logits_must_match() -> None:
    with pytest.raises(gv.BadInput, match="3 logits but 2 labels"):
        VideoModel(Small(), ["a", "b"], size=16)
    with pytest.raises(gv.BadInput, match="no layer 'layer9'"):
        VideoModel(Small(), ["a", "b", "c"], size=16, cam_layer="layer9")
    with pytest.raises(gv.BadInput, match="not \\(N, C, T', h, w\\)"):
        VideoModel(Small(), ["a", "b", "c"], size=16, cam_layer="fc")


@pytest.mark.parametrize("size", [(240, 427), (427, 240), (48, 64), (32, 32)])
def test_preprocessing_is_inverted_by_the_view(size: tuple[int, int]) -> None:
    """A bright dot in the original is found in x where the view says, and only inside the crop."""
    model = VideoModel(Small(), ["a", "b", "c"], size=32, mean=(0, 0, 0), std=(1, 1, 1), quiet=True)
    height, width = size
    row, column = height // 3, width // 2 - 4
    frames = np.zeros((16, *size, 3), np.uint8)
    frames[:, row - 2 : row + 3, column - 2 : column + 3] = 255
    x, view = model.preprocess(clip_of(frames))
    assert x.shape == (1, 3, 16, 32, 32)
    dot = x[0, 0, 0].double()
    found_row = float((dot.sum(1) * torch.arange(32)).sum() / dot.sum())
    found_column = float((dot.sum(0) * torch.arange(32)).sum() / dot.sum())
    assert abs(found_row - view.input_rows()[row]) < 0.2
    assert abs(found_column - view.input_columns()[column]) < 0.2


def test_mean_and_deviation_are_applied_per_channel() -> None:
    model = VideoModel(
        Small(), ["a", "b", "c"], size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.2), quiet=True
    )
    frames = np.empty((16, 8, 8, 3), np.uint8)
    frames[:] = (51, 102, 255)
    x, _ = model.preprocess(clip_of(frames))
    torch.testing.assert_close(x[0, :, 0, 0, 0], torch.tensor([0.2, 0.8, 3.5]))


@pytest.mark.slow
def test_folding_keeps_logits_names_and_training_batch_norms_of_others() -> None:
    torch.manual_seed(0)
    net = torchvision.models.video.r3d_18(num_classes=5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    model = VideoModel(net, "abcde", size=64, quiet=True)
    x = torch.randn(1, 3, 16, 64, 64)
    with torch.inference_mode():
        before = net.eval()(x)
        names = [name for name, _ in net.named_modules()]
        model.faster()
        after = model.net(x)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)
    assert [name for name, _ in model.net.named_modules()] == names
    assert not any(isinstance(m, nn.BatchNorm3d) for m in model.net.modules())
    assert model.cam_layer == "layer4"


def test_a_batch_norm_that_others_read_too_is_not_folded() -> None:
    class Shared(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raw = self.conv(x)
            return self.fc((self.norm(raw) + raw).mean(dim=(2, 3, 4)))

    model = VideoModel(Shared(), "abc", size=16, quiet=True).faster()
    assert isinstance(model.net.get_submodule("norm"), nn.BatchNorm3d)


# --- names and files


@pytest.mark.slow
def test_untrained_says_so_and_takes_labels() -> None:
    model = load_model("resnet18", None, labels=[str(k) for k in range(7)])
    assert model.untrained and len(model.labels) == 7
    assert not any(m.training for m in model.net.modules())


def test_a_shipped_network_with_other_weights(tmp_path: Path) -> None:
    shipped = load_model("tabletop", fast=False)
    untrained = load_model("tabletop", None, fast=False)
    assert untrained.untrained and not untrained.remark and not shipped.untrained
    weights = untrained.net.state_dict()
    assert not torch.equal(weights["head.weight"], shipped.net.state_dict()["head.weight"])
    torch.save(weights, tmp_path / "w.pth")
    other = load_model("tabletop", tmp_path / "w.pth", fast=False)
    assert torch.equal(weights["head.weight"], other.net.state_dict()["head.weight"])
    assert not other.untrained
    torch.save({"w": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"x\.pth: weights of another network"):
        load_model("tabletop", tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"y\.safetensors: no such weights file"):
        load_model(tmp_path / "y.safetensors", tmp_path / "w.pth")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18"])
def test_video_networks_load_their_own_files(name: str, tmp_path: Path) -> None:
    net = torchvision.models.get_model(name)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "w.pth")
    model = load_model(name, tmp_path / "w.pth", fast=False)
    assert len(model.labels) == 400 and model.labels[0] == "abseiling" and not model.untrained
    assert model.size == (112, 112) and model.fps == 15
    assert torch.equal(model.net.state_dict()["fc.weight"], net.fc.weight)


@pytest.mark.slow
def test_2d_and_3d_files_of_a_backbone(tmp_path: Path) -> None:
    flat = torchvision.models.resnet18(num_classes=40)
    torch.save({f"module.{k}": v for k, v in flat.state_dict().items()}, tmp_path / "flat.pth")
    model = load_model("resnet18", tmp_path / "flat.pth", fast=False)
    assert model.labels == tuple(label.name for label in gv.FORTY)  # 40 classes: the post's
    assert "never trained on video" in model.remark
    deep = gv.inflate(flat)
    safetensors.torch.save_file(deep.state_dict(), tmp_path / "deep.safetensors")
    model = load_model("resnet18", tmp_path / "deep.safetensors", fast=False)
    assert model.remark == ""
    assert torch.equal(model.net.state_dict()["conv1.weight"], deep.state_dict()["conv1.weight"])


@pytest.mark.slow
def test_a_checkpoint_comes_back_as_it_went(tmp_path: Path) -> None:
    net = gv.inflate(torchvision.models.resnet18(num_classes=3), which="spatial")
    model = VideoModel(
        net, ["a", "b", "ç"], size=(48, 64), resize=(50, 70), fps=6, remark="test", quiet=True
    )
    save_model(
        model, tmp_path / "m.safetensors", {"name": "resnet18", "which": "spatial"}, trained_on="-"
    )
    again = load_model(tmp_path / "m.safetensors", fast=False)
    assert (again.labels, again.size, again.resize) == (model.labels, model.size, model.resize)
    assert (again.mean, again.fps, again.remark) == (model.mean, 6, "test")
    x = torch.randn(1, 3, 4, 48, 64)
    with torch.inference_mode():
        torch.testing.assert_close(again.net(x), net.eval()(x), rtol=0, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_offline_is_one_line_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_connection(*args: object, **kwargs: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision_nets, "get_model", no_connection)
    with pytest.raises(gv.BadInput, match=r"resnet50 could not be downloaded .*--weights FILE"):
        load_model("resnet50")


def test_online_weights_arrive_with_labels_and_preprocessing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """torchvision's own download, from a file: URL in place of the server."""
    from torchvision.models import SqueezeNet1_1_Weights as Weights

    state = torchvision.models.squeezenet1_1().state_dict()
    torch.save(state, tmp_path / "squeezenet.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    original = torch.hub.load_state_dict_from_url

    def from_file(url: str, **options: object) -> object:
        assert url == Weights.DEFAULT.url
        options["check_hash"] = False
        return original((tmp_path / "squeezenet.pth").as_uri(), **options)

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", from_file)
    model = load_model("squeezenet1_1", fast=False)
    assert model.labels[340] == "zebra" and model.size == (224, 224) and model.resize == 256
    # Centre inflation: the image filter lies in the middle slice.
    middle = model.net.state_dict()["features.0.weight"][:, :, 1]
    assert torch.equal(middle, state["features.0.weight"])


def test_damaged_metadata_is_one_line(tmp_path: Path) -> None:
    good = {"format": "gradcam_video-1", "architecture": '{"name": "tabletop"}', "labels": '["a"]'}
    for spoilt in (
        {"architecture": "tabletop"},
        {"architecture": '{"name": "x"}'},
        {"labels": "7"},
        {},
    ):
        safetensors.torch.save_file(
            {"a": torch.zeros(1)}, tmp_path / "m.safetensors", {**good, **spoilt}
        )
        with pytest.raises(gv.BadInput, match="metadata cannot be understood"):
            load_model(tmp_path / "m.safetensors")


class Evil:
    """A pickle that would run code when it is loaded."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("owned"),))  # type: ignore[return-value]


def test_what_could_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    torch.save({"x": Evil()}, tmp_path / "evil2.pth")
    torch.save(torchvision.models.resnet18(), tmp_path / "whole.pth")
    for name in ("evil.pth", "evil2.pth", "whole.pth"):
        with pytest.raises(gv.BadInput, match="refused"):
            load_model("resnet18", tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_unknown_names_offer_near_ones() -> None:
    with pytest.raises(gv.BadInput, match=r"did you mean .*resnet50"):
        load_model("resnet5O")
    with pytest.raises(gv.BadInput, match="cuda"):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")
        load_model("tabletop", device="cuda")


def test_every_name_is_listed_once_and_can_be_built() -> None:
    names = [known.name for known in gv.known_models()]
    assert len(names) == len(set(names)) and {"tabletop", "resnet50", "r3d_18", "s3d"} <= set(names)
    assert all(name in models.BUILDERS for name in names)


def test_real_imagenet_weights_know_a_zebra(shared_data: Path) -> None:
    from PIL import Image

    picture = np.asarray(Image.open(shared_data / "photos" / "zebra.jpg").convert("RGB"))
    clip = clip_of(np.repeat(picture[None], 16, axis=0))
    for name, file in (
        ("squeezenet1_0", "squeezenet1_0_deepcomp_folded.pth"),
        ("mobilenet_v2", "mobilenet_v2_from_tflite.pth"),
    ):
        model = load_model(name, shared_data / "weights" / file)
        e = gv.explain(model, clip)
        assert e.top(1)[0][0] == "zebra" and e.top(1)[0][1] > 0.5


def test_the_shipped_checkpoint_says_what_it_is() -> None:
    path = SHIPPED_WEIGHTS / "tabletop.safetensors"
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["trained_on"].startswith("Tabletop, seed")
    assert path.stat().st_size <= 12_000_000
    model = load_model("tabletop")
    assert model.labels == gv.FORTY_NAMES and model.size == (112, 112)
    assert model.cam_layer.startswith("stage3") and "only synthetic clips" in model.remark
