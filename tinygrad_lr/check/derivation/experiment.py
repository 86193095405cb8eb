"""Run a backward pass again and again: as it is, and with some of its values put right."""

from __future__ import annotations

import ast
import contextlib
import copy
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinygrad_lr.check.derivation.claims import STEP, Place, places
from tinygrad_lr.check.derivation.forward import Forward, first_of
from tinygrad_lr.check.derivation.passes import (
    Locals,
    Passes,
    World,
    as_arrays,
    holds_views,
    run_plainly,
)
from tinygrad_lr.check.derivation.rewrite import Edits, Rewriter
from tinygrad_lr.check.derivation.watch import (
    Follower,
    Path,
    Run,
    Scope,
    Statement,
    Watcher,
    element,
    is_attribute,
    leaves,
)

F = TypeVar("F", bound=Follower)

PLAIN, FOLLOWED, ONE_RUN = 2, 6, 2500  # microseconds of a statement, one that is followed, a run
LIMIT = 3_000_000  # microseconds

Overrides = Mapping[tuple[Statement, int], list[tuple[Path, Any]]]  # by statement and n


def merged(first: Overrides, second: Overrides) -> Overrides:
    """The overrides of both."""
    return {key: [*first.get(key, ()), *second.get(key, ())] for key in {*first, *second}}


class Outcome(NamedTuple):
    """What one run of a backward pass did, and what it left behind."""

    run: Run
    places: dict[Place, Any]


