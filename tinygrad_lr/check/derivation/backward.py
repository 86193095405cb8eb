"""check_backward: mark a hand-written backward pass, line by line."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.blame import trace
from tinygrad_lr.check.derivation.cautions import (
    blind_spots,
    named_sizes,
    samples_and_labels,
    touched,
)
from tinygrad_lr.check.derivation.claims import find_claims, named_tensors, returned
from tinygrad_lr.check.derivation.findings import find, raised
from tinygrad_lr.check.derivation.loss_check import other_loss, scaled_loss
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.report import RIGHT, WRONG, Report, Row
from tinygrad_lr.check.derivation.watch import Change, Run, watch
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.tensor import Tensor


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    /,
    *,
    names: Mapping[str, str] | None = None,
    **inputs: Any,
) -> Report:
    """Mark a hand-written backward pass: which gradient is the first that is wrong, and why.

    `forward(**inputs)` is run once, on Tensors. Then `backward` is run on plain arrays, with
    whatever its parameters are named after: inputs, forward's local variables, the cache. Every
    local variable of it that is named after one of forward's (`dZ1`, `grad_W`, `W_grad`,
    `delta2`), and every gradient that it returns by name, is compared with the true gradient, and
    with what the chain rule gives from backward's own gradients before it: so a line is wrong
    only if it is the line itself that is wrong.

    Args:
        forward: returns the loss, one number, or (loss, cache).
        backward: the function to mark.
        names: what claims to be the gradient of what, where the names do not tell:
            {"delta2": "Z2"}.
        **inputs: what forward takes. Arrays of floats are differentiated; labels need not be.

    Returns:
        A `Report`. Print it; `report.ok` and `report.first_wrong` are for programs, and
        `report.assert_ok()` for tests.

    Raises:
        ValueError: if forward fails, or returns no single number that depends on the inputs.
        TypeError: if backward has a parameter that nothing is known for.

    >>> def forward(X, Y, W, b):
    ...     Z = X @ W + b
    ...     A = 1 / (1 + np.exp(-Z))
    ...     return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    >>> def backward(X, Y, A):
    ...     dZ = A - Y
    ...     dW = X.T @ dZ / len(X)
    ...     db = dZ.sum(axis=0)
    ...     return dW, db
    >>> X, Y = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, -1.0]]), np.array([[0], [1], [1]])
    >>> report = check_backward(forward, backward, X=X, Y=Y, W=np.zeros((2, 1)), b=np.zeros(1))
    >>> print(report.summary)
    first wrong: db, line 4: 3 times too large: not divided by the number of samples
    """
    tensors = {name: _tensors(x, name) for name, x in inputs.items()}
    fore = _run(forward, tensors)
    if isinstance(fore.error, TypeError):  # perhaps labels, used as indices
        whole = {n: x.data for n, x in tensors.items() if _are_labels(x)}
        fore = _run(forward, tensors | whole) if whole else fore
    loss = _loss(fore, _name(forward))
    cache = fore.result[1] if isinstance(fore.result, tuple) and len(fore.result) == 2 else None
    arguments = _arguments(backward, fore, cache, tensors)
    untouched = _arrays(arguments)
    with np.errstate(all="ignore"):
        back = watch(backward, arguments)
    targets = named_tensors(fore)
    for name, target in (names or {}).items():
        if target not in targets:
            raise ValueError(f"names={{{name!r}: {target!r}}}: forward has no value {target!r}")
    claims = find_claims(back, arguments, targets, names or {})
    claimed = {claim.readings[0][0][1].name for claim in claims}
    data = samples_and_labels(inputs, claimed)
    cautions = [*blind_spots(inputs, data), *touched(arguments, untouched)]
    if claims and (lost := _nameless(back, {*arguments, *(claim.name for claim in claims)})):
        cautions.append(f"returned, but named after nothing in forward: {', '.join(lost)}")
    rows: list[Row] = []
    problem = _problem(back, backward)
    if claims:
        finished = [claim for claim in claims if claim.finished]
        sizes = named_sizes(data, targets)
        with np.errstate(all="ignore"):
            marking = Marking(loss, targets, back, arguments, finished, sizes, data)
            rows, found = _mark(marking, fore)
        cautions += found
    elif not problem:
        problem = (
            f"{_name(backward)} has no variable and returns nothing that is named after a value of "
            f"{_name(forward)}, as dW is after W. There are {', '.join(targets)}; for other names "
            f"use names={{'delta2': 'Z2'}}; what holds integers is not differentiated"
        )
    if back.error:
        rows.append(raised(back, claims, arguments))
    return Report(rows, cautions, problem)


def _mark(marking: Marking, fore: Run) -> tuple[list[Row], list[str]]:
    """The rows for the claims, and cautions."""
    judged = trace(marking, marking.most_charitable())
    rows, cautions = find(marking, judged), []
    if marking.rtol > 1e-7:
        cautions.append(
            f"forward has log(... + {marking.eps:g}), which backward may leave out: "
            f"relative differences up to {marking.rtol:.1g} are counted as that"
        )
    if marking.saturated:
        cautions.append(
            "forward is saturated: it takes the log of numbers that are 0 but for "
            "rounding or an eps, so its gradient is not the formula's; give smaller inputs"
        )
        return rows, cautions
    wrong = [row for row in rows if row.verdict == WRONG]
    if wrong and not marking.back.error:
        explained = len(wrong) == 1 and not wrong[0].diagnosis.startswith("unknown")
        plain = judged if judged.scale == 1 else marking.judge(judged.reading)
        odd = scaled_loss(marking, plain) or ("" if explained else other_loss(marking, judged))
        if odd:
            odd_row = _loss_row(marking.loss, fore, odd)
            rows = [odd_row, *(Row(*row[:4], np.nan, np.nan, RIGHT) for row in rows)]
    return rows, cautions


def _loss_row(loss: Tensor, fore: Run, odd: str) -> Row:
    """A row for the statement of forward that made the loss."""
    made = [c for c in fore.changes if c.value is loss] or [Change(("loss",), loss, fore.end)]
    line, text = made[-1].statement[:2]
    told = f"{odd}: the loss is the odd one out, not the backward pass"
    return Row(made[-1].name, line, text, loss.shape, np.nan, np.nan, WRONG, told)


def _nameless(back: Run, known: set[str]) -> list[str]:
    """The arrays that backward returned under names of nothing."""
    known = {*known, "result"}
    return [c.name for c in returned(back) if c.name not in known and np.ndim(c.value)]


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _tensors(value: Any, name: str) -> Any:
    """An input with every array of floats in it as a Tensor that requires a gradient."""
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, Mapping):
        return {key: _tensors(x, str(key)) for key, x in value.items()}
    if isinstance(value, (list, tuple)) and not all(isinstance(x, (int, float)) for x in value):
        return type(value)(_tensors(x, f"{name}[{i}]") for i, x in enumerate(value))
    if isinstance(value, (list, tuple, np.ndarray, float, np.floating)):
        array = np.asarray(value)
        if array.dtype.kind == "f":
            return Tensor(array, requires_grad=True, dtype=np.float64, name=name)
        return array.copy()
    return value


def _arrays(value: Any) -> Any:
    """A copy of a value with plain arrays for its Tensors."""
    if isinstance(value, Tensor):
        return np.array(value._array)[()] if value.ndim == 0 else np.array(value._array)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: _arrays(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        copied = [_arrays(x) for x in value]
        return type(value)(*copied) if hasattr(value, "_fields") else type(value)(copied)
    return value


def _are_labels(x: Any) -> bool:
    return isinstance(x, Tensor) and bool(np.any(x.data)) and not np.any(x.data % 1)


def _run(forward: Callable[..., Any], tensors: dict[str, Any]) -> Run:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", TensorWarning)
        return watch(forward, tensors)


def _loss(fore: Run, who: str) -> Tensor:
    """The loss that forward returned."""
    if fore.error:
        kind = TypeError if isinstance(fore.error, TypeError) else ValueError
        raise kind(
            f"{who} raised {type(fore.error).__name__} in line {fore.end.line}, "
            f"`{fore.end.text}`: {fore.error}"
        ) from fore.error
    loss = fore.result[0] if isinstance(fore.result, tuple) and fore.result else fore.result
    if not isinstance(loss, Tensor) and np.ndim(loss) == 0 and loss is not None:
        scalars = (c.value for c in reversed(fore.changes) if isinstance(c.value, Tensor))
        loss = next((x for x in scalars if x.size == 1 and x._array.item() == loss and x.op), loss)
    if not isinstance(loss, Tensor) or not loss.requires_grad:
        raise ValueError(
            f"{who} returned {loss!r}, which no gradient leads back from: return the loss, "
            f"computed by NumPy's functions from inputs of which at least one is an array of floats"
        )
    if loss.size != 1:
        raise ValueError(
            f"{who} returned a loss of shape {loss.shape}: the gradient of one number is needed, "
            f"its np.sum or np.mean over the samples"
        )
    return loss


def _arguments(
    backward: Callable[..., Any], fore: Run, cache: Any, tensors: dict[str, Any]
) -> dict[str, Any]:
    """What the parameters of backward are named after, as plain copies."""
    known = {**fore.locals, **tensors}
    arguments, missing = {}, []
    for p in inspect.signature(backward).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        if p.name in known:
            arguments[p.name] = _arrays(known[p.name])
        elif p.default is p.empty:
            missing.append(p.name)
    if len(missing) == 1 and cache is not None:
        arguments[missing.pop()] = _arrays(cache)
    if missing:
        raise TypeError(
            f"{_name(backward)} takes {', '.join(missing)}, which is neither an input nor a "
            f"variable of forward; there are {', '.join(known)}"
        )
    return arguments


def _problem(back: Run, backward: Any) -> str:
    if back.error:
        return (
            f"{_name(backward)} raised {type(back.error).__name__} in line {back.end.line}, "
            f"`{back.end.text}`: {back.error}"
        )
    return ""
