"""A function of a batch, recorded on batches of several sizes: what differs comes from lengths.

One recording holds values: a 4 does not tell that it is the number of samples. A batch of another
size does; more of them leave little to accident.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import operator
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import CodeType, FunctionType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.frames import OWN_FILES
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.naming.names import closure
from tinygrad_lr.program import recorder
from tinygrad_lr.program.recorder import RecordingError
from tinygrad_lr.program.symbols import tree_leaves, tree_map
from tinygrad_lr.recording import RecordAll, recording
from tinygrad_lr.tensor import Tensor, history

SIZES = (14, 5, 8, 29, 7, 11, 13, 17, 19)  # of batches, beside the given one
RUNS = 4  # on batches of them
EXTREMES = (1, 2, 3, 150)  # sizes that a function may fail for, but not compute something else
MIN_SAMPLES = 8
MIN_BOUND, MAX_BOUND, MAX_BOUNDS = 60, 10_000, 6  # of numbers in the code, and how many
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
MAX_SIZE = 10_000_000  # elements of a result
SHARES = ((1, 2), (1, 3), (1, 4), (1, 5), (1, 10), (2, 3), (3, 4), (4, 5), (9, 10))
POLYNOMIALS: tuple[Callable[[Any], Any], ...] = (
    lambda n: n * n, lambda n: (n - 1) * (n - 1), lambda n: n * (n - 1), lambda n: n * n * n,
    lambda n: n * (n - 1) // 2, lambda n: n * (n + 1) // 2,
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


class SizeError(RecordingError):
    """A function fails for a number of samples, whether it is recorded or not."""


class Run(NamedTuple):
    """What a function gave for the Tensors of a batch."""

    batch: list[Tensor]
    output: Tensor
    operations: int
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
        outside: the leaves that the function finds outside, the same in every run.
        sizes: the numbers of samples of the recordings.

    Raises:
        RecordingError: if the function cannot be recorded, or if for another number of samples it
            computes something else.
    """

    def __init__(self, function: Callable[..., Any], batch: Sequence[Any]) -> None:
        self.function, self.given = function, list(map(plain, batch))
        self.names = _names(function, len(batch))
        self.samples = next((len(x) for x in self.given if x.ndim), 0)
        lengths = {n for x in self.given for n in x.shape}
        sizes = [n for n in SIZES if n not in lengths][: (RUNS + 1) * bool(self.samples)]
        few = 0 < self.samples < MIN_SAMPLES  # for which too much would be equal by accident
        size = sizes.pop(0) if few else self.samples
        seeds = sizes or range(RUNS)  # of other numbers, if there are no samples
        runs = [self._run_of(size) if few else self._run(self.given), *map(self._run_of, seeds)]
        self.first, self.last = runs[0], runs[-1]
        extremes = {n for n in (*EXTREMES, *lengths) if 0 < n <= EXTREMES[-1]}
        if sizes and self.first.operations == self.last.operations:  # else a loop over the samples
            extremes |= {n + 3 for n in _bounds(function, self.first.output, size)}
        for n in sorted(extremes) if sizes else ():
            with contextlib.suppress(SizeError):
                runs.append(self._run_of(n))
                sizes.append(n)
        self.made: dict[int, Callable[[Emit, Any], Any]] = {}
        self.detached: dict[Tensor, Any] = {}
        self.outside: set[Tensor] = set()
        self._held: list[Any] = []  # so that no id is used again
        self.sizes = [size, *sizes] if sizes else [0] * len(runs)
        self._compare(runs)

    @property
    def _axis(self) -> int:
        """The first argument that has samples."""
        return next(i for i, x in enumerate(self.given) if x.ndim)

    def _drawn(self, n: int, vary: bool = True, permute: bool = False) -> list[Any]:
        """Another batch: n of the samples in another order, or all, some more than once.

        Args:
            vary: whether real numbers that are no samples are others.
            permute: whether 0, 1, 2, ... in some order are indices of the samples.
        """
        rng = np.random.default_rng(n)
        rows = np.resize(rng.permutation(self.samples), n)
        batch = []
        for i, x in enumerate(self.given):
            if self.has_samples(i):
                batch.append(rng.permutation(n) if permute and _is_permutation(x) else x[rows])
            else:
                real = vary and x.dtype.kind == "f"
                batch.append((x * rng.uniform(0.9, 1, x.shape)).astype(x.dtype) if real else x)
        return batch

    def has_samples(self, i: int) -> bool:
        """Whether the first axis of an argument is that of the samples."""
        return bool(self.given[i].ndim) and len(self.given[i]) == self.samples

    def _run_of(self, n: int) -> Run:
        """The function on a batch of n samples."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # they come with the given batch
            return self._attempt(n)

    def _attempt(self, n: int) -> Run:
        """The function on a batch that is drawn; if it fails for that alone, with a hint."""
        error: Exception | None = None
        for options in ({}, {"vary": False}, {"vary": False, "permute": True}):
            try:
                return self._run(self._drawn(n, **options))
            except RecordingError:
                raise
            except Exception as failure:
                error = error or failure
        self._run(self.given)
        raise SizeError(
            f"the function fails for {n} samples: {error}. Every argument whose first axis is "
            f"{self.samples} long was taken for samples; one that holds none should be a variable "
            f"outside of the function"
        ) from error

    def _run(self, arrays: Sequence[Any]) -> Run:
        batch = [Tensor(x, name=name) for x, name in zip(arrays, self.names, strict=True)]
        output, record = recorder.run(self.function, batch)
        if not isinstance(output, Tensor) or output.size != 1:
            raise RecordingError(
                f"the loss is a Tensor with one element, as of mean(), not {output!r}"
            )
        if output.ndim:
            with recording(RecordAll):
                output = output.reshape(())
        return Run(batch, output, len(record.results), record.detached)

    @property
    def size(self) -> int:
        """The number of samples of the last recording."""
        return len(self.last.batch[self._axis]) if self.samples else 0

    def eager(self, arrays: Sequence[Any]) -> Any:
        """What the function computes from arrays, or from Tensors if it needs these, unrecorded."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            with contextlib.suppress(Exception):
                if isinstance(output := self.function(*arrays), Tensor):
                    return output
            return self.function(*map(Tensor, arrays))

    def check_recorded(self, output: Tensor) -> None:
        """Raise if what the function computes unrecorded is not what was recorded."""
        x, y = output._array.reshape(()), self.last.output._array
        if not np.isclose(x, y, rtol=1e-3, atol=1e-9, equal_nan=True):
            raise RecordingError(
                f"the function gives {x} for arrays and {y} when it is recorded: it does something "
                f"else for a Tensor, as by its type or its text, or goes on with what an earlier "
                f"call left behind"
            )

    def check_loss(self, arrays: Sequence[Any], compute: Callable[[], Any]) -> None:
        """Raise if what computes a loss does not give the function's: once for every size."""
        n = len(arrays[self._axis]) if self.samples else 0
        if n in self.sizes:
            return
        loss, y = compute(), self.eager(arrays)._array.reshape(())
        rtol, atol = (1e-3, 1e-4) if y.dtype == np.float32 else (1e-6, 1e-9)
        if not np.isclose(loss, y, rtol=rtol, atol=atol, equal_nan=True):
            raise RecordingError(
                f"the program gives {loss} for {n} samples, and the function {y}: it does "
                f"something else for so many, or what it uses has been changed since"
            )
        self.sizes.append(n)

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
            calls = [(x.op and x.op.name, tree_leaves(x.inputs, _params(x))) for x in nodes]
            kinds = {
                (op, len(leaves), *x.params) for x, (op, leaves) in zip(nodes, calls, strict=True)
            }
            if len(kinds) > 1:
                raise self._differs(node)
            parts = [*zip(*(leaves for _, leaves in calls), strict=True)]
            for xs in parts:
                if isinstance(xs[0], Tensor):
                    waiting += [xs] if xs[0].op else self._sources(xs, runs, twins)
            explained = [self._explained(node, xs, twins) for xs in parts]
            other = any(x is not xs[0] for x, xs in zip(explained, parts, strict=True))
            if other or "index" in node.params:
                tree = node.inputs, _params(node)
                node.inputs, node.params = tree_map(tree, partial(_next, iter(explained)))

    def _sources(
        self, xs: tuple[Any, ...], runs: Sequence[Run], twins: Mapping[Any, Any]
    ) -> list[tuple[Any, ...]]:
        """The results that leaves are detached copies of; copies of other leaves are noted, too."""
        sources: Any = [
            isinstance(x, Tensor) and not x.op and run.detached.get(id(x._array))
            for run, x in zip(runs, xs, strict=True)
        ]
        if not all(isinstance(x, Tensor) for x in sources) or sources[0] is xs[0]:
            return []
        results = all(x.op for x in sources)
        same = twins.get(sources[0], sources[:1] * len(sources))
        if results or all(a is b for a, b in zip(sources, same, strict=True)):
            self.detached[xs[0]] = sources[0]
        return [tuple(sources)] if results else []

    def _explained(self, node: Tensor, xs: tuple[Any, ...], twins: dict[Any, Any]) -> Any:
        """What stands for an operand or a part of a param, given what it is in all runs."""
        x = xs[0]
        if all(y is x for y in xs):
            if isinstance(x, Tensor):
                self.outside.add(x)
            return x
        if len({type(y) for y in xs}) > 1:
            raise self._differs(node)
        if isinstance(x, Tensor):
            if all(y.op for y in xs) or x in self.detached:
                return x
            given = all(map(operator.is_, twins.get(x, ()), xs)) and x in twins
            if given or all(_equal(y._array, x._array) for y in xs):
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
            c = self._any_number([y.flat[0].item() for y in xs], self.sizes)
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

    @np.errstate(all="ignore")
    def _row(self, xs: tuple[Any, ...], n: Any) -> Callable[[Emit, Any], Any] | None:
        """How 0, 1, 2, ... became an array: rolled, times a number, or as the exponent of one."""
        pairs = [(y, k) for y, k in zip(xs, self.sizes, strict=True) if len(y)]
        long = [(y, np.arange(len(y))) for y, _ in pairs if len(y) > 1]
        starts = [y[0].item() for y, _ in pairs], [k for _, k in pairs]
        if all(np.array_equal(y, np.roll(k, -int(y[0]))) for y, k in long) and xs[0][0] != 0:
            turn = self._integer(*starts)
            return turn and (lambda emit, get: emit(np.roll, emit(np.arange, get(n)), get(-turn)))
        start, sizes = self._any_number(*starts), [k for y, k in pairs if len(y) > 1]
        if start == 1 and all(_near(y, (y[1] / y[0]) ** k) for y, k in long):
            ratio = self._any_number([(y[1] / y[0]).item() for y, _ in long], sizes)
            return None if ratio is None else partial(_power_row, n, ratio)
        if start is None or not all(_near(y, y[0] + (y[1] - y[0]) * k) for y, k in long):
            return None
        slope = self._any_number([(y[1] - y[0]).item() for y, _ in long], sizes)
        short = np.array([k for y, k in pairs if len(y) == 1], float)
        of_size = isinstance(slope, Quantity)
        if slope is None or (of_size and not np.isfinite(slope.compute(_called, short)).all()):
            stop = self._any_number([y[-1].item() for y, _ in long], sizes)
            return None if stop is None else partial(_spaced_row, start, stop, n)
        return partial(_affine_row, start, slope, n)

    def _square(
        self, xs: tuple[Any, ...], n: Any, pattern: Any
    ) -> Callable[[Emit, Any], Any] | None:
        """How a matrix is made of one number where a pattern has ones, and of another elsewhere."""
        masks = [pattern(len(y)) > 0 for y in xs]
        pairs = [(y[m], y[~m]) for y, m in zip(xs, masks, strict=True)]
        if not all((a == a[:1]).all() and (b == b[:1]).all() for a, b in pairs):
            return None
        known = [*zip(pairs, self.sizes, strict=True)]
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
        return Length(self.sizes[0], self.first.batch[self._axis], 0)

    def _integer(self, values: Sequence[int], sizes: Sequence[int] = ()) -> Any:
        """A whole number as it is computed from the number of samples; None if it is not."""
        sizes, first = sizes or self.sizes, values[0]
        if all(v == first for v in values):
            return first
        if not self.samples:
            return None
        n, size, pairs = self._length(), sizes[0], [*zip(values, sizes, strict=True)]
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
        v, n = np.array(values), np.array(sizes or self.sizes, float)
        for part in PARTS if self.samples else ():
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


