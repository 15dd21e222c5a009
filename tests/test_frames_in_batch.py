"""Frames in the batch's dimension: TSN, TSM, CNN + LSTM, per-frame transformers, and their like.

Every map is compared with autograd by hand: the frames' activations brought to (1, C, T', h, w).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of
from gradcam_video.models.token_layout import TokenGrid

T, S = 8, 32


def frames_of(x: Tensor) -> Tensor:
    """(N, C, T, H, W) -> (N · T, C, H, W)."""
    n, c, t, h, w = x.shape
    return x.transpose(1, 2).reshape(n * t, c, h, w)


class PerFrame(nn.Module):
    """A 2D trunk on every frame, and a head over the frames."""

    def __init__(self, head: Callable[[nn.Module, Tensor], Tensor], shift: bool = False) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 6, 3, 2, 1))
        self.last, self.fc = nn.ReLU(), nn.Linear(6, 2)
        self.gru, self.lstm = nn.GRU(6, 6, batch_first=True), nn.LSTM(6, 6, batch_first=True)
        self.head, self.shift = head, shift

    def forward(self, x: Tensor) -> Tensor:
        n, _, t = x.shape[:3]
        y = frames_of(x)
        if self.shift:
            y = shifted(y, t)
        return self.head(self, self.last(self.cnn(y)).unflatten(0, (n, t)))  # (N, T, C, h, w)


def shifted(y: Tensor, t: int) -> Tensor:
    """A third of the channels from the frame before, a third from the one after (TSM)."""
    y = y.unflatten(0, (-1, t))
    out = torch.zeros_like(y)
    out[:, :-1, :1] = y[:, 1:, :1]
    out[:, 1:, 1:2] = y[:, :-1, 1:2]
    out[:, :, 2:] = y[:, :, 2:]
    return out.flatten(0, 1)


HEADS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "TSN, pytorch-grad-cam #67": lambda n, a: n.fc(a.mean((3, 4))).mean(1),
    "TSM, temporal-shift-module #174": lambda n, a: n.fc(a.mean((3, 4))).mean(1),
    "CNN + GRU, pytorch-grad-cam #467": lambda n, a: n.fc(n.gru(a.mean((3, 4)))[0][:, -1]),
    "CNN + LSTM, mmaction2 #2840": lambda n, a: n.fc(n.lstm(a.mean((3, 4)))[0][:, -1]),
    "the best moment": lambda n, a: n.fc(a.mean((3, 4))).amax(1),
}


def model_of(net: nn.Module, **options) -> gv.VideoModel:
    return gv.VideoModel(net, ["a", "b"], size=S, frames=T, quiet=True, **options)


def by_hand(net: nn.Module, layer: str, x: Tensor, grid: Callable[[Tensor], Tensor]) -> Tensor:
    """Grad-CAM with hooks: signed (1, K, T', h, w); `grid` makes (1, C, T', h, w)."""
    kept: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(
        lambda m, i, o: kept.append(o[0] if isinstance(o, tuple) else o)
    )
    y = net(x.clone().requires_grad_())
    y = getattr(y, "logits", y).flatten(1)
    handle.remove()
    signed = []
    for k in range(y.shape[1]):
        (g,) = torch.autograd.grad(y[0, k], kept[0], retain_graph=True)
        a, alpha = grid(kept[0].detach()), grid(g).mean((2, 3, 4), keepdim=True)
        signed.append((alpha * a).sum(1))
    return torch.stack(signed, 1)


def in_time(output: Tensor) -> Tensor:
    return output.transpose(0, 1)[None]


@pytest.mark.parametrize("name", HEADS)
def test_frames_come_back_in_time_and_equal_autograd_by_hand(name: str) -> None:
    torch.manual_seed(0)
    net = PerFrame(HEADS[name], shift="TSM" in name).double().eval()
    model = model_of(net)
    reading = model.reading((3, T, S, S))
    assert model.cam_layer == "last" and reading.token_grids[0].in_batch
    x = torch.rand(2, 3, T, S, S, dtype=torch.float64)
    one = maps_of(model, x[:1])[1]
    torch.testing.assert_close(one, by_hand(net, "last", x[:1], in_time), atol=1e-12, rtol=1e-9)
    # Several clips go one by one, whatever the order of the batch is.
    both = gv.METHODS["gradcam"]()(model, x)
    torch.testing.assert_close(both.signed[:1], one)
    torch.testing.assert_close(both.signed[1:], maps_of(model, x[1:])[1])
    assert reading.axes[0].centres().tolist() == list(range(T))
    assert (reading.axes[1].offset, reading.axes[1].stride) == (0.0, 4.0)


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("method", ["layercam", "eigencam", "scorecam", "ablationcam", "occlusion"])
def test_every_method_takes_them(name: str, method: str) -> None:
    torch.manual_seed(0)
    model = model_of(PerFrame(HEADS[name]).eval())
    pixels = np.random.default_rng(0).integers(0, 256, (T, S, S, 3), dtype=np.uint8)
    e = gv.explain(model, gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), "x"), method=method)
    assert e.signed.shape[1:] == e.grid.shape and np.ptp(e.signed) > 0


def test_an_action_from_frame_five_on_is_seen_from_frame_five_on() -> None:
    net = PerFrame(HEADS["TSN, pytorch-grad-cam #67"]).eval()
    for conv in (net.cnn[0], net.cnn[2]):
        nn.init.constant_(conv.weight, 0.1)
        nn.init.zeros_(conv.bias)
    nn.init.constant_(net.fc.weight, 1.0)
    pixels = np.zeros((T, S, S, 3), np.uint8)
    pixels[5:, 4:12, 4:12] = 255
    model = model_of(net, mean=(0,) * 3, std=(1,) * 3)
    e = gv.explain(model, gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), "x"))
    evidence = e.evidence("a")
    assert (evidence[:5] == 0).all() and (evidence[5:] > 0).all()


class TimeFirst(nn.Module):
    """The batch is (t n): of a single clip it looks the same."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn, self.fc = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, h, w = x.shape
        y = torch.relu(self.cnn(x.permute(2, 0, 1, 3, 4).reshape(t * n, c, h, w)))
        return self.fc(y.unflatten(0, (t, n)).mean((0, 3, 4)))


