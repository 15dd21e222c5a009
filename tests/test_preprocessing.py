"""Pixels as the network was trained on them: equal to what its publisher's own code makes.

The right values are the processors of `transformers`, the presets of torchvision, PIL, OpenCV, and
what follows from their formulas by hand. Public reports: huggingface/transformers PR 22518 (the
offset of ViViT's processor), pytorch/vision PR 7160 (antialias), pytorch-grad-cam #470 (ViViT).
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import get_model_weights

import gradcam_video as gv
from gradcam_video.data.clip import Clip
from gradcam_video.models import huggingface as hub
from gradcam_video.models import torchvision_nets
from gradcam_video.models.checkpoints import save_model
from gradcam_video.models.i3d_c3d import ZOO
from gradcam_video.models.model_names import INFLATABLE, KINETICS
from gradcam_video.models.preprocessing import Preprocessing, grey
from gradcam_video.models.registry import load_model
from gradcam_video.models.video_model import VideoModel

SIZES = ((240, 427), (427, 240), (128, 171), (60, 60))


def noise(height: int, width: int, frames: int = 2, seed: int = 0) -> np.ndarray:
    """Frames that no rounding can hide in, uint8 (T, H, W, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8)


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames, np.arange(len(frames)) / 4, np.zeros(len(frames), bool), "made")


def made_by(pixels: Preprocessing, frames: np.ndarray) -> Tensor:
    """(T, C, h, w), as `VideoModel.preprocess` makes them."""
    return pixels.normalised(pixels.cut(torch.from_numpy(frames).permute(0, 3, 1, 2)))


def equal(ours: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(ours, right, atol=1e-6, rtol=0)


# --- torchvision ------------------------------------------------------------------------------


def by_preset(name: str, frames: np.ndarray) -> Tensor:
    """(T, C, h, w) of torchvision's own preset, on tensors."""
    preset = get_model_weights(name).DEFAULT.transforms()
    given = torch.from_numpy(frames).permute(0, 3, 1, 2)
    made = preset(given)
    return made.transpose(0, 1) if name in KINETICS else made  # the video preset gives (C, T, h, w)


@pytest.mark.parametrize("name", sorted(KINETICS))
@pytest.mark.parametrize("size", SIZES)
def test_video_networks_see_the_pixels_of_their_preset(name: str, size: tuple[int, int]) -> None:
    """pytorch/vision PR 7160: the video presets scale without antialias."""
    frames = noise(*size)
    equal(
        made_by(torchvision_nets.published(name)[1]["preprocessing"], frames),
        by_preset(name, frames),
    )


PRESETS = {
    repr((type(t).__name__, vars(t).get("interpolation"), t.resize_size, t.crop_size, t.mean)): n
    for n in sorted(INFLATABLE)
    for t in [get_model_weights(n).DEFAULT.transforms()]
}


@pytest.mark.parametrize("name", PRESETS.values())
def test_image_networks_see_the_pixels_of_their_preset(name: str) -> None:
    """One network of each preset; six of them scale by cubic interpolation."""
    for size in ((240, 427), (128, 128)):
        frames = noise(*size, frames=1)
        pixels = torchvision_nets.preset(get_model_weights(name).DEFAULT.transforms())
        equal(made_by(pixels, frames), by_preset(name, frames))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "squeezenet1_1", "efficientnet_b0", "s3d"])
def test_a_model_by_name_has_them(name: str) -> None:
    model = load_model(name, None)
    frames = noise(150, 201, frames=2)
    x, view = model.preprocess(clip_of(frames))
    equal(x[0].transpose(0, 1), by_preset(name, frames))
    assert (view.rows, view.columns) == model.size == tuple(x.shape[-2:])


