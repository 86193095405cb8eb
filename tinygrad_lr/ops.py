"""The derivative table: every operation, once, with one rule per argument.

An operation is a NumPy function under `operation(formula, *rules)`. A rule is a vector-Jacobian
product, `vjp(g, y, *inputs, **params)`: from g, the gradient with respect to the result y, it makes
the gradient with respect to its argument. Rules are plain arithmetic, so the same rule holds for
arrays (it gives numbers), for Tensors (it gives a graph, which can be differentiated again) and for
any other `Value`. They ignore broadcasting, which `tensor.unbroadcast` undoes for all of them.

To add an operation, write it here, or anywhere else as those in `functions/`: every tool reads this
table. A function that is composed of operations goes under `@composed` and needs no rule.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

Array = Any  # an ndarray, a number, or a Value that stands for one: see the end of this file
Axis = int | tuple[int, ...] | None
Rule = Callable[..., Array]
Function = Callable[..., Any]

PYTORCH_NAMES = {"dim": "axis", "keepdim": "keepdims"}  # of arguments
# Ufunc signatures by arity, with this table's names for NumPy's x1 and x2.
UFUNCS = {1: inspect.signature(lambda x: x), 2: inspect.signature(lambda a, b: (a, b))}


class Op:
    """One row of the table: a NumPy function and the derivative rule of each array argument.

    Arguments beyond the rules are params (an axis, a shape, an index): they have no derivative and
    reach the function and every rule by keyword, defaults included.
    """

    def __init__(self, formula: str, rules: tuple[Any, ...], forward: Function):
        self.name = forward.__name__.lstrip("_")
        self.formula = formula
        self.forward = forward
        self.signature = UFUNCS.get(getattr(forward, "nin", 0)) or inspect.signature(forward)
        parameters = self.signature.parameters.values()
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.rules: Iterable[Any] = EachArgument(*rules) if self.variadic else rules
        names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
        self.positional = len([p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD])
        self.arrays = [] if self.variadic else names[: len(rules)]
        self.params = names[len(self.arrays) :]
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.required = len(names) - len(self.defaults)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Sort what was passed, by position or by name, into (arrays, params)."""
        n = len(self.arrays)
        if len(args) == n == self.required and not kwargs:
            return args, self.defaults
        if self.variadic:
            return args, self.defaults | kwargs
        params, fits = self.defaults | kwargs, len(args) == n
        if n < len(args) <= self.positional:
            more = dict(zip(self.params, args[n:]))  # noqa: B905 (strict= takes longer)
            params, fits = params | more, more.keys().isdisjoint(kwargs)
        if fits and [*params] == self.params:
            return args[:n], params
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            here = [x for name in kwargs if (x := PYTORCH_NAMES.get(name)) in self.params]
            hints = [f"; here it is {name}" for name in here]
            raise TypeError(f"{self.name}: {error}{''.join(hints)}") from None
        bound.apply_defaults()
        return bound.args[:n], {name: bound.arguments[name] for name in self.params}

    @property
    def sign(self) -> str:
        """The operator between two operands; "" if there is none."""
        words = self.formula.split()
        return words[1] if len(words) == 3 and words[::2] == self.arrays else ""

    def __repr__(self) -> str:
        return f"<operation {self.formula}>"


class EachArgument:
    """The rules of an operation on any number of arrays: one, which gets the position `i` first."""

    def __init__(self, rule: Rule):
        self.rule = rule

    def __iter__(self) -> Iterator[Rule]:
        return (functools.partial(self.rule, i) for i in itertools.count())


OPERATIONS: dict[str, Op] = {}
MODULES: dict[str, str] = {}  # the module that defines each function
FUNCTIONS: dict[str, Function] = {}


def operation(formula: str, *rules: Rule | None, doc: str = "") -> Callable[[Function], Function]:
    """Make a NumPy function an operation, and publish it unless its name begins with `_`.

    Args:
        formula: a Python expression in the function's arguments, for people to read.
        rules: one per array argument; None where it has no derivative.
        doc: documentation; defaults to the function's docstring.

    Raises:
        ValueError: if another module has a function of the same name.
    """
    module = sys._getframe(1).f_globals["__name__"]

    def register(forward: Function) -> Function:
        op = Op(formula, rules, forward)

        @functools.wraps(forward)
        def call(*inputs: Any, **params: Any) -> Any:
            inputs, params = op.bind(inputs, params)
            for x in inputs if params is op.defaults else (*inputs, *params.values()):
                if isinstance(x, Value):
                    return x.apply(op, inputs, params)
            return forward(*map(operand, inputs), **params)

        call.__module__, call.__qualname__ = module, forward.__name__
        own = doc or (not isinstance(forward, np.ufunc) and forward.__doc__)
        call.__doc__ = f"{formula}. {own or 'As in NumPy.'}"
        vars(call)["__signature__"] = op.signature
        _publish(op.name, call)
        OPERATIONS[op.name] = op
        return call

    return register


