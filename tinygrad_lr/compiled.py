"""A training step, recorded once and run many times, with no graph and no new arrays."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.blocks import Blocks
from tinygrad_lr.faster import QUICK, faster, shared_number
from tinygrad_lr.lowering import SMALL, Lowering
from tinygrad_lr.machine import Machine, aligned
from tinygrad_lr.names import nodes
from tinygrad_lr.optim import SGD, Adam, Optimizer
from tinygrad_lr.recording import RecordingError, everything
from tinygrad_lr.scalars import Scalars, Unfit
from tinygrad_lr.simplify import simplified
from tinygrad_lr.symbols import Symbol
from tinygrad_lr.tensor import Tensor, _serial, grad

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


class Recorded(NamedTuple):
    """A program: what is run, as text and as a function, and tensors that it takes as well."""

    source: str
    run: Callable[..., float]
    others: tuple[Tensor, ...]


class Flat:
    """Arrays beside each other in one, so that one call changes all of them."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.whole = aligned((sum(a.size for a in arrays),), arrays[0].dtype)
        self.parts = []
        start = 0
        for a in arrays:
            self.parts.append(self.whole[start : start + a.size].reshape(a.shape))
            self.parts[-1][...] = a
            start += a.size


def adopt(p: Tensor, part: Any) -> None:
    """Let a parameter live in a part of the flat array, with the values that it has."""
    if not p.requires_grad:
        raise RecordingError(f"{p!r} requires no gradient any more: compile the step anew")
    if p._array is not part:
        part[...] = p._array
        p._array = part
    p.changing()


