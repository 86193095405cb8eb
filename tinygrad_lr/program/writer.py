"""A program that computes Symbols, line by line, as a person would write it."""

from __future__ import annotations

import ast
import functools
import operator
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.naming.names import identifier, unique
from tinygrad_lr.naming.source_text import template
from tinygrad_lr.program.algebra import multiplied
from tinygrad_lr.program.calls import REDUCTIONS, SIGNS, add_at, astype, expand_index, put
from tinygrad_lr.program.symbols import (
    Symbol,
    Trace,
    is_call,
    is_identity,
    is_number,
    is_one_hot,
    lengths_in,
    ordered,
    symbols_in,
    value_of,
)

REDUCED: dict[Any, str] = {np.add.reduce: "sum", np.maximum.reduce: "max", np.minimum.reduce: "min"}
METHODS = REDUCED | {np.mean: "mean", np.reshape: "reshape", astype: "astype"}
TEMPORARY = {
    "exp": "e", "sum": "total", "max": "top", "tanh": "h", "maximum": "h", "arange": "rows",
}  # fmt: skip
WIDTH, MAX_DEPTH = 96, 20  # characters of a line, calls within each other


class Writer:
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
        self.names: dict[Symbol, str] = {}
        self.modules: set[str] = set()  # of the functions that are called
        self._by_name = False  # whether a name that is not in `names` is written as well
        self.trace = trace or Trace()
        self._counts: dict[str, int] = {}  # of names
        self._texts: dict[Any, str] = {}  # with the present names
        self._written: dict[Symbol, ast.expr] = {}  # within the last expression
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
        place = {x: i for i, x in enumerate(self.order)}
        read = {
            self.names[y]: place[x]
            for x in self.order
            if x in self.lines and own
            for y in self._read(x)
            if y.is_argument
        }  # by the last line that does
        for x, name in own.items():
            if read.get(name, 0) > place[x]:
                self.names[x] = self.free(f"new_{name}")
                self._texts.clear()

    def _read(self, x: Symbol) -> list[Symbol]:
        """What the expression of a Symbol has names for."""
        return [z for y in x.inputs for z in ([y] if y in self.names else self._read(y))]

    def _lines(self, outputs: Sequence[Any]) -> set[Symbol]:
        """The Symbols with a line of their own: named, used twice, or deep in an expression."""
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
        return unique(identifier(name), self._counts)

    def temporary(self, x: Symbol) -> str:
        """A name for a value that the user has none for."""
        if x.suggested_name:
            return x.suggested_name
        inner = [a.function for a in x.args if isinstance(a, Symbol)]
        if is_one_hot(x) or (x.function is np.multiply and any(map(is_one_hot, x.args))):
            return "one_hot"
        if np.maximum.reduce in inner and x.function is np.subtract:
            return "shifted"
        if x.function is np.subtract and any(is_data(a) for a in x.args):
            return "r"
        if x.dtype == bool:
            return "mask"
        return TEMPORARY.get(name_of(x.function), "u")

    def _shorten(self) -> None:
        """Give parts of expressions that are too long for a line lines of their own."""
        for x in self.order:
            if x.function in (put, add_at):
                continue
            while x in self.lines and len(self.text(x)) > WIDTH - len(self.names[x]) - 7:
                half = len(self.text(x)) // 2
                sizes = {y: n for y, n in self._inside(x) if 8 < n < WIDTH}
                if not sizes:
                    break
                best = min(sizes, key=lambda y: abs(sizes[y] - half))
                self.lines.add(best)
                self.names[best] = self.free(self.temporary(best))
                self._texts.clear()

    def _inside(self, x: Symbol) -> Iterator[tuple[Symbol, int]]:
        """What is written within the expression of a Symbol, each with the length of its text."""
        self._written = {}
        tree = self.call(x)
        read = ast.parse(self.text(x), mode="eval").body  # which knows where everything stands
        pairs = zip(*map(expressions, (tree, read)), strict=False)
        spans = {id(made): (b.col_offset, -b.end_col_offset) for made, b in pairs}
        written = [(spans.get(id(node), (0, 0)), y) for y, node in self._written.items()]
        for (start, end), y in sorted(written, key=operator.itemgetter(0)):
            yield y, -end - start

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
                line += f"  # {self._shape(x)}" + (f": {x.comment}" if x.comment else "")
            yield x, [*self.derivation(x), *before, line]

    def _shape(self, x: Symbol) -> str:
        """The shape as text, with len(X) for the number of samples."""
        texts = (ast.unparse(self.expression(n)) for n in x.shape)
        pairs = zip(texts, x.value.shape, strict=True)
        lengths = [text if text.startswith("len(") else str(n) for text, n in pairs]
        return f"({', '.join(lengths)}{',' * (len(lengths) == 1)})"

    def assignment(self, x: Symbol) -> list[str]:
        """The lines that assign a Symbol to its name."""
        name = self.names[x]
        if x.function not in (put, add_at):
            return [f"{name} = {self.text(x)}"]
        out, index, value = x.args
        copied = isinstance(out, Symbol) and (out in self.names or not out.value.flags.owndata)
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
            f"# as {ast.unparse(self.expression(labels))} holds classes from 0 to {classes - 1}"
            for labels, classes in self.trace.assumptions.items()
            if labels in set(self.order)
        ]

    def derivation(self, x: Symbol) -> list[str]:
        """Comments on how the expression came to be so short."""
        if x not in self.trace.derivations or x.function in (put, add_at):
            return []
        first, step = self.trace.derivations[x]
        texts = [self.text(first, True), self.text(first), self.text(step), self.text(x)]
        if any(f"np.{f.__name__}(" in text for f in (put, add_at) for text in texts):
            return []  # what is done in place is no expression
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
        if (x, by_name) not in self._texts:
            self._by_name = by_name
            node = self.call(x) if isinstance(x, Symbol) and x.function else self.expression(x)
            self._by_name = False
            self._texts[x, by_name] = ast.unparse(node)
        return self._texts[x, by_name]

    def expression(self, x: Any) -> Any:
        """An argument: a name, an expression, or a constant."""
        if isinstance(x, Symbol) and (x.function or x.is_argument):
            name = self.names.get(x) or (self._by_name and x.name)
            if not name:
                self._written[x] = node = self.call(x)
            return ast.Name(name) if name else node
        if isinstance(x, Length):
            return self.length(x)
        if isinstance(x, (tuple, list)):
            items = [self.expression(part) for part in x]
            return (ast.Tuple if isinstance(x, tuple) else ast.List)(items, ast.Load())
        if isinstance(x, slice):
            ends = [self.expression(end) for end in (x.start, x.stop, x.step)]
            return ast.Call(ast.Name("slice"), ends, [])
        return constant(value_of(x))

    def output(self, x: Any) -> Any:
        """A result of the program; a number as a float."""
        n = np.asarray(value_of(x)) if is_number(x) else None
        return self.expression(x) if n is None or n.ndim else number(float(n))

    def operand(self, x: Any, operands: Sequence[Any]) -> Any:
        """A number as 2.0 or np.float32(2.0) beside integers, and as 2 elsewhere."""
        n = np.asarray(value_of(x))
        kinds = {np.asarray(value_of(a)).dtype.kind for a in operands if not is_plain(a)}
        if n.dtype.kind == "f" and is_plain(x) and np.isfinite(n) and kinds and "f" not in kinds:
            node = number(short(float(n))) if is_number(x) else self.expression(x)
            return template("np.float32(x)", x=node) if n.dtype == np.float32 else node
        return self.expression(x)

    def _filling(self, x: Any, dtype: Any) -> Any:
        """A number that an array of a dtype is filled with."""
        n = np.asarray(value_of(x))
        whole = is_number(x) and dtype.kind == "f" and np.isfinite(n)
        node = number(short(float(n))) if whole else self.expression(x)
        return ast.Call(dotted("np.float32"), [node], []) if dtype == np.float32 else node

    def length(self, n: Length) -> Any:
        """A number that is computed from shapes."""
        first, *terms = n.terms
        if isinstance(first, Symbol):
            x, (axis,) = self.expression(first), terms
            return template(f"x.shape[{axis}]" if axis else "len(x)", x=x)
        if first is operator.neg:
            return ast.UnaryOp(ast.USub(), self.expression(*terms))
        if first is operator.mul:
            terms = list(multiplied(n))
            x, *others = {f.terms[0] for f in terms if isinstance(f, Length)}
            axes = [f.terms[1] for f in terms if isinstance(f, Length)]
            own = isinstance(x, Symbol) and not others and len(terms) == len(axes)
            if own and x.ndim > 1 and sorted(axes) == [*range(x.ndim)]:
                return template("x.size", x=self.expression(x))
        operands = map(self.expression, terms)
        return functools.reduce(lambda a, b: infix(a, SIGNS[first], b), operands)

    def subscript(self, x: ast.expr, index: Any, ndim: int) -> Any:
        """x[index], with its slices as colons."""

        def part(i: Any) -> Any:
            if not isinstance(i, slice):
                return self.expression(i)
            ends = (None if e is None else self.expression(e) for e in (i.start, i.stop, i.step))
            return ast.Slice(*ends)

        if not isinstance(index, tuple) or not index:
            return ast.Subscript(x, part(index))
        colons = ndim - sum(i is not None and i is not ... for i in index)
        if any(i is ... for i in index) and colons <= 2 and not masked(index):
            index = expand_index(index, ndim)
        return ast.Subscript(x, ast.Tuple([part(i) for i in index]))

    def call(self, x: Symbol) -> Any:
        """The call that computes a Symbol, with operators and methods where there are."""
        function, args, kwargs = x.function, x.args, x.kwargs
        if function in SIGNS:
            beside = () if function is np.divide or x.dtype == bool else args
            left, right = (self.operand(a, beside) for a in args)
            return infix(left, SIGNS[function], right)
        if function is np.negative:
            return ast.UnaryOp(ast.USub(), self.expression(args[0]))
        if function is operator.getitem:
            return self.subscript(self.expression(args[0]), args[1], np.ndim(value_of(args[0])))
        if function is np.transpose and (attribute := _transpose(*args, **kwargs)):
            return ast.Attribute(self.expression(args[0]), attribute)
        if function in REDUCTIONS and not kwargs.get("keepdims") and x.ndim == 0:
            kwargs = {}
        if function is np.reshape and isinstance(args[1], tuple) and args[1]:
            args = (args[0], *args[1])
        keywords = [
            ast.keyword(name, self.expression(single(value) if name == "axis" else value))
            for name, value in kwargs.items()
            if value is not None and value is not False
        ]
        texts = list(map(self.expression, args))
        if function is astype and not np.ndim(value_of(args[0])):  # perhaps a number of Python's
            return ast.Call(dotted(f"np.{x.dtype.name}"), texts[:1], [])
        if function in METHODS:
            array = np.ndim(value_of(args[0])) > 0  # not a number of Python's
            return method(METHODS[function], texts, keywords, array)
        if function is np.broadcast_to and is_plain(args[0]):
            texts[0] = self._filling(args[0], x.dtype)
        if function is np.where and all(map(is_plain, args[1:])):
            texts[1:] = [self._filling(a, x.dtype) for a in args[1:]]
        full = reference(function)
        self.modules.add(full.rpartition(".")[0].rpartition("(")[2])
        return ast.Call(template(full) if "(" in full else dotted(full), texts, keywords)


