"""What a learner may enter for a product, and what the checker of derivations says of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.cautions import named_sizes
from tinygrad_lr.check.derivation.diagnosis import close, diagnose, ratio
from tinygrad_lr.check.derivation.mistakes import elementwise_mistakes, mistakes
from tinygrad_lr.check.derivation.report import RIGHT
from tinygrad_lr.drawing.cards import Card, Graph
from tinygrad_lr.drawing.labels import is_table
from tinygrad_lr.explorer.passes import Sending
from tinygrad_lr.messages.origin import locate
from tinygrad_lr.nn import ACTIVATIONS
from tinygrad_lr.tensor import unbroadcast

KINDS = 6  # of wrong products that are told by name
OTHER = 7.25  # a factor that nobody has a name for
SAMPLE = np.array([[1.0, 3.0, 4.0], [2.0, 7.0, 9.0]])


def words(graph: Graph) -> dict[str, Any]:
    """What is said of an entry, in the words of the diagnosis of a hand-written backward pass."""
    data = {c.name: c.value for c in graph.cards if c.kind == "data" and c.value.ndim}
    sizes = named_sizes(data, {})
    known = [f for n in (2.0, *sizes) for f in (float(n), 1 / n)]
    known += [n / k for n, k in itertools.permutations(sizes, 2)]
    factors = [-1.0, *(s * f for f in dict.fromkeys(known) for s in (1, -1))]

    def said(entered: Any) -> str:
        return diagnose(entered, SAMPLE, sizes)

    return {
        "right": RIGHT,
        "factors": [[k, said(k * SAMPLE)] for k in factors],
        "times": [said(s * OTHER * SAMPLE).replace(str(s * OTHER), "{}") for s in (1, -1)],
        "zero": said(0 * SAMPLE),
        "transposed": said(SAMPLE.T),
        "unknown": f"not right; the mistake is {said(SAMPLE**2)}",
        "shape": "The shape is {}.",
        "unreadable": "Numbers, please: a row a line, or rows with ; between them.",
        "enter": "Your numbers: a row a line, or rows with ; between them",
    }


def asked(s: Sending, card: Card, to: Card, graph: Graph, uses: int) -> dict[str, Any]:
    """The right product, and wrong ones in words, if it is small enough to be worked out."""
    sent = np.asarray(s.product.sent)
    if not (sent.size == 1 or is_table(sent)) or not np.isfinite(sent).all():
        return {}
    rows, columns = np.atleast_2d(sent).shape if sent.size > 1 else (1, 1)
    right = {"rows": rows, "cols": columns, "of": str(sent.shape), "v": _plain(sent)}
    wrong = [[said, _plain(x)] for said, x in _wrong(s, card, to, graph, uses)]
    return {"right": right, "wrong": wrong}


def _plain(x: Any) -> list[float]:
    return [float(f"{v:.9g}") for v in np.ravel(x).tolist()]


def _wrong(s: Sending, card: Card, to: Card, graph: Graph, uses: int) -> Iterator[tuple[str, Any]]:
    """Products after one mistake each, that are neither right nor a multiple of it."""
    found: list[Any] = []
    right: Any = np.asarray(s.product.sent)
    for said, x in itertools.chain(_arrived(s, card), _altered(s, card, to, graph, uses)):
        x = np.asarray(x, dtype=float)
        if x.size > right.size and x.shape == np.shape(s.product.raw) and s.product.local is None:
            x = unbroadcast(x, right)
        known = (right, right.T, *found)
        if not np.isfinite(x).all() or any(close(x, y) for y in known) or ratio(x, right):
            continue
        found.append(x)
        yield said, x
        if len(found) == KINDS:
            return


def _arrived(s: Sending, card: Card) -> Iterator[tuple[str, Any]]:
    """What is there before the copies are added up."""
    raw, sent = np.asarray(s.product.raw), np.asarray(s.product.sent)
    if raw.shape != sent.shape:
        yield diagnose(raw, sent, {}, arriving=[(card.title, raw)]), raw


def _altered(
    s: Sending, card: Card, to: Card, graph: Graph, uses: int
) -> Iterator[tuple[str, Any]]:
    """One mistake in the rule."""
    op, y = s.node.op, s.node._array
    assert op is not None
    by_id = {id(c.source): c.title for c in graph.cards}
    operands = [by_id.get(id(x), "it") for x in s.node.inputs]
    shapes = {np.shape(x) for x in s.inputs}
    values: Mapping[str, list[Any]] = {
        c.title: [c.value] for c in graph.cards if c.value.ndim and c.shape in shapes
    }
    text = locate(s.node.origin).text if s.node.origin else card.formula
    sizes = [np.size(x) for x in s.inputs]
    for said, rule in mistakes(op, s.i, text, operands, values, sizes, uses > 1):
        try:
            with np.errstate(all="ignore"):
                x = rule(0, s.g, y, *s.inputs, **s.node.params)
            yield said, unbroadcast(np.asarray(x), s.product.sent)
        except ValueError:  # shapes that do not fit: nobody could have computed it
            continue
    if op.name in ACTIVATIONS and s.product.local is not None:
        with np.errstate(all="ignore"):
            yield from elementwise_mistakes(to.title, card.title, s.inputs[0], y, s.g)
