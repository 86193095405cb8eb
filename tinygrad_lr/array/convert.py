"""What comes in: data, operands and params, checked, and copied where a Tensor keeps them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import ArrayMethods
from tinygrad_lr.ops import operand

FLOATS = {np.dtype("f8"), np.dtype("f4")}
REALS = FLOATS | {np.dtype(kind) for kind in "?bhilqBHILQ"}
NUMBERS = {float, int, bool, np.float64, np.float32, Length}


def owned_copy(
    data: Any, requires_grad: bool, dtype: npt.DTypeLike | None = None
) -> npt.NDArray[Any]:
    """A copy of the data in the dtype that a Tensor keeps them in."""
    array = np.array(_real(data))
    dtype = own_dtype(array, requires_grad) if dtype is None else np.dtype(dtype).newbyteorder("=")
    check_dtype(dtype, requires_grad)
    return array.astype(dtype, copy=False)


def own_dtype(array: npt.NDArray[Any], requires_grad: bool) -> np.dtype[Any]:
    """Integers and booleans without a gradient and float32 as they are, float64 for all others."""
    native = array.dtype.newbyteorder("=")
    return native if native in (FLOATS if requires_grad else REALS) else np.dtype(np.float64)


def check_dtype(dtype: np.dtype[Any], requires_grad: bool) -> None:
    """Refuse a Tensor of anything but real numbers, and a gradient through integers."""
    if dtype not in FLOATS and (requires_grad or dtype.kind not in "biu"):
        raise messages.dtype_refused(dtype)


def is_operand(x: Any) -> bool:
    """Whether NumPy computes with x as it is."""
    return x.__class__ in NUMBERS or (x.__class__ is np.ndarray and x.dtype in REALS)


def as_operand(x: Any) -> Any:
    """x as a Tensor, an array or a number of NumPy's."""
    if isinstance(x, ArrayMethods) or is_operand(x):
        return x
    if isinstance(x, np.matrix):
        raise TypeError("np.matrix multiplies by rules of its own: np.asarray(x) gives an array")
    array = _real(x)
    return array if array.dtype in REALS else array.astype(own_dtype(array, False))


def as_param(value: Any, name: str, function: str) -> Any:
    """An axis, a shape or an index: Tensors as their arrays, and arrays copied."""
    if value is None or value.__class__ in NUMBERS:
        return value
    if isinstance(value, (tuple, list)):
        parts = [as_param(part, name, function) for part in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    if isinstance(value, ArrayMethods):
        if getattr(value, "requires_grad", False):
            raise messages.param_requires_gradient(value, name, function)
        value = value._array
    if isinstance(value, np.integer):
        return int(value)
    return value.copy() if isinstance(value, np.ndarray) else value


def _real(x: Any) -> Any:
    """x as an array, if it holds real numbers and nothing gets lost."""
    ma = sys.modules.get("numpy.ma")  # slow to import, and without it there is no such array
    if ma and isinstance(x, ma.MaskedArray):
        raise TypeError("a masked array would lose its mask: fill it first, with .filled(value)")
    array = np.asarray(operand(x))
    if array.dtype.kind not in "biuf":
        raise messages.not_real(x, array)
    return array
