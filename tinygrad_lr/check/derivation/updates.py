"""The learning rate of updates `W -= lr * dW`, which hold gradients only as multiples."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import UPDATES, Claim
from tinygrad_lr.check.derivation.diagnosis import as_shape, ratio
from tinygrad_lr.check.derivation.experiment import Experiment
from tinygrad_lr.check.derivation.watch import Run, Statement, name_of


def rate(
    claims: Mapping[str, Claim], truth: Mapping[str, Any], experiment: Experiment, run: Run
) -> float:
    """What updates multiply gradients by: minus the learning rate, a number in the code; else 1."""
    updates = {name: claim for name, claim in claims.items() if claim.place.kind in UPDATES}
    if not updates:
        return 1.0
    fitting = {n: as_shape(claim.value, np.shape(truth[n])) for n, claim in updates.items()}
    ratios = [r for n, x in fitting.items() if x is not None and (r := ratio(x, truth[n]))]

    def votes(number: float) -> int:
        return sum(abs(r / -number - 1) < 1e-6 for r in ratios)

    statements = (claim.statement for claim in updates.values())
    numbers = list(_numbers(statements, _scalars(experiment, run)))
    best = max(numbers, key=votes, default=0.0)
    if best and (votes(best) or len(set(numbers)) == 1):
        return -best
    falling = [r for r in ratios if r < 0]
    return falling[0] if falling else -abs(ratios[0]) if ratios else -1.0


def _scalars(experiment: Experiment, run: Run) -> dict[str, Any]:
    """What the variables and attributes hold that are numbers."""
    scalars = dict[str, Any](experiment.passes.state.numbers)
    scalars |= {c.name: c.value for c in run.changes if np.ndim(c.value) == 0}
    scalars |= {name: x for name, x in run.locals.items() if isinstance(x, (int, float))}
    scalars |= {name_of(path): x for path, x in experiment.before.items() if np.ndim(x) == 0}
    return scalars


def _numbers(statements: Iterable[Statement], scalars: Mapping[str, Any]) -> Iterator[float]:
    """The positive numbers in statements: constants, and variables that hold one; no indices."""
    for statement in statements:
        for node in _outside_indices(statement.node):
            name = getattr(node, "id", getattr(node, "attr", ""))
            value: Any = node.value if isinstance(node, ast.Constant) else scalars.get(name)
            number = isinstance(value, (int, float, np.ndarray, np.number))
            if number and not isinstance(value, bool) and value > 0:
                yield float(value)


def _outside_indices(node: ast.AST | None) -> Iterator[ast.AST]:
    """The nodes of a tree that are in no index."""
    if node is not None:
        yield node
        for name, field in ast.iter_fields(node):
            for inner in field if isinstance(field, list) else [field]:
                if isinstance(inner, ast.AST) and name != "slice":
                    yield from _outside_indices(inner)
