"""Checks of numbers that functions take, and the errors for data that a Tensor does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def check_count(name: str, n: Any) -> None:
    """Raise ValueError for anything but a whole number of at least 1."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{name} is a whole number of at least 1, not {n!r}")


def check_rate(name: str, value: Any, below: float = math.inf) -> None:
    """Raise ValueError for anything but a number in [0, below)."""
    if not isinstance(value, (int, float, np.number)) or not 0 <= value < below:
        kind, limit = ("finite ", "") if below == math.inf else ("", f" and below {below}")
        raise ValueError(f"{name} is a {kind}number of at least 0{limit}, not {value!r}")


def dtype_refused(dtype: np.dtype[Any]) -> TypeError:
    """The error for a Tensor that cannot have a dtype."""
    which = " that requires a gradient" if dtype.kind in "biu" else ""
    return TypeError(f"a Tensor{which} cannot have dtype {dtype}: use float32 or float64")


def not_real(x: Any, array: np.ndarray[Any, Any]) -> TypeError:
    """The error for data that make an array of something else than real numbers."""
    kind = type(x).__name__
    if array.ndim or isinstance(x, np.ndarray):
        kind += f" of {array.dtype}"
    return TypeError(f"a Tensor takes real numbers, not {kind}")
