"""Run the learner's functions as they would be with some statements changed."""

from __future__ import annotations

import ast
import contextlib
import gc
import linecache
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from tinygrad_lr.check.derivation.watch import Statement

Edits = Mapping[Statement, ast.stmt]


def substituted(node: Any, new: Mapping[int, Any]) -> Any:
    """A tree with other nodes in the place of some, given by id; what does not change is shared."""
    if id(node) in new:
        return ast.copy_location(new[id(node)], node)
    if isinstance(node, list):
        elements = [substituted(x, new) for x in node]
        return elements if any(x is not y for x, y in zip(elements, node, strict=True)) else node
    if not isinstance(node, ast.AST):
        return node
    fields = {name: substituted(x, new) for name, x in ast.iter_fields(node)}
    if all(x is getattr(node, name) for name, x in fields.items()):
        return node
    return ast.copy_location(type(node)(**fields), node)


class _Place(NamedTuple):
    """Where a statement stands in the tree of its file.

    Attributes:
        body, i: the list that holds it, and its number there.
        outer: the smallest part of the file that can be compiled by itself.
        depth: in how many functions it stands.
    """

    body: list[ast.stmt]
    i: int
    outer: ast.stmt
    depth: int


class Rewriter:
    """Changes statements in the functions of a file, and puts everything back."""

    def __init__(self) -> None:
        self._places: dict[str, dict[Any, _Place]] = {}
        self._functions: dict[str, list[FunctionType]] = {}

    @contextlib.contextmanager
    def rewritten(self, edits: Edits) -> Iterator[None]:
        """Let every function that has one of the statements run as edited.

        Raises:
            SyntaxError, ValueError: if there is no such function.
        """
        before: list[tuple[FunctionType, CodeType]] = []
        try:
            for file in {statement.file for statement in edits}:
                codes = self._codes(file, {s: e for s, e in edits.items() if s.file == file})
                for function in self._of(file):
                    new, old = codes.get(_key(function.__code__)), function.__code__
                    if new and len(new.co_freevars) == len(old.co_freevars):  # else of a closure
                        before.append((function, function.__code__))
                        function.__code__ = new
            yield
        finally:
            for function, code in before:
                function.__code__ = code

    def _codes(self, file: str, edits: Edits) -> dict[tuple[str, int], CodeType]:
        """The new code of the functions that statements are in, by name and line."""
        old: list[tuple[_Place, ast.stmt]] = []
        try:
            for statement, edit in edits.items():
                place = self._places_of(file).get(_position(statement.node))
                if place is not None:
                    old.append((place, place.body[place.i]))
                    place.body[place.i] = _located(edit, place.body[place.i])
            parts = {id(place.outer): place.outer for place, _ in old}
            codes = [compile(ast.Module([part], []), file, "exec") for part in parts.values()]
        finally:
            for place, node in reversed(old):
                place.body[place.i] = node
        return {_key(inner): inner for code in codes for inner in _inner(code)}

    def in_closures(self, edits: Edits) -> bool:
        """Whether statements stand in functions that others make when they run."""
        places = (self._places_of(s.file).get(_position(s.node)) for s in edits)
        return any(place and place.depth > 1 for place in places)

    def _places_of(self, file: str) -> dict[Any, _Place]:
        if file not in self._places:
            tree = ast.parse("".join(linecache.getlines(file)))
            self._places[file] = dict(_statements(tree.body))
        return self._places[file]

    def _of(self, file: str) -> list[FunctionType]:
        if file not in self._functions:
            functions = (f for f in gc.get_objects() if type(f) is FunctionType)
            self._functions[file] = [f for f in functions if f.__code__.co_filename == file]
        return self._functions[file]


def _located(edit: ast.stmt, old: ast.stmt) -> ast.stmt:
    """An edit whose new parts stand in the line of the statement, by which it is followed."""
    for node in ast.walk(edit):
        if not old.lineno <= getattr(node, "lineno", old.lineno) <= (old.end_lineno or old.lineno):
            ast.copy_location(node, old)
    return ast.fix_missing_locations(ast.copy_location(edit, old))


def _statements(
    body: list[ast.stmt], outer: Any = None, parent: Any = None, depth: int = 0
) -> Iterator[tuple[Any, _Place]]:
    """Where every statement stands, by its position.

    A method is compiled in a class without the other methods, a function in a function with all.
    """
    depth += isinstance(parent, ast.FunctionDef)
    for i, node in enumerate(body):
        around = outer or node
        if isinstance(parent, ast.ClassDef) and isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            around = ast.copy_location(ast.ClassDef(parent.name, [], [], [node], []), parent)
        yield _position(node), _Place(body, i, around, depth)
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, name, []), around, node, depth)
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body, around, handler, depth)


def _position(node: ast.AST) -> Any:
    """What a statement has in common with itself in another parse of the same text."""
    return type(node), *(getattr(node, name, 0) for name in ("lineno", "col_offset", "end_lineno"))


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)
