"""The words of the command line: which command was asked for, and what it says when it ends.

Only the command that was asked for is imported, so that `--help` and a misspelt command answer at
once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..errors import BadInput
from .options import OK, complain

ABOUT = """\
See what a video network looks at: where, and when, the evidence for a class lies.
Results go to stdout, progress and errors to stderr. Exit code 0 when it worked; 2 and one line
when the input is bad.
"""
# Each is a module beside this one, with `add_options(parser)` and `run(options)`.
COMMANDS = {
    "explain": "explain clips: pictures, videos, a player, maps",
    "generate": "Tabletop clips on disk, truth beside",
    "scan": "what of a data set is missing or damaged",
    "train": "train a network on a data set",
    "evaluate": "top-1, top-5, per class",
    "score": "is the explanation right? on clips with truth",
    "figures": "the post's fourteen figures, and a page",
    "models": "the names that --model takes",
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints are one line, too."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold what they cannot write
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except BadInput as error:
        return complain(str(error))
    except KeyboardInterrupt:
        return complain("interrupted: nothing half-written was left; run it again to go on")
    except BrokenPipeError:  # `gradcam-video models | head`
        sys.stderr.close()
        return OK


def run(arguments: Sequence[str]) -> int:
    """The same, but what is wrong is raised.

    Raises:
        BadInput: an unknown command or option, or whatever the command cannot use.
    """
    options = _parser(arguments).parse_args(arguments)
    return options.run(options)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gradcam-video",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    asked = next((word for word in arguments if not word.startswith("-")), None)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does)
        if name == asked:
            if name == "explain" and "torch" not in sys.modules:
                # Threads that wait sleep, where they would burn processor time: the work of one
                # clip is short. To be said before torch is imported.
                os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
            module = importlib.import_module(f".{name}", __package__)
            module.add_options(command)
            command.set_defaults(run=module.run)
    return parser
