"""The Tensor, which is the node of the graph, and the backward pass over it."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import ops
from tinygrad_lr.arraylike import ArrayLike
from tinygrad_lr.ops import NO_PARAMS, Op, operand

NDArray = npt.NDArray[Any]
_serial = itertools.count(1)


class GradientError(ValueError, RuntimeError):
    """A gradient that is not there; a ValueError as in NumPy and a RuntimeError as in PyTorch."""


class _Mode(threading.local):
    recording = True


_mode = _Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording, in this thread; a context manager and a decorator.

    >>> w = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     (2 * w).requires_grad
    False
    """
    before, _mode.recording = _mode.recording, False
    try:
        yield
    finally:
        _mode.recording = before


class Tensor(ArrayLike):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Args:
        data: numbers in any form that `numpy.array` takes. They are copied.
        requires_grad: whether `backward` shall give this tensor a gradient.
        dtype: default float32 for float32 data, float64 for other floats and whatever requires
            a gradient; integers and booleans that do not stay as they are.
        name: what pictures and error messages call it.

    Attributes:
        data: the values, an ndarray. Change them in place only when no graph is waiting for its
            backward pass, as optimizers do.
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
        "data", "grad", "requires_grad", "op", "inputs", "params", "name", "serial", "__weakref__"
    )  # fmt: skip

    data: NDArray
    grad: NDArray | None
    op: Op | None
    inputs: tuple[Any, ...]
    params: dict[str, Any]

    def __init__(
        self,
        data: Any,
        requires_grad: bool = False,
        dtype: npt.DTypeLike | None = None,
        name: str | None = None,
    ) -> None:
        self.data = _own_array(data, requires_grad, dtype)
        self.grad = None
        self.requires_grad = requires_grad
        self.op, self.inputs, self.params = None, (), NO_PARAMS
        self.name = name
        self.serial = 0

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
        """Compute an operation and, if a gradient can flow, record it."""
        arrays: list[Any] = []
        flows = False
        for x in inputs:
            if isinstance(x, Tensor):
                arrays.append(x.data)
                flows = flows or x.requires_grad
            elif x.__class__ in _PLAIN:
                arrays.append(x)
            else:
                return self.apply(op, tuple(map(_plain, inputs)), params)
        if params:
            params = {k: _metadata(v, f"{k} of {op.name}") for k, v in params.items()}
        data = op.forward(*arrays, **params)
        if data.__class__ is not np.ndarray:
            data = np.asarray(data)
        if flows and _mode.recording:
            if data.dtype.kind != "f":
                raise TypeError(f"{op.name} gives {data.dtype}, and no gradient flows through that")
            return _node(data, True, op, inputs, params, next(_serial))
        return _node(data)

    def backward(self, gradient: Any = None) -> None:
        """Add the gradients of this tensor to the `.grad` of the leaves that it depends on.

        Args:
            gradient: what this tensor's own gradient is, of its shape; 1 by default, for a
                tensor with one element.

        Raises:
            GradientError: if no gradient is possible, or none is given and this is no scalar.
        """
        for tensor, g in gradients(self, gradient).items():
            if tensor.op is not None:
                tensor.grad = g = np.asarray(g)
                g.setflags(write=False)
            else:
                tensor.grad = np.array(g if tensor.grad is None else tensor.grad + g)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def detach(self) -> Tensor:
        """The same data (shared, not copied) without the history."""
        return _node(self.data, name=self.name)

    def numpy(self) -> NDArray:
        """The values as an ndarray (`data` itself), cut off from the graph."""
        return self.data

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        return self.data.item()

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by an operation."""
        return self.op is None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        if self.requires_grad:
            raise TypeError(
                f"making an array of {self!r} would silently cut it out of the graph. To "
                f"compute with it use tg.{{exp, stack, ...}}; for its values, t.data"
            )
        return np.array(self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        if self.requires_grad and _mode.recording:
            warnings.warn(
                f"float() of {self!r}: no gradient flows through the number. For printing use "
                f".item(); for mathematics use this package's functions, not those of math",
                stacklevel=2,
            )
        return float(self.data.item())

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "a Tensor is not assigned to in parts, its history would be wrong: build the result "
            "with where, concatenate or stack, or change t.data before computing with t"
        )

    def __repr__(self) -> str:
        values = np.array2string(self.data, separator=", ", prefix="Tensor(", threshold=100)
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
    name: str | None = None,
) -> Tensor:
    """A Tensor around the result of an operation, which needs no copy and no check."""
    t = Tensor.__new__(Tensor)
    t.data, t.grad, t.requires_grad = data, None, requires_grad
    t.op, t.inputs, t.params, t.serial, t.name = op, inputs, params, serial, name
    return t


def gradients(
    output: Tensor, gradient: Any = None, create_graph: bool = False
) -> dict[Tensor, Any]:
    """The gradient of an output with respect to every tensor that it was computed from.

    This is the backward pass: from the last operation to the first, hand the gradient of the
    result through the rule of each input, and add up what arrives there. With `create_graph` the
    rules run on Tensors instead of arrays, so that the gradients have a history themselves.
    Arrays may be shared between the gradients: do not write to them.
    """
    seed = _seed(output, gradient)
    found: dict[Tensor, Any] = {output: seed if create_graph else seed.data.copy()}
    for node in _operations(output):
        if node not in found:
            continue
        g, y, inputs = found[node], node, node.inputs
        if not create_graph:
            y, inputs = node.data, [x.data if isinstance(x, Tensor) else x for x in inputs]
        for x, rule in zip(node.inputs, node.op.rules, strict=False):
            if isinstance(x, Tensor) and x.requires_grad and rule is not None:
                dx = rule(g, y, *inputs, **node.params)
                if dx.shape != x.data.shape or dx.dtype != x.data.dtype:
                    dx = unbroadcast(dx, x)
                found[x] = found[x] + dx if x in found else dx
    return found


def _operations(output: Tensor) -> list[Any]:
    """The operations behind an output, the last first: the order of creation is an order."""
    seen = {output} if output.op else set()
    waiting = list(seen)
    while waiting:
        for x in waiting.pop().inputs:
            if isinstance(x, Tensor) and x.op and x not in seen:
                seen.add(x)
                waiting.append(x)
    return sorted(seen, key=attrgetter("serial"), reverse=True)


def unbroadcast(g: Any, x: Tensor) -> Any:
    """Undo broadcasting: g summed over the axes along which x was repeated, in the dtype of x."""
    if g.shape != x.shape:
        extra = g.ndim - x.ndim
        repeated = [i for i, n in enumerate(x.shape, extra) if n == 1]
        g = ops.sum(g, axis=(*range(extra), *repeated)).reshape(x.shape)
    return g if g.dtype == x.dtype else g.astype(x.dtype)


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """The gradient that the backward pass starts from, checked."""
    if not output.requires_grad:
        raise GradientError(
            f"{output!r} does not depend on a tensor with requires_grad=True, or was computed "
            f"under no_grad or from .data or .detach()"
        )
    if gradient is None:
        if output.size != 1:
            raise GradientError(
                f"backward starts from a scalar, and this has the shape {output.shape}: take its "
                f".sum() or .mean(), or pass gradient=, an array of that shape"
            )
        gradient = np.ones(output.shape)
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
        A list with one ndarray (or Tensor) an input.

    Raises:
        GradientError: if the output does not depend on one of the inputs.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> dx, = grad(x ** 3, [x], create_graph=True)
    >>> grad(dx, [x])
    [array(12.)]
    """
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    found = gradients(output, gradient, create_graph)
    for x in inputs:
        if x not in found:
            raise GradientError(f"{output!r} does not depend on {x!r}, so it has no gradient there")
    return [found[x] if create_graph else np.array(found[x]) for x in inputs]


