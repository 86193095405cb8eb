"""Recording of a function that is to be run again: it may not read values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lr.messages.explain import describe
from tinygrad_lr.messages.origin import caller, locate
from tinygrad_lr.ops import Op
from tinygrad_lr.recording import RecordAll, no_grad
from tinygrad_lr.tensor import Tensor

ARRAYS: dict[Any, int] = {np.argmax: 1, np.argmin: 1, np.argsort: 1}  # how many they take
ARRAYS |= dict.fromkeys((np.isnan, np.isinf, np.isfinite, np.logical_not), 1)
ARRAYS |= dict.fromkeys((np.logical_and, np.logical_or), 2)


class RecordingError(TypeError):
    """A function that is recorded to be run again does what would not be the same the next time."""

    __module__ = "tinygrad_lr"


class Mask(Tensor):
    """The Tensor of a comparison, which the operators of masks work on as on an array."""

    __slots__ = ()

    def __and__(self: Any, other: Any) -> Any:
        return np.logical_and(self, other)

    def __or__(self: Any, other: Any) -> Any:
        return np.logical_or(self, other)

    def __xor__(self: Any, other: Any) -> Any:
        return np.not_equal(self, other)

    def __invert__(self) -> Any:
        return np.logical_not(self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__


class Repeatable(RecordAll):
    """Keeps every result, and refuses to read values, which the next run has others of.

    Attributes:
        detached: the tensors that were detached, by the id of their array.
    """

    def __init__(self) -> None:
        super().__init__()
        self.detached: dict[int, Tensor] = {}

    def read(self, tensor: Any, reader: str) -> Any:
        """Refuse the user's line, unless it detaches a tensor, which a program computes as well."""
        if reader == "detach":
            self.detached[id(tensor._array)] = tensor
            return tensor._array
        index = " (as an index of an array a: tg.Tensor(a)[i])" * (tensor.dtype.kind in "iu")
        raise RecordingError(
            f"{reader} reads the values of {describe(tensor)} in a step that is recorded: later "
            f"runs would go on with the values of this one. Choose by np.where(condition, a, b), "
            f"pass what is computed from it as an argument{index}, and look at results after the "
            f"step\n"
            f"  {locate(caller())}"
        )

    def untracked(self, tensor: Any, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A mask or indices as a Tensor, which later runs compute again."""
        if function not in ARRAYS:
            return _mask(super().untracked(tensor, function, args, kwargs, result))
        op = _without_derivative(function)
        given = op.signature.bind(*args, **kwargs).arguments
        names = [name for name in op.signature.parameters if name in given]
        n = ARRAYS[function]
        with no_grad():
            inputs = tuple(given[name] for name in names[:n])
            return _mask(tensor.apply(op, inputs, {name: given[name] for name in names[n:]}))


def _mask(x: Any) -> Any:
    """A Tensor of truth values as a Mask, and anything else as it is."""
    if isinstance(x, Tensor) and x.dtype == bool:
        x.__class__ = Mask
    return x


@functools.cache
def _without_derivative(function: Callable[..., Any]) -> Op:
    """An operation for a function of NumPy's that has no derivative."""
    return Op(f"{function.__name__}(x)", (None,) * ARRAYS[function], function)
