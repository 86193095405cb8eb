"""grade: mark the backward passes of a course, each in a process of its own."""

from __future__ import annotations

import csv
import faulthandler
import inspect
import io
import linecache
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.check_backward import check_backward
from tinygrad_lr.check.derivation.report import Report, aligned

Submission = Callable[..., Any] | str | Path
STARTUP = 30.0  # seconds that a process may take to begin
BEGUN = "begun"  # what a process says first


class Mark(NamedTuple):
    """The mark of one submission.

    Attributes:
        name: whose it is.
        ok: whether all gradients are right.
        first_wrong, line: the first gradient that is wrong by itself, and where; or None.
        diagnosis: what is wrong with it, or with the submission as a whole; or empty.
        correction: the line as it would be right, or empty.
        report: all that `check_backward` found; None if it could not finish.
    """

    name: str
    ok: bool
    first_wrong: str | None
    line: int | None
    diagnosis: str
    correction: str
    report: Report | None


class Marks(list[Mark]):
    """The marks of all submissions; prints as a table, and is a list for `pandas.DataFrame`."""

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV, which is written to a file if there is a path."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(Mark._fields[:-1])
        writer.writerows(mark[:-1] for mark in self)
        if path is not None:
            Path(path).write_text(out.getvalue(), encoding="utf-8")
        return out.getvalue()

    def __str__(self) -> str:
        head = ("name", "ok", "first wrong", "line", "diagnosis")
        cells = [tuple("-" if x is None else str(x) for x in mark[:5]) for mark in self]
        right = sum(mark.ok for mark in self)
        return "\n".join([*aligned([head, *cells]), "", f"{right} of {len(self)} are right"])

    __repr__ = __str__


def grade(
    forward: Callable[..., Any] | None,
    submissions: Mapping[str, Submission] | Iterable[Submission],
    /,
    *,
    timeout: float = 10.0,
    names: Mapping[str, str] | None = None,
    wrt: str | Sequence[str] | None = None,
    **inputs: Any,
) -> Marks:
    """Mark many backward passes; each runs in a process of its own, which may crash or hang.

    A process is no sandbox: what a submission does to files, it does.

    Args:
        forward: what all of them differentiate; None if each submission has its own, and inputs.
        submissions: by name, or a list, in which a file is named by its path below the folders
            that all share. A function, a source text, or the path of a file, which may import
            its neighbours. A text or a file defines `backward`, or a single function.
        timeout: seconds that a submission may take, also to be imported.
        names, wrt, **inputs: as for `check_backward`.

    Returns:
        A `Mark` for each submission, in order.

    >>> def forward(X, w):
    ...     return np.sum((X @ w) ** 2)
    >>> right = "def backward(X, w): return {'dw': 2 * X.T @ (X @ w)}"
    >>> texts = {"ada": right, "bob": right.replace("2 *", "2 +"), "eve": "while True: pass"}
    >>> grade(forward, texts, timeout=3.0, X=np.array([[1.0, 2.0], [3.0, -1.0]]), w=np.ones(2))
    name  ok     first wrong  line  diagnosis
    ada   True   -            -
    bob   False  dw           1     X.T @ (X @ w) is added, not multiplied
    eve   False  -            -     not finished after 3 s
    <BLANKLINE>
    1 of 3 are right
    """
    named = _named(submissions)
    options = {"names": names, "wrt": wrt, **inputs}
    waiting = list(range(len(named)))
    running: dict[int, _Process] = {}
    marks: dict[int, Mark] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (os.cpu_count() or 1):
                i = waiting.pop(0)
                running[i] = _Process(forward, named[i][1], options, timeout)
            wait([p.receiver for p in running.values()], timeout=0.05)
            for i, process in list(running.items()):
                if answer := process.answer():
                    marks[i] = _mark(named[i][0], answer)
                    running.pop(i).end()
    finally:
        for process in running.values():
            process.end()
    return Marks(marks[i] for i in range(len(named)))


class _Process:
    """A submission in a process of its own."""

    def __init__(
        self, forward: Any, submission: Submission, options: dict[str, Any], timeout: float
    ) -> None:
        forks = "fork" in multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context("fork" if forks else "spawn")
        self.receiver, sender = context.Pipe(duplex=False)
        work = (sender, forward, submission, options)
        self.process = context.Process(target=_work, args=work, daemon=True)
        self.process.start()
        sender.close()
        self.timeout, self.deadline = timeout, time.monotonic() + STARTUP

    def answer(self) -> Report | str | None:
        """A report, or why there is none; None while the process runs."""
        try:
            while self.receiver.poll():
                answer: Report | str = self.receiver.recv()
                if answer != BEGUN:
                    return answer
                self.deadline = time.monotonic() + self.timeout
        except EOFError:
            self.process.join(1)
            return f"the process ended, with exit code {self.process.exitcode}"
        late = time.monotonic() > self.deadline
        return f"not finished after {self.timeout:g} s" if late else None

    def end(self) -> None:
        """End the process, if it still runs."""
        self.process.kill()
        self.process.join()
        self.receiver.close()


