"""How recording grows with the number of operations: `python -m docs.benchmarks.growth`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_lr as tg

SIZES = (300, 1000, 3000, 10_000)
SAMPLES = 30


def parameter(*shape: int) -> tg.Tensor:
    """A small parameter."""
    return tg.Tensor(0.1 * np.random.default_rng(0).normal(size=shape), requires_grad=True)


def chain(n: int) -> Any:
    """n operations on every element, one after the other."""
    w = parameter(3)

    def loss(X: Any) -> Any:
        z = X * w
        for i in range(n // 2):
            z = np.tanh(z) if i % 2 else z * 1.01
            z = z + X
        return z.mean()

    return loss, [data(3)], [w]


def layers(n: int) -> Any:
    """n / 3 layers."""
    weights = [(parameter(4, 4), parameter(4)) for _ in range(n // 3)]

    def loss(X: Any) -> Any:
        for W, b in weights:
            X = np.tanh(X @ W + b)
        return X.mean()

    return loss, [data(4)], [p for pair in weights for p in pair]


def wide(n: int) -> Any:
    """A sum of n / 2 terms."""
    w = parameter(3)

    def loss(X: Any) -> Any:
        z = X @ w
        return np.mean(sum(z * float(i) for i in range(1, n // 2)))

    return loss, [data(3)], [w]


def terms(n: int) -> Any:
    """A sum of n / 4 losses."""
    w = parameter(3)

    def loss(X: Any) -> Any:
        return sum(((X @ w - i) ** 2).mean() for i in range(1, n // 4 + 1))

    return loss, [data(3)], [w]


def numbers(n: int) -> Any:
    """n operations on a number."""
    w = tg.Tensor(0.3, requires_grad=True)

    def loss(x: Any) -> Any:
        z = w * x
        for _ in range(n // 2):
            z = z * 0.99 + w
        return z

    return loss, [np.array(0.5)], [w]


def data(columns: int) -> Any:
    """Thirty samples."""
    return np.random.default_rng(1).normal(size=(SAMPLES, columns))


def samples(n: int) -> Any:
    """A loop over n samples."""
    w = parameter(3)

    def loss(X: Any, y: Any) -> Any:
        z = np.stack([np.tanh(X[i] @ w) for i in range(len(X))])
        return np.mean((z - y) ** 2)

    rng = np.random.default_rng(1)
    return loss, [rng.normal(size=(n, 3)), rng.normal(size=n)], [w]


def backward(loss: Callable[..., Any], *batch: Any) -> None:
    """An ordinary forward and backward pass."""
    loss(*batch).backward()


def seconds(function: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The processor time that a call takes, with the name of the error that it ends with."""
    start, end = time.process_time(), ""
    try:
        function(*arguments, **options)
    except Exception as error:
        end = type(error).__name__
    return f"{time.process_time() - start:9.2f}{end}"


def main(names: Sequence[str], sizes: Sequence[int]) -> None:
    """Print a table for each of the cases."""
    for case in (chain, layers, wide, terms, numbers, samples):
        if names and case.__name__ not in names:
            continue
        print(f"{case.__name__:8}    eager      raw to_numpy  compile  (seconds)")
        for n in sizes:
            loss, batch, params = case(n)
            step = tg.compile(loss, tg.optim.SGD(params, lr=1e-6))
            times = [
                seconds(backward, loss, *map(tg.Tensor, batch)),
                seconds(tg.to_numpy, loss, *batch, simplify=False),
                seconds(tg.to_numpy, loss, *batch),
                seconds(step, *batch),
            ]
            print(f"{n:8}", *times, sep="", flush=True)


if __name__ == "__main__":
    numbers_given = [int(x) for x in sys.argv[1:] if x.isdigit()]
    main([x for x in sys.argv[1:] if not x.isdigit()], numbers_given or SIZES)
