"""What a step records: operations that can be repeated with other values."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from tinygrad_lr.compiled.rewrites import UNGUARDED
from tinygrad_lr.messages.explain import describe
from tinygrad_lr.messages.origin import caller, locate
from tinygrad_lr.program.lowering import Lowering
from tinygrad_lr.program.symbols import Symbol
from tinygrad_lr.recording import RecordAll
from tinygrad_lr.tensor import Tensor


class RecordingError(TypeError):
    """A step that is recorded to be run again does what would not be the same the next time."""

    __module__ = "tinygrad_lr"


class Repeatable(RecordAll):
    """Keeps every result, and refuses to read values, which the next run has others of."""

    def read(self, tensor: Any, reader: str) -> Any:
        """Refuse the user's line."""
        raise RecordingError(
            f"{reader} reads the values of {describe(tensor)} in a step that is recorded: later "
            f"runs would go on with the values of this one. Choose by np.where(condition, a, b), "
            f"pass what is computed from it as an argument, and look at results after the step\n"
            f"  {locate(caller())}"
        )


class Recording(Lowering):
    """A loss and its gradients as Symbols of fixed shapes; what is not an argument is constant.

    Args:
        arguments: the tensors that a step is called with: the batch and the parameters.
        outside: the ids of values that the function does not compute; a Tensor among them, one of
            the `others`, may change from step to step.
        guarded: whether losses are computed by formulas that do not overflow.
    """

    def __init__(
        self, arguments: Sequence[Tensor], outside: Collection[int], guarded: bool
    ) -> None:
        super().__init__(fixed=True)
        self.arguments = [self.bind(x, self.trace.argument(x._array)) for x in arguments]
        self.others: dict[Symbol, Tensor] = {}
        self._outside, self._guarded = outside, guarded

    def _forward(self, node: Any) -> Any:
        unguarded = None if self._guarded else UNGUARDED.get(node.op.name)
        return unguarded or super()._forward(node)

    def _leaf(self, x: Any) -> Any:
        if not isinstance(x, Tensor) or id(x) not in self._outside:
            return super()._leaf(x)
        symbol = self.trace.argument(x._array)
        self.others[symbol] = x
        return symbol


class Recorded(NamedTuple):
    """A recorded step.

    Attributes:
        program: what runs it.
        others: tensors that it takes as well.
        state: the names of the optimizer's lists that it changes.
    """

    program: Any
    others: tuple[Tensor, ...]
    state: tuple[str, ...]
