"""Run every method on every model by name, and write docs/methods_and_models.md.

    python scripts/methods_and_models.py

The models are built by the code that builds them in full, with few blocks and channels (`SMALL`)
and random weights, for small clips: whether a method applies does not depend on the size. What does
not apply must say why, in one line; those lines are the footnotes. tests/test_zoo.py runs the same
and holds the page to it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.video import mvit, resnet, s3d, swin_transformer

from gradcam_video.attribution.methods import METHODS
from gradcam_video.attribution.methods.base import Maps
from gradcam_video.errors import BadInput
from gradcam_video.files import atomic_write
from gradcam_video.models import huggingface as hub
from gradcam_video.models import i3d_c3d as zoo
from gradcam_video.models import transnet
from gradcam_video.models.inflation import inflate
from gradcam_video.models.model_names import CUT_FINDERS, KINETICS, SHIPPED
from gradcam_video.models.tabletop_net import network as tabletop_network
from gradcam_video.models.video_model import VideoModel

TARGET = Path(__file__).resolve().parents[1] / "docs" / "methods_and_models.md"
K = 5
FAST: dict[str, dict[str, Any]] = {
    "rise": {"masks": 4},
    "temporal-mask": {"steps": 2},
    "integrated-gradients": {"steps": 2},
    "occlusion": {"window": (4, 16, 16), "step": (4, 16, 16)},
}


def _first_stages(net: Any, stages: int, channels: int) -> nn.Module:
    """A residual network without its later stages."""
    for stage in range(stages + 1, 5):
        setattr(net, f"layer{stage}", nn.Identity())
    net.fc = nn.Linear(channels, K)
    return net


def _video_resnet(convolutions: list[Any], stem: Any) -> nn.Module:
    net = resnet.VideoResNet(resnet.BasicBlock, convolutions, [1] * 4, stem)
    return _first_stages(net, 2, 128)


def _inflated() -> nn.Module:
    return inflate(_first_stages(ResNet(Bottleneck, [1] * 4), 1, 256))


def _s3d() -> nn.Module:
    net = s3d()
    net.features = net.features[:6]
    # Its own pool is for the 7×7 cells of 224 pixels.
    net.avgpool = nn.AvgPool3d((2, 4, 4), stride=1)
    net.classifier[1] = nn.Conv3d(256, K, 1)
    return net


def _mvit(**as_published: Any) -> nn.Module:
    """Blocks of which the second halves height and width, as the published ones do thrice."""
    blocks = [
        mvit.MSBlockConfig(
            num_heads=heads,
            input_channels=16,
            output_channels=16,
            kernel_q=[3, 3, 3],
            kernel_kv=[3, 3, 3],
            stride_q=stride,
            stride_kv=[1, 2, 2],
        )
        for heads, stride in ((1, [1, 1, 1]), (2, [1, 2, 2]), (2, [1, 1, 1]))
    ]
    return mvit.MViT((32, 48), 8, blocks, num_classes=K, **as_published)


def _swin() -> nn.Module:
    sizes: dict[str, Any] = {
        "embed_dim": 12,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": [2, 3, 3],
    }
    return swin_transformer.SwinTransformer3d(patch_size=[2, 4, 4], num_classes=K, **sizes)


def _hub(name: str, **sizes: Any) -> nn.Module:
    return hub.untrained_network(name, K, **sizes)


_WIDTHS = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}
_PATCHES = {"image_size": 32, "patch_size": 8, "num_frames": 8, "intermediate_size": 32}
_v1 = partial(
    _mvit,
    residual_pool=False,
    residual_with_cls_embed=True,
    rel_pos_embed=False,
    proj_after_attn=False,
)
_v2 = partial(
    _mvit,
    residual_pool=True,
    residual_with_cls_embed=False,
    rel_pos_embed=True,
    proj_after_attn=True,
)
_BASIC, _R2PLUS1 = resnet.BasicStem, resnet.R2Plus1dStem
_SIMPLE, _NO_TIME, _2PLUS1 = resnet.Conv3DSimple, resnet.Conv3DNoTemporal, resnet.Conv2Plus1D

# Each by its name: how it is built, and the frames, height and width of its input.
SMALL: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "tabletop": (partial(tabletop_network, K), (8, 32, 48)),
    "resnet50": (_inflated, (4, 16, 24)),
    "r3d_18": (partial(_video_resnet, [_SIMPLE] * 4, _BASIC), (8, 16, 24)),
    "mc3_18": (partial(_video_resnet, [_SIMPLE, *[_NO_TIME] * 3], _BASIC), (8, 16, 24)),
    "r2plus1d_18": (partial(_video_resnet, [_2PLUS1] * 4, _R2PLUS1), (8, 16, 24)),
    "s3d": (_s3d, (8, 32, 32)),
    "i3d": (partial(zoo.I3D, K, width=0.05), (16, 64, 64)),
    "c3d": (partial(zoo.C3D, K, width=2, hidden=16, side=32), (16, 32, 32)),
    "mvit_v1_b": (_v1, (8, 32, 48)),
    "mvit_v2_s": (_v2, (8, 32, 48)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (_swin, (8, 32, 48))),
    "videomae-ssv2": (
        partial(_hub, "videomae-ssv2", **(_WIDTHS | _PATCHES | {"image_size": (32, 48)})),
        (8, 32, 48),
    ),
    "timesformer-ssv2": (partial(_hub, "timesformer-ssv2", **_WIDTHS, **_PATCHES), (8, 32, 32)),
    "vjepa2-ssv2": (
        partial(
            _hub,
            "vjepa2-ssv2",
            **_WIDTHS,
            crop_size=32,
            patch_size=8,
            frames_per_clip=8,
            num_pooler_layers=1,
            pred_hidden_size=12,
            pred_num_hidden_layers=1,
            pred_num_attention_heads=1,
        ),
        (8, 32, 32),
    ),
    "videoprism-ucf101": (
        partial(
            _hub,
            "videoprism-ucf101",
            image_size=(36, 72),
            num_frames=8,
            hidden_size=24,
            intermediate_size=32,
            num_attention_heads=2,
            num_spatial_layers=2,
            num_temporal_layers=2,
        ),
        (8, 36, 72),
    ),
    # It has as many classes as frames.
    "transnetv2": (partial(transnet.TransNetV2, filters=2, hidden=16), (K, *transnet.SIZE)),
}


def small(name: str, seed: int = 0) -> VideoModel:
    """A model by name, with few blocks and channels and random weights."""
    build, (frames, *size) = SMALL[name]
    torch.manual_seed(seed)
    net = build().eval().requires_grad_(False)
    labels = [f"class {k}" for k in range(K)]
    layer = transnet.LAYER if name == transnet.NAME else None
    options: dict[str, Any] = {"size": (size[0], size[1]), "frames": frames, "cam_layer": layer}
    return VideoModel(net, labels, name=name, quiet=True, **options)


def clips(model: VideoModel, n: int) -> Tensor:
    """n random clips (n, 3, T, H, W) for a model."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, model.frames, *model.size, generator=generator)


