"""Why a line is wrong, and the line that would be right."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.blame import Blame, Culprit
from tinygrad_lr.check.derivation.claims import UPDATE
from tinygrad_lr.check.derivation.compare import same
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, diagnose
from tinygrad_lr.check.derivation.edits import Edit
from tinygrad_lr.check.derivation.experiment import Outcome, Overrides, merged
from tinygrad_lr.check.derivation.forward import first_of
from tinygrad_lr.check.derivation.repair import Disturbance, Goal, Variants, repairs
from tinygrad_lr.check.derivation.rewrite import Edits
from tinygrad_lr.check.derivation.watch import Change, Path, Statement, written
from tinygrad_lr.messages.origin import locate

LATER = 0.4  # by how much plainer an edit of a later statement has to be
MUCH_LATER = 1.0  # if the value is not what its name says
RIGHT = 0.15  # by how much it need not be, if the value is a true gradient
MAX_CULPRITS = 6
MAX_LOOKS = 30  # at the values of a statement
MAX_FIXES = 8  # edits with the right value, which are tried in a run
EDIT = 200  # microseconds that it takes to make an edit
PARTS = (ast.Attribute, ast.Subscript)

Repair = tuple[Statement, Edit]


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
        self.lost = False  # whether a mistake was not explained, so that others may be its effects

    def all(self) -> list[tuple[Culprit, Explanation]]:
        """What is wrong, each with what was wrong before it put right."""
        explanations: list[tuple[Culprit, Explanation]] = []
        right = self.comparison.right(self.blame.outcome)
        asked = self.comparison.truth.keys() - self.comparison.left_out
        every = asked if self.blame.outcome.run.error else self.comparison.claims
        wrong = frozenset(every) - right
        overrides: Overrides = {}
        while wrong and len(explanations) < MAX_CULPRITS:
            done = {x.statement for pair in explanations for x in pair}
            culprit = self.blame.first(wrong, right, overrides, done)
            if culprit is None:
                return explanations or self._raised(wrong)
            explanation = self.explain(culprit, wrong, overrides)
            explanations.append((culprit, explanation))
            inputs = culprit.inputs
            if explanation.edit:
                self.experiment.corrections[explanation.statement] = explanation.edit.node
                inputs |= self.comparison.right(self.experiment.replayed(overrides))
            else:
                overrides = merged(overrides, culprit.overrides)
            right, wrong = right | inputs, wrong - inputs
        return explanations

    def _raised(self, wrong: frozenset[str]) -> list[tuple[Culprit, Explanation]]:
        """Why a statement raises: an edit with which it does not, or a value of another shape."""
        run, nan = self.blame.outcome.run, np.array(np.nan)
        if run.error is None or isinstance(run.error, MemoryError):  # with less it would run on
            return []
        culprit = Culprit(run.end, 0, run.end.text, nan, nan, "", wrong, (), {})
        if found := self._around(culprit, wrong, wrong, {}, np.inf):
            return [(culprit, Explanation(found[0], found[1].words, found[1]))]
        for change in reversed(run.changes):
            before = [c for c in run.changes if c.path == change.path and c.frame == change.frame]
            shape, usual = np.shape(change.value), np.shape(before[0].value)
            if change.name in run.end.names and change is before[-1] and shape != usual:
                words = f"the shape is {shape}, where {change.name} was {usual} before"
                return [(culprit, Explanation(change.statement, words))]
        return []

    def explain(self, culprit: Culprit, wrong: frozenset[str], overrides: Overrides) -> Explanation:
        """Why a culprit is wrong."""
        if np.ndim(culprit.value) == 0 and isinstance(culprit.expected, int):
            return self._number(culprit)
        if stale := self._used_after_its_update(culprit):
            return Explanation(culprit.statement, stale)
        words = diagnose(
            culprit.value,
            culprit.expected,
            self._sizes(culprit.statement),
            self._arriving(culprit),
            self._others(culprit),
            self.rtol,
        )
        plainest = self._at(culprit, overrides)
        bound = np.inf
        if plainest and culprit.inputs == wrong:
            bound = plainest[1].cost + RIGHT * self._is_right(culprit)
        needed = wrong if plainest else culprit.inputs
        plainest = self._around(culprit, wrong, needed, overrides, bound) or plainest
        if plainest is None:
            self.lost = True
            return Explanation(self._source(culprit).statement, words)
        statement, edit = plainest
        text = _joined(words, edit) if statement == culprit.statement else edit.words
        return Explanation(statement, text, edit)

    def _is_right(self, culprit: Culprit) -> bool:
        """Whether a value is a true gradient, and to blame only for a factor that comes later."""
        value = as_shape(culprit.value, np.shape(culprit.expected))
        g = culprit.expected / culprit.factor
        return culprit.factor != 1 and value is not None and close(value, g, self.rtol)

    def _used_after_its_update(self, culprit: Culprit) -> str:
        """In words, that a statement reads a parameter that an earlier one has changed already."""
        outcome = self.blame.outcome
        updated = {place.path for place in outcome.places if place.kind == UPDATE}
        last, _ = self._first_run(culprit)
        for change in outcome.run.changes[:last]:
            name, at = written(change.path), change.statement
            if change.path not in updated or at == culprit.statement or at.node is None:
                continue
            without = name in culprit.statement.text and self.experiment.rewritten({at: ast.Pass()})
            if without and self.comparison.right(without) >= culprit.inputs:
                return f"{name} is used after line {at.line} has changed it"
        return ""

    def _at(self, culprit: Culprit, overrides: Overrides) -> Repair | None:
        """The plainest edit of the statement itself, or of that which returned its value to it."""
        expected = {
            n: pair
            for (statement, n), pairs in culprit.overrides.items()
            for pair in pairs
            if statement == culprit.statement
        } or {culprit.n: (culprit.path, culprit.expected)}
        right, copies = merged(overrides, culprit.overrides), self._copies(culprit, expected)
        goals = [(Goal(culprit.statement, culprit.value, expected), right)]
        goals += [(copy, overrides) for copy in copies]
        source = self._source(culprit)
        if source.statement is not culprit.statement:
            wanted = {source.n: (source.path, culprit.expected)}
            goals.insert(0, (Goal(source.statement, culprit.value, wanted), right))
        kept = culprit.inputs | self.comparison.right(self._now(overrides) or self.blame.outcome)
        for goal, others in goals:
            fixes = repairs(self.experiment, others, goal, self.rtol)
            for edit in fixes[:MAX_FIXES]:
                outcome = self._now(overrides, {goal.statement: edit.node})
                if outcome and self.comparison.right(outcome) >= kept:
                    return goal.statement, edit
        return None

    def _copies(self, culprit: Culprit, expected: Mapping[int, tuple[Path, Any]]) -> list[Goal]:
        """The statements that take values of a culprit to another place, which may lack a term."""
        changes = self.blame.outcome.run.changes
        goals: dict[Statement, Goal] = {}
        own = [c for c in changes if c.statement == culprit.statement and c.n in expected]
        for copy in (c for c in changes if _is(c, *PARTS) and c.statement != culprit.statement):
            for source in (c for c in own if same(c.value, copy.value)):
                goal = goals.setdefault(copy.statement, Goal(copy.statement, copy.value, {}))
                goal.expected[copy.n] = copy.path, expected[source.n][1]
        return list(goals.values())

    def _source(self, culprit: Culprit) -> Change:
        """Where a value was computed that a helper returned, or that was taken from elsewhere."""
        run, value = self.blame.outcome.run, culprit.value
        equal = [(i, c) for i, c in enumerate(run.changes) if same(c.value, value)]
        returned = [(i, c) for i, c in run.returns if same(c.value, value)]
        last, frame = self._first_run(culprit)
        source = Change(culprit.path, value, culprit.statement, culprit.n, frame)
        while True:
            before = [(i, c) for i, c in equal if i < last and _is(source, *PARTS)]
            if before and before[-1][1].statement.node:
                last, source = before[-1]
            inner = [c for i, c in returned if i <= last and c.frame > source.frame]
            if not inner:
                return source
            source = inner[-1]
            made = [c for i, c in equal if i < last and c.frame == source.frame]
            if made and _is(source, ast.Name, ast.Tuple):
                source = made[-1]

    def _first_run(self, culprit: Culprit) -> tuple[int, int]:
        """The number of the change by which a culprit is wrong, and that of the call."""
        changes = self.blame.outcome.run.changes
        for i, c in enumerate(changes):
            if c.statement == culprit.statement and c.n == culprit.n:
                return i, c.frame
        return len(changes), 1

    def _around(
        self,
        culprit: Culprit,
        wrong: frozenset[str],
        needed: frozenset[str],
        overrides: Overrides,
        bound: float,
    ) -> Repair | None:
        """A statement of which one change puts right all that is wrong, or what is needed."""
        if self.lost or self.experiment.exhausted:
            return None
        nearby = self._nearby(culprit)
        disturbance, _ = self.experiment.run(lambda f: Disturbance(f, overrides, nearby))
        ranks = self._suspects(nearby, disturbance.found, wrong, needed, overrides)
        if self._is_right(culprit):
            ranks.pop(culprit.statement, None)  # another is wrong, perhaps
        partly = None
        for rank in sorted(set(ranks.values())):
            suspects = [c for c in nearby if ranks.get(c.statement) == rank]
            trials = self._edits(culprit, suspects, overrides, bound)
            best, enough = self._best(trials, wrong, needed, overrides)
            partly = partly or enough
            if best:
                return best
        return partly

    def _edits(
        self, culprit: Culprit, suspects: list[Change], overrides: Overrides, bound: float
    ) -> list[Repair]:
        """The edits of some statements that are plainer than a bound, the plainest first."""
        kinds: dict[str, Any] = {
            "repeated": self._repeated(),
            "is_likely": self.blame.is_any_multiple,
            "bound": bound,
        }
        variants, _ = self.experiment.run(lambda f: Variants(f, overrides, suspects, **kinds))
        last, _ = self._first_run(culprit)
        if self.blame.may_be_right(culprit):
            later = LATER
        else:
            later = MUCH_LATER if bound < np.inf else np.inf
        first = {c.statement: i for i, c in self.blame.outcome.run.begun}
        trials = [
            ((edit.cost > 1 and not likely, round(edit.cost, 1)), statement, edit)
            for statement in (c.statement for c in suspects)
            for edit, likely in variants.found.get(statement, ())
            if edit.cost < (bound - later if first.get(statement, 0) > last else bound)
        ]
        self.experiment.spent += EDIT * sum(map(len, variants.found.values()))
        return [(s, e) for _, s, e in sorted(trials, key=itemgetter(0))]

    def _repeated(self) -> set[Statement]:
        """The statements that run several times."""
        counts = Counter(c.statement for c in self.blame.outcome.run.changes)
        return {statement for statement, n in counts.items() if n > 1}

    def _best(
        self,
        trials: list[Repair],
        wrong: frozenset[str],
        needed: frozenset[str],
        overrides: Overrides,
    ) -> tuple[Repair | None, Repair | None]:
        """The plainest edit that puts all right that is wrong, and the first that is enough.

        What is right already stays right.
        """
        best, partly = None, None
        now = self._now(overrides)
        kept = self.comparison.right(now) if now else frozenset[str]()
        for statement, edit in trials:
            if self.experiment.exhausted:
                break
            if best and edit.cost > best[1].cost - 0.1:
                continue
            outcome = self._now(overrides, {statement: edit.node})
            right = self.comparison.right(outcome) if outcome else frozenset()
            if right >= wrong | kept:
                best = statement, edit
            elif right >= needed | kept:
                partly = partly or (statement, edit)
        return best, partly

    def _now(self, overrides: Overrides, edits: Edits = MappingProxyType({})) -> Outcome | None:
        """What comes out if some statements were others; None if that cannot run."""
        outcome = self.experiment.rewritten(edits, overrides)
        if outcome is None or outcome.run.error:
            return None
        if self.experiment.passes.one_function:  # which computes the loss as well
            loss, before = (first_of(x.run.result) for x in (outcome, self.blame.outcome))
            return outcome if np.array_equal(loss, before, equal_nan=True) else None
        return outcome

    def _suspects(
        self,
        nearby: list[Change],
        disturbed: Mapping[Statement, ast.stmt],
        wrong: frozenset[str],
        needed: frozenset[str],
        overrides: Overrides,
    ) -> dict[Statement, int]:
        """The statements on which all needed gradients depend, and none that is right; with a rank.

        Those come first on which everything wrong depends, and no element that is right; last those
        that run several times and are sometimes right.
        """
        comparison, statements = self.comparison, [c.statement for c in nearby]
        now = self._now(overrides)
        if now is None or not comparison.claims:
            return dict.fromkeys(statements, 0)
        row, right = comparison.elements(now), comparison.right(now)
        right_elements = comparison.right_elements(row)
        keys: dict[Statement, tuple[bool, ...]] = {}
        repeated = self._repeated()
        for statement in statements:
            node = disturbed.get(statement)
            outcome = self._now(overrides, {statement: node}) if node else None
            if outcome is None:  # nothing is known of it
                keys[statement] = False, False, False
                continue
            moved = comparison.elements(outcome) != row
            inputs = comparison.inputs_of(moved)
            also = bool(inputs & right)
            if inputs >= needed and (statement in repeated or not also):
                touched = bool((moved & right_elements).any())
                keys[statement] = also, not inputs >= wrong, touched
        order = sorted(set(keys.values()))
        return {statement: order.index(key) for statement, key in keys.items()}

    def _nearby(self, culprit: Culprit) -> list[Change]:
        """The statements, where each ran first, those nearest to the wrong one first."""
        run = self.blame.outcome.run
        others = [*run.returns]
        changed = {c.statement for c in run.changes} | {c.statement for _, c in others}
        for i, c in run.begun:  # what has changed nothing by itself: a loop, a call, what raised
            if c.statement not in changed:
                target = next(iter(sorted(c.statement.assigned)), "")
                others.append((i, c._replace(path=(target,))))
        at = [i for i, c in enumerate(run.changes) if c.statement == culprit.statement]
        here = at[-1] if at else len(run.changes)
        events = sorted([*enumerate(run.changes), *others], key=itemgetter(0))
        events = [(i, c) for i, c in events if c.statement.node is not None]
        first = {c.statement: c for _, c in reversed(events)}
        distances: dict[Statement, list[int]] = {}
        for i, change in events:
            distances.setdefault(change.statement, []).append(abs(i - here))
        near = sorted((first[s] for s in distances), key=lambda c: min(distances[c.statement]))
        if run.error:
            return near
        wrong = {culprit.statement, *(c.statement for _, c in others)} | self._not_gradients
        return [c for c in near if c.statement in wrong]

    @functools.cached_property
    def _not_gradients(self) -> set[Statement]:
        """The statements of which a value, among the first, is no true gradient."""
        looked, wrong = Counter[Statement](), set[Statement]()
        for c in self.blame.outcome.run.changes:
            looked[c.statement] += 1
            known = c.statement in wrong or looked[c.statement] > MAX_LOOKS
            if not known and self.blame.is_gradient(c.value) is None:
                wrong.add(c.statement)
        return wrong

    def _number(self, culprit: Culprit) -> Explanation:
        """What is said of a wrong number, as m."""
        name = self.blame.sizes[culprit.expected]
        words = (
            f"{culprit.name} is {culprit.value:g}, where {culprit.expected}, {name}, belongs: "
            f"because of it every gradient is {culprit.factor:.6g} times what it should be"
        )
        return Explanation(culprit.statement, words)

    def _sizes(self, statement: Statement) -> dict[int, str]:
        """Names for the numbers that a gradient may be divided by: of lengths those in the line."""
        sizes = self.blame.sizes
        samples = dict([*sizes.items()][:1])
        used = {
            float(c.value)
            for c in self.blame.changes
            if c.name in statement.names and np.ndim(c.value) == 0
        }
        spelled = any(call in statement.text for call in ("len(", ".shape", ".size"))
        return samples | {n: name for n, name in sizes.items() if n in used or spelled}

    def _arriving(self, culprit: Culprit) -> Iterable[tuple[str, Any]]:
        """The gradients of what was computed from a value, under its name."""
        names = self.blame.names.get(culprit.of, [])
        for y, g in self.blame.truth.items():
            if any(x is z for x in y.inputs for z in names):
                title = self.blame.title(y) or (locate(y.origin).text if y.origin else "a value")
                yield title, np.asarray(g) * culprit.factor

    def _others(self, culprit: Culprit) -> Iterable[tuple[str, Any]]:
        """The gradients of other values, under their names."""
        for name, versions in self.blame.names.items():
            x = versions[-1]
            if x in self.blame.truth and name != culprit.of and "[" not in name:
                yield name, np.asarray(self.blame.truth[x]) * culprit.factor


def _is(change: Change, *kinds: type[ast.expr]) -> bool:
    """Whether the right side of a change's statement is an expression of some kind."""
    return isinstance(getattr(change.statement.node, "value", None), kinds)


def _joined(words: str, fix: Edit) -> str:
    """What the numbers say, and what was changed."""
    if words == "unknown" or words.startswith(("this is the gradient", "it is ")):
        return fix.words
    if ":" in words or words in ("the sign is flipped", "transposed", "zero"):
        return words
    return f"{words}: {fix.words}" if words.endswith(("large", "should be")) else words
