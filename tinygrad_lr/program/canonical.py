"""Graphs with the table's sigmoid and softmax in place of what spells them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lr.functions.activations import sigmoid, softmax
from tinygrad_lr.naming import names
from tinygrad_lr.recording import RecordAll, recording
from tinygrad_lr.tensor import Tensor


def canonical(
    output: Tensor, wrt: list[Tensor], known: dict[int, str]
) -> tuple[Tensor, list[Tensor], dict[int, str]]:
    """A graph, the tensors whose gradients are wanted, and names by id: all with the new values."""
    new: dict[Tensor, Tensor] = {}

    def renewed(x: Any) -> Any:
        return new.get(x, x) if isinstance(x, Tensor) else x

    with recording(RecordAll):
        for x in names.nodes([output]):
            if not isinstance(x, Tensor) or x.op is None:
                continue
            inputs = tuple(map(renewed, x.inputs))
            y = x
            if (z := _sigmoid_of(x)) is not None:
                y = sigmoid(renewed(z))
            elif (found := _softmax_of(x)) is not None:
                y = softmax(renewed(found[0]), found[1])
            elif any(a is not b for a, b in zip(inputs, x.inputs, strict=True)):
                first = next(a for a in inputs if isinstance(a, Tensor))
                y = first.apply(x.op, inputs, x.params)
            if y is not x:
                new[x], y.origin = y, x.origin
                if id(x) in known:
                    known[id(y)] = known[id(x)]
    return renewed(output), list(map(renewed, wrt)), known


def _sigmoid_of(y: Tensor) -> Any:
    """z, if y is 1 / (1 + exp(-z))."""
    for one, below in _inputs(y, "divide"):
        for a, b in _either_way(below, "add"):
            if _is(one, 1) and _is(a, 1):
                for (minus_z,) in _inputs(b, "exp"):
                    for (z,) in _inputs(minus_z, "negative"):
                        return z
    return None


def _softmax_of(y: Tensor) -> tuple[Tensor, Any] | None:
    """(z, axis), if y is exp(z) / sum(exp(z)), or exp(z - c) / sum(exp(z - c))."""
    for e, total in _inputs(y, "divide"):
        for (x,) in _inputs(e, "exp"):
            for (f,) in _inputs(total, "sum"):
                exps = f is e or any(g is x for (g,) in _inputs(f, "exp"))
                if exps and total.params["keepdims"]:
                    for z, top in _inputs(x, "subtract"):
                        if np.shape(top) == np.shape(total):
                            return z, total.params["axis"]
                    return x, total.params["axis"]
    return None


def _is(x: Any, n: float) -> bool:
    return not isinstance(x, Tensor) and np.ndim(x) == 0 and bool(x == n)


def _inputs(x: Any, name: str) -> list[Any]:
    return [x.inputs] if isinstance(x, Tensor) and x.op and x.op.name == name else []


def _either_way(x: Any, name: str) -> Iterator[Any]:
    for a, b in _inputs(x, name):
        yield a, b
        yield b, a
