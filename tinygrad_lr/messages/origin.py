"""Where something was computed: the user's own file, line and expression."""

from __future__ import annotations

import ast
import linecache
import warnings
from collections.abc import Container
from typing import Any, NamedTuple

from tinygrad_lr.messages.frames import Origin, user_frame


class Instruction(NamedTuple):
    """An instruction of the user's code; the texts are empty if there is no source."""

    file: str
    line: int
    statement: str  # the line that it starts in
    text: str  # its expression
    span: tuple[int | None, ...] = ()  # line and column of its start, line and column of its end

    def __str__(self) -> str:
        text = self.text or self.statement
        return f"{self.file}, line {self.line}" + (f": {text}" if text else "")

    @property
    def node(self) -> Any:
        """The syntax tree of the text, or None."""
        try:
            node: Any = ast.parse(self.text).body[0]
        except (SyntaxError, IndexError):
            return None
        return node.value if isinstance(node, ast.Expr) else node

    def operands(
        self, modules: Container[str] = ("np", "tg"), functions: Container[str] = ("dot", "sum")
    ) -> list[str]:
        """The expressions of the operands, in order.

        Args:
            modules: names that are no operands: np in np.dot(a, b).
            functions: names of the calls that have operands.

        >>> [Instruction("", 1, "", x).operands() for x in ("X @ W.T", "np.dot(X, w)", "X.sum(0)")]
        [['X', 'W.T'], ['X', 'w'], ['X', '0']]
        """
        match self.node:
            case ast.BinOp(left=left, right=right):
                parts = [left, right]
            case ast.AugAssign(target=target, value=value):
                parts = [target, value]
            case ast.Subscript(value=value):
                parts = [value]
            case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args) if (
                name in functions
            ):
                of_module = isinstance(owner, ast.Name) and owner.id in modules
                parts = args if of_module else [owner, *args]
                if parts and isinstance(parts[0], ast.List | ast.Tuple):
                    parts = parts[0].elts
            case _:
                parts = []
        starred = any(isinstance(part, ast.Starred) for part in parts)
        return [] if starred else [ast.unparse(part) for part in parts]


def caller(depth: int = 1) -> Origin:
    """The instruction of the user that is running."""
    frame = user_frame(depth + 1)
    return frame.f_code, frame.f_lasti


def locate(origin: Origin) -> Instruction:
    """The source of an instruction."""
    code, offset = origin
    line, last, start, end = list(code.co_positions())[offset // 2]
    line = line or code.co_firstlineno
    lines = linecache.getlines(code.co_filename)[line - 1 : last or line]
    statement = lines[0].strip() if lines else ""
    if not lines or start is None or end is None:
        return Instruction(code.co_filename, line, statement, "")
    span = line, start, last, end
    pieces = [text.encode() for text in lines]  # positions count bytes
    pieces[-1] = pieces[-1][:end]
    pieces[0] = pieces[0][start:]
    text = " ".join(piece.decode().strip() for piece in pieces)
    return Instruction(code.co_filename, line, statement, text, span)


def bracketed(text: str) -> str:
    """An expression that an attribute or an index may follow, in brackets if needed."""
    try:
        node = ast.parse(text, mode="eval").body
    except SyntaxError:
        return text
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    return text if simple else f"({text})"


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the user's line; Python's default filter shows a message once per line."""
    frame = user_frame(2)
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__", "<unknown>")
    file = frame.f_code.co_filename
    warnings.warn_explicit(message, category, file, frame.f_lineno, module, registry)


def where_from(origin: Origin | None) -> str:
    """`expression` (file, line n) of an operation, for messages."""
    if origin is None:
        return "an operation"
    place = locate(origin)
    text, where = place.text or place.statement, f"{place.file}, line {place.line}"
    return f"`{text}` ({where})" if text else where
