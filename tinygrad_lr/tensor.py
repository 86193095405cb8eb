"""The Tensor, which is the node of the graph, and the backward pass over it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import messages
from tinygrad_lr.array.convert import as_operand, as_param, check_dtype, is_operand, owned_copy
from tinygrad_lr.array.guard import Guard, is_held
from tinygrad_lr.array.protocols import ArrayMethods
from tinygrad_lr.messages import GradientError, ShapeError, TensorWarning
from tinygrad_lr.messages.frames import Origin, user_frame
from tinygrad_lr.ops import Op
from tinygrad_lr.recording import current

NDArray = npt.NDArray[Any]
DEPTH = 3  # frames to skip: user_frame, Tensor.apply and the operator or function
NO_PARAMS: dict[str, Any] = {}
NOWHERE: tuple[CodeType | None, int] = (None, 0)
serials = itertools.count(1)  # of operations, and of changes of leaves
by_serial = attrgetter("serial")


class Tensor(ArrayMethods):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Args:
        data: numbers in any form that `numpy.array` takes. They are copied.
        requires_grad: whether `backward` computes a gradient for this tensor.
        dtype: default float64, but float32 data keep theirs, and integers without a gradient.
        name: what messages and pictures call it.

    Attributes:
        grad: None or an ndarray like `data`. `backward` accumulates into it in leaves and
            overwrites it in intermediate results, where it is read-only.

    Raises:
        TypeError: for data that are not real numbers, and a tensor with a history (use `detach`).

    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> ((w * [3.0, 4.0]).sum() ** 2).backward()
    >>> w.grad
    array([66., 88.])
    """

    __slots__ = (
        "_array", "grad", "requires_grad", "op", "inputs", "params", "name",
        "serial", "_code", "_at", "_guard", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(requires_grad, (bool, np.bool_)):
            raise TypeError(f"requires_grad must be True or False, not {requires_grad!r}")
        self._array: NDArray = owned_copy(data, requires_grad, dtype)
        self.grad: NDArray | None = None
        self.requires_grad = requires_grad
        self.op: Op | None = None
        self.inputs: tuple[Any, ...] = ()
        self.params = NO_PARAMS
        self.name = name
        self.serial = 0  # when it was computed; in a leaf, when its data were last changed
        self.origin = None
        self._guard: Guard | None = None  # while somebody outside could change the data

    @property
    def data(self) -> NDArray:
        """The values, an ndarray. A leaf may be changed in place once backward() has run.

        Those of a result are read-only. Assigning copies, keeps the dtype, and raises ValueError
        for another shape. A change before the backward pass is an error there: see `Guard`.
        """
        return self._shared(".data")

    @data.setter
    def data(self, values: Any) -> None:
        if values is not self._array:
            values = owned_copy(values, self.requires_grad, self.dtype)
            if values.shape != self.shape:
                raise ShapeError(messages.other_shape(self, values.shape))
            self._array = values
        self.mark_changed()

    def _shared(self, reader: str) -> NDArray:
        array = self._read(reader)
        if self.op is not None:
            array.setflags(write=False)
        elif self._guard is None:
            self._guard = Guard(array)
        return array

    def mark_changed(self) -> NDArray:
        """Return the array for an update in place; graphs built from it become stale."""
        self.serial = next(serials)
        if self._guard is not None:
            self._guard.expect_change()
        return self._array

    def _detect_change(self, guard: Guard) -> None:
        """Count a change from outside; stop comparing when nobody else holds the array."""
        held = is_held(self)
        if guard.update(self._array, held):
            self.serial = next(serials)
        self._guard = guard if held else None

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
        """Compute an operation; the result is a node if the current recorder keeps it."""
        recorder = current()
        inputs, arrays, requires_grad = _operands(inputs)
        plain = params and {k: as_param(v, k, op.name) for k, v in params.items()}
        try:
            data = op.forward(*arrays, **plain)
        except (ValueError, TypeError, IndexError) as error:
            raise messages.operation_failed(error, op, inputs) from None
        if data.__class__ is not np.ndarray:
            data = np.asarray(data)
        frame = user_frame(DEPTH)
        node = _node(data, requires_grad and recorder.grad_enabled, frame.f_code, frame.f_lasti)
        node.op, node.inputs, node.serial = op, inputs, next(serials)
        node.params = params if recorder.keep_all else plain
        recorder.check_result(node, arrays)
        return node if node.requires_grad or recorder.keep_all else node._without_history()

    def _without_history(self) -> Tensor:
        """A result as a leaf that owns its data; the origin says where a gradient was cut off."""
        data = self._array if self._array.base is None else self._array.copy()
        tensors = [x for x in self.inputs if isinstance(x, Tensor)]
        origins = [self.origin] if any(x.requires_grad for x in tensors) else []
        origins += [x.origin for x in tensors if x.origin]
        return _node(data, False, *next(filter(None, origins), NOWHERE))

    def backward(self, gradient: Any = None) -> None:
        """Add the gradients of this tensor to the `.grad` of the leaves that it depends on.

        Args:
            gradient: what this tensor's own gradient is, of its shape; 1 by default, for a
                tensor with one element.

        Raises:
            GradientError: if no gradient is possible, or none is given and this is no scalar.
        """
        added: list[Tensor] = []
        for tensor, g in gradients(self, gradient).items():
            if tensor.op is not None:
                tensor.grad = g = np.asarray(g)
                g.setflags(write=False)
            elif tensor.grad is None:
                tensor.grad = np.array(g)
            else:
                if tensor.grad.any():
                    added.append(tensor)
                tensor.grad = np.asarray(tensor.grad + g)
        if added:
            messages.warn(messages.accumulated(added), TensorWarning)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        if self.op is not None:
            messages.warn(messages.no_parameter(self), TensorWarning)
        self.grad = None

    def detach(self) -> Tensor:
        """The same data (shared, not copied) without the history."""
        result = _node(self._shared("detach"))
        result._guard = Guard(self._array)
        return result

    def numpy(self) -> NDArray:
        """The values as an ndarray (`data` itself), cut off from the graph."""
        return self.data

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        return self._read("item").item()

    @property
    def origin(self) -> Origin | None:
        """Where it was computed, for `locate`. Kept in parts: a tuple would cost more."""
        return (self._code, self._at) if self._code is not None else None

    @origin.setter
    def origin(self, origin: Origin | None) -> None:
        self._code, self._at = origin or NOWHERE

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis."""
        shape: tuple[int, ...] = current().shape(self)
        return shape

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by an operation."""
        return self.op is None

    def _read(self, reader: str) -> NDArray:
        array: NDArray = current().read(self, reader)
        return array

    def _untracked(self, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        return current().untracked(self, function, args, kwargs, result)

    def __float__(self) -> float:
        value = float(self._read("float").item())
        if self.requires_grad and current().grad_enabled:
            messages.warn(messages.cut_by_float(), TensorWarning)
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(messages.assigned_in_parts())

    def __repr__(self) -> str:
        values = np.array2string(self._array, separator=", ", prefix="Tensor(", threshold=100)
        extra = [f"dtype={self.dtype}"] if self.dtype != np.float64 else []
        extra += [f"name={self.name!r}"] if self.name else []
        extra += [f"op={self.op.name}"] if self.op else []
        extra += ["requires_grad=True"] if self.requires_grad and not self.op else []
        return f"Tensor({', '.join([values, *extra])})"


def _operands(inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any], bool]:
    """The operands, their arrays, and whether one of them requires a gradient."""
    arrays, requires_grad = [], False
    for x in inputs:
        if isinstance(x, Tensor):
            if x._guard is not None:
                x._detect_change(x._guard)
            arrays.append(x._array)
            requires_grad = requires_grad or x.requires_grad
        elif is_operand(x):
            arrays.append(x)
        else:
            return _operands(tuple(map(as_operand, inputs)))
    return inputs, arrays, requires_grad


def _node(
    data: NDArray, requires_grad: bool = False, code: CodeType | None = None, at: int = 0
) -> Tensor:
    """A Tensor around a result, which needs no copy and no check."""
    t = object.__new__(Tensor)
    t._array, t.requires_grad, t._code, t._at = data, requires_grad, code, at
    t.op, t.inputs, t.params, t.serial = None, (), NO_PARAMS, 0
    t.grad = t.name = t._guard = None
    return t


def history(*outputs: Tensor) -> list[Any]:
    """The results that outputs were computed from, themselves included, the latest first."""
    nodes = [x for x in dict.fromkeys(outputs) if x.op]
    seen = set(nodes)
    for node in nodes:  # it grows during the loop
        for x in node.inputs:
            if isinstance(x, Tensor) and x not in seen and x.op:
                seen.add(x)
                nodes.append(x)
    nodes.sort(key=by_serial, reverse=True)
    return nodes


def as_arrays(node: Any) -> list[Any]:
    """The arrays of a node and of its inputs, `[y, *inputs]`."""
    arrays = [node._array]
    for x in node.inputs:
        arrays.append(x._array if isinstance(x, Tensor) else x)
    return arrays


def gradients(
    output: Tensor,
    gradient: Any = None,
    interpret: Callable[[Any], Iterable[Any]] = as_arrays,
    overrides: Mapping[Tensor, Any] = MappingProxyType({}),
    rules_of: Callable[[Any], Iterable[Any]] | None = None,
) -> dict[Tensor, Any]:
    """The gradient of an output with respect to every tensor that it was computed from.

    This is the backward pass: from the last operation to the first, pass the gradient of a result
    through the rule of each input, and add up what arrives there. `interpret(node)` returns
    `[y, *inputs]` in whatever form the rules are to run on: arrays (the gradients are numbers),
    tensors (a graph to differentiate again or to draw) or other Values (a program to print).
    `overrides` replace the gradients that arrive at some tensors, and `rules_of` returns the rules
    of a node: a derivation is checked with these. The arrays in the result may be shared: do not
    write to them.
    """
    seed, *_ = interpret(_seed(output, gradient))
    if gradient is not None and interpret is as_arrays:
        seed = seed.copy()  # backward() makes gradients read-only, and this may be the user's
    grads: dict[Tensor, Any] = {output: seed}
    rules_of = rules_of or current().rules
    compared: set[Tensor] = set()
    for node in history(output, *overrides):
        if (g := overrides.get(node, grads.get(node))) is not None:
            arguments = (g, *interpret(node))
            for x, rule in zip(node.inputs, rules_of(node)):  # noqa: B905 (rules may be endless)
                if not isinstance(x, Tensor):
                    continue
                if x.serial > node.serial or x._guard is not None:
                    _check_unchanged(x, node, compared)
                if x.requires_grad and rule is not None:
                    dx = rule(*arguments, **node.params)
                    try:
                        if dx.shape != x._array.shape or dx.dtype is not x._array.dtype:
                            dx = unbroadcast(dx, x)
                    except (AttributeError, IndexError, ValueError):
                        raise messages.rule_failed(dx, x, node) from None
                    grads[x] = grads[x] + dx if x in grads else dx
    return grads


def _check_unchanged(x: Tensor, node: Any, compared: set[Tensor]) -> None:
    """Raise if data were changed after a node had used them; they are compared once per pass."""
    if x._guard is not None and x not in compared:
        compared.add(x)
        x._detect_change(x._guard)
    if x.serial > node.serial:
        raise GradientError(messages.stale(x, node))


def unbroadcast(g: Any, x: Tensor) -> Any:
    """Undo broadcasting: g summed over the axes along which x was repeated, in the dtype of x."""
    shape = x.shape
    if g.shape != shape:
        extra = g.ndim - len(shape)
        repeated = [i for i, n in enumerate(shape, extra) if n == 1 != g.shape[i]]
        g = g.sum((*range(extra), *repeated), keepdims=not extra)
        if g.shape != shape:
            if [n for n in g.shape if n != 1] != [n for n in shape if n != 1]:
                raise ValueError(f"{shape} does not broadcast to {g.shape}")
            g = g.reshape(shape)
    if g.dtype == x.dtype:
        return g
    check_dtype(x.dtype, True)  # requires_grad may have been set on integers
    return g.astype(x.dtype)


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """The gradient that the backward pass starts from, checked."""
    if not output.requires_grad:
        raise GradientError(messages.requires_no_gradient(output))
    if gradient is None:
        if output.size != 1:
            raise GradientError(messages.no_scalar(output))
        return _node(np.array(1, output.dtype, ndmin=output.ndim))
    seed = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    if seed.shape != output.shape:
        raise GradientError(messages.other_gradient_shape(output, seed.shape))
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)
