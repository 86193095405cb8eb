"""What the user is told; each part is imported when there is something to tell."""

import importlib
from typing import Any

PARTS = {
    "bracketed": "origin", "caller": "origin", "locate": "origin", "warn": "origin",
    "where_from": "origin", "describe": "explain", "operation_failed": "explain",
    "accumulated": "explain", "no_parameter": "explain", "requires_no_gradient": "explain",
    "stale": "explain", "warn_accidental_outer": "explain", "warn_kept_graphs": "explain",
    "missing_name": "hints", "argument_refused": "refusals", "function_refused": "refusals",
    "method_refused": "refusals", "cut_off": "explain", "cut_by_float": "explain",
    "assigned_in_parts": "explain",
}  # fmt: skip


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
    if name not in PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PARTS[name]}"), name)
