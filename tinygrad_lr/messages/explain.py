"""Errors and warnings in the user's own names: operands, shapes, line, and what would fit."""

from __future__ import annotations

import dis
import functools
import inspect
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from tinygrad_lr.messages import GradientError, ShapeError, TensorWarning
from tinygrad_lr.messages.frames import user_frame
from tinygrad_lr.messages.origin import Instruction, bracketed, caller, locate, warn, where_from
from tinygrad_lr.ops import FUNCTIONS, Op

MAX_MEMBERS, MAX_SEARCHED = 1000, 10_000  # of a list or dict, and of a level below variables
MAX_DEPTH = 3  # levels below a variable, as in model.layers[0].W
MAX_TEXT = 40  # characters, up to which an expression is a name
EXPRESSIONS: WeakValueDictionary[str, Any] = WeakValueDictionary()  # of tensors: a search is slow
PLAIN = (int, float, complex, str, bytes, type(None), np.generic)  # these have no members


def namespaces(frame: FrameType) -> list[Mapping[str, Any]]:
    """The variables of a frame, the local ones first, without those that begin with `_`."""
    local = dict(frame.f_locals)
    order = {name: i for i, name in enumerate(_variables(frame.f_code))}
    local = dict(sorted(local.items(), key=lambda pair: order.get(pair[0], len(order))))
    return [
        {name: x for name, x in space.items() if name.isidentifier() and name[0] != "_"}
        for space in (local, frame.f_globals)
    ]


@functools.lru_cache(maxsize=256)
def _variables(code: CodeType) -> dict[str, None]:
    """The variables of a function in the order of assignment; a frame's own order is anything.

    Parameters come first, then those of an enclosing function. A module has none: its variables
    are in order.
    """
    if not code.co_flags & inspect.CO_NEWLOCALS:
        return {}
    stored = [x.argval for x in dis.get_instructions(code) if x.opname.startswith("STORE_")]
    names = [name for x in stored for name in (x if isinstance(x, tuple) else (x,))]
    starred = [inspect.CO_VARARGS, inspect.CO_VARKEYWORDS]
    n = code.co_argcount + code.co_kwonlyargcount + sum(bool(code.co_flags & x) for x in starred)
    return dict.fromkeys([*code.co_varnames[:n], *code.co_freevars, *names])


