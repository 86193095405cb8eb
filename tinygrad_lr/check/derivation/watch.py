"""Run a function and keep what each of its statements did to its local variables."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.tensor import Tensor

Path = tuple[Any, ...]  # ("dW",), ("grads", "dW1"), ("hs", 3)


class Statement(NamedTuple):
    """A statement of the user's: the line that it starts on, its text, the variables in it."""

    line: int
    text: str
    node: Any = None
    assigned: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()


class Change(NamedTuple):
    """A value that a statement gave to a variable, or to an element of one."""

    path: Path
    value: Any
    statement: Statement

    @property
    def name(self) -> str:
        """What the user calls it: the last name on the path, and the indices that follow."""
        last = max(i for i, part in enumerate(self.path) if isinstance(part, str))
        return str(self.path[last]) + "".join(f"[{i}]" for i in self.path[last + 1 :])


class Run(NamedTuple):
    """What a function did: its result or its error, the statement that it ended in, the changes."""

    result: Any
    error: Exception | None
    end: Statement
    changes: list[Change]
    locals: dict[str, Any]
    unfinished: frozenset[str]
    unfinished_loop: frozenset[str]


def watch(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Run:
    """Call a function by keyword, and follow the lines of its own frame."""
    inner: Any = inspect.unwrap(function)
    code = getattr(inner, "__code__", None) or getattr(inner.__call__, "__code__", None)
    watcher = _Watcher(code)
    before, result, error = sys.gettrace(), None, None
    sys.settrace(watcher.call)
    try:
        result = function(**arguments)
    except Exception as raised:
        error = raised
    finally:
        sys.settrace(before)
    unfinished = watcher.unfinished() if error else (frozenset(), frozenset())
    return Run(result, error, watcher.now, watcher.changes, watcher.locals, *unfinished)


class _Watcher:
    def __init__(self, code: CodeType | None):
        self.code, self.started, self.failed = code, False, False
        self.statements = _statements(code) if code else {}
        self.now = Statement(code.co_firstlineno if code else 0, "")
        self.changes: list[Change] = []
        self.locals: dict[str, Any] = {}
        self.seen: dict[Path, tuple[Any, bytes]] = {}

    def call(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code is not self.code or self.started:
            return None
        self.started = True
        return self.line

    def line(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Before a line is run: what has the statement before it changed?"""
        if event == "line":
            self.failed = False
            n = frame.f_lineno
            coming = self.statements.get(n) or Statement(n, _text(frame.f_code, n, n))
            if coming is not self.now:
                self.compare(frame)
                self.now = coming
        elif event == "exception":
            self.failed = True
        elif event == "return":
            self.compare(frame)
            self.locals = dict(frame.f_locals)
        return self.line

    def compare(self, frame: FrameType) -> None:
        assigned = self.now.assigned if not self.failed else frozenset()
        for name, local in frame.f_locals.items():
            for path, x in parts(local, (name,)):
                fingerprint = b"" if isinstance(x, Tensor) else np.asarray(x).tobytes()
                before = self.seen.get(path)
                again = len(path) == 1 and name in assigned
                moved = before and before[0] is not x and isinstance(x, (Tensor, np.ndarray))
                if before is None or again or moved or before[1] != fingerprint:
                    self.seen[path] = x, fingerprint
                    value = x if isinstance(x, Tensor) else np.array(x)
                    self.changes.append(Change(path, value, self.now))

    def unfinished(self) -> tuple[frozenset[str], frozenset[str]]:
        """The variables to which the rest of the function, or of the loop, assigns as well."""
        at = self.now.line
        loops = [
            s.line for s in self.statements.values()
            if isinstance(s.node, ast.For | ast.While) and s.line <= at <= (s.node.end_lineno or at)
        ]  # fmt: skip
        start = min(loops, default=at)
        later = [s for s in self.statements.values() if s.line >= start]
        return (
            frozenset().union(*(s.assigned for s in later if s.line >= at)),
            frozenset().union(*(s.assigned for s in later)),
        )


def parts(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every Tensor, array, number and list of numbers that a value holds, nested as it may be."""
    if isinstance(value, (Tensor, np.ndarray, float, int, np.number)):
        yield path, value
    elif isinstance(value, Mapping):
        for key, element in value.items():
            yield from parts(element, (*path, key))
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(x, (int, float)) for x in value):
            yield path, value
        else:
            for i, element in enumerate(value):
                yield from parts(element, (*path, i))


def _text(code: CodeType, first: int, last: int) -> str:
    lines = linecache.getlines(code.co_filename)[first - 1 : last]
    return " ".join(line.strip() for line in lines)


def _statements(code: CodeType) -> dict[int, Statement]:
    """The statement of every line of a function; empty if its source cannot be read."""
    lines = linecache.getlines(code.co_filename)
    try:
        block = inspect.getblock(lines[code.co_firstlineno - 1 :])
        indented = lines[code.co_firstlineno - 1][:1].isspace()
        tree = ast.parse("if True:\n" * indented + "".join(block))
    except (SyntaxError, IndexError):
        return {}
    ast.increment_lineno(tree, code.co_firstlineno - 1 - indented)
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            statement = Statement(
                node.lineno,
                _text(code, node.lineno, last),
                node,
                frozenset(_assigned(node)),
                frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name)),
            )
            found.update(dict.fromkeys(range(node.lineno, last + 1), statement))
    return found


def _assigned(node: Any) -> Iterator[str]:
    """The variables that a statement assigns to, wholly or in part."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    for target in targets:
        for part in getattr(target, "elts", [target]):
            while isinstance(part, (ast.Subscript, ast.Attribute, ast.Starred)):
                part = part.value
            if isinstance(part, ast.Name):
                yield part.id
