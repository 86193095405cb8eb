"""A program for much data, gone through in blocks of rows that stay in the cache."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_lr.compiled.buffers import BufferedProgram
from tinygrad_lr.compiled.plan import NotApplicable, PackedArrays, Plan, aligned_copy
from tinygrad_lr.program.calls import ELEMENTWISE, REDUCTIONS, add_at, astype, expand_index, put
from tinygrad_lr.program.symbols import Symbol, Trace, substitute, symbols_in, tree_map

MIN_BYTES = 2**22  # of data and of what is computed from them, that leave the cache
BLOCK = 2**20  # bytes of a block
ROW_BY_ROW = {np.where, np.clip, np.copy, astype, np.transpose, np.broadcast_to, np.matmul}
ROW_BY_ROW |= ELEMENTWISE | REDUCTIONS  # these along another axis, as there are rows
INDEXED = {operator.getitem, put, add_at}
SUMS = {np.matmul, np.vdot, np.add.reduce}


class BlockedProgram:
    """A step that adds up what blocks of rows contribute.

    Rows are what lies along the longest axis of the data, wherever that axis is in an array.

    Attributes:
        source: what is run: on a block, on the last one if it is smaller, and on the sums.

    Raises:
        NotApplicable: if the data are few, or rows depend on each other before they are added up.
    """

    def __init__(self, plan: Plan) -> None:
        inner, sums = self._divide(self._find_rows(plan))
        size = sum(x.value.nbytes for x in (*self.data, *inner) if x.function is not np.transpose)
        if size < MIN_BYTES or len({x.dtype for x in sums}) != 1:
            raise NotApplicable
        total, term = (PackedArrays([x.value for x in sums]) for _ in range(2))
        self._total, self._term = total.packed, term.packed
        rows = _rows(self.m, size)
        cuts = [slice(i, min(i + rows, self.m)) for i in range(0, self.m, rows)]
        results = list(zip(sums, term.arrays, strict=True))
        programs = {
            n: self._on_block(plan, n, inner, results)
            for n in dict.fromkeys(cut.stop - cut.start for cut in cuts)
        }
        copies = [_in_blocks(x.value, [self._cut(x, cut) for cut in cuts]) for x in self.constants]
        self.blocks: list[tuple[Any, ...]] = [
            (programs[cut.stop - cut.start].run, [self._cut(x, cut) for x in self.batch], arrays)
            for cut, *arrays in zip(cuts, *copies, strict=True)
        ]
        places = dict(plan.places)
        for x, array in zip(sums, total.arrays, strict=True):  # what follows reads the total
            place = x.trace.argument(array)
            x.function, x.args, x.kwargs, x.inputs = operator.getitem, (place, ...), {}, [place]
            places[place] = array
        self._scalars, rest = len(plan.scalars), BufferedProgram(plan._replace(places=places))
        self._rest, self.source = rest.run, "\n".join(p.source for p in (*programs.values(), rest))

    def _find_rows(self, plan: Plan) -> list[Symbol]:
        """The number of rows, and the data that have so many; gives the calls of a step."""
        order, varying, self.batch = plan.order(), plan.varying(), dict.fromkeys(plan.batch)
        varying |= {x for x in order if x.function is np.transpose}  # else read as another array
        steps = [x for x in order if x.function and x in varying]
        inputs = [y for x in steps for y in x.inputs if y in self.batch or y not in varying]
        self.m = max((n for x in inputs for n in x.shape), default=0)
        self.data = dict.fromkeys(x for x in inputs if self.m in x.shape)
        self.constants = [x for x in self.data if x not in self.batch]
        self.counts = {x for x in self.constants if np.array_equal(x.value, np.arange(self.m))}
        first = [x.value[self._cut(x, slice(2))] for x in self.batch]
        if any(self.m in x.shape for x in plan.places) or not all(a.flags.forc for a in first):
            raise NotApplicable  # a block with gaps would be copied for every product
        return steps

    def run(self, *arguments: Any) -> float:
        """One step: the blocks, then what is computed from the sums."""
        batch = arguments[self._scalars :]
        self._total.fill(0)
        for run, cuts, constants in self.blocks:
            run(*map(operator.getitem, batch, cuts), *constants)
            self._total += self._term
        return float(self._rest(*arguments))

    def _cut(self, x: Symbol, block: slice) -> Any:
        """The index of a block in an array; all of one that has no rows."""
        if self.m not in x.shape:
            return ...
        return (*[slice(None)] * x.shape.index(self.m), block)

    def _divide(self, steps: Sequence[Symbol]) -> tuple[list[Symbol], list[Symbol]]:
        """What is computed row by row or adds up the rows; and the latter alone."""
        inner, sums = [], []
        after: set[Symbol] = set()  # sums, and what depends on them
        for x in steps:
            late = not after.isdisjoint(x.inputs)
            if any(self.m in y.shape for y in (x, *x.inputs)):
                if late or not self._is_separable(x):
                    raise NotApplicable
                inner.append(x)
                if self.m not in x.shape:
                    sums.append(x)
                    after.add(x)
            elif late:
                after.add(x)
        return inner, sums

    def _is_separable(self, x: Symbol) -> bool:
        """Whether a row of the result depends on that row of the inputs only, or it is a sum."""
        f, m, shapes = x.function, self.m, [y.shape for y in (x, *x.inputs)]
        new, old = shapes[:2]
        if any(shape.count(m) > 1 for shape in shapes):
            return False
        if m not in new:
            return f in SUMS and x.kwargs.keys() <= {"axis", "keepdims"}
        if f in INDEXED:
            return self._is_by_row(*x.args[:2]) if m in old else f is operator.getitem
        if f is np.reshape:
            return m in old and prod(old[: old.index(m)]) == prod(new[: new.index(m)])
        return f in ROW_BY_ROW

    def _is_by_row(self, base: Symbol, index: Any) -> bool:
        """Whether an index takes something of every row: by a colon, or by 0, 1, 2, ..."""
        if any(y.dtype == bool for y in symbols_in(index)):  # it may stand for several axes
            return False
        keys = [i for i in expand_index(index, base.ndim) if i is not None]
        key = keys[base.shape.index(self.m)]
        if isinstance(key, Symbol):
            return key in self.counts
        colon = isinstance(key, slice) and key == slice(None)
        return colon and not any(self.m in y.shape for y in symbols_in(index))

    def _on_block(
        self, plan: Plan, n: int, inner: Iterable[Symbol], results: list[tuple[Symbol, Any]]
    ) -> BufferedProgram:
        """The program for a block of n rows."""
        trace = Trace(fixed=True)
        new: Any = {x: trace.argument(x.value[self._cut(x, slice(n))]) for x in self.data}
        counts = dict.fromkeys(self.counts, np.arange(n))
        for x in inner:
            args = x.args
            if x.function in (np.reshape, np.broadcast_to):
                args = (args[0], *tree_map(args[1:], lambda k: n if k == self.m else k))
            elif x.function in INDEXED and self.m in args[0].shape:
                args = (args[0], substitute(args[1], counts), *args[2:])
            args, kwargs = substitute((args, x.kwargs), new)
            new[x] = trace.emit(x.function or np.copy, *args, **kwargs)
        variables = substitute([*self.batch, *self.constants], new)
        terms = [(new[x], array) for x, array in results]
        program = BufferedProgram(Plan([], variables, plan.places, trace.number(0.0), terms, []))
        for x in variables:  # views of all rows
            x.release()
        return program


def _rows(m: int, size: int) -> int:
    """The rows of a block, of m that have so many bytes; 64 at a time keep arrays aligned."""
    return max(64, BLOCK * m // size // 64 * 64)


def _in_blocks(array: Any, cuts: Sequence[Any]) -> list[Any]:
    """Copies of parts of an array, each in one piece, and all in one piece of memory."""
    raw = np.zeros(array.nbytes + 64 * len(cuts), np.uint8)
    copies = []
    for cut in cuts:
        copies.append(aligned_copy(array[cut], raw))
        raw = raw[array[cut].nbytes + 64 :]
    return copies
