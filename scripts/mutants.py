"""Small faults are put into a module one at a time: do its tests notice?

    python scripts/mutants.py gradcam_video/geometry.py tests/test_grid.py tests/test_properties.py

Each fault (a mutant) is one change of the syntax tree: another operator or comparison, a constant
one higher, a condition negated, a statement left out, two arguments swapped, min for max. The tests
run once per mutant, in a process forked from one that has imported torch already, so a mutant costs
the tests' time alone; the files on disk are never changed. A mutant that no test notices is printed
("alive"): it asks for a test, or it is a change that makes no difference.

`--number 60` draws so many of the mutants, by a fixed seed; `--lines 100-180` takes some lines.
Needs fork: Linux or macOS. What follows `--` goes to pytest (`-- -k tokens`).
"""

from __future__ import annotations

import argparse
import ast
import copy
import multiprocessing
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import pytest

ONE = (ast.Add, ast.Mult, ast.BitAnd, ast.And, ast.Lt, ast.Gt, ast.Eq, ast.Is, ast.In)
OTHER = (ast.Sub, ast.Div, ast.BitOr, ast.Or, ast.LtE, ast.GtE, ast.NotEq, ast.IsNot, ast.NotIn)
OPERATORS: dict[type, type] = dict(zip(ONE + OTHER, OTHER + ONE, strict=True))
OPERATORS |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult}
TWINS = {"min": "max", "any": "all", "floor": "ceil", "minimum": "maximum"}
TWINS |= {other: one for one, other in TWINS.items()}
REMOVED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Delete)
MEMORY = 3 * 2**30  # bytes for the tests of one mutant
SKIPPED = {"annotation", "returns", "decorator_list", "exc", "cause", "msg"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of one node."""
    new: Any = copy.copy(node)
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        new.op = OPERATORS[type(node.op)]()
        yield new
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        new.ops = [OPERATORS[type(node.ops[0])](), *node.ops[1:]]
        yield new
    elif isinstance(node, ast.UnaryOp):  # `not x` and `-x`
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        new.value = not node.value if isinstance(node.value, bool) else node.value + 1
        yield new
    elif isinstance(node, ast.Name) and node.id in TWINS:
        yield ast.Name(TWINS[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in TWINS:
        yield ast.Attribute(node.value, TWINS[node.attr], node.ctx)
    elif isinstance(node, ast.Call) and len(node.args) > 1 and not _commutes(node.func):
        new.args = [node.args[1], node.args[0], *node.args[2:]]
        yield new
    new = copy.copy(node)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        new.test = ast.UnaryOp(ast.Not(), node.test)
        yield new
    elif isinstance(node, REMOVED) and not _docstring(node):
        yield ast.Pass()


def _commutes(function: ast.AST) -> bool:
    return (getattr(function, "id", "") or getattr(function, "attr", "")) in TWINS


def _docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _sites(node: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Every node below one, and how to put another in its place; no types, words, docstrings."""
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        for i, child in enumerate(children):
            leave = field in SKIPPED or isinstance(child, ast.JoinedStr) or _docstring(child)
            if leave or not isinstance(child, ast.AST):
                continue
            put = (
                partial(value.__setitem__, i)
                if children is value
                else partial(setattr, node, field)
            )
            yield child, put
            yield from _sites(child)


def mutants(path: Path, first: int, last: int) -> Iterator[tuple[str, CodeType]]:
    """Each mutant of some lines of a module: what was changed, for people, and its code."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, put in list(_sites(tree)):
        line = getattr(node, "lineno", 0)
        if not first <= line <= last:
            continue
        for new in changes(node):
            put(new)
            code = compile(ast.fix_missing_locations(tree), path, "exec")
            put(node)
            old, now = (ast.unparse(n).split("\n")[0] for n in (node, new))
            yield f"{path}:{line}: {old}  ->  {now}", code


def run_tests(path: Path, code: CodeType | None, arguments: list[str], show: bool) -> None:
    """Run pytest with the module's code exchanged, and end the process as pytest ends."""
    # A loop that a fault made endless may gather memory: it must not take the machine's.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    if not show:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
    if code is not None:
        as_it_is = SourceFileLoader.get_code

        def exchanged(loader: SourceFileLoader, name: str) -> CodeType | None:
            return code if Path(loader.path) == path else as_it_is(loader, name)

        SourceFileLoader.get_code = exchanged  # ty: ignore[invalid-assignment]
    # No plugin but the one that pyproject.toml has options for: some take seconds to import.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os._exit(
        pytest.main(
            ["-xq", "--tb=no", "-p", "no:cacheprovider", "-p", "pytest_timeout", *arguments]
        )
    )


def outcome(limit: float, *arguments: Any) -> int | None:
    """How the tests ended in a process of their own; None: not within so many seconds."""
    process = multiprocessing.get_context("fork").Process(target=run_tests, args=arguments)
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
        return None
    return process.exitcode


def main() -> int:
    words = (__doc__ or "").split("\n\n")
    parser = argparse.ArgumentParser(description=words[0])
    parser.add_argument("module", type=Path, help="the file to put faults into")
    parser.add_argument("tests", nargs="+", help="test files")
    parser.add_argument("--number", type=int, help="try so many, drawn by a fixed seed")
    parser.add_argument("--lines", default="1-999999", help="in these lines only: 20-90")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    arguments = [*options.tests, *sys.argv[end + 1 :]]
    path = options.module.resolve()
    first, last = map(int, options.lines.split("-"))
    found = list(mutants(path, first, last))
    if options.number is not None and options.number < len(found):
        found = random.Random(0).sample(found, options.number)
    sys.path.insert(0, str(Path.cwd()))
    for name in ("numpy", "torch", "torchvision"):
        import_module(name)  # once, here: every process forked from this one has them
    # That an example fails is enough: the smallest one is not looked for.
    hypothesis.settings.register_profile("mutants", phases=[hypothesis.Phase.generate])
    hypothesis.settings.load_profile("mutants")
    begin = time.monotonic()
    if outcome(3600, path, None, arguments, True) != 0:
        print("the tests fail as it is: nothing to learn from mutants")
        return 2
    limit = 30 + 5 * (time.monotonic() - begin)
    alive = 0
    for what, code in found:
        # 1: a test failed; 2 and above: the module or a test file could not even be imported.
        if outcome(limit, path, code, arguments, False) == 0:
            alive += 1
            print("alive", what.replace(f"{Path.cwd()}/", ""), flush=True)
    print(f"{len(found)} mutants: {len(found) - alive} killed, {alive} alive")
    return int(alive > 0)


if __name__ == "__main__":
    sys.exit(main())
