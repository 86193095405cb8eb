"""Rewriting of programs: what a person would not write that way is written otherwise.

Every rewriting is an identity of arithmetic, and its result is compared with what it replaces in
the recorded run; one that differs there by more than rounding is not used.
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
from tinygrad_lr.program.algebra import ARITHMETIC, MOST_OPERATIONS, Algebra, factors
from tinygrad_lr.program.symbols import (
    ELEMENTWISE,
    Book,
    Symbol,
    add_at,
    astype,
    axes_of,
    is_call,
    is_number,
    ordered,
    parts,
    put,
    put_in,
    same,
    value_of,
)

Rule = Callable[[Symbol], Any]
RULES: dict[Any, list[Rule]] = defaultdict(list)  # by the functions whose calls they rewrite
numpy: Any = np  # whose own types do not know of Symbols


def rule(*functions: Any) -> Callable[[Rule], Rule]:
    """Make a function of a Symbol, which may give a simpler one, a rule for some calls."""

    def register(rewrite: Rule) -> Rule:
        for function in functions:
            RULES[function].append(rewrite)
        return rewrite

    return register


def tidy(x: Symbol, facts: bool = True) -> Any:
    """A call in fewer words, if one of the rules knows how.

    `facts` of the recorded data, as that labels have one 1 in every row, may be taken for granted
    or not.
    """
    for rewrite in RULES.get(x.function, ()):
        y = rewrite(x) if facts or rewrite is not _one_hot else None
        if y is not None and y is not x and same(x, y):
            return y
    return x


tidy_always = functools.partial(tidy, facts=False)


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
    a = x.args[0]
    if not isinstance(a, Symbol):
        return None
    if a.function is np.negative:
        return a.args[0]
    if a.function in (np.multiply, np.divide) and _is_free(a):
        b, c = a.args
        if is_call(b, np.negative):
            return a.function(b.args[0], c)
        if is_number(b) and value_of(b) < 0:
            return a.function(-value_of(b), c)
    return None


def _is_free(x: Symbol) -> bool:
    """Whether it is written where it is used, and nowhere else."""
    return not (x.name or x in x.book.shared)


@rule(np.multiply)
def _numbers(x: Symbol) -> Any:
    """(-1) * x; a number times a number times x; a number divided by n, times x."""
    for a, b in (x.args, x.args[::-1]):
        if is_number(a):
            if value_of(a) == -1:
                return -b
            if is_call(b, np.multiply) and not b.name:
                for c, d in (b.args, b.args[::-1]):
                    if is_number(c):
                        return value_of(a) * value_of(c) * d
        elif is_call(a, np.divide) and not (a.name or is_number(b)):
            above, below = a.args
            if is_number(above) and isinstance(below, Length):
                return above * b / below
    return None


@rule(np.transpose)
def _turned(x: Symbol) -> Any:
    """A transpose of a transpose, and of a product with one."""
    a = x.args[0]
    if not isinstance(a, Symbol):
        return None
    if a.function is np.transpose:
        orders = [(y.args[1:] or (None,))[0] for y in (a, x)]
        first, second = (
            range(x.ndim)[::-1] if o is None else [i % x.ndim for i in o] for o in orders
        )
        if [first[i] for i in second] == list(range(x.ndim)):
            return a.args[0]
    if a.function is np.matmul and _is_free(a):
        left, right = a.args
        turned = [y for y in a.args if is_call(y, np.transpose)]
        if left.ndim == right.ndim == 2 and turned:
            return right.T @ left.T
    return None


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
    function: Any = x.function
    y = function(*args)
    if np.shape(value_of(y)) == x.value.shape:
        return y
    return numpy.broadcast_to(y, x.shape) if isinstance(y, Symbol) else None


@rule(np.divide)
def _mean(x: Symbol) -> Any:
    """A sum divided by the number of summands is a mean."""
    total, n = x.args
    if not (isinstance(total, Symbol) and isinstance(n, int)):
        return None
    if total.function is np.negative and isinstance(total.args[0], Symbol):
        y = total.args[0] / n
        return -y if y.function is np.mean else None
    if total.function == np.add.reduce and isinstance(total.args[0], Symbol):
        counted = total.args[0]
        if factors(n) == factors(math.prod(counted.shape[i] for i in axes_of(total))):
            return numpy.mean(counted, **total.kwargs)
    return None


@rule(np.add.reduce)
def _sum(x: Symbol) -> Any:
    """The sum of what has a minus or a number in front has it itself."""
    a = x.args[0]
    if not (isinstance(a, Symbol) and _is_free(a)):
        return None
    if a.function is np.negative:
        return -np.add.reduce(a.args[0], **x.kwargs)
    if a.function in (np.multiply, np.divide):
        for i, b in enumerate(a.args):
            if np.ndim(value_of(b)) == 0 and (i == 1 or a.function is np.multiply):
                return a.function(np.add.reduce(a.args[1 - i], **x.kwargs), b)
    return None


def _added(x: Any) -> tuple[Any, Any] | None:
    """(index, value), if it is zeros with a value added at an index."""
    return x.args[1:] if is_call(x, add_at, put) and is_call(x.args[0], np.zeros) else None


@rule(np.multiply)
def _scattered_product(x: Symbol) -> Any:
    """A product with zeros at all but an index is computed there."""
    for a, b in (x.args, x.args[::-1]):
        if not (isinstance(a, Symbol) and isinstance(b, Symbol) and b.args):
            continue
        if a.value.shape != x.value.shape:
            continue
        if b.function in (np.add, np.subtract) and _added(b.args[0]):
            return b.function(a * b.args[0], a * b.args[1])
        if at := _added(b):
            index, value = at
            there = Algebra(lambda _: False).simplest(value * a[index], spread=True)
            return x.book.record(add_at, b.args[0], index, there)
    return None


@rule(np.add, np.subtract)
def _scattered_sum(x: Symbol) -> Any:
    """To add zeros with a value at an index is to add the value there."""
    for sign, (a, b) in ((1, x.args), (-1, x.args[::-1])):
        whole = isinstance(a, Symbol) and a.value.shape == x.value.shape
        if whole and (at := _added(b)) and not _added(a):
            index, value = at
            if x.function is np.subtract:
                a, value = (a, -value) if sign == 1 else (-a, value)
            return x.book.record(add_at, a, index, value)
    return None


@rule(np.add.reduce)
def _total_of_rows(x: Symbol) -> Any:
    """The sums of rows that hold one value each, which is then what they come to."""
    at = _added(x.args[0])
    if at is None or x.args[0].ndim != 2 or axes_of(x) != [1]:
        return None
    index, value = at
    if not (isinstance(index, tuple) and len(index) == 2 and is_call(index[0], np.arange)):
        return None
    if np.ndim(value_of(value)) == 0:
        return numpy.broadcast_to(value, x.shape)
    return value[:, None] if x.kwargs.get("keepdims") else value


@rule(put)
def _put_whole(x: Symbol) -> Any:
    """What is put into zeros through new axes and fills them is them, in another shape."""
    at = _added(x)
    if at is None or not isinstance(at[1], Symbol) or at[1].value.size != x.value.size:
        return None
    index = at[0] if isinstance(at[0], tuple) else (at[0],)
    plain = all(i is None or i is ... or i == slice(None) for i in index if not _is_array(i))
    if not plain or any(map(_is_array, index)):
        return None
    a, sign = (at[1].args[0], -1) if at[1].function is np.negative else (at[1], 1)
    if a.function == np.add.reduce and a.kwargs.get("keepdims"):
        y = numpy.add.reduce(*a.args, axis=a.kwargs["axis"])
        return sign * y if y.value.shape == x.value.shape else None
    return numpy.reshape(at[1], x.shape)


def _is_array(x: Any) -> bool:
    return isinstance(x, (Symbol, np.ndarray, list))


@rule(np.add.reduce)
def _one_hot(x: Symbol) -> Any:
    """Labels with one 1 in every row add up to 1 there."""
    labels, axis = x.args[0], x.kwargs.get("axis", 0)
    if not isinstance(labels, Symbol) or axis is None or x.value.size == 1 or (x.value != 1).any():
        return None
    if any(y.fixed for y in ordered([labels])) or not np.isin(labels.value, (0, 1)).all():
        return None
    x.book.facts[labels] = axis
    return numpy.broadcast_to(x.book.number(np.ones((), x.dtype)), x.shape)


def simplified(results: list[Any], book: Book, gradients: int, facts: bool = True) -> list[Any]:
    """The results, with the arithmetic of the backward pass in as few operations as it needs.

    What takes part in the output, the first of the results, is not looked into, but for sums with
    a number, as 1 - A; and neither is what comes after the `gradients`. `facts` of the recorded
    data, as that labels have one 1 in every row, may be taken for granted or not.
    """
    forward = set(ordered(results[:1]))
    backward = set(ordered(results[:gradients])) - forward
    symbols = ordered(results)
    roots = {x for x in symbols if x.name} | set(parts(*results))
    roots.update(a for x in symbols if x.function not in ARITHMETIC for a in x.inputs)
    computed: set[Symbol] = set()  # in the forward pass
    letters: set[Any] = set()
    spelled: dict[Any, Any] = {}  # the arithmetic of the backward pass, as it was

    def improve(x: Symbol, y: Any, args: Any) -> Any:
        if not (isinstance(y, Symbol) and y.function):
            return y
        if x in forward or y not in computed:
            y.stand_for(x)
        if x in forward:
            computed.add(y)
        if y.whole or (x in forward and (x.name or not _with_number(y))):
            letters.add(y)
            return y
        if x not in backward or y.function not in ARITHMETIC:
            return y
        call, args = (x.function, args) if x.function in ARITHMETIC else (y.function, y.args)
        long = put_in(args, lambda a: spelled.get(a, a) if isinstance(a, Symbol) else a)
        spelled[y] = first = tidy(Symbol(book, x.value, call, long, name=x.name))
        if x not in roots:
            return y
        expanded = Algebra(lambda a: a in letters)
        kept = Algebra(lambda a: a in letters or _with_number(a))
        better = min(expanded.simplest(y), kept.simplest(y), key=expanded.cost)
        if better is y or not isinstance(better, Symbol):
            return y
        if 3 < expanded.cost(first) <= MOST_OPERATIONS and better not in letters:
            book.because.setdefault(better, (first, kept.simplest(first)))
        better.stand_for(x)
        spelled[better] = first
        return better

    return book.rewritten(results, tidy if facts else tidy_always, improve)


def _with_number(x: Any) -> bool:
    """Whether it is a sum with a number, as 1 - A."""
    return x.function in (np.add, np.subtract) and any(map(is_number, x.args))
