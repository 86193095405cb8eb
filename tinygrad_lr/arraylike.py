"""What NumPy's users expect of an array: methods, comparisons, conversions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import composed, ops
from tinygrad_lr.ops import FUNCTIONS, Value

ALIASES = {"absolute": "abs"}  # np.abs is np.absolute
WITHOUT_DERIVATIVE = {
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
    np.isnan, np.isinf, np.isfinite, np.shape, np.ndim, np.size, np.argmax, np.argmin,
    np.zeros_like, np.ones_like, np.allclose, np.array_equal,
}  # fmt: skip


def _array(x: Any) -> Any:
    return x.data if isinstance(x, ArrayLike) else x


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: compare(self.data, _array(other))


class ArrayLike(Value):
    """A Value with an ndarray in `data`, which it behaves like."""

    __slots__ = ()
    data: npt.NDArray[Any]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """`np.exp(t)`, `ndarray + t`: the operation of the same name."""
        name = ALIASES.get(ufunc.__name__, ufunc.__name__)
        if method == "__call__" and name in FUNCTIONS and not kwargs:
            return FUNCTIONS[name](*inputs)
        if method == "__call__" and ufunc in WITHOUT_DERIVATIVE:
            return ufunc(*map(_array, inputs), **kwargs)
        raise TypeError(f"np.{ufunc.__name__} is not supported on Tensors")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """`np.sum(t, axis=0)`, `np.dot(W.T, X)`: the operation of the same name."""
        name = function.__name__
        if name in FUNCTIONS:
            return FUNCTIONS[name](*args, **kwargs)
        if function in WITHOUT_DERIVATIVE:
            return function(*map(_array, args), **kwargs)
        raise TypeError(f"np.{name} is not supported on Tensors")

    exp, log, sqrt, tanh = ops.exp, ops.log, ops.sqrt, ops.tanh
    sigmoid, relu, softmax, log_softmax = ops.sigmoid, ops.relu, ops.softmax, ops.log_softmax
    mean, max, min, logsumexp = ops.mean, ops.max, ops.min, ops.logsumexp
    var, std, prod, cumsum = composed.var, composed.std, composed.prod, ops.cumsum
    dot, diagonal, trace, clip = composed.dot, composed.diagonal, composed.trace, ops.clip
    ravel, flatten = composed.ravel, composed.ravel
    squeeze, swapaxes = composed.squeeze, composed.swapaxes

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, by default reversed: transpose(1, 0) or transpose((1, 0))."""
        return ops.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    __eq__, __ne__ = _comparison(operator.eq), _comparison(operator.ne)
    __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
    __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)
    __hash__ = object.__hash__

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        return self.data.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self.data.dtype

    def argmax(self, axis: int | None = None) -> Any:
        """The index of the largest element, in an array of integers."""
        return self.data.argmax(axis)

    def argmin(self, axis: int | None = None) -> Any:
        """The index of the smallest element, in an array of integers."""
        return self.data.argmin(axis)

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __int__(self) -> int:
        return int(self.data)

    def __index__(self) -> int:
        return operator.index(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __format__(self, spec: str) -> str:
        return format(self.data.item(), spec) if spec else str(self)
