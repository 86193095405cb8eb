"""What the user's source says of a value: what it is assigned to, and whether it is a constant."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator, Mapping
from typing import Any

from tinygrad_lr.messages.origin import Instruction

BUILTINS = {"np", "float", "int", "bool", "abs"}


class _Substitution(ast.NodeTransformer):
    def __init__(self, expressions: Mapping[str, ast.expr]) -> None:
        self.expressions = expressions

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.expressions.get(node.id, node)


def template(text: str, **expressions: ast.expr) -> Any:
    """The tree of an expression, with expressions in place of variables.

    >>> ast.unparse(template("a / n", n=template("len(X) + 1")))
    'a / (len(X) + 1)'
    """
    return _Substitution(expressions).visit(ast.parse(text, mode="eval").body)


@functools.lru_cache(maxsize=64)
def _targets(source: str) -> dict[tuple[int | None, ...], str]:
    """The variable that is assigned to, by the span of the right-hand side."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    targets: dict[tuple[int | None, ...], str] = {}
    for node in ast.walk(tree):
        for target, value in _assigned(node):
            span = value.lineno, value.col_offset, value.end_lineno, value.end_col_offset
            targets.setdefault(span, ast.unparse(target))  # of a = b = x the first counts
    return targets


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, Any]]:
    """The (variable, value) pairs of a node of the syntax tree."""
    match node:
        case ast.Assign(targets=several, value=value):
            for target in several:
                yield from _unpacked(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield target, value
        case ast.NamedExpr(target=target, value=value):
            yield target, value
        case ast.AugAssign(target=target):
            yield target, node


def _unpacked(target: ast.expr, value: Any) -> Iterator[tuple[ast.expr, Any]]:
    """(variable, value) pairs: for a, b = x, y these are (a, x) and (b, y)."""
    if isinstance(target, ast.Name | ast.Attribute):
        yield target, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for pair in zip(target.elts, value.elts, strict=False):
            yield from _unpacked(*pair)


def target_of(instruction: Instruction) -> str:
    """The variable or the attribute that an instruction is assigned to; "" if there is none."""
    variable = _targets("".join(linecache.getlines(instruction.file))).get(instruction.span, "")
    return variable.removeprefix("self.")


def is_literal(text: str) -> bool:
    """Whether an expression gives the same array in every run; an empty text does.

    >>> [is_literal(text) for text in ("2 * np.pi", "len(X)", "np.random.normal()")]
    [True, False, False]
    """
    try:
        tree = ast.parse(text or "()", mode="eval")
    except SyntaxError:
        return False
    names = {getattr(node, "id", "np") for node in ast.walk(tree)}
    return names <= BUILTINS and not any(
        getattr(node, "attr", "") == "random" for node in ast.walk(tree)
    )
