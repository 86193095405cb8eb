"""Measures the package: `python -m docs.layout` prints its parts, arrows and longest functions.

A part is a module or a folder at the top of the package. Imports point one way, from a part to
those before it in `PARTS`.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tinygrad_lr"
LAYERS = [  # from the lowest up
    ["ops"],
    ["messages"],
    ["array", "functions"],
    ["recording"],
    ["tensor"],
    ["state", "functional", "losses", "nn", "optim", "check"],
    ["naming"],
    ["program", "drawing"],
    ["compiled", "explorer", "training"],
]
PARTS = [part for layer in LAYERS for part in layer]


def modules() -> dict[str, Path]:
    """Every module of the package, by its name in it: tensor, array.guard; `` is the package."""
    paths = {path.relative_to(PACKAGE).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    return {".".join(p for p in name.parts if p != "__init__"): paths[name] for name in paths}


def imports(path: Path, names: dict[str, Path]) -> Iterator[str]:
    """The modules of the package that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinygrad_lr"):
            base = (node.module or "").partition(".")[2]
            for alias in node.names:
                inner = f"{base}.{alias.name}".strip(".")
                yield inner if inner in names else base


def arrows() -> Counter[tuple[str, str]]:
    """How many imports go from one part to another."""
    names = modules()
    pairs = (
        (name.partition(".")[0], target.partition(".")[0])
        for name, path in names.items()
        for target in imports(path, names)
        if name not in ("", "__main__")
    )
    return Counter((a, b) for a, b in pairs if a != b and b)


def upward() -> list[tuple[str, str]]:
    """The arrows that point the wrong way."""
    return [(a, b) for a, b in arrows() if PARTS.index(a) <= PARTS.index(b)]


def lines(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def closure(module: str) -> dict[str, int]:
    """The lines of a module and of all that it imports, by module."""
    names, waiting = modules(), [module]
    found: dict[str, int] = {}
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = lines(names[name])
            waiting += imports(names[name], names)
    return found


def functions() -> Iterator[tuple[int, str]]:
    """(lines, name) of every function and method."""
    for module, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for owner in ast.walk(tree):
            for node in ast.iter_child_nodes(owner):
                if isinstance(node, ast.FunctionDef):
                    name = f"{getattr(owner, 'name', module)}.{node.name}"
                    yield (node.end_lineno or 0) - node.lineno + 1, name


def backward_loop() -> int:
    """The lines of the loop of the backward pass."""
    tree = ast.parse((PACKAGE / "tensor.py").read_text(encoding="utf-8"))
    (loop,) = (
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "gradients"
        for node in function.body
        if isinstance(node, ast.For)
    )
    return (loop.end_lineno or 0) - loop.lineno + 1


def main() -> None:
    sizes: Counter[str] = Counter()
    for name, path in modules().items():
        sizes[name.partition(".")[0]] += lines(path)
    for part in ["", *PARTS]:
        targets = sorted((b for a, b in arrows() if a == part), key=PARTS.index)
        used = "-> " + ", ".join(targets) if targets else ""
        print(f"{sizes[part]:6}  {part or '(package)':10} {used}")
    print(f"{sizes.total():6}  lines, {len(arrows())} arrows, pointing the wrong way: {upward()}")
    engine, longest = closure("tensor"), {name: n for n, name in functions()}
    print(f"tensor.py and all that it imports: {sum(engine.values())} lines, {len(engine)} modules")
    print(f"Tensor.apply: {longest['Tensor.apply']} lines, backward loop: {backward_loop()} lines")
    print("longest functions:", *(f"{name} {n}" for n, name in sorted(functions())[:-6:-1]))
    try:
        from radon.complexity import cc_rank, cc_visit
    except ImportError:
        sys.exit("complexity: pip install radon")
    blocks = [b for path in modules().values() for b in cc_visit(path.read_text(encoding="utf-8"))]
    ranks = Counter(cc_rank(block.complexity) for block in blocks)
    print("complexity:", *(f"{rank} {n}" for rank, n in sorted(ranks.items())))
    print("D and above:", *(b.name for b in blocks if cc_rank(b.complexity) > "C"))


if __name__ == "__main__":
    main()
