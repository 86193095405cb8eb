"""The formula of an operation, with the user's names in it."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.drawing.formatting import number
from tinygrad_lr.ops import Op

MAX_FORMULA = 28  # characters, up to which a formula is part of another without a name for it
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
ESCAPES = str.maketrans("₀₁₂₃₄₅₆₇₈₉′", "᠐᠑᠒᠓᠔᠕᠖᠗᠘᠙ʹ")  # to letters that identifiers may have
UNESCAPES = {letter: sign for sign, letter in ESCAPES.items()}


def expression(text: str) -> ast.expr:
    """The syntax tree of a name or formula, as in h₁ @ W; what is not Python becomes a name."""
    try:
        tree = ast.parse(text.translate(ESCAPES), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Name(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = node.id.translate(UNESCAPES)
    return tree


def literal(x: Any) -> str:
    """A number, or an array with the same number everywhere, as a person writes it."""
    return number(np.ravel(unwrap(x))[0], 4).replace("−", "-")


class _Substitution(ast.NodeTransformer):
    def __init__(self, expressions: dict[str, Any]):
        self.expressions = expressions

    def visit_Starred(self, node: ast.Starred) -> Any:
        return self.visit(node.value)

    def visit_Name(self, node: ast.Name) -> Any:
        return self.expressions.get(node.id, node)


def formula(op: Op, arguments: Iterable[ast.expr], params: dict[str, Any]) -> ast.expr:
    """The operation's formula with these arguments; params with default values are left out.

    >>> from tinygrad_lr.ops import OPERATIONS
    >>> h, sum_ = expression("h"), expression("W + U")
    >>> ast.unparse(formula(OPERATIONS["matmul"], [h, sum_], {}))
    'h @ (W + U)'
    >>> ast.unparse(formula(OPERATIONS["sum"], [h], {"axis": 0, "keepdims": False}))
    'sum(h, axis=0)'
    """
    tree = expression(op.formula)
    expressions: dict[str, Any] = {name: _param(value) for name, value in params.items()}
    if op.variadic:
        starred = [node.value for node in ast.walk(tree) if isinstance(node, ast.Starred)]
        expressions |= {ast.unparse(name): list(arguments) for name in starred}
    else:
        expressions |= dict(zip(op.arrays, arguments, strict=True))
    if isinstance(tree, ast.Call):
        positional, tree.args = tree.args, []
        for argument in positional:
            name = getattr(argument, "id", "")
            if name not in params or name not in op.defaults:
                tree.args.append(argument)
            elif not is_default(op, name, params[name]):
                tree.keywords.append(ast.keyword(name, argument))
    substituted: ast.expr = _Substitution(expressions).visit(tree)
    return substituted


def is_default(op: Op, name: str, value: Any) -> bool:
    """Whether a param has its default value, and so can be left out."""
    return name in op.defaults and np.array_equal(value, op.defaults[name])


def _param(value: Any) -> ast.expr:
    """An axis, a shape or an index; "…" for a long one."""
    if isinstance(value, tuple) and any(isinstance(part, slice | np.ndarray) for part in value):
        return ast.Tuple([_param(part) for part in value], ast.Load())
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        return ast.Slice(*(None if end is None else ast.Constant(end) for end in ends))
    text = "…" if isinstance(value, np.ndarray) else repr(value)
    return expression(text if len(text) <= MAX_FORMULA else "…")
