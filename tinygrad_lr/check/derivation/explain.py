"""Why a line is wrong, and the line that would be right."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.blame import Blame, Culprit
from tinygrad_lr.check.derivation.diagnosis import diagnose
from tinygrad_lr.check.derivation.experiment import Overrides, Replay, put
from tinygrad_lr.check.derivation.repair import Edit, Environment, edits, repairs, right_side
from tinygrad_lr.check.derivation.watch import Change, Path, Scope, Statement
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.tensor import Tensor

MAX_EFFECTS = 80  # changed values of a statement before the wrong one, each tried in a run


class Explanation(NamedTuple):
    """The statement that is wrong, why, and what would be right."""

    statement: Statement
    words: str
    correction: str = ""


class Explainer:
    """Explains the culprits of a backward pass."""

    def __init__(self, blame: Blame) -> None:
        self.blame, self.experiment = blame, blame.experiment
        self.comparison = blame.comparison
        self.rtol = self.comparison.rtol

    def explain(self, culprit: Culprit, overrides: Overrides) -> Explanation:
        """Why a culprit is wrong, with what was wrong before it put right."""
        if np.ndim(culprit.value) == 0 and isinstance(culprit.expected, int):
            return self._number(culprit)
        sizes = self._sizes(culprit.statement)
        words = diagnose(
            culprit.value,
            culprit.expected,
            sizes,
            self._arriving(culprit),
            self._others(culprit),
            self.rtol,
        )
        both = {key: [*overrides.get(key, ()), *culprit.overrides.get(key, ())]
                for key in {*overrides, *culprit.overrides}}  # fmt: skip
        expected = {
            n: value
            for (statement, n), values in culprit.overrides.items()
            for path, value in values
            if statement is culprit.statement
        } or {culprit.n: culprit.expected}
        path, value = culprit.path, culprit.value
        fixes = repairs(
            self.experiment,
            both,
            culprit.statement,
            path,
            value,
            expected,
            self.rtol,
        )
        if fixes:
            return Explanation(culprit.statement, _joined(words, fixes[0]), fixes[0].line)
        if words in ("unknown",) or "times what it should be" in words:
            before = self._before(culprit, overrides)
            if before:
                return before
        return Explanation(culprit.statement, words)

    def _number(self, culprit: Culprit) -> Explanation:
        name = self.blame.sizes[culprit.expected]
        words = (
            f"{culprit.name} is {culprit.value:g}, where {culprit.expected}, {name}, belongs: because of "
            f"it every gradient is {culprit.factor:.6g} times what it should be"
        )
        return Explanation(culprit.statement, words)

    def _sizes(self, statement: Statement) -> dict[int, str]:
        """Names for the numbers that a gradient may be divided by: of lengths those in the line."""
        sizes = self.blame.sizes
        first = dict(list(sizes.items())[:1])
        used = {
            float(c.value)
            for c in self.blame.changes
            if c.name in statement.names and np.ndim(c.value) == 0
        }
        calls = ("len(", ".shape", ".size") if statement.text else ()
        spelled = any(call in statement.text for call in calls)
        return first | {n: name for n, name in sizes.items() if n in used or spelled}

    def _arriving(self, culprit: Culprit) -> Iterable[tuple[str, Any]]:
        """The gradients of what was computed from a value, under its name."""
        names = self.blame.names.get(culprit.of, [])
        for y, g in self.blame.truth.items():
            if any(x is z for x in y.inputs for z in names):
                yield self.blame.title(y) or y_text(y), np.asarray(g) * culprit.factor

    def _others(self, culprit: Culprit) -> Iterable[tuple[str, Any]]:
        for name, versions in self.blame.names.items():
            x = versions[-1]
            if x in self.blame.truth and name != culprit.of and "[" not in name:
                yield name, np.asarray(self.blame.truth[x]) * culprit.factor

    def _before(self, culprit: Culprit, overrides: Overrides) -> Explanation | None:
        """A statement before the wrong one, of which one change puts everything right."""
        place = {id(c): i for i, c in enumerate(self.blame.changes)}
        own = [
            c for c in self.blame.changes if c.statement is culprit.statement and c.n == culprit.n
        ]
        at = place[id(own[-1])] if own else len(place)
        names = set(culprit.statement.names)
        tried: set[Statement] = {culprit.statement}
        for change in reversed(self.blame.changes[:at]):
            statement = change.statement
            if change.path[0] not in names or statement in tried or statement.node is None:
                continue
            tried.add(statement)
            if np.size(change.value) == 0 or self.blame.is_gradient(change.value) is not None:
                continue
            fix = self._fix(change, culprit, overrides)
            if fix:
                return Explanation(statement, fix.words, fix.line)
            names |= statement.names
        return None

    def _fix(self, change: Change, culprit: Culprit, overrides: Overrides) -> Edit | None:
        """The plainest change to a statement after which a culprit's gradients are right."""
        trial: list[_Effects] = []

        def follower(function: Callable[..., Any]) -> Replay:
            trial.append(_Effects(function, overrides, change))
            return trial[0]

        self.experiment.run(follower)
        for edit, _ in trial[0].effects[:MAX_EFFECTS]:
            edited = {change.statement: (edit.node, change.path)}
            outcome = self.experiment.run(
                lambda f, edited=edited: EditedReplay(f, overrides, edited)
            )
            if self.comparison.right(outcome) >= culprit.inputs:
                return edit
        return None


