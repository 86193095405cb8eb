"""Run the learner's functions as they would be with some statements changed."""

from __future__ import annotations

import ast
import contextlib
import gc
import linecache
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

from tinygrad_lr.check.derivation.watch import Statement

Edits = Mapping[Statement, ast.stmt]


def substituted(node: Any, new: Mapping[int, Any]) -> Any:
    """A copy of a tree with other nodes in the place of some, given by id; the rest is shared."""
    if isinstance(node, list):
        return [substituted(x, new) for x in node]
    if not isinstance(node, ast.AST):
        return node
    if id(node) in new:
        return ast.copy_location(new[id(node)], node)
    fields = {name: substituted(x, new) for name, x in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)


class Rewriter:
    """Changes statements in the functions of a file, and puts everything back."""

    def __init__(self) -> None:
        self._trees: dict[str, ast.Module] = {}
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
                codes = self._codes(file, edits)
                for function in self._of(file):
                    if new := codes.get(_key(function.__code__)):
                        before.append((function, function.__code__))
                        function.__code__ = new
            yield
        finally:
            for function, code in before:
                function.__code__ = code

    def _codes(self, file: str, edits: Edits) -> dict[tuple[str, int], CodeType]:
        """The new code of the functions that statements are in, by name and line."""
        if file not in self._trees:
            self._trees[file] = ast.parse("".join(linecache.getlines(file)))
        found: dict[tuple[str, int], CodeType] = {}
        for part in self._trees[file].body:
            new = {}
            for node in ast.walk(part):
                for statement, edit in edits.items():
                    if statement.file == file and _is_at(node, statement.node):
                        new[id(node)] = edit
            if new:
                module = ast.Module([substituted(part, new)], [])
                code = compile(ast.fix_missing_locations(module), file, "exec")
                found |= {_key(c): c for c in _inner(code)}
        return found

    def _of(self, file: str) -> list[FunctionType]:
        if file not in self._functions:
            functions = (f for f in gc.get_objects() if type(f) is FunctionType)
            self._functions[file] = [f for f in functions if f.__code__.co_filename == file]
        return self._functions[file]


def _is_at(node: ast.AST, statement: ast.AST) -> bool:
    """Whether a node is a statement of another parse of the same text."""
    return type(node) is type(statement) and all(
        getattr(node, name, None) == getattr(statement, name)
        for name in ("lineno", "col_offset", "end_lineno")
    )


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


def _inner(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner(constant)
