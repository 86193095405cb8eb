"""The arrangement of a picture: cards and wires as DOT."""

from __future__ import annotations

from collections import Counter

import graphviz

from tinygrad_lr.drawing.cards import Graph, Wire
from tinygrad_lr.drawing.figures import number, plain
from tinygrad_lr.drawing.labels import Writer
from tinygrad_lr.drawing.render import Picture
from tinygrad_lr.drawing.theme import FONT
from tinygrad_lr.nn import Module

ACROSS = 7  # levels that fit from left to right
KINDS = {
    "parameter": ("rounded,filled", "value", 2.6),
    "data": ("rounded,filled", "soft", 1.2),
    "constant": ("rounded,filled,dashed", "faint", 1.2),
    "operation": ("rounded,filled", "border", 1.2),
    "loss": ("rounded,filled", "gradient", 2.6),
    "output": ("rounded,filled", "gradient", 2.6),
    "layer": ("rounded,filled", "value", 1.2),
}
FILL = {"output": "loss", "layer": "parameter"}


def picture(
    graph: Graph,
    *,
    values: bool = True,
    gradients: bool = True,
    direction: str | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Picture:
    """The cards and wires of a graph as a Picture."""
    gradients = gradients and any(card.gradient is not None for card in graph.cards)
    write = Writer(theme, values, gradients)
    spine, depth = _spine(graph)
    inside = {card.layer: None for card in graph.cards if card.layer and card.kind != "layer"}
    if direction is None:
        direction = "LR" if depth <= ACROSS and not inside else "TB"
    colour = write.colours
    dot = Picture("computation")
    dot.theme, dot.text = theme, str(graph)
    dot.titles = {card.id: plain(str(card), 500) for card in graph.cards}
    dot.titles["graph0"] = plain(f"the computation of {graph.cards[-1].name}")
    dot.attr(
        "graph",
        rankdir=direction,
        newrank="true",
        nodesep="0.22",
        ranksep="0.4",
        pad="0.15",
        bgcolor=colour["paper"],
        fontname=FONT,
    )
    if legend and (said := write.legend(any(w.local is not None for w in graph.wires))):
        dot.attr("graph", label=f"<{said}>", labelloc="b", labeljust="l")
    dot.attr("node", shape="box", fontname=FONT, margin="0.09,0.06")
    dot.attr("edge", color=colour["wire"], penwidth="1.2", arrowsize="0.8", fontname=FONT)
    uses = Counter(wire.source for wire in graph.wires)
    clusters = {path: _cluster(write, path, graph.modules[path]) for path in inside if path}
    for card in graph.cards:
        style, border, width = KINDS[card.kind]
        place = clusters.get(card.layer or "", dot)
        place.node(
            card.id,
            label=f"<{write.card(card)}>",
            id=card.id,
            style=style,
            fillcolor=colour[FILL.get(card.kind, card.kind)],
            color=colour[border],
            penwidth=str(width),
            peripheries="2" if card.kind == "layer" else "1",
            ordering="in" if all(uses[wire.source] == 1 for wire in card.inputs) else "",
        )
    for cluster in clusters.values():
        dot.subgraph(cluster)
    for wire in graph.wires:
        weight = "8" if wire in spine else "1"
        start = f"n{wire.source}"
        if wire.local is not None:
            chip = _chip(dot, write, wire)
            dot.edge(start, chip, id=f"{wire.id}_tail", weight=weight, arrowhead="none")
            start = chip
        dot.edge(start, f"n{wire.target}", id=wire.id, weight=weight)
    return dot


def _chip(dot: Picture, write: Writer, wire: Wire) -> str:
    """The local derivative on a wire, as a node of its own; returns its id."""
    chip = f"d{wire.id[1:]}"
    dot.node(
        chip,
        label=f"<{write.text(f'× {number(wire.local or 0)}', 'local', 11)}>",
        id=chip,
        style="rounded,filled",
        fillcolor=write.colours["chip"],
        color=write.colours["chip border"],
        margin="0.06,0.02",
        height="0",
        width="0",
    )
    return chip


def _cluster(write: Writer, path: str, module: Module) -> graphviz.Digraph:
    """The frame around the cards of a layer."""
    frame = graphviz.Digraph(f"cluster_{path}")
    frame.attr(
        label=f"<{write.text(f'{path} · {module}', 'soft', 12)}>",
        labelloc="t",
        labeljust="l",
        style="rounded,filled",
        fillcolor=write.colours["layer"],
        color=write.colours["layer border"],
        margin="10",
    )
    return frame


def _spine(graph: Graph) -> tuple[list[Wire], int]:
    """The wires of the longest way to the output, and the number of cards on it."""
    depth: dict[int, int] = {}
    longest: dict[int, Wire] = {}
    for card in graph.cards:
        depth[card.k] = 1
        for wire in card.inputs:
            if depth[wire.source] >= depth[card.k]:
                depth[card.k] = depth[wire.source] + 1
                longest[card.k] = wire
    at = graph.cards[-1].k
    found = []
    while at in longest:
        found.append(longest[at])
        at = longest[at].source
    return found, max(depth.values())
