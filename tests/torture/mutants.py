"""Mutants of a module, each with one operator or number changed: do its tests notice?

    python -m tests.torture.mutants tabkit/simplex.py --tests tests/test_simplex.py --count 30

On a copy of the tree; drawn by a seed; each in a process of its own, until the first test fails.
What survives is printed: it wants a sharper test, or is the same function in other words.
"""

import argparse
import ast
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

SWAPS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq},
    **{ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.And: ast.Or, ast.Or: ast.And},
}
LOADED = ("torch", "pandas", "entmax", "sklearn")


def sites(tree):
    """Every node that can be changed, with the change; texts and annotations are left out."""
    inert = {id(n) for f in ast.walk(tree) for n in inside(f)}
    for node in ast.walk(tree):
        if id(node) in inert:
            continue
        if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
            yield node, lambda n: n.ops.__setitem__(0, SWAPS[type(n.ops[0])]())
        elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS:
            yield node, lambda n: setattr(n, "op", SWAPS[type(n.op)]())
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            other = {ast.USub: ast.UAdd, ast.Not: ast.UAdd}[type(node.op)]
            yield node, lambda n, other=other: setattr(n, "op", other())
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
            value = not node.value if isinstance(node.value, bool) else node.value + 1
            yield node, lambda n, value=value: setattr(n, "value", value)


def inside(node):
    """What is no code of a function: annotations, and what an error says."""
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
        yield from ast.walk(node.annotation)
    elif isinstance(node, ast.FunctionDef) and node.returns is not None:
        yield from ast.walk(node.returns)
    elif isinstance(node, ast.JoinedStr):
        yield from ast.walk(node)


def mutant(source, number):
    """The source with one change, its line and that line in its new words."""
    tree = ast.parse(source)
    node, change = list(sites(tree))[number]
    before = ast.unparse(node)
    change(node)
    return ast.unparse(tree), f"line {node.lineno}: {before} -> {ast.unparse(node)}"


def survives(tree, tests, seconds):
    """Whether all tests pass on a copied tree, in a process of its own."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.dup2(os.open(tree.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        import pytest

        plain = ["-x", "-q", "-p", "no:cacheprovider", "-o", "addopts=", *tests]
        os._exit(int(pytest.main(plain)) != 0)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)  # it hangs: noticed
    os.waitpid(child, 0)
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--tests", nargs="+", required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=25.0)
    asked, counts, began = parser.parse_args(), Counter(), time.monotonic()
    for name in LOADED:
        __import__(name)
    sources = {file: file.read_text() for file in asked.files}
    every = [(f, n) for f, s in sources.items() for n in range(len([*sites(ast.parse(s))]))]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(shutil.copytree(".", Path(folder) / "tree", ignore=lambda *_: {".git"}))
        if not survives(tree, asked.tests, 9e9):
            raise SystemExit(f"without a change: {tree.with_name('said').read_text()}")
        for file, number in Random(asked.seed).sample(every, min(asked.count, len(every))):
            if time.monotonic() - began > 60 * asked.minutes:
                break
            changed, words = mutant(sources[file], number)
            (tree / file).write_text(changed)
            lives = survives(tree, asked.tests, 600)
            (tree / file).write_text(sources[file])
            counts["survived" if lives else "killed"] += 1
            print(f"{'SURVIVED' if lives else 'killed'} {file} {words}", flush=True)
    print(f"{len(every)} mutants, {dict(counts)}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
