"""Gradients compared with numerical derivatives, to nine digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr import ops
from tinygrad_lr.check.numerical import (
    EPS,
    Estimate,
    Vector,
    central,
    complex_step,
    extent,
    ridders,
)
from tinygrad_lr.functional import as_tensors
from tinygrad_lr.recording import RecordAll, recording
from tinygrad_lr.tensor import Tensor, gradients

Method = Callable[[Vector, Vector, Vector], Estimate]

MAX_INPUTS, MAX_OUTPUTS = 1000, 100  # elements that are checked one by one
PROJECTIONS = 10  # random ones, where there are more
MAX_LINES = 5


class GradcheckError(AssertionError, RuntimeError):
    """Gradients are wrong, or cannot be checked; an AssertionError, for tests."""

    __module__ = "tinygrad_lr"


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    order: int = 1,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of a function with numerical derivatives.

    The numerical derivative is the complex step, exact to rounding (Squire & Trapp 1998), if func
    follows it, else Ridders' extrapolation of central differences (1982), which estimates its own
    error. Inputs of up to 1,000 elements are checked one by one, larger ones along 10 random
    directions; up to 100 elements of the outputs one by one, more in 10 random sums. At a kink,
    where the one-sided slopes differ, any value between them is accepted, and the logger
    "tinygrad_lr.gradcheck" warns.

    Args:
        func: func(*inputs) returns one Tensor or several, of any shape. It may use the input
            tensors without taking them as arguments, as a model does its parameters.
        inputs: one tensor or several; those that require a gradient are checked.
        eps: use plain central differences of this step, as PyTorch does.
        atol: absolute tolerance; default a few units of rounding, 1e-5 with eps.
        rtol: relative tolerance; default 1e-9, 1e-3 with eps. A derivative is accepted within
            atol + rtol * |numerical|, plus the error that Ridders' method estimates.
        order: 2 also checks the gradients of the gradients, and so on.
        raise_exception: raise GradcheckError, or else return False.

    Raises:
        GradcheckError: for wrong gradients, with the worst elements; for float32, which has too
            few digits; if func is not deterministic, or no input is in its graph.
        ValueError: if no input requires a gradient, or order or eps is out of range.

    >>> x = Tensor([0.5, 2.0], requires_grad=True, name="x")
    >>> gradcheck(lambda x: np.log(x) * x, x, order=2)
    True
    >>> gradcheck(lambda x: (x * x.detach()).sum(), x)
    Traceback (most recent call last):
        ...
    tinygrad_lr.GradcheckError: 2 of 2 derivatives are wrong, by the complex step:
      d output / d x[0]: analytic 0.5, numeric 1, relative error 5.0e-01: probably wrong
      d output / d x[1]: analytic 2, numeric 4, relative error 5.0e-01: probably wrong
    """
    if order < 1 or (eps is not None and not eps > 0):
        raise ValueError(f"order is at least 1 and eps above 0, not {order} and {eps}")
    try:
        problem = _Problem(func, [inputs] if isinstance(inputs, Tensor) else list(inputs))
        problem.check(eps, atol, rtol)
        for _ in range(1, order):
            problem = problem.gradient()
            problem.check(eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


class _Problem:
    """func as a function from one vector, all inputs, to another, all outputs."""

    def __init__(self, func: Callable[..., Any], inputs: list[Any], names: Sequence[str] = ()):
        self.func, self.inputs = func, inputs
        self.checked: dict[Tensor, str] = {}
        for i, x in enumerate(inputs):
            if isinstance(x, Tensor) and x.requires_grad:
                self.checked.setdefault(x, x.name or f"input {i}")
        if not self.checked:
            raise ValueError("no input is a Tensor with requires_grad=True: nothing to check")
        self.outputs = self.call()
        n = len(self.outputs)
        self.names = names or (["output"] if n == 1 else [f"output {i}" for i in range(n)])
        self.point, values = _flat(self.checked), _flat(self.outputs)
        self.require_checkable(values)
        self.random = np.random.default_rng(0)
        if values.size > MAX_OUTPUTS:
            self.weights = self.random.normal(size=(PROJECTIONS, values.size))
            self.rows = [f"random sum {i} of the outputs" for i in range(PROJECTIONS)]
        else:
            self.weights = np.eye(values.size)
            pairs = zip(self.outputs, self.names, strict=True)
            self.rows = [name + _index(i, y) for y, name in pairs for i in range(y.size)]

    def require_checkable(self, values: Vector) -> None:
        """Raise GradcheckError if a comparison would prove nothing."""
        for x, name in [*self.checked.items(), *zip(self.outputs, self.names, strict=True)]:
            _require_double(x, name)
        if not np.array_equal(values, _flat(self.call()), equal_nan=True):
            raise GradcheckError(
                "func is not deterministic: two calls with the same inputs give different values. "
                "Draw random numbers outside of it, or seed a new generator inside"
            )
        if self.point.size * values.size and not any(y.requires_grad for y in self.outputs):
            raise GradcheckError(
                "no output depends on an input, says the graph: is it computed under no_grad, or "
                "from .data, .numpy() or .detach()?"
            )

    def call(self) -> list[Tensor]:
        """The outputs that have a derivative."""
        result = self.func(*self.inputs)
        results = result if isinstance(result, (tuple, list)) else [result]
        outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in results]
        return [y for y in outputs if y.dtype.kind in "fc"]

    def __call__(self, point: Vector) -> Vector:
        """The outputs, or random sums of them, at a point."""
        before = [(x._array, x._guard) for x in self.checked]
        try:  # in place, as func may hold the tensors itself
            for x, part in zip(self.checked, _split(point, self.checked), strict=True):
                x._array, x._guard = part, None
            values = _flat(self.call())
        finally:
            for x, (data, guard) in zip(self.checked, before, strict=True):
                x._array, x._guard = data, guard
        # A product with the identity would spread the nan of one output to all.
        return self.weights @ values if values.size > MAX_OUTPUTS else values

    def real(self, point: Vector) -> Vector:
        """The same, but nan where func raises, as outside of its domain."""
        try:
            return self(point)
        except Exception:
            return np.full(len(self.weights), np.nan)

    def gradient(self) -> _Problem:
        """The gradients of the inputs, as functions of the inputs and the outputs' gradients."""
        cotangents = [
            Tensor(self.random.normal(size=y.shape), requires_grad=True, name=f"d {name}")
            for y, name in zip(self.outputs, self.names, strict=True)
        ]

        def gradient(*_: Any) -> list[Tensor]:
            pairs = zip(cotangents, self.call(), strict=True)
            total = sum((ops.sum(v * y) for v, y in pairs), Tensor(0.0))
            with recording(RecordAll):
                grads = gradients(total, interpret=as_tensors)
            return [grads.get(x, Tensor(np.zeros(x.shape))) for x in self.checked]

        names = [f"(gradient of {name})" for name in self.checked.values()]
        return _Problem(gradient, [*self.inputs, *cotangents], names)

    def check(self, eps: float | None, atol: float | None, rtol: float | None) -> None:
        """Raise GradcheckError for wrong derivatives; log kinks."""
        with np.errstate(all="ignore"):
            jacobian, magnitude = self.jacobian()
            name, method = self.method(eps, magnitude)
            comparison = self.compare(jacobian, magnitude, method)
            absolute = 64 * EPS * comparison.scale if eps is None else 1e-5
            relative = 1e-9 if eps is None else 1e-3
            kinks = comparison.kinks()
            wrong = ~kinks & comparison.differ(
                absolute if atol is None else atol, relative if rtol is None else rtol
            )
            comparison.log(kinks)
            if wrong.any():
                raise GradcheckError(
                    f"{wrong.sum()} of {wrong.size} derivatives are wrong, by {name}:\n"
                    f"{comparison.report(wrong)}"
                )

    def jacobian(self) -> tuple[Vector, Vector]:
        """The (outputs, inputs) derivatives by the backward pass, and the outputs' magnitudes.

        The magnitude is that of the largest quantity in the computation of an output: one unit of
        rounding of it is the uncertainty of the output, and of its derivatives.
        """
        n = len(self.weights)
        jacobian, magnitude = np.zeros((n, self.point.size)), np.zeros(n)
        for i, weights in enumerate(self.weights):
            for y, v in zip(self.outputs, _split(weights, self.outputs), strict=True):
                if not (y.requires_grad and v.any()):
                    continue
                grads = self.backward(y, v)
                for x, g in grads.items():
                    magnitude[i] = np.fmax(magnitude[i], np.abs(g * x._array).sum())
                for x, part in zip(self.checked, _split(jacobian[i], self.checked), strict=True):
                    part += grads.get(x, 0)
        return jacobian, np.where(np.isfinite(magnitude), magnitude, 0)

    def backward(self, y: Tensor, v: Vector) -> dict[Tensor, Any]:
        """The gradients behind an output, of the right shapes and in float64."""
        try:
            grads = gradients(y, v)
        except Exception as error:
            raise GradcheckError(f"the backward pass raises {error!r}") from error
        for x, name in self.checked.items():
            if x in grads and grads[x].shape != x.shape:
                raise GradcheckError(
                    f"{name} is {x.shape}, but its gradient has the shape {grads[x].shape}"
                )
        for x in grads:
            _require_double(x, f"a result of {x.op.name} in func" if x.op else "a tensor")
        return grads

    def method(self, eps: float | None, magnitude: Vector) -> tuple[str, Method]:
        """The most accurate numerical derivative for func, after its name."""
        if eps is not None:
            return f"central differences of step {eps:g}", partial(central, self.real, eps)
        if self.follows_complex_step(magnitude):
            return "the complex step", partial(complex_step, self)
        return "Ridders' extrapolation", partial(ridders, self.real)

    def follows_complex_step(self, magnitude: Vector) -> bool:
        """Whether func is smooth here and the complex step agrees with Ridders' method."""
        d = self.random.normal(size=self.point.size)
        try:
            value = complex_step(self, self.point, d, magnitude).value
        except Exception:  # anything in func may fail for complex numbers
            return False
        expected = ridders(self.real, self.point, d, magnitude)
        tolerance = 1e-5 * np.abs(expected.value) + 1e-11 * magnitude
        near = np.abs(value - expected.value) <= tolerance
        return bool((near & np.isnan(expected.left)).all())

    def compare(self, jacobian: Vector, magnitude: Vector, method: Method) -> _Comparison:
        """The derivatives along every direction, by the backward pass and by a method."""
        columns, derivatives = [], []
        for label, d in self.directions():
            moving = d != 0
            analytic = jacobian[:, moving] @ d[moving]
            rounding = magnitude / extent(self.point[moving])
            estimate = method(self.point, d, magnitude)
            columns.append(label)
            derivatives.append(np.broadcast_arrays(analytic, rounding, *estimate))
        shape = len(columns), 6, len(magnitude)
        analytic, scale, *numeric = np.reshape(derivatives, shape).transpose(1, 2, 0)
        largest = np.abs(analytic).max(axis=1, initial=0, keepdims=True)
        scale = scale + np.where(np.isfinite(largest), largest, 0)
        return _Comparison(self.rows, columns, scale, analytic, *numeric)

    def directions(self) -> Iterator[tuple[str, Vector]]:
        """Where the inputs are moved to: along every element, or along random directions."""
        start = 0
        for x, name in self.checked.items():
            end, few = start + x.size, x.size <= MAX_INPUTS
            for i in range(x.size if few else PROJECTIONS):
                d = np.zeros(self.point.size)
                d[start:end] = np.arange(x.size) == i if few else self.random.normal(size=x.size)
                yield name + (_index(i, x) if few else f" along random direction {i}"), d
            start = end


