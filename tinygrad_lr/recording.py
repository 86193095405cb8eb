"""What is recorded: operations that lead to a gradient, none, or everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from tinygrad_lr.messages.origin import caller, locate


class RecordingError(TypeError):
    """A step that is recorded to be run again does what would not be the same the next time."""

    __module__ = "tinygrad_lr"


class Mode(NamedTuple):
    """What is recorded in this thread or task."""

    recording: Any = True  # True, False, or what watches every operation: see anomaly.py
    everything: bool = False  # also what needs no gradient, and comparisons
    repeatable: bool = False  # and nothing that reads values


USUAL = Mode()
_mode = ContextVar("mode", default=USUAL)
mode = _mode.get


@contextmanager
def recording(how: Any) -> Iterator[None]:
    """Record operations or not, in this thread or task; in a block that does not, nothing does."""
    before = mode()
    _mode.set(before._replace(recording=before.recording and how))
    try:
        yield
    finally:  # of a generator, perhaps, which is closed in another block
        _mode.set(mode()._replace(recording=before.recording))


def no_grad() -> AbstractContextManager[None]:
    """Compute without recording, in this thread or task; a context manager and a decorator.

    >>> from tinygrad_lr import Tensor
    >>> w = Tensor(3.0, requires_grad=True)
    >>> with no_grad():
    ...     (2 * w).requires_grad
    False
    """
    return recording(False)


@contextmanager
def everything(repeatable: bool = False) -> Iterator[None]:
    """Record also what needs no gradient, and comparisons, so that a program can be made of it.

    In a repeatable recording whatever looks at values, as an `if`, raises RecordingError.
    """
    before = mode()
    _mode.set(before._replace(everything=True, repeatable=repeatable))
    try:
        yield
    finally:
        _mode.set(mode()._replace(everything=before.everything, repeatable=before.repeatable))


def refuse(what: str, shape: tuple[int, ...]) -> None:
    """Raise for the user's line, which reads the values of a tensor in a repeatable recording."""
    raise RecordingError(
        f"{what} reads the values of a tensor of shape {shape} in a step that is recorded: later "
        f"runs would go on with the values of this one. Choose by np.where(condition, a, b), pass "
        f"what is made of it as an argument, and look at results after the step\n"
        f"  {locate(caller())}"
    )
