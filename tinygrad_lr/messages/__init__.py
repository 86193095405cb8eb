"""What the user is told; each part is imported when there is something to tell."""

import importlib
from typing import Any

PARTS = {
    "origin": "bracketed caller locate warn where_from",
    "explain": "accumulated assigned_in_parts cut_by_float cut_off describe no_parameter no_scalar "
    "operation_failed other_shape requires_no_gradient stale warn_accidental_outer "
    "warn_kept_graphs",
    "hints": "missing_name",
    "refusals": "argument_refused function_refused method_refused",
}


class GradientError(ValueError, RuntimeError):
    """A gradient that is not there; a ValueError as in NumPy and a RuntimeError as in PyTorch."""

    __module__ = "tinygrad_lr"


class ShapeError(ValueError):
    """Operands whose shapes do not fit."""

    __module__ = "tinygrad_lr"


class TensorWarning(UserWarning):
    """A computation that runs, but hardly does what its author means.

    Python's filters are the switch: `warnings.simplefilter("ignore", tg.TensorWarning)`, or
    "error".
    """

    __module__ = "tinygrad_lr"


def __getattr__(name: str) -> Any:
    for part, names in PARTS.items():
        if name in names.split():
            globals()[name] = getattr(importlib.import_module(f"{__name__}.{part}"), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