def composed(function: Function) -> Function:
    """Publish a function made of operations: it needs no derivative rule of its own."""
    return _publish(function.__name__, function)


def _publish(name: str, function: Function) -> Function:
    """Reserve a name for a function's module; NumPy's function of that name will call it."""
    if MODULES.setdefault(name, function.__module__) != function.__module__:
        raise ValueError(f"{MODULES[name]} has a function named {name}: choose another name")
    if not function.__name__.startswith("_"):
        FUNCTIONS[name] = function
    return function


# Elementwise: the formula, the derivative rule of each argument, NumPy's function

# fmt: off
add       = operation("a + b", lambda g, y, a, b: g,     lambda g, y, a, b: g)(np.add)
subtract  = operation("a - b", lambda g, y, a, b: g,     lambda g, y, a, b: -g)(np.subtract)
multiply  = operation("a * b", lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)(np.multiply)
divide    = operation("a / b", lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)(np.divide)
power     = operation("a ** b",
                      lambda g, y, a, b: g * b * a ** (b - 1 + (b == 0)),  # b = 0: a**0, not a**-1
                      lambda g, y, a, b: g * y * log(where(a == 0, 1, a)),
                      doc="0 ** 0 is 1, with derivative 0 in a and in b.")(np.power)

negative  = operation("-x",        lambda g, y, x: -g)(np.negative)
square    = operation("square(x)", lambda g, y, x: g * 2 * x)(np.square)
sqrt      = operation("sqrt(x)",   lambda g, y, x: g / (2 * y),
                      doc="At 0 the derivative is inf.")(np.sqrt)
exp       = operation("exp(x)",    lambda g, y, x: g * y)(np.exp)
expm1     = operation("expm1(x)",  lambda g, y, x: g * (y + 1))(np.expm1)
log: Function = operation("log(x)", lambda g, y, x: g / x,
                      doc="At 0 the value is -inf and the derivative inf.")(np.log)
log1p     = operation("log1p(x)",  lambda g, y, x: g / (1 + x))(np.log1p)
sin       = operation("sin(x)",    lambda g, y, x: g * cos(x))(np.sin)
cos: Function = operation("cos(x)", lambda g, y, x: -g * sin(x))(np.cos)
tanh      = operation("tanh(x)",   lambda g, y, x: g * (1 - y**2))(np.tanh)
sign      = operation("sign(x)",   lambda g, y, x: g * 0)(np.sign)
floor     = operation("floor(x)",  lambda g, y, x: g * 0)(np.floor)
ceil      = operation("ceil(x)",   lambda g, y, x: g * 0)(np.ceil)
maximum   = operation("maximum(a, b)",
                      lambda g, y, a, b: g * ((a > b) + (a == b) / 2),
                      lambda g, y, a, b: g * ((b > a) + (a == b) / 2),
                      doc="Where a and b tie, each gets half of the gradient.")(np.maximum)
minimum   = operation("minimum(a, b)",
                      lambda g, y, a, b: g * ((a < b) + (a == b) / 2),
                      lambda g, y, a, b: g * ((b < a) + (a == b) / 2),
                      doc="Where a and b tie, each gets half of the gradient.")(np.minimum)
# fmt: on


@operation("abs(x)", lambda g, y, x: g * sign(x))
def abs(x: Array) -> Array:
    """Absolute value. At 0 the derivative is 0."""
    return np.abs(x)


@operation(
    "where(condition, a, b)",
    None,
    lambda g, y, condition, a, b: where(condition, g, 0),
    lambda g, y, condition, a, b: where(condition, 0, g),
)
def where(condition: Array, a: Array, b: Array) -> Array:
    """a where the condition holds, b elsewhere.

    The branch that is not taken gets a gradient of 0, but an inf or nan on the way to it still
    makes 0 * inf = nan: choose a safe argument, not a safe result: `log(where(x > 0, x, 1))`.
    """
    return np.where(condition, a, b)


