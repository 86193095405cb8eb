"""The training loop, and what a training needs to go on where it stopped."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

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
        model: maps rows of X to predictions. It works as after `train()`, but layers that are in
            eval mode on their own stay so; all are in eval mode during the validation.
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
        compile: run the steps as `compile` does, which refuses what Dropout and BatchNorm do in
            training; metrics are then taken in the validation alone.
        verbose: True for a bar in terminals and notebooks that have tqdm, else for lines on stderr;
            default the same in terminals and notebooks alone, after a second.

    Returns:
        The mean over the samples for every epoch, in lists under "loss" and the metrics' names,
        each batch as it was before its step, and under "val_loss" and so on.

    Raises:
        TypeError: if loss, optimizer or metrics have the wrong type.
        ValueError: if X and y differ in length, a count is not a whole number of at least 1, or
            a metric has a name of the history: "loss", or "val_" and more.

    >>> import tinygrad_lr as tg
    >>> X = np.arange(8.0).reshape(8, 1)
    >>> model = tg.nn.Dense(1, 1, rng=0)
    >>> adam = tg.optim.Adam(model.parameters(), lr=0.1)
    >>> history = fit(model, X, 2 * X + 1, tg.mse_loss, adam, epochs=500)
    >>> len(history["loss"]), model(np.array([[12.0]])).data.round(2)
    (500, array([[25.]]))
    """
    _check_types(loss, optimizer, metrics, validation, callback)
    arrays, n = _samples(X, y)
    others = _samples(*validation, "validation: ")[0] if validation else []
    messages.check_count("epochs", epochs)
    messages.check_count("batch_size", len(arrays[0]) if batch_size is None else batch_size)
    generator = np.random.default_rng(rng)
    evaluated = isinstance(model, nn.Module) and not model.training

    def evaluate(*batch: Any) -> tuple[Tensor, dict[str, float]]:
        pred = model(*batch[:n])
        value = loss(pred, *batch[n:])
        return value, {"loss": _number(value)} | _metrics(metrics, pred, batch[n:])

    def train(*batch: Any) -> tuple[Tensor, dict[str, float]]:
        value, numbers = evaluate(*batch)
        optimizer.zero_grad()
        value.backward()
        if clip_norm is not None:
            optim.clip_grad_norm(optimizer.params, clip_norm)
        optimizer.step()
        return value, numbers

    step = _compiled(model, loss, n, optimizer, clip_norm) if compile else train
    history: History = {}
    with _Progress(epochs, verbose) as progress:
        for _ in range(epochs):
            with nn.mode(training=True if evaluated else None):
                _append(history, "", step, _batches(arrays, batch_size, generator))
            if validation:
                with nn.mode(training=False), no_grad():
                    _append(history, "val_", evaluate, _batches(others, batch_size))
            _warn_of_divergence(history["loss"])
            progress.show(history)
            if callback and callback(history):
                break
    return history


class EarlyStopping(state.Stateful):
    """A callback of `fit` that ends a training after so many epochs without progress.

    What is monitored in the history should fall, or rise if maximize is True. The weights of the
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

    def __repr__(self) -> str:
        return f"EarlyStopping({self.monitor}={self.value:.4g}, {self.wait} of {self.patience})"

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

    Raises:
        TypeError: for what has no `state_dict` and is no `numpy.random.Generator`.

    >>> save("now.npz", model=model, adam=adam, schedule=schedule, rng=rng)     # doctest: +SKIP
    """
    state.write(path, {f"{n}:{k}": x for n, part in parts.items() for k, x in _state(part).items()})


def load(path: str | os.PathLike[str], **parts: Any) -> None:
    """Set parts of a training to what `save` wrote.

    Raises:
        ValueError: if a part is not in the file, or not named here, or does not fit. All parts are
            then as before.
    """
    saved: dict[str, dict[str, Any]] = {}
    for key, array in state.read(path).items():
        name, _, inner = key.partition(":")
        saved.setdefault(name, {})[inner] = array
    before = {name: _state(part) for name, part in parts.items()}
    if saved.keys() != parts.keys():
        raise ValueError(f"{os.fspath(path)} has the parts {[*saved]}, not {[*parts]}")
    try:
        for name, part in parts.items():
            _set_state(part, saved[name])
    except ValueError as error:
        for name, part in parts.items():
            _set_state(part, before[name])
        raise ValueError(f"{name}: {error}") from error


def _state(part: Any) -> Mapping[str, Any]:
    """The arrays of a part, by name; those of a Generator are the text of its state."""
    import json  # here and below, as the package itself needs none

    if isinstance(part, np.random.Generator):
        return {"": np.array(json.dumps(part.bit_generator.state, default=lambda x: x.tolist()))}
    if not isinstance(part, (nn.Module, state.Stateful)):
        raise TypeError(
            f"a part of a training is a Module, an Optimizer, a Schedule, an EarlyStopping or a "
            f"numpy.random.Generator, not {part!r}"
        )
    return part.state_dict()


