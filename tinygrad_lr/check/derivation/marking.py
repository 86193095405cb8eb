"""Judges the claims of a backward pass: right, wrong here, or inherited."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import Claim, Pair
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, largest, ratio
from tinygrad_lr.check.derivation.judgement import Judgement, Mark, Reading, TurnedChange
from tinygrad_lr.check.derivation.report import INHERITED, RIGHT, WRONG
from tinygrad_lr.check.derivation.watch import Change, Run
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.tensor import Tensor, gradients

READINGS, SCALES = 8, 8  # so many are tried, the likeliest first


class Marking:
    """A backward pass beside the true one.

    Args:
        loss: what forward returned.
        targets: forward's names.
        back: what backward did.
        arguments: what it was called with.
        claims: what it claims.
        sizes: names for the numbers that a gradient may be divided by, that of the samples first.
        data: the inputs that are samples and labels.
    """

    def __init__(
        self,
        loss: Tensor,
        targets: Mapping[str, list[Tensor]],
        back: Run,
        arguments: Mapping[str, Any],
        claims: list[Claim],
        sizes: Mapping[int, str],
        data: Mapping[str, Any],
    ) -> None:
        self.loss, self.targets, self.back, self.arguments = loss, targets, back, arguments
        self.claims = {claim.name: claim for claim in claims}
        self.sizes, self.data = sizes, data
        self.samples = next(iter(sizes), 1)
        self.truth = gradients(loss)
        self.names = {x: name for name, xs in reversed(list(targets.items())) for x in xs}
        self.uses: dict[Tensor, list[Tensor]] = {}
        for y in self.truth:
            for x in {id(x): x for x in y.inputs if isinstance(x, Tensor)}.values():
                self.uses.setdefault(x, []).append(y)
        self.order = {id(change): i for i, change in enumerate(back.changes)}
        logs = [y for y in self._computed_from(claims) if y.op and y.op.name == "log"]
        guards = [(_guard(y), np.min(y.inputs[0]._array)) for y in logs]
        self.eps = max((eps for eps, _ in guards), default=0.0)
        left_out = max((eps / smallest for eps, smallest in guards), default=0.0)
        self.rtol = max(1e-7, min(5 * left_out, 0.02))
        self.saturated = any(smallest <= max(1e-14, 100 * self.eps) for _, smallest in guards)
        self._roundings: dict[Tensor, float] = {}
        # Under ids of changes; the changes are held, so that no id is used again.
        self._right: dict[tuple[int, Tensor, float], tuple[Change, bool]] = {}

    def _computed_from(self, claims: list[Claim]) -> set[Tensor]:
        """The values whose gradients are claimed, and all that forward made of them."""
        found = {x for claim in claims for way in claim.readings for _, x in way}
        for y in sorted(self.truth, key=lambda y: y.serial):
            if any(isinstance(x, Tensor) and x in found for x in y.inputs):
                found.add(y)
        return found

    def name(self, x: Tensor) -> str:
        """What the user calls a value, or the expression for it."""
        return self.names.get(x) or (locate(x.origin).text if x.origin else "") or "a value"

    def place(self, change: Change) -> int:
        """The number of a change in the order in which they were made."""
        return self.order.get(id(change), len(self.order))

    def rounding(self, x: Tensor, scale: float = 1.0) -> float:
        """The absolute error that rounding may leave in a gradient: its summands may cancel."""
        if x not in self._roundings:
            summands = [
                largest(self.truth[y])
                * max(1.0, *(largest(getattr(i, "_array", i)) for i in y.inputs))
                for y in self.uses.get(x, [])
            ]
            finite = [size for size in summands if np.isfinite(size)]
            self._roundings[x] = 1e-14 * max(finite, default=0.0)
        return self._roundings[x] * max(1.0, abs(scale))

    def close(self, a: Any, b: Any, x: Tensor | None = None, scale: float = 1.0) -> bool:
        """Whether two gradients are equal but for rounding."""
        return close(a, b, self.rtol, 0.0 if x is None else self.rounding(x, scale))

    def judge(self, reading: Reading, scale: float = 1.0) -> Judgement:
        """The verdict on every value, if backward computes gradients of scale * loss.

        By convention the factor is missing again in the gradients of the parameters.
        """
        given: dict[Tensor, Any] = {}
        behind: set[Tensor] = set()  # what cannot go on, so that nothing is known of the rest
        for change, x in itertools.chain(*reading.values()):
            if x.op is None or x not in self.truth:
                continue
            value = _spread(change.value, x.shape)
            if value is None:
                behind |= gradients(x, np.ones(x.shape)).keys() - {x}
            elif x not in given or not self.close(given[x], self.truth.get(x, 0) * scale, x, scale):
                given[x] = value
        found = gradients(self.loss, np.full(self.loss.shape, scale), overrides=given)
        judgement = Judgement(reading, scale, given, found, {})
        for name, pairs in reading.items():
            judgement.marks[name] = [
                self._mark(judgement, change, x, x in behind) for change, x in pairs
            ]
        return judgement

    def _mark(self, judgement: Judgement, change: Change, x: Tensor, behind: bool) -> Mark:
        scale, zero = judgement.scale, np.zeros(x.shape)
        truth = self.truth.get(x, zero) * judgement.counted(x)
        expected = judgement.found.get(x, zero) * (judgement.counted(x) / scale)
        value = as_shape(change.value, x.shape)
        key = id(change), x, scale
        if key not in self._right:
            same = value is not None and self.close(value, truth, x, scale)
            self._right[key] = change, same
        if self._right[key][1]:
            verdict = RIGHT
        elif behind or (value is not None and self.close(value, expected, x, scale)):
            verdict = INHERITED
        else:
            verdict = WRONG
        return Mark(change, x, verdict, truth, expected)

    def most_charitable(self) -> Judgement:
        """The verdicts for the reading of the claims, and the scale, that leave fewest errors."""
        likeliest = {
            name: max(claim.readings, key=self._likeness) for name, claim in self.claims.items()
        }
        leaves = [x for _, x in itertools.chain(*likeliest.values()) if x.op is None]

        def judge(reading: Reading, scales: list[float]) -> Judgement:
            """A factor is a convention if it comes out right in the end, or explains more."""
            best = self.judge(reading)
            plain = best.score[0]
            for c in scales:
                if best.score == (0, 0):
                    break
                tried = self.judge(reading, c)
                applied = any(m.verdict == RIGHT and m.x.op is None for m in tried.all_marks)
                if tried.score < best.score and (applied or not leaves or tried.score[0] < plain):
                    best = tried
            return best

        best = judge(likeliest, self._scales(likeliest) if leaves or self.back.error else [])
        for name, claim in self.claims.items():
            at = next(i for i, way in enumerate(claim.readings) if way is best.reading[name])
            for n, pairs in enumerate(claim.readings[:READINGS]):
                if best.score == (0, 0):
                    return best
                if pairs is not best.reading[name]:
                    tried = judge({**best.reading, name: pairs}, [best.scale] * (best.scale != 1))
                    if (tried.score[0], n) < (best.score[0], at):
                        best = tried
        return best if self.back.error else self._turned(best)

    def _turned(self, best: Judgement) -> Judgement:
        """The verdicts with rows for columns under one name, if nothing is wrong then."""
        amiss = [
            name for name, marks in best.marks.items() if {m.verdict for m in marks} != {RIGHT}
        ]
        if len(amiss) != 1:
            return best
        turned = [
            (TurnedChange(c.path, np.transpose(c.value), c.statement) if x.op else c, x)
            for c, x in best.reading[amiss[0]]
        ]
        tried = self.judge({**best.reading, amiss[0]: turned}, best.scale)
        return tried if tried.score == (0, 0) else best

    def _likeness(self, pairs: list[Pair]) -> float:
        """How many values look like the truth, one of another size counted half."""
        fitting = [(as_shape(c.value, x.shape), self.truth.get(x)) for c, x in pairs]
        known = [(v, g) for v, g in fitting if v is not None and g is not None]
        return sum(
            1.0 if close(v, g, self.rtol) else 0.5 * (g.size > 1 and ratio(v, g) is not None)
            for v, g in known
        )

    def _scales(self, reading: Reading) -> list[float]:
        """The factors that may be left out by convention."""
        scales = dict.fromkeys([1.0, float(self.samples)])
        for change, x in itertools.chain(*reading.values()):
            value = as_shape(change.value, x.shape)
            if x.op and value is not None:
                scales.setdefault(float(x.size))
                if c := ratio(value, self.truth.get(x, 0 * value)):
                    scales.setdefault(float(f"{c:.12g}"))
        return list(scales)[1:SCALES]


def _guard(log: Tensor) -> float:
    """The eps of a log(A + eps), which hand-written derivatives leave out; 0 if there is none."""
    z = log.inputs[0]
    if not z.op or z.op.name not in ("add", "maximum", "clip"):
        return 0.0
    numbers = [x for x in (*z.inputs, *z.params.values()) if isinstance(x, (int, float))]
    return next((float(x) for x in numbers if 0 < x <= 1e-5), 0.0)


def _spread(value: Any, shape: tuple[int, ...]) -> Any:
    """A value as it works on in later lines for one of a shape; None if it does not fit."""
    fitting = as_shape(value, shape)
    if fitting is None and np.ndim(value) <= len(shape):
        try:
            fitting = np.broadcast_to(np.asarray(value, dtype=float), shape)
        except ValueError:
            return None
    return fitting
