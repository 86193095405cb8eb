"""A graph computed again with other values: finite differences, and a step downhill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.naming import names
from tinygrad_lr.tensor import Tensor

BUDGET = 100_000  # operations that finite differences may take
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
        values = names.nodes([output])
        self.nodes = [(x, x.op) for x in values if isinstance(x, Tensor) and x.op]
        self.left = BUDGET
        self.noise = 1e-9 * max(1.0, abs(self.output({})))

    @np.errstate(all="ignore")
    def output(self, changed: Mapping[Any, Any]) -> float:
        """The output, if some tensors had other values."""
        values: dict[int, Any] = {id(x): array for x, array in changed.items()}
        for node, op in self.nodes:
            if id(node) not in values and any(id(x) in values for x in node.inputs):
                inputs = [values.get(id(x), getattr(x, "_array", x)) for x in node.inputs]
                values[id(node)] = op.forward(*inputs, **node.params)
        return float(np.asarray(values.get(id(self.root), self.root._array)).item())

    @np.errstate(all="ignore")
    def differences(self, x: Tensor) -> Any:
        """Central differences of the output by every element of x; None beyond the budget.

        They are rounded to what rounding errors leave of them.
        """
        self.left -= 2 * x.size * len(self.nodes)
        if self.left < 0:
            return None
        slope = np.zeros(x.shape)
        for index in np.ndindex(x.shape):
            step = STEP * max(1.0, abs(float(x._array[index])))
            ends = []
            for h in (step, -step):
                moved = x._array.astype(float)
                moved[index] += h
                ends.append(self.output({x: moved}))
            slope[index] = (ends[0] - ends[1]) / (2 * step)
        return np.round(slope / self.noise) * self.noise

    def downhill(self, slopes: Mapping[Tensor, Any]) -> tuple[float, float]:
        """(rate, output): the first rate of 1, 0.1, 0.01, ... whose step makes it smaller."""
        before = self.output({})
        for rate in 10.0 ** -np.arange(8):
            after = self.output({x: x._array - rate * g for x, g in slopes.items()})
            if after < before:
                break
        return float(rate), after


def parameters(values: Sequence[Any]) -> list[Tensor]:
    """The tensors among values that training changes."""
    return [x for x in values if isinstance(x, Tensor) and x.op is None and x.requires_grad]
