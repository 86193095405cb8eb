"""The rows of the report on a backward pass: for each claim the verdict, the line, the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.blame import culprit, made_of, shared_number
from tinygrad_lr.check.derivation.claims import Claim
from tinygrad_lr.check.derivation.diagnosis import as_shape, diagnose, largest
from tinygrad_lr.check.derivation.judgement import Judgement, Mark, TurnedChange
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.mistakes import altered
from tinygrad_lr.check.derivation.report import INHERITED, RIGHT, WRONG, Row
from tinygrad_lr.check.derivation.watch import Change, Run
from tinygrad_lr.check.derivation.way import Way


def find(marking: Marking, judged: Judgement) -> list[Row]:
    """A row for every claim, in the order of the backward pass."""
    rows: dict[str, tuple[int, Row]] = {}
    for name, marks in judged.marks.items():
        row = _row(marking, judged, name, marks)
        if row.name not in rows or row.verdict == WRONG:
            rows[row.name] = marking.place(marks[0].change), row
    ordered = [row for _, row in sorted(rows.values(), key=lambda placed: placed[0])]
    return shared_number(marking, judged, ordered)


def _row(marking: Marking, judged: Judgement, name: str, marks: list[Mark]) -> Row:
    """The row for a name: of several values the first that is wrong, if one is."""
    by_verdict = {m.verdict: m for m in reversed(marks)}
    mark = next(by_verdict[v] for v in (WRONG, INHERITED, RIGHT) if v in by_verdict)
    statement, told, unsure = mark.change.statement, _convention(marking, judged, mark), ""
    if mark.verdict == WRONG:
        statement, told = culprit(marking, judged, name, mark), _diagnosis(marking, judged, mark)
        unsure = made_of(marking, judged, statement)
    if mark.verdict != RIGHT and len(marks) > 1:
        step = next(i for i, m in enumerate(marks) if m.x is mark.x)
        told = f"{told or 'first wrong'} (step {step + 1} of {len(marks)})"
    error = max(_difference(m.change.value, m.truth) for m in marks)
    size = max(largest(m.truth) for m in marks) or 1.0
    return Row(
        name.strip(), statement.line, statement.text, np.shape(mark.change.value),
        error, error / size, mark.verdict, told, unsure,
    )  # fmt: skip


def _convention(marking: Marking, judged: Judgement, mark: Mark) -> str:
    """Which convention a right claim follows."""
    told = []
    if mark.verdict == RIGHT and mark.x.op and judged.scale != 1:
        known = {1 / n: f"1/{n}" for n in marking.sizes} | {float(n): str(n) for n in marking.sizes}
        near = (words for c, words in known.items() if abs(c / judged.scale - 1) < 1e-9)
        c = next(near, f"{judged.scale:.6g}")
        told.append(f"by convention {c} times the gradient: the factor is applied later")
    if mark.verdict == RIGHT and np.shape(mark.change.value) != mark.x.shape:
        told.append(f"right numbers in shape {np.shape(mark.change.value)} for {mark.x.shape}")
    if isinstance(mark.change, TurnedChange):
        told.append("rows and columns are exchanged")
    return "; ".join(told)


def _diagnosis(marking: Marking, judged: Judgement, mark: Mark) -> str:
    """What is wrong with a value, in words."""
    x, found = mark.x, judged.found
    uses = [y for y in marking.uses.get(x, []) if y in found]
    return diagnose(
        mark.change.value,
        mark.expected,
        marking.sizes,
        arriving=[(marking.name(y), judged.given.get(y, found[y])) for y in uses],
        altered=((words, g) for words, g in altered(Way(marking, judged, x)) if g is not None),
        others=[
            (name, marking.truth[y])
            for y, name in marking.names.items()
            if y in marking.truth and y is not x
        ],
        rtol=marking.rtol,
        atol=marking.rounding(x, judged.scale),
    )


def _difference(value: Any, truth: Any) -> float:
    fitting = as_shape(value, np.shape(truth))
    return np.inf if fitting is None else largest(fitting - truth)


def raised(back: Run, claims: list[Claim], arguments: Mapping[str, Any]) -> Row:
    """A row for the statement that raised, or for the one that made a shape it cannot take."""
    end, told = back.end, f"raises {type(back.error).__name__}: {back.error}"
    shapes = {c.name: {x.shape for way in c.readings for _, x in way} for c in claims}
    made = [shapes[name] for name in end.assigned if len(shapes.get(name, ())) == 1]
    history: dict[str, list[Change]] = {}
    for change in back.changes:
        if change.path[0] in end.used | end.assigned and change.path[0] not in arguments:
            history.setdefault(change.name, []).append(change)
    for name, changes in history.items():
        now, was = np.shape(changes[-1].value), np.shape(changes[0].value)
        should = shapes.get(name, {was} if {was} in made else {now})
        if now not in should and changes[-1].statement is not end:
            wrong = next(c.statement for c in changes if np.shape(c.value) == now)
            shape = " or ".join(map(str, should))
            told = f"the shape is {now}, not {shape}, and so line {end.line} {told}"
            return Row(name, wrong.line, wrong.text, now, np.inf, np.inf, WRONG, told)
    name = next(iter(sorted(end.assigned)), end.text)
    return Row(name, end.line, end.text, (), np.nan, np.nan, WRONG, told)
