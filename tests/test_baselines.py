"""What a clip shows where something is removed: six names, one meaning each."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.functional import gaussian_blur

from gradcam_video.attribution.baselines import (
    BASELINES,
    BLUR,
    FIXED,
    all_removed,
    blur,
    check_baseline,
    hold_frame,
    remove,
)
from gradcam_video.errors import BadInput


def counting(frames: int = 4, side: int = 8) -> torch.Tensor:
    """A clip whose frame t shows t, but 30 in the last: (1, 3, T, H, W)."""
    x = torch.arange(float(frames)).view(1, 1, frames, 1, 1).expand(1, 3, frames, side, side)
    x = x.clone()
    x[:, :, -1] = 30
    return x


def test_what_each_of_them_shows() -> None:
    x = counting()
    removed = torch.zeros(1, 1, 4, 8, 8, dtype=torch.bool)
    removed[:, :, 1:3, :4] = True
    shown = {name: remove(x, removed, name)[0, 0] for name in BASELINES}
    for frames in shown.values():
        assert torch.equal(frames[:, 4:], x[0, 0, :, 4:])  # the rest is untouched
    top = {name: frames[:, 0, 0].tolist() for name, frames in shown.items()}
    assert top["mean-colour"] == [0, 0, 0, 30]
    assert top["mean-frame"] == [0, 8.25, 8.25, 30]
    assert top["median-frame"] == [0, 1, 1, 30]  # the lower of the two in the middle
    assert top["first-frame"] == [0, 0, 0, 30]
    assert top["hold-frame"] == [0, 0, 0, 30]
    assert top["blur"] == pytest.approx([0, 1, 2, 30], abs=1e-4)  # an even picture stays


def test_holding_is_not_the_first_frame() -> None:
    x = counting()
    removed = torch.zeros(1, 1, 4, 8, 8, dtype=torch.bool)
    removed[:, :, 2:] = True
    first, held = (
        remove(x, removed, name)[0, 0, :, 0, 0].tolist() for name in ("first-frame", "hold-frame")
    )
    assert first == [0, 1, 0, 0] and held == [0, 1, 1, 1]


def test_hold_frame_looks_ahead_only_where_nothing_came_before() -> None:
    x = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 3, 4, 2, 2)
    removed = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 0]]).bool()
    removed = removed.view(3, 1, 4, 1, 1).expand(-1, -1, -1, 2, 2)
    shown = hold_frame(x, removed)[:, 0, :, 0, 0].tolist()
    assert shown == [[2, 2, 2, 2], [0, 0, 0, 0], [0, 0, 0, 3]]


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("size", [(2, 8, 28, 28), (1, 5, 40, 57), (1, 4, 2, 2)])
def test_the_blur_is_torchvisions_to_the_bit(size: tuple[int, ...], double: bool) -> None:
    clips, frames, *sides = size
    dtype = torch.float64 if double else torch.float32
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(clips, 3, frames, *sides, generator=generator, dtype=dtype)
    sigma = BLUR * min(sides)
    width = 2 * min(round(3 * sigma), min(sides) - 1) + 1
    theirs = gaussian_blur(x.flatten(0, 1), [width, width], [sigma, sigma]).view_as(x)
    for ours in (x, x.contiguous(memory_format=torch.channels_last_3d)):
        assert torch.equal(blur(ours, ours > 0), theirs)


@pytest.mark.parametrize("name", BASELINES)
def test_several_clips_and_several_masks(name: str) -> None:
    """N clips with a mask each, or one clip with many: as one by one."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 3, 4, 6, 8, generator=generator)
    removed = torch.rand(3, 1, 4, 6, 8, generator=generator) < 0.4
    both = remove(x, removed, name)
    many = remove(x[:1], removed, name)
    assert both.shape == many.shape == (3, 3, 4, 6, 8)
    for n in range(3):
        one = remove(x[n : n + 1], removed[n : n + 1], name)
        torch.testing.assert_close(both[n : n + 1], one)
        torch.testing.assert_close(many[n : n + 1], remove(x[:1], removed[n : n + 1], name))


def test_all_removed_is_what_a_mask_over_everything_shows() -> None:
    x = torch.randn(2, 3, 4, 6, 8, generator=torch.Generator().manual_seed(2))
    everything = torch.ones(2, 1, 4, 6, 8, dtype=torch.bool)
    for name in BASELINES:
        assert all_removed(x, name).shape == x.shape
        assert torch.equal(all_removed(x, name), remove(x, everything, name))
    assert not all_removed(x, "mean-colour").any()
    assert torch.equal(all_removed(x, "first-frame"), x[:, :, :1].expand_as(x))


def test_those_called_fixed_do_not_look_at_the_mask() -> None:
    x = torch.randn(1, 3, 4, 6, 8, generator=torch.Generator().manual_seed(3))
    masks = [torch.zeros(1, 1, 4, 6, 8, dtype=torch.bool) for _ in range(2)]
    masks[1][:, :, 1:3] = True
    for name, shows in BASELINES.items():
        same = torch.equal(shows(x, masks[0]).expand_as(x), shows(x, masks[1]).expand_as(x))
        assert same == (name in FIXED)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zeros", "rise: the baseline 'zeros' has another name now: mean-colour$"),
        ("mean", r"mean-colour \(of the training clips\) or mean-frame"),
        ("median", "another name now: median-frame$"),
        ("frozen", r"first-frame \(whatever is removed\) or hold-frame"),
        ("grey", "rise: unknown baseline 'grey': use one of mean-colour, blur, mean-frame"),
        ("hold-frame", "removed by degrees: use one of .*first-frame$"),
    ],
)
def test_other_names_are_refused_in_one_line(name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        check_baseline(name, "rise", FIXED)
    assert "\n" not in str(caught.value)
    for known in BASELINES:
        check_baseline(known)
