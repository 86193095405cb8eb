"""Expressions as MathML Core, which browsers lay out by themselves."""

from __future__ import annotations

import ast
import html
from collections.abc import Callable
from typing import Any

from tinygrad_lr.ops import FUNCTIONS

Writer = Callable[[ast.expr], str]
NAMES = {"sigmoid": "σ", "sum": "∑", "maximum": "max", "minimum": "min", "negative": "−"}
SIGNS: dict[Any, str] = {
    ast.Add: "+", ast.Sub: "−", ast.Mult: "×", ast.MatMult: "@", ast.Mod: "%", ast.Div: "/",
}  # fmt: skip
COMPARISONS = {ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤", ast.Eq: "=", ast.NotEq: "≠"}
PRECEDENCE = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.MatMult: 2, ast.Mod: 2, ast.Div: 9}


def name(text: str) -> str:
    """An identifier, upright if it has several letters."""
    return f"<mi>{html.escape(text)}</mi>"


def sign(text: str) -> str:
    return f"<mo>{html.escape(text)}</mo>"


INFIX = {operator: sign(text) for operator, text in SIGNS.items()} | {
    ast.Mult: sign("·"), ast.MatMult: "<mspace width='0.2em'/>",
}  # fmt: skip


def row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def fence(inner: str, left: str = "(", right: str = ")") -> str:
    """An expression in brackets that do not stretch."""
    mo = '<mo stretchy="false" fence="true">{}</mo>'
    return row(mo.format(left), inner, mo.format(right))


def derivative(loss: str, of: ast.expr) -> str:
    """∂ loss / ∂ of, for the MathML of a loss and an expression."""
    inner = mathml(of, loss)
    inner = fence(inner) if isinstance(of, ast.BinOp | ast.UnaryOp) else inner
    return f"<mfrac>{row(sign('∂'), loss)}{row(sign('∂'), inner)}</mfrac>"


def math(*parts: str) -> str:
    """A displayed formula."""
    return f"<math display='block'>{row(*parts)}</math>"


def mathml(node: ast.expr, loss: str = "") -> str:
    """An expression; x.grad in it becomes ∂loss/∂x.

    >>> mathml(ast.parse("a * (1 - a)", mode="eval").body).count("<mo")
    4
    """

    def inner(x: ast.expr) -> str:
        return mathml(x, loss)

    def bracket(x: ast.expr, least: int) -> str:
        weak = isinstance(x, ast.UnaryOp | ast.Compare | ast.IfExp) or (
            isinstance(x, ast.BinOp) and PRECEDENCE.get(type(x.op), 8) < least
        )
        return fence(inner(x)) if weak else inner(x)

    match node:
        case ast.BinOp(left, ast.Div(), right):
            return f"<mfrac>{row(inner(left))}{row(inner(right))}</mfrac>"
        case ast.BinOp(left, ast.Pow(), right):
            return f"<msup>{row(bracket(left, 99))}{row(inner(right))}</msup>"
        case ast.BinOp(left, op, right):
            least = PRECEDENCE[type(op)]
            after = least + 1 if isinstance(op, ast.Sub) else least
            return row(bracket(left, least), INFIX[type(op)], bracket(right, after))
        case ast.UnaryOp(ast.USub(), x):
            return row(sign("−"), bracket(x, 2))
        case ast.Compare(left, ops, rights):
            pairs = zip(ops, rights, strict=True)
            return row(inner(left), *(sign(COMPARISONS[type(op)]) + inner(x) for op, x in pairs))
        case ast.Attribute(x, "grad") if loss:
            return derivative(loss, x)
        case ast.Attribute(x, "T" | "mT"):
            return f"<msup>{row(bracket(x, 99))}<mi>T</mi></msup>"
        case ast.Call(ast.Attribute(ast.Name("np"), f), args, keywords):
            return _call(f, args, keywords, inner)
        case ast.Call(ast.Attribute(x, f), args, keywords) if f in FUNCTIONS:
            return _call(f, [x, *args], keywords, inner)
        case ast.Call(f, args, keywords):
            return _call(ast.unparse(f), args, keywords, inner)
        case ast.Constant(value):
            return f"<mn>{html.escape(str(value))}</mn>"
        case ast.Name(text):
            return name(text)
    return f"<mtext>{html.escape(ast.unparse(node))}</mtext>"


def _call(f: str, args: list[ast.expr], keywords: list[ast.keyword], inner: Writer) -> str:
    """A call, with the axis as an index and without `keepdims`."""
    if f == "sqrt":
        return f"<msqrt>{inner(args[0])}</msqrt>"
    if f in ("abs", "absolute"):
        return fence(inner(args[0]), "|", "|")
    if f == "broadcast_to":
        return inner(args[0])
    head, values = name(NAMES.get(f, f)), [inner(x) for x in args]
    for keyword in keywords:
        if keyword.arg == "axis":
            head = f"<msub>{head}{row(inner(keyword.value))}</msub>"
        elif keyword.arg != "keepdims":
            values.append(inner(keyword.value))
    return row(head, fence(sign(",").join(values)))
