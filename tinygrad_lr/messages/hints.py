"""What to write for a name or an argument that is not here: other libraries', or NumPy's own."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np

from tinygrad_lr.ops import FUNCTIONS

NORM = "np.sqrt(np.sum(t ** 2))"
FIT = "the function fit(model, X, y, loss, optimizer, epochs)"
MODE = "nothing: no layer behaves differently in training"
HINTS = {  # for names of PyTorch, Keras and NumPy
    "view": "reshape", "permute": "transpose", "t": "T", "clone": "copy",
    "abs": "abs(t)", "pow": "t ** p", "norm": NORM, "add_": "t.data += x",
    "unsqueeze": "t[:, None], or np.expand_dims(t, axis)",
    "requires_grad_": "Tensor(data, requires_grad=True)",
    "weight": "W, of the shape (in_features, units)", "bias": "b",
    "train": MODE, "eval": MODE, "fit": FIT, "compile": FIT, "predict": "model(X)",
    "Linear": "nn.Dense(in_features, units)",
    "ReLU": 'activation="relu", or the function relu',
    "Sigmoid": 'activation="sigmoid", or the function sigmoid',
    "Tanh": 'activation="tanh", or the function tanh',
    "Softmax": 'activation="softmax", or the function softmax',
    "MSELoss": "mse_loss(pred, target)",
    "BCELoss": "binary_cross_entropy(pred, target)",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits(logits, target)",
    "CrossEntropyLoss": "cross_entropy(logits, target)",
    "nll_loss": "cross_entropy(logits, target)",
    "from_numpy": "Tensor(array)", "randn": "Tensor(rng.normal(size=shape))",
    "zeros": "Tensor(np.zeros(shape))", "ones": "Tensor(np.ones(shape))",
}  # fmt: skip
REPLACEMENTS = {  # for functions without a derivative rule
    "norm": NORM, "average": "np.sum(w * t) / np.sum(w)", "reciprocal": "1 / t",
    "log2": "np.log(t) / np.log(2)", "log10": "np.log(t) / np.log(10)",
    "expit": "tg.sigmoid(t)", "inner": "a @ b.T",
    "column_stack": "np.stack(..., axis=1) or np.hstack",
}  # fmt: skip
ARGUMENTS = {  # for arguments of NumPy's functions
    "out": "a result is a new Tensor: write `x = x + t`, not `x += t`, where x is an array",
    "where": "use np.where(condition, a, b)",
    "dtype": "use .astype(...)",
    "initial": "combine it with the result",
}


def missing_name(owner: str, name: str) -> AttributeError:
    """The error for a name that `owner` does not have."""
    here = f"; here it is {HINTS[name]}" if name in HINTS else ""
    return AttributeError(f"{owner} has no {name!r}{here}")


def function_refused(function: Any) -> TypeError:
    """The error for a function without a derivative rule."""
    name = function.__name__
    if name in REPLACEMENTS:
        advice = f"; write {REPLACEMENTS[name]}"
    else:
        near = difflib.get_close_matches(name, FUNCTIONS, n=1, cutoff=0.7)
        advice = f"; the nearest with one is {near[0]}" if near else ""
    if getattr(np, name, None) is function:
        name = f"np.{name}"
    elif (getattr(function, "__module__", None) or "").startswith("numpy"):
        name = f"{function.__module__}.{name}".replace("numpy", "np", 1)
    return TypeError(
        f"{name} has no derivative rule here{advice}. On t.data it gives the values alone"
    )


def method_refused(ufunc: Any, method: str) -> TypeError:
    """The error for a method of a ufunc, as np.add.outer."""
    return TypeError(
        f"np.{ufunc.__name__}.{method} has no derivative rule here; sum, prod, max, min, "
        f"logsumexp and cumsum have"
    )


def argument_refused(function: Any, name: str) -> TypeError:
    """The error for an argument that a function does not take on Tensors."""
    advice = ARGUMENTS.get(name, "leave it out")
    return TypeError(f"np.{function.__name__}({name}=...) on a Tensor: {advice}")
