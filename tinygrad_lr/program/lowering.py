"""A graph and its gradients as Symbols: operations and rules are run on them, and written down."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.messages import GradientError
from tinygrad_lr.messages.frames import Origin
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming import names
from tinygrad_lr.naming.names import identifier
from tinygrad_lr.naming.source_text import (
    BUILTINS,
    assigned,
    index_texts,
    is_literal,
    metadata_texts,
    replaced,
    traced,
)
from tinygrad_lr.ops import FUNCTIONS, Rule
from tinygrad_lr.optim import Optimizer
from tinygrad_lr.program.symbols import Book, Symbol, is_number, put_in, value_of
from tinygrad_lr.tensor import Tensor, gradients

MOST_STEPS = 3  # back from a variable to what was assigned to it
ASKED = ("index", "shape")  # metadata that may be computed from lengths
SMALL = 8  # elements of an array without a name that are written out
HINTS = {"sigmoid": "a", "softmax": "p", "relu": "h", "tanh": "h", "log_softmax": "log_p"}
HINTS |= dict.fromkeys(("logistic_loss", "bernoulli_loss", "categorical_loss"), "losses")


class Lowering:
    """A graph and its gradients as Symbols.

    Args:
        known: names by the id of a value, as `names.find` gives them.
        space: the user's variables.
    """

    def __init__(self, known: Mapping[int, str], space: Mapping[str, Any]) -> None:
        self.known, self.space = known, space
        self.book = Book(self.read)
        self.inputs: list[Symbol] = []
        self._symbols: dict[int, Any] = {}
        self.numbers: dict[tuple[str, Any], Symbol] = {}
        self._inputs: dict[Tensor, list[Any]] = {}
        self._params: dict[Tensor, dict[str, Any]] = {}
        self._origin: Origin | None = None  # of the operation that is lowered
        self._held: list[Any] = []  # so that no id is used again

    def read(self, x: Any) -> Any:
        """The Symbol for a tensor or an array; numbers and Symbols as they are."""
        if isinstance(x, Symbol):
            return x
        if not isinstance(x, (Tensor, np.ndarray)):
            return self._length(x) if isinstance(x, Length) else x
        if id(x) not in self._symbols:
            node = isinstance(x, Tensor) and x.op
            self._symbols[id(x)] = self._result(x) if node else self._leaf(x)
            self._held.append(x)
        return self._symbols[id(x)]

    def _length(self, n: Length) -> Any:
        """A length of a Symbol for one of a tensor."""
        first, *rest = n.terms
        if isinstance(first, Tensor):
            return self.read(first).shape[rest[0]]
        return n if isinstance(first, Symbol) else first(*map(self.read, rest))

    def _result(self, x: Any) -> Any:
        """What an operation computes."""
        self._origin = x.origin
        inputs = [self._number(x, i, self.read(y)) for i, y in enumerate(x.inputs)]
        self._inputs[x] = inputs
        params = {k: self._spelled(v) if k in ASKED else v for k, v in x.params.items()}
        self._params[x] = put_in(params, self._metadata)
        if x.op.name == "getitem":
            self._params[x]["index"] = _counted(inputs[0], self._params[x]["index"])
        y = self._forward(x)(*inputs, **self._params[x])
        if isinstance(y, Symbol):
            y = y.now
            name = self.known.get(id(x), "")
            if not y.name and y.function and name.replace(".", "").isidentifier():
                y.name = identifier(name)
            y.hint = y.hint or HINTS.get(x.op.name, "")
            y.said = y.said or x.op.formula
        return y

    def _forward(self, node: Any) -> Any:
        """The NumPy function of an operation."""
        return node.op.forward

    def _leaf(self, x: Any) -> Any:
        """An argument, or a constant."""
        array = x._array if isinstance(x, Tensor) else x
        text = self.known.get(id(x), "")
        trained = isinstance(x, Tensor) and x.requires_grad
        if not trained and not text.isidentifier():
            y = self._expression(text, array)
            if isinstance(y, Symbol):
                return y
            counts = array.ndim == 1 and np.array_equal(array, np.arange(len(array)))
            if (array.size <= SMALL or counts) and is_literal(text):
                return self.book.number(array) if array.ndim == 0 else array
        return self.argument(array, identifier(text or "x"), trained)

    def argument(self, array: Any, name: str, fixed: bool = False) -> Symbol:
        """A Symbol for an array that the program is given."""
        self.inputs.append(self.book.argument(array, name, fixed))
        return self.inputs[-1]

    def _given(self, x: Any, name: str) -> Any:
        """The Symbol for an array that, if there is none yet, is an argument of this name."""
        if id(x) not in self._symbols:
            self._held.append(x)
            array = x._array if isinstance(x, Tensor) else x
            self._symbols[id(x)] = self.argument(array, identifier(name))
        return self._symbols[id(x)]

    def _metadata(self, x: Any) -> Any:
        """An array in an index, which is the user's variable with the same whole numbers if any."""
        if isinstance(x, np.ndarray) and id(x) not in self.known and x.size > 1:
            for name, y in self.space.items():
                values = y._array if isinstance(y, Tensor) else y
                plain = isinstance(values, np.ndarray) and not name.startswith("_")
                if plain and values.dtype == x.dtype and np.array_equal(values, x):
                    return self._given(y, name)
            texts = index_texts(locate(self._origin).text) if self._origin else []
            for text in texts:
                if isinstance(found := self._expression(text, x), Symbol):
                    return found
            if not all(map(is_literal, texts)):
                return self._given(x, "index")
        return self.read(x)

    def _spelled(self, x: Any) -> Any:
        """An index or a shape, with the lengths in it as the source computes them."""
        found: list[Any] = []
        put_in(x, found.append)
        texts = metadata_texts(locate(self._origin).text) if self._origin else []
        if self.book.fixed or len(texts) != len(found):
            return x
        spelled = iter([self._as_length(*pair) for pair in zip(texts, found, strict=True)])
        return put_in(x, lambda _: next(spelled))

    def _as_length(self, text: str, n: Any) -> Any:
        """A whole number as the length that an expression gives, if it does; else as it is."""
        y = self._expression(text, n) if text and type(n) is int else None
        return y if isinstance(y, Length) else n

    def _number(self, node: Any, i: int, x: Any) -> Any:
        """A number that went into an operation, as what it was computed from, if that is known."""
        if not is_number(x) or node.origin is None:
            return x
        texts = locate(node.origin).operands(("np", "tg"), FUNCTIONS)
        if len(texts) != len(node.inputs):
            return x
        n = np.asarray(value_of(x)).item()
        if texts[i].isidentifier():
            return self._variable(texts[i], n)
        y = self._expression(texts[i], n)
        if y is None and not is_literal(texts[i]):  # what it depends on is not known: ask for it
            return self._told(texts[i], n)
        return x if y is None else y

    def _variable(self, name: str, n: Any) -> Any:
        """A variable that holds a number: the length that was assigned to it, or an argument."""
        length = self._as_length(self._assigned(name), n) if n > 1 else n
        return length if isinstance(length, Length) else self._told(name, n)

    def _told(self, text: str, n: Any) -> Symbol:
        """An argument for a number, named as the source has it."""
        if (text, n) not in self.numbers:
            self.numbers[text, n] = self.argument(np.asarray(n), identifier(text), fixed=True)
        return self.numbers[text, n]

    def _expression(self, text: str, value: Any) -> Any:
        """The user's expression of Symbols; None if it does not give the value.

        A variable of a function, which is not there any more, is what was assigned to it, or else
        that array of the graph with which the expression gives the value.
        """
        for _ in range(MOST_STEPS):
            if (found := traced(text)) is None:
                return None
            code, used = found
            data = [x for x in self.inputs if not x.fixed]
            changes = [(name, x) for name in used for x in data]
            changes.sort(key=lambda change: change[0].lower() != str(change[1].name).lower())
            for change in ((), *((change,) for change in changes)):
                y = self._evaluated(code, used, dict(change))
                z = value_of(y)
                alike = np.asarray(z).dtype.kind == np.asarray(value).dtype.kind
                if isinstance(y, (Symbol, Length)) and alike and np.array_equal(z, value):
                    return y
            if not (told := {name: t for name in used if (t := self._assigned(name))}):
                return None
            text = replaced(text, told)
        return None

    def _evaluated(self, code: CodeType, used: Sequence[str], change: dict[str, Any]) -> Any:
        """What an expression gives, with some of the variables changed."""
        space = BUILTINS | {"divide": functools.partial(self.book.record, np.divide)}
        try:
            space |= {name: change.get(name, self._named(name)) for name in used}
            y = eval(code, {"__builtins__": {}}, space)
        except Exception:  # whatever the expression needs that is not there any more
            return None
        return y.now if isinstance(y, Symbol) else y

    def _named(self, name: str) -> Any:
        """The Symbol of a variable, or of an array that the graph has under its name."""
        x = self.space.get(name)
        if isinstance(x, (int, float)):
            return self._variable(name, x)
        if isinstance(x, Tensor):
            return self.read(x)
        known = (i for i, text in self.known.items() if text == name)
        symbol = self._symbols.get(next(known, 0))
        if not isinstance(x, np.ndarray):
            return symbol
        same = symbol is not None and np.array_equal(symbol.value, x)
        return symbol if same else self._given(x, name)

    def _assigned(self, name: str) -> str:
        """What was assigned to a variable before the operation that is lowered; "" if not told."""
        return assigned(name, *self._origin) if self._origin else ""

    def run(self, output: Tensor, wrt: Sequence[Tensor]) -> list[Any]:
        """The output and its gradients."""
        for x in names.nodes([output]):
            self.read(x)
        loss = self.read(output)
        if isinstance(loss, Symbol):
            loss.name = loss.name or "loss"
        if not wrt:
            return [loss]
        found = gradients(output, interpret=self._operands, rules_of=self._rules)
        for x, g in found.items():
            g = g.now if isinstance(g, Symbol) else g
            if not (isinstance(g, Symbol) and g.function) or x is output:
                continue
            name = self.known.get(id(x)) or (self.read(x).name if x.op is None else "")
            if not g.name and name and name.replace(".", "").isidentifier():
                g.name = f"d{identifier(name)}"
            g.hint = g.hint or "delta"
        for x in wrt:
            if x not in found:
                raise GradientError(
                    f"{output!r} does not depend on {x!r}: it has no gradient there"
                )
        return [loss, *(getattr(found[x], "now", found[x]) for x in wrt)]

    def _operands(self, node: Any) -> Iterator[Any]:
        """The Symbols that the rules of a node run on."""
        return map(self.read, (node, *node.inputs))

    def _rules(self, node: Any) -> Iterator[Any]:
        """The rules of a node, given the metadata as Symbols, and remembered for comments."""
        for _, rule in zip(node.inputs, node.op.rules, strict=False):
            yield rule and functools.partial(self._run_rule, rule, node)

    def _run_rule(self, rule: Rule, node: Any, g: Any, y: Any, *_: Any, **__: Any) -> Any:
        dx = rule(g, y, *self._inputs[node], **self._params[node])
        if isinstance(dx, Symbol):
            dx.now.said = dx.now.said or f"back through {node.op.formula}"
        return dx

    def update(
        self, optimizer: Optimizer, params: Sequence[Tensor], grads: Sequence[Any]
    ) -> dict[str, Any]:
        """The new parameters and the new state of the optimizer, by name."""
        shadow = copy.copy(optimizer)
        lists = {
            name: x
            for name, x in vars(optimizer).items()
            if name != "params" and isinstance(x, list) and len(x) == len(optimizer.params)
        }
        place = {id(p): i for i, p in enumerate(optimizer.params)}
        own: dict[str, str] = {}
        for name, values in lists.items():
            slots = list(values)
            if all(isinstance(x, int) for x in values):
                steps = self.argument(np.array(values[0]), "t", fixed=True)
                slots = [steps.changeable() for _ in values]
            else:
                own[name] = name.removesuffix("s")
                for p in params:
                    i = place[id(p)]
                    title = f"{own[name]}_{self.read(p).name}"
                    slots[i] = self.argument(values[i], title, fixed=True).changeable()
            setattr(shadow, name, slots)
        state: dict[str, Any] = {}
        for p, g in zip(params, grads, strict=True):
            data = self.read(p).changeable()
            shadow.update(place[id(p)], data, g)
            state[self.read(p).name] = data.now
        for name in lists:
            slots = getattr(shadow, name)
            for p in params:
                x = slots[place[id(p)]].now
                if x.function:
                    state[f"{own[name]}_{self.read(p).name}" if name in own else "t"] = x
        return state


def _counted(x: Any, index: Any) -> Any:
    """An index with 0, 1, 2, ... for every row told by the number of rows."""
    if not isinstance(index, tuple) or not isinstance(x, Symbol):
        return index

    def part(i: int, value: Any) -> Any:
        array = value_of(value)
        if isinstance(array, (range, list, np.ndarray)) and np.ndim(array) == 1:
            length = x.shape[i] if i < x.ndim else 0
            if isinstance(length, Length) and np.array_equal(array, np.arange(length)):
                return x.book.record(np.arange, length)
        return value

    return tuple(part(i, value) for i, value in enumerate(index))
