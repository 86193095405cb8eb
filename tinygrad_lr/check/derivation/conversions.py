"""What of a forward pass would cut the graph of a Tensor, and keeps it: np.array(x), h.dot(W)."""

from __future__ import annotations

import ast
import copy
import linecache
from collections.abc import Callable
from typing import Any

from tinygrad_lr.check.derivation.rewrite import Edits
from tinygrad_lr.check.derivation.watch import Statement, code_of

CONVERTERS = ("array", "asarray", "asanyarray", "ascontiguousarray")
CONVERSION = """(lambda _x:
    _x + 0.0 if hasattr(_x, "requires_grad") else
    {numpy}.stack(_x) if type(_x) in (list, tuple) and any(hasattr(v, "requires_grad") for v in _x)
    else {call})({x})"""
PRODUCT = """(lambda _x, _y:
    _x @ _y if hasattr(_y, "requires_grad") and hasattr(_x, "__array_interface__")
    else _x.dot(_y))({x}, {y})"""


def conversions(function: Callable[..., Any]) -> Edits:
    """The statements of a function's file that would cut a graph, with what keeps it."""
    file = getattr(code_of(function), "co_filename", "")
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return {}
    edits = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            keeping = _Keeping()
            new = keeping.visit(copy.deepcopy(node))
            if keeping.changed:
                edits[Statement(file, node.lineno, "", "", node)] = new
    return edits


class _Keeping(ast.NodeTransformer):
    """Lets conversions to floats leave Tensors alone, and an array be multiplied by one."""

    changed = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Rewrite a call, those in its arguments first."""
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="np" | "numpy" as numpy), attr=name),
                args=[x, *rest],
            ) if name in CONVERTERS and _to_floats(node):
                inner = ast.Call(node.func, [ast.Name("_x", ast.Load()), *rest], node.keywords)
                text = CONVERSION.format(numpy=numpy, call=ast.unparse(inner), x=ast.unparse(x))
            case ast.Call(func=ast.Attribute(value=x, attr="dot"), args=[y], keywords=[]):
                text = PRODUCT.format(x=ast.unparse(x), y=ast.unparse(y))
            case _:
                return node
        self.changed = True
        return ast.parse(text, mode="eval").body


def _to_floats(call: ast.Call) -> bool:
    """Whether a conversion is not to whole numbers."""
    kinds = [ast.unparse(k.value) for k in call.keywords if k.arg == "dtype"]
    kinds += map(ast.unparse, call.args[1:])
    return all("float" in kind for kind in kinds)
