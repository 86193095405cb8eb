"""Arrays that a forward pass writes into, in a graph that is written once."""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lr import ops
from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.check.derivation.watch import Scope, statements
from tinygrad_lr.messages.frames import Origin
from tinygrad_lr.messages.origin import caller
from tinygrad_lr.recording import Nested
from tinygrad_lr.tensor import Tensor


def _in_place(operation: Callable[[Any, Any], Any]) -> Callable[[Writable, Any], Writable]:
    def changed(self: Writable, other: Any) -> Writable:
        self._become(operation(self.current, other))
        return self

    return changed


class Writable(Tensor):
    """A Tensor that can be written into: it stands for another one afterwards.

    Code that fills an array, `out = np.zeros(n); out[i] = x`, runs on a Writable in its place. What
    was computed before keeps the Tensor that it stood for then, so that the graph is the one of
    `np.where(written, x, before)`.
    """

    __slots__ = ("current",)

    def __init__(self, x: Any) -> None:
        self._become(x if isinstance(x, Tensor) else Tensor(x))

    def _become(self, x: Any) -> None:
        self.current: Tensor = x.current if isinstance(x, Writable) else x
        for slot in Tensor.__slots__:
            if slot != "__weakref__":
                setattr(self, slot, getattr(self.current, slot))

    def __setitem__(self, index: Any, value: Any) -> None:
        index = tuple(map(unwrap, index)) if isinstance(index, tuple) else unwrap(index)
        times = np.zeros(self._array.shape, int)
        np.add.at(times, index, 1)
        if times.max(initial=0) > 1:
            raise TypeError("an index that names an element twice is not assigned to")
        value = ops.broadcast_to(value, times[index].shape)
        written = ops.add_at(value, index, times.shape)
        self._become(ops.where(times > 0, written, self.current))

    __iadd__, __isub__ = _in_place(operator.add), _in_place(operator.sub)
    __imul__, __itruediv__ = _in_place(operator.mul), _in_place(operator.truediv)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "at" and ufunc is np.add and inputs[0] is self:
            index, value = inputs[1:]
            shape = np.empty(self._array.shape)[unwrap(index)].shape
            value = ops.broadcast_to(value, shape)
            return self._become(self.current + ops.add_at(value, unwrap(index), self._array.shape))
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)


class WritableRecorder(Nested):
    """A recorder for graphs with Writables: a node's inputs are what they stand for now.

    Attributes:
        reads: the tensors whose numbers were read, as by float(), with how and where.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[Tensor, str, Origin]] = []

    def read(self, tensor: Any, reader: str) -> Any:
        """Let everything be read, and keep what was."""
        self.reads.append((getattr(tensor, "current", tensor), reader, caller()))
        return self.outer.read(tensor, reader)

    def check_result(self, node: Any, arrays: list[Any]) -> None:
        """Look at a result."""
        node.inputs = tuple(x.current if isinstance(x, Writable) else x for x in node.inputs)
        self.outer.check_result(node, arrays)


@functools.lru_cache(maxsize=256)
def _targets(code: CodeType) -> frozenset[tuple[str, str]]:
    """The variables, as (out, ""), and attributes, as (self, out), that a function writes into."""
    targets: set[tuple[str, str]] = set()
    for statement in set(statements(code).values()):
        for node in ast.walk(statement.node) if statement.node else ():
            match node:
                case ast.AugAssign(target=ast.Name(id=name)):
                    targets.add((name, ""))
                case (
                    ast.Subscript(value=target, ctx=ast.Store())
                    | ast.Call(func=ast.Attribute(attr="at"), args=[target, *_])
                ):
                    targets |= _target(target)
    return frozenset(targets)


def _target(node: ast.expr) -> set[tuple[str, str]]:
    match node:
        case ast.Name(id=name):
            return {(name, "")}
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return {(name, attribute)}
    return set()


def make_writable(scope: Scope) -> list[str]:
    """Put Writables in the place of what a call writes into; the variables that hold them."""
    changed = []
    for name, attribute in _targets(scope.code):
        owner = scope.locals.get(name)
        x = getattr(owner, attribute, None) if attribute else owner
        array = isinstance(x, (np.ndarray, Tensor)) and x.dtype.kind == "f"
        if not array or isinstance(x, Writable):
            continue
        changed.append(name)
        if attribute:
            setattr(owner, attribute, Writable(x))
        else:
            scope.locals[name] = Writable(x)
    return changed
