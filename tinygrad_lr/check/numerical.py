"""Numerical derivatives of a function of one vector, along a direction.

f maps x to a vector of outputs, d is the direction. An output is uncertain by a unit of rounding of
its magnitude, which is that of the largest quantity in its computation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinygrad_lr.recording import Nested, recording

Vector = npt.NDArray[Any]
Function = Callable[[Vector], Vector]
EPS = float(np.finfo(float).eps)


class Estimate(NamedTuple):
    """The derivatives of all outputs along one direction."""

    value: Vector
    error: Any = 0.0  # of the value, estimated
    left: Any = np.nan  # one-sided slopes, where they differ
    right: Any = np.nan


class _Complex(Nested):
    """Admits complex results to the graph."""

    def check_result(self, node: Any, arrays: list[Any]) -> None:
        """Accept every result."""


def complex_step(f: Function, x: Vector, d: Vector, magnitude: Vector) -> Estimate:
    """Im f(x + ihd) / h: nothing cancels, so h may be tiny and rounding is the only error."""
    with recording(_Complex), warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return Estimate(f(x + 1e-20j * d).imag / 1e-20)


def difference(f: Function, x: Vector, d: Vector, h: float) -> Vector:
    """The central difference quotient of step h."""
    return (f(x + h * d) - f(x - h * d)) / (2 * h)


def central(f: Function, h: float, x: Vector, d: Vector, magnitude: Vector) -> Estimate:
    """One central difference, as PyTorch's gradcheck takes it."""
    return Estimate(difference(f, x, d, h), 0.0, *slopes(f, x, d, magnitude))


def ridders(f: Function, x: Vector, d: Vector, magnitude: Vector) -> Estimate:
    """Central differences of ever smaller steps, extrapolated to the step 0 by polynomials.

    The estimate is the extrapolation that differs least from its three neighbours.
    """
    h = 0.1 * extent(x[d != 0])
    value, error = np.full(len(magnitude), np.nan), np.full(len(magnitude), np.inf)
    before: list[Vector] = []
    for _ in range(24):
        row = [difference(f, x, d, h)]
        for power, coarser in enumerate(before, 1):
            row.append(row[-1] + (row[-1] - coarser) / (4**power - 1))
        for power in range(1, len(before)):
            around = row[power - 1], before[power - 1], before[power]
            change = np.max(np.abs(row[power] - around), axis=0) + EPS * magnitude / h
            value, error = np.where(change < error, (row[power], change), (value, error))
        if (error <= np.maximum(1e-12 * np.abs(value), 4 * EPS * magnitude / h)).all():
            break
        before, h = row[:7], h / 2
    return Estimate(value, error, *slopes(f, x, d, magnitude))


def extent(x: Vector) -> float:
    """The largest magnitude of some numbers, at least 1."""
    return float(np.abs(x).max(initial=1))


def slopes(f: Function, x: Vector, d: Vector, magnitude: Vector) -> tuple[Vector, Vector]:
    """The one-sided slopes at a kink, infinite at a jump; nan where f is smooth."""
    unit, y = extent(x[d != 0]), f(x)
    h = 1e-7 * unit
    coarse, fine = (np.array([(f(x + s * d) - y) / s for s in (-r, r)]) for r in (h, h / 2))
    # Halving the step halves the gap if curvature makes it, and doubles the slopes of a jump.
    gap = np.abs(fine[1] - fine[0])
    kink = gap > np.maximum(0.75 * np.abs(coarse[1] - coarse[0]), 1e-4 * np.abs(fine).max(axis=0))
    kink &= gap > 1e-7 * magnitude / unit
    steeper = (np.abs(fine) > 1.5 * np.abs(coarse)) & (np.abs(fine) * h > 1e-9 * magnitude)
    left, right = np.where(kink, 2 * fine - coarse, np.nan)
    jump = steeper.any(axis=0)
    return np.where(jump, -np.inf, left), np.where(jump, np.inf, right)
