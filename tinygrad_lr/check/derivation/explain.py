"""Why a line is wrong, and the line that would be right."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.blame import Blame, Culprit, Key
from tinygrad_lr.check.derivation.compare import same
from tinygrad_lr.check.derivation.diagnosis import diagnose
from tinygrad_lr.check.derivation.edits import Edit
from tinygrad_lr.check.derivation.experiment import Overrides
from tinygrad_lr.check.derivation.repair import Variants, repairs
from tinygrad_lr.check.derivation.watch import Change, Path, Statement
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.tensor import Tensor

CHEAP = 0.5  # the cost of an edit that needs no comparison with others
MAX_CULPRITS = 6


class Explanation(NamedTuple):
    """The statement that is wrong, why, and what would be right."""

    statement: Statement
    words: str
    edit: Edit | None = None

    @property
    def correction(self) -> str:
        """The line as it would be right, or empty."""
        return self.edit.line if self.edit else ""


class Explainer:
    """Explains the culprits of a backward pass."""

    def __init__(self, blame: Blame) -> None:
        self.blame, self.experiment = blame, blame.experiment
        self.comparison = blame.comparison
        self.rtol = self.comparison.rtol
        self.lost = False  # whether a mistake could not be explained, so that later ones may be its effects

    def all(self) -> list[tuple[Culprit, Explanation]]:
        """What is wrong, with what was wrong before it put right."""
        found: list[tuple[Culprit, Explanation]] = []
        right = self.comparison.right(self.blame.outcome)
        wrong = frozenset(self.comparison.claims or self.comparison.truth) - right
        overrides: dict[Key, list[tuple[Path, Any]]] = {}
        while wrong and len(found) < MAX_CULPRITS:
            done = {c.statement for c, _ in found} | {e.statement for _, e in found}
            culprit = self.blame.first(wrong, right, overrides, done)
            if culprit is None:
                break
            explanation = self.explain(culprit, wrong, overrides)
            found.append((culprit, explanation))
            inputs = culprit.inputs
            if explanation.edit:
                self.experiment.corrections[explanation.statement] = explanation.edit.node
                inputs |= self.comparison.right(self.experiment.replayed(overrides))
            for key, values in culprit.overrides.items() if not explanation.edit else ():
                overrides.setdefault(key, []).extend(values)
            right, wrong = right | inputs, wrong - inputs
        return found

    def explain(
        self, culprit: Culprit, wrong: frozenset[str], overrides: Overrides
    ) -> Explanation:
        """Why a culprit is wrong."""
        if np.ndim(culprit.value) == 0 and isinstance(culprit.expected, int):
            return self._number(culprit)
        words = diagnose(
            culprit.value,
            culprit.expected,
            self._sizes(culprit.statement),
            self._arriving(culprit),
            self._others(culprit),
            self.rtol,
        )
        found = self._at(culprit, overrides)
        if found is None or found[1].cost > CHEAP or culprit.inputs < wrong:
            bound = found[1].cost if found and culprit.inputs == wrong else np.inf
            found = self._around(culprit, wrong, found is None, overrides, bound) or found
        if found is None:
            self.lost = True
            return Explanation(self._inside(culprit)[0], words)
        statement, edit = found
        text = _joined(words, edit) if statement == culprit.statement else edit.words
        return Explanation(statement, text, edit)

    def _at(self, culprit: Culprit, overrides: Overrides) -> tuple[Statement, Edit] | None:
        """The plainest edit of the statement itself, or of the one that returned its value to it."""
        both = {key: [*overrides.get(key, ()), *culprit.overrides.get(key, ())]
                for key in {*overrides, *culprit.overrides}}  # fmt: skip
        expected = {
            n: value
            for (statement, n), values in culprit.overrides.items()
            for path, value in values
            if statement == culprit.statement
        } or {culprit.n: culprit.expected}
        statement, path, n = self._inside(culprit)
        if statement is not culprit.statement:
            expected = {n: culprit.expected}
        fixes = repairs(
            self.experiment, both, statement, path, culprit.value, expected, self.rtol
        )
        return (statement, fixes[0]) if fixes else None

    def _inside(self, culprit: Culprit) -> tuple[Statement, Path, int]:
        """Where a value was computed that a helper returned, or that was taken from elsewhere."""
        changes = self.blame.outcome.run.changes
        at = [i for i, c in enumerate(changes) if c.statement == culprit.statement and c.n == culprit.n]
        statement, path, n = culprit.statement, culprit.path, culprit.n
        frame, last = (changes[at[0]].frame, at[0]) if at else (1, len(changes))
        while True:
            taken = isinstance(getattr(statement.node, "value", None), (ast.Attribute, ast.Subscript))
            before = [c for c in changes[:last] if taken and same(c.value, culprit.value)]
            if before and before[-1].statement.node is not None:
                last = next(i for i, c in enumerate(changes) if c is before[-1])
                statement, path, n, frame = before[-1].statement, before[-1].path, before[-1].n, before[-1].frame
            inner = [
                c for i, c in self.blame.outcome.run.returns
                if i <= last and c.frame > frame and same(c.value, culprit.value)
            ]  # fmt: skip
            if not inner:
                return statement, path, n
            statement, path, n, frame = inner[-1].statement, inner[-1].path, inner[-1].n, inner[-1].frame
            made = [c for c in changes[:last] if c.frame == frame and same(c.value, culprit.value)]
            if made and isinstance(getattr(statement.node, "value", None), (ast.Name, ast.Tuple)):
                statement, path, n = made[-1].statement, made[-1].path, made[-1].n

    def _around(
        self, culprit: Culprit, wrong: frozenset[str], some: bool, overrides: Overrides, bound: float
    ) -> tuple[Statement, Edit] | None:
        """A statement of which one change puts everything right that is wrong.

        Or, if `some` of it is enough, at least what the culprit is to blame for.
        """
        experiment, changes = self.experiment, self.blame.outcome.run.changes
        if self.lost or experiment.exhausted:
            return None
        nearby, times = self._nearby(culprit), Counter(c.statement for c in changes)
        repeated = {statement for statement in times if times[statement] > 1}
        trial: list[Variants] = []

        def follower(function: Callable[..., Any]) -> Variants:
            trial.append(Variants(function, overrides, nearby, repeated, self.blame.is_any_multiple))
            return trial[0]

        experiment.run(follower)
        needed = culprit.inputs if some else wrong
        ranks = self._suspects(nearby, trial[0].disturbed, wrong, needed)
        pairs = [
            (s, e, likely) for s in ranks for e, likely in trial[0].found.get(s, ()) if e.cost < bound
        ]
        pairs.sort(key=lambda p: (ranks[p[0]], p[1].cost > 1 and not p[2], round(p[1].cost, 1)))
        best, partly = None, None
        for statement, edit, _ in pairs:
            if experiment.exhausted:
                break
            if best and edit.cost > best[1].cost - 0.1:
                continue
            outcome = experiment.rewritten({statement: edit.node})
            if outcome and not outcome.run.error:
                right = self.comparison.right(outcome)
                if right >= wrong:
                    best = statement, edit
                elif some and right >= culprit.inputs:
                    partly = partly or (statement, edit)
        return best or partly

    def _suspects(
        self,
        nearby: list[Change],
        disturbed: Mapping[Statement, ast.stmt],
        wrong: frozenset[str],
        needed: frozenset[str],
    ) -> dict[Statement, int]:
        """The statements on which all needed gradients depend, and none that is right; with a rank.

        Those come first on which everything wrong depends, and no element that is right.
        """
        comparison, statements = self.comparison, [c.statement for c in nearby]
        now = self.experiment.rewritten({})
        if now is None or now.run.error or not comparison.claims:
            return dict.fromkeys(statements, 0)
        row, names = comparison.elements(now), comparison.right(now)
        right, found = comparison.right_elements(row), dict[Statement, tuple[bool, bool]]()
        for statement in statements:
            node = disturbed.get(statement)
            outcome = self.experiment.rewritten({statement: node}) if node else None
            if outcome is None or outcome.run.error:
                found[statement] = False, False
                continue
            moved = comparison.elements(outcome) != row
            inputs = comparison.inputs_of(moved)
            if inputs >= needed and not inputs & names:
                found[statement] = not inputs >= wrong, bool((moved & right).any())
        order = sorted(set(found.values()))
        return {statement: order.index(rank) for statement, rank in found.items()}

    def _nearby(self, culprit: Culprit) -> list[Change]:
        """The statements, where each ran first, those nearest to the wrong one first."""
        run = self.blame.outcome.run
        at = [i for i, c in enumerate(run.changes) if c.statement == culprit.statement]
        here = at[-1] if at else len(run.changes)
        first: dict[Statement, Change] = {}
        distance: dict[Statement, int] = {}
        for i, change in sorted([*enumerate(run.changes), *run.returns, *run.heads], key=lambda pair: pair[0]):
            if change.statement.node is not None:
                first.setdefault(change.statement, change)
                distance[change.statement] = min(abs(i - here), distance.get(change.statement, i + here))
        near = sorted(first.values(), key=lambda c: distance[c.statement])
        if run.error or self.comparison.rate != 1:  # what is added to a parameter is -g
            return near
        wrong = {c.statement for c in run.changes if self.blame.is_gradient(c.value) is None}
        wrong |= {culprit.statement, *(c.statement for _, c in (*run.returns, *run.heads))}
        return [c for c in near if c.statement in wrong]

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
