"""Symbols as Python: the program that computes them, as a person would write it."""

from __future__ import annotations

import ast
import operator
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.naming.names import identifier
from tinygrad_lr.program.symbols import (
    Book,
    Symbol,
    add_at,
    asked,
    astype,
    in_full,
    is_call,
    is_number,
    ordered,
    parts,
    put,
    value_of,
)

BINARY: dict[Any, type[ast.operator]] = {
    np.add: ast.Add, np.subtract: ast.Sub, np.multiply: ast.Mult, np.divide: ast.Div,
    np.matmul: ast.MatMult, np.power: ast.Pow,
    operator.add: ast.Add, operator.sub: ast.Sub, operator.mul: ast.Mult,
    operator.floordiv: ast.FloorDiv, operator.mod: ast.Mod,
}  # fmt: skip
COMPARE: dict[Any, type[ast.cmpop]] = {
    np.greater: ast.Gt, np.greater_equal: ast.GtE, np.less: ast.Lt, np.less_equal: ast.LtE,
    np.equal: ast.Eq, np.not_equal: ast.NotEq,
}  # fmt: skip
REDUCED: dict[Any, str] = {np.add.reduce: "sum", np.maximum.reduce: "max", np.minimum.reduce: "min"}
METHODS = REDUCED | {np.mean: "mean", np.reshape: "reshape", astype: "astype"}
TEMPORARY = {
    "exp": "e", "sum": "total", "max": "top", "tanh": "h", "maximum": "h", "equal": "one_hot",
    "arange": "rows",
}  # fmt: skip
WIDTH, DEEPEST = 96, 20  # characters of a line, calls within each other