def _work(sender: Connection, forward: Any, submission: Submission, options: Any) -> None:
    """What the process of a submission does."""
    sender.send(BEGUN)
    _silence()
    if path := _path(submission):
        sys.path.insert(0, str(path.parent))
    answer: Report | str
    try:
        if callable(submission):
            answer = check_backward(forward, submission, **options)
        elif forward is None:
            answer = check_file(submission)
        else:
            answer = check_backward(forward, _backward(_namespace(submission)), **options)
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    except BaseException as error:
        answer = f"the process ended, with {type(error).__name__}: {error}".removesuffix(": ")
    sender.send(answer)


def _silence() -> None:
    """Discard all that this process prints; nothing is there to be read."""
    faulthandler.disable()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    sys.stdin = os.fdopen(0)
    sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8")


def check_file(source: str | Path) -> Report:
    """The report on a file that defines `forward`, `backward` and `inputs`.

    `inputs` is a dict, or a function that returns one; `names` and `wrt` may be there as well.
    Without `backward`, `forward` returns (loss, gradients).

    Raises:
        ValueError: if something is missing.
    """
    space = _namespace(source)
    for name in ("forward", "inputs"):
        if name not in space:
            raise ValueError(f"the file defines no `{name}`")
    inputs = space["inputs"]() if callable(space["inputs"]) else space["inputs"]
    options = {name: space.get(name) for name in ("names", "wrt")}
    return check_backward(space["forward"], space.get("backward"), **options, **inputs)


def _namespace(source: str | Path) -> dict[str, Any]:
    """What a source text or a file defines."""
    path = _path(source)
    name = str(path or "<submission>")
    text = path.read_text(encoding="utf-8-sig") if path else str(source)
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    space: dict[str, Any] = {"__name__": "submission", "__file__": name, "np": np}
    exec(compile(text, name, "exec"), space)
    return space


def _backward(space: Mapping[str, Any]) -> Callable[..., Any]:
    """The backward pass among what a submission defines."""
    backward: Callable[..., Any] | None = space.get("backward")
    if callable(backward):
        return backward
    own = [x for x in space.values() if inspect.isfunction(x) and x.__globals__ is space]
    if len(own) != 1:
        found = ", ".join(x.__name__ for x in own) or "none"
        raise ValueError(f"it defines no function `backward`, but {found}")
    return own[0]


def _mark(name: str, answer: Report | str) -> Mark:
    if isinstance(answer, str):
        return Mark(name, False, None, None, answer, "", None)
    first = answer.first
    if first is None:
        told = "" if answer.ok else "; ".join(answer.summary.splitlines())
        return Mark(name, answer.ok, None, None, told, "", answer)
    crashed = first.diagnosis.startswith("raises ")  # which the problem says, too
    diagnosis = "; ".join(filter(None, (answer.problem, "" if crashed else first.diagnosis)))
    return Mark(name, False, first.name, first.line, diagnosis, first.correction, answer)


def _path(submission: Submission) -> Path | None:
    """The file that a submission is in; None for a function or a source text."""
    is_text = isinstance(submission, str) and ("\n" in submission or submission[-3:] != ".py")
    return None if callable(submission) or is_text else Path(submission).absolute()


def _named(
    submissions: Mapping[str, Submission] | Iterable[Submission],
) -> list[tuple[str, Submission]]:
    """Submissions with their names: files by their paths below the folders that all share."""
    if isinstance(submissions, Mapping):
        return list(submissions.items())
    given = list(submissions)
    paths = [_path(s) for s in given]
    folders = zip(*(path.parent.parts for path in paths if path), strict=False)
    shared = len([*takewhile(lambda parts: len({*parts}) == 1, folders)])
    titles = [
        "/".join(path.with_suffix("").parts[shared:])
        if path
        else f"{i} {getattr(submission, '__name__', '')}".strip()
        for i, (path, submission) in enumerate(zip(paths, given, strict=True), 1)
    ]
    return list(zip(titles, given, strict=True))