def plain(x: Any) -> Any:
    """An argument as an array; unsigned integers, which wrap around below 0, as others."""
    array = np.asarray(unwrap(x))
    return array.astype(int) if array.dtype.kind == "u" else array


def _is_permutation(x: Any) -> bool:
    """Whether an array is 0, 1, 2, ... in some order: indices of the samples."""
    return x.ndim == 1 and x.dtype.kind == "i" and np.array_equal(np.sort(x), np.arange(len(x)))


def _is_library(function: FunctionType) -> bool:
    """Whether a function is installed, or of this package."""
    file = function.__code__.co_filename
    return file in OWN_FILES or file.startswith(INSTALLED)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of those that it defines."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _bounds(function: Callable[..., Any], output: Tensor, n: int) -> set[int]:
    """The numbers that a function uses beside its batch, and those in the indices of its graph.

    A number of samples beyond them may be treated in another way. They are above MIN_BOUND, and not
    so large that a result of the graph, recorded for n samples, would be larger than MAX_SIZE, or
    that it would take long; of many the largest, as what changes at others has changed there.
    """
    numbers = [*tree_leaves(*(node.params.get("index") for node in history(output)))]
    waiting: list[Any] = [function]
    seen: set[Any] = set()
    while waiting:
        x = waiting.pop()
        x = getattr(x, "__func__", x)
        if type(x) in (int, float) and x == x // 1:
            numbers.append(int(x))
        elif isinstance(x, FunctionType) and x not in seen and not _is_library(x):
            seen.add(x)
            codes = [*_codes(x.__code__)]
            named = {name for code in codes for name in code.co_names}
            waiting += closure(x).values()
            waiting += [x.__globals__[name] for name in named if name in x.__globals__]
            waiting += [constant for code in codes for constant in code.co_consts]
    nodes = history(output)
    elements = max((node.size for node in nodes), default=1) / n
    quadratic = elements > n
    most = MAX_BOUND if not quadratic else min(MAX_BOUND, int(n * (MAX_SIZE / elements / n) ** 0.5))
    most = min(most, MAX_SIZE // max(1, len(nodes)))
    bounds = {abs(x) for x in numbers if type(x) is int and MIN_BOUND < abs(x) <= most}
    return set(sorted(bounds)[-MAX_BOUNDS:])


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


def _affine_row(start: Any, slope: Any, n: Any, emit: Emit, get: Any) -> Any:
    row = emit(np.arange, get(n))
    row = row if slope == 1 else emit(np.multiply, get(slope), row)
    return row if start == 0 else emit(np.add, get(start), row)


def _power_row(n: Any, ratio: Any, emit: Emit, get: Any) -> Any:
    return emit(np.power, get(ratio), emit(np.arange, get(n)))


def _spaced_row(start: Any, stop: Any, n: Any, emit: Emit, get: Any) -> Any:
    return emit(np.linspace, get(start), get(stop), get(n))


def _near(x: Any, y: Any) -> bool:
    return np.allclose(x, y, rtol=1e-12, atol=1e-12)


def _plus(n: Length, rest: int) -> Any:
    return n + rest if rest > 0 else n - -rest if rest else n


def _params(node: Tensor) -> dict[str, Any]:
    """The params of a node, with lists and ranges in an index as arrays."""
    params = dict(node.params)
    return params | {"index": index_arrays(params["index"])} if "index" in params else params


def index_arrays(index: Any) -> Any:
    """An index with lists and ranges as arrays."""
    if isinstance(index, tuple):
        return tuple(map(index_arrays, index))
    if isinstance(index, (list, range)):
        return np.asarray(index, int if len(index) == 0 else None)
    return index


def _same_terms(x: Any, y: Any) -> bool:
    """Whether two lengths are computed in the same way."""
    if not (isinstance(x, Length) and isinstance(y, Length)):
        return type(x) is type(y) and (isinstance(x, Tensor) or bool(x == y))
    pairs = zip(x.terms, y.terms, strict=False)
    return len(x.terms) == len(y.terms) and all(_same_terms(a, b) for a, b in pairs)


def _equal(x: Any, y: Any) -> bool:
    """Whether two arrays are the same."""
    return x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f")
