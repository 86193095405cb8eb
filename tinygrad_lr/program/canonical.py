"""Graphs with the table's sigmoid and softmax in place of what spells them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from tinygrad_lr.functions.activations import sigmoid, softmax
from tinygrad_lr.naming.names import nodes
from tinygrad_lr.ops import exp
from tinygrad_lr.recording import RecordAll, no_grad, recording
from tinygrad_lr.tensor import Tensor

Z, SHIFT = Tensor([0.0]), Tensor([0.0])  # leaves of patterns, which match any value
with recording(RecordAll):
    SIGMOID = 1 / (1 + exp(-Z))
    SOFTMAX, SHIFTED = (e / e.sum(0, keepdims=True) for e in (exp(Z), exp(Z - SHIFT)))


def canonical(
    output: Tensor, wrt: list[Tensor], names: Mapping[int, str]
) -> tuple[Tensor, list[Tensor], dict[int, str]]:
    """A graph, the tensors whose gradients are wanted, and names by id: all with the new values."""
    new: dict[Tensor, Tensor] = {}
    names = dict(names)

    def current(x: Any) -> Any:
        return new.get(x, x) if isinstance(x, Tensor) else x

    with recording(RecordAll):
        for x in nodes([output]):
            if not isinstance(x, Tensor) or x.op is None:
                continue
            inputs = tuple(map(current, x.inputs))
            if call := _composite(x):
                function, z, *axis = call
                y = function(current(z), *axis)
            elif any(a is not b for a, b in zip(inputs, x.inputs, strict=True)):
                first = next(a for a in inputs if isinstance(a, Tensor))
                with nullcontext() if x.requires_grad else no_grad():  # as of a comparison
                    y = first.apply(x.op, inputs, x.params)
                y.inputs = inputs  # numbers that tell where they come from as well
            else:
                continue
            new[x], y.origin = y, x.origin
            if id(x) in names:
                names[id(y)] = names[id(x)]
    return current(output), list(map(current, wrt)), names


def _composite(y: Tensor) -> tuple[Callable[..., Any], *tuple[Any, ...]] | None:
    """(sigmoid, z) or (softmax, z, axis), if y spells that out."""
    leaves: dict[Tensor, Any] = {}
    if _match(SIGMOID, y, leaves):
        return sigmoid, leaves[Z]
    for pattern in (SHIFTED, SOFTMAX):
        leaves = {}
        if _match(pattern, y, leaves):
            total = y.inputs[1]
            if np.shape(leaves.get(SHIFT, total)) == np.shape(total):
                return softmax, leaves[Z], total.params["axis"]
    return None


def _match(pattern: Any, x: Any, leaves: dict[Tensor, Any]) -> bool:
    """Whether the graph of x is that of a pattern, along any axis; finds the values of leaves."""
    if not isinstance(pattern, Tensor):
        return not isinstance(x, Tensor) and np.ndim(x) == 0 and bool(x == pattern)
    if pattern.op is None:
        return leaves.setdefault(pattern, x) is x
    if not isinstance(x, Tensor) or x.op is not pattern.op:
        return False
    orders = (x.inputs, x.inputs[::-1]) if x.op.name == "add" else (x.inputs,)
    return x.params.get("keepdims") == pattern.params.get("keepdims") and any(
        all(_match(p, y, leaves) for p, y in zip(pattern.inputs, inputs, strict=True))
        for inputs in orders  # a number comes first, so the wrong order finds no leaf
    )
