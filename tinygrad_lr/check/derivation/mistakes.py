"""The gradients that would come out after one mistake on the way from the claims before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, cast

import numpy as np

from tinygrad_lr.check.derivation.diagnosis import Candidates, NDArray, ratio
from tinygrad_lr.check.derivation.loss_check import one_hot
from tinygrad_lr.check.derivation.way import Way
from tinygrad_lr.messages.frames import Origin
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.tensor import Tensor, op_rules


def altered(way: Way) -> Candidates:
    """The gradient after one mistake or the other, in words; None if its shapes do not fit."""
    groups: dict[Any, list[Tensor]] = {}  # what one expression computed, step by step
    for y in sorted(way.region, key=lambda y: y.serial):
        groups.setdefault((y.origin, y.op), []).append(y)
    for nodes in groups.values():
        for i, words, wrong in _wrong_rules(way, nodes):
            yield words, way.gradient({}, _with_rule(nodes, i, wrong))
    steps = {y: len(nodes) for nodes in groups.values() for y in nodes}
    for z in [way.x, *way.region]:
        if z in way.own or (z is not way.x and steps[z] > 1):
            continue
        for words, wrong in itertools.chain(_activations(way, z), _terms(way, z)):
            yield words, way.gradient({z: wrong})


def _wrong_rules(way: Way, nodes: list[Tensor]) -> Iterator[tuple[int, str, Callable[..., Any]]]:
    """Mistakes in the rules of an operation on the way: (input, words, wrong rule)."""
    inputs, place = nodes[0].inputs, locate(cast(Origin, nodes[0].origin))
    texts = place.operands()
    operands = [
        (way.marking.names.get(v) if isinstance(v, Tensor) else None)
        or (texts[k] if len(texts) == len(inputs) else f"operand {k + 1}")
        for k, v in enumerate(inputs)
    ]
    values = {
        name: [v._array for v in versions]
        for name, versions in way.marking.targets.items()
        if versions[0].ndim and "[" not in name
    }
    sizes = [np.size(getattr(v, "_array", v)) for v in inputs]
    for i, z in enumerate(inputs):
        if not isinstance(z, Tensor) or not (z is way.x or z in way.region or len(nodes) > 1):
            continue
        several = sum(v is z for y in way.marking.uses[z] for v in y.inputs) > 1
        for words, wrong in mistakes(nodes[0].op, i, place.text, operands, values, sizes, several):
            yield i, words, wrong


def _with_rule(nodes: list[Tensor], i: int, wrong: Callable[..., Any]) -> Callable[[Any], Any]:
    """The rules of all nodes, with another one for input i of some."""
    step = {node: n for n, node in enumerate(nodes)}

    def rules(node: Tensor) -> Iterable[Any]:
        of_node: Iterable[Any] = op_rules(node)
        if node not in step:
            return of_node
        told = partial(wrong, step[node])
        return (told if k == i else rule for k, rule in enumerate(of_node))

    return rules


def _activations(way: Way, z: Tensor) -> Candidates:
    """Mistakes in the derivatives of the named activations of a value."""
    for y, name in way.marking.names.items() if z.op else ():
        if y in way.region and y.shape == z.shape and _elementwise(z, y):
            g = way.own.get(y, way.judged.found[y])
            yield from elementwise_mistakes(way.marking.name(z), name, z._array, y._array, g)


def _terms(way: Way, z: Tensor) -> Candidates:
    """Mistakes in a gradient that is a difference of predictions and labels but for a factor.

    Such a gradient comes out of a whole loss and not out of one of its rules.
    """
    g = way.judged.found.get(z)
    for label, given in way.marking.data.items():
        y = one_hot(given, z.shape)
        if y is None or g is None or not z.ndim:
            continue
        for a, name in way.marking.names.items():
            c = ratio(g, a._array - y) if a.op and a.shape == z.shape else None
            if c is None:
                continue
            for k in dict.fromkeys(
                (1.0, *map(float, way.marking.sizes), float(f"{abs(1 / c):.12g}"))
            ):
                also = f", and the rest is {k:.6g} times what it should be" if k != 1 else ""
                missing = f"of {name} - {label} is missing{also}"
                yield f"the term {label} {missing}", c * k * a._array
                yield f"the term {name} {missing}", -c * k * y
                yield f"{label} has the wrong sign{also}", c * k * (a._array + y)


def mistakes(
    op: Any,
    i: int,
    text: str,
    operands: list[str],
    values: Mapping[str, list[Any]],
    sizes: list[int],
    several: bool,
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """One mistake after the other in the rule of an operation's input i, as (words, wrong rule).

    A wrong rule is told, before the arguments of a rule, which time it is that the operation is
    done: over time steps `values` holds as many values under a name.

    Args:
        op: the operation.
        i: the number of the input.
        text: the user's expression for the operation.
        operands: the user's expressions for the inputs.
        values: what may be taken for an input by mistake, by name.
        sizes: how many elements each input has.
        several: whether the input is used elsewhere, too.
    """
    rule: Callable[..., Any] = next(r for n, r in enumerate(op.rules) if n == i)
    wrong: dict[str, Callable[..., Any]] = {}
    if several:
        through = f"the term that comes through `{text}`"
        wrong[f"{through} is missing"] = lambda n, *a, **k: 0 * rule(*a, **k)
        wrong[f"{through} has the wrong sign"] = lambda n, *a, **k: -rule(*a, **k)
        wrong[f"of the uses in `{text}` only one counts"] = lambda n, *a, **k: (
            (n == 0) * rule(*a, **k)
        )
    if len(operands) == 1 and not op.metadata:
        at = f"the derivative of {op.name} is"
        wrong[f"{at} missing"] = lambda n, g, y, x: g
        wrong[f"{at} taken at its input, not its output"] = lambda n, g, y, x: rule(g, x, x)
        wrong[f"{at} taken at its output, not its input"] = lambda n, g, y, x: rule(g, y, y)
        wrong[f"{at} multiplied in twice"] = lambda n, g, y, x: rule(rule(g, y, x), y, x)
    yield from wrong.items()

    def replacing(j: int, value: Callable[[int, Any], Any]) -> Callable[..., Any]:
        def replaced(n: int, g: Any, y: Any, *inputs: Any, **params: Any) -> Any:
            return rule(g, y, *inputs[:j], value(n, inputs[j]), *inputs[j + 1 :], **params)

        return replaced

    def version(versions: list[Any]) -> Callable[[int, Any], Any]:
        return lambda n, x: versions[n % len(versions)]

    for j, operand in enumerate(operands):
        if j == i or sizes[j] == 1:
            continue
        if op.name == "matmul":
            yield f"{operand} is transposed", replacing(j, lambda n, x: np.transpose(x))
        for name, versions in values.items():
            if name != operand:
                yield f"{name} is used where {operand} belongs", replacing(j, version(versions))


def elementwise_mistakes(z: str, a: str, zs: NDArray, ys: NDArray, g: NDArray) -> Candidates:
    """Mistakes in g * a'(z) for an activation a of z, however it was computed."""
    derivative = f"the derivative of {a}"
    sigma = 1 / (1 + np.exp(-ys))
    yield f"{derivative} with respect to {z} is missing", g
    yield f"{derivative} is evaluated at {z} instead of {a}", g * zs * (1 - zs)
    yield f"{derivative} is evaluated at {z} instead of {a}", g * (1 - zs**2)
    yield f"{derivative} applies the activation to {a} again", g * sigma * (1 - sigma)
    yield f"{derivative} applies the activation to {a} again", g * (1 - np.tanh(ys) ** 2)
    yield f"the derivative of a sigmoid is used for {a}", g * ys * (1 - ys)
    yield f"the derivative of a tanh is used for {a}", g * (1 - ys**2)
    yield f"the derivative of a ReLU is used for {a}", g * (zs > 0)
    yield f"the mask of {a} is turned round", g * (zs <= 0)


def _elementwise(z: Tensor, y: Tensor) -> bool:
    """Whether y is computed from z element by element."""
    waiting, between = [y], set[Tensor]()
    while waiting:
        v = waiting.pop()
        if v in between or v.serial < z.serial:
            continue
        between.add(v)
        if v is not z:
            if v.shape != z.shape or (v.op and v.op.name in ("matmul", "softmax")):
                return False
            waiting += [i for i in v.inputs if isinstance(i, Tensor) and i.op]
    return z in between
