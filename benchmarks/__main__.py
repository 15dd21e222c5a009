"""All benchmarks, one after the other: `python -m benchmarks`, or `make bench`. See README.md.

python -m benchmarks                       # all: an hour or more
python -m benchmarks --only start latency
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from .common import HERE

BENCHMARKS = {  # its name, and the commands, which are modules of this folder and their options
    "start": (("start",), ("start", "--uncompiled")),
    "latency": (("latency",),),
    "explain_speed": (("explain_speed",),),
    "films": (("films",),),
    "compare": (("compare",),),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them; 1 if one of them failed, after all have run."""
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME", default=[*BENCHMARKS])
    failed = []
    for name in p.parse_args(arguments).only:
        for module, *options in BENCHMARKS[name]:
            print(f"--- {' '.join((module, *options))}", file=sys.stderr, flush=True)
            # A process for each: none has the memory and the threads of the one before.
            command = [sys.executable, "-m", f"benchmarks.{module}", *options]
            if subprocess.run(command, cwd=HERE.parent).returncode:
                failed.append(" ".join((module, *options)))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
