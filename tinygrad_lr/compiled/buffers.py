"""A program for the machine: every array has its place, and every call writes into one."""

from __future__ import annotations

import contextvars
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.program.symbols import (
    ELEMENTWISE,
    Symbol,
    axes_of,
    is_number,
    ordered,
    parts,
    put_in,
    value_of,
)

VIEWS = {np.transpose, np.reshape, np.broadcast_to, np.flip, operator.getitem}
FEW = 32  # columns, up to which a matrix is stored by columns
SIGNS = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.power: "**"}


def aligned(shape: tuple[int, ...], dtype: Any, raw: Any = None) -> Any:
    """An array that begins at a multiple of 64 bytes, where wide instructions are fastest.

    A matrix with a few columns is stored by columns, as rows of two numbers are slow to go through.

    Args:
        raw: bytes that it lies in, 64 more than it needs; new ones if not given.
    """
    if len(shape) == 2 and 1 < shape[1] <= FEW and shape[0] > 2 * shape[1]:
        return aligned(shape[::-1], dtype, raw).T
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8) if raw is None else raw
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


class Unfit(Exception):
    """A plan for another kind of program."""


class Plan(NamedTuple):
    """What a step computes, and where.

    Attributes:
        variables: the Symbols of lr, of the number of steps before, and of the arrays of a batch.
        places: the arrays that Symbols live in: parameters, state, gradients.
        loss: what the step returns.
        gradients: what is computed first, each with the array of its own that it is written to.
        finals: what is computed then, with the arrays, still in use, that it is written to.
        again: gives the program to start again with where the loss is not finite.
    """

    variables: Sequence[Symbol]
    places: Mapping[Symbol, Any]
    loss: Symbol
    gradients: Sequence[tuple[Any, Any]]
    finals: Sequence[tuple[Symbol, Any]]
    again: Callable[[], Any] | None = None

    def order(self) -> list[Symbol]:
        """All Symbols of the step, inputs before results."""
        return ordered([self.loss, *(x for x, _ in self.gradients), *(x for x, _ in self.finals)])

    def changing(self) -> set[Symbol]:
        """What may be another in every step: what it is given, and what depends on that."""
        found = {*self.variables, *self.places}
        for x in self.order():
            if not found.isdisjoint(x.inputs):
                found.add(x)
        return found


def made(source: str, space: Mapping[str, Any]) -> Any:
    """The function `run` that a text defines, whose other names stand for what is in a space."""
    lines = [f"def make({', '.join(space)}):", *source.splitlines(), "return run"]
    found: dict[str, Any] = {}
    exec(compile("\n    ".join(lines), "<compiled>", "exec"), found)
    return found["make"](**space)


