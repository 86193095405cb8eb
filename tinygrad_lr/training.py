"""The training loop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.tensor import Tensor

Metric = Callable[[npt.NDArray[Any], npt.NDArray[Any]], float]


def fit(
    model: Callable[[Any], Tensor],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    loss: Callable[[Tensor, Any], Tensor],
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = None,
    metrics: Mapping[str, Metric] | None = None,
    rng: np.random.Generator | int | None = None,
) -> dict[str, list[float]]:
    """Train a model on samples in rows; on a terminal tqdm, if installed, shows the progress.

    Args:
        model: maps some rows of X to predictions.
        X: (m, ...) inputs.
        y: (m, ...) targets.
        loss: loss(prediction, target), a mean over the rows.
        optimizer: holds the model's parameters.
        epochs: the number of passes over all samples.
        batch_size: rows a step, shuffled every epoch; default all of them, in order.
        metrics: functions of a batch's (prediction, target) arrays by name, as in
            {"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}.
        rng: a `numpy.random.Generator` or a seed, for shuffling.

    Returns:
        The mean over the samples for every epoch, in lists under "loss" and the metrics' names;
        each batch counts as it was before its step.

    Raises:
        TypeError: if loss, optimizer or metrics have the wrong type.
        ValueError: if X and y differ in length, a count is not a whole number of at least 1, or
            a metric is named "loss".

    >>> import tinygrad_lr as tg
    >>> X = np.arange(8.0).reshape(8, 1)
    >>> model = tg.nn.Dense(1, 1, rng=0)
    >>> adam = tg.optim.Adam(model.parameters(), lr=0.1)
    >>> history = fit(model, X, 2 * X + 1, tg.mse_loss, adam, epochs=500)
    >>> len(history["loss"]), model(np.array([[12.0]])).data.round(2)
    (500, array([[25.]]))
    """
    _check_types(loss, optimizer, metrics)
    X, y, metrics = np.asarray(X), np.asarray(y), dict(metrics or {})
    if len(X) != len(y) or not len(X):
        raise ValueError(f"X has {len(X)} rows and y {len(y)}: one target per sample, at least one")
    messages.check_count("epochs", epochs)
    messages.check_count("batch_size", len(X) if batch_size is None else batch_size)
    if "loss" in metrics:
        raise ValueError("a metric cannot be named 'loss': the history holds the loss there")
    generator = np.random.default_rng(rng)
    history: dict[str, list[float]] = {name: [] for name in ("loss", *metrics)}
    for _ in _progress(range(epochs)):
        totals = dict.fromkeys(history, 0.0)
        for rows in _batches(len(X), batch_size, generator):
            pred = model(X[rows])
            value = loss(pred, y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            totals["loss"] += value.item() * len(rows)
            for name, metric in metrics.items():
                totals[name] += float(metric(pred.data, y[rows])) * len(rows)
        for name, total in totals.items():
            history[name].append(total / len(X))
        _warn_of_divergence(history["loss"])
    return history


def _check_types(loss: Any, optimizer: Any, metrics: Any) -> None:
    if not callable(loss) or not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"loss is a function, as mse_loss, and optimizer an object, as "
            f"Adam(model.parameters()), not {loss!r} and {optimizer!r}"
        )
    if not isinstance(metrics or {}, Mapping):
        raise TypeError(
            f"metrics is a dict of functions of (prediction, target), not {metrics!r}: "
            f'{{"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}}'
        )


def _batches(
    m: int, batch_size: int | None, generator: np.random.Generator
) -> list[npt.NDArray[np.intp]]:
    """The numbers of the rows of each batch: all in order, or shuffled."""
    if batch_size is None:
        return [np.arange(m)]
    return np.split(generator.permutation(m), range(batch_size, m, batch_size))


def _warn_of_divergence(losses: list[float]) -> None:
    """Warn when the loss is not finite for the first time."""
    if not np.isfinite(losses[-1]) and np.isfinite(losses[:-1]).all():
        messages.warn(
            f"the loss became {losses[-1]} in epoch {len(losses)}: is lr too large, or a number "
            f"missing? `with detect_anomaly():` finds the operation",
            TensorWarning,
        )


def _progress(epochs: Iterable[int]) -> Iterable[int]:
    """The epochs, with a bar on a terminal if they take more than a second."""
    if not sys.stderr.isatty():
        return epochs
    try:
        from tqdm import tqdm  # an extra: the package itself imports NumPy alone
    except ImportError:
        return epochs
    bar: Iterable[int] = tqdm(epochs, delay=1, unit="epoch")
    return bar
