"""Values that stand for arrays in a program: what NumPy is asked to do with them is written down.

Operations and their rules are NumPy calls and arithmetic, so running them on Symbols gives the
program that computes them. A Symbol also holds the array that it has in the recorded run, which
tells shapes and dtypes, and which every rewriting of the program is checked against.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.ops import Op, Value

Function = Callable[..., Any]


def astype(x: Any, dtype: Any) -> Any:
    """x.astype(dtype), as a function."""
    return x.astype(dtype)


def put(out: Any, index: Any, x: Any) -> Any:
    """What `out` is after out[index] = x."""
    out = out.copy()
    out[index] = x
    return out


def add_at(out: Any, index: Any, x: Any) -> Any:
    """What `out` is after np.add.at(out, index, x)."""
    out = out.copy()
    np.add.at(out, index, x)
    return out


class Symbol(NDArrayOperatorsMixin, Value):
    """An array in a program: an argument, or the result of a function of NumPy's.

    Attributes:
        book: what it is written down in.
        function: what computes it; None for an argument and for a number.
        args, kwargs: what the function is called with, Symbols among it.
        value: the array, in the recorded run.
        name: what the program calls it.
        fixed: whether its shape is always the same, as that of a parameter.
        given: whether it is an argument.
        whole: the operation that it is the result of, if NumPy has none of the name.
        now: what it stands for, another Symbol if it was changed in place.
        hint: what to call it if it has no name and needs one.
        said: what a comment says of it.
    """

    __slots__ = (
        "_lengths", "args", "book", "fixed", "function", "given", "hint", "kwargs", "name", "now",
        "said", "value", "whole",
    )  # fmt: skip

    def __init__(
        self,
        book: Book,
        value: Any,
        function: Function | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
        fixed: bool = False,
        given: bool = False,
    ) -> None:
        self.book, self.name, self.fixed, self.given = book, name, fixed, given
        self.value = np.asarray(value)
        self.function, self.args, self.kwargs = function, args, kwargs or {}
        self.now, self.whole, self.hint, self.said = self, "", "", ""
        self._lengths = self._traced()  # at once: later it would be a recursion

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Write down what the operation asks of NumPy."""
        result = op.forward(*inputs, **params)
        if isinstance(result, Symbol) and result.now.function and not hasattr(np, op.name):
            result.now.whole = op.name
        return result

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        (out,) = kwargs.pop("out", (None,))
        if method == "at":
            target, index, x = inputs
            return target.become(self.book.record(add_at, target, index, x))
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        result = self.book.record(function, *inputs, **kwargs)
        return result if out is None else out.become(result)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in OF_THE_SHAPE:
            return OF_THE_SHAPE[function](*args)
        if function in REDUCTIONS:
            function, kwargs = REDUCTIONS[function], {"axis": None, **kwargs}
        result = self.book.record(function, *args, **kwargs)
        return result.changeable() if function in (np.zeros, np.empty_like) else result

    def __getitem__(self, index: Any) -> Any:
        return self.book.record(operator.getitem, self, index)

    def __setitem__(self, index: Any, x: Any) -> None:
        self.become(self.book.record(put, self, index, x))

    def astype(self, dtype: Any) -> Any:
        """The same numbers in another dtype."""
        return self.book.record(astype, self, np.dtype(dtype))

    def stand_for(self, other: Symbol) -> None:
        """Take over what another Symbol is called, where this one has nothing of its own."""
        self.name, self.hint = self.name or other.name, self.hint or other.hint
        self.whole, self.said = self.whole or other.whole, self.said or other.said

    def changeable(self) -> Symbol:
        """A Symbol that stands for this one until it is changed in place."""
        return Symbol(self.book, self.value, fixed=self.fixed).become(self)

    def become(self, other: Symbol) -> Symbol:
        """Be changed in place: stand for another Symbol from now on."""
        self.now, self.value = other.now, other.value
        return self

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def inputs(self) -> list[Symbol]:
        """The Symbols that it is computed from, as often as its call has them."""
        return parts(*self.args, *self.kwargs.values())

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis, each told by where it comes from."""
        if self.now is not self:
            return self.now.shape
        return self._lengths

    def _traced(self) -> tuple[int, ...]:
        """The shape, with lengths that know where they come from if they may change."""
        shape = self.value.shape
        if self.book.fixed or self.fixed:
            return shape
        return tuple(
            Length(n, self, i) if length is None else length
            for i, (n, length) in enumerate(zip(shape, _lengths(self), strict=True))
        )

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", self.function)
        return f"<symbol {self.name or ''} {name} {self.value.shape}>"

    __hash__ = object.__hash__


ELEMENTWISE = {f for f in vars(np).values() if isinstance(f, np.ufunc) and not f.signature}
REDUCTIONS: dict[Any, Function] = {
    np.sum: np.add.reduce, np.max: np.maximum.reduce, np.min: np.minimum.reduce
}  # fmt: skip
OF_THE_SHAPE: dict[Any, Function] = {
    np.shape: lambda x: x.shape,
    np.ndim: lambda x: x.ndim,
    np.size: lambda x: x.size,
}


def parts(*arguments: Any) -> list[Symbol]:
    """The Symbols in arguments: themselves, or those in their tuples, lists and slices."""
    found: list[Symbol] = []
    for x in arguments:
        if isinstance(x, Symbol):
            found.append(x.now)
        elif isinstance(x, (tuple, list)):
            found += parts(*x)
        elif isinstance(x, Length):
            found += parts(*x.terms)
        elif isinstance(x, slice):
            found += parts(x.start, x.stop, x.step)
    return found


def asked(*arguments: Any) -> list[Length]:
    """The numbers in arguments that are asked of shapes, wherever they are in them."""
    found: list[Length] = []
    for x in arguments:
        if isinstance(x, Length):
            found.append(x)
        elif isinstance(x, (tuple, list)):
            found += asked(*x)
        elif isinstance(x, slice):
            found += asked(x.start, x.stop, x.step)
    return found


def ordered(outputs: Iterable[Any]) -> list[Symbol]:
    """All Symbols that outputs are computed from, inputs before results."""
    found: dict[Symbol, None] = {}
    waiting: list[tuple[Symbol, bool]] = [(x, False) for x in reversed(parts(*outputs))]
    while waiting:
        x, ready = waiting.pop()
        if ready:
            found[x] = None
        elif x not in found:
            waiting.append((x, True))
            waiting += [(y, False) for y in reversed(x.inputs) if y not in found]
    return list(found)


def put_in(x: Any, change: Callable[[Any], Any]) -> Any:
    """An argument with everything in it changed that is no tuple, list, dict or slice."""
    if isinstance(x, Symbol):
        return change(x.now)
    if isinstance(x, tuple):
        return tuple([put_in(part, change) for part in x])
    if isinstance(x, list):
        return [put_in(part, change) for part in x]
    if isinstance(x, dict):
        return {name: put_in(part, change) for name, part in x.items()}
    if isinstance(x, slice):
        return slice(*put_in((x.start, x.stop, x.step), change))
    if isinstance(x, Length) and parts(x):
        terms = put_in(x.terms, change)
        return Length(int(x), *terms) if parts(terms) else int(x)
    return change(x)


def is_number(x: Any) -> bool:
    """Whether it is a number that is always the same."""
    if isinstance(x, Symbol):
        return not (x.now.function or x.now.given)
    plain = isinstance(x, (int, float, np.number)) and not isinstance(x, (bool, Length))
    return plain or (isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "iuf")


def is_call(x: Any, *functions: Function) -> bool:
    """Whether it is a Symbol that one of the functions computes."""
    return isinstance(x, Symbol) and x.function in functions


def value_of(x: Any) -> Any:
    """The array that a Symbol has in the recorded run, and anything else as it is."""
    return x.value if isinstance(x, Symbol) else int(x) if isinstance(x, Length) else x


def same(x: Symbol, y: Any) -> bool:
    """Whether y may stand where x does: same shape, dtype and, but for rounding, numbers."""
    a, b = x.value, np.asarray(value_of(y))
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if (a == b).all():  # which takes a tenth of the time
        return True
    scale = np.max(np.abs(a), initial=0.0, where=np.isfinite(a))
    rtol = 1e-4 if a.dtype == np.float32 else 1e-10
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * scale, equal_nan=True))


def axes_of(x: Symbol) -> list[int]:
    """The axes that a reduction goes over, from the first on."""
    ndim, axis = x.args[0].ndim, x.kwargs.get("axis", None if x.function is np.mean else 0)
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return sorted(i % ndim for i in axes)


def in_full(index: Any, ndim: int) -> tuple[Any, ...]:
    """An index as a tuple, with a colon for every axis that its dots or its end leave out."""
    index = index if isinstance(index, tuple) else (index,)
    colons = [slice(None)] * (ndim - sum(i is not None and i is not ... for i in index))
    at = next((n for n, i in enumerate(index) if i is ...), len(index))
    return (*index[:at], *colons, *index[at + 1 :])


def _lengths(x: Symbol) -> tuple[Any, ...]:
    """Where the length of each axis comes from, None where it is not known."""
    shape, function = x.value.shape, x.function
    a: Any
    found: Any
    unknown: tuple[Any, ...] = (None,) * len(shape)
    if function in (np.where, np.clip) or function in ELEMENTWISE:
        found = list(unknown)
        for a in (a for a in x.args if isinstance(a, Symbol)):
            for i in range(1, a.ndim + 1):
                if a.shape[-i] == shape[-i] and (found[-i] is None or type(a.shape[-i]) is int):
                    found[-i] = a.shape[-i]
        return tuple(found)
    if function in (np.zeros, np.arange):
        return x.args[0] if isinstance(x.args[0], tuple) else (x.args[0],)
    a, *rest = [x.args[0] if x.args else None, *x.args[1:]]
    if not isinstance(a, Symbol):
        return unknown
    if function is np.matmul and isinstance(rest[0], Symbol):
        b = rest[0]
        last = b.shape[-1:] if b.ndim > 1 else ()
        found = (*a.shape[:-1], *last) if b.ndim <= 2 else unknown
        return found if len(found) == len(shape) else unknown
    if function is operator.getitem:
        return _chosen(a.shape, rest[0], len(shape))
    if function in (np.reshape, np.broadcast_to):
        asked = rest[0] if isinstance(rest[0], tuple) else (rest[0],)
        return (
            tuple(
                n if isinstance(n, Length) and n == m else m if n == m else None
                for n, m in zip(asked, shape, strict=True)
            )
            if len(asked) == len(shape)
            else unknown
        )
    if function is np.transpose:
        order = rest[0] if rest else x.kwargs.get("axes")
        axes = range(a.ndim)[::-1] if order is None else order
        return tuple(a.shape[i] for i in axes)
    if function is np.mean or getattr(function, "__name__", "") == "reduce":
        gone = axes_of(x)
        if x.kwargs.get("keepdims"):
            return tuple(1 if i in gone else n for i, n in enumerate(a.shape))
        return tuple(n for i, n in enumerate(a.shape) if i not in gone)
    if function in (astype, put, add_at, np.flip, np.copy):
        return a.shape
    return unknown


def _chosen(shape: tuple[Any, ...], index: Any, ndim: int) -> tuple[Any, ...]:
    """The lengths that an index of colons and new axes leaves, or one of places along an axis."""
    index = in_full(index, len(shape))
    counting = (isinstance(i, Symbol) and i.ndim == 1 and i.dtype != bool for i in index)
    if all(counting) and ndim == 1:
        return tuple(index[0].shape)
    whole = slice(None)
    if not all(i is None or (isinstance(i, slice) and i == whole) for i in index):
        return (None,) * ndim
    lengths = iter(shape)
    return tuple(1 if i is None else next(lengths) for i in index)


REPEATED = {np.zeros, np.broadcast_to}  # what they make is told by the call, not by its elements
COMMUTATIVE = {np.add, np.multiply, np.maximum, np.minimum}


class Book:
    """What is written down: each call once, in the order in which it was made.

    Args:
        read: what stands for an array that comes along without being a Symbol.
        rewrite: a function of a new Symbol that may give a simpler one.
        fixed: whether all shapes are always the same.
        kind: of the Symbols that it makes.
    """

    def __init__(
        self,
        read: Callable[[Any], Any] = lambda x: x,
        rewrite: Callable[[Symbol], Any] = lambda x: x,
        fixed: bool = False,
        kind: type[Symbol] = Symbol,
    ) -> None:
        self.read, self.rewrite, self.fixed, self.kind = read, rewrite, fixed, kind
        self.shared: set[Any] = set()
        self.facts: dict[Symbol, Any] = {}
        self.because: dict[Symbol, tuple[Symbol, Symbol]] = {}
        self._known: dict[Hashable, Any] = {}
        self._held: list[Symbol] = []  # so that no id is used again

    def rewritten(
        self,
        results: Sequence[Any],
        rewrite: Callable[[Symbol], Any],
        improve: Callable[[Symbol, Any, Any], Any] = lambda x, y, _: y,
    ) -> list[Any]:
        """The results, with every call behind them written down anew.

        Args:
            results: Symbols, and whatever else a program may give.
            rewrite: a function of a new Symbol that may give a simpler one.
            improve: a function of a Symbol, of what became of it, and of what its arguments are
                now; gives what shall stand for it in the calls that follow.
        """
        symbols = ordered(results)
        uses = Counter(y for x in symbols for y in x.inputs)
        self.rewrite, self._known, self.shared = rewrite, {}, set()
        new: dict[Symbol, Any] = {}

        def renewed(x: Any) -> Any:
            return new.get(x, x) if isinstance(x, Symbol) else x

        for x in symbols:
            y: Any = x
            args = put_in(x.args, renewed)
            if x.function:
                y = self.record(x.function, *args, **put_in(x.kwargs, renewed))
            new[x] = y = improve(x, y, args)
            if uses[x] > 1 and isinstance(y, Symbol):
                self.shared.add(y)
        return [put_in(x, renewed) for x in results]

    def record(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """The Symbol for a call; without Symbols among its arguments, its result."""
        args, kwargs = put_in(args, self.read), kwargs and put_in(kwargs, self.read)
        known = put_in(args, value_of), kwargs and put_in(kwargs, value_of)
        value = function(*known[0], **known[1])
        inputs = parts(*args, *kwargs.values())
        constant = function not in REPEATED and all(map(is_number, inputs))
        if constant and not asked(args):
            return self.number(value) if inputs and np.ndim(value) == 0 else value
        told = map(_key, args)
        key = frozenset(told) if function in COMMUTATIVE else tuple(told)
        call = function, key, *map(_key, sorted(kwargs.items()))
        if call not in self._known:
            symbol = self.kind(self, value, function, args, kwargs)
            self._held.append(symbol)
            self._known[call] = self.rewrite(symbol)
        return self._known[call]

    def number(self, value: Any) -> Symbol:
        """A Symbol for a number that is always the same."""
        return Symbol(self, value)

    def argument(self, value: Any, name: str | None = None, fixed: bool = False) -> Symbol:
        """A Symbol for an array that the program is given."""
        self._held.append(self.kind(self, value, name=name, fixed=fixed, given=True))
        return self._held[-1]


def _key(x: Any) -> Hashable:
    """Equal for arguments that are the same."""
    if isinstance(x, Symbol):
        return id(x)
    if isinstance(x, (tuple, list)):
        return type(x), tuple(map(_key, x))
    if isinstance(x, Length):
        return Length, _key(x.terms)
    if isinstance(x, np.ndarray):
        return x.shape, x.dtype, x.tobytes()
    if isinstance(x, slice):
        return slice, _key((x.start, x.stop, x.step))
    return type(x), repr(x)
