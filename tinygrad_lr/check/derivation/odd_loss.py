"""Whether it is the loss that is the odd one out, and not the backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.tensor import Tensor, gradients, history


def common_ratio(claims: Mapping[str, Any], truth: Mapping[str, Any]) -> float | None:
    """By which number all claims differ from the true gradients, of at least two elements."""
    ratios = []
    for name, value in claims.items():
        fitting = as_shape(value, np.shape(truth[name]))
        r = None if fitting is None else ratio(fitting, truth[name])
        if r is None:
            return None
        ratios.append(r)
    if sum(np.size(truth[name]) for name in claims) < 2:
        return None
    same = max(ratios) - min(ratios) <= 1e-7 * abs(ratios[0])
    return ratios[0] if same and abs(ratios[0] - 1) > 1e-9 else None


def is_likelihood(loss: Tensor, factor: float, m: int) -> bool:
    """Whether gradients are minus those of a loss that is negative, as a log-likelihood is."""
    return loss._array.item() < 0 and any(abs(factor * c + 1) < 1e-9 for c in (1.0, 1 / m, m))


def summed_for_mean(loss: Tensor, factor: float, m: int) -> str:
    """Whether gradients are averaged over the samples and the loss is summed, in words."""
    if abs(factor * m - 1) > 1e-9 or _divides(loss, m):
        return ""
    return f"the gradients fit together, and forward's loss is {m:g} times theirs"


def _divides(loss: Tensor, m: int) -> bool:
    """Whether the loss divides by a number or a multiple of it."""
    numbers: list[float] = []
    for y in history(loss):
        inputs = list(map(unwrap, y.inputs))
        if y.op.name == "mean":
            numbers.append(np.size(inputs[0]) / max(y._array.size, 1))
        elif y.op.name in ("multiply", "divide"):
            numbers += [float(np.abs(x).item()) for x in inputs if np.size(x) == 1]
    n = np.array([x for x in numbers if x])
    times = np.maximum(n, 1 / n) / m
    whole = np.rint(times)
    return bool(np.any((whole >= 1) & (np.abs(times - whole) < 1e-9)))


class _Loss(NamedTuple):
    """A loss of a prediction and labels, its gradients, and factors that they may have."""

    words: str
    gradients: Mapping[Tensor, Any]
    factors: tuple[float, ...]


def other_loss(
    claims: Mapping[str, Any],
    inputs: Mapping[str, Tensor],
    names: Mapping[str, list[Tensor]],
    data: Mapping[str, Any],
    m: int,
) -> str:
    """Which other loss all claimed gradients are those of, in words; empty if it is not known."""
    size = max(map(np.size, data.values()), default=1)
    for loss in _losses(names, data):
        right = {name: loss.gradients.get(inputs[name]) for name in claims}
        scales = {c * d for c in loss.factors for d in (1.0, 1 / m, 1 / size)}
        if any(_are_multiples(claims, right, c) for c in scales):
            return f"the gradients are those of the {loss.words}"
    return ""


def _are_multiples(claims: Mapping[str, Any], right: Mapping[str, Any], c: float) -> bool:
    """Whether all claims are c times right gradients."""
    for name, value in claims.items():
        g = right[name]
        fitting = None if g is None else as_shape(value, np.shape(g))
        if fitting is None or not close(fitting, c * g, 1e-7):
            return False
    return True


def _losses(names: Mapping[str, list[Tensor]], data: Mapping[str, Any]) -> Iterator[_Loss]:
    """Squares and cross-entropies of what forward has names for and the labels."""
    for name, versions in names.items():
        p = versions[-1]
        for label, labels in data.items():
            y = _one_hot(labels, p.shape)
            if p.op is None or y is None or "[" in name:
                continue
            a = p._array
            with np.errstate(all="ignore"):
                for words, g, factors in (
                    ("square of {} - {}", a - y, (1.0, 2.0)),
                    ("cross-entropy of {} and {}", (a - y) / (a * (1 - a)), (1.0,)),
                    ("cross-entropy of {} and {}", -y / a, (1.0,)),
                ):
                    if np.isfinite(g).all():
                        yield _Loss(words.format(name, label), gradients(p, g), factors)


def _one_hot(y: Any, shape: tuple[int, ...]) -> Any:
    """Labels in the shape of predictions; None if they have no such shape."""
    if y.ndim == 1 and len(shape) == 2 and shape[0] == len(y) and y.dtype.kind in "iu":
        return (y[:, None] == np.arange(shape[1])) * 1.0
    return y if y.shape == shape else None
