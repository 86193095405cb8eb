"""The Tensor, which is the node of the graph, and the backward pass over it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr.array.convert import as_metadata, as_operand, check_dtype, is_operand, owned_copy
from tinygrad_lr.array.guard import Guard, is_held
from tinygrad_lr.array.protocols import ArrayMethods, unwrap
from tinygrad_lr.messages.explain import (
    ShapeError,
    TensorWarning,
    describe,
    explain,
    where_from,
)
from tinygrad_lr.messages.hints import OF_ARRAYS, add_hints
from tinygrad_lr.messages.origin import Origin, caller, warn
from tinygrad_lr.ops import Op
from tinygrad_lr.recording import RecordAll, current, recording

NDArray = npt.NDArray[Any]
DEPTH = 3  # frames from the user's own to `caller`, at least: the operation, Tensor.apply, caller
NO_PARAMS: dict[str, Any] = {}
NOWHERE: tuple[CodeType | None, int] = (None, 0)
serials = itertools.count(1)  # of operations, and of changes of leaves
by_serial = attrgetter("serial")
op_rules: Callable[[Any], Iterable[Any]] = attrgetter("op.rules")


class GradientError(ValueError, RuntimeError):
    """A gradient that is not there; a ValueError as in NumPy and a RuntimeError as in PyTorch."""

    __module__ = "tinygrad_lr"


@add_hints(OF_ARRAYS)
class Tensor(ArrayMethods):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Args:
        data: numbers in any form that `numpy.array` takes. They are copied.
        requires_grad: whether `backward` shall give this tensor a gradient.
        dtype: default float32 for float32 data, float64 for other floats and whatever requires
            a gradient; integers and booleans that do not stay as they are.
        name: what messages and pictures call it.

    Attributes:
        grad: None or an ndarray like `data`. `backward` adds to it in leaves, and sets it in the
            tensors between (to look at, read-only).

    Raises:
        TypeError: for data that are not real numbers, and for a tensor with a history
            (use `detach`).

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
            raise TypeError(f"requires_grad is True or False, not {requires_grad!r}")
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

        The values of a result are read-only. Assigning copies, keeps the dtype, and raises
        ValueError for another shape. A change between a computation and its backward pass is an
        error there; `Guard` says how it is noticed.
        """
        array = self._read(".data")
        if self.op is not None:
            array.setflags(write=False)
        elif self._guard is None:
            self._guard = Guard(array)
        return array

    @data.setter
    def data(self, values: Any) -> None:
        if values is not self._array:
            values = owned_copy(values, self.requires_grad, self.dtype)
            if values.shape != self.shape:
                raise ShapeError(
                    f"{describe(self)} is {self.shape} and stays so; the new data are "
                    f"{values.shape}. A gradient of the wrong shape?"
                )
            self._array = values
        self.mark_changed()

    def mark_changed(self) -> NDArray:
        """Return the array for an update in place; graphs built from it become stale."""
        self.serial = next(serials)
        if self._guard is not None:
            self._guard.expect_change()
        return self._array

    def _detect_change(self, guard: Guard) -> None:
        """Count a change from outside; stop comparing when nobody else holds the array."""
        held = is_held(self)
        if guard.changed(self._array, held):
            self.serial = next(serials)
        self._guard = guard if held else None

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
        """Compute an operation; the result is a node if the current recorder keeps it."""
        recorder, arrays, flows = current(), [], False
        for x in inputs:
            if isinstance(x, Tensor):
                if x._guard is not None:
                    x._detect_change(x._guard)
                arrays.append(x._array)
                flows = flows or x.requires_grad
            elif is_operand(x):
                arrays.append(x)
            else:
                return self.apply(op, tuple(map(as_operand, inputs)), params)
        values = params and {k: as_metadata(v, k, op.name) for k, v in params.items()}
        try:
            data = np.asarray(op.forward(*arrays, **values))
        except (ValueError, TypeError, IndexError) as error:
            raise explain(error, op, inputs) from None
        flows, kept = flows and recorder.grad, params if recorder.everything else values
        node = _node(data, flows, op, inputs, kept, next(serials), caller(DEPTH))
        recorder.operation(node, arrays)
        return node if flows or recorder.everything else node._without_history()

    def _without_history(self) -> Tensor:
        """A result that is not kept; its origin tells where a gradient was cut off, if one was."""
        data = self._array if self._array.base is None else self._array.copy()
        tensors = [x for x in self.inputs if isinstance(x, Tensor)]
        origins = [self.origin] if any(x.requires_grad for x in tensors) else []
        origins += [x.origin for x in tensors if x.origin]
        return _node(data, origin=(origins or [None])[0] or NOWHERE)

    def backward(self, gradient: Any = None) -> None:
        """Add the gradients of this tensor to the `.grad` of the leaves that it depends on.

        Args:
            gradient: what this tensor's own gradient is, of its shape; 1 by default, for a
                tensor with one element.

        Raises:
            GradientError: if no gradient is possible, or none is given and this is no scalar.
        """
        added = []
        for tensor, g in gradients(self, gradient).items():
            if tensor.op is not None:
                tensor.grad = g = np.asarray(g)
                g.setflags(write=False)
            elif tensor.grad is None:
                tensor.grad = np.array(g)
            else:
                if tensor.grad.any():
                    added.append(describe(tensor))
                tensor.grad = np.asarray(tensor.grad + g)
        if added:
            warn(
                f"{', '.join(added)} already had a gradient; backward() added to it. Call "
                f"zero_grad() first unless you want the sum",
                TensorWarning,
            )

    def zero_grad(self) -> None:
        """Forget the gradient."""
        if self.op is not None:
            warn(
                f"zero_grad() of the result of {where_from(self.origin)}, which is no parameter: "
                f"update one by `w.data -= lr * w.grad`, or every step keeps those before",
                TensorWarning,
            )
        self.grad = None

    def detach(self) -> Tensor:
        """The same data (shared, not copied) without the history."""
        result = _node(self.data)
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

    def _untracked(self, function: Any, inputs: Any, result: Any) -> Any:
        return current().untracked(function, inputs, result)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        if self.requires_grad:
            raise TypeError(
                f"an array of this Tensor of shape {self.shape} would cut it out of the graph. For "
                f"plots, metrics and other libraries use t.data, of a loss loss.item(); to join "
                f"tensors np.stack; for products np.dot(a, t) or a @ t, not a.dot(t)"
            )
        return np.array(self._array if copy else self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        value = float(self._read("float").item())
        if self.requires_grad and current().grad:
            warn(
                "float() of a tensor that requires a gradient: none flows through the number. For "
                "printing use .item(); for mathematics NumPy's functions, not those of math",
                TensorWarning,
            )
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor is not assigned to in parts, its history would be wrong: build the result "
            "with where, concatenate or stack, or change t.data before computing with t"
        )

    def __repr__(self) -> str:
        values = np.array2string(self._array, separator=", ", prefix="Tensor(", threshold=100)
        extra = [f"dtype={self.dtype}"] if self.dtype != np.float64 else []
        extra += [f"name={self.name!r}"] if self.name else []
        extra += [f"op={self.op.name}"] if self.op else []
        extra += ["requires_grad=True"] if self.requires_grad and not self.op else []
        return f"Tensor({', '.join([values, *extra])})"


