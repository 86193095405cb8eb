"""A training step, recorded once and run many times, with no graph and no new arrays."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.convert import is_operand
from tinygrad_lr.compiled.blocks import Blocks
from tinygrad_lr.compiled.buffers import Machine, Plan, Unfit, aligned, made
from tinygrad_lr.compiled.floats import Scalars
from tinygrad_lr.compiled.recorder import RecordingError, Repeatable
from tinygrad_lr.compiled.rewrites import QUICK, Bordered, faster, shared_number
from tinygrad_lr.naming.names import nodes
from tinygrad_lr.optim import SGD, Adam, Optimizer
from tinygrad_lr.program.lowering import SMALL, Lowering
from tinygrad_lr.program.simplify import simplified
from tinygrad_lr.program.symbols import Symbol
from tinygrad_lr.recording import recording
from tinygrad_lr.tensor import Tensor, grad, serials

FLAT = (SGD, Adam)  # what they do to an element depends on that element alone


class Recording(Lowering):
    """A loss and its gradients as Symbols of unchanging shapes; whatever is not given is constant.

    Args:
        given: the tensors that a step is told of: the batch and the optimizer's parameters.
        held: the ids of values that are not made by the function, so that a Tensor among them,
            one of the `others`, may change from step to step.
        quick: whether to compute some losses by formulas that overflow for large numbers.
    """

    def __init__(self, given: Sequence[Tensor], held: Collection[int], quick: bool) -> None:
        super().__init__({}, {})
        self.quick, self.book.fixed = quick, True
        self.arguments = [self.book.argument(x._array, fixed=True) for x in given]
        self._held += given
        self._symbols |= dict(zip(map(id, given), self.arguments, strict=True))
        self._held_outside = held
        self.others: dict[Symbol, Tensor] = {}

    def _forward(self, node: Any) -> Any:
        return (self.quick and QUICK.get(node.op.name)) or node.op.forward

    def _number(self, node: Any, i: int, x: Any) -> Any:
        return x

    def _leaf(self, x: Any) -> Any:
        array = x._array if isinstance(x, Tensor) else x
        if isinstance(x, Tensor) and id(x) in self._held_outside:
            symbol = self.book.argument(array, fixed=True)
            self.others[symbol] = x
            return symbol
        if array.dtype.kind != "f" and array.size <= SMALL:
            return array
        return self.book.number(array) if array.ndim == 0 else self.book.argument(array, fixed=True)


CHECKED = """\
def run(batch):
    if len(batch) != {n}:
        return other(batch)
    {arrays} = batch
    if {changed}:
        return other(batch)
    {serials} = next(serial)
    {grads} = None
    {t}
    result = program(optimizer.lr, {given}){steps}
    return result
"""


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


class Flat:
    """Arrays beside each other in one, so that one call changes all of them.

    Attributes:
        parts: the arrays.
        joined: matrices and the next array as their last row, by the number of the matrix.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.whole = aligned((sum(a.size for a in arrays),), arrays[0].dtype)
        ends = list(itertools.accumulate(a.size for a in arrays))
        self.parts = []
        self.joined = {}
        for i, (a, end) in enumerate(zip(arrays, ends, strict=True)):
            self.parts.append(self.whole[end - a.size : end].reshape(a.shape))
            self.parts[-1][...] = a
            if i + 1 < len(arrays) and a.ndim == 2 and is_row(arrays[i + 1].shape, a.shape[1]):
                self.joined[i] = self.whole[end - a.size : ends[i + 1]].reshape(-1, a.shape[1])


def is_row(shape: tuple[int, ...], n: int) -> bool:
    """Whether an array of a shape adds a number to each of n columns."""
    return math.prod(shape) == n and shape[-1:] in ((), (n,))


def array_of(x: Any) -> Any:
    """An array of real numbers as it is, and of what else a Tensor can be made."""
    return x if x.__class__ is np.ndarray and is_operand(x) else Tensor(x)._array


def nothing(_: Sequence[Any]) -> list[float]:
    """The losses of no steps."""
    return []


def program_for(plan: Plan) -> Scalars | Blocks | Machine:
    """The program of the kind that is fastest."""
    for kind in (Scalars, Blocks):
        with contextlib.suppress(Unfit):
            return kind(plan)
    return Machine(plan)


