"""Conversions to arrays in a forward pass, as np.array(x), which keep the graph of a Tensor."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from typing import Any

from tinygrad_lr.check.derivation.rewrite import Edits, substituted
from tinygrad_lr.check.derivation.watch import Statement

CONVERTERS = ("array", "asarray", "asanyarray", "ascontiguousarray")
KEPT = """(lambda _x:
    _x + 0.0 if hasattr(_x, "requires_grad") else
    {numpy}.stack(_x) if type(_x) in (list, tuple) and any(hasattr(v, "requires_grad") for v in _x)
    else {call})({argument})"""


def conversions(function: Callable[..., Any]) -> Edits:
    """The statements of a function's file that convert to floats, with what keeps Tensors."""
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    file = getattr(code, "co_filename", "")
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    edits = {}
    for outer in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
        for node in ast.walk(outer):
            if isinstance(node, ast.stmt) and not hasattr(node, "body"):
                calls = {id(call): _kept(call) for call in ast.walk(node) if _converts(call)}
                if calls:
                    statement = Statement(file, node.lineno, "", outer.name, node)
                    edits[statement] = substituted(node, calls)
    return edits


def _converts(node: ast.AST) -> bool:
    """Whether a node is a call of np.array or the like, not to whole numbers."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr=name), args=[_, *rest]):
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
