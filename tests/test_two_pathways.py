"""Networks of several inputs: SlowFast as pytorchvideo builds it, two streams with optical flow."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of

pytestmark = pytest.mark.slow
K = 5


def clip_of(frames: int, side: int) -> gv.Clip:
    pixels = np.random.default_rng(0).integers(0, 256, (frames, side, side, 3), dtype=np.uint8)
    return gv.Clip(pixels, np.arange(frames) / 4, np.zeros(frames, bool), "noise")


def slow_and_fast(x: Tensor) -> list[Tensor]:
    """The two pathways of a clip: every fourth frame, and all of them."""
    return [x[:, :, ::4], x]


@pytest.fixture(scope="module")
def slowfast() -> nn.Module:
    pytest.importorskip("pytorchvideo", reason="pytorchvideo is not installed: the extra test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorchvideo.models.slowfast import create_slowfast
    torch.manual_seed(0)
    pools = ((8, 2, 2), (32, 2, 2))
    return create_slowfast(model_num_class=K, head_pool_kernel_sizes=pools).eval()


def test_slowfast_is_refused_with_its_branches(slowfast: nn.Module) -> None:
    """SlowFast #314, #454: no layer sees both pathways before they are pooled."""
    with pytest.raises(gv.BadInput, match=r"2 branches.*pathway") as error:
        gv.VideoModel(slowfast, size=64, frames=32, inputs=slow_and_fast)
    assert "\n" not in str(error.value)


def test_both_pathways_of_slowfast_add_up_to_the_logit(slowfast: nn.Module) -> None:
    layers = [f"blocks.4.multipathway_blocks.{i}" for i in range(2)]
    options = {"size": 64, "frames": 32, "inputs": slow_and_fast, "quiet": True}
    model = gv.VideoModel(slowfast, cam_layer=layers[0], **options)
    slow, fast = gv.explain(model, clip_of(32, 64), cam_layer=layers)
    assert slow.grid.time.centres().tolist() == list(range(0, 32, 4))
    assert fast.grid.time.centres().tolist() == list(range(32))
    assert all("sees one of 2 paths" in e.remark for e in (slow, fast))
    bias = slowfast.get_submodule("blocks.6.proj").bias.detach().numpy()
    total = slow.signed.sum((1, 2, 3)) + fast.signed.sum((1, 2, 3))
    np.testing.assert_allclose(total, slow.logits - bias, atol=1e-5)


def test_networks_of_pytorchvideo_that_end_in_a_softmax() -> None:
    """pytorchvideo ends x3d and r2plus1d in a softmax, in training mode too."""
    pytest.importorskip("pytorchvideo", reason="pytorchvideo is not installed: the extra test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorchvideo.models.x3d import create_x3d
    torch.manual_seed(0)
    net = create_x3d(model_num_class=K, input_clip_length=8, input_crop_size=64).eval()
    model = gv.VideoModel(net, size=64, frames=8, quiet=True)
    assert model.output == "softmax"
    x, _ = model.preprocess(clip_of(8, 64))
    logits, signed = maps_of(model, x)
    with torch.no_grad():
        torch.testing.assert_close(logits.softmax(1), net(x))
    assert logits.sum().abs() > 1e-4 and (logits < 0).any()  # no probabilities
    kept: list[Tensor] = []
    net.get_submodule(model.cam_layer).register_forward_hook(lambda m, i, o: kept.append(o))
    net.get_submodule("blocks.5").activation = None
    y = net(x)
    for k in range(K):
        (g,) = torch.autograd.grad(y[0, k], kept[0], retain_graph=True)
        expected = (g.mean((2, 3, 4), keepdim=True) * kept[0]).sum(1)
        torch.testing.assert_close(signed[:, k], expected.detach(), atol=1e-6, rtol=1e-4)


class TwoStream(nn.Module):
    """Simonyan & Zisserman 2014 (arXiv:1406.2199): frames and optical flow, each its stream."""

    def __init__(self) -> None:
        super().__init__()
        self.rgb = nn.Sequential(nn.Conv3d(3, 4, 3, 2, 1), nn.ReLU())
        self.flow = nn.Sequential(nn.Conv3d(2, 4, 3, 2, 1), nn.ReLU())
        self.joined, self.fc = nn.Conv3d(8, 6, 1), nn.Linear(6, 2)

    def forward(self, x: Tensor, flow: Tensor) -> Tensor:
        both = torch.cat([self.rgb(x), self.flow(flow)], 1)
        return self.fc(torch.relu(self.joined(both)).mean((2, 3, 4)))


def with_flow(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3, T, H, W) -> itself, and the flow from each frame to the next: (N, 2, T, H, W)."""
    import cv2

    grey = x.mean(1)
    low, high = grey.amin(), grey.amax()
    frames = ((grey - low) / (high - low + 1e-6) * 255).byte().cpu().numpy()  # (N, T, H, W)
    flows = []
    for clip in frames:
        pairs = zip(clip, [*clip[1:], clip[-1]], strict=True)
        each = [cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 1, 7, 2, 5, 1.1, 0) for a, b in pairs]
        flows.append(torch.from_numpy(np.stack(each)).permute(3, 0, 1, 2))  # (2, T, H, W)
    return x, torch.stack(flows).to(x)


def test_two_streams_with_flow_by_opencv_see_what_moves() -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    net = TwoStream().eval()
    for conv in (net.rgb[0], net.flow[0], net.joined, net.fc):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    net.flow[0].weight.data[0, 0, 1, 1, 1] = 1  # movement to the right
    net.joined.weight.data[0, 4] = 1
    net.fc.weight.data[1, 0] = 1
    pixels = np.random.default_rng(0).integers(100, 130, (8, 32, 32, 3), dtype=np.uint8)
    pixels[:] = pixels[:1]
    for t in range(8):
        pixels[t, 18:28, 4 + 2 * t : 14 + 2 * t] = 255  # goes right; the rest stands still
    clip = gv.Clip(pixels, np.arange(8) / 4, np.zeros(8, bool), "moves")
    model = gv.VideoModel(net, ["still", "moves"], size=32, frames=8, inputs=with_flow, quiet=True)
    assert model.cam_layer.startswith(("joined", ":relu"))
    e = gv.explain(model, clip, classes=["moves"])
    rows = e.maps[0].sum((0, 2))
    assert rows[8:16].sum() > 0.8 * rows.sum() > 0
