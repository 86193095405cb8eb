"""Loss functions, with PyTorch's definitions: predictions first, targets second.

Every loss takes `reduction`: "mean", "sum" or "none" (one loss per sample). Prediction and target
have equal shapes, because (n,) against (n, 1) would broadcast to n * n differences.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tinygrad_lr import messages
from tinygrad_lr.array.convert import FLOATS, as_operand
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.functions.activations import by_columns, log_softmax, sigmoid, softmax, softplus
from tinygrad_lr.functions.composed import clip
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.ops import (
    Array,
    astype,
    broadcast_to,
    log,
    maximum,
    maximum_reduce,
    mean,
    minimum_reduce,
    operation,
    square,
    sum,
)
from tinygrad_lr.tensor import Tensor

Reduction = Literal["mean", "sum", "none"]


def mse_loss(pred: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """Squared difference.

    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0])).item()
    2.0
    """
    target = _target("mse_loss", pred, target)
    return _reduce(square(pred - target), reduction)


@operation(
    "huber(pred, target, delta)",
    lambda g, y, pred, target, delta: g * clip(pred - target, -delta, delta),
    lambda g, y, pred, target, delta: -g * clip(pred - target, -delta, delta),
)
def _huber(pred: Array, target: Array, delta: float) -> Array:
    """The Huber loss of each element."""
    difference = pred - target
    limited = np.clip(difference, -delta, delta)
    return limited * (difference - limited / 2)


def huber_loss(
    pred: Array, target: Array, reduction: Reduction = "mean", delta: float = 1.0
) -> Array:
    """Half the squared difference up to delta, beyond it a line (Huber 1964).

    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), "none").tolist()
    [0.125, 2.5]
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta is above 0, not {delta!r}")
    target = _target("huber_loss", pred, target)
    return _reduce(_huber(_value(pred), target, float(delta)), reduction)


TINY = float(np.exp(-100))


@operation(
    "bernoulli_loss(p, t)",
    lambda g, y, p, t: g * (p - t) / maximum(p * (1 - p), 1e-12),
    lambda g, y, p, t: g * (log(maximum(1 - p, TINY)) - log(maximum(p, TINY))),
)
@np.errstate(divide="ignore")
def _bernoulli_loss(p: Array, t: Array) -> Array:
    """-log p of what happened (t = 1) or did not (t = 0)."""
    return -(t * np.maximum(np.log(p), -100) + (1 - t) * np.maximum(np.log1p(-p), -100))


def binary_cross_entropy(
    pred: Array, target: Array, reduction: Reduction = "mean", weight: Array | None = None
) -> Array:
    """-(target * log(pred) + (1 - target) * log(1 - pred)) for probabilities.

    As in PyTorch, logarithms are limited to -100, so that pred = 0 and pred = 1 give finite losses
    and gradients; `binary_cross_entropy_with_logits` needs no such limit.

    Args:
        pred: probabilities in [0, 1].
        target: labels in [0, 1], of the same shape.
        weight: a factor for each loss; the mean is still divided by their number, as in PyTorch.

    Raises:
        ValueError: if shapes differ or values are out of range.

    >>> round(binary_cross_entropy(np.array([0.9, 0.2]), np.array([1, 0])).item(), 6)
    0.164252
    """
    target = _target("binary_cross_entropy", pred, target)
    _check_labels("binary_cross_entropy", pred, target)
    low, high = _range(pred)
    if not 0 <= low <= high <= 1:
        raise ValueError(
            f"binary_cross_entropy: the prediction goes from {low:.4g} to {high:.4g}, but "
            f"probabilities are in [0, 1]; for logits use binary_cross_entropy_with_logits"
        )
    return _reduce(_weighted(_bernoulli_loss(pred, target), weight), reduction)


@operation(
    "logistic_loss(z, t)",
    lambda g, y, z, t: g * (sigmoid(z) - t),
    lambda g, y, z, t: -g * z,
)
def _logistic_loss(z: Array, t: Array) -> Array:
    """The Bernoulli loss of σ(z), exact for every z."""
    return np.maximum(z, 0) - t * z + np.log1p(np.exp(-1.0 * np.abs(z)))


