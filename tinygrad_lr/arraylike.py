"""What NumPy's users expect of an array: methods, comparisons, conversions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import composed, ops
from tinygrad_lr.ops import Value


def _comparison(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: compare(self.data, getattr(other, "data", other))


class ArrayLike(Value):
    """A Value with an ndarray in `data`, which it behaves like."""

    __slots__ = ()
    data: npt.NDArray[Any]

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
