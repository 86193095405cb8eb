"""The claimed gradients beside the true ones."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation.claims import (
    REBOUND,
    STEP,
    UPDATE,
    Claim,
    Place,
    evidence,
    fits,
    match,
)
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, largest, ratio
from tinygrad_lr.check.derivation.experiment import Experiment, Outcome
from tinygrad_lr.check.derivation.forward import Truth
from tinygrad_lr.check.derivation.watch import Change, Path, Statement, name_of
from tinygrad_lr.tensor import Tensor, history

ROUNDING = 1e-7
UPDATES = (UPDATE, REBOUND)
PRECISION = {np.dtype("f4"): 1e-5, np.dtype("f2"): 1e-2}  # of a sum computed in them


class Comparison:
    """Which claims a backward pass makes, and which are right.

    Args:
        truth: the true gradients.
        experiment: the backward pass.
        names: what claims to be the gradient of what, said by the caller.
        extra: the true gradients of other values that `names` speaks of, by name.
        left_out: the inputs whose gradient nobody asks for.

    Attributes:
        outcome: what the pass did when it was watched.
        claims: by input.
        truth: the true gradients, by input.
        rtol: the relative difference that is rounding, or an eps that was left out.
        guard: the eps of a log(... + eps) in forward.
        saturated: whether forward takes logarithms of 0 but for rounding or an eps.
        rate: what updates multiply gradients by, -lr.
    """

    def __init__(
        self,
        truth: Truth,
        experiment: Experiment,
        names: Mapping[str, str],
        extra: Mapping[str, Any],
        left_out: Collection[str],
    ) -> None:
        self.experiment, self.names, self.left_out = experiment, names, left_out
        self.outcome = experiment.watched()
        self.paths = truth.paths
        self.truth = {name: truth.of[x] for name, x in truth.inputs.items()} | dict(extra)
        self.guard, left_out, self.saturated = _guards(truth.loss)
        kinds = (np.asarray(c.array).dtype for c in self.outcome.run.changes)
        coarsest = max((PRECISION.get(kind, 0.0) for kind in kinds), default=0.0)
        self.rtol = max(ROUNDING if truth.loss else 1e-6, min(5 * left_out, 0.02), coarsest)
        self._atol = _roundings(truth)
        self.claims: dict[str, Claim] = {}
        self.rate = 1.0
        matched = self.matched(self.outcome)
        self._match_steps(matched)
        self.claims = {name: self._claim(name, place) for name, place in matched.items()}
        self.rate = self._rate()
        if self.claims and not any(c.place.kind == STEP for c in self.claims.values()):
            experiment.look_at(claim.place for claim in self.claims.values())

    def matched(self, outcome: Outcome) -> dict[str, Place]:
        """Where the gradient of which input is."""
        return match(
            outcome.places, self.truth, self.paths, self.names, self.left_out, self.rtol
        )

    def gradient(self, outcome: Outcome, name: str) -> Any:
        """The claimed gradient of an input; None if there is none."""
        value = outcome.places.get(self.claims[name].place)
        update = value is not None and self.claims[name].place.kind in UPDATES
        return np.divide(value, self.rate) if update else value

    def right(self, outcome: Outcome) -> frozenset[str]:
        """The inputs whose gradients are right."""
        if self.claims:
            gradients = {name: self.gradient(outcome, name) for name in self.claims}
        else:  # a pass that has raised makes no claims before it is put right
            gradients = {name: outcome.places[p] for name, p in self.matched(outcome).items()}
        return frozenset(name for name, g in gradients.items() if self.is_right(name, g))

    def elements(self, outcome: Outcome) -> Any:
        """The elements of all claims in a row, of those whose shape does not fit nan."""
        rows = []
        for name in self.claims:
            shape = np.shape(self.truth[name])
            value = as_shape(self.gradient(outcome, name), shape)
            rows.append(np.ravel(np.full(shape, np.nan) if value is None else value))
        return np.concatenate(rows) if rows else np.zeros(0)

    def inputs_of(self, elements: Any) -> frozenset[str]:
        """The inputs that some of the elements, marked in such a row, belong to."""
        sizes = [np.size(self.truth[name]) for name in self.claims]
        parts = np.split(elements, np.cumsum(sizes)[:-1])
        return frozenset(name for name, part in zip(self.claims, parts, strict=True) if part.any())

    def right_elements(self, row: Any) -> Any:
        """Which elements of such a row are right."""
        truths = [np.ravel(self.truth[name]) for name in self.claims]
        size = np.concatenate([np.full(g.shape, largest(g)) for g in truths])
        return np.abs(row - np.concatenate(truths)) <= self.rtol * size

    def is_right(self, name: str, value: Any) -> bool:
        """Whether a gradient is the true one, but for axes of length 1 and rounding."""
        g = self.truth[name]
        fitting = None if value is None else as_shape(value, np.shape(g))
        return fitting is not None and close(fitting, g, self.rtol, self._atol.get(name, 0.0))

    def ratio(self, outcome: Outcome, name: str) -> float | None:
        """How many times the true gradient a gradient is."""
        if name not in self.claims:
            return None
        value, g = self.gradient(outcome, name), self.truth[name]
        fitting = None if value is None else as_shape(value, np.shape(g))
        return None if fitting is None else ratio(fitting, g)

    def expected(self, name: str) -> Any:
        """What an input's claim should be."""
        update = self.claims[name].place.kind in UPDATES
        return self.truth[name] * (self.rate if update else 1.0)

    def _match_steps(self, matched: dict[str, Place]) -> None:
        """Inputs in a list, whose gradients one variable held one after the other."""
        series: dict[tuple[Statement, Path], list[Change]] = {}
        for change in self.outcome.run.changes:
            if len(change.path) == 1:
                series.setdefault((change.statement, change.path), []).append(change)
        for name, g in self.truth.items():
            for (statement, path), changes in series.items() if name not in matched else ():
                fitting = [i for i, c in enumerate(changes) if fits(c.value, np.shape(g))]
                if len(changes) < 2 or not fitting or not evidence(str(path[0]), name):
                    continue
                right = [i for i in fitting if self.is_right(name, changes[i].value)]
                place = Place(STEP, (*path, (right or fitting)[0]))
                if name not in matched and place not in matched.values():
                    self.experiment.taps[statement, path] = []
                    self.outcome.places[place] = changes[place.path[-1]].value
                    matched[name] = place

    def _claim(self, name: str, place: Place) -> Claim:
        """A claim, with the statement that it comes from."""
        value, changes = self.outcome.places[place], self.outcome.run.changes
        if place.kind == STEP:
            statements = [s for s, path in self.experiment.taps if path == place.path[:-1]]
            source = [c for c in changes if c.statement in statements and c.path == place.path[:-1]]
            source = source[place.path[-1] :]
        elif place.kind in UPDATES:
            source = [c for c in changes if c.path == place.path or c.name == place.name][::-1]
        else:
            source = [c for c in changes if same(c.value, value)]
            named = [c for c in source if c.name == place.name][-1:]
            helper = [c for c in source if named and c.frame > named[0].frame and _calls(named[0])]
            trivial = _is_trivial(value)
            source = named if trivial else helper or named or source
        if not source:
            return Claim(name, place, value, place.name, self.outcome.run.end, 0)
        change = source[0]
        return Claim(name, place, value, change.name, change.statement, change.n, change)

    def _rate(self) -> float:
        """What updates multiply the gradient by: minus the learning rate, which stands in the code."""
        updates = [(n, c) for n, c in self.claims.items() if c.place.kind in UPDATES]
        ratios = []
        for name, claim in updates:
            value = as_shape(claim.value, np.shape(self.truth[name]))
            r = None if value is None else ratio(value, self.truth[name])
            ratios += [r] if r else []
        if not updates:
            return 1.0

        def votes(rate: float) -> int:
            return sum(abs(r / -rate - 1) < 1e-6 for r in ratios)

        numbers = list(dict.fromkeys(self._numbers(c.statement for _, c in updates)))
        best = max(numbers, key=votes, default=0.0)
        if best and (votes(best) or len(numbers) == 1):
            return -best
        falling = [r for r in ratios if r < 0]
        return falling[0] if falling else -abs(ratios[0]) if ratios else -1.0

    def _numbers(self, statements: Iterable[Statement]) -> Iterable[float]:
        """The positive numbers in statements: constants, and variables that hold one."""
        held = {c.name: c.value for c in self.outcome.run.changes if np.ndim(c.value) == 0}
        held |= {n: x for n, x in self.outcome.run.locals.items() if isinstance(x, (int, float))}
        held |= {name_of(p): x for p, x in self.experiment.before.items() if np.ndim(x) == 0}
        for statement in statements:
            for node in ast.walk(statement.node) if statement.node else ():
                value = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
                name = getattr(node, "id", getattr(node, "attr", None))
                value = held.get(name, value)
                number = isinstance(value, (int, float, np.ndarray, np.number))
                if number and not isinstance(value, bool) and value > 0:
                    yield float(value)


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same array."""
    return np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=True)


def _calls(change: Change) -> bool:
    """Whether a change comes out of a call, perhaps of a helper."""
    node = getattr(change.statement.node, "value", None)
    return isinstance(node, ast.Call)


def _is_trivial(x: Any) -> bool:
    """Whether a value is so common that it says nothing of where it comes from."""
    return not np.any(x) or (np.size(x) == 1 and float(np.ravel(x)[0]).is_integer())


def _guards(loss: Tensor | None) -> tuple[float, float, bool]:
    """(eps, what leaving it out costs, whether a logarithm is saturated) of log(... + eps)."""
    logs = [y for y in history(loss) if y.op.name == "log"] if loss is not None else []
    pairs = [(_guard(y), float(np.min(unwrap(y.inputs[0])))) for y in logs]
    eps = max((guard for guard, _ in pairs), default=0.0)
    left_out = max((guard / smallest for guard, smallest in pairs if smallest), default=0.0)
    return eps, left_out, any(smallest <= max(1e-14, 100 * eps) for _, smallest in pairs)


def _guard(log: Tensor) -> float:
    """The eps of a log(A + eps), which hand-written derivatives leave out; 0 if there is none."""
    z = log.inputs[0]
    if not z.op or z.op.name not in ("add", "maximum", "clip"):
        return 0.0
    numbers = [x for x in (*z.inputs, *z.params.values()) if isinstance(x, (int, float))]
    return next((float(x) for x in numbers if 0 < x <= 1e-5), 0.0)


def _roundings(truth: Truth) -> dict[str, float]:
    """The absolute error that rounding may leave in a gradient: its summands may cancel."""
    if truth.loss is None:
        return {name: 1e-8 * largest(truth.of[x]) for name, x in truth.inputs.items()}
    names = {id(x): name for name, x in truth.inputs.items()}
    sizes = dict.fromkeys(names.values(), 0.0)
    for y in history(truth.loss):
        inputs = list(map(unwrap, y.inputs))
        size = largest(truth.of.get(y, 0)) * max(1.0, *map(largest, inputs), 1.0)
        for x in y.inputs:
            if id(x) in names and np.isfinite(size):
                sizes[names[id(x)]] = max(sizes[names[id(x)]], 1e-14 * size)
    return sizes
