"""grade: mark the backward passes of a course, each in a process of its own."""

from __future__ import annotations

import csv
import inspect
import io
import linecache
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lr.check.derivation.check_backward import check_backward
from tinygrad_lr.check.derivation.report import Report, aligned

Submission = Callable[..., Any] | str | Path
STARTUP = 30.0  # seconds that a process may take to begin


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
    submissions: Mapping[str, Submission] | Sequence[Submission],
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
        submissions: by name. A function, a source text, or the path of a file. A text or a file
            defines `backward`, or a single function.
        timeout: seconds that a submission may take, also to be imported.
        names, wrt, **inputs: as for `check_backward`.

    Returns:
        A `Mark` for each submission, in order.

    >>> def forward(X, w):
    ...     return np.sum((X @ w) ** 2)
    >>> right = "def backward(X, w): return {'dw': 2 * X.T @ (X @ w)}"
    >>> texts = {"ada": right, "bob": right.replace("2 *", "2 +"), "eve": "while True: pass"}
    >>> grade(forward, texts, timeout=1.0, X=np.array([[1.0, 2.0], [3.0, -1.0]]), w=np.ones(2))
    name  ok     first wrong  line  diagnosis
    ada   True   -            -
    bob   False  dw           1     X.T @ (X @ w) is added, not multiplied
    eve   False  -            -     not finished after 1 s
    <BLANKLINE>
    1 of 3 are right
    """
    if not isinstance(submissions, Mapping):
        submissions = {_title(s, i): s for i, s in enumerate(submissions, 1)}
    options = {"names": names, "wrt": wrt, **inputs}
    found: dict[str, Mark] = {}
    waiting, running = list(submissions.items()), {}
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            name, submission = waiting.pop(0)
            running[name] = _Process(forward, submission, options, timeout)
        wait([p.receiver for p in running.values()], timeout=0.05)
        for name, process in list(running.items()):
            if answer := process.answer():
                found[name] = _mark(name, answer)
                del running[name]
    return Marks(found[name] for name in submissions)


class _Process:
    """A submission in a process of its own."""

    def __init__(
        self, forward: Any, submission: Submission, options: dict[str, Any], timeout: float
    ) -> None:
        forks = "fork" in multiprocessing.get_all_start_methods()
        context = multiprocessing.get_context("fork" if forks else "spawn")
        self.receiver, sender = context.Pipe(duplex=False)
        work = (sender, forward, submission, options)
        self.timeout, self.begun = timeout, False
        self.process = context.Process(target=_work, args=work, daemon=True)
        self.process.start()
        sender.close()
        self.deadline = time.monotonic() + STARTUP

    def answer(self) -> Report | str | None:
        """A report, or why there is none; None while the process runs."""
        answer: Any = None
        try:
            while answer is None and self.receiver.poll():
                answer = self.receiver.recv()
                if answer == "":
                    answer, self.deadline = None, time.monotonic() + self.timeout
        except EOFError:
            self.process.join(1)
            answer = f"the process ended, with exit code {self.process.exitcode}"
        if answer is None and time.monotonic() > self.deadline:
            answer = f"not finished after {self.timeout:g} s"
        if answer is not None:
            self.process.kill()
            self.process.join()
            self.receiver.close()
        return answer


def _work(sender: Connection, forward: Any, submission: Submission, options: Any) -> None:
    """What the process of a submission does."""
    sender.send("")
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    answer: Report | str
    try:
        if callable(submission):
            answer = check_backward(forward, submission, **options)
        elif forward is None:
            answer = check_file(submission)
        else:
            answer = check_backward(forward, _backward(_namespace(submission)), **options)
    except (Exception, SystemExit) as error:
        answer = f"{type(error).__name__}: {error}"
    sender.send(answer)


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
    is_text = isinstance(source, str) and ("\n" in source or not source.endswith(".py"))
    name = "<submission>" if is_text else os.path.abspath(source)
    text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    space: dict[str, Any] = {"__name__": "submission", "__file__": name, "np": np}
    exec(compile(text, name, "exec"), space)
    return space


def _backward(space: Mapping[str, Any]) -> Callable[..., Any]:
    """The backward pass among what a submission defines."""
    own = {n: x for n, x in space.items() if inspect.isfunction(x) and x.__globals__ is space}
    if "backward" not in own and len(own) != 1:
        raise ValueError(f"it defines no function `backward`, but {', '.join(own) or 'none'}")
    return own.get("backward") or own.popitem()[1]


def _mark(name: str, answer: Report | str) -> Mark:
    if isinstance(answer, str):
        return Mark(name, False, None, None, answer, "", None)
    first = answer.first
    if first is None:
        told = "" if answer.ok else "; ".join(answer.summary.splitlines())
        return Mark(name, answer.ok, None, None, told, "", answer)
    diagnosis = first.diagnosis if not answer.problem else f"{answer.problem}; {first.diagnosis}"
    return Mark(name, False, first.name, first.line, diagnosis, first.correction, answer)


def _title(submission: Submission, i: int) -> str:
    if callable(submission):
        return f"{i} {getattr(submission, '__name__', '')}"
    is_path = isinstance(submission, Path) or submission.endswith(".py")
    return Path(submission).stem if is_path else str(i)
