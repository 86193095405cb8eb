"""The Tensor, which is the node of the graph, and the backward pass over it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lr import ops
from tinygrad_lr.array.convert import (
    FLOATS,
    NUMBERS,
    REALS,
    check_dtype,
    fingerprint,
    metadata,
    own_array,
    plain,
)
from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import ArrayLike
from tinygrad_lr.messages.explain import ShapeError, TensorWarning, explain, notice, where_from
from tinygrad_lr.messages.hints import OF_ARRAYS, tell
from tinygrad_lr.messages.origin import Origin, caller, warn
from tinygrad_lr.ops import Op
from tinygrad_lr.recording import everything, mode, refuse

NDArray = npt.NDArray[Any]
CHANGED = 0  # in place of a hash, after a change that is known
USER = 3  # frames from the user's own to `caller`, at least: the operation, Tensor.apply, caller
NO_PARAMS: dict[str, Any] = {}
NOWHERE: tuple[CodeType | None, int] = (None, 0)
serials = itertools.count(1)  # of operations, and of changes of leaves


class GradientError(ValueError, RuntimeError):
    """A gradient that is not there; a ValueError as in NumPy and a RuntimeError as in PyTorch."""

    __module__ = "tinygrad_lr"


class Tensor(ArrayLike):
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Args:
        data: numbers in any form that `numpy.array` takes. They are copied.
        requires_grad: whether `backward` shall give this tensor a gradient.
        dtype: default float32 for float32 data, float64 for other floats and whatever requires
            a gradient; integers and booleans that do not stay as they are.
        name: what error messages call it.

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
        "serial", "_code", "_at", "_hash", "__weakref__",
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
        self._array: NDArray = own_array(data, requires_grad, dtype)
        self.grad: NDArray | None = None
        self.requires_grad = requires_grad
        self.op: Op | None = None
        self.inputs: tuple[Any, ...] = ()
        self.params = NO_PARAMS
        self.name = name
        self.serial = 0  # when it was computed; in a leaf, when its data were last changed
        self.origin = None
        self._hash: int | None = None  # of the data, while somebody outside could change them

    @property
    def data(self) -> NDArray:
        """The values, an ndarray. Those of a leaf may be changed, after its graphs' backward pass.

        The values of a result are read-only. Assigning copies, keeps the dtype, and raises
        ValueError for another shape. A change between a computation and its backward pass is an
        error there: while somebody outside holds the array, its hash is compared.
        """
        self.look(".data")
        if self.op is not None:
            self._array.setflags(write=False)
        elif self._hash is None:
            self._hash = fingerprint(self._array)
        return self._array

    @data.setter
    def data(self, values: Any) -> None:
        if values is not self._array:
            values = own_array(values, self.requires_grad, self.dtype)
            if values.shape != self.shape:
                raise ShapeError(
                    f"{self.name or 'this tensor'} is {self.shape} and stays so; the new data are "
                    f"{values.shape}. A gradient of the wrong shape?"
                )
            self._array = values
        self.changing()

    def changing(self) -> NDArray:
        """The data, for whoever changes them in place: what was computed before is out of date."""
        self.serial = next(serials)
        if self._hash is not None:
            self._hash = CHANGED
        return self._array

    def _look(self) -> None:
        """Notice a change that was made from outside, and whether one can still be made."""
        now = fingerprint(self._array)
        if self._hash not in (CHANGED, now):
            self.serial = next(serials)
        only_ours = sys.getrefcount(self._array) == 2  # in self, and as an argument of this call
        self._hash = None if only_ours else now

    def apply(self, op: Op, inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
        """Compute an operation and, if a gradient can flow, record it."""
        watch, whole, _ = mode()
        arrays: list[Any] = []
        flows = False
        for x in inputs:
            if isinstance(x, Tensor):
                if x._hash is not None:
                    x._look()
                arrays.append(x._array)
                flows = flows or x.requires_grad
            elif (x.__class__ is np.ndarray and x.dtype in REALS) or x.__class__ in NUMBERS:
                arrays.append(x)
            else:
                return self.apply(op, tuple(map(plain, inputs)), params)
        known = params
        if params is not op.defaults:
            known = {name: metadata(value, name, op.name) for name, value in params.items()}
        try:
            data = op.forward(*arrays, **known)
        except (ValueError, TypeError, IndexError) as error:
            raise explain(error, op, inputs) from None
        if data.__class__ is not np.ndarray:
            data = np.asarray(data)
        recorded = flows and watch is not False
        if data.dtype not in FLOATS and data.dtype not in getattr(watch, "dtypes", ()):
            check_dtype(data.dtype, recorded)
        if len(arrays) == 2 and data.ndim in (0, 2):
            notice(op, inputs, data)
        if not (recorded or whole):
            cut = [x.origin for x in inputs if isinstance(x, Tensor) and x.origin]
            origin = caller(USER) if flows else cut[0] if cut else NOWHERE
            return _node(data if data.base is None else data.copy(), origin=origin)
        kept = params if whole else known
        node = _node(data, recorded, op, inputs, kept, next(serials), caller(USER))
        if watch.__class__ is not bool:
            watch.forward(node, arrays)
        return node

    def told(self, function: Any, inputs: Any, result: Any) -> Any:
        """The result of a function without a derivative: a plain array, if not all is recorded."""
        if not mode().everything:
            return result
        op = ops.COMPARISONS.get(function)
        if op is None:
            self.look(f"np.{function.__name__}")
            return result
        return _node(np.asarray(result), False, op, inputs, NO_PARAMS, next(serials), caller(USER))

    def look(self, what: str) -> NDArray:
        """The values, for `what` goes on with them outside of the graph."""
        if mode().repeatable:
            refuse(what, self.shape)
        return self._array

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
                    added.append(tensor.name or f"a tensor of shape {tensor.shape}")
                tensor.grad = np.asarray(tensor.grad + g)
        if added:
            warn(
                f"{', '.join(added)} had a gradient already, to which backward() has added. Call "
                f"zero_grad() before it, unless the sum is meant",
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
        result._hash = fingerprint(self._array)
        return result

    def numpy(self) -> NDArray:
        """The values as an ndarray (`data` itself), cut off from the graph."""
        return self.data

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        return self.look("item").item()

    @property
    def origin(self) -> Origin | None:
        """Where it was computed, for `locate`. Kept in parts: a tuple would cost more."""
        return (self._code, self._at) if self._code is not None else None

    @origin.setter
    def origin(self, origin: Origin | None) -> None:
        self._code, self._at = origin or NOWHERE

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of every axis; where all is recorded, each told by where it comes from."""
        shape = self._array.shape
        if not mode().everything:
            return shape
        return tuple([Length(n, self, i) for i, n in enumerate(shape)])

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user, not by an operation."""
        return self.op is None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        if self.requires_grad:
            raise TypeError(
                f"an array of this Tensor of shape {self.shape} would cut it out of the graph. For "
                f"plots, metrics and other libraries use t.data, of a loss loss.item(); to join "
                f"tensors np.stack; for products np.dot(a, t) or a @ t, not a.dot(t)"
            )
        return np.array(self._array if copy else self.data, dtype=dtype, copy=copy)

    def __float__(self) -> float:
        value = float(self.look("float").item())
        if self.requires_grad and mode().recording:
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


tell(Tensor, OF_ARRAYS)


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
    t.grad = t.name = t._hash = None
    return t


def _values(node: Any) -> list[Any]:
    """The values of a tensor and of what it was computed from."""
    return [x._array if isinstance(x, Tensor) else x for x in (node, *node.inputs)]


def themselves(node: Any) -> list[Any]:
    """A tensor and what it was computed from."""
    return [node, *node.inputs]


OF_THE_OPERATION: Callable[[Any], Iterable[Any]] = attrgetter("op.rules")


def gradients(
    output: Tensor,
    gradient: Any = None,
    read: Callable[[Any], Iterable[Any]] = _values,
    given: Mapping[Tensor, Any] = MappingProxyType({}),
    rules: Callable[[Any], Iterable[Any]] | None = None,
) -> dict[Tensor, Any]:
    """The gradient of an output with respect to every tensor that it was computed from.

    This is the backward pass: from the last operation to the first, hand the gradient of the
    result through the rule of each input, and add up what arrives there. `read` tells what the
    rules of a node run on, its result and its inputs: their values, themselves (so that the
    gradients have a history, too), or other Values that stand for them. A gradient that is `given`
    for a tensor on the way goes on instead of the one that arrives there, which is what the result
    still holds, and `rules` tells the rules of a node, if not its operation's or those that
    `detect_anomaly` watches.
    Arrays may be shared between the gradients: do not write to them.
    """
    seed, *_ = read(_seed(output, gradient))
    if gradient is not None and read is _values:
        seed = seed.copy()  # backward() makes gradients read-only, and this may be the user's
    found: dict[Tensor, Any] = {output: seed}
    rules_of: Any = rules or getattr(mode().recording, "rules", OF_THE_OPERATION)
    # A sorted list is a heap. Copies have the serial of their original: id tells them apart.
    waiting = sorted((-x.serial, id(x), x) for x in {output, *given} if x.op)
    looked: set[Tensor] = set()  # at each once, for it takes a pass over the data
    while waiting:  # the latest first: all that uses a result is later
        _, _, node = heappop(waiting)
        g = given[node] if node in given else found[node]
        arguments = (g, *read(node))
        for x, rule in zip(node.inputs, rules_of(node)):  # noqa: B905 (strict= takes longer)
            if not isinstance(x, Tensor):
                continue
            if x._hash is not None and x not in looked:
                looked.add(x)
                x._look()
            if x.serial > node.serial:
                raise _changed(x, node)
            if x.requires_grad and rule is not None:
                dx = rule(*arguments, **node.params)
                if dx.shape != x._array.shape or dx.dtype is not x._array.dtype:
                    dx = unbroadcast(dx, x)
                if x in found:
                    found[x] = found[x] + dx
                else:
                    found[x] = dx
                    if x.op and x not in given:
                        heappush(waiting, (-x.serial, id(x), x))
    return found


def _changed(x: Tensor, node: Any) -> GradientError:
    return GradientError(
        f"{x.name or f'a tensor of shape {x.shape}'} was changed after "
        f"{where_from(node.origin)} had used it, so the gradients would be wrong. Change data "
        f"after backward(), or compute the output anew"
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
        with everything():
            found = gradients(output, gradient, themselves)
    else:
        found = gradients(output, gradient)
    for x in inputs:
        if not x.requires_grad:
            raise GradientError(f"{x!r} requires no gradient: make it with requires_grad=True")
        if x not in found:
            raise GradientError(f"{output!r} does not depend on {x!r}, so it has no gradient there")
    return [found[x] if create_graph else np.array(found[x]) for x in inputs]
