"""Symbols as Python expressions, as a person would write them."""

from __future__ import annotations

import ast
import functools
import operator
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.naming.source_text import substitute
from tinygrad_lr.ops import COMPARISONS, OPERATIONS
from tinygrad_lr.program.calls import REDUCTIONS, astype, expand_index
from tinygrad_lr.program.symbols import Symbol, is_number, value_of

FORMULAS: dict[Any, str] = {  # of what is written with operators
    getattr(np, op.name): op.formula
    for op in (*OPERATIONS.values(), *COMPARISONS.values())
    if hasattr(np, op.name) and "(" not in op.formula
}
FORMULAS |= {operator.add: "a + b", operator.sub: "a - b", operator.mul: "a * b"}
FORMULAS |= {operator.floordiv: "a // b", operator.mod: "a % b", operator.neg: "-x"}
REDUCED: dict[Any, str] = {np.add.reduce: "sum", np.maximum.reduce: "max", np.minimum.reduce: "min"}
METHODS = REDUCED | {np.mean: "mean", np.reshape: "reshape", astype: "astype"}


class Expressions:
    """Writes Symbols as expressions of named ones.

    Args:
        names: the Symbols that are written as a name.
    """

    def __init__(self, names: Mapping[Symbol, str]) -> None:
        self.names = dict(names)
        self._by_name = False  # whether a name that is not in `names` is written as well

    def expression(self, x: Any) -> ast.expr:
        """An argument: a name, an expression, or a constant."""
        if isinstance(x, Symbol) and not is_number(x):
            name = self.names.get(x) or (self._by_name and x.name)
            return ast.Name(name) if name else self.call(x)
        if isinstance(x, Length):
            return self.length(x)
        if isinstance(x, (tuple, list)):
            items = [self.expression(part) for part in x]
            return (ast.Tuple if isinstance(x, tuple) else ast.List)(items, ast.Load())
        if isinstance(x, slice):
            ends = [self.expression(end) for end in (x.start, x.stop, x.step)]
            return ast.Call(ast.Name("slice"), ends, [])
        return constant(value_of(x))

    def operand(self, x: Any, operands: Sequence[Any]) -> ast.expr:
        """A number as 2.0 beside integers, which a 2 would leave integers, and as 2 elsewhere."""
        kinds = [np.asarray(value_of(a)).dtype.kind for a in operands if not is_number(a)]
        n = np.asarray(value_of(x))
        if is_number(x) and n.dtype.kind == "f" and kinds and "f" not in kinds and np.isfinite(n):
            return ast.Constant(short(float(n)))
        return self.expression(x)

    def length(self, n: Length) -> ast.expr:
        """A number that is computed from shapes."""
        first, *terms = n.terms
        if isinstance(first, Symbol):
            x, (axis,) = self.expression(first), terms
            if axis == 0:
                return ast.Call(ast.Name("len"), [x], [])
            return ast.Subscript(ast.Attribute(x, "shape"), ast.Constant(axis))
        if first is not operator.mul:
            return substitute(FORMULAS[first], _operands(map(self.expression, terms)))
        factors = list(n.factors())
        x, *others = {f.terms[0] for f in factors if isinstance(f, Length)}
        lengths = (len(factors), int(n))
        if (
            isinstance(x, Symbol)
            and x.ndim > 1
            and not others
            and lengths == (x.ndim, x.value.size)
        ):
            return ast.Attribute(self.expression(x), "size")
        first, *rest = map(self.expression, factors)
        return functools.reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), rest, first)

    def subscript(self, x: ast.expr, index: Any, ndim: int) -> ast.expr:
        """x[index], with its slices as colons."""

        def part(i: Any) -> ast.expr:
            if not isinstance(i, slice):
                return self.expression(i)
            ends = (None if e is None else self.expression(e) for e in (i.start, i.stop, i.step))
            return ast.Slice(*ends)

        if not isinstance(index, tuple) or not index:
            return ast.Subscript(x, part(index))
        colons = ndim - sum(i is not None and i is not ... for i in index)
        if any(i is ... for i in index) and colons <= 2 and not masked(index):
            index = expand_index(index, ndim)
        return ast.Subscript(x, ast.Tuple([part(i) for i in index]))

    def call(self, x: Symbol) -> ast.expr:
        """The call that computes a Symbol, with operators and methods where there are."""
        function, args, kwargs = x.function, x.args, x.kwargs
        if function in FORMULAS:
            others = () if function is np.divide or x.dtype == bool else args
            operands = _operands(self.operand(a, others) for a in args)
            return substitute(FORMULAS[function], operands)
        if function is operator.getitem:
            return self.subscript(self.expression(args[0]), args[1], np.ndim(value_of(args[0])))
        if function is np.transpose and (attribute := _transpose(*args, **kwargs)):
            return ast.Attribute(self.expression(args[0]), attribute)
        if function in REDUCTIONS and not kwargs.get("keepdims") and x.ndim == 0:
            kwargs = {}
        if function is np.reshape and isinstance(args[1], tuple) and args[1]:
            args = (args[0], *args[1])
        keywords = [
            ast.keyword(name, self.expression(single(value) if name == "axis" else value))
            for name, value in kwargs.items()
            if value is not None and value is not False
        ]
        texts = list(map(self.expression, args))
        if function in METHODS:
            array = np.ndim(value_of(args[0])) > 0  # not a number of Python's
            return method(METHODS[function], texts, keywords, array)
        if function is np.broadcast_to and x.dtype == np.float32 and not np.ndim(value_of(args[0])):
            texts[0] = ast.Call(parsed("np.float32"), texts[:1], [])
        return ast.Call(parsed(f"np.{name_of(function)}"), texts, keywords)


