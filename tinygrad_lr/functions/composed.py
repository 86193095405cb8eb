"""NumPy's other functions: composed of operations, or operations with rules of their own."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lr.messages.arguments import explained
from tinygrad_lr.ops import (
    FUNCTIONS,
    Array,
    Axis,
    Value,
    broadcast_to,
    composed,
    count_reduced,
    expand_dims,
    matmul,
    mean,
    multiply,
    operation,
    reshape,
    sqrt,
    square,
    sum,
    transpose,
)

Arrays = Any  # several: a list, or whatever else can be gone through


def _value(x: Any) -> Array:
    return x if isinstance(x, Value) else np.asanyarray(x)  # subclasses are refused by name


@composed
@explained
def var(x: Array, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Array:
    """The mean squared distance from the mean (over n - ddof, as NumPy)."""
    squares = square(x - mean(x, axis, keepdims=True))
    if not ddof:
        return mean(squares, axis, keepdims=keepdims)
    return sum(squares, axis, keepdims=keepdims) / (count_reduced(x, axis) - ddof)


@composed
@explained
def std(x: Array, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Array:
    """The square root of `var`. Where all elements are equal the derivative is nan."""
    return sqrt(var(x, axis, ddof=ddof, keepdims=keepdims))


@composed
@explained
def prod(x: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The product, multiplied in pairs: the derivatives are exact beside zeros, too."""
    x = _value(x)
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rest = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    factors = x if axis is None else moveaxis(x, axes, tuple(range(len(axes))))
    factors = factors.reshape((count_reduced(x, axis), *rest))
    while len(factors) > 1:
        half, odd = divmod(len(factors), 2)
        products = factors[:half] * factors[half : 2 * half]
        factors = concatenate([products, factors[2 * half :]]) if odd else products
    y = factors[0] if len(factors) else 1 + sum(factors, 0)
    return expand_dims(y, axes) if keepdims else y


@operation("round(x, decimals)", lambda g, y, x, decimals: g * 0)
def round(x: Array, decimals: int = 0) -> Array:
    """x rounded to decimals, halves to even. The derivative is 0 everywhere."""
    return np.round(x, decimals)


@operation("clip(x, a_min, a_max)", lambda g, y, x, a_min, a_max: g * (y == x))
def clip(x: Array, a_min: Array = None, a_max: Array = None) -> Array:
    """x limited to [a_min, a_max]. At the bounds the derivative is 1, beyond them 0."""
    return np.clip(x, a_min, a_max)


@operation(
    "cumsum(x, axis)",
    lambda g, y, x, axis: flip(cumsum(flip(g, axis), axis), axis).reshape(x.shape),
)
def cumsum(x: Array, axis: int | None = None) -> Array:
    return np.cumsum(x, axis=axis)


@composed
def dot(a: Array, b: Array) -> Array:
    """The product of scalars, vectors and matrices, as `numpy.dot`."""
    a, b = _value(a), _value(b)
    if a.ndim == 0 or b.ndim == 0:
        return multiply(a, b)
    return matmul(a, b) if b.ndim <= 2 and a.ndim <= 2 else tensordot(a, b, (-1, b.ndim - 2))


