"""Where a nan or an inf comes from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lr.messages.explain import operand_names
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.ops import Rule
from tinygrad_lr.recording import Nested, recording
from tinygrad_lr.tensor import Tensor

UNPROTECTED = (
    "nothing arrives, yet 0 * inf is nan: np.where does not protect the branch that is not taken. "
    "Choose a safe argument: np.log(np.where(x > 0, x, 1))"
)
SATURATED = (
    "a sigmoid or softmax has rounded to 0 or 1: compute the loss from what goes into it, by\n"
    "binary_cross_entropy_with_logits or cross_entropy"
)
NEGATIVE = (
    "a negative number has no logarithm, although the derivative 1 / x is finite, so that "
    "gradients alone do not show it: check the sign"
)
# fmt: off
CURES: list[tuple[str, Callable[[float], bool], str]] = [  # operation, condition on x, cure
    ("log",    lambda x: x == 0, "log is -inf at 0: choose a safe argument, "
                                 "np.log(np.where(x > 0, x, 1))"),
    ("log",    lambda x: x < 0,  NEGATIVE),
    ("log1p",  lambda x: x < 0,  NEGATIVE),
    ("exp",    lambda x: x > 0,  "exp overflows: subtract the maximum first, or use logsumexp or "
                                 "softmax"),
    ("sqrt",   lambda x: x == 0, "the root has no slope at 0: keep its argument positive, "
                                 "np.sqrt(x + 1e-12)"),
    ("sqrt",   lambda x: True,   "a negative number has no root: check the sign"),
    ("divide", lambda x: True,   "division by 0: choose a safe divisor, "
                                 "a / np.where(b != 0, b, 1)"),
    ("power",  lambda x: x < 0,  "a negative base has no power that is not whole"),
]
# fmt: on


class AnomalyError(FloatingPointError, RuntimeError):
    """An operation, or its derivative, made a nan or an inf of finite numbers."""

    __module__ = "tinygrad_lr"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first recorded operation, forward or backward, that makes a nan or an inf.

    An inf in the input, as in a mask, is accepted; a nan is reported.

    Raises:
        AnomalyError: with the operation, the user's line, the index of the element, the operands
            there, and a cure where there is one.

    >>> z = Tensor([0.5, 40.0], requires_grad=True)
    >>> with detect_anomaly(), np.errstate(divide="ignore"):
    ...     A = z.sigmoid()
    ...     loss = -np.mean(np.log(1 - A))
    Traceback (most recent call last):
        ...
    tinygrad_lr.AnomalyError: log gives -inf at index 1, from 1 - A = 0.0
      <doctest tinygrad_lr.check.anomaly.detect_anomaly[1]>, line 3: np.log(1 - A)
    a sigmoid or softmax has rounded to 0 or 1: compute the loss from what goes into it, by
    binary_cross_entropy_with_logits or cross_entropy
    """
    with recording(Watch):
        yield


class Watch(Nested):
    """Checks every result as it is recorded, and every gradient as its rule returns it."""

    def check_result(self, node: Any, arrays: list[Any]) -> None:
        """Raise if an operand is nan, or if the result of finite operands is not finite."""
        self.outer.check_result(node, arrays)
        if not node.requires_grad:
            return
        for i, x in enumerate(arrays):
            if np.isnan(x).any():
                place, index = locate(node.origin), _text(_first(x))
                name = operand_names(place, node.inputs)[i]
                raise AnomalyError(f"{name} is nan already at {index}\n  {place}")
        if not np.isfinite(node._array).all() and all(np.isfinite(x).all() for x in arrays):
            raise _anomaly(f"{node.op.name} gives", node._array, ", from", node, arrays)

    def rules(self, node: Any) -> Iterator[Any]:
        """The rules of a node; what they return is checked."""
        for i, (rule, _) in enumerate(zip(self.outer.rules(node), node.inputs, strict=False)):
            yield rule and functools.partial(self._backward, node, i, rule)

    def _backward(self, node: Any, i: int, rule: Rule, g: Any, *others: Any, **params: Any) -> Any:
        """The gradient that the rule of input i returns; raises if it is not finite."""
        result = rule(g, *others, **params)
        g, dx, *arrays = (np.asarray(getattr(x, "_array", x)) for x in (g, result, *node.inputs))
        if not np.isfinite(dx).all():
            arrived = _at(g, _first(dx))
            name = operand_names(locate(node.origin), node.inputs)[i]
            text = f"the gradient of {name} through {node.op.name} is"
            raise _anomaly(text, dx, f": {arrived} arrived,", node, arrays, arrived)
        return result


def _anomaly(
    text: str, values: Any, cause: str, node: Any, arrays: list[Any], arrived: float | None = None
) -> AnomalyError:
    """The error for the first value that is not finite: its operands, the user's line, the cure."""
    index, place = _first(values), locate(node.origin)
    corresponding = node.op.name != "matmul" and {np.shape(x) for x in arrays} <= {node.shape, ()}
    elements = [_at(x, index) if corresponding else None for x in arrays]
    operands = " and ".join(
        f"{name} between {np.min(x)} and {np.max(x)}" if element is None else f"{name} = {element}"
        for name, x, element in zip(
            operand_names(place, node.inputs), arrays, elements, strict=True
        )
    )
    cure = _cure(node, elements[0], arrived)
    message = f"{text} {values[index]} at index {_text(index)}{cause} {operands}\n  {place}"
    return AnomalyError(f"{message}\n{cure}" if cure else message)


def _cure(node: Any, x: float | None, arrived: float | None) -> str:
    """What to do about it; empty if there is no general advice."""
    if arrived == 0:
        return UNPROTECTED
    if node.op.name == "log" and x == 0 and _saturated(node.inputs[0]):
        return SATURATED
    x = np.nan if x is None else x
    return next((cure for name, applies, cure in CURES if name == node.op.name and applies(x)), "")


def _saturated(x: Any) -> bool:
    """Whether a value is a probability, or 1 - a probability, from a sigmoid or a softmax."""
    if not isinstance(x, Tensor) or x.op is None:
        return False
    difference = x.op.name == "subtract" and any(map(_saturated, x.inputs))
    return difference or x.op.name in ("sigmoid", "softmax")


def _first(values: Any) -> tuple[int, ...]:
    """The index of the first element that is not finite."""
    return tuple(np.argwhere(~np.isfinite(values))[0].tolist())


def _text(index: tuple[int, ...]) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def _at(x: Any, index: tuple[int, ...]) -> float | None:
    """The element of x that broadcasting puts at an index, or None."""
    shape = np.shape(x)
    index = index[len(index) - len(shape) :]
    if len(index) < len(shape) or any(i >= n > 1 for i, n in zip(index, shape, strict=True)):
        return None
    return float(np.asarray(x)[tuple(i * (n > 1) for i, n in zip(index, shape, strict=True))])
