"""Rewrite rules towards what a person would write.

Every rule but those in ASSUMING is an identity of arithmetic. Its result is compared with what it
replaces in the recorded run; one that differs there by more than rounding is not used.
"""

from __future__ import annotations

import functools
import math
import operator
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.program.algebra import ARITHMETIC, MAX_OPERATIONS, Algebra, factors
from tinygrad_lr.program.calls import ELEMENTWISE, add_at, astype, put
from tinygrad_lr.program.symbols import (
    Symbol,
    Trace,
    is_call,
    is_number,
    is_one_hot,
    ordered,
    same,
    substitute,
    symbols_in,
    value_of,
)

Rule = Callable[[Symbol], Any]
RULES: dict[Any, list[Rule]] = defaultdict(list)  # by the functions whose calls they rewrite
numpy: Any = np  # whose own types do not know of Symbols
FREE_AXES = None, ..., slice(None)  # in an index


def rule(*functions: Any) -> Callable[[Rule], Rule]:
    """Make a function of a Symbol, which may give a simpler one, a rule for some calls."""

    def register(rewrite: Rule) -> Rule:
        for function in functions:
            RULES[function].append(rewrite)
        return rewrite

    return register


def tidy(x: Symbol, assumptions: bool = True) -> Any:
    """A call in fewer words, if there is a rule for it.

    `assumptions` about the data, as that labels are classes, or that what an index
    leaves out is finite, may be made or not.
    """
    for rewrite in RULES.get(x.function, ()):
        try:
            y = rewrite(x) if assumptions or rewrite not in ASSUMING else None
        except TypeError:  # minus a mask
            continue
        if y is not None and y is not x and same(x, y):
            return y
    return x


tidy_exactly = functools.partial(tidy, assumptions=False)


def commuted(x: Symbol) -> tuple[tuple[Any, ...], ...]:
    """Two operands, in either order."""
    return x.args, x.args[::-1]


@rule(np.add, np.subtract, np.multiply, np.divide, np.power)
def _neutral(x: Symbol) -> Any:
    """x * 1, x / 1, x + 0, x - 0, x ** 1."""
    a, b = x.args
    neutral = 0 if x.function in (np.add, np.subtract) else 1
    if _is_all(b, neutral):
        return a
    return b if x.function in (np.add, np.multiply) and _is_all(a, neutral) else None


def _is_all(x: Any, n: int) -> bool:
    """Whether it is a constant, and nothing but this number."""
    if is_number(x):
        return bool(value_of(x) == n)
    return isinstance(x, np.ndarray) and x.dtype.kind in "iuf" and bool((x == n).all())


@rule(np.negative)
def _minus(x: Symbol) -> Any:
    """-(-x), -(a * b) with a number or a minus in it."""
    match x.args[0]:
        case Symbol(np.negative, (a,)):
            return a
        case Symbol(np.multiply | np.divide, (a, b)) as product if is_free(product):
            if is_call(a, np.negative):
                return product.function(a.args[0], b)
            if is_number(a) and value_of(a) < 0:
                return product.function(-value_of(a), b)
    return None


def is_free(x: Symbol) -> bool:
    """Whether it is written where it is used, and nowhere else."""
    return not (x.name or x in x.trace.shared)


@rule(np.multiply)
def _numbers(x: Symbol) -> Any:
    """(-1) * x; a number times a number times x; a number divided by n, times x."""
    for a, b in commuted(x):
        if is_number(a) and value_of(a) == -1:
            return -b
        if is_number(a) and is_call(b, np.multiply) and not b.name:
            for c, d in commuted(b):
                if is_number(c):  # d may be a Length: times a float it would be a plain number
                    return x.trace.emit(np.multiply, value_of(a) * value_of(c), d)
        if is_call(a, np.divide) and not (a.name or is_number(b)):
            numerator, denominator = a.args
            if is_number(numerator) and isinstance(denominator, Length):
                return x.trace.emit(np.divide, numerator * b, denominator)  # an array may be plain
    return None


@rule(np.transpose)
def _transposed(x: Symbol) -> Any:
    """A transpose of a transpose, and of a product with one."""
    match x.args[0]:
        case Symbol(np.transpose, (a, *_)) as inner:
            axes = _axes(inner)
            return a if [axes[i] for i in _axes(x)] == list(range(x.ndim)) else None
        case Symbol(np.matmul, (a, b)) as product if is_free(product):
            if a.ndim == b.ndim == 2 and (is_call(a, np.transpose) or is_call(b, np.transpose)):
                return b.T @ a.T
    return None


def _axes(x: Symbol) -> list[int]:
    """The order of axes that a transpose gives."""
    (axes,) = x.args[1:] or (None,)
    return list(range(x.ndim)[::-1]) if axes is None else [i % x.ndim for i in axes]