def y_text(y: Tensor) -> str:
    """The expression that computed a value."""
    return locate(y.origin).text if y.origin else "a value"


def _joined(words: str, fix: Edit) -> str:
    """What the numbers say, and what was changed."""
    if words == "unknown" or words.startswith(("this is the gradient", "it is ")):
        return fix.words
    if ":" in words or words in ("the sign is flipped", "transposed", "zero"):
        return words
    return f"{words}: {fix.words}" if words.endswith(("large", "should be")) else words


class EditedReplay(Replay):
    """Runs statements as they were edited."""

    def __init__(
        self,
        function: Callable[..., Any],
        overrides: Overrides,
        edited: Mapping[Statement, tuple[ast.stmt, Path]],
    ) -> None:
        super().__init__(function, overrides)
        self.edited = edited
        self._effects: dict[tuple[Statement, int, int], Any] = {}

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if statement in self.edited:
            node, path = self.edited[statement]
            self._effects[statement, n, scope.number] = Environment(scope).effect(node, path)

    def finish(self, scope: Scope, statement: Statement, n: int) -> None:
        value = self._effects.pop((statement, n, scope.number), None)
        if value is not None:
            put(scope, self.edited[statement][1], value, isinstance(statement.node, ast.AugAssign))
        super().finish(scope, statement, n)


class _Effects(Replay):
    """What the edits of a statement make of its value, each once, the plainest first."""

    def __init__(self, function: Any, overrides: Overrides, change: Change) -> None:
        super().__init__(function, overrides)
        self.change = change
        self.effects: list[tuple[Edit, Any]] = []

    def start(self, scope: Scope, statement: Statement, n: int) -> None:
        if statement is not self.change.statement or n != self.change.n:
            return
        env, seen = Environment(scope), {_bytes(self.change.value)}
        whole = right_side(statement.node, env, self.change.path, self.change.value)
        found = (
            [] if whole is None else sorted(edits(statement.node, whole, env), key=lambda e: e.cost)
        )
        for edit in found:
            value = env.effect(edit.node, self.change.path)
            if not isinstance(value, (np.ndarray, float, np.floating)) or _bytes(value) in seen:
                continue
            seen.add(_bytes(value))
            self.effects.append((edit, value))


def _bytes(x: Any) -> Any:
    return np.shape(x), np.asarray(x, dtype=float).tobytes()
