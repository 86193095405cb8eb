"""What a step records: operations that can be repeated with other values."""

from __future__ import annotations

from typing import Any

from tinygrad_lr.messages.explain import describe
from tinygrad_lr.messages.origin import caller, locate
from tinygrad_lr.recording import RecordAll


class RecordingError(TypeError):
    """A step that is recorded to be run again does what would not be the same the next time."""

    __module__ = "tinygrad_lr"


class Repeatable(RecordAll):
    """Keeps every result, and lets nobody read values that will be others in the next run."""

    def read(self, tensor: Any, reader: str) -> Any:
        """Refuse the user's line."""
        raise RecordingError(
            f"{reader} reads the values of {describe(tensor)} in a step that is recorded: later "
            f"runs would go on with the values of this one. Choose by np.where(condition, a, b), "
            f"pass what is made of it as an argument, and look at results after the step\n"
            f"  {locate(caller())}"
        )
