"""A program of a handful of numbers, in Python's own floats: a call of NumPy takes longer."""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lr.compiled.buffers import VIEWS, Plan, Unfit, made
from tinygrad_lr.program.symbols import Symbol, axes_of, parts, put_in, value_of

FORMS: dict[Any, str] = {
    np.add: "({} + {})", np.subtract: "({} - {})", np.multiply: "({} * {})",
    np.divide: "({} / {})", np.power: "({} ** {})", np.negative: "(-{})",
    np.absolute: "abs({})", np.greater: "({} > {})", np.greater_equal: "({} >= {})",
    np.less: "({} < {})", np.less_equal: "({} <= {})", np.equal: "({} == {})",
    np.not_equal: "({} != {})", np.square: "({0} * {0})", np.where: "({1} if {0} else {2})",
    np.maximum: "({0} if {0} > {1} or {0} != {0} else {1})",
    np.minimum: "({0} if {0} < {1} or {0} != {0} else {1})",
}  # fmt: skip
FUNCTIONS = ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sin", "cos")  # NumPy's and math's
FORMS |= {getattr(np, name): f"{name}({{}})" for name in FUNCTIONS}
MOVED = {*VIEWS, np.copy}
ELEMENTS = 25  # of an array on average, up to which a call of NumPy takes longer than the floats
LINES = 2000  # of a program, which has about one for an element

PROGRAM = """\
def run({given}):
    losses, lr = [], float(lr)
    {held}
    try:
        for {batch} in {batches}:
            {lines}
            if not isfinite(loss):
                break
            {state} = {new},
            losses.append(loss)
    except (ArithmeticError, TypeError, ValueError):
        pass
    {stores}
    return {result}
"""


class Scalars:
    """A step in Python's floats.

    Attributes:
        source: what is run.
        run: the step, called as that of a `Machine`.
        many: steps on arrays of batches, as long as all goes well; gives a list of losses.

    Raises:
        Unfit: if the arrays are too large, or it calls what has no counterpart, or there is no
            program to go to where floats raise an error.
    """

    def __init__(self, plan: Plan) -> None:
        order = plan.order()
        results = [x for x in order if x.function]
        size = sum(x.value.size for x in order)
        empty = any(x.value.size == 0 for x in order)
        small = size <= min(ELEMENTS * len(results), LINES)
        if empty or plan.loss.value.dtype != np.float64 or not (small and plan.again):
            raise Unfit
        self.lines: list[str] = []
        self.uses = Counter(y for x in order for y in x.inputs)
        given, used = ["lr", "t", *(f"a{i}" for i in range(len(plan.variables) - 2))], set(order)
        self.values = {
            x: texts(x.value.shape if x in used else (), name.replace("a", "x"))
            for x, name in zip(plan.variables, given, strict=True)
        }
        holders = [array for _, array in plan.finals]
        elements = [texts(array.shape, f"b{n}") for n, array in enumerate(holders)]
        for x, place in plan.places.items():
            for array, names in zip(holders, elements, strict=True):
                if np.may_share_memory(place, array):
                    start = (place.ctypes.data - array.ctypes.data) // array.itemsize
                    self.values[x] = names[start : start + place.size].reshape(place.shape)
        for x in order:
            if x.function:
                self.values[x] = self._value(x)
            elif x in plan.places and x not in self.values:
                own = [g for g, y in plan.gradients if np.may_share_memory(y, plan.places[x])]
                self.values[x] = np.concatenate([self._read(g).ravel() for g in own])
        self.lines.append(f"loss = {self._read(plan.loss).item()}")
        new = [text for x, _ in plan.finals for text in self._read(x)]
        state = [name for names in elements for name in names]
        if plan.variables[1] in used:
            state, new = [*state, "t"], [*new, "t + 1"]
        held = [f"{target(names)} = b{n}.tolist()" for n, names in enumerate(elements)]
        stores = [f"b{n}[{i}] = b{n}_{i}" for n, a in enumerate(holders) for i in range(a.size)]
        space = {f"b{n}": memoryview(array) for n, array in enumerate(holders)}
        space |= {name: getattr(math, name) for name in (*FUNCTIONS, "isfinite")}
        lists = [f"{name}.tolist()" for name in given[2:]]

        def program(batches: str, result: str) -> str:
            return PROGRAM.format(
                given=", ".join(given),
                state=target(state),
                held="\n    ".join(held),
                batch=target(nested(self.values[x]) for x in plan.variables[2:]),
                batches=batches,
                lines="\n            ".join(self.lines),
                new=", ".join(new),
                stores="\n    ".join(stores),
                result=result,
            )

        self.source = program(
            f"(({''.join(f'{x}, ' for x in lists)}),)",
            f"losses[0] if losses else again().run({', '.join(given)})",
        )
        self.run = made(self.source, space | {"again": plan.again})
        self.many = made(program(f"zip({', '.join(lists)})", "losses"), space)

    def _read(self, x: Any) -> Any:
        """The texts of all elements of an argument."""
        if isinstance(x, Symbol) and x in self.values:
            return self.values[x]
        return each(literal, value_of(x))

    def _value(self, x: Symbol) -> Any:
        """The texts of all elements of a result."""
        function, args = x.function, x.args
        if function not in MOVED and x.value.dtype not in (np.float64, np.int64, np.bool_):
            raise Unfit  # floats are not rounded, and do not wrap around, as these are
        if function in MOVED and not any(y in self.values for y in parts(args[1:])):
            rest = put_in(args[1:], value_of)
            result = np.asarray(function(self._read(args[0]), *rest, **x.kwargs), object)
        elif function in FORMS and not x.kwargs:
            result = each(functools.partial(folded, function), *map(self._read, args))
        elif function in (np.matmul, np.dot, np.vdot):
            a, b = map(self._read, args)
            if function is np.vdot:
                a, b = a.ravel(), b.ravel()
            if a.ndim > 2 or b.ndim > 2:
                raise Unfit
            result = np.empty(x.value.shape, object)
            rows, columns = np.atleast_2d(a), b if b.ndim == 2 else b[:, None]
            for n, (row, column) in enumerate(itertools.product(rows, columns.T)):
                terms = (folded(np.multiply, p, q) for p, q in zip(row, column, strict=True))
                result.ravel()[n : n + 1] = total(terms)
        elif function in (np.add.reduce, np.maximum.reduce):
            result = self._reduced(x)
        else:
            raise Unfit
        simple = function in MOVED or self.uses[x] < 2
        return result if simple else self._named(result)

    def _reduced(self, x: Symbol) -> Any:
        """The sums, or the largest, of elements along axes."""
        a, gone = self._read(x.args[0]), axes_of(x)
        rest = [i for i in range(a.ndim) if i not in gone]
        lines = a.transpose([*rest, *gone]).reshape([a.shape[i] for i in rest] + [-1])
        result = np.empty(lines.shape[:-1], object)
        join = self._largest if x.function == np.maximum.reduce else total
        for index in np.ndindex(result.shape):
            result[index] = join(lines[index])
        return result.reshape(x.value.shape)

    def _largest(self, terms: Iterable[str]) -> str:
        """The largest; each step is a line, as its text has both operands twice."""

        def larger(a: str, b: str) -> str:
            text: str = self._named(np.array(FORMS[np.maximum].format(a, b), object)).item()
            return text

        return functools.reduce(larger, terms)

    def _named(self, elements: Any) -> Any:
        """Lines for what is used more than once."""

        def named(text: str) -> str:
            if text.isidentifier() or is_literal(text):
                return text
            name = f"v{len(self.lines)}"
            self.lines.append(f"{name} = {text}")
            return name

        return each(named, elements)


