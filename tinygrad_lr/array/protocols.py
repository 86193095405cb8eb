"""What NumPy's users expect of an array: its functions, methods, comparisons and conversions."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from inspect import getattr_static, signature
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages, ops
from tinygrad_lr.ops import COMPARISONS, FUNCTIONS, Value

FOREIGN = """view unsqueeze permute t clone abs pow norm requires_grad_ add_ mul_ zero_ mm clamp
    numel float double long cuda cpu to masked_fill expand"""
ALIASES = {"absolute": "abs", "fabs": "abs", "amax": "max", "amin": "min", "around": "round"}

# Functions that are constant, or piecewise constant, in the elements.
OF_THE_SHAPE = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like}
WITHOUT_DERIVATIVE = OF_THE_SHAPE | COMPARISONS.keys() | {
    np.isnan, np.isinf, np.isfinite, np.isclose, np.allclose, np.array_equal,
    np.logical_and, np.logical_or, np.logical_not, np.any, np.all,
    np.argmax, np.argmin, np.argsort, np.nonzero, np.count_nonzero, np.searchsorted,
}  # fmt: skip

# NumPy arguments accepted only at the value that has no effect; None always is.
NEUTRAL = {"where": True, "order": "C", "casting": "same_kind", "subok": False}
RENAMED = {"min": "a_min", "max": "a_max"}  # np.clip takes both


def unwrap(x: Any) -> Any:
    """The array of a Tensor, and anything else as it is."""
    return x._array if isinstance(x, ArrayMethods) else x


@functools.cache
def _name(numpy_function: Any) -> str:
    name: str = numpy_function.__name__
    ours = getattr(np, name, None) is numpy_function  # np.linalg.trace is not np.trace
    return ALIASES.get(name, name) if ours else ""


def supported(numpy_function: Any) -> Callable[..., Any] | None:
    """This package's function for one of NumPy's, if there is one."""
    return FUNCTIONS.get(_name(numpy_function))


@functools.cache
def _parameters(function: Callable[..., Any]) -> tuple[list[str], int, bool]:
    """The names of parameters, how many are required, and whether there is a *args."""
    try:
        parameters = signature(function).parameters.values()
    except ValueError:  # NumPy < 2.4 has none for its C functions
        return [], 0, True
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return [p.name for p in parameters], len(required), variadic


def call(numpy_function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call this package's function of the same name; arguments are named and ordered as NumPy's."""
    function = supported(numpy_function)
    if function is None:
        return _call_without_derivative(numpy_function, args, kwargs)
    ours, required, _ = _parameters(function)
    if len(args) == required and not kwargs:
        return function(*args)
    theirs, _, variadic = _parameters(numpy_function)
    if not variadic:
        kwargs = dict(zip(theirs, args, strict=False)) | kwargs
        args = [kwargs.pop(name) for name in theirs[:required] if name in kwargs]
    kwargs = {name if name in ours else RENAMED.get(name, name): v for name, v in kwargs.items()}
    for name in [name for name in kwargs if name not in ours]:  # np.einsum's optimize is for speed
        value = kwargs.pop(name)
        if value is not None and name != "optimize" and NEUTRAL.get(name) is not value:
            raise messages.argument_refused(numpy_function, name)
    return function(*args, **kwargs)