def _node(
    data: NDArray,
    requires_grad: bool = False,
    op: Op | None = None,
    inputs: tuple[Any, ...] = (),
    params: dict[str, Any] = NO_PARAMS,
    serial: int = 0,
    origin: tuple[CodeType | None, int] = NOWHERE,
) -> Tensor:
    """A Tensor around the result of an operation, which needs no copy and no check."""
    t = object.__new__(Tensor)
    t._array, t.requires_grad, t.op, t.inputs = data, requires_grad, op, inputs
    t.params, t.serial, (t._code, t._at) = params, serial, origin
    t.grad = t.name = t._guard = None
    return t


def history(*outputs: Tensor) -> list[Any]:
    """The results that outputs were computed from, themselves included, the latest first."""
    found = [x for x in dict.fromkeys(outputs) if x.op]
    seen = set(found)
    for node in found:  # which grows
        for x in node.inputs:
            if isinstance(x, Tensor) and x.op and x not in seen:
                seen.add(x)
                found.append(x)
    return sorted(found, key=by_serial, reverse=True)


def as_arrays(node: Any) -> list[Any]:
    """The arrays of a node and of its inputs."""
    return [node._array, *map(unwrap, node.inputs)]


def as_tensors(node: Any) -> list[Any]:
    """A node and its inputs, so that what rules make of them has a history."""
    return [node, *node.inputs]


