"""What comes out of a derivative rule after one mistake, in words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

Rule = Callable[..., Any]


def mistaken_rules(
    op: Any, i: int, text: str, operands: list[str], values: Mapping[str, Any], several: bool
) -> Iterator[tuple[str, Rule]]:
    """One mistake after the other in the rule of an operation's input i, as (words, wrong rule).

    Args:
        op: the operation.
        i: the number of the input.
        text: the user's expression for the operation.
        operands: what the inputs are called.
        values: what may be taken for an input by mistake, by name.
        several: whether the input is used elsewhere, too.
    """
    rule: Rule = next(itertools.islice(op.rules, i, None))
    if several:
        through = f"the term that comes through `{text}`"
        yield f"{through} is missing", lambda *a, **k: 0 * rule(*a, **k)
        yield f"{through} has the wrong sign", lambda *a, **k: -rule(*a, **k)
    if len(operands) == 1 and not op.params:
        at = f"the derivative of {op.name} is"
        yield f"{at} missing", lambda g, y, x: g
        yield f"{at} taken at its input, not its output", lambda g, y, x: rule(g, x, x)
        yield f"{at} taken at its output, not its input", lambda g, y, x: rule(g, y, y)
        yield f"{at} multiplied in twice", lambda g, y, x: rule(rule(g, y, x), y, x)
    for j, operand in enumerate(operands):
        if j == i:
            continue
        if op.name == "matmul":
            yield f"{operand} is transposed", _replacing(rule, j, np.transpose)
        for name, value in values.items():
            if name != operand:
                words = f"{name} is used where {operand} belongs"
                yield words, _replacing(rule, j, partial(_first, value))


def _first(value: Any, _: Any) -> Any:
    return value


def _replacing(rule: Rule, j: int, other: Callable[[Any], Any]) -> Rule:
    """A rule that is given something else for the input j."""

    def replaced(g: Any, y: Any, *inputs: Any, **params: Any) -> Any:
        return rule(g, y, *inputs[:j], other(inputs[j]), *inputs[j + 1 :], **params)

    return replaced


def activation_mistakes(z: str, a: str, zs: Any, ys: Any, g: Any) -> Iterator[tuple[str, Any]]:
    """Mistakes in g * a'(z) for an activation a of z."""
    derivative = f"the derivative of {a}"
    sigma = 1 / (1 + np.exp(-ys))
    yield f"{derivative} with respect to {z} is missing", g
    yield f"{derivative} is evaluated at {z} instead of {a}", g * zs * (1 - zs)
    yield f"{derivative} is evaluated at {z} instead of {a}", g * (1 - zs**2)
    yield f"{derivative} applies the activation to {a} again", g * sigma * (1 - sigma)
    yield f"{derivative} applies the activation to {a} again", g * (1 - np.tanh(ys) ** 2)
    yield f"the derivative of a sigmoid is used for {a}", g * ys * (1 - ys)
    yield f"the derivative of a tanh is used for {a}", g * (1 - ys**2)
    yield f"the derivative of a ReLU is used for {a}", g * (zs > 0)
    yield f"the mask of {a} is turned round", g * (zs <= 0)
