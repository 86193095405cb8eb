"""What the numbers of a wrong gradient say of it: factors, signs, axes and transposes.

Every diagnosis is a residual test: "the sign is flipped" is said when minus the right gradient
equals the claim, and not because it looks like it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

NDArray = npt.NDArray[Any]
Candidates = Iterable[tuple[str, Any]]  # what would have been done, and the gradient that it gives


def close(a: Any, b: Any, rtol: float = 1e-7, atol: float = 0.0) -> bool:
    """Whether two arrays of one shape are equal, relative to the largest element of the second."""
    if np.shape(a) != np.shape(b):
        return False
    a, b = np.asarray(a), np.asarray(b)
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        return np.array_equal(a, b, equal_nan=True)
    return bool(largest(a - b) <= rtol * largest(b) + atol)


def ratio(a: Any, b: Any, rtol: float = 1e-7) -> float | None:
    """The number c with a = c * b, if there is one other than 0."""
    if np.shape(a) != np.shape(b) or not np.isfinite(a).all() or not np.isfinite(b).all():
        return None
    size = np.sum(np.square(b))
    c = float(np.sum(np.multiply(a, b)) / size) if size else 0.0
    return c if c and close(a, np.multiply(c, b), rtol) else None


def largest(x: Any) -> float:
    """The largest absolute value in an array, 0 if it is empty."""
    return float(np.max(np.abs(x), initial=0))


def difference(value: Any, truth: Any) -> tuple[float, float]:
    """The largest absolute difference, and that relative to the largest element of the truth.

    They are inf if there is no value of that shape, and nan if there is no truth.
    """
    if truth is None:
        return np.nan, np.nan
    fitting = None if value is None else as_shape(value, np.shape(truth))
    error = np.inf if fitting is None else largest(fitting - truth)
    return error, error / (largest(truth) or 1.0)


def as_shape(a: Any, shape: tuple[int, ...]) -> NDArray | None:
    """An array in a shape that differs in axes of length 1 only, or in row for column."""
    a = np.asarray(a, dtype=float)
    same = [n for n in a.shape if n != 1] == [n for n in shape if n != 1]
    return a.reshape(shape) if same else None


def diagnose(
    claim: Any,
    right: NDArray,
    sizes: Mapping[int, str],
    arriving: Candidates = (),
    others: Candidates = (),
    rtol: float = 1e-7,
    atol: float = 0.0,
) -> str:
    """What the numbers alone say was done to the right gradient; "unknown" if nothing.

    Args:
        claim: the wrong gradient.
        right: what it should be.
        sizes: names for the numbers that a gradient may be divided by.
        arriving: gradients of what was computed from this value, under its name.
        others: gradients of other values, under their names.
        rtol, atol: the relative and the absolute difference that is rounding.

    >>> diagnose(np.array([2.0, -4.0]), np.array([-1.0, 2.0]), {})
    'the sign is flipped, and it is 2 times too large'
    """
    claim, right = np.asarray(claim, dtype=float), np.asarray(right, dtype=float)
    if not np.isfinite(claim).all():
        return "not finite"
    if claim.T.shape != right.shape and (fitting := as_shape(claim, right.shape)) is not None:
        claim = fitting
    elsewhere = ((f"this is the gradient of {name}", g) for name, g in others)
    plain = itertools.chain(
        _factors(claim, right, sizes, rtol), _shapes(claim, right, arriving), elsewhere
    )
    for words, candidate in plain:
        if close(claim, candidate, rtol, atol):
            return words
    for words, candidate in _factors(claim.T, right, sizes, rtol):
        if close(claim.T, candidate, rtol, atol):
            return f"transposed, and {words}"
    if claim.size > right.size:
        return f"broadcast to {claim.shape}, where the value is {right.shape}"
    if claim.shape != right.shape:
        return f"the shape is {claim.shape}, where the value is {right.shape}"
    return "unknown"


def _factors(
    claim: NDArray, right: NDArray, sizes: Mapping[int, str], rtol: float
) -> Iterator[tuple[str, Any]]:
    """The sign, and factors that people forget."""
    c = ratio(claim, right, rtol)
    if c is None or abs(c - 1) < rtol:
        if not claim.any() and right.any():
            yield "zero", claim
        return
    yield "the sign is flipped", -right
    sign = "the sign is flipped, and it is " if c < 0 else ""
    for factor, words in _common_factors(sizes).items():
        if abs(abs(c) / factor - 1) < rtol:
            yield sign + words, c * right
            return
    if c != -1 and right.size > 1:
        yield f"{sign or 'it is '}{c:.6g} times what it should be", c * right


def _common_factors(sizes: Mapping[int, str]) -> dict[float, str]:
    """Factors by which gradients are often wrong, in words."""
    words = {2.0: "2 times too large", 0.5: "half of what it should be"}
    for n, name in sizes.items():
        words.setdefault(float(n), f"{n} times too large: not divided by {name}")
        words.setdefault(1 / n, f"divided once too often by {n}, {name}")
    for (n, one), (k, other) in itertools.permutations(sizes.items(), 2):
        words.setdefault(n / k, f"divided by {k}, {other}, instead of {n}, {one}")
    return {factor: text for factor, text in words.items() if factor != 1}


def _shapes(claim: NDArray, right: NDArray, arriving: Candidates) -> Iterator[tuple[str, Any]]:
    """Transposes, and sums over other axes than the right ones."""
    if right.ndim == 2:
        yield "transposed", right.T
    for name, g in arriving:
        if g.size > right.size and g.shape != right.shape:
            yield f"not summed over the batch: this is the gradient of {name}", g
            yield from _wrong_sums(claim, right, g)
    for axis in range(right.ndim):
        summed = right.sum(axis, keepdims=True)
        if summed.shape != right.shape:
            yield f"summed over axis {axis}, which belongs to it", summed


def _wrong_sums(claim: NDArray, right: NDArray, g: NDArray) -> Iterator[tuple[str, Any]]:
    """Sums and means of a gradient in the shape of the claim, if another sum is right."""
    every = [c for n in range(1, g.ndim + 1) for c in itertools.combinations(range(g.ndim), n)]
    sums = (as_shape(np.sum(g, axis=axes), right.shape) for axes in every)
    elsewhere = any(total is not None and close(total, right) for total in sums)
    for axes in every:
        total, mean = (as_shape(f(g, axis=axes), claim.shape) for f in (np.sum, np.mean))
        if total is None or (total.size == right.size and close(total, right.reshape(total.shape))):
            continue
        where = f"axis {axes[0]}" if len(axes) == 1 else "all axes"
        if elsewhere:
            yield f"summed over {where}, which is the wrong axis", total
        yield f"a mean over {where}, where a sum belongs", mean
