"""What several tests share: the folder of real clips, photos and weights, where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    """The tests are small: more threads only cost."""
    torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real clips, photos and ImageNet weights; they are not ours to ship, so they may be absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("GRADCAM_VIDEO_SHARED", beside))
    if not folder.is_dir():
        pytest.skip("real clips and weights are not shipped; set GRADCAM_VIDEO_SHARED to a folder")
    return folder