def names_once(index: Any) -> bool:
    """Whether an index names each element once: a basic one, or a column for every row."""
    index = index if isinstance(index, tuple) else (index,)
    basic = all(i is None or i is ... or isinstance(i, (int, slice)) for i in index)
    rows = all(np.ndim(value_of(i)) < 2 for i in index)  # not the same ones again
    return basic or (rows and any(is_call(i, np.arange) for i in index))


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


def is_data(x: Any) -> bool:
    """Whether it is an argument with samples."""
    return isinstance(x, Symbol) and x.is_argument and not x.fixed


def is_plain(x: Any, depth: int = 4) -> bool:
    """Whether an argument is a number of Python's in the program: written out, or of lengths."""
    if not isinstance(x, Symbol) or is_number(x):
        return np.ndim(value_of(x)) == 0
    of_numbers = depth and x.ndim == 0 and x.function in SIGNS
    return bool(of_numbers) and all(is_plain(a, depth - 1) for a in x.args)


def infix(left: ast.expr, sign: str, right: ast.expr) -> ast.expr:
    """An operator between two operands."""
    match _example(sign):
        case ast.Compare(_, signs):
            return ast.Compare(left, signs, [right])
        case ast.BinOp(_, operation):
            return ast.BinOp(left, operation, right)
    raise ValueError(sign)


