"""A wrong line with one thing changed: a variable, a sign, a factor, an axis, a transpose.

A kind of edit is a function that yields rewrites of an expression: (cost, words, what takes its
place). The cost says how far-fetched the mistake is, the words what it was.
"""

from __future__ import annotations

import ast
import copy
import itertools
from ast import unparse
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import ratio
from tinygrad_lr.check.derivation.environment import Environment, parsed
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.messages.origin import bracketed

Rewrite = tuple[float, str, ast.expr | str]

APPLIED = ("np.tanh({0})", "np.exp({0})", "np.log({0})", "np.sqrt({0})")
PRODUCTS = ("{0} @ {1}", "{0}.T @ {1}", "{0} @ {1}.T", "{1} @ {0}", "{1}.T @ {0}", "{1} @ {0}.T")
UNUSED = 0.6  # how much likelier an edit is that uses what is computed and not used
INSTEAD = {"sum": "mean", "argmax": "argmin", "sin": "cos"}
INSTEAD |= {new: old for old, new in INSTEAD.items()}


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
            return unparse(node).partition("\n")[0]
        return unparse(node)


def edits(statement: ast.stmt, whole: ast.expr, env: Environment, wanted: Any) -> Iterator[Edit]:
    """A statement with one thing in an expression of it changed.

    Args:
        wanted: what the expression should give; None if that is not known, and not everything is
            tried.
    """
    yield from _assignments(statement, unparse(whole), env)
    head = isinstance(statement, (ast.If, ast.For))
    kinds = _of_head(statement, whole, env) if head else _of_line(statement, whole, env, wanted)
    passes_on = 0.15 * (isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name))
    for node, rewrites in kinds:
        for cost, words, new in rewrites:
            tree = parsed(new) if isinstance(new, str) else new
            fresh = UNUSED * (bool(env.unused) and not env.unused.isdisjoint(_names(tree)))
            edited = substituted(statement, {id(node): tree})
            yield Edit(cost + passes_on - fresh, words, edited)


def _of_head(
    statement: ast.stmt, whole: ast.expr, env: Environment
) -> Iterator[tuple[ast.AST, Iterable[Rewrite]]]:
    """The rewrites of the head of a loop or a branch."""
    for node in walk(whole):
        yield node, _constants(node)
        yield node, _comparisons(node)
        yield node, _loop_variables(node, env)
    if isinstance(statement, ast.For):
        yield whole, _directions(whole)
        for node in walk(whole):
            if isinstance(node, ast.Call) and unparse(node.func) == "range":
                for bound in node.args:
                    yield bound, _bounds(bound)


def _of_line(
    statement: ast.stmt, whole: ast.expr, env: Environment, wanted: Any
) -> Iterator[tuple[ast.AST, Iterable[Rewrite]]]:
    """The rewrites of the expressions in a statement, and of the indices that it assigns to."""
    negated = _negated(whole)
    cost = 1 if isinstance(negated, ast.UnaryOp) else 0.85  # a minus that is too much
    yield whole, [(cost, "the sign is flipped", negated)]
    yield whole, _everywhere(whole, env)
    yield whole, _softmax(whole, env)
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", ast.Pass())]
    indices = [n.slice for t in targets for n in walk(t) if isinstance(n, ast.Subscript)]
    exponents = {id(n.right) for n in walk(whole) if isinstance(getattr(n, "op", None), ast.Pow)}
    for node in (n for part in (whole, *indices) for n in walk(part) if isinstance(n, ast.expr)):
        if id(node) not in exponents and not isinstance(env.value(node), str):
            yield from ((node, rewrites) for rewrites in _of_part(node, env, wanted is not None))
    yield whole, _divisors(whole, env, getattr(statement, "op", None))
    yield whole, _sums(whole, env)
    yield whole, _factors(whole, env, 2.5)
    for node in walk(whole):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            yield node.left, _factors(node.left, env, 2.55)
            yield node.right, _factors(node.right, env, 2.55)
    x = env.value(whole)
    if wanted is not None and isinstance(x, np.ndarray) and x.shape == np.shape(wanted):
        yield whole, _computed_terms(whole, x, env, wanted)
        yield whole, _computed_products(whole, x, env, wanted)
    arguments = {id(a) for n in walk(whole) if isinstance(n, ast.Call) for a in n.args}
    for node in [whole, *(n for n in walk(whole) if id(n) in arguments)]:
        yield node, _terms(node, env, 2.4)
    for node in walk(whole):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            yield node.left, _terms(node.left, env, 2.7)
            yield node.right, _terms(node.right, env, 2.7)


