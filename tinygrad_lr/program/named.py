"""A graph as Symbols that have the user's names, and are the arguments of a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.naming.names import identifier, unique
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.batches import Batches, Quantity
from tinygrad_lr.program.lowering import MAX_LITERAL, Lowering, trace_update
from tinygrad_lr.program.symbols import Symbol, tree_map
from tinygrad_lr.tensor import Tensor

RESERVED = ("i", "steps", "print", "range", "max", "data", "sys", "step", "train", "int", "zip")

LABELLED = ("categorical_loss", "bernoulli_loss", "logistic_loss")  # operations with labels
SUGGESTED_NAMES = {"sigmoid": "a", "softmax": "p", "relu": "h", "tanh": "h", "log_softmax": "log_p"}
SUGGESTED_NAMES |= dict.fromkeys(LABELLED, "losses")


class NamedLowering(Lowering):
    """Makes Symbols of a graph, which are called as the user calls the values.

    Args:
        names: names by the id of a value, as `names.find` gives them.

    Attributes:
        inputs: the arguments of the program.
        numbers: those of them that are numbers, by what the source calls them.
        slots: the optimizer's arrays among them, each with its parameter.
        batch: those of them that are the function's own, with the arrays that were given.
        current: gives what the others hold now.
    """

    is_current = False  # whether what is not given to the program is as it is when it is called

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names = names
        self.inputs: list[Symbol] = []
        self.numbers: dict[tuple[str, Any], Symbol] = {}
        self.slots: dict[str, str] = {}
        self.batch: dict[Symbol, Any] = {}
        self.current: dict[Symbol, Callable[[], Any]] = {}
        self._counts = dict.fromkeys(RESERVED, 1)  # of the names of arguments
        self._short = Counter(map(identifier, names.values()))

    def argument(self, array: Any, name: str, fixed: bool = False) -> Symbol:
        """A Symbol for an array that the program is called with, under a name of its own."""
        *path, last = name.split(".")
        short = identifier(name)
        if path and self._short[short] > 1:  # W_hidden for hidden.W beside out.W
            short = identifier("_".join([last, *path]))
        title = unique(short, self._counts)
        self.inputs.append(self.trace.argument(array, title, fixed))
        return self.inputs[-1]

    def _gradients(self, output: Tensor) -> dict[Tensor, Any]:
        grads = super()._gradients(output)
        for x, g in grads.items():
            if isinstance(g, Symbol) and g.function and x is not output:
                name = self.names.get(id(x)) if x.op else self.symbol(x).name
                _label(g, name, "delta", "d")
        return grads

    def _result(self, node: Any) -> Any:
        y = super()._result(node)
        if isinstance(y, Symbol):
            name = self.names.get(id(node)) if y.function else None
            _label(y, name, SUGGESTED_NAMES.get(node.op.name, ""))
        return y

    def update(
        self, optimizer: Optimizer, params: Sequence[Tensor], grads: Sequence[Any]
    ) -> dict[str, Any]:
        """The new parameters and the new state of the optimizer, by name."""
        state, place = optimizer.state(), {id(p): i for i, p in enumerate(optimizer.params)}

        def title(name: str, p: Tensor) -> str:
            steps = all(isinstance(x, int) for x in state[name])
            return "t" if steps else f"{name.removesuffix('s')}_{self.symbol(p).name}"

        slots: dict[str, Symbol] = {}
        for name, values in state.items():
            for p in params:
                if (key := title(name, p)) not in slots:
                    i = place[id(p)]
                    slots[key] = self.argument(np.asarray(values[i]), key, fixed=True)
                    if self.is_current:
                        self.current[slots[key]] = partial(_slot, optimizer, name, i)
                    self.slots[str(slots[key].name)] = self.symbol(p).name
        new: dict[str, Any] = {}
        changed: dict[str, Any] = {}  # by the names of the slots
        for p, g in zip(params, grads, strict=True):
            own = {name: slots[title(name, p)] for name in state}
            data, updated = trace_update(optimizer, place[id(p)], self.symbol(p), g, own)
            new[self.symbol(p).name] = data
            changed |= {str(own[name].name): x for name, x in updated.items() if x is not own[name]}
        return new | {x.name: changed[x.name] for x in slots.values() if x.name in changed}


class FunctionLowering(NamedLowering):
    """Makes Symbols of a function of a batch; what it has beside its arguments are defaults.

    Args:
        names: names by the id of a value.
        batches: the recordings of the function.
    """

    is_current = True

    def __init__(self, names: Mapping[int, str], batches: Batches) -> None:
        super().__init__(names)
        self.made, self.detached = batches.made, batches.detached
        for i, x in enumerate(batches.first.batch):
            symbol = self.argument(x._array, str(x.name), fixed=not batches.has_samples(i))
            self.batch[self.bind(x, symbol)] = batches.given[i]

    def symbol(self, x: Any) -> Any:
        if isinstance(x, Quantity):
            return x.compute(self.trace.emit, self.symbol(x.n))
        return super().symbol(x)

    def _operands(self, node: Any) -> list[Any]:
        """The operands; numbers that are computed from lengths have the dtype of the result."""
        operands, single = super()._operands(node), node._array.dtype == np.float32
        return [
            y.astype(np.float32)
            if single and isinstance(x, Quantity) and isinstance(y, Symbol)
            else y
            for x, y in zip(node.inputs, operands, strict=True)
        ]

    def _leaf(self, x: Any) -> Any:
        """A parameter, what is made of lengths, a variable's array, or a constant."""
        if id(x) in self.made:
            return self.made[id(x)](self.trace.emit, lambda n: tree_map(n, self.symbol))
        if isinstance(x, Tensor) and x in self.detached:
            return self.computed(self.detached[x])
        array, name = unwrap(x), self.names.get(id(x), "")
        trained = isinstance(x, Tensor) and x.requires_grad
        if not (trained or name.replace(".", "").isidentifier()):
            if array.ndim == 0:
                return self.trace.number(array)
            if array.size <= MAX_LITERAL:
                return array
        symbol = self.argument(array, name or "constant", fixed=True)
        self.current[symbol] = partial(unwrap, x)
        return symbol


def _slot(optimizer: Optimizer, name: str, i: int) -> Any:
    """What an optimizer keeps of parameter i."""
    return np.asarray(optimizer.state()[name][i])


def _label(y: Symbol, name: str | None, suggestion: str, prefix: str = "") -> None:
    """Give a Symbol a name, and a name to use if it has none, unless it has them already."""
    if name and not y.name and name.replace(".", "").isidentifier():
        y.name = prefix + identifier(name)
    y.suggested_name = y.suggested_name or suggestion
