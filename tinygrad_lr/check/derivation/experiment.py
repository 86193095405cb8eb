"""Run a backward pass again and again: as it is, and with some of its values put right."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.claims import STEP, Place, places
from tinygrad_lr.check.derivation.watch import (
    Follower,
    Path,
    Run,
    Scope,
    Statement,
    Watcher,
    leaves,
)

Overrides = Mapping[tuple[Statement, int], list[tuple[Path, Any]]]


class Outcome(NamedTuple):
    """What one run of a backward pass did, and what it left behind."""

    run: Run
    places: dict[Place, Any]


class Experiment:
    """A backward pass with its arguments, of which every run gets copies.

    Args:
        backward: the function, or the method of `owner`.
        arguments: by name.
        owner: the object whose method it is, or None.
        skip: how many values a function returns before its gradients, as a loss.
    """

    def __init__(
        self, backward: Callable[..., Any], arguments: Mapping[str, Any], owner: Any, skip: int = 0
    ) -> None:
        self.backward, self.owner, self.skip = backward, owner, skip
        self.arguments = dict(arguments)
        self.random = np.random.get_state()
        roots = {**self.arguments, "self": owner}
        self.before = {
            path: np.array(x)
            for name, root in roots.items()
            for path, _, x in leaves(root, (name,), None)
        }
        self.taps: dict[tuple[Statement, Path], list[Any]] = {}
        self.runs = 0

    def run(self, follower: Callable[[Callable[..., Any]], Follower]) -> Outcome:
        """One run, followed by what `follower` makes for the function."""
        self.runs += 1
        arguments, owner = copy.deepcopy((self.arguments, self.owner))
        function = self.backward
        if owner is not None:
            function = getattr(owner, self.backward.__name__)
        np.random.set_state(self.random)
        watcher = follower(function)
        with np.errstate(all="ignore"):
            result, error = watcher.follow(lambda: function(**arguments))
        if self.skip and isinstance(result, (tuple, list)):
            result = result[self.skip] if len(result) == self.skip + 1 else result[self.skip :]
        changes = getattr(watcher, "changes", [])
        done = Run(result, error, watcher.end, changes, watcher.locals)
        found = places(done, self.before, {**arguments, "self": owner})
        for (_, path), values in getattr(watcher, "taps", {}).items():
            found |= {Place(STEP, (*path, i)): x for i, x in enumerate(values)}
        return Outcome(done, found)

    def watched(self) -> Outcome:
        """What every statement does."""
        return self.run(Watcher)

    def replayed(self, overrides: Overrides) -> Outcome:
        """What comes out if some statements give other values."""
        return self.run(lambda function: Replay(function, overrides, self.taps))


class Replay(Follower):
    """Puts values in the place of what statements computed.

    Attributes:
        taps: the values that some statements gave to some paths, one after the other.
    """

    def __init__(
        self, function: Callable[..., Any], overrides: Overrides, taps: Iterable[Any] = ()
    ) -> None:
        super().__init__(function)
        self.overrides = overrides
        self.taps: dict[tuple[Statement, Path], list[Any]] = {tap: [] for tap in taps}

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        for path, value in self.overrides.get((statement, n), ()):
            put(scope, path, value, isinstance(statement.node, ast.AugAssign))
        for (tapped, path), values in self.taps.items():
            if tapped is statement:
                values.append(np.array(get(scope, path)))


def get(scope: Scope, path: Path) -> Any:
    """The value of a variable, an element or an attribute."""
    root, *keys = path
    value = scope.locals.get(root, scope.globals.get(root))
    for key in keys:
        value = vars(value)[key[1:]] if _is_attribute(key) else value[key]
    return value


def put(scope: Scope, path: Path, value: Any, in_place: bool = False) -> None:
    """Set a variable, an element or an attribute to a copy of a value."""
    value = np.array(value)[()]
    root, *keys = path
    if not keys:
        current = scope.locals.get(root)
        if in_place and isinstance(current, np.ndarray) and current.shape == np.shape(value):
            current[...] = value
        else:
            scope.locals[root] = value
        return
    last, owner = keys[-1], get(scope, path[:-1])
    if _is_attribute(last):
        setattr(owner, last[1:], value)
    elif not isinstance(owner, tuple):
        owner[last] = value


def _is_attribute(key: Any) -> bool:
    return isinstance(key, str) and key.startswith(".")
