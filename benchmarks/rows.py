"""The rows of the comparison: ways to get Grad-CAM maps of a clip, and the forward they cost.

Every way gives the signed maps (before ReLU) at the feature map's own size. What a library would
add, upsampling and normalising, is left out for all alike: it is not what is compared, and
pytorch-grad-cam's cubic upsampling on the CPU would only make it slower still. The peers are
imported where they are used, so that one can be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gradcam_video import VideoModel
from gradcam_video.attribution.gradcam import maps_of

# Takes the model, x (1, 3, T, H, W) and class indices; gives signed maps (k, T', h, w), or None.
Way = Callable[[VideoModel, Tensor, Sequence[int]], Tensor | None]


def bare_forward(model: VideoModel, x: Tensor, classes: Sequence[int]) -> None:
    """One forward in inference mode: the least anything can cost."""
    with torch.inference_mode():
        model.net(x)


def bare_forward_bf16(model: VideoModel, x: Tensor, classes: Sequence[int]) -> None:
    """The same in bfloat16 autocast."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        bare_forward(model, x, classes)


def gradcam_video(model: VideoModel, x: Tensor, classes: Sequence[int]) -> Tensor:
    """This package: one forward for any number of classes."""
    return maps_of(model, x, torch.tensor(classes))[1][0]


def gradcam_video_bf16(model: VideoModel, x: Tensor, classes: Sequence[int]) -> Tensor:
    """The same in bfloat16 autocast."""
    return maps_of(model, x, torch.tensor(classes), autocast=torch.bfloat16)[1][0]


def pytorch_grad_cam(model: VideoModel, x: Tensor, classes: Sequence[int]) -> Tensor:
    """A forward and a backward through the whole network for every class."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    class SignedGradCAM(GradCAM):
        """Stops at the map, before ReLU and upsampling."""

        def compute_cam_per_layer(self, input_tensor, targets, eigen_smooth):
            recorded = self.activations_and_grads
            activations, gradients = recorded.activations[0], recorded.gradients[0]
            layer = self.target_layers[0]
            # As in the library, both go through NumPy.
            activations, gradients = activations.cpu().numpy(), gradients.cpu().numpy()
            return self.get_cam_image(input_tensor, layer, targets, activations, gradients)

        def aggregate_multi_layers(self, cam_per_target_layer):
            return cam_per_target_layer

    with SignedGradCAM(model.net, [model.net.get_submodule(model.cam_layer)]) as cam:
        maps = [cam(x, [ClassifierOutputTarget(k)])[0] for k in classes]
    return torch.from_numpy(np.stack(maps)).to(x.device)


def captum(model: VideoModel, x: Tensor, classes: Sequence[int]) -> Tensor:
    """A forward for every class, and a backward to the layer."""
    from captum.attr import LayerGradCam

    cam = LayerGradCam(model.net, model.net.get_submodule(model.cam_layer))

    def attributed(k: int) -> Tensor:
        attribution = cam.attribute(x, target=k)  # (1, 1, T', h, w)
        assert isinstance(attribution, Tensor)
        return attribution.detach()[0, 0]  # without it, each graph would live through the next

    return torch.stack([attributed(k) for k in classes])


def torch_cam(model: VideoModel, x: Tensor, classes: Sequence[int]) -> Tensor:
    """One forward that records its graph, and for every class a backward to the layer."""
    from torchcam.methods import GradCAM

    with GradCAM(model.net, model.cam_layer) as cam:
        cam._relu = False  # it offers maps that are not normalised, but only after ReLU
        scores = model.net(x)
        maps = [
            cam(k, scores, normalized=False, retain_graph=k != classes[-1])[0][0] for k in classes
        ]
    return torch.stack(maps)


@dataclass(frozen=True)
class Row:
    """One way, on one of the two forms of the network, for one or for all classes.

    Attributes:
        key: names the row in results.json.
        title: names it in the table.
        way: what runs.
        faster: on the network with batch norms folded and channels last, or as it was loaded.
        classes: "none" (a bare forward), "one" or "all".
        per_class: it costs a forward per class, so that of all classes only some are run, and the
            time is multiplied.
        bf16: in bfloat16 autocast, which is measured on a GPU only.
    """

    key: str
    title: str
    way: Way
    faster: bool = False
    classes: str = "none"
    per_class: bool = False
    bf16: bool = False

    def indices(self, count: int, sample: int) -> list[int]:
        """Which of `count` classes are run; `sample` of them, spread, where each is a forward."""
        if self.classes == "none":
            return []
        if self.classes == "one":
            return [count // 2]
        if not self.per_class or sample >= count:
            return list(range(count))
        return [count * i // sample for i in range(sample)]


def _one_and_all(key: str, title: str, way: Way, **options: bool) -> list[Row]:
    return [Row(f"{key}/{n}", title, way, classes=n, **options) for n in ("one", "all")]


BARE, BARE_FASTER = "bare", "bare faster"

ROWS: tuple[Row, ...] = (
    Row(BARE, "bare forward, as loaded", bare_forward),
    Row(BARE_FASTER, "bare forward, `faster()`", bare_forward, faster=True),
    *_one_and_all("gradcam_video", "**gradcam_video**", gradcam_video),
    *_one_and_all(
        "gradcam_video faster", "**gradcam_video, `faster()`**", gradcam_video, faster=True
    ),
    *_one_and_all("pytorch-grad-cam", "pytorch-grad-cam", pytorch_grad_cam, per_class=True),
    *_one_and_all("captum", "captum", captum, per_class=True),
    *_one_and_all("torch-cam", "torch-cam", torch_cam),
    Row("bare bf16", "bare forward, bfloat16", bare_forward_bf16, bf16=True),
    *_one_and_all(
        "gradcam_video bf16", "**gradcam_video, bfloat16**", gradcam_video_bf16, bf16=True
    ),
)


def row_named(key: str) -> Row:
    """The row with this key."""
    return next(row for row in ROWS if row.key == key)
