"""HTML pages that stand alone: script, style and data in one file, and nothing fetched."""

from __future__ import annotations

import html
from importlib import resources
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from ..files import json_text


def asset(name: str, package: str = "gradcam_video.show") -> str:
    """A text file that lies in a package: a script, a style, a template."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def in_frame(page: str, title: str, width: float, height: float) -> str:
    """A page in an iframe of a notebook's output, at most `width` pixels wide."""
    return (
        f'<iframe title="{title}" srcdoc="{html.escape(page, quote=True)}" '
        f'style="width:100%;max-width:{width}px;height:{height:.0f}px;'
        f'border:0"></iframe>'
    )


def standalone(
    title: str, script: str, call: str, meta: dict[str, Any], data: str, width: int
) -> str:
    """One page that needs neither a kernel nor a network.

    Args:
        title: as the browser shows it.
        script: JavaScript, a module's text; `call` begins it on the element `root`, with what
            lies in the page: `text("meta")`, json, and `text("data")`.
        meta, data: these two.
        width: of the page at most, in pixels.
    """
    # "<" never reaches the HTML parser from a label or a file name
    words = json_text(meta, title, ensure_ascii=False).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title>
<style>
{asset("player.css")}
</style>
</head>
<body class="gcv-page">
<main id="root" style="--page: {width}px"></main>
<noscript>This page needs JavaScript.</noscript>
<script type="application/json" id="meta">{words}</script>
<script type="text/plain" id="data">{data}</script>
<script type="module">
{script}
const text = (id) => document.getElementById(id).textContent;
const root = document.getElementById("root");
{call}
</script>
</body>
</html>
"""


def jpeg(frame: np.ndarray, quality: int = 85) -> bytes:
    """A frame, uint8 (H, W, 3), as a JPEG."""
    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
