"""The vector-Jacobian products of a backward pass, as text and in numbers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygrad_lr.drawing.cards import Card, Graph
from tinygrad_lr.drawing.formatting import number
from tinygrad_lr.drawing.formula import expression, is_default
from tinygrad_lr.drawing.trace import operand
from tinygrad_lr.explorer.page import MAX_ELEMENTS
from tinygrad_lr.ops import Op
from tinygrad_lr.program.calls import ELEMENTWISE, SIGNS, astype
from tinygrad_lr.program.simplify import tidy
from tinygrad_lr.program.symbols import Symbol, Trace, ordered, value_of
from tinygrad_lr.program.writer import Writer
from tinygrad_lr.tensor import Tensor, gradients, unbroadcast


@dataclass
class Factor:
    """An operand: its expression, its array, and whether a gradient is in it."""

    text: ast.expr
    array: Any
    has_gradient: bool


@dataclass
class VJPCall:
    """A vector-Jacobian product: the gradient g of a result, passed on to one of its inputs.

    Attributes:
        node: the result.
        i: the number of the input.
        g: the gradient that arrives at the result.
        inputs: arrays, and the numbers that are written into formulas.
        text: the rule's expression in the user's names, after un-broadcasting.
        local: the local derivative, if the rule multiplies element by element, or None.
        factors: the operands of the expression's outermost operator; empty if it has none.
        sign: of that operator, "" if it has none.
        raw: the rule's result, which is summed where the input was repeated.
        gradient: the contribution to the input's gradient.
        reads: the inputs whose values the rule needs, -1 for the result's own.
    """

    node: Tensor
    i: int
    g: Any
    inputs: list[Any]
    text: ast.expr
    local: Factor | None
    factors: list[Factor]
    sign: str
    raw: Any
    gradient: Any
    reads: set[int]


def vjp_calls(graph: Graph) -> list[VJPCall]:
    """Every use of a rule in the backward pass from the last card, in its order."""
    cards = {id(card.node): card for card in graph.cards}
    calls: list[VJPCall] = []

    def call(node: Any, i: int, rule: Any, g: Any, y: Any, *arrays: Any, **params: Any) -> Any:
        inputs = [
            x[()] if id(v) not in cards and isinstance(x, np.ndarray) and not x.ndim else x
            for v, x in zip(node.inputs, arrays, strict=True)
        ]
        calls.append(vjp_call(node, i, rule, g, inputs, _argument_names(node, cards)))
        return calls[-1].raw

    def rules(node: Any) -> Iterator[Any]:
        for i, (rule, _) in enumerate(zip(node.op.rules, node.inputs, strict=False)):
            yield rule and partial(call, node, i, rule)

    gradients(graph.output.node, rules_of=rules)
    return calls


def _argument_names(node: Tensor, cards: Mapping[int, Card]) -> dict[str, ast.expr]:
    """What the user calls g, y, x0, x1, ..., the arguments of a node's rules."""
    card = cards[id(node)]
    y, inputs = card.reference(card.layer), enumerate(node.inputs)
    arrays = {k: x for k, x in inputs if id(x) in cards or np.ndim(x)}
    names = {f"x{k}": operand(x, card.layer, cards) for k, x in arrays.items()}
    return names | {"y": y, "g": ast.Attribute(y, "grad", ast.Load())}


class NamedOp(Symbol):
    """A Symbol that calls an operation which NumPy lacks, as sigmoid, by its name."""

    __slots__ = ()

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        if hasattr(np, op.name) or not isinstance(expression(op.formula), ast.Call):
            return super().apply(op, inputs, params)
        settings = [(k, x) for k, x in params.items() if not is_default(op, k, x)]
        free = op.positional - len(inputs)
        positional = [x for _, x in settings[:free]]
        return self.trace.emit(op.forward, *inputs, *positional, **dict(settings[free:]))


