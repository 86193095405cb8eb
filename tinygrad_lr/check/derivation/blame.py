"""Where a wrong gradient began: the first statement whose right value makes the gradients right.

Nothing is concluded from a name alone. The backward pass is run again with the true gradient of
one of forward's values in the place of what a statement computed: if wrong gradients come out
right and none that was right goes wrong, the statements after it are right and it is not.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import evidence, fits
from tinygrad_lr.check.derivation.compare import Comparison
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, ratio
from tinygrad_lr.check.derivation.experiment import LIMIT
from tinygrad_lr.check.derivation.watch import Change, Path, Statement
from tinygrad_lr.tensor import Tensor

MAX_TRIALS = 100  # to find one culprit
MAX_READINGS = 8  # of one statement

Pair = tuple[Change, Tensor]  # a value, and of what it should be the gradient
Key = tuple[Statement, int]


@dataclass
class Culprit:
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
    path: Path = ()
    overrides: dict[Key, list[tuple[Path, Any]]] = field(default_factory=dict)
    factor: float = 1.0


class Blame:
    """Finds the culprits of a backward pass.

    Args:
        comparison: its claims beside the truth.
        truth: the gradient of every value of forward's.
        names: forward's names for its values.
        sizes: the numbers that a factor may be that is applied later.
    """

    def __init__(
        self,
        comparison: Comparison,
        truth: Mapping[Tensor, Any],
        names: Mapping[str, list[Tensor]],
        sizes: Mapping[int, str],
    ) -> None:
        self.comparison, self.truth, self.names, self.sizes = comparison, truth, names, sizes
        pairs = [(x, name) for name, versions in names.items() for x in versions]
        self._titles = {x: name for x, name in reversed(pairs)}
        groups: dict[Any, list[Tensor]] = {}
        for x in sorted(truth, key=attrgetter("serial")):
            if x not in self._titles and x.op:
                groups.setdefault((x.origin, x.op, np.shape(truth[x])), []).append(x)
        self._unnamed = [("", group) for group in groups.values()]
        self.later = next(iter(sizes), 0)  # the number of samples, by which many divide at the end
        self.scaled = True  # whether a factor that may be applied later may be a mistake as well
        self.experiment, self.outcome = comparison.experiment, comparison.outcome
        self.changes = [c for c in self.outcome.run.changes if not isinstance(c.value, Tensor)]
        self.values = {_content(x._array) for x in truth} | {
            _content(x) for x in self.experiment.before.values()
        }
        self._directions: dict[tuple[int, ...], Any] = {}
        self.gradients: dict[tuple[int, ...], list[tuple[Tensor, Any]]] = {}
        for x, g in truth.items():
            self.gradients.setdefault(_long_axes(np.shape(g)), []).append((x, g))

    def is_gradient(self, value: Any) -> Tensor | None:
        """A value of forward's whose gradient this is, if it is one."""
        for x, g in self.gradients.get(_long_axes(np.shape(value)), ()):
            if np.any(g) and close(np.reshape(value, np.shape(g)), g, self.comparison.rtol):
                return x
        return None

    def is_multiple(self, value: Any) -> bool:
        """Whether a value is a true gradient but for a factor that may be applied later."""
        for x, g in self.gradients.get(_long_axes(np.shape(value)), ()):
            r = ratio(np.reshape(value, np.shape(g)), g)
            if r is not None and self.is_natural(r) and np.size(g) > 1:
                return True
        return False

    def is_any_multiple(self, value: Any) -> bool:
        """Whether a value is a true gradient but for any factor."""
        shape, length = np.shape(value), float(np.linalg.norm(value))
        if shape not in self._directions:
            rows = [np.ravel(g) for _, g in self.gradients.get(_long_axes(shape), ()) if np.any(g)]
            self._directions[shape] = np.array([row / np.linalg.norm(row) for row in rows])
        rows = self._directions[shape]
        if not rows.size or not 0 < length < np.inf:
            return False
        return bool(np.max(np.abs(rows @ np.ravel(value))) > length * (1 - 1e-12))

    def first(
        self,
        wrong: frozenset[str],
        right: frozenset[str],
        overrides: Mapping[Key, list[tuple[Path, Any]]],
        done: set[Statement],
    ) -> Culprit | None:
        """The first statement that explains a wrong gradient.

        What is a true gradient but for a factor that may be applied later, as a - y without the 1/m,
        is suspected only if nothing else explains anything, and of everything that is wrong.
        """
        place = {id(c): i for i, c in enumerate(self.changes)}
        if number := self._number(wrong, overrides):
            return number
        claims = self.comparison.claims
        own = [place.get(id(claims[n].change), len(place)) if claims else len(place) for n in wrong]
        trials: list[tuple[bool, int, int, list[Pair]]] = []
        for statement, changes in self._suspects():
            if statement in done:
                continue
            readings = list(itertools.islice(self._readings(changes), MAX_READINGS))
            scales = [all(self._is_scaled(c, x) for c, x in pairs) for pairs in readings]
            for rank, (pairs, scaled) in enumerate(zip(readings, scales, strict=True)):
                unlike = [place[id(c)] for c, x in pairs if not self._is_scaled(c, x)]
                exact = all(self.matches(c, x) for c, x in pairs)
                if any(scales) and not (scaled or self._is_named(pairs)):
                    continue
                odd = any(c.value.shape not in (x.shape, ()) for c, x in pairs)
                if exact and not odd and not (scaled and len(wrong) > 1):
                    continue
                first = unlike[0] if unlike else place[id(pairs[0][0])]
                if first <= max(own):
                    trials.append((scaled, first, rank, pairs))
        together = self.scaled and len(wrong) > 1 and self._common_ratio(wrong) is not None
        trials.sort(key=lambda trial: (trial[0] != together, *trial[1:3]))
        half = (self.experiment.spent + LIMIT) / 2
        for scaled, *_, pairs in trials[:MAX_TRIALS]:
            if scaled and not self.scaled:
                continue
            if self.experiment.spent > half:
                break
            culprit = self._put(pairs, 1.0, wrong, right, overrides)
            if isinstance(culprit, float):
                culprit = self._put(pairs, culprit, wrong, right, overrides)
            if culprit is None and self.later:
                culprit = self._put(pairs, self.later, wrong, right, overrides)
            if culprit is None and any(c.value.shape != x.shape for c, x in pairs):
                culprit = self._put(pairs, 1.0, wrong, right, overrides, reshaped=True)
            if isinstance(culprit, Culprit) and not scaled:
                return culprit
            if isinstance(culprit, Culprit) and culprit.inputs == wrong:
                exact = all(self.matches(c, x) for c, x in pairs) and _divides(culprit.statement)
                if culprit.factor == 1 or (exact and self.is_natural(culprit.factor)):
                    return culprit
        return self._own_line(wrong) if claims else None

    def _is_named(self, pairs: list[Pair]) -> bool:
        """Whether the name of a value says of which value it is the gradient."""
        return all(evidence(c.name, self.title(x)) > 1 for c, x in pairs)

    def _is_scaled(self, change: Change, x: Tensor) -> bool:
        """Whether a value is a true gradient but for a factor that may be applied later."""
        g = self.truth[x]
        value = as_shape(change.value, np.shape(g))
        r = None if value is None else ratio(value, g)
        return r is not None and self.is_natural(r)

    def is_natural(self, factor: float) -> bool:
        """Whether a factor is one that may be applied later: none, or a number of samples."""
        return any(abs(factor / n - 1) < 1e-9 for n in (1, *self.sizes))

    def _suspects(self) -> Iterator[tuple[Statement, list[Change]]]:
        """The statements that computed floats, each with its values under one name."""
        by_statement: dict[tuple[Statement, Path], list[Change]] = {}
        for change in self.changes:
            if change.value.dtype.kind == "f" and change.value.size and np.any(change.value):
                by_statement.setdefault((change.statement, _family(change.path)), []).append(change)
        for (statement, _), changes in by_statement.items():
            if all(_content(c.value) in self.values for c in changes):
                continue  # a value of forward's, unpacked
            yield statement, _last_of_each_run(changes)

    def _put(
        self,
        pairs: list[Pair],
        factor: float,
        wrong: frozenset[str],
        right: frozenset[str],
        overrides: Mapping[Key, list[tuple[Path, Any]]],
        reshaped: bool = False,
    ) -> Culprit | float | None:
        """Run with factor * true gradients: a culprit, another factor to try, or None.

        They are put in the learner's shapes, of which a row may be a column; or `reshaped`, in theirs.
        """
        new: dict[Key, list[tuple[Path, Any]]] = {}
        for c, x in pairs:
            g = factor * np.asarray(self.truth[x])
            shape = np.shape(c.value)
            new.setdefault((c.statement, c.n), []).append(
                (c.path, g if reshaped or not fits(g, shape) else g.reshape(shape))
            )
        put = [(c.value, v) for c, _ in pairs for p, v in new[c.statement, c.n] if p == c.path]
        fitted = factor != 1 and not self.is_natural(abs(factor))
        changed = reshaped or not all(np.array_equal(a, v) or ratio(a, v) == 1 for a, v in put)
        both = {key: [*overrides.get(key, ()), *new.get(key, ())] for key in {*overrides, *new}}
        outcome = self.experiment.replayed(both)
        now = self.comparison.right(outcome)
        fitted &= sum(np.size(self.comparison.truth[name]) for name in now & wrong) < 2
        if changed and now & wrong and now >= right and not (outcome.run.error or fitted):
            wrong_ones = ((c, x) for c, x in pairs if not self.matches(c, x) or (reshaped and c.value.shape != x.shape))
            c, x = next(wrong_ones, pairs[0])
            expected = next(v for p, v in new[c.statement, c.n] if p == c.path)
            return Culprit(
                c.statement, c.n, c.name, c.value, expected, self.title(x), now & wrong, c.path, new,
                factor,
            )  # fmt: skip
        if factor != 1:
            return None
        off = [r for n in wrong if (r := self.comparison.ratio(outcome, n)) and abs(r - 1) > 1e-9]
        return 1 / off[0] if off and max(off) - min(off) <= 1e-7 * abs(off[0]) else None

    def matches(self, change: Change, x: Tensor) -> bool:
        """Whether a value is the true gradient of one of forward's."""
        g = self.truth[x]
        value = as_shape(change.value, np.shape(g))
        return value is not None and close(value, g, self.comparison.rtol)

    def title(self, x: Tensor) -> str:
        """What the learner calls a value of forward's; "" if nothing."""
        return self._titles.get(x, "")

    def _readings(self, changes: list[Change]) -> Iterator[list[Pair]]:
        """What a statement's values may be the gradients of, the likeliest first."""
        last = changes[-1]
        singles = [
            (evidence(last.name, self.title(x) or "?"), bool(self.title(x)), x)
            for x, _ in self.gradients.get(_long_axes(np.shape(last.value)), ())
        ]
        singles.sort(key=lambda s: s[:2], reverse=True)
        if len(changes) > 1:
            yield from self._series(changes)
        seen: set[bytes] = set()
        for *_, x in singles:
            content = np.asarray(self.truth[x], dtype=np.float32).tobytes()  # but for rounding
            if content not in seen:
                seen.add(content)
                yield [(last, x)]

    def _series(self, changes: list[Change]) -> list[list[Pair]]:
        """Pairs of all values of a statement that ran several times with those of a name."""
        found: list[tuple[Any, list[Pair]]] = []
        for name, versions in [*self.names.items(), *self._unnamed]:
            said = evidence(changes[0].name, name) if name else 0
            versions = [x for x in versions if x in self.truth]
            if len(versions) < 2 or "[" in name:
                continue
            for row in (versions[::-1], versions):
                for skip in (0, 1, -1, 2, -2):
                    pairs = list(zip(changes[max(-skip, 0) :], row[max(skip, 0) :], strict=False))
                    if pairs and all(fits(c.value, x.shape) for c, x in pairs):
                        matching = sum(self.matches(c, x) for c, x in pairs)
                        spare = len(row) + len(changes) - 2 * len(pairs)
                        found.append(((said, matching / len(pairs), -spare), pairs))
        found.sort(key=lambda f: f[0], reverse=True)
        return [pairs for _, pairs in found]

    def _common_ratio(self, wrong: frozenset[str]) -> float | None:
        """By which number all wrong gradients differ from the true ones, if by one."""
        ratios = [self.comparison.ratio(self.outcome, name) for name in wrong]
        same = None not in ratios and close(ratios, ratios[:1] * len(ratios))
        return ratios[0] if same else None

    def _number(self, wrong: frozenset[str], overrides: Mapping[Key, Any]) -> Culprit | None:
        """A number, as m, from which several gradients have the same wrong factor."""
        common = self._common_ratio(wrong)
        if overrides or len(wrong) < 2 or common is None:
            return None
        for change in self.changes:
            n = float(change.value) if np.ndim(change.value) == 0 and len(change.path) == 1 else 0.0
            if not n or n == 1 or n in self.sizes or change.statement.node is None:
                continue
            for better in (n * common, n / common):
                size = next((s for s in self.sizes if abs(s / better - 1) < 1e-9), None)
                if size is None:
                    continue
                new = {(change.statement, change.n): [(change.path, size)]}
                if self.comparison.right(self.experiment.replayed(new)) >= wrong:
                    return Culprit(
                        change.statement, change.n, change.name, n, size, "", wrong, change.path, new,
                        common,
                    )  # fmt: skip
        return None

    def _own_line(self, wrong: frozenset[str]) -> Culprit:
        """The earliest of the statements that computed wrong gradients."""
        claims = [self.comparison.claims[name] for name in self.comparison.claims if name in wrong]
        order = {id(c): i for i, c in enumerate(self.changes)}
        first = min(claims, key=lambda c: order.get(id(c.change), len(order)))
        same = frozenset(c.input for c in claims if c.statement is first.statement)
        expected = self.comparison.expected(first.input)
        path = first.change.path if first.change else first.place.path
        return Culprit(
            first.statement, first.n, first.text, first.value, expected, first.input, same, path
        )


def _divides(statement: Statement) -> bool:
    """Whether a statement divides, as a mean does."""
    nodes = list(ast.walk(statement.node)) if statement.node else []
    return any(isinstance(n, ast.Div) or getattr(n, "attr", "") == "mean" for n in nodes)


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