def binary_cross_entropy_with_logits(
    logits: Array,
    target: Array,
    reduction: Reduction = "mean",
    weight: Any = None,
    pos_weight: Any = None,
) -> Array:
    """`binary_cross_entropy(sigmoid(logits), target)`, exact where the sigmoid rounds to 0 or 1.

    Args:
        logits: any real numbers.
        target: labels in [0, 1], of the same shape.
        weight: a factor for each loss; the mean is still divided by their number, as in PyTorch.
        pos_weight: a factor for the positive samples, one number or one for each column.

    Raises:
        ValueError: if shapes differ or labels are out of range.

    >>> z = Tensor([1e4, -1e4], requires_grad=True)
    >>> loss = binary_cross_entropy_with_logits(z, np.array([0, 0]))
    >>> loss.backward()
    >>> loss.item(), z.grad.tolist()
    (5000.0, [0.5, 0.0])
    """
    logits = _value(logits)
    target = _target("binary_cross_entropy_with_logits", logits, target)
    _check_labels("binary_cross_entropy_with_logits", logits, target)
    _check_logits("binary_cross_entropy_with_logits", logits, "sigmoid")
    if pos_weight is None:
        losses = _logistic_loss(logits, target)
    else:
        positive = _weighted(target * softplus(-logits), pos_weight, "pos_weight")
        losses = positive + (1 - target) * softplus(logits)
    return _reduce(_weighted(losses, weight), reduction)


def _one_hot(labels: Array, columns: Array, ignore_index: int | None) -> Array:
    """A row per label, True in the column of its class, of as many as an array has; if any."""
    array = unwrap(columns)
    like = {"like": array} if hasattr(array, "__array_function__") else {}  # a symbol's own length
    rows = labels[..., None] == np.arange(columns.shape[-1], **like)
    return rows if ignore_index is None else rows * (labels != ignore_index)[..., None]


def class_shares(
    z: Array, t: Array, weight: Array, label_smoothing: float | None, ignore_index: int | None
) -> Array:
    """Target probabilities, or labels as such, smoothed, times the weights of the classes."""
    shares = by_columns(t if t.ndim == z.ndim else _one_hot(t, z, ignore_index))
    if label_smoothing is not None:
        shares = astype(shares, np.result_type(z.dtype, np.float32))
        others = 1.0 if ignore_index is None else shares.sum(axis=-1, keepdims=True)
        shares = shares * (1 - label_smoothing) + others * (label_smoothing / z.shape[-1])
    return shares * weight


def _categorical_rule(g: Array, y: Array, z: Array, *args: Array, **params: Any) -> Array:
    shares = class_shares(z, *args, **params)
    return g[..., None] * (softmax(z) * sum(shares, -1, keepdims=True) - shares)


@operation(
    "categorical_loss(z, t, weight)",
    _categorical_rule,
    lambda g, y, z, t, weight, label_smoothing, ignore_index: (
        -g[..., None]
        * log_softmax(z)
        * (weight if label_smoothing is None else weight * (1 - label_smoothing))
    ),
    None,
)
@np.errstate(invalid="ignore")  # 0 * -inf, for a class ruled out by its logit, is discarded
def _categorical_loss(
    z: Array,
    t: Array,
    weight: Array,
    label_smoothing: float | None = None,
    ignore_index: int | None = None,
) -> Array:
    """-sum(weight * t * log(softmax(z))) over the last axis, exact for every z."""
    shares = class_shares(z, t, weight, label_smoothing, ignore_index)
    return -np.sum(np.where(shares == 0, 0, shares * log_softmax(z)), axis=-1)


@operation(
    "weighted_mean(losses, labels, weight)",
    lambda g, y, losses, labels, weight, ignore_index: broadcast_to(
        g / sum(_one_hot(labels, weight, ignore_index) * weight), losses.shape
    ),
    None,
    None,
)
def _weighted_mean(
    losses: Array, labels: Array, weight: Array, ignore_index: int | None = None
) -> Array:
    """The sum of losses divided by the sum of the weights of their labels."""
    return np.sum(losses) / np.sum(_one_hot(labels, weight, ignore_index) * weight)


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    reduction: Reduction = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """-log(softmax(logits)) of the target class.

    Args:
        logits: (C,) or (m, C), any real numbers.
        target: integer labels in 0 .. C - 1, of shape () or (m,); or class probabilities (one-hot,
            for example), of the shape of the logits.
        weight: (C,), a factor for each class. The mean over labels is then the weighted one,
            sum(w * loss) / sum(w); over probabilities it is divided by m, as in PyTorch.
        ignore_index: a label whose samples do not count; PyTorch's default, -100, is refused here.
        label_smoothing: the share in [0, 1] of the target that goes to all classes equally
            (Szegedy et al. 2016, arXiv:1512.00567).

    Raises:
        ValueError: if shapes do not fit or labels are out of range.
        TypeError: if labels are not integers.

    >>> z = np.log([[3.0, 1.0], [1.0, 1.0], [1.0, 3.0]])
    >>> round(cross_entropy(z, np.array([0, 1, 1])).item(), 6)
    0.422837
    >>> round(cross_entropy(z, np.array([0, 1, 1]), weight=[2.0, 1.0]).item(), 6)
    0.389048
    """
    logits, target = _value(logits), _value(target)
    _check_logits("cross_entropy", logits, "softmax")
    shape = logits.shape
    if len(shape) not in (1, 2):
        raise ValueError(f"cross_entropy: logits have the shape (C,) or (m, C), not {shape}")
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is in [0, 1], not {label_smoothing!r}")
    if not isinstance(ignore_index, (int, np.integer, type(None))):
        raise TypeError(f"cross_entropy: ignore_index is an integer label, not {ignore_index!r}")
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise messages.param_requires_gradient(weight, "the weight", "cross_entropy")
    weighted, labelled = weight is not None, target.shape != shape
    if labelled and ignore_index is not None and not weighted:
        weighted, weight = True, np.ones(shape[-1])
    weight = _value(1.0 if weight is None else weight)
    if weighted and weight.shape != shape[-1:]:
        raise ValueError(
            f"cross_entropy: weight has the shape {weight.shape}, but the logits have "
            f"{shape[-1]} classes: one weight per class"
        )
    weight = weight.astype(np.result_type(logits.dtype, np.float32))
    if labelled:
        _check_classes(unwrap(target), shape, ignore_index)
    else:
        target = _target("cross_entropy", logits, target)
        if ignore_index is not None:
            raise ValueError("cross_entropy: ignore_index= is for labels, not for probabilities")
    losses = _categorical_loss(logits, target, weight, label_smoothing or None, ignore_index)
    if weighted and labelled and reduction == "mean":
        return _weighted_mean(losses, target, weight, ignore_index)
    return _reduce(losses, reduction)


