"""The functions that programs call: their kinds, their signs, and the shapes of what they give."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lr.ops import COMPARISONS, OPERATIONS, Value

Function = Callable[..., Any]
Lengths = Sequence[Any]

ELEMENTWISE = {f for f in vars(np).values() if isinstance(f, np.ufunc) and not f.signature}
REDUCTIONS = {f.reduce for f in ELEMENTWISE if f.nin == 2 and f.nout == 1}
SIGNS: dict[Any, str] = {  # of what is written between two operands
    getattr(np, op.name): op.sign
    for op in (*OPERATIONS.values(), *COMPARISONS.values())
    if op.sign and hasattr(np, op.name)
}
SIGNS |= {operator.add: "+", operator.sub: "-", operator.mul: "*"}
SIGNS |= {operator.floordiv: "//", operator.mod: "%"}


def astype(x: Any, dtype: Any) -> Any:
    """x.astype(dtype), as a function."""
    return x.astype(dtype)


def put(out: Any, index: Any, x: Any) -> Any:
    """What `out` is after out[index] = x."""
    out = out.copy()
    out[index] = x
    return out


def add_at(out: Any, index: Any, x: Any) -> Any:
    """What `out` is after np.add.at(out, index, x)."""
    out = out.copy()
    np.add.at(out, index, x)
    return out


def expand_index(index: Any, ndim: int) -> tuple[Any, ...]:
    """An index as a tuple, with a colon for every axis that its dots or its end leave out."""
    index = index if isinstance(index, tuple) else (index,)
    colons = [slice(None)] * (ndim - sum(i is not None and i is not ... for i in index))
    at = next((n for n, i in enumerate(index) if i is ...), len(index))
    return (*index[:at], *colons, *index[at + 1 :])


def reduced_axes(ndim: int, axis: Any) -> list[int]:
    """The axes that a reduction goes over, from the first on."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return sorted(i % ndim for i in axes) if ndim else []  # of a number there is no axis to count


def _broadcast(shape: Lengths, *operands: Any, **_: Any) -> Lengths:
    lengths: list[Any] = [None] * len(shape)
    for a in operands:
        for i in range(1, a.ndim + 1) if isinstance(a, Value) else ():
            if a.shape[-i] == shape[-i] and (lengths[-i] is None or type(a.shape[-i]) is int):
                lengths[-i] = a.shape[-i]
    return lengths


def _index(shape: Lengths, a: Any, index: Any) -> Lengths:
    """The lengths that colons and new axes leave, or the number of places along each axis."""
    index = expand_index(index, a.ndim)
    if all(getattr(i, "ndim", 0) == 1 and i.dtype != bool for i in index):
        return tuple(index[0].shape) if index else ()
    lengths = iter(a.shape)
    colons = all(i is None or (isinstance(i, slice) and i == slice(None)) for i in index)
    return [1 if i is None else next(lengths) for i in index] if colons else ()


def _reshape(shape: Lengths, a: Any, new: Any) -> Lengths:
    new = new if isinstance(new, tuple) else (new,)
    return [n if n == m else None for n, m in zip(new, shape, strict=False)]


def _reduce(shape: Lengths, a: Any, axis: Any = 0, keepdims: bool = False) -> Lengths:
    axes = reduced_axes(a.ndim, axis)
    return [1 if i in axes else n for i, n in enumerate(a.shape) if keepdims or i not in axes]


# A rule takes the shape of the result and the arguments of the call, and gives a length for every
# axis: one that an argument has, or None where that is unknown; none at all if nothing is known.
# fmt: off
SHAPES: dict[Any, Callable[..., Lengths]] = {
    **dict.fromkeys((*ELEMENTWISE, np.where, np.clip), _broadcast),
    **dict.fromkeys((astype, put, add_at, np.flip, np.copy), lambda shape, a, *_, **__: a.shape),
    **dict.fromkeys(REDUCTIONS, _reduce),
    np.mean:          lambda shape, a, axis=None, keepdims=False: _reduce(shape, a, axis, keepdims),
    np.matmul:        lambda shape, a, b: (*a.shape[:-1], *b.shape[1:]) if b.ndim <= 2 else (),
    np.transpose:     lambda shape, a, axes=None: [a.shape[i] for i in axes or range(a.ndim)[::-1]],
    operator.getitem: _index,
    np.reshape:       _reshape,
    np.broadcast_to:  _reshape,
    np.zeros:         lambda shape, n, *_, **__: n if isinstance(n, tuple) else (n,),
    np.arange:        lambda shape, n: (n,),
}
# fmt: on


def lengths(
    function: Function | None, shape: Lengths, args: Sequence[Any], kwargs: dict[str, Any]
) -> Lengths:
    """The length of every axis of the result of a call: an argument's, or None if unknown."""
    axes = SHAPES[function](shape, *args, **kwargs) if function in SHAPES else ()
    return axes if len(axes) == len(shape) else (None,) * len(shape)
