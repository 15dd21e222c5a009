"""The package as a house: each module by its name, a light start, no torch where none is needed.

What runs here runs in fresh processes: in this one everything has been imported long since.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import gradcam_video as gv

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(gv.__path__, "gradcam_video.")
    if not module.name.endswith(".__main__")
)
HEAVY = (
    *("torch", "torchvision", "torch._dynamo", "sympy", "cv2", "matplotlib", "accelerate"),
    *("moviepy", "av", "anywidget", "ipywidgets", "transformers", "PIL", "numpy", "tqdm"),
)


def python(code: str, *arguments: str) -> str:
    """What a fresh process prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> set[str]:
    """Which of the heavy modules a piece of code loads."""
    return set(json.loads(python(f"{code}\nimport json, sys\nprint(json.dumps([*sys.modules]))")))


# --- every module by its own name -------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="fresh processes are forked: not on Windows")
def test_every_module_is_imported_by_its_dotted_name_in_a_fresh_process() -> None:
    """`import a.b.c as m` walks the attributes: a function of a file's name would stand for it."""
    code = """
import os, sys
# Once, for all that follow; nothing of gradcam_video.
import accelerate, anywidget, av, cv2, ipywidgets, matplotlib.figure, numpy, torch, torchvision
wrong = []
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            exec(f"import {name} as module")
            os._exit(0 if getattr(module, "__name__", "") == name else 1)
        except BaseException as error:
            print(name, type(error).__name__, error, flush=True)
            os._exit(2)
    if os.waitpid(child, 0)[1]:
        wrong.append(name)
print("wrong:", wrong)
"""
    assert len(MODULES) > 80
    assert python(code, *MODULES) == "wrong: []\n"


def test_no_file_is_called_as_what_it_exports() -> None:
    for name in MODULES:
        module = importlib.import_module(name)
        own = getattr(module, name.rpartition(".")[2], None)
        assert getattr(own, "__module__", None) != name, name


@pytest.mark.parametrize("name", gv.__all__)
def test_every_public_name_is_there_in_a_face_that_says_so(name: str) -> None:
    assert getattr(gv, name) is not None
    assert name in dir(gv)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'explane'"):
        _ = gv.explane  # ty: ignore[unresolved-attribute]


def test_a_renamed_name_still_works_and_says_the_new_one() -> None:
    with pytest.warns(DeprecationWarning, match=r"gradcam_video\.ClassLabel"):
        assert gv.Label is gv.ClassLabel  # ty: ignore[unresolved-attribute]


# --- a start in a blink -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "import gradcam_video",
        "import gradcam_video.cli",
        "from gradcam_video.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from gradcam_video.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        "from gradcam_video.cli import main\nmain(['explian', 'x.mp4'])",
    ],
    ids=["import", "cli", "--help", "--version", "misspelt"],
)
def test_what_needs_no_network_loads_nothing_heavy(code: str) -> None:
    code = f"import io, sys\nout, sys.stdout = sys.stdout, io.StringIO()\n{code}\nsys.stdout = out"
    assert not loaded(code) & set(HEAVY)


@pytest.mark.slow
def test_the_shipped_network_loads_torch_alone() -> None:
    code = "import gradcam_video as gv\nmodel = gv.load_model('tabletop')\nmodel.cam_layer"
    assert loaded(code) & set(HEAVY) <= {"torch", "numpy", "PIL", "tqdm"}  # torch's own


@pytest.mark.slow
def test_explaining_loads_neither_torchvision_nor_the_compiler(tmp_path: Path) -> None:
    code = f"""
import numpy as np
import gradcam_video as gv
clip = gv.Clip(np.zeros((16, 24, 32, 3), np.uint8), np.arange(16) / 4, np.zeros(16, bool), "x")
gv.explain(gv.load_model("tabletop"), clip).save({str(tmp_path)!r})
"""
    heavy = {"torchvision", "torch._dynamo", "sympy", "cv2", "accelerate", "moviepy", "ipywidgets"}
    heavy |= {"anywidget", "IPython", "matplotlib.pyplot", "transformers"}
    found = loaded(code) & heavy
    assert not found


# --- without torch ----------------------------------------------------------------------------

WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "accelerate", "safetensors"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, NoTorch())
import numpy as np
import gradcam_video as gv
from gradcam_video import metrics
from gradcam_video.geometry import Axis, Grid, View

scene = gv.tabletop.sample("Opening [something]", 7)
frames, height, width = scene.clip.frames.shape[:3]
view = View(height, width, 112, 112)
axes = Axis(frames, frames, 0, 1), Axis(14, 112, 3.5, 8), Axis(14, 112, 3.5, 8)
grid = Grid(*axes, view)
truth = metrics.strict_truth(scene.truth, view)
perfect = metrics.oracle_map(truth, grid)
signed = np.stack([perfect, -perfect])
e = gv.Explanation(
    scene.clip, ("a", "b"), np.array([2, 1], np.float32), np.arange(2), signed, grid
)
assert e.top(1)[0][0] == "a" and e.upsampled("a").shape == (frames, height, width)
e.save(sys.argv[1])
e.sheet()
from gradcam_video.show import draw_filmstrip
draw_filmstrip(e)
drawn = metrics.draw(e.maps[0], grid)
inside = metrics.energy(drawn, truth)
chance = metrics.energy(np.ones_like(drawn), truth)
assert inside > 3 * chance > 0, (inside, chance)
assert metrics.pointing(drawn, truth) > 0.9
assert "torch" not in sys.modules
print("drawn")
"""


@pytest.mark.slow
def test_the_synthetic_world_the_scores_and_the_pictures_need_no_torch(tmp_path: Path) -> None:
    assert python(WITHOUT_TORCH, str(tmp_path)) == "drawn\n"
    assert (tmp_path / "overlay.mp4").stat().st_size > 1000
