"""A program of a handful of numbers, in Python's own floats: a call of NumPy takes longer."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.compiled.plan import VIEWS, NotApplicable, Plan, compile_function
from tinygrad_lr.program.calls import SIGNS
from tinygrad_lr.program.symbols import Symbol, symbols_in, tree_map, value_of

FORMS: dict[Any, str] = {f: f"({{}} {sign} {{}})" for f, sign in SIGNS.items()}
PRODUCTS = {np.matmul, np.dot, np.vdot}
FORMS |= {
    np.negative: "(-{})", np.absolute: "abs({})", np.square: "({0} * {0})",
    np.where: "({1} if {0} else {2})",
    np.maximum: "({0} if {0} > {1} or {0} != {0} else {1})",
    np.minimum: "({0} if {0} < {1} or {0} != {0} else {1})",
}  # fmt: skip
FUNCTIONS = ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sin", "cos")  # NumPy's and math's
FORMS |= {getattr(np, name): f"{name}({{}})" for name in FUNCTIONS}
MOVES = {*VIEWS, np.copy}
MAX_ELEMENTS = 25  # of an array on average, up to which a call of NumPy takes longer than floats
MAX_LENGTH = 600  # characters of an expression without a name
MAX_LINES = 2000  # of a program, which has about one for an element

PROGRAM = """\
def run({arguments}):
    losses = []
    {loads}
    try:
        for {batch} in {batches}:
            {lines}
            if not isfinite(loss):
                break
            {state} = (
                {new},
            )
            losses.append(loss)
    except (ArithmeticError, TypeError, ValueError):
        pass
    {stores}
    return {result}
