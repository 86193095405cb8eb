"""A training step, recorded once and run many times, with no graph and no new arrays."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr import messages
from tinygrad_lr.array.convert import is_operand
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.compiled.floats import FloatProgram
from tinygrad_lr.compiled.plan import PackedState, compile_function
from tinygrad_lr.compiled.recorder import Recorded, record
from tinygrad_lr.functional import grad
from tinygrad_lr.messages import TensorWarning
from tinygrad_lr.messages.notebook import highlight
from tinygrad_lr.nn import ASKED, Module
from tinygrad_lr.optim import SGD, Adam, Optimizer, scale_to_norm
from tinygrad_lr.program.recorder import RecordingError
from tinygrad_lr.program.symbols import largest
from tinygrad_lr.tensor import Tensor, serials

MAX_PROGRAMS = 16  # of a step, each with buffers of its own
PACKED = (SGD, Adam)  # what they do to an element depends on that element alone


def compile(
    loss: Callable[..., Tensor], optimizer: Optimizer, clip_norm: float | None = None
) -> Step:
    """A function that does what zero_grad, backward and step do for a loss, faster.

    The first call records the step, compares the new parameters with those of an ordinary step,
    and raises if they differ; so do the calls 2, 4, 8, ... on batches of that shape. Arrays that
    the function does not get as arguments, and numbers, are constants: what is changed in them
    later is not seen before a call that is compared. Labels of losses that are arguments are
    checked in every batch; other checks of values, and `detect_anomaly`, see the calls that are
    compared alone. The parameters move to an array of their own: take `p.data` anew after it. Their
    `.grad` is not set.

    Args:
        loss: called with Tensors of the batch; gives a Tensor with one element.
        optimizer: SGD, Adam or AdamW, whose rates may change from step to step; or a subclass with
            its own `update`, of which that holds for `lr`, and another rate is recorded anew.
        clip_norm: scale the gradients of a step down to this norm of all of them together, as
            `clip_grad_norm` does between backward and step.

    Returns:
        A Step: called with the arrays of a batch, it gives the loss before the step, a float.
        Batches of another shape are recorded anew, up to 16 shapes; what comes after these runs
        one operation after the other. It is for one thread at a time.

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
    return Step(loss, optimizer, clip_norm)


class Eager(NamedTuple):
    """What an ordinary step gives."""

    loss: float
    grads: list[Any]
    params: list[Any]
    state: dict[str, list[Any]]


