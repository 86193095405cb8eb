"""Whether the claims are the gradients of another loss than forward's."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.diagnosis import as_shape, close
from tinygrad_lr.check.judgement import Judgement
from tinygrad_lr.check.marking import Marking
from tinygrad_lr.check.report import WRONG
from tinygrad_lr.tensor import Tensor, gradients


def odd_loss(marking: Marking, judged: Judgement) -> str:
    """Which loss all claims are the gradients of, in words; empty if it is none that is known."""
    m = max(marking.sizes, key=lambda n: marking.sizes[n] == "the number of samples", default=1)
    wrong = [any(m.verdict == WRONG for m in marks) for marks in judged.marks.values()]
    for c in (m, 1 / m, 2.0, 0.5):
        if sum(wrong) > 1 and _are_gradients(marking, judged, marking.truth, [c]):
            told = f"{1 / c:g} times" if c < 1 else f"1/{c:g} of"
            return f"the gradients fit together, and forward's loss is {told} theirs"
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
        all_times(leaves, k) and any(all_times(inner, c) for c in (k, 1, k * judged.scale))
        for k in scales
    )


def one_hot(y: Any, shape: tuple[int, ...]) -> Any:
    """Labels in the shape of predictions; None if they have no such shape."""
    if y.ndim == 1 and len(shape) == 2 and shape[0] == len(y) and y.dtype.kind in "iu":
        return (y[:, None] == np.arange(shape[1])) * 1.0
    return y if y.shape == shape else None
