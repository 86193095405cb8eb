"""A graph and its gradients as Symbols: operations and rules are run on them, and traced."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr import messages
from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages import GradientError
from tinygrad_lr.ops import Rule
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.symbols import Symbol, Trace, symbols_in, tree_map
from tinygrad_lr.tensor import Tensor, gradients, history

MAX_LITERAL = 8  # elements of an array without a name that is written out


class Lowering:
    """Makes Symbols of a graph and its gradients.

    Args:
        fixed: whether all shapes are the same in every run.
    """

    def __init__(self, fixed: bool = False) -> None:
        self.trace = Trace(self.symbol, fixed=fixed)
        self._symbols: dict[int, Any] = {}
        self._alive: list[Any] = []  # so that no id is used again
        self._inputs: dict[Tensor, list[Any]] = {}
        self._params: dict[Tensor, dict[str, Any]] = {}

    def bind(self, x: Any, symbol: Any) -> Any:
        """Let a Symbol stand for a tensor or an array."""
        self._alive.append(x)
        self._symbols[id(x)] = symbol
        return symbol

    def symbol(self, x: Any) -> Any:
        """The Symbol for a tensor, an array or a length; numbers and Symbols as they are."""
        if isinstance(x, Length):
            return self._length(x)
        if isinstance(x, Symbol) or not isinstance(x, (Tensor, np.ndarray)):
            return x
        if id(x) not in self._symbols:
            node = isinstance(x, Tensor) and x.op
            self.bind(x, self._result(x) if node else self._leaf(x))
        return self._symbols[id(x)]

    def _length(self, n: Length) -> Any:
        """A length of a Symbol for one of a tensor."""
        first, *rest = n.terms
        if isinstance(first, Tensor):
            return self.symbol(first).shape[rest[0]]
        return n if isinstance(first, Symbol) else first(*map(self.symbol, rest))

    def _result(self, node: Any) -> Any:
        """What an operation computes."""
        self._inputs[node] = self._operands(node)
        params = self._params[node] = self._node_params(node)
        if symbols_in(params) and not symbols_in(self._inputs[node]):  # which arrays do not take
            self._inputs[node] = [self.trace.number(x) for x in self._inputs[node]]
        y = self._forward(node)(*self._inputs[node], **params)
        if isinstance(y, Symbol):
            y = y.current
            y.comment = y.comment or node.op.formula
        return y

    def _operands(self, node: Any) -> list[Any]:
        return list(map(self.symbol, node.inputs))

    def _node_params(self, node: Any) -> Any:
        return tree_map(node.params, self.symbol)

    def _forward(self, node: Any) -> Any:
        """The NumPy function of an operation."""
        return node.op.forward

    def _leaf(self, x: Any) -> Any:
        """An array that goes into the graph: a constant if it is a number or has few integers."""
        array = unwrap(x)
        if array.dtype.kind != "f" and array.size <= MAX_LITERAL:
            return array
        return self.trace.number(array) if array.ndim == 0 else self.trace.argument(array)

    def run(self, output: Tensor, wrt: Sequence[Tensor]) -> list[Any]:
        """The output and its gradients.

        Raises:
            GradientError: if it has none, or does not depend on one of `wrt`.
        """
        self.computed(output)
        grads = self._gradients(output) if wrt else {}
        for x in wrt:
            if x not in grads:
                raise GradientError(
                    f"{messages.describe(output)} does not depend on {messages.describe(x)}, so it "
                    f"has no gradient there"
                )
        return [self.symbol(output), *(grads[x] for x in wrt)]

    def computed(self, output: Tensor) -> Any:
        """The Symbol of a result, those that it is computed from first, not in a deep recursion."""
        for node in reversed(history(output)):
            self.symbol(node)
        return self.symbol(output)

    def _gradients(self, output: Tensor) -> dict[Tensor, Any]:
        grads = gradients(output, interpret=self._interpret, rules_of=self._rules)
        return {x: getattr(g, "current", g) for x, g in grads.items()}

    def _interpret(self, node: Any) -> Iterator[Any]:
        """The Symbols that the rules of a node run on."""
        return map(self.symbol, (node, *node.inputs))

    def _rules(self, node: Any) -> Iterator[Any]:
        """The rules of a node, for operands and params as Symbols."""
        for _, rule in zip(node.inputs, node.op.rules, strict=False):
            yield rule and functools.partial(self._apply_rule, rule, node)

    def _apply_rule(self, rule: Rule, node: Any, g: Any, y: Any, *_: Any, **__: Any) -> Any:
        dx = rule(g, y, *self._inputs[node], **self._params[node])
        if isinstance(dx, Symbol):
            dx.current.comment = dx.current.comment or f"back through {node.op.formula}"
        return dx


def trace_update(
    optimizer: Optimizer, i: int, data: Symbol, gradient: Any, state: Mapping[str, Symbol]
) -> tuple[Symbol, dict[str, Symbol]]:
    """What an optimizer makes of parameter i and of its state, given as Symbols by name."""
    shadow = copy.copy(optimizer)
    for name, symbol in state.items():
        setattr(shadow, name, {i: symbol.mutable()})
    new: Any = data.mutable()
    shadow.update(i, new, gradient)
    return new.current, {name: getattr(shadow, name)[i].current for name in state}
