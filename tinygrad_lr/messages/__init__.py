"""Errors and warnings; each part is imported when there is something to say."""

import importlib
from typing import Any

PARTS = {
    "arguments": "check_arguments check_count check_rate dtype_refused not_real",
    "explain": "accumulated assigned_in_parts cut_by_float cut_off describe no_parameter no_scalar "
    "operation_failed other_gradient_shape other_shape param_requires_gradient "
    "requires_no_gradient rule_failed stale warn_accidental_outer warn_kept_graphs",
    "hints": "argument_refused function_refused method_refused missing_name tensor_called",
    "origin": "bracketed caller locate warn where_from",
}


class GradientError(ValueError, RuntimeError):
    """There is no such gradient. A ValueError, as in NumPy; a RuntimeError, as in PyTorch."""

    __module__ = "tinygrad_lr"


class ShapeError(ValueError):
    """Operands whose shapes do not fit."""

    __module__ = "tinygrad_lr"


class TensorWarning(UserWarning):
    """It runs, but is hardly meant; `warnings.simplefilter("ignore", TensorWarning)` hides it."""

    __module__ = "tinygrad_lr"


def __getattr__(name: str) -> Any:
    for part, names in PARTS.items():
        if name in names.split():
            globals()[name] = getattr(importlib.import_module(f"{__name__}.{part}"), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
