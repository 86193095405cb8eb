"""Rewriting of programs for the machine: fewer passes over large arrays."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.compiled.buffers import FEW, VIEWS
from tinygrad_lr.functions.activations import log_softmax
from tinygrad_lr.losses import class_shares
from tinygrad_lr.ops import add_reduce
from tinygrad_lr.program.simplify import Rule, tidy_always
from tinygrad_lr.program.symbols import Book, Symbol, axes_of, is_call, is_number, same, value_of


def _logistic(z: Any, t: Any) -> Any:
    return np.log(1 + np.exp(-z)) + (1 - t) * z


def _softplus(x: Any) -> Any:
    return np.log(1 + np.exp(-x)) + x


def _categorical(z: Any, t: Any, weight: Any) -> Any:
    return -np.sum(class_shares(z, t, weight) * log_softmax(z), axis=-1)


# Values that overflow for large numbers, where the program starts again with those of the table,
# and that are rounded as their largest term is, which for a tiny loss is coarser.
QUICK: Mapping[str, Callable[..., Any]] = {
    "logistic_loss": _logistic,
    "softplus": _softplus,
    "categorical_loss": _categorical,
}


def _scaled(x: Any) -> tuple[float, Any]:
    """(c, y), if x is a number c times y; (1, x) otherwise."""
    if is_call(x, np.multiply):
        for a, b in (x.args, x.args[::-1]):
            if is_number(a):
                return float(value_of(a)), b
    if is_call(x, np.divide) and is_number(x.args[1]):
        return 1 / float(value_of(x.args[1])), x.args[0]
    if is_call(x, np.negative):
        c, y = _scaled(x.args[0])
        return -c, y
    return 1.0, x


def _numbers_outside(x: Symbol) -> Any:
    """What is linear in an array is so in a number that multiplies it."""
    function: Any = x.function
    args = x.args
    for one, other in (args, args[::-1]) if function is np.multiply else ():
        if not is_number(one) and np.ndim(value_of(one)) == 0 < np.ndim(value_of(other)):
            c, y = _scaled(other)
            return None if c == 1 else (c * one) * y
    if function in (np.multiply, np.matmul, np.divide) and not any(map(is_number, args)):
        (c, a), (d, b) = map(_scaled, args)
        if function is np.divide:
            return None if c == 1 else c * (a / args[1])
        if c * d == 1:
            return None
        return (c * d) * function(a, b)
    view = function in VIEWS and function is not np.broadcast_to  # tidy moves numbers into that
    linear = function == np.add.reduce or (view and isinstance(args[0], Symbol))
    if linear:
        c, a = _scaled(args[0])
        return None if c == 1 else c * function(a, *args[1:], **x.kwargs)
    if function in (np.add, np.subtract):
        (c, a), (d, b) = map(_scaled, args)
        if c == d != 1:
            return c * function(a, b)
        if c == -d:
            other = np.subtract if function is np.add else np.add
            return c * other(a, b) if c != 1 or function is np.add else None
    if function is np.multiply:
        for a, b in (args, args[::-1]):
            c, y = _scaled(b)
            if is_number(a) and c != 1:
                return (float(value_of(a)) * c) * y
    return None


def _mean(x: Symbol) -> Any:
    """A mean is a sum times a number."""
    if x.function is np.mean:
        (a,) = x.args
        return (x.value.size / max(a.value.size, 1)) * add_reduce(a, **x.kwargs)
    return None


def _sum(x: Symbol) -> Any:
    """The sum of a sum is taken of each part, that of a product is a product of vectors."""
    if x.function != np.add.reduce:
        return None
    (a,) = x.args
    if x.value.ndim or not isinstance(a, Symbol) or a in x.book.shared or a.value.dtype.kind != "f":
        return None
    if a.function == np.add.reduce:
        return add_reduce(a.args[0], axis=None)
    full = all(np.shape(value_of(b)) == a.value.shape for b in a.args)
    if a.function in (np.add, np.subtract) and full:
        left, right = (add_reduce(b, axis=None) for b in a.args)
        return a.function(left, right)
    if a.function is np.multiply and full and len({value_of(b).dtype for b in a.args}) == 1:
        return x.book.record(np.vdot, *a.args)
    if a.function is np.square:
        return x.book.record(np.vdot, a.args[0], a.args[0])
    return None


def _square(x: Symbol) -> Any:
    """A square is a product, which is faster than a power."""
    if x.function is np.power and is_number(x.args[1]) and value_of(x.args[1]) == 2:
        return x.args[0] * x.args[0]
    return None


class Bordered:
    """Constant data with a column of ones: X @ W + b is one product, and so are its gradients.

    Args:
        joined: the matrix of W and, as its last row, b, by the two.
        changing: what may be another in every step.
    """

    def __init__(
        self, joined: Mapping[tuple[Symbol, Symbol], Symbol], changing: Collection[Symbol]
    ) -> None:
        self.joined, self.changing = joined, changing
        self._known: dict[Symbol, Symbol] = {}

    def _with_ones(self, X: Symbol) -> Symbol | None:
        """X with one more column, if it is constant and has so few that this takes no time."""
        if X.function or X in self.changing or X.value.ndim != 2 or X.value.shape[1] >= FEW:
            return None
        if X not in self._known:
            array = np.pad(X.value, ((0, 0), (0, 1)), constant_values=1)
            self._known[X] = X.book.argument(array, fixed=True)
        return self._known[X]

    def output(self, x: Symbol) -> Any:
        """X @ W + b, if that is what it is."""
        for product, b in (x.args, x.args[::-1]) if x.function is np.add else ():
            if is_call(product, np.matmul):
                X, W = product.args
                known = all(isinstance(a, Symbol) for a in (X, W, b))  # not so small integers
                if known and (W, b) in self.joined and (X1 := self._with_ones(X)) is not None:
                    return X1 @ self.joined[W, b]
        return None

    def gradient(self, dW: Any, db: Any) -> Any:
        """X.T @ dZ and the sum of the rows of dZ, if that is what they are."""
        functions = [getattr(x, "function", None) for x in (dW, db)]
        if functions != [np.matmul, np.add.reduce]:
            return None
        turned, dZ = dW.args
        rows = dZ is db.args[0] and axes_of(db) == [0]
        X1 = self._with_ones(turned.args[0]) if rows and is_call(turned, np.transpose) else None
        return None if X1 is None else X1.T @ dZ


def faster(results: list[Any], book: Book, outside: bool, bordered: Bordered) -> list[Any]:
    """The results, in fewer passes over large arrays.

    Args:
        outside: whether numbers shall multiply results rather than what these are computed from.
    """
    rules: list[Rule] = [bordered.output, _mean, _sum, _square]
    rules += [_numbers_outside] if outside else []

    def rewrite(x: Symbol) -> Any:
        y = tidy_always(x)
        if y is not x:
            return y
        for rule in rules:
            z = rule(x)
            if z is not None and z is not x and same(x, z):
                return z
        return x

    return book.rewritten(results, rewrite)


def shared_number(results: list[Any]) -> tuple[float, list[Any]]:
    """(c, ys), if every result is the same number c times a y that has to be computed."""
    scaled = [_scaled(x) for x in results]
    numbers = {c for c, _ in scaled}
    if len(numbers) == 1 and all(isinstance(y, Symbol) for _, y in scaled):
        return numbers.pop(), [y for _, y in scaled]
    return 1.0, results
