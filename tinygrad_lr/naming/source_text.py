"""What the user's source says of a value: expressions, and what was assigned to their variables."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lr.messages.frames import Origin
from tinygrad_lr.messages.origin import Instruction, locate

BUILTINS = {"np": np, "float": float, "int": int, "bool": bool, "abs": abs}
BUILTINS["len"] = lambda x: np.shape(x)[0]  # a Length, if x is a Symbol


def parse_expression(text: str) -> ast.expr | None:
    """The tree of an expression; None if the text is no expression."""
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def traceable(text: str) -> tuple[CodeType, list[str]] | None:
    """An expression compiled to run on Symbols, and its variables; None if it has no variables.

    In it a quotient is a call of `divide`, as Lengths would give a float. What draws random
    numbers is not traceable either.
    """
    if (body := parse_expression(text)) is None:
        return None
    tree = ast.fix_missing_locations(ast.Expression(_Traceable().visit(body)))
    names = sorted(_variables(tree) - {"divide", *BUILTINS})
    usable = names and "random" not in names
    return (compile(tree, "<user>", "eval"), names) if usable else None


class _Traceable(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Div):
            return ast.Call(ast.Name("divide", ast.Load()), [node.left, node.right], [])
        return node


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
def _assignments(source: str) -> list[tuple[int, str, Any]]:
    """(line, variable, value) of every assignment in a source."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    assignments: list[tuple[int, str, Any]] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.AugAssign)):
            value = node if isinstance(node, ast.AugAssign) else node.value
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                pairs = _unpacked(target, value) if value else ()
                assignments += ((node.lineno, *pair) for pair in pairs)
    return assignments


def _unpacked(target: ast.expr, value: Any) -> Iterator[tuple[str, Any]]:
    """(variable, value) pairs: for m, n = X.shape these are (m, X.shape[0]), (n, X.shape[1])."""
    if isinstance(target, ast.Name | ast.Attribute):
        yield ast.unparse(target), value
    elif isinstance(target, ast.Tuple):
        places = map(ast.Constant, range(len(target.elts)))
        items: list[Any] = [ast.Subscript(value, place, ast.Load()) for place in places]
        items = value.elts if isinstance(value, ast.Tuple) else items
        for pair in zip(target.elts, items, strict=False):
            yield from _unpacked(*pair)


@functools.lru_cache(maxsize=64)
def _targets(source: str) -> dict[tuple[int | None, ...], str]:
    """The variable that is assigned to, by the span of the right-hand side."""
    return {
        (value.lineno, value.col_offset, value.end_lineno, value.end_col_offset): variable
        for _, variable, value in reversed(_assignments(source))  # of a = b = x the first counts
        if hasattr(value, "lineno")
    }


def _source(file: str) -> str:
    return "".join(linecache.getlines(file))


def target_of(instruction: Instruction) -> str:
    """The variable or the attribute that an instruction is assigned to; "" if there is none."""
    variable = _targets(_source(instruction.file)).get(instruction.span, "")
    return variable.removeprefix("self.")


def last_assigned(variable: str, origin: Origin | None) -> str:
    """What a variable was assigned last before an instruction of its function; "" if unknown."""
    if origin is None:
        return ""
    code, _ = origin
    values = [
        (line, ast.unparse(value))
        for line, name, value in _assignments(_source(code.co_filename))
        if name == variable and code.co_firstlineno <= line < locate(origin).line
    ]
    return max(values, default=(0, ""))[1]


def param_texts(text: str) -> list[str]:
    """What an index or a call has for params, part by part, "" for one left out.

    >>> param_texts("z[: m // 2, rows]"), param_texts("np.reshape(z, (m, -1))")
    (['', 'm // 2', '', 'rows'], ['m', '-1'])
    """
    match parse_expression(text):
        case ast.Subscript(_, index):
            return _leaf_texts(index)
        case ast.Call(function, args) if not any(isinstance(x, ast.Starred) for x in args):
            module = getattr(getattr(function, "value", None), "id", "") in ("np", "tg")
            return [leaf for argument in args[module:] for leaf in _leaf_texts(argument)]
    return []


def _leaf_texts(node: ast.expr | None) -> list[str]:
    if isinstance(node, ast.Tuple | ast.List):
        return [leaf for part in node.elts for leaf in _leaf_texts(part)]
    if isinstance(node, ast.Slice):
        return [leaf for part in (node.lower, node.upper, node.step) for leaf in _leaf_texts(part)]
    return [ast.unparse(node) if node else ""]


def is_literal(text: str) -> bool:
    """Whether an expression gives the same array in every run; an empty text does."""
    tree = parse_expression(text or "()")
    return tree is not None and _variables(tree) <= BUILTINS.keys()


def _variables(tree: ast.AST) -> set[str]:
    """The variables of an expression, and "random" if it draws random numbers."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {"random" for node in ast.walk(tree) if getattr(node, "attr", "") == "random"}
