"""One picture of a graph with its cards and steps, as data for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard
from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.formula import expression
from tinygrad_lr.drawing.render import Picture
from tinygrad_lr.explorer import words
from tinygrad_lr.explorer.arrays import MOST, Arrays
from tinygrad_lr.explorer.mathml import math, mathml
from tinygrad_lr.explorer.page import lean
from tinygrad_lr.explorer.passes import Sending, is_made
from tinygrad_lr.explorer.replay import Replay
from tinygrad_lr.explorer.steps import Steps
from tinygrad_lr.tensor import Tensor


def differences(graph: Graph) -> dict[int, Any]:
    """Finite differences of the output by the cards' values, by id, the parameters' first."""
    replay = Replay(graph.cards[-1].source)
    cards = sorted(graph.cards, key=lambda card: card.kind != "parameter")
    numerical = {
        id(card.source): replay.differences(card.source)
        for card in cards
        if card.gradient is not None and isinstance(card.source, Tensor)
        if card.value.size <= MOST
    }
    return {key: x for key, x in numerical.items() if x is not None}


def view(
    graph: Graph, sendings: Sequence[Sending], numerical: dict[int, Any], arrays: Arrays
) -> tuple[dict[str, Any], Picture]:
    """The picture, the cards and the steps of a graph.

    Args:
        graph: cards, some of which may be whole layers.
        sendings: the backward pass.
        numerical: finite differences, by the id of what a card is about.
        arrays: where the arrays of the page are kept.
    """
    steps = Steps(graph, sendings, arrays)
    told = steps.all()
    drawn = picture(graph, legend=False)
    nodes = [node(card, steps, numerical.get(id(card.source))) for card in graph.cards]
    svg = lean(drawn.pipe("svg", encoding="utf-8"))
    return {"svg": svg, "nodes": nodes, "steps": told}, drawn


def node(card: Card, steps: Steps, numerical: Any) -> dict[str, Any]:
    """What the page knows of a card."""
    told: dict[str, Any] = {"id": card.id, "k": card.k, "kind": card.kind, "name": card.name}
    if isinstance(card, LayerCard):
        return told | {"opens": card.paths[0], "say": [words.layer(card)]}
    told["v"] = steps.arrays.add(card.value)
    if card.shape:
        told["shape"] = str(card.shape)
    if card.formula:
        told["f"] = math(mathml(expression(card.formula)))
    if not is_made(card):
        told["leaf"] = 1
    if card.gradient is not None:
        grad = steps.entry(card.gradient, "gradient", steps.slope(card))
        told |= {"g": grad["a"], "d": grad["l"]}
        if len(steps.arrived[id(card.source)]) > 1:
            told["from"] = steps.contributions(card.source, card)
        if numerical is not None:
            row = [grad, "≈", steps.entry(numerical, "gradient", "finite differences")]
            say = [words.differences(card.gradient, numerical)]
            told["check"] = {"row": row, "say": say}
    return told