def _set_state(part: Any, arrays: Mapping[str, Any]) -> None:
    import json

    if isinstance(part, np.random.Generator):
        part.bit_generator.state = json.loads(str(arrays.get("", "{}")))
    else:
        part.load_state_dict(arrays)


def _compiled(
    model: Any, loss: Any, n: int, optimizer: optim.Optimizer, clip_norm: float | None
) -> Callable[..., tuple[float, dict[str, float]]]:
    """A compiled step for batches of n inputs and their targets, as fit's own."""
    from tinygrad_lr.compiled.step import Step  # here, as it would triple the time to import

    step = Step(lambda *batch: loss(model(*batch[:n]), *batch[n:]), optimizer, clip_norm)
    return lambda *batch: (value := step(*batch), {"loss": value})


def _number(value: Any) -> float:
    """The value of a loss."""
    if not isinstance(value, Tensor) or value.size != 1:
        what = f"one of shape {value.shape}" if isinstance(value, Tensor) else repr(value)
        raise TypeError(f"the loss of a batch is a Tensor with one element, not {what}")
    number: float = value.item()
    return number


def _metrics(metrics: Metrics | None, pred: Any, target: Any) -> dict[str, float]:
    """The metrics of a batch, which are functions of arrays."""
    pred = tuple(map(unwrap, pred)) if isinstance(pred, tuple) else unwrap(pred)
    return {name: float(f(pred, *target)) for name, f in (metrics or {}).items()}


def _append(history: History, prefix: str, step: Callable[..., Any], batches: Any) -> None:
    """Append the means over all samples of the numbers that a step gives for each batch."""
    totals, m = defaultdict[str, float](float), 0
    for batch in batches:
        m += len(batch[0])
        for name, number in step(*batch)[1].items():
            totals[name] += len(batch[0]) * number
    for name, total in totals.items():
        history.setdefault(prefix + name, []).append(total / m)


def _samples(X: Any, y: Any, where: str = "") -> tuple[list[npt.NDArray[Any]], int]:
    """The arrays of inputs and targets, and how many are inputs."""
    inputs = [np.asarray(x) for x in (X if isinstance(X, tuple) else (X,))]
    targets = [np.asarray(t) for t in (y if isinstance(y, tuple) else (y,))]
    if not inputs or not targets or not all(a.ndim for a in inputs + targets):
        raise TypeError(f"{where}X and y are arrays with samples in rows, or tuples of some")
    if len({len(a) for a in (*inputs, *targets)}) > 1 or not len(inputs[0]):
        x, t = (", ".join(str(len(a)) for a in group) for group in (inputs, targets))
        raise ValueError(f"{where}X has {x} rows and y {t}: one target per sample, at least one")
    return inputs + targets, len(inputs)


def _check_types(loss: Any, optimizer: Any, metrics: Any, validation: Any, callback: Any) -> None:
    if not callable(loss) or not isinstance(optimizer, optim.Optimizer):
        raise TypeError(
            f"loss is a function, as mse_loss, and optimizer an object, as "
            f"Adam(model.parameters()), not {loss!r} and {optimizer!r}"
        )
    if callback is not None and not callable(callback):
        raise TypeError(f"callback is a function of the history, not {callback!r}")
    if validation is not None and not (isinstance(validation, tuple) and len(validation) == 2):
        raise TypeError("validation is a pair of other samples (X, y)")
    if not isinstance(metrics or {}, Mapping):
        raise TypeError(
            f"metrics is a dict of functions of (prediction, target), not {metrics!r}: "
            f'{{"accuracy": lambda p, t: np.mean(p.argmax(axis=1) == t)}}'
        )
    for name in metrics or {}:
        if name == "loss" or name.startswith("val_"):
            raise ValueError(f"a metric cannot be named {name!r}, which the history uses itself")


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


class _Progress:
    """A bar of tqdm, or lines on stderr that are a second apart; see `fit`."""

    def __init__(self, epochs: int, verbose: bool | None) -> None:
        interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.epochs, self.verbose, self.line, self.bar = epochs, verbose, "", None
        self.quiet = not (interactive if verbose is None else verbose)
        self.last = time.monotonic()
        if interactive and not self.quiet:
            with contextlib.suppress(ImportError):
                from tqdm.auto import tqdm  # an extra: the package itself imports NumPy alone

                self.bar = tqdm(total=epochs, delay=0 if verbose else 1, unit="epoch")

    def __enter__(self) -> Self:
        return self

    def show(self, history: History) -> None:
        """Show the last epoch, if the last line is a second old."""
        means = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items())
        if self.bar is not None:
            self.bar.set_postfix_str(means, refresh=False)
            self.bar.update()
        elif not self.quiet:
            self.line = f"epoch {len(history['loss'])} of {self.epochs}: {means}"
            if time.monotonic() - self.last > 1:
                self._print()

    def _print(self) -> None:
        print(self.line, file=sys.stderr, flush=True)
        self.line, self.last, self.verbose = "", time.monotonic(), True

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.line and self.verbose:  # the last epoch, if it or another is to be seen
            self._print()
