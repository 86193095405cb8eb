"""What a wrong line should be: edits of it, tried until the right numbers come out."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.edits import Edit, Environment, edits, parsed, right_side
from tinygrad_lr.check.derivation.experiment import Experiment, Overrides, Replay
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.check.derivation.watch import Change, Follower, Path, Scope, Statement
from tinygrad_lr.messages.origin import bracketed

MAX_EDITS = 2500


class _Trial(Replay):
    """Tries edits of a statement wherever it runs, without changing what the pass does.

    Args:
        expected: what the path should hold after the statement, by how often it has run before.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        overrides: Overrides,
        statement: Statement,
        path: Path,
        value: Any,
        expected: Mapping[int, Any],
        rtol: float,
    ) -> None:
        super().__init__(function, overrides)
        self.statement, self.path, self.value = statement, path, value
        self.expected, self.rtol = expected, rtol
        self.alive: list[Edit] | None = None
        self.factors: dict[int, float] = {}  # by which the edits differ from what is right
        self.near: list[Edit] = []  # those that are right but for a factor
        self.same_shape: set[int] = set()

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if statement != self.statement or n not in self.expected:
            return
        env = Environment(scope, statement)
        if self.alive is None:
            self.alive = edits_of(statement, env, self.path, self.value, self.expected[n])
        self.alive = [e for e in self.alive if self._fits(env.effect(e.node, self.path), e, n)]
        near = (self._scaled(e, env) for e in self.alive if self.factors[id(e)] != 1)
        self.near = [e for e in near if e]

    def _fits(self, value: Any, edit: Edit, n: int) -> bool:
        """Whether an edit gives the right value, but for a factor that it always has."""
        wanted = self.expected[n]
        if not isinstance(value, (np.ndarray, float, int, np.number)):
            return False
        if np.shape(value) == np.shape(wanted):
            self.same_shape.add(id(edit))
        factor = scale(value, wanted, self.rtol)
        return factor is not None and close(factor, self.factors.setdefault(id(edit), factor))

    def _scaled(self, edit: Edit, env: Environment) -> Edit | None:
        """An edit with the factor that it lacks."""
        factor = self.factors[id(edit)]
        whole = right_side(edit.node, env, self.path, None)
        for text in env.factors() if whole is not None else ():
            for sign, x in (("/", factor), ("*", 1 / factor)):
                if close(float(env.value(parsed(text))), x):
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
    found = () if whole is None else edits(statement.node, whole, env, wanted)
    return list(itertools.islice(found, MAX_EDITS))


def scale(value: Any, wanted: Any, rtol: float) -> float | None:
    """By which number a value differs from what is wanted; 1.0 if by none but rounding."""
    if not isinstance(value, (np.ndarray, float, int, np.number)):
        return None
    fitting = as_shape(value, np.shape(wanted))
    if fitting is None:
        return None
    return 1.0 if close(fitting, wanted, rtol) else ratio(fitting, wanted)


def repairs(
    experiment: Experiment,
    overrides: Overrides,
    statement: Statement,
    path: Path,
    value: Any,
    expected: Mapping[int, Any],
    rtol: float,
) -> list[Edit]:
    """The changes to a statement that make its values right, the plainest first."""
    trial: list[_Trial] = []

    def follower(function: Callable[..., Any]) -> Follower:
        trial.append(_Trial(function, overrides, statement, path, value, expected, rtol))
        return trial[0]

    experiment.run(follower)
    return trial[0].survivors()


class Variants(Replay):
    """Edits of several statements, found where each runs first.

    Args:
        changes: what each did then.
        repeated: those that run again; of the others' edits with the same effect there is one.
        is_likely: whether a value may be right.

    Attributes:
        found: the edits, the plainest first, each with whether what it gives may be right.
        disturbed: the statements with other numbers, to see what depends on them.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        overrides: Overrides,
        changes: list[Change],
        repeated: Collection[Statement],
        is_likely: Callable[[Any], bool],
    ) -> None:
        super().__init__(function, overrides)
        self.waiting = {(change.statement, change.n): change for change in changes}
        self.repeated, self.is_likely = repeated, is_likely
        self.found: dict[Statement, list[tuple[Edit, bool]]] = {}
        self.disturbed: dict[Statement, ast.stmt] = {}

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        change, node = self.waiting.pop((statement, n), None), statement.node
        if change is None or node is None:
            return
        env, seen, kept = Environment(scope, statement), {_bytes(change.value)}, []
        for edit in sorted(edits_of(statement, env, change.path, change.value), key=lambda e: e.cost):
            simple = type(edit.node) is type(node) and not isinstance(node, (ast.For, ast.If))
            value = env.effect(edit.node, change.path) if simple else None
            is_array = isinstance(value, (np.ndarray, float, np.number))
            if simple and statement not in self.repeated:
                if not is_array or _bytes(value) in seen:
                    continue
                seen.add(_bytes(value))
            kept.append((edit, is_array and self.is_likely(value)))
        self.found[statement] = kept
        whole = right_side(node, env, change.path, change.value)
        value = None if whole is None else env.value(whole)
        if isinstance(value, (float, np.floating, np.ndarray)) and np.asarray(value).dtype.kind == "f":
            more = parsed(f"1.37 * {bracketed(ast.unparse(whole))} + 0.37")
            self.disturbed[statement] = substituted(node, {id(whole): more})


def _bytes(x: Any) -> Any:
    return np.shape(x), (np.asarray(x, dtype=float) + 0.0).tobytes()
