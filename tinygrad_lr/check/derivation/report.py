"""The report on a hand-written backward pass: a table and a sentence."""

from __future__ import annotations

import html
import math
import sys
from typing import NamedTuple

RIGHT, INHERITED, WRONG = "right", "inherited", "wrong here"
COLOURS = {RIGHT: "32", INHERITED: "33", WRONG: "31"}
HEAD = ("name", "line", "source", "shape", "max diff", "relative", "verdict", "diagnosis")
TINTS = {RIGHT: "#218739", INHERITED: "#a66f00", WRONG: "#dc3545"}  # for light and dark pages


class Row(NamedTuple):
    """One claimed gradient.

    Attributes:
        name: what backward calls it.
        line: the line that gave it its value; of several the one that is wrong.
        source: that line.
        shape: its shape.
        max_error: its largest absolute difference from the true gradient; inf if the shapes do
            not fit, nan if there is nothing to compare.
        relative_error: that, divided by the largest element of the true gradient.
        verdict: "right", "wrong here", or "inherited": wrong, and only because of what came in.
        diagnosis: what is wrong, "unknown", or empty; for a right one, which convention it follows.
        made_of: what this line uses that could not be checked, with its lines.
    """

    name: str
    line: int
    source: str
    shape: tuple[int, ...]
    max_error: float
    relative_error: float
    verdict: str
    diagnosis: str = ""
    made_of: str = ""


class Report:
    """What `check_backward` found.

    Attributes:
        rows: a `Row` for each claim, in the order of the backward pass.
        cautions: what this check could not see, and what else is noteworthy.
        problem: why the backward pass as a whole could not be marked, or empty.
        ok: whether all claims are right, and there are some.
        first_wrong: the name of the first claim that is wrong by itself, or None.
    """

    def __init__(self, rows: list[Row], cautions: list[str], problem: str = "") -> None:
        self.rows, self.cautions, self.problem = rows, cautions, problem

    @property
    def ok(self) -> bool:
        """Whether all claims are right, and there are some."""
        return bool(self.rows) and not self.problem and all(r.verdict == RIGHT for r in self.rows)

    @property
    def _first(self) -> Row | None:
        return next((row for row in self.rows if row.verdict == WRONG), None)

    @property
    def first_wrong(self) -> str | None:
        """The name of the first claim that is wrong by itself, or None."""
        return self._first.name if self._first else None

    @property
    def summary(self) -> str:
        """The report in one sentence."""
        first = self._first
        told = [self.problem] if self.problem else []
        if first:
            what = first.diagnosis if first.diagnosis != "unknown" else "what is wrong is not known"
            unsure = f" (or it is {first.made_of}, which it uses)" if first.made_of else ""
            told.append(f"first wrong: {first.name}, line {first.line}: {what}{unsure}")
        elif self.ok:
            n = len(self.rows)
            told.append(f"all {n} gradients are right" if n > 1 else "the gradient is right")
        return "\n".join(told)

    def assert_ok(self) -> None:
        """Raise AssertionError with the report, unless all gradients are right."""
        if not self.ok:
            raise AssertionError(f"\n{self._text(colour=False)}")

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (r.name, str(r.line), r.source, str(r.shape), _number(r.max_error),
             _number(r.relative_error), r.verdict, r.diagnosis)
            for r in self.rows
        ]  # fmt: skip

    def _text(self, colour: bool) -> str:
        cells = [tuple(_shortened(c) for c in row[:-1]) + row[-1:] for row in self._cells()]
        widths = [max(map(len, column)) for column in zip(HEAD, *cells, strict=True)]
        lines = []
        for row in [HEAD, *cells] if cells else []:
            padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            if colour and row[6] in COLOURS:
                padded[6] = f"\033[{COLOURS[row[6]]}m{padded[6]}\033[0m"
            lines.append("  ".join(padded).rstrip())
        lines += ["", self.summary] if lines else [self.summary]
        return "\n".join(lines + [f"caution: {caution}" for caution in self.cautions])

    def __str__(self) -> str:
        return self._text(colour=sys.stdout.isatty())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [HEAD, *self._cells()] if self.rows else []
        table = "".join(f"<tr>{''.join(map(_cell, HEAD, row))}</tr>" for row in rows)
        told = [self.summary, *(f"caution: {caution}" for caution in self.cautions)]
        return f"<table>{table}</table>" + "".join(f"<p>{html.escape(text)}</p>" for text in told)


def _number(error: float) -> str:
    return "-" if math.isnan(error) else f"{error:.1e}"


def _cell(column: str, text: str) -> str:
    told, style = html.escape(text), "text-align: left; vertical-align: top; padding: 2px 8px"
    if column not in ("source", "diagnosis"):
        style += "; white-space: nowrap"
    if text in TINTS:
        told = f'<b style="color: {TINTS[text]}">{told}</b>'
    elif text == column:
        told = f"<b>{told}</b>"
    elif column == "source":
        told = f"<code>{told}</code>"
    return f'<td style="{style}">{told}</td>'


def _shortened(text: str, width: int = 48) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
