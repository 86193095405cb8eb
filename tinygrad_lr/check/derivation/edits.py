"""A wrong line with one thing changed: a variable, a sign, a factor, an axis, a transpose."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import ratio
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.check.derivation.watch import Path, Scope, Statement, is_own, leaves, written
from tinygrad_lr.messages.origin import bracketed

MAX_ARRAYS = 60  # of the learner's that may stand where another does
DERIVED = ("1 - {0}", "{0} * (1 - {0})", "1 - {0} ** 2", "({0} > 0)", "{0} ** 2", "1 / {0}")
APPLIED = ("np.tanh({0})", "np.exp({0})", "np.log({0})", "np.sqrt({0})")
PRODUCTS = ("{0} @ {1}", "{0}.T @ {1}", "{0} @ {1}.T", "{1} @ {0}", "{1}.T @ {0}", "{1} @ {0}.T")


class Edit(NamedTuple):
    """A statement with one thing changed.

    Attributes:
        cost: how far-fetched it is.
        words: what was wrong.
        node: the changed statement.
    """

    cost: float
    words: str
    node: ast.stmt

    @property
    def line(self) -> str:
        """The line as it would be right."""
        node: Any = self.node
        if getattr(node, "body", None):  # the head of a loop or a branch
            node = copy.copy(node)
            node.body, node.orelse = [ast.Pass()], []
            return ast.unparse(node).partition("\n")[0]
        return ast.unparse(node)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all within it, but for what is in an f-string."""
    yield node
    for inner in ast.iter_child_nodes(node) if not isinstance(node, ast.JoinedStr) else ():
        yield from walk(inner)