def test_the_order_of_the_batch_makes_no_difference() -> None:
    torch.manual_seed(0)
    model = model_of(TimeFirst().eval(), cam_layer="cnn")
    x = torch.rand(3, 3, T, S, S)
    together = gv.METHODS["gradcam"]()(model, x).signed
    for n in range(3):
        one = by_hand(model.net, "cnn", x[n : n + 1], in_time)
        torch.testing.assert_close(together[n : n + 1], one.detach())


@pytest.mark.parametrize("fold", ["(n t) c h w", TokenGrid("(n t) c h w", (T, 8, 8))])
def test_a_fold_that_names_the_batch_is_honoured(fold: str | TokenGrid) -> None:
    torch.manual_seed(0)
    net = PerFrame(HEADS["TSN, pytorch-grad-cam #67"]).double().eval()
    x = torch.rand(2, 3, T, S, S, dtype=torch.float64)
    model = model_of(net, cam_layer="last", fold=fold)
    found = gv.METHODS["gradcam"]()(model, x).signed
    expected = torch.cat([by_hand(net, "last", one[None], in_time) for one in x])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("fold", "words"),
    [
        ("(b t) c h w", "name each of n"),
        ("t c h w", "name each of n"),
        ("n (t h w) c", "does not say how"),
        ("n t c h w", "does not say how"),
        ("n c h w", "does not say how"),
    ],
)
def test_a_fold_that_does_not_fit_is_refused(fold: str, words: str) -> None:
    net = PerFrame(HEADS["TSN, pytorch-grad-cam #67"])
    with pytest.raises(gv.BadInput, match=words) as error:
        model_of(net, cam_layer="last", fold=fold)
    assert "\n" not in str(error.value)


