"""One derivative rule of one operation of a graph, as text and in numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lr.drawing.figures import number
from tinygrad_lr.drawing.formula import expression, is_default
from tinygrad_lr.explorer.arrays import MOST
from tinygrad_lr.ops import Op
from tinygrad_lr.program.calls import SIGNS, astype
from tinygrad_lr.program.simplify import tidy
from tinygrad_lr.program.symbols import Symbol, Trace, ordered, substitute
from tinygrad_lr.program.writer import Writer
from tinygrad_lr.tensor import unbroadcast


class Term(Symbol):
    """A Symbol that takes an operation which NumPy lacks, as sigmoid, for a function of its own."""

    __slots__ = ()

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        called = isinstance(ast.parse(op.formula, mode="eval").body, ast.Call)
        if hasattr(np, op.name) or not called:
            return super().apply(op, inputs, params)
        told = {k: x for k, x in params.items() if not is_default(op, k, x)}
        places = op.positional - len(inputs)
        given, named = list(told.values())[:places], list(told.items())[places:]
        return self.trace.emit(op.forward, *inputs, *given, **dict(named))


@dataclass
class Part:
    """A part of an expression: its text as Python, its array, and whether a gradient is in it."""

    text: ast.expr
    array: Any
    arrived: bool


@dataclass
class Product:
    """What a rule makes of the gradient that arrives.

    Attributes:
        text: the rule's expression about the user's names, after un-broadcasting.
        local: the local derivative, if the rule multiplies element by element, or None.
        parts: the operands of the expression's outermost operator; empty if it has none.
        sign: of that operator, as in Python.
        raw: what the rule gives, which is summed where the input was repeated.
        sent: what arrives at the input.
        used: the places of the inputs whose values the rule needs, -1 for the result's own.
    """

    text: ast.expr
    local: Part | None
    parts: list[Part]
    sign: str
    raw: Any
    sent: Any
    used: set[int]


def product(
    rule: Callable[..., Any],
    g: Any,
    y: Any,
    inputs: list[Any],
    i: int,
    params: Mapping[str, Any],
    names: Mapping[str, ast.expr],
) -> Product:
    """A rule at the values that it has in a graph.

    Args:
        rule: the derivative rule of input i.
        g: the gradient that arrives at the result.
        y: the result.
        inputs: arrays, and the numbers that are written into formulas.
        params: the operation's metadata.
        names: for g, y and x0, x1, ... what the user calls them.
    """
    trace = Trace(rewrite=tidy, kind=Term)
    of = [trace.argument(x, f"x{k}") if f"x{k}" in names else x for k, x in enumerate(inputs)]
    arrived = trace.argument(np.asarray(g), "g")
    with np.errstate(all="ignore"):
        raw = rule(arrived, trace.argument(y, "y"), *of, **params).current
        sent = unbroadcast(raw, inputs[i]).current
    text = Text(names, {f"x{k}": np.ndim(x) for k, x in enumerate(inputs)})
    local = None
    if _elementwise(raw):
        factor = _without(raw, arrived, trace)
        array = np.broadcast_to(getattr(factor, "value", factor), np.shape(raw.value))
        while isinstance(factor, Symbol) and factor.function is np.broadcast_to:
            factor = factor.args[0]
        equal = array.size and (array == array.flat[0]).all()
        said = expression(number(array.flat[0])) if equal and not _read(factor) else None
        local = Part(said or text.of(factor), array, False)
    parts = []
    if raw.function in SIGNS:
        parts = [Part(text.of(x), getattr(x, "value", x), "g" in _read(x)) for x in raw.args]
    sign = {np.matmul: "@", np.multiply: "×", np.divide: "/", np.add: "+", np.subtract: "−"}
    used = {-1 if name == "y" else int(name[1:]) for name in _read(raw) - {"g"}}
    return Product(
        text.of(sent), local, parts, sign.get(raw.function, ""), raw.value, sent.value, used
    )


def _read(x: Any) -> set[str]:
    """The names of the arguments whose values, and not only shapes, an expression reads."""
    found, waiting = set(), [x]
    while waiting:
        x = waiting.pop()
        if isinstance(x, (tuple, list)):
            waiting += x
        elif isinstance(x, Symbol):
            waiting += [*x.current.args, *x.current.kwargs.values()]
            if x.current.is_argument:
                found.add(x.current.name or "")
    return found


def _elementwise(x: Any) -> bool:
    """Whether an expression multiplies g, element by element, by what does not depend on it."""
    on_the_way = [s for s in ordered([x]) if s.function and "g" in _read(s)]
    return all(
        s.function in (np.where, np.broadcast_to, astype)
        or (isinstance(s.function, np.ufunc) and not s.function.signature)
        for s in on_the_way
    )


def _without(x: Any, g: Symbol, trace: Trace) -> Any:
    """The expression with 1 in place of g."""
    new: dict[Any, Any] = {g: np.float64(1)}
    for s in ordered([x]):
        if s.function and "g" in _read(s):
            with np.errstate(all="ignore"):
                new[s] = trace.emit(s.function, *substitute(s.args, new), **s.kwargs)
    return new[x]


class Text(ast.NodeTransformer):
    """Writes Symbols as a person does, with the user's names.

    Args:
        names: what stands for the arguments.
        ndims: their numbers of axes, by which a whole shape is known from its lengths.
    """

    def __init__(self, names: Mapping[str, ast.expr], ndims: Mapping[str, int]):
        self.names, self.ndims = names, ndims

    def of(self, x: Any) -> ast.expr:
        """The expression of a Symbol or a number."""
        writer = Writer([])
        writer.names = {s: s.name or "" for s in ordered([x]) if s.is_argument}
        node: ast.expr = self.visit(writer.expression(x))
        match node:
            case ast.BinOp(ast.Constant(1), ast.Mult(), truths):  # which are numbers without it
                return truths
        return node

    def visit_Name(self, node: ast.Name) -> Any:
        return self.names.get(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """np.sigmoid is no function of NumPy's."""
        if isinstance(node.value, ast.Name) and node.value.id == "np":
            return node if hasattr(np, node.attr) else ast.Name(node.attr)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        """An array of many numbers is not written out."""
        numbers = sum(isinstance(part, ast.Constant) for part in ast.walk(node))
        many = ast.unparse(node.func) == "np.array" and numbers > MOST
        return ast.Name("…") if many else self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        """(len(x), x.shape[1]) is x.shape."""
        texts = [ast.unparse(part) for part in node.elts]
        for name, n in self.ndims.items():
            if n and texts == [f"len({name})", *(f"{name}.shape[{k}]" for k in range(1, n))]:
                return ast.Attribute(self.visit(ast.Name(name)), "shape", ast.Load())
        return self.generic_visit(node)


def line(grad: str, equals: str, value: ast.expr) -> str:
    """A line of NumPy; two to put what arrives where an index took it."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "add_at"):
        return f"{grad} {equals} {ast.unparse(value)}"
    g, index, shape = map(ast.unparse, value.args)
    start = f"{grad} = np.zeros({shape})\n" if equals == "=" else ""
    return f"{start}np.add.at({grad}, {index}, {g})"
