"""The report on a hand-written backward pass: a table and a sentence."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

RIGHT, INHERITED, WRONG = "right", "inherited", "wrong here"
COLOURS = {RIGHT: "32", INHERITED: "33", WRONG: "31"}
HEAD = ("name", "line", "source", "shape", "max diff", "relative", "verdict", "diagnosis")
TINTS = {RIGHT: "#218739", INHERITED: "#a66f00", WRONG: "#dc3545"}  # for light and dark pages


class Row(NamedTuple):
    """One gradient of a backward pass.

    Attributes:
        name: what the learner calls it.
        line: the line that gave it its value; of several the one that is wrong.
        source: that line.
        shape: its shape.
        max_error: its largest absolute difference from the true gradient; inf if the shapes do
            not fit, nan if there is nothing to compare.
        relative_error: that, divided by the largest element of the true gradient.
        verdict: "right", "wrong here", or "inherited": wrong, and only because of what came in.
        diagnosis: what is wrong, "unknown", or empty; of a right one, what is remarkable.
        correction: the line as it would be right, or empty.
        function: the function that the line is in, if that is not the one that was checked.
    """

    name: str
    line: int
    source: str
    shape: tuple[int, ...]
    max_error: float
    relative_error: float
    verdict: str
    diagnosis: str = ""
    correction: str = ""
    function: str = ""


class Report:
    """What `check_backward` found.

    Attributes:
        rows: a `Row` for each gradient, in the order of the backward pass.
        missing: the inputs whose gradient was not found, so that it could not be compared.
        left_out: the inputs that are data or settings, whose gradient nobody asked for.
        cautions: what this check could not see, and what else is noteworthy.
        problem: what is wrong with the backward pass as a whole, or empty.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        cautions: Sequence[str] = (),
        problem: str = "",
        missing: Sequence[str] = (),
        left_out: Sequence[str] = (),
    ) -> None:
        self.rows, self.cautions, self.problem = list(rows), list(cautions), problem
        self.missing, self.left_out = list(missing), list(left_out)

    @property
    def ok(self) -> bool:
        """Whether the gradient of every input was compared, and all are right."""
        done = self.rows and not (self.problem or self.missing)
        return bool(done) and all(row.verdict == RIGHT for row in self.rows)

    @property
    def first(self) -> Row | None:
        """The row of the first gradient that is wrong by itself, or None."""
        return next((row for row in self.rows if row.verdict == WRONG), None)

    @property
    def first_wrong(self) -> str | None:
        """The name of the first gradient that is wrong by itself, or None."""
        return self.first.name if self.first else None

    @property
    def summary(self) -> str:
        """The report in a sentence or two."""
        lines = [self.problem] if self.problem else []
        if first := self.first:
            place = f"line {first.line}" + (f" of {first.function}" if first.function else "")
            unknown = first.diagnosis in ("", "unknown")
            diagnosis = "what is wrong is not known" if unknown else first.diagnosis
            lines.append(f"first wrong: {first.name}, {place}: {diagnosis}")
        elif self.rows and not self.problem:
            n = len(self.rows)
            lines.append(f"all {n} gradients are right" if n > 1 else "the gradient is right")
        if self.missing:
            lines.append(f"not checked: {', '.join(self.missing)}; `wrt` says which inputs count")
        return "\n".join(lines)

    def assert_ok(self) -> None:
        """Raise AssertionError with the report, unless all gradients are right."""
        if not self.ok:
            raise AssertionError(f"\n{self._text(colour=False)}")

    @property
    def _notes(self) -> list[str]:
        first = self.first
        notes = [f"{first.source}   ->   {first.correction}"] if first and first.correction else []
        notes += [f"left out: {', '.join(self.left_out)}"] if self.left_out else []
        return notes + [f"caution: {caution}" for caution in self.cautions]

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (r.name, str(r.line), r.source, str(r.shape), _number(r.max_error),
             _number(r.relative_error), r.verdict, r.diagnosis)
            for r in self.rows
        ]  # fmt: skip

    def _text(self, colour: bool) -> str:
        cells = [tuple(_shortened(c) for c in row[:-1]) + row[-1:] for row in self._cells()]
        lines = [*aligned([HEAD, *cells]), ""] if cells else []
        text = "\n".join([*lines, self.summary, *self._notes])
        for verdict, code in COLOURS.items() if colour else ():
            text = text.replace(f"  {verdict}", f"  \033[{code}m{verdict}\033[0m")
        return text

    def __str__(self) -> str:
        return self._text(colour=sys.stdout.isatty())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [HEAD, *self._cells()] if self.rows else []
        table = "".join(f"<tr>{''.join(map(_cell, HEAD, row))}</tr>" for row in rows)
        notes = [*self.summary.splitlines(), *self._notes]
        return f"<table>{table}</table>" + "".join(f"<p>{html.escape(note)}</p>" for note in notes)


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a table."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _number(error: float) -> str:
    return "-" if math.isnan(error) else f"{error:.1e}"


def _cell(column: str, text: str) -> str:
    cell, style = html.escape(text), "text-align: left; vertical-align: top; padding: 2px 8px"
    if column not in ("source", "diagnosis"):
        style += "; white-space: nowrap"
    if text in TINTS:
        cell = f'<b style="color: {TINTS[text]}">{cell}</b>'
    elif text == column:
        cell = f"<b>{cell}</b>"
    elif column == "source":
        cell = f"<code>{cell}</code>"
    return f'<td style="{style}">{cell}</td>'


def _shortened(text: str, width: int = 48) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