class FrameTransformer(nn.Module):
    """A vision transformer on every frame, and the mean of the frames' class tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.blocks = nn.ModuleList([Block() for _ in range(2)])
        self.norm, self.fc = nn.LayerNorm(16), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, _, t = x.shape[:3]
        y = self.patches(frames_of(x)).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(len(y), -1, -1), y], 1)
        for block in self.blocks:
            y = block(y)
        return self.fc(self.norm(y)[:, 0].unflatten(0, (n, t)).mean(1))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(16), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


def test_a_transformer_on_every_frame() -> None:
    torch.manual_seed(0)
    net = FrameTransformer().double().eval()
    model = model_of(net)
    assert model.cam_layer == "blocks.0"  # of the last block the class token alone is read
    x = torch.rand(1, 3, T, S, S, dtype=torch.float64)

    def grid(output: Tensor) -> Tensor:  # (T, 1 + 16, C) -> (1, C, T, 4, 4)
        return output[:, 1:].permute(2, 0, 1).unflatten(2, (4, 4))[None]

    torch.testing.assert_close(maps_of(model, x)[1], by_hand(net, "blocks.0", x, grid))


@pytest.mark.slow
def test_timesformer_with_attention_over_space_alone() -> None:
    transformers = pytest.importorskip("transformers", reason="the extra hf is not installed")
    torch.manual_seed(0)
    config = transformers.TimesformerConfig(
        image_size=S,
        patch_size=8,
        num_frames=T,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        attention_type="space_only",
        num_labels=2,
    )
    net = transformers.TimesformerForVideoClassification(config).double().eval()
    model = model_of(net)  # it takes (N, T, 3, H, W): found by itself
    x = torch.rand(1, 3, T, S, S, dtype=torch.float64)
    assert model.cam_layer == "timesformer.encoder.layer.1"

    def grid(output: Tensor) -> Tensor:
        return output[:, 1:].permute(2, 0, 1).unflatten(2, (4, 4))[None]

    class Mean(nn.Module):
        """transformers (5.x) gives a row of logits for each frame here; a clip's are their mean."""

        def forward(self, x: Tensor) -> Tensor:
            rows = net(x.transpose(1, 2)).logits
            assert rows.shape == (T, 2)
            return rows.mean(0, keepdim=True)

    whole = Mean()
    whole.net = net
    expected = by_hand(whole, "net.timesformer.encoder.layer.1", x, grid)
    logits, found = maps_of(model, x)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(logits, whole(x).detach())


def test_the_last_of_an_odd_number_of_frames_is_drawn_as_unseen(tmp_path) -> None:
    """Tubes of two frames, as in VideoMAE or V-JEPA 2: of seven frames the last is in none."""

    class Tubes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tubes, self.mix = nn.Conv3d(3, 8, (2, 8, 8), (2, 8, 8)), nn.Conv3d(8, 8, 1)
            self.fc = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.relu(self.mix(self.tubes(x))).mean((2, 3, 4)))

    torch.manual_seed(0)
    model = gv.VideoModel(Tubes().eval(), ["a", "b"], size=S, frames=7, quiet=True)
    pixels = np.random.default_rng(0).integers(0, 256, (7, S, S, 3), dtype=np.uint8)
    e = gv.explain(model, gv.Clip(pixels, np.arange(7) / 4, np.zeros(7, bool), "x"))
    x, _ = model.preprocess(e.clip)
    (g,) = torch.autograd.grad(model.forward(x.requires_grad_())[0, 0], x)
    assert not g[:, :, 6].any() and g[:, :, 5].any()
    best = max(range(2), key=lambda k: e.maps[k].sum())
    assert e.grid.time.seen == 6 and e.remark == "the last frame never reaches the network"
    assert e.evidence(best)[6] == 0 < e.evidence(best)[5]
    assert not e.upsampled(best)[6].any()
    assert not e.grid.seen(6).any() and e.grid.seen(5).all()
    e.save(tmp_path / "out", only=["npz", "json"])
    assert gv.Explanation.load(tmp_path / "out").grid == e.grid


@pytest.mark.slow
def test_videoprism_with_places_and_frames_in_the_batch() -> None:
    pytest.importorskip("transformers", reason="the extra hf is not installed")
    from scripts.methods_and_models import small

    model = small("videoprism-ucf101")
    model.net.double()
    layer, grid = "net.vision_model.layernorm2", model.reading((3, model.frames, *model.size))
    assert model.cam_layer == layer and grid.token_grids[0].pattern == "(n h w) t c"
    _, h, w = grid.token_grids[0].grid
    x = torch.rand(1, 3, model.frames, *model.size, dtype=torch.float64)

    def in_place(output: Tensor) -> Tensor:  # (h · w, T, C) -> (1, C, T, h, w)
        return output.permute(2, 1, 0).unflatten(2, (h, w))[None]

    torch.testing.assert_close(maps_of(model, x)[1], by_hand(model.net, layer, x, in_place))
