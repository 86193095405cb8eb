"""Cards as the HTML-like labels of DOT: tables of texts and numbers."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable

import numpy as np

from tinygrad_lr.drawing import formatting
from tinygrad_lr.drawing.cards import Card, LayerCard
from tinygrad_lr.drawing.formatting import NDArray, nonfinite, number, one_line
from tinygrad_lr.drawing.theme import DARK, LIGHT

MAX_CELLS, MAX_COLUMNS = 16, 8  # of an array that is printed in full
NAMES = {"value": "value", "gradient": "grad"}  # of the roles, on a card


class LabelWriter:
    """Writes cards in the colours of a theme."""

    def __init__(self, theme: str, values: bool, gradients: bool):
        self.colours = DARK if theme == "dark" else LIGHT
        self.values, self.gradients = values, gradients

    def span(self, text: str, colour: str = "ink", size: float = 11) -> str:
        """A piece of text in a colour."""
        font = f'COLOR="{self.colours[colour]}" POINT-SIZE="{size}"'
        escaped = html.escape(text).replace("\\", "\\\\")  # else \N becomes the name of the node
        return f"<FONT {font}>{escaped}</FONT>" if text else ""

    def text(
        self, text: str, colour: str = "ink", size: float = 11, bold: bool = False, room: int = 0
    ) -> str:
        """Any text, with room for a font that runs wider.

        `room`, in spaces, is the same for numbers above each other; default by the length.
        """
        line = one_line(text)
        spaces = "\u00a0" * (room or math.ceil(len(line) / 4))
        span = self.span(line, colour, size)
        return (f"<B>{span}</B>" if bold and line else span) + self.span(spaces, colour, size)

    def card(self, card: Card) -> str:
        """The HTML label of a card."""
        if isinstance(card, LayerCard):
            return self.layer(card)
        is_named = bool(card.formula) or not card.is_result
        title = self.text(card.title, size=15 if is_named else 12.5, bold=is_named)
        gap = self.span("\u00a0", "soft", 10)
        shape = self.text(str(card.shape) if card.shape else "", "soft", 10)
        right = card.formula or ("" if card.is_result else card.kind)
        caption = self.text(right, "soft", 12 if card.formula else 11) or " "
        arrays = {"value": card.value} if self.values else {}
        if self.gradients and card.gradient is not None:
            arrays["gradient"] = card.gradient
        rows = [_pair(title + gap + shape, caption), *self.arrays(arrays)]
        for role, x in arrays.items():
            if x.size > 1 and (counts := nonfinite(x)):
                warning = self.text(f"{NAMES[role]}: {counts}", "nonfinite", 11, bold=True)
                rows.append(_row(f'<TD COLSPAN="2" ALIGN="LEFT">{warning}</TD>'))
        return _table(rows, padding=2)

    def layer(self, card: LayerCard) -> str:
        """The HTML label of a whole layer."""
        count = f"{card.parameter_count:,}".replace(",", "\u202f")
        lines = [("parameters", count, "value"), ("output", str(card.shape), "soft")]
        if self.gradients and card.norm is not None:
            lines.append(("‖grad‖", number(card.norm), "gradient"))
        title, kind = self.text(card.title, size=15, bold=True), self.text(card.formula, "soft", 12)
        rows = [_pair(self.text(a, c), self.text(b, c, 12, room=3)) for a, b, c in lines]
        return _table([_pair(title, kind), *rows], padding=2)

    def arrays(self, arrays: dict[str, NDArray]) -> list[str]:
        """The rows for a value and its gradient: side by side, if they are tables of rows."""
        names = {role: self.text(NAMES[role], role) for role in arrays}
        if not (arrays and all(map(is_table, arrays.values()))):
            return [_pair(names[role], self.scalar(role, x)) for role, x in arrays.items()]
        tables = {role: self.heat(role, x) for role, x in arrays.items()}
        if any(len(rows) > 1 for rows in tables.values()):
            heads = "".join(f"<TD>{name}</TD>" for name in names.values())
            inner = (f"<TD>{_table(map(_row, rows), 2, 1)}</TD>" for rows in tables.values())
            lines, spacing = [_row(heads), _row("".join(inner))], 5
        else:
            heads_of = {role: f'<TD ALIGN="LEFT">{name}</TD>' for role, name in names.items()}
            lines = [_row(heads_of[role] + row) for role, rows in tables.items() for row in rows]
            spacing = 1
        return [_row(f'<TD COLSPAN="2">{_table(lines, 2, spacing)}</TD>')]

    def scalar(self, role: str, x: NDArray) -> str:
        """A number, or the range of an array."""
        if x.size != 1:
            return self.text(formatting.value_range(x), role, 12, room=3)
        bad = bool(nonfinite(x))
        return self.text(number(x.item()), "nonfinite" if bad else role, 14, bold=bad, room=2)

    def heat(self, role: str, x: NDArray) -> list[str]:
        """The cells of a table, row by row, each shaded by the size of its number."""
        return [
            "".join(
                f'<TD ALIGN="RIGHT" BGCOLOR="{self.colours[f"{role}{level}"]}">'
                f"{self.text(text, room=1)}</TD>"
                for text, level in zip(*row, strict=True)
            )
            for row in zip(formatting.table(x), formatting.levels(x), strict=True)
        ]

    def legend(self, derivatives: bool) -> str:
        """What the colours mean, in one line."""
        direction = "as grad at the arrow’s head × d" if derivatives else "against the arrows"
        entries = [
            (self.values, "value", "value", "computed forward, along the arrows"),
            (derivatives, "× d", "local", "local derivative"),
            (self.gradients, "grad", "gradient", f"of the output, computed backward, {direction}"),
        ]
        line = self.span("   ·   ", "soft").join(
            self.span(word, colour) + self.span(f": {meaning}", "soft")
            for is_shown, word, colour, meaning in entries
            if is_shown
        )
        return _table([_row(f"<TD>{line}</TD>")], padding=8) if line else ""


def is_table(x: NDArray) -> bool:
    """Whether an array is printed in full, as a table."""
    return 1 < x.size <= MAX_CELLS and x.ndim <= 2 and np.shape(x)[-1] <= MAX_COLUMNS


def _row(cells: str) -> str:
    return f"<TR>{cells}</TR>"


def _pair(left: str, right: str) -> str:
    """A row of two cells, one at each end."""
    return _row(f'<TD ALIGN="LEFT">{left}</TD><TD ALIGN="RIGHT">{right}</TD>')


def _table(rows: Iterable[str], padding: int, spacing: int = 0) -> str:
    borders = f'BORDER="0" CELLBORDER="0" CELLSPACING="{spacing}" CELLPADDING="{padding}"'
    return f"<TABLE {borders}>{''.join(rows)}</TABLE>"