def parsed(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


class Environment:
    """The learner's variables where a statement stands.

    Attributes:
        arrays: the arrays of floats that the variables hold, by the learner's expressions.
    """

    def __init__(self, scope: Scope, statement: Statement) -> None:
        self.steps = {
            x: name for name, x in scope.locals.items()
            if type(x) is int and (len(name) == 1 or name in statement.names)
        }  # fmt: skip
        self.names = {**scope.globals, **scope.locals}
        self.locals = dict(scope.locals)
        self.arrays: dict[str, Any] = {}
        seen: set[int] = set()
        held = [(p, v) for n, x in scope.locals.items() for p, _, v in leaves(x, (n,), None)]
        for path, v in sorted(held, key=lambda pair: len(pair[0])):
            array = isinstance(v, (np.ndarray, float)) and np.asarray(v).dtype.kind in "fb"
            if array and id(v) not in seen and len(self.arrays) < MAX_ARRAYS:
                seen.add(id(v))
                if text := self._written(path):
                    self.arrays[text] = v
        self.functions = list(_elementwise(self.names))
        self.derived = [*DERIVED, *(f"{name}({{0}})" for name in self.functions)]
        self._values: dict[str, Any] = {}

    def _written(self, path: Path) -> str:
        """A path as it is written where elements belong to the steps of a loop: hs[t - 1]; or empty."""
        key, owner = path[-1], self.locals.get(path[0])
        if not isinstance(key, int) or len(path) > 3:
            return written(path)
        for part in path[1:-1]:
            owner = getattr(owner, part[1:], None) if str(part).startswith(".") else owner[part]
        near = {n + d: f"{i}{d:+d}" if d else i for d in (1, -1, 0) for n, i in self.steps.items()}
        if key in near:
            return f"{written(path[:-1])}[{near[key].replace('+', ' + ').replace('-', ' - ')}]"
        if isinstance(owner, list) and key == len(owner) - 1 > 0:
            return f"{written(path[:-1])}[-1]"
        return written(path) if len(owner or ()) <= 4 else ""

    def value(self, node: ast.AST) -> Any:
        """The value of an expression; None if it has none."""
        text = ast.unparse(node)
        if text not in self._values:
            try:
                self._values[text] = eval(text, dict(self.names))
            except Exception:  # a part that makes no sense by itself
                self._values[text] = None
        return self._values[text]

    def array(self, node: ast.AST) -> Any:
        """The value of an expression if it is an array with axes, else None."""
        value = self.value(node) if isinstance(node, ast.expr) else None
        array = isinstance(value, np.ndarray) and value.dtype.kind in "fb" and value.ndim
        return value if array else None

    def numbers(self) -> dict[str, float]:
        """The variables that hold a number other than 0 and 1."""
        found = {}
        for name, x in self.locals.items():
            for path, _, v in leaves(x, (name,), None) if name == "self" else [((name,), 0, x)]:
                number = isinstance(v, (int, float, np.number)) or _is_number(v)
                if number and v not in (0, 1, True, False):
                    found[written(path)] = float(v)
        return found

    def factors(self) -> list[str]:
        """What people divide by, the likeliest first."""
        lengths = list(self.lengths().values())
        rows = [text for text in lengths if text.startswith("len(")]
        return list(dict.fromkeys([*self.numbers(), *rows, "2", *lengths]))

    def lengths(self) -> dict[int, str]:
        """Expressions for lengths of axes and numbers of elements, by the number."""
        found: dict[int, str] = {}
        for name, x in self.locals.items():
            if isinstance(x, np.ndarray) and x.ndim:
                found.setdefault(len(x), f"len({name})")
                for axis, n in enumerate(x.shape[1:], 1):
                    found.setdefault(n, f"{name}.shape[{axis}]")
                found.setdefault(x.size, f"{name}.size")
        return {n: text for n, text in found.items() if n > 1}

    def effect(self, node: ast.stmt, path: Path) -> Any:
        """What a statement would make of a path; None if it fails."""
        if isinstance(node, ast.Return):
            inner = right_side(node, self, path, None)
            return None if inner is None else self.value(inner)
        if isinstance(node, ast.AugAssign):  # which would write into the learner's array
            target = parsed(ast.unparse(node.target))
            node = ast.Assign([node.target], ast.BinOp(target, node.op, node.value))
        space, keys = dict(self.names), list(path[1:])
        try:
            space[path[0]] = holder = copy.copy(space.get(path[0]))
            while keys and not isinstance(holder, np.ndarray):
                key = keys.pop(0)
                attribute = isinstance(key, str) and key.startswith(".")
                inner = copy.copy(getattr(holder, key[1:], None) if attribute else holder[key])
                if attribute:
                    setattr(holder, key[1:], inner)
                elif not isinstance(holder, tuple):
                    holder[key] = inner
                holder = inner
        except (KeyError, IndexError, TypeError):  # it is not there yet
            pass
        try:
            exec(compile(ast.fix_missing_locations(ast.Module([node], [])), "<edit>", "exec"), space)
            value = space[path[0]]
            for key in path[1:]:
                attribute = isinstance(key, str) and key.startswith(".")
                value = getattr(value, key[1:]) if attribute else value[key]
        except Exception:
            return None
        return value


def _elementwise(names: Mapping[str, Any]) -> Iterator[str]:
    """The learner's functions of one argument, which may be activations and their derivatives."""
    for name, x in names.items():
        if isinstance(x, FunctionType) and is_own(x.__code__.co_filename):
            code = x.__code__
            if code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0b1100:
                yield name


def _is_number(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "fiu"


def right_side(statement: ast.stmt, env: Environment, path: Path, value: Any) -> ast.expr | None:
    """The expression in a statement that gives a path its value."""
    match statement:
        case ast.Return(value=ast.Tuple(elts=elements) | ast.List(elts=elements)):
            return _literal(_named(elements, elements, path), path)
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=elements)):
            return _named(targets, elements, path)
        case ast.Expr(value=ast.Call(args=arguments)):
            same = (a for a in arguments if np.array_equal(env.value(a), value))
            return next(same, arguments[-1] if arguments else None)
        case ast.AugAssign(value=node) | ast.If(test=node) | ast.For(iter=node):
            return node
        case ast.Assign(value=node) | ast.Return(value=node) | ast.AnnAssign(value=node):
            return _literal(node, path)
    return None


def _literal(node: ast.expr | None, path: Path) -> ast.expr | None:
    """What stands for a path in a dict, a list, a tuple or a call that is written out."""
    for key in path[1:]:
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                node = elements[key] if isinstance(key, int) and key < len(elements) else None
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                node = next((v for k, v in pairs if getattr(k, "value", None) == key), None)
            case ast.Call(keywords=[_, *_] as keywords):
                name = str(key).lstrip(".")
                node = next((k.value for k in keywords if k.arg == name), node)
    return node