def members(x: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a list, a dict or an object but plain ones, after their access: [0], .W."""
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(x, (list, tuple)):
        pairs, access = enumerate(x[:MAX_MEMBERS]), "[{}]"
    elif isinstance(x, dict) and len(x) <= MAX_MEMBERS:
        pairs, access = x.items(), "[{!r}]"
    elif hasattr(x, "__dict__") and not isinstance(x, (type, ModuleType)):
        pairs, access = vars(x).items(), ".{}"
    return ((access.format(key), part) for key, part in pairs if not isinstance(part, PLAIN))


def describe(x: Any) -> str:
    """A tensor by its name, else as the user's code reaches it, else by its shape."""
    if x.name:
        return str(x.name)
    frame = user_frame()
    for expression, tensor in list(EXPRESSIONS.items()):
        if tensor is x and _evaluates_to(x, expression, frame):
            return expression
    level = [pair for space in namespaces(frame) for pair in space.items()]
    for _ in range(1 + MAX_DEPTH):
        for expression, value in level:
            if value is x:
                EXPRESSIONS[expression] = x
                return expression
        below = ((name + at, part) for name, value in level for at, part in members(value))
        level = list(itertools.islice(below, MAX_SEARCHED))
    return f"a tensor of shape {x.shape}"


def _evaluates_to(x: Any, expression: str, frame: FrameType) -> bool:
    try:
        return eval(expression, frame.f_globals, frame.f_locals) is x
    except Exception:
        return False


def operand_names(place: Instruction, operands: Sequence[Any]) -> list[str]:
    """The operands as in the user's expression, else by name, variable or position."""
    spaces = namespaces(user_frame())
    modules = {n for space in spaces for n, x in space.items() if isinstance(x, ModuleType)}
    texts = place.operands(modules, FUNCTIONS)
    if len(texts) >= len(operands) and all(len(text) < MAX_TEXT for text in texts):
        return texts[: len(operands)]
    variables = {id(x): n for space in spaces[::-1] for n, x in reversed([*space.items()])}
    return [
        getattr(x, "name", None) or variables.get(id(x), f"operand {i}")
        for i, x in enumerate(operands, 1)
    ]


def operation_failed(error: Exception, op: Op, operands: Sequence[Any]) -> Exception:
    """The error of an operation, with the user's line; for shapes that clash, what would fit."""
    place = locate(caller())
    names, shapes = operand_names(place, operands), [np.shape(x) for x in operands]
    if isinstance(error, ValueError) and op.name == "matmul":
        clash, fits = _matmul_clash(names, shapes)
    elif isinstance(error, ValueError) and not (op.params or _broadcast(*shapes)):
        clash, fits = _broadcast_clash(names, shapes)
    else:
        error.add_note(f"in {op.name} of {' and '.join(map('{} {}'.format, names, shapes))}")
        error.add_note(f"  {place}")
        return error
    operands_text = " and ".join(map("{} is {}".format, names, shapes))
    return ShapeError(f"{op.name}: {operands_text}; {clash}\n  {place}{fits}")


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
    candidates = {
        f"{a} @ {b}.T": (m, n[::-1]),
        f"{a}.T @ {b}": (m[::-1], n),
        f"{b} @ {a}": (n, m),
        f"{a}.T @ {b}.T": (m[::-1], n[::-1]),
    }
    for text, (p, q) in candidates.items():
        if len(p) == len(q) == 2 and p[-1] == q[-2]:
            return clash, f"\n{text} would fit: {p} @ {q} -> {(p[0], q[1])}"
    return clash, ""


def _broadcast(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _broadcast_clash(names: list[str], shapes: list[Any]) -> tuple[str, str]:
    pairs = itertools.combinations(zip(map(bracketed, names), shapes, strict=True), 2)
    (a, m), (b, n) = next(pair for pair in pairs if not _broadcast(pair[0][1], pair[1][1]))
    lengths = enumerate(zip(m[::-1], n[::-1], strict=False), 1)
    axis, p, q = next((-i, p, q) for i, (p, q) in lengths if p != q and 1 not in (p, q))
    clash = f"axis {axis} has length {p} in {a} and {q} in {b}"
    operands = ((b, n, m), (a, m, n))
    columns = [(f"{x}[:, None]", (*s, 1), t) for x, s, t in operands if len(s) == 1 < len(t)]
    transposed = [(f"{x}.T", s[::-1], t) for x, s, t in operands if len(s) > 1]
    for text, shape, other in columns + transposed:
        if _broadcast(shape, other):
            return clash, f"\n{text} would fit: it is {shape}"
    return clash, ""


def warn_accidental_outer(a: tuple[int, ...], b: tuple[int, ...], operands: Sequence[Any]) -> None:
    """Warn of (n,) with (n, 1), unless the expression itself adds the axis."""
    n = a[0]
    place = locate(caller())
    names = operand_names(place, operands)
    column, row = map(bracketed, names if a == (n, 1) else names[::-1])
    if any(word in column for word in ("None", "newaxis", "reshape", "expand_dims", "keepdims")):
        return
    warn(
        f"{names[0]} is {a} and {names[1]} is {b}: these broadcast to ({n}, {n}), every element "
        f"with every other: `{place.text or place.statement}`. For element by element, "
        f"{column}.ravel() or {row}[:, None]",
        TensorWarning,
    )


def param_requires_gradient(x: Any, name: str, function: str) -> TypeError:
    """The error for a tensor in the place of an argument without a rule."""
    return TypeError(
        f"{name} of {function} has no derivative rule, but {describe(x)} is a Tensor that requires "
        f"a gradient: give numbers"
    )


def rule_failed(dx: Any, x: Any, node: Any) -> GradientError:
    """The error for a rule that returns no gradient of its argument."""
    what = f"the shape {dx.shape}" if hasattr(dx, "shape") else repr(dx)
    return GradientError(
        f"a derivative rule of {node.op.name} returned {what} for {describe(x)}, which has the "
        f"shape {x.shape}: a rule returns an array of its argument's shape, broadcast or not"
    )


def warn_kept_graphs(operands: Sequence[Any]) -> None:
    """Warn of a sum of losses if one has had its backward pass."""
    results = [x for x in operands if getattr(x, "op", None)]
    results += [y for x in results for y in x.inputs if getattr(y, "op", None)]
    if any(x.grad is not None for x in results):
        warn(
            f"{where_from(caller())} adds a tensor that has had its backward pass, so the sum "
            f"keeps every graph in memory: add its .item()",
            TensorWarning,
        )


def accumulated(tensors: Sequence[Any]) -> str:
    """backward() into leaves that had a gradient."""
    return (
        f"{', '.join(map(describe, tensors))} already had a gradient; backward() added to it. Call "
        f"zero_grad() first unless you want the sum"
    )


def no_parameter(result: Any) -> str:
    """zero_grad() of a result, as after `w = w - lr * w.grad`."""
    return (
        f"zero_grad() of the result of {where_from(result.origin)}, which is not a parameter: "
        f"update parameters in place, `w.data -= lr * w.grad`, or each step keeps all before it"
    )


def requires_no_gradient(output: Any) -> str:
    """backward() of a tensor through which no gradient flows."""
    if output.origin is None:
        reason = (
            "nothing that it was computed from does: make the parameters with requires_grad=True, "
            "and do not compute with .data, .numpy() or .detach()"
        )
    else:
        reason = (
            f"{where_from(output.origin)} was computed under no_grad (to update a parameter, write "
            f"`w.data -= lr * w.grad`)"
        )
    return f"{describe(output)} does not require a gradient: {reason}"


def stale(x: Any, node: Any) -> str:
    """backward() after a leaf that an operation used was changed."""
    return (
        f"{describe(x)} was changed after {where_from(node.origin)} had used it, so the gradients "
        f"would be wrong. Change data after backward(), or compute the output again"
    )


def assigned_in_parts() -> str:
    """t[index] = x."""
    return (
        "a Tensor does not support item assignment, its history would be wrong: build the result "
        "with where, concatenate or stack, or change t.data before computing with t"
    )


def cut_off(x: Any) -> str:
    """np.asarray(t) of a tensor that requires a gradient."""
    return (
        f"an array of {describe(x)} would cut it out of the graph. For plots, metrics and other "
        f"libraries use the Tensor's values, t.data, of a loss loss.item(); to join tensors "
        f"np.stack; for products np.dot(a, t) or a @ t, not a.dot(t)"
    )


def cut_by_float() -> str:
    """float(t) of a tensor that requires a gradient."""
    return (
        "float() of a tensor that requires a gradient: none flows through the number. For printing "
        "use .item(); for mathematics NumPy's functions, not those of math"
    )


def no_scalar(output: Any) -> str:
    """backward() of several numbers at once."""
    return (
        f"backward starts from a scalar, and this has the shape {output.shape}: take its .sum() or "
        f".mean(), or pass gradient=, an array of that shape"
    )


def other_gradient_shape(output: Any, shape: tuple[int, ...]) -> str:
    """backward(gradient) with a gradient of another shape."""
    return f"gradient has the shape {shape}, but the output has {output.shape}"


def other_shape(x: Any, shape: tuple[int, ...]) -> str:
    """t.data = array, of another shape."""
    return (
        f"{describe(x)} is {x.shape} and stays so; the new data are {shape}. A gradient of the "
        f"wrong shape?"
    )