def _check_classes(labels: Any, shape: tuple[int, ...], ignore_index: int | None) -> None:
    """Raise unless labels are one integer per row of the logits, within their columns."""
    if labels.shape != shape[:-1]:
        raise ValueError(
            f"cross_entropy: target has the shape {labels.shape}, but logits {shape} need labels "
            f"of the shape {shape[:-1]} or probabilities of the shape {shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: labels are integers, not {labels.dtype}; if they are whole numbers, "
            f"target.astype(int)"
        )
    if ignore_index is not None:
        labels = labels[labels != ignore_index]
    if labels.size and not 0 <= labels.min() <= labels.max() < shape[-1]:
        raise ValueError(
            f"cross_entropy: labels from {labels.min()} to {labels.max()}, but the logits have "
            f"the classes 0 to {shape[-1] - 1}; ignore_index= leaves out the samples of one label"
        )


def _value(x: Array) -> Array:
    return x if isinstance(x, Tensor) else np.asarray(as_operand(x))


def _target(loss: str, pred: Array, target: Array) -> Array:
    """The target in the prediction's dtype, if it has its shape."""
    pred, target = unwrap(_value(pred)), _value(target)
    if pred.shape != target.shape:
        raise ValueError(
            f"{loss}: the prediction has the shape {pred.shape} and the target {target.shape}; "
            f"they must be equal (a .reshape of one of them?)"
        )
    cast = pred.dtype in FLOATS and target.dtype != pred.dtype
    return target.astype(pred.dtype) if cast else target


def _weighted(losses: Array, weight: Array | None, name: str = "weight") -> Array:
    """Losses times factors that broadcast to their shape."""
    if weight is None:
        return losses
    weight = _value(weight)
    try:
        fits = np.broadcast_shapes(weight.shape, losses.shape) == losses.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} has the shape {weight.shape}, and the losses {losses.shape}")
    return losses * weight.astype(losses.dtype)


def _range(x: Array) -> tuple[float, float]:
    x = unwrap(_value(x))
    if not x.size:
        return 0.0, 0.0
    return float(minimum_reduce(x, axis=None)), float(maximum_reduce(x, axis=None))


def _are_labels(x: Array) -> bool:
    x = unwrap(_value(x))
    if x.size and x.item(0) not in (0, 1):  # spares a look at the others in most cases
        return False
    return bool(((x == 0) | (x == 1)).all())


def _check_labels(loss: str, pred: Array, target: Array) -> None:
    """Raise unless labels are in [0, 1]; warn if labels and predictions seem to be swapped."""
    low, high = _range(target)
    if not 0 <= low <= high <= 1:
        hint = "; are the two arguments swapped?" if _are_labels(pred) else ""
        raise ValueError(
            f"{loss}: labels are in [0, 1], but the target goes from {low:.4g} to {high:.4g}{hint}"
        )
    if _are_labels(pred) and not _are_labels(target):
        messages.warn(
            f"{loss}: the prediction is 0 or 1 everywhere and the target is not: are the two "
            f"arguments swapped? The prediction comes first",
            TensorWarning,
        )


def _check_logits(loss: str, logits: Array, activation: str) -> None:
    if isinstance(logits, Tensor) and logits.op and logits.op.name == activation:
        messages.warn(
            f"{loss} takes logits and applies the {activation} itself, but these have had one "
            f"already: leave it out",
            TensorWarning,
        )


def _reduce(losses: Array, reduction: Reduction) -> Array:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
