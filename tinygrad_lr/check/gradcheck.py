"""Whether gradients are right: a comparison with numerical derivatives, to nine digits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import ops
from tinygrad_lr.recording import Nested, RecordAll, recording
from tinygrad_lr.tensor import Tensor, as_tensors, gradients

Vector = npt.NDArray[Any]
Function = Callable[[Vector], Vector]
Method = Callable[[Function, Vector, Vector, Vector], tuple[Vector, ...]]

MAX_INPUTS, MAX_OUTPUTS = 1000, 100  # elements that are checked one by one
PROJECTIONS = 10  # random ones, where there are more
SHOWN = 5
EPS = float(np.finfo(float).eps)


class GradcheckError(AssertionError, RuntimeError):
    """Gradients that are not confirmed; an AssertionError for tests, a RuntimeError as PyTorch."""

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

    The numerical derivative is the complex step, exact to rounding (Squire & Trapp 1998), where
    func proves to follow it; where not, Ridders' extrapolation of central differences (1982), with
    its own estimate of its error. Every element of an input is checked if it has up to 1,000, else
    10 random directions; every element of the outputs if there are up to 100, else 10 random sums.
    Where the slopes to the left and to the right differ, any value between them is right: such
    kinks are accepted, and reported by the logger "tinygrad_lr.check.gradcheck" as a warning.

    Args:
        func: func(*inputs) gives a Tensor or several, of any shape. It may also use the input
            tensors without taking them from its arguments, as a model does its parameters.
        inputs: a tensor or a sequence; the tensors that require a gradient are checked.
        eps: the step of plain central differences, as in PyTorch, in place of the above.
        atol: default some units of rounding; 1e-5 if eps is given.
        rtol: default 1e-9; 1e-3 if eps is given. A derivative is right if it differs from the
            numerical one by no more than atol + rtol * |numerical|, and what Ridders' method is
            unsure of.
        order: 2 checks the gradient's own gradients, too, and so on.
        raise_exception: whether to raise, or to return False, where a gradient is not confirmed.

    Raises:
        GradcheckError: for wrong gradients, with the worst elements; for float32, which holds too
            few digits; for a func that is not deterministic, or whose graph holds no input.
        ValueError: if no input requires a gradient, and for an order or eps out of range.

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
        self.outputs, again = self.call(), self.call()
        several = len(self.outputs) > 1
        self.names = names or [f"output {i}" if several else "output" for i in range(len(again))]
        for x, name in [*self.checked.items(), *zip(self.outputs, self.names, strict=True)]:
            _require_double(x, name)
        if not np.array_equal(_flat(self.outputs), _flat(again), equal_nan=True):
            raise GradcheckError(
                "func is not deterministic: two calls with the same inputs give different values. "
                "Draw random numbers outside of it, or seed a new generator inside"
            )
        self.point, n = _flat(self.checked), _flat(self.outputs).size
        if self.point.size * n and not any(y.requires_grad for y in self.outputs):
            raise GradcheckError(
                "no output depends on an input, says the graph: is it computed under no_grad, or "
                "from .data, .numpy() or .detach()?"
            )
        self.random = np.random.default_rng(0)
        self.mix = self.random.normal(size=(PROJECTIONS, n)) if n > MAX_OUTPUTS else np.eye(n)

    def call(self) -> list[Tensor]:
        """The outputs that have a derivative."""
        result = self.func(*self.inputs)
        results = result if isinstance(result, (tuple, list)) else [result]
        outputs = [y if isinstance(y, Tensor) else Tensor(y) for y in results]
        return [y for y in outputs if y.dtype.kind in "fc"]

    @contextmanager
    def moved(self, point: Vector) -> Iterator[None]:
        """Other numbers in the inputs, in place: func may know the tensors from elsewhere."""
        before = [(x._array, x._guard) for x in self.checked]
        try:
            for x, part in zip(self.checked, _split(point, self.checked), strict=True):
                x._array, x._guard = part, None
            yield
        finally:
            for x, (data, guard) in zip(self.checked, before, strict=True):
                x._array, x._guard = data, guard

    def __call__(self, point: Vector) -> Vector:
        """The outputs, or random sums of them, at a point."""
        with self.moved(point), np.errstate(all="ignore"):
            values = _flat(self.call())
            # A product with the identity would spread the nan of one output to all.
            return self.mix @ values if values.size > MAX_OUTPUTS else values

    def real(self, point: Vector) -> Vector:
        """The same, with nan where func refuses the point, as beyond the end of its domain."""
        try:
            return self(point)
        except Exception:
            return np.full(len(self.mix), np.nan)

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
                found = gradients(total, interpret=as_tensors)
            return [found.get(x, Tensor(np.zeros(x.shape))) for x in self.checked]

        names = [f"(gradient of {name})" for name in self.checked.values()]
        return _Problem(gradient, [*self.inputs, *cotangents], names)

    def backward(self) -> tuple[Vector, Vector]:
        """The derivatives that the backward pass gives, (outputs, inputs), and the outputs' size.

        The size is that of the largest quantity that passes into an output, intermediate values
        included: one unit of rounding of it is what an output, and its derivatives, are unsure of.
        """
        jacobian, size = np.zeros((len(self.mix), self.point.size)), np.zeros(len(self.mix))
        for i, weights in enumerate(self.mix):
            for y, v in zip(self.outputs, _split(weights, self.outputs), strict=True):
                if not (y.requires_grad and v.any()):
                    continue
                try:
                    found = gradients(y, v)
                except Exception as error:
                    raise GradcheckError(f"the backward pass raises {error!r}") from error
                for x, name in self.checked.items():
                    if x in found and found[x].shape != x.shape:
                        raise GradcheckError(
                            f"{name} is {x.shape}, but its gradient has the shape {found[x].shape}"
                        )
                for x, g in found.items():
                    _require_double(x, f"a result of {x.op.name} in func" if x.op else "a tensor")
                    size[i] = np.fmax(size[i], np.abs(g * x._array).sum())
                for x, part in zip(self.checked, _split(jacobian[i], self.checked), strict=True):
                    part += found.get(x, 0)
        return jacobian, np.where(np.isfinite(size), size, 0)

    def directions(self) -> Iterator[tuple[str, Vector]]:
        """What the inputs are moved along: element after element, or at random."""
        start = 0
        for x, name in self.checked.items():
            end, few = start + x.size, x.size <= MAX_INPUTS
            for i in range(x.size if few else PROJECTIONS):
                d = np.zeros(self.point.size)
                d[start:end] = np.arange(x.size) == i if few else self.random.normal(size=x.size)
                yield name + (_index(i, x) if few else f" along random direction {i}"), d
            start = end

    def rows(self) -> list[str]:
        """What is differentiated: element after element, or random sums."""
        if len(self.mix) != self.mix.shape[1]:
            return [f"random sum {i} of the outputs" for i in range(len(self.mix))]
        pairs = zip(self.outputs, self.names, strict=True)
        return [name + _index(i, y) for y, name in pairs for i in range(y.size)]

    def follows_complex_step(self, size: Vector) -> bool:
        """Whether func is smooth here, and as steep by the complex step as by Ridders' method."""
        d = self.random.normal(size=self.point.size)
        try:
            value = _complex_step(self, self.point, d, size)[0]
        except Exception:  # whatever func cannot do with complex numbers
            return False
        other, _, left, _ = _ridders(self.real, self.point, d, size)
        near = np.abs(value - other) <= 1e-5 * np.abs(other) + 1e-11 * size
        return bool((near & np.isnan(left)).all())

    def check(self, eps: float | None, atol: float | None, rtol: float | None) -> None:
        """Raise GradcheckError for wrong derivatives, and log kinks."""
        with np.errstate(all="ignore"):
            jacobian, size = self.backward()
            f: Function = self.real
            method: Method = _ridders
            by = "Ridders' extrapolation"
            if eps is not None:
                method, by = _central(eps), f"central differences of step {eps:g}"
            elif self.follows_complex_step(size):
                f, method, by = self, _complex_step, "the complex step"
            labels, columns, extents = [], [], []
            for label, d in self.directions():
                moving = d != 0
                labels.append(label)
                extents.append(_extent(self.point[moving]))
                columns.append((jacobian[:, moving] @ d[moving], *method(f, self.point, d, size)))
            shape = len(columns), 5, len(jacobian)
            analytic, numeric, error, left, right = np.reshape(columns, shape).transpose(1, 2, 0)

            largest = np.abs(analytic).max(axis=1, initial=0, keepdims=True)
            scale = np.where(np.isfinite(largest), largest, 0) + size[:, None] / extents
            rtol = rtol if rtol is not None else 1e-9 if eps is None else 1e-3
            allowed = atol if atol is not None else 64 * EPS * scale if eps is None else 1e-5
            allowed = allowed + rtol * np.abs(numeric) + np.minimum(10 * error, 1e-6 * scale)
            difference = np.abs(analytic - numeric)
            low, high = np.minimum(left, right), np.maximum(left, right)
            slack = 1e-6 * (high - low) + 1e-7 * scale
            kink = (low - slack <= analytic) & (analytic <= high + slack)
            off = difference / np.maximum(np.abs(analytic), np.abs(numeric))

        rows = self.rows()
        import logging  # here, as few need it and it is slow to import

        for i, j in np.argwhere(kink):
            logging.getLogger("tinygrad_lr.gradcheck").warning(
                f"kink: d {rows[i]} / d {labels[j]} is {analytic[i, j]:.12g}, between the "
                f"one-sided slopes {left[i, j]:.6g} and {right[i, j]:.6g}"
            )
        wrong = np.argwhere(~((difference <= allowed) | kink)).tolist()
        if not wrong:
            return
        wrong.sort(key=lambda place: np.nan_to_num(-off[*place], nan=-np.inf))
        lines = [
            f"  d {rows[i]} / d {labels[j]}: analytic {analytic[i, j]:.12g}, "
            f"numeric {numeric[i, j]:.12g}"
            + (f" ± {error[i, j]:.0e}" if error[i, j] else "")
            + f", relative error {off[i, j]:.1e}: {_reading(off[i, j])}"
            for i, j in wrong[:SHOWN]
        ]
        lines += [f"  and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
        raise GradcheckError(
            f"{len(wrong)} of {off.size} derivatives are wrong, by {by}:\n" + "\n".join(lines)
        )


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
    """The place of element i of a tensor, in brackets."""
    place = np.unravel_index(i, x.shape)
    return f"[{', '.join(map(str, place))}]" if place else ""


def _reading(error: float) -> str:
    """What a relative error means, as the notes of Stanford's CS231n read it."""
    if not error <= 1e-2:
        return "probably wrong"
    if error > 1e-4:
        return "uncomfortable"
    if error > 1e-7:
        return "okay with kinks, too high without"
    return "good for finite differences"


class _Complex(Nested):
    """Lets complex numbers into the graph, for the gradient's gradient."""

    def operation(self, node: Any, arrays: list[Any]) -> None:
        """Accept every result."""


# Derivatives of f, which rounds as numbers of a size do, at x along d: (value, estimate of its
# error, left slope, right slope); the slopes are nan unless they differ


def _complex_step(f: Function, x: Vector, d: Vector, size: Vector) -> tuple[Vector, ...]:
    """Im f(x + ihd) / h: nothing cancels, so that h may be tiny and the error is rounding alone."""
    with recording(_Complex), warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        value = f(x + 1e-20j * d).imag / 1e-20
    return value, value * 0, value * np.nan, value * np.nan


def _central(eps: float) -> Method:
    def central(f: Function, x: Vector, d: Vector, size: Vector) -> tuple[Vector, ...]:
        value = (f(x + eps * d) - f(x - eps * d)) / (2 * eps)
        return value, value * 0, *_kink(f, x, d, size)

    return central


def _ridders(f: Function, x: Vector, d: Vector, size: Vector) -> tuple[Vector, ...]:
    """Central differences of ever smaller steps, extrapolated to the step 0 by polynomials.

    Of all extrapolations the one is taken that differs least from its three neighbours.
    """
    h = 0.1 * _extent(x[d != 0])
    value, error = np.full(len(size), np.nan), np.full(len(size), np.inf)
    before: list[Vector] = []
    for _ in range(24):
        row = [(f(x + h * d) - f(x - h * d)) / (2 * h)]
        for power, coarser in enumerate(before, 1):
            row.append(row[-1] + (row[-1] - coarser) / (4**power - 1))
        for power in range(1, len(before)):
            around = row[power - 1], before[power - 1], before[power]
            change = np.max(np.abs(row[power] - around), axis=0) + EPS * size / h
            value, error = np.where(change < error, (row[power], change), (value, error))
        if (error <= np.maximum(1e-12 * np.abs(value), 4 * EPS * size / h)).all():
            break
        before, h = row[:7], h / 2
    return value, error, *_kink(f, x, d, size)


def _kink(f: Function, x: Vector, d: Vector, size: Vector) -> tuple[Vector, Vector]:
    """The slopes to the left and to the right; nan if they are the same, infinite at a jump."""
    extent, y = _extent(x[d != 0]), f(x)
    h = 1e-7 * extent
    coarse, fine = (np.array([(f(x + s * d) - y) / s for s in (-r, r)]) for r in (h, h / 2))
    # Halving the step halves the gap if curvature makes it, and doubles the slopes of a jump.
    gap = np.abs(fine[1] - fine[0])
    kink = gap > np.maximum(0.75 * np.abs(coarse[1] - coarse[0]), 1e-4 * np.abs(fine).max(axis=0))
    kink &= gap > 1e-7 * size / extent
    steeper = (np.abs(fine) > 1.5 * np.abs(coarse)) & (np.abs(fine) * h > 1e-9 * size)
    left, right = np.where(kink, 2 * fine - coarse, np.nan)
    jump = steeper.any(axis=0)
    return np.where(jump, -np.inf, left), np.where(jump, np.inf, right)


def _extent(x: Vector) -> float:
    """The scale of numbers: 1, or that of the largest if it is larger."""
    return float(np.abs(x).max(initial=1))
