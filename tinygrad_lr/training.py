"""The training loop, and what a training needs to go on where it stopped."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages, nn, optim, state
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.messages.arguments import explained
from tinygrad_lr.recording import no_grad
from tinygrad_lr.tensor import Tensor

History = dict[str, list[float]]
Metrics = Mapping[str, Callable[..., float]]


@explained
def fit(
    model: Callable[..., Any],
    X: Any,
    y: Any,
    loss: Callable[..., Tensor],
    optimizer: optim.Optimizer,
    epochs: int,
    batch_size: int | None = None,
    metrics: Metrics | None = None,
    rng: np.random.Generator | int | None = None,
    *,
    validation: tuple[Any, Any] | None = None,
    callback: Callable[[History], Any] | None = None,
    clip_norm: float | None = None,
    compile: bool = False,
    verbose: bool | None = None,
) -> History:
    """Train a model on samples in rows.

    Args:
        model: maps rows of X to predictions; in the validation it works as after `eval()`.
        X, y: (m, ...) inputs and targets; tuples of arrays if the model or the loss takes several.
        loss: loss(prediction, target), a mean over the rows.
        optimizer: holds the model's parameters.
        epochs: the number of passes over all samples.
        batch_size: rows a step, shuffled every epoch; default all of them, in order.
        metrics: functions of a batch's (prediction, target) arrays by name, as in
            {"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}.
        rng: a `numpy.random.Generator` or a seed, for shuffling.
        validation: (X, y) of other samples, on which loss and metrics are taken after every epoch.
        callback: called with the history after every epoch; True ends the training.
        clip_norm: limits the norm of the gradients, as `clip_grad_norm` does.
        compile: run the steps as `compile` does; metrics are then taken in the validation alone.
        verbose: True for a bar (of tqdm) or lines on stderr; default a bar after a second.

    Returns:
        The mean over the samples for every epoch, in lists under "loss" and the metrics' names,
        each batch as it was before its step, and under "val_loss" and so on.

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
    arrays, n = _samples(X, y)
    others = _samples(*validation)[0] if validation else []
    messages.check_count("epochs", epochs)
    messages.check_count("batch_size", len(arrays[0]) if batch_size is None else batch_size)
    generator = np.random.default_rng(rng)

    def evaluate(*batch: Any) -> dict[str, Any]:
        pred = model(*batch[:n])
        values = {"loss": loss(pred, *batch[n:])}
        return values | _metrics(metrics, pred, batch[n:])

    def train(*batch: Any) -> dict[str, Any]:
        values = evaluate(*batch)
        optimizer.zero_grad()
        values["loss"].backward()
        if clip_norm is not None:
            optim.clip_grad_norm(optimizer.params, clip_norm)
        optimizer.step()
        return values

    step = _compiled(model, loss, n, optimizer, clip_norm) if compile else train
    history: History = {}
    for _ in _progress(epochs, history, verbose):
        with nn.mode_of(model, training=True):
            _append(history, "", step, _batches(arrays, batch_size, generator))
        if validation:
            with nn.mode_of(model, training=False), no_grad():
                _append(history, "val_", evaluate, _batches(others, batch_size))
        _warn_of_divergence(history["loss"])
        if callback and callback(history):
            break
    return history


class EarlyStopping(state.Stateful):
    """A callback of `fit` that ends a training after so many epochs without progress.

    What is monitored in the history shall fall, or rise if maximize is True. The weights of the
    best epoch are kept in `best`: `model.load_state_dict(stop.best)` goes back to them.
    """

    def __init__(
        self,
        model: nn.Module,
        patience: int = 10,
        monitor: str = "val_loss",
        maximize: bool = False,
    ) -> None:
        messages.check_count("patience", patience)
        self.model, self.patience, self.monitor = model, patience, monitor
        self.maximize, self.best = maximize, model.state_dict()
        self.value, self.wait = -math.inf if maximize else math.inf, 0

    def __call__(self, history: History) -> bool:
        """Look at the last epoch; whether to end. KeyError if the history has no such value."""
        if self.monitor not in history:
            raise KeyError(f"{self.monitor} is not in the history, {[*history]}: pass validation=")
        value, self.wait = history[self.monitor][-1], self.wait + 1
        if value > self.value if self.maximize else value < self.value:
            self.value, self.wait, self.best = value, 0, self.model.state_dict()
        return self.wait >= self.patience


def save(path: str | os.PathLike[str], **parts: Any) -> None:
    """Write models, optimizers, schedules, EarlyStopping and random Generators to one .npz file.

    With the same parts, made as before, `load` goes on exactly from there.

    >>> save("now.npz", model=model, adam=adam, schedule=schedule, rng=rng)     # doctest: +SKIP
    """
    import json  # here and in `load`, as the package itself needs none

    arrays = {}
    for name, part in parts.items():
        if isinstance(part, np.random.Generator):
            text = json.dumps(part.bit_generator.state, default=lambda x: x.tolist())
            arrays[f"{name}:"] = np.array(text)
        else:
            arrays |= {f"{name}:{key}": x for key, x in part.state_dict().items()}
    state.write(path, arrays)


def load(path: str | os.PathLike[str], **parts: Any) -> None:
    """Set parts of a training to what `save` wrote; ValueError if one is missing or differs."""
    import json

    arrays = state.read(path)
    for name, part in parts.items():
        own = {k.partition(":")[2]: x for k, x in arrays.items() if k.startswith(f"{name}:")}
        if isinstance(part, np.random.Generator):
            part.bit_generator.state = json.loads(str(own.get("", "{}")))
        else:
            part.load_state_dict(own)


def _compiled(
    model: Any, loss: Any, n: int, optimizer: optim.Optimizer, clip_norm: float | None
) -> Callable[..., dict[str, Any]]:
    """A compiled step for batches of n inputs and their targets."""
    from tinygrad_lr.compiled.step import Step  # here, as it would triple the time to import

    step = Step(lambda *batch: loss(model(*batch[:n]), *batch[n:]), optimizer, clip_norm)
    return lambda *batch: {"loss": step(*batch)}


def _metrics(metrics: Metrics | None, pred: Any, target: Any) -> dict[str, float]:
    """The metrics of a batch, which are functions of arrays."""
    pred = tuple(map(unwrap, pred)) if isinstance(pred, tuple) else unwrap(pred)
    return {name: float(f(pred, *target)) for name, f in (metrics or {}).items()}


def _append(history: History, prefix: str, step: Callable[..., Any], batches: Any) -> None:
    """Append the means over all samples of what a step gives for each batch."""
    totals, m = defaultdict[str, float](float), 0
    for batch in batches:
        m += len(batch[0])
        for name, value in step(*batch).items():
            totals[name] += len(batch[0]) * float(unwrap(value))
    for name, total in totals.items():
        history.setdefault(prefix + name, []).append(total / m)


def _samples(X: Any, y: Any) -> tuple[list[npt.NDArray[Any]], int]:
    """The arrays of inputs and targets, and how many are inputs."""
    inputs = [np.asarray(x) for x in (X if isinstance(X, tuple) else (X,))]
    targets = [np.asarray(t) for t in (y if isinstance(y, tuple) else (y,))]
    if len({len(a) for a in (*inputs, *targets)}) > 1 or not len(inputs[0]):
        x, t = (", ".join(str(len(a)) for a in group) for group in (inputs, targets))
        raise ValueError(f"X has {x} rows and y {t}: one target per sample, at least one")
    return inputs + targets, len(inputs)


def _check_types(loss: Any, optimizer: Any, metrics: Any) -> None:
    if not callable(loss) or not isinstance(optimizer, optim.Optimizer):
        raise TypeError(
            f"loss is a function, as mse_loss, and optimizer an object, as "
            f"Adam(model.parameters()), not {loss!r} and {optimizer!r}"
        )
    if not isinstance(metrics or {}, Mapping):
        raise TypeError(
            f"metrics is a dict of functions of (prediction, target), not {metrics!r}: "
            f'{{"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}}'
        )
    if "loss" in (metrics or {}):
        raise ValueError("a metric cannot be named 'loss': the history holds the loss there")


def _batches(
    arrays: list[npt.NDArray[Any]], size: int | None, generator: np.random.Generator | None = None
) -> Iterator[list[npt.NDArray[Any]]]:
    """So many rows of all arrays at a time: in order, or shuffled by a generator."""
    m = len(arrays[0])
    rows = np.arange(m) if size is None or generator is None else generator.permutation(m)
    return ([a[part] for a in arrays] for part in np.split(rows, range(size or m, m, size or m)))


def _warn_of_divergence(losses: list[float]) -> None:
    """Warn when the loss is not finite for the first time."""
    if not np.isfinite(losses[-1]) and np.isfinite(losses[:-1]).all():
        messages.warn(
            f"the loss became {losses[-1]} in epoch {len(losses)}: is lr too large, or a number "
            f"missing? `with detect_anomaly():` finds the operation",
            TensorWarning,
        )


def _progress(epochs: int, history: History, verbose: bool | None) -> Iterator[int]:
    """The numbers of the epochs, with a bar, or with lines that are a second apart."""
    numbers, bar, last = range(epochs), None, time.monotonic()
    if (sys.stderr.isatty() or "ipykernel" in sys.modules) and verbose is not False:
        with contextlib.suppress(ImportError):
            from tqdm.auto import tqdm  # an extra: the package itself imports NumPy alone

            bar = tqdm(numbers, delay=0 if verbose else 1, unit="epoch")
    for epoch in numbers if bar is None else bar:
        yield epoch
        means = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
        if bar is not None:
            bar.set_postfix_str(means, refresh=False)
        elif verbose and (time.monotonic() - last > 1 or epoch + 1 == epochs):
            print(f"epoch {epoch + 1} of {epochs}: {means}", file=sys.stderr, flush=True)
            last = time.monotonic()
