"""A program for much data, gone through in blocks of rows that stay in the cache."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_lr.compiled.buffers import Machine, Plan, Unfit, aligned
from tinygrad_lr.program.symbols import (
    ELEMENTWISE,
    Book,
    Symbol,
    add_at,
    astype,
    in_full,
    parts,
    put,
    put_in,
)

LARGE = 2**22  # bytes, of data and of what is computed from them, that leave the cache
BLOCK = 2**20  # bytes of a block
ROW_BY_ROW = {np.where, np.clip, np.copy, astype, np.transpose, np.broadcast_to, np.matmul}
INDEXED = {operator.getitem, put, add_at}
SUMS = {np.matmul, np.vdot, np.add.reduce}


class Blocks:
    """A step that adds up what blocks of rows contribute.

    Rows are what lies along the longest axis of the data, wherever that axis is in an array.

    Attributes:
        source: what is run: on a block, on the last one if it is smaller, and on the sums.

    Raises:
        Unfit: if the data are few, or rows depend on each other before they are added up.
    """

    def __init__(self, plan: Plan) -> None:
        variables, places, *_ = plan
        batch, order, changing = dict.fromkeys(variables[2:]), plan.order(), plan.changing()
        changing |= {x for x in order if x.function is np.transpose}  # else read as another array
        steps = [x for x in order if x.function and x in changing]
        given = [y for x in steps for y in x.inputs if y in batch or y not in changing]
        self.m = m = max((n for x in given for n in x.value.shape), default=0)
        self.data = dict.fromkeys(x for x in given if m in x.value.shape)
        held = [x for x in self.data if x not in batch]
        self.counts = {x for x in held if np.array_equal(x.value, np.arange(m))}
        passed = [x.value[self._cut(x, slice(2))] for x in batch]
        if any(m in x.value.shape for x in places) or not all(a.flags.forc for a in passed):
            raise Unfit  # a block that is not in one piece would be copied for every product
        inner, sums = self._divided(steps)
        used = sum(x.value.nbytes for x in (*self.data, *inner) if x.function is not np.transpose)
        if used < LARGE or len({x.value.dtype for x in sums}) != 1:
            raise Unfit
        ends = np.cumsum([x.value.size for x in sums])
        self._total, self._term = (np.zeros(ends[-1], sums[0].value.dtype) for _ in range(2))
        totals, terms = (
            [a.reshape(x.value.shape) for x, a in zip(sums, np.split(flat, ends[:-1]), strict=True)]
            for flat in (self._total, self._term)
        )
        programs: dict[int, Machine] = {}
        self.blocks: list[tuple[Any, ...]] = []
        rows = _rows(m, used)
        cuts = [slice(start, min(start + rows, m)) for start in range(0, m, rows)]
        constants = [_in_blocks(x.value, [self._cut(x, part) for part in cuts]) for x in held]
        for part, *arrays in zip(cuts, *constants, strict=True):
            n = part.stop - part.start
            if n not in programs:
                new = self._on_block(inner, part)
                variable = [new.get(x, x) for x in (*batch, *held)]
                results = [(new[x], term) for x, term in zip(sums, terms, strict=True)]
                programs[n] = Machine(
                    Plan(variable, places, plan.loss.book.number(0.0), results, [])
                )
            self.blocks.append((programs[n].run, [self._cut(x, part) for x in batch], arrays))
        for x, total in zip(sums, totals, strict=True):  # what follows reads the total
            place = x.book.argument(total, fixed=True)
            x.function, x.args, x.kwargs = operator.getitem, (place, ...), {}
            places = {**places, place: total}
        rest = Machine(plan._replace(places=places))
        self._rest, self.source = rest.run, "\n".join(p.source for p in (*programs.values(), rest))

    def run(self, lr: Any, t: Any, *batch: Any) -> float:
        """One step: the blocks, then what is computed from the sums."""
        self._total.fill(0)
        for run, where, constants in self.blocks:
            run(*map(operator.getitem, batch, where), *constants)
            self._total += self._term
        return float(self._rest(lr, t, *batch))

    def _cut(self, x: Symbol, part: slice) -> Any:
        """The index of a block in an array; all of one that has no rows."""
        shape = x.value.shape
        return (*[slice(None)] * shape.index(self.m), part) if self.m in shape else ...

    def _divided(self, steps: Sequence[Symbol]) -> tuple[list[Symbol], list[Symbol]]:
        """What is computed row by row or adds up the rows; and the latter alone."""
        inner, sums = [], []
        after: set[Symbol] = set()  # sums, and what depends on them
        for x in steps:
            late = not after.isdisjoint(x.inputs)
            if any(self.m in y.value.shape for y in (x, *x.inputs)):
                if late or not self._separable(x):
                    raise Unfit
                inner.append(x)
                if self.m not in x.value.shape:
                    sums.append(x)
                    after.add(x)
            elif late:
                after.add(x)
        return inner, sums

    def _separable(self, x: Symbol) -> bool:
        """Whether a row of the result depends on that row of the inputs only, or it is a sum."""
        f, m, shapes = x.function, self.m, [y.value.shape for y in (x, *x.inputs)]
        new, old = shapes[:2]
        if any(shape.count(m) > 1 for shape in shapes):
            return False
        if m not in new:
            return f in SUMS and x.kwargs.keys() <= {"axis", "keepdims"}
        if f in INDEXED:
            return self._by_row(*x.args[:2]) if m in old else f is operator.getitem
        if f is np.reshape:
            return m in old and prod(old[: old.index(m)]) == prod(new[: new.index(m)])
        along = getattr(f, "__name__", "") == "reduce"  # along another axis, as there are rows
        return f in ELEMENTWISE or along or f in ROW_BY_ROW

    def _by_row(self, base: Symbol, index: Any) -> bool:
        """Whether an index takes something of every row: by a colon, or by 0, 1, 2, ..."""
        if any(y.dtype == bool for y in parts(index)):  # it may stand for several axes
            return False
        keys = [i for i in in_full(index, base.ndim) if i is not None]
        key = keys[base.value.shape.index(self.m)]
        if isinstance(key, Symbol):
            return key in self.counts
        colon = isinstance(key, slice) and key == slice(None)
        return colon and not any(self.m in y.value.shape for y in parts(index))

    def _on_block(self, inner: Iterable[Symbol], part: slice) -> dict[Symbol, Any]:
        """What Symbols are for a block, by what they are for all rows."""
        n, book = part.stop - part.start, Book(fixed=True)
        new = {x: book.argument(x.value[self._cut(x, part)]) for x in self.data}

        def fitted(x: Any) -> Any:
            return n if isinstance(x, int) and x == self.m else x

        def counted(x: Any) -> Any:
            return np.arange(n) if isinstance(x, Symbol) and x in self.counts else x

        def renewed(x: Any) -> Any:
            return new.get(x, x) if isinstance(x, Symbol) else x

        for x in inner:
            args, function = x.args, x.function or np.copy
            if function in (np.reshape, np.broadcast_to):
                args = (args[0], *put_in(args[1:], fitted))
            elif function in INDEXED and self.m in args[0].value.shape:
                args = (args[0], put_in(args[1], counted), *args[2:])
            kwargs = {name: put_in(value, renewed) for name, value in x.kwargs.items()}
            new[x] = book.record(function, *put_in(args, renewed), **kwargs)
        return new


def _rows(m: int, size: int) -> int:
    """The rows of a block, of m that have so many bytes; 64 at a time keep arrays aligned."""
    return max(64, BLOCK * m // size // 64 * 64)


def _in_blocks(array: Any, cuts: Sequence[Any]) -> list[Any]:
    """Copies of parts of an array, each in one piece, and all in one piece of memory."""
    raw = np.zeros(array.nbytes + 64 * len(cuts), np.uint8)
    blocks = []
    for cut in cuts:
        part = array[cut]
        blocks.append(aligned(part.shape, part.dtype, raw))
        blocks[-1][...] = part
        raw = raw[part.nbytes + 64 :]
    return blocks
