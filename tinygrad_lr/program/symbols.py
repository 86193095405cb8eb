"""Symbolic arrays: NumPy calls on them are traced.

Operations and their rules are NumPy calls and arithmetic, so running them on Symbols gives the
program that computes them. A Symbol also holds the array that it is in the recorded run: it tells
shapes and dtypes, and every rewriting of the program is compared with it.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.ops import Op, Value
from tinygrad_lr.program.calls import Function, add_at, astype, lengths, put, reduced_axes


@dataclass(eq=False, repr=False)
class Symbol(NDArrayOperatorsMixin, Value):
    """A symbolic array: an argument of a program, a number, or the result of a NumPy call."""

    __match_args__ = "function", "args"

    trace: Trace
    value: Any  # the array in the recorded run
    function: Any = None  # what computes it; None for an argument and for a number
    args: tuple[Any, ...] = ()  # what the function is called with, Symbols among it
    kwargs: dict[str, Any] = field(default_factory=dict)
    name: str | None = None  # what the program calls it
    fixed: bool = False  # whether its shape is the same in every run, as that of a parameter
    is_argument: bool = False  # whether the program is called with it
    composite: str = ""  # the operation that it is the result of, if NumPy has none of the name
    suggested_name: str = ""  # what to call it if it has no name and needs one
    comment: str = ""  # what a comment says of it

    def __post_init__(self) -> None:
        self.value = np.asarray(self.value)
        self.current = self  # what it stands for: another Symbol, once it is changed in place
        self.inputs = symbols_in(*self.args, *self.kwargs.values())  # as often as the call has them
        self._shape: tuple[int, ...] = self.value.shape
        if not (self.trace.fixed or self.fixed):  # now: later it would be a recursion
            origins = lengths(self.function, self._shape, self.args, self.kwargs)
            self._shape = tuple(
                Length(n, self, i) if length is None else length
                for i, (n, length) in enumerate(zip(self._shape, origins, strict=True))
            )

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Trace the calls that the operation consists of."""
        result = op.forward(*inputs, **params)
        if isinstance(result, Symbol) and result.current.function and not hasattr(np, op.name):
            result.current.composite = op.name
        return result

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        (out,) = kwargs.pop("out", (None,))
        if method == "at":
            target, index, x = inputs
            return target.rebind(self.trace.emit(add_at, target, index, x))
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        result = self.trace.emit(function, *inputs, **kwargs)
        return result if out is None else out.rebind(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in ATTRIBUTES:
            return getattr(args[0], ATTRIBUTES[function])
        if function in AS_REDUCTION:
            function, kwargs = AS_REDUCTION[function].reduce, {"axis": None, **kwargs}
        result = self.trace.emit(function, *args, **kwargs)
        return result.mutable() if function in (np.zeros, np.empty_like) else result

    def __getitem__(self, index: Any) -> Any:
        return self.trace.emit(operator.getitem, self, index)

    def __setitem__(self, index: Any, x: Any) -> None:
        self.rebind(self.trace.emit(put, self, index, x))

    def astype(self, dtype: Any) -> Any:
        """The same numbers in another dtype."""
        return self.trace.emit(astype, self, np.dtype(dtype))

    def inherit_labels(self, other: Symbol) -> None:
        """Take over what another Symbol is called, where this one has nothing of its own."""
        for label in ("name", "suggested_name", "composite", "comment"):
            setattr(self, label, getattr(self, label) or getattr(other, label))

    def mutable(self) -> Symbol:
        """A Symbol that stands for this one until it is changed in place."""
        return Symbol(self.trace, self.value, fixed=self.fixed).rebind(self)

    def rebind(self, other: Symbol) -> Symbol:
        """Be changed in place: stand for another Symbol from now on."""
        self.current, self.value = other.current, other.value
        return self

    def release(self) -> None:
        """Forget the recorded array, but for its shape and dtype."""
        self.value = np.broadcast_to(np.zeros((), self.dtype), self.value.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis, one that may change as a Length with its origin."""
        return self.current._shape

    @property
    def axes(self) -> list[int]:
        """The axes that it is reduced over, from the first on."""
        default = None if self.function is np.mean else 0
        return reduced_axes(self.args[0].ndim, self.kwargs.get("axis", default))

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.value.dtype

    __hash__ = object.__hash__


AS_REDUCTION: dict[Any, np.ufunc] = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum}
ATTRIBUTES: dict[Any, str] = {np.shape: "shape", np.ndim: "ndim", np.size: "size"}


def tree_leaves(*trees: Any) -> list[Any]:
    """What is in tuples, lists, dicts and slices, and in those within them."""
    leaves = []
    for tree in trees:
        if (kind := tree.__class__) in CONTAINERS:
            leaves += tree_leaves(*CONTAINERS[kind](tree))
        else:
            leaves.append(tree)
    return leaves


def tree_map(tree: Any, function: Callable[[Any], Any]) -> Any:
    """A tree with a function applied to its leaves; Symbols are as they are now, also in Lengths.

    >>> tree_map((1, [2, slice(3, None)]), lambda n: n and 10 * n)
    (10, [20, slice(30, None, None)])
    """
    if (kind := tree.__class__) in CONTAINERS:
        new = [
            function(x.current) if isinstance(x, Symbol) else tree_map(x, function)
            for x in CONTAINERS[kind](tree)
        ]
        if kind is tuple or kind is list:
            return kind(new)
        return slice(*new) if kind is slice else dict(zip(tree, new, strict=True))
    if isinstance(tree, Symbol):
        return function(tree.current)
    if kind is Length and symbols_in(tree):
        terms = tree_map(tree.terms, function)
        return Length(int(tree), *terms) if symbols_in(terms) else int(tree)
    return function(tree)


CONTAINERS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: iter, list: iter, dict: dict.values, slice: lambda s: (s.start, s.stop, s.step)
}  # fmt: skip


def lengths_in(*trees: Any) -> list[Length]:
    """The lengths of Symbols in trees."""
    return [x for x in tree_leaves(*trees) if isinstance(x, Length)]


def symbols_in(*trees: Any) -> list[Symbol]:
    """The Symbols in trees, themselves or with a length of theirs."""
    symbols = []
    for x in trees:
        if isinstance(x, Symbol):
            symbols.append(x.current)
        elif (kind := x.__class__) in CONTAINERS:
            symbols += symbols_in(*CONTAINERS[kind](x))
        elif kind is Length:
            symbols += symbols_in(*x.terms)
    return symbols


def ordered(outputs: Iterable[Any]) -> list[Symbol]:
    """All Symbols that outputs are computed from, inputs before results."""
    done: dict[Symbol, None] = {}
    stack = [(x, False) for x in reversed(symbols_in(*outputs))]
    while stack:
        x, inputs_done = stack.pop()
        if inputs_done:
            done[x] = None
        elif x not in done:
            stack.append((x, True))
            stack += [(y, False) for y in reversed(x.inputs) if y not in done]
    return list(done)


def is_number(x: Any) -> bool:
    """Whether it is a number that is always the same."""
    if isinstance(x, Symbol):
        return not (x.current.function or x.current.is_argument or x.ndim)
    plain = isinstance(x, (int, float, np.number)) and not isinstance(x, (bool, Length))
    return plain or (isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "iuf")


def is_identity(x: Any) -> bool:
    """Whether an array is an identity matrix, as np.eye makes it."""
    return x.ndim == 2 and x.dtype == np.float64 and np.array_equal(x, np.eye(len(x)))


def is_call(x: Any, *functions: Function) -> bool:
    """Whether it is a Symbol that one of the functions computes."""
    return isinstance(x, Symbol) and x.function in functions


def is_one_hot(x: Any) -> bool:
    """Whether it compares labels with the numbers of the classes."""
    columns: Any = value_of(x.args[1]) if is_call(x, np.equal) else 0
    return np.ndim(columns) == 1 and np.array_equal(columns, np.arange(len(columns)))


def value_of(x: Any) -> Any:
    """The array that a Symbol is in the recorded run, and anything else as it is."""
    return x.value if isinstance(x, Symbol) else int(x) if isinstance(x, Length) else x


def largest(x: Any) -> float:
    """The largest finite absolute value in an array, 0 if there is none."""
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


def same(x: Symbol, y: Any) -> bool:
    """Whether y may stand where x does: same shape, dtype and, but for rounding, numbers."""
    a, b = x.value, np.asarray(value_of(y))
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if (a == b).all():  # which takes a tenth of the time
        return True
    scale = largest(a)
    rtol = 1e-4 if a.dtype == np.float32 else 1e-10
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * scale, equal_nan=True))


# shorter to call than to write out, if all is constant; what is reshaped may be repeated
REPEATED = {np.zeros, np.broadcast_to, np.reshape}
MAX_RULES = 40  # within each other, as for the parts of a long sum
COMMUTATIVE = {np.add, np.multiply, np.maximum, np.minimum}


@dataclass(eq=False)
class Trace:
    """The calls of a program, each once, in the order in which they were made."""

    lift: Callable[[Any], Any] = lambda x: x  # makes a Symbol of an array that is none
    rewrite: Callable[[Symbol], Any] = lambda x: x  # may give a simpler one for a new Symbol
    fixed: bool = False  # whether all shapes are the same in every run
    kind: type[Symbol] = Symbol  # of the Symbols that it makes

    def __post_init__(self) -> None:
        self.shared: set[Any] = set()  # the Symbols that are used more than once
        self.labels: set[Symbol] = set()  # arguments that are known to be classes of a loss
        self.assumptions: dict[Symbol, int] = {}  # labels, and how many classes they are of
        self.derivations: dict[Symbol, tuple[Symbol, Symbol]] = {}  # what was simplified
        self._calls: dict[Hashable, Symbol] = {}  # all that were ever made
        self._rewritten: dict[Symbol, Any] = {}
        self._depth = 0  # of rules within rules

    def rewritten(
        self,
        results: Sequence[Any],
        rewrite: Callable[[Symbol], Any],
        improve: Callable[[Symbol, Any, Any], Any] = lambda x, y, _: y,
    ) -> list[Any]:
        """The results, with every call behind them made anew.

        Args:
            results: Symbols, and whatever else a program may give.
            rewrite: takes a new Symbol and may give a simpler one.
            improve: takes a Symbol, what became of it, and its new arguments; gives what stands for
                it in the calls that follow.
        """
        symbols = ordered(results)
        uses = Counter(y for x in symbols for y in x.inputs)
        self.rewrite, self._rewritten, self.shared = rewrite, {}, set()
        new: dict[Any, Any] = {}
        for x in symbols:
            y, args = x, x.args
            if any(new[z] is not z for z in x.inputs):
                args = substitute(args, new)
                y = self.emit(x.function, *args, **substitute(x.kwargs, new))
            elif x.function:
                y = self._simpler(x)
            new[x] = y = improve(x, y, args)
            if uses[x] > 1 and isinstance(y, Symbol):
                self.shared.add(y)
        return [substitute(x, new) for x in results]

    def emit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """The Symbol for a call; without Symbols among its arguments, its result."""
        args, kwargs = tree_map(args, self.lift), kwargs and tree_map(kwargs, self.lift)
        inputs = symbols_in(*args, *kwargs.values())
        constant = function not in REPEATED and all(map(is_number, inputs))
        if constant and not lengths_in(args):
            value = _called(function, args, kwargs)
            return self.number(value) if inputs and np.ndim(value) == 0 else value
        keys = [_key(x) for x in args]
        key = frozenset(keys) if function in COMMUTATIVE else tuple(keys)
        call = function, key, *(map(_key, sorted(kwargs.items())) if kwargs else ())
        if (x := self._calls.get(call)) is None:
            value = _called(function, args, kwargs)
            x = self._calls[call] = self.kind(self, value, function, args, kwargs)
        return self._simpler(x)

    def _simpler(self, x: Symbol) -> Any:
        """What a Symbol is rewritten to."""
        if x not in self._rewritten:
            self._depth += 1
            try:
                self._rewritten[x] = self.rewrite(x) if self._depth < MAX_RULES else x
            finally:
                self._depth -= 1
        return self._rewritten[x]

    def forget(self, kept: Collection[Symbol]) -> None:
        """Forget the calls that were made, and the recorded values but for those that are kept."""
        for x in self._calls.values():
            if x not in kept:
                x.release()
        vars(self).update(vars(Trace(fixed=self.fixed, kind=self.kind)))

    def number(self, value: Any) -> Symbol:
        """A Symbol for a number that is always the same."""
        return Symbol(self, value)

    def argument(self, value: Any, name: str | None = None, fixed: bool = False) -> Symbol:
        """A Symbol for an array that the program is called with."""
        return self.kind(self, value, name=name, fixed=fixed, is_argument=True)


def substitute(tree: Any, new: dict[Any, Any]) -> Any:
    """A tree with other values in place of Symbols."""
    return tree_map(tree, lambda x: new.get(x, x) if isinstance(x, Symbol) else x)


def _called(function: Function, args: Any, kwargs: Any) -> Any:
    """What a call gives in the recorded run."""
    return function(*tree_map(args, value_of), **(kwargs and tree_map(kwargs, value_of)))


def _key(x: Any) -> Hashable:
    """Equal for arguments that are the same."""
    if isinstance(x, Symbol):
        return id(x)
    if isinstance(x, Length):
        return Length, _key(x.terms)
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype, x.tobytes()
    if (kind := x.__class__) in CONTAINERS:
        return kind, tuple(map(_key, CONTAINERS[kind](x)))
    return type(x), repr(x)
