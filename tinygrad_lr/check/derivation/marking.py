"""Mark a backward pass: compare it with the truth, and explain what is wrong."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation import odd_loss
from tinygrad_lr.check.derivation.blame import Blame, Culprit
from tinygrad_lr.check.derivation.claims import evidence
from tinygrad_lr.check.derivation.compare import Comparison
from tinygrad_lr.check.derivation.data import (
    data_of,
    excused,
    likely_data,
    named_sizes,
    number_of_samples,
)
from tinygrad_lr.check.derivation.diagnosis import difference
from tinygrad_lr.check.derivation.experiment import Experiment
from tinygrad_lr.check.derivation.explain import Explainer, Explanation
from tinygrad_lr.check.derivation.forward import Forward
from tinygrad_lr.check.derivation.rewrite import substituted
from tinygrad_lr.check.derivation.truth import Truth
from tinygrad_lr.check.derivation.watch import Statement


class Marking:
    """A backward pass beside the truth.

    Args:
        fore: the forward pass.
        truth: the true gradients.
        experiment: the backward pass.
        inputs: what forward was given.
        names: what is the gradient of what, said by the caller.
        wrt: the inputs whose gradients have to be right, if the caller says so.

    Attributes:
        left_out: the inputs that are likely to be samples or settings, or not among `wrt`.
        excused: the inputs that need no gradient.
        data: the inputs that are samples and labels.
        explanations: the statements that are wrong, and why.
        odd_loss: why the loss is wrong and not the backward pass; empty if it is not.
        eps: in words, an eps in backward that is all that is wrong; empty if there is none.
    """

    def __init__(
        self,
        fore: Forward,
        truth: Truth,
        experiment: Experiment,
        inputs: Mapping[str, Any],
        names: Mapping[str, str],
        wrt: Sequence[str] | None,
    ) -> None:
        self.fore, self.truth, self.experiment, self.inputs = fore, truth, experiment, inputs
        self.wrt = wrt
        extra = {}
        for name, target in names.items():
            if target not in fore.names:
                raise ValueError(f"names={{{name!r}: {target!r}}}: forward has no value {target!r}")
            x = fore.names[target][-1]
            if target not in truth.inputs and x in truth.of:
                extra[target] = truth.of[x]
        is_loss = experiment.upstream is None
        if wrt is None:
            self.left_out = likely_data(truth, inputs, fore.names, is_loss)
        else:
            self.left_out = truth.inputs.keys() - set(wrt)
        self.comparison = Comparison(truth, experiment, names, extra, self.left_out)
        self.run = self.comparison.outcome.run
        values = {name: claim.value for name, claim in self.comparison.claims.items()}
        owner = experiment.passes.world["owners"][0]
        self.excused = self.left_out
        if wrt is None:
            self.excused = excused(truth, inputs, fore.names, values, owner, is_loss)
        self.data = data_of(inputs, self.comparison.claims)
        self.sizes = named_sizes(self.data)
        self.blame = Blame(self.comparison, truth.of, truth.parts(), fore.names, self.sizes)
        self.explanations: list[tuple[Culprit, Explanation]] = []
        self.odd_loss = self.eps = ""

    def explain(self) -> None:
        """Find out what is wrong: statements of the backward pass, or the loss."""
        comparison, loss = self.comparison, self.truth.loss
        claims = {
            name: comparison.gradient(comparison.outcome, name)
            for name in comparison.claims
            if name in self.truth.inputs
        }
        if loss is None or self.run.error or comparison.right(comparison.outcome):
            claims = {}  # the loss is suspected only if no gradient is right
        factor, m = odd_loss.common_ratio(claims, comparison.truth), self._samples()
        if factor and loss is not None and odd_loss.is_likelihood(loss, factor, m):
            self.odd_loss = (
                "the gradients are minus those of forward's loss, negative as a log-likelihood is"
            )
            return
        words = ""
        if factor and loss is not None and len(claims) > 1:
            words = odd_loss.summed_for_mean(loss, factor, m)
        self.blame.scaled = not words
        if not comparison.saturated:
            self._explain_statements()
        if claims and not self._is_explained(scaled=bool(words)):
            self.odd_loss = words or self._other_loss(claims)
            if self.odd_loss:
                self.explanations.clear()

    def _samples(self) -> int:
        return number_of_samples(self.data) or 1

    def _explain_statements(self) -> None:
        """Find the statements that are wrong, or the eps that explains all."""
        comparison = self.comparison
        wrong = comparison.right(comparison.outcome) < comparison.claims.keys()
        if wrong:
            self.eps = self._guards()
        if (wrong or self.run.error) and not self.eps:
            self.explanations = Explainer(self.blame).all()

    def _is_explained(self, scaled: bool) -> bool:
        """Whether what is wrong is explained, so that the loss is not to blame.

        Args:
            scaled: whether all gradients are the same multiple of the true ones.
        """
        claims = self.comparison.claims
        for culprit, _ in self.explanations:
            own = {claims[name].statement for name in culprit.inputs if name in claims}
            if culprit.statement not in own:  # it stands before the gradients
                return True
        certain = len(self.explanations) == 1 and self.explanations[0][1].words != "unknown"
        return bool(self.eps) or (certain and not scaled)

    def _other_loss(self, claims: Mapping[str, Any]) -> str:
        """Which other loss the gradients are those of, if none before them is right either."""
        for change in self.run.changes:
            named = np.ndim(change.value) and any(
                evidence(change.name, name) > 1 for name in self.fore.names
            )
            if named and self.blame.is_gradient(change.value) is not None:
                return ""
        return odd_loss.other_loss(
            claims, self.truth.inputs, self.fore.names, self.data, self._samples()
        )

    def _guards(self) -> str:
        """The eps in a denominator or a logarithm of backward, if without it all is right."""
        edits: dict[Statement, ast.stmt] = {}
        comparison, lines = self.comparison, []
        for statement in dict.fromkeys(change.statement for change in self.run.changes):
            nodes = ast.walk(statement.node) if statement.node else ()
            small = {id(n): eps for n in nodes if (eps := _eps(n))}
            if small:
                zeros = {node: ast.Constant(0.0) for node in small}
                edits[statement] = substituted(statement.node, zeros)
                lines.append(f"the {next(iter(small.values())):g} in line {statement.line}")
        outcome = self.experiment.rewritten(edits) if edits else None
        if outcome is None or comparison.right(outcome) < comparison.claims.keys():
            return ""
        values = {name: comparison.gradient(comparison.outcome, name) for name in comparison.claims}
        off = max(difference(value, comparison.truth[name])[1] for name, value in values.items())
        if not off <= 1e-2:  # or nan
            return ""
        comparison.rtol = max(comparison.rtol, 2 * off)
        return f"right to {max(1, int(-np.log10(off)))} digits: {' and '.join(lines)}"


def _eps(node: ast.AST) -> float:
    """The number that keeps a denominator or a logarithm from 0, if a node is one; else 0."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, float) and 0 < value <= 1e-4 else 0.0
