"""Cards as DOT: what a picture says, and how it is arranged."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Iterable

import graphviz

from tinygrad_lr.drawing.cards import Card, Graph, LayerCard, Wire
from tinygrad_lr.drawing.figures import NDArray, flaw, number, plain, span, strengths, table
from tinygrad_lr.drawing.render import Picture
from tinygrad_lr.drawing.theme import DARK, LIGHT
from tinygrad_lr.nn import Module

FONT = "Helvetica"  # one name: a list would break the renderers' measures
ACROSS = 7  # levels that fit from left to right
CELLS = 16  # of an array that is printed in full
VALUE, GRADIENT = "value", "grad"
KINDS = {
    "parameter": ("rounded,filled", "value", 2.6),
    "data": ("rounded,filled", "soft", 1.2),
    "constant": ("rounded,filled,dashed", "faint", 1.2),
    "operation": ("rounded,filled", "border", 1.2),
    "loss": ("rounded,filled", "gradient", 2.6),
    "output": ("rounded,filled", "gradient", 2.6),
    "layer": ("rounded,filled", "value", 1.2),
}


class Writer:
    """Writes cards in the colours of a theme."""

    def __init__(self, theme: str, values: bool, gradients: bool):
        self.colours = DARK if theme == "dark" else LIGHT
        self.values, self.gradients = values, gradients

    def piece(self, text: str, colour: str = "ink", size: float = 11) -> str:
        """A piece of text in a colour."""
        font = f'COLOR="{self.colours[colour]}" POINT-SIZE="{size}"'
        said = html.escape(text).replace("\\", "&#92;")  # \\N would be the name of a node
        return f"<FONT {font}>{said}</FONT>" if text else ""

    def text(self, text: str, colour: str = "ink", size: float = 11, bold: bool = False) -> str:
        """A text, whatever is in it, with room for a font that runs wider."""
        said = plain(text)
        room = self.piece("\u00a0" * math.ceil(len(said) / 6), colour, size)
        piece = self.piece(said, colour, size)
        return (f"<B>{piece}</B>" if bold and said else piece) + room

    def card(self, card: Card) -> str:
        """The HTML label of a card."""
        if isinstance(card, LayerCard):
            return self.layer(card)
        of = str(card.shape) if card.shape else ""
        right = card.formula or ("" if card.kind in ("operation", "output", "loss") else card.kind)
        size = 12 if card.formula else 11
        named = bool(card.formula) or card.kind not in ("operation", "output", "loss")
        head = self.text(card.title, size=15 if named else 12.5, bold=named)
        rows = [
            f'<TD ALIGN="LEFT">{head}{self.text(of, "soft", 10)}</TD>'
            f'<TD ALIGN="RIGHT">{self.text(right, "soft", size) or " "}</TD>'
        ]
        shown = {}
        if self.values:
            shown[VALUE] = card.value
        if self.gradients and card.gradient is not None:
            shown[GRADIENT] = card.gradient
        rows += self.arrays(shown)
        for what, x in shown.items():
            if x.size > 1 and (told := flaw(x)):
                warning = self.text(f"{what}: {told}", "flaw", 11, bold=True)
                rows.append(f'<TD COLSPAN="2" ALIGN="LEFT">{warning}</TD>')
        return _table((f"<TR>{row}</TR>" for row in rows), padding=2)

    def layer(self, card: LayerCard) -> str:
        """The HTML label of a whole layer."""
        rows = [("parameters", f"{card.parameters:,}".replace(",", "\u202f"), "value")]
        rows += [("output", str(card.shape), "soft")]
        if self.gradients and card.norm is not None:
            rows.append(("‖grad‖", number(card.norm), "gradient"))
        head = self.text(card.title, size=15, bold=True), self.text(card.formula, "soft", 12)
        cells = [head, *((self.text(a, c), self.text(b, c, 12)) for a, b, c in rows)]
        return _table(
            (f'<TR><TD ALIGN="LEFT">{a}</TD><TD ALIGN="RIGHT">{b}</TD></TR>' for a, b in cells), 2
        )

    def arrays(self, shown: dict[str, NDArray]) -> list[str]:
        """The rows for a value and its gradient: side by side, if they are tables."""
        if all(1 < x.size <= CELLS and x.ndim == 2 and len(x) > 1 for x in shown.values()):
            heads = [f"<TD>{self.label(what)}</TD>" for what in shown]
            tables = [f"<TD>{self.heat(what, x)}</TD>" for what, x in shown.items()]
            if shown:
                both = _table([f"<TR>{''.join(row)}</TR>" for row in (heads, tables)], 1, 5)
                return [f'<TD COLSPAN="2">{both}</TD>']
        rows = []
        for what, x in shown.items():
            if x.size == 1:
                colour = "flaw" if flaw(x) else COLOUR[what]
                said = self.text(number(x.item()), colour, 14, bold=bool(flaw(x)))
            elif 0 < x.size <= CELLS and x.ndim <= 2:
                said = self.heat(what, x)
            else:
                said = self.text(span(x), COLOUR[what], 12)
            rows.append(f'<TD ALIGN="LEFT">{self.label(what)}</TD><TD ALIGN="RIGHT">{said}</TD>')
        return rows

    def label(self, what: str) -> str:
        return self.text(what, COLOUR[what], 11)

    def heat(self, what: str, x: NDArray) -> str:
        """A table of numbers, each on a ground as strong as it is large."""
        rows = []
        for texts, levels in zip(table(x), strengths(x), strict=True):
            cells = (
                f'<TD ALIGN="RIGHT" BGCOLOR="{self.colours[f"{COLOUR[what]}{level}"]}">'
                f"{self.text(text)}</TD>"
                for text, level in zip(texts, levels, strict=True)
            )
            rows.append(f"<TR>{''.join(cells)}</TR>")
        return _table(rows, padding=2, spacing=1)

    def cluster(self, path: str, module: Module) -> graphviz.Digraph:
        """The frame around the cards of a layer."""
        frame = graphviz.Digraph(f"cluster_{path}")
        frame.attr(
            label=f"<{self.text(f'{path} · {module}', 'soft', 12)}>",
            labelloc="t",
            labeljust="l",
            style="rounded,filled",
            fillcolor=self.colours["layer"],
            color=self.colours["layer border"],
            margin="10",
        )
        return frame

    def legend(self, derivatives: bool) -> str:
        """What the colours mean, in one line."""
        parts = []
        if self.values:
            parts.append(("value", "value", "computed forward, along the arrows"))
        if derivatives:
            parts.append(("× d", "local", "local derivative"))
        if self.gradients:
            how = "= grad at the arrow’s head × d" if derivatives else "against the arrows"
            parts.append(("grad", "gradient", f"of the output, computed backward, {how}"))
        return self.piece("   ·   ", "soft").join(
            self.piece(word, colour) + self.piece(f": {said}", "soft")
            for word, colour, said in parts
        )


FILL = {"output": "loss", "layer": "parameter"}
COLOUR = {VALUE: "value", GRADIENT: "gradient"}


def _table(rows: Iterable[str], padding: int = 0, spacing: int = 0) -> str:
    how = f'BORDER="0" CELLBORDER="0" CELLSPACING="{spacing}" CELLPADDING="{padding}"'
    return f"<TABLE {how}>{''.join(rows)}</TABLE>"


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
    if direction is None:
        direction = "LR" if depth <= ACROSS else "TB"
    colour = write.colours
    dot = Picture("computation")
    dot.theme, dot.text = theme, str(graph)
    dot.titles = {card.id: plain(str(card), 500) for card in graph.cards}
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
    inside = {card.layer: None for card in graph.cards if card.layer and card.kind != "layer"}
    clusters = {path: write.cluster(path, graph.modules[path]) for path in inside if path}
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
        tail, head = f"n{wire.source}", f"n{wire.target}"
        if wire.local is None:
            dot.edge(tail, head, id=wire.id, weight=weight)
            continue
        chip = "d" + wire.id[1:]
        said = write.text(f"× {number(wire.local)}", "local", 11)
        dot.node(
            chip,
            label=f"<{said}>",
            id=chip,
            style="rounded,filled",
            fillcolor=colour["chip"],
            color=colour["chip border"],
            margin="0.06,0.02",
            height="0",
            width="0",
        )
        dot.edge(tail, chip, id=f"{wire.id}_tail", weight=weight, arrowhead="none")
        dot.edge(chip, head, id=wire.id, weight=weight)
    return dot


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