"""


class FloatProgram:
    """A step in Python's floats.

    Attributes:
        source: what is run.
        run: the step, called as that of a `BufferedProgram`.
        many: steps on arrays of batches, as long as all goes well; gives a list of losses.

    Raises:
        NotApplicable: if the arrays are too large, or it calls what has no counterpart, or there
            is no program to go to where floats raise an error.
    """

    def __init__(self, plan: Plan) -> None:
        order = plan.order()
        if not (plan.fallback and _is_small(plan.loss, order)):
            raise NotApplicable
        self.lines: list[str] = []
        self._names: dict[str, str] = {}  # of expressions
        self._uses = _uses(plan, order)
        scalars = [f"r{i}" for i in range(len(plan.scalars))]
        arguments = [*scalars, *(f"a{i}" for i in range(len(plan.batch)))]
        self.values = {  # the expressions of the elements of Symbols
            x: element_names(x.value.shape if x in self._uses else (), name.replace("a", "x"))
            for x, name in zip((*plan.scalars, *plan.batch), arguments, strict=True)
        }
        stored = [array for _, array in plan.updates]
        elements = [element_names(array.shape, f"b{n}") for n, array in enumerate(stored)]
        for x, place in plan.places.items():
            for array, names in zip(stored, elements, strict=True):
                if np.may_share_memory(place, array):
                    start = (place.ctypes.data - array.ctypes.data) // array.itemsize
                    self.values[x] = names[start : start + place.size].reshape(place.shape)
        for x in order:
            if x not in self.values and (x.function or x in plan.places):
                y = self._value(x) if x.function else self._gradients(plan, plan.places[x])
                self.values[x] = each(self._name if self._uses[x] > 1 else self._short, y)
        self.lines.append(f"loss = {self._read(plan.loss).item()}")
        self._compile(plan, arguments, stored, elements)

    def _compile(
        self, plan: Plan, arguments: list[str], stored: list[Any], elements: list[Any]
    ) -> None:
        """Make the functions: `elements` are the names of those of the arrays that are stored."""
        state = [name for names in elements for name in names]
        new = [text for x, _ in plan.updates for text in self._read(x)]
        rates, t = arguments[: len(plan.scalars) - 1], arguments[len(plan.scalars) - 1]
        if plan.scalars[-1] in self._uses:
            state, new = [*state, t], [*new, f"{t} + 1"]
        space = {f"b{n}": memoryview(array) for n, array in enumerate(stored)}
        space |= {name: getattr(math, name) for name in (*FUNCTIONS, "isfinite")}
        stores = [f"b{n}[{i}] = {x}" for n, a in enumerate(elements) for i, x in enumerate(a)]
        loads = [f"{name} = float({name})" for name in rates]
        loads += [f"{source_of(x.tolist())} = b{n}.tolist()" for n, x in enumerate(elements)]
        program = functools.partial(
            PROGRAM.format,
            arguments=", ".join(arguments),
            loads="\n    ".join(loads),
            batch=source_of([self.values[x].tolist() for x in plan.batch]),
            lines="\n            ".join(self.lines),
            state=source_of(state),
            new=",\n                ".join(new),
            stores="\n    ".join(stores),
        )
        lists = [f"{name}.tolist()" for name in arguments[len(plan.scalars) :]]
        self.source = program(
            batches=f"[[{', '.join(lists)}]]",
            result=f"losses[0] if losses else fallback({', '.join(arguments)})",
        )
        self.run = compile_function(self.source, space | {"fallback": plan.fallback})
        many = program(batches=f"zip({', '.join(lists)})", result="losses")
        self.many = compile_function(many, space)

    def _gradients(self, plan: Plan, place: Any) -> Any:
        """The elements of an array that gradients are written to."""
        parts = [g for g, array in plan.gradients if np.may_share_memory(array, place)]
        return np.concatenate([self._read(g).ravel() for g in parts])

    def _read(self, x: Any) -> Any:
        """The expressions of all elements of an argument."""
        if isinstance(x, Symbol) and x in self.values:
            return self.values[x]
        return each(literal, value_of(x))

    def _value(self, x: Symbol) -> Any:
        """The expressions of all elements of a result."""
        function = x.function
        if function in MOVES and not any(y in self.values for y in symbols_in(x.args[1:])):
            moved = function(self._read(x.args[0]), *tree_map(x.args[1:], value_of), **x.kwargs)
            return np.asarray(moved, object)
        if x.value.dtype not in (np.float64, np.int64, np.bool_):
            raise NotApplicable  # floats are not rounded, and do not wrap around, as these are
        if function is np.add and x.value.dtype == np.bool_:
            raise NotApplicable  # it is "or"
        if function in (np.add.reduce, np.maximum.reduce):
            join = total if function == np.add.reduce else self._largest
            return reduce_axes(join, self._read(x.args[0]), x.axes).reshape(x.value.shape)
        if x.kwargs or function not in PRODUCTS | FORMS.keys():
            raise NotApplicable
        operands = list(map(self._read, x.args))
        if function not in PRODUCTS:
            return each(functools.partial(fold, function), *operands)
        a, b = (y.ravel() for y in operands) if function is np.vdot else operands
        if a.ndim > 2 or b.ndim > 2:
            raise NotApplicable
        factors = a[..., None], b if b.ndim == 2 else b[:, None]
        terms = each(functools.partial(fold, np.multiply), *factors)
        return reduce_axes(total, terms, [terms.ndim - 2]).reshape(x.value.shape)

    def _largest(self, terms: Iterable[str]) -> str:
        """The largest; each step is a line, as its expression has both operands twice."""
        return functools.reduce(lambda a, b: self._name(FORMS[np.maximum].format(a, b)), terms)

    def _short(self, text: str) -> str:
        """An expression; the name of one that is too long, as Python nests 200 parentheses."""
        return self._name(text) if len(text) > MAX_LENGTH else text

    def _name(self, text: str) -> str:
        """The name of an expression, with a line that computes it; a number is itself."""
        if SIMPLE.fullmatch(text):
            return text
        if text not in self._names:
            self._names[text] = f"v{len(self.lines)}"
            self.lines.append(f"{self._names[text]} = {text}")
        return self._names[text]


SIMPLE = re.compile(r"\(?-?[\w.]+(-\d+)?\)?")  # names, and numbers as 0.1, (-2.0), 1e-05


def _is_small(loss: Symbol, order: Sequence[Symbol]) -> bool:
    """Whether floats are faster than NumPy, and the same."""
    sizes = [x.value.size for x in order]
    results = sum(x.function is not None for x in order)
    small = sum(sizes) <= min(MAX_ELEMENTS * results, MAX_LINES)
    return small and all(sizes) and bool(loss.value.dtype == np.float64)


def _uses(plan: Plan, order: Sequence[Symbol]) -> Counter[Symbol]:
    """How often a Symbol is read; twice by a call if elements of it are in several expressions."""
    uses = Counter([*order, *(x for x, _ in (*plan.gradients, *plan.updates))])
    uses.subtract(order)
    for x in order:
        copies = FORMS.get(x.function, "").count("{0}") or 1
        terms = np.shape(value_of(x.args[0]))[-1:] if x.function in PRODUCTS else ()
        for y in x.inputs:
            uses[y] += 1 + (x.value.size * math.prod(terms) * copies > y.value.size)
    return uses


def each(function: Callable[..., str], *arrays: Any) -> Any:
    """What a function makes of the elements of arrays, which it broadcasts."""
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def reduce_axes(join: Callable[[Any], str], elements: Any, axes: Sequence[int]) -> Any:
    """What a function makes of the elements along axes."""
    rest = [i for i in range(elements.ndim) if i not in axes]
    rows = elements.transpose([*rest, *axes]).reshape([elements.shape[i] for i in rest] + [-1])
    result = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(result.shape):
        result[index] = join(rows[index])
    return result


def element_names(shape: tuple[int, ...], name: str) -> Any:
    """A name for every element of an array."""
    names = [f"{name}_{i}" for i in range(math.prod(shape))] if shape else [name]
    return np.array(names, object).reshape(shape)


def source_of(names: Any) -> str:
    """Lists of names within each other, as a program has them."""
    return str(names).replace("'", "")


def literal(x: Any) -> str:
    """A number as it is written in a program."""
    if not math.isfinite(x):
        raise NotApplicable
    return repr(float(x)) if x >= 0 else f"({float(x)!r})"


def fold(function: Any, *operands: str) -> str:
    """An operation, without what adds 0 or multiplies by 1; 0 * x is nan for some x."""
    match (function, *operands):
        case (np.multiply, "1.0", x) | (np.multiply, x, "1.0"):
            return str(x)
        case (np.add, "0.0", x) | (np.add, x, "0.0") | (np.subtract, x, "0.0"):
            return str(x)
    return FORMS[function].format(*operands)


def total(terms: Iterable[str]) -> str:
    """A sum."""
    terms = [text for text in terms if text != "0.0"] or ["0.0"]
    return f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
