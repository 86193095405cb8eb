"""What a wrong line should be: one change after another, tried until the right numbers come out.

The statement is run again where it stands, in the learner's own variables, with one thing changed:
another variable, a sign, a factor, an axis, a transpose. What gives the right gradient every time that
the statement runs is the diagnosis, and the changed line the correction.
"""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.experiment import Experiment, Overrides, Replay
from tinygrad_lr.check.derivation.watch import Follower, Path, Scope, Statement
from tinygrad_lr.messages.origin import bracketed

MAX_EDITS = 1500
MAX_KEPT = 12
DERIVED = ("1 - {0}", "{0} * (1 - {0})", "1 - {0} ** 2", "({0} > 0)", "1 / {0}")
Matches = Callable[[Any, Any], bool]


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
        return ast.unparse(self.node)


def parsed(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


def substituted(node: Any, old: ast.AST, new: ast.AST) -> Any:
    """A copy of a tree with another node in the place of one."""
    if node is old:
        return new
    if isinstance(node, list):
        return [substituted(x, old, new) for x in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: substituted(x, old, new) for name, x in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)


class Environment:
    """The learner's variables where a statement stands."""

    def __init__(self, scope: Scope) -> None:
        self.names = {**scope.globals, **scope.locals}
        self.locals = dict(scope.locals)
        self.arrays = {n: x for n, x in scope.locals.items() if _is_array(x)}
        for name, x in scope.locals.items():
            if name == "self":
                self.arrays |= {f"self.{n}": v for n, v in vars(x).items() if _is_array(v)}
        self._values: dict[str, Any] = {}

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
        return value if _is_array(value) and np.ndim(value) else None

    def numbers(self) -> dict[str, float]:
        """The variables that hold a number other than 0 and 1."""
        kinds = (int, float, np.number)
        numbers = {n: x for n, x in self.locals.items() if isinstance(x, kinds) or _is_number(x)}
        return {n: float(x) for n, x in numbers.items() if x not in (0, 1, True, False)}

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
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        space = dict(self.names)
        for name in names & space.keys():
            if isinstance(space[name], (np.ndarray, list, dict)) or hasattr(
                space[name], "__dict__"
            ):
                try:
                    space[name] = copy.copy(space[name])
                except Exception:  # what cannot be copied is not written into
                    continue
        module = ast.Module([node], [])
        try:
            exec(compile(ast.fix_missing_locations(module), "<edit>", "exec"), space)
            value = space[path[0]]
            for key in path[1:]:
                attribute = isinstance(key, str) and key.startswith(".")
                value = vars(value)[key[1:]] if attribute else value[key]
        except Exception:
            return None
        return value


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, float, np.floating)) and np.asarray(x).dtype.kind in "fb"


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
        case ast.AugAssign(value=node):
            return node
        case ast.Assign(value=node) | ast.Return(value=node) | ast.AnnAssign(value=node):
            return _literal(node, path)
    return None


def _literal(node: ast.expr | None, path: Path) -> ast.expr | None:
    """What stands for a path in a dict, a list or a tuple that is written out."""
    for key in path[1:]:
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                node = elements[key] if isinstance(key, int) and key < len(elements) else None
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                node = next((v for k, v in pairs if getattr(k, "value", None) == key), None)
    return node


def _named(targets: list[ast.expr], elements: list[ast.expr], path: Path) -> ast.expr | None:
    """The element that stands for a path: by its number, or by its name."""
    first = str(path[0])
    if first.startswith("returned value "):
        return elements[int(first.rpartition(" ")[2]) - 1]
    for text in (_text(path), first):
        found = (e for t, e in zip(targets, elements, strict=False) if ast.unparse(t) == text)
        if element := next(found, None):
            return element
    return None


def _text(path: Path) -> str:
    """A path as it is written."""
    return str(path[0]) + "".join(k if str(k).startswith(".") else f"[{k!r}]" for k in path[1:])