class _Comparison(NamedTuple):
    """The derivatives of all outputs (rows) along all directions (columns)."""

    rows: list[str]
    columns: list[str]
    scale: Vector  # rounding errors are relative to it
    analytic: Vector
    numeric: Vector
    error: Vector
    left: Vector
    right: Vector

    def differ(self, atol: Any, rtol: float) -> Any:
        """Where both derivatives differ by more than is allowed, or one is nan."""
        allowed = atol + rtol * np.abs(self.numeric)
        allowed = allowed + np.minimum(10 * self.error, 1e-6 * self.scale)
        return ~(np.abs(self.analytic - self.numeric) <= allowed)

    def kinks(self) -> Any:
        """Where the one-sided slopes differ and the analytic derivative lies between them."""
        low, high = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        slack = 1e-6 * (high - low) + 1e-7 * self.scale
        return (low - slack <= self.analytic) & (self.analytic <= high + slack)

    def log(self, kinks: Vector) -> None:
        """Warn of every kink."""
        import logging  # here, as few need it and it is slow to import

        for i, j in np.argwhere(kinks):
            logging.getLogger("tinygrad_lr.gradcheck").warning(
                f"kink: d {self.rows[i]} / d {self.columns[j]} is {self.analytic[i, j]:.12g}, "
                f"between the one-sided slopes {self.left[i, j]:.6g} and {self.right[i, j]:.6g}"
            )

    def report(self, wrong: Vector) -> str:
        """A line for each of the worst derivatives."""
        larger = np.maximum(np.abs(self.analytic), np.abs(self.numeric))
        relative = np.abs(self.analytic - self.numeric) / larger
        severity = np.nan_to_num(relative, nan=np.inf)
        places = sorted(np.argwhere(wrong).tolist(), key=lambda place: -severity[*place])
        lines = [
            f"  d {self.rows[i]} / d {self.columns[j]}: analytic {self.analytic[i, j]:.12g}, "
            f"numeric {self.numeric[i, j]:.12g}"
            + (f" ± {self.error[i, j]:.0e}" if self.error[i, j] else "")
            + f", relative error {relative[i, j]:.1e}: {_reading(relative[i, j])}"
            for i, j in places[:MAX_LINES]
        ]
        if len(places) > MAX_LINES:
            lines.append(f"  and {len(places) - MAX_LINES} more")
        return "\n".join(lines)


def _reading(error: float) -> str:
    """What a relative error means, according to CS231n."""
    if not error <= 1e-2:
        return "probably wrong"
    if error > 1e-4:
        return "uncomfortable"
    if error > 1e-7:
        return "okay with kinks, too high without"
    return "good for finite differences"


def _require_double(x: Tensor, name: str) -> None:
    if x.dtype != np.float64:
        raise GradcheckError(
            f"{name} is {x.dtype}, which holds too few digits to tell right from wrong: check in "
            f"float64, with Tensor(data, dtype=np.float64, requires_grad=True)"
        )


def _flat(tensors: Iterable[Tensor]) -> Vector:
    return np.concatenate([np.zeros(0), *(x._array.ravel() for x in tensors)])


def _split(vector: Vector, like: Iterable[Tensor]) -> Iterator[Vector]:
    """Views of the parts of a vector, in the shapes of tensors."""
    start = 0
    for x in like:
        yield vector[start : start + x.size].reshape(x.shape)
        start += x.size


def _index(i: int, x: Tensor) -> str:
    """The index of element i of a tensor, in brackets; empty for a scalar."""
    index = np.unravel_index(i, x.shape)
    return f"[{', '.join(map(str, index))}]" if index else ""
