"""What went wrong, in the user's words: operands, shapes, line, and what would fit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_lr.messages.origin import (
    Expression,
    Origin,
    bracketed,
    caller,
    locate,
    operand_texts,
    user_frame,
    warn,
)
from tinygrad_lr.ops import FUNCTIONS, Op


class ShapeError(ValueError):
    """Operands whose shapes do not fit."""

    __module__ = "tinygrad_lr"


class TensorWarning(UserWarning):
    """A computation that runs, but is hardly what its author means.

    Python's filters are the switch: `warnings.simplefilter("ignore", tg.TensorWarning)`, or
    "error".
    """

    __module__ = "tinygrad_lr"


def explain(error: Exception, op: Op, operands: Sequence[Any]) -> Exception:
    """The error that an operation raised, told at the user's line."""
    place = locate(caller())
    names = operand_names(place, operands)
    shapes = [np.shape(x) for x in operands]
    if isinstance(error, ValueError) and op.name == "matmul":
        clash, fits = _matmul_clash(names, shapes)
    elif isinstance(error, ValueError) and not (op.metadata or _broadcast(shapes)):
        clash, fits = _broadcast_clash(names, shapes)
    else:
        told = " and ".join(f"{n} {s}" for n, s in zip(names, shapes, strict=True))
        error.add_note(f"in {op.name} of {told}\n  {place}")
        return error
    told = " and ".join(f"{n} is {s}" for n, s in zip(names, shapes, strict=True))
    return ShapeError(f"{op.name}: {told}; {clash}\n  {place}{fits}")


def operand_names(place: Expression, operands: Sequence[Any]) -> list[str]:
    """What the user calls the operands: as in the expression, else by name, variable or number."""
    frame = user_frame()
    named = {**frame.f_globals, **frame.f_locals}
    modules = {name for name, value in named.items() if isinstance(value, ModuleType)}
    texts = operand_texts(place.text, modules, FUNCTIONS)
    if len(texts) >= len(operands) and all(len(text) < 40 for text in texts):
        return texts[: len(operands)]
    names = []
    for i, x in enumerate(operands, 1):
        variables = (name for name, value in frame.f_locals.items() if value is x)
        names.append(getattr(x, "name", None) or next(variables, f"operand {i}"))
    return names


def _matmul_clash(names: list[str], shapes: list[Any]) -> tuple[str, str]:
    (a, b), (m, n) = names, shapes
    if not m or not n:
        scalar = a if not m else b
        return f"{scalar} has no axes to multiply over", f"\n{a} * {b} would fit"
    inner, outer = m[-1], n[-2] if len(n) > 1 else n[0]
    if inner == outer:
        return f"the stacks {m[:-2]} and {n[:-2]} do not broadcast", ""
    which = "second last" if len(n) > 1 else "only"
    clash = f"the last axis of {a} has length {inner}, the {which} axis of {b} {outer}"
    a, b = map(bracketed, names)
    turned = {
        f"{a} @ {b}.T": (m, n[::-1]),
        f"{a}.T @ {b}": (m[::-1], n),
        f"{b} @ {a}": (n, m),
        f"{a}.T @ {b}.T": (m[::-1], n[::-1]),
    }
    for text, (p, q) in turned.items():
        if len(p) == len(q) == 2 and p[-1] == q[-2]:
            return clash, f"\n{text} would fit: {p} @ {q} -> {(p[0], q[1])}"
    return clash, ""


def _broadcast(shapes: list[Any]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _broadcast_clash(names: list[str], shapes: list[Any]) -> tuple[str, str]:
    two = itertools.combinations(zip(map(bracketed, names), shapes, strict=True), 2)
    (a, m), (b, n) = next(pair for pair in two if not _broadcast([shape for _, shape in pair]))
    pairs = enumerate(zip(m[::-1], n[::-1], strict=False), 1)
    axis, p, q = next((-i, p, q) for i, (p, q) in pairs if p != q and 1 not in (p, q))
    clash = f"axis {axis} has length {p} in {a} and {q} in {b}"
    pairs_of = ((b, n, m), (a, m, n))
    changed = [(f"{x}[:, None]", (*s, 1), t) for x, s, t in pairs_of if len(s) == 1 < len(t)]
    changed += [(f"{x}.T", s[::-1], t) for x, s, t in pairs_of if len(s) > 1]
    for text, shape, other in changed:
        if _broadcast([shape, other]):
            return clash, f"\n{text} would fit: it is {shape}"
    return clash, ""


def notice(op: Op, inputs: tuple[Any, ...], result: Any) -> None:
    """Warn of two habits that cost a day: an outer product by accident, and a sum of graphs."""
    if result.ndim == 2:
        rows, columns = result.shape
        if rows == columns > 1:
            notice_outer(inputs, rows)
    elif result.ndim == 0 and op.name == "add":
        _notice_kept_graphs(inputs)


def notice_outer(operands: Sequence[Any], n: int) -> None:
    """(n,) with (n, 1), unless the new axis is written there."""
    a, b = (getattr(x, "shape", None) or np.shape(x) for x in operands)
    if {a, b} != {(n,), (n, 1)}:
        return
    place = locate(caller())
    names = operand_names(place, operands)
    column, row = map(bracketed, names if a == (n, 1) else names[::-1])
    if any(word in column for word in ("None", "newaxis", "reshape", "expand_dims", "keepdims")):
        return
    warn(
        f"{names[0]} is {a} and {names[1]} is {b}, so this gives {n} * {n} numbers, each element "
        f"of the one with each of the other: `{place.text or place.statement}`. For element by "
        f"element, {column}.ravel() or {row}[:, None]",
        TensorWarning,
    )


def _notice_kept_graphs(inputs: tuple[Any, ...]) -> None:
    """A sum to which losses are added that have had their backward pass."""
    results = [x for x in inputs if getattr(x, "op", None)]
    results += [y for x in results for y in x.inputs if getattr(y, "op", None)]
    if any(x.grad is not None for x in results):
        warn(
            f"{where_from(caller())} adds a tensor that has had its backward pass, so the sum "
            f"keeps every graph in memory: add its .item()",
            TensorWarning,
        )


def where_from(origin: Origin | None) -> str:
    """`expression` (file, line n) of an operation, for messages."""
    if origin is None:
        return "an operation"
    place = locate(origin)
    said = place.text or place.statement
    return (
        f"`{said}` ({place.file}, line {place.line})"
        if said
        else f"{place.file}, line {place.line}"
    )
