"""Where something was computed: the user's own file, line and expression."""

from __future__ import annotations

import ast
import linecache
import os
import sys
import warnings
from collections.abc import Container
from types import CodeType, FrameType
from typing import Any, NamedTuple

Origin = tuple[CodeType, int]
HERE = os.path.dirname(os.path.dirname(__file__))  # all of the package
OWN_FILES = {os.path.join(folder, name) for folder, _, names in os.walk(HERE) for name in names}


class Expression(NamedTuple):
    """A piece of the user's source: where it is, the line that it starts on, and the piece."""

    file: str
    line: int
    statement: str
    text: str

    def __str__(self) -> str:
        said = self.text or self.statement
        return f"{self.file}, line {self.line}" + (f": {said}" if said else "")


def user_frame(depth: int = 1) -> FrameType:
    """The innermost frame, from `depth` frames up, that is outside of this package."""
    frame = sys._getframe(depth)
    while frame.f_code.co_filename in OWN_FILES and frame.f_back is not None:
        frame = frame.f_back
    return frame


def caller(depth: int = 1) -> Origin:
    """The user's instruction that runs now; `locate` tells what it says in the source."""
    frame = sys._getframe(depth)
    code = frame.f_code
    while code.co_filename in OWN_FILES and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    return code, frame.f_lasti


def locate(origin: Origin) -> Expression:
    """The source of an instruction; the texts are empty where there is no source to read."""
    code, offset = origin
    line, last, start, end = list(code.co_positions())[offset // 2]
    line = line or code.co_firstlineno
    lines = linecache.getlines(code.co_filename)[line - 1 : last or line]
    if not lines or start is None or end is None:
        return Expression(code.co_filename, line, "".join(lines[:1]).strip(), "")
    pieces = [text.encode() for text in lines]
    pieces[-1] = pieces[-1][:end]  # positions count bytes
    pieces[0] = pieces[0][start:]
    text = " ".join(piece.decode().strip() for piece in pieces)
    return Expression(code.co_filename, line, lines[0].strip(), text)


def operand_texts(
    text: str, modules: Container[str] = ("np", "tg"), functions: Container[str] = ("dot", "sum")
) -> list[str]:
    """What an expression says of its operands, in order.

    A call has operands if it is one of `functions`; the names of `modules` are none.

    >>> operand_texts("X @ W.T"), operand_texts("np.dot(X, W.T)"), operand_texts("X.sum(0)")
    (['X', 'W.T'], ['X', 'W.T'], ['X', '0'])
    """
    try:
        node: Any = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return []
    if isinstance(node, ast.Expr):
        node = node.value
    parts: list[Any] = []
    if isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.AugAssign):
        parts = [node.target, node.value]
    elif isinstance(node, ast.Subscript):
        parts = [node.value]
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) in functions:
        owner = getattr(node.func, "value", None)
        of_module = isinstance(owner, ast.Name) and owner.id in modules
        parts = node.args if of_module else [owner, *node.args]
        if parts and isinstance(parts[0], ast.List | ast.Tuple):
            parts = parts[0].elts
    if any(isinstance(part, ast.Starred) for part in parts):
        return []
    return [ast.unparse(part) for part in parts]


def bracketed(text: str) -> str:
    """An expression that an attribute or an index may follow: in brackets, if it needs them."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return text if simple else f"({text})"


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the user's line, which Python's default filter does once a line and message."""
    frame = user_frame(2)
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        frame.f_globals.get("__name__", "<unknown>"),
        frame.f_globals.setdefault("__warningregistry__", {}),
    )
