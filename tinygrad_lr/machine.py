"""A program for the machine: every array has its place, and every call writes into one."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.symbols import Symbol, is_number, ordered, parts, put_in, value_of

VIEWS = {np.transpose, np.reshape, np.broadcast_to, np.flip, operator.getitem}
SIGNS = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**"}


def aligned(shape: tuple[int, ...], dtype: Any, raw: Any = None) -> Any:
    """An array that begins at a multiple of 64 bytes, where wide instructions are fastest.

    A matrix with a few columns is stored by columns, as rows of two numbers are slow to go through.

    Args:
        raw: bytes that it lies in, 64 more than it needs; new ones if not given.
    """
    if len(shape) == 2 and 1 < shape[1] <= 32 and shape[0] > 2 * shape[1]:
        return aligned(shape[::-1], dtype, raw).T
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8) if raw is None else raw
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


class Machine:
    """A step as a function of lr, the number of steps before, and the arrays of a batch.

    Args:
        variables: the Symbols of what the function is called with, in order.
        places: the arrays that Symbols live in: parameters, state, gradients.
        loss: what the function returns.
        gradients: what is computed first, each with the array of its own that it is written to.
        finals: what is computed then, with the arrays, still in use, that it is written to.
        again: makes the program to start again with where the loss is not finite.

    Attributes:
        source: what is run.
    """

    def __init__(
        self,
        variables: Sequence[Symbol],
        places: Mapping[Symbol, Any],
        loss: Symbol,
        gradients: Sequence[tuple[Any, Any]],
        finals: Sequence[tuple[Symbol, Any]],
        again: Callable[[], Machine] | None = None,
    ) -> None:
        self.again, self._stable = again, None
        self.space: dict[str, Any] = {}
        self.lines: list[str] = []
        self.arrays: dict[Symbol, Any] = dict(places)  # where a Symbol lives from step to step
        self.texts: dict[Symbol, str] = {x: f"a{i}" for i, x in enumerate(variables)}
        self.roots: dict[Symbol, Symbol] = {x: x for x in places}
        results = [loss, *(x for x, _ in gradients), *(x for x, _ in finals)]
        self.order = ordered(results)
        self.changing = set(variables) | set(places)
        for x in self.order:
            if x.function and any(y in self.changing for y in _inputs(x)):
                self.changing.add(x)
        self.users: dict[Symbol, list[Symbol]] = {x: [] for x in self.order}
        for x in self.order:
            for y in _inputs(x):
                self.users[y].append(x)
        self.wanted: dict[Symbol, Any] = dict(finals)
        self.last = self._last_uses()
        self.gradients: dict[Symbol, list[Any]] = {}
        for x, place in gradients:
            if isinstance(x, Symbol) and x in self.changing and x.function:
                self.gradients.setdefault(x, []).append(place)
            else:
                place[...] = value_of(x)
        self.free: dict[Any, list[Any]] = {}
        self.owned: dict[Symbol, Any] = {}
        for i, x in enumerate(self.order):
            if x in self.changing and x not in self.texts and x not in places:
                self._compute(x, i)
                if x is loss and again:
                    given = ", ".join(self.texts[v] for v in variables)
                    self.lines.append(f"if not isfinite({self.texts[x]}):")
                    self.lines.append(f"    return again({given})")
                    self.space |= {"isfinite": math.isfinite, "again": self._once_more}
                for place in self.gradients.get(x, ()):
                    self._copy(x, place)
                self._release(i)
        for x, place in finals:
            self._copy(x, place)
        lines = [*self.lines, f"return float({self._scalar(loss)})"]
        self.space["errstate"] = np.errstate
        arguments = ", ".join(self.texts[x] for x in variables)
        self.source = "\n".join(
            [
                f"def make({', '.join(self.space)}):",
                f"    def run({arguments}):",
                '        with errstate(over="ignore", divide="ignore", invalid="ignore"):',
                *(f"            {line}" for line in lines),
                "    return run",
                "",
            ]
        )
        made: dict[str, Any] = {}
        exec(compile(self.source, "<compiled>", "exec"), made)
        self.run = made["make"](**self.space)

    def _copy(self, x: Symbol, place: Any) -> None:
        """Write a value to where it is wanted, if it is not there."""
        if place.ndim == 0:
            self.lines.append(f"{self._hold(place)}[()] = {self._scalar(x)}")
        elif self.arrays.get(x) is not place:
            self.lines.append(f"{self._name(np.copyto)}({self._hold(place)}, {self._operand(x)})")

    def _once_more(self, *args: Any) -> float:
        """The step by the formulas that do not overflow."""
        if self._stable is None:
            self._stable = self.again()
        return self._stable.run(*args)

    def _last_uses(self) -> dict[Symbol, int]:
        """The last line that needs the array of each Symbol, through views as well."""
        last: dict[Symbol, int] = {}
        for i in range(len(self.order) - 1, -1, -1):
            x = self.order[i]
            until = max(last.get(x, i), i)
            for y in _inputs(x):
                last[y] = max(last.get(y, i), until if x.function in VIEWS else i)
        return last

    def _release(self, i: int) -> None:
        for x in [x for x in self.owned if self.last.get(x, i) <= i]:
            array = self.owned.pop(x)
            self.free.setdefault((array.shape, array.dtype), []).append(array)

    def _hold(self, value: Any) -> str:
        """A name for an object that the function keeps."""
        for name, known in self.space.items():
            if known is value:
                return name
        kind = "b" if isinstance(value, np.ndarray) and value.ndim else "c"
        name = getattr(value, "__name__", f"{kind}{len(self.space)}")
        name = name if name not in self.space else f"{name}_{len(self.space)}"
        self.space[name] = value
        return name

    def _operand(self, x: Any) -> str:
        """What a call on arrays takes for an argument."""
        if isinstance(x, Symbol):
            if x in self.texts:
                return self.texts[x]
            if x in self.arrays:
                return self._hold(self.arrays[x])
            self.arrays[x] = x.value
            if x.value.ndim and x.value.dtype.kind == "f":
                self.arrays[x] = aligned(x.value.shape, x.value.dtype)
                self.arrays[x][...] = x.value
            return self._hold(self.arrays[x])
        return repr(x) if isinstance(x, (int, float, str, type(None))) else self._hold(x)

    def _lone(self, a: Any, x: Symbol) -> str:
        """An operand of a result, without axes if it has one element: that is faster."""
        array = self._array(a)
        lone = isinstance(array, np.ndarray) and array.size == 1 < x.value.size
        if not lone or array.ndim == 0:
            return self._operand(a)
        return self._hold(self._cached(array, array.reshape(())))

    def _scalar(self, x: Any) -> str:
        """What arithmetic of numbers takes."""
        if isinstance(x, Symbol):
            if x in self.texts:
                return self.texts[x]
            if x in self.changing:
                return f"{self._operand(x)}[()]"
            x = x.value
        x = x.item() if isinstance(x, (np.ndarray, np.generic)) else x
        return f"({x!r})" if math.isfinite(x) else self._hold(x)

    def _array(self, x: Any) -> Any:
        """Where an argument lives, if it is in the same place in every step."""
        if not isinstance(x, Symbol):
            return x
        if x in self.texts:
            return None
        self._operand(x)
        return self.arrays[x]

    def _compute(self, x: Symbol, i: int) -> None:
        """The lines for a Symbol."""
        function, args = x.function, x.args
        if x.value.ndim == 0:
            self._number(x)
        elif function in VIEWS and self._view(x):
            pass
        elif function in (np.matmul, np.dot) and all(isinstance(a, Symbol) and a.value.ndim <= 2 for a in args):
            out = self._place(x, i, ())
            self._dot(*args, out)
        elif function == np.add.reduce and self._sum(x, i):
            pass
        elif isinstance(function, np.ufunc) and not x.kwargs:
            kind = np.result_type(*(value_of(a) for a in args))
            operands = [self._lone(cell(a, kind), x) for a in args]
            if function is np.maximum and x.value.size > 1000 and is_number(args[1]):
                operands[1] = self._full(value_of(args[1]), x)  # compared in wide instructions then
            out = self._place(x, i, args)
            named = "out=" if function in (np.maximum, np.minimum) else ""
            target = f"{named}{self._hold(out)}"
            self.lines.append(f"{self._hold(function)}({', '.join([*operands, target])})")
        elif function is np.transpose and (args[1:] or (None,))[0] is None and not x.kwargs:
            self.texts[x] = f"{self._operand(args[0])}.T"
        else:
            if getattr(function, "__name__", "") == "reduce":
                given = [self._operand(args[0]), repr(x.kwargs.get("axis", 0)), "None"]
                out = self._place(x, i, ())
                rest = [self._hold(out), repr(bool(x.kwargs.get("keepdims", False)))]
                self.lines.append(f"{self._name(function)}({', '.join(given + rest)})")
                return
            self.texts[x] = f"d{len(self.texts)}"
            self.lines.append(f"{self.texts[x]} = {self._call(x)}")

    def _name(self, function: Any) -> str:
        owner = getattr(getattr(function, "__self__", None), "__name__", "")
        name = f"{owner}_{function.__name__}" if owner not in ("", "numpy") else function.__name__
        if self.space.get(name, function) != function:
            name = f"{name}_{len(self.space)}"
        self.space.setdefault(name, function)
        return name

    def _call(self, x: Symbol) -> str:
        """A call that makes a new array."""

        def text(a: Any) -> str:
            if isinstance(a, tuple) and any(True for _ in parts(a)):
                return f"({', '.join(map(text, a))},)"
            if isinstance(a, list) and any(True for _ in parts(a)):
                return f"[{', '.join(map(text, a))}]"
            return self._operand(a)

        given = [text(a) for a in x.args] + [f"{k}={text(v)}" for k, v in x.kwargs.items()]
        return f"{self._name(x.function)}({', '.join(given)})"

    def _number(self, x: Symbol) -> None:
        """A number, as an expression of numbers, or a sum over an array."""
        function, args = x.function, x.args
        self.texts[x] = name = f"s{len(self.texts)}"
        scalars = all(np.ndim(value_of(a)) == 0 for a in args)
        if function in SIGNS and scalars:
            text = f" {SIGNS[function]} ".join(map(self._scalar, args))
        elif function is np.negative and scalars:
            text = f"-{self._scalar(args[0])}"
        elif (function == np.add.reduce or function is np.mean) and not scalars:
            text = self._total(args[0])
            if function is np.mean:
                text += f" / {args[0].value.size}"
        elif isinstance(function, np.ufunc) and scalars:
            text = f"{self._name(function)}({', '.join(map(self._scalar, args))})"
        elif function is np.vdot and len({self._by_columns(a) for a in args}) == 1:
            text = f"{self._line(args[0])}.dot({self._line(args[1])})"
        elif function in (np.matmul, np.dot):
            text = f"{self._operand(args[0])}.dot({self._operand(args[1])})"
        else:
            text = self._call(x)
            text = f"{text}[()]" if function in VIEWS else text
        self.lines.append(f"{name} = {text}")

    def _line(self, x: Any) -> str:
        """An array with all of its elements in one row."""
        array = self._array(x)
        if array is not None and array.ndim and (row := in_a_row(array)) is not None:
            return self._hold(self._cached(array, row))
        text = self._operand(x)
        return text if x.value.ndim == 1 else f"{text}.ravel()"

    def _by_columns(self, x: Any) -> bool:
        """Whether the elements are stored column after column."""
        array = self._array(x)
        return array is not None and not array.flags.c_contiguous and array.flags.f_contiguous

    def _cached(self, base: Any, view: Any) -> Any:
        for known in self.space.values():
            if (
                isinstance(known, np.ndarray)
                and known.shape == view.shape
                and known.strides == view.strides
                and known.dtype == view.dtype
                and known.ctypes.data == view.ctypes.data
            ):
                return known
        return view

    def _ones(self, n: int, dtype: Any) -> str:
        key = f"ones_{n}_{np.dtype(dtype).name}"
        if key not in self.space:
            self.space[key] = aligned((n,), dtype)
            self.space[key].fill(1)
        return key

    def _full(self, number: Any, like: Symbol) -> str:
        key = f"full_{'_'.join(map(str, like.value.shape))}_{len(self.space)}"
        self.space[key] = aligned(like.value.shape, like.value.dtype)
        self.space[key].fill(number)
        return key

    def _total(self, x: Any) -> str:
        """The sum of all elements."""
        if isinstance(x, Symbol) and x.value.dtype.kind == "f":
            return f"{self._line(x)}.dot({self._ones(x.value.size, x.value.dtype)})"
        return f"{self._name(np.add.reduce)}({self._operand(x)}, None)"

    def _sum(self, x: Symbol, i: int) -> bool:
        """A sum over the rows or the columns of a matrix, as a product with ones."""
        (a,), axis = x.args, x.kwargs.get("axis", 0)
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if not isinstance(axis, int) or a.value.ndim != 2 or a.value.dtype.kind != "f":
            return False
        axis %= 2
        out = self._place(x, i, ())
        row = self._hold(self._cached(out, in_a_row(out)))
        ones = self._ones(a.value.shape[axis], a.value.dtype)
        given = (ones, self._operand(a)) if axis == 0 else (self._operand(a), ones)
        self.lines.append(f"{self._name(np.dot)}({', '.join(given)}, {row})")
        return True

    def _dot(self, a: Symbol, b: Symbol, out: Any) -> None:
        if not out.flags.c_contiguous:
            left, right = (
                f"{self._operand(x)}.T"
                if self._array(x) is None
                else self._hold(self._cached(self.arrays[x], self.arrays[x].T))
                for x in (b, a)
            )
            target = self._hold(self._cached(out, out.T))
            self.lines.append(f"{self._name(np.dot)}({left}, {right}, {target})")
            return
        left, right, target = self._operand(a), self._operand(b), self._hold(out)
        if b.value.ndim == 2 and b.value.shape[1] == 1 and self._array(b) is not None and a.value.ndim == 2:
            column = self.arrays[b]
            if column.strides[0] == column.itemsize:
                right = self._hold(self._cached(column, column.reshape(-1)))
                target = self._hold(self._cached(out, out.reshape(-1)))
        self.lines.append(f"{self._name(np.dot)}({left}, {right}, {target})")

    def _view(self, x: Symbol) -> bool:
        """Find or write down a view; whether it is one."""
        base = x.args[0]
        array = self._array(base)
        if array is None:
            return False
        args = put_in(x.args[1:], value_of)
        kwargs = {k: put_in(v, value_of) for k, v in x.kwargs.items()}
        if any(y in self.changing for y in parts((x.args[1:], tuple(x.kwargs.values())))):
            return False
        view = x.function(array, *args, **kwargs)
        if not np.shares_memory(view, array):
            return False
        self.arrays[x] = self._cached(array, view)
        self.roots[x] = self.roots.get(base, base)
        return True

    def _place(self, x: Symbol, i: int, operands: Sequence[Any]) -> Any:
        """The array that a call writes to: a wanted one, that of an operand, a free or a new one."""
        shape, dtype = x.value.shape, self._dtype(x)
        if x in self.gradients:
            self.arrays[x] = self.gradients[x][0]
            return self.arrays[x]
        if x in self.wanted and self._may_write(self.wanted[x], i):
            self.arrays[x] = self.wanted[x]
            return self.arrays[x]
        for a in operands:
            if isinstance(a, Symbol) and a in self.owned and self.last.get(a, i) <= i:
                array = self.owned[a]
                if array.shape == shape and array.dtype == dtype:
                    del self.owned[a]
                    self.arrays[x] = self.owned[x] = array
                    return array
        waiting = self.free.get((shape, dtype))
        array = waiting.pop() if waiting else aligned(shape, dtype)
        self.arrays[x] = self.owned[x] = array
        return array

    def _dtype(self, x: Symbol) -> Any:
        """The dtype to compute in: a mask that multiplies floats is one of floats."""
        if x.value.dtype != bool or not self.users[x]:
            return x.value.dtype
        kinds = {y.value.dtype if y.function is np.multiply else None for y in self.users[x]}
        return kinds.pop() if len(kinds) == 1 and None not in kinds else x.value.dtype

    def _may_write(self, place: Any, i: int) -> bool:
        """Whether nothing that comes later reads what is there now."""
        return all(
            self.last.get(y, -1) <= i
            for y, array in self.arrays.items()
            if isinstance(array, np.ndarray) and np.may_share_memory(array, place) and y not in self.owned
        )


def in_a_row(x: Any) -> Any:
    """A view with all elements in the order in which they are stored; None if they have gaps."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    return x.T.reshape(-1) if x.flags.f_contiguous else None


def cell(x: Any, dtype: Any) -> Any:
    """A number as an array without axes: one is not converted in every call."""
    if isinstance(x, Symbol) and not is_number(x):
        return x
    return np.asarray(value_of(x), dtype) if np.ndim(value_of(x)) == 0 else x


def _inputs(x: Symbol) -> list[Symbol]:
    return [y for y in parts((x.args, tuple(x.kwargs.values()))) if not is_number(y)]