def each(function: Callable[..., str], *arrays: Any) -> Any:
    """The texts that a function makes of the elements of arrays, which it broadcasts."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def texts(shape: tuple[int, ...], name: str) -> Any:
    """A name for every element of an array."""
    names = [f"{name}_{i}" for i in range(math.prod(shape))] if shape else [name]
    return np.array(names, object).reshape(shape)


def target(names: Iterable[str]) -> str:
    """What a list of values is assigned to."""
    return f"[{', '.join(names)}]"


def nested(elements: Any) -> str:
    """The elements of an array, to be assigned what `tolist` makes of one."""
    return target(map(nested, elements)) if np.ndim(elements) else str(elements)


def literal(x: Any) -> str:
    """A number as it is written in a program."""
    if not math.isfinite(x):
        raise Unfit
    return repr(float(x)) if x >= 0 else f"({float(x)!r})"


def is_literal(text: str) -> bool:
    """Whether a text is a number."""
    return text.strip("()-").replace(".", "").replace("e-", "").isdigit()


def folded(function: Any, *operands: str) -> str:
    """An operation, without what adds 0 or multiplies by 0 or 1."""
    a, b = (*operands, "")[:2]
    if function is np.multiply:
        if "0.0" in operands:
            return "0.0"
        if a == "1.0" or b == "1.0":
            return b if a == "1.0" else a
    if function is np.add and "0.0" in (a, b):
        return b if a == "0.0" else a
    if function is np.subtract and b == "0.0":
        return a
    return FORMS[function].format(*operands)


def total(terms: Iterable[str]) -> str:
    """A sum."""
    kept = [text for text in terms if text != "0.0"] or ["0.0"]
    return f"({' + '.join(kept)})" if len(kept) > 1 else kept[0]
