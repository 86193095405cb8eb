"""Whether the claims are the gradients of another loss than forward's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close
from tinygrad_lr.check.derivation.judgement import Judgement
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.report import WRONG
from tinygrad_lr.tensor import Tensor, gradients


def scaled_loss(marking: Marking, plain: Judgement) -> str:
    """By which number all claims differ from forward's gradients, in words; empty if by none.

    Args:
        marking: the backward pass.
        plain: the verdicts on it with no factor left out by convention.
    """
    m = marking.samples
    per_sample = m if _divides(marking, m) else 1 / m  # a sum for a mean, or a mean for a sum
    several = sum(any(x.verdict == WRONG for x in marks) for marks in plain.marks.values()) > 1
    for c in (per_sample, 2.0, 0.5) if several else ():  # what is wrong alone is the odd one
        if _are_gradients(marking, plain, marking.truth, [c]):
            told = f"{1 / c:g} times" if c < 1 else f"1/{c:g} of"
            return f"the gradients fit together, and forward's loss is {told} theirs"
    to_maximise = marking.loss.item() < 0
    if to_maximise and _are_gradients(marking, plain, marking.truth, [-1.0, -per_sample]):
        return "the gradients are minus those of forward's loss, negative as a log-likelihood is"
    return ""


def _divides(marking: Marking, m: int) -> bool:
    """Whether forward divides by a number or a multiple of it."""
    numbers: list[float] = []
    for y in marking.truth:
        inputs = [getattr(x, "_array", x) for x in y.inputs]
        if y.op and y.op.name == "mean":
            numbers.append(inputs[0].size / y.size)
        elif y.op and y.op.name in ("multiply", "divide"):
            numbers += [np.abs(x).item() for x in inputs if np.size(x) == 1]
    n = np.array(numbers)
    times = np.maximum(n, 1 / n) / m
    whole = np.rint(times)
    return bool(np.any((whole >= 1) & (np.abs(times - whole) < 1e-9)))


def other_loss(marking: Marking, judged: Judgement) -> str:
    """Which loss all claims are the gradients of, in words; empty if it is none that is known."""
    m = marking.samples
    for p, name in marking.names.items():
        for label, given in marking.data.items():
            y = one_hot(given, p.shape)
            if p.op is None or y is None:
                continue
            a = p._array
            for words, g in (
                ("square of {} - {}", a - y),
                ("cross-entropy of {} and {}", (a - y) / (a * (1 - a))),
                ("cross-entropy of {} and {}", -y / a),
            ):
                scales = {c * d for c in (1.0, 2.0, 0.5) for d in (1.0, 1 / m, 1 / a.size)}
                if np.isfinite(g).all() and _are_gradients(
                    marking, judged, gradients(p, g), sorted(scales)
                ):
                    return f"the gradients are those of the {words.format(name, label)}"
    return ""


def _are_gradients(
    marking: Marking, judged: Judgement, right: Mapping[Tensor, Any], scales: list[float]
) -> bool:
    """Whether all claims are these gradients times one of some numbers, the same for all."""
    leaves: list[tuple[Any, Any]] = []
    inner: list[tuple[Any, Any]] = []
    for change, x in itertools.chain(*judged.reading.values()):
        value = as_shape(change.value, x.shape)
        if value is None or x not in right:
            return False
        (inner if x.op else leaves).append((value, right[x]))
    if sum(v.size for v, _ in leaves) < 2:
        return False

    def all_times(pairs: list[tuple[Any, Any]], c: float) -> bool:
        return all(close(v, c * g, marking.rtol) for v, g in pairs)

    return any(
        all_times(leaves, k) and any(all_times(inner, c) for c in (k, np.sign(k), k * judged.scale))
        for k in scales
    )


def one_hot(y: Any, shape: tuple[int, ...]) -> Any:
    """Labels in the shape of predictions; None if they have no such shape."""
    if y.ndim == 1 and len(shape) == 2 and shape[0] == len(y) and y.dtype.kind in "iu":
        return (y[:, None] == np.arange(shape[1])) * 1.0
    return y if y.shape == shape else None
