"""The way from what is claimed to a gradient, and what comes out when something on it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.judgement import Judgement
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.tensor import Tensor, gradients, op_rules


class Way:
    """What the gradient of a value is made of, from the claims before it on.

    Args:
        marking: the backward pass.
        judged: the verdicts on it.
        x: the value.

    Attributes:
        own: the learner's gradients of other values.
        region: what is computed from the value, up to what has a gradient of the learner's.
        share: what the gradient of scale * loss is divided by for the value's.
    """

    def __init__(self, marking: Marking, judged: Judgement, x: Tensor) -> None:
        self.marking, self.judged, self.x = marking, judged, x
        self.share = judged.scale / judged.counted(x)
        self.own = {y: g for y, g in judged.given.items() if y is not x}
        self.region: set[Tensor] = set()
        waiting = [x]
        while waiting:
            for y in marking.uses.get(waiting.pop(), []):
                if y not in self.region:
                    self.region.add(y)
                    if y not in self.own:
                        waiting.append(y)

    def gradient(self, given: Mapping[Tensor, Any], rules: Callable[[Any], Any] = op_rules) -> Any:
        """The value's gradient if others are given, or rules; None if the shapes do not fit."""
        if self.x in given:
            return given[self.x] / self.share
        seed = np.full(self.marking.loss.shape, self.judged.scale)

        def on_the_way(node: Tensor) -> Any:
            return rules(node) if node in self.region else ()

        try:
            with np.errstate(all="ignore"):
                found = gradients(
                    self.marking.loss, seed, overrides={**self.own, **given}, rules_of=on_the_way
                )
        except (ValueError, IndexError, TypeError):
            return None
        return found[self.x] / self.share if self.x in found else None

    def terms(self) -> list[Any]:
        """What arrives at the value from each of its uses."""
        uses = [y for y in self.marking.uses.get(self.x, []) if y in self.judged.found]
        return [self._term(y) for y in uses]

    def _term(self, y: Tensor) -> Any:
        def only(node: Tensor) -> Any:
            return op_rules(node) if node is y else ()

        g = self.judged.given.get(y, self.judged.found[y])
        return gradients(y, g, rules_of=only)[self.x] / self.share