@functools.cache
def _example(sign: str) -> ast.expr:
    """An operator between variables."""
    return ast.parse(f"a {sign} b", mode="eval").body


def dotted(name: str) -> ast.expr:
    """np.linalg.inv, as attributes of a variable."""
    path, _, last = name.rpartition(".")
    return ast.Attribute(dotted(path), last) if path else ast.Name(last)


def _transpose(x: Any, axes: Any = None) -> str:
    """The attribute that is the transpose, T or mT; "" if there is none."""
    if not isinstance(x, Symbol):
        return ""
    n = x.ndim
    if axes is None or tuple(axes) == tuple(range(n))[::-1]:
        return "T"
    return "mT" if tuple(i % n for i in axes) == (*range(n - 2), n - 1, n - 2) else ""


def method(
    name: str, args: list[ast.expr], keywords: list[ast.keyword], is_array: bool
) -> ast.expr:
    """x.name(...), or np.name(x, ...) for a function of an expression."""
    first, *rest = args
    simple = isinstance(first, (ast.Name, ast.Call, ast.Attribute, ast.Subscript))
    sum_or_product = isinstance(first, ast.BinOp) and is_array
    if (simple and is_array) or name == "astype" or (name == "reshape" and sum_or_product):
        return ast.Call(ast.Attribute(first, name), rest, keywords)
    if name == "reshape" and len(rest) > 1:
        rest = [ast.Tuple(rest)]
    return ast.Call(dotted(f"np.{name}"), [first, *rest], keywords)


