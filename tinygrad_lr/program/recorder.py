"""Recording of a function that is to be run again: it may not read values."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.array.protocols import unwrap
from tinygrad_lr.messages.explain import describe
from tinygrad_lr.messages.origin import caller, locate
from tinygrad_lr.ops import Op
from tinygrad_lr.recording import RecordAll, current, no_grad, recording
from tinygrad_lr.tensor import Tensor

ARRAYS: dict[Any, int] = {np.argmax: 1, np.argmin: 1, np.argsort: 1}  # how many they take
ARRAYS |= dict.fromkeys((np.isnan, np.isinf, np.isfinite, np.logical_not), 1)
ARRAYS |= dict.fromkeys((np.any, np.all, np.count_nonzero), 1)
ARRAYS |= dict.fromkeys((np.logical_and, np.logical_or), 2)
LOGICAL: dict[Any, Any] = {np.bitwise_and: np.logical_and, np.bitwise_or: np.logical_or}
LOGICAL |= {np.bitwise_xor: np.not_equal, np.invert: np.logical_not}  # the same of truth values


OF_TRAINING = {  # what layers do in training, and a recorded step cannot
    "Dropout": "draws random numbers: pass the mask as an argument of the function, and multiply",
    "BatchNorm": "changes running statistics: BatchNorm(track_running_stats=False) has none",
}


class RecordingError(TypeError):
    """A function that is recorded to be run again does what would not be the same the next time."""

    __module__ = "tinygrad_lr"


class Mask(Tensor):
    """A Tensor of truth values, which the operators of masks work on as on an array."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if {np.result_type(unwrap(x)) for x in inputs} == {np.dtype(bool)}:
            ufunc = LOGICAL.get(ufunc, ufunc)
        return super().__array_ufunc__(ufunc, method, *inputs, **kwargs)

    def __and__(self: Any, other: Any) -> Any:
        return np.bitwise_and(self, other)

    def __or__(self: Any, other: Any) -> Any:
        return np.bitwise_or(self, other)

    def __xor__(self: Any, other: Any) -> Any:
        return np.bitwise_xor(self, other)

    def __invert__(self) -> Any:
        return np.invert(self)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def any(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Whether any element is true."""
        return np.any(self, *args, **kwargs)

    def all(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Whether all elements are true."""
        return np.all(self, *args, **kwargs)


class Repeatable(RecordAll):
    """Keeps every result, and refuses to read values, which the next run has others of.

    Attributes:
        detached: the tensors that were detached, by the id of their array.
        refusals: the errors that were raised, which a function may have caught.
        results: of all operations, as weak references.
    """

    def __init__(self) -> None:
        super().__init__()
        self.detached: dict[int, Tensor] = {}
        self.refusals: list[RecordingError] = []
        self.results: list[Any] = []

    def read(self, tensor: Any, reader: str) -> Any:
        """Refuse the user's line, unless it detaches a tensor, which a program computes as well."""
        if reader == "detach":
            self.detached[id(tensor._array)] = tensor
            return tensor._array
        if reader in OF_TRAINING:
            raise RecordingError(
                f"a recorded step cannot do what {reader} does in training, which "
                f"{OF_TRAINING[reader]}. In eval mode it does not: layer.eval()\n  "
                f"{locate(caller())}"
            )
        index = "As an index of an array a: tg.Tensor(a)[i]. " * (tensor.dtype.kind in "iu")
        error = RecordingError(
            f"{reader} reads the values of {describe(tensor)} in a step that is recorded: later "
            f"runs would go on with the values of this one. {index}Choose by np.where(condition, "
            f"a, b), pass what is computed from it as an argument, and look at results after the "
            f"step\n"
            f"  {locate(caller())}"
        )
        self.refusals.append(error)
        raise error

    def check_result(self, node: Any, arrays: list[Any]) -> None:
        """Check it, and let truth values have the operators of masks."""
        self.outer.check_result(node, arrays)
        self.results.append(weakref.ref(node))
        if node._array.dtype == bool:
            node.__class__ = Mask

    def untracked(self, tensor: Any, function: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """A mask or indices as a Tensor, which later runs compute again."""
        if function not in ARRAYS:
            return super().untracked(tensor, function, args, kwargs, result)
        op = _without_derivative(function)
        given = op.signature.bind(*args, **kwargs).arguments
        names = [name for name in op.signature.parameters if name in given]
        n = ARRAYS[function]
        with no_grad():
            inputs = tuple(given[name] for name in names[:n])
            return tensor.apply(op, inputs, {name: given[name] for name in names[n:]})


def run(function: Callable[..., Any], batch: Sequence[Tensor]) -> tuple[Any, Repeatable]:
    """What a function gives for a batch, and the recorder of it.

    Raises:
        RecordingError: if it reads values, even if it catches that, or if only its recording fails.
    """
    failure: Exception | None = None
    for x in batch:
        if x.dtype == bool:
            x.__class__ = Mask
    with recording(Repeatable):
        recorder = current()
        try:
            output = function(*batch)
        except Exception as error:
            if isinstance(error, RecordingError):
                raise
            failure = error
    if failure:
        function(*batch)  # which fails as well if the recording is not the reason
        raise RecordingError(f"the function can be run, but not recorded: {failure}") from failure
    if recorder.refusals:
        raise recorder.refusals[0]
    return output, recorder


@functools.cache
def _without_derivative(function: Callable[..., Any]) -> Op:
    """An operation for a function of NumPy's that has no derivative."""
    return Op(f"{function.__name__}(x)", (None,) * ARRAYS[function], function)
