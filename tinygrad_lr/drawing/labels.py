"""Cards as the HTML labels that DOT has: tables of texts and numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

import numpy as np

from tinygrad_lr.drawing.cards import Card, LayerCard
from tinygrad_lr.drawing.figures import NDArray, flaw, number, plain, span, strengths, table
from tinygrad_lr.drawing.theme import DARK, LIGHT

CELLS, COLUMNS = 16, 8  # of an array that is printed in full
VALUE, GRADIENT = "value", "grad"
COLOUR = {VALUE: "value", GRADIENT: "gradient"}


class Writer:
    """Writes cards in the colours of a theme."""

    def __init__(self, theme: str, values: bool, gradients: bool):
        self.colours = DARK if theme == "dark" else LIGHT
        self.values, self.gradients = values, gradients

    def piece(self, text: str, colour: str = "ink", size: float = 11) -> str:
        """A piece of text in a colour."""
        font = f'COLOR="{self.colours[colour]}" POINT-SIZE="{size}"'
        said = html.escape(text).replace("\\", "\\\\")  # else \N becomes the name of the node
        return f"<FONT {font}>{said}</FONT>" if text else ""

    def text(
        self,
        text: str,
        colour: str = "ink",
        size: float = 11,
        bold: bool = False,
        room: int | None = None,
    ) -> str:
        """A text, whatever is in it, with room for a font that runs wider.

        Numbers that stand above each other are given the same room, in spaces.
        """
        said = plain(text)
        spaces = "\u00a0" * (math.ceil(len(said) / 4) if room is None else room)
        piece = self.piece(said, colour, size)
        return (f"<B>{piece}</B>" if bold and said else piece) + self.piece(spaces, colour, size)

    def card(self, card: Card) -> str:
        """The HTML label of a card."""
        if isinstance(card, LayerCard):
            return self.layer(card)
        of = str(card.shape) if card.shape else ""
        right = card.formula or ("" if card.kind in ("operation", "output", "loss") else card.kind)
        size = 12 if card.formula else 11
        named = bool(card.formula) or card.kind not in ("operation", "output", "loss")
        head = self.text(card.title, size=15 if named else 12.5, bold=named)
        gap = self.piece("\u00a0", "soft", 10)
        rows = [
            f'<TD ALIGN="LEFT">{head}{gap}{self.text(of, "soft", 10)}</TD>'
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
        cells = [head, *((self.text(a, c), self.text(b, c, 12, room=3)) for a, b, c in rows)]
        return _table(
            (f'<TR><TD ALIGN="LEFT">{a}</TD><TD ALIGN="RIGHT">{b}</TD></TR>' for a, b in cells), 2
        )

    def arrays(self, shown: dict[str, NDArray]) -> list[str]:
        """The rows for a value and its gradient: side by side, if they are tables of rows."""
        if not (shown and all(map(is_table, shown.values()))):
            return [
                f'<TD ALIGN="LEFT">{self.label(what)}</TD><TD ALIGN="RIGHT">{said}</TD>'
                for what, said in ((what, self.one(what, x)) for what, x in shown.items())
            ]
        if any(np.ndim(x) == 2 and len(x) > 1 for x in shown.values()):
            heads = [f"<TD>{self.label(what)}</TD>" for what in shown]
            tables = [f"<TD>{_table(self.heat(what, x), 2, 1)}</TD>" for what, x in shown.items()]
            lines, spacing = [f"<TR>{''.join(row)}</TR>" for row in (heads, tables)], 5
        else:
            lines, spacing = [], 1
            for what, x in shown.items():
                label = f'<TR><TD ALIGN="LEFT">{self.label(what)}</TD>'
                lines += [row.replace("<TR>", label) for row in self.heat(what, x)]
        return [f'<TD COLSPAN="2">{_table(lines, 2, spacing)}</TD>']

    def one(self, what: str, x: NDArray) -> str:
        """A number, or the range of an array."""
        if x.size != 1:
            return self.text(span(x), COLOUR[what], 12, room=3)
        bad = bool(flaw(x))
        colour = "flaw" if bad else COLOUR[what]
        return self.text(number(x.item()), colour, 14, bold=bad, room=2)

    def label(self, what: str) -> str:
        return self.text(what, COLOUR[what], 11)

    def heat(self, what: str, x: NDArray) -> list[str]:
        """The rows of a table of numbers, each on a ground as strong as it is large."""
        rows = []
        for texts, levels in zip(table(x), strengths(x), strict=True):
            cells = (
                f'<TD ALIGN="RIGHT" BGCOLOR="{self.colours[f"{COLOUR[what]}{level}"]}">'
                f"{self.text(text, room=1)}</TD>"
                for text, level in zip(texts, levels, strict=True)
            )
            rows.append(f"<TR>{''.join(cells)}</TR>")
        return rows

    def legend(self, derivatives: bool) -> str:
        """What the colours mean, in one line."""
        parts = []
        if self.values:
            parts.append(("value", "value", "computed forward, along the arrows"))
        if derivatives:
            parts.append(("× d", "local", "local derivative"))
        if self.gradients:
            how = "as grad at the arrow’s head × d" if derivatives else "against the arrows"
            parts.append(("grad", "gradient", f"of the output, computed backward, {how}"))
        told = self.piece("   ·   ", "soft").join(
            self.piece(word, colour) + self.piece(f": {said}", "soft")
            for word, colour, said in parts
        )
        return _table([f"<TR><TD>{told}</TD></TR>"], padding=8) if told else ""


def is_table(x: NDArray) -> bool:
    """Whether an array is printed in full, as a table."""
    return 1 < x.size <= CELLS and x.ndim <= 2 and np.shape(x)[-1] <= COLUMNS


def _table(rows: Iterable[str], padding: int = 0, spacing: int = 0) -> str:
    how = f'BORDER="0" CELLBORDER="0" CELLSPACING="{spacing}" CELLPADDING="{padding}"'
    return f"<TABLE {how}>{''.join(rows)}</TABLE>"