def test_the_crop_of_171_columns_begins_at_30() -> None:
    """(171 - 112) / 2 = 29.5 is rounded to the even number; (128 - 112) / 2 = 8."""
    pixels = torchvision_nets.published("r3d_18")[1]["preprocessing"]
    frames = np.zeros((1, 128, 171, 3), np.uint8)
    frames[0, 8, 30] = 255  # becomes the first pixel
    cut = pixels.cut(torch.from_numpy(frames).permute(0, 3, 1, 2))
    assert cut[0, 0, 0, 0] == 255 and cut.sum() == 3 * 255
    assert pixels.view(128, 171).box == (8, 30, 120, 142)


# --- the hub ----------------------------------------------------------------------------------

T, S = 8, 32
SMALL = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "num_labels": 3}
PATCHES = {"image_size": S, "patch_size": 8, "num_frames": T, "intermediate_size": 16}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "videomae": SMALL | PATCHES,
    "timesformer": SMALL | PATCHES | {"num_hidden_layers": 3},
    "vivit": {**SMALL, "image_size": S, "num_frames": T, "tubelet_size": [2, 8, 8]},
    "vjepa2": SMALL
    | {"crop_size": S, "patch_size": 8, "frames_per_clip": T, "num_pooler_layers": 1}
    | {"pred_hidden_size": 12, "pred_num_hidden_layers": 1, "pred_num_attention_heads": 1},
    "videoprism_vision_model": {
        "num_labels": 3, "image_size": 36, "num_frames": T, "hidden_size": 24,
        "num_spatial_layers": 1, "num_temporal_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16,
    },
}  # fmt: skip
IMAGE, VIDEO = "preprocessor_config.json", "video_preprocessor_config.json"
CROP = {"size": {"shortest_edge": 40}, "crop_size": {"height": S, "width": S}}
VIVIT = {"image_processor_type": "VivitImageProcessor", **CROP}
MAE = {"image_processor_type": "VideoMAEImageProcessor", **CROP}
PRISM = {"video_processor_type": "LlavaOnevisionVideoProcessor", "do_normalize": False,
         "size": {"height": 36, "width": 36}}  # fmt: skip
# What a folder says: the network, its file, and the file's content.
FOLDERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "videomae": ("videomae", IMAGE, MAE),
    "videomae, older name": (
        "videomae", IMAGE, CROP | {"feature_extractor_type": "VideoMAEFeatureExtractor"}),
    "videomae, as a video": (
        "videomae", VIDEO, CROP | {"video_processor_type": "VideoMAEVideoProcessor"}),
    "videomae, not normalised": ("videomae", IMAGE, MAE | {"do_normalize": False}),
    "videomae, not rescaled": (
        "videomae", IMAGE,
        MAE | {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3}),
    "videomae, neither": ("videomae", IMAGE, MAE | {"do_rescale": False, "do_normalize": False}),
    "videomae, 1/127.5": (
        "videomae", IMAGE,
        MAE | {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}),
    "videomae, cubic": ("videomae", IMAGE, MAE | {"resample": 3}),
    "videomae, nearest": ("videomae", IMAGE, MAE | {"resample": 0}),
    "videomae, not scaled": ("videomae", IMAGE, MAE | {"do_resize": False}),
    "videomae, to a square": (
        "videomae", IMAGE, MAE | {"do_center_crop": False, "size": {"height": S, "width": S}}),
    "videomae, a crop with margins": ("videomae", IMAGE, MAE | {"size": {"shortest_edge": 21}}),
    "timesformer": (
        "timesformer", IMAGE, {"size": 32, "crop_size": 32, "image_mean": [0.45] * 3,
                               "image_std": [0.225] * 3}),
    "vivit": ("vivit", IMAGE, VIVIT),
    "vivit, no offset": ("vivit", IMAGE, VIVIT | {"offset": False}),
    "vivit, cubic": ("vivit", IMAGE, VIVIT | {"resample": 3}),
    "vivit, a crop with margins": ("vivit", IMAGE, VIVIT | {"size": {"shortest_edge": 21}}),
    "vivit, as a video": ("vivit", VIDEO, CROP | {"video_processor_type": "VivitVideoProcessor"}),
    "vjepa2": (
        "vjepa2", VIDEO, {"video_processor_type": "VJEPA2VideoProcessor", "size": 36,
                          "crop_size": S, "image_mean": [0.485, 0.456, 0.406],
                          "image_std": [0.229, 0.224, 0.225]}),
    "videoprism": ("videoprism_vision_model", VIDEO, PRISM),
}  # fmt: skip