def _operands(expressions: Any) -> dict[str, ast.expr]:
    """Operands by their names in formulas."""
    first, *others = expressions
    return {"x": first, "a": first} | dict(zip("b", others, strict=False))


def _transpose(x: Any, axes: Any = None) -> str:
    """The attribute that is the transpose, T or mT; "" if there is none."""
    if not isinstance(x, Symbol):
        return ""
    n = x.ndim
    if axes is None or tuple(axes) == tuple(range(n))[::-1]:
        return "T"
    return "mT" if tuple(i % n for i in axes) == (*range(n - 2), n - 1, n - 2) else ""


def method(
    name: str, args: list[ast.expr], keywords: list[ast.keyword], is_array: bool
) -> ast.expr:
    """x.name(...), or np.name(x, ...) for a function of an expression."""
    first, *rest = args
    simple = isinstance(first, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    sum_or_product = isinstance(first, ast.BinOp) and is_array
    if simple or name == "astype" or (name == "reshape" and sum_or_product):
        return ast.Call(ast.Attribute(first, name), rest, keywords)
    if name == "reshape" and len(rest) > 1:
        rest = [ast.Tuple(rest)]
    return ast.Call(parsed(f"np.{name}"), [first, *rest], keywords)


def parsed(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


def name_of(function: Any) -> str:
    """What NumPy's users call a function."""
    name = str(REDUCED.get(function) or getattr(function, "__name__", ""))
    return {"absolute": "abs"}.get(name, name)


def short(x: float) -> float:
    """0.1 for 0.09999999999999998, which is as near as rounding comes."""
    y = float(f"{x:.12g}")
    return y if abs(x - y) <= 1e-15 * abs(x) else x


def masked(index: tuple[Any, ...]) -> bool:
    """Whether an index has parts that stand for other than one axis: masks, and True."""
    return any(np.asarray(value_of(i)).dtype == bool for i in index if not isinstance(i, slice))


def single(axis: Any) -> Any:
    """The only axis of a tuple of one."""
    return axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis


def constant(x: Any) -> ast.expr:
    """A number, an array or a dtype, written out."""
    if isinstance(x, np.ndarray) and x.ndim:
        return array_literal(x)
    if isinstance(x, np.dtype):
        return parsed("float" if x == np.float64 else f"np.{x.name}")
    if isinstance(x, (np.generic, np.ndarray)):
        x = x.item()
    if isinstance(x, float):
        if not np.isfinite(x):
            return parsed("-np.inf" if x < 0 else f"np.{x}")
        x = int(x) if x.is_integer() and abs(x) < 1e15 else short(x)
    return ast.Constant(x) if x is ... else parsed(repr(x))


def array_literal(x: np.ndarray[Any, Any]) -> ast.expr:
    """A small array, written out."""
    n = x.size
    if x.ndim == 1 and x.dtype.kind == "i" and n > 1 and (x == np.arange(n)).all():
        return parsed(f"np.arange({n})")
    if not n:
        return parsed(f"np.zeros({x.shape}, np.{x.dtype.name})")
    with np.printoptions(threshold=sys.maxsize):
        text = np.array2string(x, separator=", ", formatter={"float": repr_float})
    dtype = f", dtype=np.{x.dtype.name}" if x.dtype not in (np.float64, np.int64, bool) else ""
    return parsed(f"np.array({text}{dtype})")


def repr_float(x: Any) -> str:
    """A float as it is written."""
    return repr(float(x)) if np.isfinite(x) else f"float('{x}')"
