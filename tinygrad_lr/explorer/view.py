"""One picture of a graph with its steps, as data for the page."""

from __future__ import annotations

from typing import Any

from tinygrad_lr.drawing.cards import Card, Graph
from tinygrad_lr.drawing.dot import picture
from tinygrad_lr.drawing.formula import expression
from tinygrad_lr.explorer.arrays import Arrays
from tinygrad_lr.explorer.mathml import math, mathml
from tinygrad_lr.explorer.page import lean
from tinygrad_lr.explorer.steps import Steps


def view(graph: Graph, arrays: Arrays) -> dict[str, Any]:
    """The picture, the cards and the steps of a graph."""
    steps = Steps(graph, arrays)
    made = steps.all()
    drawn = picture(graph, legend=False).pipe("svg", encoding="utf-8")
    return {"svg": lean(drawn), "nodes": [node(card, steps) for card in graph.cards], "steps": made}


def node(card: Card, steps: Steps) -> dict[str, Any]:
    """What the page knows of a card."""
    told: dict[str, Any] = {
        "id": card.id,
        "k": card.k,
        "kind": card.kind,
        "name": card.name,
        "v": steps.arrays.add(card.value),
    }
    if card.shape:
        told["shape"] = str(card.shape)
    if card.formula:
        told["f"] = math(mathml(expression(card.formula)))
    if not getattr(card.source, "op", None):
        told["leaf"] = 1
    if card.gradient is not None:
        told["g"] = steps.arrays.add(card.gradient)
        told["d"] = f"∂{steps.loss}/∂{card.title}"
        if len(steps.arrived[id(card.source)]) > 1:
            told["from"] = steps.contributions(card)
    return told


def words() -> dict[str, Any]:
    """What the page says of its own."""
    return {
        "start": [
            "A <b>card</b> is an array. An arrow means “is used to compute”.",
            "First the <b class=v>values</b> are computed along the arrows, up to the loss. Then the "
            "<b class=g>gradients</b> are computed against the arrows, by the chain rule.",
        ],
        "keys": [
            [["→", "←"], "step"], [["Space"], "play"], [["f", "b"], "start of forward, backward"],
            [["Home", "End"], "first, last"], [["Esc"], "back"],
            [["Tab", "Enter"], "or a click on a card: its numbers"],
        ],
    }  # fmt: skip
