"""A graph computed again with other values: finite differences, and a step downhill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.drawing.cards import Graph
from tinygrad_lr.explorer.page import MAX_ELEMENTS
from tinygrad_lr.tensor import Tensor, history

MAX_OPERATIONS = 100_000  # that finite differences may take
STEP = 1e-6


class Replay:
    """Computes the output of a graph again.

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> replay = Replay((w ** 2).sum())
    >>> replay.output({w: np.array([3.0, 0.0])}), replay.differences(w).round(6).tolist()
    (9.0, [2.0, 4.0])
    """

    def __init__(self, output: Tensor) -> None:
        self.root = output
        self.nodes = history(output)[::-1]
        self.budget = MAX_OPERATIONS
        self.noise = 1e-9 * max(1.0, abs(self.output({})))

    @np.errstate(all="ignore")
    def output(self, changes: Mapping[Tensor, Any]) -> float:
        """The output, if some tensors had other values."""
        values = {id(x): array for x, array in changes.items()}
        for node in self.nodes:
            if id(node) not in values and any(id(x) in values for x in node.inputs):
                inputs = [values.get(id(x), unwrap(x)) for x in node.inputs]
                values[id(node)] = node.op.forward(*inputs, **node.params)
        return float(np.asarray(values.get(id(self.root), self.root._array)).item())

    @np.errstate(all="ignore")
    def differences(self, x: Tensor) -> Any:
        """Central differences of the output by every element of x; None beyond the budget.

        They are rounded to what rounding errors leave of them.
        """
        self.budget -= 2 * x.size * len(self.nodes)
        if self.budget < 0:
            return None
        slopes = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            h = np.zeros(x.shape)
            h[index] = STEP * max(1.0, abs(float(x._array[index])))
            rise = self.output({x: x._array + h}) - self.output({x: x._array - h})
            slopes[index] = rise / (2 * h[index])
        return np.round(slopes / self.noise) * self.noise

    def downhill(self, grads: Mapping[Tensor, Any]) -> tuple[float, float]:
        """(rate, output): the first rate of 1, 0.1, 0.01, ... whose step makes it smaller."""
        before = self.output({})
        for rate in 10.0 ** -np.arange(8):
            after = self.output({x: x._array - rate * g for x, g in grads.items()})
            if after < before:
                break
        return float(rate), after


def finite_differences(graph: Graph) -> dict[int, Any]:
    """Finite differences of the output, by the id of a card's node; parameters come first."""
    replay = Replay(graph.output.node)
    differences = {
        id(card.node): replay.differences(card.node)
        for card in sorted(graph.cards, key=lambda card: card.kind != "parameter")
        if card.gradient is not None and card.value.size <= MAX_ELEMENTS
    }
    return {key: x for key, x in differences.items() if x is not None}
