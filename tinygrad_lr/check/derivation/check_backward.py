"""check_backward: mark a hand-written backward pass, line by line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation import problems
from tinygrad_lr.check.derivation.data import is_data
from tinygrad_lr.check.derivation.experiment import Experiment
from tinygrad_lr.check.derivation.forward import Forward, first_of, run_forward
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.passes import Passes, run_plainly
from tinygrad_lr.check.derivation.report import Report
from tinygrad_lr.check.derivation.rows import rows
from tinygrad_lr.check.derivation.truth import Truth, Unmarkable, differentiate


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any] | None = None,
    /,
    *,
    names: Mapping[str, str] | None = None,
    wrt: str | Sequence[str] | None = None,
    **inputs: Any,
) -> Report:
    """Mark a hand-written backward pass: which gradient is the first that is wrong, and why.

    `forward` is run on Tensors, `backward` on plain arrays; both may be functions or methods, call
    helpers of their own, fill arrays, and keep gradients wherever people keep them: in variables,
    in what is returned, in attributes, in dicts and lists, or as updates `W -= lr * dW`. A
    gradient that is wrong is traced: backward is run again with true values in the place of what a
    statement computed, and the first statement that makes the wrong gradients right is the one to
    blame, in the function where it stands.

    Args:
        forward: returns the loss, one number, or (loss, cache). What returns an array, as a layer,
            is checked with an upstream gradient that is made up for the parameter of `backward`
            that takes it (`dout`).
        backward: the function to mark. Its parameters are named after inputs, forward's local
            variables, or the cache. Without it, `forward` returns (loss, gradients) itself.
        names: what is the gradient of what, where neither names nor numbers tell: {"delta2": "Z2"}.
        wrt: the inputs whose gradients have to be right; default all that hold floats. Without a
            gradient may be what the report names as left out: inputs that are named as data or
            settings, arguments as long as the batch, all arguments where the parameters are
            attributes or global variables, what was given to an object (class weights), a mean.
        **inputs: what forward takes. Arrays of floats are differentiated; labels need not be.

    Returns:
        A `Report`. Print it; `report.ok` and `report.first_wrong` are for programs, and
        `report.assert_ok()` for tests.

    Raises:
        ValueError: if forward fails, or returns no single number that depends on the inputs.
        TypeError: if backward has a parameter that nothing is known for.

    >>> import numpy as np
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
    passes = Passes(forward, backward, inputs)
    fore = run_forward(passes)
    if fore.output is None:
        result, _, error = run_plainly(passes, passes.copy())
        if error or not np.ndim(first_of(result)):
            _differentiated(passes, fore, None)
    experiment = Experiment(passes, fore)
    truth = _differentiated(passes, fore, experiment.upstream)
    wrt = [wrt] if isinstance(wrt, str) else wrt
    if wrt is not None and (unknown := [name for name in wrt if name not in truth.inputs]):
        raise ValueError(
            f"wrt={list(wrt)!r}: the loss does not depend on {', '.join(unknown)}; there are "
            f"{', '.join(truth.inputs)}"
        )
    return _report(Marking(fore, truth, experiment, inputs, names or {}, wrt))


def _differentiated(passes: Passes, fore: Forward, upstream: Any) -> Truth:
    """The truth, or the error that says what forward lacks."""
    name, end = passes.name(0), fore.run.end
    try:
        truth = differentiate(passes, fore, upstream, is_data)
    except Unmarkable:
        raise
    except Exception as plain:
        error = fore.run.error or plain
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{name} raised {type(error).__name__} in line {end.line}, `{end.text}`: {error}"
        ) from error
    if not truth.inputs:
        raise ValueError(
            f"{name} returned {fore.run.result!r}, which no gradient leads back from: return the "
            f"loss, computed by NumPy's functions from inputs of which at least one is an array of "
            f"floats"
        )
    return truth


def _report(marking: Marking) -> Report:
    """The report on a backward pass."""
    cautions, problem = list(problems.cautions(marking)), problems.problem(marking)
    marking.explain()
    if marking.eps:
        cautions.append(marking.eps)
    if marking.comparison.saturated and not marking.odd_loss:
        problem = problem or (
            "not checked: forward is saturated, it takes the log of numbers that are 0 but for "
            "rounding or an eps, so that its gradient is not the formula's; give smaller inputs"
        )
    absent = [name for name in marking.truth.inputs if name not in marking.comparison.claims]
    missing = [name for name in absent if name not in marking.excused]
    if missing and not (problem or marking.comparison.claims):
        problem = problems.nothing_claimed(marking)
    left_out = [name for name in absent if name not in missing]
    return Report(rows(marking), cautions, problem, missing, left_out)
