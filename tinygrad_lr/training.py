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
    """Train a model on samples in rows; a progress bar shows when tqdm is there and it takes long.

    Args:
        model: gives predictions for some rows of X.
        X: (m, ...) inputs.
        y: (m, ...) targets.
        loss: loss(prediction, target), a mean over the rows.
        optimizer: holds the model's parameters.
        epochs: how often all samples are used.
        batch_size: rows a step; default all of them, in their order. Batches are shuffled anew
            every epoch.
        metrics: functions of the (prediction, target) arrays of a batch, by name, as in
            {"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}.
        rng: a `numpy.random.Generator` or a seed, for shuffling.

    Returns:
        Lists with one number an epoch under "loss" and the metrics' names: means over the
        samples, each as it was before its batch's step.

    Raises:
        TypeError: for a loss, an optimizer or metrics that are none.
        ValueError: for X and y of different lengths, counts that are no whole numbers > 0, and a
            metric named "loss".

    >>> import tinygrad_lr as tg
    >>> X = np.arange(8.0).reshape(8, 1)
    >>> model = tg.nn.Dense(1, 1, rng=0)
    >>> adam = tg.optim.Adam(model.parameters(), lr=0.1)
    >>> history = fit(model, X, 2 * X + 1, tg.mse_loss, adam, epochs=500)
    >>> len(history["loss"]), model(np.array([[12.0]])).data.round(2)
    (500, array([[25.]]))
    """
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
    X, y = np.asarray(X), np.asarray(y)
    m = len(X)
    if m != len(y) or m == 0:
        raise ValueError(f"X has {m} rows and y {len(y)}: one target a sample, and at least one")
    for name, n in (("epochs", epochs), ("batch_size", m if batch_size is None else batch_size)):
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(f"{name} is a whole number of at least 1, not {n!r}")
    metrics, generator = metrics or {}, np.random.default_rng(rng)
    if "loss" in metrics:
        raise ValueError("a metric cannot be named 'loss': the history holds the loss there")
    history: dict[str, list[float]] = {name: [] for name in ("loss", *metrics)}
    for _ in _progress(range(epochs)):
        order = np.arange(m) if batch_size is None else generator.permutation(m)
        totals = dict.fromkeys(history, 0.0)
        for start in range(0, m, batch_size or m):
            rows = order[start : start + (batch_size or m)]
            pred = model(X[rows])
            value = loss(pred, y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            totals["loss"] += value.item() * len(rows) / m
            for name, metric in metrics.items():
                totals[name] += float(metric(pred.data, y[rows])) * len(rows) / m
        for name, total in totals.items():
            history[name].append(total)
        if not np.isfinite(totals["loss"]) and np.isfinite(history["loss"][:-1]).all():
            messages.warn(
                f"the loss became {totals['loss']} in epoch {len(history['loss'])}: is lr too "
                f"large, or a number missing? `with detect_anomaly():` finds the operation",
                TensorWarning,
            )
    return history


def _progress(epochs: Iterable[int]) -> Iterable[int]:
    """The epochs, with a bar on a terminal once they have taken a second."""
    if not sys.stderr.isatty():
        return epochs
    try:
        from tqdm import tqdm  # an extra: the package itself imports NumPy alone
    except ImportError:
        return epochs
    bar: Iterable[int] = tqdm(epochs, delay=1, unit="epoch")
    return bar