def folder_of(kind: str, folder: Path, **more: Any) -> Any:
    """Write a small network as it lies on the hub; returns the network."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    architecture, file, content = FOLDERS[kind]
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(architecture, **ARCHITECTURES[architecture] | more)
    net = transformers.AutoModelForVideoClassification.from_config(config)
    net.save_pretrained(folder)
    (folder / file).write_text(json.dumps(content))
    return net.eval()


def by_processor(kind: str, folder: Path, frames: np.ndarray) -> Tensor:
    """(T, C, h, w) of the processor that the hub's client makes of the folder."""
    import transformers

    find = transformers.AutoVideoProcessor if FOLDERS[kind][1] == VIDEO else None
    processor = (find or transformers.AutoImageProcessor).from_pretrained(folder)
    given = processor(list(frames), return_tensors="pt")
    (made,) = given.values()
    return made[0].float()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folders_pixels_are_those_of_its_processor(kind: str, tmp_path: Path) -> None:
    """transformers PR 22518, pytorch-grad-cam #470."""
    net = folder_of(kind, tmp_path)
    model = load_model(tmp_path)
    for size in ((48, 85), (85, 48), (39, 51)):
        frames = noise(*size, frames=T)
        right = by_processor(kind, tmp_path, frames)
        x, view = model.preprocess(clip_of(frames))
        equal(x[0].transpose(0, 1), right)
        assert (view.rows, view.columns) == tuple(right.shape[-2:])
    with torch.no_grad():
        expected = net(right[None]).logits.flatten(1)
        torch.testing.assert_close(model.net(x), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", hub.HUB)
def test_a_name_of_the_hub_has_its_processors_pixels(name: str) -> None:
    """In full size, with the content of the file on the hub."""
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    with torch.device("meta"):
        loaded = hub.untrained(name)
    processor = hub.named_processor(name, loaded.net.net.config)
    for size in SIZES:
        frames = noise(*size)
        (made,) = processor(list(frames), return_tensors="pt").values()
        equal(made_by(loaded.options["preprocessing"], frames), made[0])


def test_vivits_pixels_lie_in_minus_3_to_1() -> None:
    """(p / 127.5 - 1 - 0.5) / 0.5: black is -3, white is 1 (transformers PR 22518)."""
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    pixels = hub.preprocessing(transformers.VivitImageProcessor(), (224, 224))
    for value, right in ((0, -3.0), (255, 1.0), (51, -2.2)):
        frames = np.full((1, 224, 224, 3), value, np.uint8)
        equal(made_by(pixels, frames), torch.full((1, 3, 224, 224), right))
    assert pixels.mean == (0.75,) * 3 and pixels.std == (0.25,) * 3  # of pixels in 0..1


@pytest.mark.parametrize(
    ("library", "long"), [("own", 399), ("transformers", 398), ("pillow", 398)]
)
def test_the_long_side_of_427_by_240(library: str, long: int) -> None:
    """224 · 427 / 240 = 398.53: transformers cuts off, this package rounds."""
    pixels = Preprocessing.of(224, 224, 0.5, 0.5, library=library)
    assert pixels.resized(240, 427) == (224, long) and pixels.resized(427, 240) == (long, 224)
    view = pixels.view(240, 427)
    assert view.box[1] == pytest.approx((long - 224) // 2 * 427 / long)


RAMPS = {
    "own": Preprocessing.of(48, 50, 0.0, 1.0),
    "torchvision": Preprocessing.of(48, 50, 0.0, 1.0, library="torchvision", antialias=False),
    "torchvision, a pair": Preprocessing.of(48, (64, 81), 0.0, 1.0, library="torchvision"),
    "transformers": Preprocessing.of(48, 51, 0.0, 1.0, library="transformers"),
    "transformers, margins": Preprocessing.of(48, 31, 0.0, 1.0, library="transformers"),
    "pillow": Preprocessing.of(48, 51, 0.0, 1.0, library="pillow"),
    "pillow, margins": Preprocessing.of(48, 31, 0.0, 1.0, library="pillow"),
    "opencv": Preprocessing.of(48, 51, 0.0, 1.0, library="opencv", antialias=False),
    "not scaled": Preprocessing.of(48, None, 0.0, 1.0, library="transformers"),
    "not cropped": Preprocessing.of(48, 40, 0.0, 1.0, library="transformers", crop=False),
}


@pytest.mark.parametrize("kind", RAMPS)
@pytest.mark.parametrize("size", [(120, 91), (77, 119)])
def test_the_view_says_where_each_pixel_comes_from(kind: str, size: tuple[int, int]) -> None:
    """On a picture whose brightness is its column (row), a pixel's value is where it comes from."""
    pixels = RAMPS[kind]
    view = pixels.view(*size)
    for axis, first, last, n in (
        (1, view.box[0], view.box[2], view.rows),
        (2, view.box[1], view.box[3], view.columns),
    ):
        ramp = np.arange(size[axis - 1], dtype=np.uint8)
        frames = np.zeros((1, *size, 3), np.uint8)
        frames += ramp[None, :, None, None] if axis == 1 else ramp[None, None, :, None]
        cut = pixels.cut(torch.from_numpy(frames).permute(0, 3, 1, 2))
        assert cut.shape == (1, 1, view.rows, view.columns)
        found = cut[0, 0].amax(dim=2 - axis).double()  # a margin is black
        at = first + (np.arange(n) + 0.5) * (last - first) / n - 0.5
        inside = (at > 2) & (at < size[axis - 1] - 3)
        assert inside.sum() > 20 and np.abs(found.numpy() - at)[inside].max() < 0.8
        outside = (at < -1) | (at > size[axis - 1])
        assert (found.numpy()[outside] == 0).all()


# --- I3D and C3D, ours, grey ------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_i3d_and_c3d_see_what_opencv_makes(name: str) -> None:
    """mmaction2 and pytorch-i3d scale with OpenCV, whose bilinear does not smooth.

    OpenCV calculates in fixed point: one level of brightness may be different.
    """
    cv2 = pytest.importorskip("cv2")
    known = ZOO[name]
    (frame,) = noise(240, 427, frames=1)
    rows, columns = known.resize if isinstance(known.resize, tuple) else (256, 455)
    big = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    top, left = (rows - known.size) // 2, (columns - known.size) // 2
    big = big[top : top + known.size, left : left + known.size].astype(float)
    right = (big / 255 - np.array(known.mean)) / np.array(known.std)
    ours = made_by(torchvision_nets.published(name)[1]["preprocessing"], frame[None])[0]
    off = np.abs(ours.permute(1, 2, 0).numpy() - right) * np.array(known.std) * 255
    assert off.max() < 1.001


def test_c3ds_pixels_are_those_of_its_configuration() -> None:
    """mean=[104, 117, 128], std=[1, 1, 1], of pixels in 0..255: exact to the bit."""
    pixels = torchvision_nets.published("c3d")[1]["preprocessing"]
    frames = noise(128, 171)
    right = torch.from_numpy(frames[:, 8:120, 29:141]).permute(0, 3, 1, 2).float()
    right -= torch.tensor([104.0, 117.0, 128.0]).view(3, 1, 1)
    assert torch.equal(made_by(pixels, frames), right)


@pytest.mark.parametrize("size", [(240, 427), (112, 112), (100, 90)])
def test_the_shipped_networks_pixels_stay_as_they_were(size: tuple[int, int]) -> None:
    """To the bit: scaled in whole numbers, then times a factor, less a shift."""
    model = load_model("tabletop")
    frames = noise(*size, frames=16)
    x, _ = model.preprocess(clip_of(frames))
    height, width = size
    ratio = 112 / min(size)
    rows, columns = max(round(height * ratio), 112), max(round(width * ratio), 112)
    small = torch.from_numpy(frames).permute(0, 3, 1, 2)
    if (rows, columns) != size:
        small = nn.functional.interpolate(small, (rows, columns), mode="bilinear", antialias=True)
    top, left = (rows - 112) // 2, (columns - 112) // 2
    small = small[..., top : top + 112, left : left + 112].float()
    scale = 1 / (255 * torch.tensor(model.std))
    shift = torch.tensor(model.mean) / torch.tensor(model.std)
    right = small * scale.view(3, 1, 1) - shift.view(3, 1, 1)
    assert torch.equal(x[0].transpose(0, 1), right)


def test_grey_is_pils() -> None:
    frames = noise(33, 47)
    right = np.stack([np.asarray(Image.fromarray(f).convert("L")) for f in frames])
    assert np.array_equal(grey(torch.from_numpy(frames).permute(0, 3, 1, 2))[:, 0].numpy(), right)


class Volume(nn.Module):
    """A network of one-channel volumes, as MONAI's."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).relu().mean(dim=(2, 3, 4)))


@pytest.mark.parametrize("half", [0.5, [0.5], np.float32(0.5), torch.tensor([0.5])])
def test_one_channel_volumes(half: Any) -> None:
    """As in MONAI: a network of (N, 1, T, H, W) is given grey frames."""
    model = VideoModel(Volume(), ["a", "b"], size=16, mean=half, std=half, frames=4, quiet=True)
    frames = noise(16, 16, frames=4)
    x, _ = model.preprocess(clip_of(frames))
    luma = np.stack([np.asarray(Image.fromarray(f).convert("L")) for f in frames])
    assert x.shape == (1, 1, 4, 16, 16) and model.channels == 1
    equal(x[0, 0], torch.from_numpy(luma / 127.5 - 1).float())
    assert model.forward(x).shape == (1, 2)


@pytest.mark.parametrize(
    ("mean", "std", "says"),
    [
        (0.5, (0.5, 0.5, 0.5), "mean= has 1 and std= has 3 values"),
        ((0.5, 0.5), (0.5, 0.5), "mean= has 2 and std= has 2 values"),
        ((0.5,) * 4, (0.5,) * 4, "three of each for colour frames, or one of each for grey"),
        ((0.5,) * 3, (0.5, 0.0, 0.5), "no std of 0"),
        ((0.5, float("nan"), 0.5), (0.5,) * 3, "finite"),
        ("grey", 0.5, "mean='grey': give one number, or one for each channel"),
    ],
)
def test_wrong_means_are_one_line(mean: Any, std: Any, says: str) -> None:
    with pytest.raises(gv.BadInput, match=says) as error:
        VideoModel(Volume(), ["a", "b"], size=16, mean=mean, std=std, frames=4, quiet=True)
    assert "\n" not in str(error.value)


# --- checkpoints, labels, outputs, adapters ---------------------------------------------------


@pytest.mark.slow
def test_a_checkpoint_keeps_the_way_of_its_pixels(tmp_path: Path) -> None:
    model = load_model("squeezenet1_1", None, fast=False, labels=["a", "b"])
    save_model(model, tmp_path / "m.safetensors", {"name": "squeezenet1_1"})
    again = load_model(tmp_path / "m.safetensors")
    assert (
        again.preprocessing == model.preprocessing != Preprocessing.of(224, 256, *[(0.5,) * 3] * 2)
    )
    assert again.preprocessing.library == "torchvision"


def test_a_checkpoint_of_ones_own_says_nothing_new(tmp_path: Path) -> None:
    model = load_model("tabletop", fast=False)
    save_model(model, tmp_path / "m.safetensors", {"name": "tabletop"})
    with safetensors.safe_open(tmp_path / "m.safetensors", "pt") as file:
        written = json.loads(file.metadata()["preprocessing"])
    assert set(written) == {"size", "resize", "mean", "std", "frames", "fps"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "classes", "kind"),
    [
        (None, 3, "softmax"),
        ("single_label_classification", 3, "softmax"),
        ("multi_label_classification", 3, "sigmoid"),
        ("regression", 3, "value"),
        (None, 1, "value"),  # as the loss of transformers takes one label
    ],
)
def test_the_kind_of_output_is_the_configurations(
    problem: str | None, classes: int, kind: str, tmp_path: Path
) -> None:
    folder_of("videomae", tmp_path, problem_type=problem, num_labels=classes)
    assert load_model(tmp_path).output == kind


@pytest.mark.slow
def test_labels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """ "10" comes behind "9", not behind "1"."""
    names = {k: f"the {k}th" for k in range(12)}
    folder_of("videomae", tmp_path, num_labels=12, id2label=names)
    assert load_model(tmp_path).labels == tuple(names.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frames", "says"), [(7, "the last frame never reaches the network"), (8, "")]
)
def test_frames_that_no_patch_sees_are_told(frames: int, says: str, tmp_path: Path) -> None:
    """V-JEPA 2's patches are two frames long; of seven frames the last is in none of them."""
    net = folder_of("vjepa2", tmp_path, frames_per_clip=frames)
    e = gv.explain(load_model(tmp_path), np.zeros((frames, S, S, 3), np.uint8))
    assert e.remark.startswith(says) and bool(e.remark) == bool(says)
    x = torch.randn(1, 3, frames, S, S, requires_grad=True)
    (slope,) = torch.autograd.grad(net(x.transpose(1, 2)).logits.sum(), x)
    assert bool((slope[:, :, -1] == 0).all()) == bool(says)


@pytest.mark.parametrize("config", [True, False])
def test_an_adapters_folder_is_one_true_line(config: bool, tmp_path: Path) -> None:
    """As `peft` writes it: LoRA's folder holds no network."""
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    if config:
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        gv.BadInput, match=r"holds an adapter.*merge_and_unload\(\)\.save_pretr"
    ) as e:
        load_model(tmp_path)
    assert "\n" not in str(e.value)


@pytest.mark.slow
def test_videoprism_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """With random weights; its logits are (N, 1, K)."""
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    name = "videoprism-ucf101"
    small = {k: v for k, v in ARCHITECTURES["videoprism_vision_model"].items() if k != "num_labels"}
    monkeypatch.setitem(hub.HUB, name, replace(hub.HUB[name], options=small))
    assert len(load_model(name, None).labels) == 101
    model = load_model(name, None, labels=["a", "b", "c", "d"])
    assert model.untrained and model.frames == T and model.size == (36, 36)
    x, _ = model.preprocess(clip_of(noise(40, 60, frames=T)))
    with torch.no_grad():
        logits = model.forward(x)
        assert logits.shape == (1, 4)
        equal(logits, model.net.net(x.transpose(1, 2)).logits[:, 0])


@pytest.mark.slow
def test_a_processor_that_transformers_has_no_more(tmp_path: Path) -> None:
    """VideoPrismVideoProcessor was dropped before the release; files of that time name it."""
    folder_of("videoprism", tmp_path)
    model = load_model(tmp_path)
    written = json.loads((tmp_path / VIDEO).read_text())
    (tmp_path / VIDEO).write_text(
        json.dumps(written | {"video_processor_type": "VideoPrismVideoProcessor"})
    )
    assert load_model(tmp_path).preprocessing == model.preprocessing
