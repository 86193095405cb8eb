"""What a computation leaves behind: the current Recorder decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import _GeneratorContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from tinygrad_lr import messages
from tinygrad_lr.array.convert import FLOATS, check_dtype
from tinygrad_lr.array.lengths import Length
from tinygrad_lr.array.protocols import check_outer
from tinygrad_lr.ops import COMPARISONS


class Recorder:
    """Decides what operations and backward passes leave behind: here, what requires a gradient."""

    outer: Any = None
    grad_enabled = True  # whether results may require a gradient
    keep_all = False  # whether results that require none are kept as well

    def check_result(self, node: Any, arrays: list[Any]) -> None:
        """Check the result of an operation on some arrays."""
        array = node._array
        if array.dtype not in FLOATS:
            check_dtype(array.dtype, node.requires_grad)
        if array.ndim == 2 and len(arrays) == 2:
            check_outer(array, node.inputs)
        elif array.ndim == 0 and node.op.name == "add":
            messages.warn_kept_graphs(node.inputs)

    def rules(self, node: Any) -> Any:
        """The derivative rules of a node, one per input."""
        return node.op.rules

    def shape(self, tensor: Any) -> Any:
        """The length of every axis of a tensor."""
        return tensor._array.shape

    def read(self, tensor: Any, reader: str) -> Any:
        """The values of a tensor, for something that no gradient flows through."""
        return tensor._array

    def untracked(self, tensor: Any, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """What a function without a derivative, of a tensor among others, returns: its result."""
        return result


_recorder: ContextVar[Any] = ContextVar("recorder", default=Recorder())  # noqa: B039 (it has no state)
current = _recorder.get


class Nested:
    """A Recorder that delegates to the enclosing one whatever a subclass does not define."""

    def __init__(self) -> None:
        self.outer = current()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outer, name)


@contextmanager
def recording(kind: type[Nested]) -> Iterator[None]:
    """Make a new recorder of a kind the current one, in this thread or task."""
    recorder = kind()
    _recorder.set(recorder)
    try:
        yield
    finally:  # perhaps of a generator that is closed inside another block
        inner = current()
        if inner is recorder:
            _recorder.set(recorder.outer)
        while inner.outer:
            if inner.outer is recorder:
                inner.outer = recorder.outer
            inner = inner.outer


class NoGrad(Nested):
    """No result requires a gradient."""

    grad_enabled = False


def no_grad() -> _GeneratorContextManager[None]:
    """Compute without recording, in this thread or task; a context manager and a decorator.

    >>> from tinygrad_lr import Tensor
    >>> w = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     (2 * w).requires_grad
    False
    """
    return recording(NoGrad)


class RecordAll(Nested):
    """Keeps every result, comparisons too, and lengths that remember where they come from."""

    keep_all = True

    def shape(self, tensor: Any) -> Any:
        """The length of every axis, each with its origin."""
        return tuple([Length(n, tensor, i) for i, n in enumerate(tensor._array.shape)])

    def untracked(self, tensor: Any, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A comparison as a Tensor, the result of any other function as it is."""
        if function not in COMPARISONS:
            current().read(tensor, f"np.{function.__name__}")
            return result
        with no_grad():
            return tensor.apply(COMPARISONS[function], args, {})
