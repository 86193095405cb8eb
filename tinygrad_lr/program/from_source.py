"""A graph as Symbols, with numbers, lengths and indices as the user's source computes them.

A graph holds values: a 4 does not tell that it is len(X). What the source has in its place is run
on Symbols, and taken if it gives the value.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.frames import Origin
from tinygrad_lr.messages.origin import Instruction, locate
from tinygrad_lr.naming.source_text import (
    BUILTINS,
    is_literal,
    last_assigned,
    param_texts,
    parse_expression,
    template,
    traceable,
)
from tinygrad_lr.ops import FUNCTIONS
from tinygrad_lr.program.lowering import MAX_LITERAL
from tinygrad_lr.program.named import NamedLowering
from tinygrad_lr.program.symbols import Symbol, is_number, tree_leaves, tree_map, value_of
from tinygrad_lr.tensor import Tensor

MAX_ASSIGNMENTS = 3  # back from a variable to what was assigned to it


class SourceLowering(NamedLowering):
    """Makes Symbols of a graph, named and computed as in the user's source.

    Args:
        names: names by the id of a value, as `names.find` gives them.
        variables: the user's variables.
    """

    def __init__(self, names: Mapping[int, str], variables: Mapping[str, Any]) -> None:
        super().__init__(names)
        self.variables = variables
        self._origin: Origin | None = None  # of the operation that is lowered

    def _result(self, node: Any) -> Any:
        self._origin = node.origin
        return super()._result(node)

    @property
    def _instruction(self) -> Instruction:
        """The user's source of the operation that is lowered."""
        return locate(self._origin) if self._origin else Instruction("", 0, "", "")

    def _leaf(self, x: Any) -> Any:
        """An argument, the user's expression of others, or a constant."""
        array, text = unwrap(x), self.names.get(id(x), "")
        trained = isinstance(x, Tensor) and x.requires_grad
        if not trained and not text.isidentifier():
            if isinstance(y := self._expression(text, array), Symbol):
                return y
            counts = array.ndim == 1 and np.array_equal(array, np.arange(len(array)))
            if (array.size <= MAX_LITERAL or counts) and is_literal(text):
                return self.trace.number(array) if array.ndim == 0 else array
        return self.argument(array, text or "x", trained)

    def _variable_array(self, x: Any, name: str) -> Any:
        """The Symbol for a variable's array; an argument of its name if there is none yet."""
        if id(x) not in self._symbols:
            self.bind(x, self.argument(unwrap(x), name))
        return self._symbols[id(x)]

    def _node_params(self, node: Any) -> Any:
        """The params, with indices and lengths as the source has them."""
        text, params = self._instruction.text, dict(node.params)
        whole = text if isinstance(self._instruction.node, ast.Subscript) else ""
        for name in params.keys() & {"index", "shape"}:
            texts = param_texts(text)
            aligned = len(texts) == len([*tree_leaves(params[name])])
            remaining = iter(texts) if aligned else itertools.repeat(whole)
            params[name] = tree_map(params[name], functools.partial(self._spell, remaining))
        if node.op.name == "getitem" and isinstance(params["index"], tuple):
            x = self._inputs[node][0]
            params["index"] = tuple(_counted(x, i, k) for i, k in enumerate(params["index"]))
        return tree_map(params, self.symbol)

    def _spell(self, texts: Iterator[str], x: Any) -> Any:
        """A part of an index or a shape: the variable that it was, or what its text says."""
        text = next(texts)
        if not isinstance(x, np.ndarray):
            return self._as_length(text, x)
        if id(x) in self.names or x.size < 2:
            return self.symbol(x)
        for name, y in self.variables.items():
            array = unwrap(y)
            plain = isinstance(array, np.ndarray) and not name.startswith("_")
            if plain and array.dtype == x.dtype and np.array_equal(array, x):
                return self._variable_array(y, name)
        if isinstance(y := self._expression(text, x), Symbol):
            return y
        return self.symbol(x) if is_literal(text) else self._variable_array(x, "index")

    def _as_length(self, text: str, n: Any) -> Any:
        """A whole number as the length that an expression gives, if it does; else as it is."""
        y = self._expression(text, n) if text and type(n) is int else None
        return y if isinstance(y, Length) else n

    def _operands(self, node: Any) -> list[Any]:
        operands = super()._operands(node)
        if not any(map(is_number, operands)):
            return operands
        texts = self._instruction.operands(("np", "tg"), FUNCTIONS)
        if len(texts) != len(operands):
            return operands
        return [
            self._number(x, text) if is_number(x) else x
            for x, text in zip(operands, texts, strict=True)
        ]

    def _number(self, x: Any, text: str) -> Any:
        """A number that went into an operation, as what it was computed from, if that is known."""
        n = np.asarray(value_of(x)).item()
        if text.isidentifier():
            return self._variable(text, n)
        y = self._expression(text, n)
        if y is None:
            return x if is_literal(text) else self._number_argument(text, n)
        return y

    def _variable(self, name: str, n: Any) -> Any:
        """A variable that holds a number: the length that was assigned to it, or an argument."""
        length = self._as_length(last_assigned(name, self._origin), n) if n > 1 else n
        return length if isinstance(length, Length) else self._number_argument(name, n)

    def _number_argument(self, text: str, n: Any) -> Symbol:
        """An argument for a number, named as the source has it."""
        if (text, n) not in self.numbers:
            self.numbers[text, n] = self.argument(np.asarray(n), text, fixed=True)
        return self.numbers[text, n]

    def _expression(self, text: str, value: Any) -> Any:
        """The user's expression of Symbols; None if it does not give the value.

        A variable of a function, which is not there any more, is what was assigned to it, or else
        that array of the graph with which the expression gives the value.
        """
        for _ in range(MAX_ASSIGNMENTS):
            if (traced := traceable(text)) is None:
                return None
            code, names = traced
            for guess in self._guesses(names):
                y = self._evaluate(code, names, guess)
                if isinstance(y, (Symbol, Length)) and _equal(value_of(y), value):
                    return y
            trees = {name: parse_expression(last_assigned(name, self._origin)) for name in names}
            if not (trees := {name: tree for name, tree in trees.items() if tree}):
                return None
            text = ast.unparse(template(text, **trees))
        return None

    def _guesses(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Which array of the graph a variable could be: none, then those of its name, then all."""
        pairs = [(name, x) for name in names for x in self.inputs if not x.fixed]
        pairs.sort(key=lambda pair: pair[0].lower() != str(pair[1].name).lower())
        yield {}
        yield from ({name: x} for name, x in pairs)

    def _evaluate(self, code: CodeType, names: Sequence[str], guess: dict[str, Any]) -> Any:
        """What an expression gives; None if it fails."""
        space = BUILTINS | {"divide": functools.partial(self.trace.emit, np.divide)}
        try:
            space |= {name: self._named(name) for name in names} | guess
            y = eval(code, {"__builtins__": {}}, space)
        except Exception:  # whatever the expression needs that is not there any more
            return None
        return y.current if isinstance(y, Symbol) else y

    def _named(self, name: str) -> Any:
        """The Symbol of a variable, or of an array that the graph has under its name."""
        x = self.variables.get(name)
        if isinstance(x, (int, float)):
            return self._variable(name, x)
        if isinstance(x, Tensor):
            return self.symbol(x)
        symbol = self._symbols.get(next((i for i, text in self.names.items() if text == name), 0))
        if not isinstance(x, np.ndarray):
            return symbol
        equal = symbol is not None and np.array_equal(symbol.value, x)
        return symbol if equal else self._variable_array(x, name)


def _equal(x: Any, y: Any) -> bool:
    """Whether arrays or numbers have the same kind of dtype and equal elements."""
    return np.asarray(x).dtype.kind == np.asarray(y).dtype.kind and np.array_equal(x, y)


def _counted(x: Any, axis: int, places: Any) -> Any:
    """A part of an index: 0, 1, 2, ... for every row as np.arange of the number of rows."""
    array = value_of(places)
    if isinstance(array, (range, list, np.ndarray)) and np.ndim(array) == 1:
        length = x.shape[axis] if isinstance(x, Symbol) and axis < x.ndim else 0
        if isinstance(length, Length) and np.array_equal(array, np.arange(length)):
            return x.trace.emit(np.arange, length)
    return places
