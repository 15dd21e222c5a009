"""See what a video network looks at: where, and when, the evidence for a class lies.

A file becomes a `Clip`; a `Clip` goes once through a `VideoModel`; that one forward gives the
logits and the maps of every class, an `Explanation`; and the `Explanation` is looked at.

    import gradcam_video as gv

    clip = gv.read_clip("clip.webm")
    model = gv.load_model("tabletop")
    e = gv.explain(model, clip)
    e.top(2), e.sheet(), e.player(), e.save("explained")
"""

from . import check, facts, tabletop
from .clip import Clip, find_clips, read_clip, read_windows
from .datasets import SomethingSomething
from .errors import BadInput
from .explain import METHODS, Explanation, explain, explain_windows
from .inflate import inflate
from .labels import FORTY, TEMPLATES, Label, find_label
from .models import VideoModel, known_models, load_model, save_model
from .truth import Truth

__version__ = "0.1.0"

__all__ = [
    "FORTY",
    "METHODS",
    "TEMPLATES",
    "BadInput",
    "Clip",
    "Explanation",
    "Label",
    "SomethingSomething",
    "Truth",
    "VideoModel",
    "check",
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
    "tabletop",
]
