"""The global variables and those of closures that the passes read, as far as they hold state."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.watch import is_object

RANDOM = (np.random.Generator, np.random.RandomState)


class State:
    """The outer variables of functions that may hold parameters.

    Attributes:
        values: what they hold at first.
        numbers: the outer variables that are numbers.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        self._cells = dict(pair for f in functions for pair in _cells(f))
        self._spaces = dict(pair for f in functions for pair in _globals(f))
        outer = {name: self._get(name) for name in {**self._spaces, **self._cells}}
        self.values = {name: x for name, x in outer.items() if _is_state(x)}
        self.numbers = {name: x for name, x in outer.items() if isinstance(x, (int, float))}

    def _get(self, name: str) -> Any:
        cell = self._cells.get(name)
        return cell.cell_contents if cell else self._spaces[name][name]

    def read(self) -> dict[str, Any]:
        """What the variables hold now."""
        return {name: self._get(name) for name in self.values}

    def write(self, values: Mapping[str, Any]) -> None:
        """Let the variables hold other values."""
        for name, x in values.items():
            if name in self._cells:
                self._cells[name].cell_contents = x
            else:
                self._spaces[name][name] = x


def owner_of(function: Any) -> Any:
    """The object of the learner's that a function belongs to, or is; None if there is none."""
    owner = getattr(function, "__self__", None if inspect.isroutine(function) else function)
    return owner if is_object(owner) and not isinstance(owner, type) else None


def _cells(function: Any) -> Iterator[tuple[str, Any]]:
    """The variables of a closure."""
    inner = getattr(function, "__func__", function)
    names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
    yield from zip(names, getattr(inner, "__closure__", None) or (), strict=False)


def _globals(function: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The global variables that a function and all that it calls read, with their namespaces."""
    inner, owner = getattr(function, "__func__", function), owner_of(function)
    waiting: list[Any] = [inner if isinstance(inner, FunctionType) else type(inner)]
    waiting += [type(owner)] * (owner is not None)
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, type):
            waiting += [x for x in vars(part).values() if isinstance(x, (FunctionType, type))]
            waiting += [base for base in part.__bases__ if is_object(base)]
            continue
        for name in _names(part.__code__):
            if name in part.__globals__:
                yield name, part.__globals__
                x = part.__globals__[name]
                if isinstance(x, FunctionType) or is_object(x):
                    waiting.append(x if isinstance(x, (FunctionType, type)) else type(x))


def _names(code: CodeType) -> Iterator[str]:
    """The global names in a function and in those inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _is_state(x: Any, depth: int = 0) -> bool:
    """Whether a value may hold parameters: arrays, objects, random generators, or lists of such."""
    if isinstance(x, np.ndarray):
        return bool(x.dtype.kind == "f")
    if isinstance(x, (list, tuple, Mapping)):
        inner = list(x.values()) if isinstance(x, Mapping) else x
        return depth < 5 and any(_is_state(v, depth + 1) for v in inner)
    return isinstance(x, RANDOM) or (is_object(x) and not isinstance(x, type))
