"""A program that computes Symbols, line by line."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.naming.names import identifier, unique
from tinygrad_lr.program.calls import add_at, put
from tinygrad_lr.program.expressions import Expressions, name_of
from tinygrad_lr.program.symbols import (
    Symbol,
    Trace,
    is_call,
    is_number,
    lengths_in,
    ordered,
    symbols_in,
)

TEMPORARY = {
    "exp": "e", "sum": "total", "max": "top", "tanh": "h", "maximum": "h", "equal": "one_hot",
    "arange": "rows",
}  # fmt: skip
WIDTH, MAX_DEPTH = 96, 20  # characters of a line, calls within each other


class Writer(Expressions):
    """Writes Symbols as lines of a function.

    Args:
        outputs: what the program computes.
        rebound: those that take over the name of an argument, by that name.
        trace: knows how expressions were simplified, and under which assumptions.
    """

    def __init__(
        self,
        outputs: Sequence[Any],
        rebound: Mapping[str, Any] | None = None,
        trace: Trace | None = None,
    ) -> None:
        super().__init__({})
        self.trace = trace or Trace()
        self.taken: dict[str, int] = {}
        self.order = ordered(outputs)
        self.lines = self._lines(outputs)
        own = {x: name for name, x in (rebound or {}).items() if isinstance(x, Symbol)}
        for x in self.order:
            if x.is_argument:
                self.names[x] = self.free(x.name or "x")
        for x in self.order:
            if x in self.lines:
                self.names[x] = own.get(x) or self.free(x.name or self.temporary(x))
        self._shorten()

    def _lines(self, outputs: Sequence[Any]) -> set[Symbol]:
        """The Symbols that have a line and a name: those whose expression would be written twice,
        those with a name of the user's, and what would be too deep within an expression."""
        uses = Counter(x for y in self.order for x in y.inputs)
        measured = set(symbols_in(lengths_in(*((y.args, y.kwargs) for y in self.order))))
        lines = {x for x in symbols_in(*outputs) if x.function}
        depth: dict[Symbol, int] = {}
        for x in self.order:
            depth[x] = 1 + max((depth[y] for y in symbols_in(x.args) if y not in lines), default=0)
            if not x.is_argument and (
                x.name
                or x in measured
                or x.function in (put, add_at)
                or (x.function and (depth[x] > MAX_DEPTH or (uses[x] > 1 and not is_cheap(x))))
            ):
                lines.add(x)
        return lines

    def free(self, name: str) -> str:
        """The name as an identifier, with a number if it is taken."""
        return unique(identifier(name), self.taken)

    def temporary(self, x: Symbol) -> str:
        """A name for a value that the user has none for."""
        if x.suggested_name:
            return x.suggested_name
        inner = [a.function for a in x.args if isinstance(a, Symbol)]
        if np.equal in inner and x.function is np.multiply:
            return "one_hot"
        if np.maximum.reduce in inner and x.function is np.subtract:
            return "shifted"
        return TEMPORARY.get(name_of(x.function), "u")

    def _shorten(self) -> None:
        """Give parts of expressions that are too long for a line lines of their own."""
        for x in self.order:
            if x.function in (put, add_at):
                continue
            while x in self.lines and len(self.text(x)) > WIDTH - len(self.names[x]) - 7:
                half = len(self.text(x)) // 2
                sizes = {y: len(self.text(y)) for y in self.inside(x)}
                if not (sizes := {y: n for y, n in sizes.items() if 8 < n < WIDTH}):
                    break
                best = min(sizes, key=lambda y: abs(sizes[y] - half))
                self.lines.add(best)
                self.names[best] = self.free(self.temporary(best))

    def inside(self, x: Symbol) -> list[Symbol]:
        """What is written within the expression of a Symbol."""
        inner = [y for y in symbols_in(x.args) if y.function and y not in self.names]
        return [z for y in inner for z in (y, *self.inside(y))]

    def statements(self, comments: bool) -> Iterator[tuple[Symbol, list[str]]]:
        """Every line that is needed, in order, with the Symbol that it computes.

        Args:
            comments: whether to say of every line what shape it has, and which rule it is.
        """
        for x in self.order:
            if x not in self.lines:
                continue
            *before, line = self.assignment(x)
            if comments:
                line += f"  # {x.value.shape}" + (f": {x.comment}" if x.comment else "")
            yield x, [*self.derivation(x), *before, line]

    def assignment(self, x: Symbol) -> list[str]:
        """The lines that assign a Symbol to its name."""
        name = self.names[x]
        if x.function not in (put, add_at):
            return [f"{name} = {self.text(x)}"]
        out, index, value = x.args
        copied = isinstance(out, Symbol) and out in self.names
        start = ast.unparse(self.expression(out)) + ".copy()" * copied
        target = ast.unparse(self.subscript(ast.Name(name), index, x.ndim))
        node = self.expression(value)
        sign = "" if x.function is put or is_call(out, np.zeros) else "+"
        if x.function is add_at and not names_once(index):
            places = ast.unparse(self.expression(index))
            change = f"np.add.at({name}, {places}, {ast.unparse(node)})"
        elif sign and (positive := negated(node)):
            change = f"{target} -= {ast.unparse(positive)}"
        else:
            change = f"{target} {sign}= {ast.unparse(node)}"
        return [f"{name} = {start}", change]

    def assumptions(self) -> list[str]:
        """Comments on what was assumed about the data."""
        return [
            f"# as {ast.unparse(self.expression(labels))} adds up to 1 along axis {axis}"
            for labels, axis in self.trace.assumptions.items()
            if labels in set(self.order)
        ]

    def derivation(self, x: Symbol) -> list[str]:
        """Comments on how the expression came to be so short."""
        if x not in self.trace.derivations or x.function in (put, add_at):
            return []
        first, step = self.trace.derivations[x]
        texts = [self.text(first, by_name=True), self.text(first), self.text(step), self.text(x)]
        lines, line, *rest = [], "# because ", *dict.fromkeys(texts)
        line += rest.pop(0)
        for text in rest:
            if len(line) + len(text) + 3 > WIDTH:
                lines.append(line)
                line = "#        "
            line += f" = {text}"
        return [*lines, line]

    def text(self, x: Any, by_name: bool = False) -> str:
        """The expression of a Symbol, also if it has a name.

        What was simplified away is in it `by_name`, or as an expression.
        """
        self._by_name = by_name
        node = self.call(x) if isinstance(x, Symbol) and x.function else self.expression(x)
        self._by_name = False
        return ast.unparse(node)


def names_once(index: Any) -> bool:
    """Whether an index names each element once: a basic one, or a column for every row."""
    index = index if isinstance(index, tuple) else (index,)
    basic = all(i is None or i is ... or isinstance(i, (int, slice)) for i in index)
    return basic or any(is_call(i, np.arange) for i in index)


def negated(node: ast.expr) -> ast.expr | None:
    """b * c for -b * c; None if there is no minus in front."""
    match node:
        case ast.UnaryOp(ast.USub(), operand):
            return operand
        case ast.BinOp(left, ast.Mult() | ast.Div() as sign, right) if positive := negated(left):
            return ast.BinOp(positive, sign, right)
    return None


def is_cheap(x: Symbol) -> bool:
    """Whether a person would rather write it twice than give it a name: X.T, 1 - A."""
    if x.function is np.transpose:
        return True
    named = sum(isinstance(a, Symbol) and a.name is not None for a in x.args)
    return x.function in (np.add, np.subtract) and named == 1 and any(map(is_number, x.args))