def run(method: str, model: VideoModel, x: Tensor) -> Maps | str:
    """The maps of a method; where it does not apply, the line that says why."""
    try:
        return METHODS[method](**FAST.get(method, {}))(model, x, at_once=8)
    except BadInput as error:
        return (
            str(error)
            .replace(model.name, "the network")
            .replace(repr(model.cam_layer), "the layer")
        )


def refusals(name: str) -> dict[str, str]:
    """The methods that do not apply to a model, each with its reason."""
    model = small(name)
    x = clips(model, 1)
    found = {method: run(method, model, x) for method in METHODS}
    return {method: why for method, why in found.items() if isinstance(why, str)}


def page(found: dict[str, dict[str, str]]) -> str:
    """The page, in Markdown, from each model's refusals."""
    some = [m for m in METHODS if any(m in refused for refused in found.values())]
    everywhere = [m for m in METHODS if m not in some]
    reasons = list(dict.fromkeys(why for refused in found.values() for why in refused.values()))
    lines = [
        "# Which method runs on which model",
        "",
        "<!-- Written by scripts/methods_and_models.py; tests/test_zoo.py runs the same. -->",
        "",
        f"{len(everywhere)} of {len(METHODS)} methods run on all {len(found)} kinds of model: "
        f"{', '.join(f'`{m}`' for m in everywhere)}. The others:",
        "",
        f"| model | the {len(everywhere)} | {' | '.join(f'`{m}`' for m in some)} |",
        f"|---|---|{'---|' * len(some)}",
    ]
    for name, refused in found.items():
        cells = [f"no ({reasons.index(refused[m]) + 1})" if m in refused else "yes" for m in some]
        lines.append(f"| `{name}` | yes | {' | '.join(cells)} |")
    lines += ["", "What the package says where it is no:", ""]
    lines += [f"{number}. {why}" for number, why in enumerate(reasons, start=1)]
    lines += [
        "",
        "`resnet50` stands for every inflated image network. Each was built with few "
        "blocks and channels, by the code that builds it in full, and run on a random clip.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page."""
    assert (
        set(SMALL) >= {"tabletop", *KINETICS, *zoo.ZOO, *hub.HUB, *CUT_FINDERS}
        and "tabletop" in SHIPPED
    )
    found = {}
    for name in SMALL:
        found[name] = refusals(name)
        print(f"{name}: no {', '.join(found[name]) or 'refusal'}", file=sys.stderr, flush=True)
    with atomic_write(TARGET) as file:
        file.write_text(page(found), encoding="utf-8")
    print(TARGET)
    return 0


if __name__ == "__main__":
    sys.exit(main())