def edits(statement: ast.stmt, whole: ast.expr, env: Environment) -> Iterator[Edit]:
    """A statement with one thing in an expression of it changed."""

    def edit(cost: float, words: str, old: ast.AST, new: ast.expr | str) -> Edit:
        node = parsed(new) if isinstance(new, str) else new
        return Edit(cost, words, substituted(statement, old, node))

    text = ast.unparse(whole)
    yield edit(1, "the sign is flipped", whole, f"-({text})")
    if isinstance(statement, ast.Assign) and isinstance(
        statement.targets[0], (ast.Name, ast.Subscript)
    ):
        target = ast.unparse(statement.targets[0])
        if env.array(parsed(target)) is not None:
            node = ast.parse(f"{target} += {text}").body[0]
            yield Edit(2, "= is used where += belongs, and what was added before is lost", node)
    if isinstance(statement, ast.AugAssign):
        target = ast.unparse(statement.target)
        for op in (ast.Add(), ast.Sub()):
            if type(op) is not type(statement.op):
                yield Edit(
                    2, "the sign is flipped", ast.AugAssign(statement.target, op, statement.value)
                )
        yield Edit(3, "the term is added where it is all", ast.parse(f"{target} = {text}").body[0])
    for node in ast.walk(whole):
        if isinstance(node, ast.expr):
            yield from _operators(node, edit)
            yield from _numbers(node, edit, env)
            yield from _chains(node, edit, env)
            yield from _calls(node, edit, env)
            yield from _operands(node, edit, env)
    yield from _factors(whole, edit, env)


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
                for form in ("{0}", *DERIVED[:-1]):
                    factor = form.format(name)
                    new = f"{bracketed(ast.unparse(a))} @ ({ast.unparse(inner)} * ({factor}))"
                    yield edit(2.6, f"the factor {factor} is missing", node, new)


def _operators(node: ast.expr, edit: Any) -> Iterator[Edit]:
    """Signs, and what is too much."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield edit(1.5, f"the minus before {ast.unparse(inner)} is too much", node, inner)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield edit(1.1, f"the factor {ast.unparse(right)} is too much", node, left)
            yield edit(1.1, f"the factor {ast.unparse(left)} is too much", node, right)
            new = ast.BinOp(left, ast.Add(), right)
            yield edit(2.6, f"multiplied by {ast.unparse(right)}, which should be added", node, new)
            new = ast.BinOp(left, ast.Div(), right)
            yield edit(2.5, f"multiplied by {ast.unparse(right)}, not divided by it", node, new)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield edit(1.1, f"divided once too often by {ast.unparse(right)}", node, left)
            new = ast.BinOp(left, ast.Mult(), right)
            yield edit(2.5, f"divided by {ast.unparse(right)}, not multiplied by it", node, new)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            sign = f"the term {ast.unparse(right)} has the wrong sign"
            yield edit(1.5, sign, node, ast.BinOp(left, other, right))
            flipped = ast.BinOp(ast.UnaryOp(ast.USub(), left), op, right)
            yield edit(1.5, f"the term {ast.unparse(left)} has the wrong sign", node, flipped)
            yield edit(2.5, f"the term {ast.unparse(right)} is too much", node, left)
            last = right if isinstance(op, ast.Add) else ast.UnaryOp(ast.USub(), right)
            yield edit(2.5, f"the term {ast.unparse(left)} is too much", node, last)
            words = f"{ast.unparse(right)} is {'added' if isinstance(op, ast.Add) else 'subtracted'}, not multiplied"
            yield edit(2.6, words, node, ast.BinOp(left, ast.Mult(), right))
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


def _calls(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Sums over other axes, means for sums, and products in another order."""
    product = _product(node)
    if product:
        a, b = product
        x, y = env.array(a), env.array(b)
        if x is not None and y is not None and x.ndim == y.ndim == 2:
            p, q = (bracketed(ast.unparse(n)) for n in (a, b))
            for form in (
                "{0} @ {1}",
                "{0}.T @ {1}",
                "{0} @ {1}.T",
                "{1} @ {0}",
                "{1}.T @ {0}",
                "{1} @ {0}.T",
            ):
                new = form.format(p, q).replace(".T.T", "")
                yield edit(3, f"the product should be {new}", node, new)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    name = node.func.attr
    if name not in ("sum", "mean"):
        return
    of_module = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    inner = node.args[0] if of_module and node.args else node.func.value
    x = env.array(inner)
    if x is None:
        return
    yield edit(2.5, f"summed, where {ast.unparse(inner)} itself belongs", node, inner)
    other = "mean" if name == "sum" else "sum"
    new = ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)
    yield edit(2, f"a {name}, where a {other} belongs", node, new)
    keep = any(k.arg == "keepdims" for k in node.keywords)
    for axis in (None, *range(x.ndim)):
        for kept in {keep, True}:
            words = "summed over " + ("all axes" if axis is None else f"axis {axis}")
            text = f"np.sum({ast.unparse(inner)}, axis={axis}{', keepdims=True' * kept})"
            yield edit(2, f"summed over the wrong axis: it should be {words}", node, text)


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
    if type(value) is int and isinstance(node, ast.Call | ast.Subscript | ast.Attribute):
        for n, other in env.lengths().items():
            if n != value and other != text:
                yield edit(1.05, f"{text} is {value}, where {n}, {other}, belongs", node, other)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        for term in (node.left, node.right):
            name = ast.unparse(term)
            for factor in env.factors():
                yield edit(
                    1.6, f"the term {name} is not divided by {factor}", term, f"({name}) / {factor}"
                )
                yield edit(
                    1.7,
                    f"the term {name} is not multiplied by {factor}",
                    term,
                    f"({name}) * {factor}",
                )