class Writer:
    """Writes Symbols as lines of a function.

    Args:
        outputs: what the program computes.
        rebound: those that take over the name of an argument, by that name.
    """

    def __init__(self, outputs: Sequence[Any], rebound: Mapping[str, Any] | None = None) -> None:
        self.names: dict[Symbol, str] = {}
        self.taken: set[str] = set()
        self._vanished = False
        self.rebound = {x: name for name, x in (rebound or {}).items() if isinstance(x, Symbol)}
        self.order = ordered(outputs)
        self.uses = Counter(x for y in self.order for x in y.inputs)
        self.lines: set[Symbol] = {x for x in parts(*outputs) if x.function}
        self.asked = {x for y in self.order for x in parts(asked(y.args, *y.kwargs.values()))}
        for x in self.order:
            if x.given:
                self.names[x] = self.free(x.name or "x")
            elif (
                x.name
                or (self.uses[x] > 1 and x.function and not is_cheap(x))
                or x in self.asked
                or x.function in (put, add_at)
            ):
                self.lines.add(x)
        depth: dict[Symbol, int] = {}
        for x in self.order:
            inner = (depth.get(y, 0) for y in parts(*x.args) if y not in self.lines)
            depth[x] = 1 + max(inner, default=0)
            if depth[x] > DEEPEST and x.function:
                self.lines.add(x)
        for x in self.order:
            if x in self.lines:
                self.names[x] = self.rebound.get(x) or self.free(x.name or self.temporary(x))
        self._shorten()

    def free(self, name: str) -> str:
        """The name as an identifier, with a number if it is taken."""
        name = base = identifier(name)
        n = 1
        while name in self.taken:
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return name

    def temporary(self, x: Symbol) -> str:
        """A name for a value that the user has none for."""
        if x.hint:
            return x.hint
        inner = [a.function for a in x.args if isinstance(a, Symbol)]
        if np.equal in inner and x.function is np.multiply:
            return "one_hot"
        if np.maximum.reduce in inner and x.function is np.subtract:
            return "shifted"
        name = REDUCED.get(x.function) or name_of(x.function)
        return TEMPORARY.get(name, "u")

    def _shorten(self) -> None:
        """Give parts of expressions that are too long for a line lines of their own."""
        for x in self.order:
            if x.function in (put, add_at):
                continue
            while x in self.lines and len(self.text(x)) > WIDTH - len(self.names[x]) - 7:
                inner = [y for y in self.inside(x) if 8 < len(self.text(y)) < WIDTH]
                if not inner:
                    break
                whole = len(self.text(x))
                best = min(inner, key=lambda y: abs(len(self.text(y)) - whole // 2))
                self.lines.add(best)
                self.names[best] = self.free(self.temporary(best))

    def inside(self, x: Symbol) -> list[Symbol]:
        """What is written within the expression of a Symbol."""
        found, waiting = [], [x]
        while waiting:
            for y in parts(*waiting.pop().args):
                if y.function and y not in self.names:
                    found.append(y)
                    waiting.append(y)
        return found

    def statements(self, book: Book, comments: bool) -> Iterator[tuple[Symbol, list[str]]]:
        """Every line that is needed, in order, with the Symbol that it computes.

        Args:
            book: tells why an expression was replaced, and what was taken for granted.
            comments: whether to say of every line what shape it has, and which rule it is.
        """
        for x in self.order:
            if x not in self.lines:
                continue
            name, note = self.names[x], ""
            if comments:
                note = f"  # {x.value.shape}" + (f": {x.said}" if x.said else "")
            if x.function in (put, add_at):
                out, index, value = x.args
                before = ast.unparse(self.expression(out))
                if isinstance(out, Symbol) and out in self.names:
                    before += ".copy()"
                place = ast.unparse(self.subscript(ast.Name(name), index, x.ndim))
                zeros = is_call(out, np.zeros)
                told = ast.unparse(self.expression(value))
                text = f"{place} = {told}"
                if x.function is add_at and not names_once(index):
                    text = f"np.add.at({name}, {ast.unparse(self.expression(index))}, {told})"
                elif x.function is add_at and not zeros:
                    text = f"{place} += {told}"
                    if (less := negated(self.expression(value))) is not None:
                        text = f"{place} -= {ast.unparse(less)}"
                yield x, [f"{name} = {before}", text + note]
            else:
                yield x, [*self.because(x, book), f"{name} = {self.text(x)}{note}"]

    def facts(self, book: Book) -> list[str]:
        """Comments on what was taken for granted of the data."""
        return [
            f"# as {ast.unparse(self.expression(labels))} adds up to 1 along axis {axis}"
            for labels, axis in book.facts.items()
            if labels in set(self.order)
        ]

    def because(self, x: Symbol, book: Book) -> list[str]:
        """Comments on how the expression came to be so short."""
        if x not in book.because:
            return []
        lines = []
        first, step = book.because[x]
        texts = [
            self.text(y, vanished) for y, vanished in ((first, True), (first, False), (step, False))
        ]
        texts = list(dict.fromkeys([*texts, self.text(x)]))
        line = f"# because {texts[0]}"
        for text in texts[1:]:
            if len(line) + len(text) + 3 > WIDTH:
                lines.append(line)
                line = "#        "
            line += f" = {text}"
        return [*lines, line]

    def text(self, x: Any, vanished: bool = False) -> str:
        """The expression of a value, also if it has a name.

        What has `vanished`, as it was simplified away, can be told by its name.
        """
        self._vanished = vanished
        node = self.call(x) if isinstance(x, Symbol) and x.function else self.expression(x)
        self._vanished = False
        return ast.unparse(node)

    def expression(self, x: Any) -> ast.expr:
        """An argument: a name, an expression, or a constant."""
        if isinstance(x, Symbol) and is_number(x):
            x = x.value.item()
        if isinstance(x, Symbol):
            name = self.names.get(x) or (self._vanished and x.name)
            return ast.Name(name) if name else self.call(x)
        if isinstance(x, Length):
            return self.length(x)
        if isinstance(x, (tuple, list)):
            items = [self.expression(part) for part in x]
            return (ast.Tuple if isinstance(x, tuple) else ast.List)(items, ast.Load())
        if isinstance(x, np.ndarray) and x.ndim:
            return constant(x)
        if isinstance(x, np.dtype):
            return parsed("float" if x == np.float64 else f"np.{x.name}")
        if isinstance(x, slice):
            ends = [self.expression(end) for end in (x.start, x.stop, x.step)]
            return ast.Call(ast.Name("slice"), ends, [])
        if isinstance(x, (np.generic, np.ndarray)):
            x = x.item()
        if isinstance(x, float):
            x = short(x)
        if isinstance(x, float) and x.is_integer() and abs(x) < 1e15:
            x = int(x)
        if isinstance(x, float) and not np.isfinite(x):
            return parsed("-np.inf" if x < 0 else f"np.{x}")
        if isinstance(x, (int, float)) and x < 0:
            return ast.UnaryOp(ast.USub(), ast.Constant(-x))
        if isinstance(x, range):
            return parsed(repr(x))
        return ast.Constant(x)

    def operand(self, x: Any, operands: Sequence[Any]) -> ast.expr:
        """A number as 2.0 beside integers, which a 2 would leave integers, and as 2 elsewhere."""
        number = is_number(x) and np.asarray(value_of(x)).dtype.kind == "f"
        others = [np.asarray(value_of(a)).dtype.kind for a in operands if not is_number(a)]
        if number and others and "f" not in others and np.isfinite(value_of(x)):
            return ast.Constant(short(float(value_of(x))))
        return self.expression(x)

    def length(self, n: Length) -> ast.expr:
        """A number that is asked of a shape."""
        if isinstance(n.terms[0], Symbol):
            x, axis = n.terms
            shape = ast.Attribute(self.expression(x), "shape", ast.Load())
            if axis == 0:
                return ast.Call(ast.Name("len"), [self.expression(x)], [])
            return ast.Subscript(shape, ast.Constant(axis), ast.Load())
        if n.terms[0] is operator.mul:
            factors = list(n.factors())
            owners = {f.terms[0] for f in factors if isinstance(f, Length)}
            if len(owners) == 1 and len(factors) > 1:
                x = owners.pop()
                if isinstance(x, Symbol) and int(n) == x.value.size and len(factors) == x.ndim:
                    return ast.Attribute(self.expression(x), "size", ast.Load())
            result = self.expression(factors[0])
            for factor in factors[1:]:
                result = ast.BinOp(result, ast.Mult(), self.expression(factor))
            return result
        if n.terms[0] is operator.neg:
            return ast.UnaryOp(ast.USub(), self.expression(n.terms[1]))
        sign, a, b = n.terms
        return ast.BinOp(self.expression(a), BINARY[sign](), self.expression(b))

    def subscript(self, x: ast.expr, index: Any, ndim: int) -> ast.expr:
        """x[index], with its slices as colons."""

        def part(i: Any) -> ast.expr:
            if not isinstance(i, slice):
                return self.expression(i)
            ends = (None if e is None else self.expression(e) for e in (i.start, i.stop, i.step))
            return ast.Slice(*ends)

        if isinstance(index, tuple) and index:
            colons = ndim - sum(i is not None and i is not ... for i in index)
            if any(i is ... for i in index) and colons <= 2 and not masked(index):
                index = in_full(index, ndim)
            inner: ast.expr = ast.Tuple([part(i) for i in index], ast.Load())
        else:
            inner = part(index)
        return ast.Subscript(x, inner, ast.Load())

    def call(self, x: Symbol) -> ast.expr:
        """The call that computes a Symbol, with operators and methods where there are."""
        function, args, kwargs = x.function, x.args, x.kwargs
        if function in BINARY and len(args) == 2:
            whole = function is not np.divide
            left, right = (self.operand(a, args if whole else ()) for a in args)
            return ast.BinOp(left, BINARY[function](), right)
        if function in COMPARE:
            left, right = map(self.expression, args)
            return ast.Compare(left, [COMPARE[function]()], [right])
        if function is np.negative:
            return ast.UnaryOp(ast.USub(), self.expression(args[0]))
        if function is operator.getitem:
            return self.subscript(self.expression(args[0]), args[1], np.ndim(value_of(args[0])))
        if function is np.transpose and isinstance(args[0], Symbol):
            order = args[1] if len(args) > 1 else kwargs.get("axes")
            n = args[0].ndim
            if order is None or tuple(order) == tuple(range(n))[::-1]:
                return ast.Attribute(self.expression(args[0]), "T", ast.Load())
            if tuple(i % n for i in order) == (*range(n - 2), n - 1, n - 2):
                return ast.Attribute(self.expression(args[0]), "mT", ast.Load())
        method = METHODS.get(function)
        if name_of(function) == "reduce" and not kwargs.get("keepdims") and x.ndim == 0:
            kwargs = {}
        given = [
            ast.keyword(name, self.expression(single(value) if name == "axis" else value))
            for name, value in kwargs.items()
            if value is not None and value is not False
        ]
        if method == "reshape" and isinstance(args[1], tuple) and args[1]:
            args = (args[0], *args[1])
        if method:
            return self.method(method, args, given)
        owner = ast.Attribute(ast.Name("np"), name_of(function), ast.Load())
        told = list(map(self.expression, args))
        if function is np.broadcast_to and x.dtype == np.float32 and not np.ndim(value_of(args[0])):
            told[0] = ast.Call(parsed("np.float32"), told[:1], [])
        return ast.Call(owner, told, given)

    def method(self, name: str, args: Sequence[Any], given: list[ast.keyword]) -> ast.expr:
        """x.name(...), or np.name(x, ...) for a function of an expression."""
        first, *rest = map(self.expression, args)
        simple = isinstance(first, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
        whole = isinstance(first, ast.BinOp) and args[0].ndim > 0  # not a number of Python's
        if name == "reshape" and not (simple or whole):
            rest = [ast.Tuple(rest, ast.Load())] if len(rest) > 1 else rest
        elif simple or name in ("astype", "reshape"):
            return ast.Call(ast.Attribute(first, name, ast.Load()), rest, given)
        return ast.Call(ast.Attribute(ast.Name("np"), name, ast.Load()), [first, *rest], given)


def names_once(index: Any) -> bool:
    """Whether an index names each element once: a basic one, or a column for every row."""
    index = index if isinstance(index, tuple) else (index,)
    basic = all(i is None or i is ... or isinstance(i, (int, slice)) for i in index)
    return basic or any(is_call(i, np.arange) for i in index)


def negated(node: ast.expr) -> ast.expr | None:
    """b * c for -b * c; None if there is no minus in front."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
        left = negated(node.left)
        return ast.BinOp(left, node.op, node.right) if left else None
    return None


def parsed(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


def name_of(function: Any) -> str:
    """What NumPy's users call a function."""
    name: str = getattr(function, "__name__", "")
    return {"absolute": "abs"}.get(name, name)


def short(x: float) -> float:
    """0.1 for 0.09999999999999998, which is as near as rounding comes."""
    y = float(f"{x:.12g}")
    return y if abs(x - y) <= 1e-15 * abs(x) else x


def masked(index: tuple[Any, ...]) -> bool:
    """Whether an index has parts that stand for other than one axis: masks, and True."""
    return any(np.asarray(value_of(i)).dtype == bool for i in index if not isinstance(i, slice))


def single(axis: Any) -> Any:
    """The only axis of a tuple of one."""
    return axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis


def constant(x: np.ndarray[Any, Any]) -> ast.expr:
    """A small array, written out."""
    n = x.size
    if x.ndim == 1 and x.dtype.kind == "i" and n > 1 and (x == np.arange(n)).all():
        return parsed(f"np.arange({n})")
    if not n:
        return parsed(f"np.zeros({x.shape}, np.{x.dtype.name})")
    with np.printoptions(threshold=sys.maxsize):
        told = np.array2string(x, separator=", ", formatter={"float": repr_float})
    dtype = f", dtype=np.{x.dtype.name}" if x.dtype not in (np.float64, np.int64, bool) else ""
    return parsed(f"np.array({told}{dtype})")


def repr_float(x: Any) -> str:
    """A float as it is written."""
    return repr(float(x)) if np.isfinite(x) else f"float('{x}')"


def is_cheap(x: Symbol) -> bool:
    """Whether a person would rather write it twice than give it a name: X.T, 1 - A."""
    if x.function is np.transpose:
        return True
    named = sum(isinstance(a, Symbol) and a.name is not None for a in x.args)
    return x.function in (np.add, np.subtract) and named == 1 and any(map(is_number, x.args))
