"""What NumPy's users expect of an array: its functions, methods, comparisons and conversions."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import ops
from tinygrad_lr.array import composed
from tinygrad_lr.messages.explain import notice_outer
from tinygrad_lr.ops import COMPARISONS, FUNCTIONS, Value

ALIASES = {"absolute": "abs", "fabs": "abs", "amax": "max", "amin": "min", "around": "round"}

# What tells of an array without changing with its elements, or only in jumps.
OF_THE_SHAPE = {np.shape, np.ndim, np.size, np.zeros_like, np.ones_like, np.empty_like}
WITHOUT_DERIVATIVE = OF_THE_SHAPE | COMPARISONS.keys() | {
    np.isnan, np.isinf, np.isfinite, np.isclose, np.allclose, np.array_equal,
    np.logical_and, np.logical_or, np.logical_not, np.any, np.all,
    np.argmax, np.argmin, np.argsort, np.nonzero, np.count_nonzero, np.searchsorted,
}  # fmt: skip

# Arguments of NumPy's that may be given, as long as they change nothing; None never does.
NEUTRAL = {"where": True, "order": "C", "casting": "same_kind", "subok": False}
RENAMED = {"min": "a_min", "max": "a_max"}  # np.clip takes both
WRITE = {
    "norm": "np.sqrt(np.sum(t ** 2))",
    "average": "np.sum(w * t) / np.sum(w)",
    "reciprocal": "1 / t",
    "column_stack": "np.stack(..., axis=1) or np.hstack",
    "log2": "np.log(t) / np.log(2)",
    "log10": "np.log(t) / np.log(10)",
    "expit": "tg.sigmoid(t)",
    "inner": "a @ b.T",
}
INSTEAD = {
    "out": "a result is a new Tensor: write `x = x + t`, not `x += t`, where x is an array",
    "where": "use np.where(condition, a, b)",
    "dtype": "use .astype(...)",
    "initial": "combine it with the result",
}


def _unwrap(x: Any) -> Any:
    return x._array if isinstance(x, ArrayLike) else x


def _comparison(ufunc: np.ufunc, compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compared(self: Any, other: Any) -> Any:
        result = compare(self._array, _unwrap(other))
        if np.ndim(result) == 2:
            notice_outer((self, other), len(result))
        return self.told(ufunc, (self, other), result)

    return compared


@functools.cache
def supported(numpy_function: Any) -> Callable[..., Any] | None:
    """This package's function for one of NumPy's, if there is one."""
    name = numpy_function.__name__
    if getattr(np, name, None) is not numpy_function:  # np.linalg.trace is not np.trace
        return None
    return FUNCTIONS.get(ALIASES.get(name, name))


@functools.cache
def _parameters(function: Callable[..., Any]) -> tuple[list[str], int, bool]:
    """The names of a function's parameters, how many are required, and whether there is a *args."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # NumPy < 2.4 does not tell those of its C functions
        return [], 0, True
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return [p.name for p in parameters], len(required), variadic


