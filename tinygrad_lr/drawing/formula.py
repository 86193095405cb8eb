"""The formula of an operation with its user's names in it."""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_lr.drawing.figures import number

LONG = 28  # characters, up to which a formula is part of another instead of a name for it


def expression(text: str) -> ast.expr:
    """A name or a formula as a piece of another; what is no Python is kept as it is."""
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Name(text)


def literal(x: Any) -> str:
    """A number, or an array that is the same one everywhere, as a person writes it."""
    return number(np.ravel(getattr(x, "_array", x))[0], 4).replace("−", "-")


@functools.cache
def _parsed(formula: str) -> ast.expr:
    return ast.parse(formula, mode="eval").body


class _Substitution(ast.NodeTransformer):
    def __init__(self, known: dict[str, Any]):
        self.known = known

    def visit_Starred(self, node: ast.Starred) -> Any:
        value = node.value
        return self.known.get(value.id, node) if isinstance(value, ast.Name) else node

    def visit_Name(self, node: ast.Name) -> Any:
        return self.known.get(node.id, node)


def formula(op: Any, arguments: Iterable[ast.expr], params: dict[str, Any]) -> ast.expr:
    """The operation's formula about these arguments; metadata that are the defaults are left out.

    >>> from tinygrad_lr.ops import OPERATIONS
    >>> h, sum_ = expression("h"), expression("W + U")
    >>> ast.unparse(formula(OPERATIONS["matmul"], [h, sum_], {}))
    'h @ (W + U)'
    >>> ast.unparse(formula(OPERATIONS["sum"], [h], {"axis": 0, "keepdims": False}))
    'sum(h, axis=0)'
    """
    known: dict[str, Any] = {name: _metadata(value) for name, value in params.items()}
    pieces = list(arguments)
    if op.variadic:
        starred = [n.value for n in ast.walk(_parsed(op.formula)) if isinstance(n, ast.Starred)]
        known |= {n.id: pieces for n in starred if isinstance(n, ast.Name)}
    else:
        known |= dict(zip(op.arrays, pieces, strict=True))
    tree = copy.deepcopy(_parsed(op.formula))
    if isinstance(tree, ast.Call):
        kept, tree.args = tree.args, []
        for argument in kept:
            name = getattr(argument, "id", None)
            if name not in params or name not in op.defaults:
                tree.args.append(argument)
            elif not is_default(op, name, params[name]):
                tree.keywords.append(ast.keyword(name, argument))
    substituted: ast.expr = _Substitution(known).visit(tree)
    return substituted


def is_default(op: Any, name: str, value: Any) -> bool:
    """Whether metadata need not be said, as they are what they are without being said."""
    return name in op.defaults and np.array_equal(value, op.defaults[name])


def _metadata(value: Any) -> ast.expr:
    """An axis, a shape or an index, if it is short."""
    if isinstance(value, tuple) and any(isinstance(part, slice | np.ndarray) for part in value):
        return ast.Tuple([_metadata(part) for part in value], ast.Load())
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        lower, upper, step = (None if end is None else ast.Constant(end) for end in ends)
        return ast.Slice(lower, upper, step)
    text = "…" if isinstance(value, np.ndarray) else repr(value)
    return expression(text if len(text) <= LONG else "…")
