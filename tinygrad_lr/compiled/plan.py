"""What a compiled step computes, and the arrays that it works on: the same for all programs."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.optim import Optimizer, clipped
from tinygrad_lr.program.symbols import Symbol, ordered

VIEWS = {np.transpose, np.reshape, np.broadcast_to, np.flip, operator.getitem}
MAX_COLUMNS = 32  # of a matrix that is stored by columns


class NotApplicable(Exception):
    """A plan for another kind of program."""


class Plan(NamedTuple):
    """What a step computes, and where."""

    variables: Sequence[Symbol]  # lr, the number of steps before, and the arrays of a batch
    places: Mapping[Symbol, Any]  # the arrays that parameters, state and gradients live in
    loss: Symbol
    gradients: Sequence[tuple[Any, Any]]  # each with the array of its own that it is written to
    updates: Sequence[tuple[Symbol, Any]]  # written after them to arrays that are still in use
    fallback: Callable[[], Any] | None = None  # gives the program for a loss that is not finite

    def order(self) -> list[Symbol]:
        """All Symbols of the step, inputs before results."""
        return ordered([self.loss, *(x for x, _ in (*self.gradients, *self.updates))])

    def varying(self) -> set[Symbol]:
        """What may differ from step to step: variables, places, and what depends on them."""
        varying = {*self.variables, *self.places}
        for x in self.order():
            if not varying.isdisjoint(x.inputs):
                varying.add(x)
        return varying


def compile_function(source: str, space: Mapping[str, Any]) -> Any:
    """The function `run` that a source defines, with other names from a space."""
    lines = [f"def make({', '.join(space)}):", *source.splitlines(), "return run"]
    names: dict[str, Any] = {}
    exec(compile("\n    ".join(lines), "<compiled>", "exec"), names)
    return names["make"](**space)


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

    Raises:
        TypeError: if the parameters have several dtypes.
    """

    def __init__(self, optimizer: Optimizer, max_norm: float | None) -> None:
        self.max_norm = max_norm
        self.optimizer, self.params, state = optimizer, optimizer.params, optimizer.state()
        if len(dtypes := sorted({p.dtype.name for p in self.params})) > 1:
            raise TypeError(
                f"the parameters are {' and '.join(dtypes)}, and a compiled step takes one dtype: "
                f"make all of them with the same"
            )
        self.rates = [name for name in vars(optimizer) if name not in ("lr", "params", *state)]
        self.data = PackedArrays([p._array for p in self.params])
        arrays = {name: x for name, x in state.items() if isinstance(x[0], np.ndarray)}
        self.slots = {name: PackedArrays(x) for name, x in arrays.items()}

    def clipped(self, grads: list[Any]) -> list[Any]:
        """Gradients, arrays or Symbols, as the optimizer gets them."""
        return grads if self.max_norm is None else clipped(grads, self.max_norm)[1]

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