def _of_part(node: ast.expr, env: Environment, known: bool) -> Iterator[Iterable[Rewrite]]:
    """The rewrites of an expression within a line, all if it is known what the line should give."""
    for kind in SYNTAX:
        yield kind(node)
    for kind_of_value in VALUES:
        yield kind_of_value(node, env)
    if not isinstance(getattr(node, "ctx", None), ast.Store):
        yield _subtractions(node, env)
        yield _transposes(node, env)
        yield _variables(node, env, derived=known)
    if known:
        yield _inner_factors(node, env)


def walk(node: ast.AST) -> Iterator[Any]:
    """A node and all within it, but for what is in an f-string."""
    yield node
    for inner in ast.iter_child_nodes(node) if not isinstance(node, ast.JoinedStr) else ():
        yield from walk(inner)


def _names(node: ast.AST) -> Iterator[str]:
    """The variables in an expression."""
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _instead(used: Any, right: Any) -> str:
    """The words for one expression in the place of another."""
    old, new = (x if isinstance(x, str) else unparse(x) for x in (used, right))
    return f"{old} is used where {new} belongs"


# Whole statements


def _assignments(statement: ast.stmt, text: str, env: Environment) -> Iterator[Edit]:
    """Other kinds of assignment."""
    match statement:
        case ast.Assign(targets=[ast.Name() | ast.Subscript() | ast.Attribute() as target]):
            name = unparse(target)
            if env.array(parsed(name)) is not None or isinstance(env.value(parsed(name)), float):
                words = "= is used where += belongs, and what was added before is lost"
                yield Edit(2, words, ast.parse(f"{name} += {text}").body[0])
        case ast.AugAssign(target=target, op=op, value=value):
            for other in (ast.Add(), ast.Sub()):
                if type(other) is not type(op):
                    yield Edit(0.55, "the sign is flipped", ast.AugAssign(target, other, value))
            new = f"{unparse(target)} = {text}"
            yield Edit(3, "the term is added where it is all", ast.parse(new).body[0])
            if isinstance(target, ast.Subscript):
                words = "an index that comes twice is added once: np.add.at adds it twice"
                new = f"np.add.at({unparse(target.value)}, {_index(target.slice)}, {text})"
                yield Edit(2.2, words, ast.parse(new).body[0])
            yield from _parts_of_terms(statement, target, env)


def _parts_of_terms(statement: Any, target: ast.expr, env: Environment) -> Iterator[Edit]:
    """Terms that are added to a part alone, as a penalty to all but the bias."""
    x = env.array(target)
    for index in ("[1:]", "[:-1]", "[:, 1:]", "[:, :-1]")[: 2 * np.ndim(x)]:
        values = (n for n in walk(statement.value) if np.shape(env.array(n)) == np.shape(x))
        names = [n for n in values if isinstance(n, (ast.Name, ast.Attribute))]
        term = substituted(statement.value, {id(n): parsed(unparse(n) + index) for n in names})
        new: Any = ast.parse(f"{unparse(target)}{index} += 0").body[0]
        new.op, new.value = statement.op, term
        if names:
            yield Edit(2.3, f"the term belongs to {unparse(target)}{index} alone", new)


def _index(node: ast.expr) -> str:
    """An index as an argument of a function."""
    if isinstance(node, ast.Tuple):
        return f"({', '.join(map(_index, node.elts))},)"
    if isinstance(node, ast.Slice):
        parts = (node.lower, node.upper, node.step)
        return f"slice({', '.join('None' if p is None else unparse(p) for p in parts)})"
    return unparse(node)


def _directions(whole: ast.expr) -> Iterator[Rewrite]:
    """Loops in the other order."""
    match whole:
        case ast.Call(func=ast.Name(id="reversed"), args=[inner]):
            yield 2, "the loop runs backwards, and should run forwards", inner
        case _:
            words = "the loop runs forwards, and should run backwards"
            yield 2, words, f"reversed(list({unparse(whole)}))"
            yield 1.9, words, f"reversed({unparse(whole)})"