@rule(np.reshape, np.broadcast_to, np.transpose, np.copy, astype)
def _views(x: Symbol) -> Any:
    """What changes nothing, and a reshape of a reshape."""
    a = x.args[0]
    if not isinstance(a, Symbol):
        return None
    if x.function is astype:
        return a if a.dtype == x.dtype else None
    moved = x.function is np.transpose and sum(n != 1 for n in a.shape) > 1
    if x.function is np.copy or (a.shape == x.shape and not moved):
        return a
    if x.function is np.reshape and a.function is np.reshape:
        return numpy.reshape(a.args[0], x.args[1])
    return None


@rule(operator.getitem, np.reshape, np.transpose, np.flip, np.add.reduce)
def _repeated(x: Symbol) -> Any:
    """A repeated number, in any order, is that number repeated."""
    a = x.args[0]
    if not is_call(a, np.broadcast_to) or a.args[0].ndim:
        return None
    if x.function != np.add.reduce:
        return numpy.broadcast_to(a.args[0], x.shape)
    return None if x.ndim else a.args[0] * a.size


@rule(*ELEMENTWISE)
def _broadcast(x: Symbol) -> Any:
    """Arithmetic broadcasts by itself: it takes what np.broadcast_to repeats."""
    args = [a.args[0] if is_call(a, np.broadcast_to) else a for a in x.args]
    if x.kwargs or all(a is b for a, b in zip(args, x.args, strict=True)):
        return None
    function = x.function
    y = function(*args)
    if np.shape(value_of(y)) == x.value.shape:
        return y
    return numpy.broadcast_to(y, x.shape) if isinstance(y, Symbol) else None


@rule(np.divide)
def _mean(x: Symbol) -> Any:
    """A sum divided by the number of summands is a mean."""
    match x.args:
        case Symbol(np.negative, (Symbol() as a,)), int(n):
            y = a / n
            return -y if is_call(y, np.mean) else None
        case Symbol(np.add.reduce, (Symbol() as a,)) as total, int(n):
            if factors(n) == factors(math.prod(a.shape[i] for i in total.axes)):
                return numpy.mean(a, **total.kwargs)
    return None


@rule(np.add.reduce)
def _sum(x: Symbol) -> Any:
    """The sum of what has a minus or a number in front has it itself."""
    match x.args[0]:
        case Symbol(np.negative, (a,)) as y if is_free(y):
            return -np.add.reduce(a, **x.kwargs)
        case Symbol(np.multiply | np.divide, args) as y if is_free(y):
            for i, b in enumerate(args):
                if np.ndim(value_of(b)) == 0 and (i == 1 or y.function is np.multiply):
                    return y.function(np.add.reduce(args[1 - i], **x.kwargs), b)
    return None


def _scattered(x: Any) -> tuple[Any, Any] | None:
    """(index, value), if it is zeros with a value put or added at an index."""
    return x.args[1:] if is_call(x, add_at, put) and is_call(x.args[0], np.zeros) else None


@rule(np.multiply)
def _scattered_product(x: Symbol) -> Any:
    """A product with zeros at all but an index is computed there."""
    for a, b in commuted(x):
        if not (isinstance(a, Symbol) and isinstance(b, Symbol) and b.args):
            continue
        if a.value.shape != b.value.shape:
            continue
        if b.function in (np.add, np.subtract) and _scattered(b.args[0]):
            return b.function(a * b.args[0], a * b.args[1])
        if scattered := _scattered(b):
            index, value = scattered
            product = Algebra(lambda _: False).simplest(value * a[index], spread=True)
            return x.trace.emit(add_at, b.args[0], index, product)
    return None


@rule(np.add, np.subtract)
def _scattered_sum(x: Symbol) -> Any:
    """To add zeros with a value at an index is to add the value there."""
    for sign, (a, b) in ((1, x.args), (-1, x.args[::-1])):
        full = isinstance(a, Symbol) and a.value.shape == x.value.shape
        if full and (scattered := _scattered(b)) and not _scattered(a):
            index, value = scattered
            if x.function is np.subtract:
                a, value = (a, -value) if sign == 1 else (-a, value)
            return x.trace.emit(add_at, a, index, value)
    return None


@rule(np.add.reduce)
def _sum_of_rows(x: Symbol) -> Any:
    """Rows that hold one value each add up to that value."""
    match _scattered(x.args[0]):
        case ((rows, _), value) if is_call(rows, np.arange):
            if x.args[0].ndim != 2 or x.axes != [1]:
                return None
            if np.ndim(value_of(value)) == 0:
                return numpy.broadcast_to(value, x.shape)
            return value[:, None] if x.kwargs.get("keepdims") else value
    return None


