"""What to write in place of a function of NumPy's, or of an argument, that has no derivative."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from tinygrad_lr.ops import FUNCTIONS

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


def function_refused(function: Any) -> TypeError:
    """The error for a function without a derivative rule."""
    name = function.__name__
    near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.7)
    way_out = f"; the nearest with one is {near[0]}" if near else ""
    way_out = f"; write {WRITE[name]}" if name in WRITE else way_out
    if getattr(np, name, None) is function:
        name = f"np.{name}"
    elif (getattr(function, "__module__", None) or "").startswith("numpy"):
        name = f"{function.__module__}.{name}".replace("numpy", "np", 1)
    return TypeError(
        f"{name} has no derivative rule here{way_out}. On t.data it gives the values alone"
    )


def method_refused(ufunc: Any, method: str) -> TypeError:
    """The error for a method of a ufunc, as np.add.outer."""
    return TypeError(
        f"np.{ufunc.__name__}.{method} has no derivative rule here; sum, prod, max, min, "
        f"logsumexp and cumsum have"
    )


def argument_refused(function: Any, name: str) -> TypeError:
    """The error for an argument that a function does not take on Tensors."""
    way_out = INSTEAD.get(name, "leave it out")
    return TypeError(f"np.{function.__name__}({name}=...) on a Tensor: {way_out}")
