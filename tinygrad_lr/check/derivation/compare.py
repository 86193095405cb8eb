"""The claimed gradients beside the true ones."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation import updates
from tinygrad_lr.check.derivation.claims import (
    STEP,
    UPDATES,
    Claim,
    Place,
    evidence,
    fits,
)
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, largest, ratio
from tinygrad_lr.check.derivation.experiment import Experiment, Outcome
from tinygrad_lr.check.derivation.match import Matcher
from tinygrad_lr.check.derivation.truth import Truth
from tinygrad_lr.check.derivation.watch import Change, Path, Statement
from tinygrad_lr.tensor import Tensor, history

ROUNDING = 1e-7
VIEWS = ("transpose", "reshape", "getitem", "broadcast_to")
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
        self.guard, cost, self.saturated = _guards(truth.loss)
        kinds = (np.asarray(c.array).dtype for c in self.outcome.run.changes)
        coarsest = max((PRECISION.get(kind, 0.0) for kind in kinds), default=0.0)
        self.rtol = max(1e-6 if truth.loss is None else ROUNDING, min(5 * cost, 0.02), coarsest)
        self._atol = _roundings(truth)
        self.claims: dict[str, Claim] = {}
        self.rate = 1.0
        matched = self.matched(self.outcome)
        self._match_steps(matched)
        claims = {name: self._claim(name, place) for name, place in matched.items()}
        self.claims = {name: claim for name, claim in claims.items() if self._is_meant(claim)}
        self.rate = updates.rate(self.claims, self.truth, experiment, self.outcome.run)
        steps = any(claim.place.kind == STEP for claim in self.claims.values())
        if self.claims and not (steps or self.outcome.run.error):
            experiment.look_at(claim.place for claim in self.claims.values())

    def matched(self, outcome: Outcome) -> dict[str, Place]:
        """Where the gradient of which input is."""
        layer = self.experiment.upstream is not None
        matcher = Matcher(self.truth, self.paths, self.names, self.left_out, self.rtol, layer)
        return matcher.match(outcome.places)

    def gradient(self, outcome: Outcome, name: str) -> Any:
        """The claimed gradient of an input; None if there is none."""
        place = self.claims[name].place
        value = outcome.places.get(place)
        return value if value is None or place.kind not in UPDATES else np.divide(value, self.rate)

    def right(self, outcome: Outcome) -> frozenset[str]:
        """The inputs whose gradients are right."""
        if self.claims and not self.outcome.run.error:
            gradients = {name: self.gradient(outcome, name) for name in self.claims}
        else:  # a pass that has raised makes its claims when it is put right
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
        series = {key: row for key, row in series.items() if len(row) > 1 and _any(row)}
        for name in [name for name in self.truth if name not in matched]:
            for (statement, path), changes in series.items():
                step = self._step(name, changes)
                place = Place(STEP, (*path, step))
                if step is not None and place not in matched.values():
                    self.experiment.taps[statement, path] = []
                    self.outcome.places[place] = changes[step].value
                    matched[name] = place
                    break

    def _step(self, name: str, changes: Sequence[Change]) -> int | None:
        """Which of the values that a variable held is the gradient of an input."""
        shape = np.shape(self.truth[name])
        fitting = [i for i, c in enumerate(changes) if fits(c.value, shape)]
        if not fitting or not evidence(str(changes[0].path[0]), name):
            return None
        right = next((i for i in fitting if self.is_right(name, changes[i].value)), None)
        return fitting[0] if right is None and name not in self.left_out else right

    def _claim(self, name: str, place: Place) -> Claim:
        """A claim, with the statement that it comes from."""
        value, change = self.outcome.places[place], self._source(place)
        if change is None or self._is_another(name, value, change):
            return Claim(name, place, value, place.name, self.outcome.run.end, 0)
        return Claim(name, place, value, change.name, change.statement, change.n, change)

    def _is_meant(self, claim: Claim) -> bool:
        """Whether a claim is one: of samples, what is right or is named so."""
        asked = claim.input not in self.left_out or self.experiment.upstream is not None
        if asked or self.is_right(claim.input, claim.value) or claim.change is None:
            return True
        return any(evidence(text, claim.input) for text in (claim.text, claim.place.name))

    def _is_another(self, name: str, value: Any, change: Change) -> bool:
        """Whether the right gradient of an input was computed, and another value returned."""
        if self.is_right(name, value) or evidence(change.name, name):
            return False
        named = (c for c in self.outcome.run.changes if evidence(c.name, name) > 1)
        return any(self.is_right(name, c.value) for c in named)

    def _source(self, place: Place) -> Change | None:
        """The change that gave a place its value; None if there is none."""
        changes = self.outcome.run.changes
        if place.kind == STEP:
            variable, step = place.path[:-1], place.path[-1]
            tapped = {statement for statement, path in self.experiment.taps if path == variable}
            steps = (c for c in changes if c.path == variable and c.statement in tapped)
            return next(itertools.islice(steps, step, None))
        if place.kind in UPDATES:
            own = (c for c in reversed(changes) if place.path == c.path or place.name == c.name)
            return next(own, None)
        return _computed(self.outcome.places[place], place.name, changes)


def _computed(value: Any, name: str, changes: Sequence[Change]) -> Change | None:
    """The change that computed a value: the first under its name, or in the helper it calls."""
    sources = [change for change in changes if same(change.value, value)]
    named = [change for change in sources if change.name == name]
    if _is_trivial(value) or not sources:
        return named[-1] if named else None
    if not named:
        return sources[0]
    helpers = (change for change in sources if change.frame > named[0].frame)
    return next(helpers, named[0]) if _calls(named[0]) else named[0]


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same array."""
    return np.shape(a) == np.shape(b) and np.array_equal(a, b, equal_nan=True)


def _any(changes: Sequence[Change]) -> bool:
    """Whether some values are not the zeros that are filled later."""
    return any(np.any(change.value) for change in changes)


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
    cost = max((guard / smallest for guard, smallest in pairs if smallest), default=0.0)
    return eps, cost, any(smallest <= max(1e-14, 100 * eps) for _, smallest in pairs)


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
    sizes: dict[Tensor, float] = {}
    for y in history(truth.loss):
        inputs, g = list(map(unwrap, y.inputs)), largest(truth.of.get(y, 0))
        size = 1e-14 * g * max(1.0, *map(largest, inputs), 1.0)
        for x in y.inputs:
            if isinstance(x, Tensor) and np.isfinite(size):
                as_it_came = sizes.get(y, 0.0) if y.op.name in VIEWS else 0.0
                sizes[x] = max(sizes.get(x, 0.0), size, as_it_came)
    return {name: sizes.get(x, 0.0) for name, x in truth.inputs.items()}