@rule(put)
def _filled(x: Symbol) -> Any:
    """What is put into zeros through new axes and fills them is them, in another shape."""
    index, value = _scattered(x) or (None, None)
    if not isinstance(value, Symbol) or value.value.size != x.value.size:
        return None
    index = index if isinstance(index, tuple) else (index,)
    if any(isinstance(i, (Symbol, np.ndarray, list)) or i not in FREE_AXES for i in index):
        return None
    a, sign = (value.args[0], -1) if value.function is np.negative else (value, 1)
    if is_call(a, np.add.reduce) and a.kwargs.get("keepdims"):
        y = numpy.add.reduce(*a.args, axis=a.kwargs["axis"])
        return sign * y if y.value.shape == x.value.shape else None
    return numpy.reshape(value, x.shape)


@rule(np.add.reduce)
def _one_hot(x: Symbol) -> Any:
    """Rows that have a 1 at the label, which is a class, add up to 1."""
    rows, axis = x.args[0], x.kwargs.get("axis", 0)
    if is_call(rows, np.multiply) and is_number(rows.args[1]):
        rows = rows.args[0]
    if axis in (-1, x.args[0].ndim - 1) and is_one_hot(rows):
        labels, columns = rows.args
        while is_call(labels, operator.getitem, np.reshape):
            labels = labels.args[0]
        if labels in x.trace.labels and (x.value == 1).all():
            x.trace.assumptions[labels] = np.size(value_of(columns))
            return numpy.broadcast_to(x.trace.number(np.ones((), x.dtype)), x.shape)
    return None


@rule(np.add)
def _chosen(x: Symbol) -> Any:
    """d times what a condition chooses, if both parts are multiplied by d or else by 0."""
    for left, right in commuted(x):
        match left, right:
            case (
                Symbol(np.multiply, (Symbol(np.where, (c, 0, d)), a)),
                Symbol(np.multiply, (Symbol(np.where, (other, e, 0)), b)),
            ) if c is other and d is e:
                return d * numpy.where(c, b, a)
    return None


ASSUMING = _one_hot, _scattered_product, _chosen  # the latter two that the rest is finite


class _Improvement:
    """What stands for a Symbol of a program that is simplified; see `simplified`."""

    def __init__(self, results: list[Any], trace: Trace, gradients: int) -> None:
        symbols = ordered(results)
        self.trace = trace
        self.forward = set(ordered(results[:1]))
        self.backward = set(ordered(results[:gradients])) - self.forward
        self.roots = {x for x in symbols if x.name} | set(symbols_in(results))
        self.roots.update(a for x in symbols if x.function not in ARITHMETIC for a in x.inputs)
        self.results: set[Symbol] = set()  # in the forward pass
        self.atoms: set[Any] = set()
        self.originals: dict[Any, Any] = {}  # the arithmetic of the backward pass, as it was

    def __call__(self, x: Symbol, y: Any, args: Any) -> Any:
        """What stands for x, which has become y; args are its new arguments."""
        if not (isinstance(y, Symbol) and y.function):
            return y
        if x in self.forward or y not in self.results:
            y.inherit_labels(x)
        if x in self.forward:
            self.results.add(y)
        if y.composite or (x in self.forward and (x.name or not _with_number(y))):
            self.atoms.add(y)
            return y
        if x not in self.backward or y.function not in ARITHMETIC:
            return y
        if self.trace.fixed:  # nobody reads how it was derived
            return self.shortest(x, y) if x in self.roots else y
        function, args = (x.function, args) if x.function in ARITHMETIC else (y.function, y.args)
        args = substitute(args, self.originals)
        self.originals[y] = tidy(Symbol(self.trace, x.value, function, args, name=x.name))
        return self.shortest(x, y) if x in self.roots else y

    def shortest(self, x: Symbol, y: Symbol) -> Any:
        """The arithmetic behind y in the fewest operations, with its derivation."""
        first = self.originals.get(y, y)
        fine = Algebra(lambda a: a in self.atoms)
        coarse = Algebra(lambda a: a in self.atoms or _with_number(a))
        simple = fine.simplest(y), coarse.simplest(y)
        better = simple[0] if simple[0] is simple[1] else min(simple, key=fine.cost)
        if better is y or not isinstance(better, Symbol):
            return y
        if first is not y and 3 < fine.cost(first) <= MAX_OPERATIONS and better not in self.atoms:
            self.trace.derivations.setdefault(better, (first, coarse.simplest(first)))
        better.inherit_labels(x)
        self.originals[better] = first
        return better


def simplified(
    results: list[Any], trace: Trace, gradients: int, assumptions: bool = True
) -> list[Any]:
    """The results, with the arithmetic of the backward pass in as few operations as it needs.

    The arithmetic of the output, the first of the results, stays as it is, but for sums with a
    number, as 1 - A; and so does what comes after the `gradients`. For `assumptions` see `tidy`.
    """
    rewrite = tidy if assumptions else tidy_exactly
    return trace.rewritten(results, rewrite, _Improvement(results, trace, gradients))


def _with_number(x: Any) -> bool:
    """Whether it is a sum with a number, as 1 - A."""
    return x.function in (np.add, np.subtract) and any(map(is_number, x.args))