def _bounds(bound: ast.expr) -> Iterator[Rewrite]:
    """Loops that are one step longer or shorter."""
    for step in ("+ 1", "- 1"):
        yield 2.5, "the loop has a step too few or too many", f"{unparse(bound)} {step}"


# What can be seen from the expression alone


def _parts(node: ast.expr) -> Iterator[Rewrite]:
    """The other part of an axis: [1:] for [:-1], [-n:] for [:n]."""
    match node:
        case ast.Slice(lower=lower, upper=upper):
            bounds = [unparse(n).removeprefix("-") for n in (lower, upper) if n is not None]
            for n in dict.fromkeys(bounds):
                for start, end in ((n, ""), ("", n), (f"-{n}", ""), ("", f"-{n}"), (n, f"-{n}")):
                    new = ast.Slice(*(parsed(b) if b else None for b in (start, end)))
                    yield 2.2, _instead(f"[{unparse(node)}]", f"[{start}:{end}]"), new


def _negations(node: ast.expr) -> Iterator[Rewrite]:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            yield 1.5, f"the minus before {unparse(inner)} is too much", inner


def _arguments(node: ast.expr) -> Iterator[Rewrite]:
    """Arguments of functions of one argument with the other sign."""
    match node:
        case ast.Call(args=[argument], keywords=[]) if not isinstance(argument, ast.UnaryOp):
            new = substituted(node, {id(argument): _negated(argument)})
            yield 2.35, f"the sign of {unparse(argument)} is flipped", new


def _products(node: ast.expr) -> Iterator[Rewrite]:
    """A factor too many, and sums and quotients for a product."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            a, b = unparse(left), unparse(right)
            yield 1.1, f"the factor {b} is too much", left
            yield 1.1, f"the factor {a} is too much", right
            words = f"multiplied by {b}, which should be added"
            yield 2.6, words, ast.BinOp(left, ast.Add(), right)
            yield 2.5, f"multiplied by {b}, not divided by it", ast.BinOp(left, ast.Div(), right)


def _quotients(node: ast.expr) -> Iterator[Rewrite]:
    """A divisor too many, its square, and a product for a quotient."""
    match node:
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            a, b = unparse(left), unparse(right)
            yield 1.1, f"divided once too often by {b}", left
            yield 2.2, f"divided by {b}, not by its square", f"{bracketed(a)} / {bracketed(b)} ** 2"
            yield 2.5, f"divided by {b}, not multiplied by it", ast.BinOp(left, ast.Mult(), right)


def _signs(node: ast.expr) -> Iterator[Rewrite]:
    """The signs of terms."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            other = ast.Sub() if isinstance(op, ast.Add) else ast.Add()
            a, b = unparse(left), unparse(right)
            yield 0.9, f"the term {b} has the wrong sign", ast.BinOp(left, other, right)
            minus = ast.UnaryOp(ast.USub(), left)
            yield 1.5, f"the term {a} has the wrong sign", ast.BinOp(minus, op, right)
            if isinstance(op, ast.Sub):
                yield 0.9, f"the difference is {b} - {a}", ast.BinOp(right, op, left)


