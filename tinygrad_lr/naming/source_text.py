"""What the user's source says of a value: expressions, and what was assigned to their variables."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

import numpy as np

BUILTINS = {"np": np, "float": float, "int": int, "bool": bool, "abs": abs}


def expression(text: str) -> ast.expr | None:
    """The tree of an expression; None for a text that is none."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def traced(text: str) -> tuple[CodeType, list[str]] | None:
    """An expression that Symbols trace, compiled, and the variables in it; None without any.

    In it len(x) is x.shape[0], which a Symbol tells as a Length, and a quotient is a call of
    `divide`. What draws random numbers is no expression that may be run again.
    """
    if (body := expression(text)) is None:
        return None
    tree = ast.fix_missing_locations(ast.Expression(_Traced().visit(body)))
    used = sorted(_variables(tree) - {"divide", *BUILTINS})
    return (compile(tree, "<user>", "eval"), used) if used and not _draws(tree) else None


class _Traced(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
            shape = ast.Attribute(node.args[0], "shape", ast.Load())
            return ast.Subscript(shape, ast.Constant(0), ast.Load())
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div):
            return ast.Call(ast.Name("divide", ast.Load()), [node.left, node.right], [])
        return node


def replaced(text: str, told: Mapping[str, str]) -> str:
    """An expression with expressions in place of variables.

    >>> replaced("a / n", {"n": "len(X) + 1"})
    'a / (len(X) + 1)'
    """
    expressions = {name: ast.parse(text, mode="eval").body for name, text in told.items()}

    class Replaced(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return expressions.get(node.id, node)

    return ast.unparse(Replaced().visit(ast.parse(text, mode="eval")))


@functools.lru_cache(maxsize=1024)
def assigned(name: str, code: CodeType, offset: int) -> str:
    """What the code assigned to a variable last, before an instruction; "" if that is not told."""
    line = list(code.co_positions())[offset // 2][0] or 0
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return ""
    found = [
        (node.lineno, ast.unparse(value))
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and code.co_firstlineno <= node.lineno < line
        for target in node.targets
        for value in _given(name, target, node.value)
    ]
    return max(found)[1] if found else ""


def _given(name: str, target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    """What an assignment gives to a variable, as X.shape[0] to the m of m, n = X.shape."""
    if isinstance(target, ast.Name) and target.id == name:
        yield value
    elif isinstance(target, ast.Tuple):
        places = map(ast.Constant, range(len(target.elts)))
        values: list[Any] = [ast.Subscript(value, place, ast.Load()) for place in places]
        values = value.elts if isinstance(value, ast.Tuple) else values
        for pair in zip(target.elts, values, strict=False):
            yield from _given(name, *pair)


def metadata_texts(text: str) -> list[str]:
    """What an index or a call has for metadata, number by number, "" for one left out.

    >>> metadata_texts("z[: m // 2, 0]"), metadata_texts("np.reshape(z, (m, -1))")
    (['', 'm // 2', '', '0'], ['m', '-1'])
    """
    node = expression(text)
    if isinstance(node, ast.Subscript):
        return _leaves(node.slice)
    if not isinstance(node, ast.Call):
        return []
    owner = getattr(node.func, "value", None)
    of_module = isinstance(owner, ast.Name) and owner.id in ("np", "tg")
    return [leaf for part in node.args[of_module:] for leaf in _leaves(part)]


def _leaves(node: ast.expr | None) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [leaf for part in node.elts for leaf in _leaves(part)]
    if isinstance(node, ast.Slice):
        return [leaf for part in (node.lower, node.upper, node.step) for leaf in _leaves(part)]
    return [ast.unparse(node) if node else ""]


def index_texts(text: str) -> list[str]:
    """What an expression like x[rows, y] has in its brackets, but for slices.

    >>> index_texts("p[np.arange(m), 1:, y]")
    ['np.arange(m)', 'y']
    """
    node = expression(text)
    index = node.slice if isinstance(node, ast.Subscript) else ast.Tuple([])
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return [ast.unparse(part) for part in parts if not isinstance(part, ast.Slice)]


def is_literal(text: str) -> bool:
    """Whether an expression gives the same array in every run."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return _variables(tree) <= BUILTINS.keys() and not _draws(tree)


def _variables(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _draws(tree: ast.AST) -> bool:
    """Whether an expression draws random numbers, which running it again would change."""
    return any(getattr(node, "attr", "") == "random" for node in ast.walk(tree))
