"""Where a nan or an inf comes from."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lr.messages.explain import operand_names
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.ops import Rule
from tinygrad_lr.recording import Nested, recording
from tinygrad_lr.tensor import Tensor


class AnomalyError(FloatingPointError, RuntimeError):
    """A nan or an inf that an operation, or its derivative, made of finite numbers."""

    __module__ = "tinygrad_lr"


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Stop at the first recorded operation, forward or backward, that makes a nan or an inf.

    An inf that is put in, as in a mask, is none that was made; a nan that is put in is reported.

    Raises:
        AnomalyError: with the operation, the user's line, the index of the element, the values
            that went in, and the cure where there is one.

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
    """Looks at every operation as it is recorded, and at every gradient that a rule gives."""

    def operation(self, node: Any, arrays: list[Any]) -> None:
        """Raise if the result is not finite, though the operands are."""
        self.outer.operation(node, arrays)
        if node.op is None or not node.requires_grad:
            return
        for name, x in zip(operand_names(locate(node.origin), node.inputs), arrays, strict=True):
            if np.isnan(x).any():
                place = _shown(_first(x))
                raise AnomalyError(f"{name} is nan already at {place}\n  {locate(node.origin)}")
        if all(np.isfinite(x).all() for x in arrays) and not np.isfinite(node._array).all():
            where = _first(node._array)
            raise AnomalyError(
                f"{node.op.name} gives {_at(node._array, where)} at index {_shown(where)}, from "
                f"{_operands(node, arrays, where)}\n  {locate(node.origin)}"
                f"{_cure(node, arrays, where)}"
            )

    def rules(self, node: Any) -> Iterator[Any]:
        """The rules of a node, with a look at what they give."""
        for i, (rule, _) in enumerate(zip(self.outer.rules(node), node.inputs, strict=False)):
            yield rule and functools.partial(self._backward, node, i, rule)

    def _backward(self, node: Any, i: int, rule: Rule, g: Any, *others: Any, **params: Any) -> Any:
        """The gradient that the rule of input i gives; raises if it is not finite."""
        result = rule(g, *others, **params)
        g, dx, *arrays = (np.asarray(getattr(x, "_array", x)) for x in (g, result, *node.inputs))
        if not np.isfinite(dx).all():
            where = _first(dx)
            arrived = _at(g, where)
            name = operand_names(locate(node.origin), node.inputs)[i]
            raise AnomalyError(
                f"the gradient of {name} through {node.op.name} is {_at(dx, where)} at index "
                f"{_shown(where)}: {arrived} arrived, {_operands(node, arrays, where)}\n"
                f"  {locate(node.origin)}{_cure(node, arrays, where, arrived)}"
            )
        return result


def _first(values: Any) -> tuple[int, ...]:
    """The index of the first element that is not finite."""
    return tuple(np.argwhere(~np.isfinite(values))[0].tolist())


def _shown(where: tuple[int, ...]) -> str:
    return str(where[0]) if len(where) == 1 else str(where)


def _at(values: Any, where: tuple[int, ...]) -> float | None:
    """The element of an array that broadcasting puts at an index, or None if it puts none there."""
    values = np.asarray(values)
    index = where[len(where) - values.ndim :]
    if len(index) < values.ndim or any(
        i >= n > 1 for i, n in zip(index, values.shape, strict=True)
    ):
        return None
    return float(values[tuple(i if n > 1 else 0 for i, n in zip(index, values.shape, strict=True))])


def _values(node: Any, arrays: list[Any], where: tuple[int, ...]) -> list[float | None]:
    """What each operand holds at an index of the result, where elements correspond."""
    shapes = {np.shape(x) for x in arrays}
    if node.op.name == "matmul" or not shapes <= {node.shape, ()}:
        return [None] * len(arrays)
    return [_at(x, where) for x in arrays]


def _operands(node: Any, arrays: list[Any], where: tuple[int, ...]) -> str:
    names = operand_names(locate(node.origin), node.inputs)
    told = [
        f"{name} = {value}" if value is not None else f"{name} between {np.min(x)} and {np.max(x)}"
        for name, x, value in zip(names, arrays, _values(node, arrays, where), strict=True)
    ]
    return " and ".join(told)


def _saturated(x: Any) -> bool:
    """Whether a value is a probability, or 1 - a probability, from a sigmoid or a softmax."""
    if not isinstance(x, Tensor) or x.op is None:
        return False
    if x.op.name == "subtract":
        return any(map(_saturated, x.inputs))
    return x.op.name in ("sigmoid", "softmax")


def _cure(
    node: Any, arrays: list[Any], where: tuple[int, ...], arrived: float | None = None
) -> str:
    """What to do about it; empty if nothing general can be said."""
    name, values = node.op.name, _values(node, arrays, where)
    x = values[0]
    if arrived == 0:
        return (
            "\nnothing arrives, yet 0 * inf is nan: np.where does not protect the branch that is "
            "not taken. Choose a safe argument: np.log(np.where(x > 0, x, 1))"
        )
    if name == "log" and x == 0 and _saturated(node.inputs[0]):
        return (
            "\na sigmoid or softmax has rounded to 0 or 1: compute the loss from what goes into "
            "it, by\nbinary_cross_entropy_with_logits or cross_entropy"
        )
    if name == "log" and x == 0:
        return "\nlog is -inf at 0: choose a safe argument, np.log(np.where(x > 0, x, 1))"
    if name in ("log", "log1p") and x is not None and x < 0:
        return (
            "\na negative number has no logarithm, although the derivative 1 / x is finite, so "
            "that gradients alone do not show it: check the sign"
        )
    if name == "exp" and x is not None and x > 0:
        return "\nexp overflows: subtract the maximum first, or use logsumexp or softmax"
    if name == "sqrt" and x == 0:
        return "\nthe root has no slope at 0: keep its argument positive, np.sqrt(x + 1e-12)"
    if name == "sqrt":
        return "\na negative number has no root: check the sign"
    if name == "divide":
        return "\ndivision by 0: choose a safe divisor, a / np.where(b != 0, b, 1)"
    if name == "power" and x is not None and x < 0:
        return "\na negative base has no power that is not whole"
    return ""