def _sums_of_terms(node: ast.expr) -> Iterator[Rewrite]:
    """A term too many, one without a factor of the other, and a product for a sum."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            a, b, added = unparse(left), unparse(right), isinstance(op, ast.Add)
            yield 2.5, f"the term {b} is too much", left
            last = right if added else ast.UnaryOp(ast.USub(), right)
            yield 2.5, f"the term {a} is too much", last
            for factor in map(unparse, _last_factors(left)):
                new = ast.BinOp(left, op, parsed(f"{bracketed(b)} * {bracketed(factor)}"))
                yield 2.5, f"the term {b} is not multiplied by {factor}", new
            words = f"{b} is {'added' if added else 'subtracted'}, not multiplied"
            yield 2.6, words, ast.BinOp(left, ast.Mult(), right)


def _last_factors(node: ast.expr) -> Iterator[ast.expr]:
    """The last factors of a product: c, and b * c, of a * b * c."""
    tail: ast.expr | None = None
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        tail = node.right if tail is None else ast.BinOp(node.right, ast.Mult(), tail)
        yield tail
        node = node.left


def _powers(node: ast.expr) -> Iterator[Rewrite]:
    match node:
        case ast.BinOp(left=left, op=ast.Pow()):
            yield 2.5, _instead(node, left), left


def _constants(node: ast.expr) -> Iterator[Rewrite]:
    """Numbers that are close by, twice and half of one, and its opposite."""
    match node:
        case ast.Constant(value=int() | float() as c) if not isinstance(c, bool):
            for new in dict.fromkeys((1, 2 * c, c / 2, -c, c + 1, c - 1)):
                number = int(new) if float(new).is_integer() and isinstance(c, int) else new
                yield 1.15 if new == 1 else 3.5, _instead(str(c), str(number)), repr(number)


def _comparisons(node: ast.expr) -> Iterator[Rewrite]:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=right):
            for other in (ast.Gt(), ast.Lt(), ast.GtE(), ast.LtE()):
                if type(other) is not type(op):
                    yield 3, "the mask is turned round", ast.Compare(left, [other], right)


def _negated(node: ast.expr) -> ast.expr:
    """Minus an expression, without two minus signs."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return inner
        case ast.BinOp(left=left, op=ast.Mult() | ast.MatMult() | ast.Div() as op, right=right):
            if not isinstance(negated := _negated(left), ast.UnaryOp):
                return ast.BinOp(negated, op, right)
    return ast.UnaryOp(ast.USub(), node)


def _neighbours(node: ast.expr) -> Iterator[Rewrite]:
    """The element before or after: h[t - 1] for h[t]."""
    for index in walk(node.slice) if isinstance(node, ast.Subscript) else ():
        match index:
            case ast.BinOp(left=ast.Name(id=name), op=op, right=ast.Constant(value=int(n))):
                at = n if isinstance(op, ast.Add) else -n
            case ast.Name(id=name):
                at = 0
                new = substituted(node, {id(index): parsed(f"-{name} - 1")})
                yield 2.1, _instead(node, new), new
            case _:
                continue
        for i in (at - 1, at + 1):
            step = f"{name} {'+' if i > 0 else '-'} {abs(i)}" if i else name
            new = substituted(node, {id(index): parsed(step)})
            yield 2, _instead(node, new), new


SYNTAX = (
    _parts, _negations, _arguments, _products, _quotients, _signs, _sums_of_terms, _powers,
    _constants, _comparisons, _neighbours,
)  # fmt: skip


# What depends on the values of the variables