def _named(targets: list[ast.expr], elements: list[ast.expr], path: Path) -> ast.expr | None:
    """The element that stands for a path: by its number, or by its name."""
    first = str(path[0])
    if first.startswith("returned value "):
        return elements[int(first.rpartition(" ")[2]) - 1]
    for text in (written(path), first):
        for target, element in zip(targets, elements, strict=False):
            if ast.unparse(target) == text:
                return element
    return None


def edits(statement: ast.stmt, whole: ast.expr, env: Environment, wanted: Any) -> Iterator[Edit]:
    """A statement with one thing in an expression of it changed.

    Args:
        wanted: what the expression should give; None if that is not known, and not everything is
            tried.
    """

    def edit(cost: float, words: str, old: ast.AST, new: ast.expr | str) -> Edit:
        node = parsed(new) if isinstance(new, str) else new
        return Edit(cost, words, substituted(statement, {id(old): node}))

    text = ast.unparse(whole)
    yield from _statements(statement, text, env)
    if isinstance(statement, (ast.If, ast.For)):
        yield from _heads(statement, edit)
        return
    yield edit(1, "the sign is flipped", whole, f"-({text})")
    yield from _everywhere(whole, edit, env)
    indices = [n.slice for t in _targets(statement) for n in walk(t) if isinstance(n, ast.Subscript)]
    for node in (n for part in (whole, *indices) for n in walk(part)):
        if isinstance(node, ast.Slice):
            yield from _rows(node, edit, env) if not (node.lower or node.upper) else _parts(node, edit)
        if isinstance(node, ast.expr):
            yield from _operators(node, edit)
            yield from _numbers(node, edit, env)
            yield from _calls(node, edit, env)
            yield from _operands(node, edit, env, wanted is not None)
            if wanted is not None:
                yield from _chains(node, edit, env)
    yield from _factors(whole, edit, env)
    for node in walk(whole):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            yield from _missing_factors(node.left, edit, env, 2.55)
            yield from _missing_factors(node.right, edit, env, 2.55)
    if wanted is not None:
        yield from _terms(whole, edit, env, wanted)
    for node in [whole, *(n for n in walk(whole) if _is_argument(n, whole))]:
        yield from _missing_terms(node, edit, env)


def _statements(statement: ast.stmt, text: str, env: Environment) -> Iterator[Edit]:
    """Other kinds of assignment."""
    match statement:
        case ast.Assign(targets=[ast.Name() | ast.Subscript() | ast.Attribute() as target]):
            name = ast.unparse(target)
            if env.array(parsed(name)) is not None or isinstance(env.value(parsed(name)), float):
                words = "= is used where += belongs, and what was added before is lost"
                yield Edit(2, words, ast.parse(f"{name} += {text}").body[0])
        case ast.AugAssign(target=target, op=op, value=value):
            for other in (ast.Add(), ast.Sub()):
                if type(other) is not type(op):
                    yield Edit(0.9, "the sign is flipped", ast.AugAssign(target, other, value))
            name = ast.unparse(target)
            yield Edit(3, "the term is added where it is all", ast.parse(f"{name} = {text}").body[0])
            if isinstance(target, ast.Subscript):
                words = "an index that comes twice is added once: np.add.at adds it twice"
                new = f"np.add.at({ast.unparse(target.value)}, {_index(target.slice)}, {text})"
                yield Edit(2.2, words, ast.parse(new).body[0])


def _targets(statement: Any) -> list[ast.expr]:
    """What a statement assigns to."""
    return getattr(statement, "targets", None) or [getattr(statement, "target", ast.Pass())]


def _rows(node: ast.Slice, edit: Any, env: Environment) -> Iterator[Edit]:
    """An index for each row in the place of all rows."""
    for n, text in env.lengths().items():
        words = f"all rows are meant, where row i and column i belong together: np.arange({text})"
        yield edit(2 + n / 1e9, words, node, f"np.arange({text})")