@np.errstate(all="ignore")
def vjp_call(
    node: Tensor, i: int, rule: Any, g: Any, inputs: list[Any], names: Mapping[str, ast.expr]
) -> VJPCall:
    """The rule of input i at the arrays of a graph, with the user's `names` for its arguments."""
    trace = Trace(rewrite=tidy, kind=NamedOp)
    symbols = [trace.argument(x, f"x{k}") if f"x{k}" in names else x for k, x in enumerate(inputs)]
    upstream = trace.argument(np.asarray(g), "g")
    raw = rule(upstream, trace.argument(node._array, "y"), *symbols, **node.params).current
    summed = unbroadcast(raw, inputs[i]).current
    write = Expressions(names, {f"x{k}": np.ndim(x) for k, x in enumerate(inputs)})
    operands = raw.args if raw.function in SIGNS else ()
    factors = [Factor(write.expression(x), value_of(x), "g" in _reads(x)) for x in operands]
    local = _local(raw, upstream, write)
    sign = SIGNS.get(raw.function, "").translate({ord("*"): "×", ord("-"): "−"})
    reads = {-1 if name == "y" else int(name[1:]) for name in _reads(raw) - {"g"}}
    text, gradient = write.expression(summed), summed.value
    return VJPCall(node, i, g, inputs, text, local, factors, sign, raw.value, gradient, reads)


def _local(raw: Symbol, g: Symbol, write: Expressions) -> Factor | None:
    """The local derivative, if a rule multiplies g by it element by element: the rule at g = 1."""
    functions = {s.function for s in ordered([raw]) if s.function and "g" in _reads(s)}
    if not functions <= ELEMENTWISE | {np.where, np.broadcast_to, astype}:
        return None
    (factor,) = g.trace.rewritten([raw], tidy, lambda x, y, _: np.float64(1) if x is g else y)
    array = np.broadcast_to(value_of(factor), np.shape(raw.value))
    while isinstance(factor, Symbol) and factor.function is np.broadcast_to:
        factor = factor.args[0]
    if array.size and (array == array.flat[0]).all() and not _reads(factor):
        return Factor(expression(number(array.flat[0])), array, False)
    return Factor(write.expression(factor), array, False)


def _reads(x: Any) -> set[str]:
    """The names of the arguments whose values, and not only shapes, an expression reads."""
    names, waiting = set(), [x]
    while waiting:
        x = waiting.pop()
        if isinstance(x, (tuple, list)):
            waiting += x
        elif isinstance(x, Symbol):
            waiting += [*x.current.args, *x.current.kwargs.values()]
            if x.current.is_argument:
                names.add(x.current.name or "")
    return names


class Expressions(ast.NodeTransformer):
    """Writes Symbols as a person would, with the user's names for the arguments.

    Their numbers of axes, `ndims`, tell when a tuple of lengths is a whole shape.
    """

    def __init__(self, names: Mapping[str, ast.expr], ndims: Mapping[str, int]):
        self.names, self.ndims = names, ndims

    def expression(self, x: Any) -> ast.expr:
        """The expression of a Symbol or a number."""
        writer = Writer([])
        writer.names = {s: s.name or "" for s in ordered([x]) if s.is_argument}
        node: ast.expr = self.visit(writer.expression(x))
        match node:
            case ast.BinOp(ast.Constant(1), ast.Mult(), truths):  # booleans are factors as they are
                return truths
        return node

    def visit_Name(self, node: ast.Name) -> Any:
        return self.names.get(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """sigmoid for np.sigmoid, which NumPy does not have."""
        if isinstance(node.value, ast.Name) and node.value.id == "np":
            return node if hasattr(np, node.attr) else ast.Name(node.attr)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        """… for an array of many numbers."""
        numbers = sum(isinstance(part, ast.Constant) for part in ast.walk(node))
        many = ast.unparse(node.func) == "np.array" and numbers > MAX_ELEMENTS
        return ast.Name("…") if many else self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        """x.shape for (len(x), x.shape[1])."""
        texts = [ast.unparse(part) for part in node.elts]
        for name, n in self.ndims.items():
            if n and texts == [f"len({name})", *(f"{name}.shape[{k}]" for k in range(1, n))]:
                return ast.Attribute(self.visit(ast.Name(name)), "shape", ast.Load())
        return self.generic_visit(node)


def statement(grad: str, equals: str, value: ast.expr) -> str:
    """A line of NumPy; two for np.add.at."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) == "add_at"):
        return f"{grad} {equals} {ast.unparse(value)}"
    g, index, shape = map(ast.unparse, value.args)
    start = f"{grad} = np.zeros({shape})\n" if equals == "=" else ""
    return f"{start}np.add.at({grad}, {index}, {g})"
