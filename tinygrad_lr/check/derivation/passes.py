"""The two passes of a check, and all that they work on: arguments, objects, and global variables."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import CodeType, FrameType, FunctionType, MethodType
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation.watch import MAX_DEPTH, Follower, Path, children, is_object, name_of, written
from tinygrad_lr.tensor import Tensor

Leaf = Callable[[Path, Any], Any]  # of where an array of floats is, and the array
World = dict[str, Any]
PARAMETERS = re.compile(r"\.(b|w|c|bias|weight|theta|intercept|coef)_?\d*_?", re.I)  # numbers
RANDOM = (np.random.Generator, np.random.RandomState)


class Passes:
    """A forward and a backward pass, and the world that they work on.

    A world holds the inputs, the objects whose methods the passes are, and the global variables and
    those of closures that their code reads. Every run has a copy of its own.
    """

    def __init__(
        self, forward: Callable[..., Any], backward: Callable[..., Any] | None, inputs: World
    ) -> None:
        self.forward, self.backward = forward, backward or forward
        self.one_function = backward is None
        self.random = np.random.get_state()
        functions = [forward, self.backward]
        self.cells = dict(pair for f in functions for pair in _cells(f))
        self.globals = dict(pair for f in functions for pair in _globals(f))
        state = {name: space[name] for name, space in self.globals.items()}
        state |= {name: cell.cell_contents for name, cell in self.cells.items()}
        self.world: World = {
            "inputs": {name: _plain(x) for name, x in inputs.items()},
            "owners": [owner_of(f) for f in functions],
            "state": {name: x for name, x in state.items() if _is_state(x)},
        }

    def name(self, which: int) -> str:
        """What a pass is called."""
        function = (self.forward, self.backward)[which]
        return str(getattr(function, "__name__", type(function).__name__))

    def copy(self) -> World:
        """A copy of the world as it was when the check began."""
        return copy.deepcopy(self.world)

    def bound(self, which: int, world: World) -> Callable[..., Any]:
        """A pass, 0 forward and 1 backward, as a method of the object in a world."""
        function, owner = (self.forward, self.backward)[which], world["owners"][which]
        if not is_object(owner):
            return function
        return MethodType(function.__func__, owner) if inspect.ismethod(function) else owner  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def inside(self, world: World) -> Iterator[None]:
        """Let global variables and those of closures be those of a world."""
        before = self.world["state"]
        np.random.set_state(self.random)  # so that a dropout mask is the same in every run
        try:
            self._set(world["state"])
            yield
        finally:
            for name in before:  # what was assigned to a global variable
                cell = self.cells.get(name)
                world["state"][name] = cell.cell_contents if cell else self.globals[name][name]
            self._set(before)

    def _set(self, state: World) -> None:
        for name, x in state.items():
            if name in self.cells:
                self.cells[name].cell_contents = x
            else:
                self.globals[name][name] = x

    def arguments(self, world: World) -> World:
        """Forward's arguments."""
        parameters = inspect.signature(self.forward).parameters.values()
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        names = {p.name for p in parameters}
        return {n: x for n, x in world["inputs"].items() if takes_all or n in names}

    def with_leaves(self, leaf: Leaf) -> World:
        """A world with other things in the place of arrays of floats."""
        world, seen = self.copy(), {}
        arguments = self.arguments(world)
        for name, x in arguments.items():
            world["inputs"][name] = _replaced(x, (name,), leaf, seen, given=True)
        if is_object(world["owners"][0]):
            _replaced(world["owners"][0], ("self",), leaf, seen)
        for name, x in world["state"].items():
            world["state"][name] = _replaced(x, (name,), leaf, seen)
        return world


def owner_of(function: Any) -> Any:
    """The object of the learner's that a function belongs to, or is; None if there is none."""
    owner = getattr(function, "__self__", None if inspect.isroutine(function) else function)
    return owner if is_object(owner) and not isinstance(owner, type) else None


def _replaced(x: Any, path: Path, leaf: Leaf, seen: dict[int, Any], given: bool = False) -> Any:
    """A value with `leaf(path, array)` for the arrays in it; containers and objects keep their identity.

    Numbers and lists of numbers are arrays if they were given as inputs; of the attributes of objects
    those that are named as parameters are.
    """
    if id(x) in seen:
        return seen[id(x)][0]
    new = x
    if isinstance(x, dict):
        for key in list(x):
            x[key] = _replaced(x[key], (*path, key), leaf, seen, given)
    elif isinstance(x, list) and not (given and _is_row(x)):
        x[:] = [_replaced(v, (*path, i), leaf, seen, given) for i, v in enumerate(x)]
    elif isinstance(x, tuple) and not (given and _is_row(x)):
        parts = [_replaced(v, (*path, i), leaf, seen, given) for i, v in enumerate(x)]
        new = type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)
    elif isinstance(x, np.ndarray) or (given and isinstance(x, (list, tuple, float, np.floating))):
        array = np.asarray(x)
        new = leaf(path, array) if array.dtype.kind == "f" else x
    elif isinstance(x, (float, np.floating)) and PARAMETERS.fullmatch(str(path[-1])):
        new = leaf(path, np.asarray(x))
    elif is_object(x) and not isinstance(x, type) and len(path) < 8:
        seen[id(x)] = x, x
        for name, v in list(vars(x).items()):
            vars(x)[name] = _replaced(v, (*path, f".{name}"), leaf, seen)
    if not isinstance(x, (float, int, str)):
        seen[id(x)] = new, x
    return new