class Experiment:
    """A backward pass, which every run does again after a forward pass of its own.

    Args:
        passes: the passes.
        fore: what forward does on Tensors.

    Attributes:
        upstream: the gradient of an array that forward returns; None if it returns a number.
        arguments: those of the last run.
        before: the arrays and numbers that a run may change, as they are before it.
        same: where each of them stands among forward's inputs, if it does.
        taps: the variables whose values are kept at every step, by statement.
        corrections: statements that are others in every run.

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
        inputs = {id(x): path for path, x in _held(self._roots(world, world["inputs"]))}
        values = list(_held(self._roots(world, arguments)))
        self.before = {path: np.array(x) for path, x in values}
        self.same = {path: inputs.get(id(x), path) for path, x in values}
        self.taps: dict[tuple[Statement, Path], list[Any]] = {}
        self.only: set[Path] | None = None  # where the gradients are, once that is known
        self.spent = 0  # estimated work so far, in microseconds
        self.length = 100  # statements of a run
        self.rewriter = Rewriter()
        self.corrections: dict[Statement, ast.stmt] = {}

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
        known = {**known, **world["inputs"]}
        parameters = inspect.signature(self.passes.bound(1, world)).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.names = [p.name for p in named if p.name in known]
        missing = [p.name for p in named if p.name not in known and p.default is p.empty]
        likely = next(filter(_is_upstream, missing), None)
        if np.size(output) == 1:
            taken = len(missing) > bool(rest)  # else what is missing is what forward returned
        else:
            taken = self._weigh(world, np.shape(output), likely)
        if likely and taken:
            self.sources[likely] = 1.0 if self.upstream is None else self.upstream
            missing.remove(likely)
        self.cache = missing.pop() if len(missing) == 1 and rest else None
        if missing:
            raise TypeError(
                f"{self.passes.name(1)} takes {', '.join(missing)}, which is neither an input nor "
                f"a variable of forward; there are {', '.join(known)}"
            )

    def _weigh(self, world: World, shape: tuple[int, ...], likely: str | None) -> bool:
        """Choose the gradient of what forward returns; whether no input is it."""
        of_forward = self.passes.arguments(world)
        fitting = (
            x for n, x in world["inputs"].items() if n not in of_forward and np.shape(x) == shape
        )
        self.upstream = next(fitting, None)
        if self.upstream is not None:
            return False
        if not likely:
            raise ValueError(
                f"{self.passes.name(0)} returned a loss of shape {shape}: the gradient of one "
                f"number is needed, its np.sum or np.mean over the samples"
            )
        self.upstream = np.random.default_rng(0).normal(size=shape)
        return True

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

    def run(self, make: Callable[[Callable[..., Any]], F]) -> tuple[F, Outcome]:
        """One run, followed by what is made for the function."""
        made = self.rewriter.in_closures(self.corrections)  # of functions that forward makes
        with self.rewriter.rewritten(self.corrections if made else {}):
            world, known, result = self._forward()
        self.arguments = self._arguments(world, known, result)
        function = self.passes.bound(1, world)
        follower, rewritten = make(function), self.rewriter.rewritten(self.corrections)
        with np.errstate(all="ignore"), self.passes.inside(world), rewritten:
            run = follower.run(*follower.follow(lambda: function(**self.arguments)))
        if isinstance(follower, Locals):
            run = run._replace(end=self.end)
        self.spent += FOLLOWED * follower.runs.total() + PLAIN * self.length + ONE_RUN
        roots, skip = self._roots(world, self.arguments), int(self.passes.one_function)
        values = places(run, self.before, self.same, roots, skip, self.only)
        for (_, path), steps in follower.taps.items() if isinstance(follower, Replay) else ():
            values |= {Place(STEP, (*path, i)): x for i, x in enumerate(steps)}
        return follower, Outcome(run, values)

    def _roots(self, world: World, arguments: World) -> World:
        """What a run may have changed, by the names for it."""
        forward, backward = world["owners"]
        roots = {"self": forward if forward is not None else backward}
        roots |= {"self of backward": backward} if backward is not roots["self"] else {}
        return {**world["state"], **roots, **arguments}

    def watched(self) -> Outcome:
        """What every statement does."""
        _, outcome = self.run(Watcher)
        self.end = outcome.run.end
        self.length = len(outcome.run.changes) + len(self.fore.run.changes)
        return outcome

    @property
    def exhausted(self) -> bool:
        """Whether enough has been tried."""
        return self.spent > LIMIT

    def rewritten(self, edits: Edits, overrides: Overrides | None = None) -> Outcome | None:
        """What comes out if some statements were others; None if they cannot be."""
        before = self.corrections
        try:
            self.corrections = {**before, **edits}
            followed = overrides or self.taps
            return self.replayed(overrides or {}) if followed else self.run(Locals)[1]
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
        return self.run(lambda function: Replay(function, overrides, self.taps))[1]


class Replay(Follower):
    """Puts values in the place of what statements computed.

    Attributes:
        functions: the file and the name of every function whose calls are followed.
        taps: the values that some statements gave to some paths, one after the other.
    """

    def __init__(
        self, function: Callable[..., Any], overrides: Overrides, taps: Iterable[Any] = ()
    ) -> None:
        super().__init__(function)
        self.overrides = overrides
        self.taps: dict[tuple[Statement, Path], list[Any]] = {tap: [] for tap in taps}
        self.functions = {(s.file, s.function) for s, _ in (*overrides, *taps)}

    def follows(self, code: CodeType) -> bool:
        return (code.co_filename, code.co_name) in self.functions

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        for path, value in self.overrides.get((statement, n), ()):
            with contextlib.suppress(LookupError, AttributeError, TypeError, ValueError):
                put(scope, path, value, isinstance(statement.node, ast.AugAssign))
        for (tapped, path), values in self.taps.items():
            if tapped == statement:
                values.append(np.array(get(scope, path)))


def get(scope: Scope, path: Path) -> Any:
    """The value of a variable, an element or an attribute."""
    root = scope.locals.get(path[0], scope.globals.get(path[0]))
    return functools.reduce(element, path[1:], root)


def put(scope: Scope, path: Path, value: Any, in_place: bool = False) -> None:
    """Set a variable, an element or an attribute to a copy of a value."""
    value, last = np.array(value)[()], path[-1]
    if len(path) == 1:
        current = scope.locals.get(last)
        if in_place and isinstance(current, np.ndarray) and current.shape == np.shape(value):
            current[...] = value
        else:
            scope.locals[last] = value
        return
    owner = get(scope, path[:-1])
    if is_attribute(last):
        setattr(owner, last[1:], value)
    elif not isinstance(owner, tuple):
        owner[last] = value


def _held(roots: World) -> Iterator[tuple[Path, Any]]:
    """(path, value) of all arrays and numbers in some variables."""
    for name, root in roots.items():
        yield from ((path, x) for path, _, x in leaves(root, (name,), None))


def _rest(result: Any) -> tuple[Any, ...]:
    """What forward returned beside the loss."""
    return tuple(result[1:]) if isinstance(result, (tuple, list)) else ()


def _is_upstream(name: str) -> bool:
    """Whether a parameter is named as the gradient of an output is."""
    return name.startswith(("d", "grad", "g_", "delta", "upstream", "error", "output_grad", "top"))
