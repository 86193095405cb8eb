"""What a compiled step computes, and the arrays that it works on: the same for all programs."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.optim import SGD, Adam, Optimizer
from tinygrad_lr.program.symbols import Symbol, ordered

VIEWS = {np.transpose, np.reshape, np.broadcast_to, np.flip, operator.getitem}
MAX_COLUMNS = 32  # of a matrix that is stored by columns


class NotApplicable(Exception):
    """A plan for another kind of program."""


class Plan(NamedTuple):
    """What a step computes, and where."""

    scalars: Sequence[Symbol]  # the optimizer's rates, and the number of steps before
    batch: Sequence[Symbol]  # the arrays that a step is called with
    places: Mapping[Symbol, Any]  # the arrays that parameters, state and gradients live in
    loss: Symbol
    gradients: Sequence[tuple[Any, Any]]  # each with the array of its own that it is written to
    updates: Sequence[tuple[Symbol, Any]]  # written after them to arrays that are still in use
    fallback: Callable[..., Any] | None = None  # the step for a loss that is not finite

    def order(self) -> list[Symbol]:
        """All Symbols of the step, inputs before results."""
        return ordered([self.loss, *(x for x, _ in (*self.gradients, *self.updates))])

    def varying(self) -> set[Symbol]:
        """What may differ from step to step: arguments, places, and what depends on them."""
        varying = {*self.scalars, *self.batch, *self.places}
        for x in self.order():
            if not varying.isdisjoint(x.inputs):
                varying.add(x)
        return varying

    def release(self) -> None:
        """Forget the recorded values of what steps compute: their shapes and dtypes are enough."""
        self.loss.trace.forget(kept=set(self.order()) - self.varying())


def compile_function(source: str, space: Mapping[str, Any]) -> Any:
    """The function `run` that a source defines, with other names from a space."""
    names = dict(space)
    exec(compile(source, "<compiled>", "exec"), names)
    return names["run"]


def aligned_empty(shape: tuple[int, ...], dtype: Any, raw: Any = None) -> Any:
    """An array that begins at a multiple of 64 bytes, where wide instructions are fastest.

    A matrix with few columns is stored by columns, as rows of two numbers are slow to go through.

    Args:
        raw: the bytes that it lies in, 64 more than it needs; new ones by default.
    """
    if len(shape) == 2 and 1 < shape[1] <= MAX_COLUMNS and shape[0] > 2 * shape[1]:
        return aligned_empty(shape[::-1], dtype, raw).T
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8) if raw is None else raw
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: Any, raw: Any = None) -> Any:
    """A copy of an array that `aligned_empty` makes room for."""
    copy = aligned_empty(array.shape, array.dtype, raw)
    copy[...] = array
    return copy


class PackedArrays:
    """Copies of arrays beside each other in one, so that one call changes all of them.

    Attributes:
        packed: the one array, of one axis.
        arrays: the copies.
        augmented: matrices with the next array as their last row, by the number of the matrix.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        ends = [0, *itertools.accumulate(a.size for a in arrays)]
        self.packed = aligned_empty((ends[-1],), arrays[0].dtype)
        self.arrays = [
            self.packed[start:end].reshape(a.shape)
            for a, (start, end) in zip(arrays, itertools.pairwise(ends), strict=True)
        ]
        for a, copy in zip(arrays, self.arrays, strict=True):
            copy[...] = a
        self.augmented = {
            i: self.packed[ends[i] : ends[i + 2]].reshape(-1, a.shape[1])
            for i, (a, b) in enumerate(itertools.pairwise(arrays))
            if a.ndim == 2 and is_row(b.shape, a.shape[1])
        }


def is_row(shape: tuple[int, ...], n: int) -> bool:
    """Whether an array of a shape adds a number to each of n columns."""
    return math.prod(shape) == n and shape[-1:] in ((), (n,))


class PackedState:
    """The parameters and the state of an optimizer, packed.

    Attributes:
        is_plain: whether the update is that of SGD or Adam, which does not branch on the rates but
            where they are 0.

    Raises:
        TypeError: if the parameters have several dtypes.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.params, state = optimizer, optimizer.params, optimizer.state()
        if len(dtypes := sorted({p.dtype.name for p in self.params})) > 1:
            raise TypeError(
                f"the parameters are {' and '.join(dtypes)}, and a compiled step takes one dtype: "
                f"make all of them with the same"
            )
        self.is_plain = type(optimizer).update in (SGD.update, Adam.update)
        self._lists = {"params", *state}
        self.data = PackedArrays([p._array for p in self.params])
        arrays = {name: x for name, x in state.items() if isinstance(x[0], np.ndarray)}
        self.slots = {name: PackedArrays(x) for name, x in arrays.items()}

    def settings(self) -> dict[str, Any]:
        """The optimizer's other attributes; the parts of a tuple one by one, as betas[0]."""
        settings: dict[str, Any] = {}
        for name, x in vars(self.optimizer).items():
            if isinstance(x, tuple):
                settings |= {f"{name}[{i}]": part for i, part in enumerate(x)}
            elif name not in self._lists:
                settings[name] = x
        return settings

    def rates(self) -> dict[str, Any]:
        """Those of the settings that are arguments of a program; the others are constants."""
        return {
            name: x
            for name, x in self.settings().items()
            if name == "lr" or (self.is_plain and x and isinstance(x, (float, np.floating)))
        }

    def gather(self) -> None:
        """Pack what was assigned from outside."""
        for p, array in zip(self.params, self.data.arrays, strict=True):
            if p._array is not array:
                array[...] = p._array
                p._array = array
            p.mark_changed()
            p.grad = None
        for name, slot in self.slots.items():
            values = getattr(self.optimizer, name)
            for i, array in enumerate(slot.arrays):
                if values[i] is not array:
                    array[...] = values[i]
                    values[i] = array
