"""Expressions as MathML Core, which browsers lay out by themselves."""

from __future__ import annotations

import ast
import html
from collections.abc import Callable

from tinygrad_lr.ops import FUNCTIONS

WORDS = {"sigmoid": "σ", "sum": "∑", "maximum": "max", "minimum": "min", "negative": "−"}
SIGNS = {ast.Add: "+", ast.Sub: "−", ast.Mult: "·", ast.MatMult: "", ast.Mod: "%"}
COMPARED = {ast.Gt: ">", ast.GtE: "≥", ast.Lt: "<", ast.LtE: "≤", ast.Eq: "=", ast.NotEq: "≠"}
STRENGTH = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.MatMult: 2, ast.Mod: 2, ast.Div: 9}


def name(text: str) -> str:
    """A name, upright if it is a word."""
    return f"<mi>{html.escape(text)}</mi>"


def sign(text: str) -> str:
    return f"<mo>{html.escape(text)}</mo>"


def row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def fenced(inner: str, left: str = "(", right: str = ")") -> str:
    """Something in brackets that do not grow."""
    mo = '<mo stretchy="false" fence="true">{}</mo>'
    return row(mo.format(left), inner, mo.format(right))


def slope(loss: str, of: str) -> str:
    """∂ loss / ∂ of, for two pieces of MathML."""
    return f"<mfrac>{row(sign('∂'), loss)}{row(sign('∂'), of)}</mfrac>"


def derivative(loss: str, of: ast.expr) -> str:
    """∂ loss / ∂ of, for an expression."""
    inner = mathml(of, loss)
    return slope(loss, fenced(inner) if isinstance(of, ast.BinOp | ast.UnaryOp) else inner)


def math(*parts: str) -> str:
    """A formula of its own."""
    return f"<math display='block'>{row(*parts)}</math>"


def mathml(node: ast.expr, loss: str = "") -> str:
    """An expression; x.grad in it becomes ∂loss/∂x.

    >>> mathml(ast.parse("a * (1 - a)", mode="eval").body).count("<mo")
    4
    """

    def inner(x: ast.expr) -> str:
        return mathml(x, loss)

    def bracketed(x: ast.expr, least: int) -> str:
        weak = isinstance(x, ast.UnaryOp | ast.Compare | ast.IfExp) or (
            isinstance(x, ast.BinOp) and STRENGTH.get(type(x.op), 8) < least
        )
        return fenced(inner(x)) if weak else inner(x)

    match node:
        case ast.BinOp(left, ast.Div(), right):
            return f"<mfrac>{row(inner(left))}{row(inner(right))}</mfrac>"
        case ast.BinOp(left, ast.Pow(), right):
            return f"<msup>{row(bracketed(left, 99))}{row(inner(right))}</msup>"
        case ast.BinOp(left, op, right):
            least = STRENGTH[type(op)]
            after = least + 1 if isinstance(op, ast.Sub) else least
            space = "<mspace width='0.2em'/>"
            between = sign(SIGNS[type(op)]) if SIGNS[type(op)] else space
            return row(bracketed(left, least), between, bracketed(right, after))
        case ast.UnaryOp(ast.USub(), x):
            return row(sign("−"), bracketed(x, 2))
        case ast.Compare(left, ops, rights):
            pairs = zip(ops, rights, strict=True)
            return row(inner(left), *(sign(COMPARED[type(op)]) + inner(x) for op, x in pairs))
        case ast.Attribute(x, "grad") if loss:
            return derivative(loss, x)
        case ast.Attribute(x, "T" | "mT"):
            return f"<msup>{row(bracketed(x, 99))}<mi>T</mi></msup>"
        case ast.Call(ast.Attribute(ast.Name("np"), f), args, keywords):
            return _called(f, list(args), keywords, inner)
        case ast.Call(ast.Attribute(x, f), args, keywords) if f in FUNCTIONS:
            return _called(f, [x, *args], keywords, inner)
        case ast.Call(f, args, keywords):
            return _called(ast.unparse(f), list(args), keywords, inner)
        case ast.Constant(value):
            return f"<mn>{html.escape(str(value))}</mn>"
        case ast.Name(text):
            return name(text)
    return f"<mtext>{html.escape(ast.unparse(node))}</mtext>"


def _called(
    function: str, args: list[ast.expr], keywords: list[ast.keyword], inner: Callable[..., str]
) -> str:
    """A function of arguments: its axis below it, its `keepdims` left out."""
    if function == "sqrt":
        return f"<msqrt>{inner(args[0])}</msqrt>"
    if function in ("abs", "absolute"):
        return fenced(inner(args[0]), "|", "|")
    if function == "broadcast_to":
        return inner(args[0])
    told = name(WORDS.get(function, function))
    for keyword in keywords:
        if keyword.arg == "axis":
            told = f"<msub>{told}{row(inner(keyword.value))}</msub>"
    rest = [inner(k.value) for k in keywords if k.arg not in ("axis", "keepdims")]
    return row(told, fenced(sign(",").join([*map(inner, args), *rest])))