class Step:
    """A training step that is recorded; see `compile`.

    Attributes:
        source: the program that was recorded last, or run.
    """

    def __init__(
        self, loss: Callable[..., Tensor], optimizer: Optimizer, clip_norm: float | None = None
    ) -> None:
        # what is done around `update` would be lost
        plain = isinstance(optimizer, PACKED) and type(optimizer).step is Optimizer.step
        if not (callable(loss) and plain):
            raise TypeError(
                f"compile takes a function that gives the loss, and an SGD or Adam, or a subclass "
                f"that overrides `update` alone, not {loss!r} and {optimizer!r}"
            )
        if clip_norm is not None:
            messages.check_rate("clip_norm", clip_norm)
        self.loss, self.optimizer, self.params = loss, optimizer, optimizer.params
        self.source, self.clip_norm = "", clip_norm
        self._idle = [True]  # empty during a step
        self._state = PackedState(optimizer)
        self._modal: dict[Module, None] = {}  # the Modules whose mode matters
        self._recorded: dict[Any, tuple[Recorded, Any, Any]] = {}  # by shapes and rates
        self._step, self._many = self._other, no_steps
        self._eaches = 0  # calls of each
        self._warned = False

    def __repr__(self) -> str:
        name = getattr(self.loss, "__name__", repr(self.loss))
        return f"<compiled step of {name}, {self.optimizer!r}>"

    def _repr_html_(self) -> str:
        return highlight(self.source or f"# {self!r}: the first call records it")

    def __call__(self, *batch: Any) -> float:
        """One step on a batch of arrays; the loss before it."""
        self._begin()
        try:
            return self._step(batch)
        finally:
            self._idle.append(True)

    def each(self, first: Any, *others: Any) -> list[float]:
        """A step on each element of the first axis of arrays in turn; the losses before them.

        Faster than a Python loop of steps for very small models.

        Raises:
            ValueError: if the arrays have different lengths.

        >>> import tinygrad_lr as tg
        >>> w = tg.Tensor(0.0, requires_grad=True)
        >>> step = tg.compile(lambda x, y: (w * x - y) ** 2, tg.optim.SGD([w], lr=0.25))
        >>> step.each(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
        [4.0, 4.0]
        >>> w.item()
        3.0
        """
        self._begin()
        try:
            return self._each([first, *others])
        finally:
            self._idle.append(True)

    def _begin(self) -> None:
        """Raise if another thread is in a step, whose buffers this one would overwrite."""
        try:
            self._idle.pop()  # one operation of Python's, so that no other thread comes between
        except IndexError:
            raise RuntimeError(
                "another thread is in this compiled step, which has one set of buffers: hold a "
                "threading.Lock during a step"
            ) from None

    def _each(self, arrays: list[Any]) -> list[float]:
        """The steps of `each`."""
        first = arrays[0]
        self._eaches += 1
        due = self._eaches & (self._eaches - 1) == 0  # then the first step may be compared
        losses = [] if due else self._many(arrays)
        if not losses or len(losses) < len(first):
            arrays = [array_of(x) for x in arrays]
            if len({len(x) for x in arrays}) > 1:
                raise ValueError(
                    f"each takes arrays of the same length, not of {[len(x) for x in arrays]}"
                )
        while (i := len(losses)) < len(first):
            losses.append(self._step([x[i, ...] for x in arrays]))
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
        key = self._key(arrays)
        self._step, self._many = self._other, no_steps  # if this fails, for the next call as well
        if key in self._recorded:
            recorded, step, many = self._recorded[key]
            due = next(recorded.calls) >= recorded.due[0]
            due = due or recorded.refuses(arrays)
            loss = (self._compare if due else self._run)(recorded, arrays)
        elif len(self._recorded) >= MAX_PROGRAMS:
            return self._ordinary(arrays)
        else:
            ASKED.append(self._modal)
            try:
                recorded = record(self.loss, self._state, arrays, self.clip_norm)
            finally:
                ASKED[:] = [modules for modules in ASKED if modules is not self._modal]
            key = self._key(arrays)
            loss = self._compare(recorded, arrays)
            step, many = self._guarded(recorded, *key), no_steps
            if isinstance(recorded.program, FloatProgram) and not recorded.others:
                many = self._guarded(recorded, *key, many=True)
            self._recorded[key] = recorded, step, many
        self._step, self._many, self.source = step, many, recorded.program.source
        return loss

    def _ordinary(self, arrays: Sequence[Any]) -> float:
        """A step without a program; says so once."""
        if not self._warned:
            messages.warn(
                f"a compiled step has programs for {MAX_PROGRAMS} shapes of batches and sets of "
                f"rates: others run one operation after the other",
                TensorWarning,
            )
            self._warned = True
        value = self.loss(*map(Tensor, arrays))
        for i, (p, g) in enumerate(zip(self.params, self._gradients(value), strict=True)):
            self.optimizer.update(i, p.mark_changed(), g)
            p.grad = None
        loss: float = value.item()
        return loss

    def _gradients(self, value: Tensor) -> list[Any]:
        """The gradients of a loss, scaled to `clip_norm` if there is one."""
        grads = list(map(unwrap, grad(value, self.params)))
        return grads if self.clip_norm is None else scale_to_norm(grads, self.clip_norm)[1]

    def _key(self, arrays: Sequence[Any]) -> tuple[Any, Any, Any]:
        """What a step is recorded for: shapes with dtypes, settings that are no rates, modes."""
        rates, settings = self._state.rates(), self._state.settings()
        kinds = tuple((x.shape, x.dtype) for x in arrays)
        fixed = tuple((name, name in rates or x) for name, x in settings.items())
        return kinds, fixed, tuple((m, m.training) for m in self._modal)

    def _run(self, recorded: Recorded, arrays: Sequence[Any]) -> float:
        """A step, wherever the parameters and the state are now."""
        self._state.gather()
        steps = getattr(self.optimizer, "steps", [0])
        if any(t != steps[0] for t in steps):
            raise RecordingError(
                f"the parameters have taken {steps} steps, but a compiled step takes as many with "
                f"all: go on without compile"
            )
        others = [x._array for x in recorded.others]
        rates = self._state.rates().values()
        loss = float(recorded.program.run(*rates, steps[0], *arrays, *others))
        steps[:] = [steps[0] + 1] * len(steps)
        return loss

    def _compare(self, recorded: Recorded, arrays: Sequence[Any]) -> float:
        """A step, done both ways.

        Elements whose gradient is nothing but rounding, as of a bias before a normalization, are
        not compared: Adam makes whole steps of it.

        Raises:
            RecordingError: if the results differ.
        """
        recorded.due[0] *= 2
        before = [p._array.copy() for p in self.params]
        eager = self._eager(arrays, before)
        loss = self._run(recorded, arrays)
        kinds = {x.dtype for x in (*before, *arrays)}
        rtol = 1e-3 if np.dtype(np.float32) in kinds else 1e-9
        wrong = [] if np.isclose(loss, eager.loss, rtol=rtol, equal_nan=True) else ["the loss"]
        with np.errstate(all="ignore"):
            wrong += self._different(eager, before, rtol)
        if wrong:
            for p, x in zip(self.params, eager.params, strict=True):
                p._array[...] = x
            for name, values in self.optimizer.state().items():
                values[:] = eager.state[name]
            raise RecordingError(
                f"the recorded step differs from the operations one by one in {', '.join(wrong)}; "
                f"the parameters and the optimizer are now as the latter leave them. Go on without "
                f"compile"
            )
        return loss

    def _different(self, eager: Eager, before: Sequence[Any], rtol: float) -> Iterator[str]:
        """The parameters that are not what an ordinary step makes of them."""
        move = max(map(largest, map(np.subtract, eager.params, before)), default=0.0)
        noise = rtol * 1e-3 * max(map(largest, eager.grads), default=0.0)
        for p, x, g in zip(self.params, eager.params, eager.grads, strict=True):
            near = np.isclose(p._array, x, rtol=rtol, atol=rtol * move, equal_nan=True)
            if not (near | (np.abs(g) <= noise)).all():
                yield p.name or f"a parameter of shape {p.shape}"

    @np.errstate(all="ignore")  # the program warns by itself
    def _eager(self, arrays: Sequence[Any], before: Sequence[Any]) -> Eager:
        """What an ordinary step gives, which is then undone."""
        state = {name: list(map(copy.copy, x)) for name, x in self.optimizer.state().items()}
        value = self.loss(*map(Tensor, arrays))
        grads = self._gradients(value)
        for i, (p, g, array) in enumerate(zip(self.params, grads, before, strict=True)):
            p._array = array.copy()  # the batch may be what a parameter held
            self.optimizer.update(i, p.mark_changed(), g)
        eager = Eager(
            value.item(),
            list(map(np.asarray, grads)),
            [p._array for p in self.params],
            {name: list(map(copy.copy, x)) for name, x in self.optimizer.state().items()},
        )
        for p, array in zip(self.params, before, strict=True):
            p._array = array
        for name, values in self.optimizer.state().items():
            values[:] = state[name]
        return eager

    def _guarded(
        self, recorded: Recorded, kinds: Any, settings: Any, modes: Any, many: bool = False
    ) -> Any:
        """A function that runs a program if all is as it was when that was recorded.

        At calls 2, 4, 8, ... it compares. It is compiled from a text, since loops would take longer
        than a small program.
        """
        state = self._state
        space: dict[str, Any] = {"optimizer": self.optimizer, "ndarray": np.ndarray}
        space |= {"program": recorded.program.run, "other": self._other, "serials": serials}
        if many:
            space |= {"program": recorded.program.many, "other": no_steps}

        def check(batch: Sequence[Any]) -> float:
            arrays = list(map(array_of, batch))
            fits = self._key(arrays) == (kinds, settings, modes)
            fits = fits and all(p.requires_grad for p in self.params)
            return self._compare(recorded, arrays) if fits else self._other(batch)

        space |= {"due": recorded.due, "refuses": recorded.refuses}
        space |= {
            "calls": itertools.repeat(0) if many else recorded.calls,
            "check": no_steps if many else check,
        }

        def hold(x: Any) -> str:
            space[name := f"c{len(space)}"] = x
            return name

        params, arrays = [*map(hold, self.params)], [f"a{i}" for i in range(len(kinds))]
        rates = state.rates()
        changes = [
            *(
                f"not optimizer.{name}" if name in rates else f"optimizer.{name} != {hold(x)}"
                for name, x in settings
                if name != "lr"
            ),
            *(
                f"{p}._array is not {hold(x)}"
                for p, x in zip(params, state.data.arrays, strict=True)
            ),
            *(f"not {p}.requires_grad" for p in params),
            *(f"{hold(m)}.training is not {mode}" for m, mode in modes),
        ]
        for name in recorded.state:
            for i, x in enumerate(state.slots[name].arrays):
                changes.append(f"optimizer.{name}[{i}] is not {hold(x)}")
        for x, (shape, dtype) in zip(arrays, kinds, strict=True):
            lengths = "".join(f"{n}, " for n in ["len(a0)"] * many + [*shape])
            changes.append(f"{x}.__class__ is not ndarray or {x}.shape != ({lengths})")
            changes.append(f"{x}.dtype != {hold(dtype)}")
        t, steps = "0", ""
        if hasattr(self.optimizer, "steps"):
            t, count = "optimizer.steps[0]", "len(result)" if many else 1
            changes.append(f"optimizer.steps.count({t}) != {len(params)}")
            steps = f"\n    optimizer.steps[:] = [t + {count}] * {len(params)}"
        source = GUARDED.format(
            n=len(kinds),
            arrays=f"[{', '.join(arrays)}]",
            changes=" or ".join(changes),
            wrong="refuses(batch)" if recorded.labels else "False",
            serials=" = ".join(f"{p}.serial" for p in params),
            grads=" = ".join(f"{p}.grad" for p in params),
            t=t,
            rates=", ".join(f"optimizer.{name}" for name in rates),
            arguments=", ".join([*arrays, *(f"{hold(x)}._array" for x in recorded.others)]),
            steps=steps,
        )
        return compile_function(source, space)


GUARDED = """\
def run(batch):
    if next(calls) >= due[0]:
        return check(batch)
    if len(batch) != {n}:
        return other(batch)
    {arrays} = batch
    if {changes}:
        return other(batch)
    if {wrong}:
        return check(batch)
    {serials} = next(serials)
    {grads} = None
    t = {t}
    result = program({rates}, t, {arguments}){steps}
    return result
"""


def array_of(x: Any) -> Any:
    """x itself if it is a real array, else Tensor(x)'s array."""
    return x if x.__class__ is np.ndarray and is_operand(x) else Tensor(x)._array


def no_steps(_: Sequence[Any]) -> list[float]:
    """The losses of no steps."""
    return []
