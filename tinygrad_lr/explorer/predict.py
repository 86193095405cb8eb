"""What a learner may enter for a product, and the verdicts on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.data import named_lengths
from tinygrad_lr.check.derivation.diagnosis import close, diagnose, ratio
from tinygrad_lr.check.derivation.report import RIGHT
from tinygrad_lr.drawing.cards import Card, Graph
from tinygrad_lr.drawing.labels import is_table
from tinygrad_lr.explorer.mistakes import activation_mistakes, mistaken_rules
from tinygrad_lr.explorer.page import Json
from tinygrad_lr.explorer.vjps import VJPCall
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.nn import ACTIVATIONS
from tinygrad_lr.tensor import unbroadcast

MAX_WRONG = 6  # wrong products that are named
UNNAMED_FACTOR = 7.25  # a factor that no mistake explains
SAMPLE = np.array([[1.0, 3.0, 4.0], [2.0, 7.0, 9.0]])


def verdicts(graph: Graph) -> Json:
    """The verdicts on an entry, in the words of `check_backward`."""
    data = {c.name: c.value for c in graph.cards if c.kind == "data" and c.value.ndim}
    sizes = named_lengths(data)
    ratios = [f for n in (2.0, *sizes) for f in (float(n), 1 / n)]
    ratios += [n / k for n, k in itertools.permutations(sizes, 2)]
    factors = [-1.0, *(s * f for f in dict.fromkeys(ratios) for s in (1, -1))]
    diagnosis = partial(diagnose, right=SAMPLE, sizes=sizes)
    multiples = {s * UNNAMED_FACTOR: diagnosis(s * UNNAMED_FACTOR * SAMPLE) for s in (1, -1)}
    return {
        "right": RIGHT,
        "factors": [[k, diagnosis(k * SAMPLE)] for k in factors],
        "times": [text.replace(str(factor), "{}") for factor, text in multiples.items()],
        "zero": diagnosis(0 * SAMPLE),
        "transposed": diagnosis(SAMPLE.T),
        "unknown": f"not right; the mistake is {diagnosis(SAMPLE**2)}",
        "shape": "The shape is {}.",
        "unreadable": "Numbers, please: a row a line, or rows with ; between them.",
        "enter": "Your numbers: a row a line, or rows with ; between them",
    }


@np.errstate(all="ignore")
def prediction(call: VJPCall, card: Card, target: Card, graph: Graph, uses: int) -> Json:
    """The right product, and named wrong ones, if it is small enough to be worked out.

    The rule of `card` is called for its input `target`, which the graph `uses` so many times.
    """
    right = np.asarray(call.gradient)
    if not (right.size == 1 or is_table(right)) or not np.isfinite(right).all():
        return {}
    rows, columns = np.atleast_2d(right).shape if right.size > 1 else (1, 1)
    wrong = _distinct(call, _mistaken(call, card, target, graph, uses))
    return {
        "right": {
            "rows": rows, "columns": columns, "shape": str(right.shape), "values": _digits(right),
        },
        "wrong": [[text, _digits(x)] for text, x in itertools.islice(wrong, MAX_WRONG)],
    }  # fmt: skip


def _digits(x: Any) -> list[float]:
    return [float(f"{v:.9g}") for v in np.ravel(x).tolist()]


def _distinct(call: VJPCall, candidates: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The candidates that are neither right nor a multiple of it, each once."""
    right: Any = np.asarray(call.gradient)
    others: list[Any] = [right, right.T]
    for text, x in candidates:
        x = np.asarray(x, dtype=float)
        if x.size > right.size and x.shape == np.shape(call.raw) and not call.local:
            x = unbroadcast(x, right)
        if np.isfinite(x).all() and not any(close(x, y) for y in others) and not ratio(x, right):
            others.append(x)
            yield text, x


def _mistaken(
    call: VJPCall, card: Card, target: Card, graph: Graph, uses: int
) -> Iterator[tuple[str, Any]]:
    """The product before copies are added up, or after one mistake in the rule."""
    if np.shape(call.raw) != np.shape(call.gradient):
        text = diagnose(call.raw, np.asarray(call.gradient), {}, [(card.title, call.raw)])
        yield text, call.raw
    node, op = call.node, card.node.op
    titles = {id(c.node): c.title for c in graph.cards}
    operands = [titles.get(id(x), "it") for x in node.inputs]
    shapes = {np.shape(x) for x in call.inputs}
    values = {c.title: c.value for c in graph.cards if c.value.ndim and c.shape in shapes}
    text = locate(node.origin).text if node.origin else card.formula
    for words, rule in mistaken_rules(op, call.i, text, operands, values, uses > 1):
        try:
            x = rule(call.g, node._array, *call.inputs, **node.params)
            yield words, unbroadcast(np.asarray(x), call.gradient)
        except (IndexError, ValueError):  # what does not fit: nobody could have computed it
            continue
    if op.name in ACTIVATIONS and call.local:
        names = target.title, card.title
        yield from activation_mistakes(*names, call.inputs[0], node._array, call.g)
