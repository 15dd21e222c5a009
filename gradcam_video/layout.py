"""The old place of `gradcam_video.TokenGrid`, which was called `Fold`; both work until 0.3."""

from __future__ import annotations

import warnings

from .models.token_layout import TokenGrid as Fold

warnings.warn(
    "gradcam_video.layout.Fold is now gradcam_video.TokenGrid", DeprecationWarning, stacklevel=2
)

__all__ = ["Fold"]
