"""Where a wrong gradient began: the first statement whose right value makes the gradients right.

Nothing is concluded from a name alone. The backward pass is run again with the true gradient of
one of forward's values in the place of what a statement computed: if wrong gradients come out
right and none that was right goes wrong, the statements after it are right and it is not.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.claims import evidence, fits
from tinygrad_lr.check.derivation.compare import Comparison
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.experiment import LIMIT, Outcome, Overrides, merged
from tinygrad_lr.check.derivation.truth import Part
from tinygrad_lr.check.derivation.watch import Change, Path, Statement
from tinygrad_lr.tensor import Tensor

MAX_TRIALS = 100  # to find one culprit
MAX_READINGS = 8  # of one statement
MAX_PARTS = 4  # readings of a statement as what one use adds
MAX_USES = 6  # of a value, whose sums are compared
OTHERS = 2  # readings of a value whose name says what it is

MAKERS = (ast.Call, ast.Tuple, ast.List, ast.ListComp, ast.Dict, ast.DictComp)  # of zeros

Target = Tensor | Part  # what has a true gradient
Pair = tuple[Change, Target]  # a value, and of what it should be the gradient


class Culprit(NamedTuple):
    """A statement that is wrong by itself.

    Attributes:
        statement: the statement; `n` says which time it ran first with a wrong value.
        name: what it assigns to.
        value, expected: what it computed and what is right; None if it computed nothing.
        of: the value of forward's whose gradient that is, by the learner's name.
        inputs: the gradients that are wrong because of it.
        path: where it puts its value.
        overrides: what its values should be.
        factor: by which its values are multiples of true gradients.
    """

    statement: Statement
    n: int
    name: str
    value: Any
    expected: Any
    of: str
    inputs: frozenset[str]
    path: Path
    overrides: Overrides
    factor: float = 1.0


class _Trial(NamedTuple):
    """Values of a statement, with what they may be the gradients of.

    Attributes:
        pairs: the values, each with a value of forward's.
        scaled: whether they are the true gradients but for factors that may be applied later.
        first: which of all changes the first of them is that is something else.
        rank: how many likelier readings the statement has.
        exact: whether they are the true gradients.
        spare: whether they are the true gradients of something else.
    """

    pairs: list[Pair]
    scaled: bool
    first: int
    rank: int
    exact: bool
    spare: bool


class _Marks(NamedTuple):
    """Which gradients are wrong and which are right, with what was put right before."""

    wrong: frozenset[str]
    right: frozenset[str]
    overrides: Overrides


class Blame:
    """Finds the culprits of a backward pass.

    Args:
        comparison: its claims beside the truth.
        truth: the gradient of every value of forward's.
        parts: what single uses add to them.
        names: forward's names for its values.
        sizes: the numbers that a factor may be that is applied later.

    Attributes:
        later: the number of samples, by which many divide at the end.
        scaled: whether a factor that may be applied later may be a mistake as well.
        changes: what the pass did.
        values: what forward computed and was given.
        gradients: the true ones, with the values whose gradients they are, by long axes.
    """

    def __init__(
        self,
        comparison: Comparison,
        truth: Mapping[Tensor, Any],
        parts: Mapping[Part, Any],
        names: Mapping[str, list[Tensor]],
        sizes: Mapping[int, str],
    ) -> None:
        self.comparison, self.names, self.sizes = comparison, names, sizes
        self.truth, self.parts = truth, parts
        self.experiment, self.outcome = comparison.experiment, comparison.outcome
        self._titles: dict[Tensor, list[str]] = {}
        for name, versions in names.items():
            for x in versions:
                self._titles.setdefault(x, []).append(name)
        self._steps = [*self._groups()]
        divides = any(_divides(c.statement) for c in self.outcome.run.changes)
        self.later = next(iter(sizes), 0) if divides else 0
        self.scaled = True
        self.changes = [c for c in self.outcome.run.changes if not isinstance(c.value, Tensor)]
        self._places = {id(c): i for i, c in enumerate(self.changes)}
        inputs = self.experiment.before.values()
        self.values = set(map(_content, [*(x._array for x in truth), *inputs]))
        self._rows: dict[tuple[int, ...], Any] = {}
        self._readings_of: dict[str, list[Tensor]] = {}
        self.gradients: dict[tuple[int, ...], list[tuple[Tensor, Any]]] = {}
        for x, g in truth.items():
            self.gradients.setdefault(_long_axes(np.shape(g)), []).append((x, g))

    def _groups(self) -> Iterator[tuple[str, list[Target]]]:
        """Values that one variable, a list, or an expression without a name held in its steps."""
        groups: dict[Any, list[Any]] = {}
        for x in sorted(self.truth, key=attrgetter("serial")):
            name, bracket, _ = self.title(x).partition("[")
            if bracket:
                groups.setdefault(name, []).append(x)
            elif x.op:
                groups.setdefault((name, x.origin, x.op), []).append(x)
        groups |= {name: xs for name, xs in self.names.items() if "[" not in name}
        for key, steps in groups.items():
            steps = [x for x in steps if x in self.truth]
            if len(steps) > 1:
                yield key if isinstance(key, str) else key[0], steps
        uses: dict[Any, list[Target]] = {}
        for part in self.parts:
            key = part.value.origin, part.use.origin, part.use.op, part.shape
            uses.setdefault(key, []).append(part)
        for parts in uses.values():
            if len(parts) > 1:
                yield "", parts

    def is_gradient(self, value: Any) -> Tensor | None:
        """A value of forward's whose gradient this is, if it is one."""
        tensors, rows, sizes = self._gradients_like(value)
        off = np.max(np.abs(rows - np.ravel(value)), axis=1, initial=0)
        found = np.flatnonzero(off <= self.comparison.rtol * sizes)
        return tensors[found[0]] if found.size else None

    def is_any_multiple(self, value: Any) -> bool:
        """Whether a value is a true gradient but for any factor."""
        _, rows, _ = self._gradients_like(value)
        row = np.ravel(value)
        length, lengths = np.sqrt(row @ row), np.sqrt(np.sum(rows * rows, axis=1))
        if not 0 < length < np.inf:
            return False
        return bool(np.any(np.abs(rows @ row) > lengths * length * (1 - 1e-12)))

    def _gradients_like(self, value: Any) -> tuple[list[Tensor], Any, Any]:
        """The values with gradients of a shape, those as rows, and their largest elements."""
        axes = _long_axes(np.shape(value))
        if axes not in self._rows:
            every = self.gradients.get(axes, ())
            known = [(x, g) for x, g in every if np.any(g) and np.isfinite(g).all()]
            rows = np.array([np.ravel(g) for _, g in known]).reshape(len(known), np.size(value))
            self._rows[axes] = [x for x, _ in known], rows, np.max(np.abs(rows), 1, initial=0)
        tensors, rows, sizes = self._rows[axes]
        return tensors, rows, sizes

    def first(
        self,
        wrong: frozenset[str],
        right: frozenset[str],
        overrides: Overrides,
        done: set[Statement],
    ) -> Culprit | None:
        """The first statement that explains a wrong gradient.

        What is a true gradient but for a factor that may be applied later, as a - y without the
        1/m, is suspected only if nothing else explains anything, and of everything that is wrong.
        """
        if number := self._number(wrong, overrides):
            return number
        marks = _Marks(wrong, right, overrides)
        if self.outcome.run.error:
            return self._misshapen(marks)
        trials = self._trials(wrong, done)
        likely = [t for t in trials if not (t.exact or t.spare)]
        culprit, at = self._tried(likely[:MAX_TRIALS], marks)
        if culprit is None or culprit.inputs != wrong:
            spare = [t for t in trials if t.exact or (t.spare and t.first < at)]
            better, _ = self._tried(spare[:MAX_TRIALS], marks)
            culprit = better or culprit
        if culprit is None and self.comparison.claims:
            culprit = self._own_line(wrong)
        return culprit and self._narrowed(culprit)

    def _tried(self, trials: list[_Trial], marks: _Marks) -> tuple[Culprit | None, float]:
        """The culprit of the first trial that has one, and which of all changes it is.

        One of what is a true gradient already explains all.
        """
        spent = self.experiment.spent
        most = spent + (LIMIT - spent) / 4  # so that enough is left to explain it
        for trial in trials:
            if trial.scaled and not self.scaled:
                continue
            if self.experiment.spent > most:
                break
            culprit = self._culprit(trial.pairs, marks)
            if culprit is None or (trial.spare and culprit.inputs != marks.wrong):
                continue
            if not trial.scaled or self._is_factor(culprit, trial.pairs, marks.wrong):
                return culprit, trial.first
        return None, np.inf

    def _misshapen(self, marks: _Marks) -> Culprit | None:
        """The first value of a shape that its name forbids, if with another nothing raises."""
        for change in self.changes:
            for x in self._named(change):
                shapes = {np.shape(self.truth[y]) for y in self._named(change)}
                if _is_blank(change) or np.shape(change.value) in shapes:
                    break
                for factor in dict.fromkeys((1.0, self.later or 1.0)):
                    culprit, _ = self._put([(change, x)], factor, marks, reshaped=True)
                    if culprit:
                        return culprit
        return None

    def _trials(self, wrong: frozenset[str], done: set[Statement]) -> list[_Trial]:
        """What may explain a wrong gradient, in the order in which it is tried."""
        claims, end = self.comparison.claims, len(self._places)
        own = [self._places.get(id(claims[n].change), end) if claims else end for n in wrong]
        trials = [
            trial
            for statement, changes in self._suspects()
            if statement not in done
            for trial in self._trials_of(changes, len(wrong) > 1)
            if trial.first <= max(own)
        ]
        together = self.scaled and len(wrong) > 1 and self._common_ratio(wrong) is not None
        return sorted(trials, key=lambda t: (t.scaled != together, t.first, t.rank))

    def _trials_of(self, changes: list[Change], several: bool) -> Iterator[_Trial]:
        """The readings of a statement by which it is wrong; a factor is if `several` inputs are."""
        readings = [*self._readings(changes)]
        scales = [[self._is_scaled(c, x) for c, x in pairs] for pairs in readings]
        known = zip(readings, scales, strict=True)
        some = any(all(likes) and isinstance(pairs[0][1], Tensor) for pairs, likes in known)
        earliest = 0
        for rank, (pairs, likes) in enumerate(zip(readings, scales, strict=True)):
            scaled = all(likes)
            spare = some and not (scaled or self._is_named(pairs))
            odd = any(c.value.shape not in (x.shape, ()) for c, x in pairs)
            exact = self._all_match(pairs)
            if odd or (scaled and several) or not exact:
                unlike = [c for (c, _), like in zip(pairs, likes, strict=True) if not like]
                first = (unlike or [pairs[0][0]])[0]
                earliest = max(earliest, self._places[id(first)])  # no later reading comes before
                yield _Trial(pairs, scaled and not odd, earliest, rank, exact and not odd, spare)

    def _is_factor(self, culprit: Culprit, pairs: list[Pair], wrong: frozenset[str]) -> bool:
        """Whether a factor that may be applied later is a mistake, which explains all."""
        if culprit.inputs != wrong or culprit.factor == 1:
            return culprit.inputs == wrong
        exact = self._all_match(pairs) and _divides(culprit.statement)
        return exact and self.is_natural(culprit.factor)

    def _all_match(self, pairs: list[Pair]) -> bool:
        return all(self.matches(c, x) for c, x in pairs)

    def _is_named(self, pairs: list[Pair]) -> bool:
        """Whether the name of a value says of which value it is the gradient."""
        return all(self._said(c.name, x) > 1 for c, x in pairs)

    def _is_scaled(self, change: Change, x: Target) -> bool:
        """Whether a value is a true gradient but for a factor that may be applied later."""
        g = self.of(x)
        value = as_shape(change.value, np.shape(g))
        r = None if value is None else ratio(value, g)
        return r is not None and self.is_natural(r)

    def is_natural(self, factor: float) -> bool:
        """Whether a factor may be applied later: a number of samples, minus if `opposite`."""
        size = abs(factor) if factor > 0 or self.opposite else factor
        return any(abs(size / n - 1) < 1e-9 for n in (1, *self.sizes))

    @functools.cached_property
    def opposite(self) -> bool:
        """Whether right gradients are computed from one that is minus the true one.

        As in a program with error = target - output that adds to the weights.
        """
        right = self.comparison.right(self.outcome)
        for change in self.changes if right else ():
            g = next((self.truth[x] for x in self._named(change)), None)
            value = None if g is None else as_shape(change.value, np.shape(g))
            factor = None if value is None else ratio(value, g)
            if factor and any(abs(factor / n + 1) < 1e-9 for n in (1, *self.sizes)):
                other: Overrides = {(change.statement, change.n): [(change.path, -change.value)]}
                return not self.comparison.right(self.experiment.replayed(other)) >= right
        return False

    def _suspects(self) -> Iterator[tuple[Statement, list[Change]]]:
        """The statements that computed floats, each with its values under one name."""
        by_statement: dict[tuple[Statement, Path], list[Change]] = {}
        for change in self.changes:
            if change.value.size and not _is_blank(change):
                by_statement.setdefault((change.statement, _family(change.path)), []).append(change)
        for (statement, _), changes in by_statement.items():
            floats = all(c.value.dtype.kind == "f" for c in changes)
            known = all(_content(c.value) in self.values for c in changes)  # unpacked, perhaps
            named = self._named(changes[-1]) and not (known and _is_copy(statement))
            if (floats and not known) or named:
                yield statement, _last_of_each_run(changes)

    def _named(self, change: Change) -> list[Tensor]:
        """The values of forward's whose gradient a value is by its name."""
        if change.name not in self._readings_of:
            named = [x for x in self.truth if self._said(change.name, x) > 1]
            self._readings_of[change.name] = named
        return self._readings_of[change.name]

    def _culprit(self, pairs: list[Pair], marks: _Marks) -> Culprit | None:
        """The statement of some values, if true gradients in their place put something right."""
        culprit, outcome = self._put(pairs, 1.0, marks)
        factor = None if culprit else self._factor_left(outcome, marks.wrong)
        if factor:
            culprit, _ = self._put(pairs, factor, marks)
        if culprit is None and self.later:
            culprit, _ = self._put(pairs, self.later, marks)
        if culprit is None and any(c.value.shape != x.shape for c, x in pairs):
            culprit, _ = self._put(pairs, 1.0, marks, reshaped=True)
        return culprit

    def _put(
        self, pairs: list[Pair], factor: float, marks: _Marks, reshaped: bool = False
    ) -> tuple[Culprit | None, Outcome]:
        """Run with factor * true gradients: the culprit if something is put right, and the outcome.

        They are put in the learner's shapes, of which a row may be a column; or `reshaped`, in
        theirs.
        """
        new: dict[tuple[Statement, int], list[tuple[Path, Any]]] = {}
        for c, x in pairs:
            g, shape = factor * np.asarray(self.of(x)), np.shape(c.value)
            value = g if reshaped or not fits(g, shape) else g.reshape(shape)
            new.setdefault((c.statement, c.n), []).append((c.path, value))
        outcome = self.experiment.replayed(merged(marks.overrides, new))
        right = self.comparison.right(outcome)
        mended = right & marks.wrong
        numbers = sum(np.size(self.comparison.truth[name]) for name in mended)
        fitted = factor != 1 and not self.is_natural(abs(factor)) and numbers < 2
        better = mended and right >= marks.right and not (outcome.run.error or fitted)
        if not better or not (reshaped or _differ(pairs, new)):
            return None, outcome
        wrong_ones = (
            (c, x) for c, x in pairs
            if not self.matches(c, x) or (reshaped and c.value.shape != x.shape)
        )  # fmt: skip
        c, x = next(wrong_ones, pairs[0])
        expected = next(v for path, v in new[c.statement, c.n] if path == c.path)
        culprit = Culprit(
            c.statement, c.n, c.name, c.value, expected, self.title(x), mended, c.path, new, factor
        )
        return culprit, outcome

    def _factor_left(self, outcome: Outcome, wrong: frozenset[str]) -> float | None:
        """The factor, other than 1, that wrong gradients lack in an outcome, if it is one."""
        ratios = [self.comparison.ratio(outcome, name) for name in wrong]
        off = [r for r in ratios if r and abs(r - 1) > 1e-9]
        return 1 / off[0] if off and max(off) - min(off) <= 1e-7 * abs(off[0]) else None

    def matches(self, change: Change, x: Target) -> bool:
        """Whether a value is the true gradient of one of forward's."""
        g = self.of(x)
        value = as_shape(change.value, np.shape(g))
        return value is not None and close(value, g, self.comparison.rtol)

    def of(self, x: Target) -> Any:
        """The true gradient of a value, or what a use of it adds to that."""
        return self.parts[x] if isinstance(x, Part) else self.truth[x]

    def title(self, x: Target) -> str:
        """What the learner calls a value of forward's; "" if nothing."""
        return self._titles.get(x.value if isinstance(x, Part) else x, [""])[0]

    def _said(self, name: str, x: Target) -> float:
        """How much a name says that something is the gradient of a value of forward's."""
        if isinstance(x, Part):
            return 0
        return max(evidence(name, title) for title in self._titles.get(x, ["?"]))

    def may_be_right(self, culprit: Culprit) -> bool:
        """Whether a value is not that which its name forbids, so that a later line may be wrong."""
        for change in self.changes:
            if (change.statement, change.n, change.path) == (
                culprit.statement, culprit.n, culprit.path
            ):  # fmt: skip
                named = self._named(change)
                return not named or any(self._is_scaled(change, x) for x in named)
        return True

    def _readings(self, changes: list[Change]) -> Iterator[list[Pair]]:
        """What a statement's values may be the gradients of, the likeliest first."""
        last = changes[-1]
        alike = [x for x, _ in self.gradients.get(_long_axes(np.shape(last.value)), ())]
        singles = [
            (self._said(last.name, x), bool(self.title(x)), x)
            for x in dict.fromkeys([*alike, *self._named(last)])
        ]
        singles.sort(key=lambda s: s[:2], reverse=True)
        named = sum(said > 1 for said, *_ in singles)
        most = named + OTHERS if named else MAX_READINGS
        if len(changes) > 1:
            yield from self._series(changes)
        axes = _long_axes(np.shape(last.value))
        parts = [x for x in self.parts if _long_axes(x.shape) == axes]
        seen: set[bytes] = set()
        values: list[Target] = [x for *_, x in singles[:most]]
        for x in [*values, *parts[: OTHERS if named else MAX_PARTS]]:
            content = np.asarray(self.of(x), dtype=np.float32).tobytes()  # but for rounding
            if content not in seen:
                seen.add(content)
                yield [(last, x)]

    def _series(self, changes: list[Change]) -> list[list[Pair]]:
        """Pairs of all values of a statement that ran several times with those of a name."""
        readings: list[tuple[Any, list[Pair]]] = []
        for name, steps in self._steps:
            said = evidence(changes[0].name, name) if name else 0
            for pairs in _alignments(changes, steps):
                matching = sum(self.matches(c, x) for c, x in pairs) / len(pairs)
                spare = len(steps) + len(changes) - 2 * len(pairs)
                readings.append(((said, matching, -spare), pairs))
        readings.sort(key=lambda reading: reading[0], reverse=True)
        named = [pairs for (said, *_), pairs in readings if said]
        others = [pairs for (said, *_), pairs in readings if not said]
        return named[:MAX_READINGS] + others[:MAX_PARTS]

    def _common_ratio(self, wrong: frozenset[str]) -> float | None:
        """By which number all wrong gradients differ from the true ones, if by one."""
        ratios = [self.comparison.ratio(self.outcome, name) for name in wrong]
        same = None not in ratios and close(ratios, ratios[:1] * len(ratios))
        return ratios[0] if same else None

    def _number(self, wrong: frozenset[str], overrides: Overrides) -> Culprit | None:
        """A number, as m, from which several gradients have the same wrong factor."""
        common = self._common_ratio(wrong)
        if overrides or len(wrong) < 2 or common is None:
            return None
        for c in self.changes:
            n = float(c.value) if np.ndim(c.value) == 0 and len(c.path) == 1 else 0.0
            if not n or n == 1 or n in self.sizes or c.statement.node is None:
                continue
            for size in (s for x in (n * common, n / common) for s in self._sizes_near(x)):
                new: Overrides = {(c.statement, c.n): [(c.path, size)]}
                if self.comparison.right(self.experiment.replayed(new)) >= wrong:
                    return Culprit(
                        c.statement, c.n, c.name, n, size, "", wrong, c.path, new, common
                    )
        return None

    def _sizes_near(self, x: float) -> list[int]:
        """The size that a number is, but for rounding."""
        return [size for size in self.sizes if abs(size / x - 1) < 1e-9][:1]

    def _narrowed(self, culprit: Culprit) -> Culprit:
        """The one of several statements adding to a gradient that adds what no uses of it give.

        What the others add is the sum of what some uses add to the true gradient.
        """
        g, (added, last) = culprit.expected, self._additions(culprit)
        total = sum(added.values())
        if len(added) < 2 or culprit.factor != 1 or np.shape(g) != np.shape(total):
            return culprit
        uses = self._uses(g)
        wrong = [s for s, x in added.items() if not self._is_sum(x, uses)] or [*added][:1]
        if not uses or len(wrong) != 1 or culprit.statement in wrong:
            return culprit
        c = last[wrong[0]]
        expected = c.value + g - total
        overrides = {(c.statement, c.n): [(c.path, expected)]}
        return culprit._replace(
            statement=c.statement, n=c.n, value=c.value, expected=expected, overrides=overrides
        )

    def _additions(self, culprit: Culprit) -> tuple[dict[Statement, Any], dict[Statement, Change]]:
        """What every statement adds to a culprit's value, and its last change of it."""
        family, at = _family(culprit.path), (culprit.statement, culprit.n)
        frame = next((c.frame for c in self.changes if (c.statement, c.n) == at), 0)
        added: dict[Statement, Any] = {}
        last: dict[Statement, Change] = {}
        now: Any = np.zeros(np.shape(culprit.value))
        for c in self.changes:
            if c.path != family or np.shape(c.value) != now.shape or c.frame != frame:
                continue
            adds = _adds(c.statement)
            if not adds and (scale := ratio(c.value, now)):  # a mean of what was added
                added = {s: scale * x for s, x in added.items()}
            else:
                added = added if adds else {}
                added[c.statement] = added.get(c.statement, 0) + c.value - (now if adds else 0)
                last[c.statement] = c
            now = c.value
            if (c.statement, c.n) == at:
                break
        return {s: x for s, x in added.items() if np.any(x)}, last

    def _uses(self, g: Any) -> list[Any]:
        """What the lines that use a value add to its gradient, which is g."""
        lines: dict[Tensor, dict[Any, Any]] = {}
        for part, x in self.parts.items():
            if part.shape == np.shape(g):
                line = lines.setdefault(part.value, {})
                line[part.use.origin] = line.get(part.use.origin, 0) + x
        for line in lines.values():
            if close(sum(line.values()), g, self.comparison.rtol):
                return list(line.values())
        return []

    def _is_sum(self, x: Any, uses: list[Any]) -> bool:
        """Whether a value is the sum of some."""
        few = uses if len(uses) <= MAX_USES else []
        some = (c for n in range(1, len(few) + 1) for c in itertools.combinations(few, n))
        return any(close(x, sum(terms), self.comparison.rtol) for terms in some)

    def _own_line(self, wrong: frozenset[str]) -> Culprit:
        """The earliest of the statements that computed wrong gradients."""
        claims = [claim for name, claim in self.comparison.claims.items() if name in wrong]
        first = min(claims, key=lambda c: self._places.get(id(c.change), len(self._places)))
        same = frozenset(c.input for c in claims if c.statement is first.statement)
        expected = self.comparison.expected(first.input)
        path = first.change.path if first.change else first.place.path
        return Culprit(
            first.statement, first.n, first.text, first.value, expected, first.input, same, path, {}
        )