def compile(loss: Callable[..., Tensor], optimizer: Optimizer) -> Step:
    """A function that does what zero_grad, backward and step do for a loss, faster.

    The first call records the step, compares what it makes of the parameters with what the
    operations one by one do, and raises if they differ. Arrays that the function does not get as
    arguments, and numbers, are constants: what is changed in them later is not seen. Checks of
    values, as that labels are in range, and `detect_anomaly` see the first call alone. The
    parameters move to an array of their own: take `p.data` anew after it.

    Args:
        loss: called with Tensors of the batch; gives a Tensor with one element.
        optimizer: SGD or Adam. Its `lr` may change from step to step.

    Returns:
        A Step: called with the arrays of a batch, it gives the loss before the step, a float.
        Batches of another shape are recorded anew.

    Raises:
        RecordingError: at the first call, if the function does what cannot be recorded, as an
            `if` that depends on values.

    >>> import tinygrad_lr as tg
    >>> X = np.arange(8.0).reshape(8, 1)
    >>> model = tg.nn.Dense(1, 1, rng=0)
    >>> step = tg.compile(
    ...     lambda x, y: tg.mse_loss(model(x), y), tg.optim.Adam(model.parameters(), lr=0.1)
    ... )
    >>> losses = [step(X, 2 * X + 1) for _ in range(500)]
    >>> model(np.array([[12.0]])).data.round(2)
    array([[25.]])
    """
    return Step(loss, optimizer)


