"""A slider through still pictures, for notebooks: it runs in the browser and needs no kernel."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from io import BytesIO

from matplotlib.figure import Figure

WIDE, QUALITY = 700, {"quality": 80}  # pixels: as wide as a notebook shows it

_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ font: 15px system-ui, sans-serif; margin: 6px; }}
img {{ width: 100%; }} input {{ width: 100%; }} label {{ display: block; font-weight: 600; }}
</style><label for="at"></label><input id="at" type="range" min="0" max="{last}" value="{start}">
<img alt=""><script>
const pages = {pages}, at = document.querySelector("input");
const show = () => {{
  const [words, picture] = pages[at.value];
  document.querySelector("label").textContent = words;
  document.querySelector("img").alt = words;
  document.querySelector("img").src = "data:image/jpeg;base64," + picture;
}};
at.addEventListener("input", show);
show();
</script>"""


class Flip:
    """Pictures of one size, of which a slider shows one at a time.

    Args:
        figures: what is shown.
        words: one line for each.
        start: which is shown first.
        height: of the frame in the notebook, pixels.

    Example:
        >>> Flip([figure, other], ["before", "after"])  # doctest: +SKIP
    """

    def __init__(
        self, figures: Sequence[Figure], words: Sequence[str], start: int = 0, height: int = 300
    ) -> None:
        self.words = list(words)
        pages = [[w, _jpeg(f)] for w, f in zip(words, figures, strict=True)]
        self.page = _PAGE.format(
            last=len(pages) - 1, start=start, pages=json.dumps(pages).replace("</", "<\\/")
        )
        self.height = height

    def __repr__(self) -> str:
        return f"Flip({len(self.words)} pictures, from {self.words[0]!r} to {self.words[-1]!r})"

    def _repr_html_(self) -> str:
        page = html.escape(self.page)
        style = f"width:100%;height:{self.height}px;border:0"
        return f'<iframe title="slider" srcdoc="{page}" style="{style}"></iframe>'


def _jpeg(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=WIDE / figure.get_figwidth(), pil_kwargs=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode()
