"""Conversions to arrays in a forward pass, as np.array(x), which keep the graph of a Tensor."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from typing import Any

from tinygrad_lr.check.derivation.rewrite import Edits, substituted
from tinygrad_lr.check.derivation.watch import Statement, code_of

CONVERTERS = ("array", "asarray", "asanyarray", "ascontiguousarray")
KEPT = """(lambda _x:
    _x + 0.0 if hasattr(_x, "requires_grad") else
    {numpy}.stack(_x) if type(_x) in (list, tuple) and any(hasattr(v, "requires_grad") for v in _x)
    else {call})({argument})"""


def conversions(function: Callable[..., Any]) -> Edits:
    """The statements of a function's file that convert to floats, with what keeps Tensors."""
    file = getattr(code_of(function), "co_filename", "")
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    edits = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or hasattr(node, "body"):
            continue
        if calls := {id(x): _kept(x) for x in ast.walk(node) if _converts(x)}:
            edits[Statement(file, node.lineno, "", "", node)] = substituted(node, calls)
    return edits


def _converts(node: ast.AST) -> bool:
    """Whether a node is a call of np.array or the like, not to whole numbers."""
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name), args=[_, *rest]
        ):
            kinds = [ast.unparse(k.value) for k in node.keywords if k.arg == "dtype"]
            kinds += map(ast.unparse, rest)
            return name in CONVERTERS and all("float" in kind for kind in kinds)
    return False


def _kept(call: Any) -> ast.expr:
    """A call that lets Tensors be."""
    argument, numpy = ast.unparse(call.args[0]), ast.unparse(call.func.value)
    inner = ast.Call(call.func, [ast.Name("_x", ast.Load()), *call.args[1:]], call.keywords)
    text = KEPT.format(numpy=numpy, call=ast.unparse(inner), argument=argument)
    return ast.parse(text, mode="eval").body