def _own_array(data: Any, requires_grad: bool, dtype: npt.DTypeLike | None) -> NDArray:
    """A copy of the data in the dtype that a Tensor keeps it in."""
    array = np.array(data)
    if dtype is None:
        keep = array.dtype.kind in "biu" and not requires_grad
        keep = keep or (array.dtype.kind == "f" and array.dtype.itemsize == 4)
        dtype = array.dtype if keep else np.float64
    dtype = np.dtype(dtype).newbyteorder("=")
    _require_real(array.dtype, "a Tensor")
    _require_real(dtype, "a Tensor")
    if dtype not in (np.float32, np.float64) and (requires_grad or dtype.kind == "f"):
        raise TypeError(f"a Tensor of {dtype}: gradients are computed in float32 and float64")
    return array.astype(dtype, copy=False)


_PLAIN = {np.ndarray, float, int, bool, np.float64, np.float32}


def _plain(x: Any) -> Any:
    """An input that is no Tensor as an array that the operations take."""
    if isinstance(x, Tensor) or x.__class__ in _PLAIN:
        return x
    x = np.asarray(operand(x))
    _require_real(x.dtype, "an operation on Tensors")
    return x


def _require_real(dtype: np.dtype[Any], who: str) -> None:
    if dtype.kind not in "biuf":
        raise TypeError(f"{who} takes real numbers, not {dtype}")


def _metadata(value: Any, what: str) -> Any:
    """A shape, an axis or an index, with Tensors as their arrays, and arrays as our own copies."""
    if isinstance(value, (tuple, list)):
        return type(value)(_metadata(v, what) for v in value)
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise TypeError(f"{what} is not differentiated: give numbers, not {value!r}")
        value = value.data
    return value.copy() if isinstance(value, np.ndarray) else value