def _parts(node: ast.Slice, edit: Any) -> Iterator[Edit]:
    """The other part of an axis: [1:] for [:-1], [-n:] for [:n]."""
    bounds = [n for n in (node.lower, node.upper) if n is not None]
    texts = dict.fromkeys(ast.unparse(n).removeprefix("-") for n in bounds)
    for text in texts:
        for lower, upper in ((text, ""), ("", text), (f"-{text}", ""), ("", f"-{text}"), (text, f"-{text}")):
            new = ast.Slice(*(parsed(b) if b else None for b in (lower, upper)))
            words = f"[{ast.unparse(node)}] is used where [{lower}:{upper}] belongs"
            yield edit(2.2, words, node, new)


def _everywhere(whole: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Another value in the place of one that is used several times."""
    places: dict[str, list[ast.expr]] = {}
    for node in walk(whole):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            places.setdefault(ast.unparse(node), []).append(node)
    for text, nodes in places.items():
        x = env.array(nodes[0]) if len(nodes) > 1 else None
        for name, y in env.arrays.items() if x is not None else ():
            if name != text and np.shape(y) == x.shape:
                new = substituted(whole, {id(n): parsed(name) for n in nodes})
                yield edit(2, f"{text} is used where {name} belongs", whole, new)


def _index(node: ast.expr) -> str:
    """An index as an argument of a function."""
    if isinstance(node, ast.Tuple):
        return f"({', '.join(map(_index, node.elts))},)"
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return f"slice({', '.join('None' if p is None else ast.unparse(p) for p in parts)})"
    return ast.unparse(node)


def _heads(statement: ast.If | ast.For, edit: Any) -> Iterator[Edit]:
    """Loops in the other order, or one step longer or shorter, and branches that are turned round."""
    whole = statement.iter if isinstance(statement, ast.For) else statement.test
    text = ast.unparse(whole)
    for node in walk(whole):
        yield from _operators(node, edit) if isinstance(node, (ast.Compare, ast.Constant)) else ()
    if isinstance(statement, ast.If):
        return
    backwards = "the loop runs forwards, and should run backwards"
    if text.startswith("reversed("):
        assert isinstance(whole, ast.Call)
        yield edit(2, "the loop runs backwards, and should run forwards", whole, whole.args[0])
    else:
        yield edit(2, backwards, whole, f"reversed(list({text}))")
        yield edit(1.9, backwards, whole, f"reversed({text})")
    for node in walk(whole):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "range":
            for bound in node.args:
                for new in (f"{ast.unparse(bound)} + 1", f"{ast.unparse(bound)} - 1"):
                    yield edit(2.5, "the loop has a step too few or too many", bound, new)


def _chains(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Factors that are missing within a chain of products: a @ (b @ c * f) for a @ b @ c."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=a, op=ast.MatMult(), right=b), op=ast.MatMult(), right=c
        ):
            inner = parsed(f"{bracketed(ast.unparse(b))} @ {bracketed(ast.unparse(c))}")
            x = env.array(inner)
            for name, y in env.arrays.items():
                if x is None or np.shape(y) != x.shape:
                    continue
                for form in ("{0}", *env.derived):
                    factor = form.format(name)
                    new = f"{bracketed(ast.unparse(a))} @ ({ast.unparse(inner)} * ({factor}))"
                    yield edit(2.6, f"the factor {factor} is missing", node, new)


def _operators(node: ast.expr, edit: Any) -> Iterator[Edit]:
    """Signs, and what is too much."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield edit(1.5, f"the minus before {ast.unparse(inner)} is too much", node, inner)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            a, b = ast.unparse(left), ast.unparse(right)
            yield edit(1.1, f"the factor {b} is too much", node, left)
            yield edit(1.1, f"the factor {a} is too much", node, right)
            new = ast.BinOp(left, ast.Add(), right)
            yield edit(2.6, f"multiplied by {b}, which should be added", node, new)
            new = ast.BinOp(left, ast.Div(), right)
            yield edit(2.5, f"multiplied by {b}, not divided by it", node, new)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            b = ast.unparse(right)
            yield edit(1.1, f"divided once too often by {b}", node, left)
            yield edit(2.2, f"divided by {b}, not by its square", node, f"{ast.unparse(left)} / {bracketed(b)} ** 2")
            new = ast.BinOp(left, ast.Mult(), right)
            yield edit(2.5, f"divided by {b}, not multiplied by it", node, new)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            a, b = ast.unparse(left), ast.unparse(right)
            other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            flipped = ast.BinOp(ast.UnaryOp(ast.USub(), left), op, right)
            yield edit(0.9, f"the term {b} has the wrong sign", node, ast.BinOp(left, other, right))
            yield edit(1.5, f"the term {a} has the wrong sign", node, flipped)
            if isinstance(op, ast.Sub):
                yield edit(0.9, f"the difference is {b} - {a}", node, ast.BinOp(right, op, left))
            last = right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right)
            yield edit(2.5, f"the term {b} is too much", node, left)
            yield edit(2.5, f"the term {a} is too much", node, last)
            for factor in _product_of(left):
                f = ast.unparse(factor)
                new = ast.BinOp(left, op, parsed(f"{bracketed(b)} * {bracketed(f)}"))
                yield edit(2.5, f"the term {b} is not multiplied by {f}", node, new)
            words = f"{b} is {'added' if isinstance(op, ast.Add) else 'subtracted'}, not multiplied"
            yield edit(2.6, words, node, ast.BinOp(left, ast.Mult(), right))
        case ast.BinOp(left=left, op=ast.Pow()):
            yield edit(2.5, f"{ast.unparse(node)} is used where {ast.unparse(left)} belongs", node, left)
        case ast.Constant(value=int() | float() as c) if not isinstance(c, bool):
            for new in dict.fromkeys((1, 2 * c, c / 2, -c, c + 1, c - 1)):
                number = int(new) if float(new).is_integer() and isinstance(c, int) else new
                cost = 1.15 if new == 1 else 3.5
                yield edit(cost, f"{c} is used where {number} belongs", node, repr(number))
        case ast.Compare(ops=[op]):
            for other in (ast.Gt(), ast.Lt(), ast.GtE(), ast.LtE()):
                if type(other) is not type(op):
                    new = ast.Compare(node.left, [other], node.comparators)
                    yield edit(3, "the mask is turned round", node, new)