@composed
def outer(a: Array, b: Array) -> Array:
    """The (m, n) products of the m elements of a with the n elements of b."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))


@composed
def tensordot(a: Array, b: Array, axes: Any = 2) -> Array:
    """Sum of products over the last axes of a and the first of b, or over (axes_a, axes_b)."""
    a, b = _value(a), _value(b)
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    summed_a, summed_b = (
        normalize_axis_tuple(x if isinstance(x, int) else tuple(x), v.ndim)
        for x, v in zip(axes, (a, b), strict=True)
    )
    free_a = tuple(i for i in range(a.ndim) if i not in summed_a)
    free_b = tuple(i for i in range(b.ndim) if i not in summed_b)
    left, right = transpose(a, free_a + summed_a), transpose(b, summed_b + free_b)
    rows, columns = left.shape[: len(free_a)], right.shape[len(summed_b) :]
    left = left.reshape((math.prod(rows), math.prod(left.shape[len(free_a) :])))
    right = right.reshape((math.prod(right.shape[: len(summed_b)]), math.prod(columns)))
    return (left @ right).reshape(rows + columns)


def _einsum_rule(i: int, g: Array, y: Array, *operands: Array, subscripts: str) -> Array:
    """The einsum of g and the other operands, repeated along indices that only operand i has."""
    sources, out = subscripts.split("->")
    terms, others = sources.split(","), [*operands]
    term, x = terms.pop(i), others.pop(i)
    shared = "".join(index for index in term if index in "".join([out, *terms]))
    dx = _einsum(g, *others, subscripts=f"{','.join([out, *terms])}->{shared}")
    lengths = dict(zip(shared, dx.shape, strict=True))
    dx = dx.reshape(tuple(lengths.get(index, 1) for index in term))
    return broadcast_to(
        dx, tuple(m if n == 1 else n for m, n in zip(x.shape, dx.shape, strict=True))
    )


@operation("einsum(subscripts, *operands)", _einsum_rule)
def _einsum(*operands: Array, subscripts: str) -> Array:
    return np.einsum(subscripts, *operands)


@composed
def einsum(subscripts: str, *operands: Array) -> Array:
    """Sum of products in Einstein's notation, with an explicit output.

    Raises ValueError for an implicit output or an ellipsis.

    >>> einsum("ij,j->i", np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([10.0, 1.0])).tolist()
    [12.0, 34.0]
    """
    subscripts = subscripts.replace(" ", "")
    if "->" not in subscripts or "." in subscripts:
        raise ValueError(
            f"einsum takes every index by its letter and the output after '->', as in 'ij,jk->ik', "
            f"not {subscripts!r}"
        )
    sources, out = subscripts.split("->")
    terms, values = sources.split(","), list(map(_value, operands))
    for n, term in enumerate(terms[: len(values)]):
        while repeated := [index for index in term if term.count(index) > 1]:
            i = term.index(repeated[0])
            j = term.index(repeated[0], i + 1)
            values[n] = diagonal(values[n], 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + repeated[0]
        terms[n] = term
    return _einsum(*values, subscripts=f"{','.join(terms)}->{out}")


@operation("flip(x, axis)", lambda g, y, x, axis: flip(g, axis))
def flip(x: Array, axis: Axis = None) -> Array:
    return np.flip(x, axis)


@composed
def ravel(x: Array, order: str = "C") -> Array:
    """All elements in one row, the last axis fastest. Raises ValueError for another order."""
    if order != "C":
        raise ValueError(f"ravel: order is 'C', not {order!r}; x.T.ravel() goes by columns")
    return reshape(x, (-1,))


def _axes(x: Array) -> Any:
    """An array whose shape is the numbers of the axes of x."""
    return np.empty(range(np.ndim(x)), bool)


@composed
def moveaxis(x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Array:
    """The same elements with axes moved to new places; the others keep their order."""
    return transpose(x, np.moveaxis(_axes(x), source, destination).shape)


@composed
def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """The same elements with two axes exchanged."""
    return transpose(x, np.swapaxes(_axes(x), axis1, axis2).shape)


@composed
@explained
def squeeze(x: Array, axis: Axis = None) -> Array:
    """The same elements without the axes of length 1, all or those given."""
    shape = np.shape(x)
    if axis is None:
        return reshape(x, tuple(n for n in shape if n != 1))
    axes = normalize_axis_tuple(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ValueError(f"squeeze: axis {axis} of the shape {shape} is not of length 1")
    return reshape(x, tuple(n for i, n in enumerate(shape) if i not in axes))


def _concatenate_rule(i: int, g: Array, y: Array, *arrays: Array, axis: int) -> Array:
    axis %= y.ndim
    start = builtins.sum(x.shape[axis] for x in arrays[:i])
    return g[(slice(None),) * axis + (slice(start, start + arrays[i].shape[axis]),)]


@operation("concatenate([*arrays], axis)", _concatenate_rule)
def _concatenate(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis=axis)


@composed
@explained
def concatenate(arrays: Arrays, axis: int | None = 0) -> Array:
    """Arrays one after the other along an axis (None: all elements in one row)."""
    if axis is None:
        return _concatenate(*map(ravel, arrays), axis=0)
    return _concatenate(*arrays, axis=axis)


@composed
@explained
def stack(arrays: Arrays, axis: int = 0) -> Array:
    """Arrays of equal shape one after the other along a new axis."""
    return concatenate([expand_dims(x, axis) for x in arrays], axis)


@composed
def vstack(arrays: Arrays) -> Array:
    """Arrays below each other; a vector is one row."""
    return concatenate([x if np.ndim(x) > 1 else reshape(x, (1, -1)) for x in arrays])


@composed
def hstack(arrays: Arrays) -> Array:
    """Arrays beside each other: along the columns, or one vector after the other."""
    arrays = [x if np.ndim(x) else reshape(x, (1,)) for x in arrays]
    return concatenate(arrays, 0 if np.ndim(arrays[0]) == 1 else 1)


def _pad_rule(g: Array, y: Array, x: Array, pad_width: Any, **options: Any) -> Array:
    first = np.argwhere(np.pad(np.ones((1,) * x.ndim), pad_width))[0].tolist()
    return g[tuple(slice(i, i + n) for i, n in zip(first, x.shape, strict=True))]


@operation("pad(x, pad_width)", _pad_rule)
def pad(x: Array, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Array:
    """x with a border of constants. Raises ValueError for NumPy's other modes."""
    if mode != "constant":
        raise ValueError(f"pad: only mode='constant' has a derivative here, not {mode!r}")
    return np.pad(x, pad_width, constant_values=constant_values)


@composed
def diagonal(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements whose indices on two axes differ by `offset`, along a new last axis."""
    x = moveaxis(_value(x), (axis1, axis2), (-2, -1))
    *rest, rows, columns = x.shape
    places = np.diagonal(np.arange(rows * columns).reshape(rows, columns), offset)
    return x.reshape((*rest, rows * columns))[..., places]


@composed
def trace(x: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The sum of a diagonal."""
    return sum(diagonal(x, offset, axis1, axis2), -1)


__all__ = [name for name, f in FUNCTIONS.items() if f.__module__ == __name__]
