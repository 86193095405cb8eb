"""A function of a batch, recorded on batches of several sizes: what differs comes from lengths.

One recording holds values: a 4 does not tell that it is the number of samples. A batch of another
size does, and more of them prove it.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.program.recorder import RecordingError, Repeatable
from tinygrad_lr.program.symbols import tree_leaves, tree_map
from tinygrad_lr.recording import current, recording
from tinygrad_lr.tensor import Tensor

SIZES = (14, 5, 8, 29, 7, 11, 13, 17, 19)  # of batches, beside the given one
RUNS = 4  # on batches of them
EXTREMES = (1, 2, 3, 150)  # sizes that a function may fail for, but not compute something else
MIN_SAMPLES = 8
SHARES = ((1, 2), (1, 3), (1, 4), (1, 5), (1, 10), (2, 3), (3, 4), (4, 5), (7, 10), (9, 10))
POLYNOMIALS: tuple[Callable[[Any], Any], ...] = (
    lambda n: n * n, lambda n: n * (n - 1), lambda n: n * (n - 1) // 2, lambda n: n * (n + 1) // 2,
)  # fmt: skip

Emit = Callable[..., Any]
PARTS: tuple[Callable[[Emit, Any], Any], ...] = (
    lambda emit, n: n,
    lambda emit, n: n - 1,
    lambda emit, n: n + 1,
    lambda emit, n: emit(np.sqrt, n),
    lambda emit, n: emit(np.log, n),
    lambda emit, n: emit(np.log, n + 1),
    lambda emit, n: n * (n - 1),
    lambda emit, n: n * n,
    lambda emit, n: emit(np.divide, n - 1, n),
    lambda emit, n: emit(np.divide, n, n - 1),
    lambda emit, n: emit(np.sqrt, n - 1),
)  # what a number is a multiple of, or has as a divisor


class Quantity(float):
    """A number that is computed from the number of samples n.

    Attributes:
        n: the number of samples.
        compute: takes what calls a function, as `Trace.emit`, and an n; gives the number for it.
    """

    n: Length
    compute: Callable[[Emit, Any], Any]


class Run(NamedTuple):
    """What a function gave for the Tensors of a batch."""

    batch: list[Tensor]
    output: Tensor
    detached: dict[int, Tensor]  # what leaves are copies of, by the ids of their arrays


class Batches:
    """Recordings of a function on batches of several sizes.

    Args:
        function: called with Tensors of a batch; gives a Tensor with one element.
        batch: its arrays, with the samples along the first axis.

    Attributes:
        names: of the arguments.
        given: the batch, as arrays.
        first: the recording whose numbers tell where they come from, on the given batch if it is
            not too small.
        last: a recording on other data of another size.
        made: the arrays without data, as np.ones(len(X)), by id: how to make them, given
            `Trace.emit` and what turns lengths into those of Symbols.
        detached: the leaves that are detached copies of results, with those.

    Raises:
        RecordingError: if the function cannot be recorded, or if for another number of samples it
            computes something else.
    """

    def __init__(self, function: Callable[..., Any], batch: Sequence[Any]) -> None:
        self.function, self.given = function, [np.asarray(x) for x in batch]
        self.names = _names(function, len(batch))
        self.samples = next((len(x) for x in self.given if x.ndim), 0)
        lengths = {n for x in self.given for n in x.shape}
        sizes = [n for n in SIZES if n not in lengths][: (RUNS + 1) * bool(self.samples)]
        few = 0 < self.samples < MIN_SAMPLES  # for which too much would be equal by accident
        first = self._drawn(sizes.pop(0)) if few else self.given
        runs = [self._attempt(first), *map(self._run_of, sizes)]
        self.first, self.last = runs[0], runs[-1]
        extremes = {n for n in (*EXTREMES, *lengths) if 0 < n <= EXTREMES[-1]}
        for n in sorted(extremes) if sizes else ():
            with contextlib.suppress(RecordingError):
                runs.append(self._run_of(n))
                sizes.append(n)
        self.made: dict[int, Callable[[Emit, Any], Any]] = {}
        self.detached: dict[Tensor, Any] = {}
        self._held: list[Any] = []  # so that no id is used again
        self._sizes = [len(first[self._axis]) if sizes else 0, *sizes]
        self._compare(runs)

    @property
    def _axis(self) -> int:
        """The first argument that has samples."""
        return next(i for i, x in enumerate(self.given) if x.ndim)

    def _drawn(self, n: int) -> list[Any]:
        """Another batch: n of the samples in another order, or all, some more than once."""
        rows = np.resize(np.random.default_rng(n).permutation(self.samples), n)
        return [x[rows] if self.has_samples(i) else x for i, x in enumerate(self.given)]

    def has_samples(self, i: int) -> bool:
        """Whether the first axis of an argument is that of the samples."""
        return bool(self.given[i].ndim) and len(self.given[i]) == self.samples

    def _run_of(self, n: int) -> Run:
        """The function on a batch of n samples."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # they come with the given batch
            return self._attempt(self._drawn(n))

    def _attempt(self, arrays: Sequence[Any]) -> Run:
        """The function on a batch; if it fails for one that was drawn, with a hint."""
        try:
            return self._run(arrays)
        except Exception as error:
            if isinstance(error, RecordingError) or arrays is self.given:
                raise
            n = len(arrays[self._axis])
            raise RecordingError(
                f"the function fails for {n} samples: {error}. Every argument whose first axis is "
                f"{self.samples} long was taken for samples; what is none belongs outside"
            ) from error

    def _run(self, arrays: Sequence[Any]) -> Run:
        batch = [Tensor(x, name=name) for x, name in zip(arrays, self.names, strict=True)]
        with recording(Repeatable):
            output, detached = self.function(*batch), current().detached
        if not isinstance(output, Tensor) or output.size != 1:
            raise RecordingError(
                f"the loss is a Tensor with one element, as of mean(), not {output!r}"
            )
        return Run(batch, output, detached)

    def _compare(self, runs: Sequence[Run]) -> None:
        """Put numbers that tell where they come from in the place of those that differ."""
        twins: dict[Any, tuple[Any, ...]] = {}
        for xs in zip(*(run.batch for run in runs), strict=True):
            twins[xs[0]] = xs
        waiting = [tuple(run.output for run in runs)]
        while waiting:
            nodes: Any = waiting.pop()
            node = nodes[0]
            if known := twins.get(node):
                if any(a is not b for a, b in zip(known, nodes, strict=True)):
                    raise self._differs(node)
                continue
            twins[node] = nodes
            if len({(x.op.name, len(x.inputs), *x.params) for x in nodes}) > 1:
                raise self._differs(node)
            trees = [(x.inputs, dict(x.params)) for x in nodes]
            leaves = [list(tree_leaves(tree)) for tree in trees]
            if len(set(map(len, leaves))) > 1:
                raise self._differs(node)
            parts = [*zip(*leaves, strict=True)]
            waiting += [xs for xs in parts if isinstance(xs[0], Tensor) and xs[0].op]
            waiting += self._detached(parts, runs, twins)
            explained = [self._explained(node, xs, twins) for xs in parts]
            node.inputs, node.params = tree_map(trees[0], partial(_next, iter(explained)))

    def _detached(
        self, parts: Sequence[Any], runs: Sequence[Run], twins: Mapping[Any, Any]
    ) -> Iterator[tuple[Any, ...]]:
        """The results that leaves are detached copies of; copies of other leaves are noted, too."""
        for xs in parts:
            leaves = [x for x in xs if isinstance(x, Tensor) and not x.op]
            sources: Any = [
                run.detached.get(id(x._array)) for run, x in zip(runs, leaves, strict=False)
            ]
            if (
                len(leaves) < len(runs)
                or any(x is None for x in sources)
                or sources[0] is leaves[0]
            ):
                continue
            results = all(x.op for x in sources)
            same = twins.get(sources[0], sources[:1] * len(sources))
            if results or all(a is b for a, b in zip(sources, same, strict=True)):
                self.detached[leaves[0]] = sources[0]
            if results:
                yield tuple(sources)

    def _explained(self, node: Tensor, xs: tuple[Any, ...], twins: dict[Any, Any]) -> Any:
        """What stands for an operand or a part of a param, given what it is in all runs."""
        x = xs[0]
        if all(y is x for y in xs):
            return x
        if len({type(y) for y in xs}) > 1:
            raise self._differs(node)
        if isinstance(x, Tensor):
            batch = twins.get(x, ()) == xs or x in self.detached  # an argument, or computed
            if batch or all(y.op for y in xs) or all(_equal(y._array, x._array) for y in xs):
                return x
            raise self._differs(node)
        if isinstance(x, Length) and all(_same_terms(x, y) for y in xs):
            return x
        if isinstance(x, np.ndarray) and x.ndim:
            return self._array(node, xs)
        if isinstance(x, (int, float, np.number, np.ndarray)) and not isinstance(x, bool):
            return self._number(node, [np.asarray(y).item() for y in xs], x)
        if any(y != x for y in xs):
            raise self._differs(node)
        return x

    def _array(self, node: Tensor, xs: tuple[Any, ...]) -> Any:
        """An array that is the same in all runs, or as long as the batch."""
        x = xs[0]
        if all(_equal(x, y) for y in xs):
            return x
        shape = [self._integer(lengths) for lengths in zip(*(y.shape for y in xs), strict=True)]
        make = None if None in shape else self._made(xs, tuple(shape))
        if make is None:
            raise self._differs(node)
        self.made[id(x)] = make
        self._held.append(x)
        return x

    def _made(
        self, xs: tuple[Any, ...], shape: tuple[Any, ...]
    ) -> Callable[[Emit, Any], Any] | None:
        """How an array is made of lengths: filled, counted, or with a diagonal of its own."""
        x = xs[0]
        first: Any = x.flat[0] if x.size else x.dtype.type(0)
        if all((y == first).all() for y in xs):
            if x.dtype == float and first in (0, 1):
                return lambda emit, get: emit(np.ones if first else np.zeros, get(shape))
            return lambda emit, get: emit(np.full, get(shape), first.item(), x.dtype)
        if all(y.size and (y == y.flat[0]).all() for y in xs):
            c = self._any_number([y.flat[0].item() for y in xs], self._sizes)
            return None if c is None else lambda emit, get: emit(np.full, get(shape), get(c))
        row_of = self._truths if x.dtype == bool else self._row
        if x.ndim == 1 and len(x) > 1:
            return row_of(xs, shape[0])
        if x.ndim == 2 and 1 in shape:
            row = row_of(tuple(y.ravel() for y in xs), shape[int(shape[0] == 1)])
            return row and (lambda emit, get: emit(np.reshape, row(emit, get), get(shape)))
        if x.ndim == 2 and all(y.shape[0] == y.shape[1] for y in xs):
            for make in (np.eye, np.tri, partial(np.tri, k=-1)):
                if pattern := self._square(xs, shape[0], make):
                    return pattern
        return None

    def _truths(self, xs: tuple[Any, ...], n: Any) -> Callable[[Emit, Any], Any] | None:
        """How a row came to be true up to some place alone, or from there on alone."""
        for compare, before in ((np.less, True), (np.greater_equal, False)):
            places = [int((x == before).sum()) for x in xs]
            place = self._integer(places)
            rows = zip(xs, places, strict=True)
            if place is not None and all(
                (x == compare(np.arange(len(x)), p)).all() for x, p in rows
            ):
                return partial(_compared, compare, n, place)
        return None

    def _row(self, xs: tuple[Any, ...], n: Any) -> Callable[[Emit, Any], Any] | None:
        """How 0, 1, 2, ... became an array: rolled, or times a number and plus another."""
        pairs = [(y, k) for y, k in zip(xs, self._sizes, strict=True) if len(y)]
        long = [(y, np.arange(len(y))) for y, _ in pairs if len(y) > 1]
        starts = [y[0].item() for y, _ in pairs], [k for _, k in pairs]
        if all(np.array_equal(y, np.roll(k, -int(y[0]))) for y, k in long) and xs[0][0] != 0:
            turn = self._integer(*starts)
            return turn and (lambda emit, get: emit(np.roll, emit(np.arange, get(n)), get(-turn)))
        affine = all(
            np.allclose(y, y[0] + (y[1] - y[0]) * k, rtol=1e-12, atol=1e-12) for y, k in long
        )
        if not affine:
            return None
        sizes = [k for y, k in pairs if len(y) > 1]
        slope = self._any_number([(y[1] - y[0]).item() for y, _ in long], sizes)
        start = self._any_number(*starts)
        short = np.array([k for y, k in pairs if len(y) == 1], float)
        if isinstance(slope, Quantity) and not np.isfinite(slope.compute(_called, short)).all():
            return None
        if slope is None or start is None:
            return None

        def make(emit: Emit, get: Any) -> Any:
            row = emit(np.arange, get(n))
            row = row if slope == 1 else emit(np.multiply, get(slope), row)
            return row if start == 0 else emit(np.add, get(start), row)

        return make

    def _square(
        self, xs: tuple[Any, ...], n: Any, pattern: Any
    ) -> Callable[[Emit, Any], Any] | None:
        """How a matrix is made of one number where a pattern has ones, and of another elsewhere."""
        masks = [pattern(len(y)) > 0 for y in xs]
        pairs = [(y[m], y[~m]) for y, m in zip(xs, masks, strict=True)]
        if not all((a == a[:1]).all() and (b == b[:1]).all() for a, b in pairs):
            return None
        known = [*zip(pairs, self._sizes, strict=True)]
        on, off = (
            self._any_number(
                [pair[i].flat[0].item() for pair, _ in known if pair[i].size],
                [k for pair, k in known if pair[i].size],
            )
            for i in (0, 1)
        )
        if on is None or off is None:
            return None
        k = getattr(pattern, "keywords", {})

        def make(emit: Emit, get: Any) -> Any:
            mask = emit(getattr(pattern, "func", pattern), get(n), **k)
            if xs[0].dtype == bool:
                return emit(np.equal, mask, 1.0 if on else 0.0)
            return emit(np.where, emit(np.equal, mask, 1.0), get(on), get(off))

        return make

    def _any_number(self, values: list[Any], sizes: Sequence[int]) -> Any:
        """A number that is the same in all runs, or how it is computed; None if it is not."""
        if all(v == values[0] for v in values):
            return values[0]
        whole = all(isinstance(v, int) for v in values)
        return self._integer(values, sizes) if whole else self._quantity(values, sizes)

    def _number(self, node: Tensor, values: list[Any], x: Any) -> Any:
        """A number that is the same in all runs, or computed from the number of samples."""
        if all(v == values[0] or (v != v and values[0] != values[0]) for v in values):
            return x
        whole = isinstance(values[0], int)
        number = self._integer(values) if whole else self._quantity(values)
        if number is None:
            raise self._differs(node)
        return number

    def _length(self) -> Length:
        """The number of samples, as the length of a Tensor."""
        return Length(self._sizes[0], self.first.batch[self._axis], 0)

    def _integer(self, values: Sequence[int], sizes: Sequence[int] = ()) -> Any:
        """A whole number as it is computed from the number of samples; None if it is not."""
        sizes = sizes or self._sizes
        n, size, first = self._length(), sizes[0], values[0]
        pairs = [*zip(values, sizes, strict=True)]
        if all(v == first for v in values):
            return first
        a = (values[1] - first) // (sizes[1] - size)
        if a and all(v - a * k == first - a * size for v, k in pairs):
            return _plus(n if a == 1 else -n if a == -1 else a * n, first - a * size)
        for (p, q), c, sign in itertools.product(SHARES, (0, 1, -1), (1, -1)):
            rest = first - sign * ((p * size + c) // q)
            if all(v - sign * ((p * k + c) // q) == rest for v, k in pairs):
                part = _plus(n if p == 1 else p * n, c) // q
                return _plus(part if sign == 1 else -part, rest)
        for polynomial in POLYNOMIALS:
            c = first // polynomial(size)
            if all(v == c * polynomial(k) for v, k in pairs):
                return polynomial(n) if c == 1 else c * polynomial(n)
        return None

    def _quantity(self, values: Sequence[float], sizes: Sequence[int] = ()) -> Quantity | None:
        """A number as a multiple of a function of the number of samples; None if it is none."""
        v, n = np.array(values), np.array(sizes or self._sizes, float)
        for part in PARTS:
            with np.errstate(all="ignore"):
                p = part(_called, n)
                slope = (v[1] - v[0]) / (p[1] - p[0])
                terms = [(np.multiply, v[0] / p[0], 0.0), (np.divide, v[0] * p[0], 0.0)]
                terms.append((np.multiply, slope, v[0] - slope * p[0]))
            for how in terms:
                compute = partial(_multiple, part, *how)
                atol = 1e-12 * abs(v[0]) if how[2] else 0.0  # of a sum, which may cancel
                if np.allclose(compute(_called, n), v, rtol=1e-12, atol=atol, equal_nan=True):
                    quantity = Quantity(values[0])
                    quantity.n, quantity.compute = self._length(), compute
                    return quantity
        return None

    def _differs(self, node: Tensor) -> RecordingError:
        """The error for what depends on the data or on their number in a way that is not known."""
        return RecordingError(
            f"for another batch the function computes something else here than an expression of "
            f"its arguments and of their lengths: there was a loop over the samples, a choice by "
            f"values, or randomness\n  {locate(node.origin) if node.origin else ''}"
        )


def _names(function: Callable[..., Any], n: int) -> list[str]:
    """The names of the first n parameters of a function."""
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    return [*names, *(f"x{i}" for i in range(len(names), n))][:n]


@np.errstate(all="ignore")
def _called(function: Callable[..., Any], *args: Any) -> Any:
    """What a function gives for numbers, as `Trace.emit` for Symbols."""
    return function(*args)


def _multiple(part: Any, sign: Any, c: float, rest: float, emit: Emit, n: Any) -> Any:
    """c times a function of n, or c divided by it, and perhaps a number more."""
    c, result = float(f"{c:.14g}"), part(emit, n)
    if sign is np.divide or c != 1:
        result = emit(sign, c, result)
    return emit(np.add, result, float(f"{rest:.12g}")) if rest else result


def _compared(compare: Any, n: Any, place: Any, emit: Emit, get: Any) -> Any:
    """Which of the first n whole numbers are below a place, or are not."""
    return emit(compare, emit(np.arange, get(n)), get(place))


def _next(values: Iterator[Any], _: Any) -> Any:
    return next(values)


def _plus(n: Length, rest: int) -> Any:
    return n + rest if rest > 0 else n - -rest if rest else n


def _same_terms(x: Any, y: Any) -> bool:
    """Whether two lengths are computed in the same way."""
    if not (isinstance(x, Length) and isinstance(y, Length)):
        return type(x) is type(y) and (isinstance(x, Tensor) or bool(x == y))
    pairs = zip(x.terms, y.terms, strict=False)
    return len(x.terms) == len(y.terms) and all(_same_terms(a, b) for a, b in pairs)


def _equal(x: Any, y: Any) -> bool:
    """Whether two arrays are the same."""
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
