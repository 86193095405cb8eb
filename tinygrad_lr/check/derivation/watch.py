"""Run a function, and follow what each statement of the learner's own code does."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import os
import sys
import sysconfig
import tokenize
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.messages.frames import OWN_FILES
from tinygrad_lr.tensor import Tensor

Path = tuple[Any, ...]  # ("dW",), ("grads", "dW1"), ("self", ".W"), ("hs", 3)
LIBRARIES = tuple(
    {os.path.join(sysconfig.get_path(p), "") for p in ("stdlib", "purelib", "platlib")}
)
FUNCTIONS = (ModuleType, FunctionType, MethodType, BuiltinFunctionType)
MAX_DEPTH = 5  # of containers and objects that are looked into


@dataclass(frozen=True, eq=False)
class Statement:
    """A statement of the learner's: where it is, its text, and the names in it.

    The statements of two runs are the same if they stand in the same line.
    """

    file: str
    line: int
    text: str
    function: str = ""
    node: Any = None
    assigned: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statement) and (self.file, self.line) == (other.file, other.line)

    def __hash__(self) -> int:
        return hash((self.file, self.line))


class Change(NamedTuple):
    """A value that a statement gave to a variable, an element of one, or an attribute."""

    path: Path
    value: Any  # a copy
    statement: Statement
    n: int  # how many times the statement had run before
    frame: int  # number of the call that ran it
    array: Any = None  # the object itself

    @property
    def name(self) -> str:
        """What the learner calls it: dW, dW[0], W1 of grads["W1"], W of self.W."""
        return name_of(self.path)


def name_of(path: Path) -> str:
    """The last name on a path, and the indices that follow it."""
    last = max(i for i, part in enumerate(path) if isinstance(part, str))
    return str(path[last]).lstrip(".") + "".join(f"[{i}]" for i in path[last + 1 :])


def written(path: Path) -> str:
    """A path as it is written: self.layers[0].W."""
    text = str(path[0])
    for key in path[1:]:
        text += key if is_attribute(key) else f"[{key!r}]"
    return text


def is_attribute(key: Any) -> bool:
    """Whether a part of a path stands for an attribute."""
    return isinstance(key, str) and key.startswith(".")


def element(owner: Any, key: Any) -> Any:
    """The element or the attribute of a value that a part of a path stands for."""
    return getattr(owner, key[1:]) if is_attribute(key) else owner[key]


class Run(NamedTuple):
    """What a function did.

    Attributes:
        end: the statement that returned the result, or raised the error.
        changes: in the order in which they were made.
        returns: what every call returned, each with the number of changes before.
        begun: where every statement began to run first, likewise, without a value.
    """

    result: Any
    error: Exception | None
    end: Statement
    changes: list[Change]
    locals: dict[str, Any]
    returns: Sequence[tuple[int, Change]] = ()
    begun: Sequence[tuple[int, Change]] = ()


class Follower:
    """Follows the frames of the learner's own code; subclasses say what happens at a statement.

    Args:
        function: what is called; its code and that of its module is the learner's own, and so is
            all other code that is neither a library's nor Python's.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.main, inner = code_of(function), _plain(function)
        self.spaces = {id(getattr(inner, "__globals__", None))}
        self.runs: Counter[Statement] = Counter()
        self.frames = 0
        self.raised: tuple[BaseException, Statement] | None = None
        self.failure: Exception | None = None
        self.locals: dict[str, Any] = {}
        self.changes: list[Change] = []
        self.returns: list[tuple[int, Change]] = []
        self.begun: list[tuple[int, Change]] = []
        self.end = Statement("", self.main.co_firstlineno if self.main else 0, "")

    def follow(self, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
        """(result, error) of a call; an error of the follower itself is raised."""
        before, result, error = sys.gettrace(), None, None
        sys.settrace(self.call)
        try:
            result = call()
        except Exception as raised:
            error = raised
        finally:
            sys.settrace(before)
        if self.failure:
            raise self.failure
        if error:
            self.end = self.raised[1] if self.raised else self._last_line(error)
        return result, error

    def _last_line(self, error: BaseException) -> Statement:
        """Where an error was raised that was not seen, as one of a recursion without an end."""
        for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
            code = frame.f_code
            if id(frame.f_globals) in self.spaces or is_own(code.co_filename):
                return statements(code).get(line) or _bare(code, line)
        return self.end

    def call(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Python's trace function: which frames are followed."""
        file = frame.f_code.co_filename
        if id(frame.f_globals) not in self.spaces and not is_own(file):
            return None
        if file == "<string>" and self.main and file != self.main.co_filename:
            return None  # what a dataclass has written
        self.frames += 1
        if self.frames > 1 and not self.follows(frame.f_code):
            return None
        return _Frame(self, frame.f_code, self.frames).step(frame, event, arg)

    def follows(self, code: CodeType) -> bool:
        """Whether calls of a code are followed, as the function itself is."""
        return True

    def run(self, result: Any, error: Exception | None) -> Run:
        """What was seen of a call with a result, or an error."""
        seen = self.changes, self.locals, self.returns, self.begun
        return Run(result, error, self.end, *seen)

    def begin(self, scope: Scope) -> None:
        """A call of the learner's own code begins."""

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        """A statement is about to run; it has run n times before."""

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        """A statement has run."""

    def returned(self, scope: Scope, statement: Statement, n: int, value: Any) -> None:
        """A call returns."""


def code_of(function: Callable[..., Any]) -> Any:
    """The code of a function, a method or an object that can be called; None if it has none."""
    inner = _plain(function)
    return getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)


def _plain(function: Callable[..., Any]) -> Any:
    """A function without what binds or wraps it."""
    return inspect.unwrap(getattr(function, "__func__", function))


class Scope(NamedTuple):
    """The variables of a call. A local that is set here is set in the frame."""

    code: CodeType
    number: int  # of the call
    locals: Any
    globals: dict[str, Any]


class _Frame:
    """One call of the learner's own code."""

    def __init__(self, follower: Follower, code: CodeType, number: int) -> None:
        self.follower, self.number = follower, number
        self.statements = statements(code)
        self.now: Statement | None = None
        self.n, self.failed = 0, False

    def step(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Python's trace function of a frame, which what it raises would be raised in.

        So that no error of a follower is taken for one of the learner's, it is kept, and the rest
        of the run is not followed. A recursion without an end is the learner's, wherever it shows.
        """
        try:
            self._step(frame, event, arg)
        except RecursionError:
            raise
        except Exception as error:
            self.follower.failure = error
            sys.settrace(None)
            return None
        return self.step

    def _step(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "exception":
            self._raised(arg[1])
            return
        # f_locals is read once: to read it again would undo what was set in it before Python 3.13
        scope = Scope(frame.f_code, self.number, frame.f_locals, frame.f_globals)
        if event == "call":
            self.follower.begin(scope)
        elif event == "line":
            self._line(scope, frame.f_lineno)
        elif event == "return":
            self._returned(scope, arg)

    def _line(self, scope: Scope, line: int) -> None:
        statement = self.statements.get(line) or _bare(scope.code, line)
        if statement is not self.now:
            self._finish(scope)
            self.now, self.n = statement, self.follower.runs[statement]
            self.follower.runs[statement] += 1
            self.follower.start(scope, statement, self.n)

    def _raised(self, error: BaseException) -> None:
        self.failed = True
        raised = self.follower.raised
        if self.now and (raised is None or raised[0] is not error):
            self.follower.raised = error, self.now

    def _returned(self, scope: Scope, value: Any) -> None:
        self._finish(scope)
        if self.now:
            self.follower.returned(scope, self.now, self.n, value)
        if self.number == 1:
            self.follower.locals = dict(scope.locals)
            self.follower.end = self.now or self.follower.end

    def _finish(self, scope: Scope) -> None:
        if self.now and not self.failed:
            self.follower.finish(scope, self.now, self.n)
        self.failed = False


def is_own(file: str) -> bool:
    """Whether a file is the learner's: no library's, not Python's and not this package's."""
    return file not in OWN_FILES and not file.startswith(("<", *LIBRARIES))


class Watcher(Follower):
    """Keeps what every statement changes, as it is told in a Run."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._slots: dict[Any, Any] = {}  # the id of the array, or the number, held last
        self._contents: dict[int, Any] = {}  # of arrays, by id
        self._held: list[Any] = []  # so that no id is used again

    def begin(self, scope: Scope) -> None:
        for name, value in scope.locals.items():
            self._look(name, value, scope.number)

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if n == 0:
            blank = Change(("",), np.zeros(0), statement, n, scope.number)
            self.begun.append((len(self.changes), blank))
        for name in statement.names.difference(scope.locals):
            if name in scope.globals:
                self._look(name, scope.globals[name], 0)

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        for name in sorted(statement.names):
            local = name in scope.locals
            value = scope.locals[name] if local else scope.globals.get(name)
            number, assigned = scope.number if local else 0, name in statement.assigned
            for path, x in self._look(name, value, number, assigned):
                self.changes.append(Change(path, self.kept(x), statement, n, scope.number, x))

    def returned(self, scope: Scope, statement: Statement, n: int, value: Any) -> None:
        parts = value if isinstance(value, (tuple, list)) else [value]
        if statement.function.startswith("<"):  # a comprehension, which is part of another line
            return
        for i, part in enumerate(parts, 1):
            for path, _, x in leaves(part, (f"returned value {i}",), None):
                change = Change(path, self.kept(x), statement, n, scope.number, x)
                self.returns.append((len(self.changes), change))

    def kept(self, x: Any) -> Any:
        """What is kept of a value."""
        return x if isinstance(x, Tensor) else np.array(x)

    def _look(
        self, name: str, value: Any, number: int, assigned: bool = False
    ) -> list[tuple[Path, Any]]:
        """What is new in a variable since it was looked at last."""
        new = []
        for path, slot, x in leaves(value, (name,), (number, name)):
            content = id(x) if isinstance(x, Tensor) else np.asarray(x).tobytes()
            whole, before = len(path) == 1, self._slots.get(slot)
            if isinstance(x, (Tensor, np.ndarray)):
                fresh = self._contents.get(id(x)) != content
                fresh |= before != id(x) and (assigned or whole)  # else moved within a list
                self._slots[slot], self._contents[id(x)] = id(x), content
                self._held.append(x)
            else:
                fresh, self._slots[slot] = before != content, content
            if fresh or (assigned and whole):
                new.append((path, x))
        return new


def watch(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Run:
    """Call a function and keep what each statement of the learner's own code changes."""
    return run(Watcher(function), function, *args, **kwargs)


def run(watcher: Watcher, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Run:
    """Call a function under a watcher."""
    return watcher.run(*watcher.follow(lambda: function(*args, **kwargs)))


def leaves(value: Any, path: Path, slot: Any, depth: int = 0) -> Iterator[tuple[Path, Any, Any]]:
    """(path, slot, x) for every Tensor, array, number and list of numbers that a value holds."""
    if isinstance(value, (Tensor, np.ndarray, float, int, np.number)):
        yield path, slot, value
        if not hasattr(value, "__dict__"):  # as an array of the learner's class has
            return
    if depth < MAX_DEPTH:
        for key, element in children(value):
            yield from leaves(element, (*path, key), (id(value), key), depth + 1)


def children(value: Any) -> Iterable[tuple[Any, Any]]:
    """The elements of a container and the attributes of an object of the learner's, with keys."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        return zip((f".{n}" for n in fields), value, strict=True) if fields else enumerate(value)
    if is_object(value):
        return [(f".{name}", x) for name, x in vars(value).items()]
    return ()


def is_object(value: Any) -> bool:
    """Whether a value is an object, or a class, that the learner's code made."""
    if not hasattr(value, "__dict__") or isinstance(value, FUNCTIONS):
        return False
    kind = value if isinstance(value, type) else type(value)
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is None or is_own(file)


def statements(code: CodeType) -> dict[int, Statement]:
    """The statement of every line of a function; empty if its source cannot be read."""
    return _statements(code, code.co_filename)


@functools.lru_cache(maxsize=256)
def _statements(code: CodeType, file: str) -> dict[int, Statement]:
    # Codes of the same text in different files are equal.
    lines = linecache.getlines(code.co_filename)
    try:
        block = inspect.getblock(lines[code.co_firstlineno - 1 :])
        indented = lines[code.co_firstlineno - 1][:1].isspace()
        tree = ast.parse("if True:\n" * indented + "".join(block))
    except (SyntaxError, IndexError, tokenize.TokenError):
        return {}
    ast.increment_lineno(tree, code.co_firstlineno - 1 - indented)
    by_line: dict[int, Statement] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
        shown = lines[node.lineno - 1 : last]
        if not body:  # without the comment behind it
            shown[-1] = shown[-1].encode()[: node.end_col_offset].decode()
        text = " ".join(line.strip() for line in shown)
        names = frozenset(n.id for n in _head(node) if isinstance(n, ast.Name))
        statement = Statement(
            code.co_filename,
            node.lineno,
            text,
            code.co_name,
            node,
            frozenset(_assigned(node)),
            names,
        )
        by_line.update(dict.fromkeys(range(node.lineno, last + 1), statement))
    return by_line


def _bare(code: CodeType, line: int) -> Statement:
    """A statement whose source cannot be read."""
    names = frozenset(code.co_varnames)
    return Statement(code.co_filename, line, "", code.co_name, None, names, names)


def _head(node: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement, without those of the statements in its body."""
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += [x for x in ast.iter_child_nodes(part) if not isinstance(x, ast.stmt)]


def _assigned(node: Any) -> Iterator[str]:
    """The variables that a statement assigns to, wholly or in part."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    for target in targets:
        for part in getattr(target, "elts", [target]):
            while isinstance(part, (ast.Subscript, ast.Attribute, ast.Starred)):
                part = part.value
            if isinstance(part, ast.Name):
                yield part.id