def gradients(
    output: Tensor,
    gradient: Any = None,
    interpret: Callable[[Any], Iterable[Any]] = as_arrays,
    overrides: Mapping[Tensor, Any] = MappingProxyType({}),
    rules_of: Callable[[Any], Iterable[Any]] | None = None,
) -> dict[Tensor, Any]:
    """The gradient of an output with respect to every tensor that it was computed from.

    This is the backward pass: from the last operation to the first, hand the gradient of a result
    through the rule of each input, and add up what arrives there. `interpret` says what the rules
    run on, and so what comes out: arrays (numbers), tensors (a graph to differentiate again or to
    draw) or other Values (the program to print). `overrides` are gradients that go on instead of
    those that arrive, and `rules_of` gives a node's rules: with them a derivation is checked. The
    arrays in the result may be shared: do not write to them.
    """
    seed, *_ = interpret(_seed(output, gradient))
    if gradient is not None and interpret is as_arrays:
        seed = seed.copy()  # backward() makes gradients read-only, and this may be the user's
    found: dict[Tensor, Any] = {output: seed}
    rules_of, compared = rules_of or current().rules, set()
    for node in history(output, *overrides):
        if (g := overrides.get(node, found.get(node))) is None:
            continue
        arguments = (g, *interpret(node))
        for x, rule in zip(node.inputs, rules_of(node)):  # noqa: B905 (strict= takes longer)
            if not isinstance(x, Tensor):
                continue
            if x._guard is not None and x not in compared:
                compared.add(x)
                x._detect_change(x._guard)
            if x.serial > node.serial:
                raise _stale(x, node)
            if x.requires_grad and rule is not None:
                dx = unbroadcast(rule(*arguments, **node.params), x)
                found[x] = found[x] + dx if x in found else dx
    return found


def _stale(x: Tensor, node: Any) -> GradientError:
    return GradientError(
        f"{describe(x)} was changed after {where_from(node.origin)} had used it, so the gradients "
        f"would be wrong. Change data after backward(), or compute the output anew"
    )


def unbroadcast(g: Any, x: Tensor) -> Any:
    """Undo broadcasting: g summed over the axes along which x was repeated, in the dtype of x."""
    shape = x.shape
    if g.shape != shape:
        extra = g.ndim - len(shape)
        repeated = [i for i, n in enumerate(shape, extra) if n == 1 != g.shape[i]]
        g = g.sum((*range(extra), *repeated), keepdims=not extra)
        g = g if g.shape == shape else g.reshape(shape)
    if g.dtype == x.dtype:
        return g
    check_dtype(x.dtype, True)
    return g.astype(x.dtype)


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """The gradient that the backward pass starts from, checked."""
    if not output.requires_grad:
        if output.origin is not None:
            why = (
                f"{where_from(output.origin)} was computed under no_grad (to update a parameter, "
                f"write `w.data -= lr * w.grad`)"
            )
        else:
            why = (
                "nothing that it was computed from does: make the parameters with "
                "requires_grad=True, and do not compute with .data, .numpy() or .detach()"
            )
        raise GradientError(f"{output!r} does not require a gradient: {why}")
    if gradient is None:
        if output.size != 1:
            raise GradientError(
                f"backward starts from a scalar, and this has the shape {output.shape}: take its "
                f".sum() or .mean(), or pass gradient=, an array of that shape"
            )
        return _node(np.array(1, output.dtype, ndmin=output.ndim))
    seed = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    seed = seed if seed.dtype == output.dtype else seed.astype(output.dtype)
    if seed.shape != output.shape:
        raise GradientError(
            f"gradient has the shape {seed.shape}, but the output has {output.shape}"
        )
    return seed


def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    create_graph: bool = False,
) -> list[Any]:
    """The gradients of an output with respect to inputs, without touching any `.grad`.

    Args:
        output: a tensor with one element, or of any shape if `gradient` is given.
        inputs: one tensor or several, leaves or not.
        gradient: what the output's own gradient is; 1 by default.
        create_graph: whether the gradients shall be Tensors, to be differentiated again.

    Returns:
        A list with one ndarray (or Tensor) an input, also if there is only one.

    Raises:
        GradientError: if the output does not depend on one of the inputs.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> dx, = grad(x ** 3, [x], create_graph=True)
    >>> grad(dx, [x])
    [array(12.)]
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if create_graph:
        with recording(RecordAll):
            found = gradients(output, gradient, as_tensors)
    else:
        found = gradients(output, gradient)
    for x in inputs:
        if not x.requires_grad:
            raise GradientError(f"{x!r} requires no gradient: make it with requires_grad=True")
        if x not in found:
            raise GradientError(f"{output!r} does not depend on {x!r}, so it has no gradient there")
    return [found[x] if create_graph else np.array(found[x]) for x in inputs]
