"""What a wrong line should be: edits of it, tried until the right numbers come out."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.edits import Edit, edits
from tinygrad_lr.check.derivation.environment import Environment, parsed, right_side
from tinygrad_lr.check.derivation.experiment import Experiment, Overrides, Replay
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.check.derivation.watch import Change, Path, Scope, Statement
from tinygrad_lr.messages.origin import bracketed

MAX_EDITS = 2500


class Goal(NamedTuple):
    """What a statement should do.

    Attributes:
        value: what it computes now.
        expected: where it puts its value and what that should be, by how often it has run before.
    """

    statement: Statement
    value: Any
    expected: dict[int, tuple[Path, Any]]


class _Trial(Replay):
    """Tries edits of a statement wherever it runs, without changing what the pass does."""

    def __init__(
        self, function: Callable[..., Any], overrides: Overrides, goal: Goal, rtol: float
    ) -> None:
        super().__init__(function, overrides)
        self.goal, self.rtol = goal, rtol
        self.functions.add((goal.statement.file, goal.statement.function))
        self.alive: list[Edit] | None = None
        self.factors: dict[int, float] = {}  # by which the edits differ from what is right
        self.near: list[Edit] = []  # those that are right but for a factor
        self.same_shape: set[int] = set()

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if statement != self.goal.statement or n not in self.goal.expected:
            return
        env, (path, wanted) = Environment(scope, statement), self.goal.expected[n]
        if self.alive is None:
            self.alive = edits_of(statement, env, path, self.goal.value, wanted)
        self.alive = [e for e in self.alive if self._fits(env.effect(e.node, path), e, wanted)]
        whole = not isinstance(statement.node, ast.AugAssign)  # not only what is added
        off = (e for e in self.alive if whole and self.factors[id(e)] != 1)
        near = (self._scaled(e, env, path) for e in off)
        self.near = [e for e in near if e]

    def _fits(self, value: Any, edit: Edit, wanted: Any) -> bool:
        """Whether an edit gives the right value, but for a factor that it always has."""
        if not isinstance(value, (np.ndarray, float, int, np.number)):
            return False
        if np.shape(value) == np.shape(wanted):
            self.same_shape.add(id(edit))
        fitting = as_shape(value, np.shape(wanted))
        if fitting is None:
            return False
        factor = 1.0 if close(fitting, wanted, self.rtol) else ratio(fitting, wanted)
        return factor is not None and close(factor, self.factors.setdefault(id(edit), factor))

    def _scaled(self, edit: Edit, env: Environment, path: Path) -> Edit | None:
        """An edit with the factor that it lacks."""
        factor = self.factors[id(edit)]
        whole = right_side(edit.node, env, path, None)
        if whole is None:
            return None
        for text in env.divisors:
            number = env.value(parsed(text))
            for sign, x in (("/", factor), ("*", 1 / factor)):
                if number is not None and close(float(number), x):
                    node = parsed(f"{bracketed(ast.unparse(whole))} {sign} {text}")
                    words = f"{edit.words}, and the rest is {factor:.6g} times what it should be"
                    return Edit(edit.cost + 5, words, substituted(edit.node, {id(whole): node}))
        return None

    def survivors(self) -> list[Edit]:
        """The edits that give the right values, the plainest first."""
        alive = [e for e in self.alive or () if self.factors[id(e)] == 1] + self.near
        return sorted(alive, key=lambda e: (e.cost, id(e) not in self.same_shape))


def edits_of(
    statement: Statement, env: Environment, path: Path, value: Any, wanted: Any = None
) -> list[Edit]:
    """The edits of a statement, at most so many; fewer kinds if it is not known what is wanted."""
    whole = right_side(statement.node, env, path, value) if statement.node else None
    every = () if whole is None else edits(statement.node, whole, env, wanted)
    return list(itertools.islice(every, MAX_EDITS))


def repairs(experiment: Experiment, overrides: Overrides, goal: Goal, rtol: float) -> list[Edit]:
    """The changes to a statement that make its values right, the plainest first."""
    trial, _ = experiment.run(lambda function: _Trial(function, overrides, goal, rtol))
    return trial.survivors()


class _Visit(Replay):
    """Looks at several statements where each runs first; subclasses say what they do there.

    Args:
        changes: what each did then.
    """

    def __init__(
        self, function: Callable[..., Any], overrides: Overrides, changes: Iterable[Change]
    ) -> None:
        super().__init__(function, overrides)
        self.waiting = {(change.statement, change.n): change for change in changes}
        self.functions |= {(s.file, s.function) for s, _ in self.waiting}

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        change = self.waiting.pop((statement, n), None)
        if change is not None and statement.node is not None:
            self.visit(change, Environment(scope, statement))

    def visit(self, change: Change, env: Environment) -> None:
        """A statement is about to do what it did when it was watched."""


class Disturbance(_Visit):
    """Finds how to disturb statements, to see what depends on them.

    Attributes:
        found: the statements with other numbers.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.found: dict[Statement, ast.stmt] = {}

    def visit(self, change: Change, env: Environment) -> None:
        node = change.statement.node
        whole = right_side(node, env, change.path, change.value)
        if whole is not None and _is_float(env.value(whole)):
            more = parsed(f"1.37 * {bracketed(ast.unparse(whole))} + 0.37")
            self.found[change.statement] = substituted(node, {id(whole): more})


class Variants(_Visit):
    """Edits of several statements.

    Args:
        repeated: those that run again; of the others' edits with the same effect there is one.
        is_likely: whether a value may be right.
        bound: what every edit costs less than.

    Attributes:
        found: the edits, the plainest first, each with whether what it gives may be right.
    """

    def __init__(
        self,
        *args: Any,
        repeated: Collection[Statement],
        is_likely: Callable[[Any], bool],
        bound: float,
    ) -> None:
        super().__init__(*args)
        self.repeated, self.is_likely, self.bound = repeated, is_likely, bound
        self.found: dict[Statement, list[tuple[Edit, bool]]] = {}

    def visit(self, change: Change, env: Environment) -> None:
        statement, path = change.statement, change.path
        node, seen, variants = statement.node, {_bytes(change.value)}, []
        computes = change.value.size > 0 and not isinstance(node, (ast.For, ast.If))
        every = edits_of(statement, env, path, change.value)
        plain = (edit for edit in every if edit.cost < self.bound)
        for edit in sorted(plain, key=lambda e: e.cost):
            simple = computes and type(edit.node) is type(node)
            value = env.effect(edit.node, path) if simple else None
            is_array = isinstance(value, (np.ndarray, float, np.number))
            if simple and statement not in self.repeated:
                if not is_array or _bytes(value) in seen:
                    continue
                seen.add(_bytes(value))
            variants.append((edit, is_array and self.is_likely(value)))
        self.found[statement] = variants


def _is_float(x: Any) -> bool:
    return isinstance(x, (float, np.floating, np.ndarray)) and np.asarray(x).dtype.kind == "f"


def _bytes(x: Any) -> Any:
    return np.shape(x), (np.asarray(x, dtype=float) + 0.0).tobytes()