def _alignments(changes: list[Change], steps: list[Target]) -> Iterator[list[Pair]]:
    """Values beside those of steps, forwards or backwards, and shifted by a few steps."""
    for row, skip in itertools.product((steps[::-1], steps), (0, 1, -1, 2, -2)):
        pairs = list(zip(changes[max(-skip, 0) :], row[max(skip, 0) :], strict=False))
        if pairs and all(fits(c.value, x.shape) for c, x in pairs):
            yield pairs


def _differ(pairs: list[Pair], new: Overrides) -> bool:
    """Whether new values differ from those of some pairs by more than rounding."""
    put = [(c.value, v) for c, _ in pairs for path, v in new[c.statement, c.n] if path == c.path]
    return not all(np.array_equal(a, v) or ratio(a, v) == 1 for a, v in put)


def _divides(statement: Statement) -> bool:
    """Whether a statement divides, as a mean does."""
    nodes = list(ast.walk(statement.node)) if statement.node else []
    return any(isinstance(n, ast.Div) or getattr(n, "attr", "") == "mean" for n in nodes)


def _is_blank(change: Change) -> bool:
    """Whether a statement makes zeros, to be filled later."""
    made = isinstance(getattr(change.statement.node, "value", None), MAKERS)
    return made and not np.any(change.value)


def _adds(statement: Statement) -> bool:
    """Whether a statement adds to what it assigns to, or writes an element of it."""
    match statement.node:
        case ast.AugAssign(op=ast.Add() | ast.Sub()) | ast.Expr():
            return True
        case ast.Assign(value=ast.BinOp(op=ast.Add() | ast.Sub())):
            return True
        case ast.Assign(targets=[ast.Subscript()]):
            return True
    return False


def _is_copy(statement: Statement) -> bool:
    """Whether a statement copies a value, which is changed later."""
    match getattr(statement.node, "value", None):
        case ast.Call(func=ast.Attribute(attr="copy" | "array")):
            return True
    return False


def _content(x: Any) -> Any:
    return np.shape(x), np.asarray(x, dtype=float).tobytes()


def _long_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _family(path: Path) -> Path:
    """A path without the indices at its end."""
    while len(path) > 1 and isinstance(path[-1], int):
        path = path[:-1]
    return path


def _last_of_each_run(changes: Iterable[Change]) -> list[Change]:
    return list({(c.frame, c.n): c for c in changes}.values())
