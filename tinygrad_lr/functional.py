"""Gradients as values: for a further derivative, or for an update of your own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from tinygrad_lr.messages import GradientError
from tinygrad_lr.recording import RecordAll, recording
from tinygrad_lr.tensor import Tensor, gradients


def as_tensors(node: Any) -> list[Any]:
    """A node and its inputs, `[y, *inputs]`: what rules compute from these has a history."""
    return [node, *node.inputs]


@overload
def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    create_graph: Literal[False] = False,
) -> list[npt.NDArray[Any]]: ...
@overload
def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    *,
    create_graph: Literal[True],
) -> list[Tensor]: ...
def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor] = (),
    gradient: Any = None,
    create_graph: bool = False,
) -> list[Any]:
    """The gradients of an output with respect to inputs, without touching any `.grad`.

    Args:
        output: a tensor with one element, or of any shape if `gradient` is given.
        inputs: one tensor or several, leaves or not.
        gradient: what the output's own gradient is; 1 by default.
        create_graph: whether the gradients are Tensors that can be differentiated again.

    Returns:
        A list with one ndarray (or Tensor) per input, even if there is only one.

    Raises:
        GradientError: if the output does not depend on one of the inputs.
        TypeError: if output is a function: it is to be called first.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> dx, = grad(x ** 3, [x], create_graph=True)
    >>> grad(dx, [x])
    [array(12.)]
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"grad takes what was computed, as tg.grad(f(x), x), not {output!r}")
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if create_graph:
        with recording(RecordAll):
            grads = gradients(output, gradient, as_tensors)
    else:
        grads = gradients(output, gradient)
    for x in inputs:
        if not x.requires_grad:
            raise GradientError(f"{x!r} requires no gradient: make it with requires_grad=True")
        if x not in grads:
            raise GradientError(f"{output!r} does not depend on {x!r}, so it has no gradient there")
    return [grads[x] if create_graph else np.array(grads[x]) for x in inputs]
