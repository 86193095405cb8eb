"""A program in NumPy where every array has its place, and every call writes into one."""

from __future__ import annotations

import contextvars
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.compiled.plan import VIEWS, Plan, aligned_copy, aligned_empty, compile_function
from tinygrad_lr.program.calls import ELEMENTWISE, REDUCTIONS, SIGNS
from tinygrad_lr.program.symbols import (
    Symbol,
    is_number,
    symbols_in,
    tree_map,
    value_of,
)

NEW = ELEMENTWISE | REDUCTIONS | {np.matmul, np.vdot, np.where}  # what gives no view


class BufferedProgram:
    """A step as a function of the rates, the number of steps before, and the arrays of a batch.

    Attributes:
        source: what is run.
    """

    def __init__(self, plan: Plan) -> None:
        self.space: dict[str, Any] = {}
        self.names: dict[int, str] = {}  # names in the space, by the id of what they stand for
        self.views: dict[Any, Any] = {}
        self.fills: dict[Any, Any] = {}
        self.lines: list[str] = []
        self.arrays: dict[Symbol, Any] = dict(plan.places)  # where a Symbol lives in every step
        self.texts: dict[Symbol, str] = {x: f"r{i}" for i, x in enumerate(plan.scalars)}
        self.texts |= {x: f"a{i}" for i, x in enumerate(plan.batch)}
        arguments = ", ".join(self.texts.values())
        self.free: dict[Any, list[Any]] = defaultdict(list)  # by shape and dtype
        self.scratch: dict[Symbol, Any] = {}  # arrays that are free after the last use
        self.order, self.varying = plan.order(), plan.varying()
        self.users: dict[Symbol, list[Symbol]] = defaultdict(list)
        for x in self.order:
            for y in x.inputs:
                self.users[y].append(x)
        self.rates = self._rates(plan)
        self.updates: dict[Symbol, Any] = dict(plan.updates)
        self.last = self._last_uses([plan.loss, *self.updates])
        self.gradients: dict[Symbol, list[Any]] = defaultdict(list)
        for x, place in plan.gradients:
            if x not in self.varying:
                place[...] = value_of(x)
            elif x.function:
                self.gradients[x].append(place)
            else:
                self._copy(x, place)
        self._write(plan, arguments)
        self.source = "\n    ".join([f"def run({arguments}):", *self.lines])
        quiet = contextvars.copy_context()  # to enter it takes less than np.errstate
        quiet.run(np.seterr, all="ignore")
        run = compile_function(self.source, self.space)
        self.run: Callable[..., float] = functools.partial(quiet.run, run)

    def _rates(self, plan: Plan) -> set[Symbol]:
        """Rates, the number of steps, and what depends on them alone: never 0 below a line."""
        rates = set(plan.scalars)
        for x in self.order:
            if not x.is_argument and rates.issuperset(x.inputs):
                rates.add(x)
        return rates

    def _last_uses(self, outputs: Sequence[Symbol]) -> dict[Symbol, int]:
        """The last line that needs the array of each Symbol, through views as well."""
        last: dict[Symbol, int] = dict.fromkeys(outputs, len(self.order))
        for i, x in reversed([*enumerate(self.order)]):
            last[x] = max(last.get(x, i), i)
            for y in x.inputs:
                last[y] = max(last.get(y, i), i if x.function in NEW else last[x])
        return last

    def _write(self, plan: Plan, arguments: str) -> None:
        """The lines of the function."""
        released: dict[int, list[Symbol]] = defaultdict(list)
        for x in self.order:
            released[self.last[x]].append(x)
        for i, x in enumerate(self.order):
            if x not in self.varying or x in self.texts or x in plan.places:
                continue
            self._compute(x, i)
            if x is plan.loss and plan.fallback:
                self.lines.append(f"if not finite({self._scalar(x)}):")
                self.lines.append(f"    return fallback({arguments})")
                self.space |= {"finite": math.isfinite, "fallback": plan.fallback}
            for place in self.gradients.get(x, ()):
                self._copy(x, place)
            for y in released[i]:
                if (array := self.scratch.pop(y, None)) is not None:
                    self.free[array.shape, array.dtype].append(array)
        for x, place in plan.updates:
            self._copy(x, place)
        self.lines.append(f"return {self._scalar(plan.loss)}")

    def _call(self, function: Any, *arguments: str) -> str:
        """A call of a function that has a name in the program."""
        owner = getattr(getattr(function, "__self__", None), "__name__", "")
        name = function.__name__.split()[0]  # of "erfc (vectorized)"
        name = f"{owner}_{name}" if owner not in ("", "numpy") else name
        if self.space.setdefault(name, function) != function:
            name = f"{name}_{len(self.space)}"
            self.space[name] = function
        return f"{name}({', '.join(arguments)})"

    def _copy(self, x: Symbol, place: Any) -> None:
        """Write a value to where it is wanted, if it is not there."""
        if place.ndim == 0:
            self.lines.append(f"{self._hold(place)}[()] = {self._scalar(x)}")
        elif self.arrays.get(x) is not place:
            self.lines.append(self._call(np.copyto, self._hold(place), self._operand(x)))

    def _hold(self, value: Any) -> str:
        """A name for an object that the function keeps."""
        if id(value) not in self.names:
            kind = "b" if isinstance(value, np.ndarray) else "c"
            self.names[id(value)] = name = f"{kind}{len(self.space)}"
            self.space[name] = value
        return self.names[id(value)]

    def _operand(self, x: Any) -> str:
        """What a call on arrays takes for an argument."""
        if not isinstance(x, Symbol):
            plain = isinstance(x, (int, str, type(None))) or (
                isinstance(x, float) and math.isfinite(x)
            )
            return repr(x) if plain else self._hold(x)
        if x in self.texts:
            return self.texts[x]
        if x not in self.arrays and not (x.function is np.transpose and self._view(x)):
            floats = x.value.ndim and x.value.dtype.kind == "f"
            self.arrays[x] = aligned_copy(x.value) if floats else x.value
        return self._hold(self.arrays[x])

    def _cell(self, a: Any, x: Symbol) -> str:
        """An operand of x, a single element as an array without axes.

        That is faster than a number, which is converted in every call, and than one with axes.
        """
        if (not isinstance(a, Symbol) or is_number(a)) and np.ndim(value_of(a)) == 0:
            return self._hold(np.asarray(value_of(a), np.result_type(*map(value_of, x.args))))
        array = self._array(a)
        single = isinstance(array, np.ndarray) and array.ndim and array.size == 1 < x.value.size
        if single and x.function in ELEMENTWISE:
            return self._view_of(array.reshape(()))
        return self._operand(a)

    def _scalar(self, x: Any) -> str:
        """What arithmetic of numbers takes."""
        if isinstance(x, Symbol):
            if x in self.texts and x.value.ndim == 0:
                return self.texts[x]
            if x in self.varying:
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
        function, args = x.function, x.args
        if x.value.ndim == 0:
            self.texts[x] = f"s{len(self.texts)}"
            self.lines.append(f"{self.texts[x]} = {self._number(x)}")
        elif function in VIEWS and self._view(x):
            pass
        elif function is np.matmul and all(np.ndim(value_of(a)) <= 2 for a in args):
            self._product(args[0], args[1], self._place(x, i))
        elif function == np.add.reduce and self._sum(x, i):
            pass
        elif isinstance(function, np.ufunc) and not x.kwargs and x.dtype != object:
            self._ufunc(x, i)
        elif function in REDUCTIONS:
            axis, keepdims = x.kwargs.get("axis", 0), bool(x.kwargs.get("keepdims"))
            out = self._hold(self._place(x, i))
            self.lines.append(
                self._call(function, self._operand(args[0]), f"{axis}, None, {out}, {keepdims}")
            )
        elif function is np.transpose and not any((*args[1:], *x.kwargs.values())):
            self.texts[x] = f"{self._operand(args[0])}.T"
        else:
            self.texts[x] = f"d{len(self.texts)}"
            self.lines.append(f"{self.texts[x]} = {self._new_array(x)}")

    def _ufunc(self, x: Symbol, i: int) -> None:
        """A call of a function of every element, or of every matrix, which writes to a place."""
        operands = [self._cell(a, x) for a in x.args]
        if x.function is np.maximum and x.value.size > 1000 and is_number(x.args[1]):
            # compared with an array of zeros in wide instructions, with a number one by one
            operands[1] = self._fill(x.value.shape, value_of(x.args[1]), x.value.dtype)
        out = self._hold(self._place(x, i, x.args))
        keyword = "out=" if x.function in (np.maximum, np.minimum) else ""
        self.lines.append(self._call(x.function, *operands, f"{keyword}{out}"))

    def _new_array(self, x: Symbol) -> str:
        """A call that makes a new array."""

        def text(a: Any) -> str:
            if isinstance(a, tuple) and symbols_in(a):
                return f"({', '.join(map(text, a))},)"
            if isinstance(a, list) and symbols_in(a):
                return f"[{', '.join(map(text, a))}]"
            number = isinstance(a, Symbol) and a in self.texts and a.value.ndim == 0
            if number and a.dtype == np.float32:  # which a number of Python's is not
                return f"{self._hold(np.float32)}({self.texts[a]})"
            return self._operand(a)

        keywords = [f"{name}={text(value)}" for name, value in x.kwargs.items()]
        return self._call(x.function, *map(text, x.args), *keywords)

    def _number(self, x: Symbol) -> str:
        """A number, as an expression of numbers, or a sum over an array."""
        function, args = x.function, x.args
        of_numbers = all(np.ndim(value_of(a)) == 0 for a in args)
        if function in ELEMENTWISE and of_numbers:
            safe = function not in (np.divide, np.power) or x in self.rates or is_number(args[1])
            numbers = map(self._scalar, args)
            if function in SIGNS and safe and x.value.dtype != bool:
                return f" {SIGNS[function]} ".join(numbers)
            if function is np.negative:
                return f"-{next(numbers)}"
            return self._call(function, *numbers)
        if function == np.add.reduce and args[0].value.dtype.kind == "f":
            ones = self._fill((args[0].value.size,), 1, args[0].value.dtype)
            return f"{self._line(args[0])}.dot({ones})"
        if function is np.vdot and self._by_columns(args[0]) == self._by_columns(args[1]):
            return f"{self._line(args[0])}.dot({self._line(args[1])})"
        if isinstance(function, np.ufunc) and of_numbers:  # gives a number, or a float of Python's
            return self._new_array(x)
        return f"{self._new_array(x)}[()]"

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

    def _fill(self, shape: tuple[int, ...], number: Any, dtype: Any) -> str:
        """An array with nothing but one number."""
        key = shape, np.dtype(dtype), float(number)
        if key not in self.fills:
            self.fills[key] = aligned_copy(np.full(shape, number, dtype))
        return self._hold(self.fills[key])

    def _sum(self, x: Symbol, i: int) -> bool:
        """A sum over the rows or the columns of a matrix, as a product with ones."""
        (a,), axes = x.args, x.axes
        if len(axes) != 1 or a.value.ndim != 2 or a.value.dtype.kind != "f":
            return False
        (axis,) = axes
        row = self._view_of(in_a_row(self._place(x, i)))
        factors = [self._operand(a), self._fill((a.value.shape[axis],), 1, a.value.dtype)]
        self.lines.append(self._call(np.dot, *(factors if axis else factors[::-1]), row))
        return True

    def _product(self, a: Symbol, b: Symbol, out: Any) -> None:
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
        self.lines.append(self._call(np.dot, left, right, target))

    def _view(self, x: Symbol) -> bool:
        """Make a view once; whether it is one."""
        array, rest = self._array(x.args[0]), x.args[1:]
        if array is None or not self.varying.isdisjoint(symbols_in(rest, x.kwargs)):
            return False
        view = x.function(array, *tree_map(rest, value_of), **x.kwargs)
        if not np.shares_memory(view, array):
            return False
        self.arrays[x] = view
        return True

    def _place(self, x: Symbol, i: int, operands: Iterable[Any] = ()) -> Any:
        """The array that a call writes to: a wanted one, an operand's, a free or a new one."""
        key = x.value.shape, self._dtype(x)
        if x in self.gradients:
            self.arrays[x] = self.gradients[x][0]
        elif x in self.updates and self._may_write(self.updates[x], i):
            self.arrays[x] = self.updates[x]
        else:
            for a in operands:
                array = self.scratch.get(a) if isinstance(a, Symbol) else None
                if array is not None and self.last[a] <= i and (array.shape, array.dtype) == key:
                    del self.scratch[a]
                    break
            else:
                array = self.free[key].pop() if self.free[key] else aligned_empty(*key)
            self.arrays[x] = self.scratch[x] = array
        return self.arrays[x]

    def _dtype(self, x: Symbol) -> Any:
        """The dtype to compute in: a mask that multiplies floats is one of floats."""
        kinds = {y.dtype if y.function is np.multiply else None for y in self.users[x]}
        multiplies = x.dtype == bool and len(kinds) == 1 and None not in kinds
        return kinds.pop() if multiplies else x.dtype

    def _may_write(self, place: Any, i: int) -> bool:
        """Whether nothing that comes later reads what is there now."""
        sharing = (y for y, array in self.arrays.items() if np.may_share_memory(array, place))
        return all(self.last.get(y, -1) <= i for y in sharing)


def in_a_row(x: Any) -> Any:
    """A view with all elements in the order in which they are stored; None if they have gaps."""
    if x.flags.c_contiguous:
        return x.reshape(-1)
    return x.T.reshape(-1) if x.flags.f_contiguous else None
