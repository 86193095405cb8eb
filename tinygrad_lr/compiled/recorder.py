"""From a loss and an optimizer to the program of a step."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.compiled.blocks import BlockedProgram
from tinygrad_lr.compiled.buffers import BufferedProgram
from tinygrad_lr.compiled.floats import FloatProgram
from tinygrad_lr.compiled.plan import NotApplicable, PackedArrays, PackedState, Plan
from tinygrad_lr.compiled.rewrites import UNGUARDED, Augmented, common_factor, faster
from tinygrad_lr.messages.explain import describe
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming.names import nodes
from tinygrad_lr.optim import SGD, scale_to_norm
from tinygrad_lr.program.lowering import Lowering, trace_update
from tinygrad_lr.program.named import Labels, label_ranges
from tinygrad_lr.program.recorder import Mask, RecordingError, Repeatable, run
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import Symbol, Trace, tree_leaves, tree_map
from tinygrad_lr.tensor import Tensor, history

LINEAR = {"add", "subtract", "negative", "multiply", "sum", "mean", "reshape"}
LINEAR_IN_FIRST = {"divide", "weighted_mean"}


class Recording(Lowering):
    """A loss and its gradients as Symbols of fixed shapes; what is not an argument is constant.

    Args:
        arguments: the tensors that a step is called with: the batch and the parameters.
        outside: the ids of values that the function does not compute; a Tensor among them, one of
            the `others`, may change from step to step.
        quick: the results that may be computed by formulas that overflow.
        detached: the results that leaves are copies of, by the ids of their arrays.
    """

    def __init__(
        self,
        arguments: Sequence[Tensor],
        outside: Collection[int],
        quick: Collection[Tensor],
        detached: Mapping[int, Tensor],
    ) -> None:
        super().__init__(fixed=True)
        self.arguments = [self.bind(x, self.trace.argument(x._array)) for x in arguments]
        self.others: dict[Symbol, Tensor] = {}
        self._outside, self._quick, self._detached = outside, quick, detached

    def _forward(self, node: Any) -> Any:
        quick = UNGUARDED.get(node.op.name) if node in self._quick else None
        return quick or super()._forward(node)

    def _result(self, node: Any) -> Any:
        y = super()._result(node)
        if isinstance(y, Symbol) and y.function and y.dtype == node._array.dtype:
            y.value = node._array  # instead of another one
        return y

    def _node_params(self, node: Any) -> Any:
        index = node.params.get("index", ())
        if any(isinstance(x, Mask) for x in (index if isinstance(index, tuple) else (index,))):
            raise RecordingError(
                f"a mask as an index takes as many elements as there are, others for other data: "
                f"use np.where(mask, a, 0)\n  {locate(node.origin)}"
            )
        # an array with a Symbol in its index would not know what to do
        return tree_map(node.params, lambda x: x if isinstance(x, np.ndarray) else self.symbol(x))

    def _leaf(self, x: Any) -> Any:
        source = self._detached.get(id(x._array)) if isinstance(x, Tensor) else None
        if source is not None and source is not x:
            return self.computed(source)
        if not isinstance(x, Tensor) or id(x) not in self._outside:
            return super()._leaf(x)
        symbol = self.trace.argument(x._array)
        self.others[symbol] = x
        return symbol


class Rate(Symbol):
    """A rate of an optimizer, which is an argument, and not 0 in the runs of its program."""

    def __init__(self, trace: Trace, value: Any) -> None:
        super().__init__(trace, value, is_argument=True)

    def __bool__(self) -> bool:
        return bool(self.value)


class Recorded(NamedTuple):
    """A recorded step."""

    program: Any  # what runs it
    others: tuple[Tensor, ...]  # tensors that it takes as well
    state: tuple[str, ...]  # the names of the optimizer's lists that it changes
    calls: Iterator[int]  # counts them
    due: list[int]  # the call at which it is compared with an ordinary step
    labels: list[tuple[int, Labels]]  # which of the batch are labels, and of what

    def refuses(self, arrays: Sequence[Any]) -> bool:
        """Whether labels of a batch are out of range."""
        return any(labels.out_of_range(arrays[i]) for i, labels in self.labels)


def record(
    loss: Callable[..., Tensor],
    state: PackedState,
    arrays: Sequence[Any],
    clip_norm: float | None = None,
    guarded: bool = False,
) -> Recorded:
    """The program of a step on arrays of these shapes.

    Args:
        clip_norm: what the gradients are clipped to, if they are.
        guarded: whether no formula overflows; otherwise there is a guarded program to go to.

    Raises:
        RecordingError: if the function does not give a scalar Tensor, the same in every call.
    """
    batch = [Tensor(x) for x in arrays]
    (output, recorder), (again, second) = run(loss, batch), run(loss, batch)
    _check_loss(output, again)
    _check_kept(recorder, output)
    detached = recorder.detached | second.detached
    outside = {id(x) for x in nodes([output])} & {id(x) for x in nodes([again])}
    del again  # whose arrays are as large as those of the first
    quick = set() if guarded else _summands(output)
    recorded = Recording([*batch, *state.params], outside, quick, detached)
    programs: list[Any] = []

    def fallback(*arguments: Any) -> float:
        if not programs:
            programs.append(record(loss, state, arrays, clip_norm, guarded=True).program)
        return float(programs[0].run(*arguments))

    with np.errstate(all="ignore"):
        plan, names = _plan(recorded, output, state, clip_norm, None if guarded else fallback)
        others = tuple(recorded.others.values())
        ranges = label_ranges(output)
        labels = [(i, ranges[x]) for i, x in enumerate(batch) if x in ranges]
        del recorded, recorder, second, detached, ranges, output, batch
        plan.release()
        program = _program(plan)
        for x in plan.batch:
            x.release()
        return Recorded(program, others, names, itertools.count(2), [1], labels)


def _check_kept(recorder: Repeatable, output: Tensor) -> None:
    """Raise if the function keeps a result that the loss does not need, as a running mean."""
    needed: set[Any] = set()
    waiting: list[Any] = [output, *recorder.detached.values()]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Length):
            waiting += tree_leaves(x.terms)
        elif isinstance(x, Tensor) and x not in needed:
            needed.add(x)
            waiting += tree_leaves(x.inputs, x.params)
    kept = [x for x in recorder.results if x() is not None and x() not in needed]
    if kept:
        gc.collect()
    for x in (reference() for reference in kept):
        if x is None:
            continue
        raise RecordingError(
            f"the function keeps {describe(x)}, which the loss does not need: a compiled step "
            f"does not compute it again. Compute it in a function of its own\n"
            f"  {locate(x.origin)}"
        )


def _summands(output: Tensor) -> set[Tensor]:
    """The results that the loss adds up and scales: they are rounded as the largest of them is."""
    summands, others = {output}, set[Tensor]()
    for node in history(output):
        for i, x in enumerate(node.inputs):
            if isinstance(x, Tensor):
                linear = node.op.name in LINEAR or (i == 0 and node.op.name in LINEAR_IN_FIRST)
                (summands if linear and node in summands and node not in others else others).add(x)
    return summands - others


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
    recorded: Recording,
    output: Tensor,
    state: PackedState,
    clip_norm: float | None,
    fallback: Callable[..., Any] | None,
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
    dtype = grads.packed.dtype
    rates = {name: Rate(trace, np.array(x, dtype)) for name, x in state.rates().items()}
    t = trace.argument(np.array(0, dtype))
    slots = {name: placed(x.packed) for name, x in state.slots.items()}
    data, gradient = placed(state.data.packed), placed(grads.packed) * c
    if clip_norm is not None:
        _, (gradient,) = scale_to_norm([gradient], clip_norm)
    rule: Any = copy.copy(optimizer)
    for title, rate in rates.items():
        name, _, place = title.rstrip("]").partition("[")
        values = getattr(rule, name)
        if place:
            values = (*values[: int(place)], rate, *values[int(place) + 1 :])
        setattr(rule, name, values if place else rate)
    steps = {"steps": t} if hasattr(optimizer, "steps") else {}
    new_data, new = trace_update(rule, 0, data, gradient, slots | steps)
    changed = {name: symbol for name, symbol in slots.items() if new[name] is not symbol}
    updates = [(new_data, places[data])] if new_data is not data else []
    updates += [(new[name], places[symbol]) for name, symbol in changed.items()]
    scalars, arrays = [*rates.values(), t], [*batch, *recorded.others]
    return Plan(scalars, arrays, places, loss, targets, updates, fallback), tuple(changed)


def _program(plan: Plan) -> FloatProgram | BlockedProgram | BufferedProgram:
    """The program of the kind that is fastest."""
    for kind in (FloatProgram, BlockedProgram):
        with contextlib.suppress(NotApplicable):
            return kind(plan)
    return BufferedProgram(plan)
