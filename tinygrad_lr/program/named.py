"""A graph as Symbols that have the user's names, and are the arguments of a program."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.origin import Instruction, locate
from tinygrad_lr.naming.names import identifier, unique
from tinygrad_lr.naming.source_text import is_literal
from tinygrad_lr.ops import FUNCTIONS
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.batches import Batches, Quantity, index_arrays
from tinygrad_lr.program.lowering import MAX_LITERAL, Lowering, trace_update
from tinygrad_lr.program.symbols import (
    Symbol,
    is_identity,
    is_number,
    tree_leaves,
    tree_map,
    value_of,
)
from tinygrad_lr.tensor import Tensor, history

RESERVED = ("i", "steps", "print", "range", "max", "data", "sys", "step", "train", "int")

LABELLED = ("categorical_loss", "bernoulli_loss", "logistic_loss", "lookup")  # with labels
SAME_ELEMENTS = ("astype", "reshape", "ravel", "getitem", "expand_dims", "transpose")  # if as many
SUGGESTED_NAMES = {"sigmoid": "a", "softmax": "p", "relu": "h", "tanh": "h", "log_softmax": "log_p"}
SUGGESTED_NAMES |= dict.fromkeys(LABELLED, "losses") | {"lookup": "rows", "huber": "losses"}

NO_LENGTHS = ("axis", "axes", "keepdims", "ddof", "decimals", "subscripts")  # params


class NamedLowering(Lowering):
    """Makes Symbols of a graph, which are called as the user calls the values.

    Args:
        names: names by the id of a value, as `names.find` gives them.

    Attributes:
        inputs: the arguments of the program.
        slots: the optimizer's arrays among them, each with its parameter.
        batch: those of them that are the function's own, with the arrays that were given.
        current: gives what the others hold now.
        labels: what those of them that are labels of a loss may be, by name.
        data: those that are the user's arrays, of a graph without a function.
        computed_before: those that were computed from data before the graph was.
    """

    is_current = False  # whether arguments that are left out take their present values
    place: Instruction | None = None

    def __init__(self, names: Mapping[int, str], fixed: bool = False) -> None:
        super().__init__(fixed)
        self.names = names
        self.inputs: list[Symbol] = []
        self.slots: dict[str, str] = {}
        self.batch: dict[Symbol, Any] = {}
        self.current: dict[Symbol, Callable[[], Any]] = {}
        self.labels: dict[str, Labels] = {}
        self.data: set[Symbol] = set()
        self.computed_before: set[Symbol] = set()
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

    def _operands(self, node: Any) -> list[Any]:
        """The operands; an array that is written out and indexed is a Symbol, too."""
        return [
            self.trace.number(x) if isinstance(x, np.ndarray) and node.op.name == "getitem" else x
            for x in super()._operands(node)
        ]

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
                        places = [*place.values()] if key == "t" else [i]
                        self.current[slots[key]] = partial(_slot, optimizer, name, places)
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
        self.outside = batches.outside
        ranges = label_ranges(batches.first.output)
        for i, x in enumerate(batches.first.batch):
            symbol = self.argument(x._array, str(x.name), fixed=not batches.has_samples(i))
            self.batch[self.bind(x, symbol)] = batches.given[i]
            if x in ranges:
                self.labels[str(symbol.name)] = ranges[x]
                if x.dtype.kind in "iu" and ranges[x].ignored is None:
                    self.trace.labels.add(symbol)

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
        trained = isinstance(x, Tensor) and (x.requires_grad or x in self.outside)
        if not (trained or _is_variable(name)):
            if array.ndim == 0:
                return self.trace.number(array)
            if array.size <= MAX_LITERAL or is_identity(array):
                return array
        symbol = self.argument(array, name if _is_variable(name) else "constant", fixed=True)
        self.current[symbol] = partial(unwrap, x)
        return symbol


class GraphLowering(NamedLowering):
    """Makes Symbols of a graph that has been computed, without the function that did.

    What the source does not show to be a constant is an argument, or else a shape is fixed.

    Args:
        names: names by the id of a value.
        output: the result of the graph.

    Attributes:
        place: where an index was computed from data, which other data may have another of; or None.
    """

    def __init__(self, names: Mapping[int, str], output: Tensor) -> None:
        self.output = output
        self._numbers: dict[tuple[str, float], Symbol] = {}  # by what the source calls them
        self.places = {x: locate(x.origin) for x in history(output) if x.origin}
        self.texts = {x: _operand_texts(x, place) for x, place in self.places.items()}
        unknown = [x for x in history(output) if not self._is_literal(x)]
        super().__init__(names, fixed=bool(unknown))
        self.place = next((self.places.get(x) for x in unknown if "index" in x.params), None)
        self._graph = {id(x) for y in history(output) for x in tree_leaves(y.inputs, y.params)}

    def _is_literal(self, node: Tensor) -> bool:
        """Whether the source shows that shapes and numbers of a node are constants."""
        numbers = [x for x in node.inputs if not isinstance(x, Tensor) and np.ndim(x) == 0]
        lengths = [x for name, x in node.params.items() if name not in NO_LENGTHS]
        if any(isinstance(x, (int, range)) for x in tree_leaves(*lengths)):
            return node in self.places and _has_literals(self.places[node])
        return not numbers or bool(self.texts.get(node))

    def _operands(self, node: Any) -> list[Any]:
        operands, place = super()._operands(node), self.places.get(node)
        inside = "" if place and place.text else None  # in a function of this package, or anywhere
        texts: Sequence[str | None] = self.texts.get(node) or [inside] * len(operands)
        return [
            self._number(x, text) if is_number(x) else x
            for x, text in zip(operands, texts, strict=True)
        ]

    def _node_params(self, node: Any) -> Any:
        literal = node in self.places and _has_literals(self.places[node])
        return {
            name: tree_map(index_arrays(x), self.symbol)
            if name == "index"
            else x
            if literal or not isinstance(x, (float, np.number))
            else self._number(x, name)
            for name, x in node.params.items()
        }

    def _number(self, x: Any, text: str | None) -> Any:
        """A number: a constant if the source has it, or in a function of this package."""
        value = value_of(x)
        computed = isinstance(value, (np.ndarray, np.number)) and not text
        if text is not None and is_literal(text) and not computed:
            return x
        if not text or (text, float(value)) not in self._numbers:
            self._numbers[text or "", float(value)] = self._before(np.asarray(value), text or "c")
        return self._numbers[text or "", float(value)]

    def _before(self, array: Any, name: str) -> Symbol:
        """The argument for what was computed from data before the graph was."""
        symbol = self.argument(array, name, fixed=array.ndim == 0)
        self.computed_before.add(symbol)
        return symbol

    def _leaf(self, x: Any) -> Any:
        """An argument, or a constant that the source writes out."""
        array, text = unwrap(x), self.names.get(id(x), "")
        if not (x is self.output or id(x) in self._graph):  # where the backward pass starts
            return super()._leaf(x)
        trained, variable = isinstance(x, Tensor) and x.requires_grad, _is_variable(text)
        written = text and not (trained or variable) and is_literal(text)
        if written and array.size <= MAX_LITERAL:
            return array if array.ndim else self.trace.number(array)
        if trained or (variable and array.ndim and array.dtype != bool):
            symbol = self.argument(array, text or "x", trained)
            if not trained:
                self.data.add(symbol)
            return symbol
        return self._before(array, text or "c")


class Labels(NamedTuple):
    """What the labels of a loss may be: from 0 to the largest, or ignored."""

    most: int
    ignored: int | None = None

    def out_of_range(self, array: Any) -> bool:
        """Whether an array has other ones."""
        x = array if self.ignored is None else array[array != self.ignored]
        return not 0 <= x.min(initial=0) <= x.max(initial=0) <= self.most


def label_ranges(output: Tensor) -> dict[Tensor, Labels]:
    """What the labels of the losses of a graph may be."""
    ranges: dict[Tensor, Labels] = {}
    for node in history(output):
        if node.op.name in LABELLED:
            z, labels = node.inputs[:2]
            categorical, size = node.op.name == "categorical_loss", np.size(unwrap(labels))
            probabilities = categorical and labels.ndim == z.ndim
            axis = {"categorical_loss": -1, "lookup": 0}.get(node.op.name)
            while isinstance(labels, Tensor) and labels.op and labels.op.name in SAME_ELEMENTS:
                labels = labels.inputs[0]
            if isinstance(labels, Tensor) and labels.size == size and not probabilities:
                most = 1 if axis is None else z.shape[axis] - 1
                ranges[labels] = Labels(most, node.params.get("ignore_index"))
    return ranges


def _operand_texts(node: Any, place: Instruction) -> list[str]:
    """The expressions of the operands of a node, if the source has one for each."""
    texts = place.operands(("np", "tg"), FUNCTIONS)
    return texts if len(texts) == len(node.inputs) else []


def _has_literals(place: Instruction) -> bool:
    """Whether what an index or a call has beside its operands are constants."""
    match place.node:
        case ast.Subscript(slice=index):
            return is_literal(ast.unparse(index))
        case ast.Call(func=function, args=args, keywords=keywords):
            module = getattr(getattr(function, "value", None), "id", "") in ("np", "tg")
            own = [*args[module:], *(keyword.value for keyword in keywords)]
            return all(is_literal(ast.unparse(x)) for x in own)
    return False


def _is_variable(text: str) -> bool:
    """Whether a text is a name, as w, layers.0.W or weights[0]."""
    return re.fullmatch(r"[^\W\d]\w*(\.\w+|\[\w+\])*", text) is not None


def _slot(optimizer: Optimizer, name: str, places: Sequence[int]) -> Any:
    """What an optimizer keeps of a parameter, or of several that have it in common."""
    first, *others = (optimizer.state()[name][i] for i in places)
    if any(x != first for x in others):
        raise ValueError(f"the parameters have had different numbers of steps: {[first, *others]}")
    return np.asarray(first)


def _label(y: Symbol, name: str | None, suggestion: str, prefix: str = "") -> None:
    """Give a Symbol a name, and a name to use if it has none, unless it has them already."""
    if name and not y.name and _is_variable(name):
        y.name = prefix + identifier(name)
    y.suggested_name = y.suggested_name or suggestion