def compile(loss: Callable[..., Tensor], optimizer: Optimizer) -> Step:
    """A function that does what zero_grad, backward and step do for a loss, faster.

    The first call records the step, compares what it makes of the parameters with what the
    operations one by one do, and raises if they differ. Arrays that the function does not get as
    arguments, and numbers, are constants: what is changed in them later is not seen.

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
        if len({p.dtype for p in self.params}) > 1:
            raise TypeError("compile: all parameters have the same dtype, float32 or float64")
        rates = [n for n, v in vars(optimizer).items() if n != "lr" and not isinstance(v, list)]
        self._rates = attrgetter(*rates)
        self._known_rates: Any = None
        self._kinds: tuple[Any, ...] = ()
        self.source = ""
        self._run: Any = None  # recorded by the first call
        self._others: tuple[Tensor, ...] = ()
        self._recorded: dict[Any, Any] = {}
        self._flat = Flat([p._array for p in self.params])
        self._owners = list(zip(self.params, self._flat.parts, strict=True))
        self._slots = {
            name: Flat(value)
            for name, value in vars(optimizer).items()
            if isinstance(value, list) and isinstance(value[0], np.ndarray)
        }

    def __call__(self, *batch: Any) -> float:
        """One step on a batch of arrays; the loss before it."""
        optimizer = self.optimizer
        if self._rates(optimizer) != self._known_rates or len(batch) != len(self._kinds):
            return self._other(batch)
        for x, (shape, dtype) in zip(batch, self._kinds):  # noqa: B905
            if x.__class__ is not np.ndarray or x.shape != shape or x.dtype is not dtype:
                return self._other(batch)
        now = next(_serial)
        for p, part in self._owners:
            if p._array is not part or p._hash is not None or not p.requires_grad:
                adopt(p, part)
            p.serial, p.grad = now, None
        if self._others:
            batch += tuple([x._array for x in self._others])
        if self._slots:
            return self._with_state(batch)
        loss: float = self._run(optimizer.lr, 0, *batch)
        return loss

    def _with_state(self, arrays: Sequence[Any]) -> float:
        """A step of an optimizer that remembers others, which may have been made elsewhere."""
        optimizer: Any = self.optimizer
        for name, flat in self._slots.items():
            slots = getattr(optimizer, name)
            for i, part in enumerate(flat.parts):
                if slots[i] is not part:
                    part[...] = slots[i]
                    slots[i] = part
        steps = getattr(optimizer, "steps", (0,))
        if any(t != steps[0] for t in steps):
            raise RecordingError(
                f"the parameters have taken {steps} steps, but a compiled step takes as many with "
                f"all: go on without compile"
            )
        loss: float = self._run(optimizer.lr, steps[0], *arrays)
        if hasattr(optimizer, "steps"):
            optimizer.steps[:] = [steps[0] + 1] * len(steps)
        return loss

    def _other(self, batch: Sequence[Any]) -> float:
        """A step on a batch of other shapes than the last."""
        arrays = [x if x.__class__ is np.ndarray else Tensor(x)._array for x in batch]
        kinds, rates = tuple((x.shape, x.dtype) for x in arrays), self._rates(self.optimizer)
        known = self._recorded.get((kinds, rates))
        self._known_rates = None  # whatever fails now is tried again by the next call
        program = known or self._record(arrays)
        self.source, self._run, self._others = program
        self._known_rates, self._kinds = rates, kinds
        loss = self(*arrays) if known else self._checked(arrays)
        self._recorded[kinds, rates] = program
        return loss

    def _record(self, arrays: Sequence[Any], quick: bool = True) -> Recorded:
        """The program of a step on arrays of these shapes."""
        batch = [Tensor(x) for x in arrays]
        with everything(repeatable=True):
            output, again = self.loss(*batch), self.loss(*batch)
        self._refuse(output, again)
        held = {id(x) for x in nodes([output])} & {id(x) for x in nodes([again])}
        with np.errstate(all="ignore"):
            return self._program(output, batch, held, arrays, quick)

    def _program(self, output: Tensor, batch: Any, held: Any, arrays: Any, quick: bool) -> Recorded:
        """The program for a recorded loss."""
        recording = Recording([*batch, *self.params], held, quick)
        results = recording.run(output, self.params)
        book = recording.book
        results = simplified(results, book, len(results), facts=False)
        loss, *gradients = faster(results, book, outside=isinstance(self.optimizer, SGD))
        c, gradients = shared_number(gradients)
        flat = book.argument(self._flat.whole, fixed=True)
        slope = Flat([p._array for p in self.params])
        gradient = book.argument(slope.whole, fixed=True)
        dtype = self._flat.whole.dtype
        lr, t = (book.argument(np.array(x, dtype)) for x in (self.optimizer.lr, 0))
        slots = {name: book.argument(x.whole, fixed=True) for name, x in self._slots.items()}
        new = self._update(flat, gradient * c, slots, lr, t)
        whole = {flat: self._flat.whole, gradient: slope.whole}
        whole |= {symbol: self._slots[name].whole for name, symbol in slots.items()}
        params = zip(recording.arguments[len(batch) :], self._flat.parts, strict=True)
        program: dict[str, Any] = {
            "variables": [lr, t, *recording.arguments[: len(batch)], *recording.others],
            "places": {**dict(params), **whole},
            "loss": loss,
            "gradients": list(zip(gradients, slope.parts, strict=True)),
            "finals": [(now, whole[old]) for old, now in new.items()],
            "again": functools.partial(self._record, arrays, quick=False) if quick else None,
        }
        kinds: list[Any] = [Scalars, Blocks] if quick else [Blocks]
        for kind in kinds:
            with contextlib.suppress(Unfit):
                made = kind(**program)
                break
        else:
            made = Machine(**program)
        return Recorded(made.source, made.run, tuple(recording.others.values()))

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
            raise RecordingError(f"the loss is a Tensor with one element, not {loss!r}")
        for x, y in itertools.zip_longest(nodes([loss]), nodes([again])):
            values = [getattr(v, "_array", v) for v in (x, y)]
            if not np.array_equal(values[0], values[1], equal_nan=True):
                raise RecordingError(
                    f"the function computes something else every time (random numbers?): "
                    f"{values[0]!r}, then {values[1]!r}. Pass what changes as an argument"
                )

    def _checked(self, arrays: Sequence[Any]) -> float:
        """The first step, done both ways."""
        optimizer, kept = self.optimizer, [p._array.copy() for p in self.params]
        lists = [x for name, x in vars(optimizer).items() if name in ("steps", *self._slots)]
        state = [[copy.copy(x) for x in values] for values in lists]
        value = self.loss(*map(Tensor, arrays))
        found = grad(value, self.params)
        for i, (p, g) in enumerate(zip(self.params, found, strict=True)):
            optimizer.update(i, p.changing(), g)
        right = [p._array.copy() for p in self.params]
        for p, k in zip(self.params, kept, strict=True):
            p._array = k.copy()
        for values, before in zip(lists, state, strict=True):
            values[:] = before
        loss = self(*arrays)
        rtol = 1e-9 if self.params[0].dtype == np.float64 else 1e-3
        wrong = [] if np.isclose(loss, value.item(), rtol=rtol, equal_nan=True) else ["the loss"]
        ways = [np.abs(r - k) for r, k in zip(right, kept, strict=True)]
        moved = max(np.max(way, initial=0.0, where=np.isfinite(way)) for way in ways)
        for p, r in zip(self.params, right, strict=True):
            if not np.allclose(p._array, r, rtol=rtol, atol=rtol * moved, equal_nan=True):
                wrong.append(p.name or f"a parameter of shape {p.shape}")
        if wrong:
            self._known_rates = None
            for p, r in zip(self.params, right, strict=True):
                p._array[...] = r
            raise RecordingError(
                f"the recorded step differs from the operations one by one in {', '.join(wrong)}; "
                f"the parameters are now those of the latter. Go on without compile"
            )
        return loss
