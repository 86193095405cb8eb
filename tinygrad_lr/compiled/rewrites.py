"""Rewrite rules for speed: fewer passes over large arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.compiled.plan import MAX_COLUMNS, VIEWS
from tinygrad_lr.functions.activations import log_softmax
from tinygrad_lr.losses import class_shares
from tinygrad_lr.ops import add_reduce
from tinygrad_lr.program.simplify import Rule, commuted, tidy_exactly
from tinygrad_lr.program.symbols import Symbol, Trace, is_number, same, value_of

# Formulas that overflow for large numbers, where the program starts again with those of the table,
# and that are rounded as their largest term is, which for a tiny loss is coarser.
UNGUARDED: Mapping[str, Callable[..., Any]] = {
    "softplus": lambda x: np.log(1 + np.exp(-x)) + x,
    "logistic_loss": lambda z, t: np.log(1 + np.exp(-z)) + (1 - t) * z,
    "categorical_loss": lambda z, t, weight, **params: (
        -np.sum(class_shares(z, t, weight, **params) * log_softmax(z), axis=-1)
    ),
}


def _scaled(x: Any) -> tuple[float, Any]:
    """(c, y), if x is a number c times y, which are no truth values; (1, x) otherwise."""
    c, y = _factors(x)
    return (1.0, x) if isinstance(y, Symbol) and y.dtype == bool else (c, y)


def _factors(x: Any) -> tuple[float, Any]:
    match x:
        case Symbol(np.multiply, (a, b)) if is_number(a):
            return float(value_of(a)), b
        case Symbol(np.multiply, (a, b)) if is_number(b):
            return float(value_of(b)), a
        case Symbol(np.divide, (a, b)) if is_number(b) and value_of(b):
            return 1 / float(value_of(b)), a
        case Symbol(np.negative, (a,)):
            c, y = _scaled(a)
            return -c, y
    return 1.0, x


def _scaled_factors(x: Symbol) -> Any:
    """A product with c * y is c times the product with y; numbers come together."""
    if x.function is np.multiply:
        for a, b in commuted(x):
            if is_number(a) or np.ndim(value_of(a)) == 0 < np.ndim(value_of(b)):
                c, y = _scaled(b)
                a = float(value_of(a)) if is_number(a) else a
                return None if c == 1 else (c * a) * y
    if x.function in (np.multiply, np.matmul):
        (c, a), (d, b) = map(_scaled, x.args)
        function = x.function
        return None if c * d == 1 else (c * d) * function(a, b)
    return None


def _scaled_argument(x: Symbol) -> Any:
    """What is linear in an array is so in a number that multiplies it."""
    function = x.function
    view = function in VIEWS and function is not np.broadcast_to  # tidy moves numbers into that
    quotient = function is np.divide and not any(map(is_number, x.args))
    if view or quotient or function == np.add.reduce:
        c, a = _scaled(x.args[0])
        return None if c == 1 else c * function(a, *x.args[1:], **x.kwargs)
    return None


def _scaled_terms(x: Symbol) -> Any:
    """c * a + c * b is c * (a + b), and c * a - c * b likewise."""
    if x.function not in (np.add, np.subtract):
        return None
    (c, a), (d, b) = map(_scaled, x.args)
    if np.result_type(value_of(a), value_of(b)) == np.dtype(bool):
        return None  # the sum of two masks is "or"
    if c == d != 1:
        return c * x.function(a, b)
    if c == -d and (c != 1 or x.function is np.add):
        return c * (np.subtract if x.function is np.add else np.add)(a, b)
    return None


def _plain(x: Symbol) -> Any:
    """A mean is a sum times a number; a square is a product, which is faster than a power."""
    match x:
        case Symbol(np.mean, (a,)):
            return (x.value.size / max(a.value.size, 1)) * add_reduce(a, **x.kwargs)
        case Symbol(np.power, (a, n)) if is_number(n) and value_of(n) == 2:
            return a * a
    return None


def _sum(x: Symbol) -> Any:
    """The sum of a sum is taken of each part, that of a product is a product of vectors."""
    a = x.args[0] if x.function == np.add.reduce and x.value.ndim == 0 else None
    if isinstance(a, Symbol) and a.value.ndim == 0:
        return a
    if not isinstance(a, Symbol) or a in x.trace.shared or a.value.dtype.kind != "f":
        return None
    match a:
        case Symbol(np.add.reduce, (b,)):
            return add_reduce(b, axis=None)
        case Symbol(np.square, (b,)):
            return x.trace.emit(np.vdot, b, b)
        case Symbol(np.add | np.subtract | np.multiply, (b, c)):
            left, right = (np.asarray(value_of(y)) for y in (b, c))
            if not left.shape == right.shape == a.value.shape:
                return None
            if a.function is not np.multiply:
                return a.function(add_reduce(b, axis=None), add_reduce(c, axis=None))
            return x.trace.emit(np.vdot, b, c) if left.dtype == right.dtype else None
    return None


class Augmented:
    """Constant data with a column of ones: X @ W + b is one product, and so are its gradients.

    Args:
        matrices: by a matrix W and a row b, W with b as its last row.
        variables: what may differ from step to step.
    """

    def __init__(
        self, matrices: Mapping[tuple[Symbol, Symbol], Symbol], variables: Collection[Symbol]
    ) -> None:
        self.matrices, self.variables = matrices, variables
        self._with_ones: dict[Symbol, Symbol] = {}

    def data(self, X: Symbol) -> Symbol | None:
        """X with a column of ones, if it is constant and has so few that this takes no time."""
        if X.function or X in self.variables or X.ndim != 2 or X.shape[1] >= MAX_COLUMNS:
            return None
        if X not in self._with_ones:
            array = np.pad(X.value, ((0, 0), (0, 1)), constant_values=1)
            self._with_ones[X] = X.trace.argument(array)
        return self._with_ones[X]

    def output(self, x: Symbol) -> Any:
        """X @ W + b, if that is what it is."""
        for product, b in commuted(x) if x.function is np.add else ():
            match product:
                case Symbol(np.matmul, (Symbol() as X, Symbol() as W)) if isinstance(b, Symbol):
                    if (W, b) in self.matrices and (X1 := self.data(X)) is not None:
                        return X1 @ self.matrices[W, b]
        return None

    def gradient(self, dW: Any, db: Any) -> Any:
        """X.T @ dZ and the sum of the rows of dZ, if that is what they are."""
        match dW, db:
            case Symbol(np.matmul, (Symbol(np.transpose) as XT, dZ)), Symbol(np.add.reduce, (y,)):
                X1 = self.data(XT.args[0]) if y is dZ and db.axes == [0] else None
                return None if X1 is None else X1.T @ dZ
        return None


def faster(results: list[Any], trace: Trace, outside: bool, augmented: Augmented) -> list[Any]:
    """The results, in fewer passes over large arrays.

    Args:
        outside: whether numbers shall multiply results rather than what these are computed from.
    """
    rules: list[Rule] = [augmented.output, _plain, _sum]
    rules += [_scaled_factors, _scaled_argument, _scaled_terms] if outside else []

    def rewrite(x: Symbol) -> Any:
        y = tidy_exactly(x)
        if y is not x:
            return y
        for rule in rules:
            z = rule(x)
            if z is not None and z is not x and same(x, z):
                return z
        return x

    return trace.rewritten(results, rewrite)


def common_factor(results: list[Any]) -> tuple[float, list[Any]]:
    """(c, ys), if every result is the same number c times a y that has to be computed."""
    numbers, symbols = zip(*map(_scaled, results), strict=True)
    if len({*numbers}) == 1 and all(isinstance(y, Symbol) for y in symbols):
        return numbers[0], [*symbols]
    return 1.0, results
