"""The command line, `gradcam-video`: one file per command, each with its options and its run."""

from .parser import main

__all__ = ["main"]
