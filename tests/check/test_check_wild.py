"""check_backward on programs as people write them: a right one passes, and no mistake does.

Each file in wild/ has a right program, the call that checks it, and mistakes that it may have.
"""

import ast
import json
import linecache
import os
import re
import sys
import time
import types
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

import tinygrad_lr as tg
from tinygrad_lr.check.derivation.report import aligned

PLACED, EXPLAINED = 0.9, 0.6  # the shares of mistakes that have to be
WILD = sorted((Path(__file__).parent / "wild").glob("*.py"))


class Judged(NamedTuple):
    """What the check made of a program and of its mistakes."""

    ok: bool
    report: str
    crashed: list[str]
    silent: list[str]
    misplaced: list[str]
    unexplained: list[str]
    mistakes: int


def parts(path):
    """(program, call, mistakes) of a file."""
    text = path.read_text(encoding="utf-8")
    *_, check, mistakes = ast.parse(text).body
    program = "".join(text.splitlines(keepends=True)[: check.lineno - 1])
    return program, check.value.value, ast.literal_eval(mistakes.value)


def checked(name, program, call):
    """The report on a program, or the error that the check raised."""
    module = types.ModuleType(f"wild_{name}")
    module.__file__ = f"{name}.py"
    linecache.cache[module.__file__] = len(program), None, program.splitlines(True), module.__file__
    sys.modules[module.__name__] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(program, module.__file__, "exec"), module.__dict__)
            return eval(call, {**module.__dict__, "check": tg.check_backward})
    except Exception as error:
        return error
    finally:
        del sys.modules[module.__name__]


def edited_lines(program, old):
    """The line of an edit, and that in which its statement begins."""
    line = program[: program.index(old)].count("\n") + 1
    around = (s for s in ast.walk(ast.parse(program)) if isinstance(s, ast.stmt))
    return {line, max(s.lineno for s in around if s.lineno <= line <= s.end_lineno)}


def is_placed(report, lines, returns):
    """Whether the line that is named first is the mistaken one, or what is returned is."""
    if report.first:
        return report.first.line in lines
    named = {int(n) for n in re.findall(r"\bline (\d+)", report.problem)}
    return bool(named & lines) or (returns and " raised " not in report.problem)


def judge(path):
    """The check's judgement of a file."""
    program, call, mistakes = parts(path)
    right = checked(path.stem, program, call)
    crashed, silent, misplaced, unexplained = [], [], [], []
    for old, new, words in mistakes:
        assert program.count(old) == 1, old
        report = checked(path.stem, program.replace(old, new), call)
        if isinstance(report, Exception):
            if not isinstance(report, (TypeError, ValueError)):  # what it may raise
                crashed.append(f"{words}: {report!r}")
            misplaced.append(f"{words}: {report!r}")
        elif report.ok:
            silent.append(words)
        elif not is_placed(report, edited_lines(program, old), new.startswith("return")):
            misplaced.append(f"{words}: {report.summary}")
        elif report.first and report.first.diagnosis in ("", "unknown"):
            unexplained.append(f"{words}: {report.summary}")
    ok = not isinstance(right, Exception) and right.ok
    return Judged(ok, repr(right), crashed, silent, misplaced, unexplained, len(mistakes))


@pytest.fixture(scope="session")
def judged(tmp_path_factory):
    """Judge a file, once for all workers."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder

    def once(path):
        claim, result = folder / f"{path.stem}.claim", folder / f"{path.stem}.json"
        while not result.exists():
            try:
                claim.touch(exist_ok=False)
            except FileExistsError:
                time.sleep(0.1)
                continue
            try:
                part = folder / f"{path.stem}.part"
                part.write_text(json.dumps(judge(path)), encoding="utf-8")
                part.rename(result)
            except BaseException:
                claim.unlink()
                raise
        return Judged(*json.loads(result.read_text(encoding="utf-8")))

    return once


@pytest.mark.parametrize("path", WILD, ids=lambda path: path.stem)
def test_a_right_program_passes_and_a_mistake_does_not(path, judged):
    found = judged(path)
    assert found.ok, found.report
    assert not found.silent
    assert not found.crashed


def test_most_mistakes_are_placed_and_explained(judged, capsys):
    found = {path.stem: judged(path) for path in WILD}
    rows = [("program", "ok", "mistakes", "placed", "explained")]
    counts = []
    for name, j in found.items():
        placed = j.mistakes - len(j.silent) - len(j.misplaced)
        counts.append((j.ok, j.mistakes, placed, placed - len(j.unexplained)))
        rows.append((name, "yes" if j.ok else "NO", *map(str, counts[-1][1:])))
    ok, mistakes, placed, explained = map(sum, zip(*counts, strict=True))
    rows.append(("in all", f"{ok} of {len(found)}", *map(str, (mistakes, placed, explained))))
    with capsys.disabled():
        print("\n" + "\n".join(aligned(rows)), file=sys.stderr)
    misses = [f"{n}, {miss}" for n, j in found.items() for miss in j.misplaced + j.unexplained]
    assert len(found) >= 30 and mistakes >= 90
    assert placed >= PLACED * mistakes, "\n".join(misses)
    assert explained >= EXPLAINED * mistakes, "\n".join(misses)
