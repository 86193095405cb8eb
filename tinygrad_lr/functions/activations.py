"""Activation functions: rules of their own keep them exact for arguments of any size."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_lr.ops import (
    FUNCTIONS,
    Array,
    Axis,
    add_reduce,
    astype,
    composed,
    exp,
    maximum_reduce,
    operation,
    restore_axes,
    tanh,
    where,
)


@operation("σ(x)", lambda g, y, x: g * y * (1 - y))
@np.errstate(over="ignore")  # below -709, exp(-x) is inf and 1 / inf the right 0
def sigmoid(x: Array) -> Array:
    """The logistic function 1 / (1 + exp(-x)), in [0, 1], without overflow.

    >>> sigmoid(np.array([-1000.0, -100.0, 0.0, 1000.0])).tolist()
    [0.0, 3.7200759760208356e-44, 0.5, 1.0]
    """
    return 1 / (1 + np.exp(-1.0 * x))  # -x of an unsigned integer would wrap around


@operation("relu(x)", lambda g, y, x: g * (y > 0))
def relu(x: Array) -> Array:
    """max(0, x). At 0 the derivative is 0."""
    return np.maximum(x, 0)


@operation(
    "leaky_relu(x, negative_slope)",
    lambda g, y, x, negative_slope: where(x > 0, g, negative_slope * g),
)
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """x where it is positive, negative_slope * x elsewhere, with that derivative at 0 as well."""
    return np.where(x > 0, x, negative_slope * x)


@composed
def silu(x: Array) -> Array:
    """x * sigmoid(x), also called swish (arXiv:1606.08415)."""
    return x * sigmoid(x)


ERFC = np.frompyfunc(math.erfc, 1, 1)


@operation("normal_cdf(x)", lambda g, y, x: g * exp(-(x**2) / 2) / math.sqrt(2 * math.pi))
def _normal_cdf(x: Array) -> Array:
    """The share of a standard normal distribution below x, exact also where it is tiny."""
    dtype = np.result_type(getattr(x, "dtype", float), np.float32)
    return astype(ERFC(x * -math.sqrt(0.5)), dtype) / 2


@composed
def gelu(x: Array, approximate: str = "none") -> Array:
    """x times the share of a normal distribution below x, by a formula if approximate is "tanh".

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.1587, 0.0, 0.8413]
    """
    if approximate == "none":
        return x * _normal_cdf(x)
    if approximate == "tanh":
        return 0.5 * x * (1 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")


@operation("softplus(x)", lambda g, y, x: g * sigmoid(x))
def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-1.0 * np.abs(x)))


def by_columns(x: Array, axis: Axis = -1) -> Array:
    """x in column-major order, in which NumPy reduces short rows several times as fast."""
    short = isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] <= 32 and axis in (-1, 1)
    return np.asfortranarray(x) if short else x


@operation("softmax(x, axis)", lambda g, y, x, axis: y * (g - (g * y).sum(axis, keepdims=True)))
def softmax(x: Array, axis: Axis = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    >>> softmax(np.array([[1e4, 1e4], [0.0, np.log(3)]])).round(12).tolist()
    [[0.5, 0.5], [0.25, 0.75]]
    """
    x = by_columns(x, axis)
    e = np.exp(1.0 * x - maximum_reduce(x, axis=axis, keepdims=True))
    return e / add_reduce(e, axis=axis, keepdims=True)


@operation("log_softmax(x, axis)", lambda g, y, x, axis: g - exp(y) * g.sum(axis, keepdims=True))
def log_softmax(x: Array, axis: Axis = -1) -> Array:
    """log(softmax(x)), exact where softmax itself rounds to 0 or 1."""
    x = by_columns(x, axis)
    shifted = 1.0 * x - maximum_reduce(x, axis=axis, keepdims=True)
    return shifted - np.log(add_reduce(np.exp(shifted), axis=axis, keepdims=True))


@operation(
    "logsumexp(x, axis)",
    lambda g, y, x, axis, keepdims: restore_axes(g, axis, keepdims) * softmax(x, axis),
)
def logsumexp(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """log(sum(exp(x))), without overflow."""
    m = 1.0 * np.max(x, axis=axis, keepdims=True)
    m = np.where(np.isfinite(m), m, 0.0)
    y = m + np.log(np.sum(np.exp(x - m), axis=axis, keepdims=True))
    return y if keepdims else np.squeeze(y, axis)


logaddexp = operation(
    "logaddexp(a, b)",
    lambda g, y, a, b: g * sigmoid(a - b),
    lambda g, y, a, b: g * sigmoid(b - a),
)(np.logaddexp)

__all__ = [name for name, f in FUNCTIONS.items() if f.__module__ == __name__]
