"""The rows of a report: a line for each gradient of a backward pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.blame import Culprit
from tinygrad_lr.check.derivation.claims import evidence, fits
from tinygrad_lr.check.derivation.diagnosis import as_shape, difference, ratio
from tinygrad_lr.check.derivation.explain import Explanation
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.report import INHERITED, RIGHT, WRONG, Row
from tinygrad_lr.check.derivation.watch import Change, Statement
from tinygrad_lr.tensor import Tensor

Placed = tuple[int, Row]  # with the number of changes before it


def rows(marking: Marking) -> list[Row]:
    """A row for each gradient, in the order of the backward pass; before them an odd loss."""
    rows = _Rows(marking).all()
    if not marking.odd_loss:
        return rows
    rows = [Row(*row[:4], np.nan, np.nan, RIGHT) for row in rows]
    return [_loss_row(marking), *rows]


def _loss_row(marking: Marking) -> Row:
    """A row for the statement of forward that made the loss."""
    run, losses = marking.fore.run, (marking.truth.loss, marking.fore.output)
    made = [c for c in run.changes if any(c.value is loss for loss in losses)]
    statement, name = (made[-1].statement, made[-1].name) if made else (run.end, "loss")
    words = f"{marking.odd_loss}: the loss is the odd one out, not the backward pass"
    return Row(name, statement.line, statement.text, (), np.nan, np.nan, WRONG, words)


class _Rows:
    """The rows of a marked backward pass."""

    def __init__(self, marking: Marking) -> None:
        self.marking, self.blame, self.comparison = marking, marking.blame, marking.comparison
        self.changes = marking.run.changes
        self.order = {id(change): i for i, change in enumerate(self.changes)}
        self.conventional = False  # whether a row has said what is applied later

    def all(self) -> list[Row]:
        """All rows; of those for one name that which says more."""
        placed = {row.name: (at, row) for at, row in self._intermediates()}
        for at, row in self._claims():
            if row.name not in placed or placed[row.name][1].verdict == RIGHT:
                placed[row.name] = at, row
        placed |= {row.name: (at, row) for at, row in self._wrong()}
        return [row for _, row in sorted(placed.values(), key=itemgetter(0))]

    def _claims(self) -> Iterator[Placed]:
        """Rows for the gradients of inputs."""
        comparison = self.comparison
        right = comparison.right(comparison.outcome)
        for name, claim in comparison.claims.items():
            value, truth = comparison.gradient(comparison.outcome, name), comparison.truth[name]
            verdict, words = RIGHT if name in right else INHERITED, ""
            if name in right and np.shape(value) != np.shape(truth):
                words = f"right numbers in shape {np.shape(value)} for {np.shape(truth)}"
            at = self.order.get(id(claim.change), len(self.order))
            yield at, self._row(claim.text, claim.statement, value, truth, verdict, words)

    def _intermediates(self) -> Iterator[Placed]:
        """Rows for the variables that are named as gradients of forward's values."""
        blamed = {explanation.statement for _, explanation in self.marking.explanations}
        starts = (i for i, change in enumerate(self.changes) if change.statement in blamed)
        first = next(starts, len(self.changes))
        claimed = {(claim.statement, claim.text) for claim in self.comparison.claims.values()}
        latest = {change.name: change for change in self.changes if change.frame == 1}
        for name, change in latest.items():
            x = self._named_after(change)
            if x is None or (change.statement, name) in claimed or not np.size(change.value):
                continue
            row = self._intermediate(change, x, self.order[id(change)] >= first)
            if row:
                yield self.order[id(change)], row

    def _named_after(self, change: Change) -> Tensor | None:
        """The value of forward's whose gradient a variable is by its name, if there is one."""
        of, names = self.marking.truth.of, self.marking.fore.names
        versions = (xs for name, xs in names.items() if evidence(change.name, name) > 1)
        read = [x for xs in versions for x in xs if x in of]
        fitting = [x for x in read if fits(change.value, np.shape(of[x]))]
        matching = (x for x in fitting if self.blame.matches(change, x))
        return next(matching, next(iter(fitting or read), None))

    def _intermediate(self, change: Change, x: Tensor, inherits: bool) -> Row | None:
        """A row for a variable that is named after x, or None if nothing can be said of it."""
        truth, blame, verdict, words = self.marking.truth.of[x], self.blame, RIGHT, ""
        fitting = as_shape(change.value, np.shape(truth))
        factor = None if fitting is None else ratio(fitting, truth)
        if not blame.matches(change, x):
            if factor and blame.is_natural(factor):
                words = self._convention(factor)
            elif title := self._other(change):
                words = f"by its name the gradient of {blame.title(x)}; it is that of {title}"
                truth = None
            elif inherits:
                verdict = INHERITED
            else:
                return None
        return self._row(change.name, change.statement, change.value, truth, verdict, words)

    def _other(self, change: Change) -> str:
        """The name of the value of forward's whose gradient this is; empty if of none."""
        other = self.blame.is_gradient(change.value)
        return "" if other is None else self.blame.title(other)

    def _convention(self, factor: float) -> str:
        """The words for a factor that is applied later; they are said once."""
        if self.conventional:
            return ""
        self.conventional, sizes = True, self.marking.sizes
        names = {1 / n: f"1/{n}" for n in sizes} | {float(n): str(n) for n in sizes}
        text = next((t for c, t in names.items() if abs(c / factor - 1) < 1e-9), f"{factor:.6g}")
        return f"by convention {text} times the gradient: the factor is applied later"

    def _wrong(self) -> Iterator[Placed]:
        """Rows for what is wrong by itself, or for the statement that raised an error."""
        for culprit, explanation in self.marking.explanations:
            yield self._culprit(culprit, explanation)
        error, end = self.marking.run.error, self.marking.run.end
        if error and not self.marking.explanations:
            name = min(end.assigned, default=end.text)
            words = f"raises {type(error).__name__}: {error}"
            row = Row(name, end.line, end.text, (), np.nan, np.nan, WRONG, words)
            yield len(self.order) + 1, row

    def _culprit(self, culprit: Culprit, explanation: Explanation) -> Placed:
        """A row for an explanation, under the name of what its statement assigns to."""
        statement = explanation.statement
        own = [change for change in self.changes if change.statement == statement]
        at = self.order[id(own[0])] if own else len(self.order)
        name, value, expected = culprit.name, culprit.value, culprit.expected
        if statement != culprit.statement:
            kinds = {ast.For: "the loop", ast.If: "the branch"}
            other = kinds.get(type(statement.node), "returned value")
            name, value, expected = own[0].name if own else other, None, None
        row = self._row(name, statement, value, expected, WRONG, explanation.words)
        return at, row._replace(correction=explanation.correction)

    def _row(
        self, name: str, statement: Statement, value: Any, truth: Any, verdict: str, words: str
    ) -> Row:
        off, shape = difference(value, truth), np.shape(value)
        function = statement.function
        if function == self.marking.experiment.passes.name(1) or function.startswith("<"):
            function = ""
        row = Row(name, statement.line, statement.text, shape, *off, verdict, words)
        return row._replace(function=function)
