"""The verdicts on a backward pass."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_lr.check.derivation.claims import Pair
from tinygrad_lr.check.derivation.report import RIGHT, WRONG
from tinygrad_lr.check.derivation.watch import Change
from tinygrad_lr.tensor import Tensor

Reading = dict[str, list[Pair]]  # what each name in backward is taken for


class Mark(NamedTuple):
    """The verdict on one value.

    Attributes:
        change: the value, and the statement that made it.
        x: what it claims to be the gradient of.
        verdict: "right", "wrong here" or "inherited".
        truth: the true gradient.
        expected: what the chain rule gives from the learner's own gradients.
    """

    change: Change
    x: Tensor
    verdict: str
    truth: Any
    expected: Any


class Judgement(NamedTuple):
    """All verdicts, for one way to read the claims.

    Attributes:
        reading: what each name is taken for.
        scale: backward computes the gradients of scale * loss.
        given: the learner's own gradients.
        found: what the chain rule gives from those.
        marks: the verdicts under each name.
    """

    reading: Reading
    scale: float
    given: dict[Tensor, Any]
    found: dict[Tensor, Any]
    marks: dict[str, list[Mark]]

    @property
    def all_marks(self) -> Iterator[Mark]:
        """The verdicts under all names."""
        return itertools.chain(*self.marks.values())

    @property
    def wrong(self) -> list[Mark]:
        """What is wrong by itself."""
        return [mark for mark in self.all_marks if mark.verdict == WRONG]

    @property
    def score(self) -> tuple[int, int]:
        """How many lines are wrong by themselves, and how many claims are not right."""
        claims = sum({m.verdict for m in marks} != {RIGHT} for marks in self.marks.values())
        return len({mark.change.statement.line for mark in self.wrong}), claims

    @property
    def taken(self) -> set[int]:
        """The ids of the changes that are claims."""
        return {id(change) for change, _ in itertools.chain(*self.reading.values())}

    def counted(self, x: Tensor) -> float:
        """What is left of the scale in a gradient: none in a parameter's, by convention."""
        return self.scale if x.op else 1.0


class TurnedChange(Change):
    """A value whose rows are forward's columns."""
