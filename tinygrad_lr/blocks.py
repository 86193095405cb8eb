"""A program for much data, gone through in blocks of rows that stay in the cache."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.machine import Machine, aligned
from tinygrad_lr.scalars import Unfit
from tinygrad_lr.symbols import Book, Symbol, add_at, astype, ordered, parts, put, put_in

LARGE = 2**22  # bytes of data: fewer stay in the cache as a whole
BLOCK = 2**20  # bytes of data in a block
ROW_BY_ROW = {np.where, np.clip, np.copy, astype, np.transpose, np.broadcast_to, np.matmul}
SUMS = {np.matmul, np.vdot, np.add.reduce}


class Blocks:
    """A step that adds up what blocks of rows contribute; arguments as for `Machine`.

    Rows are what lies along the longest axis of the data, wherever that axis is in an array.

    Attributes:
        source: what is run: on a block, on the last one if it is smaller, and on the sums.

    Raises:
        Unfit: if the data are few, or rows depend on each other before they are added up.
    """

    def __init__(
        self,
        variables: Sequence[Symbol],
        places: Mapping[Symbol, Any],
        loss: Symbol,
        gradients: Sequence[tuple[Any, Any]],
        finals: Sequence[tuple[Symbol, Any]],
        again: Callable[[], Any] | None,
    ) -> None:
        batch, changing = dict.fromkeys(variables[2:]), {*variables, *places}
        order = ordered([loss, *(x for x, _ in gradients), *(x for x, _ in finals)])
        for x in order:
            if not changing.isdisjoint(_inputs(x)):
                changing.add(x)
        changing |= {x for x in order if x.function is np.transpose}  # else read as another array
        steps = [x for x in order if x.function and x in changing]
        given = [y for x in steps for y in _inputs(x) if y in batch or y not in changing]
        m = max((n for x in given for n in x.value.shape), default=0)
        data = dict.fromkeys(x for x in given if m in x.value.shape)
        size = sum(x.value.nbytes for x in data)
        if size < LARGE or any(m in x.value.shape for x in places):
            raise Unfit
        held = [x for x in data if x not in batch]
        counts = {x for x in held if np.array_equal(x.value, np.arange(m))}
        inner, sums = _divided(steps, m, counts)

        if len({x.value.dtype for x in sums}) > 1:
            raise Unfit
        ends = np.cumsum([x.value.size for x in sums])
        self._total, self._term = (np.zeros(ends[-1], sums[0].value.dtype) for _ in range(2))
        totals, terms = (
            [a.reshape(x.value.shape) for x, a in zip(sums, np.split(flat, ends[:-1]), strict=True)]
            for flat in (self._total, self._term)
        )
        kept = {x: aligned(x.value.shape, x.value.dtype) for x in held}
        for x, array in kept.items():
            array[...] = x.value
        self.blocks: list[tuple[Any, ...]] = []
        programs: dict[int, Machine] = {}
        rows = _rows(m, size)
        for start in range(0, m, rows):
            part = slice(start, min(start + rows, m))
            n = part.stop - start
            if n not in programs:
                new = _on_block(inner, data, counts, part, m)
                programs[n] = Machine(
                    variables=[new.get(x, x) for x in (*batch, *held)],
                    places=places,
                    loss=loss.book.number(0.0),
                    gradients=[(new[x], term) for x, term in zip(sums, terms, strict=True)],
                    finals=[],
                )
            constants = [array[_cut(x, part, m)] for x, array in kept.items()]
            self.blocks.append((programs[n].run, [_cut(x, part, m) for x in batch], constants))

        for x, total in zip(sums, totals, strict=True):  # what follows reads the total
            place = x.book.argument(total, fixed=True)
            x.function, x.args, x.kwargs = operator.getitem, (place, ...), {}
            places = {**places, place: total}
        rest = Machine(variables, places, loss, gradients, finals, again)
        self._rest = rest.run
        self.source = "\n".join(program.source for program in (*programs.values(), rest))

    def run(self, lr: Any, t: Any, *batch: Any) -> float:
        """One step: the blocks, then what is computed from the sums."""
        self._total.fill(0)
        for run, cuts, constants in self.blocks:
            run(*map(operator.getitem, batch, cuts), *constants)
            self._total += self._term
        return self._rest(lr, t, *batch)


def _rows(m: int, size: int) -> int:
    """The rows of a block, of m that have so many bytes."""
    return max(1, BLOCK * m // size)


def _divided(
    steps: Sequence[Symbol], m: int, counts: set[Symbol]
) -> tuple[list[Symbol], list[Symbol]]:
    """What is computed row by row or adds up the rows; and the latter alone."""
    inner, sums = [], []
    after: set[Symbol] = set()  # sums, and what depends on them
    for x in steps:
        inputs = _inputs(x)
        late = not after.isdisjoint(inputs)
        if any(m in y.value.shape for y in (x, *inputs)):
            if late or not _separable(x, m, counts):
                raise Unfit
            inner.append(x)
            if m not in x.value.shape:
                sums.append(x)
                after.add(x)
        elif late:
            after.add(x)
    return inner, sums


def _separable(x: Symbol, m: int, counts: set[Symbol]) -> bool:
    """Whether a row of the result depends on that row of the inputs alone, or it adds up rows."""
    function, shape = x.function, x.value.shape
    if any(y.value.shape.count(m) > 1 for y in (x, *_inputs(x))):
        return False
    if m not in shape:
        return function in SUMS and x.kwargs.keys() <= {"axis", "keepdims"}
    if function in (operator.getitem, put, add_at):
        return _indexed_by_row(*x.args[:2], m, counts) or (
            function is operator.getitem and m not in x.args[0].value.shape
        )
    if function is np.reshape:
        old = x.args[0].value.shape
        return m in old and math.prod(old[: old.index(m)]) == math.prod(shape[: shape.index(m)])
    elementwise = isinstance(function, np.ufunc) and not function.signature
    reduces = getattr(function, "__name__", "") == "reduce"  # along another axis, as m is left
    return elementwise or reduces or function in ROW_BY_ROW


def _indexed_by_row(base: Symbol, index: Any, m: int, counts: set[Symbol]) -> bool:
    """Whether an index takes something of every row: by a colon, or by 0, 1, 2, ..."""
    if m not in base.value.shape or any(y.dtype == bool for y in parts(index)):
        return False
    index = index if isinstance(index, tuple) else (index,)
    dots = [slice(None)] * (base.ndim - sum(i is not None and i is not ... for i in index))
    at = next((n for n, i in enumerate(index) if i is ...), len(index))
    keys = [i for i in (*index[:at], *dots, *index[at + 1 :]) if i is not None]
    key = keys[base.value.shape.index(m)]
    if isinstance(key, Symbol):
        return key in counts
    return key == slice(None) and not any(m in y.value.shape for y in parts(index))


def _on_block(
    inner: Sequence[Symbol], data: Iterable[Symbol], counts: set[Symbol], part: slice, m: int
) -> dict[Symbol, Any]:
    """What Symbols are for a block, by what they are for all rows."""
    n, book = part.stop - part.start, Book(fixed=True)
    new = {x: book.argument(x.value[_cut(x, part, m)]) for x in data}

    def renewed(x: Any) -> Any:
        return new.get(x, x) if isinstance(x, Symbol) else x

    for x in inner:
        first, *rest = x.args
        if x.function in (np.reshape, np.broadcast_to):
            rest = put_in(rest, lambda k: n if isinstance(k, int) and k == m else k)
        elif x.function in (operator.getitem, put, add_at) and m in first.value.shape:
            index = put_in(rest[0], lambda k: np.arange(n) if isinstance(k, Symbol) and k in counts else k)
            rest = [index, *rest[1:]]
        kwargs = {name: put_in(value, renewed) for name, value in x.kwargs.items()}
        new[x] = book.record(x.function, *put_in((first, *rest), renewed), **kwargs)
    return new


def _cut(x: Symbol, part: slice, m: int) -> Any:
    """The index of a block in an array; all of one that has no rows."""
    shape = x.value.shape
    return (*[slice(None)] * shape.index(m), part) if m in shape else ...


def _inputs(x: Symbol) -> list[Symbol]:
    return list(parts((x.args, tuple(x.kwargs.values()))))
