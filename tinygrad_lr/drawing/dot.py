"""The arrangement of a picture: cards and wires as DOT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import graphviz

from tinygrad_lr.drawing.cards import Card, Graph, Wire
from tinygrad_lr.drawing.formatting import number, one_line
from tinygrad_lr.drawing.labels import LabelWriter
from tinygrad_lr.drawing.render import Picture
from tinygrad_lr.drawing.theme import FONT

MAX_LEVELS = 7  # that fit from left to right
KINDS = {  # kind: (style, fill, border, width of the border)
    "parameter": ("rounded,filled", "parameter", "value", 2.6),
    "data": ("rounded,filled", "data", "soft", 1.2),
    "constant": ("rounded,filled,dashed", "constant", "faint", 1.2),
    "operation": ("rounded,filled", "operation", "border", 1.2),
    "loss": ("rounded,filled", "loss", "gradient", 2.6),
    "output": ("rounded,filled", "loss", "gradient", 2.6),
    "layer": ("rounded,filled", "parameter", "value", 1.2),
}
GRAPH = {"newrank": "true", "nodesep": "0.22", "ranksep": "0.4", "pad": "0.15", "fontname": FONT}
NODE = {"shape": "box", "margin": "0.09,0.06", "fontname": FONT}
EDGE = {"penwidth": "1.2", "arrowsize": "0.8", "fontname": FONT}
CHIP = {"style": "rounded,filled", "margin": "0.06,0.02", "height": "0", "width": "0"}
FRAME = {"style": "rounded,filled", "margin": "10", "labelloc": "t", "labeljust": "l"}


def picture(
    graph: Graph,
    values: bool = True,
    gradients: bool = True,
    direction: str | None = None,
    theme: str = "light",
    legend: bool = True,
) -> Picture:
    """The cards and wires of a graph as a Picture; the arguments are those of `draw`."""
    gradients = gradients and any(card.gradient is not None for card in graph.cards)
    write = LabelWriter(theme, values, gradients)
    spine, depth = _spine(graph)
    layers = [card.layer for card in graph.cards if card.layer and card.kind != "layer"]
    frames = {path: _frame(write, path, f"{path} · {graph.modules[path]}") for path in layers}
    dot = _canvas(
        write,
        rankdir=direction or ("LR" if depth <= MAX_LEVELS and not frames else "TB"),
        legend=write.legend(any(wire.local is not None for wire in graph.wires)) if legend else "",
    )
    dot.theme, dot.text = theme, str(graph)
    dot.titles = {card.id: one_line(str(card), 500) for card in graph.cards}
    dot.titles["graph0"] = one_line(f"the computation of {graph.output.name}")
    uses = Counter(wire.source for wire in graph.wires)
    for card in graph.cards:
        _node(frames.get(card.layer or "", dot), write, card, uses)
    for frame in frames.values():
        dot.subgraph(frame)
    for wire in graph.wires:
        _edge(dot, write, wire, weight="8" if wire in spine else "1")
    return dot


def _canvas(write: LabelWriter, rankdir: str, legend: str) -> Picture:
    """A picture with its styles and legend, and nothing on it yet."""
    dot = Picture("computation")
    dot.attr("graph", rankdir=rankdir, bgcolor=write.colours["paper"], **GRAPH)
    if legend:
        dot.attr("graph", label=f"<{legend}>", labelloc="b", labeljust="l")
    dot.attr("node", **NODE)
    dot.attr("edge", color=write.colours["wire"], **EDGE)
    return dot


def _node(dot: graphviz.Digraph, write: LabelWriter, card: Card, uses: Mapping[Card, int]) -> None:
    """A card; inputs that go nowhere else stand in the order of the arguments."""
    style, fill, border, width = KINDS[card.kind]
    dot.node(
        card.id,
        label=f"<{write.card(card)}>",
        id=card.id,
        style=style,
        fillcolor=write.colours[fill],
        color=write.colours[border],
        penwidth=str(width),
        peripheries="2" if card.kind == "layer" else "1",
        ordering="in" if all(uses[wire.source] == 1 for wire in card.inputs) else "",
    )


def _edge(dot: Picture, write: LabelWriter, wire: Wire, weight: str) -> None:
    """A wire; a local derivative sits on it as a node of its own, the chip."""
    start, chip = wire.source.id, f"d{wire.key}"
    if wire.local is not None:
        label = f"<{write.text(f'× {number(wire.local)}', 'local', 11)}>"
        fill, border = write.colours["chip"], write.colours["chip border"]
        dot.node(chip, label=label, id=chip, fillcolor=fill, color=border, **CHIP)
        dot.edge(start, chip, id=f"e{wire.key}_tail", weight=weight, arrowhead="none")
        start = chip
    dot.edge(start, wire.target.id, id=f"e{wire.key}", weight=weight)


def _frame(write: LabelWriter, path: str, title: str) -> graphviz.Digraph:
    """The frame around the cards of a layer."""
    frame, label = graphviz.Digraph(f"cluster_{path}"), f"<{write.text(title, 'soft', 12)}>"
    fill, border = write.colours["layer"], write.colours["layer border"]
    frame.attr(label=label, fillcolor=fill, color=border, **FRAME)
    return frame


def _spine(graph: Graph) -> tuple[set[Wire], int]:
    """The wires of the longest path to the output, and the number of cards on the longest."""
    depth: dict[Card, int] = {}
    longest: dict[Card, Wire] = {}
    for card in graph.cards:
        depth[card] = 1
        for wire in card.inputs:
            if depth.get(wire.source, 0) >= depth[card]:  # a layer may run again later
                depth[card] = depth[wire.source] + 1
                longest[card] = wire
    spine, card = set(), graph.output
    while card in longest:
        spine.add(longest[card])
        card = longest[card].source
    return spine, max(depth.values())