class Machine:
    """A step as a function of lr, the number of steps before, and the arrays of a batch.

    Attributes:
        source: what is run.
    """

    def __init__(self, plan: Plan) -> None:
        variables, places, loss, gradients, finals, again = plan
        self.space: dict[str, Any] = {}
        self.held: dict[int, str] = {}  # names in the space, by the id of what they stand for
        self.views: dict[Any, Any] = {}
        self.full: dict[Any, Any] = {}
        self.lines: list[str] = []
        self.arrays: dict[Symbol, Any] = dict(places)  # where a Symbol lives from step to step
        self.texts: dict[Symbol, str] = {x: f"a{i}" for i, x in enumerate(variables)}
        self.order, self.changing = plan.order(), plan.changing()
        self.users: dict[Symbol, list[Symbol]] = {x: [] for x in self.order}
        for x in self.order:
            for y in x.inputs:
                self.users[y].append(x)
        self.wanted: dict[Symbol, Any] = dict(finals)
        # lr, the number of steps, and what depends on them alone: never 0 below a line
        self.rates = {x for x in variables[:2] if x.value.ndim == 0}
        for x in self.order:
            if not x.given and self.rates.issuperset(x.inputs):
                self.rates.add(x)
        self.last = self._last_uses([loss, *self.wanted])
        self.gradients: dict[Symbol, list[Any]] = {}
        for x, place in gradients:
            if x not in self.changing:
                place[...] = value_of(x)
            elif x.function:
                self.gradients.setdefault(x, []).append(place)
            else:
                self._copy(x, place)
        self.ending: dict[int, list[Symbol]] = {}
        for i, x in enumerate(self.order):
            self.ending.setdefault(max(self.last.get(x, i), i), []).append(x)
        self.free: dict[Any, list[Any]] = {}
        self.owned: dict[Symbol, Any] = {}
        given = ", ".join(self.texts[x] for x in variables)
        for i, x in enumerate(self.order):
            if x in self.changing and x not in self.texts and x not in places:
                self._compute(x, i)
                if x is loss and again:
                    self.lines.append(f"if not finite({self._scalar(x)}):")
                    self.lines.append(f"    return again().run({given})")
                    self.space |= {"finite": math.isfinite, "again": again}
                for place in self.gradients.get(x, ()):
                    self._copy(x, place)
                self._release(i)
        for x, place in finals:
            self._copy(x, place)
        self.lines.append(f"return {self._scalar(loss)}")
        self.source = "\n    ".join([f"def run({given}):", *self.lines])
        quiet = contextvars.copy_context()  # to enter it takes less than np.errstate
        quiet.run(np.seterr, all="ignore")
        self.run: Callable[..., float] = functools.partial(quiet.run, made(self.source, self.space))

    def _copy(self, x: Symbol, place: Any) -> None:
        """Write a value to where it is wanted, if it is not there."""
        if place.ndim == 0:
            self.lines.append(f"{self._hold(place)}[()] = {self._scalar(x)}")
        elif self.arrays.get(x) is not place:
            self.lines.append(f"{self._name(np.copyto)}({self._hold(place)}, {self._operand(x)})")

    def _last_uses(self, kept: Sequence[Symbol]) -> dict[Symbol, int]:
        """The last line that needs the array of each Symbol, through views as well.

        Those that are `kept` are needed at the end.
        """
        last: dict[Symbol, int] = dict.fromkeys(kept, len(self.order))
        for i in range(len(self.order) - 1, -1, -1):
            x = self.order[i]
            until = max(last.get(x, i), i)
            for y in x.inputs:
                last[y] = max(last.get(y, i), until if x.function in VIEWS else i)
        return last

    def _release(self, i: int) -> None:
        """Free what no line after this one needs."""
        for x in self.ending.get(i, ()):
            if x in self.owned:
                array = self.owned.pop(x)
                self.free.setdefault((array.shape, array.dtype), []).append(array)

    def _hold(self, value: Any) -> str:
        """A name for an object that the function keeps."""
        if id(value) not in self.held:
            kind = "b" if isinstance(value, np.ndarray) else "c"
            self.held[id(value)] = name = f"{kind}{len(self.space)}"
            self.space[name] = value
        return self.held[id(value)]

    def _operand(self, x: Any) -> str:
        """What a call on arrays takes for an argument."""
        if isinstance(x, Symbol):
            if x in self.texts:
                return self.texts[x]
            if x in self.arrays:
                return self._hold(self.arrays[x])
            if x.function is np.transpose and self._view(x):
                return self._hold(self.arrays[x])
            self.arrays[x] = x.value
            if x.value.ndim and x.value.dtype.kind == "f":
                self.arrays[x] = aligned(x.value.shape, x.value.dtype)
                self.arrays[x][...] = x.value
            return self._hold(self.arrays[x])
        return repr(x) if isinstance(x, (int, float, str, type(None))) else self._hold(x)

    def _lone(self, a: Any, x: Symbol) -> str:
        """An operand of a result, without axes if it is one for all elements: that is faster."""
        array = self._array(a)
        lone = isinstance(array, np.ndarray) and array.size == 1 < x.value.size and array.ndim
        if lone and x.function in ELEMENTWISE:
            return self._view_of(array.reshape(()))
        return self._operand(a)

    def _scalar(self, x: Any) -> str:
        """What arithmetic of numbers takes."""
        if isinstance(x, Symbol):
            if x in self.texts and x.value.ndim == 0:
                return self.texts[x]
            if x in self.changing:
                return f"{self._operand(x)}.item()"
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
        function: Any = x.function
        args = x.args
        if x.value.ndim == 0:
            self._number(x)
        elif function in VIEWS and self._view(x):
            pass
        elif function is np.matmul and all(np.ndim(value_of(a)) <= 2 for a in args):
            self._dot(args[0], args[1], self._place(x, i, ()))
        elif function == np.add.reduce and self._sum(x, i):
            pass
        elif isinstance(function, np.ufunc) and not x.kwargs:
            self._ufunc(x, i)
        elif getattr(function, "__name__", "") == "reduce":
            axis, keepdims = x.kwargs.get("axis", 0), bool(x.kwargs.get("keepdims"))
            out = self._hold(self._place(x, i, ()))
            given = f"{self._operand(args[0])}, {axis}, None, {out}, {keepdims}"
            self.lines.append(f"{self._name(function)}({given})")
        elif function is np.transpose and all(a is None for a in (*args[1:], *x.kwargs.values())):
            self.texts[x] = f"{self._operand(args[0])}.T"
        else:
            self.texts[x] = f"d{len(self.texts)}"
            self.lines.append(f"{self.texts[x]} = {self._call(x)}")

    def _ufunc(self, x: Symbol, i: int) -> None:
        """A call of a function of every element, or of every matrix, which writes to a place."""
        kind = np.result_type(*map(value_of, x.args))
        operands = [self._lone(cell(a, kind), x) for a in x.args]
        if x.function is np.maximum and x.value.size > 1000 and is_number(x.args[1]):
            # compared with an array of zeros in wide instructions, with a number one by one
            operands[1] = self._filled(x.value.shape, value_of(x.args[1]), x.value.dtype)
        out = self._hold(self._place(x, i, x.args))
        out = f"out={out}" if x.function in (np.maximum, np.minimum) else out
        self.lines.append(f"{self._name(x.function)}({', '.join([*operands, out])})")

    def _name(self, function: Any) -> str:
        """What the program calls a function."""
        owner = getattr(getattr(function, "__self__", None), "__name__", "")
        name = f"{owner}_{function.__name__}" if owner not in ("", "numpy") else function.__name__
        if self.space.get(name, function) != function:
            name = f"{name}_{len(self.space)}"
        self.space.setdefault(name, function)
        return name

    def _call(self, x: Symbol) -> str:
        """A call that makes a new array."""

        def text(a: Any) -> str:
            if isinstance(a, tuple) and parts(a):
                return f"({', '.join(map(text, a))},)"
            if isinstance(a, list) and parts(a):
                return f"[{', '.join(map(text, a))}]"
            return self._operand(a)

        given = [text(a) for a in x.args] + [f"{k}={text(v)}" for k, v in x.kwargs.items()]
        return f"{self._name(x.function)}({', '.join(given)})"

    def _number(self, x: Symbol) -> None:
        """A number, as an expression of numbers, or a sum over an array."""
        function, args = x.function, x.args
        self.texts[x] = name = f"s{len(self.texts)}"
        scalars = all(np.ndim(value_of(a)) == 0 for a in args)
        safe = function not in (np.divide, np.power) or x in self.rates or is_number(args[1])
        if function in SIGNS and scalars and safe:
            text = f" {SIGNS[function]} ".join(map(self._scalar, args))
        elif function is np.negative and scalars:
            text = f"-{self._scalar(args[0])}"
        elif function == np.add.reduce and args[0].value.dtype.kind == "f":
            ones = self._filled((args[0].value.size,), 1, args[0].value.dtype)
            text = f"{self._line(args[0])}.dot({ones})"
        elif isinstance(function, np.ufunc) and scalars:
            text = f"{self._name(function)}({', '.join(map(self._scalar, args))})"
        elif function is np.vdot and len({self._by_columns(a) for a in args}) == 1:
            text = f"{self._line(args[0])}.dot({self._line(args[1])})"
        else:
            text = f"{self._call(x)}[()]"
        self.lines.append(f"{name} = {text}")

    def _line(self, x: Any) -> str:
        """An array with all of its elements in one row."""
        array = self._array(x)
        if array is not None and array.ndim and (row := in_a_row(array)) is not None:
            return self._view_of(row)
        text = self._operand(x)
        return text if x.value.ndim == 1 else f"{text}.ravel()"

    def _by_columns(self, x: Any) -> bool:
        """Whether the elements are stored column after column."""
        array = self._array(x)
        return array is not None and not array.flags.c_contiguous and array.flags.f_contiguous

    def _view_of(self, view: Any) -> str:
        """A name for a view, the same for equal ones."""
        key = view.ctypes.data, view.shape, view.strides, view.dtype
        return self._hold(self.views.setdefault(key, view))

    def _filled(self, shape: tuple[int, ...], number: Any, dtype: Any) -> str:
        """An array with nothing but one number."""
        key = shape, np.dtype(dtype), float(number)
        if key not in self.full:
            self.full[key] = aligned(shape, dtype)
            self.full[key].fill(number)
        return self._hold(self.full[key])

    def _sum(self, x: Symbol, i: int) -> bool:
        """A sum over the rows or the columns of a matrix, as a product with ones."""
        (a,), axes = x.args, axes_of(x)
        if len(axes) != 1 or a.value.ndim != 2 or a.value.dtype.kind != "f":
            return False
        (axis,) = axes
        out = self._place(x, i, ())
        row = self._view_of(in_a_row(out))
        ones = self._filled((a.value.shape[axis],), 1, a.value.dtype)
        given = (ones, self._operand(a)) if axis == 0 else (self._operand(a), ones)
        self.lines.append(f"{self._name(np.dot)}({', '.join(given)}, {row})")
        return True

    def _dot(self, a: Symbol, b: Symbol, out: Any) -> None:
        """A product of matrices and vectors."""
        left, right, target = self._operand(a), self._operand(b), self._hold(out)
        if not out.flags.c_contiguous:
            left, right = (
                f"{self._operand(x)}.T"
                if self._array(x) is None
                else self._view_of(self.arrays[x].T)
                for x in (b, a)
            )
            target = self._view_of(out.T)
        elif b.value.shape[1:] == (1,) and a.value.ndim == 2 and self._array(b) is not None:
            right, target = self._line(b), self._view_of(out.reshape(-1))
        self.lines.append(f"{self._name(np.dot)}({left}, {right}, {target})")

    def _view(self, x: Symbol) -> bool:
        """Make a view once; whether it is one."""
        base, *rest = x.args
        array = self._array(base)
        if array is None or any(y in self.changing for y in parts((rest, *x.kwargs.values()))):
            return False
        function: Any = x.function
        view = function(array, *put_in(rest, value_of), **x.kwargs)
        if not np.shares_memory(view, array):
            return False
        self.arrays[x] = view
        return True

    def _place(self, x: Symbol, i: int, operands: Sequence[Any]) -> Any:
        """The array that a call writes to: a wanted one, an operand's, a free or a new one."""
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
        sharing = (y for y, array in self.arrays.items() if np.may_share_memory(array, place))
        return all(self.last.get(y, -1) <= i for y in sharing)


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