class Step:
    """A training step that is recorded; see `compile`.

    Attributes:
        source: the program that the last call ran.
    """

    def __init__(self, loss: Callable[..., Tensor], optimizer: Optimizer) -> None:
        if not callable(loss) or type(optimizer) not in FLAT:
            raise TypeError(
                f"compile takes a function that gives the loss, and an SGD or Adam, not {loss!r} "
                f"and {optimizer!r}"
            )
        self.loss, self.optimizer, self.params = loss, optimizer, optimizer.params
        if len(dtypes := sorted({p.dtype.name for p in self.params})) > 1:
            raise TypeError(
                f"the parameters are {' and '.join(dtypes)}, and a compiled step takes one dtype: "
                f"make all of them with the same"
            )
        self._rates = [
            n for n, v in vars(optimizer).items() if n != "lr" and not isinstance(v, list)
        ]
        self.source = ""
        self._recorded: dict[Any, tuple[Recorded, Any, Any]] = {}  # by shapes and rates
        self._step, self._many = self._other, nothing
        self._flat = Flat([p._array for p in self.params])
        self._slots = {
            name: Flat(value)
            for name, value in vars(optimizer).items()
            if isinstance(value, list) and isinstance(value[0], np.ndarray)
        }

    def __call__(self, *batch: Any) -> float:
        """One step on a batch of arrays; the loss before it."""
        return self._step(batch)

    def each(self, first: Any, *others: Any) -> list[float]:
        """A step on each element of the first axis of arrays in turn; the losses before them.

        A model of a handful of numbers takes many steps faster so than one by one.

        >>> import tinygrad_lr as tg
        >>> w = tg.Tensor(0.0, requires_grad=True)
        >>> step = tg.compile(lambda x, y: (w * x - y) ** 2, tg.optim.SGD([w], lr=0.25))
        >>> step.each(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
        [4.0, 4.0]
        >>> w.item()
        3.0
        """
        arrays = [first, *others]
        losses = self._many(arrays)
        if not losses or len(losses) < len(first):
            arrays = [array_of(x) for x in arrays]
            if len({len(x) for x in arrays}) > 1:
                raise ValueError(
                    f"each takes arrays of the same length, not of {[len(x) for x in arrays]}"
                )
        while (i := len(losses)) < len(first):
            losses.append(self(*(x[i, ...] for x in arrays)))
            losses += self._many([x[i + 1 :] for x in arrays])
        return losses

    def _other(self, batch: Sequence[Any]) -> float:
        """A step after a change: of shapes, of rates, or of where parameters live."""
        for p in self.params:
            if not p.requires_grad:
                raise RecordingError(
                    f"{p!r} requires no gradient any more: compile a step anew, with an optimizer "
                    f"of the parameters that do"
                )
        arrays = list(map(array_of, batch))
        kinds = tuple((x.shape, x.dtype) for x in arrays)
        key = kinds, tuple(getattr(self.optimizer, name) for name in self._rates)
        self._step, self._many = self._other, nothing  # if this fails, for the next call as well
        if key in self._recorded:
            recorded, step, many = self._recorded[key]
            loss = self._run(recorded, arrays)
        else:
            recorded = self._record(arrays)
            loss = self._compared(recorded, arrays)
            step, many = self._checking(recorded, *key), nothing
            if isinstance(recorded.program, Scalars) and not recorded.others:
                many = self._checking(recorded, *key, many=True)
            self._recorded[key] = recorded, step, many
        self._step, self._many, self.source = step, many, recorded.program.source
        return loss

    def _run(self, recorded: Recorded, arrays: Sequence[Any]) -> float:
        """A step, wherever the parameters and the state are now."""
        optimizer: Any = self.optimizer
        for p, part in zip(self.params, self._flat.parts, strict=True):
            if p._array is not part:
                part[...] = p._array
                p._array = part
            p.mark_changed()
            p.grad = None
        for name, flat in self._slots.items():
            slots = getattr(optimizer, name)
            for i, part in enumerate(flat.parts):
                if slots[i] is not part:
                    part[...] = slots[i]
                    slots[i] = part
        steps = getattr(optimizer, "steps", [0])
        if any(t != steps[0] for t in steps):
            raise RecordingError(
                f"the parameters have taken {steps} steps, but a compiled step takes as many with "
                f"all: go on without compile"
            )
        others = [x._array for x in recorded.others]
        loss: float = recorded.program.run(optimizer.lr, steps[0], *arrays, *others)
        steps[:] = [steps[0] + 1] * len(steps)
        return loss

    def _checking(self, recorded: Recorded, kinds: Any, rates: Any, many: bool = False) -> Any:
        """A function that runs a program where all is as it was when that was recorded.

        It is made as a text, since loops would take longer than a small program.
        """
        space: dict[str, Any] = {"optimizer": self.optimizer, "serial": serials}
        space |= {"ndarray": np.ndarray, "program": recorded.program.run, "other": self._other}
        if many:
            space |= {"program": recorded.program.many, "other": nothing}

        def hold(x: Any) -> str:
            space[name := f"c{len(space)}"] = x
            return name

        params, arrays = [*map(hold, self.params)], [f"a{i}" for i in range(len(kinds))]
        changed = [
            f"optimizer.{name} != {hold(rate)}"
            for name, rate in zip(self._rates, rates, strict=True)
        ]
        changed += [
            f"{p}._array is not {hold(part)} or not {p}.requires_grad"
            for p, part in zip(params, self._flat.parts, strict=True)
        ]
        changed += [
            f"optimizer.{name}[{i}] is not {hold(part)}"
            for name in recorded.state
            for i, part in enumerate(self._slots[name].parts)
        ]
        for x, (shape, dtype) in zip(arrays, kinds, strict=True):
            lengths = ["len(a0)"] * many + [str(n) for n in shape]
            expected = "".join(f"{n}, " for n in lengths)
            changed.append(
                f"{x}.__class__ is not ndarray or {x}.shape != ({expected}) "
                f"or {x}.dtype != {hold(dtype)}"
            )
        steps, counted = "", hasattr(self.optimizer, "steps")
        if counted:
            changed.append(f"optimizer.steps.count(optimizer.steps[0]) != {len(params)}")
            count = "len(result)" if many else 1
            steps = f"\n    optimizer.steps[:] = [t + {count}] * {len(params)}"
        source = CHECKED.format(
            n=len(kinds),
            arrays=f"[{', '.join(arrays)}]",
            changed=" or ".join(changed),
            serials=" = ".join(f"{p}.serial" for p in params),
            grads=" = ".join(f"{p}.grad" for p in params),
            t="t = optimizer.steps[0]" if counted else "t = 0",
            given=", ".join(["t", *arrays, *(f"{hold(x)}._array" for x in recorded.others)]),
            steps=steps,
        )
        return made(source, space)

    def _record(self, arrays: Sequence[Any], quick: bool = True) -> Recorded:
        """The program of a step on arrays of these shapes."""
        batch = [Tensor(x) for x in arrays]
        with recording(Repeatable):
            output, again = self.loss(*batch), self.loss(*batch)
        self._refuse(output, again)
        held = {id(x) for x in nodes([output])} & {id(x) for x in nodes([again])}
        with np.errstate(all="ignore"):
            return self._program(output, batch, held, arrays, quick)

    def _program(self, output: Tensor, batch: Any, held: Any, arrays: Any, quick: bool) -> Recorded:
        """The program for a recorded loss."""
        recording = Recording([*batch, *self.params], held, quick)
        results = recording.run(output, self.params)
        book, slope = recording.book, Flat([p._array for p in self.params])
        results = simplified(results, book, len(results), facts=False)
        params = recording.arguments[len(batch) :]
        places = dict(zip(params, self._flat.parts, strict=True))

        def placed(array: Any) -> Symbol:
            symbol = book.argument(array, fixed=True)
            places[symbol] = array
            return symbol

        joined = {(params[i], params[i + 1]): placed(x) for i, x in self._flat.joined.items()}
        bordered = Bordered(joined, {*recording.arguments, *recording.others})
        loss, *gradients = faster(results, book, isinstance(self.optimizer, SGD), bordered)
        c, gradients = shared_number(gradients)
        targets = list(zip(gradients, slope.parts, strict=True))
        for i, array in reversed(slope.joined.items()):
            if (both := bordered.gradient(*gradients[i : i + 2])) is not None:
                targets[i : i + 2] = [(both, array)]
        dtype = self._flat.whole.dtype
        lr, t = (book.argument(np.array(x, dtype)) for x in (self.optimizer.lr, 0))
        slots = {name: placed(x.whole) for name, x in self._slots.items()}
        new = self._update(placed(self._flat.whole), placed(slope.whole) * c, slots, lr, t)
        plan = Plan(
            variables=[lr, t, *recording.arguments[: len(batch)], *recording.others],
            places=places,
            loss=loss,
            gradients=targets,
            finals=[(now, places[old]) for old, now in new.items()],
            again=functools.cache(lambda: self._record(arrays, False).program) if quick else None,
        )
        state = tuple(name for name, symbol in slots.items() if symbol in new)
        return Recorded(program_for(plan), tuple(recording.others.values()), state)

    def _update(self, flat: Symbol, gradient: Symbol, slots: Any, lr: Symbol, t: Symbol) -> Any:
        """What the optimizer makes of all parameters and of its state, as one array each."""
        shadow: Any = copy.copy(self.optimizer)
        changed = {name: symbol.changeable() for name, symbol in slots.items()}
        for name, symbol in changed.items():
            setattr(shadow, name, [symbol])
        shadow.lr, data = lr, flat.changeable()
        if hasattr(shadow, "steps"):
            shadow.steps = [t.changeable()]
        shadow.update(0, data, gradient)
        new = {flat: data.now}
        for name, symbol in slots.items():
            new[symbol] = getattr(shadow, name)[0].now
        return {old: now for old, now in new.items() if old is not now}

    def _refuse(self, loss: Any, again: Any) -> None:
        """Raise for a loss that is none, and for one that is another every time."""
        if not isinstance(loss, Tensor) or loss.size != 1:
            raise RecordingError(
                f"the loss is a Tensor with one element, as of mean(), not {loss!r}"
            )
        for x, y in itertools.zip_longest(nodes([loss]), nodes([again])):
            values = [getattr(v, "_array", v) for v in (x, y)]
            if not np.array_equal(values[0], values[1], equal_nan=True):
                raise RecordingError(
                    f"the function computes something else every time (random numbers?): "
                    f"{values[0]!r}, then {values[1]!r}. Pass what changes as an argument"
                )

    def _compared(self, recorded: Recorded, arrays: Sequence[Any]) -> float:
        """The first step, done both ways."""
        optimizer, kept = self.optimizer, [p._array.copy() for p in self.params]
        lists = [x for name, x in vars(optimizer).items() if name in ("steps", *self._slots)]
        state = [[copy.copy(x) for x in values] for values in lists]
        value = self.loss(*map(Tensor, arrays))
        found = grad(value, self.params)
        for p, k in zip(self.params, kept, strict=True):
            p._array = k.copy()  # the batch may be what a parameter held
        for i, (p, g) in enumerate(zip(self.params, found, strict=True)):
            optimizer.update(i, p.mark_changed(), g)
        right = [p._array.copy() for p in self.params]
        for p, k in zip(self.params, kept, strict=True):
            p._array = k.copy()
        for values, before in zip(lists, state, strict=True):
            values[:] = before
        loss = self._run(recorded, arrays)
        rtol = 1e-9 if self.params[0].dtype == np.float64 else 1e-3
        wrong = [] if np.isclose(loss, value.item(), rtol=rtol, equal_nan=True) else ["the loss"]
        ways = [np.abs(r - k) for r, k in zip(right, kept, strict=True)]
        moved = max(np.max(way, initial=0.0, where=np.isfinite(way)) for way in ways)
        for p, r in zip(self.params, right, strict=True):
            if not np.allclose(p._array, r, rtol=rtol, atol=rtol * moved, equal_nan=True):
                wrong.append(p.name or f"a parameter of shape {p.shape}")
        if wrong:
            for p, r in zip(self.params, right, strict=True):
                p._array[...] = r
            raise RecordingError(
                f"the recorded step differs from the operations one by one in {', '.join(wrong)}; "
                f"the parameters are now those of the latter. Go on without compile"
            )
        return loss