def _is_row(x: Any) -> bool:
    """Whether a list holds numbers alone."""
    return bool(x) and all(isinstance(v, (int, float, np.number)) for v in x)


def names_of(paths: Collection[Path]) -> dict[Path, str]:
    """What the learner calls arrays: by their last names if those differ, else by their paths.

    >>> names_of([("self", ".layers", 0, ".W"), ("self", ".layers", 1, ".W"), ("p", "b")]).values()
    dict_values(['layers[0].W', 'layers[1].W', 'b'])
    """
    short = [name_of(path) for path in paths]
    return {p: n if short.count(n) == 1 else written(p).removeprefix('self.') for p, n in zip(paths, short, strict=True)}


def _cells(function: Any) -> Iterator[tuple[str, Any]]:
    """The variables of a closure."""
    inner = getattr(function, "__func__", function)
    names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
    yield from zip(names, getattr(inner, "__closure__", None) or (), strict=False)


def _globals(function: Any) -> Iterator[tuple[str, World]]:
    """(name, where it is) for the global variables that a function, and all that it calls, may read."""
    inner = getattr(function, "__func__", function)
    own = owner_of(function)
    waiting, seen = [inner if isinstance(inner, FunctionType) else type(inner)], set()
    waiting += [type(own)] * (own is not None)
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, type):
            waiting += [x for x in vars(part).values() if isinstance(x, (FunctionType, type))]
            waiting += [base for base in part.__bases__ if is_object(base)]
        if not isinstance(part, FunctionType):
            continue
        for name in _names(part.__code__):
            x = part.__globals__.get(name)
            yield from [(name, part.__globals__)] * (name in part.__globals__)
            if isinstance(x, FunctionType) or is_object(x):
                waiting.append(x if isinstance(x, (FunctionType, type)) else type(x))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _is_state(x: Any, depth: int = 0) -> bool:
    """Whether a global variable may hold parameters: arrays, objects, random generators, or some in lists."""
    if isinstance(x, np.ndarray):
        return x.dtype.kind == "f"
    if isinstance(x, (list, tuple, Mapping)):
        inner = list(x.values()) if isinstance(x, Mapping) else x
        return depth < 5 and any(_is_state(v, depth + 1) for v in inner)
    return isinstance(x, RANDOM) or (is_object(x) and not isinstance(x, type))


def _plain(x: Any) -> Any:
    """An input with arrays in the place of Tensors; the containers are new, the objects the same."""
    if isinstance(x, Tensor):
        return np.array(unwrap(x))
    if isinstance(x, dict):
        return {key: _plain(v) for key, v in x.items()}
    if type(x) in (list, tuple):
        return type(x)(map(_plain, x))
    return x


class Locals(Follower):
    """Keeps what a function's variables hold when it returns."""

    def call(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self.frames or id(frame.f_globals) not in self.spaces:
            return None
        self.frames, frame.f_trace_lines = 1, False
        return self.step

    def step(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Python's trace function of the frame."""
        if event == "return":
            self.locals = dict(frame.f_locals)
        return self.step


def run_plainly(passes: Passes, world: World) -> tuple[Any, dict[str, Any], Exception | None]:
    """(result, local variables, error) of a forward pass in a world, which it may change."""
    function = passes.bound(0, world)
    follower, arguments = Locals(function), passes.arguments(world)
    with passes.inside(world), np.errstate(all="ignore"):
        result, error = follower.follow(lambda: function(**arguments))
    return result, follower.locals, error


def holds_views(x: Any, depth: int = 0) -> bool:
    """Whether something holds a memoryview, which W.data is if W is an array and no Tensor."""
    if depth > MAX_DEPTH or isinstance(x, (np.ndarray, Tensor)):
        return False
    inner = children(x)
    return isinstance(x, memoryview) or any(holds_views(v, depth + 1) for _, v in inner)


def as_arrays(value: Any, memo: dict[int, Any]) -> Any:
    """A copy with arrays in the place of Tensors, also in containers and in the learner's objects."""
    if id(value) in memo:
        return memo[id(value)][0]
    new: Any = value
    if isinstance(value, (Tensor, np.ndarray)):
        new = np.array(unwrap(value))
        new = new[()] if isinstance(value, Tensor) and new.ndim == 0 else new
    elif isinstance(value, dict):
        new = copy.copy(value)
        memo[id(value)] = new, value
        for key, x in value.items():
            new[key] = as_arrays(x, memo)
    elif isinstance(value, (list, tuple)):
        parts = [as_arrays(x, memo) for x in value]
        new = type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    elif is_object(value) and not isinstance(value, type):
        new = copy.copy(value)
        memo[id(value)] = new, value  # the value is held, so that its id is not used again
        for name, x in vars(value).items():
            vars(new)[name] = as_arrays(x, memo)
    memo[id(value)] = new, value
    return new
