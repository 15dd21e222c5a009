"""Networks with which a breaker got silently wrong maps, tracebacks or false sentences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import gradcam_video as gv
from gradcam_video.attribution.gradcam import maps_of

T, S = 8, 32
SHAPE = (3, T, S, S)


class Body(nn.Module):
    """A trunk of two convolutions and a linear layer; a case says what its forward is."""

    def __init__(
        self, how: Callable[[Body, Tensor], Tensor] | None = None, classes: int = 2
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *(nn.Conv3d(3, 6, 3, (1, 2, 2), 1), nn.ReLU()),
            *(nn.Conv3d(6, 6, 3, (1, 2, 2), 1), nn.ReLU()),
        )
        self.fc, self.wide = nn.Linear(6, classes), nn.Linear(T * 6, classes)
        self.cnn = nn.Sequential(nn.Conv2d(3, 6, 3, 4, 1), nn.ReLU())
        self.how = how
        self.register_buffer("text", torch.randn(classes, 6))

    def pooled(self, x: Tensor) -> Tensor:
        return self.trunk(x).mean((2, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pooled(x)) if self.how is None else self.how(self, x)


def model_of(net: nn.Module, labels: list[str] | None = None, **options) -> gv.VideoModel:
    return gv.VideoModel(net.eval(), labels, size=S, frames=T, quiet=True, **options)


def made(how: Callable[[Body, Tensor], Tensor]) -> Body:
    torch.manual_seed(0)
    return Body(how)


def clip_of(seed: int = 0) -> gv.Clip:
    pixels = np.random.default_rng(seed).integers(0, 256, (T, S, S, 3), dtype=np.uint8)
    return gv.Clip(pixels, np.arange(T) / 4, np.zeros(T, bool), f"clip {seed}")


def by_hand(net: nn.Module, layer: str, x: Tensor, answer: Callable = lambda y: y) -> Tensor:
    kept: list[Tensor] = []
    handle = net.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    y = answer(net(x))
    handle.remove()
    signed = []
    for k in range(y.shape[1]):
        (g,) = torch.autograd.grad(y[0, k], kept[0], retain_graph=True)
        signed.append((g.mean((2, 3, 4), keepdim=True) * kept[0]).sum(1).detach())
    return torch.stack(signed, 1)


# --- parts of a clip in the batch's dimension -----------------------------------------------------

PARTS: dict[str, Callable[[Body, Tensor], Tensor]] = {
    "halves": lambda n, x: (
        n.fc(n.pooled(torch.cat([x[..., :16], x[..., 16:]], 0))).unflatten(0, (2, -1)).mean(0)
    ),
    "segments": lambda n, x: (
        n.fc(n.pooled(x.unflatten(2, (2, 4)).transpose(1, 2).flatten(0, 1)))
        .unflatten(0, (-1, 2))
        .mean(1)
    ),
    "mirrored": lambda n, x: (
        n.fc(n.pooled(torch.cat([x, x.flip(-1)]))).unflatten(0, (2, -1)).mean(0)
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_a_clip_in_the_batch_are_refused_not_left_out(name: str) -> None:
    with pytest.raises(gv.BadInput) as error:
        model_of(made(PARTS[name]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "how",
    [
        lambda n, x: n.fc(n.trunk(x).permute(0, 2, 3, 4, 1).reshape(1, T, 8, 8, 6).mean((1, 2, 3))),
        lambda n, x: n.fc(
            F.scaled_dot_product_attention(
                *(n.trunk(x).flatten(2).transpose(1, 2)[:, None],) * 3
            )[:, 0].view(1, T, 8, 8, 6).mean((1, 2, 3))
        ),
    ],
    ids=["channels last", "attention without a residual"],
)  # fmt: skip
def test_five_dimensions_of_another_meaning_are_not_taken_for_a_map(how) -> None:
    model = model_of(made(how))
    assert model.cam_layer == "trunk"
    grid = model.reading(SHAPE).token_grids[0].grid
    assert grid == (T, 8, 8)


# --- the logits, changed on the way out ---------------------------------------------------------

ENDS: dict[str, Callable[[Tensor], Tensor]] = {
    "mul_": lambda y: y.mul_(-3),
    "div_": lambda y: y.div_(0.07),
    "tanh_": lambda y: y.tanh_(),
    "relu_": lambda y: y.relu_(),
    "one class": lambda y: torch.cat([y[:, :1].mul(-1), y[:, 1:]], 1),
}


@pytest.mark.parametrize("name", ENDS)
def test_logits_changed_in_place_are_the_ones_explained(name: str) -> None:
    net = made(lambda n, x: ENDS[name](n.fc(n.pooled(x))))
    model = model_of(net)
    x, _ = model.preprocess(clip_of())
    torch.testing.assert_close(maps_of(model, x)[1], by_hand(net, "trunk", x))


@pytest.mark.parametrize(
    "squeezed", [lambda y: y.squeeze(), lambda y: y[0]], ids=["squeeze", "[0]"]
)
def test_squeezed_logits_are_k_classes(squeezed) -> None:
    plain = made(lambda n, x: n.fc(n.pooled(x)))
    net = made(lambda n, x: squeezed(n.fc(n.pooled(x))))
    e, usual = (gv.explain(model_of(one, ["a", "b"]), clip_of()) for one in (net, plain))
    np.testing.assert_allclose(e.logits, usual.logits, rtol=1e-5)
    np.testing.assert_allclose(e.signed, usual.signed, atol=1e-6)
    one = made(lambda n, x: n.fc(n.pooled(x))[:, :1].squeeze())
    assert gv.explain(model_of(one, ["a"]), clip_of()).logits.shape == (1,)


def test_logits_beside_features_are_told_by_their_labels() -> None:
    both = made(lambda n, x: {"features": n.pooled(x), "pred": n.fc(n.pooled(x))})
    plain = made(lambda n, x: n.fc(n.pooled(x)))
    e = gv.explain(model_of(both, ["a", "b"]), clip_of())
    np.testing.assert_allclose(e.logits, gv.explain(model_of(plain), clip_of()).logits, rtol=1e-5)
    with pytest.raises(gv.BadInput, match=r"several tensors.*outputs="):
        model_of(both)


def test_a_log_or_a_multiple_is_no_probability() -> None:
    for end in (lambda y: y.softmax(-1).log(), lambda y: 5 * y.sigmoid()):
        model = model_of(made(lambda n, x, end=end: end(n.fc(n.pooled(x)))))
        assert model.output != "probability"


# --- clips that change each other ---------------------------------------------------------------

MIXES: dict[str, Callable[[Body, Tensor], Tensor]] = {
    "normed over the batch": lambda n, x: n.fc(n.pooled((x - x.mean()) / x.std())),
    "rows of another order": lambda n, x: n.fc(
        n.trunk(x).permute(2, 0, 1, 3, 4).flatten(0, 1).mean((2, 3))
    ),
    "a loop over clips": lambda n, x: torch.stack([n.fc(n.pooled(one[None]))[0] for one in x]),
}


@pytest.mark.parametrize("method", ["gradcam", "occlusion", "ablationcam", "rise"])
@pytest.mark.parametrize("name", MIXES)
def test_clips_that_mix_go_one_by_one(name: str, method: str) -> None:
    model = model_of(made(MIXES[name]), output="value")
    options = {"masks": 16} if method == "rise" else {}
    alone = [gv.explain(model, clip_of(n), method=method, batch=1, **options) for n in (0, 1)]
    both = gv.explain(model, [clip_of(0), clip_of(1)], method=method, batch=2, **options)
    usual = gv.explain(model, clip_of(0), method=method, **options)
    for e, right in zip([*both, usual], [*alone, alone[0]], strict=True):
        scale = np.abs(right.signed).max()
        np.testing.assert_allclose(e.signed, right.signed, atol=1e-3 * scale + 1e-9)


def test_clips_that_do_not_mix_go_together() -> None:
    model = model_of(made(lambda n, x: n.fc(n.pooled(x))))
    x = torch.rand(2, *SHAPE)
    assert not model.clips_mix(x)


# --- the rest -----------------------------------------------------------------------------------


def test_a_classifier_in_a_buffer() -> None:
    net = made(lambda n, x: n.pooled(x) @ n.text.t())
    model = model_of(net)
    x, _ = model.preprocess(clip_of())
    torch.testing.assert_close(maps_of(model, x)[1], by_hand(net, "trunk", x))


def test_frames_that_are_concatenated_before_the_linear_layer() -> None:
    net = made(
        lambda n, x: n.wide(n.cnn(x.transpose(1, 2).flatten(0, 1)).mean((2, 3)).view(len(x), -1))
    )
    model = model_of(net)
    x, _ = model.preprocess(clip_of())
    assert model.cam_layer == "cnn"
    signed = maps_of(model, x)[1]
    kept: list[Tensor] = []
    net.cnn.register_forward_hook(lambda m, i, o: kept.append(o))
    (g,) = torch.autograd.grad(net(x)[0, 0], kept[0])
    a, g = (v.transpose(0, 1)[None] for v in (kept[0], g))
    expected = (g.mean((2, 3, 4), keepdim=True) * a).sum(1)
    torch.testing.assert_close(signed[:, 0], expected.detach())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_is_passed_over() -> None:
    net = made(lambda n, x: n.fc(n.middle(n.trunk(x)).mean((2, 3, 4))))
    net.middle = torch.jit.script(nn.Sequential(nn.Conv3d(6, 6, 3, 1, 1), nn.ReLU()))
    e = gv.explain(model_of(net), clip_of())
    assert np.ptp(e.signed) > 0


@pytest.mark.parametrize("way", ["a list", "used twice"])
def test_fusing_changes_no_logit(way: str) -> None:
    class Net(Body):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.bn = nn.Conv3d(3, 6, 3, (1, 4, 4), 1), nn.BatchNorm3d(6)
            self.bn.running_mean += 0.3
            self.bn.running_var *= 4
            self.convs = [self.c]

        def forward(self, x: Tensor) -> Tensor:
            if way == "a list":
                return self.fc(self.bn(self.convs[0](x)).relu().mean((2, 3, 4)))
            again = F.conv3d(x, self.c.weight, None, (1, 4, 4), 1)
            return self.fc((self.bn(self.c(x)) + again).relu().mean((2, 3, 4)))

    torch.manual_seed(0)
    model, x = model_of(Net()), torch.rand(1, *SHAPE)
    before = model.forward(x)
    torch.testing.assert_close(model.faster().forward(x), before)


def test_an_autocast_around_the_call_changes_no_map() -> None:
    model = model_of(made(lambda n, x: n.fc(n.pooled(x))))
    expected = gv.explain(model, clip_of()).signed
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(gv.explain(model, clip_of()).signed, expected)


def test_a_frame_that_another_way_shows_is_not_called_unseen() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c, self.g, self.fc = nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4)), nn.Linear(3, 6), None
            self.fc = nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            gate = self.g(x.mean((3, 4)).amax(2))[..., None, None, None].sigmoid()
            return self.fc((self.c(x).relu() * gate).mean((2, 3, 4)))

    torch.manual_seed(0)
    model = gv.VideoModel(Net().eval(), size=S, frames=7, quiet=True, cam_layer=":mul")
    assert model.grid_axes((3, 7, S, S))[0][0].seen is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"classes": [1.7]}, "whole numbers"),
        ({"cam_layer": 5}, "name of a layer"),
        ({"autocast": "float99"}, "bfloat16"),
    ],
)
def test_arguments_of_another_kind_are_one_line(options: dict, words: str) -> None:
    model = model_of(made(lambda n, x: n.fc(n.pooled(x))), ["a", "b"])
    with pytest.raises(gv.BadInput, match=words):
        gv.explain(model, clip_of(), **options)
    assert gv.explain(model, clip_of(), classes="b").classes.tolist() == [1]
    assert gv.explain(model, clip_of(), classes=1).classes.tolist() == [1]


def test_a_target_of_squeezed_values_takes_several_copies() -> None:
    """A regression that gives (N,): changed copies of a clip go through together."""
    net = made(lambda n, x: n.fc(n.pooled(x))[:, 0])
    model = model_of(net, ["speed"], output="value")
    options = {"method": "occlusion", "target": lambda y: 2 * y}
    four, one = (gv.explain(model, clip_of(), batch=b, **options) for b in (4, 1))
    plain = gv.explain(model, clip_of(), method="occlusion")
    np.testing.assert_allclose(four.signed, one.signed, atol=1e-6)
    np.testing.assert_allclose(one.signed, 2 * plain.signed, atol=1e-6)


def test_a_difference_of_classes_of_a_grey_network() -> None:
    net = made(lambda n, x: n.fc(n.pooled(x)))
    net.trunk[0] = nn.Conv3d(1, 6, 3, (1, 2, 2), 1)
    model = gv.VideoModel(net.eval(), ["a", "b"], 32, 0.5, 0.25, frames=T, quiet=True)
    e, apart = gv.explain(model, clip_of(), target=("a", "b")), gv.explain(model, clip_of())
    np.testing.assert_allclose(e.signed[0], apart.signed[0] - apart.signed[1], atol=1e-6)
