"""Where a wrong gradient began: the variable, and the statement, that first went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lr.check.derivation.claims import pairings
from tinygrad_lr.check.derivation.diagnosis import as_shape, close, largest, ratio
from tinygrad_lr.check.derivation.judgement import Judgement, Mark
from tinygrad_lr.check.derivation.marking import Marking
from tinygrad_lr.check.derivation.report import INHERITED, RIGHT, WRONG, Row
from tinygrad_lr.check.derivation.watch import Change, Statement
from tinygrad_lr.check.derivation.way import Way
from tinygrad_lr.tensor import Tensor, gradients


def trace(marking: Marking, judged: Judgement) -> Judgement:
    """Trace each wrong claim to a value without a counterpart in forward that it was made of."""
    judged = _trace_shapes(marking, judged)
    wrong = [n for n, marks in judged.marks.items() if any(m.verdict == WRONG for m in marks)]
    for name in wrong:
        mark = next((m for m in judged.marks.get(name, []) if m.verdict == WRONG), None)
        if mark is None:
            continue
        for used, changes in _without_counterpart(marking, judged, name, mark):
            traced = _as_gradient(marking, judged, name, used, changes) or _as_term(
                marking, judged, name, mark, used
            )
            if traced:
                judged = traced
                break
    return judged


def _trace_shapes(marking: Marking, judged: Judgement) -> Judgement:
    """Right numbers in another shape are a mistake if something breaks on that shape."""
    broken = any(as_shape(m.change.value, m.x.shape) is None for m in judged.wrong)
    if not broken and not marking.back.error:
        return judged
    behind: set[Tensor] = set()
    traced = {name: list(marks) for name, marks in judged.marks.items()}
    for marks in traced.values():
        for i, m in enumerate(marks):
            if m.x in behind and m.verdict == WRONG:
                marks[i] = m._replace(verdict=INHERITED)
            elif m.verdict == RIGHT and m.x.op and np.shape(m.change.value) != m.x.shape:
                marks[i] = m._replace(verdict=WRONG)
                behind |= gradients(m.x, np.ones(m.x.shape)).keys()
    return judged._replace(marks=traced)


def _without_counterpart(
    marking: Marking, judged: Judgement, name: str, mark: Mark
) -> Iterator[tuple[str, list[Change]]]:
    """The variables in the statement of a claim that are gradients of nothing with a name."""
    at = marking.place(mark.change)
    for used in sorted(culprit(marking, judged, name, mark).used - {name, *marking.arguments}):
        changes = [
            c for c in marking.back.changes
            if c.name == used and len(c.path) == 1 and np.any(c.value) and np.ndim(c.value)
        ]  # fmt: skip
        before = [c for c in changes if marking.place(c) < at]
        if before and id(before[-1]) not in judged.taken:
            yield used, before if len(before) == 1 else changes


def _as_gradient(
    marking: Marking, judged: Judgement, name: str, used: str, changes: list[Change]
) -> Judgement | None:
    """The verdicts with a variable as the gradient of a nameless value, if that rights a claim."""
    if any(marking.close(changes[-1].value, g) for g in judged.found.values()):
        return None
    groups: dict[Any, list[Tensor]] = {}
    for x in marking.truth:
        if x.op and x not in judged.given and x.shape == changes[-1].value.shape:
            groups.setdefault((x.origin, x.op), []).append(x)
    best = marking.judge(judged.reading, judged.scale).score[0]
    changes = [c for c in changes if id(c) not in judged.taken]
    wrong = next(m for m in judged.marks[name] if m.verdict == WRONG)
    way = Way(marking, judged, wrong.x)
    value = as_shape(wrong.change.value, wrong.x.shape)
    for group in groups.values():
        if value is None or way.region.isdisjoint(group):
            continue
        for pairs in pairings(changes, group[::-1]):
            if not marking.close(value, way.gradient({x: c.value for c, x in pairs}), wrong.x):
                continue  # the first wrong value stays wrong, whatever the others do
            tried = marking.judge({**judged.reading, f"{used} ": pairs}, judged.scale)
            cured = all(mark.verdict != WRONG for mark in tried.marks[name])
            if cured and tried.score[0] <= best:
                return tried
    return None


def _as_term(
    marking: Marking, judged: Judgement, name: str, mark: Mark, used: str
) -> Judgement | None:
    """The verdicts with a variable as the wrong term of a sum, if that rights a claim."""
    change = [
        c
        for c in marking.back.changes
        if c.name == used and marking.place(c) < marking.place(mark.change)
    ][-1]
    terms = Way(marking, judged, mark.x).terms()
    if np.shape(mark.change.value) != mark.x.shape or len(terms) < 2:
        return None
    try:
        value = np.broadcast_to(change.value, mark.x.shape)
    except ValueError:
        return None
    rest = mark.change.value - value
    if any(marking.close(value, term) for term in terms) or not any(
        marking.close(rest, t) or marking.close(rest, mark.expected - t) for t in terms
    ):
        return None
    term = Mark(change, mark.x, WRONG, mark.expected - rest, mark.expected - rest)
    inherited = [
        m._replace(verdict=INHERITED) if m.verdict == WRONG else m for m in judged.marks[name]
    ]
    return judged._replace(marks={**judged.marks, name: inherited, used: [term]})


def culprit(marking: Marking, judged: Judgement, name: str, mark: Mark) -> Statement:
    """Of the statements that made a value, the one that went wrong."""
    if name not in marking.claims:
        return mark.change.statement
    history = marking.claims[name].changes
    at = next((i for i, c in enumerate(history) if c is mark.change), len(history) - 1)
    start = _last_right(marking, judged, name, mark, history[:at])
    wanted = as_shape(mark.expected, np.shape(mark.change.value))
    if wanted is None:
        misfits = (c for c in history[: at + 1] if as_shape(c.value, mark.x.shape) is None)
        return next(misfits, mark.change).statement
    steps: dict[Statement, Any] = {}
    before: Any = history[start - 1].value if start else 0
    for change in history[start : at + 1]:
        fits = np.shape(before) == np.shape(change.value)
        if np.any(change.value):
            step = change.value - (before if fits else 0)
            steps[change.statement] = steps.get(change.statement, 0) + step
        before = change.value
    if len(steps) < 2:
        return next(iter(steps), mark.change.statement)
    error = wanted - mark.change.value
    for statement, step in steps.items():
        if np.size(error) > 1 and ratio(error, step):
            return statement
    rounding = marking.rtol * largest(wanted) + marking.rounding(mark.x, judged.scale)
    wrong = np.abs(error) > rounding

    def reach(statement: Statement) -> float:
        changed = np.broadcast_to(steps[statement] != 0, wrong.shape)
        return np.inf if (wrong & ~changed).any() else float(changed.sum())

    return min(steps, key=reach)


def _last_right(
    marking: Marking, judged: Judgement, name: str, mark: Mark, history: list[Change]
) -> int:
    """From where on a value went wrong: what was the right gradient of something, was right."""
    others = {id(c) for c, x in judged.reading[name] if x is not mark.x}
    start = max((i + 1 for i, c in enumerate(history) if id(c) in others), default=0)
    if start == len(history):
        return start
    wanted = as_shape(mark.expected, np.shape(mark.change.value))
    proportional = wanted is not None and ratio(mark.change.value, wanted) is None
    known: dict[tuple[int, ...], list[Any]] = {}
    for f in (*judged.found.values(), *Way(marking, judged, mark.x).terms()):
        known.setdefault(np.shape(f), []).append(f)
    alike = {shape: np.reshape(gs, (len(gs), -1)) for shape, gs in known.items() if 0 not in shape}

    def is_known(g: Any) -> bool:
        """Whether this is the right gradient of anything; all at once, for there may be many."""
        if np.shape(g) not in alike:
            return False
        gs = alike[np.shape(g)]
        off = np.abs(gs - np.ravel(g)).max(axis=1)
        return bool(np.any(off <= marking.rtol * np.abs(gs).max(axis=1)))

    for i, change in enumerate(history[start:], start):
        g = change.value
        if np.any(g) and (is_known(g) or (proportional and ratio(g, wanted))):
            start = i + 1
    return start


def shared_number(marking: Marking, judged: Judgement, rows: list[Row]) -> list[Row]:
    """Several lines that are wrong by one factor have it from a number that they all use."""
    wrong = [row for row in rows if row.verdict == WRONG]
    factors = []
    for m in judged.wrong:
        value = as_shape(m.change.value, m.x.shape)
        factors.append(None if value is None else ratio(value, m.expected))
    if len(wrong) < 2 or None in factors or not close(factors, factors[:1] * len(factors)):
        return rows
    statements = {c.statement.line: c.statement for c in marking.back.changes}
    if not all(row.line in statements for row in wrong):
        return rows
    shared = frozenset.intersection(*(statements[row.line].used for row in wrong))
    numbers = {
        c.name: c for c in marking.back.changes
        if c.name in shared and c.name not in marking.arguments and np.size(c.value) == 1
        and c.name not in marking.claims and c.value not in (*marking.sizes, 1)
    }  # fmt: skip
    if len(numbers) != 1:
        return rows
    ((name, change),) = numbers.items()
    told = f"because of it {' and '.join(row.name for row in wrong)}: {wrong[0].diagnosis}"
    rows = [r._replace(verdict=INHERITED, diagnosis="") if r.verdict == WRONG else r for r in rows]
    return [Row(name, *change.statement[:2], (), np.nan, np.nan, WRONG, told), *rows]


def made_of(marking: Marking, judged: Judgement, statement: Statement) -> str:
    """Where a wrong statement has the values from that could not be checked."""
    last = {
        c.name: c for c in marking.back.changes
        if c.name in statement.used - set(marking.arguments) and c.statement.line < statement.line
        and np.ndim(c.value) and c.name not in judged.marks and id(c) not in judged.taken
    }  # fmt: skip
    return " and ".join(f"{c.name} of line {c.statement.line}" for c in last.values())
