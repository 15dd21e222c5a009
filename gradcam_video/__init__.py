"""See what a video network looks at: where, and when, the evidence for a class lies.

A file becomes a `Clip`; a `Clip` goes once through a `VideoModel`; that one forward gives the
logits and the maps of every class, an `Explanation`; and the `Explanation` is looked at.

    import gradcam_video as gv

    clip = gv.read_clip("clip.webm")
    model = gv.load_model("tabletop")
    e = gv.explain(model, clip)
    e.top(2), e.sheet(), e.player(), e.save("explained")

The rooms, in the order in which data flows: `data`, `tabletop`, `models`, `training`,
`attribution`, `cases`, `metrics`, `show`; and `lessons`, which only the notebooks need, and `cli`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._lazy import lazy_face

if TYPE_CHECKING:
    from . import tabletop
    from .attribution.api import METHODS, explain
    from .attribution.long_video import explain_windows
    from .attribution.targets import difference, similarity
    from .data.annotated_videos import AnnotatedVideos
    from .data.clip import Clip, read_clip, read_windows
    from .data.datasets import SomethingSomething
    from .data.ground_truth import Truth
    from .data.image_folder import find_clips
    from .data.labels import FORTY, FORTY_NAMES, TEMPLATES, ClassLabel, find_label
    from .errors import BadInput
    from .explanation import Explanation
    from .lessons import check, facts
    from .metrics.scoring import score
    from .models.checkpoints import save_model
    from .models.inflation import inflate
    from .models.registry import known_models, load_model
    from .models.token_layout import TokenGrid
    from .models.video_model import VideoModel

__version__ = "0.1.0"

__all__ = [
    "FORTY",
    "FORTY_NAMES",
    "METHODS",
    "TEMPLATES",
    "AnnotatedVideos",
    "BadInput",
    "ClassLabel",
    "Clip",
    "Explanation",
    "SomethingSomething",
    "TokenGrid",
    "Truth",
    "VideoModel",
    "check",
    "difference",
    "explain",
    "explain_windows",
    "facts",
    "find_clips",
    "find_label",
    "inflate",
    "known_models",
    "load_model",
    "read_clip",
    "read_windows",
    "save_model",
    "score",
    "similarity",
    "tabletop",
]

_HOMES = {
    "FORTY": "data.labels",
    "FORTY_NAMES": "data.labels",
    "METHODS": "attribution.api",
    "TEMPLATES": "data.labels",
    "AnnotatedVideos": "data.annotated_videos",
    "BadInput": "errors",
    "ClassLabel": "data.labels",
    "Clip": "data.clip",
    "Explanation": "explanation",
    "SomethingSomething": "data.datasets",
    "TokenGrid": "models.token_layout",
    "Truth": "data.ground_truth",
    "VideoModel": "models.video_model",
    "check": "lessons",
    "difference": "attribution.targets",
    "explain": "attribution.api",
    "explain_windows": "attribution.long_video",
    "facts": "lessons",
    "find_clips": "data.image_folder",
    "find_label": "data.labels",
    "inflate": "models.inflation",
    "known_models": "models.registry",
    "load_model": "models.registry",
    "read_clip": "data.clip",
    "read_windows": "data.clip",
    "save_model": "models.checkpoints",
    "score": "metrics.scoring",
    "similarity": "attribution.targets",
}
_ROOMS = (
    "attribution",
    "cases",
    "cli",
    "data",
    "lessons",
    "metrics",
    "models",
    "show",
    "tabletop",
    "training",
)
_RENAMED = {"Label": "ClassLabel"}  # the old name works until 0.3
_face, __dir__ = lazy_face(__name__, _HOMES, _ROOMS)


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        import warnings

        new = _RENAMED[name]
        warnings.warn(
            f"gradcam_video.{name} is now gradcam_video.{new}", DeprecationWarning, stacklevel=2
        )
        return _face(new)
    return _face(name)