def _call_without_derivative(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function that has no derivative, or refuse it."""
    if function not in WITHOUT_DERIVATIVE:
        raise messages.function_refused(function)
    result = function(*map(unwrap, args), **{name: unwrap(x) for name, x in kwargs.items()})
    if len(args) == 2 and np.ndim(result) == 2:
        check_outer(result, args)
    tensor = next((x for x in (*args, *kwargs.values()) if isinstance(x, ArrayMethods)), None)
    if tensor is None or function in OF_THE_SHAPE:
        return result
    return tensor._untracked(function, args, kwargs, result)


def check_outer(result: Any, operands: Any) -> None:
    """Warn of (n,) with (n, 1), which broadcasts to (n, n)."""
    n, columns = result.shape
    if n == columns > 1:
        a, b = (getattr(x, "shape", None) or np.shape(x) for x in operands)
        if {a, b} == {(n,), (n, 1)}:
            messages.warn_accidental_outer(a, b, operands)


def _comparison(ufunc: np.ufunc, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compared(self: Any, other: Any) -> Any:
        result = compare(self._array, unwrap(other))
        if np.ndim(result) == 2:
            check_outer(result, (self, other))
        return self._untracked(ufunc, (self, other), {}, result)

    return compared


class ForeignName:
    """A name of another library's: the error says what it is here, and `dir` leaves it out."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        raise messages.missing_name(f"a {owner.__name__}", self.name)


def _method(name: str) -> Callable[..., Any]:
    """A method that calls the published function of this name."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[name](self, *args, **kwargs)

    method.__name__, method.__doc__ = name, f"`tinygrad_lr.{name}` of this tensor."
    return method


class _Listing(type):
    def __dir__(cls) -> list[str]:
        return [n for n in super().__dir__() if not isinstance(getattr_static(cls, n), ForeignName)]


class ArrayMethods(Value, metaclass=_Listing):
    """A Value around an ndarray, which it behaves like."""

    __slots__ = ()
    __pandas_priority__ = 5000  # pandas leaves `series * t` to t, above its own types' 4000
    _array: npt.NDArray[Any]
    _read: Callable[[str], npt.NDArray[Any]]  # the values, for a reader without a derivative
    _untracked: Callable[[Any, Any, Any, Any], Any]  # what such a function returns

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`np.exp(t)`, `ndarray + t`: the operation of the same name."""
        if method != "__call__":
            raise messages.method_refused(ufunc, method)
        return call(ufunc, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """`np.sum(t, axis=0)`, `np.dot(W.T, X)`: the operation of the same name."""
        return call(function, args, kwargs)

    exp, log, sqrt, tanh, mean = ops.exp, ops.log, ops.sqrt, ops.tanh, ops.mean
    max, min, copy = ops.max, ops.min, ops.copy
    sigmoid, relu, softmax = map(_method, ("sigmoid", "relu", "softmax"))
    round, __round__ = map(_method, ("round", "round"))
    log_softmax, logsumexp, cumsum = map(_method, ("log_softmax", "logsumexp", "cumsum"))
    var, std, prod, dot = map(_method, ("var", "std", "prod", "dot"))
    diagonal, trace, squeeze = map(_method, ("diagonal", "trace", "squeeze"))
    swapaxes, ravel, flatten = map(_method, ("swapaxes", "ravel", "ravel"))

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Limited to [min, max]."""
        return FUNCTIONS["clip"](self, min, max)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, by default reversed: transpose(1, 0) or transpose((1, 0))."""
        return ops.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    __gt__, __ge__ = map(_comparison, (np.greater, np.greater_equal), (operator.gt, operator.ge))
    __lt__, __le__ = map(_comparison, (np.less, np.less_equal), (operator.lt, operator.le))
    __eq__, __ne__ = map(_comparison, (np.equal, np.not_equal), (operator.eq, operator.ne))
    __hash__ = object.__hash__

    def __dir__(self) -> list[str]:
        return dir(type(self))

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._array.dtype

    def argmax(self: Any, axis: int | None = None, **kwargs: Any) -> Any:
        """The index of the largest element, in an array of integers."""
        messages.check_arguments("argmax", kwargs, ("axis", "keepdims"))
        return np.argmax(self, axis, **kwargs)

    def argmin(self: Any, axis: int | None = None, **kwargs: Any) -> Any:
        """The index of the smallest element, in an array of integers."""
        messages.check_arguments("argmin", kwargs, ("axis", "keepdims"))
        return np.argmin(self, axis, **kwargs)

    def tolist(self) -> Any:
        """The values as (lists of) Python numbers."""
        return self._read("tolist").tolist()

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, x: Any) -> bool:
        return unwrap(x) in self._read("in")

    def __int__(self) -> int:
        return int(self._read("int"))

    def __index__(self) -> int:
        return operator.index(self._read("an index"))

    def __bool__(self) -> bool:
        return bool(self._read("if"))

    def __array__(self: Any, dtype: Any = None, copy: bool | None = None) -> Any:
        if self.requires_grad:
            raise TypeError(messages.cut_off(self))
        return np.array(self._array if copy else self.data, dtype=dtype, copy=copy)

    def __format__(self, spec: str) -> str:
        return format(self._array.item(), spec) if spec else str(self)


for _foreign in FOREIGN.split():  # a __getattr__ would slow down all attributes
    setattr(ArrayMethods, _foreign, ForeignName(_foreign))