def _call(numpy_function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call this package's function of the same name; arguments are named and ordered as NumPy's."""
    if numpy_function in WITHOUT_DERIVATIVE:
        asked = next((x for x in (*args, *kwargs.values()) if isinstance(x, ArrayLike)), None)
        kwargs = {name: _unwrap(value) for name, value in kwargs.items()}
        result = numpy_function(*map(_unwrap, args), **kwargs)
        if len(args) == 2 and np.ndim(result) == 2:
            notice_outer(args, len(result))
        if asked is None or numpy_function in OF_THE_SHAPE:
            return result
        return asked.told(numpy_function, args, result)
    function = supported(numpy_function)
    if function is None:
        raise TypeError(_refusal(numpy_function))
    ours, required, _ = _parameters(function)
    if len(args) == required and not kwargs:
        return function(*args)
    theirs, _, variadic = _parameters(numpy_function)
    if not variadic:
        kwargs = dict(zip(theirs, args, strict=False)) | kwargs
        args = [kwargs.pop(name) for name in theirs[:required] if name in kwargs]
    kwargs = {name if name in ours else RENAMED.get(name, name): v for name, v in kwargs.items()}
    for name in [name for name in kwargs if name not in ours]:
        value = kwargs.pop(name)
        if value is not None and name != "optimize" and NEUTRAL.get(name) is not value:
            way = INSTEAD.get(name, "leave it out")
            raise TypeError(f"np.{numpy_function.__name__}({name}=...) on a Tensor: {way}")
    return function(*args, **kwargs)


def _refusal(function: Any) -> str:
    import difflib  # here, as few need it and it is slow to import

    name = function.__name__
    near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.7)
    way = (
        f"; write {WRITE[name]}"
        if name in WRITE
        else f"; the nearest with one is {near[0]}"
        if near
        else ""
    )
    if getattr(np, name, None) is function:
        name = f"np.{name}"
    elif (getattr(function, "__module__", None) or "").startswith("numpy"):
        name = f"{function.__module__}.{name}".replace("numpy", "np", 1)
    return f"{name} has no derivative rule here{way}. On t.data it gives the values alone"


class ArrayLike(Value):
    """A Value around an ndarray, which it behaves like."""

    __slots__ = ()
    __pandas_priority__ = 5000  # pandas leaves `series * t` to t, above its own types' 4000
    _array: npt.NDArray[Any]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`np.exp(t)`, `ndarray + t`: the operation of the same name."""
        if method != "__call__":
            raise TypeError(
                f"np.{ufunc.__name__}.{method} has no derivative rule here; sum, prod, max, min, "
                f"logsumexp and cumsum have"
            )
        return _call(ufunc, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """`np.sum(t, axis=0)`, `np.dot(W.T, X)`: the operation of the same name."""
        return _call(function, args, kwargs)

    exp, log, sqrt, tanh = ops.exp, ops.log, ops.sqrt, ops.tanh
    sigmoid, relu, softmax, log_softmax = ops.sigmoid, ops.relu, ops.softmax, ops.log_softmax
    mean, max, min, logsumexp = ops.mean, ops.max, ops.min, ops.logsumexp
    var, std, prod, cumsum = composed.var, composed.std, composed.prod, ops.cumsum
    dot, diagonal, trace, copy = composed.dot, composed.diagonal, composed.trace, ops.copy
    ravel, flatten = composed.ravel, composed.ravel
    squeeze, swapaxes = composed.squeeze, composed.swapaxes
    round = __round__ = ops.round

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """Limited to [min, max]."""
        return ops.clip(self, min, max)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, by default reversed: transpose(1, 0) or transpose((1, 0))."""
        return ops.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    __eq__, __ne__ = _comparison(np.equal, operator.eq), _comparison(np.not_equal, operator.ne)
    __lt__, __le__ = _comparison(np.less, operator.lt), _comparison(np.less_equal, operator.le)
    __gt__ = _comparison(np.greater, operator.gt)
    __ge__ = _comparison(np.greater_equal, operator.ge)
    __hash__ = object.__hash__

    def told(self, function: Any, inputs: Any, result: Any) -> Any:
        """The result of a function without a derivative: a plain array."""
        return result

    def look(self, what: str) -> npt.NDArray[Any]:
        """The values, for `what` goes on with them outside of the graph."""
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self._array.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._array.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._array.dtype

    def argmax(self, axis: int | None = None, **kwargs: Any) -> Any:
        """The index of the largest element, in an array of integers."""
        return self.look("argmax").argmax(axis, **kwargs)

    def argmin(self, axis: int | None = None, **kwargs: Any) -> Any:
        """The index of the smallest element, in an array of integers."""
        return self.look("argmin").argmin(axis, **kwargs)

    def tolist(self) -> Any:
        """The values as (lists of) Python numbers."""
        return self.look("tolist").tolist()

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, x: Any) -> bool:
        return _unwrap(x) in self.look("in")

    def __int__(self) -> int:
        return int(self.look("int"))

    def __index__(self) -> int:
        return operator.index(self.look("an index"))

    def __bool__(self) -> bool:
        return bool(self.look("if"))

    def __format__(self, spec: str) -> str:
        return format(self._array.item(), spec) if spec else str(self)
