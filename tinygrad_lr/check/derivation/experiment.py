"""Run a backward pass again and again: as it is, and with some of its values put right."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.claims import STEP, Place, places
from tinygrad_lr.check.derivation.forward import Forward, first_of
from tinygrad_lr.check.derivation.passes import Locals, Passes, World, as_arrays, holds_views, run_plainly
from tinygrad_lr.check.derivation.rewrite import Edits, Rewriter
from tinygrad_lr.check.derivation.watch import (
    Follower,
    Path,
    Run,
    Scope,
    Statement,
    Watcher,
    leaves,
)

FOLLOWED, ONE_RUN = 8, 200  # what a statement that is followed takes, and a run of none
LIMIT = 600_000

Overrides = Mapping[tuple[Statement, int], list[tuple[Path, Any]]]


class Outcome(NamedTuple):
    """What one run of a backward pass did, and what it left behind."""

    run: Run
    places: dict[Place, Any]


class Experiment:
    """A backward pass, which every run does again after a forward pass of its own.

    Args:
        passes: the passes.
        upstream: the gradient of the output, if there is one and its parameter.

    Raises:
        TypeError: if it has a parameter that nothing is known for.
        ValueError: if forward returns an array, and no parameter takes its gradient.
    """

    def __init__(self, passes: Passes, fore: Forward) -> None:
        self.passes, self.fore = passes, fore
        self.upstream: Any = None
        self.for_tensors: bool | None = None  # whether forward does not run on arrays
        self.sources: dict[str, Any] = {}
        world, known, result = self._forward()
        self._bind(world, known, result)
        arguments = self._arguments(world, known, result)
        roots, inputs = self._roots(world, arguments), self._roots(world, world["inputs"])
        places = {id(x): path for name, root in inputs.items() for path, _, x in leaves(root, (name,), None)}
        found = [(path, x) for name, x in roots.items() for path, _, x in leaves(x, (name,), None)]
        self.before = {path: np.array(x) for path, x in found}
        self.same = {path: places.get(id(x), path) for path, x in found}
        self.taps: dict[tuple[Statement, Path], list[Any]] = {}
        self.only: set[Path] | None = None  # where the gradients are, once that is known
        self.spent = 0  # how much has been run, in statements that are run without being followed
        self.length = 100  # statements of a run
        self.rewriter = Rewriter()
        self.corrections: dict[Statement, ast.stmt] = {}  # statements that are others in every run

    def _forward(self) -> tuple[World, dict[str, Any], Any]:
        """The world after a forward pass, its variables, and what it returned."""
        world = self.passes.copy()
        if self.passes.one_function:
            return world, {}, None
        result, known, error = run_plainly(self.passes, world)
        if self.for_tensors is None:
            self.for_tensors = error is not None or holds_views(world)
        if self.for_tensors:
            run = self.fore.run
            known, result, world = as_arrays((run.locals, run.result, self.fore.world), {})
            world = copy.deepcopy(world)
        return world, known, result

    def _bind(self, world: World, known: World, result: Any) -> None:
        """Find where the arguments of the backward pass come from."""
        if self.passes.one_function:
            return
        output, rest = first_of(result), _rest(result)
        known, own = {**known, **world["inputs"]}, world["inputs"]
        parameters = inspect.signature(self.passes.bound(1, world)).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.names = [p.name for p in named if p.name in known]
        missing = [p.name for p in named if p.name not in known and p.default is p.empty]
        likely, shape = [name for name in missing if _is_upstream(name)], np.shape(output)
        if np.size(output) != 1:
            of_forward = self.passes.arguments(world)
            given = [n for n in own if n not in of_forward and np.shape(own[n]) == shape]
            if not (given or likely):
                raise ValueError(
                    f"{self.passes.name(0)} returned a loss of shape {shape}: the gradient of one "
                    f"number is needed, its np.sum or np.mean over the samples"
                )
            self.upstream = own[given[0]] if given else np.random.default_rng(0).normal(size=shape)
        else:
            given = [] if likely and len(missing) > bool(rest) else likely
        if likely and not given:
            self.sources[likely[0]] = 1.0 if self.upstream is None else self.upstream
            missing.remove(likely[0])
        self.cache = missing.pop() if len(missing) == 1 and rest else None
        if missing:
            raise TypeError(
                f"{self.passes.name(1)} takes {', '.join(missing)}, which is neither an input nor a "
                f"variable of forward; there are {', '.join(known)}"
            )

    def _arguments(self, world: World, known: World, result: Any) -> World:
        """The arguments of the backward pass."""
        if self.passes.one_function:
            return self.passes.arguments(world)
        known = {**known, **world["inputs"]}
        arguments = {name: known[name] for name in self.names}
        if self.cache:
            rest = _rest(result)
            arguments[self.cache] = rest[0] if len(rest) == 1 else rest
        return arguments | copy.deepcopy(self.sources)

    def run(self, follower: Callable[[Callable[..., Any]], Follower]) -> Outcome:
        """One run, followed by what `follower` makes for the function."""
        world, known, result = self._forward()
        self.arguments = self._arguments(world, known, result)
        function = self.passes.bound(1, world)
        watcher, rewritten = follower(function), self.rewriter.rewritten(self.corrections)
        with np.errstate(all="ignore"), self.passes.inside(world), rewritten:
            result, error = watcher.follow(lambda: function(**self.arguments))
        changes, plain = getattr(watcher, "changes", []), isinstance(watcher, Locals)
        self.spent += (1 if plain else FOLLOWED) * self.length + ONE_RUN
        end = self.end if plain else watcher.end
        returns = getattr(watcher, "returns", ())
        heads = getattr(watcher, "heads", ())
        done = Run(result, error, end, changes, watcher.locals, returns, heads)
        roots, skip = self._roots(world, self.arguments), int(self.passes.one_function)
        found = places(done, self.before, self.same, roots, skip, self.only)
        for (_, path), values in getattr(watcher, "taps", {}).items():
            found |= {Place(STEP, (*path, i)): x for i, x in enumerate(values)}
        return Outcome(done, found)

    def _roots(self, world: World, arguments: World) -> World:
        """What a run may have changed, by the names for it."""
        forward, backward = world["owners"]
        roots = {"self": forward if forward is not None else backward}
        roots |= {"self of backward": backward} if backward is not roots["self"] else {}
        return {**world["state"], **roots, **arguments}

    def watched(self) -> Outcome:
        """What every statement does."""
        outcome = self.run(Watcher)
        self.end, self.length = outcome.run.end, len(outcome.run.changes)
        return outcome

    @property
    def exhausted(self) -> bool:
        """Whether enough has been tried: a second's work or so."""
        return self.spent > LIMIT

    def rewritten(self, edits: Edits) -> Outcome | None:
        """What comes out if some statements were others; None if they cannot be."""
        before = self.corrections
        try:
            self.corrections = {**before, **edits}
            return self.run(Locals)
        except (SyntaxError, ValueError):
            return None
        finally:
            self.corrections = before

    def look_at(self, claimed: Iterable[Place]) -> None:
        """From now on, look only at what is claimed."""
        paths = {place.path for place in claimed}
        self.only = paths | {path for path, same in self.same.items() if same in paths}

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
            if tapped == statement:
                values.append(np.array(get(scope, path)))


def get(scope: Scope, path: Path) -> Any:
    """The value of a variable, an element or an attribute."""
    root, *keys = path
    value = scope.locals.get(root, scope.globals.get(root))
    for key in keys:
        value = getattr(value, key[1:]) if _is_attribute(key) else value[key]
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


def _rest(result: Any) -> tuple[Any, ...]:
    """What forward returned beside the loss."""
    return tuple(result[1:]) if isinstance(result, (tuple, list)) else ()


def _is_upstream(name: str) -> bool:
    """Whether a parameter is named as the gradient of an output is."""
    return name.startswith(("d", "grad", "g_", "delta", "upstream", "error", "output_grad", "top"))
