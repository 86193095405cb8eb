"""The learner's variables where a statement stands: what expressions of them give there."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import itertools
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.watch import (
    Path,
    Scope,
    Statement,
    element,
    is_attribute,
    is_own,
    leaves,
    statements,
    written,
)

MAX_ARRAYS = 60  # of the learner's that may stand where another does
DERIVED = ("1 - {0}", "{0} * (1 - {0})", "1 - {0} ** 2", "({0} > 0)", "{0} ** 2", "1 / {0}")


class Environment:
    """The learner's variables where a statement stands.

    Attributes:
        locals, names: the local variables, and all variables.
        loops: the variables that count the steps of loops, with their values.
        unused: the variables that are computed and not used.
        texts: the names in quotes in this function and in the global ones of its file.
        arrays: the arrays of floats that the variables of the function hold, by the learner's
            expressions.
        derived: what may be computed from an array, element by element.
    """

    def __init__(self, scope: Scope, statement: Statement) -> None:
        self.locals = dict(scope.locals)
        self.names = {**scope.globals, **self.locals}
        self._used = {n: scope.globals[n] for n in scope.code.co_names if n in scope.globals}
        loops = [
            (name, n)
            for name, n in self.locals.items()
            if type(n) is int and (len(name) == 1 or name in statement.names)
        ]
        offsets = ((1, " + 1"), (-1, " - 1"), (0, ""))
        self._indices = {n + d: name + text for d, text in offsets for name, n in loops}
        self.loops = dict(loops)
        self.unused = _unused(scope.code)
        self.texts = [*dict.fromkeys(_texts(scope.code, scope.globals))]
        self.arrays = dict(itertools.islice(self._arrays(), MAX_ARRAYS))
        self.derived = [*DERIVED, *(f"{name}({{0}})" for name in _elementwise(self.names))]
        self._values: dict[str, Any] = {}

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        """The arrays of floats in the variables of the function, those on short paths first."""
        used = {**self._used, **self.locals}.items()
        held = [(p, v) for n, x in used for p, _, v in leaves(x, (n,), None)]
        seen: set[int] = set()
        for path, v in sorted(held, key=lambda pair: len(pair[0])):
            array = isinstance(v, (np.ndarray, float)) and np.asarray(v).dtype.kind in "fb"
            if array and id(v) not in seen:
                seen.add(id(v))
                if text := self._written(path):
                    yield text, v

    def _written(self, path: Path) -> str:
        """A path as it is written, with elements by the step of a loop, hs[t - 1]; or empty."""
        *start, key = path
        if not isinstance(key, int) or len(path) > 3:
            return written(path)
        owner = functools.reduce(element, start[1:], self.names.get(path[0]))
        is_last = isinstance(owner, list) and key == len(owner) - 1 > 0
        if key in self._indices or is_last:
            return f"{written(tuple(start))}[{self._indices.get(key, -1)}]"
        return written(path) if len(owner or ()) <= 4 else ""

    def value(self, node: ast.AST) -> Any:
        """The value of an expression; None if it has none."""
        text = ast.unparse(node)
        if text not in self._values:
            self._values[text] = None
            with contextlib.suppress(Exception):  # a part that makes no sense by itself
                self._values[text] = eval(text, dict(self.names))
        return self._values[text]

    def array(self, node: ast.AST) -> Any:
        """The value of an expression if it is an array with axes, else None."""
        value = self.value(node) if isinstance(node, ast.expr) else None
        array = isinstance(value, np.ndarray) and value.dtype.kind in "fb" and value.ndim
        return value if array else None

    @functools.cached_property
    def numbers(self) -> dict[str, float]:
        """The variables that hold a number other than 0 and 1."""
        values = [
            (path, v)
            for name, x in self.locals.items()
            for path, _, v in (leaves(x, (name,), None) if name == "self" else [((name,), 0, x)])
        ]
        return {written(p): float(v) for p, v in values if _is_number(v) and v not in (0, 1)}

    @functools.cached_property
    def factors(self) -> list[str]:
        """Numbers that belong to the step of a loop: x[i], and what is computed from a variable."""
        rows = [(name, y) for name, y in self.arrays.items() if np.ndim(y) == 1]
        pairs = itertools.product(rows, self.loops.items())
        elements = [f"{name}[{i}]" for (name, y), (i, n) in pairs if 0 <= n < len(y)]
        numbers = [name for name, x in self.locals.items() if isinstance(x, float)]
        return elements + [form.format(name) for name in numbers for form in DERIVED]

    @functools.cached_property
    def lengths(self) -> dict[int, str]:
        """Expressions for lengths of axes and numbers of elements, by the number."""
        texts: dict[int, str] = {}
        for name, x in self.locals.items():
            if isinstance(x, np.ndarray) and x.ndim:
                texts.setdefault(len(x), f"len({name})")
                for axis, n in enumerate(x.shape[1:], 1):
                    texts.setdefault(n, f"{name}.shape[{axis}]")
                texts.setdefault(x.size, f"{name}.size")
        return {n: text for n, text in texts.items() if n > 1}

    @functools.cached_property
    def divisors(self) -> list[str]:
        """What people divide by, the likeliest first."""
        lengths = list(self.lengths.values())
        rows = [text for text in lengths if text.startswith("len(")]
        return list(dict.fromkeys([*self.numbers, *rows, "2", *lengths]))

    def effect(self, node: ast.stmt, path: Path) -> Any:
        """What a statement would make of a path; None if it fails."""
        if isinstance(node, ast.Return):
            inner = right_side(node, self, path, None)
            return None if inner is None else self.value(inner)
        if isinstance(node, ast.AugAssign):  # which would write into the learner's array
            target = parsed(ast.unparse(node.target))
            node = ast.Assign([node.target], ast.BinOp(target, node.op, node.value))
        space = self._copied(path)
        module = ast.fix_missing_locations(ast.Module([node], []))
        try:
            exec(compile(module, "<edit>", "exec"), space)
            return functools.reduce(element, path[1:], space[path[0]])
        except Exception:  # an edit that makes no sense
            return None

    def _copied(self, path: Path) -> dict[str, Any]:
        """The variables, with copies of what a statement changes when it sets a path."""
        space, keys = dict(self.names), list(path[1:])
        holder: Any
        with contextlib.suppress(KeyError, IndexError, TypeError, AttributeError):  # not there yet
            space[path[0]] = holder = copy.copy(space.get(path[0]))
            while keys and not isinstance(holder, np.ndarray):
                key = keys.pop(0)
                inner = copy.copy(element(holder, key))
                if is_attribute(key):
                    setattr(holder, key[1:], inner)
                elif not isinstance(holder, tuple):
                    holder[key] = inner
                holder = inner
        return space


@functools.lru_cache(maxsize=256)
def _unused(code: CodeType) -> frozenset[str]:
    """The variables that a function assigns to and never reads."""
    used: dict[type, set[str]] = {ast.Load: set(), ast.Store: set()}
    for statement in set(statements(code).values()):
        for node in ast.walk(statement.node) if statement.node else ():
            if isinstance(node, ast.Name) and type(node.ctx) in used:
                used[type(node.ctx)].add(node.id)
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                used[ast.Load].add(node.target.id)
    return frozenset(used[ast.Store] - used[ast.Load])


def _texts(code: CodeType, names: Mapping[str, Any]) -> Iterator[str]:
    """The names in quotes in a function and in the others of its file."""
    others = (f.__code__ for f in names.values() if isinstance(f, FunctionType))
    for part in (code, *others):
        if part.co_filename == code.co_filename:
            yield from (x for x in part.co_consts if isinstance(x, str) and x.isidentifier())


def _elementwise(names: Mapping[str, Any]) -> Iterator[str]:
    """The learner's functions of one argument, which may be activations and their derivatives."""
    for name, x in names.items():
        if isinstance(x, FunctionType) and is_own(x.__code__.co_filename):
            code = x.__code__
            if code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & 0b1100:
                yield name


def _is_number(x: Any) -> bool:
    array = isinstance(x, np.ndarray) and x.ndim == 0 and x.dtype.kind in "fiu"
    return array or isinstance(x, (int, float, np.number))


def parsed(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


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
    pairs = [(ast.unparse(t), e) for t, e in zip(targets, elements, strict=False)]
    return next((e for text in (written(path), first) for t, e in pairs if t == text), None)
