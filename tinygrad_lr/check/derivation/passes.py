"""The two passes of a check, and all that they work on: arguments, objects, global variables."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from types import FrameType, MethodType
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation.state import State, owner_of
from tinygrad_lr.check.derivation.watch import (
    MAX_DEPTH,
    Follower,
    Path,
    children,
    is_object,
    name_of,
    written,
)
from tinygrad_lr.tensor import Tensor

Leaf = Callable[[Path, Any], Any]  # of where an array of floats is, and the array
World = dict[str, Any]
PARAMETERS = re.compile(r"\.(b|w|c|bias|weight|theta|intercept|coef)_?\d*_?", re.I)  # numbers


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
        self.state = State([forward, self.backward])
        self.world: World = {
            "inputs": {name: _plain(x) for name, x in inputs.items()},
            "owners": [owner_of(forward), owner_of(self.backward)],
            "state": self.state.values,
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
        return MethodType(function.__func__, owner) if inspect.ismethod(function) else owner

    @contextlib.contextmanager
    def inside(self, world: World) -> Iterator[None]:
        """Let global variables and those of closures be those of a world."""
        np.random.set_state(self.random)  # so that a dropout mask is the same in every run
        try:
            self.state.write(world["state"])
            yield
        finally:
            world["state"] |= self.state.read()  # what was assigned to a global variable
            self.state.write(self.state.values)

    def arguments(self, world: World) -> World:
        """Forward's arguments."""
        parameters = list(inspect.signature(self.forward).parameters.values())
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        inputs = world["inputs"]
        named = {p.name: inputs[p.name] for p in parameters if p.name in inputs}
        return named | {n: x for n, x in inputs.items() if takes_all and n not in named}

    def with_leaves(self, leaf: Leaf) -> World:
        """A world with other things in the place of arrays of floats."""
        world = self.copy()
        seen: dict[int, Any] = {}
        arguments = self.arguments(world)
        for name, x in arguments.items():
            world["inputs"][name] = _replaced(x, (name,), leaf, seen, given=True)
        if is_object(world["owners"][0]):
            _replaced(world["owners"][0], ("self",), leaf, seen)
        for name, x in world["state"].items():
            world["state"][name] = _replaced(x, (name,), leaf, seen)
        return world


def _replaced(x: Any, path: Path, leaf: Leaf, seen: dict[int, Any], given: bool = False) -> Any:
    """A value with `leaf(path, array)` for its arrays; containers and objects stay the same ones.

    Args:
        seen: what was replaced by id, with the value itself so that no id is used again.
        given: whether it is an input, of which numbers and lists of numbers are arrays as well.
    """
    if id(x) in seen:
        return seen[id(x)][0]
    new = x
    if _is_array(x, path, given):
        array = np.asarray(x)
        new = leaf(path, array) if array.dtype.kind == "f" else x
    elif isinstance(x, dict):
        for key in list(x):
            x[key] = _replaced(x[key], (*path, key), leaf, seen, given)
    elif isinstance(x, (list, tuple)):
        parts = [_replaced(v, (*path, i), leaf, seen, given) for i, v in enumerate(x)]
        if isinstance(x, list):
            x[:] = parts
        else:
            new = _rebuilt(x, parts)
    elif is_object(x) and not isinstance(x, type) and len(path) < 8:
        seen[id(x)] = x, x
        for name, v in list(vars(x).items()):
            vars(x)[name] = _replaced(v, (*path, f".{name}"), leaf, seen)
    if not isinstance(x, (float, int, str)):
        seen[id(x)] = new, x
    return new


def _is_array(x: Any, path: Path, given: bool) -> bool:
    """Whether a value is an array, or a number or a list of numbers that stands for one."""
    if isinstance(x, (float, np.floating)):
        return given or PARAMETERS.fullmatch(str(path[-1])) is not None
    if given and isinstance(x, (list, tuple)):
        numbers = bool(x) and all(isinstance(v, (int, float, np.number)) for v in x)
        return numbers and (isinstance(x, list) or len(set(map(type, x))) == 1)  # (i, j, rating)
    return isinstance(x, np.ndarray)


def _rebuilt(x: Any, parts: list[Any]) -> Any:
    """A list or tuple of a type with other elements."""
    return type(x)(*parts) if hasattr(x, "_fields") else type(x)(parts)


def names_of(paths: Collection[Path]) -> dict[Path, str]:
    """What the learner calls arrays: by their last names if those differ, else by their paths.

    >>> names_of([("self", ".layers", 0, ".W"), ("self", ".layers", 1, ".W"), ("p", "b")]).values()
    dict_values(['layers[0].W', 'layers[1].W', 'b'])
    """
    short = {path: name_of(path) for path in paths}
    counts = Counter(short.values())
    return {
        path: name if counts[name] == 1 else written(path).removeprefix("self.")
        for path, name in short.items()
    }


def _plain(x: Any) -> Any:
    """An input with arrays in the place of Tensors, in new containers but in the same objects."""
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
    """A copy with arrays in the place of Tensors, also in containers and learners' objects."""
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
        new = _rebuilt(value, [as_arrays(x, memo) for x in value])
    elif is_object(value) and not isinstance(value, type):
        new = copy.copy(value)
        memo[id(value)] = new, value  # the value is held, so that its id is not used again
        for name, x in vars(value).items():
            vars(new)[name] = as_arrays(x, memo)
    memo[id(value)] = new, value
    return new