# Comparisons have no derivative: of a Tensor they are plain arrays.
COMPARISONS = {
    compare: Op(f"a {sign} b", (None, None), compare)
    for sign, compare in {
        ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal,
        "==": np.equal, "!=": np.not_equal,
    }.items()
}  # fmt: skip


# Reductions


def restore_axes(g: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduced g with the axes that the reduction dropped put back, so that it broadcasts."""
    return g if keepdims or axis is None else expand_dims(g, axis)


add_reduce: Function = np.add.reduce  # faster than np.sum, which calls it
maximum_reduce: Function = np.maximum.reduce
minimum_reduce: Function = np.minimum.reduce


def _spread(g: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduced g, repeated for all elements of x that it was reduced from."""
    if axis is None and not isinstance(g, Value):
        return np.full(x.shape, g)  # the same, at a third of the time
    return broadcast_to(restore_axes(g, axis, keepdims), x.shape)


def count_reduced(x: Array, axis: Axis) -> int:
    """The number of elements that a reduction of x combines into one."""
    shape = x.shape if isinstance(x, Value) else np.shape(x)  # whose lengths a Value may trace
    if axis is None:
        return math.prod(shape)
    return math.prod(shape[i] for i in normalize_axis_tuple(axis, len(shape)))


def _extremum(g: Array, y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The rule of max and min: elements that tie share the gradient equally."""
    tied = x == restore_axes(y, axis, keepdims)
    return restore_axes(g, axis, keepdims) * (tied / tied.sum(axis=axis, keepdims=True))


@operation("sum(x, axis)", lambda g, y, x, axis, keepdims: _spread(g, x, axis, keepdims))
def sum(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return add_reduce(x, axis=axis, keepdims=keepdims)


@operation(
    "mean(x, axis)",
    lambda g, y, x, axis, keepdims: _spread(g / count_reduced(x, axis), x, axis, keepdims),
)
def mean(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return add_reduce(x, axis=axis, keepdims=keepdims) / count_reduced(x, axis)


@operation("max(x, axis)", _extremum)
def max(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest element. Elements that tie share the gradient equally."""
    return maximum_reduce(x, axis=axis, keepdims=keepdims)


@operation("min(x, axis)", _extremum)
def min(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The smallest element. Elements that tie share the gradient equally."""
    return minimum_reduce(x, axis=axis, keepdims=keepdims)


# Products


def _matrix_vector(a: Array, v: Array) -> Array:
    """a @ v for a vector v, or for a stack of them beside a stack of matrices."""
    return a @ v if v.ndim == 1 else (a @ v[..., None])[..., 0]


def _matmul_left(g: Array, y: Array, a: Array, b: Array) -> Array:
    if a.ndim == 1:
        return _matrix_vector(b, g) if b.ndim > 1 else g * b
    return g @ b.mT if b.ndim > 1 else g[..., None] * b[None]


def _matmul_right(g: Array, y: Array, a: Array, b: Array) -> Array:
    if b.ndim == 1:
        return _matrix_vector(a.mT, g) if a.ndim > 1 else g * a
    return a.mT @ g if a.ndim > 1 else a[:, None] * g[..., None, :]


@operation("a @ b", _matmul_left, _matmul_right)
def matmul(a: Array, b: Array) -> Array:
    """The matrix product of vectors, matrices or stacks of matrices, as `numpy.matmul`."""
    return np.matmul(a, b)


# Shape


@operation("astype(x, dtype)", lambda g, y, x, dtype: astype(g, x.dtype))
def astype(x: Array, dtype: Any) -> Array:
    return _as_array(x).astype(dtype)


@operation("copy(x)", lambda g, y, x: g)
def copy(x: Array) -> Array:
    return np.copy(x)


@operation("reshape(x, shape)", lambda g, y, x, shape: g.reshape(x.shape))
def reshape(x: Array, shape: int | tuple[int, ...]) -> Array:
    return np.reshape(x, shape)


def _transpose_rule(g: Array, y: Array, x: Array, axes: tuple[int, ...] | None) -> Array:
    back = None if axes is None else np.argsort(normalize_axis_tuple(axes, x.ndim)).tolist()
    return transpose(g, back)


@operation("transpose(x, axes)", _transpose_rule)
def transpose(x: Array, axes: tuple[int, ...] | None = None) -> Array:
    return np.transpose(x, axes)


@operation("broadcast_to(x, shape)", lambda g, y, x, shape: g)
def broadcast_to(x: Array, shape: int | tuple[int, ...]) -> Array:
    return np.broadcast_to(x, shape)


@composed
def expand_dims(x: Array, axis: int | tuple[int, ...]) -> Array:
    """The same elements with axes of length 1 put in at the places `axis` of the result."""
    shape = np.shape(x)
    ndim = len(shape) + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    axes, lengths = normalize_axis_tuple(axis, ndim), iter(shape)
    return reshape(x, tuple(1 if i in axes else next(lengths) for i in range(ndim)))


# Indexing


@operation("x[index]", lambda g, y, x, index: add_at(g, index, x.shape))
def getitem(x: Array, index: Any) -> Array:
    """The elements that a NumPy index of any kind chooses; repeated ones add their gradients."""
    return _as_array(x)[index]


def _selects_once(part: Any) -> bool:
    """Whether a part of an index selects no element twice: a basic one, or a mask."""
    basic = part is None or part is ... or isinstance(part, (int, np.integer, slice))
    return basic or (isinstance(part, np.ndarray) and part.dtype.kind == "b")


@operation("add_at(x, index, shape)", lambda g, y, x, index, shape: g[index])
def add_at(x: Array, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of a shape with x added at an index, as often as the index selects an element."""
    x = _as_array(x)
    out = np.zeros(shape, x.dtype, like=x)
    if all(map(_selects_once, index if isinstance(index, tuple) else (index,))):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


# What stands for an array


def operand(x: Any) -> Any:
    """x as NumPy's arithmetic takes it: numbers and arrays as they are, sequences as arrays."""
    return x if isinstance(x, (np.ndarray, np.generic, float, int, complex)) else np.asarray(x)


def _as_array(x: Any) -> Any:
    """x as something with the methods of an array."""
    return x if hasattr(x, "__array_function__") else np.asarray(x)


def _methods(op: Op) -> tuple[Function, Function]:
    """The methods for value + other and other + value, of an operation on two arrays."""

    def direct(self: Value, other: Array) -> Any:
        return self.apply(op, (self, other), op.defaults)

    def reflected(self: Value, other: Array) -> Any:
        return self.apply(op, (other, self), op.defaults)

    direct.__doc__, reflected.__doc__ = op.formula, f"{op.formula}, reflected"
    return direct, reflected


class Value:
    """Stands for an array in an operation: a Tensor, or whatever else gives it a meaning.

    An operation that meets a Value hands itself over, as `value.apply(op, inputs, params)`. Every
    kind of Value must define `apply`, `shape` and `dtype`; the operators and methods here, in which
    the rules are written, follow from these.
    """

    __slots__ = ()
    __array_ufunc__: Any = None  # so that NumPy leaves array * value to value.__rmul__
    shape: Any
    dtype: Any

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """What the operation means to this kind of value."""
        raise NotImplementedError(f"{type(self).__name__} gives no meaning to {op.name}")

    __neg__, __pos__, __abs__ = negative, copy, abs
    __add__, __radd__ = _methods(OPERATIONS["add"])
    __sub__, __rsub__ = _methods(OPERATIONS["subtract"])
    __mul__, __rmul__ = _methods(OPERATIONS["multiply"])
    __truediv__, __rtruediv__ = _methods(OPERATIONS["divide"])
    __pow__, __rpow__ = _methods(OPERATIONS["power"])
    __matmul__, __rmatmul__ = _methods(OPERATIONS["matmul"])
    __gt__, __ge__, __lt__, __le__, __eq__, __ne__ = (_methods(x)[0] for x in COMPARISONS.values())
    __hash__ = object.__hash__
    sum, astype = sum, astype

    def __getitem__(self, index: Any) -> Any:
        return self.apply(OPERATIONS["getitem"], (self,), {"index": index})

    def reshape(self, *shape: Any) -> Any:
        """The same elements in another shape: reshape(2, 3) or reshape((2, 3))."""
        return reshape(self, shape[0] if len(shape) == 1 else shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self) -> Any:
        """All axes reversed."""
        return transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return transpose(self, None if self.ndim == 2 else (*range(self.ndim - 2), -1, -2))


__all__ = [*FUNCTIONS]
