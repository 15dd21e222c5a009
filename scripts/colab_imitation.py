"""Run every notebook as Colab would: alone in an empty folder, with Colab's versions of packages.

    python scripts/colab_imitation.py [NOTEBOOK …]        # all of notebooks/ without arguments

Makes an environment of its own in .colab/ (some 5 GB, torch brings its CUDA libraries), in which
this package is not installed. Each notebook is copied into an empty folder; its own first cell
installs the last commit from this repository; then all of it runs in that kernel. A notebook fails
if a cell raises, if the installing changes a version that Colab came with, or if another commit
than the asked one was installed. What ran lies in .colab/run/. Colab's front end is not imitated
(docs/colab.md).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from stamp import stamp

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.13", "3.12", "3.11")  # Colab's own first
# googlecolab/backend-info, pip-freeze.txt of 2026-08-19 ("Upgrade to Python 3.13"), but for two:
# ipywidgets 7.7 shows nothing in JupyterLab with another jupyterlab-widgets than 1.x, and
# ipykernel is what pip says that google-colab 1.0.0 requires.
PINS = {
    "torch": "2.11.0",
    "torchvision": "0.26.0",
    "numpy": "2.1.3",
    "ipython": "7.34.0",
    "ipykernel": "6.17.1",
    "ipywidgets": "7.7.1",
    "jupyterlab-widgets": "1.1.11",
    "anywidget": "0.9.21",
    "moviepy": "1.0.3",
    "matplotlib": "3.10.0",
    "seaborn": "0.13.2",
}
KERNEL = "colab"
CHECKED = "nbval-check-output"  # a cell's tag
# Prints what is installed, and where gradcam_video came from, as JSON.
PROBE = """
import json
from importlib.metadata import distributions
found = {d.metadata["Name"].lower().replace("_", "-"): d for d in distributions()}
ours = found.get("gradcam-video")
print(json.dumps({
    "versions": {name: d.version for name, d in found.items()},
    "origin": json.loads(ours.read_text("direct_url.json")) if ours else None,
}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--address", default=f"file://{ROOT}", help="of the git repository")
    parser.add_argument("--tag", help="tag or commit; without it the last commit here")
    args = parser.parse_args()
    tag = args.tag or git("rev-parse", "HEAD")
    if git("status", "--porcelain", "gradcam_video", "pyproject.toml"):
        print("note: what is not committed is not tried", file=sys.stderr)
    machine = Machine(ROOT / ".colab")
    machine.make()
    print(machine.described())
    failed = 0
    for path in args.paths or sorted((ROOT / "notebooks").glob("*.ipynb")):
        machine.reset()
        started, used = time.monotonic(), cpu_seconds()
        trouble, equal = machine.run(path, args.address, tag)
        took = f"{time.monotonic() - started:.0f} s, {cpu_seconds() - used:.0f} s of CPU"
        print(f"{path.name}: {took}, {equal}{trouble and f', FAILED: {trouble}'}", flush=True)
        failed += bool(trouble)
    return min(failed, 1)


def cpu_seconds() -> float:
    """What the processes that were started here, and have ended, used: a busy machine tells."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Machine:
    """An environment with Colab's packages, a kernel in it, and a stand-in for `google.colab`.

    Args:
        folder: where it lies, or is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.frozen = folder / "frozen.txt"  # what was there before any notebook ran
        beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.uv = shutil.which("uv", path=beside) or sys.exit("uv is missing: pip install uv")

    def make(self) -> None:
        """Make the environment, once; the pins that cannot be had are left to `settled`."""
        if self.frozen.exists():
            self._write_kernel()
            return
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for version in PYTHONS:
            # pyenv's shims hide from uv what lies beside its current version.
            hidden = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
            chosen = str(hidden[-1]) if hidden else version
            words = ["venv", "--seed", "--no-python-downloads", "--python", chosen]
            if self._uv(*words, str(self.folder / "venv")).returncode == 0:
                break
        else:
            sys.exit(f"none of Python {', '.join(PYTHONS)} is on this machine: install one")
        install = ["pip", "install", "--python", str(self.python)]
        asked = settled(PINS, lambda asked: not self._uv(*install, "--dry-run", *asked).returncode)
        done = self._uv(*install, *asked)
        if done.returncode:
            sys.exit(f"Colab's packages could not be installed:\n{done.stderr}")
        (site,) = (self.folder / "venv").glob("lib/python*/site-packages")
        (site / "google" / "colab").mkdir(parents=True)
        (site / "google" / "colab" / "__init__.py").touch()
        startup = self.folder / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "colab.py").write_text("import google.colab\n")
        self._write_kernel()
        self.frozen.write_text(self._uv("pip", "freeze", "--python", str(self.python)).stdout)

    def _uv(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.uv, *words], capture_output=True, text=True)

    def _write_kernel(self) -> None:
        spec = self.folder / "kernels" / KERNEL
        spec.mkdir(parents=True, exist_ok=True)
        words = [str(self.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        # So that `!pip` is the environment's, and nothing of the caller's packages is seen.
        env = {
            "IPYTHONDIR": str(self.folder / "ipython"),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
            "PYTHONNOUSERSITE": "1",
            # Colab's two cores are free. Where others work too, threads that spin while they wait
            # cost a training step of notebook 03 2 s of CPU instead of 0.75 s.
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no words of the debugger on every start
        }
        kernel = {"argv": words, "display_name": KERNEL, "language": "python", "env": env}
        (spec / "kernel.json").write_text(json.dumps(kernel))

    def reset(self) -> None:
        """Take away what a notebook installed."""
        done = self._uv("pip", "sync", "--python", str(self.python), str(self.frozen))
        if done.returncode:
            sys.exit(f"the environment could not be put back: remove .colab/\n{done.stderr}")

    def probe(self) -> dict[str, Any]:
        """{"versions": {name: version}, "origin": where gradcam_video came from, or None}."""
        done = subprocess.run(
            [self.python, "-I", "-c", PROBE], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def described(self) -> str:
        """A line for Python and each pin: the same as on Colab, or what there is instead."""
        done = subprocess.run([self.python, "-V"], capture_output=True, text=True, check=True)
        here = self.probe()["versions"]
        lines = [f"{done.stdout.strip()} (Colab: {PYTHONS[0]})"]
        for name, version in PINS.items():
            other = "" if here[name] == version else f", NOT Colab's {version}"
            lines.append(f"{name} {here[name]}{other}")
        return "\n".join(lines)

    def run(self, path: Path, address: str, tag: str) -> tuple[str, str]:
        """Run one notebook in an empty folder.

        Returns:
            (what went wrong or "", how many of the checked outputs are those that are stored).
        """
        folder = self.folder / "run" / path.stem
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        stored = nbformat.read(path, as_version=4)
        notebook = nbformat.read(path, as_version=4)
        stamp(notebook, path.name, address, tag)
        nbformat.write(notebook, folder / path.name)
        before = self.probe()
        assert before["origin"] is None, "gradcam_video is installed already"
        os.environ["JUPYTER_PATH"] = str(self.folder)  # where the kernel is looked for
        client = NotebookClient(
            notebook, kernel_name=KERNEL, timeout=600, resources={"metadata": {"path": folder}}
        )
        trouble = ""
        try:
            client.execute()
        except (CellExecutionError, DeadKernelError, TimeoutError) as error:
            trouble = str(error)
        nbformat.write(notebook, folder / path.name)
        return trouble or changed(before, self.probe(), tag), compared(stored, notebook)


def settled(pins: dict[str, str], resolves: Callable[[list[str]], bool]) -> list[str]:
    """The pins as requirements; one that cannot be had with those before it is loosened.

    Args:
        pins: {name: version}, the most important first.
        resolves: whether these requirements can be installed together.

    Returns:
        For each pin the version itself, else the newest below it, else the newest of all.
    """
    asked: list[str] = []
    for name, version in pins.items():
        choices = (f"{name}=={version}", f"{name}<={version}", name)
        asked.append(next((c for c in choices if resolves([*asked, c])), name))
    return asked


def changed(before: dict[str, Any], after: dict[str, Any], tag: str) -> str:
    """What the installing should not have done, in one line; "" if all is well."""
    origin = after["origin"] or {}
    info = origin.get("vcs_info", {})
    if tag not in (info.get("requested_revision"), info.get("commit_id")):
        return f"gradcam_video is not from {tag}: {origin}"
    old, new = before["versions"], after["versions"]
    moved = [f"{n} {old[n]} -> {new.get(n)}" for n in PINS if old[n] != new.get(n)]
    return f"versions changed: {', '.join(moved)}" if moved else ""


def compared(stored: Any, run: Any) -> str:
    """How many cells whose output nbval checks print here what is stored."""
    pairs = [
        (printed(a), printed(b))
        for a, b in zip(stored.cells, run.cells, strict=True)
        if a.cell_type == "code" and CHECKED in a.metadata.get("tags", [])
    ]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)} checked outputs as stored"


def printed(cell: Any) -> str:
    return "".join(o.text for o in cell.outputs if o.get("name") == "stdout")


if __name__ == "__main__":
    sys.exit(main())