def _product_of(node: ast.expr) -> Iterator[ast.expr]:
    """The last factors of a product: c, and b * c, of a * b * c."""
    tail: ast.expr | None = None
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        tail = node.right if tail is None else ast.BinOp(node.right, ast.Mult(), tail)
        yield tail
        node = node.left


def _calls(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Sums over other axes, means for sums, extremes, and products in another order."""
    product = _product(node)
    if product:
        x, y = map(env.array, product)
        if x is not None and y is not None and x.ndim == y.ndim == 2:
            for form in PRODUCTS:
                new = form.format(*(bracketed(ast.unparse(n)) for n in product)).replace(".T.T", "")
                yield edit(3, f"the product should be {new}", node, new)
    parts = getattr(node, "elts", None) or getattr(node, "args", [])
    for i, j in itertools.combinations(range(len(parts)), 2) if len(parts) < 8 else ():
        x, y = env.array(parts[i]), env.array(parts[j])
        if x is not None and y is not None and x.shape == y.shape:
            a, b = ast.unparse(parts[i]), ast.unparse(parts[j])
            new = substituted(node, {id(parts[i]): parsed(b), id(parts[j]): parsed(a)})
            yield edit(2.2, f"{a} and {b} are swapped", node, new)
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        x, y = env.array(node), env.array(node.args[0])
        if x is not None and y is not None and x.shape == y.shape:
            name, argument = ast.unparse(node.func), ast.unparse(node.args[0])
            yield edit(2.3, f"{name} is applied to {argument} once more", node, node.args[0])
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name, owner = node.func.attr, node.func.value
    others = {"sum": "mean", "mean": "sum", "argmax": "argmin", "argmin": "argmax"}
    if name in others:
        new = ast.Call(ast.Attribute(owner, others[name], ast.Load()), node.args, node.keywords)
        yield edit(2, f"{name} is used where {others[name]} belongs", node, new)
    inner = node.args[0] if ast.unparse(owner) in ("np", "numpy") and node.args else owner
    x = env.array(inner)
    if x is None or name not in ("sum", "mean"):
        return
    yield edit(2.5, f"summed, where {ast.unparse(inner)} itself belongs", node, inner)
    keep = any(k.arg == "keepdims" for k in node.keywords)
    for axis in (None, *range(x.ndim)):
        for kept in {keep, True}:
            words = "summed over " + ("all axes" if axis is None else f"axis {axis}")
            new = f"np.sum({ast.unparse(inner)}, axis={axis}{', keepdims=True' * kept})"
            yield edit(2, f"summed over the wrong axis: it should be {words}", node, new)


def _product(node: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """The factors of a product of matrices, or of one that is elementwise."""
    match node:
        case ast.BinOp(left=a, op=ast.MatMult() | ast.Mult(), right=b):
            return a, b
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="dot" | "matmul"), args=[a, b]):
            return a, b
        case ast.Call(func=ast.Attribute(value=a, attr="dot"), args=[b]):
            return a, b
    return None


def _numbers(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Other lengths in the place of one, and terms without their factor."""
    text, value = ast.unparse(node), env.value(node)
    if type(value) is int and isinstance(node, ast.Call | ast.Subscript | ast.Attribute | ast.Name):
        named = {int(n): name for name, n in env.numbers().items() if n == int(n)}
        for n, other in (env.lengths() | named).items():
            if n != value and other != text:
                yield edit(1.05, f"{text} is {value}, where {n}, {other}, belongs", node, other)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        for term in (node.left, node.right):
            t = ast.unparse(term)
            for f in env.factors():
                yield edit(2.45, f"the term {t} is not divided by {f}", term, f"({t}) / {f}")
                yield edit(2.47, f"the term {t} is not multiplied by {f}", term, f"({t}) * {f}")


def _operands(node: ast.expr, edit: Any, env: Environment, derived: bool) -> Iterator[Edit]:
    """Other values in the place of one."""
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return
    x, text = env.array(node), ast.unparse(node)
    if isinstance(node, ast.Subscript):
        for index in (n for n in walk(node.slice) if isinstance(n, ast.Name | ast.Constant)):
            for new in (f"{ast.unparse(index)} - 1", f"{ast.unparse(index)} + 1"):
                shifted = substituted(node, {id(index): parsed(new)})
                words = f"{text} is used where {ast.unparse(shifted)} belongs"
                yield edit(2, words, node, shifted)
    if x is None:
        return
    for name, y in env.locals.items():
        if not isinstance(y, np.ndarray) or not y.ndim or name == text:
            continue
        words = f"the term {name} of {text} - {name} is missing"
        if y.shape == x.shape:
            yield edit(2.4, words, node, f"({text} - {name})")
        elif y.dtype.kind in "iu" and x.ndim == 2 and y.shape == x.shape[:1]:
            yield edit(2.4, words, node, f"({text} - np.eye({text}.shape[1])[{name}])")
    if x.ndim == 2:
        is_turned = isinstance(node, ast.Attribute) and node.attr == "T"
        new = node.value if is_turned else f"({text}).T"  # type: ignore[attr-defined]
        yield edit(2, f"{text} is transposed, or should be", node, new)
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
    for name, y in env.arrays.items():
        if np.shape(y) != x.shape:
            continue
        if name != text and not np.array_equal(x, y) and y.dtype.kind == "f":
            yield edit(2 if simple else 2.8, f"{text} is used where {name} belongs", node, name)
        forms = [*env.derived, *APPLIED] if name == text else env.derived if derived else ()
        for other in (form.format(name) for form in forms):
            if other != text:
                yield edit(3, f"{text} is used where {other} belongs", node, f"({other})")


def _factors(whole: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Factors that are missing, and sums that were forgotten."""
    x, text = env.value(whole), ast.unparse(whole)
    body = f"({text})" if isinstance(whole, ast.BinOp | ast.UnaryOp | ast.Compare) else text
    if not isinstance(x, (np.ndarray, float)):
        return
    for i, name in enumerate(env.factors()):
        yield edit(1.2 + i / 1000, f"not divided by {name}", whole, f"{body} / {name}")
        yield edit(1.3 + i / 1000, f"not multiplied by {name}", whole, f"{body} * {name}")
    for axis in range(np.ndim(x)):
        for keep in ("", ", keepdims=True"):
            new = f"np.sum({text}, axis={axis}{keep})"
            yield edit(2, f"not summed over axis {axis}", whole, new)
    yield from _missing_factors(whole, edit, env, 2.5)


def _missing_factors(node: ast.expr, edit: Any, env: Environment, cost: float) -> Iterator[Edit]:
    """Arrays, and what is computed from one, as further factors."""
    x, body = env.array(node), bracketed(ast.unparse(node))
    for name, y in env.arrays.items() if x is not None else ():
        if np.ndim(y) and (_fits_into(y, x) or _fits_into(x, y)):
            for factor in (form.format(name) for form in ("{0}", *env.derived)):
                yield edit(cost, f"the factor {factor} is missing", node, f"{body} * ({factor})")


def _fits_into(y: Any, x: Any) -> bool:
    """Whether an array can be multiplied to another one without changing its shape."""
    try:
        return np.broadcast_shapes(np.shape(y), np.shape(x)) == np.shape(x)
    except ValueError:
        return False


def _is_argument(node: ast.AST, whole: ast.expr) -> bool:
    """Whether a node is an argument of a call."""
    calls = (n for n in walk(whole) if isinstance(n, ast.Call))
    return any(node is a for call in calls for a in call.args)


def _missing_terms(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """The learner's arrays as further terms."""
    x, text = env.array(node), ast.unparse(node)
    for name, y in env.arrays.items() if x is not None else ():
        if np.shape(y) == x.shape and y.dtype.kind == "f":
            yield edit(2.4, f"the term {name} is missing", node, f"({text} + {name})")


def _terms(whole: ast.expr, edit: Any, env: Environment, wanted: Any) -> Iterator[Edit]:
    """Terms that are missing: arrays, multiples of them, and products of two."""
    x, text = env.value(whole), ast.unparse(whole)
    if not isinstance(x, np.ndarray) or x.shape != np.shape(wanted):
        return
    rest = wanted - x
    for cost, term, value in _products(env, x.shape):
        c = ratio(rest, value)
        if c is not None and x.size > 1:
            factor = "" if abs(abs(c) - 1) < 1e-9 else f"{_coefficient(abs(c), env)} * "
            words = f"the term {factor}{term} is missing"
            yield edit(cost, words, whole, f"{text} {'-' if c < 0 else '+'} {factor}{term}")


def _products(env: Environment, shape: tuple[int, ...]) -> Iterator[tuple[float, str, Any]]:
    """Arrays of a shape that can be computed from the learner's, with their expressions."""
    for name, y in env.arrays.items():
        if np.shape(y) == shape:
            yield 2.4, name, y
    for (a, x), (b, y) in itertools.permutations(env.arrays.items(), 2):
        if np.ndim(x) == np.ndim(y) == 2 == len(shape):
            for form, left, right in (
                ("{0} @ {1}", x, y), ("{0}.T @ {1}", x.T, y), ("{0} @ {1}.T", x, y.T)
            ):  # fmt: skip
                if left.shape[1] == right.shape[0] and (left.shape[0], right.shape[1]) == shape:
                    yield 2.6, form.format(a, b), left @ right
        if np.shape(x) == shape and _fits_into(y, x):
            yield 2.7, f"{a} * {b}", x * y


def _coefficient(c: float, env: Environment) -> str:
    """A number as an expression in the learner's variables."""
    numbers = {"1": 1.0, "2": 2.0, "0.5": 0.5, **env.numbers()}
    numbers |= {text: float(n) for n, text in env.lengths().items()}
    for (a, x), (b, y) in itertools.product(numbers.items(), repeat=2):
        for text, value in ((f"{a} * {b}", x * y), (f"{a} / {b}", x / y)):
            if abs(value / c - 1) < 1e-9:
                return text.removeprefix("1 * ").removesuffix(" * 1").removesuffix(" / 1")
    return f"{c:.6g}"
