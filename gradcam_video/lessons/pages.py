"""The scripts of the lessons' pages. They share `elements.js`; a page takes one script."""

from __future__ import annotations

from ..show.html import asset

_HERE = "gradcam_video.lessons"


def lesson_script(name: str) -> str:
    """A script of this folder, with what it uses before it."""
    return asset("elements.js", _HERE) + asset(name, _HERE)
