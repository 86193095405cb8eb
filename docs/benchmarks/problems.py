"""The workloads: data, initial weights and an optimizer, from a seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Training = Iterator[tuple[Any, list[Any]]]  # the loss and the weights, a step at a time
TITANIC = Path(__file__).parents[2] / "examples" / "data" / "titanic_features.csv"
CHAIN = 10_000  # operations: h = h * w + b, over and over


class Unavailable(Exception):
    """A competitor is not installed, or takes no part in a workload."""


@dataclass(frozen=True)
class Problem:
    """A step takes each batch once. Samples are rows, and so are targets, except class labels.

    `model` is the name of a function that each framework has. The competitors' weights have to
    agree after `steps`, to `tolerance` relative to their change.
    """

    model: str
    batches: list[tuple[Array, Array]]
    start: list[Array]  # W (features, units) and b (units,) of each layer
    lr: float
    adam: bool = False
    class_weights: Array | None = None
    steps: int = 100  # few, as at an optimum all agree
    tolerance: float = 1e-6

    def weights(self) -> list[Array]:
        """A copy of the start, to be trained in place."""
        return [w.copy() for w in self.start]


def dense(rng: np.random.Generator, *sizes: int) -> list[Array]:
    """W and b of each layer."""
    layers = itertools.pairwise(sizes)
    return [w for m, n in layers for w in (rng.normal(size=(m, n)) / m**0.5, np.zeros(n))]


def linear() -> Problem:
    """linear regression 8×1, SGD"""
    X = np.arange(-2.0, 6.0)[:, None]
    start = dense(np.random.default_rng(0), 1, 1)
    return Problem("linear", [(X, 2 * X + 1)], start, lr=0.01)


def and_gate() -> Problem:
    """AND gate, 4 samples in turn, SGD"""
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [0.0], [0.0], [1.0]])
    samples = [(X[i : i + 1], y[i : i + 1]) for i in range(4)]
    start = dense(np.random.default_rng(0), 2, 1)
    return Problem("neuron", samples, start, lr=0.1)


def titanic() -> Problem:
    """logistic regression 792×14, SGD"""
    data = np.loadtxt(TITANIC, delimiter=",", skiprows=1, usecols=range(16), max_rows=792)
    X, y = data[:, 2:].copy(), data[:, 1:2].copy()
    start = dense(np.random.default_rng(0), 14, 1)
    return Problem("logistic", [(X, y)], start, lr=0.01)


def tumors(weighted: bool = False) -> Problem:
    """softmax regression 700×2 to 2, Adam"""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [272, 428]))
    X = rng.normal(size=(700, 2)) + y[:, None] * [-1.0, 1.0]
    weights = 1 / np.bincount(y) if weighted else None
    return Problem("softmax", [(X, y)], dense(rng, 2, 2), 0.1, adam=True, class_weights=weights)


def weighted_tumors() -> Problem:
    """the same, classes weighted"""
    return tumors(weighted=True)


def digits() -> Problem:
    """784-128-10, ReLU, 128 samples, Adam, float32"""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(128, 784)).astype(np.float32), rng.integers(10, size=128)
    start = [w.astype(np.float32) for w in dense(rng, 784, 128, 10)]
    # Where a gradient is nearly 0, the sign of its rounding error decides on a whole step of Adam.
    return Problem("mlp", [(X, y)], start, 1e-3, adam=True, steps=5, tolerance=1e-3)


def large() -> Problem:
    """logistic regression 100,000×100, SGD"""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 100))
    y = (X @ rng.normal(size=(100, 1)) + rng.normal(size=(100_000, 1)) > 0) * 1.0
    return Problem("logistic", [(X, y)], dense(rng, 100, 1), lr=0.1, steps=5)


def chain() -> Problem:
    """10,000 operations in a chain, SGD"""
    rng = np.random.default_rng(0)
    X, y, b = rng.normal(size=(3, 8))
    w = np.linspace(0.99, 0.999, 8)  # so near to 1 that no gradient becomes denormal
    return Problem("chain", [(X, y)], [w, b], lr=1e-12, steps=3)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "W1": linear,
    "W2": and_gate,
    "W3": titanic,
    "W4": tumors,
    "W4w": weighted_tumors,
    "W5": digits,
    "W6": large,
    "W7": chain,
}