def _operands(node: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Other values in the place of one."""
    if isinstance(getattr(node, "ctx", None), ast.Store):
        return
    x, text = env.array(node), ast.unparse(node)
    if isinstance(node, ast.Subscript) and isinstance(
        node.slice, ast.Name | ast.BinOp | ast.Constant
    ):
        index = ast.unparse(node.slice)
        for shifted in (f"{index} - 1", f"{index} + 1"):
            new = f"{ast.unparse(node.value)}[{shifted}]"
            yield edit(2, f"{text} is used where {new} belongs", node, new)
    if x is None:
        return
    for name, y in env.locals.items():
        if not isinstance(y, np.ndarray) or not y.ndim or name == text:
            continue
        whole = f"{text} - {name}"
        if y.shape == x.shape:
            yield edit(2.4, f"the term {name} of {whole} is missing", node, f"({whole})")
        elif y.dtype.kind in "iu" and x.ndim == 2 and y.shape == x.shape[:1]:
            new = f"({text} - np.eye({text}.shape[1])[{name}])"
            yield edit(2.4, f"the term {name} of {whole} is missing", node, new)
    if x.ndim == 2:
        turned = (
            node.value if isinstance(node, ast.Attribute) and node.attr == "T" else f"({text}).T"
        )
        yield edit(2, f"{text} is transposed, or should be", node, turned)
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
    for name, y in env.arrays.items():
        if np.shape(y) != x.shape:
            continue
        if name != text and not np.array_equal(x, y) and y.dtype.kind == "f":
            yield edit(2 if simple else 2.8, f"{text} is used where {name} belongs", node, name)
        for form in DERIVED:
            derived = form.format(name)
            if derived != text:
                yield edit(3, f"{text} is used where {derived} belongs", node, f"({derived})")


def _factors(whole: ast.expr, edit: Any, env: Environment) -> Iterator[Edit]:
    """Factors and terms that are missing, and sums that were forgotten."""
    x, text = env.value(whole), ast.unparse(whole)
    body = f"({text})" if isinstance(whole, ast.BinOp | ast.UnaryOp | ast.Compare) else text
    if not _is_array(x):
        return
    numbers = env.numbers()
    for i, name in enumerate(env.factors()):
        yield edit(1.2 + i / 1000, f"not divided by {name}", whole, f"{body} / {name}")
        yield edit(1.3 + i / 1000, f"not multiplied by {name}", whole, f"{body} * {name}")
    for axis in range(np.ndim(x)):
        for keep in ("", ", keepdims=True"):
            new = f"np.sum({text}, axis={axis}{keep})"
            yield edit(2, f"not summed over axis {axis}", whole, new)
    for name, y in env.arrays.items():
        if not np.ndim(y) or not np.ndim(x) or np.shape(y) != np.shape(x):
            continue
        for form in ("{0}", *DERIVED[:-1]):
            yield edit(
                2.5,
                f"the factor {form.format(name)} is missing",
                whole,
                f"{body} * ({form.format(name)})",
            )
        for number in ("", *(f"{c}{n} * " for n in numbers for c in ("", "2 * ", "0.5 * "))):
            for sign in ("+", "-"):
                term = f"{number}{name}"
                yield edit(3, f"the term {term} is missing", whole, f"{text} {sign} {term}")


class _Trial(Replay):
    """Tries edits of a statement wherever it runs, without changing what the pass does.

    Args:
        expected: what the path should hold after the statement, by how often it has run before.
        total: whether what it adds is to be judged in sum, as in a loop over samples.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        overrides: Overrides,
        statement: Statement,
        path: Path,
        value: Any,
        expected: Mapping[int, Any],
        total: bool,
        rtol: float,
    ) -> None:
        super().__init__(function, overrides)
        self.statement, self.path, self.value, self.expected = statement, path, value, expected
        self.total, self.rtol = total, rtol
        self.alive: list[Edit] | None = None
        self.factors: dict[int, float] = {}  # by which the edits differ from what is right
        self.near: list[Edit] = []  # those that are right but for a factor
        self.sums: dict[int, Any] = {}
        self.same_shape: set[int] = set()

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if statement is not self.statement or not (self.total or n in self.expected):
            return
        env = Environment(scope)
        if self.alive is None:
            whole = right_side(statement.node, env, self.path, self.value)
            found = [] if whole is None else edits(statement.node, whole, env)
            self.alive = list(itertools.islice(found, MAX_EDITS))
        if self.total:
            self._add(env)
        else:
            self.alive = [e for e in self.alive if self._fits(env.effect(e.node, self.path), e, n)]
            near = (self._scaled(e, env) for e in self.alive if self.factors[id(e)] != 1)
            self.near = [e for e in near if e]

    def _fits(self, value: Any, edit: Edit, n: int) -> bool:
        """Whether an edit gives the right value, but for a factor that it always has."""
        wanted = self.expected[n]
        if np.shape(value) == np.shape(wanted):
            self.same_shape.add(id(edit))
        factor = scale(value, wanted, self.rtol)
        return factor is not None and close(factor, self.factors.setdefault(id(edit), factor))

    def _scaled(self, edit: Edit, env: Environment) -> Edit | None:
        """An edit with the factor that it lacks."""
        factor = self.factors[id(edit)]
        whole = right_side(edit.node, env, self.path, None)
        for text in env.factors() if whole is not None else ():
            for sign, x in (("/", factor), ("*", 1 / factor)):
                if close(float(env.value(parsed(text))), x):
                    node = parsed(f"{bracketed(ast.unparse(whole))} {sign} {text}")
                    words = f"{edit.words}, and the rest is {factor:.6g} times what it should be"
                    return Edit(edit.cost + 5, words, substituted(edit.node, whole, node))
        return None

    def _add(self, env: Environment) -> None:
        before = env.effect(self.statement.node, self.path)
        kept = []
        for e in self.alive or ():
            after = env.effect(e.node, self.path)
            if after is not None and before is not None and np.shape(after) == np.shape(before):
                self.sums[id(e.node)] = self.sums.get(id(e.node), 0) + (after - before)
                kept.append(e)
        self.alive = kept

    def survivors(self) -> list[Edit]:
        """The edits that give the right values, the plainest first."""
        alive = self.alive or []
        if not self.total:
            alive = [e for e in alive if self.factors[id(e)] == 1] + self.near
        else:
            (wanted,) = self.expected.values()
            alive = [
                e for e in alive if agrees(self.value + self.sums[id(e.node)], wanted, self.rtol)
            ]
        return sorted(alive, key=lambda e: (e.cost, id(e) not in self.same_shape))


def agrees(value: Any, wanted: Any, rtol: float) -> bool:
    """Whether a value is what is wanted, but for axes of length 1 and rounding."""
    return scale(value, wanted, rtol) == 1


def scale(value: Any, wanted: Any, rtol: float) -> float | None:
    """By which number a value differs from what is wanted; 1.0 if by none but rounding."""
    if not isinstance(value, (np.ndarray, float, int, np.number)):
        return None
    fitting = as_shape(value, np.shape(wanted))
    if fitting is None:
        return None
    return 1.0 if close(fitting, wanted, rtol) else ratio(fitting, wanted)


def repairs(
    experiment: Experiment,
    overrides: Overrides,
    statement: Statement,
    path: Path,
    value: Any,
    expected: Mapping[int, Any],
    rtol: float,
) -> list[Edit]:
    """The changes to a statement that make its values right, the plainest first."""
    if statement.node is None:
        return []
    total = isinstance(statement.node, ast.AugAssign) and len(expected) == 1
    trial: list[_Trial] = []

    def follower(function: Callable[..., Any]) -> Follower:
        trial.append(_Trial(function, overrides, statement, path, value, expected, total, rtol))
        return trial[0]

    experiment.run(follower)
    return trial[0].survivors()[:MAX_KEPT]