def _loop_variables(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """The variable of another loop."""
    if isinstance(node, ast.Name) and node.id in env.loops:
        for other in env.loops.keys() - {node.id}:
            yield 2.1, _instead(node, other), other


def _texts(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Another of the names in quotes that the function has, as an argument."""
    for argument in node.args if isinstance(node, ast.Call) else ():
        text = argument.value if isinstance(argument, ast.Constant) else None
        for other in env.texts if isinstance(text, str) else ():
            if other != text:
                new = substituted(node, {id(argument): ast.Constant(other)})
                yield 1.6, _instead(repr(text), repr(other)), new


def _comprehensions(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """The loop variables of a comprehension that it does not use, as terms and as factors."""
    match node:
        case ast.ListComp(elt=element, generators=[ast.comprehension(target=target)]):
            used, text = set(_names(element)), unparse(element)
            for name in (n for n in _names(target) if n not in used):
                for cost, sign, kind in ((1.5, "+", "term"), (1.7, "*", "factor")):
                    new = parsed(f"{name} + {text}" if sign == "+" else f"{name} * ({text})")
                    whole = substituted(node, {id(element): new})
                    yield cost, f"the {kind} {name} is missing", whole


def _axes(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Axes that should be brought in another order before an array is reshaped, or after."""
    match node:
        case ast.Call(func=ast.Attribute(value=inner, attr="reshape"), args=shape):
            x, text = env.array(inner), unparse(inner)
        case _:
            return
    if x is None or unparse(inner) in ("np", "numpy") or not 1 < x.ndim < 5:
        return
    for axes in list(itertools.permutations(range(x.ndim)))[1:]:
        new = f"{bracketed(text)}.transpose{axes}"
        words = f"the axes of {text} are not in the order in which it is reshaped"
        yield 2.4, words, substituted(node, {id(inner): parsed(new)})
    sizes = shape[0].elts if len(shape) == 1 and isinstance(shape[0], ast.Tuple) else shape
    for axes in list(itertools.permutations(range(len(sizes))))[1:] if len(sizes) < 5 else ():
        mixed = ", ".join(unparse(sizes[i]) for i in axes)
        back = tuple(axes.index(i) for i in range(len(axes)))
        words = f"{text} is reshaped as if its axes were in another order"
        yield 2.5, words, f"{bracketed(text)}.reshape({mixed}).transpose{back}"


def _margins(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """A margin that is cut off at one end, where it is at both."""
    x = env.array(node.value) if isinstance(node, ast.Subscript) else None
    y = env.array(node) if x is not None else None
    if x is None or y is None or x.ndim != y.ndim or not isinstance(node, ast.Subscript):
        return
    cut = [n - k for n, k in zip(x.shape, y.shape, strict=True)]
    if any(cut) and not any(n % 2 for n in cut):
        widths = {n: _named_number(n / 2, env) or str(n // 2) for n in cut if n}
        parts = [f"{widths[n]}:-{bracketed(widths[n])}" if n else ":" for n in cut]
        new = f"{unparse(node.value)}[{', '.join(parts)}]"
        yield 2.3, "the margin is cut off at one end, and should be at both", new


def _softmax(whole: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """The derivative of a softmax, for that of a sigmoid."""
    used = {unparse(n): x for n in walk(whole) if (x := env.array(n)) is not None}
    for a, g in itertools.permutations(used, 2):
        x, y = used[a], used[g]
        if x.shape != y.shape or not a.replace(".", "").replace("_", "").isalnum():
            continue
        for axis in (-1, 0):
            if np.allclose(np.sum(x, axis), 1) and x.size > 1 and (np.ravel(x) > 0).all():
                words = f"{a} is a softmax: each of its elements depends on all of its row"
                h = bracketed(g)
                total = f"np.sum({a} * {h}, axis={axis}, keepdims=True)"
                yield 2.9, words, f"{a} * ({g} - {total})"
    match whole:
        case ast.Call(func=ast.Attribute(attr="diagflat" | "diag"), args=[_]):
            for a, x in env.arrays.items():
                if np.isclose(np.sum(x), 1) and np.size(x) > 1:
                    words = f"{a} is a softmax: each of its elements depends on all"
                    yield 2.9, words, f"np.diagflat({a}) - np.outer({a}, {a})"


def _everywhere(whole: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Another value in the place of one that is used several times."""
    places: dict[str, list[ast.expr]] = {}
    for node in walk(whole):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            places.setdefault(unparse(node), []).append(node)
    for text, nodes in places.items():
        x = env.array(nodes[0])
        for name, y in env.arrays.items() if x is not None and len(nodes) > 1 else ():
            if name != text and np.shape(y) == x.shape:
                new = substituted(whole, {id(n): parsed(name) for n in nodes})
                yield 2, _instead(text, name), new
    calls = [n for n in walk(whole) if isinstance(n, ast.Call) and len(n.args) == 1]
    for text in {unparse(call) for call in calls}:
        same = [call for call in calls if unparse(call) == text]
        if len(same) > 1 and not same[0].keywords:
            new = substituted(whole, {id(call): same[0].args[0] for call in same})
            used = unparse(same[0].args[0])
            words = f"{unparse(same[0].func)} is applied to {used} once more"
            yield 1.9, words, new


def _rows(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """An index for each row in the place of all rows."""
    match node:
        case ast.Slice(lower=None, upper=None):
            words = "all rows are meant, where row i and column i belong together: "
            for n, text in env.lengths.items():
                new = f"np.arange({text})"
                yield 2 + n / 1e9, words + new, new


def _lengths(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Other lengths and whole numbers in the place of one."""
    text, value = unparse(node), env.value(node)
    if type(value) is int and isinstance(node, ast.Call | ast.Subscript | ast.Attribute | ast.Name):
        named = {int(n): name for name, n in env.numbers.items() if n.is_integer()}
        for n, other in (env.lengths | named).items():
            if n != value and other != text:
                yield 1.05, f"{text} is {value}, where {n}, {other}, belongs", other


def _scaled_terms(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Terms without their factor."""
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            for term, number in itertools.product((left, right), env.divisors):
                t = unparse(term)
                for cost, by, sign in ((2.45, "divided", "/"), (2.47, "multiplied", "*")):
                    new = substituted(node, {id(term): parsed(f"({t}) {sign} {number}")})
                    yield cost, f"the term {t} is not {by} by {number}", new


def _orders(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """The factors of a product of matrices in another order, or transposed."""
    factors = _matrices(node)
    if factors and all(np.ndim(env.array(n)) == 2 for n in factors):
        for form in PRODUCTS:
            new = form.format(*(bracketed(unparse(n)) for n in factors)).replace(".T.T", "")
            yield 3, f"the product should be {new}", new


def _matrices(node: ast.expr) -> list[ast.expr]:
    """The factors of a product of matrices, or of one that is elementwise."""
    match node:
        case ast.BinOp(left=a, op=ast.MatMult() | ast.Mult(), right=b):
            return [a, b]
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="dot" | "matmul"), args=[a, b]):
            return [a, b]
        case ast.Call(func=ast.Attribute(value=a, attr="dot"), args=[b]):
            return [a, b]
    return []


def _swaps(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Two elements, or two arguments, in the place of each other."""
    parts = node.args if isinstance(node, ast.Call) else getattr(node, "elts", [])
    for one, other in itertools.combinations(parts, 2) if len(parts) < 8 else ():
        x, y = env.array(one), env.array(other)
        if x is not None and y is not None and (x.shape, x.dtype) == (y.shape, y.dtype):
            a, b = unparse(one), unparse(other)
            new = substituted(node, {id(one): parsed(b), id(other): parsed(a)})
            yield 2.2, f"{a} and {b} are swapped", new


def _applications(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """A function that should not be applied."""
    match node:
        case ast.Call(func=function, args=[argument], keywords=[]):
            x, y = env.array(node), env.array(argument)
            if x is not None and y is not None and x.shape == y.shape:
                words = f"{unparse(function)} is applied to {unparse(argument)} once more"
                yield 2.3, words, argument


def _reductions(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Means for sums, the other extreme, sines for cosines, sums over other axes and none."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    owner, name, args = node.func.value, node.func.attr, node.args
    if other := INSTEAD.get(name):
        new = ast.Call(ast.Attribute(owner, other, ast.Load()), args, node.keywords)
        yield 2, _instead(name, other), new
    inner = args[0] if unparse(owner) in ("np", "numpy") and args else owner
    x, text = env.array(inner), unparse(inner)
    if x is None or name not in ("sum", "mean"):
        return
    yield 2.5, f"summed, where {text} itself belongs", inner
    keep = any(k.arg == "keepdims" for k in node.keywords)
    for axis, kept in itertools.product((None, *range(x.ndim)), sorted({keep, True})):
        where = "all axes" if axis is None else f"axis {axis}"
        words = f"summed over the wrong axis: it should be summed over {where}"
        yield 2, words, f"np.sum({text}, axis={axis}{', keepdims=True' * kept})"


VALUES = (
    _texts, _comprehensions, _axes, _margins, _rows, _lengths, _scaled_terms, _orders, _swaps,
    _applications, _reductions,
)  # fmt: skip


def _subtractions(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """An array, or the one-hot rows of labels, that should be subtracted."""
    x, text = env.array(node), unparse(node)
    body = bracketed(text)
    if x is not None:  # the label of what is so
        yield 2.6, f"the term 1 of {text} - 1 is missing", f"({body} - 1)"
    for name, y in env.locals.items() if x is not None else ():
        if not isinstance(y, np.ndarray) or not y.ndim or name == text:
            continue
        words = f"the term {name} of {text} - {name} is missing"
        if y.shape == x.shape:
            yield 2.4, words, f"({body} - {name})"
        elif y.dtype.kind in "iu" and x.ndim == 2 and y.shape == x.shape[:1]:
            yield 2.4, words, f"({body} - np.eye({body}.shape[1])[{name}])"


def _transposes(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    if np.ndim(env.array(node)) == 2:
        new: ast.expr | str = f"({unparse(node)}).T"
        if isinstance(node, ast.Attribute) and node.attr == "T":
            new = node.value
        yield 2, f"{unparse(node)} is transposed, or should be", new


def _variables(node: ast.expr, env: Environment, derived: bool) -> Iterator[Rewrite]:
    """Other arrays in the place of one, and what is computed from them or from itself."""
    x, text = env.array(node), unparse(node)
    plain = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
    cost = 2 if plain or (x is not None and not x.any()) else 2.8
    if plain and isinstance(env.value(node), float):
        for name, y in env.arrays.items():
            if name != text and isinstance(y, float):
                yield 2.1, _instead(text, name), name
    for name, y in env.arrays.items() if x is not None else ():
        wider = np.ndim(y) > x.ndim and np.shape(y)[-x.ndim :] == x.shape
        if np.shape(y) != x.shape:
            if np.ndim(y) and (wider or _fits_into(y, x)) and y.dtype.kind == "f":
                yield cost + 0.6, _instead(text, name), name
            continue
        other = not np.array_equal(x, y) or not np.any(x)  # zeros, perhaps in the first step only
        if name != text and other and y.dtype.kind == "f":
            yield cost, _instead(text, name), name
        forms = [*env.derived, *APPLIED] if name == text else env.derived if derived else ()
        for new in (form.format(name) for form in forms):
            if new != text:
                yield 3, _instead(text, new), f"({new})"


def _inner_factors(node: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Factors that are missing within a chain of products: a @ (b @ c * f) for a @ b @ c."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=first, op=ast.MatMult(), right=b), op=ast.MatMult(), right=c
        ):
            a, b_c = bracketed(unparse(first)), " @ ".join(bracketed(unparse(n)) for n in (b, c))
            x = env.array(parsed(b_c))
            for name, y in env.arrays.items() if x is not None else ():
                for form in ("{0}", *env.derived) if np.shape(y) == x.shape else ():
                    factor = form.format(name)
                    words = f"the factor {factor} is missing"
                    yield 2.6, words, f"{a} @ ({b_c} * ({factor}))"


def _divisors(whole: ast.expr, env: Environment, op: Any) -> Iterator[Rewrite]:
    """Numbers by which a line should divide or multiply; `op` is that of an assignment as `/=`."""
    body, divides = bracketed(unparse(whole)), isinstance(op, ast.Div)
    kinds = (np.ndarray, float, int) if isinstance(op, ast.Div | ast.Mult) else (np.ndarray, float)
    far = float(isinstance(whole, ast.Constant))  # as in dout = 1
    called = isinstance(whole, ast.Call) and not unparse(whole.func).startswith(("np.", "numpy."))
    if called:
        far = 0.1  # rather what computes it divides
    if isinstance(env.value(whole), kinds):
        for i, name in enumerate(env.divisors):
            less, more = f"not divided by {name}", f"not multiplied by {name}"
            less, more = (more, less) if divides else (less, more)
            yield 1.2 + far + i / 1000, less, f"{body} / {name}"
            yield 2.2 + i / 1000, more, f"{body} * {name}"


def _sums(whole: ast.expr, env: Environment) -> Iterator[Rewrite]:
    """Sums that were forgotten."""
    x = env.value(whole)
    axes = range(x.ndim) if isinstance(x, np.ndarray) else ()
    for axis, keep in itertools.product(axes, ("", ", keepdims=True")):
        yield 2, f"not summed over axis {axis}", f"np.sum({unparse(whole)}, axis={axis}{keep})"


def _factors(node: ast.expr, env: Environment, cost: float) -> Iterator[Rewrite]:
    """Arrays, and what is computed from one, as further factors."""
    x, body = env.array(node), bracketed(unparse(node))
    for factor in env.factors if x is not None or isinstance(env.value(node), float) else ():
        yield cost, f"the factor {factor} is missing", f"{body} * ({factor})"
    for name, y in env.arrays.items() if x is not None else ():
        if np.ndim(y) and (_fits_into(y, x) or _fits_into(x, y)):
            for form in ("{0}", *env.derived):
                factor, far = form.format(name), 0.6 * form.startswith("1 /")
                yield cost + far, f"the factor {factor} is missing", f"{body} * ({factor})"


def _fits_into(y: Any, x: Any) -> bool:
    """Whether an array can be multiplied to another one without changing its shape."""
    try:
        return bool(np.broadcast_shapes(np.shape(y), np.shape(x)) == np.shape(x))
    except ValueError:
        return False


def _terms(node: ast.expr, env: Environment, cost: float) -> Iterator[Rewrite]:
    """Arrays as further terms."""
    x = env.array(node)
    for name, y in env.arrays.items() if x is not None else ():
        if np.shape(y) == x.shape and y.dtype.kind == "f":
            yield cost, f"the term {name} is missing", f"({bracketed(unparse(node))} + {name})"


def _computed_terms(whole: ast.expr, x: Any, env: Environment, wanted: Any) -> Iterator[Rewrite]:
    """Further terms that give what is wanted: multiples of arrays, and of products of two."""
    rest, body = wanted - x, bracketed(unparse(whole))
    if x.size < 2 or ratio(wanted, x):  # nothing is missing but a factor
        return
    for cost, term, value in _arrays_of_shape(x.shape, env):
        if c := ratio(rest, value):
            factor = "" if abs(abs(c) - 1) < 1e-9 else f"{_coefficient(abs(c), env)} * "
            sign = "-" if c < 0 else "+"
            yield cost, f"the term {factor}{term} is missing", f"{body} {sign} {factor}{term}"


def _computed_products(whole: ast.expr, x: Any, env: Environment, wanted: Any) -> Iterator[Rewrite]:
    """A number that is missing as a factor, and products of a variable and what another gives."""
    c, text = ratio(wanted, x), bracketed(unparse(whole))
    if c and c > 0 and x.size > 1:
        for sign, number in (("/", _named_number(1 / c, env)), ("*", _named_number(c, env))):
            if number:
                words = f"not {'divided' if sign == '/' else 'multiplied'} by {number}"
                cost = 3.2 if "*" in number else 1.7
                yield cost, words, f"{text} {sign} {bracketed(number)}"
    used = {unparse(node) for node in walk(whole)} & env.arrays.keys()
    for name, (other, y) in itertools.product(used, env.arrays.items()):
        if c or not _fits_into(y, x) or not _fits_into(env.arrays[name], x) or not np.ndim(y):
            continue
        for factor in (form.format(other) for form in ("{0}", *env.derived)):
            new = unparse(parsed(f"{name} * {bracketed(factor)}"))
            value = env.value(parsed(new))
            if value is not None and ratio(value, wanted) == 1:
                yield 2.9, _instead(whole, new), new


def _arrays_of_shape(shape: tuple[int, ...], env: Environment) -> Iterator[tuple[float, str, Any]]:
    """(cost, expression, value) of arrays, and of products of two."""
    for name, y in env.arrays.items():
        if np.shape(y) == shape:
            yield 2.4, name, y
    for (a, x), (b, y) in itertools.permutations(env.arrays.items(), 2):
        if np.ndim(x) == np.ndim(y) == 2 == len(shape):
            products = (("{} @ {}", x, y), ("{}.T @ {}", x.T, y), ("{} @ {}.T", x, y.T))
            for form, left, right in products:
                if left.shape[1] == right.shape[0] and (left.shape[0], right.shape[1]) == shape:
                    yield 2.6, form.format(a, b), left @ right
        if np.shape(x) == shape and _fits_into(y, x):
            yield 2.7, f"{a} * {b}", x * y


def _coefficient(c: float, env: Environment) -> str:
    """A number as an expression in the learner's variables."""
    return _named_number(c, env) or f"{c:.6g}"


def _named_number(c: float, env: Environment) -> str:
    """An expression in the learner's variables that is a number; empty if there is none."""
    numbers = {"1": 1.0, "2": 2.0, "0.5": 0.5, **env.numbers}
    numbers |= {text: float(n) for n, text in env.lengths.items()}
    for (a, x), (b, y) in itertools.product(numbers.items(), repeat=2):
        for text, value in ((f"{a} * {b}", x * y), (f"{a} / {b}", x / y)):
            if abs(value / c - 1) < 1e-9:
                return text.removeprefix("1 * ").removesuffix(" * 1").removesuffix(" / 1")
    roots = (name for name, x in numbers.items() if x > 0 and abs(np.sqrt(x) / c - 1) < 1e-9)
    return next((f"np.sqrt({name})" for name in roots), "")