def reference(function: Any) -> str:
    """A function as a program calls it: np.exp, np.linalg.inv, scipy.special.erf."""
    name = name_of(function)
    if name.endswith(" (vectorized)"):  # one of math's, by np.frompyfunc
        return f"np.vectorize(math.{name.split()[0]}, otypes=[float])"
    if getattr(np, name, None) is function or function in REDUCED:
        return f"np.{name}"
    modules = [m for m in list(sys.modules.values()) if vars(m).get(name) is function]
    public = [m.__name__ for m in modules if not re.search(r"(^|\.)_|^tinygrad_lr", m.__name__)]
    module = min(public, key=len, default="np")
    return f"{module}.{name}".replace("numpy.", "np.")


def name_of(function: Any) -> str:
    """What NumPy's users call a function."""
    name = str(REDUCED.get(function) or getattr(function, "__name__", ""))
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


def constant(x: Any) -> Any:
    """A number, an array or a dtype, written out."""
    if isinstance(x, np.ndarray) and x.ndim:
        return array_literal(x)
    if isinstance(x, np.dtype):
        return dotted("float" if x == np.float64 else f"np.{x.name}")
    if isinstance(x, (np.generic, np.ndarray)):
        x = x.item()
    if isinstance(x, float):
        if not np.isfinite(x):
            return template("-np.inf") if x < 0 else dotted(f"np.{x}")
        x = int(x) if x.is_integer() and abs(x) < 1e15 else short(x)
    if isinstance(x, (int, float)):
        return number(x)
    return ast.Constant(x) if x is None or x is ... else template(repr(x))


def number(x: float) -> ast.expr:
    """A number; one below 0 is an operation, as it is where Python reads it."""
    return ast.UnaryOp(ast.USub(), ast.Constant(-x)) if x < 0 else ast.Constant(x)


def expressions(tree: ast.expr) -> Iterator[Any]:
    """All expressions within one."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))


def array_literal(x: np.ndarray[Any, Any]) -> Any:
    """A small array, written out."""
    n, dtype = x.size, x.dtype
    if x.ndim == 1 and dtype.kind == "i" and n > 1 and (x == np.arange(n)).all():
        return template(f"np.arange({n})")
    if is_identity(x):
        return template(f"np.eye({len(x)})")
    if not n:
        return template(f"np.zeros({x.shape}, np.{dtype.name})")
    values = template(repr(x.tolist()), inf=dotted("np.inf"), nan=dotted("np.nan"))
    keyword = "" if dtype in (np.float64, np.int64, bool) else f", dtype=np.{dtype.name}"
    return template(f"np.array(x{keyword})", x=values)
