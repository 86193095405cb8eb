"""From a loss and an optimizer to the program of a step."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.compiled.blocks import BlockedProgram
from tinygrad_lr.compiled.buffers import BufferedProgram
from tinygrad_lr.compiled.floats import FloatProgram
from tinygrad_lr.compiled.plan import NotApplicable, PackedArrays, PackedState, Plan
from tinygrad_lr.compiled.rewrites import UNGUARDED, Augmented, common_factor, faster
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming.names import nodes
from tinygrad_lr.optim import SGD
from tinygrad_lr.program.lowering import Lowering, trace_update
from tinygrad_lr.program.named import LABELLED
from tinygrad_lr.program.recorder import Mask, RecordingError, Repeatable
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import Symbol
from tinygrad_lr.recording import current, recording
from tinygrad_lr.tensor import Tensor, history


class Recording(Lowering):
    """A loss and its gradients as Symbols of fixed shapes; what is not an argument is constant.

    Args:
        arguments: the tensors that a step is called with: the batch and the parameters.
        outside: the ids of values that the function does not compute; a Tensor among them, one of
            the `others`, may change from step to step.
        guarded: whether losses are computed by formulas that do not overflow.
        detached: the results that leaves are copies of, by the ids of their arrays.
    """

    def __init__(
        self,
        arguments: Sequence[Tensor],
        outside: Collection[int],
        guarded: bool,
        detached: Mapping[int, Tensor],
    ) -> None:
        super().__init__(fixed=True)
        self.arguments = [self.bind(x, self.trace.argument(x._array)) for x in arguments]
        self.others: dict[Symbol, Tensor] = {}
        self._outside, self._guarded, self._detached = outside, guarded, detached

    def _forward(self, node: Any) -> Any:
        unguarded = None if self._guarded else UNGUARDED.get(node.op.name)
        return unguarded or super()._forward(node)

    def _node_params(self, node: Any) -> Any:
        index = node.params.get("index", ())
        if any(isinstance(x, Mask) for x in (index if isinstance(index, tuple) else (index,))):
            raise RecordingError(
                f"a mask as an index takes as many elements as there are, others for other data: "
                f"use np.where(mask, a, 0)\n  {locate(node.origin)}"
            )
        return super()._node_params(node)

    def _leaf(self, x: Any) -> Any:
        source = self._detached.get(id(x._array)) if isinstance(x, Tensor) else None
        if source is not None and source is not x:
            return self.computed(source)
        if not isinstance(x, Tensor) or id(x) not in self._outside:
            return super()._leaf(x)
        symbol = self.trace.argument(x._array)
        self.others[symbol] = x
        return symbol


class Recorded(NamedTuple):
    """A recorded step."""

    program: Any  # what runs it
    others: tuple[Tensor, ...]  # tensors that it takes as well
    state: tuple[str, ...]  # the names of the optimizer's lists that it changes
    calls: Iterator[int]  # counts them
    due: list[int]  # the call at which it is compared with an ordinary step
    labels: list[tuple[int, int, Any]]  # which of the batch, the largest, and the ignored one

    def refuses(self, arrays: Sequence[Any]) -> bool:
        """Whether labels of a batch are out of range."""
        for i, most, ignored in self.labels:
            x = arrays[i] if ignored is None else arrays[i][arrays[i] != ignored]
            if not 0 <= x.min(initial=0) <= x.max(initial=0) <= most:
                return True
        return False


def record(
    loss: Callable[..., Tensor], state: PackedState, arrays: Sequence[Any], guarded: bool = False
) -> Recorded:
    """The program of a step on arrays of these shapes.

    Args:
        guarded: whether no formula overflows; otherwise there is a guarded program to go to.

    Raises:
        RecordingError: if the function does not give a scalar Tensor, the same in every call.
    """
    batch = [Tensor(x) for x in arrays]
    with recording(Repeatable):
        output, again, detached = loss(*batch), loss(*batch), current().detached
    _check_loss(output, again)
    outside = {id(x) for x in nodes([output])} & {id(x) for x in nodes([again])}
    recorded = Recording([*batch, *state.params], outside, guarded, detached)
    fallback = functools.cache(lambda: record(loss, state, arrays, guarded=True).program)
    with np.errstate(all="ignore"):
        plan, names = _plan(recorded, output, state, None if guarded else fallback)
        others = tuple(recorded.others.values())
        labels = list(_labels(output, batch))
        return Recorded(_program(plan), others, names, itertools.count(2), [1], labels)


def _labels(output: Tensor, batch: Sequence[Tensor]) -> Iterator[tuple[int, int, Any]]:
    """What of a batch are labels of a loss, the largest that may be, and the ignored one."""
    for node in history(output):
        categorical = node.op.name == "categorical_loss"
        for i, x in enumerate(batch) if node.op.name in LABELLED else ():
            z, labels = node.inputs[:2]
            if labels is x and not (categorical and x.ndim == z.ndim):  # these are probabilities
                most = z.shape[-1] - 1 if categorical else 1
                yield i, most, node.params.get("ignore_index")


def _check_loss(loss: Any, again: Any) -> None:
    """Raise if the function gives no scalar Tensor or is not deterministic."""
    if not isinstance(loss, Tensor) or loss.size != 1:
        raise RecordingError(f"the loss is a Tensor with one element, as of mean(), not {loss!r}")
    for x, y in itertools.zip_longest(map(unwrap, nodes([loss])), map(unwrap, nodes([again]))):
        if not np.array_equal(x, y, equal_nan=True):
            raise RecordingError(
                f"the function computes something else every time (random numbers?): {x!r}, then "
                f"{y!r}. Pass what changes as an argument"
            )


def _plan(
    recorded: Recording, output: Tensor, state: PackedState, fallback: Callable[[], Any] | None
) -> tuple[Plan, tuple[str, ...]]:
    """The plan of a step, and the names of the optimizer's lists that it changes."""
    trace, optimizer = recorded.trace, state.optimizer
    results = recorded.run(output, state.params)
    results = simplified(results, trace, len(results), assumptions=False)
    batch = recorded.arguments[: -len(state.params)]
    params = recorded.arguments[len(batch) :]
    places = dict(zip(params, state.data.arrays, strict=True))

    def placed(array: Any) -> Symbol:
        symbol = trace.argument(array)
        places[symbol] = array
        return symbol

    matrices = {(params[i], params[i + 1]): placed(x) for i, x in state.data.augmented.items()}
    augmented = Augmented(matrices, {*recorded.arguments, *recorded.others})
    loss, *gradients = faster(results, trace, isinstance(optimizer, SGD), augmented)
    c, gradients = common_factor(gradients)
    grads = PackedArrays([p._array for p in state.params])
    targets = list(zip(gradients, grads.arrays, strict=True))
    for i, array in reversed(grads.augmented.items()):
        if (both := augmented.gradient(*gradients[i : i + 2])) is not None:
            targets[i : i + 2] = [(both, array)]
    lr, t = (trace.argument(np.array(x, grads.packed.dtype)) for x in (optimizer.lr, 0))
    slots = {name: placed(x.packed) for name, x in state.slots.items()}
    data, (gradient,) = placed(state.data.packed), state.clipped([placed(grads.packed) * c])
    rule: Any = copy.copy(optimizer)
    rule.lr = lr
    steps = {"steps": t} if hasattr(optimizer, "steps") else {}
    new_data, new = trace_update(rule, 0, data, gradient, slots | steps)
    changed = {name: symbol for name, symbol in slots.items() if new[name] is not symbol}
    updates = [(new_data, places[data])] if new_data is not data else []
    updates += [(new[name], places[symbol]) for name, symbol in changed.items()]
    variables = [lr, t, *batch, *recorded.others]
    return Plan(variables, places, loss, targets, updates, fallback), tuple(changed)


def _program(plan: Plan) -> FloatProgram | BlockedProgram | BufferedProgram:
    """The program of the kind that is fastest."""
    for kind in (FloatProgram, BlockedProgram):
        with contextlib.suppress(NotApplicable):
            return kind(plan)
    return BufferedProgram(plan)
